/* SPDX-License-Identifier: MIT */
/*
 * SEDF, simple earliest deadline first: the scheduler to learn from.
 *
 * A real-time unit is promised a slice of CPU time in every period; each period's end is its
 * deadline. Every CPU has a run queue of the units that still have some of their slice, in the
 * order of their deadlines, and runs the first. Who has used its slice waits, in the wait queue,
 * for its next period to begin. That is all it takes: if the slices of a CPU's units, divided by
 * their periods, add up to no more than 1, then every promise is kept.
 * What is left over is extra time, for those who ask for it: by 500 us to the first of queue L0,
 * who lost time of their slices because they blocked for a moment, then to the first of L1, those
 * with the least score; extra time makes the score grow, and the faster the less one is entitled
 * to. So do best-effort units live, which are promised nothing.
 * A unit may have a weight in place of a period: the weights of a CPU divide what its other units
 * leave of each 100 ms, but for 5 %, which are nobody's.
 * Units stay on their CPU, unless it goes or their affinity says so: nothing is balanced.
 *
 * Pure. Owns the private areas of pool and units, all under the pool's lock.
 */
#include "sedf.h"

#define WEIGHT_PPM 950000ULL /* of that period are for weights and periods */
#define QUANTUM (500 * NSEC_PER_USEC)
#define MIN_RUN (10 * NSEC_PER_USEC) /* what runs over is taken off the next period */
#define MAX_DEBT NSEC_PER_SEC
#define SCORE_MAX (1LL << 21) /* of a quantum: that of weight 1 */

/* ---- Periods and slices ------------------------------------------------------------------ */

static s64 period_of(const struct sedf_unit *s)
{
    return s->period >> s->halvings;
}

/* Depends on who else is on that CPU, if it is by weight. */
s64 sedf_slice(const struct sedf_cpu *q, const struct sedf_unit *s)
{
    s64 slice = s->slice;

    if (!slice) {
        u64 ppm = q->load < WEIGHT_PPM ? WEIGHT_PPM - q->load : 0;

        slice = (s64)(ppm * (u64)WEIGHT_PERIOD / PPM * s->weight / q->weights);
    }
    return MAX(slice >> s->halvings, SLICE_MIN_US * NSEC_PER_USEC);
}

static stime_t begin_of(const struct sedf_unit *s)
{
    return s->deadline - period_of(s);
}

/* The period in which it runs `ahead` from now. A shortened one doubles until it is whole. */
static void advance(struct sedf_unit *s, s64 ahead)
{
    if (s->halvings > 0) {
        s->halvings--;
    }
    s->deadline += ahead * period_of(s);
}

/* Its slice is used up: to the next period, or a later one if it ran over by so much. */
static void settle(const struct sedf_cpu *q, struct sedf_unit *s)
{
    s64 slice = sedf_slice(q, s), over = s->used / slice;

    if (over > 0) {
        s->used %= slice;
        advance(s, MIN(over, MAX(MAX_DEBT / period_of(s), 1)));
    }
}

/* A new period begins now. */
void sedf_begin_anew(struct sedf_unit *s, stime_t now, s64 first)
{
    s->used = 0;
    s->lost = 0;
    s->halvings = 0;
    while (first && period_of(s) > first && period_of(s) / 2 >= PERIOD_MIN_US * NSEC_PER_USEC) {
        s->halvings++;
    }
    s->deadline = now + period_of(s);
}

/*
 * It wakes. Within its period (a short block) it gets nothing before the next, lest it shift its
 * load to where others don't expect it; but what it lost counts for extra time. After the period
 * (a long block) a new one begins at once, a short one if it asked for low latency.
 */
static void unblock(const struct sedf_cpu *q, struct sedf_unit *s, stime_t now)
{
    settle(q, s);
    if (begin_of(s) > now) {
        return; /* it waits for its next period in any case */
    }
    if (now >= s->deadline) {
        sedf_begin_anew(s, now, s->latency);
        return;
    }
    s->lost = MIN(s->lost + sedf_slice(q, s) - s->used, sedf_slice(q, s));
    s->used = 0;
    advance(s, 1);
}

