/* SPDX-License-Identifier: MIT */
/*
 * Delivery: from a port to a vcpu. Sends through a port, in the protocol that the far end's domain
 * has, and does what the protocol leaves to do: kick the vcpu, wake pollers, count. Does not change
 * the state of ports.
 *
 * A send takes one lock, the byte of its own port. That makes the far end safe to touch, in
 * whatever domain it lies: a channel is broken only with both its ports locked, and a domain frees
 * its table only after it broke all its channels; so as long as the near port is locked and
 * INTERDOMAIN, the far port, its table, its domain and the domain's vcpus exist; so do its queues,
 * as it leaves FIFO only when none of its ports is in use. The near table exists because its domain
 * is running us.
 *
 * notify_vcpu of the far end may change meanwhile (EVTCHNOP_bind_vcpu). It is read after PENDING
 * was set, or MASK cleared: a guest that moves a port looks at both behind the move, by an unmask,
 * and so finds what we would take to the vcpu that was before.
 */
#include <tarn/domain.h>
#include <tarn/errno.h>

/* What a protocol says of an event is its fate. */
_Static_assert(TWOLEVEL_EDGE == (u32)EVTCHN_MASKED && FIFO_EDGE == (u32)EVTCHN_MASKED, "");
_Static_assert((TWOLEVEL_EDGE | TWOLEVEL_RAISE) == (u32)EVTCHN_DELIVERED, "");
_Static_assert((FIFO_EDGE | FIFO_UNMASKED) == (u32)EVTCHN_DELIVERED, "");

static void raise(struct domain *d, const struct evtchn *chn, u32 port)
{
    struct vcpu *v = d->vcpu[atomic_load(&chn->notify_vcpu)];

    if (twolevel_raise(READ_ONCE(v->info), port)) {
        vcpu_kick(v);
    }
}

/* What is left to do after an edge. */
static void climb(struct domain *d, const struct evtchn *chn, u32 port, u32 todo)
{
    if (todo & TWOLEVEL_RAISE) {
        raise(d, chn, port);
    }
    if (unlikely(atomic_load(&d->evtchn.nr_pollers))) {
        evtchn_wake_pollers(d, port);
    }
}

static void upcall(struct vcpu *v)
{
    if (evtchn_upcall(READ_ONCE(v->info))) {
        vcpu_kick(v);
    }
}

/* The same under FIFO. */
static void fifo_finish(struct domain *d, u32 port, u32 todo)
{
    if (todo & FIFO_UPCALL) {
        upcall(d->vcpu[fifo_vcpu(todo)]);
    }
    if ((todo & FIFO_EDGE) && unlikely(atomic_load(&d->evtchn.nr_pollers))) {
        evtchn_wake_pollers(d, port);
    }
}

/* Which fate the event had. */
static u32 send_to_fifo(struct domain *d, struct evtchn_fifo *f, u32 port)
{
    struct evtchn *chn = evtchn_at(&d->evtchn, port);
    u32 todo = fifo_send(f, &chn->fifo, port, &chn->notify_vcpu);

    fifo_finish(d, port, todo);
    return todo & EVTCHN_DELIVERED;
}

void evtchn_set_pending(struct domain *d, struct evtchn *sender, u32 port)
{
    struct evtchn_fifo *f = atomic_load(&d->evtchn.fifo);
    u32 fate;

    if (f) {
        fate = send_to_fifo(d, f, port);
    } else {
        fate = twolevel_mark(d->shared_info->evtchn_pending, d->shared_info->evtchn_mask, port);
        if (fate) {
            climb(d, evtchn_at(&d->evtchn, port), port, fate);
        }
    }
    sender->count[fate]++;
}

void evtchn_set_waiting(struct domain *d, u32 port)
{
    struct evtchn *chn = evtchn_at(&d->evtchn, port);

    fifo_finish(d, port, fifo_send_waiting(d->evtchn.fifo, &chn->fifo, port, &chn->notify_vcpu));
}

/* The part of a send that is not hot is kept out of it, so that the hot one saves no registers. */
static __attribute__((noinline)) int finish_send(struct evtchn *near, struct domain *d, u32 port,
                                                 u32 todo)
{
    climb(d, evtchn_at(&d->evtchn, port), port, todo);
    evtchn_unlock(near);
    return 0;
}

/*
 * An IPI's port is its own far end, in our own domain, which is there without the lock. It is
 * unlocked before anybody is woken: a vcpu that polls the port takes that lock to look at it.
 */
static __attribute__((noinline)) int send_fifo(struct evtchn *near, struct domain *d,
                                               struct evtchn_fifo *f, u32 port)
{
    struct evtchn *far = evtchn_at(&d->evtchn, port);
    u32 todo = fifo_send(f, &far->fifo, port, &far->notify_vcpu);

    near->count[todo & EVTCHN_DELIVERED]++;
    if (near == far) {
        evtchn_unlock(near);
        fifo_finish(d, port, todo);
    } else {
        fifo_finish(d, port, todo);
        evtchn_unlock(near);
    }
    return 0;
}

