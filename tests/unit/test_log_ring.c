/* sources: lib/log_ring.c */
/* SPDX-License-Identifier: MIT */
/* The console's ring: what readers get, from where, and after it was overwritten or cleared. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <tarn/log_ring.h>

static char small[8], large[32];

static struct log_ring fresh(u64 end)
{
    memset(small, '?', sizeof(small));
    memset(large, '?', sizeof(large));
    return (struct log_ring){ small, sizeof(small), end, 0 };
}

/* All from a position on, as text. */
static const char *from(const struct log_ring *r, u64 *pos)
{
    static char text[64];

    text[log_ring_read(r, pos, text, sizeof(text) - 1)] = '\0';
    return text;
}

static const char *all(const struct log_ring *r)
{
    u64 pos = log_ring_start(r, NULL);

    return from(r, &pos);
}

static void empty(void **state)
{
    struct log_ring r = fresh(0);
    u32 index = 0, beyond = 5;

    (void)state;
    assert_string_equal(all(&r), "");
    assert_int_equal(log_ring_start(&r, &index), 0);
    assert_int_equal(log_ring_start(&r, &beyond), 0);
}

static void wraps(void **state)
{
    struct log_ring r = fresh(0);

    (void)state;
    log_ring_put(&r, "abc", 3);
    assert_string_equal(all(&r), "abc");
    log_ring_put(&r, "defgh", 5);
    assert_string_equal(all(&r), "abcdefgh");
    log_ring_put(&r, "i", 1);
    assert_string_equal(all(&r), "bcdefghi");
    log_ring_put(&r, "0123456789abcdef", 16);
    assert_string_equal(all(&r), "89abcdef");
}

static void in_pieces(void **state)
{
    struct log_ring r = fresh(0);
    char two[2];
    u64 pos = 0;

    (void)state;
    log_ring_put(&r, "abcde", 5);
    assert_int_equal(log_ring_read(&r, &pos, two, 2), 2);
    assert_memory_equal(two, "ab", 2);
    assert_int_equal(pos, 2);
    assert_int_equal(log_ring_read(&r, &pos, two, 0), 0);
    assert_string_equal(from(&r, &pos), "cde");
    assert_int_equal(log_ring_read(&r, &pos, two, 2), 0);
    assert_int_equal(pos, 5);
    log_ring_put(&r, "0123456789", 10);
    assert_string_equal(from(&r, &pos), "23456789"); /* two were lost */
    assert_int_equal(pos, 15);
}

static void position_beyond(void **state)
{
    struct log_ring r = fresh(0);
    u64 pos = 100;

    (void)state;
    log_ring_put(&r, "abc", 3);
    assert_string_equal(from(&r, &pos), "");
    assert_int_equal(pos, 100);
}

static void starts(void **state)
{
    struct log_ring r = fresh(0);
    u32 index = 1;

    (void)state;
    log_ring_put(&r, "abcdef", 6);
    assert_int_equal(log_ring_start(&r, &index), 1);
    index = 6;
    assert_int_equal(log_ring_start(&r, &index), 6);
    index = 7; /* not there yet: all is shown */
    assert_int_equal(log_ring_start(&r, &index), 0);
    log_ring_put(&r, "ghijkl", 6);
    index = 1;
    assert_int_equal(log_ring_start(&r, &index), 4);
    index = 5;
    assert_int_equal(log_ring_start(&r, &index), 5);
}

/* An index has 32 bits, positions have more. */
static void index_wraps(void **state)
{
    struct log_ring r = fresh((1UL << 32) - 2);
    u32 index = 0xfffffffe;
    u64 pos;

    (void)state;
    log_ring_put(&r, "abcd", 4);
    pos = log_ring_start(&r, &index);
    assert_string_equal(from(&r, &pos), "abcd");
    assert_int_equal((u32)pos, 2);
    index = 1;
    pos = log_ring_start(&r, &index);
    assert_string_equal(from(&r, &pos), "d");
}

static void clears(void **state)
{
    struct log_ring r = fresh(0);
    u32 index = 0;

    (void)state;
    log_ring_put(&r, "abcd", 4);
    r.cleared = 3;
    assert_string_equal(all(&r), "d");
    assert_int_equal(log_ring_start(&r, &index), 3);
    index = 4;
    assert_int_equal(log_ring_start(&r, &index), 4);
    log_ring_put(&r, "0123456789", 10);
    assert_string_equal(all(&r), "23456789");
}

static void moves(void **state)
{
    struct log_ring r = fresh(0);

    (void)state;
    log_ring_put(&r, "0123456789", 10);
    log_ring_move(&r, large, sizeof(large));
    assert_string_equal(all(&r), "23456789");
    log_ring_put(&r, "abc", 3);
    assert_string_equal(all(&r), "23456789abc");
    assert_int_equal(r.end, 13);
    log_ring_move(&r, small, sizeof(small)); /* a smaller one keeps the last of it */
    assert_string_equal(all(&r), "56789abc");
}

static void moves_early(void **state)
{
    struct log_ring r = fresh(0);

    (void)state;
    log_ring_put(&r, "ab", 2);
    log_ring_move(&r, large, sizeof(large));
    assert_string_equal(all(&r), "ab");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(empty),           cmocka_unit_test(wraps),  cmocka_unit_test(in_pieces),
        cmocka_unit_test(position_beyond), cmocka_unit_test(starts), cmocka_unit_test(index_wraps),
        cmocka_unit_test(clears),          cmocka_unit_test(moves),  cmocka_unit_test(moves_early),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
