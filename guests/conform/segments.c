/* SPDX-License-Identifier: MIT */
/* segments.c - descriptor tables, segment bases, kernel stack, FPU task switch. */
#include "conform.h"

#define CODE64 0x00af9b000000ffffUL
#define DATA 0x00cf93000000ffffUL
#define NOT_HERE 0x00cf13000000ffffUL
#define TSS 0x00008b0000000067UL
#define GATE 0x0000ee000008ffffUL

static long set_gdt(const unsigned long *frames, unsigned int entries)
{
    return hypercall2(__HYPERVISOR_set_gdt, ARG(frames), entries);
}

static long update_descriptor(uint64_t at, uint64_t descriptor)
{
    return hypercall2(__HYPERVISOR_update_descriptor, at, descriptor);
}

static void map_scratch(unsigned long flags)
{
    update_va_mapping(scratch_page, virt_to_mfn(scratch_page) * PAGE_SIZE | flags, UVMF_INVLPG);
}

static void check_gdt(void)
{
    static unsigned long frames[15];
    uint64_t at = virt_to_mfn(scratch_page) * PAGE_SIZE;

    page_fill(scratch_page, 0);
    frames[0] = virt_to_mfn(scratch_page);
    result("gdt.none", set_gdt(frames, 0));
    result("gdt.writable", set_gdt(frames, 512));
    map_scratch(0x21);
    result("gdt.read_only", set_gdt(frames, 512));
    result("gdt.made_writable", update_va_mapping(scratch_page, at | 0x63, UVMF_INVLPG));
    result("gdt.update.data", update_descriptor(at + 8, DATA));
    result_hex("gdt.update.data.reads", words_of(scratch_page)[1]);
    result("gdt.update.code64", update_descriptor(at + 16, CODE64));
    result_hex("gdt.update.code64.reads", words_of(scratch_page)[2]);
    result("gdt.update.not_present", update_descriptor(at + 24, NOT_HERE));
    result("gdt.update.tss", update_descriptor(at + 32, TSS));
    result("gdt.update.gate", update_descriptor(at + 32, GATE));
    result("gdt.update.zero", update_descriptor(at + 8, 0));
    result("gdt.update.unaligned", update_descriptor(at + 4, DATA));
    result("gdt.too_many", set_gdt(frames, FIRST_RESERVED_GDT_ENTRY + 1));
    result("gdt.bad", set_gdt(BAD_POINTER, 512));
    frames[0] = 0xfffffff;
    result("gdt.no_frame", set_gdt(frames, 512));
    result("gdt.none_again", set_gdt(frames, 0));
    map_scratch(0x63);
    result("gdt.update.data_page", update_descriptor(at, DATA));
    result("gdt.update.no_frame", update_descriptor(0xfffffff000UL, DATA));
    result("gdt.update.table", update_descriptor(l1e_maddr(other_page), DATA));
}

static unsigned long read_fs(void)
{
    unsigned long value;

    asm volatile("mov %%fs:0, %0" : "=r"(value));
    return value;
}

static unsigned long read_gs(void)
{
    unsigned long value;

    asm volatile("mov %%gs:0, %0" : "=r"(value));
    return value;
}

static long segment_base(unsigned int which, unsigned long base)
{
    return hypercall2(__HYPERVISOR_set_segment_base, which, base);
}

static void check_bases(void)
{
    words_of(scratch_page)[0] = 0x1111;
    words_of(other_page)[0] = 0x2222;
    result("base.fs", segment_base(SEGBASE_FS, ARG(scratch_page)));
    result_hex("base.fs.reads", read_fs());
    result("base.gs_kernel", segment_base(SEGBASE_GS_KERNEL, ARG(other_page)));
    result_hex("base.gs_kernel.reads", read_gs());
    result("base.gs_user", segment_base(SEGBASE_GS_USER, ARG(scratch_page)));
    result_hex("base.gs_user.reads_kernel", read_gs());
    sched_op(SCHEDOP_yield, NULL);
    clock_sleep(MS);
    result_hex("base.fs.after_switch", read_fs());
    result_hex("base.gs.after_switch", read_gs());
    result("base.gs_user_sel", segment_base(SEGBASE_GS_USER_SEL, 0));
    result("base.gs_user_sel.bad", segment_base(SEGBASE_GS_USER_SEL, 0xfff8));
    result("base.unknown", segment_base(4, 0));
    result("base.fs.wrong", segment_base(SEGBASE_FS, ARG(WRONG_POINTER)));
    result("base.gs_kernel.wrong", segment_base(SEGBASE_GS_KERNEL, ARG(WRONG_POINTER)));
    result("base.gs_user.wrong", segment_base(SEGBASE_GS_USER, ARG(WRONG_POINTER)));
    segment_base(SEGBASE_FS, 0);
    segment_base(SEGBASE_GS_KERNEL, 0);
}

static void check_stack(void)
{
    unsigned long top = ARG(guest_stacks) + STACK_SIZE;

    result("stack_switch", hypercall2(__HYPERVISOR_stack_switch, FLAT_KERNEL_SS, top));
    result("stack_switch.ring0_ss", hypercall2(__HYPERVISOR_stack_switch, 0xe028, top));
    result("stack_switch.null_ss", hypercall2(__HYPERVISOR_stack_switch, 0, top));
    result("fpu_taskswitch.1", hypercall2(__HYPERVISOR_fpu_taskswitch, 1, 0));
    result("fpu_taskswitch.0", hypercall2(__HYPERVISOR_fpu_taskswitch, 0, 0));
    result("fpu_taskswitch.2", hypercall2(__HYPERVISOR_fpu_taskswitch, 2, 0));
    hypercall2(__HYPERVISOR_fpu_taskswitch, 0, 0);
}

void check_segments(void)
{
    check_gdt();
    check_bases();
    check_stack();
}
