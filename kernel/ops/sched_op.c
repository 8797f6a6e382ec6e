/* SPDX-License-Identifier: MIT */
/* HYPERVISOR_sched_op: what a vcpu says about its own running, and a domain about its end. No locks
 * here. */
#include <tarn/domain.h>
#include <tarn/errno.h>
#include <tarn/guest_access.h>
#include <tarn/hypercall.h>
#include <tarn/pcpu.h>
#include <tarn/softirq.h>
#include <tarn/time.h>
#include <x86/layout.h>
#include <xen/sched.h>

#define POLL_MAX_PORTS 128u

static long op_yield(void)
{
    vcpu_yield();
    return 0;
}

static long op_block(void)
{
    current->info->evtchn_upcall_mask = 0;
    vcpu_block();
    return 0;
}

static long op_shutdown(u64 arg)
{
    struct sched_shutdown s;

    if (copy_from_guest(&s, arg, sizeof(s))) {
        return -EFAULT;
    }
    domain_shutdown(current->domain, (u8)s.reason);
    return 0;
}

/* What the domain's end will be called, whenever that is and whoever brings it about. */
static long op_shutdown_code(u64 arg)
{
    struct domain *d = current->domain;
    struct sched_shutdown s;

    if (copy_from_guest(&s, arg, sizeof(s))) {
        return -EFAULT;
    }
    spin_lock(&d->lock);
    if (d->shutdown_code == NO_SHUTDOWN_CODE) {
        d->shutdown_code = (u8)s.reason;
    }
    spin_unlock(&d->lock);
    return 0;
}

/* 1: one of the ports is pending; those behind it are not looked at. */
static long any_pending(const struct domain *d, const struct sched_poll *p, u32 *last)
{
    for (u32 i = 0; i < p->nr_ports; i++) {
        const struct evtchn *chn;
        u32 port;

        if (copy_from_guest(&port, (u64)p->ports.p + i * sizeof(port), sizeof(port))) {
            return -EFAULT;
        }
        chn = evtchn_from_port(&d->evtchn, port); /* once: a domain that leaves FIFO has fewer */
        if (!chn || atomic_load(&chn->state) <= ECS_RESERVED) {
            return -EINVAL;
        }
        *last = port;
        if (evtchn_is_pending(d, port)) {
            return 1;
        }
    }
    return 0;
}

static void poll_cancel(struct vcpu *v)
{
    evtchn_poll_end(v);
    atomic_fetch_and(&v->pause_flags, ~VPF_BLOCKED);
}

/*
 * Sleep until a port is pending (masked or not), an upcall can be delivered, or the deadline. The
 * order of block, announce, look is what keeps an event from being lost; see evtchn/deliver.c.
 */
static long op_poll(u64 arg)
{
    struct vcpu *v = current;
    struct sched_poll p;
    u32 port = 0;
    long rc;

    if (copy_from_guest(&p, arg, sizeof(p))) {
        return -EFAULT;
    }
    if (p.nr_ports > POLL_MAX_PORTS) {
        return -EINVAL;
    }
    if (!guest_range_ok((u64)p.ports.p, 1)) {
        return -EFAULT; /* also if there are none */
    }
    atomic_fetch_or(&v->pause_flags, VPF_BLOCKED);
    evtchn_poll_begin(v, 0);
    rc = any_pending(v->domain, &p, &port);
    if (rc || vcpu_event_deliverable(v) || !READ_ONCE(v->polling) ||
        (p.timeout && (stime_t)p.timeout <= now())) {
        poll_cancel(v);
        return rc < 0 ? rc : 0;
    }
    if (p.timeout) {
        timer_arm(&v->poll_timer, (stime_t)p.timeout);
    } else {
        timer_stop(&v->poll_timer);
    }
    softirq_raise_self(SOFTIRQ_SCHEDULE);
    return 0;
}

