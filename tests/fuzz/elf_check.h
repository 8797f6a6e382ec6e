/* SPDX-License-Identifier: MIT */
/* What holds of every image that elf_parse accepts; for the unit test and the fuzzer. */
#pragma once

#include <tarn/elf.h>

/* In one of a guest's two parts of the address space, and not empty. */
static inline bool elf_check_range(u64 start, u64 end)
{
    return start < end && (end <= 0x0000800000000000 || start >= 0xffff880000000000);
}

static inline bool elf_check_segment(const struct elf_image *e, const struct elf_segment *s,
                                     size_t size)
{
    return s->filesz <= s->memsz && s->offset <= size && s->filesz <= size - s->offset &&
           elf_check_range(s->vaddr, s->vaddr + s->memsz) && s->vaddr >= e->kstart &&
           s->vaddr + s->memsz <= e->kend && s->flags <= 7;
}

static inline bool elf_check_overlap(const struct elf_image *e)
{
    for (u32 i = 0; i < e->nr_segments; i++) {
        for (u32 k = 0; k < i; k++) {
            const struct elf_segment *a = &e->segment[i], *b = &e->segment[k];

            if (a->vaddr < b->vaddr + b->memsz && b->vaddr < a->vaddr + a->memsz) {
                return true;
            }
        }
    }
    return false;
}

static inline bool elf_check_text(const char *s, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if (!s[i]) {
            return true;
        }
        if (s[i] < ' ' || s[i] > '~') {
            return false;
        }
    }
    return false;
}

static inline bool elf_check_texts(const struct elf_image *e)
{
    return elf_check_text(e->guest_os, sizeof(e->guest_os)) &&
           elf_check_text(e->guest_version, sizeof(e->guest_version)) &&
           elf_check_text(e->loader, sizeof(e->loader)) &&
           elf_check_text(e->xen_version, sizeof(e->xen_version)) &&
           elf_check_text(e->features, sizeof(e->features));
}

static inline bool elf_check_addresses(const struct elf_image *e)
{
    return e->entry >= e->kstart && e->entry < e->kend && !(e->virt_base & 4095) &&
           e->virt_base <= e->kstart && elf_check_range(e->virt_base, e->kend) &&
           (!e->has_hypercall_page ||
            (!(e->hypercall_page & 4095) && e->hypercall_page >= e->kstart &&
             e->hypercall_page < e->kend)) &&
           (!e->has_init_p2m ||
            (!(e->init_p2m & 4095) && elf_check_range(e->init_p2m, e->init_p2m + 1)));
}

static inline bool elf_check(const struct elf_image *e, size_t size)
{
    if (!e->has_notes || !e->nr_segments || e->nr_segments > ELF_MAX_SEGMENTS) {
        return false;
    }
    for (u32 i = 0; i < e->nr_segments; i++) {
        if (!elf_check_segment(e, &e->segment[i], size)) {
            return false;
        }
    }
    return !elf_check_overlap(e) && elf_check_texts(e) && elf_check_addresses(e);
}
