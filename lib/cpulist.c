/* SPDX-License-Identifier: MIT */
/*
 * See cpulist.h: for the hypervisor's options, and for the control domain's files and commands. The
 * one buffer, of the last reason, is written at boot or by the control domain's only thread.
 */
#include <tarn/cpulist.h>

#define PART_MAX 40u

static char reason[128]; /* the last one */

static const char *__printf(1, 2) wrong(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    fmt_vsnprintf(reason, sizeof(reason), format, args);
    va_end(args);
    return reason;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/* What the text begins with; the rest, or NULL when it doesn't. */
static const char *after(const char *text, const char *start)
{
    while (*start && *text == *start) {
        text++;
        start++;
    }
    return *start ? NULL : text;
}

/* A decimal number that is not absurd; the rest, or NULL. */
static const char *number(const char *text, u32 *value)
{
    const char *p = text;

    for (*value = 0; *p >= '0' && *p <= '9' && *value < 100000; p++) {
        *value = *value * 10 + (u32)(*p - '0');
    }
    return p == text || (*p >= '0' && *p <= '9') ? NULL : p;
}

struct part {
    bool take_away, nodes;
    u32 first, last;
};

/* "5", "2-4" or "all", with nothing behind. */
static bool parse_range(const char *text, struct part *part)
{
    if (strcmp(text, "all") == 0) {
        part->first = 0;
        part->last = ~0U;
        return true;
    }
    text = number(text, &part->first);
    part->last = part->first;
    if (text && *text == '-') {
        text = number(text + 1, &part->last);
    }
    return text && !*text;
}

static const char *parse_part(const char *text, struct part *part)
{
    const char *p = text, *rest = after(p, "^");

    part->take_away = rest;
    p = rest ? rest : p;
    rest = after(p, "nodes:");
    rest = rest ? rest : after(p, "node:");
    part->nodes = rest;
    p = rest ? rest : p;
    if (!parse_range(p, part)) {
        return wrong("'%s' is no CPU, range or node", text);
    }
    if (part->last < part->first) {
        return wrong("range '%s' runs backwards", text);
    }
    return NULL;
}

static u32 last_node(const struct cpu_host *host)
{
    u32 last = 0;

    for (u32 cpu = 0; cpu < host->nr_cpus; cpu++) {
        if (host->node[cpu] != ~0U) {
            last = MAX(last, host->node[cpu]);
        }
    }
    return last;
}

static const char *apply_part(const struct part *part, const struct cpu_host *host,
                              struct cpumask *mask)
{
    u32 last;

    if (part->nodes && !host->node) {
        return "nodes can't be named here";
    }
    last = part->nodes ? last_node(host) : host->nr_cpus - 1;
    if (part->last > last && part->last != ~0U) {
        return wrong("there is no %s %u, the last is %u", part->nodes ? "node" : "CPU", part->last,
                     last);
    }
    for (u32 cpu = 0; cpu < host->nr_cpus; cpu++) {
        u32 at = part->nodes ? host->node[cpu] : cpu;

        if (at < part->first || at > part->last) {
            continue;
        }
        if (part->take_away) {
            cpumask_clear(mask, cpu);
        } else {
            cpumask_set(mask, cpu);
        }
    }
    return NULL;
}

/* Copies the part at *text without the blanks around it; *text moves behind its comma. False: it is
 * too long. */
static bool next_part(const char **text, char *part)
{
    const char *start = *text, *end;

    while (is_blank(*start)) {
        start++;
    }
    for (end = start; *end && *end != ','; end++) {
    }
    *text = *end ? end + 1 : end;
    while (end > start && is_blank(end[-1])) {
        end--;
    }
    if (end - start >= PART_MAX) {
        return false;
    }
    memcpy(part, start, (size_t)(end - start));
    part[end - start] = '\0';
    return true;
}

const char *cpulist_parse(const char *text, const struct cpu_host *host, struct cpumask *out)
{
    char word[PART_MAX];
    struct cpumask mask = { { 0 } };

    while (*text) {
        struct part part;
        const char *error;

        if (!next_part(&text, word)) {
            return "a part is too long to be a CPU, range or node";
        }
        if (!*word) {
            continue; /* as xl has it */
        }
        error = parse_part(word, &part);
        error = error ? error : apply_part(&part, host, &mask);
        if (error) {
            return error;
        }
    }
    if (cpumask_empty(&mask)) {
        return "it names no CPU";
    }
    *out = mask;
    return NULL;
}

int cpulist_format(char *buf, size_t size, const struct cpumask *mask, u32 nr_cpus)
{
    int length = 0;

    for (u32 first = cpumask_first(mask), last; first < NR_CPUS;
         first = cpumask_next(mask, last + 1)) {
        size_t used = MIN((size_t)length, size);

        for (last = first; cpumask_test(mask, last + 1); last++) {
        }
        if (first == 0 && last + 1 >= nr_cpus) {
            return fmt_snprintf(buf, size, "all");
        }
        length += fmt_snprintf(buf + used, size - used, last > first ? "%s%u-%u" : "%s%u",
                               length ? "," : "", first, last);
    }
    return length ? length : fmt_snprintf(buf, size, "none");
}
