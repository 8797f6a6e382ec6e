/* SPDX-License-Identifier: MIT */
/* sources: evtchn/fifo.c */
/* tsan */
/*
 * The FIFO protocol: every bit after each step, order by priority and arrival, ports that move
 * between queues, words that the guest spoils; a random walk that is compared with plain lists; and
 * threads that send, mask, move and consume at once and must not lose an event.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include <tarn/fifo.h>

void arch_spin_service(void);
__attribute__((weak)) void arch_spin_service(void)
{
    sched_yield();
}

enum { VCPUS = 3, PRIORITIES = 16, DEFAULT = 7 };
#define P FIFO_PENDING
#define M FIFO_MASKED
#define L FIFO_LINKED
#define LINK ((u32)EVTCHN_FIFO_LINK_MASK)

/* Our side */
static union {
    struct evtchn_fifo f;
    u8 room[sizeof(struct evtchn_fifo) + VCPUS * sizeof(struct fifo_vcpu)];
} hv;
#define F (&hv.f)
static struct fifo_port ports[FIFO_PORTS];

/* The guest's */
static event_word_t words[FIFO_PORTS];
static struct evtchn_fifo_control_block control[VCPUS];
static u32 head[VCPUS][PRIORITIES], ready[VCPUS];

static void add_page(void)
{
    fifo_add_page(F, &words[F->nr_words]);
}

static int setup(void **state)
{
    (void)state;
    memset(&hv, 0, sizeof(hv));
    memset(ports, 0, sizeof(ports));
    memset(words, 0, sizeof(words));
    memset(control, 0, sizeof(control));
    memset(head, 0, sizeof(head));
    memset(ready, 0, sizeof(ready));
    for (u32 i = 0; i < FIFO_PORTS; i++) {
        ports[i].priority = DEFAULT;
    }
    for (u32 i = 0; i < VCPUS; i++) {
        F->vcpu[i].control = &control[i];
    }
    add_page();
    return 0;
}

/* What is to be done, without the vcpu that it says. */
static u32 checked(u32 todo, u32 vcpu)
{
    assert_int_equal(fifo_vcpu(todo), todo & FIFO_UPCALL ? vcpu : 0);
    return todo & 0xff;
}

static u32 send_to(u32 port, u32 vcpu)
{
    return checked(fifo_send(F, &ports[port], port, &(u16){ (u16)vcpu }), vcpu);
}

static u32 send(u32 port)
{
    return send_to(port, 0);
}

static bool unmask(u32 port)
{
    return fifo_unmask(F, &ports[port], port, &(u16){ 0 });
}

static void expect_word(u32 port, u32 want)
{
    assert_int_equal(words[port], want);
}

/* What a guest does, a port at a time: the next one that it takes out of a queue; 0: none. */
static u32 take_out(u32 v)
{
    u32 q, port;

    ready[v] |= atomic_xchg(&control[v].ready, 0);
    if (!ready[v]) {
        return 0;
    }
    q = (u32)__builtin_ctz(ready[v]);
    port = head[v][q] ? head[v][q] : atomic_load(&control[v].head[q]);
    head[v][q] = atomic_fetch_and(&words[port], ~(L | LINK)) & LINK;
    if (!head[v][q]) {
        ready[v] &= ~(1u << q);
    }
    return port;
}

/* ... and of these the next one with an event, which it acknowledges; 0: none. */
static u32 consume(u32 v)
{
    u32 port;

    while ((port = take_out(v))) {
        if ((atomic_load(&words[port]) & (P | M)) == P) {
            atomic_fetch_and(&words[port], ~P);
            return port;
        }
    }
    return 0;
}

static void expect_order(u32 v, const u32 *want, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(consume(v), want[i]);
    }
    assert_int_equal(consume(v), 0);
}
#define ORDER(v, ...) \
    expect_order(v, (u32[]){ __VA_ARGS__ }, sizeof((u32[]){ __VA_ARGS__ }) / sizeof(u32))

