/* SPDX-License-Identifier: MIT */
/*
 * driver.c - chooses operations by chance and compares what they do with the model: the status of
 * each, what is read where, what a store does, and now and then everything. At the end all is taken
 * apart; servants are asked to die with mappings of others' pages held, and with pages of theirs
 * mapped elsewhere.
 */
#include "model.h"

#define CHECK_ALL_EVERY 1000U
#define TABLE_END 0x10000U /* no table has so many references */

struct driver {
    struct model model;
    uint64_t dice;
    const char *failure;
    unsigned long done, refused, mapped, copied, faults;
    struct act act;
    struct result result;
};

static struct driver drivers[MAX_LANES];

static unsigned int below(struct driver *w, unsigned int n)
{
    return (unsigned int)(random_next(&w->dice) >> 16) % n;
}

static unsigned int some_domain(struct driver *w)
{
    unsigned int d;

    do {
        d = below(w, w->model.nr_domains);
    } while (w->model.domains[d].dead);
    return d;
}

static struct arena *arena(struct driver *w)
{
    return &arenas[w->model.lane];
}

static uint64_t slot_va(struct driver *w, unsigned int slot)
{
    return ARG(arena(w)->slots[slot]);
}

static grant_ref_t real_ref(struct driver *w, unsigned int ref)
{
    return FIRST_REF + w->model.lane * NR_REFS + ref;
}

/* ---- asking, and what was expected ---- */

static void fail(struct driver *w, const char *what, int64_t got, int64_t want)
{
    if (!w->failure) {
        const uint64_t *act = (const uint64_t *)&w->act;

        printf("grants: lane %u, operation %lu: %s: %ld, not %ld; act %u: %lx %lx %lx %lx %lx\n",
               w->model.lane, w->done, what, got, want, w->act.what, act[1], act[2], act[3], act[4],
               act[5]);
        w->failure = what;
    }
}

static struct act *begin(struct driver *w, enum act_what what)
{
    memset(&w->act, 0, sizeof(w->act));
    w->act.what = what;
    return &w->act;
}

static const struct result *ask(struct driver *w, unsigned int d)
{
    if (d == 0) {
        act_here(&w->act, &w->result);
    } else if (!servant_ask(d, &w->act, &w->result)) {
        memset(&w->result, 0, sizeof(w->result));
        fail(w, "a servant does not answer", (int64_t)d, 0);
    }
    return &w->result;
}

static bool expect(struct driver *w, const char *what, int64_t got, int64_t want)
{
    w->refused += want < 0;
    if (got != want) {
        fail(w, what, got, want);
    }
    return got == want;
}

/* A page's contents, by the slot that shows it, or that must show nothing. */
static void check_slot(struct driver *w, unsigned int d, unsigned int slot)
{
    uint64_t sum = 0;
    bool there = model_slot_sum(&w->model, d, slot, &sum);
    const struct result *r;

    begin(w, ACT_READ)->touch.va = slot_va(w, slot);
    r = ask(w, d);
    w->faults += !there;
    if (r->fault == there) {
        fail(w, there ? "a slot faults" : "a slot does not fault", (int64_t)slot, (int64_t)d);
    } else if (there && r->value != sum) {
        fail(w, "a slot shows something else", (int64_t)slot, (int64_t)d);
    }
}

static void check_page(struct driver *w, unsigned int d, unsigned int page)
{
    begin(w, ACT_READ)->touch.va = ARG(arena(w)->pages[page]);
    if (ask(w, d)->value != page_sum(w->model.domains[d].pages[page])) {
        fail(w, "a page has other contents", (int64_t)page, (int64_t)d);
    }
}

static void check_flags(struct driver *w, unsigned int d, unsigned int ref)
{
    begin(w, ACT_FLAGS)->grant.ref = real_ref(w, ref);
    expect(w, "flags of a grant", (int64_t)ask(w, d)->value, model_flags(&w->model, d, ref));
}

