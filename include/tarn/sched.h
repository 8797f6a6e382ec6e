/* SPDX-License-Identifier: MIT */
/*
 * Scheduling. A policy (sched/credit.c, ...) is pure: it gets time and state, and returns
 * decisions; it never touches hardware, locks or vcpus. The dispatcher (sched/schedule.c) owns the
 * mechanism: it holds the pool's lock around every call of a policy, carries out what was decided,
 * and keeps `runnable` and `running`.
 */
#pragma once

#include <tarn/cpumask.h>
#include <tarn/list.h>
#include <tarn/spinlock.h>
#include <tarn/timer.h>
#include <tarn/topology.h>

#define SCHED_UNIT_PRIV 128
#define SCHED_DOM_PRIV 256
#define SCHED_DEFAULT_WEIGHT 256
#define SCHED_RT_POLICIES 2 /* policies with rt_set */

struct sched_pool;

/* What a policy keeps and sees of a domain. */
struct sched_dom {
    u32 weight; /* 1..65535 */
    u32 cap;    /* percent of one CPU, 0 = none */
    u32 id;     /* domid, for traces */
    /* In its pool's doms; all its units. The dispatcher's. */
    struct list link, units;
    /*
     * Scheduling domains (public/tarn.h). Who has members is their master: all of them together
     * have its weight and cap. NULL: it is nobody's member, and weight and cap are its own.
     */
    struct sched_dom *master;
    struct list members, sibling; /* its members, by their `sibling` */
    u32 inner_weight, inner_cap;  /* among the members of its master */
    u32 self_weight, self_cap;    /* of its own units among its members */
    struct sched_dom *was_master; /* while its tree moves to another pool */
    _Alignas(16) u8 priv[SCHED_DOM_PRIV];
};

/* What a policy keeps and sees of a vcpu. */
struct sched_unit {
    struct sched_dom *dom;
    struct list link;    /* in its domain's units; the dispatcher's */
    u32 id;              /* vcpu id within the domain */
    u32 cpu;             /* CPU it runs on, is queued on, or ran on last */
    bool runnable;       /* wants a CPU; kept by the dispatcher */
    bool running;        /* is on `cpu` now (also while still being switched out) */
    bool down;           /* set before sleep() or changed(): its CPU may go until it wakes */
    bool dedicated;      /* hard affinity is a single CPU */
    bool limited;        /* some budget (sched_bandwidth) is charged for it; the dispatcher's */
    bool throttled;      /* would be runnable, but a budget is used up; when it wakes, it was */
    struct cpumask hard; /* effective hard affinity: given & pool's CPUs, never empty */
    struct cpumask soft; /* effective soft affinity: given & hard; empty = no preference */
    stime_t last_run;    /* when it last left a CPU */
    _Alignas(16) u8 priv[SCHED_UNIT_PRIV];
};

struct sched_decision {
    struct sched_unit *next; /* NULL: idle */
    stime_t slice;           /* ask again after that many ns at the latest; 0: no limit (idle) */
    u32 tickle;              /* another CPU that should decide anew, or NO_CPU */
};

struct sched_params {
    u32 tslice_us;    /* 1000..1000000 */
    u32 ratelimit_us; /* 0 or 100..500000, and not more than tslice_us */
    /* 0..100000: who ran less long ago is left to its CPU, unless the other one would idle */
    u32 migr_delay_us;
    u32 flags; /* TARN_POOL_* of include/public/tarn.h */
};

/*
 * A limit of CPU time for one vcpu, or for a domain's and its emulator's together: `quota` in each
 * `period`. sched/bandwidth.c.
 */
struct sched_bandwidth {
    struct spinlock lock;        /* RANK_BUDGET: the account */
    struct spinlock gate;        /* RANK_THROTTLE: whose it is, and that all of them know `empty` */
    u32 running;                 /* how many run on it */
    bool empty;                  /* used up: all whose it is are throttled */
    u32 first;                   /* of its users, who is woken first next time; the gate */
    s64 period, quota;           /* ns; quota 0: no limit, and nothing is accounted */
    s64 left;                    /* of this period's quota, at `at`; below 0: overdrawn */
    stime_t at, begin;           /* begin: of this period */
    stime_t waits_since;         /* somebody would run if it were not empty; 0: nobody */
    u64 throttled, throttled_ns; /* how often it was empty, how long somebody waited */
    struct timer timer;          /* when it will be empty, or no longer */
};
/* Whose budgets count for a vcpu. */
enum sched_budget { BUDGET_OWN, BUDGET_DOMAIN, BUDGET_CLIENT, NR_BUDGETS };

