/* SPDX-License-Identifier: MIT */
/*
 * placing.c - see placing.h: a domain file's pool, affinities and scheduler parameters; and memory
 * nodes, when there are several and the file leaves it to us. Owns nothing.
 */
#include "placing.h"

#include "isolate.h"
#include "numa.h"
#include "realtime.h"

#include <tarn.h>

#define DEFAULT_WEIGHT 256

/* ---- looking ---- */

/* A weight that is the default one anyhow is no wish. */
static bool wants_weight(const struct config *c)
{
    return c->weight && c->weight != DEFAULT_WEIGHT;
}

static bool wants_time(const struct config *c)
{
    return c->period_us || c->budget_us || c->extratime >= 0;
}

static bool by_weight(uint32_t sched)
{
    return sched == XEN_SCHEDULER_CREDIT || sched == XEN_SCHEDULER_CREDIT2;
}

/* Of one that is born into a group the pool is its master's, if the file names none. */
static long find_pool(const struct config *c, struct placement *p, char why[WHY_SIZE])
{
    const struct domain *master = c->group[0] ? domain_lookup(c->group) : NULL;
    struct xen_domctl_getdomaininfo info;

    if (c->group[0] && (!master || domain_info(master->domid, &info))) {
        fmt_snprintf(why, WHY_SIZE, "group: there is no domain %s (ESRCH)", c->group);
        return -XEN_ESRCH;
    }
    if (!c->pool[0] && master) {
        return pool_next(info.cpupool, &p->pool);
    }
    if (!pool_lookup(c->pool[0] ? c->pool : "0", &p->pool)) {
        fmt_snprintf(why, WHY_SIZE, "pool %s: no such cpupool (ENOENT)", c->pool);
        return -XEN_ENOENT;
    }
    if (master && p->pool.id != info.cpupool) {
        fmt_snprintf(why, WHY_SIZE, "group: %s is not in %s (EXDEV)", c->group, p->pool.name);
        return -XEN_EXDEV;
    }
    return 0;
}

/* Weight and cap are the domain's wherever it is; time only some schedulers promise. */
static long look_pool(const struct config *c, struct placement *p, char why[WHY_SIZE])
{
    long rc = find_pool(c, p, why);

    if (rc) {
        return rc;
    }
    if (cpumask_empty(&p->pool.cpus)) {
        fmt_snprintf(why, WHY_SIZE, "pool %s: it has no CPU (ENODEV)", p->pool.name);
        return -XEN_ENODEV;
    }
    if (wants_time(c) && !realtime_scheduler(p->pool.sched)) {
        fmt_snprintf(why, WHY_SIZE,
                     "period, budget and extratime: pool %s runs %s, which has no such thing "
                     "(EINVAL)",
                     p->pool.name, scheduler_name(p->pool.sched));
        return -XEN_EINVAL;
    }
    return 0;
}

static long look_cpus(const struct config *c, const struct placement *p, char why[WHY_SIZE])
{
    for (unsigned int v = 0; c->hard_given && v < c->maxvcpus; v++) {
        struct cpumask both = cpumask_and(&c->hard[v], &p->pool.cpus);

        if (cpumask_empty(&both)) {
            fmt_snprintf(why, WHY_SIZE, "cpus: vcpu %u could run on no CPU of %s (EINVAL)", v,
                         p->pool.name);
            return -XEN_EINVAL;
        }
    }
    return 0;
}

/* ---- memory nodes ---- */

static long nodes_memory(struct numa_node *nodes, unsigned int *n)
{
    static struct xen_sysctl_meminfo memory[NUMA_NODES_MAX];
    struct xen_sysctl op = { .cmd = XEN_SYSCTL_numainfo };
    long rc;

    op.u.numainfo.num_nodes = NUMA_NODES_MAX;
    set_xen_guest_handle(op.u.numainfo.meminfo, memory);
    rc = sysctl(&op);
    *n = MIN(op.u.numainfo.num_nodes, NUMA_NODES_MAX);
    for (unsigned int i = 0; rc == 0 && i < *n; i++) {
        nodes[i] = (struct numa_node){ .free_kb = memory[i].memsize == XEN_INVALID_MEM_SZ
                                                      ? 0
                                                      : memory[i].memfree / 1024 };
    }
    return rc;
}

