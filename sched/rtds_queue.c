/* SPDX-License-Identifier: MIT */
/*
 * The real-time policy's servers and queues: what time and use make of a budget, who waits in which
 * order, and which CPU is called for whom. Pure; the caller holds the pool's lock.
 */
#include "rtds.h"

#define MAX_DEBT 16 /* budgets; the rest is forgiven */

static struct rtds_unit *event_unit(struct list *l)
{
    return container_of(l, struct rtds_unit, event);
}

/* ---- Budgets ----------------------------------------------------------------------------- */

/* The next period. One that could not use its budget for another whole period starts afresh. */
static void renew(struct rtds_unit *c, stime_t now)
{
    c->left = c->level ? c->budget : MIN(c->left, 0) + c->budget;
    c->level = 0;
    c->deadline += c->period;
    if (c->deadline <= now) {
        c->deadline = now + c->period;
    }
}

void rtds_restart(struct rtds_unit *c, stime_t now)
{
    renew(c, now);
    c->deadline = now + c->period;
}

/* What the time and its use made of it. Without budget afterwards: none until the deadline. Who is
 * late with its budget keeps that, and its place. */
void rtds_settle(struct rtds_unit *c, stime_t now)
{
    for (;;) {
        if ((c->level || c->left <= 0) && now >= c->deadline) {
            renew(c, now);
        } else if (c->left <= 0 && c->extratime) {
            c->left += c->budget;
            c->level++;
        } else {
            return;
        }
    }
}

void rtds_charge(struct rtds_unit *c, stime_t now)
{
    c->left = MAX(c->left - MAX(now - c->start, 0), -MAX_DEBT * c->budget);
    c->start = now;
    if (c->level) {
        c->extra = now;
    }
}

/* ---- Queues ------------------------------------------------------------------------------ */

void rtds_add_event(struct rtds_pool *rp, struct rtds_unit *c)
{
    struct list *pos = &rp->events;

    while (pos->prev != &rp->events && c->deadline < event_unit(pos->prev)->deadline) {
        pos = pos->prev;
    }
    list_add_before(pos, &c->event);
}

/* Behind those as urgent. */
static void enqueue(struct rtds_pool *rp, struct rtds_unit *c)
{
    struct list *pos = &rp->waiting;

    if (c->left > 0) {
        while (pos->prev != &rp->waiting && rtds_before(c, waiting_unit(pos->prev))) {
            pos = pos->prev;
        }
        list_add_before(pos, &c->queue);
    }
    if (c->level || c->left <= 0) {
        rtds_add_event(rp, c);
    }
}

void rtds_dequeue(struct rtds_unit *c)
{
    list_del(&c->queue);
    list_del(&c->event);
}

/* New budgets for those whose time has come. */
void rtds_replenish(struct rtds_pool *rp, stime_t now)
{
    while (!list_empty(&rp->events) && event_unit(rp->events.next)->deadline <= now) {
        struct rtds_unit *c = event_unit(rp->events.next);

        rtds_dequeue(c);
        rtds_settle(c, now);
        enqueue(rp, c);
    }
}

/* The slice (0: no limit) or less: this CPU decides again at the first event, unless another one
 * does. */
s64 rtds_until_event(struct rtds_pool *rp, u32 cpu, s64 slice, stime_t now)
{
    stime_t first;

    if (rp->keeper == cpu) {
        rp->keeper = NO_CPU;
    }
    if (list_empty(&rp->events)) {
        return slice;
    }
    first = event_unit(rp->events.next)->deadline;
    if (rp->keeper == NO_CPU || rp->keeper_at > first) {
        rp->keeper = cpu;
        rp->keeper_at = first;
    }
    if (rp->keeper != cpu) {
        return slice;
    }
    return slice ? MIN(slice, first - now) : first - now;
}

/* ---- Where to run ------------------------------------------------------------------------ */

u32 rtds_call(struct sched_pool *p, u32 cpu)
{
    cpumask_clear(&p->idlers, cpu);
    cpumask_set(&pool_priv(p)->called, cpu);
    return cpu;
}

static u32 idle_in(const struct sched_pool *p, const struct cpumask *mask, u32 cpu)
{
    struct cpumask idle = cpumask_and(&p->idlers, mask);

    cpu = cpumask_next_wrap(&idle, cpu);
    return cpu < NR_CPUS ? cpu : NO_CPU;
}

