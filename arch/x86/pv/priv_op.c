/* SPDX-License-Identifier: MIT */
/*
 * Instructions that ring 3 may not run, and that a guest's kernel expects to work all the same:
 * control and debug registers, MSRs, ports, flags. They come as #GP with error code 0. What isn't
 * emulated goes to the guest's own #GP handler. A guest's virtual machine has no devices but the
 * control domain's ports.
 */
#include <tarn/console.h>
#include <tarn/domain.h>
#include <tarn/errno.h>
#include <tarn/guest_access.h>
#include <tarn/hypercall.h>
#include <tarn/options.h>
#include <tarn/pcpu.h>
#include <tarn/trace.h>
#include <x86/asm.h>
#include <x86/cpuid_guest.h>
#include <x86/cpufeature.h>
#include <x86/decode.h>
#include <x86/layout.h>
#include <x86/msr.h>
#include <x86/pv.h>
#include <xen/physdev.h>

/* Units that INS and OUTS move before the guest has its turn again */
#define STRING_IO_MAX 64

enum emulated {
    EMULATED_NOT,  /* the guest's #GP */
    EMULATED,      /* past it */
    EMULATED_PART, /* rip stays, or is a fault handler's */
};

u64 *guest_gpr(struct cpu_user_regs *r, u32 n)
{
    u64 *const regs[16] = {
        &r->rax, &r->rcx, &r->rdx, &r->rbx, &r->rsp, &r->rbp, &r->rsi, &r->rdi,
        &r->r8,  &r->r9,  &r->r10, &r->r11, &r->r12, &r->r13, &r->r14, &r->r15
    };

    return regs[n & 15];
}

static bool read_cr(struct vcpu *v, u32 cr, u64 *value)
{
    switch (cr) {
    case 0:
        *value = v->arch.ctrlreg0;
        return true;
    case 2:
        *value = v->info->arch.cr2;
        return true;
    case 3:
        *value = mfn_to_paddr(v->arch.guest_l4);
        return true;
    case 4:
        *value = v->arch.ctrlreg4;
        return true;
    default:
        return false;
    }
}

/* CR0: only TS may change. CR4 keeps its value: what a guest may choose there changes nothing for
 * it. */
static bool write_cr(struct vcpu *v, u32 cr, u64 value)
{
    switch (cr) {
    case 0:
        if ((value ^ v->arch.ctrlreg0) & ~CR0_TS) {
            return true; /* ignored, as on Xen */
        }
        (void)do_fpu_taskswitch((value & CR0_TS) != 0);
        return true;
    case 2:
        v->info->arch.cr2 = value;
        return true;
    case 3: {
        struct mmuext_op op = { .cmd = MMUEXT_NEW_BASEPTR, .arg1.mfn = xen_cr3_to_pfn(value) };

        return mmuext_one(v->domain, &op) == 0;
    }
    case 4:
        return true;
    default:
        return false;
    }
}

static bool read_msr(struct vcpu *v, u32 msr, u64 *value)
{
    switch (msr) {
    case MSR_FS_BASE:
        *value = seg_read_fs_base();
        return true;
    case MSR_GS_BASE:
        *value = seg_read_gs_base();
        return true;
    case MSR_KERNEL_GS_BASE:
        *value = v->arch.gs_base_user;
        return true;
    case MSR_EFER:
        *value = rdmsr(MSR_EFER);
        return true;
    case MSR_TSC:
        *value = rdtsc();
        return true;
    case MSR_PAT:
        *value = 0x050100070406UL; /* the ABI's, in the order of Xen */
        return true;
    case MSR_APIC_BASE:
    case MSR_MISC_ENABLE:
    case MSR_UCODE_REV:
    case MSR_MTRR_CAP:
    case MSR_MCG_CAP: /* no machine-check banks */
    case MSR_MCG_STATUS:
    case MSR_TSC_AUX:
        *value = 0;
        return true;
    default:
        return false;
    }
}

static bool write_msr(struct vcpu *v, u32 msr, u64 value)
{
    switch (msr) {
    case MSR_FS_BASE:
    case MSR_GS_BASE:
    case MSR_KERNEL_GS_BASE:
        if (!is_canonical(value)) {
            return false;
        }
        if (msr == MSR_FS_BASE) {
            seg_write_fs_base(value);
        } else if (msr == MSR_GS_BASE) {
            seg_write_gs_base(value);
        } else {
            v->arch.gs_base_user = value;
        }
        return true;
    case MSR_EFER:
    case MSR_PAT:
    case MSR_APIC_BASE:
    case MSR_MISC_ENABLE:
    case MSR_UCODE_REV:
    case MSR_TSC_AUX:
    case MSR_MCG_STATUS:
        return true; /* dropped */
    default:
        return false;
    }
}

static bool io_allowed(const struct vcpu *v)
{
    /* The I/O privilege level is virtual: 1 is the guest's kernel. */
    return v->arch.iopl >= (guest_kernel_mode(v) ? 1 : 3);
}

