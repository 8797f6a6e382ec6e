/* SPDX-License-Identifier: MIT */
/* sources: lib/time_scale.c arch/x86/cpu/rtc.c */
/* Factors between clocks, and what the real-time clock's registers mean. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>
#include <cmocka.h>

#include <tarn/time.h>
#include <x86/tsc.h>

/* |scale - exact| in parts of 10^12. */
static u64 error_ppt(struct time_scale s, u64 from, u64 to)
{
    long double got = (long double)s.mul / 4294967296.0L;
    long double exact = (long double)to / (long double)from;
    long double error;

    for (int i = 0; i < s.shift; i++) {
        got *= 2;
    }
    for (int i = 0; i > s.shift; i--) {
        got /= 2;
    }
    error = (got - exact) / exact * 1e12L;
    return (u64)(error < 0 ? -error : error);
}

static void scale_is_exact_to_a_third_of_a_ppb(void **state)
{
    static const u64 hz[] = { 1,          2,          3,          1000,           32768,
                              1193182,    3579545,    14318180,   24000000,       999999999,
                              1000000000, 1000000001, 2394312000, 2147483648,     2500000000,
                              4294967295, 4294967296, 5700000001, (1UL << 40) - 1 };

    (void)state;
    for (u32 i = 0; i < ARRAY_SIZE(hz); i++) {
        for (u32 k = 0; k < ARRAY_SIZE(hz); k++) {
            struct time_scale s = time_scale_make(hz[i], hz[k]);

            assert_true(s.mul & 0x80000000);
            assert_true(error_ppt(s, hz[i], hz[k]) <= 233);
        }
    }
}

static void equal_rates_scale_one_to_one(void **state)
{
    struct time_scale s = time_scale_make(1000000000, 1000000000);

    (void)state;
    assert_int_equal(s.mul, 0x80000000);
    assert_int_equal(s.shift, 1);
    assert_int_equal(time_scale_apply(s, 0), 0);
    assert_int_equal(time_scale_apply(s, 1), 1);
    assert_int_equal(time_scale_apply(s, 123456789012345678UL), 123456789012345678UL);
}

static void random_rates_go_there_and_back(void **state)
{
    (void)state;
    srandom(7);
    for (int i = 0; i < 100000; i++) {
        u64 hz = 500000000UL + (u64)random() * 4;
        struct time_scale to_ns = time_scale_make(hz, 1000000000);
        struct time_scale to_ticks = time_scale_make(1000000000, hz);
        u64 ticks = (u64)random() * 1000;
        u64 ns = time_scale_apply(to_ns, ticks);
        u64 exact = (u64)((unsigned __int128)ticks * 1000000000 / hz);
        u64 back = time_scale_apply(to_ticks, ns);

        /* a third of a ppb each way, and one tick for each cut */
        assert_true(ns + exact / 3000000000UL + 2 >= exact &&
                    exact + exact / 3000000000UL + 2 >= ns);
        assert_true(back + ticks / 1000000000UL + 12 >= ticks &&
                    ticks + ticks / 1000000000UL + 12 >= back);
        assert_int_equal(error_ppt(to_ns, hz, 1000000000) / 233, 0);
    }
}

static void rates_that_make_no_sense_are_refused(void **state)
{
    (void)state;
    expect_assert_failure(time_scale_make(0, 1));
    expect_assert_failure(time_scale_make(1, 0));
    expect_assert_failure(time_scale_make(1UL << 40, 1));
    expect_assert_failure(time_scale_make(1, 1UL << 40));
}

static u8 bcd(int n)
{
    return (u8)(n / 10 * 16 + n % 10);
}

/* As a clock set to `when` shows it. */
static struct rtc_time show(time_t when, bool binary, bool h24)
{
    struct tm tm;
    struct rtc_time t = { .status_b = (u8)((binary ? 4 : 0) | (h24 ? 2 : 0)) };
    int hour;

