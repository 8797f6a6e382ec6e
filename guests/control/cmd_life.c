/* SPDX-License-Identifier: MIT */
/*
 * cmd_life.c - a domain's life by command: create, destroy, pause, unpause, shutdown, reboot,
 * rename, console. What waits keeps domids only, since a domain may go while it does.
 */
#include "tune.h"
#include "virsh.h"

/* ---- console ---- */

struct attachment {
    domid_t domid;
    uint64_t position;
    bool left; /* ^] */
};
#define DETACH 0x1d

/* d is NULL: what it said last is still kept. */
static void attachment_output(const struct domain *d, struct attachment *a)
{
    static char text[1024];
    size_t n;

    do {
        n = d ? console_read(d, &a->position, text, sizeof(text))
              : console_read_closed(a->domid, &a->position, text, sizeof(text));
        out_bytes(text, n);
        a->position += n;
    } while (n);
}

static bool attachment_over(void *arg)
{
    struct attachment *a = arg;
    struct domain *d = domain_by_id(a->domid);
    int key;

    if (!d || !d->console) {
        attachment_output(NULL, a);
        return true;
    }
    attachment_output(d, a);
    while (!a->left && (key = shell_key()) >= 0) {
        char c = (char)key;

        a->left = key == DETACH;
        if (!a->left && !console_type(d, &c, 1)) {
            break; /* its ring is full: what is typed now is lost */
        }
    }
    return a->left;
}

static int console_attach(domid_t domid)
{
    struct attachment a = { .domid = domid, .position = ~0UL };

    if (!session->tty) {
        return fail("only for a person at the console: from the host use `tarn console DOMAIN`");
    }
    shell_raw(true);
    loop_until(attachment_over, &a, FOREVER);
    shell_raw(false);
    out("\n");
    return 0;
}

static int run_console(int argc, char **argv)
{
    struct attachment shown = { .position = ~0UL };
    bool log = false;
    struct options o;
    struct domain *d;
    int c;

    options_init(&o, argc, argv, "lt:n:", "log=l type=t num=n");
    while ((c = options_next(&o))) {
        if (c == '?') {
            return USAGE;
        }
        log |= c == 'l';
        if (c == 'l') {
            continue;
        }
        if (c == 't' ? strcmp(o.value, "pv") != 0 : strcmp(o.value, "0") != 0) {
            return fail("%s: a domain has one console, of type pv (EINVAL)", o.value);
        }
    }
    if (o.nr_rest != 1) {
        return USAGE;
    }
    d = domain_named(o.rest[0]);
    if (!d) {
        return 1;
    }
    if (!d->console) {
        return fail("%s: no console of its own, it prints on the serial line (ENODEV)", d->name);
    }
    if (log) {
        attachment_output(d, &shown);
        return 0;
    }
    return console_attach(d->domid);
}

const struct command cmd_console = {
    .name = "console",
    .usage = "[-l] [-t pv] [-n 0] DOMAIN",
    .help = "attach to a domain's console, ^] comes back (-l: only what it said so far)",
    .run = run_console,
};

/* ---- create ---- */

static void report(void *arg, const char *text)
{
    (void)arg;
    fail("%s", text);
}

struct config *config_read(const char *name, int nr, char **overrides)
{
    const struct file *file = file_find(name);
    struct config *config = allocate(sizeof(*config));
    unsigned int wrong;

    if (!file || !config) {
        release(config);
        fail_errno(file ? -XEN_ENOMEM : -XEN_ENOENT, "%s", name);
        return NULL;
    }
    wrong = config_parse(file->name, file->data, file->size, nr, overrides, cpu_host_get(), config,
                         report, NULL);
    if (wrong) {
        release(config);
        return NULL;
    }
    for (unsigned int i = 0; i < config->warnings; i++) {
        err("warning: %s: %s\n", config->name, config->warning[i]);
    }
    return config;
}

static bool domain_gone(void *arg)
{
    return !domain_by_id(*(domid_t *)arg);
}

struct create_options {
    bool paused, console, dry_run, foreground, quiet, explain;
};

