/* SPDX-License-Identifier: MIT */
/*
 * Trace records, those of Xen (xen/trace.h), into a ring of each pcpu that the control domain reads
 * out. Hot paths test one byte when tracing is off; all else is kernel/trace.c, and what is about
 * guests of the architecture arch/x86/pv/trace.c. Numbers are the ABI's: a vcpu is one word, domain
 * in the upper half, or two where so said.
 */
#pragma once

#include <tarn/cpumask.h>
#include <tarn/trace_ring.h>

struct domain;
struct vcpu;

extern u8 trace_on; /* changed by trace_enable and trace_disable only */

/* Not volatile: who looks twice may be told what he saw. */
static inline bool tracing(void)
{
    return unlikely(trace_on);
}

/*
 * A record with up to TRACE_EXTRA_MAX words, if its event and this pcpu are asked for. The others
 * take their words as arguments: an array in the caller would have it guard its stack.
 */
__cold void trace_put(u32 event, const void *words, u32 n);
__cold void trace_words(u32 event, u32 n, u32 a, u32 b, u32 c);
__cold void trace_wide(u32 event, u32 n, u64 a, u64 b,
                       u64 c);                           /* n words of 32 bits, nevertheless */
__cold void trace_vcpu(u32 event, const struct vcpu *v); /* domain and vcpu, a word each */

static inline void trace_domain(u32 event, u32 domid)
{
    if (tracing()) {
        trace_words(event, 1, domid, 0, 0);
    }
}

#define TRACE_VCPU(event, v)        \
    do {                            \
        if (tracing()) {            \
            trace_vcpu((event), v); \
        }                           \
    } while (0)
#define TRACE_WIDE(event, n, a, b, c)                        \
    do {                                                     \
        if (tracing()) {                                     \
            trace_wide((event) | TRC_64_FLAG, (n), a, b, c); \
        }                                                    \
    } while (0)

/* The dispatcher's; `state` is what v->runstate is about to become. */
__cold void trace_runstate(const struct vcpu *v, u32 state);
/* `prev` hands over to `next` at t, or goes on if that is the same. */
__cold void trace_decision(const struct vcpu *prev, const struct vcpu *next, stime_t t,
                           stime_t slice);

/* kernel/ops/tbuf_op.c sets these up; kernel/trace.c */
extern u32 trace_events;                               /* a mask of classes and subclasses */
extern struct cpumask trace_cpus;                      /* whose events count */
void trace_rings_set(struct trace_ring *rings, u32 n); /* once */
bool trace_enable(void);                               /* false: there are no rings */
void trace_disable(void); /* nothing is written any more when it returns */

/* kernel/ops/tbuf_op.c: pages for each pcpu; 0 or -errno. And XEN_SYSCTL_tbuf_op. */
struct xen_sysctl_tbuf_op;
long trace_set_size(u32 pages);
long tbuf_op(struct xen_sysctl_tbuf_op *o);
