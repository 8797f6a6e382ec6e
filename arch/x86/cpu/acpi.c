/* SPDX-License-Identifier: MIT */
/*
 * Reads the firmware's static ACPI tables: RSDP, RSDT or XSDT, MADT, FADT, HPET, SRAT, SLIT, and
 * the S5 package of the DSDT. Does not decide what is done with CPUs or devices. The firmware is
 * not trusted to be right: each table is mapped with the length it claims, summed, and copied field
 * by field. Pure, no locks.
 */
#include <tarn/lib.h>
#include <x86/acpi.h>
#include <x86/acpi_tables.h>

#define TABLE_MAX_BYTES 0x1000000u
#define BDA_EBDA_SEGMENT 0x40eu
#define EBDA_SEARCH_BYTES 1024u
#define BIOS_AREA_START 0xe0000u
#define BIOS_AREA_BYTES 0x20000u

struct parser {
    const void *(*map)(paddr_t pa, size_t len);
    void (*report)(const char *text);
    struct acpi_info *out;
    u32 node_mask; /* of SRAT's node numbers */
};

static void __printf(2, 3) complain(const struct parser *p, const char *fmt, ...)
{
    char text[128];
    va_list ap;

    if (!p->report) {
        return;
    }
    va_start(ap, fmt);
    fmt_vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    p->report(text);
}

static bool sum_is_zero(const u8 *p, size_t len)
{
    u8 sum = 0;

    while (len--) {
        sum = (u8)(sum + *p++);
    }
    return sum == 0;
}

/* A signature is printed, so only with what can be printed. */
static void signature_text(char out[5], const char *signature)
{
    for (u32 i = 0; i < 4; i++) {
        out[i] = signature[i] >= ' ' && signature[i] <= '~' ? signature[i] : '?';
    }
    out[4] = '\0';
}

/* Root pointer */

static bool rsdp_check(const u8 *at)
{
    return memcmp(at, "RSD PTR ", 8) == 0 && sum_is_zero(at, ACPI_RSDP_V1_SIZE);
}

static paddr_t rsdp_search(const struct parser *p, paddr_t start, size_t len)
{
    const u8 *area = p->map(start, len);

    for (size_t at = 0; area && at + ACPI_RSDP_V1_SIZE <= len; at += 16) {
        if (rsdp_check(area + at)) {
            return start + at;
        }
    }
    return 0;
}

static paddr_t rsdp_find(const struct parser *p, paddr_t hint)
{
    const u8 *at = hint ? p->map(hint, ACPI_RSDP_V1_SIZE) : NULL;
    const void *bda;
    u16 segment = 0;
    paddr_t found = 0;

    if (at && rsdp_check(at)) {
        return hint;
    }
    if (hint) {
        complain(p, "ACPI: the boot loader's copy of the RSDP is bad");
    }
    bda = p->map(BDA_EBDA_SEGMENT, sizeof(segment));
    if (bda) {
        memcpy(&segment, bda, sizeof(segment));
    }
    if (segment) {
        found = rsdp_search(p, (paddr_t)segment << 4, EBDA_SEARCH_BYTES);
    }
    return found ? found : rsdp_search(p, BIOS_AREA_START, BIOS_AREA_BYTES);
}

/* Tables */

/* The whole table at `pa`, its header copied to *head; NULL when it is no good. */
static const u8 *table_map(const struct parser *p, paddr_t pa, struct acpi_header *head)
{
    const u8 *at = p->map(pa, sizeof(*head));
    char name[5];

    if (!at) {
        complain(p, "ACPI: a table at no valid address 0x%llx", (unsigned long long)pa);
        return NULL;
    }
    memcpy(head, at, sizeof(*head));
    signature_text(name, head->signature);
    if (head->length < sizeof(*head) || head->length > TABLE_MAX_BYTES) {
        complain(p, "ACPI: table %s has a wrong length %u", name, head->length);
        return NULL;
    }
    at = p->map(pa, head->length);
    if (!at) {
        complain(p, "ACPI: table %s goes beyond memory", name);
        return NULL;
    }
    if (!sum_is_zero(at, head->length)) {
        complain(p, "ACPI: table %s has a wrong checksum", name);
        return NULL;
    }
    return at;
}

