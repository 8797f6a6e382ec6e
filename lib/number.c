/* SPDX-License-Identifier: MIT */
/* See number.h: for the command line, the control domain's commands and files, and all guests. */
#include <tarn/lib.h>
#include <tarn/number.h>

static u64 digit_value(char c)
{
    if (c >= '0' && c <= '9') {
        return (u64)(c - '0');
    }
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? (u64)(c - 'a') + 10 : 16;
}

/* The number that *s begins with; *s is then behind it. False: there is none. */
static bool number_scan(const char **s, u64 *out, bool *too_large)
{
    u64 base = (*s)[0] == '0' && ((*s)[1] | 0x20) == 'x' ? 16 : 10;
    const char *first = *s += base == 16 ? 2 : 0;
    u64 n = 0;

    *too_large = false;
    for (; digit_value(**s) < base; (*s)++) {
        *too_large |= __builtin_mul_overflow(n, base, &n);
        *too_large |= __builtin_add_overflow(n, digit_value(**s), &n);
    }
    *out = n;
    return *s != first;
}

bool uint_parse(const char *text, u64 *out)
{
    bool too_large;

    return number_scan(&text, out, &too_large) && *text == '\0' && !too_large;
}

bool uint_parse_clamped(const char *text, u64 *out)
{
    bool too_large, good = number_scan(&text, out, &too_large) && *text == '\0';

    *out = too_large ? ~0UL : *out;
    return good;
}

bool size_parse(const char *text, u64 unit, u64 *out)
{
    static const char suffixes[] = "bkmgt";
    bool too_large;
    u64 n;

    if (!number_scan(&text, &n, &too_large) || too_large) {
        return false;
    }
    if (*text) {
        const char *suffix = strchr(suffixes, *text | 0x20);

        if (!suffix || text[1]) {
            return false;
        }
        unit = 1UL << (10 * (suffix - suffixes));
    }
    return !__builtin_mul_overflow(n, unit, out);
}
