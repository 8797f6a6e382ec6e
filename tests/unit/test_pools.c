/* SPDX-License-Identifier: MIT */
/* sources: sched/bandwidth.c
 * sched/credit_tree.c
 * sched/schedule.c sched/member.c sched/pool.c sched/affinity.c sched/cpupool.c
 * sched/group.c sched/null.c sched/rr.c sched/rtds.c sched/rtds_queue.c sched/sedf.c
 * sched/sedf_params.c sched/credit.c sched/credit_queue.c sched/credit_account.c
 * sched/credit_place.c sched/credit_share.c sched/credit_dump.c lib/printf.c lib/spinlock.c
 * lib/str.c lib/timer_heap.c arch/x86/cpu/timer.c tests/unit/pcpus.c */
/*
 * Pools that come and go, on four pcpus: what is refused and how, what a domain takes along, and
 * that nothing is left half done, whoever stops in the middle.
 */
#include "pcpus.h"

#include <public/tarn.h>

#define CREDIT 5u
#define RTDS 8u
#define NULL_SCHED 9u
#define ANY POOL_ANY

/* ---- Helpers ----------------------------------------------------------------------------- */

/* Each CPU is in one pool, or on its way out of one, or free. */
static void check(void)
{
    struct cpumask seen, free;
    struct sched_pool *p;

    cpumask_clear_all(&seen);
    for (u32 id = 0; (p = pool_get_from(id)); id = p->id + 1) {
        assert_false(cpumask_intersects(&seen, &p->cpus));
        cpumask_for_each(cpu, &p->cpus) {
            cpumask_set(&seen, cpu);
            assert_ptr_equal(pcpus[cpu]->pool, p);
        }
        pool_put(p);
        assert_int_equal(p->users, 0);
    }
    pool_free_cpus(&free);
    assert_false(cpumask_intersects(&seen, &free));
    for (u32 cpu = 0; cpu < CPUS; cpu++) {
        assert_true(cpumask_test(&seen, cpu) || cpumask_test(&free, cpu) || pcpus[cpu]->pool ||
                    !cpumask_test(&cpu_online_map, cpu));
    }
}

static u64 cpus_of(u32 id)
{
    struct sched_pool *p = pool_get(id);
    u64 cpus = p->cpus.bits[0];

    pool_put(p);
    return cpus;
}

static u64 free_bits(void)
{
    struct cpumask free;

    pool_free_cpus(&free);
    return free.bits[0];
}

/* As the hypercall does it: asked again until it is done. */
static long take_all_the_way(u32 pool, u32 cpu)
{
    long rc = take(0, pool, cpu);

    for (u32 i = 0; rc == -ERESTART && i < 3; i++) {
        settle();
        rc = take(0, pool, cpu);
    }
    check();
    return rc;
}

static u32 pool_with(u32 sched, u64 cpus)
{
    u32 id = ANY;

    assert_int_equal(make_pool(&id, sched), 0);
    for (u32 cpu = 0; cpu < CPUS; cpu++) {
        if (cpus >> cpu & 1) {
            assert_int_equal(take_all_the_way(0, cpu), 0);
            assert_int_equal(give(0, id, cpu), 0);
        }
    }
    settle();
    return id;
}

/* All CPUs to Pool-0, and no other pool; domains there die. */
static void undo(u32 id)
{
    assert_int_equal(move(0, 0), 0);
    for (u32 cpu = 1; cpu < CPUS; cpu++) {
        if (cpus_of(id) >> cpu & 1) {
            assert_int_equal(take_all_the_way(id, cpu), 0);
            assert_int_equal(give(0, 0, cpu), 0);
        }
    }
    assert_int_equal(unmake_pool(id), 0);
    settle();
    check();
}

static struct domain *runners(u32 slot, u32 vcpus)
{
    struct domain *d = create(slot, vcpus, 256, 0, ~0ul);

    for (u32 i = 0; i < vcpus; i++) {
        clear_flags(0, d->vcpu[i], VPF_DOWN);
    }
    settle();
    return d;
}

/* ---- What is refused --------------------------------------------------------------------- */

