/* SPDX-License-Identifier: MIT */
/* The invariants of check.h. */
#include <stdio.h>
#include <string.h>

#include <tarn/softirq.h>
#include <xen/vcpu.h>
#include <public/tarn.h>

#include "../../sched/dispatch.h"
#include "check.h"

#define POOLS 1024

static struct {
    struct sched_pool *pool[POOLS];
    u32 doms[POOLS], waiting[POOLS];
    u32 n;
    bool stalls;
    struct cpumask idle; /* and nobody called them */
} look;

s64 sim_longest_judged;

static bool called(u32 cpu)
{
    return pcpus[cpu]->softirq_pending & BIT(SOFTIRQ_SCHEDULE);
}

static u32 pool_index(const struct sched_pool *p)
{
    for (u32 i = 0; i < look.n; i++) {
        if (look.pool[i] == p) {
            return i;
        }
    }
    panic("a pool that is in no list");
}

/* ---- Pools and CPUs ---------------------------------------------------------------------- */

/* They are in the same pool, and know whose members they are. */
static void check_members(const struct domain *d)
{
    u32 depth = 1;

    list_for_each(l, &d->sched.members) {
        const struct sched_dom *s = list_entry(l, struct sched_dom, sibling);

        ASSERT(s->master == &d->sched);
        ASSERT(container_of((uintptr_t)s, struct domain, sched)->pool == d->pool);
    }
    for (const struct sched_dom *s = &d->sched; s->master; s = s->master) {
        ASSERT(depth++ < TARN_GROUP_DEPTH);
    }
}

static void check_pool(struct sched_pool *p, struct cpumask *seen)
{
    u32 doms = 0;

    if (cpumask_intersects(seen, &p->cpus)) {
        panic("a CPU of %s is in another pool, too", p->name);
    }
    ASSERT(!p->lock.locked && cpumask_subset(&p->idlers, &p->cpus));
    for (u32 i = 0; i < CPUMASK_WORDS; i++) {
        seen->bits[i] |= p->cpus.bits[i];
    }
    list_for_each(l, &p->doms) {
        const struct domain *d = container_of(list_entry(l, struct sched_dom, link), struct domain,
                                              sched);

        ASSERT(d->pool == p);
        check_members(d);
        doms++;
    }
    if (doms != p->nr_doms) {
        panic("%s has %u domains and counts %u", p->name, doms, p->nr_doms);
    }
    ASSERT(!doms || !cpumask_empty(&p->cpus));
    look.waiting[look.n] = 0;
    look.pool[look.n++] = p;
    ASSERT(look.n < POOLS);
}

static void check_pools(struct cpumask *members)
{
    struct sched_pool *p;
    u32 doms = 0;

    cpumask_clear_all(members);
    look.n = 0;
    for (u32 id = 0; (p = pool_get_from(id)); id = p->id + 1) {
        pool_put(p);
        ASSERT(p->id >= id);
        check_pool(p, members);
        doms += p->nr_doms;
    }
    ASSERT(doms == nr_sim_doms);
    ASSERT(cpumask_subset(members, &cpu_online_map));
}

/* Whether an idle CPU is there for anybody; one of the null policy's is for its owner. */
static bool vacant(const struct sched_pool *p, u32 cpu)
{
    char line[64];

    if (p->ops != &sched_null) {
        return true;
    }
    p->ops->dump_cpu(p, cpu, line, sizeof(line));
    return strcmp(line, "nobody's") == 0;
}

static void check_member(const struct pcpu *p, u32 cpu)
{
    if (p->curr != p->idle) {
        ASSERT(p->curr->unit.running && p->curr->unit.cpu == cpu);
        ASSERT(!cpumask_test(&p->pool->idlers, cpu));
    } else if (!called(cpu)) {
        if (!cpumask_test(&p->pool->idlers, cpu)) {
            panic("cpu %u idles, is not among the idlers and not called", cpu);
        }
        if (vacant(p->pool, cpu)) {
            cpumask_set(&look.idle, cpu);
        }
    }
}

static s64 check_cpu(u32 cpu, const struct cpumask *members)
{
    const struct pcpu *p = pcpus[cpu];
    const struct machine_cpu *c = &machine.cpu[cpu];
    s64 idle = c->idle + (c->hw == p->idle ? machine.clock - c->since : 0);

    ASSERT(p->curr == c->hw);
    if (cpumask_test(members, cpu)) {
        ASSERT(p->pool && cpumask_test(&p->pool->cpus, cpu));
        check_member(p, cpu);
    } else if (p->pool) { /* leaving */
        ASSERT(cpumask_test(&cpu_online_map, cpu) && called(cpu));
    } else {
        ASSERT(p->curr == p->idle);
        ASSERT(cpumask_test(&cpu_online_map, cpu) || !timer_heap_first(&p->timers.heap));
    }
    ASSERT(sched_idle_time(cpu) == idle);
    return machine.clock - idle;
}

