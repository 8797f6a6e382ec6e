/* SPDX-License-Identifier: MIT */
/* sources: sched/schedule.c sched/pool.c sched/cpupool.c sched/null.c sched/rtds.c
 * sched/rtds_queue.c sched/sedf.c sched/sedf_params.c sched/credit.c sched/credit_queue.c
 * sched/credit_account.c lib/printf.c lib/spinlock.c lib/str.c lib/timer_heap.c
 * arch/x86/cpu/timer.c */
/*
 * The dispatcher and its pool as the hypervisor has them, with the credit scheduler and the timers;
 * clock, hardware, IPIs and the switch itself are played by this file. A "pcpu" is a stack area on
 * which a function is run. Whatever is done at random, in whatever order the pcpus come to their
 * exit loops, some things hold.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <ucontext.h>
#include <cmocka.h>

#include <tarn/console.h>
#include <tarn/domain.h>
#include <tarn/errno.h>
#include <tarn/options.h>
#include <tarn/page.h>
#include <tarn/softirq.h>
#include <tarn/time.h>
#include <x86/apic.h>

#define CPUS 4u
#define DOMS 6u
#define VCPUS 4u
#define BIT(nr) (1u << (nr))

struct pcpu *pcpus[NR_CPUS];
u32 nr_pcpus = CPUS;
struct cpumask cpu_online_map;
struct options opt;

static u8 areas[CPUS][PCPU_AREA_SIZE] __aligned(65536);
static struct vcpu idle[CPUS], *hw[CPUS]; /* hw: whose registers a pcpu has */
static struct domain idle_domain, *doms[DOMS];
static stime_t clock_ns;
static u64 ran_of_the_dead;

/* ---- What the dispatcher asks for -------------------------------------------------------- */

stime_t now(void)
{
    return clock_ns;
}

bool lapic_timer_program(stime_t deadline)
{
    return deadline > clock_ns;
}

void softirq_raise(u32 cpu, enum softirq nr)
{
    assert_true(cpu < CPUS);
    pcpus[cpu]->softirq_pending |= BIT(nr);
}

void arch_spin_service(void)
{
    panic("nobody lets go of what we wait for");
}

void *pages_alloc(u32 order)
{
    static _Alignas(4096) u8 memory[64][PAGE_SIZE];

    assert_true(1u << order <= ARRAY_SIZE(memory));
    memset(memory, 0, sizeof(memory));
    return memory;
}

/* Pools that come and go are not made here. */
void pages_free(void *pages, u32 order)
{
    (void)pages;
    (void)order;
}

void *page_alloc(void)
{
    return NULL;
}

void page_free(void *page)
{
    assert_null(page);
}

void smp_quiesce(void)
{
}

void vcpu_periodic_stop(struct vcpu *v)
{
    timer_stop(&v->periodic);
}

void vcpu_periodic_start(struct vcpu *v)
{
    timer_arm(&v->periodic, clock_ns + 10 * NSEC_PER_MSEC);
}

void vcpu_show_runstate(const struct vcpu *v)
{
    assert_ptr_equal(v, current);
}

void context_switch(struct vcpu *prev, struct vcpu *next)
{
    u32 cpu = this_cpu();

    assert_true(pool0.lock.locked);
    assert_ptr_equal(hw[cpu], prev);
    assert_ptr_not_equal(prev, next);
    for (u32 i = 0; i < CPUS; i++) {
        assert_ptr_not_equal(hw[i], next);
    }
    hw[cpu] = next;
}

static char log_text[4096];

void log_printf(enum log_level level, const char *fmt, ...)
{
    size_t n = strlen(log_text);
    va_list ap;

    assert_int_equal(level, LOG_ALWAYS);
    va_start(ap, fmt);
    n += (size_t)vsnprintf(log_text + n, sizeof(log_text) - n, fmt, ap);
    va_end(ap);
    assert_true(n + 2 < sizeof(log_text));
    log_text[n] = '\n';
    log_text[n + 1] = 0;
}

/* ---- Running something on a pcpu --------------------------------------------------------- */

static void (*job)(void);
static ucontext_t back;

static void enter(void)
{
    job();
}

