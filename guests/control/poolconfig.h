/* SPDX-License-Identifier: MIT */
/* poolconfig.h - a cpupool's file (poolconfig.c), of which a command line may be all. Pure. */
#pragma once

#include "config.h"

struct pool_config {
    char name[NAME_SIZE], sched[NAME_SIZE]; /* sched "": the default one */
    bool nodes_given;                       /* cpus are those of nodes: the free ones are meant */
    struct cpumask cpus;
    bool credit_given;                               /* one of the three below, or weight_mode */
    int tslice_ms, ratelimit_us, delay_us;           /* -1: not given */
    int weight_per_vcpu, reset_on_move, cpus_return; /* -1: not given, 0, 1 */
};

/* As config_parse; text NULL: there is no file. */
unsigned int pool_config_parse(const char *file, const char *text, size_t size, int nr_overrides,
                               char *const *overrides, const struct cpu_host *host,
                               struct pool_config *c, void (*report)(void *arg, const char *text),
                               void *arg);
