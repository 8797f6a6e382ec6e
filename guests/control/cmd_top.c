/* SPDX-License-Identifier: MIT */
/*
 * cmd_top.c - top: a table of domains, again every few seconds, in xentop's columns as far as they
 * are about CPUs and memory; or of units, what a scheduler puts on CPUs: vcpus, and the threads of
 * emulators. CPU(%) is of one CPU, over the time since the table before.
 */
#include "tune.h"

#define SEEN_MAX 512u
#define WHOLE (~0u) /* of a domain: no vcpu of it, but all */

struct top {
    bool batch;
    bool units, json;
    bool quit;
    uint64_t period; /* ns */
    uint64_t left;   /* tables still to print; 0: no end */
    uint64_t taken;  /* when the last was */
    unsigned int nr_seen, nr_now;
    struct seen {
        domid_t domid;
        uint32_t vcpu;
        uint64_t cpu_time;
    } seen[SEEN_MAX], now[SEEN_MAX]; /* in the table before, in this one */
};

static uint64_t seen_before(const struct top *t, domid_t domid, uint32_t vcpu, uint64_t otherwise)
{
    for (unsigned int i = 0; i < t->nr_seen; i++) {
        if (t->seen[i].domid == domid && t->seen[i].vcpu == vcpu) {
            return MIN(t->seen[i].cpu_time, otherwise);
        }
    }
    return t->taken ? 0 : otherwise;
}

/* Tenths of a per cent. */
static uint64_t share(uint64_t part, uint64_t whole)
{
    return whole ? (part * 1000 + whole / 2) / whole : 0;
}

/* Tenths of a per cent that it had since the table before; what it has by now is kept for the next.
 */
static uint64_t ran(struct top *t, domid_t domid, uint32_t vcpu, uint64_t cpu_time, uint64_t now)
{
    uint64_t part = cpu_time - seen_before(t, domid, vcpu, cpu_time);

    if (t->nr_now < SEEN_MAX) {
        t->now[t->nr_now++] = (struct seen){ domid, vcpu, cpu_time };
    }
    return t->taken ? share(part, now - t->taken) : 0;
}

static void line_print(struct top *t, const struct xen_domctl_getdomaininfo *info, uint64_t now,
                       uint64_t host_pages)
{
    char state[STATE_SIZE], cpu[SECONDS_SIZE], mem[SECONDS_SIZE], max[SECONDS_SIZE];
    bool limited = info->max_pages < host_pages;

    state_format(info, "dsbcpr", state);
    out("%10s %6s %10lu %6s %10lu %6s", domid_name(info->domain), state, info->cpu_time / SEC,
        tenths_format(cpu, sizeof(cpu), ran(t, info->domain, WHOLE, info->cpu_time, now)),
        info->tot_pages * 4, tenths_format(mem, sizeof(mem), share(info->tot_pages, host_pages)));
    if (limited) {
        out(" %10lu %9s", info->max_pages * 4,
            tenths_format(max, sizeof(max), share(info->max_pages, host_pages)));
    } else {
        out(" %10s %9s", "no limit", "n/a");
    }
    out(" %5u\n", info->nr_online_vcpus);
}

/* ---- units ---- */

static const char *unit_state(const struct xen_domctl_getvcpuinfo *info)
{
    return !info->online ? "down" : info->running ? "run" : info->blocked ? "block" : "wait";
}

static void unit_print(struct top *t, domid_t domid, domid_t client,
                       const struct xen_domctl_getvcpuinfo *info, uint64_t now)
{
    char unit[UNIT_NAME_SIZE], cpu[SECONDS_SIZE];
    uint64_t tenths = ran(t, domid, info->vcpu, info->cpu_time, now);

    unit_name(unit, domid, client, info->vcpu);
    if (!t->json) {
        out("%10s %6s %10lu %6s %5u %s\n", unit, unit_state(info), info->cpu_time / SEC,
            tenths_format(cpu, sizeof(cpu), tenths), info->cpu, domid_name(domid));
        return;
    }
    json_object();
    json_text("unit", unit);
    json_text("name", domid_name(domid));
    json_count("domid", domid);
    json_count("vcpu", info->vcpu);
    json_text("state", unit_state(info));
    json_count("cpu", info->cpu);
    json_count("cpu_ns", info->cpu_time);
    json_count("permille", tenths);
    json_end();
}

