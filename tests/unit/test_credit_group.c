/* SPDX-License-Identifier: MIT */
/* sources: sched/credit.c sched/credit_queue.c sched/credit_place.c sched/credit_account.c
 * sched/credit_share.c sched/credit_tree.c sched/credit_dump.c lib/printf.c tests/unit/schedsim.c
 * tests/unit/credit_sim.c
 */
/* The credit scheduler in the simulator: domains in groups, what they get together, and each of
 * them inside; when they join and leave. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <public/tarn.h>

#include "credit_sim.h"

#define PERIOD (30 * MS)

/* A domain with so many burners, a member of `master` unless that is NULL. */
static struct sched_dom *burning(struct sim *s, u32 weight, u32 cap, u32 vcpus,
                                 struct sched_dom *master)
{
    struct sched_dom *d = master ? sim_dom(s, 256, 0) : sim_dom(s, weight, cap);

    for (u32 i = 0; i < vcpus; i++) {
        burner(s, d);
    }
    if (master) {
        sim_join(s, d, master, weight, cap);
    }
    return d;
}

/* From here on; what went before is forgotten. */
static void measure(struct sim *s, stime_t warm, stime_t over)
{
    sim_run(s, warm);
    sim_reset(s);
    sim_run(s, over);
}

#define SHARE(d, want, tolerance) NEAR(sim_dom_share(s, d, 10 * SEC), want, tolerance)

/* ---- What a group gets, and its members -------------------------------------------------- */

/* A member alone on a machine, in a group that is capped: both together have the cap. */
static void cap_of_group(void **state)
{
    (void)state;
    for (u32 cpus = 1; cpus <= 4; cpus++) {
        struct sim *s = new_sim(cpus, 1);
        struct sched_dom *m = burning(s, 256, 10, 1, NULL), *b = burning(s, 256, 0, 1, NULL);

        measure(s, 1 * SEC, 10 * SEC);
        SHARE(m, 10, 0.1);
        SHARE(b, cpus == 1 ? 90 : 100, 0.1);
        sim_join(s, b, m, 256, 0);
        measure(s, 0, 10 * SEC); /* at once: not a slice more */
        NEAR(sim_dom_share(s, m, 10 * SEC) + sim_dom_share(s, b, 10 * SEC), 10, 0.1);
        SHARE(m, 5, 0.25);
        SHARE(b, 5, 0.25);
        sim_leave(s, b);
        measure(s, 0, 10 * SEC);
        SHARE(m, 10, 0.1);
        SHARE(b, cpus == 1 ? 90 : 100, 0.1);
        sim_free(s);
    }
}

static void cap_of_many_vcpus(void **state)
{
    struct sim *s = new_sim(4, 1);
    struct sched_dom *m = burning(s, 256, 10, 2, NULL), *b = burning(s, 256, 0, 2, m);

    (void)state;
    measure(s, 0, 10 * SEC);
    NEAR(sim_dom_share(s, m, 10 * SEC) + sim_dom_share(s, b, 10 * SEC), 10, 0.1);
    SHARE(m, 5, 0.25);
    for (u32 i = 0; i < 4; i++) {
        NEAR(sim_share(&s->unit[i], 10 * SEC), 2.5, 0.25);
    }
    sim_free(s);
}

static void weight_once(void **state)
{
    struct sim *s = new_sim(1, 1);
    struct sched_dom *a = burning(s, 256, 0, 1, NULL), *c = burning(s, 256, 0, 1, NULL);
    struct sched_dom *b = burning(s, 256, 0, 1, a);

    (void)state;
    measure(s, 1 * SEC, 10 * SEC);
    SHARE(a, 25, 0.3);
    SHARE(b, 25, 0.3);
    SHARE(c, 50, 0.3);
    burning(s, 256, 0, 3, a);
    measure(s, 1 * SEC, 10 * SEC);
    SHARE(a, 16.67, 0.3);
    SHARE(c, 50, 0.3);
    sim_free(s);
}

