/* SPDX-License-Identifier: MIT */
/*
 * cmd_vcpu.c - orders about vcpus: vcpu-pin, vcpu-set.
 */
#include "shell.h"

/* ---- vcpu-pin ---- */

struct pinning {
    uint32_t flags; /* XEN_VCPUAFFINITY_* */
    struct cpumask hard, soft;
};

/* A list, "all", or "-" for what it is already. False after fail(). */
static bool pin_read(const char *text, uint32_t flag, struct cpumask *map, uint32_t *flags)
{
    const char *why;

    if (strcmp(text, "-") == 0) {
        return true;
    }
    why = cpulist_parse(text, cpu_host_get(), map);
    if (why) {
        fail("%s: %s (EINVAL)", text, why);
        return false;
    }
    *flags |= flag;
    return true;
}

static bool vcpu_range(const struct domain *d, const char *which, uint32_t *first, uint32_t *last)
{
    struct xen_domctl_getdomaininfo info;
    uint64_t n;
    long rc = domain_info(d->domid, &info);

    if (rc) {
        return !fail_errno(rc, "%s", d->name);
    }
    if (strcmp(which, "all") == 0) {
        *first = 0;
        *last = MIN(info.max_vcpu_id, VCPUS_MAX - 1);
        return true;
    }
    if (!number_parse(which, VCPUS_MAX, &n)) {
        return !fail("Invalid argument %s as VCPU. (EINVAL)", which);
    }
    *first = *last = (uint32_t)n;
    return true;
}

/* On the way back nothing is told: the first error is what counts. */
static void unpin(const struct domain *d, uint32_t first, uint32_t end, struct pinning *old)
{
    for (uint32_t v = first; v < end; v++) {
        affinity_set(d->domid, v, XEN_VCPUAFFINITY_HARD | XEN_VCPUAFFINITY_SOFT, &old[v].hard,
                     &old[v].soft);
    }
}

/* All of them or none; `old` has room for what they were. */
static int pin_range(const struct domain *d, uint32_t first, uint32_t last, const struct pinning *p,
                     struct pinning *old)
{
    for (uint32_t v = first; v <= last; v++) {
        struct cpumask hard = p->hard, soft = p->soft;
        long rc;

        affinity_get(d->domid, v, &old[v].hard, &old[v].soft);
        rc = affinity_set(d->domid, v, p->flags, &hard, &soft);
        if (rc) {
            unpin(d, first, v, old);
            return fail_errno(rc, "Could not set affinity for vcpu `%u'", v);
        }
        if ((p->flags & XEN_VCPUAFFINITY_SOFT) && cpumask_empty(&soft)) {
            err("warning: vcpu-pin: All cpus in soft affinity of vcpu %u are unreachable. Only "
                "hard affinity will be considered for scheduling\n",
                v);
        }
    }
    return 0;
}

static int pin(const struct domain *d, const char *which, const struct pinning *p)
{
    struct pinning *old;
    uint32_t first = 0, last = 0;
    int status;

    if (!vcpu_range(d, which, &first, &last)) {
        return 1;
    }
    old = allocate((last + 1) * sizeof(*old));
    status = old ? pin_range(d, first, last, p, old) : fail_errno(-XEN_ENOMEM, "%s", d->name);
    release(old);
    return status;
}

/* What would be set; '-' for what stays. */
static void pinning_print(const struct pinning *p, bool soft)
{
    static char text[TEXT_SIZE];

    cpulist_format(text, sizeof(text), &p->hard, cpus_max());
    out("cpumap: %s", p->flags & XEN_VCPUAFFINITY_HARD ? text : "-");
    if (soft) {
        cpulist_format(text, sizeof(text), &p->soft, cpus_max());
        out(" %s", p->flags & XEN_VCPUAFFINITY_SOFT ? text : "-");
    }
    out("\n");
}

static int run_vcpu_pin(int argc, char **argv)
{
    struct pinning p = { .flags = 0 };
    struct domain *d;
    struct options o;
    uint64_t force;

    if (!options_flags(&o, argc, argv, "f", "force=f", &force) ||
        (o.nr_rest != 3 && o.nr_rest != 4)) {
        return USAGE;
    }
    d = domain_named(o.rest[0]);
    if (!d || !pin_read(o.rest[2], XEN_VCPUAFFINITY_HARD, &p.hard, &p.flags) ||
        (o.nr_rest == 4 && !pin_read(o.rest[3], XEN_VCPUAFFINITY_SOFT, &p.soft, &p.flags))) {
        return 1;
    }
    if (!p.flags) {
        return fail("neither hard nor soft affinity is given (EINVAL)");
    }
    if (force && strcmp(o.rest[1], "all") == 0) {
        return fail("--force and 'all' as VCPU not allowed. (EINVAL)");
    }
    if (shell_dry_run) {
        pinning_print(&p, o.nr_rest == 4);
        return 0;
    }
    p.flags |= force ? XEN_VCPUAFFINITY_FORCE : 0;
    return pin(d, o.rest[1], &p);
}

const struct command cmd_vcpu_pin = {
    .name = "vcpu-pin",
    .usage = "[-f] DOMAIN VCPU|all HARD|-|all [SOFT|-|all]",
    .help = "the pcpus on which a vcpu may (hard) and should (soft) run",
    .run = run_vcpu_pin,
};

/* ---- vcpu-set ---- */

int vcpus_available(domid_t domid, uint32_t nr, uint64_t online)
{
    for (uint32_t v = 0; v < nr && v < VCPUS_MAX; v++) {
        long rc;

        virsh_plug(domid, v, v < online);
        rc = store_printf(v < online ? "online" : "offline", "/local/domain/%u/cpu/%u/availability",
                          domid, v);
        if (rc) {
            return fail_errno(rc, "/local/domain/%u/cpu/%u/availability", domid, v);
        }
    }
    return 0;
}

static int run_vcpu_set(int argc, char **argv)
{
    struct xen_domctl_getdomaininfo info;
    struct xen_sysctl_physinfo host;
    uint64_t ignore_host, n;
    struct options o;
    struct domain *d;
    long rc;

    if (!options_flags(&o, argc, argv, "i", "ignore-host=i", &ignore_host) || o.nr_rest != 2) {
        return USAGE;
    }
    if (!number_parse(o.rest[1], 1U << 20, &n)) {
        return fail("%s: Invalid argument. (EINVAL)", o.rest[1]);
    }
    d = domain_named(o.rest[0]);
    if (!d) {
        return 1;
    }
    rc = domain_info(d->domid, &info);
    if (rc) {
        return fail_errno(rc, "%s", d->name);
    }
    if (!ignore_host && physinfo_get(&host) == 0 && n > host.nr_cpus) {
        return fail("You are overcommmitting! You have %u physical CPUs and want %lu vCPUs! "
                    "Aborting, use --ignore-host to continue",
                    host.nr_cpus, n);
    }
    if (n < 1 || n > info.max_vcpu_id + 1) {
        return fail("%lu vcpus: %s has 1 to %u (EINVAL)", n, d->name, info.max_vcpu_id + 1);
    }
    return vcpus_available(d->domid, info.max_vcpu_id + 1, n);
}

const struct command cmd_vcpu_set = {
    .name = "vcpu-set",
    .usage = "[-i] DOMAIN N",
    .help = "how many vcpus of a domain shall be up; it must do it itself",
    .run = run_vcpu_set,
};
