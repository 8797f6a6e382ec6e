/* SPDX-License-Identifier: MIT */
/*
 * HYPERVISOR_sysctl: what the control domain asks of the machine as a whole. Here: the entry, the
 * list of domains, the console's ring, CPUs in and out of service, pools and their schedulers; what
 * only informs about the hardware is in sysctl_info.c. Takes no locks of its own: each thing asked
 * has its.
 */
#include <tarn/console.h>
#include <tarn/cpulist.h>
#include <tarn/debug_keys.h>
#include <tarn/domain.h>
#include <tarn/errno.h>
#include <tarn/guest_access.h>
#include <tarn/hypercall.h>
#include <tarn/pcpu.h>
#include <tarn/trace.h>

#include <xen/sysctl.h>

#include "domctl.h"

#define CHUNK 256u         /* bytes of the console copied at a time */
#define DEBUG_KEYS_MAX 64u /* in one call */

static long readconsole(struct xen_sysctl_readconsole *r)
{
    u64 pos = console_ring_start(r->incremental ? &r->index : NULL);
    u32 done = 0;

    while (done < r->count) {
        char buf[CHUNK];
        size_t n = console_ring_read(&pos, buf, MIN(r->count - done, CHUNK));

        if (n == 0) {
            break;
        }
        if (copy_to_guest((u64)(r->buffer.p + done), buf, n)) {
            return -EFAULT;
        }
        done += (u32)n;
    }
    if (r->clear) {
        console_ring_clear(pos);
    }
    r->index = (u32)pos;
    r->count = done;
    return 0;
}

static long getdomaininfolist(struct xen_sysctl_getdomaininfolist *l)
{
    u32 from = l->first_domain, n = 0;
    struct domain *d;

    for (; n < l->max_domains && (d = domain_get_from(from)); n++) {
        struct xen_domctl_getdomaininfo info = { 0 };

        from = d->domid + 1u;
        domain_info(d, &info);
        domain_put(d);
        if (copy_to_guest((u64)(l->buffer.p + n), &info, sizeof(info))) {
            return -EFAULT;
        }
    }
    l->num_domains = n;
    return 0;
}

static long keys(const struct xen_sysctl_debug_keys *k)
{
    if (k->nr_keys > DEBUG_KEYS_MAX) {
        return -E2BIG;
    }
    for (u32 i = 0; i < k->nr_keys; i++) {
        u8 key;

        if (copy_from_guest(&key, (u64)(k->keys.p + i), 1)) {
            return -EFAULT;
        }
        debug_keys(key);
    }
    return 0;
}

/* ---- CPUs ---- */

/* True when that is news. */
static bool tell_broken(const struct domain *d, struct vcpu *v)
{
    bool broken = READ_ONCE(v->affinity_broken), news = broken != v->broken_told;
    char name[DOMAIN_NAME_MAX], cpus[64];

    v->broken_told = broken;
    if (news && broken) {
        pool_get_name(d->pool, name);
        cpulist_format(cpus, sizeof(cpus), &v->hard_given, nr_pcpus);
        log_warning("d%uv%u: affinity %s has no CPU in %s: runs on all of it", d->domid, v->id,
                    cpus, name);
    }
    return news;
}

static bool tell_all_broken(void)
{
    struct domain *d;
    bool news = false;

    for (u32 id = 0; (d = domain_get_from(id)); domain_put(d)) {
        id = d->domid + 1u;
        for (u32 i = 0; i < d->max_vcpus; i++) {
            news |= tell_broken(d, d->vcpu[i]);
        }
    }
    return news;
}

/* CPUs come and go: what that does to vcpus is told, and the control domain hears that it is so. */
static long cpus_changed(long rc)
{
    bool news = (rc == 0 || rc == -ERESTART) && tell_all_broken();

    if (rc == 0 || news) {
        control_send_virq(VIRQ_PCPU_STATE);
    }
    return rc;
}

long cpu_service(u32 cpu, bool online)
{
    return cpus_changed(online ? sched_cpu_online(cpu) : sched_cpu_offline(cpu));
}

static long cpu_hotplug(const struct xen_sysctl_cpu_hotplug *h)
{
    switch (h->op) {
    case XEN_SYSCTL_CPU_HOTPLUG_ONLINE:
        return cpu_service(h->cpu, true);
    case XEN_SYSCTL_CPU_HOTPLUG_OFFLINE:
        return cpu_service(h->cpu, false);
    default:
        return -EOPNOTSUPP;
    }
}

