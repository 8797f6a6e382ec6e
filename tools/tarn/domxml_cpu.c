/* SPDX-License-Identifier: MIT */
/*
 * domxml_cpu.c - of domain XML: how many vcpus and iothreads, where they run, how much time they
 * get, and the disks that the emulator serves. See domxml.c.
 */
#include "domxml_part.h"
#include "host.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <libxml/tree.h>

#define SECTOR 512u
#define SECTORS_MAX (1ull << 32)

enum { PIN_VCPU, PIN_EMULATOR, PIN_IOTHREAD };

/* ---- vcpus ---- */

void xml_take_vcpu(struct xml_reader *r, struct _xmlNode *node)
{
    static const char *const known[] = { "placement", "cpuset", "current", NULL };
    struct placement_raw *p = &r->d->place;
    char *placement = xmldoc_attribute(node, "placement");
    char *cpuset = xmldoc_attribute(node, "cpuset"), *current = xmldoc_attribute(node, "current");
    uint64_t n;

    xml_attributes(r, node, known);
    r->vcpu_line = xmldoc_line(node);
    if (xml_number(r, node, "the number of vcpus", xmldoc_text(node), UINT32_MAX, &n)) {
        p->max_vcpus = (u32)n;
        if (!n) {
            xml_wrong(r->l, r->vcpu_line, "<vcpu>: a domain has at least one vcpu");
        }
    }
    if (current && xml_number(r, node, "current", current, UINT32_MAX, &n)) {
        p->vcpus = (u32)n;
        if (!n) {
            xml_wrong(r->l, r->vcpu_line, "<vcpu>: current: a domain has at least one vcpu");
        }
    }
    if (placement) {
        xml_why(r, node, placement_set_placement(p, placement));
    }
    if (cpuset) {
        xml_why(r, node, placement_set_cpuset(p, cpuset));
    }
    free(placement);
    free(cpuset);
}

/* "yes", "no"; a missing one is `otherwise`. */
static bool yes(struct xml_reader *r, struct _xmlNode *node, const char *name, bool otherwise)
{
    char *text = xmldoc_attribute(node, name);
    bool is = text ? !strcmp(text, "yes") : otherwise;

    if (text && !is && strcmp(text, "no") != 0) {
        xml_wrong(r->l, xmldoc_line(node), "<vcpu>: %s: '%.40s' is none of yes, no", name, text);
    }
    free(text);
    return is;
}

static void take_one_vcpu(struct xml_reader *r, struct _xmlNode *node)
{
    static const char *const known[] = { "id", "enabled", "hotpluggable", "order", NULL };
    bool enabled = yes(r, node, "enabled", true);
    bool hotpluggable = yes(r, node, "hotpluggable", false);
    long line = xmldoc_line(node);
    uint64_t id;

    xml_attributes(r, node, known);
    if (!xml_number(r, node, "id", xmldoc_attribute(node, "id"), PLACEMENT_VCPUS - 1, &id)) {
        return;
    }
    if (r->listed_vcpu[id]) {
        xml_wrong(r->l, line, "<vcpu>: a second one with id %u", (unsigned int)id);
    }
    if (!enabled && !hotpluggable) {
        xml_wrong(r->l, line, "<vcpu>: vcpu %u is neither enabled nor hotpluggable",
                  (unsigned int)id);
    }
    r->listed_vcpu[id] = enabled ? 'y' : 'n';
}

void xml_take_vcpus(struct xml_reader *r, struct _xmlNode *node)
{
    static const struct xml_element table[] = {
        { .name = "vcpu", .take = take_one_vcpu, .many = true },
        { .name = NULL },
    };

    r->vcpus_line = xmldoc_line(node);
    xml_children(r, node, table, XML_OTHERS_REFUSE);
}

