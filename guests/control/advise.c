/* SPDX-License-Identifier: MIT */
/*
 * advise.c - see advise.h: one function for each thing that can be told. None of them is an error:
 * the hypervisor does what it was told, it is only not what its operator is likely to want. Pure;
 * the advice that is being written is static, for it is large for a stack.
 */
#include "advise.h"

#include <tarn/cpulist.h>

#define LIST_SIZE 48u
#define PPM 1000000UL
#define US 1000UL

struct adviser {
    const struct advise_host *h;
    void (*tell)(void *arg, const struct advice *advice);
    void *arg;
    unsigned int told;
    struct cpumask taken; /* CPUs to recommend to nobody: domain 0's own, idle ones that were */
};

static struct advice advice;

static void __printf(1, 2) reason(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    fmt_vsnprintf(advice.reason, sizeof(advice.reason), format, args);
    va_end(args);
}

static void __printf(1, 2) command(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    fmt_vsnprintf(advice.command, sizeof(advice.command), format, args);
    va_end(args);
}

/* What reason() and command() said since. */
static void told(struct adviser *a, const char *kind)
{
    advice.kind = kind;
    a->tell(a->arg, &advice);
    advice.command[0] = '\0';
    a->told++;
}

/* ---- small questions ---- */

/* "CPU 3", "CPUs 3-5", "vcpus 0,2" */
static const char *list_text(char text[LIST_SIZE], const char *what, const struct cpumask *set)
{
    int n = fmt_snprintf(text, LIST_SIZE, "%s%s ", what, cpumask_weight(set) == 1 ? "" : "s");

    cpulist_format(text + n, LIST_SIZE - (size_t)n, set, NR_CPUS);
    return text;
}

static void add_all(struct cpumask *to, const struct cpumask *set)
{
    cpumask_for_each(cpu, set) {
        cpumask_set(to, cpu);
    }
}

static const struct advise_domain *domain_of(const struct adviser *a, const struct advise_vcpu *v)
{
    return &a->h->domains[v->domain];
}

static const struct advise_pool *pool_of(const struct adviser *a, const struct advise_vcpu *v)
{
    return &a->h->pools[domain_of(a, v)->pool];
}

static bool same_core(const struct advise_host *h, u32 x, u32 y)
{
    return h->cpus[x].present && h->cpus[y].present && h->cpus[x].core == h->cpus[y].core &&
           h->cpus[x].socket == h->cpus[y].socket;
}

static struct cpumask core_of(const struct advise_host *h, u32 cpu)
{
    struct cpumask core = { { 0 } };

    for (u32 i = 0; i < NR_CPUS; i++) {
        if (same_core(h, cpu, i)) {
            cpumask_set(&core, i);
        }
    }
    return core;
}

static bool all_idle(const struct advise_host *h, const struct cpumask *set)
{
    cpumask_for_each(cpu, set) {
        if (!h->cpus[cpu].idle) {
            return false;
        }
    }
    return true;
}

/* ---- vcpus in each other's way ---- */

/* Vcpus of one domain that have the same CPUs to run on, first of them `v`; false: it isn't. */
static bool group_of(const struct adviser *a, const struct advise_vcpu *v, bool by_given,
                     struct cpumask *group)
{
    cpumask_clear_all(group);
    for (u32 i = 0; i < a->h->nr_vcpus; i++) {
        const struct advise_vcpu *w = &a->h->vcpus[i];

        if (w->domain == v->domain && w->broken == v->broken && w->id < NR_CPUS &&
            (by_given ? cpumask_equal(&w->given, &v->given) : cpumask_equal(&w->hard, &v->hard))) {
            if (w < v) {
                return false;
            }
            cpumask_set(group, w->id);
        }
    }
    return true;
}

