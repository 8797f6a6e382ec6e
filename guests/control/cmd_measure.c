/* SPDX-License-Identifier: MIT */
/*
 * cmd_measure.c - measure: how long each vcpu ran, and each CPU idled, within a stretch of time, to
 * the nanosecond: for tests and scripts, where top is for people. The hypervisor's own books, each
 * beside the clock at which it was read. A command may be run in the middle of it.
 *
 * repin: a vcpu's affinities change again and again, and when each change was made is told in ticks
 * of the TSC, as a trace has them.
 */
#include "shell.h"

#define VCPUS_SEEN 256u

struct seen {
    uint64_t spent, at;
};

struct measure {
    unsigned int nr, nr_cpus;
    struct {
        domid_t domid;
        uint32_t vcpu;
        struct seen before;
    } vcpus[VCPUS_SEEN];
    struct seen cpus[NR_CPUS];
    struct xen_sysctl_cpuinfo idle[NR_CPUS];
};

static long vcpu_read(domid_t domid, uint32_t vcpu, struct seen *seen, uint32_t *cpu)
{
    struct xen_domctl op = { .cmd = XEN_DOMCTL_getvcpuinfo, .domain = domid };
    long rc;

    op.u.getvcpuinfo.vcpu = vcpu;
    seen->at = clock_now();
    rc = domctl(&op);
    seen->spent = op.u.getvcpuinfo.cpu_time;
    *cpu = op.u.getvcpuinfo.cpu;
    return rc;
}

static void vcpus_begin(struct measure *m, domid_t domid, uint32_t vcpus)
{
    uint32_t cpu;

    for (uint32_t v = 0; v < vcpus && m->nr < VCPUS_SEEN; v++) {
        if (vcpu_read(domid, v, &m->vcpus[m->nr].before, &cpu) == 0) {
            m->vcpus[m->nr].domid = domid;
            m->vcpus[m->nr++].vcpu = v;
        }
    }
}

static void domains_begin(struct measure *m)
{
    struct xen_domctl_getdomaininfo *list;
    long n = domain_infos(&list);

    for (long i = 0; i < n; i++) {
        vcpus_begin(m, list[i].domain, vcpus_of(&list[i]));
    }
    if (n >= 0) {
        release(list);
    }
}

static unsigned int cpus_read(struct measure *m, uint64_t *at)
{
    struct xen_sysctl op = { .cmd = XEN_SYSCTL_getcpuinfo };

    op.u.getcpuinfo.max_cpus = NR_CPUS;
    set_xen_guest_handle(op.u.getcpuinfo.info, m->idle);
    *at = clock_now();
    return sysctl(&op) ? 0 : MIN(op.u.getcpuinfo.nr_cpus, NR_CPUS);
}

static void cpus_begin(struct measure *m)
{
    uint64_t at;

    m->nr_cpus = cpus_read(m, &at);
    for (unsigned int cpu = 0; cpu < m->nr_cpus; cpu++) {
        m->cpus[cpu] = (struct seen){ .spent = m->idle[cpu].idletime, .at = at };
    }
}

static void vcpus_end(const struct measure *m)
{
    for (unsigned int i = 0; i < m->nr; i++) {
        const struct seen *before = &m->vcpus[i].before;
        struct seen now;
        uint32_t cpu;

        if (vcpu_read(m->vcpus[i].domid, m->vcpus[i].vcpu, &now, &cpu) == 0) {
            out("vcpu %s %u cpu %u ran %lu of %lu\n", domid_name(m->vcpus[i].domid),
                m->vcpus[i].vcpu, cpu, now.spent - before->spent, now.at - before->at);
        }
    }
}

static void cpus_end(struct measure *m)
{
    uint64_t at;
    unsigned int nr = MIN(cpus_read(m, &at), m->nr_cpus);

    for (unsigned int cpu = 0; cpu < nr; cpu++) {
        out("cpu %u idled %lu of %lu\n", cpu, m->idle[cpu].idletime - m->cpus[cpu].spent,
            at - m->cpus[cpu].at);
    }
}