static void ids_and_limits(void **state)
{
    u32 id = 7;

    (void)state;
    assert_int_equal(make_pool(&id, CREDIT), 0);
    assert_int_equal(make_pool(&id, CREDIT), -EEXIST);
    assert_int_equal(make_pool(&id, 99), -EEXIST);
    id = ANY;
    assert_int_equal(make_pool(&id, 99), -ENOENT);
    assert_int_equal(id, ANY);
    assert_int_equal(make_pool(&id, RTDS), 0);
    assert_int_equal(id, 8);
    assert_int_equal(unmake_pool(8), 0);
    assert_int_equal(unmake_pool(8), -ENOENT);
    id = ANY;
    assert_int_equal(make_pool(&id, RTDS), 0);
    assert_int_equal(id, 8); /* one after the highest */
    id = ANY - 1;
    assert_int_equal(make_pool(&id, CREDIT), 0);
    id = ANY;
    assert_int_equal(make_pool(&id, CREDIT), 0);
    assert_int_equal(id, 1); /* there is no higher one: the lowest */
    for (u32 i = 20; i < 23; i++) {
        assert_int_equal(make_pool(&i, NULL_SCHED), 0);
    }
    id = ANY;
    assert_int_equal(make_pool(&id, CREDIT), -ENOSPC); /* 2 for each CPU */
    assert_int_equal(make_pool(&id, 99), -ENOSPC);
    id = 7;
    assert_int_equal(make_pool(&id, CREDIT), -ENOSPC);
    static const u32 made[] = { 1, 7, 8, 20, 21, 22, ANY - 1 };
    for (u32 i = 0; i < ARRAY_SIZE(made); i++) {
        assert_int_equal(unmake_pool(made[i]), 0);
    }
    assert_int_equal(unmake_pool(0), -EBUSY);
    assert_int_equal(unmake_pool(ANY), -ENOENT);
}

static void names(void **state)
{
    u32 a = ANY, b = 5;
    char name[32];
    struct sched_pool *p;

    (void)state;
    assert_int_equal(make_pool(&a, CREDIT), 0);
    assert_int_equal(pool_rename(a, "Pool-0"), -EEXIST);
    assert_int_equal(pool_rename(a, "Pool-5"), 0);
    assert_int_equal(pool_rename(a, "Pool-5"), 0); /* it is its own */
    assert_int_equal(pool_rename(9, "x"), -ENOENT);
    assert_int_equal(pool_rename(9, "Pool-0"), -ENOENT);
    assert_int_equal(make_pool(&b, CREDIT), 0); /* its name is taken */
    p = pool_get(5);
    pool_get_name(p, name);
    pool_put(p);
    assert_string_equal(name, "Pool-5.2");
    assert_int_equal(pool_rename(b, "Pool-5"), -EEXIST);
    assert_int_equal(unmake_pool(a), 0);
    assert_int_equal(pool_rename(b, "Pool-5"), 0);
    assert_int_equal(unmake_pool(b), 0);
}

static void cpus_that_cannot(void **state)
{
    u32 id = pool_with(CREDIT, 8), empty = ANY, last;

    (void)state;
    assert_int_equal(make_pool(&empty, CREDIT), 0);
    assert_int_equal(give(0, 77, 1), -ENOENT);
    assert_int_equal(give(0, 77, ANY), -ENOENT);
    assert_int_equal(give(0, id, CPUS), -EINVAL);
    assert_int_equal(give(0, id, ANY), -ENODEV);
    assert_int_equal(give(0, id, 1), -ENODEV);
    assert_int_equal(give(0, id, 3), -ENODEV);
    assert_int_equal(take(0, 77, 1), -ENOENT);
    assert_int_equal(take(0, id, CPUS), -EINVAL);
    assert_int_equal(take(0, id, ANY), -EINVAL);
    assert_int_equal(take(0, 0, 0), -EINVAL);
    assert_int_equal(take(0, id, 1), -EADDRNOTAVAIL);
    assert_int_equal(take(0, id, 0), -EADDRNOTAVAIL);
    assert_int_equal(pool_last_cpu(77, &last), -ENOENT);
    assert_int_equal(pool_last_cpu(empty, &last), -EINVAL);
    assert_int_equal(pool_last_cpu(0, &last), 0);
    assert_int_equal(last, 2);
    assert_int_equal(offline(0, 3), -ENODEV);
    assert_int_equal(take_all_the_way(0, 2), 0);
    assert_int_equal(take_all_the_way(0, 1), 0);
    assert_int_equal(take_all_the_way(0, 1), -EADDRNOTAVAIL);
    assert_int_equal(free_bits(), 6);
    assert_int_equal(give(0, empty, ANY), 0); /* the first */
    assert_int_equal(cpus_of(empty), 2);
    assert_int_equal(unmake_pool(empty), -EBUSY);
    assert_int_equal(offline(0, 2), 0); /* of no pool */
    assert_int_equal(give(0, id, 2), -ENODEV);
    assert_int_equal(take(0, id, 2), -EINVAL);
    assert_int_equal(online(0, 2), 0);
    assert_int_equal(cpus_of(0), 5);
    runners(0, 1);
    assert_int_equal(move(0, empty), 0);
    assert_int_equal(take(0, empty, 1), -EBUSY);
    assert_int_equal(unmake_pool(empty), -EBUSY);
    undo(empty);
    undo(id);
}

