/* SPDX-License-Identifier: MIT */
/*
 * definitions.c - between a machine's control domain, which keeps definitions in its memory, and
 * the folder on the host (store.h) that the machine was started with: there at its start, and back
 * after each command that changed them. The machine's folder knows the other one's path, and the
 * generation of what was saved last.
 */
#include "definitions.h"
#include "store.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DUMP_MAX (4u << 20)

/* ---- lists ---- */

bool definition_name_ok(const char *name)
{
    size_t n = strlen(name);

    return n > 0 && n < 32 && *name != '-' &&
           strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.+:") == n;
}

void definitions_add(struct definitions *d, const char *name, const char *text, size_t size)
{
    struct definition *new;

    d->all = grow(d->all, (d->n + 1) * sizeof(*d->all));
    new = &d->all[d->n++];
    new->name = join("%s", name);
    new->text = memcpy(grow(NULL, size + 1), text, size);
    new->text[size] = '\0';
    new->size = size;
}

void definitions_free(struct definitions *d)
{
    for (size_t i = 0; i < d->n; i++) {
        free(d->all[i].name);
        free(d->all[i].text);
    }
    free(d->all);
    *d = (struct definitions){ .n = 0 };
}

/* One of "definition NAME BYTES\n" and its text; how long it is, 0: wrong. */
static size_t parse_one(struct definitions *d, const char *text, size_t left)
{
    char name[32];
    unsigned int size;
    int at = 0;

    if (sscanf(text, "definition %31s %8u\n%n", name, &size, &at) != 2 || !at ||
        text[at - 1] != '\n' || !definition_name_ok(name)) {
        return 0;
    }
    at = (int)(strchr(text, '\n') + 1 - text); /* the text itself may begin with blanks */
    if (left - (size_t)at <= size || text[(size_t)at + size] != '\n') {
        return 0;
    }
    definitions_add(d, name, text + at, size);
    return (size_t)at + size + 1;
}

bool definitions_parse(struct definitions *d, const char *text, size_t size, char *generation,
                       size_t room)
{
    static const char first[] = "generation ", last[] = "end\n";
    size_t n, at;

    *d = (struct definitions){ .n = 0 };
    if (size < sizeof(first) || strncmp(text, first, sizeof(first) - 1) != 0) {
        return false;
    }
    text += sizeof(first) - 1;
    size -= sizeof(first) - 1;
    n = strspn(text, "0123456789abcdef");
    if (!n || n >= room || text[n] != '\n') {
        return false;
    }
    memcpy(generation, text, n);
    generation[n] = '\0';
    for (n++; n < size; n += at) {
        if (size - n == strlen(last) && !strcmp(text + n, last)) {
            return true;
        }
        at = parse_one(d, text + n, size - n);
        if (!at) {
            break;
        }
    }
    definitions_free(d);
    return false;
}

/* ---- the control domain ---- */

static void capture(void *arg, const uint8_t *payload, size_t len)
{
    struct text *t = arg;

    if (t->size + len <= DUMP_MAX) {
        t->data = grow(t->data, t->size + len + 1);
        memcpy(t->data + t->size, payload, len);
        t->size += len;
        t->data[t->size] = '\0';
    }
}

/* What the command "definitions OPTION" prints, new. NULL after complain(). */
static char *ask(struct link *l, const char *option, size_t *size)
{
    struct text t = { .data = NULL };
    uint8_t words[32];
    size_t n = (size_t)snprintf((char *)words, sizeof(words), "definitions%c%s", 0, option) + 1;
    bool ok;

    link_begin(l);
    l->out_to = capture;
    l->out_arg = &t;
    ok = link_send(l, WIRE_EXEC, words, n) && link_wait(l);
    l->out_to = NULL;
    if (ok && !l->refused && !l->status && t.data) {
        *size = t.size;
        return t.data;
    }
    complain("machine %s: its definitions can't be had: %s", l->machine->name,
             !ok          ? l->why
             : l->refused ? "refused"
                          : "the command failed");
    free(t.data);
    return NULL;
}

