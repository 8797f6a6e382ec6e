/* SPDX-License-Identifier: MIT */
/*
 * placement.c - see tarn/placement.h. One place for the rules, so that definitions, commands, the
 * host's program and the tests can't differ. Where libvirt's versions differ, the two that matter
 * are modes: of 2012, and today's. Pure; the buffer of the last reason has one user at a time.
 */
#include <tarn/placement.h>

#include <public/tarn.h>

#define SHOWN 40 /* characters of a list in a reason */
#define SHARES_PER_WEIGHT 4u
#define WEIGHT_MAX 65535u

#define NO_ID (~0U)

static const char no_adviser[] = "placement is auto, and there is no adviser to ask";
static char reason[160]; /* the last one */

static const char *__printf(1, 2) wrong(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    fmt_vsnprintf(reason, sizeof(reason), format, args);
    va_end(args);
    return reason;
}

/* ---- lists ---- */

static const char *skip_blanks(const char *text)
{
    while (*text == ' ' || (*text >= '\t' && *text <= '\r')) {
        text++;
    }
    return text;
}

/* A CPU's number at *text, which moves behind it and the blanks that follow. */
static const char *take_cpu(const char **text, u32 nr_cpus, u32 *cpu)
{
    const char *p = *text;
    u32 n = 0;

    if (*p < '0' || *p > '9') {
        return *p ? wrong("at '%.*s' there should be a CPU's number", SHOWN, p)
                  : "there should be a CPU's number at the end";
    }
    for (; *p >= '0' && *p <= '9'; p++) {
        n = MIN(n * 10 + (u32)(*p - '0'), 10000000U);
    }
    if (n >= nr_cpus) {
        return wrong("there is no CPU %.*s, the last is %u", (int)MIN(p - *text, SHOWN), *text,
                     nr_cpus - 1);
    }
    *text = skip_blanks(p);
    *cpu = n;
    return NULL;
}

/* "3", "1-4", "^3" with the blanks behind it. */
static const char *take_item(const char **text, u32 nr_cpus, struct cpumask *set)
{
    const char *begin = *text, *why;
    bool away = **text == '^';
    u32 first, last;

    *text += away;
    why = take_cpu(text, nr_cpus, &first);
    if (why) {
        return why;
    }
    last = first;
    if (**text == '-') {
        if (away) {
            return wrong("'%.*s': only single CPUs can be taken away", SHOWN, begin);
        }
        *text = skip_blanks(*text + 1);
        why = take_cpu(text, nr_cpus, &last);
        if (why) {
            return why;
        }
        if (last < first) {
            return wrong("range %u-%u runs backwards", first, last);
        }
    }
    for (u32 cpu = first; cpu <= last; cpu++) {
        if (away) {
            cpumask_clear(set, cpu);
        } else {
            cpumask_set(set, cpu);
        }
    }
    return NULL;
}

const char *placement_list_parse(const char *text, u32 nr_cpus, struct cpumask *out)
{
    struct cpumask set = { { 0 } };

    nr_cpus = MIN(nr_cpus, (u32)NR_CPUS);
    text = skip_blanks(text);
    if (!*text) {
        return "it names no CPU";
    }
    for (;;) {
        const char *why = take_item(&text, nr_cpus, &set);

        if (why) {
            return why;
        }
        if (!*text) {
            break;
        }
        if (*text != ',') {
            return wrong("at '%.*s' there should be a comma", SHOWN, text);
        }
        text = skip_blanks(text + 1);
    }
    if (cpumask_empty(&set)) {
        return "it names no CPU";
    }
    *out = set;
    return NULL;
}

int placement_list_format(char *buf, size_t size, const struct cpumask *set)
{
    int length = 0;

    if (size) {
        *buf = '\0';
    }
    for (u32 first = cpumask_first(set), last; first < NR_CPUS;
         first = cpumask_next(set, last + 1)) {
        size_t used = MIN((size_t)length, size);

        for (last = first; cpumask_test(set, last + 1); last++) {
        }
        length += fmt_snprintf(buf + used, size - used, last > first ? "%s%u-%u" : "%s%u",
                               length ? "," : "", first, last);
    }
    return length;
}

