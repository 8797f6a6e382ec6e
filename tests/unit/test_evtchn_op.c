/* SPDX-License-Identifier: MIT */
/* sources: lib/spinlock.c kernel/ops/evtchn_op.c kernel/ops/evtchn_fifo.c evtchn/port.c
 * evtchn/twolevel.c evtchn/fifo.c evtchn/deliver.c evtchn/virq.c evtchn/look.c */
/* tsan */
/*
 * HYPERVISOR_event_channel_op as a guest sees it: every error, the bits after each operation,
 * privileges, domain references, VIRQs and polling; then threads of two domains that do everything
 * at once while one of them dies. The hypervisor around it is faked below: domains are static,
 * guest memory is ours.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <tarn/domain.h>
#include <tarn/errno.h>
#include <tarn/guest_access.h>
#include <tarn/page.h>
#include <tarn/hypercall.h>
#include <tarn/pcpu.h>
#include <x86/frames.h>

#include <public/tarn.h>

enum { DOMS = 3, VCPUS = 4, THREADS = 5, STEPS = 8000 }; /* domain 0 is privileged */
static struct domain doms[DOMS];
static struct vcpu vcpus[DOMS][VCPUS];
static shared_info_t shared[DOMS];
static u32 kicks[DOMS][VCPUS], wakes[DOMS][VCPUS];
static u32 pages, pages_allowed;

/* Fakes */
void arch_spin_service(void);
__attribute__((weak)) void arch_spin_service(void)
{
    sched_yield();
}

static void count(u32 table[DOMS][VCPUS], struct vcpu *v)
{
    atomic_fetch_add(&table[v->domain->domid][v->id], 1);
}

void vcpu_kick(struct vcpu *v)
{
    count(kicks, v);
}

void vcpu_wake(struct vcpu *v)
{
    count(wakes, v);
}

/* Often called with a lock held that is then dropped: let others pile up behind it. */
void domain_get(struct domain *d)
{
    static _Thread_local u32 calls;

    atomic_fetch_add(&d->refcnt, 1);
    if (++calls % 32 == 0) {
        sched_yield();
    }
}

void domain_put(struct domain *d)
{
    if (atomic_fetch_sub(&d->refcnt, 1) < 2) {
        abort(); /* the one that the test holds is gone */
    }
}

struct domain *domain_get_by_id(domid_t domid)
{
    struct domain *d = domid == DOMID_SELF ? current->domain : &doms[domid % DOMS];

    if (domid != DOMID_SELF && domid >= DOMS) {
        return NULL;
    }
    domain_get(d);
    return d;
}

void *page_alloc(void)
{
    if (atomic_fetch_add(&pages, 1) >= pages_allowed) {
        atomic_fetch_sub(&pages, 1);
        return NULL;
    }
    return memset(aligned_alloc(PAGE_SIZE, PAGE_SIZE), 0, PAGE_SIZE);
}

void *pages_alloc(u32 order)
{
    if (atomic_fetch_add(&pages, 1) >= pages_allowed) {
        atomic_fetch_sub(&pages, 1);
        return NULL;
    }
    return memset(aligned_alloc(PAGE_SIZE, PAGE_SIZE << order), 0, PAGE_SIZE << order);
}

void pages_free(void *p, u32 order)
{
    (void)order;
    page_free(p);
}

void page_free(void *page)
{
    atomic_fetch_sub(&pages, 1);
    free(page);
}

/* Pages that guests give: of each domain some, with their references. */
enum { GUEST_PAGES = 130 };
static _Alignas(PAGE_SIZE) u8 guest_page[DOMS][GUEST_PAGES][PAGE_SIZE];
static u32 guest_refs[DOMS][GUEST_PAGES];

void mmu_lock(struct domain *d)
{
    spin_lock(&d->arch.mmu_lock);
}

void mmu_unlock(struct domain *d)
{
    spin_unlock(&d->arch.mmu_lock);
}

static u64 frame_of(u32 d, u32 n)
{
    return ((u64)guest_page[d][n] - DIRECT_VIRT) >> PAGE_SHIFT;
}

int frame_get_and_type(mfn_t mfn, u32 type, struct domain *d)
{
    u64 n = mfn.n - frame_of(d->domid, 0);

    if (type != FT_WRITABLE || n >= GUEST_PAGES) {
        return -EINVAL;
    }
    guest_refs[d->domid][n]++;
    return 0;
}

/* A frame that virt_to_mfn made of an address that is in neither map of the hypervisor's. */
void frame_put_and_type(mfn_t mfn, struct domain *d)
{
    u64 n = mfn.n - (((u64)guest_page[d->domid][0] - IMAGE_OFFSET) >> PAGE_SHIFT);

    if (n >= GUEST_PAGES || guest_refs[d->domid][n]-- == 0) {
        abort();
    }
}

/* Hypercalls that give way go on at once. */
static _Thread_local struct {
    u32 every, calls; /* gives way at each so manieth question; 0: never */
    bool again;
    u32 times;
    u64 a1, a2;
} yielding;

bool hypercall_should_yield(void)
{
    return yielding.every && ++yielding.calls % yielding.every == 0;
}

long hypercall_continue(u32 nr, u64 a1, u64 a2, u64 a3, u64 a4)
{
    if (nr != __HYPERVISOR_event_channel_op || a3 || a4) {
        abort();
    }
    yielding.again = true;
    yielding.times++;
    yielding.a1 = a1;
    yielding.a2 = a2;
    return -ERESTART;
}

/* Guest memory: NULL can't be read, and `read_only` can't be written. */
static bool read_only;

int copy_from_guest(void *dst, u64 guest_va, size_t len)
{
    if (!guest_va) {
        return -EFAULT;
    }
    memcpy(dst, (const void *)guest_va, len);
    return 0;
}

int copy_to_guest(u64 guest_va, const void *src, size_t len)
{
    if (!guest_va || read_only) {
        return -EFAULT;
    }
    memcpy((void *)guest_va, src, len);
    return 0;
}

/* Hypercalls run on a stack with a struct pcpu on top, one for each thread. */
static _Alignas(PCPU_AREA_SIZE) char stacks[THREADS][PCPU_AREA_SIZE];
static _Thread_local u32 thread_id;

static long on_pcpu(struct vcpu *v, u64 fn, u64 a1, u64 a2)
{
    struct pcpu *p = pcpu_of_stack((u64)stacks[thread_id]);
    register u64 top __asm__("rbx") = (u64)p & ~63UL;
    u64 rc;

    p->curr = v;
    __asm__ volatile("xchg %%rbx, %%rsp\n\tcall *%%rax\n\tmov %%rbx, %%rsp"
                     : "=a"(rc), "+r"(top), "+D"(a1), "+S"(a2)
                     : "a"(fn)
                     : "rcx", "rdx", "r8", "r9", "r10", "r11", "memory", "cc");
    return (long)rc;
}

static long op_as(u32 d, u64 cmd, void *arg)
{
    long rc = on_pcpu(&vcpus[d][0], (u64)do_event_channel_op, cmd, (u64)arg);

    while (yielding.again) {
        yielding.again = false;
        rc = on_pcpu(&vcpus[d][0], (u64)do_event_channel_op, yielding.a1, yielding.a2);
    }
    return rc;
}

static void domain_setup(u32 d)
{
    memset(&shared[d], 0, sizeof(shared[d]));
    memset(&doms[d], 0, sizeof(doms[d]));
    doms[d].domid = (domid_t)d;
    doms[d].privileged = d == 0;
    doms[d].refcnt = 1;
    doms[d].max_vcpus = VCPUS;
    doms[d].shared_info = &shared[d];
    for (u32 i = 0; i < VCPUS; i++) {
        memset(&vcpus[d][i], 0, sizeof(vcpus[d][i]));
        vcpus[d][i].domain = &doms[d];
        vcpus[d][i].id = i;
        vcpus[d][i].info = &shared[d].vcpu_info[i];
        doms[d].vcpu[i] = &vcpus[d][i];
    }
    evtchn_domain_init(&doms[d].evtchn);
}

