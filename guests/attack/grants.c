/* SPDX-License-Identifier: MIT */
/*
 * grants.c - a hostile granter and a hostile grantee. What it grants, it grants to itself, so that
 * it is both sides of each deal: frames that are not its own, tables writable, grants of others,
 * handles that are none, entries overwritten behind the hypervisor's back, lists that end in
 * nothing. With victim=D ref=N there is a page of another domain, which that one granted to us
 * indeed, and which must not become more than that. Races are in grant_races.c.
 */
#include "attack.h"
#include "grants.h"

#define MAP_MOST 2000U
#define HYPERVISOR 0x100UL /* a frame of its image */
#define LOCAL_APIC 0xfee00UL

struct grant_attack ga;
uint64_t ga_slots[GA_SLOTS][512] __attribute__((aligned(4096)));
static uint64_t foreign[512] __attribute__((aligned(4096)));

/* ---- short names ---- */

static void set_ref(unsigned int i, unsigned long mfn, uint16_t flags)
{
    grant_access(ga.refs[i], ga.self, mfn, flags);
}

static void clear_ref(unsigned int i)
{
    __atomic_store_n(&grant_entry(ga.refs[i])->flags, 0, __ATOMIC_SEQ_CST);
}

static long map_ref(unsigned int i, void *va, uint32_t flags)
{
    return grant_map(ga.self, ga.refs[i], va, flags, &ga.handle);
}

static long unmap_slot(unsigned int slot)
{
    return grant_unmap(ga_slots[slot], ga.handle);
}

static void slots_reset(void)
{
    for (unsigned int i = 0; i < GA_SLOTS; i++) {
        grant_put_back(ga_slots[i]);
    }
}

static void must(const char *what, long rc)
{
    if (rc) {
        printf("attack: %s failed (%ld)\n", what, rc);
        ga.broken = "what is allowed failed";
    }
}

/* ---- the granter ---- */

static void try_frame(const char *what, unsigned long mfn, uint32_t flags)
{
    long rc;

    set_ref(0, mfn, 0);
    rc = map_ref(0, ga_slots[0], flags);
    refused(what, rc);
    if (rc == 0) {
        unmap_slot(0);
    }
    clear_ref(0);
    slots_reset();
}

static void foreign_frames(void)
{
    unsigned long last = (unsigned long)memory_op(XENMEM_maximum_ram_page, NULL);

    try_frame("grant of the hypervisor's frame", HYPERVISOR, 0);
    try_frame("the same, read-only", HYPERVISOR, GNTMAP_readonly);
    try_frame("grant of frame 0", 0, GNTMAP_readonly);
    try_frame("grant of the M2P", xen_cr3_to_pfn(0), GNTMAP_readonly);
    try_frame("grant beyond all memory", last + 1, 0);
    try_frame("grant of frame ffffffff", 0xffffffff, 0);
    if (!(start_info->flags & SIF_PRIVILEGED)) {
        try_frame("grant of the local APIC", LOCAL_APIC, 0);
        try_frame("grant of the VGA's memory", 0xb8, 0);
    }
    for (unsigned int level = 1; level <= 4; level++) {
        try_frame("grant of a table, writable", virt_to_mfn(page_table(level, pages)), 0);
    }
}

static long copy_page(struct gnttab_copy_ptr from, struct gnttab_copy_ptr to, uint16_t flags)
{
    struct gnttab_copy op = { .source = from, .dest = to, .len = 64, .flags = flags };
    long rc = grant_op(GNTTABOP_copy, &op, 1);

    return rc ? rc : op.status;
}

static struct gnttab_copy_ptr frame_of(unsigned long mfn)
{
    return (struct gnttab_copy_ptr){ .u.gmfn = mfn, .domid = DOMID_SELF };
}

static struct gnttab_copy_ptr ref_of(unsigned int i)
{
    return (struct gnttab_copy_ptr){ .u.ref = ga.refs[i], .domid = ga.self };
}

