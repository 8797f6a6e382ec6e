/* SPDX-License-Identifier: MIT */
/*
 * hyper.c - questions and orders to the hypervisor (domctl, sysctl) in the shape in which commands
 * want them, and the names of errors. Nothing is cached but the CPUs' nodes.
 */
#include "shell.h"

#include <tarn.h>

long domctl(struct xen_domctl *op)
{
    op->interface_version = XEN_DOMCTL_INTERFACE_VERSION;
    return hypercall(__HYPERVISOR_domctl, ARG(op), 0, 0, 0, 0);
}

long sysctl(struct xen_sysctl *op)
{
    op->interface_version = XEN_SYSCTL_INTERFACE_VERSION;
    return hypercall(__HYPERVISOR_sysctl, ARG(op), 0, 0, 0, 0);
}

long domctl_simple(uint32_t cmd, domid_t domid)
{
    struct xen_domctl op = { .cmd = cmd, .domain = domid };

    return domctl(&op);
}

const char *error_name(long rc)
{
    static const struct {
        int value;
        const char *name;
    } names[] = {
#define XEN_ERRNO(name, value) { value, #name },
#include <xen/errno.h>
    };
    static char other[24];

    rc = rc < 0 ? -rc : rc;
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        if (names[i].value == rc) {
            return names[i].name;
        }
    }
    fmt_snprintf(other, sizeof(other), "%ld", rc);
    return other;
}

const char *error_text(long rc)
{
    static const struct {
        int value;
        const char *text;
    } texts[] = {
        { XEN_EPERM, "not permitted" },      { XEN_ENOENT, "not there" },
        { XEN_ESRCH, "no such domain" },     { XEN_EIO, "input or output failed" },
        { XEN_E2BIG, "too long" },           { XEN_EAGAIN, "try again" },
        { XEN_ENOMEM, "out of memory" },     { XEN_EACCES, "not allowed" },
        { XEN_EFAULT, "bad address" },       { XEN_EBUSY, "busy" },
        { XEN_EEXIST, "exists already" },    { XEN_ENODEV, "no such device" },
        { XEN_EINVAL, "invalid argument" },  { XEN_ENOSPC, "no room left" },
        { XEN_ERANGE, "out of range" },      { XEN_ENOSYS, "the hypervisor does not have it" },
        { XEN_EOPNOTSUPP, "not supported" }, { XEN_ENODATA, "no data" },
        { XEN_EOVERFLOW, "too large" },      { XEN_EADDRINUSE, "a vcpu is tied to it" },
    };

    rc = rc < 0 ? -rc : rc;
    for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
        if (texts[i].value == rc) {
            return texts[i].text;
        }
    }
    return "failed";
}

static long infos_read(domid_t first, struct xen_domctl_getdomaininfo *list, uint32_t max)
{
    struct xen_sysctl op = { .cmd = XEN_SYSCTL_getdomaininfolist };
    long rc;

    op.u.getdomaininfolist.first_domain = first;
    op.u.getdomaininfolist.max_domains = max;
    set_xen_guest_handle(op.u.getdomaininfolist.buffer, list);
    rc = sysctl(&op);
    return rc < 0 ? rc : (long)op.u.getdomaininfolist.num_domains;
}

/* Twice as much room until it was enough. */
long domain_infos(struct xen_domctl_getdomaininfo **list)
{
    for (uint32_t room = 16;; room *= 2) {
        long n;

        *list = allocate(room * sizeof(**list));
        if (!*list) {
            return -XEN_ENOMEM;
        }
        n = infos_read(0, *list, room);
        if (n >= 0 && n < (long)room) {
            return n;
        }
        release(*list);
        *list = NULL;
        if (n < 0) {
            return n;
        }
    }
}

long domain_info(domid_t domid, struct xen_domctl_getdomaininfo *info)
{
    long n = infos_read(domid, info, 1);

    if (n < 0) {
        return n;
    }
    return n == 1 && info->domain == domid ? 0 : -XEN_ESRCH;
}

