/* SPDX-License-Identifier: MIT */
/*
 * What the code under test needs of the hypervisor, for host tests: panic(), as a failed assertion
 * of cmocka, so that expect_assert_failure() takes it as the result wanted and anything else fails;
 * and a trace that is off, so that nothing is ever written.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

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

void panic(const char *fmt, ...)
{
    static char text[256];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    mock_assert(0, text, __FILE__, __LINE__);
    abort();
}
