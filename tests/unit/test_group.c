/* SPDX-License-Identifier: MIT */
/* sources: sched/group.c kernel/ops/tarn_group.c kernel/ops/domctl_sched.c sched/bandwidth.c
 * sched/credit_tree.c sched/schedule.c sched/member.c sched/pool.c sched/affinity.c sched/cpupool.c
 * sched/null.c sched/rr.c sched/rtds.c sched/rtds_queue.c sched/sedf.c sched/sedf_params.c
 * sched/credit.c sched/credit_queue.c sched/credit_account.c sched/credit_place.c
 * sched/credit_share.c sched/credit_dump.c lib/printf.c lib/spinlock.c lib/str.c lib/timer_heap.c
 * arch/x86/cpu/timer.c tests/unit/pcpus.c tests/unit/groups.c */
/*
 * Scheduling domains, by their hypercall: who may join whom, each errno, what is left when somebody
 * leaves or dies, and trees that move as a unit.
 */
#include "groups.h"

#include <tarn/hypercall.h>

#include "../../kernel/ops/domctl.h"

/* ---- Helpers ----------------------------------------------------------------------------- */

static struct domain *runner(u32 slot)
{
    struct domain *d = create(slot, 1, 256 + slot, slot, ~0ul);

    clear_flags(0, d->vcpu[0], VPF_DOWN);
    settle();
    return d;
}

static void runners(u32 n)
{
    for (u32 slot = 0; slot < n; slot++) {
        (void)runner(slot);
    }
}

static void goes_on(void)
{
    settle();
    for (u32 i = 0; i < 20; i++) {
        clock_ns += 10 * NSEC_PER_MSEC;
        settle();
    }
}

/* ---- Who may join whom ------------------------------------------------------------------- */

static void joins_and_leaves(void **state)
{
    (void)state;
    runners(3);
    check_alone(0);
    assert_int_equal(group_op(TARN_OP_group_add, 1, 0, 300, 40), 0);
    assert_int_equal(steps, 2);
    assert_int_equal(add(2, 0), 0);
    check_info(0, NONE, 256, 0, 2);
    check_info(1, 0, 300, 40, 0);
    check_info(2, 0, 256, 0, 0); /* the defaults */
    goes_on();
    assert_int_equal(remove_it(1), 0);
    check_info(0, NONE, 256, 0, 1);
    check_alone(1);
    assert_int_equal(doms[1]->sched.weight, 257); /* its own, as they were */
    assert_int_equal(doms[1]->sched.cap, 1);
    goes_on();
    assert_int_equal(remove_it(2), 0);
    check_alone(0);
    check_alone(2);
    assert_int_equal(add(0, 2), 0); /* now the other way round */
    check_info(2, NONE, 256, 0, 1);
    goes_on();
}

static void refused_to_join(void **state)
{
    u32 pool = pool_with_cpu(RTDS, 3);

    (void)state;
    runners(4);
    assert_int_equal(add(NOBODY, 0), -ESRCH);
    assert_int_equal(add(0, NOBODY), -ESRCH);
    assert_int_equal(add(NOBODY, NOBODY), -ESRCH);
    assert_int_equal(add(0, 0), -EINVAL);
    assert_int_equal(add(1, 0), 0);
    assert_int_equal(add(1, 0), -EBUSY);
    assert_int_equal(add(1, 2), -EBUSY);
    assert_int_equal(add(1, 1), -EINVAL);
    assert_int_equal(add(0, 1), -EINVAL); /* it stands above it */
    assert_int_equal(add(2, 1), 0);
    assert_int_equal(add(0, 2), -EINVAL);
    assert_int_equal(move(3, pool), 0);
    assert_int_equal(add(3, 0), -EXDEV);
    assert_int_equal(add(0, 3), -EXDEV);
    assert_int_equal(add(2, 3), -EXDEV);
    doms[2]->dying = doms[3]->dying = DOMAIN_DYING;
    assert_int_equal(move(3, 0), 0);
    assert_int_equal(add(3, 0), -ESRCH);
    assert_int_equal(add(0, 3), -ESRCH);
    check_info(0, NONE, 256, 0, 1);
    check_info(1, 0, 256, 0, 1);
    check_info(2, 1, 256, 0, 0);
    check_alone(3);
    end_pool(pool, 3);
}

