/* SPDX-License-Identifier: MIT */
/*
 * privileged.c - what a kernel in ring 3 may still do because the hypervisor
 * does it for it: control registers, some MSRs, CPUID, and stores to live page
 * tables. Each runs under a handler that counts the #GP or #PF it may get.
 */
#include "conform.h"

#define MSR_EFER 0xc0000080U
#define MSR_FS_BASE 0xc0000100U
#define MSR_GS_BASE 0xc0000101U
#define MSR_KERNEL_GS_BASE 0xc0000102U
#define MSR_NONE 0x12345678U

static volatile unsigned int faults;
static volatile unsigned long resume;

static bool skip(struct frame *frame)
{
    faults++;
    frame->rip = resume;
    return true;
}

/* Runs an instruction; on a fault goes on behind it. */
#define TRY(instruction, ...)                                                                   \
    asm volatile("push %%rax; lea 1f(%%rip), %%rax; mov %%rax, resume; pop %%rax\n" instruction \
                 "\n1:" __VA_ARGS__)

static unsigned long faulted(void)
{
    unsigned long n = faults;

    faults = 0;
    return n;
}

static void check_registers(void)
{
    unsigned long value = 0;

    TRY("mov %%cr0, %0", : "+r"(value)::"memory");
    result_hex("priv.read_cr0", value);
    TRY("mov %%cr3, %0", : "+r"(value)::"memory");
    result("priv.read_cr3", value == virt_to_mfn((void *)start_info->pt_base) * PAGE_SIZE);
    TRY("mov %%cr4, %0", : "+r"(value)::"memory");
    result_hex("priv.read_cr4.pae_mce_pge", value & 0xe0);
    TRY("clts", ::: "memory");
    result("priv.clts", (long)faulted());
    asm volatile("pushf; pop %0" : "=r"(value));
    result("priv.pushf.if", !!(value & 0x200));
    TRY("mov %0, %%cr8", ::"r"(0UL) : "memory");
    result("priv.write_cr8", (long)faulted());
    TRY("lidt (%0)", ::"r"(scratch_page) : "memory");
    result("priv.lidt", (long)faulted());
    TRY("ltr %w0", ::"r"(0UL) : "memory");
    result("priv.ltr", (long)faulted());
    TRY("sti", ::: "memory");
    result("priv.sti", (long)faulted());
    TRY("swapgs", ::: "memory");
    result("priv.swapgs", (long)faulted());
}

static uint64_t read_msr(uint32_t msr)
{
    uint32_t low = 0, high = 0;

    TRY("rdmsr", : "+a"(low), "+d"(high) : "c"(msr) : "memory");
    return (uint64_t)high << 32 | low;
}

static void write_msr(uint32_t msr, uint64_t value)
{
    TRY("wrmsr", ::"a"((uint32_t)value), "d"((uint32_t)(value >> 32)), "c"(msr) : "memory");
}

static void check_msrs(void)
{
    result_hex("priv.rdmsr.efer", read_msr(MSR_EFER));
    result("priv.rdmsr.efer.faults", (long)faulted());
    read_msr(MSR_NONE);
    result("priv.rdmsr.none.faults", (long)faulted());
    write_msr(MSR_NONE, 1);
    result("priv.wrmsr.none.faults", (long)faulted());
    write_msr(MSR_FS_BASE, 0x123456789000UL);
    result("priv.wrmsr.fs_base.faults", (long)faulted());
    result_hex("priv.rdmsr.fs_base", read_msr(MSR_FS_BASE));
    write_msr(MSR_FS_BASE, 0x8000000000000000UL);
    result("priv.wrmsr.fs_base.wrong.faults", (long)faulted());
    write_msr(MSR_GS_BASE, 0x1000);
    result_hex("priv.rdmsr.gs_base", read_msr(MSR_GS_BASE));
    write_msr(MSR_KERNEL_GS_BASE, 0x2000);
    result_hex("priv.rdmsr.kernel_gs_base", read_msr(MSR_KERNEL_GS_BASE));
    write_msr(MSR_FS_BASE, 0);
    result("priv.msr.faults", (long)faulted());
}

/* The prefix ud2; "xen" has the hypervisor do the CPUID and show its own leaves. */
static void check_cpuid(void)
{
    uint32_t a = 0x40000000, b = 0, c = 0, d = 0;

    TRY(".byte 0x0f, 0x0b, 0x78, 0x65, 0x6e; cpuid",
        : "+a"(a), "+b"(b), "+c"(c), "+d"(d)::"memory");
    result("priv.xen_cpuid.faults", (long)faulted());
    result("priv.xen_cpuid.max_leaf", a >= 0x40000002);
    result_hex("priv.xen_cpuid.ebx", b);
    result_hex("priv.xen_cpuid.ecx", c);
    result_hex("priv.xen_cpuid.edx", d);
}

/* Stores to an L1 entry through its read-only mapping are checked and done. */
static void check_stores(void)
{
    volatile uint64_t *entry = page_table(1, scratch_page) + (ARG(scratch_page) / PAGE_SIZE & 511);
    volatile uint64_t *upper = page_table(4, scratch_page) + 1;
    uint64_t good = *entry, other = virt_to_mfn(other_page) * PAGE_SIZE | 0x67;

    TRY("mov %1, (%0)", ::"r"(entry), "r"(other) : "memory");
    result("priv.store.mov.faults", (long)faulted());
    result("priv.store.mov.frame", ((*entry ^ other) & 0x000ffffffffff000UL) == 0);
    TRY("xchg %1, (%0)", ::"r"(entry), "r"(good) : "memory");
    result("priv.store.xchg.faults", (long)faulted());
    TRY("lock andb $0xfd, (%0)", ::"r"(entry) : "memory");
    result("priv.store.and_byte.faults", (long)faulted());
    result("priv.store.and_byte.writable", !!(*entry & 2));
    TRY("lock btsq $1, (%0)", ::"r"(entry) : "memory");
    result("priv.store.bts.faults", (long)faulted());
    TRY("mov %1, (%0)", ::"r"(entry), "r"(0x7ffffff000067UL) : "memory");
    result("priv.store.no_frame.faults", (long)faulted());
    TRY("movq $0, (%0)", ::"r"(upper) : "memory");
    result("priv.store.upper.faults", (long)faulted());
    update_va_mapping(scratch_page, virt_to_mfn(scratch_page) * PAGE_SIZE | 0x63, UVMF_INVLPG);
}

void check_privileged(void)
{
    trap_handle(6, skip);
    trap_handle(13, skip);
    trap_handle(14, skip);
    check_registers();
    check_msrs();
    check_cpuid();
    check_stores();
}
