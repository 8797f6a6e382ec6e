/* sources: arch/x86/cpu/acpi.c lib/printf.c lib/str.c */
/* SPDX-License-Identifier: MIT */
/*
 * ACPI tables made by hand. Each mapping is a heap block of exactly the length asked for, so that
 * ASan sees whatever is read behind it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <x86/acpi.h>
#include <x86/acpi_tables.h>

#define RSDP 0xf5a00u
#define RSDT 0x10000u
#define XSDT 0x11000u
#define MADT 0x12000u
#define FADT 0x20000u
#define DSDT 0x21000u
#define HPET 0x22000u
#define MEMORY_SIZE 0x110000u

/* The firmware's memory */

static u8 memory[MEMORY_SIZE];
static void *mappings[4096];
static u32 nr_mappings;

static const void *map(paddr_t pa, size_t len)
{
    void *copy;

    if (pa >= MEMORY_SIZE || len > MEMORY_SIZE - pa) {
        return NULL;
    }
    assert_true(nr_mappings < ARRAY_SIZE(mappings));
    copy = malloc(len);
    memcpy(copy, memory + pa, len);
    mappings[nr_mappings++] = copy;
    return copy;
}

static char reported[8][160];
static u32 nr_reported;

static void report(const char *text)
{
    if (nr_reported < 8) {
        str_copy(reported[nr_reported], text, sizeof(reported[0]));
    }
    nr_reported++;
}

static struct acpi_info info;

static bool parse(paddr_t hint)
{
    bool ok;

    nr_reported = 0;
    memset(reported, 0, sizeof(reported));
    memset(&info, 0xa5, sizeof(info));
    ok = acpi_parse(map, hint, &info, report);
    while (nr_mappings) {
        free(mappings[--nr_mappings]);
    }
    return ok;
}

static void sum(u8 *at, size_t len, u8 *checksum)
{
    u8 s = 0;

    *checksum = 0;
    for (size_t i = 0; i < len; i++) {
        s = (u8)(s + at[i]);
    }
    *checksum = (u8)-s;
}

static void sum_table(u32 pa)
{
    struct acpi_header *h = (void *)(memory + pa);

    sum(memory + pa, h->length, &h->checksum);
}

static void table(u32 pa, const char *signature, const void *body, size_t size)
{
    struct acpi_header h = { .length = (u32)(sizeof(h) + size), .revision = 1 };

    memcpy(h.signature, signature, 4);
    memcpy(memory + pa, &h, sizeof(h));
    memcpy(memory + pa + sizeof(h), body, size);
    sum_table(pa);
}

static void append(u32 pa, const void *data, size_t size)
{
    struct acpi_header *h = (void *)(memory + pa);

    memcpy(memory + pa + h->length, data, size);
    h->length += (u32)size;
    sum_table(pa);
}

static void append_lapic(u8 apic_id, u32 flags)
{
    struct madt_lapic e = { { MADT_LAPIC, sizeof(e) }, 0, apic_id, flags };

    append(MADT, &e, sizeof(e));
}

static void append_x2apic(u32 apic_id, u32 flags)
{
    struct madt_x2apic e = { { MADT_X2APIC, sizeof(e) }, 0, apic_id, flags, 0 };

    append(MADT, &e, sizeof(e));
}

static void make_rsdp(u32 pa, u8 revision)
{
    struct acpi_rsdp r = { .revision = revision, .rsdt = RSDT, .length = sizeof(r), .xsdt = XSDT };

    memcpy(r.signature, "RSD PTR ", 8);
    sum((u8 *)&r, ACPI_RSDP_V1_SIZE, &r.checksum);
    sum((u8 *)&r, sizeof(r), &r.full_checksum);
    memcpy(memory + pa, &r, revision ? sizeof(r) : ACPI_RSDP_V1_SIZE);
}

static void make_madt(void)
{
    static const u32 body[] = { 0xfee00000, MADT_PCAT_COMPAT };

    table(MADT, "APIC", body, sizeof(body));
}

