/* SPDX-License-Identifier: MIT */
/*
 * Grant tables, version 1. Each domain has a table of entries that it shares with us: which frames
 * of its own it lets whom map or copy. kernel/grant.c reads them and counts their uses (pins),
 * kernel/grant_table.c makes the tables, kernel/grant_handle.c keeps what a domain has mapped of
 * others', arch/x86/mm/grant.c writes the page tables, kernel/ops/grant_op.c, grant_copy.c and
 * grant_setup.c are the calls.
 *
 * While an entry is pinned it holds a reference to its frame, whatever becomes of the mapping or of
 * the entry's contents. A handle holds a reference to the granter, so a table lives until the last
 * handle on it goes. What is counted here is what the granter sees in the entry's flags; the page
 * table's entry has a reference of its own (arch/x86/mm/frame_type.c), which goes with it.
 *
 * Lock: grant_table.lock (as RANK_EVTCHN; one at a time) for the table, the pins and the list of
 * free handles.
 */
#pragma once

#include <tarn/lib.h>
#include <tarn/spinlock.h>
#include <xen/grant_table.h>

struct domain;

#define GRANTS_PER_FRAME ((u32)(PAGE_SIZE / sizeof(grant_entry_v1_t)))
#define GRANT_FRAMES_LIMIT 256u     /* what gnttab_max_frames= may be */
#define MAPTRACK_FRAMES_LIMIT 4096u /* and gnttab_max_maptrack_frames= */

/* How often an entry is in use, and as what: four counts of 8 bits. */
#define PIN_HOST_WRITE (1u << 0)
#define PIN_HOST_READ (1u << 8)
#define PIN_DEVICE_WRITE (1u << 16)
#define PIN_DEVICE_READ (1u << 24)
#define PIN_WRITERS (0xff * (PIN_HOST_WRITE | PIN_DEVICE_WRITE))
#define PIN_FULL 0x80u /* that bit of a count */

struct grant_active {
    u32 frame, pins; /* no pins: the rest means nothing */
    domid_t grantee;
    u16 spare[3];
};

#define GRANT_ACTIVE_ORDER 1 /* pages for those of a frame */
_Static_assert(sizeof(struct grant_active) * GRANTS_PER_FRAME == PAGE_SIZE << GRANT_ACTIVE_ORDER,
               "what belongs to one frame of the table");

/* What a mapping of these kinds counts as */
static inline u32 grant_pins(u32 flags, u32 kinds)
{
    u32 pins = (kinds & GNTMAP_host_map ? PIN_HOST_WRITE : 0) +
               (kinds & GNTMAP_device_map ? PIN_DEVICE_WRITE : 0);

    return flags & GNTMAP_readonly ? pins * PIN_HOST_READ : pins;
}

struct grant_frame {
    grant_entry_v1_t *shared; /* with the guest. Untrusted contents. */
    struct grant_active *active;
};

/* What a domain has mapped of another's, or of its own. */
struct grant_handle {
    struct domain *granter;
    u32 ref;   /* of a free one: the next that is free */
    u32 flags; /* atomic; GNTMAP_*; 0: free. Above: kinds that are being unmapped */
};

#define HANDLES_PER_FRAME ((u32)(PAGE_SIZE / sizeof(struct grant_handle)))
#define GRANT_KINDS ((u32)(GNTMAP_host_map | GNTMAP_device_map))
#define GRANT_FLAGS 0xffffu
#define GRANT_GOING_SHIFT 16

struct grant_table {
    struct spinlock lock;
    u32 nr_frames, max_frames; /* the first goes up only; atomic */
    struct grant_frame *frame; /* a page */
    u32 nr_handles, max_handles;
    u32 free_handle;               /* ~0: none */
    u32 released;                  /* of a dying domain: handles before this */
    struct grant_handle **handles; /* by frames of them */
};

static inline struct grant_active *grant_active_of(const struct grant_table *gt, u32 ref)
{
    return &gt->frame[ref / GRANTS_PER_FRAME].active[ref % GRANTS_PER_FRAME];
}

