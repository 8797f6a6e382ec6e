/* SPDX-License-Identifier: MIT */
/* control.h - what the parts of attack=control share: control.c builds and breaks domains, pools.c
 * pools, parameters of schedulers, and the trace, groups.c who shares whose time. */
#pragma once

#include "attack.h"

#include <xen/domctl.h>
#include <xen/sysctl.h>

#define NR_DOMAINS 4U
#define FIRST_DOMID 100U

/* A vcpu's own. */
struct actor {
    struct dice dice;
    struct xen_domctl domctl;
    struct xen_sysctl sysctl;
    struct vcpu_guest_context context;
    uint64_t memory[64];
};

/* control.c */
long domctl(struct actor *a, uint32_t cmd, unsigned int domid);
long sysctl(struct actor *a, uint32_t cmd);
unsigned int some_domid(struct actor *a);
/* A foreign frame at the alias' address, and the alias' own again. */
long map_foreign(uint64_t *alias, uint64_t mfn, unsigned int domid, uint64_t bits);
uint64_t *some_alias(struct actor *a);
/* Builds the domain in that slot, and starts it. */
bool build_domain(struct actor *a, unsigned int slot, uint32_t pool);

/* A frame of the slot's domain, as far as we know; seldom, any other. */
uint64_t mfn_of(struct actor *a, unsigned int slot);

/* grant_wild.c */
const char *grant_wild_begin(void);
void act_grant_write(struct actor *a);
void act_grant_map(struct actor *a);
/* Nothing of theirs is mapped by a grant any more; what went wrong, or NULL. */
const char *grant_wild_end(void);

/* groups.c */
void act_shell(struct actor *a);
void act_group(struct actor *a);
void act_bandwidth(struct actor *a);
void act_emulator(struct actor *a);
/* What there is are trees, and domains that are left keep to the rules; what went wrong, or NULL.
 */
const char *groups_end(struct actor *a);

/* pools.c */
uint32_t some_pool(struct actor *a);
void act_pool(struct actor *a);
void act_pool_tarn(struct actor *a);
void act_realtime(struct actor *a);
void act_credit_pool(struct actor *a);
void act_pin(struct actor *a);
void act_trace(struct actor *a);
void act_ring(struct actor *a);
/* For those that act: the rings are made, once and for all. */
void pools_begin(struct actor *a);
/* This vcpu is tied to no CPU any more. */
void pin_end(void);
/* The slot's domain runs in each pool in turn; what went wrong, or NULL. */
const char *pools_run(struct actor *a);
/* All are taken apart; their CPUs are Pool-0's. */
const char *pools_end(struct actor *a);
