/* SPDX-License-Identifier: MIT */
/*
 * cmd_host.c - the machine and its hypervisor: info, dmesg, debug-keys, CPUs in and out of
 * service.
 */
#include "shell.h"

/* ---- info ---- */

#define MIB_PAGES (1048576UL / PAGE_SIZE)

static void info_machine(void)
{
    out("host                   : %s\n", "tarn");
    out("release                : %s\n", "1");
    out("version                : %s\n", "control domain");
    out("machine                : %s\n", "x86_64");
}

static void info_capabilities(uint32_t caps)
{
    static const struct {
        uint32_t all; /* of these */
        const char *name;
    } names[] = {
        { XEN_SYSCTL_PHYSCAP_pv, "pv" },
        { XEN_SYSCTL_PHYSCAP_hvm, "hvm" },
        { XEN_SYSCTL_PHYSCAP_hvm | XEN_SYSCTL_PHYSCAP_directio, "hvm_directio" },
        { XEN_SYSCTL_PHYSCAP_pv | XEN_SYSCTL_PHYSCAP_directio, "pv_directio" },
        { XEN_SYSCTL_PHYSCAP_hap, "hap" },
        { XEN_SYSCTL_PHYSCAP_shadow, "shadow" },
        { XEN_SYSCTL_PHYSCAP_iommu_hap_pt_share, "iommu_hap_pt_share" },
        { XEN_SYSCTL_PHYSCAP_vmtrace, "vmtrace" },
        { XEN_SYSCTL_PHYSCAP_vpmu, "vpmu" },
        { XEN_SYSCTL_PHYSCAP_gnttab_v1, "gnttab-v1" },
        { XEN_SYSCTL_PHYSCAP_gnttab_v2, "gnttab-v2" },
    };

    out("virt_caps              :");
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        if ((caps & names[i].all) == names[i].all) {
            out(" %s", names[i].name);
        }
    }
    out("\n");
}

/* How many CPUs are in no pool. */
static unsigned int free_cpus(void)
{
    struct xen_sysctl op = { .cmd = XEN_SYSCTL_cpupool_op };
    struct cpumask map = { { 0 } };

    op.u.cpupool_op.op = XEN_SYSCTL_CPUPOOL_OP_FREEINFO;
    cpu_bitmap(&op.u.cpupool_op.cpumap, &map);
    return sysctl(&op) ? 0 : cpumask_weight(&map);
}

static void info_physical(const struct xen_sysctl_physinfo *i)
{
    out("nr_cpus                : %d\n", i->nr_cpus);
    out("max_cpu_id             : %d\n", i->max_cpu_id);
    out("nr_nodes               : %d\n", i->nr_nodes);
    out("cores_per_socket       : %d\n", i->cores_per_socket);
    out("threads_per_core       : %d\n", i->threads_per_core);
    out("cpu_mhz                : %d.%03d\n", i->cpu_khz / 1000, i->cpu_khz % 1000);
    out("hw_caps                : %08x:%08x:%08x:%08x:%08x:%08x:%08x:%08x\n", i->hw_cap[0],
        i->hw_cap[1], i->hw_cap[2], i->hw_cap[3], i->hw_cap[4], i->hw_cap[5], i->hw_cap[6],
        i->hw_cap[7]);
    info_capabilities(i->capabilities);
    out("total_memory           : %lu\n", i->total_pages / MIB_PAGES);
    out("free_memory            : %lu\n", i->free_pages / MIB_PAGES);
    out("sharing_freed_memory   : %lu\n", 0UL);
    out("sharing_used_memory    : %lu\n", 0UL);
    out("outstanding_claims     : %lu\n", i->outstanding_pages / MIB_PAGES);
    out("free_cpus              : %d\n", free_cpus());
}

static void info_topology(void)
{
    const struct xen_sysctl_cputopo *topology;
    uint32_t nr;
    long rc = cpu_topology(&topology, &nr);

    if (rc) {
        fail_errno(rc, "topology of the CPUs");
        return;
    }
    out("cpu_topology           :\ncpu:    core    socket     node\n");
    for (uint32_t cpu = 0; cpu < nr; cpu++) {
        if (topology[cpu].core != XEN_INVALID_CORE_ID) {
            out("%3d:    %4d     %4d     %4d\n", cpu, topology[cpu].core, topology[cpu].socket,
                topology[cpu].node);
        }
    }
    out("device topology        :\ndevice           node\nNo device topology data available\n");
}

