/* SPDX-License-Identifier: MIT */
/*
 * evtchn.c - event_channel_op: every operation with its errors, and the bits
 * that each way of raising an event leaves behind. Upcalls stay masked.
 */
#include "port.h"

static evtchn_port_t ipi;

static uint64_t bit_of(evtchn_port_t port)
{
    return 1UL << (port % 64);
}

static void check_bits(void)
{
    volatile struct vcpu_info *info = vcpu_infos[0];

    ipi = (evtchn_port_t)event_bind_ipi(0);
    port_bits_set(ipi, false, false);
    port_bits("evtchn.bits.idle", ipi);
    result("evtchn.send.unmasked", event_send(ipi));
    port_bits("evtchn.bits.send_unmasked", ipi);
    info->evtchn_pending_sel = 0;
    info->evtchn_upcall_pending = 0;
    result("evtchn.send.pending", event_send(ipi));
    port_bits("evtchn.bits.send_pending", ipi);

    port_bits_set(ipi, false, true);
    result("evtchn.send.masked", event_send(ipi));
    port_bits("evtchn.bits.send_masked", ipi);
    __atomic_fetch_and(&shared->evtchn_mask[ipi / 64], ~bit_of(ipi), __ATOMIC_SEQ_CST);
    port_bits("evtchn.bits.unmask_in_memory", ipi);
    event_send(ipi);
    port_bits("evtchn.bits.send_after_lost_edge", ipi);

    /* The selector set already: the upcall is not raised again. */
    port_bits_set(ipi, false, false);
    info->evtchn_pending_sel = 1UL << (ipi / 64);
    event_send(ipi);
    port_bits("evtchn.bits.send_sel_set", ipi);

    port_bits_set(ipi, true, true);
    result("evtchn.unmask.pending", port_unmask(ipi));
    port_bits("evtchn.bits.unmask_pending", ipi);
    port_bits_set(ipi, true, false);
    result("evtchn.unmask.unmasked", port_unmask(ipi));
    port_bits("evtchn.bits.unmask_unmasked_pending", ipi);
    port_bits_set(ipi, false, true);
    result("evtchn.unmask.idle", port_unmask(ipi));
    port_bits("evtchn.bits.unmask_idle", ipi);
    port_bits_set(ipi, false, false);
    result("evtchn.unmask.port_0", port_unmask(0));
    result("evtchn.unmask.closed", port_unmask(3000));
    result("evtchn.unmask.out_of_range", port_unmask(0x7fffffff));
}

static volatile unsigned int upcalls;

static void on_event(evtchn_port_t port)
{
    (void)port;
    upcalls++;
    result("evtchn.upcall.mask_inside", vcpu_infos[0]->evtchn_upcall_mask);
    result("evtchn.upcall.pending_inside", vcpu_infos[0]->evtchn_upcall_pending);
}

/* Delivery is withheld while the upcall mask is set, and comes with the next exit. */
static void check_upcall(void)
{
    port_bits_set(ipi, false, false);
    event_handle(ipi, 0, on_event);
    event_send(ipi);
    port_bits("evtchn.bits.upcall_withheld", ipi);
    result("evtchn.upcall.withheld", upcalls);
    vcpu_infos[0]->evtchn_upcall_mask = 0;
    xen_version(XENVER_version, NULL);
    result("evtchn.upcall.delivered", upcalls);
    result("evtchn.upcall.mask_after", vcpu_infos[0]->evtchn_upcall_mask);
    event_send(ipi);
    result("evtchn.upcall.at_once", upcalls);
    upcalls_disable();
    event_handle(ipi, 0, NULL);
}

