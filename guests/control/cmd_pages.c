/* SPDX-License-Identifier: MIT */
/*
 * cmd_pages.c - memory to the page: the machine's, the control domain's heap, and each domain's.
 * `info` and `list` show MiB.
 */
#include "shell.h"

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
        struct xen_domctl op = { .cmd = XEN_DOMCTL_getdomaininfo, .domain = d->domid };

        if (domctl(&op) == 0 && op.domain == d->domid) {
            out("%-32s %5u %10lu of %lu\n", d->name, d->domid, op.u.getdomaininfo.tot_pages + 0UL,
                op.u.getdomaininfo.max_pages + 0UL);
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
