/* SPDX-License-Identifier: MIT */
/* The hypercall table, multicall, and how a long hypercall gives way. entry.asm calls through the
 * table. */
#include <tarn/domain.h>
#include <tarn/errno.h>
#include <tarn/guest_access.h>
#include <tarn/hypercall.h>
#include <tarn/pcpu.h>
#include <tarn/softirq.h>
#include <tarn/time.h>
#include <tarn/trace.h>
#include <x86/pv.h>
#include <public/tarn.h>

static long do_nothing_here(void)
{
    return -ENOSYS;
}

#define HC(name) (hypercall_any *)do_##name

hypercall_any *const hypercall_table[NR_HYPERCALLS] = {
    [0 ... NR_HYPERCALLS - 1] = (hypercall_any *)do_nothing_here,
    [__HYPERVISOR_set_trap_table] = HC(set_trap_table),
    [__HYPERVISOR_mmu_update] = HC(mmu_update),
    [__HYPERVISOR_set_gdt] = HC(set_gdt),
    [__HYPERVISOR_stack_switch] = HC(stack_switch),
    [__HYPERVISOR_set_callbacks] = HC(set_callbacks),
    [__HYPERVISOR_fpu_taskswitch] = HC(fpu_taskswitch),
    [__HYPERVISOR_sched_op_compat] = HC(sched_op_compat),
    [__HYPERVISOR_set_debugreg] = HC(set_debugreg),
    [__HYPERVISOR_get_debugreg] = HC(get_debugreg),
    [__HYPERVISOR_update_descriptor] = HC(update_descriptor),
    [__HYPERVISOR_memory_op] = HC(memory_op),
    [__HYPERVISOR_multicall] = HC(multicall),
    [__HYPERVISOR_update_va_mapping] = HC(update_va_mapping),
    [__HYPERVISOR_set_timer_op] = HC(set_timer_op),
    [__HYPERVISOR_xen_version] = HC(xen_version),
    [__HYPERVISOR_console_io] = HC(console_io),
    [__HYPERVISOR_vm_assist] = HC(vm_assist),
    [__HYPERVISOR_update_va_mapping_otherdomain] = HC(update_va_mapping_otherdomain),
    [__HYPERVISOR_iret] = HC(iret),
    [__HYPERVISOR_grant_table_op] = HC(grant_table_op),
    [__HYPERVISOR_vcpu_op] = HC(vcpu_op),
    [__HYPERVISOR_set_segment_base] = HC(set_segment_base),
    [__HYPERVISOR_mmuext_op] = HC(mmuext_op),
    [__HYPERVISOR_sched_op] = HC(sched_op),
    [__HYPERVISOR_callback_op] = HC(callback_op),
    [__HYPERVISOR_event_channel_op] = HC(event_channel_op),
    [__HYPERVISOR_physdev_op] = HC(physdev_op),
    [__HYPERVISOR_platform_op] = HC(platform_op),
    [__HYPERVISOR_sysctl] = HC(sysctl),
    [__HYPERVISOR_domctl] = HC(domctl),
    [__HYPERVISOR_tarn_op] = HC(tarn_op),
};

/* Those arguments that say most: counts and commands; a bit for each. */
static const u8 traced_args[NR_HYPERCALLS] = {
    [__HYPERVISOR_mmu_update] = 1u << 1, [__HYPERVISOR_mmuext_op] = 1u << 1,
    [__HYPERVISOR_multicall] = 1u << 1,  [__HYPERVISOR_vcpu_op] = 1u << 0 | 1u << 1,
    [__HYPERVISOR_sched_op] = 1u << 0,
};

static __cold void trace_call(u32 event, u64 nr, const u64 args[2])
{
    u32 words[3] = { (u32)nr }, n = 1;

    for (u32 i = 0; i < 2; i++) {
        if (nr < NR_HYPERCALLS && traced_args[nr] & 1u << i) {
            words[0] |= (u32)TRC_PV_HYPERCALL_V2_ARG_32(i);
            words[n++] = (u32)args[i];
        }
    }
    trace_put(event, words, n);
}

void trace_hypercall(const struct vcpu *v)
{
    const u64 args[2] = { v->arch.regs.rdi, v->arch.regs.rsi };

    trace_call(TRC_PV_HYPERCALL_V2, v->arch.regs.rax, args);
}

long hypercall_continue(u32 nr, u64 a1, u64 a2, u64 a3, u64 a4)
{
    struct cpu_user_regs *r = &current->arch.regs;

    r->rip -= 2; /* SYSCALL again */
    r->rdi = a1;
    r->rsi = a2;
    r->rdx = a3;
    r->r10 = a4;
    return nr; /* becomes rax */
}

/* Those that change the caller's registers, or would nest. */
static bool allowed_in_multicall(u64 op)
{
    return op < NR_HYPERCALLS && op != __HYPERVISOR_multicall && op != __HYPERVISOR_iret;
}

/*
 * A list of calls, each with its own result. A call that wants to be continued moves rip back: that
 * is undone, and the list is continued at it, with the arguments it asked for.
 */
long do_multicall(u64 list, u64 count)
{
    struct cpu_user_regs *r = &current->arch.regs;
    struct multicall_entry e;

    for (; count; count--, list += sizeof(e)) {
        u64 rip = r->rip;

        if (copy_from_guest(&e, list, offsetof(struct multicall_entry, args) + 5 * 8)) {
            return -EFAULT;
        }
        if (tracing()) {
            trace_call(TRC_PV_HYPERCALL_SUBCALL, e.op, e.args);
        }
        e.result = (unsigned long)(allowed_in_multicall(e.op)
                                       ? ((hypercall_fn *)hypercall_table[e.op])(
                                             e.args[0], e.args[1], e.args[2], e.args[3], e.args[4])
                                       : -EINVAL);
        if (unlikely(r->rip != rip)) {
            u64 args[4] = { r->rdi, r->rsi, r->rdx, r->r10 };

            r->rip = rip;
            if (copy_to_guest(list + offsetof(struct multicall_entry, args), args, sizeof(args))) {
                return -EFAULT;
            }
            return hypercall_continue(__HYPERVISOR_multicall, list, count, 0, 0);
        }
        if (copy_to_guest(list + offsetof(struct multicall_entry, result), &e.result,
                          sizeof(e.result))) {
            return -EFAULT;
        }
        if (count > 1 && hypercall_should_yield()) {
            return hypercall_continue(__HYPERVISOR_multicall, list + sizeof(e), count - 1, 0, 0);
        }
    }
    return 0;
}
