/* SPDX-License-Identifier: MIT */
/* sources: sched/credit.c sched/credit_queue.c sched/credit_place.c sched/credit_account.c
 * sched/credit_share.c sched/credit_tree.c sched/credit_dump.c lib/printf.c
 * tests/unit/schedsim.c */
/*
 * The credit scheduler in the simulator, against those who know its clockwork and try to get more
 * than they are entitled to, or to disturb others; and those who shall not be disturbed.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "schedsim.h"

#define TICK (10 * MS)
#define PERIOD (30 * MS)

/* ---- Behaviours -------------------------------------------------------------------------- */

/* When the pool's periodic work comes next, as an attacker may find out. */
static stime_t next_accounting(const struct sim *s, stime_t after)
{
    stime_t at = s->timer_at;

    while (at <= after) {
        at += PERIOD;
    }
    return at;
}

/* Sleeps while accounts are made, from 100 us before until 100 us after it. */
static void off_at_accounting(struct sim *s, struct sim_unit *u, struct sim_step *step)
{
    stime_t from = MAX(s->now, u->wake_at), at = next_accounting(s, from + 100 * US);

    *step = (struct sim_step){ STIME_MAX / 2, at - 100 * US, at + 100 * US };
}

/* Runs while accounts are made, and sleeps in between for arg0. */
static void on_at_accounting(struct sim *s, struct sim_unit *u, struct sim_step *step)
{
    stime_t from = MAX(s->now, u->wake_at);

    *step = (struct sim_step){ PERIOD - u->arg[0], 0, next_accounting(s, from + 1 * MS) - 1 * MS };
}

/* Yields right before each tick, so that another is found running there. */
static void yields_at_ticks(struct sim *s, struct sim_unit *u, struct sim_step *step)
{
    stime_t from = MAX(s->now, u->wake_at);

    *step = (struct sim_step){ STIME_MAX / 2, ((from + 20 * US) / TICK + 1) * TICK - 10 * US, 0 };
}

/* Sleeps a microsecond each arg0, to be woken with a boost again. */
static void boost_hunter(struct sim *s, struct sim_unit *u, struct sim_step *step)
{
    (void)s;
    *step = (struct sim_step){ u->arg[0], 0, 1 };
}

/* By turns: hides from the ticks, then burns for a second. */
static void two_faced(struct sim *s, struct sim_unit *u, struct sim_step *step)
{
    if (MAX(s->now, u->wake_at) / SEC % 2) {
        sim_dodger(s, u, step);
    } else {
        *step = (struct sim_step){ 300 * MS, 0, 1 };
    }
}

typedef void behaviour(struct sim *, struct sim_unit *, struct sim_step *);

static const struct strategy {
    behaviour *behave;
    s64 arg0, arg1;
} strategies[] = {
    { sim_dodger, TICK, 0 },
    { sim_dodger, PERIOD, 0 },
    { sim_dodger, PERIOD / 2, 0 },
    { sim_dodger, 1 * MS, 0 },
    { off_at_accounting, 0, 0 },
    { on_at_accounting, 1 * MS, 0 },
    { on_at_accounting, 20 * MS, 0 },
    { yields_at_ticks, 0, 0 },
    { boost_hunter, 50 * US, 0 },
    { boost_hunter, 200 * US, 0 },
    { boost_hunter, 990 * US, 0 },
    { boost_hunter, 9900 * US, 0 },
    { boost_hunter, 29 * MS, 0 },
    { two_faced, TICK, 0 },
    { sim_sleeper, 9 * MS, 10 * MS },
    { sim_sleeper, 29 * MS, 45 * MS },
    { sim_sleeper, 100 * MS, 170 * MS },
    { sim_yielder, 1 * MS, 0 },
};

/* ---- At most what it is entitled to ------------------------------------------------------ */

static void at_most(double got, double entitled, u32 strategy, int line)
{
    if (got > entitled + 1) {
        panic("line %d, strategy %u: %.3f of %.3f", line, strategy, got, entitled);
    }
}

/* `units` vcpus of one domain that all do the same, beside one burner per CPU of another domain of
 * the same weight, which then gets at least its half. */
static void beside_burners(u32 strategy, u32 cpus, u32 units, u32 cap)
{
    const struct strategy *t = &strategies[strategy];
    struct sim *s = sim_new(&sched_credit, cpus, strategy + 1);
    struct sched_dom *bad = sim_dom(s, 256, cap), *good = sim_dom(s, 256, 0);

    for (u32 i = 0; i < units; i++) {
        sim_unit(s, bad, NULL, NULL, t->behave, t->arg0, t->arg1);
    }
    for (u32 i = 0; i < cpus; i++) {
        sim_unit(s, good, NULL, NULL, sim_burner, 0, 0);
    }
    sim_run(s, 500 * MS);
    sim_reset(s);
    sim_run(s, 6 * SEC);
    at_most(sim_dom_share(s, bad, 6 * SEC) / cpus, cap ? cap / (double)cpus : 50, strategy,
            __LINE__);
    assert_true(sim_dom_share(s, good, 6 * SEC) / cpus > 49);
    sim_free(s);
}

