/* SPDX-License-Identifier: MIT */
/*
 * domfile.c - as much of a domain file's syntax as it takes to find the files that it names. Pure.
 * What is wrong with it, the control domain says.
 */
#include "host.h"

#include <string.h>

static const char *skip_blanks(const char *p, const char *end)
{
    while (p < end && (*p == ' ' || *p == '\t')) {
        p++;
    }
    return p;
}

/* KEY = "VALUE" or 'VALUE' on one line; NULL: another key, or no string. */
static char *line_value(const char *p, const char *end, const char *key)
{
    size_t n = strlen(key);
    const char *close;

    p = skip_blanks(p, end);
    if ((size_t)(end - p) < n || memcmp(p, key, n) != 0) {
        return NULL;
    }
    p = skip_blanks(p + n, end);
    if (p == end || *p++ != '=') {
        return NULL;
    }
    p = skip_blanks(p, end);
    if (p == end || (*p != '"' && *p != '\'')) {
        return NULL;
    }
    close = memchr(p + 1, *p, (size_t)(end - p - 1));
    return close ? join("%.*s", (int)(close - p - 1), p + 1) : NULL;
}

/* The last one counts. Several statements on a line are divided by ';'. */
char *domfile_value(const char *text, size_t size, const char *key)
{
    const char *p = text, *end = text + size;
    char *found = NULL;

    while (p < end) {
        const char *stop = p;
        char quote = 0, *value;

        for (; stop < end && *stop != '\n' && (quote || *stop != ';'); stop++) {
            if (!quote && *stop == '#') {
                break;
            }
            if (!quote && (*stop == '"' || *stop == '\'')) {
                quote = *stop;
            } else if (*stop == quote) {
                quote = 0;
            }
        }
        value = line_value(p, stop, key);
        found = value ? value : found;
        while (stop < end && *stop == '#') {
            const char *eol = memchr(stop, '\n', (size_t)(end - stop));

            stop = eol ? eol : end;
        }
        p = stop + 1;
    }
    return found;
}
