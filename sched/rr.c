/* SPDX-License-Identifier: MIT */
/*
 * Round robin, the smallest policy that does all that a policy must; docs/scheduling.md takes it
 * apart. Who wants a CPU waits in the pool's one queue. A CPU that decides takes the first who may
 * run there, for a time slice; who loses its CPU goes to the end. Hard affinity counts; soft
 * affinity, weights and caps do not.
 *
 * Pure. The pool's private area is the queue, a unit's is its node in it; the pool's lock guards
 * both.
 */
#include <tarn/sched.h>

static struct list *queue(const struct sched_pool *p)
{
    return p->priv;
}

static struct list *node(const struct sched_unit *u)
{
    return (struct list *)(uintptr_t)u->priv;
}

static struct sched_unit *unit_of(struct list *l)
{
    return container_of((u8(*)[SCHED_UNIT_PRIV])l, struct sched_unit, priv);
}

static void rr_pool_init(struct sched_pool *p, stime_t now)
{
    (void)now;
    list_init(queue(p));
}

/* Any that may run it will do, and the dispatcher chose one already. */
static u32 rr_pick_cpu(struct sched_pool *p, const struct sched_unit *u)
{
    (void)p;
    return u->cpu;
}

/* To the end of the queue. Of the idle CPUs that may run it, one is called; it is not idle then. */
static u32 rr_wake(struct sched_pool *p, struct sched_unit *u, stime_t now)
{
    struct cpumask idle = cpumask_and(&p->idlers, &u->hard);
    u32 cpu = cpumask_next_wrap(&idle, u->cpu);

    (void)now;
    list_add_tail(queue(p), node(u));
    if (cpu == NR_CPUS) {
        return NO_CPU; /* it waits until a slice is over */
    }
    cpumask_clear(&p->idlers, cpu);
    return cpu;
}

/* Who runs is in no queue. */
static u32 rr_sleep(struct sched_pool *p, struct sched_unit *u, stime_t now)
{
    (void)p, (void)now;
    if (!u->running) {
        list_del(node(u));
    }
    return NO_CPU;
}

/* The first in the queue who may run here, and its slice; else `prev` goes on, if it can. */
static struct sched_decision rr_decide(struct sched_pool *p, u32 cpu, struct sched_unit *prev,
                                       stime_t now)
{
    bool stays = prev && prev->runnable && cpumask_test(&prev->hard, cpu);
    struct sched_unit *next = stays ? prev : NULL;

    (void)now;
    list_for_each(l, queue(p)) {
        if (cpumask_test(&unit_of(l)->hard, cpu)) {
            next = unit_of(l);
            list_del(l);
            break;
        }
    }
    if (next) {
        next->cpu = cpu;
    }
    return (struct sched_decision){ next, next ? p->params.tslice_us * NSEC_PER_USEC : 0, NO_CPU };
}

/* It lost its CPU. Not earlier than now may another CPU find it in the queue. */
static u32 rr_switched_out(struct sched_pool *p, u32 cpu, struct sched_unit *prev, stime_t now)
{
    (void)cpu;
    return prev->runnable ? rr_wake(p, prev, now) : NO_CPU;
}

/* Other CPUs than before may run it: its own decides anew, or it waits anew. */
static u32 rr_changed(struct sched_pool *p, struct sched_dom *d, struct sched_unit *u, stime_t now)
{
    (void)d;
    if (u && u->running) {
        return u->cpu;
    }
    if (u && u->runnable) {
        list_del(node(u));
        return rr_wake(p, u, now);
    }
    return NO_CPU;
}

const struct sched_ops sched_rr = {
    .name = "rr",
    .id = 100, /* TARN_SCHEDULER_RR */
    .pool_size = sizeof(struct list),
    .pool_init = rr_pool_init,
    .pick_cpu = rr_pick_cpu,
    .wake = rr_wake,
    .sleep = rr_sleep,
    .decide = rr_decide,
    .switched_out = rr_switched_out,
    .changed = rr_changed,
};
