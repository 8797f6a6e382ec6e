/* SPDX-License-Identifier: MIT */
/*
 * A trace that is off, for host tests and the simulator: whoever writes a record all the same has
 * not looked at trace_on.
 */
#include <tarn/lib.h>
#include <tarn/trace.h>

u8 trace_on;

void trace_put(u32 event, const void *words, u32 n)
{
    panic("a record %x of %u words at %p while the trace is off", event, n, words);
}

void trace_words(u32 event, u32 n, u32 a, u32 b, u32 c)
{
    trace_put(event + a + b + c, NULL, n);
}

void trace_vcpu(u32 event, const struct vcpu *v)
{
    trace_put(event, v, 0);
}

void trace_runstate(const struct vcpu *v, u32 state)
{
    trace_put(state, v, 0);
}

void trace_decision(const struct vcpu *prev, const struct vcpu *next, stime_t t, stime_t slice)
{
    trace_put((u32)(t + slice), prev == next ? prev : next, 0);
}