/* Ports that we use ourselves: PICs, PIT, the serial line. */
static bool hypervisor_port(u16 port)
{
    return port == 0x20 || port == 0x21 || port == 0xa0 || port == 0xa1 ||
           (port >= 0x40 && port <= 0x43) ||
           (opt.console_com1 && port >= opt.com1_port && port < opt.com1_port + 8);
}

/* They stay ours, even for the control domain. */
static bool port_is_real(const struct vcpu *v, u16 port)
{
    return v->domain->privileged && !hypervisor_port(port);
}

static u32 port_in(u16 port, u32 bytes)
{
    return bytes == 1 ? inb(port) : bytes == 2 ? inw(port) : inl(port);
}

static void port_out(u16 port, u32 bytes, u32 value)
{
    if (bytes == 1) {
        outb(port, (u8)value);
    } else if (bytes == 2) {
        outw(port, (u16)value);
    } else {
        outl(port, value);
    }
}

static void emulate_in(struct vcpu *v, u16 port, u32 bytes)
{
    u32 value = port_is_real(v, port) ? port_in(port, bytes) : ~0u;
    u64 *rax = &v->arch.regs.rax;

    if (bytes == 4) {
        *rax = value;
    } else {
        u64 mask = (1UL << 8 * bytes) - 1;

        *rax = (*rax & ~mask) | (value & mask);
    }
}

static bool emulate_io(struct vcpu *v, const struct insn *in)
{
    u16 port = in->op == INSN_IN_IMM || in->op == INSN_OUT_IMM ? in->imm : (u16)v->arch.regs.rdx;

    if (!io_allowed(v)) {
        return false;
    }
    if (in->op == INSN_IN_IMM || in->op == INSN_IN_DX) {
        emulate_in(v, port, in->bytes);
    } else if (port_is_real(v, port)) {
        port_out(port, in->bytes, (u32)v->arch.regs.rax);
    }
    return true;
}

static bool page_present(u64 va)
{
    u64 e;

    return guest_l1e(va, &e) == 0 && (e & PTE_P);
}

/* Memory at `va`, up to `len` bytes from there, could not be accessed: CR2 tells where. */
static void io_page_fault(struct vcpu *v, u64 va, u32 len, bool write)
{
    u64 at = read_cr2();
    u32 error = (write ? PF_WRITE : 0) | (guest_kernel_mode(v) ? 0 : PF_USER);

    if (!guest_range_ok(va, len) || at - va >= len) {
        at = va; /* our part of the address space: we didn't even try */
    }
    inject_page_fault(v, at, error | (page_present(at) ? PF_PRESENT : 0));
}

/* One unit of INS or OUTS; false: a fault of its memory. What INS takes from the port can't be put
 * back, so its memory is tried before. */
static bool io_unit(struct vcpu *v, const struct insn *in, u16 port, u64 va)
{
    u32 value = 0;

    if (in->op == INSN_OUTS) {
        if (copy_from_guest(&value, va, in->bytes)) {
            return false;
        }
        if (port_is_real(v, port)) {
            port_out(port, in->bytes, value);
        }
        return true;
    }
    if (copy_to_guest(va, &value, in->bytes)) {
        return false;
    }
    value = port_is_real(v, port) ? port_in(port, in->bytes) : ~0u;
    return copy_to_guest(va, &value, in->bytes) == 0;
}

static u64 string_reg(u64 value, const struct insn *in)
{
    return in->addr32 ? (u32)value : value;
}

/*
 * INS and OUTS. With REP, so many units at a time: then, and after a fault, the registers tell how
 * far it came, rip stays, and the guest comes again, as with the CPU's own.
 */
static enum emulated emulate_string_io(struct vcpu *v, const struct insn *in)
{
    struct cpu_user_regs *r = &v->arch.regs;
    u64 *index = in->op == INSN_INS ? &r->rdi : &r->rsi;
    u64 step = r->rflags & X86_DF ? -(u64)in->bytes : in->bytes;

    if (!io_allowed(v)) {
        return EMULATED_NOT;
    }
    for (u32 n = 0; !in->rep || string_reg(r->rcx, in); n++) {
        u64 va = string_reg(*index, in);

        if (n == STRING_IO_MAX) {
            return EMULATED_PART;
        }
        if (!is_canonical(va)) {
            return EMULATED_NOT;
        }
        if (!io_unit(v, in, (u16)r->rdx, va)) {
            io_page_fault(v, va, in->bytes, in->op == INSN_INS);
            return EMULATED_PART;
        }
        *index = string_reg(va + step, in);
        if (!in->rep) {
            break;
        }
        r->rcx = string_reg(r->rcx - 1, in);
    }
    return EMULATED;
}

static bool emulate_msr(struct vcpu *v, bool write)
{
    struct cpu_user_regs *r = &v->arch.regs;
    u64 value = (r->rdx << 32) | (u32)r->rax;

    if (write) {
        return write_msr(v, (u32)r->rcx, value);
    }
    if (!read_msr(v, (u32)r->rcx, &value)) {
        return false;
    }
    r->rax = (u32)value;
    r->rdx = value >> 32;
    return true;
}

