/* SPDX-License-Identifier: MIT */
/*
 * slots.c - the ports of the storm: binding, sending, handling, closing and binding anew while
 * others send, so that no event is lost by our own doing.
 * Who changes a slot's ports holds its lock and makes `turn` odd meanwhile; behind that it sends
 * one event of its own. A sender looks at `turn` before and after: when it changed, the event may
 * have gone to a port that was closed, and is sent again, unless that other event is still to come.
 */
#include "storm.h"

struct slot slots[SLOTS];
unsigned int nr_slots = 1;
unsigned int nr_cross, first_slot;
struct count counts[MAX_VCPUS];
unsigned int vcpus;

static event_handler room_handlers[SLOTS];
static uint32_t room_words[SLOTS] __attribute__((aligned(4096)));
const struct event_room event_room = { SLOTS, room_handlers, room_words };

static volatile uint32_t slot_of[SLOTS];
static volatile uint8_t inside[MAX_VCPUS];
/* The other domain, its port behind each of our channels if it was us who bound to it, else 0. */
static domid_t cross_peer;
static bool making; /* the first of them: ports may run out */
static evtchn_port_t cross_remote[CROSS_MAX + 1];

const char *protocol_name(void)
{
    return event_is_fifo() ? "fifo" : "two-level";
}

/* ---- handling ---- */

/* How far `seen` got by this. */
static uint32_t slot_saw(struct slot *s)
{
    uint32_t sent = __atomic_load_n(&s->sent, __ATOMIC_SEQ_CST);
    uint32_t seen = __atomic_load_n(&s->seen, __ATOMIC_SEQ_CST);

    while ((int32_t)(sent - seen) > 0) {
        if (__atomic_compare_exchange_n(&s->seen, &seen, sent, false, __ATOMIC_SEQ_CST,
                                        __ATOMIC_SEQ_CST)) {
            return sent - seen;
        }
    }
    return 0;
}

static void on_event(evtchn_port_t port)
{
    unsigned int self = vcpu_self();
    struct count *c = &counts[self];
    struct slot *s = &slots[slot_of[port]];
    uint32_t by;

    c->nested += inside[self]++;
    if (s->kind == SLOT_ANSWER) {
        c->answers++;
        event_send(s->sender);
    } else {
        by = slot_saw(s);
        c->delivered += by > 0;
        c->coalesced += by ? by - 1 : 0;
        c->spurious += by == 0;
    }
    inside[self]--;
}

/* ---- sending ---- */

static struct slot *other_end(const struct slot *s)
{
    return &slots[(unsigned long)(s - slots) ^ 1];
}

/* The two ends of a channel to ourselves have one lock. */
static volatile uint8_t *lock_of(struct slot *s)
{
    return s->kind == SLOT_CHANNEL && s > other_end(s) ? &other_end(s)->lock : &s->lock;
}

static bool try_lock(struct slot *s)
{
    return !__atomic_exchange_n(lock_of(s), 1, __ATOMIC_SEQ_CST);
}

static void unlock(struct slot *s)
{
    __atomic_store_n(lock_of(s), 0, __ATOMIC_SEQ_CST);
}

static uint32_t turn_of(const struct slot *s)
{
    return __atomic_load_n(&s->turn, __ATOMIC_SEQ_CST);
}

static void send_failed(const struct slot *s, evtchn_port_t port, long rc)
{
    if (my_count()->failed++ < 4) {
        printf("storm: slot %lu kind %u: send by port %u: %ld\n", (unsigned long)(s - slots),
               s->kind, port, rc);
    }
}

static void count_send(struct slot *s)
{
    struct count *c = my_count();

    c->sends++;
    c->masked += event_masked(s->port);
    __atomic_fetch_add(&s->sent, 1, __ATOMIC_SEQ_CST);
}