/* ---- vcpus ------------------------------------------------------------------------------- */

static void check_affinity(const struct sim_vcpu *s)
{
    const struct sched_pool *p = s->v.domain->pool;
    const struct sched_unit *u = &s->v.unit;
    struct cpumask want = cpumask_and(&s->v.hard_given, &p->cpus);

    want = cpumask_empty(&want) ? p->cpus : want;
    if (s->v.override) {
        cpumask_clear_all(&want);
        cpumask_set(&want, s->v.override - 1);
    }
    if (memcmp(&want, &u->hard, sizeof(want)) != 0) {
        panic("d%uv%u: hard affinity is not what was given", u->dom->id, u->id);
    }
    ASSERT(cpumask_subset(&u->soft, &u->hard) && cpumask_subset(&u->hard, &p->cpus));
    ASSERT(u->dedicated == (cpumask_weight(&u->hard) == 1));
    if (u->running && !cpumask_test(&u->hard, u->cpu) && !called(u->cpu)) {
        panic("d%uv%u runs on cpu %u, where it may not", u->dom->id, u->id, u->cpu);
    }
}

static void check_runstate(const struct sim_vcpu *s)
{
    const struct vcpu_runstate_info *r = &s->v.runstate;
    const struct sched_unit *u = &s->v.unit;
    s64 sum = machine.clock - (s64)r->state_entry_time;

    ASSERT(u->running == (r->state == RUNSTATE_running) && u->running == (s->on != NO_CPU));
    ASSERT(((u->runnable || u->throttled) && !u->running) == (r->state == RUNSTATE_runnable));
    ASSERT(!u->running || (u->cpu == s->on && pcpus[s->on]->curr == &s->v));
    ASSERT(u->runnable == vcpu_runnable(&s->v) || (u->running && called(u->cpu)));
    for (u32 i = 0; i < ARRAY_SIZE(r->time); i++) {
        sum += (s64)r->time[i];
    }
    ASSERT(sum == machine.clock - s->created);
    ASSERT((s64)r->time[RUNSTATE_running] +
               (u->running ? machine.clock - (s64)r->state_entry_time : 0) ==
           sim_ran(s));
}

/* ---- Bandwidth --------------------------------------------------------------------------- */

static u32 running_on(const struct domain *d, const struct sched_bandwidth *b)
{
    u32 n = 0;

    for (u32 i = 0; d && i < d->max_vcpus; i++) {
        for (u32 k = 0; k < NR_BUDGETS; k++) {
            n += d->vcpu[i]->budget[k] == b && d->vcpu[i]->unit.running;
        }
    }
    return n;
}

static void check_budget(const struct domain *d, const struct sched_bandwidth *b)
{
    ASSERT(!b->lock.locked && !b->gate.locked);
    ASSERT(b->running == running_on(d, b) + running_on(d->emulator, b));
    ASSERT(b->quota || (!b->empty && !b->running));
    ASSERT(b->timer.node.queued || (!b->empty && !(b->quota && b->running)));
}

/* Who is throttled is so by a budget that is used up, and the other way round. */
static void check_throttle(const struct sim_vcpu *s)
{
    const struct sched_unit *u = &s->v.unit;
    u32 flags = 0, limits = 0;

    for (u32 i = 0; i < NR_BUDGETS; i++) {
        limits += s->v.budget[i] != NULL;
        flags |= s->v.budget[i] && s->v.budget[i]->empty ? VPF_THROTTLED_BY(i) : 0;
    }
    ASSERT(u->limited == (limits > 0));
    ASSERT(flags == (s->v.pause_flags & VPF_THROTTLED));
    ASSERT(u->throttled == (!u->running && flags && !(s->v.pause_flags & ~VPF_THROTTLED)));
    check_budget(&s->dom->d, &s->v.bandwidth);
    if (s->v.id == 0) {
        check_budget(&s->dom->d, &s->dom->d.bandwidth);
    }
}

static bool ready(const struct sim_vcpu *s)
{
    const struct sched_pool *p = s->v.domain->pool;

    if (p->ops == &sched_credit) {
        return !sim_dom_capped(s->dom);
    }
    if (p->ops == &sched_rtds) {
        return ready_rtds(&s->v.unit);
    }
    return p->ops != &sched_sedf || ready_sedf(&s->v.unit);
}

