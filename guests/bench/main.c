/* SPDX-License-Identifier: MIT */
/*
 * bench - what the hypervisor's hot paths cost, in ticks of the TSC: medians of many rounds, the
 * guest's own stub included and the cost of reading the clock taken off. Under `-icount shift=0` a
 * tick is an instruction, so the figures are exact and the same on any machine (`make bench`).
 * Arguments: rounds=N (default 400); yields=N: instead, what a yield to another of N vcpus costs,
 * with all pcpus at it (`make cost`).
 */
#include "guest.h"

const char guest_name[] = "bench";

#define MAX_ROUNDS 2000

static uint64_t sample[MAX_ROUNDS], overhead;
static unsigned long rounds;
static evtchn_port_t ports[2]; /* a channel to ourselves: sending on [0] makes [1] pending */
static volatile uint64_t in_handler;
static uint8_t page[PAGE_SIZE] __attribute__((aligned(PAGE_SIZE)));
static uint8_t other[PAGE_SIZE] __attribute__((aligned(PAGE_SIZE)));

static uint64_t median(void)
{
    for (unsigned long i = 1; i < rounds; i++) {
        uint64_t v = sample[i];
        unsigned long j = i;

        for (; j > 0 && sample[j - 1] > v; j--) {
            sample[j] = sample[j - 1];
        }
        sample[j] = v;
    }
    return sample[rounds / 2];
}

static void report(const char *name, uint64_t per)
{
    uint64_t ticks = median();

    printf("bench: %s = %lu\n", name, (ticks - (ticks > overhead ? overhead : 0)) / per);
}

/* Run `what` many times; the figure is for one of `per` things that it does. */
#define MEASURE(name, per, before, what)                         \
    do {                                                         \
        for (unsigned long round = 0; round < rounds; round++) { \
            uint64_t start;                                      \
                                                                 \
            before;                                              \
            start = rdtsc();                                     \
            what;                                                \
            sample[round] = rdtsc() - start;                     \
        }                                                        \
        report(name, per);                                       \
    } while (0)

static void measure_overhead(void)
{
    for (unsigned long i = 0; i < rounds; i++) {
        uint64_t start = rdtsc();

        sample[i] = rdtsc() - start;
    }
    overhead = median();
}

static void on_event(evtchn_port_t port)
{
    (void)port;
    in_handler = rdtsc();
}

static void multicall_16(void)
{
    static struct multicall_entry calls[16];

    for (unsigned int i = 0; i < 16; i++) {
        calls[i] = (struct multicall_entry){ .op = __HYPERVISOR_xen_version,
                                             .args = { XENVER_version } };
    }
    MEASURE("multicall of 16, per call", 16, , hypercall2(__HYPERVISOR_multicall, ARG(calls), 16));
}

static void simple_calls(void)
{
    MEASURE("null hypercall (xen_version)", 1, , xen_version(XENVER_version, NULL));
    MEASURE("unknown hypercall", 1, , hypercall2(63, 0, 0));
    multicall_16();
    MEASURE("yield alone", 1, , sched_op(SCHEDOP_yield, NULL));
    MEASURE("set_timer_op, arm", 1, , set_timer_op(clock_now() + 10 * SEC));
    set_timer_op(0);
}

static void alloc_close(void)
{
    long port = event_alloc_unbound(DOMID_SELF);

    event_close((evtchn_port_t)port);
}

