/* SPDX-License-Identifier: MIT */
/*
 * victim.c - the domain that control.c makes: four levels of tables, a page of code with its data,
 * a stack for all vcpus, and frames that it pins and gives away over and over. The data is a list
 * of hypercalls; each vcpu makes them by chance, for ever.
 */
#include "victim.h"

#define VICTIM_VIRT 0xffffffff80000000UL
#define DATA 0x400UL /* within the page of code */
#define NR_CALLS 32U
#define FIRST_VICTIM 100U /* domain ids */
#define NR_OFTEN 28U      /* the others are rare: they end something */

enum { PAGE_L4, PAGE_L3, PAGE_L2, PAGE_L1, PAGE_CODE, PAGE_STACK, PAGE_SPARE, PAGE_PINNED };

struct victim_call {
    uint64_t nr, args[4];
};

struct victim_data {
    struct victim_call calls[NR_CALLS];
    struct {
        uint32_t words[4];
    } events[8];
    struct mmuext_op pins[2];
    struct xen_memory_reservation memory, gift;
    struct sched_poll poll;
    struct vcpu_register_vcpu_info info;
    struct vcpu_set_singleshot_timer timer;
    struct sched_watchdog watchdog;
    struct sched_shutdown shutdown;
    uint64_t frame, gift_frame;
    struct gnttab_map_grant_ref map;
    struct gnttab_unmap_grant_ref unmap;
    struct gnttab_copy copy;
    struct evtchn_init_control control;
    struct evtchn_expand_array expand;
    struct evtchn_reset reset;
};
_Static_assert(DATA + sizeof(struct victim_data) <= PAGE_SIZE, "it is one page");

extern const char victim_code[], victim_code_end[];

asm(".pushsection .rodata\n"
    "victim_code:\n"
    "    lea victim_code(%rip), %rbx\n"
    "    lea 0x2000(%rbx), %rsp\n"
    "    add $0x400, %rbx\n"
    "    rdtsc\n"
    "    mov %eax, %r12d\n"
    "1:  imul $0x343fd, %r12d, %r12d\n"
    "    add $0x269ec3, %r12d\n"
    "    mov %r12d, %eax\n"
    "    shr $16, %eax\n"
    "    and $31, %eax\n"
    "    cmp $28, %eax\n"
    "    jb 2f\n"
    "    test $0x7f000000, %r12d\n"
    "    jnz 1b\n"
    "2:  imul $40, %eax, %eax\n"
    "    lea (%rbx, %rax), %r13\n"
    "    mov (%r13), %rax\n"
    "    mov 8(%r13), %rdi\n"
    "    mov 16(%r13), %rsi\n"
    "    mov 24(%r13), %rdx\n"
    "    mov 32(%r13), %r10\n"
    "    syscall\n"
    "    jmp 1b\n"
    "victim_code_end:\n"
    ".popsection\n");

static void fill_l4(uint64_t *page, const uint64_t *mfns)
{
    page[511] = mfns[PAGE_L3] * PAGE_SIZE | PTE_TABLE;
}

static void fill_l3(uint64_t *page, const uint64_t *mfns)
{
    page[510] = mfns[PAGE_L2] * PAGE_SIZE | PTE_TABLE;
}

static void fill_l2(uint64_t *page, const uint64_t *mfns)
{
    page[0] = mfns[PAGE_L1] * PAGE_SIZE | PTE_TABLE;
}

static void fill_l1(uint64_t *page, const uint64_t *mfns)
{
    page[0] = mfns[PAGE_CODE] * PAGE_SIZE | PTE_RW;
    page[1] = mfns[PAGE_STACK] * PAGE_SIZE | PTE_RW;
    page[2] = mfns[PAGE_SPARE] * PAGE_SIZE | PTE_RW;
}

/* Where the domain has a member of its data. */
#define THERE(member) (VICTIM_VIRT + DATA + offsetof(struct victim_data, member))

