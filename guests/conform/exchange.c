/* SPDX-License-Identifier: MIT */
/* exchange.c - memory_op: pages exchanged for others, and claims on pages yet to be taken. */
#include "conform.h"

static char name[64];

static const char *numbered(const char *what, unsigned int n)
{
    fmt_snprintf(name, sizeof(name), "%s.%u", what, n);
    return name;
}

static long exchange(unsigned int in_order, unsigned long ins, xen_pfn_t *in,
                     unsigned int out_order, unsigned long outs, xen_pfn_t *out, unsigned long done)
{
    struct xen_memory_exchange x = {
        .in = { .nr_extents = ins, .extent_order = in_order, .domid = DOMID_SELF },
        .out = { .nr_extents = outs, .extent_order = out_order, .domid = DOMID_SELF },
        .nr_exchanged = done,
    };
    long rc;

    set_xen_guest_handle(x.in.extent_start, in);
    set_xen_guest_handle(x.out.extent_start, out);
    rc = memory_op(XENMEM_exchange, &x);
    result("memory.exchange.done", (long)x.nr_exchanged);
    return rc;
}

static volatile char block[4 * PAGE_SIZE] __attribute__((aligned(4 * 4096)));

/* Four pages become one piece of four, as a driver does it that needs memory in one piece. */
static void check_exchange(void)
{
    unsigned long pfn = virt_to_pfn(block);
    xen_pfn_t in[4], out[4] = { pfn };
    struct mmu_update m2p;
    domid_t self = DOMID_SELF;
    long pages = memory_op(XENMEM_current_reservation, &self), rc;

    result("memory.exchange.unequal", exchange(0, 3, in, 2, 1, out, 0));
    result("memory.exchange.done_4", exchange(0, 4, in, 2, 1, out, 4));
    result("memory.exchange.done_5", exchange(0, 4, in, 2, 1, out, 5));
    result("memory.exchange.bad_list", exchange(0, 4, BAD_POINTER, 2, 1, out, 0));
    for (unsigned int i = 0; i < 4; i++) {
        in[i] = pfn_to_mfn(pfn + i);
    }
    result("memory.exchange.mapped", exchange(0, 4, in, 2, 1, out, 0));
    for (unsigned int i = 0; i < 4; i++) {
        update_va_mapping(block + i * PAGE_SIZE, 0, UVMF_INVLPG);
    }
    in[1] = 0xfffffffffUL;
    result("memory.exchange.no_frame", exchange(0, 4, in, 2, 1, out, 0));
    in[1] = pfn_to_mfn(pfn + 1);
    result("memory.exchange.order_30", exchange(0, 1UL << 30, in, 30, 1, out, 0));
    result("memory.exchange", exchange(0, 4, in, 2, 1, out, 0));
    result("memory.exchange.changed", out[0] != pfn);
    result("memory.exchange.aligned", out[0] & 3);
    result("memory.exchange.pages", memory_op(XENMEM_current_reservation, &self) - pages);
    for (unsigned int i = 0; i < 4; i++) {
        result(numbered("memory.exchange.m2p", i),
               (long)(((unsigned long *)MACH2PHYS_VIRT_START)[out[0] + i] - pfn));
        ((unsigned long *)start_info->mfn_list)[pfn + i] = out[0] + i;
        rc = update_va_mapping(block + i * PAGE_SIZE, (out[0] + i) * PAGE_SIZE | 0x63, UVMF_INVLPG);
        result(numbered("memory.exchange.map", i), rc);
    }
    m2p.ptr = out[0] * PAGE_SIZE | MMU_MACHPHYS_UPDATE;
    m2p.val = pfn;
    result("memory.exchange.m2p_set", mmu_update(&m2p, 1, NULL, DOMID_SELF));
}

static void check_claim(void)
{
    struct xen_memory_reservation r = { .nr_extents = 1, .domid = 0 };

    result("memory.claim.less", memory_op(XENMEM_claim_pages, &r));
    r.nr_extents = 0;
    result("memory.claim.none", memory_op(XENMEM_claim_pages, &r));
    r.extent_order = 1;
    result("memory.claim.order", memory_op(XENMEM_claim_pages, &r));
    r.extent_order = 0;
    r.mem_flags = 1;
    result("memory.claim.flags", memory_op(XENMEM_claim_pages, &r));
    r.mem_flags = 0;
    r.nr_extents = 1UL << 40;
    result("memory.claim.much", memory_op(XENMEM_claim_pages, &r));
    r.nr_extents = 0;
    r.domid = 99;
    result("memory.claim.no_domain", memory_op(XENMEM_claim_pages, &r));
    result("memory.claim.bad", memory_op(XENMEM_claim_pages, BAD_POINTER));
    result("memory.sharing_freed", memory_op(XENMEM_get_sharing_freed_pages, NULL));
    result("memory.sharing_shared", memory_op(XENMEM_get_sharing_shared_pages, NULL));
}

void check_memory_exchange(void)
{
    check_exchange();
    check_claim();
}
