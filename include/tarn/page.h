/* SPDX-License-Identifier: MIT */
/* Pages for the hypervisor's own structures; arch/x86/mm/frames.c. Mapped in the direct map,
 * read-write. */
#pragma once

#include <tarn/types.h>

void *page_alloc(void);       /* zeroed; NULL when memory is out */
void *pages_alloc(u32 order); /* 2^order contiguous pages, zeroed */
void page_free(void *page);
void pages_free(void *pages, u32 order);

/* The order in which so many bytes fit. */
static inline u32 pages_order(u64 bytes)
{
    u32 order = 0;

    while (PAGE_SIZE << order < bytes) {
        order++;
    }
    return order;
}

/* For tests: the allocation that brings this down to 0 fails; 0: none does. */
extern u32 heap_fail_after;
