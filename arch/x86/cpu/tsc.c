/* SPDX-License-Identifier: MIT */
/*
 * System time: the TSC, its rate measured at boot against the ACPI timer, the HPET or the PIT. Owns
 * time_base, constant after tsc_init. The TSCs of all pcpus are taken to be one clock; smp.c checks
 * that.
 */
#include <tarn/console.h>
#include <tarn/time.h>
#include <x86/acpi.h>
#include <x86/asm.h>
#include <x86/cpufeature.h>
#include <x86/paging.h>
#include <x86/tsc.h>

#define RUN_NS (3 * NSEC_PER_MSEC) /* one measurement; at most MAX_RUNS of them */
#define MAX_RUNS 3u
#define GOOD_PPM 20u /* no further run is needed */
#define EDGES 6u     /* looked at for the sharpest one, at each end of a run */
#define MAX_POLLS 100000u
#define PM_TIMER_HZ 3579545u
#define PIT_HZ 1193182u

/* See tarn/time.h. */
struct time_base time_base;

/* A clock of known rate to measure against. It counts up, modulo mask + 1. */
struct reference {
    const char *name;
    u32 (*read)(void);
    u64 hz;
    u32 mask;
};

/* A tick of the reference: it became `count` between two TSC values. */
struct edge {
    u64 low, high;
    u32 count;
};

/* Where the reference in use is. */
static u16 pm_port;
static volatile u32 *counter_window;

static u32 pm_port_read(void)
{
    return inl(pm_port);
}

static u32 counter_read(void)
{
    return *counter_window;
}

/* Channel 2 counts down; latch it, then low and high byte. */
static u32 pit_read(void)
{
    u32 low;

    outb(0x43, 0x80);
    low = inb(0x42);
    return 0xffffu - (low | (u32)inb(0x42) << 8);
}

static bool pm_timer_reference(const struct acpi_info *acpi, struct reference *r)
{
    const struct acpi_reg *reg = &acpi->pm_timer;

    if (!reg->address || reg->space > ACPI_SPACE_IO) {
        return false;
    }
    *r = (struct reference){ "ACPI timer", pm_port_read, PM_TIMER_HZ, 0xffffff };
    if (reg->space == ACPI_SPACE_IO) {
        pm_port = (u16)reg->address;
    } else {
        counter_window = ioremap_uc(reg->address, 4);
        r->read = counter_read;
    }
    return true;
}

static bool hpet_reference(const struct acpi_info *acpi, struct reference *r)
{
    volatile u32 *hpet;
    u32 period_fs;

    if (!acpi->hpet) {
        return false;
    }
    hpet = ioremap_uc(acpi->hpet, 0x400);
    period_fs = hpet[1];
    if (period_fs < 100000 || period_fs > 100000000) {
        return false;
    }
    hpet[4] |= 1; /* main counter on */
    counter_window = &hpet[0xf0 / 4];
    *r = (struct reference){ "HPET", counter_read, 1000000000000000UL / period_fs, ~0u };
    return true;
}

static void pit_reference(struct reference *r)
{
    outb(0x61, (u8)((inb(0x61) & ~2) | 1)); /* gate on, speaker off */
    outb(0x43, 0xb4);                       /* channel 2, both bytes, mode 2: reloads itself */
    outb(0x42, 0);                          /* 65536 */
    outb(0x42, 0);
    *r = (struct reference){ "PIT", pit_read, PIT_HZ, 0xffff };
}

/* The sharpest of some edges. False: the reference stands still. */
static bool find_edge(const struct reference *r, struct edge *best)
{
    u64 before = rdtsc();
    u32 last = r->read();

    best->low = 0;
    best->high = ~0UL;
    for (u32 polls = 0, edges = 0; edges < EDGES; polls++) {
        u64 start = rdtsc();
        u32 count = r->read();
        u64 end = rdtsc();

        if (polls > MAX_POLLS) {
            return false;
        }
        if (count != last) {
            if (end - before < best->high - best->low) {
                *best = (struct edge){ before, end, count };
            }
            edges++;
        }
        last = count;
        before = start;
    }
    return true;
}

