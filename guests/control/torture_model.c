/* SPDX-License-Identifier: MIT */
/* torture_model.c - what must come of an operation on pools. Pure. */
#include "control.h"
#include "torture.h"

#include <tarn.h>

struct cpumask torture_free_cpus(const struct torture_model *m)
{
    struct cpumask none = m->online;

    for (u32 i = 0; i < TORTURE_POOLS; i++) {
        if (m->pool[i].there) {
            cpumask_for_each(cpu, &m->pool[i].cpus) {
                cpumask_clear(&none, cpu);
            }
        }
    }
    return none;
}

u32 torture_pool_of(const struct torture_model *m, u32 cpu)
{
    for (u32 i = 0; i < TORTURE_POOLS; i++) {
        if (m->pool[i].there && cpumask_test(&m->pool[i].cpus, cpu)) {
            return i;
        }
    }
    return ~0u;
}

bool torture_has_domains(const struct torture_model *m, u32 pool)
{
    for (u32 i = 0; i < TORTURE_SUBJECTS; i++) {
        if (m->subject[i].there && m->subject[i].pool == pool) {
            return true;
        }
    }
    return pool == 0;
}

/* CPUs on which a subject of the pool may run. */
static struct cpumask effective(const struct torture_pool *p, const struct cpumask *hard)
{
    struct cpumask both = cpumask_and(&p->cpus, hard);

    return cpumask_empty(&both) ? p->cpus : both;
}

/* ---- fairness ---- */

/*
 * So many may compete for a CPU. credit: slices of 1 or 2 ms and weights within 1:2, so a round
 * takes 16 ms, of light ones 32. sedf: best effort in turns of half a millisecond. rtds: 4 ms of
 * each 10 ms are promised to each. null: a CPU each.
 */
static u32 limit_of(const struct torture_pool *p)
{
    switch (p->sched) {
    case XEN_SCHEDULER_NULL:
        return 1;
    case XEN_SCHEDULER_RTDS:
        return 2;
    default:
        return 8;
    }
}

/* The least loaded CPU of the mask takes one more. */
static u32 load_least(u32 *load, const struct cpumask *mask)
{
    u32 best = cpumask_first(mask);

    cpumask_for_each(cpu, mask) {
        best = load[cpu] < load[best] ? cpu : best;
    }
    return ++load[best];
}

static bool pinned(const struct torture_pool *p, const struct torture_subject *s)
{
    return !cpumask_subset(&p->cpus, &s->hard);
}

/* Those with the fewest CPUs first. null does not look far for a CPU, so nobody is pinned there. */
bool torture_fair(const struct torture_model *m, u32 pool)
{
    static u32 load[NR_CPUS];
    const struct torture_pool *p = &m->pool[pool];

    if (cpumask_empty(&p->cpus)) {
        return !torture_has_domains(m, pool);
    }
    memset(load, 0, sizeof(load));
    if (pool == 0) {
        load_least(load, &p->cpus);
    }
    for (u32 width = 1; width <= m->nr_cpus; width++) {
        for (u32 i = 0; i < TORTURE_SUBJECTS; i++) {
            const struct torture_subject *s = &m->subject[i];
            struct cpumask may;

            if (!s->there || s->pool != pool) {
                continue;
            }
            may = effective(p, &s->hard);
            if (cpumask_weight(&may) == width &&
                (load_least(load, &may) > limit_of(p) ||
                 (p->sched == XEN_SCHEDULER_NULL && pinned(p, s)))) {
                return false;
            }
        }
    }
    return true;
}

/* ---- answers ---- */

/* Two for each CPU there may be. */
long torture_create(const struct torture_model *m, bool scheduler_known, bool id_taken)
{
    u32 n = 0;

    for (u32 i = 0; i < TORTURE_POOLS; i++) {
        n += m->pool[i].there;
    }
    if (n >= 2 * m->nr_cpus) {
        return -XEN_ENOSPC;
    }
    if (!scheduler_known) {
        return -XEN_ENOENT;
    }
    return id_taken ? -XEN_EEXIST : 0;
}

long torture_add(const struct torture_model *m, u32 pool, u32 cpu)
{
    struct cpumask none = torture_free_cpus(m);

    if (!m->pool[pool].there) {
        return -XEN_ENOENT;
    }
    if (cpu >= m->nr_cpus) {
        return -XEN_EINVAL;
    }
    return cpumask_test(&none, cpu) ? 0 : -XEN_ENODEV;
}

long torture_remove(const struct torture_model *m, u32 pool, u32 cpu)
{
    const struct torture_pool *p = &m->pool[pool];

    if (!p->there) {
        return -XEN_ENOENT;
    }
    if (!cpumask_test(&m->online, cpu) || (pool == 0 && cpu == 0)) {
        return -XEN_EINVAL;
    }
    if (!cpumask_test(&p->cpus, cpu)) {
        return -XEN_EADDRNOTAVAIL;
    }
    return cpumask_weight(&p->cpus) == 1 && torture_has_domains(m, pool) ? -XEN_EBUSY : 0;
}

long torture_offline(const struct torture_model *m, u32 cpu)
{
    u32 pool = torture_pool_of(m, cpu);

    if (cpu == 0 || cpu >= m->nr_cpus) {
        return -XEN_EINVAL;
    }
    if (!cpumask_test(&m->online, cpu)) {
        return -XEN_EEXIST;
    }
    return pool == 0 || pool == ~0u ? 0 : -XEN_ENODEV;
}

long torture_online(const struct torture_model *m, u32 cpu)
{
    if (cpu >= m->nr_cpus) {
        return -XEN_EINVAL;
    }
    return cpumask_test(&m->online, cpu) ? -XEN_EEXIST : 0;
}