/* ---- what the machine's folder knows ---- */

/* A line of a file there; false: there is none. */
static bool recall(const struct machine *m, const char *file, char *line, size_t size)
{
    char *path = machine_path(m, file);
    FILE *f = fopen(path, "re");
    bool ok = f && fgets(line, (int)size, f) != NULL;

    free(path);
    if (f) {
        fclose(f);
    }
    if (ok) {
        line[strcspn(line, "\n")] = '\0';
    }
    return ok;
}

static void note(const struct machine *m, const char *file, const char *line)
{
    char *path = machine_path(m, file), *new = join("%s.new", path);
    FILE *f = fopen(new, "we");

    if (!f || fprintf(f, "%s\n", line) < 0 || fclose(f) || rename(new, path)) {
        complain("%s: %s", path, strerror(errno));
    }
    free(path);
    free(new);
}

static bool store_of(const struct machine *m, char *path)
{
    return recall(m, MACHINE_STORE, path, PATH_MAX);
}

/* The machine's own, opened; false after complain(). */
static bool open_own(struct store *s, const struct machine *m, const char *path)
{
    if (!store_open(s, path)) {
        return false;
    }
    if (s->user.pid == m->pid && s->user.start == m->start && !strcmp(s->user.folder, m->folder)) {
        return true;
    }
    complain("%s: another machine has taken it over: nothing is saved", path);
    store_close(s);
    return false;
}

/* ---- back to the host ---- */

static int save(struct link *l, const char *path)
{
    struct definitions d;
    struct store s;
    char generation[32];
    size_t size;
    char *dump = ask(l, "-d", &size);
    bool ok = dump && definitions_parse(&d, dump, size, generation, sizeof(generation));

    if (dump && !ok) {
        complain("machine %s: its definitions are not whole", l->machine->name);
    }
    free(dump);
    if (!ok) {
        return STATUS_FAILED;
    }
    ok = open_own(&s, l->machine, path);
    if (ok) {
        ok = store_save(&s, &d);
        store_close(&s);
        note(l->machine, MACHINE_GENERATION, generation);
    }
    definitions_free(&d);
    return ok ? 0 : STATUS_FAILED;
}

int definitions_save(struct link *l, bool always)
{
    char path[PATH_MAX], known[32] = "", *now;
    size_t size;
    bool same;

    if (!store_of(l->machine, path)) {
        return 0;
    }
    if (!always && recall(l->machine, MACHINE_GENERATION, known, sizeof(known))) {
        now = ask(l, "-g", &size);
        if (!now) {
            return STATUS_FAILED;
        }
        same = !strncmp(now, known, strlen(known)) && now[strlen(known)] == '\n';
        free(now);
        if (same) {
            return 0;
        }
    }
    return save(l, path);
}

void definitions_keep_file(const struct machine *m, const char *as, const uint8_t *data,
                           size_t size)
{
    char path[PATH_MAX];
    struct store s;

    if (!store_of(m, path) || !open_own(&s, m, path)) {
        return;
    }
    (void)store_keep(&s, as, data, size);
    store_close(&s);
}

void definitions_save_now(const struct machine *m)
{
    static struct link l;
    char path[PATH_MAX];

    if (caught_signal || !store_of(m, path) || !machine_alive(m)) {
        return;
    }
    if (!link_open(&l, m, options.timeout)) {
        complain("machine %s: its definitions can't be had: %s", m->name, l.why);
    } else {
        (void)definitions_save(&l, false);
    }
    link_close(&l);
}

void definitions_leave(const struct machine *m)
{
    struct definitions d;
    char path[PATH_MAX];
    struct store s;

    if (!store_of(m, path) || !open_own(&s, m, path)) {
        return;
    }
    if (store_read(&s, false, &d)) {
        store_collect(&s, &d);
        definitions_free(&d);
    }
    s.user.pid = 0;
    (void)store_write(&s);
    store_close(&s);
}

/* ---- to a new machine ---- */

