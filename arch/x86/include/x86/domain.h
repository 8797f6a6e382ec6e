/* SPDX-License-Identifier: MIT */
/* The x86 part of struct vcpu and struct domain. */
#pragma once

#include <tarn/cpumask.h>
#include <tarn/spinlock.h>
#include <xen/xen.h>

/* A vcpu's window of descriptors: pages of the GDT, then as many of the LDT. */
#define GDT_PAGES 16
#define WINDOW_PAGES (2 * GDT_PAGES)
#define GDT_GUEST_PAGES 14 /* selectors below 0xe000 are the guest's */
#define NR_TRAPS 256

/* A callback the guest registered. */
struct guest_callback {
    u64 eip; /* 0: none */
    bool masks_events;
};

struct arch_vcpu {
    /* entry.asm knows this part by tools/offsets.c. */
    u64 host_rsp; /* stack of the pcpu it runs on; its address is also that of struct pcpu */
    struct cpu_user_regs
        regs;  /* entry pushes right into it: TSS.rsp0 points at regs.es, 16-byte aligned */
    u32 flags; /* VCPU_* */

    /* Address spaces, machine addresses for CR3 */
    u64 cr3;                 /* what runs now: of the mode the guest is in */
    mfn_t guest_l4, user_l4; /* user: n == 0 is none */

    struct trap_info *traps; /* NR_TRAPS, indexed by vector */
    struct guest_callback event_cb, failsafe_cb, syscall_cb, syscall32_cb, sysenter_cb, nmi_cb;
    u64 kernel_sp, kernel_ss;

    /* Segment state; selectors are saved at context switch */
    u16 ds, es, fs, gs;
    u64 fs_base, gs_base_kernel, gs_base_user; /* inactive one, and both while not running */

    u64 ctrlreg0, ctrlreg4; /* what the guest sees */
    u64 debugreg[8];
    u64 iopl;

    u64 gdt_va;    /* window of WINDOW_PAGES: GDT, LDT */
    u64 *gdt_ptes; /* its page-table entries */
    mfn_t gdt_frame[GDT_GUEST_PAGES];
    u32 gdt_ents, ldt_ents;
    u32 gdt_cpu; /* pcpu whose descriptor page the window shows, NO_CPU none */

    void *xsave;   /* one page */
    u32 loaded_on; /* pcpu whose hardware may still hold our state (pcpu.loaded), NO_CPU: must be
                      loaded */
};

#define VCPU_KERNEL_MODE (1u << 0) /* guest kernel, not guest user */

struct arch_domain {
    struct spinlock mmu_lock;  /* between domain and cpupool: all changes of its page tables */
    struct cpumask dirty_cpus; /* pcpus whose TLB may hold entries of this domain; set and cleared
                                  by themselves */
    u32 teardown;              /* frame number of the first table to take apart, BUDDY_NIL: none */
    u32 validation_budget;     /* tables that this hypercall may still validate */
};