static void units_of(struct top *t, domid_t domid, domid_t client, uint64_t now)
{
    struct xen_domctl op = { .cmd = XEN_DOMCTL_getvcpuinfo, .domain = domid };
    struct xen_domctl_getdomaininfo info;
    uint32_t n = domain_info(domid, &info) ? 0 : MIN(vcpus_of(&info), VCPUS_MAX);

    for (uint32_t v = 0; v < n; v++) {
        op.u.getvcpuinfo.vcpu = v;
        if (domctl(&op) == 0) {
            unit_print(t, domid, client, &op.u.getvcpuinfo, now);
        }
    }
}

/* An emulator's stand behind its client's. */
static void units_print(struct top *t, const struct xen_domctl_getdomaininfo *list, long n,
                        uint64_t now)
{
    if (t->json) {
        json_array();
    } else {
        out("%10s %6s %10s %6s %5s %s\n", "UNIT", "STATE", "CPU(sec)", "CPU(%)", "CPU", "NAME");
    }
    for (long i = 0; i < n; i++) {
        domid_t domid = list[i].domain, stub = emulator_of(domid);

        if (client_of(domid) != DOMID_INVALID) {
            continue;
        }
        units_of(t, domid, DOMID_INVALID, now);
        if (stub != DOMID_INVALID) {
            units_of(t, stub, domid, now);
        }
    }
    if (t->json) {
        json_done();
    }
}

/* ---- tables ---- */

static void domains_print(struct top *t, const struct xen_domctl_getdomaininfo *list, long n,
                          uint64_t now, uint64_t host_pages)
{
    out("%10s %6s %10s %6s %10s %6s %10s %9s %5s\n", "NAME", "STATE", "CPU(sec)", "CPU(%)",
        "MEM(k)", "MEM(%)", "MAXMEM(k)", "MAXMEM(%)", "VCPUS");
    for (long i = 0; i < n; i++) {
        line_print(t, &list[i], now, host_pages);
    }
}

static void table_print(struct top *t)
{
    struct xen_domctl_getdomaininfo *list;
    struct xen_sysctl_physinfo host = { 0 };
    uint64_t now = clock_now();
    long n = domain_infos(&list);

    if (n < 0) {
        fail_errno(n, "list of domains");
        t->quit = true;
        return;
    }
    physinfo_get(&host);
    if (!t->batch) {
        out("\033[H\033[J%ld domains, %u CPUs, %lu KiB of %lu KiB free; q ends this\n", n,
            host.nr_cpus, host.free_pages * 4, host.total_pages * 4);
    }
    t->nr_now = 0;
    if (t->units) {
        units_print(t, list, n, now);
    } else {
        domains_print(t, list, n, now, host.total_pages);
    }
    memcpy(t->seen, t->now, t->nr_now * sizeof(t->seen[0]));
    t->nr_seen = t->nr_now;
    t->taken = now;
    release(list);
}

static bool quit_asked(void *arg)
{
    struct top *t = arg;
    int key;

    while (!t->batch && (key = shell_key()) >= 0) {
        t->quit |= key == 'q' || key == 'Q' || key == 3;
    }
    return t->quit;
}

static void top_run(struct top *t)
{
    while (!t->quit) {
        table_print(t);
        if ((t->left && --t->left == 0) || t->quit) {
            break;
        }
        if (loop_until(quit_asked, t, clock_now() + t->period) || session->cancelled ||
            loop_ending()) {
            break;
        }
    }
}

static int run_top(int argc, char **argv)
{
    struct top *t = allocate(sizeof(*t));
    uint64_t seconds = 3;
    struct options o;
    int c;

    if (!t) {
        return fail_errno(-XEN_ENOMEM, "table");
    }
    options_init(&o, argc, argv, "bvjn:i:d:", "batch=b vcpus=v json=j iterations=i delay=d");
    while ((c = options_next(&o))) {
        bool good = c != '?';

        t->batch |= c == 'b' || c == 'j';
        t->units |= c == 'v' || c == 'j';
        t->json |= c == 'j';
        if (c == 'n' || c == 'i') {
            good = number_parse(o.value, 1000000, &t->left) && t->left;
        } else if (c == 'd') {
            good = number_parse(o.value, 3600, &seconds) && seconds;
        }
        if (!good) {
            release(t);
            return USAGE;
        }
    }
    if (o.nr_rest) {
        release(t);
        return USAGE;
    }
    t->batch |= !session->tty;
    t->period = seconds * SEC;
    shell_raw(!t->batch);
    top_run(t);
    shell_raw(false);
    release(t);
    return 0;
}

const struct command cmd_top = {
    .name = "top",
    .usage = "[-bvj] [-n COUNT] [-d SECONDS]",
    .help = "domains by CPU and memory, again and again; q ends it (-v: vcpus and emulators' "
            "threads, -b: for scripts)",
    .run = run_top,
};
