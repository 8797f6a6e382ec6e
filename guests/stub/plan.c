/* SPDX-License-Identifier: MIT */
/*
 * plan.c - judges disk requests, and cuts them into pieces; see plan.h. The request is a copy that
 * its sender can't change any more, but nothing in it is to be trusted: each number is looked at
 * before it is used, and no sum of them can wrap round.
 */
#include "plan.h"

/* Sectors of all segments; 0: they are not right. */
static uint64_t sectors_of(const struct blkif_request *q)
{
    uint64_t n = 0;

    if (q->nr_segments > BLKIF_MAX_SEGMENTS_PER_REQUEST) {
        return 0;
    }
    for (unsigned int i = 0; i < q->nr_segments; i++) {
        const struct blkif_request_segment *s = &q->seg[i];

        if (s->first_sect > s->last_sect || s->last_sect >= PLAN_PAGE / PLAN_SECTOR) {
            return 0;
        }
        n += (uint64_t)(s->last_sect - s->first_sect) + 1;
    }
    return n;
}

/* Cut where a frame of the disk ends. */
static void plan_segment(struct plan *plan, const struct blkif_request_segment *s, uint64_t at)
{
    uint32_t offset = s->first_sect * PLAN_SECTOR;
    uint32_t left = (s->last_sect - s->first_sect + 1U) * PLAN_SECTOR;

    while (left) {
        uint32_t room = PLAN_PAGE - (uint32_t)(at % PLAN_PAGE), size = left < room ? left : room;

        plan->pieces[plan->nr++] = (struct plan_piece){
            .ref = s->gref,
            .offset = offset,
            .at = at,
            .size = size,
        };
        offset += size;
        at += size;
        left -= size;
    }
}

static int plan_transfer(const struct blkif_request *q, uint64_t sectors, struct plan *plan)
{
    uint64_t n = sectors_of(q), at = q->sector_number;

    if (!n || n > sectors || at > sectors - n) {
        return BLKIF_RSP_ERROR;
    }
    at *= PLAN_SECTOR;
    for (unsigned int i = 0; i < q->nr_segments; i++) {
        const struct blkif_request_segment *s = &q->seg[i];

        plan_segment(plan, s, at);
        at += (s->last_sect - s->first_sect + 1U) * PLAN_SECTOR;
    }
    return BLKIF_RSP_OKAY;
}

int plan_make(const struct blkif_request *q, uint64_t sectors, bool readonly, struct plan *plan)
{
    plan->nr = 0;
    plan->write = q->operation == BLKIF_OP_WRITE;
    switch (q->operation) {
    case BLKIF_OP_READ:
        return plan_transfer(q, sectors, plan);
    case BLKIF_OP_WRITE:
        return readonly ? BLKIF_RSP_ERROR : plan_transfer(q, sectors, plan);
    case BLKIF_OP_FLUSH_DISKCACHE:
        return q->nr_segments ? BLKIF_RSP_ERROR : BLKIF_RSP_OKAY;
    default:
        return BLKIF_RSP_EOPNOTSUPP;
    }
}
