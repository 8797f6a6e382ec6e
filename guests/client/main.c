/* SPDX-License-Identifier: MIT */
/*
 * client - uses the devices that its emulator serves, and tells how that goes. vcpu 0 does it.
 * Arguments:
 *   disk, echo       which devices, all of that kind (default disk)
 *   rate=N, flood    requests a second to each device (default 100), or as many as there may be
 *   depth=N size=N   requests under way (default 8), bytes of each (default 4096; echo: 0 to 48)
 *   verify           parts of the disk are written and read at random, and compared
 *   burn             vcpus 1 and up compute
 *   seconds=N        until the devices are closed (default 0: never), rounds=N times (default 1)
 *   bad, overrun     requests that can't be done first; a ring that claims too many
 *   hostile=N seed=N does so many things to each disk first that nobody should do
 * Each second, and in the end about all:
 *   client: t=3.000 requests=100 bytes=409600 errors=0 p50=85us p99=210us vcpus=1.3 99.9
 * p50 and p99 are of the time from when a request was due to its answer; vcpus tells what share of
 * a CPU each vcpu had.
 */
#include "client.h"

#define PATIENCE (20 * SEC)
#define RECLAIM_EVERY (10 * MS)

const char guest_name[] = "client";

struct options options;

static volatile bool timer_fired;
static unsigned int vcpus;

struct sample {
    uint64_t at;
    uint64_t running[MAX_VCPUS];
};

/* ---- reports ---- */

static void take(struct sample *sample)
{
    struct vcpu_runstate_info info;

    sample->at = clock_now();
    for (unsigned int v = 0; v < vcpus; v++) {
        vcpu_runstate(v, &info);
        sample->running[v] = info.time[RUNSTATE_running];
    }
}

static void shares_text(char *text, size_t size, const struct sample *from, const struct sample *to)
{
    uint64_t passed = to->at - from->at;
    size_t n = 0;

    for (unsigned int v = 0; v < vcpus && n + 16 < size; v++) {
        uint64_t ran = to->running[v] - from->running[v];
        uint64_t share = passed ? (ran * 1000 + passed / 2) / passed : 0;

        n += (size_t)fmt_snprintf(text + n, size - n, "%s%lu.%lu", v ? " " : "", share / 10,
                                  share % 10);
    }
}

static void report(const char *when, const struct stats *stats, const struct sample *from,
                   const struct sample *to)
{
    static char shares[300];

    shares_text(shares, sizeof(shares), from, to);
    printf("client: %s requests=%lu bytes=%lu errors=%lu p50=%luus p99=%luus vcpus=%s\n", when,
           stats->requests, stats->bytes, stats->errors, stats_quantile(stats, 500) / US,
           stats_quantile(stats, 990) / US, shares);
}

/* ---- waiting ---- */

static void on_timer(evtchn_port_t port)
{
    (void)port;
    timer_fired = true;
}

static bool any_kicked(void)
{
    for (unsigned int i = 0; i < nr_fronts; i++) {
        if (fronts[i].kicked) {
            return true;
        }
    }
    return false;
}

/* What becomes due before the deadline ends the sleep as well; answers and events anyway. */
static void sleep_until(uint64_t deadline, bool asks)
{
    for (unsigned int i = 0; i < nr_fronts; i++) {
        struct front *f = &fronts[i];
        uint64_t due = asks ? load_due(f) : ~0UL;

        if (f->state != FRONT_UP) {
            continue;
        }
        f->kicked = false;
        if (load_answered(f)) {
            return;
        }
        deadline = due < deadline ? due : deadline;
    }
    if (fronts_any(FRONT_RECLAIMS) && deadline > clock_now() + RECLAIM_EVERY) {
        deadline = clock_now() + RECLAIM_EVERY;
    }
    timer_fired = false;
    if (deadline <= clock_now() || timer_set(deadline)) {
        return;
    }
    wait_until(timer_fired || any_kicked() || xs_event_waits());
}

static const char *turn(bool asks)
{
    const char *why = NULL;

    fronts_follow();
    for (unsigned int i = 0; i < nr_fronts && !why; i++) {
        if (fronts[i].state == FRONT_UP) {
            why = load_turn(&fronts[i], asks);
        }
    }
    guest_serve();
    return why;
}

static bool all_up(void)
{
    return fronts_all(FRONT_UP);
}

static bool all_idle(void)
{
    return fronts_all(FRONT_IDLE);
}

/* A front that is parted has nothing under way. */
static bool all_quiet(void)
{
    for (unsigned int i = 0; i < nr_fronts; i++) {
        if (fronts[i].state == FRONT_UP &&
            (fronts[i].sweeping ? !verify_swept(&fronts[i]) : fronts[i].busy)) {
            return false;
        }
    }
    return true;
}

