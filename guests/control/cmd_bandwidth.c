/* SPDX-License-Identifier: MIT */
/*
 * cmd_bandwidth.c - bandwidth: for how long in each period a vcpu, a domain, or the threads of its
 * emulator may run; shown, or set as a whole or not at all.
 */
#include "tune.h"

#define UNITS_MAX (VCPUS_MAX + 1)

enum kind { DOMAIN, VCPU, EMULATOR, IOTHREAD };
static const char *const kind_names[] = { "domain", "vcpu", "emulator", "iothread" };
#define ALL_OF (~0u)

struct request {
    const char *domain;
    const char *unit; /* NULL: not given */
    bool json, set;
    struct bandwidth to;
};

/* A thing that has a bandwidth; as `domid`s vcpu, or as a domain. */
struct unit {
    domid_t domid;
    uint32_t vcpu;
    char name[16];
};

struct units {
    unsigned int n;
    struct unit of[UNITS_MAX];
    struct bandwidth old[UNITS_MAX];
};

/* ---- what there is ---- */

static uint32_t vcpus_in(domid_t domid)
{
    struct xen_domctl_getdomaininfo info;

    return domain_info(domid, &info) ? 0 : MIN(vcpus_of(&info), VCPUS_MAX);
}

static void unit_add(struct units *u, domid_t domid, uint32_t vcpu, const char *name,
                     unsigned int id)
{
    struct unit *to = &u->of[u->n];

    if (u->n < UNITS_MAX) {
        u->n++;
        *to = (struct unit){ .domid = domid, .vcpu = vcpu };
        fmt_snprintf(to->name, sizeof(to->name), id == ALL_OF ? "%s" : "%s%u", name, id);
    }
}

/* Those of one kind; which: its number, or ALL_OF. */
static void units_add(struct units *u, const struct domain *d, enum kind kind, uint32_t which)
{
    domid_t stub = emulator_of(d->domid), of = kind == VCPU ? d->domid : stub;
    uint32_t n = kind != DOMAIN && of != DOMID_INVALID ? vcpus_in(of) : 0;

    if (kind == DOMAIN) {
        unit_add(u, d->domid, TARN_BANDWIDTH_DOMAIN, kind_names[kind], ALL_OF);
    } else if (kind == EMULATOR && n) {
        unit_add(u, of, 0, kind_names[kind], ALL_OF);
    }
    for (uint32_t v = kind == IOTHREAD; v < n && kind != EMULATOR; v++) {
        if (which == ALL_OF || which == v) {
            unit_add(u, of, v, kind_names[kind], v);
        }
    }
}

static int unit_missing(const struct domain *d, enum kind kind, const char *text)
{
    domid_t stub = emulator_of(d->domid);

    if (kind == VCPU) {
        return fail("%s: %s has vcpus 0 to %u (EINVAL)", text, d->name, vcpus_in(d->domid) - 1);
    }
    if (stub == DOMID_INVALID) {
        return fail("%s: %s has no emulator (ENOENT)", text, d->name);
    }
    return fail("%s: %s has %u iothreads (ENOENT)", text, d->name, vcpus_in(stub) - 1);
}

/* "vcpu", "vcpu3", "emulator"; a status. */
static int units_find(struct units *u, const struct domain *d, const char *text)
{
    for (unsigned int kind = 0; kind < ARRAY_SIZE(kind_names); kind++) {
        const char *end = text + strlen(kind_names[kind]);
        uint64_t which = ALL_OF;

        if (!text_begins(text, kind_names[kind]) ||
            (*end && (kind == DOMAIN || kind == EMULATOR || *end < '0' || *end > '9' ||
                      !number_parse(end, 100000, &which)))) {
            continue;
        }
        units_add(u, d, kind, (uint32_t)which);
        return u->n ? 0 : unit_missing(d, kind, text);
    }
    return fail("'%s' is none of domain, vcpu[N], emulator, iothread[N] (EINVAL)", text);
}

/* ---- showing ---- */

static void line_print(const struct domain *d, const struct unit *u, bool json)
{
    struct tarn_bandwidth b;
    char seconds[SECONDS_SIZE];

    if (bandwidth_get(u->domid, u->vcpu, &b)) {
        return;
    }
    if (!json) {
        out("%-32s %5u %-10s %8lu %9ld %10lu %9s\n", d->name, d->domid, u->name, b.period_us,
            b.quota_us, b.throttled, seconds_format(seconds, sizeof(seconds), b.throttled_ns));
        return;
    }
    json_object();
    json_text("name", d->name);
    json_count("domid", d->domid);
    json_text("unit", u->name);
    json_count("period_us", b.period_us);
    json_key("quota_us");
    json_number(b.quota_us);
    json_count("throttled", b.throttled);
    json_count("throttled_ns", b.throttled_ns);
    json_end();
}

