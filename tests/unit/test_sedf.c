/* SPDX-License-Identifier: MIT */
/* sources: sched/sedf.c sched/sedf_params.c lib/printf.c tests/unit/schedsim.c */
/* SEDF in the simulator: what is promised is given, and what is left goes to whom it should. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "schedsim.h"

#define EINVAL 22
#define ENOSPC 28

/* ms */
static struct sched_rt timed(u64 period, u64 slice, bool extra)
{
    return (struct sched_rt){ period * 1000, slice * 1000, 0, 0, extra };
}

static struct sched_rt weighted(u32 weight, bool extra)
{
    return (struct sched_rt){ 0, 0, 0, weight, extra };
}

static struct sim *simulator(u32 cpus, u64 seed)
{
    struct sim *s = sim_new(&sched_sedf, cpus, seed);

    s->check_conservation = false;
    s->any_slice = true;
    sim_dom(s, 256, 0); /* the control domain; it has no units unless the test makes them */
    return s;
}

static struct sim_unit *unit(struct sim *s, struct sched_rt rt,
                             void (*behave)(struct sim *, struct sim_unit *, struct sim_step *),
                             s64 arg0, s64 arg1)
{
    struct sim_unit *u = sim_unit(s, sim_dom(s, 256, 0), NULL, NULL, behave, arg0, arg1);

    assert_int_equal(sim_rt(s, u, &rt, false), 0);
    return u;
}

static struct sim_unit *burner(struct sim *s, struct sched_rt rt)
{
    return unit(s, rt, sim_burner, 0, 0);
}

static u64 missed(struct sim *s, u32 cpu)
{
    char line[300], *at;

    sched_sedf.dump_cpu(&s->pool, cpu, line, sizeof(line));
    at = strstr(line, "missed ");
    assert_non_null(at);
    return strtoull(at + 7, NULL, 10);
}

/* ---- Slices and periods ------------------------------------------------------------------ */

static void slice_beside_burner(void **state)
{
    struct sim *s = simulator(1, 1);
    struct sim_unit *u = burner(s, timed(20, 5, false)), *v = burner(s, weighted(1, true));

    (void)state;
    sim_run(s, 20 * MS);
    sim_reset(s);
    for (u32 i = 1; i <= 500; i++) {
        sim_run(s, 20 * MS);
        assert_in_range(u->ran, 5 * i * MS - 20 * US, 5 * i * MS + 20 * US);
    }
    NEAR(sim_share(u, 10 * SEC), 25, 0.01);
    NEAR(sim_share(v, 10 * SEC), 75, 0.01);
    assert_int_equal(missed(s, 0), 0);
    sim_free(s);
}

/* Timers that are late and CPUs that come late make it run over; that is taken off later. */
static void never_more_than_its_slice(void **state)
{
    (void)state;
    for (u32 alone = 0; alone < 2; alone++) {
        struct sim *s = simulator(1, 1);
        struct sim_unit *u = burner(s, timed(20, 5, false));

        s->timer_delay = 300 * US;
        s->tickle_delay = 50 * US;
        if (!alone) {
            burner(s, weighted(1, true));
        }
        sim_run(s, 10 * SEC);
        NEAR(sim_share(u, 10 * SEC), 25, 0.1);
        assert_true(u->ran <= 10 * SEC / 4 + 400 * US);
        sim_free(s);
    }
}

static void tiny_slices(void **state)
{
    struct sim *s = simulator(1, 1);
    struct sched_rt rt = { 10, 5, 0, 0, false };
    struct sim_unit *u = burner(s, rt);

    (void)state;
    sim_run(s, 1 * SEC);
    NEAR(sim_share(u, 1 * SEC), 50, 0.1);
    assert_true(s->decisions < 120000);
    sim_free(s);
}

static void deadlines_met_under_full_load(void **state)
{
    static const u64 period[] = { 10, 20, 40, 50, 100 }, slice[] = { 2, 6, 8, 5, 20 };
    struct sim *s = simulator(1, 1);
    struct sim_unit *u[5];
    stime_t start;

    (void)state;
    for (u32 i = 0; i < 5; i++) {
        u[i] = burner(s, timed(period[i], slice[i], false));
    }
    burner(s, weighted(1, true)); /* gets nothing */
    start = s->now;
    sim_run(s, 200 * MS);
    assert_in_range(missed(s, 0), 0, 5); /* all began 2 us late */
    for (u32 ms = 201; ms <= 4000; ms++) {
        u64 before = missed(s, 0);

        sim_run(s, 1 * MS);
        assert_int_equal(missed(s, 0), before);
        for (u32 i = 0; i < 5; i++) {
            u64 periods = (u64)(s->now - start) / (period[i] * MS);

            assert_true(u[i]->ran >= (s64)(periods * slice[i]) * MS - 15 * US);
        }
    }
    assert_true(s->unit[5].ran < 100 * US);
    sim_free(s);
}

