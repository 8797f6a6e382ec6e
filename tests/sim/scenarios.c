/* SPDX-License-Identifier: MIT */
/*
 * Scenarios at random: a machine, pools with policies and parameters, domains with weights, caps
 * and affinities, groups, behaviours. The first two kinds hold still and are measured: shares are
 * what fair.c and fair_tree.c say, or what real-time parameters promise, and nobody gains by
 * sleeping. The third does anything at any time, and the checks are what it must stand. N, SEED:
 * how many of each, and the first one's seed; KIND=0..2: one kind only; MS: measured time;
 * VERBOSE=1: print, don't judge.
 */
#include <stdio.h>
#include <string.h>

#include "check.h"
#include "fair.h"
#include "fair_tree.h"
#include <tarn/pcpu.h>
#include <public/tarn.h>

#include "layouts.h"

#define MAX_POOLS 3

static const struct sched_ops *const policies[] = { &sched_credit, &sched_credit, &sched_credit,
                                                    &sched_rtds,   &sched_null,   &sched_sedf };
static bool verbose;

/*
 * How far shares may be from what is fair, beyond what a slice at both ends makes: by `near` for
 * all but a few of a hundred, by `far` for none. A policy that decides in a microsecond does not
 * solve systems of flows: with affinities a CPU may even idle though all could have one if somebody
 * else moved first.
 */
static struct tally {
    const char *name;
    double near, far;
    u32 few;               /* of a hundred, and a handful where few are judged */
    u64 judged, off, seed; /* that of the worst */
    double worst;
} tallies[] = { { "without affinities", 0.01, 0.25, 1, 0, 0, 0, 0 },
                { "with affinities", 0.05, 1.10, 4, 0, 0, 0, 0 },
                { "in groups", 0.01, 0.25, 1, 0, 0, 0, 0 },
                { "burners in a crowd", 0.02, 0.30, 2, 0, 0, 0, 0 },
                { "burners in a crowd with groups", 0.02, 0.40, 3, 0, 0, 0, 0 },
                { "promises", 0.01, 0.02, 0, 0, 0, 0, 0 } };
enum { FREE, PINNED, GROUPS, CROWD, CROWD_GROUPS, PROMISES };

/* ---- Pools ------------------------------------------------------------------------------- */

static const struct layout *random_layout(u32 max_cpus)
{
    const struct layout *l;

    do {
        l = &layouts[rnd(nr_layouts)];
    } while (l->cpus > max_cpus);
    return l;
}

static struct sched_params random_params(u32 max_slice_us)
{
    struct sched_params p = { .tslice_us = 1000 + (u32)rnd(max_slice_us - 999) };

    if (one_in(2)) {
        p.ratelimit_us = 100 + (u32)rnd(MIN(p.tslice_us, 2000u) - 99);
    }
    p.migr_delay_us = one_in(3) ? (u32)rnd(3000) : 0;
    return p;
}

/* Random parts of the machine; Pool-0 keeps what is left, and CPU 0. */
static u32 random_pools(struct sched_pool **pools, u32 max_slice_us, bool quiet)
{
    u32 n = nr_pcpus > 1 ? (u32)rnd(MAX_POOLS) : 0;
    struct cpumask parts[MAX_POOLS];
    struct sched_params params;

    memset(parts, 0, sizeof(parts));
    for (u32 cpu = 1; cpu < nr_pcpus; cpu++) {
        cpumask_set(&parts[rnd(n + 1)], cpu);
    }
    pools[0] = &pool0;
    for (u32 i = 1; i <= n; i++) {
        pools[i] = sim_pool_of(i, policies[rnd(ARRAY_SIZE(policies))]->id, &parts[i]);
    }
    for (u32 i = 0; i <= n; i++) {
        params = random_params(max_slice_us);
        params.migr_delay_us = quiet ? 0 : params.migr_delay_us; /* it trades fairness for caches */
        ASSERT(sim_params(pools[i]->id, &params) == 0);
    }
    return n + 1;
}

