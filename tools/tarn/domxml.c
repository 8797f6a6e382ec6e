/* SPDX-License-Identifier: MIT */
/*
 * domxml.c - what a domain is by libvirt's XML. What says how much CPU time, which CPUs and which
 * kernel it gets is taken or refused: an element or attribute there that can't be carried out is an
 * error. Whatever else libvirt has is passed over, with a warning; what libvirt does not have, too,
 * is an error. CPUs are placed by libvirt's rules (tarn/placement.h).
 */
#include "domxml.h"
#include "domxml_part.h"
#include "host.h"

#include <stdlib.h>
#include <string.h>

#include <libxml/tree.h>

#define MEMORY_MAX (1u << 20) /* MiB */
#define NAME_MAX_LEN 31u
#define NAME_MAX_EMULATED 27u /* the emulator's is NAME-emu */
#define CMDLINE_MAX 1023u
#define WARNED_MAX 32

/* ---- tables of elements ---- */

static const struct xml_element *find(const struct xml_element *table, const struct _xmlNode *node)
{
    for (; table->name; table++) {
        if (xmldoc_is(node, table->name)) {
            return table;
        }
    }
    return NULL;
}

/* Once for each name. */
static void pass_over(struct xml_reader *r, const struct _xmlNode *node)
{
    const char *name = (const char *)node->name;

    for (unsigned int i = 0; i < r->nr_warned; i++) {
        if (!strcmp(r->warned[i], name)) {
            return;
        }
    }
    if (r->nr_warned < WARNED_MAX) {
        r->warned[r->nr_warned++] = name;
        xml_warn(r->l, xmldoc_line(node), "<%.40s> is ignored", name);
    }
}

static void one_child(struct xml_reader *r, struct _xmlNode *node, const struct xml_element *table,
                      enum xml_others others, uint64_t *seen)
{
    const struct xml_element *e = find(table, node);
    uint64_t bit = e ? 1ull << (e - table) : 0;

    if (!e && (others == XML_OTHERS_PASS || node->ns)) {
        pass_over(r, node);
    } else if (!e) {
        xml_wrong(r->l, xmldoc_line(node), "<%.40s> in <%.40s> is unknown", node->name,
                  node->parent->name);
    } else if (*seen & bit && !e->many) {
        xml_wrong(r->l, xmldoc_line(node), "a second <%s>", e->name);
    } else if (e->kind == XML_TAKE) {
        e->take(r, node);
    } else if (e->kind == XML_PASS) {
        pass_over(r, node);
    } else if (e->kind == XML_REFUSE) {
        xml_wrong(r->l, xmldoc_line(node), "<%s> can't be carried out by tarn", e->name);
    }
    *seen |= bit;
}

void xml_children(struct xml_reader *r, struct _xmlNode *node, const struct xml_element *table,
                  enum xml_others others)
{
    uint64_t seen = 0;

    for (node = xmldoc_element(node->children); node; node = xmldoc_element(node->next)) {
        one_child(r, node, table, others, &seen);
    }
}

/* ---- values ---- */

void xml_attributes(struct xml_reader *r, struct _xmlNode *node, const char *const *known)
{
    for (const xmlAttr *a = node->properties; a; a = a->next) {
        const char *const *k = known;

        while (*k && strcmp((const char *)a->name, *k) != 0) {
            k++;
        }
        if (!*k && !a->ns) {
            xml_wrong(r->l, xmldoc_line(node), "<%s>: attribute %.40s is unknown to tarn",
                      node->name, a->name);
        }
    }
}

bool xml_number_parse(const char *text, uint64_t *value)
{
    *value = 0;
    if (!*text) {
        return false;
    }
    for (; *text; text++) {
        if (*text < '0' || *text > '9' || __builtin_mul_overflow(*value, 10ull, value) ||
            __builtin_add_overflow(*value, (uint64_t)(*text - '0'), value)) {
            return false;
        }
    }
    return true;
}

bool xml_number(struct xml_reader *r, struct _xmlNode *node, const char *what, char *text,
                uint64_t max, uint64_t *value)
{
    bool ok = text && xml_number_parse(text, value) && *value <= max;

    if (!text) {
        xml_wrong(r->l, xmldoc_line(node), "<%s>: %s is missing", node->name, what);
    } else if (!ok) {
        xml_wrong(r->l, xmldoc_line(node), "<%s>: %s: '%.40s' is no number from 0 to %llu",
                  node->name, what, text, (unsigned long long)max);
    }
    free(text);
    return ok;
}

void xml_why(struct xml_reader *r, const struct _xmlNode *node, const char *why)
{
    if (why) {
        xml_wrong(r->l, xmldoc_line(node), "<%s>: %s", node->name, why);
    }
}

