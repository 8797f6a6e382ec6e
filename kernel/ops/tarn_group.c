/* SPDX-License-Identifier: MIT */
/* TARN_OP_group_*: scheduling domains, as the control domain asks for them. What they are is
 * sched/group.c's; only the domains are looked up here. */
#include <tarn/domain.h>
#include <tarn/errno.h>
#include <tarn/guest_access.h>
#include <tarn/hypercall.h>

#include <public/tarn.h>

static long info(u64 arg, struct tarn_group *g)
{
    struct domain *d = domain_get_by_id(g->domid);

    if (!d) {
        return -ESRCH;
    }
    sched_group_info(d, g);
    domain_put(d);
    return copy_to_guest(arg, g, sizeof(*g)) ? -EFAULT : 0;
}

/* What is about one domain. */
static long one(u64 cmd, domid_t domid)
{
    struct domain *d = domain_get_by_id(domid);
    long rc;

    if (!d) {
        return -ESRCH;
    }
    rc = cmd == TARN_OP_group_remove ? sched_group_remove(d) : sched_group_dissolve(d);
    domain_put(d);
    return rc;
}

static long two(u64 cmd, const struct tarn_group *g)
{
    struct domain *d = domain_get_by_id(g->domid), *master = domain_get_by_id(g->master);
    long rc = -ESRCH;

    if (d && master) {
        rc = cmd == TARN_OP_group_add ? sched_group_add(d, master, g->weight, g->cap)
                                      : sched_group_set(d, master, g->weight, g->cap);
    }
    if (d) {
        domain_put(d);
    }
    if (master) {
        domain_put(master);
    }
    return rc;
}

long tarn_group(u64 cmd, u64 arg)
{
    struct tarn_group g;

    if (copy_from_guest(&g, arg, sizeof(g))) {
        return -EFAULT;
    }
    switch (cmd) {
    case TARN_OP_group_info:
        return info(arg, &g);
    case TARN_OP_group_remove:
        return one(cmd, g.domid);
    case TARN_OP_group_dissolve:
        return one(cmd, g.master);
    default:
        return two(cmd, &g);
    }
}
