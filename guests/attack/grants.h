/* SPDX-License-Identifier: MIT */
/* grants.h - what the attacks on grants share: grants.c, one thing at a time, and grant_races.c. */
#pragma once

#include "attack.h"

#define GA_SLOTS 8U
#define GA_REFS 16U

extern struct grant_attack {
    bool begun;
    domid_t self;
    domid_t victim; /* DOMID_INVALID: nobody granted us anything */
    grant_ref_t victim_ref;
    grant_ref_t refs[GA_REFS];
    grant_handle_t handle; /* of the last mapping */
    const char *broken;    /* what ought to have worked did not */
} ga;

/* Pages over which grants are mapped. */
extern uint64_t ga_slots[GA_SLOTS][512];

static inline long ga_unmap(uint64_t host_addr, uint64_t bus, grant_handle_t handle)
{
    struct gnttab_unmap_grant_ref op = {
        .host_addr = host_addr,
        .dev_bus_addr = bus,
        .handle = handle,
    };
    long rc = grant_op(GNTTABOP_unmap_grant_ref, &op, 1);

    return rc ? rc : op.status;
}

static inline long ga_replace(uint64_t host_addr, uint64_t new_addr, grant_handle_t handle)
{
    struct gnttab_unmap_and_replace op = {
        .host_addr = host_addr,
        .new_addr = new_addr,
        .handle = handle,
    };
    long rc = grant_op(GNTTABOP_unmap_and_replace, &op, 1);

    return rc ? rc : op.status;
}

/* grant_races.c */
const char *grant_races(void);
