/* SPDX-License-Identifier: MIT */
/*
 * virsh_place.c - virsh's words about where things run: vcpupin, emulatorpin, iothreadpin and
 * iothreadinfo. The rules are placement.c's. What is pinned while a domain runs is kept with what
 * it was made of, and outlives its reboot; what hypervisors keep is only the CPUs that follow.
 */
#include "isolate.h"
#include "tune.h"
#include "virsh.h"

/* ---- what there is ---- */

struct domain *virsh_emulator(const struct virsh_domain *d)
{
    domid_t emulator = d->live ? emulator_of(d->live->domid) : DOMID_INVALID;

    return emulator == DOMID_INVALID ? NULL : domain_by_id(emulator);
}

/* The vcpu of whichever domain that runs the thread; false: it runs nowhere. */
static bool runner_of(const struct virsh_domain *d, struct placement_who who, domid_t *domid,
                      uint32_t *vcpu)
{
    const struct domain *emulator;

    *domid = d->live->domid;
    *vcpu = who.id;
    if (who.thread == PLACEMENT_VCPU) {
        return true;
    }
    emulator = virsh_emulator(d);
    *vcpu = who.thread == PLACEMENT_IOTHREAD ? who.id : 0;
    if (emulator) {
        *domid = emulator->domid;
    }
    return emulator;
}

static struct placement_pin *pin_of(struct placement_raw *p, struct placement_who who)
{
    if (who.thread == PLACEMENT_VCPU) {
        return &p->vcpu[who.id];
    }
    return who.thread == PLACEMENT_EMULATOR ? &p->emulator : &p->iothread[who.id];
}

/* A file that names CPUs in xl's way has no rules but for pins that were made since. */
bool virsh_by_cpus(const struct config *c, struct placement_who who)
{
    return who.thread == PLACEMENT_VCPU && !c->by_rules && c->hard_given &&
           !c->placement.vcpu[who.id].given;
}

void virsh_place_config(const struct config *c, struct placement_who who,
                        const struct cpumask *pool, struct cpumask *cpus)
{
    enum placement_rule rule;

    if (virsh_by_cpus(c, who)) {
        *cpus = c->hard[who.id];
    } else if (placement_of(&c->placement, who, pool, c->advised ? &c->advice : NULL, cpus,
                            &rule)) {
        *cpus = *pool;
    }
}

void virsh_place_live(const struct virsh_domain *d, struct placement_who who, struct cpumask *cpus)
{
    struct cpumask all, soft;
    domid_t domid;
    uint32_t vcpu;

    if (runner_of(d, who, &domid, &vcpu)) {
        affinity_get(domid, vcpu, cpus, &soft);
    } else {
        cpumask_set_all(&all);
        virsh_place_config(virsh_live_config(d), who, &all, cpus);
    }
}

/* ---- live ---- */

/* All CPUs of the pool means all that it will ever have. */
long virsh_place_apply(const struct virsh_domain *d, const struct config *c,
                       struct placement_who who)
{
    struct cpumask all, cpus, soft = { { 0 } };
    domid_t domid;
    uint32_t vcpu;
    long rc;

    if (!runner_of(d, who, &domid, &vcpu)) {
        return 0;
    }
    cpumask_set_all(&all);
    virsh_place_config(c, who, &all, &cpus);
    rc = affinity_set(domid, vcpu, XEN_VCPUAFFINITY_HARD, &cpus, &soft);
    if (rc == 0 && cpumask_equal(&cpus, &all) && (c->by_rules || !c->hard_given)) {
        isolate_newcomer(domid);
    }
    return rc;
}

struct pin_order {
    struct virsh_domain d;
    struct placement_who who;
    const char *list;
    bool reset;
    struct cpumask cpus;
};

static void host_cpus(struct cpumask *cpus)
{
    uint32_t nr = cpus_max();

    cpumask_clear_all(cpus);
    for (uint32_t cpu = 0; cpu < nr; cpu++) {
        cpumask_set(cpus, cpu);
    }
}

