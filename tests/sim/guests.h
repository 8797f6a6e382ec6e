/* SPDX-License-Identifier: MIT */
/*
 * What lives on the simulated machine: domains whose vcpus behave by functions, pools, and the
 * calls of a control domain, each issued on some pcpu and issued again while it says -ERESTART.
 */
#pragma once

#include "machine.h"

#define SIM_DOMS 1024
#define SIM_VCPUS 8192

struct sim_vcpu;

/* A vcpu runs for `run` ns of CPU, or until the clock shows `until` (0: never); then it sleeps
 * until `wake_at`, or yields (0). */
struct sim_step {
    stime_t run, until, wake_at;
};

typedef void sim_behaviour(struct sim_vcpu *v, struct sim_step *step);

struct sim_vcpu {
    struct vcpu v;
    struct sim_dom *dom;
    u32 index; /* in sim_vcpus */
    u32 on;    /* the pcpu that it runs on, or NO_CPU */
    sim_behaviour *behave;
    s64 arg[2];
    struct sim_step step;
    stime_t created, on_since, progressed;
    s64 ran; /* without what it runs at the moment */
    u64 wakes, runs, yields;
    s64 longest_wait; /* since the mark */
    stime_t off_since;
    s64 longest_off; /* without a CPU, for whatever reason; since the mark */
    /* of the checks: it waited beside that idle CPU then, in the wait that began then */
    u32 beside_cpu;
    stime_t beside_at, beside_wait;
    stime_t stall_wait;
    s64 fair_wait;  /* the longest since then */
    bool stall_off; /* something excuses this wait */
    s64 mark;       /* `ran` at the start of a measurement */
};

struct sim_dom {
    struct domain d;
    u32 index; /* in sim_doms */
    bool paused;
    struct sim_vcpu *vcpu[MAX_VCPUS];
};

extern struct sim_dom *sim_doms[SIM_DOMS];
extern struct sim_vcpu *sim_vcpus[SIM_VCPUS];
extern u32 nr_sim_doms, nr_sim_vcpus;
extern s64 sim_ran_of_the_dead;
extern stime_t sim_marked; /* a measurement began */

/* Domains. NULL: the pool has no CPU. Its vcpus are down. */
struct sim_dom *sim_dom_new(struct sched_pool *p, u32 vcpus, u32 weight, u32 cap);
void sim_dom_destroy(struct sim_dom *d);
void sim_dom_destroy_all(void);
void sim_dom_pause(struct sim_dom *d); /* returns when it stands still */
void sim_dom_unpause(struct sim_dom *d);
long sim_dom_move(struct sim_dom *d, u32 pool_id);
void sim_dom_die(struct sim_dom *d); /* it stands still for ever, until it is destroyed */
long sim_dom_adjust(struct sim_dom *d, u32 weight, u32 cap);
/* 0 or -errno of public/tarn.h. */
long sim_dom_join(struct sim_dom *d, struct sim_dom *master, u32 weight, u32 cap);
long sim_dom_leave(struct sim_dom *d);
long sim_dom_inside(struct sim_dom *d, struct sim_dom *master, u32 weight, u32 cap);
long sim_dom_dissolve(struct sim_dom *master);
bool sim_dom_capped(const struct sim_dom *d); /* itself, or a group that it is in */
long sim_dom_rt(struct sim_dom *d, u64 period_us, u64 budget_us, bool extratime, bool force);

/* vcpus */
void sim_up(struct sim_vcpu *v, sim_behaviour *behave, s64 arg0, s64 arg1);
/* By chance: one that computes, sleeps, dodges or yields; it runs and sleeps no longer than that.
 */
void sim_up_at_random(struct sim_vcpu *v, s64 most_run, s64 most_sleep, s64 most_tick);
void sim_down(struct sim_vcpu *v);
void sim_wake(struct sim_vcpu *v); /* an event, wherever it comes from */
/* As it was given, whatever it is; or as the control domain asks for it: 0 or -errno. */
long sim_ask_affinity(struct sim_vcpu *v, const struct cpumask *hard, const struct cpumask *soft,
                      bool force);
void sim_affinity(struct sim_vcpu *v, const struct cpumask *hard, const struct cpumask *soft);
long sim_override(struct sim_vcpu *v, u32 cpu);
/* NULL: the domain as a whole, with its emulator; NULL: it has none. */
long sim_bandwidth(struct sim_dom *d, struct sim_vcpu *v, u64 period_us, s64 quota_us);
long sim_emulator(struct sim_dom *d, struct sim_dom *emulator);
void sim_limit_at_random(struct sim_dom *d);
long sim_vcpu_rt(struct sim_vcpu *v, const struct sched_rt *rt, bool force);
s64 sim_ran(const struct sim_vcpu *v);                         /* up to now */
void sim_mark(void);                                           /* a measurement begins */
double sim_vcpu_share(const struct sim_vcpu *v, stime_t over); /* of a CPU, since then */
double sim_dom_share(const struct sim_dom *d, stime_t over);

sim_behaviour sim_burner;
sim_behaviour sim_sleeper; /* works arg0 in each arg1 */
sim_behaviour sim_dodger;  /* sleeps over the ticks of a clock of arg0 */
sim_behaviour sim_yielder; /* yields each arg0 */
sim_behaviour sim_random;  /* works up to arg0, sleeps up to arg1 */

/* The control domain's calls, once: 0 or -errno as the hypervisor says, -ERESTART included. */
struct sim_call {
    long (*fn)(struct sim_call *c);
    long rc;
    u32 caller; /* which of the control domain's vcpus */
    u32 id, cpu, sched;
    const char *name;
    struct sched_params params;
};
long sim_call(struct sim_call *c);
long sim_call_on(u32 cpu, struct sim_call *c);
/* Until it is done; time goes on in between. A panic if that takes over a millisecond. */
long sim_complete(struct sim_call *c);

long call_create(struct sim_call *c); /* id, sched */
long call_destroy(struct sim_call *c);
long call_give(struct sim_call *c); /* id, cpu */
long call_take(struct sim_call *c);
long call_rename(struct sim_call *c); /* id, name */
long call_params(struct sim_call *c); /* id, params; -ENOENT */
long call_flags(struct sim_call *c);  /* id, params.flags */
long call_dump(struct sim_call *c);
long call_offline(struct sim_call *c);
long call_online(struct sim_call *c);

long sim_pool_create(u32 *id, u32 sched);
long sim_pool_destroy(u32 id);
long sim_give(u32 id, u32 cpu);
long sim_take(u32 id, u32 cpu);
long sim_offline(u32 cpu);
long sim_online(u32 cpu);
long sim_params(u32 id, const struct sched_params *params);
long sim_flags(u32 id, u32 flags);
struct sched_pool *sim_pool(u32 id); /* no reference is kept */
/* A pool that takes its CPUs from Pool-0. */
struct sched_pool *sim_pool_of(u32 id, u32 sched, const struct cpumask *cpus);
/* All but Pool-0 are gone, and all CPUs are in that. */
void sim_pools_reset(void);
