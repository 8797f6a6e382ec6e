/* SPDX-License-Identifier: MIT */
/*
 * The simulator of a pool; see schedsim.h. It follows the dispatcher's order of calls, and its one
 * looseness too: a slice timer that is armed earlier stays, and only makes a CPU decide once more.
 */
#include <stdlib.h>

#include "schedsim.h"

#define MIN_SLICE (100 * NSEC_PER_USEC)

static struct sim_unit *sim_of(struct sched_unit *u)
{
    return container_of(u, struct sim_unit, unit);
}

u64 sim_rnd(struct sim *s, u64 below)
{
    s->seed = s->seed * 6364136223846793005UL + 1442695040888963407UL;
    return (s->seed >> 24) % below;
}

/* ---- The dispatcher ---------------------------------------------------------------------- */

static void tickle(struct sim *s, u32 cpu)
{
    if (cpu != NO_CPU) {
        ASSERT(cpu < s->nr_cpus);
        if (!s->cpu[cpu].tickle_at) {
            s->cpu[cpu].tickle_at = s->now + 1 + s->tickle_delay;
        }
    }
}

/* What an op left to be called. */
static void tickle_calls(struct sim *s)
{
    cpumask_for_each(cpu, &s->pool.calls) {
        tickle(s, cpu);
    }
    cpumask_clear_all(&s->pool.calls);
}

static void kick_timer(struct sim *s)
{
    if (s->pool.timer_kick && !s->timer_at) {
        s->pool.timer_kick = false;
        s->timer_at = s->now + s->pool.params.tslice_us * NSEC_PER_USEC;
    }
}

static void note_wait_over(struct sim *s, struct sim_unit *u)
{
    s64 wait = s->now - u->waits_since;

    u->waited += wait;
    u->longest_wait = MAX(u->longest_wait, wait);
    if (u->woken) {
        u->woken = false;
        u->late[0] += wait > 50 * NSEC_PER_USEC;
        u->late[1] += wait > 100 * NSEC_PER_USEC;
        u->late[2] += wait > NSEC_PER_MSEC;
    }
}

static void progress(struct sim *s, struct sim_unit *u)
{
    if (s->now > u->progressed) {
        u->step.run -= s->now - u->progressed;
        u->progressed = s->now;
    }
}

static void leave(struct sim *s, u32 cpu, struct sim_unit *u)
{
    s64 ran = s->now - u->on_since;

    progress(s, u);
    u->ran += ran;
    u->ran_on[cpu] += ran;
    u->unit.running = false;
    u->unit.last_run = s->now;
    u->waits_since = s->now;
}

static void enter(struct sim *s, u32 cpu, struct sim_unit *u)
{
    ASSERT(cpumask_test(&u->unit.hard, cpu));
    ASSERT(u->unit.runnable && !u->unit.running && u->unit.cpu == cpu);
    note_wait_over(s, u);
    u->unit.running = true;
    u->on_since = s->now;
    u->progressed = s->now + s->switch_cost;
    u->moves += u->runs && u->last_cpu != cpu;
    u->last_cpu = cpu;
    u->runs++;
}

static void account_cpu(struct sim *s, struct sim_cpu *c)
{
    *(c->current ? &c->busy : &c->idle) += s->now - c->since;
    c->since = s->now;
}

static void switch_to(struct sim *s, u32 cpu, struct sched_unit *next)
{
    struct sched_pool *p = &s->pool;
    struct sim_cpu *c = &s->cpu[cpu];
    struct sched_unit *prev = c->current;

    account_cpu(s, c);
    c->switches++;
    c->current = next;
    if (prev) {
        leave(s, cpu, sim_of(prev));
    }
    if (next) {
        enter(s, cpu, sim_of(next));
        cpumask_clear(&p->idlers, cpu);
    } else if (cpumask_test(&p->cpus, cpu)) {
        cpumask_set(&p->idlers, cpu);
    }
    if (prev && p->ops->switched_out) {
        tickle(s, p->ops->switched_out(p, cpu, prev, s->now));
    }
}

