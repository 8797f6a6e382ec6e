/* SPDX-License-Identifier: MIT */
/*
 * ring.h - a page of requests and responses that a front and a back end share, as split drivers
 * have it. The public header <xen/io/ring.h> has the types and macros of the ring proper
 * (DEFINE_RING_TYPES, RING_PUSH_REQUESTS_AND_CHECK_NOTIFY, ...); here is what they need around
 * them, whatever the messages are: how the two ends find each other, notify, wait and part.
 *
 * The front has initialised the ring in its page before ring_offer(). Then it may push requests:
 * the back finds them when it has joined. One vcpu has a link at a time.
 */
#pragma once

#include "guest.h"

/* x86 keeps the order of stores, and that of loads; not of a store and a later load. */
#define xen_mb() __atomic_thread_fence(__ATOMIC_SEQ_CST)
#define xen_wmb() __atomic_thread_fence(__ATOMIC_RELEASE)
#define xen_rmb() __atomic_thread_fence(__ATOMIC_ACQUIRE)
#include <xen/io/ring.h>
/* Its macros mix signs where they are used. */
#pragma GCC diagnostic ignored "-Wsign-conversion"

/*
 * Where the two ends meet. Where a control domain has a store: under data/NAME in the front's
 * folder, as ring-ref and event-channel. Else both must be told the same numbers: the first
 * reference and port that are free in the front's domain, by convention.
 */
struct ring_place {
    const char *name;
    grant_ref_t ref;
    evtchn_port_t port;
};

struct ring_link {
    domid_t peer;
    evtchn_port_t port; /* ours; masked, since ring_wait() looks at it */
    grant_ref_t ref;    /* of the ring's page, in the front's table */
    grant_handle_t handle;
    void *page;
};

/* The front: grants its page and offers a port to the peer. 0 or -errno. */
long ring_offer(struct ring_link *link, const struct ring_place *place, domid_t peer, void *page);
/* The back: waits for the offer, maps the ring's page over a page of its own (`window`) and binds
 * to the port. 0, or less: -XEN_ETIMEDOUT when there was no offer, or a GNTST_ status. */
long ring_join(struct ring_link *link, const struct ring_place *place, domid_t peer, void *window,
               uint64_t deadline);

/* The same for those who tell each other reference and port in another way, as xenbus has it. At
 * once or not at all; the port is not masked, so that it may have a handler. */
long ring_grant(struct ring_link *link, domid_t peer, void *page);
long ring_attach(struct ring_link *link, domid_t peer, grant_ref_t ref, evtchn_port_t port,
                 void *window);

static inline void ring_notify(const struct ring_link *link)
{
    event_send(link->port);
}
/* Sleeps until the peer's next notification, and takes it; false: the deadline came before. The
 * control domain's wishes are served meanwhile. */
bool ring_wait(const struct ring_link *link, uint64_t deadline);
/* Whether both ends are bound: the back has joined, and neither has left or died. */
bool ring_joined(const struct ring_link *link);

/* The back: unmaps the page and closes its port. */
long ring_leave(struct ring_link *link);
/* The front: waits until the back has left, ends the grant and closes its port. False: at the
 * deadline the page was still mapped; it stays granted. */
bool ring_withdraw(struct ring_link *link, uint64_t deadline);
