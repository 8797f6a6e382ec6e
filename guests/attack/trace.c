/* SPDX-License-Identifier: MIT */
/*
 * trace.c - the rings of trace records, which are there from the boot (tbuf_size=). To an ordinary
 * domain no frame of the machine must be given as DOMID_XEN's, nor one of these as its own. A
 * control domain may map them, the table read-only and nothing else of the hypervisor, and then
 * fills them with nonsense while they are being written.
 */
#include "attack.h"

#include <xen/sysctl.h>
#include <xen/trace.h>

#define MOST_FRAMES (1UL << 18)
#define RING_PAGES 2U
#define SPOIL_ROUNDS 20000U

static uint64_t ours[MOST_FRAMES / 64];

static long map_as(const volatile void *va, uint64_t pte, domid_t domid)
{
    return hypercall(__HYPERVISOR_update_va_mapping_otherdomain, ARG(va), pte,
                     UVMF_INVLPG | UVMF_ALL, domid, 0);
}

static void note_ours(uint64_t mfn)
{
    if (mfn < MOST_FRAMES) {
        ours[mfn / 64] |= 1UL << (mfn % 64);
    }
}

static void find_ours(void)
{
    for (unsigned long pfn = 0; pfn < start_info->nr_pages; pfn++) {
        note_ours(pfn_to_mfn(pfn));
    }
    note_ours(start_info->shared_info / PAGE_SIZE);
}

static const char *sweep(void)
{
    unsigned long given = 0, foreign = 0;

    find_ours();
    for (uint64_t mfn = 0; mfn < MOST_FRAMES; mfn++) {
        uint64_t frame = mfn * PAGE_SIZE;

        foreign += map_as(pages[0], frame | PTE_RO, DOMID_XEN) != -XEN_EPERM;
        if (!(ours[mfn / 64] >> (mfn % 64) & 1)) {
            given += map_at(pages[0], frame | PTE_RO) == 0;
            given += map_at(pages[0], frame | PTE_RW) == 0;
        }
    }
    printf("attack: %lu frames, %lu given, %lu as another's\n", MOST_FRAMES, given, foreign);
    pages_reset();
    return given || foreign ? "a frame that isn't ours was mapped" : NULL;
}

/* ---- the control domain's ---- */

static long tbuf(struct xen_sysctl *op, uint32_t cmd)
{
    op->cmd = XEN_SYSCTL_tbuf_op;
    op->interface_version = XEN_SYSCTL_INTERFACE_VERSION;
    op->u.tbuf_op.cmd = cmd;
    return hypercall2(__HYPERVISOR_sysctl, ARG(op), 0);
}

/* Anything, anywhere in the ring, but most of all where the protocol has its numbers. */
static void spoil(struct dice *d, volatile uint32_t *ring)
{
    static const uint32_t odd[] = { 0, 1, 0x1ff8, 0x1ff4, 0x3ff0, 0x7fffffff, 0xfffffffc, ~0U };

    for (unsigned int i = 0; i < SPOIL_ROUNDS; i++) {
        uint32_t value = below(d, 2) ? odd[below(d, 8)] : (uint32_t)roll(d);

        ring[below(d, 2) ? below(d, 2) : below(d, RING_PAGES * PAGE_SIZE / 4)] = value;
        if (i % 16 == 0) {
            xen_version(XENVER_version, NULL); /* records of these are written meanwhile */
        }
    }
}

/* A frame below one of Xen's that is shared: of the hypervisor, or anyone's. */
static void try_neighbours(uint64_t info_mfn, unsigned int *mapped)
{
    for (uint64_t mfn = info_mfn - 64; mfn < info_mfn + 64; mfn++) {
        *mapped += map_as(pages[1], mfn * PAGE_SIZE | PTE_RW, DOMID_XEN) == 0;
    }
    map_page(1, PTE_RW);
}

static const char *spoil_all(void)
{
    const struct t_info *info = (const void *)pages[0];
    struct dice dice = { .state = 88172645463325252UL };
    struct xen_sysctl op = { .cmd = 0 };
    unsigned int rings = 0, writable = 0;
    uint64_t mfn;

    if (tbuf(&op, XEN_SYSCTL_TBUFOP_get_info) || !op.u.tbuf_op.size) {
        return "there are no rings";
    }
    mfn = op.u.tbuf_op.buffer_mfn;
    refused("the table of rings, writable", map_as(pages[0], mfn * PAGE_SIZE | PTE_RW, DOMID_XEN));
    if (map_as(pages[0], mfn * PAGE_SIZE | PTE_RO, DOMID_XEN)) {
        return "the table of rings can't be mapped";
    }
    try_neighbours(mfn, &writable);
    while (info->mfn_offset[rings] && rings < 64) {
        const uint32_t *list = (const uint32_t *)info + info->mfn_offset[rings];

        for (unsigned int i = 0; i < RING_PAGES; i++) {
            refused("a ring's frame as our own",
                    map_at(pages[2 + i], (uint64_t)list[i] * PAGE_SIZE | PTE_RW));
            if (map_as(pages[2 + i], (uint64_t)list[i] * PAGE_SIZE | PTE_RW, DOMID_XEN)) {
                return "a ring can't be mapped";
            }
            refused("a ring as a page table", mmuext(MMUEXT_PIN_L1_TABLE, list[i], 0));
        }
        spoil(&dice, (volatile uint32_t *)pages[2]);
        rings++;
    }
    printf("attack: %u rings spoilt, %u neighbours mapped\n", rings, writable);
    tbuf(&op, XEN_SYSCTL_TBUFOP_disable);
    tbuf(&op, XEN_SYSCTL_TBUFOP_enable);
    pages_reset();
    return writable > rings * RING_PAGES ? "more than the rings was mapped" : verdict();
}

const char *attack_trace(void)
{
    return start_info->flags & SIF_PRIVILEGED ? spoil_all() : sweep();
}
