/* SPDX-License-Identifier: MIT */
/*
 * The machine's hardware; see machine.h. Owns the clock, the pcpus and their order in time, and the
 * account of pages.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include <tarn/console.h>
#include <tarn/options.h>
#include <tarn/page.h>
#include <tarn/softirq.h>
#include <tarn/time.h>
#include <x86/apic.h>

#include "../../sched/dispatch.h"
#include "machine.h"

#define MIN_SLICE (100 * US)
#define MAX_ROUNDS 200u      /* of an exit loop */
#define MAX_AT_ONCE 1000000u /* events at one moment */

struct machine machine;
struct pcpu *pcpus[NR_CPUS];
u32 nr_pcpus;
struct cpumask cpu_online_map;
struct options opt;

static u8 *areas; /* of all pcpus */
static struct vcpu *idle[NR_CPUS];
static struct domain idle_domain, control_domain;
static struct vcpu control[MACHINE_CALLERS];
static const char *case_name = "start";
static u32 cases;

/* ---- Results ----------------------------------------------------------------------------- */

void panic(const char *fmt, ...)
{
    va_list ap;

    fflush(stdout);
    printf("%s: seed %llu, event %llu, at %lld ns: ", case_name, (unsigned long long)machine.seed,
           (unsigned long long)machine.events, (long long)machine.clock);
    va_start(ap, fmt);
    vprintf(fmt, ap);
    va_end(ap);
    printf("\n");
    if (machine.dump && sim_arg("SIM_LOG", 0)) {
        machine.dump();
    }
    printf("[  PASSED  ] %u test(s).\n[  FAILED  ] 1 test(s), listed below:\n%s\n", cases,
           case_name);
    fflush(stdout);
    if (getenv("SIM_ABORT")) {
        abort();
    }
    _exit(1);
}

void sim_case(const char *name)
{
    static bool begun;

    cases += begun;
    begun = true;
    case_name = name;
    printf("[ RUN      ] %s (%.1f s)\n", name, (double)clock() / CLOCKS_PER_SEC);
    fflush(stdout);
}

int sim_passed(void)
{
    printf("[  PASSED  ] %u test(s).\n", cases + 1);
    return 0;
}

void sim_log(const char *fmt, ...)
{
    static int on = -1;
    va_list ap;

    if (on < 0) {
        on = sim_arg("SIM_LOG", 0) != 0;
    }
    if (on) {
        printf("%10lld ", (long long)machine.clock);
        va_start(ap, fmt);
        vprintf(fmt, ap);
        va_end(ap);
        printf("\n");
    }
}

u64 sim_arg(const char *name, u64 otherwise)
{
    const char *text = getenv(name);

    return text && *text ? strtoull(text, NULL, 0) : otherwise;
}

bool sim_is_short(const char *program)
{
    return strstr(program, ".asan") != NULL;
}

/* ---- Dice -------------------------------------------------------------------------------- */

/* Spread out: neighbours have nothing in common. */
void machine_seed(u64 seed)
{
    machine.seed = seed;
    machine.state = seed;
    machine.state = rnd(~0UL) ^ seed << 32;
}

u64 rnd(u64 below)
{
    u64 z = machine.state += 0x9e3779b97f4a7c15UL;

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9UL;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebUL;
    z ^= z >> 31;
    return (u64)(((unsigned __int128)z * below) >> 64);
}

bool one_in(u32 n)
{
    return rnd(n) == 0;
}

/* ---- Who is next: a heap of pcpus by time ------------------------------------------------ */

static bool earlier(u32 a, u32 b)
{
    stime_t x = machine.cpu[a].due, y = machine.cpu[b].due;

    return x < y || (x == y && a < b);
}

static void put(u32 place, u32 cpu)
{
    machine.heap[place] = cpu;
    machine.cpu[cpu].place = place;
}

static void sift(u32 cpu)
{
    u32 at = machine.cpu[cpu].place;

    while (at && earlier(cpu, machine.heap[(at - 1) / 2])) {
        put(at, machine.heap[(at - 1) / 2]);
        at = (at - 1) / 2;
    }
    for (u32 child; (child = 2 * at + 1) < nr_pcpus; at = child) {
        child += child + 1 < nr_pcpus && earlier(machine.heap[child + 1], machine.heap[child]);
        if (!earlier(machine.heap[child], cpu)) {
            break;
        }
        put(at, machine.heap[child]);
    }
    put(at, cpu);
}

