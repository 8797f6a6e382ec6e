/* SPDX-License-Identifier: MIT */
/*
 * cpu.c - what the CPU itself offers to a hostile ring 3: descriptors, selectors, flags that
 * interrupts keep, breakpoints on memory that the hypervisor touches for us.
 */
#include "attack.h"

#define DATA 0x00cff3000000ffffUL
#define CODE32 0x00cffb000000ffffUL
#define FLAG_TF 0x100UL
#define FLAG_DF 0x400UL
#define FLAG_NT 0x4000UL
#define FLAG_AC 0x40000UL

static const struct {
    const char *name;
    uint64_t descriptor;
} forbidden[] = {
    { "call gate", 0x0000ec000008e008UL },
    { "call gate of ring 0", 0x00008c000008e008UL },
    { "interrupt gate", 0x0000ee000008e008 },
    { "trap gate", 0x0000ef000008e008UL },
    { "task gate", 0x0000e5000008e008UL },
    { "TSS", 0x0000890000000067UL },
    { "busy TSS", 0x00008b0000000067UL },
    { "LDT", 0x0000820000000fffUL },
    { "LDT of ring 3", 0x0000e20000000fff },
    { "conforming code", 0x00cf9f000000ffffUL },
    { "conforming of ring 3", 0x00afff000000ffffUL },
};

#define NR_FORBIDDEN (sizeof(forbidden) / sizeof(forbidden[0]))

static long set_gdt(const unsigned long *frames, unsigned int entries)
{
    return hypercall2(__HYPERVISOR_set_gdt, ARG(frames), entries);
}

static long update_descriptor(uint64_t at, uint64_t descriptor)
{
    return hypercall2(__HYPERVISOR_update_descriptor, at, descriptor);
}

/* pages[0] with a descriptor, offered as a GDT and as an LDT. */
static void try_descriptor(const char *name, uint64_t descriptor)
{
    unsigned long frame = virt_to_mfn(pages[0]);

    map_page(0, PTE_RW);
    memset(pages[0], 0, PAGE_SIZE);
    pages[0][511] = descriptor;
    map_page(0, PTE_RO);
    refused(name, set_gdt(&frame, 512));
    refused(name, mmuext(MMUEXT_SET_LDT, ARG(pages[0]), 512));
}

static const char *check_ring0(void)
{
    static const uint64_t code0 = 0x00af9b000000ffffUL;
    unsigned long frame = virt_to_mfn(pages[0]);

    map_page(0, PTE_RW);
    memset(pages[0], 0, PAGE_SIZE);
    pages[0][1] = code0;
    map_page(0, PTE_RO);
    if (set_gdt(&frame, 512) == 0 && (pages[0][1] >> 45 & 3) != 3) {
        return "a GDT holds code of ring 0";
    }
    if (update_descriptor(maddr(pages[0]) + 16, code0) == 0 && (pages[0][2] >> 45 & 3) != 3) {
        return "update_descriptor wrote code of ring 0";
    }
    return NULL;
}