/* ---- a definition's parts ---- */

const char *placement_set_mode(struct placement_raw *p, const char *name)
{
    if (strcmp(name, "modern") == 0) {
        p->mode = PLACEMENT_MODERN;
    } else if (strcmp(name, "2012") == 0) {
        p->mode = PLACEMENT_2012;
    } else {
        return wrong("'%.*s' is none of modern, 2012", SHOWN, name);
    }
    return NULL;
}

const char *placement_set_placement(struct placement_raw *p, const char *name)
{
    if (strcmp(name, "static") == 0) {
        p->placement = PLACEMENT_STATIC;
    } else if (strcmp(name, "auto") == 0) {
        p->placement = PLACEMENT_AUTO;
    } else {
        return wrong("'%.*s' is none of static, auto", SHOWN, name);
    }
    return NULL;
}

static const char *take_pin(struct placement_pin *pin, const char *list)
{
    const char *why;

    if (!list) {
        return "its cpuset is missing";
    }
    why = placement_list_parse(list, NR_CPUS, &pin->cpus);
    pin->given = pin->given || !why;
    return why;
}

/* As libvirt, which does not look at it any more once it read placement='auto'. */
const char *placement_set_cpuset(struct placement_raw *p, const char *list)
{
    if (p->placement == PLACEMENT_AUTO) {
        p->cpuset_ignored = true;
        return NULL;
    }
    return take_pin(&p->cpuset, list);
}

const char *placement_add_vcpupin(struct placement_raw *p, u32 vcpu, const char *list)
{
    struct placement_pin nobody = { 0 };
    struct placement_pin *pin = vcpu < PLACEMENT_VCPUS ? &p->vcpu[vcpu] : &nobody;

    if (pin->given) {
        return wrong("vcpu %u has two pins", vcpu);
    }
    if (vcpu >= PLACEMENT_VCPUS) {
        p->vcpu_beyond = MAX(vcpu, vcpu + 1);
    }
    return take_pin(pin, list);
}

const char *placement_add_emulatorpin(struct placement_raw *p, const char *list)
{
    return p->emulator.given ? "there are two emulatorpins" : take_pin(&p->emulator, list);
}

const char *placement_add_iothreadpin(struct placement_raw *p, u32 id, const char *list)
{
    if (id == 0) {
        return "there is no iothread 0, the first is 1";
    }
    if (id > PLACEMENT_IOTHREADS) {
        return wrong("there is no iothread %u, at most %u", id, PLACEMENT_IOTHREADS);
    }
    if (p->iothread[id].given) {
        return wrong("iothread %u has two pins", id);
    }
    return take_pin(&p->iothread[id], list);
}

/* ---- what is wrong with it as a whole ---- */

struct check {
    struct placement_raw *p;
    void (*tell)(void *arg, bool fault, const char *text);
    void *arg;
    u32 faults;
};

static void __printf(2, 3) fault(struct check *c, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    fmt_vsnprintf(reason, sizeof(reason), format, args);
    va_end(args);
    c->faults++;
    c->tell(c->arg, true, reason);
}

static void __printf(2, 3) warning(struct check *c, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    fmt_vsnprintf(reason, sizeof(reason), format, args);
    va_end(args);
    c->tell(c->arg, false, reason);
}

static bool any_given(const struct placement_pin *pins, u32 n)
{
    for (u32 i = 0; i < n; i++) {
        if (pins[i].given) {
            return true;
        }
    }
    return false;
}

static void check_counts(struct check *c)
{
    struct placement_raw *p = c->p;

    if (p->max_vcpus == 0) {
        fault(c, "a domain has at least one vcpu");
        return;
    }
    if (p->max_vcpus > PLACEMENT_VCPUS) {
        fault(c, "%u vcpus are more than a domain can have, %u", p->max_vcpus, PLACEMENT_VCPUS);
    }
    if (p->vcpus > p->max_vcpus) {
        fault(c, "%u vcpus now are more than the maximum, %u", p->vcpus, p->max_vcpus);
    }
    p->vcpus = p->vcpus ? p->vcpus : p->max_vcpus;
    if (p->iothreads > PLACEMENT_IOTHREADS) {
        fault(c, "%u iothreads are more than a domain can have, %u", p->iothreads,
              PLACEMENT_IOTHREADS);
    }
}

