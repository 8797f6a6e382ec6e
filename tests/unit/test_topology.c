/* sources: lib/topology.c lib/printf.c lib/str.c */
/* SPDX-License-Identifier: MIT */
/* Numbering of CPUs: order, density, and what is left out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <tarn/errno.h>
#include <tarn/topology.h>

static char reported[16][128];
static u32 nr_reported;

static void report(const char *text)
{
    str_copy(reported[nr_reported % 16], text, sizeof(reported[0]));
    nr_reported++;
}

static struct topology t;

static int build(u32 thread_bits, u32 core_bits, u32 boot, const u32 *ids, u32 n)
{
    struct apicid_layout l = { (u8)thread_bits, (u8)core_bits, "test" };

    nr_reported = 0;
    memset(&t, 0xa5, sizeof(t));
    return topology_build(&l, boot, ids, n, &t, report);
}

static void assert_cpu(u32 cpu, u32 id, u32 socket, u32 core, u32 thread)
{
    assert_true(cpu < t.nr_cpus);
    assert_int_equal(t.cpu[cpu].apic_id, id);
    assert_int_equal(t.cpu[cpu].socket, socket);
    assert_int_equal(t.cpu[cpu].core, core);
    assert_int_equal(t.cpu[cpu].thread, thread);
}

static void shuffle(u32 *ids, u32 n)
{
    for (u32 i = n - 1; i > 0; i--) {
        u32 j = (u32)rand() % (i + 1);
        u32 tmp = ids[i];

        ids[i] = ids[j];
        ids[j] = tmp;
    }
}

/* The depth-first figure: s0c0t0 s0c0t1 s0c1t0 s0c1t1 s1c0t0 ... */
static void assert_figure(void)
{
    assert_int_equal(t.nr_cpus, 8);
    assert_int_equal(t.nr_sockets, 2);
    assert_int_equal(t.cores_per_socket, 2);
    assert_int_equal(t.threads_per_core, 2);
    for (u32 i = 0; i < 8; i++) {
        assert_cpu(i, i, i / 4, i / 2 % 2, i % 2);
    }
}

static void depth_first(void **state)
{
    u32 ids[] = { 0, 1, 2, 3, 4, 5, 6, 7 };

    (void)state;
    assert_int_equal(build(1, 1, 0, ids, 8), 0);
    assert_figure();
    assert_int_equal(nr_reported, 0);
}

static void order_of_firmware_does_not_matter(void **state)
{
    u32 ids[] = { 0, 1, 2, 3, 4, 5, 6, 7 };

    (void)state;
    srand(1);
    for (u32 round = 0; round < 500; round++) {
        shuffle(ids, 8);
        assert_int_equal(build(1, 1, 0, ids, 8), 0);
        assert_figure();
    }
}

static void holes_are_closed(void **state)
{
    u32 ids[] = { 0, 1, 2, 3, 4, 5, 8, 9, 10, 11, 12, 13 };

    (void)state;
    srand(2);
    for (u32 round = 0; round < 200; round++) {
        assert_int_equal(build(1, 2, 0, ids, 12), 0);
        assert_int_equal(t.nr_cpus, 12);
        assert_int_equal(t.nr_sockets, 2);
        assert_int_equal(t.cores_per_socket, 3);
        assert_int_equal(t.threads_per_core, 2);
        for (u32 i = 0; i < 12; i++) {
            assert_cpu(i, i < 6 ? i : i + 2, i / 6, i / 2 % 3, i % 2);
        }
        shuffle(ids, 12);
    }
}

static void boot_cpu_first_on_every_level(void **state)
{
    u32 ids[] = { 0, 1, 2, 3, 4, 5, 6, 7 };
    static const u32 order[] = { 7, 6, 4, 5, 0, 1, 2, 3 };

    (void)state;
    srand(3);
    for (u32 round = 0; round < 100; round++) {
        shuffle(ids, 8);
        assert_int_equal(build(1, 1, 7, ids, 8), 0);
        for (u32 i = 0; i < 8; i++) {
            assert_cpu(i, order[i], i / 4, i / 2 % 2, i % 2);
        }
    }
}

