/* SPDX-License-Identifier: MIT */
/*
 * ptwrite.c - stores to what a guest may see but not change (its page tables, the
 * M2P) and to what it may not even see (the hypervisor). Each must fault, and
 * nothing may have changed.
 */
#include "bad.h"

static volatile unsigned int faults;
static volatile unsigned long resume;

static bool skip(struct frame *frame)
{
    faults++;
    frame->rip = resume;
    return true;
}

static bool store_faults(volatile uint64_t *at, uint64_t value)
{
    faults = 0;
    asm volatile("lea 1f(%%rip), %%rax; mov %%rax, resume; mov %1, (%0)\n1:" ::"r"(at), "r"(value)
                 : "rax", "memory");
    return faults == 1;
}

static bool load_faults(volatile uint64_t *at)
{
    faults = 0;
    asm volatile("lea 1f(%%rip), %%rax; mov %%rax, resume; mov (%0), %%rax\n1:" ::"r"(at)
                 : "rax", "memory");
    return faults == 1;
}

/* Stores of a forbidden value to an entry of each level. */
static const char *check_tables(void)
{
    uint64_t table = virt_to_mfn((void *)start_info->pt_base) * PAGE_SIZE;

    for (unsigned int level = 1; level <= 4; level++) {
        uint64_t *entry = page_table(level, fault_ptwrite) + (level == 4 ? 256 : 5);
        uint64_t before = *entry;

        if (!store_faults(entry, table | 0x67) || *entry != before) {
            printf("bad: level %u entry %lx is now %lx\n", level, before, *entry);
            return "a page table was written";
        }
    }
    return NULL;
}

static const char *check_hypervisor(void)
{
    static const unsigned long addresses[] = {
        0xffff804000000000, 0xffff808000000000, 0xffff820000000000, 0xffff82d040200000,
        0xffff830000000000, 0xffff830000100000, 0xffff87fffffff000,
    };

    for (unsigned int i = 0; i < sizeof(addresses) / sizeof(addresses[0]); i++) {
        if (!load_faults((uint64_t *)addresses[i]) || !store_faults((uint64_t *)addresses[i], 0)) {
            printf("bad: no fault at %lx\n", addresses[i]);
            return "the hypervisor is open";
        }
    }
    return NULL;
}

const char *fault_ptwrite(void)
{
    volatile uint64_t *m2p = &machine_to_phys_mapping[pfn_to_mfn(0)];
    uint64_t before = *m2p;
    const char *failure;

    trap_handle(13, skip);
    trap_handle(14, skip);
    if (!store_faults(m2p, 4711) || *m2p != before) {
        return "the m2p was written";
    }
    failure = check_tables();
    return failure ? failure : check_hypervisor();
}
