/* SPDX-License-Identifier: MIT */
/*
 * The credit scheduler's state, for its files alone: credit.c decides, credit_queue.c keeps who
 * waits, credit_place.c knows where a unit runs best, credit_account.c what it ran and wanted,
 * credit_share.c what it is entitled to, credit_tree.c the groups; credit_dump.c shows it. All of
 * it belongs to the pool's lock.
 */
#pragma once

#include <tarn/lib.h>
#include <tarn/list.h>
#include <tarn/sched.h>

enum priority { BOOST, UNDER, OVER, NR_PRIORITIES };

#define MIN_SLICE (100 * NSEC_PER_USEC)
#define MAX_PERIOD (10 * NSEC_PER_SEC) /* longer ones are cut */

/* A part of a quantity of time that is divided by weight. */
struct claim {
    struct list link;
    s64 weight;
    s64 peak;  /* wants no more than that */
    s64 grant; /* < 0: not settled yet */
};

struct credit_unit {
    struct claim claim; /* linked in its domain's leaf while active */
    struct list node;   /* in a run queue, or parked */
    s64 credit;
    s64 demand;        /* time that it wanted a CPU, had one or not, in this period */
    stime_t since;     /* wanting: demand is counted up to here */
    stime_t start;     /* running: charged up to here */
    stime_t run_start; /* running: since then */
    s64 left;          /* of its time slice */
    union {
        s64 had;                        /* wanting: its credit at `since` */
        struct credit_unit *next_bound; /* while accounting: the next one bound to the same CPU */
    };
    u8 pri, level, band; /* while queued: level, and which of nr_of */
    bool active, wanting, queued, parked, yielding;
    bool fresh; /* no period tells yet what it is entitled to: it was granted in advance */
};

struct credit_dom;

/*
 * What has a weight and a cap: a domain with all of its members (and theirs), or the own units of a
 * domain that has members. These are the nodes of a tree, and units its leaves.
 */
struct credit_node {
    struct claim claim; /* linked in `up`, or in the pool's doms, while active */
    struct list parts;  /* the active ones: nodes or, in a leaf, units */
    struct credit_node *up;
    struct credit_dom *dom;
    s64 budget; /* cap > 0: what may still run */
    stime_t spent, refilled;
    u32 cap, nr_running;
    bool leaf;
    bool ran_out; /* the budget, in this period */
    bool pressed; /* more is wanted than the cap lets through */
    bool tight;   /* a budget that is divided: who runs ahead of the others waits */
};

struct credit_dom {
    struct credit_node all, own; /* own: while it has members */
    struct credit_node *leaf;    /* of its units */
    struct list parked;          /* wait for the next budget */
    u32 members;
    bool capped; /* its leaf or something above it has a cap */
};

/*
 * Who waits for a CPU, the most urgent first: boosted ones at level 0, then UNDER, then OVER by how
 * many quarters of a period they are behind or ahead of their entitlement; first come, first served
 * within a level. One list; that each level's last is known makes all of it constant time. Between
 * CPUs only bands of levels are compared, so that not every little difference moves somebody.
 */
#define LEVELS 32
#define FIRST_OVER 16u
#define BAND_LEVELS 4
#define NR_BANDS (1 + LEVELS / BAND_LEVELS)
struct run_queue {
    struct list waiting;
    u32 levels; /* bit n: somebody waits at level n */
    u32 nr;
    u32 nr_of[2 * NR_BANDS];    /* in each band: those whom others may take, those bound to here */
    u32 look;                   /* where the search of other CPUs' queues goes on */
    stime_t looked;             /* busy: when it last did so */
    u8 running;                 /* the priority of the current one */
    struct sched_unit *current; /* NULL: idle */
    stime_t preempted;          /* preemptions by boosted ones are paid for until then */
    struct credit_unit *bound;  /* while accounting: those that are bound to this CPU */
    struct list *last[LEVELS];
};

#define CREDIT_GROUPS 16

