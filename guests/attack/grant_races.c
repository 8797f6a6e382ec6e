/* SPDX-License-Identifier: MIT */
/*
 * grant_races.c - two vcpus or more against each other's grants: entries that change while they are
 * being mapped, one handle unmapped by all at once, a page that becomes a table while it is granted
 * writable, operations by chance. One vcpu alone leaves all but the last out.
 */
#include "attack.h"
#include "grants.h"

#define HYPERVISOR 0x100UL
#define FORGED 0x100063UL /* an entry that maps the hypervisor's frame */

static volatile unsigned long turns, stores;

static unsigned int rounds(void)
{
    return (unsigned int)arg_number("rounds", 1000);
}

/* ---- an entry that changes while it is read ---- */

static void flipper(void)
{
    volatile struct grant_entry_v1 *entry = grant_entry(ga.refs[0]);
    const uint32_t frames[] = {
        (uint32_t)virt_to_mfn(pages[0]),
        (uint32_t)virt_to_mfn(page_table(1, pages)),
        HYPERVISOR,
        (uint32_t)virt_to_mfn(pages[1]),
    };
    const uint16_t flags[] = { GTF_permit_access, GTF_permit_access | GTF_readonly,
                               GTF_permit_access, 0xffff, GTF_accept_transfer };
    struct dice d = { .state = vcpu_self() + 1 };

    while (!others_must_stop) {
        entry->frame = frames[below(&d, 4)];
        entry->domid = below(&d, 8) ? ga.self : DOMID_XEN;
        entry->flags = flags[below(&d, 5)];
        turns++;
        for (unsigned long i = below(&d, 1000); i; i--) {
            asm volatile("");
        }
    }
}

/* What is mapped writable now must be one of our pages. */
static bool entry_is_good(const void *va)
{
    uint64_t entry = page_table(1, va)[ARG(va) / PAGE_SIZE % 512];
    unsigned long mfn = (entry & PTE_ADDRESS) / PAGE_SIZE;

    bool good = !(entry & PTE_P) || mfn == virt_to_mfn(pages[0]) || mfn == virt_to_mfn(pages[1]) ||
                (mfn == virt_to_mfn(page_table(1, pages)) && !(entry & PTE_W));

    if (!good) {
        printf("attack: the entry is %lx\n", entry);
    }
    return good;
}

static const char *race_entry(void)
{
    unsigned long mapped = 0, others = others_start(flipper);
    const char *why = NULL;

    for (unsigned int i = 0; i < 10 * rounds() && mapped < rounds() && others && !why; i++) {
        if (grant_map(ga.self, ga.refs[0], ga_slots[0], i % 2 ? GNTMAP_readonly : 0, &ga.handle)) {
            clock_sleep(20 * US); /* till it has changed */
            continue;
        }
        mapped++;
        if (!entry_is_good(ga_slots[0])) {
            why = "what was mapped is not what may be granted";
        } else if (grant_unmap(ga_slots[0], ga.handle)) {
            why = "what was mapped can't be unmapped";
        }
    }
    others_stop();
    grant_access(ga.refs[0], ga.self, virt_to_mfn(pages[0]), 0);
    grant_entry(ga.refs[0])->flags = 0;
    grant_put_back(ga_slots[0]);
    printf("attack: %lu mapped while %lu others changed the entry %lu times\n", mapped, others,
           turns);
    return why;
}

/* ---- one handle, unmapped by all at once ---- */

static volatile unsigned int go, wins;

static void try_unmap(void)
{
    if (grant_unmap(ga_slots[0], ga.handle) == 0) {
        __atomic_fetch_add(&wins, 1, __ATOMIC_SEQ_CST);
    }
}

static void unmapper(void)
{
    unsigned int seen = 0;

    while (!others_must_stop) {
        if (go != seen) {
            seen = go;
            try_unmap();
            __atomic_fetch_add(&turns, 1, __ATOMIC_SEQ_CST);
        } else {
            sched_op(SCHEDOP_yield, NULL);
        }
    }
}

static const char *race_unmap(void)
{
    unsigned long others;
    const char *why = NULL;

    turns = go = 0;
    grant_access(ga.refs[0], ga.self, virt_to_mfn(pages[0]), 0);
    others = others_start(unmapper);
    for (unsigned int i = 0; i < rounds() && others && !why; i++) {
        wins = 0;
        if (grant_map(ga.self, ga.refs[0], ga_slots[0], 0, &ga.handle)) {
            why = "a map failed";
            break;
        }
        go++;
        try_unmap();
        while (turns < others * (i + 1)) {
            sched_op(SCHEDOP_yield, NULL);
        }
        if (!wins || (grant_entry(ga.refs[0])->flags & (GTF_reading | GTF_writing))) {
            why = "a handle was not unmapped once";
        }
    }
    others_stop();
    grant_put_back(ga_slots[0]);
    if (!why && !grant_revoke(ga.refs[0])) {
        why = "a grant is in use that nobody has mapped";
    }
    printf("attack: %u handles unmapped by %lu at once\n", go, others + 1);
    return why;
}

