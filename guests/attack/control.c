/* SPDX-License-Identifier: MIT */
/*
 * control.c - as domain 0, on all vcpus: domains are made, built, run, looked at, paused, moved and
 * destroyed by chance, all at once and by all vcpus, while CPUs go out of service and come back.
 * The domains run a page of code (victim.c) that makes hypercalls all the time. What the hypervisor
 * must do: answer everything, and have all its memory back at the end.
 *   seed=N count=N    operations, of all vcpus together
 *   cpus=N            CPUs 1 to N-1 are taken out of service and back (default: none)
 *   starve            allocations fail now and then
 * Pools come and go meanwhile (pools.c); at the end a domain must run in each that is left.
 * attack=groups is the same, most of all about who shares whose time (groups.c).
 */
#include "control.h"

#include <tarn.h>
#include <xen/platform.h>

#include "victim.h"

#define NR_FRAMES 16U
#define NR_ALIASES 4U
#define PORTS 4096U

/* What we believe of a domain; vcpus write here without asking each other. */
static struct {
    uint64_t mfn[NR_FRAMES];
    evtchn_port_t port;
} domains[NR_DOMAINS];

static struct actor actors[MAX_VCPUS];
static uint64_t aliases[MAX_VCPUS][NR_ALIASES][512] __attribute__((aligned(4096)));
static uint8_t sink[1 << 18]; /* for answers that nobody reads */
static volatile unsigned long operations;
static unsigned long limit, nr_cpus;
static volatile unsigned int acting;
static bool starve;
static unsigned long built, mapped, updated, typed, forests; /* what came to pass */

/* ---- Short names ---- */

long domctl(struct actor *a, uint32_t cmd, unsigned int domid)
{
    a->domctl.cmd = cmd;
    a->domctl.interface_version = XEN_DOMCTL_INTERFACE_VERSION;
    a->domctl.domain = (domid_t)domid;
    return hypercall2(__HYPERVISOR_domctl, ARG(&a->domctl), 0);
}

long sysctl(struct actor *a, uint32_t cmd)
{
    a->sysctl.cmd = cmd;
    a->sysctl.interface_version = XEN_SYSCTL_INTERFACE_VERSION;
    return hypercall2(__HYPERVISOR_sysctl, ARG(&a->sysctl), 0);
}

static unsigned int some_slot(struct actor *a)
{
    return (unsigned int)below(&a->dice, NR_DOMAINS);
}

unsigned int some_domid(struct actor *a)
{
    static const unsigned int strange[] = { 0, DOMID_SELF, DOMID_IO, DOMID_XEN, 0xffff, 99, 1 };

    return below(&a->dice, 32) ? FIRST_DOMID + some_slot(a) : strange[below(&a->dice, 7)];
}

uint64_t mfn_of(struct actor *a, unsigned int slot)
{
    switch (below(&a->dice, 64)) {
    case 0:
        return below(&a->dice, 0x20000);
    case 1:
        return roll(&a->dice) >> below(&a->dice, 64);
    default:
        return domains[slot].mfn[below(&a->dice, below(&a->dice, 2) ? VICTIM_PAGES : NR_FRAMES)];
    }
}

/* ---- Memory ---- */

static long reserve(int cmd, unsigned int domid, uint64_t *list, unsigned long n,
                    unsigned int order)
{
    struct xen_memory_reservation r = {
        .nr_extents = n,
        .extent_order = order,
        .domid = (domid_t)domid,
    };

    set_xen_guest_handle(r.extent_start, list);
    return memory_op(cmd, &r);
}

static void act_populate(struct actor *a)
{
    unsigned int slot = some_slot(a),
                 order = below(&a->dice, 4) ? 0 : (unsigned int)below(&a->dice, 4);
    unsigned long n = 1 + below(&a->dice, 16);
    long done;

    for (unsigned long i = 0; i < n; i++) {
        a->memory[i] = below(&a->dice, 1024);
    }
    done = reserve(below(&a->dice, 4) ? XENMEM_populate_physmap : XENMEM_increase_reservation,
                   FIRST_DOMID + slot, a->memory, n, order);
    for (long i = 0; i < done; i++) {
        domains[slot].mfn[below(&a->dice, NR_FRAMES)] = a->memory[i];
    }
}

