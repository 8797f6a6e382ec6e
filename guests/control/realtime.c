/* SPDX-License-Identifier: MIT */
/*
 * realtime.c - see realtime.h: the two schedulers' structures, and why a pool can't promise what is
 * asked. Owns nothing.
 */
#include "realtime.h"

#include "limits.h"

#include <tarn.h>

#define PPM 1000000UL

union params {
    struct xen_domctl_schedparam_vcpu rtds;
    struct tarn_schedparam_sedf_vcpu sedf;
};

bool realtime_scheduler(uint32_t sched)
{
    return sched == XEN_SCHEDULER_RTDS || sched == TARN_SCHEDULER_SEDF;
}

/* ---- one vcpu ---- */

static void params_fill(uint32_t sched, uint32_t vcpu, const struct reservation *r, bool force,
                        union params *p)
{
    uint32_t flags = (r->extra ? XEN_DOMCTL_SCHEDRT_extra : 0) | (force ? TARN_SCHEDRT_force : 0);

    memset(p, 0, sizeof(*p));
    if (sched == XEN_SCHEDULER_RTDS) {
        p->rtds.vcpuid = vcpu;
        p->rtds.u.rtds = (struct xen_domctl_sched_rtds){
            .period = (uint32_t)(r->period / US),
            .budget = (uint32_t)(r->budget / US),
            .flags = flags,
        };
        return;
    }
    p->sedf.vcpuid = vcpu;
    p->sedf.sedf = (struct tarn_sched_sedf){
        .period = r->period,
        .slice = r->budget,
        .latency = r->latency,
        .weight = r->weight,
        .flags = flags,
    };
}

static void params_read(uint32_t sched, const union params *p, struct reservation *r)
{
    if (sched == XEN_SCHEDULER_RTDS) {
        *r = (struct reservation){
            .period = p->rtds.u.rtds.period * US,
            .budget = p->rtds.u.rtds.budget * US,
            .extra = p->rtds.u.rtds.flags & XEN_DOMCTL_SCHEDRT_extra,
        };
        return;
    }
    *r = (struct reservation){
        .period = p->sedf.sedf.period,
        .budget = p->sedf.sedf.slice,
        .latency = p->sedf.sedf.latency,
        .weight = p->sedf.sedf.weight,
        .extra = p->sedf.sedf.flags & XEN_DOMCTL_SCHEDRT_extra,
    };
}

static long params_op(domid_t domid, uint32_t sched, uint32_t cmd, union params *p)
{
    struct xen_domctl op = { .cmd = XEN_DOMCTL_scheduler_op, .domain = domid };

    op.u.scheduler_op.sched_id = sched;
    op.u.scheduler_op.cmd = cmd;
    op.u.scheduler_op.u.v.nr_vcpus = 1;
    op.u.scheduler_op.u.v.vcpus.p = &p->rtds;
    return domctl(&op);
}

long reservation_read(domid_t domid, uint32_t sched, uint32_t vcpu, struct reservation *r)
{
    static const struct reservation none;
    union params p;
    long rc;

    params_fill(sched, vcpu, &none, false, &p);
    rc = params_op(domid, sched, XEN_DOMCTL_SCHEDOP_getvcpuinfo, &p);
    params_read(sched, &p, r);
    return rc;
}

static long put(domid_t domid, uint32_t sched, uint32_t vcpu, const struct reservation *r,
                bool force)
{
    union params p;

    params_fill(sched, vcpu, r, force, &p);
    return params_op(domid, sched, XEN_DOMCTL_SCHEDOP_putvcpuinfo, &p);
}

/* A domain's own parameters are its first vcpu's. */
bool reservation_get(const struct domain *d, uint32_t sched, uint32_t vcpu, struct reservation *r)
{
    long rc = reservation_read(d->domid, sched, vcpu == EVERY_VCPU ? 0 : vcpu, r);

    return rc ? !fail_errno(rc, "%s: parameters of vcpu %u", d->name, vcpu) : true;
}

const char *reservation_bad(uint32_t sched, const struct reservation *r)
{
    bool rtds = sched == XEN_SCHEDULER_RTDS;

    if (r->weight && !rtds) {
        return NULL;
    }
    return reservation_wrong(r->period, r->budget, (rtds ? 10 : 5) * US, rtds ? "budget" : "slice");
}

/* ---- what a pool can promise ---- */

/* On which CPU a vcpu is; NO_CPU: it isn't there. */
static uint32_t vcpu_cpu(domid_t domid, uint32_t vcpu)
{
    struct xen_domctl op = { .cmd = XEN_DOMCTL_getvcpuinfo, .domain = domid };

    op.u.getvcpuinfo.vcpu = vcpu;
    return domctl(&op) ? NO_CPU : op.u.getvcpuinfo.cpu;
}

