/* SPDX-License-Identifier: MIT */
/*
 * grant_limits.c - how often one grant can be mapped, and how many mappings a domain can have: on a
 * hypervisor that was booted with gnttab_max_maptrack_frames=2.
 */
#include "gnttab.h"

#define MOST 2000U
#define FIRST 100U /* of the entries that are used here, and nowhere else */

static struct gnttab_map_grant_ref maps[MOST];
static struct gnttab_unmap_grant_ref unmaps[MOST];

static uint64_t bus_of(grant_ref_t ref)
{
    return gnt_entry(ref)->frame * PAGE_SIZE;
}

/* For devices, which takes no address: refs in turn, until it fails. Returns how many went well. */
static unsigned int map_many(uint32_t flags, unsigned int refs)
{
    unsigned int n = 0;

    for (; n < MOST; n++) {
        maps[n] = (struct gnttab_map_grant_ref){
            .flags = flags,
            .ref = FIRST + n % refs,
        };
        if (gnt_op(GNTTABOP_map_grant_ref, &maps[n], 1) || maps[n].status) {
            break;
        }
    }
    return n;
}

/* In one call, which is a long one. */
static long unmap_all(unsigned int n, unsigned int refs, unsigned int *failed)
{
    long rc;

    for (unsigned int i = 0; i < n; i++) {
        unmaps[i] = (struct gnttab_unmap_grant_ref){
            .dev_bus_addr = bus_of(FIRST + i % refs),
            .handle = maps[i].handle,
            .status = 77,
        };
    }
    rc = gnt_op(GNTTABOP_unmap_grant_ref, unmaps, n);
    *failed = 0;
    for (unsigned int i = 0; i < n; i++) {
        *failed += unmaps[i].status != GNTST_okay;
    }
    return rc;
}

static void limit(const char *name, uint32_t flags, unsigned int refs)
{
    unsigned int n = map_many(flags, refs), failed;
    int status = n < MOST ? maps[n].status : 0;
    unsigned int entry = gnt_entry(FIRST)->flags;
    char text[64];
    long rc;

    fmt_snprintf(text, sizeof(text), "grant.limit.%s", name);
    resultf(text, "%u status %d entry 0x%x", n, status, entry);
    rc = unmap_all(n, refs, &failed);
    fmt_snprintf(text, sizeof(text), "grant.limit.%s.unmap", name);
    resultf(text, "%ld failed %u entry 0x%x", rc, failed, gnt_entry(FIRST)->flags);
}

void check_grant_limits(void)
{
    for (unsigned int i = 0; i < 32; i++) {
        gnt_give(FIRST + i, RW, 0, virt_to_mfn(gnt_given[i % 4]));
    }
    limit("one.read", GNTMAP_device_map | GNTMAP_readonly, 1);
    limit("one.write", GNTMAP_device_map, 1);
    limit("two", GNTMAP_device_map, 2);
    limit("many", GNTMAP_device_map | GNTMAP_readonly, 32);
    limit("many.again", GNTMAP_device_map, 32);
    for (unsigned int i = 0; i < 32; i++) {
        gnt_give(FIRST + i, 0, 0, 0);
    }
}