const char *attack_descriptors(void)
{
    unsigned long frame = virt_to_mfn(pages[0]), table = virt_to_mfn(page_table(1, pages));
    unsigned long foreign = 0x100, two[2];
    const char *why;

    for (unsigned int i = 0; i < NR_FORBIDDEN; i++) {
        try_descriptor(forbidden[i].name, forbidden[i].descriptor);
    }
    why = check_ring0();
    if (why) {
        return why;
    }
    for (unsigned int i = 0; i < NR_FORBIDDEN; i++) {
        refused("update_descriptor",
                update_descriptor(maddr(pages[0]) + 8, forbidden[i].descriptor));
    }
    refused("GDT mapped writable", map_page(0, PTE_RW));
    refused("GDT as a table", pin(1, pages[0]));
    refused("descriptor into a table", update_descriptor(table * PAGE_SIZE, DATA));
    refused("descriptor into the hypervisor", update_descriptor(0x100000, DATA));
    refused("descriptor beyond memory", update_descriptor(~7UL, DATA));
    refused("descriptor unaligned", update_descriptor(maddr(pages[0]) + 4, DATA));
    refused("GDT in a table", set_gdt(&table, 1));
    refused("GDT in the hypervisor", set_gdt(&foreign, 1));
    two[0] = frame;
    two[1] = foreign;
    refused("GDT half in the hypervisor", set_gdt(two, 513));
    refused("GDT of 7169 entries", set_gdt(&frame, 7169));
    refused("GDT of 2^32 entries", hypercall2(__HYPERVISOR_set_gdt, ARG(&frame), 1UL << 32));
    refused("LDT unaligned", mmuext(MMUEXT_SET_LDT, ARG(pages[0]) + 8, 1));
    refused("LDT of 8193 entries", mmuext(MMUEXT_SET_LDT, ARG(pages[0]), 8193));
    refused("LDT in the hypervisor", mmuext(MMUEXT_SET_LDT, 0xffff830000000000UL, 512));
    refused("LDT in the M2P", mmuext(MMUEXT_SET_LDT, ARG(machine_to_phys_mapping), 512));
    refused("LDT in a table", mmuext(MMUEXT_SET_LDT, ARG(page_table(1, pages)), 512));
    set_gdt(NULL, 0);
    mmuext(MMUEXT_SET_LDT, 0, 0);
    if (map_page(0, PTE_RW)) {
        return "a page that is no GDT any more can't be mapped";
    }
    return verdict();
}

/* ---- selectors ---- */

static volatile unsigned int selector;
static volatile unsigned long where;

static void load_ds(void)
{
    asm volatile("mov %w0, %%ds" ::"r"(selector));
}

static void load_gs(void)
{
    asm volatile("mov %w0, %%gs" ::"r"(selector));
}

static void load_ss(void)
{
    asm volatile("mov %w0, %%ss" ::"r"(selector));
}

static void far_return(void)
{
    asm volatile("push %q0; push $0; lretq" ::"r"(selector));
}

/* The iret hypercall with this cs, or this ss. */
static void iret_cs(void)
{
    asm volatile("push $0xe02b; push %%rsp; push $0x202; push %q0; push %1; push $0\n"
                 "jmp *%2" ::"r"((unsigned long)selector),
                 "r"(where), "r"(hypercall_page + __HYPERVISOR_iret * 32));
}

static void iret_ss(void)
{
    asm volatile("push %q0; push %%rsp; push $0x202; push $0xe030; push %1; push $0\n"
                 "jmp *%2" ::"r"((unsigned long)selector),
                 "r"(where), "r"(hypercall_page + __HYPERVISOR_iret * 32));
}

static void ud2(void)
{
    asm volatile("ud2");
}

const char *attack_selectors(void)
{
    static const unsigned int some[] = { 0xe008, 0xe00b, 0xe010, 0xe040, 0xe050, 0xe058,
                                         0x7,    0xf,    0xfff8, 0xffff, 0xe078, 0xe080 };
    static const unsigned long places[] = { 0x8000000000000000, 0x800000000000, 0xffff7fffffffffff,
                                            0xffff830000000000, 0x1000,         0x7ffffffffffe };
    static void (*const how[])(void) = { load_ds, load_gs, load_ss, far_return, iret_ss };
    unsigned int n = 0;

    for (unsigned int i = 0; i < sizeof(some) / sizeof(some[0]); i++) {
        selector = some[i];
        where = ARG(ud2);
        for (unsigned int k = 0; k < sizeof(how) / sizeof(how[0]); k++, n++) {
            caught(how[k]);
        }
        selector = some[i] & ~3U; /* else it would be a return to user mode */
        caught(iret_cs);
        hypercall2(__HYPERVISOR_set_segment_base, SEGBASE_GS_USER_SEL, some[i]);
    }
    selector = 0xe030;
    for (unsigned int i = 0; i < sizeof(places) / sizeof(places[0]); i++, n++) {
        where = places[i];
        caught(iret_cs);
        for (unsigned int which = 0; which < 3; which++) {
            hypercall2(__HYPERVISOR_set_segment_base, which, places[i]);
        }
    }
    for (unsigned int which = 0; which < 3; which++) {
        hypercall2(__HYPERVISOR_set_segment_base, which, 0);
    }
    selector = 0;
    caught(load_ds);
    caught(load_gs);
    printf("attack: %u selectors and places\n", n);
    return NULL;
}

