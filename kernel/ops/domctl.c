/* SPDX-License-Identifier: MIT */
/*
 * HYPERVISOR_domctl: the control domain makes, looks at, changes and destroys domains. Here are the
 * entry, the table of operations, and those about a whole domain; domctl_vcpu.c and domctl_sched.c
 * have the rest. One call runs at a time (the domctl lock, taken without waiting: who doesn't get
 * it gives way and comes again).
 */
#include <tarn/console.h>
#include <tarn/errno.h>
#include <tarn/guest_access.h>
#include <tarn/hypercall.h>
#include <tarn/options.h>
#include <tarn/page.h>
#include <tarn/pcpu.h>
#include <x86/cpufeature.h>
#include <x86/frames.h>

#include "domctl.h"
#include <public/tarn.h>

#define PAGES_PER_INFO 1024u

static struct spinlock domctl_lock = SPINLOCK_INIT(RANK_DOMAIN); /* one call at a time */

/* ---- Life ---- */

static bool emulation_ok(u32 flags)
{
    return flags == 0 || flags == XEN_X86_EMU_PIT;
}

/* Tracing and an IOMMU are not there, so what is asked of them is only checked, and grant tables
 * are of version 1 whatever the highest is that may be. */
static long create_check(const struct xen_domctl_createdomain *c)
{
    u32 grant_version = XEN_DOMCTL_GRANT_version(c->grant_opts);

    if ((c->flags & ~(XEN_DOMCTL_CDF_oos_off | XEN_DOMCTL_CDF_xs_domain)) || c->iommu_opts ||
        c->vmtrace_size || c->max_vcpus == 0 || c->max_vcpus > MAX_VCPUS ||
        c->grant_opts > XEN_DOMCTL_GRANT_version_mask || grant_version == 0 || grant_version > 2 ||
        c->max_grant_frames == 0 || c->max_grant_frames > (s32)opt.gnttab_max_frames ||
        c->max_maptrack_frames > (s32)opt.gnttab_max_maptrack_frames ||
        (c->arch.emulation_flags & ~XEN_X86_EMU_ALL) ||
        (c->arch.misc_flags & ~XEN_X86_MISC_FLAGS_MAX)) {
        return -EINVAL;
    }
    if (!emulation_ok(c->arch.emulation_flags)) {
        return -EOPNOTSUPP;
    }
    return 0;
}

static long op_createdomain(struct domain *none, struct xen_domctl *op)
{
    const struct xen_domctl_createdomain *c = &op->u.createdomain;
    domid_t domid = op->domain;
    char name[DOMAIN_NAME_MAX];
    struct sched_pool *pool;
    struct domain *d;
    int rc;

    (void)none;
    if (domid == 0 || domid >= DOMID_FIRST_RESERVED) {
        domid = domain_free_id();
        if (domid == DOMID_INVALID) {
            return -ENOMEM;
        }
    } else if ((d = domain_get_by_id(domid))) {
        domain_put(d);
        return -EEXIST;
    }
    rc = (int)create_check(c);
    if (rc) {
        return rc;
    }
    pool = pool_get(c->cpupool_id);
    if (!pool) {
        return -ESRCH;
    }
    fmt_snprintf(name, sizeof(name), "domain-%u", domid);
    d = domain_create(domid, name, c->max_vcpus, pool, SCHED_DEFAULT_WEIGHT, 0, &rc);
    pool_put(pool);
    if (!d) {
        return rc;
    }
    memcpy(d->handle, c->handle, sizeof(d->handle));
    grant_table_limit(&d->grants, c->max_grant_frames, c->max_maptrack_frames);
    d->evtchn.max_port = MIN(c->max_evtchn_port, EVTCHN_PORTS - 1);
    op->domain = domid;
    return 0;
}

static long op_destroydomain(struct domain *d, struct xen_domctl *op)
{
    (void)op;
    return domain_destroy(d);
}

static long op_pausedomain(struct domain *d, struct xen_domctl *op)
{
    (void)op;
    return domain_control_pause(d);
}

static long op_unpausedomain(struct domain *d, struct xen_domctl *op)
{
    (void)op;
    return domain_control_unpause(d);
}