/* Two groups as 1:1, whose masters have no vcpus that run; in one of them 1:3. */
static void nested(void **state)
{
    (void)state;
    for (u32 cpus = 1; cpus <= 2; cpus++) {
        struct sim *s = new_sim(cpus, 1);
        struct sched_dom *g1 = sim_dom(s, 256, 0), *g2 = sim_dom(s, 256, 0);
        struct sched_dom *a = burning(s, 100, 0, cpus, g1), *b = burning(s, 300, 0, cpus, g1);
        struct sched_dom *c = burning(s, 1, 0, cpus, g2);

        measure(s, 1 * SEC, 10 * SEC);
        SHARE(a, 12.5 * cpus, 0.3 * cpus);
        SHARE(b, 37.5 * cpus, 0.3 * cpus);
        SHARE(c, 50 * cpus, 0.3 * cpus);
        sim_free(s);
    }
}

/* Eight levels; at each the half of what is left goes to the own units. */
static void deep(void **state)
{
    struct sim *s = new_sim(1, 1);
    struct sched_dom *d[8];
    double want = 50;

    (void)state;
    for (u32 i = 0; i < 8; i++) {
        d[i] = burning(s, 256, 0, 1, i ? d[i - 1] : NULL);
    }
    measure(s, 2 * SEC, 10 * SEC);
    for (u32 i = 0; i < 8; i++) {
        SHARE(d[i], want, 0.3);
        want /= i < 6 ? 2 : 1;
    }
    sim_free(s);
}

/* The same with the whole under a cap, from the bottom up, and with CPUs that idle. */
static void deep_under_cap(void **state)
{
    struct sim *s = new_sim(8, 1);
    struct sched_dom *d[8];
    double sum = 0;

    (void)state;
    for (u32 i = 0; i < 8; i++) {
        d[i] = burning(s, 256, i ? 0 : 64, 1, NULL);
    }
    for (u32 i = 7; i > 0; i--) {
        sim_join(s, d[i], d[i - 1], 256, 0);
    }
    measure(s, 5 * SEC, 10 * SEC);
    for (u32 i = 0; i < 8; i++) {
        sum += sim_dom_share(s, d[i], 10 * SEC);
    }
    NEAR(sum, 64, 0.1);
    SHARE(d[0], 32, 1);
    SHARE(d[1], 16, 1);
    SHARE(d[2], 8, 1);
    SHARE(d[7], 0.5, 0.5);
    sim_free(s);
}

static void caps_inside(void **state)
{
    struct sim *s = new_sim(2, 1);
    struct sched_dom *m = burning(s, 256, 40, 1, NULL), *a = burning(s, 256, 30, 2, m);

    (void)state;
    measure(s, 1 * SEC, 10 * SEC);
    SHARE(m, 20, 0.5);
    SHARE(a, 20, 0.5);
    sim_pause(s, &s->unit[0]);
    measure(s, 1 * SEC, 10 * SEC);
    SHARE(a, 30, 0.1); /* its own, though the group has 40 */
    sim_unpause(s, &s->unit[0]);
    m->self_cap = 5;
    sim_domain_changed(s, m);
    measure(s, 1 * SEC, 10 * SEC);
    SHARE(m, 5, 0.1);
    SHARE(a, 30, 0.1);
    a->inner_cap = 0;
    sim_domain_changed(s, a);
    measure(s, 1 * SEC, 10 * SEC);
    SHARE(m, 5, 0.1);
    SHARE(a, 35, 0.1);
    m->cap = 20;
    sim_domain_changed(s, m);
    measure(s, 100 * MS, 10 * SEC);
    NEAR(sim_dom_share(s, m, 10 * SEC) + sim_dom_share(s, a, 10 * SEC), 20, 0.1);
    sim_free(s);
}

