/* SPDX-License-Identifier: MIT */
/*
 * options.h - a command's arguments: options as getopt_long has them, and numbers. Knows the words
 * only, not what they mean.
 */
#pragma once

#include <tarn/lib.h>

struct options {
    const char *letters; /* those known, with ':' behind one that takes a value */
    const char *names;   /* long ones, as "domain=d cpupool=p"; may be NULL */
    char **argv;
    int argc;
    int at;             /* the word that is being looked at */
    const char *inside; /* further letters of that word */
    const char *value;  /* of the option that was returned */
    char **rest;        /* in the end: what is no option, */
    int nr_rest;        /* and how many of these */
};

void options_init(struct options *o, int argc, char **argv, const char *letters, const char *names);
/* Letter of the next option, 0 after the last, '?' when it is unknown or lacks its value. Options
 * may stand between and behind the other words, up to "--". */
int options_next(struct options *o);
/* All of it for a command whose options take no value; *flags: FLAG of those that are there. False:
 * one is unknown. */
#define FLAG(letter) (1UL << ((letter)&63))
bool options_flags(struct options *o, int argc, char **argv, const char *letters, const char *names,
                   u64 *flags);
/* Decimal or 0x; false: not a number, or above max. */
bool number_parse(const char *text, u64 max, u64 *value);
