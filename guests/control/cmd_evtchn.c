/* SPDX-License-Identifier: MIT */
/*
 * cmd_evtchn.c - evtchn-list: the ports of a domain, with what lies at their other ends, their bits
 * and what became of the events that came to them. It asks the hypervisor for one port after the
 * other, so a port that changes meanwhile is shown as it was when its turn came.
 */
#include "shell.h"

#include <tarn.h>

#define STATE_TEXT 16u

static const char *state_name(uint32_t status)
{
    static const char *const names[] = {
        [EVTCHNSTAT_closed] = "closed",
        [EVTCHNSTAT_unbound] = "unbound",
        [EVTCHNSTAT_interdomain] = "interdomain",
        [EVTCHNSTAT_pirq] = "pirq",
        [EVTCHNSTAT_virq] = "virq",
        [EVTCHNSTAT_ipi] = "ipi",
    };

    return status < ARRAY_SIZE(names) ? names[status] : "?";
}

static const char *virq_name(uint32_t virq)
{
    static const char *const names[] = {
        [VIRQ_TIMER] = "timer",
        [VIRQ_DEBUG] = "debug",
        [VIRQ_CONSOLE] = "console",
        [VIRQ_DOM_EXC] = "dom_exc",
        [VIRQ_TBUF] = "tbuf",
        [VIRQ_DEBUGGER] = "debugger",
        [VIRQ_XENOPROF] = "xenoprof",
        [VIRQ_CON_RING] = "con_ring",
        [VIRQ_PCPU_STATE] = "pcpu_state",
        [VIRQ_MEM_EVENT] = "mem_event",
        [VIRQ_ARGO] = "argo",
        [VIRQ_ENOMEM] = "enomem",
        [VIRQ_XENPMU] = "xenpmu",
    };

    return virq < ARRAY_SIZE(names) && names[virq] ? names[virq] : "";
}

/* "d3:p7", whose the other end is; "d3", who may bind to it; the VIRQ. */
static void peer_format(const struct tarn_port *p, char text[STATE_TEXT])
{
    switch (p->status) {
    case EVTCHNSTAT_unbound:
        fmt_snprintf(text, STATE_TEXT, "d%u", p->remote_domid);
        break;
    case EVTCHNSTAT_interdomain:
        fmt_snprintf(text, STATE_TEXT, "d%u:p%u", p->remote_domid, p->remote_port);
        break;
    case EVTCHNSTAT_virq:
        fmt_snprintf(text, STATE_TEXT, *virq_name(p->virq) ? "%s" : "%s%u", virq_name(p->virq),
                     p->virq);
        break;
    default:
        str_copy(text, "-", STATE_TEXT);
        break;
    }
}

static void port_line(const struct tarn_port *p)
{
    char peer[STATE_TEXT];

    peer_format(p, peer);
    out("%6u %4u %-11s %-13s %4u %c%c%c %10lu %10lu %10lu %10lu\n", p->port, p->vcpu,
        state_name(p->status), peer, p->priority, p->flags & TARN_PORT_pending ? 'P' : '-',
        p->flags & TARN_PORT_masked ? 'M' : '-', p->flags & TARN_PORT_linked ? 'L' : '-', p->sent,
        p->coalesced, p->masked, p->delivered);
}

static void port_details(const struct tarn_port *p)
{
    json_object();
    json_count("port", p->port);
    json_count("vcpu", p->vcpu);
    json_text("state", state_name(p->status));
    if (p->status == EVTCHNSTAT_unbound || p->status == EVTCHNSTAT_interdomain) {
        json_count("remote_domid", p->remote_domid);
    }
    if (p->status == EVTCHNSTAT_interdomain) {
        json_count("remote_port", p->remote_port);
    } else if (p->status == EVTCHNSTAT_virq) {
        json_count("virq", p->virq);
        json_text("virq_name", virq_name(p->virq));
    }
    json_text("protocol", p->flags & TARN_PORT_fifo ? "fifo" : "two-level");
    json_count("priority", p->priority);
    json_count("pending", !!(p->flags & TARN_PORT_pending));
    json_count("masked", !!(p->flags & TARN_PORT_masked));
    json_count("linked", !!(p->flags & TARN_PORT_linked));
    json_count("sent", p->sent);
    json_count("coalesced", p->coalesced);
    json_count("sent_masked", p->masked);
    json_count("delivered", p->delivered);
    json_end();
}

/* -ENOENT behind the last. */
static long ports_print(domid_t domid, bool details)
{
    struct tarn_port p = { .domid = domid };
    long rc;

    while ((rc = hypercall2(__HYPERVISOR_tarn_op, TARN_OP_get_port, ARG(&p))) == 0) {
        if (details) {
            port_details(&p);
        } else {
            port_line(&p);
        }
        p.port++;
    }
    return rc;
}

static int run_evtchn_list(int argc, char **argv)
{
    const struct domain *d;
    struct options o;
    uint64_t flags;
    bool details;
    long rc;

    if (!options_flags(&o, argc, argv, "j", "json=j", &flags) || o.nr_rest != 1) {
        return USAGE;
    }
    d = domain_named(o.rest[0]);
    if (!d) {
        return 1;
    }
    details = shell_json || flags;
    if (details) {
        json_array();
    } else {
        out("%6s %4s %-11s %-13s %4s %s %10s %10s %10s %10s\n", "Port", "VCPU", "State", "Peer",
            "Prio", "PML", "Sent", "Coalesced", "Masked", "Delivered");
    }
    rc = ports_print(d->domid, details);
    if (details) {
        json_done();
    }
    return rc == -XEN_ENOENT ? 0 : fail_errno(rc, "%s: its ports", d->name);
}

const struct command cmd_evtchn_list = {
    .name = "evtchn-list",
    .usage = "[-j] DOMAIN",
    .help =
        "event channels: vcpu, other end, bits (Pending, Masked, Linked), what became of events",
    .run = run_evtchn_list,
};
