/* SPDX-License-Identifier: MIT */
/*
 * HYPERVISOR_event_channel_op, and the life cycle of a domain's ports. Looks up domains, checks who
 * may do what, takes locks and references; the states themselves are evtchn/port.c's, sending is
 * evtchn/deliver.c's. Locks: evtchn_domain.lock of current's domain or of both (see tarn/evtchn.h).
 * References are dropped after the locks. A channel holds one reference on each of its two domains
 * for the other's sake, also when they are the same one: it is evtchn_domain_destroy that breaks
 * such cycles. A guest whose structure can be read but not written back keeps the port it got: it
 * has no one else to blame. The upper half of a reset's command is how far a continued one came.
 */
#include <tarn/domain.h>
#include <tarn/errno.h>
#include <tarn/guest_access.h>
#include <tarn/hypercall.h>
#include <tarn/page.h>
#include <tarn/pcpu.h>

/* No domain has physical interrupts so far: lines below this exist, but aren't permitted. */
#define NR_PIRQS 256u
#define CLOSED_AT_ONCE 64u

static const u32 table_order = 3; /* of all buckets that there can be */
_Static_assert(sizeof(struct evtchn_bucket) * EVTCHN_BUCKETS == PAGE_SIZE << 3, "table_order");

typedef long evtchn_op_fn(struct domain *d, u64 arg);

/* The table has room for one more port, unless the domain is at its limit. Lock held. */
static int make_room(struct evtchn_domain *e)
{
    struct evtchn_bucket *table;
    struct evtchn *bucket;

    if (likely(!evtchn_ports_full(e))) {
        return 0;
    }
    if (evtchn_ports_need_table(e)) {
        table = pages_alloc(table_order);
        if (!table) {
            return -ENOMEM;
        }
        evtchn_ports_set_table(e, table);
    }
    bucket = page_alloc();
    if (!bucket) {
        return -ENOMEM;
    }
    evtchn_ports_add_bucket(e, bucket);
    return 0;
}

void evtchn_domain_init(struct evtchn_domain *e)
{
    evtchn_ports_init(e, EVTCHN_PORTS - 1);
    (void)make_room(e);
}

static struct evtchn_end end_of(struct domain *d)
{
    return (struct evtchn_end){ &d->evtchn, d, d->domid };
}

static const struct vcpu *vcpu_find(const struct domain *d, u32 id)
{
    return id < d->max_vcpus ? d->vcpu[id] : NULL;
}

/* The domain that an operation of d is about; it is d's own or d is privileged. A reference is
 * taken. */
static struct domain *target_get(const struct domain *d, domid_t domid, long *rc)
{
    struct domain *t = domain_get_by_id(domid);

    if (!t) {
        *rc = -ESRCH;
        return NULL;
    }
    if (t != d && !d->privileged) {
        domain_put(t);
        *rc = -EPERM;
        return NULL;
    }
    *rc = 0;
    return t;
}

static long op_alloc_unbound(struct domain *d, u64 arg)
{
    struct evtchn_alloc_unbound op;
    struct domain *t;
    long rc;

    if (copy_from_guest(&op, arg, sizeof(op))) {
        return -EFAULT;
    }
    t = target_get(d, op.dom, &rc);
    if (!t) {
        return rc;
    }
    spin_lock(&t->evtchn.lock);
    rc = make_room(&t->evtchn);
    if (!rc) {
        rc = evtchn_port_unbound(&t->evtchn, op.remote_dom == DOMID_SELF ? d->domid : op.remote_dom,
                                 &op.port);
    }
    spin_unlock(&t->evtchn.lock);
    domain_put(t);
    return rc ? rc : copy_to_guest(arg, &op, sizeof(op));
}

/* Both locks held. */
static int connect(struct domain *d, struct domain *rd, struct evtchn_bind_interdomain *op)
{
    struct evtchn_end local = end_of(d), remote = end_of(rd);
    int rc = make_room(&d->evtchn);
    struct evtchn *sender;

    if (!rc) {
        rc = evtchn_port_connect(&local, &remote, op->remote_port, &op->local_port);
    }
    if (!rc) {
        domain_get(d);
        domain_get(rd);
        /* What the other side sent before we came was dropped: let the guest look. */
        sender = evtchn_at(&rd->evtchn, op->remote_port);
        evtchn_lock(sender);
        evtchn_set_pending(d, sender, op->local_port);
        evtchn_unlock(sender);
    }
    return rc;
}