static long op_resumedomain(struct domain *d, struct xen_domctl *op)
{
    (void)op;
    if (d == current->domain) {
        return -EINVAL;
    }
    domain_resume(d);
    return 0;
}

/* ---- What it is ---- */

/* What its vcpus do: XEN_DOMINF_running if one runs, blocked if all that are up are. */
static u32 vcpus_info(struct domain *d, struct xen_domctl_getdomaininfo *info)
{
    u32 flags = XEN_DOMINF_blocked;

    for (u32 i = 0; i < d->max_vcpus; i++) {
        struct vcpu *v = d->vcpu[i];
        u32 pause_flags = READ_ONCE(v->pause_flags);
        struct vcpu_runstate_info r;

        vcpu_runstate_get(v, &r);
        info->cpu_time += r.time[RUNSTATE_running];
        if (pause_flags & VPF_DOWN) {
            continue;
        }
        info->nr_online_vcpus++;
        flags &= pause_flags & VPF_BLOCKED ? ~0u : ~XEN_DOMINF_blocked;
        flags |= READ_ONCE(v->unit.running) ? XEN_DOMINF_running : 0;
    }
    return info->nr_online_vcpus ? flags : 0;
}

void domain_info(struct domain *d, struct xen_domctl_getdomaininfo *info)
{
    memset(info, 0, sizeof(*info));
    info->domain = d->domid;
    info->flags = vcpus_info(d, info);
    info->flags |= d->dying == DOMAIN_DEAD ? XEN_DOMINF_dying : 0;
    info->max_vcpu_id = d->max_vcpus - 1;
    spin_lock(&d->lock);
    info->flags |= d->control_pauses ? XEN_DOMINF_paused : 0;
    info->flags |= d->is_shut_down ? XEN_DOMINF_shutdown : 0;
    info->flags |= (u32)d->shutdown_code << XEN_DOMINF_shutdownshift;
    spin_unlock(&d->lock);
    spin_lock(&d->page_lock);
    info->tot_pages = d->tot_pages;
    info->max_pages = d->max_pages;
    spin_unlock(&d->page_lock);
    info->shared_info_frame = d->shared_mfn.n;
    memcpy(info->handle, d->handle, sizeof(info->handle));
    info->cpupool = d->pool->id;
    info->gpaddr_bits = (u8)cpu_features.phys_bits;
}

/* Of the first domain from this number on: xenconsoled finds all of them so. */
static long op_getdomaininfo(struct domain *d, struct xen_domctl *op)
{
    domain_info(d, &op->u.getdomaininfo);
    op->domain = d->domid;
    return 0;
}

static long op_setdomainhandle(struct domain *d, struct xen_domctl *op)
{
    memcpy(d->handle, op->u.setdomainhandle.handle, sizeof(d->handle));
    return 0;
}

/* It may have more than that already, and gets no more then. */
static long op_max_mem(struct domain *d, struct xen_domctl *op)
{
    u64 pages = op->u.max_mem.max_memkb / (PAGE_SIZE / 1024);

    spin_lock(&d->page_lock);
    d->max_pages = (u32)MIN(pages, (u64)~0u);
    spin_unlock(&d->page_lock);
    return 0;
}

/* ---- What a builder and a restorer need ---- */

static long op_hypercall_init(struct domain *d, struct xen_domctl *op)
{
    mfn_t mfn = MFN(op->u.hypercall_init.gmfn);
    int rc;

    mmu_lock(d);
    rc = frame_get_and_type(mfn, FT_WRITABLE, d);
    if (rc == 0) {
        hypercall_page_fill(mfn_to_virt(mfn));
        frame_put_and_type(mfn, d);
    }
    mmu_unlock(d);
    return rc ? -EINVAL : 0;
}

static u64 page_info(struct domain *d, mfn_t mfn)
{
    const struct frame *f = mfn_to_frame(mfn);
    u64 info;

    if (frame_get(mfn, d)) {
        return XEN_DOMCTL_PFINFO_XTAB;
    }
    info = (u64)table_level(f) << XEN_DOMCTL_PFINFO_LTAB_SHIFT;
    info |= READ_ONCE(f->type) & FT_PINNED ? XEN_DOMCTL_PFINFO_LPINTAB : 0;
    frame_put(mfn);
    return info;
}