static void copies(void)
{
    unsigned long mine = virt_to_mfn(pages[1]), table = virt_to_mfn(page_table(1, pages));
    struct gnttab_copy_ptr other = frame_of(mine);

    set_ref(0, table, 0);
    refused("copy to a table's frame", copy_page(frame_of(mine), frame_of(table), 0));
    refused("copy to a granted table", copy_page(frame_of(mine), ref_of(0), GNTCOPY_dest_gref));
    set_ref(0, mine, GTF_readonly);
    refused("copy to a read-only grant", copy_page(frame_of(mine), ref_of(0), GNTCOPY_dest_gref));
    refused("map a read-only grant writable", map_ref(0, ga_slots[0], 0));
    clear_ref(0);
    refused("copy from no grant", copy_page(ref_of(0), frame_of(mine), GNTCOPY_source_gref));
    refused("copy from the hypervisor", copy_page(frame_of(HYPERVISOR), frame_of(mine), 0));
    refused("copy to the hypervisor", copy_page(frame_of(mine), frame_of(HYPERVISOR), 0));
    refused("copy to frame 2^52", copy_page(frame_of(mine), frame_of(1UL << 52), 0));
    refused("copy to frame ~0", copy_page(frame_of(mine), frame_of(~0UL), 0));
    other.domid = ga.self ? 0 : 1;
    refused("copy from a frame of another domain", copy_page(other, frame_of(mine), 0));
    refused("copy to a frame of another domain", copy_page(frame_of(mine), other, 0));
    other = frame_of(mine);
    other.offset = 4095;
    refused("copy over a page's end", copy_page(frame_of(mine), other, 0));
    other.offset = 0xffff;
    refused("copy from beyond a page", copy_page(other, frame_of(mine), 0));
}

/* A page that somebody may write is no table, and a table nobody's to write. */
static void types(void)
{
    unsigned long mfn = virt_to_mfn(pages[0]);

    set_ref(0, mfn, 0);
    must("map", map_ref(0, ga_slots[0], 0));
    map_page(0, PTE_RO);
    refused("a page that is mapped writable by a grant, as a table", pin(1, pages[0]));
    must("unmap", unmap_slot(0));
    must("pin behind the unmap", pin(1, pages[0]));
    refused("a pinned table, mapped writable by a grant", map_ref(0, ga_slots[0], 0));
    refused("copy to a pinned table",
            copy_page(frame_of(virt_to_mfn(pages[1])), ref_of(0), GNTCOPY_dest_gref));
    unpin(pages[0]);
    must("device map", grant_map(ga.self, ga.refs[0], ga_slots[0], GNTMAP_device_map, &ga.handle));
    refused("a page that a device may write, as a table", pin(1, pages[0]));
    must("unmap", unmap_slot(0)); /* the device's part stays */
    refused("the same, without the cpu's mapping", pin(1, pages[0]));
    must("unmap of the device's part", ga_unmap(0, mfn * PAGE_SIZE, ga.handle));
    must("pin behind that", pin(1, pages[0]));
    unpin(pages[0]);
    clear_ref(0);
    pages_reset();
    slots_reset();
}

/* ---- the grantee ---- */

/* Every reference of the domains around us. */
static void grants_of_others(void)
{
    unsigned long tried = 0, got = 0;
    bool privileged = start_info->flags & SIF_PRIVILEGED;

    for (domid_t d = 0; d < 8; d++) {
        for (grant_ref_t ref = privileged ? GNTTAB_NR_RESERVED_ENTRIES : 0; ref < 600; ref++) {
            if (d == ga.self || (d == ga.victim && ref == ga.victim_ref)) {
                continue;
            }
            tried++;
            if (grant_map(d, ref, ga_slots[0], GNTMAP_readonly, &ga.handle) == 0 ||
                grant_copy_in(pages[1], d, ref, 0, 8) == 0) {
                printf("attack: domain %u reference %u is ours to take\n", d, ref);
                got++;
            }
        }
    }
    printf("attack: %lu grants of others tried\n", tried);
    refused("grants of others", got ? (long)got : -1);
    slots_reset();
}

