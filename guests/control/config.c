/* SPDX-License-Identifier: MIT */
/*
 * config.c - a domain's file in xl.cfg's syntax: statements `key = value`, ended by a line's end or
 * ';', comments from '#', values numbers, strings in quotes and lists in brackets. Takes in all of
 * it, reports each thing that is wrong, and then what the keys mean together. Pure; its state is
 * one static parser, for it is too large for a stack.
 */
#include "configtext.h"

#include <tarn/number.h>

#define LINE_LENGTH_MAX 2048u
#define KEY_SIZE 32u
#define DEFAULT_MEMORY 32u
#define MEMORY_MAX (1UL << 20) /* MiB */
#define WEIGHT_MAX 65535u
#define CAP_VCPU 100u

enum key {
    KEY_NAME,
    KEY_KERNEL,
    KEY_RAMDISK,
    KEY_EXTRA,
    KEY_CMDLINE,
    KEY_ROOT,
    KEY_POOL,
    KEY_MEMORY,
    KEY_MAXMEM,
    KEY_VCPUS,
    KEY_MAXVCPUS,
    KEY_WEIGHT,
    KEY_CAP,
    KEY_CPUS,
    KEY_CPUS_SOFT,
    KEY_POWEROFF,
    KEY_REBOOT,
    KEY_CRASH,
    KEY_WATCHDOG,
    KEY_TYPE,
    KEY_BUILDER,
    KEY_UUID,
    KEYS
};

static const char *const key_names[KEYS] = {
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
    [KEY_CPUS] = "cpus",
    [KEY_CPUS_SOFT] = "cpus_soft",
    [KEY_POWEROFF] = "on_poweroff",
    [KEY_REBOOT] = "on_reboot",
    [KEY_CRASH] = "on_crash",
    [KEY_WATCHDOG] = "on_watchdog",
    [KEY_TYPE] = "type",
    [KEY_BUILDER] = "builder",
    [KEY_UUID] = "uuid",
};

static const char *const action_names[] = {
    [ACTION_DESTROY] = "destroy",
    [ACTION_RESTART] = "restart",
    [ACTION_RENAME_RESTART] = "rename-restart",
    [ACTION_PRESERVE] = "preserve",
};

struct parser {
    struct reader r;
    const struct cpu_host *host;
    struct config *c;
    bool seen[KEYS], again[KEYS];
    unsigned int lines[KEYS];     /* where it was given last; 0: an override */
    struct place cpus, cpus_soft; /* their values: what they mean depends on other keys */
    char root[128], cmdline[TEXT_SIZE], extra[TEXT_SIZE];
    uint64_t memory, maxmem, cap; /* of cap: CAP_NONE when not given */
    struct value value;
};
#define CAP_NONE (~0UL)

static struct parser parser;

/* ---- numbers ---- */

/* A number from min to max of a key; `unit` is for the message. */
static bool get_number(struct parser *p, enum key key, uint64_t min, uint64_t max, const char *unit,
                       uint64_t *value)
{
    const struct value *v = &p->value;
    const char *name = key_names[key], *text = v->text;
    uint64_t n;

    if (v->type == LIST) {
        return reader_wrong(&p->r, "%s: must be a number, not a list", name);
    }
    if (*text == '-' && uint_parse_clamped(text + 1, &n)) {
        return reader_wrong(&p->r, "%s: must not be negative", name);
    }
    if (!uint_parse_clamped(text, &n)) {
        return reader_wrong(&p->r, "%s: '%.*s' is not a number", name, SHOWN, text);
    }
    if (n < min) {
        return reader_wrong(&p->r, "%s: must be at least %lu%s", name, min, unit);
    }
    if (n > max) {
        return reader_wrong(&p->r, "%s: must be at most %lu%s", name, max, unit);
    }
    *value = n;
    return true;
}

/* ---- strings ---- */

/* Whether the value is a string that has room in `size` with its NUL. */
static bool is_text(struct parser *p, enum key key, size_t size)
{
    const struct value *v = &p->value;

    if (v->type == LIST || (v->type == WORD && !p->r.override)) {
        return reader_wrong(&p->r, "%s: must be a string in quotes", key_names[key]);
    }
    if (strlen(v->text) >= size) {
        return reader_wrong(&p->r, "%s: longer than %lu characters", key_names[key], size - 1);
    }
    return true;
}

