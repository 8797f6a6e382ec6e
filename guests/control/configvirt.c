/* SPDX-License-Identifier: MIT */
/*
 * configvirt.c - the keys of a domain's file that libvirt has too (placement, periods and quotas,
 * shares, iothreads), those of its emulator, and of the scheduling domain it is born into. Pure,
 * but for config.c's one parser.
 */
#include "configkeys.h"

#include <public/tarn.h>
#include <tarn/number.h>

#define CAP_MAX 65535u
#define CAP_VCPU 100u
#define SECTORS_MAX (1U << 21) /* 1 GiB: it is memory */

/* ---- each key ---- */

/* 0 is libvirt's word for none given. */
static bool get_period(struct parser *p, enum key key, struct bandwidth *b)
{
    uint64_t n;

    if (p->k.value.type != LIST && uint_parse_clamped(p->k.value.text, &n) && n == 0) {
        b->period = 0;
        return true;
    }
    return keyfile_number(&p->k, key, TARN_PERIOD_MIN, TARN_PERIOD_MAX, " (us)", &b->period);
}

/* Negative: no limit. */
static bool get_quota(struct parser *p, enum key key, struct bandwidth *b)
{
    const char *text = p->k.value.text;
    uint64_t n;

    if (p->k.value.type != LIST) {
        if (*text == '-' && uint_parse_clamped(text + 1, &n) && n) {
            b->quota = -1;
            return true;
        }
        if (uint_parse_clamped(text, &n) && n == 0) {
            b->quota = 0;
            return true;
        }
    }
    if (!keyfile_number(&p->k, key, TARN_QUOTA_MIN, TARN_QUOTA_MAX, " (us)", &n)) {
        return false;
    }
    b->quota = (int64_t)n;
    return true;
}

static bool get_bandwidth(struct parser *p, enum key key)
{
    struct config *c = p->c;
    struct bandwidth *const of[] = { &c->vcpu_bandwidth, &c->global_bandwidth,
                                     &c->emulator_bandwidth, &c->iothread_bandwidth };
    unsigned int nr = key - KEY_VCPU_PERIOD;

    return nr % 2 ? get_quota(p, key, of[nr / 2]) : get_period(p, key, of[nr / 2]);
}

/* One of two words; *second: it is the other one. */
static bool get_word(struct parser *p, enum key key, const char *const words[3], bool *second)
{
    unsigned int which;

    if (!keyfile_choice(&p->k, key, words, &which)) {
        return false;
    }
    *second = which;
    return true;
}

static bool get_placement(struct parser *p, enum key key)
{
    static const char *const placements[] = { "static", "auto", NULL };
    static const char *const modes[] = { "modern", "2012", NULL };
    struct placement_raw *raw = &p->c->placement;
    bool second;

    if (!get_word(p, key, key == KEY_PLACE ? modes : placements, &second)) {
        return false;
    }
    if (key == KEY_PLACE) {
        raw->mode = second ? PLACEMENT_2012 : PLACEMENT_MODERN;
    } else if (key == KEY_NUMATUNE) {
        raw->numatune_auto = second;
    } else {
        raw->placement = second ? PLACEMENT_AUTO : PLACEMENT_STATIC;
    }
    return true;
}

static bool get_charge(struct parser *p)
{
    static const char *const words[] = { "own", "client", NULL };

    return get_word(p, KEY_CHARGE, words, &p->c->emulator.charge_client);
}

static bool get_list(struct parser *p, enum key key, const struct place *at)
{
    if (p->k.value.type != LIST) {
        return reader_wrong(&p->k.r, "%s: must be a list of strings", key_names[key]);
    }
    return config_keep(p, key, at);
}

static bool get_string(struct parser *p, enum key key, const struct place *at)
{
    return keyfile_is_text(&p->k, key, TEXT_SIZE) && config_keep(p, key, at);
}

