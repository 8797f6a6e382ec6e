/* SPDX-License-Identifier: MIT */
/*
 * The ports of a domain and their states. Pure: domains are opaque pointers, memory for the table
 * comes from the caller. Does not own delivery, references to domains, or the VIRQ-to-port map.
 * Locks: the caller holds the domains' evtchn locks; every change that a sender could see is made
 * with the port (both ports of a channel) locked as well. The lowest free port is found through a
 * bitmap of three levels, so that no guest makes us search.
 */
#include <tarn/errno.h>
#include <tarn/evtchn.h>

#include <tarn/lib.h>

#define LINKED_MAX 64u /* closed ports that are skipped because they are in a queue */

void evtchn_ports_init(struct evtchn_domain *e, u32 max_port)
{
    memset(e, 0, sizeof(*e));
    spin_lock_init(&e->lock, RANK_EVTCHN);
    e->bucket = e->small;
    e->max_port = MIN(max_port, EVTCHN_PORTS - 1);
}

static void free_map_set(struct evtchn_domain *e, u32 port)
{
    u32 bucket = port / EVTCHN_PER_BUCKET;

    e->bucket[bucket].free |= 1UL << (port % EVTCHN_PER_BUCKET);
    e->free_buckets[bucket / 64] |= 1UL << (bucket % 64);
    e->free_groups |= 1UL << (bucket / 64);
}

static void free_map_clear(struct evtchn_domain *e, u32 port)
{
    u32 bucket = port / EVTCHN_PER_BUCKET;

    e->bucket[bucket].free &= ~(1UL << (port % EVTCHN_PER_BUCKET));
    if (e->bucket[bucket].free == 0) {
        e->free_buckets[bucket / 64] &= ~(1UL << (bucket % 64));
    }
    if (e->free_buckets[bucket / 64] == 0) {
        e->free_groups &= ~(1UL << (bucket / 64));
    }
}

/* The lowest bit that is set from bit `from` on; 64: none. */
static u32 bit_from(u64 word, u32 from)
{
    word = from < 64 ? word & (~0UL << from) : 0;
    return word ? (u32)__builtin_ctzl(word) : 64;
}

/* The lowest free port from `from` on, of those that exist; EVTCHN_PORTS: none. */
static u32 free_from(const struct evtchn_domain *e, u32 from)
{
    u32 bucket = from / EVTCHN_PER_BUCKET, group = bucket / 64, bit;

    if (from >= e->nr_ports) {
        return EVTCHN_PORTS;
    }
    bit = bit_from(e->bucket[bucket].free, from % EVTCHN_PER_BUCKET);
    if (bit < 64) {
        return bucket * (u32)EVTCHN_PER_BUCKET + bit;
    }
    bit = bit_from(e->free_buckets[group], bucket % 64 + 1);
    if (bit == 64) {
        group = bit_from(e->free_groups, group + 1);
        if (group == 64) {
            return EVTCHN_PORTS;
        }
        bit = (u32)__builtin_ctzl(e->free_buckets[group]);
    }
    bucket = group * 64 + bit;
    return bucket * (u32)EVTCHN_PER_BUCKET + (u32)__builtin_ctzl(e->bucket[bucket].free);
}

/* A port that was closed while it is in a queue comes with the place that it has there, so it is
 * the last choice. */
static u32 choose(const struct evtchn_domain *e)
{
    u32 lowest = free_from(e, 0), port = lowest;

    if (likely(!e->fifo)) {
        return port;
    }
    for (u32 tries = 0; port < EVTCHN_PORTS && fifo_is_linked(e->fifo, port); tries++) {
        if (tries == LINKED_MAX) {
            return lowest;
        }
        port = free_from(e, port + 1);
    }
    return port;
}

static u32 last_port(const struct evtchn_domain *e)
{
    return MIN(e->max_port, (e->fifo ? EVTCHN_PORTS : EVTCHN_2L_PORTS) - 1);
}

bool evtchn_ports_full(const struct evtchn_domain *e)
{
    if (likely(e->free_groups) && likely(!e->fifo)) {
        return false;
    }
    return !e->dead && e->nr_ports <= last_port(e) && choose(e) == EVTCHN_PORTS;
}

bool evtchn_ports_need_table(const struct evtchn_domain *e)
{
    return e->nr_made == EVTCHN_2L_PORTS && e->bucket == e->small;
}

void evtchn_ports_set_table(struct evtchn_domain *e, struct evtchn_bucket zeroed[EVTCHN_BUCKETS])
{
    memcpy(zeroed, e->small, sizeof(e->small));
    atomic_store(&e->bucket, zeroed); /* who has the old one finds all that it had there */
}

