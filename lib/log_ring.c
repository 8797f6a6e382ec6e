/* SPDX-License-Identifier: MIT */
/* The ring behind the console; what it is for says the header. Pure, no locks. */
#include <tarn/lib.h>
#include <tarn/log_ring.h>

void log_ring_put(struct log_ring *r, const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        r->data[r->end++ % r->size] = text[i];
    }
}

/* The oldest byte that is there and shown. */
static u64 oldest(const struct log_ring *r)
{
    return MAX(r->end - MIN(r->end, r->size), r->cleared);
}

void log_ring_move(struct log_ring *r, char *data, u64 size)
{
    r->cleared = MAX(oldest(r), r->end - MIN(r->end, size)); /* what is not taken along */
    for (u64 p = r->cleared; p < r->end; p++) {
        data[p % size] = r->data[p % r->size];
    }
    r->data = data;
    r->size = size;
}

u64 log_ring_start(const struct log_ring *r, const u32 *index)
{
    u32 behind = index ? (u32)r->end - *index : ~0u;

    return behind > r->end - oldest(r) ? oldest(r) : r->end - behind;
}

size_t log_ring_read(const struct log_ring *r, u64 *pos, char *buf, size_t size)
{
    size_t n;

    *pos = MAX(*pos, oldest(r));
    n = MIN(size, r->end - MIN(*pos, r->end));
    for (size_t i = 0; i < n; i++) {
        buf[i] = r->data[(*pos)++ % r->size];
    }
    return n;
}