/* 1 after it was told. */
static int pin_change(struct placement_raw *p, const struct pin_order *o)
{
    struct cpumask host;
    const char *why;

    host_cpus(&host);
    why = o->reset ? placement_pin_reset(p, o->who) : placement_pin_set(p, o->who, &o->cpus, &host);
    return why ? virsh_error(INVALID_ARGUMENT "%s", why) : 0;
}

/* A domain that was made without rules follows them from now on, unless its file names CPUs in
 * xl's way: then the pin counts until it restarts. */
static int pin_live(const struct pin_order *o, struct config *c)
{
    struct placement_pin *pin = pin_of(&c->placement, o->who);
    struct placement_pin before = *pin;
    long rc;

    if (pin_change(&c->placement, o)) {
        return 1;
    }
    rc = virsh_place_apply(&o->d, c, o->who);
    if (rc) {
        *pin = before;
        return virsh_error(rc == -XEN_EINVAL ? NOT_VALID "no CPU of '%s' is in the domain's pool"
                                             : NOT_VALID "CPUs '%s' can't be had",
                           o->list);
    }
    c->by_rules |= o->who.thread == PLACEMENT_VCPU && !c->hard_given;
    return 0;
}

/* ---- in the definition ---- */

const char *virsh_pins_text(const struct placement_raw *p, enum placement_thread thread, char *to)
{
    bool vcpus = thread == PLACEMENT_VCPU;
    uint32_t first = vcpus ? 0 : 1, end = vcpus ? p->max_vcpus : p->iothreads + 1;
    int n = 0;

    for (uint32_t i = first; i < end && n < (int)PINS_SIZE; i++) {
        const struct placement_pin *pin = vcpus ? &p->vcpu[i] : &p->iothread[i];

        if (pin->given) {
            n += fmt_snprintf(to + n, PINS_SIZE - (size_t)n, "%s\"%u:%s\"", n ? ", " : "[", i,
                              virsh_cpulist_text(&pin->cpus));
        }
    }
    if (n && n < (int)PINS_SIZE) {
        n += fmt_snprintf(to + n, PINS_SIZE - (size_t)n, "]");
    }
    return n && n < (int)PINS_SIZE ? to : NULL;
}

/* The key and its other name, which goes. */
static bool put_pins(const struct definition *def, const struct placement_raw *p,
                     enum placement_thread thread)
{
    static const char *const keys[][2] = {
        [PLACEMENT_VCPU] = { "vcpupin", NULL },
        [PLACEMENT_EMULATOR] = { "emulatorpin", "emulator_cpus" },
        [PLACEMENT_IOTHREAD] = { "iothreadpin", "iothread_cpus" },
    };
    struct definition_change changes[2] = { { .key = keys[thread][0] },
                                            { .key = keys[thread][1] } };
    char *text = allocate(PINS_SIZE);
    bool good = text;

    if (!text) {
        virsh_error("out of memory");
    } else if (thread != PLACEMENT_EMULATOR) {
        changes[0].value = virsh_pins_text(p, thread, text);
    } else if (p->emulator.given) {
        fmt_snprintf(text, PINS_SIZE, "\"%s\"", virsh_cpulist_text(&p->emulator.cpus));
        changes[0].value = text;
    }
    good = good && definition_change(def, changes, changes[1].key ? 2 : 1);
    release(text);
    return good;
}

static int pin_config(const struct pin_order *o, struct config *c)
{
    return pin_change(&c->placement, o) || !put_pins(o->d.def, &c->placement, o->who.thread);
}

/* ---- all of an order ---- */

static bool thread_known(const struct config *c, struct placement_who who, bool live)
{
    const char *which = live ? "live" : "persistent";

    if (who.thread == PLACEMENT_VCPU && who.id >= c->maxvcpus) {
        return !virsh_error(INVALID_ARGUMENT "vcpu %u is out of range of %s cpu count %u", who.id,
                            which, c->maxvcpus);
    }
    if (who.thread == PLACEMENT_IOTHREAD && (!who.id || who.id > c->iothreads)) {
        return !virsh_error(live ? INVALID_ARGUMENT "iothread %u not found"
                                 : INVALID_ARGUMENT "iothreadid %u not found",
                            who.id);
    }
    return true;
}

