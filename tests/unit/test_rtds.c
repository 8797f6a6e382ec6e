/* SPDX-License-Identifier: MIT */
/* sources: sched/rtds.c sched/rtds_queue.c lib/printf.c tests/unit/schedsim.c */
/* The real-time policy in the simulator: shares, deadlines, admission, and everything at random. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include <tarn/errno.h>

#include "../../sched/rtds.h"
#include "schedsim.h"

static bool has_budget(const struct sched_unit *u)
{
    return rtds_priv(u)->left > 0;
}

static struct sim *new_sim(u32 cpus, u64 seed)
{
    struct sim *s = sim_new(&sched_rtds, cpus, seed);

    s->any_slice = true;
    s->ready = has_budget;
    s->tickle_delay = 1000;
    s->switch_cost = 0;
    return s;
}

static int set(struct sim *s, struct sim_unit *u, u64 period_us, u64 budget_us, bool extra)
{
    struct sched_rt rt = { period_us, budget_us, 0, 0, extra };

    return sim_rt(s, u, &rt, false);
}

static int set_forced(struct sim *s, struct sim_unit *u, u64 period_us, u64 budget_us, bool extra)
{
    struct sched_rt rt = { period_us, budget_us, 0, 0, extra };

    return sim_rt(s, u, &rt, true);
}

static struct sim_unit *burner(struct sim *s, u64 period_us, u64 budget_us, bool extra)
{
    struct sim_unit *u = sim_unit(s, sim_dom(s, 256, 0), NULL, NULL, sim_burner, 0, 0);

    assert_int_equal(set_forced(s, u, period_us, budget_us, extra), 0);
    return u;
}

/* ---- Shares ------------------------------------------------------------------------------ */

static void defaults(void **state)
{
    struct sim *s = new_sim(1, 1);
    struct sim_unit *u = sim_unit(s, sim_dom(s, 256, 0), NULL, NULL, sim_burner, 0, 0);
    struct sched_rt rt = { .latency_us = 11, .weight = 22 };

    (void)state;
    s->pool.ops->rt_get(&s->pool, &u->unit, &rt);
    assert_int_equal(rt.period_us, 10000);
    assert_int_equal(rt.budget_us, 4000);
    assert_true(rt.extratime);
    assert_int_equal(rt.latency_us, 11);
    assert_int_equal(rt.weight, 22);
    sim_run(s, SEC);
    NEAR(sim_share(u, SEC), 100, 0.01); /* all of it is extra time */
    sim_free(s);
}

/* Exact whatever the timers' and the switches' delays, and whoever is beside it. */
static void budget_beside_burner(void **state)
{
    (void)state;
    for (u32 i = 0; i < 8; i++) {
        struct sim *s = new_sim(1, 1);
        struct sim_unit *u = burner(s, 10000, 4000, false);
        struct sim_unit *v = i & 1 ? burner(s, 10000, 4000, true) : NULL;

        s->tickle_delay = i & 2 ? 20 * US : 1000;
        s->timer_delay = i & 4 ? 50 * US : 0;
        sim_run(s, 10 * SEC);
        NEAR(sim_share(u, 10 * SEC), 40.0, 0.05);
        if (v) {
            NEAR(sim_share(v, 10 * SEC), 60, 0.05);
        }
        sim_free(s);
    }
}

static void tiny_budget(void **state)
{
    struct sim *s = new_sim(1, 1);
    struct sim_unit *u = burner(s, 100, 10, false), *v = burner(s, 10000, 4000, true);

    (void)state;
    s->timer_delay = 25 * US; /* more than a budget: it pays */
    sim_run(s, SEC);
    NEAR(sim_share(u, SEC), 10, 0.2);
    NEAR(sim_share(v, SEC), 90, 0.2);
    sim_free(s);
}