static void act_decrease(struct actor *a)
{
    unsigned int slot = some_slot(a);
    unsigned long n = 1 + below(&a->dice, 4);

    for (unsigned long i = 0; i < n; i++) {
        a->memory[i] = mfn_of(a, slot);
    }
    reserve(XENMEM_decrease_reservation, FIRST_DOMID + slot, a->memory, n, 0);
}

/* ---- Foreign mappings ---- */

uint64_t *some_alias(struct actor *a)
{
    return aliases[a - actors][below(&a->dice, NR_ALIASES)];
}

long map_foreign(uint64_t *alias, uint64_t mfn, unsigned int domid, uint64_t bits)
{
    return hypercall(__HYPERVISOR_update_va_mapping_otherdomain, ARG(alias), mfn * PAGE_SIZE | bits,
                     UVMF_INVLPG | UVMF_LOCAL, domid, 0);
}

static void unmap_foreign(uint64_t *alias)
{
    update_va_mapping(alias, maddr(alias) | PTE_RW, UVMF_INVLPG | UVMF_LOCAL);
}

static void act_map(struct actor *a)
{
    unsigned int slot = some_slot(a);
    uint64_t *alias = some_alias(a);

    if (below(&a->dice, 3) == 0) {
        unmap_foreign(alias);
    } else if (map_foreign(alias, mfn_of(a, slot), some_domid(a),
                           below(&a->dice, 2) ? PTE_RO : PTE_RW) == 0) {
        mapped++;
        a->memory[0] = ((volatile uint64_t *)alias)[below(&a->dice, 512)];
    }
}

/* The shared page, which the domain has from the hypervisor. */
static void act_map_shared(struct actor *a)
{
    unsigned int domid = some_domid(a);

    if (domctl(a, XEN_DOMCTL_getdomaininfo, domid) == 0) {
        map_foreign(some_alias(a), a->domctl.u.getdomaininfo.shared_info_frame, domid,
                    below(&a->dice, 2) ? PTE_RO : PTE_RW);
        if (below(&a->dice, 4) == 0) {
            a->memory[0] = a->domctl.u.getdomaininfo.shared_info_frame;
            reserve(XENMEM_decrease_reservation, domid ? domid : 1, a->memory, 1, 0);
        }
    }
}

/* An entry in a table of a domain, about a frame of the same, another, or ours. */
static void act_update(struct actor *a)
{
    static const uint64_t bits[] = { 0, 0x21, 0x23, 0x25, 0x27, 0x67, 0x167, 0xe7, 0xfff };
    unsigned int slot = some_slot(a), from = below(&a->dice, 8) ? slot : some_slot(a);
    struct mmu_update *u = (void *)a->memory;
    unsigned int n = 1 + (unsigned int)below(&a->dice, below(&a->dice, 4) ? 4 : 32);
    unsigned int owner = below(&a->dice, 16) ? FIRST_DOMID + from : some_domid(a);

    for (unsigned int i = 0; i < n; i++) {
        u[i].ptr = mfn_of(a, slot) * PAGE_SIZE +
                   8 * (below(&a->dice, 2) ? 3 : below(&a->dice, 512)) +
                   (below(&a->dice, 4) ? 0 : below(&a->dice, 4));
        u[i].val = mfn_of(a, from) * PAGE_SIZE | bits[below(&a->dice, 9)];
    }
    updated += mmu_update(u, n, NULL, (FIRST_DOMID + slot + 1) << 16 | owner) == 0;
}

/* As many tables as one call does not check at once: an L2 over 512 L1s that are empty. */
static void act_forest(struct actor *a)
{
    unsigned int slot = some_slot(a), domid = FIRST_DOMID + slot;
    uint64_t *alias = some_alias(a), l2 = domains[slot].mfn[NR_FRAMES - 1], first = 512;
    struct mmuext_op op = { .cmd = MMUEXT_PIN_L2_TABLE, .arg1.mfn = l2 };

    if (reserve(XENMEM_populate_physmap, domid, &first, 1, 9) != 1 ||
        map_foreign(alias, l2, domid, PTE_RW)) {
        return;
    }
    for (unsigned int i = 0; i < 512; i++) {
        alias[i] = (first + i) * PAGE_SIZE | PTE_TABLE;
    }
    unmap_foreign(alias);
    forests += mmuext_op(&op, 1, NULL, domid) == 0;
    if (below(&a->dice, 2)) {
        op.cmd = MMUEXT_UNPIN_TABLE;
        mmuext_op(&op, 1, NULL, domid);
    }
}

