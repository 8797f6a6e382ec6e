/* SPDX-License-Identifier: MIT */
/*
 * virsh.c - the command `virsh`: its words with their options, by place or by name, and what all of
 * them need: errors in virsh's manner, domains that run or are defined, tables. Owns the arguments
 * of the word that runs; a word may run within another's wait.
 */
#include "virsh.h"
#include "uuid.h"

#include <tarn/number.h>

static const struct virsh_word *const words[] = {
    &virsh_list,     &virsh_dominfo,     &virsh_domstate,    &virsh_domid,        &virsh_domname,
    &virsh_start,    &virsh_destroy,     &virsh_shutdown,    &virsh_reboot,       &virsh_suspend,
    &virsh_resume,   &virsh_define,      &virsh_undefine,    &virsh_dumpcfg,      &virsh_dumpxml,
    &virsh_vcpupin,  &virsh_emulatorpin, &virsh_iothreadpin, &virsh_iothreadinfo, &virsh_schedinfo,
    &virsh_setvcpus, &virsh_setvcpu,     &virsh_vcpuinfo,    &virsh_vcpucount,    &virsh_cpu_stats,
    &virsh_domstats, &virsh_explain,
};

struct arguments {
    const struct virsh_word *word;
    const char *value[VIRSH_OPTIONS]; /* of a flag: its name */
    const char *words[VIRSH_WORDS_MAX];
    unsigned int nr_words;
};

static struct arguments *args; /* of the word that runs */

/* ---- mistakes ---- */

int virsh_error(const char *format, ...)
{
    static char text[TEXT_SIZE + 128];
    va_list list;

    va_start(list, format);
    fmt_vsnprintf(text, sizeof(text), format, list);
    va_end(list);
    err("error: %s\n", text);
    return 1;
}

int virsh_exclusive(const char *one, const char *other)
{
    if (!virsh_flag(one) || !virsh_flag(other)) {
        return 0;
    }
    return virsh_error("Options --%s and --%s are mutually exclusive", one, other);
}

/* ---- options ---- */

static bool is_number(const struct virsh_option *o)
{
    return o->kind == VIRSH_NUMBER || o->kind == VIRSH_MAYBE_NUMBER ||
           o->kind == VIRSH_NAMED_NUMBER;
}

static bool is_needed(const struct virsh_option *o)
{
    return o->kind == VIRSH_TEXT || o->kind == VIRSH_NUMBER;
}

static unsigned int option_nr(const char *name)
{
    const struct virsh_option *options = args->word->options;
    unsigned int i = 0;

    while (options[i].kind != VIRSH_END && strcmp(options[i].name, name)) {
        i++;
    }
    return i;
}

bool virsh_flag(const char *name)
{
    return virsh_text(name);
}

const char *virsh_text(const char *name)
{
    unsigned int i = option_nr(name);

    return args->word->options[i].kind == VIRSH_END ? NULL : args->value[i];
}

bool virsh_number(const char *name, uint32_t *value)
{
    const char *text = virsh_text(name);
    uint64_t n;

    if (!text || !uint_parse(text, &n)) {
        return false;
    }
    *value = (uint32_t)n;
    return true;
}

unsigned int virsh_words(const char *const **list)
{
    *list = args->words;
    return args->nr_words;
}

static bool take_word(const char *word)
{
    if (args->nr_words == VIRSH_WORDS_MAX) {
        return !virsh_error("too many words");
    }
    args->words[args->nr_words++] = word;
    return true;
}

static bool set_value(unsigned int i, const char *value)
{
    const struct virsh_option *o = &args->word->options[i];
    uint64_t n;

    if (o->kind == VIRSH_WORDS) {
        return take_word(value);
    }
    if (args->value[i]) {
        return !virsh_error("option --%s already seen", o->name);
    }
    if (is_number(o) && (!uint_parse(value, &n) || n > UINT32_MAX)) {
        return !virsh_error("Numeric value '%s' for <%s> option is malformed or out of range",
                            value, o->name);
    }
    args->value[i] = value;
    return true;
}

/* A word that is no option belongs to the first that has none yet. */
static bool by_place(const char *word)
{
    const struct virsh_option *options = args->word->options;

    for (unsigned int i = 0; options[i].kind != VIRSH_END; i++) {
        bool placed = options[i].kind != VIRSH_FLAG && options[i].kind != VIRSH_NAMED_NUMBER &&
                      options[i].kind != VIRSH_NAMED_TEXT;

        if (placed && (options[i].kind == VIRSH_WORDS || !args->value[i])) {
            return set_value(i, word);
        }
    }
    return !virsh_error("unexpected data '%s'", word);
}

