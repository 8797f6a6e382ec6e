/* SPDX-License-Identifier: MIT */
/*
 * create.c - makes a domain from its file: looks whether it can be, has the hypervisor make it,
 * sets what it may use, builds it, connects its console and store, makes its emulator. Each step
 * has a name, which the message shows when it fails; then all of it is taken back. It owns nothing
 * that outlives a call.
 */
#include "domains.h"
#include "emulator.h"
#include "placing.h"
#include "tune.h"
#include "uuid.h"

/* The hypervisor's own part of a domain, so that we say that it is too much, and not it half-way.
 */
#define OVERHEAD_PAGES 64u
#define OVERHEAD_PAGES_VCPU 16u

struct create {
    const struct config *c; /* the domain's own copy */
    struct domain *d;
    struct config *stub; /* of its emulator */
    const struct file *kernel, *ramdisk;
    struct placement place;
    char vm[VM_PATH_SIZE]; /* "/vm/UUID" */
    evtchn_port_t console_port, store_port;
    struct build_result built;
    char why[WHY_SIZE]; /* what the builder says */
};

/* ---- looking ---- */

static long find_files(struct create *n)
{
    n->kernel = file_find(n->c->kernel);
    if (!n->kernel) {
        fmt_snprintf(n->why, WHY_SIZE, "kernel %s: no such file", n->c->kernel);
        return -XEN_ENOENT;
    }
    if (!n->c->ramdisk[0]) {
        return 0;
    }
    n->ramdisk = file_find(n->c->ramdisk);
    if (!n->ramdisk) {
        fmt_snprintf(n->why, WHY_SIZE, "ramdisk %s: no such file", n->c->ramdisk);
        return -XEN_ENOENT;
    }
    return 0;
}

static long check_kernel(struct create *n)
{
    struct build_args args = { .config = n->c, .kernel = n->kernel, .ramdisk = n->ramdisk };

    return domain_build_check(&args, n->why, WHY_SIZE);
}

static long check_name(struct create *n)
{
    const char *wrong = domain_name_wrong(n->c->name);
    const struct domain *other = domain_lookup(n->c->name);

    if (wrong) {
        fmt_snprintf(n->why, WHY_SIZE, "the name %s", wrong);
        return -XEN_EINVAL;
    }
    if (other) {
        fmt_snprintf(n->why, WHY_SIZE, "domain %u has that name", other->domid);
        return -XEN_EEXIST;
    }
    return 0;
}

static long check_uuid(struct create *n)
{
    domid_t owner = n->c->uuid_given ? uuid_owner(n->c->uuid) : DOMID_INVALID;

    if (owner != DOMID_INVALID) {
        fmt_snprintf(n->why, WHY_SIZE, "domain %u has that uuid", owner);
        return -XEN_EEXIST;
    }
    return 0;
}

static long find_place(struct create *n)
{
    return place_look(n->d->config, &n->place, n->why);
}

static long check_memory(struct create *n)
{
    struct xen_sysctl_physinfo info;
    uint64_t wanted, overhead = OVERHEAD_PAGES + OVERHEAD_PAGES_VCPU * n->c->maxvcpus;
    long rc = physinfo_get(&info);

    if (rc) {
        return rc;
    }
    wanted = n->c->memory_kb / 4 + overhead;
    if (wanted > info.free_pages) {
        fmt_snprintf(n->why, WHY_SIZE,
                     "not enough free memory: it needs %lu KiB and %lu KiB for the hypervisor's "
                     "part, %lu KiB are free",
                     n->c->memory_kb, overhead * 4, info.free_pages * 4);
        return -XEN_ENOMEM;
    }
    return 0;
}

/* ---- making ---- */

/* It is kept with the file: a restart has it again. */
static void settle_uuid(struct create *n)
{
    struct config *c = n->d->config;

    if (!c->uuid_given) {
        uuid_make(c->uuid);
        c->uuid_given = true;
    }
    uuid_path(c->uuid, n->vm);
}

/* The newest version of grant tables that the hypervisor says it has. */
static uint32_t grant_version(void)
{
    struct xen_sysctl_physinfo info;

    return physinfo_get(&info) == 0 && info.capabilities & XEN_SYSCTL_PHYSCAP_gnttab_v2 ? 2 : 1;
}

static long make_domain(struct create *n)
{
    struct xen_domctl op = { .cmd = XEN_DOMCTL_createdomain, .domain = DOMID_INVALID };
    struct xen_domctl_createdomain *create = &op.u.createdomain;
    long rc;

    settle_uuid(n);
    memcpy(create->handle, n->c->uuid, sizeof(create->handle));
    create->max_vcpus = n->c->maxvcpus;
    create->max_evtchn_port = n->c->event_channels;
    create->max_grant_frames = n->c->grant_frames;
    create->max_maptrack_frames = n->c->maptrack_frames;
    create->grant_opts = XEN_DOMCTL_GRANT_version(grant_version());
    create->cpupool_id = n->place.pool.id;
    rc = domctl(&op);
    if (rc == 0) {
        n->d->domid = op.domain;
        domain_add(n->d);
        domain_tell_name(op.domain, n->c->name);
    }
    return rc;
}

