/* SPDX-License-Identifier: MIT */
/*
 * The isolation argument. Guests write page tables only through us, and each frame is used as one
 * thing at a time:
 *
 * - a frame's reference count says how many ways lead to it; it is given away only at 0;
 * - its type count says how many uses it has as its type; the type changes only at 0;
 * - a frame is a table (L1..L4) only after each of its entries was checked, and then nobody maps it
 *   writable, since that is another type. So a CPU never walks an entry that wasn't checked.
 *
 * A present L1 entry holds a reference to the frame it maps, and a WRITABLE type if it may write;
 * an entry of L2..L4 holds a reference and the type of the level below. Before a frame changes its
 * type, or its owner, the TLBs that may remember the old use are flushed.
 *
 * Locks: domain.arch.mmu_lock serialises the changes of one domain's tables. Counts are atomic by
 * themselves.
 */
#include <tarn/console.h>
#include <tarn/errno.h>
#include <tarn/hypercall.h>
#include <tarn/pcpu.h>
#include <x86/cpufeature.h>
#include <x86/frames.h>
#include <x86/paging.h>

/* Bits that an entry of a guest may have. GLOBAL is allowed in L1 only; cache attributes to dom0.
 */
#define ENTRY_ALLOWED \
    (PTE_P | PTE_W | PTE_U | PTE_A | PTE_D | PTE_AVAIL | PTE_AVAIL_HIGH | PTE_NX | PTE_ADDR)
#define CACHE_BITS (PTE_PWT | PTE_PCD | PTE_PS) /* PS is PAT in an L1 entry */
#define TABLES_PER_CALL 256                     /* bounds how long a hypercall may validate */
/* That a dying domain gives up between two looks at what else is due. */
#define FRAMES_PER_LOOK 32

int frame_get(mfn_t mfn, const struct domain *d)
{
    struct frame *f = mfn_to_frame(mfn);
    u32 old;

    if (!mfn_valid(mfn)) {
        return -EINVAL;
    }
    old = atomic_load(&f->ref);
    do {
        u32 count = old & FRAME_REF_MASK;

        if (count == 0 || count == FRAME_REF_MASK || frame_owner(f) != d->domid) {
            return -EINVAL;
        }
    } while (!atomic_cmpxchg(&f->ref, &old, old + 1));
    if (frame_owner(f) != d->domid) { /* it was freed and taken between */
        frame_put(mfn);
        return -EINVAL;
    }
    return 0;
}

void frame_put(mfn_t mfn)
{
    struct frame *f = mfn_to_frame(mfn);
    u32 old = atomic_fetch_sub(&f->ref, 1u);

    ASSERT((old & FRAME_REF_MASK) != 0);
    if ((old & ~FRAME_FOREIGN) == 1) {
        frame_release(f);
    }
}

void domain_free_frame(struct domain *d, mfn_t mfn)
{
    struct frame *f = mfn_to_frame(mfn);

    ASSERT(frame_owner(f) == d->domid);
    if (atomic_fetch_and(&f->ref, ~FRAME_ALLOCATED) & FRAME_ALLOCATED) {
        frame_put(mfn);
    }
}

u32 table_level(const struct frame *f)
{
    u32 type = atomic_load(&f->type);
    u32 kind = type & FT_MASK;

    return (type & FT_VALIDATED) && kind >= FT_L1 && kind <= FT_L4
               ? (kind - FT_L1) / (FT_L2 - FT_L1) + 1
               : 0;
}

static u32 level_type(u32 level)
{
    return FT_L1 + (level - 1) * (FT_L2 - FT_L1);
}

static bool is_table_type(u32 type)
{
    return (type & FT_MASK) >= FT_L1 && (type & FT_MASK) <= FT_L4;
}

/* Mapping of something that isn't RAM: only the control domain, and not the interrupt controllers.
 */
static int io_get(mfn_t mfn, const struct domain *d)
{
    bool exists = mfn.n < 1UL << (cpu_features.phys_bits - PAGE_SHIFT);
    u64 mib = mfn.n >> 8; /* I/O APICs, and messages to local ones; the HPET between is a device */
    bool apic = mib == 0xfec || mib == 0xfee;
    bool hypertransport = mfn.n >= 0xfd00000 && mfn.n <= 0xfffffff; /* AMD: messages, not memory */

    return d->privileged && exists && !apic && !hypertransport ? 0 : -EPERM;
}

static bool is_io(mfn_t mfn)
{
    return !mfn_valid(mfn) || frame_owner(mfn_to_frame(mfn)) == DOMID_IO;
}

/* Ring 3 runs the guest's kernel, too: all its mappings are user ones, and marked. */
static u64 l1e_adjust(u64 e)
{
    if (!(e & PTE_P)) {
        return e;
    }
    if (!(e & PTE_U)) {
        e |= PTE_U | PTE_GUEST_KERNEL;
    }
    return e & PTE_GUEST_KERNEL ? e : e | PTE_G;
}

