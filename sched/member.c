/* SPDX-License-Identifier: MIT */
/*
 * The domains and vcpus of a pool: they come and go, move from pool to pool, and have parameters.
 * What the policies keep of them is built and taken apart here; who runs when is schedule.c's.
 * Locks: the pool's lock (RANK_RUNQUEUE), both pools' for a move.
 */
#include <tarn/errno.h>
#include <tarn/time.h>
#include <tarn/trace.h>

#include <public/tarn.h>

#include "dispatch.h"

void unlock_and_call(struct sched_pool *p)
{
    struct cpumask calls = p->calls;

    cpumask_clear_all(&p->calls);
    spin_unlock(&p->lock);
    tickle_all(&calls);
}

/* ---- Life cycle ---- */

/* Both with the pool's lock held. */
static void enter_pool(struct domain *d, struct sched_pool *p)
{
    d->pool = p;
    p->nr_doms++;
    list_add_tail(&p->doms, &d->sched.link);
    if (p->ops->dom_insert) {
        p->ops->dom_insert(p, &d->sched);
    }
}

static void leave_pool(struct domain *d, struct sched_pool *p)
{
    p->nr_doms--;
    list_del(&d->sched.link);
    if (p->ops->dom_remove) {
        p->ops->dom_remove(p, &d->sched);
    }
}

int sched_domain_init(struct domain *d, struct sched_pool *pool, u32 weight, u32 cap)
{
    int rc = -ENODEV;

    d->sched.weight = weight;
    d->sched.cap = cap;
    d->sched.id = d->domid;
    d->sched.inner_weight = d->sched.self_weight = SCHED_DEFAULT_WEIGHT;
    list_init(&d->sched.units);
    list_init(&d->sched.members);
    list_init(&d->sched.sibling);
    bandwidth_init(&d->bandwidth, d, NULL);
    spin_lock(&pool->lock);
    if (!cpumask_empty(&pool->cpus)) {
        enter_pool(d, pool);
        trace_domain(TRC_SCHED_DOM_ADD, d->domid);
        rc = 0;
    }
    spin_unlock(&pool->lock);
    return rc;
}

static bool is_alone(const struct sched_dom *s)
{
    return !s->master && list_empty(&s->members);
}

void sched_domain_destroy(struct domain *d)
{
    struct sched_pool *p = lock_pool(d);

    ASSERT(list_empty(&d->sched.units));
    ASSERT(is_alone(&d->sched)); /* sched_group_leave() */
    trace_domain(TRC_SCHED_DOM_REM, d->domid);
    leave_pool(d, p);
    spin_unlock(&p->lock);
}

/* The policy takes it over, not runnable; its pool's lock is held. */
static void insert_unit(struct sched_pool *p, struct vcpu *v, stime_t t)
{
    (void)pool_affinity(p, v);
    v->unit.cpu = cpumask_next_wrap(&v->unit.hard, v->id % NR_CPUS);
    if (p->ops->unit_insert) {
        p->ops->unit_insert(p, &v->unit, t);
    }
    v->unit.cpu = p->ops->pick_cpu(p, &v->unit);
}

/* ---- Real-time parameters ---- */

/* Where a vcpu keeps those that it has under a policy. */
static u32 rt_slot(const struct sched_ops *ops)
{
    u32 slot = 0;

    for (u32 i = 0; sched_policies[i] != ops; i++) {
        slot += sched_policies[i]->rt_set != NULL;
    }
    ASSERT(slot < SCHED_RT_POLICIES);
    return slot;
}

static void rt_keep(struct sched_pool *p, struct vcpu *v)
{
    if (p->ops->rt_get) {
        u32 slot = rt_slot(p->ops);

        p->ops->rt_get(p, &v->unit, &v->rt_kept[slot]);
        v->rt_known |= (u8)(1u << slot);
    }
}

/* Those given, or what is kept. */
static long rt_set_one(struct sched_pool *p, struct vcpu *v, const struct sched_rt *in, bool force)
{
    u32 slot = rt_slot(p->ops), cpu = NO_CPU;
    long rc = 0;

    if (in || (v->rt_known & (1u << slot))) {
        rc = p->ops->rt_set(p, &v->unit, in ? in : &v->rt_kept[slot], force, now(), &cpu);
    }
    if (cpu != NO_CPU) {
        cpumask_set(&p->calls, cpu);
    }
    return rc;
}

