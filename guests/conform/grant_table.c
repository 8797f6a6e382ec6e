/* SPDX-License-Identifier: MIT */
/*
 * grant_table.c - the table itself: its size and versions, how it grows, swapped entries, the
 * operations that are not for us, counts and pointers.
 */
#include "gnttab.h"

static xen_pfn_t frames[128];

static void setup(const char *name, domid_t domid, uint32_t nr, xen_pfn_t *list)
{
    struct gnttab_setup_table op = { .dom = domid, .nr_frames = nr, .status = 77 };
    unsigned int given = 0;
    char text[64];
    long rc;

    memset(frames, 0, sizeof(frames));
    set_xen_guest_handle(op.frame_list, list);
    rc = gnt_op(GNTTABOP_setup_table, &op, 1);
    for (unsigned int i = 0; i < 128; i++) {
        given += frames[i] != 0;
    }
    fmt_snprintf(text, sizeof(text), "grant.setup.%s", name);
    resultf(text, "%ld status %d frames %u", rc, op.status, given);
}

static void query(const char *name, domid_t domid)
{
    struct gnttab_query_size op = { .dom = domid, .status = 77 };
    long rc = gnt_op(GNTTABOP_query_size, &op, 1);
    char text[64];

    fmt_snprintf(text, sizeof(text), "grant.query.%s", name);
    resultf(text, "%ld status %d frames %u of %u", rc, op.status, op.nr_frames, op.max_nr_frames);
}

/* Before the table is looked at by anybody else: the version may be set. */
static long set_version(uint32_t version, uint32_t *got)
{
    struct gnttab_set_version op = { .version = version };
    long rc = gnt_op(GNTTABOP_set_version, &op, 1);

    *got = op.version;
    return rc;
}

static void version(const char *name, uint32_t wanted)
{
    uint32_t got;
    long rc = set_version(wanted, &got);
    char text[64];

    fmt_snprintf(text, sizeof(text), "grant.version.%s", name);
    resultf(text, "%ld version %u", rc, got);
}

static void get_version(const char *name, domid_t domid)
{
    struct gnttab_get_version op = { .dom = domid, .version = 77 };
    long rc = gnt_op(GNTTABOP_get_version, &op, 1);
    char text[64];

    fmt_snprintf(text, sizeof(text), "grant.version.%s", name);
    resultf(text, "%ld version %u", rc, op.version);
}

static void status_frames(const char *name, domid_t domid, uint32_t nr)
{
    struct gnttab_get_status_frames op = { .dom = domid, .nr_frames = nr, .status = 77 };
    static uint64_t list[8];
    char text[64];
    long rc;

    set_xen_guest_handle(op.frame_list, list);
    rc = gnt_op(GNTTABOP_get_status_frames, &op, 1);
    fmt_snprintf(text, sizeof(text), "grant.status_frames.%s", name);
    resultf(text, "%ld status %d", rc, op.status);
}

void check_grant_version(void)
{
    get_version("first", DOMID_SELF);
    query("first", DOMID_SELF);
    version("set_0", 0);
    version("set_3", 3);
    version("set_max", ~0U);
    version("set_2", 2);
    get_version("after_2", DOMID_SELF);
    version("set_1", 1);
    version("set_1_again", 1);
    get_version("then", DOMID_SELF);
    get_version("of_0", 0);
    get_version("of_none", 99);
    get_version("of_io", DOMID_IO);
    get_version("of_invalid", DOMID_INVALID);
    status_frames("self", DOMID_SELF, 1);
    status_frames("none", DOMID_SELF, 0);
    status_frames("no_domain", 99, 1);
}

static void check_size(void)
{
    query("self", DOMID_SELF);
    query("own_number", 0);
    query("no_domain", 99);
    query("io", DOMID_IO);
    query("xen", DOMID_XEN);
    query("invalid", DOMID_INVALID);
    query("idle", DOMID_IDLE);
    setup("1", DOMID_SELF, 1, frames);
    setup("0", DOMID_SELF, 0, frames);
    setup("0.bad", DOMID_SELF, 0, BAD_POINTER);
    setup("own_number", 0, 1, frames);
    setup("no_domain", 99, 1, frames);
    setup("io", DOMID_IO, 1, frames);
    setup("invalid", DOMID_INVALID, 1, frames);
    setup("bad", DOMID_SELF, 1, BAD_POINTER);
    setup("xen", DOMID_SELF, 1, XEN_POINTER);
    setup("65", DOMID_SELF, 65, frames);
    setup("max", DOMID_SELF, ~0U, frames);
    query("before_growth", DOMID_SELF);
    setup("2", DOMID_SELF, 2, frames);
    query("2", DOMID_SELF);
    setup("64", DOMID_SELF, 64, frames);
    query("64", DOMID_SELF);
    setup("less", DOMID_SELF, 3, frames);
    query("less", DOMID_SELF);
}

