/* SPDX-License-Identifier: MIT */
/*
 * XENMEM_exchange: a domain gives frames back and gets as many others for them, in one piece where
 * it had pieces (or the other way round), as a driver needs for DMA. Step by step, a step being as
 * many frames as the larger of the two kinds of extents has; each is done as a whole or not at all.
 * The domain never holds more frames than it gave. Takes no locks: frames are stolen by their
 * reference counts.
 */
#include <tarn/domain.h>
#include <tarn/errno.h>
#include <tarn/guest_access.h>
#include <tarn/hypercall.h>
#include <tarn/page.h>
#include <tarn/pcpu.h>
#include <x86/frames.h>
#include <xen/memory.h>

#define MAX_ORDER 9 /* of an extent */
#define LIST_SIZE (1u << MAX_ORDER)

/* Of one step. */
struct lists {
    u64 taken[LIST_SIZE]; /* frames that the domain gives */
    u64 pfn[LIST_SIZE];   /* where each new extent goes, */
    u64 mfn[LIST_SIZE];   /* and its first frame */
};

#define LISTS_ORDER 2 /* pages */
_Static_assert(sizeof(struct lists) <= PAGE_SIZE << LISTS_ORDER, "room for them");

struct exchange {
    struct domain *d;
    struct xen_memory_exchange x;
    u32 order;     /* frames of a step */
    u32 ins, outs; /* extents of a step */
    u32 nr_taken;
    struct lists *list;
};

static u64 entry_of(const struct xen_memory_reservation *r, u64 i)
{
    return (u64)r->extent_start.p + i * sizeof(u64);
}

/* First extent of this step that is new. */
static u64 first_out(const struct exchange *e)
{
    return e->x.nr_exchanged << e->x.in.extent_order >> e->x.out.extent_order;
}

static long take_extent(struct exchange *e, u64 i)
{
    u64 first;

    if (copy_from_guest(&first, entry_of(&e->x.in, i), sizeof(first))) {
        return -EFAULT;
    }
    for (u64 n = 0; n < 1UL << e->x.in.extent_order; n++) {
        if (!domain_steal_frame(e->d, MFN(first + n))) {
            return -EINVAL;
        }
        e->list->taken[e->nr_taken++] = first + n;
    }
    return 0;
}

/* What was taken when this fails is the caller's to return. */
static long take(struct exchange *e)
{
    long rc = 0;

    e->nr_taken = 0;
    for (u32 i = 0; i < e->ins && rc == 0; i++) {
        rc = take_extent(e, e->x.nr_exchanged + i);
    }
    return rc;
}

/* The extents that were allocated are not needed. A guest that guessed a frame's number and has
 * already taken hold of it keeps it: how many. */
static u32 give_back(struct exchange *e, u32 extents)
{
    u32 kept = 0;

    for (u32 i = 0; i < extents << e->x.out.extent_order; i++) {
        u32 order = e->x.out.extent_order;
        mfn_t mfn = MFN(e->list->mfn[i >> order] + (i & ((1u << order) - 1)));

        if (domain_steal_frame(e->d, mfn)) {
            frame_release(mfn_to_frame(mfn));
        } else {
            kept++;
        }
    }
    return kept;
}

/* New frames, of which the domain doesn't know yet. */
static long allocate(struct exchange *e, u32 *got)
{
    for (*got = 0; *got < e->outs; (*got)++) {
        mfn_t mfn = domain_replace_frames(e->d, e->x.out.extent_order);

        if (mfn.n == INVALID_MFN.n) {
            return -ENOMEM;
        }
        e->list->mfn[*got] = mfn.n;
    }
    return 0;
}

/* The first `n` frames that were taken are freed, the others returned. */
static void settle(struct exchange *e, u32 n)
{
    for (u32 i = 0; i < e->nr_taken; i++) {
        if (i < n) {
            frame_release(mfn_to_frame(MFN(e->list->taken[i])));
        } else {
            domain_return_frame(MFN(e->list->taken[i]));
        }
    }
}

static long publish(struct exchange *e)
{
    const struct lists *l = e->list;

    for (u32 i = 0; i < e->outs; i++) {
        for (u64 n = 0; n < 1UL << e->x.out.extent_order; n++) {
            m2p[l->mfn[i] + n] = l->pfn[i] + n;
        }
    }
    return copy_to_guest(entry_of(&e->x.out, first_out(e)), l->mfn, e->outs * sizeof(u64)) ? -EFAULT
                                                                                           : 0;
}

static long step(struct exchange *e)
{
    u32 got = 0;
    long rc;

    if (copy_from_guest(e->list->pfn, entry_of(&e->x.out, first_out(e)), e->outs * sizeof(u64))) {
        return -EFAULT;
    }
    rc = take(e);
    if (rc == 0) {
        rc = allocate(e, &got);
    }
    settle(e, rc ? give_back(e, got) : e->nr_taken);
    if (rc == 0) {
        rc = publish(e);
        e->x.nr_exchanged += e->ins;
    }
    return rc;
}

static long validate(struct exchange *e)
{
    const struct xen_memory_reservation *in = &e->x.in, *out = &e->x.out;
    u64 done = e->x.nr_exchanged, frames;

    if (in->extent_order > MAX_ORDER || out->extent_order > MAX_ORDER) {
        return -EPERM;
    }
    frames = in->nr_extents << in->extent_order;
    e->order = MAX(in->extent_order, out->extent_order);
    if (in->domid != out->domid || in->nr_extents >> 52 || out->nr_extents >> 52 ||
        frames != out->nr_extents << out->extent_order || done > in->nr_extents ||
        (done & ((1UL << (e->order - in->extent_order)) - 1)) ||
        (frames & ((1UL << e->order) - 1))) {
        return -EINVAL;
    }
    e->ins = 1u << (e->order - in->extent_order);
    e->outs = 1u << (e->order - out->extent_order);
    if (in->domid != DOMID_SELF && in->domid != current->domain->domid) {
        return -EPERM;
    }
    return 0;
}

/* ERESTART: something else is due. */
static long run(struct exchange *e)
{
    u64 from = e->x.nr_exchanged;
    long rc = 0;

    while (rc == 0 && e->x.nr_exchanged < e->x.in.nr_extents) {
        if (e->x.nr_exchanged != from && hypercall_should_yield()) {
            return -ERESTART;
        }
        rc = step(e);
    }
    return rc;
}

long memory_exchange(u64 arg)
{
    struct exchange e = { .d = current->domain };
    u64 done = arg + offsetof(struct xen_memory_exchange, nr_exchanged);
    long rc;

    if (copy_from_guest(&e.x, arg, sizeof(e.x))) {
        return -EFAULT;
    }
    rc = validate(&e);
    if (rc || e.x.nr_exchanged == e.x.in.nr_extents) {
        return rc;
    }
    e.list = pages_alloc(LISTS_ORDER);
    if (!e.list) {
        return -ENOMEM;
    }
    rc = run(&e);
    pages_free(e.list, LISTS_ORDER);
    if (copy_to_guest(done, &e.x.nr_exchanged, sizeof(e.x.nr_exchanged))) {
        return -EFAULT;
    }
    return rc == -ERESTART ? hypercall_continue(__HYPERVISOR_memory_op, XENMEM_exchange, arg, 0, 0)
                           : rc;
}
