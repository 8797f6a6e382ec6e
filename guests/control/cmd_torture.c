/* SPDX-License-Identifier: MIT */
/*
 * cmd_torture.c - torture: random operations on pools, CPUs and domains by direct hypercalls,
 * beside domains that burn and domains that sleep. Each answer is compared with the one that the
 * model (torture.h) knows, and so are, after each operation, all pools and CPUs.
 *
 * A stall is what the domains measure: a burner that does not come to look at the clock for 50 ms,
 * a sleeper that is woken 50 ms late. Nothing is taken off for what the torturer does to them: it
 * has them paused for a millisecond at most, and leaves out what would let more of them compete for
 * a CPU than take their turns within some 30 ms (torture_fair).
 */
#include "shell.h"
#include "torture.h"

#include <tarn.h>

enum { POOL0, MOST_CPU = 1u << 30 };

struct torture {
    struct torture_model m;
    uint64_t random, longest; /* longest: ns of an operation */
    unsigned long done, refused, skipped;
    unsigned int created; /* names of domains that come and go */
    const char *slowest;
    bool failed;
};

/* ---- chance ---- */

static u32 below(struct torture *t, u32 n)
{
    return (u32)((random_next(&t->random) >> 20) % n);
}

static u32 some_cpu(struct torture *t)
{
    return below(t, t->m.nr_cpus + 1);
}

/* One, a few, half or all of them. */
static struct cpumask some_cpus(struct torture *t)
{
    struct cpumask mask;
    u32 kind = below(t, 4);

    cpumask_clear_all(&mask);
    cpumask_set(&mask, below(t, t->m.nr_cpus));
    for (u32 cpu = 0; kind && cpu < t->m.nr_cpus; cpu++) {
        if (kind == 3 || below(t, kind == 1 ? MAX(t->m.nr_cpus / 2, 1u) : 2) == 0) {
            cpumask_set(&mask, cpu);
        }
    }
    return mask;
}

/* Index of a pool, mostly of one that is there. */
static u32 some_pool(struct torture *t)
{
    u32 i = below(t, TORTURE_POOLS);

    for (u32 n = 0; n < TORTURE_POOLS && !t->m.pool[i].there && below(t, 8); n++) {
        i = (i + 1) % TORTURE_POOLS;
    }
    return i;
}

static struct torture_subject *some_subject(struct torture *t)
{
    struct torture_subject *s = &t->m.subject[below(t, TORTURE_SUBJECTS)];

    while (!s->there) {
        s = s + 1 == t->m.subject + TORTURE_SUBJECTS ? t->m.subject : s + 1;
    }
    return s;
}

/* ---- operations and answers ---- */

static void expected(struct torture *t, const char *what, long rc, long want, uint64_t begun)
{
    uint64_t took = clock_now() - begun;

    t->done++;
    t->refused += rc != 0;
    if (took > t->longest) {
        t->longest = took;
        t->slowest = what;
    }
    if (rc != want && !t->failed) {
        t->failed = true;
        fail("operation %lu, %s: %s in place of %s", t->done, what, rc ? error_name(rc) : "0",
             want ? error_name(want) : "0");
    }
}

static long pool_call(struct xen_sysctl *op, u32 cmd, u32 id, u32 cpu)
{
    op->cmd = XEN_SYSCTL_cpupool_op;
    op->u.cpupool_op.op = cmd;
    op->u.cpupool_op.cpupool_id = id;
    op->u.cpupool_op.cpu = cpu;
    return sysctl(op);
}

/* The model with a change: taken over if everybody has his part of a CPU in it. */
static bool fair_with(struct torture *t, const struct torture_model *changed, u32 pool)
{
    if (torture_fair(changed, pool)) {
        return true;
    }
    t->skipped++;
    return false;
}

static struct torture_model changed; /* too large for the stack */