/* ---- flags ---- */

static volatile unsigned long flags;

static void with_flags(void)
{
    asm volatile("pushfq; or %0, (%%rsp); popfq; ud2" ::"r"(flags));
}

static void int3_with_flags(void)
{
    asm volatile("pushfq; or %0, (%%rsp); popfq; int3" ::"r"(flags));
}

static void hypercall_with_flags(void)
{
    asm volatile("pushfq; or %0, (%%rsp); popfq\n"
                 "mov $17, %%eax; xor %%edi, %%edi; syscall; ud2" ::"r"(flags)
                 : "rax", "rcx", "rdi", "r11");
}

static void fault_with_flags(void)
{
    asm volatile("pushfq; or %0, (%%rsp); popfq; mov 0x10, %%rax" ::"r"(flags) : "rax");
}

/* Long enough for interrupts to come. */
static void spin_with_flags(void)
{
    asm volatile("pushfq; or %0, (%%rsp); popfq\n"
                 "mov $30000000, %%ecx; 1: dec %%ecx; jnz 1b; ud2" ::"r"(flags)
                 : "rcx");
}

const char *attack_flags(void)
{
    static const unsigned long some[] = { FLAG_AC, FLAG_DF, FLAG_NT, FLAG_TF,
                                          FLAG_AC | FLAG_DF | FLAG_NT | 0x200000 };
    static void (*const how[])(void) = { with_flags, int3_with_flags, hypercall_with_flags,
                                         fault_with_flags };

    for (unsigned int i = 0; i < sizeof(some) / sizeof(some[0]); i++) {
        flags = some[i];
        for (unsigned int k = 0; k < sizeof(how) / sizeof(how[0]); k++) {
            if (caught(how[k]) == NOTHING_CAUGHT) {
                return "a trap was lost";
            }
        }
        if (!(flags & FLAG_TF)) {
            timer_periodic(0, MS);
            caught(spin_with_flags);
            timer_periodic(0, 0);
        }
    }
    return NULL;
}

/* ---- breakpoints ---- */

static struct sched_poll watched;
static uint64_t buffer[16];

static long set_debugreg(unsigned int reg, unsigned long value)
{
    return hypercall2(__HYPERVISOR_set_debugreg, reg, value);
}

/* We must not touch it ourselves, or the #DB is here. */
static void read_watched(void)
{
    sched_op(SCHEDOP_poll, &watched);
    xen_version(XENVER_extraversion, buffer);
}

/* The #DB of the load into ss waits for the next instruction to end, which is in ring 0 then. */
static void ss_then_syscall(void)
{
    static const unsigned long ss = FLAT_KERNEL_SS;

    set_debugreg(0, ARG(&ss));
    asm volatile("mov $17, %%eax; xor %%edi, %%edi; mov %0, %%ss; syscall" ::"m"(ss)
                 : "rax", "rcx", "rdi", "r11");
    asm volatile("mov %0, %%ss; int3" ::"m"(ss));
}

/* Where else the #DB goes than to us is not checked: only that the machine lives. */
const char *attack_watch(void)
{
    refused("breakpoint in the hypervisor", set_debugreg(0, 0xffff82d040200000UL));
    refused("breakpoint in the M2P", set_debugreg(1, 0xffff800000000000UL));
    refused("breakpoint, not canonical", set_debugreg(2, 0x800000000000UL));
    refused("debug register 8", set_debugreg(8, 0));
    refused("DR7 above 32 bits", set_debugreg(7, 1UL << 32));
    watched.timeout = 1;
    for (unsigned int rw = 0; rw < 4; rw++) {
        set_debugreg(0, ARG(&watched.timeout));
        set_debugreg(1, ARG(buffer));
        set_debugreg(7, 0xf | (rw | 12) << 16 | (rw | 12) << 20);
        caught(read_watched);
        caught(ss_then_syscall);
    }
    for (unsigned int reg = 0; reg < 4; reg++) {
        set_debugreg(reg, 0);
    }
    return set_debugreg(7, 0) == 0 ? verdict() : "DR7 can't be cleared";
}
