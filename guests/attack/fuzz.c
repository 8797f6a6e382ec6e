/* SPDX-License-Identifier: MIT */
/*
 * fuzz.c - hypercalls by chance, on all vcpus: valid operations with values that are near what they
 * take. What would end or stop this guest by design is left out; the hypervisor must answer all
 * else. seed= and count= on the command line; the same seed gives the same calls, but the vcpus
 * disturb each other.
 */
#include "attack.h"

#define MIN_REPORT 50000UL

static volatile unsigned long calls;
static unsigned long count, first_seed;
static uint64_t begun, begun_tsc;
static volatile unsigned int working;
static uint64_t arguments[MAX_VCPUS][64];
/* A page that fuzzed table updates may spoil, instead of the tables that we stand on. */
static uint64_t victim[512] __attribute__((aligned(4096)));

/* Frames: ours, tables, spare pages, and those of others. */
static unsigned long some_mfn(struct dice *d)
{
    switch (below(d, 8)) {
    case 0:
        return below(d, 0x20000);
    case 1:
        return roll(d);
    case 2:
        return virt_to_mfn(page_table(1 + (unsigned int)below(d, 4), victim));
    case 3:
        return start_info->shared_info / PAGE_SIZE;
    default:
        return virt_to_mfn(pages[below(d, NR_PAGES)]);
    }
}

static unsigned long some_number(struct dice *d)
{
    static const unsigned long numbers[] = {
        0,
        1,
        2,
        3,
        7,
        8,
        16,
        31,
        32,
        63,
        64,
        127,
        128,
        255,
        256,
        512,
        4095,
        4096,
        7168,
        8192,
        65535,
        0x7ff0,
        0x7fff,
        0x7fffffff,
        0x80000000,
        0xffffffff,
        0x100000000,
        0x7fffffffffffffff,
        0x8000000000000000,
        ~0UL,
        0xffff800000000000,
        0xffff830000000000,
        0xffff87fffffff000,
        0x7ffffffff000,
        0x800000000000,
        0xffff880000000000,
    };

    return below(d, 4) ? numbers[below(d, sizeof(numbers) / sizeof(numbers[0]))] : roll(d);
}

static uint64_t some_entry(struct dice *d)
{
    static const uint64_t entry_bits[] = { 0, 0x61, 0x63, 0x65, 0x67, 0xe7, 0x163, 0x7f, 0xfff };

    return (some_mfn(d) * PAGE_SIZE & PTE_ADDRESS) |
           entry_bits[below(d, sizeof(entry_bits) / sizeof(entry_bits[0]))] |
           (below(d, 8) ? 0 : roll(d) & 0xfff0000000000000);
}

static unsigned long some_va(struct dice *d)
{
    switch (below(d, 4)) {
    case 0:
        return some_number(d);
    case 1:
        return ARG(victim);
    default:
        return ARG(pages[below(d, NR_PAGES)]);
    }
}

static void fill(struct dice *d)
{
    for (unsigned int i = 0; i < 16; i++) {
        switch (below(d, 6)) {
        case 0:
            d->memory[i] = some_mfn(d);
            break;
        case 1:
            d->memory[i] = some_entry(d);
            break;
        case 2:
            d->memory[i] = some_va(d);
            break;
        case 3:
            d->memory[i] = below(d, 32);
            break;
        default:
            d->memory[i] = some_number(d);
        }
    }
}

/* Only tables of our own making are updated: where we stand must stay. */
static void call_mmu_update(struct dice *d)
{
    struct mmu_update *u = (void *)d->memory;
    unsigned int n = 1 + (unsigned int)below(d, 8);

    for (unsigned int i = 0; i < n; i++) {
        u[i].ptr = (below(d, 8) ? virt_to_mfn(pages[below(d, NR_PAGES)]) : below(d, 0x2000)) *
                       PAGE_SIZE +
                   8 * below(d, 512) + below(d, 4);
        u[i].val = some_entry(d);
        if ((u[i].ptr & 3) == MMU_MACHPHYS_UPDATE) {
            u[i].ptr &= ~3UL; /* else we lose our own map */
        }
    }
    mmu_update(u, n | (below(d, 8) ? 0 : 1U << 31), below(d, 2) ? NULL : (void *)some_va(d),
               below(d, 8) ? DOMID_SELF : (unsigned int)some_number(d));
}

static void call_update_va(struct dice *d)
{
    unsigned long va = below(d, 8) ? ARG(pages[below(d, NR_PAGES)])
                                   : 0xffff800000000000 + roll(d) % (1UL << 43);
    unsigned long scope = below(d, 4) == 0 ? some_va(d) & ~7UL : below(d, 2) ? UVMF_ALL : 0;

    hypercall3(__HYPERVISOR_update_va_mapping, va, some_entry(d), below(d, 4) | scope);
}

