/* SPDX-License-Identifier: MIT */
/*
 * groups.c - attack=control's and attack=groups' part about scheduling domains, bandwidth and
 * emulators: who is a member of whom, in chains as deep as they may be and deeper, in circles, with
 * domains that come, go and move meanwhile; limits from nonsense to nearly nothing. Domains for it
 * are shells: nothing runs in them, but they are domains. At the end what the hypervisor tells of
 * all of them must be trees. Domain 0 may have members, but no limits: it has to come to an end.
 */
#include "control.h"

#include <tarn.h>

#define NR_SHELLS 12U
#define FIRST_SHELL 200U

static unsigned long joined, left_by, refusals, limits; /* what came to pass */

static long tarn_op(struct actor *a, unsigned long cmd, void *arg)
{
    return hypercall2(__HYPERVISOR_tarn_op, cmd, below(&a->dice, 64) ? ARG(arg) : roll(&a->dice));
}

static unsigned int some_shell(struct actor *a)
{
    return FIRST_SHELL + (unsigned int)below(&a->dice, NR_SHELLS);
}

/* Of those that may be limited. */
static unsigned int some_member(struct actor *a)
{
    switch (below(&a->dice, 32)) {
    case 0:
        return DOMID_INVALID;
    case 1:
        return 1 + (unsigned int)below(&a->dice, 0x7fee);
    default:
        return below(&a->dice, 3) ? some_shell(a)
                                  : FIRST_DOMID + (unsigned int)below(&a->dice, NR_DOMAINS);
    }
}

static uint16_t some_share(struct actor *a)
{
    return (uint16_t)(below(&a->dice, 2)   ? 0
                      : below(&a->dice, 2) ? 1 + below(&a->dice, 1000)
                                           : roll(&a->dice));
}

/* ---- Shells ---- */

static void make_shell(struct actor *a, unsigned int domid, uint32_t pool)
{
    struct xen_domctl_createdomain *c = &a->domctl.u.createdomain;

    memset(c, 0, sizeof(*c));
    c->max_vcpus = 1;
    c->max_evtchn_port = 7;
    c->max_grant_frames = 1;
    c->cpupool_id = pool;
    c->grant_opts = XEN_DOMCTL_GRANT_version(1);
    domctl(a, XEN_DOMCTL_createdomain, domid);
}

static long move(struct actor *a, unsigned int domid, uint32_t pool)
{
    struct xen_sysctl_cpupool_op *o = &a->sysctl.u.cpupool_op;

    memset(o, 0, sizeof(*o));
    o->op = XEN_SYSCTL_CPUPOOL_OP_MOVEDOMAIN;
    o->cpupool_id = pool;
    o->domid = domid;
    return sysctl(a, XEN_SYSCTL_cpupool_op);
}

void act_shell(struct actor *a)
{
    unsigned int domid = some_shell(a);

    switch (below(&a->dice, 8)) {
    case 0:
        domctl(a, XEN_DOMCTL_destroydomain, domid);
        break;
    case 1:
    case 2:
        move(a, domid, some_pool(a));
        break;
    case 3:
        domctl(a, XEN_DOMCTL_unpausedomain, domid);
        break;
    default:
        make_shell(a, domid, below(&a->dice, 4) ? 0 : some_pool(a));
    }
}

/* ---- Groups ---- */

static long join(struct actor *a, unsigned int domid, unsigned int master)
{
    struct tarn_group g = { .domid = (domid_t)domid, .master = (domid_t)master };
    long rc;

    g.weight = some_share(a);
    g.cap = some_share(a);
    rc = tarn_op(a, TARN_OP_group_add, &g);
    joined += rc == 0;
    refusals += rc != 0;
    return rc;
}

/* One below the other, as far as it goes; then the circle is closed. */
static void chain(struct actor *a)
{
    unsigned int domid = some_shell(a), first = domid;

    for (unsigned int i = 1; i < NR_SHELLS; i++) {
        unsigned int next = FIRST_SHELL + (domid - FIRST_SHELL + 1) % NR_SHELLS;

        if (join(a, next, domid) == 0) {
            domid = next;
        }
    }
    join(a, first, domid);
}

void act_group(struct actor *a)
{
    static const unsigned long commands[] = {
        TARN_OP_group_remove, TARN_OP_group_set,  TARN_OP_group_set,
        TARN_OP_group_set,    TARN_OP_group_info, TARN_OP_group_dissolve,
    };
    unsigned long cmd = commands[below(&a->dice, sizeof(commands) / sizeof(commands[0]))];
    struct tarn_group g = { .domid = (domid_t)some_member(a), .master = (domid_t)some_member(a) };

    switch (below(&a->dice, 4)) {
    case 0:
        join(a, some_member(a), below(&a->dice, 16) ? some_member(a) : 0);
        return;
    case 1:
        chain(a);
        return;
    default:
        break;
    }
    if (cmd == TARN_OP_group_dissolve && below(&a->dice, 4)) {
        cmd = TARN_OP_group_info; /* or no tree would grow */
    }
    g.master = below(&a->dice, 4) ? g.master : g.domid;
    g.weight = some_share(a);
    g.cap = some_share(a);
    if (tarn_op(a, cmd, &g) == 0 && cmd != TARN_OP_group_info) {
        left_by += cmd != TARN_OP_group_set;
    }
}

/* ---- Limits ---- */

static uint64_t some_time(struct actor *a)
{
    static const uint64_t odd[] = { 0,          1,       999,       1000,           1001,
                                    100000,     1000000, 1000001,   TARN_QUOTA_MAX, 1ULL << 44,
                                    1ULL << 63, ~0ULL,   ~0ULL >> 1 };

    return below(&a->dice, 2) ? 1000 + below(&a->dice, 20000)
                              : odd[below(&a->dice, sizeof(odd) / sizeof(odd[0]))];
}

