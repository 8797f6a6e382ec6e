/* SPDX-License-Identifier: MIT */
/*
 * The credit scheduler: its decisions.
 *
 * Credit is CPU time in ns. A unit loses what it runs, counted exactly at every switch, and each
 * period (a time slice) gets what it was entitled to in it: the time of the pool's CPUs is divided
 * by the weights of the domains, and within a domain evenly; what one did not want goes to the
 * others (credit_share.c). A weight is its domain's, however many vcpus it has, or by the pool's
 * option that of each vcpu that wants to run. So there is nothing to be gained by being asleep, or
 * elsewhere, at the moment when somebody looks: nobody looks.
 *
 * Credit above 0 is UNDER, else OVER. On a CPU's queue they are sorted by how many periods' worth
 * they are owed, so that all get the same part of what they are entitled to; and a slice is worth a
 * few periods at most, so that who has a small share runs often and shortly. CPUs take from each
 * other when they would idle, or when another's first is much further behind than the own.
 *
 * Who wakes UNDER has BOOST: it goes before all others, for a third of a slice or until its credit
 * is gone. With it comes the one exception from the ratelimit, by which who got a CPU may keep it
 * for a while: a boosted unit that uses little (it has an eighth of a slice in hand) takes the CPU
 * at once, if there is a preemption left in the CPU's purse. One comes in per ratelimit, four can
 * be saved up. So sleepers run when they wake, and however many of them there are and whatever they
 * do, they preempt once per ratelimit.
 *
 * A cap is a budget of the domain that each period refills; without it the domain is parked. Groups
 * of domains make a tree of it: what a group is entitled to is divided in it, by the weights
 * inside, and a unit needs a budget wherever there is a cap above it (credit_tree.c).
 *
 * Pure. Owns the private areas of pool, domains and units, all under the pool's lock.
 */
#include "credit.h"

#define SLICE_PERIODS 4 /* a slice is no more than what is granted in so many periods */
#define PURSE 4         /* preemptions by boosted ones that a CPU may have saved up */

/* ---- Deciding ---------------------------------------------------------------------------- */

/*
 * A time slice, but no more than what is granted in a few periods: who has a small share runs often
 * and shortly rather than going into debt for long.
 */
static s64 slice_of(const struct sched_pool *p, const struct sched_unit *u)
{
    struct credit_unit *c = priv(u);
    s64 granted = c->fresh ? 0 : SLICE_PERIODS * c->claim.grant, slice;

    c->left = MIN(MIN(c->left, tslice(p)), MAX(granted, NSEC_PER_MSEC));
    slice = c->left;
    if (c->pri == BOOST) {
        slice = MIN(slice, tslice(p) / 3);
    }
    if (dom_priv(u->dom)->capped) {
        slice = MIN(slice, credit_budget(p, u));
    }
    return MAX(slice, MIN_SLICE);
}

/* A budget is used up and prev parked: the others' CPUs are called one after the other. */
static u32 next_to_park(const struct sched_pool *p, const struct sched_unit *prev, stime_t now)
{
    struct credit_node *n = leaf_of(prev);

    if (!priv(prev)->parked) {
        return NO_CPU;
    }
    n = n->up ? credit_exhausted(prev, now) : n;
    return n && n->nr_running ? credit_runs_on(p, n) : NO_CPU;
}

/* Somebody boosted waits here who is well within its entitlement, and there is a preemption left.
 */
static bool must_yield(const struct sched_pool *p, u32 cpu, const struct sched_unit *u, stime_t now)
{
    const struct run_queue *q = queue_of(p, cpu);
    s64 ratelimit = p->params.ratelimit_us * NSEC_PER_USEC;

    return (q->levels & 1) && waiting_unit(q->waiting.next)->credit >= tslice(p) / 8 &&
           q->preempted <= now + (PURSE - 1) * ratelimit && credit_running_pri(p, u, now) > BOOST;
}

