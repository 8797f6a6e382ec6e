/* sources: arch/x86/cpu/apicid.c */
/* SPDX-License-Identifier: MIT */
/*
 * The layout of APIC ids from CPUID leaves. The leaves named "QEMU" were read on QEMU 7.2's TCG
 * with -smp 8,sockets=2,cores=2,threads=2; it answers absent leaves with those of its highest one.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <x86/apicid.h>

struct leaf {
    u32 leaf, sub;
    u32 regs[4];
};

#define MAX_LEAVES 16
static struct leaf leaves[MAX_LEAVES];
static u32 nr_leaves;
static u32 filler[4]; /* what an absent leaf gives */

static void fake_cpuid(u32 leaf, u32 sub, u32 out[4])
{
    memcpy(out, filler, sizeof(filler));
    for (u32 i = 0; i < nr_leaves; i++) {
        if (leaves[i].leaf == leaf && leaves[i].sub == sub) {
            memcpy(out, leaves[i].regs, sizeof(leaves[i].regs));
        }
    }
}

static void given(u32 leaf, u32 sub, u32 eax, u32 ebx, u32 ecx, u32 edx)
{
    assert_true(nr_leaves < MAX_LEAVES);
    leaves[nr_leaves++] = (struct leaf){ leaf, sub, { eax, ebx, ecx, edx } };
}

static int setup(void **state)
{
    (void)state;
    nr_leaves = 0;
    memset(filler, 0, sizeof(filler));
    return 0;
}

static void assert_layout(u32 thread_bits, u32 core_bits, const char *source)
{
    struct apicid_layout l = apicid_layout(fake_cpuid);

    assert_string_equal(l.source, source);
    assert_int_equal(l.thread_bits, thread_bits);
    assert_int_equal(l.core_bits, core_bits);
}

static void given_highest(u32 basic, u32 extended)
{
    given(0, 0, basic, 0, 0, 0);
    given(0x80000000, 0, extended, 0, 0, 0);
}

static void given_filler(u32 eax, u32 ebx, u32 ecx)
{
    filler[0] = eax;
    filler[1] = ebx;
    filler[2] = ecx;
}

static void qemu_max(void **state)
{
    (void)state;
    given_filler(0x21f, 0x240, 0xa88);
    given_highest(0xd, 0x8000000a);
    given(1, 0, 0x60fb1, 0x40800, 0xf6d8320b, 0x1fcbfbfd);
    given(0xb, 0, 1, 2, 0x100, 0);
    given(0xb, 1, 2, 4, 0x201, 0);
    given(0xb, 2, 0, 0, 2, 0);
    given(0x80000001, 0, 0x60fb1, 0, 0x77, 0xedd3fbfd);
    given(0x80000008, 0, 0x3928, 0, 0x2003, 0);
    assert_layout(1, 1, "leaf 0xb");
}

/* AMD without leaf 0xb and without topology extensions: QEMU's threads then pass for cores. */
static void qemu_max_without_leaf_b(void **state)
{
    (void)state;
    given_filler(0x21f, 0x240, 0xa88);
    given_highest(0xd, 0x8000000a);
    given(1, 0, 0x60fb1, 0x40800, 0xf6d8320b, 0x1fcbfbfd);
    given(4, 0, 0, 0, 0, 0);
    given(0xb, 0, 0, 0, 0, 0);
    given(0x80000001, 0, 0x60fb1, 0, 0x77, 0xedd3fbfd);
    given(0x80000008, 0, 0x3928, 0, 0x2003, 0);
    assert_layout(0, 2, "leaf 0x80000008");
}

static void qemu_intel_without_leaf_b(void **state)
{
    (void)state;
    given_filler(7, 0x240, 0x340);
    given_highest(0xd, 0x80000008);
    given(1, 0, 0x506e3, 0x40800, 0xf6d83203, 0x178bfbfd);
    given(4, 0, 0x04000121, 0x1c0003f, 0x3f, 1);
    given(0xb, 0, 0, 0, 0, 0);
    given(0x80000001, 0, 0x506e3, 0, 0x21, 0x28100800);
    given(0x80000008, 0, 0x3028, 0, 0x2003, 0);
    assert_layout(1, 1, "leaf 4");
}

static void three_cores(void **state)
{
    (void)state;
    given_highest(0xd, 0);
    given(0xb, 0, 1, 2, 0x100, 0);
    given(0xb, 1, 3, 6, 0x201, 0);
    assert_layout(1, 2, "leaf 0xb");
}

static void modules_and_dies_fold_into_core(void **state)
{
    (void)state;
    given_highest(0x1f, 0);
    given(0x1f, 0, 1, 2, 0x100, 0);
    given(0x1f, 1, 3, 8, 0x201, 0);
    given(0x1f, 2, 4, 16, 0x302, 0);
    given(0x1f, 3, 5, 32, 0x403, 0);
    given(0x1f, 4, 7, 64, 0x504, 0);
    given(0xb, 0, 1, 2, 0x100, 0);
    given(0xb, 1, 3, 8, 0x201, 0);
    assert_layout(1, 6, "leaf 0x1f");
}

static void zero_leaf_falls_through(void **state)
{
    (void)state;
    given_highest(0x1f, 0);
    given(0x1f, 0, 0, 0, 0, 0);
    given(0xb, 0, 1, 2, 0x100, 0);
    given(0xb, 1, 4, 16, 0x201, 0);
    assert_layout(1, 3, "leaf 0xb");
}