/* ---- Queues ------------------------------------------------------------------------------ */

static s64 by_deadline(const struct list *l)
{
    return of_node(l)->deadline;
}

static s64 by_begin(const struct list *l)
{
    return begin_of(of_node(l));
}

static s64 by_loss(const struct list *l)
{
    return (of_extra(l)->period << 10) / of_extra(l)->lost;
}

static s64 by_score(const struct list *l)
{
    return of_extra(l)->score;
}

/* Before its equals: who ran goes on. */
static void insert(struct list *queue, struct list *n, s64 (*key)(const struct list *l))
{
    struct list *pos = queue->next;

    while (pos != queue && key(pos) < key(n)) {
        pos = pos->next;
    }
    list_add_before(pos, n);
}

void sedf_enqueue(struct sedf_cpu *q, struct sedf_unit *s, stime_t now)
{
    if (s->period) {
        settle(q, s);
        if (begin_of(s) > now) {
            insert(&q->wait, &s->node, by_begin);
        } else {
            insert(&q->run, &s->node, by_deadline);
        }
    }
    if (s->extratime && s->lost > 0) {
        insert(&q->extra[L0], &s->extra, by_loss);
    } else if (s->extratime) {
        s->score = MAX(s->score, q->score);
        insert(&q->extra[L1], &s->extra, by_score);
    }
}

void sedf_dequeue(struct sedf_unit *s)
{
    list_del(&s->node);
    list_del(&s->extra);
}

/* Who waited for a period that has begun may run. A deadline that passed is missed: what is left of
 * that slice is forgotten, or being late would never end. */
static void begin_periods(struct sedf_cpu *q, stime_t now)
{
    while (!list_empty(&q->wait) && by_begin(q->wait.next) <= now) {
        struct list *n = q->wait.next;

        list_del(n);
        insert(&q->run, n, by_deadline);
    }
    while (!list_empty(&q->run) && by_deadline(q->run.next) <= now) {
        struct sedf_unit *s = of_node(q->run.next);

        list_del(&s->node);
        q->missed++;
        s->used = 0;
        s->halvings = 0;
        advance(s, (now - s->deadline) / period_of(s) + 1);
        insert(&q->run, &s->node, by_deadline);
    }
}

/* Whether a unit that was just queued gives its CPU something to decide. */
bool sedf_matters(const struct sedf_cpu *q, const struct sedf_unit *s)
{
    const struct sedf_unit *current = q->current ? priv(q->current) : NULL;

    if (!current || q->wait.next == &s->node) {
        return true; /* it is idle, or its next decision comes too late */
    }
    if (q->run.next == &s->node) {
        return current->on_extra || s->deadline < current->deadline;
    }
    return q->extra[L0].next == &s->extra && current->on_extra && current->lost == 0;
}

/* ---- Deciding ---------------------------------------------------------------------------- */

/* What a quantum of extra time adds to the score: the inverse of the share. */
static s64 score_of(const struct sedf_cpu *q, const struct sedf_unit *s)
{
    s64 score = s->period ? (s->period << 14) / MAX(sedf_slice(q, s) << s->halvings, 1)
                          : SCORE_MAX / s->weight;

    return MIN(score, SCORE_MAX);
}

void sedf_charge(const struct sedf_cpu *q, struct sedf_unit *s, stime_t now)
{
    s64 ran = now - s->run_start;

    s->run_start = now;
    if (!s->on_extra) {
        s->used += ran;
    } else if (s->lost > 0) {
        s->lost = MAX(s->lost - ran, 0);
    } else {
        s->score += DIV_ROUND_UP(score_of(q, s) * ran, QUANTUM);
    }
}

/* Who runs on its slice is in no queue; on extra time, it still waits for its next period. */
static struct sedf_unit *choose(struct sedf_cpu *q)
{
    struct sedf_unit *s;

