/* SPDX-License-Identifier: MIT */
/*
 * cmd_split.c - cpupool-numa-split: one cpupool becomes one for each node, socket or core. All of
 * it, or nothing.
 */
#include "pools.h"

#define NO_GROUP (~0U)

struct split {
    const char *what; /* "node", "socket" or "core" */
    uint32_t group[NR_CPUS];
    struct pool whole;             /* the one there is */
    struct pool *parts;            /* those made so far, by group */
    unsigned int nr_parts, groups; /* the first group stays in the whole */
    uint32_t number[NR_CPUS];      /* of a group, as its name shows */
};

/* ---- which CPU goes where ---- */

static uint32_t number_of(const struct split *s, const struct xen_sysctl_cputopo *t,
                          const struct xen_sysctl_cputopo *all, uint32_t cpu)
{
    uint32_t cores = 0;

    if (strcmp(s->what, "node") == 0) {
        return t->node;
    }
    if (strcmp(s->what, "socket") == 0) {
        return t->socket;
    }
    /* a core's own number counts in its socket: here they are counted on */
    for (uint32_t i = 0; i < cpu; i++) {
        if (s->group[i] != NO_GROUP && all[i].socket == t->socket && all[i].core == t->core) {
            return s->number[s->group[i]];
        }
        cores = s->group[i] != NO_GROUP ? MAX(cores, s->number[s->group[i]] + 1) : cores;
    }
    return cores;
}

static uint32_t group_of(struct split *s, uint32_t number)
{
    uint32_t g = 0;

    while (g < s->groups && s->number[g] != number) {
        g++;
    }
    if (g == s->groups) {
        s->number[s->groups++] = number;
    }
    return g;
}

static bool groups_find(struct split *s)
{
    const struct xen_sysctl_cputopo *topology;
    uint32_t nr;
    long rc = cpu_topology(&topology, &nr);

    if (rc) {
        return !fail_errno(rc, "topology of the CPUs");
    }
    for (uint32_t cpu = 0; cpu < NR_CPUS; cpu++) {
        s->group[cpu] = NO_GROUP;
        if (cpumask_test(&s->whole.cpus, cpu) && cpu < nr) {
            s->group[cpu] = group_of(s, number_of(s, &topology[cpu], topology, cpu));
        }
    }
    return true;
}

static void group_cpus(const struct split *s, uint32_t group, struct cpumask *cpus)
{
    *cpus = (struct cpumask){ { 0 } };
    for (uint32_t cpu = 0; cpu < NR_CPUS; cpu++) {
        if (s->group[cpu] == group) {
            cpumask_set(cpus, cpu);
        }
    }
}

/* ---- doing it ---- */

static void part_name(const struct split *s, uint32_t group, char name[NAME_SIZE])
{
    fmt_snprintf(name, NAME_SIZE, "Pool-%s%u", s->what, s->number[group]);
}

static bool part_make(struct split *s)
{
    struct pool *p = &s->parts[s->nr_parts];
    char name[NAME_SIZE];
    struct cpumask cpus;

    part_name(s, s->nr_parts + 1, name);
    group_cpus(s, s->nr_parts + 1, &cpus);
    if (!pool_make(name, s->whole.sched, p)) {
        return false;
    }
    if (!pool_remove(&s->whole, &cpus)) {
        pool_end(p, NULL);
        return false;
    }
    if (!pool_add(p, &cpus)) {
        pool_end(p, NULL);
        pool_add(&s->whole, &cpus);
        return false;
    }
    p->cpus = cpus;
    s->nr_parts++;
    return true;
}

static void parts_undo(struct split *s)
{
    while (s->nr_parts--) {
        const struct pool *p = &s->parts[s->nr_parts];

        if (pool_end(p, NULL)) {
            pool_add(&s->whole, &p->cpus);
        }
    }
}

/* Domain 0's vcpus beyond the CPUs that it keeps go offline, as far as it does so. */
static bool domain0_fit(const struct split *s)
{
    struct xen_domctl_getdomaininfo info;
    struct cpumask cpus;
    long rc = domain_info(0, &info);
    uint32_t room;

    if (rc) {
        return !fail_errno(rc, "Domain-0");
    }
    group_cpus(s, 0, &cpus);
    room = cpumask_weight(&cpus);
    return info.max_vcpu_id < room || vcpus_available(0, info.max_vcpu_id + 1, room) == 0;
}

static bool split(struct split *s)
{
    char name[NAME_SIZE];

    while (s->nr_parts + 1 < s->groups) {
        if (!part_make(s)) {
            parts_undo(s);
            return false;
        }
    }
    part_name(s, 0, name);
    if (!pool_rename(&s->whole, name)) {
        parts_undo(s);
        return false;
    }
    if (!domain0_fit(s)) {
        pool_rename(&s->whole, s->whole.name);
        parts_undo(s);
        return false;
    }
    return true;
}

static bool alone(struct pool *p)
{
    struct pool second;
    long rc = pool_next(0, p);

    if (rc) {
        return !fail_errno(rc, "list of cpupools");
    }
    return pool_next(p->id + 1, &second) == 0
               ? !fail("splitting not possible, already cpupools in use: %s (EBUSY)", second.name)
               : true;
}

static bool by_what(int argc, char **argv, const char **what)
{
    static const char *const all[] = { "node", "socket", "core" };
    struct options o;
    int letter;

    *what = all[0];
    options_init(&o, argc, argv, "b:", "by=b");
    while ((letter = options_next(&o)) && letter != '?') {
        *what = NULL;
        for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
            *what = strcmp(o.value, all[i]) == 0 ? all[i] : *what;
        }
        if (!*what) {
            return false;
        }
    }
    return letter != '?' && !o.nr_rest;
}

static int run_split(int argc, char **argv)
{
    struct split *s;
    const char *what;
    bool good;

    if (!by_what(argc, argv, &what)) {
        return USAGE;
    }
    s = allocate(sizeof(*s));
    if (!s) {
        return fail_errno(-XEN_ENOMEM, "the plan");
    }
    s->what = what;
    good = alone(&s->whole) && groups_find(s);
    if (good) {
        s->parts = allocate(s->groups * sizeof(*s->parts));
        good = s->parts ? split(s) : !fail_errno(-XEN_ENOMEM, "the plan");
    }
    release(s->parts);
    release(s);
    return good ? 0 : 1;
}

const struct command cmd_cpupool_numa_split = {
    .name = "cpupool-numa-split",
    .usage = "[--by node|socket|core]",
    .help = "the one cpupool becomes one for each node (or socket, or core)",
    .run = run_split,
};