static void begin(u64 seed, u32 max_cpus)
{
    machine_seed(seed);
    machine_on(layout_topology(random_layout(max_cpus)), policies[rnd(ARRAY_SIZE(policies))]);
    machine.ipi_max = (u32)rnd(4000);
    machine.late_max = one_in(2) ? (u32)rnd(20000) : 0;
}

/* ---- Domains ----------------------------------------------------------------------------- */

static struct cpumask random_mask(const struct cpumask *of)
{
    struct cpumask m;

    do {
        cpumask_clear_all(&m);
        cpumask_for_each(cpu, of) {
            if (one_in(2)) {
                cpumask_set(&m, cpu);
            }
        }
    } while (cpumask_empty(&m));
    return m;
}

/* One of a few sets that a pool's vcpus share, so that they meet. */
static struct cpumask some_mask(const struct sched_pool *p)
{
    struct cpumask m;
    u32 first = cpumask_next_wrap(&p->cpus, (u32)rnd(nr_pcpus));

    if (one_in(2)) {
        return random_mask(&p->cpus);
    }
    cpumask_clear_all(&m);
    cpumask_set(&m, first);
    return m;
}

static u32 random_weight(void)
{
    static const u32 usual[] = { 128, 256, 256, 512, 1024 };

    return one_in(3) ? 64 + (u32)rnd(2000) : usual[rnd(ARRAY_SIZE(usual))];
}

static u32 random_cap(u32 vcpus)
{
    return one_in(4) ? 5 + (u32)rnd(100 * vcpus) : 0;
}

/* ---- Groups ------------------------------------------------------------------------------ */

static struct sim_dom *some_dom(void)
{
    return sim_doms[rnd(nr_sim_doms)];
}

/* A tree at random, where the hypervisor allows it: of domains of the same pool. */
static void random_groups(bool capped)
{
    for (u32 i = 0; i < 2 * nr_sim_doms; i++) {
        struct sim_dom *d = some_dom(), *master = some_dom();

        (void)sim_dom_join(d, master, random_weight(), capped ? random_cap(d->d.max_vcpus) : 0);
        if (one_in(2)) {
            (void)sim_dom_inside(master, master, random_weight(),
                                 capped ? random_cap(master->d.max_vcpus) : 0);
        }
    }
}

static void disturb_group(struct sim_dom *d)
{
    struct sim_dom *other = some_dom();
    u32 weight = random_weight(), cap = random_cap(d->d.max_vcpus);

    switch (rnd(6)) {
    case 0:
    case 1:
    case 2:
        (void)sim_dom_join(d, other, weight, cap);
        break;
    case 3:
        (void)sim_dom_leave(d);
        break;
    case 4:
        (void)sim_dom_inside(d, one_in(2) ? d : other, weight, cap);
        break;
    default:
        (void)sim_dom_dissolve(d);
        break;
    }
}

/* ---- Fair -------------------------------------------------------------------------------- */

static void print_masks(const struct sim_dom *d)
{
    for (u32 i = 0; i < d->d.max_vcpus; i++) {
        printf("%s%lx", i ? " " : "    hard: ", d->vcpu[i]->v.unit.hard.bits[0]);
    }
    printf("\n");
}

static void print_group(const struct sched_dom *s)
{
    if (s->master) {
        printf("    in d%u: weight %u, cap %u\n", s->master->id, s->inner_weight, s->inner_cap);
    }
    if (!list_empty(&s->members)) {
        printf("    own vcpus: weight %u, cap %u\n", s->self_weight, s->self_cap);
    }
}

