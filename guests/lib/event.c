/* SPDX-License-Identifier: MIT */
/*
 * event.c - event channels: ports and their handlers, masking, sleeping until an event, and the
 * two-level protocol: the upcall's scan of pending bits. The other protocol's part stands in
 * event_fifo.c; event_use_fifo() switches to it for good.
 * By two levels a port is handled on one vcpu, the one the hypervisor notifies for it; the
 * owned[] bitmaps keep the vcpus from taking each other's events, since they share the words of
 * the pending bitmap.
 */
#include "event_fifo.h"

#define WORD_BITS 64U
#define WORDS (NR_PORTS / WORD_BITS)

volatile struct vcpu_info *vcpu_infos[MAX_VCPUS];

/* A guest that wants more ports than NR_PORTS, by FIFO, defines its own. */
static event_handler own_handlers[NR_PORTS];
static uint32_t own_words[NR_PORTS] __attribute__((aligned(4096)));
const struct event_room event_room __attribute__((weak)) = { NR_PORTS, own_handlers, own_words };

static uint64_t owned[MAX_VCPUS][WORDS];
static uint8_t owner[NR_PORTS];
/* Where each vcpu's last scan ended, so that the next starts after it. */
static struct {
    unsigned int word, bit;
} last[MAX_VCPUS];

static uint64_t bit_of(unsigned int n)
{
    return 1UL << (n % WORD_BITS);
}

static bool pending_clear(evtchn_port_t port)
{
    uint64_t bit = bit_of(port);

    if (fifo_on) {
        return fifo_clear(port);
    }
    return __atomic_fetch_and(&shared->evtchn_pending[port / WORD_BITS], ~bit, __ATOMIC_SEQ_CST) &
           bit;
}

/*
 * What was pending before somebody handled it (binding to a port makes it so) was passed over by
 * the scan, which took its selector bit or took it out of its queue: no further event would raise
 * that.
 */
static void raise_again(evtchn_port_t port)
{
    if (event_pending(port) && !event_masked(port)) {
        event_mask(port);
        event_unmask_asked(port);
    }
}

/* Has the vcpu alone scan for the port. */
static void own(evtchn_port_t port, unsigned int vcpu, bool owns)
{
    unsigned int word = port / WORD_BITS;

    __atomic_fetch_and(&owned[owner[port]][word], ~bit_of(port), __ATOMIC_SEQ_CST);
    if (owns) {
        owner[port] = (uint8_t)vcpu;
        __atomic_fetch_or(&owned[vcpu][word], bit_of(port), __ATOMIC_SEQ_CST);
    }
}

void event_handle(evtchn_port_t port, unsigned int vcpu, event_handler handler)
{
    __atomic_store_n(&event_room.handlers[port], handler, __ATOMIC_SEQ_CST);
    if (!fifo_on) {
        own(port, vcpu, handler);
    }
    if (handler) {
        raise_again(port);
    }
}

/* Index of the first set bit at or after start, going round. */
static unsigned int next_bit(uint64_t bits, unsigned int start)
{
    uint64_t after = bits & (~0UL << (start % WORD_BITS));

    return (unsigned int)__builtin_ctzl(after ? after : bits);
}

static uint64_t word_ready(unsigned int vcpu, unsigned int word)
{
    return shared->evtchn_pending[word] & ~shared->evtchn_mask[word] & owned[vcpu][word];
}

/* Another vcpu may be closing it. */
static void call(evtchn_port_t port)
{
    event_handler handler = __atomic_load_n(&event_room.handlers[port], __ATOMIC_SEQ_CST);

    if (handler) {
        handler(port);
    }
}

/* Handles what is pending in one word among these bits, once each. */
static void scan_word(unsigned int vcpu, unsigned int word, uint64_t among)
{
    uint64_t todo = word_ready(vcpu, word) & among;

    while (todo) {
        unsigned int bit = (unsigned int)__builtin_ctzl(todo);
        evtchn_port_t port = word * WORD_BITS + bit;

        todo &= ~bit_of(bit);
        last[vcpu].word = word;
        last[vcpu].bit = bit;
        if (pending_clear(port)) {
            call(port);
        }
    }
}

/* Starts behind the port that was handled last and goes round: no port has its turn twice while
 * another waits. */
static void two_level_scan(unsigned int vcpu)
{
    volatile struct vcpu_info *info = vcpu_infos[vcpu];
    unsigned int first = last[vcpu].word, word = first;
    uint64_t behind = ~1UL << last[vcpu].bit, words, rest;

    info->evtchn_upcall_pending = 0;
    words = __atomic_exchange_n(&info->evtchn_pending_sel, 0, __ATOMIC_SEQ_CST);
    if (words & bit_of(first)) {
        scan_word(vcpu, first, behind);
    }
    for (rest = words & ~bit_of(first); rest; rest &= ~bit_of(word)) {
        word = next_bit(rest, word + 1);
        scan_word(vcpu, word, ~0UL);
    }
    if (words & bit_of(first)) {
        scan_word(vcpu, first, ~behind);
    }
}

