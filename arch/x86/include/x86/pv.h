/* SPDX-License-Identifier: MIT */
/*
 * The PV personality, arch/x86/pv: what its files use of each other and of the floors below for a
 * vcpu's state (arch/x86/mm/mmu_update.c; fpu.c, switch.c and pcpu.c of arch/x86/cpu), and what
 * arch/x86/boot calls. What a lower floor may call stands in tarn/arch.h.
 */
#pragma once

#include <tarn/arch.h>
#include <tarn/domain.h>
#include <tarn/pcpu.h>

/* Selectors; those with RPL 3 are the ABI's flat segments. The pcpu's descriptors stand in GDT
 * page 14. */
#define SEL_HV_CS 0xe008
#define SEL_HV_DS 0xe010
#define SEL_FLAT_CS32 0xe023
#define SEL_FLAT_SS 0xe02b
#define SEL_FLAT_CS64 0xe033
#define SEL_TSS 0xe040
#define SEL_LDT 0xe050

/* entry_vector of a frame that came by SYSCALL and may leave by SYSRET */
#define ENTRY_SYSCALL 256

#define TRAP_DB 1
#define TRAP_NMI 2
#define TRAP_BP 3
#define TRAP_OF 4
#define TRAP_UD 6
#define TRAP_NM 7
#define TRAP_DF 8
#define TRAP_TS 10
#define TRAP_GP 13
#define TRAP_PF 14
#define TRAP_AC 17
#define TRAP_MC 18

/* Error code of a page fault */
#define PF_PRESENT 1u
#define PF_WRITE 2u
#define PF_USER 4u

/* rflags */
#define X86_ALWAYS 0x2UL
#define X86_TF 0x100UL
#define X86_IF 0x200UL
#define X86_DF 0x400UL
#define X86_IOPL 0x3000UL
#define X86_NT 0x4000UL
#define X86_RF 0x10000UL
#define X86_VM 0x20000UL
#define X86_AC 0x40000UL

/* Bits of the debug registers that always read as 1 */
#define DR6_ALWAYS 0xffff0ff0UL
#define DR7_ALWAYS 0x400UL

static inline bool guest_kernel_mode(const struct vcpu *v)
{
    return (v->arch.flags & VCPU_KERNEL_MODE) != 0;
}

/* entry.asm */
extern const char entry_stubs[];       /* 32 of 16 bytes, 224 of 8 */
__noreturn void return_to_guest(void); /* the exit loop, from nothing */

/* bounce.c: make the vcpu go on in its guest kernel at a handler. */
void bounce_to(struct vcpu *v, u64 eip, bool mask_events, bool has_error, u32 error_code);
void bounce_event(struct vcpu *v); /* to the event callback */
void bounce_failsafe(struct vcpu *v);
void guest_syscall(struct vcpu *v); /* from guest user mode */
void guest_syscall32(struct vcpu *v);

/* traps.c */
void traps_init(void);                                        /* fill the IDT */
void inject_trap(struct vcpu *v, u32 vector, u32 error_code); /* crash if it has no handler */
void inject_page_fault(struct vcpu *v, u64 addr, u32 error_code);
void trap_from_guest(struct cpu_user_regs *regs);
void trap_from_hypervisor(struct cpu_user_regs *regs);
void guest_iret_failed(struct vcpu *v);

/* priv_op.c: an instruction that ring 3 may not run; true when it was emulated. */
bool emulate_privileged(struct vcpu *v);
bool emulate_forced_cpuid(struct vcpu *v);
/* A register by its number in the instruction set's order. */
u64 *guest_gpr(struct cpu_user_regs *r, u32 n);
u32 guest_fetch(u64 rip, u8 *code); /* up to MAX_INSN bytes of code; how many could be read */

/* ptwr.c: a write fault on a page table that the guest mapped read-only; true when emulated. */
bool emulate_pt_write(struct vcpu *v, u64 addr, u32 error);
/* While tracing, after one: with the entry as it is now. */
__cold void trace_pt_write(u64 rip, u64 addr);

/* hypercall.c; called by entry.asm while tracing, with a hypercall's registers in v. */
void trace_hypercall(const struct vcpu *v);

/* exit.c */
struct vcpu *exit_work(void);

/* segment.c */
int vcpu_set_gdt(struct vcpu *v, const u64 *frames, u32 entries);
int vcpu_descriptors_init(struct vcpu *v);
void vcpu_descriptors_drop(struct vcpu *v);               /* its frames; mmu_lock held */
void vcpu_descriptors_destroy(struct vcpu *v);            /* its window, with nothing in it */
long vcpu_set_ldt(struct vcpu *v, u64 base, u32 entries); /* mmu_lock held */

/* mmu_update.c */
struct mmuext_op;
/* `d` is current's domain, or another one whose frames the control domain manages. */
int mmuext_one(struct domain *d, const struct mmuext_op *op);
int guest_l1e(u64 va, u64 *e); /* the L1 entry that maps va for the current vcpu */

/* fpu.c */
void fpu_load_ts(const struct vcpu *v); /* hardware TS as the guest has it */
void fpu_save(struct vcpu *v);
void fpu_load(struct vcpu *v);
void fpu_init_state(void *area);
u32 fpu_mxcsr_mask(void);

/* switch.c: of the running vcpu, in the hardware. */
void seg_write_fs_base(u64 base);
void seg_write_gs_base(u64 base);
u64 seg_read_fs_base(void);
u64 seg_read_gs_base(void);
long seg_load_user_gs(struct vcpu *v, u16 sel);
void vcpu_load_debugreg(u64 reg, u64 value);
void toggle_guest_mode(struct vcpu *v);  /* kernel <-> user: page tables and GS base */
void arch_vcpu_load_cr3(struct vcpu *v); /* after its cr3 changed */
void unload_guest_state(struct pcpu *p); /* this pcpu's, of the guest it ran before it went idle */

/* pcpu.c */
struct pcpu *pcpu_create(u32 cpu, u32 apic_id);
void pcpu_set_rsp0(struct pcpu *p, u64 rsp0);
void pcpu_load_gdt(u64 window_va);
u64 pcpu_own_window(const struct pcpu *p); /* for pcpu_load_gdt, when there is no vcpu */
void desc_load(struct pcpu *p);            /* GDT, TSS, IDT, syscall MSRs */

/* build.c */
struct build_image {
    const void *kernel, *initrd;
    u64 kernel_size, initrd_size;
    const char *cmdline;
};
/* Fill a created domain with memory, image, page tables and start of day. NULL or the reason. */
const char *domain_build(struct domain *d, const struct build_image *img, u64 memory);