static void check_decision(struct sim *s, u32 cpu, const struct sched_decision *dec)
{
    s64 tslice = s->pool.params.tslice_us * NSEC_PER_USEC;

    ASSERT(dec->slice >= 0);
    ASSERT(dec->slice == 0 || cpumask_test(&s->pool.cpus, cpu) || dec->next);
    if (!dec->next) {
        ASSERT(dec->slice == 0 || s->any_slice);
        return;
    }
    ASSERT(dec->slice >= MIN_SLICE || s->any_slice);
    ASSERT(dec->slice <= MAX(tslice, s->pool.params.ratelimit_us * NSEC_PER_USEC) || s->any_slice);
    ASSERT(dec->next == s->cpu[cpu].current || !dec->next->running);
    ASSERT(cpumask_test(&dec->next->hard, cpu));
    ASSERT(dec->next->runnable);
}

/* A CPU that nobody is on any more may leave. */
static void leave_pool(struct sim *s, u32 cpu)
{
    if (!s->cpu[cpu].current && !cpumask_test(&s->pool.cpus, cpu) && s->cpu[cpu].member) {
        s->cpu[cpu].member = false;
        if (s->pool.ops->cpu_remove) {
            s->pool.ops->cpu_remove(&s->pool, cpu, s->now);
        }
    }
}

static void reschedule(struct sim *s, u32 cpu)
{
    struct sched_pool *p = &s->pool;
    struct sim_cpu *c = &s->cpu[cpu];
    struct sched_unit *prev = c->current;
    struct sched_decision dec;

    c->tickle_at = 0;
    s->decisions++;
    if (!c->member) {
        return;
    }
    if (prev && prev->runnable && !sim_of(prev)->wants) {
        prev->runnable = false;
        if (p->ops->sleep) {
            (void)p->ops->sleep(p, prev, s->now);
        }
    }
    dec = p->ops->decide(p, cpu, prev, s->now);
    check_decision(s, cpu, &dec);
    if (dec.next != prev) {
        switch_to(s, cpu, dec.next);
    } else if (!dec.next && cpumask_test(&p->cpus, cpu)) {
        cpumask_set(&p->idlers, cpu);
    }
    kick_timer(s);
    if (dec.slice > 0 && (!c->slice_at || c->slice_at > s->now + dec.slice)) {
        c->slice_at = s->now + dec.slice + s->timer_delay;
    }
    tickle(s, dec.tickle);
    leave_pool(s, cpu);
}

static void wake(struct sim *s, struct sim_unit *u)
{
    if (!u->wants && !u->paused && !u->wake_at) {
        u->wants = true;
    }
    if (u->wants && !u->unit.runnable) {
        u->unit.down = false;
        u->unit.runnable = true;
        u->wakes++;
        u->woken = true;
        u->waits_since = s->now;
        tickle(s, s->pool.ops->wake(&s->pool, &u->unit, s->now));
        kick_timer(s);
    }
}

/* ---- Invariants -------------------------------------------------------------------------- */

static void check_cpus(struct sim *s)
{
    for (u32 cpu = 0; cpu < s->nr_cpus; cpu++) {
        const struct sim_cpu *c = &s->cpu[cpu];

        ASSERT(!c->current || (c->current->running && c->current->cpu == cpu));
        ASSERT(!c->current || !cpumask_test(&s->pool.idlers, cpu));
        ASSERT(c->current || cpumask_test(&s->pool.idlers, cpu) || c->tickle_at || !c->member);
    }
}

/* Something limits it, or a group that it is in; the test may know better whether it does now. */
static bool is_capped(const struct sim *s, const struct sched_unit *u)
{
    const struct sched_dom *d = u->dom;

    if (s->ready) {
        return !s->ready(u);
    }
    if (!list_empty(&d->members) && d->self_cap) {
        return true;
    }
    while (d->master && !d->inner_cap) {
        d = d->master;
    }
    return d->master ? d->inner_cap : d->cap;
}

