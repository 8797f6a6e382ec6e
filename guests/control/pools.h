/* SPDX-License-Identifier: MIT */
/*
 * pools.h - orders to cpupools (pools.c), each whole or not at all. What returns false or a status
 * has told why.
 */
#pragma once

#include "shell.h"

struct pool {
    uint32_t id, sched, domains;
    char name[NAME_SIZE];
    struct cpumask cpus;
};

/* The first pool of this number or a higher one: 0 or -errno. */
long pool_next(uint32_t id, struct pool *p);
/* By name or number. */
bool pool_find(const char *text, struct pool *p);
/* Silent. */
bool pool_lookup(const char *text, struct pool *p);
bool pools_free_cpus(struct cpumask *cpus);
bool scheduler_find(const char *name, uint32_t *id); /* "": the default one */

bool pool_make(const char *name, uint32_t sched, struct pool *p); /* without CPUs */
/* Its domains go to `refuge`, which may be NULL if there are none; its CPUs are free then. */
bool pool_end(const struct pool *p, const struct pool *refuge);
bool pool_rename(const struct pool *p, const char *name);
/* Whether all of them are free; `name` is for the message. */
bool pool_can_add(const char *name, const struct cpumask *cpus);
bool pool_add(const struct pool *p, const struct cpumask *cpus);
bool pool_remove(const struct pool *p, const struct cpumask *cpus);
bool pool_move(const char *domain, domid_t domid, const struct pool *to);
/* TARN_POOL_ flags: those in `mask` become what `flags` says; *old: what they were, may be NULL. */
bool pool_options(const struct pool *p, uint32_t mask, uint32_t flags, uint32_t *old);

/* The pool that a domain is in. */
bool domain_pool(const struct domain *d, struct pool *p);
/* Whether it runs this scheduler. */
bool pool_runs(const struct pool *p, uint32_t sched);

/* ---- cmd_credit.c ---- */

/* The parameters of a pool under credit; -1: as it is. */
bool credit_pool_set(const struct pool *p, int tslice_ms, int ratelimit_us, int delay_us);
