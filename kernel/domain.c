/* SPDX-License-Identifier: MIT */
/*
 * The life of a domain: made, shut down, crashed. What it is made of (memory, context) is the
 * builder's. Locks: domain_list_lock (leaf) for the list; domain.lock for shutdown. A domain
 * that was shut down keeps all it has, so that it can be looked at.
 */
#include <tarn/console.h>
#include <tarn/domain.h>
#include <tarn/errno.h>
#include <tarn/options.h>
#include <tarn/page.h>
#include <tarn/pcpu.h>
#include <x86/frames.h>
#include <x86/power.h>
#include <x86/pv.h>
#include <xen/sched.h>

struct list domain_list = LIST_INIT(domain_list);
struct spinlock domain_list_lock = SPINLOCK_INIT(RANK_LEAF); /* the list, not the domains */

static struct domain *find(domid_t domid)
{
    list_for_each(l, &domain_list) {
        struct domain *d = list_entry(l, struct domain, link);

        if (d->domid == domid) {
            return d;
        }
    }
    return NULL;
}

struct domain *domain_get_by_id(domid_t domid)
{
    struct domain *d;

    if (domid == DOMID_SELF) {
        d = current->domain;
        domain_get(d);
        return d;
    }
    spin_lock(&domain_list_lock);
    d = find(domid);
    if (d) {
        domain_get(d);
    }
    spin_unlock(&domain_list_lock);
    return d;
}

void domain_get(struct domain *d)
{
    atomic_fetch_add(&d->refcnt, 1u);
}

static void domain_free(struct domain *d)
{
    for (u32 i = 0; i < d->max_vcpus; i++) {
        if (d->vcpu[i]) {
            vcpu_destroy(d->vcpu[i]);
        }
    }
    for (u32 i = 0; i < DOMAIN_WATCHDOGS; i++) {
        timer_kill(&d->watchdog[i]);
    }
    page_free(d->shared_info);
    page_free(d->console);
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
    d->max_vcpus = max_vcpus;
    d->page_list = BUDDY_NIL;
    spin_lock_init(&d->lock, RANK_DOMAIN);
    spin_lock_init(&d->page_lock, RANK_LEAF);
    spin_lock_init(&d->arch.mmu_lock, RANK_DOMAIN);
    d->arch.teardown = BUDDY_NIL;
    for (u32 i = 0; i < DOMAIN_WATCHDOGS; i++) {
        timer_init(&d->watchdog[i], watchdog_fired, d);
    }
    d->shared_info = page_alloc();
    d->console = page_alloc();
    if (!d->shared_info || !d->console) {
        domain_free(d);
        return NULL;
    }
    d->shared_mfn = virt_to_mfn(d->shared_info);
    share_frame_with(d, d->shared_mfn, true);
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
    sched_domain_init(d, pool, weight, cap);
    for (u32 i = 0; i < max_vcpus && *rc == 0; i++) {
        *rc = vcpu_create(d, i);
    }
    if (*rc == 0) {
        evtchn_domain_init(&d->evtchn);
        spin_lock(&domain_list_lock);
        *rc = find(domid) ? -EEXIST : 0;
        if (*rc == 0) {
            list_add_tail(&domain_list, &d->link);
        }
        spin_unlock(&domain_list_lock);
    }
    if (*rc) {
        domain_abandon(d);
        return NULL;
    }
    return d;
}

/* A domain that never ran: give back all that was put into it. */
void domain_abandon(struct domain *d)
{
    spin_lock(&domain_list_lock);
    if (d->link.next) {
        list_del(&d->link);
    }
    spin_unlock(&domain_list_lock);
    for (u32 i = 0; i < d->max_vcpus; i++) {
        if (d->vcpu[i]) {
            sched_vcpu_destroy(d->vcpu[i]);
        }
    }
    sched_domain_destroy(d);
    evtchn_domain_destroy(d);
    domain_put(d);
}

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

/* Wakes nobody: vcpus are stopped without waiting, since two domains may do this to each other at
 * once. */
static void stop_vcpus(struct domain *d)
{
    for (u32 i = 0; i < d->max_vcpus; i++) {
        atomic_fetch_or(&d->vcpu[i]->pause_flags, VPF_PAUSED);
        vcpu_sleep_nosync(d->vcpu[i]);
    }
}

/* False when the domain had ended already: only the first reason counts. */
static bool mark_ended(struct domain *d, u8 reason)
{
    bool first;

    spin_lock(&d->lock);
    first = !d->is_shut_down;
    if (first) {
        d->is_shut_down = true;
        d->shutdown_code = reason;
    }
    spin_unlock(&d->lock);
    return first;
}

static void end(struct domain *d)
{
    if (d->privileged) {
        machine_follow(d->shutdown_code);
    }
    stop_vcpus(d);
}

void domain_shutdown(struct domain *d, u8 reason)
{
    if (mark_ended(d, reason)) {
        console_flush_domain(d);
        log_info("domain %u (%s) %s", d->domid, d->name, shutdown_text(reason));
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
