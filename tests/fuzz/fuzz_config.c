/* SPDX-License-Identifier: MIT */
/* sources: guests/control/config.c guests/control/configvirt.c guests/control/configtext.c
 * guests/control/keyfile.c guests/control/placement.c
 * guests/control/poolconfig.c lib/cpulist.c lib/number.c lib/printf.c lib/str.c */
/*
 * libFuzzer on domain files, cpupool files and lists of CPUs. First byte: a list, a file, or a file
 * with the rest behind its first line's end as override as well.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../../guests/control/poolconfig.h"

static const uint32_t nodes[6] = { 0, 0, 1, 1, 2, ~0U };
static const struct cpu_host host = { .nr_cpus = 6, .node = nodes };
static unsigned int nr_reported;

static void check(int ok)
{
    if (!ok) {
        abort();
    }
}

static void report(void *arg, const char *text)
{
    check(arg == &nr_reported && strlen(text) > 0 && strlen(text) < 256);
    nr_reported++;
}

static void check_maps(const struct cpumask *maps, unsigned int n)
{
    for (unsigned int v = 0; v < n; v++) {
        check(maps[v].bits[0] && maps[v].bits[0] < 1 << 6);
    }
}

static void check_bandwidth(const struct bandwidth *b)
{
    check(b->period == 0 || (b->period >= 1000 && b->period <= 1000000));
    check(b->quota == 0 || b->quota == -1 || (b->quota >= 1000 && b->quota <= 17592186044415));
}

/* What can be placed has a place, by some rule, where an adviser answers. */
static void check_placed(const struct config *c)
{
    const struct cpumask all = { { 0x3f } };
    struct cpumask set;
    enum placement_rule rule;

    check(c->placement.max_vcpus == c->maxvcpus && c->placement.iothreads == c->iothreads);
    for (unsigned int v = 0; v < c->maxvcpus; v++) {
        check(!placement_of(&c->placement, (struct placement_who){ PLACEMENT_VCPU, v }, &all, &all,
                            &set, &rule));
        check(!cpumask_empty(&set));
    }
    for (unsigned int i = 0; i <= c->iothreads; i++) {
        const struct placement_who who = { i ? PLACEMENT_IOTHREAD : PLACEMENT_EMULATOR, i };

        check(!placement_of(&c->placement, who, &all, &all, &set, &rule));
        check(!cpumask_empty(&set));
    }
}

static void check_virt(const struct config *c)
{
    check_bandwidth(&c->vcpu_bandwidth);
    check_bandwidth(&c->global_bandwidth);
    check_bandwidth(&c->emulator_bandwidth);
    check_bandwidth(&c->iothread_bandwidth);
    check(c->iothreads <= 16 && c->emulator.cap <= 100 * ((int)c->iothreads + 1));
    check(c->emulator.disks <= DISKS_MAX && c->emulator.echoes <= DISKS_MAX);
    for (unsigned int i = 0; i < c->emulator.disks; i++) {
        check(c->emulator.disk[i].sectors && c->emulator.disk[i].iothread <= c->iothreads);
    }
    check(memchr(c->emulator.file, 0, sizeof(c->emulator.file)) != NULL);
    check(memchr(c->group, 0, sizeof(c->group)) && strcmp(c->group, c->name) != 0);
    check(has_emulator(c) || (c->emulator.disks == 0 && c->emulator.cap < 0));
    check(c->warnings <= WARNINGS_MAX && (c->shares == 0 || c->weight));
    check(!c->by_rules || !c->hard_given);
    check_placed(c);
}

static void check_config(const struct config *c)
{
    check(!domain_name_wrong(c->name) && c->kernel[0]);
    check(memchr(c->kernel, 0, sizeof(c->kernel)) && memchr(c->ramdisk, 0, sizeof(c->ramdisk)));
    check(memchr(c->extra, 0, sizeof(c->extra)) && memchr(c->pool, 0, sizeof(c->pool)));
    check(c->vcpus >= 1 && c->vcpus <= c->maxvcpus && c->maxvcpus <= VCPUS_MAX);
    check(c->memory_kb >= 1024 && c->memory_kb <= c->maxmem_kb && c->maxmem_kb <= 1UL << 30);
    check(c->weight <= 65535 && c->cap >= -1 && c->cap <= 100 * (int)c->maxvcpus);
    check(c->on_poweroff <= ACTION_PRESERVE && c->on_reboot <= ACTION_PRESERVE);
    check(c->on_crash <= ACTION_PRESERVE && c->on_watchdog <= ACTION_PRESERVE);
    check_virt(c);
    check_maps(c->hard, c->hard_given ? c->maxvcpus : 0);
    check_maps(c->soft, c->soft_given ? c->maxvcpus : 0);
}

static void fuzz_file(const char *text, size_t size, char *override)
{
    static struct config c;
    unsigned int errors;

    nr_reported = 0;
    errors = config_parse("f", text, size, override != NULL, &override, &host, &c, report,
                          &nr_reported);
    check(errors == nr_reported);
    if (!errors) {
        check_config(&c);
    }
}

static void fuzz_pool(const char *text, size_t size)
{
    static struct pool_config c;
    unsigned int errors;

    nr_reported = 0;
    errors = pool_config_parse("f", text, size, 0, NULL, &host, &c, report, &nr_reported);
    check(errors == nr_reported);
    if (!errors) {
        check(!domain_name_wrong(c.name) || strcmp(c.name, "Domain-0") == 0);
        check(c.cpus.bits[0] < 1 << 6 && memchr(c.sched, 0, sizeof(c.sched)));
        check(c.tslice_ms >= -1 && c.tslice_ms <= 1000 && c.tslice_ms);
    }
}

static void fuzz_list(const char *text)
{
    struct cpumask a, b;
    char buf[64];

    if (!cpulist_parse(text, &host, &a)) {
        check_maps(&a, 1);
        check((size_t)cpulist_format(buf, sizeof(buf), &a, host.nr_cpus) < sizeof(buf));
        check(!cpulist_parse(buf, &host, &b) && memcmp(&a, &b, sizeof(a)) == 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text, *copy;

    if (size == 0) {
        return 0;
    }
    text = malloc(size); /* the first byte's place is the terminator's */
    copy = malloc(size);
    memcpy(text, data + 1, size - 1);
    text[size - 1] = '\0';
    memcpy(copy, text, size);
    if (data[0] % 3 == 0) {
        fuzz_list(text);
    } else {
        char *end = memchr(copy, '\n', size - 1);

        fuzz_pool(text, size - 1);
        fuzz_file(text, size - 1, data[0] % 3 == 2 && end ? end + 1 : NULL);
    }
    free(text);
    free(copy);
    return 0;
}
