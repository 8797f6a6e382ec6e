/* SPDX-License-Identifier: MIT */
/*
 * The credit scheduler's run queues: one per CPU, of three priorities, sorted by credit; where a
 * unit waits best, and whom a CPU takes from its own queue or another's. Pure; the caller holds the
 * pool's lock.
 */
#include "credit.h"

/* ---- Run queues -------------------------------------------------------------------------- */

/* Credit counts by the share: who is owed two periods goes before who is owed one. */
static bool owed_more(const struct credit_unit *a, const struct credit_unit *b)
{
    return (a->credit >> 10) * ((b->claim.grant >> 10) | 1) >
           (b->credit >> 10) * ((a->claim.grant >> 10) | 1);
}

/* Behind those who are owed as much; but who did not use its slice up goes first. */
static struct list *place_in(struct list *queue, const struct credit_unit *c, bool first)
{
    struct list *pos = queue;

    if (first) {
        return queue->next;
    }
    while (pos->prev != queue && owed_more(c, waiting_unit(pos->prev))) {
        pos = pos->prev;
    }
    return pos;
}

void credit_enqueue(struct sched_pool *p, struct sched_unit *u, u32 cpu, bool first)
{
    struct credit_pool *cp = pool_priv(p);
    struct credit_unit *c = priv(u);

    u->cpu = cpu;
    c->queued = true;
    list_add_before(place_in(&cp->queue[cpu].waiting[c->pri], c, first), &c->node);
    cp->queue[cpu].nr++;
    cpumask_set(&cp->waiting[c->pri], cpu);
}

void credit_dequeue(struct sched_pool *p, struct sched_unit *u)
{
    struct credit_pool *cp = pool_priv(p);
    struct credit_unit *c = priv(u);
    struct run_queue *q = &cp->queue[u->cpu];

    c->queued = false;
    list_del(&c->node);
    q->nr--;
    if (list_empty(&q->waiting[c->pri])) {
        cpumask_clear(&cp->waiting[c->pri], u->cpu);
    }
}

void credit_park(struct sched_unit *u, stime_t now)
{
    struct credit_unit *c = priv(u);

    credit_unwant(c, now);
    c->parked = true;
    list_add_tail(&dom_priv(u->dom)->parked, &c->node);
}

void credit_unpark(struct sched_unit *u)
{
    priv(u)->parked = false;
    list_del(&priv(u)->node);
}

/* ---- Where to run ------------------------------------------------------------------------ */

bool credit_prefers(const struct sched_unit *u, u32 cpu)
{
    return cpumask_empty(&u->soft) || cpumask_test(&u->soft, cpu);
}

/* It idled and was told to decide anew, for the sake of somebody on its queue. */
static bool called(const struct sched_pool *p, u32 cpu)
{
    return !pool_priv(p)->queue[cpu].current && !cpumask_test(&p->idlers, cpu) &&
           cpumask_test(&p->cpus, cpu);
}

/* No other thread of cpu's core runs anything. */
static bool core_idle(const struct sched_pool *p, u32 cpu)
{
    const struct topology *t = p->topology;
    u32 threads = t ? t->threads_per_core : 1;

    for (u32 i = cpu < threads ? 0 : cpu - threads + 1; i < MIN(cpu + threads, NR_CPUS); i++) {
        if (i != cpu && t->cpu[i].core == t->cpu[cpu].core &&
            t->cpu[i].socket == t->cpu[cpu].socket && cpumask_test(&p->cpus, i) &&
            !cpumask_test(&p->idlers, i)) {
            return false;
        }
    }
    return true;
}

/* The best idle CPU of a mask: an idle core, and the one it ran on last. */
static u32 idle_of(const struct sched_pool *p, const struct sched_unit *u,
                   const struct cpumask *mask)
{
    struct cpumask idle = cpumask_and(&p->idlers, mask);
    u32 first = cpumask_next_wrap(&idle, u->cpu);

    if (first == NR_CPUS) {
        return NO_CPU;
    }
    if (!p->topology || p->topology->threads_per_core <= 1 || core_idle(p, first)) {
        return first;
    }
    cpumask_for_each(cpu, &idle) {
        if (core_idle(p, cpu)) {
            return cpu;
        }
    }
    return first;
}

