/* SPDX-License-Identifier: MIT */
/*
 * load.c - requests: so many under way, made when they are due or as fast as it goes, and their
 * answers. Each slot has pages of its own, which are granted for as long as the link is there.
 */
#include "client.h"

#define LATE (1 * SEC) /* what is later than that is not made up for */

struct stats second, total;

static char pages[PAGES_MAX][PAGE_SIZE] __attribute__((aligned(PAGE_SIZE)));
static unsigned int depth, slot_pages;

const char *load_prepare(void)
{
    unsigned long room = options.size;

    if (options.verify && room + PAGE_SIZE - SECTOR_SIZE <= BYTES_MAX) {
        room += PAGE_SIZE - SECTOR_SIZE; /* so that the data may begin anywhere in a page */
    }
    slot_pages = (unsigned int)((room + PAGE_SIZE - 1) / PAGE_SIZE);
    slot_pages = slot_pages ? slot_pages : 1;
    depth = PAGES_MAX / nr_fronts / slot_pages;
    depth = depth > DEPTH_MAX ? DEPTH_MAX : depth;
    depth = depth > options.depth ? (unsigned int)options.depth : depth;
    return depth ? NULL : "no pages for a request of that size to each device";
}

unsigned int load_depth(void)
{
    return depth;
}

unsigned int load_pages(void)
{
    return slot_pages;
}

char *load_data(const struct front *f, unsigned int slot)
{
    return pages[((unsigned int)(f - fronts) * depth + slot) * slot_pages];
}

grant_ref_t load_ref(const struct front *f, unsigned int slot, unsigned int page)
{
    return f->refs[slot * slot_pages + page];
}

/* ---- links ---- */

const char *load_connect(struct front *f)
{
    unsigned int n = f->disk ? depth * slot_pages : 0;

    while (f->nr_refs < n) {
        const char *page = load_data(f, 0) + f->nr_refs * PAGE_SIZE;
        long ref = grant_page(f->peer, virt_to_mfn(page), 0);

        if (ref < 0) {
            return "no reference for a page";
        }
        f->refs[f->nr_refs++] = (grant_ref_t)ref;
    }
    f->next_due = clock_now();
    return NULL;
}

void load_drop(struct front *f)
{
    for (unsigned int i = 0; i < depth; i++) {
        if (f->slots[i].busy && f->disk && options.verify) {
            verify_lost(f, &f->slots[i]);
        }
        f->slots[i].busy = false;
    }
    f->busy = 0;
}

bool load_reclaim(struct front *f)
{
    while (f->nr_refs) {
        if (!grant_end(f->refs[f->nr_refs - 1])) {
            return false;
        }
        f->nr_refs--;
    }
    return true;
}

/* ---- requests ---- */

static void ask_disk(struct front *f, unsigned int slot)
{
    const struct slot *s = &f->slots[slot];
    struct blkif_request *q = RING_GET_REQUEST(&f->ring.blk, f->ring.blk.req_prod_pvt);
    unsigned int sectors = (unsigned int)(options.size / SECTOR_SIZE), first = s->first, n = 0;

    for (; sectors; n++) {
        unsigned int here = (unsigned int)PAGE_SECTORS - first;

        here = here < sectors ? here : sectors;
        q->seg[n].gref = load_ref(f, slot, n);
        q->seg[n].first_sect = (uint8_t)first;
        q->seg[n].last_sect = (uint8_t)(first + here - 1);
        sectors -= here;
        first = 0;
    }
    q->operation = s->write ? BLKIF_OP_WRITE : BLKIF_OP_READ;
    q->nr_segments = (uint8_t)n;
    q->handle = 0;
    q->id = slot;
    q->sector_number = s->part * (options.size / SECTOR_SIZE);
    f->ring.blk.req_prod_pvt++;
}

static void ask_echo(struct front *f, unsigned int slot)
{
    struct echoif_request *q = RING_GET_REQUEST(&f->ring.echo, f->ring.echo.req_prod_pvt);

    q->id = slot;
    q->size = (uint32_t)options.echo_size;
    memset(q->data, (int)(slot + f->asked) & 0xff, options.echo_size);
    f->slots[slot].version = (uint8_t)(slot + f->asked);
    f->ring.echo.req_prod_pvt++;
}

/* By turns it writes and reads, from one end of the disk to the other. */
static bool pick(struct front *f, struct slot *s)
{
    if (f->disk && options.verify) {
        return verify_pick(f, s);
    }
    s->write = f->asked % 2;
    s->part = f->asked % f->parts;
    s->first = 0;
    return !f->sweeping;
}

