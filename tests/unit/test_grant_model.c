/* SPDX-License-Identifier: MIT */
/* sources: tests/unit/grant_world.c lib/spinlock.c lib/printf.c lib/str.c kernel/grant.c
 * kernel/grant_table.c kernel/grant_handle.c kernel/ops/grant_op.c kernel/ops/grant_copy.c
 * kernel/ops/grant_setup.c */
/*
 * A million random operations of four domains on each other's grants, against a model that was
 * written from the interface's description: it knows who has mapped what and nothing of how that is
 * counted. After each operation its result, and every so often all entries, page tables and frame
 * counts, must be what the model says. Other domains act while a batch is between the page tables
 * and the flags, too. N= operations from SEED= on; a failure names the operation.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "grant_world.h"

enum {
    REFS = 12,      /* of each domain that are used; the last ones are in its second frame */
    MAPPINGS = 600, /* at any time */
    LIST = 6,
    HANDLES = 256,
    PINS = 128,
};

/* What the hypervisor was asked to map and has. */
struct mapping {
    bool used, host, device, ro; /* host, device: not yet unmapped */
    bool host_going, device_going;
    u32 grantee, granter, ref, frame, handle;
    bool extra; /* a flag besides: of a handle without kinds it is seen that it isn't free */
};

static struct mapping mappings[MAPPINGS];
static struct {
    u32 word, frame; /* of an entry */
} entries[DOMS][REFS];
static struct world_slot slots[DOMS][SLOTS];
static struct {
    u32 owner;
    bool allocated, table;
} frames[ALL_FRAMES];
static u8 data[ALL_FRAMES][PAGE_SIZE];
static bool alive[DOMS]; /* not dying */
static u32 table_frames[DOMS];
static u64 seed;
static unsigned long step_nr;
enum {
    MAPPED,
    NOT_MAPPED,
    UNMAPPED,
    NOT_UNMAPPED,
    REPLACED,
    NOT_REPLACED,
    COPIED,
    NOT_COPIED,
    ENTRIES,
    REVOKED,
    DEATHS,
    BETWEEN,
    NR_COUNTS
};
static const char *const count_names[] = { "mapped",   "not",     "unmapped", "not",
                                           "replaced", "not",     "copied",   "not",
                                           "entries",  "revoked", "deaths",   "in between" };
static unsigned long counts[NR_COUNTS];
static u32 depth; /* operations that are on their way */

static u32 rnd(u32 n)
{
    seed = seed * 6364136223846793005UL + 1442695040888963407UL;
    return (u32)(seed >> 33) % n;
}

static void expect(bool good, const char *what)
{
    if (!good) {
        fprintf(stderr, "operation %lu: %s\n", step_nr, what);
        abort();
    }
}

static void expect_status(s16 got, s16 want, const char *what)
{
    if (got != want) {
        fprintf(stderr, "operation %lu: %s: status %d, not %d\n", step_nr, what, got, want);
        abort();
    }
}

static u32 ref_of(u32 i)
{
    return i < REFS - 4 ? i : GRANTS_PER_FRAME + i;
}

/* ---- The model ---- */

static bool pinned(const struct mapping *m, u32 granter, u32 ref)
{
    return m->used && m->granter == granter && m->ref == ref;
}

/* How many mappings of an entry there are, of this kind or of any. */
static u32 uses(u32 granter, u32 ref, bool device, bool ro)
{
    u32 n = 0;

    for (u32 i = 0; i < MAPPINGS; i++) {
        const struct mapping *m = &mappings[i];

        if (pinned(m, granter, ref) && m->ro == ro) {
            n += device ? m->device || m->device_going : m->host || m->host_going;
        }
    }
    return n;
}

static bool written(u32 granter, u32 ref)
{
    return uses(granter, ref, false, false) || uses(granter, ref, true, false);
}

static const struct mapping *use_of(u32 granter, u32 ref)
{
    for (u32 i = 0; i < MAPPINGS; i++) {
        if (pinned(&mappings[i], granter, ref)) {
            return &mappings[i];
        }
    }
    return NULL;
}

/* What a use that begins, or that has ended, writes into the entry: a guest may have put anything
 * there meanwhile, and only changes from none to one and back are told. */
