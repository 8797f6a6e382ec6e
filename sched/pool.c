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

#include <public/tarn.h>

#include "dispatch.h"

#define DUMP_LINE 300
#define POOL_FLAGS (TARN_POOL_weight_per_vcpu | TARN_POOL_reset_on_move | TARN_POOL_cpus_return)

struct sched_pool pool0;                    /* every CPU's pool from boot on; its own lock */
static const struct topology *cpu_topology; /* constant after boot */
const struct sched_ops *const sched_policies[] = { &sched_credit, &sched_rtds, &sched_null,
                                                   &sched_sedf,   &sched_rr,   NULL };

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
    p->params = (struct sched_params){ opt.tslice_ms * 1000, opt.ratelimit_us, 0,
                                       opt.weight_per_vcpu ? TARN_POOL_weight_per_vcpu : 0 };
    list_init(&p->doms);
    timer_init(&p->timer, pool_timer_fn, p);
    p->priv = pages_alloc(pages_order(ops->pool_size));
    if (p->priv && ops->pool_init) {
        ops->pool_init(p, now());
    }
    return p->priv != NULL;
}

void pool_free_priv(struct sched_pool *p)
{
    pages_free(p->priv, pages_order(p->ops->pool_size));
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

/* ---- CPUs ---- */

static bool has_override(const struct sched_pool *p, u32 cpu)
{
    list_for_each(dom, &p->doms) {
        list_for_each(l, &list_entry(dom, struct sched_dom, link)->units) {
            if (unit_vcpu(list_entry(l, struct sched_unit, link))->override == cpu + 1) {
                return true;
            }
        }
    }
    return false;
}

static long may_leave(const struct sched_pool *p, u32 cpu)
{
    if (cpumask_weight(&p->cpus) == 1 && p->nr_doms) {
        return -EBUSY;
    }
    return has_override(p, cpu) ? -EADDRINUSE : 0;
}

/* From here on nothing new comes to it; it leaves when it next decides. Lock held. */
static void begin_leaving(struct sched_pool *p, u32 cpu, struct cpumask *mask)
{
    cpumask_clear(&p->cpus, cpu);
    cpumask_clear(&p->idlers, cpu);
    pool_retarget(p, now(), mask);
    cpumask_set(mask, cpu);
}

long pool_cpu_remove(struct sched_pool *p, u32 cpu)
{
    struct cpumask mask;
    long rc = -ERESTART;

    cpumask_clear_all(&mask);
    spin_lock(&p->lock);
    if (atomic_load(&pcpus[cpu]->pool) != p) {
        rc = 0;
    } else if (cpumask_test(&p->cpus, cpu)) {
        rc = may_leave(p, cpu);
        if (rc == 0) {
            begin_leaving(p, cpu, &mask);
            rc = -ERESTART;
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
    pcpus[cpu]->left = NULL;
    pcpus[cpu]->last_pool = p->id;
    t = now();
    cpumask_set(&p->cpus, cpu);
    cpumask_set(&p->idlers, cpu);
    if (p->ops->cpu_add) {
        p->ops->cpu_add(p, cpu, t);
    }
    pool_retarget(p, t, &mask);
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

/* Whoever began to take a CPU out of service may never come again: whoever comes next sees to it.
 */
void pool_park_leavers(void)
{
    cpumask_for_each(cpu, &cpu_online_map) {
        if (pcpus[cpu]->parking && !atomic_load(&pcpus[cpu]->pool)) {
            park(cpu);
        }
    }
}

/* `parking` stays until the taker has its answer, or the CPU is back. */
static long offline_answer(struct pcpu *c)
{
    bool mine = c->parking && c->taker == current;

    c->parking = c->parking && !mine;
    return mine ? 0 : -EEXIST;
}

static long offline(u32 cpu)
{
    struct pcpu *c = pcpus[cpu];
    struct sched_pool *p = atomic_load(&c->pool);
    long rc;

    if (!cpumask_test(&cpu_online_map, cpu)) {
        return offline_answer(c);
    }
    if (!p) {
        c->parking = false; /* if it left after pool_park_leavers() looked */
        park(cpu);
        return 0;
    }
    if (p != &pool0) {
        return -ENODEV;
    }
    if (!cpumask_test(&p->cpus, cpu)) {
        return -ERESTART; /* it leaves already, to whatever end */
    }
    rc = pool_cpu_remove(p, cpu);
    if (rc == -ERESTART) {
        c->parking = true;
        c->taker = current;
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
    pool_park_leavers();
    rc = offline(cpu);
    spin_unlock(&cpupool_lock);
    return rc;
}

/* Where a CPU comes back to. */
static struct sched_pool *home_of(const struct pcpu *c)
{
    struct sched_pool *p = pool_find(c->last_pool);

    return p && (READ_ONCE(p->params.flags) & TARN_POOL_cpus_return) ? p : &pool0;
}

long sched_cpu_online(u32 cpu)
{
    long rc = 0;

    if (cpu >= nr_pcpus) {
        return -EINVAL;
    }
    spin_lock(&cpupool_lock);
    pool_park_leavers();
    if (cpumask_test(&cpu_online_map, cpu)) {
        rc = -EEXIST;
    } else if (!pcpus[cpu]->online) {
        rc = -EIO;
    } else {
        pcpus[cpu]->parking = false;
        set_bit(cpu, cpu_online_map.bits);
        rc = pool_cpu_add(home_of(pcpus[cpu]), cpu);
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
    u32 flags;

    if (!params_ok(in)) {
        return -EINVAL;
    }
    spin_lock(&p->lock);
    flags = p->params.flags;
    p->params = *in;
    p->params.flags = flags;
    cpus = p->cpus;
    if (p->timer.node.queued) {
        timer_arm(&p->timer, now() + in->tslice_us * NSEC_PER_USEC);
    }
    spin_unlock(&p->lock);
    tickle_all(&cpus);
    return 0;
}

/* A weight may mean something else from now on. */
long sched_flags_set(struct sched_pool *p, u32 flags)
{
    struct cpumask mask;

    if (flags & ~POOL_FLAGS) {
        return -EINVAL;
    }
    cpumask_clear_all(&mask);
    spin_lock(&p->lock);
    p->params.flags = flags;
    list_for_each(l, &p->doms) {
        struct sched_dom *d = list_entry(l, struct sched_dom, link);
        u32 cpu = p->ops->changed ? p->ops->changed(p, d, NULL, now()) : NO_CPU;

        if (cpu != NO_CPU) {
            cpumask_set(&mask, cpu);
        }
    }
    spin_unlock(&p->lock);
    tickle_all(&mask);
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