static bool get_text(struct parser *p, enum key key, char *to, size_t size)
{
    if (!is_text(p, key, size)) {
        return false;
    }
    str_copy(to, p->value.text, size);
    return true;
}

static bool get_path(struct parser *p, enum key key, char *to, size_t size)
{
    if (!get_text(p, key, to, size)) {
        return false;
    }
    return *to ? true : reader_wrong(&p->r, "%s: is empty", key_names[key]);
}

static bool get_action(struct parser *p, enum key key, enum action *to)
{
    char text[SHOWN];

    if (!get_text(p, key, text, sizeof(text))) {
        return false;
    }
    for (size_t i = 0; i < ARRAY_SIZE(action_names); i++) {
        if (strcmp(text, action_names[i]) == 0) {
            *to = (enum action)i;
            return true;
        }
    }
    return reader_wrong(&p->r, "%s: '%s' is none of destroy, restart, rename-restart, preserve",
                        key_names[key], text);
}

/* One of two words that mean what we do anyhow. */
static bool get_fixed(struct parser *p, enum key key, const char *one, const char *other)
{
    char text[SHOWN];

    if (!get_text(p, key, text, sizeof(text))) {
        return false;
    }
    if (strcmp(text, one) && strcmp(text, other)) {
        return reader_wrong(&p->r, "%s: '%s' is not supported, only '%s'", key_names[key], text,
                            one);
    }
    return true;
}

static bool is_name_char(char c)
{
    return is_word(c) || c == '-' || c == '.' || c == '+' || c == ':';
}

const char *domain_name_wrong(const char *name)
{
    size_t digits = 0, n = strlen(name);

    if (!n) {
        return "is empty";
    }
    if (n >= NAME_SIZE) {
        return "is longer than 31 characters";
    }
    if (*name == '-') {
        return "begins with '-'";
    }
    for (const char *s = name; *s; s++) {
        if (!is_name_char(*s)) {
            return "has characters other than letters, digits and -_.+:";
        }
        digits += is_digit(*s);
    }
    if (digits == n) {
        return "is a number";
    }
    return strcmp(name, "Domain-0") ? NULL : "is domain 0's";
}

static bool get_name(struct parser *p)
{
    const char *why;

    if (!is_text(p, KEY_NAME, TEXT_SIZE)) {
        return false;
    }
    why = domain_name_wrong(p->value.text);
    if (why) {
        return reader_wrong(&p->r, "name: '%.*s' %s", SHOWN, p->value.text, why);
    }
    str_copy(p->c->name, p->value.text, sizeof(p->c->name));
    return true;
}

/* ---- keys ---- */

static bool get_count(struct parser *p, enum key key, uint64_t max, unsigned int *to)
{
    uint64_t value;

    if (!get_number(p, key, 1, max, "", &value)) {
        return false;
    }
    *to = (unsigned int)value;
    return true;
}

/* What a list of CPUs means is found out at the end. */
static bool keep_cpus(struct parser *p, enum key key, const struct place *at)
{
    if (p->value.type == WORD && !p->r.override) {
        return reader_wrong(&p->r, "%s: must be a string or a list of strings", key_names[key]);
    }
    *(key == KEY_CPUS ? &p->cpus : &p->cpus_soft) = *at;
    return true;
}

static bool apply_number(struct parser *p, enum key key)
{
    switch (key) {
    case KEY_MEMORY:
        return get_number(p, key, 1, MEMORY_MAX, " (MiB)", &p->memory);
    case KEY_MAXMEM:
        return get_number(p, key, 1, MEMORY_MAX, " (MiB)", &p->maxmem);
    case KEY_VCPUS:
        return get_count(p, key, VCPUS_MAX, &p->c->vcpus);
    case KEY_MAXVCPUS:
        return get_count(p, key, VCPUS_MAX, &p->c->maxvcpus);
    case KEY_WEIGHT:
        return get_count(p, key, WEIGHT_MAX, &p->c->weight);
    default:
        return get_number(p, key, 0, CAP_VCPU * VCPUS_MAX, "", &p->cap);
    }
}

