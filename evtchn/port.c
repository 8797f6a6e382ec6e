/* SPDX-License-Identifier: MIT */
/*
 * The ports of a domain and their states. Pure: domains are opaque pointers, memory for the table
 * comes from the caller. Does not own delivery, references to domains, or the VIRQ-to-port map.
 * Locks: the caller holds the domains' evtchn locks; every change that a sender could see is made
 * with the port (both ports of a channel) locked as well. The lowest free port is found through a
 * two-level bitmap, so that no guest makes us search.
 */
#include <tarn/errno.h>
#include <tarn/evtchn.h>

#include <tarn/lib.h>

void evtchn_ports_init(struct evtchn_domain *e, u32 max_port)
{
    memset(e, 0, sizeof(*e));
    spin_lock_init(&e->lock, RANK_EVTCHN);
    e->max_port = MIN(max_port, EVTCHN_2L_PORTS - 1);
}

static void free_map_set(struct evtchn_domain *e, u32 port)
{
    e->free[port / 64] |= 1UL << (port % 64);
    e->free_words |= 1UL << (port / 64);
}

static void free_map_clear(struct evtchn_domain *e, u32 port)
{
    e->free[port / 64] &= ~(1UL << (port % 64));
    if (e->free[port / 64] == 0) {
        e->free_words &= ~(1UL << (port / 64));
    }
}

bool evtchn_ports_full(const struct evtchn_domain *e)
{
    return e->free_words == 0 && e->nr_ports <= e->max_port && !e->dead;
}

void evtchn_ports_add_bucket(struct evtchn_domain *e, struct evtchn *zeroed_page)
{
    u32 first = e->nr_ports;

    ASSERT(first < EVTCHN_2L_PORTS);
    for (u32 port = first; port < first + EVTCHN_PER_BUCKET; port++) {
        free_map_set(e, port);
    }
    e->bucket[first / EVTCHN_PER_BUCKET] = zeroed_page;
    if (first == 0) {
        zeroed_page[0].state = ECS_RESERVED;
        free_map_clear(e, 0);
    }
    /* Senders look without the lock: the bucket before its ports. */
    atomic_store(&e->nr_ports, first + (u32)EVTCHN_PER_BUCKET);
}

/* The lowest free port; it is not taken yet. */
static int find_free(const struct evtchn_domain *e, u32 *port)
{
    u32 word;

    if (e->dead) {
        return -EINVAL;
    }
    if (e->free_words == 0) {
        return -ENOSPC;
    }
    word = (u32)__builtin_ctzl(e->free_words);
    *port = word * 64 + (u32)__builtin_ctzl(e->free[word]);
    return *port <= e->max_port ? 0 : -ENOSPC;
}

/* Take a free port for a state without another end. */
static int take(struct evtchn_domain *e, enum evtchn_state state, u32 vcpu, u64 arg, u32 *port)
{
    int rc = find_free(e, port);
    struct evtchn *chn;

    if (rc) {
        return rc;
    }
    free_map_clear(e, *port);
    chn = evtchn_at(e, *port);
    evtchn_lock(chn);
    chn->u.virq = arg;
    atomic_store(&chn->notify_vcpu, (u16)vcpu);
    chn->state = (u8)state;
    evtchn_unlock(chn);
    return 0;
}

/* Back to the pool; the port is locked. */
static void release(struct evtchn_domain *e, struct evtchn *chn, u32 port)
{
    chn->state = ECS_FREE;
    atomic_store(&chn->notify_vcpu, (u16)0);
    chn->u.virq = 0;
    free_map_set(e, port);
}

int evtchn_port_unbound(struct evtchn_domain *e, domid_t remote_domid, u32 *port)
{
    return take(e, ECS_UNBOUND, 0, remote_domid, port);
}

int evtchn_port_virq(struct evtchn_domain *e, u32 virq, u32 vcpu, u32 *port)
{
    return take(e, ECS_VIRQ, vcpu, virq, port);
}

int evtchn_port_ipi(struct evtchn_domain *e, u32 vcpu, u32 *port)
{
    return take(e, ECS_IPI, vcpu, 0, port);
}