/* The CPU of the pool outside of `avoid` to which the fewest are tied, an idle one if there is. */
static u32 quiet_cpu(const struct adviser *a, const struct advise_pool *p,
                     const struct cpumask *avoid)
{
    u32 best = NO_CPU, least = 0;

    cpumask_for_each(cpu, &p->cpus) {
        u32 tied = a->h->cpus[cpu].idle ? 0 : 1;

        for (u32 i = 0; i < a->h->nr_vcpus; i++) {
            const struct advise_vcpu *v = &a->h->vcpus[i];

            tied += cpumask_test(&v->hard, cpu) && !cpumask_subset(&p->cpus, &v->hard) ? 2 : 0;
        }
        if (!cpumask_test(avoid, cpu) && !cpumask_test(&a->taken, cpu) &&
            (best == NO_CPU || tied < least)) {
            best = cpu;
            least = tied;
        }
    }
    return best;
}

/* More vcpus of a domain than CPUs on which they may run, though the pool has others. */
static void look_same_cpu(struct adviser *a, const struct advise_vcpu *v)
{
    const struct advise_pool *p = pool_of(a, v);
    const char *name = domain_of(a, v)->name;
    char vcpus[LIST_SIZE], cpus[LIST_SIZE];
    struct cpumask group;
    u32 n, quiet, last = 0;

    if (v->broken || cpumask_subset(&p->cpus, &v->hard) || !group_of(a, v, false, &group)) {
        return;
    }
    n = cpumask_weight(&group);
    if (n <= cpumask_weight(&v->hard)) {
        return;
    }
    cpumask_for_each(id, &group) {
        last = id;
    }
    reason("%s: %s can run on %s only: while one that holds a lock waits for its CPU, the others "
           "spin",
           name, list_text(vcpus, "vcpu", &group), list_text(cpus, "CPU", &v->hard));
    quiet = quiet_cpu(a, p, &v->hard);
    if (n - cpumask_weight(&v->hard) == 1 && quiet != NO_CPU) {
        command("vcpu-pin %s %u %u", name, last, quiet);
    } else {
        command("vcpu-pin %s all all", name);
    }
    told(a, "same-cpu");
}

static void look_broken(struct adviser *a, const struct advise_vcpu *v)
{
    const struct advise_pool *p = pool_of(a, v);
    const char *name = domain_of(a, v)->name;
    char vcpus[LIST_SIZE], cpus[LIST_SIZE];
    struct cpumask group, back;

    if (!v->broken || !group_of(a, v, true, &group)) {
        return;
    }
    back = cpumask_and(&v->given, &a->h->spare);
    reason("%s: %s shall run on %s, which %s has not: it may use all of %s", name,
           list_text(vcpus, "vcpu", &group), list_text(cpus, "CPU", &v->given), p->name, p->name);
    if (!cpumask_empty(&back)) {
        command("cpupool-cpu-add %s %u", p->name, cpumask_first(&back));
    } else if (cpumask_weight(&group) == 1) {
        command("vcpu-pin %s %u all", name, v->id);
    } else {
        command("vcpu-pin %s all all", name);
    }
    told(a, "broken");
}

static void look_too_many(struct adviser *a, u32 domain)
{
    const struct advise_domain *d = &a->h->domains[domain];
    const struct advise_pool *p = &a->h->pools[d->pool];
    u32 n = 0, cpus = cpumask_weight(&p->cpus);

    for (u32 i = 0; i < a->h->nr_vcpus; i++) {
        n += a->h->vcpus[i].domain == domain;
    }
    if (!cpus || n <= cpus) {
        return;
    }
    reason("%s: %u vcpus, and %s has %u CPU%s: some always wait while others spin for them",
           d->name, n, p->name, cpus, cpus == 1 ? "" : "s");
    if (cpumask_weight(&a->h->spare) >= n - cpus) {
        struct cpumask some = a->h->spare;
        char text[LIST_SIZE];

        while (cpumask_weight(&some) > n - cpus) {
            cpumask_clear(&some, cpumask_first(&some));
        }
        cpulist_format(text, sizeof(text), &some, NR_CPUS);
        command("cpupool-cpu-add %s %s", p->name, text);
    } else {
        command("vcpu-set %s %u", d->name, cpus);
    }
    told(a, "too-many-vcpus");
}