/* Nothing runs where it may not; nothing waits that may run on a CPU that idles, unless one such
 * was called. */
static void check_units(struct sim *s)
{
    struct cpumask idle, called;

    cpumask_clear_all(&idle);
    cpumask_clear_all(&called);
    for (u32 cpu = 0; cpu < s->nr_cpus; cpu++) {
        if (!s->cpu[cpu].current && s->cpu[cpu].member) {
            cpumask_set(s->cpu[cpu].tickle_at ? &called : &idle, cpu);
        }
    }
    for (u32 i = 0; i < s->nr_units; i++) {
        struct sim_unit *u = &s->unit[i];

        if (!u->behave) {
            continue;
        }
        ASSERT(cpumask_subset(&u->unit.hard, &s->pool.cpus) && !cpumask_empty(&u->unit.hard));
        if (u->unit.running) {
            ASSERT(s->cpu[u->unit.cpu].current == &u->unit);
            ASSERT(cpumask_test(&u->unit.hard, u->unit.cpu) || s->cpu[u->unit.cpu].tickle_at);
        } else if (u->unit.runnable && s->check_conservation && !is_capped(s, &u->unit)) {
            if (cpumask_intersects(&u->unit.hard, &idle) && !s->cpu[u->unit.cpu].tickle_at &&
                cpumask_empty(&called)) {
                panic("seed %llu at %lld: unit %u waits on cpu %u though cpu %u may take it",
                      (unsigned long long)s->seed, (long long)s->now, i, u->unit.cpu,
                      cpumask_first(&idle));
            }
        }
    }
}

/* ---- Events ------------------------------------------------------------------------------ */

static stime_t step_end(const struct sim_unit *u)
{
    stime_t end = u->progressed + MAX(u->step.run, 0);

    if (u->step.until && u->step.until < end) {
        end = MAX(u->step.until, u->progressed);
    }
    return end;
}

/* The current unit of a CPU did what it wanted: it sleeps or yields. */
static void end_step(struct sim *s, u32 cpu, struct sim_unit *u)
{
    progress(s, u);
    if (u->step.wake_at) {
        u->wants = false;
        u->wake_at = MAX(u->step.wake_at, s->now + 1);
    } else {
        u->yields++;
        if (s->pool.ops->yield) {
            s->pool.ops->yield(&s->pool, &u->unit);
        }
    }
    u->behave(s, u, &u->step);
    reschedule(s, cpu);
}

static void run_timer(struct sim *s)
{
    struct cpumask mask;
    stime_t next;

    cpumask_clear_all(&mask);
    s->pool.timer_kick = false;
    next = s->pool.ops->timer(&s->pool, s->now, &mask);
    ASSERT(next > s->now);
    cpumask_for_each(cpu, &mask) {
        tickle(s, cpu);
    }
    s->timer_at = next == STIME_MAX ? 0 : next + s->timer_delay;
}

static void earlier(stime_t *best, stime_t t)
{
    if (t && t < *best) {
        *best = t;
    }
}

static stime_t next_event(const struct sim *s, stime_t end)
{
    stime_t best = end;

    earlier(&best, s->timer_at);
    for (u32 cpu = 0; cpu < s->nr_cpus; cpu++) {
        const struct sim_cpu *c = &s->cpu[cpu];

        earlier(&best, c->slice_at);
        earlier(&best, c->tickle_at);
        if (c->current) {
            earlier(&best, step_end(sim_of(c->current)));
        }
    }
    for (u32 i = 0; i < s->nr_units; i++) {
        earlier(&best, s->unit[i].wake_at);
    }
    return MAX(best, s->now);
}

