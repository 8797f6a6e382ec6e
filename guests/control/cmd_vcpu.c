/* SPDX-License-Identifier: MIT */
/*
 * cmd_vcpu.c - orders about vcpus: vcpu-pin, vcpu-set, and the credit scheduler's parameters.
 */
#include "shell.h"

/* ---- vcpu-pin ---- */

struct pinning {
    uint32_t flags; /* XEN_VCPUAFFINITY_* */
    struct cpumask hard, soft;
};

/* A list, "all", or "-" for what it is already. False after fail(). */
static bool pin_read(const char *text, uint32_t flag, struct cpumask *map, uint32_t *flags)
{
    const char *why;

    if (strcmp(text, "-") == 0) {
        return true;
    }
    why = cpulist_parse(text, cpu_host_get(), map);
    if (why) {
        fail("%s: %s (EINVAL)", text, why);
        return false;
    }
    *flags |= flag;
    return true;
}

static int pin(const struct domain *d, const char *which, const struct pinning *p)
{
    struct xen_domctl_getdomaininfo info;
    uint64_t first = 0, last;
    bool all = strcmp(which, "all") == 0;
    long rc = domain_info(d->domid, &info);

    if (rc) {
        return fail_errno(rc, "%s", d->name);
    }
    last = info.max_vcpu_id;
    if (!all) {
        if (!number_parse(which, VCPUS_MAX, &first)) {
            return fail("Invalid argument %s as VCPU. (EINVAL)", which);
        }
        last = first;
    }
    for (uint64_t v = first; v <= last && v <= VCPUS_MAX; v++) {
        struct cpumask hard = p->hard, soft = p->soft;

        rc = affinity_set(d->domid, (uint32_t)v, p->flags, &hard, &soft);
        if (rc) {
            return fail_errno(rc, "Could not set affinity for vcpu `%lu'", v);
        }
        if ((p->flags & XEN_VCPUAFFINITY_SOFT) && cpumask_empty(&soft)) {
            err("warning: vcpu-pin: All cpus in soft affinity of vcpu %lu are unreachable. Only "
                "hard affinity will be considered for scheduling\n",
                v);
        }
    }
    return 0;
}

/* What would be set; '-' for what stays. */
static void pinning_print(const struct pinning *p, bool soft)
{
    static char text[TEXT_SIZE];

    cpulist_format(text, sizeof(text), &p->hard, cpus_max());
    out("cpumap: %s", p->flags & XEN_VCPUAFFINITY_HARD ? text : "-");
    if (soft) {
        cpulist_format(text, sizeof(text), &p->soft, cpus_max());
        out(" %s", p->flags & XEN_VCPUAFFINITY_SOFT ? text : "-");
    }
    out("\n");
}

static int run_vcpu_pin(int argc, char **argv)
{
    struct pinning p = { .flags = 0 };
    struct domain *d;
    struct options o;
    uint64_t force;

    if (!options_flags(&o, argc, argv, "f", "force=f", &force) ||
        (o.nr_rest != 3 && o.nr_rest != 4)) {
        return USAGE;
    }
    d = domain_named(o.rest[0]);
    if (!d || !pin_read(o.rest[2], XEN_VCPUAFFINITY_HARD, &p.hard, &p.flags) ||
        (o.nr_rest == 4 && !pin_read(o.rest[3], XEN_VCPUAFFINITY_SOFT, &p.soft, &p.flags))) {
        return 1;
    }
    if (!p.flags) {
        return fail("neither hard nor soft affinity is given (EINVAL)");
    }
    if (force && strcmp(o.rest[1], "all") == 0) {
        return fail("--force and 'all' as VCPU not allowed. (EINVAL)");
    }
    if (shell_dry_run) {
        pinning_print(&p, o.nr_rest == 4);
        return 0;
    }
    p.flags |= force ? XEN_VCPUAFFINITY_FORCE : 0;
    return pin(d, o.rest[1], &p);
}

const struct command cmd_vcpu_pin = {
    .name = "vcpu-pin",
    .usage = "[-f] DOMAIN VCPU|all HARD|-|all [SOFT|-|all]",
    .help = "the pcpus on which a vcpu may (hard) and should (soft) run",
    .run = run_vcpu_pin,
};

/* ---- vcpu-set ---- */

static int availability_write(domid_t domid, uint32_t nr, uint64_t online)
{
    for (uint32_t v = 0; v < nr && v < VCPUS_MAX; v++) {
        long rc = store_printf(v < online ? "online" : "offline",
                               "/local/domain/%u/cpu/%u/availability", domid, v);

        if (rc) {
            return fail_errno(rc, "/local/domain/%u/cpu/%u/availability", domid, v);
        }
    }
    return 0;
}

