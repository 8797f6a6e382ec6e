/* SPDX-License-Identifier: MIT */
/*
 * What a pcpu owes before it may return to a guest: bits in pcpu->softirq_pending, drained by
 * the exit loop only. Whoever sets the first bit of another pcpu sends it one IPI.
 */
#pragma once

#include <tarn/pcpu.h>

enum softirq {
    SOFTIRQ_TIMER,
    SOFTIRQ_SCHEDULE,
    SOFTIRQ_FLUSH_TLB,
    SOFTIRQ_EVENT,
    SOFTIRQ_UNLOAD,  /* an idle pcpu forgets the guest that it ran last */
    SOFTIRQ_CONSOLE, /* something was printed: the control domain may want to know */
    SOFTIRQ_TRACE    /* this pcpu's ring of trace records is half full: likewise */
};

/* For this pcpu; no IPI needed since the exit loop comes before any return. */
static inline void softirq_raise_self(enum softirq nr)
{
    atomic_fetch_or(&this_pcpu()->softirq_pending, 1u << nr);
}

void softirq_raise(u32 cpu, enum softirq nr); /* arch/x86/cpu/softirq.c */

/* Wait until every other pcpu has been at its exit loop; no lock held that they may want. smp.c. */
void smp_quiesce(void);
