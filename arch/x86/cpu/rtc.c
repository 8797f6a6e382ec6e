/* SPDX-License-Identifier: MIT */
/*
 * The wall clock of the machine: the CMOS real-time clock, read once at boot, to the second it
 * shows (we don't wait for the edge). rtc_decode is pure. No locks: nobody else uses ports 0x70 and
 * 0x71.
 */
#include <tarn/lib.h>
#include <x86/asm.h>
#include <x86/tsc.h>

#define REG_STATUS_A 0x0a
#define REG_STATUS_B 0x0b
#define REG_CENTURY 0x32 /* where all PCs have it */
#define STATUS_A_UPDATING 0x80
#define STATUS_B_24H 0x02
#define STATUS_B_BINARY 0x04
#define HOUR_PM 0x80
#define UPDATE_POLLS 10000u /* an update takes up to 2.2 ms */
#define READ_TRIES 3u

static u8 cmos_read(u8 reg)
{
    outb(0x70, reg);
    return inb(0x71);
}

/* Days from 1970-01-01 to the first day of that month, Gregorian calendar. */
static s64 days_before(u32 year, u32 month)
{
    static const u16 before_month[] = { 0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334 };
    u32 leap_years = month > 2 ? year : year - 1; /* up to the last February 29th */

    return (s64)year * 365 + leap_years / 4 - leap_years / 100 + leap_years / 400 +
           before_month[month - 1] - (1970L * 365 + 1969 / 4 - 1969 / 100 + 1969 / 400);
}

static u32 number(const struct rtc_time *t, u8 raw)
{
    return t->status_b & STATUS_B_BINARY ? raw : (raw >> 4) * 10u + (raw & 0xf);
}

static u32 hour_of(const struct rtc_time *t)
{
    u32 hour;

    if (t->status_b & STATUS_B_24H) {
        return number(t, t->hour);
    }
    hour = number(t, t->hour & (u8)~HOUR_PM);
    if (hour < 1 || hour > 12) {
        return 24; /* no such hour */
    }
    return hour % 12 + (t->hour & HOUR_PM ? 12 : 0);
}

static u32 days_in(u32 year, u32 month)
{
    static const u8 days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

    return days[month - 1] + (month == 2 && leap ? 1u : 0u);
}

bool rtc_decode(const struct rtc_time *t, s64 *seconds_since_1970)
{
    u32 century = number(t, t->century), year = number(t, t->year);
    u32 month = number(t, t->month), day = number(t, t->day), hour = hour_of(t);
    u32 minute = number(t, t->minute), second = number(t, t->second);

    if (century < 19 || century > 22) {
        century = year < 70 ? 20 : 19;
    }
    if (year > 99 || month < 1 || month > 12 || hour > 23 || minute > 59 || second > 60) {
        return false;
    }
    year += century * 100;
    if (year < 1970 || day < 1 || day > days_in(year, month)) {
        return false;
    }
    *seconds_since_1970 = ((days_before(year, month) + day - 1) * 24 + hour) * 3600 + minute * 60 +
                          second;
    return true;
}

/* While an update goes on the registers are not to be trusted. */
static void read_once(struct rtc_time *t)
{
    for (u32 i = 0; i < UPDATE_POLLS && (cmos_read(REG_STATUS_A) & STATUS_A_UPDATING); i++) {
        cpu_pause();
    }
    *t = (struct rtc_time){
        .second = cmos_read(0),
        .minute = cmos_read(2),
        .hour = cmos_read(4),
        .day = cmos_read(7),
        .month = cmos_read(8),
        .year = cmos_read(9),
        .century = cmos_read(REG_CENTURY),
        .status_b = cmos_read(REG_STATUS_B),
    };
}

/* An update between two registers shows as two readings that differ. */
s64 rtc_read(void)
{
    struct rtc_time t, again;
    s64 seconds = 0;

    read_once(&t);
    for (u32 tries = 0; tries < READ_TRIES; tries++) {
        read_once(&again);
        if (memcmp(&t, &again, sizeof(t)) == 0) {
            break;
        }
        t = again;
    }
    return rtc_decode(&t, &seconds) ? seconds : 0;
}
