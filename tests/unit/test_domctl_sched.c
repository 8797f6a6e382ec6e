/* SPDX-License-Identifier: MIT */
/* sources: kernel/ops/domctl_sched.c sched/bandwidth.c
 * sched/credit_tree.c
 * sched/schedule.c sched/member.c sched/pool.c
 * sched/affinity.c sched/cpupool.c sched/group.c sched/null.c
 * sched/rr.c sched/rtds.c sched/rtds_queue.c sched/sedf.c sched/sedf_params.c sched/credit.c
 * sched/credit_queue.c sched/credit_account.c sched/credit_place.c sched/credit_share.c
 * sched/credit_dump.c lib/printf.c lib/spinlock.c lib/str.c lib/timer_heap.c arch/x86/cpu/timer.c
 * tests/unit/pcpus.c */
/*
 * XEN_DOMCTL_scheduler_op under each policy: what is taken, what is given back, each errno, lists
 * of vcpus, and what was forced. The domain has two vcpus and its pool one CPU.
 */
#include "pcpus.h"

#include <tarn/guest_access.h>
#include <tarn/hypercall.h>

#include <public/tarn.h>

#include "../../kernel/ops/domctl.h"

#define NOWHERE 0x1000 /* an address that the caller has not */
#define PUT XEN_DOMCTL_SCHEDOP_putinfo
#define GET XEN_DOMCTL_SCHEDOP_getinfo
#define PUTV XEN_DOMCTL_SCHEDOP_putvcpuinfo
#define GETV XEN_DOMCTL_SCHEDOP_getvcpuinfo
#define EXTRA XEN_DOMCTL_SCHEDRT_extra
#define FORCE TARN_SCHEDRT_force

static struct xen_domctl op;
static u32 yields_after; /* entries of a list, 0: never */

int copy_from_guest(void *dst, u64 va, size_t len)
{
    if (va == NOWHERE) {
        return -EFAULT;
    }
    memcpy(dst, (const void *)va, len);
    yields_after -= yields_after > 1;
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
    return yields_after == 1;
}

/* A domain of two vcpus in a pool of that scheduler. */
static struct domain *in_pool(u32 sched)
{
    u32 id = 1;
    struct domain *d = create(0, 2, 256, 0, ~0ul);

    yields_after = 0;
    assert_int_equal(make_pool(&id, sched), 0);
    assert_int_equal(take(0, 0, 3), -ERESTART);
    settle();
    assert_int_equal(take(0, 0, 3), 0);
    assert_int_equal(give(0, 1, 3), 0);
    settle();
    assert_int_equal(move(0, 1), 0);
    return d;
}

static void leave_pool(void)
{
    assert_int_equal(move(0, 0), 0);
    assert_int_equal(take(0, 1, 3), -ERESTART);
    settle();
    assert_int_equal(take(0, 1, 3), 0);
    assert_int_equal(give(0, 0, 3), 0);
    assert_int_equal(unmake_pool(1), 0);
    settle();
}

static long run_op(u32 sched, u32 cmd)
{
    op.u.scheduler_op.sched_id = sched;
    op.u.scheduler_op.cmd = cmd;
    return domctl_scheduler_op(doms[0], &op);
}

/* ---- credit and those without parameters ---- */

static long credit(u32 cmd, u16 weight, u16 cap)
{
    memset(&op, 0, sizeof(op));
    op.u.scheduler_op.u.credit.weight = weight;
    op.u.scheduler_op.u.credit.cap = cap;
    return run_op(XEN_SCHEDULER_CREDIT, cmd);
}

static void of_credit(void **state)
{
    struct domain *d = in_pool(XEN_SCHEDULER_CREDIT);

    (void)state;
    assert_int_equal(credit(PUT, 512, 50), 0);
    assert_int_equal(credit(PUT, 0, 0xffff), 0); /* as it is */
    assert_int_equal(credit(GET, 1, 1), 0);
    assert_int_equal(op.u.scheduler_op.u.credit.weight, 512);
    assert_int_equal(op.u.scheduler_op.u.credit.cap, 50);
    assert_int_equal(credit(PUT, 65535, 0xfffe), 0);
    assert_int_equal(d->sched.cap, 0xfffe);
    assert_int_equal(credit(PUTV, 1, 1), -EINVAL);
    assert_int_equal(credit(GETV, 1, 1), -EINVAL);
    assert_int_equal(credit(9, 1, 1), -EINVAL);
    assert_int_equal(run_op(XEN_SCHEDULER_RTDS, GET), -EINVAL);
    assert_int_equal(run_op(TARN_SCHEDULER_SEDF, GET), -EINVAL);
    assert_int_equal(run_op(99, GET), -EINVAL);
    leave_pool();
}

