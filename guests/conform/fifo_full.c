/* SPDX-License-Identifier: MIT */
/*
 * fifo_full.c - all ports that the FIFO protocol has: bound until there are no more, the last ones
 * used, and given back at once. And the groups that switch the domain over.
 */
#include "fifo.h"

static void use_last(long last)
{
    evtchn_port_t port = (evtchn_port_t)last;

    fifo_bits_set(port, false, false);
    fifo_bits_set(port - 1, false, false);
    port_status("fifo.full.last.status", DOMID_SELF, port);
    port_status("fifo.full.beyond.status", DOMID_SELF, port + 1);
    result("fifo.full.last.priority", port_priority(port, 1));
    result("fifo.full.last.send", event_send(port - 1));
    event_send(port);
    fifo_bits("fifo.full.last.send", port);
    fifo_deliver("fifo.full.last.delivered", 0);
    result("fifo.full.last.close", event_op(EVTCHNOP_close, &(struct evtchn_close){ port }));
    result("fifo.full.last.reuse", event_bind_ipi(0));
    result("fifo.full.one.close", event_op(EVTCHNOP_close, &(struct evtchn_close){ 70000 }));
    result("fifo.full.one.reuse", event_bind_ipi(0));
}

void check_fifo_full(void)
{
    long port, last = 0, n = 0;

    upcalls_disable();
    port_reset(DOMID_SELF);
    fifo_fresh(FIFO_PAGES);
    while (n < 200000 && (port = event_bind_ipi(0)) > 0) {
        last = port;
        n++;
    }
    result("fifo.full.ports", n);
    result("fifo.full.last", last);
    result("fifo.full.bind", event_bind_ipi(0));
    result("fifo.full.alloc", port_alloc(DOMID_SELF, DOMID_SELF));
    use_last(last);
    result("fifo.full.reset", port_reset(DOMID_SELF));
    result("fifo.full.first_again", event_bind_ipi(0));
    port_status("fifo.full.reset.status", DOMID_SELF, 70000);
    result("fifo.full.expand", fifo_expand(virt_to_mfn(fifo_array[0])));
    port_reset(DOMID_SELF);
    upcalls_enable();
}

void check_fifo(void)
{
    static const struct port_view view = { "fifo.port", fifo_bits_set, fifo_bits };

    upcalls_disable();
    port_reset(DOMID_SELF);
    check_fifo_setup();
    check_fifo_order();
    result("fifo.remote", remote_create(1023));
    fifo_fresh(1);
    ports_of_all_kinds(&view);
    remote_destroy();
    port_reset(DOMID_SELF);
    upcalls_enable();
}
