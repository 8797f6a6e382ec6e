/* SPDX-License-Identifier: MIT */
/*
 * storetree.h - the store's nodes: a tree of names with values and permissions. Trees share nodes:
 * one that holds a reference to a root sees it unchanged for ever, since who changes a tree copies
 * the nodes on the way that others hold as well. That is all that a transaction needs.
 * Paths are absolute, have no empty parts and at most STORE_DEPTH_MAX of them; store_path_valid
 * tells. Memory comes from allocate() and goes back by release(); out of it, a call fails with
 * -ENOMEM and the tree says what it said before.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define STORE_DEPTH_MAX 32u
#define STORE_PERMS_MAX 8u
#define STORE_VALUE_MAX 2048u

#define STORE_READ 1u
#define STORE_WRITE 2u

/* [0] is the owner, who may do anything, with what those may do that are not listed. */
struct store_perms {
    uint32_t nr;
    struct {
        uint16_t domid, access;
    } of[STORE_PERMS_MAX];
};

struct store_node {
    uint32_t refs;
    uint32_t nodes, bytes; /* of this node and all below it; bytes are those of names and values */
    uint32_t size;         /* of the value */
    char *value;           /* NUL-terminated beyond its size */
    uint64_t generation;   /* changes with value, permissions, and names of the children */
    uint32_t nr_children, room;
    struct store_node **children; /* by name */
    struct store_perms perms;
    char name[];
};

struct store_tree {
    struct store_node *root;
    uint64_t *clock; /* counts changes of all trees that share nodes */
};

/* From elsewhere: zeroed memory, or NULL. */
void *allocate(size_t size);
void release(void *p);

/* An empty root, of domain 0, readable by all; NULL: no memory. */
struct store_node *store_root_new(void);
struct store_node *store_node_get(struct store_node *node);
void store_node_put(struct store_node *node); /* NULL is fine */

bool store_path_valid(const char *path);
/* Whether path is top or below it. */
bool store_path_below(const char *top, const char *path);
/* NULL: not there. */
const struct store_node *store_find(const struct store_node *root, const char *path);
/* The deepest node on the way that there is. *missing: how many parts of the path are not. */
const struct store_node *store_nearest(const struct store_node *root, const char *path,
                                       unsigned int *missing);
/* The node of the path's first three parts, a domain's folder in /local/domain, or of fewer. */
const struct store_node *store_folder(const struct store_node *root, const char *path);
/* What a domain may do: STORE_READ, STORE_WRITE; domain 0 and the owner everything. */
unsigned int store_access(const struct store_perms *perms, unsigned int domid);

/* Sets a value. What is missing on the way is made, with its parent's permissions; if the creator
 * is not domain 0, it becomes the owner. */
long store_put(struct store_tree *tree, const char *path, const void *value, size_t size,
               unsigned int creator);
/* Likewise, but a node that is there keeps its value. */
long store_make(struct store_tree *tree, const char *path, unsigned int creator);
/* -ENOENT; -EINVAL: the root. Takes no memory if nobody else holds the tree. */
long store_cut(struct store_tree *tree, const char *path);
long store_permit(struct store_tree *tree, const char *path, const struct store_perms *perms);
