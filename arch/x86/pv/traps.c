/* SPDX-License-Identifier: MIT */
/*
 * Exceptions. From a guest: what is ours to do (emulate, bounce to the guest's own trap table),
 * else the guest is crashed, alone. From ourselves: an instruction of the exception table, or a
 * bug. No locks.
 */
#include <tarn/console.h>
#include <tarn/errno.h>
#include <tarn/guest_access.h>
#include <tarn/hypercall.h>
#include <tarn/page.h>
#include <tarn/trace.h>
#include <x86/asm.h>
#include <x86/cpufeature.h>
#include <x86/layout.h>
#include <x86/panic.h>
#include <x86/pv.h>

struct idt_entry {
    u16 offset_low, selector;
    u8 ist, type;
    u16 offset_mid;
    u32 offset_high, reserved;
};

struct ex_entry {
    s32 insn, fixup;
};
extern const struct ex_entry __ex_table_start[], __ex_table_end[];

#define IDT_SIZE (256 * sizeof(struct idt_entry))
static struct idt_entry *idt; /* one page, of all pcpus; constant after traps_init */
_Static_assert(IDT_SIZE == PAGE_SIZE, "one page");

static const char *const trap_names[32] = {
    "divide error",
    "debug",
    "NMI",
    "breakpoint",
    "overflow",
    "bound range",
    "invalid opcode",
    "device not available",
    "double fault",
    "coprocessor overrun",
    "invalid TSS",
    "segment not present",
    "stack fault",
    "general protection",
    "page fault",
    "reserved",
    "x87 error",
    "alignment check",
    "machine check",
    "SIMD error",
};

static const char *trap_name(u32 vector)
{
    return vector < ARRAY_SIZE(trap_names) && trap_names[vector] ? trap_names[vector] : "reserved";
}

void traps_init(void)
{
    static const u8 ist[32] = { [TRAP_DF] = 1, [TRAP_NMI] = 2, [TRAP_MC] = 3, [TRAP_DB] = 4 };

    idt = page_alloc();
    if (!idt) {
        panic("no memory for the interrupt descriptors");
    }
    for (u32 v = 0; v < 256; v++) {
        u64 entry = (u64)entry_stubs + (v < 32 ? v * 16 : 32 * 16 + (v - 32) * 8);
        /* INT3 and INTO may be used by ring 3; all else by software is a #GP, and emulated from
         * there. */
        u8 dpl = v == TRAP_BP || v == TRAP_OF ? 3 : 0;

        idt[v] = (struct idt_entry){
            .offset_low = (u16)entry,
            .selector = SEL_HV_CS,
            .ist = v < 32 ? ist[v] : 0,
            .type = (u8)(0x8e | dpl << 5),
            .offset_mid = (u16)(entry >> 16),
            .offset_high = (u32)(entry >> 32),
        };
    }
}

void idt_load(void)
{
    struct desc_ptr ptr = { IDT_SIZE - 1, (u64)idt };

    lidt(&ptr);
}

void show_guest_regs(const struct vcpu *v)
{
    const struct cpu_user_regs *r = &v->arch.regs;
    const struct domain *d = v->domain;

    log_error("d%uv%u rip %04x:%016lx rsp %04x:%016lx rflags %08lx cr3 %lx %s", d->domid, v->id,
              r->cs, r->rip, r->ss, r->rsp, r->rflags, v->arch.cr3,
              guest_kernel_mode(v) ? "kernel" : "user");
    log_error("d%uv%u rax %016lx rbx %016lx rcx %016lx rdx %016lx", d->domid, v->id, r->rax, r->rbx,
              r->rcx, r->rdx);
    log_error("d%uv%u rsi %016lx rdi %016lx rbp %016lx r8  %016lx", d->domid, v->id, r->rsi, r->rdi,
              r->rbp, r->r8);
    log_error("d%uv%u r9  %016lx r10 %016lx r11 %016lx r12 %016lx", d->domid, v->id, r->r9, r->r10,
              r->r11, r->r12);
    log_error("d%uv%u r13 %016lx r14 %016lx r15 %016lx", d->domid, v->id, r->r13, r->r14, r->r15);
}

