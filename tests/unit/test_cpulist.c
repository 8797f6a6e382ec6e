/* SPDX-License-Identifier: MIT */
/* sources: lib/cpulist.c lib/printf.c lib/str.c */
/* Lists of CPUs as xl takes them: what they name, what they refuse and how, and how they print. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <tarn/cpulist.h>

/* Two nodes of four CPUs, in turns. */
static const uint32_t nodes[8] = { 0, 1, 0, 1, 0, 1, 0, 1 };
static const struct cpu_host eight = { .nr_cpus = 8, .node = nodes };
static const struct cpu_host flat = { .nr_cpus = 4 };
static const struct cpu_host large = { .nr_cpus = NR_CPUS };

static void names(const struct cpu_host *host, const char *text, uint64_t cpus)
{
    struct cpumask map;
    const char *why = cpulist_parse(text, host, &map);

    if (why) {
        fail_msg("'%s': %s", text, why);
    }
    assert_int_equal(map.bits[0], cpus);
}

static void refused(const struct cpu_host *host, const char *text, const char *why)
{
    struct cpumask map;
    const char *got = cpulist_parse(text, host, &map);

    assert_non_null(got);
    assert_string_equal(got, why);
}

static void test_cpus(void **state)
{
    (void)state;
    names(&eight, "0", 0x01);
    names(&eight, "7", 0x80);
    names(&eight, "0-3", 0x0f);
    names(&eight, "0-3,5", 0x2f);
    names(&eight, "5,0-3", 0x2f);
    names(&eight, "2-2", 0x04);
    names(&eight, "all", 0xff);
    names(&eight, "0,0,0", 0x01);
    names(&eight, "007", 0x80);
}

static void test_taking_away(void **state)
{
    (void)state;
    names(&eight, "0-3,^1", 0x0d);
    names(&eight, "0-3,5,^1", 0x2d);
    names(&eight, "all,^0-6", 0x80);
    names(&eight, "^1,0-3", 0x0f); /* from left to right */
    names(&eight, "0-3,^1,1", 0x0f);
    names(&eight, "^all,3", 0x08);
    names(&eight, "3,^4", 0x08);
}

static void test_nodes(void **state)
{
    (void)state;
    names(&eight, "node:0", 0x55);
    names(&eight, "nodes:1", 0xaa);
    names(&eight, "nodes:0-1", 0xff);
    names(&eight, "node:all", 0xff);
    names(&eight, "nodes:0-1,^nodes:1", 0x55);
    names(&eight, "all,^node:0,0", 0xab);
    names(&eight, "node:1,^7,2", 0x2e);
}

static void test_blanks(void **state)
{
    (void)state;
    names(&eight, " 0-3 , 5 ", 0x2f);
    names(&eight, "\t1,\t^0,2", 0x06);
    names(&eight, "\t0\n,\r1 ", 0x03);
    names(&eight, "1,,2,", 0x06);
}

static void test_refused(void **state)
{
    (void)state;
    refused(&eight, "", "it names no CPU");
    refused(&eight, " , ", "it names no CPU");
    refused(&eight, "^1", "it names no CPU");
    refused(&eight, "all,^all", "it names no CPU");
    refused(&eight, "x", "'x' is no CPU, range or node");
    refused(&eight, "1x", "'1x' is no CPU, range or node");
    refused(&eight, "1 2", "'1 2' is no CPU, range or node");
    refused(&eight, "-1", "'-1' is no CPU, range or node");
    refused(&eight, "1-", "'1-' is no CPU, range or node");
    refused(&eight, "1-2-3", "'1-2-3' is no CPU, range or node");
    refused(&eight, "^", "'^' is no CPU, range or node");
    refused(&eight, "^^1", "'^^1' is no CPU, range or node");
    refused(&eight, "node:", "'node:' is no CPU, range or node");
    refused(&eight, "node:x", "'node:x' is no CPU, range or node");
    refused(&eight, "alles", "'alles' is no CPU, range or node");
    refused(&eight, "0x1", "'0x1' is no CPU, range or node");
    refused(&eight, "3-1", "range '3-1' runs backwards");
    refused(&eight, "8", "there is no CPU 8, the last is 7");
    refused(&eight, "0-8", "there is no CPU 8, the last is 7");
    refused(&eight, "0,^9", "there is no CPU 9, the last is 7");
    refused(&eight, "node:2", "there is no node 2, the last is 1");
    refused(&flat, "4", "there is no CPU 4, the last is 3");
    refused(&flat, "node:0", "nodes can't be named here");
    refused(&eight, "4294967296", "'4294967296' is no CPU, range or node");
    refused(&eight, "18446744073709551617", "'18446744073709551617' is no CPU, range or node");
    refused(&eight, "0,1111111111111111111111111111111111111111",
            "a part is too long to be a CPU, range or node");
}

