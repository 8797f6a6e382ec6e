/* SPDX-License-Identifier: MIT */
/*
 * domctl.c - the control domain's hypercall about domains: what it refuses, and
 * what it says of a domain that never runs. The one made here is destroyed at
 * the end; its vcpus get their contexts in domctl_vcpu.c.
 */
#include "conform.h"

#include <xen/domctl.h>

#define NO_DOMAIN 99
#define THE_DOMAIN 42

static struct xen_domctl op;

static long domctl_with(uint32_t version, uint32_t cmd, unsigned int domid)
{
    op.cmd = cmd;
    op.interface_version = version;
    op.domain = (domid_t)domid;
    return hypercall(__HYPERVISOR_domctl, ARG(&op), 0, 0, 0, 0);
}

static long domctl(uint32_t cmd, unsigned int domid)
{
    return domctl_with(XEN_DOMCTL_INTERFACE_VERSION, cmd, domid);
}

/* With no arguments but zeros. */
static long domctl_plain(uint32_t cmd, unsigned int domid)
{
    memset(&op, 0, sizeof(op));
    return domctl(cmd, domid);
}

static void result_of(const char *group, const char *name, long value)
{
    char text[64];

    fmt_snprintf(text, sizeof(text), "domctl.%s.%s", group, name);
    result(text, value);
}

