/* SPDX-License-Identifier: MIT */
/* sources: sched/bandwidth.c
 * sched/credit_tree.c
 * sched/schedule.c sched/member.c sched/pool.c sched/affinity.c sched/cpupool.c
 * sched/group.c sched/null.c sched/rr.c sched/rtds.c sched/rtds_queue.c sched/sedf.c
 * sched/sedf_params.c sched/credit.c sched/credit_queue.c sched/credit_account.c
 * sched/credit_place.c sched/credit_share.c sched/credit_dump.c lib/printf.c lib/spinlock.c
 * lib/str.c lib/timer_heap.c arch/x86/cpu/timer.c tests/unit/pcpus.c */
/*
 * The dispatcher and Pool-0, with the credit scheduler. Whatever is done at random, in whatever
 * order the pcpus come to their exit loops, some things hold.
 */
#include "pcpus.h"

/* ---- What always holds ------------------------------------------------------------------- */

#define FOR_EACH_VCPU(v)                                             \
    for (u32 s_ = 0; s_ < DOMS; s_++)                                \
        for (u32 i_ = 0; doms[s_] && i_ < doms[s_]->max_vcpus; i_++) \
            for (struct vcpu *v = doms[s_]->vcpu[i_], *o_ = v; o_; o_ = NULL)

static void check_pcpus(void)
{
    for (u32 cpu = 0; cpu < CPUS; cpu++) {
        const struct pcpu *p = pcpus[cpu];
        bool member = cpumask_test(&pool0.cpus, cpu);

        assert_ptr_equal(p->curr, hw[cpu]);
        assert_true(p->pool == &pool0 || (!p->pool && p->curr == p->idle && !member));
        assert_true(member || !cpumask_test(&pool0.idlers, cpu));
        assert_true(!member || cpumask_test(&cpu_online_map, cpu));
        assert_true(!p->pool || cpumask_test(&cpu_online_map, cpu));
        assert_true(p->curr == p->idle || (p->curr->unit.running && p->curr->unit.cpu == cpu));
        assert_true(!cpumask_test(&pool0.idlers, cpu) || p->curr == p->idle);
        if (!cpumask_test(&cpu_online_map, cpu)) {
            assert_null(timer_heap_first(&p->timers.heap));
        }
    }
}

static void check_affinity(const struct vcpu *v)
{
    struct cpumask want = cpumask_and(&v->hard_given, &pool0.cpus);
    const struct sched_unit *u = &v->unit;

    want = cpumask_empty(&want) ? pool0.cpus : want;
    assert_memory_equal(&want, &u->hard, sizeof(want));
    assert_true(cpumask_subset(&u->soft, &u->hard));
    /* Who sleeps or has no budget may have been there before: it waits nowhere. */
    assert_true(u->running || !u->runnable || u->dom->cap || cpumask_test(&u->hard, u->cpu));
    if (u->running && !cpumask_test(&u->hard, u->cpu)) {
        assert_true(pcpus[u->cpu]->softirq_pending & BIT(SOFTIRQ_SCHEDULE));
    }
}

static void check(void)
{
    s64 waiting = 0, ran = 0, busy = 0;

    check_pcpus();
    FOR_EACH_VCPU(v)
    {
        struct vcpu_runstate_info r = v->runstate;

        check_affinity(v);
        waiting += v->unit.runnable && !v->unit.running;
        assert_int_equal(v->unit.running, r.state == RUNSTATE_running);
        assert_true(!v->unit.running || pcpus[v->unit.cpu]->curr == v);
        ran += (s64)r.time[RUNSTATE_running];
        ran += r.state == RUNSTATE_running ? clock_ns - (s64)r.state_entry_time : 0;
    }
    assert_int_equal(waiting, pool0.nr_waiting);
    for (u32 cpu = 0; cpu < CPUS; cpu++) {
        busy += clock_ns - sched_idle_time(cpu);
    }
    assert_int_equal(busy, ran + (s64)ran_of_the_dead); /* to the nanosecond */
}

/* Nobody has forgotten anybody. */
static void check_settled(void)
{
    settle();
    check();
    FOR_EACH_VCPU(v)
    {
        assert_int_equal(v->unit.runnable, vcpu_runnable(v));
        if (v->unit.runnable && !v->unit.running && !v->domain->sched.cap) {
            assert_false(cpumask_intersects(&v->unit.hard, &pool0.idlers));
        }
    }
}

static void run_for(stime_t ns)
{
    for (stime_t end = clock_ns + ns; clock_ns < end;) {
        clock_ns += 100 * NSEC_PER_USEC;
        settle();
        check();
    }
}

