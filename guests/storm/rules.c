/* SPDX-License-Identifier: MIT */
/*
 * rules.c - what holds for upcalls and polls, one rule at a time; and the fairness of the scan:
 * ports that are pending again as soon as they were handled must have their turns alike.
 */
#include "storm.h"

static unsigned int rules, broken;

static void rule(const char *what, bool holds)
{
    rules++;
    if (!holds) {
        broken++;
        printf("storm: rule broken: %s\n", what);
    }
}

/* ---- upcalls ---- */

#define EVENTS 10000u

static evtchn_port_t first, second;
static volatile unsigned int depth, nested, firsts, seconds, unmasked;

static void enter(void)
{
    nested += depth++ > 0;
    unmasked += !vcpu_infos[0]->evtchn_upcall_mask;
}

/* The second event comes within the upcall of the first, and has to wait for its end. */
static void on_first(evtchn_port_t port)
{
    unsigned int before = seconds;

    (void)port;
    enter();
    firsts++;
    event_send(second);
    xen_version(XENVER_version, NULL);
    nested += seconds != before;
    depth--;
}

static void on_second(evtchn_port_t port)
{
    (void)port;
    enter();
    seconds++;
    depth--;
}

static evtchn_port_t bind_here(event_handler handler)
{
    long port = event_bind_ipi(0);

    if (port < 0) {
        return 0;
    }
    event_handle((evtchn_port_t)port, 0, handler);
    event_unmask_asked((evtchn_port_t)port);
    return (evtchn_port_t)port;
}

static void check_upcalls(void)
{
    first = bind_here(on_first);
    second = bind_here(on_second);
    for (unsigned int i = 0; i < EVENTS; i++) {
        event_send(first);
    }
    rule("each event is one upcall", firsts == EVENTS && seconds == EVENTS);
    rule("no upcall comes within an upcall", nested == 0);
    rule("upcalls are masked within an upcall", unmasked == 0);
    upcalls_disable();
    event_send(first);
    xen_version(XENVER_version, NULL);
    rule("what comes while upcalls are masked is withheld",
         firsts == EVENTS && vcpu_infos[0]->evtchn_upcall_pending);
    upcalls_enable();
    rule("and delivered when they are enabled", firsts == EVENTS + 1 && seconds == EVENTS + 1);
    rule("the mask is clear behind an upcall", !vcpu_infos[0]->evtchn_upcall_mask);
}

/* ---- polls ---- */

static volatile evtchn_port_t to_send;
static volatile bool helper_ends;

/* Sends what vcpu 0 asks for a moment later, when it sleeps. */
static void helper(void)
{
    while (!helper_ends) {
        evtchn_port_t port = to_send;

        if (port) {
            to_send = 0;
            clock_sleep(2 * MS);
            event_send(port);
        }
        clock_sleep(100 * US);
    }
}

static long poll(const evtchn_port_t *ports, unsigned int n, uint64_t timeout)
{
    struct sched_poll op = { .nr_ports = n, .timeout = timeout };

    set_xen_guest_handle(op.ports, (evtchn_port_t *)ports);
    return sched_op(SCHEDOP_poll, &op);
}

/* The whole time, in one of a few tries: who sent the event before may still be at waking us. */
static bool sleeps(void)
{
    for (unsigned int tries = 0; tries < 5; tries++) {
        uint64_t until = clock_now() + 5 * MS;

        if (poll(NULL, 0, until)) {
            return false;
        }
        if (clock_now() >= until) {
            return true;
        }
    }
    return false;
}

