/* SPDX-License-Identifier: MIT */
/* sources: sched/group.c kernel/ops/tarn_group.c sched/bandwidth.c
 * sched/credit_tree.c sched/schedule.c sched/member.c sched/pool.c sched/affinity.c sched/cpupool.c
 * sched/null.c sched/rr.c sched/rtds.c sched/rtds_queue.c sched/sedf.c sched/sedf_params.c
 * sched/credit.c sched/credit_queue.c sched/credit_account.c sched/credit_place.c
 * sched/credit_share.c sched/credit_dump.c lib/printf.c lib/spinlock.c lib/str.c lib/timer_heap.c
 * arch/x86/cpu/timer.c tests/unit/pcpus.c tests/unit/groups.c */
/* Scheduling domains: everything at random, while vcpus run, against a model of a few lines. */
#include "groups.h"

#define POOLS 4u /* two of credit, one of another scheduler, and one without a CPU */

static struct model {
    bool exists;
    u32 master, pool, weight, cap, inner_weight, inner_cap, self_weight, self_cap;
} model[DOMS_MAX];
static u32 pool_ids[POOLS];
static bool resets[POOLS];
static u32 outcomes[200]; /* how often each errno */

static u32 rnd(u32 below)
{
    return (u32)random() % below;
}

static u32 some(void)
{
    return rnd(20) ? rnd(DOMS_MAX) : NOBODY;
}

static bool there(u32 slot)
{
    return slot != NOBODY && model[slot].exists;
}

static u32 members_of(u32 master)
{
    u32 n = 0;

    for (u32 slot = 0; slot < DOMS_MAX; slot++) {
        n += there(slot) && model[slot].master == master;
    }
    return n;
}

static u32 level(u32 slot)
{
    return slot == NONE ? 0 : 1 + level(model[slot].master);
}

static bool is_below(u32 slot, u32 top)
{
    return slot != NONE && (slot == top || is_below(model[slot].master, top));
}

static u32 levels_from(u32 top)
{
    u32 most = 0;

    for (u32 slot = 0; slot < DOMS_MAX; slot++) {
        if (there(slot) && is_below(slot, top)) {
            most = MAX(most, level(slot));
        }
    }
    return most - level(top) + 1;
}

static u32 deepest(u32 pool)
{
    u32 found = NOBODY;

    for (u32 slot = 0; slot < DOMS_MAX; slot++) {
        if (there(slot) && model[slot].pool == pool &&
            (found == NOBODY || level(slot) > level(found))) {
            found = slot;
        }
    }
    return found;
}

static void expect(long rc, long want)
{
    assert_int_equal(rc, want);
    outcomes[-want]++;
}

static void model_release(u32 slot)
{
    u32 master = model[slot].master;

    model[slot].master = NONE;
    model[slot].inner_weight = 256;
    model[slot].inner_cap = 0;
    if (members_of(master) == 0) {
        model[master].self_weight = 256;
        model[master].self_cap = 0;
    }
}

static void model_release_members(u32 master)
{
    for (u32 slot = 0; slot < DOMS_MAX; slot++) {
        if (there(slot) && model[slot].master == master) {
            model_release(slot);
        }
    }
}

static long model_add(u32 slot, u32 master, u32 weight, u32 cap)
{
    if (!there(slot) || !there(master)) {
        return -ESRCH;
    }
    if (slot == master) {
        return -EINVAL;
    }
    if (model[slot].pool != model[master].pool) {
        return -EXDEV;
    }
    if (model[slot].master != NONE) {
        return -EBUSY;
    }
    if (is_below(master, slot)) {
        return -EINVAL;
    }
    if (level(master) + levels_from(slot) > TARN_GROUP_DEPTH) {
        return -E2BIG;
    }
    model[slot].master = master;
    model[slot].inner_weight = weight ? weight : 256;
    model[slot].inner_cap = cap;
    return 0;
}

static long model_set(u32 slot, u32 master, u32 weight, u32 cap)
{
    if (!there(slot) || !there(master)) {
        return -ESRCH;
    }
    weight = weight ? weight : 256;
    if (slot == master) {
        if (!members_of(slot)) {
            return -ENOENT;
        }
        model[slot].self_weight = weight;
        model[slot].self_cap = cap;
        return 0;
    }
    if (model[slot].master != master) {
        return -ENOENT;
    }
    model[slot].inner_weight = weight;
    model[slot].inner_cap = cap;
    return 0;
}

static void random_links(void)
{
    u32 slot = some(), master = some(), weight = rnd(3) * rnd(1000), cap = rnd(2) * rnd(150);
    long want;

    switch (rnd(12)) {
    case 0:
        want = !there(slot) ? -ESRCH : model[slot].master == NONE ? -ENOENT : 0;
        if (want == 0) {
            model_release(slot);
        }
        expect(remove_it(slot), want);
        break;
    case 1:
        if (rnd(4)) {
            break; /* not too often, or no tree grows */
        }
        want = !there(master) ? -ESRCH : members_of(master) ? 0 : -ENOENT;
        if (want == 0) {
            model_release_members(master);
        }
        expect(dissolve(master), want);
        break;
    case 2:
    case 3:
        master = rnd(2) && there(slot) && model[slot].master != NONE ? model[slot].master : master;
        master = rnd(4) ? master : slot;
        want = model_set(slot, master, weight, cap);
        expect(set(slot, master, weight, cap), want);
        break;
    default:
        master = rnd(2) && there(slot) ? deepest(model[slot].pool) : master;
        want = model_add(slot, master, weight, cap);
        expect(group_op(TARN_OP_group_add, slot, master, weight, cap), want);
    }
}