static bool cpu_event(struct sim *s, u32 cpu)
{
    struct sim_cpu *c = &s->cpu[cpu];

    if (c->current && step_end(sim_of(c->current)) <= s->now) {
        end_step(s, cpu, sim_of(c->current));
        return true;
    }
    if (c->slice_at && c->slice_at <= s->now) {
        c->slice_at = 0;
        reschedule(s, cpu);
        return true;
    }
    if (c->tickle_at && c->tickle_at <= s->now) {
        reschedule(s, cpu);
        return true;
    }
    return false;
}

static void checks(struct sim *s)
{
    s->events++;
    check_cpus(s);
    check_units(s);
}

static void events_at_now(struct sim *s)
{
    if (s->timer_at && s->timer_at <= s->now) {
        s->timer_at = 0;
        run_timer(s);
        checks(s);
    }
    for (u32 cpu = 0; cpu < s->nr_cpus; cpu++) {
        if (cpu_event(s, cpu)) {
            checks(s);
        }
    }
    for (u32 i = 0; i < s->nr_units; i++) {
        struct sim_unit *u = &s->unit[i];

        if (u->wake_at && u->wake_at <= s->now) {
            u->wake_at = 0;
            wake(s, u);
            checks(s);
        }
    }
}

void sim_run(struct sim *s, stime_t duration)
{
    stime_t end = s->now + duration;
    s64 busy = 0, ran = 0;

    while (s->now < end) {
        s->now = next_event(s, end);
        events_at_now(s);
    }
    for (u32 cpu = 0; cpu < s->nr_cpus; cpu++) {
        account_cpu(s, &s->cpu[cpu]);
        busy += s->cpu[cpu].busy;
    }
    for (u32 i = 0; i < s->nr_units; i++) {
        struct sim_unit *u = &s->unit[i];

        if (u->unit.running) {
            u->ran += s->now - u->on_since;
            u->ran_on[u->unit.cpu] += s->now - u->on_since;
            u->on_since = s->now;
            progress(s, u);
        }
        ran += u->ran;
    }
    ASSERT(busy == ran + s->gone); /* time is neither lost nor made */
}

/* ---- Setting up and changing ------------------------------------------------------------- */

struct sim *sim_new(const struct sched_ops *ops, u32 nr_cpus, u64 seed)
{
    struct sim *s = calloc(1, sizeof(*s));

    s->seed = seed;
    s->nr_cpus = nr_cpus;
    s->now = 12345678;
    s->tickle_delay = 2000;
    s->switch_cost = 1000;
    s->check_conservation = true;
    s->pool.ops = ops;
    list_init(&s->pool.doms);
    s->pool.params = (struct sched_params){ 30000, 1000, 0, 0 };
    s->pool.priv = calloc(1, ops->pool_size);
    if (ops->pool_init) {
        ops->pool_init(&s->pool, s->now);
    }
    for (u32 cpu = 0; cpu < nr_cpus; cpu++) {
        sim_cpu_add(s, cpu);
    }
    return s;
}

void sim_free(struct sim *s)
{
    free(s->pool.priv);
    free(s);
}

struct sched_dom *sim_dom(struct sim *s, u32 weight, u32 cap)
{
    struct sched_dom *d = &s->dom[s->nr_doms];

    ASSERT(s->nr_doms < SIM_DOMS);
    d->weight = weight;
    d->cap = cap;
    d->id = s->nr_doms++;
    d->inner_weight = d->self_weight = SCHED_DEFAULT_WEIGHT;
    list_init(&d->units);
    list_init(&d->members);
    list_init(&d->sibling);
    list_add_tail(&s->pool.doms, &d->link);
    s->pool.nr_doms++;
    if (s->pool.ops->dom_insert) {
        s->pool.ops->dom_insert(&s->pool, d);
    }
    return d;
}

