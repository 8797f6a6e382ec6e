/* SPDX-License-Identifier: MIT */
/*
 * xenstore.c - the store that domains see: moves bytes between their rings and the server in
 * storewire.c, lays out a new domain's folder, and offers the store to the control domain's other
 * files. It owns struct store_ring, its page of the domain and its port. A domain that breaks its
 * ring loses its connection, no more. One thread, no locks.
 */
#include "control.h"

#include "storewire.h"

/* So many turns of taking and giving has a ring before the next one's. */
#define TURNS 16u
#define RETRY (100 * MS)

struct store_ring {
    struct xenstore_domain_interface *page;
    evtchn_port_t port;
    XENSTORE_RING_IDX req_cons, rsp_prod; /* the page's are only for show */
    struct store_conn *conn;              /* NULL: the domain broke it */
};

static struct store store;

static void on_event(evtchn_port_t port)
{
    (void)port;
    loop_wake();
}

/* ---- rings ---- */

static void ring_break(struct store_ring *r, uint32_t why)
{
    store_disconnect(r->conn);
    r->conn = NULL;
    r->page->error = why;
    event_send(r->port);
}

/* Takes bytes from the ring up to its wrap or a request's end; how many. */
static size_t ring_take(struct store_ring *r)
{
    XENSTORE_RING_IDX prod = __atomic_load_n(&r->page->req_prod, __ATOMIC_ACQUIRE);
    size_t used = prod - r->req_cons, at = MASK_XENSTORE_IDX(r->req_cons), n;

    if (used > XENSTORE_RING_SIZE) {
        ring_break(r, XENSTORE_ERROR_RINGIDX);
        return 0;
    }
    n = store_take(r->conn, r->page->req + at, MIN(used, XENSTORE_RING_SIZE - at));
    r->req_cons += (XENSTORE_RING_IDX)n;
    __atomic_store_n(&r->page->req_cons, r->req_cons, __ATOMIC_RELEASE);
    if (r->conn->broken) {
        ring_break(r, XENSTORE_ERROR_PROTO);
    }
    return n;
}

static size_t ring_give(struct store_ring *r)
{
    XENSTORE_RING_IDX cons = __atomic_load_n(&r->page->rsp_cons, __ATOMIC_ACQUIRE);
    size_t used = r->rsp_prod - cons, at = MASK_XENSTORE_IDX(r->rsp_prod), n;

    if (used > XENSTORE_RING_SIZE) {
        ring_break(r, XENSTORE_ERROR_RINGIDX);
        return 0;
    }
    n = MIN(XENSTORE_RING_SIZE - used, XENSTORE_RING_SIZE - at);
    n = store_give(r->conn, r->page->rsp + at, n);
    r->rsp_prod += (XENSTORE_RING_IDX)n;
    __atomic_store_n(&r->page->rsp_prod, r->rsp_prod, __ATOMIC_RELEASE);
    return n;
}

static void ring_serve(struct store_ring *r)
{
    size_t moved = 0, now = 1;

    for (unsigned int turn = 0; r->conn && now && turn < TURNS; turn++) {
        now = ring_give(r);
        now += r->conn ? ring_take(r) : 0;
        moved += now;
    }
    if (!r->conn) {
        return;
    }
    if (moved) {
        event_send(r->port);
        loop_wake(); /* it may have more, and others may have events now */
    }
    if (r->conn->lost && !r->conn->events) {
        loop_look_at(clock_now() + RETRY);
    }
}

void store_service(void)
{
    for (struct domain *d = domains_first(); d; d = d->next) {
        if (d->store && d->store->conn) {
            ring_serve(d->store);
        }
    }
}

/* ---- a domain's folder ---- */

static void folder_path(char *path, size_t size, domid_t domid, const char *below)
{
    fmt_snprintf(path, size, "/local/domain/%u%s%s", domid, *below ? "/" : "", below);
}

static long folder_make(domid_t domid, const char *below, const struct store_perms *perms)
{
    char path[64];
    long rc;

    folder_path(path, sizeof(path), domid, below);
    rc = store_change(&store, path, "");
    return rc ? rc : store_grant(&store, path, perms);
}

