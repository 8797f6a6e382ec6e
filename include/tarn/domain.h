/* SPDX-License-Identifier: MIT */
/*
 * Domains and their vcpus. A domain is created with all its vcpus allocated, and paused. One that
 * shut down keeps what it has until it is destroyed; the last domain_put then frees the structure,
 * and until that it can be found. Each domain holds a reference to itself until it is destroyed,
 * and one while it has pages.
 */
#pragma once

#include <tarn/arch.h>
#include <tarn/evtchn.h>
#include <tarn/grant.h>
#include <tarn/sched.h>
#include <tarn/timer.h>
#include <x86/domain.h>

#include <xen/vcpu.h>
#include <xen/xen.h>

#define MAX_VCPUS 128 /* of one domain */
#define DOMAIN_NAME_MAX 32
#define DOMAIN_WATCHDOGS 2
#define NO_SHUTDOWN_CODE 0xffffu

/* Assists that we have, or that mean nothing here. */
#define VM_ASSIST_VALID                                                                \
    (1UL << VMASST_TYPE_4gb_segments | 1UL << VMASST_TYPE_4gb_segments_notify |        \
     1UL << VMASST_TYPE_writable_pagetables | 1UL << VMASST_TYPE_pae_extended_cr3 |    \
     1UL << VMASST_TYPE_architectural_iopl | 1UL << VMASST_TYPE_runstate_update_flag | \
     1UL << VMASST_TYPE_m2p_strict)

/* pause_flags: why a vcpu can't run. Zero means runnable. */
#define VPF_DOWN (1u << 0)    /* VCPUOP_down, or never brought up */
#define VPF_BLOCKED (1u << 1) /* SCHEDOP_block or poll: an event ends it */
#define VPF_PAUSED (1u << 2)  /* its domain is paused, crashed or shut down */
/* A budget of it is used up: sched/bandwidth.c. */
#define VPF_THROTTLED_BY(budget) (1u << (3 + (budget)))
#define VPF_THROTTLED (7u << 3)

struct vcpu {
    struct arch_vcpu arch; /* first: the entry code addresses the registers from it */
    struct domain *domain;
    u32 id;
    u32 pause_flags;        /* atomic */
    bool broken_told;       /* affinity_broken is on the console; kernel/ops/sysctl.c */
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
    u32 override;                               /* SCHEDOP_pin_override's CPU + 1, 0: none */
    bool affinity_broken;                       /* the hard one leaves nothing in the pool */
    bool rt_refused;                            /* its real-time parameters don't fit where it is */
    u8 rt_known;                                /* which of these it has */
    struct sched_rt rt_kept[SCHED_RT_POLICIES]; /* under a policy that it is not under now */
    struct vcpu_runstate_info runstate;
    vaddr_t runstate_va;                        /* registered area, guest virtual; 0 = none */
    struct sched_bandwidth *budget[NR_BUDGETS]; /* those that count; the pool's lock */
    struct sched_bandwidth bandwidth;           /* its own */

    /* Per-vcpu VIRQs and timers */
    u32 virq_port[NR_VIRQS]; /* 0: not bound; domain's evtchn lock */
    struct timer periodic, oneshot, poll_timer;
    stime_t periodic_period, periodic_last;
};

