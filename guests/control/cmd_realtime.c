/* SPDX-License-Identifier: MIT */
/*
 * cmd_realtime.c - sched-rtds and sched-sedf: real-time parameters of domains and vcpus. rtds in
 * xl's words and columns; sedf in the same manner, with times in ms.
 */
#include "limits.h"
#include "realtime.h"

#include <tarn.h>

#define MS_SIZE 24u
enum field { PERIOD, BUDGET, LATENCY, WEIGHT, EXTRA, FIELDS };

/* The n-th value of each option belongs to the n-th -v. */
struct wish {
    uint32_t vcpu;
    uint64_t value[FIELDS];
};

struct request {
    uint32_t sched;
    const char *domain, *pool;
    bool force;
    unsigned int nr_vcpus, nr[FIELDS];
    struct wish wish[VCPUS_MAX];
};

static struct request request; /* too large for a stack */

/* ---- printing ---- */

static const char *ms_format(char buf[MS_SIZE], uint64_t ns)
{
    int n = fmt_snprintf(buf, MS_SIZE, "%lu.%06lu", ns / 1000000, ns % 1000000);

    while (buf[n - 1] == '0') {
        buf[--n] = '\0';
    }
    if (buf[n - 1] == '.') {
        buf[n - 1] = '\0';
    }
    return buf;
}

static void header_print(uint32_t sched, bool vcpus)
{
    out("%-33s %4s", "Name", "ID");
    if (vcpus) {
        out(" %4s", "VCPU");
    }
    if (sched == XEN_SCHEDULER_RTDS) {
        out(" %9s %9s %10s\n", "Period", "Budget", "Extratime");
    } else {
        out(" %9s %9s %9s %9s %6s\n", "Period", "Slice", "Latency", "Extra", "Weight");
    }
}

static bool line_print(const struct domain *d, uint32_t sched, uint32_t vcpu)
{
    char period[MS_SIZE], slice[MS_SIZE], latency[MS_SIZE];
    struct reservation r;

    if (!reservation_get(d, sched, vcpu, &r)) {
        return false;
    }
    out("%-33s %4u", d->name, d->domid);
    if (vcpu != EVERY_VCPU) {
        out(" %4u", vcpu);
    }
    if (sched == XEN_SCHEDULER_RTDS) {
        out(" %9lu %9lu %10s\n", r.period / 1000, r.budget / 1000, r.extra ? "yes" : "no");
    } else {
        out(" %9s %9s %9s %9s %6u\n", ms_format(period, r.period), ms_format(slice, r.budget),
            ms_format(latency, r.latency), r.extra ? "yes" : "no", r.weight);
    }
    return true;
}

static bool vcpus_print(const struct domain *d, uint32_t sched)
{
    struct xen_domctl_getdomaininfo info;
    long rc = domain_info(d->domid, &info);

    if (rc) {
        return !fail_errno(rc, "%s", d->name);
    }
    for (uint32_t v = 0; v < MIN(vcpus_of(&info), VCPUS_MAX); v++) {
        if (!line_print(d, sched, v)) {
            return false;
        }
    }
    return true;
}

static bool pool_print(const struct pool *p, bool vcpus)
{
    out("Cpupool %s: sched=%s\n", p->name, p->sched == XEN_SCHEDULER_RTDS ? "RTDS" : "SEDF");
    header_print(p->sched, vcpus);
    for (const struct domain *d = domains_first(); d; d = d->next) {
        struct xen_domctl_getdomaininfo info;

        if (domain_info(d->domid, &info) == 0 && info.cpupool == p->id &&
            !(vcpus ? vcpus_print(d, p->sched) : line_print(d, p->sched, EVERY_VCPU))) {
            return false;
        }
    }
    return true;
}

static int pools_print(const struct request *q)
{
    struct pool p;

    if (q->pool) {
        return pool_find(q->pool, &p) && (p.sched != q->sched || pool_print(&p, q->nr_vcpus)) ? 0
                                                                                              : 1;
    }
    for (uint32_t id = 0; pool_next(id, &p) == 0; id = p.id + 1) {
        if (p.sched == q->sched && !pool_print(&p, q->nr_vcpus)) {
            return 1;
        }
    }
    return 0;
}

