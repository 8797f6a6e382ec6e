/* SPDX-License-Identifier: MIT */
/*
 * SEDF's promises: who is on which CPU, with what parameters, and whether that can be kept. A CPU
 * can keep what it promised as long as that is no more than all of its time; only that is counted,
 * whether the units want it at the moment or not.
 */
#include <tarn/errno.h>

#include "sedf.h"

#define PERIOD_MAX_US 10000000
#define WEIGHT_MAX 65535

/* ---- Which CPU --------------------------------------------------------------------------- */

static u64 load_of(const struct sedf_unit *s)
{
    return s->slice ? (u64)s->slice * PPM / (u64)s->period : 0;
}

static void join(struct sedf_cpu *q, const struct sedf_unit *s)
{
    q->load += load_of(s);
    q->weights += s->period ? s->weight : 0;
    q->units++;
}

static void part(struct sedf_cpu *q, const struct sedf_unit *s)
{
    q->load -= load_of(s);
    q->weights -= s->period ? s->weight : 0;
    q->units--;
}

/* The one with the least promised; of these, the one with the fewest units. */
static u32 least_loaded(const struct sched_pool *p, const struct sched_unit *u)
{
    const struct cpumask *allowed = cpumask_empty(&u->soft) ? &u->hard : &u->soft;
    u32 best = cpumask_first(allowed);

    cpumask_for_each(cpu, allowed) {
        const struct sedf_cpu *q = cpu_of(p, cpu), *b = cpu_of(p, best);

        if (q->load < b->load || (q->load == b->load && q->units < b->units)) {
            best = cpu;
        }
    }
    return best;
}

/* It may not stay where it is; it does not run. */
static u32 move(struct sched_pool *p, struct sched_unit *u, stime_t now)
{
    struct sedf_unit *s = priv(u);
    struct sedf_cpu *q;

    sedf_dequeue(s);
    part(cpu_of(p, u->cpu), s);
    u->cpu = least_loaded(p, u);
    q = cpu_of(p, u->cpu);
    join(q, s);
    s->score = 0; /* it meant something there */
    if (!u->runnable) {
        return NO_CPU;
    }
    sedf_enqueue(q, s, now);
    return sedf_matters(q, s) ? u->cpu : NO_CPU;
}

u32 sedf_switched_out(struct sched_pool *p, u32 cpu, struct sched_unit *prev, stime_t now)
{
    return cpumask_test(&prev->hard, cpu) ? NO_CPU : move(p, prev, now);
}

/* A domain's weight and cap mean nothing here. */
u32 sedf_changed(struct sched_pool *p, struct sched_dom *d, struct sched_unit *u, stime_t now)
{
    (void)d;
    if (!u || cpumask_test(&u->hard, u->cpu)) {
        return NO_CPU;
    }
    return u->running ? u->cpu : move(p, u, now);
}

u32 sedf_pick_cpu(struct sched_pool *p, const struct sched_unit *u)
{
    (void)p;
    return u->cpu; /* unit_insert chose it */
}

/* ---- Parameters -------------------------------------------------------------------------- */

static bool params_ok(const struct sched_rt *in)
{
    if (in->latency_us && (in->latency_us < PERIOD_MIN_US || in->latency_us > PERIOD_MAX_US)) {
        return false;
    }
    if (in->weight) {
        return in->weight <= WEIGHT_MAX;
    }
    return in->period_us >= PERIOD_MIN_US && in->period_us <= PERIOD_MAX_US &&
           in->budget_us >= SLICE_MIN_US && in->budget_us <= in->period_us;
}

/* A weight counts for more than a period, and for extra time alone if there is no period. */
static void set(struct sedf_unit *s, const struct sched_rt *in)
{
    s->weight = in->weight;
    s->extratime = in->extratime;
    s->latency = (s64)in->latency_us * NSEC_PER_USEC;
    s->slice = in->weight ? 0 : (s64)in->budget_us * NSEC_PER_USEC;
    if (in->weight) {
        s->period = in->extratime && !in->period_us ? 0 : WEIGHT_PERIOD;
    } else {
        s->period = (s64)in->period_us * NSEC_PER_USEC;
    }
}

