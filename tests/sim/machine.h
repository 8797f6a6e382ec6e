/* SPDX-License-Identifier: MIT */
/*
 * A whole machine in virtual time, in one thread, and the same for the same seed: pcpus with their
 * timers, softirqs and IPIs, pages, the clock and the switch of contexts. On it run the dispatcher,
 * the pools and all policies as the hypervisor has them. What a pcpu does costs no time; only
 * guests run for a while. A pcpu's code runs on a stack area of its own, as this_pcpu() wants it.
 *
 * Locks: nobody can wait for one here, so a lock that is taken twice, or that is still held when a
 * pcpu goes back to its guest, is a panic.
 */
#pragma once

#include <tarn/domain.h>
#include <tarn/sched.h>
#include <tarn/topology.h>

#define US NSEC_PER_USEC
#define MS NSEC_PER_MSEC
#define SEC NSEC_PER_SEC
#define BIT(nr) (1u << (nr))

struct machine_cpu {
    stime_t softirq_due, timer_due; /* an IPI, the hardware's timer; STIME_MAX: none */
    stime_t due;                    /* the first of these and of what its guest does */
    u32 place;                      /* in the heap */
    bool inside;                    /* runs code of the hypervisor */
    struct vcpu *hw;                /* whose registers it has */
    stime_t since;                  /* hw->... has run here since then */
    s64 busy, idle;                 /* up to `since` */
    u64 switches;
};

struct machine {
    u64 seed, state; /* of the dice */
    u64 events;
    stime_t clock;
    u32 ipi_max, late_max; /* ns: how long an IPI takes at most, how late a timer may be */
    s64 pages;             /* held */
    u32 fail_after;        /* the allocation that brings it down to 0 fails; 0: none does */
    u32 heap[NR_CPUS];     /* of pcpus, by due */
    u32 caller;
    u32 stride, until_check;
    void (*check)(void); /* called each `stride` events */
    void (*dump)(void);  /* at a panic, with SIM_LOG=1 */
    struct machine_cpu cpu[NR_CPUS];
};

extern struct machine machine;

void machine_seed(u64 seed);
u64 rnd(u64 below);
bool one_in(u32 n);

/* Power on: Pool-0 has all CPUs under `ops`. Off: nothing may be left. */
void machine_on(const struct topology *t, const struct sched_ops *ops);
void machine_off(void);
void machine_run(stime_t duration);
/* A function as a hypercall on that pcpu, and then what its exit loop has to do. */
void machine_call(u32 cpu, void (*fn)(void *arg), void *arg);
/* The same for a vcpu of a control domain: it is `current`, though it takes no part in scheduling.
 */
#define MACHINE_CALLERS 4
void machine_hypercall(u32 cpu, u32 caller, void (*fn)(void *arg), void *arg);
u32 machine_any_cpu(void); /* online */

/* guests.c, for the machine: a vcpu gets or loses its CPU; when it next does something; it does. */
void guest_on(struct vcpu *v, u32 cpu);
void guest_off(struct vcpu *v, u32 cpu);
stime_t guest_due(const struct vcpu *v);
void guest_acts(void);

/* Results, as the tools that count tests want them. */
void sim_case(const char *name); /* what runs now; a panic in it is told with the name */
int sim_passed(void);            /* the program's last line and status */
/* With SIM_LOG=1: what is done to the machine, to find out how a panic came about. */
void sim_log(const char *fmt, ...) __printf(1, 2);
u64 sim_arg(const char *name, u64 otherwise); /* a number from the environment */
bool sim_is_short(const char *program);       /* it runs under a sanitizer: do less */