/* ---- busy ones side by side while others have nothing to do ---- */

/* A CPU of an idle core for it, all of which nobody was sent to yet; NO_CPU. */
static u32 idle_core(const struct adviser *a, const struct advise_pool *p)
{
    cpumask_for_each(cpu, &p->cpus) {
        struct cpumask core = core_of(a->h, cpu);

        if (a->h->cpus[cpu].present && all_idle(a->h, &core) &&
            !cpumask_intersects(&core, &a->taken)) {
            return cpu;
        }
    }
    return NO_CPU;
}

static bool dedicated(const struct advise_vcpu *v)
{
    return v->busy && !v->broken && cpumask_weight(&v->hard) == 1;
}

/* The first of another domain whose core it is, too; NULL. */
static const struct advise_vcpu *neighbour(const struct adviser *a, const struct advise_vcpu *v)
{
    for (const struct advise_vcpu *w = a->h->vcpus; w < v; w++) {
        if (dedicated(w) && w->domain != v->domain &&
            same_core(a->h, cpumask_first(&w->hard), cpumask_first(&v->hard))) {
            return w;
        }
    }
    return NULL;
}

static void look_siblings(struct adviser *a, const struct advise_vcpu *v)
{
    const struct advise_vcpu *w = dedicated(v) ? neighbour(a, v) : NULL;
    u32 idle = w ? idle_core(a, pool_of(a, v)) : NO_CPU;
    u32 mine, its;

    if (idle == NO_CPU) {
        return;
    }
    mine = cpumask_first(&v->hard);
    its = cpumask_first(&w->hard);
    cpumask_set(&a->taken, idle);
    if (mine == its) {
        reason("%s and %s are busy, and pinned to CPU %u both, while CPU %u idles",
               domain_of(a, w)->name, domain_of(a, v)->name, mine, idle);
    } else {
        reason("%s and %s are busy, and pinned to threads of one core, CPUs %u and %u, while the "
               "core of CPU %u idles",
               domain_of(a, w)->name, domain_of(a, v)->name, its, mine, idle);
    }
    command("vcpu-pin %s %u %u", domain_of(a, v)->name, v->id, idle);
    told(a, "shared-core");
}

/* ---- domain 0 ---- */

struct dom0 {
    const struct advise_pool *pool;
    u32 nr_vcpus, near;    /* near: busy vcpus of others that may run there, */
    struct cpumask cpus;   /* where it may run */
    char names[LIST_SIZE]; /* and of which domains */
};

static void name_add(char names[LIST_SIZE], const char *name)
{
    size_t n = strlen(names);

    fmt_snprintf(names + n, LIST_SIZE - n, "%s%s", n ? ", " : "", name);
}

static void dom0_find(const struct adviser *a, struct dom0 *z)
{
    *z = (struct dom0){ 0 };
    for (u32 i = 0; i < a->h->nr_vcpus; i++) {
        const struct advise_vcpu *v = &a->h->vcpus[i];

        if (domain_of(a, v)->id == 0) {
            z->nr_vcpus++;
            z->pool = pool_of(a, v);
            add_all(&z->cpus, &v->hard);
        }
    }
}

static void dom0_neighbours(const struct adviser *a, struct dom0 *z)
{
    u32 named = NO_CPU;

    for (u32 i = 0; i < a->h->nr_vcpus; i++) {
        const struct advise_vcpu *v = &a->h->vcpus[i];

        if (domain_of(a, v)->id == 0 || !v->busy || !cpumask_intersects(&v->hard, &z->cpus)) {
            continue;
        }
        z->near++;
        if (named != v->domain) {
            named = v->domain;
            name_add(z->names, domain_of(a, v)->name);
        }
    }
}

