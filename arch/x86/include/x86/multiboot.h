/* SPDX-License-Identifier: MIT */
/*
 * What Multiboot 1 (0.6.96) and Multiboot 2 (2.0) loaders leave in memory, as far as we read it.
 * All fields are the loader's: unaligned, and not to be trusted. Source: the two specifications of
 * the FSF.
 */
#pragma once

#include <tarn/lib.h>

#define MB1_BOOT_MAGIC 0x2badb002u /* in eax at entry */
#define MB2_BOOT_MAGIC 0x36d76289u

/* mb1_info.flags: which fields are valid */
#define MB1_HAS_MEMORY (1u << 0)
#define MB1_HAS_CMDLINE (1u << 2)
#define MB1_HAS_MODULES (1u << 3)
#define MB1_HAS_MMAP (1u << 6)
#define MB1_HAS_LOADER (1u << 9)
#define MB1_INFO_SIZE 116u /* with the video fields that follow, which we don't read */

struct mb1_info {
    u32 flags;
    u32 mem_lower, mem_upper; /* KiB from 0 and from 1 MiB */
    u32 boot_device;
    u32 cmdline;
    u32 mods_count, mods_addr;
    u32 syms[4];
    u32 mmap_length, mmap_addr;
    u32 drives_length, drives_addr;
    u32 config_table;
    u32 loader_name;
} __packed;

struct mb1_module {
    u32 start, end;
    u32 string;
    u32 reserved;
} __packed;

struct mb1_mmap_entry {
    u32 size; /* of what follows */
    u64 addr, len;
    u32 type;
} __packed;

enum {
    MB2_TAG_END = 0,
    MB2_TAG_CMDLINE = 1,
    MB2_TAG_LOADER = 2,
    MB2_TAG_MODULE = 3,
    MB2_TAG_MEMORY = 4,
    MB2_TAG_MMAP = 6,
    MB2_TAG_RSDP_V1 = 14,
    MB2_TAG_RSDP_V2 = 15,
};

struct mb2_info {
    u32 total_size; /* with this header */
    u32 reserved;
} __packed;

struct mb2_tag {
    u32 type;
    u32 size; /* with this header, without the padding to 8 bytes */
} __packed;

struct mb2_module {
    struct mb2_tag tag;
    u32 start, end;
    char string[];
} __packed;

struct mb2_memory {
    struct mb2_tag tag;
    u32 mem_lower, mem_upper; /* KiB */
} __packed;

struct mb2_mmap {
    struct mb2_tag tag;
    u32 entry_size, entry_version;
} __packed;

struct mb2_mmap_entry {
    u64 addr, len;
    u32 type;
    u32 reserved;
} __packed;

_Static_assert(sizeof(struct mb1_info) == 68, "Multiboot 1 info");
_Static_assert(sizeof(struct mb1_mmap_entry) == 24, "Multiboot 1 memory map entry");
_Static_assert(sizeof(struct mb2_mmap_entry) == 24, "Multiboot 2 memory map entry");