/* "--name", "--name value" or "--name=value"; how many words it took, 0: it was wrong. */
static int by_name(const char *word, const char *next)
{
    char name[32];
    const char *value = strchr(word, '=');
    size_t n = value ? (size_t)(value - word) : strlen(word);
    const struct virsh_option *o;

    str_copy(name, word + 2, MIN(n - 1, sizeof(name)));
    o = &args->word->options[option_nr(name)];
    if (o->kind == VIRSH_END || n - 2 >= sizeof(name)) {
        virsh_error("command '%s' doesn't support option %.*s", args->word->name, (int)n, word);
        return 0;
    }
    if (o->kind == VIRSH_FLAG) {
        if (value) {
            virsh_error("invalid '=' after option --%s", name);
            return 0;
        }
        return set_value(option_nr(name), o->name);
    }
    if (!value && !next) {
        virsh_error("expected syntax: --%s <%s>", name, is_number(o) ? "number" : "string");
        return 0;
    }
    return set_value(option_nr(name), value ? value + 1 : next) ? (value ? 1 : 2) : 0;
}

static bool all_there(void)
{
    const struct virsh_option *options = args->word->options;

    for (unsigned int i = 0; options[i].kind != VIRSH_END; i++) {
        if (is_needed(&options[i]) && !args->value[i]) {
            return !virsh_error(is_number(&options[i]) ? "command '%s' requires --%s option"
                                                       : "command '%s' requires <%s> option",
                                args->word->name, options[i].name);
        }
    }
    return true;
}

static bool arguments_take(int argc, char **argv)
{
    bool options = true;

    for (int i = 0; i < argc;) {
        int taken = 1;

        if (options && strcmp(argv[i], "--") == 0) {
            options = false;
        } else if (options && text_begins(argv[i], "--")) {
            taken = by_name(argv[i], i + 1 < argc ? argv[i + 1] : NULL);
        } else {
            taken = by_place(argv[i]);
        }
        if (!taken) {
            return false;
        }
        i += taken;
    }
    return all_there();
}

/* ---- domains ---- */

/* The name of who runs with a UUID, or is defined with it; of no UUID it is the text itself. */
static const char *without_uuid(const char *text)
{
    const struct domain *d;
    uint8_t uuid[16];

    if (!uuid_parse(text, uuid)) {
        return text;
    }
    d = domain_by_id(uuid_owner(uuid));
    for (const struct definition *def = definition_first(); def && !d; def = def->next) {
        struct config *c = definition_config(def);
        bool found = c && c->uuid_given && memcmp(c->uuid, uuid, sizeof(uuid)) == 0;

        release(c);
        if (found) {
            return def->name;
        }
    }
    return d ? d->name : text;
}

bool virsh_domain_named(const char *name, struct virsh_domain *d)
{
    name = without_uuid(name);
    *d = (struct virsh_domain){ .live = domain_lookup(name) };
    if (d->live && (d->live->dying || domain_info(d->live->domid, &d->info))) {
        d->live = NULL;
    }
    d->def = definition_find(d->live ? d->live->name : name);
    if (!d->live && !d->def) {
        return !virsh_error("failed to get domain '%s'", name);
    }
    d->name = d->live ? d->live->name : d->def->name;
    return true;
}

bool virsh_domain(struct virsh_domain *d)
{
    return virsh_domain_named(virsh_text("domain"), d);
}

unsigned int virsh_affects(const struct virsh_domain *d, bool question)
{
    bool live = virsh_flag("live"), config = virsh_flag("config");

    if (question && live && config) {
        virsh_error("Options --live and --config are mutually exclusive");
        return 0;
    }
    if (!live && !config) {
        live = d->live;
        config = !live;
    }
    if (live && !d->live) {
        virsh_error(NOT_VALID "domain is not running");
        return 0;
    }
    if (config && !d->def) {
        virsh_error(NOT_VALID "transient domains do not have any persistent config");
        return 0;
    }
    return (live ? VIRSH_LIVE : 0) | (config ? VIRSH_CONFIG : 0);
}

struct config *virsh_live_config(const struct virsh_domain *d)
{
    static struct config none;

