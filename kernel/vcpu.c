/* SPDX-License-Identifier: MIT */
/*
 * A vcpu: made, blocked and woken, its timers and its runstate area. When it runs is sched/'s
 * business. pause_flags is atomic: who clears the last bit calls vcpu_wake, who sets a bit calls
 * vcpu_sleep_nosync.
 */
#include <tarn/domain.h>
#include <tarn/errno.h>
#include <tarn/guest_access.h>
#include <tarn/page.h>
#include <tarn/softirq.h>
#include <tarn/time.h>
#include <tarn/trace.h>
#include <x86/pv.h>
#include <xen/sched.h>

_Static_assert(sizeof(struct vcpu) <= PAGE_SIZE, "a vcpu is one page");

static void oneshot_fired(void *arg)
{
    vcpu_send_virq(arg, VIRQ_TIMER);
}

static void periodic_fired(void *arg)
{
    struct vcpu *v = arg;

    vcpu_send_virq(v, VIRQ_TIMER);
    if (v->periodic_period && READ_ONCE(v->unit.running)) { /* else vcpu_periodic_start does it */
        v->periodic_last = MAX(v->periodic_last + v->periodic_period, now() - v->periodic_period);
        timer_arm(&v->periodic, v->periodic_last + v->periodic_period);
    }
}

void vcpu_periodic_stop(struct vcpu *v)
{
    if (v->periodic_period) {
        timer_stop(&v->periodic);
    }
}

/* One tick for all that were due while the vcpu had no CPU. */
void vcpu_periodic_start(struct vcpu *v)
{
    stime_t t;

    if (v->periodic_period) {
        t = now();
        if (v->periodic_last + v->periodic_period <= t) {
            v->periodic_last = t;
            vcpu_send_virq(v, VIRQ_TIMER);
        }
        timer_arm(&v->periodic, v->periodic_last + v->periodic_period);
    }
}

static void unblock(struct vcpu *v)
{
    if (atomic_fetch_and(&v->pause_flags, ~VPF_BLOCKED) & VPF_BLOCKED) {
        vcpu_wake(v);
    }
}

static void poll_timed_out(void *arg)
{
    struct vcpu *v = arg;

    evtchn_poll_end(v);
    unblock(v);
}

/* Where vcpus beyond those of shared_info keep their info until they register one. */
static struct vcpu_info *first_info(struct domain *d, u32 id)
{
    return id < XEN_LEGACY_MAX_VCPUS ? &d->shared_info->vcpu_info[id] : page_alloc();
}

static void vcpu_free(struct vcpu *v)
{
    if (v->id >= XEN_LEGACY_MAX_VCPUS) {
        page_free(v->first_info);
    }
    page_free(v);
}

int vcpu_create(struct domain *d, u32 id)
{
    struct vcpu *v = page_alloc();
    struct cpumask all;
    int rc;

    if (!v) {
        return -ENOMEM;
    }
    v->domain = d;
    v->id = id;
    v->pause_flags = VPF_DOWN | VPF_PAUSED; /* as its domain is */
    v->info_mfn = INVALID_MFN;
    v->info = v->first_info = first_info(d, id);
    if (!v->info) {
        page_free(v);
        return -ENOMEM;
    }
    v->info->evtchn_upcall_mask = 1;
    timer_init(&v->periodic, periodic_fired, v);
    timer_init(&v->oneshot, oneshot_fired, v);
    timer_init(&v->poll_timer, poll_timed_out, v);
    v->periodic_period = 10 * NSEC_PER_MSEC; /* runs from the vcpu's first moment */
    rc = arch_vcpu_create(v);
    if (rc) {
        vcpu_free(v);
        return rc;
    }
    clock_update(v);
    cpumask_set_all(&all);
    sched_vcpu_init(v, &all, &all);
    d->vcpu[id] = v;
    return 0;
}

/* The idle vcpu of a pcpu: never queued, never in a domain's array. */
struct vcpu *vcpu_create_idle(struct domain *idle_domain, u32 cpu)
{
    struct vcpu *v = page_alloc();

