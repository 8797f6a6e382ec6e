/* SPDX-License-Identifier: MIT */
/*
 * placing.h - where a new domain's vcpus run, and how much (placing.c). All return 0 or -errno;
 * why[] says more, if there is more to say.
 */
#pragma once

#include "pools.h"

#define WHY_SIZE 192u

struct placement {
    struct pool pool;
    uint32_t nodes;      /* memory nodes that are best for it; 0: no choice was made */
    struct cpumask cpus; /* of these */
};

/* Its pool, and whether what the file wants can be had there. What libvirt's rules and the adviser
 * say goes into *c: the vcpus' affinities, the adviser's answer. */
long place_look(struct config *c, struct placement *p, char why[WHY_SIZE]);
/* Where a domain of that size does best in a pool: the adviser of placement="auto"; *c takes the
 * answer. */
void place_advise(struct config *c, const struct pool *pool);
/* CPUs and memory nodes of this machine that there are, whoever has them. */
struct cpumask host_cpus(void);
/* Affinities, with the nodes that are best. */
long place_affinities(const struct domain *d, const struct config *c, const struct placement *p,
                      char why[WHY_SIZE]);
/* The scheduler's parameters. */
long place_params(const struct domain *d, const struct config *c, const struct placement *p,
                  char why[WHY_SIZE]);
