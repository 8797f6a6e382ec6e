/* SPDX-License-Identifier: MIT */
/*
 * conform.h - a walk through the hypercall interface that prints what each case
 * returns, so that two hypervisors can be compared line by line:
 *   T|case|result                     a return code or a value
 *   E|case|pending mask sel upcall    the bits of a port after an operation
 * The output is the same in each run: no addresses, frames or times.
 */
#pragma once

#include "guest.h"

/* An address that no guest maps, one of the hypervisor's, and one not canonical. */
#define BAD_POINTER ((void *)0x7ffffffff000UL)
#define XEN_POINTER ((void *)0xffff82d000000000UL)
#define WRONG_POINTER ((void *)0x8000000000000000UL)

/* One page for cases that change mappings, one that is left alone, one for vcpu_info. */
extern volatile char scratch_page[PAGE_SIZE], other_page[PAGE_SIZE], info_page[PAGE_SIZE];

static inline volatile unsigned long *words_of(volatile char *page)
{
    return (volatile unsigned long *)(volatile void *)page;
}

static inline void page_fill(volatile char *page, unsigned long value)
{
    for (unsigned int i = 0; i < PAGE_SIZE / sizeof(value); i++) {
        words_of(page)[i] = value;
    }
}

void result(const char *name, long value);
void result_hex(const char *name, unsigned long value);

void check_version(void);
void check_sched(void);
void check_evtchn(void);
void check_vcpu(void);
void check_memory(void);
void check_mmu(void);
void check_segments(void);
void check_traps(void);
void check_privileged(void);
void check_pair(void);
void check_misc(void);
void check_domctl(void);
void check_domctl_vcpu(domid_t domid);
void check_sysctl(void);
void check_trace(void);
void check_pools(void);