static bool apply_number(struct parser *p, enum key key)
{
    struct config *c = p->c;

    switch (key) {
    case KEY_SHARES:
        return keyfile_number(&p->k, key, PLACEMENT_SHARES_MIN, PLACEMENT_SHARES_MAX, "",
                              &c->shares);
    case KEY_EMULATOR_WEIGHT:
        return config_count(p, key, WEIGHT_MAX, &c->emulator.weight);
    case KEY_EMULATOR_CAP:
        return keyfile_number(&p->k, key, 0, CAP_VCPU * (PLACEMENT_IOTHREADS + 1), "",
                              &p->emulator_cap);
    case KEY_IOTHREADS:
        c->iothreads = 0;
        return p->k.value.type == WORD && strcmp(p->k.value.text, "0") == 0
                   ? true
                   : config_count(p, key, PLACEMENT_IOTHREADS, &c->iothreads);
    case KEY_GROUP_WEIGHT:
        return config_count(p, key, WEIGHT_MAX, &c->group_weight);
    case KEY_GROUP_CAP:
        return config_small(p, key, 0, CAP_MAX, &c->group_cap);
    default:
        return get_bandwidth(p, key);
    }
}

bool config_virt_apply(struct parser *p, enum key key, const struct place *at)
{
    struct config *c = p->c;

    switch (key) {
    case KEY_PLACEMENT:
    case KEY_PLACE:
    case KEY_NUMATUNE:
        return get_placement(p, key);
    case KEY_CPUSET:
    case KEY_EMULATORPIN:
    case KEY_EMULATOR_CPUS:
        return get_string(p, key, at);
    case KEY_VCPUPIN:
    case KEY_IOTHREADPIN:
    case KEY_IOTHREAD_CPUS:
    case KEY_EMULATOR_DISK:
    case KEY_EMULATOR_ECHO:
        return get_list(p, key, at);
    case KEY_EMULATOR:
        return keyfile_text(&p->k, key, c->emulator.file, sizeof(c->emulator.file));
    case KEY_CHARGE:
        return get_charge(p);
    case KEY_GROUP:
        return keyfile_text(&p->k, key, c->group, sizeof(c->group));
    default:
        return apply_number(p, key);
    }
}

/* ---- placement ---- */

/* The line of a key, for a message about it. */
static bool wrong_in(struct parser *p, enum key key, const char *why)
{
    keyfile_go_to(&p->k, key);
    return reader_wrong(&p->k.r, "%s: %s", key_names[key], why);
}

static bool beside(struct parser *p, enum key one, enum key other, const char *why)
{
    if (!keyfile_given(&p->k, one) || !keyfile_given(&p->k, other)) {
        return true;
    }
    keyfile_go_to(&p->k, one);
    return reader_wrong(&p->k.r, "%s: %s %s", key_names[one], key_names[other], why);
}

static void settle_string(struct parser *p, enum key key,
                          const char *(*take)(struct placement_raw *raw, const char *list))
{
    const char *why;

    if (config_again(p, key)) {
        why = take(&p->c->placement, p->k.value.text);
        if (why) {
            reader_wrong(&p->k.r, "%s: %s", key_names[key], why);
        }
    }
}

/* "3:" in front of a list; the list, or NULL. */
static const char *pin_list(const char *text, unsigned int *id)
{
    const char *s = text;

    for (*id = 0; is_digit(*s) && s < text + 6; s++) {
        *id = *id * 10 + (unsigned int)(*s - '0');
    }
    return s > text && *s == ':' ? s + 1 : NULL;
}

typedef const char *pin_taker(struct placement_raw *raw, u32 id, const char *list);

/* numbered: each item says whose it is; otherwise it is the first's, second's and so on. */
static void settle_pins(struct parser *p, enum key key, bool numbered, pin_taker *take)
{
    unsigned int id = 0;

    if (!config_again(p, key)) {
        return;
    }
    p->k.r.here = p->k.value.items;
    while (reader_item(&p->k.r)) {
        const char *list = p->k.r.item.text, *why;

        if (numbered) {
            list = pin_list(list, &id);
        } else {
            id++;
        }
        if (!list) {
            reader_wrong(&p->k.r, "%s: '%.*s' is not of the form \"NUMBER:CPUS\"", key_names[key],
                         SHOWN, p->k.r.item.text);
            return;
        }
        why = take(&p->c->placement, id, list);
        if (why) {
            reader_wrong(&p->k.r, "%s: %s", key_names[key], why);
            return;
        }
    }
}