/* Weights inside hold under a cap, too, when there is a CPU for everybody. */
static void weights_under_cap(void **state)
{
    (void)state;
    for (u32 cpus = 1; cpus <= 4; cpus++) {
        struct sim *s = new_sim(cpus, 1);
        struct sched_dom *m = sim_dom(s, 256, 40), *a = burning(s, 256, 0, 1, m);
        struct sched_dom *b = burning(s, 768, 0, 2, m);

        measure(s, 2 * SEC, 10 * SEC);
        SHARE(a, 10, 0.5);
        SHARE(b, 30, 0.5);
        a->inner_weight = 768;
        sim_domain_changed(s, a);
        measure(s, 2 * SEC, 10 * SEC);
        SHARE(a, 20, 0.5);
        SHARE(b, 20, 0.5);
        sim_free(s);
    }
}

/* One wants little, at all times or now and then: the others have the rest, all of it. */
static void modest_under_cap(void **state)
{
    static const s64 periods[] = { 5 * MS, 30 * MS, 100 * MS, 1 * SEC };

    (void)state;
    for (u32 i = 0; i < ARRAY_SIZE(periods); i++) {
        struct sim *s = new_sim(3, 1);
        struct sched_dom *m = burning(s, 256, 40, 1, NULL), *a = sim_dom(s, 256, 0);
        double modest;

        sim_unit(s, a, NULL, NULL, sim_sleeper, periods[i] / 20, periods[i]);
        sim_join(s, a, m, 768, 0);
        measure(s, 2 * SEC, 10 * SEC);
        modest = sim_dom_share(s, a, 10 * SEC);
        NEAR(modest, 5, 0.3);
        SHARE(m, 40 - modest, 0.3);
        sim_free(s);
    }
}

static void master_sleeps(void **state)
{
    struct sim *s = new_sim(2, 1);
    struct sched_dom *m = sim_dom(s, 256, 10), *b = sim_dom(s, 256, 0);
    struct sim_unit *idle = burner(s, m);

    (void)state;
    burner(s, b);
    burner(s, b);
    sim_join(s, b, m, 256, 0);
    sim_run(s, 1 * SEC);
    sim_pause(s, idle);
    sim_run(s, 60 * MS);
    for (u32 i = 0; i < 10; i++) { /* all the time */
        measure(s, 0, 5 * PERIOD);
        NEAR(sim_dom_share(s, b, 5 * PERIOD), 10, 0.75);
    }
    measure(s, 0, 10 * SEC);
    SHARE(b, 10, 0.1);
    sim_unpause(s, idle);
    measure(s, 500 * MS, 10 * SEC);
    SHARE(m, 5, 0.3);
    SHARE(b, 5, 0.3);
    sim_free(s);
}

/* Nor does a group lose weight by that. */
static void weight_of_sleeping_master(void **state)
{
    (void)state;
    for (u32 per_vcpu = 0; per_vcpu < 2; per_vcpu++) {
        struct sim *s = new_sim(1, 1);
        struct sched_dom *m = sim_dom(s, 512, 0), *c = burning(s, 256, 0, 1, NULL);
        struct sched_dom *b = burning(s, 256, 0, 2, m);

        s->pool.params.flags = per_vcpu ? TARN_POOL_weight_per_vcpu : 0;
        measure(s, 1 * SEC, 10 * SEC);
        SHARE(b, 66.67, 0.3);
        SHARE(c, 33.33, 0.3);
        sim_free(s);
    }
}

/* By vcpu a group counts as often as its master has vcpus that want to run, however many there are
 * in its members. */
static void weight_by_vcpu(void **state)
{
    struct sim *s = new_sim(2, 1);
    struct sched_dom *m = burning(s, 256, 0, 2, NULL), *c = burning(s, 256, 0, 2, NULL);
    struct sched_dom *b;

    (void)state;
    s->pool.params.flags = TARN_POOL_weight_per_vcpu;
    b = burning(s, 256, 0, 5, m);
    measure(s, 1 * SEC, 10 * SEC);
    SHARE(m, 50, 0.5);
    SHARE(b, 50, 0.5);
    SHARE(c, 100, 0.5);
    sim_leave(s, b);
    measure(s, 1 * SEC, 10 * SEC);
    SHARE(m, 200 * 2 / 9.0, 0.5);
    SHARE(b, 200 * 5 / 9.0, 0.5);
    sim_free(s);
}

