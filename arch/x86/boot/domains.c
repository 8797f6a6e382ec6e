/* SPDX-License-Identifier: MIT */
/*
 * Domains made at boot. Module 0 is dom0, unless dom0=none; a module without name= right behind it
 * is its initrd. Each other module with name= is a domain of its own. What is wrong with one is
 * reported by name, and the rest boots. Runs once, before the first guest does.
 */
#include <tarn/boot_info.h>
#include <tarn/console.h>
#include <tarn/domain.h>
#include <tarn/numa.h>
#include <tarn/options.h>
#include <tarn/page.h>
#include <x86/domains.h>
#include <x86/frames.h>
#include <x86/pv.h>

#define RESERVE_PAGES 1024u /* kept for ourselves when dom0 gets all that is left */

struct plan {
    const struct boot_module *kernel, *initrd;
    struct module_options o;
    const char *args; /* dom0: the guest's own command line */
    bool dom0;
};

static void report(void *arg, const char *text)
{
    const struct plan *p = arg;

    log_warning("module %s: %s", p->o.name[0] ? p->o.name : p->kernel->string, text);
}

static const void *module_data(const struct boot_module *m)
{
    return phys_to_virt(m->start);
}

/* A module's file name: the first word of its string, without folders. */
static void module_name(const struct boot_module *m, char *name, size_t size)
{
    const char *start = m->string;
    size_t len = 0;

    while (start[len] && start[len] != ' ') {
        if (start[len] == '/') {
            start += len + 1;
            len = 0;
            continue;
        }
        len++;
    }
    str_copy(name, start, MIN(size, len + 1));
}

static const struct boot_module *module_by_file(const struct boot_info *bi, const char *file)
{
    char name[64];

    for (u32 i = 0; i < bi->nr_modules; i++) {
        module_name(&bi->module[i], name, sizeof(name));
        if (strcmp(name, file) == 0) {
            return &bi->module[i];
        }
    }
    return NULL;
}

/* Once all are built: a first one that powers the machine off would take the rest with it. */
static void start_all(void)
{
    list_for_each(l, &domain_list) {
        struct domain *d = list_entry(l, struct domain, link);

        vcpu_up(d->vcpu[0]);
        (void)domain_control_unpause(d);
    }
}

/* It can't be built. */
static void give_up(struct domain *d)
{
    domain_get(d);
    while (domain_destroy(d)) {
    }
    domain_put(d);
}

/* The CPUs that dom0 is made for: Pool-0's, those of its nodes. */
static struct cpumask dom0_cpus(void)
{
    struct cpumask cpus = pool0.cpus;

    cpumask_for_each(cpu, &pool0.cpus) {
        if (opt.dom0_nodes && !(opt.dom0_nodes >> pool0.topology->cpu[cpu].node & 1)) {
            cpumask_clear(&cpus, cpu);
        }
    }
    return cpus;
}

/* dom0_nodes= as the machine is; when nothing is left it doesn't count. */
static void check_dom0_nodes(void)
{
    u64 known = ~0UL >> (NR_NODES - numa->nr_nodes);
    struct cpumask cpus;

    if (opt.dom0_nodes & ~known) {
        log_warning("option 'dom0_nodes': the last node is %u", numa->nr_nodes - 1);
        opt.dom0_nodes &= known;
    }
    cpus = dom0_cpus();
    if (cpumask_empty(&cpus)) {
        log_warning("option 'dom0_nodes': no cpu of Pool-0 is there");
        opt.dom0_nodes = 0;
    }
}

/* vcpu n on the nth of its CPUs, and from the first on again when there are more. */
static void pin_dom0(struct domain *d, const struct cpumask *cpus, const struct cpumask *soft)
{
    u32 cpu = cpumask_first(cpus);

    for (u32 i = 0; i < d->max_vcpus; i++) {
        struct cpumask one;

        cpumask_clear_all(&one);
        cpumask_set(&one, cpu);
        sched_set_affinity(d->vcpu[i], &one, soft);
        cpu = cpumask_next(cpus, cpu + 1);
        cpu = cpu < NR_CPUS ? cpu : cpumask_first(cpus);
    }
}

static void set_affinity(struct domain *d, const struct plan *p)
{
    const struct cpumask *hard = &p->o.cpus, *soft = &p->o.cpus_soft;
    struct cpumask cpus = dom0_cpus();

    if (p->dom0 && opt.dom0_vcpus_pin) {
        pin_dom0(d, &cpus, soft);
        return;
    }
    if (p->dom0 && opt.dom0_nodes) {
        *(opt.dom0_relaxed ? &soft : &hard) = &cpus;
    }
    for (u32 i = 0; i < d->max_vcpus; i++) {
        sched_set_affinity(d->vcpu[i], hard, soft);
    }
}

static bool name_is_taken(const char *name)
{
    list_for_each(l, &domain_list) {
        if (strcmp(list_entry(l, struct domain, link)->name, name) == 0) {
            return true;
        }
    }
    return false;
}

/* In its pool; NULL: that was reported. */
static struct domain *create(domid_t domid, const struct plan *p)
{
    struct sched_pool *pool = pool_get_by_name(p->o.pool);
    struct domain *d = NULL;
    int rc;

