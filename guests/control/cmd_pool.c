/* SPDX-License-Identifier: MIT */
/*
 * cmd_pool.c - CPU pools that come and go: cpupool-create, -destroy, -cpu-add, -cpu-remove,
 * -migrate, -rename. A change that fails half-way is taken back.
 */
#include "options.h"
#include "shell.h"

#include <tarn.h>

struct pool_config {
    char name[NAME_SIZE], sched[NAME_SIZE], cpus[TEXT_SIZE];
};

static long pool_op(uint32_t op, uint32_t id, uint32_t cpu, uint32_t domid)
{
    struct xen_sysctl s = { .cmd = XEN_SYSCTL_cpupool_op };

    s.u.cpupool_op.op = op;
    s.u.cpupool_op.cpupool_id = id;
    s.u.cpupool_op.cpu = cpu;
    s.u.cpupool_op.domid = domid;
    return sysctl(&s);
}

static size_t strspn_blank(const char *s)
{
    size_t n = 0;

    while (s[n] == ' ' || s[n] == '\t') {
        n++;
    }
    return n;
}

/* By name or number; false after it was told that there is none. */
static bool pool_find(const char *text, struct xen_sysctl_cpupool_op *info, struct cpumask *map)
{
    char number[12];

    for (uint32_t id = 0; cpupool_info(id, info, map) == 0; id = info->cpupool_id + 1) {
        fmt_snprintf(number, sizeof(number), "%u", info->cpupool_id);
        if (strcmp(cpupool_name(info->cpupool_id), text) == 0 || strcmp(number, text) == 0) {
            return true;
        }
    }
    fail("%s: no such cpupool (ENOENT)", text);
    return false;
}

/* ---- create ---- */

static const uint32_t schedulers[] = { XEN_SCHEDULER_CREDIT,   XEN_SCHEDULER_CREDIT2,
                                       XEN_SCHEDULER_RTDS,     XEN_SCHEDULER_NULL,
                                       XEN_SCHEDULER_ARINC653, TARN_SCHEDULER_SEDF };

static long sched_of(const char *name, uint32_t *id)
{
    struct xen_sysctl op = { .cmd = XEN_SYSCTL_sched_id };

    if (!*name) {
        long rc = sysctl(&op);

        *id = op.u.sched_id.sched_id;
        return rc;
    }
    for (size_t i = 0; i < ARRAY_SIZE(schedulers); i++) {
        if (strcmp(scheduler_name(schedulers[i]), name) == 0) {
            *id = schedulers[i];
            return 0;
        }
    }
    return -XEN_ENOENT;
}

static char *key_of(struct pool_config *c, const char *key, size_t *size)
{
    *size = NAME_SIZE;
    if (strcmp(key, "name") == 0) {
        return c->name;
    }
    if (strcmp(key, "sched") == 0) {
        return c->sched;
    }
    *size = TEXT_SIZE;
    return strcmp(key, "cpus") == 0 ? c->cpus : NULL;
}

/* key = "value", by itself; `where` and `line` name it. */
static bool statement(struct pool_config *c, const char *where, unsigned int line, const char *text)
{
    static char words[TEXT_SIZE];
    char *key, *value, *end, *to;
    size_t size;

    str_copy(words, text, sizeof(words));
    key = words + strspn_blank(words);
    if (!*key || *key == '#') {
        return true;
    }
    value = strchr(key, '=');
    if (!value) {
        fail("%s:%u: %s: there is no '='", where, line, key);
        return false;
    }
    for (end = value; end > key && (end[-1] == ' ' || end[-1] == '\t'); end--) {
    }
    *end = 0;
    value += 1 + strspn_blank(value + 1);
    for (end = value + strlen(value); end > value && (u8)end[-1] <= ' '; end--) {
    }
    if (end - value >= 2 && (*value == '"' || *value == '\'') && end[-1] == *value) {
        value++;
        end--;
    }
    *end = 0;
    to = key_of(c, key, &size);
    if (!to || str_copy(to, value, size) >= size) {
        fail(to ? "%s:%u: %s: too long" : "%s:%u: %s: unknown key (name, sched, cpus)", where, line,
             key);
        return false;
    }
    return true;
}

