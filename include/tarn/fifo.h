/* SPDX-License-Identifier: MIT */
/*
 * The FIFO protocol of event channels (<xen/event_channel.h>, EVTCHN_FIFO_*), pure: evtchn/fifo.c.
 * A domain shares an array of words with us, one a port, and one control block a vcpu. Events stand
 * in queues, one for each priority of each vcpu, linked through the words. tarn/evtchn.h says when
 * a domain has this.
 */
#pragma once

#include <tarn/atomic.h>
#include <tarn/lib.h>
#include <xen/event_channel.h>
#include <xen/xen.h>

#define FIFO_PORTS EVTCHN_FIFO_NR_CHANNELS
#define FIFO_WORDS_PER_PAGE (PAGE_SIZE / sizeof(event_word_t))
#define FIFO_PAGES (FIFO_PORTS / FIFO_WORDS_PER_PAGE)

#define FIFO_PENDING (1u << EVTCHN_FIFO_PENDING)
#define FIFO_MASKED (1u << EVTCHN_FIFO_MASKED)
#define FIFO_LINKED (1u << EVTCHN_FIFO_LINKED)

/* Called while spinning; arch/x86/cpu/smp.c. */
void arch_spin_service(void);

/* A spinlock of one byte, for what there is very much of. */
static inline bool byte_trylock(u8 *lock)
{
    return atomic_xchg(lock, (u8)1) == 0;
}

static inline void byte_lock(u8 *lock)
{
    while (unlikely(!byte_trylock(lock))) {
        do {
            arch_spin_service();
        } while (atomic_load(lock));
    }
}

static inline void byte_unlock(u8 *lock)
{
    atomic_store(lock, (u8)0);
}

struct fifo_queue {
    u8 lock;  /* below all other locks of events */
    u32 tail; /* the port that was linked last, 0: none; lock */
};

struct fifo_vcpu {
    struct evtchn_fifo_control_block *control; /* atomic; the guest's. NULL: not yet */
    struct fifo_queue queue[EVTCHN_FIFO_MAX_QUEUES];
};

/* Of a domain. Zeroed, it is ready for use. */
struct evtchn_fifo {
    u32 nr_words; /* atomic; ports that have a word; a page more at a time */
    event_word_t *page[FIFO_PAGES];
    struct fifo_vcpu vcpu[]; /* by id */
};

/* Of a port; outlives the guest's words. */
struct fifo_port {
    u16 queue;   /* where it was linked last: vcpu * 16 + priority; atomic, changed with the lock of
                    that queue and of the next one */
    u8 priority; /* atomic; of the next event */
    u8 waiting;  /* atomic; an event came when it had no word */
};

static inline event_word_t *fifo_word(const struct evtchn_fifo *f, u32 port)
{
    if (unlikely(port >= atomic_load(&f->nr_words))) {
        return NULL;
    }
    return &f->page[port / FIFO_WORDS_PER_PAGE][port % FIFO_WORDS_PER_PAGE];
}

/*
 * In all of these `port` is the number of p, and *vcpu the one it notifies, which may change
 * meanwhile and always exists. It is read when there is something to link, so that an event never
 * goes to a vcpu which the port had left before the event came or was unmasked. Any number of them
 * may run at once, also for the same port. What is said of an event:
 */
enum {
    FIFO_EDGE = 1u,     /* PENDING went from 0 to 1: whoever polls the port must wake */
    FIFO_UNMASKED = 2u, /* and MASKED is clear. Both are as in the two-level protocol. */
    FIFO_UPCALL = 4u,   /* a queue of fifo_vcpu() became ready: its upcall must be made pending */
};

static inline u32 fifo_vcpu(u32 todo)
{
    return todo >> 8;
}

u32 fifo_send(struct evtchn_fifo *f, struct fifo_port *p, u32 port, const u16 *vcpu);
/* An event waited for a word; now that there is one it is sent. To call for each port of a page
 * after that came to be. */
u32 fifo_send_waiting(struct evtchn_fifo *f, struct fifo_port *p, u32 port, const u16 *vcpu);
/* EVTCHNOP_unmask. Returns FIFO_UPCALL or 0. */
u32 fifo_unmask(struct evtchn_fifo *f, struct fifo_port *p, u32 port, const u16 *vcpu);
bool fifo_is_pending(const struct evtchn_fifo *f, const struct fifo_port *p, u32 port);
bool fifo_is_linked(const struct evtchn_fifo *f, u32 port);
/* The port is closed, nobody sends to it. Its place in a queue it keeps: who takes it out finds
 * that nothing is pending. */
void fifo_clear(struct evtchn_fifo *f, struct fifo_port *p, u32 port);
/* A page of words is there from now on. Callers exclude each other; nr_words < FIFO_PORTS. */
void fifo_add_page(struct evtchn_fifo *f, event_word_t *page);
