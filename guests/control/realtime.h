/* SPDX-License-Identifier: MIT */
/*
 * realtime.h - real-time parameters of vcpus (realtime.c), which rtds and sedf have alike. Times in
 * ns. What returns false has told why.
 */
#pragma once

#include "pools.h"

struct reservation {
    uint64_t period, budget, latency; /* latency: sedf's */
    uint32_t weight;                  /* sedf's: in place of period and budget */
    bool extra;
};

#define EVERY_VCPU (~0U)

bool realtime_scheduler(uint32_t sched);
/* Of one vcpu, or the domain's own. */
bool reservation_get(const struct domain *d, uint32_t sched, uint32_t vcpu, struct reservation *r);
/* Silent: 0 or -errno. */
long reservation_read(domid_t domid, uint32_t sched, uint32_t vcpu, struct reservation *r);
/* NULL, or what is wrong with it, whatever the pool can promise. */
const char *reservation_bad(uint32_t sched, const struct reservation *r);
/* Only what the pool can promise; the same, and the message says that there is --force; all. */
enum promise { KEPT, MAY_FORCE, FORCED };
/* r[i] for vcpu[i], all of them or none. */
bool reservations_put(const struct domain *d, const struct pool *p, const uint32_t *vcpu,
                      const struct reservation *r, unsigned int n, enum promise promise);