/* False: there is nothing to ask for. */
static bool ask(struct front *f, uint64_t due)
{
    unsigned int slot = 0;
    struct slot *s;

    while (f->slots[slot].busy) {
        slot++;
    }
    s = &f->slots[slot];
    if (!pick(f, s)) {
        return false;
    }
    s->due = due;
    s->busy = true;
    f->busy++;
    f->asked++;
    if (f->disk) {
        ask_disk(f, slot);
    } else {
        ask_echo(f, slot);
    }
    return true;
}

static void ask_all(struct front *f)
{
    uint64_t now = clock_now(), every = options.rate ? SEC / options.rate : 0;
    bool at_once = options.flood || f->sweeping;

    if (now - f->next_due > LATE && now > f->next_due) {
        f->next_due = now;
    }
    while (f->busy < depth && (at_once || f->next_due <= now)) {
        if (!ask(f, at_once ? now : f->next_due)) {
            break;
        }
        f->next_due = at_once ? now : f->next_due + every;
    }
}

static void push(struct front *f)
{
    bool notify;

    if (f->disk) {
        RING_PUSH_REQUESTS_AND_CHECK_NOTIFY(&f->ring.blk, notify);
    } else {
        RING_PUSH_REQUESTS_AND_CHECK_NOTIFY(&f->ring.echo, notify);
    }
    if (notify) {
        front_notify(f);
    }
}

/* ---- answers ---- */

static const char *done(struct front *f, uint64_t id, bool good)
{
    struct slot *s = &f->slots[id < depth ? id : 0];
    uint64_t took = clock_now() - s->due, bytes = f->disk ? options.size : options.echo_size;

    if (id >= depth || !s->busy) {
        return "an answer to nothing";
    }
    s->busy = false;
    f->busy--;
    stats_note(&second, bytes, good, took);
    stats_note(&total, bytes, good, took);
    return f->disk && options.verify && !verify_done(f, s, good) ? "data are not what they were"
                                                                 : NULL;
}

static const char *take_disk(struct front *f)
{
    const char *why = NULL;
    RING_IDX prod = __atomic_load_n(&f->ring.blk.sring->rsp_prod, __ATOMIC_ACQUIRE);

    if (RING_RESPONSE_PROD_OVERFLOW(&f->ring.blk, prod)) {
        return "more answers than requests";
    }
    while (f->ring.blk.rsp_cons != prod && !why) {
        struct blkif_response r;

        RING_COPY_RESPONSE(&f->ring.blk, f->ring.blk.rsp_cons, &r);
        f->ring.blk.rsp_cons++;
        why = done(f, r.id, r.status == BLKIF_RSP_OKAY);
    }
    return why;
}

static bool echoed(const struct front *f, const struct echoif_response *r)
{
    for (unsigned int i = 0; i < options.echo_size; i++) {
        if (r->data[i] != f->slots[r->id % DEPTH_MAX].version) {
            return false;
        }
    }
    return r->status == 0 && r->size == options.echo_size;
}

static const char *take_echo(struct front *f)
{
    const char *why = NULL;
    RING_IDX prod = __atomic_load_n(&f->ring.echo.sring->rsp_prod, __ATOMIC_ACQUIRE);

    if (RING_RESPONSE_PROD_OVERFLOW(&f->ring.echo, prod)) {
        return "more answers than requests";
    }
    while (f->ring.echo.rsp_cons != prod && !why) {
        struct echoif_response r;
        bool good;

        RING_COPY_RESPONSE(&f->ring.echo, f->ring.echo.rsp_cons, &r);
        f->ring.echo.rsp_cons++;
        good = echoed(f, &r);
        why = done(f, r.id, good);
        why = why || good ? why : "what came back is not what was sent";
    }
    return why;
}

const char *load_turn(struct front *f, bool asks)
{
    const char *why = f->disk ? take_disk(f) : take_echo(f);

    if (asks && !why) {
        ask_all(f);
        push(f);
    }
    return why;
}

uint64_t load_due(const struct front *f)
{
    return options.flood || f->sweeping || f->busy >= depth ? ~0UL : f->next_due;
}

bool load_answered(struct front *f)
{
    int more;

    if (f->disk) {
        RING_FINAL_CHECK_FOR_RESPONSES(&f->ring.blk, more);
    } else {
        RING_FINAL_CHECK_FOR_RESPONSES(&f->ring.echo, more);
    }
    return more;
}
