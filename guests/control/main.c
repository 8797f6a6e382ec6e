/* SPDX-License-Identifier: MIT */
/*
 * control - the control domain: a shell with xl's commands on the hypervisor's console, the same
 * for the host on the second serial port, and what other domains need (consoles, the store). Here
 * is the loop that serves all of it. Arguments:
 *   script=NAME          a file of the archive whose lines are run first
 *   exit                 the machine goes off behind it
 * One vcpu; event handlers only tell that there is something to do.
 */
#include "shell.h"

const char guest_name[] = "control";

static volatile bool woken;
static uint64_t look_at = FOREVER;
static bool ending;
static unsigned int end_reason;

void loop_wake(void)
{
    woken = true;
}

void loop_look_at(uint64_t time)
{
    look_at = MIN(look_at, time);
}

void loop_end(unsigned int reason)
{
    ending = true;
    end_reason = reason;
}

bool loop_ending(void)
{
    return ending;
}

static void on_timer(evtchn_port_t port)
{
    (void)port;
    loop_wake();
}

/* Those services that wait for nothing; a wait within them must not enter them again. */
static void serve_domains(void)
{
    static bool inside, missed;

    if (inside) {
        missed = true; /* what we were woken for may be theirs */
        return;
    }
    inside = true;
    consoles_service();
    store_service();
    domains_service();
    inside = false;
    if (missed) {
        missed = false;
        loop_wake();
    }
}

/* Without a session: what is said here is nobody's answer. */
static void serve(void)
{
    struct session *outer = session;

    session = NULL;
    woken = false;
    if (look_at <= clock_now()) {
        look_at = FOREVER;
    }
    shell_service();
    wire_service();
    trace_service();
    serve_domains();
    session = outer;
}

/* Until the deadline, the time to look again, or an event. */
static void loop_sleep(uint64_t deadline)
{
    uint64_t until = MIN(deadline, look_at);

    upcalls_disable();
    if (!woken && until > clock_now()) {
        timer_set(until == FOREVER ? 0 : until);
        vcpu_block();
    }
    upcalls_enable();
}

static bool given_up(void)
{
    return ending || (session && session->cancelled);
}

bool loop_until(bool (*done)(void *arg), void *arg, uint64_t deadline)
{
    for (;;) {
        serve();
        if (done(arg)) {
            return true;
        }
        if (given_up() || clock_now() >= deadline) {
            return false;
        }
        loop_sleep(deadline);
    }
}

static bool never(void *arg)
{
    (void)arg;
    return false;
}

void loop_until_time(uint64_t deadline)
{
    loop_until(never, NULL, deadline);
}

static void timer_init(void)
{
    long port = event_bind_virq(VIRQ_TIMER, 0);

    if (port > 0) {
        event_handle((evtchn_port_t)port, 0, on_timer);
    } else {
        printf("control: no timer: %ld\n", port);
    }
}

const char *guest_main(void)
{
    memory_init();
    timer_init();
    archive_init();
    store_init();
    domains_init();
    wire_init();
    shell_init();
    loop_until_time(FOREVER);
    /* The host's last answer is still on its way. */
    clock_sleep(100 * MS);
    if (end_reason != SHUTDOWN_poweroff) {
        guest_shutdown(end_reason);
    }
    return NULL;
}