static void make_fadt(u32 length)
{
    struct acpi_fadt f = {
        .dsdt = DSDT,
        .smi_command = 0xb2,
        .acpi_enable = 0xf1,
        .pm1a_control = 0x604,
        .pm_timer = 0x608,
        .pm1_control_len = 2,
        .pm_timer_len = 4,
        .flags = FADT_HAS_RESET | FADT_TIMER_32BIT,
        .reset = { ACPI_SPACE_IO, 8, 0, 1, 0xcf9 },
        .reset_value = 0x0f,
    };

    table(FADT, "FACP", (u8 *)&f + sizeof(f.header), length - sizeof(f.header));
}

/* Before and after the package stands other AML, with the name in it but not as a definition. */
static const u8 aml[] = { 0x10, 0x05, '_',  'S',  '5',  '_',  0x08, '_',  'S',  '5',  '_',
                          0x12, 0x07, 0x04, 0x0a, 0x05, 0x0a, 0x06, 0x00, 0x00, 0x5b, 0x80 };

/* One of everything, as QEMU has it. */
static void make_all(u8 revision)
{
    static const u32 rsdt[] = { FADT, MADT, HPET };
    static const u64 xsdt[] = { FADT, MADT, HPET };
    struct acpi_hpet hpet = { .id = 0x8086a201,
                              .base = { ACPI_SPACE_MEMORY, 64, 0, 0, 0xfed00000 } };
    struct madt_ioapic ioapic = { { MADT_IOAPIC, sizeof(ioapic) }, 8, 0, 0xfec00000, 0 };
    struct madt_override pit = { { MADT_OVERRIDE, sizeof(pit) }, 0, 0, 2, 0 };

    memset(memory, 0, sizeof(memory));
    make_rsdp(RSDP, revision);
    table(RSDT, "RSDT", rsdt, sizeof(rsdt));
    table(XSDT, "XSDT", xsdt, sizeof(xsdt));
    make_madt();
    append_lapic(0, 1);
    append_lapic(1, 1);
    append(MADT, &ioapic, sizeof(ioapic));
    append(MADT, &pit, sizeof(pit));
    make_fadt(sizeof(struct acpi_fadt));
    table(DSDT, "DSDT", aml, sizeof(aml));
    table(HPET, "HPET", (u8 *)&hpet + sizeof(hpet.header), sizeof(hpet) - sizeof(hpet.header));
}

static void assert_reg(struct acpi_reg r, u64 address, u8 space, u8 bits)
{
    assert_int_equal(r.address, address);
    assert_int_equal(r.space, space);
    assert_int_equal(r.bits, bits);
}

static void assert_all(void)
{
    assert_int_equal(nr_reported, 0);
    assert_int_equal(info.rsdp, RSDP);
    assert_true(info.has_madt && info.has_8259 && info.has_fadt && info.has_s5);
    assert_int_equal(info.lapic_address, 0xfee00000);
    assert_int_equal(info.nr_cpus, 2);
    assert_int_equal(info.nr_disabled, 0);
    assert_int_equal(info.apic_id[0], 0);
    assert_int_equal(info.apic_id[1], 1);
    assert_int_equal(info.nr_ioapics, 1);
    assert_int_equal(info.ioapic[0].id, 8);
    assert_int_equal(info.ioapic[0].address, 0xfec00000);
    assert_int_equal(info.nr_overrides, 1);
    assert_int_equal(info.override[0].irq, 0);
    assert_int_equal(info.override[0].gsi, 2);
    assert_reg(info.pm_timer, 0x608, ACPI_SPACE_IO, 32);
    assert_reg(info.pm1a_control, 0x604, ACPI_SPACE_IO, 16);
    assert_reg(info.pm1b_control, 0, ACPI_SPACE_IO, 16);
    assert_reg(info.reset, 0xcf9, ACPI_SPACE_IO, 8);
    assert_int_equal(info.reset_value, 0x0f);
    assert_int_equal(info.smi_command, 0xb2);
    assert_int_equal(info.acpi_enable, 0xf1);
    assert_int_equal(info.s5_type_a, 5);
    assert_int_equal(info.s5_type_b, 6);
    assert_int_equal(info.hpet, 0xfed00000);
}

/* Finding the root */

