/* SPDX-License-Identifier: MIT */
/*
 * configtext.h - the text of a domain's file: characters, numbers, strings, lists, and messages
 * that tell where something is wrong. Pure.
 */
#pragma once

#include "config.h"

#define SHOWN 40 /* of a value, in a message */

/* Where in which text. */
struct place {
    const char *at, *end;
    unsigned int line; /* 0: an override */
};

enum type { WORD, STRING, LIST };

struct value {
    enum type type;
    char text[TEXT_SIZE]; /* of a word or string */
    struct place items;   /* of a list: behind its '[' */
};

struct reader {
    const char *file;
    struct place here;
    unsigned int line; /* messages name this one */
    unsigned int errors;
    bool override; /* no file, but "key=value" of a command line */
    void (*report)(void *arg, const char *text);
    void *arg;
    struct value item; /* of a list, the last that was read */
};

/* Always false, which says that something is wrong. */
bool reader_wrong(struct reader *r, const char *format, ...) __attribute__((format(printf, 2, 3)));
bool reader_at_end(const struct reader *r);
/* The character here; a newline at the end of all. */
char reader_look(const struct reader *r);
char reader_take(struct reader *r);
void reader_skip_line(struct reader *r);
/* Blanks, and lines' ends and comments, too, if `lines`. */
void reader_skip_blanks(struct reader *r, bool lines);
/* The value of a key. Of a list only the form is checked. */
bool reader_value(struct reader *r, const char *key, struct value *v);
/* The next item of a list; false at its end, or when it is wrong (errors tell). */
bool reader_item(struct reader *r);

/* NULL, or why a domain or cpupool can't be called that: "is empty", "is a number". */
const char *name_wrong(const char *name);

static inline bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static inline bool is_word(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || is_digit(c) || c == '_';
}

static inline bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}