static void credit_params(struct torture *t, u32 pool)
{
    const struct torture_pool *p = &t->m.pool[pool];
    struct xen_sysctl op = { .cmd = XEN_SYSCTL_scheduler_op };
    uint64_t begun = clock_now();

    op.u.scheduler_op.cpupool_id = p->id;
    op.u.scheduler_op.sched_id = XEN_SCHEDULER_CREDIT;
    op.u.scheduler_op.cmd = XEN_SYSCTL_SCHEDOP_putinfo;
    op.u.scheduler_op.u.sched_credit.tslice_ms = 1 + below(t, 2);
    op.u.scheduler_op.u.sched_credit.ratelimit_us = below(t, 2) * 1000;
    op.u.scheduler_op.u.sched_credit.vcpu_migr_delay_us = below(t, 3) * 500;
    expected(t, "parameters", sysctl(&op),
             p->there ? p->sched == XEN_SCHEDULER_CREDIT ? 0 : -XEN_EINVAL : -XEN_ESRCH, begun);
}

static void create(struct torture *t)
{
    static const u32 scheds[] = { XEN_SCHEDULER_CREDIT, XEN_SCHEDULER_CREDIT, XEN_SCHEDULER_RTDS,
                                  XEN_SCHEDULER_NULL,   TARN_SCHEDULER_SEDF,  99 };
    u32 i = below(t, TORTURE_POOLS), sched = scheds[below(t, ARRAY_SIZE(scheds))];
    struct torture_pool *p = &t->m.pool[i];
    struct xen_sysctl op = { .u.cpupool_op.sched_id = sched };
    uint64_t begun = clock_now();
    long want = torture_create(&t->m, sched != 99, p->there);
    long rc = pool_call(&op, XEN_SYSCTL_CPUPOOL_OP_CREATE,
                        p->there && sched != 99 ? p->id : XEN_SYSCTL_CPUPOOL_PAR_ANY, 0);

    expected(t, "create", rc, want, begun);
    if (rc == 0 && want == 0) {
        *p = (struct torture_pool){ .there = true,
                                    .id = op.u.cpupool_op.cpupool_id,
                                    .sched = sched };
        if (sched == XEN_SCHEDULER_CREDIT) {
            credit_params(t, i);
        }
    }
}

static void destroy(struct torture *t)
{
    u32 i = some_pool(t);
    struct torture_pool *p = &t->m.pool[i];
    struct xen_sysctl op = { 0 };
    uint64_t begun = clock_now();
    long want = !p->there                                                   ? -XEN_ENOENT
                : torture_has_domains(&t->m, i) || !cpumask_empty(&p->cpus) ? -XEN_EBUSY
                                                                            : 0;
    long rc = pool_call(&op, XEN_SYSCTL_CPUPOOL_OP_DESTROY, p->there ? p->id : MOST_CPU, 0);

    expected(t, "destroy", rc, want, begun);
    p->there &= rc != 0;
}

static void add(struct torture *t)
{
    u32 i = some_pool(t), cpu = some_cpu(t);
    struct torture_pool *p = &t->m.pool[i];
    struct cpumask none = torture_free_cpus(&t->m);
    bool any = below(t, 2);
    struct xen_sysctl op = { 0 };
    uint64_t begun = clock_now();
    long want, rc;

    cpu = any && !cpumask_empty(&none) ? cpumask_first(&none) : cpu;
    want = any && p->there && cpumask_empty(&none) ? -XEN_ENODEV : torture_add(&t->m, i, cpu);
    rc = pool_call(&op, XEN_SYSCTL_CPUPOOL_OP_ADDCPU, p->there ? p->id : MOST_CPU,
                   any ? XEN_SYSCTL_CPUPOOL_PAR_ANY : cpu);
    expected(t, "add", rc, want, begun);
    if (rc == 0) {
        cpumask_set(&p->cpus, cpu);
    }
}

