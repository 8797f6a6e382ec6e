/* SPDX-License-Identifier: MIT */
/* sources: lib/trace_ring.c */
/*
 * The ring of trace records, read back by a consumer of its own that follows the public format to
 * the letter: nothing but whole records in their order, nothing counted twice or not at all. A
 * second consumer writes nonsense to what is shared; all pages have poison around them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <tarn/lib.h>
#include <tarn/trace_ring.h>

#define PAGES 3u
#define FRAMES 8u
#define WHO 0x00020001u /* domain 1, vcpu 2 */
#define POISON 0xa5
#define EVENT (TRC_SCHED_MIN + 1)

/* Frames 5, 2 and 6 of eight are the ring's; the others must never be written. */
static const u32 mfns[PAGES] = { 5, 2, 6 };
static _Alignas(4096) u8 frames[FRAMES][PAGE_SIZE];
static struct trace_ring ring;
static u64 clock;

static bool is_ours(u32 frame, u32 pages)
{
    for (u32 i = 0; i < pages; i++) {
        if (mfns[i] == frame) {
            return true;
        }
    }
    return false;
}

static void begin(u32 pages)
{
    memset(frames, POISON, sizeof(frames));
    for (u32 i = 0; i < pages; i++) {
        memset(frames[mfns[i]], 0, PAGE_SIZE);
    }
    ring = (struct trace_ring){ .shared = (struct t_buf *)(void *)frames[mfns[0]],
                                .mfns = mfns,
                                .base = &frames[0][0],
                                .size = TRACE_RING_SIZE(pages) };
    clock = 1000;
}

static void check_poison(u32 pages)
{
    for (u32 f = 0; f < FRAMES; f++) {
        for (u32 i = 0; !is_ours(f, pages) && i < PAGE_SIZE; i++) {
            assert_int_equal(frames[f][i], POISON);
        }
    }
}

static bool put(u32 event, const u32 *words, u32 n)
{
    return trace_ring_put(&ring, event, clock++, words, n, WHO);
}

/* ---- the consumer ---- */

static u32 word_at(u32 pos)
{
    u32 at = pos % ring.size + (u32)sizeof(struct t_buf), word;

    memcpy(&word, &frames[mfns[at / PAGE_SIZE]][at % PAGE_SIZE], sizeof(word));
    return word;
}

struct record {
    u32 event, n, words[TRACE_EXTRA_MAX];
    u64 tsc;
};

/* The next one that means something; false: there is none. It must lie in one piece. */
static bool take(struct record *r)
{
    for (;;) {
        u32 cons = ring.shared->cons, head, bytes;
        bool timed;

        assert_true(cons < 2 * ring.size && ring.shared->prod < 2 * ring.size);
        if (cons == ring.shared->prod) {
            return false;
        }
        head = word_at(cons);
        timed = TRC_HD_INCLUDES_CYCLE_COUNT(head);
        r->event = TRC_HD_TO_EVENT(head);
        r->n = TRC_HD_EXTRA(head);
        bytes = (1 + (timed ? 2 : 0) + r->n) * 4;
        assert_true(cons % ring.size + bytes <= ring.size);
        r->tsc = timed ? word_at(cons + 4) | (u64)word_at(cons + 8) << 32 : 0;
        for (u32 i = 0; i < r->n; i++) {
            r->words[i] = word_at(cons + (timed ? 12 : 4) + i * 4);
        }
        ring.shared->cons = (cons + bytes) % (2 * ring.size);
        if (r->event != TRC_TRACE_WRAP_BUFFER) {
            assert_true(timed);
            return true;
        }
        assert_int_equal(cons % ring.size + bytes, ring.size);
    }
}

static void expect(u32 event, const u32 *words, u32 n)
{
    struct record r;

    assert_true(take(&r));
    assert_int_equal(r.event, event);
    assert_int_equal(r.n, n);
    assert_memory_equal(r.words, words, n * sizeof(u32));
}

static void expect_nothing(void)
{
    struct record r;

    assert_false(take(&r));
}

/* ---- tests ---- */

static void test_one(void **state)
{
    const u32 words[] = { 1, 2, 3, 4, 5, 6, 7 };
    struct record r;

    (void)state;
    begin(PAGES);
    expect_nothing();
    clock = 0x123456789abcdef0;
    put(EVENT, words, 7);
    put(TRC_SCHED_WAKE, words, 0);
    assert_true(take(&r));
    assert_true(r.tsc == 0x123456789abcdef0);
    assert_int_equal(r.n, 7);
    assert_memory_equal(r.words, words, sizeof(words));
    expect(TRC_SCHED_WAKE, words, 0);
    expect_nothing();
    check_poison(PAGES);
}

/* Records of all sizes, again and again around the ring: each comes out as it went in. */
static void test_around(void **state)
{
    (void)state;
    for (u32 pages = 1; pages <= PAGES; pages++) {
        begin(pages);
        srand(pages);
        for (u32 i = 0; i < 20000; i++) {
            u32 words[TRACE_EXTRA_MAX], n = (u32)rand() % (TRACE_EXTRA_MAX + 1);

            for (u32 k = 0; k < n; k++) {
                words[k] = i * 16 + k;
            }
            put(EVENT, words, n);
            expect(EVENT, words, n);
        }
        expect_nothing();
        check_poison(pages);
    }
}

/* Every place at which the end of the ring can meet a record, and every length. */
static void test_every_end(void **state)
{
    const u32 words[TRACE_EXTRA_MAX] = { 0xdead };

    (void)state;
    for (u32 left = 4; left <= 44; left += 4) {
        for (u32 n = 0; n <= TRACE_EXTRA_MAX; n++) {
            begin(1);
            ring.prod = ring.shared->prod = ring.shared->cons = ring.size - left;
            put(EVENT, words, n);
            expect(EVENT, words, n);
            put(EVENT, words, n);
            expect(EVENT, words, n);
            expect_nothing();
        }
    }
}

