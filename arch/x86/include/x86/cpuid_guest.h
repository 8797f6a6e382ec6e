/* SPDX-License-Identifier: MIT */
/* What a PV guest sees when it asks for CPUID by the forced-emulation prefix; arch/x86/pv/cpuid.c.
 * Pure. */
#pragma once

#include <x86/apicid.h>

/* out: eax ebx ecx edx. `cpuid` gives the machine's own. */
void cpuid_for_guest(cpuid_fn cpuid, u32 leaf, u32 sub, u32 out[4]);