static void take(struct torture *t)
{
    u32 i = some_pool(t), cpu = some_cpu(t);
    struct torture_pool *p = &t->m.pool[i];
    struct xen_sysctl op = { 0 };
    uint64_t begun;
    long want = torture_remove(&t->m, i, cpu), rc;

    changed = t->m;
    cpumask_clear(&changed.pool[i].cpus, cpu);
    if (want == 0 && !fair_with(t, &changed, i)) {
        return;
    }
    begun = clock_now();
    rc = pool_call(&op, XEN_SYSCTL_CPUPOOL_OP_RMCPU, p->there ? p->id : MOST_CPU, cpu);
    expected(t, "remove", rc, want, begun);
    if (rc == 0) {
        cpumask_clear(&p->cpus, cpu);
    }
}

static void move(struct torture *t)
{
    struct torture_subject *s = some_subject(t);
    u32 i = some_pool(t);
    struct torture_pool *p = &t->m.pool[i];
    struct xen_sysctl op = { .u.cpupool_op.domid = s->domid };
    uint64_t begun;
    long want = !p->there || cpumask_empty(&p->cpus) ? -XEN_ENOENT : 0, rc;

    changed = t->m;
    changed.subject[s - t->m.subject].pool = i;
    if (want == 0 && !fair_with(t, &changed, i)) {
        return;
    }
    begun = clock_now();
    rc = pool_call(&op, XEN_SYSCTL_CPUPOOL_OP_MOVEDOMAIN, p->there ? p->id : MOST_CPU, 0);
    expected(t, "move", rc, want, begun);
    s->pool = rc == 0 ? i : s->pool;
}

static void hotplug(struct torture *t)
{
    u32 cpu = some_cpu(t), pool = torture_pool_of(&t->m, cpu);
    bool off = cpumask_test(&t->m.online, cpu) ? below(t, 16) : !below(t, 16);
    long want = off ? torture_offline(&t->m, cpu) : torture_online(&t->m, cpu), rc;
    struct xen_sysctl op = { .cmd = XEN_SYSCTL_cpu_hotplug };
    uint64_t begun;

    changed = t->m;
    cpumask_clear(&changed.pool[POOL0].cpus, cpu);
    if (off && want == 0 && pool == POOL0 && !fair_with(t, &changed, POOL0)) {
        return;
    }
    op.u.cpu_hotplug.cpu = cpu;
    op.u.cpu_hotplug.op = off ? XEN_SYSCTL_CPU_HOTPLUG_OFFLINE : XEN_SYSCTL_CPU_HOTPLUG_ONLINE;
    begun = clock_now();
    rc = sysctl(&op);
    expected(t, off ? "offline" : "online", rc, want, begun);
    if (rc == 0 && off) {
        cpumask_clear(&t->m.online, cpu);
        cpumask_clear(&t->m.pool[POOL0].cpus, cpu);
    } else if (rc == 0) {
        cpumask_set(&t->m.online, cpu);
        cpumask_set(&t->m.pool[POOL0].cpus, cpu);
    }
}

static void pin(struct torture *t)
{
    struct torture_subject *s = some_subject(t);
    const struct torture_pool *p = &t->m.pool[s->pool];
    u32 flags = 1 + below(t, 3);
    struct cpumask hard = some_cpus(t), soft = some_cpus(t), given = hard;
    bool out_of_pool = (flags & XEN_VCPUAFFINITY_HARD) && !cpumask_intersects(&hard, &p->cpus);
    uint64_t begun;
    long rc;

    changed = t->m;
    changed.subject[s - t->m.subject].hard = hard;
    if ((flags & XEN_VCPUAFFINITY_HARD) && !out_of_pool && !fair_with(t, &changed, s->pool)) {
        return;
    }
    begun = clock_now();
    rc = affinity_set(s->domid, 0, flags, &hard, &soft);
    expected(t, "pin", rc, out_of_pool ? -XEN_EINVAL : 0, begun);
    if (rc == 0 && (flags & XEN_VCPUAFFINITY_HARD)) {
        s->hard = given;
    }
}

