/* SPDX-License-Identifier: MIT */
/*
 * pools.c - attack=control's part about scheduling: pools that are made, given CPUs and domains and
 * taken apart while domains are built and destroyed in them; parameters of every scheduler, sound
 * ones and nonsense; vcpus of the control domain tied to CPUs; and the trace, whose rings are
 * spoilt while they are written. At the end all pools that are left must be able to run a domain.
 */
#include "control.h"

#include <tarn.h>
#include <xen/trace.h>

#define NR_POOLS 6U
#define ANY (~0U)
#define RING_PAGES 2U
#define MANY_VCPUS 140U
#define PATIENCE (20000 * MS)

static const uint32_t schedulers[] = { XEN_SCHEDULER_CREDIT, XEN_SCHEDULER_RTDS, XEN_SCHEDULER_NULL,
                                       TARN_SCHEDULER_SEDF, TARN_SCHEDULER_RR };
static uint64_t info_mfn;
static unsigned long done[8], set, spoilt; /* what came to pass */
/*
 * A list for each of us. However many elements the hypervisor is told there are, it must stop at
 * the wall, which as an element has no vcpu of any domain: what lies behind is our own counters.
 */
static struct {
    uint32_t list[MANY_VCPUS * sizeof(struct tarn_schedparam_sedf_vcpu) / 4];
    uint32_t wall[32];
} elements[MAX_VCPUS];

static uint32_t some_scheduler(struct actor *a)
{
    return below(&a->dice, 16) ? schedulers[below(&a->dice, 5)] : (uint32_t)below(&a->dice, 12);
}

uint32_t some_pool(struct actor *a)
{
    uint32_t pool = below(&a->dice, 2) ? 0 : (uint32_t)below(&a->dice, NR_POOLS);

    return below(&a->dice, 32) ? pool : (uint32_t)roll(&a->dice);
}

/* ---- Pools ---- */

static long pool_op(struct actor *a, uint32_t op, uint32_t pool, uint32_t cpu)
{
    struct xen_sysctl_cpupool_op *o = &a->sysctl.u.cpupool_op;

    memset(o, 0, sizeof(*o));
    o->op = op;
    o->cpupool_id = pool;
    o->cpu = cpu;
    o->sched_id = some_scheduler(a);
    o->domid = below(&a->dice, 64) ? some_domid(a) : (uint32_t)roll(&a->dice);
    o->cpumap.nr_bits = 64;
    set_xen_guest_handle(o->cpumap.bitmap, (uint8_t *)a->memory);
    return sysctl(a, XEN_SYSCTL_cpupool_op);
}

void act_pool(struct actor *a)
{
    static const uint32_t ops[] = {
        XEN_SYSCTL_CPUPOOL_OP_CREATE,     XEN_SYSCTL_CPUPOOL_OP_DESTROY,
        XEN_SYSCTL_CPUPOOL_OP_INFO,       XEN_SYSCTL_CPUPOOL_OP_ADDCPU,
        XEN_SYSCTL_CPUPOOL_OP_ADDCPU,     XEN_SYSCTL_CPUPOOL_OP_RMCPU,
        XEN_SYSCTL_CPUPOOL_OP_RMCPU,      XEN_SYSCTL_CPUPOOL_OP_MOVEDOMAIN,
        XEN_SYSCTL_CPUPOOL_OP_MOVEDOMAIN, XEN_SYSCTL_CPUPOOL_OP_MOVEDOMAIN,
        XEN_SYSCTL_CPUPOOL_OP_FREEINFO,   99,
    };
    uint32_t op = ops[below(&a->dice, sizeof(ops) / sizeof(ops[0]))];
    uint32_t pool = below(&a->dice, 16) ? some_pool(a) : ANY;

    if (pool_op(a, op, pool, below(&a->dice, 3) ? (uint32_t)below(&a->dice, 9) : ANY) == 0) {
        done[op % 8]++;
    }
}