static void flags_begin(u32 granter, u32 ref, bool write)
{
    if (!use_of(granter, ref) || (write && !written(granter, ref))) {
        entries[granter][ref].word |= GTF_reading | (write ? GTF_writing : 0);
    }
}

static void flags_end(u32 granter, u32 ref, bool write)
{
    u32 *word = &entries[granter][ref].word;

    *word &= use_of(granter, ref) ? ~0u : ~(u32)GTF_reading;
    *word &= write && !written(granter, ref) ? ~(u32)GTF_writing : ~0u;
}

/* Is a frame in use by anything but its being allocated? */
static bool frame_used(u32 frame)
{
    for (u32 i = 0; i < DOMS * SLOTS; i++) {
        if (slots[i / SLOTS][i % SLOTS].frame == frame) {
            return true;
        }
    }
    for (u32 i = 0; i < MAPPINGS; i++) {
        if (mappings[i].used && mappings[i].frame == frame) {
            return true;
        }
    }
    return false;
}

static bool frame_of(u32 frame, u32 dom)
{
    return frame < ALL_FRAMES && frames[frame].owner == dom &&
           (frames[frame].allocated || frame_used(frame));
}

static void frame_settle(u32 frame)
{
    if (frame < ALL_FRAMES && frames[frame].owner != ~0u && !frames[frame].allocated &&
        !frame_used(frame)) {
        frames[frame].owner = ~0u;
    }
}

static bool domain_there(u32 dom)
{
    bool held = dom < DOMS && alive[dom];

    for (u32 i = 0; i < ALL_FRAMES && dom < DOMS && !held; i++) {
        held = frames[i].owner == dom;
    }
    for (u32 i = 0; i < MAPPINGS && dom < DOMS && !held; i++) {
        held = mappings[i].used && mappings[i].granter == dom;
    }
    return held;
}

/* May `as` use the entry so? The frame it is about then. */
static s16 entry_allows(u32 as, u32 granter, u32 ref, bool write, bool map, u32 *frame)
{
    const struct mapping *other = use_of(granter, ref);
    u32 word = entries[granter][ref].word;

    if (other) {
        *frame = other->frame;
        if (other->grantee != as || (write && !written(granter, ref) && (word & GTF_readonly))) {
            return GNTST_general_error;
        }
        return GNTST_okay;
    }
    *frame = entries[granter][ref].frame;
    if ((word & GTF_type_mask) != GTF_permit_access || word >> 16 != as ||
        (map && (word & GTF_sub_page)) || (write && (word & GTF_readonly))) {
        return GNTST_general_error;
    }
    return frame_of(*frame, granter) ? GNTST_okay : GNTST_bad_page;
}

static s16 ref_exists(u32 granter, u32 ref)
{
    if (ref >= REFS || ref_of(ref) / GRANTS_PER_FRAME >= MAX(table_frames[granter], 1u)) {
        return GNTST_bad_gntref;
    }
    return alive[granter] ? GNTST_okay : GNTST_general_error;
}

static u32 handles_of(u32 dom)
{
    u32 n = 0;

    for (u32 i = 0; i < MAPPINGS; i++) {
        n += mappings[i].used && mappings[i].grantee == dom;
    }
    return n;
}

static struct mapping *mapping_new(void)
{
    for (u32 i = 0; i < MAPPINGS; i++) {
        if (!mappings[i].used) {
            return &mappings[i];
        }
    }
    return NULL;
}

static struct mapping *mapping_of(u32 dom, u32 handle)
{
    for (u32 i = 0; i < MAPPINGS; i++) {
        if (mappings[i].used && mappings[i].grantee == dom && mappings[i].handle == handle) {
            return &mappings[i];
        }
    }
    return NULL;
}

static void slot_put(u32 dom, u32 slot, u32 frame, bool write)
{
    u32 old = slots[dom][slot].frame;

    slots[dom][slot] = (struct world_slot){ frame, write };
    frame_settle(old);
}

/* ---- Mapping ---- */

struct map_plan {
    struct gnttab_map_grant_ref op;
    u32 slot, ref; /* ~0: a wrong one */
};

