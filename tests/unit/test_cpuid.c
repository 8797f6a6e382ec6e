/* sources: arch/x86/pv/cpuid.c */
/* SPDX-License-Identifier: MIT */
/* A guest's CPUID against a machine that has everything: what is hidden, what stays, what is ours.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <tarn/lib.h>
#include <x86/cpuid_guest.h>

enum { EAX, EBX, ECX, EDX };
#define HV 0x40000000u

static u32 asked, last_leaf, last_sub;

/* Every bit is set; the leaf of state components is sensible. */
static void all_ones(u32 leaf, u32 sub, u32 out[4])
{
    static const u32 parts[][2] = {
        [2] = { 256, 576 },  [3] = { 64, 960 },    [4] = { 64, 1024 }, [5] = { 64, 1088 },
        [6] = { 512, 1152 }, [7] = { 1024, 1664 }, [9] = { 8, 2688 }
    };

    asked++;
    last_leaf = leaf;
    last_sub = sub;
    memset(out, 0xff, 4 * sizeof(u32));
    if (leaf == 0xd && sub >= 2) {
        bool there = sub < ARRAY_SIZE(parts);

        out[EAX] = there ? parts[sub][0] : 0;
        out[EBX] = there ? parts[sub][1] : 0;
        out[ECX] = out[EDX] = 0;
    }
}

static void all_zero(u32 leaf, u32 sub, u32 out[4])
{
    (void)leaf;
    (void)sub;
    memset(out, 0, 4 * sizeof(u32));
}

/* each leaf and sub-leaf gives its own number back */
static void echo(u32 leaf, u32 sub, u32 out[4])
{
    out[EAX] = leaf;
    out[EBX] = sub;
    out[ECX] = leaf ^ sub;
    out[EDX] = ~leaf;
}

static void assert_hidden(u32 leaf, u32 sub, u32 reg, const u8 *bits, u32 nr)
{
    u32 out[4];

    cpuid_for_guest(all_ones, leaf, sub, out);
    for (u32 i = 0; i < nr; i++) {
        if (out[reg] >> bits[i] & 1) {
            fail_msg("leaf %x sub %u register %u: bit %u shows", leaf, sub, reg, bits[i]);
        }
    }
}

static void assert_shown(u32 leaf, u32 sub, u32 reg, const u8 *bits, u32 nr)
{
    u32 out[4];

    cpuid_for_guest(all_ones, leaf, sub, out);
    for (u32 i = 0; i < nr; i++) {
        if (!(out[reg] >> bits[i] & 1)) {
            fail_msg("leaf %x sub %u register %u: bit %u is hidden", leaf, sub, reg, bits[i]);
        }
    }
}

#define HIDDEN(leaf, sub, reg, ...) \
    assert_hidden(leaf, sub, reg, (const u8[]){ __VA_ARGS__ }, sizeof((const u8[]){ __VA_ARGS__ }))
#define SHOWN(leaf, sub, reg, ...) \
    assert_shown(leaf, sub, reg, (const u8[]){ __VA_ARGS__ }, sizeof((const u8[]){ __VA_ARGS__ }))

static void what_a_pv_guest_cannot_use(void **state)
{
    (void)state;
    HIDDEN(1, 0, ECX, 3, 5, 6, 7, 17, 21, 24);  /* MONITOR to TSC-deadline */
    HIDDEN(1, 0, EDX, 1, 2, 3, 11, 12, 13, 17); /* VME to PSE36 */
    HIDDEN(7, 0, EBX, 0, 7, 10, 14, 20);        /* FSGSBASE SMEP INVPCID MPX SMAP */
    HIDDEN(7, 0, ECX, 2, 3, 4, 7, 16, 31);      /* UMIP PKU OSPKE SHSTK LA57 PKS */
    HIDDEN(7, 0, EDX, 20, 26, 27, 29, 31);      /* IBT, speculation control */
    HIDDEN(7, 1, EAX, 6, 17, 18, 26);           /* LASS FRED LKGS LAM */
    HIDDEN(7, 2, EAX, 0, 31);
    HIDDEN(0x80000001, 0, ECX, 2);                           /* SVM */
    HIDDEN(0x80000001, 0, EDX, 1, 2, 3, 12, 13, 17, 26, 27); /* VME to RDTSCP */
}

static void what_stays(void **state)
{
    (void)state;
    SHOWN(1, 0, ECX, 0, 9, 13, 19, 20, 23, 25, 26, 27, 28, 30); /* SSE3 CX16 POPCNT AES XSAVE AVX */
    SHOWN(1, 0, EDX, 0, 4, 5, 6, 8, 15, 23, 24, 25, 26);        /* FPU TSC MSR PAE CX8 CMOV SSE */
    SHOWN(7, 0, EBX, 3, 5, 8, 9, 16, 18, 19, 29);               /* BMI AVX2 ERMS AVX512F RDSEED */
    SHOWN(7, 1, EAX, 4, 5);
    SHOWN(0x80000001, 0, ECX, 0, 5);
    SHOWN(0x80000001, 0, EDX, 11, 20, 29); /* SYSCALL NX long mode */
}