static uint64_t share_ppm(const struct reservation *r)
{
    return r->weight || !r->period ? 0 : r->budget * PPM / r->period;
}

/* New parameters of some of a domain's vcpus. */
struct change {
    const struct domain *d;
    const struct pool *p;
    const uint32_t *vcpu;
    const struct reservation *r;
    unsigned int n;
    const char *hint;
};

/* What a vcpu's will be. */
static bool planned(const struct change *c, domid_t domid, uint32_t vcpu, struct reservation *r)
{
    for (unsigned int i = 0; domid == c->d->domid && i < c->n; i++) {
        if (c->vcpu[i] == vcpu) {
            *r = c->r[i];
            return true;
        }
    }
    return reservation_read(domid, c->p->sched, vcpu, r) == 0;
}

/* What the pool, or that CPU of it, would promise. */
static uint64_t promised(const struct change *c, uint32_t cpu)
{
    struct xen_domctl_getdomaininfo *list;
    long n = domain_infos(&list);
    uint64_t sum = 0;

    for (long i = 0; i < n; i++) {
        for (uint32_t v = 0; list[i].cpupool == c->p->id && v < vcpus_of(&list[i]); v++) {
            struct reservation r;

            if ((cpu == NO_CPU || vcpu_cpu(list[i].domain, v) == cpu) &&
                planned(c, list[i].domain, v, &r)) {
                sum += share_ppm(&r);
            }
        }
    }
    if (n >= 0) {
        release(list);
    }
    return sum;
}

/* rtds counts all CPUs together, sedf each by itself. */
static void tell_no_room(const struct change *c, uint32_t vcpu)
{
    bool rtds = c->p->sched == XEN_SCHEDULER_RTDS;
    uint32_t cpu = rtds ? NO_CPU : vcpu_cpu(c->d->domid, vcpu);
    uint64_t sum = promised(c, cpu);
    unsigned int percent = (unsigned int)((sum + PPM / 100 - 1) / (PPM / 100));
    uint32_t cpus = cpumask_weight(&c->p->cpus);

    if (!rtds) {
        fail("CPU %u of %s can't promise %u %% of itself (ENOSPC)%s", cpu, c->p->name, percent,
             c->hint);
    } else if (percent > cpus * 100) {
        fail("CPUs of %s can't promise %u %% of %u CPUs (ENOSPC)%s", c->p->name, percent, cpus,
             c->hint);
    } else {
        fail("CPUs of %s that vcpu %u of %s may use can't promise that to all (ENOSPC)%s",
             c->p->name, vcpu, c->d->name, c->hint);
    }
}

static bool old_read(const struct change *c, struct reservation *old)
{
    for (unsigned int i = 0; i < c->n; i++) {
        if (!reservation_get(c->d, c->p->sched, c->vcpu[i], &old[i])) {
            return false;
        }
    }
    return true;
}

/* Those that get less come first: they make room for the others. */
static bool change_put(const struct change *c, const struct reservation *old, bool force)
{
    for (int more = 0; more < 2; more++) {
        for (unsigned int i = 0; i < c->n; i++) {
            long rc;

            if ((share_ppm(&c->r[i]) > share_ppm(&old[i])) != more) {
                continue;
            }
            rc = put(c->d->domid, c->p->sched, c->vcpu[i], &c->r[i], force);
            if (rc == -XEN_ENOSPC) {
                tell_no_room(c, c->vcpu[i]);
            } else if (rc) {
                fail_errno(rc, "%s: parameters of vcpu %u", c->d->name, c->vcpu[i]);
            }
            if (rc) {
                return false;
            }
        }
    }
    return true;
}

bool reservations_put(const struct domain *d, const struct pool *p, const uint32_t *vcpu,
                      const struct reservation *r, unsigned int n, enum promise promise)
{
    struct change c = { d, p, vcpu, r, n, promise == MAY_FORCE ? "; --force overrules" : "" };
    struct reservation *old = allocate(n * sizeof(*old));
    bool good;

    if (!old) {
        return !fail_errno(-XEN_ENOMEM, "%s: what it was", d->name);
    }
    good = old_read(&c, old);
    if (good && !change_put(&c, old, promise == FORCED)) {
        good = false;
        for (unsigned int i = 0; i < n; i++) {
            put(d->domid, p->sched, vcpu[i], &old[i], true);
        }
    }
    release(old);
    return good;
}
