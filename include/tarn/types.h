/* SPDX-License-Identifier: MIT */
/*
 * Scalar types. mfn_t and pfn_t are wrapped so that mixing a machine frame
 * number with a guest pseudo-physical one does not compile.
 */
#pragma once

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;
typedef int8_t s8;
typedef int16_t s16;
typedef int32_t s32;
typedef int64_t s64;

typedef s64 stime_t; /* system time: ns since the TSC was calibrated at boot */
typedef u64 paddr_t; /* machine address, bytes */
typedef u64 vaddr_t; /* virtual address, bytes */

typedef struct {
    u64 n;
} mfn_t; /* machine frame number */

typedef struct {
    u64 n;
} pfn_t; /* guest pseudo-physical frame number */

#define STIME_MAX INT64_MAX
#define NSEC_PER_USEC 1000LL
#define NSEC_PER_MSEC 1000000LL
#define NSEC_PER_SEC 1000000000LL

#define PAGE_SHIFT 12
#define PAGE_SIZE 4096UL
#define PAGE_MASK (~(PAGE_SIZE - 1))

#define MFN(x) ((mfn_t){ (x) })
#define PFN(x) ((pfn_t){ (x) })
#define INVALID_MFN MFN(~0UL)

static inline paddr_t mfn_to_paddr(mfn_t mfn)
{
    return mfn.n << PAGE_SHIFT;
}

static inline mfn_t paddr_to_mfn(paddr_t pa)
{
    return MFN(pa >> PAGE_SHIFT);
}
