/* SPDX-License-Identifier: MIT */
/*
 * The credit scheduler's state, for its three files alone: credit.c decides, credit_queue.c knows
 * who waits where, credit_account.c who is entitled to how much. All of it belongs to the pool's
 * lock.
 */
#pragma once

#include <tarn/lib.h>
#include <tarn/list.h>
#include <tarn/sched.h>

enum priority { BOOST, UNDER, OVER, NR_PRIORITIES };

/* A part of a quantity of time that is divided by weight. */
struct claim {
    struct list link;
    s64 weight;
    s64 peak;  /* wants no more than that */
    s64 grant; /* < 0: not settled yet */
};

struct credit_unit {
    struct claim claim; /* linked in its domain's units while active */
    struct list node;   /* in a run queue, or parked */
    s64 credit;
    s64 demand;        /* time that it wanted a CPU, had one or not, in this period */
    stime_t since;     /* wanting: demand is counted up to here */
    stime_t start;     /* running: charged up to here */
    stime_t run_start; /* running: since then */
    s64 left;          /* of its time slice */
    u8 pri;
    bool active, wanting, queued, parked, yielding;
};

struct credit_dom {
    struct claim claim; /* linked in the pool's doms while active */
    struct list units;  /* the active ones */
    struct list parked; /* wait for the next budget */
    s64 budget;         /* cap > 0: what it may still run */
    stime_t spent, refilled;
    u32 nr_running;
};

struct run_queue {
    struct list waiting[NR_PRIORITIES];
    struct sched_unit *current; /* NULL: idle */
    u32 nr;                     /* waiting */
};

#define CREDIT_GROUPS 16

struct credit_pool {
    struct list doms;                      /* active ones */
    stime_t accounted;                     /* the period began */
    struct cpumask waiting[NR_PRIORITIES]; /* CPUs on whose queue somebody waits */
    u32 nr_groups;
    /* hard affinities of active units: single CPUs; wider ones but not all CPUs */
    struct cpumask bound, group[CREDIT_GROUPS];
    struct run_queue queue[NR_CPUS];
};

_Static_assert(sizeof(struct credit_unit) <= SCHED_UNIT_PRIV, "unit's private area");
_Static_assert(sizeof(struct credit_dom) <= SCHED_DOM_PRIV, "domain's private area");

static inline struct credit_unit *priv(const struct sched_unit *u)
{
    return (struct credit_unit *)(uintptr_t)u->priv;
}

static inline struct credit_dom *dom_priv(const struct sched_dom *d)
{
    return (struct credit_dom *)(uintptr_t)d->priv;
}

static inline struct credit_pool *pool_priv(const struct sched_pool *p)
{
    return p->priv;
}

static inline struct sched_unit *unit_of(struct credit_unit *c)
{
    return container_of((u8(*)[SCHED_UNIT_PRIV])c, struct sched_unit, priv);
}

static inline struct sched_dom *dom_of(struct credit_dom *c)
{
    return container_of((u8(*)[SCHED_DOM_PRIV])c, struct sched_dom, priv);
}

static inline struct credit_unit *waiting_unit(struct list *l)
{
    return container_of(l, struct credit_unit, node);
}

static inline struct credit_unit *active_unit(struct list *l)
{
    return container_of(l, struct credit_unit, claim.link);
}

static inline struct credit_dom *active_dom(struct list *l)
{
    return container_of(l, struct credit_dom, claim.link);
}

static inline s64 tslice(const struct sched_pool *p)
{
    return p->params.tslice_us * NSEC_PER_USEC;
}

static inline u8 earned(const struct credit_unit *c)
{
    return c->credit > 0 ? UNDER : OVER;
}

static inline s64 clamp(s64 x, s64 low, s64 high)
{
    return x < low ? low : x > high ? high : x;
}

/* credit_account.c: time and entitlement. */
void credit_charge(struct sched_unit *u, stime_t now); /* what it ran until now */
void credit_want(struct sched_pool *p, struct sched_unit *u, stime_t now); /* a CPU, from now on */
void credit_unwant(struct credit_unit *c, stime_t now);
void credit_deactivate(struct sched_unit *u);           /* the period does not count it any more */
void credit_account(struct sched_pool *p, stime_t now); /* a period is over: grant */
void credit_spend(struct sched_dom *d, stime_t now);    /* before nr_running or cap change */
void credit_refill(const struct sched_pool *p, struct sched_dom *d, stime_t now);
bool credit_out_of_budget(struct sched_dom *d, stime_t now);

/* credit_queue.c: who waits where. A unit is queued, parked, running or asleep. */
void credit_enqueue(struct sched_pool *p, struct sched_unit *u, u32 cpu, bool first);
void credit_dequeue(struct sched_pool *p, struct sched_unit *u);
void credit_park(struct sched_unit *u, stime_t now);
void credit_unpark(struct sched_unit *u);
/* What a running unit counts as at the moment. */
u8 credit_running_pri(const struct sched_pool *p, const struct sched_unit *u, stime_t now);
bool credit_prefers(const struct sched_unit *u, u32 cpu);
/* The best idle CPU or NO_CPU; the CPU where it displaces the least or waits the shortest. */
u32 credit_find_idle(const struct sched_pool *p, const struct sched_unit *u);
u32 credit_find_busy(const struct sched_pool *p, const struct sched_unit *u, stime_t now);
/* Queue it at the best of these; returns the CPU to call, or NO_CPU. */
u32 credit_place(struct sched_pool *p, struct sched_unit *u, stime_t now);
/* Whom a CPU runs best, from its queue or, down to priority `worst`, another's. It stays queued. */
struct sched_unit *credit_select(struct sched_pool *p, u32 cpu, u32 worst, stime_t now);
u32 credit_helper(struct sched_pool *p, u32 cpu, const struct sched_unit *prev, stime_t now);