static void test_abi(void **state)
{
    (void)state;
    assert_int_equal(FIFO_PORTS, 131072);
    assert_int_equal(FIFO_PAGES, 128);
    assert_int_equal(FIFO_WORDS_PER_PAGE, 1024);
    assert_null(fifo_word(F, 1024));
    assert_ptr_equal(fifo_word(F, 1023), &words[1023]);
    assert_null(fifo_word(F, ~0u));
}

static void test_bits(void **state)
{
    (void)state;
    assert_int_equal(send(5), FIFO_EDGE | FIFO_UNMASKED | FIFO_UPCALL);
    expect_word(5, P | L);
    assert_int_equal(control[0].head[DEFAULT], 5);
    assert_int_equal(control[0].ready, 1u << DEFAULT);
    assert_true(fifo_is_pending(F, &ports[5], 5));
    assert_true(fifo_is_linked(F, 5));
    assert_int_equal(send(5), 0); /* coalesced */
    expect_word(5, P | L);
    assert_int_equal(send(6), FIFO_EDGE | FIFO_UNMASKED); /* behind it: no news */
    expect_word(5, P | L | 6);
    expect_word(6, P | L);
    ORDER(0, 5, 6);
    expect_word(5, 0);
    expect_word(6, 0);
    assert_false(fifo_is_pending(F, &ports[5], 5));
    assert_false(fifo_is_linked(F, 5));
    assert_int_equal(F->vcpu[0].queue[DEFAULT].lock, 0);
}

/* In the queue still, but the guest has taken the event: the next one needs no link. */
static void test_pending_cleared_first(void **state)
{
    (void)state;
    send(5);
    words[5] &= ~P;
    assert_int_equal(send(5), FIFO_EDGE | FIFO_UNMASKED);
    ORDER(0, 5);
}

static void test_masked(void **state)
{
    (void)state;
    words[5] = M;
    assert_int_equal(send(5), FIFO_EDGE);
    expect_word(5, P | M);
    assert_int_equal(send(5), 0);
    assert_int_equal(control[0].ready, 0);
    assert_true(unmask(5));
    expect_word(5, P | L);
    assert_false(unmask(5)); /* it is linked */
    ORDER(0, 5);
    assert_false(unmask(5)); /* nothing is pending */
    expect_word(5, 0);
}

/* The guest unmasks by memory alone: unlike under two-level the next send brings the event, and so
 * does EVTCHNOP_unmask on a port that is not masked. */
static void test_unmasked_in_memory(void **state)
{
    (void)state;
    words[5] = M;
    send(5);
    words[5] &= ~M;
    assert_int_equal(send(5), FIFO_UPCALL);
    expect_word(5, P | L);
    ORDER(0, 5);
    words[6] = P;
    assert_true(unmask(6));
    ORDER(0, 6);
}

/* Masked while it is in the queue: taken out, not delivered; unmasking links it again. */
static void test_masked_in_queue(void **state)
{
    (void)state;
    send(5);
    send(6);
    words[5] |= M;
    ORDER(0, 6);
    expect_word(5, P | M);
    assert_true(unmask(5));
    ORDER(0, 5);
}

static void test_strict_priority(void **state)
{
    static const u8 priority[] = { 0, 9, 3, 15, 0, 3, 9, 15, 7 }; /* of ports 1.. */

    (void)state;
    for (u32 i = 1; i < ARRAY_SIZE(priority); i++) {
        ports[i].priority = priority[i];
        send(i);
    }
    /* 0: 4; 3: 2 5; 7: 8; 9: 1 6; 15: 3 7 */
    assert_int_equal(control[0].ready, 1u << 0 | 1u << 3 | 1u << 7 | 1u << 9 | 1u << 15);
    assert_int_equal(consume(0), 4);
    assert_int_equal(consume(0), 2);
    send(4); /* comes before what waits longer */
    ORDER(0, 4, 5, 8, 1, 6, 3, 7);
}

