/* SPDX-License-Identifier: MIT */
/*
 * The guest's memory by the guest's own addresses, through its own page tables (CR3 is always that
 * of the current guest here). The range check keeps us out of our own part; whatever else faults
 * comes back as -EFAULT through the exception table. SMAP is opened for just these instructions.
 */
#include <tarn/guest_access.h>
#include <x86/cpufeature.h>
#include <x86/extable.h>
#include <x86/layout.h>

static inline void smap_open(void)
{
    if (cpu_features.smap) {
        __asm__ volatile("stac" ::: "memory");
    }
}

static inline void smap_close(void)
{
    if (cpu_features.smap) {
        __asm__ volatile("clac" ::: "memory");
    }
}

/* Returns how many bytes are left uncopied. */
static inline size_t copy_bytes(void *dst, const void *src, size_t len)
{
    smap_open();
    __asm__ volatile("1: rep movsb\n"
                     "2:\n" EX_TABLE(1b, 2b)
                     : "+D"(dst), "+S"(src), "+c"(len)
                     :
                     : "memory");
    smap_close();
    return len;
}

static inline size_t copy_words(void *dst, const void *src, size_t words)
{
    smap_open();
    __asm__ volatile("1: rep movsq\n"
                     "2:\n" EX_TABLE(1b, 2b)
                     : "+D"(dst), "+S"(src), "+c"(words)
                     :
                     : "memory");
    smap_close();
    return words;
}

static inline int copy(void *dst, const void *src, size_t len)
{
    return (len % 8 ? copy_bytes(dst, src, len) : copy_words(dst, src, len / 8)) ? -EFAULT : 0;
}

int copy_from_guest(void *dst, u64 guest_va, size_t len)
{
    return guest_range_ok(guest_va, len) ? copy(dst, (const void *)guest_va, len) : -EFAULT;
}

int copy_to_guest(u64 guest_va, const void *src, size_t len)
{
    return guest_range_ok(guest_va, len) ? copy((void *)guest_va, src, len) : -EFAULT;
}
