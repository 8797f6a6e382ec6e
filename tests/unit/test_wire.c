/* sources: lib/wire.c */
/* SPDX-License-Identifier: MIT */
/*
 * Frames: the layout to the byte, every cut of the stream, damage in every bit, garbage before,
 * between and after, and payloads that hold frames.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <tarn/lib.h>
#include <tarn/wire.h>

static uint64_t seed = 88172645463325252u;

static uint32_t rnd(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (uint32_t)(seed >> 16);
}

static void crc_is_that_of_zlib(void **state)
{
    (void)state;
    assert_int_equal(wire_crc("", 0), 0);
    assert_int_equal(wire_crc("123456789", 9), 0xcbf43926);
    assert_int_equal(wire_crc("a", 1), 0xe8b7be43);
}

static void layout(void **state)
{
    static const uint8_t head[] = { 0xa5, 0x7e, 18, 0, 0x78, 0x56, 0x34, 0x12, 3, 0 };
    uint8_t out[WIRE_FRAME_MAX + 1];

    (void)state;
    memset(out, 0xee, sizeof(out));
    assert_int_equal(wire_encode(out, WIRE_DATA, 0x12345678, "abc", 3), 19);
    assert_memory_equal(out, head, sizeof(head));
    assert_int_equal(wire_get16(out + 10), wire_crc(out, 10) & 0xffff);
    assert_memory_equal(out + 12, "abc", 3);
    assert_int_equal(wire_get32(out + 15), wire_crc("abc", 3));
    assert_int_equal(out[19], 0xee);
    assert_int_equal(wire_encode(out, 1, 2, NULL, 0), WIRE_HEADER + WIRE_TRAILER);
    assert_int_equal(wire_encode(out, 1, 2, out, WIRE_PAYLOAD_MAX + 1), 0);
}

static void numbers(void **state)
{
    uint8_t b[8];

    (void)state;
    wire_put64(b, 0x0102030405060708u);
    assert_int_equal(b[0], 8);
    assert_int_equal(b[7], 1);
    assert_true(wire_get64(b) == 0x0102030405060708u);
    wire_put32(b, 0xfffefdfcu);
    assert_true(wire_get32(b) == 0xfffefdfcu);
    wire_put16(b, 0xfedc);
    assert_int_equal(wire_get16(b), 0xfedc);
}

/* ---- streams ---- */

struct stream {
    uint8_t bytes[65536];
    size_t used;
};

static void add(struct stream *s, uint8_t type, uint32_t seq, const void *payload, size_t len)
{
    s->used += wire_encode(s->bytes + s->used, type, seq, payload, len);
}

static void add_bytes(struct stream *s, const void *bytes, size_t len)
{
    memcpy(s->bytes + s->used, bytes, len);
    s->used += len;
}

/* Feeds the next piece; it lies alone in memory, so that the sanitizer sees a read beyond. */
static uint32_t feed(struct wire_decoder *d, const uint8_t *bytes, size_t len, struct wire_frame *f,
                     uint32_t *seqs, uint32_t max)
{
    uint8_t *copy = malloc(len ? len : 1);
    const uint8_t *at = copy;
    uint32_t n = 0;

    memcpy(copy, bytes, len);
    while (wire_next(d, &at, &len, f)) {
        assert_true(n < max);
        seqs[n++] = f->seq;
        assert_int_equal(wire_crc(f->payload, f->length),
                         wire_get32(f->payload + f->length)); /* the trailer follows */
    }
    assert_int_equal(len, 0);
    free(copy);
    return n;
}

static uint32_t decode(struct stream *s, size_t piece, uint32_t *seqs, uint64_t *dropped)
{
    struct wire_decoder d = { .used = 0 };
    struct wire_frame f;
    uint32_t n = 0;

    for (size_t at = 0; at < s->used; at += piece) {
        n += feed(&d, s->bytes + at, MIN(piece, s->used - at), &f, seqs + n, 64 - n);
    }
    *dropped = d.dropped;
    return n;
}

