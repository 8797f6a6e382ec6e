/* SPDX-License-Identifier: MIT */
/*
 * storewire.c - requests to the store and their answers, see storewire.h. A request is put together
 * in the connection's own memory before anything of it is believed, and served when it is whole;
 * the next one waits until the domain has taken the answer.
 */
#include "storewire.h"

#include <tarn/errno.h>
#include <tarn/lib.h>
#include <tarn/number.h>

#define HEAD sizeof(struct xsd_sockmsg)

struct request {
    struct store_conn *conn;
    struct store_tx *tx; /* NULL: none */
    struct store_tree *tree;
    const char *text; /* the payload, NUL-terminated beyond its end */
    size_t size;
    bool relative;
};

static const char *error_word(long rc)
{
    static const struct {
        long rc;
        const char *word;
    } words[] = {
        { -EINVAL, "EINVAL" }, { -EACCES, "EACCES" }, { -EEXIST, "EEXIST" }, { -ENOENT, "ENOENT" },
        { -ENOMEM, "ENOMEM" }, { -ENOSPC, "ENOSPC" }, { -ENOSYS, "ENOSYS" }, { -EBUSY, "EBUSY" },
        { -EAGAIN, "EAGAIN" }, { -E2BIG, "E2BIG" },   { -EPERM, "EPERM" },
    };

    for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
        if (words[i].rc == rc) {
            return words[i].word;
        }
    }
    return "EIO";
}

/* ---- answers ---- */

static long answer(struct store_conn *conn, const void *bytes, size_t size)
{
    if (size > sizeof(conn->reply) - conn->reply_size) {
        return -E2BIG;
    }
    if (size) {
        memcpy(conn->reply + conn->reply_size, bytes, size);
    }
    conn->reply_size += size;
    return 0;
}

static long answer_text(struct store_conn *conn, const char *text)
{
    return answer(conn, text, strlen(text) + 1);
}

static long answer_ok(struct store_conn *conn)
{
    return answer_text(conn, "OK");
}

/* ---- arguments ---- */

/* What follows the n-th string; NULL: there are fewer whole ones. */
static const char *argument(const struct request *r, unsigned int n)
{
    const char *p = r->text, *end = r->text + r->size;

    while (n--) {
        size_t length = strnlen(p, (size_t)(end - p));

        if (p + length >= end) {
            return NULL;
        }
        p += length + 1;
    }
    return p;
}

static size_t argument_rest(const struct request *r, const char *p)
{
    return (size_t)(r->text + r->size - p);
}

/* Whether the payload is n whole strings and nothing else. */
static bool arguments_are(const struct request *r, unsigned int n)
{
    const char *end = argument(r, n);

    return end && argument_rest(r, end) == 0;
}

static bool number_parse(const char *text, uint32_t *n)
{
    uint64_t value;

    if (!uint_parse(text, &value) || value > UINT32_MAX) {
        return false;
    }
    *n = (uint32_t)value;
    return true;
}

/* Makes the first argument an absolute path. */
static const char *path_of(struct request *r)
{
    struct store_conn *conn = r->conn;
    size_t length = strlen(r->text), prefix = strlen(conn->prefix);

    if (!argument(r, 1)) {
        return NULL;
    }
    r->relative = r->text[0] != '/';
    if (length == 0 || length > (r->relative ? XENSTORE_REL_PATH_MAX : XENSTORE_ABS_PATH_MAX)) {
        return NULL;
    }
    if (r->relative) {
        memcpy(conn->path, conn->prefix, prefix);
        memcpy(conn->path + prefix, r->text, length + 1);
    } else {
        memcpy(conn->path, r->text, length + 1);
    }
    return store_path_valid(conn->path) ? conn->path : NULL;
}

/* Finds the node, and that it may be used so; -ENOENT only for those who may know that. */
static long node_of(struct request *r, const char *path, unsigned int access,
                    const struct store_node **node)
{
    unsigned int missing;

    if (!path) {
        return -EINVAL;
    }
    *node = store_nearest(r->tree->root, path, &missing);
    if (!(store_access(&(*node)->perms, r->conn->domid) & access)) {
        return -EACCES;
    }
    if (r->tx && access == STORE_READ) {
        long rc = store_tx_note(r->tx, path, STORE_SEEN);

        if (rc) {
            return rc;
        }
    }
    return missing ? -ENOENT : 0;
}

