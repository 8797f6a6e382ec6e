/* SPDX-License-Identifier: MIT */
/*
 * cmd_pool.c - the commands about CPU pools: cpupool-list, -create, -destroy, -cpu-add,
 * -cpu-remove, -migrate, -rename. What pools.h does for them is whole or not at all, and so are
 * they.
 */
#include "poolconfig.h"
#include "pools.h"

#include "configtext.h"

#include <tarn.h>

/* ---- cpupool-list ---- */

static void pool_print(const struct pool *p, bool cpus)
{
    const char *separator = "";

    out("%-19s", p->name);
    if (!cpus) {
        out("%3u %9s       %c       %4u\n", cpumask_weight(&p->cpus), scheduler_name(p->sched),
            cpumask_empty(&p->cpus) ? 'n' : 'y', p->domains);
        return;
    }
    cpumask_for_each(cpu, &p->cpus) {
        out("%s%u", separator, cpu);
        separator = ",";
    }
    out("\n");
}

static int run_list(int argc, char **argv)
{
    struct options o;
    struct pool p;
    uint64_t cpus;
    long rc = 0;

    if (!options_flags(&o, argc, argv, "c", "cpus=c", &cpus) || o.nr_rest > 1) {
        return USAGE;
    }
    if (o.nr_rest && !pool_lookup(o.rest[0], &p)) {
        return fail("Pool '%s' does not exist (ENOENT)", o.rest[0]);
    }
    out("%-19s%s\n", "Name", cpus ? "CPU list" : "CPUs   Sched     Active   Domain count");
    if (o.nr_rest) {
        pool_print(&p, cpus);
        return 0;
    }
    for (uint32_t id = 0; (rc = pool_next(id, &p)) == 0; id = p.id + 1) {
        pool_print(&p, cpus);
    }
    return rc == -XEN_ENOENT || rc == -XEN_ESRCH ? 0 : fail_errno(rc, "list of cpupools");
}

const struct command cmd_cpupool_list = {
    .name = "cpupool-list",
    .usage = "[-c] [CPUPOOL]",
    .help = "cpupools: CPUs, scheduler, domains (-c: which CPUs)",
    .run = run_list,
};

/* ---- cpupool-create ---- */

static void report(void *arg, const char *text)
{
    (void)arg;
    fail("%s", text);
}

/* A file and overrides, or overrides alone. */
static bool config_take(int nr, char **words, struct pool_config *c)
{
    bool has_file = nr && !strchr(words[0], '=');
    const struct file *file = has_file ? file_find(words[0]) : NULL;

    if (has_file && !file) {
        return !fail_errno(-XEN_ENOENT, "%s", words[0]);
    }
    return !pool_config_parse(file ? file->name : "command line", file ? file->data : NULL,
                              file ? file->size : 0, nr - has_file, words + has_file,
                              cpu_host_get(), c, report, NULL);
}

/* Everything that can be told without making it. */
static bool config_check(struct pool_config *c, uint32_t *sched)
{
    struct cpumask spare;
    struct pool other;

    if (pool_lookup(c->name, &other)) {
        return !fail("Pool name \"%s\" already exists (EEXIST)", c->name);
    }
    if (!scheduler_find(c->sched, sched) || !pools_free_cpus(&spare)) {
        return false;
    }
    if (c->credit_given && *sched != XEN_SCHEDULER_CREDIT) {
        return !fail("%s: time slices, rate limits and weights are credit's, and it is to have %s "
                     "(EINVAL)",
                     c->name, scheduler_name(*sched));
    }
    if (c->nodes_given) {
        c->cpus = cpumask_and(&c->cpus, &spare);
    }
    return pool_can_add(c->name, &c->cpus);
}

static uint32_t option_bit(int given, uint32_t bit)
{
    return given > 0 ? bit : 0;
}

static bool pool_fill(const struct pool *p, const struct pool_config *c)
{
    uint32_t mask = option_bit(c->weight_per_vcpu + 1, TARN_POOL_weight_per_vcpu) |
                    option_bit(c->reset_on_move + 1, TARN_POOL_reset_on_move) |
                    option_bit(c->cpus_return + 1, TARN_POOL_cpus_return);
    uint32_t flags = option_bit(c->weight_per_vcpu, TARN_POOL_weight_per_vcpu) |
                     option_bit(c->reset_on_move, TARN_POOL_reset_on_move) |
                     option_bit(c->cpus_return, TARN_POOL_cpus_return);
    bool params = c->tslice_ms >= 0 || c->ratelimit_us >= 0 || c->delay_us >= 0;

    return (!mask || pool_options(p, mask, flags, NULL)) &&
           (!params || credit_pool_set(p, c->tslice_ms, c->ratelimit_us, c->delay_us)) &&
           pool_add(p, &c->cpus);
}

static int run_create(int argc, char **argv)
{
    static struct pool_config c;
    struct options o;
    struct pool p;
    uint64_t dry;
    uint32_t sched;

    if (!options_flags(&o, argc, argv, "n", "dryrun=n", &dry) || !o.nr_rest) {
        return USAGE;
    }
    if (!config_take(o.nr_rest, o.rest, &c) || !config_check(&c, &sched)) {
        return 1;
    }
    out("Using config file \"%s\"\ncpupool name:   %s\nscheduler:      %s\nnumber of cpus: %u\n",
        strchr(o.rest[0], '=') ? "command line" : o.rest[0], c.name, scheduler_name(sched),
        cpumask_weight(&c.cpus));
    if (dry || shell_dry_run) {
        return 0;
    }
    if (!pool_make(c.name, sched, &p)) {
        return 1;
    }
    if (!pool_fill(&p, &c)) {
        pool_end(&p, NULL);
        return 1;
    }
    return 0;
}

