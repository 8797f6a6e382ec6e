/* SPDX-License-Identifier: MIT */
/*
 * conform - prints what the hypervisor answers in some hundreds of cases, good
 * and bad; it judges nothing itself. Arguments: only=NAME for one group; some run
 * only so.
 * Meant for two vcpus: cases of a second vcpu use vcpu 1.
 */
#include "conform.h"

const char guest_name[] = "conform";

volatile char scratch_page[PAGE_SIZE] __attribute__((aligned(4096)));
volatile char other_page[PAGE_SIZE] __attribute__((aligned(4096)));
volatile char info_page[PAGE_SIZE] __attribute__((aligned(4096)));

static unsigned int cases;

void result(const char *name, long value)
{
    cases++;
    printf("T|%s|%ld\n", name, value);
}

void result_hex(const char *name, unsigned long value)
{
    cases++;
    printf("T|%s|0x%lx\n", name, value);
}

void resultf(const char *name, const char *format, ...)
{
    char text[128];
    va_list ap;

    va_start(ap, format);
    fmt_vsnprintf(text, sizeof(text), format, ap);
    va_end(ap);
    cases++;
    printf("T|%s|%s\n", name, text);
}

struct group {
    const char *name;
    void (*check)(void);
    bool alone; /* only when it is asked for */
};

static const struct group groups[] = {
    { "evtchn", check_evtchn, false }, /* first: it looks at the first port there is */
    { "version", check_version, false },
    { "sched", check_sched, false },
    { "vcpu", check_vcpu, false },
    { "pair", check_pair, false },
    { "memory", check_memory, false },
    { "mmu", check_mmu, false },
    { "segments", check_segments, false },
    { "traps", check_traps, false },
    { "misc", check_misc, false },
    { "privileged", check_privileged, false },
    { "domctl", check_domctl, false },
    { "sysctl", check_sysctl, false },
    { "platform", check_platform_op, false },
    { "exchange", check_memory_exchange, false },
    { "trace", check_trace, false },
    { "events", check_events, true }, /* domain 42's events, too; moves vcpu_info */
    { "fifo", check_fifo, true },
    { "fifo-full", check_fifo_full, true }, /* takes all ports there are: a second or two */
    { "grants", check_grants, true },
    { "pools", check_pools, true },
};

#define NR_GROUPS (sizeof(groups) / sizeof(groups[0]))

const char *guest_main(void)
{
    char only[16] = "";

    arg_string("only", only, sizeof(only));
    for (unsigned int i = 0; i < NR_GROUPS; i++) {
        if (*only ? strcmp(only, groups[i].name) == 0 : !groups[i].alone) {
            groups[i].check();
        }
    }
    printf("conform: %u cases\n", cases);
    return NULL;
}