/*
 * Mappings of another domain's frame: whose TLBs remember it isn't known by the owner's pcpus. So
 * each that goes is counted, and before such a frame is used as something else all TLBs are
 * flushed, if one went since the last time.
 */
static u64 foreign_unmaps;  /* atomic */
static u64 foreign_flushed; /* as far as this; atomic */

void frame_flush_foreign(struct frame *f)
{
    u64 unmaps = atomic_load(&foreign_unmaps);

    if (likely(!(atomic_load(&f->ref) & FRAME_FOREIGN)) ||
        unmaps == atomic_load(&foreign_flushed)) {
        return;
    }
    tlb_flush_mask(&cpu_online_map);
    atomic_store(&foreign_flushed, unmaps); /* a smaller one than another's only costs a flush */
}

/* What an L1 entry of d refers to (a frame of `owner`): check and count it. *e gets the bits we
 * add. */
static int l1e_get(u64 *e, struct domain *d, struct domain *owner)
{
    mfn_t mfn = paddr_to_mfn(*e & PTE_ADDR);
    int rc;

    if (!(*e & PTE_P)) {
        return 0;
    }
    if (*e & ~(ENTRY_ALLOWED | PTE_G | (d->privileged ? CACHE_BITS : 0))) {
        return -EINVAL;
    }
    rc = is_io(mfn)   ? io_get(mfn, owner)
         : *e & PTE_W ? frame_get_and_type(mfn, FT_WRITABLE, owner)
                      : frame_get(mfn, owner);
    if (rc) {
        return rc;
    }
    if (unlikely(d != owner) && !is_io(mfn)) {
        atomic_fetch_or(&mfn_to_frame(mfn)->ref, FRAME_FOREIGN);
    }
    *e = l1e_adjust(*e);
    return 0;
}

static void l1e_put(u64 e, const struct domain *d)
{
    mfn_t mfn = paddr_to_mfn(e & PTE_ADDR);

    if (!(e & PTE_P) || is_io(mfn)) {
        return;
    }
    if (unlikely(frame_owner(mfn_to_frame(mfn)) != d->domid)) {
        atomic_fetch_add(&foreign_unmaps, 1UL);
    }
    if (e & PTE_W) {
        frame_put_type(mfn);
    }
    frame_put(mfn);
}

/* An entry of a level-n table, n >= 2. */
static int table_entry_get(u64 *e, u32 level, struct domain *d)
{
    int rc;

    if (!(*e & PTE_P)) {
        return 0;
    }
    if (*e & ~ENTRY_ALLOWED) {
        return -EINVAL;
    }
    *e |= PTE_U;
    rc = frame_get_and_type(paddr_to_mfn(*e & PTE_ADDR), level_type(level - 1), d);
    return rc && rc != -ERESTART ? -EINVAL : rc;
}

static int entry_get(u64 *e, u32 level, struct domain *d, struct domain *owner)
{
    return level == 1 ? l1e_get(e, d, owner) : table_entry_get(e, level, d);
}

static void entry_put(u64 e, u32 level, struct domain *d)
{
    if (level == 1) {
        l1e_put(e, d);
    } else if (e & PTE_P) {
        frame_put_and_type(paddr_to_mfn(e & PTE_ADDR), d);
    }
}

static bool hypervisor_slot(u32 level, u32 index)
{
    return level == 4 && index >= HV_FIRST_SLOT && index <= HV_LAST_SLOT;
}

static void put_entries(const u64 *t, u32 level, u32 end, struct domain *d)
{
    for (u32 i = 0; i < end; i++) {
        if (!hypervisor_slot(level, i)) {
            entry_put(t[i], level, d);
        }
    }
}

/* Check and count all entries of a frame that becomes a table. */
static int validate_table(mfn_t mfn, u32 level, struct domain *d)
{
    u64 *t = mfn_to_virt(mfn);

    if (d->arch.validation_budget == 0) {
        return -ERESTART;
    }
    d->arch.validation_budget--;
    for (u32 i = 0; i < 512; i++) {
        u64 e = t[i];
        int rc;

        if (hypervisor_slot(level, i)) {
            t[i] = hv_l4[i];
            continue;
        }
        if (!(e & PTE_P)) {
            continue;
        }
        rc = entry_get(&e, level, d, d);
        if (rc) {
            put_entries(t, level, i, d);
            return rc;
        }
        t[i] = e;
    }
    return 0;
}

/* Somebody's TLB may still have the frame's former use. */
static void flush_former_use(struct frame *f, u32 old_type, const struct domain *d)
{
    frame_flush_foreign(f);
    if ((old_type & FT_MASK) != FT_NONE && frame_owner(f) == d->domid) {
        tlb_flush_mask(&d->arch.dirty_cpus);
    }
}

