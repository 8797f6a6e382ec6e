/* SPDX-License-Identifier: MIT */
/*
 * Frames into bytes, and frames out of a stream of bytes that may hold anything. Pure. The decoder
 * keeps at most one frame; it takes in only what it needs to decide on, so that after a good frame
 * nothing is left over.
 */
#include <tarn/lib.h>
#include <tarn/wire.h>

/* Of four bits at a time: a small table, and the serial line is slower anyway. */
static const uint32_t crc_table[16] = {
    0x00000000, 0x1db71064, 0x3b6e20c8, 0x26d930ac, 0x76dc4190, 0x6b6b51f4, 0x4db26158, 0x5005713c,
    0xedb88320, 0xf00f9344, 0xd6d6a3e8, 0xcb61b38c, 0x9b64c2b0, 0x86d3d2d4, 0xa00ae278, 0xbdbdf21c,
};

uint32_t wire_crc(const void *data, size_t len)
{
    const uint8_t *p = data;
    uint32_t crc = ~0u;

    for (; len; len--) {
        crc ^= *p++;
        crc = crc >> 4 ^ crc_table[crc & 15];
        crc = crc >> 4 ^ crc_table[crc & 15];
    }
    return ~crc;
}

size_t wire_encode(uint8_t *out, uint8_t type, uint32_t seq, const void *payload, size_t len)
{
    if (len > WIRE_PAYLOAD_MAX) {
        return 0;
    }
    out[0] = WIRE_MAGIC0;
    out[1] = WIRE_MAGIC1;
    out[2] = type;
    out[3] = 0;
    wire_put32(out + 4, seq);
    wire_put16(out + 8, (uint16_t)len);
    wire_put16(out + 10, (uint16_t)wire_crc(out, 10));
    if (len) {
        memcpy(out + WIRE_HEADER, payload, len);
    }
    wire_put32(out + WIRE_HEADER + len, wire_crc(out + WIRE_HEADER, len));
    return WIRE_HEADER + len + WIRE_TRAILER;
}

/* One byte is dropped while there is no more than a header, or else all there is. */
static void drop(struct wire_decoder *d, uint32_t n)
{
    uint8_t rest[WIRE_HEADER];

    d->used -= n;
    memcpy(rest, d->bytes + n, d->used);
    memcpy(d->bytes, rest, d->used);
}

static bool header_ok(const uint8_t *h)
{
    return h[3] == 0 && wire_get16(h + 8) <= WIRE_PAYLOAD_MAX &&
           wire_get16(h + 10) == (uint16_t)wire_crc(h, 10);
}

static uint32_t frame_length(const struct wire_decoder *d)
{
    return WIRE_HEADER + wire_get16(d->bytes + 8) + WIRE_TRAILER;
}

/* Bytes at the start that can't begin a frame. */
static uint32_t no_frame(const struct wire_decoder *d)
{
    if (d->used > 0 && d->bytes[0] != WIRE_MAGIC0) {
        return 1;
    }
    if (d->used > 1 && d->bytes[1] != WIRE_MAGIC1) {
        return 1;
    }
    if (d->used < WIRE_HEADER) {
        return 0;
    }
    if (!header_ok(d->bytes)) {
        return 1;
    }
    if (d->used < frame_length(d)) {
        return 0;
    }
    return wire_get32(d->bytes + frame_length(d) - WIRE_TRAILER) ==
                   wire_crc(d->bytes + WIRE_HEADER, wire_get16(d->bytes + 8))
               ? 0
               : frame_length(d);
}

/* Drops what is no frame, and tells how many bytes there must be to decide on the rest. */
static uint32_t wanted(struct wire_decoder *d)
{
    uint32_t n;

    while ((n = no_frame(d)) != 0) {
        drop(d, n);
        d->dropped += n;
    }
    return d->used < WIRE_HEADER ? WIRE_HEADER : frame_length(d);
}

bool wire_next(struct wire_decoder *d, const uint8_t **data, size_t *len, struct wire_frame *frame)
{
    d->used -= d->taken; /* all of it, or nothing */
    d->taken = 0;
    for (;;) {
        uint32_t want = wanted(d), n;

        if (d->used == want) {
            break;
        }
        n = (uint32_t)MIN((size_t)(want - d->used), *len);
        if (!n) {
            return false;
        }
        memcpy(d->bytes + d->used, *data, n);
        d->used += n;
        *data += n;
        *len -= n;
    }
    d->taken = d->used;
    frame->type = d->bytes[2];
    frame->seq = wire_get32(d->bytes + 4);
    frame->length = wire_get16(d->bytes + 8);
    frame->payload = d->bytes + WIRE_HEADER;
    return true;
}

uint32_t wire_missing(const struct wire_decoder *d)
{
    uint32_t used = d->used - d->taken;

    return !used ? 0 : used < WIRE_HEADER ? WIRE_HEADER - used : frame_length(d) - used;
}