/* ---- reading ---- */

static long serve_read(struct request *r)
{
    const struct store_node *node;
    long rc = node_of(r, path_of(r), STORE_READ, &node);

    return rc ? rc : answer(r->conn, node->value, node->size);
}

static long serve_directory(struct request *r)
{
    const struct store_node *node;
    long rc = node_of(r, path_of(r), STORE_READ, &node);

    for (uint32_t i = 0; !rc && i < node->nr_children; i++) {
        rc = answer_text(r->conn, node->children[i]->name);
    }
    return rc;
}

/* As many whole names as fit from a byte offset into the list; an empty one behind the last. */
static long serve_directory_part(struct request *r)
{
    const struct store_node *node;
    const char *second = argument(r, 1);
    char generation[24];
    uint32_t offset, at = 0, i = 0;
    long rc;

    if (!arguments_are(r, 2) || !number_parse(second, &offset)) {
        return -EINVAL;
    }
    rc = node_of(r, path_of(r), STORE_READ, &node);
    if (rc) {
        return rc;
    }
    fmt_snprintf(generation, sizeof(generation), "%llu", (unsigned long long)node->generation);
    answer_text(r->conn, generation);
    for (; i < node->nr_children && at < offset; i++) {
        at += (uint32_t)strlen(node->children[i]->name) + 1;
    }
    if (at > offset) {
        return -EINVAL;
    }
    while (i < node->nr_children && answer_text(r->conn, node->children[i]->name) == 0) {
        i++;
    }
    if (i == node->nr_children) {
        answer_text(r->conn, ""); /* left out where it does not fit: it comes alone then */
    }
    return 0;
}

static char access_letter(unsigned int access)
{
    return "nrwb"[access & (STORE_READ | STORE_WRITE)];
}

static long serve_get_perms(struct request *r)
{
    const struct store_node *node;
    long rc = node_of(r, path_of(r), STORE_READ, &node);

    for (uint32_t i = 0; !rc && i < node->perms.nr; i++) {
        char text[12];

        fmt_snprintf(text, sizeof(text), "%c%u", access_letter(node->perms.of[i].access),
                     node->perms.of[i].domid);
        rc = answer_text(r->conn, text);
    }
    return rc;
}

/* ---- changing ---- */

/* The change is done: heard of now, or at the transaction's end. */
static long changed(struct request *r, const char *path, const struct store_perms *before,
                    const struct store_node *node)
{
    if (!r->tx) {
        store_fire(r->conn->store, path, before ? before : &node->perms, &node->perms);
    }
    return answer_ok(r->conn);
}

static long note_change(struct request *r, const char *path, unsigned int what)
{
    return r->tx ? store_tx_note(r->tx, path, STORE_SEEN | what) : 0;
}

/* Whether the quota has room for a value of this size at this path; what is missing of the path
 * counts, too. */
static bool fits(struct request *r, const char *path, size_t size)
{
    unsigned int missing;
    const struct store_node *node = store_nearest(r->tree->root, path, &missing);
    size_t more = missing ? size + strlen(path) : size > node->size ? size : 0;

    return r->conn->domid == 0 || (!missing && !more) ||
           store_fits(r->tree->root, path, missing, (uint32_t)more);
}

static long serve_write(struct request *r)
{
    const char *path = path_of(r), *value = argument(r, 1);
    const struct store_node *node;
    long rc = node_of(r, path, STORE_WRITE, &node);
    size_t size;

    if (rc && rc != -ENOENT) {
        return rc;
    }
    size = argument_rest(r, value);
    if (size > STORE_VALUE_MAX || !fits(r, path, size)) {
        return -ENOSPC;
    }
    rc = note_change(r, path, STORE_PUT);
    if (!rc) {
        rc = store_put(r->tree, path, value, size, r->conn->domid);
    }
    return rc ? rc : changed(r, path, NULL, store_find(r->tree->root, path));
}

