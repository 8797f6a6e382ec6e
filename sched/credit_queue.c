/* SPDX-License-Identifier: MIT */
/*
 * The credit scheduler's run queues: one list per CPU, sorted by level, where enqueuing, dequeuing
 * and finding the first one take the same time however many wait. And those parked, who wait for
 * their domain's next budget. Pure; the caller holds the pool's lock.
 */
#include "credit.h"

/* ---- Levels ------------------------------------------------------------------------------ */

/* How many quarters of what a period grants it, up to `most`. */
static u32 quarters(s64 credit, s64 grant, u32 most)
{
    u64 n = (u64)(credit < 0 ? -credit : credit) / (u64)(grant / 4 + 1);

    return n < most ? (u32)n : most;
}

/* Credit counts by the share: who is owed two periods goes before who is owed one. */
static u8 level_of(const struct credit_unit *c)
{
    if (c->pri == BOOST) {
        return 0;
    }
    if (c->pri == UNDER) {
        return (u8)(FIRST_OVER - 1 - quarters(c->credit, c->claim.grant, FIRST_OVER - 2));
    }
    return (u8)(FIRST_OVER + quarters(c->credit, c->claim.grant, LEVELS - 1 - FIRST_OVER));
}

/* As bits of run_queue.levels. */
static u32 levels_of(u32 pri)
{
    static const u32 levels[] = { 1, (1U << FIRST_OVER) - 2, ~0U << FIRST_OVER };

    return levels[pri];
}

/* The entry behind which the first of a level is, or would be. */
static struct list *before(struct run_queue *q, u32 level)
{
    u32 higher = q->levels & ((1U << level) - 1);

    return higher ? q->last[31 - __builtin_clz(higher)] : &q->waiting;
}

/* ---- Run queues -------------------------------------------------------------------------- */

void credit_queue_init(struct run_queue *q)
{
    list_init(&q->waiting);
    q->running = NR_PRIORITIES;
}

static void count(struct credit_pool *cp, u32 cpu, u32 band)
{
    if (cp->queue[cpu].nr_of[band]++ == 0) {
        cpumask_set(&cp->waiting[band], cpu);
        cp->bands |= 1U << band;
        cp->nr_waiting[band]++;
    }
}

static void uncount(struct credit_pool *cp, u32 cpu, u32 band)
{
    if (--cp->queue[cpu].nr_of[band] == 0) {
        cpumask_clear(&cp->waiting[band], cpu);
        if (--cp->nr_waiting[band] == 0) {
            cp->bands &= ~(1U << band);
        }
    }
}

/* Behind those of its level; but who did not use its slice up goes first of its priority. */
void credit_enqueue(struct sched_pool *p, struct sched_unit *u, u32 cpu, bool first)
{
    struct run_queue *q = queue_of(p, cpu);
    struct credit_unit *c = priv(u);
    u32 level = level_of(c), peers = q->levels & levels_of(c->pri);

    if (first && peers) {
        level = MIN(level, (u32)__builtin_ctz(peers));
    }
    if (!(q->levels & (1U << level)) || !first) {
        struct list *after = q->levels & (1U << level) ? q->last[level] : before(q, level);

        list_add_head(after, &c->node);
        q->last[level] = &c->node;
    } else {
        list_add_head(before(q, level), &c->node);
    }
    q->levels |= 1U << level;
    q->nr++;
    u->cpu = cpu;
    c->queued = true;
    c->level = (u8)level;
    c->band = (u8)(band_of(level) + (u->dedicated ? NR_BANDS : 0));
    count(pool_priv(p), cpu, c->band);
}

void credit_dequeue(struct sched_pool *p, struct sched_unit *u)
{
    struct run_queue *q = queue_of(p, u->cpu);
    struct credit_unit *c = priv(u);
    u32 level = c->level;

    if (q->last[level] == &c->node) {
        if (c->node.prev != &q->waiting && waiting_unit(c->node.prev)->level == level) {
            q->last[level] = c->node.prev;
        } else {
            q->levels &= ~(1U << level);
        }
    }
    list_del(&c->node);
    q->nr--;
    c->queued = false;
    uncount(pool_priv(p), u->cpu, c->band);
}

void credit_requeue(struct sched_pool *p, struct sched_unit *u)
{
    struct credit_unit *c = priv(u);
    u8 was = c->pri, pri = earned(c);

    c->pri = was == BOOST && pri == UNDER ? BOOST : pri;
    if (level_of(c) == c->level) {
        return;
    }
    credit_dequeue(p, u);
    credit_enqueue(p, u, u->cpu, false);
}

void credit_park(struct sched_unit *u, stime_t now)
{
    struct credit_unit *c = priv(u);

    credit_unwant(c, now);
    c->parked = true;
    list_add_tail(&dom_priv(u->dom)->parked, &c->node);
}

void credit_unpark(struct sched_unit *u)
{
    priv(u)->parked = false;
    list_del(&priv(u)->node);
}

struct list *credit_from_level(struct run_queue *q, u32 level)
{
    return before(q, level)->next;
}

struct sched_unit *credit_first(struct sched_pool *p, u32 cpu, stime_t now)
{
    struct run_queue *q = queue_of(p, cpu);

    while (q->levels) {
        struct sched_unit *u = unit_of(waiting_unit(q->waiting.next));

        if (!credit_out_of_budget(p, u, now)) {
            return u;
        }
        credit_dequeue(p, u);
        credit_park(u, now);
    }
    return NULL;
}
