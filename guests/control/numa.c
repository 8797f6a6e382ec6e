/* SPDX-License-Identifier: MIT */
/* numa.c - see numa.h: looks at every set of nodes, of which there are at most 65535. Pure. */
#include "numa.h"

struct candidate {
    uint32_t nodes, size;
    uint64_t free_kb, cpus, vcpus;
};

static struct candidate candidate_of(const struct numa_node *nodes, unsigned int n, uint32_t set)
{
    struct candidate c = { .nodes = set };

    for (unsigned int i = 0; i < n; i++) {
        if (set >> i & 1) {
            c.size++;
            c.free_kb += nodes[i].free_kb;
            c.cpus += nodes[i].cpus;
            c.vcpus += nodes[i].vcpus;
        }
    }
    return c;
}

static bool better(const struct candidate *a, const struct candidate *b)
{
    if (a->size != b->size) {
        return a->size < b->size;
    }
    if (a->vcpus != b->vcpus) {
        return a->vcpus < b->vcpus;
    }
    return a->free_kb > b->free_kb;
}

uint32_t numa_place(const struct numa_node *nodes, unsigned int n, uint64_t memory_kb,
                    uint32_t vcpus)
{
    struct candidate best = { 0 };

    if (n > NUMA_NODES_MAX) {
        return 0;
    }
    for (uint32_t set = 1; set < 1U << n; set++) {
        struct candidate c = candidate_of(nodes, n, set);

        if (c.free_kb >= memory_kb && c.cpus >= vcpus && (!best.nodes || better(&c, &best))) {
            best = c;
        }
    }
    return best.nodes;
}
