/* SPDX-License-Identifier: MIT */
/*
 * Where the credit scheduler lets a unit wait or run: an idle CPU, else one that runs somebody less
 * important; and whom a CPU takes from its own queue or another's. What runs where and who waits
 * where is in masks, so nothing here walks CPUs or queues unless somebody with an affinity to a few
 * CPUs has to be found. Pure; the caller holds the pool's lock.
 */
#include "credit.h"

#define BAND_GAP 2
#define BUSY_LOOKS 8 /* at so many of others' units, by a CPU that need not idle */

/* ---- Idle CPUs --------------------------------------------------------------------------- */

bool credit_prefers(const struct sched_unit *u, u32 cpu)
{
    return cpumask_empty(&u->soft) || cpumask_test(&u->soft, cpu);
}

/* No other thread of cpu's core runs anything. */
static bool core_idle(const struct sched_pool *p, u32 cpu)
{
    const struct topology *t = p->topology;
    u32 threads = t ? t->threads_per_core : 1;

    for (u32 i = cpu < threads ? 0 : cpu - threads + 1; i < MIN(cpu + threads, NR_CPUS); i++) {
        if (i != cpu && t->cpu[i].core == t->cpu[cpu].core &&
            t->cpu[i].socket == t->cpu[cpu].socket && cpumask_test(&p->cpus, i) &&
            !cpumask_test(&p->idlers, i)) {
            return false;
        }
    }
    return true;
}

/* The best idle CPU of a mask: an idle core, and the one it ran on last. */
static u32 idle_of(const struct sched_pool *p, const struct sched_unit *u,
                   const struct cpumask *mask)
{
    struct cpumask idle = cpumask_and(&p->idlers, mask);
    u32 first = cpumask_next_wrap(&idle, u->cpu);

    if (first == NR_CPUS) {
        return NO_CPU;
    }
    if (!p->topology || p->topology->threads_per_core <= 1 || core_idle(p, first)) {
        return first;
    }
    cpumask_for_each(cpu, &idle) {
        if (core_idle(p, cpu)) {
            return cpu;
        }
    }
    return first;
}

u32 credit_find_idle(const struct sched_pool *p, const struct sched_unit *u)
{
    u32 cpu = NO_CPU;

    if (cpumask_empty(&p->idlers)) {
        return NO_CPU;
    }
    if (!cpumask_empty(&u->soft)) {
        cpu = idle_of(p, u, &u->soft);
    }
    return cpu != NO_CPU ? cpu : idle_of(p, u, &u->hard);
}

/* ---- Busy CPUs --------------------------------------------------------------------------- */

/* What a CPU runs at the moment counts as. A boost ends after a third of a slice. */
u8 credit_running_pri(const struct sched_pool *p, const struct sched_unit *u, stime_t now)
{
    const struct credit_unit *c = priv(u);

    if (c->credit - (now - c->start) <= 0) {
        return OVER;
    }
    return c->pri == BOOST && now - c->run_start < tslice(p) / 3 ? BOOST : UNDER;
}

static u8 cpu_pri(const struct sched_pool *p, u32 cpu, stime_t now)
{
    const struct sched_unit *u = queue_of(p, cpu)->current;

    return u ? credit_running_pri(p, u, now) : NR_PRIORITIES;
}

void credit_note_running(struct sched_pool *p, u32 cpu, const struct sched_unit *u, stime_t now)
{
    struct credit_pool *cp = pool_priv(p);
    u8 pri = u ? credit_running_pri(p, u, now) : NR_PRIORITIES, was = cp->queue[cpu].running;

    if (pri == was) {
        return;
    }
    if (was < NR_PRIORITIES) {
        cpumask_clear(&cp->running[was], cpu);
        cp->nr_running[was]--;
    }
    if (pri < NR_PRIORITIES) {
        cpumask_set(&cp->running[pri], cpu);
        cp->nr_running[pri]++;
    }
    cp->queue[cpu].running = pri;
}

/* It ran so shortly ago that its cache is still warm. */
static bool is_hot(const struct sched_pool *p, const struct sched_unit *u, stime_t now)
{
    return now - u->last_run < p->params.migr_delay_us * NSEC_PER_USEC;
}

/* A CPU of mask that runs something less important than u, the least important there is. */
static u32 displaceable(const struct sched_pool *p, const struct sched_unit *u,
                        const struct cpumask *mask)
{
    for (u32 victim = OVER; victim > priv(u)->pri; victim--) {
        if (pool_priv(p)->nr_running[victim]) {
            struct cpumask cpus = cpumask_and(&pool_priv(p)->running[victim], mask);
            u32 cpu = cpumask_next_wrap(&cpus, u->cpu);

            if (cpu < NR_CPUS) {
                return cpu;
            }
        }
    }
    return NO_CPU;
}

