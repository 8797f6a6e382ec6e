/* SPDX-License-Identifier: MIT */
/*
 * archive.c - the files that the control domain knows: those of its initrd, and those that the host
 * put beside them. A list in order of names; contents of put files are from the heap, those of the
 * initrd stay where they are.
 */
#include "shell.h"
#include "ustar.h"

struct node {
    struct file file; /* first: callers see only this */
    struct node *next;
    bool put; /* by the host: name and data are ours to release */
    char name[];
};

static struct node *files;

static struct node *node_find(const char *name)
{
    for (struct node *n = files; n; n = n->next) {
        if (strcmp(n->name, name) == 0) {
            return n;
        }
    }
    return NULL;
}

static const char *last_part(const char *name)
{
    const char *last = name;

    for (; *name; name++) {
        if (name[0] == '/' && name[1]) {
            last = name + 1;
        }
    }
    return last;
}

const struct file *file_find(const char *name)
{
    const struct node *n;

    while (text_begins(name, "./")) {
        name += 2;
    }
    n = node_find(name);
    if (!n && name[0] == '/') { /* as an archive has it */
        n = node_find(name + 1);
    }
    if (!n) {
        n = node_find(last_part(name));
    }
    return n ? &n->file : NULL;
}

const struct file *file_nth(unsigned int nth)
{
    const struct node *n = files;

    while (n && nth--) {
        n = n->next;
    }
    return n ? &n->file : NULL;
}

static void insert(struct node *node)
{
    struct node **at = &files;

    while (*at && strcmp((*at)->name, node->name) < 0) {
        at = &(*at)->next;
    }
    node->next = *at;
    *at = node;
}

static long add(const char *name, const void *data, size_t size, bool put)
{
    size_t len = strlen(name);
    struct node *node = allocate(sizeof(*node) + len + 1);

    if (!node) {
        return -XEN_ENOMEM;
    }
    memcpy(node->name, name, len + 1);
    node->file = (struct file){ .name = node->name, .data = data, .size = size };
    node->put = put;
    insert(node);
    return 0;
}

static void drop(struct node *node)
{
    struct node **at = &files;

    while (*at != node) {
        at = &(*at)->next;
    }
    *at = node->next;
    if (node->put) {
        release((void *)(uintptr_t)node->file.data);
    }
    release(node);
}

/* A name that can be typed. */
static bool name_good(const char *name)
{
    size_t n = 0;

    for (; name[n]; n++) {
        if (name[n] <= ' ' || name[n] > '~') {
            return false;
        }
    }
    return n > 0 && n < USTAR_NAME_SIZE;
}

long file_put(const char *name, void *data, size_t size)
{
    struct node *old;
    long rc;

    if (!name_good(name)) {
        return -XEN_EINVAL;
    }
    old = node_find(name);
    rc = add(name, data, size, true);
    if (rc == 0 && old) {
        drop(old);
    }
    return rc;
}

/* A later member replaces an earlier one of that name. */
static void archive_read(const void *archive, size_t size)
{
    static struct ustar_member member;
    const char *why = "";
    size_t offset = 0;
    int rc;

    while ((rc = ustar_next(archive, size, &offset, &member, &why)) > 0) {
        struct node *old = member.file ? node_find(member.name) : NULL;

        if (!member.file || !name_good(member.name)) {
            continue;
        }
        if (add(member.name, member.data, member.size, false)) {
            printf("control: no memory for the list of files\n");
            return;
        }
        if (old) {
            drop(old);
        }
    }
    if (rc < 0) {
        printf("control: the archive is damaged at byte %lu: %s\n", offset, why);
    }
}

void archive_init(void)
{
    const struct start_info *si = start_info;
    const void *archive = (const void *)si->mod_start;

    if (!si->mod_start || !si->mod_len) {
        printf("control: no archive of files\n");
        return;
    }
    if (si->flags & SIF_MOD_START_PFN) {
        archive = pfn_to_virt(si->mod_start);
    }
    archive_read(archive, si->mod_len);
}
