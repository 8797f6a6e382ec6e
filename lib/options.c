/* SPDX-License-Identifier: MIT */
/*
 * The tables of options: of the hypervisor's command line (to `opt`), and of a boot module's
 * string. What a value means beyond its form (whether a CPU or scheduler exists) is for those who
 * use it. `opt` is written at boot only. Pure, no locks.
 */
#include <tarn/cmdline.h>
#include <tarn/console.h>
#include <tarn/cpulist.h>
#include <tarn/grant.h>
#include <tarn/lib.h>
#include <tarn/number.h>
#include <tarn/options.h>

#define MODULE_MAX_VCPUS 128u
#define MIB (1UL << 20)
#define CONRING_MIN (16UL << 10)
#define CONRING_MAX (16UL << 20)
#define PART_MAX_BYTES 32u /* of one part of a value that is a list */

struct options opt; /* the command line's; constant once it is parsed */

/*
 * The part of *s before the next comma; *s is then behind the comma, or NULL at the end.
 * One that is too long to be anything we know becomes "?".
 */
static void next_part(const char **s, char part[PART_MAX_BYTES])
{
    const char *comma = strchr(*s, ',');
    size_t len = comma ? (size_t)(comma - *s) : strlen(*s);

    if (len < PART_MAX_BYTES) {
        str_copy(part, *s, len + 1);
    } else {
        str_copy(part, "?", PART_MAX_BYTES);
    }
    *s = comma ? comma + 1 : NULL;
}

/* The size itself, or without one the "max:" part: dom0's memory doesn't change once it runs. */
static const char *parse_dom0_mem(const char *value, void *dest)
{
    u64 amount = 0;
    u64 max = 0;

    while (value) {
        char part[PART_MAX_BYTES];
        bool is_min, is_max;
        u64 v;

        next_part(&value, part);
        is_min = strncmp(part, "min:", 4) == 0;
        is_max = strncmp(part, "max:", 4) == 0;
        if (!size_parse(is_min || is_max ? part + 4 : part, 1024, &v) || v == 0) {
            return "not SIZE, min:SIZE or max:SIZE, as in 512M,max:1G";
        }
        if (is_max) {
            max = v;
        } else if (!is_min) {
            amount = v;
        }
    }
    if (amount && max) {
        amount = MIN(amount, max);
    }
    *(u64 *)dest = amount ? amount : max;
    return NULL;
}

/* "N", "A-B", "A-", "-B". */
static const char *parse_dom0_max_vcpus(const char *value, void *dest)
{
    struct options *o = dest;
    static const char *const wrong = "not a number of vcpus from 1 to 128, or a range of them";
    char low[16];
    const char *dash = strchr(value, '-');
    u64 min = 1;
    u64 max = 0;

    if (dash && dash != value) {
        if ((size_t)(dash - value) >= sizeof(low)) {
            return wrong;
        }
        str_copy(low, value, (size_t)(dash - value) + 1);
        if (!uint_parse(low, &min)) {
            return wrong;
        }
    }
    if (dash && dash != value && dash[1] == '\0') {
        max = 0;
    } else if (!uint_parse(dash ? dash + 1 : value, &max) || max == 0) {
        return wrong;
    }
    if (min > MODULE_MAX_VCPUS || max > MODULE_MAX_VCPUS || (max && min > max)) {
        return wrong;
    }
    o->dom0_min_vcpus = (u32)(dash ? min : max);
    o->dom0_max_vcpus = (u32)max;
    return NULL;
}

/* Xen's: node numbers, "strict" (which is so anyway), "relaxed". */
static const char *parse_dom0_nodes(const char *value, void *dest)
{
    struct options *o = dest;
    bool relaxed = false;
    u64 nodes = 0;

    while (value) {
        char part[PART_MAX_BYTES];
        u64 node;

        next_part(&value, part);
        if (strcmp(part, "relaxed") == 0 || strcmp(part, "strict") == 0) {
            relaxed = part[0] == 'r';
        } else if (uint_parse(part, &node) && node < 64) {
            nodes |= 1UL << node;
        } else {
            return "not a list of nodes, with relaxed or strict";
        }
    }
    o->dom0_nodes = nodes;
    o->dom0_relaxed = relaxed;
    return NULL;
}

/* Once the CPUs are known: pools_boot. */
static const char *parse_later(const char *value, void *dest)
{
    (void)value;
    (void)dest;
    return NULL;
}

