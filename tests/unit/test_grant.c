/* SPDX-License-Identifier: MIT */
/* sources: tests/unit/grant_world.c lib/spinlock.c lib/printf.c lib/str.c kernel/grant.c
 * kernel/grant_table.c kernel/grant_handle.c kernel/ops/grant_op.c kernel/ops/grant_copy.c
 * kernel/ops/grant_setup.c */
/* tsan */
/*
 * HYPERVISOR_grant_table_op as guests see it: every status and error, the flags in the entries,
 * limits, lists that give way, memory that runs out, pointers that go bad half-way; then threads of
 * three domains that do all of it to each other until they die.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include <xen/memory.h>

#include "grant_world.h"

#define MAP_HOST ((u32)GNTMAP_host_map)
#define MAP_RO ((u32)(GNTMAP_host_map | GNTMAP_readonly))
#define MAP_DEVICE ((u32)GNTMAP_device_map)
#define MAP_PTE ((u32)(GNTMAP_host_map | GNTMAP_contains_pte))
#define FIRST(dom) ((u32)((dom)*FRAMES)) /* its first frame */

static int setup(void **state)
{
    (void)state;
    world_reset();
    for (u32 d = 0; d < DOMS; d++) {
        world_domain_make(d, 8);
    }
    return 0;
}

/* Whatever a test did: death gives back all pages, frames and domains. */
static int teardown(void **state)
{
    (void)state;
    world_unreadable = world_unwritable = 0;
    world_flush = NULL;
    for (u32 d = 0; d < DOMS; d++) {
        if (world[d].exists && world[d].d.dying == DOMAIN_ALIVE) {
            world_domain_kill(d);
        }
    }
    for (u32 d = 0; d < DOMS; d++) {
        assert_false(world[d].exists);
    }
    for (u32 f = 0; f < ALL_FRAMES; f++) {
        assert_int_equal(world_frame[f].refs, 0);
        assert_int_equal(world_frame[f].types, 0);
    }
    assert_int_equal(world_pages, 0);
    assert_int_equal(world_shared, 0);
    return 0;
}

static long setup_table(u32 as, domid_t dom, u32 nr, s16 *status)
{
    static xen_pfn_t list[300];
    struct gnttab_setup_table op = { .dom = dom, .nr_frames = nr, .frame_list.p = list };
    long rc = world_op(as, 0, GNTTABOP_setup_table, &op, 1);

    *status = op.status;
    return rc;
}

static void make_table(u32 dom, u32 frames)
{
    s16 status;

    assert_int_equal(setup_table(dom, DOMID_SELF, frames, &status), 0);
    assert_int_equal(status, GNTST_okay);
}

static void grant(u32 dom, u32 ref, u32 to, u32 frame, u16 flags)
{
    volatile grant_entry_v1_t *e;

    if (world[dom].d.grants.nr_frames == 0) {
        make_table(dom, 1);
    }
    e = world_entry(dom, ref);
    e->domid = (domid_t)to;
    e->frame = frame;
    e->flags = (u16)(GTF_permit_access | flags);
}

static u16 in_use(u32 dom, u32 ref)
{
    return world_entry(dom, ref)->flags & (GTF_reading | GTF_writing);
}

static struct gnttab_map_grant_ref map_op(u64 addr, u32 flags, u32 dom, u32 ref)
{
    return (struct gnttab_map_grant_ref){
        .host_addr = addr, .flags = flags, .dom = (domid_t)dom, .ref = ref, .status = 77
    };
}

static s16 map(u32 as, u64 addr, u32 flags, u32 dom, u32 ref, u32 *handle)
{
    struct gnttab_map_grant_ref op = map_op(addr, flags, dom, ref);

    assert_int_equal(world_op(as, 0, GNTTABOP_map_grant_ref, &op, 1), 0);
    if (op.status == GNTST_okay) {
        assert_int_equal(op.dev_bus_addr,
                         mfn_to_paddr(grant_pinned_frame(&world[dom].d.grants, ref)));
    }
    *handle = op.handle;
    return op.status;
}

static s16 unmap(u32 as, u64 addr, u64 device, u32 handle)
{
    struct gnttab_unmap_grant_ref op = { addr, device, handle, 77 };

    assert_int_equal(world_op(as, 0, GNTTABOP_unmap_grant_ref, &op, 1), 0);
    return op.status;
}

static s16 replace(u32 as, u64 addr, u64 new_addr, u32 handle)
{
    struct gnttab_unmap_and_replace op = { addr, new_addr, handle, 77 };

    assert_int_equal(world_op(as, 0, GNTTABOP_unmap_and_replace, &op, 1), 0);
    return op.status;
}

static void test_bad_calls(void **state)
{
    static const struct {
        u32 cmd;
        long rc;
    } on_null[] = {
        { GNTTABOP_map_grant_ref, -EFAULT },
        { GNTTABOP_unmap_grant_ref, -EFAULT },
        { GNTTABOP_setup_table, -EFAULT },
        { GNTTABOP_dump_table, -ENOSYS },
        { GNTTABOP_transfer, -EOPNOTSUPP },
        { GNTTABOP_copy, -EFAULT },
        { GNTTABOP_query_size, -EFAULT },
        { GNTTABOP_unmap_and_replace, -EFAULT },
        { GNTTABOP_set_version, -EFAULT },
        { GNTTABOP_get_status_frames, -EFAULT },
        { GNTTABOP_get_version, -EFAULT },
        { GNTTABOP_swap_grant_ref, -EFAULT },
        { GNTTABOP_cache_flush, -EFAULT },
        { 13, -ENOSYS },
        { 4095, -ENOSYS },
        { 4096, -EINVAL },
        { 0x80000000u, -EINVAL },
    };

    (void)state;
    for (u32 i = 0; i < ARRAY_SIZE(on_null); i++) {
        assert_int_equal(world_op(1, 0, on_null[i].cmd, NULL, 1), on_null[i].rc);
        assert_int_equal(world_op(1, 0, on_null[i].cmd, NULL, 0x80000000u), -EINVAL);
    }
    for (u32 cmd = GNTTABOP_map_grant_ref; cmd <= GNTTABOP_unmap_and_replace; cmd++) {
        bool list = cmd != GNTTABOP_setup_table && cmd != GNTTABOP_dump_table &&
                    cmd != GNTTABOP_transfer && cmd != GNTTABOP_query_size;

        if (list) {
            assert_int_equal(world_op(1, 0, cmd, NULL, 0), 0);
            assert_int_equal(world_op(1, 0, cmd, (void *)HV_START, 0), -EFAULT);
        }
    }
    assert_int_equal(world_op(1, 0, GNTTABOP_transfer, (void *)HV_START, 1), -EFAULT);
    assert_int_equal(world_op(1, 0, GNTTABOP_setup_table, NULL, 0), -EINVAL);
    assert_int_equal(world_op(1, 0, GNTTABOP_setup_table, NULL, 2), -EINVAL);
    assert_int_equal(world_op(1, 0, GNTTABOP_query_size, NULL, 2), -EINVAL);
    /* the command and the count are ints */
    assert_int_equal(world_op(1, 0, 1UL << 32, NULL, 1UL << 32), 0);
}