static const struct {
    const char *name;
    uint32_t cmd;
} commands[] = {
    { "destroydomain", XEN_DOMCTL_destroydomain },
    { "pausedomain", XEN_DOMCTL_pausedomain },
    { "unpausedomain", XEN_DOMCTL_unpausedomain },
    { "getdomaininfo", XEN_DOMCTL_getdomaininfo },
    { "setvcpuaffinity", XEN_DOMCTL_setvcpuaffinity },
    { "shadow_op", XEN_DOMCTL_shadow_op },
    { "max_mem", XEN_DOMCTL_max_mem },
    { "setvcpucontext", XEN_DOMCTL_setvcpucontext },
    { "getvcpucontext", XEN_DOMCTL_getvcpucontext },
    { "getvcpuinfo", XEN_DOMCTL_getvcpuinfo },
    { "max_vcpus", XEN_DOMCTL_max_vcpus },
    { "scheduler_op", XEN_DOMCTL_scheduler_op },
    { "setdomainhandle", XEN_DOMCTL_setdomainhandle },
    { "setdebugging", XEN_DOMCTL_setdebugging },
    { "irq_permission", XEN_DOMCTL_irq_permission },
    { "iomem_permission", XEN_DOMCTL_iomem_permission },
    { "ioport_permission", XEN_DOMCTL_ioport_permission },
    { "hypercall_init", XEN_DOMCTL_hypercall_init },
    { "settimeoffset", XEN_DOMCTL_settimeoffset },
    { "getvcpuaffinity", XEN_DOMCTL_getvcpuaffinity },
    { "resumedomain", XEN_DOMCTL_resumedomain },
    { "sendtrigger", XEN_DOMCTL_sendtrigger },
    { "subscribe", XEN_DOMCTL_subscribe },
    { "gethvmcontext", XEN_DOMCTL_gethvmcontext },
    { "sethvmcontext", XEN_DOMCTL_sethvmcontext },
    { "set_address_size", XEN_DOMCTL_set_address_size },
    { "get_address_size", XEN_DOMCTL_get_address_size },
    { "assign_device", XEN_DOMCTL_assign_device },
    { "bind_pt_irq", XEN_DOMCTL_bind_pt_irq },
    { "memory_mapping", XEN_DOMCTL_memory_mapping },
    { "ioport_mapping", XEN_DOMCTL_ioport_mapping },
    { "set_ext_vcpucontext", XEN_DOMCTL_set_ext_vcpucontext },
    { "get_ext_vcpucontext", XEN_DOMCTL_get_ext_vcpucontext },
    { "test_assign_device", XEN_DOMCTL_test_assign_device },
    { "set_target", XEN_DOMCTL_set_target },
    { "deassign_device", XEN_DOMCTL_deassign_device },
    { "unbind_pt_irq", XEN_DOMCTL_unbind_pt_irq },
    { "get_device_group", XEN_DOMCTL_get_device_group },
    { "debug_op", XEN_DOMCTL_debug_op },
    { "gethvmcontext_partial", XEN_DOMCTL_gethvmcontext_partial },
    { "vm_event_op", XEN_DOMCTL_vm_event_op },
    { "mem_sharing_op", XEN_DOMCTL_mem_sharing_op },
    { "gettscinfo", XEN_DOMCTL_gettscinfo },
    { "settscinfo", XEN_DOMCTL_settscinfo },
    { "getpageframeinfo3", XEN_DOMCTL_getpageframeinfo3 },
    { "setvcpuextstate", XEN_DOMCTL_setvcpuextstate },
    { "getvcpuextstate", XEN_DOMCTL_getvcpuextstate },
    { "set_access_required", XEN_DOMCTL_set_access_required },
    { "audit_p2m", XEN_DOMCTL_audit_p2m },
    { "set_virq_handler", XEN_DOMCTL_set_virq_handler },
    { "set_broken_page_p2m", XEN_DOMCTL_set_broken_page_p2m },
    { "setnodeaffinity", XEN_DOMCTL_setnodeaffinity },
    { "getnodeaffinity", XEN_DOMCTL_getnodeaffinity },
    { "cacheflush", XEN_DOMCTL_cacheflush },
    { "get_vcpu_msrs", XEN_DOMCTL_get_vcpu_msrs },
    { "set_vcpu_msrs", XEN_DOMCTL_set_vcpu_msrs },
    { "setvnumainfo", XEN_DOMCTL_setvnumainfo },
    { "psr_cmt_op", XEN_DOMCTL_psr_cmt_op },
    { "monitor_op", XEN_DOMCTL_monitor_op },
    { "psr_alloc", XEN_DOMCTL_psr_alloc },
    { "soft_reset", XEN_DOMCTL_soft_reset },
    { "vuart_op", XEN_DOMCTL_vuart_op },
    { "get_cpu_policy", XEN_DOMCTL_get_cpu_policy },
    { "set_cpu_policy", XEN_DOMCTL_set_cpu_policy },
    { "vmtrace_op", XEN_DOMCTL_vmtrace_op },
    { "get_paging_mempool_size", XEN_DOMCTL_get_paging_mempool_size },
    { "set_paging_mempool_size", XEN_DOMCTL_set_paging_mempool_size },
    { "gdbsx_guestmemio", XEN_DOMCTL_gdbsx_guestmemio },
    { "gdbsx_pausevcpu", XEN_DOMCTL_gdbsx_pausevcpu },
    { "gdbsx_unpausevcpu", XEN_DOMCTL_gdbsx_unpausevcpu },
    { "gdbsx_domstatus", XEN_DOMCTL_gdbsx_domstatus },
    { "unknown_0", 0 },
    { "unknown_6", 6 },
    { "unknown_8", 8 },
    { "unknown_26", 26 },
    { "unknown_44", 44 },
    { "unknown_58", 58 },
    { "unknown_76", 76 },
    { "unknown_87", 87 },
    { "unknown_1004", 1004 },
    { "unknown_max", ~0U },
};

