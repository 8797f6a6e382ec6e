/* SPDX-License-Identifier: MIT */
/* Making the factor between two clocks' ticks; applying it is time_scale_apply(). Pure. */
#include <tarn/time.h>

/*
 * to / from = mul / 2^32 * 2^shift. mul keeps its top bit, so that rounding costs at most 2^-32.
 * Binary long division: there is no 128-bit one without libgcc.
 */
struct time_scale time_scale_make(u64 from_hz, u64 to_hz)
{
    struct time_scale s = { 0, 0 };
    u64 num = to_hz, den = from_hz, mul = 0;

    ASSERT(from_hz && to_hz && from_hz < 1UL << 40 && to_hz < 1UL << 40);
    for (; num >= den; s.shift++) {
        den <<= 1;
    }
    for (; num < den - num; s.shift--) {
        num <<= 1;
    }
    for (u32 bit = 0; bit < 32; bit++) {
        num <<= 1;
        mul <<= 1;
        if (num >= den) {
            num -= den;
            mul |= 1;
        }
    }
    mul += num >= den - num;
    if (mul >> 32) { /* rounded up to the next power of two */
        mul >>= 1;
        s.shift++;
    }
    s.mul = (u32)mul;
    return s;
}