/* Of a unit under a real-time policy. What a policy does not know it leaves alone. */
struct sched_rt {
    u64 period_us, budget_us; /* budget: the slice of sedf */
    u64 latency_us;           /* sedf: period after a long block, 0: none */
    u32 weight;               /* sedf: share instead of a period, or of extra time; 0: none */
    bool extratime;           /* may use what others leave */
};

/*
 * A policy. NULL = default (nothing to do). All are called with the pool's lock held.
 * Where a CPU number is returned it is one that should decide anew (call schedule), NO_CPU for
 * none.
 */
struct sched_ops {
    const char *name;
    u32 id;           /* XEN_SCHEDULER_* */
    size_t pool_size; /* bytes of struct sched_pool.priv */
    void (*pool_init)(struct sched_pool *p, stime_t now);
    void (*cpu_add)(struct sched_pool *p, u32 cpu, stime_t now); /* already in p->cpus */
    void (*cpu_remove)(struct sched_pool *p, u32 cpu,
                       stime_t now); /* already not in p->cpus; no unit is on it */
    void (*dom_insert)(struct sched_pool *p, struct sched_dom *d);
    void (*dom_remove)(struct sched_pool *p, struct sched_dom *d);
    void (*unit_insert)(struct sched_pool *p, struct sched_unit *u,
                        stime_t now); /* not runnable yet */
    void (*unit_remove)(struct sched_pool *p, struct sched_unit *u,
                        stime_t now); /* neither queued nor running */
    u32 (*pick_cpu)(struct sched_pool *p,
                    const struct sched_unit *u); /* where it best starts to wait */
    u32 (*wake)(struct sched_pool *p, struct sched_unit *u,
                stime_t now); /* u->runnable was just set */
    u32 (*sleep)(struct sched_pool *p, struct sched_unit *u,
                 stime_t now); /* u->runnable was just cleared */
    void (*yield)(struct sched_pool *p,
                  struct sched_unit *u); /* before the decision that follows */
    /* `prev` (NULL: idle) stops running on `cpu` now, or goes on if it is returned. Sets u->cpu of
     * what it returns. */
    struct sched_decision (*decide)(struct sched_pool *p, u32 cpu, struct sched_unit *prev,
                                    stime_t now);
    /* prev's state is saved: it may be taken by other CPUs from now on. */
    u32 (*switched_out)(struct sched_pool *p, u32 cpu, struct sched_unit *prev, stime_t now);
    /*
     * A domain leaves where it is in the tree of masters and members (joined false: `master` is
     * still what it was; it has no place then) or has a new place (joined true: `master` is the new
     * one, or NULL). Its members stay with it, and it is still in the pool. Whoever must decide
     * anew goes to p->calls.
     */
    void (*regroup)(struct sched_pool *p, struct sched_dom *d, bool joined, stime_t now);
    /* weight or cap, its own, inner or self ones, or an affinity of a unit changed (u NULL:
     * domain-wide) */
    u32 (*changed)(struct sched_pool *p, struct sched_dom *d, struct sched_unit *u, stime_t now);
    /*
     * Real-time parameters of a unit. rt_set checks them (-EINVAL), and whether all of the pool's
     * units can still keep their promises (-ENOSPC; `force` takes them nevertheless); then they
     * count at once, and *tickle is a CPU that should decide anew.
     */
    void (*rt_get)(const struct sched_pool *p, const struct sched_unit *u, struct sched_rt *out);
    int (*rt_set)(struct sched_pool *p, struct sched_unit *u, const struct sched_rt *in, bool force,
                  stime_t now, u32 *tickle);
    /* Pool-wide periodic work. Adds CPUs that must decide anew to *tickle; returns when to call
     * again. */
    stime_t (*timer)(struct sched_pool *p, stime_t now, struct cpumask *tickle);
    /* One line for debug keys: what a CPU's queue holds. Returns length as snprintf. */
    int (*dump_cpu)(const struct sched_pool *p, u32 cpu, char *buf, size_t size);
};