static void domains_need_a_cpu(void **state)
{
    u32 id = ANY;
    struct domain *d;

    (void)state;
    assert_int_equal(make_pool(&id, NULL_SCHED), 0);
    assert_null(create_in(id, 0, 1));
    d = runners(0, 2);
    assert_int_equal(move(0, id), -ENOENT);
    assert_ptr_equal(d->pool, &pool0);
    assert_true(d->vcpu[0]->unit.running && d->vcpu[1]->unit.running);
    assert_int_equal(move(0, 0), 0);
    assert_int_equal(take_all_the_way(0, 3), 0);
    assert_int_equal(give(0, id, 3), 0);
    assert_non_null(create_in(id, 1, 1));
    destroy(1);
    undo(id);
}

/* ---- Who begins something and doesn't end it --------------------------------------------- */

static void a_cpu_leaves_even_if_nobody_asks_again(void **state)
{
    u32 id = ANY;

    (void)state;
    runners(0, 4);
    assert_int_equal(make_pool(&id, CREDIT), 0);
    assert_int_equal(take(0, 0, 3), -ERESTART);
    assert_int_equal(cpus_of(0), 7);
    assert_int_equal(free_bits(), 0);
    caller = &callers[1]; /* nobody else sees it in the pool, or free */
    assert_int_equal(take(0, 0, 3), -EADDRNOTAVAIL);
    assert_int_equal(give(0, id, 3), -ENODEV);
    assert_int_equal(give(0, 0, 3), -ENODEV);
    assert_int_equal(offline(0, 3), -ERESTART);
    assert_int_equal(take(0, 0, 2), -ERESTART); /* another one at the same time */
    settle();
    assert_int_equal(free_bits(), 12);
    assert_int_equal(give(0, id, 3), 0);
    assert_int_equal(give(0, id, 2), 0);
    assert_int_equal(take(0, 0, 2), -EADDRNOTAVAIL); /* it is in use again: that was another time */
    caller = &callers[0];
    assert_int_equal(take(0, 0, 3), -EADDRNOTAVAIL);
    check();
    undo(id);
}

/* Two at once: the one that began it is told that it is done, the other that it is no member. */
static void one_of_two_callers(void **state)
{
    (void)state;
    assert_int_equal(take(0, 0, 3), -ERESTART);
    caller = &callers[1];
    assert_int_equal(take(1, 0, 3), -EADDRNOTAVAIL);
    settle();
    assert_int_equal(take(1, 0, 3), -EADDRNOTAVAIL);
    caller = &callers[0];
    assert_int_equal(take(0, 0, 3), 0);
    assert_int_equal(take(0, 0, 3), -EADDRNOTAVAIL);
    assert_int_equal(give(0, 0, 3), 0);
}

static void out_of_service_even_if_nobody_asks_again(void **state)
{
    u32 id = ANY;

    (void)state;
    runners(0, 4);
    assert_int_equal(make_pool(&id, CREDIT), 0);
    assert_int_equal(offline(0, 3), -ERESTART);
    settle();
    caller = &callers[1];
    assert_int_equal(free_bits(), 0); /* it is not to be had */
    assert_int_equal(give(0, id, 3), -ENODEV);
    assert_false(cpumask_test(&cpu_online_map, 3));
    assert_int_equal(offline(0, 3), -EEXIST);
    caller = &callers[0];
    assert_int_equal(offline(0, 3), 0);
    assert_int_equal(offline(0, 3), -EEXIST);
    assert_int_equal(online(0, 3), 0);
    assert_int_equal(cpus_of(0), 15);
    assert_int_equal(offline(0, 3), -ERESTART); /* abandoned, and then wanted back */
    settle();
    assert_int_equal(online(0, 3), 0);
    settle();
    assert_int_equal(cpus_of(0), 15);
    check();
    assert_int_equal(unmake_pool(id), 0);
}

/* Taken from a pool by one, out of service by another. */
static void removal_and_hotplug_meet(void **state)
{
    (void)state;
    assert_int_equal(take(0, 0, 3), -ERESTART);
    caller = &callers[1];
    assert_int_equal(offline(0, 3), -ERESTART);
    settle();
    assert_int_equal(offline(0, 3), 0);
    caller = &callers[0];
    assert_int_equal(take(0, 0, 3), 0); /* it has left */
    assert_int_equal(take(0, 0, 3), -EINVAL);
    assert_int_equal(online(0, 3), 0);
    assert_int_equal(offline(0, 3), -ERESTART);
    assert_int_equal(take(0, 0, 3), -EADDRNOTAVAIL); /* it is on its way, elsewhere */
    settle();
    assert_int_equal(take(0, 0, 3), -EADDRNOTAVAIL);
    assert_int_equal(offline(0, 3), 0);
    assert_int_equal(online(0, 3), 0);
    settle();
}