u32 credit_find_busy(const struct sched_pool *p, const struct sched_unit *u, stime_t now)
{
    bool soft = !cpumask_empty(&u->soft);
    const struct cpumask *mask = soft ? &u->soft : &u->hard;
    bool here = cpumask_test(mask, u->cpu);
    u8 runs = here ? cpu_pri(p, u->cpu, now) : 0;
    u32 cpu;

    if (runs > priv(u)->pri &&
        (runs >= OVER || !pool_priv(p)->nr_running[OVER] || is_hot(p, u, now))) {
        return u->cpu;
    }
    cpu = displaceable(p, u, mask);
    if (cpu == NO_CPU && soft) {
        cpu = displaceable(p, u, &u->hard);
    }
    if (cpu == NO_CPU) {
        cpu = here ? u->cpu : cpumask_next_wrap(mask, u->cpu);
    }
    return cpu;
}

u32 credit_find_calm(const struct sched_pool *p, const struct sched_unit *u)
{
    const struct cpumask *mask = cpumask_empty(&u->soft) ? &u->hard : &u->soft;
    u32 best = cpumask_next_wrap(mask, u->cpu);

    cpumask_for_each(cpu, mask) {
        if (queue_of(p, cpu)->nr < queue_of(p, best)->nr) {
            best = cpu;
        }
    }
    return best;
}

/* Queue a unit that runs nowhere. Returns the CPU that should take it at once, or NO_CPU. */
u32 credit_place(struct sched_pool *p, struct sched_unit *u, stime_t now)
{
    u32 cpu = credit_find_idle(p, u);

    if (cpu != NO_CPU) {
        cpumask_clear(&p->idlers, cpu);
        credit_enqueue(p, u, cpu, false);
        return cpu;
    }
    cpu = credit_find_busy(p, u, now);
    credit_enqueue(p, u, cpu, false);
    return cpu_pri(p, cpu, now) > priv(u)->pri ? cpu : NO_CPU;
}

/* ---- Choosing ---------------------------------------------------------------------------- */

/* What one CPU looks for on others' queues. */
struct search {
    u32 cpu, band;
    u32 looks;                 /* at so many units at most */
    bool idles;                /* if it finds nobody */
    bool hot;                  /* it takes those whose cache is hot elsewhere, too */
    struct sched_unit *second; /* found, but it prefers other CPUs */
};

/* It idled and was told to decide anew, for the sake of somebody on its queue. */
static bool called(const struct sched_pool *p, u32 cpu)
{
    return !queue_of(p, cpu)->current && !cpumask_test(&p->idlers, cpu) &&
           cpumask_test(&p->cpus, cpu);
}

static bool may_steal(const struct sched_pool *p, const struct sched_unit *u,
                      const struct search *s, stime_t now)
{
    if (u->running || !cpumask_test(&u->hard, s->cpu)) {
        return false;
    }
    return s->hot || !is_hot(p, u, now);
}

static u32 first_level(u32 band)
{
    return band < 2 ? band : (band - 1) * BAND_LEVELS;
}

/* A CPU that was called for the sake of the only one keeps it. */
static struct sched_unit *search_queue(struct sched_pool *p, u32 from, struct search *s,
                                       stime_t now)
{
    struct run_queue *q = queue_of(p, from);

    if (q->nr == 1 && called(p, from)) {
        return NULL;
    }
    for (struct list *l = credit_from_level(q, first_level(s->band)), *next; l != &q->waiting;
         l = next) {
        struct sched_unit *u = unit_of(waiting_unit(l));

        next = l->next;
        if (band_of(priv(u)->level) != s->band || !s->looks--) {
            break;
        }
        if (!may_steal(p, u, s, now)) {
            continue;
        }
        if (credit_out_of_budget(u->dom, now)) {
            credit_dequeue(p, u);
            credit_park(u, now);
        } else if (credit_prefers(u, s->cpu)) {
            return u;
        } else if (!s->second) {
            s->second = u;
        }
    }
    return NULL;
}

/* One of that band from another CPU's queue; rather one that prefers to be here. */
static struct sched_unit *steal(struct sched_pool *p, struct search *s, stime_t now)
{
    struct credit_pool *cp = pool_priv(p);
    struct run_queue *q = &cp->queue[s->cpu];

    s->second = NULL;
    for (u32 n = cp->nr_waiting[s->band]; n && s->looks; n--) {
        u32 from = cpumask_next_wrap(&cp->waiting[s->band], q->look + 1);
        struct sched_unit *u;

        if (from == NR_CPUS) {
            break;
        }
        q->look = from;
        u = search_queue(p, from, s, now);
        if (u) {
            return u;
        }
    }
    return s->second;
}

/* Of which bands another CPU's is taken rather than the own first one, of the bands before `end`.
 */
static u32 better_bands(const struct sched_unit *own, u32 end)
{
    u32 band = own ? band_of(priv(own)->level) : NR_BANDS;

    if (own) {
        band = band > 1 + BAND_GAP ? band - BAND_GAP : band > 0;
    }
    return (1U << MIN(band, end)) - 1;
}