    if (v) {
        v->domain = idle_domain;
        v->id = cpu;
        v->unit.runnable = true; /* always */
    }
    return v;
}

void vcpu_stop_timers(struct vcpu *v)
{
    timer_kill(&v->periodic);
    timer_kill(&v->oneshot);
    timer_kill(&v->poll_timer);
}

void vcpu_destroy(struct vcpu *v)
{
    vcpu_stop_timers(v);
    arch_vcpu_destroy(v);
    vcpu_free(v);
}

bool vcpu_event_deliverable(const struct vcpu *v)
{
    const struct vcpu_info *i = READ_ONCE(v->info);

    return READ_ONCE(i->evtchn_upcall_pending) && !READ_ONCE(i->evtchn_upcall_mask);
}

/*
 * Block, then look: an event that came before the look is seen by it, one that comes after finds
 * VPF_BLOCKED set and wakes us. So none is lost between.
 */
void vcpu_block(void)
{
    struct vcpu *v = current;

    atomic_fetch_or(&v->pause_flags, VPF_BLOCKED);
    if (vcpu_event_deliverable(v)) {
        atomic_fetch_and(&v->pause_flags, ~VPF_BLOCKED);
    } else {
        TRACE_VCPU(TRC_SCHED_BLOCK, v);
        softirq_raise_self(SOFTIRQ_SCHEDULE);
    }
}

/*
 * The event's bits are set. Blocked: wake it. Running elsewhere: interrupt it, its exit loop looks.
 * Neither: it looks when it comes to run, since `running` is set before that look (both sides are
 * full barriers).
 */
void vcpu_kick(struct vcpu *v)
{
    if (READ_ONCE(v->pause_flags) & VPF_BLOCKED) {
        evtchn_poll_end(v);
        unblock(v);
    } else if (v != current && READ_ONCE(v->unit.running)) {
        softirq_raise(v->unit.cpu, SOFTIRQ_EVENT);
    }
}

void vcpu_up(struct vcpu *v)
{
    if (atomic_fetch_and(&v->pause_flags, ~VPF_DOWN) & VPF_DOWN) {
        v->periodic_last = now();
        vcpu_wake(v);
    }
}

static bool other_vcpu_up(const struct vcpu *v)
{
    const struct domain *d = v->domain;

    for (u32 i = 0; i < d->max_vcpus; i++) {
        if (d->vcpu[i] != v && !(READ_ONCE(d->vcpu[i]->pause_flags) & VPF_DOWN)) {
            return true;
        }
    }
    return false;
}

void vcpu_down(struct vcpu *v)
{
    if (!other_vcpu_up(v)) {
        domain_shutdown(v->domain, SHUTDOWN_poweroff);
        return;
    }
    atomic_fetch_or(&v->pause_flags, VPF_DOWN);
    vcpu_sleep_nosync(v);
}

void vcpu_set_oneshot(struct vcpu *v, stime_t deadline)
{
    timer_arm(&v->oneshot, deadline);
}

void vcpu_set_periodic(struct vcpu *v, stime_t period)
{
    v->periodic_period = period;
    v->periodic_last = now();
    if (period == 0) {
        timer_stop(&v->periodic);
    } else if (READ_ONCE(v->unit.running)) {
        timer_arm(&v->periodic, v->periodic_last + period);
    }
}

/*
 * Written when the vcpu comes to run, with its own address space loaded. With the update flag a
 * guest can tell a torn read: it is set before and cleared after.
 */
void vcpu_show_runstate(const struct vcpu *v)
{
    struct vcpu_runstate_info r = v->runstate;
    u64 at = v->runstate_va + offsetof(struct vcpu_runstate_info, state_entry_time);
    u64 flagged = r.state_entry_time | XEN_RUNSTATE_UPDATE;

    if (!v->runstate_va) {
        return;
    }
    if (v->domain->vm_assist & (1UL << VMASST_TYPE_runstate_update_flag)) {
        if (copy_to_guest(at, &flagged, sizeof(flagged))) {
            return;
        }
        barrier();
    }
    (void)!copy_to_guest(v->runstate_va, &r, sizeof(r));
}