struct sched_pool {
    struct spinlock lock; /* RANK_RUNQUEUE: all policy state of the pool */
    u32 id;
    char name[32];    /* cpupool_lock, as the next three */
    struct list link; /* in the list of pools, by id */
    u32 users;        /* who holds it: pool_get */
    const struct sched_ops *ops;
    struct sched_params params;
    struct cpumask cpus;   /* members */
    struct cpumask idlers; /* members that run nothing; kept by the dispatcher, policies may clear
                              what they tickle */
    const struct topology *topology;
    bool timer_kick; /* a policy sets it when `timer` must be called again; the dispatcher does so
                        within a time slice */
    /* CPUs that should decide anew for the sake of an op that returns none (unit_remove); a policy
     * adds, the dispatcher takes them. */
    struct cpumask calls;
    u32 nr_waiting; /* units that want a CPU and have none; read without the lock, too */
    u32 nr_doms;
    struct list doms;   /* of struct sched_dom; the dispatcher's */
    struct timer timer; /* calls ops->timer */
    void *priv;         /* ops->pool_size bytes */
};

extern const struct sched_ops sched_credit, sched_null, sched_rr, sched_rtds, sched_sedf;
extern const struct sched_ops *const sched_policies[]; /* NULL terminated */

struct vcpu;
struct domain;

/* Pools, sched/pool.c */
void sched_boot_init(const struct sched_ops *ops, const struct topology *topology); /* Pool-0 */
const struct sched_ops *sched_policy_find(const char *name);
/*
 * A CPU leaves its pool, or a CPU without one joins. All that waits or runs there goes elsewhere,
 * against its affinity if that leaves nothing. -ERESTART: it is on its way out, call again; never
 * wait for it in here, it may be the caller's own (which then goes on elsewhere). It leaves whether
 * somebody asks again or not. -EBUSY: it is the last one of a pool with domains, or still on its
 * way out; -EADDRINUSE: SCHEDOP_pin_override ties a vcpu to it.
 */
long pool_cpu_remove(struct sched_pool *p, u32 cpu);
long pool_cpu_add(struct sched_pool *p, u32 cpu);
/*
 * Out of service: in no pool, not in cpu_online_map, runs nothing; it sits in its idle loop and
 * answers what it is asked. Back in service it is in Pool-0 (or its last pool,
 * TARN_POOL_cpus_return). -ERESTART as above; -EINVAL: there is no such CPU, or it is CPU 0;
 * -EEXIST: it is so already; -EBUSY: Pool-0 needs it; -ENODEV: it is in another pool; -EIO: it
 * never started.
 */
long sched_cpu_offline(u32 cpu);
long sched_cpu_online(u32 cpu);
void sched_params_get(struct sched_pool *p, struct sched_params *out);
/* All but the flags. -EINVAL */
long sched_params_set(struct sched_pool *p, const struct sched_params *in);
long sched_flags_set(struct sched_pool *p, u32 flags); /* -EINVAL: there is no such flag */
void sched_dump(void); /* who runs and waits where, on the console */
extern struct sched_pool pool0;

/* Affinities, sched/affinity.c */
void sched_set_affinity(struct vcpu *v, const struct cpumask *hard, const struct cpumask *soft);
/*
 * The same for the control domain; NULL: as it is. They come back as what counts: within the pool,
 * and the soft one within the hard one. -EINVAL: no CPU of the pool is in the hard one; -EBUSY: an
 * override is in force, which `force` ends. Then nothing has changed.
 */
long sched_ask_affinity(struct vcpu *v, struct cpumask *hard, struct cpumask *soft, bool force);
/* As they were given; an override counts as the hard one. */
void sched_get_affinity(struct vcpu *v, struct cpumask *hard, struct cpumask *soft);
struct tarn_vcpu_placement;
void sched_placement(struct vcpu *v, struct tarn_vcpu_placement *out); /* all that is `out` in it */
/* To that CPU alone, whatever its affinity; NO_CPU: no longer. -EINVAL: the CPU is not in the pool,
 * or there is none to end; -EBUSY: there is one. */
long sched_pin_override(struct vcpu *v, u32 cpu);

/*
 * Pools that come and go; sched/cpupool.c. 0 or -errno, those of Xen's cpupool_op; -ERESTART: call
 * again, as the same vcpu. POOL_ANY stands for an id to be chosen, or the first free CPU.
 */