/* ---- Pools ---- */

/* The pool with that id, or the next one after it. */
static long pool_info(struct xen_sysctl_cpupool_op *o)
{
    struct sched_pool *p = pool_get_from(o->cpupool_id);
    struct cpumask cpus;

    if (!p) {
        return -ENOENT;
    }
    o->cpupool_id = p->id;
    o->sched_id = p->ops->id;
    pool_look(p, &cpus, &o->n_dom);
    pool_put(p);
    return mask_to_guest(&o->cpumap, &cpus);
}

static long pool_free_info(struct xen_sysctl_cpupool_op *o)
{
    struct cpumask free;

    pool_free_cpus(&free);
    return mask_to_guest(&o->cpumap, &free);
}

/* It goes with what it could not take along. */
static void tell_moved(const struct domain *d, const struct sched_pool *to)
{
    char name[DOMAIN_NAME_MAX];

    for (u32 i = 0; i < d->max_vcpus; i++) {
        if (d->vcpu[i]->rt_refused) {
            pool_get_name(to, name);
            log_warning("d%uv%u: %s can't keep what it had under %s: gets the default", d->domid, i,
                        name, to->ops->name);
        }
    }
}

/* The caller's own can't be paused. */
static long tree_may_move(const struct domain *top)
{
    for (const struct domain *d = top; d; d = sched_group_next(top, d)) {
        if (d == current->domain) {
            return -EPERM;
        }
    }
    return top->sched.master ? -EBUSY : 0;
}

/* With all that are below it, which stay so until all of them are there. */
static long move_tree(struct domain *top, struct sched_pool *to)
{
    long rc;

    sched_groups_lock();
    rc = tree_may_move(top);
    if (rc == 0) {
        for (struct domain *d = top; d; d = sched_group_next(top, d)) {
            domain_pause(d);
        }
        rc = sched_domain_move(top, to);
        for (struct domain *d = top; d; d = sched_group_next(top, d)) {
            domain_unpause(d);
            if (rc == 0) {
                tell_moved(d, to);
            }
        }
    }
    sched_groups_unlock();
    return rc;
}

static long move_domain(struct domain *d, u32 id)
{
    struct sched_pool *to;
    long rc;

    if (d == current->domain) {
        return -EPERM;
    }
    if (d->pool->id == id) {
        return 0;
    }
    if (d->dying != DOMAIN_ALIVE) {
        return -EINVAL;
    }
    to = pool_get(id);
    if (!to) {
        return -ENOENT;
    }
    rc = move_tree(d, to);
    if (rc == 0) {
        (void)cpus_changed(0);
    }
    pool_put(to);
    return rc;
}

static long pool_move(const struct xen_sysctl_cpupool_op *o)
{
    domid_t domid = (domid_t)o->domid;
    struct domain *d = domid < DOMID_FIRST_RESERVED ? domain_get_by_id(domid) : NULL;
    long rc = d ? move_domain(d, o->cpupool_id) : -ESRCH;

    if (d) {
        domain_put(d);
    }
    return rc;
}

/* Any CPU is the last; which one that is the caller finds in place of that when it asks again. */
static long pool_remove_cpu(struct xen_sysctl_cpupool_op *o)
{
    bool any = o->cpu == XEN_SYSCTL_CPUPOOL_PAR_ANY;
    long rc;

    do {
        rc = any ? pool_last_cpu(o->cpupool_id, &o->cpu) : 0;
        rc = rc ? rc : pool_take_cpu(o->cpupool_id, o->cpu);
    } while (any && rc == -EADDRNOTAVAIL);
    return rc;
}

static long cpupool_op(struct xen_sysctl_cpupool_op *o)
{
    switch (o->op) {
    case XEN_SYSCTL_CPUPOOL_OP_CREATE:
        return pool_create(&o->cpupool_id, o->sched_id);
    case XEN_SYSCTL_CPUPOOL_OP_DESTROY:
        return pool_destroy(o->cpupool_id);
    case XEN_SYSCTL_CPUPOOL_OP_INFO:
        return pool_info(o);
    case XEN_SYSCTL_CPUPOOL_OP_ADDCPU:
        return cpus_changed(pool_give_cpu(o->cpupool_id, o->cpu));
    case XEN_SYSCTL_CPUPOOL_OP_RMCPU:
        return cpus_changed(pool_remove_cpu(o));
    case XEN_SYSCTL_CPUPOOL_OP_MOVEDOMAIN:
        return pool_move(o);
    case XEN_SYSCTL_CPUPOOL_OP_FREEINFO:
        return pool_free_info(o);
    default:
        return -ENOSYS;
    }
}