/* ---- Affinity ---------------------------------------------------------------------------- */

/* A (1) and B (3) of a group are bound to CPU 0 beside C, all others are elsewhere. */
static void bound_members(void **state)
{
    struct sim *s = new_sim(3, 1);
    struct sched_dom *m = sim_dom(s, 256, 0), *a = sim_dom(s, 256, 0), *b = sim_dom(s, 256, 0);
    struct sched_dom *c = sim_dom(s, 256, 0), *d = sim_dom(s, 256, 0);

    (void)state;
    pinned(s, a, 1);
    pinned(s, b, 1);
    pinned(s, c, 1);
    pinned(s, d, 6);
    sim_join(s, a, m, 256, 0);
    sim_join(s, b, m, 768, 0);
    measure(s, 1 * SEC, 10 * SEC);
    SHARE(a, 12.5, 0.5);
    SHARE(b, 37.5, 0.5);
    SHARE(c, 50, 0.5);
    SHARE(d, 100, 0.1);
    sim_free(s);
}

/* What one member can't get where it is bound to is left to the other one. */
static void bound_and_free_members(void **state)
{
    struct sim *s = new_sim(4, 1);
    struct sched_dom *m = sim_dom(s, 256, 0), *a = sim_dom(s, 256, 0), *c = sim_dom(s, 256, 0);

    (void)state;
    pinned(s, a, 1);
    pinned(s, a, 1);
    sim_join(s, a, m, 256, 0);
    for (u32 i = 0; i < 4; i++) {
        burner(s, m);
        burner(s, c);
    }
    measure(s, 1 * SEC, 10 * SEC);
    SHARE(a, 100, 1);
    SHARE(m, 100, 1);
    SHARE(c, 200, 1);
    m->self_weight = 768;
    sim_domain_changed(s, m);
    measure(s, 1 * SEC, 10 * SEC);
    SHARE(a, 50, 1);
    SHARE(m, 150, 1);
    sim_free(s);
}

/* ---- Sleepers ---------------------------------------------------------------------------- */

/* Who wakes for a moment runs at once, in a group as outside. */
static void sleepers(void **state)
{
    struct sim *s = new_sim(2, 1);
    struct sched_dom *m = burning(s, 256, 0, 2, NULL), *a = sim_dom(s, 256, 0);
    struct sched_dom *b = burning(s, 256, 0, 2, m);
    struct sim_unit *u[4];

    (void)state;
    sim_join(s, a, b, 256, 0);
    burning(s, 256, 0, 2, NULL);
    for (u32 i = 0; i < 4; i++) {
        u[i] = sim_unit(s, i < 2 ? a : b, NULL, NULL, sim_sleeper, 100 * US, 10 * MS + i * MS);
    }
    measure(s, 1 * SEC, 10 * SEC);
    for (u32 i = 0; i < 4; i++) {
        NEAR(sim_share(u[i], 10 * SEC), 100 * 0.1 / (10 + i), 0.1);
        assert_true(u[i]->wakes > 700 && u[i]->longest_wait < 250 * US);
    }
    sim_free(s);
}

/* Two boosted ones that wake under a cap that leaves them enough. */
static void sleepers_under_cap(void **state)
{
    struct sim *s = new_sim(2, 1);
    struct sched_dom *m = sim_dom(s, 256, 50), *a = sim_dom(s, 256, 0);
    struct sim_unit *u, *v;

    (void)state;
    burning(s, 256, 0, 2, NULL);
    u = sim_unit(s, m, NULL, NULL, sim_sleeper, 200 * US, 5 * MS);
    v = sim_unit(s, a, NULL, NULL, sim_sleeper, 200 * US, 7 * MS);
    sim_join(s, a, m, 256, 20);
    measure(s, 1 * SEC, 10 * SEC);
    assert_true(u->longest_wait < 2 * MS && v->longest_wait < 2 * MS);
    NEAR(sim_share(u, 10 * SEC), 4, 0.1);
    sim_free(s);
}

/* ---- Joining and leaving ----------------------------------------------------------------- */

