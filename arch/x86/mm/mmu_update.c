/* SPDX-License-Identifier: MIT */
/*
 * The hypercalls by which a guest changes its page tables: mmu_update, update_va_mapping,
 * mmuext_op. What may be written is decided by frame_type.c. Locks: the domain's mmu_lock for each
 * request.
 */
#include <tarn/domain.h>
#include <tarn/errno.h>
#include <tarn/guest_access.h>
#include <tarn/hypercall.h>
#include <tarn/pcpu.h>
#include <x86/asm.h>
#include <x86/frames.h>
#include <x86/paging.h>
#include <x86/pv.h>

#define MMU_UPDATE_PREEMPTED (1UL << 31) /* in a count: our own continuation */
#define BATCH 16 /* requests between two looks at what else this pcpu owes */

/* Walk the current vcpu's tables, in the direct map. NULL where there is no table at `level`. */
static u64 *walk(const struct vcpu *v, u64 va, u32 level, mfn_t *table)
{
    mfn_t mfn = paddr_to_mfn(v->arch.cr3);
    u64 *t = mfn_to_virt(mfn);

    for (u32 l = 4; l > level; l--) {
        u64 e = READ_ONCE(t[pt_index(va, l)]);

        if (!(e & PTE_P) || (e & PTE_PS)) {
            return NULL;
        }
        mfn = paddr_to_mfn(e & PTE_ADDR);
        t = mfn_to_virt(mfn);
    }
    *table = mfn;
    return &t[pt_index(va, level)];
}

int guest_l1e(u64 va, u64 *e)
{
    mfn_t table;
    u64 *p = guest_range_ok(va, 1) ? walk(current, va, 1, &table) : NULL;

    if (!p) {
        return -EINVAL;
    }
    *e = READ_ONCE(*p);
    return 0;
}

/* Whose frames an update may map: our own domain's, or of another one that a privileged caller
 * names. */
static int foreign_get(struct domain *d, u64 foreign, struct domain **owner)
{
    domid_t id = (domid_t)foreign;

    *owner = NULL;
    if (id == DOMID_SELF || id == d->domid) {
        *owner = d;
        domain_get(d);
        return 0;
    }
    if (!d->privileged) {
        return -EPERM;
    }
    if (id == DOMID_IO) { /* device memory: l1e_get knows */
        *owner = d;
        domain_get(d);
        return 0;
    }
    *owner = domain_get_by_id(id);
    return *owner ? 0 : -ESRCH;
}

static int update_pt(struct domain *d, struct domain *owner, u64 ptr, u64 val, bool preserve_ad)
{
    mfn_t table = paddr_to_mfn(ptr);
    int rc = frame_get(table, d);

    if (rc) {
        return rc;
    }
    if (table_level(mfn_to_frame(table))) {
        rc = table_set_entry(table, (u32)(ptr & (PAGE_SIZE - 1)) / 8, val, d, owner, preserve_ad);
    } else {
        /* Not a table now: an ordinary store, when it may be written. */
        rc = frame_get_type(table, FT_WRITABLE, d);
        if (rc == 0) {
            *(volatile u64 *)phys_to_virt(ptr) = val;
            frame_put_type(table);
        }
    }
    frame_put(table);
    return rc;
}

static int update_m2p(struct domain *d, u64 ptr, u64 pfn)
{
    mfn_t mfn = paddr_to_mfn(ptr);
    int rc = frame_get(mfn, d);

    if (rc == 0) {
        m2p[mfn.n] = pfn;
        frame_put(mfn);
    }
    return rc;
}

static int one_update(struct domain *d, struct domain *owner, const struct mmu_update *u)
{
    switch (u->ptr & 7) {
    case MMU_NORMAL_PT_UPDATE:
    case MMU_PT_UPDATE_NO_TRANSLATE:
        return update_pt(d, owner, u->ptr & ~7UL, u->val, false);
    case MMU_MACHPHYS_UPDATE:
        return update_m2p(owner, u->ptr, u->val);
    case MMU_PT_UPDATE_PRESERVE_AD:
        return update_pt(d, owner, u->ptr & ~7UL, u->val, true);
    default:
        return -ENOSYS;
    }
}

