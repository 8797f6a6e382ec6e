/* SPDX-License-Identifier: MIT */
/*
 * grant_copy.c - GNTTABOP_copy between frames and grants: which parts of a page may be named, who
 * may name a frame, which entries allow what, and what is there afterwards.
 */
#include "gnttab.h"

#define FROM GNTCOPY_source_gref
#define TO GNTCOPY_dest_gref

static struct gnttab_copy copy;

static unsigned long sum(unsigned int given)
{
    unsigned long s = 0;

    for (unsigned int i = 0; i < PAGE_SIZE; i++) {
        s = s * 31 + (unsigned char)gnt_given[given][i];
    }
    return s;
}

/* From page 0 to page 1 by frames, all of it; each case changes something. */
static void defaults(void)
{
    for (unsigned int i = 0; i < PAGE_SIZE; i++) {
        gnt_given[0][i] = (char)(i * 7 + 1);
        gnt_given[1][i] = 0;
    }
    memset(&copy, 0, sizeof(copy));
    copy.source.domid = copy.dest.domid = DOMID_SELF;
    copy.source.u.gmfn = virt_to_mfn(gnt_given[0]);
    copy.dest.u.gmfn = virt_to_mfn(gnt_given[1]);
    copy.len = PAGE_SIZE;
    copy.status = 77;
}

static void run(const char *name)
{
    long rc = gnt_op(GNTTABOP_copy, &copy, 1);
    char text[64];

    fmt_snprintf(text, sizeof(text), "grant.copy.%s", name);
    resultf(text, "%ld status %d entries 0x%x 0x%x sum %lx", rc, copy.status, gnt_entry(REF)->flags,
            gnt_entry(REF + 1)->flags, sum(1));
}

#define CASE(name, change) \
    do {                   \
        defaults();        \
        change;            \
        run(name);         \
    } while (0)

/* By reference: REF is page 0, REF + 1 is page 1. */
static void by_ref(unsigned int flags)
{
    copy.flags = (uint16_t)flags;
    if (flags & FROM) {
        copy.source.u.ref = REF;
        copy.source.domid = 0;
    }
    if (flags & TO) {
        copy.dest.u.ref = REF + 1;
        copy.dest.domid = 0;
    }
}

static void entries(unsigned int source, unsigned int dest)
{
    gnt_give(REF, source, 0, virt_to_mfn(gnt_given[0]));
    gnt_give(REF + 1, dest, 0, virt_to_mfn(gnt_given[1]));
}

static void check_places(void)
{
    CASE("frames", (void)0);
    CASE("part", copy.source.offset = 100; copy.dest.offset = 200; copy.len = 300);
    CASE("one", copy.source.offset = 4095; copy.dest.offset = 4095; copy.len = 1);
    CASE("none", copy.len = 0);
    CASE("none_at_end", copy.source.offset = 4096; copy.len = 0);
    CASE("none_beyond", copy.source.offset = 4097; copy.len = 0);
    CASE("source_beyond", copy.source.offset = 4096; copy.len = 1);
    CASE("source_over", copy.source.offset = 1);
    CASE("dest_over", copy.dest.offset = 1);
    CASE("dest_over_by_one", copy.dest.offset = 4000; copy.len = 97);
    CASE("len_4097", copy.len = 4097);
    CASE("len_max", copy.len = 65535);
    CASE("offset_max", copy.source.offset = 65535; copy.len = 1);
    CASE("offset_wraps", copy.source.offset = 65535; copy.dest.offset = 65535; copy.len = 65535);
    CASE("same_frame", copy.source.u.gmfn = copy.dest.u.gmfn);
    CASE("flags_4", copy.flags = 4);
    CASE("flags_max", copy.flags = 0xfffc);
}

static void check_frames(void)
{
    unsigned long table = virt_to_mfn(page_table(1, scratch_page));

    CASE("source.domid_0", copy.source.domid = 0);
    CASE("dest.domid_0", copy.dest.domid = 0);
    CASE("source.no_domain", copy.source.domid = 99);
    CASE("dest.no_domain", copy.dest.domid = 99);
    CASE("source.io", copy.source.domid = DOMID_IO);
    CASE("source.no_frame", copy.source.u.gmfn = 0xfffffff0);
    CASE("source.max_frame", copy.source.u.gmfn = ~0UL);
    CASE("source.not_ours", copy.source.u.gmfn = 0x9f);
    CASE("dest.no_frame", copy.dest.u.gmfn = 0xfffffff0);
    CASE("dest.not_ours", copy.dest.u.gmfn = 0x9f);
    CASE("dest.table", copy.dest.u.gmfn = table);
    CASE("dest.table.none", copy.dest.u.gmfn = table; copy.len = 0);
    CASE("source.table", copy.source.u.gmfn = table; copy.len = 0);
}

