/* SPDX-License-Identifier: MIT */
/* sources: guests/control/storetree.c guests/control/storewatch.c guests/control/storetx.c
 * guests/control/storewire.c lib/number.c lib/printf.c lib/str.c tests/unit/heap.c */
/* The store: its tree, and what domains get for their requests. Each test ends with no memory in
 * use. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../../guests/control/storewire.h"
#include "heap.h"

#define HEAD sizeof(struct xsd_sockmsg)
/* A payload with the NUL behind its last string, and one without. */
#define S(text) text, sizeof(text)
#define T(text) text, sizeof(text) - 1

static struct store store;
static struct store_conn *one, *two; /* of domains 1 and 2 */

static void folder(unsigned int domid)
{
    struct store_perms perms = { .nr = 1, .of = { { (uint16_t)domid, 0 } } };
    char path[64];

    snprintf(path, sizeof(path), "/local/domain/%u/data", domid);
    assert_int_equal(store_change(&store, path, ""), 0);
    assert_int_equal(store_grant(&store, path, &perms), 0);
}

static int setup(void **state)
{
    (void)state;
    in_use = 0;
    fail_after = 0;
    assert_int_equal(store_start(&store), 0);
    folder(1);
    folder(2);
    one = store_connect(&store, 1);
    two = store_connect(&store, 2);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    store_disconnect(one);
    store_disconnect(two);
    store_stop(&store);
    return in_use;
}

/* ---- talking to the server ---- */

static struct xsd_sockmsg head;
static char reply[XENSTORE_PAYLOAD_MAX + 1];

static bool receive(struct store_conn *conn)
{
    size_t n = store_give(conn, (char *)&head, HEAD);

    if (n == 0) {
        return false;
    }
    assert_int_equal(n, HEAD);
    assert_true(head.len <= XENSTORE_PAYLOAD_MAX);
    assert_int_equal(store_give(conn, reply, head.len), head.len);
    reply[head.len] = '\0';
    return true;
}

static void send_in(struct store_conn *conn, uint32_t tx, uint32_t type, const char *payload,
                    size_t size)
{
    struct xsd_sockmsg request = { type, 77, tx, (uint32_t)size };

    assert_int_equal(store_take(conn, (char *)&request, HEAD), HEAD);
    if (size) {
        assert_int_equal(store_take(conn, payload, size), size);
    }
}

/* "EACCES" and the like, or what was answered; the strings of an answer divided by commas. */
static const char *ask_in(struct store_conn *conn, uint32_t tx, uint32_t type, const char *payload,
                          size_t size)
{
    send_in(conn, tx, type, payload, size);
    assert_true(receive(conn));
    assert_int_equal(head.req_id, 77);
    assert_int_equal(head.tx_id, tx);
    assert_true(head.type == type || head.type == XS_ERROR);
    for (uint32_t i = 0; i + 1 < head.len; i++) {
        reply[i] = reply[i] ? reply[i] : ',';
    }
    return reply;
}

static const char *ask(struct store_conn *conn, uint32_t type, const char *payload, size_t size)
{
    return ask_in(conn, 0, type, payload, size);
}

/* "path token" of the next event, or "" for none. */
static const char *event(struct store_conn *conn)
{
    if (!receive(conn)) {
        return "";
    }
    assert_int_equal(head.type, XS_WATCH_EVENT);
    reply[strlen(reply)] = ' ';
    return reply;
}

#define IS(expression, expected) assert_string_equal(expression, expected)

/* ---- the tree ---- */

static void paths(void **state)
{
    char deep[2 * STORE_DEPTH_MAX + 3] = "";

    (void)state;
    assert_true(store_path_valid("/"));
    assert_true(store_path_valid("/local/domain/1/device/vbd-2_@"));
    assert_false(store_path_valid(""));
    assert_false(store_path_valid("a"));
    assert_false(store_path_valid("//"));
    assert_false(store_path_valid("/a/"));
    assert_false(store_path_valid("/a//b"));
    assert_false(store_path_valid("/a b"));
    assert_false(store_path_valid("/a/\xff"));
    for (unsigned int i = 0; i < STORE_DEPTH_MAX; i++) {
        strcat(deep, "/a");
    }
    assert_true(store_path_valid(deep));
    strcat(deep, "/a");
    assert_false(store_path_valid(deep));
    assert_true(store_path_below("/", "/a"));
    assert_true(store_path_below("/a", "/a"));
    assert_true(store_path_below("/a", "/a/b"));
    assert_false(store_path_below("/a", "/ab"));
    assert_false(store_path_below("/a/b", "/a"));
    assert_false(store_path_below("/a", "@a"));
}