static long serve_mkdir(struct request *r)
{
    const char *path = path_of(r);
    const struct store_node *node;
    long rc = node_of(r, path, STORE_WRITE, &node);

    if (rc == 0) {
        return answer_ok(r->conn);
    }
    if (rc != -ENOENT) {
        return rc;
    }
    if (!fits(r, path, 0)) {
        return -ENOSPC;
    }
    rc = note_change(r, path, STORE_PUT);
    if (!rc) {
        rc = store_make(r->tree, path, r->conn->domid);
    }
    return rc ? rc : changed(r, path, NULL, store_find(r->tree->root, path));
}

/* What is not there is as good as removed, if its parent is. */
static long serve_rm(struct request *r)
{
    const char *path = path_of(r);
    const struct store_node *node;
    struct store_node *gone;
    long rc = node_of(r, path, STORE_WRITE, &node);
    unsigned int missing;

    if (rc == -ENOENT) {
        store_nearest(r->tree->root, path, &missing);
        return missing == 1 ? answer_ok(r->conn) : rc;
    }
    if (!rc && !path[1]) {
        rc = -EINVAL;
    }
    if (!rc) {
        rc = note_change(r, path, STORE_CUT);
    }
    if (rc) {
        return rc;
    }
    gone = store_node_get((struct store_node *)(uintptr_t)node);
    rc = store_cut(r->tree, path);
    if (!rc && !r->tx) {
        store_fire_cut(r->conn->store, path, gone);
    }
    store_node_put(gone);
    return rc ? rc : answer_ok(r->conn);
}

static bool perm_parse(const char *text, struct store_perms *perms)
{
    static const char letters[] = "nrwb";
    const char *letter = *text ? strchr(letters, *text) : NULL;
    uint32_t domid;

    if (!letter || perms->nr == STORE_PERMS_MAX || !number_parse(text + 1, &domid) ||
        domid > 0x7fff) {
        return false;
    }
    perms->of[perms->nr].domid = (uint16_t)domid;
    perms->of[perms->nr].access = (uint16_t)(letter - letters);
    perms->nr++;
    return true;
}

static bool perms_parse(const struct request *r, struct store_perms *perms)
{
    perms->nr = 0;
    for (unsigned int n = 1;; n++) {
        const char *text = argument(r, n);

        if (!text) {
            return false;
        }
        if (argument_rest(r, text) == 0) {
            return perms->nr > 0;
        }
        if (!perm_parse(text, perms)) {
            return false;
        }
    }
}

/* Only the owner may; and only domain 0 gives a node away. */
static long serve_set_perms(struct request *r)
{
    const char *path = path_of(r);
    const struct store_node *node;
    struct store_perms perms, before;
    long rc;

    if (!path || !perms_parse(r, &perms)) {
        return -EINVAL;
    }
    rc = node_of(r, path, STORE_READ | STORE_WRITE, &node);
    if (rc) {
        return rc;
    }
    before = node->perms;
    if (r->conn->domid && before.of[0].domid != r->conn->domid) {
        return -EACCES;
    }
    if (r->conn->domid && perms.of[0].domid != before.of[0].domid) {
        return -EPERM;
    }
    rc = note_change(r, path, STORE_PUT);
    if (!rc) {
        rc = store_permit(r->tree, path, &perms);
    }
    return rc ? rc : changed(r, path, &before, store_find(r->tree->root, path));
}

/* ---- watches ---- */

/* Or one of the two names that are no paths: domains that come and go. */
static const char *watch_path(struct request *r)
{
    if (!arguments_are(r, 2)) {
        return NULL;
    }
    if (r->text[0] == '@') {
        return strcmp(r->text, "@introduceDomain") == 0 || strcmp(r->text, "@releaseDomain") == 0
                   ? r->text
                   : NULL;
    }
    return path_of(r);
}

static long serve_watch(struct request *r)
{
    const char *path = watch_path(r);
    long rc = -EINVAL;

    if (path) {
        rc = store_watch_add(r->conn, path, argument(r, 1), r->relative);
    }
    if (rc) {
        return rc;
    }
    answer_ok(r->conn);
    store_watch_first(r->conn);
    return 0;
}

static long serve_unwatch(struct request *r)
{
    const char *path = watch_path(r);
    long rc = path ? store_watch_remove(r->conn, path, argument(r, 1)) : -EINVAL;

    return rc ? rc : answer_ok(r->conn);
}

static long serve_reset(struct request *r)
{
    store_watches_clear(r->conn);
    store_txs_clear(r->conn);
    return answer_ok(r->conn);
}