static inline grant_entry_v1_t *grant_entry_of(const struct grant_table *gt, u32 ref)
{
    return &gt->frame[ref / GRANTS_PER_FRAME].shared[ref % GRANTS_PER_FRAME];
}

/* Of an entry that the caller has pinned */
static inline mfn_t grant_pinned_frame(const struct grant_table *gt, u32 ref)
{
    return MFN(grant_active_of(gt, ref)->frame);
}

/* kernel/grant_table.c. The limits are as the command line says, where < 0. */
void grant_table_init(struct grant_table *gt);
void grant_table_limit(struct grant_table *gt, s32 max_frames, s32 max_maptrack_frames);
void grant_table_free(struct domain *d); /* its last reference went */
/* So many frames at least: 0 or -errno. */
int grant_table_grow(struct domain *d, u32 frames);
/* A new table has one frame, which is made when somebody wants to see it. */
static inline u32 grant_frames(const struct grant_table *gt)
{
    return MAX(atomic_load(&gt->nr_frames), 1u);
}
int grant_swap(struct domain *d, u32 a, u32 b); /* GNTST_* */
/* A line about an entry that is in use, for debug keys; false: it isn't. */
bool grant_describe(struct domain *d, u32 ref, char *text, size_t size);

/*
 * kernel/grant.c. One use of an entry, of each kind in `pins`, by `grantee`: GNTST_*. *mfn is its
 * frame then, with a reference until the entry's last use ends. `map`: not an entry for a part of a
 * page.
 */
int grant_pin(struct domain *granter, u32 ref, domid_t grantee, u32 pins, bool map, mfn_t *mfn);
void grant_unpin(struct domain *granter, u32 ref, u32 pins);

/*
 * kernel/grant_handle.c. A new one is the caller's alone until grant_handle_publish; NULL: there is
 * none left. It takes over the caller's reference to the granter.
 */
struct grant_handle *grant_handle_new(struct domain *d, u32 *number);
void grant_handle_cancel(struct domain *d, struct grant_handle *h, u32 number);
static inline void grant_handle_publish(struct grant_handle *h, struct domain *granter, u32 ref,
                                        u32 flags)
{
    h->granter = granter;
    h->ref = ref;
    atomic_store(&h->flags, flags & GRANT_FLAGS);
}

/*
 * Those of the wanted kinds that it has become the caller's, so that nobody else unmaps them; NULL:
 * it isn't in use. *flags is what it had: without any of them it is not to be looked at, somebody
 * else may be freeing it. Kinds that stay mapped are given back, the others finished, when no TLB
 * leads there any more.
 */
struct grant_handle *grant_handle_claim(struct domain *d, u32 number, u32 wanted, u32 *flags);
static inline void grant_handle_give_back(struct grant_handle *h, u32 kinds)
{
    if (kinds) {
        atomic_fetch_sub(&h->flags, (kinds << GRANT_GOING_SHIFT) - kinds);
    }
}
void grant_handle_finish(struct domain *d, struct grant_handle *h, u32 number, u32 kinds);
/* All of a dying domain that doesn't run any more; false: call again. */
bool grant_handles_release(struct domain *d);

/*
 * arch/x86/mm/grant.c: current's L1 entry at host_addr, which is an address or with
 * GNTMAP_contains_pte the entry's own. 0 or -errno. To unmap, it must map that frame with these
 * rights; what stands at new_addr, unless 0, moves there, or is lost if that is impossible.
 */
int grant_host_map(struct domain *granter, mfn_t mfn, u64 host_addr, u32 flags);
int grant_host_unmap(mfn_t mfn, u64 host_addr, u64 new_addr, u32 flags);
void grant_copy_bytes(mfn_t to, u32 to_offset, mfn_t from, u32 from_offset, u32 len);

/* kernel/ops/grant_copy.c and grant_setup.c: the calls that are not about mapping. */
long grant_copy_op(u64 list, u32 count);
long grant_setup_op(u32 cmd, u64 arg, u32 count);
long memory_acquire_resource(u64 arg); /* a part of memory_op */
