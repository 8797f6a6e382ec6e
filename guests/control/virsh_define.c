/* SPDX-License-Identifier: MIT */
/*
 * virsh_define.c - definitions by virsh's words: define, undefine, start, dumpcfg, dumpxml. XML
 * comes in by the host's program, which makes a domain file of it; here it is only written.
 */
#include "virsh.h"

/* ---- define, undefine ---- */

static bool is_xml(const struct file *f)
{
    const char *text = f->data;
    size_t i = 0;

    while (i < f->size && blank(text[i])) {
        i++;
    }
    return i < f->size && text[i] == '<';
}

static int run_define(void)
{
    const char *name = virsh_text("file");
    const struct file *f = file_find(name);
    const struct definition *def;

    if (!f) {
        return virsh_error("Failed to open file '%s': No such file or directory", name);
    }
    if (is_xml(f)) {
        return virsh_error("%s is XML: `tarn define` on the host takes that", name);
    }
    def = definition_put(f->name, f->data, f->size);
    if (!def) {
        return virsh_error("Failed to define domain from %s", name);
    }
    out("Domain '%s' defined from %s\n", def->name, name);
    return 0;
}

const struct virsh_word virsh_define = {
    .name = "define",
    .help = "define (but don't start) a domain from a domain file",
    .options = { { "file", VIRSH_TEXT } },
    .run = run_define,
};

static int run_undefine(void)
{
    struct virsh_domain d;
    char name[NAME_SIZE];

    if (!virsh_domain(&d)) {
        return 1;
    }
    if (!d.def) {
        virsh_error("Failed to undefine domain '%s'", d.name);
        return virsh_error(NOT_VALID "cannot undefine transient domain");
    }
    str_copy(name, d.name, sizeof(name));
    definition_remove(d.def);
    out("Domain '%s' has been undefined\n", name);
    return 0;
}

const struct virsh_word virsh_undefine = {
    .name = "undefine",
    .help = "undefine an inactive domain, or convert persistent to transient",
    .options = { { "domain", VIRSH_TEXT } },
    .run = run_undefine,
};

/* ---- start ---- */

/* The maker of domains tells what is wrong itself, behind "error: " as here. */
static int start(const struct config *c)
{
    const char *command = session->command;
    domid_t domid;
    long rc = 0;

    session->command = NULL;
    if (virsh_flag("explain")) {
        rc = explain_plan(c);
    }
    rc = rc ? rc : domain_create(c, virsh_flag("paused"), &domid);
    session->command = command;
    if (rc) {
        return virsh_error("Failed to start domain '%s'", c->name);
    }
    out("Domain '%s' started\n", c->name);
    return 0;
}

static int run_start(void)
{
    struct virsh_domain d;
    struct config *c;
    int status = 1;

    if (!virsh_domain(&d)) {
        return 1;
    }
    if (d.live || domain_lookup(d.name)) {
        return virsh_error("Domain is already active");
    }
    c = definition_config(d.def);
    if (c) {
        status = start(c);
    }
    release(c);
    return status;
}

const struct virsh_word virsh_start = {
    .name = "start",
    .help = "start a (previously defined) inactive domain",
    .options = { { "domain", VIRSH_TEXT }, { "paused", VIRSH_FLAG }, { "explain", VIRSH_FLAG } },
    .run = run_start,
};

/* ---- dumpcfg ---- */

static int run_dumpcfg(void)
{
    struct virsh_domain d;

    if (!virsh_domain(&d)) {
        return 1;
    }
    if (!d.def) {
        return virsh_error(NOT_VALID "transient domains do not have any persistent config");
    }
    out_bytes(d.def->text, d.def->size);
    return 0;
}

const struct virsh_word virsh_dumpcfg = {
    .name = "dumpcfg",
    .help = "the domain file that a domain is defined by",
    .options = { { "domain", VIRSH_TEXT } },
    .run = run_dumpcfg,
};

/* ---- dumpxml ---- */

static void xml_text(const char *text)
{
    for (; *text; text++) {
        const char *entity = *text == '&'    ? "&amp;"
                             : *text == '<'  ? "&lt;"
                             : *text == '>'  ? "&gt;"
                             : *text == '\'' ? "&apos;"
                                             : NULL;

        if (entity) {
            out("%s", entity);
        } else {
            out_bytes(text, 1);
        }
    }
}

static void xml_element(const char *indent, const char *name, const char *text)
{
    if (*text) {
        out("%s<%s>", indent, name);
        xml_text(text);
        out("</%s>\n", name);
    }
}

static void xml_number(const char *name, int64_t value)
{
    if (value) {
        out("    <%s>%ld</%s>\n", name, value, name);
    }
}

static void vcpu_print(const struct config *c)
{
    const struct placement_raw *p = &c->placement;

    out("  <vcpu placement='%s'", p->placement == PLACEMENT_AUTO ? "auto" : "static");
    if (p->cpuset.given) {
        out(" cpuset='%s'", virsh_cpulist_text(&p->cpuset.cpus));
    }
    if (c->vcpus < c->maxvcpus) {
        out(" current='%u'", c->vcpus);
    }
    out(">%u</vcpu>\n", c->maxvcpus);
    if (c->iothreads) {
        out("  <iothreads>%u</iothreads>\n", c->iothreads);
    }
}

