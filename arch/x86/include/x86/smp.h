/* SPDX-License-Identifier: MIT */
/* Starting the other CPUs, and waiting for them; arch/x86/cpu/smp.c. */
#pragma once

#include <tarn/cpumask.h>
#include <tarn/topology.h>

struct pcpu;

/*
 * Boot CPU, whose struct pcpu is there and in use (cpu 0 of `t`): start the others in the order of
 * their numbers, at most `max` CPUs in all (0: no limit), and print what is online.
 */
void smp_boot(const struct topology *t, u32 max);
__noreturn void ap_main(struct pcpu *p); /* trampoline.asm, on the pcpu's own stack */

/*
 * Ask the online CPUs of `mask`, this one left out, to flush their TLBs, and wait until they have.
 * Requests of others are answered meanwhile, so that two may do this to each other.
 */
void tlb_flush_others(const struct cpumask *mask);
