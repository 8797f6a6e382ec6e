/* SPDX-License-Identifier: MIT */
/*
 * Large machines: 4096 CPUs and 8192 vcpus, in one pool and in one of each policy. It is compiled
 * with NR_CPUS=4096; all checks hold there too, only less often.
 */
#include <stdio.h>

#include <tarn/options.h>
#include <tarn/pcpu.h>

#include "check.h"
#include "layouts.h"

#define VCPUS 64u /* of a domain */

static void start(const char *layout, const struct sched_ops *ops)
{
    const struct layout *l = layout_find(layout);

    ASSERT(l && layout_topology(l));
    machine_seed(l->cpus);
    machine_on(layout_topology(l), ops);
    checks_on(false);
}

static void stop(void)
{
    printf("  %llu events in %lld ms\n", (unsigned long long)machine.events,
           (long long)(machine.clock / MS));
    machine.check = NULL; /* too dear for each domain that goes */
    sim_end();
}

/* One in four sleeps now and then. */
static struct sim_dom *domain(struct sched_pool *p, u32 weight, bool sleepers)
{
    struct sim_dom *d = sim_dom_new(p, VCPUS, weight, 0);

    for (u32 i = 0; i < VCPUS; i++) {
        bool sleeps = sleepers && i % 4 == 0;

        sim_up(d->vcpu[i], sleeps ? sim_random : sim_burner, 2 * MS, 6 * MS);
    }
    return d;
}

/* Weights 1:2:3:4 by turns, twice as many vcpus as CPUs. A domain has no more than its vcpus. */
static void one_pool(const char *layout)
{
    struct sched_params params = { .tslice_us = 5000 };
    u32 doms, sum = 0;

    start(layout, &sched_credit);
    ASSERT(sim_params(0, &params) == 0);
    doms = 2 * nr_pcpus / VCPUS;
    for (u32 i = 0; i < doms; i++) {
        domain(&pool0, 100 * (1 + i % 4), false);
        sum += 100 * (1 + i % 4);
    }
    machine_run(150 * MS);
    sim_mark();
    machine_run(150 * MS);
    for (u32 i = 0; i < doms; i++) {
        double got = sim_dom_share(sim_doms[i], 150 * MS);
        double want = (double)nr_pcpus * sim_doms[i]->d.sched.weight / sum;

        if (sim_arg("VERBOSE", 0)) {
            printf("d%u: %.2f, wanted %.2f\n", i, got, want);
        }

        if (got < 0.9 * want || got > 1.1 * want) {
            panic("d%u of weight %u has %.2f CPUs instead of %.2f", i, sim_doms[i]->d.sched.weight,
                  got, want);
        }
    }
    stop();
}

/* A quarter of the machine each, CPUs and domains on the move. */
static void one_of_each(const char *layout)
{
    static const struct sched_ops *const ops[] = { &sched_credit, &sched_rtds, &sched_null,
                                                   &sched_sedf };
    struct sched_pool *p[4] = { &pool0 };

    start(layout, ops[0]);
    for (u32 i = 1; i < 4; i++) {
        struct cpumask cpus;

        cpumask_clear_all(&cpus);
        for (u32 cpu = i * nr_pcpus / 4; cpu < (i + 1) * nr_pcpus / 4; cpu++) {
            cpumask_set(&cpus, cpu);
        }
        p[i] = sim_pool_of(i, ops[i]->id, &cpus);
    }
    for (u32 i = 0; i < 2 * nr_pcpus / VCPUS; i++) {
        if (ops[i % 4] != &sched_null || i < nr_pcpus / VCPUS + 4) { /* a CPU each, but few */
            domain(p[i % 4], 256, true);
        }
    }
    for (u32 i = 0; i < 20; i++) {
        struct sim_dom *d = sim_doms[rnd(nr_sim_doms)];
        u32 cpu = 1 + (u32)rnd(nr_pcpus - 1);

        machine_run(2 * MS);
        if (i % 2) {
            ASSERT(sim_dom_move(d, (u32)rnd(4)) == 0);
        } else if (sim_take(pcpus[cpu]->pool->id, cpu) == 0) {
            ASSERT(sim_give((u32)rnd(4), cpu) == 0);
        }
    }
    stop();
}

int main(void)
{
    sim_case("256 CPUs, one pool");
    one_pool("8x16x2");
    sim_case("256 CPUs, a pool of each policy");
    one_of_each("8x16x2");
    sim_case("4096 CPUs, one pool of 8192 vcpus");
    one_pool("32x64x2");
    sim_case("4096 CPUs, a pool of each policy");
    one_of_each("32x64x2");
    return sim_passed();
}