static void contradicting_leaf_falls_through(void **state)
{
    (void)state;
    given_highest(0x1f, 0);
    given(0x1f, 0, 5, 2, 0x100, 0);
    given(0x1f, 1, 2, 4, 0x201, 0);
    given(0xb, 0, 0, 1, 0x100, 0);
    given(0xb, 1, 4, 16, 0x201, 0);
    assert_layout(0, 4, "leaf 0xb");
}

static void endless_levels_end(void **state)
{
    (void)state;
    given_filler(3, 4, 0x200);
    given_highest(0x1f, 0);
    assert_layout(0, 3, "leaf 0x1f");
}

static void amd_levels(void **state)
{
    (void)state;
    given_highest(0xd, 0x80000026);
    given(0x80000026, 0, 1, 2, 0x100, 0);
    given(0x80000026, 1, 4, 16, 0x201, 0);
    given(0x80000026, 2, 6, 64, 0x302, 0);
    given(0x80000026, 3, 7, 128, 0x403, 0);
    assert_layout(1, 6, "leaf 0x80000026");
}

static void amd_extended_ids(void **state)
{
    (void)state;
    given_highest(0xd, 0x8000001e);
    given(0x80000001, 0, 0, 0, 1u << 22, 0);
    given(0x80000008, 0, 0, 0, 0x4007, 0);
    given(0x8000001e, 0, 0, 0x100, 0, 0);
    assert_layout(1, 3, "leaf 0x8000001e");
}

static void amd_extended_ids_without_size(void **state)
{
    (void)state;
    given_highest(0xd, 0x8000001e);
    given(0x80000001, 0, 0, 0, 1u << 22, 0);
    given(0x80000008, 0, 0, 0, 0x000b, 0); /* 12 logical CPUs */
    given(0x8000001e, 0, 0, 0x100, 0, 0);
    assert_layout(1, 3, "leaf 0x8000001e");
}

/* More threads in a core than ids in a socket. */
static void amd_extended_ids_nonsense(void **state)
{
    (void)state;
    given_highest(1, 0x8000001e);
    given(1, 0, 0, 4u << 16, 0, 1u << 28);
    given(0x80000001, 0, 0, 0, 1u << 22, 0);
    given(0x80000008, 0, 0, 0, 0x1001, 0);
    given(0x8000001e, 0, 0, 0xff00, 0, 0);
    assert_layout(2, 0, "leaf 1");
}

static void legacy_intel(void **state)
{
    (void)state;
    given_highest(4, 0);
    given(1, 0, 0, 16u << 16, 0, 1u << 28);
    given(4, 0, (7u << 26) | 0x21, 0, 0, 0);
    assert_layout(1, 3, "leaf 4");
}

static void legacy_intel_odd_numbers(void **state)
{
    (void)state;
    given_highest(4, 0);
    given(1, 0, 0, 12u << 16, 0, 1u << 28);
    given(4, 0, (5u << 26) | 0x21, 0, 0, 0);
    assert_layout(1, 3, "leaf 4");
}

static void leaf_4_contradicts_leaf_1(void **state)
{
    (void)state;
    given_highest(4, 0);
    given(1, 0, 0, 2u << 16, 0, 1u << 28);
    given(4, 0, (63u << 26) | 0x21, 0, 0, 0);
    assert_layout(1, 0, "leaf 1");
}

static void leaf_1_without_htt(void **state)
{
    (void)state;
    given_highest(4, 0);
    given(1, 0, 0, 16u << 16, 0, 0);
    given(4, 0, (7u << 26) | 0x21, 0, 0, 0);
    assert_layout(0, 0, "leaf 1");
}

static void nothing_at_all(void **state)
{
    (void)state;
    assert_layout(0, 0, "leaf 1");
}

/* Any answers give a layout that divides 32 bits. */
static void random_answers(void **state)
{
    u32 seed = 12345;

    (void)state;
    for (u32 round = 0; round < 200000; round++) {
        static const u32 known[] = { 0,          1,          4,          0xb,       0x1f,
                                     0x80000000, 0x80000001, 0x80000008, 0x8000001e };
        struct apicid_layout l;

        nr_leaves = 0;
        for (u32 i = 0; i < ARRAY_SIZE(known); i++) {
            u32 r[4];

            for (u32 k = 0; k < 4; k++) {
                seed = seed * 1664525 + 1013904223;
                r[k] = seed >> (seed >> 27);
            }
            given(known[i], 0, known[i] & 0x7fffffff ? r[0] : known[i] | 0x26, r[1], r[2], r[3]);
        }
        l = apicid_layout(fake_cpuid);
        assert_true(l.thread_bits + l.core_bits <= 32);
    }
}

#define TEST(f) cmocka_unit_test_setup(f, setup)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(qemu_max),
        TEST(qemu_max_without_leaf_b),
        TEST(qemu_intel_without_leaf_b),
        TEST(three_cores),
        TEST(modules_and_dies_fold_into_core),
        TEST(zero_leaf_falls_through),
        TEST(contradicting_leaf_falls_through),
        TEST(endless_levels_end),
        TEST(amd_levels),
        TEST(amd_extended_ids),
        TEST(amd_extended_ids_without_size),
        TEST(amd_extended_ids_nonsense),
        TEST(legacy_intel),
        TEST(legacy_intel_odd_numbers),
        TEST(leaf_4_contradicts_leaf_1),
        TEST(leaf_1_without_htt),
        TEST(nothing_at_all),
        TEST(random_answers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