static long set_vcpus(struct create *n)
{
    struct xen_domctl op = { .cmd = XEN_DOMCTL_max_vcpus, .domain = n->d->domid };

    op.u.max_vcpus.max = n->c->maxvcpus;
    return domctl(&op);
}

static long set_max_memory(struct create *n)
{
    return domain_limit(n->d->domid, n->c->maxmem_kb);
}

static long set_affinities(struct create *n)
{
    return place_affinities(n->d, n->c, &n->place, n->why);
}

static long set_share(struct create *n)
{
    return place_params(n->d, n->c, &n->place, n->why);
}

static long set_bandwidth(struct create *n)
{
    const struct bandwidth *all = &n->c->global_bandwidth, *each = &n->c->vcpu_bandwidth;
    bool limited = each->period || each->quota;
    long rc = 0;

    if (all->period || all->quota) {
        rc = bandwidth_put(n->d->domid, TARN_BANDWIDTH_DOMAIN, all);
    }
    for (unsigned int v = 0; limited && v < n->c->maxvcpus && rc == 0; v++) {
        rc = bandwidth_put(n->d->domid, v, each);
    }
    return rc;
}

static long join_group(struct create *n)
{
    const struct domain *master = n->c->group[0] ? domain_lookup(n->c->group) : NULL;
    long rc;

    if (!master) {
        return n->c->group[0] ? -XEN_ESRCH : 0;
    }
    rc = group_add(n->d->domid, master->domid, n->c->group_weight,
                   (unsigned int)MAX(n->c->group_cap, 0));
    if (rc) {
        str_copy(n->why, group_add_why(n->d, master, rc), WHY_SIZE);
    }
    return rc;
}

static long make_port(struct create *n, evtchn_port_t *port)
{
    struct evtchn_alloc_unbound op = { .dom = n->d->domid, .remote_dom = 0 };
    long rc = event_op(EVTCHNOP_alloc_unbound, &op);

    *port = op.port;
    return rc;
}

static long make_ports(struct create *n)
{
    long rc = make_port(n, &n->store_port);

    return rc ? rc : make_port(n, &n->console_port);
}

static long build(struct create *n)
{
    struct build_args args = {
        .domid = n->d->domid,
        .config = n->c,
        .kernel = n->kernel,
        .ramdisk = n->ramdisk,
        .console_port = n->console_port,
        .store_port = n->store_port,
    };

    return domain_build(&args, &n->built, n->why, WHY_SIZE);
}

/* ---- connecting ---- */

static long open_console(struct create *n)
{
    return console_open(n->d, n->built.console_mfn, n->console_port);
}

static long open_store(struct create *n)
{
    return store_open(n->d, n->built.store_mfn, n->store_port);
}

/* A number, at /local/domain/N/path. */
static long write_number(struct create *n, const char *path, uint64_t value)
{
    char text[24];

    fmt_snprintf(text, sizeof(text), "%lu", value);
    return store_printf(text, "/local/domain/%u/%s", n->d->domid, path);
}

static long write_text(struct create *n, const char *path, const char *value)
{
    return store_printf(value, "/local/domain/%u/%s", n->d->domid, path);
}

static long write_cpus(struct create *n)
{
    long rc = 0;

    for (unsigned int v = 0; v < n->c->maxvcpus && rc == 0; v++) {
        rc = store_printf(v < n->c->vcpus ? "online" : "offline",
                          "/local/domain/%u/cpu/%u/availability", n->d->domid, v);
    }
    return rc;
}

/* What a guest expects to find, as Xen's tools leave it. The path to /vm comes first, for that is
 * how domain_destroy finds it. */
static long write_store(struct create *n)
{
    const struct {
        const char *path, *value;
    } texts[] = {
        { "vm", n->vm },
        { "name", n->c->name },
        { "console/type", "xenconsoled" },
        { "control/shutdown", "" },
        { "device", "" },
        { "data", "" },
    };
    const struct {
        const char *path;
        uint64_t value;
    } numbers[] = {
        { "domid", n->d->domid },
        { "memory/target", n->c->memory_kb },
        { "memory/static-max", n->c->maxmem_kb },
        { "console/ring-ref", n->built.console_mfn },
        { "console/port", n->console_port },
        { "store/ring-ref", n->built.store_mfn },
        { "store/port", n->store_port },
    };
    long rc = 0;

    for (size_t i = 0; i < ARRAY_SIZE(texts) && rc == 0; i++) {
        rc = write_text(n, texts[i].path, texts[i].value);
    }
    for (size_t i = 0; i < ARRAY_SIZE(numbers) && rc == 0; i++) {
        rc = write_number(n, numbers[i].path, numbers[i].value);
    }
    rc = rc ? rc : write_cpus(n);
    rc = rc ? rc : store_printf(n->c->name, "%s/name", n->vm);
    return rc ? rc : store_printf(n->vm + 4, "%s/uuid", n->vm);
}