static void act_mmuext(struct actor *a)
{
    static const unsigned int commands[] = {
        MMUEXT_PIN_L1_TABLE, MMUEXT_PIN_L2_TABLE,
        MMUEXT_PIN_L3_TABLE, MMUEXT_PIN_L4_TABLE,
        MMUEXT_PIN_L1_TABLE, MMUEXT_UNPIN_TABLE,
        MMUEXT_UNPIN_TABLE,  MMUEXT_CLEAR_PAGE,
        MMUEXT_COPY_PAGE,    MMUEXT_TLB_FLUSH_ALL,
        MMUEXT_NEW_BASEPTR,  MMUEXT_MARK_SUPER,
        MMUEXT_SET_LDT,      99,
    };
    unsigned int slot = some_slot(a), n = 1 + (unsigned int)below(&a->dice, 4);
    struct mmuext_op *op = (void *)a->memory;

    for (unsigned int i = 0; i < n; i++) {
        op[i].cmd = commands[below(&a->dice, sizeof(commands) / sizeof(commands[0]))];
        op[i].arg1.mfn = mfn_of(a, slot);
        op[i].arg2.src_mfn = mfn_of(a, slot);
        if (op[i].cmd <= MMUEXT_PIN_L4_TABLE && below(&a->dice, 2)) {
            op[i].arg1.mfn = domains[slot].mfn[MMUEXT_PIN_L4_TABLE - op[i].cmd];
        }
    }
    typed += mmuext_op(op, n, NULL, FIRST_DOMID + slot) == 0;
}

/* ---- Life ---- */

static long create(struct actor *a, unsigned int domid, uint32_t pool)
{
    struct xen_domctl_createdomain *c = &a->domctl.u.createdomain;

    memset(c, 0, sizeof(*c));
    c->max_vcpus = below(&a->dice, 32) ? 1 + (uint32_t)below(&a->dice, 4)
                                       : (uint32_t)below(&a->dice, 140);
    c->max_evtchn_port = below(&a->dice, 4) ? 1023 : (uint32_t)below(&a->dice, 8);
    c->max_grant_frames = 4;
    c->cpupool_id = pool;
    c->grant_opts = XEN_DOMCTL_GRANT_version(1);
    return domctl(a, XEN_DOMCTL_createdomain, domid);
}

static void act_create(struct actor *a)
{
    create(a, below(&a->dice, 16) ? FIRST_DOMID + some_slot(a) : 0, some_pool(a));
}

static void act_destroy(struct actor *a)
{
    domctl(a, XEN_DOMCTL_destroydomain, some_domid(a));
}

static void start_vcpus(struct actor *a, unsigned int domid, uint64_t l4)
{
    for (unsigned int v = 0; v < 4; v++) {
        victim_context(&a->context, l4, v);
        a->domctl.u.vcpucontext.vcpu = v;
        set_xen_guest_handle(a->domctl.u.vcpucontext.ctxt, &a->context);
        domctl(a, XEN_DOMCTL_setvcpucontext, domid);
    }
}

/* A page of the new domain, filled by us. */
static bool put_page(uint64_t *alias, uint64_t mfn, unsigned int domid,
                     void (*fill)(uint64_t *page, const uint64_t *mfns), const uint64_t *mfns)
{
    if (map_foreign(alias, mfn, domid, PTE_RW)) {
        return false;
    }
    fill(alias, mfns);
    unmap_foreign(alias);
    return true;
}

/* All that a builder does. The others may disturb any step. */
bool build_domain(struct actor *a, unsigned int slot, uint32_t pool)
{
    unsigned int domid = FIRST_DOMID + slot;
    uint64_t mfns[NR_FRAMES];
    bool ok = true;

    if (create(a, domid, pool)) {
        return false;
    }
    a->domctl.u.max_mem.max_memkb = 4 * (NR_FRAMES + below(&a->dice, 2048));
    domctl(a, XEN_DOMCTL_max_mem, domid);
    for (unsigned int i = 0; i < NR_FRAMES; i++) {
        mfns[i] = i;
    }
    if (reserve(XENMEM_populate_physmap, domid, mfns, NR_FRAMES, 0) != NR_FRAMES) {
        return false;
    }
    memcpy(domains[slot].mfn, mfns, sizeof(mfns));
    for (unsigned int i = 0; i < VICTIM_PAGES && ok; i++) {
        ok = !victim_fill[i] || put_page(some_alias(a), mfns[i], domid, victim_fill[i], mfns);
    }
    start_vcpus(a, domid, mfns[0]);
    ok = domctl(a, XEN_DOMCTL_unpausedomain, domid) == 0;
    built += ok;
    return ok;
}

