/* SPDX-License-Identifier: MIT */
/*
 * Descriptor tables of guests. Each vcpu has a window of 16 GDT pages and 16 LDT pages in our
 * address space; the guest's frames show in GDT pages 0-13, the descriptors of the pcpu it runs on
 * in page 14. A frame of descriptors has the type FT_DESC, so the guest can only change it by
 * update_descriptor, where each one is checked. Locks: the domain's mmu_lock.
 */
#include <tarn/console.h>
#include <tarn/errno.h>
#include <tarn/guest_access.h>
#include <tarn/hypercall.h>
#include <tarn/page.h>
#include <tarn/pcpu.h>
#include <x86/asm.h>
#include <x86/frames.h>
#include <x86/paging.h>
#include <x86/pv.h>

#define DESC_PRESENT (1UL << 47)
#define DESC_CODE_DATA (1UL << 44)
#define DESC_DPL(d) (((d) >> 45) & 3)
#define DESC_CODE (1UL << 43)
#define DESC_CONFORMING (1UL << 42)
#define DESC_LONG (1UL << 53)
#define DESC_ACCESSED (1UL << 40)

/* What a window shows where the guest has no table; made for the first vcpu. */
static u64 *zero_page;

/*
 * A descriptor that the CPU may load for ring 3: code or data of DPL 3, not conforming. Anything
 * else present (gates, TSS, LDT, rings 0-2) could be a way into us. Rings 1 and 2 are raised to 3,
 * as the ABI does.
 */
static long descriptor_check(u64 *desc)
{
    u64 d = *desc;

    if (!(d & DESC_PRESENT)) {
        return 0;
    }
    if (!(d & DESC_CODE_DATA) || ((d & DESC_CODE) && (d & DESC_CONFORMING))) {
        return -EINVAL;
    }
    d |= 3UL << 45 | DESC_ACCESSED; /* accessed: the CPU need not write to it */
    *desc = d;
    return 0;
}

int descriptors_validate(u64 *page)
{
    for (u32 i = 0; i < 512; i++) {
        if (descriptor_check(&page[i])) {
            return -EINVAL;
        }
    }
    return 0;
}

/*
 * Windows lie side by side in their part of our address space; the table (L1) of 16 of them is
 * there as long as one is in use.
 */
#define WINDOW_SIZE (WINDOW_PAGES * PAGE_SIZE)
#define WINDOWS_PER_TABLE (512 / WINDOW_PAGES)
#define WINDOW_TABLES 512 /* what one L2 holds: 8192 vcpus */
static struct spinlock windows_lock = SPINLOCK_INIT(RANK_LEAF);
static u16 *windows_used; /* of each table; bits; made for the first vcpu; windows_lock */
_Static_assert(WINDOWS_PER_TABLE == 16, "bits of windows_used");
_Static_assert(WINDOW_TABLES * sizeof(u16) <= PAGE_SIZE, "a page of them");

static u64 window_va(u32 table, u32 window)
{
    return DESC_VIRT + ((u64)table * WINDOWS_PER_TABLE + window) * WINDOW_SIZE;
}

/* The first free one; 0: there is none, or no memory. */
static u64 window_alloc(void)
{
    u64 va = 0;

    spin_lock(&windows_lock);
    for (u32 t = 0; t < WINDOW_TABLES && !va; t++) {
        u32 bit = (u32)__builtin_ctz(~(u32)windows_used[t]);

        if (bit == WINDOWS_PER_TABLE) {
            continue;
        }
        if (!windows_used[t] && !hv_table_add(window_va(t, 0))) {
            break;
        }
        windows_used[t] |= (u16)(1u << bit);
        va = window_va(t, bit);
    }
    spin_unlock(&windows_lock);
    return va;
}

static void window_free(u64 va)
{
    u64 n = (va - DESC_VIRT) / WINDOW_SIZE;
    u32 t = (u32)(n / WINDOWS_PER_TABLE);
    void *table = NULL;

    spin_lock(&windows_lock);
    windows_used[t] &= (u16) ~(1u << n % WINDOWS_PER_TABLE);
    if (!windows_used[t]) {
        table = hv_table_remove(va);
    }
    spin_unlock(&windows_lock);
    if (table) {
        tlb_flush_mask(&cpu_online_map); /* somebody may still walk it */
        page_free(table);
    }
}

/* The window of a new vcpu: every page shows zeros, so that a stray selector is a #GP. */
int vcpu_descriptors_init(struct vcpu *v)
{
    if ((!zero_page && !(zero_page = page_alloc())) ||
        (!windows_used && !(windows_used = page_alloc()))) {
        return -ENOMEM;
    }
    v->arch.gdt_va = window_alloc();
    if (!v->arch.gdt_va) {
        return -ENOMEM;
    }
    v->arch.gdt_ptes = hv_pte(v->arch.gdt_va);
    for (u32 i = 0; i < WINDOW_PAGES; i++) {
        v->arch.gdt_ptes[i] = virt_to_phys(zero_page) | PTE_HV_RO;
    }
    v->arch.gdt_cpu = NO_CPU;
    return 0;
}

void vcpu_descriptors_destroy(struct vcpu *v)
{
    if (v->arch.gdt_va) {
        window_free(v->arch.gdt_va);
    }
}

static void window_set(struct vcpu *v, u32 page, u64 pte)
{
    v->arch.gdt_ptes[page] = pte;
    invlpg(v->arch.gdt_va + page * PAGE_SIZE);
}

