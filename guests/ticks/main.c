/* SPDX-License-Identifier: MIT */
/*
 * ticks - periodic and one-shot timers with their lateness, the wall clock, and
 * a check that system time never goes back, not even from one vcpu to another.
 * Arguments: seconds=N (default 3), hz=N (default 100), slack=N microseconds by
 * which the clocks of two vcpus may differ (default 1); counter: only count, with
 * a timer and an event to itself for each tick, and tell whether all came, from
 * after=N milliseconds on (default 0).
 */
#include "guest.h"

const char guest_name[] = "ticks";

#define ONE_SHOTS 100U

static volatile unsigned long ticks;
static volatile uint64_t last_tick;
/* Lateness against the deadline, or against the period for periodic ticks. */
static struct {
    uint64_t sum, max, n;
} late;
static uint64_t period;

static volatile int clock_lock;
static volatile uint64_t clock_highest, clock_worst_step;
static volatile unsigned long clock_reads, clock_steps_back;
static volatile bool clock_stop;

static void late_add(uint64_t ns)
{
    late.sum += ns;
    late.max = ns > late.max ? ns : late.max;
    late.n++;
}

static void late_print(const char *what)
{
    printf("ticks: %s %lu, late avg %lu us max %lu us\n", what, late.n,
           late.n ? late.sum / late.n / US : 0, late.max / US);
    late.sum = late.max = late.n = 0;
}

static void on_tick(evtchn_port_t port)
{
    uint64_t now = clock_now();

    (void)port;
    if (period && last_tick) {
        uint64_t gap = now - last_tick;

        late_add(gap > period ? gap - period : 0);
    }
    last_tick = now;
    ticks++;
}

static const char *run_periodic(unsigned long seconds, unsigned long hz)
{
    uint64_t start = clock_now();
    unsigned long due = 0;

    last_tick = 0;
    ticks = 0;
    period = SEC / hz;
    if (timer_periodic(0, period)) {
        return "set_periodic_timer";
    }
    for (unsigned long s = 1; s <= seconds; s++) {
        uint32_t ns;
        uint64_t wall;

        /* A periodic timer only runs while its vcpu does, so this one does not sleep. */
        while (clock_now() < start + s * SEC) {
            cpu_relax();
            guest_serve();
        }
        wall = clock_wall(&ns);
        printf("ticks: t=%lu.%03lu ticks %lu wall %lu.%03u\n", (clock_now() - start) / SEC,
               (clock_now() - start) / MS % 1000, ticks, wall, ns / 1000000);
    }
    timer_periodic(0, 0);
    due = (clock_now() - start) / period;
    period = 0;
    late_print("periodic");
    /* Ticks merge when the vcpu (or the machine under it) does not run; none may be made up. */
    return ticks > due + due / 50 + 2 ? "there were too many ticks" : NULL;
}

static const char *run_one_shots(void)
{
    for (unsigned int i = 0; i < ONE_SHOTS; i++) {
        uint64_t deadline = clock_now() + MS;

        ticks = 0;
        if (timer_set(deadline)) {
            return "set_timer_op";
        }
        wait_until(ticks);
        if (last_tick < deadline) {
            return "a timer was early";
        }
        late_add(last_tick - deadline);
    }
    late_print("one-shot");
    return NULL;
}

static volatile unsigned long answers;

static void on_answer(evtchn_port_t port)
{
    (void)port;
    answers++;
}

static void wait_awhile(void)
{
    timer_set(clock_now() + MS);
    vcpu_block();
}

/* One timer after the other, each due a period after the one before, be that as late as it was. */
static const char *run_counter(unsigned long seconds, unsigned long hz)
{
    long port = event_bind_ipi(0);
    uint64_t next, before, longest = 0;
    unsigned long due = seconds * hz;

    if (port < 0) {
        return "bind_ipi";
    }
    event_handle((evtchn_port_t)port, 0, on_answer);
    clock_sleep(arg_number("after", 0) * MS);
    next = before = clock_now();
    ticks = 0;
    for (unsigned long i = 1; i <= due; i++) {
        next += SEC / hz;
        if (timer_set(next)) {
            return "set_timer_op";
        }
        wait_until(ticks == i);
        if (event_send((evtchn_port_t)port)) {
            return "send";
        }
        longest = last_tick - before > longest ? last_tick - before : longest;
        before = last_tick;
    }
    for (unsigned int i = 0; i < 100 && answers < due; i++) {
        wait_awhile();
    }
    printf("ticks: counted %lu of %lu, %lu events of %lu, largest gap %lu us\n", ticks, due,
           answers, due, longest / US);
    return ticks < due || answers != due ? "an event is lost" : NULL;
}

/* Reads the clock under a lock, so that the order of the reads is known. */
static void clock_check(void)
{
    while (!clock_stop) {
        uint64_t now;

        while (__atomic_exchange_n(&clock_lock, 1, __ATOMIC_ACQUIRE)) {
            sched_op(SCHEDOP_yield, NULL);
        }
        now = clock_now();
        if (now < clock_highest) {
            clock_steps_back++;
            if (clock_highest - now > clock_worst_step) {
                clock_worst_step = clock_highest - now;
            }
        } else {
            clock_highest = now;
        }
        clock_reads++;
        if (vcpu_self() == 0 && clock_reads > 20000) {
            clock_stop = true;
        }
        __atomic_store_n(&clock_lock, 0, __ATOMIC_RELEASE);
    }
}

static const char *check_monotonic(unsigned int vcpus, uint64_t slack)
{
    for (unsigned int v = 1; v < vcpus; v++) {
        if (vcpu_start(v, clock_check)) {
            return "a vcpu does not start";
        }
    }
    clock_check();
    for (unsigned int v = 1; v < vcpus; v++) {
        if (!vcpu_wait_down(v)) {
            return "a vcpu does not stop";
        }
    }
    printf("ticks: clock read on %u vcpus, %lu steps back, worst %lu ns\n", vcpus, clock_steps_back,
           clock_worst_step);
    return clock_worst_step > slack ? "system time went back" : NULL;
}

const char *guest_main(void)
{
    long port = event_bind_virq(VIRQ_TIMER, 0);
    const char *failure;

    if (port < 0) {
        return "bind_virq";
    }
    event_handle((evtchn_port_t)port, 0, on_tick);
    if (arg_flag("counter")) {
        return run_counter(arg_number("seconds", 3), arg_number("hz", 1000));
    }
    failure = run_periodic(arg_number("seconds", 3), arg_number("hz", 100));
    if (!failure) {
        failure = run_one_shots();
    }
    return failure ? failure : check_monotonic(vcpu_count(), arg_number("slack", 1) * US);
}
