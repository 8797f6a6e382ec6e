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

/* One of a and b: from `from` on in its word of 64 CPUs, else in the next words, round about. The
 * same cost for a few CPUs as for one. NR_CPUS: none. */
static u32 next_of_both(const struct cpumask *a, const struct cpumask *b, u32 from)
{
    u32 w = from / 64 % CPUMASK_WORDS;
    u64 bits = a->bits[w] & b->bits[w], after = bits & (~0UL << (from % 64));

    for (u32 n = 1; !bits && n < CPUMASK_WORDS; n++) {
        w = (w + 1) % CPUMASK_WORDS;
        bits = after = a->bits[w] & b->bits[w];
    }
    return bits ? w * 64 + (u32)__builtin_ctzl(after ? after : bits) : NR_CPUS;
}

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
    u32 first = next_of_both(&p->idlers, mask, u->cpu);

    if (first == NR_CPUS) {
        return NO_CPU;
    }
    if (!p->topology || p->topology->threads_per_core <= 1 || core_idle(p, first)) {
        return first;
    }
    cpumask_for_each(cpu, &p->idlers) {
        if (cpumask_test(mask, cpu) && core_idle(p, cpu)) {
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

void credit_note_running(struct sched_pool *p, u32 cpu, u8 pri)
{
    struct credit_pool *cp = pool_priv(p);
    u8 was = cp->queue[cpu].running;

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
            u32 cpu = next_of_both(&pool_priv(p)->running[victim], mask, u->cpu);

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
    u8 runs = here && !(queue_of(p, u->cpu)->levels & 1) ? cpu_pri(p, u->cpu, now) : 0;
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
    if (cpu_pri(p, cpu, now) <= priv(u)->pri) {
        return NO_CPU;
    }
    if (queue_of(p, cpu)->current) {
        credit_note_running(p, cpu, priv(u)->pri); /* so that the next one goes elsewhere */
    }
    return cpu;
}

/* ---- Choosing ---------------------------------------------------------------------------- */

/* What one CPU looks for on others' queues. */
struct search {
    u32 cpu, band;
    u32 looks;                 /* at so many units at most */
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
        if (credit_out_of_budget(p, u, now)) {
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
        u32 from = next_of_both(&cp->waiting[s->band], &cp->waiting[s->band], q->look + 1);
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
static bool may_look(struct sched_pool *p, u32 cpu, stime_t now)
{
    struct run_queue *q = queue_of(p, cpu);

    if (now - q->looked < p->params.ratelimit_us * NSEC_PER_USEC) {
        return false;
    }
    q->looked = now;
    return true;
}

/* The first one of the best of these bands that another CPU's queue has. */
static struct sched_unit *steal_best(struct sched_pool *p, struct search *s, u32 bands, stime_t now)
{
    for (; bands; bands &= bands - 1) {
        struct sched_unit *u;

        s->band = (u32)__builtin_ctz(bands);
        u = steal(p, s, now);
        if (u) {
            return u;
        }
    }
    return NULL;
}

/* Rather than idle it takes one whose cache is still hot elsewhere, too. */
static struct sched_unit *look_around(struct sched_pool *p, u32 cpu, u32 bands, bool needs,
                                      stime_t now)
{
    struct search s = { .cpu = cpu, .looks = needs ? ~0U : BUSY_LOOKS };
    struct sched_unit *u = steal_best(p, &s, bands, now);

    if (!u && needs && p->params.migr_delay_us) {
        s.hot = true;
        u = steal_best(p, &s, bands, now);
    }
    return u;
}

/*
 * The most important one: the first on the own queue, unless another CPU's, down to priority
 * `worst`, is much better. A CPU that has somebody to run looks at a few of the others' only,
 * rather than idle at all.
 */
struct sched_unit *credit_select(struct sched_pool *p, u32 cpu, u32 worst, bool idles, stime_t now)
{
    static const u8 bands_of[] = { 1, 1 + FIRST_OVER / BAND_LEVELS, NR_BANDS };
    struct sched_unit *own = credit_first(p, cpu, now), *u = NULL;
    u32 bands = pool_priv(p)->bands & better_bands(own, bands_of[worst]);
    bool needs = !own && idles;

    if (bands && (needs || may_look(p, cpu, now))) {
        u = look_around(p, cpu, bands, needs, now);
    }
    return u ? u : own;
}

/* ---- Calling others ---------------------------------------------------------------------- */

/* An idle CPU for one of those who wait on a CPU's queue. */
static u32 idle_for(struct sched_pool *p, u32 cpu, stime_t now)
{
    list_for_each(l, &queue_of(p, cpu)->waiting) {
        const struct sched_unit *u = unit_of(waiting_unit(l));

        if (priv(u)->band < NR_BANDS && !credit_out_of_budget(p, u, now)) {
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

/*
 * After a decision on a CPU that idled: the CPU to call for the sake of those who wait. One call is
 * enough for many, as an idle CPU that comes calls the next one.
 */
u32 credit_helper(struct sched_pool *p, stime_t now)
{
    u32 idle = cpumask_empty(&p->idlers) ? NO_CPU : idle_for_all(p, now);

    if (idle != NO_CPU) {
        cpumask_clear(&p->idlers, idle);
    }
    return idle;
}
