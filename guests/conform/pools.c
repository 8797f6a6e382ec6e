/* SPDX-License-Identifier: MIT */
/*
 * pools.c - CPU pools: made, given CPUs and a domain that never runs, and taken apart again; what
 * becomes of that domain's weight and affinity. Meant for four CPUs and two vcpus. Apart from the
 * others (only=pools): Xen 4.17 can panic or hang when a CPU leaves a pool. What is known to upset
 * it surely is not asked: to remove a CPU that a vcpu is tied to by SCHEDOP_pin_override.
 */
#include "conform.h"

#include <xen/domctl.h>
#include <xen/sysctl.h>

#define ANY XEN_SYSCTL_CPUPOOL_PAR_ANY
#define DOMAIN 42
#define CREATE XEN_SYSCTL_CPUPOOL_OP_CREATE
#define DESTROY XEN_SYSCTL_CPUPOOL_OP_DESTROY
#define INFO XEN_SYSCTL_CPUPOOL_OP_INFO
#define ADD XEN_SYSCTL_CPUPOOL_OP_ADDCPU
#define REMOVE XEN_SYSCTL_CPUPOOL_OP_RMCPU
#define MOVE XEN_SYSCTL_CPUPOOL_OP_MOVEDOMAIN
#define FREE XEN_SYSCTL_CPUPOOL_OP_FREEINFO
#define PUT XEN_DOMCTL_SCHEDOP_putinfo
#define GET XEN_DOMCTL_SCHEDOP_getinfo
#define FORCE XEN_VCPUAFFINITY_FORCE
#define HARD XEN_VCPUAFFINITY_HARD
#define SOFT XEN_VCPUAFFINITY_SOFT

static struct xen_sysctl sys;
static struct xen_domctl dom;
static uint64_t map, hard, soft;

/* ---- Pools ---- */

static long pool_op(uint32_t op, uint32_t id, uint32_t value)
{
    struct xen_sysctl_cpupool_op *p = &sys.u.cpupool_op;

    memset(&sys, 0, sizeof(sys));
    sys.cmd = XEN_SYSCTL_cpupool_op;
    sys.interface_version = XEN_SYSCTL_INTERFACE_VERSION;
    p->op = op;
    p->cpupool_id = id;
    if (op == CREATE) {
        p->sched_id = value;
    } else if (op == MOVE) {
        p->domid = value;
    } else {
        p->cpu = value;
    }
    p->cpumap.nr_bits = 64;
    set_xen_guest_handle(p->cpumap.bitmap, (uint8_t *)&map);
    return hypercall2(__HYPERVISOR_sysctl, ARG(&sys), 0);
}

static void pool(const char *name, uint32_t op, uint32_t id, uint32_t value)
{
    char text[64];

    fmt_snprintf(text, sizeof(text), "pools.%s", name);
    result(text, pool_op(op, id, value));
    if (op == CREATE) {
        printf("T|pools.%s.id|%d\n", name, (int)sys.u.cpupool_op.cpupool_id);
    }
}

/* All pools, and who is in none. */
static void show_pools(const char *name)
{
    const struct xen_sysctl_cpupool_op *p = &sys.u.cpupool_op;

    for (uint32_t id = 0; pool_op(INFO, id, 0) == 0; id = p->cpupool_id + 1) {
        printf("T|pools.%s.%u|scheduler %u domains %u cpus 0x%lx\n", name, p->cpupool_id,
               p->sched_id, p->n_dom, map);
    }
    pool_op(FREE, 0, 0);
    printf("T|pools.%s.free|0x%lx\n", name, map);
}