static void check_interdomain(void)
{
    long far = port_alloc(DOMID_SELF, DOMID_SELF), near;

    result("evtchn.alloc.first", far);
    port_status("evtchn.status.unbound", DOMID_SELF, (evtchn_port_t)far);
    result("evtchn.send.unbound", event_send((evtchn_port_t)far));
    port_bits("evtchn.bits.send_unbound", (evtchn_port_t)far);
    result("evtchn.bind_interdomain.port_0", event_bind_interdomain(DOMID_SELF, 0));
    result("evtchn.bind_interdomain.closed", event_bind_interdomain(DOMID_SELF, 50));
    result("evtchn.bind_interdomain.out_of_range", event_bind_interdomain(DOMID_SELF, 0x7fffffff));
    result("evtchn.bind_interdomain.no_domain", event_bind_interdomain(99, 1));
    near = event_bind_interdomain(DOMID_SELF, (evtchn_port_t)far);
    result("evtchn.bind_interdomain", near);
    port_bits("evtchn.bits.bind_interdomain_near", (evtchn_port_t)near);
    port_bits("evtchn.bits.bind_interdomain_far", (evtchn_port_t)far);
    result("evtchn.bind_interdomain.again", event_bind_interdomain(DOMID_SELF, (evtchn_port_t)far));
    port_status("evtchn.status.interdomain", DOMID_SELF, (evtchn_port_t)near);
    port_bits_set((evtchn_port_t)near, false, false);
    port_bits_set((evtchn_port_t)far, false, false);
    result("evtchn.send.interdomain", event_send((evtchn_port_t)near));
    port_bits("evtchn.bits.send_interdomain_near", (evtchn_port_t)near);
    port_bits("evtchn.bits.send_interdomain_far", (evtchn_port_t)far);

    result("evtchn.bind_vcpu", event_bind_vcpu((evtchn_port_t)far, 1));
    port_status("evtchn.status.moved", DOMID_SELF, (evtchn_port_t)far);
    port_bits_set((evtchn_port_t)far, false, false);
    event_send((evtchn_port_t)near);
    port_bits("evtchn.bits.send_to_vcpu_1", (evtchn_port_t)far);
    result("evtchn.bind_vcpu.sel_of_1", (long)vcpu_infos[1]->evtchn_pending_sel);
    result("evtchn.bind_vcpu.upcall_of_1", vcpu_infos[1]->evtchn_upcall_pending);
    vcpu_infos[1]->evtchn_pending_sel = 0;
    vcpu_infos[1]->evtchn_upcall_pending = 0;

    result("evtchn.close.near", event_close((evtchn_port_t)near));
    port_status("evtchn.status.after_peer_close", DOMID_SELF, (evtchn_port_t)far);
    port_status("evtchn.status.closed", DOMID_SELF, (evtchn_port_t)near);
    near = event_bind_interdomain(DOMID_SELF, (evtchn_port_t)far);
    result("evtchn.bind_interdomain.after_peer_close", near);
    event_close((evtchn_port_t)near);
    event_send((evtchn_port_t)far);
    result("evtchn.close.far", event_close((evtchn_port_t)far));
    port_bits("evtchn.bits.closed", (evtchn_port_t)far);
    result("evtchn.close.again", event_close((evtchn_port_t)far));
}

static void check_virq(void)
{
    long timer = event_bind_virq(VIRQ_TIMER, 0), global;

    result("evtchn.bind_virq.timer", timer);
    result("evtchn.bind_virq.again", event_bind_virq(VIRQ_TIMER, 0));
    result("evtchn.bind_virq.24", event_bind_virq(24, 0));
    result("evtchn.bind_virq.no_vcpu", event_bind_virq(VIRQ_DEBUG, 500));
    result("evtchn.bind_virq.global_vcpu_1", event_bind_virq(VIRQ_DOM_EXC, 1));
    port_status("evtchn.status.virq", DOMID_SELF, (evtchn_port_t)timer);
    result("evtchn.send.virq", event_send((evtchn_port_t)timer));
    result("evtchn.bind_vcpu.virq", event_bind_vcpu((evtchn_port_t)timer, 0));
    result("evtchn.close.virq", event_close((evtchn_port_t)timer));
    timer = event_bind_virq(VIRQ_TIMER, 0);
    result("evtchn.bind_virq.after_close", timer);
    event_close((evtchn_port_t)timer);
    timer = event_bind_virq(VIRQ_TIMER, 1);
    result("evtchn.bind_virq.vcpu_1", timer);
    event_close((evtchn_port_t)timer);
    global = event_bind_virq(VIRQ_CON_RING, 0);
    result("evtchn.bind_virq.global", global);
    result("evtchn.bind_virq.global_again", event_bind_virq(VIRQ_CON_RING, 0));
    result("evtchn.bind_vcpu.global", event_bind_vcpu((evtchn_port_t)global, 1));
    event_close((evtchn_port_t)global);
}

