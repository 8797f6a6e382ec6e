/* SPDX-License-Identifier: MIT */
/* sources: tools/tarn/xmldoc.c tools/tarn/domxml.c tools/tarn/domxml_cpu.c tools/tarn/deftext.c
 * tools/tarn/util.c guests/control/config.c guests/control/configvirt.c guests/control/configtext.c
 * guests/control/keyfile.c guests/control/placement.c lib/cpulist.c lib/number.c lib/printf.c
 * lib/str.c */
/*
 * libFuzzer on libvirt's domain XML: whatever is taken, the control domain takes the text that it
 * becomes, and understands the same by it.
 */
#include <stdlib.h>
#include <string.h>

#include "../../guests/control/config.h"
#include "../../tools/tarn/domxml.h"

static const struct cpu_host host = { .nr_cpus = NR_CPUS };
static const char *made; /* the text, for who looks at a crash */

static void check(int ok)
{
    if (!ok) {
        abort();
    }
}

static void hear(void *arg, bool error, long line, const char *text)
{
    unsigned int *n = arg;

    check(line >= 0 && strlen(text) > 0 && strlen(text) < 512);
    *n += error;
}

static void report(void *arg, const char *text)
{
    (void)arg;
    (void)text;
}

/* Names that can't be typed, or are too long, never get to the control domain. */
static const char *rename_file(void *arg, const char *path)
{
    (void)arg;
    check(*path == '/');
    for (const char *p = path; *p; p++) {
        if (*p <= ' ' || *p > '~' || *p == '"' || *p == '\\' || p - path > 100) {
            return "/renamed";
        }
    }
    return path;
}

static void check_same(const struct domain_xml *d, const struct config *c)
{
    const struct placement_raw *a = &d->place, *b = &c->placement;

    check(!strcmp(d->name, c->name) && c->memory_kb == d->current_mib * 1024 &&
          c->maxmem_kb == d->memory_mib * 1024);
    check(c->vcpus == a->vcpus && c->maxvcpus == a->max_vcpus && c->iothreads == a->iothreads);
    check(a->mode == b->mode && a->placement == b->placement);
    check(!memcmp(&a->cpuset, &b->cpuset, sizeof(a->cpuset)) || !a->cpuset.given);
    check(a->cpuset.given == b->cpuset.given && a->emulator.given == b->emulator.given);
    for (unsigned int v = 0; v < PLACEMENT_VCPUS; v++) {
        check(a->vcpu[v].given == b->vcpu[v].given);
        check(!a->vcpu[v].given || !memcmp(&a->vcpu[v], &b->vcpu[v], sizeof(a->vcpu[v])));
    }
    check(c->emulator.disks == d->nr_disks);
    check(c->shares == (d->tuned[TUNE_SHARES] ? (uint64_t)d->tune[TUNE_SHARES] : 0));
    check(c->vcpu_bandwidth.period == (uint64_t)d->tune[TUNE_PERIOD]);
    check(strcmp(c->extra, d->cmdline ? d->cmdline : "") == 0);
}

static void check_text(const struct domain_xml *d)
{
    static struct config c;
    char *text = deftext_make(d, "f", rename_file, NULL, 0, NULL);

    made = text;
    check(!config_parse("f", text, strlen(text), 0, NULL, &host, &c, report, NULL));
    check_same(d, &c);
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct domain_xml d;
    unsigned int errors = 0;
    struct xml_listener l = { .hear = hear, .arg = &errors };
    struct _xmlDoc *doc = xmldoc_parse((const char *)data, size, &l);

    if (doc) {
        if (domxml_read(doc, size % 2 ? PLACEMENT_2012 : PLACEMENT_MODERN, &d, &l)) {
            check(!errors);
            check_text(&d);
        }
        domxml_free(&d);
        xmldoc_free(doc);
    }
    check(doc || errors);
    return 0;
}