static void check_making(void)
{
    pool("create.unknown", CREATE, ANY, 99);
    pool("create.unknown.0", CREATE, 0, 99);
    pool("create.0", CREATE, 0, XEN_SCHEDULER_CREDIT);
    pool("create.any", CREATE, ANY, XEN_SCHEDULER_CREDIT);
    pool("create.any.again", CREATE, ANY, XEN_SCHEDULER_CREDIT);
    pool("create.7", CREATE, 7, XEN_SCHEDULER_CREDIT);
    show_pools("made");
    pool("create.7.again", CREATE, 7, XEN_SCHEDULER_CREDIT);
    pool("destroy.2", DESTROY, 2, 0);
    pool("destroy.2.again", DESTROY, 2, 0);
    pool("destroy.any", DESTROY, ANY, 0);
    pool("destroy.0", DESTROY, 0, 0);
    pool("create.after_7", CREATE, ANY, XEN_SCHEDULER_CREDIT);
    pool("destroy.8", DESTROY, 8, 0);
    pool("create.after_8_gone", CREATE, ANY, XEN_SCHEDULER_CREDIT);
    show_pools("made.then");
    pool("destroy.9", DESTROY, sys.u.cpupool_op.cpupool_id, 0);
    for (uint32_t id = 1; id < 12; id++) {
        pool_op(DESTROY, id, 0);
    }
    show_pools("unmade");
}

static void check_full(void)
{
    long rc = 0;
    int made = 0;

    for (uint32_t id = 20; id < 60 && rc == 0; id++) {
        rc = pool_op(CREATE, id, XEN_SCHEDULER_CREDIT);
        made += rc == 0;
    }
    result("pools.full", rc);
    result("pools.full.made", made);
    pool("full.exists", CREATE, 20, XEN_SCHEDULER_CREDIT);
    pool("full.unknown", CREATE, ANY, 99);
    for (uint32_t id = 20; id < 60; id++) {
        pool_op(DESTROY, id, 0);
    }
    pool("create.last", CREATE, 0xfffffffe, XEN_SCHEDULER_CREDIT);
    pool("create.wrapped", CREATE, ANY, XEN_SCHEDULER_CREDIT);
    pool_op(DESTROY, sys.u.cpupool_op.cpupool_id, 0);
    pool("destroy.last", DESTROY, 0xfffffffe, 0);
    show_pools("full.after");
}

static void check_cpus(void)
{
    pool("add.no_pool", ADD, 5, 3);
    pool("add.no_pool.any", ADD, 5, ANY);
    pool("add.member", ADD, 0, 3);
    pool("add.64", ADD, 0, 64);
    pool("add.64.no_pool", ADD, 5, 64);
    pool("add.any.none", ADD, 0, ANY);
    pool("remove.no_pool", REMOVE, 5, 3);
    pool("remove.no_pool.any", REMOVE, 5, ANY);
    pool("remove.0", REMOVE, 0, 0);
    pool("remove.64", REMOVE, 0, 64);
    pool("remove.64.no_pool", REMOVE, 5, 64);
    pool("remove.any", REMOVE, 0, ANY);
    show_pools("remove.any");
    pool("remove.2", REMOVE, 0, 2);
    pool("remove.2.again", REMOVE, 0, 2);
    show_pools("remove.2");
    pool("create.credit", CREATE, 1, XEN_SCHEDULER_CREDIT);
    pool("create.credit.2", CREATE, 2, XEN_SCHEDULER_CREDIT);
    pool("remove.not_member", REMOVE, 1, 1);
    pool("remove.empty.any", REMOVE, 1, ANY);
    pool("remove.free", REMOVE, 1, 2);
    pool("add.1.any", ADD, 1, ANY);
    show_pools("add.1.any");
    pool("add.1.of_0", ADD, 1, 1);
    pool("add.0.of_1", ADD, 0, 2);
    pool("destroy.with_cpu", DESTROY, 1, 0);
    pool("add.2", ADD, 2, 3);
    show_pools("add.2");
    pool("unknown", 77, 0, 0);
}

/* ---- Domains in them ---- */

static long domctl(uint32_t cmd)
{
    dom.cmd = cmd;
    dom.interface_version = XEN_DOMCTL_INTERFACE_VERSION;
    dom.domain = DOMAIN;
    return hypercall(__HYPERVISOR_domctl, ARG(&dom), 0, 0, 0, 0);
}

