/* SPDX-License-Identifier: MIT */
/*
 * grant_resource.c - XENMEM_acquire_resource, the other way in which a control domain comes to
 * another domain's grant table: sizes, ranges, and what is no resource here.
 */
#include "gnttab.h"

#define TABLE XENMEM_resource_grant_table

static xen_pfn_t frames[8];

static void acquire(const char *name, struct xen_mem_acquire_resource op, xen_pfn_t *list)
{
    unsigned int given = 0;
    char text[64];
    long rc;

    memset(frames, 0, sizeof(frames));
    set_xen_guest_handle(op.frame_list, list);
    rc = memory_op(XENMEM_acquire_resource, &op);
    for (unsigned int i = 0; i < 8; i++) {
        given += frames[i] != 0;
    }
    fmt_snprintf(text, sizeof(text), "grant.resource.%s", name);
    resultf(text, "%ld nr %u frames %u", rc, op.nr_frames, given);
}

#define ACQUIRE_OF(whose, name, list, ...) \
    acquire(name, (struct xen_mem_acquire_resource){ .domid = whose, __VA_ARGS__ }, list)
#define ACQUIRE(...) ACQUIRE_OF(REMOTE, __VA_ARGS__)

/* The remote domain's table may have four frames. */
void check_grant_resource(void)
{
    ACQUIRE("size", NULL, .type = TABLE);
    ACQUIRE("size.status", NULL, .type = TABLE, .id = XENMEM_resource_grant_table_id_status);
    ACQUIRE("size.id_2", NULL, .type = TABLE, .id = 2);
    ACQUIRE("size.ioreq", NULL, .type = XENMEM_resource_ioreq_server);
    ACQUIRE("size.vmtrace", NULL, .type = XENMEM_resource_vmtrace_buf);
    ACQUIRE("size.unknown", NULL, .type = 9);
    ACQUIRE("pad", NULL, .type = TABLE, .pad = 1);
    ACQUIRE("list_of_none", frames, .type = TABLE);
    ACQUIRE("no_list", NULL, .type = TABLE, .nr_frames = 1);
    ACQUIRE("one", frames, .type = TABLE, .nr_frames = 1);
    ACQUIRE("second", frames, .type = TABLE, .nr_frames = 1, .frame = 1);
    ACQUIRE("beyond", frames, .type = TABLE, .nr_frames = 1, .frame = 4);
    ACQUIRE("over", frames, .type = TABLE, .nr_frames = 2, .frame = 3);
    ACQUIRE("most", frames, .type = TABLE, .nr_frames = 4);
    ACQUIRE("more", frames, .type = TABLE, .nr_frames = 5);
    ACQUIRE("wraps", frames, .type = TABLE, .nr_frames = 2, .frame = ~0UL);
    ACQUIRE("max", frames, .type = TABLE, .nr_frames = ~0U);
    ACQUIRE("status", frames, .type = TABLE, .id = 1, .nr_frames = 1);
    ACQUIRE("id_2", frames, .type = TABLE, .id = 2, .nr_frames = 1);
    ACQUIRE("ioreq", frames, .nr_frames = 1);
    ACQUIRE("bad_list", BAD_POINTER, .type = TABLE, .nr_frames = 1);
    ACQUIRE("xen_list", XEN_POINTER, .type = TABLE, .nr_frames = 1);
    ACQUIRE_OF(99, "no_domain", frames, .type = TABLE, .nr_frames = 1);
    ACQUIRE_OF(DOMID_SELF, "self", frames, .type = TABLE, .nr_frames = 1);
    ACQUIRE_OF(0, "self.number", frames, .type = TABLE, .nr_frames = 1);
    ACQUIRE_OF(DOMID_IO, "io", frames, .type = TABLE, .nr_frames = 1);
    result("grant.resource.bad", memory_op(XENMEM_acquire_resource, BAD_POINTER));
    result("grant.resource.xen", memory_op(XENMEM_acquire_resource, XEN_POINTER));
}
