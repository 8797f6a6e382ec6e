/* SPDX-License-Identifier: MIT */
/* sources: tests/unit/interleave.c evtchn/deliver.c evtchn/twolevel.c evtchn/fifo.c */
/* interleave */
/*
 * Delivery by two levels to a domain of two vcpus, in every interleaving of these, a sender,
 * somebody who masks and unmasks, and somebody who moves the port from one vcpu to the other: no
 * event is lost. A vcpu handles only the ports that the guest says are its own, as guests do.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include <string.h>

#include <tarn/domain.h>

#include "interleave.h"

enum { PORT = 1, VCPUS = 2, SENDS = 2 };

static struct domain dom;
static struct vcpu vcpus[VCPUS];
static shared_info_t shared;
static struct vcpu_info info[VCPUS];
static struct evtchn ports[EVTCHN_PER_BUCKET];
static u8 kicked[VCPUS];
static u8 owner; /* the guest's: who handles the port */
static u32 sent;
static struct {
    u32 got, handled;
} notes;

void arch_spin_service(void);
void arch_spin_service(void)
{
    interleave_spin();
}

void vcpu_kick(struct vcpu *v)
{
    (void)atomic_xchg(&kicked[v->id], (u8)1);
}

void vcpu_wake(struct vcpu *v)
{
    (void)v;
    interleave_fail("nobody polls");
}

/* ---- Actors ---- */

static void sender(void)
{
    for (u32 n = 0; n < SENDS; n++) {
        (void)atomic_fetch_add(&sent, 1);
        evtchn_set_pending(&dom, &ports[PORT], PORT);
    }
}

static void mask_and_unmask(void)
{
    set_bit(PORT, shared.evtchn_mask);
    (void)evtchn_unmask(&dom, PORT);
}

/* EVTCHNOP_bind_vcpu, and then a look for what came before: an event behind MASK is for whoever
 * unmasks. */
static void mover(void)
{
    atomic_store(&ports[PORT].notify_vcpu, 1);
    (void)atomic_xchg(&owner, (u8)1);
    if (test_bit(PORT, shared.evtchn_pending) && !test_bit(PORT, shared.evtchn_mask)) {
        mask_and_unmask();
    }
}

static void handle(u32 v)
{
    u64 todo = atomic_load(&shared.evtchn_pending[0]);

    todo &= ~atomic_load(&shared.evtchn_mask[0]);
    if ((todo & (1UL << PORT)) && atomic_load(&owner) == v &&
        test_and_clear_bit(PORT, shared.evtchn_pending)) {
        notes.handled++;
        notes.got = atomic_load(&sent);
    }
}

static void guest(u32 v)
{
    for (;;) {
        interleave_wait(&kicked[v]);
        (void)atomic_xchg(&kicked[v], (u8)0);
        while (atomic_load(&info[v].evtchn_upcall_pending)) {
            atomic_store(&info[v].evtchn_upcall_pending, (u8)0);
            if (atomic_xchg(&info[v].evtchn_pending_sel, 0UL)) {
                handle(v);
            }
        }
    }
}

static void guest_0(void)
{
    guest(0);
}

static void guest_1(void)
{
    guest(1);
}

/* ---- Judging ---- */

static void all_is_handled(void)
{
    interleave_assert(!test_bit(PORT, shared.evtchn_mask));
    interleave_assert(!test_bit(PORT, shared.evtchn_pending));
    interleave_assert(notes.got == sent);
    interleave_assert(notes.handled ==
                      ports[PORT].count[EVTCHN_MASKED] + ports[PORT].count[EVTCHN_DELIVERED]);
}

static void prepare(void)
{
    memset(&dom, 0, sizeof(dom));
    memset(vcpus, 0, sizeof(vcpus));
    memset(&shared, 0, sizeof(shared));
    memset(info, 0, sizeof(info));
    memset(ports, 0, sizeof(ports));
    memset(&notes, 0, sizeof(notes));
    memset(kicked, 0, sizeof(kicked));
    owner = 0;
    sent = 0;
    for (u32 v = 0; v < VCPUS; v++) {
        vcpus[v].id = v;
        vcpus[v].domain = &dom;
        vcpus[v].info = &info[v];
        dom.vcpu[v] = &vcpus[v];
    }
    dom.max_vcpus = VCPUS;
    dom.shared_info = &shared;
    dom.evtchn.small[0].port = ports;
    dom.evtchn.bucket = dom.evtchn.small;
    dom.evtchn.nr_ports = EVTCHN_PER_BUCKET;
    ports[PORT].state = ECS_UNBOUND;
}

static void check(const char *what, void (*fourth)(void), void (*fifth)(void))
{
    struct interleave t = {
        .actor = { guest_0, guest_1, sender, fourth, fifth },
        .name = { "vcpu 0", "vcpu 1", "sender", "fourth", "fifth" },
        .region = { { shared.evtchn_pending, sizeof(u64), "pending", false },
                    { shared.evtchn_mask, sizeof(u64), "mask", false },
                    { info, sizeof(info), "vcpu_info", false },
                    { kicked, sizeof(kicked), "kicked", false },
                    { &ports[PORT].notify_vcpu, sizeof(u16), "notify_vcpu", false },
                    { &owner, sizeof(owner), "owner", false },
                    { &sent, sizeof(sent), "sent", false },
                    { ports[PORT].count, sizeof(ports[PORT].count), "counters", true },
                    { &notes, sizeof(notes), "notes", true } },
        .end = all_is_handled,
    };

    prepare();
    if (!interleave(&t)) {
        interleave_show(&t);
        fail_msg("%s: %s", what, t.failed);
    }
    printf("delivery, %s: %lu states, %lu steps, %lu ends\n", what, (unsigned long)t.states,
           (unsigned long)t.steps, (unsigned long)t.ends);
    assert_true(t.states > 1000 && t.ends > 0);
}

static void test_moved(void **state)
{
    (void)state;
    check("a move", mover, NULL);
}

static void test_moved_and_masked(void **state)
{
    (void)state;
    check("a move, masked and unmasked", mover, mask_and_unmask);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_moved),
        cmocka_unit_test(test_moved_and_masked),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