static int run_vcpu_set(int argc, char **argv)
{
    struct xen_domctl_getdomaininfo info;
    struct xen_sysctl_physinfo host;
    uint64_t ignore_host, n;
    struct options o;
    struct domain *d;
    long rc;

    if (!options_flags(&o, argc, argv, "i", "ignore-host=i", &ignore_host) || o.nr_rest != 2) {
        return USAGE;
    }
    if (!number_parse(o.rest[1], 1U << 20, &n)) {
        return fail("%s: Invalid argument. (EINVAL)", o.rest[1]);
    }
    d = domain_named(o.rest[0]);
    if (!d) {
        return 1;
    }
    rc = domain_info(d->domid, &info);
    if (rc) {
        return fail_errno(rc, "%s", d->name);
    }
    if (!ignore_host && physinfo_get(&host) == 0 && n > host.nr_cpus) {
        return fail("You are overcommmitting! You have %u physical CPUs and want %lu vCPUs! "
                    "Aborting, use --ignore-host to continue",
                    host.nr_cpus, n);
    }
    if (n < 1 || n > info.max_vcpu_id + 1) {
        return fail("%lu vcpus: %s has 1 to %u (EINVAL)", n, d->name, info.max_vcpu_id + 1);
    }
    return availability_write(d->domid, info.max_vcpu_id + 1, n);
}

const struct command cmd_vcpu_set = {
    .name = "vcpu-set",
    .usage = "[-i] DOMAIN N",
    .help = "how many vcpus of a domain shall be up; it must do it itself",
    .run = run_vcpu_set,
};

/* ---- sched-credit ---- */

struct credit_options {
    const char *domain, *pool;
    bool pool_params;
    long weight, cap, tslice, ratelimit, delay; /* -1: not given */
};

long credit_domain(domid_t domid, uint32_t cmd, struct xen_domctl_sched_credit *p)
{
    struct xen_domctl op = { .cmd = XEN_DOMCTL_scheduler_op, .domain = domid };
    long rc;

    op.u.scheduler_op.sched_id = XEN_SCHEDULER_CREDIT;
    op.u.scheduler_op.cmd = cmd;
    op.u.scheduler_op.u.credit = *p;
    rc = domctl(&op);
    *p = op.u.scheduler_op.u.credit;
    return rc;
}

static long pool_credit(uint32_t pool, uint32_t cmd, struct xen_sysctl_credit_schedule *p)
{
    struct xen_sysctl op = { .cmd = XEN_SYSCTL_scheduler_op };
    long rc;

    op.u.scheduler_op.cpupool_id = pool;
    op.u.scheduler_op.sched_id = XEN_SCHEDULER_CREDIT;
    op.u.scheduler_op.cmd = cmd;
    op.u.scheduler_op.u.sched_credit = *p;
    rc = sysctl(&op);
    *p = op.u.scheduler_op.u.sched_credit;
    return rc;
}

static void credit_header(void)
{
    out("%-33s %4s %6s %4s\n", "Name", "ID", "Weight", "Cap");
}

static long credit_line(domid_t domid)
{
    struct xen_domctl_sched_credit p = { 0 };
    long rc = credit_domain(domid, XEN_DOMCTL_SCHEDOP_getinfo, &p);

    if (rc == 0) {
        out("%-33s %4d %6d %4d\n", domid_name(domid), domid, p.weight, p.cap);
    }
    return rc;
}

/* All of its vcpus' CPUs are as much as a domain can have; the hypervisor doesn't look at it. */
static bool cap_fits(const struct domain *d, long cap)
{
    struct xen_domctl_getdomaininfo info;
    long most;

    if (domain_info(d->domid, &info)) {
        return true;
    }
    most = 100 * (info.max_vcpu_id + 1L);
    if (cap > most) {
        fail("cap %ld: it is 0 to %ld for %u vcpus (EINVAL)", cap, most, info.max_vcpu_id + 1);
    }
    return cap <= most;
}

static int params_domain(const struct credit_options *c)
{
    struct xen_domctl_sched_credit p = { 0 };
    const struct domain *d = domain_named(c->domain);
    long rc;

    if (!d || !cap_fits(d, c->cap)) {
        return 1;
    }
    rc = credit_domain(d->domid, XEN_DOMCTL_SCHEDOP_getinfo, &p);
    if (rc) {
        return fail_errno(rc, "%s: parameters of the credit scheduler", d->name);
    }
    if (c->weight < 0 && c->cap < 0) {
        credit_header();
        credit_line(d->domid);
        return 0;
    }
    p.weight = c->weight < 0 ? p.weight : (uint16_t)c->weight;
    p.cap = c->cap < 0 ? p.cap : (uint16_t)c->cap;
    rc = credit_domain(d->domid, XEN_DOMCTL_SCHEDOP_putinfo, &p);
    return rc ? fail_errno(rc, "%s: weight %u, cap %u", d->name, p.weight, p.cap) : 0;
}

static void pool_line(uint32_t pool)
{
    struct xen_sysctl_credit_schedule p = { 0 };

    if (pool_credit(pool, XEN_SYSCTL_SCHEDOP_getinfo, &p)) {
        out("Cpupool %s: [sched params unavailable]\n", cpupool_name(pool));
        return;
    }
    out("Cpupool %s: tslice=%ums ratelimit=%uus migration-delay=%uus\n", cpupool_name(pool),
        p.tslice_ms, p.ratelimit_us, p.vcpu_migr_delay_us);
}

