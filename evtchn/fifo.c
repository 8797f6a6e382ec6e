/* SPDX-License-Identifier: MIT */
/*
 * The FIFO delivery protocol, as pure work on what is shared with a guest. Takes the locks of
 * queues, owns no memory, kicks nobody.
 *
 * Trust: all words and control blocks are the guest's to change at any time. Which ports are linked
 * where is taken from memory of ours alone, we never follow a LINK, and nothing here is tried
 * again: so the worst it can do is to miss its own events.
 *
 * An event: PENDING is set, and the same locked instruction tells whether the port is MASKED or
 * LINKED. If so nothing is left to do: a guest that unmasks looks at PENDING after it, and one that
 * takes a port out of a queue clears LINKED (and LINK) first and looks at PENDING then. Otherwise
 * the port is linked to the end of its queue, which is empty iff the tail's LINKED is clear.
 *
 * A port that was the tail of a queue and is linked to another one would make the former seem not
 * to be empty. So the queue where it was last (p->queue) is locked as well, before LINKED is set,
 * and forgets such a tail. Which one it is we read without a lock. If it has changed when we have
 * both locks, or if LINKED is set, somebody else has linked the port since our PENDING: whoever
 * takes it out of there will find that, so we are done.
 */
#include <tarn/fifo.h>

static struct fifo_queue *queue_at(struct evtchn_fifo *f, u32 place)
{
    return &f->vcpu[place / EVTCHN_FIFO_MAX_QUEUES].queue[place % EVTCHN_FIFO_MAX_QUEUES];
}

static void lock_queues(struct fifo_queue *a, struct fifo_queue *b)
{
    byte_lock(a < b ? &a->lock : &b->lock);
    if (a != b) {
        byte_lock(a < b ? &b->lock : &a->lock);
    }
}

static void unlock_queues(struct fifo_queue *a, struct fifo_queue *b)
{
    byte_unlock(&a->lock);
    if (a != b) {
        byte_unlock(&b->lock);
    }
}

/*
 * False: the tail is in the queue no more, which therefore is empty. LINK is 0 in a tail, so one
 * locked instruction both writes it and tells whether the guest was quicker. In that case LINK must
 * be 0 again before the tail is linked anew, which takes the lock that we have; nobody looks at it
 * while LINKED is clear.
 */
static bool link_behind(event_word_t *tail, u32 port)
{
    if (!(atomic_load(tail) & FIFO_LINKED)) {
        return false;
    }
    if (atomic_fetch_or(tail, port) & FIFO_LINKED) {
        return true;
    }
    atomic_fetch_and(tail, ~(u32)EVTCHN_FIFO_LINK_MASK);
    return false;
}

/* The port becomes the tail of q, which is locked. True: q had nothing to do, and now is ready. */
static bool append(struct evtchn_fifo *f, struct fifo_queue *q, u32 port,
                   struct evtchn_fifo_control_block *control, u32 priority)
{
    u32 tail = q->tail;

    q->tail = port;
    if (tail && link_behind(fifo_word(f, tail), port)) {
        return false;
    }
    atomic_store(&control->head[priority], port);
    return !(atomic_fetch_or(&control->ready, 1u << priority) & (1u << priority));
}

/* LINKED is ours to set: not set before. A guest should leave LINK clear, but that is cheap to
 * make sure of as long as the port is in no queue. */
static bool claim(event_word_t *word)
{
    u32 old = atomic_fetch_or(word, FIFO_LINKED);

    if (old & FIFO_LINKED) {
        return false;
    }
    if (unlikely(old & EVTCHN_FIFO_LINK_MASK)) {
        atomic_fetch_and(word, ~(u32)EVTCHN_FIFO_LINK_MASK);
    }
    return true;
}

/* PENDING was set and LINKED was clear a moment ago. Returns FIFO_UPCALL and the vcpu, or 0. A vcpu
 * without a control block has no queues: the event stays pending. */
