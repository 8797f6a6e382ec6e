/* SPDX-License-Identifier: MIT */
/*
 * The machine's frames: the frame table and the M2P are made at boot, then all RAM is one buddy
 * heap, for domains and for our own pages. What a domain has is domain_frames.c's, what a frame may
 * be used as frame_type.c's. Lock: heap_lock (leaf) for the buddy.
 */
#include <tarn/boot_info.h>
#include <tarn/errno.h>
#include <tarn/hypercall.h>
#include <tarn/numa.h>
#include <tarn/page.h>
#include <x86/frames.h>
#include <x86/paging.h>

#define LOW_FRAMES 256u /* below 1 MiB */

struct frame *frame_table; /* constant after boot; a frame's fields say who guards them */
u32 nr_frames;
u64 *m2p;
u64 m2p_entries;

static struct buddy heap;                                    /* all free frames; heap_lock */
static struct spinlock heap_lock = SPINLOCK_INIT(RANK_LEAF); /* `heap` */
u32 heap_fail_after;                                         /* for tests; heap_lock */
static paddr_t boot_first, boot_next, boot_limit; /* bump allocator until the heap stands */

/* First address above everything the loader placed below `limit`. */
static paddr_t loader_top(const struct boot_info *bi, paddr_t limit)
{
    paddr_t top = virt_to_phys(__bss_end);

    if (bi->info_end <= limit) {
        top = MAX(top, bi->info_end);
    }
    for (u32 i = 0; i < bi->nr_modules; i++) {
        if (bi->module[i].end <= limit) {
            top = MAX(top, bi->module[i].end);
        }
    }
    return ALIGN_UP(top, PAGE_SIZE);
}

/* The largest piece of RAM that the boot tables reach and that the loader left free. */
static void boot_alloc_init(const struct boot_info *bi)
{
    for (u32 i = 0; i < bi->nr_regions; i++) {
        const struct boot_region *r = &bi->region[i];
        paddr_t end = MIN(r->end, boot_mapped), start = r->start;

        if (r->type != BOOT_RAM || start >= end || start < 1UL << 20) {
            continue;
        }
        start = MAX(start, MIN(loader_top(bi, end), end));
        if (end - start > boot_limit - boot_next) {
            boot_next = start;
            boot_limit = end;
        }
    }
    if (!boot_limit) {
        panic("no free RAM above 1 MiB in the memory map");
    }
}

/* Before the heap stands; never freed. */
static void *boot_alloc(u64 size, u64 align)
{
    paddr_t pa = ALIGN_UP(boot_next, align);

    if (pa + size > boot_limit || pa + size < pa) {
        panic("not enough memory to boot: %lu KiB more are needed", size >> 10);
    }
    boot_next = pa + size;
    memset(phys_to_virt(pa), 0, size);
    return phys_to_virt(pa);
}

static const char *keep_string(const char *s)
{
    size_t len = strlen(s) + 1;

    return memcpy(boot_alloc(len, 1), s, len);
}

/* The highest RAM frame + 1; what the direct map has no room for is not used. */
static u32 top_ram_frame(const struct boot_info *bi)
{
    paddr_t top = 0;

    for (u32 i = 0; i < bi->nr_regions; i++) {
        if (bi->region[i].type == BOOT_RAM) {
            top = MAX(top, bi->region[i].end);
        }
    }
    return (u32)(MIN(top, HV_END - DIRECT_VIRT) >> PAGE_SHIFT);
}

/* Free [start, end) without what the modules from `module` on cover. */
static void free_without(const struct boot_info *bi, u32 module, paddr_t start, paddr_t end)
{
    paddr_t from, to;

    if (start >= end) {
        return;
    }
    if (module == bi->nr_modules) {
        buddy_free_range(&heap, (u32)(start >> PAGE_SHIFT), (u32)(end >> PAGE_SHIFT));
        return;
    }
    from = ALIGN_DOWN(bi->module[module].start, PAGE_SIZE);
    to = ALIGN_UP(bi->module[module].end, PAGE_SIZE);
    if (to <= start || from >= end) {
        free_without(bi, module + 1, start, end);
        return;
    }
    free_without(bi, module + 1, start, MIN(from, end));
    free_without(bi, module + 1, MAX(to, start), end);
}

/* Give the RAM within [from, to) to the heap, without the modules and what boot_alloc handed out.
 */
static void heap_fill(const struct boot_info *bi, paddr_t from, paddr_t to)
{
    paddr_t boot_end = ALIGN_UP(boot_next, PAGE_SIZE);

    for (u32 i = 0; i < bi->nr_regions; i++) {
        paddr_t start = ALIGN_UP(MAX(bi->region[i].start, from), PAGE_SIZE);
        paddr_t end = ALIGN_DOWN(MIN(bi->region[i].end, to), PAGE_SIZE);

        if (bi->region[i].type != BOOT_RAM) {
            continue;
        }
        if (boot_first >= start && boot_first < end) {
            free_without(bi, 0, start, boot_first);
            start = boot_end;
        }
        free_without(bi, 0, start, end);
    }
}

