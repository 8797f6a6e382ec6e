/* SPDX-License-Identifier: MIT */
/* sources: guests/control/advise.c lib/cpulist.c lib/number.c lib/printf.c lib/str.c */
/* What is told of a machine, by pictures of machines; and that nothing is told of a good one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <tarn/cpulist.h>

#include "../../guests/control/advise.h"

#define MOST 32

static struct advise_host h;
static struct advise_pool pools[MOST];
static struct advise_domain domains[MOST];
static struct advise_vcpu vcpus[MOST];
static char said[8192];

static struct cpumask set_of(const char *list)
{
    static const struct cpu_host all = { .nr_cpus = NR_CPUS };
    struct cpumask set = { { 0 } };

    if (*list) {
        assert_null(cpulist_parse(list, &all, &set));
    }
    return set;
}

/* Two sockets of two cores of two threads; all CPUs idle. */
static void machine(const char *spare)
{
    memset(&h, 0, sizeof(h));
    h.pools = pools;
    h.domains = domains;
    h.vcpus = vcpus;
    h.spare = set_of(spare);
    for (u32 cpu = 0; cpu < 8; cpu++) {
        h.cpus[cpu] = (struct advise_cpu){ true, true, cpu / 2 % 2, cpu / 4 };
    }
}

static void pool(const char *name, int kind, const char *cpus)
{
    pools[h.nr_pools++] = (struct advise_pool){ name, set_of(cpus), (unsigned int)kind };
}

static void domain(const char *name, u32 id, u32 in)
{
    domains[h.nr_domains++] = (struct advise_domain){ name, id, in };
}

/* Of the last domain; `given` "": all. What counts is found as the hypervisor does. */
static struct advise_vcpu *vcpu(const char *given, bool busy)
{
    struct advise_vcpu *v = &vcpus[h.nr_vcpus++];
    const struct cpumask *cpus = &pools[domains[h.nr_domains - 1].pool].cpus;

    memset(v, 0, sizeof(*v));
    v->domain = h.nr_domains - 1;
    v->id = h.nr_vcpus > 1 && v[-1].domain == v->domain ? v[-1].id + 1 : 0;
    v->busy = busy;
    cpumask_set_all(&v->given);
    if (*given) {
        v->given = set_of(given);
    }
    v->hard = cpumask_and(&v->given, cpus);
    v->broken = cpumask_empty(&v->hard);
    if (v->broken) {
        v->hard = *cpus;
    }
    v->cpu = cpumask_first(&v->hard);
    return v;
}

static void busy_cpus(const char *list)
{
    struct cpumask set = set_of(list);

    cpumask_for_each(cpu, &set) {
        h.cpus[cpu].idle = false;
    }
}

static void tell(void *arg, const struct advice *a)
{
    size_t n = strlen(said);

    assert_ptr_equal(arg, said);
    snprintf(said + n, sizeof(said) - n, "%s: %s [%s]\n", a->kind, a->reason, a->command);
}

static void expect(const char *want)
{
    unsigned int n = 0;

    said[0] = '\0';
    for (const char *p = want; *p; p++) {
        n += *p == '\n';
    }
    assert_int_equal(advise(&h, tell, said), n);
    assert_string_equal(said, want);
}

/* Domain 0 on all CPUs of an idle machine, and another. */
static void usual(const char *cpus, const char *spare)
{
    machine(spare);
    pool("Pool-0", SHARES, cpus);
    domain("Domain-0", 0, 0);
    vcpu("", false);
    domain("a", 1, 0);
}

static void test_nothing(void **state)
{
    (void)state;
    usual("0-7", "");
    for (int i = 0; i < 8; i++) {
        vcpu("", false);
    }
    expect("");
    usual("0-7", "");
    vcpu("2", true);
    vcpu("4", true);
    busy_cpus("2,4");
    expect("");
    memset(&h, 0, sizeof(h));
    expect("");
}

