/* SPDX-License-Identifier: MIT */
/*
 * grant.c - grant tables, version 1: the domain's own table, mapped over pages of the image, which
 * of its references are taken, and the calls that map and copy what others grant. The entries
 * proper are atomic, and so is taking a reference: any vcpu may do both once grant_start() was
 * called.
 */
#include "guest.h"

#define ENTRIES (PAGE_SIZE / sizeof(struct grant_entry_v1)) /* of a frame */
#define WORD_BITS 64U
#define PTE_PRESENT 1UL
#define PTE_RW 0x63UL /* present, writable, accessed, dirty */

static struct grant_entry_v1 table[GRANT_FRAMES * ENTRIES] __attribute__((aligned(PAGE_SIZE)));
static unsigned int nr_refs;                               /* 0: not started */
static uint64_t taken[GRANT_FRAMES * ENTRIES / WORD_BITS]; /* a bit per reference */

static long map_table(unsigned int nr_frames)
{
    xen_pfn_t frames[GRANT_FRAMES];
    struct gnttab_setup_table op = { .dom = DOMID_SELF, .nr_frames = nr_frames };
    long rc;

    set_xen_guest_handle(op.frame_list, frames);
    rc = grant_op(GNTTABOP_setup_table, &op, 1);
    rc = rc ? rc : op.status;
    for (unsigned int i = 0; i < nr_frames && !rc; i++) {
        rc = update_va_mapping(&table[i * ENTRIES], frames[i] * PAGE_SIZE | PTE_RW,
                               UVMF_INVLPG | UVMF_ALL);
    }
    return rc;
}

long grant_start(void)
{
    struct gnttab_query_size size = { .dom = DOMID_SELF };
    unsigned int nr_frames;
    long rc;

    if (nr_refs) {
        return nr_refs;
    }
    rc = grant_op(GNTTABOP_query_size, &size, 1);
    rc = rc ? rc : size.status;
    if (rc) {
        return rc;
    }
    nr_frames = size.max_nr_frames < GRANT_FRAMES ? size.max_nr_frames : GRANT_FRAMES;
    rc = map_table(nr_frames);
    if (rc) {
        return rc;
    }
    taken[0] |= (1UL << GNTTAB_NR_RESERVED_ENTRIES) - 1;
    nr_refs = nr_frames * (unsigned int)ENTRIES;
    return nr_refs;
}

/* ---- references ---- */

bool grant_take_this(grant_ref_t ref)
{
    uint64_t bit = 1UL << ref % WORD_BITS;

    return grant_start() > (long)ref &&
           !(__atomic_fetch_or(&taken[ref / WORD_BITS], bit, __ATOMIC_SEQ_CST) & bit);
}

long grant_take(void)
{
    long n = grant_start();

    for (grant_ref_t word = 0; n > 0 && word < (unsigned long)n / WORD_BITS; word++) {
        uint64_t free;

        while ((free = ~__atomic_load_n(&taken[word], __ATOMIC_RELAXED))) {
            grant_ref_t ref = word * WORD_BITS + (grant_ref_t)__builtin_ctzl(free);

            if (grant_take_this(ref)) {
                return ref;
            }
        }
    }
    return n < 0 ? n : -XEN_ENOSPC;
}

void grant_release(grant_ref_t ref)
{
    __atomic_fetch_and(&taken[ref / WORD_BITS], ~(1UL << ref % WORD_BITS), __ATOMIC_SEQ_CST);
}

struct grant_entry_v1 *grant_entry(grant_ref_t ref)
{
    return &table[ref];
}

/* What the hypervisor may look at any time must be whole before it is valid. */
void grant_access(grant_ref_t ref, domid_t to, unsigned long mfn, uint16_t flags)
{
    volatile struct grant_entry_v1 *entry = grant_entry(ref);

    entry->frame = (uint32_t)mfn;
    entry->domid = to;
    __atomic_store_n(&entry->flags, (uint16_t)(GTF_permit_access | flags), __ATOMIC_RELEASE);
}

