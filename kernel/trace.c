/* SPDX-License-Identifier: MIT */
/*
 * Trace records of this pcpu into its ring. Which are wanted is a mask of events and one of pcpus;
 * that tracing is on at all is the byte that hot paths test. The rings themselves are made by
 * kernel/ops/tbuf_op.c, once, and stay. No locks: a ring has one writer, its pcpu, with interrupts
 * off; whoever turns tracing off waits for those that are writing.
 */
#include <tarn/domain.h>
#include <tarn/pcpu.h>
#include <tarn/softirq.h>
#include <tarn/trace.h>
#include <x86/asm.h>

u8 trace_on;
u32 trace_events = TRC_ALL; /* set by the control domain, read without a lock */
struct cpumask trace_cpus = { { [0 ... CPUMASK_WORDS - 1] = ~0UL } }; /* likewise */
static struct trace_ring *trace_rings; /* by pcpu; constant once set */
static u32 nr_rings;                   /* likewise */

void trace_rings_set(struct trace_ring *rings, u32 n)
{
    trace_rings = rings;
    atomic_store(&nr_rings, n);
}

/* Each pcpu decides anew, so that a trace begins with who runs where. */
bool trace_enable(void)
{
    if (nr_rings && atomic_xchg(&trace_on, (u8)1) == 0) {
        cpumask_for_each(cpu, &cpu_online_map) {
            softirq_raise(cpu, SOFTIRQ_SCHEDULE);
        }
    }
    return nr_rings != 0;
}

void trace_disable(void)
{
    (void)atomic_xchg(&trace_on, (u8)0);
    for (u32 i = 0; i < nr_rings; i++) {
        while (atomic_load(&trace_rings[i].busy)) {
            arch_spin_service();
        }
    }
}

/* Class and subclass are asked for each by itself. */
static bool wanted(u32 event, u32 cpu)
{
    u32 both = event & READ_ONCE(trace_events);
    u32 subclasses = (1u << (TRC_CLS_SHIFT - TRC_SUBCLS_SHIFT)) - 1;

    return both >> TRC_CLS_SHIFT && (both >> TRC_SUBCLS_SHIFT & subclasses) &&
           cpumask_test(&trace_cpus, cpu);
}

void trace_put(u32 event, const void *words, u32 n)
{
    const struct pcpu *p = this_pcpu();
    const struct vcpu *v = p->curr;
    struct trace_ring *r;
    bool half = false;

    if (p->id >= atomic_load(&nr_rings) || !wanted(event, p->id)) {
        return;
    }
    r = &trace_rings[p->id];
    (void)atomic_xchg(&r->busy, 1u);
    if (READ_ONCE(trace_on)) {
        half = trace_ring_put(r, event, rdtsc(), words, n, v->domain->domid | v->id << 16);
    }
    atomic_store(&r->busy, 0u);
    if (half) {
        softirq_raise_self(SOFTIRQ_TRACE);
    }
}

void trace_words(u32 event, u32 n, u32 a, u32 b, u32 c)
{
    const u32 words[] = { a, b, c };

    trace_put(event, words, n);
}

void trace_wide(u32 event, u32 n, u64 a, u64 b, u64 c)
{
    const u64 words[] = { a, b, c };

    trace_put(event, words, n);
}

void trace_vcpu(u32 event, const struct vcpu *v)
{
    trace_words(event, 2, v->domain->domid, v->id, 0);
}

static u32 one_word(const struct vcpu *v)
{
    return (u32)v->domain->domid << 16 | v->id;
}

void trace_runstate(const struct vcpu *v, u32 state)
{
    u32 who = one_word(v);

    trace_put(TRC_SCHED_RUNSTATE_CHANGE | (u32)v->runstate.state << 8 | state << 4, &who, 1);
}

static void go_on(const struct vcpu *v, stime_t t, stime_t slice)
{
    u32 inf[] = { v->domain->domid, v->id, (u32)((u64)t - v->runstate.state_entry_time),
                  (u32)slice };
    u32 who = one_word(v);

    trace_put(TRC_SCHED_SWITCH_INFCONT, inf, ARRAY_SIZE(inf));
    trace_put(TRC_SCHED_CONTINUE_RUNNING, &who, 1);
}

static void change(const struct vcpu *prev, const struct vcpu *next, stime_t t, stime_t slice)
{
    u32 from[] = { prev->domain->domid, prev->id, (u32)((u64)t - prev->runstate.state_entry_time) };
    u32 waited = next->runstate.state == RUNSTATE_runnable
                     ? (u32)((u64)t - next->runstate.state_entry_time)
                     : 0;
    u32 to[] = { next->domain->domid, next->id, waited, (u32)slice };
    u32 both[] = { from[0], from[1], to[0], to[1] };

    trace_put(TRC_SCHED_SWITCH_INFPREV, from, ARRAY_SIZE(from));
    trace_put(TRC_SCHED_SWITCH_INFNEXT, to, ARRAY_SIZE(to));
    trace_put(TRC_SCHED_SWITCH, both, ARRAY_SIZE(both));
}

void trace_decision(const struct vcpu *prev, const struct vcpu *next, stime_t t, stime_t slice)
{
    if (prev == next) {
        go_on(prev, t, slice);
    } else {
        change(prev, next, t, slice);
    }
}
