/* SPDX-License-Identifier: MIT */
/* sources: sched/bandwidth.c kernel/ops/tarn_bandwidth.c sched/schedule.c sched/member.c
 * sched/group.c sched/pool.c sched/affinity.c sched/cpupool.c sched/null.c sched/rr.c sched/rtds.c
 * sched/rtds_queue.c sched/sedf.c sched/sedf_params.c sched/credit.c sched/credit_queue.c
 * sched/credit_account.c sched/credit_place.c sched/credit_share.c sched/credit_tree.c
 * sched/credit_dump.c lib/printf.c lib/spinlock.c lib/str.c lib/timer_heap.c arch/x86/cpu/timer.c
 * tests/unit/pcpus.c */
/*
 * Bandwidth, by its hypercalls: what is refused, shares to the nanosecond under every policy, and
 * whatever else may happen to who is throttled, or is about to be: events, pauses, moves, new
 * quotas, the end of the domain or of the one it serves, pcpus that come late or go away. At last
 * everything at random.
 */
#include "../../sched/credit.h" /* before `current` is a macro */

#include "pcpus.h"

#include <tarn/guest_access.h>
#include <tarn/hypercall.h>
#include <xen/vcpu.h>

#include <public/tarn.h>

#define CREDIT 5u
#define RTDS 8u
#define NULL_SCHED 9u
#define SEDF 4u
#define RR 100u
#define NOWHERE 0x1000 /* an address that the caller has not */
#define NOBODY 999     /* a domain that there is not */
#define NONE 998       /* of an emulator: no domain */
#define WHOLE TARN_BANDWIDTH_DOMAIN
#define US NSEC_PER_USEC
#define MS NSEC_PER_MSEC
#define SEC NSEC_PER_SEC

/* ---- What the hypercall asks for --------------------------------------------------------- */

static u32 held; /* references to domains that were not given back */
static struct domain control;

int copy_from_guest(void *dst, u64 va, size_t len)
{
    if (va == NOWHERE) {
        return -EFAULT;
    }
    memcpy(dst, (const void *)va, len);
    return 0;
}

static bool read_only;

int copy_to_guest(u64 va, const void *src, size_t len)
{
    if (read_only) {
        return -EFAULT;
    }
    memcpy((void *)va, src, len);
    return 0;
}

struct domain *domain_get_by_id(domid_t domid)
{
    struct domain *d = domid == 0                        ? &control
                       : domid >= 1 && domid <= DOMS_MAX ? doms[domid - 1]
                                                         : NULL;

    held += d != NULL;
    return d;
}

void domain_put(struct domain *d)
{
    assert_non_null(d);
    held--;
}

static domid_t id(u32 slot)
{
    return (domid_t)(slot == NONE ? DOMID_INVALID : slot == NOBODY ? NOBODY : slot + 1);
}

static long (*the_op)(u64 cmd, u64 arg);
static u64 the_cmd, the_arg;
static long the_rc;

static void do_op(void)
{
    the_rc = the_op(the_cmd, the_arg);
}

static long op_on(u32 cpu, long (*fn)(u64, u64), u64 cmd, void *arg)
{
    the_op = fn;
    the_cmd = cmd;
    the_arg = (u64)arg;
    run_on(cpu, do_op);
    assert_int_equal(held, 0);
    return the_rc;
}

static long limit_on(u32 cpu, u32 slot, u32 vcpu, u64 period_us, s64 quota_us)
{
    struct tarn_bandwidth b = {
        .domid = id(slot), .vcpu = vcpu, .period_us = period_us, .quota_us = quota_us
    };

    return op_on(cpu, tarn_bandwidth, TARN_OP_set_bandwidth, &b);
}

static long limit(u32 slot, u32 vcpu, u64 period_us, s64 quota_us)
{
    return limit_on(0, slot, vcpu, period_us, quota_us);
}

static struct tarn_bandwidth limit_of(u32 slot, u32 vcpu)
{
    struct tarn_bandwidth b = { .domid = id(slot), .vcpu = vcpu, .period_us = 77 };

    assert_int_equal(op_on(0, tarn_bandwidth, TARN_OP_get_bandwidth, &b), 0);
    return b;
}

static long serve(u32 slot, u32 emulator)
{
    struct tarn_emulator e = { .domid = id(slot), .emulator = id(emulator) };

    return op_on(0, tarn_emulator, TARN_OP_set_emulator, &e);
}

static struct tarn_emulator bond_of(u32 slot)
{
    struct tarn_emulator e = { .domid = id(slot), .emulator = 77, .client = 77 };

    assert_int_equal(op_on(0, tarn_emulator, TARN_OP_get_emulator, &e), 0);
    return e;
}

/* ---- What always holds ------------------------------------------------------------------- */

#define FOR_EACH_VCPU(v)                                             \
    for (u32 s_ = 0; s_ < DOMS; s_++)                                \
        for (u32 i_ = 0; doms[s_] && i_ < doms[s_]->max_vcpus; i_++) \
            for (struct vcpu *v = doms[s_]->vcpu[i_], *o_ = v; o_; o_ = NULL)

static void check_users(const struct sched_bandwidth *b, enum sched_budget which)
{
    u32 running = 0;

    FOR_EACH_VCPU(v)
    {
        running += v->budget[which] == b && v->unit.running;
    }
    if (which != BUDGET_OWN) { /* the domain's: also its emulator's */
        FOR_EACH_VCPU(v)
        {
            running += v->budget[BUDGET_CLIENT] == b && v->unit.running;
        }
    }
    assert_int_equal(b->running, running);
    assert_true(!b->empty || b->quota);
    if (b->empty || (b->quota && running)) {
        assert_true(b->timer.node.queued);
    }
    assert_false(b->lock.locked || b->gate.locked);
    assert_true(!b->waits_since || b->empty);
}

