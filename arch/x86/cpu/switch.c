/* SPDX-License-Identifier: MIT */
/*
 * What the hardware holds of a vcpu beyond its registers: CR3, descriptor tables, segments, FPU.
 * All is saved when it leaves a pcpu, so it may go on anywhere; it stays in the hardware too, so
 * coming back from idle costs nothing. Called with the pool's lock held.
 */
#include <tarn/pcpu.h>
#include <x86/asm.h>
#include <x86/cpufeature.h>
#include <x86/extable.h>
#include <x86/layout.h>
#include <x86/msr.h>
#include <x86/paging.h>
#include <x86/pv.h>

void seg_write_fs_base(u64 base)
{
    if (cpu_features.fsgsbase) {
        wrfsbase(base);
    } else {
        wrmsr(MSR_FS_BASE, base);
    }
}

void seg_write_gs_base(u64 base)
{
    if (cpu_features.fsgsbase) {
        wrgsbase(base);
    } else {
        wrmsr(MSR_GS_BASE, base);
    }
}

u64 seg_read_fs_base(void)
{
    return cpu_features.fsgsbase ? rdfsbase() : rdmsr(MSR_FS_BASE);
}

u64 seg_read_gs_base(void)
{
    return cpu_features.fsgsbase ? rdgsbase() : rdmsr(MSR_GS_BASE);
}

