/* SPDX-License-Identifier: MIT */
/*
 * domctl_vcpu.c - the control domain's hypercall about the vcpus of a domain
 * that never runs: affinity, the scheduler's parameters, contexts.
 */
#include "conform.h"

#include <xen/domctl.h>

static struct xen_domctl op;
static domid_t domain;
static struct vcpu_guest_context context;

static long domctl(uint32_t cmd)
{
    op.cmd = cmd;
    op.interface_version = XEN_DOMCTL_INTERFACE_VERSION;
    op.domain = domain;
    return hypercall(__HYPERVISOR_domctl, ARG(&op), 0, 0, 0, 0);
}

/* The two values are looked at after the call. */
#define show(name, call, a, b)                  \
    do {                                        \
        long show_rc = (call);                  \
                                                \
        show_values((name), show_rc, (a), (b)); \
    } while (0)

static void show_values(const char *name, long rc, unsigned long a, unsigned long b)
{
    char text[96];

    fmt_snprintf(text, sizeof(text), "domctl.%s", name);
    result(text, rc);
    printf("T|domctl.%s.values|0x%lx 0x%lx\n", name, a, b);
}

/* Buffers of 64 bits, of which so many are given away. */
static uint64_t hard, soft;

static void affinity(const char *name, uint32_t cmd, uint32_t flags, uint32_t vcpu, uint32_t bits)
{
    memset(&op, 0, sizeof(op));
    op.u.vcpuaffinity.vcpu = vcpu;
    op.u.vcpuaffinity.flags = flags;
    op.u.vcpuaffinity.cpumap_hard.nr_bits = bits;
    op.u.vcpuaffinity.cpumap_soft.nr_bits = bits;
    set_xen_guest_handle(op.u.vcpuaffinity.cpumap_hard.bitmap, (uint8_t *)&hard);
    set_xen_guest_handle(op.u.vcpuaffinity.cpumap_soft.bitmap, (uint8_t *)&soft);
    show(name, domctl(cmd), hard, soft);
}

static void set(const char *name, uint32_t flags, uint32_t vcpu, uint32_t bits, uint64_t h,
                uint64_t s)
{
    hard = h;
    soft = s;
    affinity(name, XEN_DOMCTL_setvcpuaffinity, flags, vcpu, bits);
}

static void get(const char *name, uint32_t flags, uint32_t vcpu, uint32_t bits)
{
    hard = soft = 0x5555555555555555UL;
    affinity(name, XEN_DOMCTL_getvcpuaffinity, flags, vcpu, bits);
}

static void check_affinity(void)
{
    const uint32_t h = XEN_VCPUAFFINITY_HARD, s = XEN_VCPUAFFINITY_SOFT;

    get("getaffinity.first", h | s, 0, 64);
    get("getaffinity.first.2_bits", h | s, 0, 2);
    get("getaffinity.first.9_bits", h | s, 0, 9);
    get("getaffinity.first.0_bits", h | s, 0, 0);
    get("getaffinity.no_flags", 0, 0, 64);
    get("getaffinity.force", XEN_VCPUAFFINITY_FORCE, 0, 64);
    get("getaffinity.unknown_flag", 8, 0, 64);
    get("getaffinity.vcpu_2", h, 2, 64);
    get("getaffinity.vcpu_max", h, ~0U, 64);
    set("setaffinity.both", h | s, 0, 64, 1, 3);
    get("getaffinity.both", h | s, 0, 64);
    set("setaffinity.hard", h, 0, 64, 2, 9);
    get("getaffinity.hard", h | s, 0, 64);
    set("setaffinity.soft", s, 0, 64, 9, 1);
    get("getaffinity.soft", h | s, 0, 64);
    set("setaffinity.no_cpu", h, 0, 64, 0xf0, 0);
    set("setaffinity.empty", h, 0, 64, 0, 0);
    set("setaffinity.soft_empty", s, 0, 64, 0, 0);
    set("setaffinity.both_soft_empty", h | s, 0, 64, 3, 0);
    set("setaffinity.both_no_cpu", h | s, 0, 64, 0xf0, 1);
    get("getaffinity.after_no_cpu", h | s, 0, 64);
    set("setaffinity.more", h | s, 0, 64, ~0UL, ~0UL);
    get("getaffinity.more", h | s, 0, 64);
    set("setaffinity.2_bits", h | s, 0, 2, ~0UL, ~0UL);
    get("getaffinity.2_bits", h | s, 0, 64);
    get("getaffinity.1_of_2_bits", h | s, 0, 1);
    set("setaffinity.1_bit", h | s, 0, 1, ~0UL, ~0UL);
    get("getaffinity.1_bit", h | s, 0, 64);
    set("setaffinity.0_bits", h, 0, 0, ~0UL, ~0UL);
    set("setaffinity.no_flags", 0, 0, 64, 1, 1);
    set("setaffinity.force", XEN_VCPUAFFINITY_FORCE, 0, 64, 1, 1);
    set("setaffinity.force_hard", h | XEN_VCPUAFFINITY_FORCE, 0, 64, 1, 1);
    set("setaffinity.unknown_flag", 8, 0, 64, 1, 1);
    set("setaffinity.unknown_flag_hard", 8 | h, 0, 64, 1, 1);
    set("setaffinity.vcpu_2", h, 2, 64, 1, 1);
    set("setaffinity.soft_off_hard", h | s, 1, 64, 1, 2);
    get("getaffinity.soft_off_hard", h | s, 1, 64);
    memset(&op, 0, sizeof(op));
    op.u.vcpuaffinity.flags = h;
    op.u.vcpuaffinity.cpumap_hard.nr_bits = 64;
    set_xen_guest_handle(op.u.vcpuaffinity.cpumap_hard.bitmap, (uint8_t *)BAD_POINTER);
    result("domctl.getaffinity.bad", domctl(XEN_DOMCTL_getvcpuaffinity));
    result("domctl.setaffinity.bad", domctl(XEN_DOMCTL_setvcpuaffinity));
    set_xen_guest_handle(op.u.vcpuaffinity.cpumap_hard.bitmap, NULL);
    result("domctl.getaffinity.null", domctl(XEN_DOMCTL_getvcpuaffinity));
    result("domctl.setaffinity.null", domctl(XEN_DOMCTL_setvcpuaffinity));
    set("setaffinity.back", h | s, 0, 64, ~0UL, ~0UL);
}

