/* SPDX-License-Identifier: MIT */
/*
 * The real-time policy's state, for its two files alone (rtds.c decides, rtds_queue.c knows budgets
 * and who waits) and for tests that look into it. All of it belongs to the pool's lock.
 */
#pragma once

#include <tarn/lib.h>
#include <tarn/list.h>
#include <tarn/sched.h>

struct rtds_unit {
    struct list queue;  /* in the pool's waiting */
    struct list event;  /* in the pool's events */
    s64 period, budget; /* ns */
    s64 left;           /* of the budget; below 0: overdrawn, which the next one pays */
    stime_t deadline;   /* of this budget; the next one comes then, and not before */
    stime_t start;      /* running: charged up to here */
    stime_t extra;      /* when it last had extra time */
    stime_t served;     /* the same, but what it ran since it is on a CPU does not count yet */
    u32 level;          /* 0: lives on its budget; n: on the n-th portion of extra time */
    bool extratime;
};

struct rtds_pool {
    struct list waiting; /* by urgency: want a CPU, may run, don't */
    /* By deadline, who gets a new budget then: those that wait without one, or for extra time. */
    struct list events;
    struct cpumask called; /* was told to decide anew, and did not yet */
    u32 keeper;            /* the CPU whose slice ends with the first event, or NO_CPU */
    stime_t keeper_at;
    struct sched_unit *current[NR_CPUS]; /* NULL: idle */
};

_Static_assert(sizeof(struct rtds_unit) <= SCHED_UNIT_PRIV, "unit's private area");

static inline struct rtds_unit *rtds_priv(const struct sched_unit *u)
{
    return (struct rtds_unit *)(uintptr_t)u->priv;
}

static inline struct rtds_pool *pool_priv(const struct sched_pool *p)
{
    return p->priv;
}

static inline struct sched_unit *unit_of(struct rtds_unit *c)
{
    return container_of((u8(*)[SCHED_UNIT_PRIV])c, struct sched_unit, priv);
}

static inline struct rtds_unit *waiting_unit(struct list *l)
{
    return container_of(l, struct rtds_unit, queue);
}

static inline bool rtds_before(const struct rtds_unit *a, const struct rtds_unit *b)
{
    if (a->level != b->level) {
        return a->level < b->level;
    }
    return a->level ? a->served < b->served : a->deadline < b->deadline;
}

/* rtds_queue.c: budgets. */
void rtds_charge(struct rtds_unit *c, stime_t now);  /* what it ran until now */
void rtds_settle(struct rtds_unit *c, stime_t now);  /* new period or extra time, if it is due */
void rtds_restart(struct rtds_unit *c, stime_t now); /* a period begins now */

/* Queues. A unit is in one or both of the lists, or running, or asleep. */
void rtds_add_event(struct rtds_pool *rp, struct rtds_unit *c);
void rtds_dequeue(struct rtds_unit *c);
void rtds_replenish(struct rtds_pool *rp, stime_t now); /* those whose time has come */
/* The slice, 0 for none, or what is left until this CPU has to see to the first event. */
s64 rtds_until_event(struct rtds_pool *rp, u32 cpu, s64 slice, stime_t now);

/* CPUs. Each returns one that has to decide anew, or NO_CPU; find_idle calls nobody. */
u32 rtds_find_idle(const struct sched_pool *p, const struct sched_unit *u);
bool rtds_expected_elsewhere(const struct rtds_pool *rp, const struct sched_unit *u, u32 cpu);
u32 rtds_call(struct sched_pool *p, u32 cpu);
u32 rtds_call_next(struct sched_pool *p);   /* for the sake of one who waits */
u32 rtds_call_keeper(struct sched_pool *p); /* that somebody sees to the first event */
u32 rtds_place(struct sched_pool *p, struct sched_unit *u, stime_t now);