static void check_polls(void)
{
    static evtchn_port_t ports[129];
    uint64_t start = clock_now();

    ports[0] = bind_here(NULL);
    event_mask(ports[0]);
    for (unsigned int i = 1; i < 129; i++) {
        ports[i] = ports[0];
    }
    rule("129 ports are too many", poll(ports, 129, 1) == -XEN_EINVAL);
    rule("a port must be there", poll(&(evtchn_port_t){ 0x7fffffff }, 1, 1) == -XEN_EINVAL);
    event_send(ports[0]);
    rule("a pending port ends a poll, masked or not", poll(ports, 1, 0) == 0);
    rule("also as the last of 128",
         (event_clear(ports[0]), event_send(ports[0]), poll(ports, 128, 0)) == 0);
    event_clear(ports[0]);
    start = clock_now();
    rule("a timeout that is over ends it", poll(ports, 1, 1) == 0 && clock_now() < start + SEC);
    start = clock_now();
    rule("a timeout is a time, not a span",
         poll(ports, 1, start + 5 * MS) == 0 && clock_now() >= start + 5 * MS);
    rule("a poll on no port is a plain sleep", sleeps());
    to_send = ports[0];
    rule("without a timeout it sleeps until the event",
         poll(ports, 1, 0) == 0 && event_pending(ports[0]));
    event_clear(ports[0]);
    to_send = second;
    seconds = 0;
    start = clock_now();
    rule("an upcall ends it", poll(ports, 1, start + 10 * SEC) == 0 && seconds == 1 &&
                                  !event_pending(ports[0]) && clock_now() < start + 9 * SEC);
}

/* With upcalls masked an upcall that waits ends no poll, as it could not be delivered. */
static void check_masked_poll(void)
{
    upcalls_disable();
    event_send(second);
    rule("an upcall that is masked ends no poll", sleeps());
    upcalls_enable();
    rule("and comes behind it", seconds == 2);
}

const char *run_rules(void)
{
    check_upcalls();
    if (vcpus < 2 || vcpu_start(1, helper)) {
        return "vcpu 1 does not start";
    }
    check_polls();
    check_masked_poll();
    helper_ends = true;
    printf("storm: %s: %u rules, %u broken\n", protocol_name(), rules, broken);
    return broken ? "rules broken" : NULL;
}

/* ---- the watchdog ---- */

static long watchdog(uint32_t id, uint32_t seconds_left)
{
    struct sched_watchdog op = { .id = id, .timeout = seconds_left };

    return sched_op(SCHEDOP_watchdog, &op);
}

/* It lives while it is kicked, and no longer. */
const char *run_watchdog(void)
{
    long id = watchdog(0, 1);

    if (id <= 0) {
        return "no watchdog";
    }
    for (unsigned int i = 0; i < 4; i++) {
        clock_sleep(500 * MS);
        if (watchdog((uint32_t)id, 1)) {
            return "it can't be kicked";
        }
    }
    printf("storm: watchdog: kicked for two seconds\n");
    clock_sleep(5 * SEC);
    return "alive behind the watchdog's end";
}

/* ---- fairness ---- */

#define FLOODED 64u

static unsigned long handled[FLOODED], total, limit;
static evtchn_port_t base;

static void on_flood(evtchn_port_t port)
{
    handled[port - base]++;
    if (++total < limit) {
        event_send(port);
    }
}

const char *run_flood(void)
{
    unsigned long least = ~0UL, most = 0;

    limit = arg_number("sends", 100000);
    upcalls_disable();
    for (unsigned int i = 0; i < FLOODED; i++) {
        evtchn_port_t port = bind_here(on_flood);

        base = i ? base : port;
        if (!port || port != base + i) {
            return "no 64 ports side by side";
        }
        event_send(port);
    }
    upcalls_enable();
    for (unsigned int i = 0; i < FLOODED; i++) {
        least = handled[i] < least ? handled[i] : least;
        most = handled[i] > most ? handled[i] : most;
    }
    printf("storm: %s: %lu events of %u ports: least %lu, most %lu, %lu would be fair\n",
           protocol_name(), total, FLOODED, least, most, total / FLOODED);
    if (total < limit) {
        return "events lost";
    }
    return least * 2 < total / FLOODED ? "some ports have less than half of their part" : NULL;
}