static void create(const char *name, uint32_t in)
{
    char text[64];

    memset(&dom, 0, sizeof(dom));
    dom.u.createdomain.max_vcpus = 2;
    dom.u.createdomain.max_evtchn_port = 1023;
    dom.u.createdomain.max_grant_frames = -1;
    dom.u.createdomain.max_maptrack_frames = -1;
    dom.u.createdomain.grant_opts = XEN_DOMCTL_GRANT_version(1);
    dom.u.createdomain.cpupool_id = in;
    fmt_snprintf(text, sizeof(text), "pools.domain.%s", name);
    result(text, domctl(XEN_DOMCTL_createdomain));
}

static void show(const char *name, long rc, unsigned long a, unsigned long b)
{
    printf("T|pools.%s|%ld|0x%lx 0x%lx\n", name, rc, a, b);
}

static void affinity(const char *name, bool set, uint32_t flags, uint64_t h, uint64_t s)
{
    struct xen_domctl_vcpuaffinity *a = &dom.u.vcpuaffinity;
    long rc;

    hard = h;
    soft = s;
    memset(&dom, 0, sizeof(dom));
    a->flags = flags;
    a->cpumap_hard.nr_bits = a->cpumap_soft.nr_bits = 64;
    set_xen_guest_handle(a->cpumap_hard.bitmap, (uint8_t *)&hard);
    set_xen_guest_handle(a->cpumap_soft.bitmap, (uint8_t *)&soft);
    rc = domctl(set ? XEN_DOMCTL_setvcpuaffinity : XEN_DOMCTL_getvcpuaffinity);
    show(name, rc, hard, soft);
}

static void credit(const char *name, uint32_t cmd, unsigned int weight, unsigned int cap)
{
    struct xen_domctl_scheduler_op *s = &dom.u.scheduler_op;
    long rc;

    memset(&dom, 0, sizeof(dom));
    s->sched_id = XEN_SCHEDULER_CREDIT;
    s->cmd = cmd;
    s->u.credit.weight = (uint16_t)weight;
    s->u.credit.cap = (uint16_t)cap;
    rc = domctl(XEN_DOMCTL_scheduler_op);
    show(name, rc, s->u.credit.weight, s->u.credit.cap);
}

static void check_domain(void)
{
    create("no_pool", 5);
    pool("create.empty", CREATE, 3, XEN_SCHEDULER_CREDIT);
    create("empty_pool", 3);
    create("pool_0", 0);
    create("again", 0);
    create("again.no_pool", 5);
    memset(&dom, 0, sizeof(dom));
    dom.u.max_vcpus.max = 2;
    result("pools.domain.max_vcpus", domctl(XEN_DOMCTL_max_vcpus));
    pool("move.no_domain", MOVE, 1, 77);
    pool("move.no_domain.no_pool", MOVE, 5, 77);
    pool("move.self", MOVE, 1, 0);
    pool("move.self.same", MOVE, 0, 0);
    pool("move.domid_self", MOVE, 1, DOMID_SELF);
    pool("move.no_pool", MOVE, 5, DOMAIN);
    pool("move.empty", MOVE, 3, DOMAIN);
    pool("move.same", MOVE, 0, DOMAIN);
    pool("destroy.empty", DESTROY, 3, 0);
}

