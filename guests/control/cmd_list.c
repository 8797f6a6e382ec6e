/* SPDX-License-Identifier: MIT */
/*
 * cmd_list.c - what there is: list, vcpu-list, uptime, domid, domname, in xl's columns. All figures
 * come from the hypervisor at that moment.
 */
#include "shell.h"

struct list_options {
    bool verbose, cpupool, numa, context;
};

static void uuid_print(const uint8_t *id)
{
    for (unsigned int i = 0; i < 16; i++) {
        out(i == 4 || i == 6 || i == 8 || i == 10 ? "-%02x" : "%02x", id[i]);
    }
}

static uint32_t reason_of(const struct xen_domctl_getdomaininfo *info)
{
    return info->flags >> XEN_DOMINF_shutdownshift & XEN_DOMINF_shutdownmask;
}

static void state_format(const struct xen_domctl_getdomaininfo *info, char state[7])
{
    bool down = info->flags & XEN_DOMINF_shutdown;

    state[0] = info->flags & XEN_DOMINF_running ? 'r' : '-';
    state[1] = info->flags & XEN_DOMINF_blocked ? 'b' : '-';
    state[2] = info->flags & XEN_DOMINF_paused ? 'p' : '-';
    state[3] = down ? 's' : '-';
    state[4] = down && reason_of(info) == SHUTDOWN_crash ? 'c' : '-';
    state[5] = info->flags & XEN_DOMINF_dying ? 'd' : '-';
    state[6] = '\0';
}

static void map_print(const struct cpumask *map, unsigned int n)
{
    static char text[TEXT_SIZE];

    cpulist_format(text, sizeof(text), map, n);
    out("%s", text);
}

/* Nodes that the domain's memory may come from: those of its pool's CPUs, as there is no other
 * preference yet. */
static void nodes_print(domid_t domid)
{
    struct xen_domctl op = { .cmd = XEN_DOMCTL_getnodeaffinity, .domain = domid };
    struct xen_sysctl_physinfo host;
    struct cpumask nodes = { { 0 } };
    unsigned int n = physinfo_get(&host) ? 1 : host.nr_nodes;

    cpu_bitmap(&op.u.nodeaffinity.nodemap, &nodes);
    if (domctl(&op)) {
        out("all");
        return;
    }
    map_print(&nodes, n);
}

static void list_line(const struct xen_domctl_getdomaininfo *info, const struct list_options *o)
{
    char state[7], seconds[SECONDS_SIZE];

    state_format(info, state);
    out("%-40s %5d %5lu %5d     %s  %8s", domid_name(info->domain), info->domain,
        (info->tot_pages + info->outstanding_pages) * PAGE_SIZE >> 20, info->nr_online_vcpus, state,
        seconds_format(seconds, sizeof(seconds), info->cpu_time));
    if (o->verbose) {
        out(" ");
        uuid_print(info->handle);
        if (info->flags & XEN_DOMINF_shutdown) {
            out(" %8x", reason_of(info));
        } else {
            out(" %8s", "-");
        }
    }
    if (o->verbose || o->context) {
        out(" %16s", "-");
    }
    if (o->cpupool) {
        out("%16s", cpupool_name(info->cpupool));
    }
    if (o->numa) {
        out(" ");
        nodes_print(info->domain);
    }
    out("\n");
}

static void list_header(const struct list_options *o)
{
    out("Name                                        ID   Mem VCPUs\tState\tTime(s)");
    if (o->verbose) {
        out("   UUID                            Reason-Code\tSecurity Label");
    } else if (o->context) {
        out("   Security Label");
    }
    out(o->cpupool ? "         Cpupool" : "");
    out(o->numa ? " NODE Affinity" : "");
    out("\n");
}

static void json_text(const char *key, const char *value)
{
    json_key(key);
    json_string(value);
}

static void json_count(const char *key, uint64_t value)
{
    json_key(key);
    json_number((int64_t)value);
}

static void details_sched(const struct config *c)
{
    if (!c || (!c->weight && c->cap < 0)) {
        return;
    }
    json_key("sched_params");
    json_object();
    if (c->weight) {
        json_count("weight", c->weight);
    }
    if (c->cap >= 0) {
        json_count("cap", (uint64_t)c->cap);
    }
    json_end();
}

static void details_build(const struct xen_domctl_getdomaininfo *info, const struct config *c)
{
    json_key("b_info");
    json_object();
    json_count("max_vcpus", info->max_vcpu_id + 1);
    json_key("avail_vcpus");
    json_array();
    for (uint32_t v = 0; v < info->nr_online_vcpus; v++) {
        json_number(v);
    }
    json_end();
    json_count("max_memkb", info->max_pages * 4);
    json_count("target_memkb", info->tot_pages * 4);
    if (c && c->kernel[0]) {
        json_text("kernel", c->kernel);
        json_text("cmdline", c->extra);
    }
    if (c && c->ramdisk[0]) {
        json_text("ramdisk", c->ramdisk);
    }
    details_sched(c);
    json_end();
}

