/* SPDX-License-Identifier: MIT */
/* Asking another pcpu to do something before it goes on with its guest. No locks: one atomic word a
 * pcpu. */
#include <tarn/hypercall.h>
#include <tarn/softirq.h>
#include <tarn/time.h>
#include <x86/apic.h>

/*
 * Only the first bit needs an IPI: with one pending, the pcpu is on its way through the exit loop,
 * or an IPI to it is. It looks at the word with interrupts off until it goes on, so none is
 * overlooked.
 */
void softirq_raise(u32 cpu, enum softirq nr)
{
    struct pcpu *p = pcpus[cpu];
    u32 before = atomic_fetch_or(&p->softirq_pending, 1u << nr);

    if (before == 0 && cpu != this_cpu() && READ_ONCE(p->online)) {
        lapic_send_ipi(p->apic_id, VECTOR_KICK);
    }
}

/* With interrupts off the timer can't say that it's due: its deadline does. */
bool hypercall_should_yield(void)
{
    const struct pcpu *p = this_pcpu();

    return READ_ONCE(p->softirq_pending) != 0 || now() >= p->timer_programmed;
}