static void judge(struct tally *t, const struct sim_dom *d, double got, double want,
                  double tolerance)
{
    const struct sched_params *params = &d->d.pool->params;
    double off = got > want ? got - want : want - got;

    if (verbose) {
        printf("  d%u in %s (%s): %.4f, wanted %.4f +-%.4f: weight %u, cap %u, %u vcpus, %u cpus, "
               "slice %u ratelimit %u flags %x\n",
               d->d.domid, d->d.pool->name, d->d.pool->ops->name, got, want, tolerance + t->near,
               d->d.sched.weight, d->d.sched.cap, d->d.max_vcpus, cpumask_weight(&d->d.pool->cpus),
               params->tslice_us, params->ratelimit_us, params->flags);
        print_masks(d);
        print_group(&d->d.sched);
    }
    t->judged++;
    t->off += off > tolerance + t->near;
    if (off > t->worst) {
        t->worst = off;
        t->seed = machine.seed;
    }
    if (off > tolerance + t->far && !verbose) {
        panic("%s (%s, slice %u us, %u cpus): d%u of weight %u, cap %u, %u vcpus has %.4f CPUs "
              "instead of %.4f +-%.4f",
              d->d.pool->name, d->d.pool->ops->name, params->tslice_us,
              cpumask_weight(&d->d.pool->cpus), d->d.domid, d->d.sched.weight, d->d.sched.cap,
              d->d.max_vcpus, got, want, tolerance + t->far);
    }
}

static void judge_all(void)
{
    for (u32 i = 0; i < ARRAY_SIZE(tallies); i++) {
        const struct tally *t = &tallies[i];

        printf("%s: %llu domains, %llu off by more than %.2f CPUs; the worst by %.4f, seed %llu\n",
               t->name, (unsigned long long)t->judged, (unsigned long long)t->off, t->near,
               t->worst, (unsigned long long)t->seed);
        if (t->off * 100 > t->few * (t->judged + 400) && !verbose) {
            panic("too many shares are unfair");
        }
    }
}

static stime_t measured(void)
{
    return (stime_t)sim_arg("MS", 1500) * MS;
}

/* A vcpu may be a slice or two before or behind at both ends. */
static double tolerance_of(const struct sim_dom *d, stime_t over)
{
    return 2.0 * d->d.max_vcpus * d->d.pool->params.tslice_us * US / (double)over;
}

static void told(u64 seed, const char *kind)
{
    if (verbose) {
        printf("seed %llu%s: %llu events\n", (unsigned long long)seed, kind,
               (unsigned long long)machine.events);
    }
}

static bool reference(struct fair *f, const struct sched_pool *p)
{
    *f = (struct fair){ 0 };
    for (u32 i = 0; i < nr_sim_doms; i++) {
        const struct sim_dom *d = sim_doms[i];
        double weight = d->d.sched.weight;

        if (d->d.pool != p) {
            continue;
        }
        weight /= p->params.flags & TARN_POOL_weight_per_vcpu ? 1 : d->d.max_vcpus;
        f->cap[f->nr_doms] = d->d.sched.cap / 100.0;
        for (u32 k = 0; k < d->d.max_vcpus; k++) {
            if (!fair_add(f, f->nr_doms, weight, &d->vcpu[k]->v.unit.hard)) {
                return false;
            }
        }
        f->nr_doms++;
    }
    return fair_solve(f, &p->cpus);
}

static void judge_groups(const struct sched_pool *p, stime_t over)
{
    static double rate[SIM_DOMS];

    fair_tree(p, rate);
    for (u32 i = 0; i < nr_sim_doms; i++) {
        const struct sim_dom *d = sim_doms[i];

        if (d->d.pool == p) {
            judge(&tallies[GROUPS], d, sim_dom_share(d, over), rate[i], tolerance_of(d, over));
        }
    }
}

static void judge_credit(const struct sched_pool *p, stime_t over, bool pinned)
{
    static struct fair f;

    if (!reference(&f, p)) {
        return;
    }
    for (u32 i = 0, k = 0; i < nr_sim_doms; i++) {
        const struct sim_dom *d = sim_doms[i];

        if (d->d.pool == p) {
            double want = fair_rate(&f, k), got = sim_dom_share(d, over);

            judge(&tallies[pinned ? PINNED : FREE], d, got, want, tolerance_of(d, over));
            k++;
        }
    }
}

