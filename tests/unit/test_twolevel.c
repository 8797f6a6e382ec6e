/* SPDX-License-Identifier: MIT */
/* sources: evtchn/twolevel.c */
/* tsan */
/*
 * The two-level protocol: the state of every bit after each step, as observed on real Xen, and a
 * threaded run in which senders and a guest that keeps to the protocol must not lose an event.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <string.h>
#include <time.h>

#include <tarn/evtchn.h>

void arch_spin_service(void);
__attribute__((weak)) void arch_spin_service(void)
{
}

static shared_info_t shared;
#define INFO (&shared.vcpu_info[0])

static int setup(void **state)
{
    (void)state;
    memset(&shared, 0, sizeof(shared));
    return 0;
}

/* The whole way up, as delivery composes it. */
static u32 event(u32 port, bool *kick)
{
    u32 todo = twolevel_mark(shared.evtchn_pending, shared.evtchn_mask, port);

    *kick = (todo & TWOLEVEL_RAISE) && twolevel_raise(INFO, port);
    return todo;
}

static bool unmask(u32 port)
{
    return twolevel_unmask(shared.evtchn_pending, shared.evtchn_mask, port) &&
           twolevel_raise(INFO, port);
}

static void expect(u32 port, int pending, int mask, int sel, int upcall)
{
    assert_int_equal(test_bit(port, shared.evtchn_pending), pending);
    assert_int_equal(test_bit(port, shared.evtchn_mask), mask);
    assert_int_equal(test_bit(port / 64, &INFO->evtchn_pending_sel), sel);
    assert_int_equal(INFO->evtchn_upcall_pending, upcall);
}

static void test_unmasked(void **state)
{
    static const u32 ports[] = { 0, 1, 63, 64, 65, 1023, 1024, 4032, 4095 };
    bool kick;

    for (size_t i = 0; i < ARRAY_SIZE(ports); i++) {
        setup(state);
        assert_int_equal(event(ports[i], &kick), TWOLEVEL_EDGE | TWOLEVEL_RAISE);
        assert_true(kick);
        expect(ports[i], 1, 0, 1, 1);
        /* and no bit beside these */
        clear_bit(ports[i], shared.evtchn_pending);
        INFO->evtchn_pending_sel &= ~(1UL << (ports[i] / 64));
        INFO->evtchn_upcall_pending = 0;
        for (size_t b = 0; b < sizeof(shared); b++) {
            assert_int_equal(((u8 *)&shared)[b], 0);
        }
    }
}

static void test_coalesced(void **state)
{
    bool kick;

    (void)state;
    event(5, &kick);
    INFO->evtchn_pending_sel = 0;
    INFO->evtchn_upcall_pending = 0;
    assert_int_equal(event(5, &kick), 0);
    assert_false(kick);
    expect(5, 1, 0, 0, 0);
}

/* Selector bit already set: the upcall flag is left alone. Upcall flag already set: no second kick.
 */
static void test_rungs(void **state)
{
    bool kick;

    (void)state;
    set_bit(0, &INFO->evtchn_pending_sel);
    assert_int_equal(event(5, &kick), TWOLEVEL_EDGE | TWOLEVEL_RAISE);
    assert_false(kick);
    expect(5, 1, 0, 1, 0);

    setup(state);
    INFO->evtchn_upcall_pending = 1;
    event(70, &kick);
    assert_false(kick);
    expect(70, 1, 0, 1, 1);

    /* The flag is bit 0 of a byte that the guest may have filled with anything. */
    setup(state);
    INFO->evtchn_upcall_pending = 0x80;
    event(70, &kick);
    assert_true(kick);
    assert_int_equal(INFO->evtchn_upcall_pending, 0x81);
}

static void test_masked(void **state)
{
    bool kick;

    (void)state;
    set_bit(9, shared.evtchn_mask);
    assert_int_equal(event(9, &kick), TWOLEVEL_EDGE);
    assert_false(kick);
    expect(9, 1, 1, 0, 0);
    assert_int_equal(event(9, &kick), 0);
    expect(9, 1, 1, 0, 0);
}

/* A guest that unmasks by memory and does not look has lost the edge, and the following ones with
 * it. */
static void test_lost_edge(void **state)
{
    bool kick;

    (void)state;
    set_bit(9, shared.evtchn_mask);
    event(9, &kick);
    clear_bit(9, shared.evtchn_mask);
    expect(9, 1, 0, 0, 0);
    assert_int_equal(event(9, &kick), 0);
    expect(9, 1, 0, 0, 0);
    clear_bit(9, shared.evtchn_pending);
    event(9, &kick);
    assert_true(kick);
    expect(9, 1, 0, 1, 1);
}

static void test_unmask(void **state)
{
    bool kick;

    (void)state;
    assert_false(unmask(9)); /* nothing masked, nothing pending */
    expect(9, 0, 0, 0, 0);

    set_bit(9, shared.evtchn_mask);
    assert_false(unmask(9)); /* masked, nothing pending */
    expect(9, 0, 0, 0, 0);

    set_bit(9, shared.evtchn_mask);
    event(9, &kick);
    assert_true(unmask(9)); /* masked and pending */
    expect(9, 1, 0, 1, 1);

    setup(state);
    set_bit(9, shared.evtchn_pending);
    assert_false(unmask(9)); /* pending but not masked: nothing happens */
    expect(9, 1, 0, 0, 0);

    setup(state);
    set_bit(9, shared.evtchn_pending);
    set_bit(9, shared.evtchn_mask);
    set_bit(0, &INFO->evtchn_pending_sel);
    assert_false(unmask(9)); /* selector was set already */
    expect(9, 1, 0, 1, 0);
}