/* Who asks for less than it had makes room for others: those that are refused try it once more. */
static long rt_set_units(struct sched_pool *p, struct domain *d, const struct sched_rt *in,
                         bool force)
{
    long rc = 0;

    for (u32 pass = 0; pass < 2; pass++) {
        rc = 0;
        list_for_each(l, &d->sched.units) {
            struct vcpu *v = unit_vcpu(list_entry(l, struct sched_unit, link));
            long one = 0;

            if (pass == 0 || v->rt_refused) {
                one = rt_set_one(p, v, in, force);
                v->rt_refused = one != 0;
            }
            rc = one ? one : rc;
        }
    }
    return rc;
}

static void rt_keep_all(struct sched_pool *p, struct domain *d)
{
    list_for_each(l, &d->sched.units) {
        rt_keep(p, unit_vcpu(list_entry(l, struct sched_unit, link)));
    }
}

long sched_rt_get(struct vcpu *v, struct sched_rt *out)
{
    struct sched_pool *p = lock_pool(v->domain);
    long rc = p->ops->rt_get ? 0 : -EINVAL;

    if (rc == 0) {
        p->ops->rt_get(p, &v->unit, out);
    }
    spin_unlock(&p->lock);
    return rc;
}

long sched_rt_set(struct vcpu *v, const struct sched_rt *in, bool force)
{
    struct sched_pool *p = lock_pool(v->domain);
    long rc = -EINVAL;

    if (p->ops->rt_set) {
        rc = rt_set_one(p, v, in, force);
    }
    unlock_and_call(p);
    return rc;
}

long sched_rt_set_all(struct domain *d, const struct sched_rt *in, bool force)
{
    struct sched_pool *p = lock_pool(d);
    long rc = -EINVAL;

    if (p->ops->rt_set) {
        rt_keep_all(p, d);
        rc = rt_set_units(p, d, in, force);
        if (rc) {
            (void)rt_set_units(p, d, NULL, true);
        }
    }
    unlock_and_call(p);
    return rc;
}

/* ---- From pool to pool ---- */

static void withdraw(struct domain *d, struct sched_pool *p, stime_t t)
{
    list_for_each(l, &d->sched.units) {
        struct sched_unit *u = list_entry(l, struct sched_unit, link);

        ASSERT(!u->running && !u->runnable);
        rt_keep(p, unit_vcpu(u));
        if (p->ops->unit_remove) {
            p->ops->unit_remove(p, u, t);
        }
        memset(u->priv, 0, sizeof(u->priv));
    }
    leave_pool(d, p);
    memset(d->sched.priv, 0, sizeof(d->sched.priv));
}

/* The pool that the domain is in and another one, locked. */
static struct sched_pool *lock_pools(const struct domain *d, struct sched_pool *other)
{
    for (;;) {
        struct sched_pool *p = READ_ONCE(d->pool);

        spin_lock_two(&p->lock, &other->lock);
        if (likely(p == READ_ONCE(d->pool))) {
            return p;
        }
        spin_unlock_two(&p->lock, &other->lock);
    }
}

static void reset_domain(struct domain *d)
{
    d->sched.weight = SCHED_DEFAULT_WEIGHT;
    d->sched.cap = 0;
    list_for_each(l, &d->sched.units) {
        struct vcpu *v = unit_vcpu(list_entry(l, struct sched_unit, link));

        cpumask_set_all(&v->hard_given);
        cpumask_set_all(&v->soft_given);
        v->rt_known = 0;
    }
}

/* Both pools are locked. */
static void move_units(struct domain *d, struct sched_pool *from, struct sched_pool *to)
{
    stime_t t = now();

    trace_domain(TRC_SCHED_ADJDOM, d->domid);
    withdraw(d, from, t);
    if (to->params.flags & TARN_POOL_reset_on_move) {
        reset_domain(d);
    }
    enter_pool(d, to);
    list_for_each(l, &d->sched.units) {
        struct vcpu *v = unit_vcpu(list_entry(l, struct sched_unit, link));

        v->override = 0; /* its CPU stays behind */
        v->rt_refused = false;
        insert_unit(to, v, t);
    }
    if (to->ops->rt_set) {
        (void)rt_set_units(to, d, NULL, false);
    }
}

/* One by one, each on its own, or a policy would see a tree that is here and there. */
static void move_tree(struct domain *top, struct sched_pool *from, struct sched_pool *to)
{
    struct list members = LIST_INIT(members);

    group_take_apart(from, &top->sched, &members);
    move_units(top, from, to);
    list_for_each(l, &members) {
        move_units(domain_of(list_entry(l, struct sched_dom, sibling)), from, to);
    }
    group_put_together(to, &members);
}