static void check_all(struct driver *w)
{
    for (unsigned int d = 0; d < w->model.nr_domains; d++) {
        if (w->model.domains[d].dead) {
            continue;
        }
        for (unsigned int i = 0; i < NR_SLOTS; i++) {
            check_slot(w, d, i);
        }
        for (unsigned int i = 0; i < NR_GRANTED; i++) {
            check_page(w, d, i);
        }
        for (unsigned int i = 0; i < NR_REFS; i++) {
            check_flags(w, d, i);
        }
    }
}

/* ---- grants ---- */

static void do_grant(struct driver *w)
{
    unsigned int d = some_domain(w), ref = below(w, NR_REFS);
    struct model_grant *g = &w->model.domains[d].grants[ref];
    struct act *a = begin(w, ACT_GRANT);

    if (g->on) {
        return;
    }
    *g = (struct model_grant){
        .on = true,
        .read_only = below(w, 3) == 0,
        .page = (uint8_t)below(w, NR_GRANTED),
        .to = (uint8_t)some_domain(w),
    };
    a->grant.page = ARG(arena(w)->pages[g->page]);
    a->grant.ref = real_ref(w, ref);
    a->grant.to = w->model.domains[g->to].domid;
    a->grant.flags = g->read_only ? GTF_readonly : 0;
    ask(w, d);
}

static void do_revoke(struct driver *w)
{
    unsigned int d = some_domain(w), ref = below(w, NR_REFS);
    struct model_grant *g = &w->model.domains[d].grants[ref];

    begin(w, ACT_REVOKE)->grant.ref = real_ref(w, ref);
    if (expect(w, "revocation", (int64_t)ask(w, d)->value, !model_in_use(g)) && !model_in_use(g)) {
        g->on = false;
    }
    check_flags(w, d, ref);
}

/* ---- mappings ---- */

static bool live(const struct model_mapping *map)
{
    return map->host || map->device;
}

static unsigned int free_mapping(struct driver *w, unsigned int d)
{
    for (unsigned int i = 0; i < MAX_MAPPINGS; i++) {
        if (!live(&w->model.domains[d].mappings[i])) {
            return i;
        }
    }
    return NONE;
}

static unsigned int some_mapping(struct driver *w, unsigned int d)
{
    unsigned int first = below(w, MAX_MAPPINGS);

    for (unsigned int i = 0; i < MAX_MAPPINGS; i++) {
        unsigned int n = (first + i) % MAX_MAPPINGS;

        if (live(&w->model.domains[d].mappings[n])) {
            return n;
        }
    }
    return NONE;
}

/* One that shows no mapping now. */
static unsigned int some_slot(struct driver *w, unsigned int d)
{
    unsigned int first = below(w, NR_SLOTS);

    for (unsigned int i = 0; i < NR_SLOTS; i++) {
        unsigned int n = (first + i) % NR_SLOTS;

        if (w->model.domains[d].slots[n].state != SLOT_MAPPED) {
            return n;
        }
    }
    return NONE;
}

static void mapping_made(struct driver *w, unsigned int d, unsigned int n,
                         const struct model_mapping *new)
{
    struct model_domain *domain = &w->model.domains[d];

    domain->mappings[n] = *new;
    domain->mappings[n].handle = w->result.handle;
    domain->mappings[n].bus = w->result.bus;
    model_count(&w->model, new, (unsigned int)new->host + new->device, 1);
    if (new->host) {
        domain->slots[new->slot].state = SLOT_MAPPED;
        domain->slots[new->slot].what = (uint8_t)n;
    }
    w->mapped++;
}