/* Mostly an entry that is for this domain. */
static void some_entry(u32 dom, u32 *granter, u32 *ref)
{
    for (u32 tries = rnd(8) ? 30 : 1; tries; tries--) {
        *granter = rnd(DOMS);
        *ref = rnd(REFS);
        if (alive[*granter] && entries[*granter][*ref].word >> 16 == dom &&
            (entries[*granter][*ref].word & GTF_type_mask) == GTF_permit_access) {
            return;
        }
    }
}

static void plan_map(u32 dom, struct map_plan *p)
{
    u32 granter;

    u32 wrong = rnd(40);
    bool pte = rnd(5) == 0;

    p->slot = wrong == 0 ? ~0u : rnd(SLOTS);
    some_entry(dom, &granter, &p->ref);
    p->ref = wrong == 1 ? ~0u : p->ref;
    p->op = (struct gnttab_map_grant_ref){
        .flags = (rnd(5) ? GNTMAP_host_map : 0) | (rnd(3) ? 0 : GNTMAP_device_map) |
                 (rnd(2) ? GNTMAP_readonly : 0) | (pte ? GNTMAP_contains_pte : 0) | rnd(2) << 17,
        .ref = p->ref == ~0u ? 2 * GRANTS_PER_FRAME + rnd(3) : ref_of(p->ref),
        .dom = (domid_t)(wrong == 2   ? DOMS + rnd(3)
                         : wrong == 3 ? (u32)DOMID_SELF
                                      : granter),
        .status = 77,
    };
    p->op.host_addr = p->slot == ~0u ? (pte ? SLOT_PTE(0) + 4 : SLOT_VA(SLOTS) + rnd(2))
                                     : (pte ? SLOT_PTE(p->slot) : SLOT_VA(p->slot) + rnd(4096));
}

static s16 model_map(u32 dom, const struct map_plan *p, struct mapping *m)
{
    bool host = p->op.flags & GNTMAP_host_map, device = p->op.flags & GNTMAP_device_map;
    bool ro = p->op.flags & GNTMAP_readonly;
    u32 from = p->op.dom, frame;
    s16 status;

    if (!host && !device) {
        return GNTST_bad_gntref;
    }
    if (p->op.dom == DOMID_SELF || !domain_there(from)) {
        return GNTST_bad_domain;
    }
    if (handles_of(dom) == HANDLES) {
        return GNTST_no_space;
    }
    status = ref_exists(from, p->ref);
    status = status ? status : entry_allows(dom, from, p->ref, !ro, true, &frame);
    if (status == GNTST_okay && ((host && uses(from, p->ref, false, ro) >= PINS) ||
                                 (device && uses(from, p->ref, true, ro) >= PINS))) {
        status = GNTST_general_error;
    } else if (status == GNTST_okay || status == GNTST_bad_page) {
        flags_begin(from, p->ref, !ro);
        if (status == GNTST_okay && ((!ro && frames[frame].table) || (host && p->slot == ~0u))) {
            status = GNTST_general_error;
        }
        if (status) {
            flags_end(from, p->ref, !ro);
        }
    }
    if (status) {
        return status;
    }
    *m = (struct mapping){ true, host, device, ro,    false,        false,
                           dom,  from, p->ref, frame, p->op.handle, false };
    m->extra = (p->op.flags & 0xffff & ~(u32)(GNTMAP_host_map | GNTMAP_device_map)) != 0;
    if (host) {
        slot_put(dom, p->slot, frame, !ro);
    }
    return GNTST_okay;
}

static void do_map(u32 dom)
{
    struct gnttab_map_grant_ref list[LIST];
    struct map_plan plan[LIST];
    u32 n = 1 + rnd(LIST), vcpu = rnd(VCPUS);

    for (u32 i = 0; i < n; i++) {
        plan_map(dom, &plan[i]);
        list[i] = plan[i].op;
    }
    expect(world_op(dom, vcpu, GNTTABOP_map_grant_ref, list, n) == 0, "map: result");
    for (u32 i = 0; i < n; i++) {
        struct mapping *m = mapping_new();
        s16 want;

        plan[i].op.handle = list[i].handle;
        expect(list[i].status || !mapping_of(dom, list[i].handle), "map: handle in use");
        want = model_map(dom, &plan[i], m);
        expect_status(list[i].status, want, "map");
        expect(want || list[i].dev_bus_addr == (u64)m->frame << PAGE_SHIFT, "map: bus address");
        counts[want == GNTST_okay ? MAPPED : NOT_MAPPED]++;
    }
}