/* A guest begins with vcpus 0 to n - 1. As libvirt has it, <vcpus> counts more than current. */
static void settle_vcpus(struct xml_reader *r)
{
    struct placement_raw *p = &r->d->place;
    u32 n = 0, listed = 0;

    for (u32 v = 0; v < PLACEMENT_VCPUS; v++) {
        listed += r->listed_vcpu[v] != 0;
        if (r->listed_vcpu[v] && v >= p->max_vcpus) {
            xml_wrong(r->l, r->vcpus_line, "<vcpus>: vcpu %u is beyond the last, %u", v,
                      p->max_vcpus - 1);
            return;
        }
        if (r->listed_vcpu[v] == 'y' && v > n) {
            xml_wrong(r->l, r->vcpus_line,
                      "<vcpus>: vcpu %u is enabled and vcpu %u is not: a guest of tarn begins with "
                      "the first ones",
                      v, n);
            return;
        }
        n += r->listed_vcpu[v] == 'y';
    }
    if (listed && !n) {
        xml_wrong(r->l, r->vcpus_line, "<vcpus>: vcpu 0 must be enabled");
    }
    p->vcpus = listed ? n : p->vcpus;
}

/* ---- iothreads ---- */

void xml_take_iothreads(struct xml_reader *r, struct _xmlNode *node)
{
    uint64_t n;

    if (xml_number(r, node, "their number", xml_plain(r, node), UINT32_MAX, &n) &&
        n > r->d->place.iothreads) {
        r->d->place.iothreads = (u32)n;
    }
}

static void take_iothread_id(struct xml_reader *r, struct _xmlNode *node)
{
    static const char *const known[] = { "id", NULL };
    uint64_t id;

    xml_attributes(r, node, known);
    if (!xml_number(r, node, "id", xmldoc_attribute(node, "id"), UINT32_MAX, &id)) {
        return;
    }
    if (id != ++r->iothread_ids) {
        xml_wrong(r->l, xmldoc_line(node), "<iothread>: id %u: in tarn they are 1, 2 and so on",
                  (unsigned int)id);
    }
}

/* There are as many as the larger of the two numbers. */
void xml_take_iothreadids(struct xml_reader *r, struct _xmlNode *node)
{
    static const struct xml_element table[] = {
        { .name = "iothread", .take = take_iothread_id, .many = true },
        { .name = NULL },
    };

    xml_children(r, node, table, XML_OTHERS_REFUSE);
    if (r->iothread_ids > r->d->place.iothreads) {
        r->d->place.iothreads = r->iothread_ids;
    }
}

/* ---- cputune ---- */

/* A pin of one of many; `id` is the attribute that tells of which. */
static void take_pin_of(struct xml_reader *r, struct _xmlNode *node, const char *id, u32 kind,
                        const char *(*add)(struct placement_raw *p, u32 id, const char *list))
{
    const char *const known[] = { id, "cpuset", NULL };
    char *cpuset = xmldoc_attribute(node, "cpuset");
    uint64_t number;

    xml_attributes(r, node, known);
    r->pin_line[kind] = xmldoc_line(node);
    if (xml_number(r, node, id, xmldoc_attribute(node, id), INT32_MAX, &number)) {
        xml_why(r, node, add(&r->d->place, (u32)number, cpuset));
    }
    free(cpuset);
}

static void take_vcpupin(struct xml_reader *r, struct _xmlNode *node)
{
    take_pin_of(r, node, "vcpu", PIN_VCPU, placement_add_vcpupin);
}

static void take_emulatorpin(struct xml_reader *r, struct _xmlNode *node)
{
    static const char *const known[] = { "cpuset", NULL };
    char *cpuset = xmldoc_attribute(node, "cpuset");

    xml_attributes(r, node, known);
    r->pin_line[PIN_EMULATOR] = xmldoc_line(node);
    xml_why(r, node, placement_add_emulatorpin(&r->d->place, cpuset));
    free(cpuset);
}

static void take_iothreadpin(struct xml_reader *r, struct _xmlNode *node)
{
    take_pin_of(r, node, "iothread", PIN_IOTHREAD, placement_add_iothreadpin);
}

static const char *const tune_names[TUNES] = {
    [TUNE_SHARES] = "shares",
    [TUNE_PERIOD] = "period",
    [TUNE_QUOTA] = "quota",
    [TUNE_EMULATOR_PERIOD] = "emulator_period",
    [TUNE_EMULATOR_QUOTA] = "emulator_quota",
    [TUNE_GLOBAL_PERIOD] = "global_period",
    [TUNE_GLOBAL_QUOTA] = "global_quota",
    [TUNE_IOTHREAD_PERIOD] = "iothread_period",
    [TUNE_IOTHREAD_QUOTA] = "iothread_quota",
};