/* An earlier deadline comes first, at once, whatever runs. */
static void earlier_deadlines_preempt(void **state)
{
    struct sim *s = simulator(1, 1);
    struct sim_unit *u = burner(s, timed(1000, 700, false));
    struct sim_unit *v = unit(s, timed(10, 2, false), sim_sleeper, 1 * MS, 33 * MS);

    (void)state;
    sim_run(s, 1 * SEC);
    sim_reset(s);
    sim_run(s, 10 * SEC);
    NEAR(sim_share(u, 10 * SEC), 70, 0.5);
    assert_int_equal(v->late[0], 0);
    assert_int_equal(missed(s, 0), 0);
    sim_free(s);
}

/* Too much was forced in. Who missed deadlines does not run on for their sake when the others are
 * gone. */
static void overload_leaves_no_debt(void **state)
{
    struct sim *s = simulator(1, 1);
    struct sim_unit *u = burner(s, timed(20, 15, false)), *v = burner(s, timed(30, 1, false));
    struct sched_rt rt = timed(30, 25, false);

    (void)state;
    assert_int_equal(sim_rt(s, v, &rt, true), 0);
    sim_run(s, 10 * SEC);
    assert_true(missed(s, 0) > 100 && sim_share(u, 10 * SEC) > 30 && sim_share(v, 10 * SEC) > 30);
    sim_pause(s, v);
    sim_run(s, 50 * MS);
    sim_reset(s);
    sim_run(s, 1 * SEC);
    NEAR(sim_share(u, 1 * SEC), 75, 1);
    sim_free(s);
}

/* Random sets of what is admitted, also with sleepers: nobody who wants all of it gets less. */
static void random_sets_keep_promises(void **state)
{
    (void)state;
    for (u64 seed = 1; seed <= 60; seed++) {
        struct sim *s = simulator(1, seed);
        u32 n = 0;

        burner(s, weighted(1 + (u32)sim_rnd(s, 9), true));
        while (n++ < 8) {
            u64 period = 5000 + sim_rnd(s, 100000);
            struct sched_rt rt = { period, period / (3 + sim_rnd(s, 12)), 0, 0, sim_rnd(s, 2) };
            struct sim_unit *u = sim_unit(s, sim_dom(s, 256, 0), NULL, NULL,
                                          sim_rnd(s, 3) ? sim_burner : sim_random, 3 * MS, 9 * MS);
            int rc = sim_rt(s, u, &rt, false);

            assert_true(rc == 0 || rc == -ENOSPC);
        }
        sim_run(s, 200 * MS);
        sim_reset(s);
        sim_run(s, 5 * SEC);
        for (u32 i = 0; i < s->nr_units; i++) {
            struct sim_unit *u = &s->unit[i];
            struct sched_rt rt;
            double want;

            sched_sedf.rt_get(&s->pool, &u->unit, &rt);
            want = rt.period_us ? 100.0 * (double)rt.budget_us / (double)rt.period_us : 0;
            if (u->behave == sim_burner && sim_share(u, 5 * SEC) < want - 1.5) {
                panic("seed %u: unit %u %.2f instead of %.2f", (u32)seed, i, sim_share(u, 5 * SEC),
                      want);
            }
            assert_true(rt.extratime || sim_share(u, 5 * SEC) < want + 1.5);
        }
        sim_free(s);
    }
}

/* ---- Extra time -------------------------------------------------------------------------- */

