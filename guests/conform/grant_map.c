/* SPDX-License-Identifier: MIT */
/*
 * gnt_map.c - mapping grants that the domain gave to itself, with each combination of flags,
 * from entries of each kind, to addresses that are wrong; and taking the mappings away again.
 */
#include "gnttab.h"

#define HOST GNTMAP_host_map
#define DEVICE GNTMAP_device_map
#define READ GNTMAP_readonly

static unsigned long frame_of(unsigned int given)
{
    return virt_to_mfn(gnt_given[given]);
}

/* The mapping, if there is one, goes away again, quietly. */
static void attempt(const char *name, uint64_t host, uint32_t flags, grant_ref_t ref, domid_t domid)
{
    struct gnttab_unmap_grant_ref op = { .host_addr = host };
    char text[64];

    fmt_snprintf(text, sizeof(text), "grant.map.%s", name);
    op.handle = gnt_map(text, host, flags, ref, domid);
    if (op.handle != NO_HANDLE) {
        if (!(flags & HOST)) {
            op.host_addr = 0;
        }
        if (flags & DEVICE) {
            op.dev_bus_addr = gnt_entry(ref)->frame * PAGE_SIZE;
        }
        gnt_op(GNTTABOP_unmap_grant_ref, &op, 1);
    }
    gnt_window_back(gnt_shown);
}

/* All combinations of the low five bits but contains_pte, on entries for both and for reading. */
static void check_flags(void)
{
    char name[32];

    for (uint32_t flags = 0; flags < 16; flags++) {
        gnt_give(REF, RW, 0, frame_of(0));
        fmt_snprintf(name, sizeof(name), "flags.%u", flags);
        attempt(name, gnt_window_at(0), flags, REF, 0);
        gnt_give(REF, RO, 0, frame_of(0));
        fmt_snprintf(name, sizeof(name), "flags.%u.ro_entry", flags);
        attempt(name, gnt_window_at(0), flags, REF, 0);
    }
    gnt_give(REF, RW, 0, frame_of(0));
    attempt("flags.32", gnt_window_at(0), HOST | 32, REF, 0);
    attempt("flags.avail", gnt_window_at(0), HOST | 7U << 16, REF, 0);
    attempt("flags.avail_more", gnt_window_at(0), HOST | 0x78U << 16, REF, 0);
    attempt("flags.max", gnt_window_at(0), ~0U & ~(unsigned)GNTMAP_contains_pte, REF, 0);
    result_hex("grant.map.entry_after", gnt_entry(REF)->flags);
}

static void check_entries(void)
{
    static const struct {
        const char *name;
        unsigned int flags;
    } kinds[] = {
        { "invalid", GTF_invalid },
        { "transfer", GTF_accept_transfer },
        { "transitive", GTF_transitive },
        { "reading", GTF_permit_access | GTF_reading },
        { "writing", GTF_permit_access | GTF_writing },
        { "ro_writing", GTF_permit_access | GTF_readonly | GTF_writing },
        { "cache", GTF_permit_access | GTF_PWT | GTF_PCD },
        { "pat", GTF_permit_access | GTF_PAT },
        { "sub_page", GTF_permit_access | GTF_sub_page },
        { "0x200", GTF_permit_access | 0x200 },
        { "0x8000", GTF_permit_access | 0x8000 },
        { "invalid_bits", GTF_readonly | GTF_reading },
    };
    char name[48];

    for (unsigned int i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        gnt_give(REF, kinds[i].flags, 0, frame_of(0));
        fmt_snprintf(name, sizeof(name), "entry.%s", kinds[i].name);
        attempt(name, gnt_window_at(0), HOST, REF, 0);
        result_hex("grant.map.entry.then", gnt_entry(REF)->flags);
        gnt_give(REF, kinds[i].flags, 0, frame_of(0));
        fmt_snprintf(name, sizeof(name), "entry.%s.read", kinds[i].name);
        attempt(name, gnt_window_at(0), HOST | READ, REF, 0);
    }
}

static void check_who(void)
{
    gnt_give(REF, RW, 7, frame_of(0));
    attempt("for_other", gnt_window_at(0), HOST, REF, 0);
    gnt_give(REF, RW, DOMID_SELF, frame_of(0));
    attempt("for_self", gnt_window_at(0), HOST, REF, 0);
    gnt_give(REF, RW, 0, frame_of(0));
    attempt("of_self", gnt_window_at(0), HOST, REF, DOMID_SELF);
    attempt("of_none", gnt_window_at(0), HOST, REF, 99);
    attempt("of_io", gnt_window_at(0), HOST, REF, DOMID_IO);
    attempt("of_xen", gnt_window_at(0), HOST, REF, DOMID_XEN);
    attempt("of_invalid", gnt_window_at(0), HOST, REF, DOMID_INVALID);
    attempt("of_idle", gnt_window_at(0), HOST, REF, DOMID_IDLE);
    attempt("ref.511", gnt_window_at(0), HOST, 511, 0);
    attempt("ref.512", gnt_window_at(0), HOST, 512, 0);
    attempt("ref.far", gnt_window_at(0), HOST, 100000, 0);
    attempt("ref.max", gnt_window_at(0), HOST, ~0U, 0);
    gnt_give(0, RW, 0, frame_of(0));
    attempt("ref.0", gnt_window_at(0), HOST, 0, 0);
    gnt_give(0, 0, 0, 0);
}

