/* SPDX-License-Identifier: MIT */
/*
 * What the CPU can do and what of it we use; arch/x86/cpu/cpufeature.c. Written once by the boot
 * CPU; the other CPUs are taken to be alike.
 */
#pragma once

#include <tarn/types.h>

#define CR0_PE (1UL << 0)
#define CR0_MP (1UL << 1)
#define CR0_EM (1UL << 2)
#define CR0_TS (1UL << 3)
#define CR0_ET (1UL << 4)
#define CR0_NE (1UL << 5)
#define CR0_WP (1UL << 16)
#define CR0_AM (1UL << 18)
#define CR0_PG (1UL << 31)

#define CR4_TSD (1UL << 2)
#define CR4_DE (1UL << 3)
#define CR4_PAE (1UL << 5)
#define CR4_MCE (1UL << 6)
#define CR4_PGE (1UL << 7)
#define CR4_PCE (1UL << 8)
#define CR4_OSFXSR (1UL << 9)
#define CR4_OSXMMEXCPT (1UL << 10)
#define CR4_UMIP (1UL << 11)
#define CR4_FSGSBASE (1UL << 16)
#define CR4_OSXSAVE (1UL << 18)
#define CR4_SMEP (1UL << 20)
#define CR4_SMAP (1UL << 21)

#define XCR0_X87 (1UL << 0)
#define XCR0_SSE (1UL << 1)
#define XCR0_AVX (1UL << 2)
#define XCR0_AVX512 (7UL << 5)
#define XCR0_SAVED (XCR0_X87 | XCR0_SSE | XCR0_AVX | XCR0_AVX512) /* at most; for guests */

struct cpu_features {
    char vendor[13];
    u32 family, model, stepping;
    u32 max_leaf, max_ext_leaf;
    u32 phys_bits; /* of machine addresses */
    bool nx, syscall, page1gb, pcid, la57;
    bool smep, smap; /* the CPU has it, and smep= or smap= didn't switch it off */
    bool umip, fsgsbase, mce;
    bool x2apic, tsc_deadline, invariant_tsc, arat;
    bool xsave, xsaveopt;
    u64 xcr0;       /* components that XCR0 enables; their area fits into one page */
    u32 xsave_size; /* bytes of that area; 512 without XSAVE */
};
extern struct cpu_features cpu_features;

void cpu_features_init(void); /* boot CPU, after options_parse */
void cpu_setup(void);         /* each CPU: CR0, CR4, EFER, XCR0 */