#define NODES_MAX 16u

static void info_numa(void)
{
    static struct xen_sysctl_meminfo memory[NODES_MAX];
    static uint32_t distance[NODES_MAX * NODES_MAX];
    struct xen_sysctl op = { .cmd = XEN_SYSCTL_numainfo };
    uint32_t n;
    long rc;

    op.u.numainfo.num_nodes = NODES_MAX;
    set_xen_guest_handle(op.u.numainfo.meminfo, memory);
    set_xen_guest_handle(op.u.numainfo.distance, distance);
    rc = sysctl(&op);
    if (rc) {
        fail_errno(rc, "memory nodes");
        return;
    }
    n = MIN(op.u.numainfo.num_nodes, NODES_MAX);
    out("numa_info              :\nnode:    memsize    memfree    distances\n");
    for (uint32_t i = 0; i < n; i++) {
        out("%4d:    %6lu     %6lu      %d", i, memory[i].memsize >> 20, memory[i].memfree >> 20,
            distance[i * n]);
        for (uint32_t j = 1; j < n; j++) {
            out(",%d", distance[i * n + j]);
        }
        out("\n");
    }
}

static const char *default_scheduler(void)
{
    struct xen_sysctl op = { .cmd = XEN_SYSCTL_sched_id };

    return sysctl(&op) ? "unknown" : scheduler_name(op.u.sched_id.sched_id);
}

static const char *version_text(int what)
{
    static char text[1024 + 1];

    memset(text, 0, sizeof(text));
    return xen_version(what, text) < 0 ? "" : text;
}

static void info_build_id(void)
{
    static uint64_t room[8];
    struct xen_build_id *id = (struct xen_build_id *)room;
    long n;

    id->len = sizeof(room) - sizeof(*id);
    n = xen_version(XENVER_build_id, id);
    out("build_id               : ");
    for (long i = 0; i < MIN(n, (long)(sizeof(room) - sizeof(*id))); i++) {
        out("%02x", id->buf[i]);
    }
    out("\n");
}

static void info_version(void)
{
    struct xen_platform_parameters platform = { 0 };
    struct xen_compile_info compiled = { "", "", "", "" };
    long version = xen_version(XENVER_version, NULL);
    int major = (int)(version >> 16), minor = (int)(version & 0xffff);

    xen_version(XENVER_platform_parameters, &platform);
    xen_version(XENVER_compile_info, &compiled);
    out("xen_major              : %d\n", major);
    out("xen_minor              : %d\n", minor);
    out("xen_extra              : %s\n", version_text(XENVER_extraversion));
    out("xen_version            : %d.%d%s\n", major, minor, version_text(XENVER_extraversion));
    out("xen_caps               : %s\n", version_text(XENVER_capabilities));
    out("xen_scheduler          : %s\n", default_scheduler());
    out("xen_pagesize           : %u\n", (unsigned int)xen_version(XENVER_pagesize, NULL));
    out("platform_params        : virt_start=0x%lx\n", platform.virt_start);
    out("xen_changeset          : %s\n", version_text(XENVER_changeset));
    out("xen_commandline        : %s\n", version_text(XENVER_commandline));
    out("cc_compiler            : %.64s\n", compiled.compiler);
    out("cc_compile_by          : %.16s\n", compiled.compile_by);
    out("cc_compile_domain      : %.32s\n", compiled.compile_domain);
    out("cc_compile_date        : %.32s\n", compiled.compile_date);
    info_build_id();
    out("xend_config_format     : 4\n");
}

static int run_info(int argc, char **argv)
{
    struct xen_sysctl_physinfo physical;
    struct options o;
    uint64_t numa;
    long rc;

    if (!options_flags(&o, argc, argv, "n", "numa=n", &numa) || o.nr_rest) {
        return USAGE;
    }
    rc = physinfo_get(&physical);
    info_machine();
    if (rc) {
        return fail_errno(rc, "the machine");
    }
    info_physical(&physical);
    if (numa) {
        info_topology();
        info_numa();
    }
    info_version();
    return 0;
}

