/* SPDX-License-Identifier: MIT */
/*
 * The credit scheduler's accounts, at every switch, wake and sleep: what units ran and wanted, and
 * the budgets where there are caps. Pure; the caller holds the pool's lock.
 */
#include "credit.h"

/* ---- Budgets ----------------------------------------------------------------------------- */

struct credit_node *credit_exhausted(const struct sched_unit *u, stime_t now)
{
    struct credit_node *top = NULL;

    for (struct credit_node *n = leaf_of(u); n; n = n->up) {
        credit_spend(n, now);
        if (n->cap && n->budget <= 0) {
            n->ran_out = true;
            top = n;
        }
    }
    return top;
}

s64 credit_room(const struct sched_pool *p, const struct credit_node *n)
{
    s64 room = STIME_MAX;

    for (; n; n = n->up) {
        if (n->tight) {
            room = MIN(room, MAX(2 * tslice(p) * n->cap / 100, NSEC_PER_MSEC));
        }
    }
    return room == STIME_MAX ? room : MIN(room, tslice(p) / 2);
}

/* It has a cap above it. (In this order of arguments this costs those in no group the least.) */
bool credit_must_park(const struct sched_unit *u, stime_t now, const struct sched_pool *p)
{
    struct credit_node *n = leaf_of(u);

    if (n->up) {
        return credit_group_must_park(u, now, p);
    }
    if (now > n->spent) { /* often it is asked for several times at once */
        n->budget -= n->nr_running * (now - n->spent);
        n->spent = now;
    }
    return n->budget <= 0;
}

/* By the time that passed; what a late switch took too much was paid from the next budget. */
void credit_refill(const struct sched_pool *p, struct credit_node *n, stime_t now)
{
    s64 elapsed = clamp(now - n->refilled, 0, MAX_PERIOD);
    s64 most = 2 * tslice(p) * n->cap / 100;

    credit_spend(n, now);
    n->budget = clamp(n->budget + elapsed * n->cap / 100, -MAX_PERIOD, most);
    n->refilled = now;
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

static s64 weight_inside(const struct sched_dom *master)
{
    s64 sum = MAX(master->self_weight, 1u);

    list_for_each(l, &master->members) {
        sum += list_entry(l, struct sched_dom, sibling)->inner_weight;
    }
    return sum;
}

/* What a unit of that domain is entitled to, until a first period tells. */
s64 credit_expect(const struct sched_pool *p, const struct sched_dom *d)
{
    s64 all = tslice(p) * cpumask_weight(&p->cpus), weight = 0;

    if (dom_priv(d)->members) {
        all = all * d->self_weight / weight_inside(d);
    }
    for (; d->master; d = d->master) {
        all = all * d->inner_weight / weight_inside(d->master);
    }
    list_for_each(l, &p->doms) {
        const struct sched_dom *other = list_entry(l, struct sched_dom, link);

        weight += other->master ? 0 : other->weight;
    }
    return MIN(all * d->weight / MAX(weight, 1), tslice(p));
}

/* Whoever is its only active part makes a node active, too, and so on upwards. */
void credit_link(struct sched_pool *p, struct credit_node *n, struct list *part, stime_t now)
{
    for (; n; part = &n->claim.link, n = n->up) {
        bool active = !list_empty(&n->parts);

        list_add_tail(&n->parts, part);
        if (active) {
            return;
        }
        credit_refill(p, n, now);
    }
    list_add_tail(&pool_priv(p)->doms, part);
}

void credit_unlink(struct credit_node *n, struct list *part)
{
    list_del(part);
    for (; n && list_empty(&n->parts); n = n->up) {
        list_del(&n->claim.link);
    }
}

static void activate(struct sched_pool *p, struct sched_unit *u, stime_t now)
{
    struct credit_pool *cp = pool_priv(p);

    if (list_empty(&cp->doms)) {
        cp->accounted = now;
        p->timer_kick = true;
    }
    credit_link(p, leaf_of(u), &priv(u)->claim.link, now);
    priv(u)->active = true;
}

void credit_deactivate(struct sched_unit *u)
{
    if (priv(u)->active) {
        priv(u)->active = false;
        credit_unlink(leaf_of(u), &priv(u)->claim.link);
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
        c->had = c->credit;
    }
}

/* Whoever still waits might want all of the time: how much is not known before it rests. */
void credit_count_demand(struct credit_unit *c, stime_t now)
{
    if (c->wanting) {
        c->demand += MAX(now - c->since, 0);
        c->since = now;
    }
}

void credit_unwant(struct credit_unit *c, stime_t now)
{
    credit_count_demand(c, now);
    c->wanting = false;
}

/* It had all that it wanted: what it ran. A wait before that is no reason to grant it more. */
void credit_rest(struct sched_unit *u, stime_t now)
{
    struct credit_unit *c = priv(u);

    if (u->running) {
        credit_charge(u, now);
    }
    if (c->wanting) {
        c->demand += clamp(c->had - c->credit, 0, MAX(now - c->since, 0));
        c->wanting = false;
    }
}