bool grant_revoke(grant_ref_t ref)
{
    struct grant_entry_v1 *entry = grant_entry(ref);
    uint16_t flags = __atomic_load_n(&entry->flags, __ATOMIC_SEQ_CST);

    while (!(flags & (GTF_reading | GTF_writing))) {
        if (__atomic_compare_exchange_n(&entry->flags, &flags, 0, false, __ATOMIC_SEQ_CST,
                                        __ATOMIC_SEQ_CST)) {
            return true;
        }
    }
    return false;
}

long grant_page(domid_t to, unsigned long mfn, uint16_t flags)
{
    long ref = grant_take();

    if (ref >= 0) {
        grant_access((grant_ref_t)ref, to, mfn, flags);
    }
    return ref;
}

bool grant_end(grant_ref_t ref)
{
    bool ended = grant_revoke(ref);

    if (ended) {
        grant_release(ref);
    }
    return ended;
}

/* ---- what others grant ---- */

/* The hypervisor need not flush what it maps over, since nothing should be there. */
long grant_make_room(void *va)
{
    const uint64_t *l1 = page_table(1, va);

    if (!l1 || !(l1[ARG(va) / PAGE_SIZE % 512] & PTE_PRESENT)) {
        return 0;
    }
    return update_va_mapping(va, 0, UVMF_INVLPG | UVMF_ALL);
}

long grant_map(domid_t from, grant_ref_t ref, void *va, uint32_t flags, grant_handle_t *handle)
{
    struct gnttab_map_grant_ref op = {
        .host_addr = ARG(va),
        .flags = GNTMAP_host_map | flags,
        .ref = ref,
        .dom = from,
    };
    long rc = grant_make_room(va);

    rc = rc ? rc : grant_op(GNTTABOP_map_grant_ref, &op, 1);
    *handle = op.handle;
    return rc ? rc : op.status;
}

long grant_unmap(void *va, grant_handle_t handle)
{
    struct gnttab_unmap_grant_ref op = { .host_addr = ARG(va), .handle = handle };
    long rc = grant_op(GNTTABOP_unmap_grant_ref, &op, 1);

    return rc ? rc : op.status;
}

long grant_put_back(void *va)
{
    return update_va_mapping(va, virt_to_mfn(va) * PAGE_SIZE | PTE_RW, UVMF_INVLPG | UVMF_ALL);
}

static struct gnttab_copy_ptr copy_theirs(domid_t dom, grant_ref_t ref, unsigned int offset)
{
    return (struct gnttab_copy_ptr){ .u.ref = ref, .domid = dom, .offset = (uint16_t)offset };
}

static struct gnttab_copy_ptr copy_ours(const volatile void *va)
{
    return (struct gnttab_copy_ptr){
        .u.gmfn = virt_to_mfn(va),
        .domid = DOMID_SELF,
        .offset = (uint16_t)(ARG(va) % PAGE_SIZE),
    };
}

static long copy(struct gnttab_copy *op)
{
    long rc = grant_op(GNTTABOP_copy, op, 1);

    return rc ? rc : op->status;
}

long grant_copy_in(void *to, domid_t from, grant_ref_t ref, unsigned int offset, size_t size)
{
    struct gnttab_copy op = {
        .source = copy_theirs(from, ref, offset),
        .dest = copy_ours(to),
        .len = (uint16_t)size,
        .flags = GNTCOPY_source_gref,
    };

    return copy(&op);
}

long grant_copy_out(domid_t to, grant_ref_t ref, unsigned int offset, const void *from, size_t size)
{
    struct gnttab_copy op = {
        .source = copy_ours(from),
        .dest = copy_theirs(to, ref, offset),
        .len = (uint16_t)size,
        .flags = GNTCOPY_dest_gref,
    };

    return copy(&op);
}

/* An unbound port says for whom it is. */
domid_t domid_self(void)
{
    long port = event_alloc_unbound(DOMID_SELF);
    struct evtchn_status status = { .dom = DOMID_SELF, .port = (evtchn_port_t)port };

    if (port < 0 || event_op(EVTCHNOP_status, &status)) {
        return DOMID_INVALID;
    }
    event_close((evtchn_port_t)port);
    return status.u.unbound.dom;
}
