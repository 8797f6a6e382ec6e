/* SPDX-License-Identifier: MIT */
/*
 * ring.c - what a shared ring needs around it: the two ends meet, notify each other, and part. The
 * messages and their order are the caller's. No state of its own, but for what a link holds.
 */
#include "ring.h"

#define LOOK_EVERY (10 * MS)

/* ---- meeting in the store ---- */

static long put_number(const char *name, const char *key, unsigned long value)
{
    char path[64], text[24];

    fmt_snprintf(path, sizeof(path), "data/%s/%s", name, key);
    fmt_snprintf(text, sizeof(text), "%lu", value);
    return xs_write(path, text);
}

/* The folder first: what is made in it has its permissions. */
static long publish(const struct ring_link *link, const char *name)
{
    char path[64];
    long rc;

    fmt_snprintf(path, sizeof(path), "data/%s", name);
    rc = xs_write(path, "");
    rc = rc ? rc : xs_let_read(path, link->peer);
    rc = rc ? rc : put_number(name, "ring-ref", link->ref);
    return rc ? rc : put_number(name, "event-channel", link->port);
}

static bool get_number(domid_t domid, const char *name, const char *key, uint32_t *value)
{
    char path[96], text[24];
    uint64_t number;

    fmt_snprintf(path, sizeof(path), "/local/domain/%u/data/%s/%s", domid, name, key);
    if (xs_read(path, text, sizeof(text)) <= 0 || !uint_parse(text, &number)) {
        return false;
    }
    *value = (uint32_t)number;
    return true;
}

/* What the front wrote last is looked for first. */
static bool look_up(struct ring_place *place, domid_t front)
{
    return !xs_present() || (get_number(front, place->name, "event-channel", &place->port) &&
                             get_number(front, place->name, "ring-ref", &place->ref));
}

/* ---- the front ---- */

/* The port of that number, if it is free; those below it that were free are taken as well. */
static long offer_port(domid_t peer, evtchn_port_t wanted)
{
    long port;

    do {
        port = event_alloc_unbound(peer);
    } while (port > 0 && port < (long)wanted);
    return port < 0 || !wanted || port == (long)wanted ? port : -XEN_EBUSY;
}

static long offer_ref(struct ring_link *link, grant_ref_t wanted)
{
    long ref = xs_present() ? grant_take() : grant_take_this(wanted) ? (long)wanted : -XEN_EBUSY;

    if (ref >= 0) {
        link->ref = (grant_ref_t)ref;
        grant_access(link->ref, link->peer, virt_to_mfn(link->page), 0);
    }
    return ref < 0 ? ref : 0;
}

long ring_grant(struct ring_link *link, domid_t peer, void *page)
{
    long rc = grant_page(peer, virt_to_mfn(page), 0);

    *link = (struct ring_link){ .peer = peer, .page = page };
    if (rc < 0) {
        return rc;
    }
    link->ref = (grant_ref_t)rc;
    rc = event_alloc_unbound(peer);
    if (rc < 0) {
        grant_end(link->ref);
        return rc;
    }
    link->port = (evtchn_port_t)rc;
    return 0;
}

/* The port last: who can bind to it finds the page granted. */
long ring_offer(struct ring_link *link, const struct ring_place *place, domid_t peer, void *page)
{
    long rc;

    *link = (struct ring_link){ .peer = peer, .page = page };
    rc = offer_ref(link, place->ref);
    if (rc) {
        return rc;
    }
    rc = offer_port(peer, xs_present() ? 0 : place->port);
    if (rc < 0) {
        return rc;
    }
    link->port = (evtchn_port_t)rc;
    event_mask(link->port);
    return xs_present() ? publish(link, place->name) : 0;
}

bool ring_withdraw(struct ring_link *link, uint64_t deadline)
{
    while (!grant_end(link->ref)) {
        if (clock_now() >= deadline) {
            return false;
        }
        clock_sleep(MS);
    }
    event_close(link->port);
    return true;
}

/* ---- the back ---- */

long ring_attach(struct ring_link *link, domid_t peer, grant_ref_t ref, evtchn_port_t port,
                 void *window)
{
    long rc = event_bind_interdomain(peer, port);

    *link = (struct ring_link){ .peer = peer, .ref = ref, .page = window };
    if (rc < 0) {
        return rc;
    }
    link->port = (evtchn_port_t)rc;
    rc = grant_map(peer, ref, window, 0, &link->handle);
    if (rc) {
        event_close(link->port);
    }
    return rc;
}

/* Binding makes our own end pending: the first ring_wait() returns at once, and the ring is looked
 * at, which may hold requests already. */
long ring_join(struct ring_link *link, const struct ring_place *place, domid_t peer, void *window,
               uint64_t deadline)
{
    struct ring_place at = *place;
    long rc;

    *link = (struct ring_link){ .peer = peer, .page = window };
    while (!look_up(&at, peer) || (rc = event_bind_interdomain(peer, at.port)) < 0) {
        if (clock_now() >= deadline) {
            return -XEN_ETIMEDOUT;
        }
        clock_sleep(LOOK_EVERY);
    }
    link->port = (evtchn_port_t)rc;
    link->ref = at.ref;
    event_mask(link->port);
    rc = grant_map(peer, at.ref, window, 0, &link->handle);
    if (rc) {
        event_close(link->port);
    }
    return rc;
}

long ring_leave(struct ring_link *link)
{
    long rc = grant_unmap(link->page, link->handle);

    event_close(link->port);
    return rc ? rc : grant_put_back(link->page);
}

/* ---- both ---- */

bool ring_wait(const struct ring_link *link, uint64_t deadline)
{
    evtchn_port_t port = link->port;
    struct sched_poll poll = { .nr_ports = 1, .timeout = deadline };

    set_xen_guest_handle(poll.ports, &port);
    while (!event_pending(port)) {
        if (clock_now() >= deadline) {
            return false;
        }
        sched_op(SCHEDOP_poll, &poll);
        guest_serve();
    }
    event_clear(port);
    return true;
}

bool ring_joined(const struct ring_link *link)
{
    struct evtchn_status status = { .dom = DOMID_SELF, .port = link->port };

    return event_op(EVTCHNOP_status, &status) == 0 && status.status == EVTCHNSTAT_interdomain;
}