static void of_null(void **state)
{
    struct domain *d = in_pool(XEN_SCHEDULER_NULL);

    (void)state;
    for (u32 cmd = 0; cmd < 5; cmd++) {
        memset(&op, 0, sizeof(op));
        op.u.scheduler_op.u.credit.weight = 99;
        assert_int_equal(run_op(XEN_SCHEDULER_NULL, cmd), 0);
    }
    assert_int_equal(op.u.scheduler_op.u.credit.weight, 99);
    assert_int_equal(d->sched.weight, 256);
    assert_int_equal(run_op(XEN_SCHEDULER_CREDIT, GET), -EINVAL);
    leave_pool();
}

/* ---- rtds ---- */

static long rtds(u32 cmd, u32 period, u32 budget, u32 flags)
{
    memset(&op, 0, sizeof(op));
    op.u.scheduler_op.u.rtds = (struct xen_domctl_sched_rtds){ period, budget, flags };
    return run_op(XEN_SCHEDULER_RTDS, cmd);
}

static void rtds_is(u32 period, u32 budget, u32 flags)
{
    const struct xen_domctl_sched_rtds *r = &op.u.scheduler_op.u.rtds;

    assert_int_equal(rtds(GET, 7, 7, 7), 0);
    assert_int_equal(r->period, period);
    assert_int_equal(r->budget, budget);
    assert_int_equal(r->flags, flags);
}

static void of_rtds(void **state)
{
    static const u32 wrong[][2] = { { 0, 1000 },    { 1000, 0 },        { 9, 9 },     { 1000, 9 },
                                    { 1000, 1001 }, { 10000001, 1000 }, { ~0u, ~0u }, { 10, 11 } };

    (void)state;
    in_pool(XEN_SCHEDULER_RTDS);
    rtds_is(10000, 4000, EXTRA);
    for (u32 i = 0; i < ARRAY_SIZE(wrong); i++) {
        assert_int_equal(rtds(PUT, wrong[i][0], wrong[i][1], 0), -EINVAL);
        assert_int_equal(rtds(PUT, wrong[i][0], wrong[i][1], FORCE), -EINVAL);
    }
    rtds_is(10000, 4000, EXTRA);
    assert_int_equal(rtds(PUT, 20000, 10000, 0), 0); /* all of the CPU */
    rtds_is(20000, 10000, 0);
    assert_int_equal(rtds(PUT, 20000, 10001, 0), -ENOSPC);
    rtds_is(20000, 10000, 0);
    assert_int_equal(rtds(PUT, 20000, 20000, FORCE | EXTRA), 0);
    rtds_is(20000, 20000, EXTRA);
    assert_int_equal(rtds(PUT, 20000, 19000, 0), 0); /* less is never refused */
    assert_int_equal(rtds(PUT, 10000000, 10, 6), 0);
    rtds_is(10000000, 10, 0);
    assert_int_equal(rtds(5, 10000, 1000, 0), -EINVAL);
    assert_int_equal(run_op(XEN_SCHEDULER_CREDIT, GET), -EINVAL);
    leave_pool();
}

static struct xen_domctl_schedparam_vcpu list[200];

static void entry(u32 i, u32 vcpu, u32 period, u32 budget, u32 flags)
{
    list[i].vcpuid = vcpu;
    list[i].u.rtds = (struct xen_domctl_sched_rtds){ period, budget, flags };
}

static long rtds_list(u32 cmd, u32 nr, u64 at)
{
    memset(&op, 0, sizeof(op));
    op.u.scheduler_op.u.v.nr_vcpus = nr;
    op.u.scheduler_op.u.v.vcpus.p = (void *)at;
    return run_op(XEN_SCHEDULER_RTDS, cmd);
}

