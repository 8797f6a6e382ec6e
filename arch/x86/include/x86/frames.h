/* SPDX-License-Identifier: MIT */
/*
 * One struct frame for each machine frame of RAM: who owns it, how often it is referenced, and as
 * what it is used. arch/x86/mm/frames.c allocates; arch/x86/mm/frame_type.c is the isolation
 * argument.
 */
#pragma once

#include <tarn/arch.h>
#include <tarn/buddy.h>
#include <tarn/domain.h>
#include <x86/layout.h>

/*
 * ref: FRAME_ALLOCATED and how many references are held. A domain's frame has one for being
 * allocated to it; each mapping adds one. At 0 the frame goes back to the heap. type: what the
 * frame is used as, and how often. The type changes only while the count is 0.
 */
struct frame {
    struct buddy_node node; /* links: free list, or the owner's list; tag: the owner's domid */
    u32 ref;
    u32 type;
    u32 next_teardown; /* in the list of tables whose last use went; mmu_lock */
};
_Static_assert(sizeof(struct frame) == 24, "frame table size");

struct boot_info;

#define FRAME_ALLOCATED (1u << 31) /* its allocation reference is still held */
#define FRAME_FOREIGN (1u << 30)   /* was mapped by another domain than its owner */
#define FRAME_REF_MASK (FRAME_FOREIGN - 1)

#define FT_NONE (0u << 28)     /* no special use: may become anything */
#define FT_WRITABLE (1u << 28) /* mapped writable */
#define FT_L1 (2u << 28)
#define FT_L2 (3u << 28)
#define FT_L3 (4u << 28)
#define FT_L4 (5u << 28)
#define FT_DESC (6u << 28) /* a page of descriptors (GDT, LDT) */
#define FT_MASK (7u << 28)
#define FT_VALIDATED (1u << 31)
#define FT_PINNED (1u << 27)
#define FT_COUNT ((1u << 27) - 1)

extern struct frame *frame_table;
extern u32 nr_frames;   /* frames of the frame table: the highest RAM frame + 1 */
extern u64 *m2p;        /* machine to pseudo-physical, the writable view */
extern u64 m2p_entries; /* entries that the guests' view shows */
#define INVALID_M2P (~0UL)

static inline struct frame *mfn_to_frame(mfn_t mfn)
{
    return &frame_table[mfn.n];
}

static inline mfn_t frame_to_mfn(const struct frame *f)
{
    return MFN((u64)(f - frame_table));
}

/* RAM that the frame table knows; holes inside are frames that nobody can own. */
static inline bool mfn_valid(mfn_t mfn)
{
    return mfn.n < nr_frames;
}

static inline domid_t frame_owner(const struct frame *f)
{
    return f->node.tag;
}

void frames_init(struct boot_info *bi); /* frame table, M2P; copies the loader's strings */
/* What lies above boot_mapped, once paging_init has mapped it. */
void frames_add_high_memory(const struct boot_info *bi);
void frames_give_boot_memory(const struct boot_info *bi); /* the modules' memory to the heap */
u64 heap_free_frames(void);
void heap_free_by_node(u64 bytes[]); /* added for each; walks the free lists */
/* 2^order frames; BUDDY_NIL: there are none. */
u32 heap_alloc(u32 order);
void heap_free(u32 frame, u32 order);

/* domain_frames.c */

/* 2^order frames for a domain (added to its list, counted); INVALID_MFN when there is no memory or
 * d has its maximum. */
mfn_t domain_alloc_frames(struct domain *d, u32 order);
/*
 * To exchange frames of current's domain: one that nobody uses is stolen from it (no one can get a
 * reference any more), and then frame_release frees it, or it is returned. What replaces stolen
 * ones may for that long go beyond the maximum.
 */
bool domain_steal_frame(struct domain *d, mfn_t mfn);
void domain_return_frame(mfn_t mfn);
mfn_t domain_replace_frames(struct domain *d, u32 order);
/* Make a hypervisor page (page_alloc) one that d may map: shared_info and its like. */
void share_frame_with(struct domain *d, mfn_t mfn, bool writable);
/*
 * The same for a privileged domain, which names DOMID_XEN as the owner; for good. Its frames are
 * told by their tag from our other pages, which nobody may map. False: no memory.
 */
#define DOMID_SHARED ((domid_t)(DOMID_INVALID + 1))
bool share_prepare(void); /* before the first; callers exclude each other */
void share_with_control(mfn_t mfn, bool writable);
struct domain *dom_xen_get(void); /* the owner, referenced; NULL: there are none */
u32 domain_next_to_give_up(struct domain *d);

/* frame_type.c. All that changes tables or types of d is between these two. */
void mmu_lock(struct domain *d);
void mmu_unlock(struct domain *d);

/* References: -errno or 0. */
int frame_get(mfn_t mfn, const struct domain *d); /* a reference to a frame of d */
void frame_put(mfn_t mfn);
/* Give a frame's allocation reference back; it is freed when the last mapping goes. */
void domain_free_frame(struct domain *d, mfn_t mfn);
/* Validates when the frame takes this type; needs a reference. */
int frame_get_type(mfn_t mfn, u32 type, struct domain *d);
void frame_put_type(mfn_t mfn);
int frame_get_and_type(mfn_t mfn, u32 type, struct domain *d);
/* d owns it, or at least does not own it as a table. */
void frame_put_and_type(mfn_t mfn, struct domain *d);
/* True: it was pinned; mmu_lock held. */
bool frame_unpin(mfn_t mfn, struct domain *d);
/* Nobody's TLB has it any more from the time it was mapped by others than its owner. */
void frame_flush_foreign(struct frame *f);
/* All frames of a dying domain, in steps; false: call again. */
bool domain_relinquish_frames(struct domain *d);
void unshare_frame(mfn_t mfn);     /* instead of page_free, for what was shared */
bool mmu_settle(struct domain *d); /* finish what puts left to do; mmu_lock not held */

u32 table_level(const struct frame *f); /* 1..4 of a validated table, else 0 */
void frame_release(struct frame *f);    /* domain_frames.c; the last reference went */
/* One entry of a validated table, changed as mmu_update does. `preserve_ad`: keep the accessed and
 * dirty bits of a racing CPU. */
int table_set_entry(mfn_t table, u32 index, u64 e, struct domain *d, struct domain *owner,
                    bool preserve_ad);
/*
 * Of tables of level 1, for grants; d's mmu_lock is held. The frame that is mapped is the owner's,
 * and the caller has a reference: only the type may be in the way. What one entry holds, counts and
 * all, may move to another.
 */
int l1e_map_held(u64 *p, u64 e, const struct domain *d, struct domain *owner);
void l1e_unmap(u64 *p, const struct domain *d);
void l1e_move(u64 *from, u64 *to, const struct domain *d);