static void requeue(u32 cpu)
{
    struct machine_cpu *c = &machine.cpu[cpu];
    const struct pcpu *p = pcpus[cpu];
    stime_t due = MIN(c->softirq_due, c->timer_due);

    if (p->curr != p->idle) {
        due = MIN(due, guest_due(p->curr));
    }
    if (due != c->due) {
        c->due = due;
        sift(cpu);
    }
}

/* ---- What the hypervisor asks for -------------------------------------------------------- */

stime_t now(void)
{
    return machine.clock;
}

bool lapic_timer_program(stime_t deadline)
{
    struct machine_cpu *c = &machine.cpu[this_cpu()];

    c->timer_due = deadline + (machine.late_max ? (stime_t)rnd(machine.late_max) : 0);
    return deadline > machine.clock;
}

/* As the real one: only the first bit of another pcpu sends an IPI. */
void softirq_raise(u32 cpu, enum softirq nr)
{
    struct pcpu *p = pcpus[cpu];
    u32 before = p->softirq_pending;

    ASSERT(cpu < nr_pcpus);
    p->softirq_pending |= BIT(nr);
    if (before == 0 && cpu != this_cpu() && p->online) {
        machine.cpu[cpu].softirq_due = machine.clock + 1 + (stime_t)rnd(machine.ipi_max + 1);
        requeue(cpu);
    }
}

void arch_spin_service(void)
{
    panic("cpu %u waits for what nobody does", this_cpu());
}

void spin_lock_slow(struct spinlock *l)
{
    panic("cpu %u waits for a lock of rank %u that nobody lets go", this_cpu(), l->rank);
}

void context_switch(struct vcpu *prev, struct vcpu *next)
{
    struct pcpu *p = this_pcpu();
    struct machine_cpu *c = &machine.cpu[p->id];

    ASSERT(p->pool && p->pool->lock.locked);
    ASSERT(c->hw == prev && prev != next && p->curr == next);
    *(prev == p->idle ? &c->idle : &c->busy) += machine.clock - c->since;
    c->since = machine.clock;
    c->switches++;
    if (prev != p->idle) {
        guest_off(prev, p->id);
    }
    if (next != p->idle) {
        guest_on(next, p->id);
    }
    c->hw = next;
}

void vcpu_periodic_stop(struct vcpu *v)
{
    ASSERT(v != pcpus[this_cpu()]->idle);
}

void vcpu_periodic_start(struct vcpu *v)
{
    ASSERT(v == current);
}

void vcpu_show_runstate(const struct vcpu *v)
{
    ASSERT(v == current);
}

void log_printf(enum log_level level, const char *fmt, ...)
{
    char text[512];
    va_list ap;

    (void)level;
    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    sim_log("%s", text);
}

/* ---- Pages ------------------------------------------------------------------------------- */

struct block {
    u32 order;
    _Alignas(64) u8 bytes[];
};

void *pages_alloc(u32 order)
{
    struct block *b;

    if (machine.fail_after && --machine.fail_after == 0) {
        return NULL;
    }
    b = aligned_alloc(64, sizeof(*b) + (PAGE_SIZE << order));
    ASSERT(b);
    memset(b, 0, sizeof(*b) + (PAGE_SIZE << order));
    b->order = order;
    machine.pages += 1L << order;
    return b->bytes;
}

/* Filled with nonsense: nobody may look at it any more. */
void pages_free(void *pages, u32 order)
{
    struct block *b;

    if (!pages) {
        return;
    }
    b = container_of((u8(*)[])pages, struct block, bytes);
    ASSERT(b->order == order);
    machine.pages -= 1L << order;
    memset(b, 0xa5, sizeof(*b) + (PAGE_SIZE << order));
    free(b);
}

void *page_alloc(void)
{
    return pages_alloc(0);
}

void page_free(void *page)
{
    pages_free(page, 0);
}

/* ---- A pcpu ------------------------------------------------------------------------------ */

static bool take(struct pcpu *p, enum softirq nr)
{
    bool was = p->softirq_pending & BIT(nr);

    p->softirq_pending &= ~BIT(nr);
    return was;
}

