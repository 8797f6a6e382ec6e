/* SPDX-License-Identifier: MIT */
/*
 * definitions.c - see definitions.h; and the command `definitions`, by which the host fetches them
 * when they changed and brings them again. Owns the list, its texts (from the heap) and the number
 * that counts their changes.
 */
#include "definitions.h"

#include "textedit.h"

#define TOTAL_SIZE_MAX (256u << 10)

static struct definition *definitions;
static uint64_t generation;

/* ---- the list ---- */

const struct definition *definition_first(void)
{
    return definitions;
}

static struct definition **link_of(const char *name)
{
    struct definition **link = &definitions;

    while (*link && strcmp((*link)->name, name) < 0) {
        link = &(*link)->next;
    }
    return link;
}

const struct definition *definition_find(const char *name)
{
    const struct definition *def = *link_of(name);

    return def && strcmp(def->name, name) == 0 ? def : NULL;
}

const char *definition_name_nth(unsigned int n)
{
    const struct definition *def = definitions;

    while (def && n--) {
        def = def->next;
    }
    return def ? def->name : NULL;
}

void definition_remove(const struct definition *def)
{
    struct definition **link = link_of(def->name), *gone = *link;

    *link = gone->next;
    release(gone->text);
    release(gone);
    generation++;
}

/* Whether a text of this size may come in place of `old`; false after it was told. */
static bool has_room(const char *file, const struct definition *old, size_t size)
{
    unsigned int n = old ? 0 : 1;
    size_t total = size - (old ? old->size : 0);

    for (const struct definition *def = definitions; def; def = def->next) {
        total += def->size;
        n++;
    }
    if (size > DEFINITION_SIZE_MAX) {
        err("error: %s: it has more than %u bytes\n", file, DEFINITION_SIZE_MAX);
    } else if (n > DEFINITIONS_MAX) {
        err("error: %s: there are %u definitions already\n", file, DEFINITIONS_MAX);
    } else if (total > TOTAL_SIZE_MAX) {
        err("error: %s: all definitions together would have more than %u KiB\n", file,
            TOTAL_SIZE_MAX >> 10);
    } else {
        return true;
    }
    return false;
}

/* ---- texts ---- */

static void report(void *arg, const char *text)
{
    (void)arg;
    err("error: %s\n", text);
}

/* From allocate(); NULL after its faults were told. */
static struct config *read_text(const char *file, const char *text, size_t size)
{
    struct config *c = allocate(sizeof(*c));

    if (!c) {
        err("error: out of memory\n");
    } else if (config_parse(file, text, size, 0, NULL, cpu_host_get(), c, report, NULL)) {
        release(c);
        c = NULL;
    }
    return c;
}

struct config *definition_config(const struct definition *def)
{
    return read_text(def->name, def->text, def->size);
}

/* Takes `text` over, which is good and from allocate(). */
static const struct definition *store(const char *name, char *text, size_t size)
{
    struct definition **link = link_of(name), *def = *link;

    if (def && strcmp(def->name, name) == 0) {
        release(def->text);
    } else {
        def = allocate(sizeof(*def));
        if (!def) {
            err("error: out of memory\n");
            return NULL;
        }
        str_copy(def->name, name, sizeof(def->name));
        def->next = *link;
        *link = def;
    }
    def->text = text;
    def->size = size;
    generation++;
    return def;
}

static char *copy_of(const char *text, size_t size)
{
    char *copy = allocate(size + 1);

    if (copy) {
        memcpy(copy, text, size);
    } else {
        err("error: out of memory\n");
    }
    return copy;
}

const struct definition *definition_put(const char *file, const char *text, size_t size)
{
    const struct definition *def = NULL;
    struct config *c = read_text(file, text, size);
    char *copy = NULL;

    if (c && has_room(file, definition_find(c->name), size)) {
        copy = copy_of(text, size);
        def = copy ? store(c->name, copy, size) : NULL;
    }
    if (!def) {
        release(copy);
    }
    release(c);
    return def;
}

/* Both have room for the largest text; the result is in *from. */
static bool edit(char **from, char **to, size_t *size, const struct definition_change *changes,
                 unsigned int nr)
{
    for (unsigned int i = 0; i < nr; i++) {
        char *old = *from;
        size_t n = text_edit(old, *size, changes[i].key, changes[i].value, *to,
                             DEFINITION_SIZE_MAX);

        if (n > DEFINITION_SIZE_MAX) {
            err("error: the definition would be longer than %u bytes\n", DEFINITION_SIZE_MAX);
            return false;
        }
        *size = n;
        *from = *to;
        *to = old;
    }
    return true;
}

bool definition_change(const struct definition *def, const struct definition_change *changes,
                       unsigned int nr)
{
    char *from = allocate(DEFINITION_SIZE_MAX), *to = allocate(DEFINITION_SIZE_MAX);
    size_t size = def->size;
    bool good = from && to;

    if (good) {
        memcpy(from, def->text, size);
        good = edit(&from, &to, &size, changes, nr) && definition_put(def->name, from, size);
    } else {
        err("error: out of memory\n");
    }
    release(from);
    release(to);
    return good;
}

bool definition_has_key(const struct definition *def, const char *key)
{
    return text_has_key(def->text, def->size, key);
}

/* ---- the command ---- */

/* What the host brought. */
static int load(void)
{
    const struct file *f;
    int status = 0;

    for (unsigned int i = 0; (f = file_nth(i)); i++) {
        if (text_begins(f->name, DEFINITIONS_FOLDER) &&
            !definition_put(f->name, f->data, f->size)) {
            status = 1;
        }
    }
    return status;
}

/* For the host, which takes the texts by their sizes. */
static int dump(void)
{
    out("generation %lu\n", generation);
    for (const struct definition *def = definitions; def; def = def->next) {
        out("definition %s %lu\n", def->name, def->size);
        out_bytes(def->text, def->size);
        out("\n");
    }
    out("end\n");
    return 0;
}

static int show(int nr, char **names)
{
    int status = 0;

    for (int i = 0; i < nr; i++) {
        const struct definition *def = definition_find(names[i]);

        if (def) {
            out_bytes(def->text, def->size);
        } else {
            status = fail("%s: no such definition", names[i]);
        }
    }
    return status;
}

static int table(void)
{
    out("%-33s %8s  %s\n", "Name", "Bytes", "State");
    for (const struct definition *def = definitions; def; def = def->next) {
        out("%-33s %8lu  %s\n", def->name, def->size,
            domain_lookup(def->name) ? "running" : "shut off");
    }
    return 0;
}

static int run(int argc, char **argv)
{
    struct options o;
    uint64_t flags;

    if (!options_flags(&o, argc, argv, "gdl", NULL, &flags) || (flags && o.nr_rest)) {
        return USAGE;
    }
    if (flags & FLAG('g')) {
        out("%lu\n", generation);
        return 0;
    }
    if (flags & FLAG('d')) {
        return dump();
    }
    if (flags & FLAG('l')) {
        return load();
    }
    return o.nr_rest ? show(o.nr_rest, o.rest) : table();
}

const struct command cmd_definitions = {
    .name = "definitions",
    .usage = "[-g|-d|-l] | [NAME...]",
    .help = "domains that are defined, their texts (for the host: -g: how often they changed, -d: "
            "all of them, -l: takes in what it brought)",
    .run = run,
};
