/* SPDX-License-Identifier: MIT */
/* The checks' look into SEDF: who waits for the next period only, may not run. */
#include "../../sched/sedf.h"

#include "check.h"

bool ready_sedf(const struct sched_unit *u)
{
    const struct sedf_unit *s = priv(u);

    return s->extratime || s->deadline - (s->period >> s->halvings) <= machine.clock;
}
