/* SPDX-License-Identifier: MIT */
/*
 * baseline.c - the CPU that several hosts have in common, of their capabilities' XML: the features
 * that each of them has, as a model and what it lacks of them. What a model stands for, libvirt's
 * cpu_map tells where it is installed; without it only hosts of one model can be compared.
 */
#include "domxml.h"
#include "host.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <libxml/tree.h>

#define MAP "/usr/share/libvirt/cpu_map" /* Debian: libvirt0 */

/* Of names, in their order, each once. */
struct set {
    char **names;
    size_t n;
};

struct cpu {
    char *model, *vendor;
    struct set features, disabled;
};

static const char *file; /* that is read, for messages */

static void hear(void *arg, bool error, long line, const char *text)
{
    (void)arg;
    fprintf(stderr, "%s: %s:%ld: %s\n", error ? "error" : "warning", file, line, text);
}

/* ---- sets ---- */

static bool has(const struct set *s, const char *name)
{
    size_t low = 0, high = s->n;

    while (low < high) {
        size_t middle = (low + high) / 2;
        int order = strcmp(s->names[middle], name);

        if (!order) {
            return true;
        }
        low = order < 0 ? middle + 1 : low;
        high = order < 0 ? high : middle;
    }
    return false;
}

static void append(struct set *s, const char *name)
{
    s->names = grow(s->names, (s->n + 1) * sizeof(*s->names));
    s->names[s->n++] = join("%s", name);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void settle(struct set *s)
{
    size_t n = 0;

    if (s->n) {
        qsort(s->names, s->n, sizeof(*s->names), by_name);
    }
    for (size_t i = 0; i < s->n; i++) {
        if (n && !strcmp(s->names[n - 1], s->names[i])) {
            free(s->names[i]);
        } else {
            s->names[n++] = s->names[i];
        }
    }
    s->n = n;
}

/* Those of *s that `other` has, or has not. */
static void keep(struct set *s, const struct set *other, bool common)
{
    size_t n = 0;

    for (size_t i = 0; i < s->n; i++) {
        if (has(other, s->names[i]) == common) {
            s->names[n++] = s->names[i];
        } else {
            free(s->names[i]);
        }
    }
    s->n = n;
}

static bool within(const struct set *s, const struct set *other)
{
    for (size_t i = 0; i < s->n; i++) {
        if (!has(other, s->names[i])) {
            return false;
        }
    }
    return true;
}

/* ---- what a file says ---- */

static void check_name(const char *name)
{
    if (!*name || strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                               "_.-") != strlen(name)) {
        die("%s: '%.40s' is no name of a CPU's", file, name);
    }
}

static void take_feature(struct cpu *c, struct _xmlNode *node)
{
    char *name = xmldoc_attribute(node, "name"), *policy = xmldoc_attribute(node, "policy");
    bool not = policy && (!strcmp(policy, "disable") || !strcmp(policy, "forbid"));

    check_name(name ? name : "");
    append(not ? &c->disabled : &c->features, name);
    free(name);
    free(policy);
}

static struct cpu read_cpu(struct _xmlNode *node)
{
    struct cpu c = { .model = NULL };

    for (node = xmldoc_element(node->children); node; node = xmldoc_element(node->next)) {
        if (xmldoc_is(node, "feature")) {
            take_feature(&c, node);
        } else if (xmldoc_is(node, "model") && !c.model) {
            c.model = xmldoc_text(node);
        } else if (xmldoc_is(node, "vendor") && !c.vendor) {
            c.vendor = xmldoc_attribute(node, "name");
            c.vendor = c.vendor ? c.vendor : xmldoc_text(node);
        }
    }
    if (c.model) {
        check_name(c.model);
    }
    check_name(c.vendor ? c.vendor : "none");
    settle(&c.features);
    settle(&c.disabled);
    return c;
}

/* The document; of several in one file, as virsh takes them, one with all in it. */
static struct _xmlDoc *read_document(const char *path)
{
    struct xml_listener l = { .hear = hear };
    size_t size;
    char *text = (char *)read_whole(path, &size), *whole;
    struct _xmlDoc *doc;

    file = path;
    if (size > 5 && !memcmp(text, "<?xml", 5)) {
        doc = xmldoc_parse(text, size, &l);
    } else {
        whole = join("<container>%.*s</container>", (int)size, text);
        doc = xmldoc_parse(whole, strlen(whole), &l);
        free(whole);
    }
    free(text);
    if (!doc) {
        exit(1);
    }
    return doc;
}

/* ---- models ---- */

static const char *map_folder(void)
{
    const char *given = getenv("TARN_CPU_MAP");

    return given && *given ? given : MAP;
}

static struct _xmlNode *below(struct _xmlNode *node, const char *name)
{
    node = node ? xmldoc_element(node->children) : NULL;
    while (node && !xmldoc_is(node, name)) {
        node = xmldoc_element(node->next);
    }
    return node;
}

