/* SPDX-License-Identifier: MIT */
/* The checks' look into the real-time policy: who may run, and who has a promise. */
#include "../../sched/rtds.h"

#include "check.h"

/* It has a budget, or one is due. */
bool ready_rtds(const struct sched_unit *u)
{
    return rtds_priv(u)->left > 0 || rtds_priv(u)->deadline <= machine.clock;
}

bool promised_rtds(const struct sched_unit *u)
{
    return rtds_priv(u)->left > 0 && rtds_priv(u)->level == 0;
}
