/* SPDX-License-Identifier: MIT */
/* sources: sched/credit.c sched/credit_queue.c sched/credit_place.c sched/credit_account.c
 * sched/credit_share.c sched/credit_tree.c sched/credit_dump.c lib/printf.c
 * tests/unit/schedsim.c */
/* The credit scheduler in the simulator: who gets how much, how soon, and where. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "schedsim.h"

static struct sim_unit *burner(struct sim *s, struct sched_dom *d)
{
    return sim_unit(s, d, NULL, NULL, sim_burner, 0, 0);
}

static struct sim_unit *pinned(struct sim *s, struct sched_dom *d, u64 cpus)
{
    struct cpumask m = mask_of(cpus);

    return sim_unit(s, d, &m, NULL, sim_burner, 0, 0);
}

/* ---- Weights ----------------------------------------------------------------------------- */

/* Burners of one domain each on `cpus` CPUs. */
static void check_weights(u32 cpus, u32 n, const u32 *weight, const double *want, double tolerance,
                          int line)
{
    struct sim *s = sim_new(&sched_credit, cpus, 1);
    struct sim_unit *u[16];

    for (u32 i = 0; i < n; i++) {
        u[i] = burner(s, sim_dom(s, weight[i], 0));
    }
    sim_run(s, 10 * SEC);
    for (u32 i = 0; i < n; i++) {
        sim_near(sim_share(u[i], 10 * SEC), want[i], tolerance, line);
    }
    sim_free(s);
}
#define WEIGHTS(cpus, tolerance, weights, wants)                          \
    do {                                                                  \
        static const u32 w_[] = weights;                                  \
        static const double s_[] = wants;                                 \
        check_weights(cpus, ARRAY_SIZE(w_), w_, s_, tolerance, __LINE__); \
    } while (0)
#define L(...)      \
    {               \
        __VA_ARGS__ \
    }

static void weights_one_cpu(void **state)
{
    (void)state;
    WEIGHTS(1, 0.5, L(256, 256), L(50, 50));
    WEIGHTS(1, 0.5, L(256, 512), L(33.33, 66.67));
    WEIGHTS(1, 0.5, L(256, 256, 512), L(25, 25, 50));
    WEIGHTS(1, 0.5, L(256, 512, 1024), L(14.29, 28.57, 57.14));
    WEIGHTS(1, 0.5, L(1, 65535), L(0, 100));
}

static void weights_across_cpus(void **state)
{
    (void)state;
    WEIGHTS(2, 0.5, L(256, 256, 256), L(66.67, 66.67, 66.67));
    WEIGHTS(2, 0.5, L(9, 9, 9, 9, 9, 9, 9, 9), L(25, 25, 25, 25, 25, 25, 25, 25));
    WEIGHTS(2, 1, L(1, 2, 4, 1, 2, 4), L(14.29, 28.57, 57.14, 14.29, 28.57, 57.14));
    WEIGHTS(2, 1, L(1, 2, 4), L(33.33, 66.67, 100)); /* 4/7 of two CPUs is more than one */
    WEIGHTS(2, 1, L(1000, 1, 1), L(100, 50, 50));
    WEIGHTS(4, 1, L(1, 1, 1, 1, 1, 1, 1), L(57.14, 57.14, 57.14, 57.14, 57.14, 57.14, 57.14));
}

static void weight_is_of_domain(void **state)
{
    struct sim *s = sim_new(&sched_credit, 2, 1);
    struct sched_dom *a = sim_dom(s, 256, 0), *b = sim_dom(s, 256, 0);

    (void)state;
    for (u32 i = 0; i < 6; i++) {
        burner(s, i < 4 ? a : b);
    }
    sim_run(s, 10 * SEC);
    NEAR(sim_dom_share(s, a, 10 * SEC), 100, 1);
    for (u32 i = 0; i < 6; i++) {
        NEAR(sim_share(&s->unit[i], 10 * SEC), i < 4 ? 25 : 50, 1);
    }
    sim_free(s);
}

