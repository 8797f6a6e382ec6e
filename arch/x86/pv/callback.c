/* SPDX-License-Identifier: MIT */
/* Where a guest's kernel wants to be entered: callbacks and its kernel stack. State of the calling
 * vcpu only. */
#include <tarn/errno.h>
#include <tarn/guest_access.h>
#include <tarn/hypercall.h>
#include <x86/layout.h>
#include <x86/pv.h>
#include <xen/callback.h>

static struct guest_callback *callback_slot(struct vcpu *v, u32 type)
{
    switch (type) {
    case CALLBACKTYPE_event:
        return &v->arch.event_cb;
    case CALLBACKTYPE_failsafe:
        return &v->arch.failsafe_cb;
    case CALLBACKTYPE_syscall:
        return &v->arch.syscall_cb;
    case CALLBACKTYPE_syscall32:
        return &v->arch.syscall32_cb;
    case CALLBACKTYPE_sysenter:
        return &v->arch.sysenter_cb;
    case CALLBACKTYPE_nmi:
        return &v->arch.nmi_cb;
    default:
        return NULL;
    }
}

static long callback_register(u64 arg)
{
    struct callback_register c;
    struct guest_callback *slot;

    if (copy_from_guest(&c, arg, sizeof(c))) {
        return -EFAULT;
    }
    slot = callback_slot(current, c.type);
    if (!slot) {
        return -ENOSYS;
    }
    if (!guest_address_ok(c.address)) {
        return -EINVAL;
    }
    slot->eip = c.address;
    slot->masks_events = (c.flags & CALLBACKF_mask_events) != 0;
    if (c.type == CALLBACKTYPE_nmi) { /* that is the trap table's vector 2 */
        current->arch.traps[TRAP_NMI] = (struct trap_info){ .vector = TRAP_NMI,
                                                            .cs = SEL_FLAT_CS64,
                                                            .address = c.address };
        TI_SET_IF(&current->arch.traps[TRAP_NMI], 1);
    }
    return 0;
}

static long callback_unregister(u64 arg)
{
    struct callback_unregister c;

    if (copy_from_guest(&c, arg, sizeof(c))) {
        return -EFAULT;
    }
    switch (c.type) {
    case CALLBACKTYPE_event:
    case CALLBACKTYPE_failsafe:
    case CALLBACKTYPE_syscall:
    case CALLBACKTYPE_sysenter:
        return -EINVAL; /* a guest can't do without */
    case CALLBACKTYPE_nmi:
        current->arch.nmi_cb.eip = 0;
        current->arch.traps[TRAP_NMI].address = 0;
        return 0;
    default:
        return -ENOSYS;
    }
}

long do_callback_op(u64 cmd, u64 arg)
{
    switch (cmd) {
    case CALLBACKOP_register:
        return callback_register(arg);
    case CALLBACKOP_unregister:
        return callback_unregister(arg);
    default:
        return -ENOSYS;
    }
}

/* An address that can't be jumped to changes nothing, and isn't reported either, as on Xen. */
static void set_callback(struct guest_callback *slot, u64 eip, bool masks_events)
{
    if (guest_address_ok(eip)) {
        *slot = (struct guest_callback){ eip, masks_events };
    }
}

long do_set_callbacks(u64 event, u64 failsafe, u64 syscall)
{
    struct arch_vcpu *a = &current->arch;

    set_callback(&a->event_cb, event, a->event_cb.masks_events);
    set_callback(&a->failsafe_cb, failsafe, false);
    set_callback(&a->syscall_cb, syscall, false);
    return 0;
}

long do_stack_switch(u64 ss, u64 sp)
{
    struct arch_vcpu *a = &current->arch;

    a->kernel_ss = (u16)ss | 3;
    a->kernel_sp = sp;
    return 0;
}
