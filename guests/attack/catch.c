/* SPDX-License-Identifier: MIT */
/*
 * catch.c - runs a function that may fault, and comes back to the caller from whatever trap or
 * failsafe callback it meets first.
 */
#include "attack.h"

static struct {
    unsigned long rsp, rbp, rbx, r12, r13, r14, r15, rip;
} back;
static volatile unsigned int vector;

static bool on_trap(struct frame *frame)
{
    if (!back.rip) {
        return false;
    }
    vector = (unsigned int)frame->vector;
    frame->rip = back.rip;
    frame->rsp = back.rsp;
    frame->cs = FLAT_KERNEL_CS & ~3UL;
    frame->ss = FLAT_KERNEL_SS;
    frame->rflags = 0x202;
    return true;
}

void catch_init(void)
{
    for (unsigned int v = 0; v < 32; v++) {
        trap_handle(v, on_trap);
    }
    trap_handle(VEC_INT80, on_trap);
    trap_handle(VEC_FAILSAFE, on_trap);
}

/* All registers that a function keeps are kept in `back`, since the frame's are lost. */
unsigned int __attribute__((noinline)) caught(void (*function)(void))
{
    vector = NOTHING_CAUGHT;
    asm volatile("mov %%rbp, 8+%0; mov %%rbx, 16+%0; mov %%r12, 24+%0; mov %%r13, 32+%0\n"
                 "mov %%r14, 40+%0; mov %%r15, 48+%0; mov %%rsp, %0\n"
                 "movq $1f, 56+%0\n"
                 "call *%1\n"
                 "1: cld; mov %0, %%rsp; mov 8+%0, %%rbp; mov 16+%0, %%rbx; mov 24+%0, %%r12\n"
                 "mov 32+%0, %%r13; mov 40+%0, %%r14; mov 48+%0, %%r15; movq $0, 56+%0\n"
                 : "+o"(back)
                 : "r"(function)
                 : "rax", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "memory", "cc");
    return vector;
}