static void extratime_is_shared(void **state)
{
    struct sim *s = new_sim(1, 1);
    struct sim_unit *a = burner(s, 10000, 4000, false), *b = burner(s, 10000, 2000, true),
                    *c = burner(s, 10000, 2000, true);

    (void)state;
    sim_run(s, 10 * SEC);
    NEAR(sim_share(a, 10 * SEC), 40, 0.1);
    NEAR(sim_share(b, 10 * SEC), 30, 0.5);
    NEAR(sim_share(c, 10 * SEC), 30, 0.5);
    assert_int_equal(set(s, a, 10000, 4000, true), 0);
    assert_int_equal(set(s, b, 10000, 2000, false), 0);
    sim_reset(s);
    sim_run(s, 10 * SEC);
    NEAR(sim_share(b, 10 * SEC), 20, 0.1);
    NEAR(sim_share(a, 10 * SEC) + sim_share(c, 10 * SEC), 80, 0.1);
    assert_true(sim_share(a, 10 * SEC) >= 40 && sim_share(c, 10 * SEC) >= 20);
    sim_free(s);
}

static void equals_share_equally(void **state)
{
    (void)state;
    for (u32 cpus = 1; cpus <= 2; cpus++) {
        struct sim *s = new_sim(cpus, 1);

        for (u32 i = 0; i < 3; i++) {
            burner(s, 10000, 3000, true);
        }
        sim_run(s, 10 * SEC);
        for (u32 i = 0; i < 3; i++) {
            NEAR(sim_share(&s->unit[i], 10 * SEC), 100.0 * cpus / 3, 0.5);
        }
        sim_free(s);
    }
}

static void budget_changes(void **state)
{
    struct sim *s = new_sim(1, 1);
    struct sim_unit *u = burner(s, 10000, 4000, false);
    static const u32 budgets[] = { 1000, 9000, 5000, 10000, 100 };

    (void)state;
    burner(s, 100000, 10, true);
    for (u32 i = 0; i < ARRAY_SIZE(budgets); i++) {
        sim_run(s, 3300 * US);
        assert_int_equal(set_forced(s, u, 10000, budgets[i], false), 0);
        sim_reset(s);
        sim_run(s, 2 * SEC);
        NEAR(sim_share(u, 2 * SEC), (double)budgets[i] / 100, 0.3);
    }
    sim_free(s);
}

/* A new period begins with the change; extra time ends with it. */
static void changes_count_at_once(void **state)
{
    struct sim *s = new_sim(1, 1);
    struct sim_unit *u = burner(s, 100000, 50000, false);

    (void)state;
    sim_run(s, 40 * MS);
    assert_int_equal(set(s, u, 100000, 60000, true), 0);
    assert_int_equal(set(s, u, 100000, 60000, false), 0);
    sim_reset(s);
    sim_run(s, 99 * MS);
    NEAR((double)u->ran / MS, 60, 0.1);
    assert_int_equal(set(s, u, 1000000, 100000, true), 0);
    sim_reset(s);
    sim_run(s, 250 * MS);
    NEAR((double)u->ran / MS, 250, 0.1);
    assert_int_equal(set(s, u, 1000000, 100000, false), 0);
    sim_run(s, 700 * MS);
    NEAR((double)u->ran / MS, 250, 0.1);
    sim_run(s, 1000 * MS);
    NEAR((double)u->ran / MS, 350, 0.1);
    sim_free(s);
}

/* It sleeps so that its budgets of two periods lie side by side: that gains nothing. */
static void dodger_gains_nothing(void **state)
{
    (void)state;
    for (s64 phase = 1; phase < 10; phase++) {
        struct sim *s = new_sim(1, 1);
        struct sim_unit *u = burner(s, 10000, 3000, true), *v;

        v = sim_unit(s, sim_dom(s, 256, 0), NULL, NULL, sim_sleeper, phase * MS, 10 * MS);
        assert_int_equal(set(s, v, 10000, 5000, false), 0);
        sim_run(s, 5 * SEC);
        assert_true(sim_share(v, 5 * SEC) < 50.1);
        assert_true(sim_share(u, 5 * SEC) > 49.9);
        sim_free(s);
    }
}

/* ---- Deadlines --------------------------------------------------------------------------- */