static void extra_time_is_shared(void **state)
{
    struct sim *s = simulator(1, 1);
    struct sim_unit *u = burner(s, timed(20, 5, true)), *v = burner(s, timed(20, 5, true)), *w;

    (void)state;
    sim_run(s, 10 * SEC);
    NEAR(sim_share(u, 10 * SEC), 50, 0.5);
    NEAR(sim_share(v, 10 * SEC), 50, 0.5);
    sim_free(s);

    s = simulator(1, 1); /* by utilisation: 25 + 25 / 3 and 50 + 50 / 3 */
    u = burner(s, timed(20, 5, true));
    v = burner(s, timed(20, 10, true));
    sim_run(s, 10 * SEC);
    NEAR(sim_share(u, 10 * SEC), 33.3, 0.5);
    NEAR(sim_share(v, 10 * SEC), 66.7, 0.5);
    sim_free(s);

    s = simulator(1, 1); /* best effort by weight, beside one who wants no more than its slice */
    u = burner(s, timed(20, 5, false));
    v = burner(s, weighted(1, true));
    w = burner(s, weighted(2, true));
    sim_run(s, 10 * SEC);
    NEAR(sim_share(u, 10 * SEC), 25, 0.1);
    NEAR(sim_share(v, 10 * SEC), 25, 0.5);
    NEAR(sim_share(w, 10 * SEC), 50, 0.5);
    sim_free(s);
}

/* Who slept through hours of extra time does not get it all back, and who comes waits little. */
static void extra_time_is_not_saved_up(void **state)
{
    struct sim *s = simulator(1, 1);
    struct sim_unit *u = burner(s, weighted(1, true)), *v = burner(s, weighted(1, true));

    (void)state;
    sim_pause(s, u);
    sim_run(s, 100 * SEC);
    sim_unpause(s, u);
    sim_reset(s);
    sim_run(s, 1 * SEC);
    NEAR(sim_share(u, 1 * SEC), 50, 1);
    NEAR(sim_share(v, 1 * SEC), 50, 1);
    assert_true(u->longest_wait < 2 * MS && v->longest_wait < 2 * MS);
    sim_free(s);
}

/* ---- Weights ----------------------------------------------------------------------------- */

static void weights_without_extra_time(void **state)
{
    static const u32 weight[] = { 2, 3, 4, 2 };
    static const double want[] = { 17.27, 25.91, 34.55, 17.27 };
    struct sim *s = simulator(1, 1);
    struct sim_unit *u[4];

    (void)state;
    for (u32 i = 0; i < 4; i++) {
        u[i] = burner(s, weighted(weight[i], false));
    }
    sim_run(s, 10 * SEC);
    for (u32 i = 0; i < 4; i++) {
        NEAR(sim_share(u[i], 10 * SEC), want[i], 0.5);
    }
    NEAR((double)s->cpu[0].idle / (double)SEC, 0.5, 0.02);
    sim_free(s);
}

/* A period that is promised comes off what the weights divide, at once, and back when it goes. */
static void weights_beside_periods(void **state)
{
    struct sim *s = simulator(1, 1);
    struct sim_unit *u = burner(s, weighted(1, false)), *v = burner(s, weighted(3, false));
    struct sim_unit *w;
    struct sched_rt rt;

    (void)state;
    sim_run(s, 1 * SEC);
    w = burner(s, timed(20, 11, false));
    sim_run(s, 200 * MS);
    sim_reset(s);
    sim_run(s, 10 * SEC);
    NEAR(sim_share(u, 10 * SEC), 10, 0.5);
    NEAR(sim_share(v, 10 * SEC), 30, 0.5);
    NEAR(sim_share(w, 10 * SEC), 55, 0.5);
    sched_sedf.rt_get(&s->pool, &v->unit, &rt);
    assert_true(rt.period_us == 100000 && rt.budget_us == 30000 && rt.weight == 3);
    sim_pause(s, w);
    sim_run(s, 1 * MS);
    sim_unit_remove(s, w);
    sim_run(s, 200 * MS);
    sim_reset(s);
    sim_run(s, 10 * SEC);
    NEAR(sim_share(u, 10 * SEC), 23.75, 0.5);
    NEAR(sim_share(v, 10 * SEC), 71.25, 0.5);
    sim_free(s);
}

/* A slice that shrinks to nearly nothing while it is used leaves no debt for hours. */
static void squeezed_weight_recovers(void **state)
{
    struct sim *s = simulator(1, 1);
    struct sim_unit *u = burner(s, weighted(1, false)), *v;

    (void)state;
    sim_run(s, 90 * MS);
    v = burner(s, timed(20, 19, false));
    sim_run(s, 1 * SEC);
    assert_true(sim_share(u, 1090 * MS) < 10);
    sim_pause(s, v);
    sim_run(s, 1 * MS);
    sim_unit_remove(s, v);
    sim_run(s, 2 * SEC);
    sim_reset(s);
    sim_run(s, 1 * SEC);
    NEAR(sim_share(u, 1 * SEC), 95, 1);
    sim_free(s);
}