/* A sibling that hardly runs takes nothing of its domain's weight away. */
static void active_units_share(void **state)
{
    struct sim *s = sim_new(&sched_credit, 1, 1);
    struct sched_dom *a = sim_dom(s, 256, 0), *b = sim_dom(s, 256, 0);

    (void)state;
    burner(s, a);
    sim_unit(s, a, NULL, NULL, sim_sleeper, 1 * MS, 20 * MS);
    burner(s, b);
    sim_run(s, 10 * SEC);
    NEAR(sim_dom_share(s, a, 10 * SEC), 50, 1);
    NEAR(sim_share(&s->unit[1], 10 * SEC), 5, 0.3);
    sim_free(s);
}

static void sleeper_leaves_rest(void **state)
{
    struct sim *s = sim_new(&sched_credit, 1, 1);

    (void)state;
    sim_unit(s, sim_dom(s, 256, 0), NULL, NULL, sim_sleeper, 1 * MS, 10 * MS);
    burner(s, sim_dom(s, 256, 0));
    burner(s, sim_dom(s, 512, 0));
    sim_run(s, 20 * SEC);
    NEAR(sim_share(&s->unit[0], 20 * SEC), 10, 0.2);
    NEAR(sim_share(&s->unit[1], 20 * SEC), 30, 1);
    NEAR(sim_share(&s->unit[2], 20 * SEC), 60, 1);
    sim_free(s);
}

static void wide_products(void **state)
{
    struct sim *s = sim_new(&sched_credit, 64, 1);
    struct sched_dom *a = sim_dom(s, 60000, 0), *b = sim_dom(s, 30000, 0);

    (void)state;
    for (u32 i = 0; i < 128; i++) {
        burner(s, i % 2 ? a : b);
    }
    sim_run(s, 10 * SEC);
    NEAR(sim_dom_share(s, a, 10 * SEC) / 64, 66.67, 1);
    NEAR(sim_dom_share(s, b, 10 * SEC) / 64, 33.33, 1);
    sim_free(s);
}

/* Weights hold among those that are bound to the same CPUs, whatever goes on elsewhere. */
static void weights_of_pinned(void **state)
{
    struct sim *s = sim_new(&sched_credit, 4, 1);

    (void)state;
    pinned(s, sim_dom(s, 256, 0), 1);
    pinned(s, sim_dom(s, 512, 0), 1);
    pinned(s, sim_dom(s, 256, 0), 6);
    pinned(s, sim_dom(s, 256, 0), 6);
    pinned(s, sim_dom(s, 256, 0), 6);
    sim_unit(s, sim_dom(s, 256, 0), NULL, NULL, sim_sleeper, 1 * MS, 10 * MS);
    sim_run(s, 10 * SEC);
    NEAR(sim_share(&s->unit[0], 10 * SEC), 33.33, 1);
    NEAR(sim_share(&s->unit[1], 10 * SEC), 66.67, 1);
    for (u32 i = 2; i < 5; i++) {
        NEAR(sim_share(&s->unit[i], 10 * SEC), 66.67, 1);
    }
    sim_free(s);
}

/* What a bound sleeper does not want goes to those that are bound to the same CPU. */
static void bound_sleeper_leaves_rest(void **state)
{
    struct sim *s = sim_new(&sched_credit, 4, 1);
    struct cpumask one = mask_of(1);

    (void)state;
    sim_unit(s, sim_dom(s, 1024, 0), &one, NULL, sim_sleeper, 1 * MS, 10 * MS);
    pinned(s, sim_dom(s, 256, 0), 1);
    pinned(s, sim_dom(s, 512, 0), 1);
    burner(s, sim_dom(s, 256, 0));
    sim_run(s, 20 * SEC);
    NEAR(sim_share(&s->unit[0], 20 * SEC), 10, 0.2);
    NEAR(sim_share(&s->unit[1], 20 * SEC), 30, 1);
    NEAR(sim_share(&s->unit[2], 20 * SEC), 60, 1);
    NEAR(sim_share(&s->unit[3], 20 * SEC), 100, 0.1);
    sim_free(s);
}

/* ---- Caps -------------------------------------------------------------------------------- */