static long op_getpageframeinfo3(struct domain *d, struct xen_domctl *op)
{
    u64 at = (u64)op->u.getpageframeinfo3.array.p, num = op->u.getpageframeinfo3.num;

    if (num > PAGES_PER_INFO) {
        return -E2BIG;
    }
    for (u64 i = 0; i < num; i++, at += sizeof(u64)) {
        u64 entry;

        if (copy_from_guest(&entry, at, sizeof(entry))) {
            return -EFAULT;
        }
        entry = page_info(d, MFN(entry));
        if (copy_to_guest(at, &entry, sizeof(entry))) {
            return -EFAULT;
        }
    }
    return 0;
}

static long op_get_address_size(struct domain *d, struct xen_domctl *op)
{
    (void)d;
    op->u.address_size.size = 64;
    return 0;
}

static long op_set_address_size(struct domain *d, struct xen_domctl *op)
{
    (void)d;
    switch (op->u.address_size.size) {
    case 64:
        return 0;
    case 32:
        return -EOPNOTSUPP;
    default:
        return -EINVAL;
    }
}

/* There is one wall clock for all. */
static long op_settimeoffset(struct domain *d, struct xen_domctl *op)
{
    (void)d;
    return op->u.settimeoffset.time_offset_seconds ? -EOPNOTSUPP : 0;
}

/* The TSC is the hardware's. */
static long op_gettscinfo(struct domain *d, struct xen_domctl *op)
{
    if (d == current->domain) {
        return -EINVAL;
    }
    memset(&op->u.tsc_info, 0, sizeof(op->u.tsc_info));
    op->u.tsc_info.incarnation = 1;
    return 0;
}

static long op_settscinfo(struct domain *d, struct xen_domctl *op)
{
    switch (op->u.tsc_info.tsc_mode) {
    case 0: /* whatever fits */
    case 2: /* never emulated */
        return d == current->domain ? -EINVAL : 0;
    case 1: /* always emulated */
        return -EOPNOTSUPP;
    default:
        return -EINVAL;
    }
}

static long op_get_cpu_policy(struct domain *d, struct xen_domctl *op)
{
    struct xen_domctl_cpu_policy *p = &op->u.cpu_policy;

    (void)d;
    p->nr_msrs = 0;
    return cpu_policy_get((u64)p->leaves.p, &p->nr_leaves);
}

static long op_set_cpu_policy(struct domain *d, struct xen_domctl *op)
{
    (void)d;
    return cpu_policy_set((u64)op->u.cpu_policy.leaves.p, op->u.cpu_policy.nr_leaves);
}

/* Nobody has access to hardware that could be passed on. */
static long op_irq_permission(struct domain *d, struct xen_domctl *op)
{
    (void)d;
    return op->u.irq_permission.pirq >= EVTCHN_2L_PORTS ? -EINVAL : -EPERM;
}

static long op_iomem_permission(struct domain *d, struct xen_domctl *op)
{
    u64 first = op->u.iomem_permission.first_mfn;

    (void)d;
    return first + op->u.iomem_permission.nr_mfns - 1 < first ? -EINVAL : -EPERM;
}

static long op_ioport_permission(struct domain *d, struct xen_domctl *op)
{
    u64 first = op->u.ioport_permission.first_port, count = op->u.ioport_permission.nr_ports;

    (void)d;
    return count == 0 || first + count > 65536 ? -EINVAL : -EPERM;
}

static long op_setdebugging(struct domain *d, struct xen_domctl *op)
{
    if (d == current->domain) {
        return -EINVAL;
    }
    return op->u.setdebugging.enable ? -EOPNOTSUPP : 0;
}

/* Global VIRQs go to the control domain. */
static long op_set_virq_handler(struct domain *d, struct xen_domctl *op)
{
    u32 virq = op->u.set_virq_handler.virq;

    if (virq >= NR_VIRQS || !virq_is_global(virq)) {
        return -EINVAL;
    }
    return d->privileged ? 0 : -EOPNOTSUPP;
}

