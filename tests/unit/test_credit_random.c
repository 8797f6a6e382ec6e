/* SPDX-License-Identifier: MIT */
/* sources: sched/credit.c sched/credit_queue.c sched/credit_place.c sched/credit_account.c
 * sched/credit_share.c sched/credit_tree.c sched/credit_dump.c lib/printf.c
 * tests/unit/schedsim.c */
/* The credit scheduler in the simulator, everything at random: the simulator itself checks what
 * must hold. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "schedsim.h"

static void share_is(const struct sim_unit *u, stime_t over, double want)
{
    double got = sim_share(u, over);

    if (got < want - 1 || got > want + 1) {
        panic("unit %u: %.3f instead of %.3f", u->unit.id, got, want);
    }
}

static void (*const behaviours[])(struct sim *, struct sim_unit *, struct sim_step *) = {
    sim_burner, sim_sleeper, sim_dodger, sim_yielder, sim_random, sim_random,
};

static struct sim_unit *random_unit(struct sim *s)
{
    struct cpumask hard = sim_random_mask(s), soft = sim_random_mask(s);
    u32 what = (u32)sim_rnd(s, ARRAY_SIZE(behaviours));
    s64 arg0 = (s64)(20000 + sim_rnd(s, what == 2 ? 20000000 : 3000000));
    s64 arg1 = arg0 + (s64)sim_rnd(s, 10000000) + 1;

    if (what == 2) {
        arg0 += 200000;
    }
    return sim_unit(s, &s->dom[sim_rnd(s, s->nr_doms)], sim_rnd(s, 2) ? &hard : NULL,
                    sim_rnd(s, 3) ? NULL : &soft, behaviours[what], arg0, arg1);
}

static void disturb(struct sim *s)
{
    struct sim_unit *u = sim_random_living(s);
    struct sched_dom *d = &s->dom[sim_rnd(s, s->nr_doms)];
    struct cpumask hard = sim_random_mask(s), soft = sim_random_mask(s);

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
        d->weight = 1 + (u32)sim_rnd(s, 65535);
        sim_domain_changed(s, d);
        break;
    case 5:
        d->cap = sim_rnd(s, 2) ? 0 : 1 + (u32)sim_rnd(s, 200);
        sim_domain_changed(s, d);
        break;
    case 6:
        sim_cpu_remove(s, (u32)sim_rnd(s, s->nr_cpus));
        break;
    default:
        sim_cpu_add(s, (u32)sim_rnd(s, s->nr_cpus));
        break;
    }
}

static void random_scenario(u64 seed)
{
    struct sim *s = sim_new(&sched_credit, 1 + (u32)(seed * 7 % 8), seed);
    u32 doms = 1 + (u32)sim_rnd(s, 6), units = 1 + (u32)sim_rnd(s, 20);
    char line[512];

    s->tickle_delay = (stime_t)sim_rnd(s, 20000);
    s->timer_delay = (stime_t)sim_rnd(s, 50000);
    s->switch_cost = (stime_t)sim_rnd(s, 3000);
    s->pool.params.tslice_us = (u32)(1000 + sim_rnd(s, 40000));
    s->pool.params.ratelimit_us = sim_rnd(s, 2) ? 0 : (u32)(100 + sim_rnd(s, 900));
    s->pool.params.migr_delay_us = sim_rnd(s, 2) ? 0 : (u32)sim_rnd(s, 5000);
    while (doms--) {
        sim_dom(s, 1 + (u32)sim_rnd(s, 1000), sim_rnd(s, 3) ? 0 : 1 + (u32)sim_rnd(s, 250));
    }
    while (units--) {
        random_unit(s);
    }
    for (u32 i = 0; i < 30; i++) {
        sim_run(s, 1 + (s64)sim_rnd(s, 15000000));
        disturb(s);
        assert_true(s->pool.ops->dump_cpu(&s->pool, 0, line, sizeof(line)) > 3);
    }
    sim_free(s);
}

static void random_scenarios(void **state)
{
    (void)state;
    for (u64 seed = 1; seed <= 300; seed++) {
        random_scenario(seed);
    }
}

/* Units and CPUs come and go; at the end nothing is left of them. */
static void come_and_go(u64 seed)
{
    struct sim *s = sim_new(&sched_credit, 2 + (u32)(seed % 5), seed);
    u64 removed = 0, offline = 0;

    s->pool.params.tslice_us = (u32)(1000 + sim_rnd(s, 40000));
    for (u32 i = 0; i < 6; i++) {
        sim_dom(s, 1 + (u32)sim_rnd(s, 1000), sim_rnd(s, 3) ? 0 : 1 + (u32)sim_rnd(s, 250));
    }
    random_unit(s);
    for (u32 i = 0, living = 1; i < 3000; i++) {
        if (living < 2 || (living < 40 && sim_rnd(s, 2))) {
            random_unit(s);
            living++;
        } else {
            sim_unit_withdraw(s, sim_random_living(s));
            living--;
            removed++;
        }
        disturb(s);
        sim_run(s, 1 + (s64)sim_rnd(s, 300000));
        offline += cpumask_weight(&s->pool.cpus) < s->nr_cpus;
    }
    assert_true(removed > 1000 && offline > 500);
    for (u32 i = 0; i < s->nr_units; i++) {
        if (s->unit[i].behave) {
            sim_unit_withdraw(s, &s->unit[i]);
        }
    }
    sim_run(s, 1 * SEC);
    assert_int_equal(s->timer_at, 0);
    for (u32 cpu = 0; cpu < s->nr_cpus; cpu++) {
        char line[80];

        assert_null(s->cpu[cpu].current);
        sched_credit.dump_cpu(&s->pool, cpu, line, sizeof(line));
        assert_string_equal(line, "idle");
    }
    sim_free(s);
}

