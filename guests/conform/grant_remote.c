/* SPDX-License-Identifier: MIT */
/*
 * grant_remote.c - grants of another domain: its table set up for it, its page mapped and copied
 * from, and what is left of that when it takes the grant back, gives the page away, or dies.
 */
#include "gnttab.h"

#include <xen/domctl.h>

#define HOST GNTMAP_host_map
#define THEIR_REF 9U

static volatile char table_page[PAGE_SIZE] __attribute__((aligned(4096)));
static volatile char their_page[PAGE_SIZE] __attribute__((aligned(4096)));
static unsigned long frame;
static xen_pfn_t setup_list[8];

static volatile struct grant_entry_v1 *entry(void)
{
    return (volatile struct grant_entry_v1 *)(volatile void *)table_page + THEIR_REF;
}

static void give(unsigned int flags, domid_t domid, unsigned long mfn)
{
    entry()->flags = 0;
    entry()->domid = domid;
    entry()->frame = (uint32_t)mfn;
    entry()->flags = (uint16_t)flags;
}

/* A frame of theirs at a page of ours. */
static long map_foreign(volatile char *at, unsigned long mfn)
{
    struct mmu_update op = { l1e_maddr(at), mfn * PAGE_SIZE | 0x63 };
    struct mmuext_op flush = { .cmd = MMUEXT_INVLPG_LOCAL };
    long rc = mmu_update(&op, 1, NULL, REMOTE);

    flush.arg1.linear_addr = ARG(at);
    mmuext_op(&flush, 1, NULL, DOMID_SELF);
    return rc;
}

static void unmap_foreign(volatile char *at)
{
    update_va_mapping(at, virt_to_mfn(at) * PAGE_SIZE | 0x63, UVMF_INVLPG);
}

static void setup(const char *name, uint32_t nr, xen_pfn_t *list)
{
    struct gnttab_setup_table op = { .dom = REMOTE, .nr_frames = nr, .status = 77 };
    char text[64];
    long rc;

    set_xen_guest_handle(op.frame_list, list);
    rc = gnt_op(GNTTABOP_setup_table, &op, 1);
    fmt_snprintf(text, sizeof(text), "grant.remote.setup.%s", name);
    resultf(text, "%ld status %d", rc, op.status);
}

static void check_setup(void)
{
    struct gnttab_query_size query = { .dom = REMOTE };

    setup("5", 5, setup_list);
    setup("1", 1, setup_list);
    result("grant.remote.table", map_foreign(table_page, setup_list[0]));
    gnt_op(GNTTABOP_query_size, &query, 1);
    resultf("grant.remote.query", "status %d frames %u of %u", query.status, query.nr_frames,
            query.max_nr_frames);
    frame = remote_page(0);
    result("grant.remote.page", frame != 0);
    result("grant.remote.foreign", map_foreign(their_page, frame));
    words_of(their_page)[0] = 4242;
}

static grant_handle_t map(const char *name, uint32_t flags)
{
    struct gnttab_map_grant_ref op = {
        .host_addr = gnt_window_at(0),
        .flags = flags,
        .ref = THEIR_REF,
        .dom = REMOTE,
        .status = 77,
        .handle = NO_HANDLE,
    };
    long rc = gnt_op(GNTTABOP_map_grant_ref, &op, 1);
    char text[64];

    fmt_snprintf(text, sizeof(text), "grant.remote.%s", name);
    resultf(text, "%ld status %d entry 0x%x pte 0x%lx", rc, op.status, entry()->flags,
            gnt_window_flags(0));
    return rc == 0 && op.status == 0 ? op.handle : NO_HANDLE;
}

static void unmap(const char *name, grant_handle_t handle)
{
    struct gnttab_unmap_grant_ref op = { .host_addr = gnt_window_at(0), .handle = handle };
    long rc = gnt_op(GNTTABOP_unmap_grant_ref, &op, 1);
    char text[64];

    fmt_snprintf(text, sizeof(text), "grant.remote.%s", name);
    resultf(text, "%ld status %d entry 0x%x", rc, op.status, entry()->flags);
    gnt_window_back(0);
}

static void check_map(void)
{
    grant_handle_t h;

    give(RW, 0, frame);
    h = map("map", HOST);
    result("grant.remote.map.value", (long)words_of(gnt_windows[0])[0]);
    unmap("map.unmap", h);
    give(RO, 0, frame);
    map("map.ro_entry", HOST);
    h = map("map.read", HOST | GNTMAP_readonly);
    unmap("map.read.unmap", h);
    give(RW, 7, frame);
    map("map.for_other", HOST);
    give(RW, 0, virt_to_mfn(gnt_given[0]));
    map("map.frame_of_ours", HOST);
    give(RW, 0, 0x9f);
    map("map.frame_of_none", HOST);
    give(RW, 0, frame);
    h = map("revoke.map", HOST);
    give(0, 0, 0);
    result("grant.remote.revoke.value", (long)words_of(gnt_windows[0])[0]);
    unmap("revoke.unmap", h);
}