static void old_and_new_root(void **state)
{
    (void)state;
    make_all(0);
    assert_true(parse(0));
    assert_all();
    make_all(2);
    assert_true(parse(0));
    assert_all();
    memset(memory + RSDT, 0, 64); /* not used when there is an XSDT */
    assert_true(parse(0));
    assert_all();
}

static void rsdp_from_loader(void **state)
{
    (void)state;
    make_all(2);
    memmove(memory + 0x9508, memory + RSDP, sizeof(struct acpi_rsdp));
    memset(memory + RSDP, 0, sizeof(struct acpi_rsdp));
    assert_false(parse(0));
    assert_string_equal(reported[0], "ACPI: no RSDP found");
    assert_true(parse(0x9508));
    assert_int_equal(info.rsdp, 0x9508);
    assert_int_equal(nr_reported, 0);
}

static void bad_copy_of_loader(void **state)
{
    static const paddr_t hints[] = { 0x9508, MEMORY_SIZE - 1, 1UL << 60, ~0UL };

    (void)state;
    make_all(2);
    for (u32 i = 0; i < ARRAY_SIZE(hints); i++) {
        assert_true(parse(hints[i]));
        assert_int_equal(info.rsdp, RSDP);
        assert_int_equal(nr_reported, 1);
        assert_string_equal(reported[0], "ACPI: the boot loader's copy of the RSDP is bad");
    }
}

static void rsdp_in_ebda(void **state)
{
    (void)state;
    make_all(0);
    memset(memory + RSDP, 0, sizeof(struct acpi_rsdp));
    make_rsdp(0x9fc10, 0);
    assert_false(parse(0));
    memcpy(memory + 0x40e, "\xc0\x9f", 2);
    assert_true(parse(0));
    assert_int_equal(info.rsdp, 0x9fc10);
    memcpy(memory + 0x40e, "\xff\xff", 2); /* 0xffff0 */
    assert_false(parse(0));
}

static void rsdp_anywhere_in_the_bios_area(void **state)
{
    static const u32 at[] = { 0xe0000, 0xe0010, 0xfffc0, 0xfffe0 };

    (void)state;
    for (u32 i = 0; i < ARRAY_SIZE(at); i++) {
        make_all(0);
        memset(memory + RSDP, 0, 36);
        make_rsdp(at[i], 0);
        assert_true(parse(0));
        assert_int_equal(info.rsdp, at[i]);
    }
    make_all(0);
    memset(memory + RSDP, 0, 36);
    make_rsdp(0xe0008, 0); /* not on a 16-byte boundary */
    assert_false(parse(0));
}

static void damaged_rsdp(void **state)
{
    (void)state;
    for (u32 i = 0; i < ACPI_RSDP_V1_SIZE; i++) {
        make_all(0);
        memory[RSDP + i] ^= 0x40;
        assert_false(parse(0));
    }
    for (u32 i = ACPI_RSDP_V1_SIZE; i < sizeof(struct acpi_rsdp);
         i++) { /* falls back to the RSDT */
        make_all(2);
        memory[RSDP + i] ^= 0x40;
        assert_true(parse(0));
        assert_int_equal(info.nr_cpus, 2);
        assert_string_equal(reported[0], "ACPI: the RSDP's second half is bad: RSDT is used");
    }
}

static void damaged_roots(void **state)
{
    (void)state;
    make_all(2);
    memory[XSDT + 40]++;
    assert_true(parse(0));
    assert_int_equal(info.nr_cpus, 2);
    assert_string_equal(reported[0], "ACPI: table XSDT has a wrong checksum");
    memory[RSDT + 4] = 1;
    assert_false(parse(0));
    assert_string_equal(reported[1], "ACPI: table RSDT has a wrong length 1");
    assert_string_equal(reported[2], "ACPI: no usable XSDT or RSDT");
    make_all(0);
    memcpy(memory + RSDT, "XSDT", 4);
    sum_table(RSDT);
    assert_false(parse(0));
    assert_string_equal(reported[0], "ACPI: what RSDP points to is no RSDT");
}

static void wild_pointers(void **state)
{
    static const u64 xsdt[] = { ~0UL, 1UL << 63, MEMORY_SIZE - 20, 0, MADT };

    (void)state;
    make_all(2);
    table(XSDT, "XSDT", xsdt, sizeof(xsdt));
    assert_true(parse(0));
    assert_int_equal(nr_reported, 3);
    assert_string_equal(reported[0], "ACPI: a table at no valid address 0xffffffffffffffff");
    assert_int_equal(info.nr_cpus, 2);
}

