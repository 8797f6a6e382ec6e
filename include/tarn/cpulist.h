/* SPDX-License-Identifier: MIT */
/* Lists of CPUs as xl takes and prints them. Pure, but for the buffer that holds the last reason.
 */
#pragma once

#include <tarn/cpumask.h>

/* What a list may name. */
struct cpu_host {
    u32 nr_cpus;     /* up to NR_CPUS */
    const u32 *node; /* of each CPU, ~0: it is not there; NULL: nodes can't be named */
};

/*
 * "all", "0-3,5,^1", "node:0", "nodes:0-1,^node:1": from left to right each part adds CPUs, or with
 * ^ takes them away. NULL and *out, or the reason.
 */
const char *cpulist_parse(const char *text, const struct cpu_host *host, struct cpumask *out);
/* "0-3,5"; "all" when it is every CPU of nr_cpus, "none" when empty; length as snprintf. */
int cpulist_format(char *buf, size_t size, const struct cpumask *mask, u32 nr_cpus);
