/* SPDX-License-Identifier: MIT */
/*
 * pair.c - what takes two vcpus: waking one that polls, blocks or runs, taking
 * it down and up from outside, its runstate, and FPU registers that must live
 * while the other one uses its own.
 */
#include "conform.h"

static evtchn_port_t to_0, to_1;
static volatile unsigned int seen_0, seen_1, nmis;
static volatile bool quit, spinning;

static void on_0(evtchn_port_t port)
{
    (void)port;
    seen_0++;
}

static void on_1(evtchn_port_t port)
{
    (void)port;
    seen_1++;
}

/* The NMI that was sent to vcpu 1 while it was down. */
static bool on_nmi(struct frame *frame)
{
    (void)frame;
    nmis++;
    return true;
}

/* Sends after vcpu 0 has had time to go to sleep. */
static void sender(void)
{
    clock_sleep(20 * MS);
    event_send(to_0);
}

static void sleeper(void)
{
    wait_until(seen_1 >= 2);
}

static void spinner(void)
{
    spinning = true;
    while (!quit) {
        asm volatile("pcmpeqb %%xmm0, %%xmm0; fninit; fldz; pause" ::: "memory");
    }
    asm volatile("fninit");
    spinning = false;
}

static bool soon(volatile unsigned int *count, unsigned int n)
{
    for (unsigned int i = 0; i < 2000 && *count < n; i++) {
        clock_sleep(MS);
    }
    return *count >= n;
}

/* Of vcpu 1, once it has come to that state, or after two seconds. */
static int state_soon(int wanted)
{
    struct vcpu_runstate_info info = { .state = -1 };

    for (unsigned int i = 0; i < 2000 && info.state != wanted; i++) {
        clock_sleep(MS);
        vcpu_runstate(1, &info);
    }
    return info.state;
}

static void check_wake(void)
{
    uint64_t start = clock_now();
    struct sched_poll poll = { .nr_ports = 1, .timeout = start + 5 * SEC };

    set_xen_guest_handle(poll.ports, &to_0);
    event_mask(to_0);
    result("pair.start", vcpu_start(1, sender));
    result("pair.poll", sched_op(SCHEDOP_poll, &poll));
    result("pair.poll.woken", clock_now() - start < 4 * SEC);
    result("pair.poll.pending", event_pending(to_0));
    event_clear(to_0);
    event_unmask(to_0);
    vcpu_wait_down(1);
    result("pair.block.start", vcpu_start(1, sender));
    wait_until(seen_0);
    result("pair.block.events", seen_0);
    vcpu_wait_down(1);
}

static void check_sleeper(void)
{
    result("pair.sleeper.start", vcpu_start(1, sleeper));
    clock_sleep(20 * MS);
    result("pair.sleeper.state", state_soon(RUNSTATE_blocked));
    result("pair.sleeper.is_up", vcpu_is_up(1));
    event_send(to_1);
    result("pair.sleeper.woken", soon(&seen_1, 1));
    event_mask(to_1);
    event_send(to_1);
    clock_sleep(5 * MS);
    result("pair.sleeper.masked", seen_1);
    event_unmask(to_1);
    result("pair.sleeper.unmasked", soon(&seen_1, 2));
    result("pair.sleeper.down", vcpu_wait_down(1));
}

static void check_down(void)
{
    seen_1 = 0;
    quit = false;
    result("pair.spinner.start", vcpu_start(1, spinner));
    while (!spinning) {
        clock_sleep(MS);
    }
    event_send(to_1);
    result("pair.spinner.upcall", soon(&seen_1, 1));
    result("pair.spinner.down", vcpu_op(VCPUOP_down, 1, NULL));
    result("pair.spinner.is_up", vcpu_is_up(1));
    result("pair.spinner.state", state_soon(RUNSTATE_offline));
    event_send(to_1);
    clock_sleep(5 * MS);
    result("pair.spinner.event_while_down", seen_1);
    result("pair.spinner.up", vcpu_op(VCPUOP_up, 1, NULL));
    result("pair.spinner.event_after", soon(&seen_1, 2));
}

static bool xmm_kept(void)
{
    static const uint64_t pattern[2] = { 0x0123456789abcdef, 0xfedcba9876543210 };
    uint64_t after[2] = { 0 };
    uint16_t control = 0x27f, control_after = 0;

    for (unsigned int i = 0; i < 50; i++) {
        asm volatile("movdqu %0, %%xmm0; fldcw %1" ::"m"(pattern), "m"(control) : "memory");
        sched_op(SCHEDOP_yield, NULL);
        clock_sleep(MS / 10);
        asm volatile("movdqu %%xmm0, %0; fnstcw %1" : "=m"(after), "=m"(control_after));
        if (memcmp(pattern, after, sizeof(after)) || control_after != control) {
            return false;
        }
    }
    return true;
}

static void check_fpu(void)
{
    result("pair.fpu.kept", xmm_kept());
    quit = true;
    result("pair.spinner.ends", vcpu_wait_down(1));
}

void check_pair(void)
{
    uint32_t mxcsr = 0;
    uint16_t control = 0;

    asm volatile("stmxcsr %0; fnstcw %1" : "=m"(mxcsr), "=m"(control));
    result_hex("pair.fpu.mxcsr", mxcsr);
    result_hex("pair.fpu.control", control);
    to_0 = (evtchn_port_t)event_bind_ipi(0);
    to_1 = (evtchn_port_t)event_bind_ipi(1);
    event_handle(to_0, 0, on_0);
    event_handle(to_1, 1, on_1);
    trap_handle(2, on_nmi);
    check_wake();
    result("pair.nmi.delivered", nmis);
    check_sleeper();
    check_down();
    check_fpu();
    event_close(to_0);
    event_close(to_1);
}