/* ---- a table must never be writable ---- */

static bool skip_store(struct frame *frame)
{
    frame->rip += 4; /* mov %rcx, 8(%rax) */
    return true;
}

static void store(void *va, uint64_t value)
{
    asm volatile("mov %0, 8(%1)" ::"c"(value), "a"(va) : "memory");
    stores++;
}

/* Writes pages[6] by all ways that grants offer, what would be a forged entry and what is none. */
static void writer(void)
{
    unsigned int self = vcpu_self(), slot = self % GA_SLOTS;
    uint64_t *source = pages[self % 2]; /* [0]: forged, [1]: not */
    struct gnttab_copy copy = {
        .source = { .u.gmfn = virt_to_mfn(source), .domid = DOMID_SELF },
        .len = 16,
    };
    grant_handle_t handle;

    while (!others_must_stop) {
        if (grant_map(ga.self, ga.refs[0], ga_slots[slot], 0, &handle) == 0) {
            store(ga_slots[slot], turns++ % 2 ? FORGED : 0);
            grant_unmap(ga_slots[slot], handle);
            store(ga_slots[slot], FORGED); /* by what the TLB may have kept */
        }
        copy.dest = (struct gnttab_copy_ptr){ .u.ref = ga.refs[0], .domid = ga.self };
        copy.flags = GNTCOPY_dest_gref;
        grant_op(GNTTABOP_copy, &copy, 1);
        copy.dest = (struct gnttab_copy_ptr){ .u.gmfn = virt_to_mfn(pages[6]),
                                              .domid = DOMID_SELF };
        copy.flags = 0;
        grant_op(GNTTABOP_copy, &copy, 1);
    }
}

static const char *watch(void)
{
    uint64_t before = pages[6][1];

    for (unsigned int i = 0; i < 100; i++) {
        cpu_relax();
        if (((volatile uint64_t *)pages[6])[1] != before) {
            return "a page table was written by a grant";
        }
    }
    return before & PTE_P ? "an L1 was taken that maps the hypervisor" : NULL;
}

/* Until one of them wrote, if it gets to it soon. */
static void let_write(void)
{
    unsigned long before = stores;

    for (unsigned int i = 0; i < 20 && stores == before; i++) {
        sched_op(SCHEDOP_yield, NULL);
    }
}

static const char *race_type(void)
{
    unsigned long tables = 0, others;
    const char *why = NULL;

    trap_handle(14, skip_store);
    pages[0][1] = FORGED;
    pages[1][1] = 0;
    map_page(6, PTE_RO);
    grant_access(ga.refs[0], ga.self, virt_to_mfn(pages[6]), 0);
    others = others_start(writer);
    for (unsigned int i = 0; i < 2 * rounds() && others && !why; i++) {
        if (pin(1, pages[6]) == 0) {
            tables++;
            why = watch();
            unpin(pages[6]);
        }
        let_write();
    }
    others_stop();
    catch_init();
    for (unsigned int i = 0; i < GA_SLOTS; i++) {
        grant_put_back(ga_slots[i]);
    }
    if (!why && !grant_revoke(ga.refs[0])) {
        why = "a grant is in use that nobody has mapped";
    }
    pages_reset();
    printf("attack: %lu times a table beside %lu writers, %lu stores\n", tables, others, stores);
    return why;
}

/* ---- by chance ---- */

static uint64_t fuzz_memory[MAX_VCPUS][64] __attribute__((aligned(4096)));

static uint64_t some_address(struct dice *d)
{
    switch (below(d, 8)) {
    case 0:
        return roll(d);
    case 1:
        return 0;
    case 2:
        return l1e_maddr(ga_slots[below(d, GA_SLOTS)]);
    case 3:
        return maddr(pages[below(d, NR_PAGES)]) + 8 * below(d, 512);
    default:
        return ARG(ga_slots[below(d, GA_SLOTS)]);
    }
}

static bool is_ours(unsigned long mfn)
{
    unsigned long pfn = machine_to_phys_mapping[mfn];

    return pfn < start_info->nr_pages && pfn_to_mfn(pfn) == mfn;
}

/* Not just any of ours: it may be copied to. */
static unsigned long some_frame(struct dice *d)
{
    unsigned long mfn = below(d, 0x10000);

    switch (below(d, 4)) {
    case 0:
        return is_ours(mfn) ? HYPERVISOR : mfn;
    case 1:
        return virt_to_mfn(page_table(1 + (unsigned int)below(d, 4), pages));
    default:
        return virt_to_mfn(pages[below(d, NR_PAGES)]);
    }
}

