/* SPDX-License-Identifier: MIT */
/*
 * The credit scheduler's tree of domains. A domain that is in no group is a node by itself, and its
 * units are that node's parts. With its first member a domain gets a second node below the first,
 * for its own units, beside its members' nodes; with the last one that goes, they are one again. So
 * what goes up through the nodes costs a domain without a group nothing. Here are the ways through
 * the tree, and what changes it and its caps. Pure; the caller holds the pool's lock.
 */
#include "credit.h"

/* ---- Ways -------------------------------------------------------------------------------- */

static struct list *beside(struct credit_pool *cp, struct credit_node *n)
{
    return n->up ? &n->up->parts : &cp->doms;
}

static struct credit_node *last_below(struct credit_node *n)
{
    while (!n->leaf) {
        n = active_node(n->parts.prev);
    }
    return n;
}

struct credit_node *credit_next_node(struct credit_pool *cp, struct credit_node *root,
                                     struct credit_node *n)
{
    if (!n && root) {
        return list_empty(&root->parts) ? NULL : root;
    }
    if (!n) {
        return list_empty(&cp->doms) ? NULL : active_node(cp->doms.next);
    }
    if (!n->leaf) {
        return active_node(n->parts.next);
    }
    for (; n != root; n = n->up) {
        if (n->claim.link.next != beside(cp, n)) {
            return active_node(n->claim.link.next);
        }
    }
    return NULL;
}

struct credit_node *credit_prev_node(struct credit_pool *cp, struct credit_node *n)
{
    if (!n) {
        return list_empty(&cp->doms) ? NULL : last_below(active_node(cp->doms.prev));
    }
    return n->claim.link.prev != beside(cp, n) ? last_below(active_node(n->claim.link.prev))
                                               : n->up;
}

u32 credit_weight(const struct credit_node *n)
{
    const struct sched_dom *d = dom_of(n->dom);
    u32 weight = n == &n->dom->own ? d->self_weight : n->up ? d->inner_weight : d->weight;

    return MAX(weight, 1u);
}

static bool runs(const struct sched_pool *p, const struct sched_unit *u)
{
    return queue_of(p, u->cpu)->current == u;
}

/* A CPU that runs one of the units below it. */
u32 credit_runs_on(const struct sched_pool *p, struct credit_node *root)
{
    struct credit_node *n = NULL;

    while (root->nr_running && (n = credit_next_node(pool_priv(p), root, n))) {
        for (struct list *l = n->parts.next; n->leaf && l != &n->parts; l = l->next) {
            const struct sched_unit *u = unit_of(active_unit(l));

            if (runs(p, u)) {
                return u->cpu;
            }
        }
    }
    return NO_CPU;
}

/* ---- Caps -------------------------------------------------------------------------------- */

/* A cap counts from now on, with a fresh budget. Returns whether it is another one. */
static bool set_cap(const struct sched_pool *p, struct credit_node *n, u32 cap, stime_t now)
{
    if (n->cap == cap) {
        return false;
    }
    n->cap = cap;
    n->budget = tslice(p) * cap / 100;
    n->spent = n->refilled = now;
    n->ran_out = n->tight = false;
    return true;
}

static bool set_caps(const struct sched_pool *p, struct credit_dom *c, stime_t now)
{
    const struct sched_dom *d = dom_of(c);

    bool all = set_cap(p, &c->all, c->all.up ? d->inner_cap : d->cap, now);
    bool own = set_cap(p, &c->own, d->self_cap, now);

    return all || own;
}

static bool is_capped(const struct credit_node *n)
{
    while (n && !n->cap) {
        n = n->up;
    }
    return n;
}

/* Of a domain and those below it, TARN_GROUP_DEPTH levels at most; not of all in the pool, or the
 * end of a group of many would take their number squared. */
static void note_capped(const struct sched_dom *d)
{
    dom_priv(d)->capped = is_capped(dom_priv(d)->leaf);
    list_for_each(l, &d->members) {
        note_capped(list_entry(l, struct sched_dom, sibling));
    }
}

bool credit_group_must_park(const struct sched_unit *u, stime_t now, const struct sched_pool *p)
{
    return credit_exhausted(u, now) || priv(u)->credit < -credit_room(p, leaf_of(u));
}

s64 credit_group_budget(const struct sched_pool *p, const struct sched_unit *u)
{
    s64 least = credit_room(p, leaf_of(u));

    if (least < STIME_MAX) {
        least += priv(u)->credit;
    }
    for (const struct credit_node *n = leaf_of(u); n; n = n->up) {
        if (n->cap) {
            least = MIN(least, n->budget / MAX(n->nr_running, 1u));
        }
    }
    return least;
}

/* Parked units that have a budget now wait where they were. */
static void release(struct sched_pool *p, struct credit_dom *d, stime_t now)
{
    list_for_each_safe(l, next, &d->parked) {
        struct sched_unit *u = unit_of(waiting_unit(l));

        if (credit_out_of_budget(p, u, now)) {
            continue;
        }
        credit_unpark(u);
        credit_want(p, u, now);
        priv(u)->pri = earned(priv(u));
        credit_enqueue(p, u, cpumask_test(&u->hard, u->cpu) ? u->cpu : cpumask_first(&u->hard),
                       false);
    }
}

/* All below a node. Returns an idle CPU to be called for those who wait, there or in a queue, or
 * NO_CPU. */