static void act_build(struct actor *a)
{
    build_domain(a, some_slot(a), some_pool(a));
}

static void act_simple(struct actor *a)
{
    static const uint32_t commands[] = {
        XEN_DOMCTL_pausedomain,  XEN_DOMCTL_unpausedomain, XEN_DOMCTL_unpausedomain,
        XEN_DOMCTL_resumedomain, XEN_DOMCTL_getdomaininfo, XEN_DOMCTL_setdomainhandle,
        XEN_DOMCTL_max_vcpus,    XEN_DOMCTL_gettscinfo,
    };
    unsigned int domid = some_domid(a);

    domctl(a, commands[below(&a->dice, sizeof(commands) / sizeof(commands[0]))], domid);
}

/* Whatever it is, with whatever was there before. */
static void act_any(struct actor *a)
{
    unsigned int domid = FIRST_DOMID + some_slot(a);

    for (unsigned int i = 0; i < 8; i++) {
        ((uint64_t *)&a->domctl.u)[i] = below(&a->dice, 2) ? below(&a->dice, 8) : roll(&a->dice);
    }
    domctl(a, (uint32_t)below(&a->dice, 100), domid);
}

static void act_max_mem(struct actor *a)
{
    a->domctl.u.max_mem.max_memkb = below(&a->dice, 8) ? 4 * below(&a->dice, 2048) : roll(&a->dice);
    domctl(a, XEN_DOMCTL_max_mem, FIRST_DOMID + some_slot(a));
}

/* ---- vcpus ---- */

static void act_context(struct actor *a)
{
    unsigned int slot = some_slot(a);
    struct xen_domctl_vcpucontext *c = &a->domctl.u.vcpucontext;

    c->vcpu = (uint32_t)below(&a->dice, 5);
    set_xen_guest_handle(c->ctxt, &a->context);
    switch (below(&a->dice, 4)) {
    case 0:
        domctl(a, XEN_DOMCTL_getvcpucontext, FIRST_DOMID + slot);
        break;
    case 1:
        set_xen_guest_handle(c->ctxt, NULL);
        domctl(a, XEN_DOMCTL_setvcpucontext, FIRST_DOMID + slot);
        break;
    default:
        victim_context(&a->context, mfn_of(a, slot), c->vcpu);
        if (below(&a->dice, 4) == 0) {
            a->context.ctrlreg[1] = xen_pfn_to_cr3(mfn_of(a, slot));
            a->context.gdt_ents = below(&a->dice, 2) ? below(&a->dice, 8192) : 512;
            a->context.gdt_frames[0] = mfn_of(a, slot);
            a->context.flags = (unsigned long)roll(&a->dice);
        }
        domctl(a, XEN_DOMCTL_setvcpucontext, FIRST_DOMID + slot);
    }
}

static void act_affinity(struct actor *a)
{
    struct xen_domctl_vcpuaffinity *f = &a->domctl.u.vcpuaffinity;

    f->vcpu = (uint32_t)below(&a->dice, 5);
    f->flags = (uint32_t)below(&a->dice, 8);
    a->memory[0] = roll(&a->dice);
    a->memory[1] = roll(&a->dice);
    f->cpumap_hard.nr_bits = f->cpumap_soft.nr_bits = (uint32_t)below(&a->dice, 65);
    set_xen_guest_handle(f->cpumap_hard.bitmap, (uint8_t *)&a->memory[0]);
    set_xen_guest_handle(f->cpumap_soft.bitmap, (uint8_t *)&a->memory[1]);
    domctl(a, below(&a->dice, 2) ? XEN_DOMCTL_setvcpuaffinity : XEN_DOMCTL_getvcpuaffinity,
           some_domid(a));
}

