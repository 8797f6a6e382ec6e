/* SPDX-License-Identifier: MIT */
/*
 * What each pcpu has of its own: the stack area with struct pcpu at its top, a page with its
 * descriptors and its TSS. Made by the boot CPU for all, before they start; nothing here is ever
 * freed.
 */
#include <tarn/page.h>
#include <tarn/pcpu.h>
#include <x86/asm.h>
#include <x86/cpufeature.h>
#include <x86/msr.h>
#include <x86/paging.h>
#include <x86/pv.h>

struct pcpu *pcpus[NR_CPUS];

/* Pages of the stack area; see struct pcpu. */
#define AREA_DF 1
#define AREA_NMI 3
#define AREA_MC 5
#define AREA_DB 7
#define AREA_STACK 14

#define IST_DF 1
#define IST_NMI 2
#define IST_MC 3
#define IST_DB 4

struct tss {
    u32 reserved0;
    u64 rsp[3];
    u64 reserved1;
    u64 ist[7]; /* ist[0] is IST 1 */
    u64 reserved2;
    u16 reserved3, iomap;
} __packed;

#define GDT_ENTRIES 16 /* then the TSS, in the same page */
static const u64 gdt_template[GDT_ENTRIES] = {
    [(SEL_HV_CS & 0xfff) / 8] = 0x00af9b000000ffff,
    [(SEL_HV_DS & 0xfff) / 8] = 0x00cf93000000ffff,
    [(SEL_FLAT_CS32 & 0xfff) / 8] = 0x00cffb000000ffff,
    [(SEL_FLAT_SS & 0xfff) / 8] = 0x00cff3000000ffff,
    [(SEL_FLAT_CS64 & 0xfff) / 8] = 0x00affb000000ffff,
};

static void map_stack(u64 area, u32 page)
{
    void *p = page_alloc();

    if (!p) {
        panic("no memory for the stacks of a cpu");
    }
    hv_map(area + page * PAGE_SIZE, virt_to_phys(p), PAGE_SIZE, PTE_HV_RW);
}

static void tss_init(struct pcpu *p, u64 area)
{
    struct tss *tss = p->tss;
    u64 base = (u64)tss, limit = sizeof(*tss) - 1;
    u64 *desc = (u64 *)p->gdt + (SEL_TSS & 0xfff) / 8;

    tss->rsp[0] = PCPU_STACK_TOP(p);
    tss->ist[IST_DF - 1] = area + (AREA_DF + 1) * PAGE_SIZE;
    tss->ist[IST_NMI - 1] = area + (AREA_NMI + 1) * PAGE_SIZE;
    tss->ist[IST_MC - 1] = area + (AREA_MC + 1) * PAGE_SIZE;
    tss->ist[IST_DB - 1] = area + (AREA_DB + 1) * PAGE_SIZE;
    tss->iomap = sizeof(*tss);
    desc[0] = limit | (base & 0xffffff) << 16 | 0x89UL << 40 | ((base >> 24) & 0xff) << 56;
    desc[1] = base >> 32;
}

struct pcpu *pcpu_create(u32 cpu, u32 apic_id)
{
    u64 area = PCPU_VIRT + cpu * PCPU_AREA_SIZE;
    struct pcpu *p = pcpu_of_stack(area);
    static const u8 pages[] = { AREA_DF, AREA_NMI, AREA_MC, AREA_DB, AREA_STACK, AREA_STACK + 1 };

    for (u32 i = 0; i < ARRAY_SIZE(pages); i++) {
        map_stack(area, pages[i]);
    }
    p->id = cpu;
    p->apic_id = apic_id;
    p->timer_programmed = STIME_MAX;
    p->gdt = page_alloc();
    if (!p->gdt) {
        panic("no memory for the descriptors of cpu %u", cpu);
    }
    memcpy(p->gdt, gdt_template, sizeof(gdt_template));
    p->gdt_pa = virt_to_phys(p->gdt);
    p->tss = (u8 *)p->gdt + 2048;
    tss_init(p, area);
    pcpus[cpu] = p;
    return p;
}

void pcpu_set_rsp0(struct pcpu *p, u64 rsp0)
{
    ((struct tss *)p->tss)->rsp[0] = rsp0;
}

/* A GDT of its own pages only: selectors 0xe000 and up, in the window's form. */
void pcpu_load_gdt(u64 window_va)
{
    struct desc_ptr ptr = { GDT_GUEST_PAGES * PAGE_SIZE + GDT_ENTRIES * 8 - 1, window_va };

    lgdt(&ptr);
}

static void reload_segments(void)
{
    __asm__ volatile("push %0\n"
                     "lea 1f(%%rip), %%rax\n"
                     "push %%rax\n"
                     "lretq\n"
                     "1: mov %1, %%ss\n"
                     "mov %2, %%ds\n"
                     "mov %2, %%es\n"
                     "mov %2, %%fs\n"
                     "mov %2, %%gs\n"
                     :
                     : "i"(SEL_HV_CS), "r"(SEL_HV_DS), "r"(0)
                     : "rax", "memory");
}

/* The window of no vcpu: the page stands where page 14 would, what is below is not ours. */
u64 pcpu_own_window(const struct pcpu *p)
{
    return (u64)p->gdt - GDT_GUEST_PAGES * PAGE_SIZE;
}

/* GDT, TSS, IDT and the SYSCALL entry of this pcpu. */
void desc_load(struct pcpu *p)
{
    pcpu_load_gdt(pcpu_own_window(p));
    reload_segments();
    ((u64 *)p->gdt)[(SEL_TSS & 0xfff) / 8] &= ~(2UL << 40); /* not busy */
    ltr(SEL_TSS);
    lldt(0);
    idt_load();
    wrmsr(MSR_STAR, (u64)SEL_FLAT_CS32 << 48 | (u64)SEL_HV_CS << 32);
    wrmsr(MSR_LSTAR, (u64)syscall_entry);
    wrmsr(MSR_CSTAR, (u64)syscall32_entry);
    wrmsr(MSR_SYSENTER_CS, 0); /* SYSENTER is a #GP, whatever the firmware left */
    wrmsr(MSR_FMASK, X86_TF | X86_IF | X86_DF | X86_IOPL | X86_NT | X86_RF | X86_AC);
    wrmsr(MSR_GS_BASE, 0);
    wrmsr(MSR_KERNEL_GS_BASE, (u64)p);
}