/* It ran so shortly that a switch now would cost more than the wait. */
static s64 protected_for(const struct sched_pool *p, u32 cpu, const struct sched_unit *u,
                         stime_t now)
{
    s64 left = p->params.ratelimit_us * NSEC_PER_USEC - (now - priv(u)->run_start);

    if (left <= 0 || priv(u)->yielding || credit_out_of_budget(p, u, now) ||
        !cpumask_test(&u->hard, cpu) || must_yield(p, cpu, u, now)) {
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
    return !credit_prefers(u, cpu) && cpumask_intersects(&u->soft, &p->idlers);
}

/* prev wants to go on: it waits with the others. What is misplaced is left to switched_out(). */
static void requeue(struct sched_pool *p, u32 cpu, struct sched_unit *u, stime_t now)
{
    struct credit_unit *c = priv(u);
    bool first = c->left > 0 && !c->yielding;

    c->pri = credit_running_pri(p, u, now);
    if (!first) {
        c->left = tslice(p);
    }
    if (credit_out_of_budget(p, u, now)) {
        credit_park(u, now);
    } else if (!misplaced(p, cpu, u)) {
        credit_enqueue(p, u, cpu, first);
    }
}

static struct sched_unit *choose(struct sched_pool *p, u32 cpu, struct sched_unit *prev,
                                 stime_t now)
{
    struct sched_unit *next;

    if (!prev || !prev->runnable) {
        return credit_select(p, cpu, OVER, true, now);
    }
    if (!priv(prev)->yielding) {
        requeue(p, cpu, prev, now);
        return credit_select(p, cpu, OVER, true, now);
    }
    next = credit_select(p, cpu, credit_running_pri(p, prev, now), false, now);
    requeue(p, cpu, prev, now);
    priv(prev)->yielding = false;
    return next ? next : credit_select(p, cpu, OVER, true, now);
}

static void pay_preemption(struct sched_pool *p, u32 cpu, stime_t now)
{
    struct run_queue *q = queue_of(p, cpu);

    q->preempted = MAX(q->preempted, now) + p->params.ratelimit_us * NSEC_PER_USEC;
}

/* Only a change of who runs begins a new run. */
static void switch_to(struct sched_pool *p, u32 cpu, struct sched_unit *prev,
                      struct sched_unit *next, stime_t now)
{
    if (prev) {
        credit_run(leaf_of(prev), -1, now);
    }
    if (next) {
        if (prev && prev->runnable && priv(next)->pri == BOOST) {
            pay_preemption(p, cpu, now);
        }
        credit_run(leaf_of(next), 1, now);
        next->cpu = cpu;
        priv(next)->start = now;
        priv(next)->run_start = now;
    }
    queue_of(p, cpu)->current = next;
}

static struct sched_decision credit_decide(struct sched_pool *p, u32 cpu, struct sched_unit *prev,
                                           stime_t now)
{
    struct sched_decision dec = { NULL, 0, NO_CPU };
    u8 pri = NR_PRIORITIES;

    cpumask_clear(&p->idlers, cpu);
    if (prev) {
        credit_charge(prev, now);
        if (prev->runnable && (dec.slice = protected_for(p, cpu, prev, now)) > 0) {
            dec.next = prev;
            credit_note_running(p, cpu, credit_running_pri(p, prev, now));
            return dec;
        }
    }
    dec.next = choose(p, cpu, prev, now);
    if (dec.next) {
        credit_dequeue(p, dec.next);
    }
    if (dec.next != prev) {
        switch_to(p, cpu, prev, dec.next, now);
    }
    if (dec.next) {
        dec.slice = slice_of(p, dec.next);
        pri = credit_running_pri(p, dec.next, now);
    }
    credit_note_running(p, cpu, pri);
    dec.tickle = prev ? next_to_park(p, prev, now) : credit_helper(p, now);
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
        if (credit_find_idle(p, u) == NO_CPU) {
            return NO_CPU;
        }
        credit_dequeue(p, u);
    }
    return credit_place(p, u, now);
}

/* ---- Wake, sleep, yield ------------------------------------------------------------------ */

/* Back to where it counts: a CPU's queue or, without a budget, the parked ones. */
static inline u32 resume(struct sched_pool *p, struct sched_unit *u, stime_t now)
{
    if (credit_out_of_budget(p, u, now)) {
        credit_park(u, now);
        return NO_CPU;
    }
    credit_want(p, u, now);
    return credit_place(p, u, now);
}

