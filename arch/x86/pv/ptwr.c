/* SPDX-License-Identifier: MIT */
/*
 * A guest's kernel writes to an L1 table of its own that it has mapped read-only: the store is
 * emulated, and the entry that comes of it is checked like one of mmu_update. Kernels rely on that
 * for atomic changes of entries. Locks: the domain's mmu_lock.
 */
#include <tarn/domain.h>
#include <tarn/guest_access.h>
#include <tarn/lib.h>
#include <tarn/pcpu.h>
#include <tarn/trace.h>
#include <x86/decode.h>
#include <x86/frames.h>
#include <x86/pv.h>

static u64 source(struct vcpu *v, const struct store_insn *in)
{
    u64 value = in->has_imm ? in->imm : *guest_gpr(&v->arch.regs, in->reg);

    return in->high ? value >> 8 : value;
}

/* The whole entry when `bytes` of it, from `offset` on, become `value`. */
static u64 merge(u64 entry, u64 value, u32 offset, u32 bytes)
{
    u64 mask = (bytes == 8 ? ~0UL : (1UL << (8 * bytes)) - 1) << (8 * offset);

    return (entry & ~mask) | ((value << (8 * offset)) & mask);
}

/* XCHG and XADD give the old value back; a second byte register (ah...) is not worth it. */
static bool write_entry(struct vcpu *v, mfn_t table, u64 addr, const struct store_insn *in)
{
    struct cpu_user_regs *r = &v->arch.regs;
    u32 index = (u32)(addr % PAGE_SIZE) / 8, offset = (u32)addr % 8;
    u64 *reg = guest_gpr(r, in->reg), entry = READ_ONCE(((u64 *)mfn_to_virt(table))[index]);
    u64 rax = r->rax, old_reg = *reg, rflags = r->rflags, value;

    if (offset + in->bytes > 8 || (in->high && in->op != STORE_MOV)) {
        return false;
    }
    value = store_result(in, entry >> (8 * offset), source(v, in), &rax, &old_reg, &rflags);
    if (table_set_entry(table, index, merge(entry, value, offset, in->bytes), v->domain, v->domain,
                        false)) {
        return false;
    }
    if (in->op == STORE_CMPXCHG) {
        r->rax = rax;
    } else if (!in->has_imm) {
        *reg = old_reg;
    }
    r->rflags = rflags;
    r->rip += in->length;
    r->entry_vector = 0;
    return true;
}

/* The L1 table that addr shows, read-only; false when it shows something else. A reference is
 * taken. */
static bool table_at(struct vcpu *v, u64 addr, mfn_t *table)
{
    u64 e;

    if (guest_l1e(addr, &e) || (e & (PTE_P | PTE_W)) != PTE_P) {
        return false;
    }
    *table = paddr_to_mfn(e & PTE_ADDR);
    return frame_get(*table, v->domain) == 0;
}

bool emulate_pt_write(struct vcpu *v, u64 addr, u32 error)
{
    struct store_insn in;
    u8 code[MAX_INSN];
    mfn_t table;
    bool done = false;

    if (!guest_kernel_mode(v) || (error & (PF_PRESENT | PF_WRITE)) != (PF_PRESENT | PF_WRITE)) {
        return false;
    }
    if (!decode_store(code, guest_fetch(v->arch.regs.rip, code), &in)) {
        return false;
    }
    mmu_lock(v->domain);
    if (table_at(v, addr, &table)) {
        done = table_level(mfn_to_frame(table)) == 1 && write_entry(v, table, addr, &in);
        frame_put(table);
    }
    mmu_unlock(v->domain);
    return done;
}

void trace_pt_write(u64 rip, u64 addr)
{
    u64 e, entry = 0;

    /* Another vcpu may have mapped a device there by now. */
    if (!guest_l1e(addr, &e) && (e & PTE_P) && mfn_valid(paddr_to_mfn(e & PTE_ADDR))) {
        entry = ((u64 *)mfn_to_virt(paddr_to_mfn(e & PTE_ADDR)))[addr % PAGE_SIZE / 8];
    }
    trace_wide(TRC_PV_PTWR_EMULATION | TRC_64_FLAG, 6, entry, addr, rip);
}
