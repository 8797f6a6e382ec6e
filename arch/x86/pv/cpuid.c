/* SPDX-License-Identifier: MIT */
/*
 * The guest's CPUID: the machine's, without what a PV guest can't use (it runs in ring 3 on our
 * page tables), and the hypervisor's leaves (arch-x86/cpuid.h). Pure.
 */
#include <tarn/hypercall.h>
#include <tarn/lib.h>
#include <x86/cpufeature.h>
#include <x86/cpuid_guest.h>
#include <xen/arch-x86/cpuid.h>

enum { EAX, EBX, ECX, EDX };

#define BIT(n) (1u << (n))

static void hypervisor_leaf(u32 leaf, u32 out[4])
{
    memset(out, 0, 4 * sizeof(u32));
    switch (leaf - XEN_CPUID_FIRST_LEAF) {
    case 0:
        out[EAX] = XEN_CPUID_FIRST_LEAF + 2;
        out[EBX] = XEN_CPUID_SIGNATURE_EBX;
        out[ECX] = XEN_CPUID_SIGNATURE_ECX;
        out[EDX] = XEN_CPUID_SIGNATURE_EDX;
        break;
    case 1:
        out[EAX] = XEN_ABI_MAJOR << 16 | XEN_ABI_MINOR;
        break;
    case 2:
        out[EAX] = 1; /* hypercall pages */
        out[EBX] = 0x40000000;
        out[ECX] = XEN_CPUID_FEAT1_MMU_PT_UPDATE_PRESERVE_AD;
        break;
    default:
        break;
    }
}

/* The state components that the hypervisor saves, and the room they take. */
static void xstate_leaf(cpuid_fn cpuid, u32 sub, u32 out[4])
{
    const u32 saved = (u32)XCR0_SAVED;
    u32 size = 512 + 64, part[4];

    if (sub == 1) {
        out[EAX] &= BIT(0) | BIT(2); /* XSAVEOPT, XGETBV with ecx 1: no XSAVEC, no XSAVES */
        out[EBX] = out[ECX] = out[EDX] = 0;
    } else if (sub >= 2 && (sub >= 32 || !(saved & BIT(sub)))) {
        memset(out, 0, 4 * sizeof(u32));
    } else if (sub == 0) {
        out[EAX] &= saved;
        out[EDX] = 0;
        for (u32 i = 2; i < 8; i++) {
            cpuid(0xd, i, part);
            size = out[EAX] & BIT(i) ? MAX(size, part[EAX] + part[EBX]) : size;
        }
        out[EBX] = out[ECX] = size;
    }
}

void cpuid_for_guest(cpuid_fn cpuid, u32 leaf, u32 sub, u32 out[4])
{
    if (leaf >= XEN_CPUID_FIRST_LEAF && leaf < XEN_CPUID_FIRST_LEAF + 0x100) {
        hypervisor_leaf(leaf, out);
        return;
    }
    cpuid(leaf, sub, out);
    switch (leaf) {
    case 1:
        /* No MONITOR, VMX, SMX, EST, PCID, x2APIC, TSC-deadline; a hypervisor is present. */
        out[ECX] &= ~(BIT(3) | BIT(5) | BIT(6) | BIT(7) | BIT(17) | BIT(21) | BIT(24));
        out[ECX] |= BIT(31);
        /* No VME, DE, PSE, PGE, MTRR, PSE36, SEP. */
        out[EDX] &= ~(BIT(1) | BIT(2) | BIT(3) | BIT(11) | BIT(12) | BIT(13) | BIT(17));
        break;
    case 7:
        if (sub == 0) {
            /* FSGSBASE SMEP INVPCID MPX SMAP */
            out[EBX] &= ~(BIT(0) | BIT(7) | BIT(10) | BIT(14) | BIT(20));
            /* UMIP PKU OSPKE SHSTK LA57 PKS */
            out[ECX] &= ~(BIT(2) | BIT(3) | BIT(4) | BIT(7) | BIT(16) | BIT(31));
            out[EDX] = 0;
        } else {
            out[EAX] &= sub == 1 ? BIT(4) | BIT(5) : 0; /* AVX instructions; no FRED, LASS, LAM */
            out[EBX] = out[ECX] = out[EDX] = 0;
        }
        break;
    case 0xd:
        xstate_leaf(cpuid, sub, out);
        break;
    case 0x80000001:
        out[ECX] &= ~BIT(2); /* SVM */
        /* AMD repeats VME, DE, PSE, MTRR, PGE, PSE36 here; 1 GiB pages, RDTSCP */
        out[EDX] &= ~(BIT(1) | BIT(2) | BIT(3) | BIT(12) | BIT(13) | BIT(17) | BIT(26) | BIT(27));
        break;
    case 5:
    case 0xa:
        memset(out, 0, 4 * sizeof(u32)); /* MONITOR, performance counters */
        break;
    default:
        break;
    }
}
