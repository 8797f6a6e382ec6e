/* SPDX-License-Identifier: MIT */
/*
 * start.c - a guest's first and last C code: maps shared_info over a page of the
 * image, sets traps and callbacks, runs guest_main() and ends the domain. Also
 * the walk through the guest's own page tables.
 */
#include "guest.h"

struct start_info *start_info;
char shared_page[PAGE_SIZE] __attribute__((aligned(4096)));

#define PTE_PRESENT 1UL
#define PTE_RW 0x63UL /* present, writable, accessed, dirty */
#define PTE_ADDRESS 0x000ffffffffff000UL

static uint64_t *table_virt(uint64_t entry)
{
    return pfn_to_virt(machine_to_phys_mapping[(entry & PTE_ADDRESS) / PAGE_SIZE]);
}

static unsigned int table_index(unsigned int level, const volatile void *va)
{
    return (unsigned int)(ARG(va) >> (12 + 9 * (level - 1))) & 511;
}

uint64_t *page_table(unsigned int level, const volatile void *va)
{
    uint64_t *table = (uint64_t *)start_info->pt_base;

    for (unsigned int at = 4; at > level; at--) {
        uint64_t entry = table[table_index(at, va)];

        if (!(entry & PTE_PRESENT)) {
            return NULL;
        }
        table = table_virt(entry);
    }
    return table;
}

uint64_t l1e_maddr(const volatile void *va)
{
    uint64_t *l1 = page_table(1, va);

    return l1 ? virt_to_mfn(l1) * PAGE_SIZE + table_index(1, va) * sizeof(*l1) : 0;
}

void *machine_page(uint64_t mfn)
{
    unsigned long pfn = machine_to_phys_mapping[mfn];
    uint64_t entry = mfn * PAGE_SIZE | PTE_RW, *l1;
    char *va = pfn_to_virt(pfn);

    if (pfn >= start_info->nr_pages) {
        return NULL;
    }
    l1 = page_table(1, va);
    if (!l1) {
        return NULL;
    }
    if (!(l1[table_index(1, va)] & PTE_PRESENT) && update_va_mapping(va, entry, UVMF_INVLPG)) {
        return NULL;
    }
    return va;
}

void guest_shutdown(unsigned int reason)
{
    struct sched_shutdown op = { .reason = reason };

    for (;;) {
        sched_op(SCHEDOP_shutdown, &op);
    }
}

void guest_exit(const char *failure)
{
    if (failure) {
        printf("%s: FAILED: %s\n", guest_name, failure);
    } else {
        printf("%s: ok\n", guest_name);
    }
    /* The console may be a slow serial line that the machine's end would cut off. */
    clock_sleep(20 * MS);
    guest_shutdown(arg_flag("reboot") ? SHUTDOWN_reboot : SHUTDOWN_poweroff);
}

/* Called by start.asm on the stack of vcpu 0. */
void guest_start(struct start_info *si) __attribute__((noreturn));
void guest_start(struct start_info *si)
{
    start_info = si;
    for (unsigned int v = 0; v < XEN_LEGACY_MAX_VCPUS; v++) {
        vcpu_infos[v] = &shared->vcpu_info[v];
    }
    update_va_mapping(shared_page, si->shared_info | PTE_RW, UVMF_INVLPG);
    trap_init();
    timer_periodic(0, 0);
    console_start();
    event_start();
    xs_start();
    upcalls_enable();
    guest_exit(guest_main());
}
