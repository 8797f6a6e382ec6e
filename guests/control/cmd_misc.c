/* SPDX-License-Identifier: MIT */
/*
 * cmd_misc.c - the shell's own commands (help, echo, files, sleep, run, exit), memory targets, and
 * what tests need (fail-allocation, life).
 */
#include "shell.h"

#include <tarn.h>

static int run_help(int argc, char **argv)
{
    const struct command *c;

    if (argc == 1) {
        commands_print();
        out("`help COMMAND` tells more. A command is known by its beginning, too: vcpu-l. "
            "A leading `xl` is fine.\n");
        return 0;
    }
    if (argc != 2) {
        return USAGE;
    }
    c = command_find(argv[1]);
    if (!c) {
        fail("%s: no such command, or more than one. There are:", argv[1]);
        commands_print();
        return 1;
    }
    out("usage: %s%s%s\n  %s\n", c->name, *c->usage ? " " : "", c->usage, c->help);
    return 0;
}

const struct command cmd_help = {
    .name = "help",
    .usage = "[COMMAND]",
    .help = "the commands, or how one is used",
    .run = run_help,
};

static int run_echo(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        out(i > 1 ? " %s" : "%s", argv[i]);
    }
    out("\n");
    return 0;
}

const struct command cmd_echo = {
    .name = "echo",
    .usage = "[WORD...]",
    .help = "print words; $? is the status of the command before",
    .run = run_echo,
};

static int run_files(int argc, char **argv)
{
    const struct file *f;

    (void)argv;
    if (argc != 1) {
        return USAGE;
    }
    for (unsigned int i = 0; (f = file_nth(i)); i++) {
        out("%10lu %s\n", f->size, f->name);
    }
    return 0;
}

const struct command cmd_files = {
    .name = "files",
    .usage = "",
    .help = "the files that are here: domain files, kernels, scripts",
    .run = run_files,
};

static bool never(void *arg)
{
    (void)arg;
    return false;
}

static int run_sleep(int argc, char **argv)
{
    uint64_t seconds;

    if (argc != 2 || !number_parse(argv[1], 1000000, &seconds)) {
        return USAGE;
    }
    loop_until(never, NULL, clock_now() + seconds * SEC);
    return 0;
}

const struct command cmd_sleep = {
    .name = "sleep",
    .usage = "SECONDS",
    .help = "wait; domains go on",
    .run = run_sleep,
};

static int run_run(int argc, char **argv)
{
    return argc == 2 ? script_run(argv[1], true) : USAGE;
}

const struct command cmd_run = {
    .name = "run",
    .usage = "FILE",
    .help = "run the commands in a file",
    .run = run_run,
};

static int run_exit(int argc, char **argv)
{
    (void)argv;
    if (argc != 1) {
        return USAGE;
    }
    loop_end(SHUTDOWN_poweroff);
    return 0;
}

const struct command cmd_exit = {
    .name = "exit",
    .usage = "",
    .help = "power the machine off",
    .run = run_exit,
};

const struct command cmd_poweroff = {
    .name = "poweroff",
    .usage = "",
    .help = "power the machine off",
    .run = run_exit,
};

/* ---- memory ---- */

/* KiB; a bare number is KiB, as xl has it. */
static bool size_parse(char *text, uint64_t *kib)
{
    size_t len = strlen(text);
    char unit = len ? (char)(text[len - 1] | 0x20) : 0;
    unsigned int shift = 0;

    if (unit >= 'a' && unit <= 'z') {
        text[len - 1] = '\0';
        shift = unit == 't' ? 30 : unit == 'g' ? 20 : unit == 'm' ? 10 : 0;
        if (!strchr("tgmkb", unit)) {
            return false;
        }
    }
    if (!number_parse(text, (1UL << 42) >> shift, kib)) {
        return false;
    }
    *kib = unit == 'b' ? *kib >> 10 : *kib << shift;
    return *kib > 0;
}

static long max_mem(domid_t domid, uint64_t kib)
{
    struct xen_domctl op = { .cmd = XEN_DOMCTL_max_mem, .domain = domid };

    op.u.max_mem.max_memkb = kib;
    return domctl(&op);
}

/* Domain and size from the arguments; NULL and *status otherwise. */
static struct domain *memory_arguments(int argc, char **argv, uint64_t *kib, int *status)
{
    struct domain *d;

    *status = USAGE;
    if (argc != 3) {
        return NULL;
    }
    d = domain_named(argv[1]);
    if (!d) {
        *status = 1;
        return NULL;
    }
    if (!size_parse(argv[2], kib)) {
        *status = fail("invalid memory size: %s (EINVAL)", argv[2]);
        return NULL;
    }
    return d;
}

static int run_mem_set(int argc, char **argv)
{
    char path[64], text[24];
    uint64_t kib;
    int status;
    struct domain *d = memory_arguments(argc, argv, &kib, &status);
    long rc;

    if (!d) {
        return status;
    }
    rc = max_mem(d->domid, kib);
    if (rc) {
        return fail_errno(rc, "%s: at most %lu KiB", d->name, kib);
    }
    fmt_snprintf(path, sizeof(path), "/local/domain/%u/memory/target", d->domid);
    fmt_snprintf(text, sizeof(text), "%lu", kib);
    rc = store_write(path, text);
    return rc ? fail_errno(rc, "%s", path) : 0;
}

