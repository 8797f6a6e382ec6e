/* SPDX-License-Identifier: MIT */
/* sources: lib/buddy.c */
/* The buddy allocator against a plain map of owners, and with its free lists checked. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <tarn/buddy.h>
#include <tarn/lib.h>

#define FRAMES 5000
#define BLOCKS 600

/* A node stands inside a larger record. */
struct record {
    struct buddy_node node;
    u8 rest[20];
};

static struct record *records;
static struct buddy b;
static u64 seed = 7;

static u32 rnd(u32 below)
{
    seed = seed * 6364136223846793005UL + 1442695040888963407UL;
    return (u32)(seed >> 33) % below;
}

static void setup(u32 nr_frames)
{
    free(records);
    records = calloc(nr_frames, sizeof(*records));
    assert_non_null(records);
    for (u32 i = 0; i < nr_frames; i++) {
        memset(records[i].rest, 0x5a, sizeof(records[i].rest));
        records[i].node.tag = 0x1234;
    }
    buddy_init(&b, records, sizeof(*records), nr_frames);
}

static int teardown(void **state)
{
    (void)state;
    free(records);
    records = NULL;
    return 0;
}

/* Every block of every list is aligned, in range, marked as such, and met once; together they are
 * nr_free. */
static void check_lists(void)
{
    u64 total = 0;

    for (u32 zone = 0; zone < BUDDY_ZONES; zone++) {
        for (u32 order = 0; order < BUDDY_ORDERS; order++) {
            u32 prev = BUDDY_NIL;

            for (u32 f = b.head[zone][order]; f != BUDDY_NIL; f = records[f].node.next) {
                assert_true(f + (1UL << order) <= b.nr_frames);
                assert_int_equal(f & ((1u << order) - 1), 0);
                assert_int_equal(records[f].node.state, BUDDY_FREE_HEAD);
                assert_int_equal(records[f].node.order, order);
                assert_int_equal(records[f].node.prev, prev);
                for (u32 i = 1; i < 1u << order; i++) {
                    assert_int_equal(records[f + i].node.state, BUDDY_FREE_TAIL);
                }
                total += 1UL << order;
                prev = f;
            }
        }
    }
    assert_int_equal(total, b.nr_free);
}

/* No two free buddies of the same order remain apart. */
static void check_coalesced(void)
{
    for (u32 f = 0; f < b.nr_frames; f++) {
        u32 order = records[f].node.order, other;

        if (records[f].node.state != BUDDY_FREE_HEAD || order == BUDDY_ORDERS - 1) {
            continue;
        }
        other = f ^ (1u << order);
        assert_false(other < b.nr_frames && records[other].node.state == BUDDY_FREE_HEAD &&
                     records[other].node.order == order);
    }
}

static void check_rest(void)
{
    for (u32 i = 0; i < b.nr_frames; i++) {
        assert_int_equal(records[i].node.tag, 0x1234);
        for (u32 k = 0; k < sizeof(records[i].rest); k++) {
            assert_int_equal(records[i].rest[k], 0x5a);
        }
    }
}

static void test_nothing_given(void **state)
{
    (void)state;
    setup(100);
    assert_int_equal(b.nr_free, 0);
    assert_int_equal(buddy_alloc(&b, 0), BUDDY_NIL);
    buddy_free_range(&b, 5, 5);
    assert_int_equal(b.nr_free, 0);
    buddy_free_range(&b, 3, 4);
    assert_int_equal(buddy_alloc(&b, 1), BUDDY_NIL);
    assert_int_equal(buddy_alloc(&b, BUDDY_ORDERS), BUDDY_NIL);
    assert_int_equal(buddy_alloc(&b, ~0u), BUDDY_NIL);
    assert_int_equal(buddy_alloc(&b, 0), 3);
    assert_int_equal(buddy_alloc(&b, 0), BUDDY_NIL);
}