static void check_call(void)
{
    result("domctl.pointer.null", hypercall(__HYPERVISOR_domctl, 0, 0, 0, 0, 0));
    result("domctl.pointer.bad", hypercall(__HYPERVISOR_domctl, ARG(BAD_POINTER), 0, 0, 0, 0));
    result("domctl.pointer.xen", hypercall(__HYPERVISOR_domctl, ARG(XEN_POINTER), 0, 0, 0, 0));
    result("domctl.pointer.wrong", hypercall(__HYPERVISOR_domctl, ARG(WRONG_POINTER), 0, 0, 0, 0));
    memset(&op, 0, sizeof(op));
    result("domctl.version.0", domctl_with(0, XEN_DOMCTL_getdomaininfo, 0));
    result("domctl.version.older",
           domctl_with(XEN_DOMCTL_INTERFACE_VERSION - 1, XEN_DOMCTL_getdomaininfo, 0));
    result("domctl.version.newer",
           domctl_with(XEN_DOMCTL_INTERFACE_VERSION + 1, XEN_DOMCTL_getdomaininfo, NO_DOMAIN));
    result("domctl.version.older.unknown", domctl_with(1, 0, 0));
    for (unsigned int i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
        result_of("no_domain", commands[i].name, domctl_plain(commands[i].cmd, NO_DOMAIN));
    }
    result("domctl.getdomaininfo.self", domctl_plain(XEN_DOMCTL_getdomaininfo, DOMID_SELF));
    result("domctl.getdomaininfo.io", domctl_plain(XEN_DOMCTL_getdomaininfo, DOMID_IO));
    result("domctl.getdomaininfo.xen", domctl_plain(XEN_DOMCTL_getdomaininfo, DOMID_XEN));
    result("domctl.getdomaininfo.invalid", domctl_plain(XEN_DOMCTL_getdomaininfo, DOMID_INVALID));
    result("domctl.getdomaininfo.idle", domctl_plain(XEN_DOMCTL_getdomaininfo, DOMID_IDLE));
    result("domctl.getdomaininfo.last", domctl_plain(XEN_DOMCTL_getdomaininfo, 0x7fef));
    result("domctl.getdomaininfo.0x8000", domctl_plain(XEN_DOMCTL_getdomaininfo, 0x8000));
    result("domctl.getdomaininfo.0xffff", domctl_plain(XEN_DOMCTL_getdomaininfo, 0xffff));
    result("domctl.pause.io", domctl_plain(XEN_DOMCTL_pausedomain, DOMID_IO));
    result("domctl.destroy.io", domctl_plain(XEN_DOMCTL_destroydomain, DOMID_IO));
    result("domctl.unknown.io", domctl_plain(0, DOMID_IO));
}

/* What would stop the caller. */
static void check_own(void)
{
    result("domctl.own.destroy", domctl_plain(XEN_DOMCTL_destroydomain, 0));
    result("domctl.own.pause", domctl_plain(XEN_DOMCTL_pausedomain, 0));
    result("domctl.own.unpause", domctl_plain(XEN_DOMCTL_unpausedomain, 0));
    result("domctl.own.resume", domctl_plain(XEN_DOMCTL_resumedomain, 0));
    result("domctl.own.setvcpucontext", domctl_plain(XEN_DOMCTL_setvcpucontext, 0));
    result("domctl.own.getvcpucontext", domctl_plain(XEN_DOMCTL_getvcpucontext, 0));
    memset(&op, 0, sizeof(op));
    op.u.max_vcpus.max = 2;
    result("domctl.own.max_vcpus", domctl(XEN_DOMCTL_max_vcpus, 0));
    result("domctl.own.setdebugging", domctl_plain(XEN_DOMCTL_setdebugging, 0));
    memset(&op, 0, sizeof(op));
    op.u.address_size.size = 64;
    result("domctl.own.set_address_size", domctl(XEN_DOMCTL_set_address_size, 0));
    result("domctl.own.get_address_size", domctl_plain(XEN_DOMCTL_get_address_size, 0));
    result("domctl.own.get_address_size.size", op.u.address_size.size);
    result("domctl.own.getdomaininfo", domctl_plain(XEN_DOMCTL_getdomaininfo, 0));
    result_hex("domctl.own.getdomaininfo.flags", op.u.getdomaininfo.flags);
    result("domctl.own.getdomaininfo.online", op.u.getdomaininfo.nr_online_vcpus);
    result("domctl.own.getdomaininfo.max_vcpu_id", op.u.getdomaininfo.max_vcpu_id);
}

