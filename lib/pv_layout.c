/* SPDX-License-Identifier: MIT */
/* See pv_layout.h. Pure. */
#include <tarn/lib.h>
#include <tarn/pv_layout.h>

#define PAGES(bytes) ((bytes) / PAGE_SIZE + ((bytes) % PAGE_SIZE != 0))
/* So that the tables are PV_LAYOUT_TABLES_MAX at most. */
#define MAPPED_MAX ((1UL << 18) - (ROOM >> PAGE_SHIFT))
/* More than tables, stack, spare and alignment take. */
#define ROOM (16UL << 20)
#define PAGES_MAX (1UL << 40)
#define SPARE (512UL << 10)
#define MAP_ALIGN (4UL << 20)
/* The hypervisor's part of the address space, and the end of it. */
#define HOLE_START 0x0000800000000000UL
#define HOLE_END 0xffff880000000000UL

/* Tables that map [va, va + len): one each for what it spans at levels 1 to 3. */
static u64 tables_for(u64 va, u64 len)
{
    u64 n = 0;

    for (u32 level = 1; level <= 3; level++) {
        u32 shift = 12 + 9 * level;

        n += ((va + len - 1) >> shift) - (va >> shift) + 1;
    }
    return n;
}

static bool guest_may_map(u64 va, u64 len)
{
    u64 last = va + len - 1;

    return last >= va && (last < HOLE_START || va >= HOLE_END);
}

static u64 take(u64 *next, u64 n)
{
    u64 pfn = *next;

    *next += n;
    return pfn;
}

/* The tables' number depends on what is mapped, which depends on their number. */
static void lay_out_tables(struct pv_layout *l, u64 next)
{
    u64 n = 0, want = 4, end = 0;

    while (n != want) {
        n = want;
        end = ALIGN_UP(l->base + (next + n + 1) * PAGE_SIZE + SPARE, MAP_ALIGN);
        want = 1 + tables_for(l->base, end - l->base);
    }
    l->nr_tables = n;
    l->tables = take(&next, n);
    l->stack = take(&next, 1);
    l->end = (end - l->base) / PAGE_SIZE;
}

/* What is mapped from the base on; then what lies apart. Returns how many pages all of it takes. */
static u64 lay_out(const struct elf_image *elf, bool rings, struct pv_layout *l)
{
    u64 next = l->image_pages;

    if (!l->initrd_apart) {
        l->initrd = take(&next, l->nr_initrd);
    }
    if (!l->p2m_apart) {
        l->p2m = take(&next, l->nr_p2m);
    }
    l->start_info = take(&next, 1);
    if (rings) {
        l->store = take(&next, 1);
        l->console = take(&next, 1);
    }
    lay_out_tables(l, next);

    next = l->end;
    if (l->initrd_apart) {
        l->initrd = take(&next, l->nr_initrd);
    }
    if (l->p2m_apart) {
        l->p2m = take(&next, l->nr_p2m);
        l->nr_extra = tables_for(elf->init_p2m, l->nr_p2m * PAGE_SIZE);
        l->extra = take(&next, l->nr_extra);
    }
    return next;
}

/* What is mapped for sure, in pages; the rest is less than ROOM. */
static u64 mapped_pages(const struct pv_layout *l)
{
    return l->image_pages + (l->initrd_apart ? 0 : l->nr_initrd) + (l->p2m_apart ? 0 : l->nr_p2m);
}

static const char *check_addresses(const struct elf_image *elf, const struct pv_layout *l)
{
    if (!guest_may_map(l->base, l->end * PAGE_SIZE) ||
        (l->p2m_apart && !guest_may_map(elf->init_p2m, l->nr_p2m * PAGE_SIZE))) {
        return "its addresses overlap the hypervisor's";
    }
    if (l->p2m_apart && elf->init_p2m < l->base + l->end * PAGE_SIZE &&
        l->base < elf->init_p2m + l->nr_p2m * PAGE_SIZE) {
        return "its p2m (note INIT_P2M) overlaps its first memory";
    }
    return NULL;
}

const char *pv_layout_make(const struct elf_image *elf, u64 nr_pages, u64 initrd_size, bool rings,
                           struct pv_layout *l, char *why, size_t why_size)
{
    u64 needed;

    memset(l, 0, sizeof(*l));
    l->base = ALIGN_DOWN(elf->virt_base, PAGE_SIZE);
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
        if (l->base + mapped_pages(l) * PAGE_SIZE + ROOM < l->base) {
            return "its addresses run over the end of the address space";
        }
        needed = lay_out(elf, rings, l);
    }
    if (needed > nr_pages) {
        fmt_snprintf(why, why_size, "too large: it needs %lu KiB of memory, and has %lu KiB",
                     (unsigned long)needed * 4, (unsigned long)nr_pages * 4);
        return why;
    }
    l->p2m_va = l->p2m_apart ? elf->init_p2m : l->base + l->p2m * PAGE_SIZE;
    l->initrd_va = l->initrd_apart ? l->initrd : l->base + l->initrd * PAGE_SIZE;
    return check_addresses(elf, l);
}