static void act_share(struct actor *a)
{
    struct xen_domctl_scheduler_op *s = &a->domctl.u.scheduler_op;

    s->sched_id = XEN_SCHEDULER_CREDIT;
    s->cmd = (uint32_t)below(&a->dice, 3);
    s->u.credit.weight = (uint16_t)roll(&a->dice);
    s->u.credit.cap = (uint16_t)below(&a->dice, 120);
    domctl(a, XEN_DOMCTL_scheduler_op, FIRST_DOMID + some_slot(a));
}

static void act_trigger(struct actor *a)
{
    a->domctl.u.sendtrigger.trigger = (uint32_t)below(&a->dice, 6);
    a->domctl.u.sendtrigger.vcpu = (uint32_t)below(&a->dice, 5);
    domctl(a, XEN_DOMCTL_sendtrigger, FIRST_DOMID + some_slot(a));
}

/* ---- Events ---- */

static void act_event(struct actor *a)
{
    unsigned int slot = some_slot(a);
    struct evtchn_alloc_unbound alloc = {
        .dom = (domid_t)(FIRST_DOMID + slot),
        .remote_dom = below(&a->dice, 4) ? 0 : (domid_t)some_domid(a),
    };
    struct evtchn_status status = { .dom = (domid_t)some_domid(a),
                                    .port = (uint32_t)below(&a->dice, 16) };
    struct evtchn_reset reset = { .dom = (domid_t)(FIRST_DOMID + slot) };

    switch (below(&a->dice, 8)) {
    case 0:
        if (event_op(EVTCHNOP_alloc_unbound, &alloc) == 0) {
            domains[slot].port = alloc.port;
        }
        break;
    case 1:
        event_bind_interdomain((domid_t)(FIRST_DOMID + slot), domains[slot].port);
        break;
    case 2:
        event_close(8 + (evtchn_port_t)below(&a->dice, 100));
        break;
    case 3:
        event_op(EVTCHNOP_status, &status);
        break;
    case 4:
        event_op(EVTCHNOP_reset, &reset);
        break;
    default:
        event_send(8 + (evtchn_port_t)below(&a->dice, 100));
    }
}

/* ---- The machine ---- */

static void act_cpu(struct actor *a)
{
    struct xen_sysctl_cpu_hotplug *h = &a->sysctl.u.cpu_hotplug;
    struct xen_platform_op p = {
        .cmd = below(&a->dice, 2) ? XENPF_cpu_online : XENPF_cpu_offline,
        .interface_version = XENPF_INTERFACE_VERSION,
    };

    if (nr_cpus < 2 || below(&a->dice, 16)) {
        return;
    }
    h->cpu = 1 + (uint32_t)below(&a->dice, nr_cpus - 1);
    h->op = (uint32_t)below(&a->dice, 2);
    if (below(&a->dice, 2)) {
        sysctl(a, XEN_SYSCTL_cpu_hotplug);
    } else {
        p.u.cpu_ol.cpuid = h->cpu;
        hypercall2(__HYPERVISOR_platform_op, ARG(&p), 0);
    }
}

static void act_sysctl(struct actor *a)
{
    static const uint32_t commands[] = {
        XEN_SYSCTL_getdomaininfolist, XEN_SYSCTL_physinfo,    XEN_SYSCTL_getcpuinfo,
        XEN_SYSCTL_cputopoinfo,       XEN_SYSCTL_numainfo,    XEN_SYSCTL_availheap,
        XEN_SYSCTL_sched_id,          XEN_SYSCTL_readconsole,
    };

    memset(&a->sysctl.u, 0, sizeof(a->sysctl.u));
    if (below(&a->dice, 4) == 0) {
        a->sysctl.u.getdomaininfolist.max_domains = 2;
        set_xen_guest_handle(a->sysctl.u.getdomaininfolist.buffer,
                             (xen_domctl_getdomaininfo_t *)a->memory);
        sysctl(a, XEN_SYSCTL_getdomaininfolist);
        return;
    }
    sysctl(a, commands[below(&a->dice, sizeof(commands) / sizeof(commands[0]))]);
}

