/* SPDX-License-Identifier: MIT */
/*
 * explain.c - explain DOMAIN[.THREAD]: for each vcpu, the emulator and each iothread the CPUs that
 * count, those that were given, and the rule or the command that gave them; and in a line each what
 * limits the time of all. Asks only; a domain that does not run is explained by its definition.
 */
#include "placing.h"
#include "tune.h"
#include "virsh.h"

struct subject {
    struct virsh_domain d;
    struct config *defined; /* from allocate(); NULL: it runs */
    const struct config *c;
    struct pool pool;
    bool pool_there;
};

/* Of a thread, as far as it is known. */
struct finding {
    struct cpumask rule_set, given, effective;
    bool runs, broken, overridden;
    const char *why;
};

static const char *const heads[] = { "Thread", "CPUs", "Given", "Because of" };

static struct cpumask all_cpus(void)
{
    uint32_t nr = cpus_max();
    struct cpumask all = { { 0 } };

    for (uint32_t cpu = 0; cpu < nr; cpu++) {
        cpumask_set(&all, cpu);
    }
    return all;
}

/* ---- why ---- */

/* Whether the rules decide, and how they do; in xl's way a file names CPUs itself. */
static const char *rule_words(const struct subject *s, struct placement_who who,
                              struct cpumask *set)
{
    struct cpumask all = all_cpus();
    enum placement_rule rule;
    const char *why;

    if (virsh_by_cpus(s->c, who)) {
        *set = cpumask_and(&s->c->hard[who.id], &all);
        return "cpus of its domain file";
    }
    why = placement_of(&s->c->placement, who, &all, s->c->advised ? &s->c->advice : NULL, set,
                       &rule);
    if (why) {
        *set = all;
        return "no pin; placement is auto: the adviser is asked at its start";
    }
    *set = cpumask_and(set, &all);
    return placement_rule_words(rule, who.thread);
}

static void look_live(const struct subject *s, struct placement_who who, struct finding *f)
{
    const struct domain *emulator = virsh_emulator(&s->d);
    domid_t domid = s->d.live->domid;
    struct cpumask all = all_cpus();
    struct vcpu_place place;

    f->runs = who.thread == PLACEMENT_VCPU || emulator;
    if (!f->runs) {
        return;
    }
    if (who.thread != PLACEMENT_VCPU) {
        domid = emulator->domid;
    }
    vcpu_place_get(domid, who.thread == PLACEMENT_EMULATOR ? 0 : who.id, &s->pool.cpus, &place);
    f->given = cpumask_and(&place.given, &all);
    f->effective = place.hard;
    f->broken = place.broken;
    f->overridden = place.overridden;
}

static void look(const struct subject *s, struct placement_who who, struct finding *f)
{
    *f = (struct finding){ .runs = false };
    f->why = rule_words(s, who, &f->rule_set);
    if (s->d.live) {
        look_live(s, who, f);
    }
    if (!f->runs) {
        f->given = f->rule_set;
        f->effective = s->pool_there ? placement_effective(&f->given, &s->pool.cpus, &f->broken)
                                     : f->given;
    } else if (!cpumask_equal(&f->given, &f->rule_set)) {
        f->why = "vcpu-pin or dom0-isolate, over the rules";
    }
}

static const char *given_text(const struct finding *f)
{
    struct cpumask all = all_cpus();

    return cpumask_equal(&f->given, &all) ? "all" : virsh_cpulist_text(&f->given);
}

static void row(const struct subject *s, struct virsh_table *t, struct placement_who who)
{
    static const char *const names[] = { [PLACEMENT_VCPU] = "vcpu %u",
                                         [PLACEMENT_EMULATOR] = "emulator",
                                         [PLACEMENT_IOTHREAD] = "iothread %u" };
    struct finding f;

    look(s, who, &f);
    virsh_table_cell(t, names[who.thread], who.id);
    virsh_table_cell(t, "%s", virsh_cpulist_text(&f.effective));
    virsh_table_cell(t, "%s%s", given_text(&f), f.broken ? " (broken)" : "");
    virsh_table_cell(t, "%s%s%s", f.why,
                     f.broken       ? "; none of them is in the pool, so all of the pool"
                     : f.overridden ? "; it ties itself to one CPU (pin override)"
                                    : "",
                     s->d.live && !f.runs ? "; there is no emulator yet" : "");
}