void evtchn_ports_add_bucket(struct evtchn_domain *e, struct evtchn *zeroed_page)
{
    u32 first = e->nr_made;

    ASSERT(first < EVTCHN_PORTS && !evtchn_ports_need_table(e));
    e->bucket[first / EVTCHN_PER_BUCKET].port = zeroed_page;
    for (u32 port = MAX(first, 1u); port < first + EVTCHN_PER_BUCKET; port++) {
        free_map_set(e, port);
    }
    if (first == 0) {
        atomic_store(&zeroed_page[0].state, (u8)ECS_RESERVED);
    }
    e->nr_made = first + (u32)EVTCHN_PER_BUCKET;
    /* Senders look without the lock: the bucket before its ports. */
    atomic_store(&e->nr_ports, e->nr_made);
}

void evtchn_ports_set_fifo(struct evtchn_domain *e, struct evtchn_fifo *fifo)
{
    ASSERT(fifo || e->nr_used == 0);
    if (fifo) {
        atomic_store(&e->fifo, fifo);
        atomic_store(&e->nr_ports, e->nr_made);
    } else {
        atomic_store(&e->nr_ports, MIN(e->nr_made, EVTCHN_2L_PORTS));
        atomic_store(&e->fifo, NULL);
    }
}

u32 evtchn_port_next(const struct evtchn_domain *e, u32 from)
{
    for (u32 port = MAX(from, 1u); port < e->nr_ports; port = ALIGN_UP(port + 1, 64u)) {
        u32 bit = bit_from(~e->bucket[port / EVTCHN_PER_BUCKET].free, port % EVTCHN_PER_BUCKET);

        if (bit < 64) {
            return ALIGN_DOWN(port, 64u) + bit;
        }
    }
    return EVTCHN_PORTS;
}

/* The lowest free port; it is not taken yet. */
static int find_free(const struct evtchn_domain *e, u32 *port)
{
    if (e->dead) {
        return -EINVAL;
    }
    *port = choose(e);
    return *port <= last_port(e) ? 0 : -ENOSPC;
}

/* It is someone's from now on; what it was before is forgotten. */
static struct evtchn *use(struct evtchn_domain *e, u32 port)
{
    struct evtchn *chn = evtchn_at(e, port);

    free_map_clear(e, port);
    e->nr_used++;
    atomic_store(&chn->fifo.priority, (u8)EVTCHN_FIFO_PRIORITY_DEFAULT);
    for (u32 i = 0; i < EVTCHN_FATES; i++) {
        chn->count[i] = 0;
    }
    return chn;
}

/* Take a free port for a state without another end. */
static int take(struct evtchn_domain *e, enum evtchn_state state, u32 vcpu, u64 arg, u32 *port)
{
    int rc = find_free(e, port);
    struct evtchn *chn;

    if (rc) {
        return rc;
    }
    chn = use(e, *port);
    evtchn_lock(chn);
    chn->u.virq = arg;
    atomic_store(&chn->notify_vcpu, (u16)vcpu);
    atomic_store(&chn->state, (u8)state);
    evtchn_unlock(chn);
    return 0;
}

/* Back to the pool; the port is locked. */
static void release(struct evtchn_domain *e, struct evtchn *chn, u32 port)
{
    atomic_store(&chn->state, (u8)ECS_FREE);
    atomic_store(&chn->notify_vcpu, (u16)0);
    chn->u.virq = 0;
    free_map_set(e, port);
    e->nr_used--;
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

/* Who counts the events of `far` changes from it to `near`, or back; what is counted stays. Those
 * of `near` begin, or end. */
static void hand_counters(struct evtchn *from, struct evtchn *to)
{
    for (u32 i = 0; i < EVTCHN_FATES; i++) {
        to->count[i] = from->count[i];
        from->count[i] = 0;
    }
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
    lchn = use(local->e, *local_port);
    lock_ends(lchn, rchn);
    hand_counters(rchn, lchn);
    lchn->u.remote = remote->d;
    lchn->remote_port = remote_port;
    atomic_store(&lchn->state, (u8)ECS_INTERDOMAIN);
    rchn->u.remote = local->d;
    rchn->remote_port = *local_port;
    atomic_store(&rchn->state, (u8)ECS_INTERDOMAIN);
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

int evtchn_port_set_priority(struct evtchn_domain *e, u32 port, u32 priority)
{
    struct evtchn *chn = evtchn_from_port(e, port);

    if (!chn) {
        return -EINVAL;
    }
    if (!e->fifo) {
        return -ENOSYS;
    }
    if (chn->state == ECS_FREE || chn->state == ECS_RESERVED) {
        return -EACCES;
    }
    if (priority > EVTCHN_FIFO_PRIORITY_MIN) {
        return -EINVAL;
    }
    atomic_store(&chn->fifo.priority, (u8)priority); /* of events from now on */
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
    hand_counters(lchn, rchn);
    atomic_store(&rchn->state, (u8)ECS_UNBOUND);
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
