/* SPDX-License-Identifier: MIT */
/* memory.c - memory_op: the queries, and changes that must be refused. */
#include "conform.h"

static void check_reservation(void)
{
    domid_t self = DOMID_SELF, none = 99;

    result("memory.maximum_ram_page", memory_op(XENMEM_maximum_ram_page, NULL) > 0);
    result("memory.current_reservation",
           memory_op(XENMEM_current_reservation, &self) >= (long)start_info->nr_pages);
    result("memory.maximum_reservation",
           memory_op(XENMEM_maximum_reservation, &self) >= (long)start_info->nr_pages);
    result("memory.current_reservation.no_domain", memory_op(XENMEM_current_reservation, &none));
    result("memory.current_reservation.bad", memory_op(XENMEM_current_reservation, BAD_POINTER));
    result("memory.maximum_reservation.no_domain", memory_op(XENMEM_maximum_reservation, &none));
    result("memory.maximum_gpfn.bad", memory_op(XENMEM_maximum_gpfn, BAD_POINTER));
}

static void check_m2p(void)
{
    struct xen_machphys_mapping mapping = { 0 };
    struct xen_machphys_mfn_list list = { .max_extents = 1 };
    static xen_pfn_t extents[1];

    result("memory.machphys_mapping", memory_op(XENMEM_machphys_mapping, &mapping));
    result_hex("memory.machphys_mapping.start", mapping.v_start);
    result_hex("memory.machphys_mapping.end", mapping.v_end);
    result("memory.machphys_mapping.max_mfn", mapping.max_mfn > 0);
    result("memory.machphys_mapping.bad", memory_op(XENMEM_machphys_mapping, BAD_POINTER));
    set_xen_guest_handle(list.extent_start, extents);
    result("memory.machphys_mfn_list", memory_op(XENMEM_machphys_mfn_list, &list));
    result("memory.machphys_mfn_list.extents", list.nr_extents);
    result("memory.machphys_mfn_list.bad", memory_op(XENMEM_machphys_mfn_list, BAD_POINTER));
}

static void check_map(void)
{
    static char entries[20 * 32];
    struct xen_memory_map map = { .nr_entries = 32 };

    set_xen_guest_handle(map.buffer, entries);
    result("memory.memory_map", memory_op(XENMEM_memory_map, &map));
    result("memory.memory_map.bad", memory_op(XENMEM_memory_map, BAD_POINTER));
    map.nr_entries = 32;
    result("memory.machine_memory_map", memory_op(XENMEM_machine_memory_map, &map));
    result("memory.machine_memory_map.entries", map.nr_entries > 1);
    map.nr_entries = 0;
    result("memory.machine_memory_map.no_room", memory_op(XENMEM_machine_memory_map, &map));
    result("memory.machine_memory_map.bad", memory_op(XENMEM_machine_memory_map, BAD_POINTER));
}

/* Changes of the reservation: here only the requests that change nothing. */
static void check_change(void)
{
    static xen_pfn_t frames[1] = { 0xfffffffffUL };
    struct xen_memory_reservation op = { .nr_extents = 0, .domid = DOMID_SELF };

    set_xen_guest_handle(op.extent_start, frames);
    result("memory.increase.none", memory_op(XENMEM_increase_reservation, &op));
    result("memory.decrease.none", memory_op(XENMEM_decrease_reservation, &op));
    result("memory.populate.none", memory_op(XENMEM_populate_physmap, &op));
    op.nr_extents = 1;
    result("memory.decrease.bad_frame", memory_op(XENMEM_decrease_reservation, &op));
    op.extent_order = 63;
    result("memory.increase.order_63", memory_op(XENMEM_increase_reservation, &op));
    op.extent_order = 0;
    op.domid = 99;
    result("memory.decrease.no_domain", memory_op(XENMEM_decrease_reservation, &op));
    result("memory.decrease.bad", memory_op(XENMEM_decrease_reservation, BAD_POINTER));
    result("memory.increase.bad", memory_op(XENMEM_increase_reservation, BAD_POINTER));
    result("memory.exchange.bad", memory_op(XENMEM_exchange, BAD_POINTER));
}

void check_memory(void)
{
    check_reservation();
    check_m2p();
    check_map();
    check_change();
    result("memory.unknown.40", memory_op(40, NULL));
    result("memory.unknown.63", memory_op(63, NULL));
    result("memory.add_to_physmap.bad", memory_op(XENMEM_add_to_physmap, BAD_POINTER));
}
