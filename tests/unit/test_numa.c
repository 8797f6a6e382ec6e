/* sources: lib/numa.c lib/str.c */
/* SPDX-License-Identifier: MIT */
/* Nodes from what the firmware says: numbers, ranges, distances, and what makes it void. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <tarn/numa.h>

#define RAM (64UL << 30)
#define MB (1UL << 20)

static struct numa_firmware fw;
static struct topology t;
static struct numa n;
static char reported[160];
static u32 nr_reported;

static void report(const char *text)
{
    str_copy(reported, text, sizeof(reported));
    nr_reported++;
}

/* CPUs with APIC ids 0, 2, 4, ... */
static void machine(u32 cpus)
{
    memset(&fw, 0, sizeof(fw));
    memset(&t, 0, sizeof(t));
    t.nr_cpus = cpus;
    for (u32 i = 0; i < cpus; i++) {
        t.cpu[i].apic_id = 2 * i;
        t.cpu[i].node = 0xaaaa;
    }
}

static void cpu(u32 apic_id, u32 node)
{
    fw.cpu[fw.nr_cpus++] = (struct numa_cpu){ apic_id, node };
}

static void memory(u64 start, u64 end, u32 node)
{
    fw.range[fw.nr_ranges++] = (struct numa_range){ start, end, node };
}

static void build(void)
{
    nr_reported = 0;
    memset(&n, 0xa5, sizeof(n));
    numa_build(&fw, RAM, &t, &n, report);
}

static void assert_one_node(void)
{
    u64 bytes[NR_NODES] = { 0 };

    assert_int_equal(n.nr_nodes, 1);
    assert_int_equal(n.nr_ranges, 0);
    assert_int_equal(n.distance[0][0], 10);
    for (u32 i = 0; i < t.nr_cpus; i++) {
        assert_int_equal(t.cpu[i].node, 0);
    }
    numa_count(&n, 5, 105, bytes);
    assert_int_equal(bytes[0], 100);
}

static void nothing_told(void **state)
{
    (void)state;
    machine(3);
    build();
    assert_int_equal(nr_reported, 0);
    assert_one_node();
    cpu(0, 7); /* all in one: the same */
    cpu(2, 7);
    cpu(4, 7);
    memory(0, RAM, 7);
    build();
    assert_int_equal(nr_reported, 0);
    assert_one_node();
}

/* Numbers have no gaps, in the order of the firmware's. */
static void numbers(void **state)
{
    (void)state;
    machine(4);
    cpu(6, 9);
    cpu(4, 0xffffffff);
    cpu(2, 4);
    cpu(0, 9);
    cpu(99, 5); /* not there */
    memory(0, MB, 4);
    memory(MB, 2 * MB, 6);    /* without CPUs */
    memory(RAM, RAM + MB, 8); /* to be plugged in */
    build();
    assert_int_equal(nr_reported, 0);
    assert_int_equal(n.nr_nodes, 4);
    assert_int_equal(t.cpu[0].node, 2);
    assert_int_equal(t.cpu[1].node, 0);
    assert_int_equal(t.cpu[2].node, 3);
    assert_int_equal(t.cpu[3].node, 2);
    assert_int_equal(n.nr_ranges, 2);
    assert_int_equal(n.range[1].node, 1);
}

static void counting(void **state)
{
    u64 bytes[NR_NODES] = { 0 };

    (void)state;
    machine(1);
    cpu(0, 0);
    memory(0, 100, 0);
    memory(200, 300, 1);
    memory(300, 400, 0);
    memory(400, ~0UL, 2);
    build();
    assert_int_equal(n.range[3].end, RAM); /* cut */
    numa_count(&n, 50, 450, bytes);
    assert_int_equal(bytes[0], 50 + 100 + 100); /* and what is nobody's */
    assert_int_equal(bytes[1], 100);
    assert_int_equal(bytes[2], 50);
    numa_count(&n, 250, 260, bytes);
    assert_int_equal(bytes[1], 110);
    assert_int_equal(bytes[0], 250);
}

static void two_nodes(void)
{
    machine(2);
    cpu(0, 1);
    cpu(2, 3);
}

static void distances(void **state)
{
    static const u8 told[] = { 10, 11, 12, 13, 14, 10, 16, 17, 18, 19, 10, 21, 22, 255, 24, 10 };

    (void)state;
    two_nodes();
    build();
    assert_int_equal(n.distance[0][1], 20);
    assert_int_equal(n.distance[1][1], 10);
    fw.nr_localities = 4;
    memcpy(fw.distance, told, sizeof(told));
    build();
    assert_int_equal(nr_reported, 0);
    assert_int_equal(n.distance[0][0], 10);
    assert_int_equal(n.distance[0][1], 17);
    assert_int_equal(n.distance[1][0], 255);
}