/* The guest's own handler for a vector; address 0: it has none. */
static const struct trap_info *guest_trap(struct vcpu *v, u32 vector)
{
    return &v->arch.traps[vector];
}

static bool has_error_code(u32 vector)
{
    return vector == TRAP_DF || (vector >= TRAP_TS && vector <= TRAP_PF) || vector == TRAP_AC;
}

void inject_trap(struct vcpu *v, u32 vector, u32 error_code)
{
    const struct trap_info *ti = guest_trap(v, vector);

    TRACE_WIDE(TRC_PV_TRAP, 3, v->arch.regs.rip,
               vector | (u32)has_error_code(vector) << 15 | error_code << 16, 0);
    if (!ti->address) {
        domain_crash(v->domain, "%s (vector %u, error %x) without a handler, at rip %lx",
                     trap_name(vector), vector, error_code, v->arch.regs.rip);
        return;
    }
    bounce_to(v, ti->address, TI_GET_IF(ti) != 0, has_error_code(vector), error_code);
}

void inject_page_fault(struct vcpu *v, u64 addr, u32 error_code)
{
    const struct trap_info *ti = guest_trap(v, TRAP_PF);

    if (!ti->address) {
        domain_crash(v->domain,
                     "page fault at address %lx (error %x) without a handler, at rip %lx", addr,
                     error_code, v->arch.regs.rip);
        return;
    }
    v->info->arch.cr2 = addr;
    bounce_to(v, ti->address, TI_GET_IF(ti) != 0, true, error_code);
}

static void guest_page_fault(struct vcpu *v, struct cpu_user_regs *regs)
{
    u64 addr = read_cr2(), rip = regs->rip;
    u32 error = regs->error_code;

    if (emulate_pt_write(v, addr, error)) {
        if (tracing()) {
            trace_pt_write(rip, addr);
        }
        return;
    }
    /* To the guest's kernel, its own accesses are not user ones. What it can't see looks not
     * present. */
    if (guest_kernel_mode(v)) {
        error &= ~PF_USER;
    }
    if (addr >= M2P_VIRT + (1UL << 39) /* its slot */ && addr < HV_END) {
        error &= ~PF_PRESENT;
    }
    TRACE_WIDE(TRC_PV_PAGE_FAULT, 5, rip, addr, error);
    inject_page_fault(v, addr, error);
}

/* INT n comes as #GP, since no gate lets ring 3 in. QEMU's error code is wrong here: look at the
 * code. */
static bool software_interrupt(struct vcpu *v, struct cpu_user_regs *regs)
{
    u8 code[2];
    const struct trap_info *ti;

    if (!(regs->error_code & 2) || copy_from_guest(code, regs->rip, 2) || code[0] != 0xcd) {
        return false;
    }
    ti = guest_trap(v, code[1]);
    if (TI_GET_DPL(ti) < (guest_kernel_mode(v) ? 1 : 3)) {
        return false;
    }
    if (!ti->address) {
        return false;
    }
    regs->rip += 2;
    bounce_to(v, ti->address, TI_GET_IF(ti) != 0, false, 0);
    return true;
}

static void guest_general_protection(struct vcpu *v, struct cpu_user_regs *regs)
{
    if (software_interrupt(v, regs)) {
        return;
    }
    if (regs->error_code == 0 && emulate_privileged(v)) {
        return;
    }
    inject_trap(v, TRAP_GP, regs->error_code);
}

static void guest_device_not_available(struct vcpu *v)
{
    /* TS is set only because the guest asked for it (fpu_taskswitch); the trap clears it. */
    v->arch.ctrlreg0 &= ~CR0_TS;
    fpu_load_ts(v);
    inject_trap(v, TRAP_NM, 0);
}