/* Copy a table's start to a structure that may be longer; the rest of it is zero. */
static void table_copy(void *to, size_t size, const u8 *table, u32 length)
{
    memset(to, 0, size);
    memcpy(to, table, MIN(size, (size_t)length));
}

/* MADT */

static void madt_cpu(const struct parser *p, u32 apic_id, u32 flags, u32 broadcast)
{
    struct acpi_info *out = p->out;

    if (!(flags & MADT_CPU_ENABLED)) {
        out->nr_disabled++;
    } else if (apic_id == broadcast) {
        complain(p, "ACPI: MADT lists a CPU with the broadcast APIC id %u", apic_id);
    } else if (out->nr_cpus == ACPI_MAX_CPUS) {
        complain(p, "ACPI: MADT lists more than %u CPUs: APIC id %u is left out", ACPI_MAX_CPUS,
                 apic_id);
    } else {
        out->apic_id[out->nr_cpus++] = apic_id;
    }
}

static void madt_lapic(const struct parser *p, const u8 *at)
{
    struct madt_lapic e;

    memcpy(&e, at, sizeof(e));
    madt_cpu(p, e.apic_id, e.flags, 0xff);
}

static void madt_x2apic(const struct parser *p, const u8 *at)
{
    struct madt_x2apic e;

    memcpy(&e, at, sizeof(e));
    madt_cpu(p, e.apic_id, e.flags, 0xffffffff);
}

static void madt_ioapic(const struct parser *p, const u8 *at)
{
    struct acpi_info *out = p->out;
    struct madt_ioapic e;

    memcpy(&e, at, sizeof(e));
    if (out->nr_ioapics == ACPI_MAX_IOAPICS) {
        complain(p, "ACPI: MADT lists too many IO-APICs: id %u is left out", e.id);
        return;
    }
    out->ioapic[out->nr_ioapics++] = (struct acpi_ioapic){ e.id, e.address, e.gsi_base };
}

static void madt_override(const struct parser *p, const u8 *at)
{
    struct acpi_info *out = p->out;
    struct madt_override e;

    memcpy(&e, at, sizeof(e));
    if (e.irq >= 16 || out->nr_overrides == ACPI_MAX_OVERRIDES) {
        complain(p, "ACPI: MADT has a nonsensical override of interrupt %u", e.irq);
        return;
    }
    out->override[out->nr_overrides++] = (struct acpi_override){ e.irq, e.gsi, e.flags };
}

static void madt_lapic_address(const struct parser *p, const u8 *at)
{
    struct madt_lapic_address e;

    memcpy(&e, at, sizeof(e));
    p->out->lapic_address = e.address;
}

static const struct entry_kind {
    u8 type, size;
    void (*parse)(const struct parser *p, const u8 *at);
} madt_kinds[] = {
    { MADT_LAPIC, sizeof(struct madt_lapic), madt_lapic },
    { MADT_X2APIC, sizeof(struct madt_x2apic), madt_x2apic },
    { MADT_IOAPIC, sizeof(struct madt_ioapic), madt_ioapic },
    { MADT_OVERRIDE, sizeof(struct madt_override), madt_override },
    { MADT_LAPIC_ADDRESS, sizeof(struct madt_lapic_address), madt_lapic_address },
};

/* A table whose entries are of some kinds; each begins with its type and length. */
struct entries {
    const char *table;
    const struct entry_kind *kinds;
    u32 nr_kinds;
};

static void entry_parse(const struct parser *p, const struct entries *s, const u8 *at,
                        struct madt_entry e)
{
    for (u32 i = 0; i < s->nr_kinds; i++) {
        if (s->kinds[i].type != e.type) {
            continue;
        }
        if (e.length < s->kinds[i].size) {
            complain(p, "ACPI: a %s entry of type %u has only %u bytes", s->table, e.type,
                     e.length);
        } else {
            s->kinds[i].parse(p, at);
        }
    }
}

static void entries_parse(const struct parser *p, const struct entries *s, const u8 *table, u32 at,
                          u32 length)
{
    while (at < length) {
        struct madt_entry e = { 0 };

        memcpy(&e, table + at, MIN(sizeof(e), (size_t)(length - at)));
        if (e.length < sizeof(e) || e.length > length - at) {
            complain(p, "ACPI: %s has an entry of a wrong length %u at offset %u", s->table,
                     e.length, at);
            return;
        }
        entry_parse(p, s, table + at, e);
        at += e.length;
    }
}

