/* SPDX-License-Identifier: MIT */
/*
 * time.c - system time from the vcpu's own time record (the TSC scaled since the
 * hypervisor's last update), the wall clock, sleeping and timers.
 * Times are nanoseconds since the hypervisor started.
 */
#include "guest.h"

static uint64_t scale(uint64_t ticks, uint32_t mul, int8_t shift)
{
    ticks = shift < 0 ? ticks >> -shift : ticks << shift;
    return (uint64_t)(((unsigned __int128)ticks * mul) >> 32);
}

uint64_t clock_now(void)
{
    volatile struct vcpu_time_info *t = &vcpu_infos[vcpu_self()]->time;
    uint32_t version;
    uint64_t now;

    do {
        version = t->version & ~1U;
        asm volatile("lfence" ::: "memory");
        now = t->system_time +
              scale(rdtsc() - t->tsc_timestamp, t->tsc_to_system_mul, t->tsc_shift);
        asm volatile("lfence" ::: "memory");
    } while (t->version != version);
    return now;
}

uint64_t clock_of_ticks(uint64_t ticks)
{
    volatile struct vcpu_time_info *t = &vcpu_infos[vcpu_self()]->time;

    return scale(ticks, t->tsc_to_system_mul, t->tsc_shift);
}

uint64_t clock_wall(uint32_t *nanoseconds)
{
    uint32_t version;
    uint64_t base, now;

    do {
        version = shared->wc_version & ~1U;
        asm volatile("lfence" ::: "memory");
        base = ((uint64_t)shared->wc_sec_hi << 32 | shared->wc_sec) * SEC + shared->wc_nsec;
        asm volatile("lfence" ::: "memory");
    } while (shared->wc_version != version);
    now = base + clock_now();
    *nanoseconds = (uint32_t)(now % SEC);
    return now / SEC;
}

/* What is to be served may be told between a look and the poll, so the polls are short then. */
#define SERVE_EVERY (100 * MS)

/* A poll on no port at all is a plain sleep; an upcall may end it early. */
void clock_sleep(uint64_t nanoseconds)
{
    uint64_t now = clock_now(), deadline = now + nanoseconds;
    struct sched_poll poll = { .nr_ports = 0 };
    bool serves = vcpu_self() == 0 && xs_present();

    for (; now < deadline; now = clock_now()) {
        poll.timeout = serves && deadline - now > SERVE_EVERY ? now + SERVE_EVERY : deadline;
        sched_op(SCHEDOP_poll, &poll);
        guest_serve();
    }
}

long timer_set(uint64_t deadline)
{
    return set_timer_op(deadline);
}

/* Period 0 stops it. A vcpu can only set its own. */
long timer_periodic(unsigned int vcpu, uint64_t period)
{
    struct vcpu_set_periodic_timer op = { .period_ns = period };

    if (!period) {
        return vcpu_op(VCPUOP_stop_periodic_timer, vcpu, NULL);
    }
    return vcpu_op(VCPUOP_set_periodic_timer, vcpu, &op);
}
