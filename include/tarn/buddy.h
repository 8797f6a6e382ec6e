/* SPDX-License-Identifier: MIT */
/*
 * Buddy allocator over an array of records, one a frame; links are frame numbers, so a node is 12
 * bytes and stands inside a larger record (struct frame). Pure; the caller locks.
 */
#pragma once

#include <tarn/types.h>

#define BUDDY_ORDERS 19 /* 2^0 .. 2^18 frames: 4 KiB .. 1 GiB */
#define BUDDY_NIL (~0u)
/* Below 16 MiB, below 4 GiB, above: free lists of their own, so that low frames last. */
#define BUDDY_ZONES 3

enum { BUDDY_USED = 0, BUDDY_FREE_HEAD = 1, BUDDY_FREE_TAIL = 2 };

struct buddy_node {
    u32 next, prev; /* free list links; for an allocated frame they are its owner's to use */
    u16 tag;        /* not touched by the allocator */
    u8 order;       /* of the free block, at its first frame */
    u8 state;
};

struct buddy {
    void *nodes;   /* node of frame 0 */
    size_t stride; /* bytes from one frame's node to the next */
    u32 nr_frames;
    u32 head[BUDDY_ZONES][BUDDY_ORDERS]; /* zone: of a block's first frame */
    u64 nr_free;
};

/* All frames are BUDDY_USED at first (nodes zeroed by the caller); give memory with
 * buddy_free_range. */
void buddy_init(struct buddy *b, void *nodes, size_t stride, u32 nr_frames);
void buddy_free_range(struct buddy *b, u32 first,
                      u32 end); /* end exclusive; splits into aligned blocks */
/* First frame of a block of 2^order, or BUDDY_NIL. Low frames are kept for last. */
u32 buddy_alloc(struct buddy *b, u32 order);
void buddy_free(struct buddy *b, u32 frame, u32 order); /* double free: BUG */
