/* SPDX-License-Identifier: MIT */
/* Small things every file needs. Nothing here touches hardware or state. */
#pragma once

#include <tarn/types.h>

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define MIN(a, b) ((a) < (b) ? (a) : (b))
#define MAX(a, b) ((a) > (b) ? (a) : (b))
#define ALIGN_UP(x, a) (((x) + ((a)-1)) & ~((__typeof__(x))(a)-1))
#define ALIGN_DOWN(x, a) ((x) & ~((__typeof__(x))(a)-1))
#define DIV_ROUND_UP(x, d) (((x) + (d)-1) / (d))
#define container_of(p, type, member) ((type *)((char *)(p)-offsetof(type, member)))

#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)
#define barrier() __asm__ volatile("" ::: "memory")
#define READ_ONCE(x) (*(const volatile __typeof__(x) *)&(x))
#define WRITE_ONCE(x, v) (*(volatile __typeof__(x) *)&(x) = (v))

#define __noreturn __attribute__((noreturn))
#define __printf(f, a) __attribute__((format(printf, f, a)))
#define __aligned(n) __attribute__((aligned(n)))
#define __packed __attribute__((packed))
#define __cold __attribute__((cold))
#define __unused __attribute__((unused))

/*
 * Our own bug: print where, then registers and a backtrace, and stop the
 * machine. Never reached because of what a guest passed in.
 */
__noreturn __cold void panic(const char *fmt, ...) __printf(1, 2);

#define BUG() panic("BUG at %s:%d", __FILE__, __LINE__)
#define BUG_ON(c)                                              \
    do {                                                       \
        if (unlikely(c)) {                                     \
            panic("BUG at %s:%d: %s", __FILE__, __LINE__, #c); \
        }                                                      \
    } while (0)
/* A precondition that a reader would ask for. Compiled in: it costs little. */
#define ASSERT(c) BUG_ON(!(c))

/* string.c; memcpy, memset, memmove and memcmp are also what the compiler calls */
void *memcpy(void *dst, const void *src, size_t n);
void *memmove(void *dst, const void *src, size_t n);
void *memset(void *dst, int c, size_t n);
int memcmp(const void *a, const void *b, size_t n);
size_t strlen(const char *s);
size_t strnlen(const char *s, size_t max);
int strcmp(const char *a, const char *b);
int strncmp(const char *a, const char *b, size_t n);
char *strchr(const char *s, int c);

/*
 * Copy at most size - 1 bytes of src and terminate.
 * Returns strlen(src); a value >= size means the copy was cut.
 */
size_t str_copy(char *dst, const char *src, size_t size);

/*
 * printf.c: %d %i %u %x %X %o %c %s %p %% with flags "-0+ #", width and precision
 * (also '*'), length hh h l ll z t j. No floating point.
 * Return the length the whole text has, as C99 snprintf does.
 */
int fmt_vsnprintf(char *buf, size_t size, const char *fmt, va_list ap) __printf(3, 0);
int fmt_snprintf(char *buf, size_t size, const char *fmt, ...) __printf(3, 4);
