/* SPDX-License-Identifier: MIT */
/*
 * storetx.c - transactions of the store, see storewire.h. One works on a tree of its own, which at
 * first is the store's, and notes what it saw and changed. At its end, if nobody else changed any
 * of that, its changes are made once more on the store's tree of the day, all or none.
 */
#include "storewire.h"

#include <tarn/errno.h>
#include <tarn/lib.h>

bool store_fits(const struct store_node *root, const char *path, uint32_t nodes, uint32_t bytes)
{
    const struct store_node *folder = store_folder(root, path);

    return folder->nodes + nodes <= STORE_NODES_MAX && folder->bytes + bytes <= STORE_BYTES_MAX;
}

struct store_tx *store_tx_find(struct store_conn *conn, uint32_t id)
{
    struct store_tx *tx = conn->txs;

    while (tx && tx->id != id) {
        tx = tx->next;
    }
    return tx;
}

long store_tx_start(struct store_conn *conn, uint32_t *id)
{
    struct store *store = conn->store;
    struct store_tx *tx;

    if (conn->nr_txs >= STORE_TXS_MAX) {
        return -ENOSPC;
    }
    tx = allocate(sizeof(*tx));
    if (!tx) {
        return -ENOMEM;
    }
    do {
        conn->last_tx++;
    } while (!conn->last_tx || store_tx_find(conn, conn->last_tx));
    *tx = (struct store_tx){
        .next = conn->txs,
        .id = conn->last_tx,
        .base = store_node_get(store->tree.root),
        .tree = { store_node_get(store->tree.root), &store->clock },
        .changes_end = &tx->changes,
    };
    conn->txs = tx;
    conn->nr_txs++;
    *id = tx->id;
    return 0;
}

long store_tx_note(struct store_tx *tx, const char *path, unsigned int what)
{
    size_t length = strlen(path) + 1;
    struct store_change *change = tx->changes;

    while (change && strcmp(change->path, path)) {
        change = change->next;
    }
    if (change) {
        change->what |= what;
        return 0;
    }
    if (tx->nr_changes >= STORE_CHANGES_MAX || tx->change_bytes + length > STORE_CHANGE_BYTES_MAX) {
        return -ENOSPC;
    }
    change = allocate(sizeof(*change) + length);
    if (!change) {
        return -ENOMEM;
    }
    change->next = NULL;
    change->what = what;
    memcpy(change->path, path, length);
    *tx->changes_end = change;
    tx->changes_end = &change->next;
    tx->nr_changes++;
    tx->change_bytes += length;
    return 0;
}

static bool conflicts(const struct store_tx *tx, const struct store_node *live)
{
    if (live == tx->base) {
        return false;
    }
    for (const struct store_change *change = tx->changes; change; change = change->next) {
        const struct store_node *then = store_find(tx->base, change->path);
        const struct store_node *now = store_find(live, change->path);

        if (then != now &&
            (!then || !now || (change->what & STORE_CUT) || then->generation != now->generation)) {
            return true;
        }
    }
    return false;
}

static long put_again(struct store_tree *tree, const struct store_tx *tx, const char *path,
                      unsigned int domid)
{
    const struct store_node *node = store_find(tx->tree.root, path);
    long rc;

    if (!node) {
        return 0;
    }
    rc = store_put(tree, path, node->value ? node->value : "", node->size, domid);
    if (!rc) {
        rc = store_permit(tree, path, &node->perms);
    }
    if (!rc && domid && !store_fits(tree->root, path, 0, 0)) {
        rc = -ENOSPC;
    }
    return rc;
}

static long replay(struct store_tree *tree, const struct store_tx *tx, unsigned int domid)
{
    long rc = 0;

    for (const struct store_change *c = tx->changes; c && !rc; c = c->next) {
        if (c->what & STORE_CUT) {
            rc = store_cut(tree, c->path);
            rc = rc == -ENOENT ? 0 : rc;
        }
    }
    for (const struct store_change *c = tx->changes; c && !rc; c = c->next) {
        if (c->what & STORE_PUT) {
            rc = put_again(tree, tx, c->path, domid);
        }
    }
    return rc;
}

static void fire_all(struct store *store, const struct store_tx *tx,
                     const struct store_node *before)
{
    for (const struct store_change *c = tx->changes; c; c = c->next) {
        const struct store_node *then = store_find(before, c->path);
        const struct store_node *now = store_find(store->tree.root, c->path);

        if (then && (c->what & STORE_CUT)) {
            store_fire_cut(store, c->path, then);
        }
        if (now && (c->what & STORE_PUT)) {
            store_fire(store, c->path, then ? &then->perms : &now->perms, &now->perms);
        }
    }
}

static long commit(struct store_conn *conn, const struct store_tx *tx)
{
    struct store *store = conn->store;
    struct store_node *before = store->tree.root;
    struct store_tree tree = { before, &store->clock };
    long rc;

    if (conflicts(tx, before)) {
        return -EAGAIN;
    }
    store_node_get(before); /* two now: for the new tree, and for us */
    rc = replay(&tree, tx, conn->domid);
    if (rc) {
        store_node_put(tree.root);
        return rc;
    }
    store->tree.root = tree.root;
    fire_all(store, tx, before);
    store_node_put(before);
    return 0;
}

static void tx_free(struct store_conn *conn, struct store_tx **at)
{
    struct store_tx *tx = *at;

    *at = tx->next;
    conn->nr_txs--;
    while (tx->changes) {
        struct store_change *change = tx->changes;

        tx->changes = change->next;
        release(change);
    }
    store_node_put(tx->base);
    store_node_put(tx->tree.root);
    release(tx);
}

long store_tx_end(struct store_conn *conn, struct store_tx *tx, bool keep)
{
    struct store_tx **at = &conn->txs;
    long rc = keep ? commit(conn, tx) : 0;

    while (*at != tx) {
        at = &(*at)->next;
    }
    tx_free(conn, at);
    return rc;
}

void store_txs_clear(struct store_conn *conn)
{
    while (conn->txs) {
        tx_free(conn, &conn->txs);
    }
}