/* ---- CPUs that go and come --------------------------------------------------------------- */

/* One burner for each vcpu that wants to run. */
static struct domain *burners(u32 slot, u32 vcpus, u64 hard)
{
    struct domain *d = create(slot, vcpus, 256, 0, hard);

    for (u32 i = 0; i < vcpus; i++) {
        clear_flags(0, d->vcpu[i], VPF_DOWN);
    }
    settle();
    return d;
}

static void errors_as_xen_has_them(void **state)
{
    (void)state;
    assert_int_equal(offline(0, 0), -EINVAL);
    assert_int_equal(offline(0, CPUS), -EINVAL);
    assert_int_equal(offline(0, ~0u), -EINVAL);
    assert_int_equal(online(0, CPUS), -EINVAL);
    assert_int_equal(online(0, 0), -EEXIST);
    assert_int_equal(online(0, 2), -EEXIST);
    pcpus[3]->online = false;
    clear_bit(3, cpu_online_map.bits);
    assert_int_equal(offline(0, 3), -EEXIST);
    assert_int_equal(online(0, 3), -EIO);
}

static void an_idle_cpu_leaves_and_comes_back(void **state)
{
    (void)state;
    assert_int_equal(offline(0, 2), -ERESTART);
    assert_int_equal(offline(0, 2), -ERESTART);
    assert_int_equal(online(0, 2), -EEXIST); /* not gone yet */
    step(2);
    check();
    assert_int_equal(offline(0, 2), 0);
    settle();
    check();
    assert_int_equal(offline(0, 2), -EEXIST);
    assert_null(pcpus[2]->pool);
    assert_int_equal(cpumask_weight(&pool0.cpus), 3);
    burners(0, 4, ~0ul);
    assert_ptr_equal(pcpus[2]->curr, pcpus[2]->idle);
    assert_int_equal(pool0.nr_waiting, 1);
    softirq_raise(2, SOFTIRQ_SCHEDULE); /* a late one */
    check_settled();
    assert_int_equal(online(0, 2), 0);
    assert_int_equal(online(0, 2), -EEXIST);
    check_settled();
    assert_int_equal(pool0.nr_waiting, 0);
    assert_ptr_not_equal(pcpus[2]->curr, pcpus[2]->idle);
}

/* The caller runs on the CPU that it sends away: it goes on elsewhere, and asks again there. */
static void a_cpu_may_send_itself_away(void **state)
{
    struct domain *d = burners(0, 4, ~0ul);
    u32 cpu = 3;
    const struct vcpu *v = pcpus[cpu]->curr;

    (void)state;
    assert_ptr_not_equal(v, pcpus[cpu]->idle);
    assert_int_equal(offline(cpu, cpu), -ERESTART);
    assert_true(pcpus[cpu]->softirq_pending & BIT(SOFTIRQ_SCHEDULE));
    step(cpu);
    assert_int_equal(v->unit.running, false);
    settle();
    for (u32 i = 0; i < 10 && !v->unit.running; i++) {
        run_for(30 * NSEC_PER_MSEC);
    }
    assert_true(v->unit.running);
    assert_int_equal(offline(v->unit.cpu, cpu), 0);
    check_settled();
    assert_int_equal(d->sched.weight, 256);
}

static void affinity_is_broken_and_restored(void **state)
{
    struct domain *d = burners(0, 2, 1u << 2);
    const struct sched_unit *u = &d->vcpu[0]->unit;

    (void)state;
    set_affinity(0, d->vcpu[1], 6, 4);
    settle();
    assert_int_equal(d->vcpu[1]->unit.soft.bits[0], 4);
    assert_true(u->dedicated);
    assert_int_equal(offline(0, 2), -ERESTART);
    settle();
    assert_int_equal(offline(0, 2), 0);
    check_settled();
    assert_int_equal(u->hard.bits[0], 0xb);
    assert_false(u->dedicated);
    assert_true(u->running);
    assert_int_equal(d->vcpu[1]->unit.hard.bits[0], 2);
    assert_true(cpumask_empty(&d->vcpu[1]->unit.soft));
    assert_int_equal(online(0, 2), 0);
    check_settled();
    assert_int_equal(u->hard.bits[0], 4);
    assert_int_equal(u->cpu, 2);
    assert_int_equal(d->vcpu[1]->unit.hard.bits[0], 6);
    assert_int_equal(d->vcpu[1]->unit.soft.bits[0], 4);
    for (u32 i = 1; i < 4; i++) {
        assert_int_equal(offline(0, i), -ERESTART);
        settle();
        assert_int_equal(offline(0, i), 0);
    }
    check_settled();
    assert_int_equal(u->hard.bits[0], 1);
    run_for(100 * NSEC_PER_MSEC);
}