static void test_table(void **state)
{
    struct gnttab_query_size q = { .dom = DOMID_SELF };
    s16 status;

    (void)state;
    assert_int_equal(world_op(1, 0, GNTTABOP_query_size, &q, 1), 0);
    assert_int_equal(q.nr_frames, 1);
    assert_int_equal(q.max_nr_frames, 2);
    assert_int_equal(world[1].d.grants.nr_frames, 0);
    assert_int_equal(setup_table(1, DOMID_SELF, 0, &status), 0);
    assert_int_equal(status, GNTST_okay);
    assert_int_equal(setup_table(1, DOMID_SELF, 3, &status), 0);
    assert_int_equal(status, GNTST_general_error);
    assert_int_equal(setup_table(1, 2, 1, &status), 0);
    assert_int_equal(status, GNTST_permission_denied);
    assert_int_equal(setup_table(1, 99, 1, &status), 0);
    assert_int_equal(status, GNTST_bad_domain);
    assert_int_equal(setup_table(0, 1, 2, &status), 0);
    assert_int_equal(status, GNTST_okay);
    assert_int_equal(world_shared, 2);
    assert_int_equal(setup_table(1, 1, 1, &status), 0);
    assert_int_equal(status, GNTST_okay);
    assert_int_equal(world[1].d.grants.nr_frames, 2);
    q.dom = 2;
    assert_int_equal(world_op(1, 0, GNTTABOP_query_size, &q, 1), 0);
    assert_int_equal(q.status, GNTST_permission_denied);
    q.dom = 1;
    assert_int_equal(world_op(0, 0, GNTTABOP_query_size, &q, 1), 0);
    assert_int_equal(q.nr_frames, 2);
}

static void test_table_list(void **state)
{
    xen_pfn_t list[3] = { 1, 1, 1 };
    struct gnttab_setup_table op = { .dom = DOMID_SELF, .nr_frames = 2, .frame_list.p = list };

    (void)state;
    world_unwritable = (u64)&list[1];
    op.frame_list.p = &list[1];
    /* the structure lies below or above, too: it must be writable in any case */
    if ((u64)&op > (u64)list) {
        assert_int_equal(world_op(1, 0, GNTTABOP_setup_table, &op, 1), -EFAULT);
    } else {
        assert_int_equal(world_op(1, 0, GNTTABOP_setup_table, &op, 1), 0);
        assert_int_equal(op.status, GNTST_bad_virt_addr);
    }
    world_unwritable = 0;
    op.frame_list.p = list;
    assert_int_equal(world_op(1, 0, GNTTABOP_setup_table, &op, 1), 0);
    assert_int_equal(op.status, GNTST_okay);
    assert_true(list[0] != list[1] && list[2] == 1);
}

static void test_versions(void **state)
{
    struct gnttab_set_version set = { 1 };
    struct gnttab_get_version get = { .dom = DOMID_SELF };
    struct gnttab_get_status_frames frames = { .dom = DOMID_SELF, .nr_frames = 1 };

    (void)state;
    assert_int_equal(world_op(1, 0, GNTTABOP_set_version, &set, 1), 0);
    set.version = 2;
    assert_int_equal(world_op(1, 0, GNTTABOP_set_version, &set, 1), -ENOSYS);
    assert_int_equal(set.version, 1);
    set.version = 3;
    assert_int_equal(world_op(1, 0, GNTTABOP_set_version, &set, 1), -EINVAL);
    assert_int_equal(world_op(1, 0, GNTTABOP_get_version, &get, 1), 0);
    assert_int_equal(get.version, 1);
    get.dom = 2;
    assert_int_equal(world_op(1, 0, GNTTABOP_get_version, &get, 1), -EPERM);
    assert_int_equal(world_op(0, 0, GNTTABOP_get_version, &get, 1), 0);
    get.dom = 77;
    assert_int_equal(world_op(0, 0, GNTTABOP_get_version, &get, 1), -ESRCH);
    assert_int_equal(world_op(1, 0, GNTTABOP_get_status_frames, &frames, 1), 0);
    assert_int_equal(frames.status, GNTST_general_error);
    frames.nr_frames = 0;
    assert_int_equal(world_op(1, 0, GNTTABOP_get_status_frames, &frames, 1), 0);
    assert_int_equal(frames.status, GNTST_okay);
}

static void test_refused(void **state)
{
    struct gnttab_transfer t[2] = { { .mfn = FIRST(1), .domid = 2 }, { .mfn = ~0UL } };
    struct gnttab_cache_flush flush = { .offset = 4095, .length = 1, .op = GNTTAB_CACHE_CLEAN };

    (void)state;
    assert_int_equal(world_op(1, 0, GNTTABOP_transfer, t, 2), -EOPNOTSUPP);
    assert_int_equal(world_frame[FIRST(1)].owner, 1);
    assert_int_equal(world_op(1, 0, GNTTABOP_cache_flush, &flush, 1), -EPERM);
    flush.a.dev_bus_addr = (u64)FIRST(1) << PAGE_SHIFT;
    assert_int_equal(world_op(1, 0, GNTTABOP_cache_flush, &flush, 1), 0);
    assert_int_equal(world_frame[FIRST(1)].refs, 1);
    flush.op = GNTTAB_CACHE_INVAL;
    assert_int_equal(world_op(1, 0, GNTTABOP_cache_flush, &flush, 1), -EOPNOTSUPP);
    flush.op = GNTTAB_CACHE_CLEAN | GNTTAB_CACHE_SOURCE_GREF;
    assert_int_equal(world_op(1, 0, GNTTABOP_cache_flush, &flush, 1), -EOPNOTSUPP);
    flush.op = GNTTAB_CACHE_CLEAN | 4;
    assert_int_equal(world_op(1, 0, GNTTABOP_cache_flush, &flush, 1), -EINVAL);
    flush.op = GNTTAB_CACHE_CLEAN;
    flush.length = 2;
    assert_int_equal(world_op(1, 0, GNTTABOP_cache_flush, &flush, 1), -EINVAL);
    flush.length = 0;
    assert_int_equal(world_op(1, 0, GNTTABOP_cache_flush, &flush, 1), 0);
}

