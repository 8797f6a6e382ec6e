/* SPDX-License-Identifier: MIT */
/* sources: lib/number.c */
/* Numbers and sizes as people write them, and what is none. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <tarn/lib.h>
#include <tarn/number.h>

static void numbers(void **state)
{
    u64 v;

    (void)state;
    assert_true(uint_parse("0", &v) && v == 0);
    assert_true(uint_parse("010", &v) && v == 10);
    assert_true(uint_parse("0xfF", &v) && v == 255);
    assert_true(uint_parse("18446744073709551615", &v) && v == ~0UL);
    assert_true(uint_parse("0xffffffffffffffff", &v) && v == ~0UL);
    assert_true(uint_parse_clamped("18446744073709551616", &v) && v == ~0UL);
    assert_true(uint_parse_clamped("0x10000000000000000000001", &v) && v == ~0UL);
    assert_true(uint_parse_clamped("7", &v) && v == 7);
}

static void no_numbers(void **state)
{
    static const char *const bad[] = { "",   " 1", "1 ", "-1", "+1", "1.5",
                                       "0x", "x1", "a",  "1a", "1k", "0x1g" };
    u64 v;

    (void)state;
    for (u32 i = 0; i < ARRAY_SIZE(bad); i++) {
        assert_false(uint_parse(bad[i], &v));
        assert_false(uint_parse_clamped(bad[i], &v));
    }
    assert_false(uint_parse("18446744073709551616", &v));
    assert_false(uint_parse("0x10000000000000000", &v));
    assert_false(uint_parse("99999999999999999999999", &v));
}

static void sizes(void **state)
{
    static const struct {
        const char *text;
        u64 size;
    } good[] = {
        { "0", 0 },
        { "1", 1024 },
        { "512M", 512UL << 20 },
        { "512m", 512UL << 20 },
        { "1G", 1UL << 30 },
        { "64K", 65536 },
        { "4096B", 4096 },
        { "3b", 3 },
        { "2t", 2UL << 40 },
        { "0x10K", 16UL << 10 },
        { "00001k", 1024 },
        { "16777215T", 0xffffffUL << 40 },
        { "0x10b", 0x10b * 1024UL }, /* b is a hexadecimal digit first */
    };
    u64 v;

    (void)state;
    for (u32 i = 0; i < ARRAY_SIZE(good); i++) {
        assert_true(size_parse(good[i].text, 1024, &v));
        assert_int_equal(v, good[i].size);
    }
}

static void no_sizes(void **state)
{
    static const char *const bad[] = { "",    "k",  "1kb",       "1 k",
                                       "-1M", "1P", "16777216T", "18446744073709551616b",
                                       "0x" };
    u64 v;

    (void)state;
    for (u32 i = 0; i < ARRAY_SIZE(bad); i++) {
        assert_false(size_parse(bad[i], 1024, &v));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers),
        cmocka_unit_test(no_numbers),
        cmocka_unit_test(sizes),
        cmocka_unit_test(no_sizes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