static void prints(const char *list, unsigned int nr_cpus, const char *want)
{
    struct cpumask map;
    char buf[64];

    assert_null(cpulist_parse(list, &large, &map));
    assert_int_equal(cpulist_format(buf, sizeof(buf), &map, nr_cpus), strlen(want));
    assert_string_equal(buf, want);
}

static void test_format(void **state)
{
    (void)state;
    prints("0", 8, "0");
    prints("0-3,5", 8, "0-3,5");
    prints("0,1", 8, "0-1");
    prints("7,5,3", 8, "3,5,7");
    prints("0-7", 8, "all");
    prints("0-7", 9, "0-7");
    prints("all", 8, "all");
    prints("255", 256, "255");
    prints("62-65,254-255", 256, "62-65,254-255");
    prints("1-255", 256, "1-255");
}

static void test_format_edges(void **state)
{
    struct cpumask map = { { 0 } };
    char buf[6] = "?????";

    (void)state;
    assert_int_equal(cpulist_format(buf, sizeof(buf), &map, 8), 4);
    assert_string_equal(buf, "none");
    map.bits[0] = 0x2f;
    assert_int_equal(cpulist_format(buf, 4, &map, 8), 5);
    assert_string_equal(buf, "0-3");
    assert_int_equal(cpulist_format(NULL, 0, &map, 8), 5);
}

static void test_limits(void **state)
{
    const struct cpu_host none = { .nr_cpus = 0 }, one = { .nr_cpus = 1 };
    struct cpumask m = { { 0xabc } };

    (void)state;
    assert_non_null(cpulist_parse("0", &none, &m));
    assert_non_null(cpulist_parse("all", &none, &m));
    assert_non_null(cpulist_parse("256", &large, &m));
    assert_int_equal(m.bits[0], 0xabc); /* untouched */
    assert_null(cpulist_parse("0", &one, &m));
    assert_null(cpulist_parse("all", &large, &m));
    assert_int_equal(cpumask_weight(&m), NR_CPUS);
    assert_null(cpulist_parse("255", &large, &m));
    assert_true(cpumask_test(&m, 255) && cpumask_weight(&m) == 1);
}

static void test_format_cuts(void **state)
{
    struct cpumask m;
    char buf[16];

    (void)state;
    assert_null(cpulist_parse("0-3,5,10-200", &large, &m)); /* 12 characters */
    for (size_t size = 0; size <= 14; size++) {
        memset(buf, '#', sizeof(buf));
        assert_int_equal(cpulist_format(buf, size, &m, 256), 12);
        for (size_t i = size; i < sizeof(buf); i++) {
            assert_int_equal(buf[i], '#');
        }
        if (size) {
            assert_int_equal(strlen(buf), MIN(size - 1, (size_t)12));
            assert_memory_equal(buf, "0-3,5,10-200", strlen(buf));
        }
    }
}

static void test_round_trip(void **state)
{
    u64 seed = 1;

    (void)state;
    for (u32 round = 0; round < 2000; round++) {
        struct cpumask a, b;
        char buf[1024];

        for (u32 i = 0; i < CPUMASK_WORDS; i++) {
            seed = seed * 6364136223846793005UL + 1442695040888963407UL;
            a.bits[i] = (seed >> 16) | (round & 1 ? seed << 20 : 0);
        }
        a.bits[0] |= 2;
        assert_true((size_t)cpulist_format(buf, sizeof(buf), &a, 256) < sizeof(buf));
        assert_null(cpulist_parse(buf, &large, &b));
        assert_memory_equal(&a, &b, sizeof(a));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cpus),         cmocka_unit_test(test_taking_away),
        cmocka_unit_test(test_nodes),        cmocka_unit_test(test_blanks),
        cmocka_unit_test(test_refused),      cmocka_unit_test(test_format),
        cmocka_unit_test(test_format_edges), cmocka_unit_test(test_limits),
        cmocka_unit_test(test_format_cuts),  cmocka_unit_test(test_round_trip),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