static void check_cap(u32 cap, u32 units, u32 tslice_us)
{
    struct sim *s = sim_new(&sched_credit, 2, 1);
    struct sched_dom *d;

    s->pool.params.tslice_us = tslice_us;
    d = sim_dom(s, 256, cap);
    for (u32 i = 0; i < units; i++) {
        burner(s, d);
    }
    sim_run(s, 20 * SEC);

    NEAR(sim_dom_share(s, d, 20 * SEC), cap, 0.25);
    sim_free(s);
}

static void caps_alone(void **state)
{
    static const u32 caps[] = { 1, 5, 10, 25, 50, 90 };

    (void)state;
    for (u32 i = 0; i < ARRAY_SIZE(caps); i++) {
        check_cap(caps[i], 1, 30000);
        check_cap(caps[i], 2, 30000);
        check_cap(caps[i], 64, 30000);
        check_cap(caps[i], 3, 1000);
        check_cap(caps[i], 3, 1000000);
    }
    check_cap(150, 2, 30000);
    check_cap(150, 7, 30000);
}

/* What the cap keeps a heavy domain from is the others', by their weights. */
static void check_cap_beside(u32 weight)
{
    struct sim *s = sim_new(&sched_credit, 1, 1);

    burner(s, sim_dom(s, weight, 10));
    burner(s, sim_dom(s, 256, 0));
    burner(s, sim_dom(s, 512, 0));
    sim_run(s, 10 * SEC);
    NEAR(sim_share(&s->unit[0], 10 * SEC), 10, 0.3);
    NEAR(sim_share(&s->unit[1], 10 * SEC), 30, 1);
    NEAR(sim_share(&s->unit[2], 10 * SEC), 60, 1);
    sim_free(s);
}

static void cap_beside_others(void **state)
{
    (void)state;
    check_cap_beside(256);
    check_cap_beside(60000);
}

/* On 4 CPUs, with weight for much more, beside 8 burners: exact, with any number of vcpus. */
static void check_cap_among(u32 cap, u32 units)
{
    struct sim *s = sim_new(&sched_credit, 4, 1);
    struct sched_dom *d = sim_dom(s, 20000, cap);

    for (u32 i = 0; i < units; i++) {
        burner(s, d);
    }
    for (u32 i = 0; i < 8; i++) {
        burner(s, sim_dom(s, 256, 0));
    }
    sim_run(s, 60 * SEC);
    NEAR(sim_dom_share(s, d, 60 * SEC), cap, 0.5);
    for (u32 i = 0; i < 8; i++) {
        NEAR(sim_share(&s->unit[units + i], 60 * SEC), (400 - cap) / 8.0, 1);
    }
    sim_free(s);
}

static void caps_among_burners(void **state)
{
    static const u32 caps[] = { 1, 5, 10, 25, 50, 90, 150 };

    (void)state;
    for (u32 i = 0; i < ARRAY_SIZE(caps); i++) {
        check_cap_among(caps[i], 2);
        check_cap_among(caps[i], 8);
        check_cap_among(caps[i], 64);
    }
}

static void cap_changes(void **state)
{
    struct sim *s = sim_new(&sched_credit, 1, 1);
    struct sched_dom *d = sim_dom(s, 256, 10);
    static const u32 caps[] = { 10, 50, 0, 25, 1, 0 };

    (void)state;
    burner(s, d);
    for (u32 i = 0; i < ARRAY_SIZE(caps); i++) {
        d->cap = caps[i];
        sim_domain_changed(s, d);
        sim_run(s, 200 * MS);
        sim_reset(s);
        sim_run(s, 5 * SEC);
        NEAR(sim_dom_share(s, d, 5 * SEC), caps[i] ? caps[i] : 100, 0.5);
    }
    sim_free(s);
}

/* ---- Those who try to get more ----------------------------------------------------------- */

static void dodger(void **state)
{
    struct sim *s = sim_new(&sched_credit, 1, 1);
    struct sim_unit *u = sim_unit(s, sim_dom(s, 256, 0), NULL, NULL, sim_dodger, 10 * MS, 0);

    (void)state;
    burner(s, sim_dom(s, 256, 0));
    sim_run(s, 10 * SEC);
    NEAR(sim_share(u, 10 * SEC), 50, 1);
    sim_free(s);
}

