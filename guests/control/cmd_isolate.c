/* SPDX-License-Identifier: MIT */
/*
 * cmd_isolate.c - dom0-isolate: domain 0 gets CPUs of Pool-0 for itself, by hard affinities alone:
 * its vcpus may run there, all others of Pool-0 elsewhere. Owns what those affinities were before;
 * one that somebody changed since is that one's, and stays as it is when the isolation ends.
 */
#include "isolate.h"
#include "pools.h"

/* An affinity that is ours: `after`, while it was `before` otherwise. */
struct moved {
    domid_t domid;
    uint32_t vcpu;
    xen_domain_handle_t uuid; /* of the domain: another may have its number by now */
    struct cpumask now, before, after;
};

#define EVERYBODY DOMID_INVALID

struct plan {
    struct pool pool; /* Pool-0 */
    struct cpumask own, rest;
    domid_t only; /* all others stay as they are */
    struct moved *moved;
    uint32_t n, room;
};

static struct moved *ours;
static uint32_t nr_ours;
static struct cpumask own; /* empty: there is no isolation */

static struct cpumask all_but(const struct cpumask *some)
{
    struct cpumask rest;

    cpumask_set_all(&rest);
    cpumask_for_each(cpu, some) {
        cpumask_clear(&rest, cpu);
    }
    return rest;
}

/* ---- planning ---- */

/* What it would be without us. */
static struct cpumask before_us(const struct moved *m)
{
    for (uint32_t i = 0; i < nr_ours; i++) {
        if (ours[i].domid == m->domid && ours[i].vcpu == m->vcpu &&
            memcmp(ours[i].uuid, m->uuid, sizeof(m->uuid)) == 0 &&
            cpumask_equal(&ours[i].after, &m->now)) {
            return ours[i].before;
        }
    }
    return m->now;
}

static struct cpumask after_us(const struct plan *p, const struct moved *m, uint32_t pool)
{
    struct cpumask left = cpumask_and(&m->before, &p->rest);

    if (cpumask_empty(&p->own) || pool != p->pool.id) {
        return m->before;
    }
    if (m->domid == 0) {
        return p->own;
    }
    return cpumask_intersects(&left, &p->pool.cpus) ? left : p->rest;
}

static void plan_domain(struct plan *p, const struct xen_domctl_getdomaininfo *info)
{
    struct vcpu_place place;

    if (info->flags & XEN_DOMINF_dying) {
        return;
    }
    for (uint32_t v = 0; v < vcpus_of(info) && p->n < p->room; v++) {
        struct moved *m = &p->moved[p->n++];

        vcpu_place_get(info->domain, v, &p->pool.cpus, &place);
        m->domid = info->domain;
        m->vcpu = v;
        memcpy(m->uuid, info->handle, sizeof(m->uuid));
        m->now = place.given;
        m->before = before_us(m);
        m->after = p->only == EVERYBODY || p->only == m->domid ? after_us(p, m, info->cpupool)
                                                               : m->now;
    }
}

/* Of these domains; `own` and `rest` are there already. */
static bool plan_make(struct plan *p, const struct xen_domctl_getdomaininfo *list, long n)
{
    for (long i = 0; i < n; i++) {
        p->room += vcpus_of(&list[i]);
    }
    p->moved = allocate((p->room + 1) * sizeof(*p->moved));
    for (long i = 0; p->moved && i < n; i++) {
        plan_domain(p, &list[i]);
    }
    return p->moved ? true : !fail_errno(-XEN_ENOMEM, "the plan");
}

/* ---- doing ---- */

static long put(const struct moved *m, const struct cpumask *to)
{
    struct cpumask hard = *to, soft = { { 0 } };

    return affinity_set(m->domid, m->vcpu, XEN_VCPUAFFINITY_HARD, &hard, &soft);
}

static void undo(const struct plan *p, uint32_t n)
{
    while (n--) {
        if (!cpumask_equal(&p->moved[n].now, &p->moved[n].after)) {
            put(&p->moved[n], &p->moved[n].now);
        }
    }
}

/* What the hypervisor keeps of `after` is how we know it again: there may be fewer CPUs. */
static bool plan_do(const struct plan *p)
{
    for (uint32_t i = 0; i < p->n; i++) {
        struct moved *m = &p->moved[i];
        struct vcpu_place place;
        long rc;

        if (cpumask_equal(&m->now, &m->after)) {
            continue;
        }
        rc = put(m, &m->after);
        if (rc) {
            fail_errno(rc, "%s: vcpu %u", domid_name(m->domid), m->vcpu);
            undo(p, i);
            return false;
        }
        vcpu_place_get(m->domid, m->vcpu, &p->pool.cpus, &place);
        m->after = place.given;
    }
    return true;
}