static void do_map(struct driver *w)
{
    unsigned int d = some_domain(w), from = some_domain(w), slot = some_slot(w, d),
                 n = free_mapping(w, d), parts = 1 + below(w, 3);
    struct model_mapping new = {
        .host = parts & 1,
        .device = parts & 2,
        .read_only = below(w, 2),
        .by_pte = below(w, 4) == 0,
        .from = (uint8_t)from,
        .ref = (uint8_t)below(w, NR_REFS),
        .slot = (uint8_t)slot,
    };
    struct gnttab_map_grant_ref *op = &begin(w, ACT_MAP)->map;
    int64_t want = model_access(&w->model, d, from, new.ref, new.read_only);

    if (slot == NONE || n == NONE) {
        return;
    }
    op->host_addr = new.host ? slot_va(w, slot) : 0;
    op->flags = (new.host ? GNTMAP_host_map : 0) | (new.device ? GNTMAP_device_map : 0) |
                (new.read_only ? GNTMAP_readonly : 0) |
                (new.host &&new.by_pte ? GNTMAP_contains_pte : 0);
    op->ref = real_ref(w, new.ref);
    op->dom = w->model.domains[from].domid;
    if (expect(w, "map", ask(w, d)->rc, want) && want == GNTST_okay) {
        mapping_made(w, d, n, &new);
    }
    check_slot(w, d, slot);
    check_flags(w, from, new.ref);
}

static void host_gone(struct driver *w, unsigned int d, struct model_mapping *map,
                      enum slot_state state, unsigned int what)
{
    map->host = false;
    model_count(&w->model, map, 1, -1);
    w->model.domains[d].slots[map->slot].state = (uint8_t)state;
    w->model.domains[d].slots[map->slot].what = (uint8_t)what;
}

static void unmap_parts(struct driver *w, unsigned int d, unsigned int n, bool host, bool device)
{
    struct model_mapping *map = &w->model.domains[d].mappings[n];
    struct gnttab_unmap_grant_ref *op = &begin(w, ACT_UNMAP)->unmap;

    op->handle = map->handle;
    op->host_addr = host ? slot_va(w, map->slot) | map->by_pte : 0;
    op->dev_bus_addr = device ? map->bus : 0;
    if (!expect(w, "unmap", ask(w, d)->rc, GNTST_okay)) {
        return;
    }
    if (host) {
        host_gone(w, d, map, SLOT_EMPTY, 0);
    }
    if (device) {
        map->device = false;
        model_count(&w->model, map, 1, -1);
    }
}

static void do_unmap(struct driver *w)
{
    unsigned int d = some_domain(w), n = some_mapping(w, d), both = below(w, 4);
    struct model_mapping *map = &w->model.domains[d].mappings[n];
    bool host, device;

    if (n == NONE) {
        return;
    }
    host = map->host && (both || !map->device);
    device = map->device && (both != 1 || !map->host);
    unmap_parts(w, d, n, host, device);
    check_slot(w, d, map->slot);
    if (!w->model.domains[map->from].dead) {
        check_flags(w, map->from, map->ref);
    }
}

/* The mapping's place takes over what another slot shows, which is empty then. */
static void do_replace(struct driver *w)
{
    unsigned int d = some_domain(w), n = some_mapping(w, d), other = some_slot(w, d);
    struct model_domain *domain = &w->model.domains[d];
    struct model_mapping *map = &domain->mappings[n];
    struct gnttab_unmap_and_replace *op = &begin(w, ACT_REPLACE)->replace;

    if (n == NONE || other == NONE || !map->host || map->by_pte ||
        domain->slots[other].state != SLOT_OWN) {
        return;
    }
    op->host_addr = slot_va(w, map->slot);
    op->new_addr = slot_va(w, other);
    op->handle = map->handle;
    if (expect(w, "unmap and replace", ask(w, d)->rc, GNTST_okay)) {
        host_gone(w, d, map, SLOT_OWN, domain->slots[other].what);
        domain->slots[other].state = SLOT_EMPTY;
    }
    check_slot(w, d, map->slot);
    check_slot(w, d, other);
}

static void do_restore(struct driver *w)
{
    unsigned int d = some_domain(w), slot = some_slot(w, d);

    if (slot == NONE) {
        return;
    }
    begin(w, ACT_RESTORE)->touch.va = slot_va(w, slot);
    if (expect(w, "a slot's own page", ask(w, d)->rc, 0)) {
        w->model.domains[d].slots[slot].state = SLOT_OWN;
        w->model.domains[d].slots[slot].what = (uint8_t)slot;
    }
    check_slot(w, d, slot);
}