/* What the hypercall can't say. */
static void out_of_range(void **state)
{
    (void)state;
    runners(2);
    assert_int_equal(sched_group_add(doms[1], doms[0], 65536, 0), -EINVAL);
    assert_int_equal(sched_group_add(doms[1], doms[0], 1, 65536), -EINVAL);
    assert_int_equal(group_op(TARN_OP_group_add, 1, 0, 65535, 65535), 0);
    check_info(1, 0, 65535, 65535, 0);
    assert_int_equal(sched_group_set(doms[1], doms[0], 65536, 0), -EINVAL);
    assert_int_equal(sched_group_set(doms[1], doms[0], 0, 65536), -EINVAL);
    check_info(1, 0, 65535, 65535, 0);
}

static void bad_addresses(void **state)
{
    (void)state;
    for (u64 cmd = TARN_OP_group_add; cmd <= TARN_OP_group_info; cmd++) {
        assert_int_equal(tarn_group(cmd, NOWHERE), -EFAULT);
    }
    assert_int_equal(group_op(TARN_OP_group_info, NOBODY, 0, 0, 0), -ESRCH);
}

static void refused_to_leave(void **state)
{
    (void)state;
    runners(3);
    assert_int_equal(remove_it(0), -ENOENT);
    assert_int_equal(remove_it(NOBODY), -ESRCH);
    assert_int_equal(dissolve(0), -ENOENT);
    assert_int_equal(dissolve(NOBODY), -ESRCH);
    assert_int_equal(add(1, 0), 0);
    assert_int_equal(remove_it(0), -ENOENT);
    assert_int_equal(dissolve(1), -ENOENT);
    assert_int_equal(set(0, 1, 1, 1), -ENOENT); /* the wrong way round */
    assert_int_equal(set(2, 0, 1, 1), -ENOENT);
    assert_int_equal(set(1, 2, 1, 1), -ENOENT);
    assert_int_equal(set(1, 1, 1, 1), -ENOENT); /* it has none itself */
    assert_int_equal(set(NOBODY, 1, 1, 1), -ESRCH);
    assert_int_equal(set(1, NOBODY, 1, 1), -ESRCH);
    assert_int_equal(steps, 2);
    check_info(1, 0, 256, 0, 0);
    check_self(0, 256, 0);
}

static void depth(void **state)
{
    (void)state;
    runners(12);
    for (u32 slot = 1; slot < TARN_GROUP_DEPTH; slot++) {
        assert_int_equal(add(slot, slot - 1), 0);
    }
    assert_int_equal(add(8, 7), -E2BIG);
    assert_int_equal(add(8, 6), 0);
    assert_int_equal(add(10, 9), 0);
    assert_int_equal(add(11, 10), 0); /* three levels */
    assert_int_equal(add(9, 5), -E2BIG);
    assert_int_equal(add(9, 4), 0);
    check_info(9, 4, 256, 0, 1);
    check_info(4, 3, 256, 0, 2);
    assert_int_equal(remove_it(4), 0); /* and with it what is below it */
    check_info(4, NONE, 256, 0, 2);
    check_info(9, 4, 256, 0, 1);
    goes_on();
    assert_int_equal(add(4, 0), 0);
    assert_int_equal(add(1, 7), -EBUSY);
    assert_int_equal(remove_it(1), 0);
    assert_int_equal(add(1, 7), 0);       /* five levels, and three */
    assert_int_equal(add(0, 3), -EINVAL); /* not too deep: in a circle */
    assert_int_equal(add(8, 3), -EBUSY);
    goes_on();
}

/* The deepest of several branches counts. */
static void depth_of_branches(void **state)
{
    (void)state;
    runners(10);
    for (u32 slot = 1; slot < 6; slot++) {
        assert_int_equal(add(slot, slot - 1), 0);
    }
    assert_int_equal(add(7, 6), 0);
    assert_int_equal(add(8, 6), 0);
    assert_int_equal(add(9, 8), 0);
    assert_int_equal(add(6, 5), -E2BIG);
    assert_int_equal(add(6, 4), 0);
}

/* ---- What they have inside --------------------------------------------------------------- */