char *xml_plain(struct xml_reader *r, struct _xmlNode *node)
{
    static const char *const none[] = { NULL };

    xml_attributes(r, node, none);
    if (xmldoc_element(node->children)) {
        xml_wrong(r->l, xmldoc_line(node), "<%s>: an element where there should be text",
                  node->name);
    }
    return xmldoc_text(node);
}

/* ---- names ---- */

static const char *name_wrong(const char *name)
{
    size_t n = strlen(name);

    if (!n) {
        return "it is empty";
    }
    if (n > NAME_MAX_LEN) {
        return "tarn takes names of up to 31 characters";
    }
    if (*name == '-') {
        return "tarn takes no name with a '-' in front";
    }
    if (strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.+:") != n) {
        return "tarn takes names of letters, digits and -_.+:";
    }
    if (strspn(name, "0123456789") == n) {
        return "tarn takes it for a domain's number";
    }
    return strcmp(name, "Domain-0") ? NULL : "it is that of the control domain";
}

static void take_name(struct xml_reader *r, struct _xmlNode *node)
{
    r->d->name = xml_plain(r, node);
    xml_why(r, node, name_wrong(r->d->name));
}

/* 32 digits, with dashes and blanks anywhere between, as libvirt takes them. */
static void take_uuid(struct xml_reader *r, struct _xmlNode *node)
{
    char *text = xml_plain(r, node), digits[33];
    size_t n = 0;

    for (const char *p = text; *p; p++) {
        if (*p != '-' && *p != ' ') {
            bool hex = strchr("0123456789abcdefABCDEF", *p) != NULL;

            digits[n < 32 ? n : 32] = (char)(*p >= 'A' && *p <= 'F' ? *p + 32 : *p);
            n = hex && n < 33 ? n + 1 : 99;
        }
    }
    if (n == 32) {
        r->d->uuid = join("%.8s-%.4s-%.4s-%.4s-%.12s", digits, digits + 8, digits + 12, digits + 16,
                          digits + 20);
    } else {
        xml_wrong(r->l, xmldoc_line(node), "<uuid>: '%.40s' is none", text);
    }
    free(text);
}

/* ---- memory ---- */

/* "KiB", "k", "kB", "bytes" and so on up to T; 0: unknown. */
static uint64_t unit_of(const char *unit)
{
    static const char letters[] = "kmgt";
    char low = (char)(*unit >= 'A' && *unit <= 'Z' ? *unit + 32 : *unit);
    const char *letter = low ? strchr(letters, low) : NULL;
    uint64_t base = 1024, bytes = 1;

    if (!strcasecmp(unit, "b") || !strcasecmp(unit, "byte") || !strcasecmp(unit, "bytes")) {
        return 1;
    }
    if (!letter || (unit[1] && strcasecmp(unit + 1, "ib") && strcasecmp(unit + 1, "b"))) {
        return 0;
    }
    base = strcasecmp(unit + 1, "b") ? 1024 : 1000;
    for (; letter >= letters; letter--) {
        bytes *= base;
    }
    return bytes;
}

/* In MiB, rounded up. */
static uint64_t take_size(struct xml_reader *r, struct _xmlNode *node)
{
    char *unit = xmldoc_attribute(node, "unit");
    uint64_t bytes = unit_of(unit ? unit : "KiB"), value = 0, mib;

    if (!bytes) {
        xml_wrong(r->l, xmldoc_line(node), "<%s>: unit '%.40s' is unknown", node->name, unit);
    } else if (xml_number(r, node, "its size", xmldoc_text(node), UINT64_MAX, &value)) {
        mib = __builtin_mul_overflow(value, bytes, &value) ? UINT64_MAX : value >> 20;
        mib += mib < UINT64_MAX && value & ((1u << 20) - 1);
        if (mib > MEMORY_MAX) {
            xml_wrong(r->l, xmldoc_line(node), "<%s>: more than tarn's limit, %u GiB", node->name,
                      MEMORY_MAX >> 10);
        }
        value = mib;
    }
    free(unit);
    return value;
}

static void take_memory(struct xml_reader *r, struct _xmlNode *node)
{
    static const char *const known[] = { "unit", "dumpCore", NULL };
    unsigned int before = r->l->errors;

    xml_attributes(r, node, known);
    r->memory_line = xmldoc_line(node);
    r->d->memory_mib = take_size(r, node);
    if (!r->d->memory_mib && r->l->errors == before) {
        xml_wrong(r->l, xmldoc_line(node), "<memory>: a domain needs some");
    }
}

static void take_current_memory(struct xml_reader *r, struct _xmlNode *node)
{
    static const char *const known[] = { "unit", NULL };

    xml_attributes(r, node, known);
    r->d->current_mib = take_size(r, node);
}

