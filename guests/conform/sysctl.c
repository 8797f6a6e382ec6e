/* SPDX-License-Identifier: MIT */
/*
 * sysctl.c - what a control domain asks about the machine: HYPERVISOR_sysctl. Only what does not
 * depend on time or on how much memory there is.
 */
#include "conform.h"

#include <xen/sysctl.h>

#define NR_CPUS_ASKED 64U

static struct xen_sysctl op;
static char name[64];

static long sysctl(uint32_t cmd)
{
    op.cmd = cmd;
    op.interface_version = XEN_SYSCTL_INTERFACE_VERSION;
    return hypercall2(__HYPERVISOR_sysctl, ARG(&op), 0);
}

static void clear(void)
{
    memset(&op, 0, sizeof(op));
}

static const char *numbered(const char *what, unsigned int n)
{
    fmt_snprintf(name, sizeof(name), "%s.%u", what, n);
    return name;
}

static void check_entry(void)
{
    result("sysctl.bad", hypercall2(__HYPERVISOR_sysctl, ARG(BAD_POINTER), 0));
    clear();
    op.cmd = XEN_SYSCTL_physinfo;
    op.interface_version = XEN_SYSCTL_INTERFACE_VERSION - 1;
    result("sysctl.version", hypercall2(__HYPERVISOR_sysctl, ARG(&op), 0));
    result_hex("sysctl.version.kept", op.interface_version);
    op.cmd = 99;
    result("sysctl.version.unknown", hypercall2(__HYPERVISOR_sysctl, ARG(&op), 0));
}

/* Each command with an argument of zeros; what such an argument says is harmless. */
static void check_zeros(void)
{
    static const uint32_t skipped = 1U << XEN_SYSCTL_readconsole | 1U << XEN_SYSCTL_tbuf_op |
                                    1U << XEN_SYSCTL_page_offline_op |
                                    1U << XEN_SYSCTL_pcitopoinfo |
                                    1U << XEN_SYSCTL_get_cpu_featureset |
                                    1U << XEN_SYSCTL_livepatch_op | 1U << XEN_SYSCTL_get_cpu_policy;

    for (uint32_t cmd = 0; cmd < 32; cmd++) {
        if (!(skipped >> cmd & 1)) {
            clear();
            result(numbered("sysctl.zeros", cmd), sysctl(cmd));
        }
    }
    clear();
    result("sysctl.zeros.99", sysctl(99));
}

static void check_physinfo(void)
{
    struct xen_sysctl_physinfo *p = &op.u.physinfo;
    long pages;

    clear();
    result("sysctl.physinfo", sysctl(XEN_SYSCTL_physinfo));
    result("sysctl.physinfo.threads_per_core", p->threads_per_core);
    result("sysctl.physinfo.cores_per_socket", p->cores_per_socket);
    result("sysctl.physinfo.nr_cpus", p->nr_cpus);
    result("sysctl.physinfo.max_cpu_id", p->max_cpu_id);
    result("sysctl.physinfo.nr_nodes", p->nr_nodes);
    result("sysctl.physinfo.khz", p->cpu_khz > 100000);
    result_hex("sysctl.physinfo.pv", p->capabilities & XEN_SYSCTL_PHYSCAP_pv);
    result_hex("sysctl.physinfo.arch", p->arch_capabilities);
    pages = memory_op(XENMEM_maximum_ram_page, NULL);
    result("sysctl.physinfo.total",
           (long)p->total_pages > pages / 2 && (long)p->total_pages <= pages);
    result("sysctl.physinfo.free", p->free_pages > 0 && p->free_pages < p->total_pages);
    result("sysctl.physinfo.scrub", (long)p->scrub_pages);
    result("sysctl.physinfo.outstanding", (long)p->outstanding_pages);
    result("sysctl.physinfo.max_mfn", (long)p->max_mfn > pages / 2 && (long)p->max_mfn <= pages);
    result_hex("sysctl.physinfo.hw_cap.fpu_tsc_msr_pae", p->hw_cap[0] & 0x71);
    result_hex("sysctl.physinfo.hw_cap.sse3", p->hw_cap[1] & 1);
    result_hex("sysctl.physinfo.hw_cap.nx_lm", p->hw_cap[2] & 0x20100000);
    result_hex("sysctl.physinfo.hw_cap.lahf", p->hw_cap[3] & 1);
    result_hex("sysctl.physinfo.hw_cap.unused", p->hw_cap[7]);
}