static bool send_tracked(struct slot *s)
{
    uint32_t turn = turn_of(s), now;

    if (turn & 1) {
        return false;
    }
    count_send(s);
    for (;; turn = now) {
        evtchn_port_t port = *(volatile evtchn_port_t *)&s->sender;
        long rc = event_send(port);

        now = turn_of(s);
        if (now == turn) {
            if (rc) {
                send_failed(s, port, rc);
            }
            return true;
        }
        if (now & 1) {
            return true;
        }
        my_count()->resent++;
    }
}

/* One at a time, so that each has an answer of its own. */
static bool ask(struct slot *s)
{
    bool sent = false;

    if (try_lock(s)) {
        sent = s->seen == s->sent && send_tracked(s);
        unlock(s);
    }
    return sent;
}

bool slot_send(struct slot *s)
{
    switch (s->kind) {
    case SLOT_IPI:
    case SLOT_CHANNEL:
        return send_tracked(s);
    case SLOT_ASK:
        return ask(s);
    default:
        return false;
    }
}

/* ---- changes: the lock is held, or nobody else knows the slot yet ---- */

static void turn_next(struct slot *s)
{
    __atomic_fetch_add(&s->turn, 1, __ATOMIC_SEQ_CST);
}

static bool failed(const struct slot *s, const char *what, long rc)
{
    if (making && rc == -XEN_ENOSPC) {
        return true;
    }
    if (rc < 0 && my_count()->failed++ < 4) {
        printf("storm: slot %lu kind %u: %s: %ld\n", (unsigned long)(s - slots), s->kind, what, rc);
    }
    return rc < 0;
}

/* vcpu before the handler: slot_unmask_here() counts on it. */
static void notify(struct slot *s, unsigned int vcpu)
{
    s->vcpu = (uint8_t)vcpu;
    if (s->kind != SLOT_IPI) {
        failed(s, "bind_vcpu", event_bind_vcpu(s->port, vcpu));
    }
    event_handle(s->port, vcpu, on_event);
}

static void attach(struct slot *s, evtchn_port_t port, unsigned int vcpu)
{
    s->port = port;
    slot_of[port] = (uint32_t)(s - slots);
    notify(s, vcpu);
    event_unmask_asked(port);
}

static void detach(const struct slot *s)
{
    slot_of[s->port] = 0;
    failed(s, "close", event_close(s->port));
}

/* By FIFO a closed port is not free before its queue was worked off: whether to try again. */
static bool ports_come(long rc, uint64_t *deadline)
{
    if (rc != -XEN_ENOSPC || making || !event_is_fifo()) {
        return false;
    }
    *deadline = *deadline ? *deadline : clock_now() + 10 * SEC;
    sched_op(SCHEDOP_yield, NULL);
    return clock_now() < *deadline;
}

static bool bind_ipi(struct slot *s, unsigned int vcpu)
{
    uint64_t deadline = 0;
    long port;

    do {
        port = event_bind_ipi(vcpu);
    } while (ports_come(port, &deadline));

    if (failed(s, "bind_ipi", port)) {
        return false;
    }
    s->sender = (evtchn_port_t)port;
    attach(s, (evtchn_port_t)port, vcpu);
    return true;
}

static bool offer(struct slot *s, unsigned int vcpu)
{
    uint64_t deadline = 0;
    long port;

    do {
        port = event_alloc_unbound(DOMID_SELF);
    } while (ports_come(port, &deadline));
    if (failed(s, "alloc_unbound", port)) {
        return false;
    }
    attach(s, (evtchn_port_t)port, vcpu);
    return true;
}

static bool join(struct slot *near, struct slot *far, unsigned int vcpu)
{
    uint64_t deadline = 0;
    long port;

    do {
        port = event_bind_interdomain(DOMID_SELF, far->port);
    } while (ports_come(port, &deadline));
    if (failed(near, "bind_interdomain", port)) {
        return false;
    }
    near->sender = far->port;
    far->sender = (evtchn_port_t)port;
    attach(near, (evtchn_port_t)port, vcpu);
    return true;
}