/* Whatever it is, but for what ends the machine. */
static void act_any_of_machine(struct actor *a)
{
    struct xen_platform_op p = {
        .cmd = (uint32_t)below(&a->dice, 70),
        .interface_version = XENPF_INTERFACE_VERSION,
    };
    uint32_t cmd = (uint32_t)below(&a->dice, 32);

    for (unsigned int i = 0; i < 8; i++) {
        uint64_t some = below(&a->dice, 2) ? below(&a->dice, 8) : roll(&a->dice);

        ((uint64_t *)&a->sysctl.u)[i] = below(&a->dice, 4) ? some : ARG(sink);
        a->memory[i] = ((uint64_t *)&p.u)[i] = some;
    }
    if (cmd != XEN_SYSCTL_debug_keys && cmd != XEN_SYSCTL_cpu_hotplug) {
        sysctl(a, cmd);
    }
    if (p.cmd != XENPF_enter_acpi_sleep && p.cmd != XENPF_cpu_offline) {
        hypercall2(__HYPERVISOR_platform_op, ARG(&p), 0);
    }
    *(domid_t *)a->memory = (domid_t)some_domid(a);
    cmd = (uint32_t)below(&a->dice, 32);
    if (cmd > XENMEM_populate_physmap && cmd != XENMEM_exchange) {
        memory_op((int)cmd, a->memory);
    }
}

static void act_tarn(struct actor *a)
{
    struct tarn_domain_name name = { .domid = (domid_t)some_domid(a), .name = "victim" };
    struct tarn_fail_allocation fail = { .after = 1 + (uint32_t)below(&a->dice, 16) };

    if (name.domid && name.domid < DOMID_FIRST_RESERVED) {
        hypercall2(__HYPERVISOR_tarn_op, 1 + below(&a->dice, 2), ARG(&name));
    }
    if (starve) {
        hypercall2(__HYPERVISOR_tarn_op, TARN_OP_fail_allocation, ARG(&fail));
    }
}

/* ---- All together ---- */

static void (*const all_acts[])(struct actor *) = {
    act_build,     act_build,
    act_build,     act_build,
    act_create,    act_destroy,
    act_populate,  act_decrease,
    act_map,       act_map,
    act_update,    act_update,
    act_update,    act_map_shared,
    act_mmuext,    act_mmuext,
    act_mmuext,    act_mmuext,
    act_forest,    act_simple,
    act_simple,    act_any,
    act_max_mem,   act_context,
    act_context,   act_affinity,
    act_share,     act_event,
    act_event,     act_event,
    act_trigger,   act_cpu,
    act_sysctl,    act_any_of_machine,
    act_tarn,      act_pool,
    act_pool,      act_pool,
    act_realtime,  act_realtime,
    act_pool_tarn, act_credit_pool,
    act_pin,       act_trace,
    act_ring,      act_pool,
    act_pool,      act_pool,
    act_realtime,  act_realtime,
    act_pool,      act_grant_write,
    act_grant_map, act_grant_map,
    act_group,     act_group,
    act_bandwidth, act_emulator,
};

static void (*const group_acts[])(struct actor *) = {
    act_group, act_group, act_group,  act_group,    act_group,     act_group,    act_shell,
    act_shell, act_shell, act_build,  act_destroy,  act_pool,      act_pool,     act_pool_tarn,
    act_share, act_cpu,   act_simple, act_realtime, act_bandwidth, act_emulator, act_affinity,
};

static bool of_groups; /* which of the two lists */

static void one_act(struct actor *a)
{
    if (of_groups) {
        group_acts[below(&a->dice, sizeof(group_acts) / sizeof(group_acts[0]))](a);
    } else {
        all_acts[below(&a->dice, sizeof(all_acts) / sizeof(all_acts[0]))](a);
    }
}

static void act(void)
{
    unsigned int self = vcpu_self();
    struct actor *a = &actors[self];

    upcalls_disable();
    a->dice.state = (arg_number("seed", 1) * 64 + self + 1) * 0x9e3779b97f4a7c15;
    for (;;) {
        unsigned long n = __atomic_add_fetch(&operations, 1, __ATOMIC_SEQ_CST);

        if (n > limit) {
            break;
        }
        if (n % 10000 == 0) {
            printf("attack: %lu operations\n", n);
        }
        one_act(a);
    }
    for (unsigned int i = 0; i < NR_ALIASES; i++) {
        unmap_foreign(aliases[self][i]);
    }
    pin_end();
    __atomic_sub_fetch(&acting, 1, __ATOMIC_SEQ_CST);
}