/* No slice timer of the credit scheduler is shorter than that. */
static void checked_schedule(struct pcpu *p)
{
    const struct timer_node *n = &p->slice_timer.node;
    stime_t before = n->queued ? n->expires : STIME_MAX;

    schedule();
    if (p->pool && p->pool->ops == &sched_credit && n->queued && n->expires != before) {
        ASSERT(n->expires >= machine.clock + MIN_SLICE);
    }
}

static void exit_loop(struct pcpu *p)
{
    for (u32 rounds = 0; p->softirq_pending; rounds++) {
        ASSERT(rounds < MAX_ROUNDS);
        if (take(p, SOFTIRQ_TIMER)) {
            timer_softirq();
        }
        if (take(p, SOFTIRQ_UNLOAD)) {
            ASSERT(p->curr == p->idle);
        }
        p->softirq_pending &= BIT(SOFTIRQ_TIMER) | BIT(SOFTIRQ_UNLOAD) | BIT(SOFTIRQ_SCHEDULE);
        if (take(p, SOFTIRQ_SCHEDULE)) {
            checked_schedule(p);
        }
    }
}

/* What always holds for a pcpu that goes back to its guest, or to sleep. */
static void check_exit(const struct pcpu *p)
{
    const struct sched_unit *u = &p->curr->unit;

    ASSERT(p->curr == machine.cpu[p->id].hw);
    ASSERT(!cpupool_lock.locked && !(p->pool && p->pool->lock.locked));
    if (p->curr == p->idle) {
        ASSERT(!p->pool || cpumask_test(&p->pool->idlers, p->id));
        ASSERT(!p->pool || cpumask_test(&p->pool->cpus, p->id));
        return;
    }
    ASSERT(p->pool && p->curr->domain->pool == p->pool);
    ASSERT(cpumask_test(&p->pool->cpus, p->id) && !cpumask_test(&p->pool->idlers, p->id));
    ASSERT(cpumask_test(&u->hard, p->id));
    ASSERT(u->running && u->runnable && u->cpu == p->id && vcpu_runnable(p->curr));
}

struct entry {
    void (*fn)(void *arg);
    void *arg;
};

static void on_event(void *unused)
{
    struct pcpu *p = this_pcpu();
    struct machine_cpu *c = &machine.cpu[p->id];

    (void)unused;
    if (p->curr != p->idle && guest_due(p->curr) <= machine.clock) {
        guest_acts();
    }
    if (c->timer_due <= machine.clock) {
        c->timer_due = STIME_MAX;
        p->timer_programmed = STIME_MAX;
        p->softirq_pending |= BIT(SOFTIRQ_TIMER);
    }
}

static void enter(void *arg)
{
    const struct entry *e = arg;
    struct pcpu *p = this_pcpu();

    machine.cpu[p->id].softirq_due = STIME_MAX;
    e->fn(e->arg);
    exit_loop(p);
    check_exit(p);
}

/* On the pcpu's stack, whose top is its struct pcpu. */
static void run_on(u32 cpu, void (*fn)(void *), void *arg)
{
    struct entry e = { fn, arg };
    void *first = &e;
    void (*code)(void *) = enter;
    void *top = pcpus[cpu];

    ASSERT(!machine.cpu[cpu].inside);
    machine.cpu[cpu].inside = true;
    __asm__ volatile("movq %%rsp, %%rbx\n\t"
                     "movq %[top], %%rsp\n\t"
                     "call *%[code]\n\t"
                     "movq %%rbx, %%rsp"
                     : "+D"(first), [top] "+r"(top), [code] "+r"(code)
                     :
                     : "rax", "rbx", "rcx", "rdx", "rsi", "r8", "r9", "r10", "r11", "xmm0", "xmm1",
                       "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10",
                       "xmm11", "xmm12", "xmm13", "xmm14", "xmm15", "cc", "memory");
    machine.cpu[cpu].inside = false;
    requeue(cpu);
}

void machine_call(u32 cpu, void (*fn)(void *arg), void *arg)
{
    run_on(cpu, fn, arg);
}

static void as_control(void *arg)
{
    const struct entry *e = arg;
    struct pcpu *p = this_pcpu();
    struct vcpu *curr = p->curr;

    p->curr = &control[machine.caller];
    e->fn(e->arg);
    ASSERT(p->curr == &control[machine.caller]);
    p->curr = curr;
}

