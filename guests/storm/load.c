/* SPDX-License-Identifier: MIT */
/*
 * load.c - the storm itself, in rounds. In a round each vcpu sends, masks, unmasks, moves, closes
 * and binds anew at random among some of the slots. Then all of these are unmasked, all vcpus but
 * one go to sleep, and that one looks whether each event was seen: nothing else would set a
 * selector bit or raise an upcall then, so a wake-up that was lost in the round stays lost.
 */
#include "storm.h"

#define PATIENCE (5 * SEC)
#define LOST_SHOWN 8u
#define REPORTS 10u

static struct {
    uint64_t sends, seed;
    unsigned long ops; /* of a vcpu in a long round */
    bool has_peer, fault;
} plan;

static struct {
    unsigned int first,
        slots; /* those of this round; beside them the channels to the other domain */
    unsigned long rounds, ops; /* ops: of each vcpu in this round */
    uint64_t lost, longest;    /* ns until all was seen */
    uint64_t started, told;
    volatile bool over;
} now;

/* ---- what a vcpu does in a round ---- */

static struct slot *pick(uint64_t *dice)
{
    uint64_t number = random_next(dice) >> 8;

    if (nr_cross && number % 8 == 0) {
        return &slots[1 + (number >> 8) % nr_cross];
    }
    return &slots[now.first + (number >> 8) % now.slots];
}

/* Wrong on purpose: what became pending behind the mask is forgotten. */
static void unmask_wrongly(evtchn_port_t port)
{
    if (event_is_fifo()) {
        __atomic_fetch_and(&event_room.words[port], ~(1U << EVTCHN_FIFO_MASKED), __ATOMIC_SEQ_CST);
        return;
    }
    __atomic_fetch_and(&shared->evtchn_mask[port / 64], ~(1UL << (port % 64)), __ATOMIC_SEQ_CST);
}

static void unmask(struct slot *s, bool here)
{
    my_count()->unmasks++;
    if (plan.fault) {
        unmask_wrongly(s->port);
    } else if (here) {
        slot_unmask_here(s);
    } else {
        event_unmask(s->port);
    }
}

/* Several events behind one upcall. */
static void send_some(uint64_t *dice)
{
    upcalls_disable();
    for (unsigned int n = 0; n < 4; n++) {
        slot_send(pick(dice));
    }
    upcalls_enable();
}

static void act(uint64_t *dice)
{
    struct slot *s = pick(dice);
    unsigned int action = (unsigned int)(random_next(dice) >> 16) % 100;

    if (action < 66) {
        slot_send(s);
    } else if (action < 70) {
        send_some(dice);
    } else if (action < 78) {
        my_count()->masks++;
        event_mask(s->port);
    } else if (action < 90) {
        unmask(s, action & 1);
    } else if (action < 94) {
        slot_move(s, (unsigned int)(random_next(dice) % vcpus));
    } else if (action < 97) {
        slot_rebind(s, dice);
    } else if (event_is_fifo()) {
        slot_priority(s, (unsigned int)(random_next(dice) >> 16) % EVTCHN_FIFO_MAX_QUEUES);
    } else {
        sched_op(SCHEDOP_yield, NULL);
    }
}

static void unmask_slots(unsigned int first, unsigned int n, unsigned int self)
{
    for (unsigned int i = self; i < n; i += vcpus) {
        if (event_masked(slots[first + i].port)) {
            unmask(&slots[first + i], false);
        }
    }
}

/* ---- what one of them does behind it ---- */

static unsigned int behind(unsigned int first, unsigned int n)
{
    unsigned int found = 0;

    for (unsigned int i = first; i < first + n; i++) {
        found += slot_behind(&slots[i]);
    }
    return found;
}

static unsigned int all_behind(void)
{
    return behind(1, nr_cross) + behind(now.first, now.slots);
}

/* Tells which are lost, and has the storm go on without them. */
static void write_off(unsigned int first, unsigned int n)
{
    for (unsigned int i = first; i < first + n; i++) {
        struct slot *s = &slots[i];

        if (slot_behind(s)) {
            if (now.lost < LOST_SHOWN) {
                slot_print(s);
            }
            now.lost += s->sent - s->seen;
            s->seen = s->sent;
            event_mask(s->port);
            event_unmask_asked(s->port);
        }
    }
}

static void look(void)
{
    uint64_t start = clock_now(), took = 0, patience = plan.fault ? SEC : PATIENCE;

    while (all_behind() && took < patience) {
        clock_sleep(20 * US);
        took = clock_now() - start;
    }
    if (all_behind()) {
        write_off(1, nr_cross);
        write_off(now.first, now.slots);
    } else if (took > now.longest) {
        now.longest = took;
    }
}

static uint64_t sum(size_t offset)
{
    uint64_t total = 0;

    for (unsigned int v = 0; v < vcpus; v++) {
        total += *(const uint64_t *)((const char *)&counts[v] + offset);
    }
    return total;
}
#define SUM(member) sum(offsetof(struct count, member))

/*
 * A lost raise is saved by any later one in its word of bits. So most rounds are so short that few
 * words have two; one of three is long, and goes on few slots, where senders meet, or on many.
 */
static void next_round(void)
{
    static const unsigned int sizes[] = { 16, 64, 512, SLOTS };
    unsigned int wanted = SLOTS, all = nr_slots - first_slot;

    now.rounds++;
    now.ops = 4 + (random_next(&plan.seed) >> 20) % 16;
    if (now.rounds % 3 == 0) {
        now.ops = plan.ops;
        wanted = sizes[(random_next(&plan.seed) >> 20) % 4];
    }
    now.slots = wanted < all ? wanted : all;
    now.first = first_slot + (unsigned int)(random_next(&plan.seed) % (all - now.slots + 1));
}

