/* SPDX-License-Identifier: MIT */
/*
 * Torture: operations at random on pools, CPUs and domains, OPS (1,000,000) of them, while guests
 * run in between. Several vcpus of a control domain issue them; a call that says -ERESTART is
 * issued again some time later, with others in between, or never. The checks of check.h hold all
 * the time, nobody stalls (as defined there), and after each 20,000 all is taken apart and every
 * page is back. OPS, SEED: how many, and the first one's seed.
 */
#include <stdio.h>
#include <string.h>

#include <tarn/errno.h>
#include <tarn/options.h>
#include <tarn/pcpu.h>

#include "check.h"
#include "layouts.h"

#define EPOCH 20000u
#define POOL_IDS 7u
#define DOMS_MAX 14u
#define VCPUS_MAX 48u

static const struct sched_ops *const policies[] = { &sched_credit, &sched_credit, &sched_rtds,
                                                    &sched_null, &sched_sedf };
static struct sim_call pending[MACHINE_CALLERS]; /* of each caller: fn NULL is none */
static u64 ops, done, abandoned, restarted, joins;

/* ---- Dice -------------------------------------------------------------------------------- */

static u32 some_pool(void)
{
    return (u32)rnd(POOL_IDS);
}

static u32 some_cpu(void)
{
    return one_in(50) ? nr_pcpus : (u32)rnd(nr_pcpus);
}

static struct cpumask some_mask(void)
{
    struct cpumask m;

    cpumask_clear_all(&m);
    for (u32 n = 1 + (u32)rnd(4); n; n--) {
        cpumask_set(&m, (u32)rnd(nr_pcpus));
    }
    return m;
}

static struct sched_params some_params(void)
{
    struct sched_params p = { .tslice_us = 1000 + (u32)rnd(4001) };

    p.flags = (u32)rnd(8); /* all that there are */
    p.ratelimit_us = one_in(2) ? 100 + (u32)rnd(900) : 0;
    p.migr_delay_us = one_in(4) ? (u32)rnd(1000) : 0;
    return p;
}

static u32 some_weight(void)
{
    return 128 + (u32)rnd(900);
}

static u32 some_cap(u32 vcpus)
{
    return one_in(3) ? 1 + (u32)rnd(100 * vcpus) : 0;
}

/* ---- Calls of the control domain --------------------------------------------------------- */

static bool is_one_of(long rc, const long *list)
{
    while (*list && *list != rc) {
        list++;
    }
    return rc == *list;
}

/* What a call may say; 0 ends each list, and is said by all. */
static void check_answer(const struct sim_call *c)
{
    static const long
        create[] = { -EEXIST, -ENOSPC, -ENOMEM, -ENOENT, 0 },
        destroy[] = { -EBUSY, -ENOENT, -ERESTART, 0 },
        give[] = { -ENOENT, -ENODEV, -EINVAL, -EBUSY, 0 },
        take[] = { -ENOENT, -EINVAL, -EBUSY, -EADDRNOTAVAIL, -EADDRINUSE, -ERESTART, 0 },
        rename[] = { -ENOENT, -EEXIST, 0 }, params[] = { -ENOENT, 0 },
        off[] = { -EINVAL, -EEXIST, -EBUSY, -ENODEV, -EIO, -EADDRINUSE, -ERESTART, 0 },
        on[] = { -EINVAL, -EEXIST, -EBUSY, -EIO, 0 };
    const long *list = c->fn == call_create                                                ? create
                       : c->fn == call_destroy                                             ? destroy
                       : c->fn == call_give                                                ? give
                       : c->fn == call_take                                                ? take
                       : c->fn == call_rename                                              ? rename
                       : c->fn == call_params || c->fn == call_flags || c->fn == call_dump ? params
                       : c->fn == call_offline                                             ? off
                                                                                           : on;

    if (!is_one_of(c->rc, list)) {
        panic("a call says %ld (pool %u, cpu %u)", c->rc, c->id, c->cpu);
    }
}

static void issue(struct sim_call *c)
{
    sim_call(c);
    check_answer(c);
    if (c->rc != -ERESTART) {
        c->fn = NULL;
    } else if (one_in(20)) {
        c->fn = NULL;
        abandoned++;
    }
}

static void go_on_with(struct sim_call *c)
{
    restarted++;
    issue(c);
}

