/* SPDX-License-Identifier: MIT */
/*
 * calls.c - forged continuations, huge counts, calls that would never end, timers at the ends of
 * time.
 */
#include "attack.h"

#define PREEMPTED (1U << 31)
#define ALIAS_SLOT 3U /* of the L4: 512 GiB that all show one page */
#define ALIAS ((char *)(ALIAS_SLOT * (1UL << 39)))

/* The flag of a continuation, where there was none. */
const char *attack_forged(void)
{
    struct mmu_update bad = { .ptr = 0x100000, .val = 0 };
    struct mmuext_op op = { .cmd = 99 };
    unsigned int done = 0xffffffff;

    refused("mmu_update, forged", mmu_update(&bad, 1 | PREEMPTED, &done, DOMID_SELF));
    refused("mmu_update, nowhere to say", mmu_update(&bad, 1 | PREEMPTED, (void *)8, DOMID_SELF));
    refused("mmu_update, huge", mmu_update(&bad, 0x7fffffff, &done, DOMID_SELF));
    refused("mmuext_op, forged", mmuext_op(&op, 1 | PREEMPTED, &done, DOMID_SELF));
    refused("mmuext_op, huge", mmuext_op(&op, 0xffffffff, NULL, DOMID_SELF));
    refused("multicall, huge", hypercall2(__HYPERVISOR_multicall, 0xffffffffffff0000UL, ~0UL));
    refused("console, negative", console_io(CONSOLEIO_write, 0xffffffff, ""));
    if (!(start_info->flags & SIF_PRIVILEGED)) {
        refused("foreign domain", mmu_update(&bad, 1, NULL, 0));
        refused("DOMID_IO", mmu_update(&bad, 1, NULL, DOMID_IO));
        refused("DOMID_XEN", mmu_update(&bad, 1, NULL, DOMID_XEN));
        refused("console read", console_io(CONSOLEIO_read, 1, (char *)pages[0]));
    }
    return verdict();
}

/* pages[1..3] as L3, L2 and L1 all of whose entries are the same, over pages[0]. */
static bool alias(void)
{
    for (unsigned int i = 0; i < 512; i++) {
        pages[1][i] = maddr(pages[0]) | PTE_TABLE;
        pages[2][i] = maddr(pages[1]) | PTE_TABLE;
        pages[3][i] = maddr(pages[2]) | PTE_TABLE;
    }
    for (unsigned int i = 1; i <= 3; i++) {
        map_page(i, PTE_RO);
    }
    return set_entry((uint64_t *)start_info->pt_base, ALIAS_SLOT, maddr(pages[3]) | PTE_TABLE) == 0;
}

/* The only end there is for a call over the alias. */
static void on_timer(evtchn_port_t port)
{
    (void)port;
    set_entry((uint64_t *)start_info->pt_base, ALIAS_SLOT, 0);
    mmuext(MMUEXT_TLB_FLUSH_ALL, 0, 0);
}

static const char *endless_call(const char *what, unsigned int nr, unsigned long count)
{
    uint64_t start = clock_now();
    long rc;

    timer_set(start + 30 * MS);
    rc = hypercall(nr, ARG(ALIAS), count, 0, DOMID_SELF, 0);
    printf("attack: %s: ended with %ld after %lu ms\n", what, rc, (clock_now() - start) / MS);
    return rc == -XEN_EFAULT ? NULL : "an endless call ended otherwise";
}

const char *attack_endless(void)
{
    struct multicall_entry *calls = (void *)pages[0];
    struct mmuext_op *ops = (void *)pages[0];
    long port = event_bind_virq(VIRQ_TIMER, 0);
    const char *why;

    if (port < 0) {
        return "no timer";
    }
    event_handle((evtchn_port_t)port, 0, on_timer);
    for (unsigned int i = 0; i < PAGE_SIZE / sizeof(*calls); i++) {
        calls[i].op = __HYPERVISOR_xen_version;
    }
    why = alias() ? endless_call("endless multicall", __HYPERVISOR_multicall, 1UL << 32)
                  : "no alias";
    pages_reset();
    for (unsigned int i = 0; !why && i + sizeof(*ops) <= PAGE_SIZE; i += sizeof(*ops)) {
        ops->cmd = MMUEXT_TLB_FLUSH_LOCAL;
        ops++;
    }
    /* A struct mmuext_op does not divide a page: one that lies over the end has cmd 7, too. */
    for (unsigned int i = 0; !why && i < 512; i++) {
        pages[0][i] = MMUEXT_TLB_FLUSH_LOCAL;
    }
    why = why       ? why
          : alias() ? endless_call("endless mmuext_op", __HYPERVISOR_mmuext_op, 0x7fffffff)
                    : "no alias";
    pages_reset();
    for (unsigned int i = 0; !why && i < 256; i++) {
        pages[0][2 * i] = maddr(pages[4]);
    }
    why = why       ? why
          : alias() ? endless_call("endless mmu_update", __HYPERVISOR_mmu_update, 0x7fffffff)
                    : "no alias";
    event_close((evtchn_port_t)port);
    timer_set(0);
    return why;
}

/* What gets done while no interrupt should come: the most in 20 ms of several. The host may take
 * the CPU away for all of one, but a storm of interrupts is in each. */
static unsigned long most_turns(unsigned long enough)
{
    unsigned long most = 0;

    for (unsigned int tries = 0; tries < 20 && most <= enough; tries++) {
        uint64_t start = clock_now();
        unsigned long turns = 0;

        while (clock_now() - start < 20 * MS) {
            turns++;
        }
        most = turns > most ? turns : most;
    }
    return most;
}

/* Deadlines that overflow where somebody adds to them. */
const char *attack_timers(void)
{
    static const uint64_t some[] = {
        1,         0x7fffffffffffffff, 0x7ffffffffffffffe, 0x8000000000000000,
        ~0UL,      0x7fffffff00000000, 1UL << 56,          1UL << 60,
        1UL << 62,
    };
    struct sched_poll poll = { .nr_ports = 0 };

    for (unsigned int i = 0; i < sizeof(some) / sizeof(some[0]); i++) {
        struct vcpu_set_singleshot_timer once = { .timeout_abs_ns = some[i] };
        unsigned long turns;

        timer_set(some[i]);
        vcpu_op(VCPUOP_set_singleshot_timer, 0, &once);
        timer_periodic(0, some[i]);
        turns = most_turns(1000);
        printf("attack: timer at %lx: %s\n", some[i], turns > 1000 ? "quiet" : "STORM");
        poll.timeout = clock_now() + MS;
        timer_periodic(0, 0);
        timer_set(0);
        sched_op(SCHEDOP_poll, &poll);
        if (turns <= 1000) {
            return "a timer far away keeps the cpu busy";
        }
    }
    refused("period of 0", vcpu_op(VCPUOP_set_periodic_timer, 0, &(uint64_t){ 0 }));
    refused("period of 1 ns", vcpu_op(VCPUOP_set_periodic_timer, 0, &(uint64_t){ 1 }));
    refused("negative period", vcpu_op(VCPUOP_set_periodic_timer, 0, &(uint64_t){ 1UL << 63 }));
    return verdict();
}
