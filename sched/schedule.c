/* SPDX-License-Identifier: MIT */
/*
 * The dispatcher: the mechanism of scheduling, the same for every policy. It keeps who wants a CPU
 * (unit.runnable) and who has one (unit.running), asks the pool's policy, and carries out the
 * answer. Locks: the pool's lock (RANK_RUNQUEUE) around each call of a policy and the switch that
 * follows, so that a vcpu whose lock is free is either wholly on a pcpu or wholly saved.
 */
#include <tarn/time.h>
#include <tarn/trace.h>
#include <x86/pv.h>

#include "dispatch.h"

static void slice_over(void *arg)
{
    (void)arg;
    softirq_raise_self(SOFTIRQ_SCHEDULE);
}

/* An earlier deadline that is still armed only makes us decide once more than needed: cheaper than
 * moving it. */
static void arm_slice(struct pcpu *cpu, stime_t until)
{
    struct timer *t = &cpu->slice_timer;

    if (!t->node.queued || t->node.expires > until) {
        timer_arm(t, until);
    }
}

struct sched_pool *lock_pool(const struct domain *d)
{
    for (;;) {
        struct sched_pool *p = READ_ONCE(d->pool);

        spin_lock(&p->lock);
        if (likely(p == READ_ONCE(d->pool))) {
            return p;
        }
        spin_unlock(&p->lock);
    }
}

/* ---- Runstate ---- */

static void runstate_to(struct vcpu *v, int state, stime_t t)
{
    struct vcpu_runstate_info *r = &v->runstate;

    if (tracing()) {
        trace_runstate(v, (u32)state);
    }
    r->time[r->state] += (u64)t - r->state_entry_time;
    r->state_entry_time = (u64)t;
    r->state = state;
}

static int stopped_state(const struct vcpu *v)
{
    if (unlikely(v->unit.throttled)) {
        return RUNSTATE_runnable;
    }
    return (READ_ONCE(v->pause_flags) & VPF_BLOCKED) ? RUNSTATE_blocked : RUNSTATE_offline;
}

void vcpu_runstate_get(struct vcpu *v, struct vcpu_runstate_info *out)
{
    struct sched_pool *p = lock_pool(v->domain);
    stime_t t = now();

    *out = v->runstate;
    out->time[out->state] += (u64)t - out->state_entry_time;
    spin_unlock(&p->lock);
}

u64 sched_cpu_time(const struct domain *d, u32 cpu)
{
    struct sched_pool *p = lock_pool(d);
    u64 ns = d->ran_on[cpu], t = (u64)now();

    for (u32 i = 0; i < d->max_vcpus; i++) {
        const struct vcpu *v = d->vcpu[i];

        if (v->unit.running && v->unit.cpu == cpu) {
            ns += t - v->runstate.state_entry_time;
        }
    }
    spin_unlock(&p->lock);
    return ns;
}

/* ---- Wake and sleep ---- */

/* Out of quota, and else it would run. */
static bool only_throttled(u32 flags)
{
    return unlikely(flags & VPF_THROTTLED) && !(flags & ~VPF_THROTTLED);
}

static __cold void begin_wait(struct vcpu *v, stime_t t)
{
    v->unit.throttled = true;
    bandwidth_wait(v, t);
}

/* As its flags say, which are not 0, or were not a moment ago: then vcpu_wake follows. */
static void stop(struct vcpu *v, stime_t t)
{
    u32 flags = READ_ONCE(v->pause_flags);

    v->unit.runnable = false;
    v->unit.down = flags & VPF_DOWN;
    if (only_throttled(flags)) {
        begin_wait(v, t);
    }
}

/* One that stands still has other reasons for it than before. */
static __cold void change_reason(struct vcpu *v)
{
    u32 flags = READ_ONCE(v->pause_flags);
    bool throttled = only_throttled(flags);

    if (!v->unit.runnable && flags && v->unit.throttled != throttled) {
        stime_t t = now();

        v->unit.throttled = false;
        if (throttled) {
            begin_wait(v, t);
        }
        runstate_to(v, stopped_state(v), t);
    }
}

void vcpu_wake(struct vcpu *v)
{
    struct sched_pool *p = lock_pool(v->domain);
    u32 cpu = NO_CPU;

    if (vcpu_runnable(v) && !v->unit.runnable) {
        stime_t t = now();

        v->unit.runnable = true;
        p->nr_waiting++;
        TRACE_VCPU(TRC_SCHED_WAKE, v);
        runstate_to(v, RUNSTATE_runnable, t);
        cpu = p->ops->wake(p, &v->unit, t);
        v->unit.throttled = false;
        kick_pool_timer(p);
    } else if (unlikely(READ_ONCE(v->pause_flags) & VPF_THROTTLED)) {
        change_reason(v);
    }
    spin_unlock(&p->lock);
    tickle(cpu);
}

void vcpu_sleep_nosync(struct vcpu *v)
{
    struct sched_pool *p = lock_pool(v->domain);
    u32 cpu = NO_CPU;

    if (v->unit.runnable && !vcpu_runnable(v)) {
        TRACE_VCPU(TRC_SCHED_SLEEP, v);
        if (v->unit.running) {
            cpu = v->unit.cpu; /* its pcpu will find out */
        } else {
            stime_t t = now();

            stop(v, t);
            p->nr_waiting--;
            runstate_to(v, stopped_state(v), t);
            cpu = p->ops->sleep ? p->ops->sleep(p, &v->unit, t) : NO_CPU;
        }
    } else if (unlikely(v->unit.throttled)) {
        change_reason(v);
    }
    spin_unlock(&p->lock);
    tickle(cpu);
}

