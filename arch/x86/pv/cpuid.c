/* SPDX-License-Identifier: MIT */
/*
 * The guest's CPUID: the machine's, without what a PV guest can't use (it runs in ring 3 on our
 * page tables), and the hypervisor's leaves (arch-x86/cpuid.h). Pure.
 */
#include <tarn/lib.h>
#include <x86/cpuid_guest.h>
#include <xen/arch-x86/cpuid.h>

enum { EAX, EBX, ECX, EDX };

#define BIT(n) (1u << (n))

static void hypervisor_leaf(bool privileged, u32 leaf, u32 out[4])
{
    (void)privileged;
    memset(out, 0, 4 * sizeof(u32));
    switch (leaf - XEN_CPUID_FIRST_LEAF) {
    case 0:
        out[EAX] = XEN_CPUID_FIRST_LEAF + 2;
        out[EBX] = XEN_CPUID_SIGNATURE_EBX;
        out[ECX] = XEN_CPUID_SIGNATURE_ECX;
        out[EDX] = XEN_CPUID_SIGNATURE_EDX;
        break;
    case 1:
        out[EAX] = 4u << 16 | 17;
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

void cpuid_for_guest(cpuid_fn cpuid, bool privileged, u32 leaf, u32 sub, u32 out[4])
{
    if (leaf >= XEN_CPUID_FIRST_LEAF && leaf < XEN_CPUID_FIRST_LEAF + 0x100) {
        hypervisor_leaf(privileged, leaf, out);
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
            out[EBX] &= ~(BIT(0) | BIT(7) | BIT(10) | BIT(20)); /* FSGSBASE SMEP INVPCID SMAP */
            out[ECX] &= ~(BIT(2) | BIT(3) | BIT(4) | BIT(16) | BIT(31)); /* UMIP PKU LA57 PKS */
            out[EDX] = 0;
        }
        break;
    case 0x80000001:
        out[ECX] &= ~BIT(2);                                  /* SVM */
        out[EDX] &= ~(BIT(12) | BIT(17) | BIT(26) | BIT(27)); /* MTRR PSE36 1 GiB pages RDTSCP */
        break;
    case 5:
    case 0xa:
        memset(out, 0, 4 * sizeof(u32)); /* MONITOR, performance counters */
        break;
    default:
        break;
    }
}