/* At any phase of the period: the cap counts at once, and two periods later all is as entitled. */
static void join_at_any_phase(void **state)
{
    (void)state;
    for (u32 i = 0; i < 30; i++) {
        struct sim *s = new_sim(1 + i % 3, 1);
        struct sched_dom *m = burning(s, 256, 10, 1, NULL), *b = burning(s, 256, 0, 3, NULL);
        double both;

        sim_run(s, 300 * MS + i * PERIOD / 30);
        sim_join(s, b, m, 256, 0);
        measure(s, 60 * MS, 20 * PERIOD);
        both = sim_dom_share(s, m, 20 * PERIOD) + sim_dom_share(s, b, 20 * PERIOD);
        NEAR(both, 10, 0.6); /* a period's budget more or less, at both ends */
        sim_leave(s, b);
        measure(s, 60 * MS, 20 * PERIOD);
        NEAR(sim_dom_share(s, m, 20 * PERIOD), 10, 0.6);
        NEAR(sim_dom_share(s, b, 20 * PERIOD), 100 * s->nr_cpus - 10, s->nr_cpus < 3 ? 0.6 : 1);
        sim_free(s);
    }
}

/* A group that ran into debt without a cap has what a new one gives it, no less. */
static void cap_at_any_phase(void **state)
{
    (void)state;
    for (u32 i = 0; i < 30; i++) {
        struct sim *s = new_sim(2, 1);
        struct sched_dom *m = burning(s, 256, 0, 1, NULL), *b = burning(s, 768, 0, 2, m);

        burning(s, 512, 0, 2, NULL);
        sim_run(s, 900 * MS + i * PERIOD / 30);
        m->cap = 10;
        sim_domain_changed(s, m);
        measure(s, 60 * MS, 20 * PERIOD);
        NEAR(sim_dom_share(s, m, 20 * PERIOD) + sim_dom_share(s, b, 20 * PERIOD), 10, 0.8);
        sim_free(s);
    }
}

/* What is inside begins anew with a group. */
static void self_cap_comes_back(void **state)
{
    struct sim *s = new_sim(2, 1);
    struct sched_dom *m = burning(s, 256, 0, 1, NULL), *b = sim_dom(s, 256, 0);

    (void)state;
    m->self_cap = 20;
    for (u32 i = 0; i < 3; i++) {
        sim_join(s, b, m, 256, 0);
        measure(s, PERIOD, 1 * SEC);
        NEAR(sim_dom_share(s, m, 1 * SEC), 20, 1.5);
        sim_leave(s, b);
        measure(s, PERIOD, 5 * SEC);
        NEAR(sim_dom_share(s, m, 5 * SEC), 100, 0.1);
    }
    sim_free(s);
}

/* Beside another one, without caps: what it was entitled to before counts again. */
static void weights_come_back(void **state)
{
    (void)state;
    for (u32 i = 0; i < 30; i++) {
        struct sim *s = new_sim(1, 1);
        struct sched_dom *m = burning(s, 256, 0, 1, NULL), *b = burning(s, 512, 0, 1, NULL);

        s->pool.params.tslice_us = 10000;
        sim_run(s, 300 * MS + i * 10 * MS / 30);
        for (u32 n = 0; n < 3; n++) {
            sim_join(s, b, m, 256, 0);
            measure(s, 60 * MS, 1 * SEC);
            NEAR(sim_dom_share(s, m, 1 * SEC), 50, 1.5);
            sim_leave(s, b);
            measure(s, 60 * MS, 1 * SEC);
            NEAR(sim_dom_share(s, m, 1 * SEC), 33.33, 1.5);
        }
        sim_free(s);
    }
}

/* Who joins runs, waits or is parked, and so do all in the group: never more than the cap, and a
 * new cap counts for those who were parked by the old one. */