/* ---- Unmapping ---- */

struct unmap_plan {
    u64 host_addr, other; /* device's, or new address */
    u32 slot, from;       /* ~0: none or a wrong one */
    bool pte;
    struct mapping *m; /* what goes, and */
    bool host, device; /* its kinds */
};

/* Mostly one that it has, mostly where it is. */
static u32 plan_unmap(u32 dom, struct unmap_plan *p, bool replace)
{
    struct mapping *m = NULL;
    u32 at = rnd(MAPPINGS);

    for (u32 i = 0; i < MAPPINGS && !m; i++) {
        m = &mappings[(at + i) % MAPPINGS];
        m = m->used && m->grantee == dom ? m : NULL;
    }
    p->slot = rnd(SLOTS);
    for (u32 i = 0; m && rnd(6) && i < SLOTS; i++) {
        if (slots[dom][i].frame == m->frame && slots[dom][i].write == !m->ro) {
            p->slot = i;
        }
    }
    p->from = replace && rnd(8) ? rnd(SLOTS) : ~0u;
    p->pte = false;
    p->host_addr = rnd(4) ? SLOT_VA(p->slot) : 0;
    p->other = 0;
    if (replace) {
        p->other = p->from != ~0u ? SLOT_VA(p->from) : rnd(2) ? SLOT_VA(SLOTS + 1) : 0;
    } else if (rnd(2) && m) {
        p->other = ((u64)m->frame << PAGE_SHIFT) + (rnd(6) ? 0 : PAGE_SIZE);
    }
    return rnd(30) == 0 ? rnd(300) : m ? m->handle : rnd(4);
}

static bool slot_matches(u32 dom, u32 slot, const struct mapping *m)
{
    return slots[dom][slot].frame == m->frame && slots[dom][slot].write == !m->ro;
}

/* The address of an entry is what a handle that was mapped by one is unmapped by. */
static bool model_replace(u32 dom, struct unmap_plan *p, const struct mapping *m)
{
    struct world_slot moved;

    if (p->pte || p->from == ~0u) {
        return false;
    }
    moved = slots[dom][p->from];
    slots[dom][p->from].frame = NO_FRAME;
    if (p->slot == ~0u || !slot_matches(dom, p->slot, m)) {
        frame_settle(moved.frame);
        return false;
    }
    slot_put(dom, p->slot, moved.frame, moved.write);
    return true;
}

static s16 model_unmap(u32 dom, struct unmap_plan *p, u32 handle, bool replace)
{
    struct mapping *m = mapping_of(dom, handle);
    bool host, device;

    p->m = NULL;
    if (!m || (!m->host && !m->device && !m->extra)) {
        return GNTST_bad_handle;
    }
    if (!m->host && !m->device) {
        return GNTST_okay;
    }
    host = m->host && p->host_addr;
    device = m->device && p->other && !replace;
    if (device && p->other != (u64)m->frame << PAGE_SHIFT) {
        return GNTST_bad_dev_addr;
    }
    if (host && replace && p->other) {
        if (!model_replace(dom, p, m)) {
            return GNTST_general_error;
        }
    } else if (host) {
        if (p->slot == ~0u || !slot_matches(dom, p->slot, m)) {
            return GNTST_general_error;
        }
        slots[dom][p->slot].frame = NO_FRAME; /* the use that is going holds the frame */
    }
    p->m = m;
    p->host = host;
    p->device = device;
    m->host &= !host;
    m->device &= !device;
    m->host_going |= host;
    m->device_going |= device;
    return GNTST_okay;
}

static void mapping_settle(struct mapping *m)
{
    if (!m->host && !m->device && !m->host_going && !m->device_going) {
        m->used = false;
    }
    flags_end(m->granter, m->ref, !m->ro);
    frame_settle(m->frame);
}

static void model_unmapped(const struct unmap_plan *p)
{
    if (p->m && (p->host || p->device)) {
        p->m->host_going &= !p->host;
        p->m->device_going &= !p->device;
        mapping_settle(p->m);
    }
}