static void inner_values(void **state)
{
    (void)state;
    runners(3);
    assert_int_equal(add(1, 0), 0);
    assert_int_equal(add(2, 1), 0);
    assert_int_equal(set(1, 0, 512, 25), 0);
    assert_int_equal(changes, 1);
    assert_int_equal(set(0, 0, 100, 7), 0);
    assert_int_equal(set(1, 1, 200, 8), 0);
    assert_int_equal(set(2, 1, 0, 0), 0);
    check_info(1, 0, 512, 25, 1);
    check_self(0, 100, 7);
    check_self(1, 200, 8);
    check_info(2, 1, 256, 0, 0);
    assert_int_equal(remove_it(1), 0); /* it keeps what it has as a master */
    check_info(1, NONE, 256, 0, 1);
    check_self(1, 200, 8);
    check_self(0, 256, 0);
    changes = 0;
    assert_int_equal(remove_it(2), 0);
    check_alone(1);
    assert_int_equal(changes, 1);
    assert_int_equal(add(1, 0), 0);
    check_info(1, 0, 256, 0, 0);
}

static struct xen_domctl op;

static long credit_op(u32 slot, u32 cmd, u32 weight, u32 cap)
{
    memset(&op, 0, sizeof(op));
    op.u.scheduler_op.sched_id = CREDIT;
    op.u.scheduler_op.cmd = cmd;
    op.u.scheduler_op.u.credit.weight = (u16)weight;
    op.u.scheduler_op.u.credit.cap = (u16)cap;
    return domctl_scheduler_op(doms[slot], &op);
}

/* A member's own weight and cap: they are told, but can't be changed. */
static void own_values_rest(void **state)
{
    struct domain *d;

    (void)state;
    runners(3);
    d = doms[1];
    assert_int_equal(adjust(d, 700, 30), 0);
    assert_int_equal(add(1, 0), 0);
    assert_int_equal(add(2, 1), 0);
    changes = 0;
    assert_int_equal(adjust(d, 1, ~0u), -EBUSY);
    assert_int_equal(adjust(d, ~0u, 1), -EBUSY);
    assert_int_equal(adjust(d, 700, 30), -EBUSY);
    assert_int_equal(adjust(d, 0, 1), -EINVAL);
    assert_int_equal(adjust(d, ~0u, ~0u), 0); /* as it is */
    assert_int_equal(credit_op(1, XEN_DOMCTL_SCHEDOP_putinfo, 512, 10), -EBUSY);
    assert_int_equal(credit_op(1, XEN_DOMCTL_SCHEDOP_putinfo, 0, 10), -EBUSY);
    assert_int_equal(credit_op(1, XEN_DOMCTL_SCHEDOP_putinfo, 512, 0xffff), -EBUSY);
    assert_int_equal(credit_op(1, XEN_DOMCTL_SCHEDOP_putinfo, 0, 0xffff), 0);
    assert_int_equal(credit_op(1, XEN_DOMCTL_SCHEDOP_getinfo, 0, 0), 0);
    assert_int_equal(op.u.scheduler_op.u.credit.weight, 700);
    assert_int_equal(op.u.scheduler_op.u.credit.cap, 30);
    assert_int_equal(credit_op(0, XEN_DOMCTL_SCHEDOP_putinfo, 512, 10), 0); /* of the whole group */
    assert_int_equal(doms[0]->sched.weight, 512);
    assert_int_equal(doms[0]->sched.cap, 10);
    assert_int_equal(remove_it(1), 0);
    assert_int_equal(d->sched.weight, 700);
    assert_int_equal(d->sched.cap, 30);
    assert_int_equal(adjust(d, 1, 2), 0);
    assert_int_equal(adjust(doms[2], 1, 2), -EBUSY);
}

/* ---- The end of a domain ----------------------------------------------------------------- */

static void dissolved(void **state)
{
    (void)state;
    runners(5);
    assert_int_equal(add(1, 0), 0);
    assert_int_equal(add(2, 0), 0);
    assert_int_equal(add(3, 2), 0);
    assert_int_equal(add(4, 0), 0);
    assert_int_equal(set(0, 0, 1, 1), 0);
    assert_int_equal(dissolve(0), 0);
    check_alone(0);
    check_alone(1);
    check_info(2, NONE, 256, 0, 1); /* only those of this one */
    check_info(3, 2, 256, 0, 0);
    check_alone(4);
    assert_int_equal(dissolve(0), -ENOENT);
    goes_on();
}