/* From now on those that we changed are ours, and no others. */
static void plan_keep(struct plan *p)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < p->n; i++) {
        if (!cpumask_equal(&p->moved[i].before, &p->moved[i].after)) {
            p->moved[n++] = p->moved[i];
        }
    }
    release(ours);
    ours = p->moved;
    nr_ours = n;
    own = p->own;
    p->moved = NULL;
}

/* With what is in `own` and `rest`; all of it or nothing. */
static bool plan_run(struct plan *p)
{
    struct xen_domctl_getdomaininfo *list;
    long n = domain_infos(&list);
    bool good;

    if (n < 0) {
        return !fail_errno(n, "list of domains");
    }
    good = plan_make(p, list, n) && plan_do(p);
    if (good) {
        plan_keep(p);
    }
    release(p->moved);
    release(list);
    return good;
}

static bool pool0_get(struct plan *p)
{
    long rc = pool_next(0, &p->pool);

    return rc ? !fail_errno(rc, "Pool-0") : true;
}

bool isolate_newcomer(domid_t domid)
{
    struct plan p = { .own = own, .rest = all_but(&own), .only = domid };

    return cpumask_empty(&own) || (pool0_get(&p) && plan_run(&p));
}

/* ---- the command ---- */

static bool take_cpus(struct plan *p, uint64_t n)
{
    uint32_t cpus = cpumask_weight(&p->pool.cpus);

    if (n && n >= cpus) {
        return !fail("%lu: %s has %u CPUs, so domain 0 can have 0 to %u for itself (EINVAL)", n,
                     p->pool.name, cpus, cpus - 1);
    }
    cpumask_for_each(cpu, &p->pool.cpus) {
        if (n) {
            cpumask_set(&p->own, cpu);
            n--;
        }
    }
    p->rest = all_but(&p->own);
    return true;
}

/* CPUs are numbered core by core: only the last of domain 0's may have a sibling elsewhere. */
static void warn(const struct plan *p)
{
    const struct xen_sysctl_cputopo *t;
    uint32_t nr;
    struct xen_domctl_getdomaininfo info;
    struct cpumask others = cpumask_and(&p->rest, &p->pool.cpus);
    uint32_t last = 0, next = cpumask_first(&others);

    cpumask_for_each(cpu, &p->own) {
        last = cpu;
    }
    if (cpu_topology(&t, &nr) == 0 && next < nr && t[last].core == t[next].core &&
        t[last].socket == t[next].socket) {
        err("warning: dom0-isolate: CPUs %u and %u are threads of one core: what runs on %u slows "
            "domain 0\n",
            last, next, next);
    }
    if (domain_info(0, &info) == 0 && info.nr_online_vcpus > cpumask_weight(&p->own)) {
        err("warning: dom0-isolate: domain 0 has %u vcpus for %u CPUs: vcpu-set Domain-0 %u\n",
            info.nr_online_vcpus, cpumask_weight(&p->own), cpumask_weight(&p->own));
    }
}

static void plan_print(const struct plan *p)
{
    static char text[TEXT_SIZE];
    struct cpumask others = cpumask_and(&p->rest, &p->pool.cpus);
    bool on = !cpumask_empty(&p->own);

    cpulist_format(text, sizeof(text), &p->own, cpus_max());
    out("domain 0: %s\n", on ? text : "as before");
    cpulist_format(text, sizeof(text), &others, cpus_max());
    out("others of %s: %s\n", p->pool.name, on ? text : "as before");
}

static int isolate(uint64_t n)
{
    struct plan p = { .only = EVERYBODY };

    if (!pool0_get(&p) || !take_cpus(&p, n)) {
        return 1;
    }
    if (shell_dry_run) {
        plan_print(&p);
        return 0;
    }
    if (!plan_run(&p)) {
        return 1;
    }
    if (n) {
        warn(&p);
    }
    return 0;
}

static int run(int argc, char **argv)
{
    uint64_t n;

    if (argc != 2) {
        return USAGE;
    }
    if (!number_parse(argv[1], NR_CPUS, &n)) {
        return fail("%s: no number of CPUs (EINVAL)", argv[1]);
    }
    return isolate(n);
}

const struct command cmd_dom0_isolate = {
    .name = "dom0-isolate",
    .usage = "N",
    .help = "domain 0 has the first N CPUs of Pool-0 for itself, all others the rest (0: ends it)",
    .run = run,
};