    if (!list_empty(&q->run)) {
        s = of_node(q->run.next);
        s->on_extra = false;
        sedf_dequeue(s);
        return s;
    }
    for (u32 level = L0; level < NR_LEVELS; level++) {
        if (!list_empty(&q->extra[level])) {
            s = of_extra(q->extra[level].next);
            s->on_extra = true;
            q->score = level == L1 ? s->score : q->score;
            list_del(&s->extra);
            return s;
        }
    }
    return NULL;
}

/* Until its slice, or quantum, is over, or somebody's period begins; 0: nothing will happen. */
static s64 next_decision(const struct sedf_cpu *q, const struct sedf_unit *s, stime_t now)
{
    s64 left = STIME_MAX;

    if (s) {
        left = s->on_extra ? QUANTUM : sedf_slice(q, s) - s->used;
    }
    if (!list_empty(&q->wait)) {
        left = MIN(left, by_begin(q->wait.next) - now);
    }
    return left == STIME_MAX ? 0 : MAX(left, MIN_RUN);
}

static struct sched_decision sedf_decide(struct sched_pool *p, u32 cpu, struct sched_unit *prev,
                                         stime_t now)
{
    struct sched_decision dec = { NULL, 0, NO_CPU };
    struct sedf_cpu *q = cpu_of(p, cpu);
    struct sedf_unit *next;

    if (prev) {
        sedf_charge(q, priv(prev), now);
        sedf_dequeue(priv(prev));
        if (prev->runnable && cpumask_test(&prev->hard, cpu)) {
            sedf_enqueue(q, priv(prev), now);
        }
    }
    begin_periods(q, now);
    next = choose(q);
    if (next) {
        next->run_start = now;
        dec.next = unit_of(next);
    }
    q->current = dec.next;
    dec.slice = next_decision(q, next, now);
    return dec;
}

static u32 sedf_wake(struct sched_pool *p, struct sched_unit *u, stime_t now)
{
    struct sedf_cpu *q = cpu_of(p, u->cpu);

    if (u->running) {
        return NO_CPU; /* its CPU is about to find out */
    }
    if (priv(u)->period) {
        unblock(q, priv(u), now);
    }
    sedf_enqueue(q, priv(u), now);
    return sedf_matters(q, priv(u)) ? u->cpu : NO_CPU;
}

static u32 sedf_sleep(struct sched_pool *p, struct sched_unit *u, stime_t now)
{
    (void)p;
    (void)now;
    sedf_dequeue(priv(u));
    return NO_CPU;
}

/* ---- Life cycle -------------------------------------------------------------------------- */

static void sedf_pool_init(struct sched_pool *p, stime_t now)
{
    (void)now;
    memset(p->priv, 0, sizeof(struct sedf_pool));
    for (u32 cpu = 0; cpu < NR_CPUS; cpu++) {
        struct sedf_cpu *q = cpu_of(p, cpu);

        list_init(&q->run);
        list_init(&q->wait);
        list_init(&q->extra[L0]);
        list_init(&q->extra[L1]);
    }
}

static void sedf_cpu_remove(struct sched_pool *p, u32 cpu, stime_t now)
{
    (void)now;
    ASSERT(cpu_of(p, cpu)->units == 0); /* sedf_changed and sedf_switched_out moved them */
    cpu_of(p, cpu)->current = NULL;
}

const struct sched_ops sched_sedf = {
    .name = "sedf",
    .id = 4, /* XEN_SCHEDULER_SEDF */
    .pool_size = sizeof(struct sedf_pool),
    .pool_init = sedf_pool_init,
    .cpu_remove = sedf_cpu_remove,
    .unit_insert = sedf_unit_insert,
    .unit_remove = sedf_unit_remove,
    .pick_cpu = sedf_pick_cpu,
    .wake = sedf_wake,
    .sleep = sedf_sleep,
    .decide = sedf_decide,
    .switched_out = sedf_switched_out,
    .changed = sedf_changed,
    .rt_get = sedf_rt_get,
    .rt_set = sedf_rt_set,
    .dump_cpu = sedf_dump_cpu,
};