/* Where memory may go with an adviser and no thread is told where to be, threads follow it. */
static void settle_placement(struct check *c)
{
    struct placement_raw *p = c->p;

    if (p->placement == PLACEMENT_MISSING) {
        bool told = p->cpuset.given || p->emulator.given || any_given(p->vcpu, PLACEMENT_VCPUS) ||
                    any_given(p->iothread, PLACEMENT_IOTHREADS + 1) || p->vcpu_beyond;

        p->placement = p->numatune_auto && !told ? PLACEMENT_AUTO : PLACEMENT_STATIC;
    }
    if (p->placement == PLACEMENT_AUTO && (p->cpuset.given || p->cpuset_ignored)) {
        warning(c, "placement is auto: the cpuset of the vcpus is ignored");
        p->cpuset.given = p->cpuset_ignored = false;
    }
}

static void check_vcpu_pins(struct check *c)
{
    struct placement_raw *p = c->p;

    for (u32 v = p->max_vcpus; v < PLACEMENT_VCPUS; v++) {
        if (p->vcpu[v].given) {
            warning(c, "vcpupin of vcpu %u is ignored: the last vcpu is %u", v, p->max_vcpus - 1);
            p->vcpu[v].given = false;
        }
    }
    if (p->vcpu_beyond) {
        warning(c, "vcpupin of vcpu %u is ignored: the last vcpu is %u", p->vcpu_beyond - 1,
                p->max_vcpus - 1);
        p->vcpu_beyond = 0;
    }
}

static void check_other_pins(struct check *c)
{
    struct placement_raw *p = c->p;

    for (u32 id = p->iothreads + 1; id <= PLACEMENT_IOTHREADS; id++) {
        if (p->iothread[id].given) {
            fault(c, "iothreadpin: there is no iothread %u", id);
        }
    }
    if (p->mode == PLACEMENT_2012 && p->placement == PLACEMENT_AUTO && p->emulator.given) {
        fault(c, "emulatorpin can't be given beside placement auto (place=\"2012\")");
    }
}

u32 placement_check(struct placement_raw *p, void (*tell)(void *arg, bool fault, const char *text),
                    void *arg)
{
    struct check c = { .p = p, .tell = tell, .arg = arg };

    check_counts(&c);
    settle_placement(&c);
    if (p->max_vcpus) {
        check_vcpu_pins(&c);
    }
    check_other_pins(&c);
    return c.faults;
}

/* ---- which rule gives a thread its CPUs ---- */

static const char *unknown(const struct placement_raw *p, struct placement_who who)
{
    if (who.thread == PLACEMENT_VCPU && who.id >= MIN(p->max_vcpus, PLACEMENT_VCPUS)) {
        return wrong("there is no vcpu %u, the last is %u", who.id, p->max_vcpus - 1);
    }
    if (who.thread == PLACEMENT_IOTHREAD &&
        (who.id == 0 || who.id > MIN(p->iothreads, PLACEMENT_IOTHREADS))) {
        return wrong("there is no iothread %u", who.id);
    }
    return NULL;
}

static struct placement_pin *pin_of(struct placement_raw *p, struct placement_who who)
{
    if (who.thread == PLACEMENT_EMULATOR) {
        return &p->emulator;
    }
    return who.thread == PLACEMENT_VCPU ? &p->vcpu[who.id] : &p->iothread[who.id];
}

const char *placement_of(const struct placement_raw *p, struct placement_who who,
                         const struct cpumask *all, const struct cpumask *advice,
                         struct cpumask *set, enum placement_rule *rule)
{
    const char *why = unknown(p, who);
    const struct placement_pin *pin;