static void boot_cpu_in_the_middle(void **state)
{
    static const u32 ids[] = { 0, 1, 2, 3, 4, 5, 8, 9, 10, 11, 12, 13, 16, 17 };
    static const u32 order[] = { 10, 11, 8, 9, 12, 13, 0, 1, 2, 3, 4, 5, 16, 17 };

    (void)state;
    assert_int_equal(build(1, 2, 10, ids, 14), 0);
    for (u32 i = 0; i < 14; i++) {
        assert_int_equal(t.cpu[i].apic_id, order[i]);
    }
    assert_cpu(13, 17, 2, 0, 1);
    assert_int_equal(t.nr_sockets, 3);
}

static void unequal_sockets(void **state)
{
    static const u32 ids[] = { 0, 8, 9, 12, 14, 15 };

    (void)state;
    assert_int_equal(build(1, 2, 0, ids, 6), 0);
    assert_cpu(0, 0, 0, 0, 0);
    assert_cpu(1, 8, 1, 0, 0);
    assert_cpu(2, 9, 1, 0, 1);
    assert_cpu(3, 12, 1, 1, 0);
    assert_cpu(4, 14, 1, 2, 0);
    assert_cpu(5, 15, 1, 2, 1);
    assert_int_equal(t.cores_per_socket, 3);
    assert_int_equal(t.threads_per_core, 2);
}

static void single_cpu(void **state)
{
    static const u32 ids[] = { 5 };

    (void)state;
    assert_int_equal(build(0, 0, 5, ids, 1), 0);
    assert_cpu(0, 5, 0, 0, 0);
    assert_int_equal(t.nr_cpus, 1);
    assert_int_equal(t.nr_sockets, 1);
    assert_int_equal(t.cores_per_socket, 1);
    assert_int_equal(t.threads_per_core, 1);
}

static void duplicates_are_reported(void **state)
{
    static const u32 ids[] = { 0, 1, 1, 2, 0, 3, 2 };

    (void)state;
    assert_int_equal(build(1, 1, 0, ids, 7), 0);
    assert_int_equal(t.nr_cpus, 4);
    assert_int_equal(nr_reported, 3);
    assert_string_equal(reported[0], "APIC id 1 is listed twice: the second is left out");
    assert_string_equal(reported[1], "APIC id 0 is listed twice: the second is left out");
    assert_string_equal(reported[2], "APIC id 2 is listed twice: the second is left out");
}

static void boot_cpu_not_listed(void **state)
{
    static const u32 ids[] = { 0, 1, 2 };

    (void)state;
    assert_int_equal(build(1, 1, 3, ids, 3), -EINVAL);
    assert_int_equal(t.nr_cpus, 4);
    assert_cpu(0, 3, 0, 0, 0);
    assert_cpu(1, 2, 0, 0, 1);
    assert_cpu(2, 0, 0, 1, 0);
    assert_int_equal(nr_reported, 1);
    assert_non_null(strstr(reported[0], "boot CPU's APIC id 3"));
}

static void empty_list(void **state)
{
    (void)state;
    assert_int_equal(build(1, 1, 9, NULL, 0), -EINVAL);
    assert_int_equal(t.nr_cpus, 1);
    assert_cpu(0, 9, 0, 0, 0);
}

static void too_many_are_left_out_from_the_end(void **state)
{
    static u32 ids[NR_CPUS + 40];

    (void)state;
    srand(4);
    for (u32 i = 0; i < NR_CPUS + 40; i++) {
        ids[i] = i;
    }
    for (u32 round = 0; round < 10; round++) {
        assert_int_equal(build(1, 3, NR_CPUS + 39, ids, NR_CPUS + 40), 0);
        assert_int_equal(t.nr_cpus, NR_CPUS);
        assert_int_equal(nr_reported, 40);
        assert_cpu(0, NR_CPUS + 39, 0, 0, 0);
        assert_int_equal(t.cpu[NR_CPUS - 1].apic_id, NR_CPUS - 9);
        assert_int_equal(t.nr_sockets, NR_CPUS / 16 + 1); /* half of the last, and the boot one */
        shuffle(ids, NR_CPUS + 40);
    }
    assert_non_null(strstr(reported[0], "too many CPUs: APIC id "));
}