static uint64_t tree_clock;

static struct store_tree tree_new(void)
{
    struct store_tree tree = { store_root_new(), &tree_clock };

    assert_non_null(tree.root);
    return tree;
}

static void tree_counts(void **state)
{
    struct store_tree tree = tree_new();
    unsigned int missing;

    (void)state;
    assert_int_equal(store_put(&tree, "/a/b/c", "xyz", 3, 0), 0);
    assert_int_equal(store_put(&tree, "/a/d", "12345", 5, 0), 0);
    assert_int_equal(tree.root->nodes, 5);
    assert_int_equal(tree.root->bytes, 8 + 4);
    assert_int_equal(store_put(&tree, "/a/d", "1", 1, 0), 0);
    assert_int_equal(store_find(tree.root, "/a")->bytes, 4 + 4);
    assert_string_equal(store_nearest(tree.root, "/a/b/x/y/z", &missing)->name, "b");
    assert_int_equal(missing, 3);
    assert_string_equal(store_folder(tree.root, "/a/b/c/d")->name, "c");
    assert_string_equal(store_folder(tree.root, "/a/x")->name, "a");
    assert_string_equal(store_folder(tree.root, "/")->name, "");
    assert_int_equal(store_cut(&tree, "/a/b"), 0);
    assert_int_equal(store_cut(&tree, "/a/b"), -2);
    assert_int_equal(store_cut(&tree, "/"), -22);
    assert_int_equal(tree.root->nodes, 3);
    assert_int_equal(tree.root->bytes, 1 + 2);
    assert_int_equal(store_make(&tree, "/a/d", 0), 0);
    assert_string_equal(store_find(tree.root, "/a/d")->value, "1");
    fail_after = 1; /* a tree that nobody else holds shrinks without memory */
    assert_int_equal(store_cut(&tree, "/a/d"), 0);
    assert_int_equal(fail_after, 1);
    store_node_put(tree.root);
}

static void tree_sorted(void **state)
{
    struct store_tree tree = tree_new();
    const struct store_node *node;
    char path[16];

    (void)state;
    for (int i = 0; i < 200; i++) {
        snprintf(path, sizeof(path), "/x/%d", i * 37 % 200);
        assert_int_equal(store_put(&tree, path, path, strlen(path), 0), 0);
    }
    node = store_find(tree.root, "/x");
    assert_int_equal(node->nr_children, 200);
    for (uint32_t i = 1; i < node->nr_children; i++) {
        assert_true(strcmp(node->children[i - 1]->name, node->children[i]->name) < 0);
    }
    for (int i = 0; i < 200; i += 2) {
        snprintf(path, sizeof(path), "/x/%d", i);
        assert_int_equal(store_cut(&tree, path), 0);
    }
    for (int i = 0; i < 200; i++) {
        snprintf(path, sizeof(path), "/x/%d", i);
        assert_int_equal(store_find(tree.root, path) != NULL, i % 2);
    }
    store_node_put(tree.root);
}

static void tree_snapshot(void **state)
{
    struct store_tree tree = tree_new(), old;
    struct store_perms perms = { .nr = 1, .of = { { 5, STORE_READ } } };

    (void)state;
    store_put(&tree, "/a/b", "old", 3, 0);
    store_put(&tree, "/a/c", "same", 4, 0);
    old = (struct store_tree){ store_node_get(tree.root), &tree_clock };
    store_put(&tree, "/a/b", "new", 3, 0);
    store_put(&tree, "/a/d/e", "", 0, 0);
    store_permit(&tree, "/a", &perms);
    assert_string_equal(store_find(old.root, "/a/b")->value, "old");
    assert_string_equal(store_find(tree.root, "/a/b")->value, "new");
    assert_null(store_find(old.root, "/a/d"));
    assert_int_equal(store_find(old.root, "/a")->perms.of[0].domid, 0);
    assert_ptr_equal(store_find(old.root, "/a/c"), store_find(tree.root, "/a/c"));
    store_cut(&tree, "/a");
    assert_string_equal(store_find(old.root, "/a/c")->value, "same");
    assert_int_equal(old.root->nodes, 4);
    assert_int_equal(tree.root->nodes, 1);
    store_node_put(tree.root);
    store_node_put(old.root);
}

