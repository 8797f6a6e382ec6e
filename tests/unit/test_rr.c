/* SPDX-License-Identifier: MIT */
/* sources: sched/rr.c lib/printf.c tests/unit/schedsim.c */
/* Round robin in the simulator: who runs when, and everything at random. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "schedsim.h"

static struct sim *new_sim(u32 cpus, u64 seed)
{
    struct sim *s = sim_new(&sched_rr, cpus, seed);

    sim_dom(s, 256, 0);
    return s;
}

static struct sim_unit *unit_on(struct sim *s, u64 hard)
{
    struct cpumask h = mask_of(hard);

    return sim_unit(s, &s->dom[0], hard ? &h : NULL, NULL, sim_burner, 0, 0);
}

static void equal_shares(void **state)
{
    (void)state;
    for (u32 cpus = 1; cpus <= 4; cpus++) {
        for (u32 n = cpus; n <= 9; n++) {
            struct sim *s = new_sim(cpus, 1);

            for (u32 i = 0; i < n; i++) {
                unit_on(s, 0);
            }
            sim_run(s, 60 * SEC);
            for (u32 i = 0; i < n; i++) {
                NEAR(sim_share(&s->unit[i], 60 * SEC), 100.0 * cpus / n, 0.2);
            }
            sim_free(s);
        }
    }
}

static void in_turns_of_a_slice(void **state)
{
    struct sim *s = new_sim(1, 1);
    stime_t slice;

    (void)state;
    unit_on(s, 0);
    unit_on(s, 0);
    unit_on(s, 0);
    for (u32 ms = 1; ms <= 100; ms *= 10) {
        s->pool.params.tslice_us = ms * 1000;
        slice = ms * MS;
        sim_run(s, 100 * MS); /* who runs still has a slice of before */
        sim_reset(s);
        sim_run(s, 60 * slice);
        for (u32 i = 0; i < 3; i++) {
            NEAR((double)s->unit[i].longest_wait, 2.0 * (double)slice, 10000);
            assert_in_range(s->unit[i].runs, 19, 21);
        }
    }
    sim_free(s);
}

/* Alone it decides at each end of a slice, and goes on. */
static void alone_it_goes_on(void **state)
{
    struct sim *s = new_sim(1, 1);
    struct sim_unit *u = unit_on(s, 0);

    (void)state;
    sim_run(s, SEC);
    assert_int_equal(u->runs, 1);
    assert_true(u->ran > SEC - 10 * US);
    sim_free(s);
}

static void yields_to_the_next(void **state)
{
    struct sim *s = new_sim(1, 1);
    struct sim_unit *u = sim_unit(s, &s->dom[0], NULL, NULL, sim_yielder, MS, 0),
                    *v = unit_on(s, 0);

    (void)state;
    sim_run(s, 30 * SEC);
    NEAR(sim_share(u, 30 * SEC), 100.0 / 30, 0.1); /* both turns end with u's slice timer */
    NEAR(sim_share(v, 30 * SEC), 2900.0 / 30, 0.1);
    sim_free(s);
}

/* Who wakes takes an idle CPU at once, and waits its turn if there is none. */
static void sleeper_finds_an_idle_cpu(void **state)
{
    struct sim *s = new_sim(2, 1);
    struct sim_unit *u = sim_unit(s, &s->dom[0], NULL, NULL, sim_sleeper, MS, 10 * MS);

    (void)state;
    unit_on(s, 0);
    sim_run(s, SEC);
    assert_true(u->longest_wait < 10 * US);
    unit_on(s, 0);
    sim_run(s, SEC);
    assert_in_range(u->longest_wait, 10 * US, 30 * MS);
    assert_true(u->wakes > 20);
    sim_free(s);
}

/* ---- Affinity and CPUs ------------------------------------------------------------------- */

static void hard_affinity(void **state)
{
    struct sim *s = new_sim(4, 1);
    struct sim_unit *a = unit_on(s, 1), *b = unit_on(s, 1), *c = unit_on(s, 6);
    struct cpumask two = mask_of(4);

    (void)state;
    sim_run(s, 6 * SEC);
    NEAR(sim_share(a, 6 * SEC), 50, 1);
    NEAR(sim_share(b, 6 * SEC), 50, 1);
    NEAR(sim_share(c, 6 * SEC), 100, 0.1);
    assert_true(a->ran_on[0] == a->ran && c->ran_on[1] + c->ran_on[2] == c->ran);
    sim_affinity(s, a, &two, NULL); /* whether it runs or waits */
    sim_affinity(s, b, &two, NULL);
    sim_run(s, MS);
    sim_reset(s);
    sim_run(s, 6 * SEC);
    assert_true(a->ran_on[2] == a->ran && b->ran_on[2] == b->ran && c->ran_on[1] == c->ran);
    NEAR(sim_share(a, 6 * SEC), 50, 1);
    sim_free(s);
}

