/* SPDX-License-Identifier: MIT */
/*
 * memory.c - our own memory and windows onto that of others. It owns the heap, which lies where the
 * p2m's linear map puts its pages (VIRT_BASE + pfn * 4096) and grows and shrinks there: what the
 * heap does not need stays with the hypervisor, for other domains. It also owns the page tables
 * that it builds for that, which lie in the hole below the image, and the window area, one
 * GiB above VIRT_BASE. One thread, no locks.
 */
#include "control.h"

#define TABLE_ENTRIES 512u
#define PTE_P 1UL
#define PTE_TABLE 0x67UL /* what Xen's loaders write: present, writable, user, accessed, dirty */
#define PTE_RW 0x63UL
#define PTE_RO 0x21UL
#define PTE_ADDRESS 0x000ffffffffff000UL
#define NO_FRAME (~0UL)

/* The pages below the image, which the loader maps and nobody uses. */
#define HOLE_PAGES 256u
#define WINDOW_BASE (VIRT_BASE + (1UL << 30))
#define WINDOW_TABLES 8u
#define WINDOW_PAGES (WINDOW_TABLES * TABLE_ENTRIES)
#define HEAP_MIN_PAGES (8UL << 8)  /* 8 MiB: less is not given back */
#define HEAP_STEP_PAGES (4UL << 8) /* it grows and shrinks by so much */
#define BATCH 128u

/* ---- our page tables ---- */

static unsigned int hole_used;
static uint64_t *p2m;
static uint64_t nr_pfns; /* as many as the p2m has entries */

static unsigned int table_index(unsigned int level, const void *va)
{
    return (unsigned int)(ARG(va) >> (12 + 9 * (level - 1))) % TABLE_ENTRIES;
}

/* A page for a table: zeroed and not writable by us any more; NULL: the hole is used up. */
static uint64_t *table_new(void)
{
    uint64_t *page;

    if (hole_used == HOLE_PAGES) {
        return NULL;
    }
    page = pfn_to_virt(hole_used);
    memset(page, 0, PAGE_SIZE);
    if (update_va_mapping(page, virt_to_mfn(page) * PAGE_SIZE | PTE_RO, UVMF_INVLPG)) {
        return NULL;
    }
    hole_used++;
    return page;
}

/* Makes sure that there is an L1 for va. */
static bool table_make(const void *va)
{
    for (unsigned int level = 2; level >= 1; level--) {
        uint64_t *parent = page_table(level + 1, va), *table;
        struct mmu_update update;

        if (parent[table_index(level + 1, va)] & PTE_P) {
            continue;
        }
        table = table_new();
        if (!table) {
            return false;
        }
        update.ptr = virt_to_mfn(parent) * PAGE_SIZE + table_index(level + 1, va) * 8;
        update.val = virt_to_mfn(table) * PAGE_SIZE | PTE_TABLE;
        if (mmu_update(&update, 1, NULL, DOMID_SELF)) {
            return false;
        }
    }
    return true;
}

static void flush_all(void)
{
    struct mmuext_op op = { .cmd = MMUEXT_TLB_FLUSH_LOCAL };

    mmuext_op(&op, 1, NULL, DOMID_SELF);
}

/*
 * Writes n entries from va on: frames of `owner`, or nothing when mfns is NULL. Where there is no
 * L1 there is nothing to take away. 0 or -errno.
 */
static long map_frames(void *va, const uint64_t *mfns, unsigned int n, uint64_t flags,
                       domid_t owner)
{
    static struct mmu_update updates[BATCH];
    uint64_t entry = 0;
    unsigned int at = 0;
    long rc = 0;

    while (at < n && rc == 0) {
        unsigned int count = 0, done = 0;

        for (; at < n && count < BATCH; at++) {
            const char *page = (char *)va + at * PAGE_SIZE;

            entry = entry && table_index(1, page) ? entry + 8 : l1e_maddr(page);
            if (entry) {
                updates[count].ptr = entry;
                updates[count++].val = mfns ? mfns[at] * PAGE_SIZE | flags : 0;
            }
        }
        rc = count ? mmu_update(updates, count, &done, owner) : 0;
    }
    return rc;
}

static void unmap_frames(void *va, unsigned int n)
{
    map_frames(va, NULL, n, 0, DOMID_SELF);
    flush_all();
}

/* ---- pages between us and the hypervisor ---- */

/* Gives the frames of pfns [from, to) back; they are not mapped any more. */
static void pages_return(uint64_t from, uint64_t to)
{
    struct xen_memory_reservation r = { .domid = DOMID_SELF, .nr_extents = to - from };

    if (from >= to) {
        return;
    }
    set_xen_guest_handle(r.extent_start, &p2m[from]);
    memory_op(XENMEM_decrease_reservation, &r);
    for (uint64_t pfn = from; pfn < to; pfn++) {
        p2m[pfn] = NO_FRAME;
    }
}