static void dodger_of_cap(void **state)
{
    struct sim *s = sim_new(&sched_credit, 1, 1);
    struct sim_unit *u = sim_unit(s, sim_dom(s, 256, 10), NULL, NULL, sim_dodger, 10 * MS, 0);

    (void)state;
    sim_run(s, 10 * SEC);
    NEAR(sim_share(u, 10 * SEC), 10, 0.3);
    sim_free(s);
}

/* Many units that each run a little while above their credit and then sleep long. */
static void relay(void **state)
{
    struct sim *s = sim_new(&sched_credit, 1, 1);
    struct sched_dom *d = sim_dom(s, 256, 0);

    (void)state;
    for (u32 i = 0; i < 20; i++) {
        struct sim_unit *u = sim_unit(s, d, NULL, NULL, sim_sleeper, 29 * MS, 600 * MS);

        (void)u;
    }
    burner(s, sim_dom(s, 256, 0));
    sim_run(s, 100 * SEC);
    NEAR(sim_dom_share(s, d, 100 * SEC), 49, 2);
    sim_free(s);
}

static void short_sleeps(void **state)
{
    struct sim *s = sim_new(&sched_credit, 1, 1);
    struct sim_unit *u = sim_unit(s, sim_dom(s, 256, 0), NULL, NULL, sim_sleeper, 950 * US, 1 * MS);

    (void)state;
    burner(s, sim_dom(s, 256, 0));
    burner(s, sim_dom(s, 256, 0));
    sim_run(s, 20 * SEC);
    NEAR(sim_share(u, 20 * SEC), 33, 1);
    NEAR(sim_share(&s->unit[1], 20 * SEC), 33.5, 1);
    sim_free(s);
}

static void yielders(void **state)
{
    struct sim *s = sim_new(&sched_credit, 1, 1);
    struct sim_unit *a = sim_unit(s, sim_dom(s, 256, 0), NULL, NULL, sim_yielder, 50 * US, 0);
    struct sim_unit *b = sim_unit(s, sim_dom(s, 256, 0), NULL, NULL, sim_yielder, 50 * US, 0);

    (void)state;
    sim_run(s, 2 * SEC);
    NEAR(sim_share(a, 2 * SEC), 50, 1);
    assert_true(a->runs >= a->yields - 1 && b->runs >= b->yields - 1); /* alternate */
    sim_free(s);
}

static void yielder_beside_burner(void **state)
{
    struct sim *s = sim_new(&sched_credit, 1, 1);
    struct sim_unit *a = sim_unit(s, sim_dom(s, 256, 0), NULL, NULL, sim_yielder, 50 * US, 0);
    struct sim_unit *b = burner(s, sim_dom(s, 256, 0));

    (void)state;
    sim_run(s, 5 * SEC);
    assert_true(sim_share(a, 5 * SEC) < 51);
    assert_true(sim_share(b, 5 * SEC) > 49);
    assert_true(a->runs > 100);
    sim_free(s);
}

/* ---- Latency ----------------------------------------------------------------------------- */

static void check_latency(s64 work, s64 period, u32 burners)
{
    struct sim *s = sim_new(&sched_credit, 1, 1);
    struct sim_unit *u = sim_unit(s, sim_dom(s, 256, 0), NULL, NULL, sim_sleeper, work, period);

    for (u32 i = 0; i < burners; i++) {
        burner(s, sim_dom(s, 256, 0));
    }
    sim_run(s, 1 * SEC);
    sim_reset(s);
    sim_run(s, 20 * SEC);
    assert_true(u->wakes > 100);
    assert_true(u->late[1] * 100 <= u->wakes);
    NEAR(sim_share(u, 20 * SEC), 100.0 * (double)work / (double)period, 0.3);
    sim_free(s);
}

static void boost_on_wake(void **state)
{
    (void)state;
    check_latency(1 * MS, 10 * MS, 1);
    check_latency(200 * US, 2 * MS, 1);
    check_latency(10 * MS, 100 * MS, 1);
    check_latency(3 * MS, 30 * MS, 1);
    check_latency(9 * MS, 30 * MS, 1);
    check_latency(1 * MS, 13700 * US, 1);
    check_latency(4 * MS, 41 * MS, 1);
}