static void damaged_tables_are_skipped(void **state)
{
    (void)state;
    make_all(2);
    memory[FADT + 50]++;
    assert_true(parse(0));
    assert_int_equal(nr_reported, 1);
    assert_string_equal(reported[0], "ACPI: table FACP has a wrong checksum");
    assert_false(info.has_fadt);
    assert_int_equal(info.nr_cpus, 2);
    memory[FADT + 6] = 0x7f;
    assert_true(parse(0));
    assert_string_equal(reported[0], "ACPI: table FACP goes beyond memory");
    memory[FADT + 7] = 0x7f;
    assert_true(parse(0));
    assert_non_null(strstr(reported[0], "ACPI: table FACP has a wrong length "));
}

static void tables_listed_twice(void **state)
{
    static const u64 xsdt[] = { MADT, FADT, MADT, FADT, HPET, HPET };

    (void)state;
    make_all(2);
    table(XSDT, "XSDT", xsdt, sizeof(xsdt));
    assert_true(parse(0));
    assert_int_equal(nr_reported, 2);
    assert_string_equal(reported[0], "ACPI: MADT is listed twice");
    assert_string_equal(reported[1], "ACPI: FADT is listed twice");
    assert_int_equal(info.nr_cpus, 2);
}

static void nothing_there(void **state)
{
    (void)state;
    memset(memory, 0, sizeof(memory));
    assert_false(parse(0));
    assert_int_equal(info.rsdp, 0);
    assert_int_equal(info.nr_cpus, 0);
    make_all(2);
    table(XSDT, "XSDT", "", 0);
    assert_true(parse(0));
    assert_false(info.has_madt || info.has_fadt || info.has_s5 || info.hpet);
}

/* Claim each length, with a checksum that is right for it. */
static void tables_cut_anywhere(void **state)
{
    static const u32 tables[] = { RSDT, MADT, FADT, DSDT, HPET };

    (void)state;
    for (u32 i = 0; i < ARRAY_SIZE(tables); i++) {
        u32 full;

        make_all(0);
        memcpy(&full, memory + tables[i] + 4, 4);
        for (u32 length = 0; length <= full + 40; length++) {
            make_all(0);
            memcpy(memory + tables[i] + 4, &length, 4);
            if (length >= 10) {
                sum_table(tables[i]);
            }
            parse(0);
            assert_true(info.nr_cpus <= 2);
            assert_true(length < full || tables[i] == MADT || info.nr_cpus == 2);
        }
    }
}

/* MADT */

static void madt_ids(void **state)
{
    (void)state;
    make_all(2);
    make_madt();
    append_lapic(5, 1);
    append_lapic(0, 1);
    append_lapic(6, 0); /* disabled */
    append_lapic(7, 2); /* may be enabled later */
    append_x2apic(0x100, 1);
    append_x2apic(0x12345678, 1);
    append_x2apic(255, 1); /* an ordinary id here */
    append_x2apic(0x200, 0);
    append_lapic(0xff, 1);
    append_x2apic(~0u, 1);
    append_lapic(5, 1); /* a duplicate is not for us to judge */
    assert_true(parse(0));
    assert_int_equal(info.nr_cpus, 6);
    assert_int_equal(info.nr_disabled, 3);
    assert_int_equal(info.apic_id[0], 5);
    assert_int_equal(info.apic_id[1], 0);
    assert_int_equal(info.apic_id[2], 0x100);
    assert_int_equal(info.apic_id[3], 0x12345678);
    assert_int_equal(info.apic_id[4], 255);
    assert_int_equal(info.apic_id[5], 5);
    assert_int_equal(nr_reported, 2);
    assert_string_equal(reported[0], "ACPI: MADT lists a CPU with the broadcast APIC id 255");
    assert_string_equal(reported[1],
                        "ACPI: MADT lists a CPU with the broadcast APIC id 4294967295");
}