/* arg0 of work each arg1; yields counts the jobs that were done after the next one's release. */
static void job(struct sim *s, struct sim_unit *u, struct sim_step *step)
{
    stime_t next = step->wake_at ? step->wake_at : s->now;

    u->yields += s->now > next;
    *step = (struct sim_step){ u->arg[0], 0, next + u->arg[1] };
}

/* The unit's periods begin with its jobs. */
static struct sim_unit *job_unit(struct sim *s, u64 period_us, u64 budget_us, const u64 *cpus)
{
    struct cpumask hard = cpus ? mask_of(*cpus) : s->pool.cpus;
    struct sim_unit *u = sim_unit(s, sim_dom(s, 256, 0), &hard, NULL, job,
                                  (s64)budget_us * US - 20 * US, (s64)period_us * US);

    assert_int_equal(set(s, u, period_us, budget_us, false), 0);
    return u;
}

/* All jobs of all units were done, each in time. */
static void all_done(struct sim *s, stime_t over, int line)
{
    for (u32 i = 0; i < s->nr_units; i++) {
        const struct sim_unit *u = &s->unit[i];

        if (u->behave == job) {
            assert_int_equal(u->yields, 0);
            sim_near((double)u->wakes, (double)over / (double)u->arg[1], 2, line);
            sim_near(sim_share(u, over), 100.0 * (double)u->arg[0] / (double)u->arg[1], 0.3, line);
        }
    }
}

static void deadlines_one_cpu(void **state)
{
    struct sim *s = new_sim(1, 1);

    (void)state;
    job_unit(s, 10000, 4000, NULL);
    job_unit(s, 5000, 1500, NULL);
    job_unit(s, 40000, 12000, NULL);
    sim_run(s, 10 * SEC);
    all_done(s, 10 * SEC, __LINE__);
    sim_free(s);
}

static void deadlines_many_cpus(void **state)
{
    static const u32 periods[] = { 10000, 4000, 7000, 20000, 13000, 33000 };

    (void)state;
    for (u32 cpus = 2; cpus <= 4; cpus += 2) {
        struct sim *s = new_sim(cpus, cpus);

        /* below the bound of global EDF: cpus - (cpus - 1) * 0.4 */
        for (u32 i = 0; i < (cpus == 2 ? 4 : 7); i++) {
            job_unit(s, periods[i % 6], periods[i % 6] * 4 / 10, NULL);
        }
        for (u32 i = 0; i < 4; i++) {
            burner(s, 10000, 10, true); /* as extra time it disturbs nobody */
        }
        sim_run(s, 10 * SEC);
        all_done(s, 10 * SEC, __LINE__);
        sim_free(s);
    }
}

/* Sleeps until arg0, and burns from then on. */
static void late_riser(struct sim *s, struct sim_unit *u, struct sim_step *step)
{
    bool first = step->wake_at == 0;

    *step = (struct sim_step){ first ? 10 * US : STIME_MAX / 2, 0, s->now + u->arg[0] };
}

/* It keeps its budget for the end of the period; two of them in a row would make others late. */
static void late_riser_disturbs_nobody(void **state)
{
    struct sim *s = new_sim(1, 1);
    struct sim_unit *u;

    (void)state;
    job_unit(s, 4000, 2000, NULL);
    u = sim_unit(s, sim_dom(s, 256, 0), NULL, NULL, late_riser, 9 * MS, 0);
    assert_int_equal(set(s, u, 10000, 5000, false), 0);
    sim_run(s, SEC);
    all_done(s, SEC, __LINE__);
    NEAR(sim_share(u, SEC), 50, 1);
    sim_free(s);
}