static void a_member_dies(void **state)
{
    (void)state;
    runners(3);
    assert_int_equal(group_op(TARN_OP_group_add, 1, 0, 99, 9), 0);
    assert_int_equal(add(2, 0), 0);
    assert_int_equal(set(0, 0, 9, 9), 0);
    destroy(1);
    check_info(0, NONE, 256, 0, 1);
    check_self(0, 9, 9); /* until the last one goes */
    check_info(2, 0, 256, 0, 0);
    goes_on();
    destroy(2);
    check_alone(0);
    goes_on();
}

static void the_master_dies(void **state)
{
    (void)state;
    runners(3);
    assert_int_equal(adjust(doms[1], 700, 30), 0);
    assert_int_equal(group_op(TARN_OP_group_add, 1, 0, 99, 9), 0);
    assert_int_equal(add(2, 0), 0);
    destroy(0);
    check_alone(1);
    check_alone(2);
    assert_int_equal(doms[1]->sched.weight, 700);
    assert_int_equal(doms[1]->sched.cap, 30);
    assert_int_equal(adjust(doms[1], 1, 0), 0);
    goes_on();
}

static void the_middle_dies(void **state)
{
    (void)state;
    runners(5);
    for (u32 slot = 1; slot < 5; slot++) {
        assert_int_equal(add(slot, slot == 4 ? 2 : slot - 1), 0);
    }
    steps = 0;
    destroy(2);
    assert_int_equal(steps, 6); /* two members and itself */
    check_info(0, NONE, 256, 0, 1);
    check_info(1, 0, 256, 0, 0);
    check_alone(3);
    check_alone(4);
    goes_on();
}

/* One that stands still is a member like any other. */
static void a_crash_changes_nothing(void **state)
{
    (void)state;
    runners(3);
    assert_int_equal(adjust(doms[2], 256, 0), 0);
    assert_int_equal(add(1, 0), 0);
    assert_int_equal(add(2, 1), 0);
    set_flags(0, doms[1]->vcpu[0], VPF_PAUSED);
    goes_on();
    check_info(1, 0, 256, 0, 1);
    set_flags(0, doms[0]->vcpu[0], VPF_PAUSED);
    goes_on();
    assert_true(doms[2]->vcpu[0]->unit.running);
    clear_flags(0, doms[1]->vcpu[0], VPF_PAUSED);
    goes_on();
    check_info(0, NONE, 256, 0, 1);
}

/* Only what has left its group leaves the pool's last CPU free. */
static void the_dying_are_evicted_alone(void **state)
{
    u32 pool = pool_with_cpu(CREDIT, 3);

    (void)state;
    (void)create_in(pool, 0, 1);
    (void)create_in(pool, 1, 1);
    assert_int_equal(add(1, 0), 0);
    doms[0]->dying = doms[1]->dying = DOMAIN_DYING;
    assert_int_equal(take(0, pool, 3), -EBUSY);
    check_info(1, 0, 256, 0, 0);
    sched_group_leave(doms[0]);
    check_alone(0);
    check_alone(1);
    sched_group_leave(doms[0]); /* there is none any more */
    end_pool(pool, 3);
    assert_int_equal(pool_of(0), 0);
    assert_int_equal(pool_of(1), 0);
}

/* ---- From pool to pool ------------------------------------------------------------------- */

/* 0 over 1 over 2 and 3; 0 over 4; 5 alone. */
static void family(void)
{
    runners(6);
    assert_int_equal(group_op(TARN_OP_group_add, 1, 0, 100, 10), 0);
    assert_int_equal(group_op(TARN_OP_group_add, 2, 1, 200, 20), 0);
    assert_int_equal(group_op(TARN_OP_group_add, 3, 1, 300, 30), 0);
    assert_int_equal(group_op(TARN_OP_group_add, 4, 0, 400, 40), 0);
    assert_int_equal(set(0, 0, 500, 50), 0);
    assert_int_equal(set(1, 1, 600, 60), 0);
}

static void check_family(u32 pool)
{
    check_info(0, NONE, 256, 0, 2);
    check_info(1, 0, 100, 10, 2);
    check_info(2, 1, 200, 20, 0);
    check_info(3, 1, 300, 30, 0);
    check_info(4, 0, 400, 40, 0);
    check_self(0, 500, 50);
    check_self(1, 600, 60);
    check_alone(5);
    assert_int_equal(pool_of(5), 0);
    for (u32 slot = 0; slot < 5; slot++) {
        assert_int_equal(pool_of(slot), pool);
    }
}

