/* SPDX-License-Identifier: MIT */
/* sources: guests/control/limits.c guests/control/numa.c lib/printf.c lib/str.c */
/* The control domain's checks of scheduler parameters, and where on several nodes a domain goes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "../../guests/control/limits.h"
#include "../../guests/control/numa.h"

#define MS 1000000UL

static void test_credit(void **state)
{
    (void)state;
    assert_null(credit_wrong(1, 0, 0));
    assert_null(credit_wrong(1, 1000, 100000));
    assert_null(credit_wrong(1000, 500000, 0));
    assert_null(credit_wrong(1, 100, 0));
    assert_string_equal(credit_wrong(0, 0, 0), "tslice 0 ms: it is 1 to 1000 ms");
    assert_string_equal(credit_wrong(1001, 0, 0), "tslice 1001 ms: it is 1 to 1000 ms");
    assert_string_equal(credit_wrong(30, 99, 0), "ratelimit 99 us: it is 0, or 100 to 500000 us");
    assert_string_equal(credit_wrong(1000, 500001, 0),
                        "ratelimit 500001 us: it is 0, or 100 to 500000 us");
    assert_string_equal(credit_wrong(1, 1001, 0), "ratelimit 1001 us is over the tslice 1 ms");
    assert_string_equal(credit_wrong(1, 0, 100001),
                        "migration delay 100001 us: it is at most 100000 us");
}

static void test_reservation(void **state)
{
    (void)state;
    assert_null(reservation_wrong(10000, 10000, 10000, "budget"));
    assert_null(reservation_wrong(10000 * MS, 5000, 5000, "slice"));
    assert_string_equal(reservation_wrong(9999, 9999, 5000, "budget"),
                        "period 9999 ns is under 10 us");
    assert_string_equal(reservation_wrong(10001 * MS, MS, 5000, "budget"),
                        "period 10001 ms is over 10 s");
    assert_string_equal(reservation_wrong(10 * MS, 11 * MS, 5000, "budget"),
                        "budget 11 ms is over the period 10 ms");
    assert_string_equal(reservation_wrong(10 * MS, 4000, 5000, "slice"),
                        "slice 4 us is under 5 us");
    assert_string_equal(reservation_wrong(0, 0, 5000, "slice"), "period 0 ms is under 10 us");
}

static void test_ms(void **state)
{
    static const char *const bad[] = { "",          ".",       "1.2.3",
                                       "-1",        "1 ",      "x",
                                       "1.0000001", "3600001", "99999999999999999999999999",
                                       "1e3" };
    uint64_t ns;

    (void)state;
    assert_true(ms_parse("20", &ns));
    assert_int_equal(ns, 20 * MS);
    assert_true(ms_parse("0.5", &ns));
    assert_int_equal(ns, MS / 2);
    assert_true(ms_parse("1.000001", &ns));
    assert_int_equal(ns, MS + 1);
    assert_true(ms_parse(".25", &ns));
    assert_int_equal(ns, MS / 4);
    assert_true(ms_parse("3600000", &ns));
    assert_int_equal(ns, 3600000 * MS);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_false(ms_parse(bad[i], &ns));
    }
}

static void test_times(void **state)
{
    char buf[TIME_SIZE];

    (void)state;
    assert_string_equal(time_format(buf, 2000 * MS), "2 s");
    assert_string_equal(time_format(buf, 1500 * MS), "1500 ms");
    assert_string_equal(time_format(buf, MS / 4), "250 us");
    assert_string_equal(time_format(buf, 7), "7 ns");
    assert_string_equal(time_format(buf, 0), "0 ms");
}

/* ---- nodes ---- */

static void test_fewest_nodes(void **state)
{
    static const struct numa_node two[] = { { 1000, 4, 9 }, { 1000, 4, 0 } };

    (void)state;
    assert_int_equal(numa_place(two, 2, 500, 2), 2); /* the one with fewer vcpus */
    assert_int_equal(numa_place(two, 2, 500, 4), 2);
    assert_int_equal(numa_place(two, 2, 500, 5), 3);  /* more vcpus than a node has CPUs */
    assert_int_equal(numa_place(two, 2, 1001, 1), 3); /* more memory than a node has */
    assert_int_equal(numa_place(two, 2, 2001, 1), 0);
    assert_int_equal(numa_place(two, 2, 100, 9), 0);
}

