/* SPDX-License-Identifier: MIT */
/*
 * How this machine's APIC ids divide into socket, core and thread, from CPUID;
 * arch/x86/cpu/apicid.c (pure). Sources in order of preference: leaf 0x1f, 0xb, 0x80000026,
 * 0x8000001e, 0x80000008, 4 with 1, 1. One that is absent, zero or contradicts itself is passed
 * over. Whatever lies between core and socket (module, tile, die, core complex) counts as part of
 * the core number.
 */
#pragma once

#include <tarn/topology.h>

typedef void (*cpuid_fn)(u32 leaf, u32 sub, u32 out[4]); /* out: eax ebx ecx edx */

/* Always gives a layout; with no information each APIC id is a socket of its own. */
struct apicid_layout apicid_layout(cpuid_fn cpuid);