static bool apply_action(struct parser *p, enum key key)
{
    struct config *c = p->c;
    enum action *const actions[] = { &c->on_poweroff, &c->on_reboot, &c->on_crash,
                                     &c->on_watchdog };

    return get_action(p, key, actions[key - KEY_POWEROFF]);
}

/* p->value is the key's, and stands at `at`. */
static bool apply(struct parser *p, enum key key, const struct place *at)
{
    struct config *c = p->c;

    switch (key) {
    case KEY_NAME:
        return get_name(p);
    case KEY_KERNEL:
        return get_path(p, key, c->kernel, sizeof(c->kernel));
    case KEY_RAMDISK:
        return get_path(p, key, c->ramdisk, sizeof(c->ramdisk));
    case KEY_EXTRA:
        return get_text(p, key, p->extra, sizeof(p->extra));
    case KEY_CMDLINE:
        return get_text(p, key, p->cmdline, sizeof(p->cmdline));
    case KEY_ROOT:
        return get_text(p, key, p->root, sizeof(p->root));
    case KEY_POOL:
        return get_path(p, key, c->pool, sizeof(c->pool));
    case KEY_CPUS:
    case KEY_CPUS_SOFT:
        return keep_cpus(p, key, at);
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
        return is_text(p, key, TEXT_SIZE);
    default:
        return apply_number(p, key);
    }
}

/* How many letters must be changed, added or left out to make b of a. */
static unsigned int distance(const char *a, const char *b)
{
    unsigned int row[KEY_SIZE + 1], n = (unsigned int)strlen(b);

    for (unsigned int j = 0; j <= n; j++) {
        row[j] = j;
    }
    for (unsigned int i = 1; *a; a++, i++) {
        unsigned int corner = row[0];

        row[0] = i;
        for (unsigned int j = 1; j <= n; j++) {
            unsigned int change = corner + (*a != b[j - 1]);

            corner = row[j];
            row[j] = MIN(MIN(row[j], row[j - 1]) + 1, change);
        }
    }
    return row[n];
}

static bool unknown_key(struct parser *p, const char *name)
{
    unsigned int best = 3;
    const char *near = NULL;

    for (size_t i = 0; i < KEYS; i++) {
        unsigned int far = distance(name, key_names[i]);

        if (far < best && far < strlen(key_names[i])) {
            best = far;
            near = key_names[i];
        }
    }
    if (near) {
        return reader_wrong(&p->r, "unknown key '%s', is '%s' meant?", name, near);
    }
    return reader_wrong(&p->r, "unknown key '%s'", name);
}

static enum key key_find(const char *name)
{
    unsigned int key = 0;

    while (key < KEYS && strcmp(key_names[key], name)) {
        key++;
    }
    return (enum key)key;
}

/* ---- statements ---- */

static bool take_key(struct parser *p, char name[KEY_SIZE])
{
    size_t n = 0;
    char c = reader_look(&p->r);

    if (!is_word(c) || is_digit(c)) {
        if (c > ' ' && c < 0x7f) {
            return reader_wrong(&p->r, "a key is wanted, and there is '%c'", c);
        }
        return reader_wrong(&p->r, "a key is wanted, and there is byte 0x%02x", (uint8_t)c);
    }
    while (is_word(reader_look(&p->r))) {
        if (n + 1 == KEY_SIZE) {
            return reader_wrong(&p->r, "key longer than %u characters", KEY_SIZE - 1);
        }
        name[n++] = reader_take(&p->r);
    }
    name[n] = '\0';
    reader_skip_blanks(&p->r, false);
    if (reader_look(&p->r) != '=') {
        return reader_wrong(&p->r, "%s: there is no '=' behind it", name);
    }
    reader_take(&p->r);
    reader_skip_blanks(&p->r, false);
    return true;
}

/* Nothing may stand between a value and the statement's end. */
static bool take_statement_end(struct parser *p, const char *name)
{
    char c;

    reader_skip_blanks(&p->r, false);
    c = reader_look(&p->r);
    if (c != '\n' && c != ';' && c != '#') {
        return reader_wrong(&p->r, "%s: there is text behind its value", name);
    }
    return true;
}

