/* SPDX-License-Identifier: MIT */
/*
 * Layout of the ACPI tables that acpi.c reads; source: the ACPI specification 6.4. All of it is the
 * firmware's.
 */
#pragma once

#include <tarn/lib.h>

#define ACPI_RSDP_V1_SIZE 20u

struct acpi_rsdp {
    char signature[8]; /* "RSD PTR " */
    u8 checksum;       /* of the first 20 bytes */
    char oem[6];
    u8 revision;
    u32 rsdt;
    u32 length; /* from here on: revision 2 */
    u64 xsdt;
    u8 full_checksum;
    u8 reserved[3];
} __packed;

struct acpi_header {
    char signature[4];
    u32 length; /* with this header */
    u8 revision;
    u8 checksum;
    char oem[6];
    char oem_table[8];
    u32 oem_revision;
    u32 creator, creator_revision;
} __packed;

struct acpi_gas {
    u8 space, bits, offset, access;
    u64 address;
} __packed;

#define MADT_PCAT_COMPAT (1u << 0)
#define MADT_CPU_ENABLED (1u << 0)

enum {
    MADT_LAPIC = 0,
    MADT_IOAPIC = 1,
    MADT_OVERRIDE = 2,
    MADT_LAPIC_ADDRESS = 5,
    MADT_X2APIC = 9,
};

struct acpi_madt {
    struct acpi_header header;
    u32 lapic_address;
    u32 flags;
} __packed;

struct madt_entry {
    u8 type, length;
} __packed;

struct madt_lapic {
    struct madt_entry head;
    u8 uid, apic_id;
    u32 flags;
} __packed;

struct madt_x2apic {
    struct madt_entry head;
    u16 reserved;
    u32 apic_id;
    u32 flags;
    u32 uid;
} __packed;

struct madt_ioapic {
    struct madt_entry head;
    u8 id, reserved;
    u32 address, gsi_base;
} __packed;

struct madt_override {
    struct madt_entry head;
    u8 bus, irq;
    u32 gsi;
    u16 flags;
} __packed;

struct madt_lapic_address {
    struct madt_entry head;
    u16 reserved;
    u64 address;
} __packed;

#define SRAT_ENABLED (1u << 0)

enum { SRAT_LAPIC = 0, SRAT_MEMORY = 1, SRAT_X2APIC = 2 };

/* Entries follow, with a head as MADT's. A node's number has 8 bits before revision 2. */
struct acpi_srat {
    struct acpi_header header;
    u32 one;
    u64 reserved;
} __packed;

struct srat_lapic {
    struct madt_entry head;
    u8 node, apic_id;
    u32 flags;
    u8 eid, node_high[3];
    u32 clock;
} __packed;

struct srat_memory {
    struct madt_entry head;
    u32 node;
    u16 reserved;
    u64 base, length;
    u32 reserved2, flags;
    u64 reserved3;
} __packed;

struct srat_x2apic {
    struct madt_entry head;
    u16 reserved;
    u32 node, apic_id, flags, clock, reserved2;
} __packed;

/* nr * nr bytes follow. */
struct acpi_slit {
    struct acpi_header header;
    u64 nr;
} __packed;

#define FADT_TIMER_32BIT (1u << 8)
#define FADT_HAS_RESET (1u << 10)

/* Older tables end earlier: what is behind the end counts as zero. */
struct acpi_fadt {
    struct acpi_header header;
    u32 facs, dsdt;
    u8 model, profile;
    u16 sci;
    u32 smi_command;
    u8 acpi_enable, acpi_disable, s4bios, pstate;
    u32 pm1a_event, pm1b_event, pm1a_control, pm1b_control, pm2_control, pm_timer, gpe0, gpe1;
    u8 pm1_event_len, pm1_control_len, pm2_control_len, pm_timer_len, gpe0_len, gpe1_len;
    u8 gpe1_base, cst;
    u16 c2_latency, c3_latency, flush_size, flush_stride;
    u8 duty_offset, duty_width, day, month, century;
    u16 boot_flags;
    u8 reserved;
    u32 flags;
    struct acpi_gas reset;
    u8 reset_value;
    u16 arm_flags;
    u8 minor;
    u64 x_facs, x_dsdt;
    struct acpi_gas x_pm1a_event, x_pm1b_event, x_pm1a_control, x_pm1b_control;
    struct acpi_gas x_pm2_control, x_pm_timer;
} __packed;

struct acpi_hpet {
    struct acpi_header header;
    u32 id;
    struct acpi_gas base;
} __packed;

_Static_assert(sizeof(struct acpi_rsdp) == 36, "RSDP");
_Static_assert(sizeof(struct acpi_header) == 36, "table header");
_Static_assert(offsetof(struct acpi_fadt, pm_timer) == 76, "FADT");
_Static_assert(offsetof(struct acpi_fadt, reset) == 116, "FADT reset register");
_Static_assert(offsetof(struct acpi_fadt, x_pm_timer) == 208, "FADT extended PM timer");
_Static_assert(offsetof(struct acpi_hpet, base) == 40, "HPET");
_Static_assert(sizeof(struct acpi_srat) == 48, "SRAT");
_Static_assert(sizeof(struct srat_lapic) == 16, "SRAT");
_Static_assert(sizeof(struct srat_memory) == 40, "SRAT");
_Static_assert(sizeof(struct srat_x2apic) == 24, "SRAT");
