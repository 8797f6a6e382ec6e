/* SPDX-License-Identifier: MIT */
/*
 * The credit scheduler's accounts, at every switch, wake and sleep: what units ran and wanted, and
 * the budgets of capped domains. Pure; the caller holds the pool's lock.
 */
#include "credit.h"

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

/* What a unit of that domain is entitled to, until a first period tells. */
s64 credit_expect(const struct sched_pool *p, const struct sched_dom *d)
{
    s64 weight = 0;

    list_for_each(l, &p->doms) {
        weight += list_entry(l, struct sched_dom, link)->weight;
    }
    return MIN(tslice(p) * cpumask_weight(&p->cpus) * d->weight / MAX(weight, 1), tslice(p));
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
