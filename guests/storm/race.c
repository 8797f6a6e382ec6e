/* SPDX-License-Identifier: MIT */
/*
 * race.c - going to sleep against being woken, over and over: vcpu 0 says that it will wait, and
 * does so in one of several ways; vcpu 1 sends the event a random moment later, which is before,
 * while or after the other falls asleep. The time from the send to the wake-up is taken. vcpu 1
 * watches: when vcpu 0 is still blocked long after the event, its wake-up is lost; when it is
 * runnable and doesn't get on, the machine is slow.
 */
#include "storm.h"

enum way { WAY_BLOCK, WAY_POLL, WAY_POLL_FAR, WAY_POLL_NEAR, WAY_POLL_TWO, WAYS };

static const char *const way_names[WAYS] = { "block", "poll", "poll with a far timeout",
                                             "poll with a near timeout", "poll on two ports" };

static unsigned long races;
static evtchn_port_t blocked_on, polled_on[2];
static volatile unsigned long waiting, woken;
static volatile enum way way;
static volatile uint64_t sent_at;

/* From here on vcpu 1 looks what the other does. Less would do, if the emulator's threads never had
 * to wait: the one that is about to wake the other, too. */
#define LATE (3 * SEC)

static struct {
    uint64_t times, longest, stalls, timeouts;
} found[WAYS];

static void on_wake(evtchn_port_t port)
{
    (void)port;
}

/* Some moments are a few instructions long. */
static void dawdle(uint64_t *dice, unsigned int most)
{
    for (unsigned long n = (random_next(dice) >> 20) % most; n; n--) {
        asm volatile("" ::: "memory");
    }
}

/* Other CPUs of an emulator that runs one at a time have a turn here. */
static void perhaps_pause(uint64_t *dice)
{
    if ((random_next(dice) >> 20) % 4 == 0) {
        cpu_relax();
    }
}

/* ---- vcpu 1 ---- */

static evtchn_port_t port_to_wake(uint64_t *dice)
{
    switch (way) {
    case WAY_BLOCK:
        return blocked_on;
    case WAY_POLL_TWO:
        return polled_on[(random_next(dice) >> 20) & 1];
    default:
        return polled_on[0];
    }
}

/* vcpu 0 has not got as far as this race, though it was woken in the one before. */
static void watch(unsigned long race)
{
    struct vcpu_runstate_info state;

    if (race == 1 || clock_now() < sent_at + LATE) {
        return;
    }
    vcpu_runstate(0, &state);
    if (waiting < race && state.state == RUNSTATE_blocked &&
        state.state_entry_time < sent_at + LATE) {
        printf("storm: race %lu: %s: lost: blocked for %lu ms, %lu ms behind the event; upcall %d "
               "mask "
               "%d pending %d %d %d\n",
               race - 1, way_names[way], (clock_now() - state.state_entry_time) / MS,
               (clock_now() - sent_at) / MS, vcpu_infos[0]->evtchn_upcall_pending,
               vcpu_infos[0]->evtchn_upcall_mask, event_pending(blocked_on),
               event_pending(polled_on[0]), event_pending(polled_on[1]));
        guest_exit("a wake-up is lost");
    }
}

static void send_all(void)
{
    uint64_t dice = 0x9e3779b97f4a7c15UL;
    bool yields = arg_flag("yield");

    for (unsigned long race = 1; race <= races; race++) {
        for (unsigned long looks = 1; waiting < race; looks++) {
            if (yields) {
                sched_op(SCHEDOP_yield, NULL);
            } else {
                cpu_relax();
            }
            if (looks % 1024 == 0) {
                watch(race);
            }
        }
        dawdle(&dice, race % 2 ? 500 : 5000);
        sent_at = clock_now();
        woken = race;
        event_send(port_to_wake(&dice));
    }
}

/* ---- vcpu 0 ---- */

static void wait_blocking(unsigned long race, uint64_t *dice)
{
    upcalls_disable();
    while (woken < race) {
        perhaps_pause(dice);
        vcpu_block();
        upcalls_disable();
    }
    upcalls_enable();
}

static uint64_t timeout_of(enum way how, uint64_t *dice)
{
    switch (how) {
    case WAY_POLL_FAR:
        return clock_now() + 10 * SEC;
    case WAY_POLL_NEAR:
        return clock_now() + (random_next(dice) >> 20) % (20 * US);
    default:
        return 0;
    }
}

static void wait_polling(unsigned long race, enum way how, uint64_t *dice)
{
    struct sched_poll poll = { .nr_ports = how == WAY_POLL_TWO ? 2 : 1 };

    set_xen_guest_handle(poll.ports, polled_on);
    for (;;) {
        event_clear(polled_on[0]);
        event_clear(polled_on[1]);
        if (woken >= race) {
            return;
        }
        perhaps_pause(dice);
        poll.timeout = timeout_of(how, dice);
        sched_op(SCHEDOP_poll, &poll);
        found[how].timeouts += woken < race;
    }
}

static void note(enum way how, uint64_t limit)
{
    uint64_t now = clock_now(), took = now > sent_at ? now - sent_at : 0;

    found[how].times++;
    if (took > found[how].longest) {
        found[how].longest = took;
    }
    if (took > limit) {
        found[how].stalls++;
    }
}

static void wait_all(uint64_t limit)
{
    uint64_t dice = 0x2545f4914f6cdd1dUL;
    unsigned long only = arg_number("way", WAYS);

    for (unsigned long race = 1; race <= races; race++) {
        enum way how = (enum way)((random_next(&dice) >> 20) % WAYS);

        how = only < WAYS ? (enum way)only : how;

        way = how;
        waiting = race;
        dawdle(&dice, 50);
        if (how == WAY_BLOCK) {
            wait_blocking(race, &dice);
        } else {
            wait_polling(race, how, &dice);
        }
        note(how, limit);
    }
}

static bool make_ports(void)
{
    long block = event_bind_ipi(0), one = event_bind_ipi(0), two = event_bind_ipi(0);

    if (block < 0 || one < 0 || two < 0) {
        return false;
    }
    blocked_on = (evtchn_port_t)block;
    polled_on[0] = (evtchn_port_t)one;
    polled_on[1] = (evtchn_port_t)two;
    event_mask(polled_on[0]);
    event_mask(polled_on[1]);
    event_handle(blocked_on, 0, on_wake);
    event_unmask_asked(blocked_on);
    return true;
}

const char *run_race(void)
{
    uint64_t limit = arg_number("stall", 10000) * US, longest = 0, stalls = 0, start;

    races = arg_number("races", 100000);
    if (vcpus < 2) {
        return "two vcpus are needed";
    }
    if (!make_ports() || vcpu_start(1, send_all)) {
        return "vcpu 1 does not start";
    }
    start = clock_now();
    wait_all(limit);
    start = clock_now() - start;
    for (unsigned int w = 0; w < WAYS; w++) {
        printf("storm: race: %s: %lu, longest %lu us, over %lu us: %lu, woke too early %lu\n",
               way_names[w], found[w].times, found[w].longest / US, limit / US, found[w].stalls,
               found[w].timeouts);
        longest = found[w].longest > longest ? found[w].longest : longest;
        stalls += found[w].stalls;
    }
    printf("storm: race: %s: %lu races, %lu stalls, longest %lu us, %lu per second\n",
           protocol_name(), races, stalls, longest / US, races * SEC / (start ? start : 1));
    return stalls ? "a wake-up came late" : NULL;
}
