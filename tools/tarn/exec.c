/* SPDX-License-Identifier: MIT */
/* exec.c - commands of the control domain, and files for it: xl, put, create. */
#include "definitions.h"
#include "host.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define WORDS_MAX 16384u /* of one command, as the control domain takes it */
#define PIECE (WIRE_PAYLOAD_MAX - 4)

/* ---- commands ---- */

static uint8_t *pack_words(int argc, char *const *argv, size_t *size)
{
    uint8_t *words = NULL;
    size_t used = 0;

    for (int i = 0; i < argc; i++) {
        size_t n = strlen(argv[i]) + 1;

        words = grow(words, used + n);
        memcpy(words + used, argv[i], n);
        used += n;
    }
    if (used > WORDS_MAX || argc > 128) {
        die("the command is too long");
    }
    *size = used;
    return words;
}

int exec_words(struct link *l, int argc, char *const *argv)
{
    size_t left;
    uint8_t *words = pack_words(argc, argv, &left), *at = words;
    bool ok = true;

    link_begin(l);
    for (; ok && left > WIRE_PAYLOAD_MAX; at += WIRE_PAYLOAD_MAX, left -= WIRE_PAYLOAD_MAX) {
        ok = link_send(l, WIRE_EXEC_MORE, at, WIRE_PAYLOAD_MAX);
    }
    ok = ok && link_send(l, WIRE_EXEC, at, left) && link_wait(l);
    free(words);
    return link_finish(l, ok);
}

int exec_end(struct link *l, int status)
{
    int saved = definitions_save(l, false);

    link_close(l);
    return status ? status : saved;
}

/* "poweroff", which may be abbreviated: nothing can be asked behind it. */
static bool is_last(int argc, char *const *argv)
{
    size_t n = strlen(argv[0]);

    return argc == 1 && n > 2 && !strncmp(argv[0], "poweroff", n);
}

int exec_command(int argc, char *const *argv)
{
    struct machine m;
    struct link l;
    int status;

    machine_require(&m);
    link_require(&l, &m);
    if (!is_last(argc, argv)) {
        return exec_end(&l, exec_words(&l, argc, argv));
    }
    if (definitions_save(&l, true)) {
        link_close(&l);
        machine_die(&m, "it is still up, as its definitions are not saved");
    }
    status = exec_words(&l, argc, argv);
    link_close(&l);
    return status;
}

int cmd_xl(int argc, char **argv)
{
    static char help[] = "help", *const help_words[] = { help };

    if (argc == 3 && !strcmp(argv[1], "console") && argv[2][0] != '-') {
        return cmd_console(argc - 1, argv + 1);
    }
    if (argc > 1 && !strcmp(argv[1], "virsh")) {
        return cmd_virsh(argc - 1, argv + 1);
    }
    return argc > 1 ? exec_command(argc - 1, argv + 1) : exec_command(1, help_words);
}

/* ---- files ---- */

const char *without_dot(const char *path)
{
    while (path[0] == '.' && path[1] == '/') {
        path += 2;
        path += strspn(path, "/");
    }
    return path;
}

static const char *last_part(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash ? slash + 1 : path;
}

static bool send_file(struct link *l, const char *as, const uint8_t *data, size_t size)
{
    uint8_t piece[WIRE_PAYLOAD_MAX];
    size_t name = strlen(as), n;

    link_begin(l);
    wire_put32(piece, (uint32_t)size);
    memcpy(piece + 4, as, name);
    if (!link_send(l, WIRE_PUT_NAME, piece, 4 + name)) {
        return false;
    }
    for (size_t at = 0; at < size && !l->done && !l->interrupted; at += n) {
        n = size - at < PIECE ? size - at : PIECE;
        wire_put32(piece, (uint32_t)at);
        memcpy(piece + 4, data + at, n);
        if (!link_send(l, WIRE_PUT, piece, 4 + n)) {
            return false;
        }
    }
    return link_wait(l);
}

void bring_over_line(void *link, const char *as, const uint8_t *data, size_t size)
{
    struct link *l = link;
    int status = link_finish(l, send_file(l, as, data, size));

    if (status) {
        link_close(l);
        exit(status);
    }
    definitions_keep_file(l->machine, as, data, size);
}

void bring_path(bring_fn *bring, void *arg, const char *path, const char *as)
{
    size_t size;
    uint8_t *data = read_whole(path, &size);

    if (!*as || strlen(as) > CONTROL_NAME_MAX) {
        die("%s: the control domain takes names of 1 to %u characters", as, CONTROL_NAME_MAX);
    }
    if (size > 256u << 20) {
        die("%s: the control domain takes files of up to 256 MiB", as);
    }
    bring(arg, as, data, size);
    free(data);
}

