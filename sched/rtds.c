/* SPDX-License-Identifier: MIT */
/*
 * The real-time policy: global EDF over one server per unit. Who has budget left runs by deadline;
 * who has not gets the next one at its deadline or, with extratime, goes on a level lower until
 * then: after all who live on their budget, the longest unserved first. A late timer is charged, so
 * that in the long run a unit without extratime gets budget/period to the nanosecond.
 *
 * Budget survives a sleep only as far as the rest of the period could carry it at budget/period;
 * else a new period begins at the wake. So a unit never demands more than its utilisation, and the
 * check at admission means something.
 *
 * Pure. Owns the private areas of pool and units, all under the pool's lock.
 */
#include <tarn/errno.h>
#include <tarn/lib.h>

#include "rtds.h"

#define DEFAULT_PERIOD (10 * NSEC_PER_MSEC)
#define DEFAULT_BUDGET (4 * NSEC_PER_MSEC)
#define MIN_PERIOD_US 10
#define MAX_PERIOD_US 10000000
#define MIN_BUDGET_US 10
#define MIN_SLICE NSEC_PER_USEC /* what that overdraws is paid back */
#define ONE_CPU (1UL << 20)     /* utilisation */

/* ---- Deciding ---------------------------------------------------------------------------- */

static struct sched_unit *choose(struct rtds_pool *rp, u32 cpu, struct sched_unit *prev)
{
    bool stays = prev && prev->runnable && rtds_priv(prev)->left > 0 &&
                 cpumask_test(&prev->hard, cpu);

    list_for_each(l, &rp->waiting) {
        struct sched_unit *u = unit_of(waiting_unit(l));

        if (stays && !rtds_before(rtds_priv(u), rtds_priv(prev))) {
            break;
        }
        if (cpumask_test(&u->hard, cpu) && !rtds_expected_elsewhere(rp, u, cpu)) {
            return u;
        }
    }
    return stays ? prev : NULL;
}

/* prev's own budget counts as an event from now on; the rest waits until it is switched out. */
static void switch_to(struct rtds_pool *rp, u32 cpu, struct sched_unit *prev,
                      struct sched_unit *next, stime_t now)
{
    if (prev) {
        rtds_priv(prev)->served = rtds_priv(prev)->extra;
        if (prev->runnable && rtds_priv(prev)->left <= 0) {
            rtds_add_event(rp, rtds_priv(prev));
        }
    }
    if (next) {
        rtds_dequeue(rtds_priv(next));
        rtds_priv(next)->start = now;
        next->cpu = cpu;
    }
    rp->current[cpu] = next;
}

static s64 slice_of(const struct rtds_unit *c, stime_t now)
{
    return MAX(c->level ? MIN(c->left, c->deadline - now) : c->left, MIN_SLICE);
}

static struct sched_decision rtds_decide(struct sched_pool *p, u32 cpu, struct sched_unit *prev,
                                         stime_t now)
{
    struct rtds_pool *rp = pool_priv(p);
    struct sched_decision dec = { NULL, 0, NO_CPU };
    bool member = cpumask_test(&p->cpus, cpu);

    cpumask_clear(&p->idlers, cpu);
    cpumask_clear(&rp->called, cpu);
    if (prev) {
        rtds_charge(rtds_priv(prev), now);
        rtds_settle(rtds_priv(prev), now);
    }
    rtds_replenish(rp, now);
    if (member) {
        dec.next = choose(rp, cpu, prev);
    }
    if (dec.next != prev) {
        switch_to(rp, cpu, prev, dec.next, now);
    }
    if (member) {
        dec.slice = rtds_until_event(rp, cpu, dec.next ? slice_of(rtds_priv(dec.next), now) : 0,
                                     now);
    } else if (rp->keeper == cpu) {
        rp->keeper = NO_CPU;
    }
    dec.tickle = rtds_call_next(p);
    if (dec.tickle == NO_CPU && !member) {
        dec.tickle = rtds_call_keeper(p);
    }
    return dec;
}

static u32 rtds_switched_out(struct sched_pool *p, u32 cpu, struct sched_unit *u, stime_t now)
{
    (void)cpu;
    if (!u->runnable) {
        return NO_CPU;
    }
    list_del(&rtds_priv(u)->event);
    return rtds_place(p, u, now);
}

/* ---- Wake, sleep, changes ---------------------------------------------------------------- */

/* More left than budget/period of the time until the deadline? */
static bool too_much_left(const struct rtds_unit *c, stime_t now)
{
    return c->left > 0 && c->left * (c->period / NSEC_PER_USEC) >
                              (c->deadline - now) * (c->budget / NSEC_PER_USEC);
}

static u32 rtds_wake(struct sched_pool *p, struct sched_unit *u, stime_t now)
{
    struct rtds_unit *c = rtds_priv(u);

    if (now >= c->deadline || (c->level == 0 && too_much_left(c, now))) {
        rtds_restart(c, now);
    }
    return rtds_place(p, u, now);
}

static u32 rtds_sleep(struct sched_pool *p, struct sched_unit *u, stime_t now)
{
    (void)p;
    (void)now;
    rtds_dequeue(rtds_priv(u));
    return NO_CPU;
}

static u32 rtds_pick_cpu(struct sched_pool *p, const struct sched_unit *u)
{
    u32 cpu = rtds_find_idle(p, u);

    return cpu != NO_CPU ? cpu : cpumask_next_wrap(&u->hard, u->cpu);
}

/* Whatever changed: it counts from now on. */
static u32 requeue(struct sched_pool *p, struct sched_unit *u, stime_t now)
{
    if (u->running) {
        return rtds_call(p, u->cpu);
    }
    if (!u->runnable) {
        return NO_CPU;
    }
    rtds_dequeue(rtds_priv(u));
    return rtds_place(p, u, now);
}