static int domain_print(const struct domain *d, const struct request *q)
{
    header_print(q->sched, q->nr_vcpus);
    if (!q->nr_vcpus) {
        return line_print(d, q->sched, EVERY_VCPU) ? 0 : 1;
    }
    for (unsigned int i = 0; i < q->nr_vcpus; i++) {
        uint32_t vcpu = q->wish[i].vcpu;

        if (!(vcpu == EVERY_VCPU ? vcpus_print(d, q->sched) : line_print(d, q->sched, vcpu))) {
            return 1;
        }
    }
    return 0;
}

/* ---- setting ---- */

/* What is not given stays; sedf's weight and period are in each other's place. */
static void wish_apply(const struct request *q, const struct wish *w, struct reservation *r)
{
    if (q->nr[WEIGHT]) {
        r->weight = (uint32_t)w->value[WEIGHT];
        r->period = r->budget = 0;
    } else if (q->nr[PERIOD] || q->nr[BUDGET]) {
        r->weight = 0;
    }
    r->period = q->nr[PERIOD] ? w->value[PERIOD] : r->period;
    r->budget = q->nr[BUDGET] ? w->value[BUDGET] : r->budget;
    r->latency = q->nr[LATENCY] ? w->value[LATENCY] : r->latency;
    r->extra = q->nr[EXTRA] ? w->value[EXTRA] : r->extra;
}

struct change {
    uint32_t vcpu[VCPUS_MAX];
    struct reservation r[VCPUS_MAX];
    unsigned int n;
};

static bool change_add(struct change *c, const struct domain *d, const struct request *q,
                       const struct wish *w, uint32_t vcpu)
{
    const char *why;
    unsigned int i = 0;

    while (i < c->n && c->vcpu[i] != vcpu) { /* named twice: the later one counts */
        i++;
    }
    c->n = MAX(c->n, i + 1);
    c->vcpu[i] = vcpu;
    if (!reservation_get(d, q->sched, vcpu, &c->r[i])) {
        return false;
    }
    wish_apply(q, w, &c->r[i]);
    why = reservation_bad(q->sched, &c->r[i]);
    return why ? !fail("%s: vcpu %u: %s (EINVAL)", d->name, vcpu, why) : true;
}

static bool change_plan(struct change *c, const struct domain *d, const struct request *q)
{
    struct xen_domctl_getdomaininfo info;
    long rc = domain_info(d->domid, &info);

    if (rc) {
        return !fail_errno(rc, "%s", d->name);
    }
    for (unsigned int i = 0; i < MAX(q->nr_vcpus, 1U); i++) {
        const struct wish *w = &q->wish[i];
        uint32_t first = w->vcpu == EVERY_VCPU ? 0 : w->vcpu;
        uint32_t last = w->vcpu == EVERY_VCPU ? info.max_vcpu_id : w->vcpu;

        if (last > info.max_vcpu_id) {
            return !fail("%s: vcpu %u: the last is %u (EINVAL)", d->name, last, info.max_vcpu_id);
        }
        for (uint32_t v = first; v <= last && v < VCPUS_MAX; v++) {
            if (!change_add(c, d, q, w, v)) {
                return false;
            }
        }
    }
    return true;
}

static int domain_set(const struct domain *d, const struct pool *p, const struct request *q)
{
    struct change *c = allocate(sizeof(*c));
    bool good;

    if (!c) {
        return fail_errno(-XEN_ENOMEM, "%s: the plan", d->name);
    }
    good = change_plan(c, d, q) &&
           reservations_put(d, p, c->vcpu, c->r, c->n, q->force ? FORCED : MAY_FORCE);
    release(c);
    return good ? 0 : 1;
}

/* ---- the words ---- */

static bool vcpu_take(struct request *q, const char *text)
{
    uint64_t n = EVERY_VCPU;

    if (strcmp(text, "all") != 0 && !number_parse(text, VCPUS_MAX - 1, &n)) {
        return !fail("Invalid VCPU %s: it is a number or all (EINVAL)", text);
    }
    if (q->nr_vcpus == VCPUS_MAX) {
        return !fail("more than %u times -v (EINVAL)", VCPUS_MAX);
    }
    q->wish[q->nr_vcpus++].vcpu = (uint32_t)n;
    return true;
}