/* Each allocation of a change fails once: then nothing changed and nothing is lost. */
static void tree_no_memory(void **state)
{
    (void)state;
    for (unsigned int shared = 0; shared < 2; shared++) {
        long rc = -12;

        for (unsigned int n = 1; rc; n++) {
            struct store_tree tree = tree_new();
            struct store_node *old;

            store_put(&tree, "/a/b", "old", 3, 0);
            old = shared ? store_node_get(tree.root) : NULL;
            fail_after = n;
            rc = store_put(&tree, "/a/c/d/e", "new", 3, 0);
            if (!rc) {
                rc = store_put(&tree, "/a/b", "newer", 5, 0);
            }
            if (!rc) {
                rc = store_cut(&tree, "/a/c");
            }
            fail_after = 0;
            assert_true(rc == 0 || rc == -12);
            assert_string_equal(store_find(tree.root, "/a/b")->value, rc ? "old" : "newer");
            store_node_put(old);
            store_node_put(tree.root);
        }
    }
}

/* ---- requests ---- */

static void read_write(void **state)
{
    (void)state;
    IS(ask(one, XS_WRITE, T("data/x\0hello")), "OK");
    IS(ask(one, XS_READ, S("data/x")), "hello");
    IS(ask(one, XS_READ, S("/local/domain/1/data/x")), "hello");
    assert_int_equal(head.len, 5);
    IS(ask(one, XS_MKDIR, S("data/y/z")), "OK");
    IS(ask(one, XS_WRITE, S("data/x")), "OK"); /* no value at all */
    IS(ask(one, XS_READ, S("data/x")), "");
    IS(ask(one, XS_DIRECTORY, S("data")), "x,y");
    IS(ask(one, XS_DIRECTORY, S("data/y/z")), "");
    IS(ask(one, XS_READ, S("data/none")), "ENOENT");
    IS(ask(one, XS_DIRECTORY, S("device/vbd")), "ENOENT");
    IS(ask(one, XS_GET_DOMAIN_PATH, S("9")), "/local/domain/9");
    IS(ask(one, XS_IS_DOMAIN_INTRODUCED, S("2")), "T");
    IS(ask(one, XS_IS_DOMAIN_INTRODUCED, S("3")), "F");
    IS(ask(one, XS_RM, S("data/y")), "OK");
    IS(ask(one, XS_RM, S("data/y")), "OK");
    IS(ask(one, XS_RM, S("data/y/z")), "ENOENT");
    IS(ask(one, XS_READ, S("data/y/z")), "ENOENT");
}

static void permissions(void **state)
{
    (void)state;
    IS(ask(one, XS_WRITE, T("data/x\0secret")), "OK");
    IS(ask(one, XS_GET_PERMS, S("data/x")), "n1");
    IS(ask(two, XS_READ, S("/local/domain/1/data/x")), "EACCES");
    IS(ask(two, XS_READ, S("/local/domain/1/data/none")), "EACCES");
    IS(ask(two, XS_WRITE, T("/local/domain/1/data/x\0z")), "EACCES");
    IS(ask(two, XS_MKDIR, S("/local/domain/1/data/y")), "EACCES");
    IS(ask(two, XS_RM, S("/local/domain/1/data/x")), "EACCES");
    IS(ask(two, XS_SET_PERMS, S("/local/domain/1/data/x\0b2")), "EACCES");
    IS(ask(one, XS_SET_PERMS, S("data/x\0n1\0r2")), "OK");
    IS(ask(two, XS_READ, S("/local/domain/1/data/x")), "secret");
    IS(ask(two, XS_GET_PERMS, S("/local/domain/1/data/x")), "n1,r2");
    IS(ask(two, XS_WRITE, T("/local/domain/1/data/x\0z")), "EACCES");
    IS(ask(one, XS_SET_PERMS, S("data/x\0n1\0r3\0b2")), "OK");
    IS(ask(two, XS_WRITE, T("/local/domain/1/data/x\0z")), "OK");
    IS(ask(two, XS_SET_PERMS, S("/local/domain/1/data/x\0b2")), "EACCES");
    IS(ask(one, XS_SET_PERMS, S("data/x\0n2")), "EPERM"); /* not for it to give away */
    IS(ask(one, XS_SET_PERMS, S("data/x")), "EINVAL");
    IS(ask(one, XS_SET_PERMS, S("data/x\0q1")), "EINVAL");
    IS(ask(one, XS_SET_PERMS, S("data/x\0n")), "EINVAL");
    IS(ask(one, XS_SET_PERMS, T("data/x\0n1")), "EINVAL");
    IS(ask(one, XS_SET_PERMS, S("data/x\0n99999999999")), "EINVAL");
    IS(ask(one, XS_SET_PERMS, S("data/x\0n1\0n1\0n1\0n1\0n1\0n1\0n1\0n1\0n1")), "EINVAL");
    IS(ask(one, XS_WRITE, T("x\0z")), "EACCES");
    IS(ask(one, XS_RM, S("/local/domain/1")), "EACCES");
    IS(ask(one, XS_RM, S("/")), "EACCES");
    IS(ask(one, XS_WRITE, T("/tool/x\0z")), "EACCES");
}

