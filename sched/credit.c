/* SPDX-License-Identifier: MIT */
/*
 * The credit scheduler. Credit is CPU time in ns: a unit loses what it runs, counted exactly at
 * every switch, and each period (one time slice) gets what it was entitled to in it. Entitlements
 * divide the time of the pool's CPUs by the weights of the domains (a weight is its domain's,
 * whatever the number of its vcpus) and within a domain evenly; who wanted less than that leaves
 * the rest to the others. So the sum of all credit stays the same, and a unit that took more than
 * its due has to wait, whenever it slept. Above 0 a unit is UNDER, else OVER; an UNDER unit that
 * wakes is BOOSTed for a third of a slice. A cap is a budget of the domain that each period
 * refills. Pure: owns the private areas of pool, domains and units; the caller holds the pool's
 * lock around every call.
 */
#include <tarn/lib.h>
#include <tarn/list.h>
#include <tarn/sched.h>

#define MIN_SLICE (100 * NSEC_PER_USEC)
#define MAX_PERIOD (10 * NSEC_PER_SEC) /* longer ones are cut: share * weight fits 64 bits */
#define FILL_ROUNDS 16

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

struct credit_pool {
    struct list doms;                      /* active ones */
    stime_t accounted;                     /* the period began */
    struct cpumask waiting[NR_PRIORITIES]; /* CPUs on whose queue somebody waits */
    struct run_queue queue[NR_CPUS];
};

_Static_assert(sizeof(struct credit_unit) <= SCHED_UNIT_PRIV, "unit's private area");
_Static_assert(sizeof(struct credit_dom) <= SCHED_DOM_PRIV, "domain's private area");

static struct credit_unit *priv(const struct sched_unit *u)
{
    return (struct credit_unit *)(uintptr_t)u->priv;
}

static struct credit_dom *dom_priv(const struct sched_dom *d)
{
    return (struct credit_dom *)(uintptr_t)d->priv;
}

static struct credit_pool *pool_priv(const struct sched_pool *p)
{
    return p->priv;
}

static struct sched_unit *unit_of(struct credit_unit *c)
{
    return container_of((u8(*)[SCHED_UNIT_PRIV])c, struct sched_unit, priv);
}

static struct sched_dom *dom_of(struct credit_dom *c)
{
    return container_of((u8(*)[SCHED_DOM_PRIV])c, struct sched_dom, priv);
}

static struct credit_unit *waiting_unit(struct list *l)
{
    return container_of(l, struct credit_unit, node);
}

static struct credit_unit *active_unit(struct list *l)
{
    return container_of(l, struct credit_unit, claim.link);
}

static struct credit_dom *active_dom(struct list *l)
{
    return container_of(l, struct credit_dom, claim.link);
}

static s64 tslice(const struct sched_pool *p)
{
    return p->params.tslice_us * NSEC_PER_USEC;
}

static s64 clamp(s64 x, s64 low, s64 high)
{
    return x < low ? low : x > high ? high : x;
}

/* ---- Budgets ----------------------------------------------------------------------------- */

/* All of its units that run use it up, whether they were charged already or not. */
static void spend(struct sched_dom *d, stime_t now)
{
    struct credit_dom *c = dom_priv(d);

    c->budget -= c->nr_running * MAX(now - c->spent, 0);
    c->spent = now;
}

static bool out_of_budget(struct sched_dom *d, stime_t now)
{
    if (!d->cap) {
        return false;
    }
    spend(d, now);
    return dom_priv(d)->budget <= 0;
}

/* By the time that passed; what a late switch took too much was paid from the next budget. */
static void refill(const struct sched_pool *p, struct sched_dom *d, stime_t now)
{
    struct credit_dom *c = dom_priv(d);
    s64 elapsed = clamp(now - c->refilled, 0, MAX_PERIOD);
    s64 most = 2 * tslice(p) * d->cap / 100;

    spend(d, now);
    c->budget = clamp(c->budget + elapsed * d->cap / 100, -MAX_PERIOD, most);
    c->refilled = now;
}

/* ---- What a unit ran and wanted ---------------------------------------------------------- */