/* ---- The call ---- */

/* An operation; without `run` what is refused, and how. */
static const struct domctl_op {
    domctl_fn *run;
    s16 error;
    bool no_domain; /* it takes none */
    bool results;   /* the structure goes back to the caller */
} operations[] = {
    [XEN_DOMCTL_createdomain] = { .run = op_createdomain, .no_domain = true, .results = true },
    [XEN_DOMCTL_destroydomain] = { .run = op_destroydomain },
    [XEN_DOMCTL_pausedomain] = { .run = op_pausedomain },
    [XEN_DOMCTL_unpausedomain] = { .run = op_unpausedomain },
    [XEN_DOMCTL_resumedomain] = { .run = op_resumedomain },
    [XEN_DOMCTL_getdomaininfo] = { .run = op_getdomaininfo, .results = true },
    [XEN_DOMCTL_setdomainhandle] = { .run = op_setdomainhandle },
    [XEN_DOMCTL_max_mem] = { .run = op_max_mem },
    [XEN_DOMCTL_scheduler_op] = { .run = domctl_scheduler_op, .results = true },
    [XEN_DOMCTL_getnodeaffinity] = { .run = domctl_getnodeaffinity },
    [XEN_DOMCTL_setnodeaffinity] = { .run = domctl_setnodeaffinity },
    [XEN_DOMCTL_hypercall_init] = { .run = op_hypercall_init },
    [XEN_DOMCTL_getpageframeinfo3] = { .run = op_getpageframeinfo3 },
    [XEN_DOMCTL_get_address_size] = { .run = op_get_address_size, .results = true },
    [XEN_DOMCTL_set_address_size] = { .run = op_set_address_size },
    [XEN_DOMCTL_settimeoffset] = { .run = op_settimeoffset },
    [XEN_DOMCTL_gettscinfo] = { .run = op_gettscinfo, .results = true },
    [XEN_DOMCTL_settscinfo] = { .run = op_settscinfo },
    [XEN_DOMCTL_irq_permission] = { .run = op_irq_permission },
    [XEN_DOMCTL_iomem_permission] = { .run = op_iomem_permission },
    [XEN_DOMCTL_ioport_permission] = { .run = op_ioport_permission },
    [XEN_DOMCTL_setdebugging] = { .run = op_setdebugging },
    [XEN_DOMCTL_set_virq_handler] = { .run = op_set_virq_handler },
    [XEN_DOMCTL_set_cpu_policy] = { .run = op_set_cpu_policy },
    [XEN_DOMCTL_get_cpu_policy] = { .run = op_get_cpu_policy, .results = true },
    [XEN_DOMCTL_max_vcpus] = { .run = domctl_max_vcpus },
    [XEN_DOMCTL_getvcpuinfo] = { .run = domctl_getvcpuinfo, .results = true },
    [XEN_DOMCTL_getvcpucontext] = { .run = domctl_getvcpucontext },
    [XEN_DOMCTL_setvcpucontext] = { .run = domctl_setvcpucontext },
    [XEN_DOMCTL_getvcpuaffinity] = { .run = domctl_getvcpuaffinity },
    [XEN_DOMCTL_setvcpuaffinity] = { .run = domctl_setvcpuaffinity },
    [XEN_DOMCTL_sendtrigger] = { .run = domctl_sendtrigger },
    /* For domains with hardware help, or with devices */
    [XEN_DOMCTL_shadow_op] = { .error = EINVAL },
    [XEN_DOMCTL_gethvmcontext] = { .error = EINVAL },
    [XEN_DOMCTL_sethvmcontext] = { .error = EINVAL },
    [XEN_DOMCTL_gethvmcontext_partial] = { .error = EINVAL },
    [XEN_DOMCTL_memory_mapping] = { .error = EINVAL },
    [XEN_DOMCTL_bind_pt_irq] = { .error = EINVAL },
    [XEN_DOMCTL_unbind_pt_irq] = { .error = EINVAL },
    [XEN_DOMCTL_debug_op] = { .error = EINVAL },
    [XEN_DOMCTL_set_broken_page_p2m] = { .error = EINVAL },
    [XEN_DOMCTL_vmtrace_op] = { .error = EINVAL },
    [XEN_DOMCTL_setvnumainfo] = { .error = EINVAL },
    [XEN_DOMCTL_ioport_mapping] = { .error = EOPNOTSUPP },
    [XEN_DOMCTL_assign_device] = { .error = EOPNOTSUPP },
    [XEN_DOMCTL_deassign_device] = { .error = EOPNOTSUPP },
    [XEN_DOMCTL_test_assign_device] = { .error = EOPNOTSUPP },
    [XEN_DOMCTL_get_device_group] = { .error = EOPNOTSUPP },
    [XEN_DOMCTL_set_target] = { .error = EOPNOTSUPP },
    [XEN_DOMCTL_monitor_op] = { .error = EOPNOTSUPP },
    [XEN_DOMCTL_get_paging_mempool_size] = { .error = EOPNOTSUPP },
    [XEN_DOMCTL_set_paging_mempool_size] = { .error = EOPNOTSUPP },
    [XEN_DOMCTL_psr_cmt_op] = { .error = ENODEV },
    [XEN_DOMCTL_psr_alloc] = { .error = ENODEV },
    /* What we could have but don't */
    [XEN_DOMCTL_subscribe] = { .error = EOPNOTSUPP },
    [XEN_DOMCTL_soft_reset] = { .error = EOPNOTSUPP },
    [XEN_DOMCTL_set_access_required] = { .error = EOPNOTSUPP },
    [XEN_DOMCTL_set_ext_vcpucontext] = { .error = EOPNOTSUPP },
    [XEN_DOMCTL_get_ext_vcpucontext] = { .error = EOPNOTSUPP },
    [XEN_DOMCTL_setvcpuextstate] = { .error = EOPNOTSUPP },
    [XEN_DOMCTL_getvcpuextstate] = { .error = EOPNOTSUPP },
    [XEN_DOMCTL_set_vcpu_msrs] = { .error = EOPNOTSUPP },
    [XEN_DOMCTL_get_vcpu_msrs] = { .error = EOPNOTSUPP },
};