static bool is_checked_type(u32 type)
{
    return is_table_type(type) || (type & FT_MASK) == FT_DESC;
}

/* A frame that was a table may be written only when nobody walks it any more, also by others that
 * come while it is waited for that. */
static u32 wait_for_flush(const struct frame *f)
{
    u32 type;

    while (((type = atomic_load(&f->type)) & (FT_MASK | FT_VALIDATED)) == FT_WRITABLE &&
           (type & FT_COUNT)) {
        arch_spin_service();
    }
    return type;
}

int frame_get_type(mfn_t mfn, u32 type, struct domain *d)
{
    struct frame *f = mfn_to_frame(mfn);
    u32 old = wait_for_flush(f), next;
    int rc = 0;

    for (;;) {
        if ((old & FT_COUNT) == 0) {
            next = type | 1 | (is_checked_type(type) || is_checked_type(old) ? 0 : FT_VALIDATED);
        } else if ((old & FT_MASK) != type) {
            return -EBUSY;
        } else if (!(old & FT_VALIDATED) || (old & FT_COUNT) == FT_COUNT) {
            return -EINVAL; /* a table that refers to itself, or an overflow */
        } else {
            next = old + 1;
        }
        if (likely(atomic_cmpxchg(&f->type, &old, next))) {
            break;
        }
        old = wait_for_flush(f);
    }

    if (next & FT_VALIDATED) {
        return 0;
    }
    if ((old & FT_MASK) != type) {
        flush_former_use(f, old, d);
    }
    if (is_table_type(type)) {
        rc = validate_table(mfn, table_level(&(struct frame){ .type = type | FT_VALIDATED }), d);
    } else if (type == FT_DESC) {
        rc = descriptors_validate(mfn_to_virt(mfn));
    }
    if (rc) {
        atomic_store(&f->type,
                     FT_WRITABLE); /* may have been seen by a page walk: flush before another use */
        return rc;
    }
    atomic_fetch_or(&f->type, FT_VALIDATED);
    return 0;
}

/* Not the last use of a table: that one is frame_put_and_type's. */
void frame_put_type(mfn_t mfn)
{
    u32 old = atomic_fetch_sub(&mfn_to_frame(mfn)->type, 1u);

    ASSERT((old & FT_COUNT) != 0);
}

int frame_get_and_type(mfn_t mfn, u32 type, struct domain *d)
{
    int rc = frame_get(mfn, d);

    if (rc == 0) {
        rc = frame_get_type(mfn, type, d);
        if (rc) {
            frame_put(mfn);
        }
    }
    return rc;
}

/*
 * When a table's last use goes, all that its entries refer to goes, too, and below a root that can
 * be very much. So it is only put on the domain's list, still with its type and our reference, and
 * mmu_settle takes one table after the other apart. Somebody may use it again meanwhile: then it
 * stays.
 */
void frame_put_and_type(mfn_t mfn, struct domain *d)
{
    struct frame *f = mfn_to_frame(mfn);

    if ((atomic_load(&f->type) & FT_COUNT) == 1 && table_level(f)) {
        f->next_teardown = d->arch.teardown;
        WRITE_ONCE(d->arch.teardown, (u32)mfn.n);
        return;
    }
    frame_put_type(mfn);
    frame_put(mfn);
}

static void take_apart(struct domain *d)
{
    mfn_t mfn = MFN(d->arch.teardown);
    struct frame *f = mfn_to_frame(mfn);
    u32 level = table_level(f);

    WRITE_ONCE(d->arch.teardown, f->next_teardown);
    if ((atomic_load(&f->type) & FT_COUNT) == 1) {
        atomic_fetch_and(&f->type, ~FT_VALIDATED);
        put_entries(mfn_to_virt(mfn), level, 512, d);
    }
    frame_put_type(mfn);
    frame_put(mfn);
}

bool frame_unpin(mfn_t mfn, struct domain *d)
{
    bool pinned = atomic_fetch_and(&mfn_to_frame(mfn)->type, ~FT_PINNED) & FT_PINNED;

    if (pinned) {
        frame_put_and_type(mfn, d);
    }
    return pinned;
}

/* Take apart what is waiting for it. False: something else needs this pcpu before all is done. */
bool mmu_settle(struct domain *d)
{
    bool settled;

    if (likely(READ_ONCE(d->arch.teardown) == BUDDY_NIL)) {
        return true;
    }
    mmu_lock(d);
    do {
        if (d->arch.teardown != BUDDY_NIL) {
            take_apart(d);
        }
        settled = d->arch.teardown == BUDDY_NIL;
    } while (!settled && !hypercall_should_yield());
    mmu_unlock(d);
    return settled;
}

