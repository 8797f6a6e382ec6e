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

/* How many sets of the best one's size have room, and as few vcpus, and as much free memory. */
static void count_rivals(struct numa_choice *c, uint32_t *vcpus, uint32_t *memory)
{
    struct candidate best = candidate_of(c->node, c->n, c->nodes);

    *vcpus = *memory = 0;
    c->size = best.size;
    for (uint32_t set = 1; set < 1U << c->n; set++) {
        struct candidate rival = candidate_of(c->node, c->n, set);
        bool good = rival.size == best.size && rival.free_kb >= c->memory_kb &&
                    rival.cpus >= c->vcpus;

        c->equal += good;
        good &= rival.vcpus == best.vcpus;
        *vcpus += good;
        *memory += good && rival.free_kb == best.free_kb;
    }
}

void numa_choose(struct numa_choice *c)
{
    uint32_t vcpus, memory;

    c->nodes = numa_place(c->node, c->n, c->memory_kb, c->vcpus);
    c->size = c->equal = 0;
    c->reason = NUMA_NO_ROOM;
    if (!c->nodes) {
        return;
    }
    count_rivals(c, &vcpus, &memory);
    c->reason = c->equal == 1 ? NUMA_ONLY_ONE
                : vcpus == 1  ? NUMA_VCPUS
                : memory == 1 ? NUMA_MEMORY
                              : NUMA_FIRST;
}

void numa_words(const struct numa_choice *c, char text[NUMA_WORDS])
{
    static const char *const best[] = {
        [NUMA_VCPUS] = "the fewest vcpus",
        [NUMA_MEMORY] = "the most free memory, vcpus being equal",
        [NUMA_FIRST] = "the lowest number, all else being equal",
    };

    switch (c->reason) {
    case NUMA_NO_ROOM:
        str_copy(text, "no set of memory nodes has room for it", NUMA_WORDS);
        break;
    case NUMA_ONLY_ONE:
        fmt_snprintf(text, NUMA_WORDS,
                     c->size == 1      ? "the only memory node that has room for it"
                     : c->size == c->n ? "it needs all %u memory nodes"
                                       : "no other %u memory nodes, and no fewer, have room for it",
                     c->size);
        break;
    default:
        if (c->size == 1) {
            fmt_snprintf(text, NUMA_WORDS,
                         "of the %u memory nodes that have room for it, it has %s", c->equal,
                         best[c->reason]);
        } else {
            fmt_snprintf(text, NUMA_WORDS, "of %u sets of %u memory nodes with room, it has %s",
                         c->equal, c->size, best[c->reason]);
        }
    }
}
