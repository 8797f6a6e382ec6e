/* SPDX-License-Identifier: MIT */
/*
 * The null policy: a CPU has one unit, a unit one CPU, from its first wake until it is removed,
 * goes down for good or may not run there any more; asleep it keeps it. There is nothing to decide
 * and no time slice. Units for which there is no CPU wait; a free CPU takes the first of them that
 * is allowed there, and leaves out who is about to get one that it prefers.
 *
 * Pure. Owns the private areas of pool and units, all under the pool's lock.
 */
#include <tarn/lib.h>
#include <tarn/list.h>
#include <tarn/sched.h>

struct null_unit {
    struct list node; /* in the pool's waiting */
    u32 cpu;          /* its own, or NO_CPU */
};

struct null_pool {
    struct list waiting;   /* who wants a CPU and has none of its own, in order */
    struct cpumask vacant; /* CPUs of the pool without a unit */
    struct sched_unit *owner[NR_CPUS];
};

_Static_assert(sizeof(struct null_unit) <= SCHED_UNIT_PRIV, "unit's private area");

static struct null_unit *priv(const struct sched_unit *u)
{
    return (struct null_unit *)(uintptr_t)u->priv;
}

static struct null_pool *pool_priv(const struct sched_pool *p)
{
    return p->priv;
}

static struct sched_unit *waiting_unit(struct list *l)
{
    struct null_unit *c = list_entry(l, struct null_unit, node);

    return container_of((u8(*)[SCHED_UNIT_PRIV])c, struct sched_unit, priv);
}

/* ---- Who owns what ----------------------------------------------------------------------- */

/* Its CPU is called when somebody waits. */
static void disown(struct sched_pool *p, struct sched_unit *u)
{
    u32 cpu = priv(u)->cpu;

    priv(u)->cpu = NO_CPU;
    pool_priv(p)->owner[cpu] = NULL;
    if (cpumask_test(&p->cpus, cpu)) {
        cpumask_set(&pool_priv(p)->vacant, cpu);
    }
}

static void own(struct sched_pool *p, struct sched_unit *u, u32 cpu)
{
    list_del(&priv(u)->node);
    priv(u)->cpu = cpu;
    u->cpu = cpu;
    pool_priv(p)->owner[cpu] = u;
    cpumask_clear(&pool_priv(p)->vacant, cpu);
}

static u32 next_of(const struct cpumask *a, const struct cpumask *b, u32 from)
{
    struct cpumask both = cpumask_and(a, b);
    u32 cpu = cpumask_next_wrap(&both, from);

    return cpu < NR_CPUS ? cpu : NO_CPU;
}

/* The best vacant CPU of a mask. */
static u32 find_vacant(const struct sched_pool *p, const struct sched_unit *u,
                       const struct cpumask *mask)
{
    struct cpumask cpus = cpumask_and(&pool_priv(p)->vacant, mask);
    u32 cpu = next_of(&cpus, &u->soft, u->cpu);

    return cpu != NO_CPU ? cpu : next_of(&cpus, &u->hard, u->cpu);
}

/* A CPU that a unit prefers is vacant, but not this one. */
static bool better_elsewhere(const struct sched_pool *p, const struct sched_unit *u, u32 cpu)
{
    return !cpumask_test(&u->soft, cpu) && cpumask_intersects(&u->soft, &pool_priv(p)->vacant);
}

static struct sched_unit *first_for(const struct sched_pool *p, u32 cpu,
                                    const struct sched_unit *prev)
{
    list_for_each(l, &pool_priv(p)->waiting) {
        struct sched_unit *u = waiting_unit(l);

        if ((u == prev || !u->running) && cpumask_test(&u->hard, cpu) &&
            !better_elsewhere(p, u, cpu)) {
            return u;
        }
    }
    return NULL;
}