/* ---- contents ---- */

static void do_write(struct driver *w)
{
    unsigned int d = some_domain(w), slot = below(w, NR_SLOTS), word = below(w, NR_WORDS);
    struct model_domain *domain = &w->model.domains[d];
    const struct model_mapping *map = &domain->mappings[domain->slots[slot].what];
    struct act *a = begin(w, ACT_WRITE);
    bool faults;

    if (domain->slots[slot].state == SLOT_OWN) {
        return;
    }
    faults = domain->slots[slot].state == SLOT_EMPTY || map->read_only;
    a->touch.va = slot_va(w, slot) + word * sizeof(uint64_t);
    a->touch.value = random_next(&w->dice);
    if (!faults) {
        model_page(&w->model, map)[word] = a->touch.value;
    }
    w->faults += faults;
    expect(w, "a store", ask(w, d)->fault, faults);
    check_slot(w, d, slot);
}

/* One side of a copy: a page of one's own, or a grant. */
static int64_t copy_side(struct driver *w, unsigned int d, struct gnttab_copy_ptr *p, bool grant,
                         bool read_only, uint64_t **page)
{
    unsigned int from = some_domain(w), number = below(w, grant ? NR_REFS : NR_GRANTED);
    const struct model_grant *g = &w->model.domains[from].grants[number];

    if (!grant) {
        p->u.gmfn = ARG(arena(w)->pages[number]);
        p->domid = DOMID_SELF;
        *page = w->model.domains[d].pages[number];
        return GNTST_okay;
    }
    p->u.ref = real_ref(w, number);
    p->domid = w->model.domains[from].domid;
    *page = w->model.domains[from].pages[g->page];
    return model_access(&w->model, d, from, number, read_only);
}

/* As the hypervisor does it within a page: overlapping parts of one page are not asked for. */
static void do_copy(struct driver *w)
{
    unsigned int d = some_domain(w), sides = below(w, 4), whole = below(w, 4),
                 length = whole ? below(w, 256) : (unsigned int)PAGE_SIZE;
    struct gnttab_copy *op = &begin(w, ACT_COPY)->copy;
    uint64_t *from, *to;
    int64_t want = copy_side(w, d, &op->source, sides & 1, true, &from),
            want_to = copy_side(w, d, &op->dest, sides & 2, false, &to);

    if (from == to) {
        return;
    }
    want = want ? want : want_to;
    op->flags = (uint16_t)sides;
    op->len = (uint16_t)length;
    op->source.offset = (uint16_t)(whole ? below(w, 4096 - 256) : 0);
    op->dest.offset = (uint16_t)(whole ? below(w, 4096 - 256) : 0);
    if (below(w, 16) == 0) {
        op->dest.offset = (uint16_t)(4096 - length + 1 + below(w, 16));
        want = want ? want : GNTST_bad_copy_arg;
    }
    if (want == GNTST_okay) {
        memcpy((char *)to + op->dest.offset, (char *)from + op->source.offset, length);
        w->copied++;
    }
    expect(w, "copy", ask(w, d)->rc, want);
    check_page(w, d, below(w, NR_GRANTED));
}

/* ---- what must be refused ---- */

static void wrong_map(struct driver *w)
{
    unsigned int d = some_domain(w), slot = some_slot(w, d);
    struct gnttab_map_grant_ref *op = &begin(w, ACT_MAP)->map;
    int64_t want;

    if (slot == NONE) {
        return;
    }
    op->host_addr = slot_va(w, slot);
    op->flags = GNTMAP_host_map | (below(w, 2) ? GNTMAP_readonly : 0);
    op->ref = real_ref(w, below(w, NR_REFS));
    op->dom = w->model.domains[0].domid;
    switch (below(w, 3)) {
    case 0:
        op->ref = TABLE_END << below(w, 16);
        want = GNTST_bad_gntref;
        break;
    case 1:
        op->dom = (domid_t)(0x7000 + below(w, 0xff0));
        want = GNTST_bad_domain;
        break;
    default:
        op->flags = below(w, 2) ? GNTMAP_readonly : 0;
        want = GNTST_bad_gntref;
    }
    expect(w, "a wrong map", ask(w, d)->rc, want);
    check_slot(w, d, slot);
}

