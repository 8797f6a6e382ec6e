/* SPDX-License-Identifier: MIT */
/*
 * starve.c - a plain guest that wants more of the CPUs than its share, or nobody else to have
 * theirs: all its vcpus, for seconds=N (default: without end), do what how= says.
 *   burn    compute
 *   yield   give way, without end
 *   timer   a timer in 10 us, and sleep
 *   poll    sleep for 10 us, work=N us of computing between (default 300)
 *   ipi     send events to all the others, without end
 *   wake    the first one sends to the others, which do nothing but sleep
 *   updown  take another one down and up
 *   calls   hypercalls that take the schedulers' locks
 *   count   the victim: prints each second what it got done, the longest time that it was
 *           away, and the time that it had
 */
#include "attack.h"

#define SHORT (10 * US)

static evtchn_port_t ports[MAX_VCPUS];
static unsigned int nr_vcpus;
static uint64_t deadline, work;
static void (*deed)(unsigned int self);

static void nothing(evtchn_port_t port)
{
    (void)port;
}

static evtchn_port_t listen(unsigned int vcpu, long port)
{
    if (port <= 0) {
        return 0;
    }
    event_handle((evtchn_port_t)port, vcpu, nothing);
    event_unmask((evtchn_port_t)port);
    return (evtchn_port_t)port;
}

/* As long as what takes an upcall is ours alone. */
static void sleep_till_event(void)
{
    upcalls_disable();
    vcpu_block();
}

static void burn(unsigned int self)
{
    (void)self;
    for (unsigned int i = 0; i < 1000; i++) {
        asm volatile("" ::: "memory");
    }
    cpu_relax(); /* an emulator goes to the next CPU */
}

static void yield(unsigned int self)
{
    (void)self;
    sched_op(SCHEDOP_yield, NULL);
}

static void timer(unsigned int self)
{
    (void)self;
    timer_set(clock_now() + SHORT);
    sleep_till_event();
}

static void nap(unsigned int self)
{
    struct sched_poll p = { .timeout = clock_now() + SHORT };
    uint64_t until;

    sched_op(SCHEDOP_poll, &p);
    until = clock_now() + work;
    while (clock_now() < until) {
        burn(self);
    }
}

static void send_all(unsigned int self)
{
    for (unsigned int v = 0; v < nr_vcpus; v++) {
        if (v != self) {
            event_send(ports[v]);
        }
    }
}

static void wake_all(unsigned int self)
{
    if (self) {
        sleep_till_event();
    } else {
        send_all(self);
    }
}

/* The odd ones are those that go. */
static void take_down(unsigned int self)
{
    unsigned int other = (self + 1) % nr_vcpus;

    if (self % 2 == 0 && other) {
        hypercall3(__HYPERVISOR_vcpu_op, VCPUOP_up, other, 0);
    } else {
        hypercall3(__HYPERVISOR_vcpu_op, VCPUOP_down, self, 0);
    }
}

static void call(unsigned int self)
{
    static struct vcpu_runstate_info info[MAX_VCPUS];

    hypercall3(__HYPERVISOR_vcpu_op, VCPUOP_get_runstate_info, self, ARG(&info[self]));
}

static void count(unsigned int self)
{
    uint64_t next = clock_now() + SEC, looked = clock_now(), now, longest = 0;
    struct vcpu_runstate_info begin, end;
    unsigned long loops = 0;

    vcpu_runstate(self, &begin);
    while ((now = clock_now()) < next) {
        longest = now - looked > longest ? now - looked : longest;
        looked = now;
        loops++;
        burn(self);
    }
    vcpu_runstate(self, &end);
    printf("attack: %lu loops, away %lu us, ran %lu us\n", loops, longest / US,
           (end.time[RUNSTATE_running] - begin.time[RUNSTATE_running]) / US);
}

static const struct {
    const char *how;
    void (*deed)(unsigned int self);
} deeds[] = {
    { "burn", burn },        { "yield", yield },  { "timer", timer },
    { "poll", nap },         { "ipi", send_all }, { "wake", wake_all },
    { "updown", take_down }, { "calls", call },   { "count", count },
};

static void run(void)
{
    unsigned int self = vcpu_self();

    upcalls_enable();
    while (clock_now() < deadline) {
        deed(self);
    }
}

const char *attack_starve(void)
{
    char how[16] = "burn";
    uint64_t seconds = arg_number("seconds", 1000000);

    arg_string("how", how, sizeof(how));
    for (unsigned int i = 0; i < sizeof(deeds) / sizeof(deeds[0]); i++) {
        deed = strcmp(how, deeds[i].how) == 0 ? deeds[i].deed : deed;
    }
    if (!deed) {
        return "no such how=";
    }
    nr_vcpus = vcpu_count();
    work = arg_number("work", 300) * US;
    deadline = clock_now() + seconds * SEC;
    for (unsigned int v = 0; v < nr_vcpus; v++) {
        ports[v] = listen(v, event_bind_ipi(v));
        listen(v, event_bind_virq(VIRQ_TIMER, v));
    }
    for (unsigned int v = 1; v < nr_vcpus; v++) {
        vcpu_start(v, run);
    }
    run();
    return NULL;
}
