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
void resultf(const char *name, const char *format, ...) __attribute__((format(printf, 2, 3)));

/*
 * remote.c - a domain that never runs, for cases that need a second one: REMOTE, with 2 vcpus. It
 * is paused, as it is made.
 */
#define REMOTE 42
long remote_create(uint32_t max_port);
/* What can be asked without arguments: pause, unpause, ... */
long remote_domctl(uint32_t cmd);
long remote_destroy(void);
/* Machine frame of a page that it is given; 0: none. */
unsigned long remote_page(unsigned long pfn);

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
void check_platform_op(void);
void check_memory_exchange(void);
void check_trace(void);
void check_pools(void);
void check_events(void);
void check_fifo(void);
void check_fifo_full(void);
void check_grants(void);
