/* SPDX-License-Identifier: MIT */
/*
 * What is known to have gone wrong in another hypervisor's schedulers and pools, one case each:
 * panics and dead-locks while CPUs go and come, wakes and steals that are late, timers that are too
 * short, sums that overflow, sleep that dodges the accounts.
 */
#include <stdio.h>

#include <tarn/errno.h>
#include <tarn/pcpu.h>

#include "check.h"
#include "layouts.h"

#define SOON (100 * US)

static u32 rounds = 10000;

static void start(const char *layout, u64 seed)
{
    machine_seed(seed);
    machine_on(layout_topology(layout_find(layout)), &sched_credit);
    checks_on(false);
}

static struct cpumask mask_of(u64 bits)
{
    return (struct cpumask){ { bits } };
}

static struct sim_dom *burners(struct sched_pool *p, u32 vcpus, u32 weight)
{
    struct sim_dom *d = sim_dom_new(p, vcpus, weight, 0);

    ASSERT(d);
    for (u32 i = 0; i < vcpus; i++) {
        sim_up(d->vcpu[i], sim_burner, 0, 0);
    }
    return d;
}

static void near(double got, double want, double tolerance)
{
    if (got < want - tolerance || got > want + tolerance) {
        panic("%.4f instead of %.4f +-%.4f", got, want, tolerance);
    }
}

/* At the moment of any tick or accounting, a busy CPU may be taken and given back. */
static void a_busy_cpu_goes_and_comes(void)
{
    struct sched_params params = { .tslice_us = 1000 };

    start("2x2x2", 1);
    ASSERT(sim_params(0, &params) == 0);
    burners(&pool0, 8, 256);
    burners(&pool0, 12, 512);
    for (u32 i = 0; i < rounds; i++) {
        u32 cpu = 1 + (u32)rnd(7);
        stime_t since;

        machine_run(20 * US + (stime_t)rnd(300 * US));
        ASSERT(pcpus[cpu]->curr != pcpus[cpu]->idle);
        since = machine.clock;
        ASSERT(sim_take(0, cpu) == 0);
        ASSERT(machine.clock - since < SOON);
        machine_run((stime_t)rnd(20 * US));
        ASSERT(sim_give(0, cpu) == 0);
    }
    sim_end();
}

/* A removal that is refused leaves everything as it was. */
static void a_refused_removal(void)
{
    struct sched_pool *p;
    struct cpumask cpus = mask_of(0xf0);
    struct sim_dom *d;

    start("2x2x2", 2);
    p = sim_pool_of(1, sched_credit.id, &cpus);
    d = burners(p, 6, 256);
    for (u32 i = 0; i < rounds / 10; i++) {
        u32 cpu = 4 + (u32)rnd(4), other = 4 + (cpu + 1) % 4;
        struct sim_vcpu *v = d->vcpu[rnd(6)];

        ASSERT(sim_override(v, cpu) == 0);
        machine_run((stime_t)rnd(100 * US));
        ASSERT(sim_take(1, cpu) == -EADDRINUSE);
        ASSERT(cpumask_test(&p->cpus, cpu) && sim_give(1, cpu) == -ENODEV);
        machine_run((stime_t)rnd(2 * MS));
        ASSERT(sim_take(1, other) == 0 && sim_give(1, other) == 0);
        ASSERT(sim_take(1, cpu) == -EADDRINUSE);
        ASSERT(sim_override(v, NO_CPU) == 0);
        ASSERT(sim_take(1, cpu) == 0 && sim_give(1, cpu) == 0);
    }
    sim_end();
}

