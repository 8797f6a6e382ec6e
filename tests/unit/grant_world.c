/* SPDX-License-Identifier: MIT */
/* The hypervisor around grant tables, faked; see grant_world.h. */
#include <stdlib.h>
#include <string.h>

#include <sched.h>

#include <tarn/guest_access.h>
#include <tarn/page.h>
#include <tarn/pcpu.h>
#include <x86/paging.h>
#include <xen/memory.h>

#include "grant_world.h"

struct world_frame world_frame[ALL_FRAMES];
struct world_domain world[DOMS];
u32 world_pages, world_pages_allowed, world_shared;
u64 world_yields, world_unreadable, world_unwritable;
void (*world_flush)(void);
u32 world_flushes;
_Thread_local u32 world_stack;
struct options opt;
struct frame *frame_table;

static pthread_mutex_t list_lock = PTHREAD_MUTEX_INITIALIZER; /* which domains exist */

void arch_spin_service(void);
__attribute__((weak)) void arch_spin_service(void)
{
    sched_yield();
}

static void check(bool good)
{
    if (!good) {
        abort();
    }
}

/* ---- Memory ---- */

void *pages_alloc(u32 order)
{
    u32 n = 1u << order;
    void *p;

    if (atomic_fetch_add(&world_pages, n) + n > atomic_load(&world_pages_allowed)) {
        atomic_fetch_sub(&world_pages, n);
        return NULL;
    }
    p = aligned_alloc(PAGE_SIZE, PAGE_SIZE << order);
    return memset(p, 0, PAGE_SIZE << order);
}

void *page_alloc(void)
{
    return pages_alloc(0);
}

void pages_free(void *pages, u32 order)
{
    if (pages) {
        check(atomic_fetch_sub(&world_pages, 1u << order) >= 1u << order);
        free(pages);
    }
}

void page_free(void *page)
{
    pages_free(page, 0);
}

void share_frame_with(struct domain *d, mfn_t mfn, bool writable)
{
    check(d && writable && mfn.n << PAGE_SHIFT >> PAGE_SHIFT == mfn.n);
    atomic_fetch_add(&world_shared, 1);
}

/* The inverse of virt_to_mfn() for addresses on the host, which wrapped around in it. */
static void *shared_page(u64 mfn)
{
    u64 va = (mfn << PAGE_SHIFT) + IMAGE_OFFSET;

    return (void *)va;
}

void unshare_frame(mfn_t mfn)
{
    check(atomic_fetch_sub(&world_shared, 1) != 0);
    page_free(shared_page(mfn.n));
}

/* ---- Domains ---- */

static void frames_gone(struct world_domain *w)
{
    check(atomic_load(&w->pages) == 0);
    grant_table_free(&w->d);
    atomic_store(&w->exists, false);
}

void domain_get(struct domain *d)
{
    check(atomic_fetch_add(&d->refcnt, 1) != 0);
}

void domain_put(struct domain *d)
{
    u32 old = atomic_fetch_sub(&d->refcnt, 1);

    check(old != 0);
    if (old == 1) {
        frames_gone(&world[d->domid]);
    }
}

struct domain *domain_get_by_id(domid_t domid)
{
    struct domain *d = NULL;
    u32 old;

    if (domid == DOMID_SELF) {
        domain_get(current->domain);
        return current->domain;
    }
    pthread_mutex_lock(&list_lock);
    if (domid < DOMS && atomic_load(&world[domid].exists)) {
        d = &world[domid].d;
        old = atomic_load(&d->refcnt);
        while (old && !atomic_cmpxchg(&d->refcnt, &old, old + 1)) {
        }
        d = old ? d : NULL;
    }
    pthread_mutex_unlock(&list_lock);
    return d;
}

/* ---- Frames ---- */

