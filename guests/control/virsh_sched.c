/* SPDX-License-Identifier: MIT */
/*
 * virsh_sched.c - schedinfo: shares, periods and quotas by libvirt's names, and under credit weight
 * and cap. All that is to be set is looked at before any of it is.
 */
#include <tarn/number.h>

#include "tune.h"
#include "virsh.h"

#define DEFAULT_PERIOD 100000
#define DEFAULT_WEIGHT 256u
#define WEIGHT_MOST 65535

enum param {
    SHARES,
    VCPU_PERIOD,
    VCPU_QUOTA,
    EMULATOR_PERIOD,
    EMULATOR_QUOTA,
    GLOBAL_PERIOD,
    GLOBAL_QUOTA,
    IOTHREAD_PERIOD,
    IOTHREAD_QUOTA,
    WEIGHT, /* from here on under credit only */
    CAP,
    PARAMS,
};

static const struct {
    const char *name, *key, *type;
} params[PARAMS] = {
    [SHARES] = { "cpu_shares", "shares", "unsigned long long" },
    [VCPU_PERIOD] = { "vcpu_period", "vcpu_period", "unsigned long long" },
    [VCPU_QUOTA] = { "vcpu_quota", "vcpu_quota", "long long" },
    [EMULATOR_PERIOD] = { "emulator_period", "emulator_period", "unsigned long long" },
    [EMULATOR_QUOTA] = { "emulator_quota", "emulator_quota", "long long" },
    [GLOBAL_PERIOD] = { "global_period", "global_period", "unsigned long long" },
    [GLOBAL_QUOTA] = { "global_quota", "global_quota", "long long" },
    [IOTHREAD_PERIOD] = { "iothread_period", "iothread_period", "unsigned long long" },
    [IOTHREAD_QUOTA] = { "iothread_quota", "iothread_quota", "long long" },
    [WEIGHT] = { "weight", "cpu_weight", "unsigned int" },
    [CAP] = { "cap", "cap", "unsigned int" },
};

struct values {
    int64_t value[PARAMS];
    bool given[PARAMS];
};

struct request {
    struct virsh_domain d;
    struct config *defined; /* from allocate(); NULL: it isn't about the definition */
    unsigned int affects;
    unsigned int nr; /* parameters that are known: under credit all */
    struct values set;
};

static struct bandwidth *bandwidth_of(struct config *c, enum param p)
{
    switch (p) {
    case VCPU_PERIOD:
    case VCPU_QUOTA:
        return &c->vcpu_bandwidth;
    case EMULATOR_PERIOD:
    case EMULATOR_QUOTA:
        return &c->emulator_bandwidth;
    case GLOBAL_PERIOD:
    case GLOBAL_QUOTA:
        return &c->global_bandwidth;
    default:
        return &c->iothread_bandwidth;
    }
}

static bool is_quota(enum param p)
{
    return p <= IOTHREAD_QUOTA && p && p % 2 == 0;
}

/* ---- what they are ---- */

static void shares_live(const struct virsh_domain *d, const struct config *c, struct values *v)
{
    struct tarn_domain_shares op = { .domid = d->live->domid };
    uint32_t weight = DEFAULT_WEIGHT;

    if (hypercall2(__HYPERVISOR_tarn_op, TARN_OP_get_domain_shares, ARG(&op)) == 0) {
        weight = op.weight;
    }
    v->value[WEIGHT] = weight;
    v->value[CAP] = op.cap;
    v->value[SHARES] = c->shares && placement_shares_to_weight(c->shares) == weight
                           ? (int64_t)c->shares
                           : (int64_t)placement_weight_to_shares(weight);
}

/* Of the vcpu that stands for its like; of a thread that isn't there what it would have. */
static void bandwidth_live(const struct domain *who, uint32_t vcpu, const struct bandwidth *else_of,
                           int64_t *period, int64_t *quota)
{
    struct tarn_bandwidth b;

    if (who && bandwidth_get(who->domid, vcpu, &b) == 0) {
        *period = (int64_t)b.period_us;
        *quota = b.quota_us < 0 || b.quota_us > (int64_t)TARN_QUOTA_MAX ? -1 : b.quota_us;
        return;
    }
    *period = else_of->period ? (int64_t)else_of->period : DEFAULT_PERIOD;
    *quota = else_of->quota ? else_of->quota : -1;
}

