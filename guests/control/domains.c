/* SPDX-License-Identifier: MIT */
/*
 * domains.c - the domains that we know: finds, renames, destroys them, and does what their files
 * want when they shut down. It owns the list; create.c adds to it. A domain that is being destroyed
 * stays in the list, marked, until the hypervisor has forgotten it. One thread, no locks.
 */
#include "emulator.h"
#include "tune.h"
#include "uuid.h"

#define GONE_POLLS 64
#define GONE_WAIT (5 * SEC)
#define GONE_LOOK MS

static struct domain *domains;
static bool exc_pending;

/* ---- the list ---- */

struct domain *domains_first(void)
{
    return domains;
}

struct domain *domain_by_id(domid_t domid)
{
    struct domain *d = domains;

    while (d && d->domid != domid) {
        d = d->next;
    }
    return d;
}

struct domain *domain_lookup(const char *text)
{
    uint64_t id = 0;
    const char *p = text;

    for (; *p >= '0' && *p <= '9' && id < DOMID_FIRST_RESERVED; p++) {
        id = id * 10 + (uint64_t)(*p - '0');
    }
    if (p != text && !*p) {
        return id < DOMID_FIRST_RESERVED ? domain_by_id((domid_t)id) : NULL;
    }
    for (struct domain *d = domains; d; d = d->next) {
        if (strcmp(d->name, text) == 0) {
            return d;
        }
    }
    return NULL;
}

struct domain *domain_named(const char *text)
{
    struct domain *d = domain_lookup(text);

    if (!d) {
        fail("%s: no such domain", text);
    }
    return d;
}

void domain_add(struct domain *d)
{
    struct domain **link = &domains;

    while (*link && (*link)->domid < d->domid) {
        link = &(*link)->next;
    }
    d->started = clock_now();
    d->next = *link;
    *link = d;
}

static void domain_forget(struct domain *d)
{
    struct domain **link = &domains;

    while (*link != d) {
        link = &(*link)->next;
    }
    *link = d->next;
    release(d->config);
    release(d);
}

/* ---- names ---- */

void domain_tell_name(domid_t domid, const char *name)
{
    struct tarn_domain_name op = { .domid = domid };

    str_copy(op.name, name, sizeof(op.name));
    hypercall2(__HYPERVISOR_tarn_op, TARN_OP_set_domain_name, ARG(&op));
}

/* The name of a domain that the hypervisor made. */
static void find_name(domid_t domid, char name[NAME_SIZE])
{
    struct tarn_domain_name op = { .domid = domid };

    if (domid == 0) {
        str_copy(name, "Domain-0", NAME_SIZE);
    } else if (hypercall2(__HYPERVISOR_tarn_op, TARN_OP_get_domain_name, ARG(&op)) == 0) {
        op.name[sizeof(op.name) - 1] = '\0';
        str_copy(name, op.name, NAME_SIZE);
    } else {
        fmt_snprintf(name, NAME_SIZE, "Domain-%u", domid);
    }
}

static long rename_one(struct domain *d, const char *name)
{
    long rc = d->store ? store_printf(name, "/local/domain/%u/name", d->domid) : 0;

    if (rc) {
        return rc;
    }
    domain_tell_name(d->domid, name);
    str_copy(d->name, name, sizeof(d->name));
    if (d->config) {
        str_copy(d->config->name, name, sizeof(d->config->name));
    }
    return 0;
}

/* An emulator's name is made of its client's, and follows it. */
long domain_rename(struct domain *d, const char *name)
{
    struct domain *other = domain_lookup(name), *stub;
    char stub_name[NAME_SIZE];
    long rc;

    if (domain_name_wrong(name)) {
        return -XEN_EINVAL;
    }
    if (other) {
        return other == d ? 0 : -XEN_EEXIST;
    }
    if (client_of(d->domid) != DOMID_INVALID) {
        return -XEN_EBUSY;
    }
    stub = emulator_renamed(d, name, stub_name, &rc);
    rc = rc ? rc : rename_one(d, name);
    if (rc == 0 && stub) {
        rename_one(stub, stub_name);
    }
    return rc;
}

/* ---- asking and destroying ---- */

long domain_ask(struct domain *d, const char *what)
{
    if (!d->store) {
        return -XEN_EOPNOTSUPP;
    }
    return store_printf(what, "/local/domain/%u/control/shutdown", d->domid);
}