static void madt_parse(const struct parser *p, const u8 *table, u32 length)
{
    static const struct entries entries = { "MADT", madt_kinds, ARRAY_SIZE(madt_kinds) };
    struct acpi_madt madt;

    if (length < sizeof(madt) || p->out->has_madt) {
        complain(p, "ACPI: MADT is %s", p->out->has_madt ? "listed twice" : "cut short");
        return;
    }
    memcpy(&madt, table, sizeof(madt));
    p->out->has_madt = true;
    p->out->has_8259 = madt.flags & MADT_PCAT_COMPAT;
    p->out->lapic_address = madt.lapic_address;
    entries_parse(p, &entries, table, sizeof(madt), length);
}

/* SRAT and SLIT */

static void srat_cpu(const struct parser *p, u32 apic_id, u32 node)
{
    struct numa_firmware *n = &p->out->numa;

    if (n->nr_cpus == ARRAY_SIZE(n->cpu)) {
        complain(p, "ACPI: SRAT lists too many CPUs: APIC id %u is left out", apic_id);
        return;
    }
    n->cpu[n->nr_cpus++] = (struct numa_cpu){ apic_id, node };
}

static void srat_lapic(const struct parser *p, const u8 *at)
{
    struct srat_lapic e;

    memcpy(&e, at, sizeof(e));
    if (e.flags & SRAT_ENABLED) {
        u32 high = (u32)e.node_high[0] << 8 | (u32)e.node_high[1] << 16 | (u32)e.node_high[2] << 24;

        srat_cpu(p, e.apic_id, (e.node | high) & p->node_mask);
    }
}

static void srat_x2apic(const struct parser *p, const u8 *at)
{
    struct srat_x2apic e;

    memcpy(&e, at, sizeof(e));
    if (e.flags & SRAT_ENABLED) {
        srat_cpu(p, e.apic_id, e.node);
    }
}

static void srat_memory(const struct parser *p, const u8 *at)
{
    struct numa_firmware *n = &p->out->numa;
    struct srat_memory e;

    memcpy(&e, at, sizeof(e));
    if (!(e.flags & SRAT_ENABLED) || e.length == 0) {
        return;
    }
    if (e.base + e.length < e.base || n->nr_ranges == ARRAY_SIZE(n->range)) {
        complain(p, "ACPI: SRAT has %s range of memory at 0x%llx",
                 n->nr_ranges == ARRAY_SIZE(n->range) ? "one more" : "an endless",
                 (unsigned long long)e.base);
        return;
    }
    n->range[n->nr_ranges++] = (struct numa_range){ e.base, e.base + e.length,
                                                    e.node & p->node_mask };
}

static const struct entry_kind srat_kinds[] = {
    { SRAT_LAPIC, sizeof(struct srat_lapic), srat_lapic },
    { SRAT_MEMORY, sizeof(struct srat_memory), srat_memory },
    { SRAT_X2APIC, sizeof(struct srat_x2apic), srat_x2apic },
};

static void srat_parse(const struct parser *p, const u8 *table, u32 length)
{
    static const struct entries entries = { "SRAT", srat_kinds, ARRAY_SIZE(srat_kinds) };
    struct parser srat = *p;
    struct acpi_srat head;

    if (length < sizeof(head) || p->out->has_srat) {
        complain(p, "ACPI: SRAT is %s", p->out->has_srat ? "listed twice" : "cut short");
        return;
    }
    memcpy(&head, table, sizeof(head));
    srat.node_mask = head.header.revision < 2 ? 0xff : ~0u;
    p->out->has_srat = true;
    entries_parse(&srat, &entries, table, sizeof(head), length);
}

static void slit_parse(const struct parser *p, const u8 *table, u32 length)
{
    struct numa_firmware *n = &p->out->numa;
    struct acpi_slit slit = { 0 };

    memcpy(&slit, table, MIN(sizeof(slit), (size_t)length));
    if (length < sizeof(slit) || slit.nr == 0 || slit.nr > NR_NODES ||
        length - sizeof(slit) < slit.nr * slit.nr) {
        complain(p, "ACPI: SLIT is of no use");
        return;
    }
    n->nr_localities = (u32)slit.nr;
    memcpy(n->distance, table + sizeof(slit), slit.nr * slit.nr);
}

