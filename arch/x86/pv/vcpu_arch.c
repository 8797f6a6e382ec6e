/* SPDX-License-Identifier: MIT */
/*
 * The x86 part of a vcpu's life: its areas, and taking a whole context (struct vcpu_guest_context),
 * which is how every vcpu but the first of a boot-time domain starts.
 */
#include <tarn/domain.h>
#include <tarn/errno.h>
#include <tarn/hypercall.h>
#include <tarn/guest_access.h>
#include <tarn/page.h>
#include <x86/cpufeature.h>
#include <x86/frames.h>
#include <x86/pv.h>

/* What a guest's kernel reads. */
#define CR0_GUEST (CR0_PG | CR0_AM | CR0_WP | CR0_NE | CR0_ET | CR0_MP | CR0_PE)
#define CR4_GUEST (CR4_OSXMMEXCPT | CR4_OSFXSR | CR4_MCE | CR4_PAE)

#define DR7_NEVER 0xf800UL /* GD, and what is reserved */
#define XSAVE_HEADER 512   /* of an XSAVE area: which parts are not at their start */
#define XSAVE_X87_SSE 3

int arch_vcpu_create(struct vcpu *v)
{
    struct arch_vcpu *a = &v->arch;

    a->traps = page_alloc();
    a->xsave = page_alloc();
    if (!a->traps || !a->xsave || vcpu_descriptors_init(v)) {
        arch_vcpu_destroy(v);
        return -ENOMEM;
    }
    fpu_init_state(a->xsave);
    a->ctrlreg0 = CR0_GUEST;
    a->ctrlreg4 = CR4_GUEST;
    a->debugreg[6] = DR6_ALWAYS;
    a->debugreg[7] = DR7_ALWAYS;
    a->loaded_on = NO_CPU;
    a->flags = VCPU_KERNEL_MODE;
    return 0;
}

void arch_vcpu_destroy(struct vcpu *v)
{
    vcpu_descriptors_destroy(v);
    page_free(v->arch.traps);
    page_free(v->arch.xsave);
}

static void drop_tables(struct vcpu *v)
{
    struct arch_vcpu *a = &v->arch;

    if (a->guest_l4.n) {
        frame_put_and_type(a->guest_l4, v->domain);
    }
    if (a->user_l4.n) {
        frame_put_and_type(a->user_l4, v->domain);
    }
    a->guest_l4 = a->user_l4 = MFN(0);
}

void arch_vcpu_relinquish(struct vcpu *v)
{
    mmu_lock(v->domain);
    drop_tables(v);
    vcpu_descriptors_drop(v);
    if (v->info_mfn.n != INVALID_MFN.n) {
        atomic_store(&v->info, v->first_info);
        frame_put_and_type(v->info_mfn, v->domain);
        v->info_mfn = INVALID_MFN;
    }
    mmu_unlock(v->domain);
}

/* -ERESTART: there are more tables than one call may validate; another goes on from there. */
static int take_tables(struct vcpu *v, const struct vcpu_guest_context *c)
{
    struct domain *d = v->domain;
    mfn_t l4 = MFN(xen_cr3_to_pfn(c->ctrlreg[3])), user = MFN(xen_cr3_to_pfn(c->ctrlreg[1]));
    int rc;

    mmu_lock(d);
    rc = frame_get_and_type(l4, FT_L4, d);
    if (rc == 0 && c->ctrlreg[1]) {
        rc = frame_get_and_type(user, FT_L4, d);
        if (rc) {
            frame_put_and_type(l4, d);
        }
    }
    mmu_unlock(d);
    if (rc == 0) {
        v->arch.guest_l4 = l4;
        v->arch.user_l4 = c->ctrlreg[1] ? user : MFN(0);
    }
    /* The tables of current's domain were let go of before it came back to go on. */
    return rc && (rc != -ERESTART || d == current->domain) ? -EINVAL : rc;
}