u32 credit_find_idle(const struct sched_pool *p, const struct sched_unit *u)
{
    u32 cpu = NO_CPU;

    if (cpumask_empty(&p->idlers)) {
        return NO_CPU;
    }
    if (!cpumask_empty(&u->soft)) {
        cpu = idle_of(p, u, &u->soft);
    }
    return cpu != NO_CPU ? cpu : idle_of(p, u, &u->hard);
}

/* What a CPU runs at the moment counts as. A boost ends after a third of a slice. */
u8 credit_running_pri(const struct sched_pool *p, const struct sched_unit *u, stime_t now)
{
    const struct credit_unit *c = priv(u);

    if (c->credit - (now - c->start) <= 0) {
        return OVER;
    }
    return c->pri == BOOST && now - c->run_start < tslice(p) / 3 ? BOOST : UNDER;
}

static u8 cpu_pri(const struct sched_pool *p, u32 cpu, stime_t now)
{
    const struct sched_unit *u = pool_priv(p)->queue[cpu].current;

    return u ? credit_running_pri(p, u, now) : NR_PRIORITIES;
}

/* The CPU of mask that runs the least important unit, of those the one where the fewest wait. */
static u32 busy_of(const struct sched_pool *p, const struct sched_unit *u,
                   const struct cpumask *mask, stime_t now)
{
    const struct credit_pool *cp = pool_priv(p);
    u32 best = cpumask_test(mask, u->cpu) ? u->cpu : cpumask_first(mask);
    u8 best_pri = cpu_pri(p, best, now);

    cpumask_for_each(cpu, mask) {
        u8 pri = cpu_pri(p, cpu, now);

        if (pri > best_pri || (pri == best_pri && cp->queue[cpu].nr < cp->queue[best].nr)) {
            best = cpu;
            best_pri = pri;
        }
    }
    return best;
}

u32 credit_find_busy(const struct sched_pool *p, const struct sched_unit *u, stime_t now)
{
    u8 pri = priv(u)->pri;
    u32 cpu;

    if (cpumask_test(&u->hard, u->cpu) && credit_prefers(u, u->cpu) &&
        cpu_pri(p, u->cpu, now) > pri) {
        return u->cpu;
    }
    cpu = busy_of(p, u, cpumask_empty(&u->soft) ? &u->hard : &u->soft, now);
    if (!cpumask_empty(&u->soft) && cpu_pri(p, cpu, now) <= pri) {
        u32 other = busy_of(p, u, &u->hard, now);

        cpu = cpu_pri(p, other, now) > pri ? other : cpu;
    }
    return cpu;
}

/* Queue a unit that runs nowhere. Returns the CPU that should take it at once, or NO_CPU. */
u32 credit_place(struct sched_pool *p, struct sched_unit *u, stime_t now)
{
    u32 cpu = credit_find_idle(p, u);

    if (cpu != NO_CPU) {
        cpumask_clear(&p->idlers, cpu);
        credit_enqueue(p, u, cpu, false);
        return cpu;
    }
    cpu = credit_find_busy(p, u, now);
    credit_enqueue(p, u, cpu, false);
    return cpu_pri(p, cpu, now) > priv(u)->pri ? cpu : NO_CPU;
}

/* ---- Choosing ---------------------------------------------------------------------------- */

/* The first of a priority on this CPU's own queue. Those without a budget are parked by the way. */
static struct sched_unit *first_of(struct sched_pool *p, u32 cpu, u32 pri, stime_t now)
{
    list_for_each_safe(l, next, &pool_priv(p)->queue[cpu].waiting[pri]) {
        struct sched_unit *u = unit_of(waiting_unit(l));

        if (!credit_out_of_budget(u->dom, now)) {
            return u;
        }
        credit_dequeue(p, u);
        credit_park(u, now);
    }
    return NULL;
}

static bool may_steal(const struct sched_pool *p, const struct sched_unit *u, u32 cpu, stime_t now,
                      bool idle)
{
    if (u->running || !cpumask_test(&u->hard, cpu)) {
        return false;
    }
    return idle || now - u->last_run >= p->params.migr_delay_us * NSEC_PER_USEC;
}

/*
 * One of that priority from another CPU's queue; rather one that prefers to be here. A CPU that was
 * called for the sake of the only one keeps it.
 */
static struct sched_unit *steal(struct sched_pool *p, u32 cpu, u32 pri, stime_t now, bool idle)
{
    struct credit_pool *cp = pool_priv(p);
    struct sched_unit *second = NULL;

