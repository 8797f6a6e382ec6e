/* SPDX-License-Identifier: MIT */
/*
 * The exit loop: the one place where all that is asynchronous is drained. Whoever wants something
 * of a pcpu set a bit; before a guest goes on, no bit is left. The idle loop is part of it.
 */
#include <tarn/domain.h>
#include <tarn/softirq.h>
#include <tarn/timer.h>
#include <x86/asm.h>
#include <x86/paging.h>
#include <x86/pv.h>

static bool take_softirq(struct pcpu *p, enum softirq nr)
{
    u32 bit = 1u << nr;

    return (READ_ONCE(p->softirq_pending) & bit) &&
           (atomic_fetch_and(&p->softirq_pending, ~bit) & bit);
}

static void do_softirqs(struct pcpu *p)
{
    tlb_flush_answer();
    if (take_softirq(p, SOFTIRQ_TIMER)) {
        timer_softirq();
    }
    (void)take_softirq(p, SOFTIRQ_EVENT); /* its purpose was to make us look */
    if (unlikely(take_softirq(p, SOFTIRQ_UNLOAD))) {
        unload_guest_state(p);
    }
    if (unlikely(take_softirq(p, SOFTIRQ_CONSOLE))) {
        control_send_virq(VIRQ_CON_RING);
    }
    if (unlikely(take_softirq(p, SOFTIRQ_TRACE))) {
        control_send_virq(VIRQ_TBUF);
    }
    if (take_softirq(p, SOFTIRQ_SCHEDULE)) {
        schedule();
    }
}

/* Interrupts are open only here, where nothing can be disturbed. STI takes effect after HLT began.
 */
static void idle_wait(void)
{
    __asm__ volatile("sti; hlt; cli" ::: "memory");
}

/* in: interrupts off, on the pcpu's own stack. out: the vcpu that runs now. */
struct vcpu *exit_work(void)
{
    struct pcpu *p = this_pcpu();
    /* Once: another vcpu of the guest could raise it for ever. */
    const struct vcpu *bounced = NULL, *interrupted = NULL;

    for (;;) {
        struct vcpu *v;

        if (READ_ONCE(p->softirq_pending)) {
            do_softirqs(p);
            continue;
        }
        v = p->curr;
        if (v == p->idle) {
            idle_wait();
            bounced = interrupted = NULL;
        } else if (unlikely(v->nmi_pending) && v != interrupted &&
                   v->arch.traps[TRAP_NMI].address) {
            interrupted = v;
            v->nmi_pending = false;
            inject_trap(v, TRAP_NMI, 0);
        } else if (v != bounced && vcpu_event_deliverable(v)) {
            bounced = v;
            bounce_event(v);
        } else {
            return v;
        }
    }
}

/* How a pcpu begins: idle, until the scheduler exists and tickles it. */
void pcpu_idle_loop(void)
{
    return_to_guest();
}