static void nonsense_distances(void **state)
{
    (void)state;
    for (u32 row = 0; row < 3; row++) {
        two_nodes();
        fw.nr_localities = row == 2 ? 3 : 4; /* doesn't reach node 3 */
        memset(fw.distance, 20, sizeof(fw.distance));
        fw.distance[5] = 10;
        fw.distance[15] = row == 0 ? 11 : 10;
        fw.distance[7] = row == 1 ? 10 : 20;
        build();
        assert_int_equal(nr_reported, 1);
        assert_string_equal(reported, "NUMA: the distances between nodes make no sense: not used");
        assert_int_equal(n.nr_nodes, 2);
        assert_int_equal(n.distance[0][0], 10);
        assert_int_equal(n.distance[1][0], 20);
    }
}

static void overlaps(void **state)
{
    static const u64 ends[] = { 101, 1000, 150 };

    (void)state;
    for (u32 i = 0; i < ARRAY_SIZE(ends); i++) {
        two_nodes();
        memory(100, 200, 1);
        memory(i == 2 ? 120 : 50, ends[i], 3);
        build();
        assert_int_equal(nr_reported, 1);
        assert_string_equal(reported, "NUMA: ranges of memory overlap: one node is assumed");
        assert_one_node();
    }
    two_nodes();
    memory(100, 200, 1);
    memory(200, 300, 3);
    memory(50, 100, 3);
    build();
    assert_int_equal(nr_reported, 0);
}

static void too_many(void **state)
{
    (void)state;
    machine(NR_NODES + 1);
    for (u32 i = 0; i < NR_NODES; i++) {
        cpu(2 * i, 1000 - i);
    }
    cpu(2 * NR_NODES, 1000);
    build();
    assert_int_equal(nr_reported, 0);
    assert_int_equal(n.nr_nodes, NR_NODES);
    assert_int_equal(t.cpu[0].node, NR_NODES - 1);
    fw.cpu[NR_NODES].node = 7;
    build();
    assert_int_equal(nr_reported, 1);
    assert_string_equal(reported, "NUMA: there are more than 64 nodes: one is assumed");
    assert_one_node();
}

static void cpu_nowhere(void **state)
{
    (void)state;
    machine(3);
    cpu(2, 0);
    cpu(4, 1);
    cpu(4, 0); /* said twice: the first counts */
    build();
    assert_int_equal(nr_reported, 1);
    assert_string_equal(reported, "NUMA: a CPU is in no node: it counts as node 0's");
    assert_int_equal(t.cpu[0].node, 0);
    assert_int_equal(t.cpu[2].node, 1);
}

/* Any ranges and numbers: nodes are dense, ranges disjoint and inside, everything is counted. */
static void random_machines(void **state)
{
    (void)state;
    srand(1);
    for (u32 round = 0; round < 20000; round++) {
        u64 bytes[NR_NODES] = { 0 }, total = 0, at = 0;

        machine(1 + (u32)rand() % 8);
        for (u32 i = 0; i < t.nr_cpus; i++) {
            cpu(2 * ((u32)rand() % 8), (u32)rand() % 80);
        }
        for (u32 i = (u32)rand() % 8; i > 0; i--) {
            at += (u64)(rand() % 4) * MB;
            memory(at, at + (u64)(1 + rand() % 4) * MB, (u32)rand() % 80);
            at += rand() % 8 ? 4 * MB : 0;
        }
        build();
        assert_in_range(n.nr_nodes, 1, NR_NODES);
        for (u32 i = 0; i < t.nr_cpus; i++) {
            assert_true(t.cpu[i].node < n.nr_nodes);
        }
        numa_count(&n, 0, RAM, bytes);
        for (u32 i = 0; i < NR_NODES; i++) {
            total += bytes[i];
            assert_true(i < n.nr_nodes || bytes[i] == 0);
        }
        assert_int_equal(total, RAM);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_told),       cmocka_unit_test(numbers),
        cmocka_unit_test(counting),           cmocka_unit_test(distances),
        cmocka_unit_test(nonsense_distances), cmocka_unit_test(overlaps),
        cmocka_unit_test(too_many),           cmocka_unit_test(cpu_nowhere),
        cmocka_unit_test(random_machines),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
