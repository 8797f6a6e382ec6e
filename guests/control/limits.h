/* SPDX-License-Identifier: MIT */
/* limits.h - what parameters may be, so that a message can name the limit. Pure. */
#pragma once

#include <tarn/lib.h>

#define TIME_SIZE 32u

/* credit's; us where not said */
#define TSLICE_MAX 1000u /* ms */
#define RATELIMIT_MIN 100u
#define RATELIMIT_MAX 500000u
#define DELAY_MAX 100000u

/* A domain's ports: 1 and 2 are its store and console; by FIFO there are so many at most. */
#define EVENT_CHANNELS_MIN 2u
#define EVENT_CHANNELS_MAX 131071u
#define EVENT_CHANNELS_DEFAULT 1023u
/* Its grant table, and the table of what it maps of others, in pages: Xen's own limits. */
#define GRANT_FRAMES_MAX 64u
#define MAPTRACK_FRAMES_MAX 1024u

/* "11 ms", in the largest unit that needs no fraction. */
const char *time_format(char buf[TIME_SIZE], uint64_t ns);
/* A pool's parameters under credit: NULL, or what is wrong; valid until the next call. */
const char *credit_wrong(uint32_t tslice_ms, uint32_t ratelimit_us, uint32_t delay_us);
/* A reservation under rtds or sedf, in ns; `least` is the shortest budget. */
const char *reservation_wrong(uint64_t period, uint64_t budget, uint64_t least,
                              const char *budget_name);
/* Milliseconds with up to six decimals, as ns; false: it is none, or above an hour. */
bool ms_parse(const char *text, uint64_t *ns);
