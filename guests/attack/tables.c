/* SPDX-License-Identifier: MIT */
/*
 * tables.c - frames that are not ours, and forged page tables: writable tables, wrong levels,
 * loops, superpages, reserved bits, the hypervisor's slots, bases that are no L4, and vcpu_info in
 * a page that is to be a table.
 */
#include "attack.h"

static uint64_t window[512] __attribute__((aligned(4096)));
static uint64_t info_page[512] __attribute__((aligned(4096)));

static bool is_mine(unsigned long mfn)
{
    unsigned long pfn = machine_to_phys_mapping[mfn];

    return (pfn < start_info->nr_pages && pfn_to_mfn(pfn) == mfn) ||
           mfn == start_info->shared_info / PAGE_SIZE;
}

/* Every frame of the machine that is not ours, read-only and writable. */
const char *attack_frames(void)
{
    unsigned long max = (unsigned long)memory_op(XENMEM_maximum_ram_page, NULL), n[2] = { 0, 0 };
    bool privileged = start_info->flags & SIF_PRIVILEGED;

    for (unsigned long mfn = 0; mfn < max + 64; mfn++) {
        if (mfn <= max && is_mine(mfn)) {
            continue;
        }
        for (unsigned int rw = 0; rw < 2; rw++) {
            long rc = update_va_mapping(window, mfn * PAGE_SIZE | (rw ? PTE_RW : PTE_RO), 0);

            n[rc == 0]++;
            if (rc == 0 && !privileged) {
                printf("attack: frame %lx mapped\n", mfn);
                return "a frame of somebody else was mapped";
            }
        }
    }
    map_at(window, maddr(window) | PTE_RW);
    printf("attack: %lu mappings of foreign frames refused, %lu of devices allowed\n", n[0], n[1]);
    if (!privileged) { /* the control domain may map devices */
        refused("frame beyond all memory", map_at(window, 0xffffffffffUL * PAGE_SIZE | PTE_RW));
    }
    return NULL;
}

/* All ways to get a page table writable, or to write it what must not be there. */
const char *attack_tables(void)
{
    static const unsigned int slots[] = { 256, 257, 260, 261, 262, 271 };
    uint64_t *l4 = page_table(4, pages), *l3 = page_table(3, pages);

    for (unsigned int level = 1; level <= 4; level++) {
        uint64_t *table = page_table(level, pages);

        refused("a table in use, writable", map_at(window, maddr(table) | PTE_RW));
        refused("the same by mmu_update",
                set_entry(page_table(1, window), (unsigned int)(ARG(window) >> 12) & 511,
                          maddr(table) | PTE_RW));
        refused("a pinned table, made writable again", map_at(table, maddr(table) | PTE_RW));
    }
    for (unsigned int i = 0; i < sizeof(slots) / sizeof(slots[0]); i++) {
        refused("an entry in the hypervisor's slots", set_entry(l4, slots[i], maddr(l3) | 0x67));
        refused("none in the hypervisor's slots", set_entry(l4, slots[i], 0));
    }
    refused("va of the hypervisor", map_at((void *)0xffff830000000000, maddr(window) | PTE_RW));
    refused("va that is not canonical", map_at((void *)0x800000000000, maddr(window) | PTE_RW));
    refused("self map in L4", set_entry(l4, 1, maddr(l4) | PTE_TABLE));
    refused("self map, read-only", set_entry(l4, 1, maddr(l4) | 0x65));
    refused("self map in L3", set_entry(l3, 1, maddr(l3) | PTE_TABLE));
    refused("a data page as L3", set_entry(l4, 1, maddr(window) | PTE_TABLE));
    refused("a data page as L2", set_entry(l3, 1, maddr(window) | PTE_TABLE));
    refused("1 GiB page", set_entry(l3, 1, 0 | PTE_TABLE | 0x80));
    refused("2 MiB page", set_entry(page_table(2, pages), 300, 0 | PTE_TABLE | 0x80));
    map_at(window, maddr(window) | PTE_RW);
    return verdict();
}

/* pages[0] with one entry, tried as a table of the given level. */
static void try_entry(const char *what, unsigned int level, unsigned int index, uint64_t entry)
{
    long rc;

    map_page(0, PTE_RW);
    memset(pages[0], 0, PAGE_SIZE);
    pages[0][index] = entry;
    map_page(0, PTE_RO);
    rc = pin(level, pages[0]);
    refused(what, rc);
    if (rc == 0) {
        unpin(pages[0]);
    }
}

