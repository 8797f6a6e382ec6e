/* SPDX-License-Identifier: MIT */
/*
 * HYPERVISOR_domctl, what is about the vcpus of a domain: what they do, where they may run, and
 * their contexts. Every vcpu is there from the domain's creation on. A context is read and written
 * while the domain is paused, so that none of its vcpus looks. Lock: the domctl lock is held.
 */
#include <tarn/errno.h>
#include <tarn/guest_access.h>
#include <tarn/numa.h>
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

/* A builder clears the shared page (xl's does), and the guest asks for nothing before it reads. */
static void write_clock(struct domain *d)
{
    clock_init_domain(d);
    for (u32 i = 0; i < d->max_vcpus; i++) {
        clock_update(d->vcpu[i]);
    }
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
    if (v->id == 0) {
        write_clock(v->domain);
    }
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
int mask_from_guest(struct cpumask *m, const struct xenctl_bitmap *b)
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
    struct cpumask hard, soft;

    if (!affinity_ok(d, a)) {
        return -EINVAL;
    }
    sched_get_affinity(d->vcpu[a->vcpu], &hard, &soft);
    return put_affinity(a, &hard, &soft);
}

/* What is given back is what counts now: within the pool, and the soft one within the hard one.
 * With XEN_VCPUAFFINITY_FORCE an override ends, even if that is all that is asked for. */
long domctl_setvcpuaffinity(struct domain *d, struct xen_domctl *op)
{
    const struct xen_domctl_vcpuaffinity *a = &op->u.vcpuaffinity;
    bool is_hard = a->flags & XEN_VCPUAFFINITY_HARD, is_soft = a->flags & XEN_VCPUAFFINITY_SOFT;
    struct cpumask hard, soft;
    long rc;

    if (!affinity_ok(d, a)) {
        return -EINVAL;
    }
    if ((is_hard && mask_from_guest(&hard, &a->cpumap_hard)) ||
        (is_soft && mask_from_guest(&soft, &a->cpumap_soft))) {
        return -EFAULT;
    }
    if (!is_hard && !is_soft && !(a->flags & XEN_VCPUAFFINITY_FORCE)) {
        return 0;
    }
    rc = sched_ask_affinity(d->vcpu[a->vcpu], is_hard ? &hard : NULL, is_soft ? &soft : NULL,
                            a->flags & XEN_VCPUAFFINITY_FORCE);
    if (rc) {
        return rc;
    }
    d->vcpu[a->vcpu]->broken_told = false; /* the next time is news again */
    return put_affinity(a, &hard, &soft);
}

/* Those of the CPUs that its vcpus may use, or would rather use, as long as none were given. */
static void nodes_of_cpus(const struct domain *d, struct cpumask *nodes)
{
    for (u32 i = 0; i < d->max_vcpus; i++) {
        const struct sched_unit *u = &d->vcpu[i]->unit;

        cpumask_for_each(cpu, cpumask_empty(&u->soft) ? &u->hard : &u->soft) {
            cpumask_set(nodes, pool0.topology->cpu[cpu].node);
        }
    }
}

/* Memory is allocated without a look at nodes: what is given is only kept. */
long domctl_getnodeaffinity(struct domain *d, struct xen_domctl *op)
{
    struct cpumask nodes = { { d->nodes } };

    if (!d->nodes) {
        nodes_of_cpus(d, &nodes);
    }
    return mask_to_guest(&op->u.nodeaffinity.nodemap, &nodes);
}

long domctl_setnodeaffinity(struct domain *d, struct xen_domctl *op)
{
    u64 known = ~0UL >> (NR_NODES - numa->nr_nodes);
    struct cpumask nodes;

    if (mask_from_guest(&nodes, &op->u.nodeaffinity.nodemap)) {
        return -EFAULT;
    }
    if (!(nodes.bits[0] & known)) {
        return -EINVAL;
    }
    d->nodes = (nodes.bits[0] & known) == known ? 0 : nodes.bits[0] & known;
    return 0;
}