/* A vcpu counts on each node that it may run on and would not rather leave. */
static void count_vcpu(struct numa_node *nodes, unsigned int n, const struct cpu_host *host,
                       domid_t domid, uint32_t vcpu)
{
    struct cpumask hard, soft, both;
    uint32_t seen = 0;

    affinity_get(domid, vcpu, &hard, &soft);
    both = cpumask_and(&hard, &soft);
    if (cpumask_empty(&both)) {
        both = hard;
    }
    for (uint32_t cpu = 0; cpu < host->nr_cpus; cpu++) {
        uint32_t node = host->node[cpu];

        if (node < n && cpumask_test(&both, cpu) && !(seen >> node & 1)) {
            seen |= 1U << node;
            nodes[node].vcpus++;
        }
    }
}

static void count_vcpus(struct numa_node *nodes, unsigned int n, const struct cpu_host *host)
{
    struct xen_domctl_getdomaininfo *list;
    long domains = domain_infos(&list);

    for (long i = 0; i < domains; i++) {
        for (uint32_t v = 0; v < vcpus_of(&list[i]); v++) {
            count_vcpu(nodes, n, host, list[i].domain, v);
        }
    }
    if (domains >= 0) {
        release(list);
    }
}

/* The nodes that are best in a pool, and their CPUs; 0: there is nothing to choose, or nothing that
 * would do. */
static uint32_t best_nodes(struct config *c, const struct pool *pool, struct cpumask *cpus)
{
    struct numa_choice *w = &c->weighed;
    const struct cpu_host *host = cpu_host_get();

    *cpus = (struct cpumask){ { 0 } };
    *w = (struct numa_choice){ .memory_kb = c->memory_kb, .vcpus = c->maxvcpus };
    if (!host->node || nodes_memory(w->node, &w->n)) {
        w->n = 0;
        return 0;
    }
    if (w->n < 2 && !c->advised) {
        return 0; /* nobody asks */
    }
    cpumask_for_each(cpu, &pool->cpus) {
        if (cpu < host->nr_cpus && host->node[cpu] < w->n) {
            w->node[host->node[cpu]].cpus++;
        }
    }
    count_vcpus(w->node, w->n, host);
    numa_choose(w);
    for (uint32_t cpu = 0; cpu < host->nr_cpus; cpu++) {
        if (host->node[cpu] < w->n && w->nodes >> host->node[cpu] & 1) {
            cpumask_set(cpus, cpu);
        }
    }
    return w->n < 2 ? 0 : w->nodes;
}

/* Only where the file leaves it open: no pool, no affinity. Not to find nodes is no error. */
static void choose_nodes(struct config *c, struct placement *p)
{
    p->nodes = 0;
    if (c->pool[0] || c->group[0] || c->by_rules || c->hard_given || c->soft_given) {
        return;
    }
    p->nodes = best_nodes(c, &p->pool, &p->cpus);
    if (p->nodes == (1U << c->weighed.n) - 1) {
        p->nodes = 0; /* all of them is where it is anyhow */
    }
}

/* ---- libvirt's rules ---- */

/* A file of that name, put here by the host, stands in for the adviser: a list of CPUs. */
static bool advice_put(struct config *c)
{
    const struct file *file = file_find("advice");
    char list[64];
    size_t n = file ? MIN(file->size, sizeof(list) - 1) : 0;

    if (!file) {
        return false;
    }
    memcpy(list, file->data, n);
    while (n && blank(list[n - 1])) {
        n--;
    }
    list[n] = '\0';
    if (cpulist_parse(list, cpu_host_get(), &c->advice)) {
        return false;
    }
    str_copy(c->advice_why, "the file `advice` says so", sizeof(c->advice_why));
    return true;
}

void place_advise(struct config *c, const struct pool *pool)
{
    char words[NUMA_WORDS], list[24];
    struct cpumask cpus, nodes;

    c->advised = true;
    c->weighed = (struct numa_choice){ .n = 0 };
    if (advice_put(c)) {
        return;
    }
    nodes = (struct cpumask){ { best_nodes(c, pool, &cpus) } };
    c->advice = cpumask_and(&cpus, &pool->cpus);
    numa_words(&c->weighed, words);
    if (cpumask_empty(&nodes) || cpumask_empty(&c->advice)) {
        c->advice = pool->cpus;
        fmt_snprintf(c->advice_why, sizeof(c->advice_why), "all CPUs of %s: %s", pool->name,
                     c->weighed.n == 0   ? "nothing is known of memory nodes"
                     : c->weighed.n == 1 ? "there is one memory node, so there is no choice"
                                         : words);
        return;
    }
    cpulist_format(list, sizeof(list), &nodes, c->weighed.n + 1);
    fmt_snprintf(c->advice_why, sizeof(c->advice_why), "memory node %s: %s", list, words);
}

