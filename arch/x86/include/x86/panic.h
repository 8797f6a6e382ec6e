/* SPDX-License-Identifier: MIT */
/* The machine stops because of a bug of ours; arch/x86/cpu/panic.c. See also panic() in tarn/lib.h.
 */
#pragma once

#include <tarn/lib.h>
#include <xen/xen.h>

/* Why, registers, backtrace from regs->rsp; stop. */
__noreturn void panic_regs(const struct cpu_user_regs *regs, const char *why);

/* Another CPU stops the machine: true from its decision on. */
bool machine_stopping(void);
/* NMI handler: does not return when the machine is being stopped, else counts it and returns. */
void nmi_dispatch(const struct cpu_user_regs *regs);
/* All other CPUs halt for ever. */
void machine_stop_others(void);
