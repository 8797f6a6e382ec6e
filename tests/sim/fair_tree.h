/* SPDX-License-Identifier: MIT */
/*
 * What is fair among domains in groups, worked out apart from any scheduler, where every vcpu burns
 * and may use every CPU: what a group has is divided among its own vcpus and its members by the
 * weights inside, and who can't take its part, as it has too few vcpus or a cap, leaves it to the
 * others in the group first.
 */
#pragma once

#include "guests.h"

/* Of each of sim_doms that is in the pool: the CPUs for its own vcpus. */
void fair_tree(const struct sched_pool *p, double *rate);