/* Boosted does not mean for long: after a third of a slice it is the next one's turn. */
static void boost_ends(void **state)
{
    struct sim *s = sim_new(&sched_credit, 1, 1);
    struct sim_unit *u = sim_unit(s, sim_dom(s, 256, 0), NULL, NULL, sim_sleeper, 1 * MS, 11 * MS);

    (void)state;
    sim_unit(s, sim_dom(s, 256, 0), NULL, NULL, sim_sleeper, 27 * MS, 90 * MS);
    sim_run(s, 1 * SEC);
    sim_reset(s);
    sim_run(s, 20 * SEC);
    assert_true(u->longest_wait > 9 * MS && u->longest_wait < 11 * MS);
    sim_free(s);
}

/* A displaced unit goes on at once on an idle CPU that it may use. */
static void displaced_goes_elsewhere(void **state)
{
    struct sim *s = sim_new(&sched_credit, 2, 1);
    struct cpumask one = mask_of(1), two = mask_of(2);
    struct sim_unit *b = sim_unit(s, sim_dom(s, 256, 0), &one, NULL, sim_burner, 0, 0);
    struct sim_unit *a;

    (void)state;
    sim_run(s, 15 * MS);
    sim_affinity(s, b, NULL, NULL);
    assert_true(b->unit.cpu == 0);
    a = sim_unit(s, sim_dom(s, 256, 0), &one, NULL, sim_sleeper, 1 * MS, 10 * MS);
    sim_run(s, 100 * MS);
    assert_true(b->longest_wait < 100 * US);
    assert_true(a->longest_wait < 100 * US);
    assert_true(b->ran_on[1] > 50 * MS);
    (void)two;
    sim_free(s);
}

/* A woken unit does not wait for a CPU that is idle or just became it, at whatever phase. */
static void idle_takes_at_once(void **state)
{
    struct sim *s = sim_new(&sched_credit, 2, 1);
    struct cpumask one = mask_of(1), two = mask_of(2);
    struct sim_unit *free, *bound;

    (void)state;
    s->pool.params.ratelimit_us = 0;
    sim_unit(s, sim_dom(s, 256, 0), &one, NULL, sim_burner, 0, 0);
    free = sim_unit(s, sim_dom(s, 256, 0), NULL, NULL, sim_sleeper, 300 * US, 1900 * US);
    bound = sim_unit(s, sim_dom(s, 256, 0), &two, NULL, sim_sleeper, 500 * US, 1703 * US);
    sim_run(s, 100 * MS);
    sim_reset(s);
    sim_run(s, 10 * SEC);
    assert_true(free->wakes > 5000 && bound->wakes > 5000);
    assert_int_equal(free->late[1], 0);
    assert_true(bound->longest_wait <= 310 * US); /* until the other, boosted as well, is done */
    assert_true(free->ran_on[0] > 0 && free->ran_on[1] > 0);
    sim_free(s);
}

/* A small share comes in small pieces. */
static void light_is_not_starved(void **state)
{
    struct sim *s = sim_new(&sched_credit, 1, 1);
    struct sim_unit *u = burner(s, sim_dom(s, 256, 0)), *v = burner(s, sim_dom(s, 1, 0));

    (void)state;
    burner(s, sim_dom(s, 65535, 0));
    sim_run(s, 10 * SEC);
    sim_reset(s);
    sim_run(s, 600 * SEC);
    NEAR(sim_share(u, 600 * SEC), 0.389, 0.02);
    assert_true(u->longest_wait < 500 * MS);
    assert_true(v->runs >= 5);
    sim_free(s);
}

static void timeslice(void **state)
{
    struct sim *s = sim_new(&sched_credit, 1, 1);

    (void)state;
    s->pool.params.tslice_us = 5000;
    burner(s, sim_dom(s, 256, 0));
    burner(s, sim_dom(s, 256, 0));
    sim_run(s, 10 * SEC);
    NEAR((double)s->cpu[0].switches / 10, 200, 10);
    sim_free(s);
}