/* What a vcpu has when it has a context stays, until it is reset. */
static bool same_tables(const struct vcpu *v, const struct vcpu_guest_context *c)
{
    const struct arch_vcpu *a = &v->arch;
    bool same = c->ctrlreg[3] == xen_pfn_to_cr3(a->guest_l4.n) &&
                c->ctrlreg[1] == (a->user_l4.n ? xen_pfn_to_cr3(a->user_l4.n) : 0) &&
                c->gdt_ents == a->gdt_ents && c->ldt_ents == a->ldt_ents;

    for (u32 i = 0; same && i < DIV_ROUND_UP(a->gdt_ents, 512u); i++) {
        same = c->gdt_frames[i] == a->gdt_frame[i].n;
    }
    return same;
}

static int take_frames(struct vcpu *v, const struct vcpu_guest_context *c)
{
    int rc;

    if (v->initialised) {
        return same_tables(v, c) ? 0 : -EOPNOTSUPP;
    }
    if (c->ldt_ents) {
        return -EOPNOTSUPP; /* it is found through the tables of who runs */
    }
    rc = take_tables(v, c);
    if (rc == 0 && c->gdt_ents) {
        rc = vcpu_set_gdt(v, c->gdt_frames, c->gdt_ents > 65536 ? 65536 : (u32)c->gdt_ents);
        if (rc) {
            mmu_lock(v->domain);
            drop_tables(v);
            mmu_unlock(v->domain);
        }
    }
    return rc;
}

static bool trap_table_ok(const struct vcpu_guest_context *c)
{
    for (u32 i = 0; i < NR_TRAPS; i++) {
        if (!guest_range_ok(c->trap_ctxt[i].address, 1)) {
            return false;
        }
    }
    return true;
}

static bool addresses_ok(const struct vcpu_guest_context *c)
{
    return is_canonical(c->user_regs.rip) && is_canonical(c->user_regs.rsp) &&
           is_canonical(c->kernel_sp) && guest_range_ok(c->event_callback_eip, 1) &&
           guest_range_ok(c->failsafe_callback_eip, 1) &&
           guest_range_ok(c->syscall_callback_eip, 1) && is_canonical(c->fs_base) &&
           is_canonical(c->gs_base_kernel) && is_canonical(c->gs_base_user) && trap_table_ok(c);
}

static bool context_ok(const struct vcpu_guest_context *c)
{
    return addresses_ok(c) && (c->flags & VGCF_IN_KERNEL || c->ctrlreg[1]) && c->ldt_ents <= 8192 &&
           (c->ldt_ents == 0 || c->ldt_base % PAGE_SIZE == 0);
}

static void take_segments(struct arch_vcpu *a, const struct vcpu_guest_context *c)
{
    a->ds = c->user_regs.ds;
    a->es = c->user_regs.es;
    a->fs = c->user_regs.fs;
    a->gs = c->user_regs.gs;
    a->fs_base = c->fs_base;
    a->gs_base_kernel = c->gs_base_kernel;
    a->gs_base_user = c->gs_base_user;
}

static void take_callbacks(struct arch_vcpu *a, const struct vcpu_guest_context *c)
{
    memcpy(a->traps, c->trap_ctxt, sizeof(c->trap_ctxt));
    for (u32 i = 0; i < NR_TRAPS; i++) {
        a->traps[i].cs |= 3;
    }
    a->kernel_ss = c->kernel_ss | 3;
    a->kernel_sp = c->kernel_sp;
    a->event_cb = (struct guest_callback){ c->event_callback_eip, true };
    a->failsafe_cb = (struct guest_callback){ c->failsafe_callback_eip,
                                              (c->flags & VGCF_failsafe_disables_events) != 0 };
    a->syscall_cb = (struct guest_callback){ c->syscall_callback_eip,
                                             (c->flags & VGCF_syscall_disables_events) != 0 };
}