struct cpumask host_cpus(void)
{
    const struct xen_sysctl_cputopo *topology;
    struct cpumask cpus = { { 0 } };
    uint32_t nr;

    cpu_topology(&topology, &nr);
    for (uint32_t cpu = 0; cpu < nr; cpu++) {
        if (topology[cpu].core != XEN_INVALID_CORE_ID) {
            cpumask_set(&cpus, cpu);
        }
    }
    return cpus;
}

/* By default a vcpu has no affinity: it may run on all CPUs, of whichever pool it comes to. */
static const char *apply_rules(struct config *c, const struct pool *pool)
{
    const struct cpumask *advice = c->advised ? &c->advice : NULL;
    unsigned int nr_cpus = cpu_host_get()->nr_cpus;

    c->hard_given = false;
    for (unsigned int v = 0; v < c->maxvcpus; v++) {
        struct placement_who who = { .thread = PLACEMENT_VCPU, .id = v };
        enum placement_rule rule;
        const char *wrong = placement_of(&c->placement, who, &pool->cpus, advice, &c->hard[v],
                                         &rule);

        if (wrong) {
            return wrong;
        }
        c->hard_given |= rule != PLACEMENT_BY_DEFAULT;
        for (unsigned int cpu = 0; rule == PLACEMENT_BY_DEFAULT && cpu < nr_cpus; cpu++) {
            cpumask_set(&c->hard[v], cpu);
        }
    }
    return NULL;
}

static long look_rules(struct config *c, const struct placement *p, char why[WHY_SIZE])
{
    struct cpumask host = host_cpus();
    const char *wrong;

    c->advised = false;
    if (c->placement.placement == PLACEMENT_AUTO) {
        place_advise(c, &p->pool);
    }
    wrong = placement_startable(&c->placement, &host, c->advised ? &c->advice : NULL);
    if (!wrong && c->by_rules) {
        wrong = apply_rules(c, &p->pool);
    }
    if (wrong) {
        fmt_snprintf(why, WHY_SIZE, "%s (EINVAL)", wrong);
    }
    return wrong ? -XEN_EINVAL : 0;
}

long place_look(struct config *c, struct placement *p, char why[WHY_SIZE])
{
    long rc = look_pool(c, p, why);

    rc = rc ? rc : look_rules(c, p, why);
    rc = rc ? rc : look_cpus(c, p, why);
    if (rc == 0) {
        choose_nodes(c, p);
    }
    return rc;
}

/* ---- doing ---- */

static long prefer_nodes(domid_t domid, const struct placement *p)
{
    struct xen_domctl op = { .cmd = XEN_DOMCTL_setnodeaffinity, .domain = domid };
    struct cpumask nodes = { { p->nodes } };

    cpu_bitmap(&op.u.nodeaffinity.nodemap, &nodes);
    return domctl(&op);
}

static void warn_unreachable(const struct config *c, unsigned int v, const struct cpumask *soft)
{
    if (c->soft_given && cpumask_empty(soft)) {
        err("warning: %s: All cpus in soft affinity of vcpu %u are unreachable. Only hard affinity "
            "will be considered for scheduling\n",
            c->name, v);
    }
}

long place_affinities(const struct domain *d, const struct config *c, const struct placement *p,
                      char why[WHY_SIZE])
{
    uint32_t flags = (c->hard_given ? XEN_VCPUAFFINITY_HARD : 0) |
                     (c->soft_given || p->nodes ? XEN_VCPUAFFINITY_SOFT : 0);
    long rc = p->nodes ? prefer_nodes(d->domid, p) : 0;

    for (unsigned int v = 0; flags && v < c->maxvcpus && rc == 0; v++) {
        struct cpumask hard = c->hard[v], soft = p->nodes ? p->cpus : c->soft[v];

        rc = affinity_set(d->domid, v, flags, &hard, &soft);
        if (rc) {
            fmt_snprintf(why, WHY_SIZE, "where vcpu %u runs: %s (%s)", v, error_text(rc),
                         error_name(rc));
        } else {
            warn_unreachable(c, v, &soft);
        }
    }
    /* who names CPUs may have domain 0's own, too */
    if (rc == 0 && p->pool.id == 0 && !c->hard_given && !isolate_newcomer(d->domid)) {
        rc = -XEN_EINVAL;
    }
    return rc;
}