/* ---- Blocking ---------------------------------------------------------------------------- */

/* Works 1 ms and blocks for a moment, over and over. */
static void blinker(struct sim *s, struct sim_unit *u, struct sim_step *step)
{
    (void)u;
    *step = (struct sim_step){ 1 * MS, 0, s->now + u->arg[0] };
}

static void short_block_costs_the_slice(void **state)
{
    struct sim *s = simulator(1, 1);
    struct sim_unit *u = unit(s, timed(20, 5, false), blinker, 1 * MS, 0);

    (void)state;
    burner(s, weighted(1, true));
    sim_run(s, 10 * SEC);
    NEAR(sim_share(u, 10 * SEC), 5, 0.2);
    sim_free(s);
}

/* Who begins to wait while a long slice runs gets its next period in time. */
static void waits_for_its_period_beside_long_slice(void **state)
{
    struct sim *s = simulator(1, 1);
    struct sim_unit *u = unit(s, timed(20, 5, false), blinker, 8 * MS, 0);

    (void)state;
    burner(s, timed(1000, 750, false));
    sim_run(s, 10 * SEC);
    NEAR(sim_share(u, 10 * SEC), 5, 0.2);
    assert_true(u->longest_wait < 20 * MS);
    assert_int_equal(missed(s, 0), 0);
    sim_free(s);
}

/* With extra time, what was lost comes back before anybody else has extra time. */
static void short_block_is_made_up_for(void **state)
{
    struct sim *s = simulator(1, 1);
    struct sim_unit *u = unit(s, timed(20, 5, true), blinker, 1 * MS, 0);
    struct sched_rt often = { 2000, 100, 0, 0, false };

    (void)state;
    assert_int_equal(sim_rt(s, burner(s, weighted(1, true)), &often, false), 0);
    for (u32 i = 0; i < 3; i++) {
        burner(s, weighted(60000, true));
    }
    sim_run(s, 10 * SEC);
    NEAR(sim_share(u, 10 * SEC), 24, 1.5);
    assert_true(u->wakes > 2000 && u->late[0] < u->wakes / 4);
    sim_free(s);
}

/* What blocks past its deadline begins a new period when it wakes: at once, beside any burner. */
static void long_block_begins_anew(void **state)
{
    struct sim *s = simulator(1, 1);
    struct sim_unit *u = unit(s, timed(20, 5, false), sim_sleeper, 4 * MS, 33 * MS);

    (void)state;
    burner(s, weighted(1, true));
    sim_run(s, 100 * MS);
    sim_reset(s);
    sim_run(s, 10 * SEC);
    NEAR(sim_share(u, 10 * SEC), 100 * 4.0 / 33, 0.1);
    assert_int_equal(u->late[0], 0);
    sim_free(s);
}

/* Half of 5 ms, then of 10, of 20, and of 40 from then on. */
static void latency_shortens_first_periods(void **state)
{
    struct sim *s = simulator(1, 1);
    struct sched_rt rt = { 40000, 20000, 5000, 0, false };
    struct sim_unit *u = burner(s, rt);
    static const u32 at[] = { 2, 5, 8, 15, 20, 25, 35, 55, 75 };
    static const double ran[] = { 2, 2.5, 5.5, 7.5, 12.5, 17.5, 17.5, 37.5, 37.5 };
    static const u32 full = 500;

    (void)state;
    sim_pause(s, u);
    sim_run(s, 100 * MS);
    sim_unpause(s, u);
    sim_reset(s);
    for (u32 i = 0, ms = 0; i < ARRAY_SIZE(at); i++) {
        sim_run(s, (at[i] - ms) * MS);
        ms = at[i];
        NEAR((double)u->ran / (double)MS, ran[i], 0.05);
    }
    sim_run(s, (full - 75) * MS);
    NEAR(sim_share(u, full * MS), 50, 3);
    sim_free(s);
}

/* ---- Parameters -------------------------------------------------------------------------- */

