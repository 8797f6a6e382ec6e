/* SPDX-License-Identifier: MIT */
/*
 * Affinities: what is given, by the control domain or an override, and what of it counts in the
 * pool that the vcpu is in. Locks: the pool's lock (RANK_RUNQUEUE).
 */
#include <tarn/errno.h>
#include <tarn/time.h>

#include <public/tarn.h>

#include "dispatch.h"

/* What is given counts within the pool; a hard affinity that leaves nothing there is widened to all
 * of it. An override counts for more; its CPU is in the pool as long as it lasts. */
bool pool_affinity(const struct sched_pool *p, struct vcpu *v)
{
    struct sched_unit *u = &v->unit;
    struct cpumask hard = u->hard, soft = u->soft;

    u->hard = cpumask_and(&v->hard_given, &p->cpus);
    v->affinity_broken = cpumask_empty(&u->hard);
    if (v->affinity_broken) {
        u->hard = p->cpus;
    }
    if (v->override) {
        cpumask_clear_all(&u->hard);
        cpumask_set(&u->hard, v->override - 1);
    }
    u->soft = cpumask_and(&v->soft_given, &u->hard);
    if (cpumask_weight(&u->soft) == cpumask_weight(&u->hard)) {
        cpumask_clear_all(&u->soft); /* prefers all: no preference */
    }
    u->dedicated = cpumask_weight(&u->hard) == 1;
    return !cpumask_equal(&hard, &u->hard) || !cpumask_equal(&soft, &u->soft);
}

/* Its masks count from now on. Returns who must decide anew; lock held. */
static u32 affinity_changed(struct sched_pool *p, struct vcpu *v)
{
    (void)pool_affinity(p, v);
    return p->ops->changed ? p->ops->changed(p, &v->domain->sched, &v->unit, now()) : NO_CPU;
}

void sched_set_affinity(struct vcpu *v, const struct cpumask *hard, const struct cpumask *soft)
{
    struct sched_pool *p = lock_pool(v->domain);
    u32 cpu;

    v->hard_given = *hard;
    v->soft_given = *soft;
    cpu = affinity_changed(p, v);
    spin_unlock(&p->lock);
    tickle(cpu);
}

static long affinity_ok(const struct sched_pool *p, const struct vcpu *v,
                        const struct cpumask *hard, bool force)
{
    if (hard && !cpumask_intersects(hard, &p->cpus)) {
        return -EINVAL;
    }
    return v->override && !force ? -EBUSY : 0;
}

long sched_ask_affinity(struct vcpu *v, struct cpumask *hard, struct cpumask *soft, bool force)
{
    struct sched_pool *p = lock_pool(v->domain);
    long rc = affinity_ok(p, v, hard, force);
    u32 cpu = NO_CPU;

    if (rc == 0) {
        v->override = 0;
        v->hard_given = hard ? *hard : v->hard_given;
        v->soft_given = soft ? *soft : v->soft_given;
        cpu = affinity_changed(p, v);
        if (hard) {
            *hard = v->unit.hard;
        }
        if (soft) {
            *soft = cpumask_and(soft, &v->unit.hard);
        }
    }
    spin_unlock(&p->lock);
    tickle(cpu);
    return rc;
}

void sched_get_affinity(struct vcpu *v, struct cpumask *hard, struct cpumask *soft)
{
    struct sched_pool *p = lock_pool(v->domain);

    *hard = v->override ? v->unit.hard : v->hard_given;
    *soft = v->soft_given;
    spin_unlock(&p->lock);
}

void sched_placement(struct vcpu *v, struct tarn_vcpu_placement *out)
{
    struct sched_pool *p = lock_pool(v->domain);

    out->flags = (v->affinity_broken ? TARN_PLACEMENT_broken : 0) |
                 (v->override ? TARN_PLACEMENT_override : 0);
    out->pool = p->id;
    memcpy(out->hard, &v->unit.hard, sizeof(out->hard));
    memcpy(out->soft, &v->unit.soft, sizeof(out->soft));
    memcpy(out->given, &v->hard_given, sizeof(out->given));
    spin_unlock(&p->lock);
}

static long override_ok(const struct sched_pool *p, const struct vcpu *v, u32 cpu)
{
    if (cpu == NO_CPU) {
        return v->override ? 0 : -EINVAL;
    }
    if (v->override) {
        return -EBUSY;
    }
    return cpumask_test(&p->cpus, cpu) ? 0 : -EINVAL;
}

long sched_pin_override(struct vcpu *v, u32 cpu)
{
    struct sched_pool *p = lock_pool(v->domain);
    long rc = override_ok(p, v, cpu);
    u32 call = NO_CPU;

    if (rc == 0) {
        v->override = cpu + 1; /* NO_CPU + 1 is 0 */
        call = affinity_changed(p, v);
    }
    spin_unlock(&p->lock);
    tickle(call);
    return rc;
}

/* The pool has other CPUs than before. Adds to *mask who must decide anew. Lock held. */
void pool_retarget(struct sched_pool *p, stime_t t, struct cpumask *mask)
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
