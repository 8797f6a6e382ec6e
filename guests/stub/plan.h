/* SPDX-License-Identifier: MIT */
/*
 * plan.h - a disk request, judged: what is wrong with it, or which pieces of the client's frames
 * belong to which bytes of the disk. Pure: no domain, no ring; it runs in tests on the host.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include <xen/xen.h>
#include <xen/io/blkif.h>

#define PLAN_PAGE 4096U
#define PLAN_SECTOR 512U
/* A segment is a page at most, and a page's worth of the disk lies in two of its frames. */
#define PLAN_PIECES (2U * BLKIF_MAX_SEGMENTS_PER_REQUEST)

/* So many bytes, which lie in one frame of either end. */
struct plan_piece {
    grant_ref_t ref;
    uint32_t offset; /* in the client's frame */
    uint64_t at;     /* on the disk */
    uint32_t size;
};

struct plan {
    bool write;
    unsigned int nr; /* of pieces; 0 and BLKIF_RSP_OKAY: there is nothing to do */
    struct plan_piece pieces[PLAN_PIECES];
};

/* A BLKIF_RSP_ status; not OKAY: it is to be answered with that at once. */
int plan_make(const struct blkif_request *request, uint64_t sectors, bool readonly,
              struct plan *plan);
