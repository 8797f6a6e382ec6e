/* SPDX-License-Identifier: MIT */
/*
 * What is fair, worked out apart from any scheduler: weighted max-min shares of vcpus that all
 * burn. A vcpu's weight is its part of its domain's. None can have more without one getting less
 * that has, for its weight, no more than it. A vcpu gets one CPU at most, and of CPUs that it may
 * use only; a domain no more than its cap. With affinities that is a question of flows, and it is
 * answered by them.
 */
#pragma once

#include "guests.h"

#define FAIR_DOMS 24
#define FAIR_PARTIES 40
#define FAIR_CLASSES 24

/* Vcpus of a domain with the same mask are one party. */
struct fair_party {
    u32 dom, vcpus;
    double weight; /* of all of them */
    struct cpumask mask;
    double rate; /* CPUs: the result */
};

struct fair {
    u32 nr_doms, nr_parties;
    double cap[FAIR_DOMS]; /* in CPUs; 0: none */
    struct fair_party party[FAIR_PARTIES];
};

/* A vcpu of that weight; false: there are too many parties. */
bool fair_add(struct fair *f, u32 dom, double weight, const struct cpumask *mask);
/* `cpus` are there. False: too many different sets of CPUs. */
bool fair_solve(struct fair *f, const struct cpumask *cpus);
double fair_rate(const struct fair *f, u32 dom);
