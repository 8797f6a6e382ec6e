/* SPDX-License-Identifier: MIT */
/* The boot map: boot_main is called once, on the boot CPU, by boot.asm, and never returns. */
#include <tarn/boot_info.h>
#include <tarn/console.h>
#include <tarn/domain.h>
#include <tarn/options.h>
#include <tarn/trace.h>
#include <tarn/page.h>
#include <tarn/softirq.h>
#include <tarn/time.h>
#include <x86/acpi.h>
#include <x86/apic.h>
#include <x86/apicid.h>
#include <x86/asm.h>
#include <x86/cpufeature.h>
#include <x86/domains.h>
#include <x86/frames.h>
#include <x86/paging.h>
#include <x86/power.h>
#include <x86/pv.h>
#include <x86/smp.h>
#include <x86/tsc.h>

#include <gen/version.h>

u64 __stack_chk_guard; /* the canary; boot.asm draws it, constant from then on */

struct boot_info boot_info; /* what the loader said; does not change after boot */
/* These from the heap, as the image is small. */
static struct acpi_info *acpi; /* NULL once its readers are done */
static struct topology *topology;
static struct domain *idle_domain;

/* gcc's stack protector calls this when a canary was overwritten. */
__noreturn void __stack_chk_fail(void);
void __stack_chk_fail(void)
{
    panic("stack overflow: a canary was overwritten");
}

static void report(const char *text)
{
    log_warning("%s", text);
}

static void report_option(void *arg, const char *text)
{
    (void)arg;
    log_warning("%s", text);
}

static const void *boot_phys(paddr_t pa)
{
    return pa < boot_mapped ? phys_to_virt(pa) : NULL;
}

static void console_start(void)
{
    console_init();
    log_info("tarn %s", TARN_VERSION);
    log_info("booted by %s, command line: %s",
             boot_info.loader[0] ? boot_info.loader : "an unnamed loader",
             boot_info_args(&boot_info, boot_info.cmdline));
}

static void read_boot_info(u32 magic, paddr_t addr)
{
    const char *why = boot_info_parse(magic, addr, boot_phys, &boot_info);

    if (why) {
        panic("boot information: %s", why);
    }
    /* Twice: the first time for the console, so that the second can complain on it. */
    options_parse(boot_info_args(&boot_info, boot_info.cmdline), NULL, NULL);
    console_start();
    options_parse(boot_info_args(&boot_info, boot_info.cmdline), report_option, NULL);
}

static void *from_heap(size_t size)
{
    void *p = pages_alloc(pages_order(size));

    if (!p) {
        panic("no memory to boot");
    }
    return p;
}

static void make_tables(void)
{
    boot_cmdline = boot_info_args(&boot_info, boot_info.cmdline);
    acpi = from_heap(sizeof(*acpi));
    topology = from_heap(sizeof(*topology));
    idle_domain = from_heap(sizeof(*idle_domain));
    idle_domain->domid = DOMID_IDLE;
    str_copy(idle_domain->name, "idle", sizeof(idle_domain->name));
}

/* The APIC may still be off: CPUID knows its id. */
static u32 boot_apic_id(void)
{
    u32 out[4];

    if (cpu_features.max_leaf >= 0xb) {
        cpuid(0xb, 0, out);
        if (out[1]) {
            return out[3];
        }
    }
    cpuid(1, 0, out);
    return out[1] >> 24;
}

static void read_topology(void)
{
    struct apicid_layout layout = apicid_layout(cpuid);
    struct numa *numa_out = from_heap(sizeof(*numa));
    u32 boot_id = boot_apic_id();

    if (!acpi->has_madt) {
        acpi->apic_id[0] = boot_id;
        acpi->nr_cpus = 1;
    }
    if (topology_build(&layout, boot_id, acpi->apic_id, acpi->nr_cpus, topology, report)) {
        log_warning("the boot cpu, apic %u, is not in the MADT", boot_id);
    }
    numa = numa_out;
    numa_build(&acpi->numa, (u64)nr_frames << PAGE_SHIFT, topology, numa_out, report);
    if (!opt.smt) {
        topology_drop_threads(topology);
    }
    log_debug("apic ids: %u thread bits, %u core bits, by %s", layout.thread_bits, layout.core_bits,
              layout.source);
}

/* Each pcpu's stack, and a vcpu to be idle with. */
static void create_pcpus(void)
{
    u32 n = opt.maxcpus ? MIN(opt.maxcpus, topology->nr_cpus) : topology->nr_cpus;

    for (u32 cpu = 0; cpu < n; cpu++) {
        struct pcpu *p = pcpu_create(cpu, topology->cpu[cpu].apic_id);

        p->idle = vcpu_create_idle(idle_domain, cpu);
        if (!p->idle) {
            panic("no memory for cpu %u", cpu);
        }
        p->curr = p->idle;
        p->loaded_cr3 = virt_to_phys(hv_l4);
    }
}

static const struct sched_ops *policy(void)
{
    const struct sched_ops *ops = sched_policy_find(opt.sched);

    if (!ops) {
        log_warning("option 'sched': there is no scheduler '%s', using credit", opt.sched);
        ops = &sched_credit;
    }
    return ops;
}

/* On the boot CPU's own stack: the rest needs this_pcpu(). */
static __noreturn void boot_on_own_stack(void)
{
    desc_load(this_pcpu());
    console_ring_grow(); /* the ring's news are told through this_pcpu() */
    cpu_setup();
    tsc_init(acpi);
    lapic_init(acpi);
    pages_free(acpi, pages_order(sizeof(*acpi)));
    acpi = NULL;
    smp_boot(topology, opt.maxcpus);
    sched_boot_init(policy(), topology);
    pools_boot();
    if (opt.tbuf_size && (trace_set_size(opt.tbuf_size) || !trace_enable())) {
        log_warning("option 'tbuf_size': not enough memory for the trace");
    }
    domains_boot(&boot_info);
    frames_give_boot_memory(&boot_info);
    log_info("%lu KiB of %lu KiB free", heap_free_frames() * 4, (u64)nr_frames * 4);
    pcpu_idle_loop();
}

static __noreturn void change_stack(struct pcpu *p, void (*fn)(void))
{
    __asm__ volatile("mov %0, %%rsp\n"
                     "xor %%ebp, %%ebp\n"
                     "call *%1\n"
                     "ud2\n"
                     :
                     : "r"(PCPU_STACK_TOP(p)), "r"(fn)
                     : "memory");
    __builtin_unreachable();
}

void boot_main(u32 magic, paddr_t addr);
void boot_main(u32 magic, paddr_t addr)
{
    read_boot_info(magic, addr); /* memory map, modules, options; the console speaks */
    cpu_features_init();
    frames_init(&boot_info); /* frame table, M2P, heap */
    paging_init(&boot_info); /* our own tables, W^X */
    traps_init();            /* IDT */
    make_tables();
    acpi_parse(map_firmware, boot_info.rsdp, acpi, report);
    power_init(acpi);
    read_topology();
    create_pcpus();
    change_stack(pcpus[0], boot_on_own_stack);
}
