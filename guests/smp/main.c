/* SPDX-License-Identifier: MIT */
/*
 * smp - brings up all vcpus, sends IPIs from each to each, counts them at both
 * ends, and takes the last vcpu down and up again. Arguments: vcpus=N (default:
 * all there are), rounds=N IPIs per ordered pair (default 100).
 * With "counters" each vcpu counts on its own instead, and vcpu 0 prints all
 * counters once a second, for ever or seconds=N; vcpus go down and come up as
 * the control domain wants it, and meanwhile their counters stand still.
 * With "spin" vcpus 0 and 1 pass a lock to and fro as fast as they can, each spinning
 * until it is its turn, and how often is told once a second, for seconds=N (default 5).
 */
#include "guest.h"

const char guest_name[] = "smp";

#define TIMEOUT (20 * SEC)
#define VCPUS_LIMIT 63U /* n * n ports are needed, and there are 4095 */

static unsigned int vcpus;
static unsigned long rounds;
/* The port that vcpu [from] sends on to reach vcpu [to], and who is behind a port. */
static evtchn_port_t ports[MAX_VCPUS][MAX_VCPUS];
static struct {
    uint8_t from, to;
} ends[NR_PORTS];
static volatile unsigned long sent[MAX_VCPUS][MAX_VCPUS], received[MAX_VCPUS][MAX_VCPUS];
/* By these, masked for good, a vcpu hears that an IPI of its own has arrived. */
static evtchn_port_t answers[MAX_VCPUS];
static volatile bool go;
static volatile unsigned int ready, done, runs[MAX_VCPUS];

static void on_ipi(evtchn_port_t port)
{
    received[ends[port].from][ends[port].to]++;
    event_send(answers[ends[port].from]);
}

static bool channel_make(unsigned int from, unsigned int to)
{
    long port = event_bind_ipi(to);

    if (port < 0) {
        printf("smp: bind_ipi from %u to %u: %ld\n", from, to, port);
        return false;
    }
    ports[from][to] = (evtchn_port_t)port;
    ends[port].from = (uint8_t)from;
    ends[port].to = (uint8_t)to;
    event_handle((evtchn_port_t)port, to, on_ipi);
    return true;
}

static bool all_arrived(unsigned int from)
{
    for (unsigned int to = 0; to < vcpus; to++) {
        if (received[from][to] < sent[from][to]) {
            return false;
        }
    }
    return true;
}

/* Sleeps until an answer is pending: whoever spins keeps others from a pcpu. */
static bool wait_arrived(unsigned int self)
{
    uint64_t deadline = clock_now() + TIMEOUT;
    struct sched_poll poll = { .nr_ports = 1, .timeout = deadline };

    set_xen_guest_handle(poll.ports, &answers[self]);
    for (;;) {
        event_clear(answers[self]);
        if (all_arrived(self)) {
            return true;
        }
        if (clock_now() > deadline) {
            return false;
        }
        sched_op(SCHEDOP_poll, &poll);
    }
}

/* One IPI at a time to each of the others: a second would merge with the first. */
static void send_all(unsigned int self)
{
    for (unsigned long round = 0; round < rounds; round++) {
        for (unsigned int to = 0; to < vcpus; to++) {
            if (to != self) {
                sent[self][to]++;
                event_send(ports[self][to]);
            }
        }
        if (!wait_arrived(self)) {
            return;
        }
    }
}

static void ap_main(void)
{
    unsigned int self = vcpu_self();

    runs[self]++;
    if (runs[self] > 1) {
        return;
    }
    __atomic_add_fetch(&ready, 1, __ATOMIC_SEQ_CST);
    while (!go) {
        clock_sleep(MS);
    }
    send_all(self);
    __atomic_add_fetch(&done, 1, __ATOMIC_SEQ_CST);
    /* Stays up for the others' IPIs until all have sent theirs. */
    while (done < vcpus) {
        clock_sleep(MS);
    }
}

static bool wait_count(volatile unsigned int *count, unsigned int n)
{
    uint64_t deadline = clock_now() + 2 * TIMEOUT;

    while (*count < n) {
        if (clock_now() > deadline) {
            return false;
        }
        clock_sleep(MS);
    }
    return true;
}

static bool answer_make(unsigned int vcpu)
{
    long port = event_bind_ipi(vcpu);

    if (port < 0) {
        printf("smp: bind_ipi to %u: %ld\n", vcpu, port);
        return false;
    }
    answers[vcpu] = (evtchn_port_t)port;
    event_mask((evtchn_port_t)port);
    return true;
}