/* A key may stand in a file once; an override wins over the file. */
static bool note_key(struct parser *p, enum key key)
{
    bool *seen = p->r.override ? p->again : p->seen;

    if (seen[key]) {
        if (p->r.override || !p->lines[key]) {
            return reader_wrong(&p->r, "%s: given twice", key_names[key]);
        }
        return reader_wrong(&p->r, "%s: given twice, first in line %u", key_names[key],
                            p->lines[key]);
    }
    seen[key] = true;
    p->lines[key] = p->r.line;
    return true;
}

static bool take_statement(struct parser *p)
{
    char name[KEY_SIZE];
    struct place at;
    enum key key;

    if (!take_key(p, name)) {
        return false;
    }
    key = key_find(name);
    at = p->r.here;
    if (!reader_value(&p->r, name, &p->value) || !take_statement_end(p, name)) {
        if (key < KEYS) {
            p->seen[key] = true; /* it is there, even if nobody knows what it says */
            p->lines[key] = p->r.line;
        }
        return false;
    }
    if (key == KEYS) {
        return unknown_key(p, name);
    }
    return note_key(p, key) && apply(p, key, &at);
}

static void take_statements(struct parser *p)
{
    for (;;) {
        unsigned int errors;

        reader_skip_blanks(&p->r, true);
        if (reader_at_end(&p->r)) {
            return;
        }
        if (reader_look(&p->r) == ';') {
            reader_take(&p->r);
            continue;
        }
        p->r.line = p->r.here.line;
        errors = p->r.errors;
        take_statement(p);
        /* Behind what is wrong there may be anything; of what is right nothing is left here. */
        if (p->r.errors != errors && reader_look(&p->r) != ';') {
            reader_skip_line(&p->r);
        }
    }
}

/* Bytes that have no place in a text, and lines that nobody wrote. */
static bool check_bytes(struct parser *p, const char *text, size_t size)
{
    size_t length = 0;

    p->r.line = 1;
    for (size_t i = 0; i < size; i++) {
        uint8_t c = (uint8_t)text[i];

        if (c == '\n') {
            p->r.line++;
            length = 0;
            continue;
        }
        if (c == 0) {
            return reader_wrong(&p->r, "there is a NUL byte: this is no text");
        }
        if ((c < ' ' && !is_blank((char)c)) || c == 0x7f) {
            return reader_wrong(&p->r, "there is a control character, 0x%02x", c);
        }
        if (++length > LINE_LENGTH_MAX) {
            return reader_wrong(&p->r, "line longer than %u characters", LINE_LENGTH_MAX);
        }
    }
    return true;
}

/* ---- what the keys mean together ---- */

/* At the key, or where the file ends when it isn't there. */
static void go_to(struct parser *p, enum key key, unsigned int last_line)
{
    p->r.line = p->seen[key] || p->again[key] ? p->lines[key] : last_line;
}

static void check_given(struct parser *p, enum key key)
{
    if (!p->seen[key] && !p->again[key]) {
        reader_wrong(&p->r, "%s: is missing", key_names[key]);
    }
}

static void settle_vcpus(struct parser *p, unsigned int last_line)
{
    struct config *c = p->c;

    c->vcpus = MAX(c->vcpus, 1U);
    if (!c->maxvcpus) {
        c->maxvcpus = c->vcpus;
    }
    if (c->vcpus > c->maxvcpus) {
        go_to(p, KEY_VCPUS, last_line);
        reader_wrong(&p->r, "vcpus: %u are more than maxvcpus, %u", c->vcpus, c->maxvcpus);
    }
}

static void settle_memory(struct parser *p, unsigned int last_line)
{
    if (!p->memory) {
        p->memory = p->maxmem ? p->maxmem : DEFAULT_MEMORY;
    }
    if (!p->maxmem) {
        p->maxmem = p->memory;
    }
    if (p->maxmem < p->memory) {
        go_to(p, KEY_MAXMEM, last_line);
        reader_wrong(&p->r, "maxmem: %lu MiB are less than memory, %lu MiB", p->maxmem, p->memory);
    }
    p->c->memory_kb = p->memory * 1024;
    p->c->maxmem_kb = p->maxmem * 1024;
}