static void tell_progress(void)
{
    uint64_t sends = SUM(sends);

    if (sends * REPORTS / plan.sends > now.told) {
        now.told = sends * REPORTS / plan.sends;
        printf("storm: %lu sends, %lu rounds, %lu lost, %lu ms\n", sends, now.rounds, now.lost,
               (clock_now() - now.started) / MS);
    }
}

static void end_round(void)
{
    while (gate_waiting() < vcpus - 1) {
        sched_op(SCHEDOP_yield, NULL);
    }
    look();
    tell_progress();
    now.over = SUM(sends) >= plan.sends || now.lost > 100 || (plan.fault && now.lost);
    next_round();
}

/* ---- all of it, on each vcpu ---- */

static void storm_vcpu(void)
{
    unsigned int self = vcpu_self();
    uint64_t dice = (plan.seed + self + 1) * 0x9e3779b97f4a7c15UL;

    timer_periodic(self, TICK);
    gate_wait(true);
    while (!now.over) {
        unsigned long round = now.rounds;

        for (unsigned long i = 0; i < now.ops; i++) {
            act(&dice);
        }
        gate_wait(round & 1);
        unmask_slots(1, nr_cross, self);
        unmask_slots(now.first, now.slots, self);
        if (round % vcpus == self) {
            end_round();
        }
        gate_wait(round & 2);
    }
    timer_periodic(self, 0);
}

static void storm_ap(void)
{
    storm_vcpu();
    gate_wait(true);
}

static const char *meet_peer(void)
{
    unsigned int n = (unsigned int)arg_number("cross", 64);
    unsigned long base = arg_number("port", 0);
    domid_t peer = (domid_t)arg_number("peer", DOMID_INVALID);

    if (n < 2 || n > CROSS_MAX || n % 2) {
        return "cross= is an even number up to 256";
    }
    return base ? cross_find(peer, n, (evtchn_port_t)base) : cross_offer(peer, n);
}

/* It may need our answers still. */
static const char *leave_peer(void)
{
    uint64_t deadline = clock_now() + 600 * SEC;

    cross_close();
    while (!cross_closed()) {
        if (clock_now() > deadline) {
            return "the other domain does not end";
        }
        clock_sleep(10 * MS);
    }
    return NULL;
}

static void tell(uint64_t took)
{
    printf("storm: %lu masks, %lu unmasks, %lu moves, %lu rebinds, %lu priorities, %lu sent again, "
           "%lu answers, %lu spurious\n",
           SUM(masks), SUM(unmasks), SUM(moves), SUM(rebinds), SUM(priorities), SUM(resent),
           SUM(answers), SUM(spurious));
    printf("storm: %lu rounds, all seen within %lu us, %lu sends per second, %lu nested, %lu "
           "failed, %lu stalls\n",
           now.rounds, now.longest / US, SUM(sends) * SEC / (took ? took : 1), SUM(nested),
           SUM(failed), SUM(stalls));
    printf("storm: %s: %lu sends, %lu coalesced, %lu masked, %lu delivered, %lu lost\n",
           protocol_name(), SUM(sends), SUM(coalesced), SUM(masked), SUM(delivered), now.lost);
}

static const char *verdict(void)
{
    if (now.lost) {
        return "events lost";
    }
    if (SUM(nested)) {
        return "an upcall within an upcall";
    }
    if (SUM(failed)) {
        return "operations failed";
    }
    if (SUM(stalls)) {
        return "vcpus that were not woken";
    }
    return SUM(sends) == SUM(coalesced) + SUM(delivered) ? NULL : "the counts don't add up";
}

static const char *prepare(void)
{
    char fault[8] = "";
    const char *failure = NULL;

    plan.sends = arg_number("sends", 100000);
    plan.ops = arg_number("ops", 500);
    plan.seed = arg_number("seed", 1) * 0x2545f4914f6cdd1dUL;
    plan.has_peer = arg_number("peer", DOMID_INVALID) != DOMID_INVALID;
    plan.fault = arg_string("fault", fault, sizeof(fault)) && strcmp(fault, "unmask") == 0;
    if (!plan.sends || !plan.ops || !plan.seed) {
        return "sends=, ops= and seed= are numbers above 0";
    }
    /* The two domains know each other by the numbers of the ports that are taken first. */
    if (plan.has_peer) {
        failure = meet_peer();
    }
    return failure ? failure : gate_make();
}

const char *run_storm(void)
{
    const char *failure = prepare();
    unsigned int n;
    uint64_t took;

    if (failure) {
        return failure;
    }
    n = slots_make((unsigned int)arg_number("ports", NR_PORTS));
    printf("storm: %s, %u ports and %u to another domain, %u vcpus\n", protocol_name(), n, nr_cross,
           vcpus);
    if (n < 4) {
        return "too few ports";
    }
    next_round();
    now.started = clock_now();
    for (unsigned int v = 1; v < vcpus; v++) {
        if (vcpu_start(v, storm_ap)) {
            return "a vcpu does not start";
        }
    }
    storm_vcpu();
    took = clock_now() - now.started;
    if (plan.has_peer) {
        failure = leave_peer();
    }
    gate_wait(true);
    tell(took);
    return failure ? failure : verdict();
}
