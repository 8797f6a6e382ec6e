/* SPDX-License-Identifier: MIT */
/* sources: lib/timer_heap.c */
/* The timer heap against a sorted array, with the heap's shape checked after every step. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include <tarn/lib.h>
#include <tarn/timer_heap.h>

#define N 64
#define BIG 200000

static u64 seed = 1;

static u32 rnd(u32 below)
{
    seed = seed * 6364136223846793005UL + 1442695040888963407UL;
    return (u32)(seed >> 33) % below;
}

/* Links and order of a whole (small) heap; how many nodes it holds. */
static u32 check_shape(const struct timer_node *n)
{
    u32 count = 1;
    const struct timer_node *prev = n;

    assert_true(n->queued);
    for (const struct timer_node *c = n->child; c; c = c->next) {
        assert_ptr_equal(c->prev, prev);
        assert_true(c->expires >= n->expires);
        count += check_shape(c);
        prev = c;
    }
    return count;
}

static u32 check_heap(const struct timer_heap *h)
{
    if (!h->root) {
        return 0;
    }
    assert_null(h->root->prev);
    assert_null(h->root->next);
    return check_shape(h->root);
}

static void insert_at(struct timer_heap *h, struct timer_node *n, stime_t expires)
{
    n->expires = expires;
    timer_heap_insert(h, n);
}

static void test_empty_and_one(void **state)
{
    struct timer_heap h = { NULL };
    struct timer_node n = { 0 };

    (void)state;
    assert_null(timer_heap_first(&h));
    insert_at(&h, &n, -5);
    assert_ptr_equal(timer_heap_first(&h), &n);
    assert_true(n.queued);
    timer_heap_remove(&h, &n);
    assert_null(timer_heap_first(&h));
    assert_false(n.queued);
}

static void test_misuse(void **state)
{
    struct timer_heap h = { NULL };
    struct timer_node n = { 0 };

    (void)state;
    expect_assert_failure(timer_heap_remove(&h, &n));
    insert_at(&h, &n, 1);
    expect_assert_failure(timer_heap_insert(&h, &n));
}

static void test_extremes(void **state)
{
    struct timer_heap h = { NULL };
    struct timer_node n[3] = { 0 };

    (void)state;
    insert_at(&h, &n[0], STIME_MAX);
    insert_at(&h, &n[1], INT64_MIN);
    insert_at(&h, &n[2], 0);
    assert_ptr_equal(timer_heap_first(&h), &n[1]);
    timer_heap_remove(&h, &n[1]);
    assert_ptr_equal(timer_heap_first(&h), &n[2]);
    timer_heap_remove(&h, &n[2]);
    assert_ptr_equal(timer_heap_first(&h), &n[0]);
}

static stime_t earliest(const struct timer_node *n)
{
    stime_t min = STIME_MAX;

    for (u32 i = 0; i < N; i++) {
        if (n[i].queued) {
            min = MIN(min, n[i].expires);
        }
    }
    return min;
}

/* Any node goes in or out; few distinct deadlines, so that equal ones meet. */
static void test_random(void **state)
{
    static struct timer_node n[N];
    struct timer_heap h = { NULL };
    u32 queued = 0;

    (void)state;
    for (u32 step = 0; step < 100000; step++) {
        struct timer_node *x = rnd(4) || !h.root ? &n[rnd(N)] : h.root;

        if (x->queued) {
            timer_heap_remove(&h, x);
            queued--;
        } else {
            insert_at(&h, x, rnd(step % 1000 < 500 ? 8 : 1000000));
            queued++;
        }
        assert_int_equal(check_heap(&h), queued);
        if (queued) {
            assert_int_equal(timer_heap_first(&h)->expires, earliest(n));
        }
    }
}

static void drain(struct timer_heap *h, u32 count)
{
    stime_t last = INT64_MIN;

    for (u32 i = 0; i < count; i++) {
        struct timer_node *n = timer_heap_first(h);

        assert_true(n->expires >= last);
        last = n->expires;
        timer_heap_remove(h, n);
    }
    assert_null(timer_heap_first(h));
}

/* Shapes as deep and as wide as they get: with recursion these would need a stack of megabytes. */
static void test_deep_and_wide(void **state)
{
    struct timer_node *n = calloc(BIG, sizeof(*n));
    struct timer_heap h = { NULL };

    (void)state;
    assert_non_null(n);
    for (u32 i = 0; i < BIG; i++) {
        insert_at(&h, &n[i],
                  BIG - (stime_t)i); /* each new root gets the old one as its only child */
    }
    drain(&h, BIG);
    for (u32 i = 0; i < BIG; i++) {
        insert_at(&h, &n[i], i); /* all are children of the first */
    }
    drain(&h, BIG);
    free(n);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_empty_and_one), cmocka_unit_test(test_misuse),
        cmocka_unit_test(test_extremes),      cmocka_unit_test(test_random),
        cmocka_unit_test(test_deep_and_wide),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