static void run_on(u32 cpu, void (*fn)(void))
{
    ucontext_t c;

    getcontext(&c);
    c.uc_stack.ss_sp = areas[cpu];
    c.uc_stack.ss_size = PCPU_AREA_SIZE - 1024;
    c.uc_link = &back;
    job = fn;
    makecontext(&c, enter, 0);
    swapcontext(&back, &c);
    assert_false(pool0.lock.locked);
}

static bool take(struct pcpu *p, enum softirq nr)
{
    bool was = p->softirq_pending & BIT(nr);

    p->softirq_pending &= ~BIT(nr);
    return was;
}

static void exit_loop(void)
{
    struct pcpu *p = this_pcpu();

    for (u32 rounds = 0; p->softirq_pending; rounds++) {
        assert_true(rounds < 20);
        if (take(p, SOFTIRQ_TIMER)) {
            timer_softirq();
        }
        if (take(p, SOFTIRQ_UNLOAD)) {
            assert_ptr_equal(p->curr, p->idle);
        }
        if (take(p, SOFTIRQ_SCHEDULE)) {
            schedule();
        }
    }
}

static void step(u32 cpu)
{
    struct pcpu *p = pcpus[cpu];

    if (p->timer_programmed <= clock_ns) {
        p->timer_programmed = STIME_MAX;
        p->softirq_pending |= BIT(SOFTIRQ_TIMER);
    }
    run_on(cpu, exit_loop);
}

/* Until no pcpu has anything to do at this moment. */
static void settle(void)
{
    bool again = true;

    for (u32 rounds = 0; again; rounds++) {
        assert_true(rounds < 100);
        again = false;
        for (u32 cpu = 0; cpu < CPUS; cpu++) {
            again |= pcpus[cpu]->softirq_pending || pcpus[cpu]->timer_programmed <= clock_ns;
            step(cpu);
        }
    }
}

/* ---- Domains ----------------------------------------------------------------------------- */

static struct {
    struct domain *d;
    struct vcpu *v;
    struct cpumask hard, soft;
    u32 weight, cap, cpu;
    struct sched_params params;
    long rc;
} arg;

static void ignore(void *a)
{
    (void)a;
}

static void do_create(void)
{
    struct domain *d = arg.d;

    sched_domain_init(d, &pool0, arg.weight, arg.cap);
    for (u32 i = 0; i < d->max_vcpus; i++) {
        struct vcpu *v = calloc(1, sizeof(*v));

        v->domain = d;
        v->id = i;
        v->pause_flags = VPF_DOWN;
        timer_init(&v->periodic, ignore, v);
        sched_vcpu_init(v, &arg.hard, &arg.soft);
        d->vcpu[i] = v;
    }
}

static struct cpumask mask_of(u64 bits)
{
    struct cpumask m = { { bits } };

    return m;
}

static struct domain *create(u32 slot, u32 vcpus, u32 weight, u32 cap, u64 hard)
{
    arg.d = doms[slot] = calloc(1, sizeof(struct domain));
    arg.d->domid = (domid_t)slot;
    arg.d->max_vcpus = vcpus;
    arg.weight = weight;
    arg.cap = cap;
    arg.hard = mask_of(hard);
    arg.soft = mask_of(~0ul);
    run_on(0, do_create);
    return arg.d;
}

static void do_wake(void)
{
    vcpu_wake(arg.v);
}

static void do_sleep(void)
{
    vcpu_sleep_nosync(arg.v);
}

static void clear_flags(u32 cpu, struct vcpu *v, u32 flags)
{
    v->pause_flags &= ~flags;
    arg.v = v;
    run_on(cpu, do_wake);
}

static void set_flags(u32 cpu, struct vcpu *v, u32 flags)
{
    v->pause_flags |= flags;
    arg.v = v;
    run_on(cpu, do_sleep);
}

static void do_destroy(void)
{
    struct domain *d = arg.d;

    for (u32 i = 0; i < d->max_vcpus; i++) {
        sched_vcpu_destroy(d->vcpu[i]);
        timer_kill(&d->vcpu[i]->periodic);
        assert_false(d->vcpu[i]->periodic.node.queued);
        ran_of_the_dead += d->vcpu[i]->runstate.time[RUNSTATE_running];
        free(d->vcpu[i]);
    }
    sched_domain_destroy(d);
}

