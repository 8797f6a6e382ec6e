/* SPDX-License-Identifier: MIT */
/*
 * virsh_list.c - domains that run and that are defined: list, dominfo, domstate, domid, domname;
 * and what becomes of those that run: destroy, shutdown, reboot, suspend, resume.
 */
#include "virsh.h"

/* ---- states ---- */

const char *virsh_state(const struct virsh_domain *d)
{
    if (!d->live) {
        return "shut off";
    }
    if (d->info.flags & XEN_DOMINF_dying) {
        return "in shutdown";
    }
    if (d->info.flags & XEN_DOMINF_shutdown) {
        return shutdown_reason(&d->info) == SHUTDOWN_crash ? "crashed" : "in shutdown";
    }
    return d->info.flags & XEN_DOMINF_paused ? "paused" : "running";
}

static int run_domstate(void)
{
    struct virsh_domain d;

    if (!virsh_domain(&d)) {
        return 1;
    }
    out("%s%s\n", virsh_state(&d), virsh_flag("reason") ? " (unknown)" : "");
    return 0;
}

const struct virsh_word virsh_domstate = {
    .name = "domstate",
    .help = "domain state",
    .options = { { "domain", VIRSH_TEXT }, { "reason", VIRSH_FLAG } },
    .run = run_domstate,
};

/* ---- list ---- */

/* By no option those that run. */
static bool is_listed(const struct virsh_domain *d)
{
    const char *state = virsh_state(d);
    bool any_state = virsh_flag("state-running") || virsh_flag("state-paused") ||
                     virsh_flag("state-shutoff") || virsh_flag("state-other");
    bool running = strcmp(state, "running") == 0, paused = strcmp(state, "paused") == 0;

    if ((virsh_flag("persistent") && !d->def) || (virsh_flag("transient") && d->def)) {
        return false;
    }
    if (any_state) {
        return running  ? virsh_flag("state-running")
               : paused ? virsh_flag("state-paused")
                        : virsh_flag(d->live ? "state-other" : "state-shutoff");
    }
    return virsh_flag("all") || (d->live ? !virsh_flag("inactive") : virsh_flag("inactive"));
}

static void list_row(struct virsh_table *t, const struct virsh_domain *d)
{
    if (!is_listed(d)) {
        return;
    }
    if (t) {
        virsh_table_cell(t, d->live ? "%u" : "-", d->live ? d->live->domid : 0);
        virsh_table_cell(t, "%s", d->name);
        virsh_table_cell(t, "%s", virsh_state(d));
        return;
    }
    if (virsh_flag("id")) {
        out(d->live ? "%u" : "-", d->live ? d->live->domid : 0);
        out(virsh_flag("name") ? " " : "\n");
    }
    if (virsh_flag("name")) {
        out("%s\n", d->name);
    }
}

static int run_list(void)
{
    static const char *const heads[] = { "Id", "Name", "State" };
    bool bare = virsh_flag("name") || virsh_flag("id");
    struct virsh_table *t = bare ? NULL : virsh_table_new(ARRAY_SIZE(heads), heads);
    struct virsh_domain d;

    for (struct domain *live = domains_first(); live; live = live->next) {
        char id[16];

        fmt_snprintf(id, sizeof(id), "%u", live->domid);
        if (!live->dying && virsh_domain_named(id, &d)) {
            list_row(t, &d);
        }
    }
    for (const struct definition *def = definition_first(); def; def = def->next) {
        if (!domain_lookup(def->name)) {
            d = (struct virsh_domain){ .name = def->name, .def = def };
            list_row(t, &d);
        }
    }
    return bare ? 0 : virsh_table_print(t);
}

const struct virsh_word virsh_list = {
    .name = "list",
    .help = "list domains",
    .options = { { "inactive", VIRSH_FLAG },
                 { "all", VIRSH_FLAG },
                 { "transient", VIRSH_FLAG },
                 { "persistent", VIRSH_FLAG },
                 { "state-running", VIRSH_FLAG },
                 { "state-paused", VIRSH_FLAG },
                 { "state-shutoff", VIRSH_FLAG },
                 { "state-other", VIRSH_FLAG },
                 { "name", VIRSH_FLAG },
                 { "id", VIRSH_FLAG } },
    .run = run_list,
};

/* ---- dominfo ---- */

static void dominfo_print(const struct virsh_domain *d, const struct config *c)
{
    char uuid[UUID_SIZE], seconds[SECONDS_SIZE];
    uint64_t max_kb = c->maxmem_kb, used_kb = c->memory_kb;

    if (d->live) {
        out("%-15s %u\n", "Id:", d->live->domid);
        max_kb = d->info.max_pages * 4;
        used_kb = d->info.tot_pages * 4;
    } else {
        out("%-15s -\n", "Id:");
    }
    out("%-15s %s\n", "Name:", d->name);
    if (d->live || c->uuid_given) {
        uuid_format(d->live ? d->info.handle : c->uuid, uuid);
        out("%-15s %s\n", "UUID:", uuid);
    }
    out("%-15s xen\n%-15s %s\n", "OS Type:", "State:", virsh_state(d));
    out("%-15s %u\n", "CPU(s):", d->live ? d->info.nr_online_vcpus : c->vcpus);
    if (d->live) {
        out("%-15s %ss\n", "CPU time:", seconds_format(seconds, sizeof(seconds), d->info.cpu_time));
    }
    out("%-15s %lu KiB\n%-15s %lu KiB\n", "Max memory:", max_kb, "Used memory:", used_kb);
    out("%-15s %s\n%-15s disable\n", "Persistent:", d->def ? "yes" : "no", "Autostart:");
}