/* All the CPUs' time is promised: everybody gets its share all the same. */
static void full_utilisation(void **state)
{
    struct sim *s = new_sim(2, 1);
    struct sim_unit *u[4];
    static const u32 period[] = { 10000, 15000, 8000, 30000 };

    (void)state;
    for (u32 i = 0; i < 4; i++) {
        u[i] = sim_unit(s, sim_dom(s, 256, 0), NULL, NULL, sim_burner, 0, 0);
        assert_int_equal(set_forced(s, u[i], 10000, 10, false), 0);
    }
    for (u32 i = 0; i < 3; i++) {
        assert_int_equal(set(s, u[i], period[i], period[i] * 6 / 10, false), 0);
    }
    assert_int_equal(set(s, u[3], period[3], period[3] * 2 / 10, false), 0);
    sim_run(s, SEC);
    sim_reset(s);
    sim_run(s, 10 * SEC);
    for (u32 i = 0; i < 4; i++) {
        NEAR(sim_share(u[i], 10 * SEC), i < 3 ? 60 : 20, 0.3);
    }
    sim_free(s);
}

/* More is promised than there is: nobody starves, and who wakes is not behind all the backlog. */
static void overload(void **state)
{
    struct sim *s = new_sim(2, 1);
    struct sim_unit *v;

    (void)state;
    for (u32 i = 0; i < 12; i++) {
        burner(s, 10000, 4000, i & 1);
    }
    sim_run(s, 5 * SEC);
    for (u32 i = 0; i < 12; i++) {
        assert_true(s->unit[i].longest_wait < 60 * MS);
        NEAR(sim_share(&s->unit[i], 5 * SEC), 200.0 / 12, 2);
    }
    v = sim_unit(s, sim_dom(s, 256, 0), NULL, NULL, sim_sleeper, MS, 200 * MS);
    sim_run(s, 5 * SEC);
    assert_true(v->runs >= 24 && v->longest_wait < 60 * MS);
    sim_free(s);
}

/* ---- Affinity ---------------------------------------------------------------------------- */

static void affinity(void **state)
{
    struct sim *s = new_sim(2, 1);
    struct sim_unit *a = burner(s, 10000, 5000, false), *b = burner(s, 10000, 9000, false);
    struct cpumask one = mask_of(1), two = mask_of(2);

    (void)state;
    sim_affinity(s, a, &one, NULL);
    sim_affinity(s, b, &two, NULL);
    sim_run(s, SEC);
    NEAR(sim_share(a, SEC), 50, 0.5);
    NEAR(sim_share(b, SEC), 90, 0.9);
    sim_affinity(s, b, &one, NULL); /* 140 % of one CPU */
    sim_run(s, MS);
    sim_reset(s);
    sim_run(s, SEC);
    assert_int_equal(a->ran_on[1], 0);
    assert_int_equal(b->ran_on[1], 0);
    NEAR(sim_share(a, SEC) + sim_share(b, SEC), 100, 0.1);
    sim_free(s);
}

static void soft_affinity(void **state)
{
    struct sim *s = new_sim(4, 1);
    struct cpumask soft = mask_of(4);
    struct sim_unit *u = sim_unit(s, sim_dom(s, 256, 0), NULL, &soft, sim_sleeper, MS, 3 * MS);

    (void)state;
    sim_run(s, SEC);
    assert_true(u->ran_on[2] == u->ran && u->ran > 300 * MS);
    sim_free(s);
}

/* ---- Admission --------------------------------------------------------------------------- */

static void bad_parameters(void **state)
{
    struct sim *s = new_sim(1, 1);
    struct sim_unit *u = sim_unit(s, sim_dom(s, 256, 0), NULL, NULL, sim_burner, 0, 0);
    struct sched_rt rt;

    (void)state;
    assert_int_equal(set(s, u, 9, 9, false), -EINVAL);
    assert_int_equal(set(s, u, 10, 9, false), -EINVAL);
    assert_int_equal(set(s, u, 10, 11, false), -EINVAL);
    assert_int_equal(set(s, u, 0, 0, false), -EINVAL);
    assert_int_equal(set(s, u, 10000001, 10, false), -EINVAL);
    assert_int_equal(set(s, u, ~0UL, ~0UL, false), -EINVAL);
    assert_int_equal(set(s, u, 10000, ~0UL, false), -EINVAL);
    assert_int_equal(set_forced(s, u, 10000, 10001, false), -EINVAL);
    s->pool.ops->rt_get(&s->pool, &u->unit, &rt);
    assert_true(rt.period_us == 10000 && rt.budget_us == 4000 && rt.extratime);
    assert_int_equal(set(s, u, 10, 10, false), 0);
    assert_int_equal(set(s, u, 10000000, 10000000, false), 0);
    sim_run(s, 30 * SEC);
    NEAR(sim_share(u, 30 * SEC), 100, 0.01);
    sim_free(s);
}