/* A CPU that has somebody to run looks around for balance's sake once per ratelimit. */
static bool may_look(struct sched_pool *p, u32 cpu, u32 bands, stime_t now)
{
    struct run_queue *q = queue_of(p, cpu);

    if (!(bands & ~1U) || now - q->looked < p->params.ratelimit_us * NSEC_PER_USEC) {
        return false;
    }
    q->looked = now;
    return true;
}

/* The own first one, unless another CPU's is much better. */
static struct sched_unit *best(struct sched_pool *p, struct search *s, u32 worst, stime_t now)
{
    static const u8 bands_of[] = { 1, 1 + FIRST_OVER / BAND_LEVELS, NR_BANDS };
    struct sched_unit *own = credit_first(p, s->cpu, now);
    u32 bands = pool_priv(p)->bands & better_bands(own, bands_of[worst]);

    s->looks = ~0U;
    if (own || !s->idles) {
        s->looks = BUSY_LOOKS;
        bands &= may_look(p, s->cpu, bands, now) ? ~0U : 1;
    }
    for (; bands; bands &= bands - 1) {
        struct sched_unit *u;

        s->band = (u32)__builtin_ctz(bands);
        u = steal(p, s, now);
        if (u) {
            return u;
        }
    }
    return own;
}

/*
 * The most important one; the own queue goes first, from others only down to priority `worst`. A
 * CPU that has somebody to run looks at a few of the others' only; rather than idle it looks at
 * all, and takes one whose cache is still hot elsewhere.
 */
struct sched_unit *credit_select(struct sched_pool *p, u32 cpu, u32 worst, bool idles, stime_t now)
{
    struct search s = { .cpu = cpu, .idles = idles };
    struct sched_unit *u = best(p, &s, worst, now);

    if (u || !idles || !p->params.migr_delay_us) {
        return u;
    }
    s.hot = true;
    return best(p, &s, worst, now);
}

/* ---- Calling others ---------------------------------------------------------------------- */

/* An idle CPU for one of those who wait on a CPU's queue. */
static u32 idle_for(struct sched_pool *p, u32 cpu, stime_t now)
{
    list_for_each(l, &queue_of(p, cpu)->waiting) {
        const struct sched_unit *u = unit_of(waiting_unit(l));

        if (priv(u)->band < NR_BANDS && !credit_out_of_budget(u->dom, now)) {
            u32 idle = credit_find_idle(p, u);

            if (idle != NO_CPU) {
                return idle;
            }
        }
    }
    return NO_CPU;
}

/* Called while idle: an idle CPU for anybody who waits anywhere. */
static u32 idle_for_all(struct sched_pool *p, stime_t now)
{
    struct credit_pool *cp = pool_priv(p);

    for (u32 bands = cp->bands & ~ANY_BAND; bands; bands &= bands - 1) {
        struct cpumask idle = cpumask_and(&cp->waiting[__builtin_ctz(bands)], &p->idlers);

        if (!cpumask_empty(&idle)) {
            return cpumask_first(&idle);
        }
    }
    for (u32 bands = cp->bands & ANY_BAND; bands; bands &= bands - 1) {
        cpumask_for_each(cpu, &cp->waiting[__builtin_ctz(bands)]) {
            u32 idle = called(p, cpu) ? NO_CPU : idle_for(p, cpu, now);

            if (idle != NO_CPU) {
                return idle;
            }
        }
    }
    return NO_CPU;
}

/* A boosted unit that did not get this CPU goes where it may displace something. */
static u32 push_boosted(struct sched_pool *p, u32 cpu, const struct sched_unit *prev, stime_t now)
{
    const struct credit_pool *cp = pool_priv(p);
    struct sched_unit *u;
    u32 target;

    if (!queue_of(p, cpu)->nr_of[0] || !(cp->nr_running[UNDER] || cp->nr_running[OVER])) {
        return NO_CPU;
    }
    u = credit_first(p, cpu, now);
    if (!u || u == prev || priv(u)->band != 0) {
        return NO_CPU;
    }
    target = credit_find_busy(p, u, now);
    if (target == cpu || cpu_pri(p, target, now) <= BOOST) {
        return NO_CPU;
    }
    credit_dequeue(p, u);
    credit_enqueue(p, u, target, false);
    return target;
}

/*
 * After a decision: the CPU to call for the sake of those who wait. One call is enough for many, as
 * an idle CPU that comes calls the next one.
 */
u32 credit_helper(struct sched_pool *p, u32 cpu, const struct sched_unit *prev, stime_t now)
{
    u32 idle = prev || cpumask_empty(&p->idlers) ? NO_CPU : idle_for_all(p, now);

    if (idle != NO_CPU) {
        cpumask_clear(&p->idlers, idle);
        return idle;
    }
    return push_boosted(p, cpu, prev, now);
}
