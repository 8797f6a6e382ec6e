/* SPDX-License-Identifier: MIT */
/* sources: guests/control/placement.c lib/cpulist.c lib/printf.c lib/str.c */
/* Lists of CPUs in libvirt's grammar, beside xl's: what both make of the same, printing, and random
 * lists against the most simple reader that there can be. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <tarn/cpulist.h>
#include <tarn/placement.h>

#include "cpulists.h"

#define ROUNDS 20000
#define UNTOUCHED 0xabcdUL

static const uint32_t nodes[8] = { 0, 1, 0, 1, 0, 1, 0, 1 };
static const struct cpu_host eight = { .nr_cpus = 8, .node = nodes };

static void judge(const char *grammar, const char *text, uint64_t want, const char *want_why,
                  uint64_t got, const char *why)
{
    if (!want_why != !why || (why && strcmp(why, want_why)) || (!why && got != want)) {
        fail_msg("%s: '%s': CPUs %#lx, %s; not %#lx, %s", grammar, text, (unsigned long)got, why,
                 (unsigned long)want, want_why);
    }
    if (why) {
        assert_int_equal(got, UNTOUCHED);
    }
}

static void test_table(void **state)
{
    (void)state;
    assert_true(ARRAY_SIZE(cpulist_rows) >= 200);
    for (size_t i = 0; i < ARRAY_SIZE(cpulist_rows); i++) {
        const struct cpulist_row *row = &cpulist_rows[i];
        struct cpumask virt = { { UNTOUCHED } }, xl = virt;
        const char *why = placement_list_parse(row->text, 8, &virt);

        judge("libvirt", row->text, row->virt.cpus, row->virt.why, virt.bits[0], why);
        why = cpulist_parse(row->text, &eight, &xl);
        judge("xl", row->text, row->xl.cpus, row->xl.why, xl.bits[0], why);
    }
}

/* What libvirt takes, xl means the same by, but for blanks inside of a range. */
static void test_grammars_agree(void **state)
{
    unsigned int both = 0;

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cpulist_rows); i++) {
        const struct cpulist_row *row = &cpulist_rows[i];

        if (!row->virt.why && !row->xl.why) {
            assert_int_equal(row->virt.cpus, row->xl.cpus);
            both++;
        }
    }
    assert_true(both > 60);
}

/* ---- round trip ---- */

static uint64_t seed = 1;

static uint32_t roll(uint32_t n)
{
    seed = seed * 6364136223846793005UL + 1442695040888963407UL;
    return (uint32_t)(seed >> 33) % n;
}

static void there_and_back(const struct cpumask *set)
{
    struct cpumask again;
    char text[1200], text2[1200];

    assert_true((size_t)placement_list_format(text, sizeof(text), set) < sizeof(text));
    assert_null(placement_list_parse(text, NR_CPUS, &again));
    assert_memory_equal(set, &again, sizeof(again));
    placement_list_format(text2, sizeof(text2), &again);
    assert_string_equal(text, text2);
}

static void test_round_trip(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cpulist_rows); i++) {
        struct cpumask set;

        if (!placement_list_parse(cpulist_rows[i].text, 8, &set)) {
            there_and_back(&set);
        }
    }
    for (int round = 0; round < 2000; round++) {
        struct cpumask set = { { 0 } };

        for (uint32_t n = roll(round & 1 ? 200 : 6) + 1, cpu = roll(NR_CPUS); n; n--) {
            cpumask_set(&set, cpu);
            cpu = roll(4) ? (cpu + 1) % NR_CPUS : roll(NR_CPUS);
        }
        there_and_back(&set);
    }
}

static void prints(uint64_t low, uint64_t high, const char *want)
{
    struct cpumask set = { { low, 0, 0, high } };
    char text[64];

    assert_int_equal(placement_list_format(text, sizeof(text), &set), strlen(want));
    assert_string_equal(text, want);
}

static void test_format(void **state)
{
    struct cpumask set = { { 0x2f } };
    char text[8];

    (void)state;
    prints(0, 0, "");
    prints(1, 0, "0");
    prints(3, 0, "0-1");
    prints(0x2f, 0, "0-3,5");
    prints(0xa9, 0, "0,3,5,7");
    prints(0xff, 0, "0-7"); /* not "all", which libvirt has not */
    prints(~0UL, 0, "0-63");
    prints(0, 3UL << 62, "254-255");
    memset(text, '#', sizeof(text));
    assert_int_equal(placement_list_format(text, 4, &set), 5);
    assert_memory_equal(text, "0-3\0####", 8);
    assert_int_equal(placement_list_format(NULL, 0, &set), 5);
}

