/* SPDX-License-Identifier: MIT */
/* HYPERVISOR_memory_op: what a guest asks about memory; what changes it is reservation.c's. */
#include <tarn/boot_info.h>
#include <tarn/domain.h>
#include <tarn/errno.h>
#include <tarn/guest_access.h>
#include <tarn/hypercall.h>
#include <tarn/pcpu.h>
#include <x86/frames.h>
#include <xen/memory.h>

#define CMD_MASK ((1u << MEMORY_CMD_BITS) - 1)

static long machphys_mapping(u64 arg)
{
    struct xen_machphys_mapping m = { .v_start = MACH2PHYS_VIRT_START,
                                      .v_end = MACH2PHYS_VIRT_END,
                                      .max_mfn = m2p_entries - 1 };

    return copy_to_guest(arg, &m, sizeof(m)) ? -EFAULT : 0;
}

/* An entry of the memory map as the PC's firmware gives it. */
struct e820entry {
    u64 start, size;
    u32 type;
} __packed;

/* Pages of a domain: current's own, or any for the control domain. */
static long domain_pages(u32 cmd, u64 arg)
{
    struct domain *d;
    domid_t domid;
    long rc;

    if (copy_from_guest(&domid, arg, sizeof(domid))) {
        return -EFAULT;
    }
    d = domain_get_by_id(domid);
    if (!d) {
        return -ESRCH;
    }
    if (d != current->domain && !current->domain->privileged) {
        rc = -EPERM;
    } else {
        rc = cmd == XENMEM_maximum_reservation   ? (long)d->max_pages
             : cmd == XENMEM_current_reservation ? (long)d->tot_pages
                                                 : (long)d->shared_info->arch.max_pfn;
    }
    domain_put(d);
    return rc;
}

/* The first frame of each 2 MiB of the M2P: it is one contiguous piece of memory. */
static long machphys_mfn_list(u64 arg)
{
    struct xen_machphys_mfn_list l;
    u64 extents = DIV_ROUND_UP(m2p_entries * 8, 1UL << 21);

    if (copy_from_guest(&l, arg, sizeof(l))) {
        return -EFAULT;
    }
    l.nr_extents = 0;
    while (l.nr_extents < l.max_extents && l.nr_extents < extents) {
        u64 mfn = virt_to_mfn(m2p).n + l.nr_extents * 512;

        if (copy_to_guest((u64)l.extent_start.p + l.nr_extents * sizeof(mfn), &mfn, sizeof(mfn))) {
            return -EFAULT;
        }
        l.nr_extents++;
    }
    return copy_to_guest(arg, &l, sizeof(l)) ? -EFAULT : 0;
}

/* A domain without a map of its own has flat memory: that is what -ENOSYS says. */
static long memory_map(u64 arg)
{
    struct xen_memory_map map;

    return copy_from_guest(&map, arg, sizeof(map)) ? -EFAULT : -ENOSYS;
}

/* The machine's, for the control domain. */
static long machine_memory_map(u64 arg)
{
    struct xen_memory_map map;
    u32 n = 0;

    if (!current->domain->privileged) {
        return -EPERM;
    }
    if (copy_from_guest(&map, arg, sizeof(map))) {
        return -EFAULT;
    }
    for (; n < boot_info.nr_regions; n++) {
        const struct boot_region *r = &boot_info.region[n];
        struct e820entry e = { r->start, r->end - r->start, r->type };

        if (n == map.nr_entries) {
            return -EINVAL;
        }
        if (copy_to_guest((u64)map.buffer.p + n * sizeof(e), &e, sizeof(e))) {
            return -EFAULT;
        }
    }
    map.nr_entries = n;
    return copy_to_guest(arg, &map, sizeof(map)) ? -EFAULT : 0;
}

static long claim_check(const struct domain *d, u64 pages)
{
    if (pages == 0) {
        return 0;
    }
    if (pages <= d->tot_pages || pages > d->max_pages) {
        return -EINVAL;
    }
    return pages - d->tot_pages > heap_free_frames() ? -ENOMEM : 0;
}

/* A builder asks whether there is enough memory for a domain. Nothing is set aside: whoever builds
 * must be ready to run out of it anyway. */
static long claim_pages(u64 arg)
{
    struct xen_memory_reservation r;
    struct domain *d;
    long rc;

    if (!current->domain->privileged) {
        return -EPERM;
    }
    if (copy_from_guest(&r, arg, sizeof(r))) {
        return -EFAULT;
    }
    if (r.extent_start.p || r.extent_order || r.mem_flags) {
        return -EINVAL;
    }
    d = domain_get_by_id(r.domid);
    if (!d) {
        return -EINVAL;
    }
    rc = claim_check(d, r.nr_extents);
    domain_put(d);
    return rc;
}

/* Not for guests of ours; but a bad pointer is said to be one first. */
static long not_offered(u64 arg, size_t size)
{
    u8 op[sizeof(struct xen_add_to_physmap)];

    return copy_from_guest(op, arg, MIN(size, sizeof(op))) ? -EFAULT : -ENOSYS;
}

long do_memory_op(u64 cmd, u64 arg)
{
    switch ((u32)cmd & CMD_MASK) {
    case XENMEM_increase_reservation:
    case XENMEM_decrease_reservation:
    case XENMEM_populate_physmap:
        return memory_reservation(cmd, arg);
    case XENMEM_exchange:
        return memory_exchange(arg);
    case XENMEM_add_to_physmap:
        return not_offered(arg, sizeof(struct xen_add_to_physmap));
    case XENMEM_acquire_resource:
        return memory_acquire_resource(arg);
    case XENMEM_claim_pages:
        return claim_pages(arg);
    case XENMEM_get_sharing_freed_pages:
    case XENMEM_get_sharing_shared_pages:
        return 0;
    case XENMEM_maximum_ram_page:
        return (long)nr_frames - 1;
    case XENMEM_current_reservation:
    case XENMEM_maximum_reservation:
    case XENMEM_maximum_gpfn:
        return domain_pages((u32)cmd & CMD_MASK, arg);
    case XENMEM_machphys_mapping:
        return machphys_mapping(arg);
    case XENMEM_machphys_mfn_list:
        return machphys_mfn_list(arg);
    case XENMEM_memory_map:
        return memory_map(arg);
    case XENMEM_machine_memory_map:
        return machine_memory_map(arg);
    default:
        return -ENOSYS;
    }
}
