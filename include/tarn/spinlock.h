/* SPDX-License-Identifier: MIT */
/*
 * Spinlocks. The hypervisor runs with interrupts off, so there is one kind only. Locks nest in the
 * order of their ranks, outermost first:
 *     domain > cpupool > evtchn > throttle > runqueue > budget > leaf
 * (for the reader and the debugger; nothing checks them at run time).
 * Two locks of one rank are taken in address order (spin_lock_two). While it waits, a pcpu answers
 * TLB flush requests (arch_spin_service), so a holder may wait for a flush.
 */
#pragma once

#include <tarn/atomic.h>
#include <tarn/lib.h>

enum lock_rank {
    RANK_LEAF,
    RANK_BUDGET,
    RANK_RUNQUEUE,
    RANK_THROTTLE,
    RANK_EVTCHN,
    RANK_CPUPOOL,
    RANK_DOMAIN
};

struct spinlock {
    u8 locked;
    u8 rank;
    u16 starving; /* waiters that have waited too long: nobody overtakes them */
};

#define SPINLOCK_INIT(r) \
    {                    \
        .rank = (r)      \
    }

/* Called while spinning; arch/x86/cpu/smp.c. Does not take locks. */
void arch_spin_service(void);

static inline void spin_lock_init(struct spinlock *l, enum lock_rank rank)
{
    *l = (struct spinlock)SPINLOCK_INIT((u8)rank);
}

static inline bool spin_trylock(struct spinlock *l)
{
    return atomic_xchg(&l->locked, (u8)1) == 0;
}

/* lib/spinlock.c: the lock is taken, or somebody has waited too long for it. */
void spin_lock_slow(struct spinlock *l);

static inline void spin_lock(struct spinlock *l)
{
    if (unlikely(atomic_load(&l->starving)) || unlikely(!spin_trylock(l))) {
        spin_lock_slow(l);
    }
}

static inline void spin_unlock(struct spinlock *l)
{
    atomic_store(&l->locked, (u8)0);
}

static inline void spin_lock_two(struct spinlock *a, struct spinlock *b)
{
    spin_lock(a < b ? a : b);
    if (a != b) {
        spin_lock(a < b ? b : a);
    }
}

static inline void spin_unlock_two(struct spinlock *a, struct spinlock *b)
{
    spin_unlock(a);
    if (a != b) {
        spin_unlock(b);
    }
}