static void test_limits(void **state)
{
    struct cpumask set = { { UNTOUCHED } };

    (void)state;
    assert_null(placement_list_parse("0-255", NR_CPUS, &set));
    assert_int_equal(cpumask_weight(&set), 256);
    assert_null(placement_list_parse("0-255", 100000, &set));
    assert_string_equal(placement_list_parse("256", 100000, &set),
                        "there is no CPU 256, the last is 255");
    assert_string_equal(placement_list_parse("1", 1, &set), "there is no CPU 1, the last is 0");
    assert_null(placement_list_parse("0", 1, &set));
    assert_int_equal(set.bits[0], 1);
}

/* ---- a naive reader ---- */

/* One item, blanks taken out before; false: it is none. */
static bool naive_item(const char *item, uint64_t *set)
{
    char *end;
    long first, last;
    bool away = *item == '^';

    item += away;
    if (*item < '0' || *item > '9') {
        return false;
    }
    first = last = strtol(item, &end, 10);
    if (*end == '-' && !away && end[1] >= '0' && end[1] <= '9') {
        last = strtol(end + 1, &end, 10);
    }
    if (*end || last < first || last > 7) {
        return false;
    }
    for (long cpu = first; cpu <= last; cpu++) {
        *set = away ? *set & ~(1UL << cpu) : *set | 1UL << cpu;
    }
    return true;
}

/* The CPUs, 0: refused. Without blanks in the text. */
static uint64_t naive(const char *text)
{
    char copy[128], *item = copy;
    uint64_t set = 0;

    strcpy(copy, text);
    for (;;) {
        char *comma = strchr(item, ',');

        if (comma) {
            *comma = '\0';
        }
        if (!naive_item(item, &set)) {
            return 0;
        }
        if (!comma) {
            return set;
        }
        item = comma + 1;
    }
}

static void add_item(char *text)
{
    char item[16];
    uint32_t first = roll(9);

    switch (roll(8)) {
    case 0:
    case 1:
        sprintf(item, "^%u", first);
        break;
    case 2:
        sprintf(item, "%u-%u", first, roll(8));
        break;
    case 3:
    case 4:
        sprintf(item, "%u-%u", first, first + roll(3));
        break;
    default:
        sprintf(item, "%u", first);
    }
    strcat(text, item);
}

static void make_list(char *text)
{
    *text = '\0';
    if (roll(4) == 0) { /* any characters of the grammar */
        for (uint32_t n = roll(10) + 1; n; n--) {
            strncat(text, &"0123456789,-^"[roll(13)], 1);
        }
        return;
    }
    for (uint32_t n = roll(6) + 1; n; n--) {
        add_item(text);
        if (n > 1) {
            strcat(text, ",");
        }
    }
}

/* Blanks around what stands alone: before and behind commas and dashes. */
static void spread(const char *text, char *to)
{
    static const char *const blanks[] = { "", " ", "\t", " \n " };

    *to = '\0';
    strcat(to, blanks[roll(4)]);
    for (; *text; text++) {
        bool apart = *text == ',' || *text == '-';

        strcat(to, apart ? blanks[roll(4)] : "");
        strncat(to, text, 1);
        strcat(to, apart ? blanks[roll(4)] : "");
    }
    strcat(to, blanks[roll(4)]);
}

static void test_random(void **state)
{
    unsigned int taken = 0, refused = 0;

    (void)state;
    for (int round = 0; round < ROUNDS; round++) {
        char text[128], wide[512];
        struct cpumask set = { { 0 } };
        uint64_t want;

        make_list(text);
        want = naive(text);
        spread(text, wide);
        for (int i = 0; i < 2; i++) {
            const char *list = i ? wide : text;
            const char *why = placement_list_parse(list, 8, &set);

            if (!why != !!want || (want && set.bits[0] != want)) {
                fail_msg("'%s': %s, CPUs %#lx, not %#lx", list, why, (unsigned long)set.bits[0],
                         (unsigned long)want);
            }
        }
        taken += !!want;
        refused += !want;
    }
    assert_true(taken > ROUNDS / 5 && refused > ROUNDS / 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table),  cmocka_unit_test(test_grammars_agree),
        cmocka_unit_test(test_format), cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_limits), cmocka_unit_test(test_random),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