struct credit_pool {
    struct list doms;  /* active nodes that have none above them */
    stime_t accounted; /* the period began */
    /* CPUs on whose queue somebody of a band waits (as in nr_of); CPUs by what they run */
    struct cpumask waiting[2 * NR_BANDS], running[NR_PRIORITIES];
    u32 nr_waiting[2 * NR_BANDS], nr_running[NR_PRIORITIES]; /* CPUs in these */
    u32 bands;                                               /* bit n: nr_waiting[n] > 0 */
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

static inline struct run_queue *queue_of(const struct sched_pool *p, u32 cpu)
{
    return &pool_priv(p)->queue[cpu];
}

static inline struct credit_unit *waiting_unit(struct list *l)
{
    return container_of(l, struct credit_unit, node);
}

static inline struct credit_unit *active_unit(struct list *l)
{
    return container_of(l, struct credit_unit, claim.link);
}

static inline struct credit_node *active_node(struct list *l)
{
    return container_of(l, struct credit_node, claim.link);
}

static inline struct credit_node *leaf_of(const struct sched_unit *u)
{
    return dom_priv(u->dom)->leaf;
}

static inline s64 tslice(const struct sched_pool *p)
{
    return p->params.tslice_us * NSEC_PER_USEC;
}

static inline u8 earned(const struct credit_unit *c)
{
    return c->credit > 0 ? UNDER : OVER;
}

static inline u32 band_of(u32 level)
{
    return level ? 1 + level / BAND_LEVELS : 0;
}

#define ANY_BAND ((1U << NR_BANDS) - 1)

static inline s64 clamp(s64 x, s64 low, s64 high)
{
    return x < low ? low : x > high ? high : x;
}

/* credit_account.c: time and entitlement. */
s64 credit_expect(const struct sched_pool *p, const struct sched_dom *d); /* a first grant */
void credit_charge(struct sched_unit *u, stime_t now); /* what it ran until now */
void credit_want(struct sched_pool *p, struct sched_unit *u, stime_t now); /* a CPU, from now on */
void credit_count_demand(struct credit_unit *c, stime_t now);
void credit_unwant(struct credit_unit *c, stime_t now); /* it may not run for now */
void credit_rest(struct sched_unit *u, stime_t now);    /* it does not want to */
void credit_deactivate(struct sched_unit *u);           /* the period does not count it any more */
/* A part of a node, or of the pool (NULL), becomes active or ceases to be. */
void credit_link(struct sched_pool *p, struct credit_node *n, struct list *part, stime_t now);
void credit_unlink(struct credit_node *n, struct list *part);
void credit_refill(const struct sched_pool *p, struct credit_node *n, stime_t now);
/* The topmost node above the unit whose budget is used up, or NULL. */
struct credit_node *credit_exhausted(const struct sched_unit *u, stime_t now);
/* How far a unit below may be ahead of the others, and behind, where a budget is divided: a few
 * periods of it; else STIME_MAX. */
s64 credit_room(const struct sched_pool *p, const struct credit_node *n);
bool credit_must_park(const struct sched_unit *u, stime_t now, const struct sched_pool *p);

/* All units below a node that run use its budget up, whether they were charged already or not.
 * Before nr_running or the cap changes. */
static inline void credit_spend(struct credit_node *n, stime_t now)
{
    if (n->cap) {
        n->budget -= n->nr_running * MAX(now - n->spent, 0);
        n->spent = now;
    }
}

/* So many more run from now on, in a node and all above it. */
static inline void credit_run(struct credit_node *n, s32 more, stime_t now)
{
    for (; n; n = n->up) {
        credit_spend(n, now);
        n->nr_running += (u32)more;
    }
}

static inline bool credit_out_of_budget(const struct sched_pool *p, const struct sched_unit *u,
                                        stime_t now)
{
    return unlikely(dom_priv(u->dom)->capped) && credit_must_park(u, now, p);
}

/* credit_tree.c: the nodes, and what changes them. */
/* Active ones from top to bottom, of the whole pool or those at and below `root`; NULL: before the
 * first and after the last. And from bottom to top. */
struct credit_node *credit_next_node(struct credit_pool *cp, struct credit_node *root,
                                     struct credit_node *n);
struct credit_node *credit_prev_node(struct credit_pool *cp, struct credit_node *n);
bool credit_group_must_park(const struct sched_unit *u, stime_t now, const struct sched_pool *p);
s64 credit_group_budget(const struct sched_pool *p, const struct sched_unit *u);
u32 credit_weight(const struct credit_node *n);
u32 credit_runs_on(const struct sched_pool *p, struct credit_node *n); /* a CPU, or NO_CPU */
void credit_forget(struct sched_pool *p, struct credit_node *root, stime_t now); /* all debts */
void credit_dom_insert(struct sched_pool *p, struct sched_dom *d);
void credit_regroup(struct sched_pool *p, struct sched_dom *d, bool joined, stime_t now);
u32 credit_dom_changed(struct sched_pool *p, struct sched_dom *d, stime_t now);

/* For how long the unit may run by the budgets, as they were when it was last looked at. */
static inline s64 credit_budget(const struct sched_pool *p, const struct sched_unit *u)
{
    const struct credit_node *n = leaf_of(u);

    return n->up ? credit_group_budget(p, u) : n->budget / MAX(n->nr_running, 1u);
}

/* credit_share.c: a period is over, everybody gets what he was entitled to. */
void credit_account(struct sched_pool *p, stime_t now);

/* credit_queue.c: who waits. A unit is queued, parked, running or asleep. */
void credit_queue_init(struct run_queue *q);
void credit_enqueue(struct sched_pool *p, struct sched_unit *u, u32 cpu, bool first);
void credit_dequeue(struct sched_pool *p, struct sched_unit *u);
void credit_requeue(struct sched_pool *p, struct sched_unit *u); /* its credit changed */
void credit_park(struct sched_unit *u, stime_t now);
void credit_unpark(struct sched_unit *u);
/* The first one, or NULL. Those without a budget are parked by the way. */
struct sched_unit *credit_first(struct sched_pool *p, u32 cpu, stime_t now);
/* The first entry from a level on; the head of the list: none. */
struct list *credit_from_level(struct run_queue *q, u32 level);

/* credit_place.c: where a unit runs best, and whom a CPU runs best. */
/* What a running unit counts as at the moment. */
u8 credit_running_pri(const struct sched_pool *p, const struct sched_unit *u, stime_t now);
bool credit_prefers(const struct sched_unit *u, u32 cpu);
/* The CPU runs something of that priority from now on (NR_PRIORITIES: nothing), or is called to. */
void credit_note_running(struct sched_pool *p, u32 cpu, u8 pri);
/* The best idle CPU or NO_CPU; the CPU where it displaces the least, or where it was; the one
 * with the shortest queue, for those who have the time to look for it. */
u32 credit_find_idle(const struct sched_pool *p, const struct sched_unit *u);
u32 credit_find_busy(const struct sched_pool *p, const struct sched_unit *u, stime_t now);
u32 credit_find_calm(const struct sched_pool *p, const struct sched_unit *u);
/* Queue it at an idle CPU or a busy one; returns the CPU to call, or NO_CPU. */
u32 credit_place(struct sched_pool *p, struct sched_unit *u, stime_t now);
/* Whom a CPU runs best, from its queue or, down to priority `worst`, another's; it stays queued.
 * `idles`: it would idle otherwise. */
struct sched_unit *credit_select(struct sched_pool *p, u32 cpu, u32 worst, bool idles, stime_t now);
u32 credit_helper(struct sched_pool *p, stime_t now);

/* credit_dump.c: the policy's dump_cpu. */
int credit_dump_cpu(const struct sched_pool *p, u32 cpu, char *buf, size_t size);
