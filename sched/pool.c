/* SPDX-License-Identifier: MIT */
/*
 * Pools: which CPUs a policy has, which of them a vcpu may use, and by what parameters; CPUs that
 * go out of service and come back. Locks: the pool's lock (RANK_RUNQUEUE) for all that is the
 * pool's, cpupool_lock for cpu_online_map once the machine is up.
 *
 * A pcpu's `pool` is set by whoever adds it and cleared by itself, in schedule(), both with that
 * pool's lock held. So taking a CPU away never waits: it is told to go, and asked later.
 */
#include <tarn/console.h>
#include <tarn/errno.h>
#include <tarn/options.h>
#include <tarn/page.h>
#include <tarn/time.h>

#include "dispatch.h"

#define DUMP_LINE 300

struct sched_pool pool0;                    /* every CPU's pool from boot on; its own lock */
static const struct topology *cpu_topology; /* constant after boot */
const struct sched_ops *const sched_policies[] = { &sched_credit, &sched_rtds, &sched_null,
                                                   &sched_sedf, NULL };

/* ---- Periodic work ---- */

static void pool_timer_fn(void *arg)
{
    struct sched_pool *p = arg;
    struct cpumask mask;
    stime_t next;

    cpumask_clear_all(&mask);
    spin_lock(&p->lock);
    p->timer_kick = false;
    next = p->ops->timer(p, now(), &mask);
    spin_unlock(&p->lock);
    tickle_all(&mask);
    if (next != STIME_MAX) {
        timer_arm(&p->timer, next);
    }
}

void pool_timer_start(struct sched_pool *p)
{
    if (!p->timer.node.queued) {
        p->timer_kick = false;
        timer_arm(&p->timer, now() + p->params.tslice_us * NSEC_PER_USEC);
    }
}

/* ---- Boot ---- */

const struct sched_ops *sched_policy_find(const char *name)
{
    for (u32 i = 0; sched_policies[i]; i++) {
        if (strcmp(sched_policies[i]->name, name) == 0) {
            return sched_policies[i];
        }
    }
    return NULL;
}

static u32 order_of(size_t size)
{
    u32 order = 0;

    while (PAGE_SIZE << order < size) {
        order++;
    }
    return order;
}

const struct sched_ops *sched_policy_by_id(u32 id)
{
    for (u32 i = 0; sched_policies[i]; i++) {
        if (sched_policies[i]->id == id) {
            return sched_policies[i];
        }
    }
    return NULL;
}

bool pool_init(struct sched_pool *p, const struct sched_ops *ops)
{
    spin_lock_init(&p->lock, RANK_RUNQUEUE);
    p->ops = ops;
    p->topology = cpu_topology;
    p->params = (struct sched_params){ opt.tslice_ms * 1000, opt.ratelimit_us, 0, 0 };
    list_init(&p->doms);
    timer_init(&p->timer, pool_timer_fn, p);
    p->priv = pages_alloc(order_of(ops->pool_size));
    if (p->priv && ops->pool_init) {
        ops->pool_init(p, now());
    }
    return p->priv != NULL;
}

void pool_free_priv(struct sched_pool *p)
{
    pages_free(p->priv, order_of(p->ops->pool_size));
}

/* Pool-0 with all CPUs that are online; their idle loops don't run yet, or find nothing to do. */
void sched_boot_init(const struct sched_ops *ops, const struct topology *topology)
{
    struct sched_pool *p = &pool0;

    cpu_topology = topology;
    if (!pool_init(p, ops)) {
        panic("no memory for the scheduler of Pool-0");
    }
    str_copy(p->name, "Pool-0", sizeof(p->name));
    pools_begin(p);
    cpumask_for_each(cpu, &cpu_online_map) {
        schedule_cpu_init(pcpus[cpu]);
        (void)pool_cpu_add(p, cpu);
    }
}

/* ---- Affinity ---- */

/* What is given counts within the pool; a hard affinity that leaves nothing there is widened to all
 * of it. */
