/* SPDX-License-Identifier: MIT */
/*
 * A machine of four pcpus for tests of the dispatcher and its pools, which run as the hypervisor
 * has them, with the policies and the timers; clock, hardware, IPIs and the switch itself are
 * played by pcpus.c. A "pcpu" is a stack area on which a function is run (run_on); what it owes it
 * does when it comes to its exit loop (step). Hypercalls are made by `caller`, whatever vcpu the
 * pcpu has.
 */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include <tarn/console.h>
#include <tarn/domain.h>
#include <tarn/errno.h>
#include <tarn/options.h>
#include <tarn/page.h>
#include <tarn/softirq.h>
#include <tarn/time.h>
#include <x86/apic.h>

#define CPUS 4u
#define DOMS 6u
#define DOMS_MAX 12u /* for tests that want more */
#define VCPUS 4u
#define BIT(nr) (1u << (nr))

extern struct vcpu *hw[CPUS]; /* whose registers a pcpu has */
extern struct domain *doms[DOMS_MAX];
extern stime_t clock_ns;
extern u64 ran_of_the_dead;
extern char log_text[4096];
bool said(const char *text);            /* on the console */
extern struct vcpu callers[2], *caller; /* vcpus of the control domain; the first by default */
extern u32 pages_out;                   /* allocated and not given back */

void run_on(u32 cpu, void (*fn)(void));
void step(u32 cpu);
void settle(void); /* until no pcpu has anything to do at this moment */

/* cmocka's; the machine has booted, and has no domains. */
int setup(void **state);
int teardown(void **state);

static inline struct cpumask mask_of(u64 bits)
{
    struct cpumask m = { { bits } };

    return m;
}

/* A domain in Pool-0, or another one, whose vcpus are down. */
struct domain *create(u32 slot, u32 vcpus, u32 weight, u32 cap, u64 hard);
struct domain *create_in(u32 pool, u32 slot, u32 vcpus);
void destroy(u32 slot);
void ignore(void *a);
void clear_flags(u32 cpu, struct vcpu *v, u32 flags);
void set_flags(u32 cpu, struct vcpu *v, u32 flags);
/* Paused, moved and gone on; the errno. */
long move(u32 slot, u32 pool);

/* Calls of the control domain, from pcpu `on`. */
long offline(u32 on, u32 cpu);
long online(u32 on, u32 cpu);
long give(u32 on, u32 pool, u32 cpu);
long take(u32 on, u32 pool, u32 cpu);
long make_pool(u32 *id, u32 sched);
long unmake_pool(u32 id);
long set_params(u32 tslice_us, u32 ratelimit_us, u32 migr_delay_us);
long set_flags_of_pool(u32 pool, u32 flags);
long adjust(struct domain *d, u32 weight, u32 cap); /* ~0: as it is */
void set_affinity(u32 on, struct vcpu *v, u64 hard, u64 soft);
long ask_affinity(struct vcpu *v, u64 *hard, u64 *soft, bool force); /* NULL: as it is */
long override(struct vcpu *v, u32 cpu);
