/* SPDX-License-Identifier: MIT */
/*
 * pingpong - events to and fro over one interdomain channel, each end asleep
 * while the other works. Arguments:
 *   role=self            both ends here, on vcpu 0 and, if there is one, vcpu 1
 *   role=ping peer=D     binds to the port that domain D offers, and counts
 *   role=pong peer=D     offers the port to domain D, and answers
 *   rounds=N             round trips (default 100000)
 *   port=N               the port by which they meet: by convention the first
 *                        that pong allocates (default 1)
 */
#include "guest.h"

const char guest_name[] = "pingpong";

#define RENDEZVOUS_TRIES 3000U
#define STALL_SECONDS 5U
#define PATIENCE 60U

static unsigned long rounds;
static volatile unsigned long pings, pongs;
/* Seconds in which nothing came back, and the count that the last second saw. */
static volatile unsigned int stalled;
static unsigned long seen;
static volatile bool started;

static void on_pong(evtchn_port_t port)
{
    (void)port;
    pongs++;
}

static void on_ping(evtchn_port_t port)
{
    pings++;
    event_send(port);
}

static void on_second(evtchn_port_t port)
{
    (void)port;
    stalled = pongs + pings == seen ? stalled + 1 : 0;
    seen = pongs + pings;
    timer_set(clock_now() + SEC);
}

static void watch_start(void)
{
    long port = event_bind_virq(VIRQ_TIMER, 0);

    if (port > 0) {
        event_handle((evtchn_port_t)port, 0, on_second);
        timer_set(clock_now() + SEC);
    }
}

/* Waits for the answer to the given round; an event that never comes is lost. */
static bool answered(unsigned long round)
{
    wait_until(pongs >= round || stalled >= STALL_SECONDS);
    return pongs >= round;
}

static const char *ping(evtchn_port_t port)
{
    unsigned long lost = 0;
    uint64_t start = clock_now(), took;

    for (unsigned long i = 1; i <= rounds; i++) {
        event_send(port);
        if (!answered(i)) {
            lost++;
            stalled = 0;
            pongs = i;
        }
        if (lost > 3) {
            return "too many events lost";
        }
    }
    took = clock_now() - start;
    printf("pingpong: %lu round trips, %lu lost, %lu per second\n", rounds, lost,
           rounds * SEC / (took ? took : 1));
    if (pongs != rounds) {
        printf("pingpong: %lu answers to %lu events\n", pongs, rounds);
        return "answers differ from events";
    }
    return lost ? "events lost" : NULL;
}

static void pong_vcpu(void)
{
    started = true;
    wait_until(pings >= rounds);
}

static const char *play_self(void)
{
    unsigned int other = vcpu_count() > 1 ? 1 : 0;
    long far = event_alloc_unbound(DOMID_SELF), near;

    near = event_bind_interdomain(DOMID_SELF, (evtchn_port_t)far);
    if (far < 0 || near < 0) {
        return "no loop-back channel";
    }
    if (event_bind_vcpu((evtchn_port_t)far, other)) {
        return "bind_vcpu";
    }
    event_clear((evtchn_port_t)near);
    event_handle((evtchn_port_t)near, 0, on_pong);
    event_handle((evtchn_port_t)far, other, on_ping);
    if (other && vcpu_start(other, pong_vcpu)) {
        return "vcpu 1 does not start";
    }
    while (other && !started) {
        clock_sleep(MS);
    }
    watch_start();
    printf("pingpong: self, vcpu 0 and vcpu %u, ports %ld and %ld\n", other, near, far);
    return ping((evtchn_port_t)near);
}

static const char *play_ping(domid_t peer, evtchn_port_t remote)
{
    long port = 0;

    for (unsigned int i = 0; i < RENDEZVOUS_TRIES; i++) {
        port = event_bind_interdomain(peer, remote);
        if (port != -XEN_ESRCH && port != -XEN_EINVAL) {
            break;
        }
        clock_sleep(10 * MS);
    }
    if (port < 0) {
        printf("pingpong: bind to domain %u port %u: %ld\n", peer, remote, port);
        return "the peer does not come";
    }
    /* Binding leaves our own end pending; that is no answer. */
    event_clear((evtchn_port_t)port);
    event_handle((evtchn_port_t)port, 0, on_pong);
    watch_start();
    printf("pingpong: ping, domain %u port %u\n", peer, remote);
    return ping((evtchn_port_t)port);
}

static const char *play_pong(domid_t peer, evtchn_port_t wanted)
{
    evtchn_port_t port = 0;

    while (port < wanted) {
        long rc = event_alloc_unbound(peer);

        if (rc < 0) {
            return "alloc_unbound";
        }
        port = (evtchn_port_t)rc;
    }
    event_handle(port, 0, on_ping);
    printf("pingpong: pong, port %u for domain %u\n", port, peer);
    watch_start();
    wait_until(pings >= rounds || (pings && stalled >= PATIENCE));
    printf("pingpong: %lu answered\n", pings);
    return pings >= rounds ? NULL : "the peer went silent";
}

const char *guest_main(void)
{
    char role[8] = "self";
    domid_t peer = (domid_t)arg_number("peer", 0);
    evtchn_port_t port = (evtchn_port_t)arg_number("port", 1);

    rounds = arg_number("rounds", 100000);
    arg_string("role", role, sizeof(role));
    if (strcmp(role, "ping") == 0) {
        return play_ping(peer, port);
    }
    if (strcmp(role, "pong") == 0) {
        return play_pong(peer, port);
    }
    return play_self();
}
