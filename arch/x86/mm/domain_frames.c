/* SPDX-License-Identifier: MIT */
/*
 * The frames that domains have: given from the heap, on their domain's list, stolen for an
 * exchange, given up one by one when it dies, and back to the heap when the last reference goes.
 * Lock: domain.page_lock (leaf) for a domain's lists and counts; never with heap_lock.
 */
#include <tarn/page.h>
#include <x86/frames.h>
#include <x86/paging.h>

static struct domain *dom_xen; /* owns what share_with_control shares; constant once it is there */

/* A domain's lists, circular through frame numbers; *head is the first frame. */
static void list_insert(u32 *head, u32 f)
{
    struct buddy_node *n = &frame_table[f].node;

    if (*head == BUDDY_NIL) {
        n->next = n->prev = f;
        *head = f;
        return;
    }
    n->next = *head;
    n->prev = frame_table[*head].node.prev;
    frame_table[n->prev].node.next = f;
    frame_table[n->next].node.prev = f;
}

static void list_remove(u32 *head, u32 f)
{
    struct buddy_node *n = &frame_table[f].node;

    frame_table[n->prev].node.next = n->next;
    frame_table[n->next].node.prev = n->prev;
    if (*head == f) {
        *head = n->next == f ? BUDDY_NIL : n->next;
    }
}

/* As long as a domain has pages it has a reference to itself: a frame's owner can be found. */
static bool reserve_pages(struct domain *d, u32 n, bool replace)
{
    bool ok;

    spin_lock(&d->page_lock);
    ok = (replace || d->tot_pages + n <= d->max_pages) && d->dying == DOMAIN_ALIVE;
    if (ok) {
        if (d->tot_pages == 0) {
            domain_get(d);
        }
        d->tot_pages += n;
    }
    spin_unlock(&d->page_lock);
    return ok;
}

/* page_lock held; true: the reference of the pages is to be put. */
static bool forget_pages(struct domain *d, u32 n)
{
    d->tot_pages -= n;
    return d->tot_pages == 0;
}

static void adopt(struct domain *d, u32 first, u32 n)
{
    for (u32 i = first; i < first + n; i++) {
        frame_table[i].node.tag = d->domid;
        frame_table[i].type = FT_NONE;
        atomic_store(&frame_table[i].ref, FRAME_ALLOCATED | 1); /* last: now it can be got */
        list_insert(&d->page_list, i);
    }
}

static mfn_t alloc_for(struct domain *d, u32 order, bool replace)
{
    u32 n = 1u << order, f;
    bool alive, empty = false;

    if (!reserve_pages(d, n, replace)) {
        return INVALID_MFN;
    }
    f = heap_alloc(order);
    if (f != BUDDY_NIL) {
        memset(mfn_to_virt(MFN(f)), 0,
               PAGE_SIZE << order); /* whoever had it: nothing of it shows */
    }
    spin_lock(&d->page_lock);
    alive = d->dying == DOMAIN_ALIVE; /* as it was a moment ago */
    if (f != BUDDY_NIL && alive) {
        adopt(d, f, n);
    } else {
        empty = forget_pages(d, n);
    }
    spin_unlock(&d->page_lock);
    if (f != BUDDY_NIL && !alive) {
        heap_free(f, order);
    }
    if (empty) {
        domain_put(d);
    }
    return f == BUDDY_NIL || !alive ? INVALID_MFN : MFN(f);
}

mfn_t domain_alloc_frames(struct domain *d, u32 order)
{
    return alloc_for(d, order, false);
}

mfn_t domain_replace_frames(struct domain *d, u32 order)
{
    return alloc_for(d, order, true);
}

bool domain_steal_frame(struct domain *d, mfn_t mfn)
{
    u32 old = mfn_valid(mfn) ? atomic_load(&mfn_to_frame(mfn)->ref) : 0;

    do {
        if ((old & ~FRAME_FOREIGN) != (FRAME_ALLOCATED | 1) ||
            frame_owner(mfn_to_frame(mfn)) != d->domid) {
            return false;
        }
    } while (!atomic_cmpxchg(&mfn_to_frame(mfn)->ref, &old, old & FRAME_FOREIGN));
    return true;
}

void domain_return_frame(mfn_t mfn)
{
    atomic_fetch_or(&mfn_to_frame(mfn)->ref, FRAME_ALLOCATED | 1);
}

/*
 * The next frame that a dying domain is to give up, referenced; BUDDY_NIL: that was all. What is
 * still in use elsewhere stays on held_list. One that is just being released leaves by itself.
 */
u32 domain_next_to_give_up(struct domain *d)
{
    bool held = false;
    u32 f;

    spin_lock(&d->page_lock);
    while (!held && (f = d->page_list) != BUDDY_NIL) {
        list_remove(&d->page_list, f);
        list_insert(&d->held_list, f);
        held = frame_get(MFN(f), d) == 0;
    }
    spin_unlock(&d->page_lock);
    return held ? f : BUDDY_NIL;
}

/* The last reference of a domain's frame went (frame_put): it leaves the domain. */
void frame_release(struct frame *f)
{
    u32 n = (u32)frame_to_mfn(f).n;
    struct domain *d;
    bool empty;

    ASSERT((f->type & FT_COUNT) == 0);
    frame_flush_foreign(f);
    m2p[n] = INVALID_M2P;
    f->type = FT_NONE;
    f->ref = 0;
    if (frame_owner(f) == DOMID_XEN) { /* was shared with a domain that is gone */
        heap_free(n, 0);
        return;
    }
    d = domain_get_by_id(frame_owner(f));
    ASSERT(d);
    tlb_flush_mask(&d->arch.dirty_cpus); /* a TLB may still lead here */
    spin_lock(&d->page_lock);
    list_remove(d->dying == DOMAIN_ALIVE || d->page_list == n ? &d->page_list : &d->held_list, n);
    empty = forget_pages(d, 1);
    spin_unlock(&d->page_lock);
    heap_free(n, 0);
    if (empty) {
        domain_put(d);
    }
    domain_put(d);
}

void share_frame_with(struct domain *d, mfn_t mfn, bool writable)
{
    struct frame *f = mfn_to_frame(mfn);

    f->node.tag = d->domid;
    f->type = (writable ? FT_WRITABLE : FT_NONE) | FT_VALIDATED | 1;
    m2p[mfn.n] = INVALID_M2P;
    /*
     * One extra reference and use are ours, so it never falls to 0 through the guest. Last: a guest
     * may be waiting for a frame of its own here, and what it got before would be forgotten.
     */
    atomic_store(&f->ref, FRAME_ALLOCATED | 2);
}

bool share_prepare(void)
{
    struct domain *d = dom_xen ? dom_xen : page_alloc();

    if (d && !dom_xen) {
        d->domid = DOMID_SHARED;
        d->refcnt = 1;
        d->arch.teardown = BUDDY_NIL;
        spin_lock_init(&d->arch.mmu_lock, RANK_DOMAIN);
        atomic_store(&dom_xen, d);
    }
    return d != NULL;
}

void share_with_control(mfn_t mfn, bool writable)
{
    share_frame_with(dom_xen, mfn, writable);
}

struct domain *dom_xen_get(void)
{
    struct domain *d = atomic_load(&dom_xen);

    if (d) {
        domain_get(d);
    }
    return d;
}
