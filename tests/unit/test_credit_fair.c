/* SPDX-License-Identifier: MIT */
/* sources: sched/credit.c sched/credit_queue.c sched/credit_place.c sched/credit_account.c
 * sched/credit_share.c sched/credit_tree.c sched/credit_dump.c lib/printf.c
 * tests/unit/schedsim.c */
/* The credit scheduler in the simulator: everybody's share is what its weight entitles it to, on
 * any number of CPUs, within 2 % of it after 10 s. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include <public/tarn.h>

#include "schedsim.h"

#define MAX_UNITS 64

static const u32 sizes[] = { 2, 3, 4, 5, 7, 8, 9, 12, 16, 17, 24, 32, 33, 48, 63, 64 };

/* What `n` should get of `cpus` CPUs, when no one can take more than its most: fill up, and divide
 * anew what those who are full leave. */
static void entitle(u32 n, const double *weight, const double *most, double cpus, double *share)
{
    bool full[MAX_UNITS] = { false }, again = true;

    while (again) {
        double left = cpus, sum = 0;

        for (u32 i = 0; i < n; i++) {
            left -= full[i] ? most[i] : 0;
            sum += full[i] ? 0 : weight[i];
        }
        again = false;
        for (u32 i = 0; i < n; i++) {
            share[i] = full[i] ? most[i] : left * weight[i] / sum;
        }
        for (u32 i = 0; i < n; i++) {
            if (!full[i] && share[i] >= most[i]) {
                full[i] = true;
                again = true;
            }
        }
    }
}

static void within(double got, double want, u32 cpus, u32 n, u32 i)
{
    if (got < 0.98 * want || got > 1.02 * want) {
        panic("%u CPUs, %u vcpus, %u: %.3f instead of %.3f", cpus, n, i, got, want);
    }
}

/* ---- A domain per vcpu ------------------------------------------------------------------- */

static void check_units(u32 cpus, u32 n, stime_t warm)
{
    struct sim *s = sim_new(&sched_credit, cpus, 1);
    double weight[MAX_UNITS], most[MAX_UNITS], share[MAX_UNITS];

    for (u32 i = 0; i < n; i++) {
        weight[i] = 256U << (i % 3);
        most[i] = 1;
        sim_unit(s, sim_dom(s, 256U << (i % 3), 0), NULL, NULL, sim_burner, 0, 0);
    }
    entitle(n, weight, most, cpus, share);
    sim_run(s, warm);
    sim_reset(s);
    sim_run(s, 10 * SEC);
    for (u32 i = 0; i < n; i++) {
        within(sim_share(&s->unit[i], 10 * SEC), 100 * share[i], cpus, n, i);
    }
    sim_free(s);
}

static void one_two_four(void **state)
{
    (void)state;
    for (u32 cpus = 1; cpus <= 8; cpus++) {
        for (u32 i = 0; i < ARRAY_SIZE(sizes); i++) {
            check_units(cpus, sizes[i], 0);
        }
    }
}

/* Nor does it matter when one begins to look. */
static void at_any_time(void **state)
{
    static const stime_t warm[] = { 100 * MS, 500 * MS, 1 * SEC, 3333 * MS };

    (void)state;
    for (u32 i = 0; i < ARRAY_SIZE(warm); i++) {
        check_units(1, 64, warm[i]);
        check_units(3, 7, warm[i]);
        check_units(6, 9, warm[i]);
        check_units(8, 63, warm[i]);
    }
}

/* ---- Three domains of many vcpus --------------------------------------------------------- */

static void check_domains(u32 cpus, u32 n, bool per_vcpu)
{
    struct sim *s = sim_new(&sched_credit, cpus, 1);
    struct sched_dom *d[3];
    double weight[3], most[3] = { 0, 0, 0 }, share[3];

    s->pool.params.flags = per_vcpu ? TARN_POOL_weight_per_vcpu : 0;
    for (u32 i = 0; i < 3; i++) {
        d[i] = sim_dom(s, 256U << i, 0);
    }
    for (u32 i = 0; i < n; i++) {
        sim_unit(s, d[i % 3], NULL, NULL, sim_burner, 0, 0);
        most[i % 3]++;
    }
    for (u32 i = 0; i < 3; i++) {
        weight[i] = (256U << i) * (per_vcpu ? most[i] : 1);
    }
    entitle(3, weight, most, cpus, share);
    sim_run(s, 10 * SEC);
    for (u32 i = 0; i < 3; i++) {
        within(sim_dom_share(s, d[i], 10 * SEC), 100 * share[i], cpus, n, i);
    }
    for (u32 i = 0; i < n; i++) {
        within(sim_share(&s->unit[i], 10 * SEC), 100 * share[i % 3] / most[i % 3], cpus, n, i);
    }
    sim_free(s);
}

