/* SPDX-License-Identifier: MIT */
/*
 * Scheduling domains: the trees of masters and members, who may be whose, and what each has inside.
 * What that means for who runs is the policy's; what a tree takes along to another pool member.c's.
 * Locks: the lock of trees, before domain.lock, and the pool's lock (all of a tree is in one pool)
 * to change a link; either of them to follow one.
 */
#include <tarn/errno.h>
#include <tarn/time.h>
#include <tarn/trace.h>

#include <public/tarn.h>

#include "dispatch.h"

#define SHARE_MAX 65535 /* weights and caps */

static struct spinlock trees = SPINLOCK_INIT(RANK_DOMAIN); /* all links of all trees */

void sched_groups_lock(void)
{
    spin_lock(&trees);
}

void sched_groups_unlock(void)
{
    spin_unlock(&trees);
}

static struct sched_pool *begin(const struct domain *d)
{
    spin_lock(&trees);
    return lock_pool(d);
}

static long finish(struct sched_pool *p, long rc)
{
    unlock_and_call(p);
    spin_unlock(&trees);
    return rc;
}

/* ---- The tree ---- */

static struct sched_dom *member_at(struct list *l)
{
    return list_entry(l, struct sched_dom, sibling);
}

struct domain *sched_group_next(const struct domain *top, const struct domain *d)
{
    const struct sched_dom *s = &d->sched;

    if (!list_empty(&s->members)) {
        return domain_of(member_at(s->members.next));
    }
    while (s != &top->sched && s->sibling.next == &s->master->members) {
        s = s->master;
    }
    return s == &top->sched ? NULL : domain_of(member_at(s->sibling.next));
}

/* Its own level: 1 is the topmost. */
static u32 level_of(const struct sched_dom *s)
{
    u32 level = 1;

    for (; s->master; s = s->master) {
        level++;
    }
    return level;
}

static const struct sched_dom *topmost(const struct sched_dom *s)
{
    while (s->master) {
        s = s->master;
    }
    return s;
}

/* It is topmost. */
static u32 levels_below(const struct domain *top)
{
    u32 most = 0;

    for (const struct domain *d = top; d; d = sched_group_next(top, d)) {
        most = MAX(most, level_of(&d->sched));
    }
    return most;
}

/* ---- Links; the pool's lock is held ---- */

static void regroup(struct sched_pool *p, struct sched_dom *s, bool joined)
{
    if (p->ops->regroup) {
        p->ops->regroup(p, s, joined, now());
    }
}

/* To another place in the tree; NULL: on its own. */
static void place(struct sched_pool *p, struct sched_dom *s, struct sched_dom *master)
{
    regroup(p, s, false);
    if (s->master) {
        list_del(&s->sibling);
    }
    s->master = master;
    if (master) {
        list_add_tail(&master->members, &s->sibling);
    }
    regroup(p, s, true);
}

static void changed(struct sched_pool *p, struct sched_dom *s)
{
    u32 cpu = p->ops->changed ? p->ops->changed(p, s, NULL, now()) : NO_CPU;

    if (cpu != NO_CPU) {
        cpumask_set(&p->calls, cpu);
    }
}

static void set_self(struct sched_pool *p, struct sched_dom *s, u32 weight, u32 cap)
{
    if (s->self_weight != weight || s->self_cap != cap) {
        s->self_weight = weight;
        s->self_cap = cap;
        changed(p, s);
    }
}

/* What it and its master had in the group goes with the group. */
static void release(struct sched_pool *p, struct sched_dom *s)
{
    struct sched_dom *master = s->master;

    place(p, s, NULL);
    s->inner_weight = SCHED_DEFAULT_WEIGHT;
    s->inner_cap = 0;
    if (list_empty(&master->members)) {
        set_self(p, master, SCHED_DEFAULT_WEIGHT, 0);
    }
    trace_domain(TRC_SCHED_ADJDOM, s->id);
}

static void release_members(struct sched_pool *p, struct sched_dom *master)
{
    while (!list_empty(&master->members)) {
        release(p, member_at(master->members.next));
    }
}

