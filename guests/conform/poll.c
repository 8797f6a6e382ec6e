/* SPDX-License-Identifier: MIT */
/*
 * poll.c - sched_op's poll in full, the older sched_op, and what is asked of another domain's life:
 * remote_shutdown with each reason, and the codes that a domain may latch for itself.
 */
#include "port.h"

#include <xen/domctl.h>

/* Number of the older sched_op, which has three commands. */
#define SCHED_OP_COMPAT 6

static evtchn_port_t ports[200];

static bool slept(uint64_t since, uint64_t nanoseconds)
{
    return clock_now() - since >= nanoseconds;
}

static void check_ports(void)
{
    evtchn_port_t ipi = (evtchn_port_t)event_bind_ipi(0), other = (evtchn_port_t)event_bind_ipi(1);
    uint64_t start;

    for (unsigned int i = 0; i < 200; i++) {
        ports[i] = ipi;
    }
    port_bits_set(ipi, false, true);
    port_bits_set(other, false, true);
    result("poll.128", port_poll(ports, 128, 1));
    result("poll.129", port_poll(ports, 129, 1));
    result("poll.max", port_poll(ports, ~0U, 1));
    result("poll.129.bad", port_poll(BAD_POINTER, 129, 1));
    result("poll.none.bad", port_poll(BAD_POINTER, 0, 1));
    result("poll.none.xen", port_poll(XEN_POINTER, 0, 1));
    result("poll.one.xen", port_poll(XEN_POINTER, 1, 1));
    result("poll.none.null", port_poll(NULL, 0, 1));
    ports[127] = other;
    event_send(other);
    start = clock_now();
    result("poll.last_pending", port_poll(ports, 128, start + 10 * SEC));
    result("poll.last_pending.slept", slept(start, 10 * SEC));
    ports[64] = 0;
    result("poll.bad_before_pending", port_poll(ports, 128, 1));
    ports[64] = ipi;
    ports[0] = other;
    ports[1] = 3000;
    result("poll.bad_after_pending", port_poll(ports, 128, 1));
    vcpu_infos[0]->evtchn_upcall_pending = 1;
    ports[1] = ipi;
    ports[0] = ipi;
    start = clock_now();
    result("poll.upcall_masked", port_poll(ports, 1, start + 2 * MS));
    result("poll.upcall_masked.slept", slept(start, 2 * MS));
    vcpu_infos[0]->evtchn_upcall_pending = 0;
    port_bits_set(ipi, true, false);
    result("poll.pending_unmasked", port_poll(ports, 1, 0));
    event_close(ipi);
    event_close(other);
    vcpu_infos[1]->evtchn_pending_sel = 0;
    vcpu_infos[1]->evtchn_upcall_pending = 0;
}

/* An upcall that could be delivered ends a poll at once; the guest has set it by hand. */
static void check_upcall(void)
{
    uint64_t start = clock_now();

    vcpu_infos[0]->evtchn_pending_sel = 0;
    vcpu_infos[0]->evtchn_upcall_pending = 1;
    vcpu_infos[0]->evtchn_upcall_mask = 0;
    result("poll.upcall", port_poll(ports, 0, start + 10 * SEC));
    result("poll.upcall.slept", slept(start, 10 * SEC));
    upcalls_disable();
    result("poll.upcall.pending", vcpu_infos[0]->evtchn_upcall_pending);
    start = clock_now();
    result("poll.negative", port_poll(ports, 0, ~0UL));
    result("poll.negative.slept", slept(start, 10 * SEC));
}

/* Each kind of port can be polled that is open. */
static void check_kinds(void)
{
    evtchn_port_t virq = (evtchn_port_t)event_bind_virq(VIRQ_TIMER, 0);
    uint64_t start = clock_now();

    port_bits_set(virq, false, true);
    ports[0] = virq;
    set_timer_op(start + 3 * MS);
    result("poll.timer", port_poll(ports, 1, start + 20 * SEC));
    result("poll.timer.woken", !slept(start, 19 * SEC));
    result("poll.timer.slept", slept(start, 3 * MS));
    port_bits("poll.timer", virq);
    event_clear(virq);
    set_timer_op(start + 60 * SEC);
    start = clock_now();
    result("poll.timeout_before_timer", port_poll(ports, 1, start + MS));
    set_timer_op(0);
    event_close(virq);
    result("poll.closed", port_poll(ports, 1, 1));
}

