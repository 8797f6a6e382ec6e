/* SPDX-License-Identifier: MIT */
/*
 * nap - sleeps and works by turns, and tells how late it was woken: the share of its wakes that
 * came within so many microseconds. Vcpu 0 alone does that; in the place of work it may ask the
 * control domain's store, and tell how long the answer takes. Arguments: period=N microseconds
 * (default 10000), work=N of these (default 1000), phase=N, where in the system time's periods a
 * turn begins, seconds=N between two reports (default 1), ping: ask the store.
 */
#include "guest.h"

const char guest_name[] = "nap";

#define BUCKETS 4096U /* of 4 us; the last holds what is above */
#define BUCKET (4 * US)

static uint32_t counts[BUCKETS];
static unsigned long total;
static uint64_t longest;
static volatile bool woken;

static void note(uint64_t ns)
{
    uint64_t bucket = ns / BUCKET;

    counts[bucket < BUCKETS ? bucket : BUCKETS - 1]++;
    total++;
    longest = ns > longest ? ns : longest;
}

/* The upper end, in us, of the bucket below which so many per thousand lie. */
static unsigned long quantile(unsigned long per_mille)
{
    unsigned long below = 0;

    for (unsigned int b = 0; b < BUCKETS; b++) {
        below += counts[b];
        if (below * 1000 >= total * per_mille) {
            return (b + 1) * BUCKET / US;
        }
    }
    return longest / US;
}

static void report(const char *what)
{
    printf("nap: %s %lu, p50 %lu us, p99 %lu us, max %lu us\n", what, total, quantile(500),
           quantile(990), longest / US);
    memset(counts, 0, sizeof(counts));
    total = 0;
    longest = 0;
}

static void on_timer(evtchn_port_t port)
{
    (void)port;
    woken = true;
}

static void sleep_until(uint64_t deadline)
{
    woken = false;
    if (timer_set(deadline) == 0) {
        wait_until(woken);
    }
}

static void work_until(uint64_t deadline)
{
    while (clock_now() < deadline) {
        for (unsigned int i = 0; i < 100; i++) {
            asm volatile("" ::: "memory");
        }
        cpu_relax();
    }
}

/* false: the store does not answer. */
static bool ping(void)
{
    char value[32];
    uint64_t start = clock_now();
    long n = xs_read("name", value, sizeof(value));

    note(clock_now() - start);
    return n > 0;
}

const char *guest_main(void)
{
    uint64_t period = arg_number("period", 10000) * US, work = arg_number("work", 1000) * US;
    uint64_t phase = arg_number("phase", 0) * US, every = arg_number("seconds", 1) * SEC;
    uint64_t next, told = clock_now();
    bool asks = arg_flag("ping");
    long port = event_bind_virq(VIRQ_TIMER, 0);

    if (port < 0 || !period) {
        return "bind_virq, or no period";
    }
    event_handle((evtchn_port_t)port, 0, on_timer);
    for (;;) {
        next = (clock_now() - phase) / period * period + period + phase;
        sleep_until(next);
        if (asks) {
            if (!ping()) {
                return "the store does not answer";
            }
        } else {
            note(clock_now() - next);
            work_until(next + work);
        }
        if (clock_now() - told >= every) {
            report(asks ? "answers" : "wakes");
            told = clock_now();
        }
    }
}
