/* SPDX-License-Identifier: MIT */
/*
 * Waiting for a spinlock. Whoever comes first when it is free gets it: that is quick where CPUs are
 * threads of a busy host, but a pcpu could be overtaken for ever. So one that has waited for long
 * says so, and newcomers stand back until no such waiter is left.
 */
#include <tarn/spinlock.h>

#define PATIENCE 2000u /* looks at a lock before its waiter counts as starving */

void spin_lock_slow(struct spinlock *l)
{
    u32 looks = 0;

    for (;;) {
        bool starving = looks >= PATIENCE;

        if (!atomic_load(&l->locked) && (starving || !atomic_load(&l->starving)) &&
            spin_trylock(l)) {
            if (starving) {
                atomic_fetch_sub(&l->starving, (u16)1);
            }
            return;
        }
        arch_spin_service();
        if (!starving && ++looks == PATIENCE) {
            atomic_fetch_add(&l->starving, (u16)1);
        }
    }
}