static void handles(void)
{
    static const grant_handle_t none[] = { 0x7fffffff, 0x80000000, 0xffffffff, 0xfffffffe, 65536 };

    for (unsigned int i = 0; i < sizeof(none) / sizeof(none[0]); i++) {
        refused("unmap of no handle", ga_unmap(ARG(ga_slots[0]), 0, none[i]));
        refused("unmap of no handle, and no address", ga_unmap(0, 0, none[i]));
    }
    set_ref(0, virt_to_mfn(pages[0]), 0);
    must("map", map_ref(0, ga_slots[0], 0));
    refused("unmap elsewhere", unmap_slot(1));
    refused("unmap at no address", ga_unmap(0x7000000000, 0, ga.handle));
    refused("unmap in the hypervisor", ga_unmap(0xffff830000000000, 0, ga.handle));
    refused("unmap off the canonical", ga_unmap(0x800000000000, 0, ga.handle));
    refused("replace by what is not there", ga_replace(ARG(ga_slots[0]), 0x7000000000, ga.handle));
    refused("replace by the hypervisor",
            ga_replace(ARG(ga_slots[0]), 0xffff830000000000, ga.handle));
    must("unmap", unmap_slot(0));
    refused("unmap again", unmap_slot(0));
    slots_reset();
    /* The entry is another's by then. */
    must("map", map_ref(0, ga_slots[0], 0));
    must("own page again", grant_put_back(ga_slots[0]));
    refused("unmap of an overwritten entry", unmap_slot(0));
    must("the same, read-only", map_at(ga_slots[0], maddr(pages[0]) | PTE_RO));
    refused("unmap of one that is read-only now", unmap_slot(0));
    must("the frame again", map_at(ga_slots[0], maddr(pages[0]) | PTE_RW));
    must("unmap", unmap_slot(0));
    slots_reset();
    clear_ref(0);
}

/* Twice over the same address: the first handle is lost to us, and no more than that. */
static void map_over(void)
{
    grant_handle_t first;

    set_ref(0, virt_to_mfn(pages[0]), 0);
    set_ref(1, virt_to_mfn(pages[2]), 0);
    must("map", map_ref(0, ga_slots[0], 0));
    first = ga.handle;
    must("map over it", map_ref(1, ga_slots[0], 0));
    refused("unmap of what is below", ga_unmap(ARG(ga_slots[0]), 0, first));
    must("unmap", unmap_slot(0));
    must("the lost one's frame", map_at(ga_slots[0], maddr(pages[0]) | PTE_RW));
    must("unmap of the lost one", ga_unmap(ARG(ga_slots[0]), 0, first));
    slots_reset();
    map_page(0, PTE_RO);
    must("no one writes it", pin(1, pages[0]));
    unpin(pages[0]);
    pages_reset();
    clear_ref(0);
    clear_ref(1);
}

/* ---- entries of tables ---- */

static long map_entry(uint64_t address)
{
    struct gnttab_map_grant_ref op = {
        .host_addr = address,
        .flags = GNTMAP_host_map | GNTMAP_contains_pte,
        .ref = ga.refs[0],
        .dom = ga.self,
    };
    long rc = grant_op(GNTTABOP_map_grant_ref, &op, 1);

    ga.handle = op.handle;
    return rc ? rc : op.status;
}

static void entries(void)
{
    uint64_t l1e = l1e_maddr(ga_slots[0]);

    set_ref(0, virt_to_mfn(pages[1]), 0);
    for (unsigned int level = 2; level <= 4; level++) {
        refused("a mapping as an entry of an upper table",
                map_entry(maddr(page_table(level, pages)) + 8 * 300));
    }
    refused("a mapping in a data page", map_entry(maddr(pages[2])));
    refused("a mapping that is not aligned", map_entry(l1e + 4));
    refused("a mapping in the hypervisor", map_entry(HYPERVISOR * PAGE_SIZE));
    refused("a mapping in frame 0", map_entry(8));
    refused("a mapping beyond all memory", map_entry(1UL << 51));
    refused("a mapping at ~0", map_entry(~7UL));
    must("a mapping by its entry", map_entry(l1e));
    refused("unmap by its entry + 4", ga_unmap(l1e + 4, 0, ga.handle));
    refused("unmap by another entry", ga_unmap(l1e_maddr(ga_slots[1]), 0, ga.handle));
    refused("unmap by its address", ga_unmap(ARG(ga_slots[0]), 0, ga.handle));
    must("unmap by its entry", ga_unmap(l1e, 0, ga.handle));
    slots_reset();
    clear_ref(0);
}

