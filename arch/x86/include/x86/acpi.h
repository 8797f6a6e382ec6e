/* SPDX-License-Identifier: MIT */
/*
 * What we take from the firmware's ACPI tables; arch/x86/cpu/acpi.c (pure). Only static tables are
 * read, AML is not run: the S5 package is looked for in the DSDT's bytes, which firmware keeps
 * constant in practice.
 */
#pragma once

#include <tarn/numa.h>

#define ACPI_MAX_CPUS (NR_CPUS * 2)
#define ACPI_MAX_IOAPICS 16
#define ACPI_MAX_OVERRIDES 16 /* one for each ISA interrupt */

enum { ACPI_SPACE_MEMORY = 0, ACPI_SPACE_IO = 1, ACPI_SPACE_PCI = 2 };

/* A register; address 0: there is none. */
struct acpi_reg {
    u64 address;
    u8 space; /* ACPI_SPACE_* */
    u8 bits;  /* width */
};

struct acpi_ioapic {
    u32 id;
    u32 address;
    u32 gsi_base;
};

struct acpi_override {
    u8 irq; /* of ISA */
    u32 gsi;
    /* polarity in bits 1:0, trigger mode in 3:2; 0 = as the bus has it, 1 high/edge, 3 low/level */
    u16 flags;
};

struct acpi_info {
    paddr_t rsdp; /* 0: no ACPI */

    /* MADT */
    bool has_madt;
    bool has_8259; /* two PICs, to be masked */
    paddr_t lapic_address;
    u32 nr_cpus; /* enabled ones, in the firmware's order, duplicates and all */
    u32 nr_disabled;
    u32 apic_id[ACPI_MAX_CPUS];
    u32 nr_ioapics, nr_overrides;
    struct acpi_ioapic ioapic[ACPI_MAX_IOAPICS];
    struct acpi_override override[ACPI_MAX_OVERRIDES];

    /* FADT */
    bool has_fadt;
    struct acpi_reg pm_timer; /* 3579545 Hz; bits is 24 or 32 */
    struct acpi_reg reset;
    u8 reset_value;
    struct acpi_reg pm1a_control, pm1b_control;
    u16 smi_command; /* port; write acpi_enable to it if bit 0 of PM1a control (SCI_EN) is clear */
    u8 acpi_enable;

    /* DSDT; power off: write s5_type << 10 | 1 << 13 to the PM1 control registers */
    bool has_s5;
    u8 s5_type_a, s5_type_b;

    paddr_t hpet; /* 0: none */

    /* SRAT's enabled entries, and SLIT */
    bool has_srat;
    struct numa_firmware numa;
};

/*
 * map gives `len` bytes at physical `pa`, NULL when it can't; what it gave must stay valid until we
 * return. `rsdp_hint` is where the boot loader's copy of the RSDP is, 0 when there is none; if it
 * is no good the places where a BIOS puts the RSDP are searched. What is malformed is given to
 * `report` (one line each, may be NULL) and skipped. False: no usable RSDP or root table.
 */
bool acpi_parse(const void *(*map)(paddr_t pa, size_t len), paddr_t rsdp_hint,
                struct acpi_info *out, void (*report)(const char *text));
