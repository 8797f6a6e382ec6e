/* SPDX-License-Identifier: MIT */
/*
 * config.c - a domain's file in xl.cfg's syntax (keyfile.h): what its keys are, and what they mean
 * together; libvirt's and the emulator's are in configvirt.c. Pure; its state is one static parser,
 * for it is too large for a stack.
 */
#include "configkeys.h"

#include "limits.h"

#define DEFAULT_MEMORY 32u
#define MEMORY_MAX (1UL << 20) /* MiB */
#define CAP_VCPU 100u
#define PERIOD_MIN 10u /* us */
#define PERIOD_MAX 10000000u

const char *const key_names[KEYS] = {
    [KEY_NAME] = "name",
    [KEY_KERNEL] = "kernel",
    [KEY_RAMDISK] = "ramdisk",
    [KEY_EXTRA] = "extra",
    [KEY_CMDLINE] = "cmdline",
    [KEY_ROOT] = "root",
    [KEY_POOL] = "pool",
    [KEY_MEMORY] = "memory",
    [KEY_MAXMEM] = "maxmem",
    [KEY_VCPUS] = "vcpus",
    [KEY_MAXVCPUS] = "maxvcpus",
    [KEY_WEIGHT] = "cpu_weight",
    [KEY_CAP] = "cap",
    [KEY_PERIOD] = "period",
    [KEY_BUDGET] = "budget",
    [KEY_EXTRATIME] = "extratime",
    [KEY_EVENT_CHANNELS] = "event_channels",
    [KEY_GRANT_FRAMES] = "max_grant_frames",
    [KEY_MAPTRACK_FRAMES] = "max_maptrack_frames",
    [KEY_CPUS] = "cpus",
    [KEY_CPUS_SOFT] = "cpus_soft",
    [KEY_POWEROFF] = "on_poweroff",
    [KEY_REBOOT] = "on_reboot",
    [KEY_CRASH] = "on_crash",
    [KEY_WATCHDOG] = "on_watchdog",
    [KEY_TYPE] = "type",
    [KEY_BUILDER] = "builder",
    [KEY_UUID] = "uuid",
    [KEY_PLACEMENT] = "placement",
    [KEY_CPUSET] = "cpuset",
    [KEY_VCPUPIN] = "vcpupin",
    [KEY_EMULATORPIN] = "emulatorpin",
    [KEY_IOTHREADPIN] = "iothreadpin",
    [KEY_PLACE] = "place",
    [KEY_NUMATUNE] = "numatune",
    [KEY_SHARES] = "shares",
    [KEY_EMULATOR] = "emulator",
    [KEY_CHARGE] = "charge",
    [KEY_EMULATOR_CPUS] = "emulator_cpus",
    [KEY_EMULATOR_WEIGHT] = "emulator_weight",
    [KEY_EMULATOR_CAP] = "emulator_cap",
    [KEY_EMULATOR_DISK] = "emulator_disk",
    [KEY_EMULATOR_ECHO] = "emulator_echo",
    [KEY_IOTHREADS] = "iothreads",
    [KEY_IOTHREAD_CPUS] = "iothread_cpus",
    [KEY_VCPU_PERIOD] = "vcpu_period",
    [KEY_VCPU_QUOTA] = "vcpu_quota",
    [KEY_GLOBAL_PERIOD] = "global_period",
    [KEY_GLOBAL_QUOTA] = "global_quota",
    [KEY_EMULATOR_PERIOD] = "emulator_period",
    [KEY_EMULATOR_QUOTA] = "emulator_quota",
    [KEY_IOTHREAD_PERIOD] = "iothread_period",
    [KEY_IOTHREAD_QUOTA] = "iothread_quota",
    [KEY_GROUP] = "group",
    [KEY_GROUP_WEIGHT] = "group_weight",
    [KEY_GROUP_CAP] = "group_cap",
};

static const char *const action_names[] = {
    [ACTION_DESTROY] = "destroy",
    [ACTION_RESTART] = "restart",
    [ACTION_RENAME_RESTART] = "rename-restart",
    [ACTION_PRESERVE] = "preserve",
    NULL,
};

static struct parser parser;

static bool get_action(struct parser *p, enum key key, enum action *to)
{
    unsigned int which;

    if (!keyfile_choice(&p->k, key, action_names, &which)) {
        return false;
    }
    *to = (enum action)which;
    return true;
}

