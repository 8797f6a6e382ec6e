/* SPDX-License-Identifier: MIT */
/*
 * text.c - strings beyond what the guests' runtime has, and times as people read them. The first
 * few are also what lib/'s pure helpers and the compiler want. Pure; no locks.
 */
#include "shell.h"

void *memmove(void *to, const void *from, size_t n)
{
    uint8_t *d = to;
    const uint8_t *s = from;

    if (d <= s || d >= s + n) {
        return memcpy(to, from, n);
    }
    while (n--) {
        d[n] = s[n];
    }
    return to;
}

size_t strnlen(const char *s, size_t max)
{
    size_t n = 0;

    while (n < max && s[n]) {
        n++;
    }
    return n;
}

int strncmp(const char *a, const char *b, size_t n)
{
    for (; n && *a && *a == *b; n--) {
        a++;
        b++;
    }
    return n ? (uint8_t)*a - (uint8_t)*b : 0;
}

char *strchr(const char *s, int c)
{
    for (;; s++) {
        if (*s == (char)c) {
            return (char *)(uintptr_t)s;
        }
        if (!*s) {
            return NULL;
        }
    }
}

size_t text_common(const char *a, const char *b)
{
    size_t n = 0;

    while (a[n] && a[n] == b[n]) {
        n++;
    }
    return n;
}

bool text_begins(const char *text, const char *start)
{
    return !start[text_common(text, start)];
}

char *text_find(const char *text, const char *what)
{
    for (; *text; text++) {
        if (text_begins(text, what)) {
            return (char *)(uintptr_t)text;
        }
    }
    return NULL;
}

const char *tenths_format(char *buf, size_t size, uint64_t tenths)
{
    fmt_snprintf(buf, size, "%lu.%lu", tenths / 10, tenths % 10);
    return buf;
}

const char *seconds_format(char *buf, size_t size, uint64_t ns)
{
    return tenths_format(buf, size, (ns + 50 * MS) / (100 * MS));
}
