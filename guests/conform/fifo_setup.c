/* SPDX-License-Identifier: MIT */
/*
 * fifo_setup.c - switching to FIFO event channels and back: what init_control, expand_array and
 * set_priority refuse, and what becomes of events that are pending when it happens.
 */
#include "fifo.h"

static void check_before(void)
{
    result("fifo.before.expand_array", fifo_expand(virt_to_mfn(fifo_array[0])));
    result("fifo.before.priority", port_priority(1, 3));
    result("fifo.before.priority.closed", port_priority(50, 3));
}

/* None of these may switch. */
static void check_refused(void)
{
    uint64_t good = virt_to_mfn(fifo_controls[0]);

    result("fifo.init.unaligned", fifo_init(0, good, 4));
    result("fifo.init.odd", fifo_init(0, good, 1));
    result("fifo.init.offset_too_big", fifo_init(0, good, PAGE_SIZE - 64));
    result("fifo.init.offset_page", fifo_init(0, good, PAGE_SIZE));
    result("fifo.init.offset_max", fifo_init(0, good, ~7U));
    result("fifo.init.no_vcpu", fifo_init(2, good, 0));
    result("fifo.init.vcpu_max", fifo_init(~0U, good, 0));
    result("fifo.init.no_frame", fifo_init(0, 0xfffffffffUL, 0));
    result("fifo.init.frame_max", fifo_init(0, ~0UL, 0));
    result("fifo.init.not_ours", fifo_init(0, 0x9f, 0));
    result("fifo.init.table", fifo_init(0, virt_to_mfn(page_table(1, scratch_page)), 0));
    result("fifo.init.table.no_vcpu", fifo_init(2, virt_to_mfn(page_table(1, scratch_page)), 4));
    result("fifo.refused.expand_array", fifo_expand(virt_to_mfn(fifo_array[0])));
}

static void check_init(void)
{
    result("fifo.init", fifo_init(0, virt_to_mfn(fifo_controls[0]), PAGE_SIZE - 72));
    result("fifo.init.again", fifo_init(0, virt_to_mfn(fifo_controls[0]), PAGE_SIZE - 72));
    result("fifo.init.elsewhere", fifo_init(0, virt_to_mfn(fifo_controls[1]), 0));
    result("fifo.init.1.unaligned", fifo_init(1, virt_to_mfn(fifo_controls[1]), 4));
    result("fifo.init.1.no_frame", fifo_init(1, 0xfffffffffUL, 0));
    result("fifo.init.1", fifo_init(1, virt_to_mfn(fifo_controls[1]), 0));
    result("fifo.init.1.again", fifo_init(1, virt_to_mfn(fifo_controls[1]), 0));
    result("fifo.init.2", fifo_init(2, virt_to_mfn(fifo_controls[1]), 0));
    result("fifo.reset", port_reset(DOMID_SELF));
    result("fifo.reset.expand_array", fifo_expand(virt_to_mfn(fifo_array[0])));
    result("fifo.reset.control_writable",
           update_va_mapping(scratch_page, virt_to_mfn(fifo_controls[0]) * PAGE_SIZE | 0x63, 0));
    update_va_mapping(scratch_page, virt_to_mfn(scratch_page) * PAGE_SIZE | 0x63, UVMF_INVLPG);
    result("fifo.init.1_first", fifo_init(1, virt_to_mfn(fifo_controls[1]), 64));
    result("fifo.init.0_then", fifo_init(0, virt_to_mfn(fifo_controls[1]), 512));
    port_reset(DOMID_SELF);
}

static void check_expand(void)
{
    long rc = 0, n = 0;

    fifo_start(0);
    result("fifo.expand.no_frame", fifo_expand(0xfffffffffUL));
    result("fifo.expand.frame_max", fifo_expand(~0UL));
    result("fifo.expand.not_ours", fifo_expand(0x9f));
    result("fifo.expand.table", fifo_expand(virt_to_mfn(page_table(1, scratch_page))));
    result("fifo.expand", fifo_expand(virt_to_mfn(fifo_array[0])));
    result("fifo.expand.same", fifo_expand(virt_to_mfn(fifo_array[0])));
    for (n = 2; n < 200 && !rc; n++) {
        rc = fifo_expand(virt_to_mfn(fifo_array[n % FIFO_PAGES]));
    }
    result("fifo.expand.most", n - 1);
    result("fifo.expand.too_often", rc);
    port_reset(DOMID_SELF);
}

