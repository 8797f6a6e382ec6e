/* SPDX-License-Identifier: MIT */
/*
 * A domain's grant table as such: its frames are made when they are asked for, shared with the
 * guest, and go with the domain; entries change places; one is described. What entries grant is
 * grant.c's. Lock: grant_table.lock.
 */
#include <tarn/domain.h>
#include <tarn/errno.h>
#include <tarn/options.h>
#include <tarn/page.h>
#include <x86/frames.h>

_Static_assert(sizeof(struct grant_frame) * GRANT_FRAMES_LIMIT <= PAGE_SIZE, "a page of them");

void grant_table_init(struct grant_table *gt)
{
    spin_lock_init(&gt->lock, RANK_EVTCHN);
    gt->free_handle = ~0u;
    grant_table_limit(gt, -1, -1);
}

void grant_table_limit(struct grant_table *gt, s32 max_frames, s32 max_maptrack_frames)
{
    gt->max_frames = max_frames < 0 ? opt.gnttab_max_frames : (u32)max_frames;
    gt->max_handles = HANDLES_PER_FRAME * (max_maptrack_frames < 0 ? opt.gnttab_max_maptrack_frames
                                                                   : (u32)max_maptrack_frames);
}

/* The lock is held. */
static int add_frame(struct domain *d)
{
    struct grant_table *gt = &d->grants;
    struct grant_frame f = { page_alloc(), pages_alloc(GRANT_ACTIVE_ORDER) };

    if (!gt->frame) {
        gt->frame = page_alloc();
    }
    if (!f.shared || !f.active || !gt->frame) {
        page_free(f.shared);
        pages_free(f.active, GRANT_ACTIVE_ORDER);
        return -ENOMEM;
    }
    share_frame_with(d, virt_to_mfn(f.shared), true);
    gt->frame[gt->nr_frames] = f;
    atomic_store(&gt->nr_frames, gt->nr_frames + 1);
    return 0;
}

int grant_table_grow(struct domain *d, u32 frames)
{
    struct grant_table *gt = &d->grants;
    int rc = frames > gt->max_frames || d->dying != DOMAIN_ALIVE ? -EINVAL : 0;

    while (rc == 0 && atomic_load(&gt->nr_frames) < frames) {
        spin_lock(&gt->lock); /* not for long: others want to map */
        rc = gt->nr_frames < frames ? add_frame(d) : 0;
        spin_unlock(&gt->lock);
    }
    return rc;
}

void grant_table_free(struct domain *d)
{
    struct grant_table *gt = &d->grants;

    for (u32 i = 0; i < gt->nr_frames; i++) {
        unshare_frame(virt_to_mfn(gt->frame[i].shared));
        pages_free(gt->frame[i].active, GRANT_ACTIVE_ORDER);
    }
    page_free(gt->frame);
    for (u32 i = 0; i < gt->nr_handles / HANDLES_PER_FRAME; i++) {
        page_free(gt->handles[i]);
    }
    pages_free(gt->handles, pages_order(gt->max_handles / HANDLES_PER_FRAME * sizeof(void *)));
}

int grant_swap(struct domain *d, u32 a, u32 b)
{
    struct grant_table *gt = &d->grants;
    int status = GNTST_okay;
    grant_entry_v1_t e;

    if (MAX(a, b) / GRANTS_PER_FRAME >= grant_frames(gt)) {
        return GNTST_bad_gntref;
    }
    if (a == b || atomic_load(&gt->nr_frames) == 0) {
        return GNTST_okay;
    }
    spin_lock(&gt->lock);
    if (grant_active_of(gt, a)->pins || grant_active_of(gt, b)->pins) {
        status = GNTST_eagain;
    } else {
        e = *grant_entry_of(gt, a);
        *grant_entry_of(gt, a) = *grant_entry_of(gt, b);
        *grant_entry_of(gt, b) = e;
    }
    spin_unlock(&gt->lock);
    return status;
}

bool grant_describe(struct domain *d, u32 ref, char *text, size_t size)
{
    struct grant_active a;
    grant_entry_v1_t e;

    if (!READ_ONCE(grant_active_of(&d->grants, ref)->pins)) {
        return false;
    }
    spin_lock(&d->grants.lock);
    a = *grant_active_of(&d->grants, ref);
    e = *grant_entry_of(&d->grants, ref);
    spin_unlock(&d->grants.lock);
    fmt_snprintf(text, size,
                 "ref %u: frame %x for domain %u, flags %x; host %u to write, %u to read; "
                 "device %u, %u",
                 ref, a.frame, a.grantee, e.flags, a.pins & 0xff, a.pins >> 8 & 0xff,
                 a.pins >> 16 & 0xff, a.pins >> 24);
    return a.pins != 0;
}