static u32 credit_wake(struct sched_pool *p, struct sched_unit *u, stime_t now)
{
    struct credit_unit *c = priv(u);

    credit_want(p, u, now);
    if (u->running || c->queued || c->parked) {
        return NO_CPU;
    }
    c->left = tslice(p);
    c->pri = c->credit <= 0 ? OVER : u->throttled ? UNDER : BOOST;
    return resume(p, u, now);
}

static u32 credit_sleep(struct sched_pool *p, struct sched_unit *u, stime_t now)
{
    credit_rest(u, now);
    priv(u)->yielding = false;
    if (priv(u)->queued) {
        credit_dequeue(p, u);
    } else if (priv(u)->parked) {
        credit_unpark(u);
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
    u32 cpu = credit_find_idle(p, u);

    return cpu != NO_CPU ? cpu : credit_find_calm(p, u);
}

/* ---- The period -------------------------------------------------------------------------- */

/* A new budget. */
static void unpark_dom(struct sched_pool *p, struct credit_dom *d, stime_t now,
                       struct cpumask *tickle)
{
    list_for_each_safe(l, next, &d->parked) {
        struct sched_unit *u = unit_of(waiting_unit(l));
        u32 cpu;

        if (credit_out_of_budget(p, u, now)) {
            continue;
        }
        credit_unpark(u);
        priv(u)->pri = earned(priv(u));
        cpu = resume(p, u, now);
        if (cpu != NO_CPU) {
            cpumask_set(tickle, cpu);
        }
    }
}

static stime_t credit_timer(struct sched_pool *p, stime_t now, struct cpumask *tickle)
{
    struct credit_pool *cp = pool_priv(p);

    credit_account(p, now);
    for (struct credit_node *n = credit_next_node(cp, NULL, NULL); n;
         n = credit_next_node(cp, NULL, n)) {
        credit_refill(p, n, now); /* those above it before */
        if (n->leaf) {
            unpark_dom(p, n->dom, now, tickle);
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
        credit_queue_init(&cp->queue[cpu]);
    }
}

static void credit_cpu_remove(struct sched_pool *p, u32 cpu, stime_t now)
{
    struct run_queue *q = queue_of(p, cpu);

    q->current = NULL;
    credit_note_running(p, cpu, NR_PRIORITIES);
    list_for_each_safe(l, next, &q->waiting) {
        struct sched_unit *u = unit_of(waiting_unit(l));

        credit_dequeue(p, u);
        credit_enqueue(p, u, credit_find_busy(p, u, now), false);
    }
}

static void credit_unit_insert(struct sched_pool *p, struct sched_unit *u, stime_t now)
{
    struct credit_unit *c = priv(u);

    memset(c, 0, sizeof(*c));
    list_init(&c->claim.link);
    list_init(&c->node);
    c->claim.grant = credit_expect(p, u->dom);
    c->credit = NSEC_PER_MSEC + c->claim.grant; /* a little for all, and an advance */
    c->fresh = true;
    c->start = now;
    c->pri = UNDER;
}

static void credit_unit_remove(struct sched_pool *p, struct sched_unit *u, stime_t now)
{
    (void)credit_sleep(p, u, now);
    credit_deactivate(u);
}

static u32 credit_changed(struct sched_pool *p, struct sched_dom *d, struct sched_unit *u,
                          stime_t now)
{
    if (!u) {
        return credit_dom_changed(p, d, now);
    }
    if (u->running) {
        return misplaced(p, u->cpu, u) ? u->cpu : NO_CPU;
    }
    if (priv(u)->queued) {
        credit_dequeue(p, u);
        return credit_place(p, u, now);
    }
    if (!cpumask_test(&u->hard, u->cpu)) {
        u->cpu = cpumask_next_wrap(&u->hard, u->cpu);
    }
    return NO_CPU;
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
    .regroup = credit_regroup,
    .changed = credit_changed,
    .timer = credit_timer,
    .dump_cpu = credit_dump_cpu,
};
