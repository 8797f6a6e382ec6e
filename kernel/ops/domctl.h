/* SPDX-License-Identifier: MIT */
/*
 * What the files of HYPERVISOR_domctl share. An operation gets the domain it is about (referenced;
 * NULL only for those that take none) and the caller's structure, which it may change. It returns 0
 * or -errno; -ERESTART: the call is issued again, with what is in the caller's memory.
 */
#pragma once

#include <tarn/domain.h>
#include <xen/domctl.h>

/* domctl_vcpu.c: a set of CPUs for the caller, for HYPERVISOR_sysctl, too. 0 or -errno. */
int mask_to_guest(const struct xenctl_bitmap *b, const struct cpumask *m);
int mask_from_guest(struct cpumask *m, const struct xenctl_bitmap *b);

/* sysctl.c: a CPU goes into or out of service, and all that should hear of it does. */
long cpu_service(u32 cpu, bool online);

/*
 * cpu_policy.c. The leaves go to the caller's array of *nr; without an array *nr is how many there
 * can be. 0 or -errno.
 */
long cpu_policy_get(u64 leaves, u32 *nr);
long cpu_policy_set(u64 leaves, u32 nr);
#define CPU_FEATURE_WORDS 8u
void cpu_feature_words(u32 words[CPU_FEATURE_WORDS]);

typedef long domctl_fn(struct domain *d, struct xen_domctl *op);

/* domctl_sched.c and domctl_vcpu.c; the domctl lock is held. */
domctl_fn domctl_scheduler_op, domctl_max_vcpus, domctl_getvcpuinfo, domctl_getvcpucontext,
    domctl_setvcpucontext, domctl_getvcpuaffinity, domctl_setvcpuaffinity, domctl_getnodeaffinity,
    domctl_setnodeaffinity, domctl_sendtrigger;