/* Of some neighbour's, over the spare page, which then can be unmapped again. */
static void fill_grants(struct victim_data *d, const uint64_t *mfns)
{
    domid_t neighbour = (domid_t)(FIRST_VICTIM + mfns[PAGE_L3] % 4);

    d->map.host_addr = d->unmap.host_addr = VICTIM_VIRT + 2 * PAGE_SIZE;
    d->map.flags = GNTMAP_host_map | (mfns[PAGE_L2] % 2 ? GNTMAP_device_map : 0);
    d->map.ref = (grant_ref_t)(mfns[PAGE_L1] % 16 & ~1UL);
    d->map.dom = d->copy.source.domid = neighbour;
    d->copy.source.u.ref = d->map.ref;
    d->copy.flags = GNTCOPY_source_gref;
    d->copy.dest.u.gmfn = mfns[PAGE_SPARE];
    d->copy.dest.domid = DOMID_SELF;
    d->copy.len = 64;
}

/* A table now and then is the page of words; the other one may be given away. */
static void fill_fifo(struct victim_data *d, const uint64_t *mfns)
{
    d->control.control_gfn = mfns[PAGE_SPARE];
    d->control.vcpu = (uint32_t)(mfns[PAGE_L1] % 2);
    d->expand.array_gfn = mfns[PAGE_PINNED];
    d->reset.dom = DOMID_SELF;
}

static void fill_data(struct victim_data *d, const uint64_t *mfns)
{
    d->pins[0].cmd = MMUEXT_PIN_L1_TABLE;
    d->pins[1].cmd = MMUEXT_UNPIN_TABLE;
    d->pins[0].arg1.mfn = d->pins[1].arg1.mfn = mfns[PAGE_PINNED];
    set_xen_guest_handle(d->memory.extent_start, (xen_pfn_t *)THERE(frame));
    set_xen_guest_handle(d->gift.extent_start, (xen_pfn_t *)THERE(gift_frame));
    d->memory.nr_extents = d->gift.nr_extents = 1;
    d->memory.domid = d->gift.domid = DOMID_SELF;
    d->gift_frame = mfns[PAGE_SPARE]; /* it stays mapped */
    set_xen_guest_handle(d->poll.ports, (evtchn_port_t *)THERE(events[1]));
    d->poll.nr_ports = 1;
    d->poll.timeout = 1;
    d->info.mfn = mfns[PAGE_SPARE];
    d->timer.timeout_abs_ns = clock_now() + 10 * MS;
    d->watchdog.timeout = 1;
    d->shutdown.reason = (unsigned int)mfns[PAGE_CODE] % (SHUTDOWN_MAX + 1);
    fill_grants(d, mfns);
    fill_fifo(d, mfns);
    for (unsigned int i = 0; i < 8; i++) {
        d->events[i].words[0] = i;
    }
}

