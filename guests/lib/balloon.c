/* SPDX-License-Identifier: MIT */
/*
 * balloon.c - gives memory that the guest does not use back to the hypervisor, and takes it again:
 * the frames above the first mapping, from the end. The p2m list says which are there.
 */
#include "guest.h"

#define NO_FRAME (~0UL)

static unsigned long given; /* frames from the end on that are not ours now */
static unsigned long kept;  /* the guest uses what is below, mapped or not */

/* It ends somewhere above the boot stack. */
unsigned long frames_unused(void)
{
    unsigned long va = start_info->pt_base + start_info->nr_pt_frames * PAGE_SIZE;
    const uint64_t *l1;

    while ((l1 = page_table(1, (void *)va)) && (l1[va / PAGE_SIZE % 512] & 1)) {
        va += PAGE_SIZE;
    }
    return virt_to_pfn((void *)va);
}

bool frames_keep(unsigned long end)
{
    if (end > start_info->nr_pages - given) {
        return false;
    }
    kept = end;
    return true;
}

static bool exchange_with_hypervisor(int cmd, unsigned long *frame)
{
    struct xen_memory_reservation one = { .nr_extents = 1, .domid = DOMID_SELF };

    set_xen_guest_handle(one.extent_start, frame);
    return memory_op(cmd, &one) == 1;
}

static bool give_one(unsigned long *p2m, unsigned long pfn)
{
    unsigned long mfn = p2m[pfn];

    if (!exchange_with_hypervisor(XENMEM_decrease_reservation, &mfn)) {
        return false;
    }
    p2m[pfn] = NO_FRAME;
    return true;
}

static bool take_one(unsigned long *p2m, unsigned long pfn)
{
    unsigned long frame = pfn;

    if (!exchange_with_hypervisor(XENMEM_populate_physmap, &frame)) {
        return false;
    }
    p2m[pfn] = frame;
    return true;
}

unsigned long balloon_to(unsigned long kib)
{
    unsigned long *p2m = (unsigned long *)start_info->mfn_list;
    unsigned long all = start_info->nr_pages, least = frames_unused();
    unsigned long target = kib / (PAGE_SIZE / 1024);

    least = least < kept ? kept : least;
    target = target < least ? least : target > all ? all : target;
    while (all - given > target && give_one(p2m, all - given - 1)) {
        given++;
    }
    while (all - given < target && take_one(p2m, all - given)) {
        given--;
    }
    return (all - given) * (PAGE_SIZE / 1024);
}
