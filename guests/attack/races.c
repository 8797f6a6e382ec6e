/* SPDX-License-Identifier: MIT */
/*
 * races.c - two or more vcpus against each other: a page that is a table on one and written on the
 * other; page-table bases that other cpus may still have loaded while they idle; vcpu_info
 * registered by many at once. One vcpu alone runs what makes sense without a second.
 */
#include "attack.h"

static volatile unsigned long stores, maps;

static unsigned int rounds(unsigned int otherwise)
{
    return (unsigned int)arg_number("rounds", otherwise);
}

/* ---- A table must never be writable ---- */

static uint64_t alias[512] __attribute__((aligned(4096)));

static bool skip_store(struct frame *frame)
{
    frame->rip += 4; /* mov %rcx, 8(%rax) */
    return true;
}

/* Maps pages[6] writable when it can, and stores. A store that faults is skipped. */
static void writer(void)
{
    unsigned int turn = vcpu_self();

    while (!others_must_stop) {
        if (update_va_mapping(alias, maddr(pages[6]) | PTE_RW, UVMF_INVLPG) == 0) {
            maps++;
        }
        for (unsigned int i = 0; i < 3; i++, stores++) {
            asm volatile("mov %0, 8(%1)" ::"c"(0x100063UL), "a"(alias) : "memory");
        }
        update_va_mapping(alias, maddr(pages[6]) | PTE_RO, UVMF_NONE); /* the TLB keeps it */
        for (unsigned int i = 0; i < (turn++ % 64) * 16; i++) {
            asm volatile("mov %0, 8(%1)" ::"c"(0x100063UL), "a"(alias) : "memory");
        }
    }
}

/* While the page is an L1, not one bit of it may change. */
static const char *watch_table(unsigned int turns)
{
    uint64_t before = pages[6][1];

    for (unsigned int i = 0; i < turns; i++) {
        cpu_relax();
        if (((volatile uint64_t *)pages[6])[1] != before) {
            return "a page table was written";
        }
    }
    return before & PTE_P ? "an L1 was taken that maps the hypervisor" : NULL;
}

const char *attack_type_race(void)
{
    unsigned int n = rounds(3000), tables = 0, others;
    const char *why = NULL;

    trap_handle(14, skip_store);
    map_page(6, PTE_RO);
    others = others_start(writer);
    for (unsigned int i = 0; i < n && !why; i++) {
        if (pin(1, pages[6]) == 0) {
            tables++;
            why = watch_table(200);
            unpin(pages[6]);
        }
        if (i % 4 == 0 && map_page(6, PTE_RW) == 0) {
            pages[6][1] = 0;
            map_page(6, PTE_RO);
        }
    }
    others_stop();
    catch_init();
    map_at(alias, maddr(alias) | PTE_RW);
    printf("attack: %u times a table, %lu times writable for %u others, %lu stores\n", tables, maps,
           others, stores);
    return why;
}

/* ---- A base that an idle cpu still has loaded ---- */

static volatile evtchn_port_t wake_port;
static volatile unsigned long moves, released;

/* pages[5] as another L4 of ours, with the same contents. */
static bool second_base(void)
{
    map_page(5, PTE_RW);
    memcpy(pages[5], (void *)start_info->pt_base, PAGE_SIZE);
    map_page(5, PTE_RO);
    return mmuext(MMUEXT_NEW_BASEPTR, virt_to_mfn(pages[5]), 0) == 0;
}

/*
 * Sleep on another base, so that the cpu idles with it. Where we wake may be another cpu: then take
 * the base back, and write over what was the hypervisor's part of it.
 */
static void sleeper(void)
{
    evtchn_port_t port = wake_port;
    struct sched_poll poll = { .nr_ports = 1 };

    set_xen_guest_handle(poll.ports, &port);
    while (!others_must_stop) {
        if (!second_base()) {
            break;
        }
        moves++;
        poll.timeout = clock_now() + 2 * MS;
        sched_op(SCHEDOP_poll, &poll);
        event_clear(port);
        mmuext(MMUEXT_NEW_BASEPTR, virt_to_mfn((void *)start_info->pt_base), 0);
        if (map_page(5, PTE_RW) == 0) {
            memset(pages[5], 0, PAGE_SIZE);
            released++;
        }
    }
}

const char *attack_base_race(void)
{
    unsigned int n = rounds(3000);
    long port = event_bind_ipi(1);

    if (vcpu_count() < 2 || port < 0) {
        return NULL;
    }
    event_mask((evtchn_port_t)port);
    wake_port = (evtchn_port_t)port;
    others_must_stop = false;
    if (vcpu_is_up(1) || vcpu_start(1, sleeper)) {
        return "vcpu 1 does not start";
    }
    for (unsigned int i = 0; i < n; i++) {
        event_send(wake_port);
        clock_sleep((1 + i % 3) * 30 *
                    US); /* at once: this cpu looks for work, and may find the other */
    }
    others_stop();
    event_close(wake_port);
    printf("attack: %lu bases left, %lu overwritten\n", moves, released);
    return moves && released ? NULL : "no base was left";
}

/* ---- vcpu_info of one vcpu, registered by many ---- */

static uint64_t info_page[512] __attribute__((aligned(4096)));
static volatile unsigned int go, won, target;

static void registrar(void)
{
    struct vcpu_register_vcpu_info op = {
        .mfn = virt_to_mfn(info_page),
        .offset = 64 * vcpu_self(),
    };

    while (!go) {
        cpu_relax();
    }
    if (vcpu_op(VCPUOP_register_vcpu_info, target, &op) == 0) {
        vcpu_infos[target] = (void *)((char *)info_page + op.offset);
        __atomic_fetch_add(&won, 1, __ATOMIC_SEQ_CST);
    }
}

/* Can be done once for each vcpu, which must be down: the last but one is used up. */
const char *attack_info_race(void)
{
    unsigned int n = vcpu_count();

    target = n - 2;
    if (n < 4 || n > 60 || vcpu_is_up(target)) {
        return NULL;
    }
    go = won = 0;
    for (unsigned int v = 1; v < n; v++) {
        if (v != target && !vcpu_is_up(v)) {
            vcpu_start(v, registrar);
        }
    }
    clock_sleep(10 * MS);
    go = 1;
    for (unsigned int v = 1; v < n; v++) {
        if (v != target) {
            vcpu_wait_down(v);
        }
    }
    printf("attack: vcpu_info registered %u times\n", won);
    return won == 1 ? NULL : "not registered once";
}
