/* SPDX-License-Identifier: MIT */
/*
 * grants.h - what the parts of the grant torture share. The driver has a model of several domains:
 * their pages, grants, mappings, and what is to be seen where. It chooses operations by chance, has
 * one of the domains do each of them (itself, or a servant, over a ring), and compares the answer
 * with the model's. All run the same image, so an address means the same in all of them.
 */
#pragma once

#include "ring.h"

#define NR_WORDS (PAGE_SIZE / sizeof(uint64_t))
#define MAX_DOMAINS 4U
#define MAX_LANES 4U /* vcpus that are drivers, each in a world of its own */
#define NR_GRANTED 8U
#define NR_SLOTS 12U
#define NR_REFS 16U
#define FIRST_REF 64U /* of a lane: FIRST_REF + lane * NR_REFS */

/* Pages that may be granted, and pages over which others' are mapped. */
struct arena {
    uint64_t pages[NR_GRANTED][NR_WORDS];
    uint64_t slots[NR_SLOTS][NR_WORDS];
};
extern struct arena arenas[MAX_LANES];

/* What a domain is to do. Addresses are virtual ones; the actor makes frames of them. */
enum act_what {
    ACT_GRANT,   /* grant */
    ACT_REVOKE,  /* grant.ref: value: whether it worked */
    ACT_FLAGS,   /* grant.ref: value */
    ACT_MAP,     /* map */
    ACT_UNMAP,   /* unmap */
    ACT_REPLACE, /* replace */
    ACT_COPY,    /* copy; a frame is given by its address */
    ACT_READ,    /* touch.va: value: sum of the page; or a fault */
    ACT_WRITE,   /* touch: or a fault */
    ACT_RESTORE, /* touch.va: the page's own frame is mapped again */
    ACT_DIE,
    ACT_BYE,
};

/* A host_addr that is to be the address of the page-table entry, not of the page. */
#define NO_HANDLE 0xffffffffU

struct act {
    uint32_t what, pad;
    union {
        struct {
            uint64_t page;
            grant_ref_t ref;
            domid_t to;
            uint16_t flags;
        } grant;
        struct gnttab_map_grant_ref map;
        struct gnttab_unmap_grant_ref unmap;
        struct gnttab_unmap_and_replace replace;
        struct gnttab_copy copy;
        struct {
            uint64_t va, value;
        } touch;
    };
};

struct result {
    int64_t rc; /* a GNTST_ status, or -errno less 1000 */
    uint64_t value, bus;
    grant_handle_t handle;
    uint32_t fault;
};

DEFINE_RING_TYPES(acts, struct act, struct result);

uint64_t page_sum(const void *page);
/* A page's first contents: a pattern of its domain and its place. */
void page_fill(void *page, domid_t domid, unsigned int lane, unsigned int number);

/* actor.c */
long actor_begin(domid_t self, unsigned int lane);
void act_here(const struct act *act, struct result *result);

/* driver.c */
struct driver_options {
    unsigned int lane, nr_domains;
    domid_t domids[MAX_DOMAINS]; /* [0]: this one */
    unsigned long count;
    uint64_t seed;
};
const char *driver_run(const struct driver_options *options);

/* servant.c: the rings */
const char *servant_run(domid_t driver);
/* The driver's side. */
const char *servants_meet(const domid_t *domids, unsigned int n);
bool servant_ask(unsigned int domain, const struct act *act, struct result *result);
bool servant_there(unsigned int domain);
/* The one that died or is about to: the ring is ours again. */
bool servant_forget(unsigned int domain);
