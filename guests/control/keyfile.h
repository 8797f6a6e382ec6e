/* SPDX-License-Identifier: MIT */
/*
 * keyfile.h - a file of statements `key = value`, ended by a line's end or ';', in xl.cfg's syntax,
 * and overrides of a command line behind it: what domain files and cpupool files have in common.
 * Pure. What the keys mean is their owner's matter.
 */
#pragma once

#include "configtext.h"

#define KEYFILE_KEYS 64u

struct keyfile {
    struct reader r; /* file, report and arg are the owner's to set */
    const char *const *names;
    unsigned int keys;
    /* `value` is the key's, and stands at `at`. False after reader_wrong(). */
    bool (*apply)(void *owner, unsigned int key, const struct place *at);
    void *owner;
    bool seen[KEYFILE_KEYS], again[KEYFILE_KEYS];
    unsigned int lines[KEYFILE_KEYS]; /* where it was given last; 0: an override */
    unsigned int last_line;
    struct value value;
};

/* All statements; text NULL: overrides only. False: it is no text at all, and nothing was read. */
bool keyfile_parse(struct keyfile *k, const char *text, size_t size, int nr_overrides,
                   char *const *overrides);

/* ---- for apply: what the value is; false after reader_wrong() ---- */

/* A number from min to max; `unit` is for the message. */
bool keyfile_number(struct keyfile *k, unsigned int key, uint64_t min, uint64_t max,
                    const char *unit, uint64_t *value);
/* A string that has room in `size` with its NUL: whether it is one, the same and copied, the same
 * and not empty. */
bool keyfile_is_text(struct keyfile *k, unsigned int key, size_t size);
bool keyfile_text(struct keyfile *k, unsigned int key, char *to, size_t size);
bool keyfile_path(struct keyfile *k, unsigned int key, char *to, size_t size);
/* One of a NULL-terminated list of words; its index. */
bool keyfile_choice(struct keyfile *k, unsigned int key, const char *const *words,
                    unsigned int *which);
/* A string, or a list's items with commas between them. */
bool keyfile_joined(struct keyfile *k, unsigned int key, char *to, size_t size);

/* ---- for what is looked at when all is read ---- */

bool keyfile_given(const struct keyfile *k, unsigned int key);
void keyfile_need(struct keyfile *k, unsigned int key);
/* Messages name the key's line, or the last one when it isn't there. */
void keyfile_go_to(struct keyfile *k, unsigned int key);