    if (d->live->config) {
        return d->live->config;
    }
    memset(&none, 0, sizeof(none));
    str_copy(none.name, d->name, sizeof(none.name));
    none.vcpus = d->info.nr_online_vcpus;
    none.maxvcpus = vcpus_of(&d->info);
    none.memory_kb = d->info.tot_pages * 4;
    none.maxmem_kb = d->info.max_pages * 4;
    none.cap = -1;
    none.placement.placement = PLACEMENT_STATIC;
    none.placement.vcpus = none.vcpus;
    none.placement.max_vcpus = none.maxvcpus;
    return &none;
}

bool virsh_pool(const struct virsh_domain *d, const struct config *c, struct pool *pool)
{
    char number[16];

    if (d->live) {
        fmt_snprintf(number, sizeof(number), "%u", d->info.cpupool);
        return pool_lookup(number, pool);
    }
    return pool_lookup(c->pool[0] ? c->pool : "0", pool);
}

/* ---- lists of CPUs ---- */

bool virsh_cpulist(const char *text, struct cpumask *cpus, bool *reset)
{
    struct xen_sysctl_physinfo host = { 0 };
    uint32_t nr = physinfo_get(&host) == 0 ? host.max_cpu_id + 1 : cpus_max();
    const char *why;

    *reset = strcmp(text, "r") == 0;
    if (*reset) {
        return true;
    }
    why = placement_list_parse(text, NR_CPUS, cpus);
    if (why) {
        virsh_error("Invalid cpulist '%s'", text);
        return !virsh_error(INVALID_ARGUMENT "%s", why);
    }
    cpumask_for_each(cpu, cpus) {
        if (cpu >= nr) {
            return !virsh_error("CPU %u in cpulist '%s' exceed the maxcpu %u", cpu, text, nr);
        }
    }
    return true;
}

const char *virsh_cpulist_text(const struct cpumask *cpus)
{
    static char text[CPULIST_SIZE];
    struct cpumask there;
    uint32_t nr = cpus_max();

    cpumask_clear_all(&there);
    cpumask_for_each(cpu, cpus) {
        if (cpu < nr) {
            cpumask_set(&there, cpu);
        }
    }
    placement_list_format(text, sizeof(text), &there);
    return text;
}

/* ---- tables ---- */

#define CELL_SIZE 120u
#define CELLS_STEP 64u

struct virsh_table {
    unsigned int columns, used, room;
    bool failed;
    char (*cell)[CELL_SIZE];
};

struct virsh_table *virsh_table_new(unsigned int columns, const char *const *heads)
{
    struct virsh_table *t = allocate(sizeof(*t));

    for (unsigned int i = 0; t && i < columns; i++) {
        t->columns = columns;
        virsh_table_cell(t, "%s", heads[i]);
    }
    return t;
}

static bool table_grow(struct virsh_table *t)
{
    char(*more)[CELL_SIZE] = allocate((t->room + CELLS_STEP) * CELL_SIZE);

    if (!more) {
        return false;
    }
    memcpy(more, t->cell, t->used * CELL_SIZE);
    release(t->cell);
    t->cell = more;
    t->room += CELLS_STEP;
    return true;
}

void virsh_table_cell(struct virsh_table *t, const char *format, ...)
{
    va_list list;

    if (!t || t->failed) {
        return;
    }
    t->failed = t->used == t->room && !table_grow(t);
    if (t->failed) {
        return;
    }
    va_start(list, format);
    fmt_vsnprintf(t->cell[t->used++], CELL_SIZE, format, list);
    va_end(list);
}

static void row_print(const struct virsh_table *t, unsigned int row, const unsigned int *width)
{
    for (unsigned int i = 0; i < t->columns; i++) {
        const char *text = t->cell[row * t->columns + i];

        out(i + 1 < t->columns ? " %-*s  " : " %*s", i + 1 < t->columns ? (int)width[i] : 0, text);
    }
    out("\n");
}

static void table_rows(const struct virsh_table *t)
{
    unsigned int width[VIRSH_COLUMNS] = { 0 }, all = 0;

    for (unsigned int i = 0; i < t->used; i++) {
        unsigned int *w = &width[i % t->columns];

        *w = MAX(*w, (unsigned int)strlen(t->cell[i]));
    }
    for (unsigned int i = 0; i < t->columns; i++) {
        all += width[i] + 3;
    }
    for (unsigned int row = 0; row < t->used / t->columns; row++) {
        row_print(t, row, width);
        for (unsigned int i = 0; row == 0 && i < all; i++) {
            out(i + 1 < all ? "-" : "-\n");
        }
    }
}

