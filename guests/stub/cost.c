/* SPDX-License-Identifier: MIT */
/*
 * cost.c - what a request costs at least: CPU time, by the vcpu's own runtime, so what others had
 * of the CPU meanwhile does not count. What its work has not taken of it is spent by spinning.
 */
#include "stub.h"

#define COST_MAX 1000000U /* us */

volatile uint32_t cost_default;

uint32_t cost_limit(uint64_t us)
{
    return us < COST_MAX ? (uint32_t)us : COST_MAX;
}

static uint64_t runtime(unsigned int self)
{
    struct vcpu_runstate_info info;

    vcpu_runstate(self, &info);
    return info.time[RUNSTATE_running];
}

uint64_t cost_begin(const struct device *dev)
{
    uint32_t own = dev->cost, us = own == COST_UNSET ? cost_default : own;

    return us ? runtime(vcpu_self()) + us * US : 0;
}

/* Spins for what is left by the clock, then asks how much of it was ours. */
void cost_end(uint64_t end)
{
    unsigned int self = vcpu_self();
    uint64_t now = end ? runtime(self) : 0;

    while (now < end) {
        uint64_t until = clock_now() + end - now;

        while (clock_now() < until) {
            for (unsigned int i = 0; i < 20; i++) {
                asm volatile("" ::: "memory");
            }
            cpu_relax();
        }
        now = runtime(self);
    }
}
