/* SPDX-License-Identifier: MIT */
/*
 * The page-table side of grants: an L1 entry of current's domain is pointed at another domain's
 * frame, or no longer. That the frame may be mapped was decided before (kernel/grant.c); what is
 * counted for the entry is frame_type.c's. Lock: the mmu_lock of current's domain, which owns the
 * table.
 */
#include <tarn/domain.h>
#include <tarn/errno.h>
#include <tarn/pcpu.h>
#include <x86/asm.h>
#include <x86/frames.h>

/* From the entry that leads to a table, or CR3, to the one in it. */
static inline bool step_down(u64 *e, u64 va, u32 level)
{
    *e = READ_ONCE(((u64 *)phys_to_virt(*e & PTE_ADDR))[pt_index(va, level)]);
    return (*e & (PTE_P | PTE_PS)) == PTE_P;
}

static __attribute__((noinline)) u64 *l1e_by_address(const struct vcpu *v, u64 va)
{
    u64 e = v->arch.cr3;

    if (!guest_range_ok(va, 1) || !step_down(&e, va, 4) || !step_down(&e, va, 3) ||
        !step_down(&e, va, 2)) {
        return NULL;
    }
    return (u64 *)phys_to_virt(e & PTE_ADDR) + pt_index(va, 1);
}

/* By its own address. While the mmu_lock is held, what is a table stays one. */
static __cold u64 *l1e_itself(const struct domain *d, paddr_t pa)
{
    const struct frame *f = mfn_to_frame(paddr_to_mfn(pa));

    return pa % 8 == 0 && mfn_valid(paddr_to_mfn(pa)) && frame_owner(f) == d->domid &&
                   table_level(f) == 1
               ? phys_to_virt(pa)
               : NULL;
}

/* The mmu_lock is held. NULL: there is none. */
static u64 *l1e_find(const struct vcpu *v, u64 host_addr, u32 flags)
{
    return unlikely(flags & GNTMAP_contains_pte) ? l1e_itself(v->domain, host_addr)
                                                 : l1e_by_address(v, host_addr);
}

static u64 grant_l1e(mfn_t mfn, u32 flags)
{
    u64 avail = (u64)(flags >> _GNTMAP_guest_avail0) << 9 & PTE_AVAIL;

    return mfn_to_paddr(mfn) | PTE_P | PTE_A | PTE_D | PTE_NX | avail |
           (flags & GNTMAP_readonly ? 0 : PTE_W) | (flags & GNTMAP_application_map ? PTE_U : 0);
}

int grant_host_map(struct domain *granter, mfn_t mfn, u64 host_addr, u32 flags)
{
    const struct vcpu *v = current;
    struct domain *d = v->domain;
    int rc = -EINVAL;
    u64 *p;

    spin_lock(&d->arch.mmu_lock);
    p = l1e_find(v, host_addr, flags);
    if (likely(p)) {
        rc = l1e_map_held(p, grant_l1e(mfn, flags), d, granter);
    }
    spin_unlock(&d->arch.mmu_lock);
    return rc;
}

static bool maps(const u64 *p, mfn_t mfn, u32 flags)
{
    u64 e = mfn_to_paddr(mfn) | PTE_P | (flags & GNTMAP_readonly ? 0 : PTE_W);

    return p && (READ_ONCE(*p) & (PTE_ADDR | PTE_P | PTE_W)) == e;
}

/* As Xen does it: what stands at new_addr is gone from there even if it finds no place. */
static __cold int replace(const struct vcpu *v, mfn_t mfn, u64 *p, u64 new_addr, u32 flags)
{
    u64 *from = flags & GNTMAP_contains_pte ? NULL : l1e_find(v, new_addr, 0);

    if (!from) {
        return -EINVAL;
    }
    if (p != from && maps(p, mfn, flags)) {
        l1e_move(from, p, v->domain);
        return 0;
    }
    l1e_unmap(from, v->domain);
    return -EINVAL;
}

int grant_host_unmap(mfn_t mfn, u64 host_addr, u64 new_addr, u32 flags)
{
    const struct vcpu *v = current;
    struct domain *d = v->domain;
    int rc = -EINVAL;
    u64 *p;

    spin_lock(&d->arch.mmu_lock);
    p = l1e_find(v, host_addr, flags);
    if (unlikely(new_addr)) {
        rc = replace(v, mfn, p, new_addr, flags);
    } else if (likely(maps(p, mfn, flags))) {
        l1e_unmap(p, d);
        rc = 0;
    }
    spin_unlock(&d->arch.mmu_lock);
    return rc;
}

void grant_copy_bytes(mfn_t to, u32 to_offset, mfn_t from, u32 from_offset, u32 len)
{
    memmove((u8 *)mfn_to_virt(to) + to_offset, (u8 *)mfn_to_virt(from) + from_offset, len);
}
