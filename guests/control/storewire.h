/* SPDX-License-Identifier: MIT */
/*
 * storewire.h - the store's connections: bytes of requests in, bytes of replies and watch events
 * out, as xs_wire.h of the public interface has it. What a domain may hold is bounded: nodes and
 * bytes in its folder, watches, transactions and what they touched, queued events. No rings here:
 * storewire.c (requests), storewatch.c (watches) and storetx.c (transactions) are pure and run in
 * tests on the host.
 */
#pragma once

#include <stdint.h>

#include <xen/io/xs_wire.h>

#include "storetree.h"

#define STORE_NODES_MAX 1000u
#define STORE_BYTES_MAX 0x40000u
#define STORE_WATCHES_MAX 128u
#define STORE_TXS_MAX 10u
#define STORE_CHANGES_MAX 1024u
#define STORE_CHANGE_BYTES_MAX 0x10000u /* of their paths */
#define STORE_EVENTS_MAX 0x10000u       /* bytes */

struct store_conn;

struct store {
    struct store_tree tree;
    uint64_t clock;
    struct store_conn *conns;
};

struct store_watch {
    struct store_watch *next;
    const char *token; /* behind the path */
    bool relative;     /* events name paths below the domain's folder without it */
    bool lost;         /* an event found no room: one for the path itself is due */
    char path[];       /* absolute, or a special one with '@' */
};

struct store_event {
    struct store_event *next;
    const struct store_watch *watch; /* NULL: it is gone, but part of the event went out */
    size_t size;
    char bytes[];
};

#define STORE_SEEN 1u /* read, or changed */
#define STORE_PUT 2u  /* made, or changed */
#define STORE_CUT 4u  /* removed, maybe made again later */

struct store_change {
    struct store_change *next;
    unsigned int what;
    char path[];
};

struct store_tx {
    struct store_tx *next;
    uint32_t id;
    struct store_node *base;                     /* what it started from */
    struct store_tree tree;                      /* what it sees */
    struct store_change *changes, **changes_end; /* by first touch */
    unsigned int nr_changes;
    size_t change_bytes;
};

struct store_conn {
    struct store *store;
    struct store_conn *next;
    unsigned int domid;
    bool broken; /* a message too long: nothing is taken any more */
    struct store_watch *watches;
    unsigned int nr_watches;
    struct store_event *events, **events_end;
    size_t event_bytes;
    bool lost; /* some watch has */
    struct store_tx *txs;
    unsigned int nr_txs;
    uint32_t last_tx;
    size_t got; /* of the request, head and all */
    struct xsd_sockmsg head;
    char payload[XENSTORE_PAYLOAD_MAX + 1];
    size_t reply_size, reply_sent, event_sent;
    char reply[sizeof(struct xsd_sockmsg) + XENSTORE_PAYLOAD_MAX];
    char prefix[32]; /* "/local/domain/N/" */
    char path[XENSTORE_ABS_PATH_MAX + 64];
};

/* ---- storewire.c ---- */

long store_start(struct store *store);
void store_stop(struct store *store); /* its connections are closed */
/* NULL: no memory. */
struct store_conn *store_connect(struct store *store, unsigned int domid);
void store_disconnect(struct store_conn *conn);
/* Takes bytes up to the end of a request and serves it; how many. None while a reply waits. */
size_t store_take(struct store_conn *conn, const char *bytes, size_t size);
/* Hands out what goes to the domain; how much. */
size_t store_give(struct store_conn *conn, char *bytes, size_t size);
/* Changes by the control domain itself, with the watches they fire. */
long store_change(struct store *store, const char *path, const char *value);
long store_grant(struct store *store, const char *path, const struct store_perms *perms);
long store_drop(struct store *store, const char *path);

/* ---- storewatch.c ---- */

long store_watch_add(struct store_conn *conn, const char *path, const char *token, bool relative);
long store_watch_remove(struct store_conn *conn, const char *path, const char *token);
void store_watches_clear(struct store_conn *conn);
/* The first event of a watch, due once it is there. */
void store_watch_first(struct store_conn *conn);
/* A node changed; those hear of it that may read it under either permissions. */
void store_fire(struct store *store, const char *path, const struct store_perms *before,
                const struct store_perms *now);
/* A node and all below it went away. */
void store_fire_cut(struct store *store, const char *path, const struct store_node *gone);
/* The event to send now; NULL: none. */
struct store_event *store_event_first(struct store_conn *conn);
void store_event_done(struct store_conn *conn);

/* ---- storetx.c ---- */

long store_tx_start(struct store_conn *conn, uint32_t *id);
struct store_tx *store_tx_find(struct store_conn *conn, uint32_t id);
long store_tx_note(struct store_tx *tx, const char *path, unsigned int what);
/* Ends it in any case; -EAGAIN: somebody changed what it had seen. */
long store_tx_end(struct store_conn *conn, struct store_tx *tx, bool commit);
void store_txs_clear(struct store_conn *conn);
/* Whether the path's folder has room for so much more. */
bool store_fits(const struct store_node *root, const char *path, uint32_t nodes, uint32_t bytes);