/* As it must be: paused first, and when each pcpu came to its exit loop once, none of it runs. */
static void destroy(u32 slot)
{
    struct domain *d = doms[slot];

    for (u32 i = 0; i < d->max_vcpus; i++) {
        set_flags(0, d->vcpu[i], VPF_PAUSED);
    }
    for (u32 cpu = 0; cpu < CPUS; cpu++) {
        step(cpu);
    }
    for (u32 i = 0; i < d->max_vcpus; i++) {
        assert_false(d->vcpu[i]->unit.running);
    }
    arg.d = d;
    run_on((u32)random() % CPUS, do_destroy);
    doms[slot] = NULL;
    free(d);
}

static void do_offline(void)
{
    arg.rc = sched_cpu_offline(arg.cpu);
}

static void do_online(void)
{
    arg.rc = sched_cpu_online(arg.cpu);
}

static long offline(u32 on, u32 cpu)
{
    arg.cpu = cpu;
    run_on(on, do_offline);
    return arg.rc;
}

static long online(u32 on, u32 cpu)
{
    arg.cpu = cpu;
    run_on(on, do_online);
    return arg.rc;
}

static void do_params(void)
{
    arg.rc = sched_params_set(&pool0, &arg.params);
}

static long set_params(u32 tslice_us, u32 ratelimit_us, u32 migr_delay_us)
{
    arg.params = (struct sched_params){ tslice_us, ratelimit_us, migr_delay_us, 0 };
    run_on(0, do_params);
    return arg.rc;
}

static void do_adjust(void)
{
    arg.rc = sched_domain_adjust(arg.d, arg.weight == ~0u ? NULL : &arg.weight,
                                 arg.cap == ~0u ? NULL : &arg.cap);
}

static long adjust(struct domain *d, u32 weight, u32 cap)
{
    arg.d = d;
    arg.weight = weight;
    arg.cap = cap;
    run_on(0, do_adjust);
    return arg.rc;
}

static void do_affinity(void)
{
    sched_set_affinity(arg.v, &arg.hard, &arg.soft);
}

static void set_affinity(u32 on, struct vcpu *v, u64 hard, u64 soft)
{
    arg.v = v;
    arg.hard = mask_of(hard);
    arg.soft = mask_of(soft);
    run_on(on, do_affinity);
}

static void do_boot(void)
{
    sched_boot_init(&sched_credit, NULL);
}

static int setup(void **state)
{
    (void)state;
    srandom(5);
    clock_ns = 0;
    ran_of_the_dead = 0;
    log_text[0] = 0;
    opt = (struct options){ .tslice_ms = 30, .ratelimit_us = 1000 };
    memset(&pool0, 0, sizeof(pool0));
    memset(idle, 0, sizeof(idle));
    cpumask_clear_all(&cpu_online_map);
    for (u32 cpu = 0; cpu < CPUS; cpu++) {
        pcpus[cpu] = pcpu_of_stack((u64)areas[cpu]);
        *pcpus[cpu] = (struct pcpu){ .id = cpu, .online = true, .timer_programmed = STIME_MAX };
        idle[cpu].domain = &idle_domain;
        hw[cpu] = pcpus[cpu]->curr = pcpus[cpu]->idle = &idle[cpu];
        cpumask_set(&cpu_online_map, cpu);
    }
    clock_ns = 1000;
    run_on(0, do_boot);
    settle();
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    for (u32 slot = 0; slot < DOMS; slot++) {
        if (doms[slot]) {
            destroy(slot);
        }
    }
    assert_int_equal(pool0.nr_doms, 0);
    assert_int_equal(pool0.nr_waiting, 0);
    assert_true(list_empty(&pool0.doms));
    return 0;
}

/* ---- What always holds ------------------------------------------------------------------- */

#define FOR_EACH_VCPU(v)                                             \
    for (u32 s_ = 0; s_ < DOMS; s_++)                                \
        for (u32 i_ = 0; doms[s_] && i_ < doms[s_]->max_vcpus; i_++) \
            for (struct vcpu *v = doms[s_]->vcpu[i_], *o_ = v; o_; o_ = NULL)