static void values_live(const struct virsh_domain *d, struct values *v)
{
    struct config *c = virsh_live_config(d);
    const struct domain *emulator = virsh_emulator(d), *threads = c->iothreads ? emulator : NULL;
    int64_t *value = v->value;

    shares_live(d, c, v);
    bandwidth_live(d->live, 0, &c->vcpu_bandwidth, &value[VCPU_PERIOD], &value[VCPU_QUOTA]);
    bandwidth_live(emulator, 0, &c->emulator_bandwidth, &value[EMULATOR_PERIOD],
                   &value[EMULATOR_QUOTA]);
    bandwidth_live(d->live, TARN_BANDWIDTH_DOMAIN, &c->global_bandwidth, &value[GLOBAL_PERIOD],
                   &value[GLOBAL_QUOTA]);
    bandwidth_live(threads, 1, &c->iothread_bandwidth, &value[IOTHREAD_PERIOD],
                   &value[IOTHREAD_QUOTA]);
}

/* What a file doesn't say is 0, but for the weight. */
static void values_config(struct config *c, struct values *v)
{
    for (enum param p = VCPU_PERIOD; p <= IOTHREAD_QUOTA; p++) {
        const struct bandwidth *b = bandwidth_of(c, p);

        v->value[p] = is_quota(p) ? b->quota : (int64_t)b->period;
    }
    v->value[SHARES] = (int64_t)c->shares;
    v->value[WEIGHT] = c->weight ? (int64_t)c->weight : (int64_t)DEFAULT_WEIGHT;
    v->value[CAP] = MAX(c->cap, 0);
}

static void values_print(const struct request *q)
{
    struct values v;

    if (q->affects & VIRSH_LIVE) {
        values_live(&q->d, &v);
    } else {
        values_config(q->defined, &v);
    }
    for (unsigned int p = 0; p < q->nr; p++) {
        out("%-15s: %ld\n", params[p].name, v.value[p]);
    }
}

/* ---- what is wanted ---- */

static bool number_take(const char *text, int64_t *value)
{
    bool negative = *text == '-';
    uint64_t n;

    if (!uint_parse(text + negative, &n) || n > (uint64_t)INT64_MAX) {
        return false;
    }
    *value = negative ? -(int64_t)n : (int64_t)n;
    return true;
}

static bool range_good(const struct request *q, unsigned int p, int64_t value)
{
    uint32_t vcpus = q->defined ? q->defined->maxvcpus : virsh_live_config(&q->d)->maxvcpus;
    int64_t least = p == WEIGHT ? 1 : 0, most = p == WEIGHT ? WEIGHT_MOST : 100 * (int64_t)vcpus;
    enum placement_tune kind;
    const char *why = NULL;

    if (p < WEIGHT) {
        placement_tune_kind(params[p].name, &kind);
        why = placement_param_wrong(params[p].name, kind, value);
        return why ? !virsh_error(INVALID_ARGUMENT "%s", why) : true;
    }
    if (value < least || value > most) {
        return !virsh_error(INVALID_ARGUMENT "value of '%s' is out of range [%ld, %ld]",
                            params[p].name, least, most);
    }
    return true;
}

static bool param_take(struct request *q, const char *name, size_t len, const char *text)
{
    int64_t value = 0;
    unsigned int p = 0;

    while (p < q->nr && (strlen(params[p].name) != len || memcmp(params[p].name, name, len))) {
        p++;
    }
    if (p == q->nr) {
        return !virsh_error("invalid scheduler option: %.*s", (int)len, name);
    }
    if (q->set.given[p]) {
        return !virsh_error(INVALID_ARGUMENT "parameter '%s' occurs multiple times",
                            params[p].name);
    }
    if (!number_take(text, &value)) {
        return !virsh_error(INVALID_ARGUMENT "Invalid value for field '%s': expected %s",
                            params[p].name, params[p].type);
    }
    q->set.given[p] = true;
    q->set.value[p] = value;
    return range_good(q, p, value);
}