static int setup(void **state)
{
    (void)state;
    pages_allowed = ~0u;
    read_only = false;
    memset(&yielding, 0, sizeof(yielding));
    memset(guest_page, 0, sizeof(guest_page));
    memset(kicks, 0, sizeof(kicks));
    memset(wakes, 0, sizeof(wakes));
    for (u32 d = 0; d < DOMS; d++) {
        domain_setup(d);
    }
    return 0;
}

/* Whatever a test did: death gives back all pages and all references. */
static int teardown(void **state)
{
    (void)state;
    for (u32 d = 0; d < DOMS; d++) {
        while (!evtchn_domain_destroy(&doms[d])) {
        }
    }
    for (u32 d = 0; d < DOMS; d++) {
        assert_int_equal(doms[d].refcnt, 1);
        for (u32 i = 0; i < GUEST_PAGES; i++) {
            assert_int_equal(guest_refs[d][i], 0);
        }
    }
    assert_int_equal(pages, 0);
    return 0;
}

/* Operations: the port, or -errno */
static long alloc_unbound(u32 as, domid_t dom, domid_t remote)
{
    struct evtchn_alloc_unbound op = { .dom = dom, .remote_dom = remote };
    long rc = op_as(as, EVTCHNOP_alloc_unbound, &op);

    return rc ? rc : (long)op.port;
}

static long bind_interdomain(u32 as, domid_t remote, u32 port)
{
    struct evtchn_bind_interdomain op = { .remote_dom = remote, .remote_port = port };
    long rc = op_as(as, EVTCHNOP_bind_interdomain, &op);

    return rc ? rc : (long)op.local_port;
}

static long bind_virq(u32 as, u32 virq, u32 vcpu)
{
    struct evtchn_bind_virq op = { .virq = virq, .vcpu = vcpu };
    long rc = op_as(as, EVTCHNOP_bind_virq, &op);

    return rc ? rc : (long)op.port;
}

static long bind_ipi(u32 as, u32 vcpu)
{
    struct evtchn_bind_ipi op = { .vcpu = vcpu };
    long rc = op_as(as, EVTCHNOP_bind_ipi, &op);

    return rc ? rc : (long)op.port;
}

static long bind_vcpu(u32 as, long port, u32 vcpu)
{
    struct evtchn_bind_vcpu op = { .port = (u32)port, .vcpu = vcpu };

    return op_as(as, EVTCHNOP_bind_vcpu, &op);
}

static long send(u32 as, long port)
{
    struct evtchn_send op = { .port = (u32)port };

    return op_as(as, EVTCHNOP_send, &op);
}

static long close_port(u32 as, long port)
{
    struct evtchn_close op = { .port = (u32)port };

    return op_as(as, EVTCHNOP_close, &op);
}

static long unmask(u32 as, long port)
{
    struct evtchn_unmask op = { .port = (u32)port };

    return op_as(as, EVTCHNOP_unmask, &op);
}

static long reset(u32 as, domid_t dom)
{
    struct evtchn_reset op = { .dom = dom };

    return op_as(as, EVTCHNOP_reset, &op);
}

static long status(u32 as, domid_t dom, long port, struct evtchn_status *st)
{
    memset(st, 0, sizeof(*st));
    st->dom = dom;
    st->port = (u32)port;
    return op_as(as, EVTCHNOP_status, st);
}

/* The control block of a vcpu is at 512 in its page; pages of words come after these. */
static long init_control(u32 as, u32 vcpu)
{
    struct evtchn_init_control op = { .control_gfn = frame_of(as, vcpu),
                                      .offset = 512,
                                      .vcpu = vcpu };
    long rc = op_as(as, EVTCHNOP_init_control, &op);

    return rc ? rc : op.link_bits == 17 ? 0 : 1;
}

static struct evtchn_fifo_control_block *control_of(u32 d, u32 vcpu)
{
    return (struct evtchn_fifo_control_block *)&guest_page[d][vcpu][512];
}

static long expand_array(u32 as, u32 n)
{
    struct evtchn_expand_array op = { .array_gfn = frame_of(as, VCPUS + n) };

    return op_as(as, EVTCHNOP_expand_array, &op);
}

static event_word_t *word_of(u32 d, long port)
{
    return (event_word_t *)guest_page[d][VCPUS] + port;
}

static long set_priority(u32 as, long port, u32 priority)
{
    struct evtchn_set_priority op = { .port = (u32)port, .priority = priority };

    return op_as(as, EVTCHNOP_set_priority, &op);
}

static void expect_status(u32 d, long port, u32 want)
{
    struct evtchn_status st;

    assert_int_equal(status(d, DOMID_SELF, port, &st), 0);
    assert_int_equal(st.status, want);
}

/* A channel between domains 1 and 2: its ports there. */
static void channel(long *p1, long *p2)
{
    *p1 = alloc_unbound(1, DOMID_SELF, 2);
    assert_true(*p1 > 0);
    *p2 = bind_interdomain(2, 1, (u32)*p1);
    assert_true(*p2 > 0);
}

static void bits_clear(u32 d)
{
    memset(&shared[d], 0, sizeof(shared[d]));
    memset(kicks, 0, sizeof(kicks));
}

static void expect_bits(u32 d, u32 vcpu, long port, int pending, int mask, int sel, int upcall)
{
    struct vcpu_info *info = &shared[d].vcpu_info[vcpu];

    assert_int_equal(test_bit((u64)port, shared[d].evtchn_pending), pending);
    assert_int_equal(test_bit((u64)port, shared[d].evtchn_mask), mask);
    assert_int_equal(test_bit((u64)port / 64, &info->evtchn_pending_sel), sel);
    assert_int_equal(info->evtchn_upcall_pending, upcall);
}

static void test_bad_calls(void **state)
{
    (void)state;
    for (u32 cmd = 0; cmd <= EVTCHNOP_set_priority; cmd++) {
        assert_int_equal(op_as(1, cmd, NULL), -EFAULT);
    }
    assert_int_equal(op_as(1, 14, NULL), -ENOSYS);
    assert_int_equal(op_as(1, 0x7fffffff, NULL), -ENOSYS);
    assert_int_equal(op_as(1, ~0UL, NULL), -ENOSYS);
    /* the command is an int */
    assert_int_equal(op_as(1, 1UL << 32 | EVTCHNOP_send, NULL), -EFAULT);
}

static void test_not_offered(void **state)
{
    struct evtchn_bind_pirq pirq = { .pirq = 5 };

    (void)state;
    assert_int_equal(expand_array(1, 1), -EOPNOTSUPP);
    assert_int_equal(set_priority(1, 1, 3), -ENOSYS);
    assert_int_equal(set_priority(1, 64, 3), -EINVAL);
    assert_int_equal(op_as(1, EVTCHNOP_bind_pirq, &pirq), -EPERM);
    pirq.pirq = 1u << 20;
    assert_int_equal(op_as(1, EVTCHNOP_bind_pirq, &pirq), -EINVAL);
}