/* ---- what it boots ---- */

static void take_type(struct xml_reader *r, struct _xmlNode *node)
{
    static const char *const known[] = { "arch", "machine", NULL };
    char *type = xmldoc_text(node), *arch = xmldoc_attribute(node, "arch");

    xml_attributes(r, node, known);
    r->typed = true;
    if (strcmp(type, "xen") != 0 && strcmp(type, "linux") != 0) {
        xml_wrong(r->l, xmldoc_line(node),
                  "<type>: '%.40s' is none of xen, linux: tarn runs paravirtual guests only", type);
    }
    if (arch && strcmp(arch, "x86_64") != 0) {
        xml_wrong(r->l, xmldoc_line(node), "<type>: arch '%.40s' is not x86_64", arch);
    }
    free(type);
    free(arch);
}

static void take_path(struct xml_reader *r, struct _xmlNode *node, char **path)
{
    *path = xml_plain(r, node);
    if (strlen(*path) >= PATH_MAX) {
        xml_wrong(r->l, xmldoc_line(node), "<%s>: too long a path", node->name);
    }
    if (!**path) {
        free(*path);
        *path = NULL;
    } else if (**path != '/') {
        xml_wrong(r->l, xmldoc_line(node),
                  "<%s>: '%.40s' is not absolute (a file of the control domain's is /NAME)",
                  node->name, *path);
    }
}

static void take_kernel(struct xml_reader *r, struct _xmlNode *node)
{
    take_path(r, node, &r->d->kernel);
}

static void take_initrd(struct xml_reader *r, struct _xmlNode *node)
{
    take_path(r, node, &r->d->initrd);
}

static void take_cmdline(struct xml_reader *r, struct _xmlNode *node)
{
    const char *text = r->d->cmdline = xml_plain(r, node);

    if (strlen(text) > CMDLINE_MAX) {
        xml_wrong(r->l, xmldoc_line(node), "<cmdline>: longer than %u bytes", CMDLINE_MAX);
    }
    for (const char *p = text; *p; p++) {
        if ((unsigned char)*p >= 127 || ((unsigned char)*p < ' ' && *p != '\n' && *p != '\t')) {
            xml_wrong(r->l, xmldoc_line(node), "<cmdline>: a character that is not ASCII's");
            return;
        }
    }
}

static void take_os(struct xml_reader *r, struct _xmlNode *node)
{
    static const struct xml_element table[] = {
        { .name = "type", .take = take_type },
        { .name = "kernel", .take = take_kernel },
        { .name = "initrd", .take = take_initrd },
        { .name = "cmdline", .take = take_cmdline },
        { .name = "loader", .kind = XML_PASS },
        { .name = "nvram", .kind = XML_PASS },
        { .name = "firmware", .kind = XML_PASS },
        { .name = "boot", .kind = XML_PASS, .many = true },
        { .name = "bootmenu", .kind = XML_PASS },
        { .name = "bios", .kind = XML_PASS },
        { .name = "smbios", .kind = XML_PASS },
        { .name = "acpi", .kind = XML_PASS },
        { .name = "dtb", .kind = XML_REFUSE },
        { .name = "init", .kind = XML_REFUSE },
        { .name = "root", .kind = XML_REFUSE },
        { .name = NULL },
    };

    r->os_line = xmldoc_line(node);
    xml_children(r, node, table, XML_OTHERS_REFUSE);
}

/* ---- what becomes of it ---- */

static void take_event(struct xml_reader *r, struct _xmlNode *node)
{
    static const char *const actions[] = { "destroy", "restart", "rename-restart", "preserve" };
    static const char *const events[] = { "on_poweroff", "on_reboot", "on_crash" };
    char *text = xml_plain(r, node), *action = text;
    unsigned int event = 0;

    while (!xmldoc_is(node, events[event])) {
        event++;
    }
    if (event == XML_CRASH && !strncmp(text, "coredump-", 9)) {
        action = text + 9;
        xml_warn(r->l, xmldoc_line(node), "<on_crash>: no core is dumped: taken as '%.40s'",
                 action);
    }
    for (size_t i = 0; i < COUNT(actions); i++) {
        if (!strcmp(action, actions[i])) {
            r->d->event[event] = actions[i];
        }
    }
    if (!r->d->event[event]) {
        xml_wrong(r->l, xmldoc_line(node),
                  "<%s>: '%.40s' is none of destroy, restart, "
                  "rename-restart, preserve",
                  node->name, text);
    }
    free(text);
}

/* ---- all ---- */