static long may_move(const struct domain *d, const struct sched_pool *to)
{
    if (d->sched.master) {
        return -EBUSY;
    }
    return cpumask_empty(&to->cpus) ? -ENOENT : 0;
}

long sched_domain_move(struct domain *d, struct sched_pool *to)
{
    struct sched_pool *from = lock_pools(d, to);
    long rc = may_move(d, to);

    if (rc == 0 && from != to) {
        move_tree(d, from, to);
    }
    unlock_and_call(from);
    if (from != to) {
        unlock_and_call(to);
    }
    return rc;
}

/* It stands still for ever, and has left its group. */
static bool is_dying(const struct sched_dom *s)
{
    list_for_each(l, &s->units) {
        const struct sched_unit *u = list_entry(l, struct sched_unit, link);

        if (u->running || u->runnable) {
            return false;
        }
    }
    return domain_of(s)->dying != DOMAIN_ALIVE && is_alone(s);
}

static bool all_dying(const struct sched_pool *p)
{
    list_for_each(l, &p->doms) {
        if (!is_dying(list_entry(l, struct sched_dom, link))) {
            return false;
        }
    }
    return true;
}

void sched_evict_dying(struct sched_pool *p)
{
    if (p == &pool0) {
        return;
    }
    spin_lock_two(&p->lock, &pool0.lock);
    if (all_dying(p)) {
        list_for_each_safe(l, next, &p->doms) {
            struct sched_dom *s = list_entry(l, struct sched_dom, link);

            move_units(domain_of(s), p, &pool0);
        }
    }
    cpumask_clear_all(&p->calls); /* nobody is left there, and they have nothing to do here */
    spin_unlock_two(&p->lock, &pool0.lock);
}

static bool adjust_ok(const u32 *weight, const u32 *cap)
{
    return (!weight || (*weight >= 1 && *weight <= 65535)) && (!cap || *cap <= 65535);
}

long sched_domain_adjust(struct domain *d, const u32 *weight, const u32 *cap)
{
    struct sched_pool *p;
    u32 cpu = NO_CPU;

    if (!adjust_ok(weight, cap)) {
        return -EINVAL;
    }
    p = lock_pool(d);
    if (d->sched.master && (weight || cap)) { /* the topmost one's count */
        spin_unlock(&p->lock);
        return -EBUSY;
    }
    d->sched.weight = weight ? *weight : d->sched.weight;
    d->sched.cap = cap ? *cap : d->sched.cap;
    trace_domain(TRC_SCHED_ADJDOM, d->domid);
    if (p->ops->changed) {
        cpu = p->ops->changed(p, &d->sched, NULL, now());
    }
    spin_unlock(&p->lock);
    tickle(cpu);
    return 0;
}

void sched_vcpu_init(struct vcpu *v, const struct cpumask *hard, const struct cpumask *soft)
{
    struct sched_pool *p = lock_pool(v->domain);
    stime_t t = now();

    v->hard_given = *hard;
    v->soft_given = *soft;
    bandwidth_init(&v->bandwidth, v->domain, v);
    v->unit.dom = &v->domain->sched;
    v->unit.id = v->id;
    list_add_tail(&v->domain->sched.units, &v->unit.link);
    v->runstate.state = RUNSTATE_offline;
    v->runstate.state_entry_time = (u64)t;
    insert_unit(p, v, t);
    spin_unlock(&p->lock);
}

void sched_vcpu_dying(struct vcpu *v)
{
    struct sched_pool *p = lock_pool(v->domain);
    u32 cpu = NO_CPU;

    if (!v->unit.runnable && !v->unit.running && !v->unit.down) {
        v->unit.down = true; /* not sleep(): it may never have been awake */
        cpu = p->ops->changed ? p->ops->changed(p, v->unit.dom, &v->unit, now()) : NO_CPU;
    }
    spin_unlock(&p->lock);
    tickle(cpu);
}

void sched_vcpu_destroy(struct vcpu *v)
{
    struct sched_pool *p = lock_pool(v->domain);

    ASSERT(!v->unit.running && !v->unit.runnable);
    if (p->ops->unit_remove) {
        p->ops->unit_remove(p, &v->unit, now());
    }
    list_del(&v->unit.link);
    unlock_and_call(p);
}