static int run_measure(int argc, char **argv)
{
    struct measure *m;
    uint64_t ms, begun;
    int status = 0;

    if (argc < 2 || !number_parse(argv[1], 3600000, &ms)) {
        return USAGE;
    }
    m = allocate(sizeof(*m));
    if (!m) {
        return fail_errno(-XEN_ENOMEM, "table");
    }
    domains_begin(m);
    cpus_begin(m);
    begun = clock_now();
    if (argc > 2) {
        loop_until_time(begun + ms * MS / 2);
        status = command_run(session, argc - 2, argv + 2);
    }
    loop_until_time(begun + ms * MS);
    vcpus_end(m);
    cpus_end(m);
    release(m);
    return session->cancelled ? CANCELLED : status;
}

const struct command cmd_measure = {
    .name = "measure",
    .usage = "MILLISECONDS [COMMAND...]",
    .help = "for tests: how long each vcpu ran and each CPU idled meanwhile, in nanoseconds",
    .run = run_measure,
};

static void mask_at_random(uint64_t *random, struct cpumask *mask, u32 nr_cpus)
{
    cpumask_clear_all(mask);
    while (cpumask_empty(mask)) {
        uint64_t bits = random_next(random);

        for (u32 cpu = 0; cpu < nr_cpus; cpu++) {
            if (bits >> cpu % 64 & 1) {
                cpumask_set(mask, cpu);
            }
        }
    }
}

struct repin {
    struct cpumask hard, soft;
    uint64_t from, to;
    long rc;
};

static void repin_once(const struct domain *d, uint64_t *random, u32 nr_cpus, struct repin *r)
{
    struct cpumask hard, soft;

    mask_at_random(random, &r->hard, nr_cpus);
    mask_at_random(random, &r->soft, nr_cpus);
    hard = r->hard;
    soft = r->soft;
    r->from = rdtsc();
    r->rc = affinity_set(d->domid, 0, XEN_VCPUAFFINITY_HARD | XEN_VCPUAFFINITY_SOFT, &hard, &soft);
    r->to = rdtsc();
}

/* Only those that were taken; a mask without a CPU of the pool is not. */
static int repin_tell(const struct repin *r, const char *name)
{
    static char hard[TEXT_SIZE], soft[TEXT_SIZE];

    if (r->rc && r->rc != -XEN_EINVAL) {
        return fail_errno(r->rc, "%s", name);
    }
    if (r->rc == 0) {
        cpulist_format(hard, sizeof(hard), &r->hard, NR_CPUS);
        cpulist_format(soft, sizeof(soft), &r->soft, NR_CPUS);
        out("hard %s soft %s from %lu to %lu\n", hard, soft, r->from, r->to);
    }
    return 0;
}

/* Told in the end: what the control domain does in between should be little. */
static int repin(const struct domain *d, struct repin *list, uint64_t n, uint64_t us)
{
    uint64_t random = 88172645463325252, done = 0;
    u32 nr_cpus = cpus_max();
    int status = 0;

    for (; done < n && !session->cancelled; done++) {
        uint64_t next = clock_now() + us * US;

        repin_once(d, &random, nr_cpus, &list[done]);
        loop_until_time(next);
    }
    for (uint64_t i = 0; i < done && status == 0; i++) {
        status = repin_tell(&list[i], d->name);
    }
    return status;
}

static int run_repin(int argc, char **argv)
{
    uint64_t n, us;
    struct repin *list;
    struct domain *d;
    int status;

    if (argc != 4 || !number_parse(argv[2], 100000, &n) || !number_parse(argv[3], 1000000, &us)) {
        return USAGE;
    }
    d = domain_named(argv[1]);
    if (!d) {
        return 1;
    }
    list = allocate(n * sizeof(*list));
    status = list ? repin(d, list, n, us) : fail_errno(-XEN_ENOMEM, "list");
    release(list);
    return status;
}

const struct command cmd_repin = {
    .name = "repin",
    .usage = "DOMAIN N MICROSECONDS",
    .help = "for tests: N times other affinities for vcpu 0, at random, and when",
    .run = run_repin,
};
