/* SPDX-License-Identifier: MIT */
/* Domains, vcpus, and the control domain's calls on the simulated machine; see guests.h. */
#include <stdlib.h>

#include <tarn/errno.h>
#include <tarn/softirq.h>
#include <tarn/time.h>

#include "guests.h"

#define PATIENCE MS /* a call that has to come again is done by then */

struct sim_dom *sim_doms[SIM_DOMS];
struct sim_vcpu *sim_vcpus[SIM_VCPUS];
u32 nr_sim_doms, nr_sim_vcpus;
s64 sim_ran_of_the_dead;
stime_t sim_marked;

static struct sim_vcpu *sim_of(const struct vcpu *v)
{
    return container_of((uintptr_t)v, struct sim_vcpu, v);
}

/* ---- A vcpu on its CPU ------------------------------------------------------------------- */

static void progress(struct sim_vcpu *s)
{
    s->step.run -= machine.clock - s->progressed;
    s->progressed = machine.clock;
}

void guest_on(struct vcpu *v, u32 cpu)
{
    struct sim_vcpu *s = sim_of(v);
    const struct sched_pool *p = v->domain->pool;

    ASSERT(s->on == NO_CPU && s->dom->d.pool == pcpus[cpu]->pool);
    ASSERT(cpumask_test(&v->unit.hard, cpu) && cpumask_test(&p->cpus, cpu));
    ASSERT(cpumask_subset(&v->unit.hard, &p->cpus));
    s->on = cpu;
    s->on_since = s->progressed = machine.clock;
    s->longest_off = MAX(s->longest_off, machine.clock - MAX(s->off_since, sim_marked));
    s->runs++;
}

void guest_off(struct vcpu *v, u32 cpu)
{
    struct sim_vcpu *s = sim_of(v);

    ASSERT(s->on == cpu);
    progress(s);
    s->ran += machine.clock - s->on_since;
    s->off_since = machine.clock;
    s->on = NO_CPU;
}

stime_t guest_due(const struct vcpu *v)
{
    const struct sim_vcpu *s = sim_of(v);
    stime_t end = s->progressed + MAX(s->step.run, 0);

    if (s->step.until && s->step.until < end) {
        end = MAX(s->step.until, s->progressed);
    }
    return end;
}

/* The current vcpu did what it wanted: it sleeps or yields, and makes up its mind what comes then.
 */
void guest_acts(void)
{
    struct vcpu *v = current;
    struct sim_vcpu *s = sim_of(v);
    stime_t wake_at = s->step.wake_at;

    progress(s);
    if (wake_at) {
        v->pause_flags |= VPF_BLOCKED;
        timer_arm(&v->oneshot, MAX(wake_at, machine.clock + 1));
        softirq_raise_self(SOFTIRQ_SCHEDULE);
    } else {
        s->yields++;
        vcpu_yield();
    }
    s->behave(s, &s->step);
}

static void unblock(void *arg)
{
    struct vcpu *v = arg;

    if (v->pause_flags & VPF_BLOCKED) {
        v->pause_flags &= ~VPF_BLOCKED;
        sim_of(v)->wakes++;
        vcpu_wake(v);
    }
}

s64 sim_ran(const struct sim_vcpu *v)
{
    return v->ran + (v->on != NO_CPU ? machine.clock - v->on_since : 0);
}

void sim_mark(void)
{
    sim_marked = machine.clock;
    for (u32 i = 0; i < nr_sim_vcpus; i++) {
        sim_vcpus[i]->mark = sim_ran(sim_vcpus[i]);
        sim_vcpus[i]->longest_wait = sim_vcpus[i]->longest_off = 0;
    }
}

double sim_vcpu_share(const struct sim_vcpu *v, stime_t over)
{
    return (double)(sim_ran(v) - v->mark) / (double)over;
}

double sim_dom_share(const struct sim_dom *d, stime_t over)
{
    double sum = 0;

    for (u32 i = 0; i < d->d.max_vcpus; i++) {
        sum += sim_vcpu_share(d->vcpu[i], over);
    }
    return sum;
}

/* ---- Behaviours -------------------------------------------------------------------------- */

/* When what it is about to do next begins. */
static stime_t due(const struct sim_vcpu *v)
{
    return MAX(machine.clock, v->step.wake_at);
}

