/* SPDX-License-Identifier: MIT */
/* Bringing up system time; arch/x86/cpu/tsc.c and rtc.c. What the rest uses is in tarn/time.h. */
#pragma once

#include <tarn/types.h>

struct acpi_info;
void tsc_init(
    const struct acpi_info *acpi); /* boot CPU: calibrate, system time 0 is now, wall clock */

/*
 * The real-time clock as read from its registers; pure. `century` is 0 where there is none,
 * `status_b` says BCD or binary, 12 or 24 h. False: no valid date.
 */
struct rtc_time {
    u8 second, minute, hour, day, month, year, century, status_b;
};
bool rtc_decode(const struct rtc_time *t, s64 *seconds_since_1970);
s64 rtc_read(void); /* seconds since 1970, UTC; 0 when the clock makes no sense */
