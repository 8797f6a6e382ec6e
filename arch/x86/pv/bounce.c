/* SPDX-License-Identifier: MIT */
/*
 * Making a vcpu go on in its guest's kernel: the frame is built in C on the guest's kernel stack,
 * in the form the ABI gives (rcx, r11, [error code], rip, cs, rflags, rsp, ss from low to high),
 * and HYPERVISOR_iret takes it off.
 */
#include <tarn/console.h>
#include <tarn/errno.h>
#include <tarn/guest_access.h>
#include <tarn/hypercall.h>
#include <x86/layout.h>
#include <x86/pv.h>

/* What a handler starts with: flat segments, no single step; IF is always really set. */
static void enter_kernel_at(struct vcpu *v, u64 eip, u64 rsp)
{
    struct cpu_user_regs *r = &v->arch.regs;

    r->entry_vector = 0;
    r->rip = eip;
    r->cs = SEL_FLAT_CS64;
    r->ss = SEL_FLAT_SS;
    r->rsp = rsp;
    r->rflags = (r->rflags & ~(X86_TF | X86_NT | X86_RF | X86_VM | X86_IOPL | X86_AC)) | X86_IF;
}

/* n words that go below the [rip..ss] part, lowest first. */
static void bounce(struct vcpu *v, u64 eip, bool mask_events, const u64 *extra, u32 n)
{
    struct cpu_user_regs *r = &v->arch.regs;
    bool from_kernel = guest_kernel_mode(v);
    u8 mask = READ_ONCE(v->info->evtchn_upcall_mask);
    u64 frame[16], rsp, words = 0;

    if (from_kernel) {
        rsp = r->rsp;
    } else {
        rsp = v->arch.kernel_sp;
        toggle_guest_mode(v);
    }
    rsp &= ~15UL;
    for (; words < n; words++) {
        frame[words] = extra[words];
    }
    frame[words++] = r->rip;
    frame[words++] = (u64)(from_kernel ? r->cs & ~3u : r->cs) | (u64)mask << 32;
    frame[words++] = (r->rflags & ~(X86_IF | X86_IOPL)) | (mask ? 0 : X86_IF);
    frame[words++] = r->rsp;
    frame[words++] = r->ss;
    rsp -= words * 8;
    if (copy_to_guest(rsp, frame, words * 8)) {
        domain_crash(v->domain, "its kernel stack at %lx can't take a frame (handler %lx, rip %lx)",
                     rsp, eip, r->rip);
        return;
    }
    if (mask_events) {
        v->info->evtchn_upcall_mask = 1;
    }
    enter_kernel_at(v, eip, rsp);
}

void bounce_to(struct vcpu *v, u64 eip, bool mask_events, bool has_error, u32 error_code)
{
    u64 extra[3] = { v->arch.regs.rcx, v->arch.regs.r11, error_code };

    bounce(v, eip, mask_events, extra, has_error ? 3 : 2);
}

void bounce_event(struct vcpu *v)
{
    if (v->arch.event_cb.eip) {
        bounce_to(v, v->arch.event_cb.eip, true, false, 0);
    } else {
        domain_crash(v->domain, "an event for vcpu %u, which has no event callback", v->id);
    }
}

void bounce_failsafe(struct vcpu *v)
{
    u64 extra[6] = { v->arch.regs.rcx, v->arch.regs.r11, v->arch.ds,
                     v->arch.es,       v->arch.fs,       v->arch.gs };

    bounce(v, v->arch.failsafe_cb.eip, v->arch.failsafe_cb.masks_events, extra, 6);
}

/* SYSCALL from guest user mode: to the guest kernel's entry. rcx and r11 are the CPU's. */
void guest_syscall(struct vcpu *v)
{
    if (!v->arch.syscall_cb.eip) {
        inject_trap(v, TRAP_UD, 0);
        return;
    }
    bounce_to(v, v->arch.syscall_cb.eip, v->arch.syscall_cb.masks_events, false, 0);
}

void guest_syscall32(struct vcpu *v)
{
    if (!v->arch.syscall32_cb.eip || guest_kernel_mode(v)) {
        v->arch.regs.rip -= 2;
        inject_trap(v, TRAP_UD, 0);
        return;
    }
    bounce_to(v, v->arch.syscall32_cb.eip, v->arch.syscall32_cb.masks_events, false, 0);
}

/* IRET of the guest's kernel: the frame is struct iret_context at its rsp. Returns the frame's rax.
 */
long do_iret(void)
{
    struct vcpu *v = current;
    struct cpu_user_regs *r = &v->arch.regs;
    struct iret_context f;

    if (copy_from_guest(&f, r->rsp, sizeof(f))) {
        domain_crash(v->domain, "iret: no frame can be read at rsp %lx", r->rsp);
        return 0;
    }
    if ((f.cs & 3) == 3) {
        if (v->arch.user_l4.n == 0) {
            domain_crash(v->domain, "iret to user mode (rip %lx) without user page tables", f.rip);
            return 0;
        }
        toggle_guest_mode(v);
    }
    r->rip = f.rip;
    r->cs = (u16)(f.cs | 3);
    r->rflags = (f.rflags & ~(X86_IOPL | X86_VM | X86_NT)) | X86_IF | X86_ALWAYS;
    r->rsp = f.rsp;
    r->ss = (u16)(f.ss | 3);
    if (f.flags & VGCF_in_syscall) {
        r->cs = SEL_FLAT_CS64;
        r->ss = SEL_FLAT_SS;
        r->r11 = r->rflags;
        r->rcx = r->rip;
        r->entry_vector = ENTRY_SYSCALL;
    } else {
        r->entry_vector = 0;
        r->r11 = f.r11;
        r->rcx = f.rcx;
    }
    v->info->evtchn_upcall_mask = !(f.rflags & X86_IF);
    return (long)f.rax;
}