void sim_burner(struct sim_vcpu *v, struct sim_step *step)
{
    (void)v;
    *step = (struct sim_step){ STIME_MAX / 2, 0, 0 };
}

void sim_sleeper(struct sim_vcpu *v, struct sim_step *step)
{
    *step = (struct sim_step){ v->arg[0], 0, (due(v) / v->arg[1] + 1) * v->arg[1] };
}

void sim_dodger(struct sim_vcpu *v, struct sim_step *step)
{
    stime_t tick = (due(v) / v->arg[0] + 1) * v->arg[0];

    *step = (struct sim_step){ STIME_MAX / 2, tick - 50 * US, tick + 50 * US };
}

void sim_yielder(struct sim_vcpu *v, struct sim_step *step)
{
    *step = (struct sim_step){ v->arg[0], 0, 0 };
}

void sim_random(struct sim_vcpu *v, struct sim_step *step)
{
    stime_t run = 1 + (stime_t)rnd((u64)v->arg[0]), from = due(v);

    *step = (struct sim_step){ run, 0, 0 };
    if (!one_in(8)) {
        step->wake_at = from + run + (stime_t)rnd((u64)v->arg[1]);
    }
}

/* ---- Calls ------------------------------------------------------------------------------- */

struct dom_call {
    struct sim_dom *d, *master;
    struct sim_vcpu *v;
    struct sched_pool *p;
    const struct cpumask *hard, *soft;
    const struct sched_rt *rt;
    u32 weight, cap, vcpus;
    bool force;
    long rc;
};

static void forward(void *arg)
{
    struct sim_call *c = arg;

    c->rc = c->fn(c);
}

static const char *name_of(const struct sim_call *c)
{
    return c->fn == call_create    ? "create"
           : c->fn == call_destroy ? "destroy"
           : c->fn == call_give    ? "give"
           : c->fn == call_take    ? "take"
           : c->fn == call_rename  ? "rename"
           : c->fn == call_params  ? "params"
           : c->fn == call_flags   ? "flags"
           : c->fn == call_dump    ? "dump"
           : c->fn == call_offline ? "offline"
                                   : "online";
}

long sim_call_on(u32 cpu, struct sim_call *c)
{
    machine_hypercall(cpu, c->caller, forward, c);
    sim_log("%s on cpu %u by %u: pool %u, cpu %u: %ld", name_of(c), cpu, c->caller, c->id, c->cpu,
            c->rc);
    return c->rc;
}

long sim_call(struct sim_call *c)
{
    return sim_call_on(machine_any_cpu(), c);
}

long sim_complete(struct sim_call *c)
{
    stime_t end = machine.clock + PATIENCE;

    while (sim_call(c) == -ERESTART) {
        if (machine.clock > end) {
            panic("a call is not done after %lld us", PATIENCE / US);
        }
        machine_run(1 + (stime_t)rnd(2 * US));
    }
    return c->rc;
}

long call_create(struct sim_call *c)
{
    return pool_create(&c->id, c->sched);
}

long call_destroy(struct sim_call *c)
{
    return pool_destroy(c->id);
}

long call_give(struct sim_call *c)
{
    return pool_give_cpu(c->id, c->cpu);
}

long call_take(struct sim_call *c)
{
    return pool_take_cpu(c->id, c->cpu);
}

long call_rename(struct sim_call *c)
{
    return pool_rename(c->id, c->name);
}

long call_params(struct sim_call *c)
{
    struct sched_pool *p = pool_get(c->id);
    long rc = p ? sched_params_set(p, &c->params) : -ENOENT;

    if (p) {
        pool_put(p);
    }
    return rc;
}

long call_flags(struct sim_call *c)
{
    struct sched_pool *p = pool_get(c->id);
    long rc = p ? sched_flags_set(p, c->params.flags) : -ENOENT;

    if (p) {
        pool_put(p);
    }
    return rc;
}

long call_dump(struct sim_call *c)
{
    (void)c;
    sched_dump();
    return 0;
}

long call_offline(struct sim_call *c)
{
    return sched_cpu_offline(c->cpu);
}

long call_online(struct sim_call *c)
{
    return sched_cpu_online(c->cpu);
}

long sim_pool_create(u32 *id, u32 sched)
{
    struct sim_call c = { .fn = call_create, .id = *id, .sched = sched };
    long rc = sim_complete(&c);

    *id = c.id;
    return rc;
}