static void events(void)
{
    struct evtchn_send send;
    struct evtchn_unmask unmask;
    struct sched_poll poll;
    long port = event_alloc_unbound(DOMID_SELF);

    ports[1] = (evtchn_port_t)port;
    ports[0] = (evtchn_port_t)event_bind_interdomain(DOMID_SELF, ports[1]);
    event_mask(ports[0]);
    event_mask(ports[1]);
    send.port = ports[0];
    unmask.port = ports[1];
    MEASURE("send to a masked port", 1, event_clear(ports[1]), event_op(EVTCHNOP_send, &send));
    MEASURE("send to a pending port", 1, , event_op(EVTCHNOP_send, &send));
    set_xen_guest_handle(poll.ports, &ports[1]);
    poll.nr_ports = 1;
    poll.timeout = 0;
    MEASURE("SCHEDOP_poll on a pending port", 1, , sched_op(SCHEDOP_poll, &poll));
    event_clear(ports[1]);
    MEASURE("EVTCHNOP_unmask, nothing pending", 1, event_mask(ports[1]),
            event_op(EVTCHNOP_unmask, &unmask));
    MEASURE("alloc_unbound and close", 1, , alloc_close());

    event_handle(ports[1], 0, on_event);
    event_unmask(ports[1]);
    for (unsigned long i = 0; i < rounds; i++) {
        uint64_t start = rdtsc();

        event_op(EVTCHNOP_send, &send);
        sample[i] = in_handler - start;
    }
    report("event to self: send to the handler", 1);
    for (unsigned long i = 0; i < rounds; i++) {
        event_op(EVTCHNOP_send, &send);
        sample[i] = rdtsc() - in_handler;
    }
    report("event's handler to back", 1);
}

static void page_tables(void)
{
    static struct mmu_update updates[32];
    uint64_t at = l1e_maddr(page), a = virt_to_mfn(page) << 12 | 0x63,
             b = virt_to_mfn(other) << 12 | 0x63;
    volatile uint64_t *table = page_table(1, page);
    uint64_t *entry = (uint64_t *)&table[((unsigned long)page >> 12) & 511];
    struct mmuext_op op = { .cmd = MMUEXT_NEW_BASEPTR };
    uint64_t flip = 0;

    MEASURE("update_va_mapping, no flush", 1, flip++,
            update_va_mapping(page, flip & 1 ? a : b, UVMF_NONE));
    MEASURE("mmu_update of one L1 entry", 1,
            (updates[0] = (struct mmu_update){ at, flip++ & 1 ? a : b }),
            mmu_update(updates, 1, NULL, DOMID_SELF));
    for (unsigned int i = 0; i < 32; i++) {
        updates[i] = (struct mmu_update){ at, i & 1 ? a : b };
    }
    MEASURE("mmu_update of 32, per entry", 32, , mmu_update(updates, 32, NULL, DOMID_SELF));
    MEASURE("store to a live entry (emulated)", 1, flip++,
            *(volatile uint64_t *)entry = flip & 1 ? a : b);
    update_va_mapping(page, a, UVMF_INVLPG);
    op.arg1.mfn = virt_to_mfn((void *)start_info->pt_base);
    MEASURE("new_baseptr", 1, , mmuext_op(&op, 1, NULL, DOMID_SELF));
}

static struct gnttab_map_grant_ref grant_map_op;
static struct gnttab_unmap_grant_ref grant_unmap_op;

static void map_granted(void)
{
    grant_op(GNTTABOP_map_grant_ref, &grant_map_op, 1);
}

static void unmap_granted(void)
{
    grant_unmap_op.handle = grant_map_op.handle;
    grant_op(GNTTABOP_unmap_grant_ref, &grant_unmap_op, 1);
}

/* A page granted to ourselves: what it takes is the same. */
static void grants(void)
{
    static uint8_t window[PAGE_SIZE] __attribute__((aligned(PAGE_SIZE)));
    domid_t self = domid_self();
    long ref = grant_page(self, virt_to_mfn(page), 0);
    struct gnttab_copy copy = {
        .source = { .u.ref = (grant_ref_t)ref, .domid = self },
        .dest = { .u.gmfn = virt_to_mfn(other), .domid = DOMID_SELF },
        .len = PAGE_SIZE,
        .flags = GNTCOPY_source_gref,
    };

    if (ref < 0) {
        return;
    }
    grant_map_op = (struct gnttab_map_grant_ref){
        .host_addr = ARG(window),
        .flags = GNTMAP_host_map,
        .ref = (grant_ref_t)ref,
        .dom = self,
        .handle = ~0U,
    };
    grant_unmap_op.host_addr = ARG(window);
    MEASURE("grant map", 1, unmap_granted(), grant_op(GNTTABOP_map_grant_ref, &grant_map_op, 1));
    unmap_granted();
    MEASURE("grant unmap", 1, (map_granted(), grant_unmap_op.handle = grant_map_op.handle),
            grant_op(GNTTABOP_unmap_grant_ref, &grant_unmap_op, 1));
    MEASURE("grant copy of 4 KiB", 1, , grant_op(GNTTABOP_copy, &copy, 1));
    grant_end((grant_ref_t)ref);
}

