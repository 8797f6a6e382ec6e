/* SPDX-License-Identifier: MIT */
/*
 * grant_wild.c - grants among the domains that control.c makes and destroys by chance: domain 0
 * writes their tables for them, and maps, copies and unmaps what they grant it, while they do so
 * among themselves (victim.c). Whoever dies when: all memory must be back at the end, so domain 0
 * remembers what it has mapped.
 */
#include "control.h"

#define NR_HELD 4U

static uint64_t windows[MAX_VCPUS][NR_HELD][512] __attribute__((aligned(4096)));
static struct {
    bool live;
    grant_handle_t handle;
} held[MAX_VCPUS][NR_HELD];
static unsigned long written, taken;

/* The first page of a domain's table, mapped for us. */
static struct grant_entry_v1 *table_of(unsigned int domid, uint64_t *alias)
{
    xen_pfn_t frame = 0;
    struct gnttab_setup_table op = { .dom = (domid_t)domid, .nr_frames = 1 };

    set_xen_guest_handle(op.frame_list, &frame);
    if (grant_op(GNTTABOP_setup_table, &op, 1) || op.status ||
        map_foreign(alias, frame, domid, PTE_RW)) {
        return NULL;
    }
    return (struct grant_entry_v1 *)(void *)alias;
}

void act_grant_write(struct actor *a)
{
    unsigned int slot = (unsigned int)below(&a->dice, NR_DOMAINS);
    struct grant_entry_v1 *table = table_of(FIRST_DOMID + slot, some_alias(a));

    if (!table) {
        return;
    }
    for (unsigned int i = 0; i < 16; i++) {
        table[i].frame = (uint32_t)mfn_of(a, slot);
        table[i].domid = (domid_t)(i % 2 ? 0 : some_domid(a));
        table[i].flags = (uint16_t)(below(&a->dice, 8) ? GTF_permit_access : roll(&a->dice));
    }
    written++;
}

static void let_go(unsigned int self, unsigned int i)
{
    if (held[self][i].live && grant_unmap(windows[self][i], held[self][i].handle) == 0) {
        held[self][i].live = false;
    }
}

void act_grant_map(struct actor *a)
{
    unsigned int self = vcpu_self(), i = (unsigned int)below(&a->dice, NR_HELD);
    grant_ref_t ref = (grant_ref_t)below(&a->dice, 17);
    domid_t from = (domid_t)some_domid(a);

    if (held[self][i].live) {
        let_go(self, i);
    } else if (below(&a->dice, 4) == 0) {
        grant_copy_in(a->memory, from, ref, 0, 64);
    } else if (grant_map(from, ref, windows[self][i], below(&a->dice, 2) ? GNTMAP_readonly : 0,
                         &held[self][i].handle) == 0) {
        held[self][i].live = true;
        taken++;
        a->memory[0] = ((volatile uint64_t *)windows[self][i])[3];
    }
}

/* Whatever our own tables and lists of handles take, they take before. */
const char *grant_wild_begin(void)
{
    grant_handle_t handle;
    long ref = grant_start() < 0 ? -1 : grant_page(0, virt_to_mfn(pages[0]), 0);

    if (ref < 0) {
        return NULL;
    }
    if (grant_map(0, (grant_ref_t)ref, windows[0][0], 0, &handle) ||
        grant_unmap(windows[0][0], handle) || !grant_end((grant_ref_t)ref)) {
        return "a page of ours can't be mapped by a grant";
    }
    return NULL;
}

const char *grant_wild_end(void)
{
    unsigned long left = 0;

    for (unsigned int v = 0; v < MAX_VCPUS; v++) {
        for (unsigned int i = 0; i < NR_HELD; i++) {
            let_go(v, i);
            left += held[v][i].live;
        }
    }
    printf("attack: %lu grant tables written, %lu of their pages mapped\n", written, taken);
    return left ? "what was mapped can't be unmapped" : NULL;
}