static void test_map(void **state)
{
    u32 h, h2;

    (void)state;
    grant(1, 8, 2, FIRST(1), 0);
    assert_int_equal(map(2, SLOT_VA(0), MAP_HOST, 1, 8, &h), GNTST_okay);
    assert_int_equal(world[2].slot[0].frame, FIRST(1));
    assert_int_equal(in_use(1, 8), GTF_reading | GTF_writing);
    assert_int_equal(world_frame[FIRST(1)].refs, 3);
    assert_int_equal(world_frame[FIRST(1)].types, 1);
    assert_int_equal(map(2, SLOT_PTE(1), MAP_PTE | GNTMAP_readonly, 1, 8, &h2), GNTST_okay);
    assert_int_equal(world[2].slot[1].frame, FIRST(1));
    assert_int_equal(unmap(2, SLOT_VA(0), 0, h), GNTST_okay);
    assert_int_equal(in_use(1, 8), GTF_reading);
    assert_int_equal(unmap(2, SLOT_VA(0), 0, h), GNTST_bad_handle);
    assert_int_equal(unmap(2, SLOT_PTE(1), 0, h2), GNTST_okay);
    assert_int_equal(in_use(1, 8), 0);
    assert_int_equal(world_frame[FIRST(1)].refs, 1);
    assert_int_equal(world[1].d.refcnt, 2);
}

/* What the entry says, and what may be done with it */
static void test_map_entries(void **state)
{
    static const struct {
        u32 to, frame;
        u16 flags;
        u32 as;
        s16 status;
    } cases[] = {
        { 2, FIRST(1), 0, MAP_HOST, GNTST_okay },
        { 3, FIRST(1), 0, MAP_HOST, GNTST_general_error },
        { DOMID_SELF, FIRST(1), 0, MAP_HOST, GNTST_general_error },
        { 2, FIRST(1), GTF_readonly, MAP_HOST, GNTST_general_error },
        { 2, FIRST(1), GTF_readonly, MAP_DEVICE, GNTST_general_error },
        { 2, FIRST(1), GTF_readonly, MAP_RO, GNTST_okay },
        { 2, FIRST(1), GTF_sub_page, MAP_RO, GNTST_general_error },
        { 2, FIRST(1), GTF_accept_transfer, MAP_RO, GNTST_general_error }, /* both: transitive */
        { 2, FIRST(1), GTF_PWT | GTF_PCD | GTF_PAT, MAP_RO, GNTST_okay },
        { 2, FIRST(2), 0, MAP_HOST, GNTST_bad_page },    /* the grantee's own */
        { 2, FIRST(3), 0, MAP_HOST, GNTST_bad_page },    /* a third one's */
        { 2, FIRST(1) + 20, 0, MAP_RO, GNTST_bad_page }, /* nobody's */
        { 2, ~0u, 0, MAP_RO, GNTST_bad_page },
        { 2, FIRST(1) + 1, 0, MAP_HOST, GNTST_general_error }, /* a page table */
        { 2, FIRST(1) + 1, 0, MAP_DEVICE, GNTST_general_error },
        { 2, FIRST(1) + 1, 0, MAP_RO, GNTST_okay },
    };

    (void)state;
    world_frame[FIRST(1) + 1].table = true;
    for (u32 i = 0; i < ARRAY_SIZE(cases); i++) {
        u32 h;

        grant(1, 9, cases[i].to, cases[i].frame, cases[i].flags);
        assert_int_equal(map(2, SLOT_VA(0), cases[i].as, 1, 9, &h), cases[i].status);
        assert_int_equal(in_use(1, 9) != 0, cases[i].status == GNTST_okay);
        if (cases[i].status == GNTST_okay) {
            assert_int_equal(unmap(2, SLOT_VA(0), 0, h), GNTST_okay);
        }
        assert_int_equal(in_use(1, 9), 0);
        assert_int_equal(world[2].slot[0].frame, NO_FRAME);
    }
    world_frame[FIRST(1) + 1].table = false;
}

static void test_map_arguments(void **state)
{
    u32 h;

    (void)state;
    assert_int_equal(map(2, SLOT_VA(0), MAP_HOST, 1, 0, &h), GNTST_general_error);
    assert_int_equal(map(2, SLOT_VA(0), MAP_HOST, 1, 512, &h), GNTST_bad_gntref);
    grant(1, 9, 2, FIRST(1), 0);
    assert_int_equal(map(2, SLOT_VA(0), MAP_HOST, 1, 512, &h), GNTST_bad_gntref);
    assert_int_equal(map(2, SLOT_VA(0), MAP_HOST, 1, ~0u, &h), GNTST_bad_gntref);
    assert_int_equal(map(2, SLOT_VA(0), 0, 1, 9, &h), GNTST_bad_gntref);
    assert_int_equal(map(2, SLOT_VA(0), GNTMAP_readonly, 1, 9, &h), GNTST_bad_gntref);
    assert_int_equal(map(2, SLOT_VA(0), MAP_HOST, 99, 9, &h), GNTST_bad_domain);
    assert_int_equal(map(2, SLOT_VA(0), MAP_HOST, DOMID_SELF, 9, &h), GNTST_bad_domain);
    assert_int_equal(map(2, SLOT_VA(SLOTS), MAP_HOST, 1, 9, &h), GNTST_general_error);
    assert_int_equal(map(2, SLOT_PTE(1) + 1, MAP_PTE, 1, 9, &h), GNTST_general_error);
    assert_int_equal(in_use(1, 9), 0);
    assert_int_equal(world_frame[FIRST(1)].refs, 1);
}

/* A domain may map what it grants itself. */
static void test_map_own(void **state)
{
    u32 h;

    (void)state;
    grant(1, 9, 1, FIRST(1), 0);
    assert_int_equal(map(1, SLOT_VA(0), MAP_HOST, 1, 9, &h), GNTST_okay);
    assert_int_equal(world[1].d.refcnt, 3);
    assert_int_equal(unmap(1, SLOT_VA(0), 0, h), GNTST_okay);
    assert_int_equal(map(1, SLOT_VA(0), MAP_HOST, 1, 9, &h), GNTST_okay);
}