static void take_fpu(struct arch_vcpu *a, const struct vcpu_guest_context *c)
{
    fpu_init_state(a->xsave);
    if (!(c->flags & VGCF_I387_VALID)) {
        return;
    }
    memcpy(a->xsave, &c->fpu_ctxt, sizeof(c->fpu_ctxt));
    *(u32 *)((u8 *)a->xsave + 24) &= fpu_mxcsr_mask();
    if (cpu_features.xsave) {
        memset((u8 *)a->xsave + XSAVE_HEADER, 0, 64);
        *((u8 *)a->xsave + XSAVE_HEADER) = XSAVE_X87_SSE; /* the rest is at its start */
    }
}

static void take_registers(struct arch_vcpu *a, const struct vcpu_guest_context *c)
{
    a->regs = c->user_regs;
    a->regs.entry_vector = 0;
    a->regs.cs |= 3;
    a->regs.ss |= 3;
    a->iopl = (c->user_regs.rflags & X86_IOPL) >> 12; /* virtual: see priv_op.c */
    a->regs.rflags = (a->regs.rflags & ~(X86_IOPL | X86_VM | X86_NT)) | X86_IF | X86_ALWAYS;
    a->flags = c->flags & VGCF_IN_KERNEL ? VCPU_KERNEL_MODE : 0;
    a->cr3 = mfn_to_paddr(a->flags ? a->guest_l4 : a->user_l4);
    a->ctrlreg0 = CR0_GUEST | (c->ctrlreg[0] & CR0_TS);
}

static void take_debug_registers(struct arch_vcpu *a, const struct vcpu_guest_context *c)
{
    for (u32 i = 0; i < 4; i++) {
        a->debugreg[i] = guest_range_ok(c->debugreg[i], 1) ? c->debugreg[i] : 0;
    }
    a->debugreg[6] = (u16)c->debugreg[6] | DR6_ALWAYS;
    a->debugreg[7] = ((u32)c->debugreg[7] & ~DR7_NEVER) | DR7_ALWAYS;
}

/*
 * The vcpu runs nowhere, and nobody else looks at it: it is down and was never up, or its domain is
 * paused. -errno, and nothing has changed.
 */
int arch_vcpu_set_context(struct vcpu *v, const struct vcpu_guest_context *c)
{
    struct arch_vcpu *a = &v->arch;
    int rc = context_ok(c) ? take_frames(v, c) : -EINVAL;

    if (rc) {
        return rc;
    }
    take_registers(a, c);
    take_segments(a, c);
    take_callbacks(a, c);
    take_debug_registers(a, c);
    take_fpu(a, c);
    if (v->id == 0 && !v->initialised) {
        v->domain->vm_assist = c->vm_assist & VM_ASSIST_VALID;
    }
    a->loaded_on = NO_CPU; /* what a pcpu may still hold of it is out of date */
    return 0;
}

static void show_callbacks(const struct arch_vcpu *a, struct vcpu_guest_context *c)
{
    memcpy(c->trap_ctxt, a->traps, sizeof(c->trap_ctxt));
    c->kernel_ss = a->kernel_ss;
    c->kernel_sp = a->kernel_sp;
    c->event_callback_eip = a->event_cb.eip;
    c->failsafe_callback_eip = a->failsafe_cb.eip;
    c->syscall_callback_eip = a->syscall_cb.eip;
    c->flags |= a->failsafe_cb.masks_events ? VGCF_failsafe_disables_events : 0;
    c->flags |= a->syscall_cb.masks_events ? VGCF_syscall_disables_events : 0;
}

static void show_registers(const struct arch_vcpu *a, struct vcpu_guest_context *c)
{
    c->user_regs = a->regs;
    c->user_regs.rflags |= a->iopl << 12;
    c->user_regs.ds = a->ds;
    c->user_regs.es = a->es;
    c->user_regs.fs = a->fs;
    c->user_regs.gs = a->gs;
    c->fs_base = a->fs_base;
    c->gs_base_kernel = a->gs_base_kernel;
    c->gs_base_user = a->gs_base_user;
    c->ctrlreg[0] = a->ctrlreg0;
    c->ctrlreg[1] = a->user_l4.n ? xen_pfn_to_cr3(a->user_l4.n) : 0;
    c->ctrlreg[3] = xen_pfn_to_cr3(a->guest_l4.n);
    c->ctrlreg[4] = a->ctrlreg4;
    memcpy(c->debugreg, a->debugreg, sizeof(c->debugreg));
}

