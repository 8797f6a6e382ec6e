/* SPDX-License-Identifier: MIT */
/*
 * Event channels. evtchn/port.c is the state machine of a domain's ports and evtchn/twolevel.c the
 * two-level delivery protocol; both pure. evtchn/deliver.c joins them to domains and vcpus (send,
 * unmask, poll), evtchn/virq.c raises VIRQs, kernel/ops/evtchn_op.c is the hypercall and the life
 * cycle.
 *
 * Locks, outermost first:
 *
 * - evtchn_domain.lock (RANK_EVTCHN) is held for every change of a port's state and for VIRQs; both
 *   domains' in address order (spin_lock_two) where a channel between two domains is made or
 *   broken.
 * - evtchn.lock, one byte a port, below RANK_EVTCHN and above RANK_RUNQUEUE: held by a sender on
 *   the port it sends through, and by whoever changes that port's state on top of the domain's
 *   lock. A channel's two ends are locked together, in address order.
 */
#pragma once

#include <tarn/arch.h>
#include <tarn/spinlock.h>
#include <xen/event_channel.h>
#include <xen/xen.h>

#define EVTCHN_2L_PORTS 4096u /* 64-bit guests: 64 words of 64 bits; port 0 is never given out */

struct domain;
struct vcpu;

enum evtchn_state {
    ECS_FREE,
    ECS_RESERVED,
    ECS_UNBOUND,
    ECS_INTERDOMAIN,
    ECS_PIRQ,
    ECS_VIRQ,
    ECS_IPI
};

struct evtchn {
    u8 lock;         /* one-byte spinlock: sender against closer */
    u8 state;        /* enum evtchn_state */
    u16 notify_vcpu; /* atomic: senders at the other end read it under no lock of this port */
    u32 remote_port; /* INTERDOMAIN */
    union {
        struct domain *remote; /* INTERDOMAIN; a reference is held */
        u64 remote_domid;      /* UNBOUND: who may bind */
        u64 virq;              /* VIRQ */
    } u;
};

#define EVTCHN_PER_BUCKET (PAGE_SIZE / sizeof(struct evtchn))
#define EVTCHN_BUCKETS (EVTCHN_2L_PORTS / EVTCHN_PER_BUCKET)

_Static_assert(EVTCHN_PER_BUCKET == 256, "finding a port is a shift and a mask");
_Static_assert(EVTCHN_2L_PORTS == 64 * 64, "the free map has one word of summary");

struct evtchn_domain {
    struct spinlock lock;
    u32 nr_ports;   /* ports that exist: port < nr_ports; grows a bucket at a time */
    u32 max_port;   /* limit, EVTCHN_2L_PORTS - 1 at most */
    u32 nr_pollers; /* atomic: vcpus in SCHEDOP_poll */
    bool dead;      /* being destroyed: no new ports */
    bool resetting; /* atomic: one EVTCHNOP_reset at a time */
    struct evtchn *bucket[EVTCHN_BUCKETS];
    u64 free_words;                 /* which words of free[] are not 0 */
    u64 free[EVTCHN_2L_PORTS / 64]; /* ports that exist and are free */
};

/* Port `port`, known to exist. */
static inline struct evtchn *evtchn_at(const struct evtchn_domain *e, u32 port)
{
    return &e->bucket[port / EVTCHN_PER_BUCKET][port % EVTCHN_PER_BUCKET];
}

static inline struct evtchn *evtchn_from_port(const struct evtchn_domain *e, u32 port)
{
    return likely(port < atomic_load(&e->nr_ports)) ? evtchn_at(e, port) : NULL;
}

static inline bool evtchn_trylock(struct evtchn *chn)
{
    return atomic_xchg(&chn->lock, (u8)1) == 0;
}

static inline void evtchn_lock(struct evtchn *chn)
{
    while (unlikely(!evtchn_trylock(chn))) {
        do {
            arch_spin_service();
        } while (atomic_load(&chn->lock));
    }
}

static inline void evtchn_unlock(struct evtchn *chn)
{
    atomic_store(&chn->lock, (u8)0);
}

/* The hypercall: cmd is EVTCHNOP_*, arg a guest pointer to its structure. Returns 0 or -errno. */
long do_event_channel_op(u64 cmd, u64 arg);

/*
 * evtchn/deliver.c. In all of these d is current's domain, or one whose evtchn lock is held, or the
 * far end of a channel whose near port is locked: that is what keeps the table of ports there.
 */
int evtchn_send(struct domain *d, u32 port); /* through `port` of d as EVTCHNOP_send does */
/* Make a port of d pending towards its vcpu, kick that, and wake who polls the port. */
void evtchn_set_pending(struct domain *d, struct evtchn *chn, u32 port);
/* The PENDING bit, for SCHEDOP_poll; the port exists. */
bool evtchn_is_pending(const struct domain *d, u32 port);
int evtchn_unmask(struct domain *d, u32 port);

