/* SPDX-License-Identifier: MIT */
/*
 * HYPERVISOR_sysctl, what only asks about the machine: its CPUs, how they are laid out and what
 * they can do, memory, idle time. Memory is one node. Takes no locks of its own.
 */
#include <tarn/boot_info.h>
#include <tarn/domain.h>
#include <tarn/errno.h>
#include <tarn/guest_access.h>
#include <tarn/hypercall.h>
#include <tarn/pcpu.h>
#include <tarn/time.h>
#include <x86/frames.h>

#include <xen/sysctl.h>

#include "domctl.h"

#define DISTANCE_LOCAL 10u
#define DEVICES_MAX 65536u /* looked at in one call: a bus, device and function each */

static u64 ram_pages(void)
{
    u64 n = 0;

    for (u32 i = 0; i < boot_info.nr_regions; i++) {
        const struct boot_region *r = &boot_info.region[i];

        n += r->type == BOOT_RAM ? (r->end - r->start) >> PAGE_SHIFT : 0;
    }
    return n;
}

static void physinfo(struct xen_sysctl_physinfo *p)
{
    const struct topology *t = pool0.topology;

    *p = (struct xen_sysctl_physinfo){
        .threads_per_core = t->threads_per_core,
        .cores_per_socket = t->cores_per_socket,
        .nr_cpus = cpumask_weight(&cpu_online_map),
        .max_cpu_id = t->nr_cpus - 1,
        .nr_nodes = 1,
        .cpu_khz = (u32)(time_base.tsc_hz / 1000),
        .capabilities = XEN_SYSCTL_PHYSCAP_pv,
        .total_pages = ram_pages(),
        .free_pages = heap_free_frames(),
        .max_mfn = nr_frames - 1,
    };
    cpu_feature_words(p->hw_cap);
}

static long cputopoinfo(struct xen_sysctl_cputopoinfo *c)
{
    const struct topology *t = pool0.topology;
    u32 n = c->cputopo.p ? MIN(c->num_cpus, t->nr_cpus) : t->nr_cpus;

    for (u32 cpu = 0; c->cputopo.p && cpu < n; cpu++) {
        struct xen_sysctl_cputopo one = { t->cpu[cpu].core, t->cpu[cpu].socket, 0 };

        if (!cpumask_test(&cpu_online_map, cpu)) {
            one.core = XEN_INVALID_CORE_ID;
            one.socket = XEN_INVALID_SOCKET_ID;
        }
        if (copy_to_guest((u64)(c->cputopo.p + cpu), &one, sizeof(one))) {
            return -EFAULT;
        }
    }
    c->num_cpus = n;
    return 0;
}

/* No device was made known to us. */
static long pcitopoinfo(struct xen_sysctl_pcitopoinfo *p)
{
    const u32 node = XEN_INVALID_DEV;

    if (!p->devs.p || !p->nodes.p) {
        return -EINVAL;
    }
    p->num_devs = MIN(p->num_devs, DEVICES_MAX);
    for (u32 i = 0; i < p->num_devs; i++) {
        if (copy_to_guest((u64)(p->nodes.p + i), &node, sizeof(node))) {
            return -EFAULT;
        }
    }
    return 0;
}

static long numainfo(struct xen_sysctl_numainfo *n)
{
    struct xen_sysctl_meminfo m = { (u64)nr_frames << PAGE_SHIFT, heap_free_frames()
                                                                      << PAGE_SHIFT };
    u32 distance = DISTANCE_LOCAL;

    if (!n->meminfo.p && !n->distance.p) {
        n->num_nodes = 1;
        return 0;
    }
    n->num_nodes = MIN(n->num_nodes, 1u);
    if (n->num_nodes == 0) {
        return 0;
    }
    if ((n->meminfo.p && copy_to_guest((u64)n->meminfo.p, &m, sizeof(m))) ||
        (n->distance.p && copy_to_guest((u64)n->distance.p, &distance, sizeof(distance)))) {
        return -EFAULT;
    }
    return 0;
}

static long getcpuinfo(struct xen_sysctl_getcpuinfo *c)
{
    u32 n = MIN(c->max_cpus, pool0.topology->nr_cpus);

    for (u32 cpu = 0; cpu < n; cpu++) {
        struct xen_sysctl_cpuinfo one = { (u64)sched_idle_time(cpu) };

        if (copy_to_guest((u64)(c->info.p + cpu), &one, sizeof(one))) {
            return -EFAULT;
        }
    }
    c->nr_cpus = n;
    return 0;
}

static long get_cpu_featureset(struct xen_sysctl_cpu_featureset *f)
{
    u32 words[CPU_FEATURE_WORDS], n = MIN(f->nr_features, CPU_FEATURE_WORDS);
    bool all = f->nr_features >= CPU_FEATURE_WORDS || !f->features.p;

    if (f->index > XEN_SYSCTL_cpu_featureset_hvm_max) {
        return -EINVAL;
    }
    cpu_feature_words(words);
    f->nr_features = f->features.p ? n : CPU_FEATURE_WORDS;
    if (f->features.p && copy_to_guest((u64)f->features.p, words, n * sizeof(words[0]))) {
        return -EFAULT;
    }
    return all ? 0 : -ENOBUFS;
}

/* The policies are those of raw CPUs and of this one, and of guests with and without HVM. */
static long get_cpu_policy(struct xen_sysctl_cpu_policy *p)
{
    if (p->index > XEN_SYSCTL_cpu_policy_hvm_default || p->_rsvd) {
        return -EINVAL;
    }
    if (p->index == XEN_SYSCTL_cpu_policy_hvm_max ||
        p->index == XEN_SYSCTL_cpu_policy_hvm_default) {
        return -EOPNOTSUPP;
    }
    p->nr_msrs = 0;
    return cpu_policy_get((u64)p->leaves.p, &p->nr_leaves);
}

/* Free memory isn't counted by address: a range that can hold some of it is said to hold all. */
static void availheap(struct xen_sysctl_availheap *h)
{
    bool node = h->node == -1 || h->node == 0;
    bool low = h->max_bitwidth && h->max_bitwidth <= PAGE_SHIFT;
    bool high = h->min_bitwidth >= 64 || ((u64)nr_frames << PAGE_SHIFT) >> h->min_bitwidth == 0;

    h->avail_bytes = node && !low && !high ? heap_free_frames() << PAGE_SHIFT : 0;
}

long sysctl_info(struct xen_sysctl *op)
{
    switch (op->cmd) {
    case XEN_SYSCTL_physinfo:
        physinfo(&op->u.physinfo);
        return 0;
    case XEN_SYSCTL_cputopoinfo:
        return cputopoinfo(&op->u.cputopoinfo);
    case XEN_SYSCTL_numainfo:
        return numainfo(&op->u.numainfo);
    case XEN_SYSCTL_pcitopoinfo:
        return pcitopoinfo(&op->u.pcitopoinfo);
    case XEN_SYSCTL_getcpuinfo:
        return getcpuinfo(&op->u.getcpuinfo);
    case XEN_SYSCTL_get_cpu_featureset:
        return get_cpu_featureset(&op->u.cpu_featureset);
    case XEN_SYSCTL_get_cpu_policy:
        return get_cpu_policy(&op->u.cpu_policy);
    default:
        availheap(&op->u.availheap);
        return 0;
    }
}