static void do_unmap(u32 dom)
{
    struct gnttab_unmap_grant_ref list[LIST];
    struct unmap_plan plan[LIST];
    s16 want[LIST];
    bool replace = rnd(5) == 0;
    u32 n = 1 + rnd(LIST), vcpu = rnd(VCPUS);

    for (u32 i = 0; i < n; i++) {
        u32 handle = plan_unmap(dom, &plan[i], replace);
        struct mapping *m = mapping_of(dom, handle);

        /* a handle is unmapped by the kind of address that it was mapped by: see do_map */
        if (m && (world[dom].d.grants.handles[0][handle].flags & GNTMAP_contains_pte)) {
            plan[i].pte = true;
            plan[i].host_addr = plan[i].host_addr ? SLOT_PTE(plan[i].slot) : 0;
        }
        list[i] = (struct gnttab_unmap_grant_ref){ plan[i].host_addr, plan[i].other, handle, 77 };
        want[i] = model_unmap(dom, &plan[i], handle, replace);
    }
    expect(world_op(dom, vcpu, replace ? GNTTABOP_unmap_and_replace : GNTTABOP_unmap_grant_ref,
                    list, n) == 0,
           "unmap: result");
    for (u32 i = 0; i < n; i++) {
        expect_status(list[i].status, want[i], "unmap");
        model_unmapped(&plan[i]);
        counts[(replace ? REPLACED : UNMAPPED) + (want[i] != GNTST_okay)]++;
    }
}

/* ---- Copies ---- */

static u32 some_frame(u32 dom)
{
    u32 frame = rnd(ALL_FRAMES + 3);

    for (u32 tries = rnd(12) ? 10 : 0; tries; tries--) {
        frame = dom * FRAMES + rnd(FRAMES);
        if (frames[frame].owner == dom && frames[frame].allocated && !frames[frame].table) {
            break;
        }
    }
    return frame;
}

struct end_plan {
    bool by_ref;
    u32 dom, ref, frame;
};

static struct gnttab_copy_ptr plan_end(u32 dom, struct end_plan *e)
{
    struct gnttab_copy_ptr p = { .offset = (u16)(rnd(20) ? rnd(4000) : rnd(65536)) };

    e->by_ref = rnd(3);
    some_entry(dom, &e->dom, &e->ref);
    e->frame = some_frame(dom);
    p.domid = e->by_ref ? (domid_t)e->dom : DOMID_SELF;
    if (e->by_ref) {
        p.u.ref = ref_of(e->ref);
    } else {
        p.u.gmfn = e->frame;
    }
    return p;
}

/* Begins a use of the entry, unless that is refused before. */
static s16 model_end(u32 dom, struct end_plan *e, bool write)
{
    s16 status;

    if (!e->by_ref) {
        status = frame_of(e->frame, dom) ? GNTST_okay : GNTST_bad_page;
    } else {
        status = ref_exists(e->dom, e->ref);
        status = status ? status : entry_allows(dom, e->dom, e->ref, write, false, &e->frame);
        if (status == GNTST_okay && uses(e->dom, e->ref, false, !write) >= PINS) {
            return GNTST_general_error;
        }
        if (status == GNTST_okay || status == GNTST_bad_page) {
            flags_begin(e->dom, e->ref, write);
            flags_end(e->dom, e->ref, write);
        }
    }
    return status == GNTST_okay && write && frames[e->frame].table ? GNTST_general_error : status;
}

static s16 model_copy(u32 dom, struct gnttab_copy *op, struct end_plan *from, struct end_plan *to)
{
    s16 status = GNTST_okay;

    if ((from->by_ref && !domain_there(from->dom)) || (to->by_ref && !domain_there(to->dom))) {
        return GNTST_bad_domain;
    }
    status = model_end(dom, from, false);
    status = status ? status : model_end(dom, to, true);
    if (status) {
        return status;
    }
    if (op->source.offset + op->len > (int)PAGE_SIZE ||
        op->dest.offset + op->len > (int)PAGE_SIZE) {
        return GNTST_bad_copy_arg;
    }
    memmove(&data[to->frame][op->dest.offset], &data[from->frame][op->source.offset], op->len);
    return GNTST_okay;
}