static void check_topology(void)
{
    static struct xen_sysctl_cputopo topo[NR_CPUS_ASKED];
    struct xen_sysctl_cputopoinfo *t = &op.u.cputopoinfo;
    uint32_t n;

    clear();
    result("sysctl.cputopo.count", sysctl(XEN_SYSCTL_cputopoinfo));
    n = t->num_cpus;
    result("sysctl.cputopo.count.cpus", n);
    memset(topo, 0xee, sizeof(topo));
    t->num_cpus = NR_CPUS_ASKED;
    set_xen_guest_handle(t->cputopo, topo);
    result("sysctl.cputopo", sysctl(XEN_SYSCTL_cputopoinfo));
    result("sysctl.cputopo.cpus", t->num_cpus);
    for (unsigned int i = 0; i <= n && i < NR_CPUS_ASKED; i++) {
        result(numbered("sysctl.cputopo.core", i), (int)topo[i].core);
        result(numbered("sysctl.cputopo.socket", i), (int)topo[i].socket);
        result(numbered("sysctl.cputopo.node", i), (int)topo[i].node);
    }
    t->num_cpus = 1;
    result("sysctl.cputopo.one", sysctl(XEN_SYSCTL_cputopoinfo));
    result("sysctl.cputopo.one.cpus", t->num_cpus);
    t->num_cpus = 0;
    result("sysctl.cputopo.none", sysctl(XEN_SYSCTL_cputopoinfo));
    result("sysctl.cputopo.none.cpus", t->num_cpus);
    t->num_cpus = 1;
    set_xen_guest_handle(t->cputopo, BAD_POINTER);
    result("sysctl.cputopo.bad", sysctl(XEN_SYSCTL_cputopoinfo));
}

static void check_numa(void)
{
    static struct xen_sysctl_meminfo memory[2];
    static uint32_t distance[4] = { 7, 7, 7, 7 };
    struct xen_sysctl_numainfo *n = &op.u.numainfo;

    clear();
    result("sysctl.numa.count", sysctl(XEN_SYSCTL_numainfo));
    result("sysctl.numa.count.nodes", n->num_nodes);
    n->num_nodes = 2;
    set_xen_guest_handle(n->meminfo, memory);
    set_xen_guest_handle(n->distance, distance);
    result("sysctl.numa", sysctl(XEN_SYSCTL_numainfo));
    result("sysctl.numa.nodes", n->num_nodes);
    result("sysctl.numa.memsize", memory[0].memsize > 1 << 20);
    result("sysctl.numa.memfree", memory[0].memfree > 0 && memory[0].memfree < memory[0].memsize);
    result("sysctl.numa.beyond", (long)memory[1].memsize);
    for (unsigned int i = 0; i < 4; i++) {
        result(numbered("sysctl.numa.distance", i), distance[i]);
    }
    n->num_nodes = 0;
    result("sysctl.numa.none", sysctl(XEN_SYSCTL_numainfo));
    result("sysctl.numa.none.nodes", n->num_nodes);
    n->num_nodes = 1;
    set_xen_guest_handle(n->distance, BAD_POINTER);
    result("sysctl.numa.bad_distance", sysctl(XEN_SYSCTL_numainfo));
    set_xen_guest_handle(n->meminfo, BAD_POINTER);
    result("sysctl.numa.bad", sysctl(XEN_SYSCTL_numainfo));
}