/* ---- what limits it ---- */

static void shares_print(const struct subject *s)
{
    struct tarn_domain_shares op = { .domid = s->d.live ? s->d.live->domid : DOMID_INVALID };
    uint32_t weight = s->c->weight ? s->c->weight : 256, cap = (uint32_t)MAX(s->c->cap, 0);
    bool credit = s->pool_there && s->pool.sched == XEN_SCHEDULER_CREDIT;

    if (s->d.live && hypercall2(__HYPERVISOR_tarn_op, TARN_OP_get_domain_shares, ARG(&op)) == 0) {
        weight = op.weight;
        cap = op.cap;
    }
    out("weight    %u (cpu_shares %lu)%s\n", weight,
        placement_shares_to_weight(s->c->shares) == weight && s->c->shares
            ? s->c->shares
            : placement_weight_to_shares(weight),
        credit ? "" : ": it doesn't count, the pool's scheduler has none");
    if (cap) {
        out("cap       %u %% of a CPU%s\n", cap, credit ? "" : ": it doesn't count either");
    } else {
        out("cap       none\n");
    }
}

static void group_print(const struct subject *s)
{
    struct tarn_group g;

    if (!s->d.live || group_info(s->d.live->domid, &g)) {
        return;
    }
    if (g.master != DOMID_INVALID) {
        out("group     of %s, whose weight and cap count; inside: weight %u, cap ",
            domid_name(g.master), g.weight);
        out(g.cap ? "%u %%\n" : "none\n", g.cap);
    }
    if (g.members) {
        out("members   %u, which share its weight and cap; its own part: weight %u, cap ",
            g.members, g.self_weight);
        out(g.self_cap ? "%u %%\n" : "none\n", g.self_cap);
    }
}

/* Of one that runs as the hypervisor has it, else as the file has it. */
static void bandwidth_print(const char *what, const char *each, const struct domain *who,
                            uint32_t vcpu, const struct bandwidth *wanted)
{
    struct tarn_bandwidth b = { .period_us = wanted->period ? wanted->period : 100000,
                                .quota_us = wanted->quota ? wanted->quota : -1 };
    char seconds[SECONDS_SIZE];

    if (who) {
        bandwidth_get(who->domid, vcpu, &b);
    }
    if (b.quota_us <= 0) {
        return;
    }
    out("%-9s %ld us of %lu us%s", what, b.quota_us, b.period_us, each);
    if (b.throttled) {
        out("; used up %lu times, waited %s s", b.throttled,
            seconds_format(seconds, sizeof(seconds), b.throttled_ns));
    }
    out("\n");
}

static void limits_print(const struct subject *s)
{
    const struct config *c = s->c;
    const struct domain *emulator = virsh_emulator(&s->d);

    shares_print(s);
    group_print(s);
    bandwidth_print("vcpus", ", each of them (this is vcpu 0)", s->d.live, 0, &c->vcpu_bandwidth);
    if (!s->d.live || emulator) {
        bandwidth_print("emulator", "", emulator, 0, &c->emulator_bandwidth);
    }
    if (c->iothreads && (!s->d.live || emulator)) {
        bandwidth_print("iothreads", ", each of them (this is iothread 1)", emulator, 1,
                        &c->iothread_bandwidth);
    }
    bandwidth_print("global", ", vcpus and emulator together", s->d.live, TARN_BANDWIDTH_DOMAIN,
                    &c->global_bandwidth);
    if (emulator) {
        out("charge    the emulator's time is %s\n", master_of(emulator->domid) == s->d.live->domid
                                                         ? "this domain's: they share its weight "
                                                           "and cap"
                                                         : "its own, beside this domain's");
    }
}

/* ---- what the adviser went by ---- */