static void cpus_come_and_go(void **state)
{
    struct sim *s = new_sim(4, 1);

    (void)state;
    for (u32 i = 0; i < 4; i++) {
        unit_on(s, i == 3 ? 8 : 0);
    }
    sim_run(s, SEC);
    assert_true(sim_cpu_remove(s, 0));
    assert_true(sim_cpu_remove(s, 3)); /* the only one that unit 3 was given */
    sim_run(s, MS);
    sim_reset(s);
    sim_run(s, 60 * SEC);
    for (u32 i = 0; i < 4; i++) {
        NEAR(sim_share(&s->unit[i], 60 * SEC), 50, 0.2);
        assert_true(s->unit[i].ran_on[0] == 0 && s->unit[i].ran_on[3] == 0);
    }
    assert_true(sim_cpu_add(s, 0));
    assert_true(sim_cpu_add(s, 3));
    sim_run(s, MS);
    for (u32 i = 0; i < 4; i++) {
        assert_true(s->unit[i].unit.running);
    }
    assert_int_equal(s->unit[3].unit.cpu, 3);
    sim_free(s);
}

/* One that waits turns to a CPU that was called for another. It must not take it from that one,
 * who could have had the other idle CPU. */
static void changed_waits_anew(void **state)
{
    struct sim *s = new_sim(3, 1);
    struct cpumask one = mask_of(2);
    struct sim_unit *waits, *called;

    (void)state;
    unit_on(s, 1);
    waits = unit_on(s, 1);
    sim_run(s, MS);
    assert_true(!waits->unit.running);
    called = unit_on(s, 6);
    sim_affinity(s, waits, &one, NULL);
    sim_run(s, MS);
    assert_true(called->unit.running && called->unit.cpu == 1);
    sim_free(s);
}

/* ---- At random --------------------------------------------------------------------------- */

static void (*const behaviours[])(struct sim *, struct sim_unit *, struct sim_step *) = {
    sim_burner, sim_sleeper, sim_yielder, sim_random, sim_random,
};

static void random_unit(struct sim *s)
{
    struct cpumask hard = sim_random_mask(s);
    s64 arg0 = (s64)(20000 + sim_rnd(s, 3000000));

    sim_unit(s, &s->dom[0], sim_rnd(s, 2) ? &hard : NULL, NULL,
             behaviours[sim_rnd(s, ARRAY_SIZE(behaviours))], arg0,
             arg0 + (s64)sim_rnd(s, 10000000) + 1);
}

static void disturb(struct sim *s)
{
    struct sim_unit *u = sim_random_living(s);
    struct cpumask hard = sim_random_mask(s);
    u32 cpu = (u32)sim_rnd(s, s->nr_cpus);

    switch (sim_rnd(s, 8)) {
    case 0:
        sim_pause(s, u);
        break;
    case 1:
    case 2:
        sim_unpause(s, u);
        break;
    case 3:
        sim_affinity(s, u, sim_rnd(s, 2) ? &hard : NULL, NULL);
        break;
    case 4:
        sim_cpu_remove(s, cpu);
        break;
    case 5:
        if (sim_nr_living(s) < 3 * s->nr_cpus) {
            random_unit(s);
        }
        break;
    case 6:
        if (sim_nr_living(s) > 1) {
            sim_unit_withdraw(s, u);
        }
        break;
    default:
        sim_cpu_add(s, cpu);
        break;
    }
}

/* The simulator judges: nothing runs where it may not, nothing waits beside an idle CPU. */
static void random_scenario(u64 seed)
{
    struct sim *s = new_sim(1 + (u32)(seed * 7 % 8), seed);

    s->tickle_delay = (stime_t)sim_rnd(s, 20000);
    s->switch_cost = (stime_t)sim_rnd(s, 3000);
    random_unit(s);
    sim_wander(s, 150, 3000000, disturb);
    sim_free(s);
}

static void random_scenarios(void **state)
{
    (void)state;
    for (u64 seed = 1; seed <= 300; seed++) {
        random_scenario(seed);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equal_shares),
        cmocka_unit_test(in_turns_of_a_slice),
        cmocka_unit_test(alone_it_goes_on),
        cmocka_unit_test(yields_to_the_next),
        cmocka_unit_test(sleeper_finds_an_idle_cpu),
        cmocka_unit_test(hard_affinity),
        cmocka_unit_test(cpus_come_and_go),
        cmocka_unit_test(changed_waits_anew),
        cmocka_unit_test(random_scenarios),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