static void check_affinity(void)
{
    credit("credit.put", PUT, 512, 50);
    affinity("affinity.inside", true, HARD | SOFT, 3, 1);
    affinity("affinity.part", true, HARD | SOFT, 6, 4);
    affinity("affinity.part.get", false, HARD | SOFT, 0, 0);
    affinity("affinity.outside", true, HARD, 0xc, 0);
    affinity("affinity.outside.soft", true, SOFT, 0, 0xc);
    affinity("affinity.outside.both", true, HARD | SOFT, 0xc, 1);
    affinity("affinity.after", false, HARD | SOFT, 0, 0);
    affinity("affinity.none", true, 0, 1, 1);
    affinity("affinity.force", true, FORCE, 1, 1);
    affinity("affinity.force.hard", true, FORCE | HARD, 2, 1);
    affinity("affinity.force.after", false, HARD | SOFT, 0, 0);
    pool("move.credit", MOVE, 1, DOMAIN);
    affinity("move.credit.affinity", false, HARD | SOFT, 0, 0);
    credit("move.credit.get", GET, 0, 0);
    affinity("affinity.1.outside", true, HARD, 3, 0);
    affinity("affinity.1.inside", true, HARD | SOFT, 0xf, 3);
    pool("remove.last", REMOVE, 1, 2);
    pool("remove.last.any", REMOVE, 1, ANY);
    pool("destroy.1", DESTROY, 1, 0);
    show_pools("move.credit");
}

/* ---- A pool's parameters ---- */

static void global(const char *name, uint32_t in, uint32_t sched)
{
    struct xen_sysctl_scheduler_op *s = &sys.u.scheduler_op;
    char text[64];

    for (uint32_t cmd = 0; cmd < 3; cmd++) {
        memset(&sys, 0, sizeof(sys));
        sys.cmd = XEN_SYSCTL_scheduler_op;
        sys.interface_version = XEN_SYSCTL_INTERFACE_VERSION;
        s->cpupool_id = in;
        s->sched_id = sched;
        s->cmd = cmd;
        s->u.sched_credit.tslice_ms = 30;
        s->u.sched_credit.ratelimit_us = 1000;
        fmt_snprintf(text, sizeof(text), "pools.global.%s.%u", name, cmd);
        result(text, hypercall2(__HYPERVISOR_sysctl, ARG(&sys), 0));
    }
}

static void check_global(void)
{
    global("credit", 1, XEN_SCHEDULER_CREDIT);
    global("credit_as_rtds", 1, XEN_SCHEDULER_RTDS);
    global("no_pool", 5, XEN_SCHEDULER_CREDIT);
    global("any_pool", ANY, XEN_SCHEDULER_CREDIT);
    global("unknown", 0, 99);
}

/* ---- CPUs out of service ---- */

static void hotplug(const char *name, uint32_t cpu, uint32_t op)
{
    char text[64];

    memset(&sys, 0, sizeof(sys));
    sys.cmd = XEN_SYSCTL_cpu_hotplug;
    sys.interface_version = XEN_SYSCTL_INTERFACE_VERSION;
    sys.u.cpu_hotplug.cpu = cpu;
    sys.u.cpu_hotplug.op = op;
    fmt_snprintf(text, sizeof(text), "hotplug.%s", name);
    printf("T|pools.%s|%ld\n", text, hypercall2(__HYPERVISOR_sysctl, ARG(&sys), 0));
    show_pools(text);
}

static void check_hotplug(void)
{
    const uint32_t on = XEN_SYSCTL_CPU_HOTPLUG_ONLINE, off = XEN_SYSCTL_CPU_HOTPLUG_OFFLINE;

    hotplug("off.0", 0, off);
    hotplug("off.other_pool", 3, off);
    hotplug("off.of_none", 2, off);
    pool("add.offline", ADD, 0, 2);
    pool("add.offline.any", ADD, 0, ANY);
    pool("remove.offline", REMOVE, 0, 2);
    hotplug("on.of_none", 2, on);
    hotplug("off.pool_0", 2, off);
    hotplug("on.pool_0", 2, on);
}

void check_pools(void)
{
    show_pools("first");
    check_making();
    check_full();
    check_cpus();
    check_domain();
    check_affinity();
    check_global();
    pool("move.back", MOVE, 0, DOMAIN);
    pool("remove.1.last", REMOVE, 1, ANY);
    pool("destroy.1.empty", DESTROY, 1, 0);
    show_pools("back");
    check_hotplug();
    memset(&dom, 0, sizeof(dom));
    result("pools.domain.destroy", domctl(XEN_DOMCTL_destroydomain));
}