static grant_ref_t some_ref(struct dice *d)
{
    return below(d, 8) ? ga.refs[below(d, GA_REFS)] : (grant_ref_t)roll(d);
}

static void fuzz_copy(struct dice *d, struct gnttab_copy *op)
{
    struct gnttab_copy_ptr *sides[] = { &op->source, &op->dest };

    op->flags = (uint16_t)below(d, below(d, 8) ? 4 : 16);
    op->len = (uint16_t)below(d, below(d, 4) ? 4097 : 65536);
    for (unsigned int i = 0; i < 2; i++) {
        bool ref = op->flags & 1U << i;

        sides[i]->domid = below(d, 8) ? ref ? ga.self : DOMID_SELF : (domid_t)below(d, 4);
        sides[i]->offset = (uint16_t)below(d, below(d, 4) ? 128 : 65536);
        if (ref) {
            sides[i]->u.ref = some_ref(d);
        } else {
            sides[i]->u.gmfn = some_frame(d);
        }
    }
}

static void fuzz_one(struct dice *d)
{
    struct gnttab_map_grant_ref *map = (void *)d->memory;
    struct gnttab_unmap_grant_ref *unmap = (void *)d->memory;
    struct gnttab_unmap_and_replace *replace = (void *)d->memory;
    unsigned int what = (unsigned int)below(d, 8);

    memset(d->memory, 0, 64);
    switch (what) {
    case 0:
    case 1:
        grant_access(ga.refs[below(d, GA_REFS)], below(d, 8) ? ga.self : (domid_t)roll(d),
                     some_frame(d), (uint16_t)(below(d, 4) ? 0 : roll(d)));
        break;
    case 2:
    case 3:
        map->host_addr = some_address(d);
        map->flags = (uint32_t)(below(d, 4) ? 2 + below(d, 8) : roll(d));
        map->ref = some_ref(d);
        map->dom = below(d, 8) ? ga.self : (domid_t)below(d, 4);
        grant_op(GNTTABOP_map_grant_ref, map, 1);
        break;
    case 4:
    case 5:
        unmap->host_addr = some_address(d);
        unmap->dev_bus_addr = below(d, 2) ? 0 : some_frame(d) * PAGE_SIZE;
        unmap->handle = (grant_handle_t)(below(d, 8) ? below(d, 64) : roll(d));
        grant_op(GNTTABOP_unmap_grant_ref, unmap, 1);
        break;
    case 6:
        replace->host_addr = some_address(d);
        replace->new_addr = some_address(d);
        replace->handle = (grant_handle_t)below(d, 64);
        grant_op(GNTTABOP_unmap_and_replace, replace, 1);
        break;
    default:
        fuzz_copy(d, (struct gnttab_copy *)d->memory);
        grant_op(GNTTABOP_copy, d->memory, 1);
    }
}

static unsigned long fuzz_count;

static void fuzz(void)
{
    unsigned int self = vcpu_self();
    struct dice d = {
        .state = (arg_number("seed", 1) * 64 + self + 1) * 0x9e3779b97f4a7c15,
        .memory = fuzz_memory[self],
    };

    while (__atomic_add_fetch(&turns, 1, __ATOMIC_SEQ_CST) < fuzz_count && !others_must_stop) {
        fuzz_one(&d);
        if (below(&d, 64) == 0) {
            unsigned int page = (unsigned int)below(&d, NR_PAGES);

            map_page(page, PTE_RO);
            pin(1, pages[page]);
        } else if (below(&d, 64) == 0) {
            unsigned int page = (unsigned int)below(&d, NR_PAGES);

            unpin(pages[page]);
            map_page(page, PTE_RW);
        }
    }
}

/* Pages may stay mapped by handles that nobody knows: they are ours. */
static void fuzz_all(void)
{
    turns = 0;
    fuzz_count = 20UL * rounds();
    others_start(fuzz);
    fuzz();
    others_stop();
    for (unsigned int i = 0; i < GA_SLOTS; i++) {
        grant_put_back(ga_slots[i]);
    }
    for (grant_handle_t handle = 0; handle < 4096; handle++) {
        for (unsigned int i = 0; i < NR_PAGES; i++) {
            map_at(ga_slots[0], maddr(pages[i]) | PTE_RW);
            ga_unmap(ARG(ga_slots[0]), maddr(pages[i]), handle);
        }
    }
    grant_put_back(ga_slots[0]);
    printf("attack: %lu operations by chance\n", fuzz_count);
}

const char *grant_races(void)
{
    const char *why = race_entry();

    why = why ? why : race_unmap();
    why = why ? why : race_type();
    if (!why) {
        fuzz_all();
    }
    return why;
}
