/* SPDX-License-Identifier: MIT */
/*
 * The life of pools: made without CPUs, given some, given domains, and taken apart again. A CPU is
 * in one pool at most, a domain in exactly one. What happens inside a pool is pool.c's and
 * schedule.c's. Locks: cpupool_lock (RANK_CPUPOOL) for the list of pools, and for which CPU is in
 * which; a pool that somebody holds (pool_get) or that has CPUs or domains stays.
 */
#include <tarn/console.h>
#include <tarn/errno.h>
#include <tarn/page.h>
#include <tarn/time.h>

#include "dispatch.h"

#define POOLS_MAX (2 * nr_pcpus) /* as Xen */

_Static_assert(sizeof(struct sched_pool) <= PAGE_SIZE, "a pool is one page");

struct spinlock cpupool_lock = SPINLOCK_INIT(RANK_CPUPOOL); /* pools, their CPUs, online CPUs */
static struct list pools = LIST_INIT(pools);                /* by id; cpupool_lock */
static u32 nr_pools;                                        /* cpupool_lock */

/* The lowest id from `first` on. */
static struct sched_pool *find_from(u32 first)
{
    list_for_each(l, &pools) {
        struct sched_pool *p = list_entry(l, struct sched_pool, link);

        if (p->id >= first) {
            return p;
        }
    }
    return NULL;
}

struct sched_pool *pool_find(u32 id)
{
    struct sched_pool *p = find_from(id);

    return p && p->id == id ? p : NULL;
}

static struct sched_pool *hold(struct sched_pool *p)
{
    if (p) {
        p->users++;
    }
    return p;
}

struct sched_pool *pool_get(u32 id)
{
    struct sched_pool *p;

    spin_lock(&cpupool_lock);
    p = hold(pool_find(id));
    spin_unlock(&cpupool_lock);
    return p;
}

struct sched_pool *pool_get_from(u32 id)
{
    struct sched_pool *p;

    spin_lock(&cpupool_lock);
    p = hold(find_from(id));
    spin_unlock(&cpupool_lock);
    return p;
}

struct sched_pool *pool_get_by_name(const char *name)
{
    struct sched_pool *p = NULL;

    spin_lock(&cpupool_lock);
    list_for_each(l, &pools) {
        struct sched_pool *candidate = list_entry(l, struct sched_pool, link);

        if (strcmp(candidate->name, name) == 0) {
            p = hold(candidate);
        }
    }
    spin_unlock(&cpupool_lock);
    return p;
}

void pool_put(struct sched_pool *p)
{
    spin_lock(&cpupool_lock);
    p->users--;
    spin_unlock(&cpupool_lock);
}

void pool_get_name(const struct sched_pool *p, char name[32])
{
    spin_lock(&cpupool_lock);
    memcpy(name, p->name, sizeof(p->name));
    spin_unlock(&cpupool_lock);
}

void pool_look(struct sched_pool *p, struct cpumask *cpus, u32 *nr_doms)
{
    spin_lock(&p->lock);
    *cpus = p->cpus;
    *nr_doms = p->nr_doms;
    spin_unlock(&p->lock);
}

/* Into the list. */
static void pool_register(struct sched_pool *p)
{
    struct sched_pool *next = find_from(p->id);

    list_add_tail(next ? &next->link : &pools, &p->link);
    nr_pools++;
}

void pools_begin(struct sched_pool *first)
{
    list_init(&pools);
    nr_pools = 0;
    pool_register(first);
}

/* ---- Made and destroyed ---- */

/* The one after the highest that there is; then the lowest that is free. */
static u32 next_id(void)
{
    u32 id = list_entry(pools.prev, struct sched_pool, link)->id + 1;

    if (id == POOL_ANY) {
        for (id = 0; pool_find(id); id++) {
        }
    }
    return id;
}

static int may_create(u32 id)
{
    if (nr_pools >= POOLS_MAX) {
        return -ENOSPC;
    }
    return id != POOL_ANY && pool_find(id) ? -EEXIST : 0;
}

static bool name_is_taken(const struct sched_pool *except, const char *name)
{
    list_for_each(l, &pools) {
        const struct sched_pool *p = list_entry(l, struct sched_pool, link);

        if (p != except && strcmp(p->name, name) == 0) {
            return true;
        }
    }
    return false;
}

/* Somebody may have given it to another one. */
static void name_anew(struct sched_pool *p)
{
    fmt_snprintf(p->name, sizeof(p->name), "Pool-%u", p->id);
    for (u32 i = 2; name_is_taken(p, p->name); i++) {
        fmt_snprintf(p->name, sizeof(p->name), "Pool-%u.%u", p->id, i);
    }
}

static int pool_enter(struct sched_pool *p, u32 *id)
{
    int rc = may_create(*id);

    if (rc == 0) {
        *id = *id == POOL_ANY ? next_id() : *id;
        p->id = *id;
        name_anew(p);
        pool_register(p);
    }
    return rc;
}

static void pool_free(struct sched_pool *p)
{
    pool_free_priv(p);
    page_free(p);
}

long pool_create(u32 *id, u32 sched_id)
{
    const struct sched_ops *ops = sched_policy_by_id(sched_id);
    struct sched_pool *p;
    int rc;

    spin_lock(&cpupool_lock);
    rc = may_create(*id);
    spin_unlock(&cpupool_lock);
    if (rc || !ops) {
        return rc ? rc : -ENOENT;
    }
    p = page_alloc();
    if (!p || !pool_init(p, ops)) {
        page_free(p);
        return -ENOMEM;
    }
    spin_lock(&cpupool_lock);
    rc = pool_enter(p, id);
    spin_unlock(&cpupool_lock);
    if (rc) {
        pool_free(p);
    }
    return rc;
}

