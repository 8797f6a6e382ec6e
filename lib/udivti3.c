/* SPDX-License-Identifier: MIT */
/* The compiler's 128-bit division, which its own library would bring: by long division in base
 * 2^64. */
#include <tarn/types.h>

unsigned __int128 __udivti3(unsigned __int128 n, unsigned __int128 d);

/* high:low / d, where high < d */
static u64 div_128_64(u64 high, u64 low, u64 d)
{
    u64 quotient, remainder;

    __asm__("divq %4" : "=a"(quotient), "=d"(remainder) : "a"(low), "d"(high), "r"(d));
    return quotient;
}

/* A divisor of more than 64 bits: the quotient has less than 64, bit by bit. */
static u64 div_wide(unsigned __int128 n, unsigned __int128 d)
{
    u32 shift = (u32)__builtin_clzl((u64)(d >> 64));
    u64 q = 0;

    for (u32 i = shift + 1; i-- > 0;) {
        q <<= 1;
        if (n >= d << i) {
            n -= d << i;
            q |= 1;
        }
    }
    return q;
}

unsigned __int128 __udivti3(unsigned __int128 n, unsigned __int128 d)
{
    u64 high = (u64)(n >> 64), d64 = (u64)d;

    if (d >> 64) {
        return div_wide(n, d);
    }
    return (unsigned __int128)(high / d64) << 64 | div_128_64(high % d64, (u64)n, d64);
}