static u32 link(struct evtchn_fifo *f, struct fifo_port *p, u32 port, const u16 *notify)
{
    u32 vcpu = atomic_load(notify), priority = atomic_load(&p->priority);
    struct evtchn_fifo_control_block *control = atomic_load(&f->vcpu[vcpu].control);
    u32 place = vcpu * EVTCHN_FIFO_MAX_QUEUES + priority, last = atomic_load(&p->queue);
    struct fifo_queue *q = queue_at(f, place), *old = queue_at(f, last);
    bool upcall = false;

    if (unlikely(!control)) {
        return 0;
    }
    lock_queues(q, old);
    if (likely(atomic_load(&p->queue) == last) && claim(fifo_word(f, port))) {
        if (old->tail == port) {
            old->tail = 0;
        }
        atomic_store(&p->queue, (u16)place);
        upcall = append(f, q, port, control, priority);
    }
    unlock_queues(q, old);
    return upcall ? FIFO_UPCALL | vcpu << 8 : 0;
}

/*
 * There is no word yet. Either we see the page that has come meanwhile, or whoever brought it sees
 * `waiting` (fifo_add_page, fifo_send_waiting): each writes the one before it reads the other.
 */
static u32 put_off(struct evtchn_fifo *f, struct fifo_port *p, u32 port, const u16 *vcpu)
{
    u32 todo = atomic_xchg(&p->waiting, (u8)1) ? 0 : FIFO_EDGE;

    if (fifo_word(f, port) && atomic_xchg(&p->waiting, (u8)0)) {
        return fifo_send(f, p, port, vcpu);
    }
    return todo;
}

u32 fifo_send(struct evtchn_fifo *f, struct fifo_port *p, u32 port, const u16 *vcpu)
{
    event_word_t *word = fifo_word(f, port);
    u32 old, todo;

    if (unlikely(!word)) {
        return put_off(f, p, port, vcpu);
    }
    old = atomic_fetch_or(word, FIFO_PENDING);
    todo = old & FIFO_PENDING ? 0 : old & FIFO_MASKED ? FIFO_EDGE : FIFO_EDGE | FIFO_UNMASKED;
    return old & (FIFO_MASKED | FIFO_LINKED) ? todo : todo | link(f, p, port, vcpu);
}

u32 fifo_send_waiting(struct evtchn_fifo *f, struct fifo_port *p, u32 port, const u16 *vcpu)
{
    return atomic_load(&p->waiting) && atomic_xchg(&p->waiting, (u8)0) ? fifo_send(f, p, port, vcpu)
                                                                       : 0;
}

u32 fifo_unmask(struct evtchn_fifo *f, struct fifo_port *p, u32 port, const u16 *vcpu)
{
    event_word_t *word = fifo_word(f, port);
    u32 old = word ? atomic_fetch_and(word, ~FIFO_MASKED) : 0;

    return (old & (FIFO_PENDING | FIFO_LINKED)) == FIFO_PENDING ? link(f, p, port, vcpu) : 0;
}

bool fifo_is_pending(const struct evtchn_fifo *f, const struct fifo_port *p, u32 port)
{
    const event_word_t *word = fifo_word(f, port);

    return word ? (atomic_load(word) & FIFO_PENDING) != 0 : atomic_load(&p->waiting) != 0;
}

bool fifo_is_linked(const struct evtchn_fifo *f, u32 port)
{
    const event_word_t *word = fifo_word(f, port);

    return word && (atomic_load(word) & FIFO_LINKED);
}

void fifo_clear(struct evtchn_fifo *f, struct fifo_port *p, u32 port)
{
    event_word_t *word = fifo_word(f, port);

    atomic_store(&p->waiting, (u8)0);
    if (word) {
        atomic_fetch_and(word, ~FIFO_PENDING);
    }
}

void fifo_add_page(struct evtchn_fifo *f, event_word_t *page)
{
    f->page[f->nr_words / FIFO_WORDS_PER_PAGE] = page;
    (void)atomic_xchg(&f->nr_words, f->nr_words + (u32)FIFO_WORDS_PER_PAGE); /* put_off reads it */
}
