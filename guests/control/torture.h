/* SPDX-License-Identifier: MIT */
/*
 * torture.h - what the torturer (cmd_torture.c) believes of the machine, and what follows from it
 * (torture_model.c, pure): what an operation must answer, and whether it would leave anybody with
 * less of a CPU than a fair wait of far below 50 ms takes. The belief is compared with what the
 * hypervisor says after each operation.
 */
#pragma once

#include <tarn/cpumask.h>
#include <tarn/lib.h>

#define TORTURE_POOLS 8u
#define TORTURE_SUBJECTS 72u

struct torture_pool {
    bool there;
    u32 id, sched;
    struct cpumask cpus;
};

/* A domain of one vcpu. */
struct torture_subject {
    bool there, extra; /* extra: comes and goes */
    u16 domid;
    u32 pool; /* index */
    struct cpumask hard;
};

struct torture_model {
    u32 nr_cpus;
    struct cpumask online;
    struct torture_pool pool[TORTURE_POOLS]; /* 0: Pool-0, in which the control domain is */
    struct torture_subject subject[TORTURE_SUBJECTS];
};

struct cpumask torture_free_cpus(const struct torture_model *m);
/* Of the pools known by index; ~0: none. */
u32 torture_pool_of(const struct torture_model *m, u32 cpu);
bool torture_has_domains(const struct torture_model *m, u32 pool);
/* All in the pool have their part of a CPU: few enough compete for each. */
bool torture_fair(const struct torture_model *m, u32 pool);

/* What the operations answer, 0 or -XEN_E. */
long torture_create(const struct torture_model *m, bool scheduler_known, bool id_taken);
long torture_add(const struct torture_model *m, u32 pool, u32 cpu);
long torture_remove(const struct torture_model *m, u32 pool, u32 cpu);
long torture_offline(const struct torture_model *m, u32 cpu);
long torture_online(const struct torture_model *m, u32 cpu);