static void test_device(void **state)
{
    u64 bus = (u64)FIRST(1) << PAGE_SHIFT;
    u32 h;

    (void)state;
    grant(1, 9, 2, FIRST(1), 0);
    assert_int_equal(map(2, 0, MAP_DEVICE, 1, 9, &h), GNTST_okay);
    assert_int_equal(world_frame[FIRST(1)].types, 1);
    assert_int_equal(unmap(2, SLOT_VA(0), 0, h), GNTST_okay); /* not mapped for a host: ignored */
    assert_int_equal(unmap(2, 0, bus + PAGE_SIZE, h), GNTST_bad_dev_addr);
    assert_int_equal(unmap(2, 0, bus, h), GNTST_okay);
    assert_int_equal(world_frame[FIRST(1)].types, 0);
    assert_int_equal(unmap(2, 0, bus, h), GNTST_bad_handle);
    /* both kinds, let go one after the other */
    assert_int_equal(map(2, SLOT_VA(0), MAP_HOST | MAP_DEVICE, 1, 9, &h), GNTST_okay);
    assert_int_equal(world_frame[FIRST(1)].types, 2);
    assert_int_equal(unmap(2, SLOT_VA(0), bus + 1, h), GNTST_bad_dev_addr);
    assert_int_equal(world[2].slot[0].frame, FIRST(1));
    assert_int_equal(unmap(2, SLOT_VA(0), 0, h), GNTST_okay);
    assert_int_equal(in_use(1, 9), GTF_reading | GTF_writing);
    assert_int_equal(unmap(2, SLOT_VA(0), 0, h), GNTST_okay);
    assert_int_equal(unmap(2, 0, bus, h), GNTST_okay);
    assert_int_equal(in_use(1, 9), 0);
    /* no device mapping is left behind when the host's is impossible */
    assert_int_equal(map(2, SLOT_VA(SLOTS), MAP_HOST | MAP_DEVICE, 1, 9, &h), GNTST_general_error);
    assert_int_equal(world_frame[FIRST(1)].types, 0);
}

/* In one list, the same handle twice */
static void test_list_twice(void **state)
{
    u64 bus = (u64)FIRST(1) << PAGE_SHIFT;
    struct gnttab_unmap_grant_ref op[3] = { { SLOT_VA(0), 0, 0, 77 },
                                            { 0, bus, 0, 77 },
                                            { SLOT_VA(0), 0, 0, 77 } };
    u32 h;

    (void)state;
    grant(1, 9, 2, FIRST(1), 0);
    assert_int_equal(map(2, SLOT_VA(0), MAP_HOST | MAP_DEVICE, 1, 9, &h), GNTST_okay);
    op[0].handle = op[1].handle = op[2].handle = h;
    assert_int_equal(world_op(2, 0, GNTTABOP_unmap_grant_ref, op, 3), 0);
    assert_int_equal(op[0].status, GNTST_okay);
    assert_int_equal(op[1].status, GNTST_okay);
    assert_int_equal(op[2].status, GNTST_bad_handle);
    assert_int_equal(world_flushes, 1);
    assert_int_equal(in_use(1, 9), 0);
}

static void test_unmap_wrong(void **state)
{
    u32 h, h2;

    (void)state;
    grant(1, 9, 2, FIRST(1), 0);
    grant(1, 10, 2, FIRST(1) + 1, 0);
    assert_int_equal(map(2, SLOT_VA(0), MAP_HOST, 1, 9, &h), GNTST_okay);
    assert_int_equal(map(2, SLOT_VA(1), MAP_RO, 1, 9, &h2), GNTST_okay);
    assert_int_equal(unmap(2, SLOT_VA(1), 0, h), GNTST_general_error); /* other rights */
    assert_int_equal(unmap(2, SLOT_VA(0), 0, h2), GNTST_general_error);
    assert_int_equal(unmap(2, SLOT_VA(3), 0, h), GNTST_general_error); /* nothing there */
    assert_int_equal(unmap(2, SLOT_VA(SLOTS), 0, h), GNTST_general_error);
    world_slot_set(2, 4, FIRST(2), true);
    assert_int_equal(unmap(2, SLOT_VA(4), 0, h), GNTST_general_error); /* its own */
    assert_int_equal(unmap(2, SLOT_VA(0), 0, 255), GNTST_bad_handle);
    assert_int_equal(unmap(2, SLOT_VA(0), 0, 256), GNTST_bad_handle);
    assert_int_equal(unmap(2, SLOT_VA(0), 0, ~0u), GNTST_bad_handle);
    assert_int_equal(unmap(3, SLOT_VA(0), 0, h), GNTST_bad_handle);
    assert_int_equal(unmap(2, 0, 0, h), GNTST_okay); /* nothing is asked for */
    assert_int_equal(world_flushes, 0);
    assert_int_equal(in_use(1, 9), GTF_reading | GTF_writing);
    /* the guest took its mapping away itself: the handle stays, and the use with it */
    world_slot_set(2, 0, NO_FRAME, false);
    assert_int_equal(unmap(2, SLOT_VA(0), 0, h), GNTST_general_error);
    assert_int_equal(in_use(1, 9), GTF_reading | GTF_writing);
    assert_int_equal(unmap(2, SLOT_VA(1), 0, h2), GNTST_okay);
    assert_int_equal(in_use(1, 9), GTF_reading | GTF_writing);
    world_domain_kill(2);
    assert_int_equal(in_use(1, 9), 0);
}

static void test_replace(void **state)
{
    u32 h;

    (void)state;
    grant(1, 9, 2, FIRST(1), 0);
    world_slot_set(2, 1, FIRST(2), true);
    assert_int_equal(map(2, SLOT_VA(0), MAP_HOST, 1, 9, &h), GNTST_okay);
    assert_int_equal(replace(2, SLOT_VA(0), SLOT_VA(SLOTS), h), GNTST_general_error);
    assert_int_equal(replace(2, SLOT_VA(0), SLOT_VA(1), h), GNTST_okay);
    assert_int_equal(world[2].slot[0].frame, FIRST(2));
    assert_int_equal(world[2].slot[1].frame, NO_FRAME);
    assert_int_equal(world_frame[FIRST(2)].refs, 2);
    assert_int_equal(in_use(1, 9), 0);
    /* what finds no place is lost */
    assert_int_equal(map(2, SLOT_VA(1), MAP_HOST, 1, 9, &h), GNTST_okay);
    assert_int_equal(replace(2, SLOT_VA(2), SLOT_VA(0), h), GNTST_general_error);
    assert_int_equal(world[2].slot[0].frame, NO_FRAME);
    assert_int_equal(world_frame[FIRST(2)].refs, 1);
    assert_int_equal(unmap(2, SLOT_VA(1), 0, h), GNTST_okay);
    /* without a new one it is a plain unmap; with an entry's address only that */
    assert_int_equal(map(2, SLOT_VA(3), MAP_HOST, 1, 9, &h), GNTST_okay);
    assert_int_equal(replace(2, SLOT_VA(3), 0, h), GNTST_okay);
    assert_int_equal(map(2, SLOT_PTE(3), MAP_PTE, 1, 9, &h), GNTST_okay);
    assert_int_equal(replace(2, SLOT_PTE(3), SLOT_VA(0), h), GNTST_general_error);
    assert_int_equal(replace(2, SLOT_PTE(3), 0, h), GNTST_okay);
    assert_int_equal(in_use(1, 9), 0);
}