static void test_again_at_the_end(void **state)
{
    (void)state;
    send(1);
    send(2);
    send(3);
    assert_int_equal(consume(0), 1);
    assert_int_equal(send(1), FIFO_EDGE | FIFO_UNMASKED);
    ORDER(0, 2, 3, 1);
    /* the tail itself, taken out, then sent anew */
    assert_int_equal(send(1), FIFO_EDGE | FIFO_UNMASKED | FIFO_UPCALL);
    assert_int_equal(control[0].head[DEFAULT], 1);
    expect_word(1, P | L);
    ORDER(0, 1);
}

/* The last of a queue goes to another one: the first queue is empty and knows it. */
static void test_move(void **state)
{
    (void)state;
    send(1);
    ORDER(0, 1);
    ports[1].priority = 3;
    send(1);
    assert_int_equal(send(2), FIFO_EDGE | FIFO_UNMASKED | FIFO_UPCALL);
    expect_word(1, P | L);
    ORDER(0, 1, 2);
    /* and to another vcpu */
    send_to(1, 0);
    ORDER(0, 1);
    send_to(1, 2);
    assert_int_equal(send_to(3, 0), FIFO_EDGE | FIFO_UNMASKED | FIFO_UPCALL);
    ports[4].priority = 3;
    assert_int_equal(send_to(4, 0), FIFO_EDGE | FIFO_UNMASKED | FIFO_UPCALL);
    ORDER(0, 4, 3);
    ORDER(2, 1);
    assert_int_equal(ports[1].queue, 2 * PRIORITIES + 3);
}

/* A change of priority or vcpu counts from the next link on. */
static void test_move_while_linked(void **state)
{
    (void)state;
    send(1);
    ports[1].priority = 0;
    assert_int_equal(send_to(1, 2), 0);
    send(2);
    ORDER(2);
    ORDER(0, 1, 2);
    send_to(1, 2);
    ORDER(2, 1);
}

static void test_last_port(void **state)
{
    (void)state;
    while (F->nr_words < FIFO_PORTS) {
        add_page();
    }
    send(FIFO_PORTS - 1);
    send(1);
    send(FIFO_PORTS - 2);
    expect_word(FIFO_PORTS - 1, P | L | 1);
    expect_word(1, P | L | (FIFO_PORTS - 2));
    ORDER(0, FIFO_PORTS - 1, 1, FIFO_PORTS - 2);
}

static void test_no_word(void **state)
{
    struct fifo_port *p = &ports[1500];

    (void)state;
    assert_int_equal(send(1500), FIFO_EDGE);
    assert_int_equal(send(1500), 0);
    assert_true(fifo_is_pending(F, p, 1500));
    assert_false(fifo_is_linked(F, 1500));
    assert_false(unmask(1500));
    assert_int_equal(control[0].ready, 0);
    /* its word comes */
    add_page();
    assert_int_equal(fifo_send_waiting(F, p, 1500, &(u16){ 0 }),
                     FIFO_EDGE | FIFO_UNMASKED | FIFO_UPCALL);
    assert_int_equal(fifo_send_waiting(F, p, 1500, &(u16){ 0 }), 0);
    ORDER(0, 1500);
    /* closed before that */
    send(2500);
    fifo_clear(F, &ports[2500], 2500);
    assert_false(fifo_is_pending(F, &ports[2500], 2500));
    add_page();
    assert_int_equal(fifo_send_waiting(F, &ports[2500], 2500, &(u16){ 0 }), 0);
    expect_word(2500, 0);
    /* masked by the guest before we had it */
    send(3500);
    words[3500] = M;
    add_page();
    assert_int_equal(fifo_send_waiting(F, &ports[3500], 3500, &(u16){ 0 }), FIFO_EDGE);
    expect_word(3500, P | M);
}