/* As many CPUs as there are vcpus are busy, or all. (Who gets one is by chance.) */
static void judge_whole(const struct sched_pool *p, stime_t over)
{
    double sum = 0, vcpus = 0, cpus = cpumask_weight(&p->cpus);

    for (u32 i = 0; i < nr_sim_doms; i++) {
        if (sim_doms[i]->d.pool == p) {
            sum += sim_dom_share(sim_doms[i], over);
            vcpus += sim_doms[i]->d.max_vcpus;
        }
    }
    if (sum > cpus + 1e-6 || (vcpus >= cpus && sum < cpus - 0.01)) {
        panic("%s (%s): %.4f of %.0f CPUs are busy, with %.0f vcpus", p->name, p->ops->name, sum,
              cpus, vcpus);
    }
}

static void judge_pool(const struct sched_pool *p, stime_t over, bool pinned, bool groups)
{
    if (p->ops == &sched_credit && groups) {
        judge_groups(p, over);
    } else if (p->ops == &sched_credit) {
        judge_credit(p, over, pinned);
    } else if (p->ops == &sched_null && !pinned) {
        judge_whole(p, over);
    }
}

/* Parameters under which global EDF keeps all its promises, or one CPU's. */
static void promise(struct sim_dom *d, double *left)
{
    u64 period = 2000 + rnd(30000), budget;
    double share = (1 + (double)rnd(60)) / 100;

    if (share * d->d.max_vcpus > *left) {
        share = *left / d->d.max_vcpus;
    }
    budget = (u64)((double)period * share);
    if (budget < 100) {
        budget = 100;
        share = 1;
    }
    if (sim_dom_rt(d, period, budget, false, false) == 0) {
        *left -= (double)budget / (double)period * d->d.max_vcpus;
        for (u32 i = 0; i < d->d.max_vcpus; i++) {
            d->vcpu[i]->arg[1] = (s64)(budget * 1000000 / period); /* ppm, to be judged by */
        }
    }
}

static void judge_promises(stime_t over)
{
    for (u32 i = 0; i < nr_sim_doms; i++) {
        const struct sim_dom *d = sim_doms[i];
        double want = 0;

        for (u32 k = 0; k < d->d.max_vcpus; k++) {
            want += (double)d->vcpu[k]->arg[1] / 1e6;
        }
        if (want > 0) {
            judge(&tallies[PROMISES], d, sim_dom_share(d, over), want, 0.035 * SEC / (double)over);
        }
    }
}

static void burn_all(struct sim_dom *d)
{
    for (u32 i = 0; i < d->d.max_vcpus; i++) {
        sim_up(d->vcpu[i], sim_burner, 0, d->vcpu[i]->arg[1]);
    }
}

static void fill_credit(struct sched_pool *p, bool pinned)
{
    u32 doms = 1 + (u32)rnd(5);

    for (u32 i = 0; i < doms; i++) {
        u32 vcpus = 1 + (u32)rnd(MIN(2 * cpumask_weight(&p->cpus), 8u));
        struct sim_dom *d = sim_dom_new(p, vcpus, random_weight(), random_cap(vcpus));

        for (u32 k = 0; k < vcpus && pinned; k++) {
            struct cpumask m = some_mask(p);

            sim_affinity(d->vcpu[k], one_in(2) ? &m : NULL, NULL);
        }
        burn_all(d);
    }
}

/* A part of the CPUs that leaves no doubt: EDF on n CPUs keeps all promises up to
 * n - (n - 1) * the largest. */
static void fill_rt(struct sched_pool *p)
{
    double left = p->ops == &sched_sedf ? 0.9 : 0.4 * cpumask_weight(&p->cpus);
    u32 doms = 1 + (u32)rnd(5);

    for (u32 i = 0; i < doms; i++) {
        struct sim_dom *d = sim_dom_new(p, 1, 256, 0);

        if (d->d.domid != 0 && left > 0.05) {
            promise(d, &left);
        }
        if (d->vcpu[0]->arg[1] || p->ops == &sched_sedf) {
            burn_all(d);
        }
    }
}

static void fill(struct sched_pool *p, bool pinned)
{
    if (cpumask_empty(&p->cpus)) {
        return;
    }
    if (p->ops == &sched_rtds || p->ops == &sched_sedf) {
        fill_rt(p);
    } else {
        fill_credit(p, pinned);
    }
}

