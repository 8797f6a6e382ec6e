/* SPDX-License-Identifier: MIT */
/*
 * HYPERVISOR_domctl, XEN_DOMCTL_scheduler_op: the parameters of a domain and its vcpus under the
 * policy of their pool: weight and cap, or those of a real-time policy. A policy that has none
 * takes and gives nothing, and says 0. Lock: the domctl lock is held.
 */
#include <tarn/errno.h>
#include <tarn/guest_access.h>
#include <tarn/hypercall.h>

#include <public/tarn.h>

#include "domctl.h"

#define VCPUS_AT_ONCE 64u /* of a list, before we look whether something else waits */

_Static_assert(offsetof(struct xen_domctl_scheduler_op, u) + sizeof(struct tarn_sched_sedf) <=
                   sizeof(((struct xen_domctl *)NULL)->u),
               "sedf's parameters fit where credit's stand");

static long credit_op(struct domain *d, struct xen_domctl_scheduler_op *s)
{
    u32 weight = s->u.credit.weight, cap = s->u.credit.cap;

    switch (s->cmd) {
    case XEN_DOMCTL_SCHEDOP_getinfo:
        s->u.credit.weight = (u16)d->sched.weight;
        s->u.credit.cap = (u16)d->sched.cap;
        return 0;
    case XEN_DOMCTL_SCHEDOP_putinfo: /* values that are no values: as it is */
        return sched_domain_adjust(d, weight ? &weight : NULL, cap != 0xffff ? &cap : NULL);
    default:
        return -EINVAL;
    }
}

/* ---- How each real-time policy's parameters look to the caller ---- */

/* An element of the list of vcpus, under either policy. */
union element {
    struct xen_domctl_schedparam_vcpu rtds;
    struct tarn_schedparam_sedf_vcpu sedf;
};

/* `at`: the parameters, in the union or in an element. */
struct format {
    size_t element;
    void (*decode)(const void *at, struct sched_rt *rt, bool *force);
    void (*encode)(void *at, const struct sched_rt *rt);
};

static void rtds_decode(const void *at, struct sched_rt *rt, bool *force)
{
    const struct xen_domctl_sched_rtds *r = at;

    rt->period_us = r->period;
    rt->budget_us = r->budget;
    rt->extratime = r->flags & XEN_DOMCTL_SCHEDRT_extra;
    *force = r->flags & TARN_SCHEDRT_force;
}

static void rtds_encode(void *at, const struct sched_rt *rt)
{
    struct xen_domctl_sched_rtds *r = at;

    r->period = (u32)rt->period_us;
    r->budget = (u32)rt->budget_us;
    r->flags = rt->extratime ? XEN_DOMCTL_SCHEDRT_extra : 0;
}

static void sedf_decode(const void *at, struct sched_rt *rt, bool *force)
{
    const struct tarn_sched_sedf *s = at;

    rt->period_us = s->period / NSEC_PER_USEC;
    rt->budget_us = s->slice / NSEC_PER_USEC;
    rt->latency_us = s->latency / NSEC_PER_USEC;
    rt->weight = s->weight;
    rt->extratime = s->flags & XEN_DOMCTL_SCHEDRT_extra;
    *force = s->flags & TARN_SCHEDRT_force;
}

static void sedf_encode(void *at, const struct sched_rt *rt)
{
    *(struct tarn_sched_sedf *)at = (struct tarn_sched_sedf){
        .period = rt->period_us * NSEC_PER_USEC,
        .slice = rt->budget_us * NSEC_PER_USEC,
        .latency = rt->latency_us * NSEC_PER_USEC,
        .weight = rt->weight,
        .flags = rt->extratime ? XEN_DOMCTL_SCHEDRT_extra : 0,
    };
}

static const struct format rtds_format = { sizeof(struct xen_domctl_schedparam_vcpu), rtds_decode,
                                           rtds_encode };
static const struct format sedf_format = { sizeof(struct tarn_schedparam_sedf_vcpu), sedf_decode,
                                           sedf_encode };

/* ---- The operations ---- */

static void *element_parameters(union element *e, const struct format *f)
{
    return f == &sedf_format ? (void *)&e->sedf.sedf : (void *)&e->rtds.u.rtds;
}

static u32 element_vcpu(const union element *e, const struct format *f)
{
    return f == &sedf_format ? e->sedf.vcpuid : e->rtds.vcpuid;
}

/* One entry of the list of vcpus. */
static long vcpu_op(struct domain *d, const struct format *f, u32 cmd, u64 at)
{
    struct sched_rt rt = { 0 };
    union element e;
    bool force;
    long rc;
    u32 id;

    if (copy_from_guest(&e, at, f->element)) {
        return -EFAULT;
    }
    id = element_vcpu(&e, f);
    if (id >= d->max_vcpus) {
        return -EINVAL;
    }
    if (cmd == XEN_DOMCTL_SCHEDOP_putvcpuinfo) {
        f->decode(element_parameters(&e, f), &rt, &force);
        return sched_rt_set(d->vcpu[id], &rt, force);
    }
    rc = sched_rt_get(d->vcpu[id], &rt);
    if (rc == 0) {
        f->encode(element_parameters(&e, f), &rt);
        rc = copy_to_guest(at, &e, f->element) ? -EFAULT : 0;
    }
    return rc;
}

/* Of a long list a part may be done, which nr_vcpus then says: the caller goes on behind it. */
static long list_op(struct domain *d, const struct format *f, struct xen_domctl_scheduler_op *s)
{
    u64 at = (u64)s->u.v.vcpus.p;
    u32 done = 0;
    long rc = 0;

    while (done < s->u.v.nr_vcpus && rc == 0) {
        rc = vcpu_op(d, f, s->cmd, at + done * f->element);
        done++;
        if (done >= VCPUS_AT_ONCE && hypercall_should_yield()) {
            break;
        }
    }
    s->u.v.nr_vcpus = done;
    return rc;
}

/* Of a whole domain: those of its first vcpu, or the same for all. `at` is in the caller's union.
 */
static long rt_op(struct domain *d, const struct format *f, struct xen_domctl_scheduler_op *s,
                  void *at)
{
    struct sched_rt rt = { 0 };
    bool force;
    long rc;

    switch (s->cmd) {
    case XEN_DOMCTL_SCHEDOP_getinfo:
        rc = sched_rt_get(d->vcpu[0], &rt);
        if (rc == 0) {
            f->encode(at, &rt);
        }
        return rc;
    case XEN_DOMCTL_SCHEDOP_putinfo:
        f->decode(at, &rt, &force);
        return sched_rt_set_all(d, &rt, force);
    case XEN_DOMCTL_SCHEDOP_getvcpuinfo:
    case XEN_DOMCTL_SCHEDOP_putvcpuinfo:
        return list_op(d, f, s);
    default:
        return -EINVAL;
    }
}

long domctl_scheduler_op(struct domain *d, struct xen_domctl *op)
{
    struct xen_domctl_scheduler_op *s = &op->u.scheduler_op;
    void *at = (u8 *)&op->u + offsetof(struct xen_domctl_scheduler_op, u);

    if (s->sched_id != d->pool->ops->id) {
        return -EINVAL;
    }
    switch (s->sched_id) {
    case XEN_SCHEDULER_CREDIT:
        return credit_op(d, s);
    case XEN_SCHEDULER_RTDS:
        return rt_op(d, &rtds_format, s, at);
    case TARN_SCHEDULER_SEDF:
        return rt_op(d, &sedf_format, s, at);
    default:
        return 0;
    }
}