static void weigh(struct torture *t)
{
    struct torture_subject *s = some_subject(t);
    bool credit = t->m.pool[s->pool].sched == XEN_SCHEDULER_CREDIT;
    struct xen_domctl_sched_credit p = { .weight = (u16)(256 + below(t, 257)), .cap = 0 };
    uint64_t begun = clock_now();

    p.cap = s->extra ? (u16)below(t, 3) * 40 : 0;
    expected(t, "weight", credit_domain(s->domid, XEN_DOMCTL_SCHEDOP_putinfo, &p),
             credit ? 0 : -XEN_EINVAL, begun);
}

/* What fits the limit of two for each CPU is never refused. */
static void promise(struct torture *t)
{
    struct torture_subject *s = some_subject(t);
    struct xen_domctl op = { .cmd = XEN_DOMCTL_scheduler_op, .domain = s->domid };
    struct xen_domctl_schedparam_vcpu v = { .vcpuid = 0 };
    uint64_t begun = clock_now();
    bool wrong = below(t, 8) == 0;

    v.u.rtds.period = 10000;
    v.u.rtds.budget = wrong ? 10001 : 1000 + 1000 * below(t, 4);
    v.u.rtds.flags = XEN_DOMCTL_SCHEDRT_extra;
    op.u.scheduler_op.sched_id = XEN_SCHEDULER_RTDS;
    op.u.scheduler_op.cmd = XEN_DOMCTL_SCHEDOP_putvcpuinfo;
    set_xen_guest_handle(op.u.scheduler_op.u.v.vcpus, &v);
    op.u.scheduler_op.u.v.nr_vcpus = 1;
    expected(t, "promise", domctl(&op),
             wrong || t->m.pool[s->pool].sched != XEN_SCHEDULER_RTDS ? -XEN_EINVAL : 0, begun);
}

static void rename(struct torture *t)
{
    u32 i = some_pool(t), other = some_pool(t);
    struct tarn_pool_name name = { .id = t->m.pool[i].there ? t->m.pool[i].id : MOST_CPU };
    bool taken = below(t, 2) && t->m.pool[other].there && other != i;
    uint64_t begun = clock_now();

    if (i == POOL0 || (taken && !t->m.pool[i].there)) {
        return; /* two faults at once: either may be told */
    }
    fmt_snprintf(name.name, sizeof(name.name), "Torture-%u", i);
    if (taken) {
        struct tarn_pool_name its = { .id = t->m.pool[other].id };

        hypercall2(__HYPERVISOR_tarn_op, TARN_OP_get_pool_name, ARG(&its));
        memcpy(name.name, its.name, sizeof(name.name));
    }
    expected(t, "rename", hypercall2(__HYPERVISOR_tarn_op, TARN_OP_set_pool_name, ARG(&name)),
             !t->m.pool[i].there ? -XEN_ENOENT
             : taken             ? -XEN_EEXIST
                                 : 0,
             begun);
}

static void stop_and_go(struct torture *t)
{
    struct torture_subject *s = some_subject(t);
    uint64_t begun = clock_now();

    expected(t, "pause", domctl_simple(XEN_DOMCTL_pausedomain, s->domid), 0, begun);
    loop_until_time(clock_now() + below(t, 1000) * US);
    begun = clock_now();
    expected(t, "unpause", domctl_simple(XEN_DOMCTL_unpausedomain, s->domid), 0, begun);
}

