/* SPDX-License-Identifier: MIT */
/*
 * evtchn_args.c - where the arguments of event_channel_op lie: at odd addresses, across pages, with
 * a second page that is not there, and on a page that can't be written, where the port is made
 * all the same.
 */
#include "port.h"

#define READ_ONLY 0x21UL
#define WRITABLE 0x63UL

/* Two pages in a row; the second may go. */
static volatile char pages[2 * PAGE_SIZE] __attribute__((aligned(4096)));

static const struct {
    const char *name;
    int op;
    unsigned int size;
    uint32_t words[6]; /* a good argument */
} calls[] = {
    /* DOMID_SELF for both domains in one word */
    { "alloc_unbound", EVTCHNOP_alloc_unbound, 8, { 0x7ff07ff0, 0 } },
    { "bind_interdomain", EVTCHNOP_bind_interdomain, 12, { DOMID_SELF, 1, 0 } },
    { "bind_virq", EVTCHNOP_bind_virq, 12, { VIRQ_DEBUG, 0, 0 } },
    { "bind_ipi", EVTCHNOP_bind_ipi, 8, { 0, 0 } },
    { "status", EVTCHNOP_status, 24, { DOMID_SELF, 1, 0, 0, 0, 0 } },
    { "bind_vcpu", EVTCHNOP_bind_vcpu, 8, { 1, 0 } },
    { "unmask", EVTCHNOP_unmask, 4, { 1 } },
    { "send", EVTCHNOP_send, 4, { 1 } },
    { "close", EVTCHNOP_close, 4, { 1 } },
    { "reset", EVTCHNOP_reset, 2, { DOMID_SELF } },
    { "init_control", EVTCHNOP_init_control, 24, { ~0U, ~0U, 4096, 0, 0, 0 } },
    { "expand_array", EVTCHNOP_expand_array, 8, { ~0U, 0 } },
    { "set_priority", EVTCHNOP_set_priority, 8, { 1, 3 } },
};

static void map(volatile char *page, unsigned long flags)
{
    unsigned long mfn = virt_to_mfn(page);

    update_va_mapping(page, flags ? mfn * PAGE_SIZE | flags : 0, UVMF_INVLPG);
}

/* Port 1 is ours and unbound at the start of each case, nothing else is. */
static void one_case(unsigned int i, const char *how, volatile char *at, unsigned long first,
                     unsigned long second)
{
    char name[64];

    port_reset(DOMID_SELF);
    port_alloc(DOMID_SELF, DOMID_SELF);
    for (unsigned int b = 0; b < calls[i].size; b++) {
        at[b] = ((const volatile char *)calls[i].words)[b];
    }
    map(pages, first);
    map(pages + PAGE_SIZE, second);
    fmt_snprintf(name, sizeof(name), "args.%s.%s", calls[i].name, how);
    result(name, event_op(calls[i].op, (void *)(unsigned long)at));
    map(pages, WRITABLE);
    map(pages + PAGE_SIZE, WRITABLE);
    fmt_snprintf(name, sizeof(name), "args.%s.%s.1", calls[i].name, how);
    port_status(name, DOMID_SELF, 1);
    fmt_snprintf(name, sizeof(name), "args.%s.%s.2", calls[i].name, how);
    port_status(name, DOMID_SELF, 2);
}

static long compat(struct evtchn_op *op)
{
    return hypercall2(__HYPERVISOR_event_channel_op_compat, ARG(op), 0);
}

/* The older form of the call: command and argument in one structure. */
static void check_compat(void)
{
    static struct evtchn_op op;

    port_reset(DOMID_SELF);
    op.cmd = EVTCHNOP_alloc_unbound;
    op.u.alloc_unbound.dom = op.u.alloc_unbound.remote_dom = DOMID_SELF;
    result("args.compat.alloc_unbound", compat(&op));
    result("args.compat.alloc_unbound.port", op.u.alloc_unbound.port);
    op.cmd = EVTCHNOP_send;
    op.u.send.port = 1;
    result("args.compat.send", compat(&op));
    op.cmd = EVTCHNOP_unmask;
    result("args.compat.unmask", compat(&op));
    op.cmd = EVTCHNOP_close;
    result("args.compat.close", compat(&op));
    op.cmd = EVTCHNOP_reset;
    result("args.compat.reset", compat(&op));
    op.cmd = 99;
    result("args.compat.unknown", compat(&op));
    result("args.compat.bad", compat(BAD_POINTER));
    result("args.compat.xen", compat(XEN_POINTER));
}

void check_evtchn_args(void)
{
    upcalls_disable();
    check_compat();
    for (unsigned int i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
        volatile char *end = pages + PAGE_SIZE;
        unsigned int size = calls[i].size;

        one_case(i, "odd", pages + 1, WRITABLE, WRITABLE);
        one_case(i, "at_end", end - size, WRITABLE, 0);
        one_case(i, "crosses", end - size / 2, WRITABLE, WRITABLE);
        one_case(i, "cut", end - size / 2, WRITABLE, 0);
        one_case(i, "cut_by_one", end - size + 1, WRITABLE, 0);
        one_case(i, "read_only", pages, READ_ONLY, WRITABLE);
        one_case(i, "second_read_only", end - size / 2, WRITABLE, READ_ONLY);
    }
    port_reset(DOMID_SELF);
    upcalls_enable();
}