/* Mostly something that can be done. */
static void aim(struct sim_call *c)
{
    struct sched_pool *p;

    if (one_in(4)) {
        return;
    }
    for (u32 i = 0; i < nr_pcpus && c->fn == call_give; i++) {
        u32 cpu = (c->cpu + i) % nr_pcpus;

        if (cpumask_test(&cpu_online_map, cpu) && !pcpus[cpu]->pool) {
            c->cpu = cpu;
            break;
        }
    }
    if (c->fn == call_take && c->cpu < nr_pcpus && pcpus[c->cpu]->pool) {
        c->id = pcpus[c->cpu]->pool->id;
    }
    if (c->fn == call_give || c->fn == call_destroy) {
        p = pool_get_from(c->id);
        c->id = p ? p->id : c->id;
        if (p) {
            pool_put(p);
        }
    }
}

static void new_call(u32 caller)
{
    static const char *const names[] = { "a", "b", "Pool-1", "Pool-0", "the name of a pool" };
    struct sim_call *c = &pending[caller];
    u32 what = (u32)rnd(24);

    *c = (struct sim_call){ .caller = caller,
                            .id = some_pool(),
                            .cpu = some_cpu(),
                            .sched = policies[rnd(ARRAY_SIZE(policies))]->id,
                            .name = names[rnd(ARRAY_SIZE(names))],
                            .params = some_params() };
    c->fn = what < 2    ? call_create
            : what < 4  ? call_destroy
            : what < 12 ? call_give
            : what < 18 ? call_take
            : what < 19 ? one_in(8) ? call_dump : call_rename
            : what < 20 ? one_in(4) ? call_flags : call_params
            : what < 22 ? call_offline
                        : call_online;
    aim(c);
    if (c->fn == call_give && one_in(8)) {
        c->cpu = POOL_ANY;
    }
    if (c->fn == call_create) {
        c->sched = one_in(100) ? 77 : c->sched;
        machine.fail_after = one_in(10) ? 1 + (u32)rnd(2) : 0;
    }
    issue(c);
    machine.fail_after = 0;
}

static void control(void)
{
    u32 caller = (u32)rnd(MACHINE_CALLERS);

    if (pending[caller].fn) {
        go_on_with(&pending[caller]);
    } else {
        new_call(caller);
    }
}

/* ---- Domains ----------------------------------------------------------------------------- */

static void new_domain(void)
{
    struct sched_pool *p = sim_pool(some_pool());
    u32 vcpus = 1 + (u32)rnd(5);
    struct sim_dom *d;

    if (!p || nr_sim_doms >= DOMS_MAX || nr_sim_vcpus + vcpus > VCPUS_MAX) {
        return;
    }
    d = sim_dom_new(p, vcpus, some_weight(), some_cap(vcpus));
    for (u32 i = 0; d && i < vcpus; i++) {
        sim_up_at_random(d->vcpu[i], MS, 4 * MS, 5 * MS);
    }
}

static void rt(struct sim_dom *d)
{
    u64 period = 1000 + rnd(9000), budget = 20 + rnd(period / 2);

    (void)sim_dom_rt(d, period, budget, one_in(2), one_in(20));
}

static void affinity(struct sim_vcpu *v)
{
    struct cpumask hard = some_mask(), soft = some_mask();
    long rc;

    if (one_in(2)) {
        rc = sim_ask_affinity(v, &hard, &soft, one_in(8));
        ASSERT(rc == 0 || rc == -EINVAL || rc == -EBUSY);
        return;
    }
    sim_affinity(v, one_in(3) ? NULL : &hard, one_in(2) ? NULL : &soft);
}

static void up_or_down(struct sim_vcpu *v)
{
    if (v->v.pause_flags & VPF_DOWN) {
        sim_up_at_random(v, MS, 4 * MS, 5 * MS);
    } else {
        sim_down(v);
    }
}

static void group(struct sim_dom *d)
{
    struct sim_dom *other = sim_doms[rnd(nr_sim_doms)];
    u32 weight = some_weight(), cap = some_cap(d->d.max_vcpus);
    long rc;

    for (u32 i = 0; i < 8 && (other == d || other->d.pool != d->d.pool); i++) {
        other = sim_doms[rnd(nr_sim_doms)];
    }
    switch (rnd(8)) {
    case 0:
        rc = sim_dom_dissolve(d);
        ASSERT(rc == 0 || rc == -ENOENT);
        break;
    case 1:
    case 2:
        rc = sim_dom_leave(d);
        ASSERT(rc == 0 || rc == -ENOENT);
        break;
    case 3:
        rc = sim_dom_inside(d, one_in(2) ? d : other, weight, cap);
        ASSERT(rc == 0 || rc == -ENOENT);
        break;
    default:
        rc = sim_dom_join(d, other, weight, cap);
        ASSERT(rc == 0 || rc == -ESRCH || rc == -EXDEV || rc == -EBUSY || rc == -EINVAL ||
               rc == -E2BIG);
        joins += rc == 0;
        break;
    }
}