/* Names, options, placement. */
void act_pool_tarn(struct actor *a)
{
    struct tarn_pool_options *o = (void *)a->memory;
    struct tarn_pool_name *n = (void *)a->memory;
    struct tarn_vcpu_placement *p = (void *)a->memory;
    struct tarn_domain_shares *s = (void *)a->memory;
    unsigned long cmd = TARN_OP_get_pool_name + below(&a->dice, 7);

    memset(a->memory, 0, sizeof(a->memory));
    switch (cmd) {
    case TARN_OP_get_vcpu_placement:
        p->domid = (domid_t)some_domid(a);
        p->vcpu = (uint32_t)(below(&a->dice, 8) ? below(&a->dice, 5) : roll(&a->dice));
        break;
    case TARN_OP_get_domain_shares:
    case TARN_OP_set_domain_shares:
        s->domid = (domid_t)some_domid(a);
        s->weight = (uint16_t)roll(&a->dice);
        s->cap = (uint16_t)(below(&a->dice, 4) ? 0 : roll(&a->dice));
        break;
    case TARN_OP_set_pool_options:
        o->id = some_pool(a);
        o->flags = (uint32_t)(below(&a->dice, 8) ? below(&a->dice, 8) : roll(&a->dice));
        break;
    default:
        n->id = some_pool(a);
        for (unsigned int i = 0; i < below(&a->dice, TARN_NAME_MAX + 1); i++) {
            n->name[i] = (char)('a' + below(&a->dice, 2));
        }
    }
    hypercall2(__HYPERVISOR_tarn_op, cmd, below(&a->dice, 32) ? ARG(a->memory) : roll(&a->dice));
}

/* ---- Parameters ---- */

static uint64_t odd_number(struct actor *a)
{
    static const uint64_t odd[] = {
        0,          1,           5,       9,           10,          11,         1000,
        4999,       5000,        9999,    10000,       20000,       10000000,   10000001,
        1ULL << 31, ~0U,         ~0ULL,   1ULL << 32,  1ULL << 63,  ~0ULL >> 1, 10000000000,
        9223372036, 10000000001, 1 << 20, 18446744074, 99999999999, 65535,      65536,
    };

    return below(&a->dice, 16) ? odd[below(&a->dice, sizeof(odd) / sizeof(odd[0]))]
                               : roll(&a->dice);
}

/* Between the limits, most of all near them. */
static uint64_t within(struct actor *a, uint64_t least, uint64_t most)
{
    switch (below(&a->dice, 3)) {
    case 0:
        return least;
    case 1:
        return most;
    default:
        return least + below(&a->dice, most - least + 1);
    }
}

static uint32_t some_flags(struct actor *a, bool force)
{
    uint32_t flags = below(&a->dice, 16) ? (uint32_t)below(&a->dice, 2) : (uint32_t)roll(&a->dice);

    return force ? flags | TARN_SCHEDRT_force : flags & ~TARN_SCHEDRT_force;
}

static void some_sedf(struct actor *a, struct tarn_sched_sedf *s, bool force)
{
    bool sound = below(&a->dice, 4);

    s->period = sound ? within(a, 10000, below(&a->dice, 2) ? 10000000000 : 20000) : odd_number(a);
    s->slice = sound ? within(a, 5000, s->period) : odd_number(a);
    s->latency = below(&a->dice, 2) ? 0 : sound ? within(a, 10000, s->period) : odd_number(a);
    s->weight = below(&a->dice, 2) ? 0 : (uint32_t)(sound ? within(a, 1, 65535) : odd_number(a));
    s->flags = some_flags(a, force);
}

static void some_rtds(struct actor *a, struct xen_domctl_sched_rtds *r, bool force)
{
    bool sound = below(&a->dice, 4);
    uint64_t most = below(&a->dice, 2) ? 10000000 : 20;

    r->period = (uint32_t)(sound ? within(a, 10, most) : odd_number(a));
    r->budget = (uint32_t)(sound ? within(a, 10, r->period) : odd_number(a));
    r->flags = some_flags(a, force);
}

/* Promises that can't be kept are only for where we don't live ourselves. */
static bool is_elsewhere(struct actor *a, unsigned int domid)
{
    return domctl(a, XEN_DOMCTL_getdomaininfo, domid) == 0 && a->domctl.u.getdomaininfo.cpupool;
}

static uint32_t scheduler_of(struct actor *a, unsigned int domid)
{
    if (domctl(a, XEN_DOMCTL_getdomaininfo, domid) ||
        pool_op(a, XEN_SYSCTL_CPUPOOL_OP_INFO, a->domctl.u.getdomaininfo.cpupool, 0)) {
        return some_scheduler(a);
    }
    return a->sysctl.u.cpupool_op.sched_id;
}

static void fill_elements(struct actor *a, uint32_t sched_id, bool force, void *list)
{
    struct tarn_schedparam_sedf_vcpu *sedf = list;
    struct xen_domctl_schedparam_vcpu *rtds = list;

    memset(elements[vcpu_self()].wall, 0xff, sizeof(elements[0].wall));
    for (unsigned int i = 0; i < 8; i++) {
        uint32_t vcpu = (uint32_t)(below(&a->dice, 32) ? below(&a->dice, 4) : odd_number(a));

        if (sched_id == TARN_SCHEDULER_SEDF) {
            some_sedf(a, &sedf[i].sedf, force);
            sedf[i].vcpuid = vcpu;
        } else {
            some_rtds(a, &rtds[i].u.rtds, force);
            rtds[i].vcpuid = vcpu;
        }
    }
}

