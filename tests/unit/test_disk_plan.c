/* SPDX-License-Identifier: MIT */
/* sources: guests/stub/plan.c */
/* The stub's disks: what is answered to requests, and which bytes a good one moves; by hand, and by
 * chance against a model that goes sector by sector. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../../guests/stub/plan.h"

#define SECTORS 1000u
#define SEGMENTS BLKIF_MAX_SEGMENTS_PER_REQUEST

static struct plan plan;

static struct blkif_request request(uint8_t operation, uint64_t sector, unsigned int nr)
{
    struct blkif_request q;

    memset(&q, 0xa5, sizeof(q));
    q.operation = operation;
    q.nr_segments = (uint8_t)nr;
    q.sector_number = sector;
    for (unsigned int i = 0; i < SEGMENTS; i++) {
        q.seg[i] = (struct blkif_request_segment){ 100 + i, 0, 7 };
    }
    return q;
}

static int made(const struct blkif_request *q)
{
    memset(&plan, 0xff, sizeof(plan));
    return plan_make(q, SECTORS, false, &plan);
}

static void piece_is(unsigned int i, grant_ref_t ref, uint32_t offset, uint64_t at, uint32_t size)
{
    assert_in_range(plan.nr, i + 1, PLAN_PIECES);
    assert_int_equal(plan.pieces[i].ref, ref);
    assert_int_equal(plan.pieces[i].offset, offset);
    assert_int_equal(plan.pieces[i].at, at);
    assert_int_equal(plan.pieces[i].size, size);
}

static void a_page_at_a_page(void **state)
{
    struct blkif_request q = request(BLKIF_OP_READ, 16, 1);

    (void)state;
    assert_int_equal(made(&q), BLKIF_RSP_OKAY);
    assert_int_equal(plan.nr, 1);
    assert_false(plan.write);
    piece_is(0, 100, 0, 8192, 4096);
}

/* The disk's frames end elsewhere than the client's: each page is in two pieces. */
static void pages_across_frames(void **state)
{
    struct blkif_request q = request(BLKIF_OP_WRITE, 5, 2);

    (void)state;
    assert_int_equal(made(&q), BLKIF_RSP_OKAY);
    assert_int_equal(plan.nr, 4);
    assert_true(plan.write);
    piece_is(0, 100, 0, 5 * 512, 3 * 512);
    piece_is(1, 100, 3 * 512, 4096, 5 * 512);
    piece_is(2, 101, 0, 4096 + 5 * 512, 3 * 512);
    piece_is(3, 101, 3 * 512, 8192, 5 * 512);
}

static void parts_of_pages(void **state)
{
    struct blkif_request q = request(BLKIF_OP_READ, SECTORS - 3, 2);

    (void)state;
    q.seg[0].first_sect = q.seg[0].last_sect = 7;
    q.seg[1].first_sect = 2;
    q.seg[1].last_sect = 3;
    assert_int_equal(made(&q), BLKIF_RSP_OKAY);
    assert_int_equal(plan.nr, 2);
    piece_is(0, 100, 7 * 512, (SECTORS - 3) * 512, 512);
    piece_is(1, 101, 2 * 512, (SECTORS - 2) * 512, 1024);
}

static void the_most(void **state)
{
    struct blkif_request q = request(BLKIF_OP_READ, 1, SEGMENTS);

    (void)state;
    assert_int_equal(made(&q), BLKIF_RSP_OKAY);
    assert_int_equal(plan.nr, PLAN_PIECES);
}

static void the_disks_end(void **state)
{
    struct blkif_request q = request(BLKIF_OP_READ, SECTORS - 8, 1);
    static const uint64_t beyond[] = {
        SECTORS - 7, SECTORS,  SECTORS + 1, 1UL << 55, 1UL << 61,
        ~0UL - 7,    ~0UL - 8, ~0UL,        1UL << 63, ~0UL / 512 + 1
    };

    (void)state;
    assert_int_equal(made(&q), BLKIF_RSP_OKAY);
    for (size_t i = 0; i < sizeof(beyond) / sizeof(beyond[0]); i++) {
        q.sector_number = beyond[i];
        assert_int_equal(made(&q), BLKIF_RSP_ERROR);
        assert_int_equal(plan.nr, 0);
    }
}

static void bad_segments(void **state)
{
    struct blkif_request q = request(BLKIF_OP_WRITE, 0, 2);

    (void)state;
    q.seg[1].last_sect = 8;
    assert_int_equal(made(&q), BLKIF_RSP_ERROR);
    q.seg[1].last_sect = 255;
    assert_int_equal(made(&q), BLKIF_RSP_ERROR);
    q.seg[1] = (struct blkif_request_segment){ 1, 4, 3 };
    assert_int_equal(made(&q), BLKIF_RSP_ERROR);
    q.seg[1] = (struct blkif_request_segment){ 1, 255, 255 };
    assert_int_equal(made(&q), BLKIF_RSP_ERROR);
    for (unsigned int nr = 0; nr < 256; nr = nr ? nr + 1 : SEGMENTS + 1) {
        q = request(BLKIF_OP_READ, 0, nr);
        assert_int_equal(made(&q), BLKIF_RSP_ERROR);
        assert_int_equal(plan.nr, 0);
    }
}

