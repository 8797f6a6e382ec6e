/* SPDX-License-Identifier: MIT */
/*
 * define.c - libvirt's domain XML becomes a definition of the control domain's: read (domxml.h),
 * checked against libvirt's own schema where that is installed, written as a domain file's text,
 * and brought there with the files that it names.
 */
#include "define.h"
#include "definitions.h"
#include "domxml.h"
#include "host.h"

#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Where Debian's libvirt0 has it, and libvirt built by hand. */
static const char *const schemas[] = {
    "/usr/share/libvirt/schemas/domain.rng",
    "/usr/local/share/libvirt/schemas/domain.rng",
};

/* ---- from XML to text ---- */

static void hear(void *arg, bool error, long line, const char *text)
{
    const struct conversion *c = arg;

    fflush(stdout);
    if (line > 0) {
        fprintf(stderr, "%s: %s:%ld: %s\n", error ? "error" : "warning", c->path, line, text);
    } else {
        fprintf(stderr, "%s: %s: %s\n", error ? "error" : "warning", c->path, text);
    }
}

/* NULL: there is none, or none is wanted. */
static const char *schema_of(const struct conversion *c)
{
    const char *given = getenv("TARN_SCHEMA");

    if (c->no_schema) {
        return NULL;
    }
    if (c->schema || (given && *given)) {
        given = c->schema ? c->schema : given;
        if (access(given, R_OK)) {
            die("%s: no schema is there", given);
        }
        return given;
    }
    for (size_t i = 0; i < COUNT(schemas); i++) {
        if (!access(schemas[i], R_OK)) {
            return schemas[i];
        }
    }
    if (c->need_schema) {
        die("libvirt's schema is not installed (Debian: libvirt0), nor named (--schema)");
    }
    return NULL;
}

/* By what name the control domain will know a file: as it is called here, if that can be typed, and
 * stand in an archive; new. */
static char *typable(const char *path)
{
    const char *as = without_dot(path), *slash = strrchr(path, '/');
    bool fine = strlen(as) <= CONTROL_NAME_MAX && archive_takes(as);
    char *made;

    for (const char *p = as; *p; p++) {
        fine = fine && *p > ' ' && *p <= '~' && *p != '"' && *p != '\\';
    }
    if (fine) {
        return join("%s", as);
    }
    made = join("%.80s-%08x", slash ? slash + 1 : path, wire_crc(path, strlen(path)));
    for (char *p = made; *p; p++) {
        *p = *p > ' ' && *p <= '~' && *p != '"' && *p != '\\' ? *p : '_';
    }
    return made;
}

/* Of one that the definition names, and it is noted. */
static const char *control_name(void *arg, const char *path)
{
    struct conversion *c = arg;
    struct conversion_file *f = &c->names[c->nr_names++];

    *f = (struct conversion_file){ .path = join("%s", path), .as = typable(path) };
    return f->as;
}

/* By its name, or else by how it begins. */
static bool is_xml(const char *path, const char *text, size_t size)
{
    size_t at = 0, n = strlen(path);

    while (at < size && (text[at] == ' ' || text[at] == '\t' || text[at] == '\n')) {
        at++;
    }
    return (n > 4 && !strcmp(path + n - 4, ".xml")) || (at < size && text[at] == '<');
}

/* NULL after messages. */
static char *convert(struct conversion *c, const char *data, size_t size)
{
    struct xml_listener l = { .hear = hear, .arg = c };
    const char *schema = schema_of(c);
    struct _xmlDoc *doc = xmldoc_parse(data, size, &l);
    struct domain_xml d;
    char *text = NULL;
    bool ok;

    if (!doc) {
        return NULL;
    }
    ok = domxml_read(doc, c->mode, &d, &l);
    if (ok && (!schema || xmldoc_valid(doc, schema, &l))) {
        text = deftext_make(&d, c->path, control_name, c, c->nr_overrides, c->overrides);
        c->name = join("%s", d.name);
        c->emulator = d.emulator ? join("%s", d.emulator) : NULL;
    }
    domxml_free(&d);
    xmldoc_free(doc);
    return text;
}

bool conversion_read(struct conversion *c)
{
    size_t size;
    char *data;

    if (access(c->path, R_OK)) {
        die("%s: cannot be read", c->path);
    }
    data = (char *)read_whole(c->path, &size);
    c->xml = is_xml(c->path, data, size);
    if (c->xml) {
        c->text = convert(c, data, size);
        free(data);
        return c->text != NULL;
    }
    data = grow(data, size + 1);
    data[size] = '\0';
    c->text = data;
    return true;
}

