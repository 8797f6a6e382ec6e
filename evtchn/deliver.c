/* SPDX-License-Identifier: MIT */
/*
 * Delivery: from a port to a vcpu. Sends through a port, and does what the two-level protocol
 * leaves to do: kick the vcpu and wake pollers. Does not change the state of ports.
 *
 * A send takes one lock, the byte of its own port. That makes the far end safe to touch, in
 * whatever domain it lies: a channel is broken only with both its ports locked, and a domain frees
 * its table only after it broke all its channels; so as long as the near port is locked and
 * INTERDOMAIN, the far port, its table, its domain and the domain's vcpus exist. The near table
 * exists because its domain is running us. notify_vcpu of the far end may change meanwhile
 * (EVTCHNOP_bind_vcpu): it is read once, and either vcpu is right.
 */
#include <tarn/domain.h>
#include <tarn/errno.h>

bool evtchn_is_pending(const struct domain *d, u32 port)
{
    return test_bit(port, d->shared_info->evtchn_pending);
}

/* What is left to do after an edge. */
static void climb(struct domain *d, const struct evtchn *chn, u32 port, u32 todo)
{
    struct vcpu *v = d->vcpu[atomic_load(&chn->notify_vcpu)];

    if ((todo & TWOLEVEL_RAISE) && twolevel_raise(READ_ONCE(v->info), port)) {
        vcpu_kick(v);
    }
    if (unlikely(atomic_load(&d->evtchn.nr_pollers))) {
        evtchn_wake_pollers(d, port);
    }
}

void evtchn_set_pending(struct domain *d, struct evtchn *chn, u32 port)
{
    shared_info_t *s = d->shared_info;
    u32 todo = twolevel_mark(s->evtchn_pending, s->evtchn_mask, port);

    if (todo) {
        climb(d, chn, port, todo);
    }
}

/* The part of a send that is not hot is kept out of it, so that the hot one saves no registers. */
static __attribute__((noinline)) int finish_send(struct evtchn *near, struct domain *d, u32 port,
                                                 u32 todo)
{
    climb(d, evtchn_at(&d->evtchn, port), port, todo);
    evtchn_unlock(near);
    return 0;
}

/* The port is locked; unlocks it. */
static inline int send_locked(struct domain *d, struct evtchn *chn, u32 port)
{
    u32 todo;

    if (likely(chn->state == ECS_INTERDOMAIN)) {
        d = chn->u.remote;
        port = chn->remote_port;
    } else if (chn->state != ECS_IPI) {
        int rc = chn->state == ECS_UNBOUND ? 0 : -EINVAL; /* to nobody yet: dropped */

        evtchn_unlock(chn);
        return rc;
    }
    todo = twolevel_mark(d->shared_info->evtchn_pending, d->shared_info->evtchn_mask, port);
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

int evtchn_unmask(struct domain *d, u32 port)
{
    const struct evtchn *chn = evtchn_from_port(&d->evtchn, port);
    shared_info_t *s = d->shared_info;
    struct vcpu *v;

    if (!chn) {
        return -EINVAL;
    }
    v = d->vcpu[atomic_load(&chn->notify_vcpu)];
    if (twolevel_unmask(s->evtchn_pending, s->evtchn_mask, READ_ONCE(v->info), port)) {
        vcpu_kick(v);
    }
    return 0;
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
