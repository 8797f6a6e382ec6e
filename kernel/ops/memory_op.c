/* SPDX-License-Identifier: MIT */
/* HYPERVISOR_memory_op: so far the queries, what a guest asks about memory. */
#include <tarn/domain.h>
#include <tarn/errno.h>
#include <tarn/guest_access.h>
#include <tarn/hypercall.h>
#include <tarn/pcpu.h>
#include <x86/frames.h>
#include <xen/memory.h>

#define CMD_MASK 0x3fu /* the rest is how far a continued call came */

static long machphys_mapping(u64 arg)
{
    struct xen_machphys_mapping m = { .v_start = MACH2PHYS_VIRT_START,
                                      .v_end = MACH2PHYS_VIRT_END,
                                      .max_mfn = m2p_entries - 1 };

    return copy_to_guest(arg, &m, sizeof(m)) ? -EFAULT : 0;
}

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

/* The frames that the M2P's view is made of: guests have it mapped already. */
static long machphys_mfn_list(u64 arg)
{
    struct xen_machphys_mfn_list l;

    if (copy_from_guest(&l, arg, sizeof(l))) {
        return -EFAULT;
    }
    l.nr_extents = 0; /* it is not mapped by large pages */
    return copy_to_guest(arg, &l, sizeof(l)) ? -EFAULT : 0;
}

/* A domain without a map of its own has flat memory: that is what -ENOSYS says. */
static long memory_map(void)
{
    return -ENOSYS;
}

long do_memory_op(u64 cmd, u64 arg)
{
    switch ((u32)cmd & CMD_MASK) {
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
        return memory_map();
    default:
        return -ENOSYS;
    }
}
