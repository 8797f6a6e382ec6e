/* SPDX-License-Identifier: MIT */
/*
 * grant_pte.c - mappings named by the machine address of a page table entry, mappings that another
 * one replaces, and what a mapped grant's entry may be used for otherwise.
 */
#include "gnttab.h"

#define PTE (GNTMAP_host_map | GNTMAP_contains_pte)

static uint64_t pte_at(unsigned int window)
{
    return l1e_maddr(gnt_windows[window]);
}

static void attempt(const char *name, uint64_t host, uint32_t flags)
{
    struct gnttab_unmap_grant_ref op = { .host_addr = host };
    char text[64];

    fmt_snprintf(text, sizeof(text), "grant.pte.%s", name);
    op.handle = gnt_map(text, host, flags, REF, 0);
    if (op.handle != NO_HANDLE) {
        if (!(flags & GNTMAP_host_map)) {
            op.host_addr = 0;
            op.dev_bus_addr = gnt_entry(REF)->frame * PAGE_SIZE;
        }
        gnt_op(GNTTABOP_unmap_grant_ref, &op, 1);
    }
    gnt_window_back(0);
}

static void check_pte(void)
{
    grant_handle_t h;

    gnt_give(REF, RW, 0, virt_to_mfn(gnt_given[0]));
    attempt("unaligned", pte_at(0) + 4, PTE);
    attempt("data_page", virt_to_mfn(other_page) * PAGE_SIZE, PTE);
    attempt("l2", virt_to_mfn(page_table(2, scratch_page)) * PAGE_SIZE, PTE);
    attempt("not_ours", 0x9f000, PTE);
    attempt("no_frame", 0xfffffff0000UL, PTE);
    attempt("max", ~7UL, PTE);
    attempt("virtual", gnt_window_at(0), PTE);
    attempt("read", pte_at(0), PTE | GNTMAP_readonly);
    attempt("application", pte_at(0), PTE | GNTMAP_application_map);
    attempt("avail", pte_at(0), PTE | 7U << 16);
    attempt("device_alone", pte_at(0), GNTMAP_device_map | GNTMAP_contains_pte);
    attempt("alone", pte_at(0), GNTMAP_contains_pte);
    h = gnt_map("grant.pte.map", pte_at(0), PTE, REF, 0);
    gnt_unmap("grant.pte.unmap.virtual", gnt_window_at(0), 0, h);
    gnt_unmap("grant.pte.unmap.other", pte_at(1), 0, h);
    gnt_unmap("grant.pte.unmap.unaligned", pte_at(0) + 4, 0, h);
    gnt_unmap("grant.pte.unmap", pte_at(0), 0, h);
    gnt_window_back(0);
    h = gnt_map("grant.pte.map_virtual", gnt_window_at(0), GNTMAP_host_map, REF, 0);
    gnt_unmap("grant.pte.unmap_by_pte", pte_at(0), 0, h);
    gnt_unmap("grant.pte.unmap_virtual", gnt_window_at(0), 0, h);
    gnt_window_back(0);
}

static long change(unsigned long flags)
{
    const uint64_t *l1 = page_table(1, gnt_windows[0]);
    uint64_t now = l1[gnt_window_at(0) / PAGE_SIZE & 511];

    return update_va_mapping(gnt_windows[0], flags ? (now & 0xffffffffff000UL) | flags : 0,
                             UVMF_INVLPG);
}

/*
 * The guest handles the entry itself instead of the calls made for it, which may leave the grant
 * mapped for good: each on a grant of its own.
 */
static void by_hand(const char *name, grant_ref_t ref, uint32_t flags, unsigned long entry)
{
    grant_handle_t h;
    char text[64];

    gnt_give(ref, RW, 0, virt_to_mfn(gnt_given[2]));
    h = gnt_map_quietly(gnt_window_at(0), GNTMAP_host_map | flags, ref, 0);
    fmt_snprintf(text, sizeof(text), "grant.hand.%s", name);
    result(text, change(entry));
    fmt_snprintf(text, sizeof(text), "grant.hand.%s.pte", name);
    result_hex(text, gnt_window_flags(0));
    fmt_snprintf(text, sizeof(text), "grant.hand.%s.unmap", name);
    gnt_unmap(text, gnt_window_at(0), 0, h);
    fmt_snprintf(text, sizeof(text), "grant.hand.%s.entry", name);
    result_hex(text, gnt_entry(ref)->flags);
    gnt_window_back(0);
}

static void check_guests_hand(void)
{
    by_hand("read_only", 40, 0, 0x21);
    by_hand("not_present", 41, 0, 0);
    by_hand("writable", 42, GNTMAP_readonly, 0x63);
    by_hand("avail", 43, 0, 0x263);
    by_hand("same", 44, 0, 0x63);
}

