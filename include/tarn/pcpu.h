/* SPDX-License-Identifier: MIT */
/*
 * One struct pcpu stands at the top of each CPU's aligned stack area and is found from rsp. The
 * area is 16 pages of address space; only the stacks are mapped, each with an unmapped guard page
 * under it: pages 1 #DF, 3 NMI, 5 #MC, 7 #DB, and 14-15 the stack with struct pcpu at its top.
 */
#pragma once

#include <tarn/cpumask.h>
#include <tarn/spinlock.h>
#include <tarn/timer.h>
#include <tarn/types.h>

#define PCPU_AREA_SIZE 65536UL

struct sched_pool;
struct vcpu;

struct pcpu {
    /* arch/x86/pv/entry.asm uses the first fields: see tools/offsets.c */
    u64 scratch;         /* SYSCALL stub */
    struct vcpu *curr;   /* the idle vcpu when idle */
    u32 softirq_pending; /* bits of enum softirq, atomic */
    u32 id;
    u32 apic_id;
    bool online;
    bool flushing;  /* answering a TLB flush request */
    u64 loaded_cr3; /* what CR3 holds */
    /* Whose segments, FPU and descriptors the hardware holds; kept while idle. */
    struct vcpu *loaded;
    struct vcpu *idle;
    struct sched_pool *pool;
    /* cpupool_lock: a CPU that is taken away. Who asked for it (`taker`) comes again for the
     * answer: it has left that pool, or gone out of service. */
    struct sched_pool *left;
    const struct vcpu *taker;
    bool parking;
    u32 last_pool;            /* id of the one it is in, or was in last */
    struct timer slice_timer; /* ends the time slice of what runs here */
    u64 nr_irqs;
    void *gdt; /* this pcpu's descriptor page, direct map */
    void *tss;
    paddr_t gdt_pa;
    stime_t timer_programmed; /* deadline in the hardware, STIME_MAX if none */
    u64 dr7;                  /* what the hardware holds: of a guest that may be gone */
    struct timer_queue {
        struct spinlock lock; /* leaf */
        struct timer_heap heap;
        struct timer *running; /* whose function this pcpu is in */
    } timers;                  /* timer.c */
};

#define PCPU_STACK_TOP(p) ((u64)(p))

static inline struct pcpu *pcpu_of_stack(u64 rsp)
{
    return (struct pcpu *)((rsp | (PCPU_AREA_SIZE - 1)) + 1 - ALIGN_UP(sizeof(struct pcpu), 64UL));
}

static inline struct pcpu *this_pcpu(void)
{
    u64 rsp;

    __asm__("mov %%rsp, %0" : "=r"(rsp));
    return pcpu_of_stack(rsp);
}

static inline u32 this_cpu(void)
{
    return this_pcpu()->id;
}

#define current (this_pcpu()->curr)

extern struct pcpu *pcpus[NR_CPUS]; /* by cpu number; NULL where none */
extern u32 nr_pcpus;                /* numbered, online or not */
extern struct cpumask cpu_online_map;
