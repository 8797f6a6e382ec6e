/* SPDX-License-Identifier: MIT */
/*
 * Event channels. evtchn/port.c is the state machine of a domain's ports, evtchn/twolevel.c and
 * evtchn/fifo.c are the two delivery protocols; all pure. evtchn/deliver.c joins them to domains
 * and vcpus (send, unmask, poll), evtchn/virq.c raises VIRQs, evtchn/look.c tells of ports,
 * kernel/ops/evtchn_op.c is the hypercall and the life cycle, kernel/ops/evtchn_fifo.c the change
 * of protocol.
 *
 * Locks, outermost first:
 *
 * - evtchn_domain.lock (RANK_EVTCHN) is held for every change of a port's state and for VIRQs; both
 *   domains' in address order (spin_lock_two) where a channel between two domains is made or
 *   broken.
 * - evtchn.lock, one byte a port, below RANK_EVTCHN and above RANK_RUNQUEUE: held by a sender on
 *   the port it sends through, and by whoever changes that port's state on top of the domain's
 *   lock. A channel's two ends are locked together, in address order.
 * - fifo_queue.lock, a byte as well, below evtchn.lock.
 *
 * evtchn_domain.fifo comes when the lock is held, and goes when it is held and no port is in use.
 * So it can be used under that lock, or with a port of this domain locked that is in use, or with
 * the other end of one locked.
 */
#pragma once

#include <tarn/arch.h>
#include <tarn/fifo.h>
#include <tarn/spinlock.h>
#include <xen/event_channel.h>
#include <xen/xen.h>

/* Port 0 is never given out. */
#define EVTCHN_2L_PORTS 4096u   /* two-level, for 64-bit guests: 64 words of 64 bits */
#define EVTCHN_PORTS FIFO_PORTS /* FIFO */

struct domain;
struct tarn_port;
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

/* What became of an event, as its send found out: TWOLEVEL_* or FIFO_*. */
enum { EVTCHN_COALESCED = 0, EVTCHN_MASKED = 1, EVTCHN_DELIVERED = 3, EVTCHN_FATES };

/* A cache line: ports that are next to each other have nothing to do with each other. */
struct evtchn {
    u8 lock;         /* one-byte spinlock: sender against closer */
    u8 state;        /* enum evtchn_state; written with the lock, atomic */
    u16 notify_vcpu; /* atomic: senders at the other end read it under no lock of this port */
    u32 remote_port; /* INTERDOMAIN */
    union {
        struct domain *remote; /* INTERDOMAIN; a reference is held */
        u64 remote_domid;      /* UNBOUND: who may bind */
        u64 virq;              /* VIRQ */
    } u;
    /*
     * How many events of each fate came to the port whose sender this is: the other end of a
     * channel, else this one. So it is the sender, who has this line and its lock, that counts.
     */
    u64 count[EVTCHN_FATES];
    struct fifo_port fifo;
} __aligned(64);

#define EVTCHN_PER_BUCKET (PAGE_SIZE / sizeof(struct evtchn))
#define EVTCHN_BUCKETS (EVTCHN_PORTS / EVTCHN_PER_BUCKET)
#define EVTCHN_SMALL_BUCKETS (EVTCHN_2L_PORTS / EVTCHN_PER_BUCKET)

_Static_assert(EVTCHN_PER_BUCKET == 64,
               "finding a port is a shift and a mask; a word of free bits");
_Static_assert(EVTCHN_BUCKETS <= 64 * 64, "the free map has two levels of summary");

struct evtchn_bucket {
    struct evtchn *port; /* stays until the domain dies */
    u64 free;            /* which of them are free */
};

struct evtchn_domain {
    struct spinlock lock;
    u32 nr_ports;                 /* ports that exist: port < nr_ports; grows a bucket at a time */
    u32 nr_made;                  /* those that have memory: more, after FIFO was given up */
    u32 nr_used;                  /* in use: neither free nor reserved */
    u32 max_port;                 /* limit, EVTCHN_PORTS - 1 at most */
    u32 nr_pollers;               /* atomic: vcpus in SCHEDOP_poll */
    bool dead;                    /* being destroyed: no new ports */
    bool resetting;               /* atomic: one EVTCHNOP_reset at a time */
    struct evtchn_fifo *fifo;     /* atomic; NULL: two-level */
    struct evtchn_bucket *bucket; /* atomic; small[], until there are more than that */
    u64 free_groups;              /* which words of free_buckets[] are not 0 */
    u64 free_buckets[EVTCHN_BUCKETS / 64]; /* which buckets have a free port */
    struct evtchn_bucket small[EVTCHN_SMALL_BUCKETS];
};