static void check_cpuinfo(void)
{
    static struct xen_sysctl_cpuinfo info[NR_CPUS_ASKED];
    struct xen_sysctl_getcpuinfo *c = &op.u.getcpuinfo;
    uint64_t before;

    clear();
    c->max_cpus = NR_CPUS_ASKED;
    set_xen_guest_handle(c->info, info);
    result("sysctl.cpuinfo", sysctl(XEN_SYSCTL_getcpuinfo));
    result("sysctl.cpuinfo.cpus", c->nr_cpus);
    before = info[0].idletime + info[1].idletime;
    clock_sleep(20 * MS);
    result("sysctl.cpuinfo.again", sysctl(XEN_SYSCTL_getcpuinfo));
    result("sysctl.cpuinfo.grows", info[0].idletime + info[1].idletime > before);
    c->max_cpus = 1;
    result("sysctl.cpuinfo.one", sysctl(XEN_SYSCTL_getcpuinfo));
    result("sysctl.cpuinfo.one.cpus", c->nr_cpus);
    set_xen_guest_handle(c->info, BAD_POINTER);
    result("sysctl.cpuinfo.bad", sysctl(XEN_SYSCTL_getcpuinfo));
}

static void check_domains(void)
{
    static struct xen_domctl_getdomaininfo info[2];
    struct xen_sysctl_getdomaininfolist *l = &op.u.getdomaininfolist;

    clear();
    l->max_domains = 2;
    set_xen_guest_handle(l->buffer, info);
    result("sysctl.domains", sysctl(XEN_SYSCTL_getdomaininfolist));
    result("sysctl.domains.num", l->num_domains);
    result("sysctl.domains.first", info[0].domain);
    l->first_domain = 1;
    result("sysctl.domains.from_1", sysctl(XEN_SYSCTL_getdomaininfolist));
    result("sysctl.domains.from_1.num", l->num_domains);
    l->first_domain = DOMID_SELF;
    result("sysctl.domains.self", sysctl(XEN_SYSCTL_getdomaininfolist));
    result("sysctl.domains.self.num", l->num_domains);
    l->first_domain = 0;
    l->max_domains = 0;
    result("sysctl.domains.none", sysctl(XEN_SYSCTL_getdomaininfolist));
    result("sysctl.domains.none.num", l->num_domains);
    l->max_domains = 1;
    set_xen_guest_handle(l->buffer, BAD_POINTER);
    result("sysctl.domains.bad", sysctl(XEN_SYSCTL_getdomaininfolist));
}

static void check_heap(void)
{
    struct xen_sysctl_availheap *h = &op.u.availheap;

    clear();
    h->node = -1;
    result("sysctl.heap", sysctl(XEN_SYSCTL_availheap));
    result("sysctl.heap.some", h->avail_bytes > 0);
    h->node = 0;
    result("sysctl.heap.node_0", sysctl(XEN_SYSCTL_availheap));
    result("sysctl.heap.node_0.some", h->avail_bytes > 0);
    h->node = 5;
    result("sysctl.heap.node_5", sysctl(XEN_SYSCTL_availheap));
    result("sysctl.heap.node_5.bytes", (long)h->avail_bytes);
    h->node = -1;
    h->max_bitwidth = 12;
    result("sysctl.heap.low", sysctl(XEN_SYSCTL_availheap));
    result("sysctl.heap.low.bytes", (long)h->avail_bytes);
}

static long readconsole(char *buffer, uint32_t count, uint32_t index)
{
    clear();
    op.u.readconsole.count = count;
    op.u.readconsole.index = index;
    op.u.readconsole.incremental = 1;
    set_xen_guest_handle(op.u.readconsole.buffer, buffer);
    return sysctl(XEN_SYSCTL_readconsole);
}

static bool all_is(const char *text, char c, size_t n)
{
    while (n && text[n - 1] == c) {
        n--;
    }
    return n == 0;
}

static long press_help(void)
{
    clear();
    set_xen_guest_handle(op.u.debug_keys.keys, "h");
    op.u.debug_keys.nr_keys = 1;
    return sysctl(XEN_SYSCTL_debug_keys);
}