/* An entry counts to 128 of a kind. */
static void test_many_pins(void **state)
{
    u32 h[130], other;

    (void)state;
    grant(1, 9, 2, FIRST(1), 0);
    for (u32 i = 0; i < 128; i++) {
        assert_int_equal(map(2, 0, MAP_DEVICE | GNTMAP_readonly, 1, 9, &h[i]), GNTST_okay);
    }
    assert_int_equal(map(2, 0, MAP_DEVICE | GNTMAP_readonly, 1, 9, &other), GNTST_general_error);
    assert_int_equal(map(2, SLOT_VA(0), MAP_RO | MAP_DEVICE, 1, 9, &other), GNTST_general_error);
    assert_int_equal(map(2, 0, MAP_DEVICE, 1, 9, &h[128]), GNTST_okay);
    assert_int_equal(map(2, SLOT_VA(0), MAP_RO, 1, 9, &h[129]), GNTST_okay);
    assert_int_equal(unmap(2, 0, (u64)FIRST(1) << PAGE_SHIFT, h[128]), GNTST_okay);
    assert_int_equal(in_use(1, 9), GTF_reading);
    assert_int_equal(unmap(2, 0, (u64)FIRST(1) << PAGE_SHIFT, h[0]), GNTST_okay);
    assert_int_equal(map(2, 0, MAP_DEVICE | GNTMAP_readonly, 1, 9, &h[0]), GNTST_okay);
}

static void test_many_handles(void **state)
{
    u32 h, last = 0;

    (void)state;
    for (u32 i = 0; i < 4; i++) {
        grant(1, i, 2, FIRST(1), 0);
        grant(3, i, 2, FIRST(3), 0);
    }
    for (u32 i = 0; i < 256; i++) {
        assert_int_equal(map(2, 0, MAP_DEVICE, i % 2 ? 1 : 3, i / 64, &last), GNTST_okay);
    }
    assert_int_equal(map(2, 0, MAP_DEVICE, 1, 0, &h), GNTST_no_space);
    assert_int_equal(map(2, 0, MAP_DEVICE, 1, 10000, &h), GNTST_no_space);
    assert_int_equal(unmap(2, 0, (u64)FIRST(1) << PAGE_SHIFT, last), GNTST_okay);
    assert_int_equal(map(2, 0, MAP_DEVICE, 1, 0, &h), GNTST_okay);
    assert_int_equal(h, last);
    world_domain_kill(2); /* in steps */
    assert_int_equal(in_use(1, 0), 0);
    assert_int_equal(in_use(3, 3), 0);
}

static void test_no_handles(void **state)
{
    u32 h;

    (void)state;
    grant(1, 9, 2, FIRST(1), 0);
    grant_table_limit(&world[2].d.grants, 1, 0);
    assert_int_equal(map(2, 0, MAP_DEVICE, 1, 9, &h), GNTST_no_space);
    grant_table_limit(&world[2].d.grants, 1, 1);
    for (u32 more = 0; more < 2; more++) { /* pages: the list of handles, the handles */
        world_pages_allowed = world_pages + more;
        assert_int_equal(map(2, 0, MAP_DEVICE, 1, 9, &h), GNTST_no_space);
    }
    assert_int_equal(in_use(1, 9), 0);
    world_pages_allowed = ~0u;
    assert_int_equal(map(2, 0, MAP_DEVICE, 1, 9, &h), GNTST_okay);
}

static void test_no_memory(void **state)
{
    u32 before = world_pages;
    s16 status;

    (void)state;
    for (u32 more = 0; more < 4; more++) {
        world_pages_allowed = before + more;
        assert_int_equal(setup_table(1, DOMID_SELF, 1, &status), 0);
        assert_int_equal(status, GNTST_general_error);
        assert_int_equal(world[1].d.grants.nr_frames, 0);
        assert_true(world_pages <= before + 1); /* the list of frames may have come */
    }
    world_pages_allowed = ~0u;
    make_table(1, 2);
}

/* ---- Copies ---- */

static struct gnttab_copy copy_op(u32 from_dom, u32 from, u32 to_dom, u32 to, u16 flags)
{
    return (struct gnttab_copy){ .source = { .u.gmfn = from, .domid = (domid_t)from_dom },
                                 .dest = { .u.gmfn = to, .domid = (domid_t)to_dom },
                                 .len = 16,
                                 .flags = flags,
                                 .status = 77 };
}

static s16 copy(u32 as, struct gnttab_copy op)
{
    assert_int_equal(world_op(as, 0, GNTTABOP_copy, &op, 1), 0);
    return op.status;
}

static void test_copy(void **state)
{
    struct gnttab_copy op = copy_op(1, 9, DOMID_SELF, FIRST(2), GNTCOPY_source_gref);

    (void)state;
    grant(1, 9, 2, FIRST(1), GTF_readonly);
    grant(1, 10, 2, FIRST(1) + 1, GTF_sub_page); /* means nothing to a copy */
    grant(3, 9, 2, FIRST(3), 0);
    op.source.offset = 4080;
    op.dest.offset = 1;
    assert_int_equal(copy(2, op), GNTST_okay);
    assert_int_equal(world_frame[FIRST(2)].data[16], FIRST(1) + 1);
    assert_int_equal(world_frame[FIRST(2)].data[17], FIRST(2) + 1);
    assert_int_equal(world_frame[FIRST(2)].data[0], FIRST(2) + 1);
    op = copy_op(DOMID_SELF, FIRST(2), 1, 10, GNTCOPY_dest_gref);
    assert_int_equal(copy(2, op), GNTST_okay);
    assert_int_equal(world_frame[FIRST(1) + 1].data[16 - 1], FIRST(1) + 1);
    op = copy_op(1, 9, 3, 9, GNTCOPY_source_gref | GNTCOPY_dest_gref);
    assert_int_equal(copy(2, op), GNTST_okay);
    op = copy_op(3, 9, 1, 9, GNTCOPY_source_gref | GNTCOPY_dest_gref);
    assert_int_equal(copy(2, op), GNTST_general_error); /* read-only */
    for (u32 ref = 9; ref < 11; ref++) {
        assert_int_equal(in_use(1, ref), 0);
    }
    for (u32 f = 0; f < ALL_FRAMES; f++) {
        assert_true(world_frame[f].refs < 2 && world_frame[f].types == 0);
    }
}

