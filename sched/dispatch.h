/* SPDX-License-Identifier: MIT */
/*
 * What the dispatcher's files share: schedule.c decides who runs, member.c who takes part,
 * affinity.c where, pool.c and cpupool.c which CPUs and rules there are. Policies don't see it.
 */
#pragma once

#include <tarn/domain.h>
#include <tarn/sched.h>
#include <tarn/softirq.h>

static inline struct vcpu *unit_vcpu(struct sched_unit *u)
{
    return container_of(u, struct vcpu, unit);
}

static inline struct domain *domain_of(const struct sched_dom *s)
{
    return container_of((uintptr_t)s, struct domain, sched);
}

static inline void tickle(u32 cpu)
{
    if (cpu != NO_CPU) {
        softirq_raise(cpu, SOFTIRQ_SCHEDULE);
    }
}

static inline void tickle_all(const struct cpumask *mask)
{
    cpumask_for_each(cpu, mask) {
        tickle(cpu);
    }
}

/* cpupool.c: guards pools, which CPU is in which, and cpu_online_map once the machine is up. */
extern struct spinlock cpupool_lock;
void pools_begin(struct sched_pool *first); /* at boot: the list, with this one in it */
struct sched_pool *pool_find(u32 id);       /* the lock is held */

/* pool.c: a pool without CPUs; false: no memory. */
bool pool_init(struct sched_pool *p, const struct sched_ops *ops);
void pool_free_priv(struct sched_pool *p);

/* schedule.c: the pool that the domain is in, locked; a pcpu at boot. */
struct sched_pool *lock_pool(const struct domain *d);
void schedule_cpu_init(struct pcpu *cpu);

/* member.c: the pool's lock is held until then; who is to decide anew, as p->calls says, is told.
 */
void unlock_and_call(struct sched_pool *p);

/* Domains that are being destroyed don't keep the last CPU of a pool: if all are, they go
 * to Pool-0.
 */
void sched_evict_dying(struct sched_pool *p);

/* group.c; the pool's lock is held. Each of a tree on its own, and all as they were again. */
void group_take_apart(struct sched_pool *p, struct sched_dom *top, struct list *members);
void group_put_together(struct sched_pool *p, struct list *members);

/* bandwidth.c: a domain's whole, or that of its vcpu. */
void bandwidth_init(struct sched_bandwidth *b, struct domain *d, struct vcpu *v);
/* With the pool's lock held: one of them is `limited`. It would run, but for a budget. */
void bandwidth_switch(struct vcpu *prev, struct vcpu *next, stime_t t);
void bandwidth_wait(struct vcpu *v, stime_t t);

/* pool.c: CPUs that are to go out of service, and have left their pool, go. cpupool_lock is held.
 */
void pool_park_leavers(void);

/* pool.c; the pool's lock is held. */
void pool_timer_start(struct sched_pool *p);
/* This pcpu, idle now, is no member any more. */
void pool_leave(struct sched_pool *p, struct pcpu *cpu, stime_t t);

/* affinity.c; the pool's lock is held. Effective masks from the given ones and the override;
 * returns whether they changed. */
bool pool_affinity(const struct sched_pool *p, struct vcpu *v);
/* The pool has other CPUs than before. Adds to *mask who must decide anew. */
void pool_retarget(struct sched_pool *p, stime_t t, struct cpumask *mask);

/* The policy has something to account again after a time with nothing active. */
static inline void kick_pool_timer(struct sched_pool *p)
{
    if (unlikely(p->timer_kick)) {
        pool_timer_start(p);
    }
}