/* All timers that it had fire elsewhere. */
static void timers_move(void **state)
{
    struct domain *d = burners(0, 4, ~0ul);

    (void)state;
    assert_non_null(timer_heap_first(&pcpus[1]->timers.heap));
    assert_int_equal(offline(0, 1), -ERESTART);
    settle();
    d->vcpu[0]->oneshot = (struct timer){ .fn = ignore, .cpu = 1 };
    d->vcpu[0]->oneshot.node.expires = clock_ns + NSEC_PER_SEC;
    timer_heap_insert(&pcpus[1]->timers.heap, &d->vcpu[0]->oneshot.node);
    assert_int_equal(offline(0, 1), 0);
    assert_int_equal(d->vcpu[0]->oneshot.cpu, 0);
    assert_null(timer_heap_first(&pcpus[1]->timers.heap));
    run_for(NSEC_PER_SEC);
    assert_false(d->vcpu[0]->oneshot.node.queued);
}

static void the_last_one_stays(void **state)
{
    (void)state;
    create(0, 1, 256, 0, ~0ul);
    for (u32 i = 1; i < CPUS; i++) {
        assert_int_equal(pool_cpu_remove(&pool0, i), -ERESTART);
        assert_int_equal(pool_cpu_add(&pool0, i), -EBUSY);
    }
    assert_int_equal(pool_cpu_remove(&pool0, 0), -EBUSY);
    check_settled();
    assert_int_equal(cpumask_weight(&pool0.cpus), 1);
    destroy(0);
    assert_int_equal(pool_cpu_remove(&pool0, 0), -ERESTART);
    settle();
    assert_int_equal(pool_cpu_remove(&pool0, 0), 0);
    assert_null(pcpus[0]->pool);
    assert_int_equal(pool_cpu_add(&pool0, 0), 0);
}

/* ---- Parameters -------------------------------------------------------------------------- */

static void parameters(void **state)
{
    static const u32 bad[][3] = {
        { 999, 0, 0 },       { 1000001, 0, 0 },       { 0, 0, 0 },
        { 30000, 99, 0 },    { 1000000, 500001, 0 },  { 1000, 1001, 0 },
        { 30000, 30001, 0 }, { 30000, 1000, 100001 }, { ~0u, ~0u, ~0u },
    };
    struct sched_params got;

    (void)state;
    for (u32 i = 0; i < ARRAY_SIZE(bad); i++) {
        assert_int_equal(set_params(bad[i][0], bad[i][1], bad[i][2]), -EINVAL);
    }
    sched_params_get(&pool0, &got);
    assert_int_equal(got.tslice_us, 30000);
    assert_int_equal(set_params(1000, 1000, 100000), 0);
    assert_int_equal(set_params(1000000, 500000, 0), 0);
    assert_int_equal(set_params(5000, 0, 77), 0);
    sched_params_get(&pool0, &got);
    assert_int_equal(got.tslice_us, 5000);
    assert_int_equal(got.ratelimit_us, 0);
    assert_int_equal(got.migr_delay_us, 77);
}

static s64 ran(struct vcpu *v)
{
    struct vcpu_runstate_info r;

    vcpu_runstate_get(v, &r);
    return (s64)r.time[RUNSTATE_running];
}

/* A shorter slice ends the one that is going on. */
static void a_shorter_slice_counts_at_once(void **state)
{
    struct domain *d;
    s64 before[2];

    (void)state;
    assert_int_equal(set_params(1000000, 0, 0), 0);
    d = burners(0, 2, 1);
    run_for(3 * NSEC_PER_SEC);
    before[0] = ran(d->vcpu[0]);
    before[1] = ran(d->vcpu[1]);
    run_for(100 * NSEC_PER_MSEC);
    assert_true(ran(d->vcpu[0]) == before[0] || ran(d->vcpu[1]) == before[1]);
    assert_int_equal(set_params(2000, 0, 0), 0);
    run_for(30 * NSEC_PER_MSEC);
    assert_true(ran(d->vcpu[0]) > before[0] && ran(d->vcpu[1]) > before[1]);
}

