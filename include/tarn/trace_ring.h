/* SPDX-License-Identifier: MIT */
/*
 * One pcpu's ring of trace records, in the public format of xen/trace.h; lib/trace_ring.c, pure.
 * The pages are shared with a consumer that may write anything to them at any time: all that we
 * rely on stands in struct trace_ring, which it does not see. One writer, no lock.
 */
#pragma once

#include <tarn/types.h>
#include <xen/trace.h>

struct trace_ring {
    struct t_buf *shared; /* at the begin of the first page */
    const u32 *mfns;      /* its pages, which the consumer can't change */
    u8 *base;             /* where frame 0 is mapped */
    u32 size;             /* bytes that hold records */
    u32 prod;             /* as in the protocol: modulo 2 * size */
    u32 lost;             /* records that found no room since the last that did */
    u32 busy;             /* kernel/trace.c: its pcpu is writing */
    u64 lost_since;       /* TSC */
};

#define TRACE_RING_SIZE(pages) ((u32)((pages)*PAGE_SIZE - sizeof(struct t_buf)))

/*
 * A record with the TSC and up to TRACE_EXTRA_MAX words, behind one that tells how many were lost
 * if any were. who: domain and vcpu (upper half) that runs now. True: with it the ring has become
 * half full.
 */
bool trace_ring_put(struct trace_ring *r, u32 event, u64 tsc, const u32 *words, u32 n, u32 who);