/* The last CPU leaves while the accounting is about to run. */
static void a_pool_is_emptied_and_filled(void)
{
    struct sched_params params = { .tslice_us = 1000 };
    struct sched_pool *p;
    struct cpumask cpus = mask_of(0xc);
    struct sim_dom *d;
    stime_t since;

    start("1x2x2", 3);
    p = sim_pool_of(1, sched_credit.id, &cpus);
    d = burners(p, 5, 256);
    ASSERT(sim_params(1, &params) == 0);
    for (u32 i = 0; i < rounds; i++) {
        machine_run((stime_t)rnd(1500 * US));
        ASSERT(sim_take(1, 2) == 0 && sim_take(1, 3) == -EBUSY);
        since = machine.clock;
        ASSERT(sim_dom_move(d, 0) == 0);
        ASSERT(sim_take(1, 3) == 0 && cpumask_empty(&p->cpus));
        if (one_in(10)) {
            ASSERT(sim_pool_destroy(1) == 0);
            p = sim_pool_of(1, sched_credit.id, &(struct cpumask){ { 0 } });
            ASSERT(sim_params(1, &params) == 0);
        }
        ASSERT(sim_give(1, 2) == 0 && sim_give(1, 3) == 0);
        ASSERT(sim_dom_move(d, 1) == 0);
        ASSERT(machine.clock - since < 10 * MS);
    }
    sim_end();
}

/* Who is pushed off its CPU by one that may run nowhere else goes on at once where it is idle. */
static void the_displaced_is_kicked(void)
{
    struct cpumask zero = mask_of(1);
    struct sim_dom *a, *b;

    start("2", 4);
    a = sim_dom_new(&pool0, 1, 256, 0);
    b = burners(&pool0, 1, 256);
    sim_affinity(a->vcpu[0], &zero, NULL);
    sim_up(a->vcpu[0], sim_sleeper, 500 * US, 7 * MS);
    for (u32 i = 0; i < 300; i++) {
        struct cpumask both = mask_of(3);

        sim_affinity(b->vcpu[0], &zero, NULL); /* back to CPU 0 */
        machine_run(5 * MS);
        sim_affinity(b->vcpu[0], &both, NULL);
        sim_mark();
        machine_run(20 * MS);
        ASSERT(sim_vcpu_share(b->vcpu[0], 20 * MS) > 0.995);
        ASSERT(b->vcpu[0]->longest_wait < SOON && a->vcpu[0]->longest_wait < SOON);
    }
    sim_end();
}

/* However short ago a CPU took somebody from another: when it idles it does it again. */
static void an_idle_cpu_steals_at_once(void)
{
    struct sim_dom *sleeper, *rest;

    start("2", 5);
    sleeper = sim_dom_new(&pool0, 1, 256, 0);
    rest = burners(&pool0, 2, 256);
    sim_up(sleeper->vcpu[0], sim_random, 300 * US, 700 * US);
    machine_run(100 * MS);
    sim_mark();
    machine_run(10 * SEC);
    near(sim_dom_share(rest, 10 * SEC) + sim_dom_share(sleeper, 10 * SEC), 2, 0.01);
    sim_end();
}

/* The machine itself looks at each slice timer that is armed. */
static void no_timer_is_too_short(void)
{
    start("1x2x2", 6);
    for (u32 i = 0; i < 6; i++) {
        struct sim_dom *d = sim_dom_new(&pool0, 1, 256, i % 3 ? 0 : 30 + 7 * i);

        sim_up(d->vcpu[0], i % 2 ? sim_random : sim_burner, 150 * US, 5 * MS);
    }
    for (u32 i = 0; i < 300; i++) {
        struct sched_params params = { .tslice_us = 1000 + (u32)rnd(9000) };

        params.ratelimit_us = 100 + (u32)rnd(params.tslice_us - 99);
        ASSERT(sim_params(0, &params) == 0);
        machine_run(10 * MS);
    }
    sim_end();
}