static void madt_too_many_cpus(void **state)
{
    (void)state;
    make_all(2);
    make_madt();
    for (u32 i = 0; i < ACPI_MAX_CPUS + 3; i++) {
        append_x2apic(i, 1);
    }
    assert_true(parse(0));
    assert_int_equal(info.nr_cpus, ACPI_MAX_CPUS);
    assert_int_equal(nr_reported, 3);
    assert_string_equal(reported[0],
                        "ACPI: MADT lists more than 512 CPUs: APIC id 512 is left out");
}

static void madt_other_entries(void **state)
{
    struct madt_lapic_address address = { { MADT_LAPIC_ADDRESS, sizeof(address) }, 0, 0x1fee00000 };
    struct madt_override level = { { MADT_OVERRIDE, sizeof(level) }, 0, 9, 9, 0xd };
    struct madt_override wild = { { MADT_OVERRIDE, sizeof(wild) }, 0, 16, 9, 0xd };
    static const u8 nmi[] = { 4, 6, 0xff, 0, 0, 1 };
    static const u8 unknown[] = { 0x80, 3, 0xff };

    (void)state;
    make_all(2);
    append(MADT, nmi, sizeof(nmi));
    append(MADT, unknown, sizeof(unknown));
    append(MADT, &address, sizeof(address));
    append(MADT, &level, sizeof(level));
    append(MADT, &wild, sizeof(wild));
    append_lapic(3, 1);
    assert_true(parse(0));
    assert_int_equal(info.lapic_address, 0x1fee00000);
    assert_int_equal(info.nr_overrides, 2);
    assert_int_equal(info.override[1].irq, 9);
    assert_int_equal(info.override[1].flags, 0xd);
    assert_int_equal(info.nr_cpus, 3);
    assert_int_equal(nr_reported, 1);
    assert_string_equal(reported[0], "ACPI: MADT has a nonsensical override of interrupt 16");
}

static void madt_too_many_of_the_rest(void **state)
{
    struct madt_ioapic ioapic = { { MADT_IOAPIC, sizeof(ioapic) }, 1, 0, 0xfec01000, 24 };
    struct madt_override o = { { MADT_OVERRIDE, sizeof(o) }, 0, 1, 1, 0 };

    (void)state;
    make_all(2);
    for (u32 i = 0; i < 16; i++) {
        append(MADT, &ioapic, sizeof(ioapic));
        append(MADT, &o, sizeof(o));
    }
    assert_true(parse(0));
    assert_int_equal(info.nr_ioapics, ACPI_MAX_IOAPICS);
    assert_int_equal(info.nr_overrides, ACPI_MAX_OVERRIDES);
    assert_int_equal(nr_reported, 2);
}

static void madt_bad_entries(void **state)
{
    static const u8 empty[] = { 0, 0 }, one[] = { 0, 1 }, half[] = { 0 },
                    beyond[] = { 0, 8, 0, 9, 1, 0, 0 };
    static const u8 short_cpu[] = { 0, 6, 0, 9, 1, 0 };
    static const struct {
        const u8 *data;
        size_t size;
    } stop[] = { { empty, 2 }, { one, 2 }, { half, 1 }, { beyond, 7 } };

    (void)state;
    for (u32 i = 0; i < ARRAY_SIZE(stop); i++) {
        make_all(2);
        append(MADT, stop[i].data, stop[i].size);
        assert_true(parse(0));
        assert_int_equal(info.nr_cpus, 2);
        assert_int_equal(nr_reported, 1);
        assert_non_null(strstr(reported[0], "ACPI: MADT has an entry of a wrong length "));
    }
    make_all(2);
    append(MADT, short_cpu, sizeof(short_cpu));
    append_lapic(4, 1);
    assert_true(parse(0));
    assert_int_equal(info.nr_cpus, 3); /* goes on behind it */
    assert_string_equal(reported[0], "ACPI: a MADT entry of type 0 has only 6 bytes");
}

/* FADT and DSDT */

static void fadt_of_acpi_1(void **state)
{
    (void)state;
    make_all(0);
    make_fadt(116);
    assert_true(parse(0));
    assert_reg(info.pm_timer, 0x608, ACPI_SPACE_IO, 32);
    assert_reg(info.pm1a_control, 0x604, ACPI_SPACE_IO, 16);
    assert_int_equal(info.reset.address, 0); /* the table ends before it */
    assert_true(info.has_s5);
    make_fadt(115);
    assert_true(parse(0));
    assert_false(info.has_fadt);
    assert_string_equal(reported[0], "ACPI: FADT is cut short");
}

