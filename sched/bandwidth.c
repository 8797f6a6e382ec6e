/* SPDX-License-Identifier: MIT */
/*
 * Bandwidth: in each period a vcpu, or a domain's and its emulator's together, may run for a quota
 * and then wait for the next one; under every policy, since to a policy they sleep.
 *
 * Every switch charges the budgets of who goes and of who comes, to the nanosecond. A timer is due
 * when a budget will be used up at the rate at which it is used; then all whose budget it is are
 * throttled, a reason to stand still as a pause is one, and when it has something again, released.
 * Only the timer's function decides that, so nothing that a vcpu does meanwhile has to know of it.
 * What was overdrawn is paid from the next periods; what was left is not kept.
 *
 * Locks: bonds (who is whose emulator), then a budget's gate (who is throttled by it, and by whom
 * it is used), then pools' locks, then the budget's lock (its account).
 */
#include <tarn/errno.h>
#include <tarn/time.h>

#include <public/tarn.h>

#include "dispatch.h"

#define GRAIN (50 * NSEC_PER_USEC) /* nobody is let run for less, nor stopped for its sake */
#define PERIOD_DEFAULT (100 * NSEC_PER_MSEC)

static struct spinlock bonds = SPINLOCK_INIT(RANK_DOMAIN); /* emulator and client of all */

/* ---- The account; the budget's lock is held ---- */

/* Clocks differ a little: what is given back if t is before `at` is taken again next time, so that
 * in sum each pays for what it ran. */
static void charge(struct sched_bandwidth *b, stime_t t)
{
    b->left -= (t - b->at) * b->running;
    b->at = t;
}

static void refill(struct sched_bandwidth *b, s64 periods)
{
    b->left = periods > (b->quota - b->left) / b->quota ? b->quota : b->left + periods * b->quota;
}

static void account(struct sched_bandwidth *b, stime_t t)
{
    if (t - b->begin >= b->period) {
        s64 periods = (t - b->begin) / b->period;

        b->begin += periods * b->period;
        charge(b, b->begin);
        refill(b, periods);
    }
    charge(b, t);
}

/* When something is to be done next. */
static stime_t due(const struct sched_bandwidth *b)
{
    if (b->empty) {
        return b->begin + b->period;
    }
    return b->running ? b->at + MAX(b->left / b->running, GRAIN) : STIME_MAX;
}

/* A timer that is too early does no harm: it looks, and waits for the rest. */
static void arm(struct sched_bandwidth *b)
{
    stime_t t = due(b);

    if (t != STIME_MAX && (!READ_ONCE(b->timer.node.queued) || b->timer.node.expires > t)) {
        timer_arm(&b->timer, t);
    }
}

static void end_wait(struct sched_bandwidth *b, stime_t t)
{
    if (b->waits_since) {
        b->throttled_ns += (u64)MAX(t - b->waits_since, 0);
        b->waits_since = 0;
    }
}

/* ---- What the dispatcher calls ---- */

static void enter(struct sched_bandwidth *b, stime_t t)
{
    spin_lock(&b->lock);
    account(b, t);
    b->running++;
    arm(b);
    spin_unlock(&b->lock);
}

static void leave(struct sched_bandwidth *b, stime_t t)
{
    spin_lock(&b->lock);
    account(b, t);
    b->running--;
    spin_unlock(&b->lock);
}

void bandwidth_switch(struct vcpu *prev, struct vcpu *next, stime_t t)
{
    for (u32 i = 0; i < NR_BUDGETS; i++) {
        if (prev->budget[i]) {
            leave(prev->budget[i], t);
        }
    }
    for (u32 i = 0; i < NR_BUDGETS; i++) {
        if (next->budget[i]) {
            enter(next->budget[i], t);
        }
    }
}

void bandwidth_wait(struct vcpu *v, stime_t t)
{
    for (u32 i = 0; i < NR_BUDGETS; i++) {
        struct sched_bandwidth *b = v->budget[i];

        if (b) {
            spin_lock(&b->lock);
            b->waits_since = b->empty && !b->waits_since ? t : b->waits_since;
            spin_unlock(&b->lock);
        }
    }
}

/* ---- Used up, and not any more; the gate is held ---- */

static void throttle(struct vcpu *v, enum sched_budget which, bool on)
{
    u32 flag = VPF_THROTTLED_BY(which);

    if (on) {
        atomic_fetch_or(&v->pause_flags, flag);
        vcpu_sleep_nosync(v);
    } else if (atomic_fetch_and(&v->pause_flags, ~flag) & flag) {
        vcpu_wake(v);
    }
}