static void settle_cap(struct parser *p, unsigned int last_line)
{
    unsigned int max = CAP_VCPU * p->c->maxvcpus;

    p->c->cap = -1;
    if (p->cap == CAP_NONE) {
        return;
    }
    if (p->cap > max) {
        go_to(p, KEY_CAP, last_line);
        reader_wrong(&p->r, "cap: must be at most %u, which is all of %u vcpus", max,
                     p->c->maxvcpus);
        return;
    }
    p->c->cap = (int)p->cap;
}

/* xl takes `cmdline` alone, or `root` and `extra` together. */
static void settle_command_line(struct parser *p, unsigned int last_line)
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
        go_to(p, KEY_EXTRA, last_line);
        reader_wrong(&p->r, "extra: with root= it is longer than %u characters", TEXT_SIZE - 1);
    }
}

static bool cpus_of(struct parser *p, enum key key, const struct value *v, struct cpumask *map)
{
    const char *why = cpulist_parse(v->text, p->host, map);

    return why ? reader_wrong(&p->r, "%s: %s", key_names[key], why) : true;
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

    p->r.here = p->value.items;
    while (reader_item(&p->r)) {
        if (n == p->c->maxvcpus) {
            return reader_wrong(&p->r, "%s: more items than vcpus, %u", key_names[key], n);
        }
        if (!cpus_of(p, key, &p->r.item, &maps[n++])) {
            return false;
        }
    }
    if (!n) {
        return reader_wrong(&p->r, "%s: it names no CPU", key_names[key]);
    }
    while (n < p->c->maxvcpus) {
        all_cpus(p, &maps[n++]);
    }
    return true;
}

/* Whether there are maps for the vcpus now. */
static bool settle_cpus(struct parser *p, enum key key, struct cpumask *maps)
{
    const struct place *at = key == KEY_CPUS ? &p->cpus : &p->cpus_soft;

    if (!at->at) {
        return false;
    }
    p->r.here = *at;
    p->r.line = p->lines[key];
    p->r.override = !p->r.line;
    if (!reader_value(&p->r, key_names[key], &p->value)) {
        return false;
    }
    if (p->value.type == LIST) {
        return cpus_of_list(p, key, maps);
    }
    if (!cpus_of(p, key, &p->value, &maps[0])) {
        return false;
    }
    for (unsigned int v = 1; v < p->c->maxvcpus; v++) {
        maps[v] = maps[0];
    }
    return true;
}

static void settle(struct parser *p, unsigned int last_line)
{
    struct config *c = p->c;

    p->r.line = last_line;
    check_given(p, KEY_NAME);
    check_given(p, KEY_KERNEL);
    settle_memory(p, last_line);
    settle_vcpus(p, last_line);
    settle_cap(p, last_line);
    settle_command_line(p, last_line);
    c->hard_given = settle_cpus(p, KEY_CPUS, c->hard);
    c->soft_given = settle_cpus(p, KEY_CPUS_SOFT, c->soft);
}

/* ---- all of it ---- */

static void parse_text(struct parser *p, const char *text, size_t size)
{
    p->r.here = (struct place){ text, text + size, 1 };
    take_statements(p);
}

static void parse_override(struct parser *p, const char *text)
{
    p->r.override = true;
    p->r.here = (struct place){ text, text + strlen(text), 0 };
    p->r.line = 0;
    take_statements(p);
}

unsigned int config_parse(const char *file, const char *text, size_t size, int nr_overrides,
                          char *const *overrides, const struct cpu_host *host, struct config *c,
                          void (*report)(void *arg, const char *text), void *arg)
{
    struct parser *p = &parser;
    unsigned int last_line;

    memset(p, 0, sizeof(*p));
    memset(c, 0, sizeof(*c));
    p->r.file = file;
    p->host = host;
    p->c = c;
    p->r.report = report;
    p->r.arg = arg;
    p->cap = CAP_NONE;
    c->on_reboot = ACTION_RESTART;
    if (!check_bytes(p, text, size)) {
        return p->r.errors;
    }
    parse_text(p, text, size);
    last_line = p->r.here.line;
    for (int i = 0; i < nr_overrides; i++) {
        parse_override(p, overrides[i]);
    }
    settle(p, last_line);
    return p->r.errors;
}
