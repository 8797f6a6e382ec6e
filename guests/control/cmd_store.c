/* SPDX-License-Identifier: MIT */
/*
 * cmd_store.c - xenstore-ls, -read, -write and -rm: the store that domains see, as the programs of
 * these names of Xen's tools show and change it. Paths without a leading '/' are domain 0's own.
 */
#include "shell.h"
#include "storetree.h"

#define LINE_ROOM 160u

/* False after it was told. */
static bool path_make(const char *text, char *path, size_t size)
{
    int n = fmt_snprintf(path, size, "%s%s", *text == '/' ? "" : "/local/domain/0/", text);

    if ((size_t)n >= size || !store_path_valid(path)) {
        fail("%s: not a path (EINVAL)", text);
        return false;
    }
    return true;
}

static const struct store_node *node_at(const char *path)
{
    return store_find(store_nodes(), path);
}

/* Quotes and what can't be seen, as \" and \x01. */
static void value_print(const struct store_node *node)
{
    out(" = \"");
    for (uint32_t i = 0; i < node->size; i++) {
        char c = node->value[i];

        if (c == '"' || c == '\\') {
            out("\\%c", c);
        } else if (c < ' ' || c > '~') {
            out("\\x%02x", (unsigned char)c);
        } else {
            out("%c", c);
        }
    }
    out("\"\n");
}

static void below_print(const struct store_node *node, unsigned int depth)
{
    for (uint32_t i = 0; i < node->nr_children; i++) {
        for (unsigned int d = 0; d < depth; d++) {
            out(" ");
        }
        out("%s", node->children[i]->name);
        value_print(node->children[i]);
        below_print(node->children[i], depth + 1);
    }
}

/* What is printed may let the store change: others are served meanwhile. So a copy is held. */
static int run_ls(int argc, char **argv)
{
    char path[LINE_ROOM] = "/";
    const struct store_node *node;
    struct store_node *held;

    if (argc > 2) {
        return USAGE;
    }
    if (argc == 2 && !path_make(argv[1], path, sizeof(path))) {
        return 1;
    }
    node = node_at(path);
    if (!node) {
        return fail_errno(-XEN_ENOENT, "%s", path);
    }
    held = store_node_get((struct store_node *)(uintptr_t)node);
    below_print(held, 0);
    store_node_put(held);
    return 0;
}

const struct command cmd_xenstore_ls = {
    .name = "xenstore-ls",
    .usage = "[PATH]",
    .help = "the store that domains see, or what is below a path of it",
    .run = run_ls,
};

static int run_read(int argc, char **argv)
{
    char path[LINE_ROOM];

    if (argc < 2) {
        return USAGE;
    }
    for (int i = 1; i < argc; i++) {
        const char *value;

        if (!path_make(argv[i], path, sizeof(path))) {
            return 1;
        }
        value = store_read(path);
        if (!value) {
            return fail_errno(-XEN_ENOENT, "%s", path);
        }
        out("%s\n", value);
    }
    return 0;
}

const struct command cmd_xenstore_read = {
    .name = "xenstore-read",
    .usage = "PATH...",
    .help = "values in the store",
    .run = run_read,
};

static int run_write(int argc, char **argv)
{
    char path[LINE_ROOM];

    if (argc < 3 || argc % 2 == 0) {
        return USAGE;
    }
    for (int i = 1; i < argc; i += 2) {
        long rc;

        if (!path_make(argv[i], path, sizeof(path))) {
            return 1;
        }
        rc = store_printf(argv[i + 1], "%s", path);
        if (rc) {
            return fail_errno(rc, "%s", path);
        }
    }
    return 0;
}

const struct command cmd_xenstore_write = {
    .name = "xenstore-write",
    .usage = "PATH VALUE...",
    .help = "sets values in the store; further paths and values may follow",
    .run = run_write,
};

static int run_rm(int argc, char **argv)
{
    char path[LINE_ROOM];

    if (argc < 2) {
        return USAGE;
    }
    for (int i = 1; i < argc; i++) {
        long rc;

        if (!path_make(argv[i], path, sizeof(path))) {
            return 1;
        }
        rc = store_remove(path);
        if (rc) {
            return fail_errno(rc, "%s", path);
        }
    }
    return 0;
}

const struct command cmd_xenstore_rm = {
    .name = "xenstore-rm",
    .usage = "PATH...",
    .help = "removes nodes from the store, with all below them",
    .run = run_rm,
};