static void throttle_all(struct domain *d, enum sched_budget which, bool on)
{
    for (u32 i = 0; i < d->max_vcpus; i++) {
        throttle(d->vcpu[i], which, on);
    }
}

/* Who wakes first runs first, and may use all of it: next time that is who stands behind him. */
static void throttle_domain(struct domain *d, bool on)
{
    struct sched_bandwidth *b = &d->bandwidth;
    u32 own = d->max_vcpus, all = own + (d->emulator ? d->emulator->max_vcpus : 0);
    u32 begin = b->first;

    for (u32 i = 0; i < all; i++) {
        u32 n = (begin + i) % all;
        struct vcpu *v = n < own ? d->vcpu[n] : d->emulator->vcpu[n - own];

        if (on && READ_ONCE(v->unit.running)) {
            b->first = n + 1;
        }
        throttle(v, n < own ? BUDGET_DOMAIN : BUDGET_CLIENT, on);
    }
}

static void throttle_users(struct domain *d, struct vcpu *v, bool on)
{
    if (v) {
        throttle(v, BUDGET_OWN, on);
    } else {
        throttle_domain(d, on);
    }
}

/* Is it empty? Whether that is news. */
static bool look(struct sched_bandwidth *b)
{
    bool was = b->empty;
    stime_t t;

    spin_lock(&b->lock);
    if (b->quota) {
        t = now();
        account(b, t);
        b->empty = b->left <= 0;
        b->throttled += b->empty && !was;
        if (!b->empty) {
            end_wait(b, t);
        }
        arm(b);
    }
    spin_unlock(&b->lock);
    return b->empty != was;
}

static void vcpu_due(void *arg)
{
    struct vcpu *v = arg;
    struct sched_bandwidth *b = &v->bandwidth;

    spin_lock(&b->gate);
    if (look(b)) {
        throttle_users(NULL, v, b->empty);
    }
    spin_unlock(&b->gate);
}

static void domain_due(void *arg)
{
    struct domain *d = arg;
    struct sched_bandwidth *b = &d->bandwidth;

    spin_lock(&b->gate);
    if (look(b)) {
        throttle_users(d, NULL, b->empty);
    }
    spin_unlock(&b->gate);
}

void bandwidth_init(struct sched_bandwidth *b, struct domain *d, struct vcpu *v)
{
    spin_lock_init(&b->lock, RANK_BUDGET);
    spin_lock_init(&b->gate, RANK_THROTTLE);
    b->period = PERIOD_DEFAULT;
    if (v) {
        timer_init(&b->timer, vcpu_due, v);
    } else {
        timer_init(&b->timer, domain_due, d);
    }
}

/* ---- Who uses it; the gate is held ---- */

/* NULL: its time does not count to it any more. */
static void use(struct vcpu *v, enum sched_budget which, struct sched_bandwidth *b)
{
    struct sched_pool *p = lock_pool(v->domain);
    stime_t t = now();

    if (v->budget[which] && v->unit.running) {
        leave(v->budget[which], t);
    }
    v->budget[which] = b;
    v->unit.limited = v->budget[BUDGET_OWN] || v->budget[BUDGET_DOMAIN] || v->budget[BUDGET_CLIENT];
    if (b && v->unit.running) {
        enter(b, t);
    }
    spin_unlock(&p->lock);
}

static void use_all(struct domain *d, enum sched_budget which, struct sched_bandwidth *b)
{
    for (u32 i = 0; i < d->max_vcpus; i++) {
        use(d->vcpu[i], which, b);
    }
}

static void set_users(struct domain *d, struct vcpu *v, struct sched_bandwidth *b)
{
    if (v) {
        use(v, BUDGET_OWN, b);
        return;
    }
    use_all(d, BUDGET_DOMAIN, b);
    if (d->emulator) {
        use_all(d->emulator, BUDGET_CLIENT, b);
    }
}

/* ---- Parameters ---- */

static struct sched_bandwidth *budget_of(struct domain *d, struct vcpu *v)
{
    return v ? &v->bandwidth : &d->bandwidth;
}

void sched_bandwidth_get(struct domain *d, struct vcpu *v, struct tarn_bandwidth *out)
{
    struct sched_bandwidth *b = budget_of(d, v);

    spin_lock(&b->lock);
    out->period_us = (u64)(b->period / NSEC_PER_USEC);
    out->quota_us = b->quota ? b->quota / NSEC_PER_USEC : -1;
    out->throttled = b->throttled;
    out->throttled_ns = b->throttled_ns;
    if (b->waits_since) {
        out->throttled_ns += (u64)MAX(now() - b->waits_since, 0);
    }
    spin_unlock(&b->lock);
}