static long op_remote_shutdown(u64 arg)
{
    struct sched_remote_shutdown s;
    struct domain *d;

    if (copy_from_guest(&s, arg, sizeof(s))) {
        return -EFAULT;
    }
    d = domain_get_by_id(s.domain_id);
    if (!d) {
        return -ESRCH;
    }
    if (!current->domain->privileged || d == current->domain) {
        domain_put(d);
        return -EPERM;
    }
    domain_shutdown(d, (u8)s.reason);
    domain_put(d);
    return 0;
}

/*
 * A domain's two dead man's switches. Id 0 takes a free one and returns its number; timeout 0 lets
 * one go; any other call starts its time (seconds) anew.
 */
static long op_watchdog(u64 arg)
{
    struct domain *d = current->domain;
    struct sched_watchdog w;
    long rc = 0;

    if (copy_from_guest(&w, arg, sizeof(w))) {
        return -EFAULT;
    }
    if (w.id > DOMAIN_WATCHDOGS || (w.id == 0 && w.timeout == 0)) {
        return -EINVAL;
    }
    spin_lock(&d->lock);
    if (w.id == 0) {
        while (w.id < DOMAIN_WATCHDOGS && d->watchdog_used[w.id]) {
            w.id++;
        }
        rc = w.id < DOMAIN_WATCHDOGS ? (long)++w.id : -ENOSPC;
    } else if (!d->watchdog_used[w.id - 1]) {
        rc = -EINVAL;
    }
    if (rc >= 0) {
        d->watchdog_used[w.id - 1] = w.timeout != 0;
        if (w.timeout) {
            timer_arm(&d->watchdog[w.id - 1], now() + w.timeout * NSEC_PER_SEC);
        } else {
            timer_stop(&d->watchdog[w.id - 1]);
        }
    }
    spin_unlock(&d->lock);
    return rc;
}

/* Whoever is in firmware that wants one CPU says so, and has it undone after it. */
static long op_pin_override(u64 arg)
{
    struct sched_pin_override p;

    if (!current->domain->privileged) {
        return -EPERM;
    }
    if (copy_from_guest(&p, arg, sizeof(p))) {
        return -EFAULT;
    }
    if (p.pcpu >= (int)nr_pcpus) {
        return -EINVAL;
    }
    return sched_pin_override(current, p.pcpu < 0 ? NO_CPU : (u32)p.pcpu);
}

long do_sched_op(u64 cmd, u64 arg)
{
    switch ((u32)cmd) {
    case SCHEDOP_yield:
        return op_yield();
    case SCHEDOP_block:
        return op_block();
    case SCHEDOP_poll:
        return op_poll(arg);
    case SCHEDOP_shutdown:
        return op_shutdown(arg);
    case SCHEDOP_shutdown_code:
        return op_shutdown_code(arg);
    case SCHEDOP_watchdog:
        return op_watchdog(arg);
    case SCHEDOP_remote_shutdown:
        return op_remote_shutdown(arg);
    case SCHEDOP_pin_override:
        return op_pin_override(arg);
    default:
        return -ENOSYS;
    }
}

/* The form of before 2005: the reason is the argument itself. */
long do_sched_op_compat(u64 cmd, u64 arg)
{
    switch ((u32)cmd) {
    case SCHEDOP_yield:
        return op_yield();
    case SCHEDOP_block:
        return op_block();
    case SCHEDOP_shutdown:
        domain_shutdown(current->domain, (u8)arg);
        return 0;
    default:
        return -ENOSYS;
    }
}

/* Absolute deadline in ns of system time; 0 stops the timer, the past fires at once. */
long do_set_timer_op(u64 deadline)
{
    struct vcpu *v = current;

    if (deadline == 0) {
        timer_stop(&v->oneshot);
    } else {
        vcpu_set_oneshot(v, (stime_t)MIN(deadline, (u64)STIME_MAX - 1));
    }
    return 0;
}