static int pool_set(uint32_t pool, const struct credit_options *c)
{
    struct xen_sysctl_credit_schedule p = { 0 };
    long rc = pool_credit(pool, XEN_SYSCTL_SCHEDOP_getinfo, &p);

    if (rc == 0) {
        p.tslice_ms = c->tslice < 0 ? p.tslice_ms : (uint32_t)c->tslice;
        p.ratelimit_us = c->ratelimit < 0 ? p.ratelimit_us : (uint32_t)c->ratelimit;
        p.vcpu_migr_delay_us = c->delay < 0 ? p.vcpu_migr_delay_us : (uint32_t)c->delay;
        rc = pool_credit(pool, XEN_SYSCTL_SCHEDOP_putinfo, &p);
    }
    return rc ? fail_errno(rc, "%s: parameters of the credit scheduler", cpupool_name(pool)) : 0;
}

static void pool_domains(uint32_t pool)
{
    struct xen_domctl_getdomaininfo *list;
    long n = domain_infos(&list);

    credit_header();
    for (long i = 0; i < n; i++) {
        if (list[i].cpupool == pool) {
            credit_line(list[i].domain);
        }
    }
    if (n >= 0) {
        release(list);
    }
}

/* All pools that this scheduler runs, or the one that is named. */
static int credit_pools(const struct credit_options *c)
{
    bool set = c->tslice >= 0 || c->ratelimit >= 0 || c->delay >= 0;
    struct xen_sysctl_cpupool_op info;
    bool found = !c->pool;
    int status = 0;
    long rc;

    for (uint32_t id = 0; (rc = cpupool_info(id, &info, NULL)) == 0; id = info.cpupool_id + 1) {
        if (c->pool && strcmp(cpupool_name(info.cpupool_id), c->pool) != 0) {
            continue;
        }
        found = true;
        if (info.sched_id != XEN_SCHEDULER_CREDIT) {
            continue;
        }
        if (set) {
            status |= pool_set(info.cpupool_id, c);
            continue;
        }
        pool_line(info.cpupool_id);
        if (!c->pool_params) {
            pool_domains(info.cpupool_id);
        }
    }
    if (rc && rc != -XEN_ENOENT && rc != -XEN_ESRCH) {
        return fail_errno(rc, "list of cpupools");
    }
    return found ? status : fail("unknown cpupool '%s' (ENOENT)", c->pool);
}

/* False: a bad value. */
static bool credit_option(struct credit_options *c, int letter, const char *value)
{
    uint64_t n = 0;

    if (letter == 'd' || letter == 'p') {
        *(letter == 'd' ? &c->domain : &c->pool) = value;
        return true;
    }
    if (letter == 's') {
        c->pool_params = true;
        return true;
    }
    if (!number_parse(value, letter == 'w' || letter == 'c' ? UINT16_MAX : INT32_MAX, &n)) {
        fail("%s: not a number, or too large (EINVAL)", value);
        return false;
    }
    switch (letter) {
    case 'w':
        if (n == 0) {
            fail("weight 0: it is 1 to %u (EINVAL)", UINT16_MAX);
            return false;
        }
        c->weight = (long)n;
        break;
    case 'c':
        c->cap = (long)n;
        break;
    case 't':
        c->tslice = (long)n;
        break;
    case 'r':
        c->ratelimit = (long)n;
        break;
    default:
        c->delay = (long)n;
        break;
    }
    return true;
}

static int run_sched_credit(int argc, char **argv)
{
    struct credit_options c = {
        .weight = -1, .cap = -1, .tslice = -1, .ratelimit = -1, .delay = -1
    };
    struct options o;
    int letter;

    options_init(&o, argc, argv, "d:w:c:p:t:r:m:s",
                 "domain=d weight=w cap=c schedparam=s tslice_ms=t ratelimit_us=r cpupool=p "
                 "migration_delay_us=m");
    while ((letter = options_next(&o))) {
        if (letter == '?') {
            return USAGE;
        }
        if (!credit_option(&c, letter, o.value)) {
            return 1;
        }
    }
    if (o.nr_rest) {
        return USAGE;
    }
    if (c.domain && (c.pool || c.pool_params)) {
        return fail("Specifying a cpupool or schedparam is not allowed with domain options. "
                    "(EINVAL)");
    }
    if (!c.domain && (c.weight >= 0 || c.cap >= 0)) {
        return fail("Must specify a domain. (EINVAL)");
    }
    if (!c.pool_params && (c.tslice >= 0 || c.ratelimit >= 0 || c.delay >= 0)) {
        return fail("-t, -r and -m go with -s (EINVAL)");
    }
    return c.domain ? params_domain(&c) : credit_pools(&c);
}

const struct command cmd_sched_credit = {
    .name = "sched-credit",
    .usage = "[-d DOMAIN [-w WEIGHT] [-c CAP]] [-s [-t TSLICE] [-r RATELIMIT] [-m DELAY]] "
             "[-p CPUPOOL]",
    .help = "weights and caps of domains, parameters of the credit scheduler",
    .run = run_sched_credit,
};