static void test_same_cpu(void **state)
{
    (void)state;
    usual("0-7", "");
    vcpu("3", false);
    vcpu("3", false);
    vcpu("5", false); /* quiet ones are 0, 1, 2, ... */
    expect(
        "same-cpu: a: vcpus 0-1 can run on CPU 3 only: while one that holds a lock waits for its "
        "CPU, the others spin [vcpu-pin a 1 0]\n");
    vcpus[0].given = vcpus[0].hard = set_of("0,1"); /* domain 0's own */
    expect(
        "same-cpu: a: vcpus 0-1 can run on CPU 3 only: while one that holds a lock waits for its "
        "CPU, the others spin [vcpu-pin a 1 2]\n");
    usual("0-7", "");
    for (int i = 0; i < 4; i++) {
        vcpu("2-3", false);
    }
    expect("same-cpu: a: vcpus 0-3 can run on CPUs 2-3 only: while one that holds a lock waits for "
           "its CPU, the others spin [vcpu-pin a all all]\n");
    usual("0-7", "");
    vcpu("2-3", false);
    vcpu("3", false); /* there is room for both */
    domain("b", 2, 0);
    vcpu("3", false); /* another domain's does not count */
    expect("");
}

static void test_too_many(void **state)
{
    (void)state;
    usual("0-1", "");
    for (int i = 0; i < 3; i++) {
        vcpu("", false);
    }
    expect("too-many-vcpus: a: 3 vcpus, and Pool-0 has 2 CPUs: some always wait while others spin "
           "for them [vcpu-set a 2]\n");
    h.spare = set_of("5-7");
    expect("too-many-vcpus: a: 3 vcpus, and Pool-0 has 2 CPUs: some always wait while others spin "
           "for them [cpupool-cpu-add Pool-0 7]\n");
    usual("0", "");
    vcpu("0", false);
    vcpu("", false); /* told once, not of each */
    expect("too-many-vcpus: a: 2 vcpus, and Pool-0 has 1 CPU: some always wait while others spin "
           "for them [vcpu-set a 1]\n");
}

static void test_broken(void **state)
{
    (void)state;
    usual("0-3", "");
    vcpu("5", false);
    expect("broken: a: vcpu 0 shall run on CPU 5, which Pool-0 has not: it may use all of Pool-0 "
           "[vcpu-pin a 0 all]\n");
    vcpu("5", false);
    vcpu("4", false);
    h.spare = set_of("5");
    expect(
        "broken: a: vcpus 0-1 shall run on CPU 5, which Pool-0 has not: it may use all of Pool-0 "
        "[cpupool-cpu-add Pool-0 5]\n"
        "broken: a: vcpu 2 shall run on CPU 4, which Pool-0 has not: it may use all of Pool-0 "
        "[vcpu-pin a 2 all]\n");
}

static void test_shared_core(void **state)
{
    (void)state;
    usual("0-7", "");
    vcpu("2", true);
    domain("b", 2, 0);
    vcpu("3", true);
    busy_cpus("2-3");
    expect("shared-core: a and b are busy, and pinned to threads of one core, CPUs 2 and 3, while "
           "the core of CPU 0 idles [vcpu-pin b 0 0]\n");
    vcpus[0].hard = set_of("0"); /* that is domain 0's */
    expect("shared-core: a and b are busy, and pinned to threads of one core, CPUs 2 and 3, while "
           "the core of CPU 4 idles [vcpu-pin b 0 4]\n");
    busy_cpus("1,5,6"); /* no core is idle as a whole */
    expect("");
    h.cpus[5].idle = true;
    vcpus[2].busy = false;
    expect("");
    vcpus[2].busy = true;
    vcpus[2].hard = set_of("2");
    expect("shared-core: a and b are busy, and pinned to CPU 2 both, while CPU 4 idles "
           "[vcpu-pin b 0 4]\n");
    vcpus[2].hard = set_of("2-3"); /* it is not tied to one */
    expect("");
}

/* Each is sent to another core, as long as there are some. */
static void test_cores_run_out(void **state)
{
    static const char name[][2] = { "b", "c", "d" };

    (void)state;
    usual("0-7", "");
    vcpus[0].hard = set_of("0-1");
    vcpu("2", true);
    for (u32 i = 0; i < 3; i++) {
        domain(name[i], 2 + i, 0);
        vcpu("2", true);
    }
    busy_cpus("2");
    expect("shared-core: a and b are busy, and pinned to CPU 2 both, while CPU 4 idles "
           "[vcpu-pin b 0 4]\n"
           "shared-core: a and c are busy, and pinned to CPU 2 both, while CPU 6 idles "
           "[vcpu-pin c 0 6]\n");
}