long sim_pool_destroy(u32 id)
{
    struct sim_call c = { .fn = call_destroy, .id = id };

    return sim_complete(&c);
}

long sim_give(u32 id, u32 cpu)
{
    struct sim_call c = { .fn = call_give, .id = id, .cpu = cpu };

    return sim_complete(&c);
}

long sim_take(u32 id, u32 cpu)
{
    struct sim_call c = { .fn = call_take, .id = id, .cpu = cpu };

    return sim_complete(&c);
}

long sim_offline(u32 cpu)
{
    struct sim_call c = { .fn = call_offline, .cpu = cpu };

    return sim_complete(&c);
}

long sim_online(u32 cpu)
{
    struct sim_call c = { .fn = call_online, .cpu = cpu };

    return sim_complete(&c);
}

long sim_params(u32 id, const struct sched_params *params)
{
    struct sim_call c = { .fn = call_params, .id = id, .params = *params };

    return sim_complete(&c);
}

long sim_flags(u32 id, u32 flags)
{
    struct sim_call c = { .fn = call_flags, .id = id, .params.flags = flags };

    return sim_complete(&c);
}

struct sched_pool *sim_pool(u32 id)
{
    struct sched_pool *p = pool_get(id);

    if (p) {
        pool_put(p);
    }
    return p;
}

struct sched_pool *sim_pool_of(u32 id, u32 sched, const struct cpumask *cpus)
{
    ASSERT(sim_pool_create(&id, sched) == 0);
    cpumask_for_each(cpu, cpus) {
        ASSERT(sim_take(0, cpu) == 0);
        ASSERT(sim_give(id, cpu) == 0);
    }
    return sim_pool(id);
}

void sim_pools_reset(void)
{
    struct sched_pool *p;

    machine_run(50 * US); /* who is leaving has left */
    for (u32 cpu = 0; cpu < nr_pcpus; cpu++) {
        (void)sim_online(cpu);
    }
    for (u32 id = 1; (p = pool_get_from(id)); id++) {
        pool_put(p);
        id = p->id;
        for (u32 cpu = 0; cpu < nr_pcpus; cpu++) {
            ASSERT(pcpus[cpu]->pool != p || sim_take(id, cpu) == 0);
        }
        ASSERT(sim_pool_destroy(id) == 0);
    }
    for (u32 cpu = 0; cpu < nr_pcpus; cpu++) {
        if (!cpumask_test(&pool0.cpus, cpu)) {
            (void)sim_take(0, cpu);
            ASSERT(sim_give(0, cpu) == 0);
        }
    }
    ASSERT(cpumask_weight(&pool0.cpus) == nr_pcpus);
    sim_ran_of_the_dead = 0; /* the next machine has none */
    sim_marked = 0;
}

/* ---- Domains ----------------------------------------------------------------------------- */

static void init_vcpu(struct sim_dom *d, u32 id)
{
    struct sim_vcpu *s = aligned_alloc(64, ALIGN_UP(sizeof(*s), 64));
    struct cpumask all;

    memset(s, 0, sizeof(*s));
    ASSERT(nr_sim_vcpus < SIM_VCPUS);
    s->index = nr_sim_vcpus++;
    sim_vcpus[s->index] = s;
    s->dom = d;
    s->on = NO_CPU;
    s->created = machine.clock;
    s->beside_cpu = NO_CPU;
    s->v.domain = &d->d;
    s->v.id = id;
    s->v.pause_flags = VPF_DOWN;
    timer_init(&s->v.oneshot, unblock, &s->v);
    cpumask_set_all(&all);
    sched_vcpu_init(&s->v, &all, &all);
    d->d.vcpu[id] = &s->v;
    d->vcpu[id] = s;
}

static void do_create(void *arg)
{
    struct dom_call *c = arg;

    c->rc = sched_domain_init(&c->d->d, c->p, c->weight, c->cap);
    if (c->rc == 0) {
        c->d->d.max_vcpus = c->vcpus;
        for (u32 i = 0; i < c->vcpus; i++) {
            init_vcpu(c->d, i);
        }
    }
}

struct sim_dom *sim_dom_new(struct sched_pool *p, u32 vcpus, u32 weight, u32 cap)
{
    static u16 next_id;
    struct sim_dom *d = calloc(1, sizeof(*d));
    struct dom_call c = { .d = d, .p = p, .weight = weight, .cap = cap, .vcpus = vcpus };