static void refused(void **state)
{
    static const uint32_t types[] = { XS_CONTROL, XS_INTRODUCE, XS_RELEASE, XS_RESUME,
                                      XS_SET_TARGET };

    (void)state;
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        IS(ask(one, types[i], S("1")), "EACCES");
    }
    IS(ask(one, XS_ERROR, S("x")), "ENOSYS");
    IS(ask(one, XS_WATCH_EVENT, S("x")), "ENOSYS");
    IS(ask(one, XS_TYPE_COUNT, S("x")), "ENOSYS");
    IS(ask(one, XS_INVALID, S("x")), "ENOSYS");
    IS(ask(one, 0xffffffff, S("x")), "ENOSYS");
    IS(ask(one, XS_SET_TARGET + 1, S("x")), "ENOSYS"); /* was once one */
}

static void malformed(void **state)
{
    static const uint32_t types[] = {
        XS_READ,    XS_WRITE,          XS_DIRECTORY,       XS_MKDIR,
        XS_RM,      XS_GET_PERMS,      XS_SET_PERMS,       XS_WATCH,
        XS_UNWATCH, XS_DIRECTORY_PART, XS_GET_DOMAIN_PATH, XS_IS_DOMAIN_INTRODUCED
    };

    (void)state;
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        IS(ask(one, types[i], "", 0), "EINVAL");
        IS(ask(one, types[i], T("data")), "EINVAL"); /* not terminated */
        IS(ask(one, types[i], S("")), "EINVAL");
        IS(ask(one, types[i], S("/a//b\0x")), "EINVAL");
        IS(ask(one, types[i], S("a/\0x")), "EINVAL");
        IS(ask(one, types[i], S("\xfe\0x")), "EINVAL");
    }
    IS(ask(one, XS_WATCH, S("data\0token\0more")), "EINVAL");
    IS(ask(one, XS_WATCH, S("@other\0token")), "EINVAL");
    IS(ask(one, XS_WATCH, S("data")), "EINVAL");
    IS(ask(one, XS_TRANSACTION_END, S("T")), "ENOENT");
    IS(ask_in(one, 9, XS_READ, S("data")), "ENOENT");
    IS(ask(one, XS_DIRECTORY_PART, S("data\0x")), "EINVAL");
}