static void test_no_control_block(void **state)
{
    (void)state;
    F->vcpu[1].control = NULL;
    assert_int_equal(send_to(5, 1), FIFO_EDGE | FIFO_UNMASKED);
    expect_word(5, P);
    F->vcpu[1].control = &control[1];
    assert_int_equal(send_to(5, 1), FIFO_UPCALL);
    ORDER(1, 5);
}

/* The place in the queue outlives the port, and is the next one's under that number. */
static void test_close(void **state)
{
    (void)state;
    send(5);
    send(6);
    fifo_clear(F, &ports[5], 5);
    expect_word(5, L | 6);
    assert_true(fifo_is_linked(F, 5));
    assert_int_equal(send(5), FIFO_EDGE | FIFO_UNMASKED);
    ORDER(0, 5, 6);
    send(5);
    fifo_clear(F, &ports[5], 5);
    ORDER(0);
    expect_word(5, 0);
}

/* ---- A guest that spoils its words ---- */

static void test_stale_link(void **state)
{
    (void)state;
    words[5] = 77; /* left there */
    send(5);
    expect_word(5, P | L);
    send(6);
    expect_word(5, P | L | 6);
    words[8] = M | P | 99;
    assert_true(!unmask(8)); /* ready is set already */
    expect_word(8, P | L);
    ORDER(0, 5, 6, 8);
}

static void test_busy(void **state)
{
    (void)state;
    words[5] = 1u << EVTCHN_FIFO_BUSY;
    send(5);
    assert_int_equal(send(6), FIFO_EDGE | FIFO_UNMASKED);
    assert_int_equal(words[5] & (LINK | L), L | 6);
    ORDER(0, 5, 6);
}

/* All of it is unlinked behind our back: the queue is empty, and works. */
static void test_unlinked(void **state)
{
    (void)state;
    send(1);
    send(2);
    words[1] = words[2] = 0;
    control[0].ready = 0;
    assert_int_equal(send(3), FIFO_EDGE | FIFO_UNMASKED | FIFO_UPCALL);
    assert_int_equal(control[0].head[DEFAULT], 3);
    ORDER(0, 3);
}

/* Whatever stands in the words: our own state stays in its bounds, and no lock is left. */
static void check_own_state(void)
{
    for (u32 v = 0; v < VCPUS; v++) {
        for (u32 q = 0; q < PRIORITIES; q++) {
            const struct fifo_queue *queue = &F->vcpu[v].queue[q];

            assert_int_equal(queue->lock, 0);
            assert_true(queue->tail < F->nr_words);
            if (queue->tail) { /* the tail of the queue where it was last */
                assert_int_equal(ports[queue->tail].queue, v * PRIORITIES + q);
            }
        }
    }
}

static void test_spoilt_at_random(void **state)
{
    unsigned int seed = 7;

    (void)state;
    for (u32 i = 0; i < 400000; i++) {
        u32 port = 1 + (u32)rand_r(&seed) % 20, v = (u32)rand_r(&seed) % VCPUS;
        u32 junk = (u32)rand_r(&seed) << 16 ^ (u32)rand_r(&seed);

        switch (rand_r(&seed) % 8) {
        case 0:
            words[port] = junk;
            break;
        case 1:
            words[port] &= junk;
            break;
        case 2:
            control[v].head[junk % PRIORITIES] = junk;
            control[v].ready = junk >> 8;
            break;
        case 3:
            ports[port].priority = junk % PRIORITIES;
            break;
        case 4:
            (void)fifo_unmask(F, &ports[port], port, &(u16){ (u16)v });
            break;
        case 5:
            fifo_clear(F, &ports[port], port);
            break;
        default:
            (void)send_to(port, v);
        }
        if (i % 64 == 0) {
            check_own_state();
        }
    }
    check_own_state();
}

/* ---- A random walk beside a model: lists of ports ---- */