static bool value_take(struct request *q, enum field f, const char *text)
{
    static const char *const names[FIELDS] = { "period", "budget", "latency", "weight",
                                               "extratime" };
    uint64_t n = 0;
    bool good;

    if (f == EXTRA) {
        good = number_parse(text, 1, &n);
    } else if (f == WEIGHT) {
        good = number_parse(text, UINT16_MAX, &n) && n;
    } else if (q->sched == XEN_SCHEDULER_RTDS) {
        good = number_parse(text, UINT32_MAX, &n);
        n *= 1000;
    } else {
        good = ms_parse(text, &n);
    }
    if (!good) {
        return !fail("Invalid %s: %s (EINVAL)", names[f], text);
    }
    if (q->nr[f] == VCPUS_MAX) {
        return !fail("more than %u times %s (EINVAL)", VCPUS_MAX, names[f]);
    }
    q->wish[q->nr[f]++].value[f] = n;
    return true;
}

static bool option_take(struct request *q, int letter, const char *value)
{
    switch (letter) {
    case 'd':
        q->domain = value;
        return true;
    case 'c':
        q->pool = value;
        return true;
    case 'f':
        q->force = true;
        return true;
    case 'v':
        return vcpu_take(q, value);
    case 'p':
        return value_take(q, PERIOD, value);
    case 'e':
        return value_take(q, EXTRA, value);
    case 'l':
        return value_take(q, LATENCY, value);
    case 'w':
        return value_take(q, WEIGHT, value);
    default:
        return value_take(q, BUDGET, value);
    }
}

/* How many values there are in all; ~0 after fail(). */
static unsigned int values_check(const struct request *q)
{
    unsigned int all = 0;

    for (enum field f = 0; f < FIELDS; f++) {
        if (q->nr[f] && q->nr[f] != MAX(q->nr_vcpus, 1U)) {
            fail("Incorrect number of period, %s and extratime: one of each for each -v (EINVAL)",
                 q->sched == XEN_SCHEDULER_RTDS ? "budget" : "slice");
            return ~0U;
        }
        all += q->nr[f];
    }
    return all;
}

static int request_run(const struct request *q)
{
    unsigned int values = values_check(q);
    const struct domain *d;
    struct pool p;

    if (values == ~0U) {
        return 1;
    }
    if (q->pool && (q->domain || values || q->nr_vcpus)) {
        return fail("Specifying a cpupool is not allowed with other options. (EINVAL)");
    }
    if (!q->domain) {
        return values || (q->nr_vcpus && q->wish[0].vcpu != EVERY_VCPU)
                   ? fail("Must specify a domain. (EINVAL)")
                   : pools_print(q);
    }
    if (values && !q->nr_vcpus && q->sched == XEN_SCHEDULER_RTDS) {
        return fail("Must specify VCPU. (EINVAL)");
    }
    d = domain_named(q->domain);
    if (!d || !domain_pool(d, &p) || !pool_runs(&p, q->sched)) {
        return 1;
    }
    return values ? domain_set(d, &p, q) : domain_print(d, q);
}

static int run(uint32_t sched, int argc, char **argv, const char *letters, const char *names)
{
    struct request *q = &request;
    struct options o;
    int letter;

    memset(q, 0, sizeof(*q));
    q->sched = sched;
    q->wish[0].vcpu = EVERY_VCPU;
    options_init(&o, argc, argv, letters, names);
    while ((letter = options_next(&o))) {
        if (letter == '?') {
            return USAGE;
        }
        if (!option_take(q, letter, o.value)) {
            return 1;
        }
    }
    return o.nr_rest ? USAGE : request_run(q);
}

static int run_rtds(int argc, char **argv)
{
    return run(XEN_SCHEDULER_RTDS, argc, argv, "d:v:p:b:e:c:f",
               "domain=d vcpuid=v period=p budget=b extratime=e cpupool=c force=f");
}

static int run_sedf(int argc, char **argv)
{
    return run(TARN_SCHEDULER_SEDF, argc, argv, "d:v:p:s:l:e:w:c:f",
               "domain=d vcpuid=v period=p slice=s latency=l extra=e weight=w cpupool=c force=f");
}

const struct command cmd_sched_rtds = {
    .name = "sched-rtds",
    .usage = "[-d DOMAIN [-v VCPU|all [-p US] [-b US] [-e 0|1]]...] [--force] [--cpupool=CPUPOOL]",
    .help = "periods and budgets of vcpus under rtds",
    .run = run_rtds,
};

const struct command cmd_sched_sedf = {
    .name = "sched-sedf",
    .usage = "[-d DOMAIN [-v VCPU|all] [-p MS] [-s MS] [-l MS] [-e 0|1] [-w WEIGHT]] [--force] "
             "[--cpupool=CPUPOOL]",
    .help = "periods and slices of vcpus under sedf",
    .run = run_sedf,
};