static void fill_calls(struct victim_call *calls)
{
    const struct victim_call some[NR_CALLS] = {
        { __HYPERVISOR_sched_op, { SCHEDOP_yield } },
        { __HYPERVISOR_sched_op, { SCHEDOP_poll, THERE(poll) } },
        { __HYPERVISOR_grant_table_op, { GNTTABOP_map_grant_ref, THERE(map), 1 } },
        { __HYPERVISOR_event_channel_op, { EVTCHNOP_send, THERE(events[1]) } },
        { __HYPERVISOR_event_channel_op, { EVTCHNOP_send, THERE(events[2]) } },
        { __HYPERVISOR_event_channel_op, { EVTCHNOP_send, THERE(events[3]) } },
        { __HYPERVISOR_grant_table_op, { GNTTABOP_unmap_grant_ref, THERE(unmap), 1 } },
        { __HYPERVISOR_event_channel_op, { EVTCHNOP_unmask, THERE(events[2]) } },
        { __HYPERVISOR_event_channel_op, { EVTCHNOP_bind_ipi, THERE(events[0]) } },
        { __HYPERVISOR_event_channel_op, { EVTCHNOP_bind_virq, THERE(events[0]) } },
        { __HYPERVISOR_event_channel_op, { EVTCHNOP_close, THERE(events[5]) } },
        { __HYPERVISOR_event_channel_op, { EVTCHNOP_reset, THERE(reset) } },
        { __HYPERVISOR_mmuext_op, { THERE(pins), 2, 0, DOMID_SELF } },
        { __HYPERVISOR_mmuext_op, { THERE(pins), 1, 0, DOMID_SELF } },
        { __HYPERVISOR_mmuext_op, { THERE(pins[1]), 1, 0, DOMID_SELF } },
        { __HYPERVISOR_memory_op, { XENMEM_populate_physmap, THERE(memory) } },
        { __HYPERVISOR_memory_op, { XENMEM_decrease_reservation, THERE(memory) } },
        { __HYPERVISOR_memory_op, { XENMEM_increase_reservation, THERE(memory) } },
        { __HYPERVISOR_vcpu_op, { VCPUOP_register_vcpu_info, 0, THERE(info) } },
        { __HYPERVISOR_vcpu_op, { VCPUOP_register_vcpu_info, 1, THERE(info) } },
        { __HYPERVISOR_vcpu_op, { VCPUOP_set_singleshot_timer, 0, THERE(timer) } },
        { __HYPERVISOR_vcpu_op, { VCPUOP_up, 1 } },
        { __HYPERVISOR_vcpu_op, { VCPUOP_up, 2 } },
        { __HYPERVISOR_event_channel_op, { EVTCHNOP_expand_array, THERE(expand) } },
        { __HYPERVISOR_set_timer_op, { clock_now() + 5 * MS } },
        { __HYPERVISOR_vcpu_op, { VCPUOP_send_nmi, 1 } },
        { __HYPERVISOR_event_channel_op, { EVTCHNOP_init_control, THERE(control) } },
        { __HYPERVISOR_grant_table_op, { GNTTABOP_copy, THERE(copy), 1 } },
        [NR_OFTEN] = { __HYPERVISOR_sched_op, { SCHEDOP_block } },
        { __HYPERVISOR_vcpu_op, { VCPUOP_down, 2 } },
        { __HYPERVISOR_memory_op, { XENMEM_decrease_reservation, THERE(gift) } },
        { __HYPERVISOR_sched_op,
          { clock_now() % 4 ? SCHEDOP_watchdog : SCHEDOP_shutdown,
            clock_now() % 4 ? THERE(watchdog) : THERE(shutdown) } },
    };

    memcpy(calls, some, sizeof(some));
}

static void fill_code(uint64_t *page, const uint64_t *mfns)
{
    struct victim_data *d = (void *)((char *)page + DATA);

    memcpy(page, victim_code, (size_t)(victim_code_end - victim_code));
    memset(d, 0, sizeof(*d));
    fill_data(d, mfns);
    fill_calls(d->calls);
}

void (*const victim_fill[VICTIM_PAGES])(uint64_t *page, const uint64_t *mfns) = {
    [PAGE_L4] = fill_l4, [PAGE_L3] = fill_l3,     [PAGE_L2] = fill_l2,
    [PAGE_L1] = fill_l1, [PAGE_CODE] = fill_code,
};

void victim_context(struct vcpu_guest_context *c, uint64_t l4, unsigned int vcpu)
{
    memset(c, 0, sizeof(*c));
    c->flags = VGCF_in_kernel | VGCF_online;
    c->user_regs.rip = VICTIM_VIRT;
    c->user_regs.rsp = c->kernel_sp = VICTIM_VIRT + 2 * PAGE_SIZE;
    c->user_regs.cs = FLAT_KERNEL_CS;
    c->user_regs.ss = FLAT_KERNEL_SS;
    c->kernel_ss = FLAT_KERNEL_SS;
    c->user_regs.rbx = vcpu;
    c->event_callback_eip = VICTIM_VIRT;
    c->ctrlreg[3] = xen_pfn_to_cr3(l4);
}