static void check_pcpus(void)
{
    for (u32 cpu = 0; cpu < CPUS; cpu++) {
        const struct pcpu *p = pcpus[cpu];
        bool member = cpumask_test(&pool0.cpus, cpu);

        assert_ptr_equal(p->curr, hw[cpu]);
        assert_true(p->pool == &pool0 || (!p->pool && p->curr == p->idle && !member));
        assert_true(member || !cpumask_test(&pool0.idlers, cpu));
        assert_true(!member || cpumask_test(&cpu_online_map, cpu));
        assert_true(!p->pool || cpumask_test(&cpu_online_map, cpu));
        assert_true(p->curr == p->idle || (p->curr->unit.running && p->curr->unit.cpu == cpu));
        assert_true(!cpumask_test(&pool0.idlers, cpu) || p->curr == p->idle);
        if (!cpumask_test(&cpu_online_map, cpu)) {
            assert_null(timer_heap_first(&p->timers.heap));
        }
    }
}

static void check_affinity(const struct vcpu *v)
{
    struct cpumask want = cpumask_and(&v->hard_given, &pool0.cpus);
    const struct sched_unit *u = &v->unit;

    want = cpumask_empty(&want) ? pool0.cpus : want;
    assert_memory_equal(&want, &u->hard, sizeof(want));
    assert_true(cpumask_subset(&u->soft, &u->hard));
    /* Who sleeps or has no budget may have been there before: it waits nowhere. */
    assert_true(u->running || !u->runnable || u->dom->cap || cpumask_test(&u->hard, u->cpu));
    if (u->running && !cpumask_test(&u->hard, u->cpu)) {
        assert_true(pcpus[u->cpu]->softirq_pending & BIT(SOFTIRQ_SCHEDULE));
    }
}

static void check(void)
{
    s64 waiting = 0, ran = 0, busy = 0;

    check_pcpus();
    FOR_EACH_VCPU(v)
    {
        struct vcpu_runstate_info r = v->runstate;

        check_affinity(v);
        waiting += v->unit.runnable && !v->unit.running;
        assert_int_equal(v->unit.running, r.state == RUNSTATE_running);
        assert_true(!v->unit.running || pcpus[v->unit.cpu]->curr == v);
        ran += (s64)r.time[RUNSTATE_running];
        ran += r.state == RUNSTATE_running ? clock_ns - (s64)r.state_entry_time : 0;
    }
    assert_int_equal(waiting, pool0.nr_waiting);
    for (u32 cpu = 0; cpu < CPUS; cpu++) {
        busy += clock_ns - sched_idle_time(cpu);
    }
    assert_int_equal(busy, ran + (s64)ran_of_the_dead); /* to the nanosecond */
}

/* Nobody has forgotten anybody. */
static void check_settled(void)
{
    settle();
    check();
    FOR_EACH_VCPU(v)
    {
        assert_int_equal(v->unit.runnable, vcpu_runnable(v));
        if (v->unit.runnable && !v->unit.running && !v->domain->sched.cap) {
            assert_false(cpumask_intersects(&v->unit.hard, &pool0.idlers));
        }
    }
}

static void run_for(stime_t ns)
{
    for (stime_t end = clock_ns + ns; clock_ns < end;) {
        clock_ns += 100 * NSEC_PER_USEC;
        settle();
        check();
    }
}

/* ---- CPUs that go and come --------------------------------------------------------------- */

/* One burner for each vcpu that wants to run. */
static struct domain *burners(u32 slot, u32 vcpus, u64 hard)
{
    struct domain *d = create(slot, vcpus, 256, 0, hard);

    for (u32 i = 0; i < vcpus; i++) {
        clear_flags(0, d->vcpu[i], VPF_DOWN);
    }
    settle();
    return d;
}

static void errors_as_xen_has_them(void **state)
{
    (void)state;
    assert_int_equal(offline(0, 0), -EINVAL);
    assert_int_equal(offline(0, CPUS), -EINVAL);
    assert_int_equal(offline(0, ~0u), -EINVAL);
    assert_int_equal(online(0, CPUS), -EINVAL);
    assert_int_equal(online(0, 0), -EEXIST);
    assert_int_equal(online(0, 2), -EEXIST);
    pcpus[3]->online = false;
    clear_bit(3, cpu_online_map.bits);
    assert_int_equal(offline(0, 3), -EEXIST);
    assert_int_equal(online(0, 3), -EIO);
}