/* The control domain sits on a CPU of its pool, which can't leave then. */
static void override(struct torture *t)
{
    struct sched_pin_override op = { .pcpu = (int32_t)below(t, t->m.nr_cpus) };
    const struct torture_pool *p = &t->m.pool[POOL0];
    u32 cpu = (u32)op.pcpu;
    bool inside = cpumask_test(&p->cpus, cpu);
    uint64_t begun = clock_now();
    struct xen_sysctl sys = { 0 };
    long rc = sched_op(SCHEDOP_pin_override, &op);

    if (rc == -XEN_ENOSYS) {
        return;
    }
    expected(t, "pin override", rc, inside ? 0 : -XEN_EINVAL, begun);
    if (rc) {
        return;
    }
    begun = clock_now();
    rc = pool_call(&sys, XEN_SYSCTL_CPUPOOL_OP_RMCPU, p->id, cpu);
    expected(t, "remove under an override", rc,
             cpu == 0                        ? -XEN_EINVAL
             : cpumask_weight(&p->cpus) == 1 ? -XEN_EBUSY
                                             : -XEN_EADDRINUSE,
             begun);
    op.pcpu = -1;
    begun = clock_now();
    expected(t, "end of the override", sched_op(SCHEDOP_pin_override, &op), 0, begun);
}

/* ---- domains ---- */

static struct torture_subject *room(struct torture *t)
{
    for (u32 i = 0; i < TORTURE_SUBJECTS; i++) {
        if (!t->m.subject[i].there) {
            return &t->m.subject[i];
        }
    }
    return NULL;
}

/* In the pool of that index, from the file; false after fail(). */
static bool subject_create(struct torture *t, u32 pool, const char *file, const char *name,
                           const char *extra, bool comes_and_goes)
{
    static char words[4][TEXT_SIZE];
    char *overrides[4];
    struct torture_subject *s = room(t);
    struct config *config;
    domid_t domid;
    bool good;

    fmt_snprintf(words[0], TEXT_SIZE, "name=\"%s\"", name);
    fmt_snprintf(words[1], TEXT_SIZE, "extra=\"%s\"", extra);
    fmt_snprintf(words[2], TEXT_SIZE, "pool=\"%s\"", cpupool_name(t->m.pool[pool].id));
    fmt_snprintf(words[3], TEXT_SIZE, "memory=4");
    for (u32 i = 0; i < 4; i++) {
        overrides[i] = words[i];
    }
    config = s ? config_read(file, 4, overrides) : NULL;
    good = config && domain_create(config, false, &domid) == 0;
    release(config);
    if (good) {
        *s = (struct torture_subject){
            .there = true, .extra = comes_and_goes, .domid = domid, .pool = pool
        };
        cpumask_set_all(&s->hard);
    }
    return good;
}

static void come(struct torture *t)
{
    struct torture_subject *s = room(t);
    u32 i = some_pool(t);
    char name[16];

    if (!s || !t->m.pool[i].there || cpumask_empty(&t->m.pool[i].cpus)) {
        return;
    }
    changed = t->m;
    changed.subject[s - t->m.subject] = (struct torture_subject){ .there = true, .pool = i };
    cpumask_set_all(&changed.subject[s - t->m.subject].hard);
    if (!fair_with(t, &changed, i)) {
        return;
    }
    fmt_snprintf(name, sizeof(name), "x%u", t->created++);
    t->failed |= !subject_create(t, i, "nap.cfg", name, "period=5000 work=300", true);
    t->done++;
}

static void go(struct torture *t)
{
    for (u32 i = 0; i < TORTURE_SUBJECTS; i++) {
        struct torture_subject *s = &t->m.subject[i];

        if (s->there && s->extra) {
            struct domain *d = domain_by_id(s->domid);
            long rc = d ? domain_destroy(d) : -XEN_ESRCH;

            expected(t, "end of a domain", rc, 0, clock_now());
            s->there = false;
            return;
        }
    }
}

static void extras(struct torture *t)
{
    if (below(t, 2)) {
        come(t);
    } else {
        go(t);
    }
}

static void parameters(struct torture *t)
{
    u32 i = some_pool(t);

    if (t->m.pool[i].there) {
        credit_params(t, i);
    }
}

/* ---- what is so ---- */

static void wrong(struct torture *t, const char *what, u32 id)
{
    t->failed = true;
    fail("after operation %lu: %s %u is not as it should be", t->done, what, id);
}

