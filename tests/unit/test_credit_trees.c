/* SPDX-License-Identifier: MIT */
/* sources: sched/credit.c sched/credit_queue.c sched/credit_place.c sched/credit_account.c
 * sched/credit_share.c sched/credit_tree.c sched/credit_dump.c lib/printf.c tests/unit/schedsim.c
 * tests/unit/credit_sim.c
 */
/* The credit scheduler in the simulator: trees of groups at random. The simulator itself checks
 * what must hold. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "credit_sim.h"

#define PERIOD (30 * MS)
#define DOMS 10

/* From here on; what went before is forgotten. */
static void measure(struct sim *s, stime_t warm, stime_t over)
{
    sim_run(s, warm);
    sim_reset(s);
    sim_run(s, over);
}

static void (*const behaviours[])(struct sim *, struct sim_unit *, struct sim_step *) = {
    sim_burner, sim_burner, sim_sleeper, sim_random, sim_yielder,
};

static struct sched_dom *any_dom(struct sim *s)
{
    return &s->dom[sim_rnd(s, s->nr_doms)];
}

static u32 any_cap(struct sim *s)
{
    return sim_rnd(s, 2) ? 0 : 1 + (u32)sim_rnd(s, 300);
}

static bool is_above(const struct sched_dom *d, const struct sched_dom *below)
{
    while (below && below != d) {
        below = below->master;
    }
    return below;
}

static u32 depth(const struct sched_dom *d)
{
    return d->master ? 1 + depth(d->master) : 1;
}

static u32 nr_joins, nr_leaves;

static void any_link(struct sim *s)
{
    struct sched_dom *d = any_dom(s), *master = any_dom(s);

    if (d->master) {
        sim_leave(s, d);
        nr_leaves++;
    }
    if (sim_rnd(s, 3) && !is_above(d, master) && depth(master) < 8) {
        sim_join(s, d, master, 1 + (u32)sim_rnd(s, 1000), any_cap(s));
        nr_joins++;
    }
}

static void any_change(struct sim *s)
{
    struct sched_dom *d = any_dom(s);

    switch (sim_rnd(s, 3)) {
    case 0:
        d->weight = 1 + (u32)sim_rnd(s, 65535);
        d->cap = any_cap(s);
        break;
    case 1:
        d->inner_weight = 1 + (u32)sim_rnd(s, 65535);
        d->inner_cap = any_cap(s);
        break;
    default:
        d->self_weight = 1 + (u32)sim_rnd(s, 65535);
        d->self_cap = any_cap(s);
        break;
    }
    sim_domain_changed(s, d);
}

static void any_unit(struct sim *s)
{
    struct cpumask hard = sim_random_mask(s);
    s64 work = (s64)(20000 + sim_rnd(s, 3000000));

    if (sim_nr_living(s) > 40) {
        sim_unit_withdraw(s, sim_random_living(s));
    } else {
        sim_unit(s, any_dom(s), sim_rnd(s, 2) ? &hard : NULL, NULL,
                 behaviours[sim_rnd(s, ARRAY_SIZE(behaviours))], work,
                 work + 1 + (s64)sim_rnd(s, 10000000));
    }
}

/* Whoever has a cap at or above it knows that there is one. */
static void check_capped(const struct sim *s)
{
    for (u32 i = 0; i < s->nr_doms; i++) {
        bool capped = false;

        for (const struct credit_node *n = dom_priv(&s->dom[i])->leaf; n; n = n->up) {
            capped |= n->cap > 0;
        }
        assert_int_equal(dom_priv(&s->dom[i])->capped, capped);
    }
}

static void any(struct sim *s)
{
    struct cpumask hard = sim_random_mask(s);

    check_capped(s);
    switch (sim_rnd(s, 10)) {
    case 0:
        sim_pause(s, sim_random_living(s));
        break;
    case 1:
    case 2:
        sim_unpause(s, sim_random_living(s));
        break;
    case 3:
        sim_affinity(s, sim_random_living(s), sim_rnd(s, 2) ? &hard : NULL, NULL);
        break;
    case 4:
        any_change(s);
        break;
    case 5:
        sim_rnd(s, 2) ? sim_cpu_remove(s, (u32)sim_rnd(s, s->nr_cpus))
                      : sim_cpu_add(s, (u32)sim_rnd(s, s->nr_cpus));
        break;
    case 6:
        any_unit(s);
        break;
    default:
        any_link(s);
        break;
    }
}

static void all_leave(struct sim *s)
{
    for (u32 i = 0; i < s->nr_doms; i++) {
        if (s->dom[i].master) {
            sim_leave(s, &s->dom[i]);
        }
    }
}