static int run_dominfo(void)
{
    struct config *defined = NULL;
    struct virsh_domain d;
    bool good;

    if (!virsh_domain(&d)) {
        return 1;
    }
    defined = d.live ? NULL : definition_config(d.def);
    good = d.live || defined;
    if (good) {
        dominfo_print(&d, d.live ? virsh_live_config(&d) : defined);
    }
    release(defined);
    return !good;
}

const struct virsh_word virsh_dominfo = {
    .name = "dominfo",
    .help = "domain information",
    .options = { { "domain", VIRSH_TEXT } },
    .run = run_dominfo,
};

/* ---- names and numbers ---- */

static int run_domid(void)
{
    struct virsh_domain d;

    if (!virsh_domain(&d)) {
        return 1;
    }
    out(d.live ? "%u\n" : "-\n", d.live ? d.live->domid : 0);
    return 0;
}

const struct virsh_word virsh_domid = {
    .name = "domid",
    .help = "convert a domain name or UUID to domain id",
    .options = { { "domain", VIRSH_TEXT } },
    .run = run_domid,
};

static int run_domname(void)
{
    struct virsh_domain d;

    if (!virsh_domain(&d)) {
        return 1;
    }
    out("%s\n", d.name);
    return 0;
}

const struct virsh_word virsh_domname = {
    .name = "domname",
    .help = "convert a domain id or UUID to domain name",
    .options = { { "domain", VIRSH_TEXT } },
    .run = run_domname,
};

/* ---- orders ---- */

/* "Failed to suspend domain 'a'", and why. */
static int failed(const char *what, const char *name, const char *why)
{
    virsh_error("Failed to %s domain '%s'", what, name);
    return virsh_error("%s", why);
}

static int failed_errno(const char *what, const char *name, long rc)
{
    virsh_error("Failed to %s domain '%s'", what, name);
    return virsh_error("operation failed: %s (%s)", error_text(rc), error_name(rc));
}

/* The domain, which must run and not be domain 0. */
static bool running_domain(const char *what, struct virsh_domain *d)
{
    if (!virsh_domain(d)) {
        return false;
    }
    if (!d->live) {
        return !failed(what, d->name, NOT_VALID "domain is not running");
    }
    if (d->live->domid == 0) {
        return !failed(what, d->name, NOT_VALID "it is the control domain");
    }
    return true;
}

static int run_destroy(void)
{
    char name[NAME_SIZE];
    struct virsh_domain d;
    long rc;

    if (!running_domain("destroy", &d)) {
        return 1;
    }
    str_copy(name, d.name, sizeof(name));
    rc = domain_destroy(d.live);
    if (rc) {
        return failed_errno("destroy", name, rc);
    }
    out("Domain '%s' destroyed\n", name);
    return 0;
}

const struct virsh_word virsh_destroy = {
    .name = "destroy",
    .help = "destroy (stop) a domain",
    .options = { { "domain", VIRSH_TEXT }, { "graceful", VIRSH_FLAG } },
    .run = run_destroy,
};

static int ask(const char *what, const char *verb, const char *done)
{
    struct virsh_domain d;
    long rc;

    if (!running_domain(verb, &d)) {
        return 1;
    }
    rc = domain_ask(d.live, what);
    if (rc) {
        return failed_errno(verb, d.name, rc);
    }
    out("Domain '%s' is being %s\n", d.name, done);
    return 0;
}

static int run_shutdown(void)
{
    return ask("poweroff", "shutdown", "shutdown");
}

const struct virsh_word virsh_shutdown = {
    .name = "shutdown",
    .help = "gracefully shutdown a domain",
    .options = { { "domain", VIRSH_TEXT } },
    .run = run_shutdown,
};

static int run_reboot(void)
{
    return ask("reboot", "reboot", "rebooted");
}

const struct virsh_word virsh_reboot = {
    .name = "reboot",
    .help = "reboot a domain",
    .options = { { "domain", VIRSH_TEXT } },
    .run = run_reboot,
};

/* To suspend one that is paused changes nothing, and pauses by others end with one resume. */
static int run_suspend(void)
{
    struct virsh_domain d;
    long rc = 0;

    if (!running_domain("suspend", &d)) {
        return 1;
    }
    if (!(d.info.flags & XEN_DOMINF_paused)) {
        rc = domctl_simple(XEN_DOMCTL_pausedomain, d.live->domid);
    }
    if (rc) {
        return failed_errno("suspend", d.name, rc);
    }
    out("Domain '%s' suspended\n", d.name);
    return 0;
}

const struct virsh_word virsh_suspend = {
    .name = "suspend",
    .help = "suspend a domain",
    .options = { { "domain", VIRSH_TEXT } },
    .run = run_suspend,
};

static int run_resume(void)
{
    struct virsh_domain d;
    long rc = 0;

    if (!running_domain("resume", &d)) {
        return 1;
    }
    if (!(d.info.flags & XEN_DOMINF_paused)) {
        return failed("resume", d.name, NOT_VALID "domain is already running");
    }
    while (rc == 0 && d.info.flags & XEN_DOMINF_paused) {
        rc = domctl_simple(XEN_DOMCTL_unpausedomain, d.live->domid);
        rc = rc ? rc : domain_info(d.live->domid, &d.info);
    }
    if (rc) {
        return failed_errno("resume", d.name, rc);
    }
    out("Domain '%s' resumed\n", d.name);
    return 0;
}

const struct virsh_word virsh_resume = {
    .name = "resume",
    .help = "resume a domain",
    .options = { { "domain", VIRSH_TEXT } },
    .run = run_resume,
};
