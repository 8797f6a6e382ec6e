/* SPDX-License-Identifier: MIT */
/*
 * gnttab.h - grant_table_op as the groups ask about it. A line shows what the call returned, the
 * status of its one element, the flags of the grant's entry and those of the window's page table
 * entry, without the frame and the accessed and dirty bits, which are the CPU's.
 */
#pragma once

#include "conform.h"

#include <xen/grant_table.h>

#define REF 20U /* the entry that most cases use */
#define NO_HANDLE ((grant_handle_t)~0U)
#define RW GTF_permit_access
#define RO (GTF_permit_access | GTF_readonly)

/* Where grants are mapped, and the pages that are granted. */
extern volatile char gnt_windows[4][PAGE_SIZE], gnt_given[4][PAGE_SIZE];

/* The window that is shown; window 0 at first. Its entry is put back to the page of its own. */
extern unsigned int gnt_shown;
void gnt_window_back(unsigned int window);
unsigned long gnt_window_flags(unsigned int window);
uint64_t gnt_window_at(unsigned int window);

/* The first frame of our table is mapped once. */
void gnt_table_map(void);
volatile struct grant_entry_v1 *gnt_entry(grant_ref_t ref);
void gnt_give(grant_ref_t ref, unsigned int flags, domid_t domid, unsigned long frame);

static inline long gnt_op(unsigned int cmd, void *arg, unsigned int count)
{
    return hypercall3(__HYPERVISOR_grant_table_op, cmd, ARG(arg), count);
}

/* The handle, or NO_HANDLE. */
grant_handle_t gnt_map(const char *name, uint64_t host, uint32_t flags, grant_ref_t ref,
                       domid_t domid);
void gnt_unmap(const char *name, uint64_t host, uint64_t bus, grant_handle_t handle);
/* Without a line. */
grant_handle_t gnt_map_quietly(uint64_t host, uint32_t flags, grant_ref_t ref, domid_t domid);

void check_grant_table(void);
void check_grant_version(void);
void check_grant_map(void);
void check_grant_pte(void);
void check_grant_copy(void);
void check_grant_remote(void);
void check_grant_resource(void);
void check_grant_limits(void);
