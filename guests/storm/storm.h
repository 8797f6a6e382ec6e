/* SPDX-License-Identifier: MIT */
/*
 * storm.h - what the files of the event storm share. A slot is one way for events to come in: a
 * port, the port that one sends through to reach it, and two counters. `sent` is raised before each
 * send, `seen` takes its value whenever the port is handled: when all have had their say and
 * `seen` stays behind, a wake-up is lost.
 */
#pragma once

#include "guest.h"

#define SLOTS EVTCHN_FIFO_NR_CHANNELS
#define CROSS_MAX 256u /* channels to the other domain */
/* A timer of each vcpu, which gets a machine going again that lost a wake-up. */
#define TICK (3 * SEC)

enum slot_kind {
    SLOT_NONE,
    SLOT_IPI,
    SLOT_CHANNEL, /* one end of a channel to ourselves; the other end is slot ^ 1 */
    SLOT_ASK,     /* a channel to the other domain, which answers each event by one */
    SLOT_ANSWER,  /* and one where that is our part */
};

struct slot {
    evtchn_port_t port, sender;
    volatile uint32_t sent, seen;
    volatile uint32_t turn; /* odd: its ports are being closed and bound anew */
    volatile uint8_t lock;  /* of who changes ports or vcpu, and of who asks */
    volatile uint8_t vcpu;
    uint8_t kind;
    uint8_t priority;
};

/* What one vcpu counted. */
struct count {
    uint64_t sends;     /* events sent: `sent` was raised */
    uint64_t masked;    /* of these, those whose port was masked just before */
    uint64_t delivered; /* handled, and there was something new */
    uint64_t coalesced; /* events beyond the first of those handled at once */
    uint64_t spurious;  /* handled, and there was nothing new */
    uint64_t resent;    /* sent again, as the port had been closed meanwhile */
    uint64_t answers;
    uint64_t masks, unmasks, moves, rebinds, priorities;
    uint64_t nested, failed, stalls;
} __attribute__((aligned(64)));

extern struct slot slots[SLOTS];
/* Slots 1 to nr_cross are channels to the other domain, first_slot to nr_slots - 1 our own. */
extern unsigned int nr_cross, first_slot, nr_slots;
extern struct count counts[MAX_VCPUS];
extern unsigned int vcpus;

static inline struct count *my_count(void)
{
    return &counts[vcpu_self()];
}

/* ---- slots.c ---- */

/* So many slots of our own, as far as there are ports; how many there are. */
unsigned int slots_make(unsigned int wanted);
/* Channels to the other domain: offer them and wait until it is there, or find those that it
 * offers from port `base` on. NULL or what went wrong. */
const char *cross_offer(domid_t peer, unsigned int n);
const char *cross_find(domid_t peer, unsigned int n, evtchn_port_t base);
/* We ask no more; and whether the other domain said that. */
void cross_close(void);
bool cross_closed(void);

/* Sends one event to a slot; false: it was not the moment. */
bool slot_send(struct slot *s);
/* Closes it, and the other end with it, and binds anew. */
void slot_rebind(struct slot *s, uint64_t *dice);
void slot_move(struct slot *s, unsigned int vcpu);
void slot_unmask_here(struct slot *s);
void slot_priority(struct slot *s, unsigned int priority);
/* One line on a slot that lost an event. */
void slot_print(const struct slot *s);
static inline bool slot_behind(const struct slot *s)
{
    return s->kind != SLOT_ANSWER && s->seen != s->sent;
}
const char *protocol_name(void);

/* ---- gate.c: all vcpus wait for each other ---- */

const char *gate_make(void);
/* By SCHEDOP_poll on a masked port, or by SCHEDOP_block and a handler. */
void gate_wait(bool by_poll);
/* How many wait already. */
unsigned int gate_waiting(void);

/* ---- the roles; each returns NULL or what failed ---- */

const char *run_storm(void); /* load.c */
const char *run_race(void);  /* race.c */
const char *run_flood(void); /* rules.c */
const char *run_rules(void);
const char *run_watchdog(void);
const char *run_work(void); /* main.c */