static void test_alloc_unbound(void **state)
{
    struct evtchn_status st;

    (void)state;
    assert_int_equal(alloc_unbound(1, DOMID_SELF, 2), 1);
    assert_int_equal(alloc_unbound(1, 1, 2), 2);
    assert_int_equal(alloc_unbound(1, DOMID_SELF, 12345), 3); /* the remote need not exist */
    assert_int_equal(alloc_unbound(1, DOMID_SELF, DOMID_SELF), 4);
    assert_int_equal(status(1, DOMID_SELF, 4, &st), 0);
    assert_int_equal(st.u.unbound.dom, 1);
    assert_int_equal(alloc_unbound(1, 77, 2), -ESRCH);
    assert_int_equal(alloc_unbound(1, 2, 1), -EPERM);
    assert_int_equal(alloc_unbound(1, 0, 1), -EPERM);
    /* the control domain may, for another: the port is that one's */
    assert_int_equal(alloc_unbound(0, 1, 2), 5);
    expect_status(1, 5, EVTCHNSTAT_unbound);
    assert_int_equal(alloc_unbound(0, 2, DOMID_SELF), 1);
    assert_int_equal(status(0, 2, 1, &st), 0);
    assert_int_equal(st.u.unbound.dom, 0);
}

static void test_out_of_ports(void **state)
{
    (void)state;
    for (u32 turn = 0; turn < 2; turn++) {
        for (long want = 1; want <= 4095; want++) {
            assert_int_equal(alloc_unbound(1, DOMID_SELF, 2), want);
        }
        assert_int_equal(alloc_unbound(1, DOMID_SELF, 2), -ENOSPC);
        assert_int_equal(bind_ipi(1, 0), -ENOSPC);
        assert_int_equal(bind_virq(1, VIRQ_TIMER, 0), -ENOSPC);
        assert_int_equal(bind_interdomain(1, 2, 1), -ENOSPC);
        assert_int_equal(reset(1, DOMID_SELF), 0);
    }
    doms[1].evtchn.max_port = 2;
    assert_int_equal(bind_ipi(1, 0), 1);
    assert_int_equal(bind_ipi(1, 0), 2);
    assert_int_equal(bind_ipi(1, 0), -ENOSPC);
}

static void test_out_of_memory(void **state)
{
    (void)state;
    for (long want = 1; want <= 63; want++) {
        assert_int_equal(bind_ipi(1, 0), want);
    }
    pages_allowed = pages;
    assert_int_equal(bind_ipi(1, 0), -ENOMEM);
    assert_int_equal(alloc_unbound(1, DOMID_SELF, 2), -ENOMEM);
    assert_int_equal(bind_virq(1, VIRQ_TIMER, 0), -ENOMEM);
    assert_int_equal(bind_interdomain(1, 2, 1), -ENOMEM);
    assert_int_equal(close_port(1, 9), 0);
    assert_int_equal(bind_ipi(1, 0), 9);
    /* a domain made without memory for its first bucket gets it later */
    evtchn_domain_destroy(&doms[2]);
    pages_allowed = pages;
    domain_setup(2);
    assert_int_equal(send(2, 0), -EINVAL);
    assert_int_equal(bind_ipi(2, 0), -ENOMEM);
    pages_allowed = ~0u;
    assert_int_equal(bind_ipi(2, 0), 1);
}

static void test_bind_interdomain(void **state)
{
    struct evtchn_status st;
    long p1, p2, other;

    (void)state;
    other = alloc_unbound(1, DOMID_SELF, 0);
    assert_int_equal(bind_interdomain(2, 77, 1), -ESRCH);
    assert_int_equal(bind_interdomain(2, 1, (u32)other), -EINVAL);
    assert_int_equal(bind_interdomain(2, 1, 0), -EINVAL);
    assert_int_equal(bind_interdomain(2, 1, 200), -EINVAL);
    assert_int_equal(bind_interdomain(2, 1, 5000), -EINVAL);
    channel(&p1, &p2);
    assert_int_equal(bind_interdomain(2, 1, (u32)p1), -EINVAL);
    /* the binder's port is pending at once, the other one isn't */
    expect_bits(2, 0, p2, 1, 0, 1, 1);
    expect_bits(1, 0, p1, 0, 0, 0, 0);
    assert_int_equal(kicks[2][0], 1);
    assert_int_equal(status(2, DOMID_SELF, p2, &st), 0);
    assert_int_equal(st.status, EVTCHNSTAT_interdomain);
    assert_int_equal(st.u.interdomain.dom, 1);
    assert_int_equal(st.u.interdomain.port, p1);
    assert_int_equal(status(1, 1, p1, &st), 0);
    assert_int_equal(st.u.interdomain.dom, 2);
    assert_int_equal(st.u.interdomain.port, p2);
    assert_int_equal(doms[1].refcnt, 2);
    assert_int_equal(doms[2].refcnt, 2);
}

static void test_send(void **state)
{
    long p1, p2;

    (void)state;
    channel(&p1, &p2);
    bits_clear(2);
    assert_int_equal(send(1, p1), 0);
    expect_bits(2, 0, p2, 1, 0, 1, 1);
    expect_bits(1, 0, p1, 0, 0, 0, 0);
    assert_int_equal(kicks[2][0], 1);
    /* coalesced: nothing happens */
    shared[2].vcpu_info[0].evtchn_pending_sel = 0;
    shared[2].vcpu_info[0].evtchn_upcall_pending = 0;
    assert_int_equal(send(1, p1), 0);
    expect_bits(2, 0, p2, 1, 0, 0, 0);
    assert_int_equal(kicks[2][0], 1);
    /* masked, then unmasked by memory, then sent again: lost until PENDING is cleared */
    bits_clear(2);
    set_bit((u64)p2, shared[2].evtchn_mask);
    assert_int_equal(send(1, p1), 0);
    expect_bits(2, 0, p2, 1, 1, 0, 0);
    clear_bit((u64)p2, shared[2].evtchn_mask);
    assert_int_equal(send(1, p1), 0);
    expect_bits(2, 0, p2, 1, 0, 0, 0);
    assert_int_equal(kicks[2][0], 0);
    /* and the other way */
    assert_int_equal(send(2, p2), 0);
    expect_bits(1, 0, p1, 1, 0, 1, 1);
}

static void test_send_errors(void **state)
{
    long unbound = alloc_unbound(1, DOMID_SELF, 2), virq = bind_virq(1, VIRQ_TIMER, 0);
    long ipi = bind_ipi(1, 1);

    (void)state;
    assert_int_equal(send(1, unbound), 0);
    expect_bits(1, 0, unbound, 0, 0, 0, 0);
    assert_int_equal(send(1, virq), -EINVAL);
    assert_int_equal(send(1, 0), -EINVAL);
    assert_int_equal(send(1, 17), -EINVAL);
    assert_int_equal(send(1, 256), -EINVAL);
    assert_int_equal(send(1, 4096), -EINVAL);
    assert_int_equal(send(1, 0xffffffff), -EINVAL);
    assert_int_equal(send(1, ipi), 0);
    expect_bits(1, 1, ipi, 1, 0, 1, 1);
    assert_int_equal(kicks[1][1], 1);
    assert_int_equal(close_port(1, ipi), 0);
    assert_int_equal(send(1, ipi), -EINVAL);
    /* no port stays locked after an error */
    for (u32 port = 0; port < 64; port++) {
        assert_int_equal(evtchn_at(&doms[1].evtchn, port)->lock, 0);
    }
}

static void test_unmask(void **state)
{
    long ipi = bind_ipi(1, 2);

    (void)state;
    assert_int_equal(unmask(1, 0), 0);
    assert_int_equal(unmask(1, 256), -EINVAL);
    assert_int_equal(unmask(1, 0xffffffff), -EINVAL);
    set_bit((u64)ipi, shared[1].evtchn_mask);
    assert_int_equal(send(1, ipi), 0);
    expect_bits(1, 2, ipi, 1, 1, 0, 0);
    assert_int_equal(unmask(1, ipi), 0);
    expect_bits(1, 2, ipi, 1, 0, 1, 1);
    assert_int_equal(kicks[1][2], 1);
    /* it was not masked: nothing, even though pending */
    shared[1].vcpu_info[2].evtchn_pending_sel = 0;
    shared[1].vcpu_info[2].evtchn_upcall_pending = 0;
    assert_int_equal(unmask(1, ipi), 0);
    expect_bits(1, 2, ipi, 1, 0, 0, 0);
}