    if (name_is_taken(p->o.name)) {
        log_error("domain %u (%s) refused: there is a domain of that name", domid, p->o.name);
    } else if (!pool) {
        log_error("domain %u (%s) refused: there is no pool '%s'", domid, p->o.name, p->o.pool);
    } else if (!cpumask_intersects(&p->o.cpus, &pool->cpus)) {
        log_error("domain %u (%s) refused: cpus= names no cpu of %s", domid, p->o.name, pool->name);
    } else {
        d = domain_create(domid, p->o.name, p->o.vcpus, pool, p->o.weight, p->o.cap, &rc);
        if (!d) {
            log_error("domain %u (%s) refused: error %d while it was created", domid, p->o.name,
                      -rc);
        }
    }
    if (pool) {
        pool_put(pool);
    }
    return d;
}

static void make_domain(domid_t domid, const struct plan *p)
{
    struct build_image img = {
        .kernel = module_data(p->kernel),
        .kernel_size = p->kernel->end - p->kernel->start,
        .initrd = p->initrd ? module_data(p->initrd) : NULL,
        .initrd_size = p->initrd ? p->initrd->end - p->initrd->start : 0,
        .cmdline = p->dom0 ? p->args : p->o.cmdline,
    };
    struct domain *d;
    const char *why;

    d = create(domid, p);
    if (!d) {
        return;
    }
    d->privileged = p->dom0;
    why = domain_build(d, &img, p->o.memory);
    if (why) {
        log_error("domain %u (%s) refused: %s", domid, p->o.name, why);
        give_up(d);
        return;
    }
    set_affinity(d, p);
    log_info("domain %u (%s): %u vcpus, %u KiB, weight %u, cap %u", domid, d->name, d->max_vcpus,
             d->tot_pages * 4, d->sched.weight, d->sched.cap);
}

/* What is left for dom0 when all the others that can be made have theirs. */
static u64 rest_of_memory(const struct plan *plans, u32 n)
{
    u64 pages = heap_free_frames(), taken = RESERVE_PAGES + pages / 256;

    for (u32 i = 0; i < n; i++) {
        u64 wanted = (plans[i].o.memory >> PAGE_SHIFT) + plans[i].o.vcpus * 4UL;

        if (taken + wanted < pages) {
            taken += wanted;
        }
    }
    return (pages > taken ? pages - taken : 0) << PAGE_SHIFT;
}

static void plan_dom0(struct plan *p, const struct boot_info *bi)
{
    struct cpumask cpus;
    u32 vcpus;

    check_dom0_nodes();
    cpus = dom0_cpus();
    vcpus = MAX(cpumask_weight(&cpus), opt.dom0_min_vcpus);

    module_options_parse("", &p->o, NULL, NULL);
    str_copy(p->o.name, "Domain-0", sizeof(p->o.name));
    p->dom0 = true;
    p->kernel = &bi->module[0];
    p->args = boot_info_args(bi, p->kernel->string);
    p->o.vcpus = MIN(vcpus, opt.dom0_max_vcpus ? opt.dom0_max_vcpus : (u32)MAX_VCPUS);
}

/* `scratch` is overwritten. */
static bool is_domain(const struct boot_info *bi, u32 module, struct plan *scratch)
{
    module_options_parse(boot_info_args(bi, bi->module[module].string), &scratch->o, NULL, NULL);
    return scratch->o.name[0] != 0;
}

/* Fill plans with the domains that the modules are; returns how many. plans[0] is dom0 if there is
 * one. */
static u32 plan_domains(const struct boot_info *bi, struct plan *plans)
{
    u32 n = 0, i = 0;

    if (!opt.no_dom0 && bi->nr_modules) {
        plan_dom0(&plans[n], bi);
        i++;
        if (i < bi->nr_modules && !is_domain(bi, i, &plans[n + 1])) {
            plans[n].initrd = &bi->module[i++];
        }
        n++;
    }
    for (; i < bi->nr_modules; i++) {
        struct plan *p = &plans[n];

        if (!is_domain(bi, i, p)) {
            continue; /* perhaps somebody's ramdisk= */
        }
        p->kernel = &bi->module[i];
        module_options_parse(boot_info_args(bi, p->kernel->string), &p->o, report, p);
        if (p->o.ramdisk[0]) {
            p->initrd = module_by_file(bi, p->o.ramdisk);
            if (!p->initrd) {
                report(p, "there is no module of the name that ramdisk= gives");
            }
        }
        n++;
    }
    return n;
}

void domains_boot(const struct boot_info *bi)
{
    u32 order = pages_order(sizeof(struct plan) * BOOT_MAX_MODULES), n;
    struct plan *plans = pages_alloc(order);

    if (!plans) {
        panic("no memory to plan the domains");
    }
    n = plan_domains(bi, plans);
    if (n && plans[0].dom0) {
        plans[0].o.memory = opt.dom0_mem ? opt.dom0_mem : rest_of_memory(plans + 1, n - 1);
    }
    for (u32 i = 0; i < n; i++) {
        make_domain((domid_t)(plans[0].dom0 ? i : i + 1), &plans[i]);
    }
    if (n == 0) {
        log_info("no domain to boot");
    }
    pages_free(plans, order);
    start_all();
}