static void node_print(const struct subject *s, const struct numa_choice *w, unsigned int node)
{
    const struct numa_node *n = &w->node[node];

    out("          node %u: %u CPU%s of %s, %u vcpu%s there, %lu MiB free%s\n", node, n->cpus,
        n->cpus == 1 ? "" : "s", s->pool_there ? s->pool.name : "its pool", n->vcpus,
        n->vcpus == 1 ? "" : "s", n->free_kb / 1024,
        w->n > 1 && w->nodes >> node & 1 ? "; chosen" : "");
}

static void nodes_print(const struct subject *s)
{
    const struct numa_choice *w = &s->c->weighed;

    if (w->n) {
        out("          it wants %u CPU%s and %lu MiB; %s\n", w->vcpus, w->vcpus == 1 ? "" : "s",
            w->memory_kb / 1024, s->d.live ? "when it was made there were" : "there are");
    }
    for (unsigned int node = 0; node < w->n; node++) {
        node_print(s, w, node);
    }
}

static void adviser_print(const struct subject *s)
{
    if (s->c->advised) {
        out("adviser   %s (CPUs %s)\n", s->c->advice_why, virsh_cpulist_text(&s->c->advice));
        nodes_print(s);
    }
}

/* ---- before it is made ---- */

static bool same_finding(const struct finding *a, const struct finding *b)
{
    return a->why == b->why && a->broken == b->broken && cpumask_equal(&a->given, &b->given);
}

/* Threads in a row that have the same. */
static void plan_rows(const struct subject *s, struct virsh_table *t, enum placement_thread thread,
                      const char *what, uint32_t first, uint32_t last)
{
    struct finding f, next;

    for (uint32_t from = first, to; from <= last; from = to + 1) {
        look(s, (struct placement_who){ thread, from }, &f);
        for (to = from; to < last; to++) {
            look(s, (struct placement_who){ thread, to + 1 }, &next);
            if (!same_finding(&f, &next)) {
                break;
            }
        }
        if (thread == PLACEMENT_EMULATOR) {
            virsh_table_cell(t, "%s", what);
        } else if (to == from) {
            virsh_table_cell(t, "%s %u", what, from);
        } else {
            virsh_table_cell(t, "%ss %u-%u", what, from, to);
        }
        virsh_table_cell(t, "%s", virsh_cpulist_text(&f.effective));
        virsh_table_cell(t, "%s%s", given_text(&f), f.broken ? " (broken)" : "");
        virsh_table_cell(t, "%s", f.why);
    }
}

static int plan_print(const struct subject *s, const struct placement *p)
{
    struct virsh_table *t = virsh_table_new(ARRAY_SIZE(heads), heads);
    char words[NUMA_WORDS];

    plan_rows(s, t, PLACEMENT_VCPU, "vcpu", 0, s->c->maxvcpus - 1);
    if (has_emulator(s->c) || s->c->placement.emulator.given) {
        plan_rows(s, t, PLACEMENT_EMULATOR, "emulator", 0, 0);
    }
    plan_rows(s, t, PLACEMENT_IOTHREAD, "iothread", 1, s->c->iothreads);
    if (virsh_table_print(t)) {
        return 1;
    }
    out(s->c->advised || p->nodes ? "\n" : "");
    adviser_print(s);
    if (p->nodes) {
        numa_words(&s->c->weighed, words);
        out("rather    CPUs %s, as soft affinity: %s\n", virsh_cpulist_text(&p->cpus), words);
        nodes_print(s);
    }
    return 0;
}

int explain_plan(const struct config *c)
{
    struct config *copy = allocate(sizeof(*copy));
    struct placement *p = allocate(sizeof(*p));
    struct subject *s = allocate(sizeof(*s));
    char why[WHY_SIZE] = "";
    long rc = copy && p && s ? 0 : -XEN_ENOMEM;
    int status = 1;

    if (rc == 0) {
        memcpy(copy, c, sizeof(*c));
        rc = place_look(copy, p, why);
    }
    if (rc == 0) {
        s->c = copy;
        s->pool = p->pool;
        s->pool_there = true;
        status = plan_print(s, p);
    } else if (why[0]) {
        fail("%s: %s", c->name, why);
    } else {
        fail_errno(rc, "%s: where it would run", c->name);
    }
    release(copy);
    release(p);
    release(s);
    return status;
}