/* ---- to the control domain ---- */

/* Files that are not on the host are the control domain's own. */
static void bring_named(struct conversion *c, bring_fn *bring, void *arg)
{
    for (size_t i = 0; i < c->nr_names; i++) {
        char *path = host_file(c->path, c->names[i].path);

        if (path && c->emulator && !strcmp(c->names[i].path, c->emulator)) {
            bring_emulator(bring, arg, path, c->names[i].as);
        } else if (path) {
            bring_path(bring, arg, path, c->names[i].as);
        }
        free(path);
    }
}

const char *conversion_bring(struct conversion *c, bring_fn *bring, void *arg)
{
    const char *as = domain_file_name(c->path);
    char *path;

    if (c->xml) {
        as = typable(c->path);
        bring_named(c, bring, arg);
        bring(arg, as, (const uint8_t *)c->text, strlen(c->text));
        return as;
    }
    path = join("%s", c->path);
    bring_domain(bring, arg, 1, &path);
    free(path);
    return as;
}

int conversion_define(struct conversion *c)
{
    static char virsh[] = "virsh", define[] = "define";
    char *words[] = { virsh, define, NULL };
    struct machine m;
    struct link l;

    machine_require(&m);
    link_require(&l, &m);
    words[2] = join("%s", conversion_bring(c, bring_over_line, &l));
    return exec_end(&l, exec_words(&l, COUNT(words), words));
}

int conversion_create(struct conversion *c)
{
    static char create[] = "create";
    char *words[] = { create, NULL };
    struct machine m;
    struct link l;
    int status;

    machine_require(&m);
    link_require(&l, &m);
    words[1] = join("%s", conversion_bring(c, bring_over_line, &l));
    status = exec_words(&l, COUNT(words), words);
    if (!status) {
        printf("Domain '%s' created from %s\n\n", c->name, c->path);
    }
    return exec_end(&l, status);
}

/* ---- the command ---- */

enum { PLACE = 256, SCHEMA, NO_SCHEMA, PRINT };

static void one_option(struct conversion *c, int option)
{
    switch (option) {
    case PLACE:
        c->mode = !strcmp(optarg, "2012") ? PLACEMENT_2012 : PLACEMENT_MODERN;
        if (c->mode == PLACEMENT_MODERN && strcmp(optarg, "modern") != 0) {
            die("define: --place: %s: neither modern nor 2012", optarg);
        }
        break;
    case SCHEMA:
        c->schema = optarg;
        break;
    case NO_SCHEMA:
        c->no_schema = true;
        break;
    case PRINT:
        c->print = true;
        break;
    default:
        usage_die("define");
    }
}

static void read_arguments(struct conversion *c, int argc, char **argv)
{
    static const struct option long_options[] = {
        { "place", required_argument, NULL, PLACE },
        { "schema", required_argument, NULL, SCHEMA },
        { "no-schema", no_argument, NULL, NO_SCHEMA },
        { "print", no_argument, NULL, PRINT },
        { NULL, 0, NULL, 0 },
    };
    int option;

    optind = 0;
    opterr = 0;
    while ((option = getopt_long(argc, argv, "+", long_options, NULL)) != -1) {
        one_option(c, option);
    }
    if (optind == argc) {
        usage_die("define");
    }
    c->path = argv[optind];
    c->overrides = argv + optind + 1;
    c->nr_overrides = argc - optind - 1;
    for (int i = 0; i < c->nr_overrides; i++) {
        size_t key = strspn(c->overrides[i], "abcdefghijklmnopqrstuvwxyz_");

        if (!key || c->overrides[i][key] != '=') {
            die("define: %s: not of the form KEY=VALUE", c->overrides[i]);
        }
    }
}

int cmd_define(int argc, char **argv)
{
    static struct conversion c;

    read_arguments(&c, argc, argv);
    if (!conversion_read(&c)) {
        return 1;
    }
    if (c.print) {
        fputs(c.text, stdout);
        return 0;
    }
    if (!c.xml && c.nr_overrides) {
        die("define: %s: KEY=VALUE is for XML only", c.path);
    }
    return conversion_define(&c);
}