static bool emulate_dr(struct vcpu *v, const struct insn *in)
{
    u64 *reg = guest_gpr(&v->arch.regs, in->rm);

    if (in->op == INSN_WRITE_DR) {
        return do_set_debugreg(in->reg, *reg) == 0;
    }
    *reg = v->arch.debugreg[in->reg & 7];
    return in->reg < 8;
}

static bool emulate(struct vcpu *v, const struct insn *in)
{
    struct cpu_user_regs *r = &v->arch.regs;

    switch (in->op) {
    case INSN_READ_CR:
        return read_cr(v, in->reg, guest_gpr(r, in->rm));
    case INSN_WRITE_CR:
        return write_cr(v, in->reg, *guest_gpr(r, in->rm));
    case INSN_READ_DR:
    case INSN_WRITE_DR:
        return emulate_dr(v, in);
    case INSN_RDMSR:
    case INSN_WRMSR:
        return emulate_msr(v, in->op == INSN_WRMSR);
    case INSN_CLTS:
        return do_fpu_taskswitch(0) == 0;
    case INSN_XSETBV:
        return (u32)r->rcx == 0 && (((r->rdx << 32) | (u32)r->rax) & ~cpu_features.xcr0) == 0;
    case INSN_WBINVD:
        return true; /* no devices, nothing to flush for */
    case INSN_CLI:
    case INSN_STI:
        return io_allowed(v); /* what they would mask are the events: not by this */
    case INSN_IN_IMM:
    case INSN_IN_DX:
    case INSN_OUT_IMM:
    case INSN_OUT_DX:
        return emulate_io(v, in);
    default:
        return false;
    }
}

u32 guest_fetch(u64 rip, u8 *code)
{
    u32 n = MAX_INSN;

    while (n && copy_from_guest(code, rip, n)) {
        n--;
    }
    return n;
}

/* Those that the I/O privilege level allows to user mode, too. */
static bool is_user_op(enum insn_op op)
{
    return op >= INSN_CLI && op <= INSN_OUTS;
}

/* Code is decoded as 64-bit code only; a guest may run it by a descriptor of its own. */
static bool code_segment_64(const struct vcpu *v)
{
    u32 sel = v->arch.regs.cs;
    u64 table = v->arch.gdt_va + (sel & 4 ? GDT_PAGES * PAGE_SIZE : 0);

    /* The whole window is mapped, whatever the guest's tables hold. */
    return sel == SEL_FLAT_CS64 || (*(const volatile u64 *)(table + (sel & ~7u)) >> 53 & 1);
}

bool emulate_privileged(struct vcpu *v)
{
    struct insn in;
    u8 code[MAX_INSN];
    u32 n;
    enum emulated done;

    if (!code_segment_64(v)) {
        return false;
    }
    n = guest_fetch(v->arch.regs.rip, code);
    if (!decode_privileged(code, n, &in) || (!guest_kernel_mode(v) && !is_user_op(in.op))) {
        return false;
    }
    if (in.op == INSN_INS || in.op == INSN_OUTS) {
        done = emulate_string_io(v, &in);
    } else {
        done = emulate(v, &in) ? EMULATED : EMULATED_NOT;
    }
    if (done == EMULATED_NOT) {
        return false;
    }
    TRACE_WIDE(TRC_PV_EMULATE_PRIVOP, 2, v->arch.regs.rip, 0, 0);
    v->arch.regs.rip += done == EMULATED ? in.length : 0;
    v->arch.regs.entry_vector = 0;
    return true;
}

/* UD2A "xen" CPUID: the guest asks for its own view. */
bool emulate_forced_cpuid(struct vcpu *v)
{
    static const u8 prefix[] = { 0x0f, 0x0b, 'x', 'e', 'n', 0x0f, 0xa2 };
    struct cpu_user_regs *r = &v->arch.regs;
    u8 code[sizeof(prefix)];
    u32 out[4];

    if (copy_from_guest(code, r->rip, sizeof(code)) || memcmp(code, prefix, sizeof(prefix)) != 0) {
        return false;
    }
    TRACE_WIDE(TRC_PV_FORCED_INVALID_OP, 2, r->rip, 0, 0);
    cpuid_for_guest(cpuid, (u32)r->rax, (u32)r->rcx, out);
    r->rax = out[0];
    r->rbx = out[1];
    r->rcx = out[2];
    r->rdx = out[3];
    r->rip += sizeof(prefix);
    return true;
}

static long set_iopl(u64 arg)
{
    struct physdev_set_iopl op;

    if (copy_from_guest(&op, arg, sizeof(op))) {
        return -EFAULT;
    }
    if (op.iopl > 3) {
        return -EINVAL;
    }
    current->arch.iopl = op.iopl;
    return 0;
}

long do_physdev_op(u64 cmd, u64 arg)
{
    return (u32)cmd == PHYSDEVOP_set_iopl ? set_iopl(arg) : -ENOSYS;
}
