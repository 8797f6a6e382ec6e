/* sources: arch/x86/cpu/acpi.c lib/numa.c lib/printf.c lib/str.c */
/* SPDX-License-Identifier: MIT */
/*
 * libFuzzer on the ACPI tables. The input is a row of tables: kind (1 byte), size (2 bytes), body.
 * Each gets a header and a right checksum, and stands in the XSDT; a DSDT goes where the FADTs
 * point. Kind's top bit: the header claims another length than it has. What is mapped is a heap
 * block of its own. What SRAT and SLIT say then becomes nodes.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <x86/acpi.h>
#include <x86/acpi_tables.h>

#define MEMORY_SIZE 0x110000u
#define RSDP 0xe0000u
#define XSDT 0x1000u
#define DSDT 0x80000u
#define FIRST_TABLE 0x10000u
#define MAX_TABLES 64u

static u8 memory[MEMORY_SIZE];
static void *mappings[1024];
static u32 nr_mappings;

static const void *map(paddr_t pa, size_t len)
{
    void *copy;

    if (pa >= MEMORY_SIZE || len > MEMORY_SIZE - pa || nr_mappings == ARRAY_SIZE(mappings)) {
        return NULL;
    }
    copy = malloc(len);
    memcpy(copy, memory + pa, len);
    mappings[nr_mappings++] = copy;
    return copy;
}

static void report(const char *text)
{
    if (strlen(text) > 128 || strchr(text, '\n')) {
        abort();
    }
}

static void set_sum(u8 *at, u32 len, u8 *checksum)
{
    u8 s = 0;

    *checksum = 0;
    for (u32 i = 0; i < len; i++) {
        s = (u8)(s + at[i]);
    }
    *checksum = (u8)-s;
}

static void put_table(u32 pa, const char *signature, const u8 *body, u32 size, u32 claimed)
{
    struct acpi_header h = { .length = claimed };

    memcpy(h.signature, signature, 4);
    memcpy(memory + pa, &h, sizeof(h));
    memcpy(memory + pa + sizeof(h), body, size);
    if (memcmp(signature, "FACP", 4) == 0) {
        u32 dsdt = DSDT;

        memcpy(memory + pa + offsetof(struct acpi_fadt, dsdt), &dsdt, 4);
    }
    if (claimed >= 10 && claimed <= MEMORY_SIZE - pa) {
        set_sum(memory + pa, claimed, memory + pa + offsetof(struct acpi_header, checksum));
    }
}

/* The input's tables; the addresses for the XSDT go to `list`. Returns how many. */
static u32 put_tables(const u8 *data, size_t size, u64 *list)
{
    static const char *const kinds[] = { "APIC", "FACP", "HPET", "DSDT",
                                         "XSDT", "SSDT", "SRAT", "SLIT" };
    u32 pa = FIRST_TABLE;
    u32 n = 0;

    while (size >= 3 && n < MAX_TABLES) {
        const char *kind = kinds[(data[0] & 0x7f) % ARRAY_SIZE(kinds)];
        bool is_dsdt = memcmp(kind, "DSDT", 4) == 0;
        u32 len = (u32)data[1] | (u32)(data[2] & 0x0f) << 8;
        u32 claimed;

        len = (u32)MIN((size_t)len, size - 3);
        claimed = (u32)sizeof(struct acpi_header) + len;
        if ((data[0] & 0x80) && len) {
            claimed += (u32)(s32)(s8)data[3];
        }
        put_table(is_dsdt ? DSDT : pa, kind, data + 3, len, claimed);
        list[n++] = is_dsdt ? DSDT : pa;
        pa += is_dsdt ? 0 : len + (u32)sizeof(struct acpi_header);
        data += 3 + len;
        size -= 3 + len;
    }
    return n;
}

static void put_roots(const u64 *list, u32 n)
{
    struct acpi_rsdp r = { .revision = 2, .length = sizeof(r), .xsdt = XSDT };

    memcpy(r.signature, "RSD PTR ", 8);
    set_sum((u8 *)&r, ACPI_RSDP_V1_SIZE, &r.checksum);
    set_sum((u8 *)&r, sizeof(r), &r.full_checksum);
    memcpy(memory + RSDP, &r, sizeof(r));
    put_table(XSDT, "XSDT", (const u8 *)list, n * 8, (u32)sizeof(struct acpi_header) + n * 8);
}

/* Nodes are dense and all memory is somebody's. */
static void check_nodes(const struct numa_firmware *fw)
{
    static struct topology t;
    static struct numa n;
    u64 bytes[NR_NODES] = { 0 }, total = 0;

    t.nr_cpus = 8;
    for (u32 cpu = 0; cpu < t.nr_cpus; cpu++) {
        t.cpu[cpu].apic_id = cpu;
    }
    numa_build(fw, 1UL << 40, &t, &n, report);
    numa_count(&n, 0, 1UL << 40, bytes);
    for (u32 i = 0; i < NR_NODES; i++) {
        total += bytes[i];
        if (i >= n.nr_nodes && bytes[i]) {
            abort();
        }
    }
    for (u32 cpu = 0; cpu < t.nr_cpus; cpu++) {
        if (t.cpu[cpu].node >= n.nr_nodes) {
            abort();
        }
    }
    if (total != 1UL << 40) {
        abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct acpi_info info;
    u64 list[MAX_TABLES];

    memset(memory + FIRST_TABLE, 0, 0x8000);
    memset(memory + DSDT, 0, 0x2000);
    put_roots(list, put_tables(data, size, list));
    if (!acpi_parse(map, 0, &info, report) || info.nr_cpus > ACPI_MAX_CPUS ||
        info.nr_ioapics > ACPI_MAX_IOAPICS || info.nr_overrides > ACPI_MAX_OVERRIDES ||
        info.s5_type_a > 7 || info.s5_type_b > 7) {
        abort();
    }
    check_nodes(&info.numa);
    while (nr_mappings) {
        free(mappings[--nr_mappings]);
    }
    /* And with the input as the memory where the RSDP is searched. */
    memcpy(memory + RSDP + 16, data, MIN(size, (size_t)4096));
    acpi_parse(map, RSDP + 16, &info, report);
    memset(memory + RSDP, 0, 8192);
    while (nr_mappings) {
        free(mappings[--nr_mappings]);
    }
    return 0;
}
