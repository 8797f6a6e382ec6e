/* SPDX-License-Identifier: MIT */
/*
 * The contract between the floors (README.md): first what the generic part (kernel, sched,
 * evtchn) asks of the architecture, then the few other calls that go up. Everything else stands in
 * its own header and is called from its own floor or a higher one. `make lint` reads this file: a
 * call that goes up must be declared here, under a comment that names the calling file, and a file
 * named here must still make the call. The hypervisor runs with interrupts off throughout.
 */
#pragma once

#include <tarn/types.h>
#include <xen/xen.h>

struct boot_info;
struct domain;
struct evtchn_domain;
struct vcpu;

/* ---- The generic part asks the architecture ---- */

/*
 * arch/x86/pv/vcpu_arch.c. Called by kernel/vcpu.c: when a vcpu is made (zeroed but for id and
 * domain), and before its memory goes; it runs nowhere. Allocates; -errno, and then nothing is
 * held.
 */
int arch_vcpu_create(struct vcpu *v);
void arch_vcpu_destroy(struct vcpu *v);

/*
 * arch/x86/pv/vcpu_arch.c. Called by kernel/ops/vcpu_op.c, kernel/ops/domctl_vcpu.c: a whole
 * context for a vcpu of the caller's domain that is down and was never up, or of a paused domain;
 * that one may have a context, whose tables must stay (-EOPNOTSUPP). Contents are the guest's and
 * are checked here. -ERESTART, for another's domain only: call again. Takes the mmu_lock.
 */
int arch_vcpu_set_context(struct vcpu *v, const struct vcpu_guest_context *c);

/*
 * arch/x86/pv/vcpu_arch.c. Called by kernel/ops/vcpu_op.c: VCPUOP_register_vcpu_info, also for
 * another vcpu of the caller's domain. Takes the mmu_lock.
 */
int arch_vcpu_register_info(struct vcpu *v, mfn_t mfn, u32 offset);

/*
 * arch/x86/pv/vcpu_arch.c. Called by kernel/ops/domctl_vcpu.c: the context of a vcpu whose domain
 * is paused; *c is zeroed.
 */
void arch_vcpu_get_context(const struct vcpu *v, struct vcpu_guest_context *c);

/* arch/x86/pv/build.c. Called by kernel/ops/domctl.c: the stubs of a guest's hypercall page. */
void hypercall_page_fill(void *page);

/*
 * arch/x86/pv/vcpu_arch.c. Called by kernel/destroy.c, kernel/ops/domctl_vcpu.c: lets go of the
 * frames that a vcpu of a paused domain uses (tables, descriptors, its info); no pcpu holds any of
 * it. Takes the mmu_lock.
 */
void arch_vcpu_relinquish(struct vcpu *v);

/*
 * arch/x86/cpu/switch.c. Called by sched/schedule.c: last thing of a decision, on the pcpu that
 * goes from `prev` to `next` (never the same), the pool's lock held. Returns on the same stack.
 */
void context_switch(struct vcpu *prev, struct vcpu *next);

/* arch/x86/pv/clock.c. Called by kernel/vcpu.c, kernel/ops/domctl_vcpu.c: a vcpu's time record,
 * before it runs. */
void clock_update(struct vcpu *v);

/* arch/x86/pv/clock.c. Called by kernel/domain.c, kernel/ops/domctl_vcpu.c,
 * kernel/ops/platform_op.c: the wall clock in a shared_info that is new, or when the clock was set.
 */
void clock_init_domain(struct domain *d);

/* arch/x86/pv/traps.c. Called by kernel/domain.c: current's registers, as its domain crashes. */
void show_guest_regs(const struct vcpu *v);

/*
 * arch/x86/pv/hypercall.c. Called by kernel/ops/console_op.c, kernel/ops/domctl.c,
 * kernel/ops/evtchn_op.c, kernel/ops/exchange.c, kernel/ops/grant_copy.c, kernel/ops/grant_op.c,
 * kernel/ops/grant_setup.c, kernel/ops/platform_op.c, kernel/ops/reservation.c,
 * kernel/ops/sysctl.c: for current, in a long hypercall that gives way (hypercall_should_yield): it
 * returns what this gives, and is issued again with the same number and these arguments, which hold
 * its progress.
 */
long hypercall_continue(u32 nr, u64 a1, u64 a2, u64 a3, u64 a4);

/* arch/x86/boot/main.c. Called by kernel/ops/memory_op.c, kernel/ops/sysctl_info.c: the memory map;
 * constant after boot. */
extern struct boot_info boot_info;

/* ---- A CPU comes up, or changes its guest ---- */

/* arch/x86/pv/entry.asm. Called by arch/x86/cpu/pcpu.c: only as addresses for the SYSCALL MSRs. */
void syscall_entry(void);
void syscall32_entry(void);

/* arch/x86/pv/traps.c. Called by arch/x86/cpu/pcpu.c: each pcpu once, when it comes up. */
void idt_load(void);

/*
 * arch/x86/pv/exit.c. Called by arch/x86/cpu/smp.c: a started pcpu's last act on its boot path, on
 * its own stack with current its idle vcpu; from there on it schedules.
 */
__attribute__((noreturn)) void pcpu_idle_loop(void);

/* arch/x86/pv/segment.c. Called by arch/x86/cpu/switch.c: `v`'s state goes into the hardware. */
void vcpu_load_ldt(const struct vcpu *v);

/*
 * arch/x86/pv/segment.c. Called by arch/x86/mm/frame_type.c: a frame is to become a page of
 * descriptors; its domain's mmu_lock is held. -EINVAL when one of them is not harmless.
 */
int descriptors_validate(u64 *page);

/* ---- Events and time climb ---- */

/*
 * kernel/vcpu.c. Called by evtchn/deliver.c: an event for v became deliverable: wake it if it is
 * blocked, make it look if it runs elsewhere. Any context; locks up to RANK_EVTCHN may be held.
 */
void vcpu_kick(struct vcpu *v);

/*
 * kernel/vcpu.c. Called by sched/schedule.c: the periodic timer ticks only while its vcpu has a
 * CPU, so it stops for the one that left (the pool's lock held) and starts for current (no lock
 * held), whose runstate goes to the area that it registered.
 */
void vcpu_periodic_stop(struct vcpu *v);
void vcpu_periodic_start(struct vcpu *v);
void vcpu_show_runstate(const struct vcpu *v);

/* ---- A domain comes and goes ---- */

/*
 * kernel/ops/evtchn_op.c. Called by kernel/domain.c, kernel/destroy.c: for a new domain (takes one
 * page; without memory the first bind tries again), and for one whose vcpus don't run any more,
 * though its timers may: closes all ports (peers become unbound), frees the table and drops the
 * references that its channels hold, so the caller needs one of its own. No lock held. False: there
 * are many ports, call again; once done, more calls do nothing.
 */
void evtchn_domain_init(struct evtchn_domain *e);
bool evtchn_domain_destroy(struct domain *d);

/* kernel/ops/console_op.c. Called by kernel/domain.c: prints an unfinished line before the last. */
void console_flush_domain(struct domain *d);

/*
 * kernel/domain_list.c, kernel/domain.c. Called by arch/x86/mm/domain_frames.c: the last reference
 * to a frame went, its owner's count is to change; no lock or that domain's mmu_lock held. The
 * lookup takes a reference and is NULL for a domain that is gone; DOMID_SELF is current's.
 */
struct domain *domain_get_by_id(domid_t domid);
void domain_get(struct domain *d);
void domain_put(struct domain *d);