static void parameters_checked(void **state)
{
    static const struct sched_rt bad[] = {
        { 0, 0, 0, 0, false },           { 0, 0, 0, 0, true },      { 9, 5, 0, 0, false },
        { 10000001, 5, 0, 0, false },    { 20000, 4, 0, 0, false }, { 20000, 20001, 0, 0, true },
        { 20000, 0, 0, 0, true },        { 0, 0, 0, 65536, true },  { 0, 0, 0, ~0u, false },
        { ~0ul, ~0ul, 0, 0, false },     { 1ul << 63, 5, 0, 0, 0 }, { 20000, 5000, 9, 0, false },
        { 20000, 5000, ~0ul, 0, false }, { 0, 5000, 0, 0, false },
    };
    static const struct sched_rt good[] = {
        { 10, 5, 0, 0, false },
        { 10000000, 10000000, 0, 0, true },
        { 10000000, 5, 10000000, 0, true },
        { 20000, 5000, 10, 0, false },
    };
    struct sim *s = simulator(1, 1);
    struct sim_unit *u = burner(s, timed(30, 7, true));
    struct sched_rt rt;

    (void)state;
    for (u32 i = 0; i < ARRAY_SIZE(bad); i++) {
        for (u32 force = 0; force < 2; force++) {
            assert_int_equal(sim_rt(s, u, &bad[i], force), -EINVAL);
        }
    }
    sched_sedf.rt_get(&s->pool, &u->unit, &rt);
    assert_true(rt.period_us == 30000 && rt.budget_us == 7000 && !rt.weight && rt.extratime);
    for (u32 i = 0; i < ARRAY_SIZE(good); i++) {
        assert_int_equal(sim_rt(s, u, &good[i], false), 0);
        sim_run(s, 20 * MS);
        sched_sedf.rt_get(&s->pool, &u->unit, &rt);
        assert_true(rt.period_us == good[i].period_us && rt.budget_us == good[i].budget_us);
        assert_true(rt.latency_us == good[i].latency_us && rt.weight == 0);
        assert_int_equal(rt.extratime, good[i].extratime);
    }
    sim_free(s);
}

/* A weight counts for more than a period, and what was read can be written back. */
static void weights_as_parameters(void **state)
{
    static const struct sched_rt in[] = { { 0, 0, 0, 5, false },
                                          { 20000, 5000, 0, 5, false },
                                          { ~0ul / 1000, ~0ul, 0, 5, true },
                                          { 0, 0, 0, 5, true } };
    struct sim *s = simulator(1, 1);
    struct sim_unit *u = burner(s, timed(30, 7, true));

    (void)state;
    for (u32 i = 0; i < ARRAY_SIZE(in); i++) {
        struct sched_rt rt, again;

        assert_int_equal(sim_rt(s, u, &in[i], false), 0);
        sched_sedf.rt_get(&s->pool, &u->unit, &rt);
        assert_int_equal(rt.period_us, i < 3 ? 100000 : 0);
        assert_int_equal(rt.budget_us, i < 3 ? 95000 : 0);
        assert_true(rt.weight == 5 && rt.extratime == in[i].extratime);
        assert_int_equal(sim_rt(s, u, &rt, false), 0);
        sched_sedf.rt_get(&s->pool, &u->unit, &again);
        assert_memory_equal(&rt.period_us, &again.period_us, 3 * sizeof(u64));
        assert_true(again.weight == 5 && again.extratime == rt.extratime);
    }
    sim_free(s);
}

static void admission(void **state)
{
    struct sim *s = simulator(1, 1);
    struct sched_rt half = timed(20, 10, false), third = timed(30, 10, false);
    struct sched_rt more = timed(20, 12, false), less = timed(20, 11, false),
                    one = timed(20, 20, 0);
    struct sim_unit *u = burner(s, third), *v = burner(s, third), *w = burner(s, third);
    struct sim_unit *x = burner(s, weighted(1, true)), *y = burner(s, weighted(1, false));

    (void)state;
    assert_int_equal(sim_rt(s, x, &third, false), -ENOSPC);
    assert_int_equal(sim_rt(s, u, &half, false), -ENOSPC);
    sim_run(s, 1 * SEC);
    NEAR(sim_share(u, 1 * SEC), 33.3, 1); /* as if nothing had been asked */
    assert_true(sim_share(y, 1 * SEC) < 0.1);
    assert_int_equal(sim_rt(s, u, &more, true), 0);
    assert_int_equal(sim_rt(s, u, &less, false), 0); /* still too much, but less than before */
    assert_int_equal(sim_rt(s, u, &more, false), -ENOSPC);
    sim_pause(s, v);
    sim_pause(s, w);
    assert_int_equal(sim_rt(s, u, &one, false), -ENOSPC); /* asleep, they are still promised it */
    sim_run(s, 1 * MS);
    sim_unit_remove(s, v);
    sim_unit_remove(s, w);
    assert_int_equal(sim_rt(s, u, &one, false), 0);
    sim_run(s, 10 * MS);
    sim_reset(s);
    sim_run(s, 1 * SEC);
    NEAR(sim_share(u, 1 * SEC), 100, 0.1);
    sim_free(s);
}