/* ---- all of it ---- */

/* One thread only; false: there is no such. */
static bool which_thread(const struct config *c, const char *text, struct placement_who *who)
{
    uint64_t n = 0;

    *who = (struct placement_who){ .thread = PLACEMENT_VCPU };
    if (strcmp(text, "emu") == 0) {
        who->thread = PLACEMENT_EMULATOR;
        return true;
    }
    if (text_begins(text, "io")) {
        who->thread = PLACEMENT_IOTHREAD;
        text += 2;
    }
    if (!number_parse(text, VCPUS_MAX, &n)) {
        return false;
    }
    who->id = (uint32_t)n;
    return who->thread == PLACEMENT_VCPU ? n < c->maxvcpus : n && n <= c->iothreads;
}

static int threads_print(const struct subject *s)
{
    struct virsh_table *t = virsh_table_new(ARRAY_SIZE(heads), heads);
    const struct config *c = s->c;

    for (uint32_t v = 0; v < c->maxvcpus; v++) {
        row(s, t, (struct placement_who){ PLACEMENT_VCPU, v });
    }
    if (has_emulator(c) || c->placement.emulator.given || virsh_emulator(&s->d)) {
        row(s, t, (struct placement_who){ PLACEMENT_EMULATOR, 0 });
    }
    for (uint32_t i = 1; i <= c->iothreads; i++) {
        row(s, t, (struct placement_who){ PLACEMENT_IOTHREAD, i });
    }
    return virsh_table_print(t);
}

static int explain(struct subject *s, const char *thread)
{
    struct placement_who who;
    struct virsh_table *t;

    s->pool_there = virsh_pool(&s->d, s->c, &s->pool);
    if (s->defined && s->pool_there && s->c->placement.placement == PLACEMENT_AUTO) {
        place_advise(s->defined, &s->pool); /* as a start would have it at this moment */
    }
    if (thread && !which_thread(s->c, thread, &who)) {
        return virsh_error("'%s' is no vcpu of %s, nor emu, nor an iothread as io1", thread,
                           s->d.name);
    }
    if (thread) {
        t = virsh_table_new(ARRAY_SIZE(heads), heads);
        row(s, t, who);
        return virsh_table_print(t);
    }
    out("%s: %s", s->d.name, virsh_state(&s->d));
    if (s->pool_there) {
        out(", pool %s, CPUs %s, scheduler %s", s->pool.name, virsh_cpulist_text(&s->pool.cpus),
            scheduler_name(s->pool.sched));
    }
    out("\n\n");
    if (threads_print(s)) {
        return 1;
    }
    out("\n");
    adviser_print(s);
    limits_print(s);
    return 0;
}

/* "NAME" or, if there is no such domain, "NAME.THREAD". */
static const char *thread_part(char name[NAME_SIZE + 16], const char *text)
{
    char *dot = NULL;

    str_copy(name, text, NAME_SIZE + 16);
    if (domain_lookup(name) || definition_find(name)) {
        return NULL;
    }
    for (char *p = name; *p; p++) {
        dot = *p == '.' ? p : dot;
    }
    if (dot) {
        *dot = '\0';
    }
    return dot ? dot + 1 : NULL;
}

static int run_explain(void)
{
    static struct subject s; /* nothing waits here */
    char name[NAME_SIZE + 16];
    const char *thread = thread_part(name, virsh_text("domain"));
    int status;

    memset(&s, 0, sizeof(s));
    if (!virsh_domain_named(name, &s.d)) {
        return 1;
    }
    s.defined = s.d.live ? NULL : definition_config(s.d.def);
    s.c = s.d.live ? virsh_live_config(&s.d) : s.defined;
    status = s.c ? explain(&s, thread) : 1;
    release(s.defined);
    return status;
}

const struct virsh_word virsh_explain = {
    .name = "explain",
    .help = "where a domain's threads may run, by which rule, and what limits their time",
    .options = { { "domain", VIRSH_TEXT } },
    .run = run_explain,
};
