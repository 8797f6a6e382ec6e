/* SPDX-License-Identifier: MIT */
/*
 * The life of a domain: made, paused, shut down, crashed, freed. What it is made of (memory,
 * context) is the builder's, giving it back is destroy.c's, finding it is domain_list.c's. Locks:
 * domain.lock for pause counts and shutdown. A domain that was shut down keeps all it has, so that
 * it can be looked at.
 */
#include <tarn/console.h>
#include <tarn/domain.h>
#include <tarn/errno.h>
#include <tarn/options.h>
#include <tarn/page.h>
#include <tarn/pcpu.h>
#include <tarn/trace.h>
#include <x86/frames.h>
#include <x86/power.h>
#include <x86/pv.h>
#include <xen/sched.h>

#define CONTROL_PAUSES_MAX 255u

/* Nobody knows it any more, or nobody ever did. Its number is not free before its frames have
 * another owner. */
static void domain_free(struct domain *d)
{
    for (u32 i = 0; i < d->max_vcpus; i++) {
        if (d->vcpu[i]) {
            sched_vcpu_destroy(d->vcpu[i]);
            vcpu_destroy(d->vcpu[i]);
        }
    }
    if (d->pool) {
        sched_domain_destroy(d);
    }
    for (u32 i = 0; i < DOMAIN_WATCHDOGS; i++) {
        timer_kill(&d->watchdog[i]);
    }
    if (d->shared_info) {
        unshare_frame(d->shared_mfn);
    }
    grant_table_free(d);
    domain_list_remove(d);
    page_free(d->console);
    page_free(d->ran_on);
    page_free(d);
}

void domain_put(struct domain *d)
{
    if (atomic_fetch_sub(&d->refcnt, 1u) == 1) {
        domain_free(d);
    }
}

static void watchdog_fired(void *arg)
{
    domain_shutdown(arg, SHUTDOWN_watchdog);
}

_Static_assert(sizeof(struct domain) <= PAGE_SIZE, "a domain is one page");

static struct domain *domain_alloc(domid_t domid, const char *name, u32 max_vcpus)
{
    struct domain *d = page_alloc();

    if (!d) {
        return NULL;
    }
    d->domid = domid;
    str_copy(d->name, name, sizeof(d->name));
    d->refcnt = 1;
    d->pause_count = d->control_pauses = 1;
    d->max_vcpus = max_vcpus;
    d->shutdown_code = NO_SHUTDOWN_CODE;
    d->page_list = d->held_list = BUDDY_NIL;
    spin_lock_init(&d->lock, RANK_DOMAIN);
    spin_lock_init(&d->page_lock, RANK_LEAF);
    spin_lock_init(&d->arch.mmu_lock, RANK_DOMAIN);
    d->arch.teardown = BUDDY_NIL;
    grant_table_init(&d->grants);
    for (u32 i = 0; i < DOMAIN_WATCHDOGS; i++) {
        timer_init(&d->watchdog[i], watchdog_fired, d);
    }
    d->shared_info = page_alloc();
    if (d->shared_info) {
        d->shared_mfn = virt_to_mfn(d->shared_info);
        share_frame_with(d, d->shared_mfn, true);
        d->console = page_alloc();
        d->ran_on = page_alloc();
    }
    if (!d->console || !d->ran_on) {
        domain_put(d);
        return NULL;
    }
    clock_init_domain(d);
    return d;
}

struct domain *domain_create(domid_t domid, const char *name, u32 max_vcpus,
                             struct sched_pool *pool, u32 weight, u32 cap, int *rc)
{
    struct domain *d;

    *rc = max_vcpus == 0 || max_vcpus > MAX_VCPUS ? -EINVAL : 0;
    if (*rc) {
        return NULL;
    }
    d = domain_alloc(domid, name, max_vcpus);
    if (!d) {
        *rc = -ENOMEM;
        return NULL;
    }
    trace_domain(TRC_DOM0_DOM_ADD, domid);
    *rc = sched_domain_init(d, pool, weight, cap);
    for (u32 i = 0; i < max_vcpus && *rc == 0; i++) {
        *rc = vcpu_create(d, i);
    }
    if (*rc == 0) {
        evtchn_domain_init(&d->evtchn);
        *rc = domain_list_add(d);
    }
    if (*rc) {
        evtchn_domain_destroy(d);
        domain_put(d);
        return NULL;
    }
    return d;
}

/* ---- Pausing ---- */

/* Wakes nobody: vcpus are stopped without waiting, since two domains may do this to each other at
 * once. domain.lock held. */
static void pause_nosync(struct domain *d)
{
    if (d->pause_count++ == 0) {
        for (u32 i = 0; i < d->max_vcpus; i++) {
            atomic_fetch_or(&d->vcpu[i]->pause_flags, VPF_PAUSED);
            vcpu_sleep_nosync(d->vcpu[i]);
        }
    }
}