static long op_bind_interdomain(struct domain *d, u64 arg)
{
    struct evtchn_bind_interdomain op;
    struct domain *rd;
    long rc;

    if (copy_from_guest(&op, arg, sizeof(op))) {
        return -EFAULT;
    }
    rd = domain_get_by_id(op.remote_dom);
    if (!rd) {
        return -ESRCH;
    }
    spin_lock_two(&d->evtchn.lock, &rd->evtchn.lock);
    rc = connect(d, rd, &op);
    spin_unlock_two(&d->evtchn.lock, &rd->evtchn.lock);
    domain_put(rd);
    return rc ? rc : copy_to_guest(arg, &op, sizeof(op));
}

/* Global VIRQs are for the control domain; all others have the domain-wide ARGO only. Lock held. */
static int bind_virq(struct domain *d, struct evtchn_bind_virq *op)
{
    u32 *bound = &d->vcpu[op->vcpu]->virq_port[op->virq];
    int rc;

    if (virq_is_global(op->virq) && op->virq != VIRQ_ARGO && !d->privileged) {
        return -EBUSY;
    }
    if (*bound) {
        return -EEXIST;
    }
    rc = make_room(&d->evtchn);
    if (!rc) {
        rc = evtchn_port_virq(&d->evtchn, op->virq, op->vcpu, &op->port);
    }
    if (!rc) {
        atomic_store(bound, op->port);
    }
    return rc;
}

static long op_bind_virq(struct domain *d, u64 arg)
{
    struct evtchn_bind_virq op;
    long rc;

    if (copy_from_guest(&op, arg, sizeof(op))) {
        return -EFAULT;
    }
    if (op.virq >= NR_VIRQS || (virq_is_global(op.virq) && op.vcpu != 0)) {
        return -EINVAL;
    }
    if (!vcpu_find(d, op.vcpu)) {
        return -ENOENT;
    }
    spin_lock(&d->evtchn.lock);
    rc = bind_virq(d, &op);
    spin_unlock(&d->evtchn.lock);
    return rc ? rc : copy_to_guest(arg, &op, sizeof(op));
}

static long op_bind_ipi(struct domain *d, u64 arg)
{
    struct evtchn_bind_ipi op;
    long rc;

    if (copy_from_guest(&op, arg, sizeof(op))) {
        return -EFAULT;
    }
    if (!vcpu_find(d, op.vcpu)) {
        return -ENOENT;
    }
    spin_lock(&d->evtchn.lock);
    rc = make_room(&d->evtchn);
    if (!rc) {
        rc = evtchn_port_ipi(&d->evtchn, op.vcpu, &op.port);
    }
    spin_unlock(&d->evtchn.lock);
    return rc ? rc : copy_to_guest(arg, &op, sizeof(op));
}

static long op_bind_pirq(struct domain *d __unused, u64 arg)
{
    struct evtchn_bind_pirq op;

    if (copy_from_guest(&op, arg, sizeof(op))) {
        return -EFAULT;
    }
    return op.pirq < NR_PIRQS ? -EPERM : -EINVAL;
}

static long op_bind_vcpu(struct domain *d, u64 arg)
{
    struct evtchn_bind_vcpu op;
    long rc;

    if (copy_from_guest(&op, arg, sizeof(op))) {
        return -EFAULT;
    }
    if (!vcpu_find(d, op.vcpu)) {
        return -ENOENT;
    }
    spin_lock(&d->evtchn.lock);
    rc = evtchn_port_bind_vcpu(&d->evtchn, op.port, op.vcpu);
    spin_unlock(&d->evtchn.lock);
    return rc;
}

/* A port that has no other end. Lock held, so nobody gets the port before its old event is
 * forgotten. */
static int close_single(struct domain *d, const struct evtchn *chn, u32 port)
{
    u32 virq, vcpu;
    int rc;

    if (!chn) {
        return -EINVAL;
    }
    if (chn->state == ECS_VIRQ) {
        virq = (u32)chn->u.virq;
        vcpu = virq_is_global(virq) ? 0 : chn->notify_vcpu;
        atomic_store(&d->vcpu[vcpu]->virq_port[virq], 0u);
    }
    rc = evtchn_port_close(&d->evtchn, port);
    if (!rc) {
        evtchn_forget(d, port);
    }
    return rc;
}

static bool connected_to(const struct evtchn *chn, const struct domain *rd)
{
    return chn && chn->state == ECS_INTERDOMAIN && chn->u.remote == rd;
}