static void check_vcpu(const struct vcpu *v)
{
    const struct domain *d = v->domain;
    struct sched_bandwidth *want[NR_BUDGETS] = {
        v->bandwidth.quota ? (struct sched_bandwidth *)&v->bandwidth : NULL,
        d->bandwidth.quota ? (struct sched_bandwidth *)&d->bandwidth : NULL,
        d->client && d->client->bandwidth.quota ? &d->client->bandwidth : NULL,
    };
    bool limited = false;

    for (u32 i = 0; i < NR_BUDGETS; i++) {
        assert_ptr_equal(v->budget[i], want[i]);
        limited |= want[i] != NULL;
        assert_int_equal(want[i] && want[i]->empty, !!(v->pause_flags & VPF_THROTTLED_BY(i)));
    }
    assert_int_equal(v->unit.limited, limited);
    if (!v->unit.running) {
        bool willing = !(v->pause_flags & ~VPF_THROTTLED);

        assert_int_equal(v->unit.throttled, willing && (v->pause_flags & VPF_THROTTLED));
        assert_int_equal(v->runstate.state == RUNSTATE_runnable, willing);
        assert_int_equal(v->unit.runnable, v->pause_flags == 0);
    }
}

static void check(void)
{
    for (u32 slot = 0; slot < DOMS; slot++) {
        const struct domain *d = doms[slot];

        if (d) {
            check_users(&d->bandwidth, BUDGET_DOMAIN);
            assert_true(!d->emulator || d->emulator->client == d);
            assert_true(!d->client || d->client->emulator == d);
        }
    }
    FOR_EACH_VCPU(v)
    {
        check_users(&v->bandwidth, BUDGET_OWN);
        check_vcpu(v);
    }
}

/* Nobody is late: to the next timer, and again. */
static void run_for(stime_t ns)
{
    stime_t end = clock_ns + ns;

    while (clock_ns < end) {
        stime_t next = end;

        for (u32 cpu = 0; cpu < CPUS; cpu++) {
            next = MIN(next, pcpus[cpu]->timer_programmed);
        }
        clock_ns = MAX(next, clock_ns);
        settle();
        check();
    }
}

static s64 ran(struct vcpu *v)
{
    struct vcpu_runstate_info r;

    vcpu_runstate_get(v, &r);
    return (s64)r.time[RUNSTATE_running];
}

static s64 ran_all(u32 slot)
{
    s64 sum = 0;

    for (u32 i = 0; i < doms[slot]->max_vcpus; i++) {
        sum += ran(doms[slot]->vcpu[i]);
    }
    return sum;
}

static int state_of(struct vcpu *v)
{
    struct vcpu_runstate_info r;

    vcpu_runstate_get(v, &r);
    return r.state;
}

static void up(u32 slot)
{
    for (u32 i = 0; i < doms[slot]->max_vcpus; i++) {
        clear_flags(0, doms[slot]->vcpu[i], VPF_DOWN);
    }
    settle();
}

/* Alone on its CPUs, and it burns. */
static struct vcpu *burner(u32 slot, u32 vcpus, u64 hard)
{
    struct domain *d = create(slot, vcpus, 256, 0, hard);

    up(slot);
    return d->vcpu[0];
}

/* A pool of some CPUs, out of Pool-0. */
static u32 pool_of(u32 sched, u64 cpus)
{
    u32 pool = POOL_ANY;

    assert_int_equal(make_pool(&pool, sched), 0);
    for (u32 cpu = 0; cpu < CPUS; cpu++) {
        if (cpus & BIT(cpu)) {
            assert_int_equal(take(0, 0, cpu), -ERESTART);
            settle();
            assert_int_equal(take(0, 0, cpu), 0);
            assert_int_equal(give(0, pool, cpu), 0);
        }
    }
    settle();
    return pool;
}

static void end_pool(u32 pool, u64 cpus)
{
    for (u32 slot = 0; slot < DOMS; slot++) {
        if (doms[slot]) {
            destroy(slot);
        }
    }
    for (u32 cpu = 0; cpu < CPUS; cpu++) {
        if (cpus & BIT(cpu)) {
            assert_int_equal(take(0, pool, cpu), -ERESTART);
            settle();
            assert_int_equal(take(0, pool, cpu), 0);
            assert_int_equal(give(0, 0, cpu), 0);
        }
    }
    settle();
    assert_int_equal(unmake_pool(pool), 0);
}

/* ---- What is refused --------------------------------------------------------------------- */

static void ranges(void **state)
{
    static const struct {
        u64 period;
        s64 quota;
        long rc;
    } cases[] = {
        { 1000, 1000, 0 },
        { 1000000, 1000, 0 },
        { 100000, (s64)TARN_QUOTA_MAX, 0 },
        { 0, 0, 0 },
        { 0, -1, 0 },
        { 0, INT64_MIN, 0 },
        { 999, 1000, -EINVAL },
        { 1, 1000, -EINVAL },
        { 1000001, 1000, -EINVAL },
        { ~0ul, 1000, -EINVAL },
        { 1ul << 63, 1000, -EINVAL },
        { 1000, 999, -EINVAL },
        { 1000, 1, -EINVAL },
        { 1000, (s64)TARN_QUOTA_MAX + 1, -EINVAL },
        { 1000, INT64_MAX, -EINVAL },
        { 999, -1, -EINVAL },
    };

    (void)state;
    burner(0, 2, ~0ul);
    for (u32 i = 0; i < ARRAY_SIZE(cases); i++) {
        assert_int_equal(limit(0, 1, cases[i].period, cases[i].quota), cases[i].rc);
        assert_int_equal(limit(0, WHOLE, cases[i].period, cases[i].quota), cases[i].rc);
        check();
    }
    run_for(SEC);
}

static void errnos(void **state)
{
    struct tarn_bandwidth b = { .domid = id(0), .vcpu = 0, .quota_us = 5000 };
    struct tarn_emulator e = { .domid = id(0) };

    (void)state;
    burner(0, 2, ~0ul);
    assert_int_equal(limit(NOBODY, 0, 0, 5000), -ESRCH);
    assert_int_equal(limit(0, 2, 0, 5000), -ESRCH);
    assert_int_equal(limit(0, 0x80000000, 0, 5000), -ESRCH);
    assert_int_equal(limit(0, WHOLE - 1, 0, 5000), -ESRCH);
    assert_int_equal(op_on(0, tarn_bandwidth, TARN_OP_get_bandwidth, (void *)NOWHERE), -EFAULT);
    assert_int_equal(op_on(0, tarn_emulator, TARN_OP_get_emulator, (void *)NOWHERE), -EFAULT);
    read_only = true;
    assert_int_equal(op_on(0, tarn_bandwidth, TARN_OP_set_bandwidth, &b), -EFAULT);
    assert_int_equal(op_on(0, tarn_emulator, TARN_OP_get_emulator, &e), -EFAULT);
    read_only = false;
    doms[0]->dying = DOMAIN_DYING;
    assert_int_equal(limit(0, 0, 0, 5000), -ESRCH);
    assert_int_equal(limit(0, WHOLE, 0, 5000), -ESRCH);
    doms[0]->dying = DOMAIN_ALIVE;
}

