/* SPDX-License-Identifier: MIT */
/*
 * Where the parts of a new domain's first memory lie (public/xen.h, "Start-of-day memory layout").
 * Pure. Numbers are pfns; pfn 0 is mapped at `base`. From there up: image, [initrd], [p2m],
 * start_info, [xenstore page, console page], page tables, stack, mapped to a 4 MiB boundary with at
 * least 512 KiB to spare. An image with the INIT_P2M note gets its p2m apart, with tables of its
 * own; one with MOD_START_PFN gets its initrd apart, unmapped.
 */
#pragma once

#include <tarn/elf.h>

#define PV_LAYOUT_TABLES_MAX 512u

struct pv_layout {
    u64 base;
    u64 image_pages;
    u64 initrd, p2m, start_info, store, console, tables, stack;
    u64 end;                                    /* behind the last mapped pfn */
    u64 extra;                                  /* tables of the p2m that lies apart */
    u64 p2m_va;                                 /* where the guest sees the p2m */
    u64 initrd_va;                              /* or its pfn, see initrd_apart */
    u64 nr_p2m, nr_initrd, nr_tables, nr_extra; /* pages */
    bool p2m_apart, initrd_apart;
};

/* NULL, or the reason why the domain can't be. `rings`: it has pages for xenstore and a console. */
const char *pv_layout_make(const struct elf_image *elf, u64 nr_pages, u64 initrd_size, bool rings,
                           struct pv_layout *l, char *why, size_t why_size);
