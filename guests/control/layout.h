/* SPDX-License-Identifier: MIT */
/*
 * layout.h - where the parts of a new domain's first memory lie (public/xen.h, "Start-of-day memory
 * layout"). Pure. Numbers are pfns; pfn 0 is mapped at `base`. From there up: image, [initrd],
 * [p2m], start_info, xenstore page, console page, page tables, stack, mapped to a 4 MiB boundary
 * with at least 512 KiB to spare. An image with the INIT_P2M note gets its p2m apart, with tables
 * of its own; one with MOD_START_PFN gets its initrd apart, unmapped.
 */
#pragma once

#include <tarn/elf.h>

#define LAYOUT_TABLES_MAX 512u

struct layout {
    uint64_t base;
    uint64_t image_pages;
    uint64_t initrd, p2m, start_info, store, console, tables, stack;
    uint64_t end;                                    /* behind the last mapped pfn */
    uint64_t extra;                                  /* tables of the p2m that lies apart */
    uint64_t p2m_va;                                 /* where the guest sees the p2m */
    uint64_t initrd_va;                              /* or its pfn, see initrd_apart */
    uint64_t nr_p2m, nr_initrd, nr_tables, nr_extra; /* pages */
    bool p2m_apart, initrd_apart;
};

/* NULL, or the reason why the domain can't be. */
const char *layout_make(const struct elf_image *elf, uint64_t nr_pages, uint64_t initrd_size,
                        struct layout *l, char *why, size_t why_size);