static long compat(int cmd, unsigned long arg)
{
    return hypercall2(SCHED_OP_COMPAT, ARG(cmd), arg);
}

static void check_compat(void)
{
    evtchn_port_t ipi = (evtchn_port_t)event_bind_ipi(0);

    port_bits_set(ipi, false, false);
    result("sched_compat.yield", compat(SCHEDOP_yield, 0));
    event_send(ipi);
    result("sched_compat.block", compat(SCHEDOP_block, 0));
    upcalls_disable();
    event_clear(ipi);
    event_close(ipi);
    result("sched_compat.poll", compat(SCHEDOP_poll, 0));
    result("sched_compat.unknown", compat(77, 0));
}

static void show_flags(const char *name, domid_t domid)
{
    static struct xen_domctl op;

    memset(&op, 0, sizeof(op));
    op.cmd = XEN_DOMCTL_getdomaininfo;
    op.interface_version = XEN_DOMCTL_INTERFACE_VERSION;
    op.domain = domid;
    hypercall(__HYPERVISOR_domctl, ARG(&op), 0, 0, 0, 0);
    resultf(name, "flags 0x%x", op.u.getdomaininfo.flags);
}

static long remote_shutdown(domid_t domid, unsigned int reason)
{
    struct sched_remote_shutdown op = { .domain_id = domid, .reason = reason };

    return sched_op(SCHEDOP_remote_shutdown, &op);
}

static void check_shutdown(void)
{
    static const unsigned int reasons[] = { 0, 1, 2, 3, 4, 5, 6, 254, 255, 256, 0x101, ~0U };
    char name[48];

    for (unsigned int i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++) {
        remote_create(1023);
        fmt_snprintf(name, sizeof(name), "remote_shutdown.%u", reasons[i]);
        result(name, remote_shutdown(REMOTE, reasons[i]));
        fmt_snprintf(name, sizeof(name), "remote_shutdown.%u.flags", reasons[i]);
        show_flags(name, REMOTE);
        remote_destroy();
    }
    result("remote_shutdown.gone", remote_shutdown(REMOTE, SHUTDOWN_poweroff));
    result("remote_shutdown.io", remote_shutdown(DOMID_IO, SHUTDOWN_poweroff));
    result("remote_shutdown.invalid", remote_shutdown(DOMID_INVALID, SHUTDOWN_poweroff));
    result("remote_shutdown.idle", remote_shutdown(DOMID_IDLE, SHUTDOWN_poweroff));
    result("remote_shutdown.0xffff", remote_shutdown(0xffff, SHUTDOWN_poweroff));
}

/* Power-off is how this guest ends anyhow. */
static void check_code(void)
{
    struct sched_shutdown op = { .reason = SHUTDOWN_poweroff };

    result("shutdown_code.bad", sched_op(SCHEDOP_shutdown_code, BAD_POINTER));
    result("shutdown_code.xen", sched_op(SCHEDOP_shutdown_code, XEN_POINTER));
    show_flags("shutdown_code.none", 0);
    result("shutdown_code.poweroff", sched_op(SCHEDOP_shutdown_code, &op));
    show_flags("shutdown_code.poweroff.flags", 0);
    result("shutdown_code.poweroff.again", sched_op(SCHEDOP_shutdown_code, &op));
    op.reason = SHUTDOWN_crash;
    result("shutdown_code.other", sched_op(SCHEDOP_shutdown_code, &op));
    show_flags("shutdown_code.other.flags", 0);
}

void check_poll(void)
{
    upcalls_disable();
    check_ports();
    check_upcall();
    check_kinds();
    check_compat();
    check_shutdown();
    check_code();
    upcalls_enable();
}