static void one_vcpu(void **state)
{
    (void)state;
    for (u32 i = 0; i < ARRAY_SIZE(strategies); i++) {
        beside_burners(i, 1, 1, 0);
        beside_burners(i, 1, 1, 10);
    }
}

static void many_vcpus(void **state)
{
    (void)state;
    for (u32 i = 0; i < ARRAY_SIZE(strategies); i++) {
        beside_burners(i, 1, 8, 0);
        beside_burners(i, 1, 8, 10);
        beside_burners(i, 1, 64, 10);
        beside_burners(i, 4, 16, 0);
        beside_burners(i, 4, 16, 10);
    }
}

/* Alone, too, a cap is a cap. */
static void capped_alone(void **state)
{
    (void)state;
    for (u32 i = 0; i < ARRAY_SIZE(strategies); i++) {
        for (u32 units = 1; units <= 16; units *= 4) {
            struct sim *s = sim_new(&sched_credit, 2, 1);
            struct sched_dom *d = sim_dom(s, 256, 10);

            for (u32 n = 0; n < units; n++) {
                sim_unit(s, d, NULL, NULL, strategies[i].behave, strategies[i].arg0,
                         strategies[i].arg1);
            }
            sim_run(s, 6 * SEC);
            at_most(sim_dom_share(s, d, 6 * SEC), 9.5, i, __LINE__);
            sim_free(s);
        }
    }
}

/* Moved from CPU to CPU by its owner, who may set its affinity. */
static void moving(void **state)
{
    (void)state;
    for (u32 i = 0; i < ARRAY_SIZE(strategies); i++) {
        struct sim *s = sim_new(&sched_credit, 4, 1);
        struct sched_dom *bad = sim_dom(s, 256, 10), *good = sim_dom(s, 256, 0);
        struct sim_unit *u;

        u = sim_unit(s, bad, NULL, NULL, strategies[i].behave, strategies[i].arg0,
                     strategies[i].arg1);
        for (u32 n = 0; n < 4; n++) {
            sim_unit(s, good, NULL, NULL, sim_burner, 0, 0);
        }
        for (u32 n = 0; n < 700; n++) {
            struct cpumask one = mask_of(1U << (n % 4));

            sim_affinity(s, u, &one, NULL);
            sim_run(s, 9700 * US);
        }
        at_most(sim_dom_share(s, bad, 700 * 9700 * US), 10, i, __LINE__);
        sim_free(s);
    }
}

/* ---- Boost ------------------------------------------------------------------------------- */

/* Who burns beside those who are woken all the time keeps its share, whatever they do. */
static void storm_leaves_share(void **state)
{
    (void)state;
    for (u32 storm = 1; storm <= 16; storm *= 4) {
        struct sim *s = sim_new(&sched_credit, 1, 1);
        struct sim_unit *victim = sim_unit(s, sim_dom(s, 256, 0), NULL, NULL, sim_burner, 0, 0);
        struct sched_dom *d = sim_dom(s, 256, 0);

        for (u32 i = 0; i < storm; i++) {
            sim_unit(s, d, NULL, NULL, sim_sleeper, 80 * US, 100 * US + i * 7 * US);
        }
        sim_run(s, 100 * MS);
        sim_reset(s);
        sim_run(s, 20 * SEC);
        assert_true(sim_share(victim, 20 * SEC) > 49);
        sim_free(s);
    }
}

/* A storm of wakes by those with credit preempts once per ratelimit, and four times more at first.
 */
static void storm_is_limited(void **state)
{
    static const u32 ratelimits[] = { 500, 1000, 5000 };

    (void)state;
    for (u32 i = 0; i < ARRAY_SIZE(ratelimits); i++) {
        struct sim *s = sim_new(&sched_credit, 1, 1);
        struct sim_unit *victim = sim_unit(s, sim_dom(s, 256, 0), NULL, NULL, sim_burner, 0, 0);
        u64 most = 1000000 / ratelimits[i];

        s->pool.params.ratelimit_us = ratelimits[i];
        for (u32 n = 0; n < 20; n++) {
            sim_unit(s, sim_dom(s, 256, 0), NULL, NULL, sim_sleeper, 2 * US,
                     300 * US + n * 13 * US);
        }
        sim_run(s, 1 * SEC);
        sim_reset(s);
        sim_run(s, 10 * SEC);
        assert_true(victim->runs > most); /* it is preempted all the time ... */
        assert_true(victim->runs <= 10 * most + 5);
        sim_free(s);
    }
}

/* ---- Those who use little are served at once --------------------------------------------- */

static bool is_late(const struct sim_unit *u)
{
    return u->late[1] * 100 > u->wakes;
}

