/* SPDX-License-Identifier: MIT */
/*
 * bad - does what a guest must not, to show that it hurts nobody else. Argument:
 * fault=NAME, one of the table below. Most of them are deadly for the guest: then
 * the line "NAME follows" is its last, and the hypervisor says the rest. The last
 * three must be survived, and end in "bad: ok".
 */
#include "bad.h"

const char guest_name[] = "bad";

static void no_handlers(void)
{
    set_trap_table(NULL);
}

static void fault_hlt(void)
{
    no_handlers();
    asm volatile("hlt");
}

static void fault_cli(void)
{
    no_handlers();
    asm volatile("cli");
}

static void fault_lgdt(void)
{
    static const char pointer[10];

    no_handlers();
    asm volatile("lgdt (%0)" ::"r"(pointer));
}

static void fault_wrmsr(void)
{
    no_handlers();
    asm volatile("wrmsr" ::"a"(0), "d"(0), "c"(0x12345678));
}

static void fault_in(void)
{
    uint8_t byte;

    no_handlers();
    for (unsigned int port = 0; port < 0x10000; port++) {
        asm volatile("inb %w1, %0" : "=a"(byte) : "d"(port));
    }
}

static void fault_ud2(void)
{
    no_handlers();
    asm volatile("ud2");
}

static void fault_jump(void)
{
    no_handlers();
    asm volatile("jmp *%0" ::"r"(0x7fff00000000UL));
}

static void fault_jump_wrong(void)
{
    no_handlers();
    asm volatile("jmp *%0" ::"r"(0x8000000000000000UL));
}

static void fault_jump_xen(void)
{
    no_handlers();
    asm volatile("jmp *%0" ::"r"(0xffff82d040200000UL));
}

/* Takes the lowest page of this vcpu's stack away. */
static void stack_guard(void)
{
    update_va_mapping(guest_stacks, 0, UVMF_INVLPG);
}

static void fault_stack(void)
{
    stack_guard();
    asm volatile("1: push %rax; jmp 1b");
}

static bool fault_again(struct frame *frame)
{
    (void)frame;
    asm volatile("ud2");
    return true;
}

/* A handler that faults, until no frame can be delivered any more. */
static void fault_triple(void)
{
    stack_guard();
    trap_handle(6, fault_again);
    asm volatile("ud2");
}

/* Frames can't be pushed to a stack that isn't one. */
static void fault_rsp(void)
{
    asm volatile("mov %0, %%rsp; ud2" ::"r"(0xffff82d040200000UL));
}

static void fault_callback(void)
{
    struct callback_register op = {
        .type = CALLBACKTYPE_event,
        .flags = CALLBACKF_mask_events,
        .address = 0x7fff00000000,
    };
    long port = event_bind_ipi(0);

    no_handlers();
    callback_op(CALLBACKOP_register, &op);
    event_send((evtchn_port_t)port);
}

static void fault_int80(void)
{
    no_handlers();
    asm volatile("int $0x80");
}

/* The iret hypercall with a frame that leads nowhere. */
static void fault_iret(void)
{
    no_handlers();
    asm volatile("push $-1; push $-1; push $-1; push $-1; push $-1; push $0\n"
                 "jmp *%0" ::"r"(hypercall_page + __HYPERVISOR_iret * 32));
}

/* To user mode without page tables for it. */
static void fault_no_user_tables(void)
{
    asm volatile("push $0xe02b; push $0; push $0x200; push $0xe033; push $0; push $0\n"
                 "jmp *%0" ::"r"(hypercall_page + __HYPERVISOR_iret * 32));
}

static void fault_spin(void)
{
    upcalls_disable();
    for (;;) {
        asm volatile("" ::: "memory");
    }
}

static void fault_flood(void)
{
    for (;;) {
        printf("bad: this line comes again and again\n");
    }
}

static const struct {
    const char *name;
    void (*deadly)(void);
    const char *(*survived)(void);
} faults[] = {
    { "hlt", fault_hlt, NULL },
    { "cli_nohandler", fault_cli, NULL },
    { "lgdt", fault_lgdt, NULL },
    { "wrmsr", fault_wrmsr, NULL },
    { "in", fault_in, NULL },
    { "ud2", fault_ud2, NULL },
    { "jump", fault_jump, NULL },
    { "jump_wrong", fault_jump_wrong, NULL },
    { "jump_xen", fault_jump_xen, NULL },
    { "stack", fault_stack, NULL },
    { "triple", fault_triple, NULL },
    { "rsp", fault_rsp, NULL },
    { "callback", fault_callback, NULL },
    { "int80", fault_int80, NULL },
    { "iret", fault_iret, NULL },
    { "no_user_tables", fault_no_user_tables, NULL },
    { "spin", fault_spin, NULL },
    { "flood", fault_flood, NULL },
    { "pointers", NULL, fault_pointers },
    { "ptwrite", NULL, fault_ptwrite },
    { "user", NULL, fault_user },
};

const char *guest_main(void)
{
    char name[24] = "";

    arg_string("fault", name, sizeof(name));
    for (unsigned int i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
        if (strcmp(name, faults[i].name) != 0) {
            continue;
        }
        printf("bad: %s follows\n", name);
        if (faults[i].survived) {
            return faults[i].survived();
        }
        faults[i].deadly();
        trap_init();
        return "still alive";
    }
    return "no such fault=";
}