static void parameters(void **state)
{
    struct tarn_bandwidth b;

    (void)state;
    burner(0, 1, ~0ul);
    b = limit_of(0, 0);
    assert_int_equal(b.period_us, 100000);
    assert_int_equal(b.quota_us, -1);
    assert_int_equal(b.throttled, 0);
    assert_int_equal(b.throttled_ns, 0);
    assert_int_equal(limit(0, 0, 20000, 0), 0); /* a period for later */
    b = limit_of(0, 0);
    assert_int_equal(b.period_us, 20000);
    assert_int_equal(b.quota_us, -1);
    assert_int_equal(limit(0, 0, 0, 7000), 0);
    b = limit_of(0, 0);
    assert_int_equal(b.period_us, 20000);
    assert_int_equal(b.quota_us, 7000);
    assert_int_equal(limit_of(0, WHOLE).quota_us, -1);
    assert_int_equal(limit(0, 0, 0, -5), 0);
    assert_int_equal(limit_of(0, 0).quota_us, -1);
    assert_int_equal(limit(0, WHOLE, 1000, (s64)TARN_QUOTA_MAX), 0);
    assert_int_equal(limit_of(0, WHOLE).quota_us, TARN_QUOTA_MAX);
    run_for(SEC);
    assert_int_equal(limit_of(0, WHOLE).throttled, 0);
}

static void bonds_that_cannot_be(void **state)
{
    (void)state;
    for (u32 i = 0; i < 5; i++) {
        (void)create(i, 1, 256, 0, ~0ul);
    }
    assert_int_equal(serve(0, NOBODY), -ESRCH);
    assert_int_equal(serve(NOBODY, 0), -ESRCH);
    assert_int_equal(serve(0, 0), -EINVAL);
    assert_int_equal(serve(0, (u32)-1), -EINVAL); /* domain 0 */
    assert_int_equal(serve((u32)-1, 0), -EINVAL);
    assert_int_equal(serve(0, NONE), 0); /* it has none already */
    assert_int_equal(serve(0, 1), 0);
    assert_int_equal(bond_of(0).emulator, id(1));
    assert_int_equal(bond_of(0).client, DOMID_INVALID);
    assert_int_equal(bond_of(1).emulator, DOMID_INVALID);
    assert_int_equal(bond_of(1).client, id(0));
    assert_int_equal(serve(0, 1), -EBUSY);
    assert_int_equal(serve(0, 2), -EBUSY);
    assert_int_equal(serve(2, 1), -EBUSY);
    assert_int_equal(serve(1, 2), -EINVAL);
    assert_int_equal(serve(2, 0), -EINVAL);
    assert_int_equal(serve(2, 3), 0);
    assert_int_equal(serve(1, NONE), 0); /* serves, and is not served */
    assert_int_equal(bond_of(1).client, id(0));
    doms[4]->dying = DOMAIN_DYING;
    assert_int_equal(serve(0, NONE), 0);
    assert_int_equal(serve(0, 4), -ESRCH);
    assert_int_equal(serve(4, 0), -ESRCH);
    doms[4]->dying = DOMAIN_ALIVE;
    assert_int_equal(serve(4, 1), 0);
    check();
}

/* Either way, nobody is left with a bond. */
static void bonds_end_with_either(void **state)
{
    (void)state;
    burner(0, 1, ~0ul);
    burner(1, 1, ~0ul);
    burner(2, 1, ~0ul);
    assert_int_equal(serve(0, 1), 0);
    assert_int_equal(limit(0, WHOLE, 10000, 1000), 0);
    run_for(5 * MS); /* both wait */
    assert_int_equal(doms[1]->vcpu[0]->pause_flags, VPF_THROTTLED_BY(BUDGET_CLIENT));
    destroy(0);
    check();
    settle();
    assert_true(doms[1]->vcpu[0]->unit.running);
    assert_int_equal(bond_of(1).client, DOMID_INVALID);
    assert_int_equal(serve(2, 1), 0);
    assert_int_equal(limit(2, WHOLE, 10000, 1000), 0);
    run_for(5 * MS);
    destroy(1);
    check();
    assert_int_equal(bond_of(2).emulator, DOMID_INVALID);
    run_for(100 * MS);
}

/* ---- Shares ------------------------------------------------------------------------------ */

static void half_of_a_cpu(void **state)
{
    struct vcpu *v = burner(0, 1, ~0ul);
    struct vcpu_runstate_info r;
    struct tarn_bandwidth b;
    s64 before = ran(v);

    (void)state;
    assert_int_equal(limit(0, 0, 100000, 50000), 0);
    run_for(49 * MS);
    assert_int_equal(state_of(v), RUNSTATE_running);
    run_for(2 * MS);
    assert_int_equal(ran(v) - before, 50 * MS);
    assert_int_equal(state_of(v), RUNSTATE_runnable);
    run_for(949 * MS);
    assert_int_equal(ran(v) - before, 500 * MS);
    vcpu_runstate_get(v, &r);
    assert_int_equal(r.time[RUNSTATE_runnable], 500 * MS);
    b = limit_of(0, 0);
    assert_int_equal(b.throttled, 10);
    assert_int_equal(b.throttled_ns, 500 * MS);
    run_for(70 * MS);
    b = limit_of(0, 0); /* the wait that is going on counts, too */
    assert_int_equal(b.throttled, 11);
    assert_int_equal(b.throttled_ns, 520 * MS);
}

