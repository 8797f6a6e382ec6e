/* SPDX-License-Identifier: MIT */
/*
 * Bandwidth on simulated machines: shares by period and quota, of vcpus, of domains, and of domains
 * with their emulators, are exact, under every policy and beside caps; and stay so whatever moves.
 * At last scenarios at random (N, SEED). VERBOSE=1: print what is measured.
 */
#include <stdio.h>

#include <tarn/errno.h>
#include <tarn/pcpu.h>

#include "check.h"
#include "layouts.h"

static bool verbose;

static struct cpumask mask_of(u64 bits)
{
    return (struct cpumask){ { bits } };
}

static void start(const char *layout, u64 seed)
{
    machine_seed(seed);
    machine_on(layout_topology(layout_find(layout)), &sched_credit);
    checks_on(false);
    ASSERT(sim_dom_new(&pool0, 1, 256, 0)); /* domain 0 has nothing to do with it */
}

static struct sim_dom *domain(struct sched_pool *p, u32 vcpus, u32 cap, sim_behaviour *behave,
                              s64 run, s64 period)
{
    struct sim_dom *d = sim_dom_new(p, vcpus, 256, cap);

    ASSERT(d);
    for (u32 i = 0; i < vcpus; i++) {
        sim_up(d->vcpu[i], behave, run, period);
    }
    return d;
}

static struct sim_dom *burners(struct sched_pool *p, u32 vcpus)
{
    return domain(p, vcpus, 0, sim_burner, 0, 0);
}

static void limit_each(struct sim_dom *d, u64 period_us, s64 quota_us)
{
    for (u32 i = 0; i < d->d.max_vcpus; i++) {
        ASSERT(sim_bandwidth(d, d->vcpu[i], period_us, quota_us) == 0);
    }
}

static void measure(stime_t over)
{
    sim_mark();
    machine_run(over);
}

/* In per cent of a CPU. */
static void near(const char *what, double got, double want, double tolerance)
{
    got *= 100;
    if (verbose) {
        printf("  %s: %.4f, wanted %.4f\n", what, got, want);
    }
    if (got < want - tolerance || got > want + tolerance) {
        panic("%s: %.4f instead of %.4f +-%.4f", what, got, want, tolerance);
    }
}

/* ---- Shares ------------------------------------------------------------------------------ */

static void of_each(u64 period_us, s64 quota_us, double want, double tolerance)
{
    struct sim_dom *d;

    start("2", 1);
    d = burners(&pool0, 2);
    machine.late_max = 20000;
    limit_each(d, period_us, quota_us);
    measure(10 * SEC);
    for (u32 i = 0; i < 2; i++) {
        near("a vcpu", sim_vcpu_share(d->vcpu[i], 10 * SEC), want, tolerance);
        ASSERT(d->vcpu[i]->longest_off <= (stime_t)period_us * US);
        if (verbose) {
            printf("    off for %lld us at most\n", (long long)d->vcpu[i]->longest_off / US);
        }
    }
    near("the domain", sim_dom_share(d, 10 * SEC), 2 * want, 2 * tolerance);
    sim_end();
}

/* The cap is of the domain, the quota of each of its vcpus: what is less counts. */
static void beside_a_cap(u32 cap, double want, double tolerance)
{
    struct sim_dom *d;

    start("2", 2);
    d = domain(&pool0, 2, cap, sim_burner, 0, 0);
    limit_each(d, 100000, 25000);
    machine_run(SEC);
    measure(30 * SEC);
    near("with a cap", sim_dom_share(d, 30 * SEC), want, tolerance);
    sim_end();
}

/* The same share by a cap: off for nearly as long as credit's period. */
static void grain_of_a_cap(void)
{
    struct sim_dom *d;

    start("2", 2);
    d = domain(&pool0, 1, 10, sim_burner, 0, 0);
    machine_run(SEC);
    measure(30 * SEC);
    near("a cap of 10", sim_dom_share(d, 30 * SEC), 10, 0.1);
    if (verbose) {
        printf("    off for %lld us at most\n", (long long)d->vcpu[0]->longest_off / US);
    }
    ASSERT(d->vcpu[0]->longest_off > 20 * MS);
    sim_end();
}

/* Two domains share a CPU: what the one may not have goes to the other. */
static void beside_another(void)
{
    struct sim_dom *d, *e;

    start("1", 3);
    d = burners(&pool0, 1);
    e = burners(&pool0, 1);
    limit_each(d, 10000, 2000);
    machine_run(SEC);
    measure(10 * SEC);
    near("the limited one", sim_dom_share(d, 10 * SEC), 20, 1);
    near("both", sim_dom_share(d, 10 * SEC) + sim_dom_share(e, 10 * SEC), 100, 0.001);
    sim_end();
}

