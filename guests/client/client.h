/* SPDX-License-Identifier: MIT */
/*
 * client.h - the client's files among themselves: devices by xenbus (front.c), the requests that
 * load them (load.c), what these should have done (verify.c, bad.c), numbers (stats.c). vcpu 0 does
 * all of that; the others only compute.
 */
#pragma once

#include "blkif.h"
#include "echoif.h"
#include "xenbus.h"

#define FRONTS_MAX 4U
#define DEPTH_MAX 32U
#define PAGES_MAX 256U /* for the data of all requests under way */
#define CHUNKS_MAX 4096U
#define BYTES_MAX (BLKIF_MAX_SEGMENTS_PER_REQUEST * PAGE_SIZE)

/* ---- main.c ---- */

struct options {
    bool disk, echo, flood, verify;
    unsigned long rate, depth, size, echo_size, seconds, rounds;
};
extern struct options options;

/* ---- stats.c ---- */

#define BUCKETS 1024U
struct stats {
    unsigned long requests, bytes, errors;
    uint32_t latency[BUCKETS]; /* by powers of two of ns, and sixteenths of these */
};
void stats_note(struct stats *stats, uint64_t bytes, bool good, uint64_t ns);
/* The upper end, in ns, of the bucket below which so many per thousand lie. */
uint64_t stats_quantile(const struct stats *stats, unsigned long per_mille);

/* ---- front.c ---- */

/* A request under way, or room for one. */
struct slot {
    bool busy, write;
    uint16_t version;   /* of the data, for verify */
    uint64_t due;       /* when it was to be made */
    unsigned long part; /* of the disk, in units of options.size */
    unsigned int first; /* sector of its first page at which the data begin */
};

enum front_state {
    FRONT_IDLE,     /* closed, or nobody serves it */
    FRONT_WAITS,    /* for the back to be ready */
    FRONT_CONNECTS, /* the ring is offered */
    FRONT_UP,
    FRONT_CLOSES,
    FRONT_RECLAIMS, /* parted, but its pages are not all ours yet */
};

struct front {
    bool disk, ending;
    bool was_up; /* with the back that there is: worth another try */
    enum front_state state;
    char folder[40], back[XENBUS_PATH];
    domid_t peer;
    struct ring_link link;
    union {
        struct blkif_front_ring blk;
        struct echoif_front_ring echo;
    } ring;
    volatile bool kicked;
    uint64_t parts; /* of a disk, see struct slot */
    /* load.c */
    struct slot slots[DEPTH_MAX];
    unsigned int busy;
    unsigned long asked;
    uint64_t next_due;
    grant_ref_t refs[PAGES_MAX]; /* of the slots' pages */
    unsigned int nr_refs;
    /* verify.c */
    uint64_t random;
    bool sweeping; /* only what was written is read, each part once, from here on: */
    unsigned long sweep_at;
};

extern struct front fronts[FRONTS_MAX];
extern unsigned int nr_fronts;

/* Finds the devices; how many. */
unsigned int fronts_find(void);
/* Takes the store's events, and goes on with whatever is due. */
void fronts_follow(void);
bool fronts_all(enum front_state state);
bool fronts_any(enum front_state state);
/* Have all connect, or close. */
void fronts_open(void);
void fronts_close(void);
/* Closes one, which connects again then. */
void front_restart(struct front *f);
static inline void front_notify(const struct front *f)
{
    ring_notify(&f->link);
}

/* ---- load.c ---- */

/* Shares out the pages, once the devices are known. What is wrong, or NULL. */
const char *load_prepare(void);
unsigned int load_depth(void);
char *load_data(const struct front *f, unsigned int slot);
unsigned int load_pages(void); /* of a slot */
grant_ref_t load_ref(const struct front *f, unsigned int slot, unsigned int page);
/* The link is up: its pages are granted. What is wrong, or NULL. */
const char *load_connect(struct front *f);
/* The link is down: what was under way is lost. */
void load_drop(struct front *f);
/* Takes the pages back; false: one is still in use. */
bool load_reclaim(struct front *f);
/* Takes answers and, if `asks`, makes the requests that are due. What is wrong, or NULL. */
const char *load_turn(struct front *f, bool asks);
/* When the next request is due; ~0: not by time. */
uint64_t load_due(const struct front *f);
/* Has the next answer notified; true: there is one already. */
bool load_answered(struct front *f);

extern struct stats second, total;

/* ---- verify.c ---- */

/* A part of the disk that no slot has, and what to do with it: fills the data that are to be
 * written. False: there is none. */
bool verify_pick(struct front *f, struct slot *s);
/* The answer has come; false: the data are not what they should be. */
bool verify_done(struct front *f, const struct slot *s, bool good);
/* Nothing is known of the disk any more, or of one part. */
void verify_forget(const struct front *f);
void verify_lost(const struct front *f, const struct slot *s);
bool verify_swept(const struct front *f);

/* ---- bad.c ---- */

/* Requests that can't be done, one after the other, on a disk that has nothing else to do. */
const char *bad_requests(struct front *f);
/* Claims more requests than the ring holds. */
void bad_ring(struct front *f);

/* ---- hostile.c ---- */

/* Does so many things to a disk that nobody should do, and starts over. */
void hostile(struct front *f, unsigned long steps);