/* As the dispatcher does it; returns whether something changed. */
static bool effective_affinity(const struct sim *s, struct sim_unit *u)
{
    struct sched_unit *v = &u->unit;
    struct cpumask hard = v->hard, soft = v->soft;

    v->hard = cpumask_and(&u->hard_given, &s->pool.cpus);
    if (cpumask_empty(&v->hard)) {
        v->hard = s->pool.cpus;
    }
    v->soft = cpumask_and(&u->soft_given, &v->hard);
    if (cpumask_weight(&v->soft) == cpumask_weight(&v->hard)) {
        cpumask_clear_all(&v->soft);
    }
    v->dedicated = cpumask_weight(&v->hard) == 1;
    return memcmp(&hard, &v->hard, sizeof(hard)) || memcmp(&soft, &v->soft, sizeof(soft));
}

static void set_affinity(struct sim *s, struct sim_unit *u, const struct cpumask *hard,
                         const struct cpumask *soft)
{
    cpumask_set_all(&u->hard_given);
    cpumask_clear_all(&u->soft_given);
    u->hard_given = hard ? *hard : u->hard_given;
    u->soft_given = soft ? *soft : u->soft_given;
    (void)effective_affinity(s, u);
}

/* The pool has other CPUs than before. */
static void retarget_all(struct sim *s)
{
    for (u32 i = 0; i < s->nr_units; i++) {
        struct sim_unit *u = &s->unit[i];

        if (u->behave && effective_affinity(s, u) && s->pool.ops->changed) {
            tickle(s, s->pool.ops->changed(&s->pool, u->unit.dom, &u->unit, s->now));
        }
    }
}

static struct sim_unit *free_unit(struct sim *s)
{
    u32 i = 0;

    while (i < s->nr_units && s->unit[i].behave) {
        i++;
    }
    ASSERT(i < SIM_UNITS);
    s->nr_units = MAX(s->nr_units, i + 1);
    memset(&s->unit[i], 0, sizeof(s->unit[i]));
    s->unit[i].unit.id = i;
    return &s->unit[i];
}

struct sim_unit *sim_unit(struct sim *s, struct sched_dom *d, const struct cpumask *hard,
                          const struct cpumask *soft,
                          void (*behave)(struct sim *, struct sim_unit *, struct sim_step *),
                          s64 arg0, s64 arg1)
{
    struct sim_unit *u = free_unit(s);
    const struct sched_ops *ops = s->pool.ops;

    u->unit.dom = d;
    set_affinity(s, u, hard, soft);
    u->unit.cpu = cpumask_next_wrap(&u->unit.hard, u->unit.id % s->nr_cpus);
    u->behave = behave;
    u->arg[0] = arg0;
    u->arg[1] = arg1;
    list_add_tail(&d->units, &u->unit.link);
    if (ops->unit_insert) {
        ops->unit_insert(&s->pool, &u->unit, s->now);
    }
    u->unit.cpu = ops->pick_cpu(&s->pool, &u->unit);
    ASSERT(cpumask_test(&u->unit.hard, u->unit.cpu));
    behave(s, u, &u->step);
    wake(s, u);
    return u;
}

bool sim_any_called(const struct sim *s)
{
    for (u32 cpu = 0; cpu < s->nr_cpus; cpu++) {
        if (s->cpu[cpu].member && s->cpu[cpu].tickle_at) {
            return true;
        }
    }
    return false;
}

void sim_pause(struct sim *s, struct sim_unit *u)
{
    u->paused = true;
    u->wants = false;
    if (u->unit.runnable && !u->unit.running) {
        u->unit.runnable = false;
        if (s->pool.ops->sleep) {
            tickle(s, s->pool.ops->sleep(&s->pool, &u->unit, s->now));
        }
    } else if (u->unit.running) {
        tickle(s, u->unit.cpu);
    }
}

void sim_down(struct sim *s, struct sim_unit *u)
{
    u->unit.down = true;
    sim_pause(s, u);
}

