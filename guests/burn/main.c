/* SPDX-License-Identifier: MIT */
/*
 * burn - computes without end and tells what share of a CPU it got, by its
 * runstate: time running against system time, each second and over all.
 * Arguments: seconds=N (default 10), vcpus=N (default 1).
 */
#include "guest.h"

const char guest_name[] = "burn";

struct sample {
    uint64_t at;
    uint64_t running[MAX_VCPUS];
};

static unsigned int vcpus;
static volatile bool stop;

/* Between two looks at the clock so much more passes only if another had the CPU. */
#define AWAY (200 * US)
static struct {
    unsigned long times;
    uint64_t longest, looked;
} away;

/* Computes for a while: a pause each few instructions is dear under an emulator. */
static void compute(void)
{
    for (unsigned int i = 0; i < 100; i++) {
        asm volatile("" ::: "memory");
    }
    cpu_relax();
}

static void spin(void)
{
    while (!stop) {
        compute();
        vcpu_check();
    }
}

static void take(struct sample *sample)
{
    struct vcpu_runstate_info info;

    sample->at = clock_now();
    for (unsigned int v = 0; v < vcpus; v++) {
        vcpu_runstate(v, &info);
        sample->running[v] = info.time[RUNSTATE_running];
    }
}

static uint64_t look(void)
{
    uint64_t now = clock_now(), passed = now - away.looked;

    if (passed > AWAY) {
        away.times++;
        away.longest = passed > away.longest ? passed : away.longest;
    }
    away.looked = now;
    return now;
}

static void away_print(void)
{
    printf("burn: away %lu times, longest %lu us\n", away.times, away.longest / US);
    away.times = 0;
    away.longest = 0;
    away.looked = clock_now();
}

/* In tenths of a per cent. */
static unsigned long share(uint64_t running, uint64_t passed)
{
    return passed ? (running * 1000 + passed / 2) / passed : 0;
}

/* "33.3" or, of several vcpus, "99.9 (33.3 66.6)". */
static void shares_text(char *text, size_t size, const struct sample *from, const struct sample *to)
{
    uint64_t passed = to->at - from->at, sum = 0;
    int n = 0;

    for (unsigned int v = 0; v < vcpus; v++) {
        sum += to->running[v] - from->running[v];
    }
    n = fmt_snprintf(text, size, "%lu.%lu", share(sum, passed) / 10, share(sum, passed) % 10);
    for (unsigned int v = 0; vcpus > 1 && v < vcpus && (size_t)n + 16 < size; v++) {
        unsigned long s = share(to->running[v] - from->running[v], passed);

        n += fmt_snprintf(text + n, size - (size_t)n, "%s%lu.%lu%s", v ? " " : " (", s / 10, s % 10,
                          v == vcpus - 1 ? ")" : "");
    }
}

const char *guest_main(void)
{
    static struct sample first, before, now;
    static char text[360];
    unsigned long seconds = arg_number("seconds", 10);
    bool tells_away = arg_flag("away");

    vcpus = (unsigned int)arg_number("vcpus", 1);
    if (vcpus < 1 || vcpus > vcpu_count()) {
        return "there are not as many vcpus";
    }
    if (vcpus_start(vcpus, spin)) {
        return "a vcpu does not start";
    }
    take(&first);
    before = first;
    away.looked = first.at;
    for (unsigned long s = 1; s <= seconds; s++) {
        while (look() < first.at + s * SEC) {
            compute();
            guest_serve();
        }
        take(&now);
        shares_text(text, sizeof(text), &before, &now);
        printf("burn: t=%lu.%03lu share=%s%%\n", (now.at - first.at) / SEC,
               (now.at - first.at) / MS % 1000, text);
        if (tells_away) {
            away_print();
        }
        before = now;
    }
    stop = true;
    shares_text(text, sizeof(text), &first, &now);
    printf("burn: share over %lu.%lu s: %s%%\n", (now.at - first.at) / SEC,
           (now.at - first.at) / (100 * MS) % 10, text);
    return NULL;
}