static void admission(void **state)
{
    struct sim *s = new_sim(2, 1);
    struct sim_unit *a = burner(s, 10000, 6000, false), *b = burner(s, 10000, 6000, false),
                    *c = burner(s, 10000, 1000, false), *d;
    struct cpumask one = mask_of(1);

    (void)state;
    assert_int_equal(set(s, c, 30000, 24001, false), -ENOSPC);
    assert_int_equal(set(s, c, 30000, 24000, false), 0); /* 200 % */
    assert_int_equal(set(s, a, 10000, 6001, false), -ENOSPC);
    assert_int_equal(set(s, a, 20000, 12000, true), 0); /* the same demand */
    d = burner(s, 10000, 4000, true);
    assert_int_equal(set(s, d, 10000, 4001, true), -ENOSPC);
    assert_int_equal(set(s, d, 10000, 3999, true), 0); /* less, though it is still too much */
    assert_int_equal(set_forced(s, d, 10000, 9000, true), 0);
    assert_int_equal(set(s, d, 10000, 10, true), 0);
    assert_int_equal(set(s, c, 10000, 10, false), 0);
    sim_affinity(s, a, &one, NULL);
    sim_affinity(s, b, &one, NULL);
    assert_int_equal(set(s, b, 10000, 6001, false), -ENOSPC); /* two on one CPU */
    assert_int_equal(set(s, b, 10000, 4000, false), 0);
    assert_int_equal(set(s, c, 10000, 9900, false), 0);
    one = mask_of(2);
    sim_affinity(s, d, &one, NULL); /* its CPU has room, but the pool has not */
    assert_int_equal(set(s, d, 10000, 900, false), -ENOSPC);
    sim_run(s, SEC);
    sim_free(s);
}

/* ---- At random --------------------------------------------------------------------------- */

static void (*const behaviours[])(struct sim *, struct sim_unit *, struct sim_step *) = {
    sim_burner, sim_sleeper, sim_yielder, sim_random, sim_random,
};

static void random_rt(struct sim *s, struct sim_unit *u)
{
    u64 period = 10 + sim_rnd(s, sim_rnd(s, 4) ? 30000 : 1000);

    (void)(sim_rnd(s, 2) ? set : set_forced)(s, u, period, 5 + sim_rnd(s, period), sim_rnd(s, 2));
}

static void random_unit(struct sim *s)
{
    struct cpumask hard = sim_random_mask(s), soft = sim_random_mask(s);
    u32 what = (u32)sim_rnd(s, ARRAY_SIZE(behaviours));
    s64 arg0 = (s64)(20000 + sim_rnd(s, 3000000));
    struct sim_unit *u = sim_unit(s, &s->dom[sim_rnd(s, s->nr_doms)], sim_rnd(s, 2) ? &hard : NULL,
                                  sim_rnd(s, 3) ? NULL : &soft, behaviours[what], arg0,
                                  arg0 + (s64)sim_rnd(s, 10000000) + 1);

    random_rt(s, u);
}

static void random_remove(struct sim *s, struct sim_unit *u)
{
    if (sim_nr_living(s) > 1) {
        sim_unit_withdraw(s, u);
    }
}

