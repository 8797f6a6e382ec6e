/* SPDX-License-Identifier: MIT */
/*
 * storetree.c - the store's nodes, see storetree.h. Pure: it knows nothing of rings, watches or
 * transactions. A node with one reference, reached over nodes with one reference each, belongs to
 * one tree alone and is changed in place; every other is copied first.
 */
#include "storetree.h"

#include <tarn/errno.h>
#include <tarn/lib.h>

struct store_node *store_node_get(struct store_node *node)
{
    node->refs++;
    return node;
}

/* Recursion is as deep as the tree: STORE_DEPTH_MAX. */
void store_node_put(struct store_node *node)
{
    if (!node || --node->refs) {
        return;
    }
    for (uint32_t i = 0; i < node->nr_children; i++) {
        store_node_put(node->children[i]);
    }
    release(node->children);
    release(node->value);
    release(node);
}

static char *value_new(const void *value, size_t size)
{
    char *copy = allocate(size + 1);

    if (copy) {
        memcpy(copy, value, size);
        copy[size] = '\0';
    }
    return copy;
}

/* Without value and children. */
static struct store_node *node_new(const char *name, size_t length, const struct store_perms *perms)
{
    struct store_node *node = allocate(sizeof(*node) + length + 1);

    if (node) {
        *node = (struct store_node){ .refs = 1, .nodes = 1, .perms = *perms };
        memcpy(node->name, name, length);
        node->name[length] = '\0';
    }
    return node;
}

struct store_node *store_root_new(void)
{
    struct store_perms perms = { .nr = 1, .of = { { 0, STORE_READ } } };

    return node_new("", 0, &perms);
}

/* Room for one more child. */
static bool children_grow(struct store_node *node)
{
    uint32_t room = node->room ? node->room * 2 : 4;
    struct store_node **more;

    if (node->nr_children < node->room) {
        return true;
    }
    more = allocate(room * sizeof(struct store_node *));
    if (!more) {
        return false;
    }
    if (node->nr_children) {
        memcpy(more, node->children, node->nr_children * sizeof(struct store_node *));
    }
    release(node->children);
    node->children = more;
    node->room = room;
    return true;
}

static struct store_node *node_copy(const struct store_node *from)
{
    struct store_node *node = node_new(from->name, strlen(from->name), &from->perms);

    if (!node) {
        return NULL;
    }
    node->generation = from->generation;
    if (from->value) {
        node->value = value_new(from->value, from->size);
        node->size = from->size;
    }
    if (from->nr_children) {
        node->room = from->nr_children;
        node->children = allocate(node->room * sizeof(struct store_node *));
    }
    if ((from->value && !node->value) || (from->nr_children && !node->children)) {
        store_node_put(node);
        return NULL;
    }
    for (; node->nr_children < from->nr_children; node->nr_children++) {
        node->children[node->nr_children] = store_node_get(from->children[node->nr_children]);
    }
    node->nodes = from->nodes;
    node->bytes = from->bytes;
    return node;
}

/* The node in the slot as one that belongs to this tree alone. */
static struct store_node *node_own(struct store_node **slot)
{
    struct store_node *node = *slot;

    if (node->refs > 1) {
        node = node_copy(node);
        if (node) {
            (*slot)->refs--;
            *slot = node;
        }
    }
    return node;
}

/* The path's next part and its length; 0 at the end. */
static const char *part_next(const char *path, size_t *length)
{
    while (*path == '/') {
        path++;
    }
    for (*length = 0; path[*length] && path[*length] != '/'; (*length)++) {
    }
    return path;
}

/* < 0, 0, > 0 as the name sorts before, is, or sorts behind the part. */
static int name_compare(const char *name, const char *part, size_t length)
{
    int order = strncmp(name, part, length);

    return order ? order : name[length] != '\0';
}