#define POOL_ANY (~0u)
struct sched_pool *pool_get(u32 id);      /* NULL: there is none; to be put */
struct sched_pool *pool_get_from(u32 id); /* the one with the lowest id from there on */
struct sched_pool *pool_get_by_name(const char *name);
void pool_put(struct sched_pool *p);
void pool_get_name(const struct sched_pool *p, char name[32]);
void pool_look(struct sched_pool *p, struct cpumask *cpus, u32 *nr_doms);
long pool_create(u32 *id, u32 sched_id);
long pool_destroy(u32 id);
long pool_rename(u32 id, const char *name); /* -EEXIST: another has that name */
long pool_give_cpu(u32 id, u32 cpu);
long pool_take_cpu(u32 id, u32 cpu);
long pool_last_cpu(u32 id, u32 *cpu); /* -EINVAL: it has none */
void pool_free_cpus(struct cpumask *out);
const struct sched_ops *sched_policy_by_id(u32 id);

/* The domains and vcpus of a pool, sched/member.c */
/* -ENODEV: the pool has no CPU. */
int sched_domain_init(struct domain *d, struct sched_pool *pool, u32 weight, u32 cap);
void sched_domain_destroy(struct domain *d);
/*
 * A paused domain goes to another pool, and those below it, paused too, with it. Weight, cap and
 * affinities go with it, what it has in its group, and the real-time parameters that it had under
 * that pool's policy before, if they can be kept (else rt_refused); with TARN_POOL_reset_on_move
 * all but the group begins anew. -ENOENT: that pool has no CPU; -EBUSY: it is a member.
 */
long sched_domain_move(struct domain *d, struct sched_pool *to);
/* NULL: unchanged. -EINVAL: weight not 1..65535, cap over 65535; -EBUSY: it is a member. */
long sched_domain_adjust(struct domain *d, const u32 *weight, const u32 *cap);
/* A vcpu's real-time parameters, as rt_get and rt_set of its policy; -EINVAL: it has none. */
long sched_rt_get(struct vcpu *v, struct sched_rt *out);
long sched_rt_set(struct vcpu *v, const struct sched_rt *in, bool force);
long sched_rt_set_all(struct domain *d, const struct sched_rt *in, bool force); /* or none */
void sched_vcpu_init(struct vcpu *v, const struct cpumask *hard, const struct cpumask *soft);
/* Paused for ever: a policy that keeps CPUs for who sleeps may give its CPU away at once. */
void sched_vcpu_dying(struct vcpu *v);
void sched_vcpu_destroy(struct vcpu *v); /* it is paused, and does not run */

/*
 * Scheduling domains, sched/group.c; the errnos are those of public/tarn.h. Links (master, members)
 * change with the lock of trees and the pool's lock, either keeps them as they are.
 */
long sched_group_add(struct domain *d, struct domain *master, u32 weight, u32 cap);
long sched_group_remove(struct domain *d);
long sched_group_set(struct domain *d, struct domain *master, u32 weight, u32 cap);
long sched_group_dissolve(struct domain *master);
struct tarn_group;
void sched_group_info(struct domain *d, struct tarn_group *out); /* all that is `out` in it */
void sched_group_leave(struct domain *d); /* it dies: it is nobody's member or master any more */
void sched_groups_lock(void);             /* trees stay as they are; before domain.lock */
void sched_groups_unlock(void);
/* All of a tree in turn, the topmost first: the one after `d`, NULL: none. */
struct domain *sched_group_next(const struct domain *top, const struct domain *d);

/*
 * Bandwidth, sched/bandwidth.c. `v` is one of the domain's vcpus, or NULL: the domain as a whole;
 * the errnos are those of public/tarn.h, also -ESRCH: it dies.
 */
struct tarn_bandwidth;
void sched_bandwidth_get(struct domain *d, struct vcpu *v, struct tarn_bandwidth *out);
long sched_bandwidth_set(struct domain *d, struct vcpu *v, u64 period_us, s64 quota_us);
long sched_emulator_set(struct domain *d, struct domain *emulator); /* NULL: none any more */
/* Their ids, or DOMID_INVALID. */
void sched_emulator_get(struct domain *d, u16 *emulator, u16 *client);
void sched_bandwidth_end(struct domain *d); /* it dies: no limits, bonds and timers any more */

/* The dispatcher, sched/schedule.c */
u64 sched_cpu_time(const struct domain *d, u32 cpu); /* ns that it ran there, up to now */
stime_t sched_idle_time(u32 cpu); /* since boot, up to now; 0 for one that never started */
void schedule(void);              /* exit loop only: decide for this pcpu, and switch */
void vcpu_wake(struct vcpu *v);   /* pause_flags may have become 0 */
/* pause_flags has become non-zero; it may still run for a moment. */
void vcpu_sleep_nosync(struct vcpu *v);
void vcpu_yield(void); /* current */
