/* SPDX-License-Identifier: MIT */
/*
 * An attack by several vcpus at once: one begins it, and the others run one function until they are
 * told to stop. Who takes part in what is the attack's.
 */
#include "attack.h"

volatile bool others_must_stop;

unsigned int others_start(void (*function)(void))
{
    unsigned int n = vcpu_count(), started = 0;

    others_must_stop = false;
    for (unsigned int v = 1; v < n; v++) {
        if (!vcpu_is_up(v) && vcpu_start(v, function) == 0) {
            started++;
        }
    }
    return started;
}

void others_stop(void)
{
    unsigned int n = vcpu_count();

    others_must_stop = true;
    for (unsigned int v = 1; v < n; v++) {
        vcpu_wait_down(v);
    }
}
