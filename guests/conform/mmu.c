/* SPDX-License-Identifier: MIT */
/*
 * mmu.c - update_va_mapping, mmu_update and mmuext_op: what is allowed on the
 * tables that the domain was given, and what must be refused. Entries are put
 * back, so that each case starts from the same tables.
 */
#include "conform.h"

#define PTE_NX (1UL << 63)
#define READ_ONLY 0x21UL
#define WRITABLE 0x63UL

static uint64_t entry_of(const volatile void *va)
{
    uint64_t *l1 = page_table(1, va);

    return l1[(ARG(va) / PAGE_SIZE) & 511];
}

/* What an entry has beside the frame: flags, and the bits above the address. */
static unsigned long flags_of(const volatile void *va)
{
    return entry_of(va) & ~0x000ffffffffff000UL;
}

static uint64_t pte(unsigned long mfn, unsigned long flags)
{
    return mfn * PAGE_SIZE | flags;
}

static void put_back(void)
{
    update_va_mapping(scratch_page, pte(virt_to_mfn(scratch_page), WRITABLE), UVMF_INVLPG);
}

static void check_uvm(void)
{
    unsigned long own = virt_to_mfn(scratch_page), other = virt_to_mfn(other_page);
    unsigned long table = virt_to_mfn(page_table(1, scratch_page));

    result("uvm.other_frame", update_va_mapping(scratch_page, pte(other, WRITABLE), UVMF_INVLPG));
    other_page[0] = 42;
    result("uvm.other_frame.reads", scratch_page[0]);
    result_hex("uvm.other_frame.flags", flags_of(scratch_page) & ~0x60UL);
    result("uvm.read_only", update_va_mapping(scratch_page, pte(own, READ_ONLY), UVMF_INVLPG));
    result_hex("uvm.read_only.flags", flags_of(scratch_page) & ~0x60UL);
    result("uvm.nx", update_va_mapping(scratch_page, pte(own, WRITABLE) | PTE_NX, UVMF_INVLPG));
    result_hex("uvm.nx.flags", flags_of(scratch_page) & ~0x60UL);
    result("uvm.not_present", update_va_mapping(scratch_page, 0, UVMF_INVLPG));
    result_hex("uvm.not_present.entry", entry_of(scratch_page));
    result("uvm.not_present_junk", update_va_mapping(scratch_page, ~1UL, UVMF_INVLPG));
    put_back();
    result("uvm.flush_local",
           update_va_mapping(scratch_page, pte(own, WRITABLE), UVMF_TLB_FLUSH | UVMF_LOCAL));
    result("uvm.flush_all",
           update_va_mapping(scratch_page, pte(own, WRITABLE), UVMF_TLB_FLUSH | UVMF_ALL));
    result("uvm.invlpg_all",
           update_va_mapping(scratch_page, pte(own, WRITABLE), UVMF_INVLPG | UVMF_ALL));
    result("uvm.bad_flags", update_va_mapping(scratch_page, pte(own, WRITABLE), 3));
    result("uvm.table_writable",
           update_va_mapping(scratch_page, pte(table, WRITABLE), UVMF_INVLPG));
    result("uvm.table_read_only",
           update_va_mapping(scratch_page, pte(table, READ_ONLY), UVMF_INVLPG));
    put_back();
    result("uvm.no_frame", update_va_mapping(scratch_page, pte(0xfffffff, WRITABLE), UVMF_INVLPG));
    result("uvm.reserved_bits",
           update_va_mapping(scratch_page, pte(own, WRITABLE) | 1UL << 51, UVMF_INVLPG));
    result("uvm.pat_bit", update_va_mapping(scratch_page, pte(own, WRITABLE | 0x80), UVMF_INVLPG));
    put_back();
    result("uvm.global", update_va_mapping(scratch_page, pte(own, WRITABLE | 0x100), UVMF_INVLPG));
    result_hex("uvm.global.flags", flags_of(scratch_page) & ~0x60UL);
    result("uvm.avail", update_va_mapping(scratch_page, pte(own, WRITABLE | 0x600), UVMF_INVLPG));
    result_hex("uvm.avail.flags", flags_of(scratch_page) & ~0x60UL);
    put_back();
    result("uvm.no_l1", update_va_mapping((void *)0x10000000000, pte(own, WRITABLE), 0));
    result("uvm.xen_va", update_va_mapping(XEN_POINTER, pte(own, WRITABLE), 0));
    result("uvm.m2p_va", update_va_mapping(machine_to_phys_mapping, pte(own, WRITABLE), 0));
    result("uvm.wrong_va", update_va_mapping(WRONG_POINTER, pte(own, WRITABLE), 0));
    result("uvm.other_domain", hypercall(__HYPERVISOR_update_va_mapping_otherdomain,
                                         ARG(scratch_page), pte(own, WRITABLE), 0, 99, 0));
}

