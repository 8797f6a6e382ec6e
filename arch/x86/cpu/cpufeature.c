/* SPDX-License-Identifier: MIT */
/*
 * What CPUID says, as far as we use it, and the control registers that follow from it. Owns
 * cpu_features, which does not change after boot. No locks.
 */
#include <tarn/lib.h>
#include <tarn/options.h>
#include <x86/asm.h>
#include <x86/cpufeature.h>
#include <x86/msr.h>

enum { EAX, EBX, ECX, EDX };

/* The boot CPU's; see the header. */
struct cpu_features cpu_features;

static u32 cpuid_reg(u32 leaf, u32 sub, u32 reg)
{
    u32 out[4];
    u32 max = leaf & 0x80000000 ? cpu_features.max_ext_leaf : cpu_features.max_leaf;

    if (leaf > max) {
        return 0;
    }
    cpuid(leaf, sub, out);
    return out[reg];
}

static bool bit_of(u32 value, u32 bit)
{
    return (value >> bit) & 1;
}

static void identify(struct cpu_features *f)
{
    u32 out[4], eax;

    cpuid(0, 0, out);
    f->max_leaf = out[EAX];
    memcpy(f->vendor, &out[EBX], 4);
    memcpy(f->vendor + 4, &out[EDX], 4);
    memcpy(f->vendor + 8, &out[ECX], 4);
    cpuid(0x80000000, 0, out);
    f->max_ext_leaf = out[EAX] & 0x80000000 ? out[EAX] : 0;

    eax = cpuid_reg(1, 0, EAX);
    f->stepping = eax & 0xf;
    f->family = (eax >> 8) & 0xf;
    f->model = (eax >> 4) & 0xf;
    if (f->family == 6 || f->family == 15) {
        f->model |= ((eax >> 16) & 0xf) << 4;
    }
    if (f->family == 15) {
        f->family += (eax >> 20) & 0xff;
    }
}

static void read_flags(struct cpu_features *f)
{
    u32 c1 = cpuid_reg(1, 0, ECX), d1 = cpuid_reg(1, 0, EDX);
    u32 b7 = cpuid_reg(7, 0, EBX), c7 = cpuid_reg(7, 0, ECX);
    u32 ext = cpuid_reg(0x80000001, 0, EDX);

    f->mce = bit_of(d1, 7) && bit_of(d1, 14);
    f->pcid = bit_of(c1, 17);
    f->x2apic = bit_of(c1, 21);
    f->tsc_deadline = bit_of(c1, 24);
    f->xsave = bit_of(c1, 26);
    f->fsgsbase = bit_of(b7, 0);
    f->smep = bit_of(b7, 7) && opt.smep;
    f->smap = bit_of(b7, 20) && opt.smap;
    f->umip = bit_of(c7, 2);
    f->la57 = bit_of(c7, 16);
    f->syscall = bit_of(ext, 11);
    f->nx = bit_of(ext, 20);
    f->page1gb = bit_of(ext, 26);
    f->phys_bits = cpuid_reg(0x80000008, 0, EAX) & 0xff;
    f->phys_bits = f->phys_bits < 36 || f->phys_bits > 52 ? 36 : f->phys_bits;
    f->invariant_tsc = bit_of(cpuid_reg(0x80000007, 0, EDX), 8);
    f->arat = bit_of(cpuid_reg(6, 0, EAX), 2);
}

/* The state that user code has without further permission, as far as one page holds it. */
static void choose_xstate(struct cpu_features *f)
{
    u64 can = f->xsave ? cpuid_reg(0xd, 0, EAX) : 0;

    f->xsave = (can & (XCR0_X87 | XCR0_SSE)) == (XCR0_X87 | XCR0_SSE);
    f->xsave_size = 512;
    if (!f->xsave) {
        return;
    }
    f->xsaveopt = bit_of(cpuid_reg(0xd, 1, EAX), 0);
    f->xcr0 = can & (XCR0_X87 | XCR0_SSE | XCR0_AVX);
    if ((f->xcr0 & XCR0_AVX) && (can & XCR0_AVX512) == XCR0_AVX512) {
        f->xcr0 |= XCR0_AVX512;
    }
    f->xsave_size = 512 + 64; /* the header */
    for (u32 i = 2; i < 8; i++) {
        u32 end = cpuid_reg(0xd, i, EAX) + cpuid_reg(0xd, i, EBX);

        if ((f->xcr0 >> i) & 1) {
            f->xsave_size = MAX(f->xsave_size, end);
        }
    }
    ASSERT(f->xsave_size <= PAGE_SIZE);
}

void cpu_features_init(void)
{
    struct cpu_features *f = &cpu_features;

    identify(f);
    read_flags(f);
    choose_xstate(f);
}

static u64 cr4_value(const struct cpu_features *f)
{
    u64 cr4 = CR4_PAE | CR4_OSFXSR | CR4_OSXMMEXCPT;

    cr4 |= f->mce ? CR4_MCE : 0;
    cr4 |= f->umip ? CR4_UMIP : 0;
    cr4 |= f->fsgsbase ? CR4_FSGSBASE : 0;
    cr4 |= f->xsave ? CR4_OSXSAVE : 0;
    cr4 |= f->smep ? CR4_SMEP : 0;
    cr4 |= f->smap ? CR4_SMAP : 0;
    return cr4;
}

void cpu_setup(void)
{
    const struct cpu_features *f = &cpu_features;

    wrmsr(MSR_EFER, EFER_SCE | EFER_LME | EFER_LMA | (f->nx ? EFER_NX : 0));
    write_cr0(CR0_PE | CR0_MP | CR0_ET | CR0_NE | CR0_WP | CR0_PG);
    write_cr4(cr4_value(f));
    if (f->smap) {
        __asm__ volatile("clac" ::: "memory");
    }
    if (f->xsave) {
        xsetbv(0, f->xcr0);
    }
}