static void create_defaults(void)
{
    memset(&op, 0, sizeof(op));
    op.u.createdomain.max_vcpus = 2;
    op.u.createdomain.max_evtchn_port = 1023;
    op.u.createdomain.max_grant_frames = -1;
    op.u.createdomain.max_maptrack_frames = -1;
    op.u.createdomain.grant_opts = XEN_DOMCTL_GRANT_version(1);
    op.u.createdomain.handle[0] = 0xab;
}

/* A create that should fail; if it doesn't, what it made goes away again. */
static void create(const char *name, unsigned int domid)
{
    long rc = domctl(XEN_DOMCTL_createdomain, domid);

    result_of("create", name, rc);
    if (rc == 0) {
        domctl_plain(XEN_DOMCTL_destroydomain, op.domain);
    }
}

#define CREATE(name, change)     \
    do {                         \
        create_defaults();       \
        change;                  \
        create(name, NO_DOMAIN); \
    } while (0)

static void check_create(void)
{
    CREATE("flags.hvm", op.u.createdomain.flags = XEN_DOMCTL_CDF_hvm);
    CREATE("flags.hap", op.u.createdomain.flags = XEN_DOMCTL_CDF_hap);
    CREATE("flags.s3_integrity", op.u.createdomain.flags = XEN_DOMCTL_CDF_s3_integrity);
    CREATE("flags.oos_off", op.u.createdomain.flags = XEN_DOMCTL_CDF_oos_off);
    CREATE("flags.xs_domain", op.u.createdomain.flags = XEN_DOMCTL_CDF_xs_domain);
    CREATE("flags.iommu", op.u.createdomain.flags = XEN_DOMCTL_CDF_iommu);
    CREATE("flags.nested_virt", op.u.createdomain.flags = XEN_DOMCTL_CDF_nested_virt);
    CREATE("flags.vpmu", op.u.createdomain.flags = XEN_DOMCTL_CDF_vpmu);
    CREATE("flags.unknown", op.u.createdomain.flags = XEN_DOMCTL_CDF_MAX << 1);
    CREATE("flags.unknown_31", op.u.createdomain.flags = 1U << 31);
    CREATE("iommu_opts.no_iommu", op.u.createdomain.iommu_opts = XEN_DOMCTL_IOMMU_no_sharept);
    CREATE("iommu_opts.unknown", op.u.createdomain.iommu_opts = 2);
    CREATE("max_vcpus.128", op.u.createdomain.max_vcpus = 128);
    CREATE("max_vcpus.0", op.u.createdomain.max_vcpus = 0);
    CREATE("max_vcpus.too_many", op.u.createdomain.max_vcpus = 8193);
    CREATE("max_vcpus.max", op.u.createdomain.max_vcpus = ~0U);
    CREATE("cpupool.1", op.u.createdomain.cpupool_id = 1);
    CREATE("cpupool.none", op.u.createdomain.cpupool_id = ~0U);
    CREATE("grant_frames.0", op.u.createdomain.max_grant_frames = 0);
    CREATE("grant_frames.-2", op.u.createdomain.max_grant_frames = -2);
    CREATE("grant_frames.many", op.u.createdomain.max_grant_frames = 1 << 30);
    CREATE("maptrack.0", op.u.createdomain.max_maptrack_frames = 0);
    CREATE("maptrack.many", op.u.createdomain.max_maptrack_frames = 1 << 30);
    CREATE("grant_version.0", op.u.createdomain.grant_opts = 0);
    CREATE("grant_version.2", op.u.createdomain.grant_opts = 2);
    CREATE("grant_version.3", op.u.createdomain.grant_opts = 3);
    CREATE("grant_opts.unknown", op.u.createdomain.grant_opts = 0x11);
    CREATE("vmtrace.1", op.u.createdomain.vmtrace_size = 1);
    CREATE("vmtrace.4096", op.u.createdomain.vmtrace_size = 4096);
    CREATE("emulation.lapic", op.u.createdomain.arch.emulation_flags = XEN_X86_EMU_LAPIC);
    CREATE("emulation.pit", op.u.createdomain.arch.emulation_flags = XEN_X86_EMU_PIT);
    CREATE("emulation.unknown", op.u.createdomain.arch.emulation_flags = 1U << 31);
    CREATE("misc.msr_relaxed", op.u.createdomain.arch.misc_flags = XEN_X86_MSR_RELAXED);
    CREATE("misc.unknown", op.u.createdomain.arch.misc_flags = 2);
    CREATE("max_evtchn_port.0", op.u.createdomain.max_evtchn_port = 0);
    CREATE("max_evtchn_port.max", op.u.createdomain.max_evtchn_port = ~0U);
    CREATE("ssidref", op.u.createdomain.ssidref = 5);
}