static bool params_take(struct request *q)
{
    static const char *const named[] = { "weight", "cap" };
    const char *const *words;
    unsigned int n = virsh_words(&words);

    for (unsigned int i = 0; i < ARRAY_SIZE(named); i++) {
        const char *text = virsh_text(named[i]);

        if (text && !param_take(q, named[i], strlen(named[i]), text)) {
            return false;
        }
    }
    for (unsigned int i = 0; i < n; i++) {
        const char *equals = strchr(words[i], '=');

        if (!equals) {
            return !virsh_error("Invalid syntax for --set, expecting name=value");
        }
        if (!param_take(q, words[i], (size_t)(equals - words[i]), equals + 1)) {
            return false;
        }
    }
    if (q->set.given[SHARES] && q->set.given[WEIGHT]) {
        return !virsh_error(INVALID_ARGUMENT "'weight' and 'cpu_shares' say the same");
    }
    return true;
}

/* ---- live ---- */

/* The first that may fail: of a member they are its master's to set. */
static int shares_put(const struct request *q, struct config *c)
{
    const struct values *v = &q->set;
    struct tarn_domain_shares op = { .domid = q->d.live->domid };
    domid_t master = master_of(op.domid);
    long rc;

    if (!v->given[SHARES] && !v->given[WEIGHT] && !v->given[CAP]) {
        return 0;
    }
    if (master != DOMID_INVALID) {
        return virsh_error(NOT_VALID "domain is in the scheduling domain of '%s', which sets them",
                           domid_name(master));
    }
    rc = hypercall2(__HYPERVISOR_tarn_op, TARN_OP_get_domain_shares, ARG(&op));
    if (v->given[SHARES]) {
        op.weight = (uint16_t)placement_shares_to_weight((uint64_t)v->value[SHARES]);
    } else if (v->given[WEIGHT]) {
        op.weight = (uint16_t)v->value[WEIGHT];
    }
    op.cap = v->given[CAP] ? (uint16_t)v->value[CAP] : op.cap;
    rc = rc ? rc : hypercall2(__HYPERVISOR_tarn_op, TARN_OP_set_domain_shares, ARG(&op));
    if (rc) {
        return virsh_error("operation failed: weight and cap: %s (%s)", error_text(rc),
                           error_name(rc));
    }
    if (v->given[SHARES] || v->given[WEIGHT]) {
        c->weight = op.weight;
        c->shares = v->given[SHARES] ? (uint64_t)v->value[SHARES] : 0;
    }
    c->cap = v->given[CAP] ? (int)op.cap : c->cap;
    return 0;
}

/* To vcpus first to end - 1 of `who`, which may not be there. */
static long bandwidth_each(const struct domain *who, uint32_t first, uint32_t end,
                           const struct bandwidth *b)
{
    long rc = 0;

    for (uint32_t v = first; who && v < end && rc == 0; v++) {
        rc = bandwidth_put(who->domid, v, b);
    }
    return rc;
}

static long bandwidth_live_put(const struct request *q, struct config *c, enum param period)
{
    const struct domain *emulator = virsh_emulator(&q->d);
    const struct values *v = &q->set;
    const struct bandwidth b = {
        .period = v->given[period] ? (uint64_t)v->value[period] : 0,
        .quota = v->given[period + 1] ? v->value[period + 1] : 0,
    };
    struct bandwidth *kept = bandwidth_of(c, period);
    long rc;

    if (!b.period && !b.quota) {
        return 0;
    }
    switch (period) {
    case VCPU_PERIOD:
        rc = bandwidth_each(q->d.live, 0, vcpus_of(&q->d.info), &b);
        break;
    case EMULATOR_PERIOD:
        rc = bandwidth_each(emulator, 0, 1, &b);
        break;
    case GLOBAL_PERIOD:
        rc = bandwidth_put(q->d.live->domid, TARN_BANDWIDTH_DOMAIN, &b);
        break;
    default:
        rc = bandwidth_each(emulator, 1, c->iothreads + 1, &b);
        break;
    }
    if (rc == 0) {
        kept->period = b.period ? b.period : kept->period;
        kept->quota = b.quota ? b.quota : kept->quota;
    }
    return rc;
}