static const char *parse_dom0(const char *value, void *dest)
{
    bool none = strcmp(value, "none") == 0;

    if (!none && strcmp(value, "pv") != 0) {
        return "neither none nor pv";
    }
    *(bool *)dest = none;
    return NULL;
}

static const char *parse_ratelimit(const char *value, void *dest)
{
    u64 v;

    if (!uint_parse(value, &v) || (v != 0 && (v < 100 || v > 500000))) {
        return "neither 0 nor a number from 100 to 500000";
    }
    *(u32 *)dest = (u32)v;
    return NULL;
}

static const char *parse_weight_mode(const char *value, void *dest)
{
    bool vcpu = strcmp(value, "vcpu") == 0;

    if (!vcpu && strcmp(value, "domain") != 0) {
        return "neither domain nor vcpu";
    }
    *(bool *)dest = vcpu;
    return NULL;
}

static const char *parse_loglvl(const char *value, void *dest)
{
    static const struct {
        const char *name;
        u32 level;
    } levels[] = {
        { "none", 0 },
        { "error", LOG_ERROR + 1 },
        { "warning", LOG_WARNING + 1 },
        { "info", LOG_INFO + 1 },
        { "debug", LOG_DEBUG + 1 },
        { "all", LOG_DEBUG + 1 },
    };

    for (u32 i = 0; i < ARRAY_SIZE(levels); i++) {
        if (strcmp(value, levels[i].name) == 0) {
            *(u32 *)dest = levels[i].level;
            return NULL;
        }
    }
    return "not one of none, error, warning, info, debug, all";
}

/* A list; "none" or a list without com1 silences the line only if all of it is understood. */
static const char *parse_console(const char *value, void *dest)
{
    bool com1 = false;
    bool other = false;

    while (value) {
        char part[PART_MAX_BYTES];

        next_part(&value, part);
        if (strcmp(part, "com1") == 0) {
            com1 = true;
        } else if (strcmp(part, "none") != 0) {
            other = true;
        }
    }
    if (com1 || !other) {
        *(bool *)dest = com1;
    }
    return other ? "only com1 and none are known" : NULL;
}

static const char *com1_baud(const char *text, u32 *out)
{
    u64 v;

    if (!uint_parse(text, &v) || v == 0 || v > 115200 || 115200 % v != 0) {
        return "the baud rate does not divide 115200";
    }
    *out = (u32)v;
    return NULL;
}

static const char *com1_port(const char *text, u16 *out)
{
    u64 v;

    if (!uint_parse(text, &v) || v == 0 || v > 0xfff8) {
        return "the I/O port is not a number from 1 to 0xfff8";
    }
    *out = (u16)v;
    return NULL;
}

/* BAUD[,8n1[,PORT[,IRQ]]]; the interrupt is not used. An empty part keeps what was. */
static const char *parse_com1(const char *value, void *dest)
{
    struct options *o = dest;
    u32 baud = o->com1_baud;
    u16 port = o->com1_port;

    for (u32 i = 0; value; i++) {
        const char *err = NULL;
        char part[PART_MAX_BYTES];
        u64 irq;

        next_part(&value, part);
        if (i > 3) {
            err = "too many parts: BAUD,8n1,PORT,IRQ";
        } else if (part[0] == '\0') {
            continue;
        } else if (i == 0) {
            err = com1_baud(part, &baud);
        } else if (i == 1) {
            err = strcmp(part, "8n1") == 0 ? NULL : "only 8n1 is supported";
        } else if (i == 2) {
            err = com1_port(part, &port);
        } else if (!uint_parse(part, &irq) || irq > 255) {
            err = "the interrupt is not a number from 0 to 255";
        }
        if (err) {
            return err;
        }
    }
    o->com1_baud = baud;
    o->com1_port = port;
    return NULL;
}

static const char *parse_cpus(const char *value, void *dest)
{
    static const struct cpu_host any = { .nr_cpus = NR_CPUS };

    return cpulist_parse(value, &any, dest);
}