    ASSERT(d && nr_sim_doms < SIM_DOMS && vcpus <= MAX_VCPUS);
    next_id = nr_sim_doms ? (u16)((next_id + 1) % 0x7ff0) : 0;
    d->d.domid = next_id;
    machine_call(machine_any_cpu(), do_create, &c);
    sim_log("d%u in pool %u with %u vcpus: %ld", next_id, p->id, vcpus, c.rc);
    if (c.rc) {
        free(d);
        return NULL;
    }
    d->index = nr_sim_doms;
    sim_doms[nr_sim_doms++] = d;
    return d;
}

static void do_pause(void *arg)
{
    struct sim_dom *d = arg;

    for (u32 i = 0; i < d->d.max_vcpus; i++) {
        d->d.vcpu[i]->pause_flags |= VPF_PAUSED;
        vcpu_sleep_nosync(d->d.vcpu[i]);
    }
}

static bool runs(const struct sim_dom *d)
{
    for (u32 i = 0; i < d->d.max_vcpus; i++) {
        if (d->d.vcpu[i]->unit.running) {
            return true;
        }
    }
    return false;
}

void sim_dom_pause(struct sim_dom *d)
{
    stime_t end = machine.clock + 100 * US;

    sim_log("pause d%u", d->d.domid);
    d->paused = true;
    machine_call(machine_any_cpu(), do_pause, d);
    while (runs(d)) {
        ASSERT(machine.clock < end);
        machine_run(500);
    }
}

static void leave_group(void *arg)
{
    struct sim_dom *d = arg;

    sched_group_leave(&d->d);
    sched_bandwidth_end(&d->d);
}

void sim_dom_die(struct sim_dom *d)
{
    sim_dom_pause(d);
    sim_log("d%u dies", d->d.domid);
    d->d.dying = DOMAIN_DYING;
    machine_call(machine_any_cpu(), leave_group, d);
}

static void do_unpause(void *arg)
{
    struct sim_dom *d = arg;

    for (u32 i = 0; i < d->d.max_vcpus; i++) {
        d->d.vcpu[i]->pause_flags &= ~VPF_PAUSED;
        vcpu_wake(d->d.vcpu[i]);
    }
}

void sim_dom_unpause(struct sim_dom *d)
{
    if (d->d.dying != DOMAIN_ALIVE) {
        return;
    }
    sim_log("unpause d%u", d->d.domid);
    d->paused = false;
    machine_call(machine_any_cpu(), do_unpause, d);
}

static void do_destroy(void *arg)
{
    struct sim_dom *d = arg;

    for (u32 i = 0; i < d->d.max_vcpus; i++) {
        timer_kill(&d->d.vcpu[i]->oneshot);
        sched_vcpu_destroy(d->d.vcpu[i]);
    }
    sched_domain_destroy(&d->d);
}

void sim_dom_destroy(struct sim_dom *d)
{
    sim_dom_pause(d);
    sim_log("destroy d%u", d->d.domid);
    machine_call(machine_any_cpu(), leave_group, d);
    machine_call(machine_any_cpu(), do_destroy, d);
    for (u32 i = 0; i < d->d.max_vcpus; i++) {
        struct sim_vcpu *s = d->vcpu[i];

        sim_ran_of_the_dead += s->ran;
        sim_vcpus[s->index] = sim_vcpus[--nr_sim_vcpus];
        sim_vcpus[s->index]->index = s->index;
        memset(s, 0xa5, sizeof(*s));
        free(s);
    }
    sim_doms[d->index] = sim_doms[--nr_sim_doms];
    sim_doms[d->index]->index = d->index;
    memset(d, 0xa5, sizeof(*d));
    free(d);
}

void sim_dom_destroy_all(void)
{
    while (nr_sim_doms) {
        sim_dom_destroy(sim_doms[nr_sim_doms - 1]);
    }
}

static void do_move(void *arg)
{
    struct dom_call *c = arg;

    sched_groups_lock();
    c->rc = sched_domain_move(&c->d->d, c->p);
    sched_groups_unlock();
    pool_put(c->p);
}

