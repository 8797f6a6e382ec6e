/* SPDX-License-Identifier: MIT */
/* The pcpus of pcpus.h, and what the control domain asks of them. */
#include "pcpus.h"

#include <ucontext.h>

struct pcpu *pcpus[NR_CPUS];
u32 nr_pcpus = CPUS;
struct cpumask cpu_online_map;
struct options opt;

static u8 areas[CPUS][PCPU_AREA_SIZE] __aligned(65536);
static struct vcpu idle[CPUS];
struct vcpu *hw[CPUS];
static struct domain idle_domain, control;
struct domain *doms[DOMS_MAX];
struct vcpu callers[2], *caller;
u32 pages_out;
stime_t clock_ns;
u64 ran_of_the_dead;

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
    void *p = aligned_alloc(PAGE_SIZE, PAGE_SIZE << order);

    pages_out++;
    return memset(p, 0, PAGE_SIZE << order);
}

void pages_free(void *pages, u32 order)
{
    (void)order;
    pages_out -= pages != NULL;
    free(pages);
}

void *page_alloc(void)
{
    return pages_alloc(0);
}

void page_free(void *page)
{
    pages_free(page, 0);
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

    assert_true(this_pcpu()->pool->lock.locked);
    assert_ptr_equal(hw[cpu], prev);
    assert_ptr_not_equal(prev, next);
    for (u32 i = 0; i < CPUS; i++) {
        assert_ptr_not_equal(hw[i], next);
    }
    hw[cpu] = next;
}

char log_text[4096];

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

void run_on(u32 cpu, void (*fn)(void))
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

static bool has(struct pcpu *p, enum softirq nr)
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
        if (has(p, SOFTIRQ_TIMER)) {
            timer_softirq();
        }
        if (has(p, SOFTIRQ_UNLOAD)) {
            assert_ptr_equal(p->curr, p->idle);
        }
        if (has(p, SOFTIRQ_SCHEDULE)) {
            schedule();
        }
    }
}

void step(u32 cpu)
{
    struct pcpu *p = pcpus[cpu];

    if (p->timer_programmed <= clock_ns) {
        p->timer_programmed = STIME_MAX;
        p->softirq_pending |= BIT(SOFTIRQ_TIMER);
    }
    run_on(cpu, exit_loop);
}

/* Until no pcpu has anything to do at this moment. */
void settle(void)
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
    struct sched_pool *pool;
    struct cpumask *ask_hard, *ask_soft;
    u32 id, sched, flags;
    bool force;
    long rc;
} arg;

/* The same, but the pcpu is in a hypercall of the control domain. */
static void (*the_call)(void);

static void by_caller(void)
{
    struct vcpu *was = current;

    this_pcpu()->curr = caller;
    the_call();
    this_pcpu()->curr = was;
}

static long call(u32 cpu, void (*fn)(void))
{
    the_call = fn;
    run_on(cpu, by_caller);
    return arg.rc;
}

void ignore(void *a)
{
    (void)a;
}

