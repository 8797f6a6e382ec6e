/* SPDX-License-Identifier: MIT */
/*
 * HYPERVISOR_domctl, what is about the vcpus of a domain: what they do, where they may run, and
 * their contexts. Every vcpu is there from the domain's creation on. A context is read and written
 * while the domain is paused, so that none of its vcpus looks. Lock: the domctl lock is held.
 */
#include <tarn/errno.h>
#include <tarn/guest_access.h>
#include <tarn/page.h>
#include <tarn/pcpu.h>
#include <tarn/softirq.h>
#include <x86/frames.h>
#include <x86/paging.h>

#include "domctl.h"

/* A caller's buffer may be larger than what we fill, to a point. */
#define BITMAP_BYTES_MAX PAGE_SIZE

static struct vcpu *vcpu_find(const struct domain *d, u32 id)
{
    return id < d->max_vcpus ? d->vcpu[id] : NULL;
}

/* The vcpus came with the domain: asking for them only checks. */
long domctl_max_vcpus(struct domain *d, struct xen_domctl *op)
{
    return d == current->domain || op->u.max_vcpus.max != d->max_vcpus ? -EINVAL : 0;
}

long domctl_getvcpuinfo(struct domain *d, struct xen_domctl *op)
{
    struct xen_domctl_getvcpuinfo *i = &op->u.getvcpuinfo;
    struct vcpu *v = vcpu_find(d, i->vcpu);
    struct vcpu_runstate_info r;

    if (!v) {
        return -EINVAL;
    }
    vcpu_runstate_get(v, &r);
    i->online = !(READ_ONCE(v->pause_flags) & VPF_DOWN);
    i->blocked = (READ_ONCE(v->pause_flags) & VPF_BLOCKED) != 0;
    i->running = READ_ONCE(v->unit.running);
    i->cpu_time = r.time[RUNSTATE_running];
    i->cpu = READ_ONCE(v->unit.cpu);
    return 0;
}

long domctl_sendtrigger(struct domain *d, struct xen_domctl *op)
{
    struct vcpu *v = vcpu_find(d, op->u.sendtrigger.vcpu);

    if (!v) {
        return -ESRCH;
    }
    if (op->u.sendtrigger.trigger > XEN_DOMCTL_SENDTRIGGER_SLEEP) {
        return -ENOSYS;
    }
    if (op->u.sendtrigger.trigger != XEN_DOMCTL_SENDTRIGGER_NMI) {
        return -EINVAL; /* the others are for machines with firmware */
    }
    atomic_store(&v->nmi_pending, true);
    vcpu_kick(v);
    softirq_raise_self(SOFTIRQ_EVENT); /* it may be for ourselves */
    return 0;
}

/* ---- Contexts ---- */

long domctl_getvcpucontext(struct domain *d, struct xen_domctl *op)
{
    struct vcpu *v = vcpu_find(d, op->u.vcpucontext.vcpu);
    struct vcpu_guest_context *c;
    long rc = 0;

    if (!v || d == current->domain) { /* which can't be paused */
        return -EINVAL;
    }
    if (!v->initialised) {
        return -ENODATA;
    }
    c = pages_alloc(1);
    if (!c) {
        return -ENOMEM;
    }
    domain_pause(d);
    arch_vcpu_get_context(v, c);
    c->flags |= READ_ONCE(v->pause_flags) & VPF_DOWN ? 0 : VGCF_online;
    domain_unpause(d);
    if (copy_to_guest((u64)op->u.vcpucontext.ctxt.p, c, sizeof(*c))) {
        rc = -EFAULT;
    }
    pages_free(c, 1);
    return rc;
}

/* Down and without a context, as it was made; its domain is paused. May be done again. */
static long reset(struct vcpu *v)
{
    atomic_fetch_or(&v->pause_flags, VPF_DOWN);
    atomic_fetch_and(&v->pause_flags, ~VPF_BLOCKED);
    evtchn_poll_end(v);
    timer_stop(&v->poll_timer);
    timer_stop(&v->oneshot);
    v->initialised = false;
    domain_unload(v->domain);
    atomic_store(&v->info, v->first_info);
    tlb_flush_mask(&cpu_online_map); /* then nobody still writes to the old place */
    arch_vcpu_relinquish(v);
    tlb_flush_mask(&cpu_online_map); /* its window shows other descriptors from now on */
    return mmu_settle(v->domain) ? 0 : -ERESTART;
}

static long take_context(struct vcpu *v, const struct vcpu_guest_context *c)
{
    int rc = arch_vcpu_set_context(v, c);

    if (rc) {
        if (rc != -ERESTART) { /* else it goes on from the tables that are done */
            (void)mmu_settle(v->domain);
        }
        return rc;
    }
    v->initialised = true;
    if (c->flags & VGCF_online) {
        vcpu_up(v);
    } else {
        atomic_fetch_or(&v->pause_flags, VPF_DOWN);
    }
    return 0;
}

static long copy_context(struct vcpu *v, u64 from)
{
    struct vcpu_guest_context *c = pages_alloc(1);
    long rc = -EFAULT;

    if (!c) {
        return -ENOMEM;
    }
    if (copy_from_guest(c, from, sizeof(*c)) == 0) {
        domain_pause(v->domain);
        rc = take_context(v, c);
        domain_unpause(v->domain);
    }
    pages_free(c, 1);
    return rc;
}