static void node_affinity(const char *name, uint32_t cmd, uint64_t nodes, uint32_t bits)
{
    hard = nodes;
    memset(&op, 0, sizeof(op));
    op.u.nodeaffinity.nodemap.nr_bits = bits;
    set_xen_guest_handle(op.u.nodeaffinity.nodemap.bitmap, (uint8_t *)&hard);
    show(name, domctl(cmd), hard, 0);
}

static void check_nodes(void)
{
    node_affinity("getnodeaffinity", XEN_DOMCTL_getnodeaffinity, 0x55, 64);
    node_affinity("setnodeaffinity.0", XEN_DOMCTL_setnodeaffinity, 0, 64);
    node_affinity("setnodeaffinity.1", XEN_DOMCTL_setnodeaffinity, 1, 64);
    node_affinity("setnodeaffinity.2", XEN_DOMCTL_setnodeaffinity, 2, 64);
    node_affinity("setnodeaffinity.3", XEN_DOMCTL_setnodeaffinity, 3, 64);
    node_affinity("setnodeaffinity.all", XEN_DOMCTL_setnodeaffinity, ~0UL, 64);
    node_affinity("getnodeaffinity.after", XEN_DOMCTL_getnodeaffinity, 0x55, 64);
}

static void scheduler(const char *name, uint32_t sched, uint32_t cmd, unsigned int weight,
                      unsigned int cap)
{
    memset(&op, 0, sizeof(op));
    op.u.scheduler_op.sched_id = sched;
    op.u.scheduler_op.cmd = cmd;
    op.u.scheduler_op.u.credit.weight = (uint16_t)weight;
    op.u.scheduler_op.u.credit.cap = (uint16_t)cap;
    show(name, domctl(XEN_DOMCTL_scheduler_op), op.u.scheduler_op.u.credit.weight,
         op.u.scheduler_op.u.credit.cap);
}