uint32_t shutdown_reason(const struct xen_domctl_getdomaininfo *info)
{
    return info->flags >> XEN_DOMINF_shutdownshift & XEN_DOMINF_shutdownmask;
}

static bool state_is(const struct xen_domctl_getdomaininfo *info, char letter)
{
    switch (letter) {
    case 'r':
        return info->flags & XEN_DOMINF_running;
    case 'b':
        return info->flags & XEN_DOMINF_blocked;
    case 'p':
        return info->flags & XEN_DOMINF_paused;
    case 's':
        return info->flags & XEN_DOMINF_shutdown;
    case 'c':
        return info->flags & XEN_DOMINF_shutdown && shutdown_reason(info) == SHUTDOWN_crash;
    default:
        return info->flags & XEN_DOMINF_dying;
    }
}

void state_format(const struct xen_domctl_getdomaininfo *info, const char *letters,
                  char state[STATE_SIZE])
{
    str_copy(state, letters, STATE_SIZE);
    for (; *state; state++) {
        *state = state_is(info, *state) ? *state : '-';
    }
}

long domain_limit(domid_t domid, uint64_t kib)
{
    struct xen_domctl op = { .cmd = XEN_DOMCTL_max_mem, .domain = domid };

    op.u.max_mem.max_memkb = kib;
    return domctl(&op);
}

long affinity_set(domid_t domid, uint32_t vcpu, uint32_t flags, struct cpumask *hard,
                  struct cpumask *soft)
{
    struct xen_domctl op = { .cmd = XEN_DOMCTL_setvcpuaffinity, .domain = domid };

    op.u.vcpuaffinity.vcpu = vcpu;
    op.u.vcpuaffinity.flags = flags;
    cpu_bitmap(&op.u.vcpuaffinity.cpumap_hard, hard);
    cpu_bitmap(&op.u.vcpuaffinity.cpumap_soft, soft);
    return domctl(&op);
}

void affinity_get(domid_t domid, uint32_t vcpu, struct cpumask *hard, struct cpumask *soft)
{
    struct xen_domctl op = { .cmd = XEN_DOMCTL_getvcpuaffinity, .domain = domid };

    *hard = *soft = (struct cpumask){ { 0 } };
    op.u.vcpuaffinity.vcpu = vcpu;
    op.u.vcpuaffinity.flags = XEN_VCPUAFFINITY_HARD | XEN_VCPUAFFINITY_SOFT;
    cpu_bitmap(&op.u.vcpuaffinity.cpumap_hard, hard);
    cpu_bitmap(&op.u.vcpuaffinity.cpumap_soft, soft);
    domctl(&op);
}

/* As the hypervisor makes it of what was given, for one that doesn't say. */
static void place_derive(const struct cpumask *pool, struct vcpu_place *place)
{
    place->hard = cpumask_and(&place->given, pool);
    place->broken = cpumask_empty(&place->hard) && !cpumask_empty(pool);
    if (place->broken) {
        place->hard = *pool;
    }
    place->soft = cpumask_and(&place->given_soft, &place->hard);
    if (cpumask_subset(&place->hard, &place->soft)) {
        place->soft = (struct cpumask){ { 0 } };
    }
}

_Static_assert(sizeof(struct cpumask) == TARN_CPUS_MAX / 8, "a set of CPUs is as long for tarn");

void vcpu_place_get(domid_t domid, uint32_t vcpu, const struct cpumask *pool,
                    struct vcpu_place *place)
{
    struct tarn_vcpu_placement op = { .domid = domid, .vcpu = vcpu };

    *place = (struct vcpu_place){ .broken = false };
    affinity_get(domid, vcpu, &place->given, &place->given_soft);
    if (hypercall2(__HYPERVISOR_tarn_op, TARN_OP_get_vcpu_placement, ARG(&op))) {
        place_derive(pool, place);
        return;
    }
    memcpy(&place->given, op.given, sizeof(place->given));
    memcpy(&place->hard, op.hard, sizeof(place->hard));
    memcpy(&place->soft, op.soft, sizeof(place->soft));
    place->broken = op.flags & TARN_PLACEMENT_broken;
    place->overridden = op.flags & TARN_PLACEMENT_override;
}