static void call_mmuext(struct dice *d)
{
    static const unsigned int commands[] = {
        MMUEXT_PIN_L1_TABLE,  MMUEXT_PIN_L2_TABLE,     MMUEXT_PIN_L3_TABLE,
        MMUEXT_PIN_L4_TABLE,  MMUEXT_UNPIN_TABLE,      MMUEXT_TLB_FLUSH_LOCAL,
        MMUEXT_INVLPG_LOCAL,  MMUEXT_TLB_FLUSH_MULTI,  MMUEXT_INVLPG_MULTI,
        MMUEXT_TLB_FLUSH_ALL, MMUEXT_INVLPG_ALL,       MMUEXT_FLUSH_CACHE,
        MMUEXT_SET_LDT,       MMUEXT_NEW_USER_BASEPTR, MMUEXT_CLEAR_PAGE,
        MMUEXT_COPY_PAGE,     MMUEXT_MARK_SUPER,       99,
    };
    struct mmuext_op *op = (void *)d->memory;

    fill(d);
    op->cmd = commands[below(d, sizeof(commands) / sizeof(commands[0]))];
    if (op->cmd == MMUEXT_SET_LDT || op->cmd == MMUEXT_INVLPG_LOCAL) {
        op->arg1.linear_addr = some_va(d);
    } else {
        op->arg1.mfn = op->cmd == MMUEXT_CLEAR_PAGE || op->cmd == MMUEXT_COPY_PAGE
                           ? virt_to_mfn(pages[below(d, NR_PAGES)])
                       : op->cmd == MMUEXT_UNPIN_TABLE ? virt_to_mfn(pages[below(d, NR_PAGES)])
                                                       : some_mfn(d);
    }
    mmuext_op(op, 1, NULL, below(d, 8) ? DOMID_SELF : (unsigned int)some_number(d));
}

/* Not of ours at large: what lies there would be written. */
static uint64_t event_page(struct dice *d)
{
    unsigned long mfn = some_mfn(d), pfn;

    if (below(d, 4) || mfn >= 0x10000) { /* what the list below surely has */
        return virt_to_mfn(pages[below(d, NR_PAGES)]);
    }
    pfn = machine_to_phys_mapping[mfn];
    return pfn < start_info->nr_pages && pfn_to_mfn(pfn) == mfn ? 0 : mfn;
}

/* Ports up to 3 may be somebody's timer; closing the others is the point. */
static void call_event(struct dice *d)
{
    int cmd = (int)below(d, 14);

    fill(d);
    if (cmd == EVTCHNOP_reset) {
        return;
    }
    for (unsigned int i = 0; i < 4; i++) {
        ((uint32_t *)d->memory)[i] = below(d, 4) ? (uint32_t)below(d, 64)
                                                 : (uint32_t)some_number(d);
    }
    if (cmd == EVTCHNOP_alloc_unbound || cmd == EVTCHNOP_status) {
        *(domid_t *)d->memory = DOMID_SELF;
    }
    if (cmd == EVTCHNOP_init_control || cmd == EVTCHNOP_expand_array) {
        d->memory[0] = event_page(d);
    }
    event_op(cmd, d->memory);
}

static void call_vcpu(struct dice *d)
{
    static const int commands[] = { VCPUOP_initialise,
                                    VCPUOP_is_up,
                                    VCPUOP_get_runstate_info,
                                    VCPUOP_register_runstate_memory_area,
                                    VCPUOP_set_periodic_timer,
                                    VCPUOP_stop_periodic_timer,
                                    VCPUOP_set_singleshot_timer,
                                    VCPUOP_stop_singleshot_timer,
                                    VCPUOP_send_nmi,
                                    VCPUOP_get_physid,
                                    77 };

    fill(d);
    vcpu_op(commands[below(d, sizeof(commands) / sizeof(commands[0]))],
            (unsigned int)(below(d, 4) ? below(d, 8) : some_number(d)),
            below(d, 4) ? (void *)d->memory : (void *)some_va(d));
}

static void call_cpu(struct dice *d)
{
    fill(d);
    switch (below(d, 7)) {
    case 0:
        hypercall2(__HYPERVISOR_set_gdt, ARG(d->memory),
                   below(d, 2) ? below(d, 1024) : some_number(d));
        break;
    case 1:
        hypercall2(__HYPERVISOR_update_descriptor, some_mfn(d) * PAGE_SIZE + 8 * below(d, 512),
                   roll(d));
        break;
    case 2:
        hypercall2(__HYPERVISOR_set_segment_base, below(d, 6), some_number(d));
        break;
    case 3:
        hypercall2(__HYPERVISOR_set_debugreg, below(d, 4), ARG(pages[below(d, NR_PAGES)]));
        break;
    case 4:
        hypercall2(__HYPERVISOR_get_debugreg, some_number(d), 0);
        break;
    case 5:
        hypercall2(__HYPERVISOR_vm_assist, below(d, 3), some_number(d));
        break;
    default:
        hypercall2(__HYPERVISOR_physdev_op, below(d, 40), ARG(d->memory));
    }
}

/* About. clock_now() may wait for ever: some call may have written over our own time page. */
static uint64_t about_now(void)
{
    return begun + clock_of_ticks(rdtsc() - begun_tsc);
}