static void under_policy(const struct sched_ops *ops, double tolerance)
{
    struct cpumask cpus = mask_of(0xc);
    struct sched_pool *p;
    struct sim_dom *d;

    start("4x1x1", 4);
    p = sim_pool_of(1, ops->id, &cpus);
    d = burners(p, 2);
    if (ops == &sched_rtds || ops == &sched_sedf) { /* half of a CPU is promised, more is not */
        ASSERT(sim_dom_rt(d, 10000, 5000, false, true) == 0);
    }
    limit_each(d, 40000, 10000);
    machine_run(SEC);
    measure(10 * SEC);
    for (u32 i = 0; i < 2; i++) {
        near(ops->name, sim_vcpu_share(d->vcpu[i], 10 * SEC), 25, tolerance);
    }
    ASSERT(sim_bandwidth(d, NULL, 100000, 30000) == 0);
    machine_run(SEC);
    measure(10 * SEC);
    near(ops->name, sim_dom_share(d, 10 * SEC), 30, tolerance);
    sim_end();
}

/* Promises that are less than the quota count. */
static void under_a_promise(const struct sched_ops *ops)
{
    struct cpumask cpus = mask_of(2);
    struct sched_pool *p;
    struct sim_dom *d;

    start("2", 5);
    p = sim_pool_of(1, ops->id, &cpus);
    d = burners(p, 1);
    ASSERT(sim_dom_rt(d, 10000, 2000, false, true) == 0);
    limit_each(d, 100000, 50000);
    machine_run(SEC);
    measure(10 * SEC);
    near("promised 20", sim_dom_share(d, 10 * SEC), 20, 0.2);
    sim_end();
}

/* ---- Emulators --------------------------------------------------------------------------- */

/* Work in bits of 5 to 60 us, and as short sleeps: 10,000 switches a second of each vcpu. */
static struct sim_dom *flood(struct sched_pool *p, u32 vcpus)
{
    return domain(p, vcpus, 0, sim_random, 60 * US, 60 * US);
}

static void with_emulator(const char *layout, u64 cpus, s64 quota_us, double want)
{
    struct sched_pool *p = &pool0;
    struct cpumask mask = mask_of(cpus);
    struct sim_dom *d, *e;

    start(layout, 6);
    if (cpus) {
        p = sim_pool_of(1, sched_rr.id, &mask);
    }
    d = burners(&pool0, 2);
    e = flood(p, 4);
    limit_each(d, 100000, 50000);
    ASSERT(sim_bandwidth(d, NULL, 100000, quota_us) == 0);
    ASSERT(sim_emulator(d, e) == 0);
    measure(10 * SEC);
    near("client and emulator", sim_dom_share(d, 10 * SEC) + sim_dom_share(e, 10 * SEC), want,
         0.02);
    if (verbose) {
        printf("    of it the emulator %.2f\n", 100 * sim_dom_share(e, 10 * SEC));
    }
    ASSERT(sim_emulator(d, NULL) == 0);
    measure(10 * SEC);
    near("the client alone", sim_dom_share(d, 10 * SEC), MIN(want, 100.0), 0.02);
    ASSERT(sim_dom_share(e, 10 * SEC) > 0.5);
    sim_end();
}

/* ---- Whatever moves ---------------------------------------------------------------------- */

static void some_turn(struct sim_dom *d, struct sim_dom *e)
{
    u32 cpu = 1 + (u32)rnd(nr_pcpus - 1);

    switch (rnd(6)) {
    case 0:
        (void)sim_dom_move(one_in(2) ? d : e, (u32)rnd(2));
        break;
    case 1:
        (void)(one_in(2) ? sim_offline(cpu) : sim_online(cpu));
        break;
    case 2:
        (void)sim_take(pcpus[cpu]->pool ? pcpus[cpu]->pool->id : 0, cpu);
        break;
    case 3:
        (void)sim_give((u32)rnd(2), cpu);
        break;
    case 4:
        sim_dom_pause(d);
        machine_run((stime_t)rnd(2 * MS));
        sim_dom_unpause(d);
        break;
    default:
        sim_wake(e->vcpu[rnd(e->d.max_vcpus)]);
        break;
    }
}

/* There are CPUs for all, most of the time: it has its quota, and never more. */
static void churn(u64 seed)
{
    struct cpumask cpus = mask_of(0xf0);
    struct sim_dom *d, *e;
    stime_t since;
    double got;

    start("2x2x2", seed);
    (void)sim_pool_of(1, sched_credit.id, &cpus);
    d = burners(&pool0, 2);
    e = flood(&pool0, 2);
    ASSERT(sim_bandwidth(d, NULL, 20000, 12000) == 0);
    ASSERT(sim_emulator(d, e) == 0);
    since = machine.clock;
    sim_mark();
    for (u32 i = 0; i < 2000; i++) {
        some_turn(d, e);
        machine_run((stime_t)rnd(4 * MS));
    }
    for (u32 cpu = 1; cpu < nr_pcpus; cpu++) {
        (void)sim_online(cpu);
    }
    since = machine.clock - since;
    got = sim_dom_share(d, since) + sim_dom_share(e, since);
    near("under way", got, 59.4, 1); /* begun in the middle of a period, and ends so */
    machine_run(40 * MS);
    measure(2 * SEC);
    near("after all", sim_dom_share(d, 2 * SEC) + sim_dom_share(e, 2 * SEC), 60, 0.1);
    sim_end();
}

