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

#define MMU_UPDATE_PREEMPTED (1UL << 31) /* in a count: our own continuation, */
#define MMU_UPDATE_HALFWAY (1UL << 30)   /* of a request that has validated a part of its tables */
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
static __cold int foreign_find(struct domain *d, domid_t id, struct domain **owner)
{
    if (id == DOMID_IO && d->privileged) { /* device memory: l1e_get knows */
        return 0;
    }
    if (!d->privileged) {
        return -EPERM;
    }
    *owner = id == DOMID_XEN ? dom_xen_get() : domain_get_by_id(id);
    return *owner ? 0 : -ESRCH;
}

static int foreign_get(struct domain *d, u64 foreign, struct domain **owner)
{
    domid_t id = (domid_t)foreign;

    *owner = d;
    return likely(id == DOMID_SELF || id == d->domid) ? 0 : foreign_find(d, id, owner);
}

/* What foreign_get and tables_of gave, other than our own domain. */
static void put_other(struct domain *d)
{
    if (unlikely(d && d != current->domain)) {
        domain_put(d);
    }
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
static int tables_of(struct domain *d, u64 foreign, struct domain **tables)
{
    domid_t id = (domid_t)((foreign >> 16) - 1);

    *tables = d;
    if (likely((u32)foreign >> 16 == 0 || id == DOMID_SELF || id == d->domid)) {
        return 0;
    }
    if (!d->privileged) {
        return -EPERM;
    }
    *tables = domain_get_by_id(id);
    return *tables ? 0 : -ESRCH;
}

/* A list of requests on its way. What a continued call needs to know stands in its count. */
struct batch {
    struct domain *d; /* whose tables */
    u64 list, count, done_ptr, foreign;
    size_t size; /* of a request */
    u32 before, done;
    bool halfway; /* what the next request has validated so far waits among the tables to be taken
                     apart: not now */
};

static int batch_begin(struct batch *b)
{
    bool again = b->count & MMU_UPDATE_PREEMPTED;

    b->halfway = again && (b->count & MMU_UPDATE_HALFWAY);
    b->count = (u32)b->count & ~(MMU_UPDATE_PREEMPTED | (again ? MMU_UPDATE_HALFWAY : 0));
    return again && b->done_ptr && copy_from_guest(&b->before, b->done_ptr, sizeof(b->before))
               ? -EFAULT
               : 0;
}

/* It ends with an error, or with its last request and all that followed from it. */
static bool finished(const struct batch *b, long rc)
{
    return rc || (b->done == b->count && mmu_settle(b->d));
}

/*
 * Go on later: tables wait to be taken apart, as they do when nothing else is left of a list that
 * isn't finished, or we have had our time. At least one request is done in a call.
 */
static bool must_give_way(const struct batch *b, u32 look)
{
    if (b->halfway) {
        return false;
    }
    return b->done == b->count || !mmu_settle(b->d) || (look && hypercall_should_yield());
}

static long go_on_later(const struct batch *b, u32 nr, bool halfway)
{
    return hypercall_continue(nr, b->list + b->done * b->size,
                              (b->count - b->done) | MMU_UPDATE_PREEMPTED |
                                  (halfway ? MMU_UPDATE_HALFWAY : 0),
                              b->done_ptr, b->foreign);
}

/* The next request, copied in. False: *rc says what to return. */
static bool next_request(struct batch *b, u32 nr, void *request, u32 look, long *rc)
{
    if (must_give_way(b, look)) {
        *rc = go_on_later(b, nr, false);
        return false;
    }
    b->halfway = false;
    if (copy_from_guest(request, b->list + b->done * b->size, b->size)) {
        *rc = -EFAULT;
        return false;
    }
    return true;
}

/* A request is done, or not (yet). False: *rc is what to return. */
static bool request_done(struct batch *b, u32 nr, long *rc)
{
    if (*rc == -ERESTART) { /* more tables than one call may validate; those done stay so */
        *rc = go_on_later(b, nr, true);
        return false;
    }
    b->done += *rc == 0;
    return true;
}

long do_mmu_update(u64 requests, u64 count, u64 done_ptr, u64 foreign)
{
    struct domain *d = current->domain, *owner = NULL;
    struct batch b = { .list = requests,
                       .count = count,
                       .done_ptr = done_ptr,
                       .foreign = foreign,
                       .size = sizeof(struct mmu_update) };
    struct mmu_update u;
    long rc;

    if (batch_begin(&b)) {
        return -EFAULT;
    }
    rc = tables_of(d, foreign, &b.d);
    rc = rc ? rc : foreign_get(d, foreign, &owner);
    while (!finished(&b, rc)) {
        if (!next_request(&b, __HYPERVISOR_mmu_update, &u, b.done % BATCH == 0 ? b.done : 0, &rc)) {
            break;
        }
        mmu_lock(b.d);
        rc = one_update(b.d, owner, &u);
        mmu_unlock(b.d);
        if (!request_done(&b, __HYPERVISOR_mmu_update, &rc)) {
            break;
        }
    }
    put_other(b.d);
    put_other(owner);
    report_done(done_ptr, b.before + b.done);
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
    }
    put_other(owner);
    return rc;
}