static u32 rtds_changed(struct sched_pool *p, struct sched_dom *d, struct sched_unit *u,
                        stime_t now)
{
    (void)d;
    if (!u || (u->running && cpumask_test(&u->hard, u->cpu))) {
        return NO_CPU;
    }
    return requeue(p, u, now);
}

/* ---- Parameters -------------------------------------------------------------------------- */

static void rtds_rt_get(const struct sched_pool *p, const struct sched_unit *u,
                        struct sched_rt *out)
{
    const struct rtds_unit *c = rtds_priv(u);

    (void)p;
    out->period_us = (u64)(c->period / NSEC_PER_USEC);
    out->budget_us = (u64)(c->budget / NSEC_PER_USEC);
    out->extratime = c->extratime;
}

static u64 utilisation(const struct rtds_unit *c)
{
    return (u64)c->budget * ONE_CPU / (u64)c->period;
}

/* What those others may demand who have no CPU outside of the mask. */
static u64 demand(const struct sched_pool *p, const struct cpumask *mask,
                  const struct sched_unit *except)
{
    u64 sum = 0;

    list_for_each(dom, &p->doms) {
        list_for_each(l, &list_entry(dom, struct sched_dom, link)->units) {
            const struct sched_unit *u = list_entry(l, struct sched_unit, link);

            sum += u != except && cpumask_subset(&u->hard, mask) ? utilisation(rtds_priv(u)) : 0;
        }
    }
    return sum;
}

/*
 * The utilisation may be all of the CPUs, of the pool and of the unit's own affinity: then global
 * EDF gives everybody its share, late by no more than about a period. A bound under which no
 * deadline at all is missed (CPUs less the largest share for each but one) would refuse two units
 * of 60 % on two CPUs. Who demands less than before is never refused.
 */
static bool admits(const struct sched_pool *p, const struct sched_unit *u,
                   const struct sched_rt *in)
{
    u64 share = in->budget_us * ONE_CPU / in->period_us;

    return share <= utilisation(rtds_priv(u)) ||
           (demand(p, &u->hard, u) + share <= cpumask_weight(&u->hard) * ONE_CPU &&
            demand(p, &p->cpus, u) + share <= cpumask_weight(&p->cpus) * ONE_CPU);
}

/* A new period begins with what changes period or budget. */
static void set(struct rtds_unit *c, const struct sched_rt *in, stime_t now)
{
    s64 period = (s64)in->period_us * NSEC_PER_USEC, budget = (s64)in->budget_us * NSEC_PER_USEC;

    c->extratime = in->extratime;
    if (period != c->period || budget != c->budget) {
        c->period = period;
        c->budget = budget;
        rtds_restart(c, now);
        c->left = budget;
    } else if (!c->extratime && c->level) {
        c->level = 0;
        c->left = 0;
    }
}

static int rtds_rt_set(struct sched_pool *p, struct sched_unit *u, const struct sched_rt *in,
                       bool force, stime_t now, u32 *tickle)
{
    if (in->period_us < MIN_PERIOD_US || in->period_us > MAX_PERIOD_US ||
        in->budget_us < MIN_BUDGET_US || in->budget_us > in->period_us) {
        return -EINVAL;
    }
    if (!force && !admits(p, u, in)) {
        return -ENOSPC;
    }
    if (u->running) {
        rtds_charge(rtds_priv(u), now);
    }
    set(rtds_priv(u), in, now);
    *tickle = requeue(p, u, now);
    return 0;
}

/* ---- Life cycle -------------------------------------------------------------------------- */

static void rtds_pool_init(struct sched_pool *p, stime_t now)
{
    struct rtds_pool *rp = pool_priv(p);

    (void)now;
    memset(rp, 0, sizeof(*rp));
    list_init(&rp->waiting);
    list_init(&rp->events);
    rp->keeper = NO_CPU;
}

static void rtds_unit_insert(struct sched_pool *p, struct sched_unit *u, stime_t now)
{
    struct rtds_unit *c = rtds_priv(u);

    (void)p;
    memset(c, 0, sizeof(*c));
    list_init(&c->queue);
    list_init(&c->event);
    c->period = DEFAULT_PERIOD;
    c->budget = DEFAULT_BUDGET;
    c->left = DEFAULT_BUDGET;
    c->deadline = now + DEFAULT_PERIOD;
    c->extratime = true;
}

static int rtds_dump_cpu(const struct sched_pool *p, u32 cpu, char *buf, size_t size)
{
    const struct rtds_pool *rp = pool_priv(p);
    const struct sched_unit *u = rp->current[cpu];
    const struct rtds_unit *c = u ? rtds_priv(u) : NULL;

    return c ? fmt_snprintf(buf, size, "d%uv%u level %u, %lld of %lld us left, until %lld us",
                            u->dom->id, u->id, c->level, (long long)c->left / 1000,
                            (long long)c->budget / 1000, (long long)c->deadline / 1000)
             : fmt_snprintf(buf, size, "idle");
}

const struct sched_ops sched_rtds = {
    .name = "rtds",
    .id = 8, /* XEN_SCHEDULER_RTDS */
    .pool_size = sizeof(struct rtds_pool),
    .pool_init = rtds_pool_init,
    .unit_insert = rtds_unit_insert,
    .pick_cpu = rtds_pick_cpu,
    .wake = rtds_wake,
    .sleep = rtds_sleep,
    .decide = rtds_decide,
    .switched_out = rtds_switched_out,
    .changed = rtds_changed,
    .rt_get = rtds_rt_get,
    .rt_set = rtds_rt_set,
    .dump_cpu = rtds_dump_cpu,
};