/* An L1 that holds a grant's entry is no table any more, and is one again. */
static void revalidate(void)
{
    uint64_t at = maddr(pages[3]) + 8 * 7, entry;

    map_page(3, PTE_RO);
    must("pin an L1", pin(1, pages[3]));
    set_ref(0, virt_to_mfn(pages[0]), 0);
    must("map in it", map_entry(at));
    entry = pages[3][7];
    must("unpin it", unpin(pages[3]));
    refused("unmap in what is no table", ga_unmap(at, 0, ga.handle));
    map_page(0, PTE_RO);
    if (pin(1, pages[0]) == 0) { /* its last writer is gone, with the table */
        refused("a table that maps another one writable", pin(1, pages[3]));
        unpin(pages[0]);
    }
    must("pin it again", pin(1, pages[3]));
    if (pages[3][7] == entry) {
        must("unmap in it", ga_unmap(at, 0, ga.handle));
        refused("unmap once more", ga_unmap(at, 0, ga.handle));
    }
    must("unpin it at last", unpin(pages[3]));
    must("no one writes it", pin(1, pages[0]));
    unpin(pages[0]);
    pages_reset();
    clear_ref(0);
}

/* ---- lists ---- */

static void lists(void)
{
    static const unsigned long nowhere[] = { 0x10, 0x7000000000, 0xffff830000000000,
                                             0xffff880000000000, ~7UL };
    static const unsigned int sizes[] = {
        [GNTTABOP_map_grant_ref] = sizeof(struct gnttab_map_grant_ref),
        [GNTTABOP_unmap_grant_ref] = sizeof(struct gnttab_unmap_grant_ref),
        [GNTTABOP_setup_table] = sizeof(struct gnttab_setup_table),
        [GNTTABOP_copy] = sizeof(struct gnttab_copy),
        [GNTTABOP_query_size] = sizeof(struct gnttab_query_size),
        [GNTTABOP_unmap_and_replace] = sizeof(struct gnttab_unmap_and_replace),
    };
    char *end = (char *)ga_slots[1];

    map_at(end, 0); /* ga_slots[0] is the last page that is there */
    memset(ga_slots[0], 0xff, PAGE_SIZE);
    for (unsigned int cmd = 0; cmd < sizeof(sizes) / sizeof(sizes[0]); cmd++) {
        if (!sizes[cmd]) {
            continue;
        }
        for (unsigned int i = 0; i < sizeof(nowhere) / sizeof(nowhere[0]); i++) {
            refused("a list nowhere", grant_op(cmd, (void *)nowhere[i], 1));
        }
        refused("a list over a page's end", grant_op(cmd, end - sizes[cmd] + 1, 1));
        refused("a list that goes on behind a page's end", grant_op(cmd, end - sizes[cmd], 2));
        refused("2^31 - 1 of them", grant_op(cmd, end - 3 * sizes[cmd], 0x7fffffff));
        refused("2^32 - 1 of them", grant_op(cmd, end - 3 * sizes[cmd], 0xffffffff));
        grant_op(cmd, end - sizes[cmd], 0);
    }
    slots_reset();
}

static long setup(domid_t dom, uint32_t nr_frames, void *list)
{
    struct gnttab_setup_table op = { .dom = dom, .nr_frames = nr_frames };
    long rc;

    set_xen_guest_handle(op.frame_list, (xen_pfn_t *)list);
    rc = grant_op(GNTTABOP_setup_table, &op, 1);
    return rc ? rc : op.status;
}

static long size_of(domid_t dom)
{
    struct gnttab_query_size op = { .dom = dom };
    long rc = grant_op(GNTTABOP_query_size, &op, 1);

    return rc ? rc : op.status;
}

static void tables(void)
{
    static xen_pfn_t frames[512];
    struct gnttab_set_version version = { .version = 0 };
    struct gnttab_swap_grant_ref swap = { .ref_a = 0xffffffff, .ref_b = 0 };

    refused("a table of 2^32 - 1 frames", setup(DOMID_SELF, 0xffffffff, frames));
    refused("a table of 70000 frames", setup(DOMID_SELF, 70000, frames));
    refused("a table of nobody", setup(0x7000, 1, frames));
    refused("the size of nobody's", size_of(0x7000));
    if (!(start_info->flags & SIF_PRIVILEGED)) {
        refused("the table of another domain", setup(ga.self ? 0 : 1, 1, frames));
        refused("the size of another domain's", size_of(ga.self ? 0 : 1));
    }
    refused("version 0", grant_op(GNTTABOP_set_version, &version, 1));
    version.version = 3;
    refused("version 3", grant_op(GNTTABOP_set_version, &version, 1));
    if (grant_op(GNTTABOP_swap_grant_ref, &swap, 1) == 0) {
        refused("references swapped that are none", swap.status);
    }
    for (unsigned int cmd = 13; cmd < 20; cmd++) {
        refused("an operation that is none", grant_op(cmd, frames, 1));
    }
    refused("operation ~0", grant_op(~0U, frames, 1));
}