static void fair(u64 seed)
{
    struct sched_pool *pools[MAX_POOLS];
    stime_t over = measured();
    bool pinned, groups;
    u32 n;

    begin(seed, 12);
    pinned = one_in(3);
    groups = !pinned && one_in(2);
    n = random_pools(pools, 4000, true);
    for (u32 i = 0; i < n; i++) {
        if (!pinned && one_in(4)) {
            ASSERT(sim_flags(pools[i]->id, TARN_POOL_weight_per_vcpu) == 0);
        }
        fill(pools[i], pinned);
    }
    if (groups) {
        random_groups(true);
    }
    checks_on(false);
    machine_run(120 * MS);
    sim_mark();
    machine_run(over);
    for (u32 i = 0; i < n; i++) {
        judge_pool(pools[i], over, pinned, groups);
    }
    judge_promises(over);
    told(seed, pinned ? " pinned" : groups ? " groups" : "");
    sim_end();
}

/* ---- Crowds ------------------------------------------------------------------------------ */

static void fill_crowd(void)
{
    u32 doms = 2 + (u32)rnd(5);

    for (u32 i = 0; i < doms; i++) {
        u32 vcpus = 1 + (u32)rnd(4), what = i ? (u32)rnd(5) : 0;
        s64 run = 50 * US + (s64)rnd(3 * MS);
        struct sim_dom *d = sim_dom_new(&pool0, vcpus, random_weight(), 0);

        for (u32 k = 0; k < vcpus; k++) {
            sim_up(d->vcpu[k],
                   what < 2    ? sim_burner
                   : what == 2 ? sim_sleeper
                   : what == 3 ? sim_random
                               : sim_dodger,
                   what == 4 ? 200 * US + (s64)rnd(30 * MS) : run, 2 * run + (s64)rnd(10 * MS));
        }
    }
}

/* Whatever the others do, who burns has at least what it had if all others burnt, too. */
static void crowd(u64 seed)
{
    static double rate[SIM_DOMS];
    struct sched_params params;
    stime_t over = measured();
    bool groups;

    begin(seed, 8);
    groups = one_in(2);
    params = random_params(4000);
    params.migr_delay_us = 0;
    machine_off();
    machine_on(layout_topology(random_layout(8)), &sched_credit);
    ASSERT(sim_params(0, &params) == 0);
    fill_crowd();
    if (groups) {
        random_groups(false);
    }
    checks_on(false);
    machine_run(200 * MS);
    sim_mark();
    machine_run(over);
    fair_tree(&pool0, rate);
    for (u32 i = 0; i < nr_sim_doms; i++) {
        const struct sim_dom *d = sim_doms[i];
        double fair_share = rate[i], got = sim_dom_share(d, over);
        double want = MIN(got, fair_share);

        if (verbose && d->vcpu[0]->behave != sim_burner) {
            printf("  (d%u of weight %u: %u vcpus that %s %lld us, have %.4f, all burning %.4f)\n",
                   d->d.domid, d->d.sched.weight, d->d.max_vcpus,
                   d->vcpu[0]->behave == sim_dodger ? "dodge" : "sleep, work",
                   (long long)d->vcpu[0]->arg[0] / US, got, fair_share);
        }
        if (d->vcpu[0]->behave == sim_burner) {
            judge(&tallies[groups ? CROWD_GROUPS : CROWD], d, want, fair_share,
                  tolerance_of(d, over));
        }
    }
    told(seed, groups ? " crowd with groups" : " crowd");
    sim_end();
}

/* ---- Mixed ------------------------------------------------------------------------------- */

static void random_rt(struct sim_dom *d)
{
    u64 period = 1000 + rnd(20000), budget = 50 + rnd(period - 49);

    (void)sim_dom_rt(d, period, budget, one_in(2), one_in(4));
}