/* FADT and DSDT */

/* The 64-bit form where the table has it, else the port of the 32-bit one. */
static struct acpi_reg fadt_reg(struct acpi_gas gas, u32 port, u8 bytes)
{
    if (gas.address) {
        return (struct acpi_reg){ gas.address, gas.space, gas.bits };
    }
    return (struct acpi_reg){ port, ACPI_SPACE_IO, (u8)(bytes <= 8 ? bytes * 8 : 0) };
}

static u32 aml_integer(const u8 *at, size_t left, u8 *value)
{
    enum { AML_ZERO = 0x00, AML_ONE = 0x01, AML_BYTE = 0x0a, AML_WORD = 0x0b };

    if (left >= 1 && (at[0] == AML_ZERO || at[0] == AML_ONE)) {
        *value = at[0];
        return 1;
    }
    if (left >= 2 && at[0] == AML_BYTE) {
        *value = at[1];
        return 2;
    }
    if (left >= 3 && at[0] == AML_WORD) {
        *value = at[1];
        return 3;
    }
    return 0;
}

/* `at` is behind the name: Package (n) { SLP_TYPa, SLP_TYPb, ... } */
static bool s5_package(const u8 *at, size_t left, struct acpi_info *out)
{
    enum { AML_PACKAGE = 0x12 };
    size_t skip;
    u32 used;

    if (left < 2 || at[0] != AML_PACKAGE) {
        return false;
    }
    skip = 2u + (at[1] >> 6) + 1u; /* opcode, length of 1 to 4 bytes, number of elements */
    if (left < skip || at[skip - 1] < 1) {
        return false;
    }
    used = aml_integer(at + skip, left - skip, &out->s5_type_a);
    if (!used) {
        return false;
    }
    out->s5_type_b = out->s5_type_a;
    if (at[skip - 1] > 1) {
        aml_integer(at + skip + used, left - skip - used, &out->s5_type_b);
    }
    out->s5_type_a &= 7;
    out->s5_type_b &= 7;
    return true;
}

static void dsdt_parse(const struct parser *p, paddr_t pa)
{
    enum { AML_NAME = 0x08 };
    struct acpi_header head;
    const u8 *at = pa ? table_map(p, pa, &head) : NULL;

    if (!at) {
        return;
    }
    if (memcmp(head.signature, "DSDT", 4) != 0) {
        complain(p, "ACPI: what FADT points to is no DSDT");
        return;
    }
    for (size_t i = sizeof(head) + 1; i + 4 <= head.length && !p->out->has_s5; i++) {
        bool named = at[i - 1] == AML_NAME || (at[i - 1] == '\\' && at[i - 2] == AML_NAME);

        if (named && memcmp(at + i, "_S5_", 4) == 0) {
            p->out->has_s5 = s5_package(at + i + 4, head.length - i - 4, p->out);
        }
    }
}

static void fadt_parse(const struct parser *p, const u8 *table, u32 length)
{
    struct acpi_info *out = p->out;
    struct acpi_fadt f;

    if (length < offsetof(struct acpi_fadt, reset) || out->has_fadt) {
        complain(p, "ACPI: FADT is %s", out->has_fadt ? "listed twice" : "cut short");
        return;
    }
    table_copy(&f, sizeof(f), table, length);
    out->has_fadt = true;
    out->smi_command = (u16)f.smi_command;
    out->acpi_enable = f.acpi_enable;
    out->pm1a_control = fadt_reg(f.x_pm1a_control, f.pm1a_control, f.pm1_control_len);
    out->pm1b_control = fadt_reg(f.x_pm1b_control, f.pm1b_control, f.pm1_control_len);
    if (f.pm_timer_len == 4) {
        out->pm_timer = fadt_reg(f.x_pm_timer, f.pm_timer, f.pm_timer_len);
        out->pm_timer.bits = f.flags & FADT_TIMER_32BIT ? 32 : 24;
    }
    if (f.flags & FADT_HAS_RESET) {
        out->reset = (struct acpi_reg){ f.reset.address, f.reset.space, f.reset.bits };
        out->reset_value = f.reset_value;
    }
    dsdt_parse(p, f.x_dsdt ? f.x_dsdt : f.dsdt);
}