static u32 release_all(struct sched_pool *p, struct credit_node *root, stime_t now)
{
    struct credit_node *n = NULL;

    while ((n = credit_next_node(pool_priv(p), root, n))) {
        if (n->leaf) {
            release(p, n->dom, now);
        }
    }
    return credit_helper(p, now);
}

/* Other rules count from now on: what it owes, or is owed, is forgotten, but for enough to be quick
 * when it wakes. */
static void forget(struct sched_pool *p, struct sched_unit *u, stime_t now)
{
    struct credit_unit *c = priv(u);
    s64 credit;

    if (runs(p, u)) {
        credit_charge(u, now);
    }
    credit = clamp(c->credit, 0, tslice(p) / 4);
    c->had += credit - c->credit;
    c->credit = credit;
    c->fresh = false;
    if (c->queued) {
        credit_requeue(p, u);
    }
}

void credit_forget(struct sched_pool *p, struct credit_node *root, stime_t now)
{
    struct credit_node *n = NULL;

    while ((n = credit_next_node(pool_priv(p), root, n))) {
        for (struct list *l = n->parts.next; n->leaf && l != &n->parts; l = l->next) {
            forget(p, unit_of(active_unit(l)), now);
        }
    }
}

/* A weight counts from the next accounting on. Who runs gets a slice by the new budget, or the next
 * period would find it far overdrawn. */
u32 credit_dom_changed(struct sched_pool *p, struct sched_dom *d, stime_t now)
{
    struct credit_dom *c = dom_priv(d);
    u32 idle;

    if (set_caps(p, c, now)) {
        credit_forget(p, &c->all, now);
    }
    note_capped(d);
    idle = release_all(p, &c->all, now);
    return idle == NO_CPU && is_capped(&c->all) ? credit_runs_on(p, &c->all) : idle;
}

/* ---- Joining and leaving ----------------------------------------------------------------- */

static void node_init(const struct sched_pool *p, struct credit_node *n, struct credit_dom *c)
{
    list_init(&n->claim.link);
    list_init(&n->parts);
    n->dom = c;
    n->refilled = pool_priv(p)->accounted;
    n->leaf = true;
}

void credit_dom_insert(struct sched_pool *p, struct sched_dom *d)
{
    struct credit_dom *c = dom_priv(d);

    memset(c, 0, sizeof(*c));
    node_init(p, &c->all, c);
    node_init(p, &c->own, c);
    c->own.up = &c->all;
    c->leaf = &c->all;
    list_init(&c->parked);
    (void)set_caps(p, c, c->all.refilled);
    c->capped = c->all.cap;
}

static void move_parts(struct list *from, struct list *to)
{
    while (!list_empty(from)) {
        struct list *l = from->next;

        list_del(l);
        list_add_tail(to, l);
    }
}

/* With its first member its own units become one part of the domain beside others. */
static void split(const struct sched_pool *p, struct credit_dom *c, stime_t now)
{
    move_parts(&c->all.parts, &c->own.parts);
    if (!list_empty(&c->own.parts)) {
        list_add_tail(&c->all.parts, &c->own.claim.link);
    }
    c->own.nr_running = c->all.nr_running;
    c->own.cap = 0;
    (void)set_cap(p, &c->own, dom_of(c)->self_cap, now);
    c->all.leaf = false;
    c->leaf = &c->own;
}

static void merge(struct credit_dom *c)
{
    list_del(&c->own.claim.link);
    move_parts(&c->own.parts, &c->all.parts);
    c->all.leaf = true;
    c->all.tight = false;
    c->leaf = &c->all;
}

/* Below that node other caps count than before: those who run need other slices. */
static void renew(struct sched_pool *p, struct credit_node *root, stime_t now)
{
    struct credit_node *n = NULL;
    u32 idle = release_all(p, root, now);

    if (idle != NO_CPU) {
        cpumask_set(&p->calls, idle);
    }
    while (is_capped(root) && (n = credit_next_node(pool_priv(p), root, n))) {
        for (struct list *l = n->parts.next; n->leaf && l != &n->parts; l = l->next) {
            const struct sched_unit *u = unit_of(active_unit(l));

            if (runs(p, u)) {
                cpumask_set(&p->calls, u->cpu);
            }
        }
    }
}

static void leave(struct sched_pool *p, struct credit_node *n, stime_t now)
{
    struct credit_node *up = n->up;

    credit_unlink(up, &n->claim.link);
    credit_run(up, -(s32)n->nr_running, now);
    n->up = NULL;
    if (up && --up->dom->members == 0) {
        merge(up->dom);
        note_capped(dom_of(up->dom));
        renew(p, up, now);
    }
}

static void join(struct sched_pool *p, struct credit_node *n, struct credit_dom *master,
                 stime_t now)
{
    bool first = master && master->members++ == 0;

    if (first) {
        split(p, master, now);
    }
    n->up = master ? &master->all : NULL;
    credit_run(n->up, (s32)n->nr_running, now);
    if (!list_empty(&n->parts)) {
        credit_link(p, n->up, &n->claim.link, now);
    }
    (void)set_caps(p, n->dom, now);
    note_capped(dom_of(first ? master : n->dom));
    credit_forget(p, n, now);
    renew(p, n, now);
}

void credit_regroup(struct sched_pool *p, struct sched_dom *d, bool joined, stime_t now)
{
    struct credit_node *n = &dom_priv(d)->all;

    if (joined) {
        join(p, n, d->master ? dom_priv(d->master) : NULL, now);
    } else {
        leave(p, n, now);
    }
}
