/* SPDX-License-Identifier: MIT */
/*
 * Options of the form "name", "no-name", "name=value", "name=\"value with blanks\"". Pure.
 * Used for the hypervisor's command line and for the string of a boot module.
 */
#pragma once

#include <tarn/types.h>

enum param_type {
    PARAM_BOOL,   /* bool: name, name=yes|on|true|enable|1, no-name, name=no|off|false|disable|0 */
    PARAM_UINT,   /* u32 within [min, max] */
    PARAM_SIZE,   /* u64 bytes: 512M, 1G, 64K, 4096B; a bare number is in units of 1 KiB (Xen) or of
                     `unit` */
    PARAM_STRING, /* char[size] */
    PARAM_CUSTOM, /* parse(value, dest) returns NULL or the reason */
};

struct param {
    const char *name;
    enum param_type type;
    void *dest;
    size_t size;  /* PARAM_STRING: bytes of dest */
    u64 min, max; /* PARAM_UINT, PARAM_SIZE; max 0 = no limit */
    u64 unit;     /* PARAM_SIZE: of a bare number; 0 = 1024 */
    const char *(*parse)(const char *value, void *dest);
};

/*
 * Parse all of `text`. Whatever is wrong (unknown option, bad value, unterminated quote) is given
 * to report(arg, "option 'maxcpus': 'x' is not a number from 1 to 256") and parsing goes on.
 * `report` may be NULL. Within quotes \" and \\ stand for the character itself. The last of several
 * wins. Returns how many options were wrong.
 */
u32 cmdline_parse(const char *text, const struct param *table, size_t n,
                  void (*report)(void *arg, const char *text), void *arg);