static const char *bring_up(void)
{
    for (unsigned int from = 0; from < vcpus; from++) {
        if (!answer_make(from)) {
            return "no channel";
        }
        for (unsigned int to = 0; to < vcpus; to++) {
            if (from != to && !channel_make(from, to)) {
                return "no channel";
            }
        }
    }
    for (unsigned int v = 1; v < vcpus; v++) {
        long rc = vcpu_start(v, ap_main);

        if (rc) {
            printf("smp: vcpu %u: %ld\n", v, rc);
            return "a vcpu does not start";
        }
    }
    if (!wait_count(&ready, vcpus - 1)) {
        return "a vcpu does not come up";
    }
    printf("smp: %u vcpus up\n", vcpus);
    return NULL;
}

static unsigned long report(void)
{
    unsigned long total = 0, lost = 0;

    for (unsigned int to = 0; to < vcpus; to++) {
        unsigned long in = 0, out = 0;

        for (unsigned int from = 0; from < vcpus; from++) {
            in += received[from][to];
            out += sent[to][from];
            lost += sent[from][to] - received[from][to];
        }
        total += in;
        printf("smp: vcpu %u sent %lu received %lu\n", to, out, in);
    }
    printf("smp: %u vcpus, %lu ipis, %lu lost\n", vcpus, total, lost);
    return lost;
}

static const char *down_and_up(unsigned int v)
{
    if (!vcpu_wait_down(v)) {
        return "a vcpu does not go down";
    }
    if (vcpu_start(v, ap_main) || !wait_count(&runs[v], 2) || !vcpu_wait_down(v)) {
        return "a vcpu does not come up again";
    }
    printf("smp: vcpu %u down, up and down again\n", v);
    return NULL;
}

static volatile unsigned long counters[MAX_VCPUS];

static void count(void)
{
    for (;;) {
        counters[vcpu_self()]++;
        cpu_relax();
        vcpu_check();
    }
}

static void print_counters(void)
{
    static char text[400];
    int n = 0;

    for (unsigned int v = 0; v < vcpus && (size_t)n + 24 < sizeof(text); v++) {
        n += fmt_snprintf(text + n, sizeof(text) - (size_t)n, " %lu", counters[v]);
    }
    printf("smp: counters%s\n", text);
}

static const char *run_counters(unsigned long seconds)
{
    uint64_t start = clock_now();

    if (vcpus_start(vcpus, count)) {
        return "a vcpu does not start";
    }
    for (unsigned long s = 1; !seconds || s <= seconds; s++) {
        while (clock_now() < start + s * SEC) {
            counters[0]++;
            cpu_relax();
            guest_serve();
        }
        print_counters();
    }
    return NULL;
}

/* Whose turn it is. A vcpu that has no CPU when it is its turn stalls the other. */
static volatile unsigned int turn;
static volatile unsigned long handed_over;

static void hand_over(unsigned int self)
{
    for (unsigned int looks = 1; turn != self; looks++) {
        if (looks % 64 == 0) { /* a pause is dear under an emulator */
            cpu_relax();
        }
    }
    handed_over++;
    turn = !self;
}

static void spin_second(void)
{
    for (;;) {
        hand_over(1);
    }
}

static const char *run_spin(unsigned long seconds)
{
    uint64_t start;

    if (vcpu_count() < 2 || vcpus_start(2, spin_second)) {
        return "a vcpu does not start";
    }
    start = clock_now();
    for (unsigned long s = 1; s <= seconds; s++) {
        unsigned long before = handed_over;

        while (clock_now() < start + s * SEC) {
            hand_over(0);
            guest_serve();
        }
        printf("smp: the lock changed hands %lu times in a second\n", handed_over - before);
    }
    return NULL;
}

const char *guest_main(void)
{
    unsigned int all = vcpu_count();
    const char *failure;

    vcpus = (unsigned int)arg_number("vcpus", all < VCPUS_LIMIT ? all : VCPUS_LIMIT);
    rounds = arg_number("rounds", 100);
    if (vcpus < 1 || vcpus > all || vcpus > VCPUS_LIMIT) {
        return "there are not as many vcpus";
    }
    if (arg_flag("counters")) {
        return run_counters(arg_number("seconds", 0));
    }
    if (arg_flag("spin")) {
        return run_spin(arg_number("seconds", 5));
    }
    failure = bring_up();
    if (failure) {
        return failure;
    }
    go = true;
    send_all(0);
    __atomic_add_fetch(&done, 1, __ATOMIC_SEQ_CST);
    if (!wait_count(&done, vcpus)) {
        report();
        return "a vcpu does not finish";
    }
    if (report()) {
        return "ipis lost";
    }
    return vcpus > 1 ? down_and_up(vcpus - 1) : NULL;
}