static bool any_idle(const struct advise_host *h, const struct cpumask *set)
{
    cpumask_for_each(cpu, set) {
        if (h->cpus[cpu].idle) {
            return true;
        }
    }
    return false;
}

/* As many CPUs as it has vcpus, and then to the end of the core; 0: the pool has too few. */
static u32 dom0_share(const struct adviser *a, const struct dom0 *z)
{
    u32 n = 0, last = NO_CPU, most = cpumask_weight(&z->pool->cpus) - 1;

    cpumask_for_each(cpu, &z->pool->cpus) {
        if (n == most || (n >= z->nr_vcpus && !same_core(a->h, last, cpu))) {
            break;
        }
        last = cpu;
        n++;
    }
    return n;
}

/* Without an idle CPU there is somebody on its CPU whenever it wakes. */
static void look_dom0(struct adviser *a)
{
    char cpus[LIST_SIZE];
    struct dom0 z;
    u32 share;

    dom0_find(a, &z);
    if (!z.pool) {
        return;
    }
    dom0_neighbours(a, &z);
    if (!z.near || any_idle(a->h, &z.cpus)) {
        return;
    }
    share = dom0_share(a, &z);
    reason("domain 0 has no CPU that is free of busy domains (%s on %s): consoles and commands "
           "wait for them",
           z.names, list_text(cpus, "CPU", &z.cpus));
    if (share) {
        command("dom0-isolate %u", share);
    } else if (!cpumask_empty(&a->h->spare)) {
        command("cpupool-cpu-add %s %u", z.pool->name, cpumask_first(&a->h->spare));
    }
    told(a, "dom0-shares");
}

/* ---- pools ---- */

static void look_empty(struct adviser *a, const struct advise_pool *p)
{
    if (!cpumask_empty(&p->cpus)) {
        return;
    }
    reason("%s has no CPU: no domain can be there", p->name);
    if (cpumask_empty(&a->h->spare)) {
        command("cpupool-destroy %s", p->name);
    } else {
        command("cpupool-cpu-add %s %u", p->name, cpumask_first(&a->h->spare));
    }
    told(a, "no-cpu");
}

/* The CPU that leaves its pool should not be its last, and CPU 0 can't leave Pool-0. */
static void look_split(struct adviser *a, const struct advise_pool *p, const struct advise_pool *q)
{
    cpumask_for_each(x, &p->cpus) {
        struct cpumask core = core_of(a->h, x), there = cpumask_and(&core, &q->cpus);
        const struct advise_pool *from = q, *to = p;
        u32 y = cpumask_first(&there), mover = y;

        if (cpumask_empty(&there)) {
            continue;
        }
        reason("%s and %s have a thread each of one core, CPUs %u and %u: what runs in one slows "
               "the other",
               p->name, q->name, x, y);
        if (y == 0 || (cpumask_weight(&q->cpus) == 1 && cpumask_weight(&p->cpus) > 1 && x != 0)) {
            from = p;
            to = q;
            mover = x;
        }
        command("cpupool-cpu-remove %s %u; cpupool-cpu-add %s %u", from->name, mover, to->name,
                mover);
        told(a, "split-core");
    }
}

static u64 promise(const struct advise_vcpu *v)
{
    return v->period ? v->budget * PPM / v->period : 0;
}

/* rtds promises all of its CPUs' time together, sedf each CPU's. */
static bool counts_in(const struct adviser *a, const struct advise_vcpu *v,
                      const struct advise_pool *p, u32 cpu)
{
    return pool_of(a, v) == p && (cpu == NO_CPU || v->cpu == cpu);
}

