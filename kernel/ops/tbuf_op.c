/* SPDX-License-Identifier: MIT */
/*
 * The trace's part of HYPERVISOR_sysctl, and the making of its rings: one for each pcpu that has a
 * number, all of the same size, and a table (struct t_info) that says where they are. The control
 * domain maps them as DOMID_XEN's, the table read-only. They are made once and never go. Lock:
 * tbuf_lock, outermost, for what is set up.
 */
#include <tarn/domain.h>
#include <tarn/errno.h>
#include <tarn/hypercall.h>
#include <tarn/page.h>
#include <tarn/trace.h>
#include <x86/frames.h>
#include <xen/sysctl.h>

#include "domctl.h"

static struct spinlock tbuf_lock = SPINLOCK_INIT(RANK_DOMAIN); /* the next two */
static struct t_info *info;                                    /* NULL: there are no rings yet */
static u32 info_pages;

/* Where the list of a ring's frames begins in the table, in words. */
static u32 first_word(u32 cpus)
{
    return (u32)DIV_ROUND_UP(sizeof(struct t_info) + cpus * sizeof(u16), sizeof(u32));
}

static bool ring_alloc(struct trace_ring *r, u32 *mfns, u32 pages)
{
    for (u32 i = 0; i < pages; i++) {
        void *page = page_alloc();

        if (!page) {
            return false;
        }
        mfns[i] = (u32)virt_to_mfn(page).n;
    }
    *r = (struct trace_ring){ .shared = mfn_to_virt(MFN(mfns[0])),
                              .mfns = mfns,
                              .base = mfn_to_virt(MFN(0)),
                              .size = TRACE_RING_SIZE(pages) };
    return true;
}

static void share_all(const u32 *mfns, u32 n)
{
    for (u32 i = 0; i < n; i++) {
        share_with_control(MFN(mfns[i]), true);
    }
    for (u32 i = 0; i < info_pages; i++) {
        share_with_control(MFN(virt_to_mfn(info).n + i), false);
    }
}

static void free_all(struct t_info *t, u32 order, u32 first, u32 n, struct trace_ring *rings,
                     u32 rings_order)
{
    const u32 *mfns = (const u32 *)t + first;

    for (u32 i = 0; t && i < n && mfns[i]; i++) {
        page_free(mfn_to_virt(MFN(mfns[i])));
    }
    pages_free(t, order);
    pages_free(rings, rings_order);
}

static long make(u32 pages, u32 cpus)
{
    u32 first = first_word(cpus), n = cpus * pages, order = pages_order((first + n) * sizeof(u32));
    u32 rings_order = pages_order(cpus * sizeof(struct trace_ring));
    struct trace_ring *rings;
    struct t_info *t = NULL;
    bool ok;

    if (n >= heap_free_frames()) {
        return -EINVAL;
    }
    rings = pages_alloc(rings_order);
    t = pages_alloc(order);
    ok = rings && t && share_prepare();
    for (u32 cpu = 0; ok && cpu < cpus; cpu++) {
        t->mfn_offset[cpu] = (u16)(first + cpu * pages);
        ok = ring_alloc(&rings[cpu], (u32 *)t + t->mfn_offset[cpu], pages);
    }
    if (!ok) {
        free_all(t, order, first, n, rings, rings_order);
        return -EINVAL;
    }
    t->tbuf_size = (u16)pages;
    info = t;
    info_pages = (u32)DIV_ROUND_UP((first + n) * sizeof(u32), PAGE_SIZE);
    share_all((u32 *)t + first, n);
    trace_rings_set(rings, cpus);
    return 0;
}

/* Once. */
static long set_size(u32 pages)
{
    u32 cpus = pool0.topology->nr_cpus;

    if (info) {
        return pages == info->tbuf_size ? -EBUSY : -EINVAL;
    }
    /* The table's offsets have 16 bits. */
    pages = MIN(pages, (65535u - first_word(cpus)) / cpus);
    return pages ? make(pages, cpus) : -EINVAL;
}

long trace_set_size(u32 pages)
{
    long rc;

    spin_lock(&tbuf_lock);
    rc = set_size(pages);
    spin_unlock(&tbuf_lock);
    return rc;
}

static long get_info(struct xen_sysctl_tbuf_op *o)
{
    spin_lock(&tbuf_lock);
    o->evt_mask = trace_events;
    o->buffer_mfn = info ? virt_to_mfn(info).n : 0;
    o->size = info_pages * (u32)PAGE_SIZE;
    spin_unlock(&tbuf_lock);
    return 0;
}

static long set_cpus(const struct xenctl_bitmap *b)
{
    struct cpumask cpus;
    long rc = mask_from_guest(&cpus, b);

    if (rc == 0) {
        trace_cpus = cpus;
    }
    return rc;
}

long tbuf_op(struct xen_sysctl_tbuf_op *o)
{
    switch (o->cmd) {
    case XEN_SYSCTL_TBUFOP_get_info:
        return get_info(o);
    case XEN_SYSCTL_TBUFOP_set_cpu_mask:
        return set_cpus(&o->cpu_mask);
    case XEN_SYSCTL_TBUFOP_set_evt_mask:
        WRITE_ONCE(trace_events, o->evt_mask);
        return 0;
    case XEN_SYSCTL_TBUFOP_set_size:
        return trace_set_size(o->size);
    case XEN_SYSCTL_TBUFOP_enable:
        return trace_enable() ? 0 : -EINVAL;
    case XEN_SYSCTL_TBUFOP_disable:
        trace_disable();
        return 0;
    default:
        return -EINVAL;
    }
}