/* Frames that are no RAM are nobody's memory, but the control domain may map them as devices. */
static void mark_holes(const struct boot_info *bi)
{
    u32 next = 0;

    for (u32 i = 0; i <= bi->nr_regions; i++) {
        bool last = i == bi->nr_regions;

        if (!last && bi->region[i].type != BOOT_RAM) {
            continue;
        }
        for (u32 f = next; f < (last ? nr_frames : bi->region[i].start >> PAGE_SHIFT); f++) {
            frame_table[f].node.tag = DOMID_IO;
        }
        next = last ? next : MAX(next, (u32)MIN(bi->region[i].end >> PAGE_SHIFT, (u64)nr_frames));
    }
}

void frames_init(struct boot_info *bi)
{
    boot_alloc_init(bi);
    boot_first = boot_next;
    bi->cmdline = keep_string(bi->cmdline);
    bi->loader = keep_string(bi->loader);
    for (u32 i = 0; i < bi->nr_modules; i++) {
        bi->module[i].string = keep_string(bi->module[i].string);
    }
    nr_frames = top_ram_frame(bi);
    frame_table = boot_alloc(nr_frames * sizeof(struct frame), PAGE_SIZE);
    m2p_entries = ALIGN_UP((u64)nr_frames, PAGE_SIZE / 8);
    m2p = boot_alloc(m2p_entries * 8, PAGE_SIZE);
    memset(m2p, 0xff, m2p_entries * 8);
    buddy_init(&heap, frame_table, sizeof(struct frame), nr_frames);
    mark_holes(bi);
    heap_fill(bi, ALIGN_UP(virt_to_phys(__bss_end), PAGE_SIZE), boot_mapped);
}

void frames_add_high_memory(const struct boot_info *bi)
{
    heap_fill(bi, boot_mapped, (paddr_t)nr_frames << PAGE_SHIFT);
}

void frames_give_boot_memory(const struct boot_info *bi)
{
    for (u32 i = 0; i < bi->nr_modules; i++) {
        u32 first = (u32)(bi->module[i].start >> PAGE_SHIFT);
        u32 end = (u32)(ALIGN_UP(bi->module[i].end, PAGE_SIZE) >> PAGE_SHIFT);

        for (u32 f = first; f < end && f < nr_frames; f++) {
            /* Modules may share their last page. The first MiB is not given away: firmware,
             * trampoline. */
            if (frame_table[f].node.state == BUDDY_USED && !frame_table[f].ref && f >= LOW_FRAMES) {
                spin_lock(&heap_lock);
                buddy_free_range(&heap, f, f + 1);
                spin_unlock(&heap_lock);
            }
        }
    }
}

u64 heap_free_frames(void)
{
    return heap.nr_free;
}

u32 heap_alloc(u32 order)
{
    u32 f;

    spin_lock(&heap_lock);
    if (unlikely(heap_fail_after) && --heap_fail_after == 0) {
        f = BUDDY_NIL;
    } else {
        f = buddy_alloc(&heap, order);
    }
    spin_unlock(&heap_lock);
    return f;
}

void heap_free(u32 frame, u32 order)
{
    spin_lock(&heap_lock);
    buddy_free(&heap, frame, order);
    spin_unlock(&heap_lock);
}

void heap_free_by_node(u64 bytes[])
{
    spin_lock(&heap_lock);
    for (u32 list = 0; list < BUDDY_ZONES * BUDDY_ORDERS; list++) {
        u32 f = heap.head[list / BUDDY_ORDERS][list % BUDDY_ORDERS];

        for (; f != BUDDY_NIL; f = frame_table[f].node.next) {
            u64 start = (u64)f << PAGE_SHIFT;

            numa_count(numa, start, start + (PAGE_SIZE << frame_table[f].node.order), bytes);
        }
    }
    spin_unlock(&heap_lock);
}

void *pages_alloc(u32 order)
{
    u32 f = heap_alloc(order);

    if (f == BUDDY_NIL) {
        return NULL;
    }
    for (u32 i = 0; i < 1u << order; i++) {
        frame_table[f + i].node.tag = DOMID_XEN;
        frame_table[f + i].ref = FRAME_ALLOCATED; /* 0: frame_get, however late, takes none */
        frame_table[f + i].type = FT_NONE;
    }
    return memset(mfn_to_virt(MFN(f)), 0, PAGE_SIZE << order);
}

void *page_alloc(void)
{
    return pages_alloc(0);
}

void pages_free(void *pages, u32 order)
{
    u32 f;

    if (!pages) {
        return;
    }
    f = (u32)virt_to_mfn(pages).n;
    for (u32 i = 0; i < 1u << order; i++) {
        frame_table[f + i].ref = 0;
    }
    heap_free(f, order);
}

void page_free(void *page)
{
    pages_free(page, 0);
}