static void an_idle_cpu_leaves_and_comes_back(void **state)
{
    (void)state;
    assert_int_equal(offline(0, 2), -ERESTART);
    assert_int_equal(offline(0, 2), -ERESTART);
    assert_int_equal(online(0, 2), -EEXIST); /* not gone yet */
    step(2);
    check();
    assert_int_equal(offline(0, 2), 0);
    settle();
    check();
    assert_int_equal(offline(0, 2), -EEXIST);
    assert_null(pcpus[2]->pool);
    assert_int_equal(cpumask_weight(&pool0.cpus), 3);
    burners(0, 4, ~0ul);
    assert_ptr_equal(pcpus[2]->curr, pcpus[2]->idle);
    assert_int_equal(pool0.nr_waiting, 1);
    softirq_raise(2, SOFTIRQ_SCHEDULE); /* a late one */
    check_settled();
    assert_int_equal(online(0, 2), 0);
    assert_int_equal(online(0, 2), -EEXIST);
    check_settled();
    assert_int_equal(pool0.nr_waiting, 0);
    assert_ptr_not_equal(pcpus[2]->curr, pcpus[2]->idle);
}

/* The caller runs on the CPU that it sends away: it goes on elsewhere, and asks again there. */
static void a_cpu_may_send_itself_away(void **state)
{
    struct domain *d = burners(0, 4, ~0ul);
    u32 cpu = 3;
    const struct vcpu *caller = pcpus[cpu]->curr;

    (void)state;
    assert_ptr_not_equal(caller, pcpus[cpu]->idle);
    assert_int_equal(offline(cpu, cpu), -ERESTART);
    assert_true(pcpus[cpu]->softirq_pending & BIT(SOFTIRQ_SCHEDULE));
    step(cpu);
    assert_int_equal(caller->unit.running, false);
    settle();
    for (u32 i = 0; i < 10 && !caller->unit.running; i++) {
        run_for(30 * NSEC_PER_MSEC);
    }
    assert_true(caller->unit.running);
    assert_int_equal(offline(caller->unit.cpu, cpu), 0);
    check_settled();
    assert_int_equal(d->sched.weight, 256);
}

static void affinity_is_broken_and_restored(void **state)
{
    struct domain *d = burners(0, 2, 1u << 2);
    const struct sched_unit *u = &d->vcpu[0]->unit;

    (void)state;
    set_affinity(0, d->vcpu[1], 6, 4);
    settle();
    assert_int_equal(d->vcpu[1]->unit.soft.bits[0], 4);
    assert_true(u->dedicated);
    assert_int_equal(offline(0, 2), -ERESTART);
    settle();
    assert_int_equal(offline(0, 2), 0);
    check_settled();
    assert_int_equal(u->hard.bits[0], 0xb);
    assert_false(u->dedicated);
    assert_true(u->running);
    assert_int_equal(d->vcpu[1]->unit.hard.bits[0], 2);
    assert_true(cpumask_empty(&d->vcpu[1]->unit.soft));
    assert_int_equal(online(0, 2), 0);
    check_settled();
    assert_int_equal(u->hard.bits[0], 4);
    assert_int_equal(u->cpu, 2);
    assert_int_equal(d->vcpu[1]->unit.hard.bits[0], 6);
    assert_int_equal(d->vcpu[1]->unit.soft.bits[0], 4);
    for (u32 i = 1; i < 4; i++) {
        assert_int_equal(offline(0, i), -ERESTART);
        settle();
        assert_int_equal(offline(0, i), 0);
    }
    check_settled();
    assert_int_equal(u->hard.bits[0], 1);
    run_for(100 * NSEC_PER_MSEC);
}

/* All timers that it had fire elsewhere. */
static void timers_move(void **state)
{
    struct domain *d = burners(0, 4, ~0ul);

    (void)state;
    assert_non_null(timer_heap_first(&pcpus[1]->timers.heap));
    assert_int_equal(offline(0, 1), -ERESTART);
    settle();
    d->vcpu[0]->oneshot = (struct timer){ .fn = ignore, .cpu = 1 };
    d->vcpu[0]->oneshot.node.expires = clock_ns + NSEC_PER_SEC;
    timer_heap_insert(&pcpus[1]->timers.heap, &d->vcpu[0]->oneshot.node);
    assert_int_equal(offline(0, 1), 0);
    assert_int_equal(d->vcpu[0]->oneshot.cpu, 0);
    assert_null(timer_heap_first(&pcpus[1]->timers.heap));
    run_for(NSEC_PER_SEC);
    assert_false(d->vcpu[0]->oneshot.node.queued);
}