static void check_scheduler(void)
{
    const uint32_t put = XEN_DOMCTL_SCHEDOP_putinfo, info = XEN_DOMCTL_SCHEDOP_getinfo;

    scheduler("sched.get", XEN_SCHEDULER_CREDIT, info, 0x5a, 0x5a);
    scheduler("sched.put", XEN_SCHEDULER_CREDIT, put, 512, 50);
    scheduler("sched.get.after", XEN_SCHEDULER_CREDIT, info, 0, 0);
    scheduler("sched.put.weight_0", XEN_SCHEDULER_CREDIT, put, 0, 25);
    scheduler("sched.get.weight_0", XEN_SCHEDULER_CREDIT, info, 0, 0);
    scheduler("sched.put.cap_none", XEN_SCHEDULER_CREDIT, put, 256, 0xffff);
    scheduler("sched.get.cap_none", XEN_SCHEDULER_CREDIT, info, 0, 0);
    scheduler("sched.put.cap_200", XEN_SCHEDULER_CREDIT, put, 256, 200);
    scheduler("sched.put.cap_201", XEN_SCHEDULER_CREDIT, put, 256, 201);
    scheduler("sched.put.cap_65534", XEN_SCHEDULER_CREDIT, put, 256, 65534);
    scheduler("sched.get.cap_65534", XEN_SCHEDULER_CREDIT, info, 0, 0);
    scheduler("sched.put.weight_65535", XEN_SCHEDULER_CREDIT, put, 65535, 0);
    scheduler("sched.get.weight_65535", XEN_SCHEDULER_CREDIT, info, 0, 0);
    scheduler("sched.put.weight_1", XEN_SCHEDULER_CREDIT, put, 1, 0);
    scheduler("sched.put.back", XEN_SCHEDULER_CREDIT, put, 256, 0);
    scheduler("sched.get.credit2", XEN_SCHEDULER_CREDIT2, info, 0, 0);
    scheduler("sched.get.rtds", XEN_SCHEDULER_RTDS, info, 0, 0);
    scheduler("sched.get.unknown", 77, info, 0, 0);
    scheduler("sched.vcpu.get", XEN_SCHEDULER_CREDIT, XEN_DOMCTL_SCHEDOP_getvcpuinfo, 0, 0);
    scheduler("sched.vcpu.put", XEN_SCHEDULER_CREDIT, XEN_DOMCTL_SCHEDOP_putvcpuinfo, 0, 0);
    scheduler("sched.vcpu.get.credit2", XEN_SCHEDULER_CREDIT2, XEN_DOMCTL_SCHEDOP_getvcpuinfo, 0,
              0);
    scheduler("sched.unknown", XEN_SCHEDULER_CREDIT, 4, 0, 0);
    scheduler("sched.unknown.credit2", XEN_SCHEDULER_CREDIT2, 4, 0, 0);
}

static void vcpu_info(const char *name, uint32_t vcpu)
{
    char text[64];

    memset(&op, 0x5a, sizeof(op));
    op.u.getvcpuinfo.vcpu = vcpu;
    fmt_snprintf(text, sizeof(text), "domctl.getvcpuinfo.%s", name);
    result(text, domctl(XEN_DOMCTL_getvcpuinfo));
    printf("T|domctl.getvcpuinfo.%s.values|online %u blocked %u running %u time %lu\n", name,
           op.u.getvcpuinfo.online, op.u.getvcpuinfo.blocked, op.u.getvcpuinfo.running,
           op.u.getvcpuinfo.cpu_time);
}

static long set_context(uint32_t vcpu, struct vcpu_guest_context *from)
{
    memset(&op, 0, sizeof(op));
    op.u.vcpucontext.vcpu = vcpu;
    set_xen_guest_handle(op.u.vcpucontext.ctxt, from);
    return domctl(XEN_DOMCTL_setvcpucontext);
}

static long get_context(uint32_t vcpu, struct vcpu_guest_context *to)
{
    memset(&op, 0, sizeof(op));
    op.u.vcpucontext.vcpu = vcpu;
    set_xen_guest_handle(op.u.vcpucontext.ctxt, to);
    return domctl(XEN_DOMCTL_getvcpucontext);
}

/* A frame for the domain; 0: there is none. */
static xen_pfn_t new_frame(xen_pfn_t pfn)
{
    static xen_pfn_t frame;
    struct xen_memory_reservation r = { .nr_extents = 1, .domid = domain };

    frame = pfn;
    set_xen_guest_handle(r.extent_start, &frame);
    return memory_op(XENMEM_populate_physmap, &r) == 1 ? frame : 0;
}

static void fresh_context(xen_pfn_t l4)
{
    memset(&context, 0, sizeof(context));
    context.flags = VGCF_in_kernel;
    context.user_regs.rip = 0x1000;
    context.user_regs.rsp = 0x2000;
    context.user_regs.rsi = 0x3000;
    context.user_regs.cs = 0xe033;
    context.user_regs.ss = 0xe02b;
    context.user_regs.rflags = 0x202;
    context.kernel_ss = 0xe02b;
    context.kernel_sp = 0x2000;
    context.ctrlreg[3] = xen_pfn_to_cr3(l4);
}