static bool signed_parse(const char *text, int64_t *value)
{
    bool negative = *text == '-';
    uint64_t n;

    if (!xml_number_parse(text + negative, &n) || n > INT64_MAX) {
        return false;
    }
    *value = negative ? -(int64_t)n : (int64_t)n;
    return true;
}

static void take_tune(struct xml_reader *r, struct _xmlNode *node)
{
    char *text = xml_plain(r, node);
    enum placement_tune kind = PLACEMENT_SHARES;
    unsigned int which = 0;

    while (!xmldoc_is(node, tune_names[which])) {
        which++;
    }
    (void)placement_tune_kind(tune_names[which], &kind);
    if (!signed_parse(text, &r->d->tune[which])) {
        xml_wrong(r->l, xmldoc_line(node), "<%s>: '%.40s' is no number", node->name, text);
    } else {
        xml_why(r, node, placement_tune_wrong(tune_names[which], kind, r->d->tune[which]));
        r->d->tuned[which] = r->d->tune[which] != 0;
    }
    free(text);
}

void xml_take_cputune(struct xml_reader *r, struct _xmlNode *node)
{
    static const struct xml_element table[] = {
        { .name = "vcpupin", .take = take_vcpupin, .many = true },
        { .name = "emulatorpin", .take = take_emulatorpin, .many = true },
        { .name = "iothreadpin", .take = take_iothreadpin, .many = true },
        { .name = "shares", .take = take_tune },
        { .name = "period", .take = take_tune },
        { .name = "quota", .take = take_tune },
        { .name = "emulator_period", .take = take_tune },
        { .name = "emulator_quota", .take = take_tune },
        { .name = "global_period", .take = take_tune },
        { .name = "global_quota", .take = take_tune },
        { .name = "iothread_period", .take = take_tune },
        { .name = "iothread_quota", .take = take_tune },
        { .name = "vcpusched", .kind = XML_REFUSE, .many = true },
        { .name = "iothreadsched", .kind = XML_REFUSE, .many = true },
        { .name = "emulatorsched", .kind = XML_REFUSE },
        { .name = "cachetune", .kind = XML_REFUSE, .many = true },
        { .name = "memorytune", .kind = XML_REFUSE, .many = true },
        { .name = NULL },
    };

    xml_children(r, node, table, XML_OTHERS_REFUSE);
}

/* ---- numatune ---- */

/* Where memory lies is not for tarn's guests to say; whether an adviser is asked counts for CPUs.
 */
static void take_numa_memory(struct xml_reader *r, struct _xmlNode *node)
{
    static const char *const known[] = { "mode", "nodeset", "placement", NULL };
    char *placement = xmldoc_attribute(node, "placement");
    char *nodeset = xmldoc_attribute(node, "nodeset");

    xml_attributes(r, node, known);
    if (placement && strcmp(placement, "auto") != 0 && strcmp(placement, "static") != 0) {
        xml_wrong(r->l, xmldoc_line(node), "<memory>: placement: '%.40s' is none of static, auto",
                  placement);
    }
    r->d->place.numatune_auto = placement && !strcmp(placement, "auto");
    if (nodeset && !r->d->place.numatune_auto) {
        xml_warn(r->l, xmldoc_line(node), "<memory>: nodeset is ignored: memory is not bound");
    }
    free(placement);
    free(nodeset);
}

void xml_take_numatune(struct xml_reader *r, struct _xmlNode *node)
{
    static const struct xml_element table[] = {
        { .name = "memory", .take = take_numa_memory },
        { .name = "memnode", .kind = XML_PASS, .many = true },
        { .name = NULL },
    };

    xml_children(r, node, table, XML_OTHERS_REFUSE);
}

/* ---- devices ---- */

static void take_emulator(struct xml_reader *r, struct _xmlNode *node)
{
    char *path = xmldoc_text(node);
    size_t n = strlen(path);

    if (n > 4 && n < PATH_MAX && *path == '/' && !strcmp(path + n - 4, ".cfg")) {
        r->d->emulator = path;
        return;
    }
    xml_warn(r->l, xmldoc_line(node),
             "<emulator> is ignored: '%.80s' is not the domain file (/...cfg) of a stub domain",
             path);
    free(path);
}

static struct _xmlNode *child(struct _xmlNode *node, const char *name)
{
    node = xmldoc_element(node->children);
    while (node && !xmldoc_is(node, name)) {
        node = xmldoc_element(node->next);
    }
    return node;
}

