/* SPDX-License-Identifier: MIT */
/*
 * The local APIC of each pcpu, and the masking of everything that could send external interrupts.
 * Owns the mode (x2APIC or memory-mapped), the window and the timer's scale, all set once by the
 * boot CPU. No locks: every register is the pcpu's own.
 */
#include <tarn/console.h>
#include <tarn/softirq.h>
#include <tarn/time.h>
#include <x86/acpi.h>
#include <x86/apic.h>
#include <x86/asm.h>
#include <x86/cpufeature.h>
#include <x86/msr.h>
#include <x86/paging.h>

enum {
    REG_VERSION = 0x30,
    REG_TPR = 0x80,
    REG_EOI = 0xb0,
    REG_LDR = 0xd0,
    REG_DFR = 0xe0,
    REG_SPURIOUS = 0xf0,
    REG_ESR = 0x280,
    REG_LVT_CMCI = 0x2f0,
    REG_ICR = 0x300,
    REG_ICR_HIGH = 0x310,
    REG_LVT_TIMER = 0x320,
    REG_LVT_THERMAL = 0x330,
    REG_LVT_PERF = 0x340,
    REG_LVT_LINT0 = 0x350,
    REG_LVT_LINT1 = 0x360,
    REG_LVT_ERROR = 0x370,
    REG_TIMER_COUNT = 0x380,
    REG_TIMER_CURRENT = 0x390,
    REG_TIMER_DIVIDE = 0x3e0,
};

#define SPURIOUS_ENABLE (1u << 8)
#define LVT_MASKED (1u << 16)
#define LVT_TSC_DEADLINE (2u << 17)
#define DIVIDE_BY_1 0xbu
#define ICR_INIT (5u << 8)
#define ICR_NMI (4u << 8)
#define ICR_STARTUP (6u << 8)
#define ICR_ASSERT (1u << 14)
#define ICR_ALL_BUT_SELF (3u << 18)
#define ICR_BUSY (1u << 12) /* memory-mapped mode only */

#define DEFAULT_BASE 0xfee00000UL
#define XAPIC_MAX_ID 254u
#define CALIBRATION_NS (2 * NSEC_PER_MSEC)
#define READINGS 8u
/* The calibration may be off by some 100 ppm: what is farther than LONG_NS is approached in two
 * steps. */
#define LONG_NS (100 * NSEC_PER_MSEC)
#define LONG_SHORTENED(ns) ((ns) - ((ns) >> 10))

/* The window, NULL in x2APIC mode; `mode_known` is false until lapic_init. */
static volatile u32 *window;
static bool x2apic, mode_known;
/* ns -> counts of the one-shot timer, and how far it reaches. */
static struct time_scale count_scale;
static stime_t count_max_ns;

static u32 reg_read(u32 reg)
{
    return x2apic ? (u32)rdmsr(MSR_X2APIC + reg / 16) : window[reg / 4];
}

static void reg_write(u32 reg, u32 value)
{
    if (x2apic) {
        wrmsr(MSR_X2APIC + reg / 16, value);
    } else {
        window[reg / 4] = value;
    }
}

/* ---- IPIs ---- */

bool lapic_reaches(u32 apic_id)
{
    return x2apic || apic_id <= XAPIC_MAX_ID;
}

static void send(u32 apic_id, u32 command)
{
    if (x2apic) {
        smp_mb(); /* writes to x2APIC registers don't wait for earlier stores */
        wrmsr(MSR_X2APIC + REG_ICR / 16, (u64)apic_id << 32 | command);
        return;
    }
    while (reg_read(REG_ICR) & ICR_BUSY) {
        cpu_pause();
    }
    reg_write(REG_ICR_HIGH, apic_id << 24);
    reg_write(REG_ICR, command);
}

void lapic_send_ipi(u32 apic_id, u8 vector)
{
    send(apic_id, ICR_ASSERT | vector);
}

void lapic_send_init(u32 apic_id)
{
    send(apic_id, ICR_ASSERT | ICR_INIT);
}

void lapic_send_startup(u32 apic_id, u8 page)
{
    send(apic_id, ICR_ASSERT | ICR_STARTUP | page);
}

void lapic_send_nmi_others(void)
{
    if (mode_known) {
        send(0, ICR_ALL_BUT_SELF | ICR_ASSERT | ICR_NMI);
    }
}

void irq_dispatch(u32 vector)
{
    struct pcpu *p = this_pcpu();

    if (vector == VECTOR_SPURIOUS) {
        return;
    }
    reg_write(REG_EOI, 0);
    p->nr_irqs++;
    if (vector == VECTOR_TIMER) {
        p->timer_programmed = STIME_MAX;
        softirq_raise_self(SOFTIRQ_TIMER);
    } else if (vector == VECTOR_ERROR) {
        reg_write(REG_ESR, 0);
        log_warning("cpu %u: APIC error %#x", p->id, reg_read(REG_ESR));
    }
}

/* ---- Timer ---- */

