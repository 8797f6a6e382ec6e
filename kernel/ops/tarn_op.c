/* SPDX-License-Identifier: MIT */
/* The hypercall that Xen does not have (public/tarn.h): names of domains and pools, options of
 * pools, where a vcpu may run, weights and caps, ports, and allocations that fail on purpose;
 * scheduling domains, bandwidth and emulators are in files of their own. */
#include <tarn/domain.h>
#include <tarn/errno.h>
#include <tarn/guest_access.h>
#include <tarn/hypercall.h>
#include <tarn/page.h>
#include <tarn/pcpu.h>

#include <public/tarn.h>

_Static_assert(TARN_NAME_MAX == DOMAIN_NAME_MAX, "one name for both");

static bool name_ok(const char *name)
{
    size_t len = strnlen(name, TARN_NAME_MAX);

    for (size_t i = 0; i < len; i++) {
        if ((u8)name[i] < ' ' || name[i] == 0x7f) {
            return false;
        }
    }
    return len > 0 && len < TARN_NAME_MAX;
}

static long domain_name(u64 cmd, u64 arg)
{
    struct tarn_domain_name n;
    struct domain *d;

    if (copy_from_guest(&n, arg, sizeof(n))) {
        return -EFAULT;
    }
    if (cmd == TARN_OP_set_domain_name && !name_ok(n.name)) {
        return -EINVAL;
    }
    d = domain_get_by_id(n.domid);
    if (!d) {
        return -ESRCH;
    }
    spin_lock(&d->lock);
    if (cmd == TARN_OP_set_domain_name) {
        str_copy(d->name, n.name, sizeof(d->name));
    } else {
        memset(n.name, 0, sizeof(n.name));
        str_copy(n.name, d->name, sizeof(n.name));
    }
    spin_unlock(&d->lock);
    domain_put(d);
    return copy_to_guest(arg, &n, sizeof(n)) ? -EFAULT : 0;
}

static long pool_name(u64 cmd, u64 arg)
{
    struct tarn_pool_name n;
    struct sched_pool *p;

    if (copy_from_guest(&n, arg, sizeof(n))) {
        return -EFAULT;
    }
    if (cmd == TARN_OP_set_pool_name) {
        return name_ok(n.name) ? pool_rename(n.id, n.name) : -EINVAL;
    }
    p = pool_get(n.id);
    if (!p) {
        return -ENOENT;
    }
    pool_get_name(p, n.name);
    pool_put(p);
    return copy_to_guest(arg, &n, sizeof(n)) ? -EFAULT : 0;
}

static long pool_options(u64 cmd, u64 arg)
{
    struct sched_params params;
    struct tarn_pool_options o;
    struct sched_pool *p;
    long rc = 0;

    if (copy_from_guest(&o, arg, sizeof(o))) {
        return -EFAULT;
    }
    p = pool_get(o.id);
    if (!p) {
        return -ENOENT;
    }
    if (cmd == TARN_OP_set_pool_options) {
        rc = sched_flags_set(p, o.flags);
    } else {
        sched_params_get(p, &params);
        o.flags = params.flags;
    }
    pool_put(p);
    return rc == 0 && copy_to_guest(arg, &o, sizeof(o)) ? -EFAULT : rc;
}

_Static_assert(sizeof(struct cpumask) == TARN_CPUS_MAX / 8, "a set of CPUs is as long for callers");

/* `place` is all that is told of a vcpu, of one moment. */
static long vcpu_placement(u64 arg)
{
    struct tarn_vcpu_placement place;
    struct domain *d;
    long rc = -ESRCH;

    if (copy_from_guest(&place, arg, sizeof(place))) {
        return -EFAULT;
    }
    d = domain_get_by_id(place.domid);
    if (!d) {
        return -ESRCH;
    }
    if (place.vcpu < d->max_vcpus) {
        sched_placement(d->vcpu[place.vcpu], &place);
        rc = copy_to_guest(arg, &place, sizeof(place)) ? -EFAULT : 0;
    }
    domain_put(d);
    return rc;
}

