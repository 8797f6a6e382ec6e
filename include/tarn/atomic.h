/* SPDX-License-Identifier: MIT */
/*
 * Atomic operations over the compiler's builtins, so that pure code runs as it
 * is in host tests and under TSan. Bit operations are sequentially consistent
 * (one locked instruction on x86).
 */
#pragma once

#include <tarn/types.h>

#define atomic_load(p) __atomic_load_n((p), __ATOMIC_ACQUIRE)
#define atomic_store(p, v) __atomic_store_n((p), (v), __ATOMIC_RELEASE)
#define atomic_xchg(p, v) __atomic_exchange_n((p), (v), __ATOMIC_SEQ_CST)
#define atomic_fetch_add(p, v) __atomic_fetch_add((p), (v), __ATOMIC_SEQ_CST)
#define atomic_fetch_sub(p, v) __atomic_fetch_sub((p), (v), __ATOMIC_SEQ_CST)
#define atomic_fetch_or(p, v) __atomic_fetch_or((p), (v), __ATOMIC_SEQ_CST)
#define atomic_fetch_and(p, v) __atomic_fetch_and((p), (v), __ATOMIC_SEQ_CST)
/* On failure *expected holds what was found. */
#define atomic_cmpxchg(p, expected, v) \
    __atomic_compare_exchange_n((p), (expected), (v), false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)
#define smp_mb() __atomic_thread_fence(__ATOMIC_SEQ_CST)

static inline bool test_bit(u64 nr, const u64 *map)
{
    return (__atomic_load_n(&map[nr / 64], __ATOMIC_RELAXED) >> (nr % 64)) & 1;
}

static inline bool test_and_set_bit(u64 nr, u64 *map)
{
    u64 bit = 1UL << (nr % 64);

    return (__atomic_fetch_or(&map[nr / 64], bit, __ATOMIC_SEQ_CST) & bit) != 0;
}

static inline bool test_and_clear_bit(u64 nr, u64 *map)
{
    u64 bit = 1UL << (nr % 64);

    return (__atomic_fetch_and(&map[nr / 64], ~bit, __ATOMIC_SEQ_CST) & bit) != 0;
}

static inline void set_bit(u64 nr, u64 *map)
{
    (void)__atomic_fetch_or(&map[nr / 64], 1UL << (nr % 64), __ATOMIC_SEQ_CST);
}

static inline void clear_bit(u64 nr, u64 *map)
{
    (void)__atomic_fetch_and(&map[nr / 64], ~(1UL << (nr % 64)), __ATOMIC_SEQ_CST);
}