static bool statements(struct pool_config *c, const struct file *file)
{
    static char line[TEXT_SIZE];
    const char *at = file->data, *end = at + file->size;

    for (unsigned int n = 1; at < end; n++) {
        size_t len = 0;

        while (at + len < end && at[len] != '\n') {
            len++;
        }
        str_copy(line, at, MIN(len + 1, sizeof(line)));
        line[MIN(len, sizeof(line) - 1)] = 0;
        if (!statement(c, file->name, n, line)) {
            return false;
        }
        at += len + 1;
    }
    return true;
}

static bool pool_read(struct pool_config *c, int nr, char **words)
{
    for (int i = 0; i < nr; i++) {
        const struct file *file = strchr(words[i], '=') ? NULL : file_find(words[i]);

        if (!file && !strchr(words[i], '=')) {
            fail_errno(-XEN_ENOENT, "%s", words[i]);
            return false;
        }
        if (file ? !statements(c, file)
                 : !statement(c, "command line", (unsigned int)i + 1, words[i])) {
            return false;
        }
    }
    if (!c->name[0]) {
        fail("there is no name");
        return false;
    }
    return true;
}

/* All of them, or none. */
static long cpus_move(uint32_t op, uint32_t back, uint32_t id, const struct cpumask *cpus)
{
    cpumask_for_each(cpu, cpus) {
        long rc = pool_op(op, id, cpu, 0);

        if (rc) {
            cpumask_for_each(done, cpus) {
                if (done < cpu) {
                    pool_op(back, id, done, 0);
                }
            }
            return rc;
        }
    }
    return 0;
}

static int pool_make(const struct pool_config *c)
{
    struct xen_sysctl op = { .cmd = XEN_SYSCTL_cpupool_op };
    struct tarn_pool_name name = { .id = 0 };
    struct cpumask cpus = { { 0 } };
    const char *why = c->cpus[0] ? cpulist_parse(c->cpus, cpu_host_get(), &cpus) : NULL;
    uint32_t sched;
    long rc = sched_of(c->sched, &sched);

    if (why) {
        return fail("%s: cpus: %s (EINVAL)", c->name, why);
    }
    if (rc) {
        return fail_errno(rc, "%s: sched %s", c->name, c->sched);
    }
    op.u.cpupool_op.op = XEN_SYSCTL_CPUPOOL_OP_CREATE;
    op.u.cpupool_op.cpupool_id = XEN_SYSCTL_CPUPOOL_PAR_ANY;
    op.u.cpupool_op.sched_id = sched;
    rc = sysctl(&op);
    if (rc) {
        return fail_errno(rc, "%s: sched %s", c->name, scheduler_name(sched));
    }
    name.id = op.u.cpupool_op.cpupool_id;
    str_copy(name.name, c->name, sizeof(name.name));
    rc = hypercall2(__HYPERVISOR_tarn_op, TARN_OP_set_pool_name, ARG(&name));
    rc = rc ? rc
            : cpus_move(XEN_SYSCTL_CPUPOOL_OP_ADDCPU, XEN_SYSCTL_CPUPOOL_OP_RMCPU, name.id, &cpus);
    if (rc) {
        pool_op(XEN_SYSCTL_CPUPOOL_OP_DESTROY, name.id, 0, 0);
        return fail_errno(rc, "%s: its name or CPUs", c->name);
    }
    return 0;
}

static int run_create(int argc, char **argv)
{
    static struct pool_config c;
    struct options o;
    uint64_t flags;

    memset(&c, 0, sizeof(c));
    if (!options_flags(&o, argc, argv, "n", "dryrun=n", &flags) || !o.nr_rest) {
        return USAGE;
    }
    if (!pool_read(&c, o.nr_rest, o.rest)) {
        return 1;
    }
    if (flags) {
        out("cpupool name:   %s\nscheduler:      %s\ncpus:           %s\n", c.name,
            c.sched[0] ? c.sched : "default", c.cpus);
        return 0;
    }
    return pool_make(&c);
}

const struct command cmd_cpupool_create = {
    .name = "cpupool-create",
    .usage = "[-n] [FILE] [KEY=VALUE...]",
    .help = "a new cpupool: name=, sched=, cpus= (-n: only look at the words)",
    .run = run_create,
};

/* ---- change ---- */