/* An entry of the last frame works as one of the first. */
static void check_last(void)
{
    grant_ref_t ref = 64 * 512 - 1;
    volatile struct grant_entry_v1 *e;
    grant_handle_t h;

    setup("last", DOMID_SELF, 64, frames);
    update_va_mapping(gnt_windows[1], frames[63] * PAGE_SIZE | 0x63, UVMF_INVLPG);
    e = (volatile struct grant_entry_v1 *)(volatile void *)gnt_windows[1] + 511;
    e->domid = 0;
    e->frame = (uint32_t)virt_to_mfn(gnt_given[0]);
    e->flags = GTF_permit_access;
    h = gnt_map_quietly(gnt_window_at(0), GNTMAP_host_map, ref, 0);
    result("grant.last.mapped", h != NO_HANDLE);
    result_hex("grant.last.entry", e->flags);
    gnt_unmap("grant.last.unmap", gnt_window_at(0), 0, h);
    gnt_map("grant.last.beyond", gnt_window_at(0), GNTMAP_host_map, ref + 1, 0);
    e->flags = 0;
    gnt_window_back(0);
    gnt_window_back(1);
}

static void swap(const char *name, grant_ref_t a, grant_ref_t b)
{
    struct gnttab_swap_grant_ref op = { .ref_a = a, .ref_b = b, .status = 77 };
    long rc = gnt_op(GNTTABOP_swap_grant_ref, &op, 1);
    char text[64];

    fmt_snprintf(text, sizeof(text), "grant.swap.%s", name);
    resultf(text, "%ld status %d entries 0x%x %u and 0x%x %u", rc, op.status, gnt_entry(REF)->flags,
            gnt_entry(REF)->domid, gnt_entry(REF + 1)->flags, gnt_entry(REF + 1)->domid);
}

static void check_swap(void)
{
    grant_handle_t h;

    gnt_give(REF, RW, 0, virt_to_mfn(gnt_given[0]));
    gnt_give(REF + 1, RO, 7, virt_to_mfn(gnt_given[1]));
    swap("both", REF, REF + 1);
    swap("back", REF, REF + 1);
    swap("same", REF, REF);
    swap("far", REF, 1U << 20);
    swap("far_first", ~0U, REF);
    swap("far_both", ~0U, ~0U);
    h = gnt_map_quietly(gnt_window_at(0), GNTMAP_host_map, REF, 0);
    swap("mapped", REF, REF + 1);
    swap("mapped_second", REF + 1, REF);
    swap("mapped_same", REF, REF);
    gnt_unmap("grant.swap.unmap", gnt_window_at(0), 0, h);
    gnt_window_back(0);
    swap("reserved", 0, REF);
    swap("reserved_back", 0, REF);
    gnt_give(REF, 0, 0, 0);
    gnt_give(REF + 1, 0, 0, 0);
}

static void flush(const char *name, uint32_t op_flags, unsigned int offset, unsigned int length)
{
    struct gnttab_cache_flush op = { .offset = (uint16_t)offset, .length = (uint16_t)length };
    char text[64];

    op.a.dev_bus_addr = virt_to_mfn(gnt_given[0]) * PAGE_SIZE;
    op.op = op_flags;
    fmt_snprintf(text, sizeof(text), "grant.flush.%s", name);
    result(text, gnt_op(GNTTABOP_cache_flush, &op, 1));
}

static void check_flush(void)
{
    flush("nothing", 0, 0, 64);
    flush("clean", GNTTAB_CACHE_CLEAN, 0, 64);
    flush("inval", GNTTAB_CACHE_INVAL, 0, 64);
    flush("no_length", GNTTAB_CACHE_CLEAN, 0, 0);
    flush("over", GNTTAB_CACHE_CLEAN, 4000, 200);
    flush("unknown", 4, 0, 64);
}

static void transfer(const char *name, domid_t domid, unsigned long frame)
{
    struct gnttab_transfer op = { .mfn = frame, .domid = domid, .ref = REF, .status = 77 };
    long rc = gnt_op(GNTTABOP_transfer, &op, 1);
    char text[64];

    fmt_snprintf(text, sizeof(text), "grant.transfer.%s", name);
    resultf(text, "%ld status %d", rc, op.status);
}