bool pool_affinity(const struct sched_pool *p, struct vcpu *v)
{
    struct sched_unit *u = &v->unit;
    struct cpumask hard = u->hard, soft = u->soft;

    u->hard = cpumask_and(&v->hard_given, &p->cpus);
    if (cpumask_empty(&u->hard)) {
        u->hard = p->cpus;
    }
    u->soft = cpumask_and(&v->soft_given, &u->hard);
    if (cpumask_weight(&u->soft) == cpumask_weight(&u->hard)) {
        cpumask_clear_all(&u->soft); /* prefers all: no preference */
    }
    u->dedicated = cpumask_weight(&u->hard) == 1;
    return memcmp(&hard, &u->hard, sizeof(hard)) != 0 || memcmp(&soft, &u->soft, sizeof(soft)) != 0;
}

void sched_set_affinity(struct vcpu *v, const struct cpumask *hard, const struct cpumask *soft)
{
    struct sched_pool *p = lock_pool(v->domain);
    u32 cpu = NO_CPU;

    v->hard_given = *hard;
    v->soft_given = *soft;
    (void)pool_affinity(p, v);
    if (p->ops->changed) {
        cpu = p->ops->changed(p, &v->domain->sched, &v->unit, now());
    }
    spin_unlock(&p->lock);
    tickle(cpu);
}

/* The pool has other CPUs than before. Adds to *mask who must decide anew. Lock held. */
static void retarget_all(struct sched_pool *p, stime_t t, struct cpumask *mask)
{
    list_for_each(dom, &p->doms) {
        struct sched_dom *d = list_entry(dom, struct sched_dom, link);

        list_for_each(l, &d->units) {
            struct sched_unit *u = list_entry(l, struct sched_unit, link);
            u32 cpu = NO_CPU;

            if (pool_affinity(p, unit_vcpu(u)) && p->ops->changed) {
                cpu = p->ops->changed(p, d, u, t);
            }
            if (cpu != NO_CPU) {
                cpumask_set(mask, cpu);
            }
        }
    }
}

/* ---- CPUs ---- */

/* From here on nothing new comes to it; it leaves when it next decides. Lock held. */
static void begin_leaving(struct sched_pool *p, u32 cpu, struct cpumask *mask)
{
    cpumask_clear(&p->cpus, cpu);
    cpumask_clear(&p->idlers, cpu);
    retarget_all(p, now(), mask);
    cpumask_set(mask, cpu);
}

long pool_cpu_remove(struct sched_pool *p, u32 cpu)
{
    struct cpumask mask;
    long rc = -ERESTART;

    cpumask_clear_all(&mask);
    spin_lock(&p->lock);
    if (pcpus[cpu]->pool != p) {
        rc = 0;
    } else if (cpumask_test(&p->cpus, cpu)) {
        if (cpumask_weight(&p->cpus) == 1 && p->nr_doms) {
            rc = -EBUSY;
        } else {
            begin_leaving(p, cpu, &mask);
        }
    }
    spin_unlock(&p->lock);
    tickle_all(&mask);
    return rc;
}

void pool_leave(struct sched_pool *p, struct pcpu *cpu, stime_t t)
{
    timer_stop(&cpu->slice_timer);
    if (p->ops->cpu_remove) {
        p->ops->cpu_remove(p, cpu->id, t);
    }
    atomic_store(&cpu->pool, (struct sched_pool *)NULL);
}

long pool_cpu_add(struct sched_pool *p, u32 cpu)
{
    struct sched_pool *none = NULL;
    struct cpumask mask;
    stime_t t;

    cpumask_clear_all(&mask);
    spin_lock(&p->lock);
    if (!atomic_cmpxchg(&pcpus[cpu]->pool, &none, p)) {
        spin_unlock(&p->lock);
        return -EBUSY;
    }
    t = now();
    cpumask_set(&p->cpus, cpu);
    cpumask_set(&p->idlers, cpu);
    if (p->ops->cpu_add) {
        p->ops->cpu_add(p, cpu, t);
    }
    retarget_all(p, t, &mask);
    cpumask_set(&mask, cpu);
    spin_unlock(&p->lock);
    tickle_all(&mask);
    return 0;
}