static void check_priority(void)
{
    long port;
    char name[40];

    fifo_start(1);
    port = port_alloc(DOMID_SELF, DOMID_SELF);
    for (unsigned int p = 0; p < 18; p++) {
        fmt_snprintf(name, sizeof(name), "fifo.priority.%u", p);
        result(name, port_priority((evtchn_port_t)port, p));
    }
    result("fifo.priority.max", port_priority((evtchn_port_t)port, ~0U));
    result("fifo.priority.port_0", port_priority(0, 3));
    result("fifo.priority.closed", port_priority((evtchn_port_t)port + 1, 3));
    result("fifo.priority.closed.16", port_priority((evtchn_port_t)port + 1, 16));
    result("fifo.priority.never", port_priority(5000, 3));
    result("fifo.priority.beyond", port_priority(FAR_PORT, 3));
    port_reset(DOMID_SELF);
}

/* Ports made and events pending before the switch. */
static void check_carry(void)
{
    evtchn_port_t pending = (evtchn_port_t)event_bind_ipi(0);
    evtchn_port_t masked = (evtchn_port_t)event_bind_ipi(0);
    evtchn_port_t idle = (evtchn_port_t)event_bind_ipi(0);
    evtchn_port_t other = (evtchn_port_t)event_bind_ipi(1);

    port_bits_set(pending, false, false);
    port_bits_set(other, false, false);
    port_bits_set(masked, false, true);
    port_bits_set(idle, false, false);
    event_send(pending);
    event_send(masked);
    event_send(other);
    vcpu_infos[1]->evtchn_pending_sel = 0;
    vcpu_infos[1]->evtchn_upcall_pending = 0;
    vcpu_infos[0]->evtchn_pending_sel = 0;
    vcpu_infos[0]->evtchn_upcall_pending = 0;
    fifo_start(1);
    fifo_bits("fifo.carry.pending", pending);
    fifo_bits("fifo.carry.masked", masked);
    fifo_bits("fifo.carry.idle", idle);
    fifo_bits("fifo.carry.other", other);
    result("fifo.carry.send", event_send(pending));
    fifo_bits("fifo.carry.send", pending);
    result("fifo.carry.send_idle", event_send(idle));
    fifo_bits("fifo.carry.send_idle", idle);
    fifo_deliver("fifo.carry.delivered.0", 0);
    fifo_deliver("fifo.carry.delivered.1", 1);
    fifo_bits("fifo.carry.after", pending);
    port_status("fifo.carry.status", DOMID_SELF, idle);
    result("fifo.carry.reset", port_reset(DOMID_SELF));
    event_clear(pending);
    event_clear(masked);
    event_clear(other);
    pending = (evtchn_port_t)event_bind_ipi(0);
    port_bits_set(pending, false, false);
    event_send(pending);
    port_bits("fifo.carry.back", pending);
    port_bits_set(pending, false, false);
    event_close(pending);
}

/* Ports without a word to show their events in. */
static void check_no_words(void)
{
    evtchn_port_t port;
    long rc;

    fifo_start(0);
    port = (evtchn_port_t)event_bind_ipi(0);
    result("fifo.no_words.bind", port);
    result("fifo.no_words.send", event_send(port));
    result("fifo.no_words.unmask", port_unmask(port));
    result("fifo.no_words.poll", port_poll(&port, 1, 1));
    page_fill(fifo_array[0], 0);
    result("fifo.no_words.expand", fifo_expand(virt_to_mfn(fifo_array[0])));
    fifo_bits("fifo.no_words.expand", port);
    result("fifo.no_words.send_then", event_send(port));
    fifo_bits("fifo.no_words.send_then", port);
    for (rc = 0; rc >= 0 && rc < 1024;) {
        rc = port_alloc(DOMID_SELF, DOMID_SELF);
    }
    result("fifo.no_words.1024", rc);
    rc = event_bind_interdomain(DOMID_SELF, 1024);
    result("fifo.no_words.1025", rc);
    result("fifo.no_words.1025.send", event_send(1025));
    result("fifo.no_words.1025.close", event_op(EVTCHNOP_close, &(struct evtchn_close){ 1025 }));
    port_reset(DOMID_SELF);
}

void check_fifo_setup(void)
{
    check_before();
    check_refused();
    check_init();
    check_expand();
    check_priority();
    check_no_words();
    check_carry();
}