void machine_hypercall(u32 cpu, u32 caller, void (*fn)(void *arg), void *arg)
{
    struct entry e = { fn, arg };

    ASSERT(caller < MACHINE_CALLERS);
    machine.caller = caller;
    run_on(cpu, as_control, &e);
}

/* The caller's pcpu stands still while all others come to their exit loops. */
void smp_quiesce(void)
{
    u32 self = this_cpu();

    cpumask_for_each(cpu, &cpu_online_map) {
        if (cpu != self && !machine.cpu[cpu].inside) {
            run_on(cpu, on_event, NULL);
        }
    }
}

u32 machine_any_cpu(void)
{
    return cpumask_next_wrap(&cpu_online_map, (u32)rnd(nr_pcpus));
}

/* ---- Time -------------------------------------------------------------------------------- */

static void after_event(void)
{
    machine.events++;
    if (machine.check && --machine.until_check == 0) {
        machine.until_check = machine.stride;
        machine.check();
    }
}

void machine_run(stime_t duration)
{
    stime_t end = machine.clock + duration;
    u32 at_once = 0;

    while (machine.cpu[machine.heap[0]].due <= end) {
        u32 cpu = machine.heap[0];
        stime_t due = MAX(machine.cpu[cpu].due, machine.clock);

        at_once = due == machine.clock ? at_once + 1 : 0;
        ASSERT(at_once < MAX_AT_ONCE);
        machine.clock = due;
        run_on(cpu, on_event, NULL);
        after_event();
    }
    machine.clock = end;
}

/* ---- On and off -------------------------------------------------------------------------- */

static void make_pcpu(u32 cpu)
{
    struct pcpu *p = pcpu_of_stack((u64)areas + cpu * PCPU_AREA_SIZE);

    *p = (struct pcpu){ .id = cpu, .apic_id = cpu, .online = true, .timer_programmed = STIME_MAX };
    if (!idle[cpu]) {
        idle[cpu] = aligned_alloc(64, ALIGN_UP(sizeof(struct vcpu), 64));
    }
    memset(idle[cpu], 0, sizeof(struct vcpu));
    idle[cpu]->domain = &idle_domain;
    p->idle = p->curr = idle[cpu];
    pcpus[cpu] = p;
    machine.cpu[cpu] = (struct machine_cpu){
        .softirq_due = STIME_MAX, .timer_due = STIME_MAX, .due = STIME_MAX, .hw = idle[cpu]
    };
    put(cpu, cpu);
    cpumask_set(&cpu_online_map, cpu);
}

struct boot {
    const struct topology *topology;
    const struct sched_ops *ops;
};

static void do_boot(void *arg)
{
    const struct boot *b = arg;

    sched_boot_init(b->ops, b->topology);
}

/* Aligned to the size of an area, as the hypervisor's are. */
static void map_areas(void)
{
    size_t size = (NR_CPUS + 1) * PCPU_AREA_SIZE;
    u8 *at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
                  -1, 0);

    ASSERT(at != MAP_FAILED);
    areas = (u8 *)ALIGN_UP((u64)at, PCPU_AREA_SIZE);
}

void machine_on(const struct topology *t, const struct sched_ops *ops)
{
    struct boot b = { t, ops };

    if (!areas) {
        map_areas();
    }
    machine.events = 0;
    machine.clock = 0;
    machine.ipi_max = 3000;
    machine.late_max = 0;
    machine.fail_after = 0;
    machine.check = NULL;
    opt = (struct options){ .tslice_ms = 30, .ratelimit_us = 1000 };
    memset(&pool0, 0, sizeof(pool0));
    cpumask_clear_all(&cpu_online_map);
    nr_pcpus = t->nr_cpus;
    for (u32 i = 0; i < MACHINE_CALLERS; i++) {
        control[i] = (struct vcpu){ .domain = &control_domain, .id = i };
    }
    for (u32 cpu = 0; cpu < nr_pcpus; cpu++) {
        make_pcpu(cpu);
    }
    machine_call(0, do_boot, &b);
    machine_run(20 * US);
}

void machine_off(void)
{
    ASSERT(pool0.nr_doms == 0 && pool0.nr_waiting == 0);
    machine.check = NULL;
    pool_free_priv(&pool0);
    if (machine.pages) {
        panic("%lld pages are left behind", (long long)machine.pages);
    }
}