static u64 take_dr6(void)
{
    u64 dr6;

    __asm__ volatile("mov %%dr6, %0" : "=r"(dr6));
    __asm__ volatile("mov %0, %%dr6" : : "r"(DR6_ALWAYS));
    return dr6;
}

static void guest_debug(struct vcpu *v)
{
    u64 dr6 = take_dr6();

    v->arch.debugreg[6] = (v->arch.debugreg[6] & ~0xe00fUL) | (dr6 & 0xe00fUL);
    inject_trap(v, TRAP_DB, 0);
}

/* in: regs are current's; floor 4's part of the way in. The exit loop follows. */
void trap_from_guest(struct cpu_user_regs *regs)
{
    struct vcpu *v = current;
    u32 vector = regs->entry_vector;

    switch (vector) {
    case TRAP_PF:
        guest_page_fault(v, regs);
        break;
    case TRAP_GP:
        guest_general_protection(v, regs);
        break;
    case TRAP_NM:
        guest_device_not_available(v);
        break;
    case TRAP_DB:
        guest_debug(v);
        break;
    case TRAP_UD:
        if (!emulate_forced_cpuid(v)) {
            inject_trap(v, TRAP_UD, 0);
        }
        break;
    case TRAP_NMI:
        nmi_dispatch(regs);
        break;
    case TRAP_DF:
    case TRAP_MC:
        panic_regs(regs, trap_name(vector));
    default:
        inject_trap(v, vector, regs->error_code);
    }
}

static u64 find_fixup(u64 rip)
{
    for (const struct ex_entry *e = __ex_table_start; e < __ex_table_end; e++) {
        if ((u64)&e->insn + (u64)(s64)e->insn == rip) {
            return (u64)&e->fixup + (u64)(s64)e->fixup;
        }
    }
    return 0;
}

void trap_from_hypervisor(struct cpu_user_regs *regs)
{
    u64 fixup = find_fixup(regs->rip);

    if (regs->entry_vector == TRAP_NMI) {
        nmi_dispatch(regs);
        return;
    }
    /* A guest's breakpoint on its memory that we access for it, or one that its load of ss put off
     * until it was in here. */
    if (regs->entry_vector == TRAP_DB) {
        (void)take_dr6();
        return;
    }
    if (fixup && (regs->entry_vector == TRAP_PF ||
                  (regs->entry_vector >= TRAP_TS && regs->entry_vector <= TRAP_GP))) {
        regs->rip = fixup;
        return;
    }
    panic_regs(regs, trap_name(regs->entry_vector));
}

/* What the guest gave as cs, ss or rip can't be loaded: its failsafe callback is for that. */
void guest_iret_failed(struct vcpu *v)
{
    if (!v->arch.failsafe_cb.eip) {
        domain_crash(
            v->domain,
            "its context can't be loaded (cs %x ss %x rip %lx) and it has no failsafe callback",
            v->arch.regs.cs, v->arch.regs.ss, v->arch.regs.rip);
        return;
    }
    bounce_failsafe(v);
}

/* The guest registers its trap table; entries it doesn't name stay. NULL clears all. */
long do_set_trap_table(u64 table)
{
    struct vcpu *v = current;
    struct trap_info ti;

    if (!table) {
        memset(v->arch.traps, 0, NR_TRAPS * sizeof(*v->arch.traps));
        return 0;
    }
    for (u32 i = 0; i <= NR_TRAPS; i++, table += sizeof(ti)) {
        if (copy_from_guest(&ti, table, sizeof(ti))) {
            return -EFAULT;
        }
        if (!ti.address) {
            return 0;
        }
        if (!guest_address_ok(ti.address)) {
            return -EINVAL;
        }
        v->arch.traps[ti.vector] = ti;
    }
    return 0;
}