/*
 * SCHEDOP_poll. The poller blocks in this order, so that no event is lost (argued in deliver.c):
 * set VPF_BLOCKED (locked); evtchn_poll_begin; then look whether a polled port is pending, or an
 * upcall deliverable, or v->polling is false again (somebody woke us meanwhile): if so,
 * evtchn_poll_end, clear VPF_BLOCKED and return 0. Otherwise sleep. Whoever unblocks a vcpu for
 * another reason (kick, timeout) calls evtchn_poll_end.
 */
void evtchn_poll_begin(struct vcpu *v, u32 port); /* port: the only one polled, or 0 */
void evtchn_poll_end(struct vcpu *v);             /* idempotent, any context */
void evtchn_wake_pollers(struct domain *d, u32 port);

/* evtchn/virq.c; called with no lock of RANK_EVTCHN or below. Dropped when not bound. */
void vcpu_send_virq(struct vcpu *v, u32 virq);     /* per-vcpu VIRQ */
void domain_send_virq(struct domain *d, u32 virq); /* global VIRQ of one domain */

/* One port of vcpu 0 for the domain, or one for each vcpu. */
static inline bool virq_is_global(u32 virq)
{
    return virq != VIRQ_TIMER && virq != VIRQ_DEBUG && virq != VIRQ_XENOPROF && virq != VIRQ_XENPMU;
}

/*
 * evtchn/port.c, pure. All but init want the locks of the domains they are given; they take the
 * ports' locks. Return 0 or -errno, and change nothing when they fail: -ENOSPC no port is left (or
 * the next bucket is missing, see evtchn_ports_full), -EINVAL dead domain, port that does not exist
 * or is in the wrong state.
 */
void evtchn_ports_init(struct evtchn_domain *e, u32 max_port);
/* A further port needs a further bucket, and may have it. */
bool evtchn_ports_full(const struct evtchn_domain *e);
void evtchn_ports_add_bucket(struct evtchn_domain *e, struct evtchn *zeroed_page);
int evtchn_port_unbound(struct evtchn_domain *e, domid_t remote_domid, u32 *port);
int evtchn_port_virq(struct evtchn_domain *e, u32 virq, u32 vcpu, u32 *port);
int evtchn_port_ipi(struct evtchn_domain *e, u32 vcpu, u32 *port);

/* One end of a channel; `d` is stored, never looked into. */
struct evtchn_end {
    struct evtchn_domain *e;
    struct domain *d;
    domid_t domid;
};

/*
 * Join a new port of `local` to remote_port, which must be unbound for local->domid. On success
 * each port holds the other's d: the caller takes the two references.
 */
int evtchn_port_connect(const struct evtchn_end *local, const struct evtchn_end *remote,
                        u32 remote_port, u32 *local_port);
int evtchn_port_bind_vcpu(struct evtchn_domain *e, u32 port, u32 vcpu);
/* Close a port that has no other end. The caller clears PENDING, of this as of any closed port. */
int evtchn_port_close(struct evtchn_domain *e, u32 port);
/*
 * Close an INTERDOMAIN port; its other end becomes unbound for local->domid. The caller then drops
 * the two references. remote is the end that the port holds.
 */
void evtchn_port_disconnect(const struct evtchn_end *local, u32 port,
                            const struct evtchn_end *remote);
/* Fills in all but u.interdomain.dom, which is for the caller to take from *remote (NULL: not
 * interdomain). */
int evtchn_port_status(const struct evtchn_domain *e, struct evtchn_status *st,
                       struct domain **remote);

/*
 * The two-level protocol, pure; evtchn/twolevel.c tells all about it. An event comes in two steps:
 * twolevel_mark, here because every send does it and mostly nothing more, and if that says
 * TWOLEVEL_RAISE twolevel_raise.
 */
enum {
    TWOLEVEL_EDGE =
        1u, /* PENDING went from 0 to 1: whoever polls the port must wake, masked or not */
    TWOLEVEL_RAISE = 2u, /* and MASK is clear */
};

static inline u32 twolevel_mark(u64 *pending, const u64 *mask, u32 port)
{
    if (test_and_set_bit(port, pending)) {
        return 0;
    }
    return test_bit(port, mask) ? TWOLEVEL_EDGE : TWOLEVEL_EDGE | TWOLEVEL_RAISE;
}

/* Both return whether the vcpu must be kicked. info NULL: it has no vcpu_info yet, registering one
 * looks anew. */
bool twolevel_raise(struct vcpu_info *info, u32 port);
bool twolevel_unmask(const u64 *pending, u64 *mask, struct vcpu_info *info, u32 port);
