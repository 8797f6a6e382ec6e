/* SPDX-License-Identifier: MIT */
/* limits.c - see limits.h. Pure, but for the one buffer that holds the last reason. */
#include "limits.h"

#define US 1000UL
#define MS (1000 * US)
#define S (1000 * MS)

#define PERIOD_MIN (10 * US)
#define PERIOD_MAX (10 * S)

static char reason[128];

static const char *__printf(1, 2) wrong(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    fmt_vsnprintf(reason, sizeof(reason), format, args);
    va_end(args);
    return reason;
}

const char *time_format(char buf[TIME_SIZE], uint64_t ns)
{
    const struct {
        uint64_t size;
        const char *name;
    } units[] = { { S, "s" }, { MS, "ms" }, { US, "us" }, { 1, "ns" } }, *u = units;

    while (ns % u->size) {
        u++;
    }
    fmt_snprintf(buf, TIME_SIZE, "%lu %s", ns / u->size, ns ? u->name : "ms");
    return buf;
}

const char *credit_wrong(uint32_t tslice_ms, uint32_t ratelimit_us, uint32_t delay_us)
{
    if (tslice_ms < 1 || tslice_ms > TSLICE_MAX) {
        return wrong("tslice %u ms: it is 1 to %u ms", tslice_ms, TSLICE_MAX);
    }
    if (ratelimit_us && (ratelimit_us < RATELIMIT_MIN || ratelimit_us > RATELIMIT_MAX)) {
        return wrong("ratelimit %u us: it is 0, or %u to %u us", ratelimit_us, RATELIMIT_MIN,
                     RATELIMIT_MAX);
    }
    if (ratelimit_us > tslice_ms * 1000) {
        return wrong("ratelimit %u us is over the tslice %u ms", ratelimit_us, tslice_ms);
    }
    if (delay_us > DELAY_MAX) {
        return wrong("migration delay %u us: it is at most %u us", delay_us, DELAY_MAX);
    }
    return NULL;
}

/* "period 5 us is under 10 us" */
static const char *beyond(const char *what, uint64_t ns, const char *how, uint64_t limit)
{
    char is[TIME_SIZE], should[TIME_SIZE];

    return wrong("%s %s is %s %s", what, time_format(is, ns), how, time_format(should, limit));
}

const char *reservation_wrong(uint64_t period, uint64_t budget, uint64_t least,
                              const char *budget_name)
{
    if (period < PERIOD_MIN) {
        return beyond("period", period, "under", PERIOD_MIN);
    }
    if (period > PERIOD_MAX) {
        return beyond("period", period, "over", PERIOD_MAX);
    }
    if (budget < least) {
        return beyond(budget_name, budget, "under", least);
    }
    return budget > period ? beyond(budget_name, budget, "over the period", period) : NULL;
}

bool ms_parse(const char *text, uint64_t *ns)
{
    uint64_t value = 0, unit = MS;
    size_t digits = 0;
    bool point = false;

    for (; *text; text++) {
        if (*text == '.' && !point) {
            point = true;
            continue;
        }
        if (*text < '0' || *text > '9' || (point && unit == 1)) {
            return false;
        }
        digits++;
        unit /= point ? 10 : 1;
        value = point ? value + (uint64_t)(*text - '0') * unit
                      : value * 10 + (uint64_t)(*text - '0') * MS;
        if (value > 3600 * S) {
            return false;
        }
    }
    *ns = value;
    return digits;
}