static int create(const struct config *config, const struct create_options *o)
{
    domid_t domid;

    if (o->explain && explain_plan(config)) {
        return 1;
    }
    if (o->dry_run && o->explain) {
        return 0;
    }
    if (o->dry_run) {
        details_of_file(config);
        return 0;
    }
    if (domain_create(config, o->paused, &domid)) {
        return 1;
    }
    if (o->console && domain_by_id(domid)) {
        return console_attach(domid);
    }
    if (o->foreground) {
        loop_until(domain_gone, &domid, FOREVER);
    }
    return 0;
}

static int run_create(int argc, char **argv)
{
    struct create_options wanted = { .dry_run = shell_dry_run };
    const char *name = NULL;
    struct config *config;
    struct options o;
    int c, first = 0, status;

    options_init(&o, argc, argv, "pcnqFef:dE", "dryrun=n quiet=q defconfig=f explain=E");
    while ((c = options_next(&o))) {
        if (c == '?') {
            return USAGE;
        }
        wanted.paused |= c == 'p';
        wanted.console |= c == 'c';
        wanted.dry_run |= c == 'n';
        wanted.quiet |= c == 'q';
        wanted.foreground |= c == 'F';
        wanted.explain |= c == 'E';
        name = c == 'f' ? o.value : name;
    }
    if (!name) {
        if (!o.nr_rest) {
            return USAGE;
        }
        name = o.rest[0];
        first = 1;
    }
    if (wanted.console && !session->tty) {
        return fail("-c is only for a person at the console; from the host use `tarn console`");
    }
    if (!wanted.quiet) {
        err("Parsing config from %s\n", name);
    }
    config = config_read(name, o.nr_rest - first, o.rest + first);
    status = config ? create(config, &wanted) : 1;
    release(config);
    return status;
}

const struct command cmd_create = {
    .name = "create",
    .usage = "[-pcnqF] [--explain] FILE [KEY=VALUE...]",
    .help = "build a domain from a domain file and start it (-p: paused, -n: only show; --explain: "
            "where it runs, and why)",
    .run = run_create,
};

/* ---- destroy, pause, unpause, rename ---- */

/* All that are named must exist before one is touched. */
static bool all_known(int nr, char **names)
{
    for (int i = 0; i < nr; i++) {
        if (!domain_named(names[i])) {
            return false;
        }
    }
    return true;
}

static int run_destroy(int argc, char **argv)
{
    const struct domain *client;
    struct domain *d;
    struct options o;
    uint64_t force;
    long rc;

    if (!options_flags(&o, argc, argv, "f", NULL, &force) || o.nr_rest != 1) {
        return USAGE;
    }
    d = domain_named(o.rest[0]);
    if (!d) {
        return 1;
    }
    if (d->domid == 0) {
        return fail("Cannot destroy privileged domain 0. (EINVAL)");
    }
    client = domain_by_id(client_of(d->domid));
    if (client) {
        err("warning: %s goes on without its emulator\n", client->name);
    }
    rc = domain_destroy(d);
    return rc ? fail_errno(rc, "%s", o.rest[0]) : 0;
}

const struct command cmd_destroy = {
    .name = "destroy",
    .usage = "DOMAIN",
    .help = "end a domain at once",
    .run = run_destroy,
};

static int each_simple(uint32_t cmd, int argc, char **argv)
{
    int status = 0;

    if (argc < 2) {
        return USAGE;
    }
    if (!all_known(argc - 1, argv + 1)) {
        return 1;
    }
    for (int i = 1; i < argc; i++) {
        struct domain *d = domain_lookup(argv[i]);
        long rc = d ? domctl_simple(cmd, d->domid) : -XEN_ESRCH;

        if (rc) {
            status = fail_errno(rc, "%s", argv[i]);
        }
    }
    return status;
}

static int run_pause(int argc, char **argv)
{
    return each_simple(XEN_DOMCTL_pausedomain, argc, argv);
}

const struct command cmd_pause = {
    .name = "pause",
    .usage = "DOMAIN...",
    .help = "stop a domain's vcpus; pauses are counted",
    .run = run_pause,
};

static int run_unpause(int argc, char **argv)
{
    return each_simple(XEN_DOMCTL_unpausedomain, argc, argv);
}

const struct command cmd_unpause = {
    .name = "unpause",
    .usage = "DOMAIN...",
    .help = "let a paused domain go on",
    .run = run_unpause,
};