/* Gets frames for pfns [from, to): all or none. */
static bool pages_take(uint64_t from, uint64_t to)
{
    struct xen_memory_reservation r = { .domid = DOMID_SELF, .nr_extents = to - from };
    long got;

    for (uint64_t pfn = from; pfn < to; pfn++) {
        p2m[pfn] = pfn;
    }
    set_xen_guest_handle(r.extent_start, &p2m[from]);
    got = memory_op(XENMEM_populate_physmap, &r);
    if (got == (long)(to - from)) {
        return true;
    }
    got = MAX(got, 0);
    pages_return(from, from + (uint64_t)got);
    for (uint64_t pfn = from; pfn < to; pfn++) {
        p2m[pfn] = NO_FRAME;
    }
    return false;
}

/* ---- the heap ---- */

/*
 * Blocks lie side by side from heap_first to heap_end; free ones are linked by address, and
 * neighbours are joined at once.
 */
struct block {
    size_t size;        /* with this header; a multiple of 16 */
    struct block *next; /* of a free block; IN_USE otherwise */
};
#define IN_USE ((struct block *)1)

static struct block *free_blocks;
static char *heap_first, *heap_end;
static uint64_t heap_min_pfn; /* the heap never ends below */
static size_t in_use;
static unsigned int fail_after;

static uint64_t pages_of(const void *va)
{
    return (ARG(va) - VIRT_BASE) / PAGE_SIZE;
}

/* Links a block in at its place and joins it with its neighbours. */
static void block_insert(struct block *b)
{
    struct block *before = NULL, *after = free_blocks;

    while (after && after < b) {
        before = after;
        after = after->next;
    }
    b->next = after;
    if (after && (char *)b + b->size == (char *)after) {
        b->size += after->size;
        b->next = after->next;
    }
    if (before && (char *)before + before->size == (char *)b) {
        before->size += b->size;
        before->next = b->next;
    } else if (before) {
        before->next = b;
    } else {
        free_blocks = b;
    }
}

/* Maps frames of ours for pfns [from, to). */
static bool heap_map(uint64_t from, uint64_t to)
{
    for (uint64_t pfn = from; pfn < to; pfn += TABLE_ENTRIES - pfn % TABLE_ENTRIES) {
        uint64_t end = MIN(to, pfn + TABLE_ENTRIES - pfn % TABLE_ENTRIES);

        if (!table_make(pfn_to_virt(pfn)) ||
            map_frames(pfn_to_virt(pfn), &p2m[pfn], (unsigned int)(end - pfn), PTE_RW,
                       DOMID_SELF)) {
            return false;
        }
    }
    return true;
}

/* The pages that were added to the heap's end become a free block. */
static void heap_extend(uint64_t to)
{
    struct block *b = (struct block *)(void *)heap_end;

    b->size = to * PAGE_SIZE + VIRT_BASE - ARG(heap_end);
    heap_end += b->size;
    block_insert(b);
}

/* The free block that the heap ends with, or NULL. */
static struct block *block_last(void)
{
    struct block *last = free_blocks;

    while (last && last->next) {
        last = last->next;
    }
    return last && (char *)last + last->size == heap_end ? last : NULL;
}

/* Gets more from the hypervisor, enough for a block of this size at the end. */
static bool heap_grow(size_t size)
{
    const struct block *last = block_last();
    uint64_t from = pages_of(heap_end), to;

    if (size > nr_pfns * PAGE_SIZE) {
        return false;
    }
    size -= last ? last->size : 0; /* which is too small, or we would not be here */
    to = MIN(nr_pfns, ALIGN_UP(from + DIV_ROUND_UP(size, PAGE_SIZE), HEAP_STEP_PAGES));
    if ((to - from) * PAGE_SIZE < size || !pages_take(from, to)) {
        return false;
    }
    if (!heap_map(from, to)) {
        unmap_frames(pfn_to_virt(from), (unsigned int)(to - from));
        pages_return(from, to);
        return false;
    }
    heap_extend(to);
    return true;
}

/* What the last free block has above the least that the heap keeps goes back. */
static void heap_shrink(void)
{
    struct block *last = block_last();
    uint64_t from, to = pages_of(heap_end);

    if (!last) {
        return;
    }
    from = ALIGN_UP(pages_of((char *)last + sizeof(*last) + PAGE_SIZE - 1), HEAP_STEP_PAGES);
    from = MAX(from, heap_min_pfn);
    if (from >= to) {
        return;
    }
    last->size -= (to - from) * PAGE_SIZE;
    heap_end = pfn_to_virt(from);
    unmap_frames(heap_end, (unsigned int)(to - from));
    pages_return(from, to);
}

static struct block *block_take(size_t size)
{
    struct block **link = &free_blocks;

    for (struct block *b = free_blocks; b; link = &b->next, b = b->next) {
        if (b->size < size) {
            continue;
        }
        if (b->size - size >= 2 * sizeof(*b)) {
            struct block *rest = (struct block *)(void *)((char *)b + size);

            rest->size = b->size - size;
            rest->next = b->next;
            b->size = size;
            *link = rest;
        } else {
            *link = b->next;
        }
        b->next = IN_USE;
        return b;
    }
    return NULL;
}