    cpumask_for_each(from, &cp->waiting[pri]) {
        if (from == cpu || (cp->queue[from].nr == 1 && called(p, from))) {
            continue;
        }
        list_for_each_safe(l, next, &cp->queue[from].waiting[pri]) {
            struct sched_unit *u = unit_of(waiting_unit(l));

            if (!may_steal(p, u, cpu, now, idle)) {
                continue;
            }
            if (credit_out_of_budget(u->dom, now)) {
                credit_dequeue(p, u);
                credit_park(u, now);
            } else if (credit_prefers(u, cpu)) {
                return u;
            } else if (!second) {
                second = u;
            }
        }
    }
    return second;
}

static struct sched_unit *best(struct sched_pool *p, u32 cpu, u32 worst, stime_t now, bool idle)
{
    for (u32 pri = BOOST; pri < NR_PRIORITIES; pri++) {
        struct sched_unit *u = first_of(p, cpu, pri, now);

        if (!u && pri <= worst) {
            u = steal(p, cpu, pri, now, idle);
        }
        if (u) {
            return u;
        }
    }
    return NULL;
}

/*
 * The most important one; the own queue goes first, from others only down to priority `worst`.
 * Rather than idle it takes one whose cache is still hot elsewhere.
 */
struct sched_unit *credit_select(struct sched_pool *p, u32 cpu, u32 worst, stime_t now)
{
    struct sched_unit *u = best(p, cpu, worst, now, false);

    return u || worst < OVER || !p->params.migr_delay_us ? u : best(p, cpu, worst, now, true);
}

/* An idle CPU for one of those who wait on a CPU's queue. */
static u32 idle_for(struct sched_pool *p, u32 cpu, const struct sched_unit *prev, stime_t now)
{
    for (u32 pri = BOOST; pri < NR_PRIORITIES; pri++) {
        list_for_each(l, &pool_priv(p)->queue[cpu].waiting[pri]) {
            const struct sched_unit *u = unit_of(waiting_unit(l));
            u32 idle = u == prev || credit_out_of_budget(u->dom, now) ? NO_CPU
                                                                      : credit_find_idle(p, u);

            if (idle != NO_CPU) {
                return idle;
            }
        }
    }
    return NO_CPU;
}

/* Called while idle: an idle CPU for anybody who waits anywhere. */
static u32 idle_for_all(struct sched_pool *p, stime_t now)
{
    struct credit_pool *cp = pool_priv(p);

    for (u32 pri = BOOST; pri < NR_PRIORITIES; pri++) {
        cpumask_for_each(cpu, &cp->waiting[pri]) {
            u32 idle = called(p, cpu) ? NO_CPU : idle_for(p, cpu, NULL, now);

            if (idle != NO_CPU) {
                return idle;
            }
        }
    }
    return NO_CPU;
}

static u32 idle_helper(struct sched_pool *p, u32 cpu, const struct sched_unit *prev, stime_t now)
{
    u32 idle = NO_CPU;

    if (pool_priv(p)->queue[cpu].nr) {
        idle = idle_for(p, cpu, prev, now);
    }
    if (!prev && idle == NO_CPU) {
        idle = idle_for_all(p, now);
    }
    if (idle != NO_CPU) {
        cpumask_clear(&p->idlers, idle);
    }
    return idle;
}

/* A boosted unit that did not get this CPU goes where it may displace something. */
static u32 push_boosted(struct sched_pool *p, u32 cpu, const struct sched_unit *prev, stime_t now)
{
    struct sched_unit *u = first_of(p, cpu, BOOST, now);
    u32 target;

    if (!u || u == prev || u->dedicated) {
        return NO_CPU;
    }
    target = credit_find_busy(p, u, now);
    if (target == cpu || cpu_pri(p, target, now) <= BOOST) {
        return NO_CPU;
    }
    credit_dequeue(p, u);
    credit_enqueue(p, u, target, false);
    return target;
}

/*
 * After a decision: the CPU to call for the sake of those who wait. One call is enough for many, as
 * an idle CPU that comes calls the next one.
 */
u32 credit_helper(struct sched_pool *p, u32 cpu, const struct sched_unit *prev, stime_t now)
{
    u32 idle = cpumask_empty(&p->idlers) ? NO_CPU : idle_helper(p, cpu, prev, now);

    return idle != NO_CPU ? idle : push_boosted(p, cpu, prev, now);
}