static int pin(struct domain *d, mfn_t mfn, u32 type)
{
    int rc = d->dying == DOMAIN_ALIVE ? frame_get_and_type(mfn, type, d) : -EINVAL;

    if (rc) {
        return rc == -ERESTART ? rc : -EINVAL;
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
    rc = frame_unpin(mfn, d) ? 0 : -EINVAL;
    frame_put(mfn);
    return rc;
}

/* The new base is counted before the old one is let go. */
static int new_base(struct vcpu *v, mfn_t mfn, bool user)
{
    mfn_t *base = user ? &v->arch.user_l4 : &v->arch.guest_l4, old = *base;
    int rc = user && mfn.n == 0 ? 0 : frame_get_and_type(mfn, FT_L4, v->domain);

    if (rc) {
        return rc == -ERESTART ? rc : -EINVAL;
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

/* Operations on a domain's frames, perhaps by the control domain. -ENOSYS: it is no such one. */
static int frames_mmuext(struct domain *d, const struct mmuext_op *op)
{
    mfn_t mfn = MFN(op->arg1.mfn);

    switch (op->cmd) {
    case MMUEXT_PIN_L1_TABLE:
        return pin(d, mfn, FT_L1);
    case MMUEXT_PIN_L2_TABLE:
        return pin(d, mfn, FT_L2);
    case MMUEXT_PIN_L3_TABLE:
        return pin(d, mfn, FT_L3);
    case MMUEXT_PIN_L4_TABLE:
        return pin(d, mfn, FT_L4);
    case MMUEXT_UNPIN_TABLE:
        return unpin(d, mfn);
    case MMUEXT_CLEAR_PAGE:
        return clear_frame(d, mfn);
    case MMUEXT_COPY_PAGE:
        return copy_frame(d, mfn, MFN(op->arg2.src_mfn));
    case MMUEXT_MARK_SUPER:
    case MMUEXT_UNMARK_SUPER:
        return -EOPNOTSUPP;
    default:
        return -ENOSYS;
    }
}

/* Those that are about the CPU, and so about the current domain only. */
static int own_mmuext(struct vcpu *v, const struct mmuext_op *op)
{
    struct domain *d = v->domain;

    switch (op->cmd) {
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
    case MMUEXT_FLUSH_CACHE:
    case MMUEXT_FLUSH_CACHE_GLOBAL:
        return 0; /* nobody has devices that would not snoop */
    case MMUEXT_SET_LDT:
        return (int)vcpu_set_ldt(v, op->arg1.linear_addr, op->arg2.nr_ents);
    default:
        return -ENOSYS;
    }
}

/* Which commands these are, done or not. */
static bool about_cpu(u32 cmd)
{
    return (cmd >= MMUEXT_NEW_BASEPTR && cmd <= MMUEXT_NEW_USER_BASEPTR) ||
           cmd == MMUEXT_FLUSH_CACHE_GLOBAL;
}

int mmuext_one(struct domain *d, const struct mmuext_op *op)
{
    struct vcpu *v = current;
    int rc;

    if (d != v->domain && about_cpu(op->cmd)) {
        return -EPERM;
    }
    mmu_lock(d);
    rc = frames_mmuext(d, op);
    if (rc == -ENOSYS && d == v->domain) {
        rc = own_mmuext(v, op);
    }
    mmu_unlock(d);
    return rc;
}

long do_mmuext_op(u64 ops, u64 count, u64 done_ptr, u64 foreign)
{
    struct batch b = { .list = ops,
                       .count = count,
                       .done_ptr = done_ptr,
                       .foreign = foreign,
                       .size = sizeof(struct mmuext_op) };
    struct mmuext_op op;
    long rc;

    if (batch_begin(&b)) {
        return -EFAULT;
    }
    /* What is Xen's is there to be mapped, no more. */
    rc = (domid_t)foreign == DOMID_XEN ? -EINVAL : foreign_get(current->domain, foreign, &b.d);
    while (!finished(&b, rc)) {
        if (!next_request(&b, __HYPERVISOR_mmuext_op, &op, b.done, &rc)) {
            break;
        }
        rc = mmuext_one(b.d, &op);
        if (!request_done(&b, __HYPERVISOR_mmuext_op, &rc)) {
            break;
        }
    }
    put_other(b.d);
    report_done(done_ptr, b.before + b.done);
    return rc;
}
