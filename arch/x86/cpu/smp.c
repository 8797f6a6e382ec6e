/* SPDX-License-Identifier: MIT */
/*
 * Starting the other CPUs, one after the other, and having them flush their TLBs. Owns the mailbox
 * for the CPU that is just starting, and the map of online CPUs until all are up; then sched/pool.c
 * does. No locks: the boot CPU and the one that starts take turns by `stage`.
 */
#include <tarn/console.h>
#include <tarn/softirq.h>
#include <tarn/time.h>
#include <x86/apic.h>
#include <x86/asm.h>
#include <x86/cpufeature.h>
#include <x86/msr.h>
#include <x86/paging.h>
#include <x86/pv.h>
#include <x86/smp.h>

#define INIT_WAIT_NS (200 * NSEC_PER_USEC)
#define SECOND_STARTUP_NS (1 * NSEC_PER_MSEC)
#define ANSWER_NS NSEC_PER_SEC      /* a virtual CPU of a busy host may be slow */
#define SETUP_NS (5 * NSEC_PER_SEC) /* a CPU that answered is only slow */
#define TSC_ROUNDS 2u               /* the first one warms the caches */
#define TSC_MAX_OFFSET_NS NSEC_PER_USEC

/* In the trampoline's page; trampoline.asm knows this layout. */
struct trampoline_data {
    u32 cr3, efer;
    u64 stack, pcpu, entry;
    u32 alive;
    u32 long_mode; /* far pointer; offset from the page as linked */
    u16 cs;
    u16 gdt_limit;
    u32 gdt, gdt_high;
    u32 apic_id; /* who else comes, comes too late */
} __packed;
#define TRAMPOLINE_DATA 8u
#define NO_APIC (~0u)
_Static_assert(offsetof(struct trampoline_data, apic_id) == 52, "trampoline.asm");

extern const char __trampoline_start[], __trampoline_end[]; /* linker.ld */

/* Numbered CPUs; those that are up. */
u32 nr_pcpus = 1;
struct cpumask cpu_online_map;

/*
 * The boot CPU's talk with the one that starts: STAGE_READY by that one, then even numbers above it
 * are the boot CPU's questions for the time, odd ones the answers, and STAGE_ONLINE is the end.
 */
enum { STAGE_NONE, STAGE_READY, STAGE_ASK, STAGE_ONLINE = STAGE_ASK + 2 * TSC_ROUNDS };
static u32 stage;
static u64 ap_tsc;

static void mark_online(struct pcpu *p)
{
    WRITE_ONCE(p->online, true);
    set_bit(p->id % 64, &cpu_online_map.bits[p->id / 64]);
}

/* ---- On the CPU that starts ---- */

static void answer_time(void)
{
    for (u32 round = 0; round < TSC_ROUNDS; round++) {
        u32 ask = STAGE_ASK + 2 * round;

        while (atomic_load(&stage) != ask) {
            cpu_pause();
        }
        ap_tsc = rdtsc();
        atomic_store(&stage, ask + 1);
    }
}

void ap_main(struct pcpu *p)
{
    write_cr3(virt_to_phys(hv_l4));
    p->loaded_cr3 = virt_to_phys(hv_l4);
    cpu_setup();
    desc_load(p);
    lapic_enable();
    atomic_store(&stage, STAGE_READY);
    answer_time();
    mark_online(p);
    atomic_store(&stage, STAGE_ONLINE);
    pcpu_idle_loop();
}

/* ---- On the boot CPU ---- */

static struct trampoline_data *trampoline_data(void)
{
    return phys_to_virt(trampoline_pa + TRAMPOLINE_DATA);
}

static void delay(stime_t ns)
{
    for (stime_t end = now() + ns; now() < end;) {
        cpu_pause();
    }
}

/* After its last answer the other one goes on by itself, so it may be further than we ask for. */
static bool wait_stage(u32 wanted, stime_t ns)
{
    for (stime_t end = now() + ns; atomic_load(&stage) < wanted;) {
        if (now() >= end) {
            return false;
        }
        cpu_pause();
    }
    return true;
}

static bool wait_alive(stime_t ns)
{
    for (stime_t end = now() + ns; !READ_ONCE(trampoline_data()->alive);) {
        if (now() >= end) {
            return false;
        }
        cpu_pause();
    }
    return true;
}

static void trampoline_fill(struct pcpu *p)
{
    struct trampoline_data *d = trampoline_data();

    memcpy(phys_to_virt(trampoline_pa), __trampoline_start,
           (size_t)(__trampoline_end - __trampoline_start));
    d->cr3 = (u32)trampoline_cr3;
    d->efer = (u32)(rdmsr(MSR_EFER) & ~EFER_LMA);
    d->stack = PCPU_STACK_TOP(p);
    d->pcpu = (u64)p;
    d->entry = (u64)ap_main;
    d->long_mode += (u32)trampoline_pa;
    d->gdt += (u32)trampoline_pa;
    smp_mb();
    d->apic_id = p->apic_id; /* last: it is what lets the CPU in */
    smp_mb();
}

/* Its answer must come between our two readings; by how much it doesn't is how much its TSC is off.
 */
