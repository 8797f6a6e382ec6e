/* SPDX-License-Identifier: MIT */
/*
 * The standard memory and string functions, as the C standard has them; also what the
 * compiler calls behind our back. General registers only: words where the length is
 * small, string instructions where it is large. Pure; no locks.
 */
#include <tarn/lib.h>

/* Any address, any type. */
typedef u64 __attribute__((may_alias, aligned(1))) word_t;

#define WORD sizeof(word_t)
#define REP_MIN 64 /* starting a string instruction costs more than a few words */

static inline word_t load(const u8 *p)
{
    return *(const word_t *)p;
}

static inline void store(u8 *p, word_t v)
{
    *(word_t *)p = v;
}

/* Ascending, so right for overlapping memory as well when dst is below src. */
static inline void copy_up(u8 *d, const u8 *s, size_t n)
{
    if (n >= REP_MIN) {
        size_t words = n / WORD;

        __asm__ volatile("rep movsq" : "+D"(d), "+S"(s), "+c"(words) : : "memory");
        n %= WORD;
    }
    for (; n >= WORD; n -= WORD, d += WORD, s += WORD) {
        store(d, load(s));
    }
    while (n--) {
        *d++ = *s++;
    }
}

static inline void copy_down(u8 *d, const u8 *s, size_t n)
{
    for (; n >= WORD; n -= WORD) {
        store(d + n - WORD, load(s + n - WORD));
    }
    while (n--) {
        d[n] = s[n];
    }
}

void *memcpy(void *dst, const void *src, size_t n)
{
    copy_up(dst, src, n);
    return dst;
}

void *memmove(void *dst, const void *src, size_t n)
{
    /* The unsigned distance is at least n when dst is below src, too. */
    if ((uintptr_t)dst - (uintptr_t)src >= n) {
        copy_up(dst, src, n);
    } else {
        copy_down(dst, src, n);
    }
    return dst;
}

void *memset(void *dst, int c, size_t n)
{
    u8 *d = dst;
    word_t v = (u8)c * 0x0101010101010101UL;

    if (n >= REP_MIN) {
        size_t words = n / WORD;

        __asm__ volatile("rep stosq" : "+D"(d), "+c"(words) : "a"(v) : "memory");
        n %= WORD;
    }
    for (; n >= WORD; n -= WORD, d += WORD) {
        store(d, v);
    }
    while (n--) {
        *d++ = (u8)c;
    }
    return dst;
}

int memcmp(const void *a, const void *b, size_t n)
{
    const u8 *x = a, *y = b;

    for (; n >= WORD && load(x) == load(y); n -= WORD) {
        x += WORD;
        y += WORD;
    }
    for (; n; n--, x++, y++) {
        if (*x != *y) {
            return *x - *y;
        }
    }
    return 0;
}

size_t strnlen(const char *s, size_t max)
{
    size_t n = 0;

    while (n < max && s[n]) {
        n++;
    }
    return n;
}

size_t strlen(const char *s)
{
    return strnlen(s, SIZE_MAX);
}

int strncmp(const char *a, const char *b, size_t n)
{
    for (; n; n--, a++, b++) {
        if (*a != *b || !*a) {
            return (u8)*a - (u8)*b;
        }
    }
    return 0;
}

int strcmp(const char *a, const char *b)
{
    return strncmp(a, b, SIZE_MAX);
}

char *strchr(const char *s, int c)
{
    for (; *s != (char)c; s++) {
        if (!*s) {
            return NULL;
        }
    }
    return (char *)(uintptr_t)s;
}