    if (why) {
        return why;
    }
    pin = pin_of((struct placement_raw *)p, who);
    if (pin->given) {
        *rule = PLACEMENT_BY_PIN;
        *set = pin->cpus;
    } else if (p->placement == PLACEMENT_AUTO) {
        if (!advice) {
            return no_adviser;
        }
        *rule = PLACEMENT_BY_ADVISER;
        *set = *advice;
    } else if (p->cpuset.given) {
        *rule = PLACEMENT_BY_CPUSET;
        *set = p->cpuset.cpus;
    } else {
        *rule = PLACEMENT_BY_DEFAULT;
        *set = *all;
    }
    return NULL;
}

const char *placement_rule_name(enum placement_rule rule, enum placement_thread thread)
{
    static const char *const pins[] = { [PLACEMENT_VCPU] = "vcpupin",
                                        [PLACEMENT_EMULATOR] = "emulatorpin",
                                        [PLACEMENT_IOTHREAD] = "iothreadpin" };
    static const char *const names[] = { [PLACEMENT_BY_ADVISER] = "adviser",
                                         [PLACEMENT_BY_CPUSET] = "cpuset",
                                         [PLACEMENT_BY_DEFAULT] = "default" };

    return rule == PLACEMENT_BY_PIN ? pins[thread] : names[rule];
}

const char *placement_rule_words(enum placement_rule rule, enum placement_thread thread)
{
    static const char *const pins[] = { [PLACEMENT_VCPU] = "its vcpupin",
                                        [PLACEMENT_EMULATOR] = "the emulatorpin",
                                        [PLACEMENT_IOTHREAD] = "its iothreadpin" };
    static const char *const words[] = {
        [PLACEMENT_BY_ADVISER] = "no pin; placement is auto: the adviser's answer",
        [PLACEMENT_BY_CPUSET] = "no pin; the cpuset of the vcpus",
        [PLACEMENT_BY_DEFAULT] = "no pin, no cpuset: all CPUs of the pool",
    };

    return rule == PLACEMENT_BY_PIN ? pins[thread] : words[rule];
}

/* ---- start ---- */

/* The first CPU of the pin that the host has not. */
static const char *pin_startable(const struct placement_pin *pin, const struct cpumask *host,
                                 const char *what, u32 id)
{
    cpumask_for_each(cpu, &pin->cpus) {
        if (pin->given && !cpumask_test(host, cpu)) {
            return id == NO_ID ? wrong("%s: the host has no CPU %u", what, cpu)
                               : wrong("%s %u: the host has no CPU %u", what, id, cpu);
        }
    }
    return NULL;
}

const char *placement_startable(const struct placement_raw *p, const struct cpumask *host,
                                const struct cpumask *advice)
{
    const char *why = pin_startable(&p->cpuset, host, "cpuset", NO_ID);

    for (u32 v = 0; v < PLACEMENT_VCPUS && !why; v++) {
        why = pin_startable(&p->vcpu[v], host, "vcpupin of vcpu", v);
    }
    why = why ? why : pin_startable(&p->emulator, host, "emulatorpin", NO_ID);
    for (u32 id = 1; id <= PLACEMENT_IOTHREADS && !why; id++) {
        why = pin_startable(&p->iothread[id], host, "iothreadpin of iothread", id);
    }
    return why || p->placement != PLACEMENT_AUTO || advice ? why : no_adviser;
}

struct cpumask placement_effective(const struct cpumask *set, const struct cpumask *pool,
                                   bool *broken)
{
    struct cpumask both = cpumask_and(set, pool);

    *broken = cpumask_empty(&both);
    return *broken ? *pool : both;
}

/* ---- what happens later ---- */

const char *placement_pin_set(struct placement_raw *p, struct placement_who who,
                              const struct cpumask *set, const struct cpumask *host)
{
    const char *why = unknown(p, who);
    struct placement_pin *pin;

    if (why) {
        return why;
    }
    if (cpumask_empty(set)) {
        return "it names no CPU";
    }
    pin = pin_of(p, who);
    pin->cpus = *set;
    pin->given = p->mode != PLACEMENT_2012 || !cpumask_subset(host, set);
    return NULL;
}

const char *placement_pin_reset(struct placement_raw *p, struct placement_who who)
{
    const char *why = unknown(p, who);

    if (!why) {
        pin_of(p, who)->given = false;
    }
    return why;
}