static void too_long(void **state)
{
    static char text[XENSTORE_PAYLOAD_MAX];
    struct xsd_sockmsg request = { XS_READ, 1, 0, XENSTORE_PAYLOAD_MAX + 1 };

    (void)state;
    memset(text, 'a', sizeof(text));
    text[XENSTORE_REL_PATH_MAX] = '\0';
    IS(ask(one, XS_READ, text, XENSTORE_REL_PATH_MAX + 1), "ENOENT");
    text[XENSTORE_REL_PATH_MAX] = 'a';
    IS(ask(one, XS_READ, text, sizeof(text)), "EINVAL");
    text[XENSTORE_REL_PATH_MAX + 1] = '\0';
    IS(ask(one, XS_READ, text, XENSTORE_REL_PATH_MAX + 2), "EINVAL");
    memset(text, 'a', sizeof(text));
    text[0] = '/';
    text[XENSTORE_ABS_PATH_MAX] = '\0';
    IS(ask(one, XS_READ, text, XENSTORE_ABS_PATH_MAX + 1), "ENOENT");
    memcpy(text, "data/x", 7);
    IS(ask(one, XS_WRITE, text, 7 + STORE_VALUE_MAX), "OK");
    IS(ask(one, XS_WRITE, text, 7 + STORE_VALUE_MAX + 1), "ENOSPC");
    assert_int_equal(store_take(one, (char *)&request, HEAD), HEAD);
    assert_true(one->broken);
    assert_int_equal(store_take(one, text, 10), 0);
    IS(ask(two, XS_DIRECTORY, S("data")), ""); /* others go on */
}

static void quota_nodes(void **state)
{
    char payload[32];
    int n = 0;

    (void)state;
    for (; n < 2000; n++) {
        int size = snprintf(payload, sizeof(payload), "data/node-%d", n);

        if (strcmp(ask(one, XS_WRITE, payload, (size_t)size + 1), "OK")) {
            break;
        }
    }
    IS(reply, "ENOSPC");
    assert_int_equal(n, STORE_NODES_MAX - 2);
    IS(ask(one, XS_MKDIR, S("data/more")), "ENOSPC");
    IS(ask(one, XS_WRITE, T("data/node-1\0value")), "OK");
    IS(ask(one, XS_DIRECTORY, S("data")), "E2BIG");
    IS(ask(two, XS_WRITE, T("data/node-1\0value")), "OK");
    IS(ask(one, XS_RM, S("data/node-1")), "OK");
    IS(ask(one, XS_MKDIR, S("data/more")), "OK");
}

static void directory_part(void **state)
{
    static char all[16384];
    char payload[64];
    size_t used = 0;
    unsigned int parts = 0, names = 0;

    (void)state;
    for (int n = 0; n < 900; n++) {
        ask(one, XS_WRITE, payload,
            (size_t)snprintf(payload, sizeof(payload), "data/a-long-name-%d", n) + 1);
    }
    for (bool last = false; !last; parts++) {
        int size = snprintf(payload, sizeof(payload), "data%c%zu", 0, used) + 1;
        size_t skip;

        send_in(one, 0, XS_DIRECTORY_PART, payload, (size_t)size);
        assert_true(receive(one) && head.type == XS_DIRECTORY_PART);
        skip = strlen(reply) + 1; /* the generation */
        last = head.len == skip + 1 || (reply[head.len - 1] == 0 && reply[head.len - 2] == 0);
        memcpy(all + used, reply + skip, head.len - skip);
        used += head.len - skip - (last ? 1 : 0);
        assert_true(parts < 20);
    }
    for (size_t at = 0; at < used; at += strlen(all + at) + 1) {
        names++;
    }
    assert_int_equal(names, 900);
    assert_true(parts > 2);
    IS(ask(one, XS_DIRECTORY_PART,
           S("data\0"
             "3")),
       "EINVAL");
}

/* ---- watches ---- */

static void watch_events(void **state)
{
    (void)state;
    IS(ask(one, XS_WATCH, S("data\0tok")), "OK");
    IS(event(one), "data tok");
    IS(event(one), "");
    IS(ask(one, XS_WATCH, S("data\0tok")), "EEXIST");
    IS(ask(one, XS_WATCH, S("/local/domain/1/data/x\0abs")), "OK");
    IS(event(one), "/local/domain/1/data/x abs");
    IS(ask(one, XS_WRITE,
           T("data/x\0"
             "1")),
       "OK");
    IS(event(one), "/local/domain/1/data/x abs");
    IS(event(one), "data/x tok");
    assert_int_equal(store_change(&store, "/local/domain/1/data/y/z", "v"), 0);
    IS(event(one), "data/y/z tok");
    IS(ask(two, XS_WRITE,
           T("data/x\0"
             "1")),
       "OK");
    IS(event(one), "");
    IS(ask(one, XS_RM, S("data")), "OK"); /* all that is below goes */
    IS(event(one), "data tok");
    IS(event(one), "/local/domain/1/data/x abs");
    IS(event(one), "");
    IS(ask(one, XS_UNWATCH, S("data\0tok")), "OK");
    IS(ask(one, XS_UNWATCH, S("data\0tok")), "ENOENT");
    IS(ask(one, XS_WATCH, S("@releaseDomain\0r")), "OK");
    IS(event(one), "@releaseDomain r");
    IS(ask(one, XS_RESET_WATCHES, S("")), "OK");
    assert_int_equal(store_change(&store, "/local/domain/1/data/x", "v"), 0);
    IS(event(one), "");
    assert_int_equal(one->nr_watches, 0);
}