/* The two ends of a channel are two ports, even if of one domain. */
static void lock_ends(struct evtchn *a, struct evtchn *b)
{
    ASSERT(a != b);
    evtchn_lock(a < b ? a : b);
    evtchn_lock(a < b ? b : a);
}

static void unlock_ends(struct evtchn *a, struct evtchn *b)
{
    evtchn_unlock(a);
    evtchn_unlock(b);
}

int evtchn_port_connect(const struct evtchn_end *local, const struct evtchn_end *remote,
                        u32 remote_port, u32 *local_port)
{
    struct evtchn *rchn = evtchn_from_port(remote->e, remote_port);
    struct evtchn *lchn;
    int rc = find_free(local->e, local_port);

    if (rc) {
        return rc;
    }
    if (!rchn || rchn->state != ECS_UNBOUND || rchn->u.remote_domid != local->domid) {
        return -EINVAL;
    }
    free_map_clear(local->e, *local_port);
    lchn = evtchn_at(local->e, *local_port);
    lock_ends(lchn, rchn);
    lchn->u.remote = remote->d;
    lchn->remote_port = remote_port;
    lchn->state = ECS_INTERDOMAIN;
    rchn->u.remote = local->d;
    rchn->remote_port = *local_port;
    rchn->state = ECS_INTERDOMAIN;
    unlock_ends(lchn, rchn);
    return 0;
}

int evtchn_port_bind_vcpu(struct evtchn_domain *e, u32 port, u32 vcpu)
{
    struct evtchn *chn = evtchn_from_port(e, port);

    if (!chn) {
        return -EINVAL;
    }
    switch (chn->state) {
    case ECS_VIRQ:
        if (!virq_is_global((u32)chn->u.virq)) {
            return -EINVAL;
        }
        break;
    case ECS_UNBOUND:
    case ECS_INTERDOMAIN:
        break;
    default:
        return -EINVAL;
    }
    atomic_store(&chn->notify_vcpu, (u16)vcpu);
    return 0;
}

int evtchn_port_close(struct evtchn_domain *e, u32 port)
{
    struct evtchn *chn = evtchn_from_port(e, port);

    if (!chn || chn->state == ECS_FREE || chn->state == ECS_RESERVED ||
        chn->state == ECS_INTERDOMAIN) {
        return -EINVAL;
    }
    evtchn_lock(chn);
    release(e, chn, port);
    evtchn_unlock(chn);
    return 0;
}

void evtchn_port_disconnect(const struct evtchn_end *local, u32 port,
                            const struct evtchn_end *remote)
{
    struct evtchn *lchn = evtchn_at(local->e, port);
    struct evtchn *rchn = evtchn_at(remote->e, lchn->remote_port);

    ASSERT(lchn->state == ECS_INTERDOMAIN && lchn->u.remote == remote->d);
    ASSERT(rchn->state == ECS_INTERDOMAIN && rchn->u.remote == local->d &&
           rchn->remote_port == port);
    lock_ends(lchn, rchn);
    rchn->state = ECS_UNBOUND;
    rchn->u.remote_domid = local->domid;
    release(local->e, lchn, port);
    unlock_ends(lchn, rchn);
}

int evtchn_port_status(const struct evtchn_domain *e, struct evtchn_status *st,
                       struct domain **remote)
{
    const struct evtchn *chn = evtchn_from_port(e, st->port);

    *remote = NULL;
    if (!chn) {
        return -EINVAL;
    }
    switch (chn->state) {
    case ECS_UNBOUND:
        st->status = EVTCHNSTAT_unbound;
        st->u.unbound.dom = (domid_t)chn->u.remote_domid;
        break;
    case ECS_INTERDOMAIN:
        st->status = EVTCHNSTAT_interdomain;
        st->u.interdomain.port = chn->remote_port;
        *remote = chn->u.remote;
        break;
    case ECS_VIRQ:
        st->status = EVTCHNSTAT_virq;
        st->u.virq = (u32)chn->u.virq;
        break;
    case ECS_IPI:
        st->status = EVTCHNSTAT_ipi;
        break;
    default:
        st->status = EVTCHNSTAT_closed;
        break;
    }
    st->vcpu = chn->notify_vcpu;
    return 0;
}