const struct command cmd_cpupool_create = {
    .name = "cpupool-create",
    .usage = "[-n] [FILE] [KEY=VALUE...]",
    .help = "a new cpupool: name=, sched=, cpus= or nodes=, ... (-n: only look at the words)",
    .run = run_create,
};

/* ---- cpupool-destroy ---- */

static bool take_apart(const struct pool *p, const char *refuge)
{
    struct pool to;

    if (!p->domains) {
        return pool_end(p, NULL);
    }
    if (!refuge) {
        return !fail("Can't destroy cpupool '%s': it has %u domains (EBUSY)", p->name, p->domains);
    }
    if (!pool_find(refuge, &to)) {
        return false;
    }
    if (to.id == p->id) {
        return !fail("%s: its domains can't flee to itself (EINVAL)", p->name);
    }
    return pool_end(p, &to);
}

static int run_destroy(int argc, char **argv)
{
    const char *refuge = NULL;
    struct options o;
    struct pool p;
    int letter;

    options_init(&o, argc, argv, "e:", "evacuate=e");
    while ((letter = options_next(&o))) {
        if (letter == '?') {
            return USAGE;
        }
        refuge = o.value;
    }
    if (o.nr_rest != 1) {
        return USAGE;
    }
    return pool_find(o.rest[0], &p) && take_apart(&p, refuge) ? 0 : 1;
}

const struct command cmd_cpupool_destroy = {
    .name = "cpupool-destroy",
    .usage = "[--evacuate CPUPOOL] CPUPOOL",
    .help = "take a cpupool without domains apart; its CPUs are free then",
    .run = run_destroy,
};

/* ---- cpupool-cpu-add, cpupool-cpu-remove ---- */

/* Who says "all" or names a node means those of them that can be meant. */
static bool cpus_take(const char *text, const struct cpumask *candidates, struct cpumask *cpus)
{
    const char *why = cpulist_parse(text, cpu_host_get(), cpus);

    if (why) {
        return !fail("%s: %s (EINVAL)", text, why);
    }
    if (text_find((char *)text, "all") || text_find((char *)text, "node")) {
        *cpus = cpumask_and(cpus, candidates);
    }
    return cpumask_empty(cpus) ? !fail("%s: no such CPU is there for it (ENODEV)", text) : true;
}

static int run_cpu_add(int argc, char **argv)
{
    struct cpumask cpus, spare;
    struct pool p;

    if (argc != 3) {
        return USAGE;
    }
    return pool_find(argv[1], &p) && pools_free_cpus(&spare) && cpus_take(argv[2], &spare, &cpus) &&
                   pool_add(&p, &cpus)
               ? 0
               : 1;
}

static int run_cpu_remove(int argc, char **argv)
{
    struct cpumask cpus;
    struct pool p;

    if (argc != 3) {
        return USAGE;
    }
    return pool_find(argv[1], &p) && cpus_take(argv[2], &p.cpus, &cpus) && pool_remove(&p, &cpus)
               ? 0
               : 1;
}

const struct command cmd_cpupool_cpu_add = {
    .name = "cpupool-cpu-add",
    .usage = "CPUPOOL CPUS|node:N|all",
    .help = "give free CPUs to a cpupool: 3, 0-2,^1, node:0",
    .run = run_cpu_add,
};

const struct command cmd_cpupool_cpu_remove = {
    .name = "cpupool-cpu-remove",
    .usage = "CPUPOOL CPUS|node:N|all",
    .help = "take CPUs out of a cpupool; its domains go on with the rest",
    .run = run_cpu_remove,
};

/* ---- cpupool-migrate ---- */

/* As into a pool that has every newcomer begin anew. */
static bool move_anew(const struct domain *d, const struct pool *to)
{
    uint32_t old;
    bool moved;

    if (!pool_options(to, TARN_POOL_reset_on_move, TARN_POOL_reset_on_move, &old)) {
        return false;
    }
    moved = pool_move(d->name, d->domid, to);
    return pool_options(to, TARN_POOL_reset_on_move, old, NULL) && moved;
}

static int run_migrate(int argc, char **argv)
{
    struct domain *d;
    struct options o;
    struct pool to;
    uint64_t reset;

    if (!options_flags(&o, argc, argv, "r", "reset=r", &reset) || o.nr_rest != 2) {
        return USAGE;
    }
    d = domain_named(o.rest[0]);
    if (!d || !pool_find(o.rest[1], &to)) {
        return 1;
    }
    return (reset ? move_anew(d, &to) : pool_move(d->name, d->domid, &to)) ? 0 : 1;
}

const struct command cmd_cpupool_migrate = {
    .name = "cpupool-migrate",
    .usage = "[--reset] DOMAIN CPUPOOL",
    .help = "a running domain goes to another cpupool, and keeps weight, cap and affinities",
    .run = run_migrate,
};

/* ---- cpupool-rename ---- */

static int run_rename(int argc, char **argv)
{
    const char *why;
    struct pool p;

    if (argc != 3) {
        return USAGE;
    }
    if (!pool_find(argv[1], &p)) {
        return 1;
    }
    why = name_wrong(argv[2]);
    if (why) {
        return fail("the name '%.40s' %s (EINVAL)", argv[2], why);
    }
    return pool_rename(&p, argv[2]) ? 0 : 1;
}

const struct command cmd_cpupool_rename = {
    .name = "cpupool-rename",
    .usage = "CPUPOOL NEW",
    .help = "give a cpupool another name",
    .run = run_rename,
};