static int run_destroy(int argc, char **argv)
{
    struct xen_sysctl_cpupool_op info;
    struct cpumask cpus;
    long rc;

    if (argc != 2) {
        return USAGE;
    }
    if (!pool_find(argv[1], &info, &cpus)) {
        return 1;
    }
    if (info.n_dom) {
        return fail("%s: it has %u domains (EBUSY)", argv[1], info.n_dom);
    }
    rc = cpus_move(XEN_SYSCTL_CPUPOOL_OP_RMCPU, XEN_SYSCTL_CPUPOOL_OP_ADDCPU, info.cpupool_id,
                   &cpus);
    rc = rc ? rc : pool_op(XEN_SYSCTL_CPUPOOL_OP_DESTROY, info.cpupool_id, 0, 0);
    return rc ? fail_errno(rc, "%s", argv[1]) : 0;
}

const struct command cmd_cpupool_destroy = {
    .name = "cpupool-destroy",
    .usage = "CPUPOOL",
    .help = "take a cpupool without domains apart; its CPUs are free then",
    .run = run_destroy,
};

static int cpus_command(int argc, char **argv, uint32_t op, uint32_t back)
{
    struct xen_sysctl_cpupool_op info;
    struct cpumask cpus, members;
    const char *why;
    long rc;

    if (argc != 3) {
        return USAGE;
    }
    if (!pool_find(argv[1], &info, &members)) {
        return 1;
    }
    why = cpulist_parse(argv[2], cpu_host_get(), &cpus);
    if (why) {
        return fail("%s: %s (EINVAL)", argv[2], why);
    }
    rc = cpus_move(op, back, info.cpupool_id, &cpus);
    return rc ? fail_errno(rc, "%s: CPUs %s", argv[1], argv[2]) : 0;
}

static int run_cpu_add(int argc, char **argv)
{
    return cpus_command(argc, argv, XEN_SYSCTL_CPUPOOL_OP_ADDCPU, XEN_SYSCTL_CPUPOOL_OP_RMCPU);
}

static int run_cpu_remove(int argc, char **argv)
{
    return cpus_command(argc, argv, XEN_SYSCTL_CPUPOOL_OP_RMCPU, XEN_SYSCTL_CPUPOOL_OP_ADDCPU);
}

const struct command cmd_cpupool_cpu_add = {
    .name = "cpupool-cpu-add",
    .usage = "CPUPOOL CPUS",
    .help = "give free CPUs to a cpupool: 3, 0-2,^1, node:0",
    .run = run_cpu_add,
};

const struct command cmd_cpupool_cpu_remove = {
    .name = "cpupool-cpu-remove",
    .usage = "CPUPOOL CPUS",
    .help = "take CPUs out of a cpupool; its domains go on with the rest",
    .run = run_cpu_remove,
};

static int run_migrate(int argc, char **argv)
{
    struct xen_sysctl_cpupool_op info;
    struct domain *d;
    long rc;

    if (argc != 3) {
        return USAGE;
    }
    d = domain_named(argv[1]);
    if (!d || !pool_find(argv[2], &info, NULL)) {
        return 1;
    }
    rc = pool_op(XEN_SYSCTL_CPUPOOL_OP_MOVEDOMAIN, info.cpupool_id, 0, d->domid);
    return rc ? fail_errno(rc, "%s to %s", argv[1], argv[2]) : 0;
}

const struct command cmd_cpupool_migrate = {
    .name = "cpupool-migrate",
    .usage = "DOMAIN CPUPOOL",
    .help = "a running domain goes to another cpupool, and keeps weight, cap and affinities",
    .run = run_migrate,
};

static int run_pool_rename(int argc, char **argv)
{
    struct tarn_pool_name name = { .id = 0 };
    struct xen_sysctl_cpupool_op info;
    long rc;

    if (argc != 3 || !*argv[2] || strlen(argv[2]) >= sizeof(name.name)) {
        return USAGE;
    }
    if (!pool_find(argv[1], &info, NULL)) {
        return 1;
    }
    name.id = info.cpupool_id;
    str_copy(name.name, argv[2], sizeof(name.name));
    rc = hypercall2(__HYPERVISOR_tarn_op, TARN_OP_set_pool_name, ARG(&name));
    return rc ? fail_errno(rc, "%s to %s", argv[1], argv[2]) : 0;
}

const struct command cmd_cpupool_rename = {
    .name = "cpupool-rename",
    .usage = "CPUPOOL NEW",
    .help = "give a cpupool another name",
    .run = run_pool_rename,
};