static void domain_op(struct sim_dom *d)
{
    struct sim_vcpu *v = d->vcpu[rnd(d->d.max_vcpus)];

    if (one_in(8)) {
        sim_limit_at_random(d);
        return;
    }
    switch (rnd(14)) {
    case 0:
    case 1:
        if (sim_dom_move(d, some_pool()) != 0 && one_in(10)) {
            sim_dom_destroy(d);
        }
        break;
    case 2:
        sim_dom_pause(d);
        break;
    case 3:
    case 4:
        sim_dom_unpause(d);
        break;
    case 5:
    case 6:
        affinity(v);
        break;
    case 7:
        (void)sim_dom_adjust(d, some_weight(), some_cap(d->d.max_vcpus));
        break;
    case 8:
        rt(d);
        break;
    case 9:
        (void)sim_override(v, one_in(2) ? NO_CPU : (u32)rnd(nr_pcpus));
        break;
    case 10:
        up_or_down(v);
        break;
    case 11:
    case 12:
        group(d);
        break;
    default:
        sim_wake(v);
        break;
    }
}

static void domains(void)
{
    if (nr_sim_doms == 0 || one_in(20)) {
        new_domain();
    } else if (one_in(40)) {
        sim_dom_destroy(sim_doms[rnd(nr_sim_doms)]);
    } else if (one_in(100)) {
        sim_dom_die(sim_doms[rnd(nr_sim_doms)]);
    } else {
        domain_op(sim_doms[rnd(nr_sim_doms)]);
    }
}

/* ---- Epochs ------------------------------------------------------------------------------ */

/* Mostly close together, as programs do it, and now and then with time to settle. */
static stime_t some_time(void)
{
    switch (rnd(16)) {
    case 0:
        return (stime_t)rnd(one_in(20) ? 20 * MS : 500 * US);
    case 1:
    case 2:
    case 3:
    case 4:
        return 0;
    default:
        return (stime_t)rnd(20 * US);
    }
}

static const struct layout *epoch_layout(u64 epoch)
{
    static const char *const names[] = { "2x2x2", "2x3x2", "1x2x2", "2x2x2", "4x4x1",
                                         "2",     "2x2x2", "1x6x1", "1",     "2x16x2" };

    return layout_find(names[epoch % ARRAY_SIZE(names)]);
}

static void epoch(u64 seed, u64 nr, u64 n)
{
    struct sched_params params;

    machine_seed(seed + nr);
    machine_on(layout_topology(epoch_layout(nr)), policies[rnd(ARRAY_SIZE(policies))]);
    machine.ipi_max = (u32)rnd(4000);
    machine.late_max = one_in(2) ? (u32)rnd(10000) : 0;
    params = some_params();
    ASSERT(sim_params(0, &params) == 0);
    opt.tslice_ms = 1 + (u32)rnd(5); /* of new pools */
    memset(pending, 0, sizeof(pending));
    checks_on(true);
    for (u64 i = 0; i < n; i++) {
        if (one_in(2)) {
            control();
        } else {
            domains();
        }
        check_all();
        machine_run(some_time());
        done++;
    }
    sim_dom_destroy_all();
    sim_pools_reset();
    machine_off();
}

int main(int argc, char **argv)
{
    u64 seed = sim_arg("SEED", 1);
    s64 virtual = 0;

    (void)argc;
    ops = sim_arg("OPS", sim_is_short(argv[0]) ? 200000 : 1000000);
    sim_case("torture");
    for (u64 nr = 0; done < ops; nr++) {
        epoch(seed, nr, MIN(EPOCH, ops - done));
        virtual += machine.clock;
    }
    printf("%llu operations in %lld ms of virtual time; %llu calls came again, %llu were given up, "
           "%llu domains joined groups\n"
           "longest wait that nothing excuses: %lld us\n",
           (unsigned long long)done, (long long)(virtual / MS), (unsigned long long)restarted,
           (unsigned long long)abandoned, (unsigned long long)joins,
           (long long)(sim_longest_judged / US));
    return sim_passed();
}