static void ratelimit(void **state)
{
    struct sim *s = sim_new(&sched_credit, 1, 1);
    struct sim_unit *u;

    (void)state;
    s->pool.params.ratelimit_us = 5000;
    u = sim_unit(s, sim_dom(s, 256, 0), NULL, NULL, sim_sleeper, 100 * US, 2 * MS);
    burner(s, sim_dom(s, 256, 0));
    sim_run(s, 1 * SEC);
    sim_reset(s);
    sim_run(s, 5 * SEC);
    assert_true(u->longest_wait >= 4 * MS && u->longest_wait < 6 * MS);
    sim_free(s);
}

static u64 moves_with(u32 migr_delay_us, u32 units)
{
    struct sim *s = sim_new(&sched_credit, 2, 1);
    u64 moves = 0;

    s->pool.params.migr_delay_us = migr_delay_us;
    for (u32 i = 0; i < units; i++) {
        sim_unit(s, sim_dom(s, 256, 0), NULL, NULL, sim_sleeper, 4 * MS + i * 300 * US, 12 * MS);
    }
    sim_run(s, 20 * SEC);
    for (u32 i = 0; i < units; i++) {
        moves += s->unit[i].moves;
    }
    sim_free(s);
    return moves;
}

/* Who ran just now is left where its cache is warm. */
static void migration_delay(void **state)
{
    (void)state;
    for (u32 units = 6; units <= 10; units += 2) {
        assert_true(moves_with(20000, units) * 2 < moves_with(0, units));
    }
}

/* ---- Affinity ---------------------------------------------------------------------------- */

static void soft_affinity(void **state)
{
    struct sim *s = sim_new(&sched_credit, 4, 1);
    struct cpumask soft = mask_of(8);
    struct sim_unit *u = sim_unit(s, sim_dom(s, 256, 0), NULL, &soft, sim_sleeper, 3 * MS, 10 * MS),
                    *b;

    (void)state;
    sim_run(s, 1 * SEC);
    assert_true(u->ran_on[3] == u->ran);
    b = pinned(s, sim_dom(s, 256, 0), 8); /* in the way: hard affinity lets it go elsewhere */
    sim_run(s, 1 * SEC);
    assert_true(u->longest_wait < 100 * US);
    sim_pause(s, b);
    sim_run(s, 50 * MS);
    sim_reset(s);
    sim_run(s, 1 * SEC);
    assert_true(u->ran_on[3] == u->ran);
    sim_free(s);
}

/* When all that it prefers is taken by its like, it displaces somebody where it may be, too. */
static void soft_affinity_in_two_passes(void **state)
{
    struct sim *s = sim_new(&sched_credit, 4, 1);
    struct cpumask two = mask_of(4);
    struct sim_unit *u, *v;

    (void)state;
    u = sim_unit(s, sim_dom(s, 256, 0), NULL, &two, sim_sleeper, 1 * MS, 10 * MS);
    v = sim_unit(s, sim_dom(s, 256, 0), &two, NULL, sim_sleeper, 1 * MS, 10100 * US);
    for (u32 cpu = 0; cpu < 4; cpu++) {
        pinned(s, sim_dom(s, 256, 0), 1U << cpu);
    }
    sim_run(s, 20 * SEC);
    assert_true(u->longest_wait < 100 * US || u->late[1] * 100 < u->wakes);
    assert_true(u->ran_on[2] * 10 > u->ran * 8);
    assert_true(u->ran_on[2] < u->ran && v->ran_on[2] == v->ran);
    sim_free(s);
}

/* Two threads per core: whole cores are taken first. */
static void idle_cores_first(void **state)
{
    static struct topology t = {
        .nr_cpus = 8, .nr_sockets = 2, .cores_per_socket = 2, .threads_per_core = 2
    };
    struct sim *s = sim_new(&sched_credit, 8, 1);
    u32 cores = 0;

    (void)state;
    for (u32 cpu = 0; cpu < 8; cpu++) {
        t.cpu[cpu] = (struct topology_cpu){
            .apic_id = cpu, .socket = (u16)(cpu / 4), .core = cpu / 2 % 2, .thread = cpu % 2
        };
    }
    s->pool.topology = &t;
    sim_run(s, 1 * MS);
    for (u32 i = 0; i < 4; i++) {
        sim_unit(s, sim_dom(s, 256, 0), NULL, NULL, sim_burner, 0, 0);
        sim_run(s, 1 * MS);
        cores |= 1U << s->unit[i].unit.cpu / 2;
    }
    assert_int_equal(cores, 15);
    sim_free(s);
}