/* evtchn_upcall_mask withholds delivery only: all bits are set as ever. */
static void test_upcall_masked(void **state)
{
    bool kick;

    (void)state;
    INFO->evtchn_upcall_mask = 1;
    event(3, &kick);
    assert_true(kick);
    expect(3, 1, 0, 1, 1);
    assert_int_equal(INFO->evtchn_upcall_mask, 1);
}

static void test_no_vcpu_info(void **state)
{
    (void)state;
    assert_false(twolevel_raise(NULL, 3));
    expect(3, 0, 0, 0, 0);
}

/*
 * Threads. Sender i raises `sent[i]` and an event, in bursts, and after each burst waits until the
 * guest has seen the last value: that is the claim. The guest sleeps unless it was kicked.
 */
enum { SENDERS = 3, ROUNDS = 20000, DEADLINE_S = 20 };
static const u32 sender_port[SENDERS] = { 1, 2, 200 }; /* two share a word */
static u32 sent[SENDERS], seen[SENDERS];
static u32 senders_left, losses;
static sem_t kicks;

static time_t now_s(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec;
}

static void raise_event(u32 port)
{
    bool kick;

    event(port, &kick);
    if (kick) {
        sem_post(&kicks);
    }
}

static void *sender(void *arg)
{
    u32 i = (u32)(uintptr_t)arg;
    time_t deadline = now_s() + DEADLINE_S;

    for (u32 value = 1; value <= ROUNDS * 3; value++) {
        atomic_store(&sent[i], value);
        raise_event(sender_port[i]);
        while (value % 3 == 0 && atomic_load(&seen[i]) != value && !atomic_load(&losses)) {
            sched_yield();
            if (now_s() > deadline) {
                atomic_fetch_add(&losses, 1);
            }
        }
    }
    atomic_fetch_sub(&senders_left, 1);
    sem_post(&kicks);
    return NULL;
}

/* Unmask as guests do: by memory and looking, or by asking the hypervisor. */
static void guest_unmask(u32 port, bool by_memory)
{
    bool kick = false;

    if (!by_memory) {
        kick = unmask(port);
    } else {
        clear_bit(port, shared.evtchn_mask);
        if (test_bit(port, shared.evtchn_pending)) {
            set_bit(port / 64, &INFO->evtchn_pending_sel);
            kick = atomic_xchg(&INFO->evtchn_upcall_pending, (u8)1) == 0;
        }
    }
    if (kick) {
        sem_post(&kicks);
    }
}

static void guest_handle(u32 i, u32 turn)
{
    u32 port = sender_port[i];

    if (!test_bit(port, shared.evtchn_pending) || test_bit(port, shared.evtchn_mask)) {
        return;
    }
    if (turn % 3 == 0) { /* edge style */
        clear_bit(port, shared.evtchn_pending);
        atomic_store(&seen[i], atomic_load(&sent[i]));
        return;
    }
    set_bit(port, shared.evtchn_mask); /* level style */
    clear_bit(port, shared.evtchn_pending);
    atomic_store(&seen[i], atomic_load(&sent[i]));
    if (turn % 2) {
        sched_yield();
    }
    guest_unmask(port, turn % 3 == 1);
}

static void *guest(void *arg)
{
    (void)arg;
    for (u32 turn = 0; atomic_load(&senders_left); turn++) {
        sem_wait(&kicks);
        while (atomic_xchg(&INFO->evtchn_upcall_pending, (u8)0)) {
            u64 words = atomic_xchg(&INFO->evtchn_pending_sel, 0UL);

            for (u32 i = 0; i < SENDERS; i++) {
                if ((words >> (sender_port[i] / 64)) & 1) {
                    guest_handle(i, turn + i);
                }
            }
        }
    }
    return NULL;
}

static void test_no_event_lost(void **state)
{
    pthread_t threads[SENDERS], g;

    (void)state;
    assert_int_equal(sem_init(&kicks, 0, 0), 0);
    senders_left = SENDERS;
    assert_int_equal(pthread_create(&g, NULL, guest, NULL), 0);
    for (u32 i = 0; i < SENDERS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, sender, (void *)(uintptr_t)i), 0);
    }
    for (u32 i = 0; i < SENDERS; i++) {
        pthread_join(threads[i], NULL);
    }
    pthread_join(g, NULL);
    assert_int_equal(losses, 0);
    for (u32 i = 0; i < SENDERS; i++) {
        assert_int_equal(seen[i], ROUNDS * 3);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_unmasked, setup),
        cmocka_unit_test_setup(test_coalesced, setup),
        cmocka_unit_test_setup(test_rungs, setup),
        cmocka_unit_test_setup(test_masked, setup),
        cmocka_unit_test_setup(test_lost_edge, setup),
        cmocka_unit_test_setup(test_unmask, setup),
        cmocka_unit_test_setup(test_upcall_masked, setup),
        cmocka_unit_test_setup(test_no_vcpu_info, setup),
        cmocka_unit_test_setup(test_no_event_lost, setup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
