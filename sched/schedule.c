/* SPDX-License-Identifier: MIT */
/*
 * The dispatcher: the mechanism of scheduling, the same for every policy. It keeps who wants a CPU
 * (unit.runnable) and who has one (unit.running), asks the pool's policy, and carries out the
 * answer. Locks: the pool's lock (RANK_RUNQUEUE) around each call of a policy and the switch that
 * follows, so that a vcpu whose lock is free is either wholly on a pcpu or wholly saved.
 */
#include <tarn/console.h>
#include <tarn/domain.h>
#include <tarn/errno.h>
#include <tarn/options.h>
#include <tarn/page.h>
#include <tarn/softirq.h>
#include <tarn/time.h>
#include <x86/pv.h>

struct sched_pool pool0; /* every CPU's pool from boot on; its own lock */
const struct sched_ops *const sched_policies[] = { &sched_credit, NULL };

static struct timer pool_timer; /* Pool-0's periodic work */

static struct vcpu *unit_vcpu(struct sched_unit *u)
{
    return container_of(u, struct vcpu, unit);
}

static void tickle(u32 cpu)
{
    if (cpu != NO_CPU) {
        softirq_raise(cpu, SOFTIRQ_SCHEDULE);
    }
}

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

static void pool_timer_fn(void *arg)
{
    struct sched_pool *p = arg;
    struct cpumask mask;
    stime_t next;

    cpumask_clear_all(&mask);
    spin_lock(&p->lock);
    p->timer_kick = false;
    next = p->ops->timer(p, now(), &mask);
    spin_unlock(&p->lock);
    cpumask_for_each(cpu, &mask) {
        tickle(cpu);
    }
    if (next != STIME_MAX) {
        timer_arm(&pool_timer, next);
    }
}

/* The policy has something to account again after a time with nothing active. Lock held. */
static void kick_pool_timer(struct sched_pool *p)
{
    if (unlikely(p->timer_kick) && !pool_timer.node.queued) {
        p->timer_kick = false;
        timer_arm(&pool_timer, now() + p->params.tslice_us * NSEC_PER_USEC);
    }
}

static struct sched_pool *lock_pool_of(const struct vcpu *v)
{
    for (;;) {
        struct sched_pool *p = READ_ONCE(v->domain->pool);

        spin_lock(&p->lock);
        if (likely(p == READ_ONCE(v->domain->pool))) {
            return p;
        }
        spin_unlock(&p->lock);
    }
}

/* ---- Runstate ---- */

static void runstate_to(struct vcpu *v, int state, stime_t t)
{
    struct vcpu_runstate_info *r = &v->runstate;

    r->time[r->state] += (u64)t - r->state_entry_time;
    r->state_entry_time = (u64)t;
    r->state = state;
}

static int stopped_state(const struct vcpu *v)
{
    return (READ_ONCE(v->pause_flags) & VPF_BLOCKED) ? RUNSTATE_blocked : RUNSTATE_offline;
}

void vcpu_runstate_get(struct vcpu *v, struct vcpu_runstate_info *out)
{
    struct sched_pool *p = lock_pool_of(v);
    stime_t t = now();

    *out = v->runstate;
    out->time[out->state] += (u64)t - out->state_entry_time;
    spin_unlock(&p->lock);
}

/* ---- Wake and sleep ---- */

void vcpu_wake(struct vcpu *v)
{
    struct sched_pool *p = lock_pool_of(v);
    u32 cpu = NO_CPU;

    if (vcpu_runnable(v) && !v->unit.runnable) {
        stime_t t = now();

        v->unit.runnable = true;
        p->nr_waiting++;
        runstate_to(v, RUNSTATE_runnable, t);
        cpu = p->ops->wake(p, &v->unit, t);
        kick_pool_timer(p);
    }
    spin_unlock(&p->lock);
    tickle(cpu);
}