/* The domain reads its folder, and writes where domains are wont to. */
static long folder_lay_out(domid_t domid)
{
    static const char *const own[] = {
        "data",
        "control/shutdown",
        "control/feature-poweroff",
        "control/feature-reboot",
        "control/feature-suspend",
        "device/suspend/event-channel",
    };
    const struct store_perms reads = { .nr = 2, .of = { { 0, 0 }, { domid, STORE_READ } } };
    const struct store_perms owns = { .nr = 1, .of = { { domid, 0 } } };
    long rc = folder_make(domid, "", &reads);

    for (size_t i = 0; i < ARRAY_SIZE(own) && !rc; i++) {
        rc = folder_make(domid, own[i], &owns);
    }
    return rc;
}

/* Without memory, transactions have to go: a tree that nobody shares shrinks without any. */
static void folder_remove(domid_t domid)
{
    char path[64];

    folder_path(path, sizeof(path), domid, "");
    if (store_drop(&store, path) == -XEN_ENOMEM) {
        for (struct store_conn *c = store.conns; c; c = c->next) {
            store_txs_clear(c);
        }
        store_drop(&store, path);
    }
    loop_wake();
}

/* ---- domains come and go ---- */

static long ring_open(struct store_ring *r, domid_t domid, uint64_t mfn, evtchn_port_t remote_port)
{
    long rc;

    r->conn = store_connect(&store, domid);
    if (!r->conn) {
        return -XEN_ENOMEM;
    }
    r->page = foreign_map(domid, &mfn, 1, true, &rc);
    if (!r->page) {
        return rc;
    }
    r->req_cons = r->page->req_cons;
    r->rsp_prod = r->page->rsp_prod;
    r->page->server_features = XENSTORE_SERVER_FEATURE_ERROR;
    rc = event_bind_interdomain(domid, remote_port);
    if (rc < 0) {
        return rc;
    }
    r->port = (evtchn_port_t)rc;
    event_handle(r->port, 0, on_event);
    return folder_lay_out(domid);
}

static void ring_close(struct store_ring *r)
{
    if (r->conn) {
        store_disconnect(r->conn);
    }
    if (r->port) {
        event_close(r->port);
    }
    foreign_unmap(r->page, 1);
    release(r);
}

long store_open(struct domain *d, uint64_t mfn, evtchn_port_t remote_port)
{
    struct store_ring *r = allocate(sizeof(*r));
    long rc;

    if (!r) {
        return -XEN_ENOMEM;
    }
    rc = ring_open(r, d->domid, mfn, remote_port);
    if (rc) {
        ring_close(r);
        folder_remove(d->domid);
        return rc;
    }
    d->store = r;
    loop_wake();
    return 0;
}

void store_close(struct domain *d)
{
    if (d->store) {
        ring_close(d->store);
        d->store = NULL;
        folder_remove(d->domid);
    }
}

void store_init(void)
{
    if (store_start(&store) || store_change(&store, "/local/domain/0/name", "Domain-0") ||
        store_change(&store, "/local/domain/0/domid", "0") || store_change(&store, "/vm", "") ||
        store_change(&store, "/tool/xenstored", "")) {
        guest_exit("no memory for the store");
    }
}

/* ---- for the control domain's other files ---- */

long store_printf(const char *value, const char *format, ...)
{
    char path[96];
    va_list args;
    long rc;

    va_start(args, format);
    fmt_vsnprintf(path, sizeof(path), format, args);
    va_end(args);
    rc = store_change(&store, path, value);
    loop_wake();
    return rc;
}

long store_offer(const char *path, domid_t owner, domid_t reader)
{
    const struct store_perms perms = { .nr = 2, .of = { { owner, 0 }, { reader, STORE_READ } } };
    long rc = store_change(&store, path, "");

    rc = rc ? rc : store_grant(&store, path, &perms);
    loop_wake();
    return rc;
}

const struct store_node *store_nodes(void)
{
    return store.tree.root;
}

const char *store_read(const char *path)
{
    const struct store_node *node = store_find(store.tree.root, path);

    if (!node) {
        return NULL;
    }
    return node->value ? node->value : "";
}

long store_remove(const char *path)
{
    long rc = store_drop(&store, path);

    loop_wake();
    return rc;
}