static void check_ids(void)
{
    domid_t first;

    create_defaults();
    result("domctl.create.any", domctl(XEN_DOMCTL_createdomain, 0));
    first = op.domain;
    result("domctl.create.any.id", first);
    create_defaults();
    result("domctl.create.in_use", domctl(XEN_DOMCTL_createdomain, first));
    result("domctl.create.in_use.id", op.domain);
    create_defaults();
    result("domctl.create.reserved", domctl(XEN_DOMCTL_createdomain, DOMID_FIRST_RESERVED));
    result("domctl.create.reserved.id", op.domain);
    result("domctl.destroy.reserved", domctl_plain(XEN_DOMCTL_destroydomain, op.domain));
    create_defaults();
    result("domctl.create.self", domctl(XEN_DOMCTL_createdomain, DOMID_SELF));
    result("domctl.create.self.id", op.domain);
    result("domctl.destroy.self", domctl_plain(XEN_DOMCTL_destroydomain, op.domain));
    result("domctl.destroy.first", domctl_plain(XEN_DOMCTL_destroydomain, first));
    result("domctl.destroy.again", domctl_plain(XEN_DOMCTL_destroydomain, first));
    create_defaults();
    result("domctl.create.next", domctl(XEN_DOMCTL_createdomain, 0));
    result("domctl.create.next.id", op.domain);
    result("domctl.destroy.next", domctl_plain(XEN_DOMCTL_destroydomain, op.domain));
}

/* A domain may have fewer ports than there could be; somebody else makes them here. */
static void check_ports(void)
{
    struct evtchn_alloc_unbound unbound = { .dom = THE_DOMAIN, .remote_dom = DOMID_SELF };
    char name[16];

    create_defaults();
    op.u.createdomain.max_evtchn_port = 3;
    result("domctl.ports.create", domctl(XEN_DOMCTL_createdomain, THE_DOMAIN));
    for (unsigned int i = 0; i < 5; i++) {
        fmt_snprintf(name, sizeof(name), "%u", i);
        result_of("ports.alloc", name, event_op(EVTCHNOP_alloc_unbound, &unbound));
        if (i == 0) {
            result("domctl.ports.first", unbound.port);
        }
    }
    result("domctl.ports.bind", event_bind_interdomain(THE_DOMAIN, 1) > 0); /* and an upcall */
    result("domctl.ports.destroy", domctl_plain(XEN_DOMCTL_destroydomain, THE_DOMAIN));
    result("domctl.ports.destroy.again", domctl_plain(XEN_DOMCTL_destroydomain, THE_DOMAIN));
}

