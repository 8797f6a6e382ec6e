/* SPDX-License-Identifier: MIT */
/* exec.c - commands of the control domain, and files for it: xl, put, create. */
#include "host.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define WORDS_MAX 16384u /* of one command, as the control domain takes it */
#define PIECE (WIRE_PAYLOAD_MAX - 4)
#define NAME_MAX_LEN 127u

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

int cmd_xl(int argc, char **argv)
{
    static char help[] = "help", *const help_words[] = { help };
    struct machine m;
    struct link l;
    int status;

    if (argc == 3 && !strcmp(argv[1], "console") && argv[2][0] != '-') {
        return cmd_console(argc - 1, argv + 1);
    }
    machine_require(&m);
    link_require(&l, &m);
    status = argc > 1 ? exec_words(&l, argc - 1, argv + 1) : exec_words(&l, 1, help_words);
    link_close(&l);
    return status;
}

/* ---- files ---- */

static const char *without_dot(const char *path)
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
}

static void bring_path(bring_fn *bring, void *arg, const char *path, const char *as)
{
    size_t size;
    uint8_t *data = read_whole(path, &size);

    if (!*as || strlen(as) > NAME_MAX_LEN) {
        die("%s: the control domain takes names of 1 to %u characters", as, NAME_MAX_LEN);
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

/* Where a file that the domain file names lies on the host: as it says, or beside the domain file.
 * NULL: on the host there is none, so it is one of the control domain's. */
static char *host_file(const char *domfile, const char *name)
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

/* What the control domain knows a domain file by. */
static const char *domain_file_name(const char *path)
{
    const char *as = without_dot(path);

    return strlen(as) > NAME_MAX_LEN ? last_part(as) : as;
}

/* The domain file and what it needs go under the names by which it is known here, so that messages
 * name the user's files and two kernels of one name don't meet. */
void bring_domain(bring_fn *bring, void *arg, int argc, char *const *argv)
{
    static const char *const keys[] = { "kernel", "ramdisk" };
    size_t size;
    uint8_t *text = read_whole(argv[0], &size);

    for (size_t i = 0; i < COUNT(keys); i++) {
        char *name = value_of(keys[i], text, size, argc - 1, argv + 1);
        char *path = name ? host_file(argv[0], name) : NULL;

        if (path) {
            bring_path(bring, arg, path, without_dot(name));
        }
        free(path);
    }
    free(text);
    bring_path(bring, arg, argv[0], domain_file_name(argv[0]));
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
    int status;

    if (argc < 2) {
        usage_die("create");
    }
    if (access(argv[1], R_OK)) {
        die("%s: cannot be read", argv[1]);
    }
    machine_require(&m);
    link_require(&l, &m);
    bring_domain(bring_over_line, &l, argc - 1, argv + 1);
    status = create_brought(&l, argc - 1, argv + 1);
    link_close(&l);
    return status;
}