static void open_free(struct store *s, const char *path)
{
    if (!store_open(s, path)) {
        exit(STATUS_FAILED);
    }
    if (s->user.pid && machine_alive(&s->user)) {
        die("%s: %s (pid %d) uses it", path, s->user.folder, (int)s->user.pid);
    }
}

static void bring_named(struct store *s, const char *text, size_t size, bring_fn *bring, void *arg,
                        int depth);

/* A file that a definition names: our copy, or one that lies beside the definition or where it
 * says. If there is none, it is one of the control domain's, or that says what is missing. */
static void bring_one(struct store *s, const char *name, bring_fn *bring, void *arg, int depth)
{
    const char *as = without_dot(name);
    char *path = store_file(s, name, &as);
    bool copy = path && !access(path, R_OK);
    uint8_t *data;
    size_t size;

    if (!copy) {
        free(path);
        path = name[0] == '/' ? join("%s", name) : join("%s/%s", s->path, name);
    }
    if (!archive_takes(as)) {
        complain("%s: too long a name for an archive: it is not brought along", as);
    } else if (!access(path, R_OK) && strlen(as) <= CONTROL_NAME_MAX) {
        data = read_whole(path, &size);
        if (depth == 0) {
            bring_named(s, (const char *)data, size, bring, arg, 1);
        }
        bring(arg, as, data, size);
        if (!copy) {
            (void)store_keep(s, as, data, size);
        }
        free(data);
    }
    free(path);
}

/* depth 0: a definition; 1: an emulator's domain file. */
static void bring_named(struct store *s, const char *text, size_t size, bring_fn *bring, void *arg,
                        int depth)
{
    static const char *const keys[] = { "kernel", "ramdisk", "emulator" };

    for (size_t i = 0; i < COUNT(keys) - (size_t)depth; i++) {
        char *name = domfile_value(text, size, keys[i]);

        if (name && *name) {
            bring_one(s, name, bring, arg, i == 2 ? 0 : 1);
        }
        free(name);
    }
}

void definitions_bring(const char *path, bring_fn *bring, void *arg)
{
    struct definitions d;
    struct store s;

    open_free(&s, path);
    if (!store_read(&s, true, &d)) {
        exit(STATUS_FAILED);
    }
    store_collect(&s, &d);
    if (!store_write(&s)) {
        exit(STATUS_FAILED);
    }
    for (size_t i = 0; i < d.n; i++) {
        char *as = join("definitions/%s.cfg", d.all[i].name);

        bring_named(&s, d.all[i].text, d.all[i].size, bring, arg, 0);
        bring(arg, as, (const uint8_t *)d.all[i].text, d.all[i].size);
        free(as);
    }
    definitions_free(&d);
    store_close(&s);
}

/* The folder is that machine's. What the control domain refused stays as it lies there, and is none
 * of ours. */
static void take_over(struct store *s, const struct machine *m, const struct definitions *loaded)
{
    struct definitions d;
    bool ok = store_read(s, false, &d);

    s->user = *m;
    ok = ok && (store_adopt(s, &d, loaded), store_write(s)) && store_save(s, loaded);
    if (!ok) {
        exit(STATUS_FAILED);
    }
    definitions_free(&d);
}

void definitions_begin(struct link *l, const char *path)
{
    static char definitions[] = "definitions",
                load[] = "-l", *const words[] = { definitions, load };
    const struct machine *m = l->machine;
    struct definitions loaded;
    struct store s;
    char generation[32], *dump;
    size_t size;

    if (exec_words(l, 2, words)) {
        complain("%s: some definitions are left out", path);
    }
    dump = ask(l, "-d", &size);
    if (!dump || !definitions_parse(&loaded, dump, size, generation, sizeof(generation))) {
        machine_die(m, "its control domain does not tell its definitions");
    }
    free(dump);
    open_free(&s, path);
    take_over(&s, m, &loaded);
    store_close(&s);
    definitions_free(&loaded);
    note(m, MACHINE_STORE, path);
    note(m, MACHINE_GENERATION, generation);
}