int frame_get(mfn_t mfn, const struct domain *d)
{
    struct world_frame *f = &world_frame[mfn.n % ALL_FRAMES];
    u32 old = atomic_load(&f->refs);

    if (mfn.n >= ALL_FRAMES) {
        return -EINVAL;
    }
    do {
        if (old == 0 || atomic_load(&f->owner) != d->domid) {
            return -EINVAL;
        }
    } while (!atomic_cmpxchg(&f->refs, &old, old + 1));
    return 0;
}

void frame_put(mfn_t mfn)
{
    struct world_frame *f = &world_frame[mfn.n];
    u32 owner = atomic_load(&f->owner), old = atomic_fetch_sub(&f->refs, 1);

    check(mfn.n < ALL_FRAMES && old != 0);
    if (old == 1) {
        check(atomic_load(&f->types) == 0);
        atomic_store(&f->owner, ~0u);
        if (atomic_fetch_sub(&world[owner].pages, 1) == 1) {
            domain_put(&world[owner].d);
        }
    }
}

int frame_get_type(mfn_t mfn, u32 type, struct domain *d)
{
    struct world_frame *f = &world_frame[mfn.n];

    check(type == FT_WRITABLE && atomic_load(&f->owner) == d->domid && atomic_load(&f->refs));
    if (f->table) {
        return -EBUSY;
    }
    atomic_fetch_add(&f->types, 1);
    return 0;
}

void frame_put_type(mfn_t mfn)
{
    check(atomic_fetch_sub(&world_frame[mfn.n].types, 1) != 0);
}

u32 world_frame_alloc(u32 dom)
{
    for (u32 i = 0; i < FRAMES; i++) {
        struct world_frame *f = &world_frame[dom * FRAMES + i];

        if (atomic_load(&f->refs) == 0) {
            if (atomic_fetch_add(&world[dom].pages, 1) == 0) {
                domain_get(&world[dom].d);
            }
            f->allocated = true;
            f->table = false;
            atomic_store(&f->owner, dom);
            atomic_store(&f->refs, 1);
            return dom * FRAMES + i;
        }
    }
    return NO_FRAME;
}

void world_frame_free(u32 dom, u32 frame)
{
    struct world_frame *f = &world_frame[frame];

    check(f->owner == dom);
    if (f->allocated) {
        f->allocated = false;
        frame_put(MFN(frame));
    }
}

/* ---- Page tables ---- */

static void slot_clear(struct world_slot *s)
{
    u32 frame = s->frame;

    s->frame = NO_FRAME;
    if (frame != NO_FRAME) {
        if (s->write) {
            frame_put_type(MFN(frame));
        }
        frame_put(MFN(frame));
    }
}

static int slot_fill(struct world_slot *s, struct domain *owner, mfn_t mfn, bool write)
{
    if (frame_get(mfn, owner)) {
        return -EINVAL;
    }
    if (write && frame_get_type(mfn, FT_WRITABLE, owner)) {
        frame_put(mfn);
        return -EBUSY;
    }
    slot_clear(s);
    *s = (struct world_slot){ (u32)mfn.n, write };
    return 0;
}

void world_slot_set(u32 dom, u32 slot, u32 frame, bool write)
{
    struct world_domain *w = &world[dom];

    pthread_mutex_lock(&w->mmu);
    if (frame == NO_FRAME) {
        slot_clear(&w->slot[slot]);
    } else {
        (void)slot_fill(&w->slot[slot], &w->d, MFN(frame), write);
    }
    pthread_mutex_unlock(&w->mmu);
}

static struct world_slot *slot_find(struct world_domain *w, u64 addr, u32 flags)
{
    bool pte = flags & GNTMAP_contains_pte;
    u64 slot = pte ? (addr - SLOT_PTE(0)) / 8 : (addr - SLOT_VA(0)) / PAGE_SIZE;

    return slot < SLOTS && !(pte && addr % 8) ? &w->slot[slot] : NULL;
}