static void show_info(const char *name)
{
    const struct xen_domctl_getdomaininfo *i = &op.u.getdomaininfo;
    char text[64];

    memset(&op, 0x5a, sizeof(op));
    result_of("info", name, domctl(XEN_DOMCTL_getdomaininfo, THE_DOMAIN));
    fmt_snprintf(text, sizeof(text), "domctl.info.%s.flags", name);
    result_hex(text, i->flags);
    printf("T|domctl.info.%s.pages|tot %lu max %lu outstanding %lu shared %lu paged %lu\n", name,
           i->tot_pages, i->max_pages, i->outstanding_pages, i->shr_pages, i->paged_pages);
    printf("T|domctl.info.%s.vcpus|online %u max_vcpu_id %u cpu_time %lu\n", name,
           i->nr_online_vcpus, i->max_vcpu_id, i->cpu_time);
    printf("T|domctl.info.%s.rest|domain %u %u ssidref %u pool %u gpaddr %u handle %x arch %x %x\n",
           name, op.domain, i->domain, i->ssidref, i->cpupool, i->gpaddr_bits, i->handle[0],
           i->arch_config.emulation_flags, i->arch_config.misc_flags);
}

static void max_vcpus(const char *name, unsigned int max)
{
    memset(&op, 0, sizeof(op));
    op.u.max_vcpus.max = max;
    result_of("max_vcpus", name, domctl(XEN_DOMCTL_max_vcpus, THE_DOMAIN));
}

static void max_mem(const char *name, uint64_t kb)
{
    memset(&op, 0, sizeof(op));
    op.u.max_mem.max_memkb = kb;
    result_of("max_mem", name, domctl(XEN_DOMCTL_max_mem, THE_DOMAIN));
}

static void check_pause(void)
{
    unsigned int done;

    result("domctl.pause", domctl_plain(XEN_DOMCTL_pausedomain, THE_DOMAIN));
    result("domctl.pause.unpause", domctl_plain(XEN_DOMCTL_unpausedomain, THE_DOMAIN));
    show_info("paused");
    result("domctl.resume.running", domctl_plain(XEN_DOMCTL_resumedomain, THE_DOMAIN));
    result("domctl.pause.unpause.last", domctl_plain(XEN_DOMCTL_unpausedomain, THE_DOMAIN));
    show_info("unpaused");
    result("domctl.pause.unpause.none", domctl_plain(XEN_DOMCTL_unpausedomain, THE_DOMAIN));
    for (done = 0; domctl_plain(XEN_DOMCTL_pausedomain, THE_DOMAIN) == 0 && done < 1000; done++) {
    }
    result("domctl.pause.most", done);
    result("domctl.pause.too_often", domctl_plain(XEN_DOMCTL_pausedomain, THE_DOMAIN));
    for (; done > 1; done--) {
        domctl_plain(XEN_DOMCTL_unpausedomain, THE_DOMAIN);
    }
    show_info("paused_once");
}

static void check_shutdown(void)
{
    struct sched_remote_shutdown down = { .domain_id = THE_DOMAIN, .reason = SHUTDOWN_suspend };

    result("domctl.shutdown", sched_op(SCHEDOP_remote_shutdown, &down));
    show_info("shutdown");
    result("domctl.resume", domctl_plain(XEN_DOMCTL_resumedomain, THE_DOMAIN));
    show_info("resumed");
    down.reason = SHUTDOWN_crash;
    result("domctl.shutdown.crash", sched_op(SCHEDOP_remote_shutdown, &down));
    down.reason = SHUTDOWN_poweroff;
    result("domctl.shutdown.again", sched_op(SCHEDOP_remote_shutdown, &down));
    show_info("crashed");
    result("domctl.resume.crashed", domctl_plain(XEN_DOMCTL_resumedomain, THE_DOMAIN));
    show_info("resumed_crashed");
}