const struct command cmd_info = {
    .name = "info",
    .usage = "[-n]",
    .help = "the machine and its hypervisor (-n: CPUs and memory nodes)",
    .run = run_info,
};

/* ---- dmesg ---- */

/* Reads from *index on; how many bytes or -errno. */
static long log_read(char *text, uint32_t size, uint32_t *index, bool clear)
{
    struct xen_sysctl op = { .cmd = XEN_SYSCTL_readconsole };
    long rc;

    op.u.readconsole.clear = clear;
    op.u.readconsole.incremental = 1;
    op.u.readconsole.index = *index;
    op.u.readconsole.count = size;
    set_xen_guest_handle(op.u.readconsole.buffer, text);
    rc = sysctl(&op);
    *index = op.u.readconsole.index;
    return rc ? rc : (long)op.u.readconsole.count;
}

static int run_dmesg(int argc, char **argv)
{
    static char text[4096];
    struct options o;
    uint32_t index = 0;
    uint64_t clear;
    long n;

    if (!options_flags(&o, argc, argv, "c", NULL, &clear) || o.nr_rest) {
        return USAGE;
    }
    /* A console that shows this may log it: no more than the log had at first. */
    for (size_t total = 0; total < 1UL << 20; total += (size_t)n) {
        n = log_read(text, sizeof(text), &index, false);
        if (n <= 0) {
            break;
        }
        out_bytes(text, (size_t)n);
        if (n < (long)sizeof(text)) {
            break;
        }
    }
    if (n >= 0 && clear) {
        n = log_read(text, sizeof(text), &index, true);
    }
    return n < 0 ? fail_errno(n, "the hypervisor's log") : 0;
}

const struct command cmd_dmesg = {
    .name = "dmesg",
    .usage = "[-c]",
    .help = "the hypervisor's log (-c: clear it)",
    .run = run_dmesg,
};

/* ---- debug-keys ---- */

static int run_debug_keys(int argc, char **argv)
{
    struct xen_sysctl op = { .cmd = XEN_SYSCTL_debug_keys };
    long rc;

    if (argc != 2) {
        return USAGE;
    }
    set_xen_guest_handle(op.u.debug_keys.keys, argv[1]);
    op.u.debug_keys.nr_keys = (uint32_t)strlen(argv[1]);
    rc = sysctl(&op);
    return rc ? fail_errno(rc, "cannot send debug keys: %s", argv[1]) : 0;
}

const struct command cmd_debug_keys = {
    .name = "debug-keys",
    .usage = "KEYS",
    .help = "have the hypervisor print its state into its log; h tells the keys",
    .run = run_debug_keys,
};

/* ---- cpu-online, cpu-offline ---- */

static int hotplug(int argc, char **argv, uint32_t op)
{
    struct xen_sysctl s = { .cmd = XEN_SYSCTL_cpu_hotplug };
    uint64_t cpu;
    long rc;

    if (argc != 2) {
        return USAGE;
    }
    if (!number_parse(argv[1], NR_CPUS - 1, &cpu)) {
        return fail("%s: no number of a CPU (EINVAL)", argv[1]);
    }
    s.u.cpu_hotplug.cpu = (uint32_t)cpu;
    s.u.cpu_hotplug.op = op;
    rc = sysctl(&s);
    return rc ? fail_errno(rc, "CPU %lu", cpu) : 0;
}

static int run_cpu_online(int argc, char **argv)
{
    return hotplug(argc, argv, XEN_SYSCTL_CPU_HOTPLUG_ONLINE);
}

static int run_cpu_offline(int argc, char **argv)
{
    return hotplug(argc, argv, XEN_SYSCTL_CPU_HOTPLUG_OFFLINE);
}

const struct command cmd_cpu_online = {
    .name = "cpu-online",
    .usage = "CPU",
    .help = "bring a CPU into service; it goes to Pool-0, or back to its pool (hotplug=)",
    .run = run_cpu_online,
};

const struct command cmd_cpu_offline = {
    .name = "cpu-offline",
    .usage = "CPU",
    .help = "take a CPU of Pool-0, or a free one, out of service",
    .run = run_cpu_offline,
};