static void test_copy_arguments(void **state)
{
    static const struct {
        u32 from_dom, from, to_dom, to;
        u16 flags;
        s16 status;
    } cases[] = {
        { DOMID_SELF, FIRST(2), DOMID_SELF, FIRST(2) + 1, 0, GNTST_okay },
        { DOMID_SELF, FIRST(2), DOMID_SELF, FIRST(2), 0, GNTST_okay },
        { 2, FIRST(2), DOMID_SELF, FIRST(2) + 1, 0, GNTST_permission_denied },
        { DOMID_SELF, FIRST(2), 1, FIRST(1), 0, GNTST_permission_denied },
        { DOMID_SELF, FIRST(1), DOMID_SELF, FIRST(2), 0, GNTST_bad_page },
        { DOMID_SELF, FIRST(2), DOMID_SELF, FIRST(1), 0, GNTST_bad_page },
        { DOMID_SELF, FIRST(2), DOMID_SELF, FIRST(2) + 2, 0, GNTST_general_error }, /* a table */
        { DOMID_SELF, FIRST(2) + 2, DOMID_SELF, FIRST(2), 0, GNTST_okay },
        { 99, 9, DOMID_SELF, FIRST(2), GNTCOPY_source_gref, GNTST_bad_domain },
        { 1, 512, DOMID_SELF, FIRST(2), GNTCOPY_source_gref, GNTST_bad_gntref },
        { 1, 11, DOMID_SELF, FIRST(2), GNTCOPY_source_gref, GNTST_general_error },
        { DOMID_SELF, 9, DOMID_SELF, FIRST(2), GNTCOPY_source_gref, GNTST_okay },
        { DOMID_SELF, FIRST(2), 1, 12, GNTCOPY_dest_gref, GNTST_bad_page },
    };
    struct gnttab_copy op;

    (void)state;
    world_frame[FIRST(2) + 2].table = true;
    grant(2, 9, 2, FIRST(2), 0);
    grant(1, 12, 2, FIRST(3), 0);
    for (u32 i = 0; i < ARRAY_SIZE(cases); i++) {
        op = copy_op(cases[i].from_dom, cases[i].from, cases[i].to_dom, cases[i].to,
                     cases[i].flags);
        assert_int_equal(copy(2, op), cases[i].status);
    }
    op = copy_op(DOMID_SELF, FIRST(2), DOMID_SELF, FIRST(2) + 1, 0);
    op.source.offset = 4081;
    assert_int_equal(copy(2, op), GNTST_bad_copy_arg);
    op.source.offset = 0;
    op.dest.offset = 4081;
    assert_int_equal(copy(2, op), GNTST_bad_copy_arg);
    op.dest.offset = 65535;
    op.len = 65535;
    assert_int_equal(copy(2, op), GNTST_bad_copy_arg);
    op.dest.offset = 0;
    op.len = 4096;
    assert_int_equal(copy(2, op), GNTST_okay);
    op.dest.offset = 4096;
    op.len = 0;
    assert_int_equal(copy(2, op), GNTST_okay);
    world_frame[FIRST(2) + 2].table = false;
}

/* ---- Life and death ---- */

static void test_granter_dies(void **state)
{
    u32 h, h2;

    (void)state;
    grant(1, 9, 2, FIRST(1), 0);
    assert_int_equal(map(2, SLOT_VA(0), MAP_HOST, 1, 9, &h), GNTST_okay);
    world_domain_kill(1);
    assert_true(world[1].exists);
    assert_int_equal(world[1].pages, 1);
    assert_int_equal(map(2, SLOT_VA(1), MAP_HOST, 1, 9, &h2), GNTST_general_error);
    assert_int_equal(grant_table_grow(&world[1].d, 2), -EINVAL);
    assert_int_equal(unmap(2, SLOT_VA(0), 0, h), GNTST_okay);
    assert_false(world[1].exists);
    assert_int_equal(map(2, SLOT_VA(1), MAP_HOST, 1, 9, &h2), GNTST_bad_domain);
}

/* Its mapping goes with it, whether the granter is there or not. */
static void test_grantee_dies(void **state)
{
    u32 h;

    (void)state;
    grant(1, 9, 2, FIRST(1), 0);
    grant(1, 10, 2, FIRST(1) + 1, 0);
    grant(2, 9, 1, FIRST(2), 0);
    assert_int_equal(map(2, SLOT_VA(0), MAP_HOST | MAP_DEVICE, 1, 9, &h), GNTST_okay);
    assert_int_equal(map(1, SLOT_VA(0), MAP_HOST, 2, 9, &h), GNTST_okay);
    world_domain_kill(2);
    assert_int_equal(in_use(1, 9), 0);
    assert_true(world[2].exists); /* 1 maps a frame of it */
    world_domain_kill(1);
    assert_false(world[2].exists);
}

/* A frame whose entry is in use can't be anybody else's, nor the granter's under a new name. */
static void test_frame_given_back(void **state)
{
    u32 h, h2;

    (void)state;
    grant(1, 9, 2, FIRST(1), 0);
    assert_int_equal(map(2, SLOT_VA(0), MAP_HOST, 1, 9, &h), GNTST_okay);
    world_frame_free(1, FIRST(1));
    world_slot_set(2, 0, NO_FRAME, false);
    assert_int_equal(world_frame[FIRST(1)].refs, 1);
    assert_int_equal(map(2, SLOT_VA(0), MAP_HOST, 1, 9, &h2), GNTST_okay);
    assert_int_equal(unmap(2, SLOT_VA(0), 0, h2), GNTST_okay);
    assert_int_equal(world[1].pages, 8);
    world_domain_kill(2);
    assert_int_equal(world[1].pages, 7);
}

/* The granter changes an entry that is in use: what counts is how it was. */
static void test_entry_changes(void **state)
{
    u32 h, h2;

    (void)state;
    grant(1, 9, 2, FIRST(1), 0);
    assert_int_equal(map(2, SLOT_VA(0), MAP_RO, 1, 9, &h), GNTST_okay);
    world_entry(1, 9)->frame = FIRST(1) + 1;
    world_entry(1, 9)->domid = 3;
    assert_int_equal(map(2, SLOT_VA(1), MAP_RO, 1, 9, &h2), GNTST_okay);
    assert_int_equal(world[2].slot[1].frame, FIRST(1));
    assert_int_equal(map(3, SLOT_VA(1), MAP_RO, 1, 9, &h2), GNTST_general_error);
    world_entry(1, 9)->flags |= GTF_readonly;
    assert_int_equal(map(2, SLOT_VA(2), MAP_HOST, 1, 9, &h2), GNTST_general_error);
    world_entry(1, 9)->flags = 0;
    assert_int_equal(map(2, SLOT_VA(2), MAP_HOST, 1, 9, &h2), GNTST_okay);
    assert_int_equal(in_use(1, 9), GTF_reading | GTF_writing);
}

