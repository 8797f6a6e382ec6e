/* SPDX-License-Identifier: MIT */
/* storefile.c - the kernels and other files of a store's definitions (store.h), in its files/. */
#include "store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FOLDER "files"

static const char *last_part(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash ? slash + 1 : path;
}

/* Two files of one name, from different folders, don't meet. */
static char *file_for(const char *as)
{
    char *file = join("%.80s-%08x", last_part(as), wire_crc(as, strlen(as)));

    for (char *p = file; *p; p++) {
        if (!strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._+-", *p) ||
            (p == file && *p == '.')) {
            *p = '_';
        }
    }
    return file;
}

static size_t index_of(const struct store *s, const char *as)
{
    size_t i = 0;

    while (i < s->nr_files && strcmp(s->files[i].as, as) != 0) {
        i++;
    }
    return i;
}

static bool is_there(const char *path, const uint8_t *data, size_t size)
{
    struct stat st;
    size_t found;
    uint8_t *old;
    bool same;

    if (lstat(path, &st) || !S_ISREG(st.st_mode) || (size_t)st.st_size != size) {
        return false;
    }
    old = read_whole(path, &found);
    same = found == size && !memcmp(old, data, size);
    free(old);
    return same;
}

static bool write_copy(const char *path, const uint8_t *data, size_t size)
{
    char *new = join("%s.new", path);
    int fd = open(new, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0666);
    bool ok = fd >= 0 && write_all(fd, data, size) && fsync(fd) == 0;

    if (fd >= 0) {
        ok = close(fd) == 0 && ok;
    }
    ok = ok && rename(new, path) == 0;
    if (!ok) {
        complain("%s: %s", path, caught_signal ? "interrupted" : strerror(errno));
        unlink(new);
    }
    free(new);
    return ok;
}

bool store_keep(struct store *s, const char *as, const uint8_t *data, size_t size)
{
    char *file = file_for(as), *path = join("%s/" FOLDER "/%s", s->path, file);
    bool ok = !mkdirat(s->fd, FOLDER, 0777) || errno == EEXIST;

    ok = ok && (is_there(path, data, size) || write_copy(path, data, size));
    if (ok && index_of(s, as) == s->nr_files) {
        s->files = grow(s->files, (s->nr_files + 1) * sizeof(*s->files));
        s->files[s->nr_files++] = (struct stored_file){ .file = join("%s", file),
                                                        .as = join("%s", as) };
        ok = store_write(s);
    }
    free(path);
    free(file);
    return ok;
}

/* As the control domain looks for a file: by the name, or by its last part. */
static size_t find(const struct store *s, const char *name)
{
    size_t i;

    while (name[0] == '.' && name[1] == '/') {
        name += 2;
    }
    i = index_of(s, name);
    return i < s->nr_files ? i : index_of(s, last_part(name));
}

char *store_file(const struct store *s, const char *name, const char **as)
{
    size_t i = find(s, name);

    if (i == s->nr_files) {
        return NULL;
    }
    *as = s->files[i].as;
    return join("%s/" FOLDER "/%s", s->path, s->files[i].file);
}

/* ---- which are wanted ---- */

static void want_named(const struct store *s, const char *text, size_t size, bool *wanted);

static void want(const struct store *s, const char *name, bool *wanted)
{
    size_t i = find(s, name), size;
    uint8_t *text;
    char *path;

    if (i == s->nr_files || wanted[i]) {
        return;
    }
    wanted[i] = true;
    path = join("%s/" FOLDER "/%s", s->path, s->files[i].file);
    if (!access(path, R_OK) && strlen(name) > 4 && !strcmp(name + strlen(name) - 4, ".cfg")) {
        text = read_whole(path, &size);
        want_named(s, (const char *)text, size, wanted);
        free(text);
    }
    free(path);
}

/* What a domain file names, and what an emulator's that it names does. */
static void want_named(const struct store *s, const char *text, size_t size, bool *wanted)
{
    static const char *const keys[] = { "kernel", "ramdisk", "emulator" };

    for (size_t i = 0; i < COUNT(keys); i++) {
        char *name = domfile_value(text, size, keys[i]);

        if (name) {
            want(s, name, wanted);
        }
        free(name);
    }
}

void store_collect(struct store *s, const struct definitions *d)
{
    bool *wanted = grow(NULL, s->nr_files * sizeof(*wanted));
    size_t left = 0;

    memset(wanted, 0, s->nr_files * sizeof(*wanted));
    for (size_t i = 0; i < d->n; i++) {
        want_named(s, d->all[i].text, d->all[i].size, wanted);
    }
    for (size_t i = 0; i < s->nr_files; i++) {
        char *path = join("%s/" FOLDER "/%s", s->path, s->files[i].file);

        if (wanted[i]) {
            s->files[left++] = s->files[i];
        } else {
            unlink(path);
            free(s->files[i].file);
            free(s->files[i].as);
        }
        free(path);
    }
    s->nr_files = left;
    free(wanted);
}