static void check_permissions(void)
{
    memset(&op, 0, sizeof(op));
    op.u.irq_permission.pirq = 4;
    op.u.irq_permission.allow_access = 1;
    result("domctl.irq_permission.4", domctl(XEN_DOMCTL_irq_permission, THE_DOMAIN));
    op.u.irq_permission.pirq = 5;
    result("domctl.irq_permission.5", domctl(XEN_DOMCTL_irq_permission, THE_DOMAIN));
    op.u.irq_permission.pirq = ~0U;
    result("domctl.irq_permission.max", domctl(XEN_DOMCTL_irq_permission, THE_DOMAIN));
    memset(&op, 0, sizeof(op));
    op.u.iomem_permission.first_mfn = 0xa0;
    op.u.iomem_permission.nr_mfns = 0x20;
    op.u.iomem_permission.allow_access = 1;
    result("domctl.iomem_permission.vga", domctl(XEN_DOMCTL_iomem_permission, THE_DOMAIN));
    op.u.iomem_permission.allow_access = 0;
    result("domctl.iomem_permission.deny", domctl(XEN_DOMCTL_iomem_permission, THE_DOMAIN));
    op.u.iomem_permission.first_mfn = ~0UL;
    result("domctl.iomem_permission.wraps", domctl(XEN_DOMCTL_iomem_permission, THE_DOMAIN));
    memset(&op, 0, sizeof(op));
    op.u.ioport_permission.first_port = 0x3c0;
    op.u.ioport_permission.nr_ports = 16;
    op.u.ioport_permission.allow_access = 1;
    result("domctl.ioport_permission.vga", domctl(XEN_DOMCTL_ioport_permission, THE_DOMAIN));
    op.u.ioport_permission.first_port = 0x3f8;
    op.u.ioport_permission.nr_ports = 8;
    result("domctl.ioport_permission.com1", domctl(XEN_DOMCTL_ioport_permission, THE_DOMAIN));
    op.u.ioport_permission.first_port = 0x10000;
    result("domctl.ioport_permission.beyond", domctl(XEN_DOMCTL_ioport_permission, THE_DOMAIN));
    op.u.ioport_permission.first_port = 0xfff8;
    op.u.ioport_permission.nr_ports = 9;
    result("domctl.ioport_permission.too_many", domctl(XEN_DOMCTL_ioport_permission, THE_DOMAIN));
}