/* All that were there are gone; then a burner in each domain, on one of two CPUs. */
static void from_scratch(struct sim *s, double *share)
{
    s->pool.params = (struct sched_params){ 10000, 1000, 0, 0 };
    s->tickle_delay = s->timer_delay = 2000;
    s->switch_cost = 1000;
    for (u32 i = 0; i < DOMS; i++) {
        s->dom[i].weight = 256 << (i % 3);
        s->dom[i].cap = i < 4 ? 5 + i : 0;
        s->dom[i].self_cap = 1; /* of no meaning now, as these */
        s->dom[i].inner_cap = 1;
        sim_domain_changed(s, &s->dom[i]);
    }
    for (u32 i = 0; i < DOMS; i++) {
        pinned(s, &s->dom[i], 1 + i % 2);
    }
    measure(s, 1 * SEC, 5 * SEC);
    for (u32 i = 0; i < DOMS; i++) {
        share[i] = sim_dom_share(s, &s->dom[i], 5 * SEC);
    }
}

/* Nothing is left of the groups: new units get what they get where there never was one. */
static void as_before(struct sim *s)
{
    struct sim *other = sim_new(&sched_credit, s->nr_cpus, 1);
    double want[DOMS], got[DOMS];

    for (u32 i = 0; i < DOMS; i++) {
        sim_dom(other, 256, 0);
    }
    from_scratch(other, want);
    all_leave(s);
    for (u32 i = 0; i < s->nr_units; i++) {
        if (s->unit[i].behave) {
            sim_unit_withdraw(s, &s->unit[i]);
        }
    }
    for (u32 cpu = 0; cpu < s->nr_cpus; cpu++) {
        sim_cpu_add(s, cpu);
    }
    sim_run(s, 1 * SEC);
    assert_int_equal(s->timer_at, 0);
    from_scratch(s, got);
    for (u32 i = 0; i < DOMS; i++) {
        NEAR(got[i], want[i], i < 4 ? 0.2 : 1);
    }
    sim_free(other);
}

static void random_trees(void **state)
{
    (void)state;
    for (u64 seed = 1; seed <= 40; seed++) {
        struct sim *s = new_sim(2 + (u32)(seed % 6), seed);

        s->tickle_delay = (stime_t)sim_rnd(s, 20000);
        s->timer_delay = (stime_t)sim_rnd(s, 50000);
        s->pool.params.tslice_us = (u32)(1000 + sim_rnd(s, 40000));
        s->pool.params.ratelimit_us = sim_rnd(s, 2) ? 0 : (u32)(100 + sim_rnd(s, 900));
        for (u32 i = 0; i < DOMS; i++) {
            burner(s, sim_dom(s, 1 + (u32)sim_rnd(s, 1000), any_cap(s)));
        }
        sim_wander(s, 1500, 2 * MS, any);
        as_before(s);
        sim_free(s);
    }
    assert_true(nr_joins > 5000 && nr_leaves > 5000);
}

/* Any tree of burners on enough CPUs that holds still: whatever the caps are, each sum is within
 * its cap, and a domain whose every cap leaves room has a whole CPU for each vcpu. */
static void caps_of_random_trees(void **state)
{
    (void)state;
    for (u64 seed = 1; seed <= 60; seed++) {
        struct sim *s = new_sim(12, seed);
        double share[12];

        for (u32 i = 0; i < 12; i++) {
            burner(s, sim_dom(s, 1 + (u32)sim_rnd(s, 1000), any_cap(s)));
        }
        for (u32 i = 0; i < 60; i++) {
            any_link(s);
            sim_run(s, (s64)sim_rnd(s, 2 * PERIOD));
        }
        measure(s, 1 * SEC, 10 * SEC);
        for (u32 i = 0; i < 12; i++) {
            share[i] = sim_dom_share(s, &s->dom[i], 10 * SEC);
        }
        for (u32 i = 0; i < 12; i++) {
            u32 cap = s->dom[i].master ? s->dom[i].inner_cap : s->dom[i].cap;
            double sum = 0;

            for (u32 k = 0; k < 12; k++) {
                sum += is_above(&s->dom[i], &s->dom[k]) ? share[k] : 0;
            }
            if (cap && sum > cap + 0.1 + cap * 0.005) {
                panic("seed %u: %u has %.2f of %u", (u32)seed, i, sum, cap);
            }
        }
        sim_free(s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_trees),
        cmocka_unit_test(caps_of_random_trees),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
