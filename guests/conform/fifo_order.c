/* SPDX-License-Identifier: MIT */
/*
 * fifo_order.c - events by the FIFO protocol: the bits that each step leaves, and the order in
 * which ports of several priorities are delivered.
 */
#include "fifo.h"

static evtchn_port_t ipi(unsigned int vcpu, uint32_t priority)
{
    evtchn_port_t port = (evtchn_port_t)event_bind_ipi(vcpu);

    fifo_bits_set(port, false, false);
    if (priority != EVTCHN_FIFO_PRIORITY_DEFAULT) {
        port_priority(port, priority);
    }
    return port;
}

static void check_bits(void)
{
    evtchn_port_t port = ipi(0, 7);

    fifo_bits("fifo.bits.bound", port);
    result("fifo.send", event_send(port));
    fifo_bits("fifo.bits.send", port);
    result("fifo.head", fifo_control(0)->head[7]);
    result("fifo.send.again", event_send(port));
    fifo_bits("fifo.bits.send_again", port);
    fifo_deliver("fifo.delivered", 0);
    fifo_bits("fifo.bits.delivered", port);
    fifo_bits_set(port, false, true);
    result("fifo.send.masked", event_send(port));
    fifo_bits("fifo.bits.send_masked", port);
    __atomic_fetch_and(fifo_word(port), ~BIT(EVTCHN_FIFO_MASKED), __ATOMIC_SEQ_CST);
    event_send(port);
    fifo_bits("fifo.bits.send_after_lost_edge", port);
    fifo_bits_set(port, true, true);
    result("fifo.unmask.pending", port_unmask(port));
    fifo_bits("fifo.bits.unmask_pending", port);
    fifo_bits_set(port, true, false);
    result("fifo.unmask.unmasked", port_unmask(port));
    fifo_bits("fifo.bits.unmask_unmasked", port);
    fifo_bits_set(port, false, true);
    result("fifo.unmask.idle", port_unmask(port));
    fifo_bits("fifo.bits.unmask_idle", port);
    fifo_bits_set(port, false, false);
    event_send(port);
    __atomic_fetch_or(fifo_word(port), BIT(EVTCHN_FIFO_MASKED), __ATOMIC_SEQ_CST);
    fifo_deliver("fifo.masked_while_linked", 0);
    fifo_bits("fifo.bits.masked_while_linked", port);
    result("fifo.unmask.then", port_unmask(port));
    fifo_deliver("fifo.unmask.then.delivered", 0);
    fifo_bits_set(port, true, false);
    result("fifo.poll.pending", port_poll(&port, 1, 0));
    fifo_bits_set(port, false, false);
    result("fifo.poll.past", port_poll(&port, 1, 1));
    event_send(port);
    result("fifo.close.linked", event_op(EVTCHNOP_close, &(struct evtchn_close){ port }));
    fifo_bits("fifo.bits.close_linked", port);
    result("fifo.reuse.linked", event_bind_ipi(0) == (long)port);
    fifo_deliver("fifo.close.delivered", 0);
    fifo_bits("fifo.bits.close_delivered", port);
    result("fifo.reuse", event_bind_ipi(0) == (long)port);
    port_reset(DOMID_SELF);
}

/* Upcalls are raised with the first event of a queue only, and each queue has its own tail. */
static void check_queues(void)
{
    static const uint32_t priorities[] = { 7, 15, 0, 7, 0, 15, 7 };
    evtchn_port_t ports[7];
    char name[40];

    fifo_fresh(1);
    for (unsigned int i = 0; i < 7; i++) {
        ports[i] = ipi(0, priorities[i]);
    }
    for (unsigned int i = 0; i < 7; i++) {
        fmt_snprintf(name, sizeof(name), "fifo.order.send.%u", i);
        event_send(ports[i]);
        fifo_bits(name, ports[i]);
        vcpu_infos[0]->evtchn_upcall_pending = 0;
    }
    fifo_bits("fifo.order.first_of_7", ports[0]);
    resultf("fifo.order.heads", "%u %u %u", fifo_control(0)->head[0], fifo_control(0)->head[7],
            fifo_control(0)->head[15]);
    fifo_deliver("fifo.order", 0);
    for (unsigned int i = 7; i > 0; i--) {
        event_send(ports[i - 1]);
    }
    fifo_deliver("fifo.order.backwards", 0);
    resultf("fifo.order.heads.after", "%u %u %u", fifo_control(0)->head[0],
            fifo_control(0)->head[7], fifo_control(0)->head[15]);
    fifo_deliver("fifo.order.nothing", 0);
    port_reset(DOMID_SELF);
}

/* A port that is queued keeps its place when its priority or its vcpu changes. */
static void check_moves(void)
{
    evtchn_port_t a, b, far;
    long near;

    fifo_fresh(1);
    a = ipi(0, 7);
    b = ipi(0, 7);
    event_send(a);
    result("fifo.move.priority", port_priority(a, 2));
    fifo_bits("fifo.move.priority", a);
    event_send(a);
    event_send(b);
    fifo_deliver("fifo.move.priority.delivered", 0);
    event_send(b);
    event_send(a);
    fifo_deliver("fifo.move.priority.then", 0);
    far = (evtchn_port_t)port_alloc(DOMID_SELF, DOMID_SELF);
    near = event_bind_interdomain(DOMID_SELF, far);
    fifo_bits("fifo.move.near", (evtchn_port_t)near);
    fifo_bits("fifo.move.far", far);
    fifo_drain();
    event_send((evtchn_port_t)near);
    result("fifo.move.vcpu", event_bind_vcpu(far, 1));
    fifo_bits("fifo.move.vcpu", far);
    event_send((evtchn_port_t)near);
    fifo_deliver("fifo.move.vcpu.delivered.0", 0);
    fifo_deliver("fifo.move.vcpu.delivered.1", 1);
    event_send((evtchn_port_t)near);
    fifo_bits("fifo.move.vcpu.then", far);
    fifo_deliver("fifo.move.vcpu.then.0", 0);
    fifo_deliver("fifo.move.vcpu.then.1", 1);
    port_reset(DOMID_SELF);
}

static volatile unsigned int upcalls;

static void on_upcall(evtchn_port_t port)
{
    (void)port;
    upcalls++;
}

/* The upcall itself is as it was: withheld while masked, and the selector is nobody's now. */
static void check_upcall(void)
{
    evtchn_port_t port;

    fifo_fresh(1);
    port = ipi(0, 7);
    vcpu_infos[0]->evtchn_pending_sel = 0;
    event_handle(port, 0, on_upcall);
    event_send(port);
    result("fifo.upcall.withheld", vcpu_infos[0]->evtchn_upcall_pending);
    result("fifo.upcall.sel", (long)vcpu_infos[0]->evtchn_pending_sel);
    vcpu_infos[0]->evtchn_upcall_mask = 0;
    xen_version(XENVER_version, NULL);
    upcalls_disable();
    result("fifo.upcall.taken", vcpu_infos[0]->evtchn_upcall_pending);
    event_send(port);
    result("fifo.upcall.queued_already", vcpu_infos[0]->evtchn_upcall_pending);
    result("fifo.poll.nothing", sched_op(SCHEDOP_poll, &(struct sched_poll){ .timeout = 1 }));
    result("fifo.upcall.handlers", upcalls);
    event_handle(port, 0, NULL);
    port_reset(DOMID_SELF);
}

void check_fifo_order(void)
{
    fifo_fresh(1);
    check_bits();
    check_queues();
    check_moves();
    check_upcall();
}
