/* SPDX-License-Identifier: MIT */
/* The hypercall and the spy of groups.h, and what the hypercall needs of the hypervisor. */
#include "groups.h"

#include <tarn/guest_access.h>
#include <tarn/hypercall.h>

/* ---- What the hypercall asks for --------------------------------------------------------- */

static u32 held; /* references to domains that were not given back */

int copy_from_guest(void *dst, u64 va, size_t len)
{
    if (va == NOWHERE) {
        return -EFAULT;
    }
    memcpy(dst, (const void *)va, len);
    return 0;
}

int copy_to_guest(u64 va, const void *src, size_t len)
{
    if (va == NOWHERE) {
        return -EFAULT;
    }
    memcpy((void *)va, src, len);
    return 0;
}

bool hypercall_should_yield(void)
{
    return false;
}

struct domain *domain_get_by_id(domid_t domid)
{
    struct domain *d = domid >= 1 && domid <= DOMS_MAX ? doms[domid - 1] : NULL;

    held += d != NULL;
    return d;
}

void domain_put(struct domain *d)
{
    assert_non_null(d);
    held--;
}

/* A domain's slot, as its number for the hypercall. */
domid_t id(u32 slot)
{
    return (domid_t)(slot == NOBODY ? NOBODY : slot + 1);
}

long group_op(u64 cmd, u32 slot, u32 master, u32 weight, u32 cap)
{
    struct tarn_group g = {
        .domid = id(slot), .master = id(master), .weight = (u16)weight, .cap = (u16)cap
    };
    long rc = tarn_group(cmd, (u64)&g);

    assert_int_equal(held, 0);
    return rc;
}

long add(u32 slot, u32 master)
{
    return group_op(TARN_OP_group_add, slot, master, 0, 0);
}

long set(u32 slot, u32 master, u32 weight, u32 cap)
{
    return group_op(TARN_OP_group_set, slot, master, weight, cap);
}

long remove_it(u32 slot)
{
    return group_op(TARN_OP_group_remove, slot, NOBODY, 0, 0);
}

long dissolve(u32 master)
{
    return group_op(TARN_OP_group_dissolve, NOBODY, master, 0, 0);
}

struct tarn_group info(u32 slot)
{
    struct tarn_group g = { .domid = id(slot), .members = 99 };

    assert_int_equal(tarn_group(TARN_OP_group_info, (u64)&g), 0);
    return g;
}

/* NONE: of nobody. */
void check_info(u32 slot, u32 master, u32 weight, u32 cap, u32 members)
{
    struct tarn_group g = info(slot);

    assert_int_equal(g.master, master == NONE ? NONE : id(master));
    assert_int_equal(g.weight, weight);
    assert_int_equal(g.cap, cap);
    assert_int_equal(g.members, members);
}

void check_self(u32 slot, u32 weight, u32 cap)
{
    struct tarn_group g = info(slot);

    assert_int_equal(g.self_weight, weight);
    assert_int_equal(g.self_cap, cap);
}

void check_alone(u32 slot)
{
    check_info(slot, NONE, 256, 0, 0);
    check_self(slot, 256, 0);
}

/* ---- The spy ----------------------------------------------------------------------------- */

struct sched_ops spy;
struct sched_dom *placeless;
u32 steps, changes;

static bool is_listed(const struct sched_dom *d, const struct sched_dom *master)
{
    u32 n = 0;

    list_for_each(l, &master->members) {
        n += list_entry(l, struct sched_dom, sibling) == d;
    }
    assert_true(n <= 1);
    return n;
}

static void spy_regroup(struct sched_pool *p, struct sched_dom *d, bool joined, stime_t t)
{
    assert_true(p->lock.locked);
    assert_int_equal(t, clock_ns);
    assert_ptr_equal(placeless, joined ? d : NULL);
    placeless = joined ? NULL : d;
    assert_true(!d->master || is_listed(d, d->master));
    list_for_each(l, &d->members) {
        assert_ptr_equal(list_entry(l, struct sched_dom, sibling)->master, d);
    }
    steps++;
    if (sched_credit.regroup) {
        sched_credit.regroup(p, d, joined, t);
    }
}

static u32 spy_changed(struct sched_pool *p, struct sched_dom *d, struct sched_unit *u, stime_t t)
{
    changes += u == NULL;
    return sched_credit.changed(p, d, u, t);
}

/* It comes and goes on its own. */
static void spy_dom_insert(struct sched_pool *p, struct sched_dom *d)
{
    assert_true(!d->master && list_empty(&d->members));
    sched_credit.dom_insert(p, d);
}

static void spy_dom_remove(struct sched_pool *p, struct sched_dom *d)
{
    assert_true(!d->master && list_empty(&d->members));
    if (sched_credit.dom_remove) {
        sched_credit.dom_remove(p, d);
    }
}

static void spy_on(struct sched_pool *p)
{
    assert_ptr_equal(p->ops, &sched_credit);
    spy = sched_credit;
    spy.regroup = spy_regroup;
    spy.changed = spy_changed;
    spy.dom_insert = spy_dom_insert;
    spy.dom_remove = spy_dom_remove;
    p->ops = &spy;
    placeless = NULL;
    steps = changes = 0;
}

int setup_group(void **state)
{
    (void)setup(state);
    spy_on(&pool0);
    return 0;
}

/* ---- Helpers ----------------------------------------------------------------------------- */

u32 pool_with_cpu(u32 sched, u32 cpu)
{
    u32 pool = POOL_ANY;

    assert_int_equal(make_pool(&pool, sched), 0);
    assert_int_equal(take(0, 0, cpu), -ERESTART);
    settle();
    assert_int_equal(take(0, 0, cpu), 0);
    assert_int_equal(give(0, pool, cpu), 0);
    settle();
    return pool;
}

void end_pool(u32 pool, u32 cpu)
{
    assert_int_equal(take(0, pool, cpu), -ERESTART);
    settle();
    assert_int_equal(take(0, pool, cpu), 0);
    assert_int_equal(give(0, 0, cpu), 0);
    settle();
    assert_int_equal(unmake_pool(pool), 0);
}

/* As the hypercall does it: all of the tree paused. */
long move_tree(u32 slot, u32 pool)
{
    long rc;

    for (struct domain *d = doms[slot]; d; d = sched_group_next(doms[slot], d)) {
        set_flags(0, d->vcpu[0], VPF_PAUSED);
    }
    rc = move(slot, pool);
    for (struct domain *d = doms[slot]; d; d = sched_group_next(doms[slot], d)) {
        clear_flags(0, d->vcpu[0], VPF_PAUSED);
    }
    settle();
    return rc;
}

u32 pool_of(u32 slot)
{
    return doms[slot]->pool->id;
}
