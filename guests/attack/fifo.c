/* SPDX-License-Identifier: MIT */
/*
 * fifo.c - event channels under attack. First alone: pages that are not ours, or no pages to write,
 * as control blocks and words. Then all vcpus at once, by chance: into FIFO and out of it, while
 * others send, poll, unmask and close ports of both protocols, scribble over the words and the
 * control blocks, make tables of these pages, give one back, and go on with a reset that was not
 * theirs. At the end each page must be of use as a table, so nothing holds it any more.
 * seed= and rounds= as elsewhere.
 */
#include "attack.h"

#define HIGH_PORTS 4160U /* more than by two levels: FIFO has a table that goes further */
#define NR_KNOWN 64U
#define HYPERVISOR 0x100UL /* a frame of its image */

static uint64_t memory[MAX_VCPUS][64];
static volatile unsigned long calls, entered, left, given;
static unsigned long spare_pfn; /* a frame that is mapped nowhere */

static unsigned long spare_mfn(void)
{
    return ((volatile unsigned long *)start_info->mfn_list)[spare_pfn];
}

static long control(unsigned long mfn, unsigned int vcpu, unsigned int offset)
{
    struct evtchn_init_control op = { .control_gfn = mfn, .offset = offset, .vcpu = vcpu };

    return event_op(EVTCHNOP_init_control, &op);
}

static long expand(unsigned long mfn)
{
    struct evtchn_expand_array op = { .array_gfn = mfn };

    return event_op(EVTCHNOP_expand_array, &op);
}

static long reset(void)
{
    struct evtchn_reset op = { .dom = DOMID_SELF };

    return event_op(EVTCHNOP_reset, &op);
}

/* As if one had come that far. */
static long reset_from(unsigned long port)
{
    struct evtchn_reset op = { .dom = DOMID_SELF };

    return hypercall2(__HYPERVISOR_event_channel_op, EVTCHNOP_reset | port << 32, ARG(&op));
}

/* ---- alone ---- */

static void refused_both(const char *what, unsigned long mfn)
{
    refused(what, control(mfn, 0, 0));
    refused(what, expand(mfn));
}

static void foreign_pages(void)
{
    unsigned long last = (unsigned long)memory_op(XENMEM_maximum_ram_page, NULL);

    refused("words without a control block", expand(virt_to_mfn(pages[0])));
    for (unsigned int i = 0; i < 2; i++) { /* before FIFO and within */
        refused_both("events in the hypervisor's frame", HYPERVISOR);
        refused_both("events in frame 0", 0);
        refused_both("events in the M2P", xen_cr3_to_pfn(0));
        refused_both("events beyond all memory", last + 1);
        refused_both("events in frame ~0", ~0UL);
        refused_both("events in the local APIC", 0xfee00);
        for (unsigned int level = 1; level <= 4; level++) {
            refused_both("events in a table", virt_to_mfn(page_table(level, pages)));
        }
        refused("a control block over a page's end", control(virt_to_mfn(pages[0]), 0, 4032));
        refused("one far outside", control(virt_to_mfn(pages[0]), 0, 0xfffffff8));
        refused("one of no vcpu", control(virt_to_mfn(pages[0]), 0xffffffff, 0));
        if (i == 0 && control(virt_to_mfn(pages[0]), 0, 0)) {
            refused("FIFO", 0);
        }
    }
    expand(virt_to_mfn(pages[0]));
    map_page(0, PTE_RO);
    refused("a table of a page with events", pin(1, pages[0]));
    reset();
}

/* ---- all at once ---- */

static evtchn_port_t some_port(struct dice *d)
{
    switch (below(d, 8)) {
    case 0:
        return (evtchn_port_t)(HIGH_PORTS - below(d, 128));
    case 1:
        return (evtchn_port_t)roll(d);
    default:
        return (evtchn_port_t)below(d, NR_KNOWN);
    }
}

static unsigned long some_page(struct dice *d)
{
    return below(d, 8) ? virt_to_mfn(pages[below(d, NR_PAGES)]) : spare_mfn();
}