static void do_copy(u32 dom)
{
    struct end_plan from[LIST], to[LIST];
    struct gnttab_copy list[LIST];
    u32 n = 1 + rnd(LIST);

    for (u32 i = 0; i < n; i++) {
        list[i] = (struct gnttab_copy){ .source = plan_end(dom, &from[i]), .status = 77 };
        list[i].dest = plan_end(dom, &to[i]);
        list[i].len = (u16)(rnd(20) ? rnd(97) : rnd(65536));
        list[i].flags = (u16)((from[i].by_ref ? GNTCOPY_source_gref : 0) |
                              (to[i].by_ref ? GNTCOPY_dest_gref : 0));
    }
    expect(world_op(dom, rnd(VCPUS), GNTTABOP_copy, list, n) == 0, "copy: result");
    for (u32 i = 0; i < n; i++) {
        s16 want = model_copy(dom, &list[i], &from[i], &to[i]);

        expect_status(list[i].status, want, "copy");
        counts[want == GNTST_okay ? COPIED : NOT_COPIED]++;
    }
}

/* ---- What granters do ---- */

static void entry_write(u32 dom, u32 ref, u32 word, u32 frame)
{
    volatile grant_entry_v1_t *e = world_entry(dom, ref_of(ref));

    entries[dom][ref].word = word;
    entries[dom][ref].frame = frame;
    e->frame = frame;
    e->domid = (domid_t)(word >> 16);
    e->flags = (u16)word;
}

/* As the rules say, or against them: an entry that is in use changes under it. */
static void do_entry(u32 dom)
{
    u32 ref = rnd(REFS), word = entries[dom][ref].word, in_use = GTF_reading | GTF_writing;

    if (ref_of(ref) / GRANTS_PER_FRAME >= table_frames[dom]) {
        return;
    }
    if (!(word & in_use) || rnd(20) == 0) {
        u32 to = rnd(30) ? rnd(DOMS) : rnd(65536), type = rnd(20) ? GTF_permit_access : rnd(4);

        word = to << 16 | type | (rnd(4) ? 0 : GTF_readonly) | (rnd(30) ? 0 : GTF_sub_page) |
               (rnd(2) ? word & in_use : 0) | (rnd(200) ? 0 : GTF_reading);
        entry_write(dom, ref, word, some_frame(dom));
    } else if (rnd(2)) {
        entry_write(dom, ref, word ^ GTF_readonly, entries[dom][ref].frame);
    }
    counts[ENTRIES]++;
}

static void do_revoke(u32 dom)
{
    u32 ref = rnd(REFS);

    if (ref_of(ref) / GRANTS_PER_FRAME < table_frames[dom] &&
        !(entries[dom][ref].word & (GTF_reading | GTF_writing))) {
        entry_write(dom, ref, 0, 0);
        counts[REVOKED]++;
    }
}

static void do_swap(u32 dom)
{
    u32 a = rnd(REFS), b = rnd(REFS);
    struct gnttab_swap_grant_ref op = { ref_of(a), ref_of(b), 77 };
    u32 limit = MAX(table_frames[dom], 1u) * GRANTS_PER_FRAME;
    s16 want = GNTST_okay;

    if (op.ref_a >= limit || op.ref_b >= limit) {
        want = GNTST_bad_gntref;
    } else if (a != b && (use_of(dom, a) || use_of(dom, b))) {
        want = GNTST_eagain;
    }
    expect(world_op(dom, 0, GNTTABOP_swap_grant_ref, &op, 1) == 0, "swap: result");
    expect_status(op.status, want, "swap");
    if (want == GNTST_okay) {
        u32 word = entries[dom][a].word, frame = entries[dom][a].frame;

        entries[dom][a] = entries[dom][b];
        entries[dom][b].word = word;
        entries[dom][b].frame = frame;
    }
}

/* Frames come and go, become tables and ordinary again. */
static void do_frames(u32 dom)
{
    u32 frame = dom * FRAMES + rnd(FRAMES);

    if (frames[frame].owner == dom && frames[frame].allocated && rnd(3) == 0) {
        world_frame_free(dom, frame);
        frames[frame].allocated = false;
        frame_settle(frame);
    } else if (rnd(2)) {
        frame = world_frame_alloc(dom);
        if (frame != NO_FRAME) {
            expect(frames[frame].owner == ~0u, "a frame that is in use was free");
            frames[frame].owner = dom;
            frames[frame].allocated = true;
            frames[frame].table = false;
        }
    } else if (frames[frame].owner == dom && !frame_used(frame)) {
        frames[frame].table = world_frame[frame].table = rnd(3) == 0;
    }
}