/* All ranges of a small memory: exactly the range is given out, one by one. */
static void test_ranges(void **state)
{
    (void)state;
    for (u32 first = 0; first < 20; first++) {
        for (u32 end = first; end <= 40; end++) {
            u64 got = 0;

            setup(40);
            buddy_free_range(&b, first, end);
            check_lists();
            check_coalesced();
            for (u32 f; (f = buddy_alloc(&b, 0)) != BUDDY_NIL;) {
                assert_true(f >= first && f < end && !(got >> f & 1));
                got |= 1UL << f;
            }
            assert_int_equal(__builtin_popcountl(got), end - first);
        }
    }
}

static void test_largest_order(void **state)
{
    u32 top = BUDDY_ORDERS - 1, f, g;

    (void)state;
    setup((3u << top) + 17);
    buddy_free_range(&b, 0, b.nr_frames);
    check_lists();
    f = buddy_alloc(&b, top);
    g = buddy_alloc(&b, top);
    assert_true(f != BUDDY_NIL && g != BUDDY_NIL && f != g);
    assert_int_equal((f | g) & ((1u << top) - 1), 0);
    buddy_free(&b, f, top);
    buddy_free(&b, g, top);
    assert_int_equal(b.nr_free, b.nr_frames);
    check_lists();
}

static void test_low_frames_last(void **state)
{
    u32 n = (1u << 20) + 64, f;

    (void)state;
    setup(n);
    /* Low fragments are no reason to give them away before a large block further up. */
    buddy_free_range(&b, 1, 160);
    buddy_free_range(&b, 0x2000, 0x2040);
    buddy_free_range(&b, 1u << 20, n);
    for (u32 i = 0; i < 64; i++) {
        assert_true(buddy_alloc(&b, 0) >= 1u << 20);
    }
    for (u32 i = 0; i < 64; i++) {
        f = buddy_alloc(&b, 0);
        assert_true(f >= 0x2000 && f < 0x2040);
    }
    for (u32 i = 1; i < 160; i++) {
        assert_true(buddy_alloc(&b, 0) < 160);
    }
    assert_int_equal(b.nr_free, 0);
    buddy_free(&b, 0x2001, 0);
    buddy_free(&b, 7, 0);
    assert_int_equal(buddy_alloc(&b, 0), 0x2001);
    /* A split hands out its upper half. */
    setup(1u << 16);
    buddy_free_range(&b, 0, 1u << 16);
    assert_int_equal(buddy_alloc(&b, 3), (1u << 16) - 8);
    check_lists();
}

static void test_misuse(void **state)
{
    u32 f, g;

    (void)state;
    setup(1024);
    buddy_free_range(&b, 0, 1000);
    f = buddy_alloc(&b, 3);
    g = buddy_alloc(&b, 0);
    expect_assert_failure(buddy_free(&b, f + 1, 3));        /* not aligned */
    expect_assert_failure(buddy_free(&b, f, BUDDY_ORDERS)); /* no such order */
    expect_assert_failure(buddy_free(&b, f, ~0u));          /* no such order */
    expect_assert_failure(buddy_free(&b, 1024, 0));         /* no such frame */
    expect_assert_failure(buddy_free(&b, 1024, 10));        /* no such frame */
    expect_assert_failure(buddy_free(&b, BUDDY_NIL, 0));    /* no such frame */
    expect_assert_failure(buddy_free(&b, 0, 11));           /* larger than the memory */
    expect_assert_failure(buddy_free_range(&b, 9, 8));      /* backwards */
    expect_assert_failure(buddy_free_range(&b, 0, 1025));   /* larger than the memory */
    expect_assert_failure(buddy_free(&b, 0, 0));            /* never allocated */
    expect_assert_failure(buddy_free(&b, 16, 0));           /* inside a free block */
    buddy_free(&b, g, 0);
    expect_assert_failure(buddy_free(&b, g, 0)); /* twice */
    buddy_free(&b, f, 3);
    expect_assert_failure(buddy_free(&b, f, 3));     /* twice, merged meanwhile */
    expect_assert_failure(buddy_free(&b, f + 4, 2)); /* half of it */
}