static long update(uint64_t ptr, uint64_t val)
{
    struct mmu_update op = { ptr, val };

    return mmu_update(&op, 1, NULL, DOMID_SELF);
}

static void check_update_l1(void)
{
    uint64_t at = l1e_maddr(scratch_page);
    uint64_t good = pte(virt_to_mfn(scratch_page), WRITABLE);
    unsigned long table = virt_to_mfn(page_table(1, scratch_page));

    result("mmu.l1", update(at, pte(virt_to_mfn(other_page), READ_ONLY)));
    result_hex("mmu.l1.flags", flags_of(scratch_page) & ~0x60UL);
    result("mmu.l1.preserve_ad", update(at | MMU_PT_UPDATE_PRESERVE_AD, good & ~0x60UL));
    result("mmu.l1.no_translate", update(at | MMU_PT_UPDATE_NO_TRANSLATE, good));
    result("mmu.l1.clear", update(at, 0));
    result("mmu.l1.again", update(at, good));
    result("mmu.l1.table_writable", update(at, pte(table, WRITABLE)));
    result("mmu.l1.no_frame", update(at, pte(0xfffffff, WRITABLE)));
    result("mmu.l1.reserved_bits", update(at, good | 1UL << 51));
    result("mmu.l1.unaligned", update(at + 4, good));
    result("mmu.no_such_table", update(0xfffffff000UL * 16, good));
    result("mmu.data_page", update(virt_to_mfn(other_page) * PAGE_SIZE + 8, 4711));
    result("mmu.data_page.value", (long)words_of(other_page)[1]);
    put_back();
}

static void check_update_upper(void)
{
    uint64_t l4 = virt_to_mfn(page_table(4, scratch_page)) * PAGE_SIZE;
    uint64_t l2 = virt_to_mfn(page_table(2, scratch_page)) * PAGE_SIZE;
    uint64_t own = pte(virt_to_mfn(scratch_page), WRITABLE);
    uint64_t l1_frame = pte(virt_to_mfn(page_table(1, scratch_page)), 0x67);
    uint64_t l1_again = l2 + 8 * (((ARG(scratch_page) >> 21) & 511));

    result("mmu.l4.xen_slot", update(l4 + 8 * 256, 0));
    result("mmu.l4.xen_slot_262", update(l4 + 8 * 262, own));
    result("mmu.l4.writable_page", update(l4 + 8, own));
    result("mmu.l4.l1_as_l3", update(l4 + 8, l1_frame));
    result("mmu.l4.clear_empty", update(l4 + 8, 0));
    result("mmu.l2.writable_page", update(l2 + 8 * 100, own));
    result("mmu.l2.same", update(l1_again, l1_frame));
    result("mmu.l2.second_l1", update(l2 + 8 * 100, l1_frame));
    result("mmu.l2.clear", update(l2 + 8 * 100, 0));
    result("mmu.l2.superpage", update(l2 + 8 * 100, 0xe7));
}