/* Parameters count at once, both ways. */
static void parameters_count_at_once(void **state)
{
    struct sim *s = simulator(1, 1);
    struct sim_unit *u = burner(s, timed(10000, 9000, false)), *v = burner(s, weighted(1, true));
    struct sched_rt rt = timed(10, 1, false);

    (void)state;
    sim_run(s, 1 * SEC);
    assert_true(v->ran == 0 && sim_share(u, 1 * SEC) > 99.9);
    assert_int_equal(sim_rt(s, u, &rt, false), 0);
    sim_reset(s);
    sim_run(s, 100 * MS);
    NEAR(sim_share(u, 100 * MS), 10, 0.5);
    rt = weighted(1, true);
    assert_int_equal(sim_rt(s, u, &rt, false), 0);
    sim_reset(s);
    sim_run(s, 100 * MS);
    NEAR(sim_share(u, 100 * MS), 50, 1);
    sim_free(s);
}

static void defaults(void **state)
{
    struct sim *s = simulator(1, 1);
    struct sim_unit *a = sim_unit(s, &s->dom[0], NULL, NULL, sim_burner, 0, 0);
    struct sim_unit *b = sim_unit(s, &s->dom[0], NULL, NULL, sim_burner, 0, 0);
    struct sim_unit *c = sim_unit(s, sim_dom(s, 1, 0), NULL, NULL, sim_burner, 0, 0);
    struct sched_rt rt;

    (void)state;
    sched_sedf.rt_get(&s->pool, &a->unit, &rt);
    assert_true(rt.period_us == 20000 && rt.budget_us == 15000 && rt.extratime && !rt.weight);
    for (u32 i = 0; i < 2; i++) {
        sched_sedf.rt_get(&s->pool, i ? &c->unit : &b->unit, &rt);
        assert_true(rt.period_us == 0 && rt.budget_us == 0 && rt.extratime && rt.weight == 1);
    }
    sim_run(s, 1 * SEC);
    assert_true(sim_share(a, 1 * SEC) > 75 && sim_share(c, 1 * SEC) > 0.1);
    sim_free(s);
}

/* ---- CPUs -------------------------------------------------------------------------------- */

static void placed_where_least_is_promised(void **state)
{
    struct sim *s = simulator(4, 1);
    struct sim_unit *u[8];

    (void)state;
    for (u32 i = 0; i < 4; i++) {
        u[i] = burner(s, timed(20, 5 + i, false));
        assert_int_equal(u[i]->unit.cpu, i);
    }
    u[4] = burner(s, weighted(1, true));
    u[5] = burner(s, timed(20, 10, false));
    assert_true(u[4]->unit.cpu == 0 && u[5]->unit.cpu == 0);
    u[6] = burner(s, weighted(1, true));
    assert_int_equal(u[6]->unit.cpu, 1);
    sim_run(s, 10 * SEC);
    for (u32 i = 0; i < 7; i++) {
        assert_true(u[i]->moves == 0);
    }
    NEAR(sim_share(u[4], 10 * SEC), 25, 0.1); /* the others are idle: nothing is balanced */
    NEAR(sim_share(u[6], 10 * SEC), 70, 0.1);
    sim_free(s);
}