int sim_rt(struct sim *s, struct sim_unit *u, const struct sched_rt *rt, bool force)
{
    u32 cpu = NO_CPU;
    int rc = s->pool.ops->rt_set(&s->pool, &u->unit, rt, force, s->now, &cpu);

    tickle(s, cpu);
    checks(s);
    return rc;
}

void sim_unpause(struct sim *s, struct sim_unit *u)
{
    u->paused = false;
    wake(s, u);
}

void sim_affinity(struct sim *s, struct sim_unit *u, const struct cpumask *hard,
                  const struct cpumask *soft)
{
    set_affinity(s, u, hard, soft);
    if (s->pool.ops->changed) {
        tickle(s, s->pool.ops->changed(&s->pool, u->unit.dom, &u->unit, s->now));
    }
    checks(s);
}

void sim_domain_changed(struct sim *s, struct sched_dom *d)
{
    if (s->pool.ops->changed) {
        tickle(s, s->pool.ops->changed(&s->pool, d, NULL, s->now));
    }
    checks(s);
}

static void regroup(struct sim *s, struct sched_dom *d, struct sched_dom *master)
{
    const struct sched_ops *ops = s->pool.ops;

    if (ops->regroup) {
        ops->regroup(&s->pool, d, false, s->now);
    }
    if (d->master) {
        list_del(&d->sibling);
    }
    d->master = master;
    if (master) {
        list_add_tail(&master->members, &d->sibling);
    }
    if (ops->regroup) {
        ops->regroup(&s->pool, d, true, s->now);
    }
    tickle_calls(s);
    checks(s);
}

void sim_join(struct sim *s, struct sched_dom *d, struct sched_dom *master, u32 weight, u32 cap)
{
    ASSERT(!d->master && master != d);
    d->inner_weight = weight;
    d->inner_cap = cap;
    regroup(s, d, master);
}

void sim_leave(struct sim *s, struct sched_dom *d)
{
    ASSERT(d->master);
    regroup(s, d, NULL);
}

bool sim_cpu_remove(struct sim *s, u32 cpu)
{
    if (cpumask_weight(&s->pool.cpus) < 2 || !cpumask_test(&s->pool.cpus, cpu)) {
        return false;
    }
    cpumask_clear(&s->pool.cpus, cpu);
    cpumask_clear(&s->pool.idlers, cpu);
    retarget_all(s);
    tickle(s, cpu);
    checks(s);
    return true;
}

bool sim_cpu_add(struct sim *s, u32 cpu)
{
    struct sim_cpu *c = &s->cpu[cpu];

    if (c->member) {
        return false;
    }
    account_cpu(s, c);
    c->member = true;
    cpumask_set(&s->pool.cpus, cpu);
    cpumask_set(&s->pool.idlers, cpu);
    if (s->pool.ops->cpu_add) {
        s->pool.ops->cpu_add(&s->pool, cpu, s->now);
    }
    retarget_all(s);
    tickle(s, cpu);
    checks(s);
    return true;
}

/* The place is filled with nonsense: nobody may look at it any more. */
void sim_unit_remove(struct sim *s, struct sim_unit *u)
{
    ASSERT(!u->unit.running && !u->unit.runnable && u->paused);
    if (s->pool.ops->unit_remove) {
        s->pool.ops->unit_remove(&s->pool, &u->unit, s->now);
    }
    list_del(&u->unit.link);
    tickle_calls(s);
    s->gone += u->ran;
    memset(u, 0, sizeof(*u));
    memset(&u->unit, 0xa5, sizeof(u->unit));
    u->unit.running = false;
}

