/* SPDX-License-Identifier: MIT */
/* sources: sched/null.c lib/printf.c tests/unit/schedsim.c */
/* The null policy in the simulator: who has a CPU, who waits and for how long, and everything at
 * random. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "schedsim.h"

static struct sim *new_sim(u32 cpus, u64 seed)
{
    struct sim *s = sim_new(&sched_null, cpus, seed);

    s->any_slice = true;
    s->check_conservation = false;
    sim_dom(s, 256, 0);
    sim_run(s, MS);
    return s;
}

static struct sim_unit *unit_on(struct sim *s, u64 hard, u64 soft)
{
    struct cpumask h = mask_of(hard), f = mask_of(soft);

    return sim_unit(s, &s->dom[0], hard ? &h : NULL, soft ? &f : NULL, sim_burner, 0, 0);
}

static void burners(struct sim *s, u32 n)
{
    while (n--) {
        unit_on(s, 0, 0);
    }
}

/* ---- One to one -------------------------------------------------------------------------- */

static void one_unit_per_cpu(void **state)
{
    struct sim *s = new_sim(4, 1);

    (void)state;
    burners(s, 4);
    sim_run(s, SEC);
    for (u32 i = 0; i < 4; i++) {
        assert_true(s->unit[i].ran > SEC - 50 * US);
        assert_int_equal(s->unit[i].runs, 1);
        assert_true(s->cpu[i].switches <= 2);
    }
    sim_free(s);
}

static void fifth_waits(void **state)
{
    (void)state;
    for (u32 gone = 0; gone < 4; gone++) {
        struct sim *s = new_sim(4, 1);

        burners(s, 6);
        sim_run(s, SEC);
        assert_int_equal(s->unit[4].runs, 0);
        assert_int_equal(s->unit[5].runs, 0);
        sim_unit_withdraw(s, &s->unit[gone]);
        sim_run(s, MS);
        assert_int_equal(s->unit[4].runs, 1); /* the one that waited longest */
        assert_true(s->unit[4].longest_wait < SEC + MS);
        assert_int_equal(s->unit[5].runs, 0);
        sim_run(s, SEC);
        sim_unit_withdraw(s, &s->unit[4]);
        sim_run(s, MS);
        assert_int_equal(s->unit[5].runs, 1);
        sim_free(s);
    }
}

static void sleeper_keeps_its_cpu(void **state)
{
    struct sim *s = new_sim(2, 1);
    struct sim_unit *u = sim_unit(s, &s->dom[0], NULL, NULL, sim_sleeper, MS, 100 * MS), *v;

    (void)state;
    burners(s, 1);
    sim_run(s, 5 * MS);
    v = unit_on(s, 0, 0);
    sim_run(s, SEC);
    assert_int_equal(v->runs, 0);
    assert_int_equal(u->moves, 0);
    assert_true(u->longest_wait < 10 * US);
    sim_pause(s, u); /* a pause is a sleep */
    sim_run(s, SEC);
    assert_int_equal(v->runs, 0);
    sim_free(s);
}

/* Down for good, at once or while it runs: the next one gets its CPU. */
static void down_gives_it_up(void **state)
{
    struct sim *s = new_sim(1, 1);
    struct sim_unit *u = unit_on(s, 0, 0), *v = unit_on(s, 0, 0);

    (void)state;
    sim_run(s, SEC);
    assert_true(u->unit.running && v->runs == 0);
    sim_down(s, u);
    sim_run(s, MS);
    assert_true(v->unit.running);
    sim_unpause(s, u);
    sim_run(s, MS);
    assert_true(v->unit.running && u->unit.runnable && !u->unit.running);
    sim_pause(s, u); /* it waits no more */
    sim_pause(s, v);
    sim_run(s, MS);
    sim_unpause(s, u);
    sim_run(s, MS);
    assert_true(!u->unit.running); /* v sleeps, and keeps it */
    sim_unpause(s, v);
    sim_down(s, v);
    sim_run(s, MS);
    assert_true(u->unit.running);
    sim_free(s);
}

/* ---- Affinity ---------------------------------------------------------------------------- */