static void check_refs(void)
{
    entries(RW, RW);
    CASE("ref.source", by_ref(FROM));
    CASE("ref.dest", by_ref(TO));
    CASE("ref.both", by_ref(FROM | TO));
    CASE("ref.same", by_ref(FROM | TO); copy.source.u.ref = REF + 1);
    CASE("ref.source.self", by_ref(FROM); copy.source.domid = DOMID_SELF);
    CASE("ref.dest.self", by_ref(TO); copy.dest.domid = DOMID_SELF);
    CASE("ref.source.no_domain", by_ref(FROM); copy.source.domid = 99);
    CASE("ref.dest.no_domain", by_ref(TO); copy.dest.domid = 99);
    CASE("ref.source.io", by_ref(FROM); copy.source.domid = DOMID_IO);
    CASE("ref.source.xen", by_ref(FROM); copy.source.domid = DOMID_XEN);
    CASE("ref.source.invalid", by_ref(FROM); copy.source.domid = DOMID_INVALID);
    CASE("ref.source.511", by_ref(FROM); copy.source.u.ref = 511);
    CASE("ref.source.512", by_ref(FROM); copy.source.u.ref = 512);
    CASE("ref.dest.max", by_ref(TO); copy.dest.u.ref = ~0U);
    CASE("ref.over", by_ref(FROM); copy.len = 4097);
    CASE("ref.over.no_domain", by_ref(FROM); copy.len = 4097; copy.source.domid = 99);
    CASE("ref.dest_no_frame", by_ref(FROM); copy.dest.u.gmfn = 0xfffffff0);
    CASE("ref.source_no_frame", by_ref(TO); copy.source.u.gmfn = 0xfffffff0);
    entries(RO, RW);
    CASE("ref.ro_source", by_ref(FROM | TO));
    entries(RW, RO);
    CASE("ref.ro_dest", by_ref(FROM | TO));
    entries(RW, GTF_invalid);
    CASE("ref.closed_dest", by_ref(FROM | TO));
    entries(GTF_invalid, RW);
    CASE("ref.closed_source", by_ref(FROM | TO));
    entries(GTF_accept_transfer, RW);
    CASE("ref.transfer_source", by_ref(FROM | TO));
    entries(RW, RW);
    gnt_entry(REF)->domid = 7;
    CASE("ref.for_other", by_ref(FROM));
    CASE("ref.for_other.dest", by_ref(TO); copy.dest.u.ref = REF);
    gnt_give(REF, RW, 0, 0xfffffff0);
    CASE("ref.no_frame", by_ref(FROM));
    gnt_give(REF, RW, 0, virt_to_mfn(page_table(1, scratch_page)));
    CASE("ref.table_dest", by_ref(TO); copy.dest.u.ref = REF; copy.len = 0);
    gnt_give(REF, GTF_permit_access | GTF_sub_page, 0, virt_to_mfn(gnt_given[0]));
    CASE("ref.sub_page", by_ref(FROM));
}

/* While the same grants are mapped. */
static void check_mapped(void)
{
    grant_handle_t h;

    entries(RW, RW);
    h = gnt_map_quietly(gnt_window_at(0), GNTMAP_host_map, REF + 1, 0);
    CASE("mapped.dest", by_ref(TO));
    result_hex("grant.copy.mapped.seen", words_of(gnt_windows[0])[0]);
    gnt_entry(REF + 1)->flags = (uint16_t)(gnt_entry(REF + 1)->flags | GTF_readonly);
    CASE("mapped.made_ro", by_ref(TO));
    gnt_entry(REF + 1)->flags = 0;
    CASE("mapped.closed", by_ref(TO));
    gnt_unmap("grant.copy.mapped.unmap", gnt_window_at(0), 0, h);
    gnt_window_back(0);
}

static void check_batch(void)
{
    static struct gnttab_copy many[4];
    long rc;

    entries(RW, RW);
    for (unsigned int i = 0; i < 4; i++) {
        defaults();
        by_ref(FROM | TO);
        copy.len = 10;
        copy.source.offset = copy.dest.offset = (uint16_t)(i * 10);
        many[i] = copy;
    }
    many[1].source.u.ref = 300;
    many[2].len = 5000;
    rc = gnt_op(GNTTABOP_copy, many, 4);
    resultf("grant.copy.batch", "%ld status %d %d %d %d entries 0x%x 0x%x sum %lx", rc,
            many[0].status, many[1].status, many[2].status, many[3].status, gnt_entry(REF)->flags,
            gnt_entry(REF + 1)->flags, sum(1));
    result("grant.copy.count_0", gnt_op(GNTTABOP_copy, BAD_POINTER, 0));
    result("grant.copy.bad", gnt_op(GNTTABOP_copy, BAD_POINTER, 1));
    result("grant.copy.xen", gnt_op(GNTTABOP_copy, XEN_POINTER, 1));
    gnt_give(REF, 0, 0, 0);
    gnt_give(REF + 1, 0, 0, 0);
}

void check_grant_copy(void)
{
    entries(0, 0);
    check_places();
    check_frames();
    check_refs();
    check_mapped();
    check_batch();
}