static void fadt_variants(void **state)
{
    struct acpi_fadt *f = (void *)(memory + FADT);

    (void)state;
    make_all(2);
    f->flags = 0;
    f->x_pm_timer = (struct acpi_gas){ ACPI_SPACE_MEMORY, 32, 0, 3, 0xfed80808 };
    f->x_pm1a_control = (struct acpi_gas){ ACPI_SPACE_IO, 16, 0, 2, 0x804 };
    f->x_dsdt = DSDT;
    f->dsdt = 0;
    sum_table(FADT);
    assert_true(parse(0));
    assert_reg(info.pm_timer, 0xfed80808, ACPI_SPACE_MEMORY, 24);
    assert_reg(info.pm1a_control, 0x804, ACPI_SPACE_IO, 16);
    assert_int_equal(info.reset.address, 0);
    assert_true(info.has_s5);
    f->pm_timer_len = 0;
    f->x_dsdt = HPET;
    sum_table(FADT);
    assert_true(parse(0));
    assert_int_equal(info.pm_timer.address, 0);
    assert_false(info.has_s5);
    assert_string_equal(reported[0], "ACPI: what FADT points to is no DSDT");
}

static void s5_forms(void **state)
{
    static const struct {
        u8 aml[16];
        u32 size;
        bool found;
        u8 a, b;
    } rows[] = {
        { { 8, '_', 'S', '5', '_', 0x12, 4, 2, 0, 1 }, 10, true, 0, 1 },
        { { 8, '\\', '_', 'S', '5', '_', 0x12, 4, 2, 1, 0 }, 11, true, 1, 0 },
        { { 8, '_', 'S', '5', '_', 0x12, 0x46, 0, 2, 0x0a, 7, 0x0a, 3 }, 13, true, 7, 3 },
        { { 8, '_', 'S', '5', '_', 0x12, 6, 2, 0x0b, 5, 0, 1 }, 12, true, 5, 1 },
        { { 8, '_', 'S', '5', '_', 0x12, 4, 1, 0x0a, 5 }, 10, true, 5, 5 }, /* one element: both */
        { { 8, '_', 'S', '5', '_', 0x12, 4, 2, 0x0a, 0xff, 0 }, 11, true, 7, 0 },
        { { 8, '_', 'S', '5', '_', 0x12, 4, 0 }, 8, false, 0, 0 },       /* no element */
        { { 8, '_', 'S', '5', '_', 0x12, 4, 2, 0x70 }, 9, false, 0, 0 }, /* no integer */
        { { 8, '_', 'S', '5', '_', 0x0a, 4 }, 7, false, 0, 0 },          /* no package */
        { { 8, '_', 'S', '5', '_', 0x12, 0xc0 }, 7, false, 0, 0 },       /* cut */
        { { 8, '_', 'S', '5', '_' }, 5, false, 0, 0 },
        { { 8, '_', 'S', '4', '_', 0x12, 4, 2, 0, 1 }, 10, false, 0, 0 },
        { { '_', 'S', '5', '_', 0x12, 4, 2, 0, 1 }, 9, false, 0, 0 }, /* no definition */
    };

    (void)state;
    for (u32 i = 0; i < ARRAY_SIZE(rows); i++) {
        make_all(2);
        table(DSDT, "DSDT", rows[i].aml, rows[i].size);
        assert_true(parse(0));
        assert_int_equal(info.has_s5, rows[i].found);
        if (rows[i].found) {
            assert_int_equal(info.s5_type_a, rows[i].a);
            assert_int_equal(info.s5_type_b, rows[i].b);
        }
    }
}

static void hpet_not_in_memory(void **state)
{
    (void)state;
    make_all(2);
    memory[HPET + 40] = ACPI_SPACE_IO;
    sum_table(HPET);
    assert_true(parse(0));
    assert_int_equal(info.hpet, 0);
    assert_string_equal(reported[0], "ACPI: HPET is not in memory");
}