static void check_frames(void)
{
    gnt_give(REF, RW, 0, 0xfffffff0);
    attempt("frame.none", gnt_window_at(0), HOST, REF, 0);
    gnt_give(REF, RW, 0, 0x9f);
    attempt("frame.not_ours", gnt_window_at(0), HOST, REF, 0);
    gnt_give(REF, RO, 0, 0x9f);
    attempt("frame.not_ours.read", gnt_window_at(0), HOST | READ, REF, 0);
    gnt_give(REF, RW, 0, virt_to_mfn(page_table(1, scratch_page)));
    attempt("frame.table", gnt_window_at(0), HOST, REF, 0);
    attempt("frame.table.read", gnt_window_at(0), HOST | READ, REF, 0);
    attempt("frame.table.device", gnt_window_at(0), DEVICE, REF, 0);
    gnt_give(REF, RW, 0, start_info->shared_info / PAGE_SIZE);
    attempt("frame.shared_info", gnt_window_at(0), HOST, REF, 0);
    attempt("frame.shared_info.read", gnt_window_at(0), HOST | READ, REF, 0);
}

static void check_addresses(void)
{
    gnt_give(REF, RW, 0, frame_of(0));
    attempt("host.odd", gnt_window_at(0) + 8, HOST, REF, 0);
    attempt("host.last_byte", gnt_window_at(0) + 4095, HOST, REF, 0);
    attempt("host.no_l1", 0x10000000000, HOST, REF, 0);
    attempt("host.0", 0, HOST, REF, 0);
    attempt("host.xen", ARG(XEN_POINTER), HOST, REF, 0);
    attempt("host.m2p", ARG(machine_to_phys_mapping), HOST, REF, 0);
    attempt("host.wrong", ARG(WRONG_POINTER), HOST, REF, 0);
    attempt("host.max", ~0UL, HOST, REF, 0);
    update_va_mapping(gnt_windows[0], 0, UVMF_INVLPG);
    attempt("host.was_empty", gnt_window_at(0), HOST, REF, 0);
    result_hex("grant.map.host.entry_after", gnt_entry(REF)->flags);
}

/* Two mappings at once, for writing and reading; the bits of the entry count them. */
static void check_two(void)
{
    uint64_t a = gnt_window_at(0), b = gnt_window_at(1);
    grant_handle_t write, read;

    gnt_give(REF, RW, 0, frame_of(0));
    words_of(gnt_given[0])[0] = 4711;
    read = gnt_map("grant.two.read", b, HOST | READ, REF, 0);
    result("grant.two.read.value", (long)words_of(gnt_windows[1])[0]);
    write = gnt_map("grant.two.write", a, HOST, REF, 0);
    result("grant.two.handles", read != write);
    words_of(gnt_windows[0])[0] = 4712;
    result("grant.two.value", (long)words_of(gnt_given[0])[0]);
    gnt_entry(REF)->flags = (uint16_t)(gnt_entry(REF)->flags | GTF_readonly);
    gnt_unmap("grant.two.unmap.write", a, 0, write);
    gnt_unmap("grant.two.unmap.write.again", a, 0, write);
    gnt_unmap("grant.two.unmap.read", b, 0, read);
    gnt_unmap("grant.two.unmap.read.again", b, 0, read);
    gnt_window_back(0);
    gnt_window_back(1);
}