/* As large as the file of its source; 0: there is none, or it is too large. */
static uint64_t sectors_of(struct _xmlNode *disk)
{
    struct _xmlNode *source = child(disk, "source");
    char *path = source ? xmldoc_attribute(source, "file") : NULL;
    struct stat st = { .st_size = 0 };

    if (path && (stat(path, &st) || !S_ISREG(st.st_mode))) {
        st.st_size = 0;
    }
    free(path);
    st.st_size = (st.st_size + SECTOR - 1) / SECTOR;
    return (uint64_t)st.st_size <= SECTORS_MAX ? (uint64_t)st.st_size : 0;
}

static bool is_disk(struct _xmlNode *node)
{
    char *device = xmldoc_attribute(node, "device");
    bool is = !device || !strcmp(device, "disk");

    free(device);
    return is;
}

static void take_disk(struct xml_reader *r, struct _xmlNode *node)
{
    struct _xmlNode *driver = child(node, "driver");
    struct domain_xml *d = r->d;
    char *iothread = driver ? xmldoc_attribute(driver, "iothread") : NULL;
    uint64_t id = 0, sectors = sectors_of(node);

    if (iothread && xml_number(r, driver, "iothread", iothread, INT32_MAX, &id) &&
        (!id || id > d->place.iothreads)) {
        xml_wrong(r->l, xmldoc_line(driver), "<driver>: there is no iothread %u", (unsigned int)id);
    }
    if (!d->emulator || !is_disk(node)) {
        xml_warn(r->l, xmldoc_line(node), "<disk> is ignored: %s",
                 d->emulator ? "tarn has none of its kind" : "there is no emulator to serve it");
    } else if (!sectors) {
        xml_warn(r->l, xmldoc_line(node), "<disk> is ignored: its source is no file to be found");
    } else if (d->nr_disks == XML_DISKS_MAX) {
        xml_wrong(r->l, xmldoc_line(node), "<disk>: an emulator serves up to %u", XML_DISKS_MAX);
    } else {
        d->disks[d->nr_disks++] = (struct xml_disk){ .sectors = sectors,
                                                     .iothread = (unsigned int)id };
        xml_warn(r->l, xmldoc_line(node),
                 "<disk>: the emulator serves an empty one of the file's size");
    }
}

static void pass(struct xml_reader *r, struct _xmlNode *node)
{
    (void)r;
    (void)node;
}

/* Disks are looked at when it is known who serves them and how many iothreads there are. */
void xml_take_devices(struct xml_reader *r, struct _xmlNode *node)
{
    static const struct xml_element table[] = {
        { .name = "emulator", .take = take_emulator },
        { .name = "disk", .take = pass, .many = true },
        { .name = NULL },
    };

    r->devices = node;
    xml_children(r, node, table, XML_OTHERS_PASS);
}

static void settle_disks(struct xml_reader *r)
{
    struct _xmlNode *node = r->devices ? xmldoc_element(r->devices->children) : NULL;

    for (; node; node = xmldoc_element(node->next)) {
        if (xmldoc_is(node, "disk")) {
            take_disk(r, node);
        }
    }
}

/* ---- all of it ---- */

/* A fault names an element, whose line is the last one's of that kind. */
static void hear_placement(void *arg, bool fault, const char *text)
{
    static const char *const pins[] = { "vcpupin", "emulatorpin", "iothreadpin" };
    struct xml_reader *r = arg;
    long line = r->vcpu_line;

    for (size_t i = 0; i < COUNT(pins); i++) {
        if (!strncmp(text, pins[i], strlen(pins[i])) && r->pin_line[i]) {
            line = r->pin_line[i];
        }
    }
    if (fault) {
        xml_wrong(r->l, line, "%s", text);
    } else {
        xml_warn(r->l, line, "%s", text);
    }
}

void xml_settle_cpus(struct xml_reader *r, long line)
{
    struct placement_raw *p = &r->d->place;

    if (!r->vcpu_line) { /* libvirt's default */
        r->vcpu_line = line;
        p->max_vcpus = 1;
    }
    if (!p->max_vcpus) {
        return; /* it was wrong */
    }
    settle_vcpus(r);
    settle_disks(r);
    placement_check(p, hear_placement, r);
}