void vcpu_sleep_nosync(struct vcpu *v)
{
    struct sched_pool *p = lock_pool_of(v);
    u32 cpu = NO_CPU;

    if (v->unit.runnable && !vcpu_runnable(v)) {
        if (v->unit.running) {
            cpu = v->unit.cpu; /* its pcpu will find out */
        } else {
            stime_t t = now();

            v->unit.runnable = false;
            p->nr_waiting--;
            runstate_to(v, stopped_state(v), t);
            cpu = p->ops->sleep ? p->ops->sleep(p, &v->unit, t) : NO_CPU;
        }
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
    p = lock_pool_of(v);
    if (p->ops->yield) {
        p->ops->yield(p, &v->unit);
    }
    spin_unlock(&p->lock);
    softirq_raise_self(SOFTIRQ_SCHEDULE);
}

/* ---- The decision ---- */

/* prev stopped wanting a CPU while it ran: it blocked, went down or was paused. */
static void note_sleep(struct sched_pool *p, struct vcpu *v, stime_t t)
{
    if (v->unit.runnable && !vcpu_runnable(v)) {
        v->unit.runnable = false;
        if (p->ops->sleep) {
            (void)p->ops->sleep(p, &v->unit, t);
        }
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
    if (prev != cpu->idle) {
        runstate_to(prev, prev->unit.runnable ? RUNSTATE_runnable : stopped_state(prev), t);
    }
    if (next != cpu->idle) {
        runstate_to(next, RUNSTATE_running, t);
        (void)atomic_xchg(&next->unit.running,
                          true); /* ordered before its look for events, see vcpu_kick */
        next->unit.cpu = cpu->id;
        cpumask_clear(&p->idlers, cpu->id);
    } else {
        cpumask_set(&p->idlers, cpu->id);
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

    spin_lock(&p->lock);
    t = now();
    if (prev != cpu->idle) {
        note_sleep(p, prev, t);
    }
    dec = p->ops->decide(p, cpu->id, prev == cpu->idle ? NULL : &prev->unit, t);
    next = dec.next ? unit_vcpu(dec.next) : cpu->idle;
    if (next != prev) {
        other = switch_to(p, cpu, prev, next, t);
    } else if (next == cpu->idle) {
        cpumask_set(&p->idlers, cpu->id);
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

/* ---- Life cycle ---- */

const struct sched_ops *sched_policy_find(const char *name)
{
    for (u32 i = 0; sched_policies[i]; i++) {
        if (strcmp(sched_policies[i]->name, name) == 0) {
            return sched_policies[i];
        }
    }
    return NULL;
}

static u32 order_of(size_t size)
{
    u32 order = 0;

    while (PAGE_SIZE << order < size) {
        order++;
    }
    return order;
}

/* Pool-0 with all CPUs that are online; their idle loops don't run yet, or find nothing to do. */
void sched_boot_init(const struct sched_ops *ops, const struct topology *topology)
{
    struct sched_pool *p = &pool0;

    spin_lock_init(&p->lock, RANK_RUNQUEUE);
    str_copy(p->name, "Pool-0", sizeof(p->name));
    p->ops = ops;
    p->topology = topology;
    p->params = (struct sched_params){ opt.tslice_ms * 1000, opt.ratelimit_us, 0 };
    p->priv = pages_alloc(order_of(ops->pool_size));
    if (!p->priv) {
        panic("no memory for the scheduler of Pool-0");
    }
    timer_init(&pool_timer, pool_timer_fn, p);
    if (ops->pool_init) {
        ops->pool_init(p, now());
    }
    cpumask_for_each(cpu, &cpu_online_map) {
        timer_init(&pcpus[cpu]->slice_timer, slice_over, NULL);
        cpumask_set(&p->cpus, cpu);
        cpumask_set(&p->idlers, cpu);
        if (ops->cpu_add) {
            ops->cpu_add(p, cpu, now());
        }
        atomic_store(&pcpus[cpu]->pool, p);
        tickle(cpu);
    }
}

void sched_domain_init(struct domain *d, struct sched_pool *pool, u32 weight, u32 cap)
{
    d->sched.weight = weight;
    d->sched.cap = cap;
    d->sched.id = d->domid;
    d->pool = pool;
    spin_lock(&pool->lock);
    pool->nr_doms++;
    if (pool->ops->dom_insert) {
        pool->ops->dom_insert(pool, &d->sched);
    }
    spin_unlock(&pool->lock);
}

void sched_domain_destroy(struct domain *d)
{
    struct sched_pool *p = d->pool;

    spin_lock(&p->lock);
    p->nr_doms--;
    if (p->ops->dom_remove) {
        p->ops->dom_remove(p, &d->sched);
    }
    spin_unlock(&p->lock);
}

/* What is given counts within the pool; a hard affinity that leaves nothing there is widened to all
 * of it. */
static void effective_affinity(const struct sched_pool *p, struct vcpu *v)
{
    struct sched_unit *u = &v->unit;

    u->hard = cpumask_and(&v->hard_given, &p->cpus);
    if (cpumask_empty(&u->hard)) {
        u->hard = p->cpus;
    }
    u->soft = cpumask_and(&v->soft_given, &u->hard);
    if (cpumask_weight(&u->soft) == cpumask_weight(&u->hard)) {
        cpumask_clear_all(&u->soft); /* prefers all: no preference */
    }
    u->dedicated = cpumask_weight(&u->hard) == 1;
}

void sched_vcpu_init(struct vcpu *v, const struct cpumask *hard, const struct cpumask *soft)
{
    struct sched_pool *p = lock_pool_of(v);
    stime_t t = now();

    v->hard_given = *hard;
    v->soft_given = *soft;
    v->unit.dom = &v->domain->sched;
    v->unit.id = v->id;
    effective_affinity(p, v);
    v->unit.cpu = cpumask_next_wrap(&v->unit.hard, v->id % NR_CPUS);
    v->runstate.state = RUNSTATE_offline;
    v->runstate.state_entry_time = (u64)t;
    if (p->ops->unit_insert) {
        p->ops->unit_insert(p, &v->unit, t);
    }
    v->unit.cpu = p->ops->pick_cpu(p, &v->unit);
    spin_unlock(&p->lock);
}

/* v does not run and can't be woken any more. */
void sched_vcpu_destroy(struct vcpu *v)
{
    struct sched_pool *p = lock_pool_of(v);

    if (p->ops->unit_remove) {
        p->ops->unit_remove(p, &v->unit, now());
    }
    spin_unlock(&p->lock);
}

void sched_set_affinity(struct vcpu *v, const struct cpumask *hard, const struct cpumask *soft)
{
    struct sched_pool *p = lock_pool_of(v);
    u32 cpu = NO_CPU;

    v->hard_given = *hard;
    v->soft_given = *soft;
    effective_affinity(p, v);
    if (p->ops->changed) {
        cpu = p->ops->changed(p, &v->domain->sched, &v->unit, now());
    }
    spin_unlock(&p->lock);
    tickle(cpu);
}