static void check_unmap(void)
{
    uint64_t at = gnt_window_at(0);
    grant_handle_t h;

    gnt_give(REF, RW, 0, frame_of(0));
    h = gnt_map("grant.unmap.map", at, HOST, REF, 0);
    gnt_unmap("grant.unmap.handle_max", at, 0, ~0U);
    gnt_unmap("grant.unmap.handle_far", at, 0, 1U << 20);
    gnt_unmap("grant.unmap.handle_unused", at, 0, h + 100);
    gnt_unmap("grant.unmap.other_page", gnt_window_at(1), 0, h);
    gnt_unmap("grant.unmap.no_l1", 0x10000000000, 0, h);
    gnt_unmap("grant.unmap.xen", ARG(XEN_POINTER), 0, h);
    gnt_unmap("grant.unmap.wrong", ARG(WRONG_POINTER), 0, h);
    gnt_unmap("grant.unmap.bus_not_mapped", 0, frame_of(0) * PAGE_SIZE, h);
    gnt_unmap("grant.unmap.nothing", 0, 0, h);
    gnt_unmap("grant.unmap.good", at, 0, h);
    gnt_window_back(0);
    h = gnt_map("grant.unmap.map_bus", at, HOST, REF, 0);
    gnt_unmap("grant.unmap.bus_wrong", at, 0x1000, h);
    gnt_window_back(0);
    h = gnt_map("grant.unmap.map_odd", at, HOST, REF, 0);
    gnt_unmap("grant.unmap.odd", at + 8, 0, h);
    gnt_window_back(0);
    gnt_window_back(1);
}

static void check_unmap_device(void)
{
    uint64_t at = gnt_window_at(0);
    grant_handle_t h = gnt_map("grant.unmap.map_device", at, HOST | DEVICE, REF, 0);

    gnt_unmap("grant.unmap.device.wrong", 0, 0x1000, h);
    gnt_unmap("grant.unmap.device.host", at, 0, h);
    gnt_unmap("grant.unmap.device.host_again", at, 0, h);
    gnt_unmap("grant.unmap.device", 0, frame_of(0) * PAGE_SIZE, h);
    gnt_unmap("grant.unmap.device.again", 0, frame_of(0) * PAGE_SIZE, h);
    gnt_window_back(0);
    h = gnt_map("grant.unmap.map_both", at, HOST | DEVICE, REF, 0);
    gnt_unmap("grant.unmap.both", at, frame_of(0) * PAGE_SIZE, h);
    gnt_window_back(0);
    h = gnt_map("grant.unmap.map_first", at, HOST | DEVICE, REF, 0);
    gnt_unmap("grant.unmap.first.device", 0, frame_of(0) * PAGE_SIZE, h);
    gnt_unmap("grant.unmap.first.device_again", 0, frame_of(0) * PAGE_SIZE, h);
    gnt_unmap("grant.unmap.first.host", at, 0, h);
    gnt_window_back(0);
    h = gnt_map("grant.unmap.map_host", at, HOST, REF, 0);
    gnt_unmap("grant.unmap.host.with_bus", at, frame_of(0) * PAGE_SIZE, h);
    gnt_unmap("grant.unmap.host.with_bus.again", at, 0, h);
    gnt_window_back(0);
}

/* The owner takes the entry away, or changes it, while it is mapped. */
static void check_revoke(void)
{
    uint64_t at = gnt_window_at(0);
    grant_handle_t h;

    gnt_give(REF, RW, 0, frame_of(0));
    h = gnt_map("grant.revoke.map", at, HOST, REF, 0);
    gnt_entry(REF)->flags = 0;
    words_of(gnt_windows[0])[0] = 99;
    result("grant.revoke.still_there", (long)words_of(gnt_given[0])[0]);
    gnt_shown = 1;
    attempt("revoke.other_map", gnt_window_at(1), HOST, REF, 0);
    attempt("revoke.other_map.read", gnt_window_at(1), HOST | READ, REF, 0);
    gnt_shown = 0;
    gnt_unmap("grant.revoke.unmap", at, 0, h);
    gnt_window_back(0);
    attempt("revoke.then", at, HOST, REF, 0);
}

static void check_change(void)
{
    uint64_t at = gnt_window_at(0);
    grant_handle_t h;

    gnt_give(REF, RW, 0, frame_of(0));
    h = gnt_map("grant.change.map", at, HOST | READ, REF, 0);
    gnt_shown = 1;
    gnt_entry(REF)->frame = (uint32_t)frame_of(1);
    attempt("change.frame", gnt_window_at(1), HOST, REF, 0);
    gnt_entry(REF)->domid = 7;
    attempt("change.domain", gnt_window_at(1), HOST, REF, 0);
    attempt("change.domain.read", gnt_window_at(1), HOST | READ, REF, 0);
    gnt_entry(REF)->domid = 0;
    gnt_entry(REF)->flags = RO;
    attempt("change.read_only", gnt_window_at(1), HOST, REF, 0);
    attempt("change.read_only.read", gnt_window_at(1), HOST | READ, REF, 0);
    gnt_shown = 0;
    gnt_unmap("grant.change.unmap", at, 0, h);
    gnt_window_back(0);
    attempt("change.then", at, HOST | READ, REF, 0);
}

void check_grant_map(void)
{
    check_flags();
    check_entries();
    check_who();
    check_frames();
    check_addresses();
    check_two();
    check_unmap();
    check_unmap_device();
    check_revoke();
    check_change();
}