const struct command cmd_mem_set = {
    .name = "mem-set",
    .usage = "DOMAIN SIZE",
    .help = "how much memory a domain shall have (KiB, or 64m); its balloon must do it",
    .run = run_mem_set,
};

static int run_mem_max(int argc, char **argv)
{
    uint64_t kib;
    int status;
    struct domain *d = memory_arguments(argc, argv, &kib, &status);
    long rc;

    if (!d) {
        return status;
    }
    rc = max_mem(d->domid, kib);
    return rc ? fail_errno(rc, "%s: at most %lu KiB", d->name, kib) : 0;
}

const struct command cmd_mem_max = {
    .name = "mem-max",
    .usage = "DOMAIN SIZE",
    .help = "the limit of a domain's memory (KiB, or 64m)",
    .run = run_mem_max,
};

/* ---- for tests ---- */

static int run_fail_allocation(int argc, char **argv)
{
    struct tarn_fail_allocation op = { .after = 0 };
    bool control = false;
    struct options o;
    uint64_t n;
    long rc;
    int c;

    options_init(&o, argc, argv, "c", NULL);
    while ((c = options_next(&o))) {
        if (c == '?') {
            return USAGE;
        }
        control = true;
    }
    if (o.nr_rest != 1 || !number_parse(o.rest[0], UINT32_MAX, &n)) {
        return USAGE;
    }
    if (control) {
        heap_fail_after((unsigned int)n);
        return 0;
    }
    op.after = (uint32_t)n;
    rc = hypercall2(__HYPERVISOR_tarn_op, TARN_OP_fail_allocation, ARG(&op));
    if (rc) {
        return fail_errno(rc, "the hypervisor's allocations");
    }
    out("pending %u\n", op.pending);
    return 0;
}

const struct command cmd_fail_allocation = {
    .name = "fail-allocation",
    .usage = "[-c] N",
    .help = "for tests: the hypervisor's N-th allocation fails (-c: the control domain's)",
    .run = run_fail_allocation,
};

static uint64_t free_pages(void)
{
    struct xen_sysctl_physinfo info;

    return physinfo_get(&info) ? 0 : info.free_pages;
}

static bool pages_are_back(void *arg)
{
    loop_look_at(clock_now() + 20 * MS);
    return free_pages() >= *(uint64_t *)arg;
}

/* Status; 0 when the domain came and went. */
static int live_once(const struct config *config)
{
    domid_t domid;
    struct domain *d;
    long rc;

    if (domain_create(config, true, &domid)) {
        return 1;
    }
    loop_until(never, NULL, 0); /* the others' turn */
    d = domain_by_id(domid);
    rc = d ? domain_destroy(d) : 0;
    return rc ? fail_errno(rc, "destroy") : 0;
}

/* Once more than asked, for what stays of the first (the store's folders). */
static int live(const struct config *config, uint64_t count)
{
    uint64_t pages = free_pages(), started;
    size_t heap;

    if (live_once(config)) {
        return 1;
    }
    heap = heap_in_use();
    started = clock_now();
    for (uint64_t i = 1, tenth = 1; i <= count; i++) {
        if (live_once(config)) {
            return fail("at cycle %lu of %lu", i, count);
        }
        if (session->cancelled || loop_ending()) {
            return CANCELLED;
        }
        while (tenth <= 10 && i * 10 >= tenth * count) {
            uint64_t now = clock_now();

            out("life: %lu of %lu, tenth %lu took %lu us\n", i, count, tenth, (now - started) / US);
            started = now;
            tenth++;
        }
    }
    /* A hypervisor may take its time with the last of them. */
    loop_until(pages_are_back, &pages, clock_now() + 2 * SEC);
    out("life: free pages %lu before, %lu after\n", pages, free_pages());
    out("life: heap %lu before, %lu after\n", heap, heap_in_use());
    return 0;
}

static void life_report(void *arg, const char *text)
{
    (void)arg;
    err("error: life: %s\n", text);
}

static int run_life(int argc, char **argv)
{
    const struct file *file;
    struct config *config;
    uint64_t count;
    int status = 1;

    if (argc < 3 || !number_parse(argv[2], 10000000, &count) || !count) {
        return USAGE;
    }
    file = file_find(argv[1]);
    if (!file) {
        return fail_errno(-XEN_ENOENT, "%s", argv[1]);
    }
    config = allocate(sizeof(*config));
    if (!config) {
        return fail_errno(-XEN_ENOMEM, "%s", argv[1]);
    }
    if (config_parse(file->name, file->data, file->size, argc - 3, argv + 3, cpu_host_get(), config,
                     life_report, NULL) == 0) {
        status = live(config, count);
    }
    release(config);
    return status;
}

const struct command cmd_life = {
    .name = "life",
    .usage = "FILE COUNT [KEY=VALUE...]",
    .help = "for tests: create and destroy a domain again and again, and look for losses",
    .run = run_life,
};
