/* SPDX-License-Identifier: MIT */
/*
 * GNTTABOP_copy: bytes go from one frame to another, each of which is the caller's own or granted
 * to it. Both ends are held while that lasts, as a mapping would hold them, so what may be mapped
 * may be copied and no more. Takes no locks itself.
 */
#include <tarn/domain.h>
#include <tarn/errno.h>
#include <tarn/guest_access.h>
#include <tarn/hypercall.h>
#include <tarn/pcpu.h>
#include <x86/frames.h>

/* One end of a copy: an entry that was pinned, or a frame of current's domain. */
struct copy_end {
    struct domain *d;
    u32 ref;
    u32 pins; /* 0: it's a frame */
    mfn_t mfn;
    bool held, writable;
};

static int copy_find(struct copy_end *e, const struct gnttab_copy_ptr *p, bool by_ref)
{
    e->d = domain_get_by_id(p->domid);
    if (!e->d) {
        return GNTST_bad_domain;
    }
    return by_ref || p->domid == DOMID_SELF ? GNTST_okay : GNTST_permission_denied;
}

static int copy_claim(struct copy_end *e, const struct gnttab_copy_ptr *p, bool by_ref, bool write)
{
    int status = GNTST_okay;

    if (by_ref) {
        e->pins = write ? PIN_HOST_WRITE : PIN_HOST_READ;
        e->ref = p->u.ref;
        status = grant_pin(e->d, e->ref, current->domain->domid, e->pins, false, &e->mfn);
    } else {
        e->mfn = MFN(p->u.gmfn);
        status = frame_get(e->mfn, e->d) ? GNTST_bad_page : GNTST_okay;
    }
    e->held = status == GNTST_okay;
    if (e->held && write) {
        e->writable = frame_get_type(e->mfn, FT_WRITABLE, e->d) == 0;
        status = e->writable ? GNTST_okay : GNTST_general_error;
    }
    return status;
}

static void copy_release(struct copy_end *e)
{
    if (e->writable) {
        frame_put_type(e->mfn);
    }
    if (e->held && e->pins) {
        grant_unpin(e->d, e->ref, e->pins);
    } else if (e->held) {
        frame_put(e->mfn);
    }
    if (e->d) {
        domain_put(e->d);
    }
}

static int copy_between(const struct gnttab_copy *op, struct copy_end *from, struct copy_end *to)
{
    bool from_ref = op->flags & GNTCOPY_source_gref, to_ref = op->flags & GNTCOPY_dest_gref;
    int status = copy_find(from, &op->source, from_ref);

    status = status == GNTST_okay ? copy_find(to, &op->dest, to_ref) : status;
    status = status == GNTST_okay ? copy_claim(from, &op->source, from_ref, false) : status;
    status = status == GNTST_okay ? copy_claim(to, &op->dest, to_ref, true) : status;
    if (status != GNTST_okay) {
        return status;
    }
    if (op->source.offset + op->len > (int)PAGE_SIZE ||
        op->dest.offset + op->len > (int)PAGE_SIZE) {
        return GNTST_bad_copy_arg;
    }
    grant_copy_bytes(to->mfn, op->dest.offset, from->mfn, op->source.offset, op->len);
    return GNTST_okay;
}

long grant_copy_op(u64 list, u32 count)
{
    struct gnttab_copy op;

    for (u32 i = 0; i < count; i++, list += sizeof(op)) {
        struct copy_end from = { 0 }, to = { 0 };

        if (i && hypercall_should_yield()) {
            return hypercall_continue(__HYPERVISOR_grant_table_op, GNTTABOP_copy, list, count - i,
                                      0);
        }
        if (copy_from_guest(&op, list, sizeof(op))) {
            return -EFAULT;
        }
        op.status = (s16)copy_between(&op, &from, &to);
        copy_release(&to);
        copy_release(&from);
        if (copy_to_guest(list + offsetof(struct gnttab_copy, status), &op.status,
                          sizeof(op.status))) {
            return -EFAULT;
        }
    }
    return 0;
}