static void check_update_errors(void)
{
    struct mmu_update ops[2];
    uint64_t good = pte(virt_to_mfn(scratch_page), WRITABLE);
    unsigned int done = 99;
    uint64_t frame = virt_to_mfn(other_page) * PAGE_SIZE;

    ops[0] = (struct mmu_update){ l1e_maddr(scratch_page), good };
    ops[1] = (struct mmu_update){ l1e_maddr(scratch_page), pte(0xfffffff, WRITABLE) };
    result("mmu.batch.second_bad", mmu_update(ops, 2, &done, DOMID_SELF));
    result("mmu.batch.second_bad.done", done);
    ops[1] = ops[0];
    result("mmu.batch", mmu_update(ops, 2, &done, DOMID_SELF));
    result("mmu.batch.done", done);
    done = 99;
    result("mmu.none", mmu_update(ops, 0, &done, DOMID_SELF));
    result("mmu.none.done", done);
    result("mmu.bad", mmu_update(BAD_POINTER, 1, NULL, DOMID_SELF));
    result("mmu.xen", mmu_update(XEN_POINTER, 1, NULL, DOMID_SELF));
    result("mmu.bad_done", mmu_update(ops, 1, BAD_POINTER, DOMID_SELF));
    result("mmu.no_domain", mmu_update(ops, 1, NULL, 99));
    result("mmu.no_table_domain", mmu_update(ops, 1, NULL, DOMID_SELF | 100U << 16));
    result("mmu.machphys", update(frame | MMU_MACHPHYS_UPDATE, virt_to_pfn(other_page)));
    result("mmu.machphys.changed", update(frame | MMU_MACHPHYS_UPDATE, 0x1234));
    result_hex("mmu.machphys.changed.m2p", machine_to_phys_mapping[frame / PAGE_SIZE]);
    update(frame | MMU_MACHPHYS_UPDATE, virt_to_pfn(other_page));
    result("mmu.machphys.no_frame", update(0xfffffff000UL * 16 | MMU_MACHPHYS_UPDATE, 1));
}

static long ext(unsigned int cmd, unsigned long arg1, unsigned long arg2)
{
    struct mmuext_op op = { .cmd = cmd };

    op.arg1.mfn = arg1;
    op.arg2.src_mfn = arg2;
    return mmuext_op(&op, 1, NULL, DOMID_SELF);
}

static void check_ext_flush(void)
{
    static unsigned long mask = 3;

    result("mmuext.flush_local", ext(MMUEXT_TLB_FLUSH_LOCAL, 0, 0));
    result("mmuext.invlpg_local", ext(MMUEXT_INVLPG_LOCAL, ARG(scratch_page), 0));
    result("mmuext.flush_all", ext(MMUEXT_TLB_FLUSH_ALL, 0, 0));
    result("mmuext.invlpg_all", ext(MMUEXT_INVLPG_ALL, ARG(scratch_page), 0));
    result("mmuext.flush_multi", ext(MMUEXT_TLB_FLUSH_MULTI, 0, ARG(&mask)));
    result("mmuext.invlpg_multi", ext(MMUEXT_INVLPG_MULTI, ARG(scratch_page), ARG(&mask)));
    result("mmuext.flush_multi.bad", ext(MMUEXT_TLB_FLUSH_MULTI, 0, ARG(BAD_POINTER)));
    result("mmuext.invlpg_local.xen", ext(MMUEXT_INVLPG_LOCAL, ARG(XEN_POINTER), 0));
}

static void check_ext_pages(void)
{
    unsigned long own = virt_to_mfn(scratch_page), other = virt_to_mfn(other_page);
    unsigned long table = virt_to_mfn(page_table(1, scratch_page));

    page_fill(scratch_page, ~0UL);
    result("mmuext.clear_page", ext(MMUEXT_CLEAR_PAGE, own, 0));
    result("mmuext.clear_page.value", scratch_page[4095]);
    other_page[5] = 55;
    result("mmuext.copy_page", ext(MMUEXT_COPY_PAGE, own, other));
    result("mmuext.copy_page.value", scratch_page[5]);
    result("mmuext.clear_page.table", ext(MMUEXT_CLEAR_PAGE, table, 0));
    result("mmuext.clear_page.no_frame", ext(MMUEXT_CLEAR_PAGE, 0xfffffff, 0));
    result("mmuext.copy_page.no_frame", ext(MMUEXT_COPY_PAGE, own, 0xfffffff));
}