/* A quota that is as long as the period, or longer, is none for one vcpu. */
static void all_of_a_cpu(void **state)
{
    struct vcpu *v = burner(0, 1, ~0ul);
    s64 before = ran(v);

    (void)state;
    assert_int_equal(limit(0, 0, 10000, 10000), 0);
    run_for(SEC);
    assert_int_equal(limit(0, 0, 10000, 15000), 0);
    run_for(SEC);
    assert_int_equal(ran(v) - before, 2 * SEC);
    assert_int_equal(limit_of(0, 0).throttled, 0);
}

static void a_domain_as_a_whole(void **state)
{
    s64 before;

    (void)state;
    burner(0, 4, ~0ul);
    before = ran_all(0);
    assert_int_equal(limit(0, WHOLE, 100000, 60000), 0);
    run_for(15 * MS - 1);
    assert_int_equal(doms[0]->bandwidth.running, 4);
    run_for(1);
    assert_int_equal(doms[0]->bandwidth.running, 0);
    run_for(985 * MS);
    assert_int_equal(ran_all(0) - before, 600 * MS);
    assert_int_equal(limit(0, WHOLE, 10000, 25000), 0); /* more than a period */
    before = ran_all(0);
    run_for(SEC);
    assert_int_equal(ran_all(0) - before, 2500 * MS);
}

/* One who leaves leaves more for the others, and the others are stopped in time for that. */
static void some_go_earlier(void **state)
{
    struct vcpu *v = burner(0, 3, ~0ul);
    s64 before = ran_all(0);

    (void)state;
    assert_int_equal(limit(0, WHOLE, 100000, 60000), 0);
    run_for(10 * MS); /* 30 are left */
    set_flags(3, v, VPF_BLOCKED);
    settle();
    run_for(10 * MS); /* 10 */
    set_flags(3, v->domain->vcpu[1], VPF_BLOCKED);
    settle();
    run_for(10 * MS - 1);
    assert_true(v->domain->vcpu[2]->unit.running);
    run_for(1);
    assert_false(v->domain->vcpu[2]->unit.running);
    assert_int_equal(ran_all(0) - before, 60 * MS);
}

static void both_kinds(void **state)
{
    s64 before;

    (void)state;
    burner(0, 2, ~0ul);
    assert_int_equal(limit(0, 0, 100000, 20000), 0);
    assert_int_equal(limit(0, WHOLE, 100000, 60000), 0);
    before = ran_all(0);
    run_for(100 * MS);
    assert_int_equal(ran_all(0) - before, 60 * MS);
    assert_int_equal(ran(doms[0]->vcpu[0]), 20 * MS);
    assert_int_equal(limit_of(0, 0).throttled, 1);
    assert_int_equal(limit_of(0, WHOLE).throttled, 1);
    assert_int_equal(limit_of(0, WHOLE).throttled_ns, 60 * MS);
}

static void under(u32 sched)
{
    u32 pool = pool_of(sched, 0xc);
    struct vcpu *v;
    s64 before;

    (void)create_in(pool, 0, 2);
    v = doms[0]->vcpu[0];
    up(0);
    assert_int_equal(limit(0, 0, 20000, 5000), 0);
    before = ran(v);
    run_for(2 * SEC);
    /* Real-time promises have periods of their own: then it may be less. */
    assert_true(ran(v) - before <= 500 * MS);
    assert_true(ran(v) - before >= 490 * MS);
    assert_int_equal(limit(0, WHOLE, 50000, 20000), 0);
    before = ran_all(0);
    run_for(2 * SEC);
    assert_true(ran_all(0) - before <= 800 * MS);
    assert_true(ran_all(0) - before >= 780 * MS);
    assert_int_equal(limit(0, WHOLE, 0, -1), 0);
    assert_int_equal(limit(0, 0, 0, -1), 0);
    run_for(100 * MS);
    assert_int_equal(ran_all(0) - before, ran_all(0) - before);
    end_pool(pool, 0xc);
}

static void under_every_policy(void **state)
{
    static const u32 policies[] = { CREDIT, NULL_SCHED, SEDF, RR };

    (void)state;
    for (u32 i = 0; i < ARRAY_SIZE(policies); i++) {
        under(policies[i]);
    }
}

/* On one CPU, where each could use all of it: nobody is left out, whoever is woken first, nor is
 * the emulator. Round robin's slices and the quota may be out of step; then parts are not equal. */
static void fair_under(u32 sched)
{
    u32 pool = pool_of(sched, 8);
    s64 part = 2400 * MS / 4, least = sched == RR ? part / 5 : part * 4 / 5;

    (void)create_in(pool, 0, 3);
    (void)create_in(pool, 1, 1);
    assert_int_equal(serve(0, 1), 0);
    assert_int_equal(limit(0, WHOLE, 20000, 12000), 0);
    up(0);
    up(1);
    run_for(4 * SEC);
    assert_in_range(ran_all(0) + ran_all(1), 2388 * MS, 2412 * MS);
    for (u32 i = 0; i < 3; i++) {
        assert_true(ran(doms[0]->vcpu[i]) >= least);
    }
    assert_true(ran_all(1) >= least);
    end_pool(pool, 8);
}

static void fair_inside(void **state)
{
    static const u32 policies[] = { CREDIT, SEDF, RR };

    (void)state;
    for (u32 i = 0; i < ARRAY_SIZE(policies); i++) {
        fair_under(policies[i]);
    }
}

/* A budget of 4 ms of 10 without extra time, and a quota of 20 ms of 100: the smaller counts. */
static void with_a_promise(void **state)
{
    struct sched_rt rt = { .period_us = 10000, .budget_us = 4000 };
    u32 pool = pool_of(RTDS, 8);
    struct vcpu *v;
    s64 before;

    (void)state;
    (void)create_in(pool, 0, 1);
    v = doms[0]->vcpu[0];
    up(0);
    assert_int_equal(sched_rt_set(v, &rt, true), 0);
    before = ran(v);
    run_for(SEC);
    assert_in_range(ran(v) - before, 396 * MS, 404 * MS);
    assert_int_equal(limit(0, 0, 100000, 20000), 0);
    before = ran(v);
    run_for(SEC);
    assert_in_range(ran(v) - before, 198 * MS, 200 * MS);
    assert_int_equal(limit(0, 0, 100000, 80000), 0); /* the budget is less */
    before = ran(v);
    run_for(SEC);
    assert_in_range(ran(v) - before, 396 * MS, 404 * MS);
    end_pool(pool, 8);
}