static void tell_placement(void *arg, bool fault, const char *text)
{
    struct parser *p = arg;
    struct config *c = p->c;
    bool iothreads = strncmp(text, "iothreadpin", 11) == 0;
    enum key key = iothreads ? KEY_IOTHREADPIN : KEY_EMULATORPIN;
    enum key other = iothreads ? KEY_IOTHREAD_CPUS : KEY_EMULATOR_CPUS;

    if (fault) {
        keyfile_go_to(&p->k, keyfile_given(&p->k, other) ? other : key);
        reader_wrong(&p->k.r, "%s", text);
    } else if (c->warnings < WARNINGS_MAX) {
        str_copy(c->warning[c->warnings++], text, sizeof(c->warning[0]));
    }
}

/* xl's keys for CPUs and libvirt's can't both be right. */
static void settle_rules(struct parser *p)
{
    struct config *c = p->c;

    beside(p, KEY_CPUSET, KEY_CPUS, "says it in xl's way already");
    beside(p, KEY_VCPUPIN, KEY_CPUS, "says it in xl's way already");
    if (c->placement.placement == PLACEMENT_AUTO) {
        beside(p, KEY_PLACEMENT, KEY_CPUS, "says where its vcpus run already");
    }
    c->by_rules = !keyfile_given(&p->k, KEY_CPUS) &&
                  (keyfile_given(&p->k, KEY_PLACEMENT) || keyfile_given(&p->k, KEY_CPUSET) ||
                   keyfile_given(&p->k, KEY_VCPUPIN) || c->placement.numatune_auto);
}

static void settle_placement(struct parser *p)
{
    struct config *c = p->c;
    struct placement_raw *raw = &c->placement;
    unsigned int errors = p->k.r.errors;

    settle_rules(p);
    beside(p, KEY_EMULATORPIN, KEY_EMULATOR_CPUS, "is another name for it");
    beside(p, KEY_IOTHREADPIN, KEY_IOTHREAD_CPUS, "is another form of it");
    raw->vcpus = c->vcpus;
    raw->max_vcpus = c->maxvcpus;
    raw->iothreads = c->iothreads;
    if (p->k.r.errors != errors) {
        return;
    }
    settle_string(p, KEY_CPUSET, placement_set_cpuset);
    settle_string(p, KEY_EMULATORPIN, placement_add_emulatorpin);
    settle_string(p, KEY_EMULATOR_CPUS, placement_add_emulatorpin);
    settle_pins(p, KEY_VCPUPIN, true, placement_add_vcpupin);
    settle_pins(p, KEY_IOTHREADPIN, true, placement_add_iothreadpin);
    settle_pins(p, KEY_IOTHREAD_CPUS, false, placement_add_iothreadpin);
    if (p->k.r.errors == errors && c->vcpus <= c->maxvcpus) {
        placement_check(raw, tell_placement, p);
    }
}

/* ---- the emulator ---- */

/* "iothread=N", or nothing: the emulator itself. */
static bool read_thread(struct parser *p, enum key key, const char *text, unsigned int *thread)
{
    uint64_t n = 0;

    if (*text && (strncmp(text, "iothread=", 9) != 0 || !uint_parse_clamped(text + 9, &n))) {
        return reader_wrong(&p->k.r, "%s: '%.*s' is not of the form \"iothread=N\"", key_names[key],
                            SHOWN, text);
    }
    if (n > p->c->iothreads) {
        return reader_wrong(&p->k.r, "%s: there is no iothread %lu", key_names[key], n);
    }
    *thread = (unsigned int)n;
    return true;
}