static void hpet_parse(const struct parser *p, const u8 *table, u32 length)
{
    struct acpi_hpet h;

    if (length < sizeof(h)) {
        complain(p, "ACPI: HPET is cut short");
        return;
    }
    memcpy(&h, table, sizeof(h));
    if (h.base.space != ACPI_SPACE_MEMORY) {
        complain(p, "ACPI: HPET is not in memory");
    } else if (!p->out->hpet) {
        p->out->hpet = h.base.address;
    }
}

/* Root table */

static const struct table_kind {
    char signature[5];
    void (*parse)(const struct parser *p, const u8 *table, u32 length);
} table_kinds[] = {
    { "APIC", madt_parse }, { "FACP", fadt_parse }, { "HPET", hpet_parse },
    { "SRAT", srat_parse }, { "SLIT", slit_parse },
};

/*
 * Only the tables that we want are mapped whole and summed: a bad one of the others is none of our
 * business.
 */
static void table_parse(const struct parser *p, paddr_t pa)
{
    const void *at = p->map(pa, sizeof(struct acpi_header));
    struct acpi_header head;

    if (!at) {
        complain(p, "ACPI: a table at no valid address 0x%llx", (unsigned long long)pa);
        return;
    }
    for (u32 i = 0; i < ARRAY_SIZE(table_kinds); i++) {
        if (memcmp(at, table_kinds[i].signature, 4) == 0) {
            const u8 *table = table_map(p, pa, &head);

            if (table) {
                table_kinds[i].parse(p, table, head.length);
            }
            return;
        }
    }
}

static bool root_parse(const struct parser *p, paddr_t pa, const char *signature, u32 pointer_size)
{
    struct acpi_header head;
    const u8 *table = table_map(p, pa, &head);

    if (!table) {
        return false;
    }
    if (memcmp(head.signature, signature, 4) != 0) {
        complain(p, "ACPI: what RSDP points to is no %s", signature);
        return false;
    }
    for (u32 at = sizeof(head); head.length - at >= pointer_size; at += pointer_size) {
        u64 entry = 0;

        memcpy(&entry, table + at, pointer_size);
        if (entry) {
            table_parse(p, entry);
        }
    }
    return true;
}

/* RSDP's second half, when it has one that is good; else it stays zero. */
static void rsdp_read(const struct parser *p, paddr_t pa, struct acpi_rsdp *out)
{
    const u8 *at = p->map(pa, ACPI_RSDP_V1_SIZE);

    memset(out, 0, sizeof(*out));
    if (!at) {
        return;
    }
    memcpy(out, at, ACPI_RSDP_V1_SIZE);
    at = out->revision >= 2 ? p->map(pa, sizeof(*out)) : NULL;
    if (at) {
        struct acpi_rsdp full;

        memcpy(&full, at, sizeof(full));
        at = NULL;
        if (full.length >= sizeof(full) && full.length <= PAGE_SIZE) {
            at = p->map(pa, full.length);
        }
        if (at && sum_is_zero(at, full.length)) {
            *out = full;
            return;
        }
    }
    if (out->revision >= 2) {
        complain(p, "ACPI: the RSDP's second half is bad: RSDT is used");
    }
}

bool acpi_parse(const void *(*map)(paddr_t pa, size_t len), paddr_t rsdp_hint,
                struct acpi_info *out, void (*report)(const char *text))
{
    struct parser p = { map, report, out, 0 };
    struct acpi_rsdp rsdp;

    memset(out, 0, sizeof(*out));
    out->rsdp = rsdp_find(&p, rsdp_hint);
    if (!out->rsdp) {
        complain(&p, "ACPI: no RSDP found");
        return false;
    }
    rsdp_read(&p, out->rsdp, &rsdp);
    if (rsdp.xsdt && root_parse(&p, rsdp.xsdt, "XSDT", 8)) {
        return true;
    }
    if (rsdp.rsdt && root_parse(&p, rsdp.rsdt, "RSDT", 4)) {
        return true;
    }
    complain(&p, "ACPI: no usable XSDT or RSDT");
    return false;
}