static void report_may_be_null(void **state)
{
    (void)state;
    memset(memory, 0, sizeof(memory));
    assert_false(acpi_parse(map, 1, &info, NULL));
    while (nr_mappings) {
        free(mappings[--nr_mappings]);
    }
}

/* SRAT and SLIT */

#define SRAT 0x23000u
#define SLIT 0x30000u

static void make_srat(u8 revision)
{
    static const u32 rsdt[] = { FADT, MADT, HPET, SRAT, SLIT };
    static const u32 body[] = { 1, 0, 0 };

    make_all(0);
    table(RSDT, "RSDT", rsdt, sizeof(rsdt));
    table(SRAT, "SRAT", body, sizeof(body));
    ((struct acpi_header *)(void *)(memory + SRAT))->revision = revision;
    sum_table(SRAT);
}

static void append_cpu(u8 apic_id, u8 node, u8 high, u32 flags)
{
    struct srat_lapic e = { { SRAT_LAPIC, sizeof(e) }, node, apic_id, flags, 0, { high, 0, 0 }, 0 };

    append(SRAT, &e, sizeof(e));
}

static void append_x2cpu(u32 apic_id, u32 node, u32 flags)
{
    struct srat_x2apic e = { { SRAT_X2APIC, sizeof(e) }, 0, node, apic_id, flags, 0, 0 };

    append(SRAT, &e, sizeof(e));
}

static void append_memory(u64 base, u64 length, u32 node, u32 flags)
{
    struct srat_memory e = { { SRAT_MEMORY, sizeof(e) }, node, 0, base, length, 0, flags, 0 };

    append(SRAT, &e, sizeof(e));
}

static void make_slit(u64 nr, u32 bytes)
{
    static u8 body[8 + 65 * 65];

    memcpy(body, &nr, 8);
    for (u32 i = 0; i < bytes; i++) {
        body[8 + i] = (u8)(10 + i);
    }
    table(SLIT, "SLIT", body, 8 + bytes);
}

static void assert_range(u32 i, u64 start, u64 end, u32 node)
{
    assert_int_equal(info.numa.range[i].start, start);
    assert_int_equal(info.numa.range[i].end, end);
    assert_int_equal(info.numa.range[i].node, node);
}

static void affinities(void **state)
{
    (void)state;
    make_srat(3);
    append_cpu(1, 2, 1, 1);
    append_cpu(2, 3, 0, 0); /* disabled */
    append_x2cpu(0x1234, 0x10000, 1);
    append_x2cpu(0x1235, 0, 0);
    append_memory(0, 0xa0000, 0, 1);
    append_memory(0x100000, 0x40000000, 0x102, 1);
    append_memory(0x50000000, 0, 1, 1);    /* empty */
    append_memory(0x60000000, 4096, 1, 0); /* disabled */
    make_slit(2, 4);
    assert_true(parse(0));
    assert_int_equal(nr_reported, 0);
    assert_true(info.has_srat);
    assert_int_equal(info.numa.nr_cpus, 2);
    assert_int_equal(info.numa.cpu[0].apic_id, 1);
    assert_int_equal(info.numa.cpu[0].node, 0x102);
    assert_int_equal(info.numa.cpu[1].apic_id, 0x1234);
    assert_int_equal(info.numa.cpu[1].node, 0x10000);
    assert_int_equal(info.numa.nr_ranges, 2);
    assert_range(0, 0, 0xa0000, 0);
    assert_range(1, 0x100000, 0x40100000, 0x102);
    assert_int_equal(info.numa.nr_localities, 2);
    assert_int_equal(info.numa.distance[3], 13);
}

/* What is in the place of the upper bytes is anything. */
static void old_srat(void **state)
{
    (void)state;
    make_srat(1);
    append_cpu(1, 2, 0x55, 1);
    append_memory(0, 4096, 0xabcd02, 1);
    make_slit(1, 1);
    assert_true(parse(0));
    assert_int_equal(info.numa.cpu[0].node, 2);
    assert_range(0, 0, 4096, 2);
}