/* An emulator's vcpus are shown as threads of its client. */
static void domain_print(const struct domain *d, struct units *u, bool json)
{
    u->n = 0;
    for (unsigned int kind = 0; kind < ARRAY_SIZE(kind_names); kind++) {
        units_add(u, d, kind, ALL_OF);
    }
    for (unsigned int i = 0; i < u->n; i++) {
        line_print(d, &u->of[i], json);
    }
}

static void begin(bool json)
{
    if (json) {
        json_array();
    } else {
        out("%-32s %5s %-10s %8s %9s %10s %9s\n", "Name", "ID", "Unit", "Period", "Quota",
            "Throttled", "Time(s)");
    }
}

static void show(const struct request *q, const struct domain *only, struct units *u)
{
    begin(q->json);
    if (q->unit) {
        for (unsigned int i = 0; i < u->n; i++) {
            line_print(only, &u->of[i], q->json);
        }
    } else if (only) {
        domain_print(only, u, q->json);
    } else {
        for (const struct domain *d = domains_first(); d; d = d->next) {
            if (client_of(d->domid) == DOMID_INVALID) {
                domain_print(d, u, q->json);
            }
        }
    }
    if (q->json) {
        json_done();
    }
}

/* ---- setting ---- */

static int set_all(const struct domain *d, struct units *u, const struct bandwidth *to)
{
    struct tarn_bandwidth now;

    for (unsigned int i = 0; i < u->n; i++) {
        long rc = bandwidth_get(u->of[i].domid, u->of[i].vcpu, &now);

        u->old[i] = (struct bandwidth){ now.period_us, now.quota_us };
        rc = rc ? rc : bandwidth_put(u->of[i].domid, u->of[i].vcpu, to);
        if (rc) {
            fail_errno(rc, "%s: %s", d->name, u->of[i].name);
            while (i-- > 0) {
                bandwidth_put(u->of[i].domid, u->of[i].vcpu, &u->old[i]);
            }
            return 1;
        }
    }
    return 0;
}

static int request_run(const struct request *q, struct units *u)
{
    const struct domain *d = q->domain ? domain_named(q->domain) : NULL;
    const char *wrong = bandwidth_wrong(&q->to);
    struct tarn_bandwidth b;
    long rc;

    if (q->domain && !d) {
        return 1;
    }
    if (wrong) {
        return fail("%s (EINVAL)", wrong);
    }
    rc = bandwidth_get(d ? d->domid : 0, TARN_BANDWIDTH_DOMAIN, &b);
    if (rc) {
        return fail_errno(rc, "bandwidth");
    }
    if (d && (q->unit || q->set)) {
        int status = units_find(u, d, q->unit ? q->unit : "domain");

        if (status) {
            return status;
        }
    }
    if (q->set) {
        return set_all(d, u, &q->to);
    }
    show(q, d, u);
    return 0;
}

/* ---- the words ---- */

static bool number_take(int letter, const char *value, struct request *q)
{
    bool negative = letter == 'q' && *value == '-';
    uint64_t n;

    /* 0 is libvirt's word for "as it was", which here is to give none */
    if (!number_parse(value + negative, INT64_MAX, &n) || !n) {
        return !fail("%s %s: it is %u to %llu us%s (EINVAL)", letter == 'q' ? "quota" : "period",
                     value, letter == 'q' ? TARN_QUOTA_MIN : TARN_PERIOD_MIN,
                     letter == 'q' ? TARN_QUOTA_MAX : (unsigned long long)TARN_PERIOD_MAX,
                     letter == 'q' ? ", or -1: no limit" : "");
    }
    q->set = true;
    if (letter == 'q') {
        q->to.quota = negative ? -1 : (int64_t)n;
    } else {
        q->to.period = n;
    }
    return true;
}

/* 0, or a status. */
static int words_take(int argc, char **argv, struct request *q)
{
    struct options o;
    int letter;

    options_init(&o, argc, argv, "d:u:p:q:j", "domain=d unit=u period=p quota=q json=j");
    while ((letter = options_next(&o))) {
        if (letter == '?') {
            return USAGE;
        }
        if ((letter == 'p' || letter == 'q') && !number_take(letter, o.value, q)) {
            return 1;
        }
        q->domain = letter == 'd' ? o.value : q->domain;
        q->unit = letter == 'u' ? o.value : q->unit;
        q->json |= letter == 'j';
    }
    if (o.nr_rest) {
        return USAGE;
    }
    return !q->domain && (q->unit || q->set) ? fail("Must specify a domain. (EINVAL)") : 0;
}

static int run(int argc, char **argv)
{
    struct request q = { .json = shell_json };
    struct units *u;
    int status = words_take(argc, argv, &q);

    if (status) {
        return status;
    }
    u = allocate(sizeof(*u));
    status = u ? request_run(&q, u) : fail_errno(-XEN_ENOMEM, "table");
    release(u);
    return status;
}

const struct command cmd_bandwidth = {
    .name = "bandwidth",
    .usage = "[-j] [-d DOMAIN [-u domain|vcpu[N]|emulator|iothread[N]] [-p PERIOD] [-q QUOTA|-1]]",
    .help = "for how many us in each period domains and vcpus may run",
    .run = run,
};
