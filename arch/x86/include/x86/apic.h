/* SPDX-License-Identifier: MIT */
/*
 * The local APIC: IPIs and the timer; arch/x86/cpu/lapic.c. x2APIC mode where the CPU has it, else
 * the memory-mapped page. External interrupts are not used: PICs and I/O APICs are masked.
 */
#pragma once

#include <tarn/types.h>

enum {
    VECTOR_TIMER = 0xf0,
    VECTOR_KICK = 0xf1, /* look at softirq_pending */
    VECTOR_ERROR = 0xfe,
    VECTOR_SPURIOUS = 0xff,
};

struct acpi_info;
void lapic_init(
    const struct acpi_info *acpi); /* boot CPU, after tsc_init: also masks the rest, calibrates */
void lapic_enable(void);           /* each other CPU */
bool lapic_reaches(u32 apic_id);   /* in the mode in use an IPI can be sent there */

void lapic_send_ipi(u32 apic_id, u8 vector);
void lapic_send_init(u32 apic_id);
void lapic_send_startup(u32 apic_id, u8 page); /* it starts in real mode at page * 4096 */
void lapic_send_nmi_others(void);              /* nothing before lapic_init */

/*
 * One timer interrupt at `deadline` or, when that is too far for the counter, earlier; STIME_MAX is
 * never. False: it is past, and nothing was programmed.
 */
bool lapic_timer_program(stime_t deadline);

void irq_dispatch(u32 vector); /* entry.asm, interrupts off */
