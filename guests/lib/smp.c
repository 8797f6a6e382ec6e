/* SPDX-License-Identifier: MIT */
/*
 * smp.c - further vcpus: their start on a stack of their own, the function each
 * runs, down and up again, and where vcpu_info lives beyond the legacy 32.
 * Starting is done by vcpu 0 alone, so there is no lock.
 */
#include "guest.h"

extern void guest_ap_entry(void);
void vcpu_run(void) __attribute__((noreturn));

static void (*volatile functions[MAX_VCPUS])(void);
static bool initialised[MAX_VCPUS];
static struct vcpu_info own_info[MAX_VCPUS] __attribute__((aligned(64)));

/* C entry of a further vcpu: runs what it is given, goes down, and so on once up again. */
void vcpu_run(void)
{
    unsigned int self = vcpu_self();

    for (;;) {
        timer_periodic(self, 0);
        upcalls_enable();
        functions[self]();
        upcalls_disable();
        vcpu_op(VCPUOP_down, self, NULL);
    }
}

unsigned int vcpu_count(void)
{
    unsigned int n = 1;

    while (n < MAX_VCPUS && vcpu_op(VCPUOP_is_up, n, NULL) >= 0) {
        n++;
    }
    return n;
}

bool vcpu_is_up(unsigned int vcpu)
{
    return vcpu_op(VCPUOP_is_up, vcpu, NULL) == 1;
}

bool vcpu_wait_down(unsigned int vcpu)
{
    for (unsigned int i = 0; i < 1000 && vcpu_is_up(vcpu); i++) {
        clock_sleep(MS);
    }
    return !vcpu_is_up(vcpu);
}

long vcpu_register_info(unsigned int vcpu)
{
    struct vcpu_info *info = &own_info[vcpu];
    struct vcpu_register_vcpu_info op = {
        .mfn = virt_to_mfn(info),
        .offset = (uint32_t)((unsigned long)info % PAGE_SIZE),
    };
    long rc = vcpu_op(VCPUOP_register_vcpu_info, vcpu, &op);

    if (rc == 0) {
        vcpu_infos[vcpu] = info;
    }
    return rc;
}

/* The least that makes a vcpu start in guest kernel mode on our page tables. */
static long vcpu_initialise(unsigned int vcpu)
{
    static struct vcpu_guest_context context;
    unsigned int n = 0;

    memset(&context, 0, sizeof(context));
    context.flags = VGCF_IN_KERNEL;
    context.user_regs.rip = ARG(guest_ap_entry);
    context.user_regs.cs = FLAT_KERNEL_CS;
    context.user_regs.ss = FLAT_KERNEL_SS;
    context.user_regs.rflags = 0x200;
    context.user_regs.rsp = ARG(guest_stacks) + (vcpu + 1) * STACK_SIZE;
    for (const struct trap_info *t = trap_table; t->address; t++, n++) {
        context.trap_ctxt[t->vector] = *t;
    }
    context.kernel_ss = FLAT_KERNEL_SS;
    context.kernel_sp = context.user_regs.rsp;
    context.ctrlreg[0] = 0x80050033;
    context.ctrlreg[3] = xen_pfn_to_cr3(virt_to_mfn((void *)start_info->pt_base));
    context.event_callback_eip = ARG(upcall_entry);
    context.failsafe_callback_eip = ARG(failsafe_entry);
    context.syscall_callback_eip = ARG(syscall_entry);
    return vcpu_op(VCPUOP_initialise, vcpu, &context);
}

long vcpu_start(unsigned int vcpu, void (*function)(void))
{
    long rc = 0;

    functions[vcpu] = function;
    if (!initialised[vcpu]) {
        if (!vcpu_infos[vcpu]) {
            rc = vcpu_register_info(vcpu);
        }
        if (!rc) {
            rc = vcpu_initialise(vcpu);
        }
        if (rc) {
            return rc;
        }
        initialised[vcpu] = true;
    }
    return vcpu_op(VCPUOP_up, vcpu, NULL);
}

/* 0, or LEAVE_ASKED by vcpu 0, which the vcpu itself turns into LEAVE_DOWN. */
enum { LEAVE_ASKED = 1, LEAVE_DOWN };
volatile uint8_t vcpu_leaving[MAX_VCPUS];

static bool leaving_turn(unsigned int vcpu, uint8_t from, uint8_t to)
{
    return __atomic_compare_exchange_n(&vcpu_leaving[vcpu], &from, to, false, __ATOMIC_SEQ_CST,
                                       __ATOMIC_SEQ_CST);
}

void vcpu_leave(void)
{
    unsigned int self = vcpu_self();

    if (leaving_turn(self, LEAVE_ASKED, LEAVE_DOWN)) {
        upcalls_disable();
        vcpu_op(VCPUOP_down, self, NULL);
        upcalls_enable();
    }
}

static void call_back(unsigned int vcpu)
{
    /* It may be on its way down; only once it is there does this reach it. */
    while (vcpu_is_up(vcpu)) {
        sched_op(SCHEDOP_yield, NULL);
    }
    vcpu_leaving[vcpu] = 0;
    vcpu_op(VCPUOP_up, vcpu, NULL);
}

static void (*vcpus_function)(void);
static unsigned int vcpus_limit;

static void vcpu_follow(unsigned int vcpu, bool online)
{
    if (vcpu >= vcpus_limit) {
        return;
    }
    if (!initialised[vcpu]) {
        if (online) {
            vcpu_start(vcpu, vcpus_function);
        }
    } else if (!online) {
        leaving_turn(vcpu, 0, LEAVE_ASKED);
    } else if (!leaving_turn(vcpu, LEAVE_ASKED, 0) && vcpu_leaving[vcpu] == LEAVE_DOWN) {
        call_back(vcpu);
    }
}

long vcpus_start(unsigned int n, void (*function)(void))
{
    vcpus_function = function;
    vcpus_limit = n;
    for (unsigned int v = 1; v < n; v++) {
        long rc = vcpu_is_wanted(v) ? vcpu_start(v, function) : 0;

        if (rc) {
            return rc;
        }
    }
    vcpu_on_availability(vcpu_follow);
    return 0;
}

void vcpu_runstate(unsigned int vcpu, struct vcpu_runstate_info *info)
{
    vcpu_op(VCPUOP_get_runstate_info, vcpu, info);
}