/* Sums of weights and credits don't fit 32 bits. */
static void sums_are_wide(void)
{
    static const u32 weights[][2] = { { 512, 256 }, { 60000, 30000 }, { 65535, 65535 } };

    for (u32 i = 0; i < ARRAY_SIZE(weights); i++) {
        double want = 64.0 * weights[i][0] / (weights[i][0] + weights[i][1]);
        struct sim_dom *a, *b;

        start("2x16x2", 7);
        a = burners(&pool0, 64, weights[i][0]);
        b = burners(&pool0, 64, weights[i][1]);
        machine_run(SEC);
        sim_mark();
        machine_run(6 * SEC);
        near(sim_dom_share(a, 6 * SEC), want, 0.64);
        near(sim_dom_share(b, 6 * SEC), 64 - want, 0.64);
        sim_end();
    }
}

/* Who sleeps over each tick has no more than is its own. */
static void nobody_dodges(void)
{
    struct sim_dom *a, *capped;

    start("1", 8);
    a = sim_dom_new(&pool0, 1, 256, 0);
    sim_up(a->vcpu[0], sim_dodger, 10 * MS, 0);
    burners(&pool0, 1, 256);
    machine_run(SEC);
    sim_mark();
    machine_run(10 * SEC);
    ASSERT(sim_dom_share(a, 10 * SEC) < 0.51);
    sim_end();
    start("1", 9);
    capped = sim_dom_new(&pool0, 1, 256, 10);
    sim_up(capped->vcpu[0], sim_dodger, 10 * MS, 0);
    machine_run(SEC);
    sim_mark();
    machine_run(10 * SEC);
    near(sim_dom_share(capped, 10 * SEC), 0.1, 0.005);
    sim_end();
}

/* A CPU that is no member, one that can't be, one that is not there. */
static void refusals_have_their_names(void)
{
    u32 id = 1;

    start("1x2x2", 10);
    ASSERT(sim_pool_create(&id, 99) == -ENOENT);
    ASSERT(sim_pool_create(&id, sched_null.id) == 0);
    ASSERT(sim_pool_create(&id, sched_null.id) == -EEXIST);
    ASSERT(sim_take(1, 1) == -EADDRNOTAVAIL);
    ASSERT(sim_take(0, 0) == -EINVAL && sim_take(0, 4) == -EINVAL && sim_take(9, 1) == -ENOENT);
    ASSERT(sim_give(1, 1) == -ENODEV && sim_give(1, POOL_ANY) == -ENODEV);
    ASSERT(sim_take(0, 3) == 0 && sim_take(0, 2) == 0);
    ASSERT(sim_give(9, 2) == -ENOENT && sim_give(1, POOL_ANY) == 0);
    ASSERT(pcpus[2]->pool == sim_pool(1) && !pcpus[3]->pool);
    ASSERT(sim_pool_destroy(1) == -EBUSY && sim_pool_destroy(9) == -ENOENT);
    ASSERT(sim_offline(0) == -EINVAL && sim_offline(2) == -ENODEV && sim_offline(3) == 0);
    ASSERT(sim_give(1, 3) == -ENODEV && sim_online(3) == 0 && pcpus[3]->pool == &pool0);
    sim_end();
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*fn)(void);
    } cases[] = {
        { "refusals have their names", refusals_have_their_names },
        { "a busy CPU goes and comes", a_busy_cpu_goes_and_comes },
        { "a refused removal changes nothing", a_refused_removal },
        { "a pool is emptied and filled", a_pool_is_emptied_and_filled },
        { "who is displaced is kicked", the_displaced_is_kicked },
        { "an idle CPU steals at once", an_idle_cpu_steals_at_once },
        { "no timer is too short", no_timer_is_too_short },
        { "sums are wide", sums_are_wide },
        { "nobody dodges the accounts", nobody_dodges },
    };

    (void)argc;
    rounds = sim_is_short(argv[0]) ? 300 : 10000;
    for (u32 i = 0; i < ARRAY_SIZE(cases); i++) {
        if (sim_arg("CASE", i) == i) {
            sim_case(cases[i].name);
            cases[i].fn();
        }
    }
    return sim_passed();
}
