/* SPDX-License-Identifier: MIT */
/*
 * The calls of grant_table_op that are not about mapping: a domain's table is made, shown, its size
 * and version asked for, entries swapped; and XENMEM_acquire_resource, by which the control domain
 * reaches another's table. Version 2 and the transfer of frames are not offered. Takes no locks
 * itself.
 */
#include <tarn/domain.h>
#include <tarn/errno.h>
#include <tarn/guest_access.h>
#include <tarn/hypercall.h>
#include <tarn/pcpu.h>
#include <x86/frames.h>
#include <xen/memory.h>

#define STATUS_GRANT_FRAMES 4 /* frames of grants for which one of status would do */

/* The domain that a call is about, referenced: current's, or any for the control domain. */
static struct domain *target_get(domid_t domid, int *status)
{
    struct domain *d = domain_get_by_id(domid);

    *status = d ? GNTST_okay : GNTST_bad_domain;
    if (d && d != current->domain && !current->domain->privileged) {
        domain_put(d);
        d = NULL;
        *status = GNTST_permission_denied;
    }
    return d;
}

/* Frames [first, first + n) of its table, which exist, for the guest's list. */
static int put_frames(const struct domain *d, u64 list, u32 first, u32 n)
{
    for (u32 i = 0; i < n; i++) {
        xen_pfn_t mfn = virt_to_mfn(d->grants.frame[first + i].shared).n;

        if (copy_to_guest(list + i * sizeof(mfn), &mfn, sizeof(mfn))) {
            return -EFAULT;
        }
    }
    return 0;
}

union any_op {
    struct gnttab_setup_table setup_table;
    struct gnttab_query_size query_size;
    struct gnttab_set_version set_version;
    struct gnttab_get_status_frames get_status_frames;
    struct gnttab_get_version get_version;
    struct gnttab_swap_grant_ref swap_grant_ref;
    struct gnttab_cache_flush cache_flush;
};

static long op_setup_table(union any_op *any)
{
    struct gnttab_setup_table *op = &any->setup_table;
    u64 list = (u64)op->frame_list.p;
    struct domain *d;
    int status;

    if (!guest_address_ok(list)) {
        return -EFAULT;
    }
    d = target_get(op->dom, &status);
    if (d) {
        if (grant_table_grow(d, op->nr_frames)) {
            status = GNTST_general_error;
        } else if (put_frames(d, list, 0, op->nr_frames)) {
            status = GNTST_bad_virt_addr;
        }
        domain_put(d);
    }
    op->status = (s16)status;
    return 0;
}

static long op_query_size(union any_op *any)
{
    struct gnttab_query_size *op = &any->query_size;
    int status;
    struct domain *d = target_get(op->dom, &status);

    if (d) {
        op->nr_frames = grant_frames(&d->grants);
        op->max_nr_frames = d->grants.max_frames;
        domain_put(d);
    }
    op->status = (s16)status;
    return 0;
}

static long op_set_version(union any_op *any)
{
    u32 asked = any->set_version.version;

    any->set_version.version = 1;
    return asked == 1 ? 0 : asked == 2 ? -ENOSYS : -EINVAL;
}

static long op_get_version(union any_op *any)
{
    int status;
    struct domain *d = target_get(any->get_version.dom, &status);

    if (!d) {
        return status == GNTST_bad_domain ? -ESRCH : -EPERM;
    }
    domain_put(d);
    any->get_version.version = 1;
    return 0;
}

/* There are none in version 1. */
static long op_get_status_frames(union any_op *any)
{
    struct gnttab_get_status_frames *op = &any->get_status_frames;
    struct domain *d;
    int status;

    if (!guest_address_ok((u64)op->frame_list.p)) {
        return -EFAULT;
    }
    d = target_get(op->dom, &status);
    if (d) {
        status = op->nr_frames ? GNTST_general_error : GNTST_okay;
        domain_put(d);
    }
    op->status = (s16)status;
    return 0;
}

static long op_swap_grant_ref(union any_op *any)
{
    struct gnttab_swap_grant_ref *op = &any->swap_grant_ref;

    op->status = (s16)grant_swap(current->domain, op->ref_a, op->ref_b);
    return 0;
}

/* Of a frame of one's own. Nobody has devices that would not snoop, so there is nothing to do. */
static long op_cache_flush(union any_op *any)
{
    const struct gnttab_cache_flush *op = &any->cache_flush;
    mfn_t mfn = paddr_to_mfn(op->a.dev_bus_addr);

    if (op->offset + op->length > (int)PAGE_SIZE ||
        (op->op & ~(GNTTAB_CACHE_CLEAN | GNTTAB_CACHE_INVAL | GNTTAB_CACHE_SOURCE_GREF))) {
        return -EINVAL;
    }
    if (op->length == 0 || op->op == 0) {
        return 0;
    }
    if ((op->op & GNTTAB_CACHE_SOURCE_GREF) || !(op->op & GNTTAB_CACHE_CLEAN)) {
        return -EOPNOTSUPP;
    }
    if (frame_get(mfn, current->domain)) {
        return -EPERM;
    }
    frame_put(mfn);
    return 0;
}