static void test_dom0(void **state)
{
    (void)state;
    usual("0-7", "");
    vcpus[0].hard = set_of("0");
    vcpu("0", true);
    busy_cpus("0");
    expect("dom0-shares: domain 0 has no CPU that is free of busy domains (a on CPU 0): consoles "
           "and commands wait for them [dom0-isolate 2]\n");
    vcpus[0].hard = set_of("0-1");
    expect("");
    busy_cpus("0-7"); /* what keeps CPU 1 busy may be domain 0 */
    vcpus[1].busy = false;
    expect("");
    usual("0-3", "");
    for (int i = 0; i < 4; i++) {
        vcpu("", true);
    }
    domain("b", 2, 0);
    vcpu("", true);
    busy_cpus("0-3");
    for (u32 cpu = 0; cpu < 4; cpu++) {
        h.cpus[cpu].core = cpu; /* no threads */
    }
    expect("dom0-shares: domain 0 has no CPU that is free of busy domains (a, b on CPUs 0-3): "
           "consoles and commands wait for them [dom0-isolate 1]\n");
    usual("0", "7");
    vcpu("", true);
    busy_cpus("0");
    expect("dom0-shares: domain 0 has no CPU that is free of busy domains (a on CPU 0): consoles "
           "and commands wait for them [cpupool-cpu-add Pool-0 7]\n");
    h.spare = set_of("");
    expect("dom0-shares: domain 0 has no CPU that is free of busy domains (a on CPU 0): consoles "
           "and commands wait for them []\n");
}

static void test_pools(void **state)
{
    (void)state;
    usual("0-3", "");
    pool("none", SHARES, "");
    expect("no-cpu: none has no CPU: no domain can be there [cpupool-destroy none]\n");
    h.spare = set_of("6-7");
    expect("no-cpu: none has no CPU: no domain can be there [cpupool-cpu-add none 6]\n");
    usual("0-4", "");
    pool("x", SHARES, "5-7");
    expect(
        "split-core: Pool-0 and x have a thread each of one core, CPUs 4 and 5: what runs in one "
        "slows the other [cpupool-cpu-remove x 5; cpupool-cpu-add Pool-0 5]\n");
    usual("0-4,6-7", "");
    pool("x", SHARES, "5"); /* its last */
    expect(
        "split-core: Pool-0 and x have a thread each of one core, CPUs 4 and 5: what runs in one "
        "slows the other [cpupool-cpu-remove Pool-0 4; cpupool-cpu-add x 4]\n");
    usual("0", "");
    pool("x", SHARES, "1-3"); /* CPU 0 stays in Pool-0 */
    expect(
        "split-core: Pool-0 and x have a thread each of one core, CPUs 0 and 1: what runs in one "
        "slows the other [cpupool-cpu-remove x 1; cpupool-cpu-add Pool-0 1]\n");
}

static struct advise_vcpu *promised(u64 period_ms, u64 budget_ms)
{
    struct advise_vcpu *v = vcpu("", false);

    v->period = period_ms * 1000000;
    v->budget = budget_ms * 1000000;
    return v;
}

static void test_promises(void **state)
{
    (void)state;
    usual("0-3", "");
    vcpu("", false);
    pool("rt", RTDS, "4-5");
    domain("r", 2, 1);
    promised(10, 8);
    promised(20, 16);
    domain("s", 3, 1);
    promised(10, 4);
    expect(""); /* just all of it */
    promised(10, 1);
    expect("over-committed: rt promises 210 % of a CPU, and has 2 CPUs: not all of it can be kept "
           "[sched-rtds -d r -v all -p 20000 -b 15000]\n");
    h.spare = set_of("7");
    expect("over-committed: rt promises 210 % of a CPU, and has 2 CPUs: not all of it can be kept "
           "[cpupool-cpu-add rt 7]\n");
    pools[1].kind = SEDF; /* each CPU by itself */
    for (u32 i = 2; i < h.nr_vcpus; i++) {
        vcpus[i].cpu = 4 + i % 2;
    }
    expect("over-committed: rt promises 120 % of CPU 4: not all of it can be kept "
           "[sched-sedf -d r -v all -p 10.000 -s 6.000]\n");
    pools[1].kind = SHARES;
    expect("");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing),     cmocka_unit_test(test_same_cpu),
        cmocka_unit_test(test_too_many),    cmocka_unit_test(test_broken),
        cmocka_unit_test(test_shared_core), cmocka_unit_test(test_cores_run_out),
        cmocka_unit_test(test_dom0),        cmocka_unit_test(test_pools),
        cmocka_unit_test(test_promises),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