/* ---- transactions ---- */

static long serve_tx_start(struct request *r)
{
    char text[12];
    uint32_t id;
    long rc = r->tx ? -EBUSY : store_tx_start(r->conn, &id);

    if (rc) {
        return rc;
    }
    fmt_snprintf(text, sizeof(text), "%u", id);
    return answer_text(r->conn, text);
}

static long serve_tx_end(struct request *r)
{
    bool keep = strcmp(r->text, "T") == 0;
    long rc;

    if (!r->tx) {
        return -ENOENT;
    }
    if (!arguments_are(r, 1) || (!keep && strcmp(r->text, "F"))) {
        return -EINVAL;
    }
    rc = store_tx_end(r->conn, r->tx, keep);
    return rc ? rc : answer_ok(r->conn);
}

/* ---- domains ---- */

static long serve_domain_path(struct request *r)
{
    char text[32];
    uint32_t domid;

    if (!arguments_are(r, 1) || !number_parse(r->text, &domid) || domid > 0x7fff) {
        return -EINVAL;
    }
    fmt_snprintf(text, sizeof(text), "/local/domain/%u", domid);
    return answer_text(r->conn, text);
}

static long serve_introduced(struct request *r)
{
    uint32_t domid;
    bool there;

    if (!arguments_are(r, 1) || !number_parse(r->text, &domid)) {
        return -EINVAL;
    }
    there = domid == 0;
    for (const struct store_conn *c = r->conn->store->conns; c; c = c->next) {
        there |= c->domid == domid;
    }
    return answer_text(r->conn, there ? "T" : "F");
}

/* Only the control domain does these, and it does them without a ring. */
static long serve_refused(struct request *r)
{
    (void)r;
    return -EACCES;
}

static long serve(struct request *r, uint32_t type)
{
    static long (*const servers[XS_TYPE_COUNT])(struct request *) = {
        [XS_CONTROL] = serve_refused,
        [XS_DIRECTORY] = serve_directory,
        [XS_READ] = serve_read,
        [XS_GET_PERMS] = serve_get_perms,
        [XS_WATCH] = serve_watch,
        [XS_UNWATCH] = serve_unwatch,
        [XS_TRANSACTION_START] = serve_tx_start,
        [XS_TRANSACTION_END] = serve_tx_end,
        [XS_INTRODUCE] = serve_refused,
        [XS_RELEASE] = serve_refused,
        [XS_GET_DOMAIN_PATH] = serve_domain_path,
        [XS_WRITE] = serve_write,
        [XS_MKDIR] = serve_mkdir,
        [XS_RM] = serve_rm,
        [XS_SET_PERMS] = serve_set_perms,
        [XS_IS_DOMAIN_INTRODUCED] = serve_introduced,
        [XS_RESUME] = serve_refused,
        [XS_SET_TARGET] = serve_refused,
        [XS_RESET_WATCHES] = serve_reset,
        [XS_DIRECTORY_PART] = serve_directory_part,
    };

    return type < XS_TYPE_COUNT && servers[type] ? servers[type](r) : -ENOSYS;
}

/* A whole request has come. */
static void request_serve(struct store_conn *conn)
{
    struct xsd_sockmsg head = conn->head;
    struct request r = {
        .conn = conn,
        .tree = &conn->store->tree,
        .text = conn->payload,
        .size = head.len,
    };
    long rc = 0;

    conn->payload[head.len] = '\0';
    conn->reply_size = HEAD;
    conn->reply_sent = 0;
    if (head.tx_id) {
        r.tx = store_tx_find(conn, head.tx_id);
        rc = r.tx ? 0 : -ENOENT;
        r.tree = r.tx ? &r.tx->tree : r.tree;
    }
    rc = rc ? rc : serve(&r, head.type);
    if (rc) {
        head.type = XS_ERROR;
        conn->reply_size = HEAD;
        answer_text(conn, error_word(rc));
    }
    head.len = (uint32_t)(conn->reply_size - HEAD);
    memcpy(conn->reply, &head, HEAD);
}

/* ---- bytes in and out ---- */

