/* SPDX-License-Identifier: MIT */
/*
 * Raising virtual interrupts. Which port a VIRQ is bound to stands in vcpu.virq_port (of vcpu 0 for
 * the global ones); bind and close keep it under the domain's evtchn lock. Raising takes that lock
 * too: it comes from timers and from other domains' hypercalls, so nothing else keeps the table of
 * ports while the domain dies. The look before the lock is only so that VIRQs nobody asked for cost
 * nothing.
 */
#include <tarn/domain.h>

static void send(struct vcpu *v, u32 virq)
{
    struct domain *d = v->domain;
    u32 port;

    if (atomic_load(&v->virq_port[virq]) == 0) {
        return;
    }
    spin_lock(&d->evtchn.lock);
    port = v->virq_port[virq];
    if (port) {
        evtchn_set_pending(d, evtchn_at(&d->evtchn, port), port);
    }
    spin_unlock(&d->evtchn.lock);
}

void vcpu_send_virq(struct vcpu *v, u32 virq)
{
    ASSERT(virq < NR_VIRQS && !virq_is_global(virq));
    send(v, virq);
}

void domain_send_virq(struct domain *d, u32 virq)
{
    ASSERT(virq < NR_VIRQS && virq_is_global(virq));
    send(d->vcpu[0], virq);
}
