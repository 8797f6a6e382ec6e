/* SPDX-License-Identifier: MIT */
/*
 * The guest's FPU state, eager: saved whenever a vcpu leaves a pcpu, loaded when it enters one that
 * does not hold its state any more. We never use the FPU ourselves. CR0.TS is set only while the
 * guest wants it.
 */
#include <tarn/pcpu.h>
#include <x86/asm.h>
#include <x86/cpufeature.h>
#include <x86/extable.h>
#include <x86/pv.h>

static void clts(void)
{
    __asm__ volatile("clts");
}

void fpu_load_ts(const struct vcpu *v)
{
    if (v->arch.ctrlreg0 & CR0_TS) {
        write_cr0(read_cr0() | CR0_TS);
    } else {
        clts();
    }
}

void fpu_save(struct vcpu *v)
{
    clts();
    if (cpu_features.xsave) {
        __asm__ volatile("xsave64 (%0)" : : "r"(v->arch.xsave), "a"(~0u), "d"(~0u) : "memory");
    } else {
        __asm__ volatile("fxsave64 (%0)" : : "r"(v->arch.xsave) : "memory");
    }
}

/* The area is ours: the guest can't make it malformed, so nothing here faults. */
void fpu_load(struct vcpu *v)
{
    clts();
    if (cpu_features.xsave) {
        __asm__ volatile("xrstor64 (%0)" : : "r"(v->arch.xsave), "a"(~0u), "d"(~0u) : "memory");
    } else {
        __asm__ volatile("fxrstor64 (%0)" : : "r"(v->arch.xsave) : "memory");
    }
    if (v->arch.ctrlreg0 & CR0_TS) {
        fpu_load_ts(v);
    }
}

/* Bits of MXCSR that the CPU has; a guest may give us no other. */
u32 fpu_mxcsr_mask(void)
{
    static u32 mask;
    u8 area[512] __aligned(16);

    if (!mask) {
        clts();
        __asm__ volatile("fxsave64 %0" : "=m"(area));
        memcpy(&mask, area + 28, 4);
        mask = mask ? mask : 0xffbf;
    }
    return mask;
}

/* State after reset: x87 control word 0x37f, MXCSR 0x1f80. */
void fpu_init_state(void *area)
{
    memset(area, 0, PAGE_SIZE);
    *(u16 *)area = 0x37f;
    *(u32 *)((u8 *)area + 24) = 0x1f80;
}
