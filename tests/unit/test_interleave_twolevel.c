/* SPDX-License-Identifier: MIT */
/* sources: tests/unit/interleave.c evtchn/twolevel.c */
/* interleave */
/*
 * The two-level protocol in every interleaving of two senders, a guest, and somebody who masks and
 * unmasks: no event is lost, none comes twice. The guest is as guests are.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include <string.h>

#include <tarn/evtchn.h>

#include "interleave.h"

void arch_spin_service(void);
void arch_spin_service(void)
{
    interleave_spin();
}

enum { PORTS = 2 };
enum style { EDGE, LEVEL_BY_MEMORY, LEVEL_BY_HYPERCALL, LEVEL_WITHOUT_A_LOOK };

static u64 pending[2], mask[2];
static struct vcpu_info info;
static u8 kicked;       /* the vcpu runs, or will */
static u32 sent[PORTS]; /* what a sender did before its event */
static struct {
    u32 got[PORTS];     /* the last of that which the guest saw */
    u32 edges[PORTS];   /* PENDING went from 0 to 1 */
    u32 handled[PORTS]; /* and back to 0 */
} notes;

static struct {
    u32 sends;
    u32 port[PORTS];
    enum style style[PORTS];
} setting;

static void kick(bool due)
{
    if (due) {
        (void)atomic_xchg(&kicked, (u8)1);
    }
}

/* ---- Senders ---- */

static void send(u32 i)
{
    u32 todo, port = setting.port[i];

    for (u32 n = 0; n < setting.sends; n++) {
        (void)atomic_fetch_add(&sent[i], 1);
        todo = twolevel_mark(pending, mask, port);
        notes.edges[i] += todo != 0;
        kick((todo & TWOLEVEL_RAISE) && twolevel_raise(&info, port));
    }
}

static void sender_0(void)
{
    send(0);
}

static void sender_1(void)
{
    send(1);
}

/* Another vcpu of the guest. */
static void masker(void)
{
    u32 port = setting.port[0];

    set_bit(port, mask);
    kick(twolevel_unmask(pending, mask, port) && twolevel_raise(&info, port));
}

/* ---- The guest ---- */

static void unmask(u32 port, enum style style)
{
    if (style == LEVEL_BY_HYPERCALL) {
        kick(twolevel_unmask(pending, mask, port) && twolevel_raise(&info, port));
        return;
    }
    clear_bit(port, mask);
    if (style == LEVEL_BY_MEMORY && test_bit(port, pending)) {
        set_bit(port / 64, &info.evtchn_pending_sel);
        (void)atomic_xchg(&info.evtchn_upcall_pending, (u8)1); /* it looks there before it sleeps */
    }
}

static void take(u32 i)
{
    if (test_and_clear_bit(setting.port[i], pending)) {
        notes.handled[i]++;
        notes.got[i] = atomic_load(&sent[i]);
    }
}

static void handle(u32 i)
{
    if (setting.style[i] == EDGE) {
        take(i);
        return;
    }
    set_bit(setting.port[i], mask);
    take(i);
    unmask(setting.port[i], setting.style[i]);
}

static void scan_word(u32 word)
{
    u64 todo = atomic_load(&pending[word]);

    todo &= ~atomic_load(&mask[word]);
    for (u32 i = 0; i < PORTS; i++) {
        if (setting.port[i] / 64 == word && ((todo >> (setting.port[i] % 64)) & 1)) {
            handle(i);
        }
    }
}

static void guest(void)
{
    for (;;) {
        interleave_wait(&kicked);
        (void)atomic_xchg(&kicked, (u8)0);
        while (atomic_load(&info.evtchn_upcall_pending)) {
            u64 words;

            atomic_store(&info.evtchn_upcall_pending, (u8)0);
            words = atomic_xchg(&info.evtchn_pending_sel, 0UL);
            for (u32 word = 0; word < 2; word++) {
                if ((words >> word) & 1) {
                    scan_word(word);
                }
            }
        }
    }
}

/* ---- Judging ---- */

static void all_is_handled(void)
{
    for (u32 i = 0; i < PORTS; i++) {
        interleave_assert(!test_bit(setting.port[i], mask));
        interleave_assert(!test_bit(setting.port[i], pending));
        interleave_assert(notes.got[i] == sent[i]);
        interleave_assert(notes.edges[i] == notes.handled[i]);
    }
}

static bool run(bool with_masker, struct interleave *t)
{
    *t = (struct interleave){
        .actor = { guest, sender_0, sender_1, with_masker ? masker : NULL },
        .name = { "guest", "sender 0", "sender 1", "masker" },
        .region = { { pending, sizeof(pending), "pending", false },
                    { mask, sizeof(mask), "mask", false },
                    { &info, sizeof(info), "vcpu_info", false },
                    { &kicked, sizeof(kicked), "kicked", false },
                    { sent, sizeof(sent), "sent", false },
                    { &notes, sizeof(notes), "notes", true } },
        .end = all_is_handled,
    };
    memset(pending, 0, sizeof(pending));
    memset(mask, 0, sizeof(mask));
    memset(&info, 0, sizeof(info));
    memset(&notes, 0, sizeof(notes));
    memset(sent, 0, sizeof(sent));
    kicked = 0;
    return interleave(t);
}

static void all_styles(u32 port_0, u32 port_1, bool with_masker)
{
    struct interleave t;
    u64 states = 0, steps = 0, ends = 0;

    setting.sends = with_masker ? 1 : 2;
    setting.port[0] = port_0;
    setting.port[1] = port_1;
    for (u32 style = 0; style < 9; style++) {
        setting.style[0] = style / 3;
        setting.style[1] = style % 3;
        if (!run(with_masker, &t)) {
            interleave_show(&t);
            fail_msg("styles %u and %u: %s", style / 3, style % 3, t.failed);
        }
        states += t.states;
        steps += t.steps;
        ends += t.ends;
    }
    printf("twolevel, ports %u and %u%s: %lu states, %lu steps, %lu ends\n", port_0, port_1,
           with_masker ? ", masker" : "", (unsigned long)states, (unsigned long)steps,
           (unsigned long)ends);
    assert_true(states > 1000 && ends > 0);
}

static void test_one_word(void **state)
{
    (void)state;
    all_styles(1, 2, false);
}

static void test_two_words(void **state)
{
    (void)state;
    all_styles(1, 65, false);
}

static void test_masker(void **state)
{
    (void)state;
    all_styles(1, 2, true);
}

/* Who unmasks by memory and does not look loses events: this can fail. */
static void test_masked_edge(void **state)
{
    struct interleave t;

    (void)state;
    setting.sends = 2;
    setting.port[0] = 1;
    setting.port[1] = 2;
    setting.style[0] = setting.style[1] = LEVEL_WITHOUT_A_LOOK;
    assert_false(run(false, &t));
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_word),
        cmocka_unit_test(test_two_words),
        cmocka_unit_test(test_masker),
        cmocka_unit_test(test_masked_edge),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
