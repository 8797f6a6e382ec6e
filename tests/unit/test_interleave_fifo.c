/* SPDX-License-Identifier: MIT */
/* sources: tests/unit/interleave.c evtchn/fifo.c */
/* interleave */
/*
 * The FIFO protocol in every interleaving of two senders, a guest that empties its queues as Linux
 * does, and one of: who changes a port's priority, who masks and unmasks, the page of words that
 * comes late. No event is lost, none comes twice, no queue has anything but what is linked, and the
 * guest sees all queues that have something.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include <string.h>

#include <tarn/evtchn.h>

#include "interleave.h"

#define QUIET __attribute__((no_sanitize("thread")))

void arch_spin_service(void);
void arch_spin_service(void)
{
    interleave_spin();
}

enum { PORTS = 2, HIGH = 6, LOW = 7, QUEUES = 2 };
enum style { EDGE, LEVEL_BY_MEMORY, LEVEL_BY_HYPERCALL, LEVEL_WITHOUT_A_LOOK };

static struct evtchn_fifo *fifo; /* for one vcpu */
static const u16 notify;         /* that one */
static event_word_t page[FIFO_WORDS_PER_PAGE];
static struct evtchn_fifo_control_block control;
static struct vcpu_info info;
static struct fifo_port ports[PORTS + 1];
static u8 kicked;
static u32 sent[PORTS + 1]; /* what a sender did before its event */
static u32 first[QUEUES];   /* the guest's: where it is in a queue */
static struct {
    u32 got[PORTS + 1];     /* the last of `sent` that the guest saw */
    u32 edges[PORTS + 1];   /* PENDING went from 0 to 1 */
    u32 handled[PORTS + 1]; /* and back to 0 */
} notes;

static struct {
    u32 sends; /* how many by each sender */
    u32 more;  /* and by sender 0 beyond that */
    u32 priority[PORTS + 1];
    enum style style[PORTS + 1];
    void (*third)(void); /* an actor beside senders and guest */
    u32 ports;           /* of them the senders send to */
} setting;

static void upcall(bool due)
{
    if (due && evtchn_upcall(&info)) {
        (void)atomic_xchg(&kicked, (u8)1);
    }
}

/* ---- Senders ---- */

static void send(u32 port, u32 times)
{
    for (u32 n = 0; n < times; n++) {
        u32 todo;

        (void)atomic_fetch_add(&sent[port], 1);
        todo = fifo_send(fifo, &ports[port], port, &notify);
        upcall(todo & FIFO_UPCALL);
    }
}

static void sender_0(void)
{
    send(1, setting.sends + setting.more);
}

static void sender_1(void)
{
    send(setting.ports, setting.sends);
}

/* EVTCHNOP_set_priority of port 1, there and back. */
static void mover(void)
{
    atomic_store(&ports[1].priority, (u8)(HIGH + LOW - setting.priority[1]));
    atomic_store(&ports[1].priority, (u8)setting.priority[1]);
}

/* Both ports to where the other was. */
static void swapper(void)
{
    atomic_store(&ports[1].priority, (u8)(HIGH + LOW - setting.priority[1]));
    atomic_store(&ports[2].priority, (u8)(HIGH + LOW - setting.priority[2]));
}

static void mover_once(void)
{
    atomic_store(&ports[1].priority, (u8)(HIGH + LOW - setting.priority[1]));
}

/* Another vcpu of the guest. */
static void masker(void)
{
    (void)atomic_fetch_or(&page[1], FIFO_MASKED);
    upcall(fifo_unmask(fifo, &ports[1], 1, &notify));
}

/* EVTCHNOP_expand_array. */
static void expander(void)
{
    fifo_add_page(fifo, page);
    for (u32 port = 1; port <= PORTS; port++) {
        upcall(fifo_send_waiting(fifo, &ports[port], port, &notify) & FIFO_UPCALL);
    }
}

/* ---- The guest ---- */

/* Clears MASKED by cmpxchg, but not if PENDING is set: then it must be linked, and only the
 * hypervisor can do that. */
static void unmask(u32 port, enum style style)
{
    event_word_t old = atomic_load(&page[port]);

    if (style == LEVEL_WITHOUT_A_LOOK) {
        (void)atomic_fetch_and(&page[port], ~FIFO_MASKED);
        return;
    }
    while (style == LEVEL_BY_MEMORY && !(old & FIFO_PENDING)) {
        if (atomic_cmpxchg(&page[port], &old, old & ~FIFO_MASKED)) {
            return;
        }
    }
    upcall(fifo_unmask(fifo, &ports[port], port, &notify));
}