int grant_host_map(struct domain *granter, mfn_t mfn, u64 host_addr, u32 flags)
{
    struct world_domain *w = &world[current->domain->domid];
    struct world_slot *s = slot_find(w, host_addr, flags);
    bool write = !(flags & GNTMAP_readonly);
    int rc = -EINVAL;

    pthread_mutex_lock(&w->mmu);
    if (s && s->frame == mfn.n && s->write == write) {
        rc = 0; /* nothing changes, nothing more is counted */
    } else if (s) {
        rc = slot_fill(s, granter, mfn, write);
    }
    pthread_mutex_unlock(&w->mmu);
    return rc;
}

static bool slot_maps(const struct world_slot *s, mfn_t mfn, u32 flags)
{
    return s && s->frame == mfn.n && s->write == !(flags & GNTMAP_readonly);
}

static int slot_replace(struct world_domain *w, mfn_t mfn, u64 host_addr, u64 new_addr, u32 flags)
{
    struct world_slot *s = slot_find(w, host_addr, flags), *from = slot_find(w, new_addr, 0), moved;

    if ((flags & GNTMAP_contains_pte) || !from) {
        return -EINVAL;
    }
    moved = *from;
    from->frame = NO_FRAME;
    if (!slot_maps(s, mfn, flags)) {
        slot_clear(&moved);
        return -EINVAL;
    }
    slot_clear(s);
    *s = moved;
    return 0;
}

int grant_host_unmap(mfn_t mfn, u64 host_addr, u64 new_addr, u32 flags)
{
    struct world_domain *w = &world[current->domain->domid];
    struct world_slot *s;
    int rc = -EINVAL;

    pthread_mutex_lock(&w->mmu);
    s = slot_find(w, host_addr, flags);
    if (new_addr) {
        rc = slot_replace(w, mfn, host_addr, new_addr, flags);
    } else if (slot_maps(s, mfn, flags)) {
        slot_clear(s);
        rc = 0;
    }
    pthread_mutex_unlock(&w->mmu);
    return rc;
}

void grant_copy_bytes(mfn_t to, u32 to_offset, mfn_t from, u32 from_offset, u32 len)
{
    check(to_offset + len <= PAGE_SIZE && from_offset + len <= PAGE_SIZE);
    check(atomic_load(&world_frame[to.n].types) && atomic_load(&world_frame[from.n].refs));
    memmove(&world_frame[to.n].data[to_offset], &world_frame[from.n].data[from_offset], len);
}

void tlb_flush_mask(const struct cpumask *mask)
{
    (void)mask;
    atomic_fetch_add(&world_flushes, 1);
    if (world_flush) {
        world_flush();
    }
}

/* ---- Calls ---- */

bool hypercall_should_yield(void)
{
    u64 yields = atomic_load(&world_yields);

    while (yields && !atomic_cmpxchg(&world_yields, &yields, yields >> 1)) {
    }
    return yields & 1;
}

static _Thread_local struct {
    u64 cmd, list, count;
    bool again;
} later;

long hypercall_continue(u32 nr, u64 a1, u64 a2, u64 a3, u64 a4)
{
    check(nr == __HYPERVISOR_grant_table_op && a4 == 0);
    later.cmd = a1;
    later.list = a2;
    later.count = a3;
    later.again = true;
    return nr;
}

int copy_from_guest(void *dst, u64 guest_va, size_t len)
{
    if (!guest_va || (world_unreadable && guest_va >= world_unreadable)) {
        return -EFAULT;
    }
    memcpy(dst, (const void *)guest_va, len);
    return 0;
}

int copy_to_guest(u64 guest_va, const void *src, size_t len)
{
    if (!guest_va || (world_unwritable && guest_va >= world_unwritable)) {
        return -EFAULT;
    }
    memcpy((void *)guest_va, src, len);
    return 0;
}

/* Hypercalls run on a stack with a struct pcpu on top. */
static _Alignas(PCPU_AREA_SIZE) char stacks[STACKS][PCPU_AREA_SIZE];