static int run_rename(int argc, char **argv)
{
    struct domain *d;
    long rc;

    if (argc != 3) {
        return USAGE;
    }
    d = domain_named(argv[1]);
    if (!d) {
        return 1;
    }
    rc = domain_rename(d, argv[2]);
    return rc ? fail_errno(rc, "%s to %s", argv[1], argv[2]) : 0;
}

const struct command cmd_rename = {
    .name = "rename",
    .usage = "DOMAIN NEW-NAME",
    .help = "give a domain another name",
    .run = run_rename,
};

/* ---- shutdown, reboot ---- */

#define WAIT_MAX 64

struct waiting {
    domid_t domid[WAIT_MAX];
    bool down[WAIT_MAX]; /* found so by the look before */
    unsigned int n;
};

/* False: it is still there. One that has shut down counts at the second look only: before that it
 * may be on its way to being destroyed. */
static bool one_down(struct waiting *w, unsigned int i)
{
    struct xen_domctl_getdomaininfo info;

    if (domain_info(w->domid[i], &info)) {
        err("Domain %d has been destroyed\n", w->domid[i]);
        return true;
    }
    if (!(info.flags & XEN_DOMINF_shutdown)) {
        return false;
    }
    if (!w->down[i]) {
        w->down[i] = true;
        return false;
    }
    err("Domain %d has been shut down, reason code %d\n", w->domid[i], shutdown_reason(&info));
    return true;
}

/* Takes those off the list that are. */
static bool all_down(void *arg)
{
    struct waiting *w = arg;

    for (unsigned int i = 0; i < w->n;) {
        if (one_down(w, i)) {
            w->n--;
            w->domid[i] = w->domid[w->n];
            w->down[i] = w->down[w->n];
        } else {
            i++;
        }
    }
    loop_look_at(clock_now() + 50 * MS);
    return w->n == 0;
}

/* A domain that restarts is gone when its number is. */
static int ask(struct domain *d, const char *what, struct waiting *w)
{
    bool reboot = strcmp(what, "reboot") == 0;
    long rc;

    err(reboot ? "Rebooting domain %u\n" : "Shutting down domain %u\n", d->domid);
    rc = domain_ask(d, what);
    if (rc) {
        return fail_errno(rc, "%s", d->name);
    }
    if (w->n < WAIT_MAX) {
        w->domid[w->n++] = d->domid;
    }
    return 0;
}

static int ask_all(const char *what, struct waiting *w)
{
    int status = 0;

    for (struct domain *d = domains_first(), *next; d; d = next) {
        next = d->next;
        /* an emulator works until its client is down, and goes with it */
        if (d->domid != 0 && client_of(d->domid) == DOMID_INVALID) {
            status |= ask(d, what, w);
        }
    }
    return status;
}

static int ask_named(const char *what, int nr, char **names, struct waiting *w)
{
    int status = 0;

    if (!all_known(nr, names)) {
        return 1;
    }
    for (int i = 0; i < nr; i++) {
        struct domain *d = domain_lookup(names[i]);

        status |= d->domid == 0 ? fail("Domain-0: `exit` powers the machine off (EINVAL)")
                                : ask(d, what, w);
    }
    return status;
}

static int run_ask(const char *what, int argc, char **argv)
{
    struct waiting w = { .n = 0 };
    struct options o;
    uint64_t flags;
    int status;

    if (!options_flags(&o, argc, argv, "awF", "all=a wait=w", &flags) ||
        !(flags & FLAG('a')) == !o.nr_rest) {
        return USAGE;
    }
    status = flags & FLAG('a') ? ask_all(what, &w) : ask_named(what, o.nr_rest, o.rest, &w);
    if (flags & FLAG('w') && w.n) {
        err("Waiting for %d domains\n", w.n);
        loop_until(all_down, &w, FOREVER);
    }
    return status;
}

static int run_shutdown(int argc, char **argv)
{
    return run_ask("poweroff", argc, argv);
}

const struct command cmd_shutdown = {
    .name = "shutdown",
    .usage = "[-wF] -a|DOMAIN...",
    .help = "ask a domain to shut down (-a: all, -w: wait for it)",
    .run = run_shutdown,
};

static int run_reboot(int argc, char **argv)
{
    return run_ask("reboot", argc, argv);
}

const struct command cmd_reboot = {
    .name = "reboot",
    .usage = "[-wF] -a|DOMAIN...",
    .help = "ask a domain to restart",
    .run = run_reboot,
};
