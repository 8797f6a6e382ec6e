/* SPDX-License-Identifier: MIT */
/*
 * event_fifo.c - event channels by the FIFO protocol. Each port has a word, PENDING, MASKED and its
 * place in a queue: LINKED, and in LINK the port behind it. Each vcpu has a control block with the
 * first port of its 16 queues and the set of those that are not empty.
 * The hypervisor alone links; the guest alone unlinks, on the vcpu whose queue it is. So a queue
 * needs no lock; a word is changed by locked instructions, since the hypervisor changes it, too.
 */
#include "event_fifo.h"

#define PAGE_WORDS (PAGE_SIZE / sizeof(event_word_t))
#define FLAG(bit) (1U << (bit))

bool fifo_on;

/* Where the hypervisor sees them: none may lie across a page's end. */
static union {
    struct evtchn_fifo_control_block block;
    uint8_t room[128];
} control[MAX_VCPUS] __attribute__((aligned(4096)));
/* The first of each queue as far as it is known here; 0: the control block tells. */
static uint32_t heads[MAX_VCPUS][EVTCHN_FIFO_MAX_QUEUES];

static volatile event_word_t *word_of(evtchn_port_t port)
{
    return &event_room.words[port];
}

bool fifo_is(evtchn_port_t port, unsigned int flag)
{
    return *word_of(port) & FLAG(flag);
}

bool fifo_clear(evtchn_port_t port)
{
    event_word_t flag = FLAG(EVTCHN_FIFO_PENDING);

    return __atomic_fetch_and(word_of(port), ~flag, __ATOMIC_SEQ_CST) & flag;
}

void fifo_mask(evtchn_port_t port)
{
    __atomic_fetch_or(word_of(port), FLAG(EVTCHN_FIFO_MASKED), __ATOMIC_SEQ_CST);
}

static bool word_change(volatile event_word_t *word, event_word_t *old, event_word_t to)
{
    return __atomic_compare_exchange_n(word, old, to, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
}

/* While the word is BUSY the hypervisor is at its LINK, and MASKED must stay. */
bool fifo_unmask(evtchn_port_t port)
{
    volatile event_word_t *word = word_of(port);
    event_word_t old = *word;

    while (old & FLAG(EVTCHN_FIFO_MASKED)) {
        if (old & FLAG(EVTCHN_FIFO_PENDING)) {
            return false;
        }
        if (old & FLAG(EVTCHN_FIFO_BUSY)) {
            cpu_relax();
            old = *word;
        } else if (word_change(word, &old, old & ~FLAG(EVTCHN_FIFO_MASKED))) {
            break;
        }
    }
    return true;
}

/* Takes the port out of the queue that it is the first of; who is the next, or 0. */
static evtchn_port_t unlink(evtchn_port_t port)
{
    volatile event_word_t *word = word_of(port);
    event_word_t old = *word;

    while (!word_change(word, &old, old & ~(FLAG(EVTCHN_FIFO_LINKED) | EVTCHN_FIFO_LINK_MASK))) {
    }
    return old & EVTCHN_FIFO_LINK_MASK;
}

/* What nobody handles stays pending for who will (raise_again in event.c); what is masked, for
 * who unmasks it. */
static void handle(evtchn_port_t port)
{
    event_handler handler = __atomic_load_n(&event_room.handlers[port], __ATOMIC_SEQ_CST);

    if (handler && !fifo_is(port, EVTCHN_FIFO_MASKED) && fifo_clear(port)) {
        handler(port);
    }
}

/* Handles the first of a queue that has one; false: that was its last. */
static bool consume(unsigned int vcpu, unsigned int queue)
{
    volatile uint32_t *first = &control[vcpu].block.head[queue];
    uint32_t *head = &heads[vcpu][queue];
    evtchn_port_t port = *head ? *head : *first;

    if (!port || port >= event_room.ports) {
        return false;
    }
    *head = unlink(port);
    handle(port);
    return *head;
}

void fifo_scan(unsigned int vcpu)
{
    volatile uint32_t *ready = &control[vcpu].block.ready;
    uint32_t queues;

    vcpu_infos[vcpu]->evtchn_upcall_pending = 0;
    queues = __atomic_exchange_n(ready, 0, __ATOMIC_SEQ_CST);
    while (queues) {
        unsigned int queue = (unsigned int)__builtin_ctz(queues);

        if (!consume(vcpu, queue)) {
            queues &= ~(1U << queue);
        }
        queues |= __atomic_exchange_n(ready, 0, __ATOMIC_SEQ_CST);
    }
}

/* ---- the switch ---- */

static long control_give(unsigned int vcpu)
{
    struct evtchn_init_control op = {
        .control_gfn = virt_to_mfn(&control[vcpu]),
        .offset = (uint32_t)(ARG(&control[vcpu]) % PAGE_SIZE),
        .vcpu = vcpu,
    };

    return event_op(EVTCHNOP_init_control, &op);
}

static long words_give(const event_word_t *page)
{
    struct evtchn_expand_array op = { .array_gfn = virt_to_mfn(page) };

    return event_op(EVTCHNOP_expand_array, &op);
}

static long vcpus_give(void)
{
    unsigned int vcpus = vcpu_count();

    for (unsigned int v = 0; v < vcpus; v++) {
        long rc = control_give(v);

        if (rc) {
            return rc;
        }
        fifo_on = true; /* the first one switches */
    }
    return 0;
}

long event_use_fifo(void)
{
    long rc = vcpus_give();

    for (unsigned int n = 0; rc == 0 && n < event_room.ports; n += PAGE_WORDS) {
        rc = words_give(&event_room.words[n]);
    }
    return rc;
}

bool event_is_fifo(void)
{
    return fifo_on;
}

void event_start(void)
{
    char protocol[8] = "";
    long rc;

    arg_string("events", protocol, sizeof(protocol));
    if (strcmp(protocol, "fifo")) {
        return;
    }
    rc = event_use_fifo();
    if (rc) {
        printf("%s: events=fifo: %ld\n", guest_name, rc);
    }
}

long event_set_priority(evtchn_port_t port, unsigned int priority)
{
    struct evtchn_set_priority op = { .port = port, .priority = priority };

    return event_op(EVTCHNOP_set_priority, &op);
}
