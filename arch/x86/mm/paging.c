/* SPDX-License-Identifier: MIT */
/*
 * The hypervisor's own page tables: W^X for the image, all RAM at DIRECT_VIRT, the guests' view of
 * the M2P, device windows; and TLB upkeep. Changes to hv_l4's tables after boot: only hv_map, under
 * map_lock (leaf). Every L3 of slots 256-271 that will ever be used exists before the first guest
 * L4 is made.
 */
#include <tarn/boot_info.h>
#include <tarn/domain.h>
#include <tarn/page.h>
#include <tarn/softirq.h>
#include <x86/asm.h>
#include <x86/cpufeature.h>
#include <x86/frames.h>
#include <x86/paging.h>
#include <x86/smp.h>

u64 boot_mapped; /* written by boot.asm */
u64 *hv_l4;
paddr_t trampoline_pa = 0x8000;
u64 trampoline_cr3;

static struct spinlock map_lock = SPINLOCK_INIT(RANK_LEAF); /* the hypervisor's own tables */
static u64 ioremap_next = IOREMAP_VIRT; /* where the next mapping goes; boot CPU only */
static paddr_t direct_low_end;          /* below 4 GiB, the direct map reaches up to here */

/* The table below *entry, made when it isn't there. */
static u64 *table_below(u64 *entry, u64 flags)
{
    if (!(*entry & PTE_P)) {
        u64 *t = page_alloc();

        if (!t) {
            panic("no memory for the hypervisor's page tables");
        }
        *entry = virt_to_phys(t) | flags;
    }
    return phys_to_virt(*entry & PTE_ADDR);
}

static u64 *hv_entry(u64 va, u32 level, u64 table_flags)
{
    u64 *t = hv_l4;

    for (u32 l = 4; l > level; l--) {
        t = table_below(&t[pt_index(va, l)], table_flags);
    }
    return &t[pt_index(va, level)];
}

u64 *hv_pte(u64 va)
{
    return hv_entry(va, 1, PTE_HV_TABLE);
}

/* An L1 for the 2 MiB around va, where the L2 exists; false: no memory. */
bool hv_table_add(u64 va)
{
    u64 *t = page_alloc();

    if (t) {
        *hv_entry(va, 2, PTE_HV_TABLE) = virt_to_phys(t) | PTE_HV_TABLE;
    }
    return t != NULL;
}

/* It is the caller's again, once all TLBs are flushed. */
void *hv_table_remove(u64 va)
{
    u64 *e = hv_entry(va, 2, PTE_HV_TABLE);
    void *t = phys_to_virt(*e & PTE_ADDR);

    *e = 0;
    return t;
}

void hv_map(u64 va, paddr_t pa, u64 size, u64 flags)
{
    spin_lock(&map_lock);
    for (u64 off = 0; off < size; off += PAGE_SIZE) {
        *hv_pte(va + off) = (pa + off) | flags;
    }
    spin_unlock(&map_lock);
}

void *ioremap_uc(paddr_t pa, size_t len)
{
    u64 first = ALIGN_DOWN(pa, PAGE_SIZE), size = ALIGN_UP(pa + len, PAGE_SIZE) - first, va;

    va = ioremap_next;
    ioremap_next += size + PAGE_SIZE;
    hv_map(va, first, size, PTE_HV_UC);
    return (void *)(va + (pa - first));
}

/* 2 MiB pages (1 GiB where the CPU has them), the direct map's. */
static void map_direct(paddr_t start, paddr_t end)
{
    start = ALIGN_DOWN(start, 1UL << 21);
    end = ALIGN_UP(end, 1UL << 21);
    while (start < end) {
        bool giant = cpu_features.page1gb && start % (1UL << 30) == 0 && end - start >= 1UL << 30;
        u64 *e = hv_entry(DIRECT_VIRT + start, giant ? 3 : 2, PTE_HV_TABLE);

        if (!(*e & PTE_P)) {
            *e = start | PTE_HV_RW | PTE_PS;
        }
        start += giant ? 1UL << 30 : 1UL << 21;
    }
}

/* The image's text and constants are not writable through the direct map either. */
static void map_first_2mib(void)
{
    paddr_t ro_start = virt_to_phys(__text_start), ro_end = virt_to_phys(__rodata_end);
    u64 *l2e = hv_entry(DIRECT_VIRT, 2, PTE_HV_TABLE);

    *l2e = 0;
    for (paddr_t pa = 0; pa < 1UL << 21; pa += PAGE_SIZE) {
        *hv_pte(DIRECT_VIRT + pa) = pa | (pa >= ro_start && pa < ro_end ? PTE_HV_RO : PTE_HV_RW);
    }
}

