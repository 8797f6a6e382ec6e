/* SPDX-License-Identifier: MIT */
/* configkeys.h - the keys of a domain's file: what config.c and configvirt.c share. Pure. */
#pragma once

#include "keyfile.h"

#define WEIGHT_MAX 65535u

enum key {
    KEY_NAME,
    KEY_KERNEL,
    KEY_RAMDISK,
    KEY_EXTRA,
    KEY_CMDLINE,
    KEY_ROOT,
    KEY_POOL,
    KEY_MEMORY,
    KEY_MAXMEM,
    KEY_VCPUS,
    KEY_MAXVCPUS,
    KEY_WEIGHT,
    KEY_CAP,
    KEY_PERIOD,
    KEY_BUDGET,
    KEY_EXTRATIME,
    KEY_EVENT_CHANNELS,
    KEY_GRANT_FRAMES,
    KEY_MAPTRACK_FRAMES,
    KEY_CPUS,
    KEY_CPUS_SOFT,
    KEY_POWEROFF,
    KEY_REBOOT,
    KEY_CRASH,
    KEY_WATCHDOG,
    KEY_TYPE,
    KEY_BUILDER,
    KEY_UUID,
    /* configvirt.c */
    KEY_VIRT,
    KEY_PLACEMENT = KEY_VIRT,
    KEY_CPUSET,
    KEY_VCPUPIN,
    KEY_EMULATORPIN,
    KEY_IOTHREADPIN,
    KEY_PLACE,
    KEY_NUMATUNE,
    KEY_SHARES,
    KEY_EMULATOR,
    KEY_CHARGE,
    KEY_EMULATOR_CPUS,
    KEY_EMULATOR_WEIGHT,
    KEY_EMULATOR_CAP,
    KEY_EMULATOR_DISK,
    KEY_EMULATOR_ECHO,
    KEY_IOTHREADS,
    KEY_IOTHREAD_CPUS,
    KEY_VCPU_PERIOD,
    KEY_VCPU_QUOTA,
    KEY_GLOBAL_PERIOD,
    KEY_GLOBAL_QUOTA,
    KEY_EMULATOR_PERIOD,
    KEY_EMULATOR_QUOTA,
    KEY_IOTHREAD_PERIOD,
    KEY_IOTHREAD_QUOTA,
    KEY_GROUP,
    KEY_GROUP_WEIGHT,
    KEY_GROUP_CAP,
    KEYS
};

/* All that is known while a file is read. */
struct parser {
    struct keyfile k;
    const struct cpu_host *host;
    struct config *c;
    struct place at[KEYS]; /* of values whose meaning depends on other keys */
    char root[128], cmdline[TEXT_SIZE], extra[TEXT_SIZE];
    uint64_t memory, maxmem, cap; /* of cap: CAP_NONE when not given */
    uint64_t emulator_cap;        /* likewise */
};
#define CAP_NONE (~0UL)

extern const char *const key_names[KEYS];

/* ---- config.c ---- */

bool config_count(struct parser *p, enum key key, uint64_t max, unsigned int *to);
/* One that is -1 when it isn't given. */
bool config_small(struct parser *p, enum key key, uint64_t min, uint64_t max, int *to);
/* What it means is found out at the end: config_again() reads it then. False: it is not there, or
 * is wrong. */
bool config_keep(struct parser *p, enum key key, const struct place *at);
bool config_again(struct parser *p, enum key key);

/* ---- configvirt.c: keys from KEY_VIRT on ---- */

bool config_virt_apply(struct parser *p, enum key key, const struct place *at);
void config_virt_settle(struct parser *p);