static unsigned long free_pages(void)
{
    memset(&actors[0].sysctl.u, 0, sizeof(actors[0].sysctl.u));
    return sysctl(&actors[0], XEN_SYSCTL_physinfo) ? 0 : actors[0].sysctl.u.physinfo.free_pages;
}

/* The table of our own ports is as large as it can become. */
static void take_all_ports(void)
{
    for (unsigned int i = 0; i < PORTS && event_alloc_unbound(DOMID_SELF) > 0; i++) {
    }
}

static void close_ports(evtchn_port_t from)
{
    for (evtchn_port_t port = from; port < PORTS; port++) {
        event_close(port);
    }
}

/* The one with the lowest id from `first` on; 0: there is none. */
static unsigned int next_domain(unsigned int first, xen_domctl_getdomaininfo_t *info)
{
    struct actor *a = &actors[0];

    memset(&a->sysctl.u, 0, sizeof(a->sysctl.u));
    a->sysctl.u.getdomaininfolist.first_domain = (domid_t)first;
    a->sysctl.u.getdomaininfolist.max_domains = 1;
    set_xen_guest_handle(a->sysctl.u.getdomaininfolist.buffer, info);
    return sysctl(a, XEN_SYSCTL_getdomaininfolist) == 0 && a->sysctl.u.getdomaininfolist.num_domains
               ? info->domain
               : 0;
}

/* They may hold each other's frames, so none must be left only after the last. */
static void destroy_all(void)
{
    static xen_domctl_getdomaininfo_t info;

    for (unsigned int d = 0; (d = next_domain(d + 1, &info));) {
        domctl(&actors[0], XEN_DOMCTL_destroydomain, d);
    }
    for (unsigned int d = 0; (d = next_domain(d + 1, &info));) {
        printf("attack: domain %u is left with %lu pages\n", d, (unsigned long)info.tot_pages);
    }
}

static void all_cpus_online(void)
{
    for (unsigned int cpu = 1; cpu < nr_cpus; cpu++) {
        actors[0].sysctl.u.cpu_hotplug.cpu = cpu;
        actors[0].sysctl.u.cpu_hotplug.op = XEN_SYSCTL_CPU_HOTPLUG_ONLINE;
        sysctl(&actors[0], XEN_SYSCTL_cpu_hotplug);
    }
}

static unsigned int act_on_all(void)
{
    unsigned int n = vcpu_count(), started = 1;

    acting = 1;
    for (unsigned int v = 1; v < n; v++) {
        __atomic_add_fetch(&acting, 1, __ATOMIC_SEQ_CST);
        if (vcpu_is_up(v) || vcpu_start(v, act)) {
            __atomic_sub_fetch(&acting, 1, __ATOMIC_SEQ_CST);
        } else {
            started++;
        }
    }
    act();
    while (acting) {
        sched_op(SCHEDOP_yield, NULL);
    }
    return started;
}

const char *attack_control(void)
{
    struct tarn_fail_allocation fail = { .after = 0 };
    const char *why, *left;
    unsigned long before, after;
    unsigned int started;
    long port;

    limit = arg_number("count", 20000);
    nr_cpus = arg_number("cpus", 1);
    starve = arg_flag("starve");
    port = event_alloc_unbound(DOMID_SELF);
    take_all_ports();
    close_ports((evtchn_port_t)port);
    pools_begin(&actors[0]);
    why = grant_wild_begin();
    if (why) {
        return why;
    }
    before = free_pages();
    started = act_on_all();
    hypercall2(__HYPERVISOR_tarn_op, TARN_OP_fail_allocation, ARG(&fail));
    all_cpus_online();
    why = grant_wild_end();
    left = groups_end(&actors[0]);
    why = why ? why : left;
    destroy_all();
    why = why ? why : pools_run(&actors[0]);
    destroy_all();
    left = pools_end(&actors[0]);
    why = why ? why : left;
    close_ports((evtchn_port_t)port);
    upcalls_enable();
    after = free_pages();
    printf("attack: %lu domains built, %lu frames mapped, %lu updates, %lu extended ones, "
           "%lu forests\n",
           built, mapped, updated, typed, forests);
    printf("attack: %lu operations by %u vcpus; free pages %lu before, %lu after\n", limit, started,
           before, after);
    return why ? why : before && before == after ? NULL : "memory was lost";
}

const char *attack_groups(void)
{
    of_groups = true;
    return attack_control();
}
