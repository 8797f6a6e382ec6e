/* sources: lib/wire.c */
/* SPDX-License-Identifier: MIT */
/*
 * libFuzzer on the frame decoder. The first byte cuts the stream into pieces: whatever the cuts,
 * the same frames come out, every byte is either in one of them, dropped, or waits in the decoder,
 * and what comes out encodes to the bytes that went in.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <tarn/lib.h>
#include <tarn/wire.h>

static void check(int ok)
{
    if (!ok) {
        abort();
    }
}

/* A hash over the frames of a stream that is cut into pieces of so many bytes. */
static uint32_t decode(const uint8_t *data, size_t size, size_t piece)
{
    struct wire_decoder d = { .used = 0 };
    struct wire_frame f;
    uint8_t again[WIRE_FRAME_MAX];
    uint64_t framed = 0;
    uint32_t hash = 0;

    for (size_t at = 0; at < size; at += piece) {
        size_t len = MIN(piece, size - at), n;
        uint8_t *copy = malloc(len);
        const uint8_t *p = copy;

        check(copy != NULL);
        memcpy(copy, data + at, len);
        while (wire_next(&d, &p, &len, &f)) {
            n = wire_encode(again, f.type, f.seq, f.payload, f.length);
            check(n && n == d.taken && !memcmp(again, d.bytes, n));
            framed += n;
            hash = hash * 31 + wire_crc(again, n);
        }
        check(len == 0 && wire_missing(&d) <= WIRE_FRAME_MAX);
        free(copy);
    }
    check(framed + d.dropped + d.used == size);
    return hash;
}

/* Random bytes hardly ever have right checksums: some are put right. */
static void mend(uint8_t *data, size_t size)
{
    for (size_t i = 0; i + WIRE_HEADER <= size; i++) {
        uint8_t *h = data + i;
        size_t length = wire_get16(h + 8);

        if (h[0] != WIRE_MAGIC0 || h[1] != WIRE_MAGIC1 || h[2] & 0x80) {
            continue;
        }
        wire_put16(h + 10, (uint16_t)wire_crc(h, 10));
        if (!(h[2] & 0x40) && i + WIRE_HEADER + length + WIRE_TRAILER <= size) {
            wire_put32(h + WIRE_HEADER + length, wire_crc(h + WIRE_HEADER, length));
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t *copy;

    if (size < 2 || !(copy = malloc(size))) {
        return 0;
    }
    memcpy(copy, data, size);
    mend(copy + 1, size - 1);
    check(decode(copy + 1, size - 1, copy[0] + 1u) == decode(copy + 1, size - 1, size));
    free(copy);
    return 0;
}
