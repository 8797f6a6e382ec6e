/* SPDX-License-Identifier: MIT */
/*
 * store.c - see store.h. The list of what is ours, .tarn, is written before the files, with their
 * old and their new sums, and once more behind them: whenever it all ends, each file that we wrote
 * has a sum in the list. Locked while it is used, so that two programs take turns.
 */
#include "store.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define LIST ".tarn"
#define NEW ".tarn.new"
#define FIRST_LINE "tarn 1\n"
#define TEXT_MAX 16384u /* of a definition, as the control domain takes it */
#define SUFFIX ".cfg"

static bool wrong(const struct store *s, const char *file, const char *why)
{
    complain("%s/%s: %s", s->path, file, why);
    return false;
}

/* ---- files in the folder ---- */

/* All of a small regular file, terminated; NULL and errno: ENOENT, or EINVAL when it is another
 * thing. */
static char *read_small(const struct store *s, const char *file, size_t max, size_t *size)
{
    int fd = openat(s->fd, file, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    struct stat st;
    char *data = NULL;
    ssize_t n;

    if (fd < 0) {
        errno = errno == ENOENT ? ENOENT : EINVAL;
        return NULL;
    }
    if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode)) {
        data = grow(NULL, max + 2);
        n = read(fd, data, max + 1);
        *size = n < 0 ? 0 : (size_t)n;
        data[*size] = '\0';
    }
    close(fd);
    if (data && *size > max) {
        free(data);
        data = NULL;
    }
    errno = EINVAL;
    return data;
}

/* As a whole or not at all, also when the power goes. */
static bool write_file(const struct store *s, const char *file, const void *data, size_t size)
{
    int fd = openat(s->fd, NEW, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0666);
    bool ok = fd >= 0;

    for (size_t at = 0; ok && at < size;) {
        ssize_t n = write(fd, (const char *)data + at, size - at);

        ok = n > 0 || (n < 0 && errno == EINTR);
        at += n > 0 ? (size_t)n : 0;
    }
    ok = ok && fsync(fd) == 0;
    if (fd >= 0) {
        ok = close(fd) == 0 && ok;
    }
    ok = ok && renameat(s->fd, NEW, s->fd, file) == 0;
    if (!ok) {
        int error = errno;

        (void)unlinkat(s->fd, NEW, 0);
        return wrong(s, file, strerror(error));
    }
    return true;
}

/* ---- the list ---- */

static void know_definition(struct store *s, const char *name, uint32_t crc)
{
    s->definitions = grow(s->definitions, (s->nr_definitions + 1) * sizeof(*s->definitions));
    s->definitions[s->nr_definitions++] = (struct stored_definition){ .crc = crc,
                                                                      .name = join("%s", name) };
}

static void know_file(struct store *s, const char *file, const char *as)
{
    s->files = grow(s->files, (s->nr_files + 1) * sizeof(*s->files));
    s->files[s->nr_files++] = (struct stored_file){ .file = join("%s", file),
                                                    .as = join("%s", as) };
}

static void forget_definitions(struct store *s)
{
    for (size_t i = 0; i < s->nr_definitions; i++) {
        free(s->definitions[i].name);
    }
    s->nr_definitions = 0;
}

static bool is_ours(const struct store *s, const char *name, uint32_t crc)
{
    for (size_t i = 0; i < s->nr_definitions; i++) {
        if (s->definitions[i].crc == crc && !strcmp(s->definitions[i].name, name)) {
            return true;
        }
    }
    return false;
}

static bool take_line(struct store *s, char *line)
{
    char one[256], other[256];
    uint32_t crc;
    int pid, at = 0;

    if (sscanf(line, "definition %8" SCNx32 " %31s%n", &crc, one, &at) == 2 && !line[at]) {
        know_definition(s, one, crc);
    } else if (sscanf(line, "file %127s %127s%n", one, other, &at) == 2 && !line[at]) {
        know_file(s, one, other);
        return !strchr(one, '/');
    } else if (sscanf(line, "user %d %" SCNu64 " %n", &pid, &s->user.start, &at) == 2 && at) {
        s->user.pid = pid;
        snprintf(s->user.folder, sizeof(s->user.folder), "%s", line + at);
    } else {
        return false;
    }
    return true;
}