static long credit_params(struct sched_pool *p, u32 cmd, struct xen_sysctl_credit_schedule *c)
{
    struct sched_params params;
    long rc = 0;

    if (cmd == XEN_SYSCTL_SCHEDOP_putinfo) {
        if (c->tslice_ms > XEN_SYSCTL_CSCHED_TSLICE_MAX) {
            return -EINVAL;
        }
        params = (struct sched_params){ c->tslice_ms * 1000, c->ratelimit_us, c->vcpu_migr_delay_us,
                                        0 };
        rc = sched_params_set(p, &params);
    }
    sched_params_get(p, &params);
    if (rc == 0) {
        *c = (struct xen_sysctl_credit_schedule){ params.tslice_us / 1000, params.ratelimit_us,
                                                  params.migr_delay_us };
    }
    return rc;
}

static long scheduler_op(struct xen_sysctl_scheduler_op *o)
{
    struct sched_pool *p;
    long rc = -EINVAL;

    if (o->cmd != XEN_SYSCTL_SCHEDOP_putinfo && o->cmd != XEN_SYSCTL_SCHEDOP_getinfo) {
        return -EINVAL;
    }
    p = pool_get(o->cpupool_id);
    if (!p) {
        return -ESRCH;
    }
    if (o->sched_id == p->ops->id) { /* others have no parameters of that kind */
        rc = o->sched_id == XEN_SCHEDULER_CREDIT ? credit_params(p, o->cmd, &o->u.sched_credit) : 0;
    }
    pool_put(p);
    return rc;
}

/* What is not offered; the answer is that of a Xen that was built without. */
static long not_offered(u32 cmd)
{
    switch (cmd) {
    case XEN_SYSCTL_get_pmstat:
    case XEN_SYSCTL_psr_cmt_op:
    case XEN_SYSCTL_psr_alloc:
        return -ENODEV;
    case XEN_SYSCTL_page_offline_op:
    case XEN_SYSCTL_coverage_op:
        return -EOPNOTSUPP;
    default:
        return -ENOSYS;
    }
}

static long dispatch(struct xen_sysctl *op)
{
    switch (op->cmd) {
    case XEN_SYSCTL_readconsole:
        return readconsole(&op->u.readconsole);
    case XEN_SYSCTL_sched_id:
        op->u.sched_id.sched_id = pool0.ops->id;
        return 0;
    case XEN_SYSCTL_getdomaininfolist:
        return getdomaininfolist(&op->u.getdomaininfolist);
    case XEN_SYSCTL_debug_keys:
        return keys(&op->u.debug_keys);
    case XEN_SYSCTL_cpu_hotplug:
        return cpu_hotplug(&op->u.cpu_hotplug);
    case XEN_SYSCTL_cpupool_op:
        return cpupool_op(&op->u.cpupool_op);
    case XEN_SYSCTL_scheduler_op:
        return scheduler_op(&op->u.scheduler_op);
    case XEN_SYSCTL_tbuf_op:
        return tbuf_op(&op->u.tbuf_op);
    case XEN_SYSCTL_get_cpu_levelling_caps:
        op->u.cpu_levelling_caps.caps = 0;
        return 0;
    case XEN_SYSCTL_physinfo:
    case XEN_SYSCTL_cputopoinfo:
    case XEN_SYSCTL_pcitopoinfo:
    case XEN_SYSCTL_numainfo:
    case XEN_SYSCTL_get_cpu_featureset:
    case XEN_SYSCTL_get_cpu_policy:
    case XEN_SYSCTL_getcpuinfo:
    case XEN_SYSCTL_availheap:
        return sysctl_info(op);
    default:
        return not_offered(op->cmd);
    }
}

long do_sysctl(u64 arg)
{
    struct xen_sysctl op;
    long rc;

    if (copy_from_guest(&op, arg, sizeof(op))) {
        return -EFAULT;
    }
    if (op.interface_version != XEN_SYSCTL_INTERFACE_VERSION) {
        return -EACCES;
    }
    if (!current->domain->privileged) {
        return -EPERM;
    }
    rc = dispatch(&op);
    if ((rc == 0 || rc == -ERESTART) && copy_to_guest(arg, &op, sizeof(op))) {
        return -EFAULT;
    }
    return rc == -ERESTART ? hypercall_continue(__HYPERVISOR_sysctl, arg, 0, 0, 0) : rc;
}