long domctl_setvcpucontext(struct domain *d, struct xen_domctl *op)
{
    struct vcpu *v = vcpu_find(d, op->u.vcpucontext.vcpu);
    u64 from = (u64)op->u.vcpucontext.ctxt.p;
    long rc;

    if (!v || d == current->domain || d->dying) {
        return -EINVAL;
    }
    if (from) {
        return copy_context(v, from);
    }
    domain_pause(d);
    rc = reset(v);
    domain_unpause(d);
    return rc;
}

/* ---- Affinity ---- */

/* Both are of CPUs or nodes, and not more of these than CPUs. Bits that the caller doesn't give are
 * 0. */
static int mask_from_guest(struct cpumask *m, const struct xenctl_bitmap *b)
{
    u64 bytes = MIN(DIV_ROUND_UP((u64)b->nr_bits, 8u), (u64)sizeof(m->bits));

    cpumask_clear_all(m);
    if (copy_from_guest(m->bits, (u64)b->bitmap.p, bytes)) {
        return -EFAULT;
    }
    for (u32 cpu = MIN(b->nr_bits, nr_pcpus); cpu < NR_CPUS; cpu++) {
        cpumask_clear(m, cpu);
    }
    return 0;
}

/* What the caller has room for; bits of what there is not are 0. */
int mask_to_guest(const struct xenctl_bitmap *b, const struct cpumask *m)
{
    u32 bytes = (u32)DIV_ROUND_UP((u64)b->nr_bits, 8u);
    struct cpumask out = *m;

    if (bytes > BITMAP_BYTES_MAX) {
        return -EINVAL;
    }
    for (u32 cpu = nr_pcpus; cpu < NR_CPUS; cpu++) {
        cpumask_clear(&out, cpu);
    }
    for (u32 at = 0; at < bytes; at += (u32)sizeof(out.bits)) {
        u32 n = MIN(bytes - at, (u32)sizeof(out.bits));

        if (copy_to_guest((u64)b->bitmap.p + at, out.bits, n)) {
            return -EFAULT;
        }
        cpumask_clear_all(&out);
    }
    return 0;
}

static bool affinity_ok(const struct domain *d, const struct xen_domctl_vcpuaffinity *a)
{
    return a->flags && vcpu_find(d, a->vcpu) &&
           (!(a->flags & XEN_VCPUAFFINITY_HARD) || a->cpumap_hard.bitmap.p) &&
           (!(a->flags & XEN_VCPUAFFINITY_SOFT) || a->cpumap_soft.bitmap.p);
}

static int put_affinity(const struct xen_domctl_vcpuaffinity *a, const struct cpumask *hard,
                        const struct cpumask *soft)
{
    int rc = 0;

    if (a->flags & XEN_VCPUAFFINITY_HARD) {
        rc = mask_to_guest(&a->cpumap_hard, hard);
    }
    if (rc == 0 && (a->flags & XEN_VCPUAFFINITY_SOFT)) {
        rc = mask_to_guest(&a->cpumap_soft, soft);
    }
    return rc;
}

long domctl_getvcpuaffinity(struct domain *d, struct xen_domctl *op)
{
    const struct xen_domctl_vcpuaffinity *a = &op->u.vcpuaffinity;

    if (!affinity_ok(d, a)) {
        return -EINVAL;
    }
    return put_affinity(a, &d->vcpu[a->vcpu]->hard_given, &d->vcpu[a->vcpu]->soft_given);
}

/* What is given back is what counts now: within the pool, and the soft one within the hard one. */
long domctl_setvcpuaffinity(struct domain *d, struct xen_domctl *op)
{
    const struct xen_domctl_vcpuaffinity *a = &op->u.vcpuaffinity;
    struct cpumask hard, soft;
    struct vcpu *v;

    if (!affinity_ok(d, a)) {
        return -EINVAL;
    }
    v = d->vcpu[a->vcpu];
    hard = v->hard_given;
    soft = v->soft_given;
    if (((a->flags & XEN_VCPUAFFINITY_HARD) && mask_from_guest(&hard, &a->cpumap_hard)) ||
        ((a->flags & XEN_VCPUAFFINITY_SOFT) && mask_from_guest(&soft, &a->cpumap_soft))) {
        return -EFAULT;
    }
    if ((a->flags & XEN_VCPUAFFINITY_HARD) && !cpumask_intersects(&hard, &d->pool->cpus)) {
        return -EINVAL;
    }
    sched_set_affinity(v, &hard, &soft);
    hard = cpumask_and(&hard, &d->pool->cpus);
    soft = cpumask_and(&soft, &hard);
    return put_affinity(a, &hard, &soft);
}

/* All memory is one node, as numainfo says. */
long domctl_getnodeaffinity(struct domain *d, struct xen_domctl *op)
{
    const struct cpumask node0 = { { 1 } };

    (void)d;
    return mask_to_guest(&op->u.nodeaffinity.nodemap, &node0);
}

long domctl_setnodeaffinity(struct domain *d, struct xen_domctl *op)
{
    struct cpumask nodes;

    (void)d;
    if (mask_from_guest(&nodes, &op->u.nodeaffinity.nodemap)) {
        return -EFAULT;
    }
    return cpumask_test(&nodes, 0) ? 0 : -EINVAL;
}