/* To a vacant CPU; but if it wants to run, it waits with the others. */
static void displace(struct sched_pool *p, struct sched_unit *u)
{
    u32 cpu = u->runnable ? NO_CPU : find_vacant(p, u, &p->cpus);

    disown(p, u);
    if (u->runnable) {
        list_add_tail(&pool_priv(p)->waiting, &priv(u)->node);
    } else if (cpu != NO_CPU) {
        own(p, u, cpu);
    }
}

/* An owner of one of the CPUs that a unit may have, that could as well have one of `free`, gives it
 * up. Returns the CPU. */
static u32 make_room(struct sched_pool *p, const struct sched_unit *u, const struct cpumask *free)
{
    cpumask_for_each(cpu, &u->hard) {
        struct sched_unit *v = pool_priv(p)->owner[cpu];

        if (v && find_vacant(p, v, free) != NO_CPU) {
            displace(p, v);
            return cpu;
        }
    }
    return NO_CPU;
}

/* An idle CPU for one of those who wait; when it has decided, it calls the next. */
static u32 call_idle(struct sched_pool *p)
{
    if (!cpumask_intersects(&pool_priv(p)->vacant, &p->idlers)) {
        return NO_CPU; /* as nearly always: spare the list */
    }
    list_for_each(l, &pool_priv(p)->waiting) {
        const struct sched_unit *u = waiting_unit(l);
        u32 cpu = u->running ? NO_CPU : find_vacant(p, u, &p->idlers);

        if (cpu != NO_CPU) {
            cpumask_clear(&p->idlers, cpu);
            return cpu;
        }
    }
    return NO_CPU;
}

/* Or one whose owner goes to an idle CPU, or to `self`. */
static u32 call_next(struct sched_pool *p, u32 self)
{
    struct cpumask free = p->idlers;
    u32 cpu = call_idle(p);

    if (self != NO_CPU) {
        cpumask_set(&free, self);
    }
    if (!cpumask_intersects(&pool_priv(p)->vacant, &free)) {
        return cpu;
    }
    list_for_each(l, &pool_priv(p)->waiting) {
        const struct sched_unit *u = waiting_unit(l);

        if (cpu != NO_CPU) {
            break;
        }
        if (!u->running && !cpumask_intersects(&u->hard, &pool_priv(p)->vacant)) {
            cpu = make_room(p, u, &free);
        }
    }
    return cpu;
}

static u32 wait(struct sched_pool *p, struct sched_unit *u)
{
    list_add_tail(&pool_priv(p)->waiting, &priv(u)->node);
    return call_next(p, NO_CPU);
}

/* ---- The policy -------------------------------------------------------------------------- */

static struct sched_decision null_decide(struct sched_pool *p, u32 cpu, struct sched_unit *prev,
                                         stime_t now)
{
    struct sched_decision dec = { NULL, 0, NO_CPU };
    struct null_pool *np = pool_priv(p);
    struct sched_unit *u;

    (void)now;
    cpumask_clear(&p->idlers, cpu);
    if (cpumask_test(&np->vacant, cpu) && (u = first_for(p, cpu, prev)) != NULL) {
        own(p, u, cpu);
    }
    u = np->owner[cpu];
    dec.next = u && u->runnable ? u : NULL;
    dec.tickle = call_next(p, u ? NO_CPU : cpu);
    return dec;
}

/* It lost its CPU, and could not be taken by another one until now. */
static u32 null_switched_out(struct sched_pool *p, u32 cpu, struct sched_unit *u, stime_t now)
{
    (void)cpu;
    (void)now;
    return priv(u)->cpu == NO_CPU ? call_next(p, NO_CPU) : NO_CPU;
}

static u32 null_wake(struct sched_pool *p, struct sched_unit *u, stime_t now)
{
    u32 cpu = priv(u)->cpu;

    (void)now;
    if (cpu == NO_CPU) {
        return wait(p, u);
    }
    cpumask_clear(&p->idlers, cpu);
    return cpu;
}

