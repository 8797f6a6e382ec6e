/* SPDX-License-Identifier: MIT */
/*
 * The pools of the command line: each cpupool= option takes its CPUs from Pool-0. One that is wrong
 * is reported, a line for each mistake, and not made. Runs once, before there are domains; the
 * other CPUs are in their idle loops.
 */
#include <tarn/boot_info.h>
#include <tarn/cmdline.h>
#include <tarn/console.h>
#include <tarn/cpulist.h>
#include <tarn/domain.h>
#include <tarn/errno.h>
#include <tarn/options.h>
#include <tarn/pcpu.h>
#include <x86/domains.h>

#define LIST_MAX 64

static void complain(void *arg, const char *text)
{
    log_warning("option 'cpupool': '%.40s': %s", (const char *)arg, text);
}

static void __printf(2, 3) wrong(const char *option, const char *fmt, ...)
{
    char text[128];
    va_list ap;

    va_start(ap, fmt);
    fmt_vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    complain((void *)(uintptr_t)option, text);
}

static void wrong_cpus(const char *option, const struct cpumask *cpus, const char *what)
{
    char list[LIST_MAX];

    cpulist_format(list, sizeof(list), cpus, NR_CPUS + 1);
    wrong(option, "cpu %s %s", list, what);
}

/* What the list names, when all of it can be taken. */
static bool find_cpus(const char *option, const char *list, struct cpumask *cpus)
{
    u32 node[NR_CPUS];
    struct cpu_host host = { .nr_cpus = nr_pcpus, .node = node };
    struct cpumask missing, taken;
    const char *why;

    for (u32 cpu = 0; cpu < nr_pcpus; cpu++) {
        node[cpu] = pool0.topology->cpu[cpu].node;
    }
    why = cpulist_parse(list, &host, cpus);
    if (why) {
        complain((void *)(uintptr_t)option, why);
        return false;
    }
    missing = taken = *cpus;
    cpumask_for_each(cpu, cpus) {
        struct sched_pool *p = pcpus[cpu]->pool;

        if (cpumask_test(&cpu_online_map, cpu)) {
            cpumask_clear(&missing, cpu);
        }
        if (!p || p == &pool0) {
            cpumask_clear(&taken, cpu);
        }
    }
    if (!cpumask_empty(&missing)) {
        wrong_cpus(option, &missing, "did not start");
    } else if (!cpumask_empty(&taken)) {
        wrong_cpus(option, &taken, "is in another pool");
    } else if (cpumask_test(cpus, 0)) {
        complain((void *)(uintptr_t)option, "cpu 0 stays in Pool-0");
    } else {
        return true;
    }
    return false;
}

static bool name_is_taken(const char *name)
{
    struct sched_pool *p = pool_get_by_name(name);

    if (p) {
        pool_put(p);
    }
    return p;
}

static void set_params(struct sched_pool *p, const struct pool_option *o)
{
    struct sched_params params;

    sched_params_get(p, &params);
    params.tslice_us = o->tslice_ms ? o->tslice_ms * 1000 : params.tslice_us;
    params.ratelimit_us = o->ratelimit_us != ~0u ? o->ratelimit_us : params.ratelimit_us;
    (void)sched_params_set(p, &params);
}

/* They leave Pool-0 by themselves, in their idle loops. */
static void move_cpus(u32 pool, const struct cpumask *cpus)
{
    cpumask_for_each(cpu, cpus) {
        while (pool_take_cpu(0, cpu) == -ERESTART) {
            arch_spin_service();
        }
        (void)pool_give_cpu(pool, cpu);
    }
}

static void make(const char *option, const struct pool_option *o, const struct sched_ops *ops,
                 const struct cpumask *cpus)
{
    u32 id = POOL_ANY;
    long rc = pool_create(&id, ops->id);
    struct sched_pool *p;

    if (rc == -ENOSPC) {
        wrong(option, "there are too many pools");
        return;
    }
    if (rc) {
        wrong(option, "error %ld", -rc);
        return;
    }
    (void)pool_rename(id, o->name);
    p = pool_get(id);
    set_params(p, o);
    pool_put(p);
    move_cpus(id, cpus);
}

static const char *parse_cpupool(const char *value, void *dest)
{
    const struct sched_ops *ops;
    struct pool_option o;
    struct cpumask cpus;

    (void)dest;
    if (pool_option_parse(value, &o, complain, (void *)(uintptr_t)value)) {
        return NULL;
    }
    ops = sched_policy_find(o.sched[0] ? o.sched : pool0.ops->name);
    if (!ops) {
        wrong(value, "there is no scheduler '%s'", o.sched);
    } else if (name_is_taken(o.name)) {
        wrong(value, "there is a pool '%s'", o.name);
    } else if (find_cpus(value, o.cpus, &cpus)) {
        make(value, &o, ops, &cpus);
    }
    return NULL;
}

void pools_boot(void)
{
    const struct param params[] = {
        { .name = "cpupool", .type = PARAM_CUSTOM, .parse = parse_cpupool },
    };
    struct sched_pool *p;

    /* The other options were dealt with. */
    (void)cmdline_parse(boot_cmdline, params, ARRAY_SIZE(params), NULL, NULL);
    for (u32 id = 0; (p = pool_get_from(id)); id = p->id + 1) {
        log_info("%s: %u cpus, scheduler %s", p->name, cpumask_weight(&p->cpus), p->ops->name);
        pool_put(p);
    }
}