static const struct xml_element domain_table[] = {
    { .name = "name", .take = take_name },
    { .name = "uuid", .take = take_uuid },
    { .name = "memory", .take = take_memory },
    { .name = "currentMemory", .take = take_current_memory },
    { .name = "vcpu", .take = xml_take_vcpu },
    { .name = "vcpus", .take = xml_take_vcpus },
    { .name = "iothreads", .take = xml_take_iothreads },
    { .name = "iothreadids", .take = xml_take_iothreadids },
    { .name = "cputune", .take = xml_take_cputune },
    { .name = "numatune", .take = xml_take_numatune },
    { .name = "os", .take = take_os },
    { .name = "on_poweroff", .take = take_event },
    { .name = "on_reboot", .take = take_event },
    { .name = "on_crash", .take = take_event },
    { .name = "devices", .take = xml_take_devices },
    { .name = "title", .kind = XML_SILENT },
    { .name = "description", .kind = XML_SILENT },
    { .name = "metadata", .kind = XML_SILENT },
    { .name = "genid", .kind = XML_PASS },
    { .name = "hwuuid", .kind = XML_PASS },
    { .name = "maxMemory", .kind = XML_PASS },
    { .name = "memoryBacking", .kind = XML_PASS },
    { .name = "memtune", .kind = XML_PASS },
    { .name = "blkiotune", .kind = XML_PASS },
    { .name = "defaultiothread", .kind = XML_PASS },
    { .name = "resource", .kind = XML_PASS },
    { .name = "sysinfo", .kind = XML_PASS, .many = true },
    { .name = "bootloader", .kind = XML_PASS },
    { .name = "bootloader_args", .kind = XML_PASS },
    { .name = "features", .kind = XML_PASS },
    { .name = "cpu", .kind = XML_PASS },
    { .name = "clock", .kind = XML_PASS },
    { .name = "on_lockfailure", .kind = XML_PASS },
    { .name = "pm", .kind = XML_PASS },
    { .name = "perf", .kind = XML_PASS },
    { .name = "idmap", .kind = XML_PASS },
    { .name = "seclabel", .kind = XML_PASS, .many = true },
    { .name = "launchSecurity", .kind = XML_REFUSE },
    { .name = "keywrap", .kind = XML_PASS },
    { .name = "throttlegroups", .kind = XML_PASS },
    { .name = NULL },
};

static void need(struct xml_reader *r, const void *given, const char *what, long line)
{
    if (!given) {
        xml_wrong(r->l, line, "<%s> is missing", what);
    }
}

static void settle_memory(struct xml_reader *r)
{
    struct domain_xml *d = r->d;

    if (d->memory_mib && d->current_mib > d->memory_mib) {
        xml_warn(r->l, r->memory_line, "<currentMemory> is more than <memory>: taken as that");
    }
    if (!d->current_mib || d->current_mib > d->memory_mib) {
        d->current_mib = d->memory_mib;
    }
}

static void read_domain(struct xml_reader *r, struct _xmlNode *root)
{
    char *type = xmldoc_attribute(root, "type");
    long line = xmldoc_line(root);

    if (!type) {
        xml_wrong(r->l, line, "<domain>: type is missing");
    } else if (strcmp(type, "xen") != 0) {
        xml_warn(r->l, line, "<domain>: type '%.40s' is taken as xen", type);
    }
    free(type);
    xml_children(r, root, domain_table, XML_OTHERS_REFUSE);
    need(r, r->d->name, "name", line);
    need(r, r->memory_line ? r : NULL, "memory", line);
    need(r, r->os_line ? r : NULL, "os", line);
    if (r->os_line) {
        need(r, r->typed ? r : NULL, "type", r->os_line);
        need(r, r->d->kernel, "kernel", r->os_line);
    }
    settle_memory(r);
    xml_settle_cpus(r, line);
    if (r->d->name && r->d->emulator && strlen(r->d->name) > NAME_MAX_EMULATED) {
        xml_wrong(r->l, line, "<name>: with an emulator it is at most %u characters",
                  NAME_MAX_EMULATED);
    }
}

bool domxml_read(struct _xmlDoc *doc, enum placement_mode mode, struct domain_xml *d,
                 struct xml_listener *l)
{
    struct _xmlNode *root = xmldoc_element(doc->children);
    unsigned int before = l->errors;
    struct xml_reader r = { .d = d, .l = l };

    *d = (struct domain_xml){ .place = { .mode = mode } };
    if (!root || !xmldoc_is(root, "domain")) {
        return xml_wrong(l, root ? xmldoc_line(root) : 0, "it is no domain, but <%.40s>",
                         root ? (const char *)root->name : "");
    }
    read_domain(&r, root);
    return l->errors == before;
}

void domxml_free(struct domain_xml *d)
{
    free(d->name);
    free(d->uuid);
    free(d->kernel);
    free(d->initrd);
    free(d->cmdline);
    free(d->emulator);
    *d = (struct domain_xml){ .name = NULL };
}
