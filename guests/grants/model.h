/* SPDX-License-Identifier: MIT */
/*
 * model.h - what the driver believes of all domains: grants, mappings, slots, and each byte of the
 * pages that are granted. Pure: it makes no calls.
 */
#pragma once

#include "grants.h"

#define MAX_MAPPINGS 24U /* of a domain */
#define NONE 0xffU

enum slot_state {
    SLOT_OWN,    /* the frame of slot `what`, writable */
    SLOT_EMPTY,  /* nothing: it faults */
    SLOT_MAPPED, /* mapping number `what` */
};

struct model_grant {
    bool on, read_only;
    uint8_t page, to;
    uint16_t readers, writers; /* mappings, one each for cpu and device */
};

struct model_mapping {
    bool host, device, read_only, by_pte; /* live if either of the first two */
    uint8_t from, ref, slot;
    grant_handle_t handle;
    uint64_t bus;
};

struct model_domain {
    bool dead;
    domid_t domid;
    struct model_grant grants[NR_REFS];
    struct model_mapping mappings[MAX_MAPPINGS];
    struct {
        uint8_t state, what;
    } slots[NR_SLOTS];
    uint64_t pages[NR_GRANTED][NR_WORDS];
    uint64_t slot_sums[NR_SLOTS]; /* of their own frames, which never change */
};

struct model {
    unsigned int lane, nr_domains;
    struct model_domain domains[MAX_DOMAINS];
};

void model_begin(struct model *m, const struct driver_options *options);

/* What a mapping, or a copy, by a domain of (from, ref) must answer. */
int64_t model_access(const struct model *m, unsigned int by, unsigned int from, unsigned int ref,
                     bool read_only);
uint16_t model_flags(const struct model *m, unsigned int domain, unsigned int ref);
static inline bool model_in_use(const struct model_grant *g)
{
    return g->readers || g->writers;
}
/* A mapping came, or a part of it went. */
void model_count(struct model *m, const struct model_mapping *map, unsigned int parts, int change);
uint64_t *model_page(struct model *m, const struct model_mapping *map);
/* What is read in a slot: a sum; false: it must fault. */
bool model_slot_sum(struct model *m, unsigned int domain, unsigned int slot, uint64_t *sum);
/* All that a domain had mapped goes with it. */
void model_die(struct model *m, unsigned int domain);
