/* SPDX-License-Identifier: MIT */
/*
 * For tests of scheduling domains: the hypercall, by slots of doms[], on the machine of pcpus.h;
 * and a spy between pools and credit, which sees that a policy is told of each step in a tree, and
 * of none that is not one.
 */
#pragma once

#include "pcpus.h"

#include <public/tarn.h>

#define CREDIT 5u
#define RTDS 8u
#define NOWHERE 0x1000 /* an address that the caller has not */
#define NONE DOMID_INVALID
#define NOBODY 999 /* a domain that there is not */

/* The hypercall; errnos. */
long group_op(u64 cmd, u32 slot, u32 master, u32 weight, u32 cap);
long add(u32 slot, u32 master);
long set(u32 slot, u32 master, u32 weight, u32 cap);
long remove_it(u32 slot);
long dissolve(u32 master);
struct tarn_group info(u32 slot);
/* What info() must be; master NONE: of nobody. */
void check_info(u32 slot, u32 master, u32 weight, u32 cap, u32 members);
void check_self(u32 slot, u32 weight, u32 cap);
void check_alone(u32 slot);

extern struct sched_ops spy;        /* of Pool-0 */
extern struct sched_dom *placeless; /* regroup said that it has no place for now */
extern u32 steps, changes;          /* what the policy was told */
int setup_group(void **state);      /* cmocka's */

u32 pool_with_cpu(u32 sched, u32 cpu);
void end_pool(u32 pool, u32 cpu);
u32 pool_of(u32 slot);
/* As the hypercall does it: all of the tree paused. */
long move_tree(u32 slot, u32 pool);
