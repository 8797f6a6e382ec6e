/* SPDX-License-Identifier: MIT */
/* sched.c - sched_op: yield, block, poll, watchdog, override and what it refuses. */
#include "conform.h"

#include <xen/domctl.h>

static long poll(evtchn_port_t *ports, unsigned int n, uint64_t timeout)
{
    struct sched_poll op = { .nr_ports = n, .timeout = timeout };

    set_xen_guest_handle(op.ports, ports);
    return sched_op(SCHEDOP_poll, &op);
}

static void check_poll(void)
{
    static evtchn_port_t ports[129];
    evtchn_port_t port = (evtchn_port_t)event_alloc_unbound(DOMID_SELF);
    evtchn_port_t ipi = (evtchn_port_t)event_bind_ipi(0);
    uint64_t start;

    upcalls_disable();
    event_mask(ipi);
    ports[0] = ipi;
    event_send(ipi);
    result("sched.poll.pending_masked", poll(ports, 1, 0));
    event_clear(ipi);
    result("sched.poll.past", poll(ports, 1, 1));
    start = clock_now();
    result("sched.poll.timeout", poll(ports, 1, start + 5 * MS));
    result("sched.poll.timeout.slept", clock_now() >= start + 5 * MS);
    start = clock_now();
    result("sched.poll.no_ports", poll(ports, 0, start + 5 * MS));
    result("sched.poll.no_ports.slept", clock_now() >= start + 5 * MS);
    ports[0] = port;
    result("sched.poll.unbound_past", poll(ports, 1, 1));
    ports[0] = 0;
    result("sched.poll.port_0", poll(ports, 1, 1));
    ports[0] = 3000;
    result("sched.poll.closed", poll(ports, 1, 1));
    ports[0] = 0x7fffffff;
    result("sched.poll.out_of_range", poll(ports, 1, 1));
    result("sched.poll.129", poll(ports, 129, 1));
    result("sched.poll.bad_ports", poll(BAD_POINTER, 1, 1));
    result("sched.poll.bad", sched_op(SCHEDOP_poll, BAD_POINTER));
    result("sched.poll.xen", sched_op(SCHEDOP_poll, XEN_POINTER));
    event_unmask(ipi);
    event_close(ipi);
    event_close(port);
    upcalls_enable();
}

/* Block unmasks upcalls, and returns at once when one is pending. */
static void check_block(void)
{
    evtchn_port_t ipi = (evtchn_port_t)event_bind_ipi(0);

    upcalls_disable();
    event_send(ipi);
    result("sched.block.pending", sched_op(SCHEDOP_block, NULL));
    result("sched.block.mask_after", vcpu_infos[0]->evtchn_upcall_mask);
    result("sched.block.upcall_after", vcpu_infos[0]->evtchn_upcall_pending);
    event_clear(ipi);
    event_close(ipi);
    upcalls_enable();
}

static long watchdog(uint32_t id, uint32_t timeout)
{
    struct sched_watchdog op = { .id = id, .timeout = timeout };

    return sched_op(SCHEDOP_watchdog, &op);
}

static void check_watchdog(void)
{
    result("sched.watchdog.id_3", watchdog(3, 100));
    result("sched.watchdog.first", watchdog(0, 1000));
    result("sched.watchdog.second", watchdog(0, 1000));
    result("sched.watchdog.full", watchdog(0, 1000));
    result("sched.watchdog.kick", watchdog(1, 1000));
    result("sched.watchdog.stop_1", watchdog(1, 0));
    result("sched.watchdog.stop_1_again", watchdog(1, 0));
    result("sched.watchdog.kick_stopped", watchdog(1, 1000));
    result("sched.watchdog.stop_2", watchdog(2, 0));
    watchdog(1, 0);
    result("sched.watchdog.bad", sched_op(SCHEDOP_watchdog, BAD_POINTER));
}

static struct xen_domctl op;
static uint64_t hard, soft;