/* A burner comes back to the CPU it prefers. */
static void soft_affinity_returns(void **state)
{
    struct sim *s = sim_new(&sched_credit, 2, 1);
    struct cpumask soft = mask_of(2);
    struct sim_unit *b = pinned(s, sim_dom(s, 256, 0), 2);
    struct sim_unit *u = sim_unit(s, sim_dom(s, 256, 0), NULL, &soft, sim_burner, 0, 0);

    (void)state;
    sim_run(s, 500 * MS);
    sim_pause(s, b);
    sim_run(s, 100 * MS);
    sim_reset(s);
    sim_run(s, 1 * SEC);
    assert_true(u->ran_on[1] == u->ran);
    NEAR(sim_share(u, 1 * SEC), 100, 0.1);
    sim_free(s);
}

/* ---- Beginning and end ------------------------------------------------------------------- */

/* Without anybody active the timer rests, and a wake asks for it again. */
static void timer_rests(void **state)
{
    struct sim *s = sim_new(&sched_credit, 2, 1);
    struct sim_unit *u = burner(s, sim_dom(s, 256, 0));

    (void)state;
    assert_true(s->timer_at != 0);
    sim_run(s, 500 * MS);
    sim_pause(s, u);
    sim_run(s, 10 * SEC);
    assert_true(s->timer_at == 0);
    sim_unpause(s, u);
    assert_true(s->timer_at != 0);
    sim_run(s, 1 * SEC);
    sim_pause(s, u);
    sim_run(s, 1 * MS);
    sim_unit_remove(s, u);
    sim_run(s, 1 * SEC);
    assert_true(s->timer_at == 0);
    sim_free(s);
}

static void dump_line(void **state)
{
    struct sim *s = sim_new(&sched_credit, 1, 1);
    char line[200], tiny[8];

    (void)state;
    sim_dom(s, 256, 0);
    sched_credit.dump_cpu(&s->pool, 0, line, sizeof(line));
    assert_string_equal(line, "idle");
    burner(s, sim_dom(s, 256, 0));
    sim_run(s, 1 * MS);
    burner(s, sim_dom(s, 256, 0));
    sched_credit.dump_cpu(&s->pool, 0, line, sizeof(line));
    assert_string_equal(line, "d1v0 BOOST 16.0ms; waiting d2v1 BOOST 11.0ms");
    assert_int_equal(sched_credit.dump_cpu(&s->pool, 0, tiny, sizeof(tiny)), (int)strlen(line));
    assert_string_equal(tiny, "d1v0 BO");
    sim_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(weights_one_cpu),
        cmocka_unit_test(weights_across_cpus),
        cmocka_unit_test(weight_is_of_domain),
        cmocka_unit_test(active_units_share),
        cmocka_unit_test(sleeper_leaves_rest),
        cmocka_unit_test(wide_products),
        cmocka_unit_test(weights_of_pinned),
        cmocka_unit_test(bound_sleeper_leaves_rest),
        cmocka_unit_test(caps_alone),
        cmocka_unit_test(cap_beside_others),
        cmocka_unit_test(caps_among_burners),
        cmocka_unit_test(cap_changes),
        cmocka_unit_test(dodger),
        cmocka_unit_test(dodger_of_cap),
        cmocka_unit_test(relay),
        cmocka_unit_test(short_sleeps),
        cmocka_unit_test(yielders),
        cmocka_unit_test(yielder_beside_burner),
        cmocka_unit_test(boost_on_wake),
        cmocka_unit_test(boost_ends),
        cmocka_unit_test(displaced_goes_elsewhere),
        cmocka_unit_test(idle_takes_at_once),
        cmocka_unit_test(light_is_not_starved),
        cmocka_unit_test(timeslice),
        cmocka_unit_test(ratelimit),
        cmocka_unit_test(migration_delay),
        cmocka_unit_test(soft_affinity),
        cmocka_unit_test(soft_affinity_returns),
        cmocka_unit_test(soft_affinity_in_two_passes),
        cmocka_unit_test(idle_cores_first),
        cmocka_unit_test(timer_rests),
        cmocka_unit_test(dump_line),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
