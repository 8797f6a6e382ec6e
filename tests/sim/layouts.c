/* SPDX-License-Identifier: MIT */
/* See layouts.h. Recorded under QEMU (-smp sockets=,cores=,threads=) and, for the large ones, of
 * the same shape as servers have; listed by threads last, as some firmware does. */
#include <string.h>

#include "layouts.h"

const struct layout layouts[] = {
    { "1", 1, 0, 0, 1, 1 },        { "2", 2, 0, 0, 1, 1 },         { "4x1x1", 4, 0, 0, 1, 1 },
    { "1x2x2", 4, 1, 1, 2, 2 },    { "2x2x2", 8, 1, 1, 2, 2 },     { "1x8x1", 8, 0, 3, 1, 8 },
    { "2x3x2", 12, 1, 2, 2, 3 },   { "1x6x1", 6, 0, 3, 1, 6 },     { "4x4x1", 16, 0, 2, 1, 4 },
    { "2x16x2", 64, 1, 4, 2, 16 }, { "8x16x2", 256, 1, 4, 2, 16 }, { "32x64x2", 4096, 1, 6, 2, 64 },
};
const u32 nr_layouts = ARRAY_SIZE(layouts);

static u32 apic_id(const struct layout *l, u32 thread, u32 core)
{
    u32 socket = core / l->cores;

    return (socket << l->core_bits | core % l->cores) << l->thread_bits | thread;
}

const struct topology *layout_topology(const struct layout *l)
{
    static struct topology t;
    static const struct layout *last;
    static u32 ids[NR_CPUS];
    const struct apicid_layout bits = { l->thread_bits, l->core_bits, "recorded" };
    u32 n = 0;

    if (l->cpus > NR_CPUS) {
        return NULL;
    }
    for (u32 thread = 0; thread < l->threads && l != last; thread++) {
        for (u32 core = 0; core < l->cpus / l->threads; core++) {
            ids[n++] = apic_id(l, thread, core);
        }
    }
    if (l != last) {
        ASSERT(topology_build(&bits, 0, ids, n, &t, NULL) == 0);
        ASSERT(t.nr_cpus == l->cpus && t.threads_per_core == l->threads);
        last = l;
    }
    return &t;
}

const struct layout *layout_find(const char *name)
{
    for (u32 i = 0; i < nr_layouts; i++) {
        if (strcmp(layouts[i].name, name) == 0) {
            return &layouts[i];
        }
    }
    return NULL;
}