static void act_enter(struct dice *d)
{
    unsigned int vcpu = (unsigned int)below(d, vcpu_count() + 1);

    if (control(some_page(d), vcpu, 8 * (unsigned int)below(d, 520)) == 0) {
        __atomic_fetch_add(&entered, 1, __ATOMIC_RELAXED);
    }
    for (unsigned long i = below(d, 4); i; i--) {
        expand(some_page(d));
    }
}

static void act_leave(struct dice *d)
{
    long rc = below(d, 4) ? reset() : reset_from(below(d, 2) ? below(d, HIGH_PORTS) : roll(d));

    if (rc == 0) {
        __atomic_fetch_add(&left, 1, __ATOMIC_RELAXED);
    }
}

static void act_make(struct dice *d)
{
    unsigned int vcpu = (unsigned int)below(d, vcpu_count());
    domid_t self = (domid_t)d->memory[63];
    long port;

    for (unsigned long i = below(d, 8); i; i--) {
        switch (below(d, 4)) {
        case 0:
            event_bind_virq(VIRQ_DEBUG, vcpu);
            break;
        case 1:
            port = event_alloc_unbound(self);
            if (port > 0) {
                event_bind_interdomain(self, (evtchn_port_t)port);
            }
            break;
        default:
            event_bind_ipi(vcpu);
        }
    }
}

/* Those that take a port, and at most one word more. */
static void act_port(struct dice *d)
{
    static const int commands[] = {
        EVTCHNOP_send,   EVTCHNOP_send,  EVTCHNOP_send,      EVTCHNOP_unmask,
        EVTCHNOP_unmask, EVTCHNOP_close, EVTCHNOP_bind_vcpu, EVTCHNOP_set_priority,
    };
    uint32_t *op = (uint32_t *)d->memory;

    op[0] = some_port(d);
    op[1] = (uint32_t)below(d, 17);
    event_op(commands[below(d, sizeof(commands) / sizeof(commands[0]))], op);
}

static void act_poll(struct dice *d)
{
    struct sched_poll poll = { .nr_ports = (unsigned int)below(d, 4), .timeout = 1 };

    for (unsigned int i = 0; i < 4; i++) {
        ((evtchn_port_t *)d->memory)[i] = some_port(d);
    }
    set_xen_guest_handle(poll.ports, (evtchn_port_t *)d->memory);
    sched_op(SCHEDOP_poll, &poll);
}

static bool skip_store(struct frame *frame)
{
    frame->rip += 3; /* mov %rcx, (%rax) */
    return true;
}

/* What a page of words or a control block is worth. */
static void act_scribble(struct dice *d)
{
    for (unsigned int i = 0; i < 32; i++) {
        uint64_t *at = &pages[below(d, NR_PAGES)][below(d, below(d, 2) ? 32 : 512)];
        uint64_t word = roll(d) & (below(d, 2) ? 0xe0000000e0000000 : 0xe00010ffe00010ff);

        asm volatile("mov %0, (%1)" ::"c"(word), "a"(at) : "memory");
    }
}

/* Zeros first: a page with what was scribbled is no table. */
static void act_table(struct dice *d)
{
    unsigned int page = (unsigned int)below(d, NR_PAGES);

    mmuext(MMUEXT_CLEAR_PAGE, virt_to_mfn(pages[page]), 0);
    map_page(page, PTE_RO);
    pin(1, pages[page]);
    unpin(pages[page]);
    map_page(page, PTE_RW);
}

/* The spare frame goes while it may be in use, and another one comes. */
static void act_give_back(struct dice *d)
{
    unsigned long frame = spare_mfn();
    struct xen_memory_reservation one = { .nr_extents = 1, .domid = DOMID_SELF };

    (void)d;
    set_xen_guest_handle(one.extent_start, &frame);
    if (memory_op(XENMEM_decrease_reservation, &one) == 1) {
        frame = spare_pfn;
        if (memory_op(XENMEM_populate_physmap, &one) == 1) {
            ((volatile unsigned long *)start_info->mfn_list)[spare_pfn] = frame;
            given++;
        }
    }
}

static void by_chance(struct dice *d)
{
    static void (*const acts[])(struct dice *) = {
        act_enter, act_enter, act_leave, act_make,     act_port,     act_port,  act_port,
        act_port,  act_poll,  act_poll,  act_scribble, act_scribble, act_table,
    };

    acts[below(d, sizeof(acts) / sizeof(acts[0]))](d);
    __atomic_fetch_add(&calls, 1, __ATOMIC_RELAXED);
}