/* At first the other domain may not be there yet, or not have come as far as this port. */
static long wait_offer(evtchn_port_t remote)
{
    uint64_t deadline = clock_now() + 60 * SEC;
    long port = event_bind_interdomain(cross_peer, remote);

    while (making && port < 0 && clock_now() < deadline) {
        clock_sleep(10 * MS);
        port = event_bind_interdomain(cross_peer, remote);
    }
    return port;
}

/* What binding left pending is no answer, and nobody else sends to it now. */
static bool find_cross(struct slot *s, unsigned int vcpu)
{
    uint64_t deadline = 0;
    long port;

    do {
        port = wait_offer(cross_remote[s - slots]);
    } while (ports_come(port, &deadline));
    if (failed(s, "bind_interdomain", port)) {
        return false;
    }
    event_clear((evtchn_port_t)port);
    s->sender = (evtchn_port_t)port;
    attach(s, (evtchn_port_t)port, vcpu);
    return true;
}

static void rebind_ipi(struct slot *s, unsigned int vcpu)
{
    turn_next(s);
    detach(s);
    if (bind_ipi(s, vcpu)) {
        turn_next(s);
        send_tracked(s);
    }
}

/* One end is closed, or both. */
static void rebind_channel(struct slot *near, unsigned int vcpu, bool both)
{
    struct slot *far = other_end(near);

    turn_next(near);
    turn_next(far);
    detach(near);
    if (both) {
        detach(far);
    }
    if ((!both || offer(far, far->vcpu)) && join(near, far, vcpu)) {
        turn_next(near);
        turn_next(far);
        send_tracked(near);
        send_tracked(far);
    }
}

/* Only if no answer is due: a channel loses what is pending when it is closed. */
static void rebind_cross(struct slot *s, unsigned int vcpu)
{
    if (cross_remote[s - slots] && s->seen == s->sent) {
        turn_next(s);
        detach(s);
        if (find_cross(s, vcpu)) {
            turn_next(s);
        }
    }
}

void slot_rebind(struct slot *s, uint64_t *dice)
{
    unsigned int vcpu = (unsigned int)(random_next(dice) % vcpus);

    if (s->kind == SLOT_NONE || s->kind == SLOT_ANSWER || !try_lock(s)) {
        return;
    }
    my_count()->rebinds++;
    if (s->kind == SLOT_IPI) {
        rebind_ipi(s, vcpu);
    } else if (s->kind == SLOT_CHANNEL) {
        rebind_channel(s, vcpu, random_next(dice) & 1);
    } else {
        rebind_cross(s, vcpu);
    }
    unlock(s);
}

void slot_move(struct slot *s, unsigned int vcpu)
{
    if (s->kind > SLOT_IPI && try_lock(s)) {
        my_count()->moves++;
        notify(s, vcpu);
        unlock(s);
    }
}

void slot_priority(struct slot *s, unsigned int priority)
{
    if (s->kind && try_lock(s)) {
        my_count()->priorities++;
        failed(s, "set_priority", event_set_priority(s->port, priority));
        unlock(s);
    }
}

/* The vcpu that was ours before the look at PENDING may be another one's behind it. */
void slot_unmask_here(struct slot *s)
{
    unsigned int self = vcpu_self();
    evtchn_port_t port = s->port;

    upcalls_disable();
    if (s->vcpu == self) {
        event_unmask_here(port);
    }
    if (s->vcpu != self) {
        event_mask(port);
        event_unmask(port);
    }
    upcalls_enable();
}

/* ---- making them ---- */

static bool make_ipi(unsigned int n)
{
    slots[n].kind = SLOT_IPI;
    return bind_ipi(&slots[n], n % vcpus);
}

static bool make_channel(unsigned int n)
{
    slots[n].kind = slots[n + 1].kind = SLOT_CHANNEL;
    return offer(&slots[n], n % vcpus) && join(&slots[n + 1], &slots[n], (n + 1) % vcpus);
}

