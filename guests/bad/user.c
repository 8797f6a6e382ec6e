/* SPDX-License-Identifier: MIT */
/*
 * user.c - guest user mode: entered by the iret hypercall on the same page
 * tables, it must be able to compute, to call its kernel by SYSCALL and int 0x80,
 * to fault, and never to make a hypercall.
 */
#include "bad.h"

extern char user_code[], user_ud2[], user_hlt[];

/* The steps of user mode that its kernel must see, in this order. */
enum { STEP_SYSCALL, STEP_INT80, STEP_UD2, STEP_HLT, STEP_HYPERCALL, STEP_EXIT, STEPS };

#define EXIT 0x1234

static char user_stack[PAGE_SIZE] __attribute__((aligned(16)));
static volatile unsigned int steps, wrong;
static struct {
    unsigned long rsp, rip, rbp, rbx;
} kernel;

/* rbx keeps a value that must live through everything. */
asm(".globl user_code\n"
    "user_code: mov $0x5555, %ebx\n"
    "mov $1, %eax\n syscall\n"
    "int $0x80\n"
    "user_ud2: ud2\n"
    "user_hlt: hlt\n"
    "1: pause\n cmpl $0, ticks\n je 1b\n"
    "mov $17, %eax\n xor %edi, %edi\n syscall\n"
    "mov $0x1234, %eax\n syscall\n"
    "ud2\n");

volatile unsigned int ticks;

static void expect(bool right, const char *what)
{
    if (!right) {
        printf("bad: user step %u: %s\n", steps, what);
        wrong++;
    }
}

static void check_frame(const struct frame *frame)
{
    expect((frame->cs & 0xffff) == FLAT_USER_CS64, "cs is not the user's");
    expect(frame->rbx == 0x5555, "a register was lost");
    expect(frame->rsp == ARG(user_stack) + sizeof(user_stack), "rsp is not the user's");
}

/* Back to where fault_user() left. */
static void leave(struct frame *frame)
{
    frame->cs = FLAT_KERNEL_CS & ~3UL;
    frame->ss = FLAT_KERNEL_SS;
    frame->rip = kernel.rip;
    frame->rsp = kernel.rsp;
    frame->rbp = kernel.rbp;
    frame->rbx = kernel.rbx;
    steps++;
}

/* An upcall out of user mode, which waits for it. */
static void on_timer(evtchn_port_t port)
{
    (void)port;
    ticks++;
}

static bool on_syscall(struct frame *frame)
{
    check_frame(frame);
    if (frame->rax == EXIT) {
        expect(steps == STEP_EXIT, "exit out of order");
        leave(frame);
        return true;
    }
    expect(steps == (frame->rax == 1 ? STEP_SYSCALL : STEP_HYPERCALL), "syscall out of order");
    frame->rax = 0;
    steps++;
    return true;
}

static bool on_int80(struct frame *frame)
{
    check_frame(frame);
    expect(steps == STEP_INT80, "int 0x80 out of order");
    steps++;
    return true;
}

static bool on_fault(struct frame *frame)
{
    check_frame(frame);
    expect(steps == (frame->vector == 6 ? STEP_UD2 : STEP_HLT), "fault out of order");
    expect(frame->rip == ARG(frame->vector == 6 ? user_ud2 : user_hlt), "wrong rip");
    frame->rip += frame->vector == 6 ? 2 : 1;
    steps++;
    return true;
}

static void __attribute__((noinline)) enter(void)
{
    asm volatile("mov %%rsp, %0; mov %%rbp, %1; mov %%rbx, %2\n"
                 "lea 1f(%%rip), %%rax; mov %%rax, %3\n"
                 "push %4; push %5; push $0x200; push $0xe033; push %6; push $0\n"
                 "jmp *%7\n1:"
                 : "=m"(kernel.rsp), "=m"(kernel.rbp), "=m"(kernel.rbx), "=m"(kernel.rip)
                 : "i"(FLAT_USER_SS), "r"(ARG(user_stack) + sizeof(user_stack)), "r"(user_code),
                   "r"(hypercall_page + __HYPERVISOR_iret * 32)
                 : "rax", "rcx", "rdi", "r11", "memory");
}

const char *fault_user(void)
{
    struct mmuext_op op = { .cmd = MMUEXT_NEW_USER_BASEPTR };
    /* Half way down: the upper half is in use by the code that enters user mode. */
    unsigned long kernel_stack = ARG(guest_stacks) + STACK_SIZE / 2;
    long timer = event_bind_virq(VIRQ_TIMER, 0);
    long rc;

    op.arg1.mfn = virt_to_mfn((void *)start_info->pt_base);
    rc = mmuext_op(&op, 1, NULL, DOMID_SELF);
    if (rc) {
        printf("bad: new_user_baseptr: %ld\n", rc);
        return "no page tables for user mode";
    }
    trap_handle(6, on_fault);
    trap_handle(13, on_fault);
    trap_handle(VEC_INT80, on_int80);
    trap_handle(VEC_SYSCALL, on_syscall);
    if (hypercall2(__HYPERVISOR_stack_switch, FLAT_KERNEL_SS, kernel_stack)) {
        return "stack_switch";
    }
    event_handle((evtchn_port_t)timer, 0, on_timer);
    timer_set(clock_now() + 10 * MS);
    enter();
    upcalls_enable();
    printf("bad: %u of %d steps of user mode, %u wrong, %u upcalls\n", steps, STEPS, wrong, ticks);
    return steps == STEPS && !wrong && ticks ? NULL : "user mode does not work";
}