/* What rt_set takes for the same; by weight, the slice is what it comes to now. */
void sedf_rt_get(const struct sched_pool *p, const struct sched_unit *u, struct sched_rt *out)
{
    struct sedf_unit whole = *priv(u);

    whole.halvings = 0;
    out->period_us = (u64)(whole.period / NSEC_PER_USEC);
    out->budget_us = whole.period ? (u64)(sedf_slice(cpu_of(p, u->cpu), &whole) / NSEC_PER_USEC)
                                  : 0;
    out->latency_us = (u64)(whole.latency / NSEC_PER_USEC);
    out->weight = whole.weight;
    out->extratime = whole.extratime;
}

/* Less than before is never refused. */
static bool fits(const struct sedf_cpu *q, const struct sedf_unit *old, const struct sedf_unit *new)
{
    return load_of(new) <= load_of(old) || q->load - load_of(old) + load_of(new) <= PPM;
}

int sedf_rt_set(struct sched_pool *p, struct sched_unit *u, const struct sched_rt *in, bool force,
                stime_t now, u32 *tickle)
{
    struct sedf_cpu *q = cpu_of(p, u->cpu);
    struct sedf_unit *s = priv(u), changed = *s;

    *tickle = NO_CPU;
    if (!params_ok(in)) {
        return -EINVAL;
    }
    set(&changed, in);
    if (!force && !fits(q, s, &changed)) {
        return -ENOSPC;
    }
    if (u->running) {
        sedf_charge(q, s, now);
    }
    sedf_dequeue(s);
    part(q, s);
    set(s, in);
    join(q, s);
    sedf_begin_anew(s, now, 0);
    if (u->runnable && !u->running) {
        sedf_enqueue(q, s, now);
    }
    *tickle = u->cpu; /* other slices by weight changed, too */
    return 0;
}

/* ---- Life cycle -------------------------------------------------------------------------- */

/* Best effort, but the control domain begins with 15 of 20 ms where there is room. */
void sedf_unit_insert(struct sched_pool *p, struct sched_unit *u, stime_t now)
{
    static const struct sched_rt best_effort = { .weight = 1, .extratime = true };
    static const struct sched_rt control = { 20000, 15000, 0, 0, true };
    struct sedf_unit *s = priv(u), none = { 0 };

    (void)now;
    memset(s, 0, sizeof(*s));
    list_init(&s->node);
    list_init(&s->extra);
    u->cpu = least_loaded(p, u);
    set(s, &control);
    if (u->dom->id != 0 || !fits(cpu_of(p, u->cpu), &none, s)) {
        set(s, &best_effort);
    }
    join(cpu_of(p, u->cpu), s);
}

void sedf_unit_remove(struct sched_pool *p, struct sched_unit *u, stime_t now)
{
    (void)now;
    sedf_dequeue(priv(u));
    part(cpu_of(p, u->cpu), priv(u));
}

/* ---- Dump -------------------------------------------------------------------------------- */

/* A line that is as long as it would be, however much of it there was room for. */
struct line {
    char *buf;
    size_t size, n;
};

static void add_unit(struct line *l, const char *before, const struct sched_unit *u)
{
    bool room = l->n < l->size;

    l->n += (size_t)fmt_snprintf(room ? l->buf + l->n : NULL, room ? l->size - l->n : 0, "%sd%uv%u",
                                 before, u->dom->id, u->id);
}

static void add_queue(struct line *l, const char *title, const struct list *queue,
                      struct sedf_unit *(*of)(const struct list *))
{
    for (const struct list *pos = queue->next; pos != queue; pos = pos->next) {
        add_unit(l, pos == queue->next ? title : " ", unit_of(of(pos)));
    }
}

int sedf_dump_cpu(const struct sched_pool *p, u32 cpu, char *buf, size_t size)
{
    const struct sedf_cpu *q = cpu_of(p, cpu);
    struct line line = { buf, size, 0 };

    line.n = (size_t)fmt_snprintf(
        buf, size, "load %llu.%llu%%, missed %llu, ", (unsigned long long)q->load / 10000,
        (unsigned long long)q->load / 1000 % 10, (unsigned long long)q->missed);
    if (q->current) {
        add_unit(&line, priv(q->current)->on_extra ? "extra time for " : "runs ", q->current);
    } else {
        bool room = line.n < size;

        line.n += (size_t)fmt_snprintf(room ? buf + line.n : NULL, room ? size - line.n : 0,
                                       "idle");
    }
    add_queue(&line, "; run ", &q->run, of_node);
    add_queue(&line, "; wait ", &q->wait, of_node);
    add_queue(&line, "; L0 ", &q->extra[L0], of_extra);
    add_queue(&line, "; L1 ", &q->extra[L1], of_extra);
    return (int)line.n;
}