static void a_cpu_comes_back_to_its_last_pool(void **state)
{
    u32 id = pool_with(RTDS, 8);

    (void)state;
    assert_int_equal(take_all_the_way(id, 3), 0);
    assert_int_equal(offline(0, 3), 0);
    assert_int_equal(online(0, 3), 0);
    assert_int_equal(cpus_of(0), 15); /* as in Xen */
    assert_int_equal(set_flags_of_pool(id, 8), -EINVAL);
    assert_int_equal(set_flags_of_pool(id, TARN_POOL_cpus_return), 0);
    assert_int_equal(take_all_the_way(0, 3), 0);
    assert_int_equal(give(0, id, 3), 0);
    assert_int_equal(take_all_the_way(id, 3), 0);
    assert_int_equal(offline(0, 3), 0);
    assert_int_equal(online(0, 3), 0);
    assert_int_equal(cpus_of(id), 8);
    settle();
    assert_int_equal(take_all_the_way(id, 3), 0);
    assert_int_equal(offline(0, 3), 0);
    assert_int_equal(unmake_pool(id), 0); /* now there is no such pool */
    assert_int_equal(online(0, 3), 0);
    assert_int_equal(cpus_of(0), 15);
    settle();
}

/* The last CPU of a pool, over and over, and one of a busy pool. */
static void emptied_and_refilled(void **state)
{
    static const u32 scheds[] = { CREDIT, RTDS, NULL_SCHED, TARN_SCHEDULER_SEDF };

    (void)state;
    runners(0, 4);
    for (u32 i = 0; i < ARRAY_SIZE(scheds); i++) {
        u32 id = pool_with(scheds[i], 8);

        for (u32 round = 0; round < 2500; round++) {
            clock_ns += 100000;
            assert_int_equal(take_all_the_way(id, 3), 0);
            assert_int_equal(take_all_the_way(0, 2), 0);
            assert_int_equal(give(0, round % 2 ? id : 0, 3), 0);
            assert_int_equal(give(0, 0, 2), 0);
            settle();
            if (round % 2 == 0) {
                assert_int_equal(take_all_the_way(0, 3), 0);
                assert_int_equal(give(0, id, 3), 0);
            }
        }
        undo(id);
    }
}

/* What is being destroyed does not keep the last CPU. */
static void the_dying_go_to_pool_0(void **state)
{
    u32 id = pool_with(RTDS, 8);
    struct domain *d = create_in(id, 0, 2), *e = create_in(id, 1, 1);

    (void)state;
    d->dying = DOMAIN_DYING;
    assert_int_equal(take(0, id, 3), -EBUSY);
    assert_ptr_equal(d->pool, e->pool);
    e->dying = DOMAIN_DEAD;
    clear_flags(0, e->vcpu[0], VPF_DOWN);
    settle();
    assert_int_equal(take(0, id, 3), -EBUSY); /* it runs still */
    set_flags(0, e->vcpu[0], VPF_DOWN);
    settle();
    assert_int_equal(take_all_the_way(id, 3), 0);
    assert_ptr_equal(d->pool, &pool0);
    assert_ptr_equal(e->pool, &pool0);
    assert_int_equal(pool0.nr_doms, 2);
    assert_int_equal(unmake_pool(id), 0);
    destroy(0);
    destroy(1);
    assert_int_equal(give(0, 0, 3), 0);
}

static void everybody_dies(void)
{
    for (u32 slot = 1; slot < 3; slot++) {
        for (u32 i = 0; i < 2; i++) {
            sched_vcpu_dying(doms[slot]->vcpu[i]);
            sched_vcpu_dying(doms[slot]->vcpu[i]);
        }
    }
}

/* Under every policy, also who never ran: and under the null one their CPU is another's at once. */
static void the_dying_leave_their_cpu(void **state)
{
    (void)state;
    (void)create(0, 1, 256, 0, ~0ul);
    for (u32 i = 0; sched_policies[i]; i++) {
        u32 id = pool_with(sched_policies[i]->id, 12);
        struct domain *d;

        (void)create_in(id, 1, 2);
        d = create_in(id, 2, 2);
        for (u32 v = 0; v < 2; v++) {
            clear_flags(0, d->vcpu[v], VPF_DOWN);
            settle();
            set_flags(0, d->vcpu[v], VPF_PAUSED);
            settle();
        }
        run_on(0, everybody_dies);
        settle();
        d = create_in(id, 3, 2);
        clear_flags(0, d->vcpu[0], VPF_DOWN);
        clear_flags(0, d->vcpu[1], VPF_DOWN);
        settle();
        assert_true(d->vcpu[0]->unit.running && d->vcpu[1]->unit.running);
        for (u32 slot = 1; slot < 4; slot++) {
            destroy(slot);
        }
        undo(id);
    }
}

