/* SPDX-License-Identifier: MIT */
/* A set of pcpus. The host tests compile the same code with a larger NR_CPUS. */
#pragma once

#include <tarn/atomic.h>
#include <tarn/lib.h>

#ifndef NR_CPUS
#define NR_CPUS 256
#endif
#define CPUMASK_WORDS (NR_CPUS / 64)
#define NO_CPU (~0u)

struct cpumask {
    u64 bits[CPUMASK_WORDS];
};

/* for (each cpu in mask), ascending */
#define cpumask_for_each(cpu, mask) \
    for (u32 cpu = cpumask_next((mask), 0); cpu < NR_CPUS; cpu = cpumask_next((mask), cpu + 1))

static inline void cpumask_clear_all(struct cpumask *m)
{
    *m = (struct cpumask){ { 0 } };
}

static inline void cpumask_set_all(struct cpumask *m)
{
    for (u32 i = 0; i < CPUMASK_WORDS; i++) {
        m->bits[i] = ~0UL;
    }
}

static inline bool cpumask_test(const struct cpumask *m, u32 cpu)
{
    return cpu < NR_CPUS && ((m->bits[cpu / 64] >> (cpu % 64)) & 1);
}

static inline void cpumask_set(struct cpumask *m, u32 cpu)
{
    m->bits[cpu / 64] |= 1UL << (cpu % 64);
}

static inline void cpumask_clear(struct cpumask *m, u32 cpu)
{
    m->bits[cpu / 64] &= ~(1UL << (cpu % 64));
}

/* First member >= from, NR_CPUS when there is none. */
static inline u32 cpumask_next(const struct cpumask *m, u32 from)
{
    for (u32 w = from / 64; w < CPUMASK_WORDS; w++) {
        u64 bits = m->bits[w];

        if (w == from / 64) {
            bits &= ~0UL << (from % 64);
        }
        if (bits) {
            return w * 64 + (u32)__builtin_ctzl(bits);
        }
    }
    return NR_CPUS;
}

/* First member >= from, else the first of all; NR_CPUS when empty. */
static inline u32 cpumask_next_wrap(const struct cpumask *m, u32 from)
{
    u32 cpu = cpumask_next(m, from);

    return cpu < NR_CPUS ? cpu : cpumask_next(m, 0);
}

static inline u32 cpumask_first(const struct cpumask *m)
{
    return cpumask_next(m, 0);
}

static inline u32 cpumask_weight(const struct cpumask *m)
{
    u32 n = 0;

    for (u32 i = 0; i < CPUMASK_WORDS; i++) {
        for (u64 bits = m->bits[i]; bits; bits &= bits - 1) {
            n++;
        }
    }
    return n;
}

static inline bool cpumask_empty(const struct cpumask *m)
{
    u64 any = 0;

    for (u32 i = 0; i < CPUMASK_WORDS; i++) {
        any |= m->bits[i];
    }
    return !any;
}

static inline bool cpumask_equal(const struct cpumask *a, const struct cpumask *b)
{
    for (u32 i = 0; i < CPUMASK_WORDS; i++) {
        if (a->bits[i] != b->bits[i]) {
            return false;
        }
    }
    return true;
}

static inline struct cpumask cpumask_and(const struct cpumask *a, const struct cpumask *b)
{
    struct cpumask r;

    for (u32 i = 0; i < CPUMASK_WORDS; i++) {
        r.bits[i] = a->bits[i] & b->bits[i];
    }
    return r;
}

static inline bool cpumask_intersects(const struct cpumask *a, const struct cpumask *b)
{
    for (u32 i = 0; i < CPUMASK_WORDS; i++) {
        if (a->bits[i] & b->bits[i]) {
            return true;
        }
    }
    return false;
}

/* All of a is in b. */
static inline bool cpumask_subset(const struct cpumask *a, const struct cpumask *b)
{
    for (u32 i = 0; i < CPUMASK_WORDS; i++) {
        if (a->bits[i] & ~b->bits[i]) {
            return false;
        }
    }
    return true;
}
