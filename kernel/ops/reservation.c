/* SPDX-License-Identifier: MIT */
/*
 * HYPERVISOR_memory_op: a domain's memory grows and shrinks (increase_reservation,
 * decrease_reservation, populate_physmap). Each returns how many extents were done; what stops one
 * is no error of its own. Long lists are continued, with the extent to go on from in the command's
 * upper bits.
 */
#include <tarn/domain.h>
#include <tarn/errno.h>
#include <tarn/guest_access.h>
#include <tarn/hypercall.h>
#include <tarn/pcpu.h>
#include <x86/frames.h>
#include <xen/memory.h>

#define MAX_ORDER 9 /* of an extent: 2 MiB */

struct extents {
    struct domain *d;
    struct xen_memory_reservation r;
};

/* The i-th extent's frame number, as the guest gave it. */
static bool extent_read(const struct extents *x, u64 i, u64 *frame)
{
    return !copy_from_guest(frame, (u64)x->r.extent_start.p + i * sizeof(*frame), sizeof(*frame));
}

static bool extent_write(const struct extents *x, u64 i, u64 frame)
{
    return !copy_to_guest((u64)x->r.extent_start.p + i * sizeof(frame), &frame, sizeof(frame));
}

/* One frame back from the domain; it is free when the last mapping of it has gone. */
static bool give_back(struct domain *d, mfn_t mfn)
{
    if (frame_get(mfn, d)) {
        return false;
    }
    domain_free_frame(d, mfn);
    frame_put(mfn);
    return true;
}

static bool decrease_one(const struct extents *x, u64 i)
{
    u64 first;

    if (!extent_read(x, i, &first)) {
        return false;
    }
    for (u64 n = 0; n < 1UL << x->r.extent_order; n++) {
        if (!give_back(x->d, MFN(first + n))) {
            return false;
        }
    }
    return true;
}

static bool increase_one(const struct extents *x, u64 i)
{
    mfn_t mfn = domain_alloc_frames(x->d, x->r.extent_order);

    if (mfn.n == INVALID_MFN.n) {
        return false;
    }
    return !x->r.extent_start.p || extent_write(x, i, mfn.n);
}

static bool populate_one(const struct extents *x, u64 i)
{
    u64 pfn;
    mfn_t mfn;

    if (!extent_read(x, i, &pfn)) {
        return false;
    }
    mfn = domain_alloc_frames(x->d, x->r.extent_order);
    if (mfn.n == INVALID_MFN.n) {
        return false;
    }
    for (u64 n = 0; n < 1UL << x->r.extent_order; n++) {
        m2p[mfn.n + n] = pfn + n;
    }
    return extent_write(x, i, mfn.n);
}

/* As long as `one` can, and nothing else waits for this pcpu. */
static long for_each_extent(const struct extents *x, u64 cmd, u64 arg,
                            bool (*one)(const struct extents *, u64))
{
    u64 start = (u32)cmd >> MEMORY_CMD_BITS, i = start;

    for (; i < x->r.nr_extents; i++) {
        if (i != start && i < 1UL << (32 - MEMORY_CMD_BITS) && hypercall_should_yield()) {
            return hypercall_continue(__HYPERVISOR_memory_op,
                                      (cmd & ((1u << MEMORY_CMD_BITS) - 1)) | i << MEMORY_CMD_BITS,
                                      arg, 0, 0);
        }
        if (!one(x, i)) {
            break;
        }
    }
    return (long)i;
}

/* The domain is the caller's own, or any for the control domain; but not one that is dying. */
static struct domain *target(domid_t domid)
{
    struct domain *d = domain_get_by_id(domid);

    if (d && d != current->domain && (!current->domain->privileged || d->dying != DOMAIN_ALIVE)) {
        domain_put(d);
        d = NULL;
    }
    return d;
}

long memory_reservation(u64 cmd, u64 arg)
{
    u64 start = (u32)cmd >> MEMORY_CMD_BITS;
    struct extents x;
    long rc = (long)start;

    if (copy_from_guest(&x.r, arg, sizeof(x.r)) || x.r.extent_order > MAX_ORDER ||
        start >= x.r.nr_extents) {
        return rc;
    }
    x.d = target(x.r.domid);
    if (!x.d) {
        return rc;
    }
    switch (cmd & ((1u << MEMORY_CMD_BITS) - 1)) {
    case XENMEM_increase_reservation:
        rc = for_each_extent(&x, cmd, arg, increase_one);
        break;
    case XENMEM_decrease_reservation:
        rc = for_each_extent(&x, cmd, arg, decrease_one);
        break;
    default:
        rc = for_each_extent(&x, cmd, arg, populate_one);
    }
    domain_put(x.d);
    return rc;
}
