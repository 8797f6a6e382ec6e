/* SPDX-License-Identifier: MIT */
/*
 * cmd_list.c - what there is: list, vcpu-list, uptime, domid, domname, in xl's columns. All figures
 * come from the hypervisor at that moment.
 */
#include "tune.h"

struct list_options {
    bool verbose, cpupool, numa, context;
};

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
    char state[STATE_SIZE], seconds[SECONDS_SIZE], uuid[UUID_SIZE];

    state_format(info, "rbpscd", state);
    out("%-40s %5d %5lu %5d     %s  %8s", domid_name(info->domain), info->domain,
        (info->tot_pages + info->outstanding_pages) * PAGE_SIZE >> 20, info->nr_online_vcpus, state,
        seconds_format(seconds, sizeof(seconds), info->cpu_time));
    if (o->verbose) {
        uuid_format(info->handle, uuid);
        out(" %s", uuid);
        if (info->flags & XEN_DOMINF_shutdown) {
            out(" %8x", shutdown_reason(info));
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
            details_of_domain(&list[i]);
        } else {
            list_line(&list[i], o);
        }
    }
    if (details) {
        json_done();
        out("\n"); /* as xl has it */
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
    struct list_options shown;
    struct xen_domctl_getdomaininfo *list = NULL;
    bool details;
    struct options o;
    uint64_t flags;
    long n;

    if (!options_flags(&o, argc, argv, "lvZcnj",
                       "long=l verbose=v context=Z cpupool=c numa=n json=j", &flags)) {
        return USAGE;
    }
    details = shell_json || flags & (FLAG('l') | FLAG('j'));
    shown.verbose = flags & FLAG('v');
    shown.context = flags & FLAG('Z');
    shown.cpupool = flags & FLAG('c');
    shown.numa = flags & FLAG('n');
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

struct vcpu_list {
    bool effective, json;
    unsigned int nr_cpus;
    struct cpumask pool; /* of the domain that is shown */
    domid_t client;      /* whose emulator it is, and shown beside; DOMID_INVALID: it isn't */
};

static void affinity_format(char *buf, size_t size, const struct cpumask *hard,
                            const struct cpumask *soft, unsigned int nr_cpus)
{
    size_t n = (size_t)cpulist_format(buf, size, hard, nr_cpus);

    n = MIN(n, size - 4);
    n += (size_t)fmt_snprintf(buf + n, size - n, " / ");
    cpulist_format(buf + n, size - n, soft, nr_cpus);
}

/* One whose hard affinity has no CPU of the pool is broken: it runs anywhere there, until such a
 * CPU comes back. Xen shows the CPU of an override as if it were given, and so do we. */
static void affinity_print(domid_t domid, uint32_t vcpu, const struct vcpu_list *l)
{
    static char text[2 * TEXT_SIZE];
    struct vcpu_place place;

    vcpu_place_get(domid, vcpu, &l->pool, &place);
    affinity_format(text, sizeof(text),
                    l->effective || !place.overridden ? &place.given : &place.hard,
                    &place.given_soft, l->nr_cpus);
    out(l->effective ? "%-27s" : "%s", text);
    if (l->effective) {
        affinity_format(text, sizeof(text), &place.hard, &place.soft, l->nr_cpus);
        out(" %s", text);
    }
    out("%s%s\n", place.broken ? " (broken)" : "", place.overridden ? " (override)" : "");
}

/* An emulator that is shown beside its client has threads; else all are vcpus. */
static void number_format(char text[12], const struct vcpu_list *l, uint32_t vcpu)
{
    if (l->client == DOMID_INVALID) {
        fmt_snprintf(text, 12, "%u", vcpu);
    } else {
        emulator_thread(text, vcpu);
    }
}

static void vcpu_line(const struct xen_domctl_getvcpuinfo *info, domid_t domid,
                      const struct vcpu_list *l)
{
    char number[12], seconds[SECONDS_SIZE];

    number_format(number, l, info->vcpu);
    out("%-32s %5u %5s", domid_name(domid), domid, number);
    if (info->online) {
        out("%5u %3c%c- ", info->cpu, info->running ? 'r' : '-', info->blocked ? 'b' : '-');
    } else {
        out("%5c %3c%cp ", '-', '-', '-');
    }
    out("%9s  ", seconds_format(seconds, sizeof(seconds), info->cpu_time));
    affinity_print(domid, info->vcpu, l);
}

static void map_json(const char *key, const struct cpumask *map, const struct vcpu_list *l)
{
    static char text[TEXT_SIZE];

    cpulist_format(text, sizeof(text), map, l->nr_cpus);
    json_text(key, text);
}

static void vcpu_json(const struct xen_domctl_getvcpuinfo *info, domid_t domid,
                      const struct vcpu_list *l)
{
    char unit[UNIT_NAME_SIZE];
    struct vcpu_place place;

    unit_name(unit, domid, client_of(domid), info->vcpu);
    vcpu_place_get(domid, info->vcpu, &l->pool, &place);
    json_object();
    json_text("name", domid_name(domid));
    json_count("domid", domid);
    json_count("vcpu", info->vcpu);
    json_text("unit", unit);
    json_text("state", !info->online   ? "offline"
                       : info->running ? "running"
                       : info->blocked ? "blocked"
                                       : "runnable");
    json_count("cpu", info->cpu);
    json_count("cpu_ns", info->cpu_time);
    map_json("hard", &place.given, l);
    map_json("soft", &place.given_soft, l);
    map_json("effective", &place.hard, l);
    json_count("broken", place.broken);
    json_end();
}

static void vcpus_show(const struct xen_domctl_getdomaininfo *info, struct vcpu_list *l)
{
    struct xen_domctl op = { .cmd = XEN_DOMCTL_getvcpuinfo, .domain = info->domain };
    struct xen_sysctl_cpupool_op pool;

    if (cpupool_info(info->cpupool, &pool, &l->pool)) {
        l->pool = (struct cpumask){ { 0 } };
    }
    for (uint32_t v = 0; v < MIN(vcpus_of(info), VCPUS_MAX); v++) {
        op.u.getvcpuinfo.vcpu = v;
        if (domctl(&op) == 0) {
            (l->json ? vcpu_json : vcpu_line)(&op.u.getvcpuinfo, info->domain, l);
        }
    }
}

/* A domain, and behind it its emulator. */
static void vcpu_lines(const struct xen_domctl_getdomaininfo *info, struct vcpu_list *l)
{
    domid_t stub = emulator_of(info->domain);
    struct xen_domctl_getdomaininfo emulator;

    l->client = DOMID_INVALID;
    vcpus_show(info, l);
    if (stub != DOMID_INVALID && domain_info(stub, &emulator) == 0) {
        l->client = info->domain;
        vcpus_show(&emulator, l);
    }
}

static void vcpu_list_print(const struct xen_domctl_getdomaininfo *list, long n, bool all,
                            struct vcpu_list *l)
{
    if (l->json) {
        json_array();
    } else {
        out("%-32s %5s %5s %5s %5s %9s %s%s\n", "Name", "ID", "VCPU", "CPU", "State", "Time(s)",
            "Affinity (Hard / Soft)", l->effective ? "       Effective" : "");
    }
    for (long i = 0; i < n; i++) {
        if (!all || client_of(list[i].domain) == DOMID_INVALID) {
            vcpu_lines(&list[i], l);
        }
    }
    if (l->json) {
        json_done();
    }
}

static int run_vcpu_list(int argc, char **argv)
{
    struct xen_domctl_getdomaininfo *list = NULL;
    struct vcpu_list l = { .nr_cpus = cpus_max() };
    struct options o;
    uint64_t flags;
    long n;

    if (!options_flags(&o, argc, argv, "ej", "effective=e json=j", &flags)) {
        return USAGE;
    }
    l.effective = flags & FLAG('e');
    l.json = shell_json || flags & FLAG('j');
    n = infos_of(o.rest, o.nr_rest, &list);
    if (n < 0) {
        return 1;
    }
    vcpu_list_print(list, n, o.nr_rest == 0, &l);
    release(list);
    return 0;
}

const struct command cmd_vcpu_list = {
    .name = "vcpu-list",
    .usage = "[-ej] [DOMAIN...]",
    .help = "vcpus: where they run, state, CPU time, affinity (-e: and what of it counts)",
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
    uint64_t brief;

    if (!options_flags(&o, argc, argv, "s", "short=s", &brief)) {
        return USAGE;
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
    if (!d || strcmp(d->name, argv[1]) != 0) { /* a number is no name */
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

    if (argc != 2) {
        return USAGE;
    }
    if (!number_parse(argv[1], DOMID_FIRST_RESERVED - 1, &id)) {
        return fail("%s: Invalid domain id. (EINVAL)", argv[1]);
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
