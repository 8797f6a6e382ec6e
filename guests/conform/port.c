/* SPDX-License-Identifier: MIT */
/* port.c - operations on event channels, and what is shown of a port, for all groups. */
#include "port.h"

static uint64_t bit_of(evtchn_port_t port)
{
    return 1UL << (port % 64);
}

void port_bits_set(evtchn_port_t port, bool pending, bool masked)
{
    volatile struct vcpu_info *info = vcpu_infos[0];

    event_clear(port);
    __atomic_fetch_and(&shared->evtchn_mask[port / 64], ~bit_of(port), __ATOMIC_SEQ_CST);
    info->evtchn_pending_sel = 0;
    info->evtchn_upcall_pending = 0;
    if (pending) {
        __atomic_fetch_or(&shared->evtchn_pending[port / 64], bit_of(port), __ATOMIC_SEQ_CST);
    }
    if (masked) {
        event_mask(port);
    }
}

void port_bits(const char *name, evtchn_port_t port)
{
    volatile struct vcpu_info *info = vcpu_infos[0];

    printf("E|%s|%d %d %d %d\n", name, event_pending(port),
           !!(shared->evtchn_mask[port / 64] & bit_of(port)),
           !!(info->evtchn_pending_sel & (1UL << (port / 64))), info->evtchn_upcall_pending);
}

long port_unmask(evtchn_port_t port)
{
    struct evtchn_unmask op = { .port = port };

    return event_op(EVTCHNOP_unmask, &op);
}

long port_alloc(domid_t dom, domid_t remote)
{
    struct evtchn_alloc_unbound op = { .dom = dom, .remote_dom = remote };
    long rc = event_op(EVTCHNOP_alloc_unbound, &op);

    return rc ? rc : (long)op.port;
}

long port_reset(domid_t dom)
{
    struct evtchn_reset op = { .dom = dom };

    return event_op(EVTCHNOP_reset, &op);
}

long port_priority(evtchn_port_t port, uint32_t priority)
{
    struct evtchn_set_priority op = { .port = port, .priority = priority };

    return event_op(EVTCHNOP_set_priority, &op);
}

long port_poll(evtchn_port_t *ports, unsigned int n, uint64_t timeout)
{
    struct sched_poll op = { .nr_ports = n, .timeout = timeout };

    set_xen_guest_handle(op.ports, ports);
    return sched_op(SCHEDOP_poll, &op);
}

void port_status(const char *name, domid_t dom, evtchn_port_t port)
{
    struct evtchn_status op = { .dom = dom, .port = port, .status = 99, .vcpu = 99 };
    long rc = event_op(EVTCHNOP_status, &op);

    if (rc) {
        result(name, rc);
    } else if (op.status == EVTCHNSTAT_unbound) {
        resultf(name, "unbound vcpu %u for %u", op.vcpu, op.u.unbound.dom);
    } else if (op.status == EVTCHNSTAT_interdomain) {
        resultf(name, "interdomain vcpu %u with %u port %u", op.vcpu, op.u.interdomain.dom,
                op.u.interdomain.port);
    } else if (op.status == EVTCHNSTAT_virq) {
        resultf(name, "virq %u vcpu %u", op.u.virq, op.vcpu);
    } else {
        resultf(name, "status %u vcpu %u", op.status, op.vcpu);
    }
}
