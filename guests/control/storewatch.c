/* SPDX-License-Identifier: MIT */
/*
 * storewatch.c - watches of the store, see storewire.h: who hears of a change, and the queue of
 * events on their way to a domain. A queue that is full, or no memory, loses no watch: one event
 * for the watched path itself follows once there is room, which tells as much as all the others.
 */
#include "storewire.h"

#include <tarn/errno.h>
#include <tarn/lib.h>

static struct store_watch **watch_find(struct store_conn *conn, const char *path, const char *token)
{
    struct store_watch **at = &conn->watches;

    while (*at && (strcmp((*at)->path, path) || strcmp((*at)->token, token))) {
        at = &(*at)->next;
    }
    return at;
}

long store_watch_add(struct store_conn *conn, const char *path, const char *token, bool relative)
{
    struct store_watch *watch;
    size_t length = strlen(path) + 1, token_length = strlen(token) + 1;

    if (*watch_find(conn, path, token)) {
        return -EEXIST;
    }
    if (conn->nr_watches >= STORE_WATCHES_MAX) {
        return -E2BIG;
    }
    watch = allocate(sizeof(*watch) + length + token_length);
    if (!watch) {
        return -ENOMEM;
    }
    memcpy(watch->path, path, length);
    memcpy(watch->path + length, token, token_length);
    watch->token = watch->path + length;
    watch->relative = relative;
    watch->lost = false;
    watch->next = conn->watches;
    conn->watches = watch;
    conn->nr_watches++;
    return 0;
}

/* What is queued for a watch goes with it, but for an event that the domain has seen part of. */
static void events_purge(struct store_conn *conn, const struct store_watch *watch)
{
    struct store_event **at = &conn->events;

    if (*at && conn->event_sent) {
        if ((*at)->watch == watch) {
            (*at)->watch = NULL;
        }
        at = &(*at)->next;
    }
    while (*at) {
        struct store_event *event = *at;

        if (event->watch == watch) {
            conn->event_bytes -= event->size;
            *at = event->next;
            release(event);
        } else {
            at = &event->next;
        }
    }
    conn->events_end = at;
}

static void watch_remove(struct store_conn *conn, struct store_watch **at)
{
    struct store_watch *watch = *at;

    events_purge(conn, watch);
    *at = watch->next;
    conn->nr_watches--;
    release(watch);
}

long store_watch_remove(struct store_conn *conn, const char *path, const char *token)
{
    struct store_watch **at = watch_find(conn, path, token);

    if (!*at) {
        return -ENOENT;
    }
    watch_remove(conn, at);
    return 0;
}

void store_watches_clear(struct store_conn *conn)
{
    while (conn->watches) {
        watch_remove(conn, &conn->watches);
    }
}

static bool event_queue(struct store_conn *conn, const struct store_watch *watch, const char *path)
{
    size_t length = strlen(path) + 1, token_length = strlen(watch->token) + 1;
    struct xsd_sockmsg head = {
        .type = XS_WATCH_EVENT,
        .len = (uint32_t)(length + token_length),
    };
    struct store_event *event;

    if (conn->event_bytes + sizeof(head) + head.len > STORE_EVENTS_MAX) {
        return false;
    }
    event = allocate(sizeof(*event) + sizeof(head) + head.len);
    if (!event) {
        return false;
    }
    event->next = NULL;
    event->watch = watch;
    event->size = sizeof(head) + head.len;
    memcpy(event->bytes, &head, sizeof(head));
    memcpy(event->bytes + sizeof(head), path, length);
    memcpy(event->bytes + sizeof(head) + length, watch->token, token_length);
    *conn->events_end = event;
    conn->events_end = &event->next;
    conn->event_bytes += event->size;
    return true;
}

/* An event whose path leaves no room for the token names what is watched instead. */
static void event_add(struct store_conn *conn, struct store_watch *watch, const char *path)
{
    size_t prefix = strlen(conn->prefix);

    if (strlen(path) + strlen(watch->token) + 2 > XENSTORE_PAYLOAD_MAX) {
        path = watch->path;
    }
    if (watch->relative && strncmp(path, conn->prefix, prefix) == 0) {
        path += prefix;
    }
    if (watch->lost || !event_queue(conn, watch, path)) {
        watch->lost = true;
        conn->lost = true;
    }
}

void store_watch_first(struct store_conn *conn)
{
    event_add(conn, conn->watches, conn->watches->path);
}

void store_fire(struct store *store, const char *path, const struct store_perms *before,
                const struct store_perms *now)
{
    for (struct store_conn *conn = store->conns; conn; conn = conn->next) {
        if (!((store_access(before, conn->domid) | store_access(now, conn->domid)) & STORE_READ)) {
            continue;
        }
        for (struct store_watch *watch = conn->watches; watch; watch = watch->next) {
            if (store_path_below(watch->path, path)) {
                event_add(conn, watch, path);
            }
        }
    }
}

/* A watch below what went away hears of its own path, if that was there and could be read. */
static void fire_below(struct store_conn *conn, const char *path, const struct store_node *gone)
{
    size_t length = strlen(path);

    for (struct store_watch *watch = conn->watches; watch; watch = watch->next) {
        const struct store_node *node;

        if (!store_path_below(path, watch->path) || !watch->path[length]) {
            continue;
        }
        node = store_find(gone, watch->path + length);
        if (node && (store_access(&node->perms, conn->domid) & STORE_READ)) {
            event_add(conn, watch, watch->path);
        }
    }
}

void store_fire_cut(struct store *store, const char *path, const struct store_node *gone)
{
    store_fire(store, path, &gone->perms, &gone->perms);
    for (struct store_conn *conn = store->conns; conn; conn = conn->next) {
        fire_below(conn, path, gone);
    }
}

struct store_event *store_event_first(struct store_conn *conn)
{
    if (!conn->events && conn->lost) {
        conn->lost = false;
        for (struct store_watch *watch = conn->watches; watch; watch = watch->next) {
            if (watch->lost) {
                watch->lost = false;
                event_add(conn, watch, watch->path);
            }
        }
    }
    return conn->events;
}

void store_event_done(struct store_conn *conn)
{
    struct store_event *event = conn->events;

    conn->events = event->next;
    if (!conn->events) {
        conn->events_end = &conn->events;
    }
    conn->event_bytes -= event->size;
    conn->event_sent = 0;
    release(event);
}
