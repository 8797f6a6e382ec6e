/* SPDX-License-Identifier: MIT */
/* remote.c - a domain that never runs, made for the cases that need a second one. */
#include "conform.h"

#include <xen/domctl.h>

static struct xen_domctl op;

static long domctl(uint32_t cmd)
{
    op.cmd = cmd;
    op.interface_version = XEN_DOMCTL_INTERFACE_VERSION;
    op.domain = REMOTE;
    return hypercall(__HYPERVISOR_domctl, ARG(&op), 0, 0, 0, 0);
}

long remote_domctl(uint32_t cmd)
{
    memset(&op, 0, sizeof(op));
    return domctl(cmd);
}

long remote_create(uint32_t max_port)
{
    long rc;

    memset(&op, 0, sizeof(op));
    op.u.createdomain.max_vcpus = 2;
    op.u.createdomain.max_evtchn_port = max_port;
    op.u.createdomain.max_grant_frames = 4;
    op.u.createdomain.max_maptrack_frames = 2;
    op.u.createdomain.grant_opts = XEN_DOMCTL_GRANT_version(1);
    rc = domctl(XEN_DOMCTL_createdomain);
    if (rc) {
        return rc;
    }
    memset(&op, 0, sizeof(op));
    op.u.max_vcpus.max = 2;
    rc = domctl(XEN_DOMCTL_max_vcpus);
    if (rc) {
        return rc;
    }
    memset(&op, 0, sizeof(op));
    op.u.max_mem.max_memkb = 256;
    return domctl(XEN_DOMCTL_max_mem);
}

long remote_destroy(void)
{
    return remote_domctl(XEN_DOMCTL_destroydomain);
}

unsigned long remote_page(unsigned long pfn)
{
    static xen_pfn_t frame;
    struct xen_memory_reservation r = { .nr_extents = 1, .domid = REMOTE };

    frame = pfn;
    set_xen_guest_handle(r.extent_start, &frame);
    return memory_op(XENMEM_populate_physmap, &r) == 1 ? frame : 0;
}