static struct gnttab_unmap_grant_ref flushed[40];

/* Not in use means that nobody can reach it: so not before the flush. */
static void flush_is_seen(void)
{
    for (u32 ref = 0; ref < 32; ref++) {
        assert_int_equal(in_use(1, ref),
                         world_flushes == 1 || ref >= 32 ? GTF_reading | GTF_writing : 0);
    }
    assert_int_equal(world[2].slot[0].frame, NO_FRAME);
}

static void test_flush_before_flags(void **state)
{
    u32 h;

    (void)state;
    for (u32 i = 0; i < 40; i++) {
        grant(1, i, 2, FIRST(1), 0);
        assert_int_equal(map(2, 0, MAP_DEVICE, 1, i, &h), GNTST_okay);
        flushed[i] = (struct gnttab_unmap_grant_ref){ 0, (u64)FIRST(1) << PAGE_SHIFT, h, 77 };
    }
    world_flush = flush_is_seen;
    assert_int_equal(world_op(2, 0, GNTTABOP_unmap_grant_ref, flushed, 40), 0);
    assert_int_equal(world_flushes, 2);
    for (u32 i = 0; i < 40; i++) {
        assert_int_equal(flushed[i].status, GNTST_okay);
        assert_int_equal(in_use(1, i), 0);
    }
}

/* ---- Lists ---- */

static void test_lists_give_way(void **state)
{
    struct gnttab_map_grant_ref maps[100];
    struct gnttab_unmap_grant_ref unmaps[100];
    struct gnttab_copy copies[10];
    struct gnttab_swap_grant_ref swaps[10];

    (void)state;
    for (u32 i = 0; i < 100; i++) {
        grant(1, i, 2, FIRST(1), 0);
        maps[i] = map_op(0, MAP_DEVICE, 1, i);
        copies[i % 10] = copy_op(1, i, DOMID_SELF, FIRST(2), GNTCOPY_source_gref);
        swaps[i % 10] = (struct gnttab_swap_grant_ref){ 200, 201, 77 };
    }
    world_yields = 0x5555555555555555;
    assert_int_equal(world_op(2, 0, GNTTABOP_map_grant_ref, maps, 100), 0);
    for (u32 i = 0; i < 100; i++) {
        assert_int_equal(maps[i].status, GNTST_okay);
        unmaps[i] = (struct gnttab_unmap_grant_ref){ 0, maps[i].dev_bus_addr, maps[i].handle, 77 };
    }
    world_yields = 0xb;
    assert_int_equal(world_op(2, 0, GNTTABOP_unmap_grant_ref, unmaps, 100), 0);
    for (u32 i = 0; i < 100; i++) {
        assert_int_equal(unmaps[i].status, GNTST_okay);
    }
    world_yields = 0x155;
    assert_int_equal(world_op(2, 0, GNTTABOP_copy, copies, 10), 0);
    world_yields = 0x155;
    assert_int_equal(world_op(1, 0, GNTTABOP_swap_grant_ref, swaps, 10), 0);
    for (u32 i = 0; i < 10; i++) {
        assert_int_equal(copies[i].status, GNTST_okay);
        assert_int_equal(swaps[i].status, GNTST_okay);
    }
}

/* Pointers that go bad half-way: what was done before stays done, and nothing is half done. */
static void test_faults(void **state)
{
    struct gnttab_map_grant_ref maps[4];
    struct gnttab_unmap_grant_ref unmaps[4];

    (void)state;
    for (u32 i = 0; i < 4; i++) {
        grant(1, i, 2, FIRST(1), 0);
        maps[i] = map_op(SLOT_VA(i), MAP_HOST, 1, i);
    }
    world_unreadable = (u64)&maps[2];
    assert_int_equal(world_op(2, 0, GNTTABOP_map_grant_ref, maps, 4), -EFAULT);
    assert_int_equal(in_use(1, 1), GTF_reading | GTF_writing);
    assert_int_equal(in_use(1, 2), 0);
    world_unreadable = 0;
    world_unwritable = (u64)&maps[3];
    assert_int_equal(world_op(2, 0, GNTTABOP_map_grant_ref, &maps[2], 2), -EFAULT);
    world_unwritable = 0;
    for (u32 i = 0; i < 3; i++) {
        unmaps[i] = (struct gnttab_unmap_grant_ref){ SLOT_VA(i), 0, maps[i].handle, 77 };
    }
    world_unwritable = (u64)&unmaps[1];
    assert_int_equal(world_op(2, 0, GNTTABOP_unmap_grant_ref, unmaps, 3), -EFAULT);
    assert_int_equal(world_flushes, 1);
    assert_int_equal(in_use(1, 0), 0);
    assert_int_equal(in_use(1, 1), 0);
    assert_int_equal(in_use(1, 2), GTF_reading | GTF_writing);
    assert_int_equal(unmaps[1].status, 77);
}

static void test_swap(void **state)
{
    struct gnttab_swap_grant_ref op = { 3, 511, 77 };
    u32 h;

    (void)state;
    assert_int_equal(world_op(1, 0, GNTTABOP_swap_grant_ref, &op, 1), 0); /* no table yet */
    assert_int_equal(op.status, GNTST_okay);
    grant(1, 3, 2, FIRST(1), GTF_readonly);
    assert_int_equal(world_op(1, 0, GNTTABOP_swap_grant_ref, &op, 1), 0);
    assert_int_equal(world_entry(1, 3)->flags, 0);
    assert_int_equal(world_entry(1, 511)->frame, FIRST(1));
    assert_int_equal(world_entry(1, 511)->domid, 2);
    assert_int_equal(map(2, 0, MAP_DEVICE | GNTMAP_readonly, 1, 511, &h), GNTST_okay);
    assert_int_equal(world_op(1, 0, GNTTABOP_swap_grant_ref, &op, 1), 0);
    assert_int_equal(op.status, GNTST_eagain);
    op.ref_a = op.ref_b = 511;
    assert_int_equal(world_op(1, 0, GNTTABOP_swap_grant_ref, &op, 1), 0);
    assert_int_equal(op.status, GNTST_okay);
    op.ref_b = 512;
    assert_int_equal(world_op(1, 0, GNTTABOP_swap_grant_ref, &op, 1), 0);
    assert_int_equal(op.status, GNTST_bad_gntref);
}

static long resource(u32 as, struct xen_mem_acquire_resource *r)
{
    return world_memory_op(as, XENMEM_acquire_resource, r);
}

