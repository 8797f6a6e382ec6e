/* SPDX-License-Identifier: MIT */
/*
 * A discrete-event simulator of a pool for any scheduling policy: virtual time, CPUs that run, idle
 * and are tickled after a delay, and units that behave by a function. It plays the dispatcher, and
 * after every event checks what must hold under any policy; a breach is a panic().
 */
#pragma once

#include <tarn/sched.h>

#define US NSEC_PER_USEC
#define MS NSEC_PER_MSEC
#define SEC NSEC_PER_SEC

#ifndef SIM_UNITS
#define SIM_UNITS 320
#define SIM_DOMS 160
#endif

struct sim;
struct sim_unit;

/* What a unit does next: run for `run` ns of CPU, or until the clock shows `until` (0: never), then
 * ... */
struct sim_step {
    stime_t run, until;
    stime_t wake_at; /* ... sleep until then, or yield (0) */
};

struct sim_unit {
    struct sched_unit unit;
    void (*behave)(struct sim *s, struct sim_unit *u, struct sim_step *step);
    s64 arg[2]; /* of the behaviour */
    struct cpumask hard_given, soft_given;
    struct sim_step step;
    bool wants, paused;
    stime_t wake_at;    /* 0: none */
    stime_t on_since;   /* running */
    stime_t progressed; /* running: the step's `run` is counted up to here */
    stime_t waits_since;
    s64 ran, waited, longest_wait;
    u64 wakes, runs, yields, moves; /* moves: runs on another CPU than before */
    u32 last_cpu;
    u64 late[3]; /* wakes that waited over 50 us, 100 us, 1 ms for a CPU */
    bool woken;  /* and has not run since */
    s64 ran_on[NR_CPUS];
};

struct sim_cpu {
    struct sched_unit *current;
    stime_t slice_at, tickle_at; /* 0: not armed */
    stime_t since;
    s64 busy, idle;
    u64 switches;
    bool member;
};

struct sim {
    struct sched_pool pool;
    u32 nr_cpus, nr_units, nr_doms;
    stime_t now, timer_at;
    stime_t tickle_delay, timer_delay, switch_cost;
    s64 gone; /* what removed units ran */
    u64 seed, events, decisions;
    bool check_conservation; /* a policy that is not work conserving clears it */
    bool any_slice;          /* it may decide on slices of any length, none, or for idle CPUs */
    /* Whether a unit that wants a CPU may have one; NULL: any may. */
    bool (*ready)(const struct sched_unit *u);
    struct sim_cpu cpu[NR_CPUS];
    struct sched_dom dom[SIM_DOMS];
    struct sim_unit unit[SIM_UNITS];
};

struct sim *sim_new(const struct sched_ops *ops, u32 nr_cpus, u64 seed);
void sim_free(struct sim *s);
u64 sim_rnd(struct sim *s, u64 below);
struct sched_dom *sim_dom(struct sim *s, u32 weight, u32 cap);
/* The unit wants to run from now on. hard, soft: NULL for all, none. */
struct sim_unit *sim_unit(struct sim *s, struct sched_dom *d, const struct cpumask *hard,
                          const struct cpumask *soft,
                          void (*behave)(struct sim *, struct sim_unit *, struct sim_step *),
                          s64 arg0, s64 arg1);
void sim_run(struct sim *s, stime_t duration);
/* A CPU was told to decide anew, and has not yet. */
bool sim_any_called(const struct sim *s);
void sim_pause(struct sim *s, struct sim_unit *u);
void sim_down(struct sim *s, struct sim_unit *u); /* a pause that may cost it its CPU */
/* 0 or an error number, as the policy says. */
int sim_rt(struct sim *s, struct sim_unit *u, const struct sched_rt *rt, bool force);
void sim_unpause(struct sim *s, struct sim_unit *u);
void sim_affinity(struct sim *s, struct sim_unit *u, const struct cpumask *hard,
                  const struct cpumask *soft);
void sim_domain_changed(struct sim *s, struct sched_dom *d);
/* It becomes a member, with that weight and cap inside, or is by itself again. */
void sim_join(struct sim *s, struct sched_dom *d, struct sched_dom *master, u32 weight, u32 cap);
void sim_leave(struct sim *s, struct sched_dom *d);
/* The CPU leaves as soon as nothing runs there; false: it can't, as it is the last one, or is
 * leaving. */
bool sim_cpu_remove(struct sim *s, u32 cpu);
bool sim_cpu_add(struct sim *s, u32 cpu);
/* It is paused and does not run; its place is taken by the next new one. */
void sim_unit_remove(struct sim *s, struct sim_unit *u);
/* Forget what was measured. */
void sim_reset(struct sim *s);
/* Percent of one CPU since `sim_reset` or the start, `over` ns ago. */
double sim_share(const struct sim_unit *u, stime_t over);
double sim_dom_share(const struct sim *s, const struct sched_dom *d, stime_t over);

/* A figure is as wanted, or the line is told. */
#define NEAR(got, want, tolerance) sim_near(got, want, tolerance, __LINE__)
void sim_near(double got, double want, double tolerance, int line);

/* CPUs by their bits, up to 64. */
static inline struct cpumask mask_of(u64 bits)
{
    return (struct cpumask){ { bits } };
}

/* By chance: some of the CPUs, one of the units that are there. */
struct cpumask sim_random_mask(struct sim *s);
struct sim_unit *sim_random_living(struct sim *s);
u32 sim_nr_living(const struct sim *s);
/* So many times: time passes, often little, at most `longest`; then step(). */
void sim_wander(struct sim *s, u32 steps, u64 longest, void (*step)(struct sim *s));
/* Paused, and when its CPU has noticed, gone. */
void sim_unit_withdraw(struct sim *s, struct sim_unit *u);

/* Behaviours */
void sim_burner(struct sim *s, struct sim_unit *u, struct sim_step *step);
void sim_sleeper(struct sim *s, struct sim_unit *u,
                 struct sim_step *step); /* works arg0 each arg1 */
void sim_dodger(struct sim *s, struct sim_unit *u,
                struct sim_step *step); /* sleeps over ticks of arg0 */
void sim_yielder(struct sim *s, struct sim_unit *u, struct sim_step *step); /* yields each arg0 */
void sim_random(struct sim *s, struct sim_unit *u,
                struct sim_step *step); /* works < arg0, sleeps < arg1 */