static u32 fill(u32 n)
{
    const u32 words[TRACE_EXTRA_MAX] = { 0 };
    u32 filled = 0;

    while (ring.lost == 0) {
        put(EVENT, words, n);
        filled++;
    }
    return filled - 1;
}

static void test_full(void **state)
{
    const u32 words[] = { 7 };
    struct record r;
    u32 filled;
    u64 since;

    (void)state;
    begin(PAGES);
    filled = fill(1);
    assert_int_equal(filled, ring.size / 16);
    since = clock - 1;
    for (u32 i = 0; i < 9; i++) {
        put(EVENT, words, 1);
    }
    assert_int_equal(ring.lost, 10);
    assert_true(take(&r)); /* room for one, but not for what tells of the lost, too */
    put(EVENT, words, 1);
    assert_int_equal(ring.lost, 11);
    assert_true(take(&r) && take(&r));
    put(EVENT, words, 1);
    assert_int_equal(ring.lost, 0);
    for (u32 i = 3; i < filled; i++) {
        assert_true(take(&r));
        assert_int_equal(r.event, EVENT);
    }
    assert_true(take(&r));
    assert_int_equal(r.event, TRC_LOST_RECORDS);
    assert_int_equal(r.n, 4);
    assert_int_equal(r.words[0], 11);
    assert_int_equal(r.words[1], WHO);
    assert_true((r.words[2] | (u64)r.words[3] << 32) == since);
    expect(EVENT, words, 1);
    expect_nothing();
    check_poison(PAGES);
}

/* A slow consumer: what is taken and what is told to be lost are together what was put. */
static void test_sum(void **state)
{
    (void)state;
    for (u32 seed = 0; seed < 50; seed++) {
        u64 put_in = 0, taken = 0, lost = 0;
        struct record r;

        begin(1 + seed % PAGES);
        srand(seed);
        for (u32 i = 0; i < 3000; i++) {
            const u32 words[TRACE_EXTRA_MAX] = { i };

            for (u32 k = (u32)rand() % 20; k; k--) {
                put(EVENT, words, (u32)rand() % 8);
                put_in++;
            }
            for (u32 k = (u32)rand() % 16; k && take(&r); k--) {
                taken += r.event == EVENT;
                lost += r.event == TRC_LOST_RECORDS ? r.words[0] : 0;
            }
        }
        while (take(&r)) {
            taken += r.event == EVENT;
            lost += r.event == TRC_LOST_RECORDS ? r.words[0] : 0;
        }
        assert_true(lost + ring.lost > 0);
        assert_int_equal(taken + lost + ring.lost, put_in);
        check_poison(1 + seed % PAGES);
    }
}

static void test_half(void **state)
{
    const u32 words[] = { 0 };
    u32 told = 0, at = 0;
    struct record r;

    (void)state;
    begin(PAGES);
    for (u32 i = 0; i < ring.size / 16; i++) {
        if (put(EVENT, words, 1)) {
            told++;
            at = ring.prod;
        }
    }
    assert_int_equal(told, 1);
    assert_in_range(at, ring.size / 2, ring.size / 2 + 16);
    while (take(&r)) {
    }
    for (u32 i = 0; i < ring.size / 16 - 1; i++) {
        told += put(EVENT, words, 1);
    }
    assert_int_equal(told, 2);
}

/* Whatever the consumer writes where: at worst records are lost, and only its pages change. */
static void test_hostile(void **state)
{
    static const u32 odd[] = { 0, 1, 3, 0x7fffffff, 0x80000000, 0xfffffffe, 0xffffffff };

    (void)state;
    for (u32 pages = 1; pages <= PAGES; pages++) {
        begin(pages);
        srand(pages);
        for (u32 i = 0; i < 100000; i++) {
            const u32 words[TRACE_EXTRA_MAX] = { i };
            u32 choice = (u32)rand() % (ARRAY_SIZE(odd) + 4);

            ring.shared->cons = choice < ARRAY_SIZE(odd) ? odd[choice]
                                                         : (u32)rand() % (2 * ring.size + 64);
            ring.shared->prod = (u32)rand() * 2u;
            put(EVENT, words, (u32)rand() % 8);
            assert_true(ring.prod < 2 * ring.size && ring.prod % 4 == 0);
        }
        check_poison(pages);
        /* And when it comes to its senses all is well again. */
        ring.shared->cons = ring.shared->prod = ring.prod;
        ring.lost = 0;
        put(EVENT, odd, 7);
        expect(EVENT, odd, 7);
    }
}

/* The end of the range is no place: it means full, as does what is further back than the ring. */
static void test_cons_of_no_sense(void **state)
{
    const u32 words[] = { 0 };

    (void)state;
    begin(1);
    ring.shared->cons = 2 * ring.size;
    put(EVENT, words, 1);
    assert_int_equal(ring.lost, 1);
    ring.shared->cons = 16; /* ahead of us: a whole lap behind */
    put(EVENT, words, 1);
    assert_int_equal(ring.lost, 2);
    assert_int_equal(ring.prod, 0);
    ring.shared->cons = 0;
    put(EVENT, words, 1);
    assert_int_equal(ring.lost, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one),       cmocka_unit_test(test_around),
        cmocka_unit_test(test_every_end), cmocka_unit_test(test_full),
        cmocka_unit_test(test_sum),       cmocka_unit_test(test_half),
        cmocka_unit_test(test_hostile),   cmocka_unit_test(test_cons_of_no_sense),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
