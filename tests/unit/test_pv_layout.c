/* SPDX-License-Identifier: MIT */
/* sources: lib/pv_layout.c lib/printf.c lib/str.c */
/* Where a new domain's parts lie, against what Xen's own tools do, and what can't be. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <tarn/lib.h>

#include <tarn/pv_layout.h>

#define HIGH 0xffffffff80000000UL
#define MIB (1UL << 20)

static struct pv_layout l;
static char why[128];

static void fits(const struct elf_image *elf, uint64_t pages, uint64_t initrd)
{
    const char *error = pv_layout_make(elf, pages, initrd, true, &l, why, sizeof(why));

    if (error) {
        fail_msg("%s", error);
    }
}

static void refused(const struct elf_image *elf, uint64_t pages, uint64_t initrd, const char *want)
{
    const char *error = pv_layout_make(elf, pages, initrd, true, &l, why, sizeof(why));

    assert_non_null(error);
    assert_string_equal(error, want);
}

/* As Xen's tools lay out GRUB in 256 MiB: base 0, no initrd. */
static void test_plain(void **state)
{
    const struct elf_image grub = { .kend = 0x613001 };

    (void)state;
    fits(&grub, 0x10000, 0);
    assert_int_equal(l.p2m, 0x614);
    assert_int_equal(l.nr_p2m, 0x80);
    assert_int_equal(l.start_info, 0x694);
    assert_int_equal(l.store, 0x695);
    assert_int_equal(l.console, 0x696);
    assert_int_equal(l.tables, 0x697);
    assert_int_equal(l.nr_tables, 7);
    assert_int_equal(l.stack, 0x69e);
    assert_int_equal(l.end, 0x800);
    assert_int_equal(l.p2m_va, 0x614000);
    assert_false(l.p2m_apart || l.initrd_apart);
    assert_int_equal(l.nr_extra, 0);
}

/* As they lay out Linux in 384 MiB: p2m and initrd apart. */
static void test_apart(void **state)
{
    const struct elf_image linux_image = { .virt_base = HIGH,
                                           .kend = HIGH + 0x4a00000,
                                           .has_init_p2m = true,
                                           .init_p2m = 0x8000000000,
                                           .mod_start_pfn = true };

    (void)state;
    fits(&linux_image, 0x18000, 0x1e6000);
    assert_int_equal(l.start_info, 0x4a00);
    assert_int_equal(l.store, 0x4a01);
    assert_int_equal(l.tables, 0x4a03);
    assert_int_equal(l.nr_tables, 41); /* start_info's nr_pt_frames, which is 0x29 */
    assert_int_equal(l.stack, 0x4a2c);
    assert_int_equal(l.end, 0x4c00);
    assert_int_equal(l.initrd, 0x4c00);
    assert_int_equal(l.initrd_va, 0x4c00); /* a pfn */
    assert_int_equal(l.p2m, 0x4de6);
    assert_int_equal(l.nr_p2m, 0xc0);
    assert_int_equal(l.extra, 0x4ea6);
    assert_int_equal(l.nr_extra, 3);
    assert_int_equal(l.p2m_va, 0x8000000000);
}

static void test_initrd_inside(void **state)
{
    const struct elf_image elf = { .virt_base = HIGH, .kend = HIGH + 2 * MIB };

    (void)state;
    fits(&elf, 4096, 5000);
    assert_int_equal(l.initrd, 512);
    assert_int_equal(l.initrd_va, HIGH + 2 * MIB);
    assert_int_equal(l.p2m, 514);
    assert_int_equal(l.end, 1024);
}

/* Domain 0 has no rings; an image's base is a page's. */
static void test_domain_0(void **state)
{
    const struct elf_image elf = { .virt_base = HIGH + 0x123, .kend = HIGH + 2 * MIB };

    (void)state;
    assert_null(pv_layout_make(&elf, 4096, 0, false, &l, why, sizeof(why)));
    assert_int_equal(l.base, HIGH);
    assert_int_equal(l.p2m, 512);
    assert_int_equal(l.start_info, 520);
    assert_int_equal(l.tables, 521);
    assert_true(l.store == 0 && l.console == 0);
}

/* At least 512 KiB are left behind the stack, to a 4 MiB boundary. */
static void test_spare(void **state)
{
    struct elf_image elf = { .virt_base = HIGH };

    (void)state;
    for (uint64_t pages = 1; pages < 3000; pages++) {
        elf.kend = HIGH + pages * 4096;
        fits(&elf, 8192, 0);
        assert_true(l.end >= l.stack + 1 + 128 && l.end % 1024 == 0);
        assert_true(l.end < l.stack + 1 + 128 + 1024);
        assert_true(l.tables + l.nr_tables == l.stack);
    }
}

static void test_memory(void **state)
{
    const struct elf_image elf = { .virt_base = HIGH, .kend = HIGH + 2 * MIB };
    struct elf_image huge = { .virt_base = HIGH, .kend = HIGH + 0x7fffffff };

    (void)state;
    fits(&elf, 1024, 0);
    refused(&elf, 1023, 0, "too large: it needs 4096 KiB of memory, and has 4092 KiB");
    refused(&elf, 1, 0, "too large: it needs 4096 KiB of memory, and has 4 KiB");
    refused(&elf, 1024, 3 * MIB, "too large: it needs 8192 KiB of memory, and has 4096 KiB");
    huge.virt_base = 0;
    huge.kend = ~0UL;
    assert_non_null(pv_layout_make(&huge, 1024, 0, true, &l, why, sizeof(why)));
    assert_non_null(strstr(why, "too large: it needs "));
    assert_non_null(pv_layout_make(&elf, 1024, ~0UL, true, &l, why, sizeof(why)));
}

static void test_addresses(void **state)
{
    struct elf_image elf = { .virt_base = 0x00007fffffe00000, .kend = 0x00007ffffff90000 };
    struct elf_image apart = {
        .virt_base = HIGH, .kend = HIGH + MIB, .has_init_p2m = true, .init_p2m = HIGH + 3 * MIB
    };
    struct elf_image large = { .virt_base = HIGH, .kend = HIGH + 1025 * MIB };

    (void)state;
    refused(&elf, 4096, 0, "its addresses overlap the hypervisor's");
    refused(&apart, 4096, 0, "its p2m (note INIT_P2M) overlaps its first memory");
    apart.init_p2m = 0x00007ffffffff000;
    refused(&apart, 4096, 0, "its addresses overlap the hypervisor's");
    apart.init_p2m = HIGH + 8 * MIB;
    fits(&apart, 4096, 0);
    refused(&large, 1 << 20, 0, "too large: more than 1 GiB to map");
    large.virt_base = 0UL - 17 * MIB;
    large.kend = 0UL - 16 * MIB;
    refused(&large, 1 << 20, 0, "its addresses run over the end of the address space");
    large.virt_base = HIGH;
    large.kend = HIGH + 1008 * MIB - (8 * MIB); /* and 8 MiB of p2m */
    fits(&large, 1 << 20, 0);
    assert_true(l.nr_tables <= PV_LAYOUT_TABLES_MAX);
    large.kend += 4096;
    refused(&large, 1 << 20, 0, "too large: more than 1 GiB to map");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plain),         cmocka_unit_test(test_apart),
        cmocka_unit_test(test_initrd_inside), cmocka_unit_test(test_spare),
        cmocka_unit_test(test_memory),        cmocka_unit_test(test_addresses),
        cmocka_unit_test(test_domain_0),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
