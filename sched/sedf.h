/* SPDX-License-Identifier: MIT */
/*
 * SEDF's state, for its two files alone: sedf.c is the algorithm, sedf_params.c says who is on
 * which CPU and what it is promised. All of it belongs to the pool's lock.
 */
#pragma once

#include <tarn/lib.h>
#include <tarn/list.h>
#include <tarn/sched.h>

#define PPM 1000000ULL
#define WEIGHT_PERIOD (100 * NSEC_PER_MSEC)
#define SLICE_MIN_US 5
#define PERIOD_MIN_US 10

enum extra_level { L0, L1, NR_LEVELS };

struct sedf_unit {
    struct list node;  /* in its CPU's run or wait queue; not while it runs on its slice */
    struct list extra; /* in one of the extra queues; not while it runs */
    s64 period;        /* 0: best effort */
    s64 slice;         /* 0: by weight */
    s64 latency;       /* the first period after a long block, 0: as any other */
    u32 weight;        /* with a period: in place of a slice; without: of extra time */
    bool extratime;
    bool on_extra;     /* runs, and not on its slice */
    u8 halvings;       /* period and slice are that often halved now */
    stime_t deadline;  /* this period's end, or that of the next one, which it waits for */
    s64 used;          /* of this period's slice */
    s64 lost;          /* slice that short blocks cost; then it is in L0 */
    s64 score;         /* in L1 */
    stime_t run_start; /* runs, and is charged up to here */
};

struct sedf_cpu {
    struct list run;              /* by deadline: their period has begun */
    struct list wait;             /* by the begin of the next period */
    struct list extra[NR_LEVELS]; /* L0 by loss, L1 by score */
    struct sched_unit *current;
    s64 score;   /* that of whom L1 served last: nobody comes in with less */
    u64 load;    /* ppm of this CPU that are promised to periods */
    u64 weights; /* sum of those in place of periods */
    u64 missed;  /* deadlines */
    u32 units;   /* on this CPU, awake or not */
};

struct sedf_pool {
    struct sedf_cpu cpu[NR_CPUS];
};

_Static_assert(sizeof(struct sedf_unit) <= SCHED_UNIT_PRIV, "unit's private area");

static inline struct sedf_unit *priv(const struct sched_unit *u)
{
    return (struct sedf_unit *)(uintptr_t)u->priv;
}

static inline struct sched_unit *unit_of(struct sedf_unit *s)
{
    return container_of((u8(*)[SCHED_UNIT_PRIV])s, struct sched_unit, priv);
}

static inline struct sedf_cpu *cpu_of(const struct sched_pool *p, u32 cpu)
{
    return &((struct sedf_pool *)p->priv)->cpu[cpu];
}

static inline struct sedf_unit *of_node(const struct list *l)
{
    return container_of((uintptr_t)l, struct sedf_unit, node);
}

static inline struct sedf_unit *of_extra(const struct list *l)
{
    return container_of((uintptr_t)l, struct sedf_unit, extra);
}

/* sedf.c: its slice of a period now. */
s64 sedf_slice(const struct sedf_cpu *q, const struct sedf_unit *s);
/* A new period begins now; the first one is that short, 0: as any other. */
void sedf_begin_anew(struct sedf_unit *s, stime_t now, s64 first);
void sedf_enqueue(struct sedf_cpu *q, struct sedf_unit *s, stime_t now);
void sedf_dequeue(struct sedf_unit *s);
/* Whether a unit that was just queued gives its CPU something to decide. */
bool sedf_matters(const struct sedf_cpu *q, const struct sedf_unit *s);
/* It runs: what it has since it was last charged. */
void sedf_charge(const struct sedf_cpu *q, struct sedf_unit *s, stime_t now);

/* sedf_params.c, as in struct sched_ops */
u32 sedf_pick_cpu(struct sched_pool *p, const struct sched_unit *u);
u32 sedf_switched_out(struct sched_pool *p, u32 cpu, struct sched_unit *prev, stime_t now);
u32 sedf_changed(struct sched_pool *p, struct sched_dom *d, struct sched_unit *u, stime_t now);
void sedf_unit_insert(struct sched_pool *p, struct sched_unit *u, stime_t now);
void sedf_unit_remove(struct sched_pool *p, struct sched_unit *u, stime_t now);
void sedf_rt_get(const struct sched_pool *p, const struct sched_unit *u, struct sched_rt *out);
int sedf_rt_set(struct sched_pool *p, struct sched_unit *u, const struct sched_rt *in, bool force,
                stime_t now, u32 *tickle);
int sedf_dump_cpu(const struct sched_pool *p, u32 cpu, char *buf, size_t size);