/* One of two words that mean what we do anyhow. */
static bool get_fixed(struct parser *p, enum key key, const char *one, const char *other)
{
    char text[SHOWN];

    if (!keyfile_text(&p->k, key, text, sizeof(text))) {
        return false;
    }
    if (strcmp(text, one) && strcmp(text, other)) {
        return reader_wrong(&p->k.r, "%s: '%s' is not supported, only '%s'", key_names[key], text,
                            one);
    }
    return true;
}

const char *domain_name_wrong(const char *name)
{
    const char *why = name_wrong(name);

    return why || strcmp(name, "Domain-0") ? why : "is domain 0's";
}

static bool get_name(struct parser *p)
{
    const char *why;

    if (!keyfile_is_text(&p->k, KEY_NAME, TEXT_SIZE)) {
        return false;
    }
    why = domain_name_wrong(p->k.value.text);
    if (why) {
        return reader_wrong(&p->k.r, "name: '%.*s' %s", SHOWN, p->k.value.text, why);
    }
    str_copy(p->c->name, p->k.value.text, sizeof(p->c->name));
    return true;
}

bool uuid_parse(const char *text, uint8_t uuid[16])
{
    bool dashes = strlen(text) == 36;

    for (unsigned int n = 0; n < 32; n++) {
        char c;

        if (dashes && (n == 8 || n == 12 || n == 16 || n == 20) && *text++ != '-') {
            return false;
        }
        c = (char)(*text | ' ');
        if (!(*text >= '0' && *text <= '9') && !(c >= 'a' && c <= 'f')) {
            return false;
        }
        uuid[n / 2] = (uint8_t)(uuid[n / 2] << 4 | (c <= '9' ? c - '0' : c - 'a' + 10));
        text++;
    }
    return !*text;
}

/* All zero is domain 0's. */
static bool get_uuid(struct parser *p)
{
    static const uint8_t zero[16];
    struct config *c = p->c;

    if (!keyfile_is_text(&p->k, KEY_UUID, TEXT_SIZE)) {
        return false;
    }
    if (!uuid_parse(p->k.value.text, c->uuid) || memcmp(c->uuid, zero, sizeof(zero)) == 0) {
        return reader_wrong(&p->k.r, "uuid: '%.*s' is none", SHOWN, p->k.value.text);
    }
    c->uuid_given = true;
    return true;
}

/* ---- keys ---- */

bool config_count(struct parser *p, enum key key, uint64_t max, unsigned int *to)
{
    uint64_t value;

    if (!keyfile_number(&p->k, key, 1, max, "", &value)) {
        return false;
    }
    *to = (unsigned int)value;
    return true;
}

bool config_small(struct parser *p, enum key key, uint64_t min, uint64_t max, int *to)
{
    uint64_t value;

    if (!keyfile_number(&p->k, key, min, max, "", &value)) {
        return false;
    }
    *to = (int)value;
    return true;
}

static bool get_event_channels(struct parser *p)
{
    uint64_t value;

    if (!keyfile_number(&p->k, KEY_EVENT_CHANNELS, EVENT_CHANNELS_MIN, EVENT_CHANNELS_MAX, "",
                        &value)) {
        return false;
    }
    p->c->event_channels = (unsigned int)value;
    return true;
}

bool config_keep(struct parser *p, enum key key, const struct place *at)
{
    if (p->k.value.type == WORD && !p->k.r.override) {
        return reader_wrong(&p->k.r, "%s: must be a string or a list of strings", key_names[key]);
    }
    p->at[key] = *at;
    return true;
}

static bool apply_number(struct parser *p, enum key key)
{
    switch (key) {
    case KEY_MEMORY:
        return keyfile_number(&p->k, key, 1, MEMORY_MAX, " (MiB)", &p->memory);
    case KEY_MAXMEM:
        return keyfile_number(&p->k, key, 1, MEMORY_MAX, " (MiB)", &p->maxmem);
    case KEY_VCPUS:
        return config_count(p, key, VCPUS_MAX, &p->c->vcpus);
    case KEY_MAXVCPUS:
        return config_count(p, key, VCPUS_MAX, &p->c->maxvcpus);
    case KEY_WEIGHT:
        return config_count(p, key, WEIGHT_MAX, &p->c->weight);
    case KEY_PERIOD:
        return keyfile_number(&p->k, key, PERIOD_MIN, PERIOD_MAX, " (us)", &p->c->period_us);
    case KEY_BUDGET:
        return keyfile_number(&p->k, key, PERIOD_MIN, PERIOD_MAX, " (us)", &p->c->budget_us);
    case KEY_EXTRATIME:
        return config_small(p, key, 0, 1, &p->c->extratime);
    case KEY_EVENT_CHANNELS:
        return get_event_channels(p);
    case KEY_GRANT_FRAMES:
        return config_small(p, key, 1, GRANT_FRAMES_MAX, &p->c->grant_frames);
    case KEY_MAPTRACK_FRAMES:
        return config_small(p, key, 0, MAPTRACK_FRAMES_MAX, &p->c->maptrack_frames);
    default:
        return keyfile_number(&p->k, key, 0, CAP_VCPU * VCPUS_MAX, "", &p->cap);
    }
}

