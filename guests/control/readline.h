/* SPDX-License-Identifier: MIT */
/*
 * readline.h - one line that is being edited on a terminal of 80 columns: keys go in, what the
 * terminal must be sent comes out through a function. A line longer than the terminal is shown in
 * part. Knows nothing of commands.
 */
#pragma once

#include <tarn/lib.h>

#define READLINE_SIZE 512u   /* of a line, with its NUL */
#define READLINE_HISTORY 64u /* lines */
#define READLINE_COLUMNS 79u

enum readline_event {
    READLINE_NONE,
    READLINE_DONE,      /* Enter: the line is readline_text() */
    READLINE_COMPLETE,  /* TAB: readline_insert() or readline_show() answer it */
    READLINE_INTERRUPT, /* ^C */
    READLINE_END,       /* ^D on an empty line */
};

struct readline {
    const char *prompt;
    void (*write)(void *arg, const char *text, size_t len);
    void *arg;
    char line[READLINE_SIZE];
    size_t len, at;          /* of the line, and the cursor's place in it */
    size_t first;            /* character of the line that is shown first */
    char cut[READLINE_SIZE]; /* what ^W, ^U and ^K took, for ^Y */
    unsigned int escape;     /* state within an escape sequence */
    unsigned int number;     /* of that sequence: its last parameter, */
    unsigned int numbers;    /* how many it has, */
    unsigned int key;        /* and its first */
    bool after_return;       /* a line feed now belongs to the Enter before */
    char history[READLINE_HISTORY][READLINE_SIZE];
    unsigned int entries;     /* ever; the last READLINE_HISTORY are there */
    unsigned int back;        /* how far up the history one went */
    char kept[READLINE_SIZE]; /* the new line, while one is up there */
};

void readline_init(struct readline *r, const char *prompt,
                   void (*write)(void *arg, const char *text, size_t len), void *arg);
/* An empty line, and the prompt. */
void readline_begin(struct readline *r);
enum readline_event readline_key(struct readline *r, char key);
const char *readline_text(const struct readline *r);
/* As if typed; what has no room is left out. */
void readline_insert(struct readline *r, const char *text);
/* Clears the terminal's line; prompt and line again. */
void readline_hide(struct readline *r);
void readline_show(struct readline *r);
/* Adds the line to the history unless it is empty or the same as the last. */
void readline_remember(struct readline *r, const char *line);
