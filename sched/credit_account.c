/* SPDX-License-Identifier: MIT */
/*
 * The credit scheduler's accounts: what units ran and wanted, budgets of capped domains, and who is
 * entitled to how much of a period that is over. Pure; the caller holds the pool's lock.
 */
#include "credit.h"

#define MAX_PERIOD (10 * NSEC_PER_SEC) /* longer ones are cut: time * weight fits 64 bits */
#define FILL_ROUNDS 16
#define LIMIT_PASSES 3

/* ---- Budgets ----------------------------------------------------------------------------- */

/* All of its units that run use it up, whether they were charged already or not. */
void credit_spend(struct sched_dom *d, stime_t now)
{
    struct credit_dom *c = dom_priv(d);

    c->budget -= c->nr_running * MAX(now - c->spent, 0);
    c->spent = now;
}

bool credit_out_of_budget(struct sched_dom *d, stime_t now)
{
    if (!d->cap) {
        return false;
    }
    credit_spend(d, now);
    return dom_priv(d)->budget <= 0;
}

/* By the time that passed; what a late switch took too much was paid from the next budget. */
void credit_refill(const struct sched_pool *p, struct sched_dom *d, stime_t now)
{
    struct credit_dom *c = dom_priv(d);
    s64 elapsed = clamp(now - c->refilled, 0, MAX_PERIOD);
    s64 most = 2 * tslice(p) * d->cap / 100;

    credit_spend(d, now);
    c->budget = clamp(c->budget + elapsed * d->cap / 100, -MAX_PERIOD, most);
    c->refilled = now;
}

/* ---- What a unit ran and wanted ---------------------------------------------------------- */

void credit_charge(struct sched_unit *u, stime_t now)
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
        credit_refill(p, u->dom, now);
    }
    list_add_tail(&d->units, &priv(u)->claim.link);
    priv(u)->active = true;
}

void credit_deactivate(struct sched_unit *u)
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

void credit_want(struct sched_pool *p, struct sched_unit *u, stime_t now)
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

