/* SPDX-License-Identifier: MIT */
/*
 * String helpers of our own naming. Apart from string.c, so that host tests can
 * link this file next to the C library's string functions. Pure; no locks.
 */
#include <tarn/lib.h>

size_t str_copy(char *dst, const char *src, size_t size)
{
    size_t len = strlen(src);

    if (size) {
        size_t n = MIN(len, size - 1);

        memcpy(dst, src, n);
        dst[n] = '\0';
    }
    return len;
}