/* It keeps its CPU, as whoever sleeps does. */
static void null_keeps_its_cpu(void **state)
{
    u32 pool = pool_of(NULL_SCHED, 8);
    struct vcpu *v, *other;

    (void)state;
    (void)create_in(pool, 0, 1);
    (void)create_in(pool, 1, 1);
    v = doms[0]->vcpu[0];
    other = doms[1]->vcpu[0];
    up(0);
    up(1);
    assert_int_equal(limit(0, 0, 10000, 2000), 0);
    run_for(SEC);
    assert_int_equal(ran(v), 200 * MS);
    assert_int_equal(ran(other), 0);
    end_pool(pool, 8);
}

/* Client and emulator in two pools, under two policies. */
static void an_emulator_in_another_pool(void **state)
{
    u32 pool = pool_of(RR, 8);
    s64 before;

    (void)state;
    burner(0, 2, 3);
    (void)create_in(pool, 1, 1);
    up(1);
    assert_int_equal(limit(0, WHOLE, 100000, 60000), 0);
    assert_int_equal(serve(0, 1), 0);
    before = ran_all(0) + ran_all(1);
    run_for(SEC);
    assert_int_equal(ran_all(0) + ran_all(1) - before, 600 * MS);
    assert_true(ran_all(1) >= 199 * MS);
    assert_int_equal(serve(0, NONE), 0);
    before = ran_all(0);
    run_for(SEC);
    assert_int_equal(ran_all(0) - before, 600 * MS);
    assert_true(ran_all(1) >= 1199 * MS);
    end_pool(pool, 8);
}

/* ---- Overdraft --------------------------------------------------------------------------- */

static void what_was_overdrawn_is_paid_back(void **state)
{
    struct vcpu *v = burner(0, 1, ~0ul);
    s64 before = ran(v);

    (void)state;
    assert_int_equal(limit(0, 0, 100000, 50000), 0);
    run_for(49 * MS);
    clock_ns += 8 * MS; /* its pcpu was busy with other things */
    settle();
    assert_int_equal(ran(v) - before, 57 * MS);
    assert_false(v->unit.running);
    run_for(42 * MS);
    assert_false(v->unit.running);
    run_for(1 * MS);
    assert_true(v->unit.running);
    run_for(43 * MS);
    assert_false(v->unit.running);
    run_for(857 * MS);
    assert_int_equal(ran(v) - before, 500 * MS);
}

static void a_debt_of_several_periods(void **state)
{
    struct vcpu *v = burner(0, 1, ~0ul);
    s64 before = ran(v);

    (void)state;
    assert_int_equal(limit(0, 0, 10000, 1000), 0);
    clock_ns += 4 * MS + 300 * US;
    settle();
    run_for(10 * MS * 4 +
            5600 * US); /* 4 periods pay for 3.3 ms, and 700 us are left of the last */
    assert_int_equal(ran(v) - before, 5 * MS);
    run_for(50 * MS + 100 * US);
    assert_int_equal(clock_ns - 1000, 100 * MS);
    assert_int_equal(ran(v) - before, 10 * MS);
    assert_int_equal(limit_of(0, 0).throttled, 1 + 6);
}

/* The pcpu with the timer is late, and another one's vcpu comes meanwhile. */
static void who_comes_to_what_is_overdrawn(void **state)
{
    struct vcpu *v = burner(0, 2, ~0ul), *w = v->domain->vcpu[1];
    s64 before = ran_all(0);
    u32 late;

    (void)state;
    set_flags(0, w, VPF_BLOCKED);
    settle();
    assert_int_equal(limit_on(v->unit.cpu, 0, WHOLE, 100000, 50000), 0);
    settle();
    before = ran_all(0);
    late = v->unit.cpu;
    clock_ns += 55 * MS;
    clear_flags((late + 1) % CPUS, w, VPF_BLOCKED);
    for (u32 cpu = 0; cpu < CPUS; cpu++) {
        if (cpu != late) {
            step(cpu);
        }
    }
    assert_true(w->unit.running); /* nobody knows yet */
    clock_ns += MS;
    settle();
    assert_false(w->unit.running || v->unit.running);
    check();
    assert_int_equal(ran_all(0) - before, 57 * MS);
    run_for(SEC - 56 * MS);
    assert_int_equal(ran_all(0) - before, 500 * MS);
}

static void who_slept_has_saved_nothing(void **state)
{
    struct vcpu *v = burner(0, 1, ~0ul);
    s64 before;

    (void)state;
    assert_int_equal(limit(0, 0, 100000, 30000), 0);
    set_flags(0, v, VPF_BLOCKED);
    settle();
    run_for(10 * SEC);
    before = ran(v);
    clear_flags(0, v, VPF_BLOCKED);
    run_for(100 * MS);
    assert_int_equal(ran(v) - before, 30 * MS);
}

/* ---- What else happens to who is throttled ----------------------------------------------- */

/* One vcpu that has used up its 10 ms of 100; its period ends 90 ms later. */
static struct vcpu *throttled(u32 slot)
{
    struct vcpu *v = burner(slot, 1, ~0ul);

    assert_int_equal(limit(slot, 0, 100000, 10000), 0);
    run_for(10 * MS);
    assert_false(v->unit.running);
    assert_true(v->unit.throttled);
    return v;
}

static void an_event_for_who_is_throttled(void **state)
{
    struct vcpu *v = burner(0, 2, ~0ul), *w = v->domain->vcpu[1];
    struct vcpu_runstate_info r;

    (void)state;
    set_flags(0, w, VPF_BLOCKED);
    settle();
    assert_int_equal(limit(0, WHOLE, 100000, 10000), 0);
    run_for(20 * MS);
    assert_int_equal(state_of(w), RUNSTATE_blocked);
    assert_false(w->unit.throttled);
    clear_flags(2, w, VPF_BLOCKED); /* the event */
    settle();
    check();
    assert_int_equal(state_of(w), RUNSTATE_runnable);
    assert_false(w->unit.running || w->unit.runnable);
    run_for(79 * MS);
    vcpu_runstate_get(w, &r);
    assert_int_equal(r.time[RUNSTATE_runnable], 79 * MS);
    run_for(1 * MS);
    assert_true(w->unit.running && v->unit.running);
    assert_int_equal(limit_of(0, WHOLE).throttled_ns, 90 * MS); /* of who waited first */
}