static u32 null_sleep(struct sched_pool *p, struct sched_unit *u, stime_t now)
{
    (void)now;
    list_del(&priv(u)->node);
    if (u->down && priv(u)->cpu != NO_CPU) {
        disown(p, u);
        return u->running ? NO_CPU : call_next(p, NO_CPU); /* its CPU is about to decide */
    }
    return NO_CPU;
}

static u32 null_pick_cpu(struct sched_pool *p, const struct sched_unit *u)
{
    u32 cpu = find_vacant(p, u, &p->idlers);

    return cpu != NO_CPU ? cpu : cpumask_next_wrap(&u->hard, u->cpu);
}

/* While a CPU joins or leaves, other units are yet to be told: a vacant CPU sees to the rest. */
static u32 call_vacant(struct sched_pool *p)
{
    u32 cpu = call_idle(p);

    if (cpu == NO_CPU && !list_empty(&pool_priv(p)->waiting)) {
        cpu = next_of(&p->idlers, &pool_priv(p)->vacant, 0);
    }
    return cpu;
}

/* It may not have its CPU any more, or does not need it, or could have one that it prefers. */
static u32 null_changed(struct sched_pool *p, struct sched_dom *d, struct sched_unit *u,
                        stime_t now)
{
    u32 cpu = u ? priv(u)->cpu : NO_CPU;

    (void)d;
    (void)now;
    if (cpu != NO_CPU && u->down && !u->runnable && !u->running) {
        disown(p, u);
        return call_next(p, NO_CPU);
    }
    if (cpu == NO_CPU || (cpumask_test(&u->hard, cpu) && !better_elsewhere(p, u, cpu))) {
        return call_vacant(p);
    }
    displace(p, u);
    return u->running ? u->cpu : call_vacant(p);
}

/* ---- Life cycle -------------------------------------------------------------------------- */

static void null_pool_init(struct sched_pool *p, stime_t now)
{
    (void)now;
    memset(p->priv, 0, sizeof(struct null_pool));
    list_init(&pool_priv(p)->waiting);
}

static void null_cpu_add(struct sched_pool *p, u32 cpu, stime_t now)
{
    (void)now;
    cpumask_set(&pool_priv(p)->vacant, cpu);
}

static void null_cpu_remove(struct sched_pool *p, u32 cpu, stime_t now)
{
    (void)now;
    cpumask_clear(&pool_priv(p)->vacant, cpu);
}

static void null_unit_insert(struct sched_pool *p, struct sched_unit *u, stime_t now)
{
    (void)p;
    (void)now;
    list_init(&priv(u)->node);
    priv(u)->cpu = NO_CPU;
}

static void null_unit_remove(struct sched_pool *p, struct sched_unit *u, stime_t now)
{
    u32 cpu;

    (void)now;
    if (priv(u)->cpu != NO_CPU) {
        disown(p, u);
        cpu = call_next(p, NO_CPU);
        if (cpu != NO_CPU) {
            cpumask_set(&p->calls, cpu);
        }
    }
}

static int null_dump_cpu(const struct sched_pool *p, u32 cpu, char *buf, size_t size)
{
    const struct sched_unit *u = pool_priv(p)->owner[cpu];

    return u ? fmt_snprintf(buf, size, "d%uv%u%s", u->dom->id, u->id, u->runnable ? "" : ", asleep")
             : fmt_snprintf(buf, size, "nobody's");
}

const struct sched_ops sched_null = {
    .name = "null",
    .id = 9, /* XEN_SCHEDULER_NULL */
    .pool_size = sizeof(struct null_pool),
    .pool_init = null_pool_init,
    .cpu_add = null_cpu_add,
    .cpu_remove = null_cpu_remove,
    .unit_insert = null_unit_insert,
    .unit_remove = null_unit_remove,
    .pick_cpu = null_pick_cpu,
    .wake = null_wake,
    .sleep = null_sleep,
    .decide = null_decide,
    .switched_out = null_switched_out,
    .changed = null_changed,
    .dump_cpu = null_dump_cpu,
};
