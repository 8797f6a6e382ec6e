/* SPDX-License-Identifier: MIT */
/* victim.h - a domain of a few pages, made by control.c, whose vcpus make hypercalls for ever. */
#pragma once

#include "attack.h"

#define VICTIM_PAGES 8U /* the first four are L4 to L1 */

/* What fills its n-th page, given all its frames; NULL: it stays as it is. */
extern void (*const victim_fill[VICTIM_PAGES])(uint64_t *page, const uint64_t *mfns);
void victim_context(struct vcpu_guest_context *c, uint64_t l4, unsigned int vcpu);
