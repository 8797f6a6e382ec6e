/* SPDX-License-Identifier: MIT */
/* sources: lib/printf.c */
/* Formatted text against the C library's, over all flags, widths, precisions, lengths and values.
 */
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <tarn/lib.h>

/* Called through pointers, since a compiler that checks formats refuses what is tried here. */
static int (*volatile ours)(char *buf, size_t size, const char *fmt, ...) = fmt_snprintf;
static int (*volatile theirs)(char *buf, size_t size, const char *fmt, ...) = snprintf;

#define SAME(...)                                                 \
    do {                                                          \
        char got[600], want[600];                                 \
        int n = theirs(want, sizeof(want), __VA_ARGS__);          \
                                                                  \
        assert_int_equal(ours(got, sizeof(got), __VA_ARGS__), n); \
        assert_string_equal(got, want);                           \
    } while (0)

#define GIVES(text, ...)                                                     \
    do {                                                                     \
        char got[600];                                                       \
                                                                             \
        assert_int_equal(ours(got, sizeof(got), __VA_ARGS__), strlen(text)); \
        assert_string_equal(got, text);                                      \
    } while (0)

static const char *const widths[] = { "", "1", "5", "24" };
static const char *const precisions[] = { "", ".", ".0", ".1", ".7", ".23" };

/* "%", a subset of the flags, width, precision and the rest. */
static void make_format(char *fmt, size_t size, u32 flags, const char *width, const char *precision,
                        const char *rest)
{
    static const char all[] = "-0+ #";
    char set[sizeof(all)];
    u32 n = 0;

    for (u32 i = 0; i < sizeof(all) - 1; i++) {
        if (flags >> i & 1) {
            set[n++] = all[i];
        }
    }
    set[n] = '\0';
    snprintf(fmt, size, "<%%%s%s%s%s>", set, width, precision, rest);
}

static void try_value(const char *fmt, bool wide, u64 v)
{
    if (wide) {
        SAME(fmt, v);
    } else {
        SAME(fmt, (u32)v);
    }
}

static void all_numbers(const char *rest, bool wide)
{
    static const u64 values[] = {
        0,     1,     9,       10,         127,      128,  255,       32767,
        32768, 65536, INT_MAX, 0x80000000, UINT_MAX, ~0UL, 1UL << 63, 0x123456789abcdef,
    };
    char fmt[64];

    for (u32 flags = 0; flags < 32; flags++) {
        for (u32 w = 0; w < ARRAY_SIZE(widths); w++) {
            for (u32 p = 0; p < ARRAY_SIZE(precisions); p++) {
                make_format(fmt, sizeof(fmt), flags, widths[w], precisions[p], rest);
                for (u32 i = 0; i < ARRAY_SIZE(values); i++) {
                    try_value(fmt, wide, values[i]);
                }
            }
        }
    }
}

static void test_numbers(void **state)
{
    static const char *const lengths[] = { "", "h", "hh", "l", "ll", "z", "t", "j" };
    char rest[8];

    (void)state;
    for (u32 l = 0; l < ARRAY_SIZE(lengths); l++) {
        for (const char *conv = "diuxXo"; *conv; conv++) {
            snprintf(rest, sizeof(rest), "%s%c", lengths[l], *conv);
            all_numbers(rest, l >= 3);
        }
    }
}

static void test_strings(void **state)
{
    static const char *const texts[] = { "", "x", "some text",
                                         "a text that is rather long for it" };
    char fmt[64];

    (void)state;
    for (u32 left = 0; left < 2; left++) {
        for (u32 w = 0; w < ARRAY_SIZE(widths); w++) {
            for (u32 p = 0; p < ARRAY_SIZE(precisions); p++) {
                make_format(fmt, sizeof(fmt), left, widths[w], precisions[p], "s");
                for (u32 i = 0; i < ARRAY_SIZE(texts); i++) {
                    SAME(fmt, texts[i]);
                }
            }
            make_format(fmt, sizeof(fmt), left, widths[w], "", "c");
            SAME(fmt, 'q');
        }
    }
    GIVES("(null)|(nu", "%s|%.3s", (char *)NULL, (char *)NULL);
}