/* The port is locked; unlocks it. */
static inline int send_locked(struct domain *d, struct evtchn *chn, u32 port)
{
    struct evtchn_fifo *f;
    u32 todo;

    if (likely(chn->state == ECS_INTERDOMAIN)) {
        d = chn->u.remote;
        port = chn->remote_port;
    } else if (chn->state != ECS_IPI) {
        int rc = chn->state == ECS_UNBOUND ? 0 : -EINVAL; /* to nobody yet: dropped */

        evtchn_unlock(chn);
        return rc;
    }
    f = atomic_load(&d->evtchn.fifo);
    if (f) {
        return send_fifo(chn, d, f, port);
    }
    todo = twolevel_mark(d->shared_info->evtchn_pending, d->shared_info->evtchn_mask, port);
    chn->count[todo]++;
    if ((todo & TWOLEVEL_RAISE) || (todo && atomic_load(&d->evtchn.nr_pollers))) {
        return finish_send(chn, d, port, todo);
    }
    evtchn_unlock(chn);
    return 0;
}

static __attribute__((noinline)) int send_contended(struct domain *d, struct evtchn *chn, u32 port)
{
    evtchn_lock(chn);
    return send_locked(d, chn, port);
}

int evtchn_send(struct domain *d, u32 port)
{
    struct evtchn *chn = evtchn_from_port(&d->evtchn, port);

    if (unlikely(!chn)) {
        return -EINVAL;
    }
    return likely(evtchn_trylock(chn)) ? send_locked(d, chn, port) : send_contended(d, chn, port);
}

static bool in_use(const struct evtchn *chn)
{
    return atomic_load(&chn->state) > ECS_RESERVED;
}

static void unmask_fifo(struct domain *d, struct evtchn *chn, u32 port)
{
    struct evtchn_fifo *f;

    evtchn_lock(chn);
    f = atomic_load(&d->evtchn.fifo);
    if (in_use(chn) && f) {
        fifo_finish(d, port, fifo_unmask(f, &chn->fifo, port, &chn->notify_vcpu));
    }
    evtchn_unlock(chn);
}

int evtchn_unmask(struct domain *d, u32 port)
{
    struct evtchn *chn = evtchn_from_port(&d->evtchn, port);
    shared_info_t *s = d->shared_info;

    if (!chn) {
        return -EINVAL;
    }
    if (unlikely(atomic_load(&d->evtchn.fifo))) {
        unmask_fifo(d, chn, port);
    } else if (likely(in_use(chn)) && likely(port < EVTCHN_2L_PORTS)) {
        if (twolevel_unmask(s->evtchn_pending, s->evtchn_mask, port)) {
            raise(d, chn, port);
        }
    }
    return 0;
}

static bool is_pending_fifo(const struct domain *d, u32 port)
{
    struct evtchn *chn = evtchn_at(&d->evtchn, port);
    const struct evtchn_fifo *f;
    bool pending;

    evtchn_lock(chn);
    f = atomic_load(&d->evtchn.fifo);
    pending = in_use(chn) && f && fifo_is_pending(f, &chn->fifo, port);
    evtchn_unlock(chn);
    return pending;
}

bool evtchn_is_pending(const struct domain *d, u32 port)
{
    if (unlikely(atomic_load(&d->evtchn.fifo))) {
        return is_pending_fifo(d, port);
    }
    return port < EVTCHN_2L_PORTS && test_bit(port, d->shared_info->evtchn_pending);
}

struct evtchn *evtchn_sender(struct evtchn *chn)
{
    return chn->state == ECS_INTERDOMAIN ? evtchn_at(&chn->u.remote->evtchn, chn->remote_port)
                                         : chn;
}

void evtchn_forget(struct domain *d, u32 port)
{
    if (d->evtchn.fifo) {
        fifo_clear(d->evtchn.fifo, &evtchn_at(&d->evtchn, port)->fifo, port);
    } else {
        clear_bit(port, d->shared_info->evtchn_pending);
    }
}

/*
 * No wake-up of a poller is lost. It sets VPF_BLOCKED, polling, nr_pollers, and then looks at
 * PENDING; a sender sets PENDING and then looks at nr_pollers. Both counter and bit are written by
 * locked instructions, which x86 puts in one order that loads after them respect: either the poller
 * sees the bit and stays awake, or the sender sees the counter. In the latter case it sees
 * `polling` as well, which was stored before, and VPF_BLOCKED is already set, so that clearing it
 * sticks. A poller that finds `polling` gone before it sleeps was woken. Clearing VPF_BLOCKED late
 * can at most wake a vcpu that has blocked anew, which a guest must expect.
 */
void evtchn_poll_begin(struct vcpu *v, u32 port)
{
    atomic_store(&v->poll_port, port);
    if (!atomic_xchg(&v->polling, true)) { /* else it is counted still */
        atomic_fetch_add(&v->domain->evtchn.nr_pollers, 1);
    }
}

/* Of all who end a poll, one finds `polling` set. */
static bool poll_end(struct vcpu *v)
{
    if (!atomic_load(&v->polling) || !atomic_xchg(&v->polling, false)) {
        return false;
    }
    atomic_fetch_sub(&v->domain->evtchn.nr_pollers, 1);
    return true;
}

void evtchn_poll_end(struct vcpu *v)
{
    (void)poll_end(v);
}

void evtchn_wake_pollers(struct domain *d, u32 port)
{
    for (u32 i = 0; i < d->max_vcpus; i++) {
        struct vcpu *v = d->vcpu[i];
        u32 polled = atomic_load(&v->poll_port);

        if ((polled == 0 || polled == port) && poll_end(v)) {
            atomic_fetch_and(&v->pause_flags, ~VPF_BLOCKED);
            vcpu_wake(v);
        }
    }
}
