/* SPDX-License-Identifier: MIT */
/*
 * What must hold at any moment, whatever was done. A breach is a panic.
 *
 *  - A CPU is in one pool at most; pools, free CPUs and offline ones are disjoint and all there
 * are.
 *  - A domain is in one pool, and that pool's list and count know it.
 *  - Hard affinity in effect is what was given within the pool, or all of the pool; a vcpu runs
 *    within it, but for the moment until its CPU's exit loop.
 *  - A vcpu is running, waiting or neither; its runstate says the same, and nr_waiting counts it.
 *  - A vcpu is throttled while, and only while, a budget of it is used up; a budget knows how many
 *    run on it, and has its timer.
 *  - Each CPU's time is what its vcpus ran and it idled, each vcpu's what its runstates add up to.
 *  - Nobody waits beside an idle CPU that it may use: there are no vcpu and CPU such that the one
 *    waited, and might have run, and the other idled and was not called, for all of a time in which
 *    any chain of IPIs ends (BESIDE_MAX).
 *  - If asked for: nobody stalls. A vcpu stalls when it waits for a CPU for more than 50 ms in one
 *    go, and for more than twice the wait that its weight implies: tslice * (1 / share - 1), share
 *    being what its weight gets it of the CPUs that it may use when all that may use one of them
 *    burn; the largest of that wait's time. So 50 ms are a failure wherever 25 ms would be fair.
 *    Excused are domains with a cap, and a vcpu that its pool's policy promises nothing at some
 *    time of the wait: without budget, without a CPU of its own (null), under best effort (sedf).
 */
#pragma once

#include "guests.h"

#define BESIDE_MAX(m) (8 * ((stime_t)(m)->ipi_max + 1) + 2000 + (m)->late_max)
#define STALL_MAX (50 * MS)

/* From now on, at each event of a small machine, and seldom enough that it costs the same on a
 * large one. */
void checks_on(bool stalls);
void check_all(void);
/* A last look; then all is taken apart, and the machine is off. */
void sim_end(void);
extern s64 sim_longest_judged; /* the longest wait of those that are not excused */

/* What policies promise; each looks into its own. */
bool ready_rtds(const struct sched_unit *u);
bool ready_sedf(const struct sched_unit *u);
bool promised_rtds(const struct sched_unit *u); /* to run within its period */