/* Replace an entry; a CPU may set accessed and dirty bits in the old one at any moment. */
static u64 entry_write(u64 *p, u64 e, bool preserve_ad)
{
    u64 old = READ_ONCE(*p);

    if (!preserve_ad) {
        return atomic_xchg(p, e);
    }
    while (!atomic_cmpxchg(p, &old, e | (old & (PTE_A | PTE_D)))) {
    }
    return old;
}

/* Same frame, same rights as what is counted already: only unchecked bits differ. */
static bool same_mapping(u64 old, u64 e)
{
    u64 free_bits = PTE_A | PTE_D | PTE_AVAIL | PTE_AVAIL_HIGH | PTE_NX;

    return (old & e & PTE_P) && ((old ^ e) & ~free_bits) == 0;
}

int table_set_entry(mfn_t table, u32 index, u64 e, struct domain *d, struct domain *owner,
                    bool preserve_ad)
{
    struct frame *f = mfn_to_frame(table);
    u32 level = table_level(f);
    u64 *p = (u64 *)mfn_to_virt(table) + index;
    int rc;

    if (level == 0 || hypervisor_slot(level, index)) {
        return -EINVAL;
    }
    if (level == 1 && same_mapping(*p, l1e_adjust(e))) {
        entry_write(p, l1e_adjust(e), preserve_ad);
        return 0;
    }
    rc = entry_get(&e, level, d, owner);
    if (rc) {
        return rc;
    }
    entry_put(entry_write(p, e, preserve_ad), level, d);
    return 0;
}

/* Mostly it was mapped writable before. */
static int get_writable(mfn_t mfn, struct domain *owner)
{
    u32 *type = &mfn_to_frame(mfn)->type, old = atomic_load(type);
    bool writable = (old & (FT_MASK | FT_VALIDATED)) == (FT_WRITABLE | FT_VALIDATED);

    return likely(writable && (old & FT_COUNT) != FT_COUNT && atomic_cmpxchg(type, &old, old + 1))
               ? 0
               : frame_get_type(mfn, FT_WRITABLE, owner);
}

int l1e_map_held(u64 *p, u64 e, const struct domain *d, struct domain *owner)
{
    mfn_t mfn = paddr_to_mfn(e & PTE_ADDR);
    u32 *ref = &mfn_to_frame(mfn)->ref, old = atomic_load(ref);
    u32 foreign = d == owner ? 0 : FRAME_FOREIGN;

    if ((old & FRAME_REF_MASK) > FRAME_REF_MASK / 2 || ((e & PTE_W) && get_writable(mfn, owner))) {
        return -EINVAL;
    }
    while (!atomic_cmpxchg(ref, &old, (old + 1) | foreign)) {
    }
    l1e_put(atomic_xchg(p, l1e_adjust(e)), d);
    return 0;
}

void l1e_unmap(u64 *p, const struct domain *d)
{
    l1e_put(atomic_xchg(p, 0UL), d);
}

void l1e_move(u64 *from, u64 *to, const struct domain *d)
{
    l1e_put(atomic_xchg(to, atomic_xchg(from, 0UL)), d);
}

void mmu_lock(struct domain *d)
{
    spin_lock(&d->arch.mmu_lock);
    d->arch.validation_budget = TABLES_PER_CALL;
}

void mmu_unlock(struct domain *d)
{
    spin_unlock(&d->arch.mmu_lock);
}

/*
 * A dying domain that runs nowhere lets go of each frame: unpinned, and no longer allocated to it.
 * The order doesn't matter, since a table that another one refers to stays until that is taken
 * apart. What others still map stays until they let go. False: there is more to do.
 */
bool domain_relinquish_frames(struct domain *d)
{
    u32 done = 0, f;

    while ((f = domain_next_to_give_up(d)) != BUDDY_NIL) {
        if (atomic_load(&frame_table[f].type) & FT_PINNED) {
            mmu_lock(d);
            frame_unpin(MFN(f), d);
            mmu_unlock(d);
        }
        domain_free_frame(d, MFN(f));
        frame_put(MFN(f));
        if (++done % FRAMES_PER_LOOK == 0 && hypercall_should_yield()) {
            return false;
        }
    }
    return mmu_settle(d);
}

/* The domain is gone; a mapping that somebody has may stay. The guest may have given the frame back
 * as if it were its own: then that reference went with it. */
void unshare_frame(mfn_t mfn)
{
    struct frame *f = mfn_to_frame(mfn);

    f->node.tag = DOMID_XEN;
    frame_put_type(mfn);
    if (atomic_fetch_and(&f->ref, ~FRAME_ALLOCATED) & FRAME_ALLOCATED) {
        frame_put(mfn);
    }
    frame_put(mfn);
}