static void show_fpu(const struct arch_vcpu *a, struct vcpu_guest_context *c)
{
    if (!cpu_features.xsave || *((u8 *)a->xsave + XSAVE_HEADER) & XSAVE_X87_SSE) {
        memcpy(&c->fpu_ctxt, a->xsave, sizeof(c->fpu_ctxt));
        c->flags |= VGCF_I387_VALID;
    }
}

void arch_vcpu_get_context(const struct vcpu *v, struct vcpu_guest_context *c)
{
    const struct arch_vcpu *a = &v->arch;

    c->flags = guest_kernel_mode(v) ? VGCF_in_kernel : 0;
    show_registers(a, c);
    show_callbacks(a, c);
    show_fpu(a, c);
    for (u32 i = 0; i < DIV_ROUND_UP(a->gdt_ents, 512u); i++) {
        c->gdt_frames[i] = a->gdt_frame[i].n;
    }
    c->gdt_ents = a->gdt_ents;
    c->ldt_ents = a->ldt_ents; /* where it is, is not kept */
    c->vm_assist = v->domain->vm_assist;
}

/*
 * From now on the vcpu's info is where the guest says, in a page of its own. Events that are in the
 * old place go along; and so that none is lost between, the vcpu looks at all of them once.
 */
int arch_vcpu_register_info(struct vcpu *v, mfn_t mfn, u32 offset)
{
    struct domain *d = v->domain;
    struct vcpu_info *info;
    int rc;

    if (offset > PAGE_SIZE - sizeof(*info)) {
        return -ENXIO;
    }
    if (offset % 8 || (v != current && !(READ_ONCE(v->pause_flags) & VPF_DOWN))) {
        return -EINVAL;
    }
    mmu_lock(d); /* two may try at once */
    rc = v->info_mfn.n == INVALID_MFN.n ? frame_get_and_type(mfn, FT_WRITABLE, d) : -EINVAL;
    if (rc == 0) {
        v->info_mfn = mfn;
    }
    mmu_unlock(d);
    if (rc) {
        return -EINVAL;
    }
    info = (struct vcpu_info *)((u8 *)mfn_to_virt(mfn) + offset);
    memcpy(info, v->info, sizeof(*info));
    atomic_store(&v->info, info); /* who sends an event right now may still use the old place */
    info->evtchn_upcall_pending = 1;
    info->evtchn_pending_sel = ~0UL;
    vcpu_kick(v);
    return 0;
}

long do_fpu_taskswitch(u64 set)
{
    struct vcpu *v = current;

    v->arch.ctrlreg0 = set ? v->arch.ctrlreg0 | CR0_TS : v->arch.ctrlreg0 & ~CR0_TS;
    fpu_load_ts(v);
    return 0;
}

/* A breakpoint's address must not be ours, or the guest could watch us. */
static bool debugreg_ok(u64 reg, u64 value)
{
    return reg < 4 ? guest_range_ok(value, 1) : value >> 32 == 0;
}

/* DR4 and DR5 are other names of DR6 and DR7. */
static long debugreg_number(u64 reg)
{
    return reg > 7 ? -ENODEV : reg == 4 || reg == 5 ? (long)reg + 2 : (long)reg;
}

long do_set_debugreg(u64 reg, u64 value)
{
    struct arch_vcpu *a = &current->arch;
    long nr = debugreg_number(reg);

    if (nr < 0) {
        return nr;
    }
    if (!debugreg_ok((u64)nr, value)) {
        return -EPERM;
    }
    if (nr == 7) {
        value = (value & ~DR7_NEVER) | DR7_ALWAYS;
    }
    a->debugreg[nr] = value;
    vcpu_load_debugreg((u64)nr, value);
    return 0;
}

long do_get_debugreg(u64 reg)
{
    long nr = debugreg_number(reg);

    return nr < 0 ? nr : (long)current->arch.debugreg[nr];
}
