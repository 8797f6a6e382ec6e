/* SPDX-License-Identifier: MIT */
/*
 * What tarn offers beyond Xen's interface: one hypercall, for the control domain (-EPERM for
 * others). Its number is one that Xen leaves to architectures and does not use on x86, so Xen
 * answers it with -ENOSYS. Arguments: a TARN_OP_ command, a pointer to its structure. The upper
 * half of the first argument is a continuation's.
 */
#pragma once

#include <stdint.h>

#include <xen/xen.h>

#define __HYPERVISOR_tarn_op __HYPERVISOR_arch_7

#define TARN_NAME_MAX 32

/* A scheduler that Xen had under this number until 4.5, and has no name for any more. */
#define TARN_SCHEDULER_SEDF 4
/* Round robin, the example of docs/scheduling.md: a number that Xen is far from. */
#define TARN_SCHEDULER_RR 100

/* A flag of struct xen_domctl_sched_rtds and of tarn_sched_sedf: also what the pool's CPUs can't do
 * for all (-ENOSPC without it). */
#define TARN_SCHEDRT_force (1u << 31)

/*
 * XEN_DOMCTL_scheduler_op under TARN_SCHEDULER_SEDF: what stands in place of the union's `credit`.
 * Times in ns, as Xen had them. -EINVAL: neither period nor weight; period not 10 us to 10 s; slice
 * under 5 us or over the period.
 */
struct tarn_sched_sedf {
    uint64_t period, slice; /* 0, 0: best effort, or by weight */
    uint64_t latency;       /* of the first period after a long block, 0: as any other */
    uint32_t weight;        /* in place of period and slice, or of extra time; 0: none */
    uint32_t flags;         /* XEN_DOMCTL_SCHEDRT_extra, TARN_SCHEDRT_force */
};

/* An element of the array of putvcpuinfo and getvcpuinfo under it. */
struct tarn_schedparam_sedf_vcpu {
    struct tarn_sched_sedf sedf;
    uint32_t vcpuid;
    uint32_t pad;
};

/*
 * A domain's name, as the hypervisor's messages show it; those of boot-time domains come from their
 * module's string. -ESRCH: no such domain; -EINVAL: empty, not terminated, or a control character.
 */
#define TARN_OP_get_domain_name 1
#define TARN_OP_set_domain_name 2
struct tarn_domain_name {
    domid_t domid; /* in */
    uint16_t pad[3];
    char name[TARN_NAME_MAX]; /* in or out, terminated */
};

/*
 * For tests: the `after`-th allocation of memory by the hypervisor from now on fails, once; 1 is
 * the next, 0 switches it off. `pending` tells whether an earlier order is still waiting.
 */
#define TARN_OP_fail_allocation 3
struct tarn_fail_allocation {
    uint32_t after;   /* in */
    uint32_t pending; /* out: what was left of the order before, 0: it has come to pass or there
                         was none */
};

/* A pool's name, "Pool-N" at first. -ENOENT: no such pool; -EEXIST: another has the name; -EINVAL
 * as for domains. */
#define TARN_OP_get_pool_name 4
#define TARN_OP_set_pool_name 5
struct tarn_pool_name {
    uint32_t id; /* in */
    uint32_t pad;
    char name[TARN_NAME_MAX]; /* in or out, terminated */
};

/* How a pool treats its domains. -ENOENT: no such pool; -EINVAL: a flag that there is not. */
#define TARN_OP_get_pool_options 6
#define TARN_OP_set_pool_options 7
/* credit: a weight is that of each vcpu that wants to run, as in Xen, not the domain's as a whole
 */
#define TARN_POOL_weight_per_vcpu (1u << 0)
/* a domain that moves in begins with weight 256, no cap and all CPUs, as in Xen */
#define TARN_POOL_reset_on_move (1u << 1)
/* a CPU that was in this pool last comes back to it when it goes into service again, not to Pool-0,
 * as in Xen */
#define TARN_POOL_cpus_return (1u << 2)
struct tarn_pool_options {
    uint32_t id;    /* in */
    uint32_t flags; /* in or out */
};

/*
 * Where a vcpu may run now, beside what XEN_DOMCTL_getvcpuaffinity says was given: the given CPUs
 * that are in its pool. -ESRCH: no such domain or vcpu.
 */
#define TARN_OP_get_vcpu_placement 8
#define TARN_CPUS_MAX 256
/* none of the given CPUs is in the pool: it runs on all of the pool's until one of them is again */
#define TARN_PLACEMENT_broken (1u << 0)
/* SCHEDOP_pin_override ties it to one CPU */
#define TARN_PLACEMENT_override (1u << 1)
struct tarn_vcpu_placement {
    domid_t domid; /* in */
    uint16_t pad;
    uint32_t vcpu;                      /* in */
    uint32_t flags;                     /* out: TARN_PLACEMENT_* */
    uint32_t pool;                      /* out: its id */
    uint64_t hard[TARN_CPUS_MAX / 64];  /* out */
    uint64_t soft[TARN_CPUS_MAX / 64];  /* out: empty: no preference */
    uint64_t given[TARN_CPUS_MAX / 64]; /* out: the hard affinity, also during an override */
};

/*
 * Weight and cap of a domain, which it has in every pool and which count under credit;
 * XEN_DOMCTL_scheduler_op reaches them there alone. -ESRCH: no such domain; -EINVAL: weight 0.
 */
#define TARN_OP_get_domain_shares 9
#define TARN_OP_set_domain_shares 10
struct tarn_domain_shares {
    domid_t domid;        /* in */
    uint16_t weight, cap; /* in or out; cap: in per cent of a CPU, 0: none */
    uint16_t pad;
};