/* A count that can't be written is the guest's own loss: what was done is done. */
static void report_done(u64 done_ptr, u32 done)
{
    if (done_ptr) {
        (void)!copy_to_guest(done_ptr, &done, sizeof(done));
    }
}

/* The upper half of `foreign`, if not 0, names whose tables are meant: domid + 1. */
static int tables_of(const struct domain *d, u64 foreign)
{
    domid_t id = (domid_t)((foreign >> 16) - 1);
    struct domain *t;

    if ((u32)foreign >> 16 == 0 || id == DOMID_SELF || id == d->domid) {
        return 0;
    }
    t = d->privileged ? domain_get_by_id(id) : NULL;
    if (!t) {
        return d->privileged ? -ESRCH : -EPERM;
    }
    domain_put(t);
    return -EPERM; /* not offered: a domain changes its own tables */
}

/* A list ends with an error, or with its last request and all that followed from it. */
static bool finished(struct domain *d, long rc, u64 left)
{
    return rc || (left == 0 && mmu_settle(d));
}

/*
 * Go on later: tables wait to be taken apart, as they do when nothing else is left of a list that
 * isn't finished, or we have had our time. At least one request is done in a call.
 */
static bool must_give_way(struct domain *d, u32 done, u64 left)
{
    return left == 0 || !mmu_settle(d) || (done && hypercall_should_yield());
}

/* Our own continuation says so in the count; how much was done before stands at done_ptr. */
static int resume(u64 *count, u64 done_ptr, u32 *before)
{
    bool again = *count & MMU_UPDATE_PREEMPTED;

    *count = (u32)*count & ~MMU_UPDATE_PREEMPTED;
    *before = 0;
    return again && done_ptr ? copy_from_guest(before, done_ptr, sizeof(*before)) : 0;
}

long do_mmu_update(u64 requests, u64 count, u64 done_ptr, u64 foreign)
{
    struct domain *d = current->domain, *owner = NULL;
    u32 done = 0, before;
    long rc;

    if (resume(&count, done_ptr, &before)) {
        return -EFAULT;
    }
    rc = tables_of(d, foreign);
    rc = rc ? rc : foreign_get(d, foreign, &owner);
    while (!finished(d, rc, count - done)) {
        struct mmu_update u;

        if (must_give_way(d, done % BATCH == 0 ? done : 0, count - done)) {
            rc = hypercall_continue(__HYPERVISOR_mmu_update, requests + done * sizeof(u),
                                    (count - done) | MMU_UPDATE_PREEMPTED, done_ptr, foreign);
            break;
        }
        if (copy_from_guest(&u, requests + done * sizeof(u), sizeof(u))) {
            rc = -EFAULT;
            break;
        }
        mmu_lock(d);
        rc = one_update(d, owner, &u);
        mmu_unlock(d);
        done += rc == 0;
    }
    if (owner) {
        domain_put(owner);
    }
    report_done(done_ptr, before + done);
    return rc;
}

/*
 * vcpus named by a guest's bitmap. They are on their way from one pcpu to another while we look,
 * and may come back to one where they left entries: so it is all or none.
 */
static int flush_vcpus(struct domain *d, u64 bitmap_va)
{
    u64 bits[MAX_VCPUS / 64] = { 0 };

    if (copy_from_guest(bits, bitmap_va, DIV_ROUND_UP(d->max_vcpus, 8u))) {
        return -EFAULT;
    }
    _Static_assert(ARRAY_SIZE(bits) == 2, "all of the bitmap is looked at");
    if (bits[0] | bits[1]) {
        tlb_flush_mask(&d->arch.dirty_cpus);
    }
    return 0;
}

