/* SPDX-License-Identifier: MIT */
/*
 * cmd_credit.c - sched-credit: weights and caps of domains, and the pools' own parameters.
 */
#include "limits.h"
#include "pools.h"
#include "tune.h"

struct request {
    const char *domain, *pool;
    bool pool_params;
    int weight, cap, tslice, ratelimit, delay; /* -1: not given */
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

/* ---- printing ---- */

static void header_print(void)
{
    out("%-33s %4s %6s %4s\n", "Name", "ID", "Weight", "Cap");
}

static void line_print(domid_t domid)
{
    struct xen_domctl_sched_credit p = { 0 };

    if (credit_domain(domid, XEN_DOMCTL_SCHEDOP_getinfo, &p) == 0) {
        out("%-33s %4d %6d %4d\n", domid_name(domid), domid, p.weight, p.cap);
    }
}

static void domains_print(uint32_t pool)
{
    struct xen_domctl_getdomaininfo *list;
    long n = domain_infos(&list);

    header_print();
    for (long i = 0; i < n; i++) {
        if (list[i].cpupool == pool) {
            line_print(list[i].domain);
        }
    }
    if (n >= 0) {
        release(list);
    }
}

static void pool_print(const struct pool *pool, bool domains)
{
    struct xen_sysctl_credit_schedule p = { 0 };

    if (pool_credit(pool->id, XEN_SYSCTL_SCHEDOP_getinfo, &p)) {
        out("Cpupool %s: [sched params unavailable]\n", pool->name);
    } else {
        out("Cpupool %s: tslice=%ums ratelimit=%uus migration-delay=%uus\n", pool->name,
            p.tslice_ms, p.ratelimit_us, p.vcpu_migr_delay_us);
    }
    if (domains) {
        domains_print(pool->id);
    }
}

static int pools_print(void)
{
    struct pool p;
    long rc;

    for (uint32_t id = 0; (rc = pool_next(id, &p)) == 0; id = p.id + 1) {
        if (p.sched == XEN_SCHEDULER_CREDIT) {
            pool_print(&p, true);
        }
    }
    return rc == -XEN_ENOENT || rc == -XEN_ESRCH ? 0 : fail_errno(rc, "list of cpupools");
}

/* ---- setting ---- */

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

static int domain_params(const struct request *q)
{
    struct xen_domctl_sched_credit p = { 0 };
    const struct domain *d = domain_named(q->domain);
    struct pool pool;
    long rc;

    if (!d || !cap_fits(d, q->cap) || !domain_pool(d, &pool) ||
        !pool_runs(&pool, XEN_SCHEDULER_CREDIT)) {
        return 1;
    }
    if (q->weight < 0 && q->cap < 0) {
        header_print();
        line_print(d->domid);
        return 0;
    }
    rc = credit_domain(d->domid, XEN_DOMCTL_SCHEDOP_getinfo, &p);
    if (rc == 0) {
        p.weight = q->weight < 0 ? p.weight : (uint16_t)q->weight;
        p.cap = q->cap < 0 ? p.cap : (uint16_t)q->cap;
        rc = credit_domain(d->domid, XEN_DOMCTL_SCHEDOP_putinfo, &p);
    }
    if (rc && member_fail(d, rc, "set it there")) {
        return 1;
    }
    return rc ? fail_errno(rc, "%s: weight %u, cap %u", d->name, p.weight, p.cap) : 0;
}

bool credit_pool_set(const struct pool *p, int tslice_ms, int ratelimit_us, int delay_us)
{
    struct xen_sysctl_credit_schedule s = { 0 };
    const char *why;
    long rc;

    if (!pool_runs(p, XEN_SCHEDULER_CREDIT)) {
        return false;
    }
    rc = pool_credit(p->id, XEN_SYSCTL_SCHEDOP_getinfo, &s);
    if (rc == 0) {
        s.tslice_ms = tslice_ms < 0 ? s.tslice_ms : (uint32_t)tslice_ms;
        s.ratelimit_us = ratelimit_us < 0 ? s.ratelimit_us : (uint32_t)ratelimit_us;
        s.vcpu_migr_delay_us = delay_us < 0 ? s.vcpu_migr_delay_us : (uint32_t)delay_us;
        why = credit_wrong(s.tslice_ms, s.ratelimit_us, s.vcpu_migr_delay_us);
        if (why) {
            return !fail("%s: %s (EINVAL)", p->name, why);
        }
        rc = pool_credit(p->id, XEN_SYSCTL_SCHEDOP_putinfo, &s);
    }
    return rc ? !fail_errno(rc, "%s: parameters of the credit scheduler", p->name) : true;
}

/* One pool; with -s it is Pool-0 when none is named. */
static int pool_params(const struct request *q)
{
    struct pool p;

    if (!(q->pool ? pool_find(q->pool, &p) : pool_find("0", &p))) {
        return 1;
    }
    if (q->tslice >= 0 || q->ratelimit >= 0 || q->delay >= 0) {
        return credit_pool_set(&p, q->tslice, q->ratelimit, q->delay) ? 0 : 1;
    }
    if (p.sched == XEN_SCHEDULER_CREDIT) {
        pool_print(&p, !q->pool_params);
    }
    return 0;
}

/* ---- the words ---- */

static bool number_take(int letter, const char *value, int *to)
{
    uint64_t n;

    if (!number_parse(value, letter == 'w' || letter == 'c' ? UINT16_MAX : INT32_MAX, &n)) {
        return !fail("%s: not a number, or too large (EINVAL)", value);
    }
    if (letter == 'w' && !n) {
        return !fail("weight 0: it is 1 to %u (EINVAL)", UINT16_MAX);
    }
    *to = (int)n;
    return true;
}

static bool option_take(struct request *q, int letter, const char *value)
{
    switch (letter) {
    case 'd':
        q->domain = value;
        return true;
    case 'p':
        q->pool = value;
        return true;
    case 's':
        q->pool_params = true;
        return true;
    case 'w':
        return number_take(letter, value, &q->weight);
    case 'c':
        return number_take(letter, value, &q->cap);
    case 't':
        return number_take(letter, value, &q->tslice);
    case 'r':
        return number_take(letter, value, &q->ratelimit);
    default:
        return number_take(letter, value, &q->delay);
    }
}

static int request_run(const struct request *q)
{
    if (q->domain && (q->pool || q->pool_params)) {
        return fail("Specifying a cpupool or schedparam is not allowed with domain options. "
                    "(EINVAL)");
    }
    if (!q->domain && (q->weight >= 0 || q->cap >= 0)) {
        return fail("Must specify a domain. (EINVAL)");
    }
    if (!q->pool_params && (q->tslice >= 0 || q->ratelimit >= 0 || q->delay >= 0)) {
        return fail("Must specify schedparam to set schedule parameter values. (EINVAL)");
    }
    if (q->domain) {
        return domain_params(q);
    }
    return q->pool || q->pool_params ? pool_params(q) : pools_print();
}

static int run(int argc, char **argv)
{
    struct request q = { .weight = -1, .cap = -1, .tslice = -1, .ratelimit = -1, .delay = -1 };
    struct options o;
    int letter;

    options_init(&o, argc, argv, "d:w:c:p:t:r:m:s",
                 "domain=d weight=w cap=c schedparam=s tslice_ms=t ratelimit_us=r cpupool=p "
                 "migration_delay_us=m");
    while ((letter = options_next(&o))) {
        if (letter == '?') {
            return USAGE;
        }
        if (!option_take(&q, letter, o.value)) {
            return 1;
        }
    }
    return o.nr_rest ? USAGE : request_run(&q);
}

const struct command cmd_sched_credit = {
    .name = "sched-credit",
    .usage = "[-d DOMAIN [-w WEIGHT] [-c CAP]] [-s [-t TSLICE] [-r RATELIMIT] [-m DELAY]] "
             "[-p CPUPOOL]",
    .help = "weights and caps of domains, parameters of the credit scheduler",
    .run = run,
};