/* As `xl list -l`: a domain's configuration, as far as there is one. */
static void details_print(const struct xen_domctl_getdomaininfo *info)
{
    const struct domain *d = domain_by_id(info->domain);

    json_object();
    json_count("domid", info->domain);
    json_key("config");
    json_object();
    json_key("c_info");
    json_object();
    json_text("type", "pv");
    json_text("name", domid_name(info->domain));
    json_text("pool_name", cpupool_name(info->cpupool));
    json_end();
    details_build(info, d ? d->config : NULL);
    json_end();
    json_end();
}

static void list_print(const struct xen_domctl_getdomaininfo *list, long n, bool details,
                       const struct list_options *o)
{
    if (details) {
        json_array();
    } else {
        list_header(o);
    }
    for (long i = 0; i < n; i++) {
        if (details) {
            details_print(&list[i]);
        } else {
            list_line(&list[i], o);
        }
    }
    if (details) {
        json_done();
    }
}

/* Those that are named, or all; *list from allocate(). How many, or -1 after fail(). */
static long infos_of(char **names, int nr, struct xen_domctl_getdomaininfo **list)
{
    long n = nr ? nr : domain_infos(list);

    if (nr) {
        *list = allocate((size_t)nr * sizeof(**list));
        n = *list ? n : -XEN_ENOMEM;
    }
    if (n < 0) {
        fail_errno(n, "list of domains");
        return -1;
    }
    for (int i = 0; i < nr; i++) {
        struct domain *d = domain_named(names[i]);
        long rc = d ? domain_info(d->domid, &(*list)[i]) : -1;

        if (rc) {
            if (d) {
                fail_errno(rc, "%s", names[i]);
            }
            release(*list);
            return -1;
        }
    }
    return n;
}

static int run_list(int argc, char **argv)
{
    struct list_options shown = { .verbose = shell_verbose };
    struct xen_domctl_getdomaininfo *list = NULL;
    bool details = shell_json;
    struct options o;
    long n;
    int c;

    options_init(&o, argc, argv, "lvZcnj", "long=l verbose=v context=Z cpupool=c numa=n json=j");
    while ((c = options_next(&o))) {
        if (c == '?') {
            return USAGE;
        }
        details |= c == 'l' || c == 'j';
        shown.verbose |= c == 'v';
        shown.context |= c == 'Z';
        shown.cpupool |= c == 'c';
        shown.numa |= c == 'n';
    }
    n = infos_of(o.rest, o.nr_rest, &list);
    if (n < 0) {
        return 1;
    }
    list_print(list, n, details, &shown);
    release(list);
    return 0;
}

const struct command cmd_list = {
    .name = "list",
    .usage = "[-lvcnZj] [DOMAIN...]",
    .help = "domains: memory, vcpus, state, CPU time",
    .run = run_list,
};

/* ---- vcpu-list ---- */

static void affinity_read(domid_t domid, uint32_t vcpu, struct cpumask *hard, struct cpumask *soft)
{
    struct xen_domctl op = { .cmd = XEN_DOMCTL_getvcpuaffinity, .domain = domid };

    *hard = *soft = (struct cpumask){ { 0 } };
    op.u.vcpuaffinity.vcpu = vcpu;
    op.u.vcpuaffinity.flags = XEN_VCPUAFFINITY_HARD | XEN_VCPUAFFINITY_SOFT;
    cpu_bitmap(&op.u.vcpuaffinity.cpumap_hard, hard);
    cpu_bitmap(&op.u.vcpuaffinity.cpumap_soft, soft);
    domctl(&op);
}

static void vcpu_line(domid_t domid, uint32_t vcpu, unsigned int nr_cpus)
{
    struct xen_domctl op = { .cmd = XEN_DOMCTL_getvcpuinfo, .domain = domid };
    const struct xen_domctl_getvcpuinfo *info = &op.u.getvcpuinfo;
    struct cpumask hard, soft;
    char seconds[SECONDS_SIZE];

    op.u.getvcpuinfo.vcpu = vcpu;
    if (domctl(&op)) {
        return;
    }
    affinity_read(domid, vcpu, &hard, &soft);
    out("%-32s %5u %5u", domid_name(domid), domid, vcpu);
    if (info->online) {
        out("%5u %3c%c- ", info->cpu, info->running ? 'r' : '-', info->blocked ? 'b' : '-');
    } else {
        out("%5c %3c%cp ", '-', '-', '-');
    }
    out("%9s  ", seconds_format(seconds, sizeof(seconds), info->cpu_time));
    map_print(&hard, nr_cpus);
    out(" / ");
    map_print(&soft, nr_cpus);
    out("\n");
}