static bool is_gone(void *arg)
{
    struct xen_domctl_getdomaininfo info;

    loop_look_at(clock_now() + GONE_LOOK);
    return domain_info(*(const domid_t *)arg, &info) == -XEN_ESRCH;
}

static bool wait_gone(domid_t domid)
{
    for (unsigned int i = 0; i < GONE_POLLS; i++) {
        if (is_gone(&domid)) {
            return true;
        }
        sched_op(SCHEDOP_yield, NULL);
    }
    return loop_until(is_gone, &domid, clock_now() + GONE_WAIT);
}

/* Everything of it that we hold. */
static void let_go(struct domain *d)
{
    char path[64], vm[64] = "";
    const char *stored;

    if (d->console) {
        console_close(d);
    }
    if (!d->store) {
        return;
    }
    fmt_snprintf(path, sizeof(path), "/local/domain/%u/vm", d->domid);
    stored = store_read(path);
    if (stored) {
        str_copy(vm, stored, sizeof(vm));
    }
    store_close(d);
    /* The guest may have written there. */
    if (strncmp(vm, "/vm/", 4) == 0) {
        store_remove(vm);
    }
}

long domain_destroy(struct domain *d)
{
    long rc;

    if (d->domid == 0) {
        return -XEN_EINVAL;
    }
    if (d->dying) {
        return -XEN_EBUSY;
    }
    d->dying = true;
    domctl_simple(XEN_DOMCTL_pausedomain, d->domid);
    /* Its emulator goes first, for that has memory of the domain mapped. */
    rc = emulator_end(d);
    if (rc && rc != -XEN_EBUSY) { /* busy: it is going already */
        fail_errno(rc, "%s: its emulator", d->name);
    }
    let_go(d);
    rc = domctl_simple(XEN_DOMCTL_destroydomain, d->domid);
    if (rc && rc != -XEN_ESRCH) {
        d->dying = false;
        return rc;
    }
    if (!wait_gone(d->domid)) {
        d->left = true; /* domains_service forgets it when it is gone */
        return -XEN_EBUSY;
    }
    domain_forget(d);
    return 0;
}

/* ---- domains that shut down ---- */

static const char *const reasons[] = {
    [SHUTDOWN_poweroff] = "powered off",
    [SHUTDOWN_reboot] = "asked for a reboot",
    [SHUTDOWN_suspend] = "suspended",
    [SHUTDOWN_crash] = "crashed",
    [SHUTDOWN_watchdog] = "ran into its watchdog",
    [SHUTDOWN_soft_reset] = "asked for a soft reset",
};

static enum action action_for(const struct domain *d, unsigned int reason)
{
    if (!d->config) {
        return ACTION_DESTROY;
    }
    switch (reason) {
    case SHUTDOWN_reboot:
    case SHUTDOWN_soft_reset:
        return d->config->on_reboot;
    case SHUTDOWN_crash:
        return d->config->on_crash;
    case SHUTDOWN_watchdog:
        return d->config->on_watchdog;
    case SHUTDOWN_suspend:
        return ACTION_PRESERVE;
    default:
        return d->config->on_poweroff;
    }
}

/* Creates it again from its file. Says in text[] what came of it. */
static void start_again(const struct config *c, char *text, size_t size)
{
    struct domain *fresh;
    domid_t domid;
    long rc = domain_create(c, false, &domid);

    if (rc) {
        fmt_snprintf(text, size, "not started again: %s (%s)", error_text(rc), error_name(rc));
        return;
    }
    fresh = domain_by_id(domid);
    if (fresh) {
        fresh->restarted = true;
    }
    fmt_snprintf(text, size, "started again as domain %u", domid);
}

/* It was started again, and that did not last. */
static bool restarts_too_fast(const struct domain *d)
{
    return d->restarted && clock_now() - d->started < SEC;
}

static bool act_destroy(struct domain *d, char *text, size_t size)
{
    long rc = domain_destroy(d);

    if (rc) {
        fmt_snprintf(text, size, "can't be destroyed: %s (%s)", error_text(rc), error_name(rc));
    } else {
        str_copy(text, "destroyed", size);
    }
    return rc == 0;
}

static void act_restart(struct domain *d, char *text, size_t size)
{
    struct config *c = d->config;

    if (restarts_too_fast(d)) {
        if (act_destroy(d, text, size)) {
            str_copy(text, "destroyed, for it was started again less than a second before", size);
        }
        return;
    }
    d->config = NULL;
    if (act_destroy(d, text, size)) {
        start_again(c, text, size);
    }
    release(c);
}

