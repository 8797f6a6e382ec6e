/* SPDX-License-Identifier: MIT */
/*
 * sched-cost - what a decision of the credit scheduler costs, by the number of pcpus and of vcpus
 * per pcpu, in the simulator of tests/unit. To be run under valgrind's callgrind, which counts the
 * instructions while it is told to collect them: so the figures depend on the compiler alone, not
 * on the machine or its load. tools/sched-cost.py makes a table of them.
 *
 * Each case is run twice, and the same way: first to learn what each decision leads to, then to
 * count those of the wanted kind. Prints a line per case, in the order of callgrind's dumps.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <valgrind/callgrind.h>

#include "schedsim.h"

#define MAX_DECISIONS 200000 /* of a case */

void panic(const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    vfprintf(stderr, fmt, ap);
    va_end(ap);
    fputc('\n', stderr);
    exit(1);
}

/* ---- The policy, counted ----------------------------------------------------------------- */

enum kind { WAKE, GOES_ON, PREEMPTED, BLOCKED, OTHER };

static u8 led_to[MAX_DECISIONS]; /* each decision of a case, as the first run learned it */
static bool learning, counting;
static u32 nr_decisions; /* in this run */
static u32 nr_counted;
static u32 wanted; /* kinds, as bits */

static void collect(bool on)
{
    if (on) {
        CALLGRIND_TOGGLE_COLLECT;
    }
}

/* Whether what belongs to the n-th decision counts. */
static bool counts(u32 n)
{
    return counting && n < MAX_DECISIONS && (wanted & (1U << led_to[n]));
}

static u32 counted_wake(struct sched_pool *p, struct sched_unit *u, stime_t now)
{
    bool on = counting && (wanted & (1U << WAKE));
    u32 cpu;

    nr_counted += on;
    collect(on);
    cpu = sched_credit.wake(p, u, now);
    collect(on);
    return cpu;
}

/* Before the decision that they belong to. */
static u32 counted_sleep(struct sched_pool *p, struct sched_unit *u, stime_t now)
{
    bool on = counts(nr_decisions);
    u32 cpu;

    collect(on);
    cpu = sched_credit.sleep(p, u, now);
    collect(on);
    return cpu;
}

static void counted_yield(struct sched_pool *p, struct sched_unit *u)
{
    bool on = counts(nr_decisions);

    collect(on);
    sched_credit.yield(p, u);
    collect(on);
}

static enum kind kind_of(const struct sched_decision *dec, const struct sched_unit *prev)
{
    if (!prev || !dec->next) {
        return OTHER;
    }
    if (dec->next == prev) {
        return GOES_ON;
    }
    return prev->runnable ? PREEMPTED : BLOCKED;
}

static struct sched_decision counted_decide(struct sched_pool *p, u32 cpu, struct sched_unit *prev,
                                            stime_t now)
{
    bool on = counts(nr_decisions);
    struct sched_decision dec;

    nr_counted += on;
    collect(on);
    dec = sched_credit.decide(p, cpu, prev, now);
    collect(on);
    if (learning && nr_decisions < MAX_DECISIONS) {
        led_to[nr_decisions] = kind_of(&dec, prev);
    }
    nr_decisions++;
    return dec;
}

/* After it. */
static u32 counted_switched_out(struct sched_pool *p, u32 cpu, struct sched_unit *u, stime_t now)
{
    bool on = counts(nr_decisions - 1);

    collect(on);
    cpu = sched_credit.switched_out(p, cpu, u, now);
    collect(on);
    return cpu;
}

/* ---- Workloads --------------------------------------------------------------------------- */

/* Weights 1:2:4; each does the same, but for sleepers: a burner for each pcpu, and all the others
 * want a fifth of it. */
struct workload {
    const char *name;
    void (*behave)(struct sim *, struct sim_unit *, struct sim_step *);
    stime_t work;
    stime_t run;
    u32 kinds;
};

static const struct workload workloads[] = {
    { "slice over, another runs", sim_burner, 0, 2 * SEC, 1 << PREEMPTED },
    { "slice over, it goes on", sim_burner, 0, 2 * SEC, 1 << GOES_ON },
    { "yields, another runs", sim_yielder, 100 * US, 30 * MS, 1 << PREEMPTED },
    { "wakes beside a burner", sim_sleeper, 50 * US, 30 * MS, 1 << WAKE },
    { "preempts the burner", sim_sleeper, 50 * US, 30 * MS, 1 << PREEMPTED },
    { "blocks, another runs", sim_sleeper, 50 * US, 30 * MS, 1 << BLOCKED },
};

static void run_case(const struct sched_ops *ops, const struct workload *w, u32 pcpus, u32 vcpus)
{
    struct sim *s = sim_new(ops, pcpus, 1);

    s->check_conservation = false;
    for (u32 i = 0; i < pcpus * vcpus; i++) {
        bool burns = w->behave == sim_sleeper && i < pcpus;

        sim_unit(s, sim_dom(s, 256U << (i % 3), 0), NULL, NULL, burns ? sim_burner : w->behave,
                 w->work + i * US / 10, 250 * US * vcpus + i * US);
    }
    sim_run(s, 500 * MS);
    nr_decisions = 0;
    nr_counted = 0;
    counting = !learning;
    sim_run(s, w->run);
    counting = false;
    sim_free(s);
}

int main(void)
{
    static const u32 pcpus[] = { 1, 2, 4, 8 }, vcpus[] = { 1, 4, 16, 64 };
    struct sched_ops ops = sched_credit;

    ops.wake = counted_wake;
    ops.sleep = counted_sleep;
    ops.yield = counted_yield;
    ops.decide = counted_decide;
    ops.switched_out = counted_switched_out;
    for (u32 w = 0; w < ARRAY_SIZE(workloads); w++) {
        wanted = workloads[w].kinds;
        for (u32 i = 0; i < ARRAY_SIZE(pcpus) * ARRAY_SIZE(vcpus); i++) {
            u32 p = pcpus[i / ARRAY_SIZE(vcpus)], v = vcpus[i % ARRAY_SIZE(vcpus)];

            learning = true;
            run_case(&ops, &workloads[w], p, v);
            learning = false;
            CALLGRIND_ZERO_STATS;
            run_case(&ops, &workloads[w], p, v);
            CALLGRIND_DUMP_STATS;
            printf("%s: %u %u %u\n", workloads[w].name, p, v, nr_counted);
            fflush(stdout);
        }
    }
    return 0;
}
