/* SPDX-License-Identifier: MIT */
/*
 * The credit scheduler's period: who was entitled to how much of the time that is over. It is
 * divided by weight, with what somebody did not want going to the others, and with regard to those
 * who may use a few CPUs only. Pure; the caller holds the pool's lock.
 */
#include <public/tarn.h>

#include "credit.h"

#define FILL_ROUNDS 16
#define LIMIT_PASSES 3
#define WEIGHT_SCALE 64 /* weights by vcpu are of those that want to run on average */

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

/* Wide: 8192 vcpus of weight 65535 share the seconds of 4096 CPUs rightly, too. */
static s64 share_of(s64 total, s64 weight, s64 sum)
{
    return (s64)((unsigned __int128)(u64)total * (u64)weight / (u64)sum);
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

            if (c->grant < 0 && c->peak <= share_of(total, c->weight, weight)) {
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
            c->grant = MIN(share_of(total, c->weight, weight), c->peak);
        }
    }
}

/* A sleeper may gather a slice, or pay a debt off, within its entitlement. */
static void gather_demand(const struct sched_pool *p, struct sched_unit *u, s64 elapsed,
                          stime_t now)
{
    struct credit_unit *c = priv(u);
    s64 slice = tslice(p);

    if (dom_priv(u->dom)->capped) {
        slice = MIN(slice, credit_room(p, leaf_of(u)));
    }
    if (queue_of(p, u->cpu)->current == u) {
        credit_charge(u, now);
    }
    credit_count_demand(c, now);
    if (c->fresh) {
        c->credit -= c->claim.grant; /* it was an advance */
    }
    c->claim.weight = 1;
    c->claim.peak = clamp(slice - c->credit, MIN(c->demand, elapsed), elapsed);
    if (c->parked) {
        c->claim.peak = elapsed; /* it might have wanted all; there is a cap above it */
    }
}

/*
 * A weight is the domain's or, by the pool's option, that of each vcpu that wants to run: then it
 * counts as often as there were such on the average of the period, so that many that want hardly
 * anything add nothing. Of a group those of the master count, but for once at least: so a group
 * does not gain by members, nor lose while its master sleeps.
 */
static s64 weight_by_vcpu(const struct credit_node *n, s64 weight, s64 elapsed)
{
    s64 demand = 0;

    list_for_each(l, &n->dom->leaf->parts) {
        demand += MIN(active_unit(l)->demand, elapsed);
    }
    demand = n->leaf ? demand : MAX(demand, elapsed);
    return 1 + share_of(weight, demand, MAX(elapsed, 1));
}

/* Of what is above it. Its parts' claims are known. */
static void claim_of_node(const struct sched_pool *p, struct credit_node *n, s64 elapsed)
{
    n->claim.peak = 0;
    list_for_each(l, &n->parts) {
        n->claim.peak += container_of(l, struct claim, link)->peak;
    }
    n->claim.weight = (s64)credit_weight(n) * WEIGHT_SCALE;
    if (!n->up && (p->params.flags & TARN_POOL_weight_per_vcpu)) {
        n->claim.weight = weight_by_vcpu(n, n->claim.weight, elapsed);
    }
    if (n->cap) {
        n->pressed = n->claim.peak > elapsed * n->cap / 100;
        n->claim.peak = MIN(n->claim.peak, elapsed * n->cap / 100);
    }
}

/* Claims from bottom to top, grants from top to bottom. */
static void divide_all(const struct sched_pool *p, s64 elapsed, s64 total)
{
    struct credit_pool *cp = pool_priv(p);
    struct credit_node *n = NULL;

    while ((n = credit_prev_node(cp, n))) {
        claim_of_node(p, n, elapsed);
    }
    divide(&cp->doms, total);
    while ((n = credit_next_node(cp, NULL, n))) {
        divide(&n->parts, n->claim.grant);
    }
}

/* ---- Affinity ---------------------------------------------------------------------------- */

/* All active units in turn; NULL: the first, and after the last. */
static struct sched_unit *next_active(struct credit_pool *cp, struct sched_unit *u)
{
    struct credit_node *n = NULL;

    if (u) {
        struct list *l = priv(u)->claim.link.next;

        n = leaf_of(u);
        if (l != &n->parts) {
            return unit_of(active_unit(l));
        }
    }
    do {
        n = credit_next_node(cp, NULL, n);
    } while (n && !n->leaf);
    return n ? unit_of(active_unit(n->parts.next)) : NULL;
}

/*
 * A set of CPUs that is narrower than the pool for somebody: one CPU, whose units are chained, or a
 * few.
 */
struct group {
    struct credit_pool *cp;
    u32 cpu;                    /* NO_CPU: a few, as in mask */
    const struct cpumask *mask; /* a unit that may run there only belongs to it */
    s64 total;                  /* their time in the period */
};

static struct sched_unit *first_bound(const struct group *g, struct sched_unit *u)
{
    while (u && !cpumask_subset(&u->hard, g->mask)) {
        u = next_active(g->cp, u);
    }
    return u;
}

static struct sched_unit *chained(struct credit_unit *c)
{
    return c ? unit_of(c) : NULL;
}

static struct sched_unit *group_first(const struct group *g)
{
    return g->cpu != NO_CPU ? chained(g->cp->queue[g->cpu].bound)
                            : first_bound(g, next_active(g->cp, NULL));
}

