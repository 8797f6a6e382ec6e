/* SPDX-License-Identifier: MIT */
/* sources: evtchn/fifo.c */
/* tsan */
/*
 * The FIFO protocol with real threads: senders on two queues, a thread that changes priorities, and
 * a guest that empties its queues as Linux does. No event may be lost, no queue may hold what isn't
 * linked. test_interleave_fifo.c tries all orders of few events; this one very many, at speed.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <time.h>

#include <tarn/evtchn.h>

void arch_spin_service(void);
void arch_spin_service(void)
{
    sched_yield();
}

enum { PORTS = 4, HIGH = 3, LOW = 12, BURST = 3, ROUNDS = 30000, DEADLINE_S = 60 };

static struct evtchn_fifo *fifo; /* for one vcpu */
static const u16 notify;         /* that one */
static event_word_t page[FIFO_WORDS_PER_PAGE];
static struct evtchn_fifo_control_block control;
static struct vcpu_info info;
static struct fifo_port ports[PORTS + 1];
static u32 sent[PORTS + 1], seen[PORTS + 1];
static u32 first[EVTCHN_FIFO_MAX_QUEUES]; /* the guest's place in each queue */
static u32 senders_left, failures;
static sem_t kicks;

static time_t now_s(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec;
}

static void upcall(bool due)
{
    if (due && evtchn_upcall(&info)) {
        sem_post(&kicks);
    }
}

static void *sender(void *arg)
{
    u32 port = (u32)(uintptr_t)arg;
    time_t deadline = now_s() + DEADLINE_S;

    for (u32 value = 1; value <= ROUNDS * BURST && !atomic_load(&failures); value++) {
        atomic_store(&sent[port], value);
        upcall(fifo_send(fifo, &ports[port], port, &notify) & FIFO_UPCALL);
        while (value % BURST == 0 && atomic_load(&seen[port]) != value && !atomic_load(&failures)) {
            sched_yield();
            if (now_s() > deadline) {
                atomic_fetch_add(&failures, 1);
            }
        }
    }
    atomic_fetch_sub(&senders_left, 1);
    sem_post(&kicks);
    return NULL;
}

static void *mover(void *arg)
{
    (void)arg;
    for (u32 i = 0; atomic_load(&senders_left); i++) {
        u32 port = i % PORTS + 1;

        atomic_store(&ports[port].priority, (u8)(i / PORTS % 2 ? HIGH : LOW));
        sched_yield();
    }
    return NULL;
}

/* ---- The guest ---- */

static void unmask(u32 port)
{
    event_word_t old = atomic_load(&page[port]);

    while (!(old & FIFO_PENDING)) {
        if (atomic_cmpxchg(&page[port], &old, old & ~FIFO_MASKED)) {
            return;
        }
    }
    upcall(fifo_unmask(fifo, &ports[port], port, &notify));
}

static void handle(u32 port, bool masks)
{
    if (masks) {
        (void)atomic_fetch_or(&page[port], FIFO_MASKED);
    }
    if (atomic_fetch_and(&page[port], ~FIFO_PENDING) & FIFO_PENDING) {
        atomic_store(&seen[port], atomic_load(&sent[port]));
    }
    if (masks) {
        unmask(port);
    }
}

static u32 unlink_port(u32 port)
{
    event_word_t old = atomic_load(&page[port]);

    while (!atomic_cmpxchg(&page[port], &old, old & ~(FIFO_LINKED | EVTCHN_FIFO_LINK_MASK))) {
    }
    if (!(old & FIFO_LINKED)) {
        atomic_fetch_add(&failures, 1);
    }
    return old & EVTCHN_FIFO_LINK_MASK;
}

static void consume(u32 priority, u32 *ready, bool masks)
{
    u32 port = first[priority];
    event_word_t word;

    if (port == 0) {
        port = atomic_load(&control.head[priority]);
    }
    if (port < 1 || port > PORTS) {
        atomic_fetch_add(&failures, 1);
        *ready &= ~(1u << priority);
        return;
    }
    first[priority] = unlink_port(port);
    if (first[priority] == 0) {
        *ready &= ~(1u << priority);
    }
    word = atomic_load(&page[port]);
    if ((word & FIFO_PENDING) && !(word & FIFO_MASKED)) {
        handle(port, masks);
    }
}

static void *guest(void *arg)
{
    u32 turn = 0;

    (void)arg;
    while (atomic_load(&senders_left)) {
        sem_wait(&kicks);
        while (atomic_xchg(&info.evtchn_upcall_pending, (u8)0)) {
            u32 ready = atomic_xchg(&control.ready, 0u);

            while (ready) {
                consume((u32)__builtin_ctz(ready), &ready, turn++ % 2);
                ready |= atomic_xchg(&control.ready, 0u);
            }
        }
    }
    return NULL;
}

/* ---- The run ---- */

static void prepare(void)
{
    fifo = calloc(1, sizeof(*fifo) + sizeof(struct fifo_vcpu));
    fifo->vcpu[0].control = &control;
    fifo_add_page(fifo, page);
    for (u32 port = 1; port <= PORTS; port++) {
        ports[port].priority = port % 2 ? HIGH : LOW;
    }
    senders_left = PORTS;
    assert_int_equal(sem_init(&kicks, 0, 0), 0);
}

static void test_no_event_lost(void **state)
{
    pthread_t threads[PORTS + 1], moving, consumer;

    (void)state;
    prepare();
    assert_int_equal(pthread_create(&consumer, NULL, guest, NULL), 0);
    assert_int_equal(pthread_create(&moving, NULL, mover, NULL), 0);
    for (u32 i = 1; i <= PORTS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, sender, (void *)(uintptr_t)i), 0);
    }
    for (u32 i = 1; i <= PORTS; i++) {
        pthread_join(threads[i], NULL);
    }
    pthread_join(moving, NULL);
    pthread_join(consumer, NULL);
    assert_int_equal(failures, 0);
    for (u32 i = 1; i <= PORTS; i++) {
        assert_int_equal(seen[i], ROUNDS * BURST);
    }
    free(fifo);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_event_lost),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
