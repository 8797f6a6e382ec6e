/* SPDX-License-Identifier: MIT */
/*
 * trace.c - the trace buffers: XEN_SYSCTL_tbuf_op, the rings as a control domain maps them
 * (DOMID_XEN), and the records that a vcpu's own deeds leave. Rings can be made once in a machine's
 * life, so cases before that come first.
 */
#include "conform.h"

#include <xen/sysctl.h>
#include <xen/trace.h>

#define READ_ONLY 0x21UL
#define WRITABLE 0x63UL
#define RING_PAGES 2U

static struct xen_sysctl op;
static volatile char info_copy[PAGE_SIZE] __attribute__((aligned(4096)));
static volatile char ring_area[RING_PAGES * PAGE_SIZE] __attribute__((aligned(4096)));
static struct t_buf *const ring = (struct t_buf *)(void *)ring_area;
static uint64_t info_mfn;
static uint32_t ring_mfn[RING_PAGES];

static long tbuf(uint32_t cmd)
{
    op.cmd = XEN_SYSCTL_tbuf_op;
    op.interface_version = XEN_SYSCTL_INTERFACE_VERSION;
    op.u.tbuf_op.cmd = cmd;
    return hypercall2(__HYPERVISOR_sysctl, ARG(&op), 0);
}

static void clear(void)
{
    memset(&op, 0, sizeof(op));
}

static long set_size(uint32_t pages)
{
    clear();
    op.u.tbuf_op.size = pages;
    return tbuf(XEN_SYSCTL_TBUFOP_set_size);
}

static long set_events(uint32_t mask)
{
    clear();
    op.u.tbuf_op.evt_mask = mask;
    return tbuf(XEN_SYSCTL_TBUFOP_set_evt_mask);
}

static long set_cpus(uint8_t *map, uint32_t bits)
{
    clear();
    set_xen_guest_handle(op.u.tbuf_op.cpu_mask.bitmap, map);
    op.u.tbuf_op.cpu_mask.nr_bits = bits;
    return tbuf(XEN_SYSCTL_TBUFOP_set_cpu_mask);
}

static void check_before(void)
{
    static uint8_t all[2] = { 0xff, 0xff };

    clear();
    result("trace.info", tbuf(XEN_SYSCTL_TBUFOP_get_info));
    result("trace.info.mfn", op.u.tbuf_op.buffer_mfn != 0);
    result("trace.info.size", op.u.tbuf_op.size);
    result_hex("trace.info.events", op.u.tbuf_op.evt_mask);
    clear();
    result("trace.enable.early", tbuf(XEN_SYSCTL_TBUFOP_enable));
    result("trace.disable.early", tbuf(XEN_SYSCTL_TBUFOP_disable));
    result("trace.unknown", tbuf(6));
    result("trace.unknown.99", tbuf(99));
    result("trace.events", set_events(TRC_SCHED));
    clear();
    tbuf(XEN_SYSCTL_TBUFOP_get_info);
    result_hex("trace.events.read", op.u.tbuf_op.evt_mask);
    result("trace.events.none", set_events(0));
    result("trace.cpus.bad", set_cpus(BAD_POINTER, 16));
    result("trace.cpus.none", set_cpus(all, 0));
    result("trace.cpus", set_cpus(all, 16));
    result("trace.size.none", set_size(0));
}

static long map(volatile char *where, uint64_t mfn, unsigned long flags, domid_t domid)
{
    return hypercall(__HYPERVISOR_update_va_mapping_otherdomain, ARG(where),
                     mfn * PAGE_SIZE | flags, UVMF_INVLPG, domid, 0);
}

static void unmap(volatile char *where)
{
    update_va_mapping(where, virt_to_mfn(where) * PAGE_SIZE | WRITABLE, UVMF_INVLPG);
}

static void check_size(void)
{
    result("trace.size", set_size(RING_PAGES));
    result("trace.size.same", set_size(RING_PAGES));
    result("trace.size.more", set_size(2 * RING_PAGES));
    result("trace.size.zero", set_size(0));
    clear();
    result("trace.made", tbuf(XEN_SYSCTL_TBUFOP_get_info));
    info_mfn = op.u.tbuf_op.buffer_mfn;
    result("trace.made.mfn", info_mfn != 0);
    result("trace.made.size", op.u.tbuf_op.size);
}

static void check_map(void)
{
    const struct t_info *info = (const void *)info_copy;

    result("trace.map.info", map(info_copy, info_mfn, READ_ONLY, DOMID_XEN));
    result("trace.map.info.pages", info->tbuf_size);
    result("trace.map.info.offset", info->mfn_offset[0] != 0);
    result("trace.map.info.apart", info->mfn_offset[1] - info->mfn_offset[0]);
    for (unsigned int i = 0; i < RING_PAGES; i++) {
        ring_mfn[i] = ((const uint32_t *)info)[info->mfn_offset[0] + i];
        result("trace.map.ring", map(ring_area + i * PAGE_SIZE, ring_mfn[i], WRITABLE, DOMID_XEN));
    }
    result("trace.map.ring.read_only", map(scratch_page, ring_mfn[0], READ_ONLY, DOMID_XEN));
    result("trace.map.info.writable", map(scratch_page, info_mfn, WRITABLE, DOMID_XEN));
    result("trace.map.self", map(scratch_page, ring_mfn[0], WRITABLE, DOMID_SELF) != 0);
    result("trace.map.io", map(scratch_page, ring_mfn[0], WRITABLE, DOMID_IO) != 0);
    result("trace.map.own", map(scratch_page, virt_to_mfn(scratch_page), WRITABLE, DOMID_XEN) != 0);
    result("trace.map.no_frame", map(scratch_page, 0xfffffff, WRITABLE, DOMID_XEN));
    unmap(scratch_page);
    result("trace.prod", ring->prod);
    result("trace.cons", ring->cons);
}