static void test_bind_virq(void **state)
{
    struct evtchn_status st;

    (void)state;
    assert_int_equal(bind_virq(1, 24, 0), -EINVAL);
    assert_int_equal(bind_virq(1, ~0u, 0), -EINVAL);
    assert_int_equal(bind_virq(1, VIRQ_TIMER, VCPUS), -ENOENT);
    assert_int_equal(bind_virq(1, VIRQ_TIMER, ~0u), -ENOENT);
    assert_int_equal(bind_virq(1, VIRQ_TIMER, 1), 1);
    assert_int_equal(bind_virq(1, VIRQ_TIMER, 1), -EEXIST);
    assert_int_equal(bind_virq(1, VIRQ_TIMER, 2), 2);
    assert_int_equal(bind_virq(1, VIRQ_DEBUG, 1), 3);
    assert_int_equal(bind_virq(0, VIRQ_CONSOLE, 1), -EINVAL);
    assert_int_equal(bind_virq(0, VIRQ_CONSOLE, 99), -EINVAL);
    assert_int_equal(bind_virq(1, VIRQ_CONSOLE, 0), -EBUSY); /* the control domain's */
    assert_int_equal(bind_virq(1, VIRQ_ARGO, 0), 4);
    assert_int_equal(bind_virq(0, VIRQ_CONSOLE, 0), 1);
    assert_int_equal(bind_virq(0, VIRQ_CONSOLE, 0), -EEXIST);
    assert_int_equal(status(1, DOMID_SELF, 2, &st), 0);
    assert_int_equal(st.status, EVTCHNSTAT_virq);
    assert_int_equal(st.u.virq, VIRQ_TIMER);
    assert_int_equal(st.vcpu, 2);
    /* closed, it can be bound again */
    assert_int_equal(close_port(1, 2), 0);
    assert_int_equal(vcpus[1][2].virq_port[VIRQ_TIMER], 0);
    assert_int_equal(bind_virq(1, VIRQ_TIMER, 2), 2);
}

static void test_send_virq(void **state)
{
    long timer, console;

    (void)state;
    vcpu_send_virq(&vcpus[1][3], VIRQ_TIMER); /* not bound: dropped */
    assert_int_equal(kicks[1][3], 0);
    timer = bind_virq(1, VIRQ_TIMER, 3);
    vcpu_send_virq(&vcpus[1][2], VIRQ_TIMER);
    expect_bits(1, 3, timer, 0, 0, 0, 0);
    vcpu_send_virq(&vcpus[1][3], VIRQ_TIMER);
    expect_bits(1, 3, timer, 1, 0, 1, 1);
    assert_int_equal(kicks[1][3], 1);

    console = bind_virq(0, VIRQ_CONSOLE, 0);
    domain_send_virq(&doms[0], VIRQ_CONSOLE);
    expect_bits(0, 0, console, 1, 0, 1, 1);
    bits_clear(0);
    assert_int_equal(bind_vcpu(0, console, 2), 0);
    domain_send_virq(&doms[0], VIRQ_CONSOLE);
    expect_bits(0, 0, console, 1, 0, 0, 0);
    expect_bits(0, 2, console, 1, 0, 1, 1);
    /* moved, it is still vcpu 0's binding that close undoes */
    assert_int_equal(close_port(0, console), 0);
    assert_int_equal(bind_virq(0, VIRQ_CONSOLE, 0), console);
    expect_assert_failure(vcpu_send_virq(&vcpus[1][0], VIRQ_CONSOLE));
    expect_assert_failure(domain_send_virq(&doms[1], VIRQ_TIMER));
    expect_assert_failure(domain_send_virq(&doms[1], NR_VIRQS));
}

static void test_bind_ipi(void **state)
{
    (void)state;
    assert_int_equal(bind_ipi(1, VCPUS), -ENOENT);
    assert_int_equal(bind_ipi(1, ~0u), -ENOENT);
    assert_int_equal(bind_ipi(1, 0), 1);
    assert_int_equal(send(1, 1), 0); /* to itself */
    expect_bits(1, 0, 1, 1, 0, 1, 1);
}

static void test_bind_vcpu(void **state)
{
    long p1, p2, ipi = bind_ipi(2, 0), timer = bind_virq(2, VIRQ_TIMER, 0);

    (void)state;
    channel(&p1, &p2);
    assert_int_equal(bind_vcpu(2, p2, VCPUS), -ENOENT);
    assert_int_equal(bind_vcpu(2, 99, VCPUS), -ENOENT);
    assert_int_equal(bind_vcpu(2, 99, 1), -EINVAL);
    assert_int_equal(bind_vcpu(2, 5000, 1), -EINVAL);
    assert_int_equal(bind_vcpu(2, ipi, 1), -EINVAL);
    assert_int_equal(bind_vcpu(2, timer, 1), -EINVAL);
    bits_clear(2);
    assert_int_equal(send(1, p1), 0);
    assert_int_equal(bind_vcpu(2, p2, 1), 0);
    expect_bits(2, 1, p2, 1, 0, 0, 0); /* what came before isn't moved */
    expect_bits(2, 0, p2, 1, 0, 1, 1);
    bits_clear(2);
    assert_int_equal(send(1, p1), 0);
    expect_bits(2, 0, p2, 1, 0, 0, 0);
    expect_bits(2, 1, p2, 1, 0, 1, 1);
    assert_int_equal(kicks[2][1], 1);
}

static void test_close(void **state)
{
    struct evtchn_status st;
    long p1, p2;

    (void)state;
    assert_int_equal(close_port(1, 0), -EINVAL);
    assert_int_equal(close_port(1, 1), -EINVAL);
    assert_int_equal(close_port(1, 5000), -EINVAL);
    channel(&p1, &p2);
    assert_int_equal(bind_vcpu(1, p1, 3), 0);
    assert_int_equal(send(2, p2), 0);
    assert_int_equal(close_port(2, p2), 0);
    /* own event forgotten, mask untouched; the other's event is still there */
    expect_bits(2, 0, p2, 0, 0, 1, 1);
    expect_bits(1, 3, p1, 1, 0, 1, 1);
    assert_int_equal(status(1, DOMID_SELF, p1, &st), 0);
    assert_int_equal(st.status, EVTCHNSTAT_unbound);
    assert_int_equal(st.u.unbound.dom, 2);
    assert_int_equal(st.vcpu, 3); /* as on Xen, what bind_vcpu chose stays */
    assert_int_equal(doms[1].refcnt, 1);
    assert_int_equal(doms[2].refcnt, 1);
    assert_int_equal(bind_interdomain(0, 1, (u32)p1), -EINVAL);
    assert_int_equal(bind_interdomain(2, 1, (u32)p1), p2);
    assert_int_equal(close_port(2, p2), 0);
    assert_int_equal(close_port(2, p2), -EINVAL);
}

static void test_loopback(void **state)
{
    long a, b;

    (void)state;
    a = alloc_unbound(1, DOMID_SELF, DOMID_SELF);
    b = bind_interdomain(1, DOMID_SELF, (u32)a);
    assert_true(b > 0 && b != a);
    assert_int_equal(doms[1].refcnt, 3);
    bits_clear(1);
    assert_int_equal(send(1, a), 0);
    expect_bits(1, 0, b, 1, 0, 1, 1);
    assert_int_equal(close_port(1, a), 0);
    assert_int_equal(doms[1].refcnt, 1);
    expect_status(1, b, EVTCHNSTAT_unbound);
    /* left for teardown: death breaks the cycle */
    assert_int_equal(bind_interdomain(1, 1, (u32)b), a);
}