static bool fault_due(void)
{
    return fail_after && --fail_after == 0;
}

void *allocate(size_t size)
{
    size_t want = ALIGN_UP(size + sizeof(struct block), 16UL);
    struct block *b;

    if (want < size || fault_due()) {
        return NULL;
    }
    b = block_take(want);
    if (!b && heap_grow(want)) {
        b = block_take(want);
    }
    if (!b) {
        return NULL;
    }
    in_use += b->size;
    return memset(b + 1, 0, b->size - sizeof(*b));
}

void release(void *p)
{
    struct block *b = (struct block *)p - 1;

    if (!p) {
        return;
    }
    if (b->next != IN_USE) {
        printf("control: release of what is not in use: %p\n", p);
        guest_shutdown(SHUTDOWN_crash);
    }
    in_use -= b->size;
    block_insert(b);
    heap_shrink();
}

size_t heap_in_use(void)
{
    return in_use;
}

void heap_fail_after(unsigned int n)
{
    fail_after = n;
}

/* ---- windows onto other domains' frames ---- */

static uint64_t window_used[WINDOW_PAGES / 64];

static bool window_is_used(unsigned int page)
{
    return window_used[page / 64] >> (page % 64) & 1;
}

static void window_mark(unsigned int first, unsigned int n, bool used)
{
    for (unsigned int page = first; page < first + n; page++) {
        if (used) {
            window_used[page / 64] |= 1UL << (page % 64);
        } else {
            window_used[page / 64] &= ~(1UL << (page % 64));
        }
    }
}

/* The first of n unused pages side by side; WINDOW_PAGES: there are none. */
static unsigned int window_find(unsigned int n)
{
    unsigned int run = 0;

    for (unsigned int page = 0; page < WINDOW_PAGES; page++) {
        run = window_is_used(page) ? 0 : run + 1;
        if (run == n) {
            return page + 1 - n;
        }
    }
    return WINDOW_PAGES;
}

void *foreign_map(domid_t domid, const uint64_t *mfns, unsigned int n, bool writable, long *rc)
{
    unsigned int first = window_find(n);
    void *where = (void *)(WINDOW_BASE + first * PAGE_SIZE);

    *rc = -XEN_ENOMEM;
    if (n == 0 || n > FOREIGN_MAX || first == WINDOW_PAGES || fault_due()) {
        return NULL;
    }
    *rc = map_frames(where, mfns, n, writable ? PTE_RW : PTE_RO, domid);
    if (*rc) {
        unmap_frames(where, n);
        return NULL;
    }
    window_mark(first, n, true);
    return where;
}

void foreign_unmap(void *where, unsigned int n)
{
    if (where) {
        unmap_frames(where, n);
        window_mark((unsigned int)((ARG(where) - WINDOW_BASE) / PAGE_SIZE), n, false);
    }
}

/* ---- start of day ---- */

/* The first pfn behind all that the loader put there, and the first that it did not map. */
static uint64_t first_free_pfn(void)
{
    return virt_to_pfn((void *)start_info->pt_base) + start_info->nr_pt_frames + 1;
}

static uint64_t first_unmapped_pfn(uint64_t pfn)
{
    while (pfn < nr_pfns) {
        void *va = pfn_to_virt(pfn);
        uint64_t *l1 = page_table(1, va);

        if (!l1 || !(l1[table_index(1, va)] & PTE_P)) {
            break;
        }
        pfn++;
    }
    return pfn;
}

/* As much as the hole's tables can map, and what lies below the windows. */
static uint64_t heap_limit(uint64_t mapped)
{
    uint64_t tables = HOLE_PAGES - WINDOW_TABLES - 4;
    uint64_t limit = ALIGN_DOWN(mapped, (uint64_t)TABLE_ENTRIES) + tables * TABLE_ENTRIES;

    return MIN(MIN(nr_pfns, limit), (WINDOW_BASE - VIRT_BASE) / PAGE_SIZE);
}

void memory_init(void)
{
    uint64_t first, mapped, limit;

    p2m = (uint64_t *)start_info->mfn_list;
    nr_pfns = start_info->nr_pages;
    first = first_free_pfn();
    mapped = first_unmapped_pfn(first);
    limit = heap_limit(mapped);
    for (unsigned int i = 0; i < WINDOW_TABLES; i++) {
        table_make((void *)(WINDOW_BASE + i * TABLE_ENTRIES * PAGE_SIZE));
    }
    heap_first = heap_end = pfn_to_virt(first);
    heap_extend(mapped);
    heap_min_pfn = MAX(mapped, MIN(limit, ALIGN_UP(first + HEAP_MIN_PAGES, HEAP_STEP_PAGES)));
    if (heap_map(mapped, heap_min_pfn)) {
        heap_extend(heap_min_pfn);
    } else {
        heap_min_pfn = mapped;
    }
    pages_return(heap_min_pfn, nr_pfns);
    nr_pfns = limit;
}
