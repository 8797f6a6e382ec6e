/* SPDX-License-Identifier: MIT */
/*
 * stats.c - counts of requests, and how long they took: to one sixteenth of a power of two, so that
 * a table of fixed size holds everything from a nanosecond on. Pure, no state.
 */
#include "client.h"

static unsigned int bucket_of(uint64_t ns)
{
    unsigned int log;

    if (ns < 16) {
        return (unsigned int)ns;
    }
    log = 63U - (unsigned int)__builtin_clzl(ns);
    return (log - 3) * 16 + (unsigned int)(ns >> (log - 4) & 15);
}

static uint64_t bucket_end(unsigned int bucket)
{
    if (bucket < 16) {
        return bucket + 1;
    }
    return (uint64_t)(16 + bucket % 16 + 1) << (bucket / 16 - 1);
}

void stats_note(struct stats *stats, uint64_t bytes, bool good, uint64_t ns)
{
    stats->requests++;
    stats->bytes += bytes;
    stats->errors += !good;
    stats->latency[bucket_of(ns)]++;
}

uint64_t stats_quantile(const struct stats *stats, unsigned long per_mille)
{
    unsigned long below = 0;

    for (unsigned int b = 0; b < BUCKETS; b++) {
        below += stats->latency[b];
        if (below && below * 1000 >= stats->requests * per_mille) {
            return bucket_end(b);
        }
    }
    return 0;
}