void group_take_apart(struct sched_pool *p, struct sched_dom *top, struct list *members)
{
    while (!list_empty(&top->members)) {
        struct sched_dom *s = member_at(top->members.next);

        while (!list_empty(&s->members)) {
            s = member_at(s->members.next);
        }
        s->was_master = s->master;
        place(p, s, NULL);
        list_add_head(members, &s->sibling);
    }
}

void group_put_together(struct sched_pool *p, struct list *members)
{
    while (!list_empty(members)) {
        struct sched_dom *s = member_at(members->next);

        list_del(&s->sibling);
        place(p, s, s->was_master);
    }
}

/* ---- What the control domain asks ---- */

/* The pool of `d` is `p`. */
static long may_join(const struct sched_pool *p, const struct domain *d,
                     const struct domain *master)
{
    if (d->dying != DOMAIN_ALIVE || master->dying != DOMAIN_ALIVE) {
        return -ESRCH;
    }
    if (READ_ONCE(master->pool) != p) {
        return -EXDEV;
    }
    if (d->sched.master) {
        return -EBUSY;
    }
    if (topmost(&master->sched) == &d->sched) {
        return -EINVAL;
    }
    return level_of(&master->sched) + levels_below(d) > TARN_GROUP_DEPTH ? -E2BIG : 0;
}

long sched_group_add(struct domain *d, struct domain *master, u32 weight, u32 cap)
{
    struct sched_pool *p;
    long rc;

    if (d == master || weight > SHARE_MAX || cap > SHARE_MAX) {
        return -EINVAL;
    }
    p = begin(d);
    rc = may_join(p, d, master);
    if (rc == 0) {
        d->sched.inner_weight = weight ? weight : SCHED_DEFAULT_WEIGHT;
        d->sched.inner_cap = cap;
        place(p, &d->sched, &master->sched);
        trace_domain(TRC_SCHED_ADJDOM, d->domid);
    }
    return finish(p, rc);
}

long sched_group_remove(struct domain *d)
{
    struct sched_pool *p = begin(d);
    long rc = d->sched.master ? 0 : -ENOENT;

    if (rc == 0) {
        release(p, &d->sched);
    }
    return finish(p, rc);
}

static long set_inside(struct sched_pool *p, struct sched_dom *s, struct sched_dom *master,
                       u32 weight, u32 cap)
{
    if (s == master) {
        if (list_empty(&s->members)) {
            return -ENOENT;
        }
        set_self(p, s, weight, cap);
        return 0;
    }
    if (s->master != master) {
        return -ENOENT;
    }
    s->inner_weight = weight;
    s->inner_cap = cap;
    changed(p, s);
    return 0;
}

long sched_group_set(struct domain *d, struct domain *master, u32 weight, u32 cap)
{
    struct sched_pool *p;

    if (weight > SHARE_MAX || cap > SHARE_MAX) {
        return -EINVAL;
    }
    p = begin(d);
    return finish(
        p, set_inside(p, &d->sched, &master->sched, weight ? weight : SCHED_DEFAULT_WEIGHT, cap));
}

long sched_group_dissolve(struct domain *master)
{
    struct sched_pool *p = begin(master);
    long rc = list_empty(&master->sched.members) ? -ENOENT : 0;

    release_members(p, &master->sched);
    return finish(p, rc);
}

void sched_group_info(struct domain *d, struct tarn_group *out)
{
    const struct sched_dom *s = &d->sched;
    struct sched_pool *p = lock_pool(d);

    out->master = (domid_t)(s->master ? s->master->id : DOMID_INVALID);
    out->weight = (u16)s->inner_weight;
    out->cap = (u16)s->inner_cap;
    out->self_weight = (u16)s->self_weight;
    out->self_cap = (u16)s->self_cap;
    out->members = 0;
    list_for_each(l, &s->members) {
        out->members++;
    }
    spin_unlock(&p->lock);
}

void sched_group_leave(struct domain *d)
{
    struct sched_pool *p = begin(d);

    release_members(p, &d->sched);
    if (d->sched.master) {
        release(p, &d->sched);
    }
    (void)finish(p, 0);
}