static void check_ext_pin(void)
{
    unsigned long own = virt_to_mfn(scratch_page);
    unsigned long l4 = virt_to_mfn(page_table(4, scratch_page));

    page_fill(scratch_page, 0);
    result("mmuext.pin_l1.writable", ext(MMUEXT_PIN_L1_TABLE, own, 0));
    update_va_mapping(scratch_page, pte(own, READ_ONLY), UVMF_INVLPG);
    result("mmuext.pin_l1", ext(MMUEXT_PIN_L1_TABLE, own, 0));
    result("mmuext.pin_l1.again", ext(MMUEXT_PIN_L1_TABLE, own, 0));
    result("mmuext.pin_l2.pinned_l1", ext(MMUEXT_PIN_L2_TABLE, own, 0));
    result("mmuext.pin_l1.entry", update(own * PAGE_SIZE, pte(virt_to_mfn(other_page), READ_ONLY)));
    result_hex("mmuext.pin_l1.entry.flags", words_of(scratch_page)[0] & 0xfff);
    result("mmuext.pin_l1.made_writable",
           update_va_mapping(scratch_page, pte(own, WRITABLE), UVMF_INVLPG));
    result("mmuext.unpin", ext(MMUEXT_UNPIN_TABLE, own, 0));
    result("mmuext.unpin.again", ext(MMUEXT_UNPIN_TABLE, own, 0));
    put_back();
    result("mmuext.pin_l4.current", ext(MMUEXT_PIN_L4_TABLE, l4, 0));
    result("mmuext.pin_l4.no_frame", ext(MMUEXT_PIN_L4_TABLE, 0xfffffff, 0));
    result("mmuext.unpin.not_pinned", ext(MMUEXT_UNPIN_TABLE, own, 0));
    result("mmuext.unpin.no_frame", ext(MMUEXT_UNPIN_TABLE, 0xfffffff, 0));
    result("mmuext.new_baseptr.same", ext(MMUEXT_NEW_BASEPTR, l4, 0));
    result("mmuext.new_baseptr.data", ext(MMUEXT_NEW_BASEPTR, own, 0));
    result("mmuext.new_baseptr.no_frame", ext(MMUEXT_NEW_BASEPTR, 0xfffffff, 0));
    result("mmuext.new_user_baseptr", ext(MMUEXT_NEW_USER_BASEPTR, l4, 0));
    result("mmuext.new_user_baseptr.data", ext(MMUEXT_NEW_USER_BASEPTR, own, 0));
    result("mmuext.new_user_baseptr.none", ext(MMUEXT_NEW_USER_BASEPTR, 0, 0));
}

static void check_ext_errors(void)
{
    struct mmuext_op ops[2] = { { .cmd = MMUEXT_TLB_FLUSH_LOCAL }, { .cmd = 99 } };
    unsigned int done = 99;

    result("mmuext.set_ldt.none", ext(MMUEXT_SET_LDT, 0, 0));
    result("mmuext.set_ldt.unaligned", ext(MMUEXT_SET_LDT, ARG(scratch_page) + 8, 1));
    result("mmuext.set_ldt.too_many", ext(MMUEXT_SET_LDT, ARG(scratch_page), 8193));
    result("mmuext.mark_super", ext(MMUEXT_MARK_SUPER, 0, 0));
    result("mmuext.unknown.14", ext(14, 0, 0));
    result("mmuext.unknown.21", ext(21, 0, 0));
    result("mmuext.unknown.max", ext(0xffffffff, 0, 0));
    result("mmuext.batch.second_bad", mmuext_op(ops, 2, &done, DOMID_SELF));
    result("mmuext.batch.second_bad.done", done);
    result("mmuext.none", mmuext_op(ops, 0, &done, DOMID_SELF));
    result("mmuext.bad", mmuext_op(BAD_POINTER, 1, NULL, DOMID_SELF));
    result("mmuext.no_domain", mmuext_op(ops, 1, NULL, 99));
}

void check_mmu(void)
{
    check_uvm();
    check_update_l1();
    check_update_upper();
    check_update_errors();
    check_ext_flush();
    check_ext_pages();
    check_ext_pin();
    check_ext_errors();
}