/* ---- What a domain takes along ----------------------------------------------------------- */

static void weight_and_affinity_go_along(void **state)
{
    u32 id = pool_with(NULL_SCHED, 12);
    struct domain *d = runners(0, 2);
    u64 hard = 6, soft = 4;

    (void)state;
    assert_int_equal(ask_affinity(d->vcpu[0], &hard, &soft, false), 0);
    hard = 1;
    assert_int_equal(ask_affinity(d->vcpu[1], &hard, NULL, false), 0);
    assert_int_equal(adjust(d, 700, 30), 0);
    assert_int_equal(move(0, id), 0);
    assert_int_equal(d->sched.weight, 700);
    assert_int_equal(d->sched.cap, 30);
    assert_int_equal(d->vcpu[0]->unit.hard.bits[0], 4);
    assert_int_equal(d->vcpu[1]->unit.hard.bits[0], 12);
    assert_true(d->vcpu[1]->affinity_broken && !d->vcpu[0]->affinity_broken);
    assert_true(d->vcpu[0]->unit.running && d->vcpu[1]->unit.running);
    assert_int_equal(move(0, 0), 0);
    assert_int_equal(d->vcpu[1]->unit.hard.bits[0], 1);
    assert_false(d->vcpu[1]->affinity_broken);
    assert_int_equal(set_flags_of_pool(id, TARN_POOL_reset_on_move), 0);
    assert_int_equal(move(0, id), 0);
    assert_int_equal(d->sched.weight, 256);
    assert_int_equal(d->sched.cap, 0);
    assert_int_equal(d->vcpu[0]->hard_given.bits[0], ~0ul);
    assert_int_equal(d->vcpu[1]->soft_given.bits[0], ~0ul);
    undo(id);
}

static struct sched_rt rt_of(struct vcpu *v)
{
    struct sched_rt rt = { 0 };

    assert_int_equal(sched_rt_get(v, &rt), 0);
    return rt;
}

static void set_rt(struct vcpu *v, u64 period_us, u64 budget_us, bool extratime)
{
    struct sched_rt rt = { .period_us = period_us, .budget_us = budget_us, .extratime = extratime };

    assert_int_equal(sched_rt_set(v, &rt, false), 0);
}

static void real_time_parameters_go_along(void **state)
{
    u32 rt1 = pool_with(RTDS, 4), rt2 = pool_with(TARN_SCHEDULER_SEDF, 8);
    struct domain *d = runners(0, 2);

    (void)state;
    assert_int_equal(sched_rt_get(d->vcpu[0], &(struct sched_rt){ 0 }), -EINVAL);
    assert_int_equal(move(0, rt1), 0);
    assert_int_equal(rt_of(d->vcpu[0]).budget_us, 4000); /* the default */
    set_rt(d->vcpu[1], 10000, 500, false);
    set_rt(d->vcpu[0], 20000, 18000, false); /* fits only beside that */
    assert_int_equal(move(0, 0), 0);
    assert_int_equal(move(0, rt2), 0);
    set_rt(d->vcpu[0], 30000, 6000, true);
    assert_int_equal(move(0, rt1), 0);
    assert_false(d->vcpu[0]->rt_refused || d->vcpu[1]->rt_refused);
    assert_int_equal(rt_of(d->vcpu[0]).period_us, 20000);
    assert_int_equal(rt_of(d->vcpu[0]).budget_us, 18000);
    assert_int_equal(rt_of(d->vcpu[1]).budget_us, 500);
    assert_false(rt_of(d->vcpu[1]).extratime);
    assert_int_equal(move(0, rt2), 0);
    assert_int_equal(rt_of(d->vcpu[0]).period_us, 30000);
    assert_int_equal(rt_of(d->vcpu[0]).budget_us, 6000);
    assert_int_equal(rt_of(d->vcpu[1]).weight, 1); /* best effort, as at first */
    assert_int_equal(move(0, 0), 0);
    runners(1, 1);
    assert_int_equal(move(1, rt1), 0);
    set_rt(doms[1]->vcpu[0], 10000, 4000, true);
    assert_int_equal(move(0, rt1), 0);
    assert_true(d->vcpu[0]->rt_refused); /* 90 and 40 per cent are too much */
    assert_false(d->vcpu[1]->rt_refused);
    assert_int_equal(rt_of(d->vcpu[0]).period_us, 10000);
    assert_int_equal(rt_of(d->vcpu[1]).budget_us, 500);
    assert_int_equal(move(0, 0), 0);
    assert_int_equal(move(1, 0), 0);
    assert_int_equal(set_flags_of_pool(rt2, TARN_POOL_reset_on_move), 0);
    assert_int_equal(move(0, rt2), 0);
    assert_int_equal(rt_of(d->vcpu[0]).weight, 1);
    undo(rt2);
    undo(rt1);
}