static void a_hypervisor_is_present(void **state)
{
    u32 out[4];

    (void)state;
    cpuid_for_guest(all_zero, 1, 0, out);
    assert_int_equal(out[ECX], 1u << 31);
    assert_int_equal(out[EAX] | out[EBX] | out[EDX], 0);
}

static void nothing_is_made_up(void **state)
{
    static const u32 leaves[] = { 0, 5, 7, 0xa, 0xb, 0x80000000, 0x80000001, 0x80000008 };
    u32 out[4];

    (void)state;
    for (u32 i = 0; i < ARRAY_SIZE(leaves); i++) {
        for (u32 sub = 0; sub < 3; sub++) {
            cpuid_for_guest(all_zero, leaves[i], sub, out);
            assert_int_equal(out[EAX] | out[EBX] | out[ECX] | out[EDX], 0);
        }
    }
}

static void other_leaves_pass_as_they_are(void **state)
{
    static const u32 leaves[] = { 0,          2,          4,          0xb,
                                  0x80000000, 0x80000002, 0x80000008, 0x12345678,
                                  HV - 1,     HV + 0x100, 0xffffffff };
    u32 out[4], want[4];

    (void)state;
    for (u32 i = 0; i < ARRAY_SIZE(leaves); i++) {
        cpuid_for_guest(echo, leaves[i], i, out);
        echo(leaves[i], i, want);
        assert_memory_equal(out, want, sizeof(out));
    }
}

static void performance_counters_and_monitor_are_gone(void **state)
{
    u32 out[4];

    (void)state;
    for (u32 leaf = 5; leaf <= 0xa; leaf += 5) {
        cpuid_for_guest(all_ones, leaf, 0, out);
        assert_int_equal(out[EAX] | out[EBX] | out[ECX] | out[EDX], 0);
    }
}

/* A guest's XSAVE area is as large as what the hypervisor saves, and no larger. */
static void state_components(void **state)
{
    u32 out[4];

    (void)state;
    cpuid_for_guest(all_ones, 0xd, 0, out);
    assert_int_equal(out[EAX], 0xe7); /* no MPX, no PKRU */
    assert_int_equal(out[EDX], 0);
    assert_int_equal(out[EBX], 1664 + 1024);
    assert_int_equal(out[ECX], 1664 + 1024);
    cpuid_for_guest(all_ones, 0xd, 1, out);
    HIDDEN(0xd, 1, EAX, 1, 3, 4); /* XSAVEC XSAVES XFD */
    assert_int_equal(out[EBX] | out[ECX] | out[EDX], 0);
    cpuid_for_guest(all_ones, 0xd, 2, out);
    assert_int_equal(out[EAX], 256);
    assert_int_equal(out[EBX], 576);
    cpuid_for_guest(all_ones, 0xd, 9, out);
    assert_int_equal(out[EAX] | out[EBX], 0);
    cpuid_for_guest(all_ones, 0xd, 0x80000002, out);
    assert_int_equal(out[EAX] | out[EBX], 0);
    cpuid_for_guest(all_zero, 0xd, 0, out);
    assert_int_equal(out[EAX], 0);
}

/* They are ours alone: the machine, or a hypervisor below, is not asked. */
static void the_hypervisors_leaves(void **state)
{
    u32 out[4];
    char name[13] = "";

    (void)state;
    asked = 0;
    cpuid_for_guest(all_ones, HV, 0, out);
    memcpy(name, &out[EBX], 12);
    assert_string_equal(name, "XenVMMXenVMM");
    assert_in_range(out[EAX], HV + 2, HV + 5);
    cpuid_for_guest(all_ones, HV + 1, 0, out);
    assert_int_equal(out[EAX], 4u << 16 | 17);
    assert_int_equal(out[EBX] | out[ECX] | out[EDX], 0);
    cpuid_for_guest(all_ones, HV + 2, 0, out);
    assert_int_equal(out[EAX], 1);
    assert_int_equal(out[EBX], 0x40000000); /* the MSR that asks for the hypercall page */
    assert_int_equal(out[ECX], 1);
    assert_int_equal(out[EDX], 0);
    for (u32 leaf = HV + 6; leaf < HV + 0x100; leaf++) {
        cpuid_for_guest(all_ones, leaf, 0, out);
        assert_int_equal(out[EAX] | out[EBX] | out[ECX] | out[EDX], 0);
    }
    assert_int_equal(asked, 0);
}

static void the_machine_is_asked_for_the_same_leaf(void **state)
{
    u32 out[4];

    (void)state;
    cpuid_for_guest(all_ones, 4, 3, out);
    assert_int_equal(last_leaf, 4);
    assert_int_equal(last_sub, 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_a_pv_guest_cannot_use),
        cmocka_unit_test(what_stays),
        cmocka_unit_test(a_hypervisor_is_present),
        cmocka_unit_test(nothing_is_made_up),
        cmocka_unit_test(other_leaves_pass_as_they_are),
        cmocka_unit_test(performance_counters_and_monitor_are_gone),
        cmocka_unit_test(state_components),
        cmocka_unit_test(the_hypervisors_leaves),
        cmocka_unit_test(the_machine_is_asked_for_the_same_leaf),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
