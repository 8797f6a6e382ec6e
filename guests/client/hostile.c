/* SPDX-License-Identifier: MIT */
/*
 * hostile.c - a client that does anything but what it should, by chance: nonsense in the ring, its
 * indices and the store, at any time. Then it starts over as if nothing had been.
 */
#include "client.h"

#define STEP (300 * US)

static uint64_t seed;

static uint64_t below(uint64_t n)
{
    return random_next(&seed) % n;
}

/* A good one, but for a field or two. */
static void garble(const struct front *f, struct blkif_request *q)
{
    q->operation = (uint8_t)below(8);
    q->nr_segments = (uint8_t)(below(4) ? below(12) : below(256));
    q->id = random_next(&seed);
    q->sector_number = below(4) ? below(f->parts * 8 + 4) : random_next(&seed);
    for (unsigned int i = 0; i < BLKIF_MAX_SEGMENTS_PER_REQUEST; i++) {
        q->seg[i].gref = below(8) ? load_ref(f, 0, 0) : (grant_ref_t)random_next(&seed);
        q->seg[i].first_sect = (uint8_t)(below(16) ? below(8) : below(256));
        q->seg[i].last_sect = (uint8_t)(below(16) ? 7 : below(256));
    }
}

static void push_garbage(struct front *f)
{
    struct blkif_sring *sring = f->ring.blk.sring;
    RING_IDX prod = sring->req_prod, n = (RING_IDX)below(8);

    for (RING_IDX i = 0; i < n; i++) {
        garble(f, RING_GET_REQUEST(&f->ring.blk, prod + i));
    }
    __atomic_store_n(&sring->req_prod, prod + n, __ATOMIC_SEQ_CST);
    front_notify(f);
}

static void spoil_indices(struct front *f)
{
    volatile struct blkif_sring *sring = f->ring.blk.sring;
    volatile RING_IDX *const all[] = { &sring->req_prod, &sring->req_event, &sring->rsp_prod,
                                       &sring->rsp_event };

    *all[below(4)] = (RING_IDX)random_next(&seed);
    front_notify(f);
}

static void spoil_store(const struct front *f)
{
    static const char *const keys[] = { "state", "ring-ref", "event-channel", "protocol",
                                        "backend" };
    static const char *const words[] = { "",  "x", "-1", "4294967296", "99999999999999999999",
                                         "0", "1", "3",  "4",          "5",
                                         "6", "8" };
    const char *key = keys[below(sizeof(keys) / sizeof(keys[0]))];

    xenbus_write(f->folder, key, words[below(sizeof(words) / sizeof(words[0]))]);
}

/* What a good client would do to connect, without a look at the back. */
static void connect(struct front *f)
{
    xenbus_switch(f->folder, XenbusStateInitialising);
    if (below(2)) {
        XEN_FRONT_RING_INIT(&f->ring.blk, f->ring.blk.sring, PAGE_SIZE);
    }
    xenbus_write(f->folder, "protocol", "x86_64-abi");
    xenbus_write_number(f->folder, "ring-ref", below(8) ? f->link.ref : load_ref(f, 0, 0));
    xenbus_write_number(f->folder, "event-channel", f->link.port);
    clock_sleep(below(4) * MS);
    xenbus_switch(f->folder, XenbusStateInitialised);
    clock_sleep(below(4) * MS);
}

void hostile(struct front *f, unsigned long steps)
{
    unsigned long connected = 0;

    seed = arg_number("seed", 1) * 0x9e3779b97f4a7c15UL + 1;
    for (unsigned long i = 0; i < steps; i++) {
        uint64_t what = below(40);

        connected += xenbus_state(f->back) == XenbusStateConnected;
        if (what < 24) {
            push_garbage(f);
        } else if (what < 28) {
            spoil_indices(f);
        } else if (what < 32) {
            spoil_store(f);
        } else {
            connect(f);
        }
        clock_sleep(below(3) * STEP);
    }
    xenbus_write(f->folder, "backend", f->back);
    printf("client: %s: %lu times hostile, %lu times connected\n", f->folder, steps, connected);
    front_restart(f);
}