/* False if port of d isn't a channel to rd any more. */
static bool close_channel(struct domain *d, u32 port, struct domain *rd)
{
    struct evtchn_end local = end_of(d), remote = end_of(rd);
    bool done;

    spin_lock_two(&d->evtchn.lock, &rd->evtchn.lock);
    done = connected_to(evtchn_from_port(&d->evtchn, port), rd);
    if (done) {
        evtchn_port_disconnect(&local, port, &remote);
        evtchn_forget(d, port);
    }
    spin_unlock_two(&d->evtchn.lock, &rd->evtchn.lock);
    if (done) {
        domain_put(rd);
        domain_put(d);
    }
    return done;
}

/*
 * Two locks must be taken in order of address, and which the second one is stands in the port. So
 * look under our lock, hold on to the domain, and look again under both. It only takes another turn
 * when somebody else managed to close and reconnect this very port in between.
 */
static int close_port(struct domain *d, u32 port)
{
    for (;;) {
        const struct evtchn *chn;
        struct domain *rd;
        bool done;
        int rc;

        spin_lock(&d->evtchn.lock);
        chn = evtchn_from_port(&d->evtchn, port);
        if (!chn || chn->state != ECS_INTERDOMAIN) {
            rc = close_single(d, chn, port);
            spin_unlock(&d->evtchn.lock);
            return rc;
        }
        rd = chn->u.remote;
        domain_get(rd);
        spin_unlock(&d->evtchn.lock);
        done = close_channel(d, port, rd);
        domain_put(rd);
        if (done) {
            return 0;
        }
    }
}

/* All ports in use from `port` on. Something else is due: the one to go on from; else
 * EVTCHN_PORTS. */
static u32 close_from(struct domain *d, u32 port)
{
    for (u32 done = 0;; done++, port++) {
        spin_lock(&d->evtchn.lock);
        port = evtchn_port_next(&d->evtchn, port);
        spin_unlock(&d->evtchn.lock);
        if (port == EVTCHN_PORTS || (done >= CLOSED_AT_ONCE && hypercall_should_yield())) {
            return port;
        }
        (void)close_port(d, port);
    }
}

static long op_close(struct domain *d, u64 arg)
{
    struct evtchn_close op;

    return copy_from_guest(&op, arg, sizeof(op)) ? -EFAULT : close_port(d, op.port);
}

static long op_send(struct domain *d, u64 arg)
{
    struct evtchn_send op;

    return unlikely(copy_from_guest(&op, arg, sizeof(op))) ? -EFAULT : evtchn_send(d, op.port);
}

static long op_unmask(struct domain *d, u64 arg)
{
    struct evtchn_unmask op;

    return copy_from_guest(&op, arg, sizeof(op)) ? -EFAULT : evtchn_unmask(d, op.port);
}

static long op_status(struct domain *d, u64 arg)
{
    struct evtchn_status op;
    struct domain *t, *remote;
    long rc;

    if (copy_from_guest(&op, arg, sizeof(op))) {
        return -EFAULT;
    }
    t = target_get(d, op.dom, &rc);
    if (!t) {
        return rc;
    }
    spin_lock(&t->evtchn.lock);
    rc = evtchn_port_status(&t->evtchn, &op, &remote);
    if (remote) {
        op.u.interdomain.dom = remote->domid;
    }
    spin_unlock(&t->evtchn.lock);
    domain_put(t);
    return rc ? rc : copy_to_guest(arg, &op, sizeof(op));
}

static bool paused(const struct domain *d)
{
    for (u32 i = 0; i < d->max_vcpus; i++) {
        if (!(atomic_load(&d->vcpu[i]->pause_flags) & VPF_PAUSED)) {
            return false;
        }
    }
    return true;
}

/* The caller has seen to it that there is one at a time. */
static long reset_from(struct domain *d, u32 from, u64 arg)
{
    u32 port = close_from(d, from);
    long rc;

    if (port < EVTCHN_PORTS) {
        return hypercall_continue(__HYPERVISOR_event_channel_op, EVTCHNOP_reset | (u64)port << 32,
                                  arg, 0, 0);
    }
    rc = evtchn_fifo_leave(d);
    atomic_store(&d->evtchn.resetting, false);
    return rc;
}

/* From 0: a new one. A guest that goes on with what it was not asked to has its ports closed, no
 * more. */
