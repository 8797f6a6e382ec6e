/* SPDX-License-Identifier: MIT */
/*
 * config.h - a domain's file (config.c). Pure: no hypervisor, no heap, so that the same sources run
 * in tests on the host.
 */
#pragma once

#include <tarn/cpulist.h>

#define VCPUS_MAX 128u
#define NAME_SIZE 32u
#define TEXT_SIZE 1024u

enum action { ACTION_DESTROY, ACTION_RESTART, ACTION_RENAME_RESTART, ACTION_PRESERVE };

struct config {
    char name[NAME_SIZE];
    char kernel[128], ramdisk[128]; /* ramdisk "": none */
    char extra[TEXT_SIZE];
    uint64_t memory_kb, maxmem_kb;
    unsigned int vcpus, maxvcpus;
    bool hard_given, soft_given;
    struct cpumask hard[VCPUS_MAX], soft[VCPUS_MAX]; /* by vcpu, up to maxvcpus */
    char pool[NAME_SIZE];                            /* "": Pool-0 */
    unsigned int weight;                             /* 0: not given */
    int cap;                                         /* -1: not given */
    uint64_t period_us, budget_us;                   /* real time; 0: not given */
    int extratime;                                   /* -1: not given */
    unsigned int event_channels;                     /* its highest port */
    int grant_frames, maptrack_frames;               /* -1: as the hypervisor has it */
    enum action on_poweroff, on_reboot, on_crash, on_watchdog;
};

/*
 * Parses a file and then overrides ("key=value" each) into *c, defaults first. Whatever is wrong
 * goes to report(arg, "FILE:LINE: reason"); parsing goes on, so that all of it is told. Returns how
 * many things were wrong. Overrides are named "command line".
 */
unsigned int config_parse(const char *file, const char *text, size_t size, int nr_overrides,
                          char *const *overrides, const struct cpu_host *host, struct config *c,
                          void (*report)(void *arg, const char *text), void *arg);

/* NULL, or why a domain can't be called that: "is empty", "is a number". */
const char *domain_name_wrong(const char *name);
