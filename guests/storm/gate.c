/* SPDX-License-Identifier: MIT */
/*
 * gate.c - all vcpus of the storm wait for each other, asleep: by SCHEDOP_poll on a port that is
 * masked, or by SCHEDOP_block on one that is not. A timer of each vcpu goes off now and then, so
 * that a lost wake-up does not end the run. Whom it found blocked long after the gate had opened
 * had lost one; who was runnable then had to wait for a CPU.
 */
#include "storm.h"

static evtchn_port_t poll_ports[MAX_VCPUS], block_ports[MAX_VCPUS];
static volatile unsigned int arrived, generation = 1;
/* Of each vcpu: the gate that it waits at, since when, and how long it had been blocked before; the
 * gate that it was told is open, and when. */
static struct {
    volatile unsigned int at, told;
    volatile uint64_t since, blocked, told_when;
} waits[MAX_VCPUS];

#define LATE (400 * MS)

static void on_gate(evtchn_port_t port)
{
    (void)port;
}

/* Was this vcpu blocked for longer than it took until it was told? */
static void on_tick(evtchn_port_t port)
{
    unsigned int self = vcpu_self();
    struct vcpu_runstate_info state;
    uint64_t blocked, due;

    (void)port;
    if (waits[self].told != waits[self].at) {
        return;
    }
    vcpu_runstate(self, &state);
    blocked = state.time[RUNSTATE_blocked] - waits[self].blocked;
    due = waits[self].told_when - waits[self].since + LATE;
    if (blocked > due && my_count()->stalls++ < 4) {
        printf("storm: lost: vcpu %u slept for %lu ms behind the open gate\n", self,
               (blocked - due + LATE) / MS);
    }
}

static void note_wait(unsigned int self, unsigned int here)
{
    struct vcpu_runstate_info state;

    vcpu_runstate(self, &state);
    waits[self].blocked = state.time[RUNSTATE_blocked];
    waits[self].since = clock_now();
    waits[self].at = here;
}

static bool make(unsigned int v)
{
    long poll = event_bind_ipi(v), block = event_bind_ipi(v),
         timer = event_bind_virq(VIRQ_TIMER, v);

    if (poll < 0 || block < 0 || timer < 0) {
        return false;
    }
    poll_ports[v] = (evtchn_port_t)poll;
    event_mask(poll_ports[v]);
    block_ports[v] = (evtchn_port_t)block;
    event_handle(block_ports[v], v, on_gate);
    event_handle((evtchn_port_t)timer, v, on_tick);
    event_unmask_asked(block_ports[v]);
    event_unmask_asked((evtchn_port_t)timer);
    return true;
}

const char *gate_make(void)
{
    for (unsigned int v = 0; v < vcpus; v++) {
        if (!make(v)) {
            return "no ports for the vcpus";
        }
    }
    return NULL;
}

static void wait_polling(unsigned int self, unsigned int here)
{
    struct sched_poll poll = { .nr_ports = 1 };

    set_xen_guest_handle(poll.ports, &poll_ports[self]);
    for (;;) {
        event_clear(poll_ports[self]);
        if (generation != here) {
            return;
        }
        sched_op(SCHEDOP_poll, &poll);
    }
}

static void wait_blocking(unsigned int here)
{
    upcalls_disable();
    while (generation == here) {
        vcpu_block();
        upcalls_disable();
    }
    upcalls_enable();
}

static void release(unsigned int self, unsigned int here)
{
    arrived = 0;
    __atomic_fetch_add(&generation, 1, __ATOMIC_SEQ_CST);
    for (unsigned int v = 0; v < vcpus; v++) {
        if (v != self) {
            event_send(poll_ports[v]);
            event_send(block_ports[v]);
            waits[v].told_when = clock_now();
            waits[v].told = here;
        }
    }
}

void gate_wait(bool by_poll)
{
    unsigned int self = vcpu_self(), here = generation;

    note_wait(self, here);
    if (__atomic_add_fetch(&arrived, 1, __ATOMIC_SEQ_CST) == vcpus) {
        release(self, here);
        return;
    }
    if (by_poll) {
        wait_polling(self, here);
    } else {
        wait_blocking(here);
    }
}

unsigned int gate_waiting(void)
{
    return arrived;
}