/* A new period begins, with all of its quota. Nobody uses it at the moment. */
static void restart(struct sched_bandwidth *b, s64 period, s64 quota)
{
    spin_lock(&b->lock);
    b->at = b->begin = now();
    end_wait(b, b->at);
    b->empty = false;
    b->period = period;
    b->quota = b->left = quota;
    spin_unlock(&b->lock);
}

/* Who waits for the next period of the old ones goes on. The gate is held. */
static void set(struct domain *d, struct vcpu *v, s64 period, s64 quota)
{
    struct sched_bandwidth *b = budget_of(d, v);
    bool was_empty = b->empty;

    if (b->period == period && b->quota == quota) {
        return;
    }
    if (b->quota) {
        set_users(d, v, NULL);
    }
    restart(b, period, quota);
    if (quota) {
        set_users(d, v, b);
    }
    if (was_empty) {
        throttle_users(d, v, false);
    }
}

static bool period_ok(u64 us)
{
    return us == 0 || (us >= TARN_PERIOD_MIN && us <= TARN_PERIOD_MAX);
}

static bool quota_ok(s64 us)
{
    return us <= 0 || (us >= (s64)TARN_QUOTA_MIN && us <= (s64)TARN_QUOTA_MAX);
}

long sched_bandwidth_set(struct domain *d, struct vcpu *v, u64 period_us, s64 quota_us)
{
    struct sched_bandwidth *b = budget_of(d, v);
    s64 period, quota;
    long rc = -ESRCH;

    if (!period_ok(period_us) || !quota_ok(quota_us)) {
        return -EINVAL;
    }
    spin_lock(&b->gate);
    if (d->dying == DOMAIN_ALIVE) {
        period = period_us ? (s64)period_us * NSEC_PER_USEC : b->period;
        quota = quota_us ? MAX(quota_us, 0) * NSEC_PER_USEC : b->quota;
        set(d, v, period, quota);
        rc = 0;
    }
    spin_unlock(&b->gate);
    return rc;
}

/* ---- Emulators; the lock of bonds is held ---- */

static void bind(struct domain *d, struct domain *emulator)
{
    struct sched_bandwidth *b = &d->bandwidth;

    spin_lock(&b->gate);
    d->emulator = emulator;
    emulator->client = d;
    if (b->quota) {
        use_all(emulator, BUDGET_CLIENT, b);
    }
    if (b->empty) {
        throttle_all(emulator, BUDGET_CLIENT, true);
    }
    spin_unlock(&b->gate);
}

static void unbind(struct domain *d)
{
    struct domain *emulator = d->emulator;

    spin_lock(&d->bandwidth.gate);
    d->emulator = NULL;
    emulator->client = NULL;
    use_all(emulator, BUDGET_CLIENT, NULL);
    throttle_all(emulator, BUDGET_CLIENT, false);
    spin_unlock(&d->bandwidth.gate);
}

/* No chains: an emulator has none itself. */
static long may_bind(const struct domain *d, const struct domain *emulator)
{
    if (d->dying != DOMAIN_ALIVE || emulator->dying != DOMAIN_ALIVE) {
        return -ESRCH;
    }
    if (d == emulator || d->domid == 0 || emulator->domid == 0 || d->client || emulator->emulator) {
        return -EINVAL;
    }
    return d->emulator || emulator->client ? -EBUSY : 0;
}

long sched_emulator_set(struct domain *d, struct domain *emulator)
{
    long rc = 0;

    spin_lock(&bonds);
    if (emulator) {
        rc = may_bind(d, emulator);
        if (rc == 0) {
            bind(d, emulator);
        }
    } else if (d->emulator) {
        unbind(d);
    }
    spin_unlock(&bonds);
    return rc;
}

void sched_emulator_get(struct domain *d, u16 *emulator, u16 *client)
{
    spin_lock(&bonds);
    *emulator = d->emulator ? d->emulator->domid : DOMID_INVALID;
    *client = d->client ? d->client->domid : DOMID_INVALID;
    spin_unlock(&bonds);
}

/* ---- The end ---- */

static void end_limit(struct domain *d, struct vcpu *v)
{
    struct sched_bandwidth *b = budget_of(d, v);

    spin_lock(&b->gate);
    set(d, v, b->period, 0);
    spin_unlock(&b->gate);
    timer_kill(&b->timer);
}

/* `dying` is set: who comes later with a limit or a bond is refused. */
void sched_bandwidth_end(struct domain *d)
{
    spin_lock(&bonds);
    if (d->emulator) {
        unbind(d);
    }
    if (d->client) {
        unbind(d->client);
    }
    spin_unlock(&bonds);
    end_limit(d, NULL);
    for (u32 i = 0; i < d->max_vcpus; i++) {
        end_limit(d, d->vcpu[i]);
    }
}