/* Whoever may not read a node does not hear of it. */
static void watch_secret(void **state)
{
    (void)state;
    IS(ask(two, XS_WATCH, S("/local/domain/1\0t")), "OK");
    IS(event(two), "/local/domain/1 t");
    IS(ask(one, XS_WRITE,
           T("data/x\0"
             "1")),
       "OK");
    IS(event(two), "");
    IS(ask(one, XS_SET_PERMS, S("data/x\0r1")), "OK");
    IS(event(two), "/local/domain/1/data/x t");
    IS(ask(one, XS_SET_PERMS, S("data/x\0n1")), "OK");
    IS(event(two), "/local/domain/1/data/x t");
    IS(ask(one, XS_RM, S("data/x")), "OK");
    IS(event(two), "");
}

static void watch_limit(void **state)
{
    char payload[32];
    int n = 0;

    (void)state;
    for (; n < 500; n++) {
        int size = snprintf(payload, sizeof(payload), "data%c%d", 0, n) + 1;

        if (strcmp(ask(one, XS_WATCH, payload, (size_t)size), "OK")) {
            break;
        }
        event(one);
    }
    IS(reply, "E2BIG");
    assert_int_equal(n, STORE_WATCHES_MAX);
}

/* Who doesn't take its events costs no more than so much, and hears in the end. */
static void watch_flood(void **state)
{
    unsigned int events = 0;
    const char *last = "";

    (void)state;
    IS(ask(one, XS_WATCH, S("data\0t")), "OK");
    IS(event(one), "data t");
    for (int i = 0; i < 5000; i++) {
        assert_int_equal(store_change(&store, "/local/domain/1/data/some/long/path", "v"), 0);
    }
    assert_true(one->event_bytes <= STORE_EVENTS_MAX);
    assert_true(one->lost);
    for (const char *e = event(one); *e; e = event(one), events++) {
        last = strcmp(e, "data t") == 0 ? "data t" : "other";
    }
    IS(last, "data t");
    assert_in_range(events, 100, 2000);
    assert_int_equal(store_change(&store, "/local/domain/1/data/x", "v"), 0);
    IS(event(one), "data/x t");
}

/* An answer waits for the end of an event, and an event that began is sent to its end. */
static void watch_order(void **state)
{
    char begin[20];

    (void)state;
    IS(ask(one, XS_WATCH, S("data\0tok")), "OK");
    IS(event(one), "data tok");
    store_change(&store, "/local/domain/1/data/x", "v");
    store_change(&store, "/local/domain/1/data/y", "v");
    assert_int_equal(store_give(one, begin, sizeof(begin)), sizeof(begin));
    send_in(one, 0, XS_UNWATCH, S("data\0tok"));
    assert_int_equal(store_take(one, "x", 1), 0); /* no next one before the answer is out */
    memcpy(&head, begin, HEAD);
    assert_int_equal(store_give(one, reply, head.len - 4), head.len - 4);
    IS(reply, "/x");
    assert_true(receive(one));
    assert_int_equal(head.type, XS_UNWATCH);
    IS(event(one), "");
}

/* ---- transactions ---- */

static uint32_t start(struct store_conn *conn)
{
    return (uint32_t)atoi(ask(conn, XS_TRANSACTION_START, S("")));
}