/* Both or none: what can't be had live, or has no room in the definition, changes nothing. */
static int pin_both(struct pin_order *o, unsigned int affects, struct config *defined)
{
    struct config *live = affects & VIRSH_LIVE ? virsh_live_config(&o->d) : NULL;
    struct placement_pin *pin = NULL, before;

    if ((live && !thread_known(live, o->who, true)) ||
        (affects & VIRSH_CONFIG && !thread_known(defined, o->who, false)) ||
        !virsh_cpulist(o->list, &o->cpus, &o->reset)) {
        return 1;
    }
    if (live) {
        pin = pin_of(&live->placement, o->who);
        before = *pin;
        if (pin_live(o, live)) {
            return 1;
        }
    }
    if (!(affects & VIRSH_CONFIG) || !pin_config(o, defined)) {
        return 0;
    }
    if (pin) {
        *pin = before;
        virsh_place_apply(&o->d, live, o->who);
    }
    return 1;
}

static int pin(struct pin_order *o)
{
    unsigned int affects = virsh_affects(&o->d, false);
    struct config *defined = NULL;
    int status = 1;

    if (affects & VIRSH_CONFIG) {
        defined = definition_config(o->d.def);
    }
    if (affects && (defined || !(affects & VIRSH_CONFIG))) {
        status = pin_both(o, affects, defined);
    }
    release(defined);
    return status;
}

/* ---- questions ---- */

struct pin_question {
    struct virsh_domain d;
    bool live;
    struct config *defined; /* from allocate(), unless it is about the live one */
    const struct config *c;
};

static bool question_begin(struct pin_question *q)
{
    unsigned int affects = virsh_affects(&q->d, true);

    q->live = affects & VIRSH_LIVE;
    q->defined = affects & VIRSH_CONFIG ? definition_config(q->d.def) : NULL;
    q->c = q->live ? virsh_live_config(&q->d) : q->defined;
    return affects && q->c;
}

static const char *set_text(const struct pin_question *q, struct placement_who who)
{
    struct cpumask cpus, host;

    if (q->live) {
        virsh_place_live(&q->d, who, &cpus);
    } else {
        host_cpus(&host);
        virsh_place_config(q->c, who, &host, &cpus);
    }
    return virsh_cpulist_text(&cpus);
}

static int vcpupin_show(struct pin_question *q)
{
    static const char *const heads[] = { "VCPU", "CPU Affinity" };
    uint32_t first = 0, last = q->c->maxvcpus - 1, one;
    struct virsh_table *t;

    if (virsh_number("vcpu", &one)) {
        if (one > last) {
            return virsh_error("vcpu %u is out of range of %s cpu count %u", one,
                               q->live ? "live" : "persistent", last + 1);
        }
        first = last = one;
    }
    t = virsh_table_new(2, heads);
    for (uint32_t v = first; v <= last; v++) {
        struct placement_who who = { PLACEMENT_VCPU, v };

        virsh_table_cell(t, "%u", v);
        virsh_table_cell(t, "%s", set_text(q, who));
    }
    return virsh_table_print(t);
}

static int emulatorpin_show(struct pin_question *q)
{
    struct placement_who who = { PLACEMENT_EMULATOR, 0 };

    out("emulator: CPU Affinity\n----------------------------------\n");
    out("       *: %s\n", set_text(q, who));
    return 0;
}

static int iothreads_show(struct pin_question *q)
{
    static const char *const heads[] = { "IOThread ID", "CPU Affinity" };
    struct virsh_table *t;

    if (!q->c->iothreads) {
        out("No IOThreads found for the domain");
        return 0;
    }
    t = virsh_table_new(2, heads);
    for (uint32_t id = 1; id <= q->c->iothreads; id++) {
        struct placement_who who = { PLACEMENT_IOTHREAD, id };

        virsh_table_cell(t, "%u", id);
        virsh_table_cell(t, "%s", set_text(q, who));
    }
    return virsh_table_print(t);
}

