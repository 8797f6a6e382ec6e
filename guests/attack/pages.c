/* SPDX-License-Identifier: MIT */
/* pages.c - pages that become tables and descriptors, and short names for the hypercalls to do it.
 */
#include "attack.h"

uint64_t pages[NR_PAGES][512] __attribute__((aligned(4096)));

long map_at(const volatile void *va, uint64_t pte)
{
    return update_va_mapping(va, pte, UVMF_INVLPG | UVMF_ALL);
}

long map_page(unsigned int page, uint64_t flags)
{
    return map_at(pages[page], maddr(pages[page]) | flags);
}

long set_entry(uint64_t *table, unsigned int index, uint64_t entry)
{
    struct mmu_update u = { .ptr = maddr(table) + index * sizeof(*table), .val = entry };

    return mmu_update(&u, 1, NULL, DOMID_SELF);
}

long mmuext(unsigned int cmd, unsigned long arg1, unsigned long arg2)
{
    struct mmuext_op op = { .cmd = cmd };

    op.arg1.mfn = arg1;
    op.arg2.nr_ents = (unsigned int)arg2;
    return mmuext_op(&op, 1, NULL, DOMID_SELF);
}

long pin(unsigned int level, const volatile void *table)
{
    return mmuext(MMUEXT_PIN_L1_TABLE + level - 1, virt_to_mfn(table), 0);
}

long unpin(const volatile void *table)
{
    return mmuext(MMUEXT_UNPIN_TABLE, virt_to_mfn(table), 0);
}

void pages_reset(void)
{
    for (unsigned int i = 0; i < NR_PAGES; i++) {
        unpin(pages[i]);
    }
    for (unsigned int i = 0; i < NR_PAGES; i++) {
        if (map_page(i, PTE_RW) == 0) {
            memset(pages[i], 0, PAGE_SIZE);
        }
    }
}