static const char *until(bool (*done)(void), bool asks, const char *otherwise)
{
    uint64_t deadline = clock_now() + PATIENCE;
    const char *why = turn(asks);

    while (!done() && !why) {
        if (clock_now() > deadline) {
            return otherwise;
        }
        sleep_until(deadline, asks);
        why = turn(asks);
    }
    return why;
}

/* ---- the whole ---- */

static void spin(void)
{
    for (;;) {
        for (unsigned int i = 0; i < 100; i++) {
            asm volatile("" ::: "memory");
        }
        cpu_relax();
        vcpu_check();
    }
}

static const char *read_options(void)
{
    options.echo = arg_flag("echo");
    options.disk = arg_flag("disk") || !options.echo;
    options.flood = arg_flag("flood");
    options.verify = arg_flag("verify");
    options.rate = arg_number("rate", 100);
    options.depth = arg_number("depth", 8);
    options.size = arg_number("size", options.disk ? 4096 : 0);
    options.echo_size = options.disk ? 0 : options.size;
    options.seconds = arg_number("seconds", 0);
    options.rounds = arg_number("rounds", 1);
    if (!options.depth || (!options.rate && !options.flood)) {
        return "depth=0, or rate=0";
    }
    if (options.disk && (!options.size || options.size % SECTOR_SIZE || options.size > BYTES_MAX)) {
        return "size is no number of sectors from 1 to 88";
    }
    return options.echo_size > ECHOIF_BYTES ? "size is over 48" : NULL;
}

static const char *misbehave(void)
{
    for (unsigned int i = 0; i < nr_fronts; i++) {
        const char *why = fronts[i].disk && arg_flag("bad") ? bad_requests(&fronts[i]) : NULL;

        if (why) {
            return why;
        }
        if (fronts[i].disk && arg_number("hostile", 0)) {
            hostile(&fronts[i], arg_number("hostile", 0));
        }
        if (fronts[i].disk && arg_flag("overrun")) {
            bad_ring(&fronts[i]);
        }
    }
    return NULL;
}

static const char *start(void)
{
    const char *why = read_options();
    uint64_t deadline = clock_now() + PATIENCE;
    long port = event_bind_virq(VIRQ_TIMER, 0);

    if (why || port < 0) {
        return why ? why : "no port for the timer";
    }
    event_handle((evtchn_port_t)port, 0, on_timer);
    if (grant_start() < 0 || !xs_present()) {
        return "no grant tables, or no store";
    }
    vcpus = vcpu_count();
    if (arg_flag("burn") && vcpus > 1 && vcpus_start(vcpus, spin)) {
        return "a vcpu does not start";
    }
    while (!fronts_find()) {
        if (clock_now() > deadline) {
            return "there are no devices";
        }
        clock_sleep(100 * MS);
    }
    why = load_prepare();
    why = why ? why : until(all_up, false, "a device does not connect");
    why = why ? why : misbehave();
    return why ? why : until(all_up, false, "a device does not connect again");
}

static const char *load_for_a_while(const struct sample *first)
{
    static struct sample before, now;
    char when[32];
    uint64_t begin = clock_now(), next = begin + SEC;
    const char *why = NULL;

    take(&before);
    for (unsigned long n = 1; !why && (!options.seconds || n <= options.seconds); n++) {
        while (!why && clock_now() < next) {
            why = turn(true);
            sleep_until(next, true);
        }
        take(&now);
        fmt_snprintf(when, sizeof(when), "t=%lu.%03lu", (now.at - first->at) / SEC,
                     (now.at - first->at) / MS % 1000);
        report(when, &second, &before, &now);
        memset(&second, 0, sizeof(second));
        before = now;
        next += SEC;
    }
    return why;
}

static void sweep(bool on)
{
    for (unsigned int i = 0; i < nr_fronts; i++) {
        fronts[i].sweeping = on;
        fronts[i].sweep_at = fronts[i].disk ? 0 : ~0UL;
    }
}

static const char *round_run(const struct sample *first)
{
    const char *why = load_for_a_while(first);

    why = why ? why : until(all_quiet, false, "answers are missing");
    if (!why && options.verify) {
        sweep(true);
        why = until(all_quiet, true, "answers are missing");
        sweep(false);
    }
    if (!why) {
        fronts_close();
        why = until(all_idle, false, "a device does not close");
    }
    return why;
}

const char *guest_main(void)
{
    static struct sample first, last;
    const char *why = start();

    take(&first);
    for (unsigned long n = 0; n < options.rounds && !why; n++) {
        if (n) {
            fronts_open();
            why = until(all_up, false, "a device does not connect again");
        }
        why = why ? why : round_run(&first);
    }
    take(&last);
    report("total", &total, &first, &last);
    return why;
}