static struct dice dice_of(unsigned int vcpu)
{
    memory[vcpu][63] = memory[0][63];
    return (struct dice){
        .state = (arg_number("seed", 1) * 64 + vcpu + 1) * 0x9e3779b97f4a7c15,
        .memory = memory[vcpu],
    };
}

static void actor(void)
{
    struct dice d = dice_of(vcpu_self());

    upcalls_disable();
    while (!others_must_stop) {
        by_chance(&d);
    }
}

/* Only ever polls ports that come and go with the protocol: between two looks they are not there.
 */
static void high_poller(void)
{
    struct sched_poll poll = { .nr_ports = 1, .timeout = 1 };
    evtchn_port_t port = HIGH_PORTS - 1;

    upcalls_disable();
    set_xen_guest_handle(poll.ports, &port);
    while (!others_must_stop) {
        sched_op(SCHEDOP_poll, &poll);
        calls++;
    }
}

/* From now on there are ports above those of two levels whenever there is FIFO. */
static const char *make_high_ports(void)
{
    if (control(virt_to_mfn(pages[0]), 0, 0)) {
        return "FIFO can't be had";
    }
    for (unsigned int i = 0; i < HIGH_PORTS; i++) {
        if (event_bind_ipi(0) < 0) {
            return "ports can't be had";
        }
    }
    return reset() ? "a reset failed" : NULL;
}

static void start(unsigned int first, unsigned int end, void (*function)(void))
{
    for (unsigned int v = first; v < end; v++) {
        if (!vcpu_is_up(v)) {
            vcpu_start(v, function);
        }
    }
}

/* In and out, which is what the poller waits for, and then all the rest. */
static void direct(struct dice *d, unsigned int rounds)
{
    unsigned int n = vcpu_count();

    others_must_stop = false;
    start(1, n < 2 ? n : 2, high_poller);
    for (unsigned int i = 0; i < 20 * rounds; i++) {
        control(virt_to_mfn(pages[0]), 0, 0);
        reset();
    }
    start(2, n, actor);
    for (unsigned int i = 0; i < 4 * rounds; i++) {
        by_chance(d);
        if (i % 64 == 0) {
            act_give_back(d);
        }
    }
    others_stop();
}

/* A page that anything holds as a writable one can't be a table. */
static const char *all_free(void)
{
    for (unsigned int i = 0; i < NR_PAGES; i++) {
        mmuext(MMUEXT_CLEAR_PAGE, virt_to_mfn(pages[i]), 0);
        map_page(i, PTE_RO);
        if (pin(1, pages[i])) {
            return "a page is in use still";
        }
        unpin(pages[i]);
    }
    return NULL;
}

static domid_t own_number(void)
{
    long port = event_alloc_unbound(DOMID_SELF);
    struct evtchn_status status = { .dom = DOMID_SELF, .port = (evtchn_port_t)port };

    event_op(EVTCHNOP_status, &status);
    event_close((evtchn_port_t)port);
    return status.u.unbound.dom;
}

const char *attack_fifo(void)
{
    struct dice d;
    const char *why;

    memory[0][63] = own_number();
    reset();
    foreign_pages();
    pages_reset();
    spare_pfn = start_info->nr_pages - 1;
    why = make_high_ports();
    if (why) {
        return why;
    }
    calls = entered = left = given = 0;
    trap_handle(14, skip_store);
    d = dice_of(0);
    upcalls_disable();
    direct(&d, (unsigned int)arg_number("rounds", 3000));
    why = reset() ? "a reset failed" : NULL;
    catch_init();
    upcalls_enable();
    printf("attack: %lu calls; %lu control blocks, %lu resets, %lu frames given away\n", calls,
           entered, left, given);
    why = why ? why : all_free();
    pages_reset();
    memset((void *)shared->evtchn_pending, 0, sizeof(shared->evtchn_pending));
    memset((void *)shared->evtchn_mask, 0, sizeof(shared->evtchn_mask));
    return why ? why : verdict();
}
