/* SPDX-License-Identifier: MIT */
/*
 * cmd_top.c - top: a table of domains, again every few seconds, in xentop's columns as far as they
 * are about CPUs and memory. CPU(%) is of one CPU, over the time since the table before.
 */
#include "shell.h"

#define SEEN_MAX 128u

struct top {
    bool batch;
    bool quit;
    uint64_t period; /* ns */
    uint64_t left;   /* tables still to print; 0: no end */
    uint64_t taken;  /* when the last was */
    unsigned int nr_seen;
    struct {
        domid_t domid;
        uint64_t cpu_time;
    } seen[SEEN_MAX];
};

static uint64_t seen_before(const struct top *t, domid_t domid, uint64_t otherwise)
{
    for (unsigned int i = 0; i < t->nr_seen; i++) {
        if (t->seen[i].domid == domid) {
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

static void line_print(const struct top *t, const struct xen_domctl_getdomaininfo *info,
                       uint64_t now, uint64_t host_pages)
{
    uint64_t ran = info->cpu_time - seen_before(t, info->domain, info->cpu_time);
    char state[STATE_SIZE], cpu[SECONDS_SIZE], mem[SECONDS_SIZE], max[SECONDS_SIZE];
    bool limited = info->max_pages < host_pages;

    state_format(info, "dsbcpr", state);
    out("%10s %6s %10lu %6s %10lu %6s", domid_name(info->domain), state, info->cpu_time / SEC,
        tenths_format(cpu, sizeof(cpu), t->taken ? share(ran, now - t->taken) : 0),
        info->tot_pages * 4, tenths_format(mem, sizeof(mem), share(info->tot_pages, host_pages)));
    if (limited) {
        out(" %10lu %9s", info->max_pages * 4,
            tenths_format(max, sizeof(max), share(info->max_pages, host_pages)));
    } else {
        out(" %10s %9s", "no limit", "n/a");
    }
    out(" %5u\n", info->nr_online_vcpus);
}

static void remember(struct top *t, const struct xen_domctl_getdomaininfo *list, long n)
{
    t->nr_seen = (unsigned int)MIN(n, (long)SEEN_MAX);
    for (unsigned int i = 0; i < t->nr_seen; i++) {
        t->seen[i].domid = list[i].domain;
        t->seen[i].cpu_time = list[i].cpu_time;
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
    out("%10s %6s %10s %6s %10s %6s %10s %9s %5s\n", "NAME", "STATE", "CPU(sec)", "CPU(%)",
        "MEM(k)", "MEM(%)", "MAXMEM(k)", "MAXMEM(%)", "VCPUS");
    for (long i = 0; i < n; i++) {
        line_print(t, &list[i], now, host.total_pages);
    }
    remember(t, list, n);
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
    options_init(&o, argc, argv, "bn:i:d:", "batch=b iterations=i delay=d");
    while ((c = options_next(&o))) {
        bool good = c != '?';

        t->batch |= c == 'b';
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
    .usage = "[-b] [-n COUNT] [-d SECONDS]",
    .help = "domains by CPU and memory, again and again; q ends it (-b: for scripts)",
    .run = run_top,
};