static void the_last_one_stays(void **state)
{
    (void)state;
    create(0, 1, 256, 0, ~0ul);
    arg.cpu = 0;
    for (u32 i = 1; i < CPUS; i++) {
        assert_int_equal(pool_cpu_remove(&pool0, i), -ERESTART);
        assert_int_equal(pool_cpu_add(&pool0, i), -EBUSY);
    }
    assert_int_equal(pool_cpu_remove(&pool0, 0), -EBUSY);
    check_settled();
    assert_int_equal(cpumask_weight(&pool0.cpus), 1);
    destroy(0);
    assert_int_equal(pool_cpu_remove(&pool0, 0), -ERESTART);
    settle();
    assert_int_equal(pool_cpu_remove(&pool0, 0), 0);
    assert_null(pcpus[0]->pool);
    assert_int_equal(pool_cpu_add(&pool0, 0), 0);
}

/* ---- Parameters -------------------------------------------------------------------------- */

static void parameters(void **state)
{
    static const u32 bad[][3] = {
        { 999, 0, 0 },       { 1000001, 0, 0 },       { 0, 0, 0 },
        { 30000, 99, 0 },    { 1000000, 500001, 0 },  { 1000, 1001, 0 },
        { 30000, 30001, 0 }, { 30000, 1000, 100001 }, { ~0u, ~0u, ~0u },
    };
    struct sched_params got;

    (void)state;
    for (u32 i = 0; i < ARRAY_SIZE(bad); i++) {
        assert_int_equal(set_params(bad[i][0], bad[i][1], bad[i][2]), -EINVAL);
    }
    sched_params_get(&pool0, &got);
    assert_int_equal(got.tslice_us, 30000);
    assert_int_equal(set_params(1000, 1000, 100000), 0);
    assert_int_equal(set_params(1000000, 500000, 0), 0);
    assert_int_equal(set_params(5000, 0, 77), 0);
    sched_params_get(&pool0, &got);
    assert_int_equal(got.tslice_us, 5000);
    assert_int_equal(got.ratelimit_us, 0);
    assert_int_equal(got.migr_delay_us, 77);
}

static s64 ran(struct vcpu *v)
{
    struct vcpu_runstate_info r;

    vcpu_runstate_get(v, &r);
    return (s64)r.time[RUNSTATE_running];
}

/* A shorter slice ends the one that is going on. */
static void a_shorter_slice_counts_at_once(void **state)
{
    struct domain *d;
    s64 before[2];

    (void)state;
    assert_int_equal(set_params(1000000, 0, 0), 0);
    d = burners(0, 2, 1);
    run_for(3 * NSEC_PER_SEC);
    before[0] = ran(d->vcpu[0]);
    before[1] = ran(d->vcpu[1]);
    run_for(100 * NSEC_PER_MSEC);
    assert_true(ran(d->vcpu[0]) == before[0] || ran(d->vcpu[1]) == before[1]);
    assert_int_equal(set_params(2000, 0, 0), 0);
    run_for(10 * NSEC_PER_MSEC);
    assert_true(ran(d->vcpu[0]) > before[0] && ran(d->vcpu[1]) > before[1]);
}

static void weight_and_cap(void **state)
{
    struct domain *d = burners(0, 1, 1), *e = burners(1, 1, 1);
    s64 before;

    (void)state;
    assert_int_equal(adjust(d, 0, ~0u), -EINVAL);
    assert_int_equal(adjust(d, 65536, ~0u), -EINVAL);
    assert_int_equal(adjust(d, 512, 65536), -EINVAL);
    assert_int_equal(d->sched.weight, 256);
    assert_int_equal(adjust(d, 768, ~0u), 0);
    assert_int_equal(d->sched.weight, 768);
    assert_int_equal(d->sched.cap, 0);
    run_for(NSEC_PER_SEC);
    before = ran(d->vcpu[0]);
    run_for(4 * NSEC_PER_SEC);
    assert_true(llabs(ran(d->vcpu[0]) - before - 3 * NSEC_PER_SEC) < 40 * NSEC_PER_MSEC);
    assert_int_equal(adjust(d, ~0u, 10), 0);
    assert_int_equal(d->sched.weight, 768);
    before = ran(d->vcpu[0]);
    run_for(NSEC_PER_SEC);
    assert_true(ran(d->vcpu[0]) - before < 106 * NSEC_PER_MSEC);
    assert_true(ran(d->vcpu[0]) - before > 94 * NSEC_PER_MSEC);
    assert_true(ran(e->vcpu[0]) > NSEC_PER_SEC);
}