    gmtime_r(&when, &tm);
    hour = h24 ? tm.tm_hour : (tm.tm_hour + 11) % 12 + 1;
#define FIELD(n) (binary ? (u8)(n) : bcd(n))
    t.second = FIELD(tm.tm_sec);
    t.minute = FIELD(tm.tm_min);
    t.hour = FIELD(hour);
    if (!h24 && tm.tm_hour >= 12) {
        t.hour |= 0x80;
    }
    t.day = FIELD(tm.tm_mday);
    t.month = FIELD(tm.tm_mon + 1);
    t.year = FIELD(tm.tm_year % 100);
    t.century = FIELD(19 + tm.tm_year / 100);
#undef FIELD
    return t;
}

static void all_forms_of_the_clock_are_read(void **state)
{
    (void)state;
    for (int form = 0; form < 4; form++) {
        for (time_t when = 0; when < 7258118400; when += 86400 * 3 + 3661) { /* to 2200 */
            struct rtc_time t = show(when, form & 1, form & 2);
            s64 seconds;

            assert_true(rtc_decode(&t, &seconds));
            assert_int_equal(seconds, when);
        }
    }
}

static void midnight_and_noon_in_12_hours(void **state)
{
    struct rtc_time t = show(1700000000 / 86400 * 86400, false, false);
    s64 seconds;

    (void)state;
    assert_int_equal(t.hour, 0x12);
    assert_true(rtc_decode(&t, &seconds));
    assert_int_equal(seconds % 86400, 0);
    t.hour = 0x92;
    assert_true(rtc_decode(&t, &seconds));
    assert_int_equal(seconds % 86400, 12 * 3600);
}

static void without_a_century_1970_is_the_first_year(void **state)
{
    struct rtc_time t = show(1700000000, false, true);
    s64 seconds;

    (void)state;
    t.century = 0;
    assert_true(rtc_decode(&t, &seconds));
    assert_int_equal(seconds, 1700000000);
    t.century = 0xff;
    assert_true(rtc_decode(&t, &seconds));
    assert_int_equal(seconds, 1700000000);
    t.year = 0x70;
    t.month = t.day = 1;
    t.hour = t.minute = t.second = 0;
    assert_true(rtc_decode(&t, &seconds));
    assert_int_equal(seconds, 0);
}

static void what_is_no_date_is_refused(void **state)
{
    const struct rtc_time good = show(1700000000, false, true);
    struct rtc_time bad[] = { good, good, good, good, good, good, good, good, good, good };
    s64 seconds;

    (void)state;
    bad[0].month = 0;
    bad[1].month = 0x13;
    bad[2].day = 0;
    bad[3].day = 0x32;
    bad[4].hour = 0x24;
    bad[5].minute = 0x60;
    bad[6].second = 0x61;
    bad[7].year = 0xaa;
    bad[8].month = 2; /* 2023 */
    bad[8].day = 0x29;
    bad[9].status_b = 0;
    bad[9].hour = 0x13;
    for (u32 i = 0; i < ARRAY_SIZE(bad); i++) {
        assert_false(rtc_decode(&bad[i], &seconds));
    }
    memset(&bad[0], 0xff, sizeof(bad[0]));
    assert_false(rtc_decode(&bad[0], &seconds));
    memset(&bad[0], 0, sizeof(bad[0]));
    assert_false(rtc_decode(&bad[0], &seconds));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(scale_is_exact_to_a_third_of_a_ppb),
        cmocka_unit_test(equal_rates_scale_one_to_one),
        cmocka_unit_test(random_rates_go_there_and_back),
        cmocka_unit_test(rates_that_make_no_sense_are_refused),
        cmocka_unit_test(all_forms_of_the_clock_are_read),
        cmocka_unit_test(midnight_and_noon_in_12_hours),
        cmocka_unit_test(without_a_century_1970_is_the_first_year),
        cmocka_unit_test(what_is_no_date_is_refused),
    };

    return cmocka_run_group_tests_name("time", tests, NULL, NULL);
}