static void weight_and_cap(void **state)
{
    struct domain *d = burners(0, 1, 1), *e = burners(1, 1, 1);
    s64 before;

    (void)state;
    assert_int_equal(adjust(d, 0, ~0u), -EINVAL);
    assert_int_equal(adjust(d, 65536, ~0u), -EINVAL);
    assert_int_equal(adjust(d, 512, 65536), -EINVAL);
    assert_int_equal(d->sched.weight, 256);
    assert_int_equal(adjust(d, 768, ~0u), 0);
    assert_int_equal(d->sched.weight, 768);
    assert_int_equal(d->sched.cap, 0);
    run_for(NSEC_PER_SEC);
    before = ran(d->vcpu[0]);
    run_for(4 * NSEC_PER_SEC);
    assert_true(llabs(ran(d->vcpu[0]) - before - 3 * NSEC_PER_SEC) < 40 * NSEC_PER_MSEC);
    assert_int_equal(adjust(d, ~0u, 10), 0);
    assert_int_equal(d->sched.weight, 768);
    before = ran(d->vcpu[0]);
    run_for(NSEC_PER_SEC);
    assert_true(ran(d->vcpu[0]) - before < 106 * NSEC_PER_MSEC);
    assert_true(ran(d->vcpu[0]) - before > 94 * NSEC_PER_MSEC);
    assert_true(ran(e->vcpu[0]) > NSEC_PER_SEC);
}

/* Without anybody else: whoever runs is told of its new cap before its slice is over. */
static void a_cap_counts_at_once(void **state)
{
    struct domain *d;
    s64 before;

    (void)state;
    set_params(1000000, 0, 0);
    d = burners(0, 1, ~0ul);
    run_for(3 * NSEC_PER_SEC + 300 * NSEC_PER_MSEC); /* into a long slice */
    before = ran(d->vcpu[0]);
    assert_int_equal(adjust(d, ~0u, 1), 0);
    run_for(500 * NSEC_PER_MSEC);
    assert_true(ran(d->vcpu[0]) - before < 11 * NSEC_PER_MSEC);
}

/* ---- Pausing ----------------------------------------------------------------------------- */

static void pause_and_unpause_lose_no_wakeup(void **state)
{
    struct domain *d = burners(0, 1, ~0ul);
    struct vcpu *v = d->vcpu[0];

    (void)state;
    set_flags(0, v, VPF_PAUSED); /* and back before its pcpu looked */
    clear_flags(1, v, VPF_PAUSED);
    check_settled();
    assert_true(v->unit.running);
    set_flags(0, v, VPF_PAUSED);
    step(v->unit.cpu);
    assert_false(v->unit.running);
    clear_flags(1, v, VPF_PAUSED);
    check_settled();
    assert_true(v->unit.running);
    set_flags(v->unit.cpu, v, VPF_BLOCKED);
    settle();
    set_flags(0, v, VPF_PAUSED);
    clear_flags(2, v, VPF_BLOCKED); /* its event comes while it is paused */
    check_settled();
    assert_false(v->unit.running);
    clear_flags(1, v, VPF_PAUSED);
    check_settled();
    assert_true(v->unit.running);
    clear_flags(1, v, VPF_PAUSED); /* once too often */
    check_settled();
}

static void idle_time(void **state)
{
    struct domain *d;

    (void)state;
    run_for(10 * NSEC_PER_MSEC);
    assert_int_equal(sched_idle_time(0), clock_ns);
    d = burners(0, 1, 2);
    assert_int_equal(sched_idle_time(1), clock_ns);
    clock_ns += 12345;
    assert_int_equal(sched_idle_time(1), clock_ns - 12345);
    assert_int_equal(ran(d->vcpu[0]), 12345);
    set_flags(0, d->vcpu[0], VPF_PAUSED);
    settle();
    clock_ns += 777;
    assert_int_equal(sched_idle_time(1), clock_ns - 12345);
    assert_int_equal(sched_idle_time(CPUS), 0);
    pcpus[3]->online = false;
    assert_int_equal(sched_idle_time(3), 0);
    pcpus[3]->online = true;
}

static void dump(void **state)
{
    (void)state;
    burners(0, 2, 2);
    assert_int_equal(offline(0, 2), -ERESTART);
    settle();
    assert_int_equal(offline(0, 2), 0);
    pool_cpu_remove(&pool0, 3);
    settle();
    sched_dump();
    assert_true(said("Pool-0: scheduler credit, slice 30000 us, ratelimit 1000 us, "
                     "migration delay 0 us; 1 domains, 1 vcpus wait\n"
                     "  cpu 0: idle\n"
                     "  cpu 1: d1v0 "));
    assert_true(said("d1v1"));
    assert_true(said("\n  cpu 2: offline\n"
                     "  cpu 3: in no pool\n"));
}

/* ---- Everything at random ---------------------------------------------------------------- */

static u32 rnd(u32 below)
{
    return (u32)random() % below;
}

