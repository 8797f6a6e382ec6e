/* SPDX-License-Identifier: MIT */
/*
 * Power off, reboot, halt. Owns what ACPI said about the first two, kept from boot. From the moment
 * that one of these is called, the other pcpus stand still and the console is silent.
 */
#include <tarn/console.h>
#include <tarn/options.h>
#include <x86/acpi.h>
#include <x86/asm.h>
#include <x86/panic.h>
#include <x86/paging.h>
#include <x86/power.h>

#define PM1_SCI_EN 1u
#define PM1_SLEEP_ENABLE (1u << 13)
#define PM1_SLEEP_TYPE(t) ((u32)(t) << 10)
#define QEMU_PM1A_CONTROL 0x604
#define SETTLE_POLLS 100000u /* an I/O access each: some 100 ms on a real machine */

/* A register and the value that does it; port and memory are 0 when there is none. */
struct action {
    u16 port;
    volatile u8 *memory;
    u8 value;
};

static struct {
    u16 pm1a, pm1b; /* ports, 0 = none */
    u8 s5_type_a, s5_type_b;
    u16 smi_command;
    u8 acpi_enable;
    struct action reset;
} power;

static u16 io_port(const struct acpi_reg *r)
{
    return r->space == ACPI_SPACE_IO ? (u16)r->address : 0;
}

void power_init(const struct acpi_info *acpi)
{
    if (acpi->has_s5) {
        power.pm1a = io_port(&acpi->pm1a_control);
        power.pm1b = io_port(&acpi->pm1b_control);
        power.s5_type_a = acpi->s5_type_a;
        power.s5_type_b = acpi->s5_type_b;
        power.smi_command = acpi->smi_command;
        power.acpi_enable = acpi->acpi_enable;
    }
    power.reset.value = acpi->reset_value;
    power.reset.port = io_port(&acpi->reset);
    if (acpi->reset.address && acpi->reset.space == ACPI_SPACE_MEMORY) {
        power.reset.memory = ioremap_uc(acpi->reset.address, 1);
    }
}

/* Time for what was asked to happen: QEMU does it a little later. */
static void settle(void)
{
    for (u32 i = 0; i < SETTLE_POLLS; i++) {
        (void)inb(0x80);
    }
}

static __noreturn void stand_still(void)
{
    for (;;) {
        __asm__ volatile("cli; hlt");
    }
}

void machine_halt(void)
{
    log_error("machine halted");
    machine_stop_others();
    stand_still();
}

/* The firmware hands the power registers over when it is asked to. */
static void acpi_mode_enable(void)
{
    if ((inw(power.pm1a) & PM1_SCI_EN) || !power.smi_command || !power.acpi_enable) {
        return;
    }
    outb(power.smi_command, power.acpi_enable);
    for (u32 i = 0; i < SETTLE_POLLS && !(inw(power.pm1a) & PM1_SCI_EN); i++) {
        cpu_pause();
    }
}

void machine_poweroff(void)
{
    machine_stop_others();
    if (power.pm1a) {
        acpi_mode_enable();
        outw(power.pm1a, (u16)(PM1_SLEEP_TYPE(power.s5_type_a) | PM1_SLEEP_ENABLE));
        if (power.pm1b) {
            outw(power.pm1b, (u16)(PM1_SLEEP_TYPE(power.s5_type_b) | PM1_SLEEP_ENABLE));
        }
        settle();
    }
    outw(QEMU_PM1A_CONTROL, PM1_SLEEP_ENABLE);
    settle();
    console_write_panic("(tarn) no way to power off is known, halted\n", 44);
    stand_still();
}

static __noreturn void triple_fault(void)
{
    const struct desc_ptr none = { 0, 0 };

    lidt(&none);
    __asm__ volatile("int3");
    stand_still();
}

void machine_reboot(void)
{
    if (opt.noreboot) {
        machine_halt();
    }
    machine_stop_others();
    if (power.reset.port) {
        outb(power.reset.port, power.reset.value);
        settle();
    } else if (power.reset.memory) {
        *power.reset.memory = power.reset.value;
        settle();
    }
    outb(0xcf9, 0x02); /* the chipset's reset register: prepare, then do it */
    outb(0xcf9, 0x06);
    settle();
    outb(0x64, 0xfe); /* the keyboard controller's reset line */
    settle();
    triple_fault();
}