#define SELECTOR(name)                                                         \
    static u16 read_##name(void)                                               \
    {                                                                          \
        u16 sel;                                                               \
                                                                               \
        __asm__ volatile("mov %%" #name ", %0" : "=r"(sel));                   \
        return sel;                                                            \
    }                                                                          \
    /* A selector that the guest's tables don't have (any more) loads as 0. */ \
    static bool load_##name(u16 sel)                                           \
    {                                                                          \
        u16 s = sel;                                                           \
                                                                               \
        __asm__ volatile("1: mov %0, %%" #name "\n"                            \
                         "jmp 3f\n"                                            \
                         "2: xor %k0, %k0\n"                                   \
                         "mov %0, %%" #name "\n"                               \
                         "mov $0xffff, %w0\n"                                  \
                         "3:\n" EX_TABLE(1b, 2b)                               \
                         : "+r"(s));                                           \
        return s == sel;                                                       \
    }
SELECTOR(ds)
SELECTOR(es)
SELECTOR(fs)
SELECTOR(gs)

static void save_segments(struct vcpu *v)
{
    struct arch_vcpu *a = &v->arch;
    u64 gs_base = seg_read_gs_base();

    a->ds = read_ds();
    a->es = read_es();
    a->fs = read_fs();
    a->gs = read_gs();
    a->fs_base = seg_read_fs_base();
    if (guest_kernel_mode(v)) {
        a->gs_base_kernel = gs_base;
    } else {
        a->gs_base_user = gs_base;
    }
}

static void load_segments(const struct vcpu *v)
{
    const struct arch_vcpu *a = &v->arch;

    if (a->ds | read_ds()) {
        load_ds(a->ds);
    }
    if (a->es | read_es()) {
        load_es(a->es);
    }
    if (a->fs | read_fs()) {
        load_fs(a->fs);
    }
    if (a->gs | read_gs()) {
        load_gs(a->gs);
    }
    seg_write_fs_base(a->fs_base);
    seg_write_gs_base(guest_kernel_mode(v) ? a->gs_base_kernel : a->gs_base_user);
}

/* SEGBASE_GS_USER_SEL: load the selector, its base becomes the user's; the kernel's stays. */
long seg_load_user_gs(struct vcpu *v, u16 sel)
{
    u64 kernel_base = seg_read_gs_base();
    bool ok = load_gs((sel & ~3u) ? sel | 3 : sel);

    v->arch.gs_base_user = ok ? seg_read_gs_base() : 0;
    seg_write_gs_base(kernel_base);
    return 0;
}

void toggle_guest_mode(struct vcpu *v)
{
    struct arch_vcpu *a = &v->arch;
    u64 gs_base = seg_read_gs_base();

    if (guest_kernel_mode(v)) {
        a->gs_base_kernel = gs_base;
        a->cr3 = mfn_to_paddr(a->user_l4);
        seg_write_gs_base(a->gs_base_user);
    } else {
        a->gs_base_user = gs_base;
        a->cr3 = mfn_to_paddr(a->guest_l4);
        seg_write_gs_base(a->gs_base_kernel);
    }
    a->flags ^= VCPU_KERNEL_MODE;
    if (a->cr3 != this_pcpu()->loaded_cr3) {
        arch_vcpu_load_cr3(v);
    }
}

/* Which pcpus may remember entries of a domain: each keeps its own bit. */
void arch_vcpu_load_cr3(struct vcpu *v)
{
    struct pcpu *p = this_pcpu();

    set_bit(p->id, v->domain->arch.dirty_cpus.bits);
    p->loaded_cr3 = v->arch.cr3;
    write_cr3(v->arch.cr3);
}

static void load_address_space(struct pcpu *p, struct vcpu *next)
{
    struct vcpu *old = p->loaded;

    /* Elsewhere in the meantime, its flushes didn't come here. */
    if (next->arch.cr3 == p->loaded_cr3 && next->arch.loaded_on == p->id) {
        return;
    }
    arch_vcpu_load_cr3(next);
    if (old && old->domain != next->domain) {
        clear_bit(p->id, old->domain->arch.dirty_cpus.bits);
    }
}

static void load_descriptors(struct pcpu *p, struct vcpu *v)
{
    struct arch_vcpu *a = &v->arch;

    if (a->gdt_cpu != p->id) {
        a->gdt_ptes[GDT_GUEST_PAGES] = p->gdt_pa | PTE_HV_RW;
        a->gdt_cpu = p->id;
    }
    invlpg(a->gdt_va + GDT_GUEST_PAGES * PAGE_SIZE);
    pcpu_load_gdt(a->gdt_va);
    vcpu_load_ldt(v);
}

void vcpu_load_debugreg(u64 reg, u64 value)
{
    switch (reg) {
    case 0:
        __asm__ volatile("mov %0, %%dr0" : : "r"(value));
        break;
    case 1:
        __asm__ volatile("mov %0, %%dr1" : : "r"(value));
        break;
    case 2:
        __asm__ volatile("mov %0, %%dr2" : : "r"(value));
        break;
    case 3:
        __asm__ volatile("mov %0, %%dr3" : : "r"(value));
        break;
    case 6:
        __asm__ volatile("mov %0, %%dr6" : : "r"(value));
        break;
    default:
        this_pcpu()->dr7 = value;
        __asm__ volatile("mov %0, %%dr7" : : "r"(value));
    }
}

static void load_debug_registers(const struct vcpu *v)
{
    static const u8 regs[] = { 0, 1, 2, 3, 7 };

    for (u32 i = 0; i < ARRAY_SIZE(regs); i++) {
        vcpu_load_debugreg(regs[i], v->arch.debugreg[regs[i]]);
    }
}

static void load_state(struct pcpu *p, struct vcpu *next)
{
    struct arch_vcpu *a = &next->arch;
    bool debug = ((p->dr7 | a->debugreg[7]) & 0xff) != 0;

    load_address_space(p, next);
    load_descriptors(p, next);
    load_segments(next);
    fpu_load(next);
    if (debug) {
        load_debug_registers(next);
    }
    a->host_rsp = PCPU_STACK_TOP(p);
    pcpu_set_rsp0(p, (u64)&a->regs.es);
    p->loaded = next;
    a->loaded_on = p->id;
}

void context_switch(struct vcpu *prev, struct vcpu *next)
{
    struct pcpu *p = this_pcpu();

    if (prev != p->idle) {
        save_segments(prev);
        fpu_save(prev);
    }
    if (next != p->idle) {
        if (p->loaded != next || next->arch.loaded_on != p->id) {
            load_state(p, next);
        } else {
            load_address_space(p, next);
            fpu_load_ts(next);
        }
    }
}

/*
 * A pcpu keeps the state of the guest it ran before it went idle. When that guest is destroyed it
 * must not: its tables and descriptors are about to become somebody else's memory.
 */
void unload_guest_state(struct pcpu *p)
{
    struct vcpu *v = p->loaded;

    if (p->curr != p->idle || !v) {
        return;
    }
    lldt(0);
    load_ds(0);
    load_es(0);
    load_fs(0);
    load_gs(0);
    pcpu_load_gdt(pcpu_own_window(p));
    p->loaded_cr3 = virt_to_phys(hv_l4);
    write_cr3(p->loaded_cr3);
    clear_bit(p->id, v->domain->arch.dirty_cpus.bits);
    v->arch.loaded_on = NO_CPU;
    atomic_store(&p->loaded, (struct vcpu *)NULL);
}