static long op_reset_from(struct domain *d, u32 from, u64 arg)
{
    struct evtchn_reset op;
    struct domain *t;
    bool going;
    long rc;

    if (copy_from_guest(&op, arg, sizeof(op))) {
        return -EFAULT;
    }
    t = target_get(d, op.dom, &rc);
    if (!t) {
        return rc;
    }
    if (t != d && !paused(t)) {
        rc = -EINVAL;
    } else {
        going = atomic_xchg(&t->evtchn.resetting, true);
        rc = going && from == 0 ? -EBUSY : reset_from(t, going ? from : 1, arg);
    }
    domain_put(t);
    return rc;
}

static long op_reset(struct domain *d, u64 arg)
{
    return op_reset_from(d, 0, arg);
}

static long op_init_control(struct domain *d, u64 arg)
{
    struct evtchn_init_control op;
    long rc;

    if (copy_from_guest(&op, arg, sizeof(op))) {
        return -EFAULT;
    }
    if (!vcpu_find(d, op.vcpu)) {
        return -ENOENT;
    }
    if (op.offset > PAGE_SIZE - sizeof(struct evtchn_fifo_control_block) || op.offset % 8) {
        return -EINVAL;
    }
    rc = evtchn_fifo_control(d, op.vcpu, op.control_gfn, op.offset);
    op.link_bits = EVTCHN_FIFO_LINK_BITS;
    return rc ? rc : copy_to_guest(arg, &op, sizeof(op));
}

static long op_expand_array(struct domain *d, u64 arg)
{
    struct evtchn_expand_array op;

    return copy_from_guest(&op, arg, sizeof(op)) ? -EFAULT : evtchn_fifo_expand(d, op.array_gfn);
}

static long op_set_priority(struct domain *d, u64 arg)
{
    struct evtchn_set_priority op;
    long rc;

    if (copy_from_guest(&op, arg, sizeof(op))) {
        return -EFAULT;
    }
    spin_lock(&d->evtchn.lock);
    rc = evtchn_port_set_priority(&d->evtchn, op.port, op.priority);
    spin_unlock(&d->evtchn.lock);
    return rc;
}

static evtchn_op_fn *const ops[] = {
    [EVTCHNOP_bind_interdomain] = op_bind_interdomain,
    [EVTCHNOP_bind_virq] = op_bind_virq,
    [EVTCHNOP_bind_pirq] = op_bind_pirq,
    [EVTCHNOP_close] = op_close,
    [EVTCHNOP_send] = op_send,
    [EVTCHNOP_status] = op_status,
    [EVTCHNOP_alloc_unbound] = op_alloc_unbound,
    [EVTCHNOP_bind_ipi] = op_bind_ipi,
    [EVTCHNOP_bind_vcpu] = op_bind_vcpu,
    [EVTCHNOP_unmask] = op_unmask,
    [EVTCHNOP_reset] = op_reset,
    [EVTCHNOP_init_control] = op_init_control,
    [EVTCHNOP_expand_array] = op_expand_array,
    [EVTCHNOP_set_priority] = op_set_priority,
};

long do_event_channel_op(u64 cmd, u64 arg)
{
    u32 op = (u32)cmd; /* an int in the ABI */

    if (likely(op == EVTCHNOP_send)) { /* the one that is hot */
        return op_send(current->domain, arg);
    }
    if (op == EVTCHNOP_reset && cmd >> 32) {
        return op_reset_from(current->domain, (u32)(cmd >> 32), arg);
    }
    return op < ARRAY_SIZE(ops) ? ops[op](current->domain, arg) : -ENOSYS;
}

static void free_table(struct evtchn_domain *e)
{
    for (u32 i = 0; i < e->nr_made / EVTCHN_PER_BUCKET; i++) {
        page_free(e->bucket[i].port);
    }
    e->nr_made = 0;
    if (e->bucket != e->small) {
        pages_free(e->bucket, table_order);
        e->bucket = e->small;
    }
}

/*
 * Nobody uses the table after it was freed: our own vcpus are off; no other domain has a channel to
 * us, since all are closed and `dead` lets no new one come; everyone else looks under our lock, and
 * finds no ports.
 */
bool evtchn_domain_destroy(struct domain *d)
{
    struct evtchn_domain *e = &d->evtchn;

    spin_lock(&e->lock);
    e->dead = true;
    spin_unlock(&e->lock);
    if (close_from(d, 1) < EVTCHN_PORTS) {
        return false;
    }
    (void)evtchn_fifo_leave(d);
    spin_lock(&e->lock);
    atomic_store(&e->nr_ports, 0u);
    e->free_groups = 0;
    spin_unlock(&e->lock);
    free_table(e);
    return true;
}