/* One page mapped as often as it goes, and gone again. */
static void many(void)
{
    static grant_handle_t got[MAP_MOST];
    unsigned int n = 0, undone = 0;

    set_ref(0, virt_to_mfn(pages[0]), 0);
    while (n < MAP_MOST) {
        struct gnttab_map_grant_ref op = {
            .flags = GNTMAP_device_map | (n % 2 ? GNTMAP_readonly : 0),
            .ref = ga.refs[0],
            .dom = ga.self,
        };

        if (grant_op(GNTTABOP_map_grant_ref, &op, 1) || op.status) {
            break;
        }
        got[n++] = op.handle;
    }
    for (unsigned int i = 0; i < n; i++) {
        undone += ga_unmap(0, maddr(pages[0]), got[i]) == 0;
    }
    printf("attack: mapped %u times, unmapped %u times\n", n, undone);
    must("unmapped as often as mapped", n != undone);
    map_page(0, PTE_RO);
    must("no one writes it", pin(1, pages[0]));
    unpin(pages[0]);
    pages_reset();
    clear_ref(0);
}

/* ---- a page that is given away while it is mapped ---- */

static long reserve_one(int cmd, unsigned long *frame)
{
    struct xen_memory_reservation one = { .nr_extents = 1, .domid = DOMID_SELF };

    set_xen_guest_handle(one.extent_start, frame);
    return memory_op(cmd, &one) == 1 ? 0 : -1;
}

static void given_away(void)
{
    unsigned long pfn = start_info->nr_pages - 1, mfn = pfn_to_mfn(pfn), given = mfn, taken = pfn;
    uint64_t mark = 0x1234567800000000 | ga.self;

    set_ref(0, mfn, 0);
    must("map of a page", map_ref(0, ga_slots[0], 0));
    ga_slots[0][3] = mark;
    must("the page given back", reserve_one(XENMEM_decrease_reservation, &given));
    if (reserve_one(XENMEM_populate_physmap, &taken) == 0) { /* else it counts as ours still */
        refused("the same frame, while it is mapped", taken == mfn ? 1 : -1);
        refused("its contents, wiped while it is mapped", ga_slots[0][3] == mark ? -1 : 1);
        must("unmap", unmap_slot(0));
    } else {
        refused("its contents, wiped while it is mapped", ga_slots[0][3] == mark ? -1 : 1);
        must("unmap", unmap_slot(0));
        must("another for it", reserve_one(XENMEM_populate_physmap, &taken));
    }
    if (taken != mfn) {
        refused("a map of what was given back", map_ref(0, ga_slots[0], 0));
    }
    ((unsigned long *)start_info->mfn_list)[pfn] = taken;
    slots_reset();
    clear_ref(0);
}

static void transfer(void)
{
    struct gnttab_transfer op = { .mfn = virt_to_mfn(pages[2]),
                                  .domid = ga.self,
                                  .ref = ga.refs[0] };
    long rc;

    grant_entry(ga.refs[0])->flags = GTF_accept_transfer;
    rc = grant_op(GNTTABOP_transfer, &op, 1);
    refused("a transfer", rc ? rc : op.status);
    clear_ref(0);
}

/* ---- a page of another domain ---- */

/* It may take a moment until the victim grants it. */
static long map_when_granted(void)
{
    uint64_t patience = clock_now() + 10 * SEC;
    long rc;

    while ((rc = grant_map(ga.victim, ga.victim_ref, foreign, 0, &ga.handle)) &&
           clock_now() < patience) {
        clock_sleep(MS);
    }
    return rc;
}

