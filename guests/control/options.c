/* SPDX-License-Identifier: MIT */
/*
 * options.c - a command's options and numbers. Words that are no options are moved to the front of
 * argv in the order in which they came, so that options may stand anywhere. Pure; no locks.
 */
#include "options.h"

#include <tarn/number.h>

void options_init(struct options *o, int argc, char **argv, const char *letters, const char *names)
{
    *o = (struct options){ .letters = letters, .names = names, .argv = argv, .argc = argc };
    o->at = 1;
    o->rest = argv + 1;
}

/* -1: unknown, 1: takes a value. */
static int letter_kind(const struct options *o, char letter)
{
    for (const char *p = o->letters; *p; p++) {
        if (*p == letter && letter != ':') {
            return p[1] == ':';
        }
    }
    return -1;
}

/* Letter of the long name of that length; 0: there is none. */
static char letter_of(const struct options *o, const char *name, size_t len)
{
    const char *p = o->names;

    while (p && *p) {
        size_t n = 0;

        while (p[n] && p[n] != '=') {
            n++;
        }
        if (n == len && memcmp(p, name, n) == 0) {
            return p[n + 1];
        }
        p += n + 2;
        while (*p == ' ') {
            p++;
        }
    }
    return 0;
}

static int take_value(struct options *o, char letter, const char *given)
{
    if (!given && o->at < o->argc) {
        given = o->argv[o->at++];
    }
    o->value = given;
    return given ? letter : '?';
}

static int take_long(struct options *o, const char *word)
{
    size_t len = 0;
    char letter;

    while (word[len] && word[len] != '=') {
        len++;
    }
    letter = letter_of(o, word, len);
    if (!letter) {
        return '?';
    }
    if (letter_kind(o, letter) == 1) {
        return take_value(o, letter, word[len] ? word + len + 1 : NULL);
    }
    return word[len] ? '?' : letter;
}

static int take_letter(struct options *o)
{
    char letter = *o->inside++;
    const char *left = *o->inside ? o->inside : NULL;
    int kind = letter_kind(o, letter);

    if (kind == 0) {
        o->inside = left;
        return letter;
    }
    o->inside = NULL;
    if (kind < 0) {
        return '?';
    }
    return take_value(o, letter, left && *left == '=' ? left + 1 : left);
}

int options_next(struct options *o)
{
    if (o->inside) {
        return take_letter(o);
    }
    while (o->at < o->argc) {
        char *word = o->argv[o->at++];

        if (strcmp(word, "--") == 0) {
            break;
        }
        if (word[0] == '-' && word[1] == '-') {
            return take_long(o, word + 2);
        }
        if (word[0] == '-' && word[1]) {
            o->inside = word + 1;
            return take_letter(o);
        }
        o->rest[o->nr_rest++] = word;
    }
    while (o->at < o->argc) {
        o->rest[o->nr_rest++] = o->argv[o->at++];
    }
    return 0;
}

bool options_flags(struct options *o, int argc, char **argv, const char *letters, const char *names,
                   u64 *flags)
{
    int letter;

    *flags = 0;
    options_init(o, argc, argv, letters, names);
    while ((letter = options_next(o)) && letter != '?') {
        *flags |= FLAG(letter);
    }
    return letter != '?';
}

bool number_parse(const char *text, u64 max, u64 *value)
{
    u64 n;

    if (!uint_parse(text, &n) || n > max) {
        return false;
    }
    *value = n;
    return true;
}