static void bad_affinities(void **state)
{
    struct srat_memory cut = { { SRAT_MEMORY, 20 }, 0, 0, 0, 0, 0, 1, 0 };
    struct madt_entry nothing = { 9, 0 };

    (void)state;
    make_srat(3);
    make_slit(1, 1);
    append_memory(~0UL - 4096, 8192, 0, 1);
    append(SRAT, &cut, 20);
    append(SRAT, &nothing, 2);
    assert_true(parse(0));
    assert_int_equal(nr_reported, 3);
    assert_string_equal(reported[0],
                        "ACPI: SRAT has an endless range of memory at 0xffffffffffffefff");
    assert_string_equal(reported[1], "ACPI: a SRAT entry of type 1 has only 20 bytes");
    assert_string_equal(reported[2], "ACPI: SRAT has an entry of a wrong length 0 at offset 108");
    assert_int_equal(info.numa.nr_ranges, 0);
    table(SRAT, "SRAT", "", 0);
    assert_true(parse(0));
    assert_string_equal(reported[0], "ACPI: SRAT is cut short");
}

static void too_many_affinities(void **state)
{
    (void)state;
    make_srat(3);
    make_slit(1, 1);
    for (u32 i = 0; i < NR_CPUS * 2 + 1; i++) {
        append_x2cpu(i, 0, 1);
    }
    for (u32 i = 0; i < NUMA_MAX_RANGES + 1; i++) {
        append_memory(i * 4096UL, 4096, 0, 1);
    }
    assert_true(parse(0));
    assert_int_equal(nr_reported, 2);
    assert_string_equal(reported[0], "ACPI: SRAT lists too many CPUs: APIC id 512 is left out");
    assert_string_equal(reported[1], "ACPI: SRAT has one more range of memory at 0x80000");
    assert_int_equal(info.numa.nr_cpus, NR_CPUS * 2);
    assert_int_equal(info.numa.nr_ranges, NUMA_MAX_RANGES);
}

static void bad_distances(void **state)
{
    static const struct {
        u64 nr;
        u32 bytes;
    } rows[] = { { 0, 0 }, { 2, 3 }, { 65, 65 * 65 }, { 1UL << 32, 16 }, { ~0UL, 1 } };

    (void)state;
    make_srat(3);
    for (u32 i = 0; i < ARRAY_SIZE(rows); i++) {
        make_slit(rows[i].nr, rows[i].bytes);
        assert_true(parse(0));
        assert_int_equal(nr_reported, 1);
        assert_string_equal(reported[0], "ACPI: SLIT is of no use");
        assert_int_equal(info.numa.nr_localities, 0);
    }
    table(SLIT, "SLIT", "\1\0\0", 3);
    assert_true(parse(0));
    assert_string_equal(reported[0], "ACPI: SLIT is of no use");
    make_slit(64, 64 * 64);
    assert_true(parse(0));
    assert_int_equal(info.numa.nr_localities, 64);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(old_and_new_root),
        cmocka_unit_test(rsdp_from_loader),
        cmocka_unit_test(bad_copy_of_loader),
        cmocka_unit_test(rsdp_in_ebda),
        cmocka_unit_test(rsdp_anywhere_in_the_bios_area),
        cmocka_unit_test(damaged_rsdp),
        cmocka_unit_test(damaged_roots),
        cmocka_unit_test(wild_pointers),
        cmocka_unit_test(damaged_tables_are_skipped),
        cmocka_unit_test(tables_listed_twice),
        cmocka_unit_test(nothing_there),
        cmocka_unit_test(tables_cut_anywhere),
        cmocka_unit_test(madt_ids),
        cmocka_unit_test(madt_too_many_cpus),
        cmocka_unit_test(madt_other_entries),
        cmocka_unit_test(madt_too_many_of_the_rest),
        cmocka_unit_test(madt_bad_entries),
        cmocka_unit_test(fadt_of_acpi_1),
        cmocka_unit_test(fadt_variants),
        cmocka_unit_test(s5_forms),
        cmocka_unit_test(hpet_not_in_memory),
        cmocka_unit_test(report_may_be_null),
        cmocka_unit_test(affinities),
        cmocka_unit_test(old_srat),
        cmocka_unit_test(bad_affinities),
        cmocka_unit_test(too_many_affinities),
        cmocka_unit_test(bad_distances),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
