/* SPDX-License-Identifier: MIT */
/* attack.h - what the attacks share: how they report, and pages to forge tables in. */
#pragma once

#include "guest.h"

#define PTE_P 1UL
#define PTE_W 2UL
#define PTE_RO 0x61UL    /* present, accessed, dirty */
#define PTE_RW 0x63UL    /* and writable */
#define PTE_TABLE 0x67UL /* and for user mode: an entry above L1 */
#define PTE_ADDRESS 0x000ffffffffff000UL

/* A vector of the frame that a handler of ours took last; see caught(). */
#define NOTHING_CAUGHT 999U

/* Each returns NULL, or why the hypervisor is at fault. */
const char *attack_frames(void);
const char *attack_tables(void);
const char *attack_levels(void);
const char *attack_bases(void);
const char *attack_info(void);
const char *attack_descriptors(void);
const char *attack_selectors(void);
const char *attack_flags(void);
const char *attack_watch(void);
const char *attack_forged(void);
const char *attack_endless(void);
const char *attack_timers(void);
const char *attack_teardown(void);
const char *attack_base_race(void);
const char *attack_type_race(void);
const char *attack_info_race(void);
const char *attack_privileged(void);
const char *attack_strings(void);
const char *attack_grants(void);
const char *attack_fifo(void);
const char *attack_lender(void);
const char *attack_borrower(void);
const char *attack_fuzz(void);
const char *attack_store(void);
const char *attack_hoard(void);
const char *attack_rings(void);
const char *attack_control(void);
const char *attack_groups(void);
const char *attack_trace(void);
const char *attack_starve(void);

/* main.c */
/* Says that something was refused, or counts it as a failure. */
void refused(const char *what, long rc);
/* Failures so far, as a result of an attack. */
const char *verdict(void);

/* others.c: all other vcpus that can be had run the function, until others_must_stop; how many. */
extern volatile bool others_must_stop;
unsigned int others_start(void (*function)(void));
void others_stop(void); /* returns when they are down */

/* Numbers by chance; the same state gives the same. */
struct dice {
    unsigned long state;
    uint64_t *memory; /* of the vcpu: arguments of calls */
};

static inline unsigned long roll(struct dice *d)
{
    return random_next(&d->state);
}

static inline unsigned long below(struct dice *d, unsigned long n)
{
    return roll(d) % n;
}

/* pages.c */
#define NR_PAGES 8U
extern uint64_t pages[NR_PAGES][512];
static inline uint64_t maddr(const volatile void *va)
{
    return virt_to_mfn(va) * PAGE_SIZE;
}
long map_page(unsigned int page, uint64_t flags); /* one of pages[], at its own address */
long map_at(const volatile void *va, uint64_t pte);
long set_entry(uint64_t *table, unsigned int index, uint64_t entry);
long mmuext(unsigned int cmd, unsigned long arg1, unsigned long arg2);
long pin(unsigned int level, const volatile void *table);
long unpin(const volatile void *table);
/* Writable pages again, all zeros, no tables. */
void pages_reset(void);

/* catch.c: code that may fault */
/* Vector that the function met, or NOTHING_CAUGHT; the fault ends it. For one vcpu at a time. */
unsigned int caught(void (*function)(void));
void catch_init(void);
