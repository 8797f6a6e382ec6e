/* SPDX-License-Identifier: MIT */
/*
 * Constants that assembly needs from C. Compiled to assembly text only; the Makefile turns each
 * line "->NAME value" of it into "%define NAME value" in $(O)/gen/offsets.inc.
 */
#include <tarn/domain.h>
#include <tarn/errno.h>
#include <tarn/hypercall.h>
#include <tarn/pcpu.h>
#include <x86/frames.h>
#include <x86/pv.h>

#define DEFINE(name, value) __asm__ volatile("\n.ascii \"->" #name " %c0\"" : : "i"(value))
#define OFFSET(name, type, member) DEFINE(name, offsetof(struct type, member))
#define REG(name) DEFINE(REGS_##name, offsetof(struct vcpu, arch.regs.name))

/* What entry.asm relies on. */
_Static_assert(offsetof(struct cpu_user_regs, entry_vector) ==
                   offsetof(struct cpu_user_regs, error_code) + 4,
               "one word on the stack");
_Static_assert(offsetof(struct vcpu, arch.regs.es) % 16 == 0,
               "the CPU aligns the stack it pushes on");
_Static_assert(offsetof(struct vcpu, arch.host_rsp) == 0 && offsetof(struct vcpu, arch.regs) == 8,
               "entry.asm");

void offsets(void);
void offsets(void)
{
    OFFSET(PCPU_scratch, pcpu, scratch);
    OFFSET(PCPU_current, pcpu, curr);
    OFFSET(PCPU_softirq_pending, pcpu, softirq_pending);
    DEFINE(PCPU_SIZE, ALIGN_UP(sizeof(struct pcpu), 64UL));
    DEFINE(PCPU_AREA_SIZE, PCPU_AREA_SIZE);
    OFFSET(VCPU_host_rsp, vcpu, arch.host_rsp);
    OFFSET(VCPU_flags, vcpu, arch.flags);
    OFFSET(VCPU_info, vcpu, info);
    DEFINE(VCPU_regs, offsetof(struct vcpu, arch.regs));
    REG(r15);
    REG(r14);
    REG(r13);
    REG(r12);
    REG(rbp);
    REG(rbx);
    REG(r11);
    REG(r10);
    REG(r9);
    REG(r8);
    REG(rax);
    REG(rcx);
    REG(rdx);
    REG(rsi);
    REG(rdi);
    REG(entry_vector);
    REG(rip);
    REG(cs);
    REG(rflags);
    REG(rsp);
    REG(ss);
    REG(es);
    DEFINE(KERNEL_MODE, VCPU_KERNEL_MODE);
    DEFINE(ENTRY_SYSCALL, ENTRY_SYSCALL);
    DEFINE(SEL_FLAT_CS32, SEL_FLAT_CS32);
    DEFINE(SEL_FLAT_CS64, SEL_FLAT_CS64);
    DEFINE(SEL_FLAT_SS, SEL_FLAT_SS);
    DEFINE(NR_HYPERCALLS, NR_HYPERCALLS);
    DEFINE(ENOSYS, ENOSYS);
    DEFINE(VCPUINFO_pending, offsetof(struct vcpu_info, evtchn_upcall_pending));
    DEFINE(VCPUINFO_mask, offsetof(struct vcpu_info, evtchn_upcall_mask));
}