bool lapic_timer_program(stime_t deadline)
{
    stime_t delta;

    if (deadline == STIME_MAX) {
        if (cpu_features.tsc_deadline) {
            wrmsr(MSR_TSC_DEADLINE, 0);
        } else {
            reg_write(REG_TIMER_COUNT, 0);
        }
        return true;
    }
    delta = deadline - now();
    if (delta <= 0) {
        return false;
    }
    if (cpu_features.tsc_deadline) {
        wrmsr(MSR_TSC_DEADLINE, stime_to_tsc(deadline));
        return true;
    }
    if (delta > LONG_NS) {
        delta = LONG_SHORTENED(MIN(delta, count_max_ns));
    }
    reg_write(REG_TIMER_COUNT, (u32)time_scale_apply(count_scale, (u64)delta) + 1);
    return true;
}

/* The counter, and when it had that value: of some readings the one that took least. */
static u32 count_at(stime_t *when)
{
    stime_t least = STIME_MAX;
    u32 count = 0;

    for (u32 i = 0; i < READINGS; i++) {
        stime_t before = now();
        u32 c = ~0u - reg_read(REG_TIMER_CURRENT);
        stime_t took = now() - before;

        if (took < least) {
            least = took;
            count = c;
            *when = before + took / 2;
        }
    }
    return count;
}

static void timer_calibrate(void)
{
    stime_t start = 0, end = 0;
    u32 first, last;
    u64 hz;

    reg_write(REG_TIMER_COUNT, ~0u);
    first = count_at(&start);
    while (now() - start < CALIBRATION_NS) {
        cpu_pause();
    }
    last = count_at(&end);
    reg_write(REG_TIMER_COUNT, 0);
    hz = (u64)(last - first) * NSEC_PER_SEC / (u64)(end - start);
    if (!hz) {
        panic("the local APIC's timer stands still");
    }
    count_scale = time_scale_make(NSEC_PER_SEC, hz);
    count_max_ns = (stime_t)(0xfffffff0UL * (u64)NSEC_PER_SEC / hz);
    log_debug("APIC timer: %lu kHz", hz / 1000);
}

/* ---- Bringing up ---- */

static void lvt_init(void)
{
    static const u16 masked[] = { REG_LVT_TIMER, REG_LVT_LINT0, REG_LVT_LINT1, REG_LVT_ERROR };
    u32 max_lvt = (reg_read(REG_VERSION) >> 16) & 0xff;

    for (u32 i = 0; i < ARRAY_SIZE(masked); i++) {
        reg_write(masked[i], LVT_MASKED);
    }
    if (max_lvt >= 4) {
        reg_write(REG_LVT_PERF, LVT_MASKED);
    }
    if (max_lvt >= 5) {
        reg_write(REG_LVT_THERMAL, LVT_MASKED);
    }
    if (max_lvt >= 6) {
        reg_write(REG_LVT_CMCI, LVT_MASKED);
    }
}

/* The mode can only go up: off, memory-mapped, x2APIC. */
static void mode_enable(void)
{
    u64 base = rdmsr(MSR_APIC_BASE);

    if (!(base & APIC_BASE_ENABLE)) {
        base |= APIC_BASE_ENABLE;
        wrmsr(MSR_APIC_BASE, base);
    }
    if (x2apic && !(base & APIC_BASE_X2APIC)) {
        wrmsr(MSR_APIC_BASE, base | APIC_BASE_X2APIC);
    }
}

void lapic_enable(void)
{
    mode_enable();
    reg_write(REG_SPURIOUS, SPURIOUS_ENABLE | VECTOR_SPURIOUS);
    lvt_init();
    reg_write(REG_TPR, 0);
    reg_write(REG_ESR, 0);
    reg_write(REG_LVT_ERROR, VECTOR_ERROR);
    reg_write(REG_TIMER_DIVIDE, DIVIDE_BY_1);
    reg_write(REG_LVT_TIMER, VECTOR_TIMER | (cpu_features.tsc_deadline ? LVT_TSC_DEADLINE : 0));
    smp_mb(); /* the mode is in force before a deadline is written */
    reg_write(REG_EOI, 0);
}

static void pics_mask(void)
{
    outb(0x21, 0xff);
    outb(0xa1, 0xff);
}

static void ioapic_mask(paddr_t pa)
{
    volatile u32 *io = ioremap_uc(pa, 0x20);
    volatile u32 *select = &io[0], *data = &io[4];
    u32 last;

    *select = 1; /* version, and number of the last entry */
    last = (*data >> 16) & 0xff;
    for (u32 i = 0; i <= last; i++) {
        *select = 0x10 + 2 * i;
        *data = LVT_MASKED;
    }
}

void lapic_init(const struct acpi_info *acpi)
{
    x2apic = cpu_features.x2apic;
    if (!x2apic) {
        paddr_t pa = acpi->lapic_address ? acpi->lapic_address : DEFAULT_BASE;

        window = ioremap_uc(pa, PAGE_SIZE);
    }
    pics_mask();
    for (u32 i = 0; i < acpi->nr_ioapics; i++) {
        ioapic_mask(acpi->ioapic[i].address);
    }
    lapic_enable();
    mode_known = true;
    if (!cpu_features.tsc_deadline) {
        timer_calibrate();
    }
    log_debug("local APIC: %s mode, %s timer", x2apic ? "x2APIC" : "memory-mapped",
              cpu_features.tsc_deadline ? "TSC-deadline" : "one-shot");
}
