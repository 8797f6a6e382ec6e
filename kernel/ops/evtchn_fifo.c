/* SPDX-License-Identifier: MIT */
/*
 * A domain changes to the FIFO protocol of event channels, gives it pages, and goes back. A page
 * is the guest's own, referenced and in use as a writable one, until the domain leaves FIFO. Locks:
 * pages are taken and put back with the mmu_lock, and come and go under evtchn_domain.lock; never
 * both at once.
 */
#include <tarn/domain.h>
#include <tarn/errno.h>
#include <tarn/page.h>
#include <x86/frames.h>

static u32 fifo_order(const struct domain *d)
{
    return pages_order(sizeof(struct evtchn_fifo) + d->max_vcpus * sizeof(struct fifo_vcpu));
}

/* A page of the domain that we may write to; NULL: it is none. */
static u8 *guest_page_get(struct domain *d, u64 mfn)
{
    int rc;

    mmu_lock(d);
    rc = frame_get_and_type(MFN(mfn), FT_WRITABLE, d);
    mmu_unlock(d);
    return rc ? NULL : mfn_to_virt(MFN(mfn));
}

/* Any address in it. */
static void guest_page_put(struct domain *d, const void *page)
{
    mmu_lock(d);
    frame_put_and_type(virt_to_mfn(page), d);
    mmu_unlock(d);
}

/*
 * What is pending by two levels waits for its port's word, also if nobody has the port: as on Xen,
 * whose guests may have set the bit themselves. A sender that has not seen the change yet holds the
 * port that it sends through, or our lock: once we had that port the event is in the bitmap, and
 * the next send sees FIFO.
 */
static void carry_over(struct domain *d)
{
    struct evtchn_domain *e = &d->evtchn;

    for (u32 port = 1; port < MIN(e->nr_ports, EVTCHN_2L_PORTS); port++) {
        struct evtchn *chn = evtchn_at(e, port), *sender = evtchn_sender(chn);

        evtchn_lock(sender);
        evtchn_unlock(sender);
        if (test_bit(port, d->shared_info->evtchn_pending)) {
            atomic_store(&chn->fifo.waiting, (u8)1);
        }
    }
}

/* Lock held. */
static int set_control(struct domain *d, u32 vcpu, void *control, struct evtchn_fifo **fresh)
{
    struct evtchn_domain *e = &d->evtchn;

    if (e->dead) {
        return -EINVAL;
    }
    if (!e->fifo) {
        evtchn_ports_set_fifo(e, *fresh);
        *fresh = NULL;
        carry_over(d);
    }
    if (e->fifo->vcpu[vcpu].control) {
        return -EINVAL;
    }
    atomic_store(&e->fifo->vcpu[vcpu].control, control);
    return 0;
}

int evtchn_fifo_control(struct domain *d, u32 vcpu, u64 mfn, u32 offset)
{
    u8 *page = guest_page_get(d, mfn);
    struct evtchn_fifo *fresh;
    int rc;

    if (!page) {
        return -EINVAL;
    }
    fresh = pages_alloc(fifo_order(d));
    if (!fresh) {
        guest_page_put(d, page);
        return -ENOMEM;
    }
    spin_lock(&d->evtchn.lock);
    rc = set_control(d, vcpu, page + offset, &fresh);
    spin_unlock(&d->evtchn.lock);
    if (fresh) { /* the domain had one */
        pages_free(fresh, fifo_order(d));
    }
    if (rc) {
        guest_page_put(d, page);
    }
    return rc;
}

/* Lock held. */
static int may_expand(const struct evtchn_domain *e)
{
    return !e->fifo ? -EOPNOTSUPP : e->fifo->nr_words == FIFO_PORTS ? -ENOSPC : 0;
}

/* Lock held. */
static int expand(struct domain *d, void *page)
{
    struct evtchn_domain *e = &d->evtchn;
    int rc = may_expand(e);
    u32 first;

    if (rc) {
        return rc;
    }
    first = e->fifo->nr_words;
    fifo_add_page(e->fifo, page);
    for (u32 port = first; port < MIN(e->nr_ports, first + FIFO_WORDS_PER_PAGE); port++) {
        evtchn_set_waiting(d, port);
    }
    return 0;
}

int evtchn_fifo_expand(struct domain *d, u64 mfn)
{
    void *page;
    int rc;

    spin_lock(&d->evtchn.lock);
    rc = may_expand(&d->evtchn);
    spin_unlock(&d->evtchn.lock);
    if (rc) {
        return rc;
    }
    page = guest_page_get(d, mfn);
    if (!page) {
        return -EINVAL;
    }
    spin_lock(&d->evtchn.lock);
    rc = expand(d, page);
    spin_unlock(&d->evtchn.lock);
    if (rc) {
        guest_page_put(d, page);
    }
    return rc;
}

static void give_back(struct domain *d, struct evtchn_fifo *f)
{
    for (u32 i = 0; i < f->nr_words / FIFO_WORDS_PER_PAGE; i++) {
        guest_page_put(d, f->page[i]);
    }
    for (u32 i = 0; i < d->max_vcpus; i++) {
        if (f->vcpu[i].control) {
            guest_page_put(d, f->vcpu[i].control);
        }
    }
    pages_free(f, fifo_order(d));
}

/*
 * No port is in use, so nobody sends to us, and none of our vcpus has locked a port that is (see
 * tarn/evtchn.h). Whoever comes now finds two-level, and no port that it has not.
 */
int evtchn_fifo_leave(struct domain *d)
{
    struct evtchn_domain *e = &d->evtchn;
    struct evtchn_fifo *f;
    int rc;

    spin_lock(&e->lock);
    f = e->fifo;
    rc = e->nr_used ? -EAGAIN : 0;
    if (rc == 0 && f) {
        evtchn_ports_set_fifo(e, NULL);
    }
    spin_unlock(&e->lock);
    if (rc == 0 && f) {
        give_back(d, f);
    }
    return rc;
}