const char *domid_name(domid_t domid)
{
    const struct domain *d = domain_by_id(domid);

    return d ? d->name : "(null)";
}

long physinfo_get(struct xen_sysctl_physinfo *info)
{
    struct xen_sysctl op = { .cmd = XEN_SYSCTL_physinfo };
    long rc = sysctl(&op);

    *info = op.u.physinfo;
    return rc;
}

unsigned int cpus_max(void)
{
    struct xen_sysctl_physinfo info;

    return physinfo_get(&info) ? 1 : MIN(info.max_cpu_id + 1, NR_CPUS);
}

void cpu_bitmap(struct xenctl_bitmap *bitmap, struct cpumask *map)
{
    bitmap->nr_bits = NR_CPUS;
    set_xen_guest_handle(bitmap->bitmap, (uint8_t *)map->bits);
}

const char *scheduler_name(uint32_t sched_id)
{
    switch (sched_id) {
    case XEN_SCHEDULER_CREDIT:
        return "credit";
    case XEN_SCHEDULER_CREDIT2:
        return "credit2";
    case XEN_SCHEDULER_ARINC653:
        return "arinc653";
    case XEN_SCHEDULER_RTDS:
        return "rtds";
    case XEN_SCHEDULER_NULL:
        return "null";
    case TARN_SCHEDULER_SEDF:
        return "sedf";
    case TARN_SCHEDULER_RR:
        return "rr";
    default:
        return "unknown";
    }
}

long cpupool_info(uint32_t id, struct xen_sysctl_cpupool_op *info, struct cpumask *map)
{
    struct xen_sysctl op = { .cmd = XEN_SYSCTL_cpupool_op };
    struct cpumask none;
    long rc;

    map = map ? map : &none;
    *map = (struct cpumask){ { 0 } };
    op.u.cpupool_op.op = XEN_SYSCTL_CPUPOOL_OP_INFO;
    op.u.cpupool_op.cpupool_id = id;
    cpu_bitmap(&op.u.cpupool_op.cpumap, map);
    rc = sysctl(&op);
    *info = op.u.cpupool_op;
    return rc;
}

const char *cpupool_name(uint32_t id)
{
    static char name[NAME_SIZE];
    struct tarn_pool_name known = { .id = id };
    const char *stored;

    if (hypercall2(__HYPERVISOR_tarn_op, TARN_OP_get_pool_name, ARG(&known)) == 0) {
        str_copy(name, known.name, sizeof(name));
        return name;
    }
    fmt_snprintf(name, sizeof(name), "/local/pool/%u/name", id);
    stored = store_read(name);
    if (stored) {
        return stored;
    }
    fmt_snprintf(name, sizeof(name), "Pool-%u", id);
    return name;
}

long cpu_topology(const struct xen_sysctl_cputopo **topology, uint32_t *nr)
{
    static struct xen_sysctl_cputopo cpus[NR_CPUS];
    struct xen_sysctl op = { .cmd = XEN_SYSCTL_cputopoinfo };
    long rc;

    op.u.cputopoinfo.num_cpus = NR_CPUS;
    set_xen_guest_handle(op.u.cputopoinfo.cputopo, cpus);
    rc = sysctl(&op);
    *topology = cpus;
    *nr = rc ? 0 : MIN(op.u.cputopoinfo.num_cpus, NR_CPUS);
    return rc;
}

const struct cpu_host *cpu_host_get(void)
{
    static uint32_t node[NR_CPUS];
    static struct cpu_host host;
    const struct xen_sysctl_cputopo *topology;
    uint32_t nr;

    host = (struct cpu_host){ .nr_cpus = cpus_max() };
    if (cpu_topology(&topology, &nr) == 0) {
        for (uint32_t cpu = 0; cpu < nr; cpu++) {
            node[cpu] = topology[cpu].node;
        }
        host.node = node;
    }
    return &host;
}