static void copy(const char *name, bool from)
{
    struct gnttab_copy op = { .len = 8, .status = 77 };
    struct gnttab_copy_ptr *theirs = from ? &op.source : &op.dest;
    struct gnttab_copy_ptr *ours = from ? &op.dest : &op.source;
    char text[64];
    long rc;

    theirs->domid = REMOTE;
    theirs->u.ref = THEIR_REF;
    ours->domid = DOMID_SELF;
    ours->u.gmfn = virt_to_mfn(gnt_given[0]);
    op.flags = from ? GNTCOPY_source_gref : GNTCOPY_dest_gref;
    rc = gnt_op(GNTTABOP_copy, &op, 1);
    fmt_snprintf(text, sizeof(text), "grant.remote.copy.%s", name);
    resultf(text, "%ld status %d entry 0x%x theirs %lu ours %lu", rc, op.status, entry()->flags,
            words_of(their_page)[0], words_of(gnt_given[0])[0]);
}

static void check_copy(void)
{
    struct gnttab_copy op = { .len = 8, .status = 77 };

    give(RW, 0, frame);
    words_of(gnt_given[0])[0] = 1;
    copy("from", true);
    words_of(gnt_given[0])[0] = 2;
    copy("to", false);
    give(RO, 0, frame);
    copy("from_ro", true);
    copy("to_ro", false);
    op.source.domid = REMOTE;
    op.source.u.gmfn = frame;
    op.dest.domid = DOMID_SELF;
    op.dest.u.gmfn = virt_to_mfn(gnt_given[0]);
    gnt_op(GNTTABOP_copy, &op, 1);
    result("grant.remote.copy.frame", op.status);
    op.source.domid = DOMID_SELF;
    gnt_op(GNTTABOP_copy, &op, 1);
    result("grant.remote.copy.frame_as_ours", op.status);
}

static void info(const char *name)
{
    static struct xen_domctl op;
    char text[64];
    long rc;

    memset(&op, 0, sizeof(op));
    op.cmd = XEN_DOMCTL_getdomaininfo;
    op.interface_version = XEN_DOMCTL_INTERFACE_VERSION;
    op.domain = REMOTE;
    rc = hypercall(__HYPERVISOR_domctl, ARG(&op), 0, 0, 0, 0);
    fmt_snprintf(text, sizeof(text), "grant.remote.%s.info", name);
    resultf(text, "%ld flags 0x%x pages %lu", rc, op.u.getdomaininfo.flags,
            op.u.getdomaininfo.tot_pages);
}

static long take_page(void)
{
    static xen_pfn_t list[1];
    struct xen_memory_reservation op = { .nr_extents = 1, .domid = REMOTE };

    list[0] = frame;
    set_xen_guest_handle(op.extent_start, list);
    return memory_op(XENMEM_decrease_reservation, &op);
}

/* The page stays as long as it is mapped, whoever owns what. */
static void check_page_gone(void)
{
    grant_handle_t h;

    words_of(their_page)[0] = 777;
    unmap_foreign(their_page);
    give(RW, 0, frame);
    h = map("gone.map", HOST);
    info("gone.before");
    result("grant.remote.gone.decrease", take_page());
    info("gone.after");
    result("grant.remote.gone.value", (long)words_of(gnt_windows[0])[0]);
    result("grant.remote.gone.again", map_foreign(their_page, frame));
    unmap_foreign(their_page);
    unmap("gone.unmap", h);
    info("gone.unmapped");
    map("gone.map_again", HOST);
    gnt_window_back(0);
}

static void check_death(void)
{
    struct gnttab_unmap_grant_ref second = { .host_addr = gnt_window_at(1) };
    grant_handle_t h;

    frame = remote_page(1);
    map_foreign(their_page, frame);
    words_of(their_page)[0] = 888;
    unmap_foreign(their_page);
    give(RW, 0, frame);
    unmap_foreign(table_page);
    h = map("death.map", HOST);
    info("death.before");
    result("grant.remote.death.destroy", remote_destroy());
    info("death.after");
    result("grant.remote.death.value", (long)words_of(gnt_windows[0])[0]);
    second.handle = gnt_map_quietly(gnt_window_at(1), HOST, THEIR_REF, REMOTE);
    result("grant.remote.death.again", second.handle != NO_HANDLE);
    if (second.handle != NO_HANDLE) {
        gnt_op(GNTTABOP_unmap_grant_ref, &second, 1);
    }
    gnt_window_back(1);
    setup("death", 1, setup_list);
    result("grant.remote.death.foreign", map_foreign(their_page, frame));
    unmap_foreign(their_page);
    result("grant.remote.death.create", remote_create(1023));
    unmap("death.unmap", h);
    info("death.unmapped");
    unmap("death.unmap_again", h);
    result("grant.remote.death.create_then", remote_create(1023));
    info("death.new");
    result("grant.remote.death.end", remote_destroy());
    info("death.end");
}

void check_grant_remote(void)
{
    result("grant.remote.create", remote_create(1023));
    check_setup();
    check_map();
    check_copy();
    check_page_gone();
    check_grant_resource();
    check_death();
}