static void test_status(void **state)
{
    struct evtchn_status st;

    (void)state;
    expect_status(1, 0, EVTCHNSTAT_closed);
    expect_status(1, 9, EVTCHNSTAT_closed);
    assert_int_equal(status(1, DOMID_SELF, 64, &st), -EINVAL);
    assert_int_equal(status(1, DOMID_SELF, 0xffffffff, &st), -EINVAL);
    assert_int_equal(status(1, 77, 0, &st), -ESRCH);
    assert_int_equal(status(1, 2, 0, &st), -EPERM);
    assert_int_equal(bind_ipi(1, 3), 1);
    assert_int_equal(status(0, 1, 1, &st), 0);
    assert_int_equal(st.status, EVTCHNSTAT_ipi);
    assert_int_equal(st.vcpu, 3);
}

static void test_reset(void **state)
{
    long p1, p2;

    (void)state;
    assert_int_equal(reset(1, 77), -ESRCH);
    assert_int_equal(reset(1, 2), -EPERM);
    assert_int_equal(reset(0, 1), -EINVAL); /* not paused */
    channel(&p1, &p2);
    bind_ipi(1, 0);
    bind_virq(1, VIRQ_TIMER, 0);
    doms[1].evtchn.resetting = true;
    assert_int_equal(reset(1, 1), -EBUSY);
    doms[1].evtchn.resetting = false;
    assert_int_equal(reset(1, 1), 0);
    for (long port = 1; port < 6; port++) {
        expect_status(1, port, EVTCHNSTAT_closed);
    }
    expect_status(2, p2, EVTCHNSTAT_unbound);
    assert_int_equal(bind_virq(1, VIRQ_TIMER, 0), 1);
    for (u32 i = 0; i < VCPUS; i++) {
        vcpus[1][i].pause_flags = VPF_PAUSED | VPF_DOWN;
    }
    assert_int_equal(reset(0, 1), 0);
    assert_int_equal(bind_ipi(1, 0), 1);
}

static void test_read_only_argument(void **state)
{
    (void)state;
    read_only = true;
    assert_int_equal(alloc_unbound(1, DOMID_SELF, 2), -EFAULT);
    assert_int_equal(bind_ipi(1, 0), -EFAULT);
    assert_int_equal(bind_virq(1, VIRQ_TIMER, 0), -EFAULT);
    read_only = false;
    assert_int_equal(bind_interdomain(2, 1, 1), 1);
    assert_int_equal(bind_ipi(1, 0), 4);
}

/* Death: peers become unbound, nothing new is bound, no VIRQ and no status finds the table. */
static void test_destroy(void **state)
{
    struct evtchn_status st;
    long p1, p2;

    (void)state;
    channel(&p1, &p2);
    bind_virq(2, VIRQ_TIMER, 0);
    evtchn_domain_destroy(&doms[2]);
    assert_int_equal(status(1, DOMID_SELF, p1, &st), 0);
    assert_int_equal(st.status, EVTCHNSTAT_unbound);
    assert_int_equal(st.u.unbound.dom, 2);
    assert_int_equal(send(1, p1), 0);
    assert_int_equal(doms[1].refcnt, 1);
    vcpu_send_virq(&vcpus[2][0], VIRQ_TIMER);
    assert_int_equal(status(0, 2, 1, &st), -EINVAL);
    assert_int_equal(alloc_unbound(0, 2, 1), -EINVAL);
    assert_int_equal(bind_interdomain(1, 2, 1), -EINVAL);
    assert_int_equal(bind_ipi(2, 0), -EINVAL);
}

static void poll_start(u32 vcpu, u32 port)
{
    struct vcpu *v = &vcpus[1][vcpu];

    atomic_fetch_or(&v->pause_flags, VPF_BLOCKED);
    evtchn_poll_begin(v, port);
}

static void test_poll(void **state)
{
    long a = bind_ipi(1, 0), b = bind_ipi(1, 0);

    (void)state;
    assert_false(evtchn_is_pending(&doms[1], (u32)a));
    set_bit((u64)a, shared[1].evtchn_mask); /* masked ports wake pollers too */
    poll_start(1, (u32)a);
    poll_start(2, (u32)b);
    poll_start(3, 0);
    vcpus[1][1].pause_flags |= VPF_DOWN;
    assert_int_equal(doms[1].evtchn.nr_pollers, 3);
    assert_int_equal(send(1, a), 0);
    assert_true(evtchn_is_pending(&doms[1], (u32)a));
    assert_int_equal(doms[1].evtchn.nr_pollers, 1);
    assert_int_equal(wakes[1][1], 1);
    assert_int_equal(wakes[1][2], 0);
    assert_int_equal(wakes[1][3], 1);
    assert_int_equal(vcpus[1][1].pause_flags, VPF_DOWN);
    assert_int_equal(vcpus[1][2].pause_flags, VPF_BLOCKED);
    assert_true(vcpus[1][2].polling);
    evtchn_poll_end(&vcpus[1][2]);
    evtchn_poll_end(&vcpus[1][2]);
    assert_int_equal(doms[1].evtchn.nr_pollers, 0);
    assert_int_equal(send(1, b), 0);
    assert_int_equal(wakes[1][2], 0);
}

static void test_no_vcpu_info(void **state)
{
    long ipi = bind_ipi(1, 2);

    (void)state;
    vcpus[1][2].info = NULL;
    assert_int_equal(send(1, ipi), 0);
    expect_bits(1, 2, ipi, 1, 0, 0, 0);
    assert_int_equal(unmask(1, ipi), 0);
    assert_int_equal(kicks[1][2], 0);
}

/* ---- FIFO ---- */

static void fifo_on(u32 d)
{
    assert_int_equal(init_control(d, 0), 0);
    assert_int_equal(expand_array(d, 0), 0);
}

static void expect_word(u32 d, long port, u32 want)
{
    assert_int_equal(*word_of(d, port), want);
}

static void expect_counts(u32 d, long port, u64 coalesced, u64 masked, u64 delivered)
{
    struct tarn_port p = { .domid = (domid_t)d, .port = (u32)port };

    assert_true(evtchn_look(&doms[d], &p));
    assert_int_equal(p.port, port);
    assert_int_equal(p.coalesced, coalesced);
    assert_int_equal(p.masked, masked);
    assert_int_equal(p.delivered, delivered);
    assert_int_equal(p.sent, coalesced + masked + delivered);
}

static void test_init_control(void **state)
{
    struct evtchn_init_control op = { .control_gfn = frame_of(1, 9) };

    (void)state;
    op.vcpu = VCPUS;
    assert_int_equal(op_as(1, EVTCHNOP_init_control, &op), -ENOENT);
    op.vcpu = 1;
    op.offset = PAGE_SIZE - sizeof(struct evtchn_fifo_control_block) + 8;
    assert_int_equal(op_as(1, EVTCHNOP_init_control, &op), -EINVAL);
    op.offset = ~0u & ~7u;
    assert_int_equal(op_as(1, EVTCHNOP_init_control, &op), -EINVAL);
    op.offset = 4;
    assert_int_equal(op_as(1, EVTCHNOP_init_control, &op), -EINVAL);
    op.offset = 0;
    op.control_gfn = frame_of(2, 9); /* another's */
    assert_int_equal(op_as(1, EVTCHNOP_init_control, &op), -EINVAL);
    op.control_gfn = frame_of(1, 9);
    pages_allowed = pages;
    assert_int_equal(op_as(1, EVTCHNOP_init_control, &op), -ENOMEM);
    pages_allowed = ~0u;
    assert_int_equal(guest_refs[1][9], 0);
    assert_int_equal(set_priority(1, 1, 3), -ENOSYS); /* two-level still */
    op.offset = PAGE_SIZE - sizeof(struct evtchn_fifo_control_block);
    assert_int_equal(op_as(1, EVTCHNOP_init_control, &op), 0);
    assert_int_equal(op.link_bits, 17);
    assert_int_equal(guest_refs[1][9], 1);
    assert_int_equal(op_as(1, EVTCHNOP_init_control, &op), -EINVAL); /* once a vcpu */
    assert_int_equal(guest_refs[1][9], 1);
    assert_int_equal(init_control(1, 0), 0);
    /* the block is the vcpu's even if the answer can't be written */
    read_only = true;
    assert_int_equal(init_control(1, 2), -EFAULT);
    read_only = false;
    assert_int_equal(init_control(1, 2), -EINVAL);
    assert_int_equal(set_priority(1, 1, 3), -EACCES);
    assert_int_equal(bind_ipi(1, 0), 1);
    assert_int_equal(set_priority(1, 1, 3), 0);
    assert_int_equal(set_priority(1, 1, 16), -EINVAL);
    assert_int_equal(set_priority(1, 64, 1), -EINVAL);
}

