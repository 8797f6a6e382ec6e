/* SPDX-License-Identifier: MIT */
/* deftext.c - a domain, read from libvirt's XML, as the text of a domain file. Pure. */
#include "domxml.h"
#include "host.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

struct maker {
    FILE *out;
    int nr_overrides;
    char *const *overrides;
};

/* ---- statements ---- */

/* The command line has another value for it. */
static bool overridden(const struct maker *m, const char *key)
{
    size_t n = strlen(key);

    for (int i = 0; i < m->nr_overrides; i++) {
        if (!strncmp(m->overrides[i], key, n) && m->overrides[i][n] == '=') {
            return true;
        }
    }
    return false;
}

static void put_string(FILE *out, const char *text)
{
    fputc('"', out);
    for (; *text; text++) {
        if (*text == '"' || *text == '\\') {
            fputc('\\', out);
        }
        if (*text == '\n' || *text == '\t') {
            fputs(*text == '\n' ? "\\n" : "\\t", out);
        } else {
            fputc(*text, out);
        }
    }
    fputc('"', out);
}

static void give_string(struct maker *m, const char *key, const char *text)
{
    if (text && !overridden(m, key)) {
        fprintf(m->out, "%s = ", key);
        put_string(m->out, text);
        fputc('\n', m->out);
    }
}

static void give_number(struct maker *m, const char *key, int64_t value)
{
    if (!overridden(m, key)) {
        fprintf(m->out, "%s = %" PRId64 "\n", key, value);
    }
}

/* Room for the longest list of CPUs, every other one. */
#define LIST_SIZE (NR_CPUS * 4)

static void give_set(struct maker *m, const char *key, const struct placement_pin *pin)
{
    char list[LIST_SIZE];

    placement_list_format(list, sizeof(list), &pin->cpus);
    give_string(m, key, pin->given ? list : NULL);
}

/* key = ["0:2", "1:3-4"] */
static void give_pins(struct maker *m, const char *key, const struct placement_pin *pins,
                      unsigned int n)
{
    const char *before = "";
    char list[LIST_SIZE];

    for (unsigned int i = 0; i < n && !overridden(m, key); i++) {
        if (pins[i].given) {
            placement_list_format(list, sizeof(list), &pins[i].cpus);
            if (!*before) {
                fprintf(m->out, "%s = [", key);
            }
            fprintf(m->out, "%s\"%u:%s\"", before, i, list);
            before = ", ";
        }
    }
    if (*before) {
        fputs("]\n", m->out);
    }
}

/* ---- a domain's parts ---- */

static void give_placement(struct maker *m, const struct domain_xml *d)
{
    const struct placement_raw *p = &d->place;

    give_number(m, "vcpus", p->vcpus);
    give_number(m, "maxvcpus", p->max_vcpus);
    if (p->mode == PLACEMENT_2012) {
        give_string(m, "place", "2012");
    }
    give_string(m, "placement", p->placement == PLACEMENT_AUTO ? "auto" : "static");
    if (p->numatune_auto) {
        give_string(m, "numatune", "auto");
    }
    give_set(m, "cpuset", &p->cpuset);
    give_pins(m, "vcpupin", p->vcpu, PLACEMENT_VCPUS);
    give_set(m, "emulatorpin", &p->emulator);
    if (p->iothreads) {
        give_number(m, "iothreads", p->iothreads);
    }
    give_pins(m, "iothreadpin", p->iothread, PLACEMENT_IOTHREADS + 1);
}

static void give_tunes(struct maker *m, const struct domain_xml *d)
{
    static const char *const keys[TUNES] = {
        [TUNE_SHARES] = "shares",
        [TUNE_PERIOD] = "vcpu_period",
        [TUNE_QUOTA] = "vcpu_quota",
        [TUNE_EMULATOR_PERIOD] = "emulator_period",
        [TUNE_EMULATOR_QUOTA] = "emulator_quota",
        [TUNE_GLOBAL_PERIOD] = "global_period",
        [TUNE_GLOBAL_QUOTA] = "global_quota",
        [TUNE_IOTHREAD_PERIOD] = "iothread_period",
        [TUNE_IOTHREAD_QUOTA] = "iothread_quota",
    };

    for (unsigned int i = 0; i < TUNES; i++) {
        if (d->tuned[i]) {
            give_number(m, keys[i], i != TUNE_SHARES && d->tune[i] < 0 ? -1 : d->tune[i]);
        }
    }
}

static void give_disks(struct maker *m, const struct domain_xml *d)
{
    if (!d->nr_disks || overridden(m, "emulator_disk")) {
        return;
    }
    fputs("emulator_disk = [", m->out);
    for (unsigned int i = 0; i < d->nr_disks; i++) {
        fprintf(m->out, "%s\"%" PRIu64, i ? ", " : "", d->disks[i].sectors);
        if (d->disks[i].iothread) {
            fprintf(m->out, ",iothread=%u", d->disks[i].iothread);
        }
        fputc('"', m->out);
    }
    fputs("]\n", m->out);
}

static void give_events(struct maker *m, const struct domain_xml *d)
{
    static const char *const keys[XML_EVENTS] = { "on_poweroff", "on_reboot", "on_crash" };

    for (unsigned int i = 0; i < XML_EVENTS; i++) {
        give_string(m, keys[i], d->event[i]);
    }
}

/* A value may be without its quotes, as the shell ate them. */
static void give_overrides(struct maker *m)
{
    for (int i = 0; i < m->nr_overrides; i++) {
        const char *value = strchr(m->overrides[i], '=') + 1;
        size_t digits = strspn(value + (*value == '-'), "0123456789");

        fprintf(m->out, "%.*s = ", (int)(value - 1 - m->overrides[i]), m->overrides[i]);
        if (*value == '"' || *value == '\'' || *value == '[' ||
            (digits && !value[digits + (*value == '-')])) {
            fputs(value, m->out);
        } else {
            put_string(m->out, value);
        }
        fputc('\n', m->out);
    }
}

/* In a comment: one line of what can be seen. */
static void put_comment(FILE *out, const char *from)
{
    fputs("# from ", out);
    for (; *from; from++) {
        fputc(*from >= ' ' && *from < 127 ? *from : '?', out);
    }
    fputs(", libvirt domain XML, by tarn define\n", out);
}

char *deftext_make(const struct domain_xml *d, const char *from,
                   const char *(*rename)(void *arg, const char *path), void *arg, int nr_overrides,
                   char *const *overrides)
{
    struct maker m = { .nr_overrides = nr_overrides, .overrides = overrides };
    char *text = NULL;
    size_t size;

    m.out = open_memstream(&text, &size);
    if (!m.out) {
        die("out of memory");
    }
    put_comment(m.out, from);
    give_string(&m, "name", d->name);
    give_string(&m, "uuid", d->uuid);
    give_string(&m, "kernel", rename(arg, d->kernel));
    give_string(&m, "ramdisk", d->initrd ? rename(arg, d->initrd) : NULL);
    give_string(&m, "extra", d->cmdline);
    give_number(&m, "memory", (int64_t)d->current_mib);
    give_number(&m, "maxmem", (int64_t)d->memory_mib);
    give_placement(&m, d);
    give_tunes(&m, d);
    give_string(&m, "emulator", d->emulator ? rename(arg, d->emulator) : NULL);
    give_disks(&m, d);
    give_events(&m, d);
    give_overrides(&m);
    if (fclose(m.out)) {
        die("out of memory");
    }
    return text;
}