void credit_unwant(struct credit_unit *c, stime_t now)
{
    count_demand(c, now);
    c->wanting = false;
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

/* In units of 1024 ns: the weights of bound units are finer than the domains'. */
static s64 share_of(s64 total, s64 weight, s64 sum)
{
    return ((total >> 10) * weight / sum) << 10;
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
static void gather_demand(struct credit_pool *cp, s64 slice, struct sched_unit *u, s64 elapsed,
                          stime_t now)
{
    struct credit_unit *c = priv(u);

    if (cp->queue[u->cpu].current == u) {
        credit_charge(u, now);
    }
    count_demand(c, now);
    c->claim.weight = 1;
    c->claim.peak = clamp(slice / 2 - c->credit, MIN(c->demand, elapsed), elapsed);
}

static void claim_of_dom(struct credit_dom *d, s64 elapsed)
{
    const struct sched_dom *dom = dom_of(d);

    d->claim.weight = MAX(dom->weight, 1u);
    d->claim.peak = 0;
    list_for_each(l, &d->units) {
        d->claim.peak += active_unit(l)->claim.peak;
    }
    if (dom->cap) {
        d->claim.peak = MIN(d->claim.peak, elapsed * dom->cap / 100);
    }
}

static void divide_all(struct credit_pool *cp, s64 elapsed, s64 total)
{
    list_for_each(l, &cp->doms) {
        claim_of_dom(active_dom(l), elapsed);
    }
    divide(&cp->doms, total);
    list_for_each(l, &cp->doms) {
        divide(&active_dom(l)->units, active_dom(l)->claim.grant);
    }
}

/* ---- Affinity ---------------------------------------------------------------------------- */

/* All active units in turn; NULL: the first, and after the last. */
static struct sched_unit *next_active(struct credit_pool *cp, struct sched_unit *u)
{
    struct list *dom = &cp->doms;

    if (u) {
        struct credit_dom *d = dom_priv(u->dom);
        struct list *l = priv(u)->claim.link.next;

        if (l != &d->units) {
            return unit_of(active_unit(l));
        }
        dom = &d->claim.link;
    }
    dom = dom->next;
    return dom == &cp->doms ? NULL : unit_of(active_unit(active_dom(dom)->units.next));
}

/* The first unit after u that may run on CPUs of mask only. */
static struct sched_unit *next_bound(struct credit_pool *cp, const struct cpumask *mask,
                                     struct sched_unit *u)
{
    do {
        u = next_active(cp, u);
    } while (u && !cpumask_subset(&u->hard, mask));
    return u;
}

static void note_group(struct credit_pool *cp, const struct cpumask *mask)
{
    for (u32 i = 0; i < cp->nr_groups; i++) {
        if (memcmp(&cp->group[i], mask, sizeof(*mask)) == 0) {
            return;
        }
    }
    if (cp->nr_groups < CREDIT_GROUPS) {
        cp->group[cp->nr_groups++] = *mask;
    }
}

/* Which sets of CPUs are narrower than the pool for somebody. */
static void find_groups(struct sched_pool *p, struct credit_pool *cp)
{
    u32 all = cpumask_weight(&p->cpus);

    cp->nr_groups = 0;
    cpumask_clear_all(&cp->bound);
    for (struct sched_unit *u = next_active(cp, NULL); u && all > 1; u = next_active(cp, u)) {
        if (u->dedicated) {
            cpumask_set(&cp->bound, cpumask_first(&u->hard));
        } else if (cpumask_weight(&u->hard) < all) {
            note_group(cp, &u->hard);
        }
    }
}

/* In a group a unit has that part of its domain's weight that it got of its domain's grant. */
static s64 weigh_bound(struct credit_pool *cp, const struct cpumask *mask)
{
    s64 sum = 0;

    for (struct sched_unit *u = next_bound(cp, mask, NULL); u; u = next_bound(cp, mask, u)) {
        struct claim *c = &priv(u)->claim;

        c->weight = 1 + u->dom->weight * (c->grant * 1024 / MAX(dom_priv(u->dom)->claim.grant, 1));
        sum += c->weight;
    }
    return sum;
}

static s64 granted(struct credit_pool *cp, const struct cpumask *mask)
{
    s64 sum = 0;

    for (struct sched_unit *u = next_bound(cp, mask, NULL); u; u = next_bound(cp, mask, u)) {
        sum += priv(u)->claim.grant;
    }
    return sum;
}

/*
 * Units that are bound to a few CPUs can't get more than these have, whatever their weight is. Then
 * they divide that among themselves, and what they can't get is left to the others. Returns
 * whether.
 */
static bool limit_group(struct credit_pool *cp, const struct cpumask *mask, s64 total)
{
    s64 weight;
    bool again = true;

    if (granted(cp, mask) <= total) {
        return false;
    }
    weight = weigh_bound(cp, mask);
    for (u32 round = 0; again && round < FILL_ROUNDS; round++) {
        again = false;
        for (struct sched_unit *u = next_bound(cp, mask, NULL); u; u = next_bound(cp, mask, u)) {
            struct claim *c = &priv(u)->claim;

            if (c->weight && c->peak <= share_of(total, c->weight, weight)) {
                total -= c->peak;
                weight -= c->weight;
                c->weight = 0; /* settled */
                again = true;
            }
        }
    }
    for (struct sched_unit *u = next_bound(cp, mask, NULL); u; u = next_bound(cp, mask, u)) {
        struct claim *c = &priv(u)->claim;

        c->peak = c->weight ? MIN(c->peak, share_of(total, c->weight, weight)) : c->peak;
        c->weight = 1;
    }
    return true;
}

/* The narrowest groups first: what they leave counts for the wider ones. */
static bool limit_groups(struct credit_pool *cp, s64 elapsed)
{
    bool limited = false;

    cpumask_for_each(cpu, &cp->bound) {
        struct cpumask one;

        cpumask_clear_all(&one);
        cpumask_set(&one, cpu);
        limited |= limit_group(cp, &one, elapsed);
    }
    for (u32 i = 0; i < cp->nr_groups; i++) {
        limited |= limit_group(cp, &cp->group[i], elapsed * cpumask_weight(&cp->group[i]));
    }
    return limited;
}

/* ---- The period -------------------------------------------------------------------------- */

/* Take the grant, and the place in the queue that it gives. */
static void settle(struct sched_pool *p, struct sched_unit *u)
{
    struct credit_unit *c = priv(u);
    bool idle = c->demand == 0 && !u->runnable;
    s64 most = 2 * tslice(p);
    u8 pri;

    c->credit = clamp(c->credit + c->claim.grant, -most, most);
    c->demand = 0;
    pri = earned(c);
    if (c->queued) {
        credit_dequeue(p, u);
        c->pri = c->pri == BOOST && pri == UNDER ? BOOST : pri;
        credit_enqueue(p, u, u->cpu, false);
    }
    if (idle && c->credit >= tslice(p) / 2) {
        credit_deactivate(u);
    }
}

void credit_account(struct sched_pool *p, stime_t now)
{
    struct credit_pool *cp = pool_priv(p);
    s64 elapsed = clamp(now - cp->accounted, 0, MAX_PERIOD);
    s64 total = elapsed * cpumask_weight(&p->cpus);

    for (struct sched_unit *u = next_active(cp, NULL); u; u = next_active(cp, u)) {
        gather_demand(cp, tslice(p), u, elapsed, now);
    }
    divide_all(cp, elapsed, total);
    find_groups(p, cp);
    for (u32 pass = 0; pass < LIMIT_PASSES && limit_groups(cp, elapsed); pass++) {
        divide_all(cp, elapsed, total);
    }
    for (struct sched_unit *u = next_active(cp, NULL), *next; u; u = next) {
        next = next_active(cp, u);
        settle(p, u);
    }
    cp->accounted = now;
}
