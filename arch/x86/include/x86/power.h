/* SPDX-License-Identifier: MIT */
/* The ways in which the machine ends; arch/x86/cpu/power.c. */
#pragma once

#include <tarn/lib.h>

struct acpi_info;
void power_init(const struct acpi_info *acpi);
__noreturn void machine_poweroff(void);
__noreturn void machine_reboot(void); /* halts instead with noreboot */
__noreturn void machine_halt(void);   /* stands still; console input is dead, too */
