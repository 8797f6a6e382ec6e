/* SPDX-License-Identifier: MIT */
/*
 * Timers, a heap for each pcpu. A timer belongs to the heap of `cpu`, queued or not: whoever
 * changes it holds that heap's lock (leaf), and to move it, both heaps' locks in the order of their
 * addresses.
 *
 * The hardware is set to the earliest deadline or an earlier one: stopping a timer, or moving it
 * back, leaves it alone, at the price of an interrupt that finds nothing to do. Only a pcpu itself
 * programs its hardware.
 */
#include <tarn/softirq.h>
#include <tarn/time.h>
#include <tarn/timer.h>
#include <x86/apic.h>

#define MAX_BATCH 32u /* functions run in a row */

static struct timer *first_timer(const struct timer_queue *q)
{
    struct timer_node *n = timer_heap_first(&q->heap);

    return n ? container_of(n, struct timer, node) : NULL;
}

/* The queue that the timer belongs to, locked. */
static struct timer_queue *lock_queue(struct timer *t)
{
    for (;;) {
        u32 cpu = READ_ONCE(t->cpu);
        struct timer_queue *q = &pcpus[cpu]->timers;

        spin_lock(&q->lock);
        if (likely(t->cpu == cpu)) {
            return q;
        }
        spin_unlock(&q->lock);
    }
}

static void dequeue(struct timer_queue *q, struct timer *t)
{
    if (t->node.queued) {
        timer_heap_remove(&q->heap, &t->node);
    }
}

/* Under both locks: take the timer off its queue and give it to `cpu`, whose queue stays locked. */
static __cold struct timer_queue *lock_and_move(struct timer *t, u32 cpu)
{
    struct timer_queue *to = &pcpus[cpu]->timers;

    for (;;) {
        u32 old = READ_ONCE(t->cpu);
        struct timer_queue *from = &pcpus[old]->timers;

        spin_lock_two(&from->lock, &to->lock);
        if (t->cpu == old) {
            dequeue(from, t);
            t->cpu = cpu;
            if (from != to) {
                spin_unlock(&from->lock);
            }
            return to;
        }
        spin_unlock_two(&from->lock, &to->lock);
    }
}

/* The same, quick when the timer was there before, as nearly always. */
static struct timer_queue *lock_and_take(struct timer *t, u32 cpu)
{
    struct timer_queue *q = &pcpus[cpu]->timers;

    spin_lock(&q->lock);
    if (likely(t->cpu == cpu)) {
        dequeue(q, t);
        return q;
    }
    spin_unlock(&q->lock);
    return lock_and_move(t, cpu);
}

/* Make this pcpu's hardware fire in time for its first timer. Its queue is locked. */
static void program(const struct timer_queue *q)
{
    struct pcpu *p = this_pcpu();
    const struct timer *t = first_timer(q);

    if (!t || t->node.expires >= p->timer_programmed) {
        return;
    }
    if (lapic_timer_program(t->node.expires)) {
        p->timer_programmed = t->node.expires;
    } else {
        softirq_raise_self(SOFTIRQ_TIMER);
    }
}

void timer_init(struct timer *t, void (*fn)(void *), void *arg)
{
    *t = (struct timer){ .fn = fn, .arg = arg, .cpu = this_cpu() };
}

void timer_arm_on(struct timer *t, u32 cpu, stime_t expires)
{
    struct timer_queue *q = lock_and_take(t, cpu);

    t->node.expires = expires;
    timer_heap_insert(&q->heap, &t->node);
    if (first_timer(q) == t) {
        if (cpu == this_cpu()) {
            program(q);
        } else {
            softirq_raise(cpu, SOFTIRQ_TIMER);
        }
    }
    spin_unlock(&q->lock);
}

void timer_arm(struct timer *t, stime_t expires)
{
    timer_arm_on(t, this_cpu(), expires);
}

void timer_stop(struct timer *t)
{
    struct timer_queue *q;

    if (!READ_ONCE(t->node.queued)) {
        return; /* whoever arms it at this moment might as well do it a moment later */
    }
    q = lock_queue(t);
    dequeue(q, t);
    spin_unlock(&q->lock);
}

/* Some other pcpu is in the timer's function. (This one may be: then it is our caller.) */
static bool runs_elsewhere(const struct timer *t)
{
    for (u32 cpu = 0; cpu < nr_pcpus; cpu++) {
        if (cpu != this_cpu() && READ_ONCE(pcpus[cpu]->timers.running) == t) {
            return true;
        }
    }
    return false;
}

/*
 * A function that runs may arm its timer again, on any pcpu; so stop and look, both under the lock,
 * until it neither waits nor runs.
 */
void timer_kill(struct timer *t)
{
    for (;;) {
        struct timer_queue *q = lock_queue(t);
        bool busy;

        dequeue(q, t);
        busy = runs_elsewhere(t);
        spin_unlock(&q->lock);
        if (!busy) {
            return;
        }
        while (runs_elsewhere(t)) {
            arch_spin_service();
        }
    }
}

/* None is seen as not queued in between: a timer_stop that looks would take it for stopped. */
void timer_move_all(u32 from, u32 to)
{
    struct timer_queue *src = &pcpus[from]->timers, *dest = &pcpus[to]->timers;

    spin_lock_two(&src->lock, &dest->lock);
    for (struct timer_node *n = timer_heap_first(&src->heap); n; n = timer_heap_next(n)) {
        container_of(n, struct timer, node)->cpu = to;
    }
    if (src != dest) {
        timer_heap_take_all(&dest->heap, &src->heap);
    }
    spin_unlock_two(&src->lock, &dest->lock);
    softirq_raise(to, SOFTIRQ_TIMER);
}

/* What is due by now. A function that keeps arming timers in the past must let the other softirqs
 * run, too. */
void timer_softirq(void)
{
    struct timer_queue *q = &this_pcpu()->timers;
    stime_t due = now();

    spin_lock(&q->lock);
    for (u32 n = 0; n < MAX_BATCH; n++) {
        struct timer *t = first_timer(q);
        void (*fn)(void *);
        void *arg;

        if (!t || t->node.expires > due) {
            break;
        }
        fn = t->fn;
        arg = t->arg;
        timer_heap_remove(&q->heap, &t->node);
        WRITE_ONCE(q->running, t);
        spin_unlock(&q->lock);
        fn(arg);
        spin_lock(&q->lock);
        WRITE_ONCE(q->running, NULL);
    }
    program(q);
    spin_unlock(&q->lock);
}