/* Port `port`, known to exist. */
static inline struct evtchn *evtchn_at(const struct evtchn_domain *e, u32 port)
{
    return &atomic_load(&e->bucket)[port / EVTCHN_PER_BUCKET].port[port % EVTCHN_PER_BUCKET];
}

static inline struct evtchn *evtchn_from_port(const struct evtchn_domain *e, u32 port)
{
    return likely(port < atomic_load(&e->nr_ports)) ? evtchn_at(e, port) : NULL;
}

static inline bool evtchn_trylock(struct evtchn *chn)
{
    return byte_trylock(&chn->lock);
}

static inline void evtchn_lock(struct evtchn *chn)
{
    byte_lock(&chn->lock);
}

static inline void evtchn_unlock(struct evtchn *chn)
{
    byte_unlock(&chn->lock);
}

/* kernel/ops/evtchn_fifo.c, for the hypercall. No lock held. Return 0 or -errno: -EINVAL not a page
 * of the guest's, or the vcpu has a control block. */
int evtchn_fifo_control(struct domain *d, u32 vcpu, u64 mfn, u32 offset);
int evtchn_fifo_expand(struct domain *d, u64 mfn);
/* Back to two-level; -EAGAIN: ports are in use. */
int evtchn_fifo_leave(struct domain *d);

/* The hypercall: cmd is EVTCHNOP_*, arg a guest pointer to its structure. Returns 0 or -errno. */
long do_event_channel_op(u64 cmd, u64 arg);

/*
 * evtchn/deliver.c. In all of these d is current's domain, or one whose evtchn lock is held, or the
 * far end of a channel whose near port is locked: that is what keeps the table of ports there.
 */
int evtchn_send(struct domain *d, u32 port); /* through `port` of d as EVTCHNOP_send does */
/* Make a port of d pending towards its vcpu, kick that, and wake who polls the port. `sender` is
 * locked: the other end of a channel; or it is the port itself, and d's evtchn lock is held. */
void evtchn_set_pending(struct domain *d, struct evtchn *sender, u32 port);
/* An event that had come before FIFO had a word for it; d's evtchn lock is held. */
void evtchn_set_waiting(struct domain *d, u32 port);
/* The PENDING bit, for SCHEDOP_poll; the port exists. */
bool evtchn_is_pending(const struct domain *d, u32 port);
int evtchn_unmask(struct domain *d, u32 port);
/* A port of d is closed: what is pending is forgotten. d's evtchn lock is held. */
void evtchn_forget(struct domain *d, u32 port);

/* The port that sends to this one, and counts its events; d's evtchn lock is held. */
struct evtchn *evtchn_sender(struct evtchn *chn);

/* evtchn/look.c. The first port of d in use from p->port on, into *p; false: there is none. Takes
 * d's evtchn lock. */
bool evtchn_look(struct domain *d, struct tarn_port *p);

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
 * or is in the wrong state. A new port is the lowest free one; under FIFO not one that is still in
 * a queue, unless there are very many of these.
 */
void evtchn_ports_init(struct evtchn_domain *e, u32 max_port);
/* A further port needs a further bucket, and may have it. */
bool evtchn_ports_full(const struct evtchn_domain *e);
/* ... for which there is no room in the table of buckets: it goes on in a bigger one. */
bool evtchn_ports_need_table(const struct evtchn_domain *e);
void evtchn_ports_set_table(struct evtchn_domain *e, struct evtchn_bucket zeroed[EVTCHN_BUCKETS]);
void evtchn_ports_add_bucket(struct evtchn_domain *e, struct evtchn *zeroed_page);
/* The protocol changes: which ports are there. NULL wants all ports to be free. */
void evtchn_ports_set_fifo(struct evtchn_domain *e, struct evtchn_fifo *fifo);
/* The first port in use from `from` on, EVTCHN_PORTS: none. */
u32 evtchn_port_next(const struct evtchn_domain *e, u32 from);
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
int evtchn_port_set_priority(struct evtchn_domain *e, u32 port, u32 priority);
/* Close a port that has no other end. The caller forgets its event, of this as of any closed port.
 */
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

/* All return whether the vcpu must be kicked. info NULL: it has no vcpu_info yet, registering one
 * looks anew. */
static inline bool evtchn_upcall(struct vcpu_info *info)
{
    return info && (atomic_fetch_or(&info->evtchn_upcall_pending, (u8)1) & 1) == 0;
}

bool twolevel_raise(struct vcpu_info *info, u32 port);

/* EVTCHNOP_unmask. True: an event waits, and must be raised now, at the vcpu that the port notifies
 * now: a guest that moves the port asks for an unmask behind that, which finds nothing to do if
 * ours came before. */
bool twolevel_unmask(const u64 *pending, u64 *mask, u32 port);
