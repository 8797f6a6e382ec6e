/* SPDX-License-Identifier: MIT */
/*
 * text.c - strings beyond what the guests' runtime has, and times as people read them. Pure; no
 * locks.
 */
#include "shell.h"

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

void uuid_format(const uint8_t uuid[16], char text[UUID_SIZE])
{
    for (unsigned int i = 0; i < 16; i++) {
        bool dash = i == 4 || i == 6 || i == 8 || i == 10;

        text += fmt_snprintf(text, sizeof("-xx"), dash ? "-%02x" : "%02x", uuid[i]);
    }
}