static void unpause(struct domain *d)
{
    if (--d->pause_count == 0) {
        for (u32 i = 0; i < d->max_vcpus; i++) {
            atomic_fetch_and(&d->vcpu[i]->pause_flags, ~VPF_PAUSED);
            vcpu_wake(d->vcpu[i]);
        }
    }
}

/* Its pcpus have been told to stop; one that spins in a hypercall gives way at its end. */
static void wait_until_stopped(const struct domain *d)
{
    for (u32 i = 0; i < d->max_vcpus; i++) {
        while (atomic_load(&d->vcpu[i]->unit.running)) {
            arch_spin_service();
        }
    }
}

void domain_pause(struct domain *d)
{
    spin_lock(&d->lock);
    pause_nosync(d);
    spin_unlock(&d->lock);
    wait_until_stopped(d);
}

void domain_unpause(struct domain *d)
{
    spin_lock(&d->lock);
    unpause(d);
    spin_unlock(&d->lock);
}

long domain_control_pause(struct domain *d)
{
    long rc = -EOVERFLOW;

    if (d == current->domain) {
        return -EINVAL;
    }
    spin_lock(&d->lock);
    if (d->control_pauses < CONTROL_PAUSES_MAX) {
        d->control_pauses++;
        pause_nosync(d);
        rc = 0;
    }
    spin_unlock(&d->lock);
    if (rc == 0) {
        wait_until_stopped(d);
    }
    return rc;
}

long domain_control_unpause(struct domain *d)
{
    long rc = -EINVAL;

    spin_lock(&d->lock);
    if (d->control_pauses) {
        d->control_pauses--;
        unpause(d);
        rc = 0;
    }
    spin_unlock(&d->lock);
    return rc;
}

/* ---- The end ---- */

/* The machine follows its control domain: off when that is off, a new start for all else (noreboot:
 * halt). */
static __noreturn void machine_follow(u8 reason)
{
    if (reason == SHUTDOWN_poweroff) {
        machine_poweroff();
    }
    machine_reboot();
}

static const char *shutdown_text(u8 reason)
{
    static const char *const text[] = {
        "powered off", "asks for a reboot",           "suspended",
        "crashed",     "was stopped by its watchdog", "asks for a soft reset"
    };

    return reason < ARRAY_SIZE(text) ? text[reason] : "shut down for an unknown reason";
}

/* False when the domain had ended already: only the first reason counts. */
static bool mark_ended(struct domain *d, u8 reason)
{
    bool first;

    spin_lock(&d->lock);
    first = !d->is_shut_down;
    if (first) {
        d->is_shut_down = true;
        if (d->shutdown_code == NO_SHUTDOWN_CODE) {
            d->shutdown_code = reason; /* else it was told before */
        }
        if (!d->privileged) {
            pause_nosync(d);
        }
    }
    spin_unlock(&d->lock);
    return first;
}

void control_send_virq(u32 virq)
{
    struct domain *control = domain_get_by_id(0);

    if (control) {
        domain_send_virq(control, virq);
        domain_put(control);
    }
}

static void end(const struct domain *d)
{
    if (d->privileged) {
        machine_follow((u8)d->shutdown_code);
    }
    control_send_virq(VIRQ_DOM_EXC);
}

void domain_resume(struct domain *d)
{
    spin_lock(&d->lock);
    if (d->is_shut_down && d->dying == DOMAIN_ALIVE) {
        d->is_shut_down = false;
        d->shutdown_code = NO_SHUTDOWN_CODE;
        unpause(d);
    }
    spin_unlock(&d->lock);
}

void domain_shutdown(struct domain *d, u8 reason)
{
    if (mark_ended(d, reason)) {
        if (tracing()) {
            trace_words(TRC_SCHED_SHUTDOWN, 3, d->domid, current->domain == d ? current->id : 0,
                        reason);
        }
        console_flush_domain(d);
        log_info("domain %u (%s) %s", d->domid, d->name, shutdown_text((u8)d->shutdown_code));
        end(d);
    }
}

void domain_crash(struct domain *d, const char *fmt, ...)
{
    struct vcpu *v = current;
    char why[160];
    va_list ap;

    if (!mark_ended(d, SHUTDOWN_crash)) {
        return;
    }
    va_start(ap, fmt);
    fmt_vsnprintf(why, sizeof(why), fmt, ap);
    va_end(ap);
    console_flush_domain(d);
    log_error("domain %u (%s) vcpu %u crashed: %s", d->domid, d->name, v->domain == d ? v->id : 0,
              why);
    if (v->domain == d) {
        show_guest_regs(v);
    }
    end(d);
}
