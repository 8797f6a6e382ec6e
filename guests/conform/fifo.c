/* SPDX-License-Identifier: MIT */
/* fifo.c - the guest's side of FIFO event channels: event words, control blocks, queues. */
#include "fifo.h"

volatile char fifo_controls[2][PAGE_SIZE] __attribute__((aligned(4096)));
volatile char fifo_array[FIFO_PAGES][PAGE_SIZE] __attribute__((aligned(4096)));

/* The first port of each queue that is not handled yet; 0: what the control block says. */
static evtchn_port_t heads[2][EVTCHN_FIFO_MAX_QUEUES];

volatile struct evtchn_fifo_control_block *fifo_control(unsigned int vcpu)
{
    return (volatile void *)fifo_controls[vcpu];
}

volatile event_word_t *fifo_word(evtchn_port_t port)
{
    volatile event_word_t *page = (volatile void *)fifo_array[port / WORDS_A_PAGE];

    return page + port % WORDS_A_PAGE;
}

long fifo_init(unsigned int vcpu, uint64_t gfn, uint32_t offset)
{
    struct evtchn_init_control op = { .control_gfn = gfn, .offset = offset, .vcpu = vcpu };
    long rc = event_op(EVTCHNOP_init_control, &op);

    return rc ? rc : op.link_bits;
}

long fifo_expand(uint64_t gfn)
{
    struct evtchn_expand_array op = { .array_gfn = gfn };

    return event_op(EVTCHNOP_expand_array, &op);
}

void fifo_start(unsigned int pages)
{
    memset(heads, 0, sizeof(heads));
    for (unsigned int v = 0; v < 2; v++) {
        page_fill(fifo_controls[v], 0);
        fifo_init(v, virt_to_mfn(fifo_controls[v]), 0);
    }
    for (unsigned int i = 0; i < pages; i++) {
        page_fill(fifo_array[i], 0);
        fifo_expand(virt_to_mfn(fifo_array[i]));
    }
}

/* Takes the first port off a queue: its word as it was; false: the queue is empty. */
static bool take(unsigned int vcpu, unsigned int queue, evtchn_port_t *port, event_word_t *word)
{
    evtchn_port_t *head = &heads[vcpu][queue];
    volatile event_word_t *w;
    event_word_t old;

    if (!*head) {
        *head = fifo_control(vcpu)->head[queue];
    }
    *port = *head;
    w = fifo_word(*port);
    old = *w;
    while (!__atomic_compare_exchange_n(w, &old,
                                        old & ~(BIT(EVTCHN_FIFO_LINKED) | EVTCHN_FIFO_LINK_MASK),
                                        false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)) {
    }
    *word = old;
    *head = old & EVTCHN_FIFO_LINK_MASK;
    return *head != 0;
}

/* What is done with each port that was pending and not masked. */
static void consume(unsigned int vcpu, void (*handle)(unsigned int queue, evtchn_port_t port))
{
    uint32_t ready;

    while ((ready = __atomic_exchange_n(&fifo_control(vcpu)->ready, 0, __ATOMIC_SEQ_CST))) {
        while (ready) {
            unsigned int queue = (unsigned int)__builtin_ctz(ready);
            evtchn_port_t port;
            event_word_t word;
            bool more = take(vcpu, queue, &port, &word);

            if (!more) {
                ready &= ~BIT(queue);
            }
            if (word & BIT(EVTCHN_FIFO_PENDING) && !(word & BIT(EVTCHN_FIFO_MASKED))) {
                __atomic_fetch_and(fifo_word(port), ~BIT(EVTCHN_FIFO_PENDING), __ATOMIC_SEQ_CST);
                if (handle) {
                    handle(queue, port);
                }
            }
        }
    }
}

static char order[100];
static unsigned int order_length;

static void note(unsigned int queue, evtchn_port_t port)
{
    order_length += (unsigned int)fmt_snprintf(order + order_length, sizeof(order) - order_length,
                                               " %u:%u", queue, port);
}

void fifo_deliver(const char *name, unsigned int vcpu)
{
    order_length = 0;
    order[0] = 0;
    consume(vcpu, note);
    resultf(name, "in order%s", order);
}

void fifo_drain(void)
{
    for (unsigned int v = 0; v < 2; v++) {
        consume(v, NULL);
        vcpu_infos[v]->evtchn_upcall_pending = 0;
    }
}

void fifo_bits_set(evtchn_port_t port, bool pending, bool masked)
{
    fifo_drain();
    __atomic_fetch_and(fifo_word(port), ~(BIT(EVTCHN_FIFO_PENDING) | BIT(EVTCHN_FIFO_MASKED)),
                       __ATOMIC_SEQ_CST);
    __atomic_fetch_or(fifo_word(port),
                      (pending ? BIT(EVTCHN_FIFO_PENDING) : 0) |
                          (masked ? BIT(EVTCHN_FIFO_MASKED) : 0),
                      __ATOMIC_SEQ_CST);
}

static int bit(event_word_t word, unsigned int n)
{
    return word >> n & 1;
}

void fifo_bits(const char *name, evtchn_port_t port)
{
    event_word_t w = *fifo_word(port);

    printf("E|%s|%d %d %d %d link %u ready %x %x upcall %d %d\n", name, bit(w, EVTCHN_FIFO_PENDING),
           bit(w, EVTCHN_FIFO_MASKED), bit(w, EVTCHN_FIFO_LINKED), bit(w, EVTCHN_FIFO_BUSY),
           w & EVTCHN_FIFO_LINK_MASK, fifo_control(0)->ready, fifo_control(1)->ready,
           vcpu_infos[0]->evtchn_upcall_pending, vcpu_infos[1]->evtchn_upcall_pending);
}

void fifo_fresh(unsigned int pages)
{
    fifo_start(pages);
    fifo_drain();
}