static void model_move(u32 top, u32 pool)
{
    for (u32 slot = 0; slot < DOMS_MAX; slot++) {
        if (there(slot) && is_below(slot, top)) {
            model[slot].pool = pool;
            model[slot].weight = resets[pool] ? 256 : model[slot].weight;
            model[slot].cap = resets[pool] ? 0 : model[slot].cap;
        }
    }
}

static void random_move(u32 slot)
{
    u32 pool = rnd(2) ? 0 : rnd(POOLS);
    long want = model[slot].master != NONE ? -EBUSY : pool == POOLS - 1 ? -ENOENT : 0;

    if (want == 0 && model[slot].pool != pool) {
        model_move(slot, pool);
    }
    expect(move_tree(slot, pool_ids[pool]), want);
}

static void random_birth(u32 slot)
{
    u32 pool = rnd(4) ? 0 : rnd(3); /* most in one, or no tree becomes too deep */

    model[slot] = (struct model){ .exists = true,
                                  .master = NONE,
                                  .pool = pool,
                                  .weight = 256,
                                  .inner_weight = 256,
                                  .self_weight = 256 };
    (void)create_in(pool_ids[pool], slot, 1);
    clear_flags(0, doms[slot]->vcpu[0], VPF_DOWN);
}

static void random_death(u32 slot)
{
    settle();
    destroy(slot);
    model_release_members(slot);
    if (model[slot].master != NONE) {
        model_release(slot);
    }
    model[slot].exists = false;
}

static void random_shares(u32 slot)
{
    u32 weight = rnd(3) ? 1 + rnd(1000) : ~0u, cap = rnd(2) ? rnd(200) : ~0u;
    bool member = model[slot].master != NONE;
    long want = member && (weight != ~0u || cap != ~0u) ? -EBUSY : 0;

    if (want == 0) {
        model[slot].weight = weight != ~0u ? weight : model[slot].weight;
        model[slot].cap = cap != ~0u ? cap : model[slot].cap;
    }
    expect(adjust(doms[slot], weight, cap), want);
}

static void random_life(u32 slot)
{
    u32 what = rnd(8);

    if (!there(slot)) {
        random_birth(slot);
    } else if (what == 0) {
        random_death(slot);
    } else if (what < 3) {
        random_move(slot);
    } else if (what < 5) {
        random_shares(slot);
    } else if (what < 6) {
        set_flags(rnd(CPUS), doms[slot]->vcpu[0], VPF_BLOCKED);
    } else {
        clear_flags(rnd(CPUS), doms[slot]->vcpu[0], VPF_BLOCKED);
    }
}

static void check_model(void)
{
    for (u32 slot = 0; slot < DOMS_MAX; slot++) {
        const struct model *m = &model[slot];

        if (there(slot)) {
            check_info(slot, m->master, m->inner_weight, m->inner_cap, members_of(slot));
            check_self(slot, m->self_weight, m->self_cap);
            assert_int_equal(pool_of(slot), pool_ids[m->pool]);
            assert_int_equal(doms[slot]->sched.weight, m->weight);
            assert_int_equal(doms[slot]->sched.cap, m->cap);
        }
    }
    assert_null(placeless);
}

static void random_reset(u32 pool)
{
    resets[pool] = !resets[pool];
    assert_int_equal(set_flags_of_pool(pool_ids[pool], resets[pool] ? TARN_POOL_reset_on_move : 0),
                     0);
}

static void make_pools(u32 sched)
{
    struct sched_pool *p;

    memset(model, 0, sizeof(model));
    memset(resets, 0, sizeof(resets));
    pool_ids[1] = pool_with_cpu(CREDIT, 2);
    p = pool_get(pool_ids[1]);
    p->ops = &spy;
    pool_put(p);
    pool_ids[2] = pool_with_cpu(sched, 3);
    pool_ids[3] = POOL_ANY;
    assert_int_equal(make_pool(&pool_ids[3], CREDIT), 0);
}

static void end_pools(void)
{
    settle();
    for (u32 slot = 0; slot < DOMS_MAX; slot++) {
        if (doms[slot]) {
            destroy(slot);
        }
    }
    assert_int_equal(set_flags_of_pool(0, 0), 0);
    end_pool(pool_ids[1], 2);
    end_pool(pool_ids[2], 3);
    assert_int_equal(unmake_pool(pool_ids[3]), 0);
}

static void rounds(u32 n)
{
    for (u32 round = 0; round < n; round++) {
        if (rnd(round / 1000 % 2 ? 4 : 40)) {
            random_links();
        } else {
            random_life(rnd(DOMS_MAX));
        }
        check_model();
        if (rnd(4) == 0) {
            clock_ns += rnd(20000000);
            settle();
        }
        if (rnd(64) == 0) {
            random_reset(rnd(3));
        }
    }
}

static void at_random(void **state)
{
    static const u32 others[] = { RTDS, 9, TARN_SCHEDULER_SEDF, TARN_SCHEDULER_RR };
    static const int all[] = { 0, ESRCH, EINVAL, EXDEV, EBUSY, E2BIG, ENOENT };

    (void)state;
    for (u32 i = 0; i < ARRAY_SIZE(others); i++) {
        make_pools(others[i]);
        rounds(10000);
        end_pools();
    }
    for (u32 i = 0; i < ARRAY_SIZE(all); i++) {
        assert_true(outcomes[all[i]] > 20);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(at_random, setup_group, teardown),
    };

    return cmocka_run_group_tests_name("group model", tests, NULL, NULL);
}