/* All vcpus of a domain, or none of them. */
static void real_time_parameters_of_a_domain(void **state)
{
    struct sched_rt half = { .period_us = 10000, .budget_us = 6000 };
    u32 id = pool_with(RTDS, 8);
    struct domain *d = runners(0, 2);

    (void)state;
    assert_int_equal(sched_rt_set_all(d, &half, true), -EINVAL); /* credit has none */
    assert_int_equal(move(0, id), 0);
    set_rt(d->vcpu[0], 10000, 9000 - 4000, true);
    set_rt(d->vcpu[1], 10000, 1000, true);
    assert_int_equal(sched_rt_set_all(d, &half, false), -ENOSPC);
    assert_int_equal(rt_of(d->vcpu[0]).budget_us, 5000);
    assert_int_equal(rt_of(d->vcpu[1]).budget_us, 1000);
    half.budget_us = 11000;
    assert_int_equal(sched_rt_set_all(d, &half, true), -EINVAL);
    assert_int_equal(rt_of(d->vcpu[0]).budget_us, 5000);
    half.budget_us = 5000; /* 60 to 50 and 10 to 50: in this order only */
    set_rt(d->vcpu[0], 10000, 1000, true);
    set_rt(d->vcpu[1], 10000, 6000, true);
    assert_int_equal(sched_rt_set_all(d, &half, false), 0);
    assert_int_equal(rt_of(d->vcpu[0]).budget_us, 5000);
    assert_int_equal(rt_of(d->vcpu[1]).budget_us, 5000);
    half.budget_us = 6000;
    assert_int_equal(sched_rt_set_all(d, &half, true), 0);
    assert_int_equal(rt_of(d->vcpu[1]).budget_us, 6000);
    settle();
    undo(id);
}

/* ---- Affinity ---------------------------------------------------------------------------- */

static void affinity_within_the_pool(void **state)
{
    u32 id = pool_with(CREDIT, 12);
    struct vcpu *v = runners(0, 1)->vcpu[0];
    u64 hard = 12, soft = 12;
    struct cpumask h, s;

    (void)state;
    assert_int_equal(ask_affinity(v, &hard, &soft, false), -EINVAL);
    assert_int_equal(v->hard_given.bits[0], ~0ul);
    assert_int_equal(v->soft_given.bits[0], ~0ul);
    hard = 6;
    assert_int_equal(ask_affinity(v, &hard, &soft, false), 0);
    assert_int_equal(hard, 2);
    assert_int_equal(soft, 0);
    sched_get_affinity(v, &h, &s);
    assert_int_equal(h.bits[0], 6);
    assert_int_equal(s.bits[0], 12);
    soft = 2;
    assert_int_equal(ask_affinity(v, NULL, &soft, false), 0);
    assert_int_equal(soft, 2);
    hard = 0;
    assert_int_equal(ask_affinity(v, &hard, NULL, false), -EINVAL);
    undo(id);
}

