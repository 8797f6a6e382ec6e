/* SPDX-License-Identifier: MIT */
/*
 * trap.c - the guest's trap table and callbacks. Every entry ends in
 * entry_dispatch(); a trap without a handler prints the registers and crashes
 * the domain. Handlers are shared by all vcpus and set before they start.
 */
#include "guest.h"

/* Exceptions, int 0x80 and the sentinel. */
struct trap_info trap_table[34];

static trap_handler handlers[VEC_FAILSAFE + 1];

static struct trap_info trap_entry(unsigned int vector, unsigned int dpl, uint64_t address)
{
    /* Bit 2: upcalls are masked until the frame is left. */
    return (struct trap_info){ (uint8_t)vector, (uint8_t)(dpl | 4), FLAT_KERNEL_CS, address };
}

static void callback_register(uint16_t type, void (*entry)(void))
{
    struct callback_register op = {
        .type = type,
        .flags = CALLBACKF_mask_events,
        .address = ARG(entry),
    };

    callback_op(CALLBACKOP_register, &op);
}

void trap_init(void)
{
    unsigned int n = 0;

    for (unsigned int vector = 0; vector < 32; vector++) {
        /* int3 and into are for anyone, the rest only for the hardware. */
        trap_table[n++] = trap_entry(vector, vector == 3 || vector == 4 ? 3 : 0,
                                     trap_stubs[vector]);
    }
    trap_table[n++] = trap_entry(VEC_INT80, 3, trap_stub_int80);
    trap_table[n] = (struct trap_info){ 0 };
    set_trap_table(trap_table);
    callback_register(CALLBACKTYPE_event, upcall_entry);
    callback_register(CALLBACKTYPE_failsafe, failsafe_entry);
    callback_register(CALLBACKTYPE_syscall, syscall_entry);
}

void trap_handle(unsigned int vector, trap_handler handler)
{
    handlers[vector] = handler;
}

void frame_print(const struct frame *f)
{
    printf("vector %lu error %lx cr2 %lx vcpu %u\n", f->vector, f->error,
           vcpu_infos[vcpu_self()]->arch.cr2, vcpu_self());
    printf("rip %lx:%016lx rflags %lx rsp %lx:%016lx\n", f->cs & 0xffff, f->rip, f->rflags, f->ss,
           f->rsp);
    printf("rax %016lx rbx %016lx rcx %016lx rdx %016lx\n", f->rax, f->rbx, f->rcx, f->rdx);
    printf("rsi %016lx rdi %016lx rbp %016lx r8  %016lx\n", f->rsi, f->rdi, f->rbp, f->r8);
    printf("r9  %016lx r10 %016lx r11 %016lx r12 %016lx\n", f->r9, f->r10, f->r11, f->r12);
    printf("r13 %016lx r14 %016lx r15 %016lx\n", f->r13, f->r14, f->r15);
}

/* Called by start.asm with upcalls masked. */
void entry_dispatch(struct frame *frame);
void entry_dispatch(struct frame *frame)
{
    if (frame->vector == VEC_UPCALL) {
        event_scan();
        return;
    }
    if (frame->vector <= VEC_FAILSAFE && handlers[frame->vector] &&
        handlers[frame->vector](frame)) {
        return;
    }
    console_panic();
    printf("%s: FAILED: unexpected trap\n", guest_name);
    frame_print(frame);
    guest_shutdown(SHUTDOWN_crash);
}
