/* SPDX-License-Identifier: MIT */
/*
 * port_kinds.c - a port of each kind, made anew for each operation: what the operation returns, and
 * the bits and the status that it leaves.
 */
#include "port.h"

static const struct port_view *view;
/* The port of the case, and one that must go with it. */
static evtchn_port_t port, peer;

static void make_unbound(void)
{
    port = (evtchn_port_t)port_alloc(DOMID_SELF, DOMID_SELF);
}

static void make_unbound_remote(void)
{
    port = (evtchn_port_t)port_alloc(DOMID_SELF, REMOTE);
}

static void make_near(void)
{
    peer = (evtchn_port_t)port_alloc(DOMID_SELF, DOMID_SELF);
    port = (evtchn_port_t)event_bind_interdomain(DOMID_SELF, peer);
}

static void make_far(void)
{
    port = (evtchn_port_t)port_alloc(DOMID_SELF, DOMID_SELF);
    peer = (evtchn_port_t)event_bind_interdomain(DOMID_SELF, port);
}

static void make_left(void)
{
    make_far();
    event_close(peer);
    peer = 0;
}

static void make_remote(void)
{
    struct evtchn_alloc_unbound op = { .dom = REMOTE, .remote_dom = DOMID_SELF };

    event_op(EVTCHNOP_alloc_unbound, &op);
    port = (evtchn_port_t)event_bind_interdomain(REMOTE, op.port);
}

static void make_virq(void)
{
    port = (evtchn_port_t)event_bind_virq(VIRQ_DEBUG, 0);
}

static void make_virq_1(void)
{
    port = (evtchn_port_t)event_bind_virq(VIRQ_DEBUG, 1);
}

static void make_global(void)
{
    port = (evtchn_port_t)event_bind_virq(VIRQ_TBUF, 0);
}

static void make_ipi(void)
{
    port = (evtchn_port_t)event_bind_ipi(0);
}

static void make_ipi_1(void)
{
    port = (evtchn_port_t)event_bind_ipi(1);
}

static void make_closed(void)
{
    make_unbound();
    event_close(port);
}

static void make_never(void)
{
    port = 3000;
}

static void make_beyond(void)
{
    port = FAR_PORT;
}

static void make_zero(void)
{
    port = 0;
}

static const struct {
    const char *name;
    void (*make)(void);
    bool no_bits;
} kinds[] = {
    { "unbound", make_unbound, false }, { "unbound_remote", make_unbound_remote, false },
    { "near", make_near, false },       { "far", make_far, false },
    { "left", make_left, false },       { "remote", make_remote, false },
    { "virq", make_virq, false },       { "virq_1", make_virq_1, false },
    { "global", make_global, false },   { "ipi", make_ipi, false },
    { "ipi_1", make_ipi_1, false },     { "closed", make_closed, false },
    { "never", make_never, true },      { "beyond", make_beyond, true },
    { "zero", make_zero, true },
};

static long do_connect(void)
{
    long rc = event_bind_interdomain(DOMID_SELF, port);

    if (rc > 0) {
        peer = (evtchn_port_t)rc;
    }
    return rc;
}

static long do_send(void)
{
    return event_send(port);
}

static long do_bind_0(void)
{
    return event_bind_vcpu(port, 0);
}

static long do_bind_1(void)
{
    return event_bind_vcpu(port, 1);
}

static long do_bind_2(void)
{
    return event_bind_vcpu(port, 2);
}

static long do_priority(void)
{
    return port_priority(port, 3);
}

static long do_priority_16(void)
{
    return port_priority(port, 16);
}

static long do_poll(void)
{
    return port_poll(&port, 1, 1);
}

static long do_unmask(void)
{
    return port_unmask(port);
}

static long do_close(void)
{
    struct evtchn_close op = { .port = port };

    return event_op(EVTCHNOP_close, &op);
}

/* With the port's bits before the operation. */
static const struct {
    const char *name;
    long (*call)(void);
    bool pending, masked;
} ops[] = {
    { "send", do_send, 0, 0 },
    { "send.masked", do_send, 0, 1 },
    { "unmask", do_unmask, 0, 1 },
    { "unmask.pending", do_unmask, 1, 1 },
    { "bind_vcpu.0", do_bind_0, 0, 0 },
    { "bind_vcpu.1", do_bind_1, 1, 0 },
    { "bind_vcpu.2", do_bind_2, 0, 0 },
    { "priority", do_priority, 0, 0 },
    { "priority.16", do_priority_16, 0, 0 },
    { "poll", do_poll, 0, 1 },
    { "connect", do_connect, 0, 0 },
    { "close", do_close, 1, 1 },
};

static void one_case(unsigned int kind, unsigned int op)
{
    char name[64];

    peer = 0;
    kinds[kind].make();
    fmt_snprintf(name, sizeof(name), "%s.%s.%s", view->prefix, kinds[kind].name, ops[op].name);
    if (!kinds[kind].no_bits) {
        view->set(port, ops[op].pending, ops[op].masked);
    }
    result(name, ops[op].call());
    if (!kinds[kind].no_bits) {
        view->show(name, port);
    }
    fmt_snprintf(name, sizeof(name), "%s.%s.%s.status", view->prefix, kinds[kind].name,
                 ops[op].name);
    port_status(name, DOMID_SELF, port);
}

/* Both are closed already in some cases; what the remote domain has stays for its end. */
static void clean(unsigned int kind)
{
    if (!kinds[kind].no_bits) {
        view->set(port, false, false);
        event_close(port);
    }
    if (peer) {
        view->set(peer, false, false);
        event_close(peer);
    }
}

void ports_of_all_kinds(const struct port_view *how)
{
    view = how;
    for (unsigned int kind = 0; kind < sizeof(kinds) / sizeof(kinds[0]); kind++) {
        for (unsigned int op = 0; op < sizeof(ops) / sizeof(ops[0]); op++) {
            one_case(kind, op);
            clean(kind);
        }
    }
}