/* Where the child is, or would be. */
static uint32_t child_index(const struct store_node *node, const char *part, size_t length,
                            bool *found)
{
    uint32_t low = 0, high = node->nr_children;

    *found = false;
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        int order = name_compare(node->children[middle]->name, part, length);

        if (order == 0) {
            *found = true;
            return middle;
        }
        if (order < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static bool character_valid(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_' || c == '@';
}

bool store_path_valid(const char *path)
{
    unsigned int depth = 0;

    if (path[0] != '/') {
        return false;
    }
    if (!path[1]) {
        return true;
    }
    for (size_t i = 0; path[i]; i++) {
        if (path[i] == '/') {
            depth++;
            if (!path[i + 1] || path[i + 1] == '/') {
                return false;
            }
        } else if (!character_valid(path[i])) {
            return false;
        }
    }
    return depth <= STORE_DEPTH_MAX;
}

bool store_path_below(const char *top, const char *path)
{
    size_t n = strlen(top);

    if (n == 1 && top[0] == '/') {
        return path[0] == '/';
    }
    return strncmp(top, path, n) == 0 && (path[n] == '\0' || path[n] == '/');
}

const struct store_node *store_nearest(const struct store_node *root, const char *path,
                                       unsigned int *missing)
{
    const struct store_node *node = root;
    size_t length;
    bool found;

    for (path = part_next(path, &length); length; path = part_next(path + length, &length)) {
        uint32_t i = child_index(node, path, length, &found);

        if (!found) {
            break;
        }
        node = node->children[i];
    }
    for (*missing = 0; length; path = part_next(path + length, &length)) {
        ++*missing;
    }
    return node;
}

const struct store_node *store_find(const struct store_node *root, const char *path)
{
    unsigned int missing;
    const struct store_node *node = store_nearest(root, path, &missing);

    return missing ? NULL : node;
}

const struct store_node *store_folder(const struct store_node *root, const char *path)
{
    const struct store_node *node = root;
    size_t length;
    bool found;

    for (unsigned int depth = 0; depth < 3; depth++) {
        uint32_t i;

        path = part_next(path, &length);
        i = child_index(node, path, length, &found);
        if (!length || !found) {
            break;
        }
        node = node->children[i];
        path += length;
    }
    return node;
}

unsigned int store_access(const struct store_perms *perms, unsigned int domid)
{
    if (domid == 0 || perms->of[0].domid == domid) {
        return STORE_READ | STORE_WRITE;
    }
    for (uint32_t i = 1; i < perms->nr; i++) {
        if (perms->of[i].domid == domid) {
            return perms->of[i].access;
        }
    }
    return perms->of[0].access;
}

/* Owns what there is on the way to the path; *rest is what there isn't. NULL: no memory. */
static struct store_node *descend(struct store_tree *tree, const char *path, const char **rest)
{
    struct store_node *node = node_own(&tree->root);
    size_t length;
    bool found;

    for (path = part_next(path, &length); node && length;
         path = part_next(path + length, &length)) {
        uint32_t i = child_index(node, path, length, &found);

        if (!found) {
            break;
        }
        node = node_own(&node->children[i]);
    }
    *rest = path;
    return node;
}

/* Adds to the sums of all nodes from the root down to the one given. */
static void account(struct store_tree *tree, const char *path, const struct store_node *last,
                    uint32_t nodes, uint32_t bytes)
{
    struct store_node *node = tree->root;
    size_t length;
    bool found;

    for (;;) {
        node->nodes += nodes;
        node->bytes += bytes;
        if (node == last) {
            return;
        }
        path = part_next(path, &length);
        node = node->children[child_index(node, path, length, &found)];
        path += length;
    }
}

static bool child_add(struct store_node *node, struct store_node *child)
{
    bool found;
    uint32_t at;

    if (!children_grow(node)) {
        return false;
    }
    at = child_index(node, child->name, strlen(child->name), &found);
    for (uint32_t i = node->nr_children++; i > at; i--) {
        node->children[i] = node->children[i - 1];
    }
    node->children[at] = child;
    return true;
}

/* The nodes of a path that is not there yet, one below the other; the last has the value. */
static struct store_node *chain_new(struct store_tree *tree, const char *path,
                                    const struct store_perms *perms, const void *value, size_t size)
{
    struct store_node *top = NULL, *last = NULL;
    size_t length;

    for (path = part_next(path, &length); length; path = part_next(path + length, &length)) {
        struct store_node *node = node_new(path, length, perms);

        if (!node || (last && !child_add(last, node))) {
            store_node_put(node);
            store_node_put(top);
            return NULL;
        }
        node->generation = ++*tree->clock;
        top = top ? top : node;
        last = node;
    }
    if (size) {
        last->value = value_new(value, size);
        last->size = (uint32_t)size;
        if (!last->value) {
            store_node_put(top);
            return NULL;
        }
    }
    return top;
}

/* Counts a chain's nodes, and their names and the value, from its end on. */
static void chain_count(struct store_node *top, size_t size)
{
    uint32_t n = 1, bytes = (uint32_t)(size + strlen(top->name));

    for (struct store_node *node = top; node->nr_children; n++) {
        node = node->children[0];
        bytes += (uint32_t)strlen(node->name);
    }
    for (struct store_node *node = top;; node = node->children[0]) {
        node->nodes = n--;
        node->bytes = bytes;
        if (!node->nr_children) {
            return;
        }
        bytes -= (uint32_t)strlen(node->name);
    }
}

static long chain_attach(struct store_tree *tree, const char *path, struct store_node *node,
                         const char *rest, const void *value, size_t size, unsigned int creator)
{
    struct store_perms perms = node->perms;
    struct store_node *top;

    if (creator) {
        perms.of[0].domid = (uint16_t)creator;
    }
    top = chain_new(tree, rest, &perms, value, size);
    if (!top) {
        return -ENOMEM;
    }
    chain_count(top, size);
    if (!child_add(node, top)) {
        store_node_put(top);
        return -ENOMEM;
    }
    node->generation = ++*tree->clock;
    account(tree, path, node, top->nodes, top->bytes);
    return 0;
}

long store_put(struct store_tree *tree, const char *path, const void *value, size_t size,
               unsigned int creator)
{
    const char *rest;
    struct store_node *node = descend(tree, path, &rest);
    char *copy;

    if (!node) {
        return -ENOMEM;
    }
    if (*rest) {
        return chain_attach(tree, path, node, rest, value, size, creator);
    }
    copy = value_new(value, size);
    if (!copy) {
        return -ENOMEM;
    }
    account(tree, path, node, 0, (uint32_t)size - node->size);
    release(node->value);
    node->value = copy;
    node->size = (uint32_t)size;
    node->generation = ++*tree->clock;
    return 0;
}

long store_make(struct store_tree *tree, const char *path, unsigned int creator)
{
    const char *rest;
    struct store_node *node;

    if (store_find(tree->root, path)) {
        return 0;
    }
    node = descend(tree, path, &rest);
    return node ? chain_attach(tree, path, node, rest, NULL, 0, creator) : -ENOMEM;
}

/* The path of the parent's node and the name below it. */
static struct store_node *descend_parent(struct store_tree *tree, const char *path,
                                         const char **name)
{
    struct store_node *node = node_own(&tree->root);
    size_t length, next;
    bool found;

    path = part_next(path, &length);
    while (node && *part_next(path + length, &next)) {
        node = node_own(&node->children[child_index(node, path, length, &found)]);
        path = part_next(path + length, &length);
    }
    *name = path;
    return node;
}

long store_cut(struct store_tree *tree, const char *path)
{
    struct store_node *parent, *node;
    const char *name;
    uint32_t at;
    bool found;

    if (!store_find(tree->root, path)) {
        return -ENOENT;
    }
    if (!path[1]) {
        return -EINVAL;
    }
    parent = descend_parent(tree, path, &name);
    if (!parent) {
        return -ENOMEM;
    }
    at = child_index(parent, name, strlen(name), &found);
    node = parent->children[at];
    account(tree, path, parent, -node->nodes, -node->bytes);
    parent->nr_children--;
    for (uint32_t i = at; i < parent->nr_children; i++) {
        parent->children[i] = parent->children[i + 1];
    }
    parent->generation = ++*tree->clock;
    store_node_put(node);
    return 0;
}

long store_permit(struct store_tree *tree, const char *path, const struct store_perms *perms)
{
    const char *rest;
    struct store_node *node;

    if (!store_find(tree->root, path)) {
        return -ENOENT;
    }
    node = descend(tree, path, &rest);
    if (!node) {
        return -ENOMEM;
    }
    node->perms = *perms;
    node->generation = ++*tree->clock;
    return 0;
}