static long domctl(uint32_t cmd)
{
    op.cmd = cmd;
    op.interface_version = XEN_DOMCTL_INTERFACE_VERSION;
    op.domain = 0; /* this one */
    return hypercall(__HYPERVISOR_domctl, ARG(&op), 0, 0, 0, 0);
}

/* Of vcpu 0, which is the caller. */
static void affinity(const char *name, uint32_t cmd, uint32_t flags, uint64_t h, uint64_t s)
{
    struct xen_domctl_vcpuaffinity *a = &op.u.vcpuaffinity;
    long rc;

    hard = h;
    soft = s;
    memset(&op, 0, sizeof(op));
    a->flags = flags;
    a->cpumap_hard.nr_bits = a->cpumap_soft.nr_bits = 64;
    set_xen_guest_handle(a->cpumap_hard.bitmap, (uint8_t *)&hard);
    set_xen_guest_handle(a->cpumap_soft.bitmap, (uint8_t *)&soft);
    rc = domctl(cmd);
    printf("T|sched.override.%s|%ld|0x%lx 0x%lx\n", name, rc, hard, soft);
}

static void override(const char *name, int cpu)
{
    struct sched_pin_override p = { .pcpu = cpu };
    long rc = sched_op(SCHEDOP_pin_override, &p);

    memset(&op, 0, sizeof(op));
    domctl(XEN_DOMCTL_getvcpuinfo);
    printf("T|sched.override.%s|%ld\n", name, rc);
    if (rc == 0 && cpu >= 0) {
        printf("T|sched.override.%s.on|%u\n", name, op.u.getvcpuinfo.cpu);
    }
}

static void check_override(void)
{
    const uint32_t set = XEN_DOMCTL_setvcpuaffinity, get = XEN_DOMCTL_getvcpuaffinity;
    const uint32_t h = XEN_VCPUAFFINITY_HARD, s = XEN_VCPUAFFINITY_SOFT, f = XEN_VCPUAFFINITY_FORCE;

    affinity("given", set, h | s, 3, 1);
    result("sched.override.bad", sched_op(SCHEDOP_pin_override, BAD_POINTER));
    override("none", -1);
    override("none.-2", -2);
    override("64", 64);
    override("most", 0x7fffffff);
    override("1", 1);
    affinity("1.get", get, h | s, 0, 0);
    override("1.again", 1);
    override("1.0", 0);
    override("1.64", 64);
    affinity("1.set.hard", set, h, 3, 3);
    affinity("1.set.soft", set, s, 3, 3);
    affinity("1.set.wrong", set, h, 1UL << 40, 3);
    affinity("1.still", get, h | s, 0, 0);
    override("1.end", -1);
    affinity("1.end.get", get, h | s, 0, 0);
    override("0", 0);
    affinity("0.force.wrong", set, h | f, 1UL << 40, 3);
    affinity("0.force.wrong.get", get, h | s, 0, 0);
    affinity("0.force", set, f, 3, 3);
    override("0.force.end", -1);
    override("1.then", 1);
    affinity("1.force.both", set, h | s | f, 1, 3);
    override("1.force.end", -1);
    override("1.off_affinity", 1);
    override("1.off_affinity.end", -2);
    affinity("back", set, h | s, ~0UL, ~0UL);
}

void check_sched(void)
{
    struct sched_remote_shutdown remote = { .domain_id = 99, .reason = SHUTDOWN_poweroff };

    result("sched.yield", sched_op(SCHEDOP_yield, NULL));
    check_block();
    check_poll();
    check_watchdog();
    check_override();
    result("sched.shutdown.bad", sched_op(SCHEDOP_shutdown, BAD_POINTER));
    result("sched.shutdown.xen", sched_op(SCHEDOP_shutdown, XEN_POINTER));
    result("sched.remote_shutdown.no_domain", sched_op(SCHEDOP_remote_shutdown, &remote));
    result("sched.remote_shutdown.bad", sched_op(SCHEDOP_remote_shutdown, BAD_POINTER));
    result("sched.unknown.8", sched_op(8, NULL));
    result("sched.unknown.max", sched_op(0x7fffffff, NULL));
    result("sched.unknown.negative", sched_op(-1, NULL));
}