/* How many structures a command takes. */
enum takes { TAKES_ONE, TAKES_LIST, IGNORES_COUNT };

#define OP(name, takes) [GNTTABOP_##name] = { op_##name, sizeof(struct gnttab_##name), takes }

static const struct {
    long (*run)(union any_op *op); /* NULL: it isn't ours */
    u16 size;
    u16 takes;
} ops[] = {
    [GNTTABOP_map_grant_ref] = { .takes = TAKES_LIST },
    [GNTTABOP_unmap_grant_ref] = { .takes = TAKES_LIST },
    [GNTTABOP_copy] = { .takes = TAKES_LIST },
    [GNTTABOP_unmap_and_replace] = { .takes = TAKES_LIST },
    [GNTTABOP_transfer] = { .takes = TAKES_LIST },
    OP(setup_table, TAKES_ONE),
    OP(query_size, TAKES_ONE),
    OP(get_status_frames, TAKES_ONE),
    OP(set_version, IGNORES_COUNT),
    OP(get_version, IGNORES_COUNT),
    OP(swap_grant_ref, TAKES_LIST),
    OP(cache_flush, TAKES_LIST),
};

static long run(u32 cmd, u64 arg)
{
    union any_op op;
    long rc;

    if (copy_from_guest(&op, arg, ops[cmd].size)) {
        return -EFAULT;
    }
    rc = ops[cmd].run(&op);
    return copy_to_guest(arg, &op, ops[cmd].size) ? -EFAULT : rc;
}

/* Empty lists come here, too, whatever they are of. */
long grant_setup_op(u32 cmd, u64 arg, u32 count)
{
    u32 takes = cmd < ARRAY_SIZE(ops) ? ops[cmd].takes : TAKES_ONE;
    long rc = 0;

    if (takes == TAKES_LIST && !guest_address_ok(arg)) {
        return -EFAULT;
    }
    if (cmd == GNTTABOP_transfer) {
        return -EOPNOTSUPP;
    }
    if (takes == TAKES_LIST && count == 0) {
        return 0;
    }
    if (cmd >= ARRAY_SIZE(ops) || !ops[cmd].run) {
        return -ENOSYS;
    }
    if (takes == TAKES_ONE && count != 1) {
        return -EINVAL;
    }
    count = takes == IGNORES_COUNT ? 1 : count;
    for (u32 i = 0; i < count && rc == 0; i++, arg += ops[cmd].size) {
        if (i && hypercall_should_yield()) {
            return hypercall_continue(__HYPERVISOR_grant_table_op, cmd, arg, count - i, 0);
        }
        rc = run(cmd, arg);
    }
    return rc;
}

/* ---- Another domain's table ---- */

/* Of version 2's status frames only their number, in vain. */
static long resource_size(const struct domain *d, u32 id, u64 arg)
{
    u32 max = d->grants.max_frames;

    max = id == XENMEM_resource_grant_table_id_status ? DIV_ROUND_UP(max, STATUS_GRANT_FRAMES)
                                                      : max;
    return copy_to_guest(arg + offsetof(struct xen_mem_acquire_resource, nr_frames), &max,
                         sizeof(max));
}

static long resource_get(struct domain *d, const struct xen_mem_acquire_resource *r, u64 arg)
{
    u64 list = (u64)r->frame_list.p;

    if (r->type != XENMEM_resource_grant_table || r->id > XENMEM_resource_grant_table_id_status ||
        !list != !r->nr_frames) {
        return -EINVAL;
    }
    if (!list) {
        return resource_size(d, r->id, arg);
    }
    if (r->id != XENMEM_resource_grant_table_id_shared ||
        r->frame + r->nr_frames > d->grants.max_frames) {
        return -EINVAL;
    }
    if (grant_table_grow(d, (u32)(r->frame + r->nr_frames))) {
        return -ENOMEM;
    }
    return put_frames(d, list, (u32)r->frame, r->nr_frames);
}

long memory_acquire_resource(u64 arg)
{
    struct xen_mem_acquire_resource r;
    struct domain *d;
    long rc;

    if (copy_from_guest(&r, arg, sizeof(r))) {
        return -EFAULT;
    }
    if (r.pad || r.frame > ~0u || r.frame + r.nr_frames > ~0u) {
        return -EINVAL;
    }
    d = r.domid == DOMID_SELF ? NULL : domain_get_by_id(r.domid);
    if (!d) {
        return -ESRCH;
    }
    rc = d == current->domain || !current->domain->privileged ? -EPERM : resource_get(d, &r, arg);
    domain_put(d);
    return rc;
}
