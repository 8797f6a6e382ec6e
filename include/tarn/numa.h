/* SPDX-License-Identifier: MIT */
/*
 * Nodes: CPUs and the memory next to them, numbered from 0 on without gaps, by ascending number of
 * the firmware's. Memory is allocated without a look at them. Pure; lib/numa.c.
 */
#pragma once

#include <tarn/topology.h>

#define NR_NODES 64
#define NUMA_MAX_RANGES 128
#define NUMA_LOCAL 10  /* distances, as ACPI has them */
#define NUMA_REMOTE 20 /* where the firmware says nothing */
#define NUMA_UNREACHABLE 255

struct numa_range {
    u64 start, end; /* bytes; end exclusive */
    u32 node;
};

struct numa_cpu {
    u32 apic_id, node;
};

/* What the firmware says; `node` is its own number for one, any u32. */
struct numa_firmware {
    u32 nr_cpus, nr_ranges;
    struct numa_cpu cpu[NR_CPUS * 2];
    struct numa_range range[NUMA_MAX_RANGES];
    u32 nr_localities; /* distances, from row to column; 0: not known */
    u8 distance[NR_NODES * NR_NODES];
};

struct numa {
    u32 nr_nodes;  /* 1 when there is nothing to tell */
    u32 nr_ranges; /* 0 when there is one node; what is in none is node 0's */
    struct numa_range range[NUMA_MAX_RANGES];
    u8 distance[NR_NODES][NR_NODES];
};

extern const struct numa *numa; /* the machine's, constant after boot */

/*
 * Fills *out and the nodes of the topology's CPUs. What lies above `ram_end` doesn't count. What
 * the firmware contradicts itself in is reported, and the machine is then one node.
 */
void numa_build(const struct numa_firmware *fw, u64 ram_end, struct topology *t, struct numa *out,
                void (*report)(const char *text));
/* Adds to bytes[] of each node how much of [start, end) is its; the rest is node 0's. */
void numa_count(const struct numa *n, u64 start, u64 end, u64 bytes[NR_NODES]);