void act_bandwidth(struct actor *a)
{
    struct tarn_bandwidth b = { .domid = (domid_t)some_member(a) };
    bool get = below(&a->dice, 4) == 0;

    b.vcpu = below(&a->dice, 2)   ? TARN_BANDWIDTH_DOMAIN
             : below(&a->dice, 8) ? (uint32_t)below(&a->dice, 4)
                                  : (uint32_t)roll(&a->dice);
    b.period_us = some_time(a);
    b.quota_us = (int64_t)some_time(a);
    limits += tarn_op(a, get ? TARN_OP_get_bandwidth : TARN_OP_set_bandwidth, &b) == 0;
}

void act_emulator(struct actor *a)
{
    struct tarn_emulator e = {
        .domid = (domid_t)some_member(a),
        .emulator = (domid_t)(below(&a->dice, 4) ? some_member(a) : DOMID_INVALID),
    };

    tarn_op(a, below(&a->dice, 4) ? TARN_OP_set_emulator : TARN_OP_get_emulator, &e);
}

/* ---- The end: nobody else acts any more ---- */

static bool info_of(struct tarn_group *g, unsigned int domid)
{
    g->domid = (domid_t)domid;
    return hypercall2(__HYPERVISOR_tarn_op, TARN_OP_group_info, ARG(g)) == 0;
}

static unsigned int count_members(unsigned int master)
{
    struct tarn_group g;
    unsigned int n = 0;

    for (unsigned int i = 0; i < NR_DOMAINS; i++) {
        n += info_of(&g, FIRST_DOMID + i) && g.master == master;
    }
    for (unsigned int i = 0; i < NR_SHELLS; i++) {
        n += info_of(&g, FIRST_SHELL + i) && g.master == master;
    }
    return n;
}

static uint32_t pool_of(struct actor *a, unsigned int domid)
{
    return domctl(a, XEN_DOMCTL_getdomaininfo, domid) ? ~0U : a->domctl.u.getdomaininfo.cpupool;
}

static const char *check_one(struct actor *a, unsigned int domid)
{
    struct tarn_group g;
    unsigned int level = 1;
    uint32_t pool = pool_of(a, domid);

    if (!info_of(&g, domid)) {
        return NULL;
    }
    if (g.members != count_members(domid)) {
        return "a master has other members than it says";
    }
    for (; g.master != DOMID_INVALID; level++) {
        if (level == TARN_GROUP_DEPTH) {
            return "a tree is too deep, or none";
        }
        if (!info_of(&g, g.master)) {
            return "a master does not exist";
        }
        if (pool_of(a, g.domid) != pool) {
            return "a tree is in two pools";
        }
    }
    return NULL;
}

/* Three in a row, in Pool-0. */
static const char *new_family(struct actor *a)
{
    struct tarn_group g = { .weight = 100, .cap = 50 };

    for (unsigned int i = 0; i < NR_SHELLS; i++) {
        domctl(a, XEN_DOMCTL_destroydomain, FIRST_SHELL + i);
    }
    for (unsigned int i = 0; i < 3; i++) {
        make_shell(a, FIRST_SHELL + i, 0);
        g.domid = (domid_t)(FIRST_SHELL + i);
        g.master = (domid_t)(FIRST_SHELL + i - 1);
        if (i && hypercall2(__HYPERVISOR_tarn_op, TARN_OP_group_add, ARG(&g))) {
            return "a domain can't join a group";
        }
    }
    return NULL;
}

/* To every pool that takes the first of them. */
static const char *moves(struct actor *a)
{
    for (uint32_t pool = 0; pool < 16; pool++) {
        bool moved = move(a, FIRST_SHELL, pool) == 0;

        for (unsigned int i = 1; i < 3; i++) {
            if (pool_of(a, FIRST_SHELL + i) != pool_of(a, FIRST_SHELL)) {
                return "a group has not moved as one";
            }
            if (pool && moved && move(a, FIRST_SHELL + i, 0) != -XEN_EBUSY) {
                return "a member moved alone";
            }
        }
    }
    return NULL;
}

static const char *rules(struct actor *a)
{
    struct tarn_domain_shares s = { .domid = FIRST_SHELL + 1, .weight = 77, .cap = 7 };
    const char *why = new_family(a);
    struct tarn_group g;

    if (why) {
        return why;
    }
    if (hypercall2(__HYPERVISOR_tarn_op, TARN_OP_set_domain_shares, ARG(&s)) != -XEN_EBUSY) {
        return "a member's weight was changed";
    }
    why = moves(a);
    domctl(a, XEN_DOMCTL_destroydomain, FIRST_SHELL + 1);
    if (!why && info_of(&g, FIRST_SHELL + 1)) {
        why = "a domain is left";
    }
    for (unsigned int i = 0; i < 3 && !why; i += 2) {
        if (!info_of(&g, FIRST_SHELL + i) || g.members || g.master != DOMID_INVALID) {
            why = "a dead domain is still in a group";
        }
    }
    return why;
}

const char *groups_end(struct actor *a)
{
    const char *why = check_one(a, 0);

    for (unsigned int i = 0; i < NR_DOMAINS && !why; i++) {
        why = check_one(a, FIRST_DOMID + i);
    }
    for (unsigned int i = 0; i < NR_SHELLS && !why; i++) {
        why = check_one(a, FIRST_SHELL + i);
    }
    printf("attack: %lu joined a group, %lu refused, %lu times members left, %lu limits\n", joined,
           refusals, left_by, limits);
    return why ? why : rules(a);
}