/* Copies so much of a part of a request as there is; how much. */
static size_t gather(struct store_conn *conn, void *part, size_t done, size_t whole,
                     const char *bytes, size_t size)
{
    size_t n = MIN(whole - done, size);

    memcpy((char *)part + done, bytes, n);
    conn->got += n;
    return n;
}

size_t store_take(struct store_conn *conn, const char *bytes, size_t size)
{
    size_t n = 0;

    if (conn->reply_size || conn->broken) {
        return 0;
    }
    if (conn->got < HEAD) {
        n = gather(conn, &conn->head, conn->got, HEAD, bytes, size);
        if (conn->got < HEAD) {
            return n;
        }
        conn->broken = conn->head.len > XENSTORE_PAYLOAD_MAX;
    }
    if (!conn->broken) {
        n += gather(conn, conn->payload, conn->got - HEAD, conn->head.len, bytes + n, size - n);
        if (conn->got == HEAD + conn->head.len) {
            conn->got = 0;
            request_serve(conn);
        }
    }
    return n;
}

static size_t give_some(char *to, size_t room, const char *from, size_t size, size_t *sent)
{
    size_t n = MIN(size - *sent, room);

    memcpy(to, from + *sent, n);
    *sent += n;
    return n;
}

/* An answer goes before events, but not into the middle of one. */
size_t store_give(struct store_conn *conn, char *bytes, size_t size)
{
    size_t n = 0;

    while (n < size) {
        struct store_event *event = conn->event_sent ? conn->events : NULL;

        if (!event && conn->reply_size) {
            n += give_some(bytes + n, size - n, conn->reply, conn->reply_size, &conn->reply_sent);
            if (conn->reply_sent == conn->reply_size) {
                conn->reply_size = 0;
            }
            continue;
        }
        event = store_event_first(conn);
        if (!event) {
            break;
        }
        n += give_some(bytes + n, size - n, event->bytes, event->size, &conn->event_sent);
        if (conn->event_sent == event->size) {
            store_event_done(conn);
        }
    }
    return n;
}

/* ---- the store and its connections ---- */

long store_start(struct store *store)
{
    *store = (struct store){ .tree = { store_root_new(), &store->clock } };
    return store->tree.root ? 0 : -ENOMEM;
}

void store_stop(struct store *store)
{
    store_node_put(store->tree.root);
    store->tree.root = NULL;
}

struct store_conn *store_connect(struct store *store, unsigned int domid)
{
    struct store_conn *conn = allocate(sizeof(*conn));

    if (conn) {
        conn->store = store;
        conn->domid = domid;
        conn->events_end = &conn->events;
        fmt_snprintf(conn->prefix, sizeof(conn->prefix), "/local/domain/%u/", domid);
        conn->next = store->conns;
        store->conns = conn;
    }
    return conn;
}

void store_disconnect(struct store_conn *conn)
{
    struct store_conn **at = &conn->store->conns;

    while (*at != conn) {
        at = &(*at)->next;
    }
    *at = conn->next;
    conn->event_sent = 0;
    store_watches_clear(conn);
    store_txs_clear(conn);
    while (conn->events) {
        store_event_done(conn);
    }
    release(conn);
}

long store_change(struct store *store, const char *path, const char *value)
{
    const struct store_node *node;
    long rc = store_path_valid(path) ? store_put(&store->tree, path, value, strlen(value), 0)
                                     : -EINVAL;

    if (!rc) {
        node = store_find(store->tree.root, path);
        store_fire(store, path, &node->perms, &node->perms);
    }
    return rc;
}

long store_grant(struct store *store, const char *path, const struct store_perms *perms)
{
    const struct store_node *node = store_find(store->tree.root, path);
    struct store_perms before;
    long rc;

    if (!node) {
        return -ENOENT;
    }
    before = node->perms;
    rc = store_permit(&store->tree, path, perms);
    if (!rc) {
        store_fire(store, path, &before, perms);
    }
    return rc;
}

long store_drop(struct store *store, const char *path)
{
    struct store_node *gone = (struct store_node *)(uintptr_t)store_find(store->tree.root, path);
    long rc;

    if (!gone) {
        return -ENOENT;
    }
    store_node_get(gone);
    rc = store_cut(&store->tree, path);
    if (!rc) {
        store_fire_cut(store, path, gone);
    }
    store_node_put(gone);
    return rc;
}