static void transaction(void **state)
{
    uint32_t tx = start(one);

    (void)state;
    assert_true(tx > 0);
    IS(ask(two, XS_SET_PERMS, S("data\0r2")), "OK");
    IS(ask(one, XS_WATCH, S("data\0t")), "OK");
    IS(event(one), "data t");
    IS(ask_in(one, tx, XS_TRANSACTION_START, S("")), "EBUSY");
    IS(ask_in(one, tx, XS_WRITE,
              T("data/a/b\0"
                "1")),
       "OK");
    IS(ask_in(one, tx, XS_MKDIR, S("data/c")), "OK");
    IS(ask_in(one, tx, XS_SET_PERMS, S("data/c\0r1")), "OK");
    IS(ask_in(one, tx, XS_READ, S("data/a/b")), "1");
    IS(ask_in(one, tx, XS_DIRECTORY, S("data")), "a,c");
    IS(ask(one, XS_DIRECTORY, S("data")), "");
    IS(event(one), "");
    assert_int_equal(store_change(&store, "/local/domain/2/x", "elsewhere"), 0);
    IS(ask_in(one, tx, XS_TRANSACTION_END, S("T")), "OK");
    IS(event(one), "data/a/b t");
    IS(event(one), "data/c t");
    IS(event(one), "");
    IS(ask(one, XS_READ, S("data/a/b")), "1");
    IS(ask(one, XS_GET_PERMS, S("data/c")), "r1");
    assert_string_equal(store_find(store.tree.root, "/local/domain/2/x")->value, "elsewhere");
    IS(ask_in(one, tx, XS_READ, S("data/a/b")), "ENOENT");
}

static void transaction_dropped(void **state)
{
    uint32_t tx = start(one);

    (void)state;
    IS(ask_in(one, tx, XS_WRITE,
              T("data/a\0"
                "1")),
       "OK");
    IS(ask_in(one, tx, XS_TRANSACTION_END, S("x")), "EINVAL");
    IS(ask_in(one, tx, XS_TRANSACTION_END, S("F")), "OK");
    IS(ask(one, XS_READ, S("data/a")), "ENOENT");
}

static void transaction_conflicts(void **state)
{
    uint32_t tx = start(one);

    (void)state;
    IS(ask_in(one, tx, XS_READ, S("data/none")), "ENOENT"); /* that counts as seen */
    store_change(&store, "/local/domain/1/data/none", "v");
    IS(ask_in(one, tx, XS_TRANSACTION_END, S("T")), "EAGAIN");
    tx = start(one);
    IS(ask_in(one, tx, XS_DIRECTORY, S("data")), "none");
    IS(ask_in(one, tx, XS_WRITE,
              T("data/z\0"
                "1")),
       "OK");
    store_change(&store, "/local/domain/1/data/new", "v");
    IS(ask_in(one, tx, XS_TRANSACTION_END, S("T")), "EAGAIN");
    IS(ask(one, XS_READ, S("data/z")), "ENOENT");
    tx = start(one);
    IS(ask_in(one, tx, XS_RM, S("data/none")), "OK");
    store_change(&store, "/local/domain/1/data/none/below", "v");
    IS(ask_in(one, tx, XS_TRANSACTION_END, S("T")), "EAGAIN");
    assert_int_equal(one->nr_txs, 0);
}

static void transaction_replaces(void **state)
{
    uint32_t tx;

    (void)state;
    IS(ask(one, XS_WRITE,
           T("data/a/old\0"
             "1")),
       "OK");
    IS(ask(one, XS_WATCH, S("data/a/old\0t")), "OK");
    IS(event(one), "data/a/old t");
    tx = start(one);
    IS(ask_in(one, tx, XS_RM, S("data/a")), "OK");
    IS(ask_in(one, tx, XS_WRITE,
              T("data/a/new\0"
                "2")),
       "OK");
    IS(ask_in(one, tx, XS_WRITE,
              T("data/gone\0"
                "2")),
       "OK");
    IS(ask_in(one, tx, XS_RM, S("data/gone")), "OK");
    store_change(&store, "/local/domain/2/x", "elsewhere");
    IS(ask_in(one, tx, XS_TRANSACTION_END, S("T")), "OK");
    IS(event(one), "data/a/old t");
    IS(event(one), "");
    IS(ask(one, XS_DIRECTORY, S("data")), "a");
    IS(ask(one, XS_DIRECTORY, S("data/a")), "new");
}