/* Without anybody else: whoever runs is told of its new cap before its slice is over. */
static void a_cap_counts_at_once(void **state)
{
    struct domain *d;
    s64 before;

    (void)state;
    set_params(1000000, 0, 0);
    d = burners(0, 1, ~0ul);
    run_for(3 * NSEC_PER_SEC + 300 * NSEC_PER_MSEC); /* into a long slice */
    before = ran(d->vcpu[0]);
    assert_int_equal(adjust(d, ~0u, 1), 0);
    run_for(500 * NSEC_PER_MSEC);
    assert_true(ran(d->vcpu[0]) - before < 11 * NSEC_PER_MSEC);
}

/* ---- Pausing ----------------------------------------------------------------------------- */

static void pause_and_unpause_lose_no_wakeup(void **state)
{
    struct domain *d = burners(0, 1, ~0ul);
    struct vcpu *v = d->vcpu[0];

    (void)state;
    set_flags(0, v, VPF_PAUSED); /* and back before its pcpu looked */
    clear_flags(1, v, VPF_PAUSED);
    check_settled();
    assert_true(v->unit.running);
    set_flags(0, v, VPF_PAUSED);
    step(v->unit.cpu);
    assert_false(v->unit.running);
    clear_flags(1, v, VPF_PAUSED);
    check_settled();
    assert_true(v->unit.running);
    set_flags(v->unit.cpu, v, VPF_BLOCKED);
    settle();
    set_flags(0, v, VPF_PAUSED);
    clear_flags(2, v, VPF_BLOCKED); /* its event comes while it is paused */
    check_settled();
    assert_false(v->unit.running);
    clear_flags(1, v, VPF_PAUSED);
    check_settled();
    assert_true(v->unit.running);
    clear_flags(1, v, VPF_PAUSED); /* once too often */
    check_settled();
}

static void idle_time(void **state)
{
    struct domain *d;

    (void)state;
    run_for(10 * NSEC_PER_MSEC);
    assert_int_equal(sched_idle_time(0), clock_ns);
    d = burners(0, 1, 2);
    assert_int_equal(sched_idle_time(1), clock_ns);
    clock_ns += 12345;
    assert_int_equal(sched_idle_time(1), clock_ns - 12345);
    assert_int_equal(ran(d->vcpu[0]), 12345);
    set_flags(0, d->vcpu[0], VPF_PAUSED);
    settle();
    clock_ns += 777;
    assert_int_equal(sched_idle_time(1), clock_ns - 12345);
    assert_int_equal(sched_idle_time(CPUS), 0);
    pcpus[3]->online = false;
    assert_int_equal(sched_idle_time(3), 0);
    pcpus[3]->online = true;
}

static void dump(void **state)
{
    (void)state;
    burners(0, 2, 2);
    assert_int_equal(offline(0, 2), -ERESTART);
    settle();
    assert_int_equal(offline(0, 2), 0);
    pool_cpu_remove(&pool0, 3);
    settle();
    sched_dump();
    assert_string_equal(
        log_text,
        "Pool-0: scheduler credit, slice 30000 us, ratelimit 1000 us, migration delay 0 us; "
        "1 domains, 1 vcpus wait\n"
        "  cpu 0: idle\n"
        "  cpu 1: d0v0 BOOST 15.0ms; waiting d0v1 BOOST 15.0ms\n"
        "  cpu 2: offline\n"
        "  cpu 3: in no pool\n");
}

/* ---- Everything at random ---------------------------------------------------------------- */

static u32 rnd(u32 below)
{
    return (u32)random() % below;
}

/* Where hypercalls come from. */
static u32 any_online(void)
{
    return cpumask_next_wrap(&cpu_online_map, rnd(CPUS));
}

