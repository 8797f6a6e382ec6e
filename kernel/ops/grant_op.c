/* SPDX-License-Identifier: MIT */
/*
 * HYPERVISOR_grant_table_op: to map and unmap what other domains grant; to copy it is
 * grant_copy.c's, the rest grant_setup.c's. A list's elements have a status each; the call's own
 * result says only whether the list could be read. Takes no lock for longer than a part of one
 * element, so it doesn't matter who maps whose: see tarn/grant.h.
 */
#include <tarn/domain.h>
#include <tarn/errno.h>
#include <tarn/guest_access.h>
#include <tarn/hypercall.h>
#include <tarn/pcpu.h>
#include <x86/frames.h>
#include <x86/paging.h>

#define CMD_BITS 12     /* above, a command has progress of Xen's own */
#define UNMAP_BATCH 32u /* unmapped with one flush of the TLBs */

static long go_on_later(u32 cmd, u64 list, u32 count)
{
    return hypercall_continue(__HYPERVISOR_grant_table_op, cmd, list, count, 0);
}

/* ---- Mapping ---- */

static struct domain *granter_get(domid_t domid)
{
    return domid == DOMID_SELF ? NULL : domain_get_by_id(domid);
}

/* What the entry allows; its pins are the caller's. */
static int map_pinned(struct domain *granter, mfn_t mfn, const struct gnttab_map_grant_ref *op)
{
    bool types = (op->flags & GNTMAP_device_map) && !(op->flags & GNTMAP_readonly);

    if (unlikely(types) && frame_get_type(mfn, FT_WRITABLE, granter)) {
        return GNTST_general_error;
    }
    if ((op->flags & GNTMAP_host_map) && grant_host_map(granter, mfn, op->host_addr, op->flags)) {
        if (types) {
            frame_put_type(mfn);
        }
        return GNTST_general_error;
    }
    return GNTST_okay;
}

static int map_from(struct domain *d, struct domain *granter, struct gnttab_map_grant_ref *op)
{
    u32 pins = grant_pins(op->flags, op->flags), number;
    struct grant_handle *h = grant_handle_new(d, &number);
    mfn_t mfn;
    int status;

    if (!h) {
        return GNTST_no_space;
    }
    status = grant_pin(granter, op->ref, d->domid, pins, true, &mfn);
    if (status == GNTST_okay) {
        status = map_pinned(granter, mfn, op);
        if (status != GNTST_okay) {
            grant_unpin(granter, op->ref, pins);
        }
    }
    if (status != GNTST_okay) {
        grant_handle_cancel(d, h, number);
        return status;
    }
    grant_handle_publish(h, granter, op->ref, op->flags);
    op->handle = number;
    op->dev_bus_addr = mfn_to_paddr(mfn);
    return GNTST_okay;
}

static int map_one(struct domain *d, struct gnttab_map_grant_ref *op)
{
    struct domain *granter;
    int status;

    if (!(op->flags & GRANT_KINDS)) {
        return GNTST_bad_gntref;
    }
    granter = granter_get(op->dom);
    if (!granter) {
        return GNTST_bad_domain;
    }
    status = map_from(d, granter, op);
    if (status != GNTST_okay) { /* else the handle has the reference */
        domain_put(granter);
    }
    return status;
}

static long op_map(u64 list, u32 count)
{
    struct gnttab_map_grant_ref op;

    for (u32 i = 0; i < count; i++, list += sizeof(op)) {
        if (i && hypercall_should_yield()) {
            return go_on_later(GNTTABOP_map_grant_ref, list, count - i);
        }
        if (copy_from_guest(&op, list, sizeof(op))) {
            return -EFAULT;
        }
        op.status = (s16)map_one(current->domain, &op);
        if (copy_to_guest(list, &op, sizeof(op))) {
            return -EFAULT;
        }
    }
    return 0;
}

/* ---- Unmapping ---- */

_Static_assert(sizeof(struct gnttab_unmap_and_replace) == sizeof(struct gnttab_unmap_grant_ref) &&
                   offsetof(struct gnttab_unmap_and_replace, new_addr) ==
                       offsetof(struct gnttab_unmap_grant_ref, dev_bus_addr) &&
                   offsetof(struct gnttab_unmap_and_replace, status) ==
                       offsetof(struct gnttab_unmap_grant_ref, status),
               "they are the same but for new_addr");

