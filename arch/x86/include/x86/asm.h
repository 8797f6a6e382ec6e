/* SPDX-License-Identifier: MIT */
/* Single instructions as functions. */
#pragma once

#include <tarn/types.h>

struct desc_ptr {
    u16 limit;
    u64 base;
} __attribute__((packed));

static inline u64 rdmsr(u32 msr)
{
    u32 lo, hi;

    __asm__ volatile("rdmsr" : "=a"(lo), "=d"(hi) : "c"(msr));
    return ((u64)hi << 32) | lo;
}

static inline void wrmsr(u32 msr, u64 value)
{
    __asm__ volatile("wrmsr" : : "c"(msr), "a"((u32)value), "d"((u32)(value >> 32)) : "memory");
}

static inline void cpuid(u32 leaf, u32 sub, u32 out[4])
{
    __asm__ volatile("cpuid"
                     : "=a"(out[0]), "=b"(out[1]), "=c"(out[2]), "=d"(out[3])
                     : "a"(leaf), "c"(sub));
}

static inline u64 rdtsc(void)
{
    u32 lo, hi;

    __asm__ volatile("rdtsc" : "=a"(lo), "=d"(hi));
    return ((u64)hi << 32) | lo;
}

#define ASM_CR_ACCESS(n)                                           \
    static inline u64 read_cr##n(void)                             \
    {                                                              \
        u64 v;                                                     \
                                                                   \
        __asm__ volatile("mov %%cr" #n ", %0" : "=r"(v));          \
        return v;                                                  \
    }                                                              \
    static inline void write_cr##n(u64 v)                          \
    {                                                              \
        __asm__ volatile("mov %0, %%cr" #n : : "r"(v) : "memory"); \
    }
ASM_CR_ACCESS(0)
ASM_CR_ACCESS(2)
ASM_CR_ACCESS(3)
ASM_CR_ACCESS(4)

static inline void xsetbv(u32 reg, u64 v)
{
    __asm__ volatile("xsetbv" : : "c"(reg), "a"((u32)v), "d"((u32)(v >> 32)));
}

static inline void invlpg(u64 va)
{
    __asm__ volatile("invlpg (%0)" : : "r"(va) : "memory");
}

static inline void lgdt(const struct desc_ptr *p)
{
    __asm__ volatile("lgdt %0" : : "m"(*p));
}

static inline void lidt(const struct desc_ptr *p)
{
    __asm__ volatile("lidt %0" : : "m"(*p));
}

static inline void lldt(u16 sel)
{
    __asm__ volatile("lldt %0" : : "r"(sel));
}

static inline void ltr(u16 sel)
{
    __asm__ volatile("ltr %0" : : "r"(sel));
}

static inline u8 inb(u16 port)
{
    u8 v;

    __asm__ volatile("inb %1, %0" : "=a"(v) : "Nd"(port));
    return v;
}

static inline u16 inw(u16 port)
{
    u16 v;

    __asm__ volatile("inw %1, %0" : "=a"(v) : "Nd"(port));
    return v;
}

static inline u32 inl(u16 port)
{
    u32 v;

    __asm__ volatile("inl %1, %0" : "=a"(v) : "Nd"(port));
    return v;
}

static inline void outb(u16 port, u8 v)
{
    __asm__ volatile("outb %0, %1" : : "a"(v), "Nd"(port));
}

static inline void outw(u16 port, u16 v)
{
    __asm__ volatile("outw %0, %1" : : "a"(v), "Nd"(port));
}

static inline void outl(u16 port, u32 v)
{
    __asm__ volatile("outl %0, %1" : : "a"(v), "Nd"(port));
}

static inline void cpu_pause(void)
{
    __asm__ volatile("pause" ::: "memory");
}

static inline u64 rdfsbase(void)
{
    u64 v;

    __asm__ volatile("rdfsbase %0" : "=r"(v));
    return v;
}

static inline u64 rdgsbase(void)
{
    u64 v;

    __asm__ volatile("rdgsbase %0" : "=r"(v));
    return v;
}

static inline void wrfsbase(u64 v)
{
    __asm__ volatile("wrfsbase %0" : : "r"(v));
}

static inline void wrgsbase(u64 v)
{
    __asm__ volatile("wrgsbase %0" : : "r"(v));
}