static void an_override(void **state)
{
    u32 id = pool_with(CREDIT, 8);
    struct vcpu *v = runners(0, 1)->vcpu[0];
    struct tarn_vcpu_placement place;
    u64 hard = 3, soft = 1;
    struct cpumask h, s;

    (void)state;
    assert_int_equal(ask_affinity(v, &hard, NULL, false), 0);
    assert_int_equal(override(v, NO_CPU), -EINVAL);
    assert_int_equal(override(v, 3), -EINVAL); /* in another pool */
    assert_int_equal(override(v, CPUS), -EINVAL);
    assert_int_equal(override(v, 2), 0); /* outside its affinity */
    settle();
    assert_true(v->unit.running);
    assert_int_equal(v->unit.cpu, 2);
    assert_int_equal(override(v, 2), -EBUSY);
    assert_int_equal(override(v, 1), -EBUSY);
    assert_int_equal(override(v, 3), -EBUSY);
    hard = 1;
    assert_int_equal(ask_affinity(v, &hard, NULL, false), -EBUSY);
    assert_int_equal(ask_affinity(v, NULL, &soft, false), -EBUSY);
    sched_get_affinity(v, &h, &s);
    assert_int_equal(h.bits[0], 4);
    sched_placement(v, &place);
    assert_int_equal(place.flags, TARN_PLACEMENT_override);
    assert_int_equal(place.hard[0], 4);
    assert_int_equal(place.given[0], 3);
    assert_int_equal(place.pool, 0);
    assert_int_equal(override(v, NO_CPU), 0);
    settle();
    assert_int_equal(v->unit.hard.bits[0], 3);
    assert_true(v->unit.cpu < 2);
    assert_int_equal(override(v, 2), 0);
    hard = 8;
    assert_int_equal(ask_affinity(v, &hard, NULL, true), -EINVAL); /* and nothing changed */
    assert_int_equal(v->unit.hard.bits[0], 4);
    hard = 1;
    assert_int_equal(ask_affinity(v, &hard, NULL, true), 0);
    assert_int_equal(v->unit.hard.bits[0], 1);
    assert_int_equal(override(v, 1), 0);
    assert_int_equal(ask_affinity(v, NULL, NULL, true), 0);
    assert_int_equal(v->unit.hard.bits[0], 1);
    settle();
    assert_int_equal(v->unit.cpu, 0);
    undo(id);
}

/* Its CPU can't go, but all others can, and it can when that is over. */
static void a_cpu_with_an_override_stays(void **state)
{
    struct vcpu *v = runners(0, 4)->vcpu[0];

    (void)state;
    assert_int_equal(override(v, 2), 0);
    for (u32 i = 0; i < 1000; i++) {
        assert_int_equal(take(0, 0, 2), -EADDRINUSE);
        assert_int_equal(offline(0, 2), -EADDRINUSE);
        assert_int_equal(give(0, 0, 2), -ENODEV);
        assert_int_equal(cpus_of(0), 15);
        assert_int_equal(free_bits(), 0);
    }
    settle();
    assert_int_equal(v->unit.cpu, 2);
    assert_int_equal(take_all_the_way(0, 3), 0);
    assert_int_equal(take_all_the_way(0, 1), 0);
    settle();
    assert_int_equal(v->unit.cpu, 2);
    assert_int_equal(override(v, NO_CPU), 0);
    assert_int_equal(take_all_the_way(0, 2), 0);
    for (u32 cpu = 1; cpu < CPUS; cpu++) {
        assert_int_equal(give(0, 0, cpu), 0);
    }
    settle();
}

static void placement_tells_what_broke(void **state)
{
    struct vcpu *v = runners(0, 1)->vcpu[0];
    struct tarn_vcpu_placement place;
    u64 hard = 8;

    (void)state;
    assert_int_equal(ask_affinity(v, &hard, NULL, false), 0);
    sched_placement(v, &place);
    assert_int_equal(place.flags, 0);
    assert_int_equal(take_all_the_way(0, 3), 0);
    sched_placement(v, &place);
    assert_int_equal(place.flags, TARN_PLACEMENT_broken);
    assert_int_equal(place.hard[0], 7);
    assert_int_equal(place.given[0], 8);
    assert_true(v->unit.running);
    assert_int_equal(give(0, 0, 3), 0);
    settle();
    sched_placement(v, &place);
    assert_int_equal(place.flags, 0);
    assert_int_equal(place.hard[0], 8);
    assert_int_equal(v->unit.cpu, 3);
}

static void flags_outlive_parameters(void **state)
{
    (void)state;
    assert_int_equal(set_flags_of_pool(0, TARN_POOL_weight_per_vcpu), 0);
    assert_int_equal(set_params(20000, 1000, 0), 0);
    assert_int_equal(pool0.params.flags, TARN_POOL_weight_per_vcpu);
    assert_int_equal(pool0.params.tslice_us, 20000);
    assert_int_equal(set_flags_of_pool(0, 1u << 31), -EINVAL);
    assert_int_equal(pool0.params.flags, TARN_POOL_weight_per_vcpu);
    assert_int_equal(set_flags_of_pool(0, 0), 0);
}

/* ---- Everything at random ---------------------------------------------------------------- */

static u32 rnd(u32 below)
{
    return (u32)random() % below;
}

static void random_cpu(u32 pool)
{
    u32 on = cpumask_next_wrap(&cpu_online_map, rnd(CPUS)), cpu = rnd(CPUS);

    switch (rnd(5)) {
    case 0:
        (void)offline(on, cpu);
        break;
    case 1:
        (void)online(on, cpu);
        break;
    case 2:
        (void)give(on, pool, rnd(8) ? cpu : ANY);
        break;
    default:
        (void)take(on, pool, cpu);
    }
}