static bool has_cpus(const struct sched_pool *p)
{
    for (u32 cpu = 0; cpu < nr_pcpus; cpu++) {
        if (atomic_load(&pcpus[cpu]->pool) == p) {
            return true;
        }
    }
    return false;
}

/* Out of the list when nothing is in it; somebody who only looks at it makes us come again. */
static int pool_leave_list(struct sched_pool *p)
{
    if (!p) {
        return -ENOENT;
    }
    if (p->nr_doms || has_cpus(p)) {
        return -EBUSY;
    }
    if (p->users) {
        return -ERESTART;
    }
    list_del(&p->link);
    nr_pools--;
    for (u32 cpu = 0; cpu < nr_pcpus; cpu++) {
        pcpus[cpu]->left = pcpus[cpu]->left == p ? NULL : pcpus[cpu]->left;
    }
    return 0;
}

/* A pcpu that has just left holds its lock for a moment more. */
static void wait_for_leavers(struct sched_pool *p)
{
    spin_lock(&p->lock);
    spin_unlock(&p->lock);
}

/*
 * Who still has the pool's address, from a domain that was in it a moment ago, is on its way
 * through the hypervisor (lock_pool): once every pcpu has been at its exit loop nobody has. Two
 * that wait for each other's exit loop would wait for ever, so one of them comes again.
 */
long pool_destroy(u32 id)
{
    static struct spinlock destroying = SPINLOCK_INIT(RANK_CPUPOOL); /* one at a time */
    struct sched_pool *p;
    long rc;

    if (!spin_trylock(&destroying)) {
        return -ERESTART;
    }
    spin_lock(&cpupool_lock);
    p = pool_find(id);
    rc = pool_leave_list(p);
    spin_unlock(&cpupool_lock);
    if (rc == 0) {
        wait_for_leavers(p);
        timer_kill(&p->timer);
        smp_quiesce();
        pool_free(p);
    }
    spin_unlock(&destroying);
    return rc;
}

long pool_rename(u32 id, const char *name)
{
    struct sched_pool *p;
    long rc = 0;

    spin_lock(&cpupool_lock);
    p = pool_find(id);
    if (!p) {
        rc = -ENOENT;
    } else if (name_is_taken(p, name)) {
        rc = -EEXIST;
    } else {
        str_copy(p->name, name, sizeof(p->name));
    }
    spin_unlock(&cpupool_lock);
    return rc;
}

/* ---- CPUs ---- */

void pool_free_cpus(struct cpumask *out)
{
    cpumask_clear_all(out);
    spin_lock(&cpupool_lock);
    pool_park_leavers();
    cpumask_for_each(cpu, &cpu_online_map) {
        if (!atomic_load(&pcpus[cpu]->pool)) {
            cpumask_set(out, cpu);
        }
    }
    spin_unlock(&cpupool_lock);
}

/* POOL_ANY: the first that is free. */
static int free_cpu(u32 *cpu)
{
    if (*cpu == POOL_ANY) {
        cpumask_for_each(c, &cpu_online_map) {
            if (*cpu == POOL_ANY && !atomic_load(&pcpus[c]->pool)) {
                *cpu = c;
            }
        }
        return *cpu == POOL_ANY ? -ENODEV : 0;
    }
    if (*cpu >= nr_pcpus) {
        return -EINVAL;
    }
    return cpumask_test(&cpu_online_map, *cpu) && !atomic_load(&pcpus[*cpu]->pool) ? 0 : -ENODEV;
}

long pool_give_cpu(u32 id, u32 cpu)
{
    struct sched_pool *p;
    long rc;

    spin_lock(&cpupool_lock);
    pool_park_leavers();
    p = pool_find(id);
    rc = p ? free_cpu(&cpu) : -ENOENT;
    if (rc == 0) {
        rc = pool_cpu_add(p, cpu);
    }
    spin_unlock(&cpupool_lock);
    return rc;
}

/*
 * A CPU leaves when it next decides, whether or not anybody asks for it again; whoever began it is
 * told -ERESTART until then, and 0 after it. For all others it is no member any more.
 */
static long take_cpu(struct sched_pool *p, u32 cpu)
{
    struct pcpu *c = cpu < nr_pcpus ? pcpus[cpu] : NULL;
    long rc;

    if (c && c->left == p && c->taker == current) {
        if (atomic_load(&c->pool) == p) {
            return -ERESTART;
        }
        c->left = NULL;
        return 0;
    }
    if (!c || (p == &pool0 && cpu == 0) || !cpumask_test(&cpu_online_map, cpu)) {
        return -EINVAL;
    }
    if (!cpumask_test(&p->cpus, cpu)) {
        return -EADDRNOTAVAIL;
    }
    if (cpumask_weight(&p->cpus) == 1) {
        sched_evict_dying(p);
    }
    rc = pool_cpu_remove(p, cpu);
    if (rc == -ERESTART) {
        c->left = p;
        c->taker = current;
    }
    return rc;
}

long pool_last_cpu(u32 id, u32 *cpu)
{
    struct sched_pool *p;

    spin_lock(&cpupool_lock);
    p = pool_find(id);
    *cpu = NO_CPU;
    if (p) {
        cpumask_for_each(c, &p->cpus) {
            *cpu = c;
        }
    }
    spin_unlock(&cpupool_lock);
    if (!p) {
        return -ENOENT;
    }
    return *cpu == NO_CPU ? -EINVAL : 0;
}

long pool_take_cpu(u32 id, u32 cpu)
{
    struct sched_pool *p;
    long rc;

    spin_lock(&cpupool_lock);
    p = pool_find(id);
    rc = p ? take_cpu(p, cpu) : -ENOENT;
    spin_unlock(&cpupool_lock);
    return rc;
}