static void domains(void **state)
{
    (void)state;
    for (u32 cpus = 1; cpus <= 8; cpus++) {
        for (u32 i = 1; i < ARRAY_SIZE(sizes); i++) {
            check_domains(cpus, sizes[i], false);
        }
    }
}

static void domains_by_vcpu(void **state)
{
    (void)state;
    for (u32 cpus = 1; cpus <= 8; cpus++) {
        for (u32 i = 1; i < ARRAY_SIZE(sizes); i++) {
            check_domains(cpus, sizes[i], true);
        }
    }
}

/* ---- Weights by vcpu --------------------------------------------------------------------- */

/* 3 vcpus of one domain beside 1 of another: by domain half each, by vcpu three quarters. */
static void weight_of_vcpus(void **state)
{
    (void)state;
    for (u32 per_vcpu = 0; per_vcpu < 2; per_vcpu++) {
        struct sim *s = sim_new(&sched_credit, 1, 1);
        struct sched_dom *a = sim_dom(s, 256, 0), *b = sim_dom(s, 256, 0);

        s->pool.params.flags = per_vcpu ? TARN_POOL_weight_per_vcpu : 0;
        for (u32 i = 0; i < 4; i++) {
            sim_unit(s, i < 3 ? a : b, NULL, NULL, sim_burner, 0, 0);
        }
        sim_run(s, 10 * SEC);
        NEAR(sim_dom_share(s, a, 10 * SEC), per_vcpu ? 75 : 50, 0.5);
        s->pool.params.flags ^= TARN_POOL_weight_per_vcpu;
        sim_reset(s);
        sim_run(s, 10 * SEC);
        NEAR(sim_dom_share(s, a, 10 * SEC), per_vcpu ? 50 : 75, 0.5);
        sim_free(s);
    }
}

/* Vcpus that hardly want to run, and wait for their turn, are no way to more for the one that
 * burns, and take nothing of what it is entitled to. */
static void weight_of_idle_vcpus(void **state)
{
    (void)state;
    for (u32 per_vcpu = 0; per_vcpu < 2; per_vcpu++) {
        struct sim *s = sim_new(&sched_credit, 1, 1);
        struct sched_dom *a = sim_dom(s, 256, 0), *b = sim_dom(s, 256, 0);

        s->pool.params.flags = per_vcpu ? TARN_POOL_weight_per_vcpu : 0;
        sim_unit(s, a, NULL, NULL, sim_burner, 0, 0);
        sim_unit(s, b, NULL, NULL, sim_burner, 0, 0);
        for (u32 i = 0; i < 30; i++) {
            sim_unit(s, a, NULL, NULL, sim_sleeper, 10 * US, 10 * MS + i * 100 * US);
        }
        sim_run(s, 2 * SEC);
        sim_reset(s);
        sim_run(s, 10 * SEC);
        NEAR(sim_dom_share(s, a, 10 * SEC), per_vcpu ? 50.7 : 50, 0.7);
        sim_free(s);
    }
}

/* ---- Pinned ------------------------------------------------------------------------------ */

/*
 * For this pools were invented: A (512) and B (256) may run on CPU 0 only, C (256) on CPU 1. A
 * scheduler that divides all by weight owes A a whole CPU and gives B too little or too much; here
 * what a CPU's own can't get elsewhere is divided among them, in one pool as in two.
 */
static void pinned_in_one_pool(void **state)
{
    struct sim *s = sim_new(&sched_credit, 2, 1);
    struct cpumask zero = mask_of(1), one = mask_of(2);

    (void)state;
    sim_unit(s, sim_dom(s, 512, 0), &zero, NULL, sim_burner, 0, 0);
    sim_unit(s, sim_dom(s, 256, 0), &zero, NULL, sim_burner, 0, 0);
    sim_unit(s, sim_dom(s, 256, 0), &one, NULL, sim_burner, 0, 0);
    sim_run(s, 10 * SEC);
    NEAR(sim_share(&s->unit[0], 10 * SEC), 66.67, 0.5);
    NEAR(sim_share(&s->unit[1], 10 * SEC), 33.33, 0.5);
    NEAR(sim_share(&s->unit[2], 10 * SEC), 100, 0.1);
    sim_free(s);
}

/* Pinned ones beside free ones: 8 CPUs, to each of them two are bound that want all of it, and 8
 * free ones with the weight of all those together get half. */