static long weight_put(const struct domain *d, const struct config *c, uint32_t sched)
{
    struct xen_domctl op = { .cmd = XEN_DOMCTL_scheduler_op, .domain = d->domid };
    struct xen_domctl_scheduler_op *s = &op.u.scheduler_op;
    long rc;

    s->sched_id = sched;
    s->cmd = XEN_DOMCTL_SCHEDOP_getinfo;
    rc = domctl(&op);
    if (rc) {
        return rc;
    }
    /* credit's and credit2's parameters have one shape */
    if (c->weight) {
        s->u.credit.weight = (uint16_t)c->weight;
    }
    if (c->cap >= 0) {
        s->u.credit.cap = (uint16_t)c->cap;
    }
    s->cmd = XEN_DOMCTL_SCHEDOP_putinfo;
    return domctl(&op);
}

/* In a pool of another scheduler they wait until it comes into one of credit's. Other hypervisors
 * have no place for them there; xl ignores them, too. */
static long weight_keep(const struct domain *d, const struct config *c)
{
    struct tarn_domain_shares op = { .domid = d->domid };
    long rc = hypercall2(__HYPERVISOR_tarn_op, TARN_OP_get_domain_shares, ARG(&op));

    if (rc == 0) {
        op.weight = c->weight ? (uint16_t)c->weight : op.weight;
        op.cap = c->cap >= 0 ? (uint16_t)c->cap : op.cap;
        rc = hypercall2(__HYPERVISOR_tarn_op, TARN_OP_set_domain_shares, ARG(&op));
    }
    return rc == -XEN_ENOSYS ? 0 : rc;
}

/* sedf has weights, too: for those without a period. */
static void time_wish(const struct config *c, uint32_t sched, struct reservation *r)
{
    if (wants_weight(c) && !c->period_us && sched == TARN_SCHEDULER_SEDF) {
        *r = (struct reservation){ .weight = c->weight };
    } else if (c->period_us || c->budget_us) {
        r->weight = 0;
    }
    r->period = c->period_us ? c->period_us * 1000 : r->period;
    r->budget = c->budget_us ? c->budget_us * 1000 : r->budget;
    r->extra = c->extratime >= 0 ? c->extratime : r->extra;
}

/* Every vcpu gets the same. */
static long time_put(const struct domain *d, const struct config *c, const struct pool *p,
                     char why[WHY_SIZE])
{
    struct reservation one = { 0 }, *r = allocate(c->maxvcpus * sizeof(*r));
    uint32_t *vcpu = allocate(c->maxvcpus * sizeof(*vcpu));
    const char *bad = NULL;
    long rc = r && vcpu ? 0 : -XEN_ENOMEM;

    if (rc == 0) {
        rc = reservation_get(d, p->sched, 0, &one) ? 0 : -XEN_EINVAL;
    }
    if (rc == 0) {
        time_wish(c, p->sched, &one);
        bad = reservation_bad(p->sched, &one);
        rc = bad ? -XEN_EINVAL : 0;
    }
    for (unsigned int v = 0; rc == 0 && v < c->maxvcpus; v++) {
        vcpu[v] = v;
        r[v] = one;
    }
    if (bad) {
        fmt_snprintf(why, WHY_SIZE, "%s (EINVAL)", bad);
    } else if (rc == 0 && !reservations_put(d, p, vcpu, r, c->maxvcpus, KEPT)) {
        rc = -XEN_ENOSPC;
    }
    release(r);
    release(vcpu);
    return rc;
}

long place_params(const struct domain *d, const struct config *c, const struct placement *p,
                  char why[WHY_SIZE])
{
    bool sedf = p->pool.sched == TARN_SCHEDULER_SEDF;
    long rc = 0;

    if (c->weight || c->cap >= 0) {
        rc = by_weight(p->pool.sched) ? weight_put(d, c, p->pool.sched) : weight_keep(d, c);
    }
    if (rc == 0 && realtime_scheduler(p->pool.sched) &&
        (wants_time(c) || (wants_weight(c) && sedf))) {
        rc = time_put(d, c, &p->pool, why);
    }
    return rc;
}