const char *placement_set_vcpus(struct placement_raw *p, u32 vcpus)
{
    if (vcpus == 0) {
        return "a domain has at least one vcpu";
    }
    if (vcpus > MIN(p->max_vcpus, PLACEMENT_VCPUS)) {
        return wrong("%u vcpus are more than the maximum, %u", vcpus, p->max_vcpus);
    }
    for (u32 v = vcpus; v < p->vcpus; v++) {
        p->vcpu[v].given = false;
    }
    p->vcpus = vcpus;
    return NULL;
}

const char *placement_plug(struct placement_raw *p, u32 vcpu, bool in)
{
    struct placement_who who = { .thread = PLACEMENT_VCPU, .id = vcpu };
    const char *why = unknown(p, who);

    if (why) {
        return why;
    }
    if (in ? p->vcpus >= p->max_vcpus : vcpu == 0 || p->vcpus <= 1) {
        return in ? "all of its vcpus are there" : "vcpu 0 must stay";
    }
    if (!in) {
        p->vcpu[vcpu].given = false;
    }
    p->vcpus += in ? 1 : ~0U;
    return NULL;
}

/* ---- cputune ---- */

bool placement_tune_kind(const char *name, enum placement_tune *kind)
{
    static const struct {
        const char *name;
        enum placement_tune kind;
    } names[] = {
        { "shares", PLACEMENT_SHARES },          { "cpu_shares", PLACEMENT_SHARES },
        { "period", PLACEMENT_PERIOD },          { "quota", PLACEMENT_QUOTA },
        { "vcpu_period", PLACEMENT_PERIOD },     { "vcpu_quota", PLACEMENT_QUOTA },
        { "global_period", PLACEMENT_PERIOD },   { "global_quota", PLACEMENT_QUOTA },
        { "emulator_period", PLACEMENT_PERIOD }, { "emulator_quota", PLACEMENT_QUOTA },
        { "iothread_period", PLACEMENT_PERIOD }, { "iothread_quota", PLACEMENT_QUOTA },
    };

    for (u32 i = 0; i < ARRAY_SIZE(names); i++) {
        if (strcmp(names[i].name, name) == 0) {
            *kind = names[i].kind;
            return true;
        }
    }
    return false;
}

static const struct {
    s64 min, max;
} ranges[] = {
    [PLACEMENT_SHARES] = { PLACEMENT_SHARES_MIN, PLACEMENT_SHARES_MAX },
    [PLACEMENT_PERIOD] = { TARN_PERIOD_MIN, TARN_PERIOD_MAX },
    [PLACEMENT_QUOTA] = { TARN_QUOTA_MIN, TARN_QUOTA_MAX },
};

static bool in_range(enum placement_tune kind, s64 value)
{
    if (kind != PLACEMENT_SHARES && (value == 0 || (kind == PLACEMENT_QUOTA && value < 0))) {
        return true;
    }
    return value >= ranges[kind].min && value <= ranges[kind].max;
}

const char *placement_tune_wrong(const char *name, enum placement_tune kind, s64 value)
{
    return in_range(kind, value) ? NULL
                                 : wrong("Value of cputune '%.*s' must be in range [%ld, %ld]",
                                         SHOWN, name, ranges[kind].min, ranges[kind].max);
}

const char *placement_param_wrong(const char *name, enum placement_tune kind, s64 value)
{
    return in_range(kind, value) ? NULL
                                 : wrong("value of '%.*s' is out of range [%ld, %ld]", SHOWN, name,
                                         ranges[kind].min, ranges[kind].max);
}

u32 placement_shares_to_weight(u64 shares)
{
    u64 weight = shares / SHARES_PER_WEIGHT;

    return (u32)MIN(MAX(weight, 1UL), (u64)WEIGHT_MAX);
}

u64 placement_weight_to_shares(u32 weight)
{
    return MIN(MAX(weight * (u64)SHARES_PER_WEIGHT, (u64)PLACEMENT_SHARES_MIN),
               (u64)PLACEMENT_SHARES_MAX);
}
