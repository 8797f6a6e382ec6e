/* SPDX-License-Identifier: MIT */
/*
 * pools.c - see pools.h. A change of several CPUs or domains goes one by one, for so the hypervisor
 * takes it, and what was done is undone when one is refused. Owns nothing.
 */
#include "pools.h"

#include "isolate.h"
#include "tune.h"

static long pool_op(uint32_t op, uint32_t id, uint32_t cpu, uint32_t domid)
{
    struct xen_sysctl s = { .cmd = XEN_SYSCTL_cpupool_op };

    s.u.cpupool_op.op = op;
    s.u.cpupool_op.cpupool_id = id;
    s.u.cpupool_op.cpu = cpu;
    s.u.cpupool_op.domid = domid;
    return sysctl(&s);
}

/* ---- which there are ---- */

long pool_next(uint32_t id, struct pool *p)
{
    struct xen_sysctl_cpupool_op info;
    long rc = cpupool_info(id, &info, &p->cpus);

    if (rc == 0) {
        p->id = info.cpupool_id;
        p->sched = info.sched_id;
        p->domains = info.n_dom;
        str_copy(p->name, cpupool_name(p->id), sizeof(p->name));
    }
    return rc;
}

bool pool_lookup(const char *text, struct pool *p)
{
    char number[12];

    for (uint32_t id = 0; pool_next(id, p) == 0; id = p->id + 1) {
        fmt_snprintf(number, sizeof(number), "%u", p->id);
        if (strcmp(p->name, text) == 0 || strcmp(number, text) == 0) {
            return true;
        }
    }
    return false;
}

bool pool_find(const char *text, struct pool *p)
{
    return pool_lookup(text, p) || !fail("unknown cpupool '%s' (ENOENT)", text);
}

bool pools_free_cpus(struct cpumask *cpus)
{
    struct xen_sysctl op = { .cmd = XEN_SYSCTL_cpupool_op };
    long rc;

    *cpus = (struct cpumask){ { 0 } };
    op.u.cpupool_op.op = XEN_SYSCTL_CPUPOOL_OP_FREEINFO;
    cpu_bitmap(&op.u.cpupool_op.cpumap, cpus);
    rc = sysctl(&op);
    return rc ? !fail_errno(rc, "CPUs that are free") : true;
}

/* Those we have a name for; whether the hypervisor has it is its answer to give. */
bool scheduler_find(const char *name, uint32_t *id)
{
    static const uint32_t all[] = { XEN_SCHEDULER_CREDIT,   XEN_SCHEDULER_CREDIT2,
                                    XEN_SCHEDULER_RTDS,     XEN_SCHEDULER_NULL,
                                    XEN_SCHEDULER_ARINC653, TARN_SCHEDULER_SEDF,
                                    TARN_SCHEDULER_RR };
    struct xen_sysctl op = { .cmd = XEN_SYSCTL_sched_id };
    long rc;

    if (!*name) {
        rc = sysctl(&op);
        *id = op.u.sched_id.sched_id;
        return rc ? !fail_errno(rc, "the default scheduler") : true;
    }
    for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
        if (strcmp(scheduler_name(all[i]), name) == 0) {
            *id = all[i];
            return true;
        }
    }
    return !fail("unknown scheduler '%s' (ENOENT)", name);
}

bool domain_pool(const struct domain *d, struct pool *p)
{
    struct xen_domctl_getdomaininfo info;
    long rc = domain_info(d->domid, &info);

    rc = rc ? rc : pool_next(info.cpupool, p);
    return rc ? !fail_errno(rc, "%s: its cpupool", d->name) : true;
}

bool pool_runs(const struct pool *p, uint32_t sched)
{
    return p->sched == sched || !fail("cpupool %s runs %s, not %s (EINVAL)", p->name,
                                      scheduler_name(p->sched), scheduler_name(sched));
}

/* ---- making ---- */

bool pool_rename(const struct pool *p, const char *name)
{
    struct tarn_pool_name op = { .id = p->id };
    long rc;

    str_copy(op.name, name, sizeof(op.name));
    rc = hypercall2(__HYPERVISOR_tarn_op, TARN_OP_set_pool_name, ARG(&op));
    if (rc == -XEN_ENOSYS) { /* Xen leaves names to its tools */
        rc = store_printf(name, "/local/pool/%u/name", p->id);
    }
    return rc ? !fail_errno(rc, "%s: the name %s", p->name, name) : true;
}

bool pool_make(const char *name, uint32_t sched, struct pool *p)
{
    struct xen_sysctl op = { .cmd = XEN_SYSCTL_cpupool_op };
    long rc;

    op.u.cpupool_op.op = XEN_SYSCTL_CPUPOOL_OP_CREATE;
    op.u.cpupool_op.cpupool_id = XEN_SYSCTL_CPUPOOL_PAR_ANY;
    op.u.cpupool_op.sched_id = sched;
    rc = sysctl(&op);
    if (rc) {
        return !fail_errno(rc, "%s: a cpupool under %s", name, scheduler_name(sched));
    }
    *p = (struct pool){ .id = op.u.cpupool_op.cpupool_id, .sched = sched };
    str_copy(p->name, name, sizeof(p->name));
    if (!pool_rename(p, name)) {
        pool_op(XEN_SYSCTL_CPUPOOL_OP_DESTROY, p->id, 0, 0);
        return false;
    }
    return true;
}

