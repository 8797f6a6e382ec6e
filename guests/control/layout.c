/* SPDX-License-Identifier: MIT */
/* layout.c - see layout.h; pure. */
#include <tarn/lib.h>

#include "layout.h"

#define PAGES(bytes) ((bytes) / 4096 + ((bytes) % 4096 != 0))
/* So that the tables fit into one window of LAYOUT_TABLES_MAX. */
#define MAPPED_MAX ((1UL << 18) - (ROOM >> 12))
/* More than tables, stack, spare and alignment take. */
#define ROOM (16UL << 20)
#define PAGES_MAX (1UL << 40)
#define SPARE (512UL << 10)
#define MAP_ALIGN (4UL << 20)
/* The hypervisor's part of the address space, and the end of it. */
#define HOLE_START 0x0000800000000000UL
#define HOLE_END 0xffff880000000000UL

/* Tables that map [va, va + len): one each for what it spans at levels 1 to 3. */
static uint64_t tables_for(uint64_t va, uint64_t len)
{
    uint64_t n = 0;

    for (unsigned int level = 1; level <= 3; level++) {
        unsigned int shift = 12 + 9 * level;

        n += ((va + len - 1) >> shift) - (va >> shift) + 1;
    }
    return n;
}

static bool guest_may_map(uint64_t va, uint64_t len)
{
    uint64_t last = va + len - 1;

    return last >= va && (last < HOLE_START || va >= HOLE_END);
}

static uint64_t take(uint64_t *next, uint64_t n)
{
    uint64_t pfn = *next;

    *next += n;
    return pfn;
}

/* The tables' number depends on what is mapped, which depends on their number. */
static void lay_out_tables(struct layout *l, uint64_t next)
{
    uint64_t n = 0, want = 4, end = 0;

    while (n != want) {
        n = want;
        end = ALIGN_UP(l->base + (next + n + 1) * 4096 + SPARE, MAP_ALIGN);
        want = 1 + tables_for(l->base, end - l->base);
    }
    l->nr_tables = n;
    l->tables = take(&next, n);
    l->stack = take(&next, 1);
    l->end = (end - l->base) / 4096;
}

/* What is mapped from the base on; then what lies apart. Returns how many pages all of it takes. */
static uint64_t lay_out(const struct elf_image *elf, struct layout *l)
{
    uint64_t next = l->image_pages;

    if (!l->initrd_apart) {
        l->initrd = take(&next, l->nr_initrd);
    }
    if (!l->p2m_apart) {
        l->p2m = take(&next, l->nr_p2m);
    }
    l->start_info = take(&next, 1);
    l->store = take(&next, 1);
    l->console = take(&next, 1);
    lay_out_tables(l, next);

    next = l->end;
    if (l->initrd_apart) {
        l->initrd = take(&next, l->nr_initrd);
    }
    if (l->p2m_apart) {
        l->p2m = take(&next, l->nr_p2m);
        l->nr_extra = tables_for(elf->init_p2m, l->nr_p2m * 4096);
        l->extra = take(&next, l->nr_extra);
    }
    return next;
}

/* What is mapped for sure, in pages; the rest is less than ROOM. */
static uint64_t mapped_pages(const struct layout *l)
{
    return l->image_pages + (l->initrd_apart ? 0 : l->nr_initrd) + (l->p2m_apart ? 0 : l->nr_p2m);
}

static const char *check_addresses(const struct elf_image *elf, const struct layout *l)
{
    if (!guest_may_map(l->base, l->end * 4096) ||
        (l->p2m_apart && !guest_may_map(elf->init_p2m, l->nr_p2m * 4096))) {
        return "its addresses overlap the hypervisor's";
    }
    if (l->p2m_apart && elf->init_p2m < l->base + l->end * 4096 &&
        l->base < elf->init_p2m + l->nr_p2m * 4096) {
        return "its p2m (note INIT_P2M) overlaps its first memory";
    }
    return NULL;
}

const char *layout_make(const struct elf_image *elf, uint64_t nr_pages, uint64_t initrd_size,
                        struct layout *l, char *why, size_t why_size)
{
    uint64_t needed;

    memset(l, 0, sizeof(*l));
    l->base = elf->virt_base;
    l->image_pages = PAGES(elf->kend - l->base);
    l->nr_initrd = PAGES(initrd_size);
    l->nr_p2m = PAGES(nr_pages * 8);
    l->p2m_apart = elf->has_init_p2m;
    l->initrd_apart = elf->mod_start_pfn && l->nr_initrd;
    needed = l->image_pages + l->nr_initrd + l->nr_p2m;
    /* An image may claim any size and place: what follows must not overflow. */
    if (needed < PAGES_MAX) {
        if (mapped_pages(l) > MAPPED_MAX) {
            return "too large: more than 1 GiB to map";
        }
        if (l->base + mapped_pages(l) * 4096 + ROOM < l->base) {
            return "its addresses run over the end of the address space";
        }
        needed = lay_out(elf, l);
    }
    if (needed > nr_pages) {
        fmt_snprintf(why, why_size, "too large: it needs %lu KiB of memory, and has %lu KiB",
                     (unsigned long)needed * 4, (unsigned long)nr_pages * 4);
        return why;
    }
    l->p2m_va = l->p2m_apart ? elf->init_p2m : l->base + l->p2m * 4096;
    l->initrd_va = l->initrd_apart ? l->initrd : l->base + l->initrd * 4096;
    return check_addresses(elf, l);
}