static bool apply_action(struct parser *p, enum key key)
{
    struct config *c = p->c;
    enum action *const actions[] = { &c->on_poweroff, &c->on_reboot, &c->on_crash,
                                     &c->on_watchdog };

    return get_action(p, key, actions[key - KEY_POWEROFF]);
}

/* p->k.value is the key's, and stands at `at`. */
static bool apply(void *owner, unsigned int nr, const struct place *at)
{
    struct parser *p = owner;
    struct config *c = p->c;
    enum key key = nr;

    switch (key) {
    case KEY_NAME:
        return get_name(p);
    case KEY_KERNEL:
        return keyfile_path(&p->k, key, c->kernel, sizeof(c->kernel));
    case KEY_RAMDISK:
        return keyfile_path(&p->k, key, c->ramdisk, sizeof(c->ramdisk));
    case KEY_EXTRA:
        return keyfile_text(&p->k, key, p->extra, sizeof(p->extra));
    case KEY_CMDLINE:
        return keyfile_text(&p->k, key, p->cmdline, sizeof(p->cmdline));
    case KEY_ROOT:
        return keyfile_text(&p->k, key, p->root, sizeof(p->root));
    case KEY_POOL:
        return keyfile_path(&p->k, key, c->pool, sizeof(c->pool));
    case KEY_CPUS:
    case KEY_CPUS_SOFT:
        return config_keep(p, key, at);
    case KEY_POWEROFF:
    case KEY_REBOOT:
    case KEY_CRASH:
    case KEY_WATCHDOG:
        return apply_action(p, key);
    case KEY_TYPE:
        return get_fixed(p, key, "pv", "pv");
    case KEY_BUILDER:
        return get_fixed(p, key, "generic", "linux");
    case KEY_UUID:
        return get_uuid(p);
    default:
        return key < KEY_VIRT ? apply_number(p, key) : config_virt_apply(p, key, at);
    }
}

/* ---- what the keys mean together ---- */

static void settle_vcpus(struct parser *p)
{
    struct config *c = p->c;

    c->vcpus = MAX(c->vcpus, 1U);
    if (!c->maxvcpus) {
        c->maxvcpus = c->vcpus;
    }
    if (c->vcpus > c->maxvcpus) {
        keyfile_go_to(&p->k, KEY_VCPUS);
        reader_wrong(&p->k.r, "vcpus: %u are more than maxvcpus, %u", c->vcpus, c->maxvcpus);
    }
}

static void settle_memory(struct parser *p)
{
    if (!p->memory) {
        p->memory = p->maxmem ? p->maxmem : DEFAULT_MEMORY;
    }
    if (!p->maxmem) {
        p->maxmem = p->memory;
    }
    if (p->maxmem < p->memory) {
        keyfile_go_to(&p->k, KEY_MAXMEM);
        reader_wrong(&p->k.r, "maxmem: %lu MiB are less than memory, %lu MiB", p->maxmem,
                     p->memory);
    }
    p->c->memory_kb = p->memory * 1024;
    p->c->maxmem_kb = p->maxmem * 1024;
}

static void settle_cap(struct parser *p)
{
    unsigned int max = CAP_VCPU * p->c->maxvcpus;

    p->c->cap = -1;
    if (p->cap == CAP_NONE) {
        return;
    }
    if (p->cap > max) {
        keyfile_go_to(&p->k, KEY_CAP);
        reader_wrong(&p->k.r, "cap: must be at most %u, which is all of %u vcpus", max,
                     p->c->maxvcpus);
        return;
    }
    p->c->cap = (int)p->cap;
}

static void settle_budget(struct parser *p)
{
    const struct config *c = p->c;

    if (c->period_us && c->budget_us > c->period_us) {
        keyfile_go_to(&p->k, KEY_BUDGET);
        reader_wrong(&p->k.r, "budget: %lu us are over the period, %lu us", c->budget_us,
                     c->period_us);
    }
}