/* A name like that of `name` which nobody has. */
static void other_name(const char *name, char *other, size_t size)
{
    for (unsigned int i = 1; i == 1 || domain_lookup(other); i++) {
        fmt_snprintf(other, size, "%.*s-%u", (int)size - 8, name, i);
    }
}

/* The old one keeps its memory, under another name. */
static void act_rename_restart(struct domain *d, char *text, size_t size)
{
    char name[NAME_SIZE];
    struct config *c = d->config;
    long rc;
    int n;

    d->settled = true;
    if (restarts_too_fast(d)) {
        str_copy(text, "preserved, for it was started again less than a second before", size);
        return;
    }
    other_name(d->name, name, sizeof(name));
    d->config = NULL;
    rc = domain_rename(d, name);
    if (rc) {
        d->config = c;
        fmt_snprintf(text, size, "preserved: can't be renamed to %s: %s (%s)", name, error_text(rc),
                     error_name(rc));
        return;
    }
    n = fmt_snprintf(text, size, "renamed to %s, ", name);
    uuid_renew(d);   /* the new one has what it had until now */
    emulator_end(d); /* the new one has its own; others may be served meanwhile, and end d */
    start_again(c, text + n, size - (size_t)n);
    release(c);
}

static void act(struct domain *d, unsigned int reason, char *text, size_t size)
{
    switch (action_for(d, reason)) {
    case ACTION_RESTART:
        act_restart(d, text, size);
        break;
    case ACTION_RENAME_RESTART:
        act_rename_restart(d, text, size);
        break;
    case ACTION_PRESERVE:
        d->settled = true;
        str_copy(text, "preserved", size);
        break;
    default:
        act_destroy(d, text, size);
    }
}

static void react(struct domain *d, unsigned int reason)
{
    const char *why = reason < ARRAY_SIZE(reasons) ? reasons[reason] : "shut down";
    const struct domain *client = domain_by_id(client_of(d->domid));
    char name[NAME_SIZE], text[128], without[NAME_SIZE + 32] = "";
    domid_t domid = d->domid;

    str_copy(name, d->name, sizeof(name));
    if (client) {
        fmt_snprintf(without, sizeof(without), "; %s goes on without it", client->name);
    }
    act(d, reason, text, sizeof(text));
    out("domain %u (%s) %s: %s%s\n", domid, name, why, text, without);
}

/* Looks at one domain; whether the list may have changed. */
static bool serve(struct domain *d)
{
    struct xen_domctl_getdomaininfo info;
    long rc = d->domid ? domain_info(d->domid, &info) : 0;

    if (d->left) {
        if (rc == -XEN_ESRCH) {
            domain_forget(d);
            return true;
        }
        loop_look_at(clock_now() + GONE_LOOK);
        return false;
    }
    if (!d->domid || rc || d->dying || d->settled || !(info.flags & XEN_DOMINF_shutdown)) {
        return false;
    }
    react(d, shutdown_reason(&info));
    return true;
}

void domains_service(void)
{
    while (exc_pending) {
        exc_pending = false;
        for (struct domain *d = domains; d; d = d->next) {
            if (serve(d)) {
                exc_pending = true; /* and again from the first */
                break;
            }
        }
    }
}

/* ---- start of day ---- */

static void on_dom_exc(evtchn_port_t port)
{
    (void)port;
    exc_pending = true;
    loop_wake();
}

/* One that was there before us. */
static void find_domain(domid_t domid)
{
    struct domain *d = allocate(sizeof(*d));

    if (d) {
        d->domid = domid;
        find_name(domid, d->name);
        domain_add(d);
    }
}

void domains_init(void)
{
    struct xen_domctl_getdomaininfo *infos;
    long port, n = domain_infos(&infos);

    for (long i = 0; i < n; i++) {
        find_domain(infos[i].domain);
    }
    if (n < 0) {
        find_domain(0);
    } else {
        release(infos);
    }
    port = event_bind_virq(VIRQ_DOM_EXC, 0);
    if (port < 0) {
        fail_errno(port, "news of domains that end");
        return;
    }
    event_handle((evtchn_port_t)port, 0, on_dom_exc);
    exc_pending = true; /* who ended before */
}