/* Of all of its tree; `was`: who was paused before, by index. */
static void pause_tree(struct sim_dom *top, bool pause, bool *was)
{
    for (struct domain *d = &top->d; d; d = sched_group_next(&top->d, d)) {
        struct sim_dom *s = container_of(d, struct sim_dom, d);

        if (pause) {
            was[s->index] = s->paused;
            sim_dom_pause(s);
        } else if (!was[s->index]) {
            sim_dom_unpause(s);
        }
    }
}

long sim_dom_move(struct sim_dom *d, u32 pool_id)
{
    static bool paused[SIM_DOMS];
    struct dom_call c = { .d = d };

    if (d->d.dying != DOMAIN_ALIVE) {
        return -EINVAL;
    }
    c.p = pool_get(pool_id);
    if (!c.p) {
        return -ENOENT;
    }
    pause_tree(d, true, paused);
    machine_call(machine_any_cpu(), do_move, &c);
    sim_log("move d%u to pool %u: %ld", d->d.domid, pool_id, c.rc);
    pause_tree(d, false, paused);
    return c.rc;
}

static void do_adjust(void *arg)
{
    struct dom_call *c = arg;

    c->rc = sched_domain_adjust(&c->d->d, &c->weight, &c->cap);
}

long sim_dom_adjust(struct sim_dom *d, u32 weight, u32 cap)
{
    struct dom_call c = { .d = d, .weight = weight, .cap = cap };

    machine_call(machine_any_cpu(), do_adjust, &c);
    return c.rc;
}

/* ---- Groups ------------------------------------------------------------------------------ */

static void do_join(void *arg)
{
    struct dom_call *c = arg;

    c->rc = sched_group_add(&c->d->d, &c->master->d, c->weight, c->cap);
}

long sim_dom_join(struct sim_dom *d, struct sim_dom *master, u32 weight, u32 cap)
{
    struct dom_call c = { .d = d, .master = master, .weight = weight, .cap = cap };

    machine_call(machine_any_cpu(), do_join, &c);
    sim_log("d%u joins d%u: %ld", d->d.domid, master->d.domid, c.rc);
    return c.rc;
}

static void do_leave(void *arg)
{
    struct dom_call *c = arg;

    c->rc = sched_group_remove(&c->d->d);
}

long sim_dom_leave(struct sim_dom *d)
{
    struct dom_call c = { .d = d };

    machine_call(machine_any_cpu(), do_leave, &c);
    sim_log("d%u leaves its group: %ld", d->d.domid, c.rc);
    return c.rc;
}

static void do_inside(void *arg)
{
    struct dom_call *c = arg;

    c->rc = sched_group_set(&c->d->d, &c->master->d, c->weight, c->cap);
}

long sim_dom_inside(struct sim_dom *d, struct sim_dom *master, u32 weight, u32 cap)
{
    struct dom_call c = { .d = d, .master = master, .weight = weight, .cap = cap };

    machine_call(machine_any_cpu(), do_inside, &c);
    sim_log("d%u inside d%u: weight %u, cap %u: %ld", d->d.domid, master->d.domid, weight, cap,
            c.rc);
    return c.rc;
}

static void do_dissolve(void *arg)
{
    struct dom_call *c = arg;

    c->rc = sched_group_dissolve(&c->d->d);
}

long sim_dom_dissolve(struct sim_dom *master)
{
    struct dom_call c = { .d = master };

    machine_call(machine_any_cpu(), do_dissolve, &c);
    sim_log("the group of d%u is dissolved: %ld", master->d.domid, c.rc);
    return c.rc;
}

bool sim_dom_capped(const struct sim_dom *d)
{
    const struct sched_dom *s = &d->d.sched;

    if (s->self_cap && !list_empty(&s->members)) {
        return true;
    }
    while (s->master && !s->inner_cap) {
        s = s->master;
    }
    return s->master ? s->inner_cap : s->cap;
}

/* ---- vcpus ------------------------------------------------------------------------------- */

static void do_up(void *arg)
{
    struct vcpu *v = arg;

    v->pause_flags &= ~VPF_DOWN;
    vcpu_wake(v);
}

void sim_up(struct sim_vcpu *v, sim_behaviour *behave, s64 arg0, s64 arg1)
{
    v->behave = behave;
    v->arg[0] = arg0;
    v->arg[1] = arg1;
    v->step = (struct sim_step){ 0 };
    behave(v, &v->step);
    sim_log("up d%uv%u", v->v.domain->domid, v->v.id);
    machine_call(machine_any_cpu(), do_up, &v->v);
}

