/* SPDX-License-Identifier: MIT */
/* What the boot loader told us, Multiboot 1 or 2, in one form; arch/x86/boot/multiboot.c (pure). */
#pragma once

#include <tarn/arch.h>
#include <tarn/types.h>

#define BOOT_MAX_REGIONS 128
#define BOOT_MAX_MODULES 32

enum { BOOT_RAM = 1, BOOT_RESERVED = 2, BOOT_ACPI_RECLAIM = 3, BOOT_ACPI_NVS = 4, BOOT_BAD = 5 };

struct boot_region {
    paddr_t start, end; /* end exclusive */
    u32 type;
};

struct boot_module {
    paddr_t start, end;
    const char *string; /* whole string "<path> <args>"; memory of the loader */
};

struct boot_info {
    const char *cmdline; /* whole, with the image's path as first word where the loader gives it */
    const char *loader;  /* boot loader's name or "" */
    bool bare_strings;   /* the loader (GRUB 2) leaves the paths out: strings are arguments only */
    u32 nr_regions, nr_modules;
    /* Sorted, not overlapping; RAM yields to any other type. */
    struct boot_region region[BOOT_MAX_REGIONS];
    struct boot_module module[BOOT_MAX_MODULES];
    paddr_t rsdp;     /* the loader's copy of the RSDP, 0 if none (Multiboot 2 tags 14, 15) */
    paddr_t info_end; /* lowest address above the loader's info structure and strings */
};

/*
 * `magic` is eax and `addr` ebx at entry. phys_to_virt maps what the loader's pointers name.
 * NULL when fine, else the reason.
 */
const char *boot_info_parse(u32 magic, paddr_t addr, const void *(*phys_to_virt)(paddr_t),
                            struct boot_info *out);

/* The hypervisor's command line without the path, kept for guests that ask. Set once at boot;
 * kernel/ops/version_op.c. */
extern const char *boot_cmdline;

/* A string's arguments: behind the first word (the path) and its blanks. */
const char *boot_string_args(const char *string);

/* The arguments of a string of this loader's: GRUB 2 leaves the path out. */
static inline const char *boot_info_args(const struct boot_info *bi, const char *string)
{
    return bi->bare_strings ? string : boot_string_args(string);
}