static void units_come_and_go(void **state)
{
    (void)state;
    for (u64 seed = 1; seed <= 5; seed++) {
        come_and_go(seed);
    }
}

/* A CPU that goes takes nothing with it, and who was bound to it is bound again when it is back. */
static void cpu_leaves_and_returns(void **state)
{
    struct sim *s = sim_new(&sched_credit, 2, 1);
    struct cpumask one = mask_of(1), two = mask_of(2);
    struct sim_unit *u = sim_unit(s, sim_dom(s, 256, 0), &two, NULL, sim_burner, 0, 0);
    struct sim_unit *v = sim_unit(s, sim_dom(s, 256, 0), &one, NULL, sim_burner, 0, 0);

    (void)state;
    sim_run(s, 100 * MS);
    assert_int_equal(u->unit.cpu, 1);
    assert_true(sim_cpu_remove(s, 1));
    assert_false(sim_cpu_remove(s, 1) || sim_cpu_remove(s, 0) || sim_cpu_add(s, 1));
    sim_run(s, 10 * MS);
    assert_false(s->cpu[1].member);
    sim_reset(s);
    sim_run(s, 10 * SEC);
    share_is(u, 10 * SEC, 50);
    share_is(v, 10 * SEC, 50);
    assert_true(s->cpu[1].busy == 0 && u->ran_on[0] == u->ran);
    assert_true(sim_cpu_add(s, 1));
    sim_run(s, 100 * MS);
    sim_reset(s);
    sim_run(s, 1 * SEC);
    assert_true(u->ran_on[1] == u->ran && v->ran_on[0] == v->ran);
    share_is(u, 1 * SEC, 100);
    sim_free(s);
}

/* What everyone should get, by filling up slowly. */
static void fluid(u32 n, const u32 *weight, double cpus, double *share)
{
    bool full[16] = { false };
    double left = cpus;

    for (u32 round = 0; round <= n; round++) {
        double sum = 0;

        for (u32 i = 0; i < n; i++) {
            sum += full[i] ? 0 : weight[i];
        }
        for (u32 i = 0; i < n && sum > 0; i++) {
            if (!full[i]) {
                share[i] = left * weight[i] / sum;
            }
        }
        for (u32 i = 0; i < n; i++) {
            if (!full[i] && share[i] >= 1) {
                full[i] = true;
                share[i] = 1;
                left -= 1;
            }
        }
    }
}

static void random_burners(void **state)
{
    (void)state;
    for (u64 seed = 1; seed <= 60; seed++) {
        u32 cpus = 1 + (u32)(seed % 4);
        struct sim *s = sim_new(&sched_credit, cpus, seed);
        u32 n = 1 + (u32)sim_rnd(s, 12), weight[16];
        double share[16];

        for (u32 i = 0; i < n; i++) {
            weight[i] = 100 + (u32)sim_rnd(s, 1000);
            sim_unit(s, sim_dom(s, weight[i], 0), NULL, NULL, sim_burner, 0, 0);
        }
        fluid(n, weight, cpus, share);
        sim_run(s, 10 * SEC);
        for (u32 i = 0; i < n; i++) {
            double got = sim_share(&s->unit[i], 10 * SEC);

            if (got < 100 * share[i] - 2 || got > 100 * share[i] + 2) {
                panic("seed %u, %u CPUs, unit %u of %u, weight %u: %.2f instead of %.2f", (u32)seed,
                      cpus, i, n, weight[i], got, 100 * share[i]);
            }
        }
        sim_free(s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_scenarios),
        cmocka_unit_test(random_burners),
        cmocka_unit_test(units_come_and_go),
        cmocka_unit_test(cpu_leaves_and_returns),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