/* Both before its pcpu looks: it blocks, and its quota is used up. */
static void it_blocks_as_it_is_throttled(void **state)
{
    struct vcpu *v = burner(0, 1, ~0ul);

    (void)state;
    assert_int_equal(limit(0, 0, 100000, 10000), 0);
    clock_ns += 10 * MS;
    v->pause_flags |= VPF_BLOCKED;
    settle();
    check();
    assert_int_equal(state_of(v), RUNSTATE_blocked);
    assert_int_equal(limit_of(0, 0).throttled, 1);
    assert_int_equal(limit_of(0, 0).throttled_ns, 0);
    run_for(95 * MS); /* the next period begins without it */
    assert_int_equal(v->pause_flags, VPF_BLOCKED);
    assert_int_equal(limit_of(0, 0).throttled_ns, 0);
    clear_flags(1, v, VPF_BLOCKED);
    settle();
    assert_true(v->unit.running);
    clock_ns += 10 * MS;
    v->pause_flags |= VPF_BLOCKED;
    settle();
    run_for(30 * MS);
    clear_flags(1, v, VPF_BLOCKED); /* in the period that is used up: from now on somebody waits */
    settle();
    check();
    run_for(60 * MS);
    assert_int_equal(limit_of(0, 0).throttled_ns, 55 * MS);
}

/* Throttled and released before its pcpu looked even once: it goes on. */
static void released_before_it_stood_still(void **state)
{
    struct vcpu *v = burner(0, 2, 6), *w = v->domain->vcpu[1];
    s64 before;

    (void)state;
    set_flags(0, w, VPF_BLOCKED);
    settle();
    assert_int_equal(limit(0, WHOLE, 100000, 10000), 0);
    clear_flags(0, w, VPF_BLOCKED);
    settle(); /* w's pcpu has the timer now: both will have used it up earlier */
    before = ran(v);
    clock_ns += 6 * MS;
    step(w->unit.cpu);
    assert_true(v->unit.running && !w->unit.running);
    assert_int_equal(v->pause_flags, VPF_THROTTLED_BY(BUDGET_DOMAIN));
    assert_int_equal(limit(0, WHOLE, 0, -1), 0);
    assert_int_equal(v->pause_flags, 0);
    settle();
    check();
    assert_true(w->unit.running && v->unit.running);
    run_for(50 * MS);
    assert_int_equal(ran(v) - before, 56 * MS);
}

static void paused_while_it_is_throttled(void **state)
{
    struct vcpu *v = throttled(0);

    (void)state;
    set_flags(1, v, VPF_PAUSED);
    settle();
    check();
    assert_int_equal(state_of(v), RUNSTATE_offline);
    clear_flags(1, v, VPF_PAUSED); /* and before the period is over */
    settle();
    check();
    assert_int_equal(state_of(v), RUNSTATE_runnable);
    assert_false(v->unit.running);
    set_flags(1, v, VPF_PAUSED);
    run_for(95 * MS); /* it is over meanwhile */
    assert_int_equal(v->pause_flags, VPF_PAUSED);
    assert_int_equal(state_of(v), RUNSTATE_offline);
    clear_flags(1, v, VPF_PAUSED);
    settle();
    assert_true(v->unit.running);
}

static void destroyed_while_it_is_throttled(void **state)
{
    (void)state;
    throttled(0);
    destroy(0); /* which looks for timers that are left */
    run_for(200 * MS);
    burner(0, 2, ~0ul);
    assert_int_equal(limit(0, WHOLE, 100000, 10000), 0);
    assert_int_equal(limit(0, 1, 100000, 10000), 0);
    destroy(0); /* and so while it runs */
    run_for(200 * MS);
}

static void moved_while_it_is_throttled(void **state)
{
    u32 pool = pool_of(RR, 8);
    struct vcpu *v = throttled(0);
    s64 before = ran(v);

    (void)state;
    run_for(10 * MS);
    assert_int_equal(move(0, pool), 0);
    check();
    assert_int_equal(state_of(v), RUNSTATE_runnable);
    run_for(79 * MS);
    assert_int_equal(ran(v), before);
    run_for(2 * MS);
    assert_true(v->unit.running);
    assert_int_equal(v->unit.cpu, 3);
    assert_int_equal(move(0, 0), 0); /* and while it runs */
    run_for(99 * MS);
    assert_int_equal(ran(v) - before, 10 * MS);
    end_pool(pool, 8);
}

static void another_quota_while_it_is_throttled(void **state)
{
    struct vcpu *v = throttled(0);
    s64 before;

    (void)state;
    assert_int_equal(limit(0, 0, 100000, 10000), 0); /* as it is: nothing is given */
    settle();
    check();
    assert_false(v->unit.running);
    assert_int_equal(limit(0, 0, 0, 20000), 0); /* a new period begins */
    settle();
    check();
    assert_true(v->unit.running);
    before = ran(v);
    run_for(SEC);
    assert_int_equal(ran(v) - before, 200 * MS);
    assert_int_equal(limit(0, 0, 10000, 0), 0); /* 20 ms of 10 */
    before = ran(v);
    run_for(SEC);
    assert_int_equal(ran(v) - before, SEC);
}

static void no_quota_while_it_is_throttled(void **state)
{
    struct vcpu *v = throttled(0);
    s64 before = ran(v);

    (void)state;
    run_for(10 * MS);
    assert_int_equal(limit(0, 0, 0, -1), 0);
    settle();
    check();
    assert_true(v->unit.running);
    assert_int_equal(limit_of(0, 0).throttled, 1);
    assert_int_equal(limit_of(0, 0).throttled_ns, 10 * MS);
    run_for(SEC);
    assert_int_equal(ran(v) - before, SEC);
    assert_false(v->bandwidth.timer.node.queued);
}