void bring_file(bring_fn *bring, void *arg, const char *path)
{
    bring_path(bring, arg, path, last_part(path));
}

int cmd_put(int argc, char **argv)
{
    struct machine m;
    struct link l;

    if (argc < 2 || argc > 3) {
        usage_die("put");
    }
    if (access(argv[1], R_OK)) {
        die("%s: cannot be read", argv[1]);
    }
    machine_require(&m);
    link_require(&l, &m);
    bring_path(bring_over_line, &l, argv[1], argc == 3 ? argv[2] : last_part(argv[1]));
    link_close(&l);
    return 0;
}

/* ---- create ---- */

char *host_file(const char *domfile, const char *name)
{
    char *beside;

    if (!access(name, F_OK)) {
        return join("%s", name);
    }
    if (name[0] != '/' && strchr(domfile, '/')) {
        beside = join("%.*s/%s", (int)(last_part(domfile) - domfile), domfile, name);
        if (!access(beside, F_OK)) {
            return beside;
        }
        free(beside);
    }
    return NULL;
}

/* What an override gives, else what the file says; a value may be in quotes, as xl has it. */
static char *value_of(const char *key, const uint8_t *text, size_t size, int argc,
                      char *const *argv)
{
    char *value = domfile_value((const char *)text, size, key);
    size_t n = strlen(key);

    for (int i = 0; i < argc; i++) {
        char *quoted = domfile_value(argv[i], strlen(argv[i]), key);

        if (quoted) {
            value = quoted;
        } else if (!strncmp(argv[i], key, n) && argv[i][n] == '=') {
            value = argv[i] + n + 1;
        }
    }
    return value;
}

const char *domain_file_name(const char *path)
{
    const char *as = without_dot(path);

    return strlen(as) > CONTROL_NAME_MAX ? last_part(as) : as;
}

/* A domain file and what it names; its emulator's domain file likewise, but for an emulator that
 * would have one itself. */
static void bring_all_of(bring_fn *bring, void *arg, int argc, char *const *argv, const char *as,
                         bool emulator)
{
    static const char *const keys[] = { "kernel", "ramdisk", "emulator" };
    size_t size;
    uint8_t *text = read_whole(argv[0], &size);

    for (size_t i = 0; i < COUNT(keys) - emulator; i++) {
        char *name = value_of(keys[i], text, size, argc - 1, argv + 1);
        char *path = name && *name ? host_file(argv[0], name) : NULL;

        if (path && i == 2) {
            bring_all_of(bring, arg, 1, &path, without_dot(name), true);
        } else if (path) {
            bring_path(bring, arg, path, without_dot(name));
        }
        free(path);
    }
    free(text);
    bring_path(bring, arg, argv[0], as);
}

void bring_emulator(bring_fn *bring, void *arg, char *path, const char *as)
{
    bring_all_of(bring, arg, 1, &path, as, true);
}

/* The domain file and what it needs go under the names by which it is known here, so that messages
 * name the user's files and two kernels of one name don't meet. */
void bring_domain(bring_fn *bring, void *arg, int argc, char *const *argv)
{
    bring_all_of(bring, arg, argc, argv, domain_file_name(argv[0]), false);
}

int create_brought(struct link *l, int argc, char *const *argv)
{
    static char create[] = "create";
    char **words = grow(NULL, sizeof(*words) * (size_t)(argc + 1));

    words[0] = create;
    words[1] = join("%s", domain_file_name(argv[0]));
    memcpy(words + 2, argv + 1, sizeof(*words) * (size_t)(argc - 1));
    return exec_words(l, argc + 1, words);
}

int cmd_create(int argc, char **argv)
{
    struct machine m;
    struct link l;
    char *file;
    int status, at = 1;

    while (at < argc && argv[at][0] == '-') {
        at++;
    }
    if (at == argc) {
        usage_die("create");
    }
    file = argv[at]; /* comes first, and options behind it */
    memmove(argv + 2, argv + 1, (size_t)(at - 1) * sizeof(*argv));
    argv[1] = file;
    if (access(argv[1], R_OK)) {
        die("%s: cannot be read", argv[1]);
    }
    machine_require(&m);
    link_require(&l, &m);
    bring_domain(bring_over_line, &l, argc - 1, argv + 1);
    status = create_brought(&l, argc - 1, argv + 1);
    return exec_end(&l, status);
}
