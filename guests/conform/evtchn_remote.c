/* SPDX-License-Identifier: MIT */
/*
 * evtchn_remote.c - event channels with a second domain: ports made on its behalf, who may connect
 * to what, who keeps which right when the other side closes, resets or dies; and the domain numbers
 * that are none.
 */
#include "port.h"

#include <xen/domctl.h>

static evtchn_port_t near, far;

/* A port of ours connected to one of the remote domain. */
static void connect(void)
{
    far = (evtchn_port_t)port_alloc(REMOTE, DOMID_SELF);
    near = (evtchn_port_t)event_bind_interdomain(REMOTE, far);
}

static void both(const char *name)
{
    char text[64];

    fmt_snprintf(text, sizeof(text), "remote.%s.near", name);
    port_status(text, DOMID_SELF, near);
    fmt_snprintf(text, sizeof(text), "remote.%s.far", name);
    port_status(text, REMOTE, far);
}

static void check_connect(void)
{
    far = (evtchn_port_t)port_alloc(REMOTE, DOMID_SELF);
    result("remote.alloc.for_self", far);
    result("remote.alloc.for_0", port_alloc(REMOTE, 0));
    result("remote.alloc.for_itself", port_alloc(REMOTE, REMOTE));
    result("remote.alloc.for_other", port_alloc(REMOTE, 7));
    result("remote.alloc.own", port_alloc(0, REMOTE));
    result("remote.bind.not_for_us", event_bind_interdomain(REMOTE, 3));
    result("remote.bind.other", event_bind_interdomain(REMOTE, 4));
    result("remote.bind.closed", event_bind_interdomain(REMOTE, 5));
    result("remote.bind.ours", event_bind_interdomain(DOMID_SELF, 1));
    near = (evtchn_port_t)event_bind_interdomain(REMOTE, far);
    result("remote.bind", near);
    port_bits("remote.bind", near);
    both("bind");
    result("remote.bind.again", event_bind_interdomain(REMOTE, far));
    result("remote.send", event_send(near));
    result("remote.reset.paused", port_reset(REMOTE));
    both("reset.paused");
    result("remote.send.unbound", event_send(near));
    result("remote.alloc.first_again", port_alloc(REMOTE, DOMID_SELF));
    result("remote.close", event_close(near));
    result("remote.close.own", event_close(1));
    port_reset(REMOTE);
}

static void check_close(void)
{
    connect();
    event_close(near);
    both("close");
    near = (evtchn_port_t)event_bind_interdomain(REMOTE, far);
    result("remote.close.rebind", near);
    both("close.rebind");
    result("remote.unpause", remote_domctl(XEN_DOMCTL_unpausedomain));
    result("remote.reset.unpaused", port_reset(REMOTE));
    both("reset.unpaused");
    result("remote.send.unpaused", event_send(near));
    result("remote.pause", remote_domctl(XEN_DOMCTL_pausedomain));
    result("remote.reset.own", port_reset(DOMID_SELF));
    both("reset.own");
    near = (evtchn_port_t)event_bind_interdomain(REMOTE, far);
    result("remote.reset.own.rebind", near);
    result("remote.destroy", remote_destroy());
    port_status("remote.destroy.near", DOMID_SELF, near);
    port_status("remote.destroy.far", REMOTE, far);
    result("remote.destroy.send", event_send(near));
    result("remote.destroy.bind", event_bind_interdomain(REMOTE, far));
    result("remote.destroy.close", event_close(near));
}

/* The remote domain has 8 ports: 1 to 7. */
static void check_limit(void)
{
    result("remote.limit.create", remote_create(7));
    for (int i = 1; i < 8; i++) {
        port_alloc(REMOTE, DOMID_SELF);
    }
    result("remote.limit.full", port_alloc(REMOTE, DOMID_SELF));
    port_status("remote.limit.last", REMOTE, 7);
    port_status("remote.limit.beyond", REMOTE, 8);
    port_status("remote.limit.bucket", REMOTE, 64);
    result("remote.limit.bind.beyond", event_bind_interdomain(REMOTE, 8));
    port_reset(REMOTE);
    result("remote.limit.reset", port_alloc(REMOTE, DOMID_SELF));
    remote_destroy();
}

