/* SPDX-License-Identifier: MIT */
/*
 * conform - prints what the hypervisor answers in some hundreds of cases, good
 * and bad; it judges nothing itself. Arguments: only=NAME for one group; pools is
 * not among the others.
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

static const struct {
    const char *name;
    void (*check)(void);
} groups[] = {
    { "evtchn", check_evtchn }, /* first: it looks at the first port there is */
    { "version", check_version },   { "sched", check_sched },
    { "vcpu", check_vcpu },         { "pair", check_pair },
    { "memory", check_memory },     { "mmu", check_mmu },
    { "segments", check_segments }, { "traps", check_traps },
    { "misc", check_misc },         { "privileged", check_privileged },
    { "domctl", check_domctl },     { "sysctl", check_sysctl },
    { "trace", check_trace },       { "pools", check_pools }, /* last: only when it is asked for */
};

#define NR_GROUPS (sizeof(groups) / sizeof(groups[0]))

const char *guest_main(void)
{
    char only[16] = "";

    arg_string("only", only, sizeof(only));
    for (unsigned int i = 0; i < NR_GROUPS; i++) {
        if (*only ? strcmp(only, groups[i].name) == 0 : i < NR_GROUPS - 1) {
            groups[i].check();
        }
    }
    printf("conform: %u cases\n", cases);
    return NULL;
}