static void do_down(void *arg)
{
    struct vcpu *v = arg;

    v->pause_flags |= VPF_DOWN;
    vcpu_sleep_nosync(v);
}

void sim_down(struct sim_vcpu *v)
{
    sim_log("down d%uv%u", v->v.domain->domid, v->v.id);
    machine_call(machine_any_cpu(), do_down, &v->v);
}

void sim_wake(struct sim_vcpu *v)
{
    machine_call(machine_any_cpu(), unblock, &v->v);
}

static void do_override(void *arg)
{
    struct dom_call *c = arg;

    c->rc = sched_pin_override(&c->v->v, c->vcpus);
}

long sim_override(struct sim_vcpu *v, u32 cpu)
{
    struct dom_call c = { .v = v, .vcpus = cpu };

    machine_call(machine_any_cpu(), do_override, &c);
    sim_log("override d%uv%u %d: %ld", v->v.domain->domid, v->v.id, (int)cpu, c.rc);
    return c.rc;
}

static void do_affinity(void *arg)
{
    struct dom_call *c = arg;

    sched_set_affinity(&c->v->v, c->hard, c->soft);
}

void sim_affinity(struct sim_vcpu *v, const struct cpumask *hard, const struct cpumask *soft)
{
    struct cpumask all;
    struct dom_call c = { .v = v, .hard = hard ? hard : &all, .soft = soft ? soft : &all };

    cpumask_set_all(&all);
    machine_call(machine_any_cpu(), do_affinity, &c);
    sim_log("affinity d%uv%u %lx %lx", v->v.domain->domid, v->v.id, c.hard->bits[0],
            c.soft->bits[0]);
}

static void do_ask(void *arg)
{
    struct dom_call *c = arg;
    struct cpumask hard = *c->hard, soft = *c->soft;

    c->rc = sched_ask_affinity(&c->v->v, &hard, &soft, c->force);
    if (c->rc == 0) {
        ASSERT(cpumask_subset(&hard, c->hard) && cpumask_subset(&soft, &hard));
    }
}

long sim_ask_affinity(struct sim_vcpu *v, const struct cpumask *hard, const struct cpumask *soft,
                      bool force)
{
    struct dom_call c = { .v = v, .hard = hard, .soft = soft, .force = force };

    machine_call(machine_any_cpu(), do_ask, &c);
    sim_log("ask affinity d%uv%u %lx %lx: %ld", v->v.domain->domid, v->v.id, hard->bits[0],
            soft->bits[0], c.rc);
    return c.rc;
}

static void do_rt(void *arg)
{
    struct dom_call *c = arg;

    c->rc = sched_rt_set(&c->v->v, c->rt, c->force);
}

long sim_vcpu_rt(struct sim_vcpu *v, const struct sched_rt *rt, bool force)
{
    struct dom_call c = { .v = v, .rt = rt, .force = force };

    machine_call(machine_any_cpu(), do_rt, &c);
    return c.rc;
}

static void do_rt_all(void *arg)
{
    struct dom_call *c = arg;

    c->rc = sched_rt_set_all(&c->d->d, c->rt, c->force);
}

long sim_dom_rt(struct sim_dom *d, u64 period_us, u64 budget_us, bool extratime, bool force)
{
    struct sched_rt rt = { period_us, budget_us, 0, 0, extratime };
    struct dom_call c = { .d = d, .rt = &rt, .force = force };

    machine_call(machine_any_cpu(), do_rt_all, &c);
    sim_log("rt d%u %lu %lu: %ld", d->d.domid, period_us, budget_us, c.rc);
    return c.rc;
}

void sim_up_at_random(struct sim_vcpu *v, s64 most_run, s64 most_sleep, s64 most_tick)
{
    s64 run = 20 * US + (s64)rnd((u64)most_run), period = run + 1 + (s64)rnd((u64)most_sleep);

    switch (rnd(6)) {
    case 0:
    case 1:
        sim_up(v, sim_burner, 0, 0);
        break;
    case 2:
        sim_up(v, sim_sleeper, run, period);
        break;
    case 3:
        sim_up(v, sim_dodger, 200 * US + (s64)rnd((u64)most_tick), 0);
        break;
    case 4:
        sim_up(v, sim_yielder, run, 0);
        break;
    default:
        sim_up(v, sim_random, run, period);
        break;
    }
}