static int flush_after(struct domain *d, u64 va, u64 flags)
{
    u64 scope = flags & ~(u64)UVMF_FLUSHTYPE_MASK;

    if ((flags & UVMF_FLUSHTYPE_MASK) == UVMF_NONE ||
        (flags & UVMF_FLUSHTYPE_MASK) == UVMF_FLUSHTYPE_MASK) {
        return 0;
    }
    if (scope == UVMF_ALL) {
        tlb_flush_mask(&d->arch.dirty_cpus);
        return 0;
    }
    if (scope != UVMF_LOCAL) {
        return flush_vcpus(d, scope);
    }
    if ((flags & UVMF_FLUSHTYPE_MASK) == UVMF_INVLPG) {
        invlpg(va);
    } else {
        tlb_flush_local();
    }
    return 0;
}

static long update_va(u64 va, u64 pte, u64 flags, struct domain *owner)
{
    struct vcpu *v = current;
    struct domain *d = v->domain;
    mfn_t table;
    long rc = -EINVAL;

    mmu_lock(d);
    if (guest_range_ok(va, 1) && walk(v, va, 1, &table)) {
        rc = table_set_entry(table, pt_index(va, 1), pte, d, owner, false);
    }
    mmu_unlock(d);
    return rc ? rc : flush_after(d, va, flags);
}

long do_update_va_mapping(u64 va, u64 pte, u64 flags)
{
    return update_va(va, pte, flags, current->domain);
}

long do_update_va_mapping_otherdomain(u64 va, u64 pte, u64 flags, u64 domid)
{
    struct domain *owner;
    long rc = foreign_get(current->domain, domid, &owner);

    if (rc == 0) {
        rc = update_va(va, pte, flags, owner);
        domain_put(owner);
    }
    return rc;
}

static int pin(struct domain *d, mfn_t mfn, u32 type)
{
    int rc = frame_get_and_type(mfn, type, d);

    if (rc) {
        return -EINVAL;
    }
    if (atomic_fetch_or(&mfn_to_frame(mfn)->type, FT_PINNED) & FT_PINNED) {
        frame_put_and_type(mfn, d);
        return -EINVAL;
    }
    return 0;
}

static int unpin(struct domain *d, mfn_t mfn)
{
    int rc = frame_get(mfn, d);

    if (rc) {
        return -EINVAL;
    }
    if (atomic_fetch_and(&mfn_to_frame(mfn)->type, ~FT_PINNED) & FT_PINNED) {
        frame_put_and_type(mfn, d);
    } else {
        rc = -EINVAL;
    }
    frame_put(mfn);
    return rc;
}

/* The new base is counted before the old one is let go. */
static int new_base(struct vcpu *v, mfn_t mfn, bool user)
{
    mfn_t *base = user ? &v->arch.user_l4 : &v->arch.guest_l4, old = *base;
    int rc = user && mfn.n == 0 ? 0 : frame_get_and_type(mfn, FT_L4, v->domain);

    if (rc) {
        return -EINVAL;
    }
    *base = mfn;
    if (!user) {
        v->arch.cr3 = mfn_to_paddr(mfn);
        arch_vcpu_load_cr3(v);
    }
    if (old.n) {
        frame_put_and_type(old, v->domain);
    }
    return 0;
}

static int clear_frame(struct domain *d, mfn_t mfn)
{
    if (frame_get_and_type(mfn, FT_WRITABLE, d)) {
        return -EINVAL;
    }
    memset(mfn_to_virt(mfn), 0, PAGE_SIZE);
    frame_put_and_type(mfn, d);
    return 0;
}

static int copy_frame(struct domain *d, mfn_t to, mfn_t from)
{
    int rc = frame_get(from, d);

    if (rc == 0) {
        rc = frame_get_and_type(to, FT_WRITABLE, d);
        if (rc == 0) {
            memcpy(mfn_to_virt(to), mfn_to_virt(from), PAGE_SIZE);
            frame_put_and_type(to, d);
        }
        frame_put(from);
    }
    return rc ? -EINVAL : 0;
}