static void moves_with_affinity_and_cpus(void **state)
{
    struct sim *s = simulator(3, 1);
    struct cpumask one = mask_of(2), two = mask_of(4);
    struct sim_unit *u = burner(s, timed(20, 5, false)), *v = burner(s, timed(20, 10, false));

    (void)state;
    assert_true(u->unit.cpu == 0 && v->unit.cpu == 1);
    sim_run(s, 101 * MS);
    sim_affinity(s, u, &one, NULL);
    sim_run(s, 1 * MS);
    assert_int_equal(u->unit.cpu, 1);
    sim_reset(s);
    sim_run(s, 1 * SEC);
    NEAR(sim_share(u, 1 * SEC), 25, 0.5);
    NEAR(sim_share(v, 1 * SEC), 50, 0.5);
    assert_int_equal(u->ran, u->ran_on[1]);
    assert_true(sim_cpu_remove(s, 1)); /* u goes anywhere, v to where least is promised */
    sim_run(s, 20 * MS);
    assert_true(u->unit.cpu != 1 && v->unit.cpu != 1 && u->unit.cpu != v->unit.cpu);
    sim_pause(s, v);
    sim_run(s, 20 * MS);
    sim_affinity(s, v, &two, NULL);
    assert_int_equal(v->unit.cpu, 2); /* asleep, too */
    assert_true(sim_cpu_add(s, 1));
    sim_unpause(s, v);
    sim_run(s, 20 * MS);
    sim_reset(s);
    sim_run(s, 1 * SEC);
    assert_true(u->ran == u->ran_on[1] && v->ran == v->ran_on[2]); /* u is back */
    NEAR(sim_share(u, 1 * SEC), 25, 0.5);
    NEAR(sim_share(v, 1 * SEC), 50, 0.5);
    sim_free(s);
}

/* What extra time it had there counts for nothing here. */
static void extra_time_after_a_move(void **state)
{
    struct sim *s = simulator(2, 1);
    struct sim_unit *u = burner(s, weighted(1, true)), *v = burner(s, weighted(1, true));
    struct cpumask one = mask_of(2);

    (void)state;
    sim_pause(s, v);
    sim_run(s, 100 * SEC);
    assert_true(u->ran_on[0] == u->ran);
    sim_affinity(s, u, &one, NULL);
    sim_unpause(s, v);
    sim_run(s, 1 * MS);
    sim_reset(s);
    sim_run(s, 1 * SEC);
    NEAR(sim_share(u, 1 * SEC), 50, 1);
    NEAR(sim_share(v, 1 * SEC), 50, 1);
    sim_free(s);
}

/* ---- At random --------------------------------------------------------------------------- */

static void (*const behaviours[])(struct sim *, struct sim_unit *, struct sim_step *) = {
    sim_burner, sim_sleeper, sim_dodger, sim_yielder, sim_random, sim_random,
};

static struct sched_rt random_rt(struct sim *s)
{
    struct sched_rt rt = { 0, 0, sim_rnd(s, 2) * (10 + sim_rnd(s, 30000)), 0, sim_rnd(s, 2) };

    if (sim_rnd(s, 2)) {
        rt.weight = 1 + (u32)sim_rnd(s, 1000);
    } else {
        rt.period_us = 10 + sim_rnd(s, sim_rnd(s, 3) ? 100000 : 5000);
        rt.budget_us = 5 + sim_rnd(s, rt.period_us);
    }
    return rt;
}

static void random_unit(struct sim *s)
{
    struct cpumask hard = sim_random_mask(s), soft = sim_random_mask(s);
    u32 what = (u32)sim_rnd(s, ARRAY_SIZE(behaviours));
    s64 arg0 = (s64)(20000 + sim_rnd(s, 3000000)) + (what == 2 ? 200000 : 0);
    s64 arg1 = arg0 + (s64)sim_rnd(s, 10000000) + 1;

    sim_unit(s, &s->dom[sim_rnd(s, s->nr_doms)], sim_rnd(s, 2) ? &hard : NULL,
             sim_rnd(s, 3) ? NULL : &soft, behaviours[what], arg0, arg1);
}

static void disturb(struct sim *s)
{
    struct sim_unit *u = sim_random_living(s);
    struct cpumask hard = sim_random_mask(s), soft = sim_random_mask(s);
    struct sched_rt rt = random_rt(s);
    int rc;

    switch (sim_rnd(s, 8)) {
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
        rc = sim_rt(s, u, &rt, sim_rnd(s, 4) == 0);
        assert_true(rc == 0 || rc == -ENOSPC || (rc == -EINVAL && rt.budget_us > rt.period_us));
        break;
    case 6:
        sim_cpu_remove(s, (u32)sim_rnd(s, s->nr_cpus));
        break;
    default:
        sim_cpu_add(s, (u32)sim_rnd(s, s->nr_cpus));
        break;
    }
}