static void test_resource(void **state)
{
    xen_pfn_t list[3] = { 0 };
    struct xen_mem_acquire_resource r = { .domid = 1, .type = XENMEM_resource_grant_table };

    (void)state;
    assert_int_equal(resource(0, NULL), -EFAULT);
    assert_int_equal(resource(0, &r), 0);
    assert_int_equal(r.nr_frames, 2);
    assert_int_equal(resource(0, &r), -EINVAL); /* frames, but no list */
    r.frame_list.p = list;
    assert_int_equal(resource(1, &r), -EPERM);
    assert_int_equal(resource(2, &r), -EPERM);
    assert_int_equal(resource(0, &r), 0);
    assert_int_equal(world[1].d.grants.nr_frames, 2);
    assert_true(list[0] && list[1] && list[0] != list[1] && !list[2]);
    r.frame = 1;
    assert_int_equal(resource(0, &r), -EINVAL);
    r.frame = ~0UL;
    assert_int_equal(resource(0, &r), -EINVAL);
    r.frame = 1;
    r.nr_frames = 0;
    assert_int_equal(resource(0, &r), -EINVAL); /* a list, but no frames */
    r.nr_frames = 1;
    assert_int_equal(resource(0, &r), 0);
    r.pad = 1;
    assert_int_equal(resource(0, &r), -EINVAL);
    r.pad = 0;
    r.id = XENMEM_resource_grant_table_id_status;
    assert_int_equal(resource(0, &r), -EINVAL);
    r.id = 0;
    r.type = XENMEM_resource_ioreq_server;
    assert_int_equal(resource(0, &r), -EINVAL);
    r.type = XENMEM_resource_grant_table;
    r.domid = 0;
    assert_int_equal(resource(0, &r), -EPERM);
    r.domid = 99;
    assert_int_equal(resource(0, &r), -ESRCH);
    r.domid = DOMID_SELF;
    assert_int_equal(resource(0, &r), -ESRCH);
    r.domid = 2;
    r.frame = 0;
    world_pages_allowed = world_pages;
    assert_int_equal(resource(0, &r), -ENOMEM);
}

static void test_describe(void **state)
{
    char text[128];
    u32 h;

    (void)state;
    grant(1, 9, 2, FIRST(1), 0);
    assert_false(grant_describe(&world[1].d, 9, text, sizeof(text)));
    assert_int_equal(map(2, SLOT_VA(0), MAP_HOST | MAP_DEVICE, 1, 9, &h), GNTST_okay);
    assert_int_equal(map(2, SLOT_VA(1), MAP_RO, 1, 9, &h), GNTST_okay);
    assert_true(grant_describe(&world[1].d, 9, text, sizeof(text)));
    assert_string_equal(text, "ref 9: frame 18 for domain 2, flags 19; host 1 to write, 1 to read; "
                              "device 1, 0");
}

/* ---- Threads ---- */

enum { THREADS = 4, STEPS = 6000, REFS = 4 };

static u32 rnd(u64 *seed)
{
    *seed = *seed * 6364136223846793005UL + 1442695040888963407UL;
    return (u32)(*seed >> 33);
}

static void race_entry(u32 dom, u32 ref, u64 *seed)
{
    u32 *word = (u32 *)(u64)world_entry(dom, ref), old = atomic_load(word);

    if (!(old & (GTF_reading | GTF_writing))) {
        u32 to = 1 + rnd(seed) % 3;

        atomic_cmpxchg(word, &old, to << 16 | GTF_permit_access | (rnd(seed) % 4 ? 0 : 4));
    }
}

/* vcpu `id % 2` of domain 1 + id / 2 (there are two of domain 1, two of domain 2). */
static void *race(void *arg)
{
    u32 id = (u32)(u64)arg, dom = 1 + id / 2;
    u64 seed = id * 77 + 1;

    world_stack = id;
    for (u32 i = 0; i < STEPS; i++) {
        u32 slot = rnd(&seed) % SLOTS, ref = rnd(&seed) % REFS, handle = rnd(&seed) % 40;
        u32 peer = 1 + rnd(&seed) % 2, kinds = rnd(&seed) % 8;
        struct gnttab_map_grant_ref m = map_op(SLOT_VA(slot), kinds, peer, ref);
        struct gnttab_unmap_grant_ref u = { SLOT_VA(slot), 0, handle, 0 };
        struct gnttab_copy c = copy_op(peer, ref, peer, (ref + 1) % REFS,
                                       GNTCOPY_source_gref | GNTCOPY_dest_gref);

        switch (rnd(&seed) % 6) {
        case 0:
        case 1:
            world_op(dom, id % 2, GNTTABOP_map_grant_ref, &m, 1);
            break;
        case 2:
        case 3:
            u.dev_bus_addr = rnd(&seed) % 2 ? (u64)(FIRST(peer) + ref) << PAGE_SHIFT : 0;
            world_op(dom, id % 2, GNTTABOP_unmap_grant_ref, &u, 1);
            break;
        case 4:
            c.len = 0; /* guests' own races for contents are theirs */
            world_op(dom, id % 2, GNTTABOP_copy, &c, 1);
            break;
        default:
            race_entry(dom, ref, &seed);
        }
    }
    return NULL;
}

static void test_threads(void **state)
{
    pthread_t threads[THREADS];

    (void)state;
    for (u32 d = 1; d < 3; d++) {
        for (u32 ref = 0; ref < REFS; ref++) {
            grant(d, ref, 3 - d, FIRST(d) + ref, 0);
        }
    }
    for (u64 i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, race, (void *)i), 0);
    }
    for (u32 i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
    world_domain_kill(2);
    for (u32 ref = 0; ref < REFS; ref++) {
        const struct grant_active *a = grant_active_of(&world[1].d.grants, ref);

        assert_true(!a->pins || a->grantee == 1);
    }
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_bad_calls),        TEST(test_table),         TEST(test_table_list),
        TEST(test_versions),         TEST(test_refused),       TEST(test_map),
        TEST(test_map_entries),      TEST(test_map_arguments), TEST(test_map_own),
        TEST(test_device),           TEST(test_list_twice),    TEST(test_unmap_wrong),
        TEST(test_replace),          TEST(test_many_pins),     TEST(test_many_handles),
        TEST(test_no_handles),       TEST(test_no_memory),     TEST(test_copy),
        TEST(test_copy_arguments),   TEST(test_granter_dies),  TEST(test_grantee_dies),
        TEST(test_frame_given_back), TEST(test_entry_changes), TEST(test_flush_before_flags),
        TEST(test_lists_give_way),   TEST(test_faults),        TEST(test_swap),
        TEST(test_resource),         TEST(test_describe),      TEST(test_threads),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