void sim_reset(struct sim *s)
{
    for (u32 cpu = 0; cpu < s->nr_cpus; cpu++) {
        account_cpu(s, &s->cpu[cpu]);
        s->cpu[cpu].busy = 0;
        s->cpu[cpu].idle = 0;
        s->cpu[cpu].switches = 0;
    }
    s->gone = 0;
    for (u32 i = 0; i < s->nr_units; i++) {
        struct sim_unit *u = &s->unit[i];

        u->ran = 0;
        u->waited = 0;
        u->longest_wait = 0;
        u->wakes = 0;
        u->runs = 0;
        u->yields = 0;
        u->moves = 0;
        memset(u->late, 0, sizeof(u->late));
        memset(u->ran_on, 0, sizeof(u->ran_on));
        if (u->unit.running) {
            u->on_since = s->now;
        }
    }
}

double sim_share(const struct sim_unit *u, stime_t over)
{
    return 100.0 * (double)u->ran / (double)over;
}

double sim_dom_share(const struct sim *s, const struct sched_dom *d, stime_t over)
{
    double sum = 0;

    for (u32 i = 0; i < s->nr_units; i++) {
        sum += s->unit[i].unit.dom == d ? sim_share(&s->unit[i], over) : 0;
    }
    return sum;
}

/* ---- What tests do at random, and how they judge -------------------------------------------- */

void sim_near(double got, double want, double tolerance, int line)
{
    if (got < want - tolerance || got > want + tolerance) {
        panic("line %d: %.3f instead of %.3f +-%.3f", line, got, want, tolerance);
    }
}

struct cpumask sim_random_mask(struct sim *s)
{
    return mask_of(1 + sim_rnd(s, (1UL << s->nr_cpus) - 1));
}

u32 sim_nr_living(const struct sim *s)
{
    u32 n = 0;

    for (u32 i = 0; i < s->nr_units; i++) {
        n += s->unit[i].behave != NULL;
    }
    return n;
}

struct sim_unit *sim_random_living(struct sim *s)
{
    struct sim_unit *u;

    do {
        u = &s->unit[sim_rnd(s, s->nr_units)];
    } while (!u->behave);
    return u;
}

void sim_unit_withdraw(struct sim *s, struct sim_unit *u)
{
    sim_pause(s, u);
    sim_run(s, s->tickle_delay + 2);
    sim_unit_remove(s, u);
}

/* ---- Behaviours -------------------------------------------------------------------------- */

void sim_burner(struct sim *s, struct sim_unit *u, struct sim_step *step)
{
    (void)s;
    (void)u;
    *step = (struct sim_step){ STIME_MAX / 2, 0, 0 };
}

void sim_sleeper(struct sim *s, struct sim_unit *u, struct sim_step *step)
{
    stime_t due = MAX(s->now, u->wake_at);

    *step = (struct sim_step){ u->arg[0], 0, (due / u->arg[1] + 1) * u->arg[1] };
}

void sim_dodger(struct sim *s, struct sim_unit *u, struct sim_step *step)
{
    stime_t due = MAX(s->now, u->wake_at);
    stime_t tick = (due / u->arg[0] + 1) * u->arg[0];

    *step = (struct sim_step){ STIME_MAX / 2, tick - 50000, tick + 50000 };
}

void sim_yielder(struct sim *s, struct sim_unit *u, struct sim_step *step)
{
    (void)s;
    *step = (struct sim_step){ u->arg[0], 0, 0 };
}

void sim_random(struct sim *s, struct sim_unit *u, struct sim_step *step)
{
    stime_t due = MAX(s->now, u->wake_at);

    step->run = 1 + (s64)sim_rnd(s, (u64)u->arg[0]);
    step->until = 0;
    step->wake_at = due + step->run + (s64)sim_rnd(s, (u64)u->arg[1]);
    if (sim_rnd(s, 8) == 0) {
        step->wake_at = 0;
    }
}

void sim_wander(struct sim *s, u32 steps, u64 longest, void (*step)(struct sim *s))
{
    for (u32 i = 0; i < steps; i++) {
        sim_run(s, 1 + (s64)sim_rnd(s, sim_rnd(s, 2) ? longest : 20000));
        step(s);
    }
}