static bool read_list(struct store *s)
{
    size_t size, first = strlen(FIRST_LINE);
    char *text = read_small(s, LIST, 1u << 20, &size), *line, *rest;
    bool ok;

    if (!text) {
        return errno == ENOENT ? true : wrong(s, LIST, "can't be read");
    }
    ok = strlen(text) == size && !strncmp(text, FIRST_LINE, first);
    rest = ok ? text + first : NULL;
    while (ok && (line = strsep(&rest, "\n")) != NULL && *line) {
        ok = take_line(s, line);
    }
    free(text);
    return ok ? true : wrong(s, LIST, "is not tarn's");
}

bool store_write(struct store *s)
{
    char *text = NULL;
    size_t size;
    FILE *f = open_memstream(&text, &size);
    bool ok;

    if (!f) {
        die("out of memory");
    }
    fputs(FIRST_LINE, f);
    if (s->user.pid) {
        fprintf(f, "user %d %" PRIu64 " %s\n", (int)s->user.pid, s->user.start, s->user.folder);
    }
    for (size_t i = 0; i < s->nr_definitions; i++) {
        fprintf(f, "definition %08" PRIx32 " %s\n", s->definitions[i].crc, s->definitions[i].name);
    }
    for (size_t i = 0; i < s->nr_files; i++) {
        fprintf(f, "file %s %s\n", s->files[i].file, s->files[i].as);
    }
    ok = fclose(f) == 0 && write_file(s, LIST, text, size);
    free(text);
    return ok;
}

bool store_open(struct store *s, const char *path)
{
    uint64_t end = now_ms() + options.timeout;

    *s = (struct store){ .path = path };
    s->fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (s->fd < 0) {
        complain("%s: %s", path, strerror(errno));
        return false;
    }
    while (flock(s->fd, LOCK_EX | LOCK_NB)) {
        if (now_ms() >= end || caught_signal) {
            complain("%s: another tarn command is at work on it", path);
            store_close(s);
            return false;
        }
        sleep_ms(10);
    }
    if (!read_list(s)) {
        store_close(s);
        return false;
    }
    return true;
}

void store_close(struct store *s)
{
    forget_definitions(s);
    for (size_t i = 0; i < s->nr_files; i++) {
        free(s->files[i].file);
        free(s->files[i].as);
    }
    free(s->definitions);
    free(s->files);
    if (s->fd >= 0) {
        close(s->fd);
    }
    *s = (struct store){ .fd = -1 };
}

/* ---- definitions ---- */

static char *file_of(const char *name)
{
    return join("%s" SUFFIX, name);
}

/* That of a file "NAME.cfg", new; NULL: it is called otherwise. */
static char *name_of(const char *file)
{
    size_t n = strlen(file), suffix = strlen(SUFFIX);
    char *name;

    if (n <= suffix || strcmp(file + n - suffix, SUFFIX) != 0) {
        return NULL;
    }
    name = join("%.*s", (int)(n - suffix), file);
    if (!definition_name_ok(name)) {
        free(name);
        return NULL;
    }
    return name;
}

static void read_one(const struct store *s, const char *file, bool tell, struct definitions *d)
{
    char *name = name_of(file), *text, *inside;
    size_t size;

    if (!name) {
        return;
    }
    text = read_small(s, file, TEXT_MAX, &size);
    inside = text ? domfile_value(text, size, "name") : NULL;
    if (text && inside && !strcmp(inside, name)) {
        definitions_add(d, name, text, size);
    } else if (tell) {
        wrong(s, file,
              text ? "no definition: its name= is another one"
                   : "no definition: not a file, not readable, or too large");
    }
    free(inside);
    free(text);
    free(name);
}

static int any(const struct dirent *e)
{
    (void)e;
    return 1;
}

