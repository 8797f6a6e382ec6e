/* SPDX-License-Identifier: MIT */
/* vcpu.c - vcpu_op, set_timer_op and the timers' effects. */
#include "conform.h"

static volatile unsigned int ticks, ran;

static void on_timer(evtchn_port_t port)
{
    (void)port;
    ticks++;
}

static void run_once(void)
{
    ran++;
}

static long one_shot(unsigned int vcpu, uint64_t at, uint32_t flags)
{
    struct vcpu_set_singleshot_timer op = { .timeout_abs_ns = at, .flags = flags };

    return vcpu_op(VCPUOP_set_singleshot_timer, vcpu, &op);
}

static void check_timers(void)
{
    evtchn_port_t port = (evtchn_port_t)event_bind_virq(VIRQ_TIMER, 0);

    event_handle(port, 0, on_timer);
    ticks = 0;
    result("timer.set_timer_op.past", set_timer_op(1));
    result("timer.set_timer_op.past.ticks", ticks);
    ticks = 0;
    result("timer.set_timer_op.future", set_timer_op(clock_now() + 2 * MS));
    wait_until(ticks);
    result("timer.set_timer_op.future.ticks", ticks);
    ticks = 0;
    result("timer.set_timer_op.stop", set_timer_op(0));
    clock_sleep(2 * MS);
    result("timer.set_timer_op.stop.ticks", ticks);
    result("timer.singleshot.past", one_shot(0, 1, 0));
    result("timer.singleshot.past.ticks", ticks);
    ticks = 0;
    result("timer.singleshot.past_future_flag", one_shot(0, 1, VCPU_SSHOTTMR_future));
    result("timer.singleshot.past_future_flag.ticks", ticks);
    ticks = 0;
    result("timer.singleshot.future", one_shot(0, clock_now() + 2 * MS, VCPU_SSHOTTMR_future));
    wait_until(ticks);
    result("timer.singleshot.future.ticks", ticks);
    result("timer.singleshot.other_vcpu", one_shot(1, clock_now() + SEC, 0));
    result("timer.singleshot.no_vcpu", one_shot(500, 1, 0));
    result("timer.singleshot.bad", vcpu_op(VCPUOP_set_singleshot_timer, 0, BAD_POINTER));
    result("timer.stop_singleshot", vcpu_op(VCPUOP_stop_singleshot_timer, 0, NULL));
    result("timer.stop_singleshot.other_vcpu", vcpu_op(VCPUOP_stop_singleshot_timer, 1, NULL));
    result("timer.periodic.10ms", timer_periodic(0, 10 * MS));
    result("timer.periodic.1ms", timer_periodic(0, MS));
    ticks = 0;
    timer_periodic(0, 10 * MS);
    clock_sleep(55 * MS);
    result("timer.periodic.asleep.ticks", ticks);
    result("timer.periodic.stop", timer_periodic(0, 0));
    result("timer.periodic.999us", timer_periodic(0, 999 * US));
    result("timer.periodic.other_vcpu", timer_periodic(1, 10 * MS));
    result("timer.periodic.bad", vcpu_op(VCPUOP_set_periodic_timer, 0, BAD_POINTER));
    result("timer.periodic.stop_again", timer_periodic(0, 0));
    event_close(port);
}

static void check_runstate(void)
{
    static struct vcpu_runstate_info info, area;
    struct vcpu_register_runstate_memory_area op = { .addr.v = &area };
    uint64_t now;

    result("vcpu.runstate", vcpu_op(VCPUOP_get_runstate_info, 0, &info));
    now = clock_now();
    result("vcpu.runstate.state", info.state);
    result("vcpu.runstate.sum_is_time",
           info.time[0] + info.time[1] + info.time[2] + info.time[3] <= now && info.time[0] > 0);
    result("vcpu.runstate.vcpu_1", vcpu_op(VCPUOP_get_runstate_info, 1, &info));
    result("vcpu.runstate.vcpu_1.state", info.state);
    result("vcpu.runstate.no_vcpu", vcpu_op(VCPUOP_get_runstate_info, 500, &info));
    result("vcpu.runstate.bad", vcpu_op(VCPUOP_get_runstate_info, 0, BAD_POINTER));
    result("vcpu.runstate_area", vcpu_op(VCPUOP_register_runstate_memory_area, 0, &op));
    result("vcpu.runstate_area.state", area.state);
    result("vcpu.runstate_area.running", area.time[RUNSTATE_running] > 0);
    clock_sleep(2 * MS);
    result("vcpu.runstate_area.blocked", area.time[RUNSTATE_blocked] >= MS);
    result("vcpu.runstate_area.bad", vcpu_op(VCPUOP_register_runstate_memory_area, 0, BAD_POINTER));
    op.addr.v = NULL;
    result("vcpu.runstate_area.null", vcpu_op(VCPUOP_register_runstate_memory_area, 0, &op));
}