static void charge(struct sched_unit *u, stime_t now)
{
    struct credit_unit *c = priv(u);
    s64 ran = MAX(now - c->start, 0);

    c->start = now;
    c->credit -= ran;
    c->left -= ran;
}

static void activate(struct sched_pool *p, struct sched_unit *u, stime_t now)
{
    struct credit_pool *cp = pool_priv(p);
    struct credit_dom *d = dom_priv(u->dom);

    if (list_empty(&cp->doms)) {
        cp->accounted = now;
        p->timer_kick = true;
    }
    if (list_empty(&d->units)) {
        list_add_tail(&cp->doms, &d->claim.link);
        refill(p, u->dom, now);
    }
    list_add_tail(&d->units, &priv(u)->claim.link);
    priv(u)->active = true;
}

static void deactivate(struct sched_unit *u)
{
    struct credit_dom *d = dom_priv(u->dom);

    if (priv(u)->active) {
        priv(u)->active = false;
        list_del(&priv(u)->claim.link);
        if (list_empty(&d->units)) {
            list_del(&d->claim.link);
        }
    }
}

static void want(struct sched_pool *p, struct sched_unit *u, stime_t now)
{
    struct credit_unit *c = priv(u);

    if (!c->active) {
        activate(p, u, now);
    }
    if (!c->wanting) {
        c->wanting = true;
        c->since = now;
    }
}

static void count_demand(struct credit_unit *c, stime_t now)
{
    if (c->wanting) {
        c->demand += MAX(now - c->since, 0);
        c->since = now;
    }
}

static void unwant(struct credit_unit *c, stime_t now)
{
    count_demand(c, now);
    c->wanting = false;
}

/* ---- Run queues -------------------------------------------------------------------------- */

static u8 earned(const struct credit_unit *c)
{
    return c->credit > 0 ? UNDER : OVER;
}

/* Behind those who have as much credit or more; who did not use its slice up goes first. */
static struct list *place_in(struct list *queue, const struct credit_unit *c, bool first)
{
    struct list *pos = queue;

    if (first) {
        return queue->next;
    }
    while (pos->prev != queue && waiting_unit(pos->prev)->credit < c->credit) {
        pos = pos->prev;
    }
    return pos;
}

static void enqueue(struct sched_pool *p, struct sched_unit *u, u32 cpu, bool first)
{
    struct credit_pool *cp = pool_priv(p);
    struct credit_unit *c = priv(u);

    u->cpu = cpu;
    c->queued = true;
    list_add_before(place_in(&cp->queue[cpu].waiting[c->pri], c, first), &c->node);
    cp->queue[cpu].nr++;
    cpumask_set(&cp->waiting[c->pri], cpu);
}

static void dequeue(struct sched_pool *p, struct sched_unit *u)
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

static void park(struct sched_unit *u, stime_t now)
{
    struct credit_unit *c = priv(u);

    unwant(c, now);
    c->parked = true;
    list_add_tail(&dom_priv(u->dom)->parked, &c->node);
}

static void unpark(struct sched_unit *u)
{
    priv(u)->parked = false;
    list_del(&priv(u)->node);
}

/* ---- Where to run ------------------------------------------------------------------------ */

static bool prefers(const struct sched_unit *u, u32 cpu)
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

static u32 find_idle(const struct sched_pool *p, const struct sched_unit *u)
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
static u8 running_pri(const struct sched_pool *p, const struct sched_unit *u, stime_t now)
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

    return u ? running_pri(p, u, now) : NR_PRIORITIES;
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

