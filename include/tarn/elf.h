/* SPDX-License-Identifier: MIT */
/*
 * What a PV64 loader must know of an ELF64 image and its Xen notes (public/elfnote.h), or, where
 * there are none, of the older string in a section __xen_guest that says the same.
 * Pure; the image is untrusted: every offset is checked against the image's size.
 */
#pragma once

#include <tarn/types.h>

#define ELF_MAX_SEGMENTS 16

struct elf_segment {
    u64 offset, filesz; /* in the file */
    u64 vaddr;          /* guest virtual = p_paddr - PADDR_OFFSET + VIRT_BASE */
    u64 memsz;
    u32 flags; /* PF_R 4, PF_W 2, PF_X 1 */
};

struct elf_image {
    u64 entry;          /* note ENTRY, else e_entry */
    u64 virt_base;      /* note VIRT_BASE, else 0 */
    u64 paddr_offset;   /* note PADDR_OFFSET, else 0 (else virt_base when neither note is there) */
    u64 hypercall_page; /* note HYPERCALL_PAGE, guest virtual */
    bool has_hypercall_page;
    u64 init_p2m; /* note INIT_P2M, guest virtual */
    bool has_init_p2m;
    char pae_mode[16]; /* note PAE_MODE, text: "yes" for what can have machine memory above 4 GiB */
    bool mod_start_pfn; /* note MOD_START_PFN is non-zero */
    bool has_notes;
    char guest_os[32], guest_version[32], loader[16], xen_version[16];
    char features[128]; /* note FEATURES, text */
    u64 supported_features;
    u64 kstart, kend; /* lowest and highest virtual address of the loaded segments */
    u32 nr_segments;
    struct elf_segment segment[ELF_MAX_SEGMENTS];
};

/*
 * Parse. NULL when fine, else a text that says what is wrong with the image
 * ("not an ELF file", "not for x86-64", "truncated: segment 2 ends at ...", "no Xen notes", ...).
 * `why` is a buffer of the caller's for texts with figures.
 */
const char *elf_parse(const void *image, size_t size, struct elf_image *out, char *why,
                      size_t why_size);