/* The idle CPU that a waiting vcpu could have. */
static u32 idle_beside(const struct sim_vcpu *s)
{
    const struct sched_unit *u = &s->v.unit;
    struct cpumask both;
    u32 cpu = s->beside_cpu;

    if (s->v.domain->pool->ops == &sched_sedf) { /* where it is put, and nowhere else */
        return cpumask_test(&look.idle, u->cpu) ? u->cpu : NO_CPU;
    }
    if (!cpumask_intersects(&u->hard, &look.idle)) {
        return NO_CPU;
    }
    both = cpumask_and(&u->hard, &look.idle);
    return cpumask_test(&both, cpu) ? cpu : cpumask_first(&both);
}

static void check_beside(struct sim_vcpu *s)
{
    stime_t wait = (stime_t)s->v.runstate.state_entry_time, idle_since;
    u32 cpu = ready(s) ? idle_beside(s) : NO_CPU;

    if (cpu == NO_CPU || cpu != s->beside_cpu || wait != s->beside_wait) {
        s->beside_cpu = cpu;
        s->beside_at = machine.clock;
        s->beside_wait = wait;
        return;
    }
    idle_since = (stime_t)pcpus[cpu]->idle->runstate.state_entry_time;
    if (idle_since <= s->beside_at && machine.clock - s->beside_at > BESIDE_MAX(&machine)) {
        panic("%s (%s): d%uv%u waits since %lld ns (on cpu %u) beside cpu %u, idle since %lld ns",
              s->v.domain->pool->name, s->v.domain->pool->ops->name, s->v.unit.dom->id,
              s->v.unit.id, (long long)(machine.clock - wait), s->v.unit.cpu, cpu,
              (long long)(machine.clock - idle_since));
    }
    s->beside_at = idle_since > s->beside_at ? machine.clock : s->beside_at;
}

/* ---- Stalls ------------------------------------------------------------------------------ */

/* Own vcpus that want to run, or those below it, too. */
static u32 wanting(const struct sched_dom *s, bool below)
{
    u32 n = 0;

    list_for_each(l, &s->units) {
        n += list_entry(l, struct sched_unit, link)->runnable;
    }
    for (const struct list *l = s->members.next; below && l != &s->members; l = l->next) {
        n += wanting(list_entry(l, struct sched_dom, sibling), true);
    }
    return n;
}

/* The part of its group's weight that a domain's own vcpus have, or all of a member. */
static double part_inside(const struct sched_dom *master, u32 weight, const struct sched_dom *of)
{
    double sum = of != master && wanting(master, false) ? master->self_weight : 0;

    list_for_each(l, &master->members) {
        const struct sched_dom *s = list_entry(l, struct sched_dom, sibling);

        sum += s != of && wanting(s, true) ? s->inner_weight : 0;
    }
    return weight / (sum + weight);
}

/* In weights of one vcpu: its domain's, or its part of that. */
static double weight_of(const struct sim_vcpu *s)
{
    const struct sched_dom *d = &s->dom->d.sched;
    bool group = d->master || !list_empty(&d->members);
    u32 n = MAX(wanting(d, false), 1u);
    double part = part_inside(d, d->self_weight, d);

    for (; d->master; d = d->master) {
        part *= part_inside(d->master, d->inner_weight, d);
    }
    if (s->v.domain->pool->params.flags & TARN_POOL_weight_per_vcpu) {
        part *= group ? MAX(wanting(d, false), 1u) : n;
    }
    return d->weight * part / n;
}

static s64 fair_wait(const struct sim_vcpu *s)
{
    const struct sched_pool *p = s->v.domain->pool;
    double own = weight_of(s), sum = own, share;

    for (u32 i = 0; i < nr_sim_vcpus; i++) {
        const struct sim_vcpu *o = sim_vcpus[i];

        if (o != s && o->v.domain->pool == p && o->v.unit.runnable &&
            cpumask_intersects(&o->v.unit.hard, &s->v.unit.hard)) {
            sum += weight_of(o);
        }
    }
    share = MIN(1, own * cpumask_weight(&s->v.unit.hard) / sum);
    return (s64)(p->params.tslice_us * US * (1 / share - 1));
}

static bool promised(const struct sim_vcpu *s)
{
    const struct sched_pool *p = s->v.domain->pool;

    return p->ops == &sched_credit ? !sim_dom_capped(s->dom)
                                   : p->ops != &sched_sedf && p->ops != &sched_null &&
                                         (p->ops != &sched_rtds || promised_rtds(&s->v.unit));
}