static void replace(const char *name, uint64_t host, uint64_t new, grant_handle_t handle)
{
    struct gnttab_unmap_and_replace op = {
        .host_addr = host,
        .new_addr = new,
        .handle = handle,
        .status = 77,
    };
    long rc = gnt_op(GNTTABOP_unmap_and_replace, &op, 1);

    resultf(name, "%ld status %d entry 0x%x pte 0x%lx other 0x%lx", rc, op.status,
            gnt_entry(REF)->flags, gnt_window_flags(0), gnt_window_flags(1));
}

static void check_replace(void)
{
    uint64_t at = gnt_window_at(0), new = gnt_window_at(1);
    grant_handle_t h = gnt_map_quietly(at, GNTMAP_host_map, REF, 0);

    words_of(gnt_windows[1])[0] = 1234;
    replace("grant.replace.bad_handle", at, new, ~0U);
    replace("grant.replace.other_page", gnt_window_at(2), new, h);
    gnt_window_back(1);
    replace("grant.replace.new_no_l1", at, 0x10000000000, h);
    replace("grant.replace.new_xen", at, ARG(XEN_POINTER), h);
    replace("grant.replace", at, new, h);
    result("grant.replace.value", (long)words_of(gnt_windows[0])[0]);
    replace("grant.replace.again", at, new, h);
    gnt_window_back(0);
    gnt_window_back(1);
    h = gnt_map_quietly(at, GNTMAP_host_map, REF, 0);
    replace("grant.replace.new_odd", at, new + 8, h);
    gnt_window_back(0);
    gnt_window_back(1);
    h = gnt_map_quietly(at, GNTMAP_host_map, REF, 0);
    replace("grant.replace.by_nothing", at, 0, h);
    gnt_unmap("grant.replace.by_nothing.left", at, 0, h);
    gnt_window_back(0);
    h = gnt_map_quietly(at, GNTMAP_host_map, REF, 0);
    update_va_mapping(gnt_windows[1], 0, UVMF_INVLPG);
    replace("grant.replace.by_empty", at, new, h);
    gnt_window_back(0);
    gnt_window_back(1);
    h = gnt_map_quietly(pte_at(0), PTE, REF, 0);
    replace("grant.replace.pte", pte_at(0), new, h);
    gnt_unmap("grant.replace.pte.left", pte_at(0), 0, h);
    gnt_window_back(0);
    gnt_window_back(1);
}

static long pin(unsigned int cmd, unsigned long frame)
{
    struct mmuext_op op = { .cmd = cmd };

    op.arg1.mfn = frame;
    return mmuext_op(&op, 1, NULL, DOMID_SELF);
}

/* A granted page as a page table: its writable mapping, the owner's own, and the grant's. */
static void check_types(void)
{
    unsigned long frame = virt_to_mfn(gnt_given[3]);
    grant_handle_t h;

    page_fill(gnt_given[3], 0);
    gnt_give(REF, RW, 0, frame);
    update_va_mapping(gnt_given[3], frame * PAGE_SIZE | 0x21, UVMF_INVLPG);
    h = gnt_map_quietly(gnt_window_at(0), GNTMAP_host_map, REF, 0);
    result("grant.type.pin_while_mapped", pin(MMUEXT_PIN_L1_TABLE, frame));
    gnt_unmap("grant.type.unmap", gnt_window_at(0), 0, h);
    gnt_window_back(0);
    result("grant.type.pin", pin(MMUEXT_PIN_L1_TABLE, frame));
    gnt_map("grant.type.map_pinned", gnt_window_at(0), GNTMAP_host_map, REF, 0);
    h = gnt_map("grant.type.map_pinned.read", gnt_window_at(0), GNTMAP_host_map | GNTMAP_readonly,
                REF, 0);
    result("grant.type.unpin", pin(MMUEXT_UNPIN_TABLE, frame));
    gnt_unmap("grant.type.unmap.read", gnt_window_at(0), 0, h);
    gnt_window_back(0);
    h = gnt_map_quietly(gnt_window_at(0), GNTMAP_device_map, REF, 0);
    result("grant.type.pin_while_device", pin(MMUEXT_PIN_L1_TABLE, frame));
    gnt_unmap("grant.type.unmap.device", 0, frame * PAGE_SIZE, h);
    h = gnt_map_quietly(gnt_window_at(0), GNTMAP_device_map | GNTMAP_readonly, REF, 0);
    result("grant.type.pin_while_device_read", pin(MMUEXT_PIN_L1_TABLE, frame));
    gnt_unmap("grant.type.unmap.device_read", 0, frame * PAGE_SIZE, h);
    result("grant.type.unpin_then", pin(MMUEXT_UNPIN_TABLE, frame));
    update_va_mapping(gnt_given[3], frame * PAGE_SIZE | 0x63, UVMF_INVLPG);
    gnt_give(REF, 0, 0, 0);
}

void check_grant_pte(void)
{
    check_pte();
    check_guests_hand();
    check_replace();
    check_types();
}