/* Of a domain, or a list of its vcpus. */
void act_realtime(struct actor *a)
{
    struct xen_domctl_scheduler_op *s = &a->domctl.u.scheduler_op;
    unsigned int domid = FIRST_DOMID + (unsigned int)below(&a->dice, NR_DOMAINS);
    uint32_t sched_id = below(&a->dice, 8) ? scheduler_of(a, domid) : some_scheduler(a);
    bool force = below(&a->dice, 2) && is_elsewhere(a, domid);
    void *list = elements[vcpu_self()].list;

    s->sched_id = sched_id;
    s->cmd = (uint32_t)below(&a->dice, below(&a->dice, 16) ? 4 : 9);
    if (s->cmd >= XEN_DOMCTL_SCHEDOP_putvcpuinfo) {
        fill_elements(a, s->sched_id, force, list);
        s->u.v.nr_vcpus = (uint32_t)(below(&a->dice, 16) ? below(&a->dice, 9) : odd_number(a));
        s->u.v.vcpus.p = below(&a->dice, 32) ? list : (void *)(uintptr_t)odd_number(a);
    } else if (s->sched_id == TARN_SCHEDULER_SEDF) {
        some_sedf(a, (void *)&s->u, force);
    } else if (s->sched_id == XEN_SCHEDULER_RTDS) {
        some_rtds(a, &s->u.rtds, force);
    } else {
        s->u.credit.weight = (uint16_t)odd_number(a);
        s->u.credit.cap = (uint16_t)odd_number(a);
    }
    set += domctl(a, XEN_DOMCTL_scheduler_op, domid) == 0;
}

void act_credit_pool(struct actor *a)
{
    struct xen_sysctl_scheduler_op *o = &a->sysctl.u.scheduler_op;
    bool sound = below(&a->dice, 2);

    memset(o, 0, sizeof(*o));
    o->cpupool_id = some_pool(a);
    o->sched_id = below(&a->dice, 2) ? XEN_SCHEDULER_CREDIT : some_scheduler(a);
    o->cmd = (uint32_t)below(&a->dice, below(&a->dice, 8) ? 2 : 5);
    o->u.sched_credit.tslice_ms = (uint32_t)(sound ? within(a, 1, 1000) : odd_number(a));
    o->u.sched_credit.ratelimit_us = (uint32_t)(sound ? within(a, 100, 1000) : odd_number(a));
    o->u.sched_credit.vcpu_migr_delay_us = (uint32_t)(sound ? within(a, 0, 100000) : odd_number(a));
    sysctl(a, XEN_SYSCTL_scheduler_op);
}

/* ---- Our own vcpus ---- */

static void pin_override(int32_t cpu)
{
    struct sched_pin_override p = { .pcpu = cpu };

    sched_op(SCHEDOP_pin_override, &p);
}

void act_pin(struct actor *a)
{
    pin_override(below(&a->dice, 4) ? (int32_t)below(&a->dice, 10) - 2 : (int32_t)odd_number(a));
    if (below(&a->dice, 2)) {
        pin_end();
    }
}

void pin_end(void)
{
    pin_override(-1);
}

/* ---- The trace ---- */

static long tbuf_op(struct actor *a, uint32_t cmd)
{
    a->sysctl.u.tbuf_op.cmd = cmd;
    return sysctl(a, XEN_SYSCTL_tbuf_op);
}

void pools_begin(struct actor *a)
{
    memset(&a->sysctl.u, 0, sizeof(a->sysctl.u));
    a->sysctl.u.tbuf_op.size = RING_PAGES;
    tbuf_op(a, XEN_SYSCTL_TBUFOP_set_size);
    tbuf_op(a, XEN_SYSCTL_TBUFOP_get_info);
    info_mfn = a->sysctl.u.tbuf_op.buffer_mfn;
}

void act_trace(struct actor *a)
{
    struct xen_sysctl_tbuf_op *o = &a->sysctl.u.tbuf_op;

    memset(o, 0, sizeof(*o));
    o->evt_mask = (uint32_t)(below(&a->dice, 2) ? TRC_ALL : odd_number(a));
    o->size = (uint32_t)odd_number(a);
    a->memory[0] = below(&a->dice, 2) ? ~0UL : roll(&a->dice);
    o->cpu_mask.nr_bits = (uint32_t)(below(&a->dice, 4) ? 64 : odd_number(a));
    set_xen_guest_handle(o->cpu_mask.bitmap, (uint8_t *)a->memory);
    tbuf_op(a, (uint32_t)below(&a->dice, 8));
}

