/* SPDX-License-Identifier: MIT */
/*
 * poolconfig.c - a cpupool's file in xl's syntax (keyfile.h): what its keys are, and what they mean
 * together. Pure; its state is one static parser, for it is too large for a stack.
 */
#include "poolconfig.h"

#include "keyfile.h"
#include "limits.h"

enum key {
    KEY_NAME,
    KEY_SCHED,
    KEY_CPUS,
    KEY_NODES,
    KEY_TSLICE,
    KEY_RATELIMIT,
    KEY_DELAY,
    KEY_WEIGHT_MODE,
    KEY_MOVE,
    KEY_HOTPLUG,
    KEYS
};

static const char *const key_names[KEYS] = {
    [KEY_NAME] = "name",           [KEY_SCHED] = "sched",
    [KEY_CPUS] = "cpus",           [KEY_NODES] = "nodes",
    [KEY_TSLICE] = "tslice_ms",    [KEY_RATELIMIT] = "ratelimit_us",
    [KEY_DELAY] = "migr_delay_us", [KEY_WEIGHT_MODE] = "weight_mode",
    [KEY_MOVE] = "move",           [KEY_HOTPLUG] = "hotplug",
};

static const char *const weight_modes[] = { "domain", "vcpu", NULL };
static const char *const moves[] = { "keep", "reset", NULL };
static const char *const homes[] = { "pool0", "return", NULL };

struct parser {
    struct keyfile k;
    const struct cpu_host *host;
    struct pool_config *c;
    char list[TEXT_SIZE], nodes[2 * TEXT_SIZE];
};

static struct parser parser;

static bool get_name(struct parser *p, enum key key, char *to)
{
    const char *why;

    if (!keyfile_is_text(&p->k, key, TEXT_SIZE)) {
        return false;
    }
    why = name_wrong(p->k.value.text);
    if (why) {
        return reader_wrong(&p->k.r, "%s: '%.*s' %s", key_names[key], SHOWN, p->k.value.text, why);
    }
    str_copy(to, p->k.value.text, NAME_SIZE);
    return true;
}

/* "0-1,^0" as "node:0-1,^node:0"; false: no room. */
static bool nodes_text(const char *list, char *to, size_t size)
{
    int n = 0;

    while (*list) {
        size_t len = 0;
        bool away;

        while (is_blank(*list)) {
            list++;
        }
        away = *list == '^';
        list += away;
        while (list[len] && list[len] != ',') {
            len++;
        }
        n += fmt_snprintf(to + n, size - (size_t)n, "%s%s%.*s%s", away ? "^" : "",
                          len ? "node:" : "", (int)len, list, list[len] ? "," : "");
        if ((size_t)n >= size) {
            return false;
        }
        list += len + (list[len] == ',');
    }
    to[n] = '\0';
    return true;
}

static bool get_cpus(struct parser *p, enum key key)
{
    const char *text = p->list, *why;

    if (!keyfile_joined(&p->k, key, p->list, sizeof(p->list))) {
        return false;
    }
    if (key == KEY_NODES) {
        if (!nodes_text(p->list, p->nodes, sizeof(p->nodes))) {
            return reader_wrong(&p->k.r, "nodes: longer than there can be nodes");
        }
        text = p->nodes;
        p->c->nodes_given = true;
    }
    why = cpulist_parse(text, p->host, &p->c->cpus);
    return why ? reader_wrong(&p->k.r, "%s: %s", key_names[key], why) : true;
}

static bool get_number(struct parser *p, enum key key, uint64_t min, uint64_t max, const char *unit,
                       int *to)
{
    uint64_t value;

    if (!keyfile_number(&p->k, key, min, max, unit, &value)) {
        return false;
    }
    *to = (int)value;
    p->c->credit_given = true;
    return true;
}

static bool get_choice(struct parser *p, enum key key, const char *const *words, int *to)
{
    unsigned int which;

    if (!keyfile_choice(&p->k, key, words, &which)) {
        return false;
    }
    *to = (int)which;
    return true;
}

static bool apply(void *owner, unsigned int nr, const struct place *at)
{
    struct parser *p = owner;
    struct pool_config *c = p->c;
    enum key key = nr;

    (void)at;
    switch (key) {
    case KEY_NAME:
        return get_name(p, key, c->name);
    case KEY_SCHED:
        return get_name(p, key, c->sched);
    case KEY_CPUS:
    case KEY_NODES:
        return get_cpus(p, key);
    case KEY_TSLICE:
        return get_number(p, key, 1, TSLICE_MAX, " (ms)", &c->tslice_ms);
    case KEY_RATELIMIT:
        return get_number(p, key, 0, RATELIMIT_MAX, " (us)", &c->ratelimit_us);
    case KEY_DELAY:
        return get_number(p, key, 0, DELAY_MAX, " (us)", &c->delay_us);
    case KEY_WEIGHT_MODE:
        c->credit_given = true;
        return get_choice(p, key, weight_modes, &c->weight_per_vcpu);
    case KEY_MOVE:
        return get_choice(p, key, moves, &c->reset_on_move);
    default:
        return get_choice(p, key, homes, &c->cpus_return);
    }
}

static void settle(struct parser *p)
{
    keyfile_need(&p->k, KEY_NAME);
    if (keyfile_given(&p->k, KEY_CPUS) && keyfile_given(&p->k, KEY_NODES)) {
        keyfile_go_to(&p->k, KEY_NODES);
        reader_wrong(&p->k.r, "nodes: cpus is given, too; it is one or the other");
    }
}

unsigned int pool_config_parse(const char *file, const char *text, size_t size, int nr_overrides,
                               char *const *overrides, const struct cpu_host *host,
                               struct pool_config *c, void (*report)(void *arg, const char *text),
                               void *arg)
{
    struct parser *p = &parser;

    memset(p, 0, sizeof(*p));
    *c = (struct pool_config){ .tslice_ms = -1,
                               .ratelimit_us = -1,
                               .delay_us = -1,
                               .weight_per_vcpu = -1,
                               .reset_on_move = -1,
                               .cpus_return = -1 };
    p->k = (struct keyfile){ .r = { .file = file, .report = report, .arg = arg },
                             .names = key_names,
                             .keys = KEYS,
                             .apply = apply,
                             .owner = p };
    p->host = host;
    p->c = c;
    if (keyfile_parse(&p->k, text, size, nr_overrides, overrides)) {
        settle(p);
    }
    return p->k.r.errors;
}