/*
 * One port of a domain: the first in use from `port` on. The counters are about events that come to
 * it, since it was bound, and each counts one fate: sent = coalesced + masked + delivered. -ESRCH:
 * no such domain; -ENOENT: no port in use from there on.
 */
#define TARN_OP_get_port 11
#define TARN_PORT_pending (1u << 0)
#define TARN_PORT_masked (1u << 1)
#define TARN_PORT_linked (1u << 2) /* FIFO: it stands in a queue */
#define TARN_PORT_fifo (1u << 3)   /* the domain has the FIFO ABI */
struct tarn_port {
    domid_t domid;        /* in */
    domid_t remote_domid; /* out: unbound and interdomain */
    uint32_t port;        /* in or out */
    uint32_t status;      /* out: EVTCHNSTAT_* */
    uint32_t flags;       /* out: TARN_PORT_* */
    uint32_t vcpu;        /* out: which is notified */
    uint32_t priority;    /* out: 0 (first) to 15; two-level: 7 */
    uint32_t remote_port; /* out: interdomain */
    uint32_t virq;        /* out: virq */
    uint64_t sent;        /* out: all that were sent to it */
    uint64_t coalesced;   /* out: of these, those that found it pending already */
    uint64_t masked;      /* out: those that made it pending behind its mask: no upcall */
    uint64_t delivered;   /* out: those that went on to its vcpu */
};

/*
 * Scheduling domains. A domain that has members is their master: all of them together have the
 * weight and the cap that it has, as if they were one domain, under credit. A member's own weight
 * and cap don't count, and can't be changed, until it leaves; then they are what they were. Inside,
 * time is divided by inner weights, with what somebody does not want going to the others, and by
 * inner caps; the master's own vcpus take part as one of them (self_weight, self_cap). A member may
 * have members itself, TARN_GROUP_DEPTH levels deep at most. All of them are in one pool, and move
 * as a unit, by the topmost master.
 *
 * add: domid joins the group of master. -ESRCH: no such domain; -EXDEV: they are in different
 * pools; -EBUSY: it is a member already; -EINVAL: it is the master itself, or stands above it, or a
 * cap over 65535; -E2BIG: too deep. remove: domid leaves the group it is in. -ENOENT: it is in
 * none. set: weight and cap inside, of member domid; or, with domid == master, self_weight and
 * self_cap of that one. -ENOENT: domid is not a member of master, or has no members. dissolve: all
 * members of master leave. -ENOENT: it has none. info: of domain domid.
 */
#define TARN_OP_group_add 12
#define TARN_OP_group_remove 13
#define TARN_OP_group_set 14
#define TARN_OP_group_dissolve 15
#define TARN_OP_group_info 16
#define TARN_GROUP_DEPTH 8
struct tarn_group {
    domid_t domid;                  /* in */
    domid_t master;                 /* in (info: out, DOMID_INVALID: it is no member) */
    uint16_t weight, cap;           /* as a member: in for add and set, out for info; weight 0: 256;
                                       cap in per cent of a CPU, 0: none */
    uint16_t self_weight, self_cap; /* as a master, of its own vcpus: out for info */
    uint32_t members;               /* out for info */
};

/*
 * Bandwidth: in each period a vcpu (or a domain's vcpus together, with those of its emulator) may
 * run for quota and then waits for the next one; under every scheduler. -ESRCH: no such domain or
 * vcpu; -EINVAL: out of range. Quota is CPU time: that of a domain with several vcpus may be more
 * than the period.
 */
#define TARN_OP_get_bandwidth 17
#define TARN_OP_set_bandwidth 18
#define TARN_BANDWIDTH_DOMAIN (~0u)
#define TARN_PERIOD_MIN 1000u    /* us */
#define TARN_PERIOD_MAX 1000000u /* us */
#define TARN_QUOTA_MIN 1000u     /* us */
#define TARN_QUOTA_MAX 17592186044415ull
struct tarn_bandwidth {
    domid_t domid; /* in */
    uint16_t pad;
    uint32_t vcpu;         /* in: or TARN_BANDWIDTH_DOMAIN */
    uint64_t period_us;    /* in or out; 0: as it is (at first 100000) */
    int64_t quota_us;      /* in or out; negative: no limit; 0: as it is */
    uint64_t throttled;    /* out: how often the quota was used up */
    uint64_t throttled_ns; /* out: for how long somebody had to wait for the next period */
};

/* For how long a domain's vcpus ran on a CPU, in ns, up to now. -ESRCH: no such domain; -EINVAL: no
 * CPU has that number. */
#define TARN_OP_get_cpu_time 21
struct tarn_cpu_time {
    domid_t domid; /* in */
    uint16_t pad;
    uint32_t cpu; /* in */
    uint64_t ns;  /* out */
};

/*
 * Domain `emulator` serves `domid`: what limits domid as a whole (TARN_BANDWIDTH_DOMAIN) limits
 * both together. DOMID_INVALID: it has none any more. A domain has one emulator, and that one
 * client. The bond ends with either of them. -ESRCH: no such domain; -EBUSY: either has one
 * already; -EINVAL: it is the same domain, or an emulator itself, or domain 0.
 */
#define TARN_OP_get_emulator 19
#define TARN_OP_set_emulator 20
struct tarn_emulator {
    domid_t domid;    /* in */
    domid_t emulator; /* in or out; DOMID_INVALID: none */
    domid_t client;   /* out: whom domid serves itself; DOMID_INVALID: nobody */
    uint16_t pad;
};