/* The help of the debug keys is what we have it print: both have that. */
static void check_console(void)
{
    static char text[65536], head[64];
    struct xen_sysctl_readconsole *r = &op.u.readconsole;
    uint32_t end, got;

    memset(text, 0x55, sizeof(text));
    result("sysctl.keys.h", press_help());
    result("sysctl.console", readconsole(text, sizeof(text), 0));
    end = r->index;
    got = r->count;
    result("sysctl.console.some", got > 0 && end >= got && got <= sizeof(text));
    result("sysctl.console.rest", all_is(text + got, 0x55, sizeof(text) - got));
    result("sysctl.console.end", readconsole(text, sizeof(text), end));
    result("sysctl.console.end.count", r->count);
    result("sysctl.console.end.index", r->index - end);
    result("sysctl.keys.h.again", press_help());
    result("sysctl.console.more", readconsole(text, sizeof(text), end));
    result("sysctl.console.more.some", r->count > 20 && r->index - end == r->count);
    result("sysctl.console.parts", readconsole(head, sizeof(head), end));
    result("sysctl.console.parts.count", r->count);
    result("sysctl.console.parts.index", r->index - end);
    result("sysctl.console.parts.same", memcmp(head, text, sizeof(head)));
    result("sysctl.console.beyond", readconsole(text, sizeof(text), end + 0x1000000));
    result("sysctl.console.beyond.some", r->count > 20);
    result("sysctl.console.beyond.index", r->index - end < 0x10000);
    result("sysctl.console.size_0", readconsole(head, 0, end));
    result("sysctl.console.size_0.count", r->count);
    result("sysctl.console.bad", readconsole(BAD_POINTER, 64, 0));
}

static void check_console_clear(void)
{
    static char text[65536];
    struct xen_sysctl_readconsole *r = &op.u.readconsole;

    clear();
    r->clear = 1;
    r->count = sizeof(text);
    set_xen_guest_handle(r->buffer, text);
    result("sysctl.console.clear", sysctl(XEN_SYSCTL_readconsole));
    result("sysctl.console.clear.some", r->count > 0);
    result("sysctl.console.cleared", readconsole(text, sizeof(text), 0));
    result("sysctl.console.cleared.count", r->count);
    result("sysctl.console.cleared.index", r->index > 0);
    clear();
    op.u.debug_keys.nr_keys = 1;
    set_xen_guest_handle(op.u.debug_keys.keys, BAD_POINTER);
    result("sysctl.keys.bad", sysctl(XEN_SYSCTL_debug_keys));
}

static long hotplug(uint32_t cpu, uint32_t what)
{
    clear();
    op.u.cpu_hotplug.cpu = cpu;
    op.u.cpu_hotplug.op = what;
    return sysctl(XEN_SYSCTL_cpu_hotplug);
}

