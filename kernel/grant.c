/* SPDX-License-Identifier: MIT */
/*
 * The granter's side: how often each entry of its grant table is in use. An entry is the guest's:
 * it may change at any moment, so it is read once, and the flags that say that it is in use are set
 * only in the very state that was checked. Lock: grant_table.lock.
 */
#include <tarn/domain.h>
#include <x86/frames.h>

#define MARK_TRIES 5 /* a guest that changes an entry all the time keeps us no longer */

/* Flags and domid are looked at, and changed, together. */
static u32 *entry_word(grant_entry_v1_t *e)
{
    _Static_assert(offsetof(grant_entry_v1_t, flags) == 0 && offsetof(grant_entry_v1_t, domid) == 2,
                   "flags below the domid");
    return (u32 *)(void *)e;
}

/*
 * Say in the entry that it is in use. Who it is for, and what it is, is looked at for its first use
 * only; whether it may be written each time that a first writer comes.
 */
static int mark(u32 *word, u32 want, u32 want_mask, bool write)
{
    u32 bits = GTF_reading | (write ? GTF_writing : 0), old = READ_ONCE(*word);

    for (u32 i = 0; i < MARK_TRIES; i++) {
        if ((old & want_mask) != want || (write && (old & GTF_readonly))) {
            return GNTST_general_error;
        }
        if (atomic_cmpxchg(word, &old, old | bits)) {
            return GNTST_okay;
        }
    }
    return GNTST_general_error;
}

/* So many pins went, others may be left. */
static void unmark(u32 *word, u32 went, u32 left)
{
    u32 bits = left ? 0 : GTF_reading;

    bits |= (went & PIN_WRITERS) && !(left & PIN_WRITERS) ? GTF_writing : 0;

    if (bits) {
        atomic_fetch_and(word, ~bits);
    }
}

/* It has no pins so far: what it grants is what it says now. */
static int pin_first(struct domain *granter, struct grant_active *a, grant_entry_v1_t *e,
                     domid_t grantee, u32 pins, bool map)
{
    u32 mask = 0xffff0000u | GTF_type_mask | (map ? GTF_sub_page : 0);
    int status = mark(entry_word(e), (u32)grantee << 16 | GTF_permit_access, mask,
                      pins & PIN_WRITERS);

    if (status != GNTST_okay) {
        return status;
    }
    a->frame = READ_ONCE(e->frame);
    if (unlikely(frame_get(MFN(a->frame), granter))) {
        unmark(entry_word(e), pins, 0);
        return GNTST_bad_page;
    }
    a->grantee = grantee;
    return GNTST_okay;
}

static int pin_again(struct grant_active *a, grant_entry_v1_t *e, domid_t grantee, u32 pins)
{
    if (a->grantee != grantee || (a->pins & pins * PIN_FULL)) {
        return GNTST_general_error;
    }
    return (pins & PIN_WRITERS) && !(a->pins & PIN_WRITERS) ? mark(entry_word(e), 0, 0, true)
                                                            : GNTST_okay;
}

int grant_pin(struct domain *granter, u32 ref, domid_t grantee, u32 pins, bool map, mfn_t *mfn)
{
    struct grant_table *gt = &granter->grants;
    struct grant_active *a;
    grant_entry_v1_t *e;
    int status;

    if (unlikely(ref / GRANTS_PER_FRAME >= atomic_load(&gt->nr_frames))) {
        /* A first frame that isn't there yet would hold nothing. */
        return ref < GRANTS_PER_FRAME ? GNTST_general_error : GNTST_bad_gntref;
    }
    a = grant_active_of(gt, ref);
    e = grant_entry_of(gt, ref);
    spin_lock(&gt->lock);
    if (unlikely(granter->dying != DOMAIN_ALIVE)) {
        status = GNTST_general_error;
    } else if (a->pins) {
        status = pin_again(a, e, grantee, pins);
    } else {
        status = pin_first(granter, a, e, grantee, pins, map);
    }
    if (likely(status == GNTST_okay)) {
        a->pins += pins;
        *mfn = MFN(a->frame);
    }
    spin_unlock(&gt->lock);
    return status;
}

void grant_unpin(struct domain *granter, u32 ref, u32 pins)
{
    struct grant_table *gt = &granter->grants;
    struct grant_active *a = grant_active_of(gt, ref);
    mfn_t mfn;
    bool last;

    spin_lock(&gt->lock);
    mfn = MFN(a->frame);
    a->pins -= pins;
    last = !a->pins;
    unmark(entry_word(grant_entry_of(gt, ref)), pins, a->pins);
    spin_unlock(&gt->lock);
    if (last) {
        frame_put(mfn);
    }
}
