/* SPDX-License-Identifier: MIT */
/*
 * HYPERVISOR_sysctl, what only asks about the machine: its CPUs, how they are laid out and what
 * they can do, memory by node, idle time. Takes no locks of its own.
 */
#include <tarn/boot_info.h>
#include <tarn/domain.h>
#include <tarn/errno.h>
#include <tarn/guest_access.h>
#include <tarn/hypercall.h>
#include <tarn/numa.h>
#include <tarn/pcpu.h>
#include <tarn/time.h>
#include <x86/frames.h>

#include <xen/sysctl.h>

#include "domctl.h"

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
        .max_cpu_id = nr_pcpus - 1,
        .nr_nodes = numa->nr_nodes,
        .max_node_id = numa->nr_nodes - 1,
        .cpu_khz = (u32)(time_base.tsc_hz / 1000),
        .capabilities = XEN_SYSCTL_PHYSCAP_pv | XEN_SYSCTL_PHYSCAP_gnttab_v1,
        .total_pages = ram_pages(),
        .free_pages = heap_free_frames(),
        .max_mfn = nr_frames - 1,
    };
    cpu_feature_words(p->hw_cap);
}

static long cputopoinfo(struct xen_sysctl_cputopoinfo *c)
{
    const struct topology *t = pool0.topology;
    u32 n = c->cputopo.p ? MIN(c->num_cpus, nr_pcpus) : nr_pcpus;

    for (u32 cpu = 0; c->cputopo.p && cpu < n; cpu++) {
        struct xen_sysctl_cputopo one = { t->cpu[cpu].core, t->cpu[cpu].socket, t->cpu[cpu].node };

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

/* From its first byte to its last, as Xen has it; 0: it has no memory. */
static u64 node_span(u32 node)
{
    u64 start = ~0UL, end = 0;

    for (u32 i = 0; i < numa->nr_ranges; i++) {
        if (numa->range[i].node == node) {
            start = MIN(start, numa->range[i].start);
            end = MAX(end, numa->range[i].end);
        }
    }
    if (!numa->nr_ranges) {
        return (u64)nr_frames << PAGE_SHIFT;
    }
    return end ? end - start : 0;
}

static long put_meminfo(u64 to, u32 nodes)
{
    u64 bytes[NR_NODES] = { 0 };

    heap_free_by_node(bytes);
    for (u32 i = 0; to && i < nodes; i++) {
        struct xen_sysctl_meminfo m = { node_span(i), bytes[i] };

        if (copy_to_guest(to + i * sizeof(m), &m, sizeof(m))) {
            return -EFAULT;
        }
    }
    return 0;
}

/* A row for each of the nodes that are asked for. */
static long put_distances(u64 to, u32 nodes)
{
    for (u32 i = 0; to && i < nodes * nodes; i++) {
        u32 d = numa->distance[i / nodes][i % nodes];

        d = d == NUMA_UNREACHABLE ? XEN_INVALID_NODE_DIST : d;
        if (copy_to_guest(to + i * sizeof(d), &d, sizeof(d))) {
            return -EFAULT;
        }
    }
    return 0;
}

static long numainfo(struct xen_sysctl_numainfo *n)
{
    long rc;

    if (!n->meminfo.p && !n->distance.p) {
        n->num_nodes = numa->nr_nodes;
        return 0;
    }
    n->num_nodes = MIN(n->num_nodes, numa->nr_nodes);
    rc = put_meminfo((u64)n->meminfo.p, n->num_nodes);
    return rc ? rc : put_distances((u64)n->distance.p, n->num_nodes);
}

static long getcpuinfo(struct xen_sysctl_getcpuinfo *c)
{
    u32 n = MIN(c->max_cpus, nr_pcpus);

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
    u64 bytes[NR_NODES] = { 0 };
    bool low = h->max_bitwidth && h->max_bitwidth <= PAGE_SHIFT;
    bool high = h->min_bitwidth >= 64 || ((u64)nr_frames << PAGE_SHIFT) >> h->min_bitwidth == 0;

    h->avail_bytes = 0;
    if (low || high) {
        return;
    }
    if (h->node == -1) {
        h->avail_bytes = heap_free_frames() << PAGE_SHIFT;
    } else if (h->node >= 0 && (u32)h->node < numa->nr_nodes) {
        heap_free_by_node(bytes);
        h->avail_bytes = bytes[h->node];
    }
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
