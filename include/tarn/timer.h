/* SPDX-License-Identifier: MIT */
/*
 * Timers; arch/x86/cpu/timer.c. A timer lives on the pcpu that armed it last. Its function
 * runs there from the exit loop (SOFTIRQ_TIMER) with no lock held, at or after `expires`.
 */
#pragma once

#include <tarn/spinlock.h>
#include <tarn/timer_heap.h>

struct timer {
    struct timer_node node;
    void (*fn)(void *arg);
    void *arg;
    u32 cpu; /* where it is, or was last, queued */
};

void timer_init(struct timer *t, void (*fn)(void *), void *arg);
void timer_arm(struct timer *t,
               stime_t expires); /* (re-)arm on this pcpu; a past deadline fires at once */
/* Arm on another pcpu (the function then runs there). */
void timer_arm_on(struct timer *t, u32 cpu, stime_t expires);
void timer_stop(struct timer *t); /* does not wait for a function already running elsewhere */
/* Stop, and wait until the function runs nowhere. Call with no lock held that fn takes. */
void timer_kill(struct timer *t);
/* All that wait on one pcpu wait on the other from now on; one whose function runs may come back.
 */
void timer_move_all(u32 from, u32 to);
/* Per-pcpu part, called by the exit loop for SOFTIRQ_TIMER: run what is due, program the hardware.
 */
void timer_softirq(void);