static void pinned_and_free(void **state)
{
    struct sim *s = sim_new(&sched_credit, 8, 1);
    double bound = 0, free = 0;

    (void)state;
    for (u32 i = 0; i < 24; i++) {
        struct cpumask mask = mask_of(1UL << (i % 8));

        sim_unit(s, sim_dom(s, i < 16 ? 256 : 512, 0), i < 16 ? &mask : NULL, NULL, sim_burner, 0,
                 0);
    }
    sim_run(s, 10 * SEC);
    for (u32 i = 0; i < 24; i++) {
        *(i < 16 ? &bound : &free) += sim_share(&s->unit[i], 10 * SEC);
    }
    NEAR(bound, 400, 4);
    NEAR(free, 400, 4);
    for (u32 i = 0; i < 24; i++) {
        NEAR(sim_share(&s->unit[i], 10 * SEC), i < 16 ? 25 : 50, 1);
    }
    sim_free(s);
}

/* ---- Those who come, and who rest at times ----------------------------------------------- */

/* Away from the CPU for arg1 of each arg0, at fixed times. */
static void away_at_times(struct sim *s, struct sim_unit *u, struct sim_step *step)
{
    stime_t half = u->arg[1] / 2, due = MAX(s->now, u->wake_at);
    stime_t next = ((due + half) / u->arg[0] + 1) * u->arg[0];

    *step = (struct sim_step){ STIME_MAX / 2, next - half, next + half };
}

/* Works for arg0, however long it takes, then rests for arg1. */
static void away_after_work(struct sim *s, struct sim_unit *u, struct sim_step *step)
{
    *step = (struct sim_step){ u->arg[0], 0, MAX(s->now, u->wake_at) + u->arg[1] };
}

/* Who wants less than all, but more than it is entitled to, gets what it is entitled to; as long
 * as it is not away for more than a slice at a time, which nobody can save up for. */
static void check_away(u32 slice_us, s64 period, s64 away, u32 others)
{
    for (u32 works = 0; works < 2; works++) {
        struct sim *s = sim_new(&sched_credit, 1, 1);
        struct sim_unit *u;

        s->pool.params.tslice_us = slice_us;
        u = sim_unit(s, sim_dom(s, 256, 0), NULL, NULL, works ? away_after_work : away_at_times,
                     works ? period - away : period, away);
        for (u32 i = 0; i < others; i++) {
            sim_unit(s, sim_dom(s, 256, 0), NULL, NULL, sim_burner, 0, 0);
        }
        sim_run(s, 500 * MS);
        sim_reset(s);
        sim_run(s, 10 * SEC);
        NEAR(sim_share(u, 10 * SEC), 100.0 / (others + 1), 1.5);
        sim_free(s);
    }
}

static void away_for_a_while(void **state)
{
    static const s64 periods[] = { 1 * MS, 3 * MS, 5 * MS, 10 * MS, 30 * MS, 37 * MS, 100 * MS };

    (void)state;
    for (u32 i = 0; i < ARRAY_SIZE(periods); i++) {
        for (u32 others = 1; others <= 3; others++) {
            check_away(30000, periods[i], periods[i] * 7 / 100, others);
            check_away(30000, periods[i], periods[i] / 5, others);
            check_away(10000, periods[i], periods[i] * 7 / 100, others);
        }
    }
}

/* Moved to and fro between two pools of a CPU each, with burners and long slices, at any time in
 * their periods: who uses little is served at once after each move, too. */
static void moved(void **state)
{
    (void)state;
    for (u32 burners = 1; burners <= 4; burners++) {
        struct sim *pool[2];

        for (u32 i = 0; i < 2; i++) {
            pool[i] = sim_new(&sched_credit, 1, 1 + i);
            pool[i]->pool.params.ratelimit_us = 1000;
            for (u32 n = 0; n < burners; n++) {
                sim_unit(pool[i], sim_dom(pool[i], 256, 0), NULL, NULL, sim_burner, 0, 0);
            }
            sim_dom(pool[i], 256, 0);
        }
        for (u32 n = 0; n < 100; n++) {
            struct sim *s = pool[n % 2];
            struct sim_unit *u;

            u = sim_unit(s, &s->dom[burners], NULL, NULL, sim_sleeper, 100 * US, 1 * MS);
            sim_run(s, 70 * MS + (s64)sim_rnd(s, 60 * MS));
            assert_true(u->longest_wait < 10 * MS);
            sim_unit_withdraw(s, u);
            sim_run(s, (s64)sim_rnd(s, 60 * MS));
        }
        sim_free(pool[0]);
        sim_free(pool[1]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_two_four),
        cmocka_unit_test(at_any_time),
        cmocka_unit_test(domains),
        cmocka_unit_test(domains_by_vcpu),
        cmocka_unit_test(weight_of_vcpus),
        cmocka_unit_test(weight_of_idle_vcpus),
        cmocka_unit_test(pinned_in_one_pool),
        cmocka_unit_test(pinned_and_free),
        cmocka_unit_test(away_for_a_while),
        cmocka_unit_test(moved),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
