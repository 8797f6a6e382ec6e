/* SPDX-License-Identifier: MIT */
/* System time from the TSC; arch/x86/cpu/tsc.c. The same scale is given to guests (pvclock). */
#pragma once

#include <tarn/lib.h>

/* ns = ((ticks << shift or >> -shift) * mul) >> 32, as in the ABI's vcpu_time_info. */
struct time_scale {
    u32 mul;
    s8 shift;
};

struct time_base {
    u64 tsc0; /* TSC at system time 0 */
    u64 tsc_hz;
    struct time_scale scale;   /* ticks -> ns */
    struct time_scale inverse; /* ns -> ticks, same formula */
    s64 wall_ns;               /* wall clock (ns since 1970, UTC) at system time 0 */
};
extern struct time_base time_base;

static inline u64 time_scale_apply(struct time_scale s, u64 delta)
{
    delta = s.shift < 0 ? delta >> -s.shift : delta << s.shift;
    return (u64)(((unsigned __int128)delta * s.mul) >> 32);
}

/* Ticks of a clock of from_hz to those of one of to_hz (both below 2^40); right to 2^-32.
 * lib/time_scale.c, pure. */
struct time_scale time_scale_make(u64 from_hz, u64 to_hz);

stime_t now(void);
u64 stime_to_tsc(stime_t t);