static void of_vcpus_under_rtds(void **state)
{
    const u64 at = (u64)list;

    (void)state;
    in_pool(XEN_SCHEDULER_RTDS);
    entry(0, 1, 30000, 3000, 0);
    entry(1, 0, 40000, 8000, EXTRA);
    assert_int_equal(rtds_list(PUTV, 2, at), 0);
    assert_int_equal(op.u.scheduler_op.u.v.nr_vcpus, 2);
    entry(0, 0, 0, 0, 0);
    entry(1, 1, 0, 0, 0);
    assert_int_equal(rtds_list(GETV, 2, at), 0);
    assert_int_equal(list[0].u.rtds.period, 40000);
    assert_int_equal(list[0].u.rtds.budget, 8000);
    assert_int_equal(list[0].u.rtds.flags, EXTRA);
    assert_int_equal(list[1].u.rtds.budget, 3000);
    entry(0, 2, 30000, 3000, 0);
    assert_int_equal(rtds_list(PUTV, 1, at), -EINVAL);
    assert_int_equal(rtds_list(GETV, 1, at), -EINVAL);
    entry(0, ~0u, 30000, 3000, 0);
    assert_int_equal(rtds_list(PUTV, 1, at), -EINVAL);
    entry(0, 0, 10000, 9001, 0); /* 10 % are taken */
    assert_int_equal(rtds_list(PUTV, 1, at), -ENOSPC);
    entry(0, 0, 10000, 9000, 0);
    assert_int_equal(rtds_list(PUTV, 1, at), 0);
    entry(0, 0, 10000, 10000, FORCE);
    assert_int_equal(rtds_list(PUTV, 1, at), 0);
    assert_int_equal(rtds_list(PUTV, 0, NOWHERE), 0);
    assert_int_equal(rtds_list(GETV, 0, NOWHERE), 0);
    assert_int_equal(rtds_list(PUTV, 1, NOWHERE), -EFAULT);
    assert_int_equal(rtds_list(GETV, 1, NOWHERE), -EFAULT);
    leave_pool();
}

/* The caller is told how far it came, and goes on from there. */
static void a_long_list_is_done_in_parts(void **state)
{
    (void)state;
    in_pool(XEN_SCHEDULER_RTDS);
    for (u32 i = 0; i < ARRAY_SIZE(list); i++) {
        entry(i, i % 2, 10000, 100 + i, 0);
    }
    yields_after = 101;
    assert_int_equal(rtds_list(PUTV, 200, (u64)list), 0);
    assert_int_equal(op.u.scheduler_op.u.v.nr_vcpus, 100);
    assert_int_equal(rtds_list(GETV, 2, (u64)list), 0);
    assert_int_equal(list[1].u.rtds.budget, 199);
    yields_after = 1; /* but it always gets on */
    assert_int_equal(rtds_list(PUTV, 100, (u64)(list + 100)), 0);
    assert_int_equal(op.u.scheduler_op.u.v.nr_vcpus, 64);
    yields_after = 0;
    assert_int_equal(rtds_list(PUTV, 36, (u64)(list + 164)), 0);
    assert_int_equal(rtds_list(GETV, 2, (u64)list), 0);
    assert_int_equal(list[1].u.rtds.budget, 299);
    leave_pool();
}

/* ---- sedf ---- */

/* Where the caller finds them: in place of credit's. */
static struct tarn_sched_sedf *sedf_at(void)
{
    return (void *)&op.u.scheduler_op.u;
}

static long sedf(u32 cmd, u64 period_us, u64 slice_us, u32 weight, u32 flags)
{
    memset(&op, 0, sizeof(op));
    sedf_at()->period = period_us * 1000;
    sedf_at()->slice = slice_us * 1000;
    sedf_at()->weight = weight;
    sedf_at()->flags = flags;
    return run_op(TARN_SCHEDULER_SEDF, cmd);
}

static void sedf_is(u64 period_us, u64 slice_us, u32 weight, u32 flags)
{
    assert_int_equal(sedf(GET, 7, 7, 7, 7), 0);
    assert_int_equal(sedf_at()->period, period_us * 1000);
    assert_int_equal(sedf_at()->slice, slice_us * 1000);
    assert_int_equal(sedf_at()->latency, 0);
    assert_int_equal(sedf_at()->weight, weight);
    assert_int_equal(sedf_at()->flags, flags);
}

