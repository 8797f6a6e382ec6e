/* SPDX-License-Identifier: MIT */
/* sources: lib/spinlock.c */
/* tsan */
/* Spinlocks among real threads: exclusion, two at once, and that a starving waiter comes first. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <pthread.h>
#include <sched.h>
#include <unistd.h>

#include <cmocka.h>

#include <tarn/lib.h>
#include <tarn/spinlock.h>

static u32 services;
static __thread bool patient; /* looks seldom, so that it does not starve itself */

/* The host has few CPUs: let the holder run. */
void arch_spin_service(void)
{
    atomic_fetch_add(&services, 1u);
    if (patient) {
        usleep(500);
    } else {
        sched_yield();
    }
}

#define THREADS 4
#define ROUNDS 20000u

static struct spinlock lock = SPINLOCK_INIT(RANK_LEAF), other = SPINLOCK_INIT(RANK_LEAF);
static u64 counter; /* under lock, not atomic: TSan and the sum tell */

static void *count_up(void *arg)
{
    (void)arg;
    for (u32 i = 0; i < ROUNDS; i++) {
        spin_lock(&lock);
        counter++;
        spin_unlock(&lock);
    }
    return NULL;
}

static void in_threads(void *(*work)(void *))
{
    pthread_t t[THREADS];

    for (u64 i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_create(&t[i], NULL, work, (void *)i), 0);
    }
    for (u32 i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(t[i], NULL), 0);
    }
}

static void assert_free(struct spinlock *l)
{
    assert_int_equal(atomic_load(&l->starving), 0);
    assert_true(spin_trylock(l));
    spin_unlock(l);
}

static void one_holder_at_a_time(void **state)
{
    (void)state;
    counter = 0;
    in_threads(count_up);
    assert_int_equal(counter, THREADS * ROUNDS);
    assert_free(&lock);
}

static void *try_it(void *arg)
{
    (void)arg;
    return spin_trylock(&lock) ? &lock : NULL;
}

static void trylock_fails_while_it_is_held(void **state)
{
    pthread_t t;
    void *got;

    (void)state;
    spin_lock(&lock);
    assert_int_equal(pthread_create(&t, NULL, try_it, NULL), 0);
    assert_int_equal(pthread_join(t, &got), 0);
    assert_null(got);
    spin_unlock(&lock);
    assert_free(&lock);
}

static void *both(void *arg)
{
    bool swap = (u64)arg & 1;

    for (u32 i = 0; i < ROUNDS; i++) {
        spin_lock_two(swap ? &lock : &other, swap ? &other : &lock);
        counter++;
        spin_unlock_two(swap ? &lock : &other, swap ? &other : &lock);
    }
    return NULL;
}

static void two_locks_in_either_order(void **state)
{
    (void)state;
    counter = 0;
    in_threads(both);
    assert_int_equal(counter, THREADS * ROUNDS);
    spin_lock_two(&lock, &lock);
    assert_false(spin_trylock(&lock));
    spin_unlock_two(&lock, &lock);
    assert_free(&lock);
    assert_free(&other);
}

static char order[2]; /* under lock: who came in, first and second */
static u32 entered;   /* under lock */
static u32 newcomer_waits;

static void enter(char who)
{
    spin_lock(&lock);
    order[entered++] = who;
    spin_unlock(&lock);
}

static void *waiter(void *arg)
{
    (void)arg;
    enter('w');
    return NULL;
}

static void *newcomer(void *arg)
{
    (void)arg;
    patient = true;
    atomic_store(&newcomer_waits, 1u);
    enter('n');
    return NULL;
}

/* The waiter starves, a newcomer arrives, the lock is freed for a while: the waiter comes first. */
static void one_that_starves_is_not_overtaken(void **state)
{
    pthread_t w, n;

    (void)state;
    for (u32 round = 0; round < 40; round++) {
        entered = 0;
        atomic_store(&newcomer_waits, 0u);
        spin_lock(&lock);
        assert_int_equal(pthread_create(&w, NULL, waiter, NULL), 0);
        while (!atomic_load(&lock.starving)) {
            sched_yield();
        }
        assert_int_equal(pthread_create(&n, NULL, newcomer, NULL), 0);
        while (!atomic_load(&newcomer_waits)) {
            sched_yield();
        }
        spin_unlock(&lock);
        assert_int_equal(pthread_join(w, NULL), 0);
        assert_int_equal(pthread_join(n, NULL), 0);
        assert_int_equal(order[0], 'w');
        assert_int_equal(order[1], 'n');
        assert_free(&lock);
    }
}

/* Even the fast path stands back: it does not take a free lock that somebody starves for. */
static void a_free_lock_is_left_to_the_starving(void **state)
{
    pthread_t n;
    u32 before;

    (void)state;
    entered = 0;
    atomic_store(&lock.starving, (u16)1); /* as such a waiter does */
    before = atomic_load(&services);
    assert_int_equal(pthread_create(&n, NULL, newcomer, NULL), 0);
    while (atomic_load(&services) - before < 20) {
        sched_yield();
    }
    spin_lock(&other); /* another lock is not concerned */
    spin_unlock(&other);
    assert_true(spin_trylock(&lock));
    assert_int_equal(entered, 0);
    atomic_fetch_sub(&lock.starving, (u16)1);
    spin_unlock(&lock);
    assert_int_equal(pthread_join(n, NULL), 0);
    assert_int_equal(entered, 1);
    assert_free(&lock);
}

static u32 stop;

static void *hammer(void *arg)
{
    (void)arg;
    while (!atomic_load(&stop)) {
        spin_lock(&lock);
        counter++;
        spin_unlock(&lock);
    }
    return NULL;
}

/* Under fire from all sides the lock still comes, again and again. */
static void the_lock_comes_under_load(void **state)
{
    pthread_t t[3];

    (void)state;
    atomic_store(&stop, 0u);
    for (u32 i = 0; i < ARRAY_SIZE(t); i++) {
        assert_int_equal(pthread_create(&t[i], NULL, hammer, NULL), 0);
    }
    for (u32 i = 0; i < 300; i++) {
        spin_lock(&lock);
        counter++;
        spin_unlock(&lock);
    }
    atomic_store(&stop, 1u);
    for (u32 i = 0; i < ARRAY_SIZE(t); i++) {
        assert_int_equal(pthread_join(t[i], NULL), 0);
    }
    assert_free(&lock);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_holder_at_a_time),
        cmocka_unit_test(trylock_fails_while_it_is_held),
        cmocka_unit_test(two_locks_in_either_order),
        cmocka_unit_test(one_that_starves_is_not_overtaken),
        cmocka_unit_test(a_free_lock_is_left_to_the_starving),
        cmocka_unit_test(the_lock_comes_under_load),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