static void test_expand_array(void **state)
{
    struct evtchn_expand_array op = { .array_gfn = frame_of(2, 9) };

    (void)state;
    assert_int_equal(init_control(1, 0), 0);
    assert_int_equal(op_as(1, EVTCHNOP_expand_array, &op), -EINVAL);
    for (u32 i = 0; i < 128; i++) { /* the last two once more */
        assert_int_equal(expand_array(1, MIN(i, 125u)), 0);
    }
    assert_int_equal(expand_array(1, 0), -ENOSPC);
    assert_int_equal(op_as(1, EVTCHNOP_expand_array, &op), -ENOSPC);
    assert_int_equal(guest_refs[1][VCPUS + 125], 3);
}

/* From a domain that has two-level to one that has FIFO, and back. */
static void test_fifo_send(void **state)
{
    long p1, p2;

    (void)state;
    fifo_on(2);
    channel(&p1, &p2);
    assert_int_equal(p2, 1);
    expect_word(2, 1, FIFO_PENDING | FIFO_LINKED); /* at once, for the one who binds */
    assert_int_equal(control_of(2, 0)->ready, 1u << 7);
    assert_int_equal(control_of(2, 0)->head[7], 1);
    assert_int_equal(shared[2].vcpu_info[0].evtchn_upcall_pending, 1);
    assert_int_equal(shared[2].vcpu_info[0].evtchn_pending_sel, 0);
    assert_int_equal(kicks[2][0], 1);
    assert_int_equal(send(1, p1), 0);
    expect_counts(2, p2, 1, 0, 1);
    *word_of(2, 1) = FIFO_MASKED;
    assert_int_equal(send(1, p1), 0);
    expect_word(2, 1, FIFO_PENDING | FIFO_MASKED);
    expect_counts(2, p2, 1, 1, 1);
    control_of(2, 0)->ready = 0;
    shared[2].vcpu_info[0].evtchn_upcall_pending = 0;
    assert_int_equal(unmask(2, p2), 0);
    expect_word(2, 1, FIFO_PENDING | FIFO_LINKED);
    assert_int_equal(kicks[2][0], 2);
    /* the other way is two-level */
    expect_bits(1, 0, p1, 0, 0, 0, 0);
    assert_int_equal(send(2, p2), 0);
    expect_bits(1, 0, p1, 1, 0, 1, 1);
    expect_counts(1, p1, 0, 0, 1);
    /* closed: no event, but a place in the queue, so the number is given to nobody */
    assert_int_equal(close_port(2, p2), 0);
    expect_word(2, 1, FIFO_LINKED);
    expect_counts(1, p1, 0, 0, 1);
    assert_int_equal(bind_ipi(2, 0), 2);
    *word_of(2, 1) = 0;
    assert_int_equal(bind_interdomain(2, 1, (u32)p1), 1);
    expect_counts(1, p1, 0, 0, 1);
    expect_counts(2, 1, 0, 0, 1);
    assert_int_equal(unmask(2, 5), 0);
    assert_int_equal(unmask(2, 0), 0);
    *word_of(2, 5) = FIFO_MASKED;
    assert_int_equal(unmask(2, 5), 0); /* free: nothing happens */
    expect_word(2, 5, FIFO_MASKED);
    assert_int_equal(unmask(2, 5000), -EINVAL);
}

static void test_fifo_virq_and_vcpus(void **state)
{
    long timer, ipi, console;

    (void)state;
    fifo_on(0);
    assert_int_equal(init_control(0, 3), 0);
    timer = bind_virq(0, VIRQ_TIMER, 3);
    ipi = bind_ipi(0, 1);
    assert_int_equal(set_priority(0, timer, 2), 0);
    vcpu_send_virq(&vcpus[0][3], VIRQ_TIMER);
    assert_int_equal(control_of(0, 3)->ready, 1u << 2);
    assert_int_equal(kicks[0][3], 1);
    expect_counts(0, timer, 0, 0, 1);
    /* vcpu 1 has no control block: the event stays pending */
    assert_int_equal(send(0, ipi), 0);
    expect_word(0, ipi, FIFO_PENDING);
    assert_int_equal(kicks[0][1], 0);
    assert_int_equal(init_control(0, 1), 0);
    assert_int_equal(send(0, ipi), 0);
    expect_word(0, ipi, FIFO_PENDING | FIFO_LINKED);
    assert_int_equal(kicks[0][1], 1);
    expect_counts(0, ipi, 1, 0, 1);
    /* moved */
    console = bind_virq(0, VIRQ_CONSOLE, 0);
    assert_int_equal(bind_vcpu(0, console, 3), 0);
    domain_send_virq(&doms[0], VIRQ_CONSOLE);
    assert_int_equal(control_of(0, 3)->ready, 1u << 2 | 1u << 7);
    assert_int_equal(control_of(0, 3)->head[7], console);
    assert_int_equal(kicks[0][3], 1); /* an upcall was pending */
    vcpus[0][3].info = NULL;
    *word_of(0, console) = 0;
    control_of(0, 3)->ready = 0;
    domain_send_virq(&doms[0], VIRQ_CONSOLE);
    assert_int_equal(control_of(0, 3)->ready, 1u << 7);
    assert_int_equal(kicks[0][3], 1);
}

/* What was pending when the domain changed comes with the words. */
static void test_fifo_carries_over(void **state)
{
    long p1, p2, ipi, quiet;

    (void)state;
    channel(&p1, &p2); /* p2 is pending */
    ipi = bind_ipi(2, 1);
    quiet = bind_ipi(2, 1);
    assert_int_equal(send(2, ipi), 0);
    bits_clear(1);
    assert_int_equal(init_control(2, 0), 0);
    assert_int_equal(init_control(2, 1), 0);
    assert_int_equal(control_of(2, 0)->ready, 0);
    assert_true(evtchn_is_pending(&doms[2], (u32)ipi));
    assert_false(evtchn_is_pending(&doms[2], (u32)quiet));
    expect_counts(2, ipi, 0, 0, 1);
    assert_int_equal(send(1, p1), 0);
    expect_counts(2, p2, 1, 0, 1);
    shared[2].vcpu_info[0].evtchn_upcall_pending = 0;
    shared[2].vcpu_info[1].evtchn_upcall_pending = 0;
    assert_int_equal(expand_array(2, 0), 0);
    expect_word(2, p2, FIFO_PENDING | FIFO_LINKED);
    expect_word(2, ipi, FIFO_PENDING | FIFO_LINKED);
    expect_word(2, quiet, 0);
    assert_int_equal(control_of(2, 0)->head[7], p2);
    assert_int_equal(control_of(2, 1)->head[7], ipi);
    assert_int_equal(shared[2].vcpu_info[0].evtchn_upcall_pending, 1);
    assert_int_equal(shared[2].vcpu_info[1].evtchn_upcall_pending, 1);
}