static void check_transfer(void)
{
    transfer("no_frame", 0, 0xfffffff0);
    transfer("no_domain", 99, virt_to_mfn(gnt_given[2]));
    transfer("not_accepted", 0, 0x9f);
}

static void check_arguments(void)
{
    static const struct {
        const char *name;
        unsigned int cmd;
    } ops[] = {
        { "map", GNTTABOP_map_grant_ref },
        { "unmap", GNTTABOP_unmap_grant_ref },
        { "setup_table", GNTTABOP_setup_table },
        { "dump_table", GNTTABOP_dump_table },
        { "transfer", GNTTABOP_transfer },
        { "copy", GNTTABOP_copy },
        { "query_size", GNTTABOP_query_size },
        { "unmap_and_replace", GNTTABOP_unmap_and_replace },
        { "set_version", GNTTABOP_set_version },
        { "get_status_frames", GNTTABOP_get_status_frames },
        { "get_version", GNTTABOP_get_version },
        { "swap_grant_ref", GNTTABOP_swap_grant_ref },
        { "cache_flush", GNTTABOP_cache_flush },
        { "13", 13 },
        { "20", 20 },
        { "max", 0x7fffffff },
        { "negative", ~0U },
        { "map_high", 0x100 },
    };
    static const struct {
        const char *name;
        void *arg;
        unsigned int count;
    } args[] = {
        { "bad", BAD_POINTER, 1 },
        { "xen", XEN_POINTER, 1 },
        { "wrong", WRONG_POINTER, 1 },
        { "bad.0", BAD_POINTER, 0 },
        { "xen.0", XEN_POINTER, 0 },
        { "bad.2", BAD_POINTER, 2 },
        { "bad.many", BAD_POINTER, 0x7fffffff },
        { "bad.negative", BAD_POINTER, ~0U },
    };
    char name[64];

    for (unsigned int i = 0; i < sizeof(ops) / sizeof(ops[0]); i++) {
        for (unsigned int a = 0; a < sizeof(args) / sizeof(args[0]); a++) {
            fmt_snprintf(name, sizeof(name), "grant.args.%s.%s", ops[i].name, args[a].name);
            result(name, gnt_op(ops[i].cmd, args[a].arg, args[a].count));
        }
    }
}

/* Several elements in one call, the middle one wrong; and an array that ends in the middle. */
static void check_batch(void)
{
    static struct gnttab_map_grant_ref maps[3];
    static struct gnttab_unmap_grant_ref unmaps[3];
    struct gnttab_map_grant_ref *cut = (void *)(ARG(scratch_page) + PAGE_SIZE - sizeof(*cut) -
                                                sizeof(*cut) / 2);
    long rc;

    for (unsigned int i = 0; i < 3; i++) {
        gnt_give(REF + i, i == 1 ? 0 : RW, 0, virt_to_mfn(gnt_given[i]));
        maps[i] = (struct gnttab_map_grant_ref){
            .host_addr = gnt_window_at(i),
            .flags = GNTMAP_host_map,
            .ref = REF + i,
        };
    }
    rc = gnt_op(GNTTABOP_map_grant_ref, maps, 3);
    resultf("grant.batch.map", "%ld status %d %d %d", rc, maps[0].status, maps[1].status,
            maps[2].status);
    for (unsigned int i = 0; i < 3; i++) {
        unmaps[i].host_addr = gnt_window_at(i);
        unmaps[i].handle = i == 1 ? ~0U : maps[i].handle;
    }
    rc = gnt_op(GNTTABOP_unmap_grant_ref, unmaps, 3);
    resultf("grant.batch.unmap", "%ld status %d %d %d entries 0x%x 0x%x", rc, unmaps[0].status,
            unmaps[1].status, unmaps[2].status, gnt_entry(REF)->flags, gnt_entry(REF + 2)->flags);
    for (unsigned int i = 0; i < 3; i++) {
        gnt_window_back(i);
    }
    *cut = maps[0];
    update_va_mapping(other_page, 0, UVMF_INVLPG);
    rc = gnt_op(GNTTABOP_map_grant_ref, cut, 1);
    resultf("grant.batch.whole", "%ld status %d", rc, cut->status);
    unmaps[0].handle = cut->handle;
    gnt_op(GNTTABOP_unmap_grant_ref, unmaps, 1);
    gnt_window_back(0);
    update_va_mapping(other_page, virt_to_mfn(other_page) * PAGE_SIZE | 0x63, UVMF_INVLPG);
}

void check_grant_table(void)
{
    check_swap();
    check_flush();
    check_transfer();
    check_batch();
    check_size();
    check_last();
    check_arguments();
    version("set_1_in_use", 1);
    version("set_2_in_use", 2);
}
