/* SPDX-License-Identifier: MIT */
/*
 * A ring of what was printed last. Positions count all bytes ever; readers keep theirs, or only its
 * lower half. lib/log_ring.c, pure; the caller locks.
 */
#pragma once

#include <tarn/types.h>

struct log_ring {
    char *data;
    u64 size;    /* bytes; the byte of position p is data[p % size] */
    u64 end;     /* bytes ever put */
    u64 cleared; /* what was before is not shown any more */
};

void log_ring_put(struct log_ring *r, const char *text, size_t len);
/* What is there goes along into a larger place. */
void log_ring_move(struct log_ring *r, char *data, u64 size);
/* Where a reader begins: at its index if that is still there, else (or with NULL) at the oldest. */
u64 log_ring_start(const struct log_ring *r, const u32 *index);
/* From *pos on, or from the oldest if that is gone; *pos then is behind it. How much it was. */
size_t log_ring_read(const struct log_ring *r, u64 *pos, char *buf, size_t size);