static void handler(const char *name, uint32_t virq, domid_t domid)
{
    static struct xen_domctl op;
    char text[64];

    memset(&op, 0, sizeof(op));
    op.cmd = XEN_DOMCTL_set_virq_handler;
    op.interface_version = XEN_DOMCTL_INTERFACE_VERSION;
    op.domain = domid;
    op.u.set_virq_handler.virq = virq;
    fmt_snprintf(text, sizeof(text), "remote.virq.%s", name);
    result(text, hypercall(__HYPERVISOR_domctl, ARG(&op), 0, 0, 0, 0));
}

/* Global VIRQs go to one domain. */
static void check_virq(void)
{
    long port = event_bind_virq(VIRQ_DOM_EXC, 0);

    result("remote.virq.create", remote_create(1023));
    result("remote.virq.bound", port);
    handler("timer", VIRQ_TIMER, REMOTE);
    handler("24", 24, REMOTE);
    handler("given", VIRQ_DOM_EXC, REMOTE);
    port_status("remote.virq.given.status", DOMID_SELF, (evtchn_port_t)port);
    result("remote.virq.given.again", event_bind_virq(VIRQ_DOM_EXC, 0));
    event_close((evtchn_port_t)port);
    port = event_bind_virq(VIRQ_DOM_EXC, 0);
    result("remote.virq.given.bind", port > 0 ? 1 : port);
    event_close((evtchn_port_t)port);
    handler("twice", VIRQ_DOM_EXC, REMOTE);
    handler("back", VIRQ_DOM_EXC, 0);
    port = event_bind_virq(VIRQ_DOM_EXC, 0);
    result("remote.virq.back.bind", port > 0 ? 1 : port);
    event_clear((evtchn_port_t)port);
    remote_destroy();
    port_bits("remote.virq.dom_exc", (evtchn_port_t)port);
    event_close((evtchn_port_t)port);
}

static void check_all_virqs(void)
{
    char name[48];

    for (unsigned int virq = 0; virq < NR_VIRQS; virq++) {
        for (unsigned int vcpu = 0; vcpu < 2; vcpu++) {
            long port = event_bind_virq(virq, vcpu);

            fmt_snprintf(name, sizeof(name), "remote.virq.%u.vcpu_%u", virq, vcpu);
            result(name, port < 0 ? port : 0);
            if (port > 0) {
                event_close((evtchn_port_t)port);
            }
        }
    }
    result("remote.virq.max", event_bind_virq(~0U, 0));
    result("remote.virq.vcpu_max", event_bind_virq(VIRQ_TIMER, ~0U));
}

/* Numbers that stand for something else than a domain. */
static void check_reserved(void)
{
    static const struct {
        const char *name;
        domid_t domid;
    } ids[] = {
        { "io", DOMID_IO },           { "xen", DOMID_XEN },   { "cow", DOMID_COW },
        { "invalid", DOMID_INVALID }, { "idle", DOMID_IDLE }, { "0x7fef", 0x7fef },
        { "0xffff", 0xffff },
    };
    char name[48];

    for (unsigned int i = 0; i < sizeof(ids) / sizeof(ids[0]); i++) {
        fmt_snprintf(name, sizeof(name), "remote.alloc.dom_%s", ids[i].name);
        result(name, port_alloc(ids[i].domid, DOMID_SELF));
        fmt_snprintf(name, sizeof(name), "remote.alloc.remote_%s", ids[i].name);
        near = (evtchn_port_t)port_alloc(DOMID_SELF, ids[i].domid);
        port_status(name, DOMID_SELF, near);
        event_close(near);
        fmt_snprintf(name, sizeof(name), "remote.bind.%s", ids[i].name);
        result(name, event_bind_interdomain(ids[i].domid, 1));
        fmt_snprintf(name, sizeof(name), "remote.status.%s", ids[i].name);
        port_status(name, ids[i].domid, 1);
        fmt_snprintf(name, sizeof(name), "remote.reset.%s", ids[i].name);
        result(name, port_reset(ids[i].domid));
    }
}

static void check_kinds(void)
{
    static const struct port_view view = { "port", port_bits_set, port_bits };

    result("port.remote", remote_create(1023));
    ports_of_all_kinds(&view);
    remote_destroy();
}

void check_evtchn_remote(void)
{
    upcalls_disable();
    port_reset(DOMID_SELF);
    check_kinds();
    result("remote.create", remote_create(1023));
    check_connect();
    check_close();
    check_limit();
    check_virq();
    check_all_virqs();
    check_reserved();
    port_reset(DOMID_SELF);
    upcalls_enable();
}

void check_events(void)
{
    check_evtchn_remote();
    check_evtchn_args();
    check_poll();
    check_areas();
}