static void do_create(void)
{
    struct domain *d = arg.d;

    arg.rc = sched_domain_init(d, arg.pool, arg.weight, arg.cap);
    if (arg.rc) {
        return;
    }
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

static struct domain *create_at(struct sched_pool *p, u32 slot, u32 vcpus)
{
    arg.d = doms[slot] = calloc(1, sizeof(struct domain));
    arg.d->domid = (domid_t)(slot + 1);
    arg.d->max_vcpus = vcpus;
    arg.pool = p;
    run_on(0, do_create);
    if (arg.rc) {
        free(arg.d);
        doms[slot] = NULL;
    }
    return doms[slot];
}

struct domain *create(u32 slot, u32 vcpus, u32 weight, u32 cap, u64 hard)
{
    arg.weight = weight;
    arg.cap = cap;
    arg.hard = mask_of(hard);
    arg.soft = mask_of(~0ul);
    return create_at(&pool0, slot, vcpus);
}

struct domain *create_in(u32 pool, u32 slot, u32 vcpus)
{
    struct sched_pool *p;
    struct domain *d;

    arg.weight = SCHED_DEFAULT_WEIGHT;
    arg.cap = 0;
    cpumask_set_all(&arg.hard);
    cpumask_set_all(&arg.soft);
    p = pool_get(pool);
    assert_non_null(p);
    d = create_at(p, slot, vcpus);
    pool_put(p);
    return d;
}

static void do_wake(void)
{
    vcpu_wake(arg.v);
}

static void do_sleep(void)
{
    vcpu_sleep_nosync(arg.v);
}

void clear_flags(u32 cpu, struct vcpu *v, u32 flags)
{
    v->pause_flags &= ~flags;
    arg.v = v;
    run_on(cpu, do_wake);
}

void set_flags(u32 cpu, struct vcpu *v, u32 flags)
{
    v->pause_flags |= flags;
    arg.v = v;
    run_on(cpu, do_sleep);
}

static void do_destroy(void)
{
    struct domain *d = arg.d;

    sched_group_leave(d);
    sched_bandwidth_end(d);
    for (u32 i = 0; i < d->max_vcpus; i++) {
        sched_vcpu_destroy(d->vcpu[i]);
        timer_kill(&d->vcpu[i]->periodic);
        assert_false(d->vcpu[i]->periodic.node.queued);
        assert_false(d->vcpu[i]->bandwidth.timer.node.queued);
        ran_of_the_dead += d->vcpu[i]->runstate.time[RUNSTATE_running];
        free(d->vcpu[i]);
    }
    assert_false(d->bandwidth.timer.node.queued);
    sched_domain_destroy(d);
}

/* As it must be: paused first, and when each pcpu came to its exit loop once, none of it runs. */
void destroy(u32 slot)
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

long offline(u32 on, u32 cpu)
{
    arg.cpu = cpu;
    return call(on, do_offline);
}

long online(u32 on, u32 cpu)
{
    arg.cpu = cpu;
    return call(on, do_online);
}

static void do_give(void)
{
    arg.rc = pool_give_cpu(arg.id, arg.cpu);
}

long give(u32 on, u32 pool, u32 cpu)
{
    arg.id = pool;
    arg.cpu = cpu;
    return call(on, do_give);
}

static void do_take(void)
{
    arg.rc = pool_take_cpu(arg.id, arg.cpu);
}

long take(u32 on, u32 pool, u32 cpu)
{
    arg.id = pool;
    arg.cpu = cpu;
    return call(on, do_take);
}

static void do_make(void)
{
    arg.rc = pool_create(&arg.id, arg.sched);
}

long make_pool(u32 *id, u32 sched)
{
    arg.id = *id;
    arg.sched = sched;
    call(0, do_make);
    *id = arg.id;
    return arg.rc;
}

static void do_unmake(void)
{
    arg.rc = pool_destroy(arg.id);
}

long unmake_pool(u32 id)
{
    arg.id = id;
    return call(0, do_unmake);
}

static void do_move(void)
{
    struct sched_pool *to = pool_get(arg.id);

    assert_non_null(to);
    arg.rc = sched_domain_move(arg.d, to);
    pool_put(to);
}

long move(u32 slot, u32 pool)
{
    struct domain *d = doms[slot];
    long rc;

    for (u32 i = 0; i < d->max_vcpus; i++) {
        set_flags(0, d->vcpu[i], VPF_PAUSED);
    }
    settle();
    arg.d = d;
    arg.id = pool;
    rc = call(0, do_move);
    for (u32 i = 0; i < d->max_vcpus; i++) {
        clear_flags(0, d->vcpu[i], VPF_PAUSED);
    }
    settle();
    return rc;
}

static void do_pool_flags(void)
{
    struct sched_pool *p = pool_get(arg.id);

    arg.rc = sched_flags_set(p, arg.flags);
    pool_put(p);
}

long set_flags_of_pool(u32 pool, u32 flags)
{
    arg.id = pool;
    arg.flags = flags;
    return call(0, do_pool_flags);
}

static void do_ask(void)
{
    arg.rc = sched_ask_affinity(arg.v, arg.ask_hard, arg.ask_soft, arg.force);
}

long ask_affinity(struct vcpu *v, u64 *hard, u64 *soft, bool force)
{
    struct cpumask h = mask_of(hard ? *hard : 0), s = mask_of(soft ? *soft : 0);

    arg.v = v;
    arg.ask_hard = hard ? &h : NULL;
    arg.ask_soft = soft ? &s : NULL;
    arg.force = force;
    call(0, do_ask);
    if (hard) {
        *hard = h.bits[0];
    }
    if (soft) {
        *soft = s.bits[0];
    }
    return arg.rc;
}

static void do_override(void)
{
    arg.rc = sched_pin_override(arg.v, arg.cpu);
}

long override(struct vcpu *v, u32 cpu)
{
    arg.v = v;
    arg.cpu = cpu;
    return call(0, do_override);
}

static void do_params(void)
{
    arg.rc = sched_params_set(&pool0, &arg.params);
}

long set_params(u32 tslice_us, u32 ratelimit_us, u32 migr_delay_us)
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

long adjust(struct domain *d, u32 weight, u32 cap)
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

void set_affinity(u32 on, struct vcpu *v, u64 hard, u64 soft)
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

int setup(void **state)
{
    (void)state;
    srandom(5);
    clock_ns = 0;
    ran_of_the_dead = 0;
    log_text[0] = 0;
    opt = (struct options){ .tslice_ms = 30, .ratelimit_us = 1000 };
    memset(&pool0, 0, sizeof(pool0));
    memset(idle, 0, sizeof(idle));
    pages_out = 0;
    caller = &callers[0];
    callers[0].domain = callers[1].domain = &control;
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

int teardown(void **state)
{
    (void)state;
    for (u32 slot = 0; slot < DOMS_MAX; slot++) {
        if (doms[slot]) {
            destroy(slot);
        }
    }
    for (u32 cpu = 0; cpu < CPUS; cpu++) {
        assert_ptr_equal(pcpus[cpu]->curr, pcpus[cpu]->idle);
    }
    assert_int_equal(pages_out, 1); /* pool0's */
    pages_free(pool0.priv, 0);
    assert_int_equal(pool0.nr_doms, 0);
    assert_int_equal(pool0.nr_waiting, 0);
    assert_true(list_empty(&pool0.doms));
    return 0;
}

bool said(const char *text)
{
    for (const char *at = log_text; *at; at++) {
        if (strncmp(at, text, strnlen(text, sizeof(log_text))) == 0) {
            return true;
        }
    }
    return false;
}