static void print_context(const char *name, xen_pfn_t l4)
{
    const struct vcpu_guest_context *c = &context;
    const struct cpu_user_regs *r = &c->user_regs;

    memset(&context, 0x5a, sizeof(context));
    printf("T|domctl.context.%s|%ld\n", name, get_context(0, &context));
    printf("T|domctl.context.%s.regs|rip %lx cs %x rflags %lx rsp %lx ss %x rsi %lx\n", name,
           r->rip, r->cs, r->rflags, r->rsp, r->ss, r->rsi);
    printf("T|domctl.context.%s.kernel|flags %lx ss %lx sp %lx gdt %lu ldt %lu %lx\n", name,
           c->flags, c->kernel_ss, c->kernel_sp, c->gdt_ents, c->ldt_ents, c->ldt_base);
    printf("T|domctl.context.%s.callbacks|%lx %lx %lx\n", name, c->event_callback_eip,
           c->failsafe_callback_eip, c->syscall_callback_eip);
    printf("T|domctl.context.%s.control|0 %lx 1 %lx 2 %lx 4 %lx l4 %d assist %lx\n", name,
           c->ctrlreg[0], c->ctrlreg[1], c->ctrlreg[2], c->ctrlreg[4],
           c->ctrlreg[3] == xen_pfn_to_cr3(l4), c->vm_assist);
    printf("T|domctl.context.%s.debug|%lx %lx %lx %lx %lx\n", name, c->debugreg[0], c->debugreg[3],
           c->debugreg[4], c->debugreg[6], c->debugreg[7]);
    printf("T|domctl.context.%s.segments|%x %x %x %x %lx %lx %lx\n", name, r->ds, r->es, r->fs,
           r->gs, c->fs_base, c->gs_base_kernel, c->gs_base_user);
    printf("T|domctl.context.%s.traps|%x %x %x %lx\n", name, c->trap_ctxt[14].vector,
           c->trap_ctxt[14].flags, c->trap_ctxt[14].cs, c->trap_ctxt[14].address);
}

/*
 * A context with one thing wrong; not with user tables that are none: after that
 * Xen 4.17 can't destroy the domain.
 */
#define REFUSED(name, change)                                        \
    do {                                                             \
        fresh_context(l4);                                           \
        change;                                                      \
        result("domctl.setcontext." name, set_context(0, &context)); \
    } while (0)

#define WRONG 0x8000000000000000UL

static void check_refused(xen_pfn_t l4)
{
    REFUSED("no_tables", context.ctrlreg[3] = 0);
    REFUSED("own_frame", context.ctrlreg[3] = xen_pfn_to_cr3(virt_to_mfn(scratch_page)));
    REFUSED("no_frame", context.ctrlreg[3] = xen_pfn_to_cr3(0xfffffffffUL));
    REFUSED("rip", context.user_regs.rip = WRONG);
    REFUSED("rsp", context.user_regs.rsp = WRONG);
    REFUSED("kernel_sp", context.kernel_sp = WRONG);
    REFUSED("event_callback", context.event_callback_eip = WRONG);
    REFUSED("failsafe_callback", context.failsafe_callback_eip = WRONG);
    REFUSED("syscall_callback", context.syscall_callback_eip = WRONG);
    REFUSED("fs_base", context.fs_base = WRONG);
    REFUSED("gs_base_kernel", context.gs_base_kernel = WRONG);
    REFUSED("gs_base_user", context.gs_base_user = WRONG);
    REFUSED("trap", context.trap_ctxt[3].address = WRONG);
    REFUSED("gdt_too_many", context.gdt_ents = 8192);
    REFUSED("gdt_no_frame", context.gdt_ents = 1; context.gdt_frames[0] = 0xfffffffffUL);
    REFUSED("gdt_own_frame", context.gdt_ents = 1;
            context.gdt_frames[0] = virt_to_mfn(scratch_page));
    REFUSED("ldt_unaligned", context.ldt_ents = 1; context.ldt_base = 0x123);
    REFUSED("ldt_too_many", context.ldt_ents = 9000);
    result("domctl.getcontext.still_none", get_context(0, &context));
}