static const struct domctl_op *find_operation(u32 cmd)
{
    static const struct domctl_op unknown = { .error = ENOSYS };
    const struct domctl_op *o = cmd < ARRAY_SIZE(operations) ? &operations[cmd] : &unknown;

    return o->run || o->error ? o : &unknown;
}

/* -ERESTART: not done, or not even begun. */
static long run(const struct domctl_op *o, struct domain *d, struct xen_domctl *op)
{
    long rc;

    if (!o->run) {
        return -o->error;
    }
    if (!spin_trylock(&domctl_lock)) {
        return -ERESTART;
    }
    rc = o->run(d, op);
    spin_unlock(&domctl_lock);
    return rc;
}

long do_domctl(u64 arg)
{
    const struct domctl_op *o;
    struct domain *d = NULL;
    struct xen_domctl op;
    long rc;

    if (copy_from_guest(&op, arg, sizeof(op))) {
        return -EFAULT;
    }
    if (op.interface_version != XEN_DOMCTL_INTERFACE_VERSION) {
        return -EACCES;
    }
    if (!current->domain->privileged) {
        return -EPERM;
    }
    o = find_operation(op.cmd);
    if (!o->no_domain) {
        bool info = op.cmd == XEN_DOMCTL_getdomaininfo;

        if (op.domain >= DOMID_FIRST_RESERVED) {
            return info ? -EINVAL : -ESRCH;
        }
        d = info ? domain_get_from(op.domain) : domain_get_by_id(op.domain);
        if (!d) {
            return -ESRCH;
        }
    }
    rc = run(o, d, &op);
    if (rc == 0 && o->results && copy_to_guest(arg, &op, sizeof(op))) {
        rc = -EFAULT;
    }
    if (d) {
        domain_put(d);
    }
    return rc == -ERESTART ? hypercall_continue(__HYPERVISOR_domctl, arg, 0, 0, 0) : rc;
}