static void random_domain(u32 pool)
{
    u32 slot = rnd(DOMS);
    u64 hard = 1 + rnd(15), soft = rnd(16);
    struct domain *d = doms[slot];
    struct sched_pool *p;

    if (!d) {
        p = pool_get(pool);
        d = p ? create_in(pool, slot, 1 + rnd(VCPUS)) : NULL;
        for (u32 i = 0; d && i < d->max_vcpus; i++) {
            clear_flags(0, d->vcpu[i], VPF_DOWN);
        }
        if (p) {
            pool_put(p);
        }
    } else if (rnd(6) == 0) {
        settle();
        destroy(slot);
    } else if (rnd(2) && (p = pool_get(pool))) {
        pool_put(p);
        settle();
        assert_int_equal(d->pool->nr_doms > 0, 1);
        (void)move(slot, pool);
    } else if (rnd(2)) {
        (void)ask_affinity(d->vcpu[rnd(d->max_vcpus)], &hard, rnd(2) ? &soft : NULL, rnd(2));
    } else {
        (void) override(d->vcpu[0], rnd(3) ? rnd(CPUS) : NO_CPU);
    }
}

static void random_pool(u32 pool)
{
    static const u32 scheds[] = { CREDIT, RTDS, NULL_SCHED, TARN_SCHEDULER_SEDF,
                                  TARN_SCHEDULER_RR };

    if (rnd(2)) {
        (void)make_pool(&pool, scheds[rnd(ARRAY_SIZE(scheds))]);
    } else {
        (void)unmake_pool(pool);
    }
}

static void everybody_runs(void)
{
    settle();
    check();
    for (u32 slot = 0; slot < DOMS; slot++) {
        for (u32 i = 0; doms[slot] && i < doms[slot]->max_vcpus; i++) {
            struct vcpu *v = doms[slot]->vcpu[i];
            const struct sched_pool *p = doms[slot]->pool;

            assert_true(cpumask_subset(&v->unit.hard, &p->cpus));
            assert_false(cpumask_empty(&v->unit.hard));
            assert_true(!v->unit.running || cpumask_test(&v->unit.hard, v->unit.cpu));
            assert_true(!v->unit.running || pcpus[v->unit.cpu]->pool == p);
        }
    }
}

static void at_random(void **state)
{
    (void)state;
    for (u32 round = 0; round < 20000; round++) {
        u32 pool = rnd(5);

        caller = &callers[rnd(2)];
        switch (rnd(6)) {
        case 0:
            random_pool(pool);
            break;
        case 1:
            random_domain(pool);
            break;
        case 2:
            step(rnd(CPUS));
            break;
        case 3:
            clock_ns += rnd(3000000);
            break;
        default:
            random_cpu(pool);
        }
        if (rnd(4) == 0) {
            everybody_runs();
        }
    }
    caller = &callers[0];
    settle();
    for (u32 slot = 0; slot < DOMS; slot++) {
        if (doms[slot]) {
            destroy(slot);
        }
    }
    for (u32 cpu = 1; cpu < CPUS; cpu++) {
        (void)online(0, cpu);
        for (u32 pool = 1; pool < 5; pool++) {
            (void)take_all_the_way(pool, cpu);
        }
        (void)give(0, 0, cpu);
    }
    for (u32 pool = 1; pool < 5; pool++) {
        (void)unmake_pool(pool);
    }
    settle();
    assert_int_equal(cpus_of(0), 15);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(ids_and_limits),
        TEST(names),
        TEST(cpus_that_cannot),
        TEST(domains_need_a_cpu),
        TEST(a_cpu_leaves_even_if_nobody_asks_again),
        TEST(one_of_two_callers),
        TEST(out_of_service_even_if_nobody_asks_again),
        TEST(removal_and_hotplug_meet),
        TEST(a_cpu_comes_back_to_its_last_pool),
        TEST(emptied_and_refilled),
        TEST(the_dying_go_to_pool_0),
        TEST(the_dying_leave_their_cpu),
        TEST(weight_and_affinity_go_along),
        TEST(real_time_parameters_go_along),
        TEST(real_time_parameters_of_a_domain),
        TEST(affinity_within_the_pool),
        TEST(an_override),
        TEST(a_cpu_with_an_override_stays),
        TEST(placement_tells_what_broke),
        TEST(flags_outlive_parameters),
        TEST(at_random),
    };

    return cmocka_run_group_tests_name("pools", tests, NULL, NULL);
}