static void pools_check(struct torture *t)
{
    struct xen_sysctl_cpupool_op info;
    struct cpumask cpus, seen;
    u32 found = 0, known = 0;

    cpumask_clear_all(&seen);
    for (u32 id = 0; cpupool_info(id, &info, &cpus) == 0; id = info.cpupool_id + 1) {
        u32 n_dom = info.cpupool_id == 0;

        found++;
        if (cpumask_intersects(&seen, &cpus)) {
            wrong(t, "the CPUs of pool", info.cpupool_id);
        }
        cpumask_for_each(cpu, &cpus) {
            cpumask_set(&seen, cpu);
        }
        for (u32 i = 0; i < TORTURE_POOLS; i++) {
            const struct torture_pool *p = &t->m.pool[i];

            if (!p->there || p->id != info.cpupool_id) {
                continue;
            }
            for (u32 s = 0; s < TORTURE_SUBJECTS; s++) {
                n_dom += t->m.subject[s].there && t->m.subject[s].pool == i;
            }
            if (!cpumask_equal(&p->cpus, &cpus) || p->sched != info.sched_id ||
                n_dom != info.n_dom) {
                wrong(t, "pool", p->id);
            }
        }
    }
    for (u32 i = 0; i < TORTURE_POOLS; i++) {
        known += t->m.pool[i].there;
    }
    if (found != known) {
        wrong(t, "the number of pools:", found);
    }
}

/* Free CPUs, and how many are online. */
static void cpus_check(struct torture *t)
{
    struct xen_sysctl op = { 0 };
    struct xen_sysctl_physinfo host;
    struct cpumask none, want = torture_free_cpus(&t->m);

    cpumask_clear_all(&none);
    cpu_bitmap(&op.u.cpupool_op.cpumap, &none);
    if (pool_call(&op, XEN_SYSCTL_CPUPOOL_OP_FREEINFO, 0, 0) || !cpumask_equal(&none, &want)) {
        wrong(t, "the set of free CPUs:", cpumask_weight(&none));
    }
    if (physinfo_get(&host) || host.nr_cpus != cpumask_weight(&t->m.online)) {
        wrong(t, "the number of CPUs:", host.nr_cpus);
    }
}

/* ---- the run ---- */

static const struct {
    u32 chance; /* of all together */
    void (*run)(struct torture *t);
} operations[] = {
    { 5, create },     { 3, destroy },     { 20, add },     { 16, take },   { 20, move },
    { 10, hotplug },   { 16, pin },        { 6, weigh },    { 6, promise }, { 2, rename },
    { 6, parameters }, { 5, stop_and_go }, { 3, override }, { 2, extras },
};

static void once(struct torture *t)
{
    u32 sum = 0, at;

    for (size_t i = 0; i < ARRAY_SIZE(operations); i++) {
        sum += operations[i].chance;
    }
    at = below(t, sum);
    for (size_t i = 0; i < ARRAY_SIZE(operations); i++) {
        if (at < operations[i].chance) {
            operations[i].run(t);
            break;
        }
        at -= operations[i].chance;
    }
    pools_check(t);
    cpus_check(t);
    loop_until_time(clock_now() + below(t, 1000) * US);
}

/* Sleepers wake one after the other. */
static bool subjects_create(struct torture *t, unsigned int n, const char *file, const char *letter,
                            const char *extra_args)
{
    for (unsigned int i = 0; i < n; i++) {
        char name[16], extra[64];

        fmt_snprintf(name, sizeof(name), "%s%u", letter, i);
        fmt_snprintf(extra, sizeof(extra), "%s phase=%u", extra_args, i * 10000 / n);
        if (!subject_create(t, POOL0, file, name, extra, false)) {
            return false;
        }
    }
    return true;
}

