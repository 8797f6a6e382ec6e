/* SPDX-License-Identifier: MIT */
/* sources: guests/control/storetree.c guests/control/storewatch.c guests/control/storetx.c
 * guests/control/storewire.c lib/number.c lib/printf.c lib/str.c tests/unit/heap.c */
/*
 * libFuzzer on the store's server: two domains send requests. The input is a list of steps: a byte
 * for the domain and what is odd about the step, the request's type, the transaction, a length, and
 * so many bytes of payload, in which some bytes stand for words that lead somewhere. One step in a
 * few is raw bytes, one lets the n-th allocation fail. At the end no memory may be in use.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../../guests/control/storewire.h"
#include "../unit/heap.h"

static void check(int ok)
{
    if (!ok) {
        abort();
    }
}

static struct store store;
static struct store_conn *conns[2];

/* A tree's sums are those of its parts, and its names are in order. */
static void check_node(const struct store_node *node, unsigned int depth)
{
    uint32_t nodes = 1, bytes = node->size + (uint32_t)strlen(node->name);

    check(node->refs > 0 && depth <= STORE_DEPTH_MAX);
    check(node->perms.nr > 0 && node->perms.nr <= STORE_PERMS_MAX);
    for (uint32_t i = 0; i < node->nr_children; i++) {
        const struct store_node *child = node->children[i];

        check(i == 0 || strcmp(node->children[i - 1]->name, child->name) < 0);
        check_node(child, depth + 1);
        nodes += child->nodes;
        bytes += child->bytes;
    }
    check(nodes == node->nodes && bytes == node->bytes);
}

static void take_all(struct store_conn *conn)
{
    char bytes[1000];

    while (store_give(conn, bytes, sizeof(bytes))) {
    }
    check(conn->reply_size == 0);
}

static void send_bytes(struct store_conn *conn, const void *bytes, size_t size)
{
    const char *p = bytes;

    while (size && !conn->broken) {
        size_t n = store_take(conn, p, size);

        check(n <= size);
        p += n;
        size -= n;
        take_all(conn);
    }
}

static size_t add(char *payload, size_t at, const char *word, size_t size)
{
    if (at + size > XENSTORE_PAYLOAD_MAX) {
        return at;
    }
    memcpy(payload + at, word, size);
    return at + size;
}

/* Bytes from 0x80 on are words. */
static size_t payload_make(char *payload, const uint8_t *data, size_t size)
{
    static const char *const words[] = {
        "/local/domain/1", "/local/domain/2", "data", "/a", "/b", "/", "n1", "r2", "b0", "w1",
        "@releaseDomain",  "token",           "T",    "F",  "1",  "2",
    };
    size_t n = 0;

    for (size_t i = 0; i < size; i++) {
        const char *word = words[data[i] % (sizeof(words) / sizeof(words[0]))];

        if (data[i] & 0x80) {
            n = add(payload, n, word, strlen(word) + (data[i] >> 6 & 1));
        } else {
            n = add(payload, n, (const char *)&data[i], 1);
        }
    }
    return n;
}

static size_t step(const uint8_t *data, size_t size)
{
    static char payload[XENSTORE_PAYLOAD_MAX];
    struct store_conn *conn = conns[data[0] & 1];
    size_t length = data[3] < size - 4 ? data[3] : size - 4;
    struct xsd_sockmsg head = { data[1] % (XS_TYPE_COUNT + 1), 7, data[2] & 7, 0 };

    if ((data[0] & 0xe0) == 0x20) {
        fail_after = data[1] + 1u;
    } else if ((data[0] & 0xe0) == 0x40) {
        send_bytes(conn, data + 4, length);
    } else if ((data[0] & 0xe0) == 0x60) {
        store_drop(&store, data[1] & 1 ? "/local/domain/1/data" : "/local/domain/1");
    } else if (!conn->got) {
        head.len = (uint32_t)payload_make(payload, data + 4, length);
        send_bytes(conn, &head, sizeof(head));
        send_bytes(conn, payload, head.len);
    }
    check_node(store.tree.root, 0);
    return 4 + length;
}

static void folder(unsigned int domid, const char *path)
{
    struct store_perms perms = { .nr = 2, .of = { { (uint16_t)domid, 0 }, { 1, STORE_READ } } };

    check(store_change(&store, path, "") == 0 && store_grant(&store, path, &perms) == 0);
    conns[domid - 1] = store_connect(&store, domid);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    in_use = 0;
    fail_after = 0;
    check(store_start(&store) == 0);
    folder(1, "/local/domain/1/data");
    folder(2, "/local/domain/2/data");
    while (size >= 4) {
        size_t n = step(data, size);

        data += n;
        size -= n;
    }
    fail_after = 0;
    store_disconnect(conns[0]);
    store_disconnect(conns[1]);
    check(store.tree.root->refs == 1);
    store_stop(&store);
    check(in_use == 0);
    return 0;
}