static volatile uint64_t fault_at;

static bool on_fault(struct frame *frame)
{
    fault_at = rdtsc();
    frame->rip += 2; /* mov (%rax), %al */
    return true;
}

static void traps(void)
{
    unsigned long cr0;

    trap_handle(14, on_fault);
    for (unsigned long i = 0; i < rounds; i++) {
        uint64_t start = rdtsc();

        asm volatile("movb (%%rax), %%al" ::"a"(0x7000000000UL) : "memory");
        sample[i] = fault_at - start;
    }
    report("page fault to the guest's handler", 1);
    for (unsigned long i = 0; i < rounds; i++) {
        asm volatile("movb (%%rax), %%al" ::"a"(0x7000000000UL) : "memory");
        sample[i] = rdtsc() - fault_at;
    }
    report("page fault's handler to back", 1);
    MEASURE("emulated MOV from CR0", 1, , asm volatile("mov %%cr0, %0" : "=r"(cr0)));
}

/* ---- two vcpus ---- */

static evtchn_port_t to_peer, from_peer;
static volatile unsigned long served, answered;
static volatile bool stop;

static void on_request(evtchn_port_t port)
{
    (void)port;
    served++;
    event_send(to_peer);
}

static void on_answer(evtchn_port_t port)
{
    (void)port;
    answered++;
}

static void server(void)
{
    upcalls_disable();
    while (!stop) {
        vcpu_block();
        upcalls_disable();
    }
}

static void round_trips(void)
{
    long ask, answer;

    if (vcpu_count() < 2) {
        return;
    }
    ask = event_bind_ipi(1);
    answer = event_bind_ipi(0);
    from_peer = (evtchn_port_t)ask;
    to_peer = (evtchn_port_t)answer;
    event_handle(from_peer, 1, on_request);
    event_handle(to_peer, 0, on_answer);
    event_unmask(from_peer);
    event_unmask(to_peer);
    if (vcpu_start(1, server)) {
        return;
    }
    clock_sleep(MS);
    MEASURE("round trip of two vcpus, block and upcall", 1, , {
        unsigned long want = answered + 1;

        event_send(from_peer);
        wait_until(answered == want);
    });
    stop = true;
    event_send(from_peer);
    vcpu_wait_down(1);
}

/* ---- many vcpus that yield ---- */

static unsigned long yields; /* of all */

static void yield_once(void)
{
    sched_op(SCHEDOP_yield, NULL);
    __atomic_fetch_add(&yields, 1, __ATOMIC_RELAXED);
}

static void yielder(void)
{
    while (!stop) {
        yield_once();
    }
}

static void yield_until(uint64_t then)
{
    while (clock_now() < then) {
        yield_once();
    }
}

/* All of the machine's instructions by all yields: with icount the pcpus take turns. */
static const char *many_yields(unsigned long vcpus)
{
    uint64_t start;
    unsigned long before;

    if (vcpus < 2 || vcpus > vcpu_count()) {
        return "yields must be from 2 to the number of vcpus";
    }
    vcpus_start((unsigned int)vcpus, yielder);
    yield_until(clock_now() + 100 * MS);
    before = yields;
    start = rdtsc();
    yield_until(clock_now() + 200 * MS);
    printf("bench: yield to another = %lu\n", (rdtsc() - start) / (yields - before));
    stop = true;
    return NULL;
}

const char *guest_main(void)
{
    if (arg_number("yields", 0)) {
        return many_yields(arg_number("yields", 0));
    }
    rounds = arg_number("rounds", 400);
    if (rounds < 1 || rounds > MAX_ROUNDS) {
        return "rounds must be from 1 to 2000";
    }
    measure_overhead();
    simple_calls();
    events();
    page_tables();
    grants();
    traps();
    round_trips();
    return NULL;
}
