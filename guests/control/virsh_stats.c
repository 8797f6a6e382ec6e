/* SPDX-License-Identifier: MIT */
/*
 * virsh_stats.c - what domains have computed: cpu-stats, domstats. A domain's time is that of its
 * vcpus and of its emulator's, iothreads and all.
 */
#include "tune.h"
#include "virsh.h"

static uint64_t emulator_time(const struct virsh_domain *d)
{
    struct xen_domctl_getdomaininfo info;
    const struct domain *emulator = virsh_emulator(d);

    return emulator && domain_info(emulator->domid, &info) == 0 ? info.cpu_time : 0;
}

static void time_print(const char *name, uint64_t ns)
{
    out("\t%-12s %10lu.%09lu seconds\n", name, ns / SEC, ns % SEC);
}

static void times_print(uint64_t vcpus, uint64_t emulator)
{
    time_print("cpu_time", vcpus + emulator);
    time_print("vcpu_time", vcpus);
}

static void cpu_print(const struct virsh_domain *d, uint32_t cpu)
{
    const struct domain *emulator = virsh_emulator(d);
    uint64_t vcpus = 0, other = 0;

    (void)cpu_time_get(d->live->domid, cpu, &vcpus);
    if (emulator) {
        (void)cpu_time_get(emulator->domid, cpu, &other);
    }
    out("CPU%u:\n", cpu);
    times_print(vcpus, other);
}

static int cpus_print(const struct virsh_domain *d, uint32_t nr)
{
    uint32_t start = 0, count = nr;

    (void)virsh_number("start", &start);
    (void)virsh_number("count", &count);
    if (start >= nr) {
        return virsh_error("Start CPU %u is out of range (min: 0, max: %u)", start, nr - 1);
    }
    for (uint32_t cpu = start; cpu < nr && cpu - start < count; cpu++) {
        cpu_print(d, cpu);
    }
    return 0;
}

/* All CPUs and the total; or of these what was asked for. */
static int run_cpu_stats(void)
{
    struct virsh_domain d;
    uint32_t n;
    bool some, total;

    if (!virsh_domain(&d)) {
        return 1;
    }
    if (!d.live) {
        virsh_error("Failed to retrieve CPU statistics for domain '%s'", d.name);
        return virsh_error(NOT_VALID "domain is not running");
    }
    some = virsh_number("start", &n) || virsh_number("count", &n);
    total = virsh_flag("total");
    if ((some || !total) && cpus_print(&d, cpu_host_get()->nr_cpus)) {
        return 1;
    }
    if (total || !some) {
        out("Total:\n");
        times_print(d.info.cpu_time, emulator_time(&d));
    }
    return 0;
}

const struct virsh_word virsh_cpu_stats = {
    .name = "cpu-stats",
    .help = "show domain cpu statistics",
    .options = { { "domain", VIRSH_TEXT },
                 { "total", VIRSH_FLAG },
                 { "start", VIRSH_NAMED_NUMBER },
                 { "count", VIRSH_NAMED_NUMBER } },
    .run = run_cpu_stats,
};

/* ---- domstats ---- */

/* virDomainState */
static unsigned int state_number(const struct virsh_domain *d)
{
    static const char *const states[] = { "",         "running", "", "paused", "in shutdown",
                                          "shut off", "crashed" };
    unsigned int i = 1;

    while (i < ARRAY_SIZE(states) && strcmp(states[i], virsh_state(d))) {
        i++;
    }
    return i < ARRAY_SIZE(states) ? i : 0;
}

static void vcpus_print(const struct virsh_domain *d, uint32_t maximum)
{
    out("  vcpu.current=%u\n  vcpu.maximum=%u\n", d->live ? d->info.nr_online_vcpus : 0, maximum);
    for (uint32_t v = 0; d->live && v < vcpus_of(&d->info); v++) {
        struct xen_domctl op = { .cmd = XEN_DOMCTL_getvcpuinfo, .domain = d->live->domid };

        op.u.getvcpuinfo.vcpu = v;
        if (domctl(&op) == 0) {
            /* VIR_VCPU_OFFLINE, RUNNING, BLOCKED */
            out("  vcpu.%u.state=%u\n  vcpu.%u.time=%lu\n", v,
                !op.u.getvcpuinfo.online   ? 0
                : op.u.getvcpuinfo.blocked ? 2
                                           : 1,
                v, op.u.getvcpuinfo.cpu_time);
        }
    }
}

static int stats_print(const struct virsh_domain *d)
{
    bool all = !virsh_flag("state") && !virsh_flag("cpu-total") && !virsh_flag("vcpu") &&
               !virsh_flag("balloon");
    struct config *defined = d->live ? NULL : definition_config(d->def);
    const struct config *c = d->live ? virsh_live_config(d) : defined;

    if (!c) {
        return 1;
    }
    out("Domain: '%s'\n", d->name);
    if (all || virsh_flag("state")) {
        out("  state.state=%u\n  state.reason=0\n", state_number(d));
    }
    if ((all || virsh_flag("cpu-total")) && d->live) {
        out("  cpu.time=%lu\n", d->info.cpu_time + emulator_time(d));
    }
    if (all || virsh_flag("balloon")) {
        out("  balloon.current=%lu\n  balloon.maximum=%lu\n",
            d->live ? d->info.tot_pages * 4 : c->memory_kb,
            d->live ? d->info.max_pages * 4 : c->maxmem_kb);
    }
    if (all || virsh_flag("vcpu")) {
        vcpus_print(d, c->maxvcpus);
    }
    out("\n");
    release(defined);
    return 0;
}

static int stats_of_all(void)
{
    struct virsh_domain d;
    int status = 0;

    for (struct domain *live = domains_first(); live; live = live->next) {
        char id[16];

        fmt_snprintf(id, sizeof(id), "%u", live->domid);
        if (!live->dying && virsh_domain_named(id, &d)) {
            status |= stats_print(&d);
        }
    }
    for (const struct definition *def = definition_first(); def; def = def->next) {
        if (!domain_lookup(def->name) && virsh_domain_named(def->name, &d)) {
            status |= stats_print(&d);
        }
    }
    return status;
}

static int run_domstats(void)
{
    const char *const *names;
    unsigned int n = virsh_words(&names);
    struct virsh_domain d;
    int status = n ? 0 : stats_of_all();

    for (unsigned int i = 0; i < n && !status; i++) {
        status = virsh_domain_named(names[i], &d) ? stats_print(&d) : 1;
    }
    return status;
}

const struct virsh_word virsh_domstats = {
    .name = "domstats",
    .help = "get statistics about one or multiple domains",
    .options = { { "state", VIRSH_FLAG },
                 { "cpu-total", VIRSH_FLAG },
                 { "balloon", VIRSH_FLAG },
                 { "vcpu", VIRSH_FLAG },
                 { "domain", VIRSH_WORDS } },
    .run = run_domstats,
};