/* CPU 0 is always there: it takes the timers. What the idle pcpu still holds of a guest goes. */
static void park(u32 cpu)
{
    clear_bit(cpu, cpu_online_map.bits);
    timer_move_all(cpu, 0);
    softirq_raise(cpu, SOFTIRQ_UNLOAD);
}

static long offline(u32 cpu)
{
    struct sched_pool *p = atomic_load(&pcpus[cpu]->pool);
    long rc = 0;

    if (!cpumask_test(&cpu_online_map, cpu)) {
        return -EEXIST;
    }
    if (p) {
        rc = p == &pool0 ? pool_cpu_remove(p, cpu) : -ENODEV;
    }
    if (rc == 0) {
        park(cpu);
    }
    return rc;
}

long sched_cpu_offline(u32 cpu)
{
    long rc;

    if (cpu == 0 || cpu >= nr_pcpus) {
        return -EINVAL;
    }
    spin_lock(&cpupool_lock);
    rc = offline(cpu);
    spin_unlock(&cpupool_lock);
    return rc;
}

long sched_cpu_online(u32 cpu)
{
    long rc = 0;

    if (cpu >= nr_pcpus) {
        return -EINVAL;
    }
    spin_lock(&cpupool_lock);
    if (cpumask_test(&cpu_online_map, cpu)) {
        rc = -EEXIST;
    } else if (!pcpus[cpu]->online) {
        rc = -EIO;
    } else {
        set_bit(cpu, cpu_online_map.bits);
        rc = pool_cpu_add(&pool0, cpu);
    }
    spin_unlock(&cpupool_lock);
    return rc;
}

/* ---- Parameters ---- */

void sched_params_get(struct sched_pool *p, struct sched_params *out)
{
    spin_lock(&p->lock);
    *out = p->params;
    spin_unlock(&p->lock);
}

static bool params_ok(const struct sched_params *s)
{
    return s->tslice_us >= 1000 && s->tslice_us <= 1000000 &&
           (s->ratelimit_us == 0 || (s->ratelimit_us >= 100 && s->ratelimit_us <= 500000)) &&
           s->ratelimit_us <= s->tslice_us && s->migr_delay_us <= 100000;
}

/* At once: all decide anew, and the periodic work is not left waiting for a longer slice. */
long sched_params_set(struct sched_pool *p, const struct sched_params *in)
{
    struct cpumask cpus;

    if (!params_ok(in)) {
        return -EINVAL;
    }
    spin_lock(&p->lock);
    p->params = *in;
    cpus = p->cpus;
    if (p->timer.node.queued) {
        timer_arm(&p->timer, now() + in->tslice_us * NSEC_PER_USEC);
    }
    spin_unlock(&p->lock);
    tickle_all(&cpus);
    return 0;
}

/* ---- Dump ---- */

static void dump_cpu(struct sched_pool *p, u32 cpu)
{
    char line[DUMP_LINE];

    spin_lock(&p->lock);
    p->ops->dump_cpu(p, cpu, line, sizeof(line));
    spin_unlock(&p->lock);
    log_always("  cpu %u: %s", cpu, line);
}

static void dump_pool(struct sched_pool *p)
{
    struct sched_params params;
    struct cpumask cpus = p->cpus;

    sched_params_get(p, &params);
    log_always("%s: scheduler %s, slice %u us, ratelimit %u us, migration delay %u us; %u domains, "
               "%u vcpus wait",
               p->name, p->ops->name, params.tslice_us, params.ratelimit_us, params.migr_delay_us,
               p->nr_doms, p->nr_waiting);
    cpumask_for_each(cpu, &cpus) {
        if (p->ops->dump_cpu) {
            dump_cpu(p, cpu);
        }
    }
}

void sched_dump(void)
{
    struct sched_pool *p;

    for (u32 id = 0; (p = pool_get_from(id)); id = p->id + 1) {
        dump_pool(p);
        pool_put(p);
    }
    for (u32 cpu = 0; cpu < nr_pcpus; cpu++) {
        if (!atomic_load(&pcpus[cpu]->pool)) {
            log_always("  cpu %u: %s", cpu,
                       cpumask_test(&cpu_online_map, cpu) ? "in no pool" : "offline");
        }
    }
}