void event_scan(void)
{
    unsigned int vcpu = vcpu_self();

    if (fifo_on) {
        fifo_scan(vcpu);
    } else {
        two_level_scan(vcpu);
    }
}

long event_bind_ipi(unsigned int vcpu)
{
    struct evtchn_bind_ipi op = { .vcpu = vcpu };
    long rc = event_op(EVTCHNOP_bind_ipi, &op);

    return rc ? rc : (long)op.port;
}

long event_bind_virq(unsigned int virq, unsigned int vcpu)
{
    struct evtchn_bind_virq op = { .virq = virq, .vcpu = vcpu };
    long rc = event_op(EVTCHNOP_bind_virq, &op);

    return rc ? rc : (long)op.port;
}

long event_alloc_unbound(domid_t remote)
{
    struct evtchn_alloc_unbound op = { .dom = DOMID_SELF, .remote_dom = remote };
    long rc = event_op(EVTCHNOP_alloc_unbound, &op);

    return rc ? rc : (long)op.port;
}

long event_bind_interdomain(domid_t remote, evtchn_port_t port)
{
    struct evtchn_bind_interdomain op = { .remote_dom = remote, .remote_port = port };
    long rc = event_op(EVTCHNOP_bind_interdomain, &op);

    return rc ? rc : (long)op.local_port;
}

long event_bind_vcpu(evtchn_port_t port, unsigned int vcpu)
{
    struct evtchn_bind_vcpu op = { .port = port, .vcpu = vcpu };

    return event_op(EVTCHNOP_bind_vcpu, &op);
}

long event_send(evtchn_port_t port)
{
    struct evtchn_send op = { .port = port };

    return event_op(EVTCHNOP_send, &op);
}

long event_close(evtchn_port_t port)
{
    struct evtchn_close op = { .port = port };

    event_handle(port, 0, NULL);
    return event_op(EVTCHNOP_close, &op);
}

bool event_pending(evtchn_port_t port)
{
    return fifo_on ? fifo_is(port, EVTCHN_FIFO_PENDING)
                   : shared->evtchn_pending[port / WORD_BITS] & bit_of(port);
}

bool event_masked(evtchn_port_t port)
{
    return fifo_on ? fifo_is(port, EVTCHN_FIFO_MASKED)
                   : shared->evtchn_mask[port / WORD_BITS] & bit_of(port);
}

void event_clear(evtchn_port_t port)
{
    pending_clear(port);
}

void event_mask(evtchn_port_t port)
{
    if (fifo_on) {
        fifo_mask(port);
    } else {
        __atomic_fetch_or(&shared->evtchn_mask[port / WORD_BITS], bit_of(port), __ATOMIC_SEQ_CST);
    }
}

void event_unmask_asked(evtchn_port_t port)
{
    struct evtchn_unmask op = { .port = port };

    event_op(EVTCHNOP_unmask, &op);
}

/* Only the hypervisor can raise the selector of another vcpu or link an event, so it is asked to,
 * unless nothing is pending that were to be raised: by FIFO one step tells that and unmasks. */
void event_unmask(evtchn_port_t port)
{
    if (!fifo_on || !fifo_unmask(port)) {
        event_unmask_asked(port);
    }
}

void event_unmask_here(evtchn_port_t port)
{
    volatile struct vcpu_info *info = vcpu_infos[vcpu_self()];
    unsigned int word = port / WORD_BITS;

    if (fifo_on) {
        event_unmask(port);
        return;
    }
    __atomic_fetch_and(&shared->evtchn_mask[word], ~bit_of(port), __ATOMIC_SEQ_CST);
    if (event_pending(port)) {
        __atomic_fetch_or(&info->evtchn_pending_sel, bit_of(word), __ATOMIC_SEQ_CST);
        info->evtchn_upcall_pending = 1;
    }
}

void upcalls_disable(void)
{
    vcpu_infos[vcpu_self()]->evtchn_upcall_mask = 1;
    asm volatile("" ::: "memory");
}

/* What came in the meantime is delivered on the way out of any hypercall. */
void upcalls_enable(void)
{
    volatile struct vcpu_info *info = vcpu_infos[vcpu_self()];

    asm volatile("" ::: "memory");
    info->evtchn_upcall_mask = 0;
    if (info->evtchn_upcall_pending) {
        xen_version(XENVER_version, NULL);
    }
}

void vcpu_block(void)
{
    sched_op(SCHEDOP_block, NULL);
}