static void check_stall(struct sim_vcpu *s)
{
    stime_t wait = (stime_t)s->v.runstate.state_entry_time;

    if (wait != s->stall_wait) {
        s->stall_wait = wait;
        s->fair_wait = 0;
        s->stall_off = false;
    }
    s->stall_off |= !promised(s);
    if (s->stall_off || machine.clock - wait < STALL_MAX / 8) {
        return;
    }
    s->fair_wait = MAX(s->fair_wait, fair_wait(s));
    sim_longest_judged = MAX(sim_longest_judged, machine.clock - wait);
    if (machine.clock - wait > MAX(STALL_MAX, 2 * s->fair_wait)) {
        panic("%s (%s): d%uv%u stalls: it waits since %lld us, %lld us would be fair",
              s->v.domain->pool->name, s->v.domain->pool->ops->name, s->v.unit.dom->id,
              s->v.unit.id, (long long)(machine.clock - wait) / US, (long long)s->fair_wait / US);
    }
}

/* ---- All ---------------------------------------------------------------------------------- */

static s64 check_vcpu(struct sim_vcpu *s)
{
    const struct sched_unit *u = &s->v.unit;

    check_affinity(s);
    check_runstate(s);
    check_throttle(s);
    if (u->runnable && !u->running) {
        s64 waits = machine.clock - MAX((s64)s->v.runstate.state_entry_time, sim_marked);

        look.waiting[pool_index(s->v.domain->pool)]++;
        s->longest_wait = MAX(s->longest_wait, waits);
        check_beside(s);
        if (look.stalls) {
            check_stall(s);
        }
    }
    return sim_ran(s);
}

void check_all(void)
{
    struct cpumask members;
    s64 busy = 0, ran = sim_ran_of_the_dead;

    check_pools(&members);
    cpumask_clear_all(&look.idle);
    for (u32 cpu = 0; cpu < nr_pcpus; cpu++) {
        busy += check_cpu(cpu, &members);
    }
    for (u32 i = 0; i < nr_sim_vcpus; i++) {
        ran += check_vcpu(sim_vcpus[i]);
    }
    for (u32 i = 0; i < look.n; i++) {
        if (look.waiting[i] != look.pool[i]->nr_waiting) {
            panic("%u wait in %s, which counts %u", look.waiting[i], look.pool[i]->name,
                  look.pool[i]->nr_waiting);
        }
    }
    if (busy != ran) {
        panic("CPUs were busy for %lld ns, vcpus ran for %lld", (long long)busy, (long long)ran);
    }
    machine.stride = 1 + (nr_pcpus + nr_sim_vcpus) / 24;
    machine.stride *= machine.stride > 64 ? 8 : 1;
}

static void dump(void)
{
    char line[256];

    for (u32 cpu = 0; cpu < MIN(nr_pcpus, (u32)NR_CPUS); cpu++) {
        const struct sched_pool *p = pcpus[cpu]->pool;

        line[0] = 0;
        if (p && p->ops->dump_cpu) {
            p->ops->dump_cpu(p, cpu, line, sizeof(line));
        }
        printf("cpu %u: %s%s%s%s: %s\n", cpu, p ? p->name : "free",
               p && cpumask_test(&p->cpus, cpu) ? "" : ", no member", called(cpu) ? ", called" : "",
               p && cpumask_test(&p->idlers, cpu) ? ", idler" : "", line);
    }
    for (u32 i = 0; i < nr_sim_vcpus; i++) {
        const struct sched_unit *u = &sim_vcpus[i]->v.unit;

        printf("d%uv%u: pool %u cpu %u%s%s flags %x hard %lx soft %lx override %d since %llu\n",
               u->dom->id, u->id, sim_vcpus[i]->v.domain->pool->id, u->cpu,
               u->runnable ? " runnable" : "", u->running ? " running" : "",
               sim_vcpus[i]->v.pause_flags, u->hard.bits[0], u->soft.bits[0],
               (int)sim_vcpus[i]->v.override - 1,
               (unsigned long long)sim_vcpus[i]->v.runstate.state_entry_time);
    }
}

void checks_on(bool stalls)
{
    machine.dump = dump;
    look.stalls = stalls;
    machine.check = check_all;
    machine.stride = machine.until_check = 1;
}

void sim_end(void)
{
    check_all();
    sim_dom_destroy_all();
    sim_pools_reset();
    machine_off();
}