/* Where hypercalls come from. */
static u32 any_online(void)
{
    return cpumask_next_wrap(&cpu_online_map, rnd(CPUS));
}

static struct vcpu *any_vcpu(void)
{
    struct domain *d = doms[rnd(DOMS)];

    return d ? d->vcpu[rnd(d->max_vcpus)] : NULL;
}

static void do_yield(void)
{
    vcpu_yield();
}

static void disturb_domains(void)
{
    u32 slot = rnd(DOMS);

    if (!doms[slot]) {
        (void)create(slot, 1 + rnd(VCPUS), 1 + rnd(1000), rnd(3) ? 0 : 1 + rnd(300), 1 + rnd(15));
    } else if (rnd(2)) {
        destroy(slot);
    } else {
        assert_int_equal(adjust(doms[slot], rnd(2) ? ~0u : 1 + rnd(65535), rnd(2) ? ~0u : rnd(400)),
                         0);
    }
}

/* As if whoever begins something often didn't come back for the answer. */
static void disturb_cpus(void)
{
    u32 cpu = rnd(CPUS), on = any_online();
    const struct pcpu *c = pcpus[cpu];
    bool up = rnd(2), has_pool = c->pool, member = cpumask_test(&pool0.cpus, cpu);
    bool in_service = cpumask_test(&cpu_online_map, cpu) && (has_pool || !c->parking);
    long rc, want;

    caller = &callers[rnd(2)];
    if (up) {
        want = in_service ? -EEXIST : 0;
    } else if (cpu == 0) {
        want = -EINVAL;
    } else if (in_service) {
        want = -ERESTART;
    } else {
        want = c->parking && c->taker == caller ? 0 : -EEXIST;
    }
    rc = up ? online(on, cpu) : offline(on, cpu);
    assert_int_equal(rc, want);
    assert_true(up || !member || cpu == 0 || !cpumask_test(&pool0.cpus, cpu));
}

static void disturb_vcpu(struct vcpu *v)
{
    u32 on = any_online();

    switch (rnd(5)) {
    case 0:
        set_flags(on, v, rnd(2) ? VPF_PAUSED : VPF_DOWN);
        break;
    case 1:
        set_affinity(on, v, 1 + rnd(15), rnd(16));
        break;
    default:
        clear_flags(on, v, rnd(3) ? ~0u : VPF_PAUSED);
    }
}

static void disturb_running(u32 cpu)
{
    struct pcpu *p = pcpus[cpu];

    if (p->curr == p->idle) {
        return;
    }
    if (rnd(2)) {
        p->curr->pause_flags |= VPF_BLOCKED;
        softirq_raise(cpu, SOFTIRQ_SCHEDULE);
    } else {
        run_on(cpu, do_yield);
    }
}

static void disturb(void)
{
    struct vcpu *v = any_vcpu();

    switch (rnd(12)) {
    case 0:
        disturb_domains();
        break;
    case 1:
        disturb_cpus();
        break;
    case 2:
        disturb_running(rnd(CPUS));
        break;
    case 3:
        (void)set_params(1000 + rnd(40000), rnd(2) ? 0 : 100 + rnd(900), rnd(2) ? 0 : rnd(5000));
        break;
    case 4:
    case 5:
    case 6:
        clock_ns += rnd(2000000);
        break;
    case 7:
    case 8:
        step(rnd(CPUS));
        break;
    default:
        if (v) {
            disturb_vcpu(v);
        }
    }
}

static void at_random(void **state)
{
    u64 offlines = 0;

    (void)state;
    for (u32 round = 0; round < 60000; round++) {
        disturb();
        check();
        if (rnd(8) == 0) {
            check_settled();
        }
        offlines += cpumask_weight(&cpu_online_map) < CPUS;
    }
    assert_true(offlines > 10000);
    for (u32 cpu = 1; cpu < CPUS; cpu++) {
        (void)online(0, cpu);
    }
    settle();
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(errors_as_xen_has_them),
        TEST(an_idle_cpu_leaves_and_comes_back),
        TEST(a_cpu_may_send_itself_away),
        TEST(affinity_is_broken_and_restored),
        TEST(timers_move),
        TEST(the_last_one_stays),
        TEST(parameters),
        TEST(a_shorter_slice_counts_at_once),
        TEST(weight_and_cap),
        TEST(a_cap_counts_at_once),
        TEST(pause_and_unpause_lose_no_wakeup),
        TEST(idle_time),
        TEST(dump),
        TEST(at_random),
    };

    return cmocka_run_group_tests_name("schedule", tests, NULL, NULL);
}