static void parked_joins(void **state)
{
    (void)state;
    for (u32 i = 0; i < 30; i++) {
        struct sim *s = new_sim(2, 1);
        struct sched_dom *m = burning(s, 256, 0, 2, NULL), *b = burning(s, 256, 5, 2, NULL);

        sim_run(s, 300 * MS + i * PERIOD / 30);
        sim_join(s, b, m, 256, 0);
        measure(s, 60 * MS, 1 * SEC);
        NEAR(sim_dom_share(s, b, 1 * SEC), 100, 6);
        sim_leave(s, b);
        measure(s, 60 * MS, 1 * SEC);
        NEAR(sim_dom_share(s, b, 1 * SEC), 5, 0.5);
        sim_free(s);
    }
}

/* A master that leaves the group it is in takes its members along, with the cap inside. */
static void subtree_moves(void **state)
{
    struct sim *s = new_sim(4, 1);
    struct sched_dom *top = burning(s, 256, 100, 1, NULL), *m = burning(s, 256, 50, 1, NULL);
    struct sched_dom *b = burning(s, 256, 20, 1, m);

    (void)state;
    measure(s, 1 * SEC, 10 * SEC);
    SHARE(b, 20, 0.1);
    SHARE(m, 30, 0.1);
    sim_join(s, m, top, 256, 0);
    measure(s, 1 * SEC, 10 * SEC);
    SHARE(b, 20, 0.1);
    SHARE(m, 30, 0.5);
    SHARE(top, 50, 0.5);
    sim_leave(s, m);
    measure(s, 1 * SEC, 10 * SEC);
    SHARE(b, 20, 0.1);
    SHARE(m, 30, 0.1);
    SHARE(top, 100, 0.1);
    sim_free(s);
}

/* Who is new has an advance on what its group gives it. */
static void new_member(void **state)
{
    struct sim *s = new_sim(1, 1);
    struct sched_dom *m = burning(s, 256, 0, 1, NULL), *b = sim_dom(s, 256, 0);
    char line[128];

    (void)state;
    m->self_weight = 199;
    sim_join(s, b, m, 1, 0);
    sim_run(s, 1 * SEC);
    burner(s, b);
    sched_credit.dump_cpu(&s->pool, 0, line, sizeof(line));
    assert_non_null(strstr(line, "d1v1 BOOST 1.1ms of d0"));
    burner(s, m);
    sched_credit.dump_cpu(&s->pool, 0, line, sizeof(line));
    assert_non_null(strstr(line, "d0v2 BOOST 30.8ms"));
    sim_free(s);
}

static void dump_tells(void **state)
{
    struct sim *s = new_sim(1, 1);
    struct sched_dom *m = burning(s, 256, 0, 1, NULL);
    char line[128];

    (void)state;
    burning(s, 256, 1, 1, m);
    sim_run(s, 1 * SEC);
    assert_true(sched_credit.dump_cpu(&s->pool, 0, line, sizeof(line)) < 128);
    assert_non_null(strstr(line, "d1v1 "));
    assert_non_null(strstr(line, " of d0"));
    assert_null(strstr(line, "of d1"));
    sim_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cap_of_group),
        cmocka_unit_test(cap_of_many_vcpus),
        cmocka_unit_test(weight_once),
        cmocka_unit_test(nested),
        cmocka_unit_test(deep),
        cmocka_unit_test(deep_under_cap),
        cmocka_unit_test(caps_inside),
        cmocka_unit_test(weights_under_cap),
        cmocka_unit_test(modest_under_cap),
        cmocka_unit_test(master_sleeps),
        cmocka_unit_test(weight_of_sleeping_master),
        cmocka_unit_test(weight_by_vcpu),
        cmocka_unit_test(bound_members),
        cmocka_unit_test(bound_and_free_members),
        cmocka_unit_test(sleepers),
        cmocka_unit_test(sleepers_under_cap),
        cmocka_unit_test(join_at_any_phase),
        cmocka_unit_test(cap_at_any_phase),
        cmocka_unit_test(self_cap_comes_back),
        cmocka_unit_test(weights_come_back),
        cmocka_unit_test(parked_joins),
        cmocka_unit_test(subtree_moves),
        cmocka_unit_test(new_member),
        cmocka_unit_test(dump_tells),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