static int set_live(const struct request *q)
{
    struct config *c = virsh_live_config(&q->d);
    long rc = 0;

    if (shares_put(q, c)) {
        return 1;
    }
    for (enum param p = VCPU_PERIOD; p < IOTHREAD_QUOTA && rc == 0; p += 2) {
        rc = bandwidth_live_put(q, c, p);
        if (rc) {
            return virsh_error("operation failed: %s: %s (%s)", params[p].name, error_text(rc),
                               error_name(rc));
        }
    }
    return 0;
}

/* ---- in the definition ---- */

static int set_config(const struct request *q)
{
    struct definition_change changes[PARAMS + 1];
    char text[PARAMS][24];
    unsigned int n = 0;

    for (unsigned int p = 0; p < q->nr; p++) {
        int64_t value = q->set.value[p];

        if (!q->set.given[p]) {
            continue;
        }
        fmt_snprintf(text[p], sizeof(text[p]), "%ld", is_quota(p) && value < 0 ? -1 : value);
        /* 0 of those: none */
        changes[n++] = (struct definition_change){ params[p].key,
                                                   value || p == CAP ? text[p] : NULL };
        /* which say the same */
        if (p == SHARES || p == WEIGHT) {
            changes[n++] = (struct definition_change){ params[SHARES + WEIGHT - p].key, NULL };
        }
    }
    return definition_change(q->d.def, changes, n) ? 0 : 1;
}

/* ---- the word ---- */

static bool wants_change(void)
{
    const char *const *words;

    return virsh_words(&words) || virsh_text("weight") || virsh_text("cap");
}

static bool scheduler_known(struct request *q)
{
    const struct config *c = q->affects & VIRSH_LIVE ? virsh_live_config(&q->d) : q->defined;
    struct pool pool;
    bool credit = virsh_pool(&q->d, c, &pool) && pool.sched == XEN_SCHEDULER_CREDIT;

    q->nr = credit ? PARAMS : WEIGHT;
    out("Scheduler      : %s\n", credit ? "credit" : "posix");
    return true;
}

static int request_run(struct request *q)
{
    bool change = wants_change();

    q->affects = virsh_affects(&q->d, !change);
    if (!q->affects) {
        return 1;
    }
    if (q->affects & VIRSH_CONFIG) {
        q->defined = definition_config(q->d.def);
        if (!q->defined) {
            return 1;
        }
    }
    if (!scheduler_known(q) || !params_take(q) ||
        (change && q->affects & VIRSH_LIVE && set_live(q)) ||
        (change && q->affects & VIRSH_CONFIG && set_config(q))) {
        return 1;
    }
    if (change && q->affects & VIRSH_CONFIG && !(q->affects & VIRSH_LIVE)) {
        release(q->defined);
        q->defined = definition_config(q->d.def);
    }
    if (q->affects & VIRSH_LIVE || q->defined) {
        values_print(q);
    }
    return 0;
}

static int run_schedinfo(void)
{
    struct request *q = allocate(sizeof(*q));
    int status = 1;

    if (!q) {
        return virsh_error("out of memory");
    }
    if (virsh_domain(&q->d)) {
        status = request_run(q);
    }
    release(q->defined);
    release(q);
    return status;
}

const struct virsh_word virsh_schedinfo = {
    .name = "schedinfo",
    .help = "show/set scheduler parameters",
    .options = { { "domain", VIRSH_TEXT },
                 { "weight", VIRSH_NAMED_TEXT },
                 { "cap", VIRSH_NAMED_TEXT },
                 { "current", VIRSH_FLAG },
                 { "config", VIRSH_FLAG },
                 { "live", VIRSH_FLAG },
                 { "set", VIRSH_WORDS } },
    .run = run_schedinfo,
};