static int ask(const struct virsh_domain *d, int (*show)(struct pin_question *q))
{
    struct pin_question *q = allocate(sizeof(*q));
    int status = 1;

    if (!q) {
        return virsh_error("out of memory");
    }
    q->d = *d;
    if (question_begin(q)) {
        status = show(q);
    }
    release(q->defined);
    release(q);
    return status;
}

/* ---- the words ---- */

static int run_vcpupin(void)
{
    struct pin_order o = { .list = virsh_text("cpulist"), .who.thread = PLACEMENT_VCPU };
    bool one = virsh_number("vcpu", &o.who.id);

    if (!virsh_domain(&o.d)) {
        return 1;
    }
    if (o.list) {
        return one ? pin(&o) : virsh_error("vcpupin: Missing vCPU number in pin mode.");
    }
    if (virsh_flag("live") && !o.d.live) {
        return virsh_error("cannot get vcpupin for offline domain");
    }
    if (virsh_flag("config") && !o.d.def) {
        return virsh_error("cannot get vcpupin for transient domain");
    }
    return ask(&o.d, vcpupin_show);
}

const struct virsh_word virsh_vcpupin = {
    .name = "vcpupin",
    .help = "control or query domain vcpu affinity",
    .options = { { "domain", VIRSH_TEXT },
                 { "vcpu", VIRSH_MAYBE_NUMBER },
                 { "cpulist", VIRSH_MAYBE_TEXT },
                 { "config", VIRSH_FLAG },
                 { "live", VIRSH_FLAG },
                 { "current", VIRSH_FLAG } },
    .run = run_vcpupin,
};

static int run_emulatorpin(void)
{
    struct pin_order o = { .list = virsh_text("cpulist"), .who.thread = PLACEMENT_EMULATOR };

    if (!virsh_domain(&o.d)) {
        return 1;
    }
    return o.list ? pin(&o) : ask(&o.d, emulatorpin_show);
}

const struct virsh_word virsh_emulatorpin = {
    .name = "emulatorpin",
    .help = "control or query domain emulator affinity",
    .options = { { "domain", VIRSH_TEXT },
                 { "cpulist", VIRSH_MAYBE_TEXT },
                 { "config", VIRSH_FLAG },
                 { "live", VIRSH_FLAG },
                 { "current", VIRSH_FLAG } },
    .run = run_emulatorpin,
};

static int run_iothreadpin(void)
{
    struct pin_order o = { .list = virsh_text("cpulist"), .who.thread = PLACEMENT_IOTHREAD };

    if (!virsh_domain(&o.d)) {
        return 1;
    }
    virsh_number("iothread", &o.who.id);
    if (!o.list[0]) {
        return virsh_error("Failed to get option 'cpulist': Option argument is empty");
    }
    return pin(&o);
}

const struct virsh_word virsh_iothreadpin = {
    .name = "iothreadpin",
    .help = "control domain IOThread affinity",
    .options = { { "domain", VIRSH_TEXT },
                 { "iothread", VIRSH_NUMBER },
                 { "cpulist", VIRSH_TEXT },
                 { "config", VIRSH_FLAG },
                 { "live", VIRSH_FLAG },
                 { "current", VIRSH_FLAG } },
    .run = run_iothreadpin,
};

static int run_iothreadinfo(void)
{
    struct virsh_domain d;

    return virsh_domain(&d) ? ask(&d, iothreads_show) : 1;
}

const struct virsh_word virsh_iothreadinfo = {
    .name = "iothreadinfo",
    .help = "view domain IOThreads",
    .options = { { "domain", VIRSH_TEXT },
                 { "config", VIRSH_FLAG },
                 { "live", VIRSH_FLAG },
                 { "current", VIRSH_FLAG } },
    .run = run_iothreadinfo,
};