static void test_fifo_poll(void **state)
{
    long a;

    (void)state;
    fifo_on(1);
    a = bind_ipi(1, 0);
    *word_of(1, a) = FIFO_MASKED;
    poll_start(1, (u32)a);
    poll_start(2, (u32)a + 1);
    assert_false(evtchn_is_pending(&doms[1], (u32)a));
    assert_int_equal(send(1, a), 0);
    assert_true(evtchn_is_pending(&doms[1], (u32)a));
    assert_int_equal(wakes[1][1], 1);
    assert_int_equal(wakes[1][2], 0);
    assert_int_equal(close_port(1, a), 0);
    assert_false(evtchn_is_pending(&doms[1], (u32)a));
    evtchn_poll_end(&vcpus[1][2]);
}

/* All ports there are; reset, in steps, leads back to two-level; and once more. */
static void test_fifo_all_ports(void **state)
{
    long p1, p2;

    (void)state;
    for (u32 turn = 0; turn < 2; turn++) {
        assert_int_equal(init_control(1, 0), 0);
        for (u32 i = 0; i < 128; i++) {
            assert_int_equal(expand_array(1, MIN(i, 125u)), 0);
        }
        channel(&p1, &p2);
        for (long want = 2; want < 131072; want++) {
            assert_int_equal(bind_ipi(1, 0), want);
        }
        assert_int_equal(bind_ipi(1, 0), -ENOSPC);
        assert_int_equal(send(1, 131071), 0);
        assert_int_equal(((event_word_t *)guest_page[1][VCPUS + 125])[1023],
                         FIFO_PENDING | FIFO_LINKED);
        yielding.every = 100;
        assert_int_equal(reset(1, DOMID_SELF), 0);
        assert_true(yielding.times > 500);
        memset(&yielding, 0, sizeof(yielding));
        for (u32 i = 0; i < GUEST_PAGES; i++) {
            assert_int_equal(guest_refs[1][i], 0);
        }
        memset(guest_page, 0, sizeof(guest_page));
        expect_status(2, p2, EVTCHNSTAT_unbound);
        assert_int_equal(close_port(2, p2), 0);
        assert_int_equal(unmask(1, 4096), -EINVAL);
        assert_int_equal(send(1, 4096), -EINVAL);
        assert_int_equal(set_priority(1, 1, 1), -ENOSYS);
        assert_int_equal(expand_array(1, 0), -EOPNOTSUPP);
        bits_clear(1);
        assert_int_equal(bind_ipi(1, 0), 1);
        assert_int_equal(send(1, 1), 0);
        expect_bits(1, 0, 1, 1, 0, 1, 1);
        assert_int_equal(close_port(1, 1), 0);
    }
}

/* Memory that is not there is the caller's answer, also for the big table. */
static void test_fifo_out_of_memory(void **state)
{
    (void)state;
    fifo_on(1);
    for (long want = 1; want < 4096; want++) {
        assert_int_equal(bind_ipi(1, 0), want);
    }
    pages_allowed = pages;
    assert_int_equal(bind_ipi(1, 0), -ENOMEM);
    pages_allowed = pages + 1; /* the table alone */
    assert_int_equal(bind_ipi(1, 0), -ENOMEM);
    assert_int_equal(send(1, 4096), -EINVAL);
    assert_int_equal(send(1, 4095), 0);
    pages_allowed = ~0u;
    assert_int_equal(bind_ipi(1, 0), 4096);
    assert_int_equal(send(1, 4096), 0); /* no word yet */
    assert_true(evtchn_is_pending(&doms[1], 4096));
    expect_counts(1, 4096, 0, 1, 0);
}

/* Others bind while a reset gives way: they keep what they have, and FIFO. */
static void test_reset_interrupted(void **state)
{
    struct evtchn_reset op = { .dom = DOMID_SELF };
    long rc;

    (void)state;
    fifo_on(1);
    for (long want = 1; want <= 500; want++) {
        assert_int_equal(bind_ipi(1, 0), want);
    }
    yielding.every = 1;
    rc = on_pcpu(&vcpus[1][0], (u64)do_event_channel_op, EVTCHNOP_reset, (u64)&op);
    assert_true(rc && yielding.again);
    yielding.again = false;
    assert_int_equal(reset(1, DOMID_SELF), -EBUSY);
    assert_int_equal(bind_ipi(1, 0), 1);
    yielding.every = 0;
    assert_int_equal(op_as(1, yielding.a1, &op), -EAGAIN);
    expect_status(1, 1, EVTCHNSTAT_ipi);
    expect_status(1, 500, EVTCHNSTAT_closed);
    assert_int_equal(set_priority(1, 1, 1), 0);
    assert_int_equal(reset(1, DOMID_SELF), 0);
    assert_int_equal(set_priority(1, 1, 1), -ENOSYS);
    /* the rest of a reset that nobody has begun is a whole one */
    assert_int_equal(bind_ipi(1, 0), 1);
    assert_int_equal(op_as(1, EVTCHNOP_reset | 7UL << 32, &op), 0);
    expect_status(1, 1, EVTCHNSTAT_closed);
}

static void test_fifo_destroy(void **state)
{
    u32 steps = 0;

    (void)state;
    fifo_on(1);
    assert_int_equal(init_control(1, 3), 0);
    for (long want = 1; want <= 5000; want++) {
        assert_int_equal(bind_ipi(1, 0), want);
    }
    yielding.every = 50;
    while (!evtchn_domain_destroy(&doms[1])) {
        steps++;
    }
    assert_true(steps > 10);
    assert_int_equal(guest_refs[1][0], 0);
    assert_int_equal(guest_refs[1][VCPUS], 0);
    assert_int_equal(init_control(1, 0), -EINVAL);
    assert_int_equal(expand_array(1, 0), -EOPNOTSUPP);
}

static void test_look(void **state)
{
    struct tarn_port p = { .domid = 1 };
    long p1, p2;

    (void)state;
    assert_false(evtchn_look(&doms[1], &p));
    channel(&p1, &p2);
    assert_int_equal(bind_virq(1, VIRQ_DEBUG, 2), 2);
    assert_int_equal(alloc_unbound(1, DOMID_SELF, 77), 3);
    set_bit(2, shared[1].evtchn_mask);
    vcpu_send_virq(&vcpus[1][2], VIRQ_DEBUG);
    assert_true(evtchn_look(&doms[1], &p));
    assert_int_equal(p.port, 1);
    assert_int_equal(p.status, EVTCHNSTAT_interdomain);
    assert_int_equal(p.remote_domid, 2);
    assert_int_equal(p.remote_port, p2);
    assert_int_equal(p.flags, 0);
    assert_int_equal(p.priority, 7);
    p.port++;
    assert_true(evtchn_look(&doms[1], &p));
    assert_int_equal(p.port, 2);
    assert_int_equal(p.status, EVTCHNSTAT_virq);
    assert_int_equal(p.virq, VIRQ_DEBUG);
    assert_int_equal(p.vcpu, 2);
    assert_int_equal(p.flags, TARN_PORT_pending | TARN_PORT_masked);
    assert_int_equal(p.masked, 1);
    p.port++;
    assert_true(evtchn_look(&doms[1], &p));
    assert_int_equal(p.status, EVTCHNSTAT_unbound);
    assert_int_equal(p.remote_domid, 77);
    p.port++;
    assert_false(evtchn_look(&doms[1], &p));
    p = (struct tarn_port){ .port = ~0u };
    assert_false(evtchn_look(&doms[1], &p));
    /* FIFO */
    fifo_on(1);
    assert_int_equal(send(1, bind_ipi(1, 0)), 0);
    p = (struct tarn_port){ .port = 4 };
    assert_true(evtchn_look(&doms[1], &p));
    assert_int_equal(p.flags, TARN_PORT_fifo | TARN_PORT_pending | TARN_PORT_linked);
    assert_int_equal(p.delivered, 1);
}