u32 rtds_find_idle(const struct sched_pool *p, const struct sched_unit *u)
{
    u32 cpu = idle_in(p, &u->soft, u->cpu);

    return cpu != NO_CPU ? cpu : idle_in(p, &u->hard, u->cpu);
}

/* An idle CPU that the unit prefers was called, maybe for it. If not, that one calls another. */
bool rtds_expected_elsewhere(const struct rtds_pool *rp, const struct sched_unit *u, u32 cpu)
{
    struct cpumask called = cpumask_and(&u->soft, &rp->called);

    if (!cpumask_test(&u->soft, cpu)) {
        cpumask_for_each(other, &called) {
            if (!rp->current[other]) {
                return true;
            }
        }
    }
    return false;
}

/* Of the mask's CPUs that run something and were not called, the one that runs the least urgent. */
static u32 least_urgent(const struct rtds_pool *rp, const struct cpumask *mask)
{
    u32 best = NO_CPU;

    cpumask_for_each(cpu, mask) {
        const struct sched_unit *v = rp->current[cpu];

        if (v && !cpumask_test(&rp->called, cpu) &&
            (best == NO_CPU || rtds_before(rtds_priv(rp->current[best]), rtds_priv(v)))) {
            best = cpu;
        }
    }
    return best;
}

/* Calls the CPU that a waiting unit may have; NO_CPU: it has to wait. */
static u32 call_for(struct sched_pool *p, const struct sched_unit *u)
{
    const struct rtds_pool *rp = pool_priv(p);
    u32 cpu = rtds_find_idle(p, u);

    if (cpu == NO_CPU) {
        cpu = least_urgent(rp, &u->hard);
        if (cpu == NO_CPU || !rtds_before(rtds_priv(u), rtds_priv(rp->current[cpu]))) {
            return NO_CPU;
        }
    }
    return rtds_expected_elsewhere(rp, u, cpu) ? NO_CPU : rtds_call(p, cpu);
}

/* The least urgent of those that run anywhere gives way to the first that may displace one. */
static u32 call_busy(struct sched_pool *p)
{
    const struct rtds_pool *rp = pool_priv(p);
    u32 worst = least_urgent(rp, &p->cpus);

    list_for_each(l, &rp->waiting) {
        const struct rtds_unit *c = waiting_unit(l);
        u32 cpu;

        if (worst == NO_CPU || !rtds_before(c, rtds_priv(rp->current[worst]))) {
            break; /* nor may those behind it */
        }
        cpu = call_for(p, unit_of(waiting_unit(l)));
        if (cpu != NO_CPU) {
            return cpu;
        }
    }
    return NO_CPU;
}

/* One CPU for the sake of those who wait; when it has decided, it calls the next. Idle ones first.
 */
u32 rtds_call_next(struct sched_pool *p)
{
    const struct rtds_pool *rp = pool_priv(p);

    if (!cpumask_empty(&p->idlers)) {
        list_for_each(l, &rp->waiting) {
            const struct sched_unit *u = unit_of(waiting_unit(l));
            u32 cpu = rtds_find_idle(p, u);

            if (cpu != NO_CPU && !rtds_expected_elsewhere(rp, u, cpu)) {
                return rtds_call(p, cpu);
            }
        }
    }
    return call_busy(p);
}

/* Somebody must look at the first event in time. */
u32 rtds_call_keeper(struct sched_pool *p)
{
    struct rtds_pool *rp = pool_priv(p);
    u32 cpu = cpumask_first(cpumask_empty(&p->idlers) ? &p->cpus : &p->idlers);

    if (list_empty(&rp->events) || cpu == NR_CPUS ||
        (rp->keeper != NO_CPU && rp->keeper_at <= event_unit(rp->events.next)->deadline)) {
        return NO_CPU;
    }
    return rtds_call(p, cpu);
}

/* A unit that wants a CPU and has none, and is in no queue. */
u32 rtds_place(struct sched_pool *p, struct sched_unit *u, stime_t now)
{
    struct rtds_unit *c = rtds_priv(u);
    u32 cpu = NO_CPU;

    rtds_settle(c, now);
    enqueue(pool_priv(p), c);
    if (c->left > 0) {
        cpu = call_for(p, u);
    }
    return cpu != NO_CPU ? cpu : rtds_call_keeper(p);
}