/* Forged tables that are offered as a whole. */
const char *attack_levels(void)
{
    uint64_t mine = maddr(window), l4 = maddr((void *)start_info->pt_base);

    refused("a writable page as L1", pin(1, window));
    refused("a writable page as L4", pin(4, window));
    try_entry("L1 that maps a table writable", 1, 0, l4 | PTE_RW);
    try_entry("L1 that maps itself writable", 1, 0, maddr(pages[0]) | PTE_RW);
    try_entry("L1 that maps the hypervisor", 1, 511, 0x100000 | PTE_RW);
    try_entry("L1 that maps frame 0", 1, 7, 0 | PTE_RO);
    if (!(start_info->flags & SIF_PRIVILEGED)) {
        try_entry("L1 with address bits beyond the machine", 1, 7, 0x000ff00000000000UL | PTE_RW);
    }
    try_entry("L2 over a writable page", 2, 0, mine | PTE_TABLE);
    try_entry("L2 with a 2 MiB page", 2, 0, PTE_TABLE | 0x80);
    try_entry("L2 with a 2 MiB page of our own", 2, 0, (mine & ~0x1fffffUL) | PTE_TABLE | 0x80);
    try_entry("L3 with a 1 GiB page", 3, 0, PTE_TABLE | 0x80);
    try_entry("L3 over an L4", 3, 0, l4 | PTE_TABLE);
    try_entry("L2 over itself", 2, 0, maddr(pages[0]) | PTE_TABLE);
    try_entry("L3 over itself", 3, 0, maddr(pages[0]) | PTE_TABLE);
    try_entry("L4 over itself", 4, 0, maddr(pages[0]) | PTE_TABLE);
    try_entry("L4 over itself, read-only", 4, 0, maddr(pages[0]) | 0x65);
    try_entry("L4 over an L4", 4, 511, l4 | PTE_TABLE);
    try_entry("L4 with the reserved size bit", 4, 0, l4 | PTE_TABLE | 0x80);
    /* A data page below, whose entries would be forged: it must be a table or nothing. */
    map_page(1, PTE_RW);
    pages[1][0] = 0x100000 | PTE_RW;
    try_entry("L2 over a forged page that is writable", 2, 0, maddr(pages[1]) | PTE_TABLE);
    map_page(1, PTE_RO);
    try_entry("L2 over a forged page", 2, 0, maddr(pages[1]) | PTE_TABLE);
    /* The hypervisor's slots are its own, whatever stood there. */
    map_page(0, PTE_RW);
    memset(pages[0], 0, PAGE_SIZE);
    for (unsigned int i = 256; i < 272; i++) {
        pages[0][i] = mine | PTE_TABLE;
    }
    map_page(0, PTE_RO);
    if (pin(4, pages[0]) == 0) {
        for (unsigned int i = 256; i < 272; i++) {
            if ((pages[0][i] & PTE_ADDRESS) == mine) {
                return "an L4 keeps a forged entry in the hypervisor's slots";
            }
        }
        refused("a table mapped writable while pinned", map_page(0, PTE_RW));
        refused("pinned twice", pin(4, pages[0]));
        refused("pinned as something else", pin(1, pages[0]));
        unpin(pages[0]);
        refused("unpinned twice", unpin(pages[0]));
    }
    return verdict();
}

const char *attack_bases(void)
{
    uint64_t *l1 = page_table(1, pages);

    refused("base: a data page", mmuext(MMUEXT_NEW_BASEPTR, virt_to_mfn(window), 0));
    refused("base: an L1", mmuext(MMUEXT_NEW_BASEPTR, virt_to_mfn(l1), 0));
    refused("base: an L3", mmuext(MMUEXT_NEW_BASEPTR, virt_to_mfn(page_table(3, pages)), 0));
    refused("base: frame 0", mmuext(MMUEXT_NEW_BASEPTR, 0, 0));
    refused("base: the hypervisor", mmuext(MMUEXT_NEW_BASEPTR, 0x100, 0));
    refused("base: beyond all memory", mmuext(MMUEXT_NEW_BASEPTR, ~0UL, 0));
    refused("base: 2^52", mmuext(MMUEXT_NEW_BASEPTR, 1UL << 52, 0));
    refused("user base: a data page", mmuext(MMUEXT_NEW_USER_BASEPTR, virt_to_mfn(window), 0));
    refused("user base: an L1", mmuext(MMUEXT_NEW_USER_BASEPTR, virt_to_mfn(l1), 0));
    refused("unpin: frame 0", mmuext(MMUEXT_UNPIN_TABLE, 0, 0));
    refused("unpin: a data page", unpin(window));
    refused("unpin: shared_info", mmuext(MMUEXT_UNPIN_TABLE, start_info->shared_info >> 12, 0));
    refused("pin: shared_info", mmuext(MMUEXT_PIN_L1_TABLE, start_info->shared_info >> 12, 0));
    return verdict();
}

static long register_info(unsigned int vcpu, unsigned long mfn, unsigned int offset)
{
    struct vcpu_register_vcpu_info op = { .mfn = mfn, .offset = offset };

    return vcpu_op(VCPUOP_register_vcpu_info, vcpu, &op);
}

/* A page can't be both what the hypervisor writes to, and a table. */
const char *attack_info(void)
{
    unsigned int vcpu = vcpu_count() - 1;

    refused("vcpu_info in a table", register_info(vcpu, virt_to_mfn(page_table(1, pages)), 0));
    refused("vcpu_info in frame 0", register_info(vcpu, 0, 0));
    refused("vcpu_info in the hypervisor", register_info(vcpu, 0x100, 0));
    refused("vcpu_info over a page's end", register_info(vcpu, virt_to_mfn(window), 4040));
    refused("vcpu_info unaligned", register_info(vcpu, virt_to_mfn(window), 4));
    refused("vcpu_info of nobody", register_info(200, virt_to_mfn(window), 0));
    if (vcpu == 0 || vcpu_is_up(vcpu) || register_info(vcpu, virt_to_mfn(info_page), 64)) {
        return verdict(); /* there is only us */
    }
    vcpu_infos[vcpu] = (void *)((char *)info_page + 64);
    refused("vcpu_info twice", register_info(vcpu, virt_to_mfn(info_page), 128));
    map_at(info_page, maddr(info_page) | PTE_RO);
    for (unsigned int level = 1; level <= 4; level++) {
        refused("a page with a vcpu_info as a table", pin(level, info_page));
    }
    map_at(info_page, maddr(info_page) | PTE_RW);
    return verdict();
}
