/* SPDX-License-Identifier: MIT */
/* grant.c - the windows, the table's first page and the calls that the grants' groups share. */
#include "gnttab.h"

#define WRITABLE 0x63UL
#define FRAME_BITS 0x000ffffffffff000UL
#define CPU_BITS 0x60UL

volatile char gnt_windows[4][PAGE_SIZE] __attribute__((aligned(4096)));
volatile char gnt_given[4][PAGE_SIZE] __attribute__((aligned(4096)));
unsigned int gnt_shown;

static volatile char table_page[PAGE_SIZE] __attribute__((aligned(4096)));

uint64_t gnt_window_at(unsigned int window)
{
    return ARG(gnt_windows[window]);
}

void gnt_window_back(unsigned int window)
{
    update_va_mapping(gnt_windows[window], virt_to_mfn(gnt_windows[window]) * PAGE_SIZE | WRITABLE,
                      UVMF_INVLPG);
}

unsigned long gnt_window_flags(unsigned int window)
{
    const uint64_t *l1 = page_table(1, gnt_windows[window]);

    return l1[gnt_window_at(window) / PAGE_SIZE & 511] & ~(FRAME_BITS | CPU_BITS);
}

void gnt_table_map(void)
{
    static xen_pfn_t frame;
    struct gnttab_setup_table op = { .dom = DOMID_SELF, .nr_frames = 1 };

    set_xen_guest_handle(op.frame_list, &frame);
    gnt_op(GNTTABOP_setup_table, &op, 1);
    update_va_mapping(table_page, frame * PAGE_SIZE | WRITABLE, UVMF_INVLPG);
}

volatile struct grant_entry_v1 *gnt_entry(grant_ref_t ref)
{
    return (volatile struct grant_entry_v1 *)(volatile void *)table_page + ref;
}

void gnt_give(grant_ref_t ref, unsigned int flags, domid_t domid, unsigned long frame)
{
    volatile struct grant_entry_v1 *e = gnt_entry(ref);

    e->flags = 0;
    e->domid = domid;
    e->frame = (uint32_t)frame;
    asm volatile("" ::: "memory");
    e->flags = (uint16_t)flags;
}

static unsigned int entry_flags(grant_ref_t ref)
{
    return ref < PAGE_SIZE / sizeof(struct grant_entry_v1) ? gnt_entry(ref)->flags : 0;
}

static grant_handle_t map(struct gnttab_map_grant_ref *op, long *rc)
{
    op->status = 77;
    op->handle = NO_HANDLE;
    *rc = gnt_op(GNTTABOP_map_grant_ref, op, 1);
    return *rc == 0 && op->status == GNTST_okay ? op->handle : NO_HANDLE;
}

grant_handle_t gnt_map(const char *name, uint64_t host, uint32_t flags, grant_ref_t ref,
                       domid_t domid)
{
    struct gnttab_map_grant_ref op = {
        .host_addr = host,
        .flags = flags,
        .ref = ref,
        .dom = domid,
    };
    long rc;
    grant_handle_t handle = map(&op, &rc);

    resultf(name, "%ld status %d entry 0x%x pte 0x%lx bus %d", rc, op.status, entry_flags(ref),
            gnt_window_flags(gnt_shown),
            handle != NO_HANDLE && op.dev_bus_addr == gnt_entry(ref)->frame * PAGE_SIZE);
    return handle;
}

grant_handle_t gnt_map_quietly(uint64_t host, uint32_t flags, grant_ref_t ref, domid_t domid)
{
    struct gnttab_map_grant_ref op = {
        .host_addr = host,
        .flags = flags,
        .ref = ref,
        .dom = domid,
    };
    long rc;

    return map(&op, &rc);
}

void gnt_unmap(const char *name, uint64_t host, uint64_t bus, grant_handle_t handle)
{
    struct gnttab_unmap_grant_ref op = {
        .host_addr = host,
        .dev_bus_addr = bus,
        .handle = handle,
        .status = 77,
    };
    long rc = gnt_op(GNTTABOP_unmap_grant_ref, &op, 1);

    resultf(name, "%ld status %d entry 0x%x pte 0x%lx", rc, op.status, entry_flags(REF),
            gnt_window_flags(gnt_shown));
}

void check_grants(void)
{
    check_grant_version();
    gnt_table_map();
    check_grant_map();
    check_grant_pte();
    check_grant_copy();
    check_grant_limits();
    check_grant_remote();
    check_grant_table();
}
