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

/* What decided. */
enum numa_reason {
    NUMA_NO_ROOM,
    NUMA_ONLY_ONE, /* of as few nodes as can be no other set has room */
    NUMA_VCPUS,
    NUMA_MEMORY,
    NUMA_FIRST, /* there are others that are just as good */
};

/* A question to numa_place and its answer, with all that it went by. */
struct numa_choice {
    unsigned int n;
    struct numa_node node[NUMA_NODES_MAX];
    uint64_t memory_kb;
    uint32_t vcpus;
    uint32_t nodes; /* the answer, */
    uint32_t size;  /* so many nodes, */
    uint32_t equal; /* out of so many sets of that size which have room */
    enum numa_reason reason;
};

/* n, node[], memory_kb and vcpus are given. */
void numa_choose(struct numa_choice *c);
/* Why the answer is that, as "the only memory node that has room for it". */
#define NUMA_WORDS 96u
void numa_words(const struct numa_choice *c, char text[NUMA_WORDS]);
