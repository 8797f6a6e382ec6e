/* SPDX-License-Identifier: MIT */
/*
 * archive.c - the control domain's archive of files (ustar), copied with more files at its end, so
 * that they are there from the start. The serial line would take minutes for a kernel.
 */
#include "host.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BLOCK 512u

struct header {
    char name[100], mode[8], uid[8], gid[8], size[12], mtime[12], checksum[8], type;
    char link[100], magic[6], version[2], user[32], group[32], major[8], minor[8], prefix[155];
    char unused[12];
};
_Static_assert(sizeof(struct header) == BLOCK, "a header is a block");

static size_t blocks_of(size_t size)
{
    return (size + BLOCK - 1) / BLOCK * BLOCK;
}

/* Behind the last member: the archive's end mark and filling are left out. */
static size_t end_of(const uint8_t *data, size_t size)
{
    size_t at = 0;

    while (size - at >= BLOCK && data[at]) {
        struct header h;
        char octal[sizeof(h.size) + 1] = "";

        memcpy(&h, data + at, sizeof(h));
        memcpy(octal, h.size, sizeof(h.size));
        at += BLOCK + blocks_of(strtoul(octal, NULL, 8));
        if (at > size) {
            die("up: the images' archive of files is damaged");
        }
    }
    return at;
}

void archive_read(struct archive *a, const char *path)
{
    size_t size;

    a->data = read_whole(path, &size);
    a->used = end_of(a->data, size);
}

static void append(struct archive *a, const void *data, size_t size)
{
    size_t whole = blocks_of(size);

    a->data = grow(a->data, a->used + whole);
    memcpy(a->data + a->used, data, size);
    memset(a->data + a->used + size, 0, whole - size);
    a->used += whole;
}

/* A long name is divided at a slash. */
static const char *divided_at(const char *name)
{
    size_t len = strlen(name), max = sizeof(((struct header *)NULL)->name);

    return len > max ? strchr(name + len - max - 1, '/') : NULL;
}

bool archive_takes(const char *name)
{
    const char *slash = divided_at(name);

    return strlen(name) <= sizeof(((struct header *)NULL)->name) ||
           (slash && slash != name &&
            (size_t)(slash - name) <= sizeof(((struct header *)NULL)->prefix));
}

static void set_name(struct header *h, const char *name)
{
    const char *slash = divided_at(name);
    size_t len = strlen(name);

    if (!archive_takes(name)) {
        die("up: %s: too long a name for an archive", name);
    }
    if (slash) {
        memcpy(h->prefix, name, (size_t)(slash - name));
        len -= (size_t)(slash + 1 - name);
        name = slash + 1;
    }
    memcpy(h->name, name, len);
}

void archive_add(struct archive *a, const char *name, const uint8_t *data, size_t size)
{
    struct header h = { .mode = "0000644", .uid = "0000000", .gid = "0000000", .type = '0' };
    unsigned int sum = 0;

    memset(h.mtime, '0', sizeof(h.mtime) - 1);
    memset(h.checksum, ' ', sizeof(h.checksum));
    memcpy(h.magic, "ustar", sizeof(h.magic));
    memset(h.version, '0', sizeof(h.version));
    snprintf(h.size, sizeof(h.size), "%011o", (unsigned int)size);
    set_name(&h, name);
    for (size_t i = 0; i < sizeof(h); i++) {
        sum += ((const uint8_t *)&h)[i];
    }
    snprintf(h.checksum, sizeof(h.checksum), "%06o", sum);
    append(a, &h, sizeof(h));
    append(a, data, size);
}

void archive_write(const struct archive *a, const char *path)
{
    static const uint8_t end[2 * BLOCK];
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

    if (fd < 0 || !write_all(fd, a->data, a->used) || !write_all(fd, end, sizeof(end)) ||
        close(fd)) {
        die("%s: %s", path, caught_signal ? "interrupted" : strerror(errno));
    }
}
