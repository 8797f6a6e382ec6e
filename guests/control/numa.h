/* SPDX-License-Identifier: MIT */
/* numa.h - on which memory nodes a new domain does best. Pure. */
#pragma once

#include <tarn/lib.h>

#define NUMA_NODES_MAX 16u

struct numa_node {
    uint64_t free_kb;
    uint32_t cpus;  /* that the domain may use */
    uint32_t vcpus; /* of other domains that run there, or may */
};

/*
 * The nodes (bits) that together have the memory and at least as many CPUs as it has vcpus: as few
 * as can be, of these those with the fewest vcpus, of these those with the most free memory. 0:
 * there are none, or more nodes than we look at.
 */
uint32_t numa_place(const struct numa_node *nodes, unsigned int n, uint64_t memory_kb,
                    uint32_t vcpus);