static void hard_and_soft(void **state)
{
    struct sim *s = new_sim(4, 1);
    struct sim_unit *a = unit_on(s, 0, 8), *b = unit_on(s, 6, 4), *c = unit_on(s, 0, 8);

    (void)state;
    sim_run(s, MS);
    assert_int_equal(a->unit.cpu, 3);
    assert_int_equal(b->unit.cpu, 2);
    assert_true(c->unit.running && c->unit.cpu < 2);
    sim_unit_withdraw(s, a);
    sim_affinity(s, c, NULL, NULL);
    sim_run(s, MS);
    assert_true(c->unit.cpu < 2);
    a = unit_on(s, 8, 0);
    sim_run(s, MS);
    assert_true(a->unit.running);
    sim_free(s);
}

static void moves_to_what_it_prefers(void **state)
{
    struct sim *s = new_sim(4, 1);
    struct sim_unit *u = unit_on(s, 1, 0);
    struct cpumask two = mask_of(4), three = mask_of(8);

    (void)state;
    sim_run(s, MS);
    assert_true(u->unit.running && u->unit.cpu == 0);
    sim_affinity(s, u, NULL, &two);
    sim_run(s, MS);
    assert_true(u->unit.running && u->unit.cpu == 2);
    sim_affinity(s, u, &three, NULL);
    sim_run(s, MS);
    assert_true(u->unit.running && u->unit.cpu == 3);
    sim_pause(s, u);
    sim_run(s, MS);
    sim_affinity(s, u, &two, NULL);
    sim_unpause(s, u);
    sim_run(s, MS);
    assert_true(u->unit.running && u->unit.cpu == 2);
    sim_free(s);
}

/* Who may go elsewhere makes room for who can't, awake or asleep. */
static void pinned_one_gets_its_cpu(void **state)
{
    (void)state;
    for (u32 asleep = 0; asleep < 2; asleep++) {
        struct sim *s = new_sim(2, 1);
        struct sim_unit *u = unit_on(s, 0, 0), *v;

        sim_run(s, MS);
        if (asleep) {
            sim_pause(s, u);
            sim_run(s, MS);
        }
        v = unit_on(s, 1UL << u->unit.cpu, 0);
        sim_run(s, MS);
        assert_true(v->unit.running);
        sim_unpause(s, u);
        sim_run(s, MS);
        assert_true(u->unit.running && v->unit.running);
        sim_free(s);
    }
}

static void cpus_come_and_go(void **state)
{
    struct sim *s = new_sim(4, 1);
    u32 running = 0;

    (void)state;
    assert_true(sim_cpu_remove(s, 1));
    sim_run(s, MS);
    burners(s, 4);
    sim_run(s, MS);
    assert_int_equal(s->unit[3].runs, 0);
    assert_true(sim_cpu_add(s, 1));
    sim_run(s, MS);
    assert_true(s->unit[3].unit.running && s->unit[3].unit.cpu == 1);
    assert_true(sim_cpu_remove(s, 2));
    assert_true(sim_cpu_remove(s, 0));
    sim_run(s, MS);
    for (u32 i = 0; i < 4; i++) {
        running += s->unit[i].unit.running;
    }
    assert_int_equal(running, 2);
    assert_true(sim_cpu_add(s, 0));
    assert_true(sim_cpu_add(s, 2));
    sim_run(s, MS);
    for (u32 i = 0; i < 4; i++) {
        assert_true(s->unit[i].unit.running);
    }
    sim_free(s);
}

/* ---- At random --------------------------------------------------------------------------- */

static void (*const behaviours[])(struct sim *, struct sim_unit *, struct sim_step *) = {
    sim_burner, sim_sleeper, sim_yielder, sim_random, sim_random,
};

static void random_unit(struct sim *s)
{
    struct cpumask hard = sim_random_mask(s), soft = sim_random_mask(s);
    s64 arg0 = (s64)(20000 + sim_rnd(s, 3000000));

    sim_unit(s, &s->dom[0], sim_rnd(s, 2) ? &hard : NULL, sim_rnd(s, 3) ? NULL : &soft,
             behaviours[sim_rnd(s, ARRAY_SIZE(behaviours))], arg0,
             arg0 + (s64)sim_rnd(s, 10000000) + 1);
}