static const struct param hypervisor_params[] = {
    { .name = "maxcpus", .type = PARAM_UINT, .dest = &opt.maxcpus, .min = 1, .max = NR_CPUS },
    { .name = "dom0_mem", .type = PARAM_CUSTOM, .dest = &opt.dom0_mem, .parse = parse_dom0_mem },
    { .name = "dom0_max_vcpus", .type = PARAM_CUSTOM, .dest = &opt, .parse = parse_dom0_max_vcpus },
    { .name = "dom0_nodes", .type = PARAM_CUSTOM, .dest = &opt, .parse = parse_dom0_nodes },
    { .name = "smt", .type = PARAM_BOOL, .dest = &opt.smt },
    { .name = "cpupool", .type = PARAM_CUSTOM, .parse = parse_later },
    { .name = "dom0_vcpus_pin", .type = PARAM_BOOL, .dest = &opt.dom0_vcpus_pin },
    { .name = "dom0", .type = PARAM_CUSTOM, .dest = &opt.no_dom0, .parse = parse_dom0 },
    { .name = "sched", .type = PARAM_STRING, .dest = opt.sched, .size = sizeof(opt.sched) },
    { .name = "sched_credit_tslice_ms",
      .type = PARAM_UINT,
      .dest = &opt.tslice_ms,
      .min = 1,
      .max = 1000 },
    { .name = "sched_credit_weight",
      .type = PARAM_CUSTOM,
      .dest = &opt.weight_per_vcpu,
      .parse = parse_weight_mode },
    { .name = "sched_ratelimit_us",
      .type = PARAM_CUSTOM,
      .dest = &opt.ratelimit_us,
      .parse = parse_ratelimit },
    { .name = "noreboot", .type = PARAM_BOOL, .dest = &opt.noreboot },
    { .name = "loglvl", .type = PARAM_CUSTOM, .dest = &opt.loglvl, .parse = parse_loglvl },
    { .name = "guest_loglvl",
      .type = PARAM_CUSTOM,
      .dest = &opt.guest_loglvl,
      .parse = parse_loglvl },
    { .name = "console", .type = PARAM_CUSTOM, .dest = &opt.console_com1, .parse = parse_console },
    { .name = "com1", .type = PARAM_CUSTOM, .dest = &opt, .parse = parse_com1 },
    { .name = "conring_size",
      .type = PARAM_SIZE,
      .dest = &opt.conring_size,
      .min = CONRING_MIN,
      .max = CONRING_MAX },
    { .name = "console_to_ring", .type = PARAM_BOOL, .dest = &opt.console_to_ring },
    { .name = "tbuf_size", .type = PARAM_UINT, .dest = &opt.tbuf_size, .min = 1, .max = 65535 },
    { .name = "gnttab_max_frames",
      .type = PARAM_UINT,
      .dest = &opt.gnttab_max_frames,
      .min = 1,
      .max = GRANT_FRAMES_LIMIT },
    { .name = "gnttab_max_maptrack_frames",
      .type = PARAM_UINT,
      .dest = &opt.gnttab_max_maptrack_frames,
      .max = MAPTRACK_FRAMES_LIMIT },
    { .name = "smap", .type = PARAM_BOOL, .dest = &opt.smap },
    { .name = "smep", .type = PARAM_BOOL, .dest = &opt.smep },
};

void options_parse(const char *cmdline, void (*report)(void *arg, const char *text), void *arg)
{
    opt = (struct options){
        .sched = "credit",
        .tslice_ms = 30,
        .ratelimit_us = 1000,
        .loglvl = LOG_INFO + 1,
        .guest_loglvl = LOG_INFO + 1,
        .console_com1 = true,
        .com1_baud = 115200,
        .com1_port = 0x3f8,
        .conring_size = 64 << 10,
        .gnttab_max_frames = 64,
        .gnttab_max_maptrack_frames = 1024,
        .smt = true,
        .smap = true,
        .smep = true,
    };
    cmdline_parse(cmdline, hypervisor_params, ARRAY_SIZE(hypervisor_params), report, arg);
    if (opt.ratelimit_us > opt.tslice_ms * 1000) {
        opt.ratelimit_us = opt.tslice_ms * 1000;
        if (report) {
            report(arg, "option 'sched_ratelimit_us': longer than the time slice, which counts");
        }
    }
}

/* A key with its "=" before the next comma: a comma in front of anything else is part of a list. */
static bool key_follows(const char *s)
{
    while (*s && *s != ',' && *s != '=') {
        s++;
    }
    return *s == '=';
}

/* With what is not given as Pool-0 has it. */
static bool ratelimit_fits(const struct pool_option *o)
{
    u32 tslice_ms = o->tslice_ms ? o->tslice_ms : opt.tslice_ms;
    u32 ratelimit_us = o->ratelimit_us != ~0u ? o->ratelimit_us : opt.ratelimit_us;

    return ratelimit_us <= tslice_ms * 1000;
}

