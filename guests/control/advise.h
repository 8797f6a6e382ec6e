/* SPDX-License-Identifier: MIT */
/*
 * advise.h - what of a machine's placement of domains will not do well, and the command that would
 * help (advise.c). Pure: it gets a picture of the machine, of one stretch of time, and gives texts.
 */
#pragma once

#include <tarn/cpumask.h>
#include <tarn/lib.h>

#define ADVICE_SIZE 256u

struct advise_cpu {
    bool present;
    bool idle; /* (nearly) all of the time */
    u32 core, socket;
};

struct advise_pool {
    const char *name;
    struct cpumask cpus;
    enum { SHARES, RTDS, SEDF } kind; /* what it promises */
};

struct advise_domain {
    const char *name;
    u32 id;
    u32 pool; /* index */
};

/* Only those that are up. */
struct advise_vcpu {
    u32 domain; /* index; a domain's vcpus stand side by side */
    u32 id;
    u32 cpu; /* where it ran last */
    bool busy, broken;
    struct cpumask given, hard; /* hard: what counts now */
    u64 period, budget;         /* ns; 0: nothing is promised */
};

struct advise_host {
    const struct advise_pool *pools;
    const struct advise_domain *domains;
    const struct advise_vcpu *vcpus;
    u32 nr_pools, nr_domains, nr_vcpus;
    struct cpumask spare; /* CPUs in no pool */
    struct advise_cpu cpus[NR_CPUS];
};

struct advice {
    const char *kind; /* one word */
    char reason[ADVICE_SIZE];
    char command[ADVICE_SIZE]; /* "": there is none */
};

/* How many there are; `tell` gets each. */
unsigned int advise(const struct advise_host *h,
                    void (*tell)(void *arg, const struct advice *advice), void *arg);