/* CPU 1 goes out of service and comes back; the caller may have been on it. */
static void check_hotplug(void)
{
    static struct xen_sysctl_cputopo topo[2];
    static uint8_t map[8];

    result("sysctl.hotplug.offline.1", hotplug(1, XEN_SYSCTL_CPU_HOTPLUG_OFFLINE));
    result("sysctl.hotplug.offline.1.again", hotplug(1, XEN_SYSCTL_CPU_HOTPLUG_OFFLINE));
    clear();
    result("sysctl.hotplug.physinfo", sysctl(XEN_SYSCTL_physinfo));
    result("sysctl.hotplug.physinfo.nr_cpus", op.u.physinfo.nr_cpus);
    result("sysctl.hotplug.physinfo.max_cpu_id", op.u.physinfo.max_cpu_id);
    clear();
    op.u.cputopoinfo.num_cpus = 2;
    set_xen_guest_handle(op.u.cputopoinfo.cputopo, topo);
    result("sysctl.hotplug.topo", sysctl(XEN_SYSCTL_cputopoinfo));
    result("sysctl.hotplug.topo.cpus", op.u.cputopoinfo.num_cpus);
    result("sysctl.hotplug.topo.core", (int)topo[1].core);
    result("sysctl.hotplug.topo.socket", (int)topo[1].socket);
    result("sysctl.hotplug.topo.node", (int)topo[1].node);
    clear();
    op.u.cpupool_op.op = XEN_SYSCTL_CPUPOOL_OP_INFO;
    op.u.cpupool_op.cpumap.nr_bits = 64;
    set_xen_guest_handle(op.u.cpupool_op.cpumap.bitmap, map);
    result("sysctl.hotplug.pool", sysctl(XEN_SYSCTL_cpupool_op));
    result_hex("sysctl.hotplug.pool.cpus", map[0]);
    op.u.cpupool_op.op = XEN_SYSCTL_CPUPOOL_OP_FREEINFO;
    result("sysctl.hotplug.free", sysctl(XEN_SYSCTL_cpupool_op));
    result_hex("sysctl.hotplug.free.cpus", map[0]);
    result("sysctl.hotplug.online.1.back", hotplug(1, XEN_SYSCTL_CPU_HOTPLUG_ONLINE));
    result("sysctl.hotplug.online.1.again", hotplug(1, XEN_SYSCTL_CPU_HOTPLUG_ONLINE));
    clear();
    result("sysctl.hotplug.back", sysctl(XEN_SYSCTL_physinfo));
    result("sysctl.hotplug.back.nr_cpus", op.u.physinfo.nr_cpus);
}

static void check_cpus(void)
{
    static const uint32_t cpus[] = { 0, 1, 99 };

    for (unsigned int i = 0; i < 3; i++) {
        result(numbered("sysctl.hotplug.online", cpus[i]),
               hotplug(cpus[i], XEN_SYSCTL_CPU_HOTPLUG_ONLINE));
    }
    result("sysctl.hotplug.offline.0", hotplug(0, XEN_SYSCTL_CPU_HOTPLUG_OFFLINE));
    result("sysctl.hotplug.offline.99", hotplug(99, XEN_SYSCTL_CPU_HOTPLUG_OFFLINE));
    result("sysctl.hotplug.unknown", hotplug(0, 9));
}

static void check_pool_info(void)
{
    static uint8_t map[8];
    struct xen_sysctl_cpupool_op *p = &op.u.cpupool_op;

    static const uint32_t ids[] = { 0, 1, XEN_SYSCTL_CPUPOOL_PAR_ANY };
    static const char *const names[] = { "0", "1", "any" };

    for (unsigned int i = 0; i < 3; i++) {
        clear();
        memset(map, 0, sizeof(map));
        p->op = XEN_SYSCTL_CPUPOOL_OP_INFO;
        p->cpupool_id = ids[i];
        p->cpumap.nr_bits = 64;
        set_xen_guest_handle(p->cpumap.bitmap, map);
        fmt_snprintf(name, sizeof(name), "sysctl.pool.%s", names[i]);
        result(name, sysctl(XEN_SYSCTL_cpupool_op));
        fmt_snprintf(name, sizeof(name), "sysctl.pool.%s.id", names[i]);
        result(name, (int)p->cpupool_id);
        fmt_snprintf(name, sizeof(name), "sysctl.pool.%s.n_dom", names[i]);
        result(name, p->n_dom);
        fmt_snprintf(name, sizeof(name), "sysctl.pool.%s.cpus", names[i]);
        result_hex(name, map[0]);
    }
    clear();
    p->op = XEN_SYSCTL_CPUPOOL_OP_FREEINFO;
    p->cpumap.nr_bits = 64;
    set_xen_guest_handle(p->cpumap.bitmap, map);
    map[0] = 0xff;
    result("sysctl.pool.free", sysctl(XEN_SYSCTL_cpupool_op));
    result_hex("sysctl.pool.free.cpus", map[0]);
    clear();
    p->op = XEN_SYSCTL_CPUPOOL_OP_INFO;
    p->cpumap.nr_bits = 64;
    set_xen_guest_handle(p->cpumap.bitmap, BAD_POINTER);
    result("sysctl.pool.bad", sysctl(XEN_SYSCTL_cpupool_op));
    clear();
    p->op = 99;
    result("sysctl.pool.unknown", sysctl(XEN_SYSCTL_cpupool_op));
}