/* Anything anywhere in a ring, most of all where the protocol has its numbers. It may stay mapped
 * until another one takes the alias. */
void act_ring(struct actor *a)
{
    uint64_t *alias = some_alias(a), mfn;
    const struct t_info *info = (const void *)alias;

    if (!info_mfn || map_foreign(alias, info_mfn, DOMID_XEN, PTE_RO)) {
        return;
    }
    mfn = info->mfn_offset[below(&a->dice, 8)];
    mfn = mfn ? ((const uint32_t *)info)[mfn + below(&a->dice, RING_PAGES)] : info_mfn;
    if (map_foreign(alias, mfn, DOMID_XEN, PTE_RW)) {
        return;
    }
    spoilt++;
    for (unsigned int i = 0; i < 64; i++) {
        ((volatile uint32_t *)
             alias)[below(&a->dice, 2) ? below(&a->dice, 2) : below(&a->dice, 1024)] =
            (uint32_t)(below(&a->dice, 2) ? below(&a->dice, 0x4000) : odd_number(a));
        if (i % 8 == 0) {
            xen_version(XENVER_version, NULL);
        }
    }
}

/* ---- The end ---- */

/* The one with the lowest id from there on; ANY: there is none. */
static uint32_t next_pool(struct actor *a, uint32_t from)
{
    return pool_op(a, XEN_SYSCTL_CPUPOOL_OP_INFO, from, 0) ? ANY
                                                           : a->sysctl.u.cpupool_op.cpupool_id;
}

static uint64_t ran(struct actor *a, unsigned int domid)
{
    return domctl(a, XEN_DOMCTL_getdomaininfo, domid) ? 0 : a->domctl.u.getdomaininfo.cpu_time;
}

static bool runs(struct actor *a, unsigned int slot)
{
    uint64_t until = clock_now() + PATIENCE;

    while (!ran(a, FIRST_DOMID + slot)) {
        if (clock_now() > until) {
            return false;
        }
        sched_op(SCHEDOP_yield, NULL);
    }
    return true;
}

/* What a build is asked for is dice, too: a domain may be refused for its number of vcpus. */
static bool build_at_last(struct actor *a, uint32_t pool)
{
    bool built = false;

    for (unsigned int i = 0; i < 8 && !built; i++) {
        built = build_domain(a, 0, pool);
        if (!built) {
            domctl(a, XEN_DOMCTL_destroydomain, FIRST_DOMID);
        }
    }
    return built;
}

const char *pools_run(struct actor *a)
{
    const char *why = NULL;
    unsigned int n = 0;

    for (uint32_t id = 0; !why && (id = next_pool(a, id)) != ANY; id++) {
        pool_op(a, XEN_SYSCTL_CPUPOOL_OP_ADDCPU, id, ANY);
        if (build_at_last(a, id)) {
            n++;
            why = runs(a, 0) ? NULL : "a domain does not run";
            printf("attack: pool %u: %s\n", id, why ? why : "runs");
            domctl(a, XEN_DOMCTL_destroydomain, FIRST_DOMID);
        }
    }
    return why ? why : n ? NULL : "there is no pool that a domain can be in";
}

static const char *end_pool(struct actor *a, uint32_t id)
{
    while (pool_op(a, XEN_SYSCTL_CPUPOOL_OP_RMCPU, id, ANY) == 0) {
    }
    return pool_op(a, XEN_SYSCTL_CPUPOOL_OP_DESTROY, id, 0) ? "a pool can't be destroyed" : NULL;
}

const char *pools_end(struct actor *a)
{
    const char *why = NULL;
    uint32_t id;

    while (!why && (id = next_pool(a, 1)) != ANY) {
        why = end_pool(a, id);
    }
    while (pool_op(a, XEN_SYSCTL_CPUPOOL_OP_ADDCPU, 0, ANY) == 0) {
    }
    tbuf_op(a, XEN_SYSCTL_TBUFOP_disable);
    printf("attack: %lu pools made, %lu destroyed, %lu CPUs given, %lu taken, %lu moves, "
           "%lu parameters, %lu times a ring was spoilt\n",
           done[XEN_SYSCTL_CPUPOOL_OP_CREATE], done[XEN_SYSCTL_CPUPOOL_OP_DESTROY],
           done[XEN_SYSCTL_CPUPOOL_OP_ADDCPU], done[XEN_SYSCTL_CPUPOOL_OP_RMCPU],
           done[XEN_SYSCTL_CPUPOOL_OP_MOVEDOMAIN], set, spoilt);
    return why;
}