/* ---- all of it ---- */

static const struct {
    const char *what;
    long (*run)(struct create *n);
} looks[] = {
    { "its name", check_name },
    { "its uuid", check_uuid },
    { "its files", find_files },
    { "its kernel", check_kernel },
    { "its pool", find_place },
    { "its memory", check_memory },
}, steps[] = {
    { "creating it", make_domain },
    { "giving it vcpus", set_vcpus },
    { "setting its limit of memory", set_max_memory },
    { "setting where its vcpus run", set_affinities },
    { "setting its scheduler's parameters", set_share },
    { "setting its bandwidth", set_bandwidth },
    { "joining its group", join_group },
    { "making its event channels", make_ports },
    { "building it", build },
    { "opening its console", open_console },
    { "opening its store", open_store },
    { "writing its part of the store", write_store },
};

/* The message of a step that failed. */
static void complain(struct create *n, long rc, const char *what)
{
    if (n->why[0]) {
        fail("%s: %s", n->c->name, n->why);
    } else {
        fail_errno(rc, "%s: %s", n->c->name, what);
    }
}

static long look(struct create *n)
{
    long rc = 0;

    for (size_t i = 0; i < ARRAY_SIZE(looks) && rc == 0; i++) {
        rc = looks[i].run(n);
        if (rc) {
            complain(n, rc, looks[i].what);
        }
    }
    return rc;
}

static long run_steps(struct create *n)
{
    long rc = 0;

    for (size_t i = 0; i < ARRAY_SIZE(steps) && rc == 0; i++) {
        rc = steps[i].run(n);
        if (rc) {
            complain(n, rc, steps[i].what);
        }
    }
    return rc;
}

/* All that goes by its name, and says itself what went wrong. */
static long look_at_emulator(struct create *n)
{
    long rc = 0;

    if (has_emulator(n->c)) {
        n->stub = emulator_config(n->c, &n->place.pool, &rc);
    }
    return rc;
}

static long start(struct create *n)
{
    long rc = domctl_simple(XEN_DOMCTL_unpausedomain, n->d->domid);

    if (rc) {
        complain(n, rc, "starting it");
    }
    return rc;
}

/* Takes back what a failed run of the steps made. */
static void take_back(struct create *n, bool added)
{
    long rc;

    if (!added) {
        release(n->d->config);
        release(n->d);
        return;
    }
    rc = domain_destroy(n->d);
    if (rc) {
        fail_errno(rc, "%s: taking domain %u back", n->c->name, n->d->domid);
    }
}

/* The record of it, which works on a copy of what was asked for. */
static bool make_record(struct create *n, const struct config *c)
{
    struct domain *d = allocate(sizeof(*d));

    if (d) {
        d->config = allocate(sizeof(*c));
        d->domid = DOMID_INVALID;
    }
    if (!d || !d->config) {
        release(d);
        fail_errno(-XEN_ENOMEM, "%s: the control domain's record of it", c->name);
        return false;
    }
    memcpy(d->config, c, sizeof(*c));
    str_copy(d->name, c->name, sizeof(d->name));
    n->d = d;
    n->c = d->config;
    return true;
}

/* The emulator runs before its client does. */
static long create(struct create *n, const struct config *c, bool paused)
{
    bool gone = false;
    long rc;

    if (!make_record(n, c)) {
        return -XEN_ENOMEM;
    }
    rc = look(n);
    rc = rc ? rc : look_at_emulator(n);
    rc = rc ? rc : run_steps(n);
    if (rc == 0 && n->stub) {
        domid_t domid = n->d->domid;

        rc = emulator_create(n->d, n->stub);
        gone = domain_by_id(domid) != n->d; /* somebody was served meanwhile, who ended it */
    }
    rc = rc || paused ? rc : start(n);
    if (rc && !gone) {
        take_back(n, n->d->domid != DOMID_INVALID);
    }
    release(n->stub);
    return rc;
}

long domain_create(const struct config *c, bool paused, domid_t *domid)
{
    struct create *n = allocate(sizeof(*n));
    long rc;

    if (!n) {
        fail_errno(-XEN_ENOMEM, "%s: the control domain's work on it", c->name);
        return -XEN_ENOMEM;
    }
    rc = create(n, c, paused);
    if (rc == 0) {
        n->d->started = clock_now();
        *domid = n->d->domid;
    }
    release(n);
    return rc;
}