/* What a batch has taken out of the page tables but not yet out of the granters' tables. */
struct unmapping {
    struct grant_handle *handle;
    u32 number, kinds;
};

static int unmap_one(const struct gnttab_unmap_grant_ref *op, bool replace, struct unmapping *u)
{
    u64 device = replace ? 0 : op->dev_bus_addr, new_addr = replace ? op->dev_bus_addr : 0;
    u32 kinds = (op->host_addr ? GNTMAP_host_map : 0u) | (device ? GNTMAP_device_map : 0u), flags;
    int status = GNTST_okay;
    struct grant_handle *h;
    mfn_t mfn;

    h = grant_handle_claim(current->domain, op->handle, kinds, &flags);
    if (!h) {
        return GNTST_bad_handle;
    }
    kinds &= flags;
    if (!kinds) { /* it has none of them, or they are on their way out already */
        return GNTST_okay;
    }
    mfn = grant_pinned_frame(&h->granter->grants, h->ref);
    if ((kinds & GNTMAP_device_map) && device != mfn_to_paddr(mfn)) {
        status = GNTST_bad_dev_addr;
    } else if ((kinds & GNTMAP_host_map) && grant_host_unmap(mfn, op->host_addr, new_addr, flags)) {
        status = GNTST_general_error;
    }
    if (status != GNTST_okay) {
        grant_handle_give_back(h, kinds);
        kinds = 0;
    }
    *u = (struct unmapping){ h, op->handle, kinds };
    return status;
}

/* Now that no TLB leads there any more. */
static void finish_batch(struct domain *d, const struct unmapping u[], u32 n)
{
    tlb_flush_mask(&d->arch.dirty_cpus);
    for (u32 i = 0; i < n; i++) {
        grant_handle_finish(d, u[i].handle, u[i].number, u[i].kinds);
    }
}

static long unmap_batch(u64 list, u32 count, bool replace)
{
    struct unmapping u[UNMAP_BATCH];
    struct gnttab_unmap_grant_ref op;
    long rc = 0;
    u32 n = 0;

    for (u32 i = 0; i < count && rc == 0; i++, list += sizeof(op)) {
        rc = copy_from_guest(&op, list, sizeof(op));
        if (rc == 0) {
            u[n].kinds = 0;
            op.status = (s16)unmap_one(&op, replace, &u[n]);
            n += u[n].kinds != 0;
            rc = copy_to_guest(list, &op, sizeof(op));
        }
    }
    if (n) {
        finish_batch(current->domain, u, n);
    }
    return rc;
}

static long op_unmap(u32 cmd, u64 list, u32 count)
{
    long rc = 0;

    while (count && rc == 0) {
        u32 n = MIN(count, UNMAP_BATCH);

        rc = unmap_batch(list, n, cmd == GNTTABOP_unmap_and_replace);
        count -= n;
        list += n * sizeof(struct gnttab_unmap_grant_ref);
        if (count && rc == 0 && hypercall_should_yield()) {
            return go_on_later(cmd, list, count);
        }
    }
    return rc;
}

/* ---- The call ---- */

long do_grant_table_op(u64 cmd, u64 list, u64 count)
{
    u32 n = (u32)count;

    if ((s32)n < 0 || (u32)cmd >> CMD_BITS) {
        return -EINVAL;
    }
    if (unlikely(n == 0)) {
        return grant_setup_op((u32)cmd, list, n);
    }
    if ((u32)cmd == GNTTABOP_map_grant_ref) { /* not by a table of jumps: these are the hot ones */
        return op_map(list, n);
    }
    if ((u32)cmd == GNTTABOP_unmap_grant_ref || (u32)cmd == GNTTABOP_unmap_and_replace) {
        return op_unmap((u32)cmd, list, n);
    }
    if ((u32)cmd == GNTTABOP_copy) {
        return grant_copy_op(list, n);
    }
    return grant_setup_op((u32)cmd, list, n);
}