/* As the machine was after its start. */
static bool begin(struct torture *t, unsigned int burners, unsigned int sleepers)
{
    struct xen_sysctl_cpupool_op info;
    struct torture_pool *p = &t->m.pool[POOL0];

    p->there = true;
    if (cpupool_info(0, &info, &p->cpus)) {
        return false;
    }
    p->sched = info.sched_id;
    t->m.nr_cpus = cpus_max();
    t->m.online = p->cpus;
    credit_params(t, POOL0);
    return subjects_create(t, burners, "burn.cfg", "b", "seconds=1000000 away") &&
           subjects_create(t, sleepers, "nap.cfg", "s", "period=10000 work=1000");
}

static uint64_t ran(const struct torture_subject *s)
{
    struct xen_domctl_getdomaininfo info;

    return domain_info(s->domid, &info) ? 0 : info.cpu_time;
}

/* In the end everybody still gets on, and has told how it was. */
static void all_alive(struct torture *t)
{
    static uint64_t before[TORTURE_SUBJECTS];

    for (u32 i = 0; i < TORTURE_SUBJECTS; i++) {
        before[i] = t->m.subject[i].there ? ran(&t->m.subject[i]) : 0;
    }
    loop_until_time(clock_now() + 2200 * MS);
    for (u32 i = 0; i < TORTURE_SUBJECTS; i++) {
        if (t->m.subject[i].there && ran(&t->m.subject[i]) <= before[i]) {
            t->failed = true;
            fail("%s does not run any more", domid_name(t->m.subject[i].domid));
        }
    }
}

static int torture(struct torture *t, uint64_t n, unsigned int burners, unsigned int sleepers)
{
    uint64_t begun, tenth = 1;

    if (!begin(t, burners, sleepers)) {
        return fail("the domains can't be made");
    }
    loop_until_time(clock_now() + 100 * MS);
    begun = clock_now();
    while (t->done < n && !t->failed && !session->cancelled && !loop_ending()) {
        once(t);
        for (; t->done * 10 >= tenth * n; tenth++) {
            out("torture: %lu of %lu operations\n", t->done, n);
        }
    }
    all_alive(t);
    out("torture: %lu operations in %lu ms, %lu refused, %lu left out; the longest %lu us (%s)\n",
        t->done, (clock_now() - begun) / MS, t->refused, t->skipped, t->longest / US, t->slowest);
    return t->failed ? 1 : session->cancelled ? CANCELLED : 0;
}

/* "key=N" */
static bool count_of(const char *word, const char *key, uint64_t *value)
{
    size_t len = strlen(key);

    return text_begins(word, key) && word[len] == '=' && number_parse(word + len + 1, 32, value);
}

/* The model begins with one pool and domain 0 alone. */
static bool machine_is_fresh(void)
{
    struct xen_domctl_getdomaininfo *list;
    struct xen_sysctl_cpupool_op pool;
    long n = domain_infos(&list);

    release(n < 0 ? NULL : list);
    return n == 1 && cpupool_info(1, &pool, NULL) != 0;
}

static int run_torture(int argc, char **argv)
{
    uint64_t seed, n, burners = 16, sleepers = 16;
    struct torture *t;
    int status;

    if (argc < 3 || !number_parse(argv[1], UINT32_MAX, &seed) ||
        !number_parse(argv[2], 100000000, &n)) {
        return USAGE;
    }
    for (int i = 3; i < argc; i++) {
        if (!count_of(argv[i], "burners", &burners) && !count_of(argv[i], "sleepers", &sleepers)) {
            return USAGE;
        }
    }
    if (!machine_is_fresh()) {
        return fail("it wants a machine with one cpupool and no domain but domain 0 (EBUSY)");
    }
    t = allocate(sizeof(*t));
    if (!t) {
        return fail_errno(-XEN_ENOMEM, "model");
    }
    t->random = seed * 0x9e3779b97f4a7c15UL + 1;
    t->slowest = "none";
    status = torture(t, n, (unsigned int)burners, (unsigned int)sleepers);
    release(t);
    return status;
}

const struct command cmd_torture = {
    .name = "torture",
    .usage = "SEED N [burners=N] [sleepers=N]",
    .help = "for tests: N random operations on pools and domains, each answer looked at",
    .run = run_torture,
};