/* A table of ours, with the entry forged, or left behind by the hypervisor itself. */
static void foreign_in_table(unsigned long mfn)
{
    struct gnttab_map_grant_ref op = {
        .host_addr = maddr(pages[3]) + 8 * 9,
        .flags = GNTMAP_host_map | GNTMAP_contains_pte,
        .ref = ga.victim_ref,
        .dom = ga.victim,
    };

    pages[3][9] = mfn * PAGE_SIZE | PTE_RO;
    map_page(3, PTE_RO);
    refused("it in an L1 of ours", pin(1, pages[3]));
    map_page(3, PTE_RW);
    pages[3][9] = 0;
    map_page(3, PTE_RO);
    must("pin an L1", pin(1, pages[3]));
    must("map of it in that", grant_op(GNTTABOP_map_grant_ref, &op, 1) ? -1 : op.status);
    must("unpin the L1", unpin(pages[3]));
    if (pages[3][9]) {
        refused("an L1 with what is left of it", pin(1, pages[3]));
    }
    refused("unmap in what is no table", ga_unmap(op.host_addr, 0, op.handle));
    pages_reset();
}

static void foreign_page(void)
{
    unsigned long mfn, given;
    struct vcpu_register_vcpu_info info = { 0 };
    grant_handle_t handle;
    uint64_t entry;

    if (ga.victim == DOMID_INVALID) {
        return;
    }
    must("map of what was granted", map_when_granted());
    handle = ga.handle;
    entry = page_table(1, foreign)[ARG(foreign) / PAGE_SIZE % 512];
    mfn = info.mfn = given = (entry & PTE_ADDRESS) / PAGE_SIZE;
    refused("another mapping of it", map_at(ga_slots[1], mfn * PAGE_SIZE | PTE_RO));
    refused("the same by mmu_update",
            set_entry(page_table(1, ga_slots[1]), (unsigned int)(ARG(ga_slots[1]) >> 12) & 511,
                      mfn * PAGE_SIZE | PTE_RW));
    refused("more rights to it", map_at(foreign, entry | 0x10));
    refused("it as an L1", mmuext(MMUEXT_PIN_L1_TABLE, mfn, 0));
    refused("it as an L4", mmuext(MMUEXT_PIN_L4_TABLE, mfn, 0));
    refused("it as a base", mmuext(MMUEXT_NEW_BASEPTR, mfn, 0));
    refused("it cleared", mmuext(MMUEXT_CLEAR_PAGE, mfn, 0));
    refused("vcpu_info in it", vcpu_op(VCPUOP_register_vcpu_info, vcpu_count() - 1, &info));
    refused("it given back", reserve_one(XENMEM_decrease_reservation, &given));
    refused("it as a descriptor table", hypercall2(__HYPERVISOR_set_gdt, ARG(&given), 8));
    try_frame("it granted on", mfn, GNTMAP_readonly);
    foreign_in_table(mfn);
    refused("it copied to as ours", copy_page(frame_of(virt_to_mfn(pages[1])), frame_of(mfn), 0));
    must("unmap of it", grant_unmap(foreign, handle));
    grant_put_back(foreign);
    refused("it, behind the unmap", map_at(foreign, mfn * PAGE_SIZE | PTE_RO));
    must("map of it once more, and never unmapped",
         grant_map(ga.victim, ga.victim_ref, foreign, 0, &ga.handle));
    map_at(foreign, 0);
    refused("unmap of what is not there", grant_unmap(foreign, ga.handle));
}

/* ---- the whole ---- */

static const char *grants_begin(void)
{
    ga.self = domid_self();
    ga.victim = (domid_t)arg_number("victim", DOMID_INVALID);
    ga.victim_ref = (grant_ref_t)arg_number("ref", GNTTAB_NR_RESERVED_ENTRIES);
    for (unsigned int i = 0; i < GA_REFS && !ga.begun; i++) {
        long ref = grant_take();

        if (ref < 0) {
            return "no reference";
        }
        ga.refs[i] = (grant_ref_t)ref;
    }
    ga.begun = true;
    slots_reset();
    return NULL;
}

const char *attack_grants(void)
{
    const char *why;

    if (grant_start() < 0) {
        printf("attack: no grant tables here\n");
        return NULL;
    }
    why = grants_begin();
    if (why) {
        return why;
    }
    foreign_page();
    foreign_frames();
    copies();
    types();
    grants_of_others();
    handles();
    map_over();
    entries();
    revalidate();
    lists();
    tables();
    many();
    given_away();
    transfer();
    why = grant_races();
    why = why ? why : verdict();
    return why ? why : ga.broken;
}