static void every_piece_size(void **state)
{
    static struct stream s;
    uint8_t payload[WIRE_PAYLOAD_MAX];
    uint32_t seqs[64];
    uint64_t dropped;

    (void)state;
    memset(payload, WIRE_MAGIC0, sizeof(payload));
    s.used = 0;
    add(&s, WIRE_OUT, 1, "x", 1);
    add(&s, WIRE_OUT, 2, NULL, 0);
    add(&s, WIRE_OUT, 3, payload, sizeof(payload));
    add(&s, WIRE_EXIT, 4, payload, 4);
    for (size_t piece = 1; piece <= s.used; piece++) {
        assert_int_equal(decode(&s, piece, seqs, &dropped), 4);
        assert_int_equal(dropped, 0);
        for (uint32_t i = 0; i < 4; i++) {
            assert_int_equal(seqs[i], i + 1);
        }
    }
}

/* One bit wrong anywhere: that frame is never handed out, the next one is. */
static void every_bit_flipped(void **state)
{
    static struct stream s;
    uint32_t seqs[64];
    uint64_t dropped;
    size_t first;

    (void)state;
    s.used = 0;
    add(&s, WIRE_OUT, 1, "some text", 9);
    first = s.used;
    add(&s, WIRE_OUT, 2, "more", 4);
    for (size_t bit = 0; bit < first * 8; bit++) {
        s.bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_int_equal(decode(&s, 7, seqs, &dropped), 1);
        assert_int_equal(seqs[0], 2);
        assert_int_equal(dropped, first);
        s.bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
}

static void every_cut(void **state)
{
    static struct stream whole, s;
    uint32_t seqs[64], n;
    uint64_t dropped;

    (void)state;
    whole.used = 0;
    add(&whole, WIRE_OUT, 1, "0123456789", 10);
    for (size_t cut = 1; cut < whole.used; cut++) {
        s.used = 0;
        add_bytes(&s, whole.bytes, cut);
        add(&s, WIRE_OUT, 2, "abc", 3);
        add(&s, WIRE_OUT, 3, "abc", 3);
        add(&s, WIRE_OUT, 4, "abc", 3);
        n = decode(&s, 5, seqs, &dropped);
        /* a cut payload takes the begin of what follows with it, and nothing more */
        assert_in_range(n, cut < WIRE_HEADER ? 3 : 1, 3);
        for (uint32_t i = 0; i < n; i++) {
            assert_int_equal(seqs[i], 4 - n + 1 + i);
        }
    }
}

/* What is in a payload is no frame, not even when the frame around it is damaged. */
static void frames_in_payloads(void **state)
{
    static struct stream inner, s;
    uint32_t seqs[64];
    uint64_t dropped;

    (void)state;
    inner.used = 0;
    for (uint32_t i = 0; i < 20; i++) {
        add(&inner, WIRE_EXIT, 666, "\0\0\0\0", 4);
    }
    s.used = 0;
    add(&s, WIRE_OUT, 1, inner.bytes, inner.used);
    add(&s, WIRE_OUT, 2, "", 0);
    for (size_t piece = 1; piece < 64; piece++) {
        assert_int_equal(decode(&s, piece, seqs, &dropped), 2);
        assert_int_equal(seqs[0], 1);
        assert_int_equal(seqs[1], 2);
        s.bytes[WIRE_HEADER + 11 * piece % inner.used] ^= 0x10;
        assert_int_equal(decode(&s, piece, seqs, &dropped), 1);
        assert_int_equal(seqs[0], 2);
        assert_int_equal(dropped, WIRE_HEADER + inner.used + WIRE_TRAILER);
        s.bytes[WIRE_HEADER + 11 * piece % inner.used] ^= 0x10;
    }
}

static void zeros_end_a_frame_that_was_given_up(void **state)
{
    static const uint8_t zeros[WIRE_FRAME_MAX];
    static struct stream whole, s;
    uint8_t payload[WIRE_PAYLOAD_MAX];
    uint32_t seqs[64];
    uint64_t dropped;

    (void)state;
    memset(payload, 'p', sizeof(payload));
    whole.used = 0;
    add(&whole, WIRE_OUT, 1, payload, sizeof(payload));
    for (size_t cut = 0; cut < whole.used; cut++) {
        s.used = 0;
        add_bytes(&s, whole.bytes, cut);
        add_bytes(&s, zeros, sizeof(zeros));
        add(&s, WIRE_OUT, 2, "abc", 3);
        assert_int_equal(decode(&s, 1000, seqs, &dropped), 1);
        assert_int_equal(seqs[0], 2);
        assert_int_equal(dropped, cut + sizeof(zeros));
    }
}

static void bad_headers(void **state)
{
    static struct stream s;
    uint32_t seqs[64];
    uint64_t dropped;

    (void)state;
    for (uint32_t length = WIRE_PAYLOAD_MAX + 1; length < 0x10000; length += 4099) {
        s.used = 0;
        add(&s, WIRE_OUT, 1, NULL, 0);
        wire_put16(s.bytes + 8, (uint16_t)length);
        wire_put16(s.bytes + 10, (uint16_t)wire_crc(s.bytes, 10));
        add(&s, WIRE_OUT, 2, NULL, 0);
        assert_int_equal(decode(&s, 64, seqs, &dropped), 1);
        assert_int_equal(seqs[0], 2);
    }
    s.used = 0;
    add(&s, WIRE_OUT, 1, NULL, 0);
    s.bytes[3] = 1; /* flags */
    wire_put16(s.bytes + 10, (uint16_t)wire_crc(s.bytes, 10));
    add(&s, WIRE_OUT, 2, NULL, 0);
    assert_int_equal(decode(&s, 64, seqs, &dropped), 1);
    assert_int_equal(seqs[0], 2);
}

/* Random garbage, in part made of magic numbers, between frames that all must be found. */
static void garbage_between(void **state)
{
    static struct stream s;
    uint32_t seqs[64];
    uint64_t dropped;

    (void)state;
    for (uint32_t round = 0; round < 2000; round++) {
        size_t garbage = 0;

        s.used = 0;
        for (uint32_t i = 0; i < 8; i++) {
            uint32_t n = rnd() % 50;

            for (uint32_t k = 0; k < n; k++) {
                static const uint8_t likely_ones[] = { WIRE_MAGIC0, WIRE_MAGIC1, 0, 1 };

                s.bytes[s.used++] = rnd() % 2 ? likely_ones[rnd() % 4] : (uint8_t)rnd();
            }
            garbage += n;
            add(&s, WIRE_OUT, i, "payload", rnd() % 8);
        }
        assert_int_equal(decode(&s, 1 + rnd() % 40, seqs, &dropped), 8);
        assert_int_equal(dropped, garbage);
    }
}

static void missing(void **state)
{
    struct wire_decoder d = { .used = 0 };
    struct wire_frame f;
    uint8_t out[WIRE_FRAME_MAX], payload[100] = { 0 };
    const uint8_t *at = out;
    size_t len = 1;

    (void)state;
    assert_int_equal(wire_missing(&d), 0);
    assert_int_equal(wire_encode(out, 1, 2, payload, 100), 116);
    assert_false(wire_next(&d, &at, &len, &f));
    assert_int_equal(wire_missing(&d), 11);
    len = 11;
    assert_false(wire_next(&d, &at, &len, &f));
    assert_int_equal(wire_missing(&d), 104);
    len = 104;
    assert_true(wire_next(&d, &at, &len, &f));
    assert_int_equal(wire_missing(&d), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(crc_is_that_of_zlib),
        cmocka_unit_test(layout),
        cmocka_unit_test(numbers),
        cmocka_unit_test(every_piece_size),
        cmocka_unit_test(every_bit_flipped),
        cmocka_unit_test(every_cut),
        cmocka_unit_test(frames_in_payloads),
        cmocka_unit_test(zeros_end_a_frame_that_was_given_up),
        cmocka_unit_test(bad_headers),
        cmocka_unit_test(garbage_between),
        cmocka_unit_test(missing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
