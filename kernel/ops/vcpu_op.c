/* SPDX-License-Identifier: MIT */
/* HYPERVISOR_vcpu_op: a domain about its own vcpus. Starting one is ordered by domain.lock. */
#include <tarn/domain.h>
#include <tarn/errno.h>
#include <tarn/guest_access.h>
#include <tarn/hypercall.h>
#include <tarn/page.h>
#include <tarn/pcpu.h>
#include <tarn/softirq.h>
#include <tarn/time.h>
#include <x86/frames.h>
#include <x86/pv.h>
#include <xen/vcpu.h>

_Static_assert(sizeof(struct vcpu_guest_context) <= 2 * PAGE_SIZE, "copied in to two pages");

static long op_initialise(struct vcpu *v, u64 arg)
{
    struct vcpu_guest_context *c = pages_alloc(1);
    long rc = 0;

    if (!c) {
        return -ENOMEM;
    }
    if (copy_from_guest(c, arg, sizeof(*c))) {
        rc = -EFAULT;
    } else {
        spin_lock(&v->domain->lock);
        rc = v->initialised ? -EEXIST : arch_vcpu_set_context(v, c);
        v->initialised |= rc == 0;
        spin_unlock(&v->domain->lock);
    }
    pages_free(c, 1);
    return rc;
}

static long op_runstate(struct vcpu *v, u64 arg)
{
    struct vcpu_runstate_info info;

    vcpu_runstate_get(v, &info);
    return copy_to_guest(arg, &info, sizeof(info)) ? -EFAULT : 0;
}

static long op_runstate_area(struct vcpu *v, u64 arg)
{
    struct vcpu_register_runstate_memory_area area;
    struct vcpu_runstate_info info;

    if (copy_from_guest(&area, arg, sizeof(area))) {
        return -EFAULT;
    }
    if (!guest_range_ok((u64)area.addr.h.p, sizeof(info))) {
        return -EFAULT;
    }
    v->runstate_va = (u64)area.addr.h.p;
    vcpu_runstate_get(v, &info);
    (void)!copy_to_guest(v->runstate_va, &info, sizeof(info));
    return 0;
}

/* Once is enough: the scale is the same for ever, see clock.c. */
static long op_time_area(struct vcpu *v, u64 arg)
{
    struct vcpu_register_time_memory_area area;
    u64 at;

    if (copy_from_guest(&area, arg, sizeof(area))) {
        return -EFAULT;
    }
    at = (u64)area.addr.h.p;
    if (!guest_range_ok(at, sizeof(v->info->time))) {
        return -EFAULT;
    }
    if (at) {
        (void)!copy_to_guest(at, &v->info->time, sizeof(v->info->time));
    }
    return 0;
}

static long op_register_info(struct vcpu *v, u64 arg)
{
    struct vcpu_register_vcpu_info r;

    if (copy_from_guest(&r, arg, sizeof(r))) {
        return -EFAULT;
    }
    return arch_vcpu_register_info(v, MFN(r.mfn), r.offset);
}

static long op_set_periodic(struct vcpu *v, u64 arg)
{
    struct vcpu_set_periodic_timer t;

    if (copy_from_guest(&t, arg, sizeof(t))) {
        return -EFAULT;
    }
    if (t.period_ns < (u64)NSEC_PER_MSEC || t.period_ns > (u64)STIME_MAX >> 3) {
        return -EINVAL;
    }
    vcpu_set_periodic(v, (stime_t)t.period_ns);
    return 0;
}

static long op_set_oneshot(struct vcpu *v, u64 arg)
{
    struct vcpu_set_singleshot_timer t;

    if (copy_from_guest(&t, arg, sizeof(t))) {
        return -EFAULT;
    }
    /* Signed: what looks far away may be long ago. */
    vcpu_set_oneshot(v, MIN((stime_t)t.timeout_abs_ns, STIME_MAX - 1));
    return 0;
}

/* A one-shot timer belongs to whoever runs on the vcpu. */
static long timer_op(struct vcpu *v, u32 cmd, u64 arg)
{
    if (v != current) {
        return -EINVAL;
    }
    switch (cmd) {
    case VCPUOP_set_singleshot_timer:
        return op_set_oneshot(v, arg);
    default:
        timer_stop(&v->oneshot);
        return 0;
    }
}

long do_vcpu_op(u64 cmd, u64 id, u64 arg)
{
    struct domain *d = current->domain;
    struct vcpu *v;

    id = (u32)id;
    if (id >= d->max_vcpus) {
        return -ENOENT;
    }
    v = d->vcpu[id];
    switch ((u32)cmd) {
    case VCPUOP_initialise:
        return op_initialise(v, arg);
    case VCPUOP_up:
        if (!v->initialised) {
            return -EINVAL;
        }
        vcpu_up(v);
        return 0;
    case VCPUOP_down:
        vcpu_down(v);
        return 0;
    case VCPUOP_is_up:
        return !(READ_ONCE(v->pause_flags) & VPF_DOWN);
    case VCPUOP_get_runstate_info:
        return op_runstate(v, arg);
    case VCPUOP_register_runstate_memory_area:
        return op_runstate_area(v, arg);
    case VCPUOP_register_vcpu_info:
        return op_register_info(v, arg);
    case VCPUOP_register_vcpu_time_memory_area:
        return op_time_area(v, arg);
    case VCPUOP_get_physid:
        return -EINVAL; /* for vcpus tied to a CPU for good: there are none */
    case VCPUOP_set_periodic_timer:
        return op_set_periodic(v, arg);
    case VCPUOP_stop_periodic_timer:
        vcpu_set_periodic(v, 0);
        return 0;
    case VCPUOP_send_nmi:
        atomic_store(&v->nmi_pending, true);
        vcpu_kick(v);
        softirq_raise_self(SOFTIRQ_EVENT); /* it may be for ourselves */
        return 0;
    case VCPUOP_set_singleshot_timer:
    case VCPUOP_stop_singleshot_timer:
        return timer_op(v, (u32)cmd, arg);
    default:
        return -ENOSYS;
    }
}
