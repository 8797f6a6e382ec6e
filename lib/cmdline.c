/* SPDX-License-Identifier: MIT */
/*
 * Options by table. Owns the splitting into options, the quoting, and the conversion of values;
 * which options there are is the table's matter. A wrong option changes nothing but what is
 * reported. Pure, no locks.
 */
#include <tarn/cmdline.h>
#include <tarn/lib.h>
#include <tarn/number.h>

#define OPTION_MAX_BYTES 1536u /* of one option, quotes removed */
#define NAME_SHOWN 40          /* characters of a wrong option or value in a report */

struct parser {
    const char *text; /* what is still to be read */
    const struct param *table;
    size_t nr_params;
    void (*report)(void *arg, const char *text);
    void *arg;
    u32 nr_wrong;
    char option[OPTION_MAX_BYTES];
};

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static const char *skip_blanks(const char *s)
{
    while (is_blank(*s)) {
        s++;
    }
    return s;
}

static void __printf(2, 3) wrong(struct parser *p, const char *fmt, ...)
{
    char text[192];
    va_list ap;

    p->nr_wrong++;
    if (p->report) {
        va_start(ap, fmt);
        fmt_vsnprintf(text, sizeof(text), fmt, ap);
        va_end(ap);
        p->report(p->arg, text);
    }
}

/* Values by type. `value` is NULL when the option has no "=". */

static bool bool_word(const char *value, bool *out)
{
    static const char *const words[2][5] = {
        { "no", "off", "false", "disable", "0" },
        { "yes", "on", "true", "enable", "1" },
    };

    for (u32 i = 0; i < 10; i++) {
        if (strcmp(value, words[i / 5][i % 5]) == 0) {
            *out = i / 5;
            return true;
        }
    }
    return false;
}

static void set_bool(struct parser *p, const struct param *param, const char *value, bool positive)
{
    bool v = true;

    if (value && !positive) {
        wrong(p, "option 'no-%s' takes no value", param->name);
    } else if (value && !bool_word(value, &v)) {
        wrong(p, "option '%s': '%.*s' is neither yes nor no", param->name, NAME_SHOWN, value);
    } else {
        *(bool *)param->dest = v == positive;
    }
}

static void set_uint(struct parser *p, const struct param *param, const char *value)
{
    u64 max = param->max && param->max < UINT32_MAX ? param->max : UINT32_MAX;
    u64 v;

    if (!uint_parse(value, &v) || v < param->min || v > max) {
        wrong(p, "option '%s': '%.*s' is not a number from %llu to %llu", param->name, NAME_SHOWN,
              value, (unsigned long long)param->min, (unsigned long long)max);
    } else {
        *(u32 *)param->dest = (u32)v;
    }
}

static void set_size(struct parser *p, const struct param *param, const char *value)
{
    u64 max = param->max ? param->max : UINT64_MAX;
    u64 v;

    if (!size_parse(value, param->unit ? param->unit : 1024, &v)) {
        wrong(p, "option '%s': '%.*s' is not a size (a number and B, K, M, G or T)", param->name,
              NAME_SHOWN, value);
    } else if (v < param->min || v > max) {
        wrong(p, "option '%s': '%.*s' is not a size from %llu to %llu bytes", param->name,
              NAME_SHOWN, value, (unsigned long long)param->min, (unsigned long long)max);
    } else {
        *(u64 *)param->dest = v;
    }
}

static void set_string(struct parser *p, const struct param *param, const char *value)
{
    if (strlen(value) >= param->size) {
        wrong(p, "option '%s': '%.*s...' is longer than %zu characters", param->name, NAME_SHOWN,
              value, param->size - 1);
    } else {
        str_copy(param->dest, value, param->size);
    }
}

static void set_custom(struct parser *p, const struct param *param, const char *value)
{
    const char *reason = param->parse(value, param->dest);

    if (reason) {
        wrong(p, "option '%s': '%.*s': %s", param->name, NAME_SHOWN, value, reason);
    }
}

static void set(struct parser *p, const struct param *param, const char *value, bool positive)
{
    if (param->type == PARAM_BOOL) {
        set_bool(p, param, value, positive);
    } else if (!positive) {
        wrong(p, "option '%s' can't be negated with 'no-'", param->name);
    } else if (!value) {
        wrong(p, "option '%s' needs a value", param->name);
    } else if (param->type == PARAM_UINT) {
        set_uint(p, param, value);
    } else if (param->type == PARAM_SIZE) {
        set_size(p, param, value);
    } else if (param->type == PARAM_STRING) {
        set_string(p, param, value);
    } else {
        set_custom(p, param, value);
    }
}

/* Splitting */

static const struct param *find(const struct parser *p, const char *name)
{
    for (size_t i = 0; i < p->nr_params; i++) {
        if (strcmp(p->table[i].name, name) == 0) {
            return &p->table[i];
        }
    }
    return NULL;
}

/* Copy the next option without its quotes. NULL when it is fine, else what is wrong with it. */
static const char *next_option(struct parser *p)
{
    const char *s = p->text;
    bool quoted = false;
    size_t n = 0;

    for (; *s && (quoted || !is_blank(*s)); s++) {
        if (*s == '"') {
            quoted = !quoted;
            continue;
        }
        if (quoted && *s == '\\' && (s[1] == '"' || s[1] == '\\')) {
            s++;
        }
        if (n < sizeof(p->option)) {
            p->option[n] = *s;
        }
        n++;
    }
    p->text = s;
    p->option[MIN(n, sizeof(p->option) - 1)] = '\0';
    if (quoted) {
        return "has a quote that is not closed";
    }
    return n < sizeof(p->option) ? NULL : "is too long";
}

static void parse_option(struct parser *p)
{
    char *value = strchr(p->option, '=');
    const struct param *param;
    bool positive = true;

    if (value) {
        *value++ = '\0';
    }
    param = find(p, p->option);
    if (!param && strncmp(p->option, "no-", 3) == 0) {
        positive = false;
        param = find(p, p->option + 3);
    }
    if (param) {
        set(p, param, value, positive);
    } else {
        wrong(p, "unknown option '%.*s'", NAME_SHOWN, p->option);
    }
}

u32 cmdline_parse(const char *text, const struct param *table, size_t n,
                  void (*report)(void *arg, const char *text), void *arg)
{
    struct parser p;

    p.text = skip_blanks(text);
    p.table = table;
    p.nr_params = n;
    p.report = report;
    p.arg = arg;
    p.nr_wrong = 0;
    while (*p.text) {
        const char *problem = next_option(&p);

        if (problem) {
            wrong(&p, "option '%.*s' %s", NAME_SHOWN, p.option, problem);
        } else {
            parse_option(&p);
        }
        p.text = skip_blanks(p.text);
    }
    return p.nr_wrong;
}
