/* SPDX-License-Identifier: MIT */
/*
 * cmd_memory.c - the memory of domains, mem-set and mem-max; and pages, which shows the machine's,
 * the control domain's heap and each domain's to the page (`info` and `list` show MiB).
 */
#include "shell.h"

#include <tarn/number.h>

/* DOMAIN SIZE: sets the domain's limit. 0, or the command's status. */
static int limit_set(int argc, char **argv, struct domain **d, uint64_t *kib)
{
    uint64_t bytes;
    long rc;

    if (argc != 3) {
        return USAGE;
    }
    *d = domain_named(argv[1]);
    if (!*d) {
        return 1;
    }
    if (!size_parse(argv[2], 1024, &bytes) || bytes < 1024) { /* a bare number is KiB */
        return fail("invalid memory size: %s (EINVAL)", argv[2]);
    }
    *kib = bytes / 1024;
    rc = domain_limit((*d)->domid, *kib);
    return rc ? fail_errno(rc, "%s: at most %lu KiB", (*d)->name, *kib) : 0;
}

static int run_mem_set(int argc, char **argv)
{
    char text[24];
    struct domain *d;
    uint64_t kib;
    int status = limit_set(argc, argv, &d, &kib);
    long rc;

    if (status) {
        return status;
    }
    fmt_snprintf(text, sizeof(text), "%lu", kib);
    rc = store_printf(text, "/local/domain/%u/memory/target", d->domid);
    return rc ? fail_errno(rc, "%s: its target", d->name) : 0;
}

const struct command cmd_mem_set = {
    .name = "mem-set",
    .usage = "DOMAIN SIZE",
    .help = "how much memory a domain shall have (KiB, or 64m); its balloon must do it",
    .run = run_mem_set,
};

static int run_mem_max(int argc, char **argv)
{
    struct domain *d;
    uint64_t kib;

    return limit_set(argc, argv, &d, &kib);
}

const struct command cmd_mem_max = {
    .name = "mem-max",
    .usage = "DOMAIN SIZE",
    .help = "the limit of a domain's memory (KiB, or 64m)",
    .run = run_mem_max,
};

static int run_pages(int argc, char **argv)
{
    struct xen_sysctl_physinfo info;
    long rc = physinfo_get(&info);

    (void)argv;
    if (argc != 1) {
        return USAGE;
    }
    if (rc) {
        return fail_errno(rc, "physinfo");
    }
    out("total pages: %lu\n", info.total_pages);
    out("free pages: %lu\n", info.free_pages);
    out("heap in use: %lu\n", heap_in_use());
    for (struct domain *d = domains_first(); d; d = d->next) {
        struct xen_domctl_getdomaininfo domain;

        if (domain_info(d->domid, &domain) == 0) {
            out("%-32s %5u %10lu of %lu\n", d->name, d->domid, domain.tot_pages + 0UL,
                domain.max_pages + 0UL);
        }
    }
    return 0;
}

const struct command cmd_pages = {
    .name = "pages",
    .usage = "",
    .help = "memory in pages: what is free, and what each domain has of its maximum",
    .run = run_pages,
};