static u32 find_busy(const struct sched_pool *p, const struct sched_unit *u, stime_t now)
{
    u8 pri = priv(u)->pri;
    u32 cpu;

    if (cpumask_test(&u->hard, u->cpu) && prefers(u, u->cpu) && cpu_pri(p, u->cpu, now) > pri) {
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
static u32 place(struct sched_pool *p, struct sched_unit *u, stime_t now)
{
    u32 cpu = find_idle(p, u);

    if (cpu != NO_CPU) {
        cpumask_clear(&p->idlers, cpu);
        enqueue(p, u, cpu, false);
        return cpu;
    }
    cpu = find_busy(p, u, now);
    enqueue(p, u, cpu, false);
    return cpu_pri(p, cpu, now) > priv(u)->pri ? cpu : NO_CPU;
}

/* ---- Deciding ---------------------------------------------------------------------------- */

/* The first that may run, of one priority on this CPU's own queue. Those out of budget are parked
 * by the way. */
static struct sched_unit *first_of(struct sched_pool *p, u32 cpu, u32 pri, stime_t now)
{
    list_for_each_safe(l, next, &pool_priv(p)->queue[cpu].waiting[pri]) {
        struct sched_unit *u = unit_of(waiting_unit(l));

        if (!out_of_budget(u->dom, now)) {
            return u;
        }
        dequeue(p, u);
        park(u, now);
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

/* One of that priority from another CPU's queue; rather one that prefers to be here. A CPU that
 * comes keeps its. */
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
            if (out_of_budget(u->dom, now)) {
                dequeue(p, u);
                park(u, now);
            } else if (prefers(u, cpu)) {
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
static struct sched_unit *select(struct sched_pool *p, u32 cpu, u32 worst, stime_t now)
{
    struct sched_unit *u = best(p, cpu, worst, now, false);

    return u || worst < OVER || !p->params.migr_delay_us ? u : best(p, cpu, worst, now, true);
}

static s64 slice_of(const struct sched_pool *p, const struct sched_unit *u)
{
    const struct credit_dom *d = dom_priv(u->dom);
    s64 slice = priv(u)->left;

    if (priv(u)->pri == BOOST) {
        slice = MIN(slice, tslice(p) / 3);
    }
    if (u->dom->cap) {
        slice = MIN(slice, d->budget / MAX(d->nr_running, 1u));
    }
    return MAX(slice, MIN_SLICE);
}

/* An idle CPU for one of those who wait on a CPU's queue. */
static u32 idle_for(struct sched_pool *p, u32 cpu, const struct sched_unit *prev, stime_t now)
{
    for (u32 pri = BOOST; pri < NR_PRIORITIES; pri++) {
        list_for_each(l, &pool_priv(p)->queue[cpu].waiting[pri]) {
            const struct sched_unit *u = unit_of(waiting_unit(l));
            u32 idle = u == prev || out_of_budget(u->dom, now) ? NO_CPU : find_idle(p, u);

            if (idle != NO_CPU) {
                return idle;
            }
        }
    }
    return NO_CPU;
}

/*
 * The CPU to call for help: an idle one, if somebody who may run there waits here or, when this CPU
 * was called itself, anywhere. So one call is enough for many units; each that comes calls the
 * next.
 */
static u32 helper(struct sched_pool *p, u32 cpu, const struct sched_unit *prev, stime_t now)
{
    struct credit_pool *cp = pool_priv(p);
    u32 idle = NO_CPU;

    if (cpumask_empty(&p->idlers)) {
        return NO_CPU;
    }
    if (cp->queue[cpu].nr) {
        idle = idle_for(p, cpu, prev, now);
    }
    if (!prev) {
        for (u32 i = cpumask_first(&p->cpus); idle == NO_CPU && i < NR_CPUS;
             i = cpumask_next(&p->cpus, i + 1)) {
            idle = cp->queue[i].nr && !called(p, i) ? idle_for(p, i, NULL, now) : NO_CPU;
        }
    }
    if (idle != NO_CPU) {
        cpumask_clear(&p->idlers, idle);
    }
    return idle;
}

/* The domain's budget is used up and prev parked: call one after the other of its CPUs that still
 * run it. */
static u32 next_to_park(const struct sched_pool *p, const struct sched_unit *prev)
{
    const struct credit_dom *d = prev ? dom_priv(prev->dom) : NULL;

    if (!d || !priv(prev)->parked || d->nr_running == 0) {
        return NO_CPU;
    }
    list_for_each(l, &d->units) {
        const struct sched_unit *u = unit_of(active_unit(l));

        if (u != prev && pool_priv(p)->queue[u->cpu].current == u) {
            return u->cpu;
        }
    }
    return NO_CPU;
}

/* It ran so shortly that a switch now would cost more than the wait. */
static s64 protected_for(const struct sched_pool *p, u32 cpu, const struct sched_unit *u,
                         stime_t now)
{
    s64 left = p->params.ratelimit_us * NSEC_PER_USEC - (now - priv(u)->run_start);

    if (left <= 0 || priv(u)->yielding || out_of_budget(u->dom, now) ||
        !cpumask_test(&u->hard, cpu)) {
        return 0;
    }
    return MAX(left, MIN_SLICE);
}

/* It may not go on here, or one of the CPUs it prefers is idle. */
static bool misplaced(const struct sched_pool *p, u32 cpu, const struct sched_unit *u)
{
    if (!cpumask_test(&u->hard, cpu)) {
        return true;
    }
    return !prefers(u, cpu) && cpumask_intersects(&u->soft, &p->idlers);
}

/* Bring prev, which wants to go on, back among the waiting. What is misplaced waits for
 * switched_out(). */
static void requeue(struct sched_pool *p, u32 cpu, struct sched_unit *u, stime_t now)
{
    struct credit_unit *c = priv(u);
    bool first = c->left > 0 && !c->yielding;

    c->pri = running_pri(p, u, now);
    if (!first) {
        c->left = tslice(p);
    }
    if (out_of_budget(u->dom, now)) {
        park(u, now);
    } else if (!misplaced(p, cpu, u)) {
        enqueue(p, u, cpu, first);
    }
}

static struct sched_unit *choose(struct sched_pool *p, u32 cpu, struct sched_unit *prev,
                                 stime_t now)
{
    struct sched_unit *next;

    if (!prev || !prev->runnable) {
        return select(p, cpu, OVER, now);
    }
    if (!priv(prev)->yielding) {
        requeue(p, cpu, prev, now);
        return select(p, cpu, OVER, now);
    }
    next = select(p, cpu, running_pri(p, prev, now), now);
    requeue(p, cpu, prev, now);
    priv(prev)->yielding = false;
    return next ? next : select(p, cpu, OVER, now);
}

/* Only a change of who runs begins a new run. */
static void switch_to(struct sched_pool *p, u32 cpu, struct sched_unit *prev,
                      struct sched_unit *next, stime_t now)
{
    if (prev) {
        spend(prev->dom, now);
        dom_priv(prev->dom)->nr_running--;
    }
    if (next) {
        spend(next->dom, now);
        next->cpu = cpu;
        priv(next)->start = now;
        priv(next)->run_start = now;
        dom_priv(next->dom)->nr_running++;
    }
    pool_priv(p)->queue[cpu].current = next;
}

static struct sched_decision credit_decide(struct sched_pool *p, u32 cpu, struct sched_unit *prev,
                                           stime_t now)
{
    struct sched_decision dec = { NULL, 0, NO_CPU };

    cpumask_clear(&p->idlers, cpu);
    if (prev) {
        charge(prev, now);
        if (prev->runnable && (dec.slice = protected_for(p, cpu, prev, now)) > 0) {
            dec.next = prev;
            dec.tickle = helper(p, cpu, prev, now);
            return dec;
        }
    }
    dec.next = choose(p, cpu, prev, now);
    if (dec.next) {
        dequeue(p, dec.next);
    }
    if (dec.next != prev) {
        switch_to(p, cpu, prev, dec.next, now);
    }
    if (dec.next) {
        dec.slice = slice_of(p, dec.next);
    }
    dec.tickle = next_to_park(p, prev);
    if (dec.tickle == NO_CPU) {
        dec.tickle = helper(p, cpu, prev, now);
    }
    return dec;
}

/* An idle CPU may take what was displaced; what may not stay here has to go in any case. */
static u32 credit_switched_out(struct sched_pool *p, u32 cpu, struct sched_unit *u, stime_t now)
{
    (void)cpu;
    if (!u->runnable || priv(u)->parked) {
        return NO_CPU;
    }
    if (priv(u)->queued) {
        if (find_idle(p, u) == NO_CPU) {
            return NO_CPU;
        }
        dequeue(p, u);
    }
    return place(p, u, now);
}

/* ---- Wake, sleep, yield ------------------------------------------------------------------ */

/* Back to where it counts: a CPU's queue or, without a budget, the parked ones. */
static u32 resume(struct sched_pool *p, struct sched_unit *u, stime_t now)
{
    if (out_of_budget(u->dom, now)) {
        park(u, now);
        return NO_CPU;
    }
    want(p, u, now);
    return place(p, u, now);
}

static u32 credit_wake(struct sched_pool *p, struct sched_unit *u, stime_t now)
{
    struct credit_unit *c = priv(u);

    want(p, u, now);
    if (u->running || c->queued || c->parked) {
        return NO_CPU;
    }
    c->left = tslice(p);
    c->pri = c->credit > 0 ? BOOST : OVER;
    return resume(p, u, now);
}

static u32 credit_sleep(struct sched_pool *p, struct sched_unit *u, stime_t now)
{
    unwant(priv(u), now);
    priv(u)->yielding = false;
    if (priv(u)->queued) {
        dequeue(p, u);
    } else if (priv(u)->parked) {
        unpark(u);
    }
    return NO_CPU;
}

static void credit_yield(struct sched_pool *p, struct sched_unit *u)
{
    (void)p;
    priv(u)->yielding = true;
}

static u32 credit_pick_cpu(struct sched_pool *p, const struct sched_unit *u)
{
    u32 cpu = find_idle(p, u);

    return cpu != NO_CPU ? cpu : find_busy(p, u, priv(u)->start);
}

/* ---- Accounting -------------------------------------------------------------------------- */

static s64 unsettled_weight(struct list *claims)
{
    s64 weight = 0;

    list_for_each(l, claims) {
        struct claim *c = container_of(l, struct claim, link);

        c->grant = -1;
        weight += c->weight;
    }
    return weight;
}

/*
 * Divide `total` by weight. Who wants no more than its share gets what it wants, and the others
 * share the rest; as shares only grow by that, each round settles at least one.
 */
static void divide(struct list *claims, s64 total)
{
    s64 weight = unsettled_weight(claims);
    bool again = true;

    for (u32 round = 0; again && round < FILL_ROUNDS; round++) {
        again = false;
        list_for_each(l, claims) {
            struct claim *c = container_of(l, struct claim, link);

            if (c->grant < 0 && c->peak <= total * c->weight / weight) {
                c->grant = c->peak;
                total -= c->peak;
                weight -= c->weight;
                again = true;
            }
        }
    }
    list_for_each(l, claims) {
        struct claim *c = container_of(l, struct claim, link);

        if (c->grant < 0) {
            c->grant = MIN(total * c->weight / weight, c->peak);
        }
    }
}

/* A sleeper may gather half a slice, or pay a debt off, within its entitlement. */
static s64 gather_demand(const struct sched_pool *p, struct sched_unit *u, s64 elapsed, stime_t now)
{
    struct credit_unit *c = priv(u);

    if (pool_priv(p)->queue[u->cpu].current == u) {
        charge(u, now);
    }
    count_demand(c, now);
    c->claim.weight = 1;
    c->claim.peak = clamp(tslice(p) / 2 - c->credit, MIN(c->demand, elapsed), elapsed);
    return c->claim.peak;
}

static void claim_of_dom(const struct sched_pool *p, struct credit_dom *d, s64 elapsed, stime_t now)
{
    const struct sched_dom *dom = dom_of(d);

    d->claim.weight = dom->weight;
    d->claim.peak = 0;
    list_for_each(l, &d->units) {
        d->claim.peak += gather_demand(p, unit_of(active_unit(l)), elapsed, now);
    }
    if (dom->cap) {
        d->claim.peak = MIN(d->claim.peak, elapsed * dom->cap / 100);
    }
}

/* Take the grant, and the place in the queue that it gives. */
static void settle(struct sched_pool *p, struct sched_unit *u)
{
    struct credit_unit *c = priv(u);
    bool idle = c->demand == 0 && !u->runnable;
    u8 pri;

    c->credit = clamp(c->credit + c->claim.grant, -2 * tslice(p), 2 * tslice(p));
    c->demand = 0;
    pri = earned(c);
    if (c->queued) {
        dequeue(p, u);
        c->pri = c->pri == BOOST && pri == UNDER ? BOOST : pri;
        enqueue(p, u, u->cpu, false);
    }
    if (idle && c->credit >= tslice(p) / 2) {
        deactivate(u);
    }
}

static void settle_dom(struct sched_pool *p, struct credit_dom *d)
{
    divide(&d->units, d->claim.grant);
    list_for_each_safe(l, next, &d->units) {
        settle(p, unit_of(active_unit(l)));
    }
}

static void unpark_dom(struct sched_pool *p, struct credit_dom *d, stime_t now,
                       struct cpumask *tickle)
{
    list_for_each_safe(l, next, &d->parked) {
        struct sched_unit *u = unit_of(waiting_unit(l));
        u32 cpu;

        unpark(u);
        priv(u)->pri = earned(priv(u));
        cpu = resume(p, u, now);
        if (cpu != NO_CPU) {
            cpumask_set(tickle, cpu);
        }
    }
}

static void account(struct sched_pool *p, stime_t now)
{
    struct credit_pool *cp = pool_priv(p);
    s64 elapsed = clamp(now - cp->accounted, 0, MAX_PERIOD);

    list_for_each(l, &cp->doms) {
        claim_of_dom(p, active_dom(l), elapsed, now);
    }
    divide(&cp->doms, elapsed * cpumask_weight(&p->cpus));
    list_for_each_safe(l, next, &cp->doms) {
        settle_dom(p, active_dom(l));
    }
    cp->accounted = now;
}

static stime_t credit_timer(struct sched_pool *p, stime_t now, struct cpumask *tickle)
{
    struct credit_pool *cp = pool_priv(p);

    account(p, now);
    list_for_each(l, &cp->doms) {
        struct credit_dom *d = active_dom(l);

        refill(p, dom_of(d), now);
        if (!out_of_budget(dom_of(d), now)) {
            unpark_dom(p, d, now, tickle);
        }
    }
    return list_empty(&cp->doms) ? STIME_MAX : now + tslice(p);
}

/* ---- Life cycle -------------------------------------------------------------------------- */

static void credit_pool_init(struct sched_pool *p, stime_t now)
{
    struct credit_pool *cp = pool_priv(p);

    memset(cp, 0, sizeof(*cp));
    list_init(&cp->doms);
    cp->accounted = now;
    for (u32 cpu = 0; cpu < NR_CPUS; cpu++) {
        for (u32 pri = 0; pri < NR_PRIORITIES; pri++) {
            list_init(&cp->queue[cpu].waiting[pri]);
        }
    }
}

static void credit_cpu_remove(struct sched_pool *p, u32 cpu, stime_t now)
{
    struct run_queue *q = &pool_priv(p)->queue[cpu];

    q->current = NULL;
    for (u32 pri = 0; pri < NR_PRIORITIES; pri++) {
        list_for_each_safe(l, next, &q->waiting[pri]) {
            struct sched_unit *u = unit_of(waiting_unit(l));

            dequeue(p, u);
            enqueue(p, u, find_busy(p, u, now), false);
        }
    }
}

static void credit_dom_insert(struct sched_pool *p, struct sched_dom *d)
{
    struct credit_dom *c = dom_priv(d);

    memset(c, 0, sizeof(*c));
    list_init(&c->claim.link);
    list_init(&c->units);
    list_init(&c->parked);
    c->refilled = pool_priv(p)->accounted;
    c->budget = tslice(p) * d->cap / 100;
}

static void credit_unit_insert(struct sched_pool *p, struct sched_unit *u, stime_t now)
{
    struct credit_unit *c = priv(u);

    memset(c, 0, sizeof(*c));
    list_init(&c->claim.link);
    list_init(&c->node);
    c->credit = tslice(p) / 2;
    c->start = now;
    c->pri = UNDER;
}

static void credit_unit_remove(struct sched_pool *p, struct sched_unit *u, stime_t now)
{
    (void)credit_sleep(p, u, now);
    deactivate(u);
}

/* Units that may run again wait where they were; returns one idle CPU, which calls the next when it
 * comes. */
static u32 release(struct sched_pool *p, struct credit_dom *d, stime_t now)
{
    u32 idle = NO_CPU;

    list_for_each_safe(l, next, &d->parked) {
        struct sched_unit *u = unit_of(waiting_unit(l));

        unpark(u);
        want(p, u, now);
        priv(u)->pri = earned(priv(u));
        if (idle == NO_CPU) {
            u32 cpu = find_idle(p, u);

            idle = cpu;
        }
        enqueue(p, u, cpumask_test(&u->hard, u->cpu) ? u->cpu : cpumask_first(&u->hard), false);
    }
    if (idle != NO_CPU) {
        cpumask_clear(&p->idlers, idle);
    }
    return idle;
}

/* A cap counts from now on, with a fresh budget; a weight from the next accounting. */
static u32 changed_dom(struct sched_pool *p, struct sched_dom *d, stime_t now)
{
    struct credit_dom *c = dom_priv(d);

    spend(d, now);
    c->refilled = now;
    c->budget = tslice(p) * d->cap / 100;
    return release(p, c, now);
}

static u32 credit_changed(struct sched_pool *p, struct sched_dom *d, struct sched_unit *u,
                          stime_t now)
{
    if (!u) {
        return changed_dom(p, d, now);
    }
    if (u->running) {
        return misplaced(p, u->cpu, u) ? u->cpu : NO_CPU;
    }
    if (priv(u)->queued) {
        dequeue(p, u);
        return place(p, u, now);
    }
    if (!cpumask_test(&u->hard, u->cpu)) {
        u->cpu = cpumask_next_wrap(&u->hard, u->cpu);
    }
    return NO_CPU;
}

/* ---- Dump -------------------------------------------------------------------------------- */

static int dump_unit(const struct sched_unit *u, char *buf, size_t size)
{
    static const char *const names[] = { "BOOST", "UNDER", "OVER" };
    s64 credit = priv(u)->credit;
    s64 tenths = (credit < 0 ? -credit : credit) / 100000;

    return fmt_snprintf(buf, size, "d%uv%u %s credit %s%lld.%lldms", u->dom->id, u->id,
                        names[priv(u)->pri], credit < 0 ? "-" : "", (long long)tenths / 10,
                        (long long)tenths % 10);
}

static int credit_dump_cpu(const struct sched_pool *p, u32 cpu, char *buf, size_t size)
{
    struct run_queue *q = &pool_priv(p)->queue[cpu];
    size_t n = 0;

    if (q->current) {
        n = (size_t)dump_unit(q->current, buf, size);
    } else {
        n = (size_t)fmt_snprintf(buf, size, "idle");
    }
    for (u32 pri = 0; pri < NR_PRIORITIES; pri++) {
        list_for_each(l, &q->waiting[pri]) {
            const struct sched_unit *u = unit_of(waiting_unit(l));

            n += (size_t)fmt_snprintf(n < size ? buf + n : NULL, n < size ? size - n : 0, ", ");
            n += (size_t)dump_unit(u, n < size ? buf + n : NULL, n < size ? size - n : 0);
        }
    }
    return (int)n;
}

const struct sched_ops sched_credit = {
    .name = "credit",
    .id = 5, /* XEN_SCHEDULER_CREDIT */
    .pool_size = sizeof(struct credit_pool),
    .pool_init = credit_pool_init,
    .cpu_remove = credit_cpu_remove,
    .dom_insert = credit_dom_insert,
    .unit_insert = credit_unit_insert,
    .unit_remove = credit_unit_remove,
    .pick_cpu = credit_pick_cpu,
    .wake = credit_wake,
    .sleep = credit_sleep,
    .yield = credit_yield,
    .decide = credit_decide,
    .switched_out = credit_switched_out,
    .changed = credit_changed,
    .timer = credit_timer,
    .dump_cpu = credit_dump_cpu,
};
