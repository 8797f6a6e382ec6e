/* SPDX-License-Identifier: MIT */
/*
 * traps.c - trap tables and callbacks, and the frames that exceptions leave: the
 * faulting instruction's distance, error code, cs, ss and interrupt flag.
 */
#include "conform.h"

static struct frame caught;
static volatile unsigned int catches;
static unsigned long resume;
/* The instruction under test: defined inside each asm below. */
extern char probe_hlt[], probe_ud2[], probe_int3[], probe_div[], probe_read[], probe_write[];
extern char probe_int80[], probe_int81[], probe_nm[], probe_cli[], probe_m2p[];

static bool catch (struct frame *frame)
{
    caught = *frame;
    catches++;
    if (resume) {
        frame->rip = resume;
        resume = 0;
    }
    return true;
}

static void frame_result(const char *name, const char *at)
{
    char text[64];

    fmt_snprintf(text, sizeof(text), "%s.count", name);
    result(text, catches);
    if (!catches) {
        return;
    }
    fmt_snprintf(text, sizeof(text), "%s.rip", name);
    result(text, (long)(caught.rip - ARG(at)));
    fmt_snprintf(text, sizeof(text), "%s.error", name);
    result_hex(text, caught.error);
    fmt_snprintf(text, sizeof(text), "%s.cs", name);
    result_hex(text, caught.cs);
    fmt_snprintf(text, sizeof(text), "%s.ss", name);
    result_hex(text, caught.ss);
    fmt_snprintf(text, sizeof(text), "%s.if", name);
    result(text, !!(caught.rflags & 0x200));
    catches = 0;
}

/* Runs one instruction whose label is probe_NAME, and goes on behind it. */
#define PROBE(name, instruction)                                                             \
    asm volatile("lea 1f(%%rip), %%rax; mov %%rax, %0\n.globl probe_" #name "\nprobe_" #name \
                 ": " instruction "\n1:"                                                     \
                 : "=m"(resume)                                                              \
                 : "D"(address)                                                              \
                 : "rax", "rcx", "rdx", "cc", "memory")

static void check_frames(void)
{
    void *address = BAD_POINTER;

    trap_handle(0, catch);
    trap_handle(3, catch);
    trap_handle(6, catch);
    trap_handle(7, catch);
    trap_handle(13, catch);
    trap_handle(14, catch);
    trap_handle(VEC_INT80, catch);

    PROBE(ud2, "ud2");
    frame_result("trap.ud2", probe_ud2);
    PROBE(int3, "int3");
    frame_result("trap.int3", probe_int3);
    PROBE(div, "xor %%ecx, %%ecx; xor %%edx, %%edx; div %%ecx");
    frame_result("trap.div", probe_div);
    PROBE(hlt, "hlt");
    frame_result("trap.hlt", probe_hlt);
    PROBE(read, "mov (%%rdi), %%rcx");
    result_hex("trap.read.cr2", vcpu_infos[0]->arch.cr2);
    frame_result("trap.read", probe_read);
    PROBE(write, "mov %%rcx, (%%rdi)");
    frame_result("trap.write", probe_write);
    address = machine_to_phys_mapping;
    upcalls_disable();
    PROBE(m2p, "mov %%rcx, (%%rdi)");
    frame_result("trap.write_m2p", probe_m2p);
    upcalls_enable();
    PROBE(int80, "int $0x80");
    frame_result("trap.int80", probe_int80);
    PROBE(int81, "int $0x81");
    result("trap.int81.vector", (long)caught.vector);
    frame_result("trap.int81", probe_int81);
    hypercall2(__HYPERVISOR_fpu_taskswitch, 1, 0);
    PROBE(nm, "fninit");
    frame_result("trap.nm", probe_nm);
    PROBE(cli, "cli");
    frame_result("trap.cli", probe_cli);
    result("trap.cli.mask", vcpu_infos[0]->evtchn_upcall_mask);
}

static void check_table(void)
{
    static struct trap_info bad[] = {
        { 3, 3, FLAT_KERNEL_CS, 0x8000000000000000UL },
        { 0 },
    };
    static struct trap_info one[] = { { 0x81, 3, FLAT_KERNEL_CS, 0 }, { 0 } };

    result("trap_table.bad", set_trap_table(BAD_POINTER));
    result("trap_table.xen", set_trap_table(XEN_POINTER));
    result("trap_table.wrong_address", set_trap_table(bad));
    one[0].address = trap_stub_int80;
    result("trap_table.one_more", set_trap_table(one));
    result("trap_table.null", set_trap_table(NULL));
    result("trap_table.again", set_trap_table(trap_table));
}

static long callback(int cmd, uint16_t type, uint16_t flags, unsigned long address)
{
    struct callback_register op = { .type = type, .flags = flags, .address = address };

    return callback_op(cmd, &op);
}

static void check_callbacks(void)
{
    unsigned long entry = ARG(upcall_entry);

    result("callback.event", callback(CALLBACKOP_register, CALLBACKTYPE_event, 1, entry));
    result("callback.event.no_mask", callback(CALLBACKOP_register, CALLBACKTYPE_event, 0, entry));
    result("callback.event.wrong",
           callback(CALLBACKOP_register, CALLBACKTYPE_event, 0, ARG(WRONG_POINTER)));
    result("callback.failsafe",
           callback(CALLBACKOP_register, CALLBACKTYPE_failsafe, 1, ARG(failsafe_entry)));
    result("callback.syscall",
           callback(CALLBACKOP_register, CALLBACKTYPE_syscall, 1, ARG(syscall_entry)));
    result("callback.syscall32",
           callback(CALLBACKOP_register, CALLBACKTYPE_syscall32, 1, ARG(syscall_entry)));
    result("callback.sysenter",
           callback(CALLBACKOP_register, CALLBACKTYPE_sysenter, 1, ARG(syscall_entry)));
    result("callback.nmi", callback(CALLBACKOP_register, CALLBACKTYPE_nmi, 1, entry));
    result("callback.nmi.unregister", callback(CALLBACKOP_unregister, CALLBACKTYPE_nmi, 0, 0));
    result("callback.unknown_type", callback(CALLBACKOP_register, 99, 0, entry));
    result("callback.event.unregister", callback(CALLBACKOP_unregister, CALLBACKTYPE_event, 0, 0));
    result("callback.unregister.unknown_type", callback(CALLBACKOP_unregister, 99, 0, 0));
    result("callback.bad", callback_op(CALLBACKOP_register, BAD_POINTER));
    result("callback.unregister.bad", callback_op(CALLBACKOP_unregister, BAD_POINTER));
    result("callback.unknown.2", callback_op(2, NULL));
    result("callback.unknown.max", callback_op(0x7fffffff, NULL));
    result("set_callbacks",
           hypercall3(__HYPERVISOR_set_callbacks, entry, ARG(failsafe_entry), ARG(syscall_entry)));
    result("set_callbacks.wrong", hypercall3(__HYPERVISOR_set_callbacks, ARG(WRONG_POINTER),
                                             ARG(failsafe_entry), ARG(syscall_entry)));
}

void check_traps(void)
{
    check_table();
    check_callbacks();
    check_frames();
}