static void in_turn(void **state)
{
    static const u32 order[] = { 0, 1, 2, 3, 4 };
    u32 n = 0;

    (void)state;
    family();
    for (struct domain *d = doms[0]; d; d = sched_group_next(doms[0], d)) {
        assert_true(n < ARRAY_SIZE(order));
        assert_ptr_equal(d, doms[order[n++]]);
    }
    assert_int_equal(n, 5);
    for (struct domain *d = doms[1]; d; d = sched_group_next(doms[1], d)) {
        n--;
    }
    assert_int_equal(n, 2);
    assert_null(sched_group_next(doms[4], doms[4]));
    assert_null(sched_group_next(doms[5], doms[5]));
}

/* Under any scheduler: those that know no groups keep them all the same. */
static void moves_as_a_unit(void **state)
{
    (void)state;
    family();
    for (u32 i = 0; sched_policies[i]; i++) {
        u32 pool = pool_with_cpu(sched_policies[i]->id, 3);
        struct sched_pool *p = pool_get(pool);

        if (p->ops == &sched_credit) {
            p->ops = &spy;
        }
        pool_put(p);
        assert_int_equal(adjust(doms[0], 1000, 90), 0);
        steps = 0;
        assert_int_equal(move_tree(0, pool), 0);
        assert_int_equal(steps, p->ops == &spy ? 16 : 8); /* twice two a member and pool */
        check_family(pool);
        goes_on();
        assert_int_equal(add(5, 0), -EXDEV);
        assert_int_equal(set(3, 1, 300, 30), 0);
        assert_int_equal(adjust(doms[3], 1, 1), -EBUSY);
        assert_int_equal(doms[0]->sched.weight, 1000);
        assert_int_equal(doms[0]->sched.cap, 90);
        assert_int_equal(doms[3]->sched.weight, 259);
        assert_int_equal(move_tree(0, 0), 0);
        check_family(0);
        goes_on();
        end_pool(pool, 3);
    }
}

static void refused_to_move(void **state)
{
    u32 pool = pool_with_cpu(CREDIT, 3), empty = POOL_ANY;

    (void)state;
    assert_int_equal(make_pool(&empty, CREDIT), 0);
    family();
    for (u32 slot = 1; slot < 5; slot++) {
        assert_int_equal(move_tree(slot, pool), -EBUSY);
        assert_int_equal(move_tree(slot, empty), -EBUSY);
    }
    assert_int_equal(move_tree(0, empty), -ENOENT);
    check_family(0);
    assert_int_equal(move_tree(0, 0), 0);
    check_family(0);
    goes_on();
    assert_int_equal(unmake_pool(empty), 0);
    end_pool(pool, 3);
}

/* What is its own begins anew; what it has in the group is the group's. */
static void reset_on_move(void **state)
{
    u32 pool = pool_with_cpu(CREDIT, 3);

    (void)state;
    family();
    set_affinity(0, doms[2]->vcpu[0], 3, 3);
    assert_int_equal(set_flags_of_pool(pool, TARN_POOL_reset_on_move), 0);
    assert_int_equal(move_tree(0, pool), 0);
    check_family(pool);
    for (u32 slot = 0; slot < 5; slot++) {
        assert_int_equal(doms[slot]->sched.weight, 256);
        assert_int_equal(doms[slot]->sched.cap, 0);
    }
    assert_int_equal(doms[2]->vcpu[0]->hard_given.bits[0], ~0ul);
    assert_int_equal(move_tree(0, 0), 0);
    end_pool(pool, 3);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup_group, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(joins_and_leaves),
        TEST(refused_to_join),
        TEST(out_of_range),
        TEST(bad_addresses),
        TEST(refused_to_leave),
        TEST(depth),
        TEST(depth_of_branches),
        TEST(inner_values),
        TEST(own_values_rest),
        TEST(dissolved),
        TEST(a_member_dies),
        TEST(the_master_dies),
        TEST(the_middle_dies),
        TEST(a_crash_changes_nothing),
        TEST(the_dying_are_evicted_alone),
        TEST(in_turn),
        TEST(moves_as_a_unit),
        TEST(refused_to_move),
        TEST(reset_on_move),
    };

    return cmocka_run_group_tests_name("group", tests, NULL, NULL);
}
