/* SPDX-License-Identifier: MIT */
/*
 * privileged.c - every operation of the control domain's hypercalls, tried by a domain that isn't:
 * each must be refused with -EPERM, whatever it is about, and its structure must stay as it was.
 */
#include "attack.h"

#include <tarn.h>
#include <xen/domctl.h>
#include <xen/platform.h>
#include <xen/sysctl.h>

#define FILLER 0x5a
#define HIGHEST 1100U /* beyond the last command of each */

static unsigned int tried, wrong;

/* A call about a structure whose first two words are the command and the version. */
static long attempt(unsigned int nr, uint32_t cmd, uint32_t version, size_t size, long domain)
{
    uint8_t *op = (uint8_t *)pages[0];
    long rc;

    memset(op, FILLER, PAGE_SIZE);
    ((uint32_t *)op)[0] = cmd;
    ((uint32_t *)op)[1] = version;
    if (domain >= 0) {
        ((struct xen_domctl *)op)->domain = (domid_t)domain;
    }
    rc = hypercall(nr, ARG(op), 0, 0, 0, 0);
    for (size_t i = sizeof(uint64_t) + sizeof(uint64_t); i < size; i++) {
        wrong += op[i] != FILLER;
    }
    tried++;
    return rc;
}

static void expect(const char *what, uint32_t cmd, long rc, long wanted)
{
    if (rc != wanted) {
        printf("attack: %s %u: %ld instead of %ld\n", what, cmd, rc, wanted);
        wrong++;
    }
}

static void try_domctl(uint32_t cmd)
{
    static const long domains[] = { 0, 1, 2, 3, 4242, DOMID_SELF, DOMID_INVALID };
    const size_t size = sizeof(struct xen_domctl);

    for (unsigned int i = 0; i < sizeof(domains) / sizeof(domains[0]); i++) {
        expect("domctl", cmd,
               attempt(__HYPERVISOR_domctl, cmd, XEN_DOMCTL_INTERFACE_VERSION, size, domains[i]),
               -XEN_EPERM);
    }
    expect("domctl, wrong version,", cmd,
           attempt(__HYPERVISOR_domctl, cmd, XEN_DOMCTL_INTERFACE_VERSION + 1, size, 0),
           -XEN_EACCES);
}

static void try_sysctl(uint32_t cmd)
{
    const size_t size = sizeof(struct xen_sysctl);

    expect("sysctl", cmd, attempt(__HYPERVISOR_sysctl, cmd, XEN_SYSCTL_INTERFACE_VERSION, size, -1),
           -XEN_EPERM);
    expect("sysctl, wrong version,", cmd, attempt(__HYPERVISOR_sysctl, cmd, 0, size, -1),
           -XEN_EACCES);
}

static void try_platform(uint32_t cmd)
{
    const size_t size = sizeof(struct xen_platform_op);

    expect("platform_op", cmd,
           attempt(__HYPERVISOR_platform_op, cmd, XENPF_INTERFACE_VERSION, size, -1), -XEN_EPERM);
    expect("platform_op, wrong version,", cmd, attempt(__HYPERVISOR_platform_op, cmd, 7, size, -1),
           -XEN_EACCES);
}

/* Each operation of a pool, each of the trace, and the parameters of each scheduler. */
static void try_suboperations(void)
{
    struct xen_sysctl s = { .interface_version = XEN_SYSCTL_INTERFACE_VERSION };
    struct xen_domctl d = { .interface_version = XEN_DOMCTL_INTERFACE_VERSION };

    for (uint32_t op = 0; op < 12; op++) {
        s.cmd = XEN_SYSCTL_cpupool_op;
        s.u.cpupool_op.op = op;
        expect("cpupool_op", op, hypercall2(__HYPERVISOR_sysctl, ARG(&s), 0), -XEN_EPERM);
        s.cmd = XEN_SYSCTL_tbuf_op;
        s.u.tbuf_op.cmd = op;
        expect("tbuf_op", op, hypercall2(__HYPERVISOR_sysctl, ARG(&s), 0), -XEN_EPERM);
        s.cmd = XEN_SYSCTL_scheduler_op;
        s.u.scheduler_op.cmd = op;
        expect("scheduler_op", op, hypercall2(__HYPERVISOR_sysctl, ARG(&s), 0), -XEN_EPERM);
        d.cmd = XEN_DOMCTL_scheduler_op;
        d.domain = DOMID_SELF;
        d.u.scheduler_op.sched_id = op;
        for (d.u.scheduler_op.cmd = 0; d.u.scheduler_op.cmd < 5; d.u.scheduler_op.cmd++) {
            expect("own scheduler_op", op, hypercall2(__HYPERVISOR_domctl, ARG(&d), 0), -XEN_EPERM);
        }
        tried += 8;
    }
}

/* What is not a structure of these, but needs the same privilege. */
static void try_others(void)
{
    domid_t other = 1; /* any that there is */
    struct xen_memory_reservation more = { .nr_extents = 1, .domid = 1 };

    for (uint32_t cmd = 0; cmd < 16; cmd++) {
        expect("tarn_op", cmd, hypercall2(__HYPERVISOR_tarn_op, cmd, ARG(pages[0])), -XEN_EPERM);
    }
    for (int32_t cpu = -2; cpu < 3; cpu++) {
        struct sched_pin_override pin = { .pcpu = cpu };

        expect("pin_override", (uint32_t)cpu, sched_op(SCHEDOP_pin_override, &pin), -XEN_EPERM);
    }
    set_xen_guest_handle(more.extent_start, (xen_pfn_t *)pages[1]);
    expect("maximum_reservation", 0, memory_op(XENMEM_maximum_reservation, &other), -XEN_EPERM);
    expect("decrease_reservation", 0, memory_op(XENMEM_decrease_reservation, &more), 0);
    expect("populate_physmap", 0, memory_op(XENMEM_populate_physmap, &more), 0);
    refused("another's pointer", hypercall2(__HYPERVISOR_domctl, ~0UL << 47, 0));
}

const char *attack_privileged(void)
{
    tried = wrong = 0;
    if (start_info->flags & SIF_PRIVILEGED) {
        return NULL;
    }
    for (uint32_t cmd = 0; cmd < HIGHEST; cmd++) {
        try_domctl(cmd);
        try_sysctl(cmd);
        try_platform(cmd);
    }
    try_suboperations();
    try_others();
    printf("attack: %u privileged calls, %u answered otherwise than by a refusal\n", tried, wrong);
    return wrong ? "a privileged call was not refused" : verdict();
}