/* xl takes `cmdline` alone, or `root` and `extra` together. */
static void settle_command_line(struct parser *p)
{
    char *to = p->c->extra;
    int n;

    if (p->cmdline[0]) {
        str_copy(to, p->cmdline, TEXT_SIZE);
        return;
    }
    n = p->root[0] ? fmt_snprintf(to, TEXT_SIZE, p->extra[0] ? "root=%s %s" : "root=%s%s", p->root,
                                  p->extra)
                   : fmt_snprintf(to, TEXT_SIZE, "%s", p->extra);
    if (n >= (int)TEXT_SIZE) {
        keyfile_go_to(&p->k, KEY_EXTRA);
        reader_wrong(&p->k.r, "extra: with root= it is longer than %u characters", TEXT_SIZE - 1);
    }
}

static bool cpus_of(struct parser *p, enum key key, const struct value *v, struct cpumask *map)
{
    const char *why = cpulist_parse(v->text, p->host, map);

    return why ? reader_wrong(&p->k.r, "%s: %s", key_names[key], why) : true;
}

static void all_cpus(const struct parser *p, struct cpumask *map)
{
    *map = (struct cpumask){ { 0 } };
    for (unsigned int cpu = 0; cpu < MIN(p->host->nr_cpus, NR_CPUS); cpu++) {
        map->bits[cpu / 64] |= 1UL << (cpu % 64);
    }
}

/* A list has an item for each vcpu; those behind its end may run anywhere. */
static bool cpus_of_list(struct parser *p, enum key key, struct cpumask *maps)
{
    unsigned int n = 0;

    p->k.r.here = p->k.value.items;
    while (reader_item(&p->k.r)) {
        if (n == p->c->maxvcpus) {
            return reader_wrong(&p->k.r, "%s: more items than vcpus, %u", key_names[key], n);
        }
        if (!cpus_of(p, key, &p->k.r.item, &maps[n++])) {
            return false;
        }
    }
    if (!n) {
        return reader_wrong(&p->k.r, "%s: it names no CPU", key_names[key]);
    }
    while (n < p->c->maxvcpus) {
        all_cpus(p, &maps[n++]);
    }
    return true;
}

bool config_again(struct parser *p, enum key key)
{
    if (!p->at[key].at) {
        return false;
    }
    p->k.r.here = p->at[key];
    p->k.r.line = p->k.lines[key];
    p->k.r.override = !p->k.r.line;
    return reader_value(&p->k.r, key_names[key], &p->k.value);
}

/* Whether there are maps for the vcpus now. */
static bool settle_cpus(struct parser *p, enum key key, struct cpumask *maps)
{
    if (!config_again(p, key)) {
        return false;
    }
    if (p->k.value.type == LIST) {
        return cpus_of_list(p, key, maps);
    }
    if (!cpus_of(p, key, &p->k.value, &maps[0])) {
        return false;
    }
    for (unsigned int v = 1; v < p->c->maxvcpus; v++) {
        maps[v] = maps[0];
    }
    return true;
}

static void settle(struct parser *p)
{
    struct config *c = p->c;

    keyfile_need(&p->k, KEY_NAME);
    keyfile_need(&p->k, KEY_KERNEL);
    settle_memory(p);
    settle_vcpus(p);
    settle_cap(p);
    settle_budget(p);
    settle_command_line(p);
    c->hard_given = settle_cpus(p, KEY_CPUS, c->hard);
    c->soft_given = settle_cpus(p, KEY_CPUS_SOFT, c->soft);
    config_virt_settle(p);
}

unsigned int config_parse(const char *file, const char *text, size_t size, int nr_overrides,
                          char *const *overrides, const struct cpu_host *host, struct config *c,
                          void (*report)(void *arg, const char *text), void *arg)
{
    struct parser *p = &parser;

    memset(p, 0, sizeof(*p));
    memset(c, 0, sizeof(*c));
    p->k = (struct keyfile){ .r = { .file = file, .report = report, .arg = arg },
                             .names = key_names,
                             .keys = KEYS,
                             .apply = apply,
                             .owner = p };
    p->host = host;
    p->c = c;
    p->cap = p->emulator_cap = CAP_NONE;
    c->extratime = -1;
    c->event_channels = EVENT_CHANNELS_DEFAULT;
    c->grant_frames = -1;
    c->maptrack_frames = -1;
    c->emulator.cap = -1;
    c->group_cap = -1;
    c->on_reboot = ACTION_RESTART;
    if (keyfile_parse(&p->k, text, size, nr_overrides, overrides)) {
        settle(p);
    }
    return p->k.r.errors;
}
