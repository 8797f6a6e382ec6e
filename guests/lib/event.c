/* SPDX-License-Identifier: MIT */
/*
 * event.c - event channels by the two-level protocol: ports and their handlers,
 * the upcall's scan of pending bits, masking, and sleeping until an event.
 * A port is handled on one vcpu, the one the hypervisor notifies for it; the
 * owned[] bitmaps keep the vcpus from taking each other's events, since they
 * share the words of the pending bitmap.
 */
#include "guest.h"

#define WORD_BITS 64U
#define WORDS (NR_PORTS / WORD_BITS)

volatile struct vcpu_info *vcpu_infos[MAX_VCPUS];

static event_handler handlers[NR_PORTS];
static uint64_t owned[MAX_VCPUS][WORDS];
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

    return __atomic_fetch_and(&shared->evtchn_pending[port / WORD_BITS], ~bit, __ATOMIC_SEQ_CST) &
           bit;
}

/*
 * What was pending before somebody handled it (binding to a port makes it so) was passed over by
 * the scan, which took its selector bit: no further event would raise that.
 */
static void raise_again(evtchn_port_t port)
{
    if (event_pending(port) && !(shared->evtchn_mask[port / WORD_BITS] & bit_of(port))) {
        event_mask(port);
        event_unmask(port);
    }
}

void event_handle(evtchn_port_t port, unsigned int vcpu, event_handler handler)
{
    for (unsigned int v = 0; v < MAX_VCPUS; v++) {
        __atomic_fetch_and(&owned[v][port / WORD_BITS], ~bit_of(port), __ATOMIC_SEQ_CST);
    }
    handlers[port] = handler;
    if (handler) {
        __atomic_fetch_or(&owned[vcpu][port / WORD_BITS], bit_of(port), __ATOMIC_SEQ_CST);
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

/* Handles what is pending in one word, once each, starting after the last one handled. */
static void scan_word(unsigned int vcpu, unsigned int word)
{
    uint64_t todo = word_ready(vcpu, word);
    unsigned int bit = last[vcpu].word == word ? last[vcpu].bit + 1 : 0;

    while (todo) {
        evtchn_port_t port;

        bit = next_bit(todo, bit);
        todo &= ~bit_of(bit);
        last[vcpu].word = word;
        last[vcpu].bit = bit;
        port = word * WORD_BITS + bit;
        if (pending_clear(port) && handlers[port]) {
            handlers[port](port);
        }
    }
}

void event_scan(void)
{
    unsigned int vcpu = vcpu_self();
    volatile struct vcpu_info *info = vcpu_infos[vcpu];
    unsigned int word = last[vcpu].word;
    uint64_t words;

    info->evtchn_upcall_pending = 0;
    words = __atomic_exchange_n(&info->evtchn_pending_sel, 0, __ATOMIC_SEQ_CST);
    while (words) {
        word = next_bit(words, word);
        words &= ~bit_of(word);
        scan_word(vcpu, word);
        word++;
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
    return shared->evtchn_pending[port / WORD_BITS] & bit_of(port);
}

void event_clear(evtchn_port_t port)
{
    pending_clear(port);
}

void event_mask(evtchn_port_t port)
{
    __atomic_fetch_or(&shared->evtchn_mask[port / WORD_BITS], bit_of(port), __ATOMIC_SEQ_CST);
}

/* Only the hypervisor can raise the selector of another vcpu, so it is asked to. */
void event_unmask(evtchn_port_t port)
{
    struct evtchn_unmask op = { .port = port };

    event_op(EVTCHNOP_unmask, &op);
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