static struct vcpu *any_vcpu(void)
{
    struct domain *d = doms[rnd(DOMS)];

    return d ? d->vcpu[rnd(d->max_vcpus)] : NULL;
}

static void do_yield(void)
{
    vcpu_yield();
}

static void disturb_domains(void)
{
    u32 slot = rnd(DOMS);

    if (!doms[slot]) {
        create(slot, 1 + rnd(VCPUS), 1 + rnd(1000), rnd(3) ? 0 : 1 + rnd(300), 1 + rnd(15));
    } else if (rnd(2)) {
        destroy(slot);
    } else {
        assert_int_equal(adjust(doms[slot], rnd(2) ? ~0u : 1 + rnd(65535), rnd(2) ? ~0u : rnd(400)),
                         0);
    }
}

static void disturb_cpus(void)
{
    u32 cpu = rnd(CPUS), on = any_online();
    bool was_online = cpumask_test(&cpu_online_map, cpu), member = cpumask_test(&pool0.cpus, cpu);
    bool has_pool = pcpus[cpu]->pool;
    long rc = rnd(2) ? online(on, cpu) : offline(on, cpu), want;

    if (job == do_online) {
        want = was_online ? -EEXIST : 0;
    } else if (cpu == 0) {
        want = -EINVAL;
    } else {
        want = !was_online ? -EEXIST : has_pool ? -ERESTART : 0;
    }
    assert_int_equal(rc, want);
    assert_true(job == do_online || !member || cpu == 0 || !cpumask_test(&pool0.cpus, cpu));
}

static void disturb_vcpu(struct vcpu *v)
{
    u32 on = any_online();

    switch (rnd(5)) {
    case 0:
        set_flags(on, v, rnd(2) ? VPF_PAUSED : VPF_DOWN);
        break;
    case 1:
        set_affinity(on, v, 1 + rnd(15), rnd(16));
        break;
    default:
        clear_flags(on, v, rnd(3) ? ~0u : VPF_PAUSED);
    }
}

static void disturb_running(u32 cpu)
{
    struct pcpu *p = pcpus[cpu];

    if (p->curr == p->idle) {
        return;
    }
    if (rnd(2)) {
        p->curr->pause_flags |= VPF_BLOCKED;
        softirq_raise(cpu, SOFTIRQ_SCHEDULE);
    } else {
        run_on(cpu, do_yield);
    }
}

static void disturb(void)
{
    struct vcpu *v = any_vcpu();

    switch (rnd(12)) {
    case 0:
        disturb_domains();
        break;
    case 1:
        disturb_cpus();
        break;
    case 2:
        disturb_running(rnd(CPUS));
        break;
    case 3:
        (void)set_params(1000 + rnd(40000), rnd(2) ? 0 : 100 + rnd(900), rnd(2) ? 0 : rnd(5000));
        break;
    case 4:
    case 5:
    case 6:
        clock_ns += rnd(2000000);
        break;
    case 7:
    case 8:
        step(rnd(CPUS));
        break;
    default:
        if (v) {
            disturb_vcpu(v);
        }
    }
}

static void at_random(void **state)
{
    u64 offlines = 0;

    (void)state;
    for (u32 round = 0; round < 60000; round++) {
        disturb();
        check();
        if (rnd(8) == 0) {
            check_settled();
        }
        offlines += cpumask_weight(&cpu_online_map) < CPUS;
    }
    assert_true(offlines > 10000);
    for (u32 cpu = 1; cpu < CPUS; cpu++) {
        (void)online(0, cpu);
    }
    settle();
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(errors_as_xen_has_them),
        TEST(an_idle_cpu_leaves_and_comes_back),
        TEST(a_cpu_may_send_itself_away),
        TEST(affinity_is_broken_and_restored),
        TEST(timers_move),
        TEST(the_last_one_stays),
        TEST(parameters),
        TEST(a_shorter_slice_counts_at_once),
        TEST(weight_and_cap),
        TEST(a_cap_counts_at_once),
        TEST(pause_and_unpause_lose_no_wakeup),
        TEST(idle_time),
        TEST(dump),
        TEST(at_random),
    };

    return cmocka_run_group_tests_name("schedule", tests, NULL, NULL);
}