/* Names count, and what a transaction remembers of paths is limited in bytes, too. */
static void long_paths(void **state)
{
    char payload[2000];
    uint32_t tx;
    int n = 0, reads = 0;

    (void)state;
    memset(payload, 'x', sizeof(payload) - 1);
    payload[sizeof(payload) - 1] = '\0';
    memcpy(payload, "data/", 5);
    for (; n < 2000; n++) {
        payload[5] = (char)('a' + n / 26);
        payload[6] = (char)('a' + n % 26);
        if (strcmp(ask_in(one, 0, XS_MKDIR, payload, sizeof(payload)), "OK")) {
            break;
        }
    }
    IS(reply, "ENOSPC");
    assert_true(n > 100 && n <= (int)(STORE_BYTES_MAX / (sizeof(payload) - 6)));
    tx = start(one);
    for (; reads < 2000; reads++) {
        payload[5] = (char)('A' + reads / 26);
        payload[6] = (char)('a' + reads % 26);
        if (strcmp(ask_in(one, tx, XS_READ, payload, sizeof(payload)), "ENOENT")) {
            break;
        }
    }
    IS(reply, "ENOSPC");
    assert_true(reads > 10 && reads <= (int)(STORE_CHANGE_BYTES_MAX / sizeof(payload)));
    IS(ask(one, XS_RESET_WATCHES, S("")), "OK");
    IS(ask(one, XS_RM, S("data")), "OK");
}

static void transaction_limits(void **state)
{
    char payload[32];
    uint32_t tx = start(one);
    int n = 0;

    (void)state;
    for (unsigned int i = 1; i < STORE_TXS_MAX; i++) {
        assert_true(start(one) > 0);
    }
    IS(ask(one, XS_TRANSACTION_START, S("")), "ENOSPC");
    for (; n < 2000; n++) {
        int size = snprintf(payload, sizeof(payload), "data/%d", n) + 1;

        if (strcmp(ask_in(one, tx, XS_WRITE, payload, (size_t)size), "OK")) {
            break;
        }
    }
    IS(reply, "ENOSPC");
    assert_int_equal(n, STORE_NODES_MAX - 2);
    IS(ask(one, XS_WRITE,
           T("data/other\0"
             "1")),
       "OK"); /* now both together are too many */
    IS(ask_in(one, tx, XS_TRANSACTION_END, S("T")), "ENOSPC");
    IS(ask(one, XS_DIRECTORY, S("data")), "other");
    IS(ask(one, XS_RESET_WATCHES, S("")), "OK");
    assert_int_equal(one->nr_txs, 0);
}

/* Each allocation of a whole conversation fails once: errors, but no leak and no half a commit. */
static void no_memory(void **state)
{
    unsigned int n = 0;
    bool failed;

    (void)state;
    do {
        uint32_t tx;

        fail_after = ++n;
        ask(one, XS_WATCH, S("data\0t"));
        ask(one, XS_WRITE, T("data/a/b\0value"));
        ask(one, XS_SET_PERMS, S("data/a\0r1"));
        tx = start(one);
        ask_in(one, tx, XS_READ, S("data/a/b"));
        ask_in(one, tx, XS_WRITE,
               T("data/x\0"
                 "1"));
        ask_in(one, tx, XS_WRITE,
               T("data/y\0"
                 "1"));
        ask_in(one, tx, XS_RM, S("data/a"));
        store_change(&store, "/local/domain/2/x", "elsewhere");
        ask_in(one, tx, XS_TRANSACTION_END, S("T"));
        failed = fail_after == 0;
        fail_after = 0;
        while (*event(one)) {
        }
        ask(one, XS_RESET_WATCHES, S(""));
        store_drop(&store, "/local/domain/1");
        folder(1);
        folder(2);
    } while (failed);
    assert_true(n > 30);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(paths),
        TEST(tree_counts),
        TEST(tree_sorted),
        TEST(tree_snapshot),
        TEST(tree_no_memory),

        TEST(read_write),
        TEST(permissions),
        TEST(refused),
        TEST(malformed),
        TEST(too_long),
        TEST(quota_nodes),
        TEST(directory_part),
        TEST(watch_events),
        TEST(watch_secret),
        TEST(watch_limit),
        TEST(watch_flood),
        TEST(watch_order),
        TEST(transaction),
        TEST(transaction_dropped),
        TEST(transaction_conflicts),
        TEST(transaction_replaces),
        TEST(transaction_limits),
        TEST(long_paths),
        TEST(no_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
