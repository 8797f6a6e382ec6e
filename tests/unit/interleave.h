/* SPDX-License-Identifier: MIT */
/*
 * Every interleaving of a few actors, on the real code. The code under test is compiled for the
 * thread sanitizer, but its calls land here: at each access to memory that the actors share one of
 * them stops, and any may go on. States (shared memory, stacks, store buffers) that were seen
 * before are not gone through again.
 *
 * x86-TSO: a store that is not a locked instruction stays in its actor's buffer (STORE_BUFFER
 * entries, in order) as long as it likes; locked instructions and fences empty it. Plain C stores,
 * whose value nobody tells us, are not delayed.
 */
#pragma once

#include <tarn/types.h>

enum { INTERLEAVE_ACTORS = 5, INTERLEAVE_REGIONS = 12 };

struct interleave {
    /* What to do. */
    void (*actor[INTERLEAVE_ACTORS])(void);
    const char *name[INTERLEAVE_ACTORS];
    struct {
        void *at;
        size_t size;
        const char *name;
        bool quiet;               /* nobody stops there: notes of the test */
    } region[INTERLEAVE_REGIONS]; /* all that changes and is not on an actor's stack */
    void (*end)(void); /* nobody can go on: is all well? If not it calls interleave_fail */

    /* What came out. */
    u64 states, steps, ends; /* ends: different states in which nobody can go on */
    u32 depth;
    const char *failed; /* NULL: all is well */
};

/* All schedules from the memory as it is now, up to the first that fails. True: none did. */
bool interleave(struct interleave *t);
/* Prints the schedule that failed; with INTERLEAVE_ONCE in the environment, that's the end. */
void interleave_show(const struct interleave *t);

/* For actors. Sleep until the byte is not 0. */
void interleave_wait(const u8 *flag);
/* In a loop that waits for what another actor does. If that never comes, it is the end. */
void interleave_spin(void);
/* For actors and end(); the first one counts. */
void interleave_fail(const char *what);
#define interleave_assert(x) ((x) ? (void)0 : interleave_fail(#x))