unsigned int slots_make(unsigned int wanted)
{
    first_slot = nr_slots = (nr_slots + 1) & ~1U; /* ends of a channel are 2n and 2n + 1 */
    making = true;
    while (nr_slots + 2 <= SLOTS && nr_slots - first_slot < wanted) {
        bool channel = nr_slots & 2;

        if (!(channel ? make_channel(nr_slots) : make_ipi(nr_slots) && make_ipi(nr_slots + 1))) {
            break;
        }
        nr_slots += 2;
    }
    making = false;
    return nr_slots - first_slot;
}

static void cross_begin(domid_t peer, unsigned int n, bool asks_even)
{
    cross_peer = peer;
    nr_cross = n;
    nr_slots = n + 1;
    for (unsigned int i = 0; i < n; i++) {
        slots[i + 1].kind = (i % 2 == 0) == asks_even ? SLOT_ASK : SLOT_ANSWER;
    }
}

static uint32_t state_of(const struct slot *s)
{
    struct evtchn_status op = { .dom = DOMID_SELF, .port = s->port };

    return event_op(EVTCHNOP_status, &op) ? EVTCHNSTAT_closed : op.status;
}

static bool cross_all(enum slot_kind kind, uint32_t state)
{
    for (unsigned int i = 1; i <= nr_cross; i++) {
        if (slots[i].kind == kind && state_of(&slots[i]) != state) {
            return false;
        }
    }
    return true;
}

const char *cross_offer(domid_t peer, unsigned int n)
{
    uint64_t deadline = clock_now() + 60 * SEC;

    cross_begin(peer, n, true);
    for (unsigned int i = 1; i <= n; i++) {
        long port = event_alloc_unbound(peer);

        if (failed(&slots[i], "alloc_unbound", port)) {
            return "no channel to the other domain";
        }
        slots[i].sender = (evtchn_port_t)port;
        attach(&slots[i], (evtchn_port_t)port, i % vcpus);
    }
    printf("storm: ports %u to %u are for domain %u\n", slots[1].port, slots[n].port, peer);
    while (!cross_all(SLOT_ASK, EVTCHNSTAT_interdomain) ||
           !cross_all(SLOT_ANSWER, EVTCHNSTAT_interdomain)) {
        if (clock_now() > deadline) {
            return "the other domain does not come";
        }
        clock_sleep(10 * MS);
    }
    return NULL;
}

/* The last of them is one where we ask: until it is bound the other side doesn't. */
const char *cross_find(domid_t peer, unsigned int n, evtchn_port_t base)
{
    cross_begin(peer, n, false);
    making = true;
    for (unsigned int i = 1; i <= n; i++) {
        cross_remote[i] = base + i - 1;
        if (!find_cross(&slots[i], i % vcpus)) {
            return "no channel to the other domain";
        }
    }
    making = false;
    return NULL;
}

void cross_close(void)
{
    for (unsigned int i = 1; i <= nr_cross; i++) {
        if (slots[i].kind == SLOT_ASK) {
            detach(&slots[i]);
            slots[i].kind = SLOT_NONE;
        }
    }
}

bool cross_closed(void)
{
    return cross_all(SLOT_ANSWER, EVTCHNSTAT_unbound);
}

/* ---- what is told ---- */

void slot_print(const struct slot *s)
{
    static const char *const kinds[] = { "none", "ipi", "channel", "ask", "answer" };
    volatile struct vcpu_info *info = vcpu_infos[s->vcpu];

    printf("storm: lost: slot %lu %s port %u sender %u vcpu %u sent %u seen %u: pending %d masked "
           "%d selector %d upcall %d mask %d\n",
           (unsigned long)(s - slots), kinds[s->kind], s->port, s->sender, s->vcpu, s->sent,
           s->seen, event_pending(s->port), event_masked(s->port),
           event_is_fifo() ? -1 : !!(info->evtchn_pending_sel & (1UL << (s->port / 64 % 64))),
           info->evtchn_upcall_pending, info->evtchn_upcall_mask);
    if (event_is_fifo()) {
        printf("storm: lost: its word %08x\n", event_room.words[s->port]);
    }
}