static void of_sedf(void **state)
{
    (void)state;
    in_pool(TARN_SCHEDULER_SEDF);
    sedf_is(0, 0, 1, EXTRA); /* best effort */
    assert_int_equal(sedf(PUT, 20000, 10000, 0, 0), 0);
    sedf_is(20000, 10000, 0, 0);
    assert_int_equal(sedf(PUT, 20000, 10001, 0, 0), -ENOSPC);
    assert_int_equal(sedf(PUT, 20000, 0, 0, 0), -EINVAL);
    assert_int_equal(sedf(PUT, 0, 0, 0, EXTRA), -EINVAL);
    assert_int_equal(sedf(PUT, 9, 9, 0, 0), -EINVAL);
    assert_int_equal(sedf(PUT, 10, 4, 0, 0), -EINVAL);
    assert_int_equal(sedf(PUT, 10, 11, 0, 0), -EINVAL);
    assert_int_equal(sedf(PUT, 10000001, 1000, 0, 0), -EINVAL);
    assert_int_equal(sedf(PUT, ~0ull / 1000, 1000, 0, FORCE), -EINVAL);
    sedf_is(20000, 10000, 0, 0);
    assert_int_equal(sedf(PUT, 20000, 20000, 0, FORCE | EXTRA), 0);
    sedf_is(20000, 20000, 0, EXTRA);
    assert_int_equal(sedf(PUT, 0, 0, 2, EXTRA), 0);
    sedf_is(0, 0, 2, EXTRA);
    assert_int_equal(sedf(PUT, 0, 0, 2, 0), 0); /* in place of a period */
    sedf_is(100000, 47500, 2, 0);
    memset(&op, 0, sizeof(op));
    *sedf_at() = (struct tarn_sched_sedf){ 20000000, 5000000, 40000, 0, EXTRA };
    assert_int_equal(run_op(TARN_SCHEDULER_SEDF, PUT), 0);
    assert_int_equal(sedf(GET, 0, 0, 0, 0), 0);
    assert_int_equal(sedf_at()->latency, 40000);
    assert_int_equal(run_op(TARN_SCHEDULER_SEDF, 7), -EINVAL);
    assert_int_equal(run_op(XEN_SCHEDULER_RTDS, GET), -EINVAL);
    leave_pool();
}

static void of_vcpus_under_sedf(void **state)
{
    struct tarn_schedparam_sedf_vcpu of[2] = {
        { { 20000000, 4000000, 0, 0, EXTRA }, 1, 0 },
        { { 30000000, 15000000, 0, 0, 0 }, 0, 0 },
    };

    (void)state;
    in_pool(TARN_SCHEDULER_SEDF);
    op.u.scheduler_op.u.v.nr_vcpus = 2;
    op.u.scheduler_op.u.v.vcpus.p = (void *)of;
    assert_int_equal(run_op(TARN_SCHEDULER_SEDF, PUTV), 0);
    of[0].vcpuid = 0;
    of[1].vcpuid = 1;
    assert_int_equal(run_op(TARN_SCHEDULER_SEDF, GETV), 0);
    assert_int_equal(of[0].sedf.period, 30000000);
    assert_int_equal(of[0].sedf.slice, 15000000);
    assert_int_equal(of[1].sedf.slice, 4000000);
    assert_int_equal(of[1].sedf.flags, EXTRA);
    of[1].sedf.slice = 10000001;
    op.u.scheduler_op.u.v.nr_vcpus = 2;
    of[1].sedf.slice = 12000000;
    assert_int_equal(run_op(TARN_SCHEDULER_SEDF, PUTV), -ENOSPC);
    of[1].vcpuid = 2;
    op.u.scheduler_op.u.v.nr_vcpus = 2;
    assert_int_equal(run_op(TARN_SCHEDULER_SEDF, GETV), -EINVAL);
    leave_pool();
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(of_credit),
        TEST(of_null),
        TEST(of_rtds),
        TEST(of_vcpus_under_rtds),
        TEST(a_long_list_is_done_in_parts),
        TEST(of_sedf),
        TEST(of_vcpus_under_sedf),
    };

    return cmocka_run_group_tests_name("domctl_sched", tests, NULL, NULL);
}