/* Threads. Failures are counted: cmocka's assertions belong to the main thread. */
static u32 failures, polls_left;

static u64 now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (u64)t.tv_sec * 1000 + (u64)t.tv_nsec / 1000000;
}

/* As SCHEDOP_poll does: sleep until woken, unless the port is pending or somebody was quicker. */
static void poll_once(struct vcpu *v, u32 port)
{
    u64 deadline = now_ms() + 20000;

    atomic_fetch_or(&v->pause_flags, VPF_BLOCKED);
    evtchn_poll_begin(v, port);
    if (evtchn_is_pending(v->domain, port) || !atomic_load(&v->polling)) {
        evtchn_poll_end(v);
        atomic_fetch_and(&v->pause_flags, ~VPF_BLOCKED);
    }
    while (atomic_load(&v->pause_flags) & VPF_BLOCKED) {
        sched_yield();
        if (now_ms() > deadline) {
            atomic_fetch_add(&failures, 1);
            return;
        }
    }
}

static void *poller(void *arg)
{
    struct vcpu *v = arg;

    thread_id = 1;
    while (atomic_load(&polls_left) && !atomic_load(&failures)) {
        poll_once(v, 1);
        if (test_and_clear_bit(1, shared[1].evtchn_pending)) {
            atomic_fetch_sub(&polls_left, 1);
        }
    }
    evtchn_poll_end(v);
    return NULL;
}

/* The sender waits for each event to be taken: a wake-up that is lost stops both. */
static void test_poll_race(void **state)
{
    pthread_t t;
    u32 left;

    (void)state;
    assert_int_equal(bind_ipi(1, 0), 1);
    set_bit(1, shared[1].evtchn_mask);
    failures = 0;
    polls_left = 20000;
    assert_int_equal(pthread_create(&t, NULL, poller, &vcpus[1][1]), 0);
    while ((left = atomic_load(&polls_left)) && !atomic_load(&failures)) {
        send(1, 1);
        while (atomic_load(&polls_left) == left && !atomic_load(&failures)) {
            sched_yield();
        }
    }
    pthread_join(t, NULL);
    assert_int_equal(failures, 0);
    assert_int_equal(doms[1].evtchn.nr_pollers, 0);
}

struct worker {
    u32 id, dom, steps, seed;
};
static u32 done_ops[8];

/* In and out of FIFO, between all else. */
static long fifo_op(const struct worker *w, u32 *seed, u32 port, struct evtchn_status *st)
{
    struct tarn_port p = { .port = port };

    switch ((u32)rand_r(seed) % 8) {
    case 0:
        return init_control(w->dom, w->id % VCPUS);
    case 1:
        return expand_array(w->dom, (u32)rand_r(seed) % 100);
    case 2:
        return set_priority(w->dom, port, (u32)rand_r(seed) % 17);
    case 3:
        return reset(w->dom, DOMID_SELF);
    case 4:
        (void)evtchn_is_pending(&doms[w->dom], port % 12);
        return !evtchn_look(&doms[w->dom], &p);
    default:
        return status(w->dom, DOMID_SELF, port, st);
    }
}

static long random_op(const struct worker *w, u32 *seed)
{
    u32 op = (u32)rand_r(seed) % 16, port = (u32)rand_r(seed) % 12, other = 3 - w->dom;
    struct evtchn_status st;

    switch (op) {
    case 0:
        return alloc_unbound(w->dom, DOMID_SELF, (domid_t)(rand_r(seed) % 2 ? other : w->dom)) < 0;
    case 1:
    case 2:
    case 3:
        return bind_interdomain(w->dom, (domid_t)(rand_r(seed) % 4 ? other : w->dom), port) < 0;
    case 4:
        return bind_ipi(w->dom, w->id % VCPUS) < 0;
    case 5:
        return bind_virq(w->dom, VIRQ_TIMER, w->id % VCPUS) < 0;
    case 6:
        vcpu_send_virq(&vcpus[other][port % VCPUS], VIRQ_TIMER);
        return 0;
    case 7:
        return bind_vcpu(w->dom, port, (u32)rand_r(seed) % VCPUS);
    case 8:
        return unmask(w->dom, port);
    case 9:
        return fifo_op(w, seed, port, &st);
    case 10:
    case 11:
        return close_port(w->dom, port);
    default:
        return send(w->dom, port);
    }
}

static void *worker(void *arg)
{
    const struct worker *w = arg;
    u32 seed = w->seed;

    thread_id = w->id;
    for (u32 i = 0; i < w->steps; i++) {
        if (random_op(w, &seed) == 0) {
            atomic_fetch_add(&done_ops[w->id], 1);
        }
        if (i % 4000 == 3999) {
            reset(w->dom, DOMID_SELF);
        }
    }
    return NULL;
}

/* Both ends of each channel agree on it, and no lock was left behind. */
static void check_tables(void)
{
    u32 refs[DOMS] = { 1, 1, 1 };

    for (u32 d = 1; d < DOMS; d++) {
        for (u32 port = 0; port < doms[d].evtchn.nr_ports; port++) {
            struct evtchn *chn = evtchn_at(&doms[d].evtchn, port);

            assert_int_equal(chn->lock, 0);
            if (chn->state == ECS_INTERDOMAIN) {
                struct evtchn *far = evtchn_at(&chn->u.remote->evtchn, chn->remote_port);

                assert_int_equal(far->state, ECS_INTERDOMAIN);
                assert_ptr_equal(far->u.remote, &doms[d]);
                assert_int_equal(far->remote_port, port);
                refs[chn->u.remote->domid]++;
            }
        }
        assert_int_equal(doms[d].evtchn.lock.locked, 0);
    }
    for (u32 d = 1; d < DOMS; d++) {
        assert_int_equal(doms[d].refcnt, refs[d]);
    }
}

/* Four workers, two a domain; then domain 2 loses its vcpus and dies while those of domain 1 go on.
 */
static void test_everything_at_once(void **state)
{
    for (u32 round = 0; round < 20; round++) {
        pthread_t t[THREADS];
        struct worker w[THREADS];

        if (round > 0) {
            teardown(state);
            setup(state);
        }
        for (u32 i = 1; i < THREADS; i++) {
            w[i] = (struct worker){ i, 1 + i % 2, STEPS + (i % 2 ? 0 : STEPS), round * 8 + i };
            assert_int_equal(pthread_create(&t[i], NULL, worker, &w[i]), 0);
        }
        pthread_join(t[1], NULL);
        pthread_join(t[3], NULL);
        if (round % 2) {
            evtchn_domain_destroy(&doms[2]);
        }
        pthread_join(t[2], NULL);
        pthread_join(t[4], NULL);
        check_tables();
        for (u32 i = 1; i < THREADS; i++) {
            assert_true(done_ops[i] > 100);
        }
    }
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    static const struct CMUnitTest tests[] = {
        T(test_bad_calls),
        T(test_not_offered),
        T(test_alloc_unbound),
        T(test_out_of_ports),
        T(test_out_of_memory),
        T(test_bind_interdomain),
        T(test_send),
        T(test_send_errors),
        T(test_unmask),
        T(test_bind_virq),
        T(test_send_virq),
        T(test_bind_ipi),
        T(test_bind_vcpu),
        T(test_close),
        T(test_loopback),
        T(test_status),
        T(test_reset),
        T(test_read_only_argument),
        T(test_destroy),
        T(test_poll),
        T(test_no_vcpu_info),
        T(test_init_control),
        T(test_expand_array),
        T(test_fifo_send),
        T(test_fifo_virq_and_vcpus),
        T(test_fifo_carries_over),
        T(test_fifo_poll),
        T(test_fifo_all_ports),
        T(test_fifo_out_of_memory),
        T(test_reset_interrupted),
        T(test_fifo_destroy),
        T(test_look),
        T(test_poll_race),
        T(test_everything_at_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