/* What the domain may keep of its promise, so that the excess goes, and the command for it. */
static void less_time(const struct adviser *a, const struct advise_pool *p, u32 cpu, u32 domain,
                      u64 excess)
{
    const char *name = a->h->domains[domain].name;
    u64 sum = 0, n = 0, period = 0, budget;

    for (u32 i = 0; i < a->h->nr_vcpus; i++) {
        const struct advise_vcpu *v = &a->h->vcpus[i];

        if (v->domain == domain && counts_in(a, v, p, cpu) && v->period) {
            sum += promise(v);
            period = v->period;
            n++;
        }
    }
    if (!n || sum <= excess) {
        return;
    }
    budget = (sum - excess) / n * (period / US) / PPM; /* us */
    if (p->kind == RTDS) {
        command("sched-rtds -d %s -v all -p %lu -b %lu", name, period / US, budget);
    } else {
        command("sched-sedf -d %s -v all -p %lu.%03lu -s %lu.%03lu", name, period / US / 1000,
                period / US % 1000, budget / 1000, budget % 1000);
    }
}

static void look_promises(struct adviser *a, const struct advise_pool *p, u32 cpu)
{
    u64 sum = 0, most = 0, room = (cpu == NO_CPU ? cpumask_weight(&p->cpus) : 1) * PPM;
    u64 own = 0;
    u32 largest = 0, of = 0;

    for (u32 i = 0; i < a->h->nr_vcpus; i++) {
        const struct advise_vcpu *v = &a->h->vcpus[i];

        own = of == v->domain ? own : 0;
        of = v->domain;
        if (counts_in(a, v, p, cpu)) {
            sum += promise(v);
            own += promise(v);
            largest = own > most ? of : largest;
            most = MAX(own, most);
        }
    }
    if (!room || sum <= room) {
        return;
    }
    if (cpu == NO_CPU) {
        reason("%s promises %lu %% of a CPU, and has %lu CPUs: not all of it can be kept", p->name,
               sum / (PPM / 100), room / PPM);
    } else {
        reason("%s promises %lu %% of CPU %u: not all of it can be kept", p->name,
               sum / (PPM / 100), cpu);
    }
    less_time(a, p, cpu, largest, sum - room);
    if (cpu == NO_CPU && !cpumask_empty(&a->h->spare)) {
        command("cpupool-cpu-add %s %u", p->name, cpumask_first(&a->h->spare));
    }
    told(a, "over-committed");
}

static void look_pool(struct adviser *a, const struct advise_pool *p)
{
    look_empty(a, p);
    for (const struct advise_pool *q = p + 1; q < a->h->pools + a->h->nr_pools; q++) {
        look_split(a, p, q);
    }
    if (p->kind == RTDS) {
        look_promises(a, p, NO_CPU);
    } else if (p->kind == SEDF) {
        cpumask_for_each(cpu, &p->cpus) {
            look_promises(a, p, cpu);
        }
    }
}

/* CPUs that it does not share by chance: fewer than its pool has. */
static void dom0_spare(struct adviser *a)
{
    struct dom0 z;

    dom0_find(a, &z);
    if (z.pool && !cpumask_subset(&z.pool->cpus, &z.cpus)) {
        a->taken = z.cpus;
    }
}

unsigned int advise(const struct advise_host *h,
                    void (*tell)(void *arg, const struct advice *advice), void *arg)
{
    struct adviser a = { .h = h, .tell = tell, .arg = arg };

    dom0_spare(&a);
    for (u32 d = 0; d < h->nr_domains; d++) {
        look_too_many(&a, d);
    }
    for (u32 i = 0; i < h->nr_vcpus; i++) {
        look_same_cpu(&a, &h->vcpus[i]);
        look_broken(&a, &h->vcpus[i]);
    }
    for (u32 i = 0; i < h->nr_vcpus; i++) {
        look_siblings(&a, &h->vcpus[i]);
    }
    look_dom0(&a);
    for (u32 i = 0; i < h->nr_pools; i++) {
        look_pool(&a, &h->pools[i]);
    }
    return a.told;
}