static void check_tsc(const struct pcpu *p)
{
    stime_t offset = 0;

    for (u32 round = 0; round < TSC_ROUNDS; round++) {
        u32 ask = STAGE_ASK + 2 * round;
        u64 before = rdtsc(), after;

        atomic_store(&stage, ask);
        while (atomic_load(&stage) <= ask) {
            cpu_pause();
        }
        after = rdtsc();
        offset = (s64)(ap_tsc - before) < 0  ? (s64)(ap_tsc - before)
                 : (s64)(ap_tsc - after) > 0 ? (s64)(ap_tsc - after)
                                             : 0;
    }
    offset = offset * NSEC_PER_MSEC / (s64)(time_base.tsc_hz / 1000);
    if (offset > TSC_MAX_OFFSET_NS || offset < -TSC_MAX_OFFSET_NS) {
        log_warning("cpu %u: its TSC is %ld ns off", p->id, offset);
    }
}

/* False: nothing came back. */
static bool start(struct pcpu *p)
{
    u8 page = (u8)(trampoline_pa >> PAGE_SHIFT);

    stage = STAGE_NONE;
    trampoline_fill(p);
    lapic_send_startup(p->apic_id, page);
    if (!wait_alive(SECOND_STARTUP_NS)) {
        lapic_send_startup(p->apic_id, page);
    }
    if (!wait_alive(ANSWER_NS) || !wait_stage(STAGE_READY, SETUP_NS)) {
        trampoline_data()->apic_id = NO_APIC; /* it must not come to life any more */
        smp_mb();
        lapic_send_init(p->apic_id);
        return false;
    }
    check_tsc(p);
    (void)wait_stage(STAGE_ONLINE, SETUP_NS);
    return true;
}

static void start_all(void)
{
    for (u32 cpu = 1; cpu < nr_pcpus; cpu++) {
        if (lapic_reaches(pcpus[cpu]->apic_id)) {
            lapic_send_init(pcpus[cpu]->apic_id);
        }
    }
    delay(INIT_WAIT_NS);
    for (u32 cpu = 1; cpu < nr_pcpus; cpu++) {
        u32 apic_id = pcpus[cpu]->apic_id;

        if (!lapic_reaches(apic_id)) {
            log_warning("cpu %u: apic %u needs x2APIC mode, left out", cpu, apic_id);
        } else if (!start(pcpus[cpu])) {
            log_warning("cpu %u: apic %u does not answer, left out", cpu, apic_id);
        }
    }
}

/* Depth first, so what is new begins where a number changes. */
static void print_online(const struct topology *t)
{
    const struct topology_cpu *last = NULL;
    u32 sockets = 0, cores = 0, threads = 0, max_cores = 0, max_threads = 0;

    cpumask_for_each(cpu, &cpu_online_map) {
        const struct topology_cpu *c = &t->cpu[cpu];
        bool new_socket = !last || c->socket != last->socket;
        bool new_core = new_socket || c->core != last->core;

        sockets += new_socket;
        cores = new_socket ? 1 : cores + new_core;
        threads = new_core ? 1 : threads + 1;
        max_cores = MAX(max_cores, cores);
        max_threads = MAX(max_threads, threads);
        last = c;
        log_info("cpu %u: socket %u core %u thread %u apic %u", cpu, c->socket, c->core, c->thread,
                 c->apic_id);
    }
    log_info("%u cpus online: %u sockets, %u cores per socket, %u threads per core",
             cpumask_weight(&cpu_online_map), sockets, max_cores, max_threads);
}

void smp_boot(const struct topology *t, u32 max)
{
    nr_pcpus = max ? MIN(max, t->nr_cpus) : t->nr_cpus;
    mark_online(this_pcpu());
    if (nr_pcpus > 1) {
        start_all();
    }
    print_online(t);
}

/* ---- Once they run ---- */

void arch_spin_service(void)
{
    cpu_pause();
    if (READ_ONCE(this_pcpu()->softirq_pending) & (1u << SOFTIRQ_FLUSH_TLB)) {
        tlb_flush_answer();
    }
}

/*
 * A request that someone else makes meanwhile makes us wait for it as well: no harm. All in the
 * mask were put there by themselves, so they are up; a CPU out of service answers, too.
 */
void tlb_flush_others(const struct cpumask *mask)
{
    struct cpumask asked = *mask;

    cpumask_clear(&asked, this_cpu());
    cpumask_for_each(cpu, &asked) {
        softirq_raise(cpu, SOFTIRQ_FLUSH_TLB);
    }
    cpumask_for_each(cpu, &asked) {
        while ((atomic_load(&pcpus[cpu]->softirq_pending) & (1u << SOFTIRQ_FLUSH_TLB)) ||
               atomic_load(&pcpus[cpu]->flushing)) {
            arch_spin_service();
        }
    }
}

/* Its bit is cleared in the exit loop only, where nothing of before is on its way any more. */
void smp_quiesce(void)
{
    cpumask_for_each(cpu, &cpu_online_map) {
        if (cpu != this_cpu()) {
            softirq_raise(cpu, SOFTIRQ_EVENT);
        }
    }
    cpumask_for_each(cpu, &cpu_online_map) {
        while (cpu != this_cpu() &&
               (atomic_load(&pcpus[cpu]->softirq_pending) & (1u << SOFTIRQ_EVENT))) {
            arch_spin_service();
        }
    }
}