static void random_dom(struct sched_pool *p)
{
    u32 vcpus = 1 + (u32)rnd(6);
    struct sim_dom *d = sim_dom_new(p, vcpus, random_weight(), random_cap(vcpus));

    if (!d) {
        return;
    }
    random_rt(d);
    for (u32 i = 0; i < vcpus; i++) {
        struct cpumask hard = some_mask(p), soft = some_mask(p);

        if (one_in(2)) {
            sim_affinity(d->vcpu[i], one_in(2) ? &hard : NULL, one_in(2) ? &soft : NULL);
        }
        if (!one_in(8)) {
            sim_up_at_random(d->vcpu[i], 3 * MS, 10 * MS, 20 * MS);
        }
    }
}

static void disturb_dom(struct sim_dom *d)
{
    struct sim_vcpu *v = d->vcpu[rnd(d->d.max_vcpus)];
    struct cpumask hard = some_mask(d->d.pool), soft = some_mask(d->d.pool);

    if (one_in(6)) {
        sim_limit_at_random(d);
        return;
    }
    switch (rnd(12)) {
    case 0:
        sim_dom_pause(d);
        break;
    case 1:
        sim_dom_unpause(d);
        break;
    case 2:
        sim_affinity(v, one_in(2) ? &hard : NULL, one_in(2) ? &soft : NULL);
        break;
    case 3:
        (void)sim_dom_adjust(d, random_weight(), random_cap(d->d.max_vcpus));
        break;
    case 4:
        sim_down(v);
        break;
    case 5:
        sim_up(v, v->behave ? v->behave : sim_burner, MAX(v->arg[0], 1000), MAX(v->arg[1], 1000));
        break;
    case 6:
        random_rt(d);
        break;
    case 7:
        sim_dom_destroy(d);
        break;
    case 8:
    case 9:
    case 10:
        disturb_group(d);
        break;
    default:
        sim_wake(v);
        break;
    }
}

static void disturb(struct sched_pool *const *pools, u32 n)
{
    struct sched_pool *p = pools[rnd(n)];
    struct sched_params params = random_params(30000);
    u32 cpu = (u32)rnd(nr_pcpus);

    switch (rnd(10)) {
    case 0:
        (void)sim_take(p->id, cpu);
        break;
    case 1:
        (void)sim_give(p->id, cpu);
        break;
    case 2:
        (void)sim_offline(cpu);
        break;
    case 3:
        (void)sim_online(cpu);
        break;
    case 4:
        random_dom(p);
        break;
    case 5:
        (void)sim_params(p->id, &params);
        (void)sim_flags(p->id, (u32)rnd(8));
        break;
    case 6:
        if (nr_sim_doms) {
            (void)sim_dom_move(some_dom(), p->id);
        }
        break;
    default:
        if (nr_sim_doms) {
            disturb_dom(some_dom());
        }
        break;
    }
}

static void mixed(u64 seed)
{
    struct sched_pool *pools[MAX_POOLS];
    u32 n, doms;

    machine_seed(seed);
    begin(seed, one_in(30) ? 256 : 16);
    n = random_pools(pools, 30000, false);
    checks_on(false);
    doms = 1 + (u32)rnd(6);
    for (u32 i = 0; i < doms; i++) {
        random_dom(pools[rnd(n)]);
    }
    for (u32 i = 0; i < 30; i++) {
        machine_run(1 + (stime_t)rnd(one_in(4) ? 20 * MS : 2 * MS));
        disturb(pools, n);
    }
    machine_run(50 * MS);
    sim_end();
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*fn)(u64 seed);
    } kinds[] = {
        { "scenarios that hold still: shares", fair },
        { "scenarios that hold still: nobody gains by sleeping", crowd },
        { "scenarios that change: invariants", mixed },
    };
    u64 first = sim_arg("SEED", 1), n = sim_arg("N", sim_is_short(argv[0]) ? 200 : 1500);

    (void)argc;
    verbose = sim_arg("VERBOSE", 0) != 0;
    for (u32 i = 0; i < ARRAY_SIZE(kinds); i++) {
        if (sim_arg("KIND", i) == i) {
            sim_case(kinds[i].name);
            for (u64 seed = first; seed < first + n; seed++) {
                kinds[i].fn(seed);
            }
        }
    }
    judge_all();
    return sim_passed();
}