/* A guest's own changes to its page tables, also of what it has mapped by a grant. */
static void do_slot(u32 dom)
{
    u32 slot = rnd(SLOTS), frame = dom * FRAMES + rnd(FRAMES);
    bool write = rnd(2);

    if (rnd(2)) {
        world_slot_set(dom, slot, NO_FRAME, false);
        slot_put(dom, slot, NO_FRAME, false);
    } else if (frame_of(frame, dom) && !(write && frames[frame].table)) {
        world_slot_set(dom, slot, frame, write);
        slot_put(dom, slot, frame, write);
    }
}

static void do_table(u32 dom)
{
    u32 nr = rnd(4);
    xen_pfn_t list[4];
    struct gnttab_setup_table op = { .dom = DOMID_SELF, .nr_frames = nr, .frame_list.p = list };

    expect(world_op(dom, 0, GNTTABOP_setup_table, &op, 1) == 0, "setup: result");
    expect_status(op.status, nr > 2 ? GNTST_general_error : GNTST_okay, "setup");
    table_frames[dom] = nr > 2 ? table_frames[dom] : MAX(table_frames[dom], nr);
}

/* ---- Life ---- */

static void born(u32 dom)
{
    world_domain_make(dom, 0);
    alive[dom] = true;
    table_frames[dom] = 0;
    memset(entries[dom], 0, sizeof(entries[dom]));
    for (u32 i = 0; i < SLOTS; i++) {
        slots[dom][i].frame = NO_FRAME;
    }
    for (u32 i = 0; i < FRAMES / 2; i++) {
        u32 frame = world_frame_alloc(dom);

        expect(frame != NO_FRAME && frames[frame].owner == ~0u, "a frame of a new domain");
        frames[frame].owner = dom;
        frames[frame].allocated = true;
        frames[frame].table = false;
    }
    do_table(dom);
}

static void model_dies(u32 dom)
{
    for (u32 i = 0; i < MAPPINGS; i++) {
        if (mappings[i].used && mappings[i].grantee == dom) {
            mappings[i].host = mappings[i].device = false;
            mapping_settle(&mappings[i]);
        }
    }
    for (u32 i = 0; i < SLOTS; i++) {
        slot_put(dom, i, NO_FRAME, false);
    }
    alive[dom] = false;
    for (u32 i = 0; i < ALL_FRAMES; i++) {
        if (frames[i].owner == dom) {
            frames[i].allocated = false;
            frame_settle(i);
        }
    }
}

static void do_death(u32 dom)
{
    if (alive[dom]) {
        world_yields = (u64)rnd(1u << 30);
        world_domain_kill(dom);
        model_dies(dom);
        counts[DEATHS]++;
    }
}

static void do_birth(u32 dom)
{
    expect(world[dom].exists == domain_there(dom), "who still exists");
    if (!world[dom].exists) {
        born(dom);
    }
}

/* ---- All of it ---- */

static void check_frames(void)
{
    for (u32 f = 0; f < ALL_FRAMES; f++) {
        u32 refs = frames[f].owner != ~0u && frames[f].allocated, types = 0;

        for (u32 i = 0; i < DOMS * SLOTS; i++) {
            const struct world_slot *s = &slots[i / SLOTS][i % SLOTS];

            refs += s->frame == f;
            types += s->frame == f && s->write;
        }
        for (u32 i = 0; i < MAPPINGS; i++) {
            const struct mapping *m = &mappings[i];

            if (m->used && m->frame == f) {
                refs += use_of(m->granter, m->ref) == m; /* once an entry */
                types += !m->ro && (m->device || m->device_going);
            }
        }
        expect(world_frame[f].refs == refs, "a frame's references");
        expect(world_frame[f].types == types, "a frame's uses as writable");
        expect(world_frame[f].owner == frames[f].owner, "a frame's owner");
        expect(memcmp(world_frame[f].data, data[f], PAGE_SIZE) == 0, "a frame's contents");
    }
}

