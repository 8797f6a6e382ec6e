/* SPDX-License-Identifier: MIT */
/* The hypervisor's own page tables and TLB upkeep; arch/x86/mm/paging.c. */
#pragma once

#include <tarn/cpumask.h>
#include <x86/layout.h>

extern u64 boot_mapped;       /* up to here boot.asm's tables reach, 1 or 4 GiB */
extern u64 *hv_l4;            /* the master: slots 256-271 are copied to every guest's L4 */
extern paddr_t trampoline_pa; /* a page below 1 MiB for AP start */
extern u64 trampoline_cr3;    /* hv_l4's slots and the trampoline page identity mapped */

struct boot_info;
void paging_init(const struct boot_info *bi);         /* leave the boot tables for W^X ones */
void hv_map(u64 va, paddr_t pa, u64 size, u64 flags); /* 4 KiB pages; allocates tables */
u64 *hv_pte(u64 va);                                  /* the L1 entry of va, its tables allocated */
bool hv_table_add(u64 va);
void *hv_table_remove(u64 va);
void *ioremap_uc(paddr_t pa, size_t len); /* never undone */
/* Map a firmware table for reading; NULL when it is neither RAM nor can be mapped. */
const void *map_firmware(paddr_t pa, size_t len);

/* TLB. Hypervisor-wide rule: a flush of others is asked for by bit and IPI, and waited for. */
void tlb_flush_local(void);
void tlb_flush_answer(void);                     /* do what SOFTIRQ_FLUSH_TLB asks of this pcpu */
void tlb_flush_mask(const struct cpumask *mask); /* these pcpus, this one included if it is in it */