void vcpu_yield(void)
{
    struct vcpu *v = current;
    struct sched_pool *p;

    if (READ_ONCE(v->domain->pool->nr_waiting) == 0) {
        return; /* to nobody */
    }
    p = lock_pool(v->domain);
    TRACE_VCPU(TRC_SCHED_YIELD, v);
    if (p->ops->yield) {
        p->ops->yield(p, &v->unit);
    }
    spin_unlock(&p->lock);
    softirq_raise_self(SOFTIRQ_SCHEDULE);
}

/* ---- The decision ---- */

/* prev stopped wanting a CPU while it ran: it blocked, went down, was paused or throttled. */
static void note_sleep(struct sched_pool *p, struct vcpu *v, stime_t t)
{
    if (v->unit.runnable && !vcpu_runnable(v)) {
        stop(v, t);
        if (p->ops->sleep) {
            (void)p->ops->sleep(p, &v->unit, t);
        }
    }
}

static void note_idle(struct sched_pool *p, u32 cpu)
{
    if (likely(cpumask_test(&p->cpus, cpu))) {
        cpumask_set(&p->idlers, cpu);
    }
}

/* Hand the pcpu over; prev is wholly saved before the lock is free. Returns a CPU to tickle for
 * prev's sake. */
static u32 switch_to(struct sched_pool *p, struct pcpu *cpu, struct vcpu *prev, struct vcpu *next,
                     stime_t t)
{
    u32 other = NO_CPU;

    p->nr_waiting += prev != cpu->idle && prev->unit.runnable;
    p->nr_waiting -= next != cpu->idle;
    if (prev->domain->ran_on) {
        prev->domain->ran_on[cpu->id] += (u64)t - prev->runstate.state_entry_time;
    }
    runstate_to(prev, prev->unit.runnable ? RUNSTATE_runnable : stopped_state(prev), t);
    runstate_to(next, RUNSTATE_running, t);
    if (unlikely(prev->unit.limited | next->unit.limited)) {
        bandwidth_switch(prev, next, t);
    }
    if (next != cpu->idle) {
        next->unit.cpu = cpu->id; /* before `running`: who sees that kicks this pcpu */
        (void)atomic_xchg(&next->unit.running,
                          true); /* ordered before its look for events, see vcpu_kick */
        cpumask_clear(&p->idlers, cpu->id);
    } else {
        note_idle(p, cpu->id);
    }
    cpu->curr = next;
    context_switch(prev, next);
    if (prev != cpu->idle) {
        vcpu_periodic_stop(prev); /* not later: it may run elsewhere, and its timer with it */
        prev->unit.running = false;
        prev->unit.last_run = t;
        if (p->ops->switched_out) {
            other = p->ops->switched_out(p, cpu->id, &prev->unit, t);
        }
    }
    return other;
}

/* What a switch brings with it that may want other locks. */
static void after_switch(struct pcpu *cpu, struct vcpu *next)
{
    if (next != cpu->idle) {
        vcpu_periodic_start(next);
        vcpu_show_runstate(next);
    }
}

void schedule(void)
{
    struct pcpu *cpu = this_pcpu();
    struct sched_pool *p = cpu->pool;
    struct vcpu *prev = cpu->curr, *next;
    struct sched_decision dec;
    u32 other = NO_CPU;
    stime_t t;

    if (unlikely(!p)) {
        return;
    }
    spin_lock(&p->lock);
    t = now();
    if (prev != cpu->idle) {
        note_sleep(p, prev, t);
    }
    dec = p->ops->decide(p, cpu->id, prev == cpu->idle ? NULL : &prev->unit, t);
    next = dec.next ? unit_vcpu(dec.next) : cpu->idle;
    if (tracing()) {
        trace_decision(prev, next, t, dec.slice);
    }
    if (next != prev) {
        other = switch_to(p, cpu, prev, next, t);
    } else if (next == cpu->idle) {
        note_idle(p, cpu->id);
    }
    if (next == cpu->idle && unlikely(!cpumask_test(&p->cpus, cpu->id))) {
        pool_leave(p, cpu, t);
    }
    kick_pool_timer(p);
    spin_unlock(&p->lock);
    if (dec.slice > 0) {
        arm_slice(cpu, t + dec.slice);
    }
    tickle(dec.tickle);
    tickle(other);
    if (next != prev) {
        after_switch(cpu, next);
    }
}

/* ---- CPUs ---- */

void schedule_cpu_init(struct pcpu *cpu)
{
    timer_init(&cpu->slice_timer, slice_over, NULL);
}

/* The idle vcpu's runstate: it began to run with the machine. Only its pcpu changes it, and only
 * with its pool's lock. */
stime_t sched_idle_time(u32 cpu)
{
    struct pcpu *c = cpu < nr_pcpus && pcpus[cpu]->online ? pcpus[cpu] : NULL;

    while (c) {
        struct sched_pool *p = atomic_load(&c->pool);
        struct vcpu_runstate_info r;
        stime_t t;
        bool same;

        if (p) {
            spin_lock(&p->lock);
        }
        r = c->idle->runstate;
        t = now();
        same = atomic_load(&c->pool) == p;
        if (p) {
            spin_unlock(&p->lock);
        }
        if (same) {
            return (stime_t)r.time[RUNSTATE_running] +
                   (r.state == RUNSTATE_running ? t - (stime_t)r.state_entry_time : 0);
        }
    }
    return 0;
}