static void map_ram(const struct boot_info *bi)
{
    for (u32 i = 0; i < bi->nr_regions; i++) {
        const struct boot_region *r = &bi->region[i];

        if (r->type == BOOT_RAM && r->end > 1UL << 32) {
            map_direct(MAX(r->start, 1UL << 32), r->end);
        }
        /* Firmware keeps its tables right above low RAM. */
        if (r->start < 1UL << 32 && (r->type == BOOT_RAM || r->start <= direct_low_end)) {
            direct_low_end = MAX(direct_low_end, MIN(r->end, 1UL << 32));
        }
    }
    map_direct(0, direct_low_end);
    direct_low_end = ALIGN_UP(direct_low_end, 1UL << 21);
}

static void map_image_part(const char *start, const char *end, u64 flags)
{
    hv_map((u64)start, (u64)start - IMAGE_OFFSET, ALIGN_UP((u64)end, PAGE_SIZE) - (u64)start,
           flags);
}

/* What guests read: the M2P, at the start of slot 256, user-accessible and read-only. */
static void map_m2p(void)
{
    for (u64 off = 0; off < m2p_entries * 8; off += PAGE_SIZE) {
        u64 *e = hv_entry(M2P_VIRT + off, 1, PTE_HV_TABLE | PTE_U);

        *e = (virt_to_phys(m2p) + off) | PTE_HV_RO | PTE_U;
    }
    hv_l4[HV_FIRST_SLOT] &= ~PTE_W;
}

/* For APs: below 4 GiB, since they load it in 32-bit mode. */
static void trampoline_tables_init(void)
{
    u64 *l4 = page_alloc(), *l3 = page_alloc(), *l2 = page_alloc();

    ASSERT(l4 && l3 && l2);
    memcpy(l4, hv_l4, PAGE_SIZE);
    l4[0] = virt_to_phys(l3) | PTE_HV_TABLE;
    l3[0] = virt_to_phys(l2) | PTE_HV_TABLE;
    l2[0] = PTE_P | PTE_W | PTE_A | PTE_D | PTE_PS;
    trampoline_cr3 = virt_to_phys(l4);
}

void paging_init(const struct boot_info *bi)
{
    hv_l4 = page_alloc();
    ASSERT(hv_l4);
    map_m2p();
    map_ram(bi);
    map_first_2mib();
    map_image_part(__text_start, __text_end, PTE_HV_RX);
    map_image_part(__rodata_start, __rodata_end, PTE_HV_RO);
    map_image_part(__data_start, __bss_end, PTE_HV_RW);
    map_image_part(__boot_start, __boot_end, PTE_HV_RW); /* the boot stack, until we leave it */
    (void)hv_entry(DESC_VIRT, 2, PTE_HV_TABLE);
    (void)hv_entry(IOREMAP_VIRT, 2, PTE_HV_TABLE);
    (void)hv_entry(PCPU_VIRT, 2, PTE_HV_TABLE);
    write_cr3(virt_to_phys(hv_l4));
    trampoline_tables_init();
    frames_add_high_memory(bi);
}

const void *map_firmware(paddr_t pa, size_t len)
{
    if (pa + len < pa || len > 1UL << 20) {
        return NULL;
    }
    if (pa + len <= direct_low_end) {
        return phys_to_virt(pa);
    }
    return pa < 1UL << 40 ? ioremap_uc(pa, len) : NULL;
}

/*
 * While idle a pcpu keeps the tables of the guest it had last, which nothing holds for it: who asks
 * for a flush may be about to use them for something else. So it leaves them.
 */
static void leave_guest_tables(struct pcpu *p)
{
    p->loaded_cr3 = virt_to_phys(hv_l4);
    write_cr3(p->loaded_cr3);
    if (p->loaded) {
        clear_bit(p->id, p->loaded->domain->arch.dirty_cpus.bits);
    }
}

void tlb_flush_local(void)
{
    struct pcpu *p = this_pcpu();

    if (p->curr == p->idle) {
        leave_guest_tables(p);
    } else {
        write_cr3(read_cr3());
    }
}

void tlb_flush_answer(void)
{
    struct pcpu *p = this_pcpu();

    /* Who waits for us sees the bit gone only together with `flushing`, so not before the flush is
     * done. */
    if (READ_ONCE(p->softirq_pending) & (1u << SOFTIRQ_FLUSH_TLB)) {
        atomic_store(&p->flushing, true);
        atomic_fetch_and(&p->softirq_pending, ~(1u << SOFTIRQ_FLUSH_TLB));
        tlb_flush_local();
        atomic_store(&p->flushing, false);
    }
}

void tlb_flush_mask(const struct cpumask *mask)
{
    struct cpumask others = *mask;
    u32 self = this_cpu();

    if (cpumask_test(mask, self)) {
        tlb_flush_local();
        cpumask_clear(&others, self);
    }
    if (!cpumask_empty(&others)) {
        tlb_flush_others(&others);
    }
}