/* ---- At random --------------------------------------------------------------------------- */

static const u64 periods[] = { 1000, 2500, 10000, 33000, 100000 };
#define ALL_PERIODS (3300 * MS) /* a multiple of each */

struct limits {
    u64 vcpu_period, period;
    s64 vcpu_quota, quota; /* 0: none */
};

static struct limits some_limits(u32 vcpus)
{
    struct limits l = { .vcpu_period = periods[rnd(ARRAY_SIZE(periods))],
                        .period = periods[rnd(ARRAY_SIZE(periods))] };

    if (one_in(2)) {
        l.vcpu_quota = 1000 + (s64)rnd(l.vcpu_period);
    } else {
        l.quota = 1000 + (s64)rnd(vcpus * l.period);
    }
    return l;
}

/* Each has a CPU: it gets its quota. */
static double expected(const struct limits *l, u32 vcpus)
{
    double each = 1, whole = vcpus;

    if (l->vcpu_quota) {
        each = MIN(1.0, (double)l->vcpu_quota / (double)l->vcpu_period);
    }
    if (l->quota) {
        whole = (double)l->quota / (double)l->period;
    }
    return MIN(each * vcpus, whole);
}

#define DOMS 3

static void at_random(u64 seed)
{
    static const struct sched_ops *const policies[] = { &sched_credit, &sched_null, &sched_rr,
                                                        &sched_rtds, &sched_sedf };
    const struct sched_ops *ops;
    struct limits l[DOMS];
    struct sim_dom *d[DOMS], *first;
    stime_t over = ALL_PERIODS;

    machine_seed(seed);
    ops = policies[rnd(ARRAY_SIZE(policies))];
    machine_on(layout_topology(layout_find("2x2x2")), ops);
    machine.ipi_max = (u32)rnd(4000);
    machine.late_max = one_in(2) ? (u32)rnd(20000) : 0;
    checks_on(false);
    first = sim_dom_new(&pool0, 1, 256, 0);
    for (u32 i = 0, cpu = 0; i < DOMS; i++) {
        u32 vcpus = 1 + (u32)rnd(2);

        l[i] = some_limits(vcpus);
        d[i] = burners(&pool0, vcpus);
        for (u32 k = 0; k < vcpus; k++, cpu++) {
            struct cpumask own = mask_of(1UL << cpu);

            sim_affinity(d[i]->vcpu[k], &own, NULL);
        }
        if (l[i].vcpu_quota) {
            limit_each(d[i], l[i].vcpu_period, l[i].vcpu_quota);
        } else {
            ASSERT(sim_bandwidth(d[i], NULL, l[i].period, l[i].quota) == 0);
        }
    }
    sim_dom_destroy(first);
    if (ops == &sched_rtds || ops == &sched_sedf) {
        for (u32 i = 0; i < DOMS; i++) { /* all of a CPU, by other periods; see docs for sedf */
            (void)sim_dom_rt(d[i], 7000, 7000, ops == &sched_sedf, true);
        }
    }
    machine_run(SEC);
    measure(over);
    for (u32 i = 0; i < DOMS; i++) {
        u32 vcpus = d[i]->d.max_vcpus;

        near(ops->name, sim_dom_share(d[i], over), 100 * expected(&l[i], vcpus), 0.05);
    }
    sim_end();
}

int main(int argc, char **argv)
{
    u64 seed = sim_arg("SEED", 1), n = sim_arg("N", sim_is_short(argv[0]) ? 30 : 300);

    (void)argc;
    verbose = sim_arg("VERBOSE", 0) != 0;
    sim_case("a quota for each vcpu");
    of_each(100000, 50000, 50, 0.01);
    of_each(10000, 10000, 100, 0.001);
    of_each(10000, 1000, 10, 0.01);
    of_each(100000, 10000, 10, 0.01);
    of_each(1000, 1000, 100, 0.001);
    of_each(3000, 2000, 200 / 3.0, 0.05);
    of_each(1000000, 1000, 0.1, 0.011);
    of_each(10000, 25000, 100, 0.001);
    sim_case("beside a cap");
    beside_a_cap(30, 30, 0.5);
    beside_a_cap(70, 50, 0.5);
    grain_of_a_cap();
    sim_case("beside another domain");
    beside_another();
    sim_case("under each policy");
    under_policy(&sched_credit, 0.02);
    under_policy(&sched_null, 0.02);
    under_policy(&sched_rr, 0.02);
    under_policy(&sched_rtds, 0.02);
    under_policy(&sched_sedf, 0.02);
    under_a_promise(&sched_rtds);
    under_a_promise(&sched_sedf);
    sim_case("with an emulator");
    with_emulator("2x2x2", 0, 60000, 60);
    with_emulator("2x2x2", 0xc0, 60000, 60);
    with_emulator("1x2x2", 8, 60000, 60);
    with_emulator("2", 0, 60000, 60);
    sim_case("whatever moves");
    for (u64 i = 0; i < 5; i++) {
        churn(seed + i);
    }
    sim_case("at random");
    for (u64 i = 0; i < n; i++) {
        at_random(seed + i);
    }
    return sim_passed();
}