enum { WALK_PORTS = 12, WALK_STEPS = 300000 };
static u32 list[VCPUS][PRIORITIES][WALK_PORTS + 1], length[VCPUS][PRIORITIES];
static bool pending[WALK_PORTS + 1], masked[WALK_PORTS + 1], linked[WALK_PORTS + 1];

static void model_link(u32 port, u32 v)
{
    u32 q = ports[port].priority;

    if (!linked[port] && pending[port] && !masked[port]) {
        linked[port] = true;
        list[v][q][length[v][q]++] = port;
    }
}

/* The next port that leaves a queue of v; 0: none. */
static u32 model_take(u32 v)
{
    for (u32 q = 0; q < PRIORITIES; q++) {
        if (length[v][q]) {
            u32 port = list[v][q][0];

            memmove(&list[v][q][0], &list[v][q][1], --length[v][q] * sizeof(u32));
            linked[port] = false;
            return port;
        }
    }
    return 0;
}

/* A guest that reads all bits at once may go on with a lower priority for one port. */
static void compare_take(u32 v)
{
    u32 got = take_out(v), want = model_take(v);

    assert_int_equal(got, want);
    if (got && pending[got] && !masked[got]) {
        assert_int_equal(words[got] & (P | M), P);
        pending[got] = false;
        words[got] &= ~P;
    }
}

static void walk_step(u32 op, u32 port, u32 v)
{
    switch (op) {
    case 0:
        ports[port].priority = (u8)(port * 31 % PRIORITIES ^ v);
        break;
    case 1:
        words[port] |= M;
        masked[port] = true;
        break;
    case 2:
        masked[port] = false;
        model_link(port, v);
        (void)fifo_unmask(F, &ports[port], port, &(u16){ (u16)v });
        break;
    case 3:
        pending[port] = false;
        fifo_clear(F, &ports[port], port);
        break;
    case 4:
    case 5:
    case 6:
        compare_take(v);
        break;
    default:
        assert_int_equal(send_to(port, v) & FIFO_EDGE, pending[port] ? 0 : FIFO_EDGE);
        pending[port] = true;
        model_link(port, v);
    }
    assert_int_equal(words[port] & (P | M | L),
                     (pending[port] ? P : 0) | (masked[port] ? M : 0) | (linked[port] ? L : 0));
}

static void test_random_walk(void **state)
{
    unsigned int seed = 3;

    (void)state;
    memset(length, 0, sizeof(length));
    memset(pending, 0, sizeof(pending));
    memset(masked, 0, sizeof(masked));
    memset(linked, 0, sizeof(linked));
    for (u32 i = 0; i < WALK_STEPS; i++) {
        u32 season = i / 5000 % 2; /* of long queues, and of short ones */

        walk_step((u32)rand_r(&seed) % (season ? 9 : 14), 1 + (u32)rand_r(&seed) % WALK_PORTS,
                  (u32)rand_r(&seed) % VCPUS);
    }
    check_own_state();
}

/* ---- Threads ---- */

enum { SENDERS = 3, RACE_PORTS = 6, RACE_SENDS = 20000 };
static u32 sent[RACE_PORTS + 1], seen[RACE_PORTS + 1]; /* atomic */
static u16 bound[RACE_PORTS + 1];                      /* atomic */
static u32 upcall[VCPUS], at_work;                     /* atomic */

/* As many as ports: a port has one sender at a time. */
static void make_upcall(u32 todo)
{
    if (todo & FIFO_UPCALL) {
        atomic_store(&upcall[fifo_vcpu(todo)], 1);
    }
}

static void *sender(void *arg)
{
    u32 id = *(u32 *)arg;
    unsigned int seed = id;

    for (u32 i = 0; i < RACE_SENDS; i++) {
        u32 port = 1 + id + (u32)rand_r(&seed) % (RACE_PORTS / SENDERS) * SENDERS;

        atomic_fetch_add(&sent[port], 1);
        make_upcall(fifo_send(F, &ports[port], port, &bound[port]));
        if (i % 16 == 0) {
            sched_yield();
        }
    }
    atomic_fetch_sub(&at_work, 1);
    return NULL;
}

