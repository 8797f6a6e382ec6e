/* SPDX-License-Identifier: MIT */
/*
 * config.h - a domain's file (config.c, configvirt.c). Pure: no hypervisor, no heap, so that the
 * same sources run in tests on the host.
 */
#pragma once

#include "numa.h"

#include <tarn/cpulist.h>
#include <tarn/placement.h>

#define VCPUS_MAX 128u
#define NAME_SIZE 32u
#define TEXT_SIZE 1024u
#define DISKS_MAX 8u /* that an emulator serves */
#define WARNINGS_MAX 4u
#define EMULATOR_SUFFIX "-emu"

enum action { ACTION_DESTROY, ACTION_RESTART, ACTION_RENAME_RESTART, ACTION_PRESERVE };

/* In us, as libvirt has them. */
struct bandwidth {
    uint64_t period; /* 0: not given */
    int64_t quota;   /* 0: not given; negative: no limit */
};

struct emulator_disk {
    uint64_t sectors;
    unsigned int iothread; /* that serves it; 0: the emulator itself */
};

/* The domain that serves this one's devices. */
struct emulator_config {
    char file[128];      /* its domain file; "": there is none */
    bool charge_client;  /* it has its time from the client's weight and cap */
    unsigned int weight; /* among the client's own, or its own; 0: not given */
    int cap;             /* likewise; -1: not given */
    unsigned int disks, echoes;
    struct emulator_disk disk[DISKS_MAX];
    unsigned int echo[DISKS_MAX]; /* devices that send back what they get: their iothreads */
};

struct config {
    char name[NAME_SIZE];
    bool uuid_given; /* of a domain that runs: always */
    uint8_t uuid[16];
    char kernel[128], ramdisk[128]; /* ramdisk "": none */
    char extra[TEXT_SIZE];
    uint64_t memory_kb, maxmem_kb;
    unsigned int vcpus, maxvcpus;
    bool hard_given, soft_given;                     /* cpus, cpus_soft */
    struct cpumask hard[VCPUS_MAX], soft[VCPUS_MAX]; /* by vcpu, up to maxvcpus */
    char pool[NAME_SIZE];                            /* "": Pool-0 */
    unsigned int weight;                             /* 0: not given; also from shares */
    uint64_t shares;                                 /* libvirt's; 0: not given */
    int cap;                                         /* -1: not given */
    uint64_t period_us, budget_us;                   /* real time; 0: not given */
    int extratime;                                   /* -1: not given */
    unsigned int event_channels;                     /* its highest port */
    int grant_frames, maptrack_frames;               /* -1: as the hypervisor has it */
    enum action on_poweroff, on_reboot, on_crash, on_watchdog;
    struct emulator_config emulator;
    struct bandwidth vcpu_bandwidth, global_bandwidth; /* of each vcpu; of them all */
    struct bandwidth emulator_bandwidth, iothread_bandwidth;
    unsigned int iothreads; /* ids 1 to iothreads: the emulator's vcpus behind its first */
    char group[NAME_SIZE];  /* whose scheduling domain it is born into; "": none */
    unsigned int group_weight;
    int group_cap; /* -1: not given */
    /*
     * libvirt's placement, checked. Its vcpus count when by_rules, which is when the file has one
     * of placement, cpuset and vcpupin; its emulator and iothreads always. Adviser's answer: asked
     * at create and kept from then on.
     */
    bool by_rules;
    struct placement_raw placement;
    bool advised;
    struct cpumask advice;
    char advice_why[160];
    struct numa_choice weighed; /* memory nodes, if the adviser was asked or chose for us */
    unsigned int warnings;      /* what is left out, though it is no mistake */
    char warning[WARNINGS_MAX][96];
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

/* 32 digits, with dashes as usual or with none; false: it is not that. */
bool uuid_parse(const char *text, uint8_t uuid[16]);

static inline bool has_emulator(const struct config *c)
{
    return c->emulator.file[0];
}