/* An address without page tables below it. */
static void map_nowhere(struct driver *w)
{
    static const uint64_t nowhere[] = { 0x7000000000, 0xffff830000000000, 0x800000000000 };
    unsigned int d = some_domain(w), from = some_domain(w), ref = below(w, NR_REFS);
    struct gnttab_map_grant_ref *op = &begin(w, ACT_MAP)->map;

    op->host_addr = nowhere[below(w, 3)];
    op->flags = GNTMAP_host_map;
    op->ref = real_ref(w, ref);
    op->dom = w->model.domains[from].domid;
    expect(w, "a map to nowhere", ask(w, d)->rc, GNTST_general_error);
    check_flags(w, from, ref);
}

/* A handle that nobody has, or a mapping at another place. */
static void wrong_unmap(struct driver *w)
{
    unsigned int d = some_domain(w), n = some_mapping(w, d), slot = some_slot(w, d);
    struct gnttab_unmap_grant_ref *op = &begin(w, ACT_UNMAP)->unmap;
    struct model_mapping *map = &w->model.domains[d].mappings[n];
    int64_t want = GNTST_bad_handle;

    if (slot == NONE) {
        return;
    }
    op->host_addr = slot_va(w, slot);
    op->handle = NO_HANDLE - below(w, 1000);
    if (n != NONE && map->host && below(w, 2)) {
        op->handle = map->handle;
        want = GNTST_general_error;
    }
    expect(w, "a wrong unmap", ask(w, d)->rc, want);
    check_slot(w, d, slot);
}

static void wrong_copy(struct driver *w)
{
    unsigned int d = some_domain(w), page = below(w, NR_GRANTED);
    struct gnttab_copy *op = &begin(w, ACT_COPY)->copy;
    int64_t want;

    op->source.u.gmfn = op->dest.u.gmfn = ARG(arena(w)->pages[page]);
    op->source.domid = op->dest.domid = DOMID_SELF;
    op->len = 8;
    switch (below(w, 3)) {
    case 0:
        op->source.u.ref = TABLE_END << below(w, 16);
        op->source.domid = w->model.domains[0].domid;
        op->flags = GNTCOPY_source_gref;
        want = GNTST_bad_gntref;
        break;
    case 1:
        op->dest.domid = (domid_t)(0x7000 + below(w, 0xff0));
        op->dest.u.ref = real_ref(w, 0);
        op->flags = GNTCOPY_dest_gref;
        want = GNTST_bad_domain;
        break;
    default: /* a frame of another domain must be granted */
        op->source.domid = w->model.domains[some_domain(w)].domid;
        want = GNTST_permission_denied;
    }
    expect(w, "a wrong copy", ask(w, d)->rc, want);
    check_page(w, d, page);
}

/* ---- all together ---- */

static void one_operation(struct driver *w)
{
    static void (*const operations[])(struct driver *) = {
        do_grant,    do_grant,   do_grant, do_revoke, do_revoke,   do_map,   do_map,
        do_map,      do_map,     do_map,   do_unmap,  do_unmap,    do_unmap, do_replace,
        do_restore,  do_restore, do_write, do_write,  do_copy,     do_copy,  wrong_map,
        map_nowhere, wrong_copy, do_write, do_map,    wrong_unmap,
    };

    unsigned int n = below(w, sizeof(operations) / sizeof(operations[0]));
    operations[n](w);
    w->done++;
}