static long domain_shares(u64 cmd, u64 arg)
{
    struct tarn_domain_shares s;
    u32 weight, cap;
    struct domain *d;
    long rc = 0;

    if (copy_from_guest(&s, arg, sizeof(s))) {
        return -EFAULT;
    }
    d = domain_get_by_id(s.domid);
    if (!d) {
        return -ESRCH;
    }
    if (cmd == TARN_OP_set_domain_shares) {
        weight = s.weight;
        cap = s.cap;
        rc = sched_domain_adjust(d, &weight, &cap);
    } else {
        s.weight = (u16)d->sched.weight;
        s.cap = (u16)d->sched.cap;
    }
    domain_put(d);
    return rc == 0 && copy_to_guest(arg, &s, sizeof(s)) ? -EFAULT : rc;
}

static long port(u64 arg)
{
    struct tarn_port p;
    struct domain *d;
    bool found;

    if (copy_from_guest(&p, arg, sizeof(p))) {
        return -EFAULT;
    }
    d = domain_get_by_id(p.domid);
    if (!d) {
        return -ESRCH;
    }
    found = evtchn_look(d, &p);
    domain_put(d);
    return !found ? -ENOENT : copy_to_guest(arg, &p, sizeof(p)) ? -EFAULT : 0;
}

static long cpu_time(u64 arg)
{
    struct tarn_cpu_time c;
    struct domain *d;

    if (copy_from_guest(&c, arg, sizeof(c))) {
        return -EFAULT;
    }
    if (c.cpu >= NR_CPUS) {
        return -EINVAL;
    }
    d = domain_get_by_id(c.domid);
    if (!d) {
        return -ESRCH;
    }
    c.ns = sched_cpu_time(d, c.cpu);
    domain_put(d);
    return copy_to_guest(arg, &c, sizeof(c)) ? -EFAULT : 0;
}

static long fail_allocation(u64 arg)
{
    struct tarn_fail_allocation f;

    if (copy_from_guest(&f, arg, sizeof(f))) {
        return -EFAULT;
    }
    f.pending = atomic_xchg(&heap_fail_after, f.after);
    return copy_to_guest(arg, &f, sizeof(f)) ? -EFAULT : 0;
}

long do_tarn_op(u64 cmd, u64 arg)
{
    if (!current->domain->privileged) {
        return -EPERM;
    }
    switch (cmd) {
    case TARN_OP_get_domain_name:
    case TARN_OP_set_domain_name:
        return domain_name(cmd, arg);
    case TARN_OP_get_pool_name:
    case TARN_OP_set_pool_name:
        return pool_name(cmd, arg);
    case TARN_OP_get_pool_options:
    case TARN_OP_set_pool_options:
        return pool_options(cmd, arg);
    case TARN_OP_get_vcpu_placement:
        return vcpu_placement(arg);
    case TARN_OP_get_domain_shares:
    case TARN_OP_set_domain_shares:
        return domain_shares(cmd, arg);
    case TARN_OP_get_port:
        return port(arg);
    case TARN_OP_group_add:
    case TARN_OP_group_remove:
    case TARN_OP_group_set:
    case TARN_OP_group_dissolve:
    case TARN_OP_group_info:
        return tarn_group(cmd, arg);
    case TARN_OP_get_bandwidth:
    case TARN_OP_set_bandwidth:
        return tarn_bandwidth(cmd, arg);
    case TARN_OP_get_emulator:
    case TARN_OP_set_emulator:
        return tarn_emulator(cmd, arg);
    case TARN_OP_get_cpu_time:
        return cpu_time(arg);
    case TARN_OP_fail_allocation:
        return fail_allocation(arg);
    default:
        return -ENOSYS;
    }
}
