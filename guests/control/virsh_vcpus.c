/* SPDX-License-Identifier: MIT */
/*
 * virsh_vcpus.c - how many vcpus a domain has: setvcpus, setvcpu, vcpucount, vcpuinfo. A vcpu comes
 * and goes by the guest's own doing, which is asked for through the store, as vcpu-set does.
 */
#include "virsh.h"

#define UNPLUG_WAIT (5 * SEC)
#define UNPLUG_LOOK (10 * MS)

/* ---- the running domain ---- */

static bool vcpu_info(domid_t domid, uint32_t vcpu, struct xen_domctl_getvcpuinfo *info)
{
    struct xen_domctl op = { .cmd = XEN_DOMCTL_getvcpuinfo, .domain = domid };

    op.u.getvcpuinfo.vcpu = vcpu;
    if (domctl(&op)) {
        return false;
    }
    *info = op.u.getvcpuinfo;
    return true;
}

/* Whether the guest was told to have it up. */
static bool vcpu_wanted(domid_t domid, uint32_t vcpu)
{
    struct xen_domctl_getvcpuinfo info;
    char path[64];
    const char *value;

    fmt_snprintf(path, sizeof(path), "/local/domain/%u/cpu/%u/availability", domid, vcpu);
    value = store_read(path);
    return value ? strcmp(value, "online") == 0 : vcpu_info(domid, vcpu, &info) && info.online;
}

static uint32_t vcpus_wanted(const struct virsh_domain *d)
{
    uint32_t n = 0;

    for (uint32_t v = 0; v < vcpus_of(&d->info); v++) {
        n += vcpu_wanted(d->live->domid, v);
    }
    return n;
}

void virsh_plug(domid_t domid, uint32_t vcpu, bool in)
{
    struct virsh_domain d = { .live = domain_by_id(domid) };
    struct config *c = d.live ? d.live->config : NULL;
    struct placement_who who = { PLACEMENT_VCPU, vcpu };
    bool pinned;

    if (!c || vcpu >= c->maxvcpus || vcpu_wanted(domid, vcpu) == in) {
        return;
    }
    pinned = c->placement.vcpu[vcpu].given;
    placement_plug(&c->placement, vcpu, in);
    if (pinned && !in) {
        virsh_place_apply(&d, c, who);
    }
}

static int vcpu_tell(domid_t domid, uint32_t vcpu, bool in)
{
    long rc;

    virsh_plug(domid, vcpu, in);
    rc = store_printf(in ? "online" : "offline", "/local/domain/%u/cpu/%u/availability", domid,
                      vcpu);
    return rc ? virsh_error("operation failed: vcpu %u: %s (%s)", vcpu, error_text(rc),
                            error_name(rc))
              : 0;
}

struct unplugging {
    domid_t domid;
    struct cpumask vcpus; /* that are to go */
};

/* Or the domain is gone, or paused: then nobody does anything. */
static bool unplugged(void *arg)
{
    const struct unplugging *u = arg;
    struct xen_domctl_getvcpuinfo vcpu;
    struct xen_domctl_getdomaininfo info;

    loop_look_at(clock_now() + UNPLUG_LOOK);
    if (domain_info(u->domid, &info) || info.flags & (XEN_DOMINF_paused | XEN_DOMINF_shutdown)) {
        return true;
    }
    cpumask_for_each(v, &u->vcpus) {
        if (vcpu_info(u->domid, v, &vcpu) && vcpu.online) {
            return false;
        }
    }
    return true;
}

/* Those in `vcpus` are told, all to come or all to go. */
static int plug_all(domid_t domid, const struct cpumask *vcpus, bool in)
{
    struct unplugging u = { domid, *vcpus };

    cpumask_for_each(v, vcpus) {
        if (vcpu_tell(domid, v, in)) {
            return 1;
        }
    }
    if (!in && !cpumask_empty(vcpus) && !loop_until(unplugged, &u, clock_now() + UNPLUG_WAIT)) {
        return virsh_error("operation failed: vcpu unplug request timed out. Unplug result must be "
                           "manually inspected in the domain");
    }
    return 0;
}

/* ---- setvcpus ---- */

static int setvcpus_live(const struct virsh_domain *d, uint32_t count)
{
    struct cpumask come = { { 0 } }, go = { { 0 } };
    domid_t domid = d->live->domid;

    for (uint32_t v = 0; v < vcpus_of(&d->info); v++) {
        if (vcpu_wanted(domid, v) != (v < count)) {
            cpumask_set(v < count ? &come : &go, v);
        }
    }
    return plug_all(domid, &come, true) || plug_all(domid, &go, false);
}