static void operate(struct driver *w, unsigned long count)
{
    for (unsigned long i = 1; i <= count && !w->failure; i++) {
        one_operation(w);
        if (i % CHECK_ALL_EVERY == 0) {
            check_all(w);
        }
    }
}

static void unmap_all(struct driver *w, unsigned int d)
{
    for (unsigned int n = 0; n < MAX_MAPPINGS && !w->failure; n++) {
        struct model_mapping *map = &w->model.domains[d].mappings[n];

        if (live(map)) {
            unmap_parts(w, d, n, map->host, map->device);
        }
    }
}

static void take_apart(struct driver *w)
{
    for (unsigned int d = 0; d < w->model.nr_domains; d++) {
        if (!w->model.domains[d].dead) {
            unmap_all(w, d);
        }
    }
    check_all(w);
    for (unsigned int d = 0; d < w->model.nr_domains; d++) {
        for (unsigned int ref = 0; ref < NR_REFS && !w->model.domains[d].dead; ref++) {
            begin(w, ACT_REVOKE)->grant.ref = real_ref(w, ref);
            expect(w, "the last revocation", (int64_t)ask(w, d)->value, 1);
        }
    }
}

/* ---- death ---- */

static unsigned int count_mappings(struct driver *w, unsigned int by, unsigned int from)
{
    unsigned int count = 0;

    for (unsigned int d = 0; d < w->model.nr_domains; d++) {
        for (unsigned int n = 0; n < MAX_MAPPINGS; n++) {
            const struct model_mapping *map = &w->model.domains[d].mappings[n];

            count += live(map) && (by == NONE || d == by) && (from == NONE || map->from == from);
        }
    }
    return count;
}

/* Its mappings are gone when the domain is destroyed, which takes a moment. */
static void wait_released(struct driver *w)
{
    uint64_t deadline = clock_now() + 20 * SEC;

    for (unsigned int ref = 0; ref < NR_REFS; ref++) {
        while (grant_entry(real_ref(w, ref))->flags != model_flags(&w->model, 0, ref) &&
               clock_now() < deadline) {
            clock_sleep(MS);
        }
        check_flags(w, 0, ref);
    }
}

static void let_die(struct driver *w, unsigned int d)
{
    uint64_t deadline = clock_now() + 20 * SEC;
    unsigned int held, lent;

    /* It must leave something behind. */
    while ((!count_mappings(w, d, NONE) || !count_mappings(w, NONE, d)) && !w->failure) {
        operate(w, 1);
    }
    held = count_mappings(w, d, NONE);
    lent = count_mappings(w, NONE, d);
    begin(w, ACT_DIE);
    ask(w, d);
    while (servant_there(d) && clock_now() < deadline) {
        clock_sleep(MS);
    }
    model_die(&w->model, d);
    if (!servant_forget(d)) {
        fail(w, "the ring of a dead servant stays mapped", (int64_t)d, 0);
    }
    wait_released(w);
    check_all(w);
    printf("grants: domain %u died with %u mappings, and %u of its pages mapped elsewhere\n",
           w->model.domains[d].domid, held, lent);
}

static void dismiss(struct driver *w)
{
    for (unsigned int d = 1; d < w->model.nr_domains; d++) {
        if (!w->model.domains[d].dead) {
            begin(w, ACT_BYE);
            ask(w, d);
            servant_forget(d);
        }
    }
}

const char *driver_run(const struct driver_options *options)
{
    struct driver *w = &drivers[options->lane];

    w->dice = (options->seed * 64 + options->lane + 1) * 0x9e3779b97f4a7c15;
    model_begin(&w->model, options);
    operate(w, options->count);
    for (unsigned int d = 1; d < w->model.nr_domains && arg_flag("die") && !w->failure; d++) {
        let_die(w, d);
        operate(w, options->count / 10);
    }
    if (!w->failure) {
        take_apart(w);
    }
    dismiss(w);
    printf("grants: %lu operations, %lu refused, %lu mapped, %lu copied, %lu faults\n", w->done,
           w->refused, w->mapped, w->copied, w->faults);
    return w->failure;
}