static long register_info(unsigned int vcpu, uint64_t mfn, uint32_t offset)
{
    struct vcpu_register_vcpu_info op = { .mfn = mfn, .offset = offset };

    return vcpu_op(VCPUOP_register_vcpu_info, vcpu, &op);
}

static void check_vcpu_info(void)
{
    uint64_t mfn = virt_to_mfn(info_page);
    volatile struct vcpu_info *info = (volatile void *)info_page;

    result("vcpu.info.crosses_page", register_info(1, mfn, PAGE_SIZE - 8));
    result("vcpu.info.bad_mfn", register_info(1, 0xfffffffff, 0));
    result("vcpu.info.no_vcpu", register_info(500, mfn, 0));
    result("vcpu.info.bad", vcpu_op(VCPUOP_register_vcpu_info, 1, BAD_POINTER));
    result("vcpu.info", register_info(1, mfn, 64));
    vcpu_infos[1] = info + 1;
    result("vcpu.info.upcall", info[1].evtchn_upcall_pending);
    result("vcpu.info.mask", info[1].evtchn_upcall_mask);
    result_hex("vcpu.info.sel", info[1].evtchn_pending_sel);
    result("vcpu.info.again", register_info(1, mfn, 128));
}

static void check_life(void)
{
    static struct vcpu_guest_context context;

    result("vcpu.is_up.0", vcpu_op(VCPUOP_is_up, 0, NULL));
    result("vcpu.is_up.1", vcpu_op(VCPUOP_is_up, 1, NULL));
    result("vcpu.is_up.2", vcpu_op(VCPUOP_is_up, 2, NULL));
    result("vcpu.is_up.8191", vcpu_op(VCPUOP_is_up, 8191, NULL));
    result("vcpu.is_up.max", vcpu_op(VCPUOP_is_up, 0xffffffff, NULL));
    result("vcpu.up.not_initialised", vcpu_op(VCPUOP_up, 1, NULL));
    result("vcpu.up.no_vcpu", vcpu_op(VCPUOP_up, 500, NULL));
    result("vcpu.down.not_up", vcpu_op(VCPUOP_down, 1, NULL));
    result("vcpu.down.no_vcpu", vcpu_op(VCPUOP_down, 500, NULL));
    result("vcpu.initialise.bad", vcpu_op(VCPUOP_initialise, 1, BAD_POINTER));
    result("vcpu.initialise.no_vcpu", vcpu_op(VCPUOP_initialise, 500, &context));
    context.ctrlreg[3] = xen_pfn_to_cr3(0xffffffffUL);
    context.user_regs.cs = FLAT_KERNEL_CS;
    context.user_regs.ss = FLAT_KERNEL_SS;
    result("vcpu.initialise.bad_cr3", vcpu_op(VCPUOP_initialise, 1, &context));
    context.ctrlreg[3] = xen_pfn_to_cr3(virt_to_mfn((void *)start_info->pt_base));
    context.user_regs.rip = 0x8000000000000000UL;
    result("vcpu.initialise.bad_rip", vcpu_op(VCPUOP_initialise, 1, &context));
    context.user_regs.rip = 0;
    context.gdt_ents = 0x10000;
    result("vcpu.initialise.bad_gdt", vcpu_op(VCPUOP_initialise, 1, &context));
    result("vcpu.start", vcpu_start(1, run_once));
    result("vcpu.start.down", vcpu_wait_down(1));
    result("vcpu.start.ran", ran);
    context.gdt_ents = 0;
    result("vcpu.initialise.again", vcpu_op(VCPUOP_initialise, 1, &context));
    result("vcpu.up.again", vcpu_start(1, run_once));
    result("vcpu.up.again.down", vcpu_wait_down(1));
    result("vcpu.up.again.ran", ran);
    result("vcpu.down.already", vcpu_op(VCPUOP_down, 1, NULL));
    result("vcpu.up.0", vcpu_op(VCPUOP_up, 0, NULL));
    result("vcpu.initialise.0", vcpu_op(VCPUOP_initialise, 0, &context));
}

void check_vcpu(void)
{
    check_timers();
    check_runstate();
    check_vcpu_info();
    check_life();
    result("vcpu.send_nmi.no_handler", vcpu_op(VCPUOP_send_nmi, 1, NULL));
    result("vcpu.unknown.14", vcpu_op(14, 0, NULL));
    result("vcpu.unknown.max", vcpu_op(0x7fffffff, 0, NULL));
    result("vcpu.unknown.no_vcpu", vcpu_op(14, 500, NULL));
}