static void disturb(struct sim *s)
{
    struct sim_unit *u = sim_random_living(s);
    struct cpumask hard = sim_random_mask(s), soft = sim_random_mask(s);

    switch (sim_rnd(s, 9)) {
    case 0:
        (sim_rnd(s, 2) ? sim_pause : sim_down)(s, u);
        break;
    case 1:
    case 2:
        sim_unpause(s, u);
        break;
    case 3:
    case 4:
        sim_affinity(s, u, sim_rnd(s, 2) ? &hard : NULL, sim_rnd(s, 2) ? &soft : NULL);
        break;
    case 5:
        sim_cpu_remove(s, (u32)sim_rnd(s, s->nr_cpus));
        break;
    case 6:
        if (sim_nr_living(s) < 2 * s->nr_cpus) {
            random_unit(s);
        }
        break;
    case 7:
        if (sim_nr_living(s) > 1) {
            sim_unit_withdraw(s, u);
        }
        break;
    default:
        sim_cpu_add(s, (u32)sim_rnd(s, s->nr_cpus));
        break;
    }
}

/* By the policy's own words: who has which CPU, and whether he is asleep. */
static u32 owner_of(struct sim *s, u32 cpu, bool *asleep)
{
    char line[128];
    u32 dom, id;

    s->pool.ops->dump_cpu(&s->pool, cpu, line, sizeof(line));
    *asleep = strchr(line, ',') != NULL;
    return sscanf(line, "d%uv%u", &dom, &id) == 2 ? id : NO_CPU;
}

/* Nobody who waits could have the CPU of one who could as well have a vacant one. */
static void check_room(const struct sim *s, const struct sched_unit *u, const u32 *cpu_of,
                       const struct cpumask *vacant)
{
    for (u32 i = 0; i < s->nr_units; i++) {
        assert_true(cpu_of[i] == NO_CPU || !cpumask_test(&u->hard, cpu_of[i]) ||
                    !cpumask_intersects(&s->unit[i].unit.hard, vacant));
    }
}

/* Nobody has two CPUs or one that he may not have; nobody waits beside one that is nobody's; who
 * wants to run and has one runs. */
static void check(struct sim *s)
{
    struct cpumask vacant = s->pool.cpus;
    u32 cpu_of[SIM_UNITS];
    bool asleep;

    memset(cpu_of, 0xff, sizeof(cpu_of));
    for (u32 cpu = 0; cpu < s->nr_cpus; cpu++) {
        u32 id = owner_of(s, cpu, &asleep);

        if (id != NO_CPU) {
            assert_true(s->unit[id].behave && cpu_of[id] == NO_CPU);
            assert_true(cpumask_test(&s->unit[id].unit.hard, cpu));
            assert_int_equal(asleep, !s->unit[id].unit.runnable);
            cpu_of[id] = cpu;
            cpumask_clear(&vacant, cpu);
        }
    }
    for (u32 i = 0; i < s->nr_units && !sim_any_called(s); i++) {
        const struct sched_unit *u = &s->unit[i].unit;

        if (s->unit[i].behave && u->runnable) {
            assert_int_equal(u->running, cpu_of[i] != NO_CPU);
            assert_true(u->running || !cpumask_intersects(&u->hard, &vacant));
            assert_true(!u->running || u->cpu == cpu_of[i]);
            if (!u->running) {
                check_room(s, u, cpu_of, &vacant);
            }
        }
    }
}

static void disturb_and_check(struct sim *s)
{
    disturb(s);
    check(s);
}

static void random_scenario(u64 seed)
{
    struct sim *s = new_sim(1 + (u32)(seed * 7 % 8), seed);

    s->tickle_delay = (stime_t)sim_rnd(s, 20000);
    s->switch_cost = (stime_t)sim_rnd(s, 3000);
    random_unit(s);
    sim_wander(s, 150, 3000000, disturb_and_check);
    sim_free(s);
}

static void random_scenarios(void **state)
{
    (void)state;
    for (u64 seed = 1; seed <= 300; seed++) {
        random_scenario(seed);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_unit_per_cpu),        cmocka_unit_test(fifth_waits),
        cmocka_unit_test(sleeper_keeps_its_cpu),   cmocka_unit_test(down_gives_it_up),
        cmocka_unit_test(hard_and_soft),           cmocka_unit_test(moves_to_what_it_prefers),
        cmocka_unit_test(pinned_one_gets_its_cpu), cmocka_unit_test(cpus_come_and_go),
        cmocka_unit_test(random_scenarios),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