static int run_vcpu_list(int argc, char **argv)
{
    struct xen_domctl_getdomaininfo *list = NULL;
    unsigned int nr_cpus = cpus_max();
    struct options o;
    long n;

    options_init(&o, argc, argv, "", NULL);
    if (options_next(&o)) {
        return USAGE;
    }
    n = infos_of(o.rest, o.nr_rest, &list);
    if (n < 0) {
        return 1;
    }
    out("%-32s %5s %5s %5s %5s %9s %s\n", "Name", "ID", "VCPU", "CPU", "State", "Time(s)",
        "Affinity (Hard / Soft)");
    for (long i = 0; i < n; i++) {
        for (uint32_t v = 0; list[i].max_vcpu_id != XEN_INVALID_MAX_VCPU_ID &&
                             v <= list[i].max_vcpu_id && v < VCPUS_MAX;
             v++) {
            vcpu_line(list[i].domain, v, nr_cpus);
        }
    }
    release(list);
    return 0;
}

const struct command cmd_vcpu_list = {
    .name = "vcpu-list",
    .usage = "[DOMAIN...]",
    .help = "vcpus: where they run, state, CPU time, affinity",
    .run = run_vcpu_list,
};

/* ---- uptime ---- */

static void uptime_format(char *buf, size_t size, uint64_t s, bool brief)
{
    unsigned int days = (unsigned int)(s / 86400), hours = (unsigned int)(s / 3600 % 24);
    unsigned int minutes = (unsigned int)(s / 60 % 60), seconds = (unsigned int)(s % 60);
    int n = 0;

    if (days) {
        n = fmt_snprintf(buf, size, days > 1 ? "%u days, " : "%u day, ", days);
    }
    if (brief) {
        fmt_snprintf(buf + n, size - (size_t)n, "%2u:%02u", hours, minutes);
    } else {
        fmt_snprintf(buf + n, size - (size_t)n, "%2u:%02u:%02u", hours, minutes, seconds);
    }
}

static void uptime_line(const struct domain *d, bool brief)
{
    uint64_t now = clock_now(), up = (now - MIN(now, d->started)) / SEC;
    uint32_t ns;
    uint64_t wall = clock_wall(&ns);
    char text[48];

    uptime_format(text, sizeof(text), up, brief);
    if (brief) {
        out(" %02u:%02u:%02u up %s, %s (%d)\n", (unsigned int)(wall / 3600 % 24),
            (unsigned int)(wall / 60 % 60), (unsigned int)(wall % 60), text, d->name, d->domid);
    } else {
        out("%-33s %4d %s\n", d->name, d->domid, text);
    }
}

static int run_uptime(int argc, char **argv)
{
    struct options o;
    bool brief = false;
    int c;

    options_init(&o, argc, argv, "s", "short=s");
    while ((c = options_next(&o))) {
        if (c == '?') {
            return USAGE;
        }
        brief = true;
    }
    for (int i = 0; i < o.nr_rest; i++) {
        if (!domain_named(o.rest[i])) {
            return 1;
        }
    }
    if (!brief) {
        out("%-33s %4s %s\n", "Name", "ID", "Uptime");
    }
    for (int i = 0; i < o.nr_rest; i++) {
        uptime_line(domain_lookup(o.rest[i]), brief);
    }
    for (const struct domain *d = domains_first(); d && !o.nr_rest; d = d->next) {
        uptime_line(d, brief);
    }
    return 0;
}

const struct command cmd_uptime = {
    .name = "uptime",
    .usage = "[-s] [DOMAIN...]",
    .help = "how long domains have been there",
    .run = run_uptime,
};

/* ---- domid, domname ---- */

static int run_domid(int argc, char **argv)
{
    const struct domain *d;

    if (argc != 2) {
        return USAGE;
    }
    d = domain_lookup(argv[1]);
    if (!d) {
        return fail(
            "Can't get domid of domain name '%s', maybe this domain does not exist. (ESRCH)",
            argv[1]);
    }
    out("%u\n", d->domid);
    return 0;
}

const struct command cmd_domid = {
    .name = "domid",
    .usage = "DOMAIN",
    .help = "a domain's number by its name",
    .run = run_domid,
};

static int run_domname(int argc, char **argv)
{
    const struct domain *d;
    uint64_t id;

    if (argc != 2 || !number_parse(argv[1], DOMID_FIRST_RESERVED - 1, &id)) {
        return USAGE;
    }
    d = domain_by_id((domid_t)id);
    if (!d) {
        return fail(
            "Can't get domain name of domain id '%s', maybe this domain does not exist. (ESRCH)",
            argv[1]);
    }
    out("%s\n", d->name);
    return 0;
}

const struct command cmd_domname = {
    .name = "domname",
    .usage = "DOMID",
    .help = "a domain's name by its number",
    .run = run_domname,
};
