/* SPDX-License-Identifier: MIT */
/*
 * Domains and their vcpus. A domain is created with all its vcpus allocated. One that ended keeps
 * what it has; the last domain_put frees the structure.
 */
#pragma once

#include <tarn/arch.h>
#include <tarn/evtchn.h>
#include <tarn/sched.h>
#include <tarn/timer.h>
#include <x86/domain.h>

#include <xen/vcpu.h>
#include <xen/xen.h>

#define MAX_VCPUS 128 /* of one domain */
#define DOMAIN_NAME_MAX 32
#define DOMAIN_WATCHDOGS 2

/* pause_flags: why a vcpu can't run. Zero means runnable. */
#define VPF_DOWN (1u << 0)    /* VCPUOP_down, or never brought up */
#define VPF_BLOCKED (1u << 1) /* SCHEDOP_block or poll: an event ends it */
#define VPF_PAUSED (1u << 2)  /* its domain is paused, crashed or shut down */

struct vcpu {
    struct arch_vcpu arch; /* first: the entry code addresses the registers from it */
    struct domain *domain;
    u32 id;
    u32 pause_flags;        /* atomic */
    struct vcpu_info *info; /* shared with the guest: hypervisor mapping. Untrusted contents. */
    mfn_t info_mfn;         /* page of a registered vcpu_info, INVALID_MFN before; mmu_lock */
    /* Where it was before that; stays, as senders may hold on to it. */
    struct vcpu_info *first_info;
    bool initialised; /* has a context: VCPUOP_initialise was done */
    bool nmi_pending; /* VCPUOP_send_nmi; goes to the guest before events do */
    bool polling;     /* in SCHEDOP_poll */
    u32 poll_port;    /* single port polled, 0 when several */

    /* Scheduling; the pool's lock */
    struct sched_unit unit;
    struct cpumask hard_given, soft_given;
    struct vcpu_runstate_info runstate;
    vaddr_t runstate_va; /* registered area, guest virtual; 0 = none */

    /* Per-vcpu VIRQs and timers */
    u16 virq_port[NR_VIRQS]; /* 0: not bound; domain's evtchn lock */
    struct timer periodic, oneshot, poll_timer;
    stime_t periodic_period, periodic_last;
};

struct domain {
    domid_t domid;
    char name[DOMAIN_NAME_MAX];
    bool privileged; /* dom0 */
    u8 shutdown_code;
    bool is_shut_down;
    u32 refcnt;           /* atomic; holders of a pointer beyond a lookup */
    struct spinlock lock; /* RANK_DOMAIN: life cycle, memory totals */
    struct list link;     /* in the list of all domains */
    u32 max_vcpus;
    struct vcpu *vcpu[MAX_VCPUS];
    shared_info_t *shared_info; /* hypervisor mapping. Untrusted contents. */
    mfn_t shared_mfn;
    struct evtchn_domain evtchn;
    struct sched_dom sched;
    struct sched_pool *pool;
    u32 tot_pages, max_pages;
    u32 page_list;             /* head of its frames (struct frame links), BUDDY_NIL when none */
    struct spinlock page_lock; /* RANK_LEAF: page_list, tot_pages */
    u64 vm_assist;
    struct timer watchdog[DOMAIN_WATCHDOGS]; /* SCHEDOP_watchdog; domain.lock */
    bool watchdog_used[DOMAIN_WATCHDOGS];
    void *console; /* line buffer and rate limit; kernel/ops/console_op.c */
    struct arch_domain arch;
};

/* kernel/domain.c */
/* A domain with `max_vcpus` vcpus, all down, no memory. NULL: -errno in *rc. */
struct domain *domain_create(domid_t domid, const char *name, u32 max_vcpus,
                             struct sched_pool *pool, u32 weight, u32 cap, int *rc);
void domain_get(struct domain *d);     /* domain_get_by_id and domain_put: arch.h */
void domain_abandon(struct domain *d); /* one that never ran: all it was given goes back */
/* The guest said it is done: SHUTDOWN_*. The machine follows dom0. */
void domain_shutdown(struct domain *d, u8 reason);
/*
 * This guest can't go on: one line with its name, the reason and (for current) registers, then it
 * is shut down with SHUTDOWN_crash. Returns; the vcpu does not run again after the exit loop.
 */
void domain_crash(struct domain *d, const char *fmt, ...) __printf(2, 3);
extern struct list domain_list; /* domain_list_lock */
extern struct spinlock domain_list_lock;

/* kernel/vcpu.c */
int vcpu_create(struct domain *d, u32 id);
struct vcpu *vcpu_create_idle(struct domain *idle_domain, u32 cpu);
void vcpu_destroy(struct vcpu *v);
void vcpu_block(void);                             /* current; not if an event is deliverable */
bool vcpu_event_deliverable(const struct vcpu *v); /* upcall pending and not masked */
void vcpu_up(struct vcpu *v);
void vcpu_down(struct vcpu *v);
void vcpu_runstate_get(struct vcpu *v, struct vcpu_runstate_info *out); /* up to now; schedule.c */
void vcpu_set_oneshot(struct vcpu *v, stime_t deadline);
void vcpu_set_periodic(struct vcpu *v, stime_t period); /* 0 stops */

static inline bool vcpu_runnable(const struct vcpu *v)
{
    return READ_ONCE(v->pause_flags) == 0;
}