/* "NAME:" goes to out, the rest to `text` with blanks between its keys. */
static const char *split_pool(const char *value, struct pool_option *out, char *text, size_t size)
{
    const char *colon = strchr(value, ':'), *equals = strchr(value, '=');
    size_t len = colon ? (size_t)(colon - value) : 0;

    if (!colon || (equals && equals < colon)) {
        return "not NAME:cpus=LIST[,sched=NAME]...";
    }
    if (len == 0 || len >= sizeof(out->name)) {
        return "the name has 1 to 31 characters";
    }
    if (strncmp(value, "Pool-", 5) == 0) {
        return "names with Pool- are given by number";
    }
    if (strlen(colon + 1) >= size) {
        return "it is too long";
    }
    str_copy(out->name, value, len + 1);
    str_copy(text, colon + 1, size);
    for (char *p = text; *p; p++) {
        if (*p == ',' && key_follows(p + 1)) {
            *p = ' ';
        }
    }
    return NULL;
}

u32 pool_option_parse(const char *value, struct pool_option *out,
                      void (*report)(void *arg, const char *text), void *arg)
{
    const struct param params[] = {
        { .name = "cpus", .type = PARAM_STRING, .dest = out->cpus, .size = sizeof(out->cpus) },
        { .name = "sched", .type = PARAM_STRING, .dest = out->sched, .size = sizeof(out->sched) },
        { .name = "tslice_ms", .type = PARAM_UINT, .dest = &out->tslice_ms, .min = 1, .max = 1000 },
        { .name = "ratelimit_us",
          .type = PARAM_CUSTOM,
          .dest = &out->ratelimit_us,
          .parse = parse_ratelimit },
    };
    char text[256];
    const char *why;
    u32 wrong;

    memset(out, 0, sizeof(*out));
    out->ratelimit_us = ~0u;
    why = split_pool(value, out, text, sizeof(text));
    if (why) {
        report(arg, why);
        return 1;
    }
    wrong = cmdline_parse(text, params, ARRAY_SIZE(params), report, arg);
    if (wrong == 0 && !out->cpus[0]) {
        report(arg, "cpus= is missing");
        wrong = 1;
    }
    if (wrong == 0 && !ratelimit_fits(out)) {
        report(arg, "the rate limit is longer than the time slice");
        wrong = 1;
    }
    return wrong;
}

u32 module_options_parse(const char *args, struct module_options *out,
                         void (*report)(void *arg, const char *text), void *arg)
{
    const struct param params[] = {
        { .name = "name", .type = PARAM_STRING, .dest = out->name, .size = sizeof(out->name) },
        { .name = "vcpus",
          .type = PARAM_UINT,
          .dest = &out->vcpus,
          .min = 1,
          .max = MODULE_MAX_VCPUS },
        { .name = "memory",
          .type = PARAM_SIZE,
          .dest = &out->memory,
          .min = MIB,
          .max = 1UL << 46,
          .unit = MIB },
        { .name = "pool", .type = PARAM_STRING, .dest = out->pool, .size = sizeof(out->pool) },
        { .name = "cpus", .type = PARAM_CUSTOM, .dest = &out->cpus, .parse = parse_cpus },
        { .name = "cpus_soft", .type = PARAM_CUSTOM, .dest = &out->cpus_soft, .parse = parse_cpus },
        { .name = "weight", .type = PARAM_UINT, .dest = &out->weight, .min = 1, .max = 65535 },
        { .name = "cpu_weight", .type = PARAM_UINT, .dest = &out->weight, .min = 1, .max = 65535 },
        { .name = "cap", .type = PARAM_UINT, .dest = &out->cap, .max = MODULE_MAX_VCPUS * 100 },
        { .name = "cmdline",
          .type = PARAM_STRING,
          .dest = out->cmdline,
          .size = sizeof(out->cmdline) },
        { .name = "extra",
          .type = PARAM_STRING,
          .dest = out->cmdline,
          .size = sizeof(out->cmdline) },
        { .name = "ramdisk",
          .type = PARAM_STRING,
          .dest = out->ramdisk,
          .size = sizeof(out->ramdisk) },
    };

    memset(out, 0, sizeof(*out));
    out->vcpus = 1;
    out->memory = 16 * MIB;
    str_copy(out->pool, "Pool-0", sizeof(out->pool));
    cpumask_set_all(&out->cpus);
    cpumask_set_all(&out->cpus_soft);
    out->weight = 256;
    return cmdline_parse(args, params, ARRAY_SIZE(params), report, arg);
}