static void drop_gdt(struct vcpu *v)
{
    u32 pages = DIV_ROUND_UP(v->arch.gdt_ents, 512u);

    for (u32 i = 0; i < pages; i++) {
        window_set(v, i, virt_to_phys(zero_page) | PTE_HV_RO);
        frame_put_and_type(v->arch.gdt_frame[i], v->domain);
    }
    v->arch.gdt_ents = 0;
}

int vcpu_set_gdt(struct vcpu *v, const u64 *frames, u32 entries)
{
    struct domain *d = v->domain;
    u32 pages = DIV_ROUND_UP(entries, 512u);
    int rc = 0;

    if (entries > GDT_GUEST_PAGES * 512) {
        return -EINVAL;
    }
    mmu_lock(d);
    for (u32 i = 0; i < pages && rc == 0; i++) {
        rc = frame_get_and_type(MFN(frames[i]), FT_DESC, d);
        if (rc) {
            while (i--) {
                frame_put_and_type(MFN(frames[i]), v->domain);
            }
        }
    }
    if (rc == 0) {
        drop_gdt(v);
        for (u32 i = 0; i < pages; i++) {
            v->arch.gdt_frame[i] = MFN(frames[i]);
            window_set(v, i, frames[i] << PAGE_SHIFT | PTE_HV_RW);
        }
        v->arch.gdt_ents = entries;
    }
    mmu_unlock(d);
    return rc ? -EINVAL : 0;
}

static void drop_ldt(struct vcpu *v)
{
    for (u32 i = GDT_PAGES; i < WINDOW_PAGES; i++) {
        u64 e = v->arch.gdt_ptes[i];

        if ((e & PTE_ADDR) != virt_to_phys(zero_page)) {
            window_set(v, i, virt_to_phys(zero_page) | PTE_HV_RO);
            frame_put_and_type(paddr_to_mfn(e & PTE_ADDR), v->domain);
        }
    }
    v->arch.ldt_ents = 0;
}

void vcpu_descriptors_drop(struct vcpu *v)
{
    drop_gdt(v);
    drop_ldt(v);
}

/* The pages of an LDT are found through the guest's own mapping, all at once. */
long vcpu_set_ldt(struct vcpu *v, u64 base, u32 entries)
{
    u32 pages = DIV_ROUND_UP(entries, 512u);

    if (entries > 8192 || base % PAGE_SIZE || (entries && !guest_range_ok(base, entries * 8UL))) {
        return -EINVAL;
    }
    drop_ldt(v);
    for (u32 i = 0; i < pages; i++) {
        u64 e;

        if (guest_l1e(base + i * PAGE_SIZE, &e) || !(e & PTE_P) ||
            frame_get_and_type(paddr_to_mfn(e & PTE_ADDR), FT_DESC, v->domain)) {
            drop_ldt(v);
            return -EINVAL;
        }
        window_set(v, GDT_PAGES + i, (e & PTE_ADDR) | PTE_HV_RW);
    }
    v->arch.ldt_ents = entries;
    vcpu_load_ldt(v);
    return 0;
}

/* The LDT register of this pcpu: the descriptor in its own page is rewritten. */
void vcpu_load_ldt(const struct vcpu *v)
{
    u64 *desc = (u64 *)this_pcpu()->gdt + (SEL_LDT & 0xfff) / 8;
    u64 base = v->arch.gdt_va + GDT_PAGES * PAGE_SIZE, limit = v->arch.ldt_ents * 8UL - 1;

    if (v->arch.ldt_ents == 0) {
        lldt(0);
        return;
    }
    desc[0] = (limit & 0xffff) | (base & 0xffffff) << 16 | 0x82UL << 40 | (limit >> 16) << 48 |
              ((base >> 24) & 0xff) << 56;
    desc[1] = base >> 32;
    lldt(SEL_LDT);
}

long do_set_gdt(u64 frame_list, u64 entries)
{
    u64 frames[GDT_GUEST_PAGES];

    if (entries > GDT_GUEST_PAGES * 512) {
        return -EINVAL;
    }
    if (copy_from_guest(frames, frame_list, DIV_ROUND_UP(entries, 512) * 8)) {
        return -EFAULT;
    }
    return vcpu_set_gdt(current, frames, (u32)entries);
}

long do_update_descriptor(u64 pa, u64 desc)
{
    struct domain *d = current->domain;
    mfn_t mfn = paddr_to_mfn(pa);
    u32 type;
    long rc = -EINVAL;

    if (pa % 8 || descriptor_check(&desc)) {
        return -EINVAL;
    }
    mmu_lock(d);
    if (frame_get(mfn, d) == 0) {
        type = mfn_to_frame(mfn)->type;
        type = (type & FT_COUNT) && (type & FT_MASK) == FT_DESC ? FT_DESC : FT_WRITABLE;
        if (frame_get_type(mfn, type, d) == 0) {
            *(volatile u64 *)phys_to_virt(pa) = desc;
            frame_put_type(mfn);
            rc = 0;
        }
        frame_put(mfn);
    }
    mmu_unlock(d);
    return rc;
}

long do_set_segment_base(u64 which, u64 base)
{
    struct vcpu *v = current;

    if (which != SEGBASE_GS_USER_SEL && !is_canonical(base)) {
        return -EINVAL;
    }
    switch (which) {
    case SEGBASE_FS:
        seg_write_fs_base(base);
        return 0;
    case SEGBASE_GS_USER:
        v->arch.gs_base_user = base;
        return 0;
    case SEGBASE_GS_KERNEL:
        seg_write_gs_base(base);
        return 0;
    case SEGBASE_GS_USER_SEL:
        return seg_load_user_gs(v, (u16)base);
    default:
        return -EINVAL;
    }
}
