/* SPDX-License-Identifier: MIT */
/*
 * The hypervisor's address space: PML4 slots 256-271 of every address space
 * (docs/memory-layout.md). Guests own the rest.
 */
#pragma once

#include <tarn/lib.h>

#define HV_FIRST_SLOT 256
#define HV_LAST_SLOT 271
#define HV_START 0xffff800000000000UL
#define HV_END 0xffff880000000000UL

#define M2P_VIRT 0xffff800000000000UL     /* slot 256: read-only to guests */
#define DESC_VIRT 0xffff820000000000UL    /* slot 260: GDT and LDT windows of the vcpus */
#define IOREMAP_VIRT 0xffff828000000000UL /* slot 261: devices, uncached */
#define PCPU_VIRT 0xffff82c000000000UL    /* slot 261: stacks, PCPU_AREA_SIZE for each pcpu */
#define IMAGE_OFFSET 0xffff82d000000000UL /* slot 261: the image, at its machine address + this */
#define DIRECT_VIRT 0xffff830000000000UL  /* slots 262-271: all RAM, read-write */

#define PTE_P 0x001UL
#define PTE_W 0x002UL
#define PTE_U 0x004UL
#define PTE_PWT 0x008UL
#define PTE_PCD 0x010UL
#define PTE_A 0x020UL
#define PTE_D 0x040UL
#define PTE_PS 0x080UL
#define PTE_G 0x100UL
#define PTE_AVAIL 0xe00UL
#define PTE_GUEST_KERNEL (1UL << 52) /* of the guest's kernel: the user bit was added by us */
#define PTE_AVAIL_HIGH (0x7ffUL << 52)
#define PTE_NX (1UL << 63)
#define PTE_ADDR 0x000ffffffffff000UL

#define PTE_HV_RW (PTE_P | PTE_W | PTE_A | PTE_D | PTE_NX)
#define PTE_HV_RO (PTE_P | PTE_A | PTE_NX)
#define PTE_HV_RX (PTE_P | PTE_A)
#define PTE_HV_UC (PTE_HV_RW | PTE_PCD | PTE_PWT)
#define PTE_HV_TABLE (PTE_P | PTE_W | PTE_A | PTE_D)

static inline u32 pt_index(u64 va, u32 level)
{
    return (u32)(va >> (12 + 9 * (level - 1))) & 511;
}

static inline void *phys_to_virt(paddr_t pa)
{
    return (void *)(DIRECT_VIRT + pa);
}

/* Of an address in the direct map or in the image. */
static inline paddr_t virt_to_phys(const void *p)
{
    u64 va = (u64)p;

    return va >= DIRECT_VIRT ? va - DIRECT_VIRT : va - IMAGE_OFFSET;
}

static inline void *mfn_to_virt(mfn_t mfn)
{
    return phys_to_virt(mfn_to_paddr(mfn));
}

static inline mfn_t virt_to_mfn(const void *p)
{
    return paddr_to_mfn(virt_to_phys(p));
}

static inline bool is_canonical(u64 va)
{
    return (u64)((s64)(va << 16) >> 16) == va;
}

/* An address that a guest may jump to, as far as we are concerned. */
static inline bool guest_address_ok(u64 va)
{
    return is_canonical(va) && (va < HV_START || va >= HV_END);
}

/* [va, va + len) lies in the guest's part of the address space, in its lower half or above us. */
static inline bool guest_range_ok(u64 va, u64 len)
{
    u64 end = va + len;

    return end >= va && (end <= 1UL << 47 || va >= HV_END);
}

/* Symbols of linker.ld */
extern char __image_start[], __image_end[], __text_start[], __text_end[], __rodata_start[],
    __rodata_end[];
extern char __data_start[], __bss_end[], __boot_start[], __boot_end[], __boot_stack_end[];