struct domain {
    domid_t domid;
    char name[DOMAIN_NAME_MAX];
    bool privileged;   /* dom0 */
    u16 shutdown_code; /* why it ended, or will say it did; domain.lock */
    bool is_shut_down;
    u8 dying;             /* enum domain_dying; goes up only */
    u32 refcnt;           /* atomic; holders of a pointer beyond a lookup */
    struct spinlock lock; /* RANK_DOMAIN: life cycle, memory totals */
    u32 pause_count;      /* who wants it to stand still: VPF_PAUSED unless 0; domain.lock */
    u32 control_pauses;   /* of these the control domain's; domain.lock */
    struct list link;     /* in the list of all domains, by domid */
    xen_domain_handle_t handle;
    u32 max_vcpus;
    struct vcpu *vcpu[MAX_VCPUS];
    shared_info_t *shared_info; /* hypervisor mapping. Untrusted contents. */
    mfn_t shared_mfn;
    struct evtchn_domain evtchn;
    struct grant_table grants;
    struct sched_dom sched;
    struct sched_pool *pool;
    struct sched_bandwidth bandwidth; /* of all its vcpus, and its emulator's */
    u64 *ran_on; /* ns on each CPU; the lock of the pool it is in. NULL: an idle domain */
    struct domain *emulator, *client; /* who serves it, whom it serves; sched/bandwidth.c */
    u32 tot_pages, max_pages;
    u32 page_list;             /* head of its frames (struct frame links), BUDDY_NIL when none */
    u32 held_list;             /* those that were given back but are still mapped by somebody */
    struct spinlock page_lock; /* RANK_LEAF: the lists, tot_pages */
    u64 vm_assist;
    u64 nodes;                               /* setnodeaffinity's, 0: none given; the domctl lock */
    struct timer watchdog[DOMAIN_WATCHDOGS]; /* SCHEDOP_watchdog; domain.lock */
    bool watchdog_used[DOMAIN_WATCHDOGS];
    void *console; /* line buffer and rate limit; kernel/ops/console_op.c */
    struct arch_domain arch;
};

/* It can't get anything any more; all was given back that could be (what others map still counts).
 */
enum domain_dying { DOMAIN_ALIVE, DOMAIN_DYING, DOMAIN_DEAD };

/* kernel/domain.c */
/* A domain with `max_vcpus` vcpus, all down, no memory; the control domain has it paused once.
 * NULL: -errno in *rc. */
struct domain *domain_create(domid_t domid, const char *name, u32 max_vcpus,
                             struct sched_pool *pool, u32 weight, u32 cap, int *rc);
/* The one with the lowest id from `first` on, referenced; NULL: there is none. */
struct domain *domain_get_from(u32 first);
/* An id that no domain has, after those given out before; DOMID_INVALID: none is left. */
domid_t domain_free_id(void);
/* Counted; the first returns when none of its vcpus runs. Not for current's domain, no lock held.
 */
void domain_pause(struct domain *d);
void domain_unpause(struct domain *d);
/* The same for the control domain, with a count of its own: -EINVAL when there is none to undo, or
 * for current's; -EOVERFLOW when there are too many. */
long domain_control_pause(struct domain *d);
long domain_control_unpause(struct domain *d);
/* kernel/destroy.c: give all back, in steps: -ERESTART: call again. 0 also when it is dead already.
 * -EINVAL for current's domain. Callers exclude each other. */
long domain_destroy(struct domain *d);
/* No pcpu's hardware holds anything of it any more; it is paused. */
void domain_unload(const struct domain *d);
void control_send_virq(u32 virq); /* a global one, to domain 0 if there is one */
/* The guest said it is done: SHUTDOWN_*. The machine follows dom0. */
void domain_shutdown(struct domain *d, u8 reason);
/* One that was shut down (and not destroyed) goes on where it was. */
void domain_resume(struct domain *d);
/*
 * This guest can't go on: one line with its name, the reason and (for current) registers, then it
 * is shut down with SHUTDOWN_crash. Returns; the vcpu does not run again after the exit loop.
 */
void domain_crash(struct domain *d, const char *fmt, ...) __printf(2, 3);

/* kernel/domain_list.c */
extern struct list domain_list; /* domain_list_lock */
extern struct spinlock domain_list_lock;
int domain_list_add(struct domain *d);     /* -EEXIST: one has its domid */
void domain_list_remove(struct domain *d); /* if it is there */

/* kernel/ops/domctl.c: as XEN_DOMCTL_getdomaininfo tells it. */
struct xen_domctl_getdomaininfo;
void domain_info(struct domain *d, struct xen_domctl_getdomaininfo *info);

/* kernel/vcpu.c */
int vcpu_create(struct domain *d, u32 id);
struct vcpu *vcpu_create_idle(struct domain *idle_domain, u32 cpu);
void vcpu_stop_timers(struct vcpu *v); /* for good; it doesn't run */
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