static void bandwidth_print(const char *prefix, const struct bandwidth *b)
{
    char name[24];

    fmt_snprintf(name, sizeof(name), "%speriod", prefix);
    xml_number(name, (int64_t)b->period);
    fmt_snprintf(name, sizeof(name), "%squota", prefix);
    xml_number(name, b->quota);
}

static void pins_print(const struct placement_raw *p)
{
    for (uint32_t v = 0; v < p->max_vcpus; v++) {
        if (p->vcpu[v].given) {
            out("    <vcpupin vcpu='%u' cpuset='%s'/>\n", v, virsh_cpulist_text(&p->vcpu[v].cpus));
        }
    }
    if (p->emulator.given) {
        out("    <emulatorpin cpuset='%s'/>\n", virsh_cpulist_text(&p->emulator.cpus));
    }
    for (uint32_t i = 1; i <= p->iothreads; i++) {
        if (p->iothread[i].given) {
            out("    <iothreadpin iothread='%u' cpuset='%s'/>\n", i,
                virsh_cpulist_text(&p->iothread[i].cpus));
        }
    }
}

static bool any_pin(const struct placement_raw *p)
{
    bool any = p->emulator.given;

    for (uint32_t v = 0; v < p->max_vcpus; v++) {
        any |= p->vcpu[v].given;
    }
    for (uint32_t i = 1; i <= p->iothreads; i++) {
        any |= p->iothread[i].given;
    }
    return any;
}

static bool any_bandwidth(const struct config *c)
{
    const struct bandwidth *const all[] = { &c->vcpu_bandwidth, &c->global_bandwidth,
                                            &c->emulator_bandwidth, &c->iothread_bandwidth };
    bool any = false;

    for (unsigned int i = 0; i < ARRAY_SIZE(all); i++) {
        any |= all[i]->period || all[i]->quota;
    }
    return any;
}

static void cputune_print(const struct config *c)
{
    uint64_t shares = c->shares ? c->shares : c->weight ? placement_weight_to_shares(c->weight) : 0;

    if (!shares && !any_bandwidth(c) && !any_pin(&c->placement)) {
        return;
    }
    out("  <cputune>\n");
    xml_number("shares", (int64_t)shares);
    bandwidth_print("", &c->vcpu_bandwidth);
    bandwidth_print("global_", &c->global_bandwidth);
    bandwidth_print("emulator_", &c->emulator_bandwidth);
    bandwidth_print("iothread_", &c->iothread_bandwidth);
    pins_print(&c->placement);
    out("  </cputune>\n");
}

static const char *action_name(enum action action)
{
    static const char *const names[] = {
        [ACTION_DESTROY] = "destroy",
        [ACTION_RESTART] = "restart",
        [ACTION_RENAME_RESTART] = "rename-restart",
        [ACTION_PRESERVE] = "preserve",
    };

    return names[action];
}

static void xml_print(const struct virsh_domain *d, const struct config *c, bool live)
{
    char uuid[UUID_SIZE] = "";

    out("<domain type='xen'");
    if (live) {
        out(" id='%u'", d->live->domid);
        uuid_format(d->info.handle, uuid);
    } else if (c->uuid_given) {
        uuid_format(c->uuid, uuid);
    }
    out(">\n");
    xml_element("  ", "name", d->name);
    xml_element("  ", "uuid", uuid);
    out("  <memory unit='KiB'>%lu</memory>\n", c->maxmem_kb);
    out("  <currentMemory unit='KiB'>%lu</currentMemory>\n", c->memory_kb);
    vcpu_print(c);
    cputune_print(c);
    if (c->placement.numatune_auto) {
        out("  <numatune>\n    <memory placement='auto'/>\n  </numatune>\n");
    }
    out("  <os>\n    <type arch='x86_64' machine='xenpv'>linux</type>\n");
    xml_element("    ", "kernel", c->kernel);
    xml_element("    ", "initrd", c->ramdisk);
    xml_element("    ", "cmdline", c->extra);
    out("  </os>\n");
    xml_element("  ", "on_poweroff", action_name(c->on_poweroff));
    xml_element("  ", "on_reboot", action_name(c->on_reboot));
    xml_element("  ", "on_crash", action_name(c->on_crash));
    if (has_emulator(c)) {
        out("  <devices>\n");
        xml_element("    ", "emulator", c->emulator.file);
        out("  </devices>\n");
    }
    out("</domain>\n");
}

static int run_dumpxml(void)
{
    bool live = !virsh_flag("inactive");
    struct config *defined = NULL;
    struct virsh_domain d;

    if (!virsh_domain(&d)) {
        return 1;
    }
    live = (live && d.live) || !d.def; /* of a transient one there is nothing else */
    defined = live ? NULL : definition_config(d.def);
    if (!live && !defined) {
        return 1;
    }
    xml_print(&d, live ? virsh_live_config(&d) : defined, live);
    release(defined);
    return 0;
}

const struct virsh_word virsh_dumpxml = {
    .name = "dumpxml",
    .help = "domain information in XML",
    .options = { { "domain", VIRSH_TEXT }, { "inactive", VIRSH_FLAG } },
    .run = run_dumpxml,
};