/* Sleepers of 10 % at any phase, one per CPU, beside two burners per CPU. */
static void check_sleepers(u32 cpus, u32 sleepers, behaviour *other, s64 arg0, int line)
{
    static const stime_t periods[] = { 10 * MS, 2 * MS, 30 * MS, 13700 * US,
                                       5 * MS,  7 * MS, 3 * MS,  100 * MS };
    struct sim *s = sim_new(&sched_credit, cpus, 1);

    for (u32 i = 0; i < sleepers; i++) {
        stime_t period = periods[i % ARRAY_SIZE(periods)] + i * 11 * US;

        sim_unit(s, sim_dom(s, 256, 0), NULL, NULL, sim_sleeper, period / 10, period);
    }
    for (u32 i = 0; i < 2 * cpus; i++) {
        sim_unit(s, sim_dom(s, 256, 0), NULL, NULL, other, arg0, 0);
    }
    sim_run(s, 1 * SEC);
    sim_reset(s);
    sim_run(s, 20 * SEC);
    for (u32 i = 0; i < sleepers; i++) {
        const struct sim_unit *u = &s->unit[i];

        if (is_late(u)) {
            panic("line %d: %u CPUs: sleeper %u: %lu of %lu over 100 us, longest %ld us", line,
                  cpus, i, (unsigned long)u->late[1], (unsigned long)u->wakes,
                  (long)(u->longest_wait / US));
        }
        NEAR(sim_share(u, 20 * SEC), 10, 0.2);
    }
    sim_free(s);
}

static void sleepers_beside_burners(void **state)
{
    (void)state;
    for (u32 cpus = 1; cpus <= 8; cpus++) {
        check_sleepers(cpus, cpus, sim_burner, 0, __LINE__);
    }
}

/* Two of them share a CPU with burners; one that wakes while the other works waits for it alone. */
static void two_sleepers_on_a_cpu(void **state)
{
    struct sim *s = sim_new(&sched_credit, 1, 1);
    struct sim_unit *a, *b;

    (void)state;
    a = sim_unit(s, sim_dom(s, 256, 0), NULL, NULL, sim_sleeper, 200 * US, 2 * MS);
    b = sim_unit(s, sim_dom(s, 256, 0), NULL, NULL, sim_sleeper, 210 * US, 2100 * US);
    for (u32 i = 0; i < 3; i++) {
        sim_unit(s, sim_dom(s, 256, 0), NULL, NULL, sim_burner, 0, 0);
    }
    sim_run(s, 1 * SEC);
    sim_reset(s);
    sim_run(s, 20 * SEC);
    assert_true(a->longest_wait < 310 * US && b->longest_wait < 310 * US);
    assert_true(a->late[0] * 5 < a->wakes && b->late[0] * 5 < b->wakes);
    sim_free(s);
}

/* Those who wake at the same moment are spread over the CPUs, before any of these has decided. */
static void sleepers_in_step(void **state)
{
    struct sim *s = sim_new(&sched_credit, 4, 1);
    struct cpumask zero = mask_of(1);

    (void)state;
    for (u32 i = 0; i < 8; i++) {
        bool sleeps = i < 4;

        sim_unit(s, sim_dom(s, 256, 0), sleeps ? &zero : NULL, NULL,
                 sleeps ? sim_sleeper : sim_burner, 1 * MS, 20 * MS);
    }
    sim_run(s, 1 * SEC + 15 * MS);
    for (u32 i = 0; i < 4; i++) {
        sim_affinity(s, &s->unit[i], NULL, NULL); /* all have been on CPU 0 */
    }
    sim_reset(s);
    sim_run(s, 20 * MS);
    for (u32 i = 0; i < 4; i++) {
        if (!s->unit[i].wakes || s->unit[i].longest_wait > 10 * US) {
            panic("%lu wakes, %ld us", (unsigned long)s->unit[i].wakes,
                  (long)(s->unit[i].longest_wait / US));
        }
    }
    sim_free(s);
}

/* Whoever hunts for boosts runs out of credit, and of boosts. */
static void sleepers_beside_hunters(void **state)
{
    struct sim *s = sim_new(&sched_credit, 1, 1);
    struct sim_unit *u;

    (void)state;
    u = sim_unit(s, sim_dom(s, 256, 0), NULL, NULL, sim_sleeper, 1 * MS, 10 * MS + 13 * US);
    for (u32 i = 0; i < 3; i++) {
        sim_unit(s, sim_dom(s, 256, 0), NULL, NULL, boost_hunter, 900 * US, 0);
    }
    sim_run(s, 1 * SEC);
    sim_reset(s);
    sim_run(s, 20 * SEC);
    NEAR(sim_share(u, 20 * SEC), 10, 0.2);
    assert_false(is_late(u));
    sim_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_vcpu),
        cmocka_unit_test(many_vcpus),
        cmocka_unit_test(capped_alone),
        cmocka_unit_test(moving),
        cmocka_unit_test(storm_leaves_share),
        cmocka_unit_test(storm_is_limited),
        cmocka_unit_test(sleepers_beside_burners),
        cmocka_unit_test(two_sleepers_on_a_cpu),
        cmocka_unit_test(sleepers_in_step),
        cmocka_unit_test(sleepers_beside_hunters),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