static void test_vcpus_then_memory(void **state)
{
    static const struct numa_node four[] = {
        { 500, 2, 3 }, { 800, 2, 2 }, { 900, 2, 2 }, { 2000, 0, 0 }
    };

    (void)state;
    assert_int_equal(numa_place(four, 4, 100, 1), 1 << 2); /* of equal vcpus the freest */
    assert_int_equal(numa_place(four, 4, 100, 2), 1 << 2);
    /* two CPU nodes, or one and the one that has only memory */
    assert_int_equal(numa_place(four, 4, 1600, 2), 1 << 2 | 1 << 3);
    assert_int_equal(numa_place(four, 4, 100, 3), 1 << 1 | 1 << 2);
    assert_int_equal(numa_place(four, 4, 100, 6), 7);
}

/* As guests come, two nodes fill alike. */
static void test_even(void **state)
{
    struct numa_node two[] = { { 1000, 2, 1 }, { 900, 2, 1 } };

    (void)state;
    for (unsigned int i = 0; i < 4; i++) {
        uint32_t set = numa_place(two, 2, 10, 2);

        assert_int_equal(set, i % 2 ? 2 : 1);
        two[set - 1].vcpus += 2;
        two[set - 1].free_kb -= 10;
    }
}

static void test_too_many(void **state)
{
    static struct numa_node nodes[17];

    (void)state;
    for (size_t i = 0; i < 17; i++) {
        nodes[i] = (struct numa_node){ 100, 1, 0 };
    }
    assert_int_equal(numa_place(nodes, 17, 10, 1), 0);
    assert_int_equal(numa_place(nodes, 16, 10, 1), 1);
    assert_int_equal(numa_place(nodes, 16, 1600, 16), 0xffff);
    assert_int_equal(numa_place(nodes, 0, 10, 1), 0);
}

/* What decided is told, and by the words. */
static void why(struct numa_choice c, uint32_t nodes, enum numa_reason reason, const char *words)
{
    char text[NUMA_WORDS];

    numa_choose(&c);
    assert_int_equal(c.nodes, nodes);
    assert_int_equal(c.reason, reason);
    numa_words(&c, text);
    assert_string_equal(text, words);
}

static void test_reasons(void **state)
{
    struct numa_choice c = { .n = 3, .memory_kb = 500, .vcpus = 2 };

    (void)state;
    c.node[0] = (struct numa_node){ 1000, 2, 3 };
    c.node[1] = (struct numa_node){ 1000, 2, 2 };
    c.node[2] = (struct numa_node){ 400, 4, 0 };
    why(c, 2, NUMA_VCPUS, "of the 2 memory nodes that have room for it, it has the fewest vcpus");
    c.node[0].vcpus = 2;
    why(c, 1, NUMA_FIRST,
        "of the 2 memory nodes that have room for it, it has the lowest number, all else being "
        "equal");
    c.node[1].free_kb = 1001;
    why(c, 2, NUMA_MEMORY,
        "of the 2 memory nodes that have room for it, it has the most free memory, vcpus being "
        "equal");
    c.node[0].cpus = 1;
    why(c, 2, NUMA_ONLY_ONE, "the only memory node that has room for it");
    c.memory_kb = 1100;
    why(c, 6, NUMA_MEMORY,
        "of 3 sets of 2 memory nodes with room, it has the most free memory, vcpus being equal");
    c.vcpus = 6;
    why(c, 6, NUMA_ONLY_ONE, "no other 2 memory nodes, and no fewer, have room for it");
    c.vcpus = 7;
    why(c, 7, NUMA_ONLY_ONE, "it needs all 3 memory nodes");
    c.vcpus = 8;
    why(c, 0, NUMA_NO_ROOM, "no set of memory nodes has room for it");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_credit),       cmocka_unit_test(test_reservation),
        cmocka_unit_test(test_ms),           cmocka_unit_test(test_times),
        cmocka_unit_test(test_fewest_nodes), cmocka_unit_test(test_vcpus_then_memory),
        cmocka_unit_test(test_even),         cmocka_unit_test(test_too_many),
        cmocka_unit_test(test_reasons),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