static struct sched_unit *group_next(const struct group *g, struct sched_unit *u)
{
    return g->cpu != NO_CPU ? chained(priv(u)->next_bound) : first_bound(g, next_active(g->cp, u));
}

#define group_for_each(u, g) for (struct sched_unit *u = group_first(g); u; u = group_next(g, u))

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

static void note_bound(struct credit_pool *cp, struct sched_unit *u)
{
    u32 cpu = cpumask_first(&u->hard);

    if (!cpumask_test(&cp->bound, cpu)) {
        cpumask_set(&cp->bound, cpu);
        cp->queue[cpu].bound = NULL;
    }
    priv(u)->next_bound = cp->queue[cpu].bound;
    cp->queue[cpu].bound = priv(u);
}

static void find_groups(struct sched_pool *p, struct credit_pool *cp)
{
    u32 all = cpumask_weight(&p->cpus);

    cp->nr_groups = 0;
    cpumask_clear_all(&cp->bound);
    for (struct sched_unit *u = next_active(cp, NULL); u && all > 1; u = next_active(cp, u)) {
        if (u->dedicated) {
            note_bound(cp, u);
        } else if (!cpumask_subset(&p->cpus, &u->hard)) {
            note_group(cp, &u->hard);
        }
    }
}

/* What divides the pool's time, of those above the unit. */
static const struct claim *top_claim(const struct sched_unit *u)
{
    const struct credit_node *n = leaf_of(u);

    while (n->up) {
        n = n->up;
    }
    return &n->claim;
}

/* In a group a unit has that part of the weight at the top that it got of the grant there. */
static s64 weigh_bound(const struct group *g)
{
    s64 sum = 0;

    group_for_each(u, g) {
        const struct claim *top = top_claim(u);
        struct claim *c = &priv(u)->claim;

        c->weight = 1 + share_of(top->weight * 1024, c->grant, MAX(top->grant, 1));
        sum += c->weight;
    }
    return sum;
}

static s64 granted(const struct group *g)
{
    s64 sum = 0;

    group_for_each(u, g) {
        sum += priv(u)->claim.grant;
    }
    return sum;
}

/* Who wants no more than its share is settled: its weight is 0 then. Returns whether some were. */
static bool settle_modest(const struct group *g, s64 *total, s64 *weight)
{
    bool some = false;

    group_for_each(u, g) {
        struct claim *c = &priv(u)->claim;

        if (c->weight && c->peak <= share_of(*total, c->weight, *weight)) {
            *total -= c->peak;
            *weight -= c->weight;
            c->weight = 0;
            some = true;
        }
    }
    return some;
}

/*
 * Units that are bound to a few CPUs can't get more than these have, whatever their weight is. Then
 * they divide that among themselves, and what they can't get is left to the others. Returns
 * whether.
 */
static bool limit_group(const struct group *g)
{
    s64 total = g->total, weight;

    if (granted(g) <= total) {
        return false;
    }
    weight = weigh_bound(g);
    for (u32 round = 0; round < FILL_ROUNDS && settle_modest(g, &total, &weight); round++) {
    }
    group_for_each(u, g) {
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
        limited |= limit_group(&(struct group){ cp, cpu, NULL, elapsed });
    }
    for (u32 i = 0; i < cp->nr_groups; i++) {
        const struct cpumask *mask = &cp->group[i];

        limited |= limit_group(&(struct group){ cp, NO_CPU, mask, elapsed * cpumask_weight(mask) });
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

    c->credit = clamp(c->credit + c->claim.grant, -most, most);
    c->demand = 0;
    c->fresh = false;
    c->had = c->credit;
    if (c->queued) {
        credit_requeue(p, u);
    }
    if (idle && c->credit >= tslice(p)) {
        credit_deactivate(u);
    }
}

/*
 * A group's budget ran out though the group is entitled to all of it: from now on what is used of
 * it is divided, too, as long as more than that is wanted. Else it would be the quickest's: those
 * who have a CPU each.
 */
static bool becomes_tight(const struct credit_node *n, s64 elapsed)
{
    return !n->leaf && n->cap && (n->tight || n->ran_out) && n->pressed &&
           n->claim.grant >= elapsed * n->cap / 100;
}

static void note_tight(struct sched_pool *p, s64 elapsed, stime_t now)
{
    struct credit_node *n = NULL;

    while ((n = credit_next_node(pool_priv(p), NULL, n))) {
        bool tight = becomes_tight(n, elapsed);

        if (tight && !n->tight) {
            credit_forget(p, n, now);
        }
        n->tight = tight;
        n->ran_out = false;
    }
}

void credit_account(struct sched_pool *p, stime_t now)
{
    struct credit_pool *cp = pool_priv(p);
    s64 elapsed = clamp(now - cp->accounted, 0, MAX_PERIOD);
    s64 total = elapsed * cpumask_weight(&p->cpus);

    for (struct sched_unit *u = next_active(cp, NULL); u; u = next_active(cp, u)) {
        gather_demand(p, u, elapsed, now);
    }
    divide_all(p, elapsed, total);
    find_groups(p, cp);
    for (u32 pass = 0; pass < LIMIT_PASSES && limit_groups(cp, elapsed); pass++) {
        divide_all(p, elapsed, total);
    }
    note_tight(p, elapsed, now);
    for (struct sched_unit *u = next_active(cp, NULL), *next; u; u = next) {
        next = next_active(cp, u);
        settle(p, u);
    }
    cp->accounted = now;
}
