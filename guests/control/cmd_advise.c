/* SPDX-License-Identifier: MIT */
/*
 * cmd_advise.c - advise: looks at the machine for a moment, and says what of its placement of
 * domains will not do well (advise.h), and what would help. Changes nothing.
 */
#include "advise.h"
#include "realtime.h"

#include <tarn.h>

#define BUSY 4u  /* has at least a fourth of a CPU, or waited for one, or */
#define IDLE 10u /* all but a tenth of the time nothing to do */

/* What is read of the machine; the arrays that `host` shows are behind it. */
struct look {
    struct advise_host host;
    struct pool *pools;
    struct advise_pool *shown_pools;
    struct xen_domctl_getdomaininfo *list;
    struct advise_domain *domains;
    char (*names)[NAME_SIZE]; /* by domain: one may go while we look */
    struct advise_vcpu *vcpus;
    uint64_t *ran;  /* by vcpu, at the start */
    bool *waited;   /* by vcpu, at the start */
    uint64_t begun; /* ns */
    uint64_t idled[NR_CPUS];
    struct xen_sysctl_cpuinfo idle[NR_CPUS];
};

/* ---- the machine ---- */

static bool read_topology(struct look *l)
{
    const struct xen_sysctl_cputopo *topology;
    uint32_t nr;
    long rc = cpu_topology(&topology, &nr);

    for (u32 cpu = 0; cpu < nr; cpu++) {
        l->host.cpus[cpu] = (struct advise_cpu){
            .present = topology[cpu].core != XEN_INVALID_CORE_ID,
            .core = topology[cpu].core,
            .socket = topology[cpu].socket,
        };
    }
    return rc ? !fail_errno(rc, "topology of the CPUs") : true;
}

/* How long each CPU idled ever; how many. */
static unsigned int read_idle(struct look *l)
{
    struct xen_sysctl op = { .cmd = XEN_SYSCTL_getcpuinfo };

    op.u.getcpuinfo.max_cpus = NR_CPUS;
    set_xen_guest_handle(op.u.getcpuinfo.info, l->idle);
    return sysctl(&op) ? 0 : MIN(op.u.getcpuinfo.nr_cpus, NR_CPUS);
}

static bool read_pools(struct look *l)
{
    unsigned int n = 0;
    struct pool p;

    for (uint32_t id = 0; pool_next(id, &p) == 0; id = p.id + 1) {
        n++;
    }
    l->pools = allocate((n + 1) * sizeof(*l->pools));
    l->shown_pools = allocate((n + 1) * sizeof(*l->shown_pools));
    if (!l->pools || !l->shown_pools) {
        return !fail_errno(-XEN_ENOMEM, "the cpupools");
    }
    for (uint32_t id = 0; l->host.nr_pools < n && pool_next(id, &p) == 0; id = p.id + 1) {
        struct pool *kept = &l->pools[l->host.nr_pools];

        *kept = p;
        l->shown_pools[l->host.nr_pools++] = (struct advise_pool){
            .name = kept->name,
            .cpus = p.cpus,
            .kind = p.sched == XEN_SCHEDULER_RTDS    ? RTDS
                    : p.sched == TARN_SCHEDULER_SEDF ? SEDF
                                                     : SHARES,
        };
    }
    return pools_free_cpus(&l->host.spare);
}

static u32 pool_index(const struct look *l, uint32_t id)
{
    u32 i = 0;

    while (i + 1 < l->host.nr_pools && l->pools[i].id != id) {
        i++;
    }
    return i;
}

/* Those that can run: one that is shut down or dying is of no interest any more. */
static bool lives(const struct xen_domctl_getdomaininfo *info)
{
    return !(info->flags & (XEN_DOMINF_dying | XEN_DOMINF_shutdown)) && vcpus_of(info);
}

static void take_domain(struct look *l, const struct xen_domctl_getdomaininfo *info)
{
    u32 at = l->host.nr_domains++;

    l->list[at] = *info;
    str_copy(l->names[at], domid_name(info->domain), sizeof(l->names[at]));
    l->domains[at] = (struct advise_domain){
        .name = l->names[at],
        .id = info->domain,
        .pool = pool_index(l, info->cpupool),
    };
}

static bool read_domains(struct look *l)
{
    long n = domain_infos(&l->list);
    uint32_t vcpus = 0;

    if (n < 0) {
        return !fail_errno(n, "list of domains");
    }
    l->domains = allocate((size_t)(n + 1) * sizeof(*l->domains));
    l->names = allocate((size_t)(n + 1) * sizeof(*l->names));
    for (long i = 0; l->domains && l->names && i < n; i++) {
        if (lives(&l->list[i])) {
            vcpus += vcpus_of(&l->list[i]);
            take_domain(l, &l->list[i]);
        }
    }
    l->vcpus = allocate((vcpus + 1) * sizeof(*l->vcpus));
    l->ran = allocate((vcpus + 1) * sizeof(*l->ran));
    l->waited = allocate((vcpus + 1) * sizeof(*l->waited));
    return l->domains && l->names && l->vcpus && l->ran && l->waited
               ? true
               : !fail_errno(-XEN_ENOMEM, "the vcpus");
}

/* ---- vcpus ---- */

