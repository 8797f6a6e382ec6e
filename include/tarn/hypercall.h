/* SPDX-License-Identifier: MIT */
/*
 * Hypercalls. Each is one function with up to five register arguments (rdi rsi rdx r10 r8); its
 * result goes to the guest's rax, 0 or -errno unless said otherwise. A function copies in once,
 * decodes and validates, then commits. kernel/ops/ holds one file a hypercall, arch/x86/pv and mm
 * those that are about the processor.
 */
#pragma once

#include <tarn/arch.h>
#include <tarn/types.h>

#define NR_HYPERCALLS 64

/* The ABI is that of this version of Xen. */
#define XEN_ABI_MAJOR 4u
#define XEN_ABI_MINOR 17u

/* Arguments that a function does not take are not passed on by it: the ABI of the C compiler allows
 * that. */
typedef long hypercall_fn(u64 a1, u64 a2, u64 a3, u64 a4, u64 a5);
typedef void hypercall_any(void);
extern hypercall_any *const hypercall_table[NR_HYPERCALLS]; /* arch/x86/pv/hypercall.c */

struct cpu_user_regs;
struct xen_sysctl;

/* A long hypercall asks between its steps: something else waits for this pcpu; softirq.c. */
bool hypercall_should_yield(void);

long do_set_trap_table(u64 table);
long do_mmu_update(u64 requests, u64 count, u64 done, u64 foreign);
long do_set_gdt(u64 frame_list, u64 entries);
long do_stack_switch(u64 ss, u64 sp);
long do_set_callbacks(u64 event, u64 failsafe, u64 syscall);
long do_fpu_taskswitch(u64 set);
long do_set_debugreg(u64 reg, u64 value);
long do_get_debugreg(u64 reg);
long do_update_descriptor(u64 pa, u64 desc);
long do_memory_op(u64 cmd, u64 arg);
#define MEMORY_CMD_BITS 6 /* of a memory_op command; above: how far a continued call came */
long memory_reservation(u64 cmd, u64 arg); /* a part of it, in kernel/ops/reservation.c */
long memory_exchange(u64 arg);             /* and another, in kernel/ops/exchange.c */
long do_multicall(u64 list, u64 count);
long do_update_va_mapping(u64 va, u64 pte, u64 flags);
long do_update_va_mapping_otherdomain(u64 va, u64 pte, u64 flags, u64 domid);
long do_set_timer_op(u64 deadline);
long do_xen_version(u64 cmd, u64 arg);
long do_console_io(u64 cmd, u64 count, u64 buffer);
long do_vm_assist(u64 cmd, u64 type);
long do_iret(void);
long do_vcpu_op(u64 cmd, u64 vcpu, u64 arg);
long do_set_segment_base(u64 which, u64 base);
long do_mmuext_op(u64 ops, u64 count, u64 done, u64 foreign);
long do_sched_op(u64 cmd, u64 arg);
long do_sched_op_compat(u64 cmd, u64 arg);
long do_callback_op(u64 cmd, u64 arg);
long do_event_channel_op(u64 cmd, u64 arg);
long do_grant_table_op(u64 cmd, u64 list, u64 count);
long do_physdev_op(u64 cmd, u64 arg);
long do_domctl(u64 arg);
long do_sysctl(u64 arg);
long sysctl_info(struct xen_sysctl *op); /* a part of it, in kernel/ops/sysctl_info.c */
long do_platform_op(u64 arg);
long do_tarn_op(u64 cmd, u64 arg);
long tarn_group(u64 cmd, u64 arg);     /* parts of it: kernel/ops/tarn_group.c */
long tarn_bandwidth(u64 cmd, u64 arg); /* and tarn_bandwidth.c */
long tarn_emulator(u64 cmd, u64 arg);