/* The definition's numbers, with the pins of vcpus that it has no more. */
static int count_config(const struct virsh_domain *d, struct config *c, uint32_t vcpus,
                        uint32_t maximum)
{
    char count[16], most[16], *pins = allocate(PINS_SIZE);
    struct definition_change changes[3] = { { "vcpus", count },
                                            { "maxvcpus", most },
                                            { "vcpupin", NULL } };
    int status;

    if (!pins) {
        return virsh_error("out of memory");
    }
    for (uint32_t v = vcpus; v < c->maxvcpus; v++) {
        c->placement.vcpu[v].given &= v >= c->vcpus && v < maximum;
    }
    changes[2].value = virsh_pins_text(&c->placement, PLACEMENT_VCPU, pins);
    fmt_snprintf(count, sizeof(count), "%u", vcpus);
    fmt_snprintf(most, sizeof(most), "%u", maximum);
    status = definition_change(d->def, changes, ARRAY_SIZE(changes)) ? 0 : 1;
    release(pins);
    return status;
}

static int setvcpus_config(const struct virsh_domain *d, struct config *c, uint32_t count,
                           bool maximum)
{
    return maximum ? count_config(d, c, MIN(c->vcpus, count), count)
                   : count_config(d, c, count, c->maxvcpus);
}

static int too_many(uint32_t count, uint32_t most, const char *which)
{
    return virsh_error(INVALID_ARGUMENT
                       "requested vcpus is greater than max allowable vcpus for the %s domain: "
                       "%u > %u",
                       which, count, most);
}

static int setvcpus(const struct virsh_domain *d, unsigned int affects, struct config *c,
                    uint32_t count, bool maximum)
{
    if (affects & VIRSH_LIVE && maximum) {
        return virsh_error(INVALID_ARGUMENT
                           "maximum vcpu count of a live domain can't be modified");
    }
    if (affects & VIRSH_LIVE && count > vcpus_of(&d->info)) {
        return too_many(count, vcpus_of(&d->info), "live");
    }
    if (c && (maximum ? count > VCPUS_MAX : count > c->maxvcpus)) {
        return too_many(count, maximum ? VCPUS_MAX : c->maxvcpus, "persistent");
    }
    if (c && setvcpus_config(d, c, count, maximum)) {
        return 1;
    }
    return affects & VIRSH_LIVE ? setvcpus_live(d, count) : 0;
}

static int run_setvcpus(void)
{
    bool maximum = virsh_flag("maximum");
    struct config *c = NULL;
    unsigned int affects;
    struct virsh_domain d;
    uint32_t count = 0;
    int status = 1;

    if (virsh_exclusive("guest", "config") || virsh_exclusive("guest", "maximum")) {
        return 1;
    }
    if (maximum && !virsh_flag("config")) {
        return virsh_error("Option --config is required by option --maximum");
    }
    virsh_number("count", &count);
    if (!count) {
        return virsh_error("Can't set 0 processors for a VM");
    }
    if (!virsh_domain(&d)) {
        return 1;
    }
    if (virsh_flag("guest") && !d.live) {
        return virsh_error(NOT_VALID "domain is not running");
    }
    affects = virsh_affects(&d, false);
    c = affects & VIRSH_CONFIG ? definition_config(d.def) : NULL;
    if (affects && (c || !(affects & VIRSH_CONFIG))) {
        status = setvcpus(&d, affects, c, count, maximum);
    }
    release(c);
    return status;
}

const struct virsh_word virsh_setvcpus = {
    .name = "setvcpus",
    .help = "change number of virtual CPUs",
    .options = { { "domain", VIRSH_TEXT },
                 { "count", VIRSH_NUMBER },
                 { "maximum", VIRSH_FLAG },
                 { "config", VIRSH_FLAG },
                 { "live", VIRSH_FLAG },
                 { "current", VIRSH_FLAG },
                 { "guest", VIRSH_FLAG },
                 { "hotpluggable", VIRSH_FLAG } },
    .run = run_setvcpus,
};

/* ---- setvcpu ---- */

static int list_good(const struct cpumask *vcpus, uint32_t most, const char *which)
{
    cpumask_for_each(v, vcpus) {
        if (v >= most) {
            return virsh_error(INVALID_ARGUMENT "vcpu %u is not present in %s config", v, which);
        }
    }
    if (cpumask_test(vcpus, 0)) {
        return virsh_error(INVALID_ARGUMENT "vCPU '0' can't be modified");
    }
    return 0;
}

