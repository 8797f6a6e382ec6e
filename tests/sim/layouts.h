/* SPDX-License-Identifier: MIT */
/* Machines that the simulator plays: APIC ids as firmware lists them, through lib/topology.c. */
#pragma once

#include <tarn/topology.h>

struct layout {
    const char *name;
    u32 cpus;
    u8 thread_bits, core_bits;
    u32 threads, cores; /* of a core, of a socket; where the ids are not dense */
};

extern const struct layout layouts[];
extern const u32 nr_layouts;

/* NULL: there is none of that name, or it has more than NR_CPUS. Kept until the next call for
 * another one. */
const struct topology *layout_topology(const struct layout *l);
const struct layout *layout_find(const char *name);