static void no_disk_at_all(void **state)
{
    struct blkif_request q = request(BLKIF_OP_READ, 0, 1);

    (void)state;
    assert_int_equal(plan_make(&q, 0, false, &plan), BLKIF_RSP_ERROR);
    assert_int_equal(plan_make(&q, 7, false, &plan), BLKIF_RSP_ERROR);
    assert_int_equal(plan_make(&q, 8, false, &plan), BLKIF_RSP_OKAY);
}

static void read_only(void **state)
{
    struct blkif_request q = request(BLKIF_OP_WRITE, 0, 1);

    (void)state;
    assert_int_equal(plan_make(&q, SECTORS, true, &plan), BLKIF_RSP_ERROR);
    q.operation = BLKIF_OP_READ;
    assert_int_equal(plan_make(&q, SECTORS, true, &plan), BLKIF_RSP_OKAY);
    q = request(BLKIF_OP_FLUSH_DISKCACHE, 0, 0);
    assert_int_equal(plan_make(&q, SECTORS, true, &plan), BLKIF_RSP_OKAY);
}

static void other_operations(void **state)
{
    (void)state;
    for (unsigned int op = 0; op < 256; op++) {
        struct blkif_request q = request((uint8_t)op, 0, 0);

        if (op == BLKIF_OP_FLUSH_DISKCACHE) {
            assert_int_equal(made(&q), BLKIF_RSP_OKAY);
        } else {
            assert_int_equal(made(&q),
                             op <= BLKIF_OP_WRITE ? BLKIF_RSP_ERROR : BLKIF_RSP_EOPNOTSUPP);
        }
        assert_int_equal(plan.nr, 0);
    }
}

/* ---- by chance ---- */

/* Where each sector of the request is to be on the disk: the plan's pieces, sector by sector. */
static void compare(const struct blkif_request *q)
{
    uint64_t at = q->sector_number * 512;
    uint32_t done = 0; /* bytes of piece n */
    unsigned int n = 0;

    for (unsigned int i = 0; i < q->nr_segments; i++) {
        for (uint32_t s = q->seg[i].first_sect; s <= q->seg[i].last_sect; s++, at += 512) {
            const struct plan_piece *p = &plan.pieces[n];

            assert_in_range(plan.nr, n + 1, PLAN_PIECES);
            assert_int_equal(p->ref, q->seg[i].gref);
            assert_int_equal(p->offset + done, s * 512);
            assert_int_equal(p->at + done, at);
            assert_true(p->offset + p->size <= 4096 && p->at % 4096 + p->size <= 4096);
            done += 512;
            if (done == p->size) {
                done = 0;
                n++;
            }
        }
    }
    assert_int_equal(n, plan.nr);
}

static bool is_good(const struct blkif_request *q)
{
    uint64_t n = 0;

    if (q->nr_segments < 1 || q->nr_segments > SEGMENTS) {
        return false;
    }
    for (unsigned int i = 0; i < q->nr_segments; i++) {
        if (q->seg[i].first_sect > q->seg[i].last_sect || q->seg[i].last_sect > 7) {
            return false;
        }
        n += q->seg[i].last_sect - q->seg[i].first_sect + 1u;
    }
    return (unsigned __int128)q->sector_number + n <= SECTORS;
}

static void by_chance(void **state)
{
    unsigned int good = 0, bad = 0;

    (void)state;
    srand(1);
    for (unsigned int i = 0; i < 200000; i++) {
        struct blkif_request q = request((uint8_t)(rand() % 2), (uint64_t)rand() % (SECTORS + 8),
                                         (unsigned int)rand() % (SEGMENTS + 2));

        for (unsigned int s = 0; s < SEGMENTS && rand() % 8; s++) {
            q.seg[s].first_sect = (uint8_t)(rand() % 8);
            q.seg[s].last_sect = (uint8_t)(rand() % 64 ? q.seg[s].first_sect +
                                                             rand() % (8 - q.seg[s].first_sect)
                                                       : rand() % 256);
        }
        if (is_good(&q)) {
            good++;
            assert_int_equal(made(&q), BLKIF_RSP_OKAY);
            compare(&q);
        } else {
            bad++;
            assert_int_equal(made(&q), BLKIF_RSP_ERROR);
        }
    }
    assert_true(good > 10000 && bad > 10000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_page_at_a_page), cmocka_unit_test(pages_across_frames),
        cmocka_unit_test(parts_of_pages),   cmocka_unit_test(the_most),
        cmocka_unit_test(the_disks_end),    cmocka_unit_test(bad_segments),
        cmocka_unit_test(no_disk_at_all),   cmocka_unit_test(read_only),
        cmocka_unit_test(other_operations), cmocka_unit_test(by_chance),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