/* Who may have extra time does not wait beside its CPU's idling, and who waits does so where it
 * may run. */
static void check(struct sim *s)
{
    for (u32 i = 0; i < s->nr_units; i++) {
        struct sim_unit *u = &s->unit[i];
        const struct sim_cpu *c = &s->cpu[u->behave ? u->unit.cpu : 0];
        struct sched_rt rt;

        if (!u->behave) {
            continue;
        }
        assert_true(u->unit.running || cpumask_test(&u->unit.hard, u->unit.cpu));
        sched_sedf.rt_get(&s->pool, &u->unit, &rt);
        assert_true(rt.extratime || rt.period_us);
        assert_true(rt.budget_us <= rt.period_us);
        if (rt.extratime && u->unit.runnable && !c->current) {
            assert_true(c->tickle_at != 0);
        }
    }
}

static void come_and_go(u64 seed)
{
    struct sim *s = simulator(2 + (u32)(seed % 5), seed);
    u64 removed = 0, offline = 0;
    char line[300];

    s->tickle_delay = (stime_t)sim_rnd(s, 20000);
    s->timer_delay = (stime_t)sim_rnd(s, 50000);
    for (u32 i = 0; i < 6; i++) {
        sim_dom(s, 256, 0);
    }
    random_unit(s);
    for (u32 i = 0, living = 1; i < 5000; i++) {
        if (living < 2 || (living < 30 && sim_rnd(s, 2))) {
            random_unit(s);
            living++;
        } else if (sim_rnd(s, 2)) {
            sim_unit_withdraw(s, sim_random_living(s));
            living--;
            removed++;
        }
        disturb(s);
        sim_run(s, 1 + (s64)sim_rnd(s, 500000));
        check(s);
        offline += cpumask_weight(&s->pool.cpus) < s->nr_cpus;
        assert_true(s->pool.ops->dump_cpu(&s->pool, 0, line, i % 300) > 3);
    }
    assert_true(removed > 1000 && offline > 500);
    for (u32 i = 0; i < s->nr_units; i++) {
        if (s->unit[i].behave) {
            sim_unit_withdraw(s, &s->unit[i]);
        }
    }
    sim_run(s, 1 * SEC);
    for (u32 cpu = 0; cpu < s->nr_cpus; cpu++) {
        assert_null(s->cpu[cpu].current);
        sched_sedf.dump_cpu(&s->pool, cpu, line, sizeof(line));
        assert_non_null(strstr(line, "load 0.0%, "));
        assert_string_equal(line + strlen(line) - 6, ", idle");
    }
    sim_free(s);
}

static void units_come_and_go(void **state)
{
    (void)state;
    for (u64 seed = 1; seed <= 8; seed++) {
        come_and_go(seed);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(slice_beside_burner),
        cmocka_unit_test(never_more_than_its_slice),
        cmocka_unit_test(tiny_slices),
        cmocka_unit_test(deadlines_met_under_full_load),
        cmocka_unit_test(overload_leaves_no_debt),
        cmocka_unit_test(earlier_deadlines_preempt),
        cmocka_unit_test(random_sets_keep_promises),
        cmocka_unit_test(extra_time_is_shared),
        cmocka_unit_test(extra_time_is_not_saved_up),
        cmocka_unit_test(weights_without_extra_time),
        cmocka_unit_test(weights_beside_periods),
        cmocka_unit_test(squeezed_weight_recovers),
        cmocka_unit_test(short_block_costs_the_slice),
        cmocka_unit_test(waits_for_its_period_beside_long_slice),
        cmocka_unit_test(short_block_is_made_up_for),
        cmocka_unit_test(long_block_begins_anew),
        cmocka_unit_test(latency_shortens_first_periods),
        cmocka_unit_test(parameters_checked),
        cmocka_unit_test(weights_as_parameters),
        cmocka_unit_test(admission),
        cmocka_unit_test(parameters_count_at_once),
        cmocka_unit_test(defaults),
        cmocka_unit_test(placed_where_least_is_promised),
        cmocka_unit_test(moves_with_affinity_and_cpus),
        cmocka_unit_test(extra_time_after_a_move),
        cmocka_unit_test(units_come_and_go),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
