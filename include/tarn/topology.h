/* SPDX-License-Identifier: MIT */
/*
 * From APIC ids to cpu numbers: depth first (threads of a core, cores of a socket, sockets),
 * the boot CPU's thread, core and socket first, whatever order the firmware listed them in. Pure.
 */
#pragma once

#include <tarn/cpumask.h>

/* How an APIC id divides: thread = low thread_bits, core = next core_bits, socket = the rest. */
struct apicid_layout {
    u8 thread_bits, core_bits;
    const char *source; /* "leaf 0x1f", "leaf 0xb", ... */
};

struct topology_cpu {
    u32 apic_id;
    u16 socket, core, thread; /* dense: core within the socket, thread within the core */
    u16 node;                 /* lib/numa.c's */
};

struct topology {
    u32 nr_cpus, nr_sockets;
    u32 cores_per_socket, threads_per_core; /* the largest */
    struct topology_cpu cpu[NR_CPUS];
};

/*
 * Number `n` APIC ids. Duplicates (the first stays) and what exceeds NR_CPUS are left out and
 * reported through `report` (one text each). 0, or -EINVAL when boot_apic_id is not in the list (it
 * is then added as cpu 0).
 */
int topology_build(const struct apicid_layout *layout, u32 boot_apic_id, const u32 *apic_ids, u32 n,
                   struct topology *out, void (*report)(const char *text));
/* Only the first thread of each core stays, and numbers have no gaps. */
void topology_drop_threads(struct topology *t);