static void take(u32 port)
{
    if (atomic_fetch_and(&page[port], ~FIFO_PENDING) & FIFO_PENDING) {
        notes.handled[port]++;
        notes.got[port] = atomic_load(&sent[port]);
    }
}

static void handle(u32 port)
{
    if (setting.style[port] == EDGE) {
        take(port);
        return;
    }
    (void)atomic_fetch_or(&page[port], FIFO_MASKED);
    take(port);
    unmask(port, setting.style[port]);
}

/* Out of its queue: returns the next one there. */
static u32 unlink_port(u32 port)
{
    event_word_t old = atomic_load(&page[port]);

    while (!atomic_cmpxchg(&page[port], &old, old & ~(FIFO_LINKED | EVTCHN_FIFO_LINK_MASK))) {
    }
    interleave_assert(old & FIFO_LINKED);
    return old & EVTCHN_FIFO_LINK_MASK;
}

static void consume(u32 priority, u32 *ready)
{
    u32 port = first[priority - HIGH], next;
    event_word_t word;

    if (port == 0) {
        port = atomic_load(&control.head[priority]);
    }
    interleave_assert(port >= 1 && port <= PORTS);
    if (port < 1 || port > PORTS) {
        return;
    }
    next = unlink_port(port);
    if (next == 0) {
        *ready &= ~(1u << priority);
    }
    word = atomic_load(&page[port]);
    if ((word & FIFO_PENDING) && !(word & FIFO_MASKED)) {
        handle(port);
    }
    first[priority - HIGH] = next;
}

/* Nobody is at work in that queue, and it is not empty: then it is among those that are ready. */
QUIET static void must_know(const struct fifo_queue *q, u32 priority, u32 ready)
{
    if (!q->lock && q->tail && (page[q->tail] & FIFO_LINKED)) {
        interleave_assert(ready & (1u << priority));
    }
}

static u32 take_ready(u32 ready)
{
    ready |= atomic_xchg(&control.ready, 0u);
    must_know(&fifo->vcpu[0].queue[HIGH], HIGH, ready);
    must_know(&fifo->vcpu[0].queue[LOW], LOW, ready);
    return ready;
}

static void guest(void)
{
    for (;;) {
        interleave_wait(&kicked);
        (void)atomic_xchg(&kicked, (u8)0);
        while (atomic_load(&info.evtchn_upcall_pending)) {
            u32 ready;

            atomic_store(&info.evtchn_upcall_pending, (u8)0);
            ready = take_ready(0);
            while (ready) {
                consume((u32)__builtin_ctz(ready), &ready);
                ready = take_ready(ready);
            }
        }
    }
}

/* ---- Judging ---- */

QUIET static void all_is_handled(void)
{
    for (u32 port = 1; port <= PORTS; port++) {
        interleave_assert(page[port] == 0);
        interleave_assert(notes.got[port] == sent[port]);
        interleave_assert(ports[port].waiting == 0);
    }
    for (u32 i = 0; i < QUEUES; i++) {
        const struct fifo_queue *q = &fifo->vcpu[0].queue[HIGH + i];

        interleave_assert(first[i] == 0);
        interleave_assert(q->lock == 0);
        interleave_assert(q->tail == 0 || ports[q->tail].queue == HIGH + i);
    }
    interleave_assert(control.ready == 0);
}

static void prepare(void)
{
    memset(fifo, 0, sizeof(*fifo) + sizeof(struct fifo_vcpu));
    memset(page, 0, sizeof(page));
    memset(&control, 0, sizeof(control));
    memset(&info, 0, sizeof(info));
    memset(ports, 0, sizeof(ports));
    memset(sent, 0, sizeof(sent));
    memset(first, 0, sizeof(first));
    memset(&notes, 0, sizeof(notes));
    kicked = 0;
    fifo->vcpu[0].control = &control;
    for (u32 port = 1; port <= PORTS; port++) {
        ports[port].priority = (u8)setting.priority[port];
        ports[port].queue = (u16)setting.priority[port];
    }
    if (setting.third != expander) {
        fifo_add_page(fifo, page);
    }
}