static int already(uint32_t v)
{
    return virsh_error(INVALID_ARGUMENT "vcpu '%u' is already in requested state", v);
}

static int live_good(const struct virsh_domain *d, const struct cpumask *vcpus, bool in)
{
    if (list_good(vcpus, vcpus_of(&d->info), "live")) {
        return 1;
    }
    cpumask_for_each(v, vcpus) {
        if (vcpu_wanted(d->live->domid, v) == in) {
            return already(v);
        }
    }
    return 0;
}

/* A domain file has a number of them only: those that it has are its first. */
static int setvcpu_config(const struct virsh_domain *d, struct config *c,
                          const struct cpumask *vcpus, bool in)
{
    uint32_t count = c->vcpus + (in ? cpumask_weight(vcpus) : -cpumask_weight(vcpus));

    cpumask_for_each(v, vcpus) {
        if ((v < c->vcpus) == in) {
            return already(v);
        }
        if (in ? v >= count : v < count) {
            return virsh_error("unsupported configuration: a definition's vcpus are the first "
                               "ones, so %s",
                               in ? "the next must come first" : "the last must go first");
        }
    }
    return count_config(d, c, count, c->maxvcpus);
}

static int setvcpu(const struct virsh_domain *d, unsigned int affects, struct config *c, bool in)
{
    const char *list = virsh_text("vcpulist"), *why;
    struct cpumask vcpus;

    why = placement_list_parse(list, VCPUS_MAX, &vcpus);
    if (why) {
        return virsh_error(INVALID_ARGUMENT "Failed to parse bitmap '%s': %s", list, why);
    }
    if ((affects & VIRSH_LIVE && live_good(d, &vcpus, in)) ||
        (c && list_good(&vcpus, c->maxvcpus, "persistent")) ||
        (c && setvcpu_config(d, c, &vcpus, in))) {
        return 1;
    }
    /* the last: who waits for the guest can't rely on anything that was found before */
    return affects & VIRSH_LIVE ? plug_all(d->live->domid, &vcpus, in) : 0;
}

static int run_setvcpu(void)
{
    bool enable = virsh_flag("enable");
    struct config *c = NULL;
    unsigned int affects;
    struct virsh_domain d;
    int status = 1;

    if (virsh_exclusive("enable", "disable")) {
        return 1;
    }
    if (!enable && !virsh_flag("disable")) {
        return virsh_error("one of --enable, --disable is required");
    }
    if (!virsh_domain(&d)) {
        return 1;
    }
    affects = virsh_affects(&d, false);
    c = affects & VIRSH_CONFIG ? definition_config(d.def) : NULL;
    if (affects && (c || !(affects & VIRSH_CONFIG))) {
        status = setvcpu(&d, affects, c, enable);
    }
    release(c);
    return status;
}

const struct virsh_word virsh_setvcpu = {
    .name = "setvcpu",
    .help = "attach/detach vcpu or groups of threads",
    .options = { { "domain", VIRSH_TEXT },
                 { "vcpulist", VIRSH_TEXT },
                 { "enable", VIRSH_FLAG },
                 { "disable", VIRSH_FLAG },
                 { "config", VIRSH_FLAG },
                 { "live", VIRSH_FLAG },
                 { "current", VIRSH_FLAG } },
    .run = run_setvcpu,
};

/* ---- vcpucount ---- */

struct counts {
    uint32_t maximum, current;
};

static bool counts_of(const struct virsh_domain *d, bool live, struct counts *n)
{
    struct config *c;

    if (live) {
        *n = (struct counts){ vcpus_of(&d->info), vcpus_wanted(d) };
        return true;
    }
    c = definition_config(d->def);
    if (c) {
        *n = (struct counts){ c->maxvcpus, c->vcpus };
    }
    release(c);
    return c;
}

static int counts_print(const struct virsh_domain *d)
{
    static const char *const whats[] = { "maximum", "current" };
    struct counts config = { 0, 0 }, live = { 0, 0 };

    if ((d->def && !counts_of(d, false, &config)) || (d->live && !counts_of(d, true, &live))) {
        return 1;
    }
    for (unsigned int i = 0; i < ARRAY_SIZE(whats); i++) {
        if (d->def) {
            out("%-12s %-12s %3u\n", whats[i], "config", i ? config.current : config.maximum);
        }
        if (d->live) {
            out("%-12s %-12s %3u\n", whats[i], "live", i ? live.current : live.maximum);
        }
    }
    return 0;
}

