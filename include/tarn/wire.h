/* SPDX-License-Identifier: MIT */
/*
 * Frames of the protocol in public/wire.h: into bytes and out of a stream of bytes. Pure; the
 * control domain and the host's program use the same code, lib/wire.c.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <public/wire.h>

#define WIRE_FRAME_MAX (WIRE_HEADER + WIRE_PAYLOAD_MAX + WIRE_TRAILER)

struct wire_frame {
    uint8_t type;
    uint32_t seq;
    uint16_t length;
    const uint8_t *payload;
};

/* All zeros is a fresh one. */
struct wire_decoder {
    uint8_t bytes[WIRE_FRAME_MAX]; /* the begin of what may be a frame */
    uint32_t used;
    uint32_t taken;   /* bytes of the frame that was handed out and goes with the next call */
    uint64_t dropped; /* bytes that were no frame, since the beginning */
};

uint32_t wire_crc(const void *data, size_t len);

/*
 * Into `out`, which has room for WIRE_FRAME_MAX or for WIRE_HEADER + len + WIRE_TRAILER bytes.
 * Returns the frame's length; 0: the payload is too long.
 */
size_t wire_encode(uint8_t *out, uint8_t type, uint32_t seq, const void *payload, size_t len);

/*
 * Takes bytes of *data, *len of them, until a frame is complete (true; there may be more to take),
 * or there are none left (false). Bytes that are no frame are dropped and counted: one by one, or
 * as a whole where only a frame's payload is damaged, so that what somebody else put into a payload
 * is never taken for a frame. The payload stays valid until the next call.
 */
bool wire_next(struct wire_decoder *d, const uint8_t **data, size_t *len, struct wire_frame *frame);

/* How many more bytes the frame that has begun surely has. */
uint32_t wire_missing(const struct wire_decoder *d);

static inline uint16_t wire_get16(const uint8_t *p)
{
    return (uint16_t)(p[0] | p[1] << 8);
}

static inline uint32_t wire_get32(const uint8_t *p)
{
    return wire_get16(p) | (uint32_t)wire_get16(p + 2) << 16;
}

static inline uint64_t wire_get64(const uint8_t *p)
{
    return wire_get32(p) | (uint64_t)wire_get32(p + 4) << 32;
}

static inline void wire_put16(uint8_t *p, uint16_t value)
{
    p[0] = (uint8_t)value;
    p[1] = (uint8_t)(value >> 8);
}

static inline void wire_put32(uint8_t *p, uint32_t value)
{
    wire_put16(p, (uint16_t)value);
    wire_put16(p + 2, (uint16_t)(value >> 16));
}

static inline void wire_put64(uint8_t *p, uint64_t value)
{
    wire_put32(p, (uint32_t)value);
    wire_put32(p + 4, (uint32_t)(value >> 32));
}