static long scheduler(uint32_t cmd, uint32_t pool, uint32_t sched)
{
    op.u.scheduler_op.cmd = cmd;
    op.u.scheduler_op.cpupool_id = pool;
    op.u.scheduler_op.sched_id = sched;
    return sysctl(XEN_SYSCTL_scheduler_op);
}

static long credit_set(uint32_t tslice_ms, uint32_t ratelimit_us, uint32_t migr_delay_us)
{
    struct xen_sysctl_credit_schedule *c = &op.u.scheduler_op.u.sched_credit;

    clear();
    c->tslice_ms = tslice_ms;
    c->ratelimit_us = ratelimit_us;
    c->vcpu_migr_delay_us = migr_delay_us;
    return scheduler(XEN_SYSCTL_SCHEDOP_putinfo, 0, XEN_SCHEDULER_CREDIT);
}

static void check_scheduler(void)
{
    struct xen_sysctl_credit_schedule *c = &op.u.scheduler_op.u.sched_credit;

    clear();
    result("sysctl.sched_id", sysctl(XEN_SYSCTL_sched_id));
    result("sysctl.sched_id.id", op.u.sched_id.sched_id);
    clear();
    result("sysctl.sched.get", scheduler(1, 0, XEN_SCHEDULER_CREDIT));
    result("sysctl.sched.get.tslice", c->tslice_ms);
    result("sysctl.sched.get.ratelimit", c->ratelimit_us);
    result("sysctl.sched.get.migr", c->vcpu_migr_delay_us);
    clear();
    result("sysctl.sched.other", scheduler(1, 0, XEN_SCHEDULER_RTDS));
    clear();
    result("sysctl.sched.no_pool", scheduler(1, 5, XEN_SCHEDULER_CREDIT));
    clear();
    result("sysctl.sched.any_pool", scheduler(1, XEN_SYSCTL_CPUPOOL_PAR_ANY, XEN_SCHEDULER_CREDIT));
    clear();
    result("sysctl.sched.cmd", scheduler(2, 0, XEN_SCHEDULER_CREDIT));
    clear();
    result("sysctl.sched.cmd.no_pool", scheduler(2, 5, XEN_SCHEDULER_CREDIT));
    result("sysctl.sched.put.tslice_0", credit_set(0, 1000, 0));
    result("sysctl.sched.put.tslice_1001", credit_set(1001, 1000, 0));
    result("sysctl.sched.put.ratelimit_99", credit_set(30, 99, 0));
    result("sysctl.sched.put.ratelimit_500001", credit_set(1000, 500001, 0));
    result("sysctl.sched.put.ratelimit_over", credit_set(1, 1001, 0));
    result("sysctl.sched.put.ratelimit_0", credit_set(30, 0, 0));
    result("sysctl.sched.put.migr_over", credit_set(30, 1000, 100001));
    result("sysctl.sched.put", credit_set(20, 2000, 500));
    result("sysctl.sched.put.tslice", c->tslice_ms);
    clear();
    result("sysctl.sched.changed", scheduler(1, 0, XEN_SCHEDULER_CREDIT));
    result("sysctl.sched.changed.tslice", c->tslice_ms);
    result("sysctl.sched.changed.ratelimit", c->ratelimit_us);
    result("sysctl.sched.changed.migr", c->vcpu_migr_delay_us);
    result("sysctl.sched.put.back", credit_set(30, 1000, 0));
}

/* ---- platform_op ---- */

void check_sysctl(void)
{
    check_entry();
    check_zeros();
    check_physinfo();
    check_topology();
    check_numa();
    check_cpuinfo();
    check_domains();
    check_heap();
    check_console();
    check_console_clear();
    check_cpus();
    check_hotplug();
    check_pool_info();
    check_scheduler();
}