/* What the model doesn't decide: no frame can be reached by who neither owns nor has mapped it. */
static void check_reach(u32 dom, const struct world_slot *s)
{
    u32 reach = 0, may = 0;

    if (s->frame == NO_FRAME || world_frame[s->frame].owner == dom) {
        return;
    }
    for (u32 i = 0; i < SLOTS; i++) {
        reach += world[dom].slot[i].frame == s->frame && world[dom].slot[i].write == s->write;
    }
    for (u32 i = 0; i < MAPPINGS; i++) {
        const struct mapping *m = &mappings[i];

        may += m->used && m->grantee == dom && m->host && m->frame == s->frame &&
               m->ro == !s->write;
    }
    expect(reach <= may, "a frame is mapped more often than it was granted");
}

static void check_all(void)
{
    for (u32 d = 0; d < DOMS; d++) {
        expect(world[d].exists == domain_there(d), "who exists");
        for (u32 i = 0; i < SLOTS && alive[d]; i++) {
            expect(world[d].slot[i].frame == slots[d][i].frame, "a page table's entry");
            check_reach(d, &world[d].slot[i]);
        }
        for (u32 ref = 0; ref < REFS && world[d].exists; ref++) {
            if (ref_of(ref) / GRANTS_PER_FRAME < table_frames[d]) {
                volatile grant_entry_v1_t *e = world_entry(d, ref_of(ref));

                expect(((u32)e->domid << 16 | e->flags) == entries[d][ref].word, "an entry");
            }
        }
    }
    check_frames();
}

static void one_operation(void)
{
    u32 dom = rnd(DOMS), what = rnd(1000);

    if (!alive[dom]) {
        if (rnd(40) == 0 && depth == 0) {
            do_birth(dom);
        }
        return;
    }
    depth++;
    world_stack = depth - 1;
    world_yields = rnd(4) ? 0 : (u64)rnd(1u << 16);
    if (what < 300 && handles_of(dom) < MAPPINGS / DOMS - LIST) {
        do_map(dom);
    } else if (what < 600) {
        do_unmap(dom);
    } else if (what < 700) {
        do_copy(dom);
    } else if (what < 800) {
        do_entry(dom);
    } else if (what < 860) {
        do_revoke(dom);
    } else if (what < 900) {
        do_slot(dom);
    } else if (what < 960) {
        do_frames(dom);
    } else if (what < 970) {
        do_table(dom);
    } else if (what < 997) {
        do_swap(dom);
    } else if (depth == 1) {
        do_death(dom);
    }
    depth--;
    world_stack = depth ? depth - 1 : 0;
}

/* Between the page tables and the flags: everyone else goes on. */
static void meanwhile(void)
{
    u64 yields = world_yields;

    if (depth && depth < 3 && rnd(2)) {
        counts[BETWEEN]++;
        one_operation();
    }
    world_yields = yields;
}

static unsigned long number(const char *name, unsigned long otherwise)
{
    const char *text = getenv(name);

    return text ? strtoul(text, NULL, 0) : otherwise;
}

static void test_random(void **state)
{
    unsigned long n = number("N", 1000000);

    (void)state;
    seed = number("SEED", 1);
    world_reset();
    world_flush = meanwhile;
    for (u32 f = 0; f < ALL_FRAMES; f++) {
        frames[f].owner = ~0u;
        memcpy(data[f], world_frame[f].data, PAGE_SIZE);
    }
    for (u32 d = 0; d < DOMS; d++) {
        born(d);
    }
    for (step_nr = 0; step_nr < n; step_nr++) {
        one_operation();
        if (step_nr % 1000 == 0) {
            check_all();
        }
    }
    for (u32 d = 0; d < DOMS; d++) {
        do_death(d);
        check_all();
    }
    for (u32 i = 0; i < NR_COUNTS; i++) {
        printf("%lu %s%s", counts[i], count_names[i], i + 1 < NR_COUNTS ? ", " : "\n");
    }
    for (u32 d = 0; d < DOMS; d++) {
        assert_false(world[d].exists);
    }
    assert_int_equal(world_pages, 0);
    assert_int_equal(world_shared, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_random) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