static void wait_ticks(const struct reference *r, u32 from, u32 ticks)
{
    for (u32 polls = 0; polls < MAX_POLLS && ((r->read() - from) & r->mask) < ticks; polls++) {
        cpu_pause();
    }
}

/* TSC ticks per second; *ppm is by how much it may be wrong. 0: no result. */
static u64 measure(const struct reference *r, u64 *ppm)
{
    struct edge a, b;
    u64 ticks, tsc;

    if (!find_edge(r, &a)) {
        return 0;
    }
    wait_ticks(r, a.count, (u32)(r->hz * RUN_NS / NSEC_PER_SEC));
    if (!find_edge(r, &b)) {
        return 0;
    }
    ticks = (b.count - a.count) & r->mask;
    /* the difference of the middles, times two */
    tsc = (b.low + b.high) - (a.low + a.high);
    if (!ticks || b.low <= a.high) {
        return 0;
    }
    *ppm = ((a.high - a.low) + (b.high - b.low)) * 1000000 / tsc;
    return tsc * r->hz / (2 * ticks);
}

static u64 calibrate(const struct reference *r, u64 *best_ppm)
{
    u64 best = 0;

    *best_ppm = ~0UL;
    for (u32 run = 0; run<MAX_RUNS && * best_ppm> GOOD_PPM; run++) {
        u64 ppm = 0, hz = measure(r, &ppm);

        if (hz && ppm < *best_ppm) {
            best = hz;
            *best_ppm = ppm;
        }
    }
    return best;
}

/* What CPUID says of the rate: from the crystal, or by a hypervisor that we run on. 0: nothing. */
static u64 cpuid_hz(void)
{
    u32 out[4];

    cpuid(1, 0, out);
    if (out[2] >> 31) {
        cpuid(0x40000000, 0, out);
        if (out[0] >= 0x40000010 && out[0] < 0x40010000) {
            cpuid(0x40000010, 0, out);
            return (u64)out[0] * 1000;
        }
    }
    if (cpu_features.max_leaf >= 0x15) {
        cpuid(0x15, 0, out);
        return out[0] ? (u64)out[2] * out[1] / out[0] : 0;
    }
    return 0;
}

/* The measurement, made exact by CPUID's figure if that agrees. */
static u64 refine(u64 measured, u64 ppm)
{
    u64 claimed = cpuid_hz(), margin = measured / 1000000 * (ppm + 500);

    return claimed > measured - margin && claimed < measured + margin ? claimed : measured;
}

static u64 find_rate(const struct acpi_info *acpi)
{
    struct reference r;
    u64 hz = 0, ppm = 0;

    if (pm_timer_reference(acpi, &r)) {
        hz = calibrate(&r, &ppm);
    }
    if (!hz && hpet_reference(acpi, &r)) {
        hz = calibrate(&r, &ppm);
    }
    if (!hz) {
        pit_reference(&r);
        hz = calibrate(&r, &ppm);
    }
    if (hz < 1000000 || hz >= 1UL << 40) {
        panic("no clock to calibrate the TSC against");
    }
    log_debug("TSC: %lu kHz by %s, to %lu ppm", hz / 1000, r.name, ppm);
    return refine(hz, ppm);
}

void tsc_init(const struct acpi_info *acpi)
{
    struct time_base *tb = &time_base;

    tb->tsc_hz = find_rate(acpi);
    tb->scale = time_scale_make(tb->tsc_hz, NSEC_PER_SEC);
    tb->inverse = time_scale_make(NSEC_PER_SEC, tb->tsc_hz);
    tb->tsc0 = rdtsc();
    tb->wall_ns = rtc_read() * NSEC_PER_SEC;
    tb->wall_ns -= now();
}

stime_t now(void)
{
    return (stime_t)time_scale_apply(time_base.scale, rdtsc() - time_base.tsc0);
}

u64 stime_to_tsc(stime_t t)
{
    /* beyond a century the factor's shift could overflow */
    u64 delta = MIN((u64)MAX(t, 0), 1UL << 61);

    return time_base.tsc0 + time_scale_apply(time_base.inverse, delta);
}
