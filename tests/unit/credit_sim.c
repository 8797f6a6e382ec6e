/* SPDX-License-Identifier: MIT */
/* See credit_sim.h. */
#include "credit_sim.h"

static struct sim *sim; /* the one that runs */

/* Whoever waits may run, by all budgets above it, and then it must not wait beside an idle CPU.
 * (This only looks, where the policy counts.) */
static bool may_run(const struct sched_unit *u)
{
    for (const struct credit_node *n = leaf_of(u); n; n = n->up) {
        if (n->cap && n->budget - n->nr_running * MAX(sim->now - n->spent, 0) <= 0) {
            return false;
        }
    }
    return priv(u)->credit >= -credit_room(&sim->pool, leaf_of(u));
}

struct sim *new_sim(u32 cpus, u64 seed)
{
    sim = sim_new(&sched_credit, cpus, seed);
    sim->ready = may_run;
    return sim;
}

struct sim_unit *burner(struct sim *s, struct sched_dom *d)
{
    return sim_unit(s, d, NULL, NULL, sim_burner, 0, 0);
}

struct sim_unit *pinned(struct sim *s, struct sched_dom *d, u64 cpus)
{
    struct cpumask m = mask_of(cpus);

    return sim_unit(s, d, &m, NULL, sim_burner, 0, 0);
}