static void check_changed(xen_pfn_t l4, xen_pfn_t other, xen_pfn_t gdt)
{
    REFUSED("again", (void)0);
    REFUSED("other_rip", context.user_regs.rip = 0x4000);
    REFUSED("other_tables", context.ctrlreg[3] = xen_pfn_to_cr3(other));
    REFUSED("other_user_tables", context.ctrlreg[1] = xen_pfn_to_cr3(other));
    REFUSED("other_gdt", context.gdt_ents = 1; context.gdt_frames[0] = gdt);
    REFUSED("other_gdt_none", context.gdt_ents = 0);
    REFUSED("other_ldt", context.ldt_ents = 1; context.ldt_base = 0x1000);
    REFUSED("other_rip_wrong", context.user_regs.rip = WRONG);
    REFUSED("other_flags", context.flags = VGCF_in_kernel | VGCF_online);
    vcpu_info("online_again", 0);
    REFUSED("other_flags_back", context.flags = VGCF_in_kernel);
    vcpu_info("offline_again", 0);
}

static xen_pfn_t check_contexts(void)
{
    xen_pfn_t l4 = new_frame(0), other = new_frame(1), gdt = new_frame(2);

    result("domctl.frames", (l4 != 0) + (other != 0) + (gdt != 0));
    fresh_context(l4);
    result("domctl.setcontext.vcpu_2", set_context(2, &context));
    result("domctl.setcontext.bad", set_context(0, BAD_POINTER));
    result("domctl.setcontext.null", set_context(0, NULL));
    result("domctl.getcontext.none", get_context(0, &context));
    result("domctl.getcontext.vcpu_2", get_context(2, &context));
    check_refused(l4);
    fresh_context(l4);
    context.flags = VGCF_in_kernel | VGCF_online;
    context.fs_base = 0x5000;
    context.gs_base_user = 0x6000;
    context.event_callback_eip = 0x7000;
    context.syscall_callback_eip = 0x8000;
    context.flags |= VGCF_syscall_disables_events;
    context.trap_ctxt[14].vector = 14;
    context.trap_ctxt[14].cs = 0xe033;
    context.trap_ctxt[14].flags = 4;
    context.trap_ctxt[14].address = 0x9000;
    context.user_regs.rflags = 0x3246;
    context.user_regs.cs = 0;
    context.user_regs.ds = 0x10;
    context.vm_assist = 1UL << VMASST_TYPE_pae_extended_cr3;
    context.debugreg[0] = 0x1234;
    context.debugreg[7] = 1;
    context.ctrlreg[0] = 8;
    context.ctrlreg[4] = 0x20;
    result("domctl.setcontext", set_context(0, &context));
    vcpu_info("with_context", 0);
    print_context("got", l4);
    result("domctl.getcontext.bad", get_context(0, BAD_POINTER));
    result("domctl.getcontext.null", get_context(0, NULL));
    check_changed(l4, other, gdt);
    print_context("changed", l4);
    fresh_context(other);
    context.gdt_ents = 1;
    context.gdt_frames[0] = gdt;
    result("domctl.setcontext.vcpu_1", set_context(1, &context));
    vcpu_info("vcpu_1", 1);
    context.gdt_ents = 2;
    result("domctl.setcontext.vcpu_1.other_gdt_ents", set_context(1, &context));
    context.gdt_ents = 0;
    result("domctl.setcontext.vcpu_1.no_gdt", set_context(1, &context));
    result("domctl.reset", set_context(1, NULL));
    result("domctl.reset.get", get_context(1, &context));
    vcpu_info("reset", 1);
    result("domctl.reset.0", set_context(0, NULL));
    vcpu_info("reset_0", 0);
    fresh_context(l4);
    result("domctl.reset.set", set_context(0, &context));
    return l4;
}

static void page_type(const char *name, uint64_t num, xen_pfn_t *array)
{
    memset(&op, 0, sizeof(op));
    op.u.getpageframeinfo3.num = num;
    set_xen_guest_handle(op.u.getpageframeinfo3.array, array);
    show(name, domctl(XEN_DOMCTL_getpageframeinfo3), array == BAD_POINTER ? 0 : array[0],
         array == BAD_POINTER ? 0 : array[1]);
}

static void check_page_types(xen_pfn_t l4_frame)
{
    static xen_pfn_t pages[2];

    pages[0] = 0xfffffffffUL;
    pages[1] = l4_frame;
    page_type("pageframeinfo3", 2, pages);
    page_type("pageframeinfo3.bad", 2, BAD_POINTER);
    page_type("pageframeinfo3.0", 0, BAD_POINTER);
    page_type("pageframeinfo3.many", 1025, BAD_POINTER);
}

void check_domctl_vcpu(domid_t domid)
{
    domain = domid;
    vcpu_info("first", 0);
    vcpu_info("vcpu_2", 2);
    vcpu_info("vcpu_max", ~0U);
    check_affinity();
    check_nodes();
    check_scheduler();
    check_page_types(check_contexts());
}