static int one_mmuext(struct vcpu *v, const struct mmuext_op *op)
{
    struct domain *d = v->domain;

    switch (op->cmd) {
    case MMUEXT_PIN_L1_TABLE:
        return pin(d, MFN(op->arg1.mfn), FT_L1);
    case MMUEXT_PIN_L2_TABLE:
        return pin(d, MFN(op->arg1.mfn), FT_L2);
    case MMUEXT_PIN_L3_TABLE:
        return pin(d, MFN(op->arg1.mfn), FT_L3);
    case MMUEXT_PIN_L4_TABLE:
        return pin(d, MFN(op->arg1.mfn), FT_L4);
    case MMUEXT_UNPIN_TABLE:
        return unpin(d, MFN(op->arg1.mfn));
    case MMUEXT_NEW_BASEPTR:
        return new_base(v, MFN(op->arg1.mfn), false);
    case MMUEXT_NEW_USER_BASEPTR:
        return new_base(v, MFN(op->arg1.mfn), true);
    case MMUEXT_TLB_FLUSH_LOCAL:
        tlb_flush_local();
        return 0;
    case MMUEXT_INVLPG_LOCAL:
        if (guest_range_ok(op->arg1.linear_addr, 1)) {
            invlpg(op->arg1.linear_addr);
        }
        return 0;
    case MMUEXT_TLB_FLUSH_MULTI:
    case MMUEXT_INVLPG_MULTI:
        return flush_vcpus(d, (u64)op->arg2.vcpumask.p) ? -EINVAL : 0;
    case MMUEXT_TLB_FLUSH_ALL:
    case MMUEXT_INVLPG_ALL:
        tlb_flush_mask(&d->arch.dirty_cpus);
        return 0;
    case MMUEXT_CLEAR_PAGE:
        return clear_frame(d, MFN(op->arg1.mfn));
    case MMUEXT_COPY_PAGE:
        return copy_frame(d, MFN(op->arg1.mfn), MFN(op->arg2.src_mfn));
    case MMUEXT_FLUSH_CACHE:
    case MMUEXT_FLUSH_CACHE_GLOBAL:
        return 0; /* nobody has devices that would not snoop */
    case MMUEXT_MARK_SUPER:
    case MMUEXT_UNMARK_SUPER:
        return -EOPNOTSUPP;
    case MMUEXT_SET_LDT:
        return (int)vcpu_set_ldt(v, op->arg1.linear_addr, op->arg2.nr_ents);
    default:
        return -ENOSYS;
    }
}

int mmuext_one(struct vcpu *v, const struct mmuext_op *op)
{
    int rc;

    mmu_lock(v->domain);
    rc = one_mmuext(v, op);
    mmu_unlock(v->domain);
    return rc;
}

long do_mmuext_op(u64 ops, u64 count, u64 done_ptr, u64 foreign)
{
    struct vcpu *v = current;
    u32 done = 0, before;
    long rc = 0;

    if (resume(&count, done_ptr, &before)) {
        return -EFAULT;
    }
    if ((domid_t)foreign != DOMID_SELF && (domid_t)foreign != v->domain->domid) {
        return v->domain->privileged ? -ESRCH : -EPERM;
    }
    while (!finished(v->domain, rc, count - done)) {
        struct mmuext_op op;

        if (must_give_way(v->domain, done, count - done)) {
            rc = hypercall_continue(__HYPERVISOR_mmuext_op, ops + done * sizeof(op),
                                    (count - done) | MMU_UPDATE_PREEMPTED, done_ptr, foreign);
            break;
        }
        if (copy_from_guest(&op, ops + done * sizeof(op), sizeof(op))) {
            rc = -EFAULT;
            break;
        }
        rc = mmuext_one(v, &op);
        done += rc == 0;
    }
    report_done(done_ptr, before + done);
    return rc;
}