/* A block whose middle was freed before. */
static void test_partly_free(void **state)
{
    u32 f;

    (void)state;
    setup(64);
    buddy_free_range(&b, 0, 64);
    f = buddy_alloc(&b, 4);
    buddy_free(&b, f + 5, 0);
    expect_assert_failure(buddy_free(&b, f, 4));
}

struct block {
    u32 frame, order;
};

/* The reference: one byte a frame, whether it is handed out. */
static u8 owned[FRAMES];

static void own(struct block k, u8 value)
{
    for (u32 i = 0; i < 1u << k.order; i++) {
        assert_true(k.frame + i < FRAMES);
        assert_int_equal(owned[k.frame + i], !value);
        owned[k.frame + i] = value;
        if (value) {
            assert_int_equal(records[k.frame + i].node.state, BUDDY_USED);
            records[k.frame + i].node.next = rnd(~0u); /* the owner's to use */
            records[k.frame + i].node.prev = rnd(~0u);
            records[k.frame + i].node.order = (u8)rnd(256);
        }
    }
}

/* Does the reference hold a free aligned block of this order? */
static bool could_fit(u32 order)
{
    for (u32 f = 0; f + (1u << order) <= FRAMES; f += 1u << order) {
        if (!memchr(owned + f, 1, 1u << order)) {
            return true;
        }
    }
    return false;
}

static u32 count_free(void)
{
    u32 n = 0;

    for (u32 i = 0; i < FRAMES; i++) {
        n += !owned[i];
    }
    return n;
}

/* Holes that were never given count as owned. */
static void give(u32 first, u32 end)
{
    buddy_free_range(&b, first, end);
    memset(owned + first, 0, end - first);
}

static void step(struct block *held, u32 *n, bool prefer_alloc)
{
    if (*n < BLOCKS && (!*n || rnd(10) < (prefer_alloc ? 7 : 3))) {
        struct block k = { .order = rnd(100) < 5 ? rnd(13) : rnd(5) };
        bool fits = could_fit(k.order);

        k.frame = buddy_alloc(&b, k.order);
        assert_int_equal(k.frame != BUDDY_NIL, fits);
        if (fits) {
            assert_int_equal(k.frame & ((1u << k.order) - 1), 0);
            own(k, 1);
            held[(*n)++] = k;
        }
    } else if (*n) {
        u32 i = rnd(*n);

        buddy_free(&b, held[i].frame, held[i].order);
        own(held[i], 0);
        held[i] = held[--*n];
    }
}

static void test_random(void **state)
{
    static struct block held[BLOCKS];
    u32 n = 0, all;

    (void)state;
    setup(FRAMES);
    memset(owned, 1, sizeof(owned));
    give(1, 159);
    give(256, 3000);
    give(3001, FRAMES);
    all = count_free();
    for (u32 i = 0; i < 20000; i++) {
        step(held, &n, i / 1000 % 2 == 0);
        assert_int_equal(b.nr_free, count_free());
        if (i % 100 == 0) {
            check_lists();
            check_coalesced();
        }
    }
    for (u32 i = 0; i < n; i++) {
        buddy_free(&b, held[i].frame, held[i].order);
    }
    assert_int_equal(b.nr_free, all);
    check_lists();
    check_coalesced();
    check_rest();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing_given), cmocka_unit_test(test_ranges),
        cmocka_unit_test(test_largest_order), cmocka_unit_test(test_low_frames_last),
        cmocka_unit_test(test_misuse),        cmocka_unit_test(test_partly_free),
        cmocka_unit_test(test_random),
    };

    return cmocka_run_group_tests(tests, NULL, teardown);
}