bool pool_options(const struct pool *p, uint32_t mask, uint32_t flags, uint32_t *old)
{
    struct tarn_pool_options op = { .id = p->id };
    long rc = hypercall2(__HYPERVISOR_tarn_op, TARN_OP_get_pool_options, ARG(&op));

    if (rc == 0) {
        if (old) {
            *old = op.flags;
        }
        op.flags = (op.flags & ~mask) | (flags & mask);
        rc = hypercall2(__HYPERVISOR_tarn_op, TARN_OP_set_pool_options, ARG(&op));
    }
    return rc ? !fail_errno(rc, "%s: its options", p->name) : true;
}

/* ---- CPUs ---- */

/* Whose it is, for a message. */
static const char *cpu_owner(uint32_t cpu)
{
    static char text[NAME_SIZE + 4];
    struct pool p;

    for (uint32_t id = 0; pool_next(id, &p) == 0; id = p.id + 1) {
        if (cpumask_test(&p.cpus, cpu)) {
            fmt_snprintf(text, sizeof(text), "in %s", p.name);
            return text;
        }
    }
    return "offline";
}

bool pool_can_add(const char *name, const struct cpumask *cpus)
{
    struct cpumask spare;

    if (!pools_free_cpus(&spare)) {
        return false;
    }
    cpumask_for_each(cpu, cpus) {
        if (!cpumask_test(&spare, cpu)) {
            return !fail("%s: CPU %u is not free, it is %s (ENODEV)", name, cpu, cpu_owner(cpu));
        }
    }
    return true;
}

static bool all_members(const struct pool *p, const struct cpumask *cpus)
{
    cpumask_for_each(cpu, cpus) {
        if (!cpumask_test(&p->cpus, cpu)) {
            return !fail("%s: CPU %u is not in it (EADDRNOTAVAIL)", p->name, cpu);
        }
    }
    return true;
}

/* All of them, or none. */
static bool cpus_move(const struct pool *p, const struct cpumask *cpus, uint32_t op, uint32_t back)
{
    cpumask_for_each(cpu, cpus) {
        long rc = pool_op(op, p->id, cpu, 0);

        if (rc == 0) {
            continue;
        }
        fail_errno(rc, "%s: CPU %u", p->name, cpu);
        cpumask_for_each(done, cpus) {
            if (done == cpu) {
                return false;
            }
            rc = pool_op(back, p->id, done, 0);
            if (rc) {
                fail_errno(rc, "%s: CPU %u, on the way back", p->name, done);
            }
        }
    }
    return true;
}

bool pool_add(const struct pool *p, const struct cpumask *cpus)
{
    return pool_can_add(p->name, cpus) &&
           cpus_move(p, cpus, XEN_SYSCTL_CPUPOOL_OP_ADDCPU, XEN_SYSCTL_CPUPOOL_OP_RMCPU);
}

bool pool_remove(const struct pool *p, const struct cpumask *cpus)
{
    return all_members(p, cpus) &&
           cpus_move(p, cpus, XEN_SYSCTL_CPUPOOL_OP_RMCPU, XEN_SYSCTL_CPUPOOL_OP_ADDCPU);
}

/* ---- domains ---- */

/* All that are in its group came with it. */
static bool tree_isolate(domid_t domid)
{
    bool good = isolate_newcomer(domid), master = has_members(domid);

    for (const struct domain *d = domains_first(); d && master; d = d->next) {
        if (master_of(d->domid) == domid) {
            good &= tree_isolate(d->domid);
        }
    }
    return good;
}

bool pool_move(const char *domain, domid_t domid, const struct pool *to)
{
    long rc = pool_op(XEN_SYSCTL_CPUPOOL_OP_MOVEDOMAIN, to->id, 0, domid);

    if (rc && cpumask_empty(&to->cpus)) {
        return !fail("%s to %s: it has no CPU (%s)", domain, to->name, error_name(rc));
    }
    if (rc) {
        if (!member_fail(domain_by_id(domid), rc, "that one moves, and its members with it")) {
            fail_errno(rc, "%s to %s", domain, to->name);
        }
        return false;
    }
    return to->id != 0 || tree_isolate(domid);
}

/* Those of the list that were in the pool `of`; members of a group go with their master. */
static bool domains_move(const struct xen_domctl_getdomaininfo *list, long n, uint32_t of,
                         const struct pool *to)
{
    for (long i = 0; i < n; i++) {
        if (list[i].cpupool == of && master_of(list[i].domain) == DOMID_INVALID &&
            !pool_move(domid_name(list[i].domain), list[i].domain, to)) {
            return false;
        }
    }
    return true;
}

/* ---- ending ---- */

static bool empty_end(const struct pool *p)
{
    long rc;

    if (!pool_remove(p, &p->cpus)) {
        return false;
    }
    rc = pool_op(XEN_SYSCTL_CPUPOOL_OP_DESTROY, p->id, 0, 0);
    if (rc) {
        fail_errno(rc, "%s", p->name);
        pool_add(p, &p->cpus);
    }
    return rc == 0;
}

bool pool_end(const struct pool *p, const struct pool *refuge)
{
    struct xen_domctl_getdomaininfo *list;
    long n;
    bool good;

    if (!refuge) {
        return empty_end(p);
    }
    n = domain_infos(&list);
    if (n < 0) {
        return !fail_errno(n, "list of domains");
    }
    good = domains_move(list, n, p->id, refuge) && empty_end(p);
    if (!good) {
        domains_move(list, n, p->id, p); /* one that never left stays */
    }
    release(list);
    return good;
}