static bool run(struct interleave *t)
{
    prepare();
    *t = (struct interleave){
        .actor = { guest, sender_0, sender_1, setting.third },
        .name = { "guest", "sender 0", "sender 1", "third" },
        .region = { { &page[1], PORTS * sizeof(page[0]), "words", false },
                    { &control.ready, sizeof(control.ready), "ready", false },
                    { &control.head[HIGH], QUEUES * sizeof(control.head[0]), "head", false },
                    { &fifo->vcpu[0].queue[HIGH], QUEUES * sizeof(struct fifo_queue), "queue",
                      false },
                    { &info.evtchn_upcall_pending, 1, "upcall", false },
                    { &ports[1], PORTS * sizeof(ports[0]), "ports", false },
                    { &kicked, sizeof(kicked), "kicked", false },
                    { sent, sizeof(sent), "sent", false },
                    { &notes, sizeof(notes), "notes", true },
                    { first, sizeof(first), "first", true } },
        .end = all_is_handled,
    };
    if (setting.third == expander) {
        t->region[10].at = &fifo->nr_words;
        t->region[10].size = offsetof(struct evtchn_fifo, page) + sizeof(fifo->page[0]);
        t->region[10].name = "page";
    }
    return interleave(t);
}

/* Priorities of the two ports; styles: how many to try for each of them. */
static void check(const char *what, u32 priority_1, u32 priority_2, u32 styles)
{
    struct interleave t;
    u64 states = 0, steps = 0, ends = 0;

    setting.priority[1] = priority_1;
    setting.priority[2] = priority_2;
    for (u32 style = 0; style < styles * styles; style++) {
        setting.style[1] = style / styles;
        setting.style[2] = style % styles;
        if (!run(&t)) {
            interleave_show(&t);
            fail_msg("styles %u and %u: %s", style / styles, style % styles, t.failed);
        }
        states += t.states;
        steps += t.steps;
        ends += t.ends;
    }
    printf("fifo, %s: %lu states, %lu steps, %lu ends\n", what, (unsigned long)states,
           (unsigned long)steps, (unsigned long)ends);
    assert_true(states > 1000 && ends > 0);
}

static void test_one_queue(void **state)
{
    (void)state;
    setting.sends = 1;
    check("one queue", LOW, LOW, 3);
    setting.sends = 2;
    check("one queue, twice", LOW, LOW, 1);
}

static void test_two_queues(void **state)
{
    (void)state;
    setting.sends = 1;
    check("two queues", LOW, HIGH, 3);
    setting.sends = 2;
    check("two queues, twice", LOW, HIGH, 1);
}

/* A port leaves the queue whose tail it is, while another one is linked there. */
static void test_priority(void **state)
{
    (void)state;
    setting.sends = 1;
    setting.third = mover;
    check("priority changes twice", LOW, HIGH, 1);
    setting.third = swapper;
    check("priorities change places", LOW, HIGH, 1);
    setting.more = 1;
    setting.third = mover_once;
    check("priority changes", LOW, LOW, 1);
}

static void test_one_port(void **state)
{
    (void)state;
    setting.sends = 1;
    setting.ports = 1;
    setting.third = mover;
    check("two senders to a port whose priority changes", LOW, LOW, 1);
}

static void test_masker(void **state)
{
    (void)state;
    setting.sends = 1;
    setting.third = masker;
    check("masker", LOW, LOW, 3);
}

static void test_page_late(void **state)
{
    (void)state;
    setting.sends = 1;
    setting.third = expander;
    check("page comes late", LOW, LOW, 1);
}

/* Who unmasks by memory and does not look loses events: this can fail. */
static void test_masked_edge(void **state)
{
    struct interleave t;

    (void)state;
    setting.sends = 2;
    setting.priority[1] = setting.priority[2] = LOW;
    setting.style[1] = setting.style[2] = LEVEL_WITHOUT_A_LOOK;
    assert_false(run(&t));
}

static int setup(void **state)
{
    (void)state;
    memset(&setting, 0, sizeof(setting));
    setting.ports = PORTS;
    return 0;
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_masked_edge, setup),
        cmocka_unit_test_setup(test_one_port, setup),
        cmocka_unit_test_setup(test_page_late, setup),
        cmocka_unit_test_setup(test_one_queue, setup),
        cmocka_unit_test_setup(test_two_queues, setup),
        cmocka_unit_test_setup(test_masker, setup),
        cmocka_unit_test_setup(test_priority, setup),
    };

    fifo = calloc(1, sizeof(*fifo) + sizeof(struct fifo_vcpu));
    return cmocka_run_group_tests(tests, NULL, NULL);
}