static void check_errors(void)
{
    struct evtchn_bind_pirq pirq = { .pirq = 0x7fffffff };
    struct evtchn_set_priority priority = { .port = ipi, .priority = 7 };
    struct evtchn_expand_array array = { .array_gfn = 0 };

    result("evtchn.alloc.no_domain", port_alloc(99, 0));
    result("evtchn.alloc.no_remote", port_alloc(DOMID_SELF, 99) > 0);
    result("evtchn.alloc.invalid", port_alloc(DOMID_INVALID, 0));
    result("evtchn.bind_ipi.vcpu_1", event_bind_ipi(1) > 0);
    result("evtchn.bind_ipi.no_vcpu", event_bind_ipi(500));
    result("evtchn.bind_vcpu.ipi", event_bind_vcpu(ipi, 0));
    result("evtchn.bind_vcpu.no_vcpu", event_bind_vcpu(ipi, 500));
    result("evtchn.bind_vcpu.port_0", event_bind_vcpu(0, 0));
    result("evtchn.bind_vcpu.closed", event_bind_vcpu(50, 0));
    port_status("evtchn.status.ipi", DOMID_SELF, ipi);
    port_status("evtchn.status.port_0", DOMID_SELF, 0);
    port_status("evtchn.status.out_of_range", DOMID_SELF, 0x7fffffff);
    port_status("evtchn.status.no_domain", 99, 1);
    result("evtchn.send.port_0", event_send(0));
    result("evtchn.send.closed", event_send(50));
    result("evtchn.send.far_closed", event_send(3000));
    result("evtchn.send.out_of_range", event_send(0x7fffffff));
    result("evtchn.close.port_0", event_op(EVTCHNOP_close, &(struct evtchn_close){ 0 }));
    result("evtchn.close.out_of_range",
           event_op(EVTCHNOP_close, &(struct evtchn_close){ 0x7fffffff }));
    result("evtchn.bind_pirq.out_of_range", event_op(EVTCHNOP_bind_pirq, &pirq));
    result("evtchn.set_priority", event_op(EVTCHNOP_set_priority, &priority));
    result("evtchn.expand_array", event_op(EVTCHNOP_expand_array, &array));
    result("evtchn.unknown.15", event_op(15, NULL));
    result("evtchn.unknown.max", event_op(0x7fffffff, NULL));
    result("evtchn.unknown.negative", event_op(-1, NULL));
}

static void check_pointers(void)
{
    static const char *const names[] = {
        "bind_interdomain", "bind_virq",    "bind_pirq", "close",  "send",  "status",
        "alloc_unbound",    "bind_ipi",     "bind_vcpu", "unmask", "reset", "init_control",
        "expand_array",     "set_priority",
    };
    char name[48];

    for (int op = EVTCHNOP_bind_interdomain; op <= EVTCHNOP_set_priority; op++) {
        fmt_snprintf(name, sizeof(name), "evtchn.%s.bad", names[op]);
        result(name, event_op(op, BAD_POINTER));
        fmt_snprintf(name, sizeof(name), "evtchn.%s.xen", names[op]);
        result(name, event_op(op, XEN_POINTER));
    }
}

/* Takes all ports that the two-level protocol has, then gives all back. */
static void check_full(void)
{
    long port, last = 0, n = 0;

    result("evtchn.reset.self", port_reset(DOMID_SELF));
    result("evtchn.reset.no_domain", port_reset(99));
    while (n < 5000 && (port = port_alloc(DOMID_SELF, DOMID_SELF)) > 0) {
        last = port;
        n++;
    }
    result("evtchn.full.ports", n);
    result("evtchn.full.last", last);
    result("evtchn.full.alloc", port_alloc(DOMID_SELF, DOMID_SELF));
    result("evtchn.full.bind_ipi", event_bind_ipi(0));
    result("evtchn.full.close_one", event_close(77));
    result("evtchn.full.reuse", port_alloc(DOMID_SELF, DOMID_SELF));
    result("evtchn.full.reset", port_reset(DOMID_SELF));
    for (port = 1; port < 6; port++) {
        port_alloc(DOMID_SELF, DOMID_SELF);
    }
    event_close(4);
    event_close(2);
    result("evtchn.full.lowest", port_alloc(DOMID_SELF, DOMID_SELF));
    result("evtchn.full.then", event_bind_ipi(1));
    result("evtchn.full.next", event_bind_virq(VIRQ_DEBUG, 0));
    port_reset(DOMID_SELF);
    port = port_alloc(DOMID_SELF, DOMID_SELF);
    result("evtchn.full.first_again", port);
    event_close((evtchn_port_t)port);
}

void check_evtchn(void)
{
    upcalls_disable();
    check_interdomain();
    check_bits();
    check_upcall();
    check_virq();
    check_errors();
    check_pointers();
    check_full();
    upcalls_enable();
}