static bool read_model(const char *model, struct cpu *c)
{
    const char *before = file;
    char *path = join("%s/x86_%s.xml", map_folder(), model);
    bool there = !access(path, R_OK);
    struct _xmlDoc *doc = there ? read_document(path) : NULL;
    struct _xmlNode *node = doc ? xmldoc_element(doc->children) : NULL;

    if (node && xmldoc_is(node, "container")) {
        node = below(node, "cpus");
    }
    node = below(node, "model");
    if (node) {
        *c = read_cpu(node);
    }
    if (doc) {
        xmldoc_free(doc);
    }
    free(path);
    file = before;
    return node != NULL;
}

/* Adds what its model stands for; whether that is known. */
static bool expand(struct cpu *c)
{
    struct cpu model;

    if (!c->model || !read_model(c->model, &model)) {
        return !c->model;
    }
    for (size_t i = 0; i < model.features.n; i++) {
        append(&c->features, model.features.names[i]);
    }
    settle(&c->features);
    return true;
}

/* ---- what they have in common ---- */

struct baseline {
    struct cpu cpu;
    size_t hosts;
    bool known; /* each model's features are */
};

static void take_host(struct baseline *b, struct _xmlNode *node)
{
    struct cpu c = read_cpu(node);
    bool same;

    b->known = expand(&c) && (!b->hosts || b->known);
    keep(&c.features, &c.disabled, false);
    if (!b->hosts++) {
        b->cpu = c;
        return;
    }
    if (c.vendor && b->cpu.vendor && strcmp(c.vendor, b->cpu.vendor) != 0) {
        fprintf(stderr, "error: %s: its vendor is %s, that of those before %s\n", file, c.vendor,
                b->cpu.vendor);
        exit(1);
    }
    same = c.model && b->cpu.model && !strcmp(c.model, b->cpu.model);
    if (!b->known && !same) {
        fprintf(stderr,
                "error: %s: what its model has is not known (install libvirt0, or name a "
                "cpu_map with TARN_CPU_MAP)\n",
                file);
        exit(1);
    }
    keep(&b->cpu.features, &c.features, true);
}

/* <cpu> as a whole document, or that of a <host>. */
static void take_all(struct baseline *b, struct _xmlNode *node, bool outer)
{
    for (node = xmldoc_element(node); node; node = xmldoc_element(node->next)) {
        bool host = xmldoc_is(node, "host");

        if (outer && xmldoc_is(node, "cpu")) {
            take_host(b, node);
        } else if (host || xmldoc_is(node, "container") || xmldoc_is(node, "capabilities")) {
            take_all(b, node->children, host || xmldoc_is(node, "container"));
        }
    }
}

/* The model that has most of it and nothing more. */
static void choose_model(struct cpu *c)
{
    struct dirent **entries;
    int n = scandir(map_folder(), &entries, NULL, alphasort);
    struct cpu best = { .model = NULL };

    for (int i = 0; i < n; i++) {
        const char *name = entries[i]->d_name;
        size_t len = strlen(name);
        char *model;
        struct cpu m;

        if (len <= 8 || strncmp(name, "x86_", 4) != 0 || strcmp(name + len - 4, ".xml") != 0) {
            continue;
        }
        model = join("%.*s", (int)len - 8, name + 4);
        if (read_model(model, &m) && m.features.n > best.features.n &&
            within(&m.features, &c->features) &&
            (!m.vendor || !c->vendor || !strcmp(m.vendor, c->vendor))) {
            best = m;
            best.model = join("%s", model);
        }
    }
    c->model = best.model;
    keep(&c->features, &best.features, false);
}

static void print(const struct cpu *c)
{
    printf("<cpu mode='custom' match='exact'>\n");
    if (c->model) {
        printf("  <model fallback='forbid'>%s</model>\n", c->model);
    }
    if (c->vendor) {
        printf("  <vendor>%s</vendor>\n", c->vendor);
    }
    for (size_t i = 0; i < c->features.n; i++) {
        printf("  <feature policy='require' name='%s'/>\n", c->features.names[i]);
    }
    printf("</cpu>\n");
}

int cmd_baseline(int argc, char **argv)
{
    struct baseline b = { .hosts = 0 };

    for (int i = 1; i < argc; i++) {
        struct _xmlDoc *doc;

        if (argv[i][0] == '-') {
            usage_die("cpu-baseline");
        }
        if (access(argv[i], R_OK)) {
            die("%s: cannot be read", argv[i]);
        }
        doc = read_document(argv[i]);
        take_all(&b, doc->children, true);
        xmldoc_free(doc);
    }
    if (argc < 2) {
        usage_die("cpu-baseline");
    }
    if (!b.hosts) {
        fprintf(stderr, "error: %s: no host's <cpu> in it\n", argv[1]);
        return 1;
    }
    if (b.known) {
        choose_model(&b.cpu);
    }
    print(&b.cpu);
    return 0;
}