/* By one budget, by two, and by one again. */
static void throttled_twice(void **state)
{
    struct vcpu *v = burner(0, 1, ~0ul);
    s64 before = ran(v);

    (void)state;
    assert_int_equal(limit(0, WHOLE, 100000, 30000), 0);
    assert_int_equal(limit(0, 0, 20000, 15000), 0);
    run_for(35 * MS); /* 15 ms, and 15 from 20 on: that is all of the domain's */
    assert_int_equal(ran(v) - before, 30 * MS);
    assert_int_equal(v->pause_flags,
                     VPF_THROTTLED_BY(BUDGET_OWN) | VPF_THROTTLED_BY(BUDGET_DOMAIN));
    run_for(65 * MS); /* its own has begun anew long ago */
    assert_int_equal(v->unit.running, true);
    assert_int_equal(ran(v) - before, 30 * MS);
}

/* Asked, and then released, on a pcpu whose clock is behind. */
static void a_clock_that_is_behind(void **state)
{
    struct vcpu *v = burner(0, 1, ~0ul);

    (void)state;
    assert_int_equal(limit(0, 0, 100000, 10000), 0);
    run_for(10 * MS);
    assert_int_equal(v->unit.throttled, true);
    clock_ns -= 1 * US;
    assert_int_equal(limit_of(0, 0).throttled_ns, 0);
    assert_int_equal(limit(0, 0, 0, -1), 0);
    assert_int_equal(limit_of(0, 0).throttled_ns, 0);
    settle();
    assert_true(v->unit.running);
    run_for(10 * MS);
}

static void the_bond_comes_when_all_is_used_up(void **state)
{
    struct vcpu *v = burner(0, 1, 1), *e = burner(1, 1, 2);

    (void)state;
    assert_int_equal(limit(0, WHOLE, 100000, 10000), 0);
    run_for(20 * MS);
    assert_true(e->unit.running);
    assert_int_equal(serve(0, 1), 0);
    settle();
    check();
    assert_false(e->unit.running);
    assert_int_equal(serve(0, NONE), 0);
    settle();
    check();
    assert_true(e->unit.running);
    assert_int_equal(serve(0, 1), 0);
    run_for(80 * MS - 1);
    assert_false(e->unit.running || v->unit.running);
    run_for(1);
    assert_true(e->unit.running && v->unit.running);
    run_for(5 * MS);
    assert_false(e->unit.running || v->unit.running);
    assert_int_equal(limit(0, WHOLE, 0, -1), 0);
    settle();
    check();
    assert_true(e->unit.running && v->unit.running);
}

/* Its timer is on a pcpu that goes out of service. */
static void a_cpu_goes(void **state)
{
    struct vcpu *v = burner(0, 1, 8);
    s64 before = ran(v);

    (void)state;
    assert_int_equal(v->unit.cpu, 3);
    assert_int_equal(limit_on(3, 0, 0, 100000, 50000), 0);
    run_for(20 * MS);
    assert_int_equal(offline(0, 3), -ERESTART);
    settle();
    assert_int_equal(offline(0, 3), 0);
    settle();
    check();
    run_for(980 * MS);
    assert_int_equal(ran(v) - before, 500 * MS);
    assert_int_equal(online(0, 3), 0);
    run_for(SEC);
    assert_int_equal(ran(v) - before, SEC);
}

/* Who comes back from it is no sleeper that has to be quick. */
static void it_comes_back_without_boost(void **state)
{
    struct vcpu *v = throttled(0);

    (void)state;
    clock_ns += 91 * MS;
    for (u32 i = 0; i < 3 && v->pause_flags; i++) {
        for (u32 cpu = 0; cpu < CPUS && v->pause_flags; cpu++) {
            pcpus[cpu]->softirq_pending &= ~BIT(SOFTIRQ_SCHEDULE);
            step(cpu);
        }
    }
    assert_int_equal(v->pause_flags, 0);
    settle();
    assert_true(v->unit.running);
    assert_true(priv(&v->unit)->credit > 0);
    assert_int_equal(priv(&v->unit)->pri, UNDER);
    assert_false(v->unit.throttled);
    set_flags(0, v, VPF_BLOCKED); /* as such a one */
    settle();
    run_for(2 * MS);
    clear_flags(0, v, VPF_BLOCKED);
    settle();
    assert_int_equal(priv(&v->unit)->pri, BOOST);
}

/* ---- Everything at random ---------------------------------------------------------------- */

static u32 rnd(u32 below)
{
    return (u32)random() % below;
}

static u32 pools[2]; /* Pool-0, and another one */
static s64 begun_ran[DOMS][VCPUS + 1];
static stime_t begun[DOMS][VCPUS + 1], unattended, attended;

static u32 any_pool(void)
{
    return pools[rnd(2)];
}

/* What counts to a budget. */
static s64 used(u32 slot, u32 vcpu)
{
    return vcpu < VCPUS ? ran(doms[slot]->vcpu[vcpu]) : ran_all(slot);
}

/* In all the time since its quota was set: no more than that of each period, and what could not be
 * stopped since nobody came. */
static void judge(u32 slot, u32 vcpu)
{
    const struct sched_bandwidth *b = vcpu < VCPUS ? &doms[slot]->vcpu[vcpu]->bandwidth
                                                   : &doms[slot]->bandwidth;
    s64 periods, most;

    if (b->quota && b->quota < 100 * SEC) {
        periods = (clock_ns - begun[slot][vcpu]) / b->period + 1;
        most = periods * b->quota + CPUS * (MAX(unattended, clock_ns - attended) + 50 * US);
        if (used(slot, vcpu) - begun_ran[slot][vcpu] > most) {
            fail_msg("domain %u, vcpu %u ran %ld of at most %ld", slot, vcpu,
                     used(slot, vcpu) - begun_ran[slot][vcpu], most);
        }
    }
}

static void judge_all(void)
{
    for (u32 slot = 0; slot < DOMS; slot++) {
        for (u32 i = 0; doms[slot] && i < doms[slot]->max_vcpus; i++) {
            judge(slot, i);
        }
        if (doms[slot]) {
            judge(slot, VCPUS);
        }
    }
}