static void call_misc(struct dice *d)
{
    fill(d);
    switch (below(d, 7)) {
    case 0:
        set_timer_op(below(d, 2) ? about_now() + below(d, MS) : some_number(d));
        break;
    case 1:
        xen_version((int)below(d, 14), (void *)some_va(d));
        break;
    case 2:
        sched_op(SCHEDOP_yield, NULL);
        break;
    case 3: {
        struct sched_poll *p = (void *)d->memory;

        p->nr_ports = (unsigned int)below(d, 200);
        p->timeout = below(d, 2) ? 1 : 1UL << 63;
        sched_op(SCHEDOP_poll, p);
        break;
    }
    case 4:
        console_io(below(d, 2) ? CONSOLEIO_read : 7, some_number(d), (void *)some_va(d));
        break;
    case 5: {
        /* Not those that give memory away. */
        static const int commands[] = { XENMEM_maximum_ram_page,
                                        XENMEM_current_reservation,
                                        XENMEM_maximum_reservation,
                                        XENMEM_machphys_mapping,
                                        XENMEM_machphys_mfn_list,
                                        XENMEM_memory_map,
                                        60 };

        memory_op(commands[below(d, 7)] | (int)(below(d, 4) ? 0 : roll(d) & ~0x3fUL),
                  below(d, 2) ? (void *)d->memory : (void *)some_va(d));
        break;
    }
    default:
        hypercall(40 + (unsigned int)below(d, 24), some_number(d), some_va(d), some_number(d),
                  some_mfn(d), roll(d));
    }
}

/* Nested calls of those that can't hurt ourselves. */
static void call_multi(struct dice *d)
{
    static const unsigned int inner[] = { __HYPERVISOR_xen_version,
                                          __HYPERVISOR_multicall,
                                          __HYPERVISOR_iret,
                                          __HYPERVISOR_mmuext_op,
                                          __HYPERVISOR_get_debugreg,
                                          63,
                                          200 };
    struct multicall_entry *m = (void *)(d->memory + 32);

    fill(d);
    for (unsigned int i = 0; i < 4; i++) {
        m[i].op = inner[below(d, sizeof(inner) / sizeof(inner[0]))];
        m[i].args[0] = m[i].op == __HYPERVISOR_mmuext_op ? ARG(d->memory) : some_number(d);
        m[i].args[1] = 0;
    }
    hypercall2(__HYPERVISOR_multicall, below(d, 8) ? ARG(m) : some_va(d) | 8,
               below(d, 8) ? below(d, 5) : 4);
}

static void one_call(struct dice *d)
{
    static void (*const kinds[])(struct dice *) = {
        call_mmu_update, call_mmu_update, call_update_va, call_update_va, call_mmuext, call_mmuext,
        call_event,      call_vcpu,       call_cpu,       call_misc,      call_multi,
    };

    kinds[below(d, sizeof(kinds) / sizeof(kinds[0]))](d);
}

/* Somebody's table is left as a page now and then, so that all may become something new. */
static void let_go(struct dice *d)
{
    unsigned int i = (unsigned int)below(d, NR_PAGES);

    unpin(pages[i]);
    map_page(i, below(d, 2) ? PTE_RW : PTE_RO);
}

static void fuzz(void)
{
    unsigned int self = vcpu_self();
    struct dice d = { .state = first_seed * 0x9e3779b97f4a7c15 + self + 1,
                      .memory = arguments[self] };

    upcalls_disable();
    for (;;) {
        unsigned long n = __atomic_add_fetch(&calls, 1, __ATOMIC_SEQ_CST);

        if (n > count) {
            break;
        }
        if (n % MIN_REPORT == 0) {
            printf("attack: %lu calls\n", n);
        }
        one_call(&d);
        if (n % 64 == 0) {
            let_go(&d);
        }
    }
    __atomic_sub_fetch(&working, 1, __ATOMIC_SEQ_CST);
    timer_periodic(self, 0);
    hypercall2(__HYPERVISOR_set_debugreg, 7, 0);
}

/* NMIs that we send each other, breakpoints that we set. */
static bool ignore(struct frame *frame)
{
    (void)frame;
    return true;
}

const char *attack_fuzz(void)
{
    unsigned int n = vcpu_count(), started = 1;

    count = arg_number("count", 200000);
    first_seed = arg_number("seed", 1);
    begun = clock_now();
    begun_tsc = rdtsc();
    working = 1;
    trap_handle(1, ignore);
    trap_handle(2, ignore);
    for (unsigned int v = 1; v < n; v++) {
        __atomic_add_fetch(&working, 1, __ATOMIC_SEQ_CST);
        if (vcpu_is_up(v) || vcpu_start(v, fuzz)) {
            __atomic_sub_fetch(&working, 1, __ATOMIC_SEQ_CST);
        } else {
            started++;
        }
    }
    fuzz();
    while (working) {
        sched_op(SCHEDOP_yield, NULL);
    }
    timer_set(0);
    timer_periodic(0, 0);
    upcalls_enable();
    printf("attack: %lu calls by %u vcpus, seed %lu\n", count, started, first_seed);
    return xen_version(XENVER_pagesize, NULL) == PAGE_SIZE ? NULL : "hypercalls do not work";
}
