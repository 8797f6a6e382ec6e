/* SPDX-License-Identifier: MIT */
/*
 * Taking a domain apart: everything goes back whence it came, in steps, since there may be much of
 * it. It can still be found meanwhile, and after that as long as somebody holds on to it or to a
 * frame of it. The domctl lock keeps two callers apart; nothing of the domain runs, and its timers
 * don't either after the first step.
 */
#include <tarn/domain.h>
#include <tarn/errno.h>
#include <tarn/hypercall.h>
#include <tarn/pcpu.h>
#include <tarn/softirq.h>
#include <tarn/trace.h>
#include <x86/frames.h>

/* No pcpu's hardware holds anything of it any more. Only idle ones can: they unload it. */
void domain_unload(const struct domain *d)
{
    for (u32 cpu = 0; cpu < nr_pcpus; cpu++) {
        const struct vcpu *v;

        while (pcpus[cpu]->online && (v = atomic_load(&pcpus[cpu]->loaded)) && v->domain == d) {
            softirq_raise(cpu, SOFTIRQ_UNLOAD);
            arch_spin_service();
        }
    }
}

/* From here on it gets no memory, no port and no table. */
static void begin(struct domain *d)
{
    spin_lock(&d->page_lock);
    d->dying = DOMAIN_DYING;
    spin_unlock(&d->page_lock);
    domain_pause(d); /* for ever */
    sched_group_leave(d);
    sched_bandwidth_end(d);
    domain_unload(d);
    for (u32 i = 0; i < DOMAIN_WATCHDOGS; i++) {
        timer_kill(&d->watchdog[i]);
    }
    for (u32 i = 0; i < d->max_vcpus; i++) {
        vcpu_stop_timers(d->vcpu[i]);
        sched_vcpu_dying(d->vcpu[i]);
    }
}

/* False: call again. */
static bool let_go(struct domain *d)
{
    if (!evtchn_domain_destroy(d)) {
        return false;
    }
    for (u32 i = 0; i < d->max_vcpus; i++) {
        arch_vcpu_relinquish(d->vcpu[i]);
    }
    return grant_handles_release(d) && domain_relinquish_frames(d);
}

long domain_destroy(struct domain *d)
{
    if (d == current->domain) {
        return -EINVAL;
    }
    if (d->dying == DOMAIN_DEAD) {
        return 0;
    }
    if (d->dying == DOMAIN_ALIVE) {
        begin(d);
    }
    if (!let_go(d)) {
        return -ERESTART;
    }
    d->dying = DOMAIN_DEAD;
    trace_domain(TRC_DOM0_DOM_REM, d->domid);
    domain_put(d); /* its own */
    control_send_virq(VIRQ_DOM_EXC);
    return 0;
}