static bool vcpu_info(domid_t domid, uint32_t vcpu, struct xen_domctl_getvcpuinfo *info)
{
    struct xen_domctl op = { .cmd = XEN_DOMCTL_getvcpuinfo, .domain = domid };
    long rc;

    op.u.getvcpuinfo.vcpu = vcpu;
    rc = domctl(&op);
    *info = op.u.getvcpuinfo;
    return rc == 0 && info->online;
}

/* It wants a CPU and has none. */
static bool waits(const struct xen_domctl_getdomaininfo *d, const struct xen_domctl_getvcpuinfo *v)
{
    return !(d->flags & XEN_DOMINF_paused) && !v->blocked && !v->running;
}

static void read_vcpu(struct look *l, u32 domain, uint32_t id)
{
    const struct xen_domctl_getdomaininfo *d = &l->list[domain];
    const struct pool *p = &l->pools[l->domains[domain].pool];
    struct advise_vcpu *v = &l->vcpus[l->host.nr_vcpus];
    struct xen_domctl_getvcpuinfo info;
    struct vcpu_place place;
    struct reservation r = { 0 };

    if (!vcpu_info(d->domain, id, &info)) {
        return;
    }
    vcpu_place_get(d->domain, id, &p->cpus, &place);
    if (realtime_scheduler(p->sched) && reservation_read(d->domain, p->sched, id, &r) == 0 &&
        r.weight) {
        r.period = 0;
    }
    *v = (struct advise_vcpu){
        .domain = domain,
        .id = id,
        .cpu = info.cpu,
        .broken = place.broken,
        .given = place.given,
        .hard = place.hard,
        .period = r.period,
        .budget = r.budget,
    };
    l->ran[l->host.nr_vcpus] = info.cpu_time;
    l->waited[l->host.nr_vcpus++] = waits(d, &info);
}

static void begin(struct look *l)
{
    unsigned int cpus;

    for (u32 d = 0; d < l->host.nr_domains; d++) {
        for (uint32_t v = 0; v < vcpus_of(&l->list[d]); v++) {
            read_vcpu(l, d, v);
        }
    }
    cpus = read_idle(l);
    for (unsigned int cpu = 0; cpu < cpus; cpu++) {
        l->idled[cpu] = l->idle[cpu].idletime;
    }
    l->begun = clock_now();
}

static void end(struct look *l)
{
    uint64_t passed = clock_now() - l->begun;
    unsigned int cpus = read_idle(l);

    for (unsigned int cpu = 0; cpu < cpus; cpu++) {
        l->host.cpus[cpu].idle = l->idle[cpu].idletime - l->idled[cpu] >= passed - passed / IDLE;
    }
    for (u32 i = 0; i < l->host.nr_vcpus; i++) {
        struct advise_vcpu *v = &l->vcpus[i];
        struct xen_domctl_getvcpuinfo info;

        if (vcpu_info((domid_t)l->domains[v->domain].id, v->id, &info)) {
            v->busy = info.cpu_time - l->ran[i] >= passed / BUSY ||
                      (l->waited[i] && waits(&l->list[v->domain], &info));
        }
    }
    l->host.pools = l->shown_pools;
    l->host.domains = l->domains;
    l->host.vcpus = l->vcpus;
}

/* ---- the command ---- */

static void tell(void *arg, const struct advice *advice)
{
    if (*(bool *)arg) {
        json_object();
        json_text("kind", advice->kind);
        json_text("reason", advice->reason);
        json_text("command", advice->command);
        json_end();
    } else if (*advice->command) {
        out("%s (%s)\n", advice->reason, advice->command);
    } else {
        out("%s\n", advice->reason);
    }
}

static void advices_print(const struct look *l, bool json)
{
    if (json) {
        json_array();
        advise(&l->host, tell, &json);
        json_done();
    } else if (!advise(&l->host, tell, &json)) {
        out("nothing to advise\n");
    }
}

static void look_end(struct look *l)
{
    release(l->pools);
    release(l->shown_pools);
    release(l->list);
    release(l->domains);
    release(l->names);
    release(l->vcpus);
    release(l->ran);
    release(l->waited);
    release(l);
}

static int look(uint64_t ms, bool json)
{
    struct look *l = allocate(sizeof(*l));
    bool good;

    if (!l) {
        return fail_errno(-XEN_ENOMEM, "the machine");
    }
    good = read_topology(l) && read_pools(l) && read_domains(l);
    if (good) {
        begin(l);
        loop_until_time(l->begun + ms * MS);
        end(l);
    }
    if (good && !session->cancelled) {
        advices_print(l, json);
    }
    look_end(l);
    return !good ? 1 : session->cancelled ? CANCELLED : 0;
}

static int run(int argc, char **argv)
{
    uint64_t ms = 1000;
    struct options o;
    bool json = shell_json;
    int letter;

    options_init(&o, argc, argv, "jt:", "json=j time=t");
    while ((letter = options_next(&o))) {
        if (letter == '?' || (letter == 't' && !number_parse(o.value, 60000, &ms))) {
            return USAGE;
        }
        json |= letter == 'j';
    }
    return o.nr_rest ? USAGE : look(ms, json);
}

const struct command cmd_advise = {
    .name = "advise",
    .usage = "[-j] [-t MILLISECONDS]",
    .help = "what of the placement of domains will not do well, and what would help",
    .run = run,
};