/* Another vcpu may be at the same port, which was moved. */
static void saw(u32 port)
{
    u32 now = atomic_load(&sent[port]), before = atomic_load(&seen[port]);

    while (before < now && !atomic_cmpxchg(&seen[port], &before, now)) {
    }
}

/* The guest, one vcpu: handles what comes, masks and unmasks, moves ports. */
static void handle(u32 v, unsigned int *seed)
{
    u32 port = consume(v);

    if (!port) {
        return;
    }
    saw(port);
    switch (rand_r(seed) % 4) {
    case 0:
        atomic_store(&ports[port].priority, (u8)(rand_r(seed) % PRIORITIES));
        break;
    case 1:
        atomic_store(&bound[port], (u16)((u32)rand_r(seed) % VCPUS));
        break;
    case 2:
        atomic_fetch_or(&words[port], M);
        sched_yield();
        if (atomic_fetch_and(&words[port], ~M) & P) {
            make_upcall(fifo_unmask(F, &ports[port], port, &bound[port]));
        }
        break;
    default:
        break;
    }
}

static void *guest(void *arg)
{
    u32 v = *(u32 *)arg;
    unsigned int seed = 100 + v;
    bool last = false;

    for (;;) {
        if (atomic_xchg(&upcall[v], 0) || ready[v]) {
            handle(v, &seed);
            if (ready[v] || atomic_load(&control[v].ready)) {
                atomic_store(&upcall[v], 1); /* there is more */
            }
            last = false;
        } else if (last) {
            return NULL;
        } else {
            last = atomic_load(&at_work) == 0; /* one more look, at what came before that */
            sched_yield();
        }
    }
}

static void test_threads(void **state)
{
    pthread_t t[SENDERS], g[VCPUS];
    u32 id[] = { 0, 1, 2 };

    for (u32 round = 0; round < 4; round++) {
        setup(state);
        memset(sent, 0, sizeof(sent));
        memset(seen, 0, sizeof(seen));
        memset(bound, 0, sizeof(bound));
        memset(upcall, 0, sizeof(upcall));
        at_work = SENDERS + 1;
        for (u32 i = 0; i < VCPUS; i++) {
            assert_int_equal(pthread_create(&g[i], NULL, guest, &id[i]), 0);
        }
        for (u32 i = 0; i < SENDERS; i++) {
            assert_int_equal(pthread_create(&t[i], NULL, sender, &id[i]), 0);
        }
        for (u32 i = 0; i < SENDERS; i++) {
            pthread_join(t[i], NULL);
        }
        atomic_fetch_sub(&at_work, 1);
        for (u32 i = 0; i < VCPUS; i++) {
            pthread_join(g[i], NULL);
        }
        for (u32 v = 0; v < VCPUS; v++) { /* what a guest's last unmask sent to another vcpu */
            u32 port;

            while ((port = consume(v))) {
                seen[port] = sent[port];
            }
        }
        for (u32 port = 1; port <= RACE_PORTS; port++) {
            assert_int_equal(words[port], 0);
            assert_int_equal(seen[port], sent[port]);
            assert_true(sent[port] > 100);
        }
        check_own_state();
    }
}

int main(void)
{
#define T(f) cmocka_unit_test_setup(f, setup)
    static const struct CMUnitTest tests[] = {
        T(test_abi),
        T(test_bits),
        T(test_pending_cleared_first),
        T(test_masked),
        T(test_unmasked_in_memory),
        T(test_masked_in_queue),
        T(test_strict_priority),
        T(test_again_at_the_end),
        T(test_move),
        T(test_move_while_linked),
        T(test_last_port),
        T(test_no_word),
        T(test_no_control_block),
        T(test_close),
        T(test_stale_link),
        T(test_busy),
        T(test_unlinked),
        T(test_spoilt_at_random),
        T(test_random_walk),
        T(test_threads),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