static void check_small(void)
{
    memset(&op, 0, sizeof(op));
    op.u.setdomainhandle.handle[0] = 0xcd;
    result("domctl.setdomainhandle", domctl(XEN_DOMCTL_setdomainhandle, THE_DOMAIN));
    result("domctl.get_address_size", domctl_plain(XEN_DOMCTL_get_address_size, THE_DOMAIN));
    result("domctl.get_address_size.size", op.u.address_size.size);
    memset(&op, 0, sizeof(op));
    op.u.address_size.size = 64;
    result("domctl.set_address_size.64", domctl(XEN_DOMCTL_set_address_size, THE_DOMAIN));
    op.u.address_size.size = 16;
    result("domctl.set_address_size.16", domctl(XEN_DOMCTL_set_address_size, THE_DOMAIN));
    op.u.address_size.size = 0;
    result("domctl.set_address_size.0", domctl(XEN_DOMCTL_set_address_size, THE_DOMAIN));
    memset(&op, 0, sizeof(op));
    op.u.settimeoffset.time_offset_seconds = 3600;
    result("domctl.settimeoffset", domctl(XEN_DOMCTL_settimeoffset, THE_DOMAIN));
    op.u.settimeoffset.time_offset_seconds = 0;
    result("domctl.settimeoffset.0", domctl(XEN_DOMCTL_settimeoffset, THE_DOMAIN));
    result("domctl.gettscinfo", domctl_plain(XEN_DOMCTL_gettscinfo, THE_DOMAIN));
    result("domctl.gettscinfo.mode", op.u.tsc_info.tsc_mode);
    result("domctl.gettscinfo.incarnation", op.u.tsc_info.incarnation);
    result("domctl.settscinfo.default", domctl_plain(XEN_DOMCTL_settscinfo, THE_DOMAIN));
    op.u.tsc_info.tsc_mode = 1;
    result("domctl.settscinfo.emulate", domctl(XEN_DOMCTL_settscinfo, THE_DOMAIN));
    op.u.tsc_info.tsc_mode = 2;
    result("domctl.settscinfo.native", domctl(XEN_DOMCTL_settscinfo, THE_DOMAIN));
    op.u.tsc_info.tsc_mode = 3;
    result("domctl.settscinfo.3", domctl(XEN_DOMCTL_settscinfo, THE_DOMAIN));
    op.u.tsc_info.tsc_mode = 4;
    result("domctl.settscinfo.4", domctl(XEN_DOMCTL_settscinfo, THE_DOMAIN));
    memset(&op, 0, sizeof(op));
    op.u.hypercall_init.gmfn = ~0UL;
    result("domctl.hypercall_init.no_frame", domctl(XEN_DOMCTL_hypercall_init, THE_DOMAIN));
    op.u.hypercall_init.gmfn = virt_to_mfn(scratch_page);
    result("domctl.hypercall_init.foreign", domctl(XEN_DOMCTL_hypercall_init, THE_DOMAIN));
    memset(&op, 0, sizeof(op));
    op.u.sendtrigger.trigger = XEN_DOMCTL_SENDTRIGGER_POWER;
    result("domctl.sendtrigger.power", domctl(XEN_DOMCTL_sendtrigger, THE_DOMAIN));
    op.u.sendtrigger.trigger = 9;
    result("domctl.sendtrigger.unknown", domctl(XEN_DOMCTL_sendtrigger, THE_DOMAIN));
    op.u.sendtrigger.trigger = XEN_DOMCTL_SENDTRIGGER_NMI;
    op.u.sendtrigger.vcpu = 2;
    result("domctl.sendtrigger.vcpu_2", domctl(XEN_DOMCTL_sendtrigger, THE_DOMAIN));
    memset(&op, 0, sizeof(op));
    op.u.set_virq_handler.virq = VIRQ_TIMER;
    result("domctl.set_virq_handler.timer", domctl(XEN_DOMCTL_set_virq_handler, THE_DOMAIN));
    op.u.set_virq_handler.virq = 99;
    result("domctl.set_virq_handler.99", domctl(XEN_DOMCTL_set_virq_handler, THE_DOMAIN));
}

static void plain_commands(void)
{
    for (unsigned int i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
        if (commands[i].cmd != XEN_DOMCTL_destroydomain &&
            commands[i].cmd != XEN_DOMCTL_soft_reset) {
            result_of("zeros", commands[i].name, domctl_plain(commands[i].cmd, THE_DOMAIN));
        }
    }
}

void check_domctl(void)
{
    check_call();
    check_own();
    check_create();
    check_ids();
    check_ports();
    create_defaults();
    result("domctl.create", domctl(XEN_DOMCTL_createdomain, THE_DOMAIN));
    show_info("created");
    max_vcpus("0", 0);
    max_vcpus("1", 1);
    max_vcpus("3", 3);
    max_vcpus("same", 2);
    max_vcpus("again", 2);
    show_info("with_vcpus");
    max_mem("0", 0);
    max_mem("4100", 4100);
    show_info("with_memory");
    max_mem("max", ~0UL);
    max_mem("4096", 4096);
    check_small();
    check_permissions();
    check_domctl_vcpu(THE_DOMAIN);
    check_pause();
    check_shutdown();
    plain_commands();
    result("domctl.destroy", domctl_plain(XEN_DOMCTL_destroydomain, THE_DOMAIN));
    result("domctl.destroy.gone", domctl_plain(XEN_DOMCTL_destroydomain, THE_DOMAIN));
    result("domctl.getdomaininfo.gone", domctl_plain(XEN_DOMCTL_getdomaininfo, THE_DOMAIN));
}
