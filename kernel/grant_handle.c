/* SPDX-License-Identifier: MIT */
/*
 * The grantee's side: handles of what a domain has mapped by grants. They are numbered, in frames
 * that are added when none is free, and never taken away while the domain lives. A handle's flags
 * say which kinds of mapping it has; who takes a kind away from them, atomically, is the one who
 * unmaps it, and who ends the last kind frees the handle. Lock: the grantee's grant_table.lock for
 * the list of free ones.
 */
#include <tarn/domain.h>
#include <tarn/errno.h>
#include <tarn/hypercall.h>
#include <tarn/page.h>
#include <x86/frames.h>

#define NONE (~0u)
#define HANDLES_PER_LOOK                                                     \
    32 /* that a dying domain gives up between two looks at what else is due \
        */

static struct grant_handle *handle_at(const struct grant_table *gt, u32 number)
{
    return &gt->handles[number / HANDLES_PER_FRAME][number % HANDLES_PER_FRAME];
}

/* A frame of free handles. The lock is held. */
static __cold void add_handles(struct grant_table *gt)
{
    u32 first = gt->nr_handles;
    struct grant_handle *page;

    if (first >= gt->max_handles) {
        return;
    }
    if (!gt->handles) {
        gt->handles = pages_alloc(pages_order(gt->max_handles / HANDLES_PER_FRAME * sizeof(page)));
    }
    page = gt->handles ? page_alloc() : NULL;
    if (!page) {
        return;
    }
    for (u32 i = 0; i < HANDLES_PER_FRAME; i++) {
        page[i].ref = i + 1 < HANDLES_PER_FRAME ? first + i + 1 : NONE;
    }
    gt->handles[first / HANDLES_PER_FRAME] = page;
    gt->free_handle = first;
    atomic_store(&gt->nr_handles, first + HANDLES_PER_FRAME);
}

struct grant_handle *grant_handle_new(struct domain *d, u32 *number)
{
    struct grant_table *gt = &d->grants;
    struct grant_handle *h = NULL;

    spin_lock(&gt->lock);
    if (unlikely(gt->free_handle == NONE)) {
        add_handles(gt);
    }
    if (likely(gt->free_handle != NONE)) {
        *number = gt->free_handle;
        h = handle_at(gt, *number);
        gt->free_handle = h->ref;
    }
    spin_unlock(&gt->lock);
    return h;
}

void grant_handle_cancel(struct domain *d, struct grant_handle *h, u32 number)
{
    struct grant_table *gt = &d->grants;

    spin_lock(&gt->lock);
    h->ref = gt->free_handle;
    gt->free_handle = number;
    spin_unlock(&gt->lock);
}

struct grant_handle *grant_handle_claim(struct domain *d, u32 number, u32 wanted, u32 *flags)
{
    const struct grant_table *gt = &d->grants;
    struct grant_handle *h;
    u32 old, kinds;

    if (unlikely(number >= atomic_load(&gt->nr_handles))) {
        return NULL;
    }
    h = handle_at(gt, number);
    old = atomic_load(&h->flags);
    do {
        if (unlikely(!(old & GRANT_FLAGS))) {
            return NULL;
        }
        kinds = old & wanted;
    } while (!atomic_cmpxchg(&h->flags, &old, (old & ~kinds) | kinds << GRANT_GOING_SHIFT));
    *flags = old;
    return h;
}

void grant_handle_finish(struct domain *d, struct grant_handle *h, u32 number, u32 kinds)
{
    u32 flags = atomic_load(&h->flags), ref = h->ref, going = kinds << GRANT_GOING_SHIFT;
    struct domain *granter = h->granter;

    if (unlikely(kinds & GNTMAP_device_map) && !(flags & GNTMAP_readonly)) {
        frame_put_type(grant_pinned_frame(&granter->grants, ref));
    }
    grant_unpin(granter, ref, grant_pins(flags, kinds));
    flags = atomic_fetch_and(&h->flags, ~going) & ~going;
    if (!(flags & (GRANT_KINDS | GRANT_KINDS << GRANT_GOING_SHIFT))) {
        atomic_store(&h->flags, 0u);
        grant_handle_cancel(d, h, number);
        domain_put(granter);
    }
}

__cold bool grant_handles_release(struct domain *d)
{
    struct grant_table *gt = &d->grants;

    while (gt->released < gt->nr_handles) {
        u32 flags, number = gt->released++;
        struct grant_handle *h = grant_handle_claim(d, number, GRANT_KINDS, &flags);

        if (h && (flags & GRANT_KINDS)) {
            grant_handle_finish(d, h, number, flags & GRANT_KINDS);
        }
        if (gt->released % HANDLES_PER_LOOK == 0 && hypercall_should_yield()) {
            return false;
        }
    }
    return true;
}