/* "SECTORS[,iothread=N]" */
static bool read_disk(struct parser *p, const char *text, struct emulator_disk *disk)
{
    char number[24];
    size_t n = 0;

    while (is_word(text[n]) && n + 1 < sizeof(number)) {
        number[n] = text[n];
        n++;
    }
    number[n] = '\0';
    if (!uint_parse_clamped(number, &disk->sectors) || (text[n] && text[n] != ',')) {
        return reader_wrong(&p->k.r,
                            "emulator_disk: '%.*s' is not of the form "
                            "\"SECTORS[,iothread=N]\"",
                            SHOWN, text);
    }
    if (!disk->sectors || disk->sectors > SECTORS_MAX) {
        return reader_wrong(&p->k.r, "emulator_disk: a disk has 1 to %u sectors", SECTORS_MAX);
    }
    return read_thread(p, KEY_EMULATOR_DISK, text + n + (text[n] == ','), &disk->iothread);
}

static void settle_devices(struct parser *p, enum key key, unsigned int *nr)
{
    struct emulator_config *e = &p->c->emulator;

    if (!config_again(p, key)) {
        return;
    }
    p->k.r.here = p->k.value.items;
    while (reader_item(&p->k.r)) {
        const char *text = p->k.r.item.text;

        if (*nr == DISKS_MAX) {
            reader_wrong(&p->k.r, "%s: more than %u", key_names[key], DISKS_MAX);
            return;
        }
        if (!(key == KEY_EMULATOR_DISK ? read_disk(p, text, &e->disk[*nr])
                                       : read_thread(p, key, text, &e->echo[*nr]))) {
            return;
        }
        ++*nr;
    }
}

static void settle_emulator_cap(struct parser *p)
{
    unsigned int max = CAP_VCPU * (p->c->iothreads + 1);

    if (p->emulator_cap == CAP_NONE) {
        return;
    }
    if (p->emulator_cap > max) {
        keyfile_go_to(&p->k, KEY_EMULATOR_CAP);
        reader_wrong(&p->k.r, "emulator_cap: must be at most %u, which is all of its %u vcpus", max,
                     p->c->iothreads + 1);
        return;
    }
    p->c->emulator.cap = (int)p->emulator_cap;
}

/* libvirt's keys may stand in a file without one: what they say is kept. */
static void settle_emulator(struct parser *p)
{
    static const enum key wanting[] = { KEY_CHARGE, KEY_EMULATOR_WEIGHT, KEY_EMULATOR_CAP,
                                        KEY_EMULATOR_DISK, KEY_EMULATOR_ECHO };
    size_t room = NAME_SIZE - sizeof(EMULATOR_SUFFIX);

    settle_devices(p, KEY_EMULATOR_DISK, &p->c->emulator.disks);
    settle_devices(p, KEY_EMULATOR_ECHO, &p->c->emulator.echoes);
    settle_emulator_cap(p);
    for (size_t i = 0; i < ARRAY_SIZE(wanting) && !has_emulator(p->c); i++) {
        if (keyfile_given(&p->k, wanting[i])) {
            wrong_in(p, wanting[i], "there is no emulator");
        }
    }
    if (has_emulator(p->c) && strlen(p->c->name) > room) {
        keyfile_go_to(&p->k, KEY_NAME);
        reader_wrong(&p->k.r, "name: with an emulator it is at most %lu characters", room);
    }
}

/* ---- all of it ---- */

static void settle_group(struct parser *p)
{
    const struct config *c = p->c;

    if (c->group[0]) {
        if (strcmp(c->group, c->name) == 0) {
            wrong_in(p, KEY_GROUP, "a domain can't be a member of itself");
        }
        return;
    }
    for (enum key key = KEY_GROUP_WEIGHT; key <= KEY_GROUP_CAP; key++) {
        if (keyfile_given(&p->k, key)) {
            wrong_in(p, key, "there is no group");
        }
    }
}

static void settle_shares(struct parser *p)
{
    if (p->c->shares && beside(p, KEY_SHARES, KEY_WEIGHT, "says it in xl's way already")) {
        p->c->weight = placement_shares_to_weight(p->c->shares);
    }
}

void config_virt_settle(struct parser *p)
{
    settle_shares(p);
    settle_placement(p);
    settle_emulator(p);
    settle_group(p);
}