/* A ring is used as what it is and nothing else. */
static void check_other_uses(void)
{
    struct mmuext_op ext = { .cmd = MMUEXT_PIN_L1_TABLE, .arg1.mfn = ring_mfn[0] };
    unsigned int done = 0;

    result("trace.pin", mmuext_op(&ext, 1, &done, DOMID_XEN));
    result("trace.pin.self", mmuext_op(&ext, 1, &done, DOMID_SELF));
    ext = (struct mmuext_op){ .cmd = MMUEXT_UNPIN_TABLE, .arg1.mfn = ring_mfn[0] };
    result("trace.unpin.self", mmuext_op(&ext, 1, &done, DOMID_SELF));
}

static void begin(uint32_t events)
{
    set_events(events);
    ring->cons = ring->prod;
    clear();
    tbuf(XEN_SYSCTL_TBUFOP_enable);
}

/* Header, number of words, and those that are the same in each run. */
static void record_result(const uint32_t *r, bool words)
{
    unsigned int n = TRC_HD_EXTRA(*r), skip = TRC_HD_INCLUDES_CYCLE_COUNT(*r) ? 3 : 1;
    char text[128];
    int len;

    len = fmt_snprintf(text, sizeof(text), "trace.record.%x.%u", TRC_HD_TO_EVENT(*r), skip);
    for (unsigned int i = 0; words && i < n; i++) {
        len += fmt_snprintf(text + len, sizeof(text) - (size_t)len, ".%x", r[skip + i]);
    }
    result(text, n);
}

/* All records of vcpu 0's CPU since begin(); they all are on the ring's first pages. */
static void end(bool words)
{
    const uint32_t *at = (const void *)((const char *)(ring + 1) + ring->cons), *to;

    clear();
    tbuf(XEN_SYSCTL_TBUFOP_disable);
    to = (const void *)((const char *)(ring + 1) + ring->prod);
    while (at < to) {
        record_result(at, words);
        at += 1 + (TRC_HD_INCLUDES_CYCLE_COUNT(*at) ? 2U : 0) + TRC_HD_EXTRA(*at);
    }
    ring->cons = ring->prod;
}

static unsigned int skip;

static bool skip_it(struct frame *frame)
{
    frame->rip += skip;
    return true;
}

/* An exception, a page fault, what is emulated, and a write to a page table. */
static void check_traps_recorded(void)
{
    volatile uint64_t *entry = &page_table(1, scratch_page)[ARG(scratch_page) / PAGE_SIZE % 512];
    unsigned long rax = ARG(BAD_POINTER);

    trap_handle(6, skip_it);
    trap_handle(14, skip_it);
    begin(TRC_PV);
    skip = 2;
    asm volatile("ud2");
    skip = 3;
    asm volatile("mov (%%rax), %%rax" : "+a"(rax));
    asm volatile(".byte 0x0f, 0x0b, 'x', 'e', 'n'; cpuid"
                 : "=a"(rax)
                 : "a"(0), "c"(0)
                 : "rbx", "rdx");
    asm volatile("mov %%cr0, %0" : "=r"(rax));
    *entry = *entry;
    end(false);
    trap_handle(6, NULL);
    trap_handle(14, NULL);
}

static void check_records(void)
{
    struct multicall_entry calls[2] = { { .op = __HYPERVISOR_xen_version, .args[0] = 0 },
                                        { .op = __HYPERVISOR_vcpu_op, .args[0] = VCPUOP_is_up } };
    struct mmuext_op ext = { .cmd = MMUEXT_TLB_FLUSH_LOCAL };
    unsigned int done;

    begin(TRC_PV);
    xen_version(XENVER_version, NULL);
    sched_op(SCHEDOP_yield, NULL);
    vcpu_op(VCPUOP_is_up, 0, NULL);
    mmuext_op(&ext, 1, &done, DOMID_SELF);
    mmu_update(NULL, 0, &done, DOMID_SELF);
    hypercall2(__HYPERVISOR_multicall, ARG(calls), 2);
    end(true);
}

static void check_on_off(void)
{
    clear();
    result("trace.enable", tbuf(XEN_SYSCTL_TBUFOP_enable));
    result("trace.enable.again", tbuf(XEN_SYSCTL_TBUFOP_enable));
    result("trace.disable", tbuf(XEN_SYSCTL_TBUFOP_disable));
    result("trace.disable.again", tbuf(XEN_SYSCTL_TBUFOP_disable));
    result("trace.size.later", set_size(RING_PAGES));
}

void check_trace(void)
{
    check_before();
    check_size();
    check_map();
    check_other_uses();
    check_on_off();
    check_records();
    check_traps_recorded();
    set_events(TRC_ALL);
    for (unsigned int i = 0; i < RING_PAGES; i++) {
        unmap(ring_area + i * PAGE_SIZE);
    }
    unmap(info_copy);
}