static void attend(void)
{
    unattended = MAX(unattended, clock_ns - attended);
    settle();
    attended = clock_ns;
    check();
    judge_all();
}

static void some_limit(u32 slot)
{
    u32 vcpu = rnd(doms[slot]->max_vcpus + 1);
    u64 period = rnd(4) ? 1000 + rnd(20000) : 0;
    s64 quota = rnd(5) ? 1000 + (s64)rnd(20000) : -1;
    bool whole = vcpu == doms[slot]->max_vcpus;

    judge_all();
    vcpu = whole ? VCPUS : vcpu;
    assert_int_equal(limit_on(rnd(CPUS - 1), slot, whole ? WHOLE : vcpu, period, quota), 0);
    begun[slot][vcpu] = clock_ns;
    begun_ran[slot][vcpu] = used(slot, vcpu);
}

static void some_bond(u32 slot)
{
    long rc = serve(slot, rnd(3) ? rnd(DOMS) : NONE);

    assert_true(rc == 0 || rc == -ESRCH || rc == -EINVAL || rc == -EBUSY);
}

static void some_domain(u32 slot)
{
    if (doms[slot]) {
        if (rnd(3) == 0) {
            destroy(slot);
        }
        return;
    }
    (void)create_in(any_pool(), slot, 1 + rnd(VCPUS));
    for (u32 i = 0; doms[slot] && i < doms[slot]->max_vcpus; i++) {
        clear_flags(0, doms[slot]->vcpu[i], VPF_DOWN);
        begun[slot][i] = begun[slot][VCPUS] = clock_ns;
        begun_ran[slot][i] = begun_ran[slot][VCPUS] = 0;
    }
}

static void some_vcpu(struct vcpu *v)
{
    u32 flag = rnd(2) ? VPF_BLOCKED : VPF_PAUSED;

    switch (rnd(5)) {
    case 0:
        if (v->unit.running || flag == VPF_PAUSED) {
            set_flags(rnd(3), v, flag);
        }
        break;
    case 1:
        set_affinity(0, v, 1 + rnd(15), rnd(16));
        break;
    default:
        clear_flags(rnd(3), v, flag);
    }
}

static void some_cpu(void)
{
    u32 cpu = 1 + rnd(2);

    (void)(rnd(2) ? online(0, cpu) : offline(0, cpu));
}

static void disturb(void)
{
    u32 slot = rnd(DOMS);

    switch (doms[slot] ? rnd(14) : 0) {
    case 0:
        some_domain(slot);
        break;
    case 1:
    case 2:
        some_limit(slot);
        break;
    case 3:
        some_bond(slot);
        break;
    case 4:
        unattended = MAX(unattended, clock_ns - attended);
        (void)move(slot, any_pool());
        attended = clock_ns;
        break;
    case 5:
        some_cpu();
        break;
    case 6:
    case 7:
    case 8:
        clock_ns += rnd(rnd(4) ? 2000000 : 10000000);
        break;
    case 9:
        step(rnd(CPUS));
        break;
    default:
        some_vcpu(doms[slot]->vcpu[rnd(doms[slot]->max_vcpus)]);
    }
}

/* How often what it waits for has been there, and is used up again. */
static u64 turns(const struct vcpu *v)
{
    u64 n = 0;

    for (u32 i = 0; i < NR_BUDGETS; i++) {
        n += v->budget[i] ? v->budget[i]->throttled : 0;
    }
    return n;
}

/* Nobody who would run waits for ever. */
static void check_progress(void)
{
    stime_t end = clock_ns + 10 * SEC;

    FOR_EACH_VCPU(v)
    {
        u64 before = turns(v);

        while (v->unit.throttled && turns(v) == before) {
            assert_true(clock_ns < end);
            run_for(5 * MS);
        }
    }
    attended = clock_ns;
}

static void at_random(void **state)
{
    static const u32 policies[] = { CREDIT, RTDS, NULL_SCHED, SEDF, RR };
    u64 was_throttled = 0;

    (void)state;
    for (u32 i = 0; i < ARRAY_SIZE(policies); i++) {
        pools[0] = 0;
        pools[1] = pool_of(policies[i], 8);
        unattended = 0;
        attended = clock_ns;
        for (u32 round = 0; round < 12000; round++) {
            disturb();
            if (rnd(6) == 0) {
                attend();
            }
            FOR_EACH_VCPU(v)
            {
                was_throttled += v->unit.throttled;
            }
            if (rnd(200) == 0) {
                attend();
                check_progress();
            }
        }
        attend();
        for (u32 cpu = 1; cpu < CPUS; cpu++) {
            (void)online(0, cpu);
        }
        settle();
        end_pool(pools[1], 8);
    }
    assert_true(was_throttled > 10000);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(ranges),
        TEST(errnos),
        TEST(parameters),
        TEST(bonds_that_cannot_be),
        TEST(bonds_end_with_either),
        TEST(half_of_a_cpu),
        TEST(all_of_a_cpu),
        TEST(a_domain_as_a_whole),
        TEST(some_go_earlier),
        TEST(both_kinds),
        TEST(under_every_policy),
        TEST(fair_inside),
        TEST(with_a_promise),
        TEST(null_keeps_its_cpu),
        TEST(an_emulator_in_another_pool),
        TEST(what_was_overdrawn_is_paid_back),
        TEST(a_debt_of_several_periods),
        TEST(who_comes_to_what_is_overdrawn),
        TEST(who_slept_has_saved_nothing),
        TEST(an_event_for_who_is_throttled),
        TEST(it_blocks_as_it_is_throttled),
        TEST(released_before_it_stood_still),
        TEST(paused_while_it_is_throttled),
        TEST(destroyed_while_it_is_throttled),
        TEST(moved_while_it_is_throttled),
        TEST(another_quota_while_it_is_throttled),
        TEST(no_quota_while_it_is_throttled),
        TEST(throttled_twice),
        TEST(a_clock_that_is_behind),
        TEST(the_bond_comes_when_all_is_used_up),
        TEST(a_cpu_goes),
        TEST(it_comes_back_without_boost),
        TEST(at_random),
    };

    return cmocka_run_group_tests_name("bandwidth", tests, NULL, NULL);
}