/* As the guest has it at this moment. */
static int guest_print(const struct virsh_domain *d)
{
    if (!d->live) {
        virsh_error("Failed to retrieve vCPU count from the guest");
        return virsh_error(NOT_VALID "domain is not running");
    }
    out("%u\n", d->info.nr_online_vcpus);
    return 0;
}

static int run_vcpucount(void)
{
    bool maximum = virsh_flag("maximum"), active = virsh_flag("active");
    bool all = !maximum && !active && !virsh_flag("live") && !virsh_flag("config") &&
               !virsh_flag("current") && !virsh_flag("guest");
    unsigned int affects;
    struct counts n;
    struct virsh_domain d;

    if (virsh_exclusive("live", "config") || virsh_exclusive("active", "maximum") ||
        virsh_exclusive("guest", "config")) {
        return 1;
    }
    if (!virsh_domain(&d)) {
        return 1;
    }
    if (all || virsh_flag("guest")) {
        return all ? counts_print(&d) : guest_print(&d);
    }
    affects = virsh_affects(&d, true);
    if (!affects || !counts_of(&d, affects & VIRSH_LIVE, &n)) {
        return 1;
    }
    out("%u\n", maximum ? n.maximum : n.current);
    return 0;
}

const struct virsh_word virsh_vcpucount = {
    .name = "vcpucount",
    .help = "domain vcpu counts",
    .options = { { "domain", VIRSH_TEXT },
                 { "maximum", VIRSH_FLAG },
                 { "active", VIRSH_FLAG },
                 { "live", VIRSH_FLAG },
                 { "config", VIRSH_FLAG },
                 { "current", VIRSH_FLAG },
                 { "guest", VIRSH_FLAG } },
    .run = run_vcpucount,
};

/* ---- vcpuinfo ---- */

/* One letter for each CPU of the host. */
static void affinity_print(const struct cpumask *cpus, bool pretty)
{
    uint32_t nr = cpus_max();

    out("%-15s ", "CPU Affinity:");
    if (pretty) {
        out("%s (out of %u)\n", virsh_cpulist_text(cpus), nr);
        return;
    }
    for (uint32_t cpu = 0; cpu < nr; cpu++) {
        out(cpumask_test(cpus, cpu) ? "y" : "-");
    }
    out("\n");
}

static void vcpu_print(const struct virsh_domain *d, uint32_t v)
{
    struct xen_domctl_getvcpuinfo info = { .online = 0 };
    char seconds[SECONDS_SIZE];

    vcpu_info(d->live->domid, v, &info);
    out("%-15s %u\n", "VCPU:", v);
    if (info.online) {
        out("%-15s %u\n", "CPU:", info.cpu);
    } else {
        out("%-15s N/A\n", "CPU:");
    }
    out("%-15s %s\n", "State:", !info.online ? "offline" : info.blocked ? "blocked" : "running");
    out("%-15s %ss\n", "CPU time:", seconds_format(seconds, sizeof(seconds), info.cpu_time));
}

static void vcpu_print_defined(uint32_t v)
{
    out("%-15s %u\n", "VCPU:", v);
    out("%-15s N/A\n%-15s N/A\n%-15s N/A\n", "CPU:", "State:", "CPU time");
}

static int vcpus_print(const struct virsh_domain *d, const struct config *c)
{
    bool pretty = virsh_flag("pretty");
    struct cpumask cpus, all;

    cpumask_set_all(&all);
    for (uint32_t v = 0; v < c->maxvcpus; v++) {
        struct placement_who who = { PLACEMENT_VCPU, v };

        out(v ? "\n" : "");
        if (d->live) {
            vcpu_print(d, v);
            virsh_place_live(d, who, &cpus);
        } else {
            vcpu_print_defined(v);
            virsh_place_config(c, who, &all, &cpus);
        }
        affinity_print(&cpus, pretty);
    }
    return 0;
}

static int run_vcpuinfo(void)
{
    struct config *defined = NULL;
    struct virsh_domain d;
    int status = 1;

    if (!virsh_domain(&d)) {
        return 1;
    }
    defined = d.live ? NULL : definition_config(d.def);
    if (d.live || defined) {
        status = vcpus_print(&d, d.live ? virsh_live_config(&d) : defined);
    }
    release(defined);
    return status;
}

const struct virsh_word virsh_vcpuinfo = {
    .name = "vcpuinfo",
    .help = "detailed domain vcpu information",
    .options = { { "domain", VIRSH_TEXT }, { "pretty", VIRSH_FLAG } },
    .run = run_vcpuinfo,
};