static long on_pcpu(struct vcpu *v, u64 fn, u64 a1, u64 a2, u64 a3)
{
    struct pcpu *p = pcpu_of_stack((u64)stacks[world_stack]);
    register u64 top __asm__("rbx") = (u64)p & ~63UL;
    u64 rc;

    p->curr = v;
    __asm__ volatile("xchg %%rbx, %%rsp\n\tcall *%%rax\n\tmov %%rbx, %%rsp"
                     : "=a"(rc), "+r"(top), "+D"(a1), "+S"(a2), "+d"(a3)
                     : "a"(fn)
                     : "rcx", "r8", "r9", "r10", "r11", "memory", "cc");
    return (long)rc;
}

long world_op(u32 dom, u32 vcpu, u64 cmd, void *list, u64 count)
{
    long rc;

    later.cmd = cmd;
    later.list = (u64)list;
    later.count = count;
    do {
        later.again = false;
        rc = on_pcpu(&world[dom].vcpu[vcpu], (u64)do_grant_table_op, later.cmd, later.list,
                     later.count);
    } while (later.again);
    return rc;
}

long world_memory_op(u32 dom, u64 cmd, void *arg)
{
    check(cmd == XENMEM_acquire_resource);
    return on_pcpu(&world[dom].vcpu[0], (u64)memory_acquire_resource, (u64)arg, 0, 0);
}

volatile grant_entry_v1_t *world_entry(u32 dom, u32 ref)
{
    return grant_entry_of(&world[dom].d.grants, ref);
}

/* ---- Life ---- */

void world_domain_make(u32 dom, u32 frames)
{
    struct world_domain *w = &world[dom];

    check(!w->exists);
    memset(&w->d, 0, sizeof(w->d));
    w->d.domid = (domid_t)dom;
    w->d.privileged = dom == 0;
    w->d.refcnt = 1;
    w->d.max_vcpus = VCPUS;
    for (u32 i = 0; i < VCPUS; i++) {
        w->vcpu[i].domain = &w->d;
        w->vcpu[i].id = i;
        w->d.vcpu[i] = &w->vcpu[i];
    }
    for (u32 i = 0; i < SLOTS; i++) {
        w->slot[i].frame = NO_FRAME;
    }
    grant_table_init(&w->d.grants);
    for (u32 i = 0; i < frames; i++) {
        (void)world_frame_alloc(dom);
    }
    atomic_store(&w->exists, true);
}

void world_domain_kill(u32 dom)
{
    struct world_domain *w = &world[dom];

    w->d.dying = DOMAIN_DYING;
    while (!grant_handles_release(&w->d)) {
    }
    for (u32 i = 0; i < SLOTS; i++) {
        world_slot_set(dom, i, NO_FRAME, false);
    }
    domain_get(&w->d);
    for (u32 i = 0; i < ALL_FRAMES; i++) {
        if (atomic_load(&world_frame[i].owner) == dom && atomic_load(&world_frame[i].refs)) {
            world_frame_free(dom, i);
        }
    }
    w->d.dying = DOMAIN_DEAD;
    domain_put(&w->d);
    domain_put(&w->d);
}

void world_reset(void)
{
    opt.gnttab_max_frames = 2;
    opt.gnttab_max_maptrack_frames = 1;
    world_pages = world_shared = world_flushes = 0;
    world_pages_allowed = ~0u;
    world_yields = world_unreadable = world_unwritable = 0;
    world_flush = NULL;
    memset(world_frame, 0, sizeof(world_frame));
    for (u32 i = 0; i < ALL_FRAMES; i++) {
        world_frame[i].owner = ~0u;
        memset(world_frame[i].data, (int)i + 1, PAGE_SIZE);
    }
    memset(world, 0, sizeof(world));
    for (u32 d = 0; d < DOMS; d++) {
        pthread_mutex_init(&world[d].mmu, NULL);
    }
}