bool store_read(const struct store *s, bool tell, struct definitions *d)
{
    struct dirent **entries;
    int n = scandirat(s->fd, ".", &entries, any, alphasort);

    *d = (struct definitions){ .n = 0 };
    if (n < 0) {
        return wrong(s, ".", strerror(errno));
    }
    for (int i = 0; i < n; i++) {
        read_one(s, entries[i]->d_name, tell, d);
        free(entries[i]);
    }
    free(entries);
    return true;
}

enum fate { SAME, WRITE, FOREIGN };

/* What to do about a definition's file. */
static enum fate fate_of(const struct store *s, const struct definition *d)
{
    char *file = file_of(d->name), *old;
    enum fate fate = FOREIGN;
    size_t size = 0;

    old = read_small(s, file, TEXT_MAX, &size);
    if (!old) {
        fate = errno == ENOENT ? WRITE : FOREIGN;
    } else if (size == d->size && !memcmp(old, d->text, size)) {
        fate = SAME;
    } else if (is_ours(s, d->name, wire_crc(old, size))) {
        fate = WRITE;
    }
    free(old);
    free(file);
    return fate;
}

static bool has(const struct definitions *d, const char *name)
{
    for (size_t i = 0; i < d->n; i++) {
        if (!strcmp(d->all[i].name, name)) {
            return true;
        }
    }
    return false;
}

void store_adopt(struct store *s, const struct definitions *d, const struct definitions *which)
{
    forget_definitions(s);
    for (size_t i = 0; i < d->n; i++) {
        if (has(which, d->all[i].name)) {
            know_definition(s, d->all[i].name, wire_crc(d->all[i].text, d->all[i].size));
        }
    }
}

/* Its definition is gone. Somebody else's text stays. */
static void remove_one(const struct store *s, const char *name)
{
    char *file = file_of(name), *old;
    size_t size = 0;

    old = read_small(s, file, TEXT_MAX, &size);
    if (old && is_ours(s, name, wire_crc(old, size))) {
        (void)unlinkat(s->fd, file, 0);
    } else if (old) {
        wrong(s, file, "was changed by somebody else: it stays, though its definition is gone");
    }
    free(old);
    free(file);
}

static bool write_one(const struct store *s, const struct definition *d, enum fate fate)
{
    char *file = file_of(d->name);
    bool ok = true;

    if (fate == FOREIGN) {
        ok = wrong(s, file, "is not tarn's, or was changed: the definition is not saved");
    } else if (fate == WRITE) {
        ok = write_file(s, file, d->text, d->size);
    }
    free(file);
    return ok;
}

/* Whether the folder has what it should have already. */
static bool saved(const struct store *s, const struct definitions *d, enum fate *fates)
{
    bool same = s->nr_definitions == d->n;

    for (size_t i = 0; i < d->n; i++) {
        fates[i] = fate_of(s, &d->all[i]);
        same = same && fates[i] == SAME;
    }
    for (size_t i = 0; i < s->nr_definitions; i++) {
        same = same && has(d, s->definitions[i].name);
    }
    return same;
}

bool store_save(struct store *s, const struct definitions *d)
{
    enum fate *fates = grow(NULL, d->n * sizeof(*fates));
    size_t before = s->nr_definitions;
    bool ok = true;

    if (saved(s, d, fates)) {
        free(fates);
        return true;
    }
    for (size_t i = 0; i < d->n; i++) {
        if (fates[i] != FOREIGN) {
            know_definition(s, d->all[i].name, wire_crc(d->all[i].text, d->all[i].size));
        }
    }
    ok = store_write(s);
    for (size_t i = 0; i < before && ok; i++) {
        if (!has(d, s->definitions[i].name)) {
            remove_one(s, s->definitions[i].name);
        }
    }
    for (size_t i = 0; i < d->n; i++) {
        ok = write_one(s, &d->all[i], fates[i]) && ok;
    }
    if (ok) {
        store_adopt(s, d, d);
        ok = store_write(s);
    }
    (void)fsync(s->fd);
    free(fates);
    return ok;
}
