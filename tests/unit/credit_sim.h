/* SPDX-License-Identifier: MIT */
/* The credit scheduler in the simulator, with a check that nobody who has a budget all the way up
 * waits beside an idle CPU. One simulation at a time. */
#pragma once

#include "../../sched/credit.h"
#include "schedsim.h"

struct sim *new_sim(u32 cpus, u64 seed);
struct sim_unit *burner(struct sim *s, struct sched_dom *d);
struct sim_unit *pinned(struct sim *s, struct sched_dom *d, u64 cpus); /* bits of CPUs below 64 */
