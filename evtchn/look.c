/* SPDX-License-Identifier: MIT */
/*
 * What is told of a port, to the control domain and the debug keys. A look takes the domain's
 * evtchn lock, and that of the port that sends.
 */
#include <tarn/domain.h>

#include <public/tarn.h>

static u32 twolevel_flags(const struct domain *d, u32 port)
{
    return (test_bit(port, d->shared_info->evtchn_pending) ? TARN_PORT_pending : 0) |
           (test_bit(port, d->shared_info->evtchn_mask) ? TARN_PORT_masked : 0);
}

/* A port without a word is as good as masked. */
static u32 fifo_flags(const struct evtchn_fifo *f, const struct fifo_port *p, u32 port)
{
    const event_word_t *word = fifo_word(f, port);
    u32 w = word ? atomic_load(word) : FIFO_MASKED | (atomic_load(&p->waiting) ? FIFO_PENDING : 0);

    return TARN_PORT_fifo | (w & FIFO_PENDING ? TARN_PORT_pending : 0) |
           (w & FIFO_MASKED ? TARN_PORT_masked : 0) | (w & FIFO_LINKED ? TARN_PORT_linked : 0);
}

static void show_counters(struct evtchn *sender, struct tarn_port *p)
{
    evtchn_lock(sender); /* all of one moment */
    p->coalesced = sender->count[EVTCHN_COALESCED];
    p->masked = sender->count[EVTCHN_MASKED];
    p->delivered = sender->count[EVTCHN_DELIVERED];
    evtchn_unlock(sender);
    p->sent = p->coalesced + p->masked + p->delivered;
}

/* Lock held. */
static void show(const struct domain *d, u32 port, struct tarn_port *p)
{
    const struct evtchn_domain *e = &d->evtchn;
    struct evtchn *chn = evtchn_at(e, port);
    struct evtchn_status st = { .port = port };
    struct domain *remote;

    (void)evtchn_port_status(e, &st, &remote);
    *p = (struct tarn_port){ .domid = p->domid,
                             .port = port,
                             .status = st.status,
                             .vcpu = st.vcpu,
                             .priority = chn->fifo.priority };
    p->flags = e->fifo ? fifo_flags(e->fifo, &chn->fifo, port) : twolevel_flags(d, port);
    switch (st.status) {
    case EVTCHNSTAT_unbound:
        p->remote_domid = st.u.unbound.dom;
        break;
    case EVTCHNSTAT_interdomain:
        p->remote_domid = remote->domid;
        p->remote_port = st.u.interdomain.port;
        break;
    case EVTCHNSTAT_virq:
        p->virq = st.u.virq;
        break;
    default:
        break;
    }
    show_counters(evtchn_sender(chn), p);
}

bool evtchn_look(struct domain *d, struct tarn_port *p)
{
    u32 port;

    spin_lock(&d->evtchn.lock);
    port = evtchn_port_next(&d->evtchn, p->port);
    if (port < EVTCHN_PORTS) {
        show(d, port, p);
    }
    spin_unlock(&d->evtchn.lock);
    return port < EVTCHN_PORTS;
}
