/* SPDX-License-Identifier: MIT */
/*
 * cpulist.c - lists of CPUs as xl takes them: parts with commas between, taken from left to right;
 * a part adds CPUs, or with ^ takes them away: "all", a number, a range, and "node:" or "nodes:" in
 * front of these for all CPUs of nodes. Pure, but for one buffer that holds the last reason.
 */
#include "config.h"

#define PART_MAX 40u

static char reason[128];

static const char *wrong(const char *format, ...) __attribute__((format(printf, 1, 2)));
static const char *wrong(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    fmt_vsnprintf(reason, sizeof(reason), format, args);
    va_end(args);
    return reason;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
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
static const char *number(const char *text, unsigned int *value)
{
    const char *p = text;

    for (*value = 0; *p >= '0' && *p <= '9' && *value < 100000; p++) {
        *value = *value * 10 + (unsigned int)(*p - '0');
    }
    return p == text || (*p >= '0' && *p <= '9') ? NULL : p;
}

struct part {
    bool take_away, nodes;
    unsigned int first, last;
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

static unsigned int node_of(const struct cpu_host *host, unsigned int cpu)
{
    return host->node ? host->node[cpu] : 0;
}

static unsigned int last_node(const struct cpu_host *host)
{
    unsigned int last = 0;

    for (unsigned int cpu = 0; cpu < host->nr_cpus; cpu++) {
        if (node_of(host, cpu) != ~0U) { /* a CPU that is not there */
            last = MAX(last, node_of(host, cpu));
        }
    }
    return last;
}

static const char *apply_part(const struct part *part, const struct cpu_host *host,
                              struct cpu_map *map)
{
    unsigned int last = part->nodes ? last_node(host) : host->nr_cpus - 1;

    if (part->last > last && part->last != ~0U) {
        return wrong("there is no %s %u, the last is %u", part->nodes ? "node" : "CPU", part->last,
                     last);
    }
    for (unsigned int cpu = 0; cpu < host->nr_cpus; cpu++) {
        unsigned int at = part->nodes ? node_of(host, cpu) : cpu;

        if (at < part->first || at > part->last) {
            continue;
        }
        if (part->take_away) {
            map->bits[cpu / 64] &= ~(1UL << (cpu % 64));
        } else {
            map->bits[cpu / 64] |= 1UL << (cpu % 64);
        }
    }
    return NULL;
}

static bool is_empty(const struct cpu_map *map)
{
    uint64_t any = 0;

    for (size_t i = 0; i < ARRAY_SIZE(map->bits); i++) {
        any |= map->bits[i];
    }
    return !any;
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

const char *cpu_list_parse(const char *text, const struct cpu_host *host, struct cpu_map *map)
{
    char word[PART_MAX];
    struct part part;
    const char *error = NULL;

    *map = (struct cpu_map){ { 0 } };
    while (*text && !error) {
        if (!next_part(&text, word)) {
            return "a part is too long to be a CPU, range or node";
        }
        if (!*word) {
            continue; /* as xl has it */
        }
        error = parse_part(word, &part);
        error = error ? error : apply_part(&part, host, map);
    }
    return error ? error : is_empty(map) ? "it names no CPU" : NULL;
}

static bool has(const struct cpu_map *map, unsigned int cpu)
{
    return cpu < CPUS_MAX && map->bits[cpu / 64] >> (cpu % 64) & 1;
}

/* Appends one range to what buf has of `length`, and returns the new length. */
static int put_range(char *buf, size_t size, int length, unsigned int first, unsigned int last)
{
    size_t used = MIN((size_t)length, size);

    return length + fmt_snprintf(buf + used, size - used, last > first ? "%s%u-%u" : "%s%u",
                                 length ? "," : "", first, last);
}

int cpu_list_format(char *buf, size_t size, const struct cpu_map *map, unsigned int nr_cpus)
{
    int length = 0;

    for (unsigned int cpu = 0; cpu < CPUS_MAX; cpu++) {
        unsigned int first = cpu;

        if (!has(map, cpu)) {
            continue;
        }
        while (has(map, cpu + 1)) {
            cpu++;
        }
        if (first == 0 && cpu + 1 >= nr_cpus) {
            return fmt_snprintf(buf, size, "all");
        }
        length = put_range(buf, size, length, first, cpu);
    }
    return length ? length : fmt_snprintf(buf, size, "none");
}
