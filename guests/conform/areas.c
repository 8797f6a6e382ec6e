/* SPDX-License-Identifier: MIT */
/*
 * areas.c - where a vcpu's information may lie: vcpu_info, runstate and time areas on wrong frames,
 * at the ends of pages, of other vcpus; and deadlines of the timers that make no sense.
 */
#include "conform.h"

static long info_at(unsigned int vcpu, uint64_t mfn, uint32_t offset)
{
    struct vcpu_register_vcpu_info op = { .mfn = mfn, .offset = offset };

    return vcpu_op(VCPUOP_register_vcpu_info, vcpu, &op);
}

static volatile char own_page[PAGE_SIZE] __attribute__((aligned(4096)));

/* In this run no vcpu_info was moved before. */
static void check_info(void)
{
    uint64_t mfn = virt_to_mfn(own_page);
    volatile struct vcpu_info *moved = (volatile void *)(own_page + PAGE_SIZE - sizeof(*moved));

    result("area.info.table", info_at(1, virt_to_mfn(page_table(1, scratch_page)), 0));
    result("area.info.not_ours", info_at(1, 0x9f, 0));
    result("area.info.frame_max", info_at(1, ~0UL, 0));
    result("area.info.offset_page", info_at(1, mfn, PAGE_SIZE));
    result("area.info.offset_max", info_at(1, mfn, ~0U));
    result("area.info.too_near_end", info_at(1, mfn, PAGE_SIZE - 63));
    result("area.info.vcpu_max", info_at(~0U, mfn, 0));
    page_fill(own_page, 0x5a5a5a5a5a5a5a5aUL);
    vcpu_infos[0]->evtchn_upcall_pending = 0;
    vcpu_infos[0]->evtchn_pending_sel = 0;
    result("area.info.self", info_at(0, mfn, PAGE_SIZE - 64));
    vcpu_infos[0] = moved;
    result("area.info.self.upcall", moved->evtchn_upcall_pending);
    result("area.info.self.mask", moved->evtchn_upcall_mask);
    result_hex("area.info.self.sel", moved->evtchn_pending_sel);
    result("area.info.self.time", moved->time.version != 0x5a5a5a5a);
    result("area.info.before", words_of(own_page)[0] == 0x5a5a5a5a5a5a5a5aUL);
    result("area.info.self.again", info_at(0, mfn, 0));
    result("area.info.self.again.wrong", info_at(0, mfn, PAGE_SIZE));
    moved->evtchn_pending_sel = 0;
    moved->evtchn_upcall_pending = 0;
}

static void check_runstate(void)
{
    static struct vcpu_runstate_info area;
    struct vcpu_register_runstate_memory_area op = { .addr.v = &area };

    result("area.runstate.1", vcpu_op(VCPUOP_register_runstate_memory_area, 1, &op));
    result("area.runstate.1.state", area.state);
    result("area.runstate.1.blocked", area.time[RUNSTATE_offline] > 0);
    op.addr.v = BAD_POINTER;
    result("area.runstate.not_there", vcpu_op(VCPUOP_register_runstate_memory_area, 0, &op));
    op.addr.v = XEN_POINTER;
    result("area.runstate.xen", vcpu_op(VCPUOP_register_runstate_memory_area, 0, &op));
    op.addr.v = WRONG_POINTER;
    result("area.runstate.wrong", vcpu_op(VCPUOP_register_runstate_memory_area, 0, &op));
    op.addr.v = NULL;
    result("area.runstate.none", vcpu_op(VCPUOP_register_runstate_memory_area, 0, &op));
    result("area.runstate.none.1", vcpu_op(VCPUOP_register_runstate_memory_area, 1, &op));
    result("area.runstate.2", vcpu_op(VCPUOP_register_runstate_memory_area, 2, &op));
}

static void check_time(void)
{
    static struct vcpu_time_info area;
    struct vcpu_register_time_memory_area op = { .addr.v = &area };

    result("area.time", vcpu_op(VCPUOP_register_vcpu_time_memory_area, 0, &op));
    result("area.time.version", area.version & 1);
    result("area.time.scale", area.tsc_to_system_mul == vcpu_infos[0]->time.tsc_to_system_mul);
    op.addr.v = BAD_POINTER;
    result("area.time.not_there", vcpu_op(VCPUOP_register_vcpu_time_memory_area, 0, &op));
    op.addr.v = XEN_POINTER;
    result("area.time.xen", vcpu_op(VCPUOP_register_vcpu_time_memory_area, 0, &op));
    result("area.time.bad", vcpu_op(VCPUOP_register_vcpu_time_memory_area, 0, BAD_POINTER));
    result("area.time.2", vcpu_op(VCPUOP_register_vcpu_time_memory_area, 2, &op));
    op.addr.v = NULL;
    result("area.time.none", vcpu_op(VCPUOP_register_vcpu_time_memory_area, 0, &op));
}

static void check_ids(void)
{
    static struct vcpu_get_physid id;

    result("area.physid", vcpu_op(VCPUOP_get_physid, 0, &id));
    result("area.physid.2", vcpu_op(VCPUOP_get_physid, 2, &id));
    result("area.physid.bad", vcpu_op(VCPUOP_get_physid, 0, BAD_POINTER));
    result("area.nmi.2", vcpu_op(VCPUOP_send_nmi, 2, NULL));
}

static volatile unsigned int ticks;

static void on_timer(evtchn_port_t port)
{
    (void)port;
    ticks++;
}

static long one_shot(uint64_t at, uint32_t flags)
{
    struct vcpu_set_singleshot_timer op = { .timeout_abs_ns = at, .flags = flags };

    return vcpu_op(VCPUOP_set_singleshot_timer, 0, &op);
}

static void timer_case(const char *name, long rc)
{
    clock_sleep(2 * MS);
    resultf(name, "%ld, %u ticks", rc, ticks);
    ticks = 0;
}

static void check_deadlines(void)
{
    evtchn_port_t port = (evtchn_port_t)event_bind_virq(VIRQ_TIMER, 0);

    event_handle(port, 0, on_timer);
    upcalls_enable();
    timer_case("deadline.op.1", set_timer_op(1));
    timer_case("deadline.op.far", set_timer_op(1UL << 49));
    timer_case("deadline.op.beyond", set_timer_op(1UL << 62));
    timer_case("deadline.op.negative", set_timer_op(~0UL));
    timer_case("deadline.op.0", set_timer_op(0));
    timer_case("deadline.single.0", one_shot(0, 0));
    timer_case("deadline.single.1", one_shot(1, 0));
    timer_case("deadline.single.far", one_shot(1UL << 62, 0));
    timer_case("deadline.single.negative", one_shot(~0UL, 0));
    timer_case("deadline.single.flags", one_shot(1, ~0U));
    timer_case("deadline.single.stop", vcpu_op(VCPUOP_stop_singleshot_timer, 0, NULL));
    timer_case("deadline.periodic.max", timer_periodic(0, ~0UL));
    timer_case("deadline.periodic.1", timer_periodic(0, 1));
    timer_case("deadline.periodic.stop", timer_periodic(0, 0));
    upcalls_disable();
    timer_case("deadline.masked", set_timer_op(1));
    result("deadline.masked.pending", event_pending(port));
    event_clear(port);
    event_handle(port, 0, NULL);
    event_close(port);
    timer_case("deadline.no_port", set_timer_op(1));
    vcpu_infos[0]->evtchn_upcall_pending = 0;
}

void check_areas(void)
{
    upcalls_disable();
    check_runstate();
    check_time();
    check_ids();
    check_deadlines();
    check_info();
    upcalls_enable();
}
