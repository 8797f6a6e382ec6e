/* SPDX-License-Identifier: MIT */
/*
 * bad.c - requests that a client should not make of a disk, one after the other, and how each must
 * be answered; good ones before, between and behind them, since the disk must go on working.
 */
#include "client.h"

#define PATIENCE (5 * SEC)
#define NO_ANSWER (-100)
#define BAD_REF 0x7ffffff0U

/* One request and its answer's status. */
static int ask_one(struct front *f, const struct blkif_request *q)
{
    struct blkif_front_ring *ring = &f->ring.blk;
    uint64_t deadline = clock_now() + PATIENCE;
    struct blkif_response r;
    bool notify;

    *RING_GET_REQUEST(ring, ring->req_prod_pvt) = *q;
    ring->req_prod_pvt++;
    RING_PUSH_REQUESTS_AND_CHECK_NOTIFY(ring, notify);
    if (notify) {
        front_notify(f);
    }
    while (!XEN_RING_NR_UNCONSUMED_RESPONSES(ring)) {
        if (clock_now() > deadline) {
            return NO_ANSWER;
        }
        clock_sleep(MS);
    }
    RING_COPY_RESPONSE(ring, ring->rsp_cons, &r);
    ring->rsp_cons++;
    return r.id == q->id && r.operation == q->operation ? r.status : NO_ANSWER;
}

/* A line of the table. */
struct bad {
    const char *what;
    int operation, nr, first, last, want;
    uint64_t sector; /* BEYOND counts from the disk's end */
    grant_ref_t ref; /* 0: a good one */
};
#define BEYOND (1UL << 62)

static const struct bad table[] = {
    { "a good read", BLKIF_OP_READ, 1, 0, 7, BLKIF_RSP_OKAY, 0, 0 },
    { "a good write", BLKIF_OP_WRITE, 1, 0, 7, BLKIF_RSP_OKAY, 0, 0 },
    { "a flush", BLKIF_OP_FLUSH_DISKCACHE, 0, 0, 7, BLKIF_RSP_OKAY, 0, 0 },
    { "the last sector", BLKIF_OP_READ, 1, 7, 7, BLKIF_RSP_OKAY, BEYOND - 1, 0 },
    { "beyond the end", BLKIF_OP_READ, 1, 0, 0, BLKIF_RSP_ERROR, BEYOND, 0 },
    { "across the end", BLKIF_OP_WRITE, 1, 0, 1, BLKIF_RSP_ERROR, BEYOND - 1, 0 },
    { "far beyond the end", BLKIF_OP_WRITE, 1, 0, 7, BLKIF_RSP_ERROR, 1UL << 60, 0 },
    { "a sector that wraps round", BLKIF_OP_WRITE, 1, 0, 7, BLKIF_RSP_ERROR, ~0UL, 0 },
    { "bytes that wrap round", BLKIF_OP_WRITE, 1, 0, 7, BLKIF_RSP_ERROR, 1UL << 55, 0 },
    { "no segments", BLKIF_OP_READ, 0, 0, 7, BLKIF_RSP_ERROR, 0, 0 },
    { "12 segments", BLKIF_OP_READ, 12, 0, 7, BLKIF_RSP_ERROR, 0, 0 },
    { "255 segments", BLKIF_OP_WRITE, 255, 0, 7, BLKIF_RSP_ERROR, 0, 0 },
    { "a segment beyond its page", BLKIF_OP_WRITE, 1, 0, 8, BLKIF_RSP_ERROR, 0, 0 },
    { "a segment far beyond", BLKIF_OP_READ, 1, 0, 255, BLKIF_RSP_ERROR, 0, 0 },
    { "a segment from its end", BLKIF_OP_READ, 1, 5, 4, BLKIF_RSP_ERROR, 0, 0 },
    { "a reference beyond the table", BLKIF_OP_READ, 1, 0, 7, BLKIF_RSP_ERROR, 0, BAD_REF },
    { "a reference that grants nothing", BLKIF_OP_WRITE, 1, 0, 7, BLKIF_RSP_ERROR, 0, 1000 },
    { "a barrier", BLKIF_OP_WRITE_BARRIER, 1, 0, 7, BLKIF_RSP_EOPNOTSUPP, 0, 0 },
    { "a discard", BLKIF_OP_DISCARD, 0, 0, 7, BLKIF_RSP_EOPNOTSUPP, 0, 0 },
    { "an indirect one", BLKIF_OP_INDIRECT, 1, 0, 7, BLKIF_RSP_EOPNOTSUPP, 0, 0 },
    { "one unheard of", 77, 1, 0, 7, BLKIF_RSP_EOPNOTSUPP, 0, 0 },
    { "a good read again", BLKIF_OP_READ, 1, 0, 7, BLKIF_RSP_OKAY, 0, 0 },
};

static struct blkif_request request_of(const struct front *f, const struct bad *bad,
                                       uint64_t sectors)
{
    struct blkif_request q = { .id = 0x1234567800000000UL + (uint64_t)(bad - table) };

    q.operation = (uint8_t)bad->operation;
    q.nr_segments = (uint8_t)bad->nr;
    q.sector_number = bad->sector;
    if (bad->sector >= BEYOND - 1 && bad->sector <= BEYOND) {
        q.sector_number = sectors + bad->sector - BEYOND;
    }
    for (unsigned int i = 0; i < BLKIF_MAX_SEGMENTS_PER_REQUEST; i++) {
        q.seg[i].gref = bad->ref ? bad->ref : load_ref(f, 0, 0);
        q.seg[i].first_sect = (uint8_t)bad->first;
        q.seg[i].last_sect = (uint8_t)bad->last;
    }
    return q;
}

/* A read into a page that is granted for reading only. */
static const char *read_only(struct front *f)
{
    static char page[PAGE_SIZE] __attribute__((aligned(PAGE_SIZE)));
    long ref = grant_page(f->peer, virt_to_mfn(page), GTF_readonly);
    struct blkif_request q = { .operation = BLKIF_OP_READ, .nr_segments = 1 };
    int reads, writes;

    if (ref < 0) {
        return "no reference";
    }
    q.seg[0] = (struct blkif_request_segment){ (grant_ref_t)ref, 0, 7 };
    reads = ask_one(f, &q);
    q.operation = BLKIF_OP_WRITE;
    writes = ask_one(f, &q);
    if (!grant_end((grant_ref_t)ref)) {
        return "a page is kept behind the answer";
    }
    return reads == BLKIF_RSP_ERROR && writes == BLKIF_RSP_OKAY ? NULL
                                                                : "a read-only page: wrong answers";
}

const char *bad_requests(struct front *f)
{
    uint64_t sectors = xenbus_number(f->back, "sectors", 0);

    for (unsigned int i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        struct blkif_request q = request_of(f, &table[i], sectors);
        int status = ask_one(f, &q);

        if (status != table[i].want) {
            printf("client: %s: %s: %d, not %d\n", f->folder, table[i].what, status, table[i].want);
            return "a wrong answer";
        }
    }
    printf("client: %s: %lu bad and good requests answered rightly\n", f->folder,
           sizeof(table) / sizeof(table[0]));
    return read_only(f);
}

void bad_ring(struct front *f)
{
    struct blkif_sring *sring = f->ring.blk.sring;

    __atomic_store_n(&sring->req_prod, f->ring.blk.req_prod_pvt + 1000, __ATOMIC_SEQ_CST);
    front_notify(f);
}