int virsh_table_print(struct virsh_table *t)
{
    bool good = t && !t->failed;

    if (good) {
        table_rows(t);
    }
    if (t) {
        release(t->cell);
    }
    release(t);
    return good ? 0 : virsh_error("out of memory");
}

/* ---- the command ---- */

const char *virsh_word_nth(unsigned int n)
{
    return n < ARRAY_SIZE(words) ? words[n]->name : NULL;
}

static const struct virsh_word *word_find(const char *name)
{
    for (unsigned int i = 0; i < ARRAY_SIZE(words); i++) {
        if (strcmp(words[i]->name, name) == 0) {
            return words[i];
        }
    }
    return NULL;
}

static void option_print(const struct virsh_option *o)
{
    static const char *const forms[] = {
        [VIRSH_FLAG] = " [--%s]",
        [VIRSH_TEXT] = " <%s>",
        [VIRSH_NUMBER] = " <%s>",
        [VIRSH_MAYBE_TEXT] = " [--%s <string>]",
        [VIRSH_MAYBE_NUMBER] = " [--%s <number>]",
        [VIRSH_NAMED_NUMBER] = " [--%s <number>]",
        [VIRSH_NAMED_TEXT] = " [--%s <number>]",
        [VIRSH_WORDS] = " [[--%s] <string>]...",
    };
    char text[64];
    size_t n = 0;

    for (const char *p = forms[o->kind]; *p && n + 40 < sizeof(text); p++) {
        if (p[0] == '%') {
            n += str_copy(text + n, o->name, sizeof(text) - n);
            p++;
        } else {
            text[n++] = *p;
        }
    }
    out_bytes(text, n);
}

static void word_usage(const struct virsh_word *word)
{
    out("  NAME\n    %s - %s\n\n  SYNOPSIS\n    %s", word->name, word->help, word->name);
    for (const struct virsh_option *o = word->options; o->kind != VIRSH_END; o++) {
        option_print(o);
    }
    out("\n\n");
}

static int help(int nr, char **names)
{
    const struct virsh_word *word;

    if (nr > 1) {
        return virsh_error("unexpected data '%s'", names[1]);
    }
    if (nr == 1) {
        word = word_find(names[0]);
        if (!word) {
            return virsh_error("command or command group '%s' doesn't exist", names[0]);
        }
        word_usage(word);
        return 0;
    }
    for (unsigned int i = 0; i < ARRAY_SIZE(words); i++) {
        out("    %-14s %s\n", words[i]->name, words[i]->help);
    }
    out("\n");
    return 0;
}

static int run_word(const struct virsh_word *word, int argc, char **argv)
{
    struct arguments *outer = args;
    int status = 1;

    args = allocate(sizeof(*args));
    if (!args) {
        args = outer;
        return virsh_error("out of memory");
    }
    args->word = word;
    if (arguments_take(argc, argv)) {
        status = virsh_exclusive("current", "live") || virsh_exclusive("current", "config")
                     ? 1
                     : word->run();
        out("\n");
    }
    release(args);
    args = outer;
    return status;
}

static int run(int argc, char **argv)
{
    const struct virsh_word *word;

    if (argc == 1) {
        return USAGE;
    }
    if (strcmp(argv[1], "help") == 0) {
        return help(argc - 2, argv + 2);
    }
    word = word_find(argv[1]);
    return word ? run_word(word, argc - 2, argv + 2)
                : virsh_error("unknown command: '%s'", argv[1]);
}

const struct command cmd_virsh = {
    .name = "virsh",
    .usage = "WORD [ARGUMENTS]",
    .help = "virsh's words: domains that are defined, their CPUs and shares; `virsh help` lists "
            "them",
    .run = run,
};

/* ---- explain, which is a command, too ---- */

static int run_explain(int argc, char **argv)
{
    return argc < 2 ? USAGE : run_word(&virsh_explain, argc - 1, argv + 1);
}

const struct command cmd_explain = {
    .name = "explain",
    .usage = "DOMAIN[.VCPU]",
    .help = "where the vcpus and the emulator of a domain may run, by which rule, and what limits "
            "them",
    .run = run_explain,
};