static void large_ids(void **state)
{
    static const u32 ids[] = { 0xfffffffe, 0x100, 0x101, 0x12340, 0xfffffff0 };

    (void)state;
    assert_int_equal(build(1, 7, 0x101, ids, 5), 0);
    assert_cpu(0, 0x101, 0, 0, 0);
    assert_cpu(1, 0x100, 0, 0, 1);
    assert_cpu(2, 0x12340, 1, 0, 0);
    assert_cpu(3, 0xfffffff0, 2, 0, 0);
    assert_cpu(4, 0xfffffffe, 2, 1, 0);
}

/* Whatever CPUID claims, no shift is out of range and each id gets a number. */
static void absurd_layouts(void **state)
{
    static const u32 ids[] = { 0, 1, 0x80000000, 0xffffffff };

    (void)state;
    for (u32 thread_bits = 0; thread_bits < 256; thread_bits++) {
        for (u32 core_bits = 0; core_bits < 256; core_bits++) {
            assert_int_equal(build(thread_bits, core_bits, 0x80000000, ids, 4), 0);
            assert_int_equal(t.nr_cpus, 4);
            assert_cpu(0, 0x80000000, 0, 0, 0);
        }
    }
    assert_int_equal(build(32, 0, 0, ids, 4), 0);
    assert_cpu(3, 0xffffffff, 0, 0, 3);
    assert_int_equal(build(0, 32, 0, ids, 4), 0);
    assert_cpu(3, 0xffffffff, 0, 3, 0);
    assert_int_equal(build(0, 0, 0, ids, 4), 0);
    assert_cpu(3, 0xffffffff, 3, 0, 0);
}

static void one_thread_a_core(void **state)
{
    static const u32 ids[] = { 0, 1, 2, 3, 4, 5, 6, 7 };

    (void)state;
    assert_int_equal(build(1, 1, 5, ids, 8), 0);
    topology_drop_threads(&t);
    assert_int_equal(t.nr_cpus, 4);
    assert_int_equal(t.nr_sockets, 2);
    assert_int_equal(t.cores_per_socket, 2);
    assert_int_equal(t.threads_per_core, 1);
    assert_cpu(0, 5, 0, 0, 0); /* the boot CPU stays */
    assert_cpu(1, 6, 0, 1, 0);
    assert_cpu(2, 0, 1, 0, 0);
    assert_cpu(3, 2, 1, 1, 0);
    topology_drop_threads(&t);
    assert_int_equal(t.nr_cpus, 4);
}

static void report_may_be_null(void **state)
{
    static const u32 ids[] = { 0, 0 };
    struct apicid_layout l = { 0, 0, "test" };

    (void)state;
    assert_int_equal(topology_build(&l, 1, ids, 2, &t, NULL), -EINVAL);
    assert_int_equal(t.nr_cpus, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(depth_first),
        cmocka_unit_test(order_of_firmware_does_not_matter),
        cmocka_unit_test(holes_are_closed),
        cmocka_unit_test(boot_cpu_first_on_every_level),
        cmocka_unit_test(boot_cpu_in_the_middle),
        cmocka_unit_test(unequal_sockets),
        cmocka_unit_test(single_cpu),
        cmocka_unit_test(duplicates_are_reported),
        cmocka_unit_test(boot_cpu_not_listed),
        cmocka_unit_test(empty_list),
        cmocka_unit_test(too_many_are_left_out_from_the_end),
        cmocka_unit_test(large_ids),
        cmocka_unit_test(absurd_layouts),
        cmocka_unit_test(one_thread_a_core),
        cmocka_unit_test(report_may_be_null),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