static void disturb(struct sim *s)
{
    struct sim_unit *u = sim_random_living(s);
    struct cpumask hard = sim_random_mask(s), soft = sim_random_mask(s);

    switch (sim_rnd(s, 10)) {
    case 0:
        sim_pause(s, u);
        break;
    case 1:
    case 2:
        sim_unpause(s, u);
        break;
    case 3:
        sim_affinity(s, u, sim_rnd(s, 2) ? &hard : NULL, sim_rnd(s, 2) ? &soft : NULL);
        break;
    case 4:
    case 5:
        random_rt(s, u);
        break;
    case 6:
        sim_cpu_remove(s, (u32)sim_rnd(s, s->nr_cpus));
        break;
    case 7:
        if (sim_nr_living(s) < 20) {
            random_unit(s);
        }
        break;
    case 8:
        random_remove(s, u);
        break;
    default:
        sim_cpu_add(s, (u32)sim_rnd(s, s->nr_cpus));
        break;
    }
}

/* Everybody is where its state says; who has no budget will get one; nobody less urgent runs. */
static void check(struct sim *s)
{
    const struct rtds_pool *rp = s->pool.priv;

    for (u32 i = 0; i < s->nr_units; i++) {
        const struct sched_unit *u = &s->unit[i].unit;
        const struct rtds_unit *c = rtds_priv(u);
        bool waits;

        if (!s->unit[i].behave) {
            continue;
        }
        waits = u->runnable && !u->running;
        assert_int_equal(!list_empty(&c->queue), waits && c->left > 0);
        assert_int_equal(!list_empty(&c->event), waits && (c->left <= 0 || c->level));
        assert_true(list_empty(&c->event) || c->deadline + s->timer_delay >= s->now ||
                    sim_any_called(s));
        assert_true(!u->running || !c->level || c->deadline + s->timer_delay + US >= s->now ||
                    sim_any_called(s));
        assert_true(c->left <= c->budget && c->budget <= c->period);
        assert_true(c->deadline <= s->now + c->period);
        for (u32 cpu = 0; cpu < s->nr_cpus && waits && c->left > 0 && !sim_any_called(s); cpu++) {
            assert_true(!cpumask_test(&u->hard, cpu) ||
                        (rp->current[cpu] && !rtds_before(c, rtds_priv(rp->current[cpu]))));
        }
    }
}

static void disturb_and_check(struct sim *s)
{
    char line[256];

    disturb(s);
    check(s);
    assert_true(s->pool.ops->dump_cpu(&s->pool, 0, line, sizeof(line)) > 3);
}

static void random_scenario(u64 seed)
{
    struct sim *s = new_sim(1 + (u32)(seed * 7 % 8), seed);
    u32 doms = 1 + (u32)sim_rnd(s, 6), units = 1 + (u32)sim_rnd(s, 16);

    s->tickle_delay = (stime_t)sim_rnd(s, 20000);
    s->timer_delay = sim_rnd(s, 2) ? 0 : (stime_t)sim_rnd(s, 50000);
    s->switch_cost = (stime_t)sim_rnd(s, 3000);
    while (doms--) {
        sim_dom(s, 256, 0);
    }
    while (units--) {
        random_unit(s);
    }
    sim_wander(s, 120, 2000000, disturb_and_check);
    sim_free(s);
}

static void random_scenarios(void **state)
{
    (void)state;
    for (u64 seed = 1; seed <= 250; seed++) {
        random_scenario(seed);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults),
        cmocka_unit_test(budget_beside_burner),
        cmocka_unit_test(tiny_budget),
        cmocka_unit_test(extratime_is_shared),
        cmocka_unit_test(equals_share_equally),
        cmocka_unit_test(budget_changes),
        cmocka_unit_test(changes_count_at_once),
        cmocka_unit_test(dodger_gains_nothing),
        cmocka_unit_test(deadlines_one_cpu),
        cmocka_unit_test(deadlines_many_cpus),
        cmocka_unit_test(late_riser_disturbs_nobody),
        cmocka_unit_test(full_utilisation),
        cmocka_unit_test(overload),
        cmocka_unit_test(affinity),
        cmocka_unit_test(soft_affinity),
        cmocka_unit_test(bad_parameters),
        cmocka_unit_test(admission),
        cmocka_unit_test(random_scenarios),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