/* Text without an end is fine when the precision limits it. */
static void test_unterminated(void **state)
{
    char *text = malloc(5);

    (void)state;
    assert_non_null(text);
    memcpy(text, "abcde", 5);
    GIVES("abcde", "%.5s", text);
    GIVES("abc", "%.*s", 3, text);
    GIVES("", "%.0s", text);
    free(text);
}

static void test_stars(void **state)
{
    (void)state;
    SAME("%*d|%-*d|%0*d", 7, 42, 7, 42, 7, 42);
    SAME("%*d|%.*d|%*.*d", -7, 42, 4, 42, 9, 3, 42);
    SAME("%.*d|%.*s", -1, 42, -5, "whole");
    SAME("%*s|%-*s|%*.*s", 6, "abc", 6, "abc", -8, 2, "abc");
}

static void test_pointers(void **state)
{
    (void)state;
    SAME("%p %20p %-20p|", (void *)0xdeadbeef, (void *)0x1000, (void *)0xffff800000000000);
    GIVES("0x0", "%p", NULL);
}

static void test_mixed(void **state)
{
    (void)state;
    SAME("cpu %u: socket %u core %u thread %u apic %u", 5, 1, 0, 1, 5);
    SAME("100%% %c%c %s=%#lx %lld%s", 'o', 'k', "addr", 0xffff82d000000000UL, -1LL, "");
    SAME("%d %ld %d %lu %d %d %d %d %d", 1, 2L, 3, 4UL, 5, 6, 7, 8, 9);
    SAME("no conversion");
    SAME("%s", "");
}

/* What is not known comes out as it stands, and nothing is read for it. */
static void test_unknown(void **state)
{
    (void)state;
    GIVES("%q 7", "%q %d", 7);
    GIVES("%-5.3lq", "%-5.3lq");
    GIVES("end %", "end %");
    GIVES("end %-08", "end %-08");
    GIVES("end %l", "end %l");
    GIVES("%n7", "%n%d", 7);
}

static void test_sizes(void **state)
{
    char buf[16];

    (void)state;
    assert_int_equal(ours(NULL, 0, "%s %d", "length", 12), 9);
    for (size_t size = 0; size <= sizeof(buf); size++) {
        memset(buf, '#', sizeof(buf));
        assert_int_equal(ours(buf, size, "%s-%d", "value", 12345), 11);
        if (size) {
            assert_int_equal(strlen(buf), MIN(size - 1, 11UL));
            assert_memory_equal(buf, "value-12345", MIN(size - 1, 11UL));
        }
        for (size_t i = MIN(size, 12UL); i < sizeof(buf); i++) {
            assert_int_equal(buf[i], '#');
        }
    }
    memset(buf, '#', sizeof(buf));
    assert_int_equal(ours(buf, sizeof(buf), "%*d", 90000, 1), 90000);
    assert_int_equal(strlen(buf), sizeof(buf) - 1);
    assert_int_equal(ours(buf, 1, "%99999999999999999999d", 1), 99999);
    assert_int_equal(ours(buf, 1, "%*d", INT_MIN, 1), 99999);
}

/* The caller's list of arguments is still his. */
static int twice(char *a, char *b, size_t size, const char *fmt, ...)
{
    va_list ap;
    int n;

    va_start(ap, fmt);
    n = fmt_vsnprintf(a, size, fmt, ap);
    assert_int_equal(fmt_vsnprintf(b, size, fmt, ap), n);
    va_end(ap);
    return n;
}

static void test_va_list(void **state)
{
    char a[64], b[64];

    (void)state;
    assert_int_equal(twice(a, b, sizeof(a), "%d %s %lx", 1, "two", 3UL), 7);
    assert_string_equal(a, "1 two 3");
    assert_string_equal(a, b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_numbers),      cmocka_unit_test(test_strings),
        cmocka_unit_test(test_unterminated), cmocka_unit_test(test_stars),
        cmocka_unit_test(test_pointers),     cmocka_unit_test(test_mixed),
        cmocka_unit_test(test_unknown),      cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_va_list),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
