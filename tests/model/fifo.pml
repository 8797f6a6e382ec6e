/* SPDX-License-Identifier: MIT */
/*
 * The FIFO protocol: evtchn/fifo.c step by step, against guests that take events out of their
 * queues as Linux does. That a vcpu sleeps, is kicked and wakes is twolevel.pml's; here it waits
 * for its upcall flag.
 *
 * Each load, plain store and locked instruction is a step, in the order of the source. x86-TSO: all
 * that the hypervisor stores plainly is followed by a locked instruction or by the release of the
 * queue's lock, so only the stores of the guest and of fifo_add_page have a buffer (one entry a CPU).
 *
 * Judged: `order` holds what each queue must hold, in the order of linking. The guest must find just
 * that, must see all queues that are linked when it looks at `ready`, takes the first of these, and
 * when nothing can move any more no work is left. run.py sets the sizes; BUG_* is a defect.
 */
#ifndef VCPUS
#define VCPUS 1
#endif
#ifndef PORTS
#define PORTS 2 /* 1 to PORTS; 0 is none */
#endif
#ifndef PRIORITIES
#define PRIORITIES 2
#endif
#ifndef SENDERS
#define SENDERS 2 /* sender s sends to port s % PORTS + 1 */
#endif
/* SAME: all ports begin in one queue. MOVES: how often ports are moved. */
#ifdef SENDS /* how often; OTHERS: all senders but the first */
#ifndef OTHERS
#define OTHERS SENDS
#endif
#else
#define SENDS 0
#define OTHERS 0
#define WITHOUT_END
#endif
#ifndef MOVED
#define MOVED 1 /* ports whose priority or vcpu changes, from the first one */
#endif
#define QUEUES (VCPUS * PRIORITIES)
#define NONE 0

/* ---- Shared with the guest ---- */
bit pending[PORTS + 1], masked[PORTS + 1], linked[PORTS + 1]; /* with link, they are one word */
byte link[PORTS + 1];
byte head[QUEUES], ready[VCPUS];
bit upcall[VCPUS];
bit upcall_0[VCPUS]; /* in the buffer of the vcpu's CPU: upcall = 0 */

/* ---- The hypervisor's ---- */
bit locked[QUEUES];
byte tail[QUEUES];
byte queue[PORTS + 1], prio[PORTS + 1], notify[PORTS + 1];
bit waiting[PORTS + 1];
bit words;   /* is there a page of words? */
bit words_1; /* in a buffer: words = 1 */

/* ---- The guest's ---- */
byte todo[VCPUS]; /* the queues to look at */

/* ---- Nobody's but the judge's ---- */
chan order[QUEUES] = [PORTS + 1] of { byte };
bit work[PORTS + 1];
short edges[PORTS + 1];

active proctype drainer()
{
end:
    do
    :: d_step { upcall_0[0] -> upcall[0] = 0; upcall_0[0] = 0 }
#if VCPUS > 1
    :: d_step { upcall_0[1] -> upcall[1] = 0; upcall_0[1] = 0 }
#endif
    :: d_step { words_1 -> words = 1; words_1 = 0 }
    od
}

/* ---- evtchn/fifo.c ---- */

inline lock(which)
{
    d_step { !locked[which] -> locked[which] = 1 }
}

inline lock_queues()
{
#ifdef BUG_NO_LOCK
    skip;
#elif defined(BUG_OLD_QUEUE_NOT_LOCKED)
    lock(q);
#elif defined(BUG_LOCK_ORDER)
    lock(q);
    if
    :: q != last -> lock(last)
    :: else
    fi
#else
    if
    :: q < last -> lock(q); lock(last)
    :: q > last -> lock(last); lock(q)
    :: else -> lock(q)
    fi
#endif
}

inline unlock_queues()
{
    locked[q] = 0;
#ifndef BUG_OLD_QUEUE_NOT_LOCKED
    if
    :: q != last -> locked[last] = 0
    :: else
    fi;
#endif
}

/* Leaves in `was`: the tail is still there, and the port behind it. */
inline link_behind()
{
#ifdef BUG_LINK_PLAIN
    was = linked[t];
    if
    :: was -> link[t] = p
    :: else
    fi
#else
    was = linked[t];
    if
    :: was ->
        d_step { was = linked[t]; link[t] = link[t] | p }
#ifndef BUG_LINK_STAYS
        if
        :: !was -> link[t] = 0
        :: else
        fi
#endif
    :: else
    fi
#endif
}

/* Leaves in `up`: an upcall is due. */
inline append()
{
#ifdef BUG_READY_ONLY_WITHOUT_TAIL
    up = tail[q] == NONE;
#endif
    d_step {
        t = tail[q];
        tail[q] = p;
        assert(nfull(order[q]));
        order[q]!p
    }
    was = 0;
    if
    :: t != NONE -> link_behind()
    :: else
    fi;
    if
    :: was -> was = 0
    :: else ->
#ifdef BUG_READY_BEFORE_HEAD
        d_step {
            up = !((ready[q / PRIORITIES] >> (q % PRIORITIES)) & 1);
            ready[q / PRIORITIES] = ready[q / PRIORITIES] | (1 << (q % PRIORITIES))
        }
        head[q] = p
#elif defined(BUG_READY_NOT_LOCKED)
        head[q] = p;
        t = ready[q / PRIORITIES];
        d_step {
            up = !((t >> (q % PRIORITIES)) & 1);
            ready[q / PRIORITIES] = t | (1 << (q % PRIORITIES))
        }
#else
        head[q] = p;
        d_step {
            up = !((ready[q / PRIORITIES] >> (q % PRIORITIES)) & 1);
            ready[q / PRIORITIES] = ready[q / PRIORITIES] | (1 << (q % PRIORITIES))
        }
#endif
    fi;
    t = 0
}

/* Leaves in `was`: LINKED was set by somebody else. */
inline claim()
{
#ifdef BUG_CLAIM_NOT_LOCKED
    was = linked[p];
    linked[p] = 1;
#else
    d_step { was = linked[p]; linked[p] = 1 }
#endif
#ifndef BUG_LINK_STAYS
    if
    :: !was && link[p] != 0 -> link[p] = 0
    :: else
    fi
#endif
}

inline link_port()
{
    q = v * PRIORITIES + prio[p];
    last = queue[p];
    lock_queues();
#ifdef BUG_QUEUE_NOT_CHECKED
    claim();
#else
    if
    :: queue[p] == last -> claim()
    :: else -> was = 1
    fi;
#endif
    if
    :: !was ->
#ifndef BUG_TAIL_NOT_FORGOTTEN
        if
        :: tail[last] == p -> tail[last] = NONE
        :: else
        fi;
#endif
        queue[p] = q;
        append()
    :: else -> was = 0
    fi;
    unlock_queues();
    atomic { q = 0; last = 0 }
    if
    :: up -> up = 0; upcall[v] = 1
    :: else
    fi
}

inline fifo_send()
{
#ifdef BUG_LOOKS_BEFORE_PENDING
    up = masked[p] || linked[p];
    d_step { edges[p] = edges[p] + (1 - pending[p]); pending[p] = 1; was = up; up = 0 }
#else
    d_step { edges[p] = edges[p] + (1 - pending[p]); pending[p] = 1; was = masked[p] || linked[p] }
#endif
    if
    :: !was -> link_port()
    :: else -> was = 0
    fi
}

inline send_or_put_off()
{
    v = notify[p];
    if
    :: words -> fifo_send()
    :: else ->
#ifdef BUG_WAITING_AFTER_LOOK
        was = words;
        waiting[p] = 1;
#else
        waiting[p] = 1; /* xchg */
        was = words;
#endif
        if
        :: was ->
            d_step { was = waiting[p]; waiting[p] = 0 }
            if
            :: was -> fifo_send()
            :: else
            fi
        :: else
        fi
    fi;
    v = 0
}

inline fifo_unmask()
{
    v = notify[p];
#ifdef BUG_UNMASK_LOOKS_FIRST
    was = pending[p];
    d_step { masked[p] = 0; was = was && !linked[p] }
#else
    d_step { masked[p] = 0; was = pending[p] && !linked[p] }
#endif
    if
#ifdef BUG_UNMASK_NO_LINK
    :: was = 0
#else
    :: was -> link_port()
    :: else
#endif
    fi;
    v = 0
}

/* ---- Who uses it ---- */

proctype sender(byte p; byte left)
{
    byte v, q, last, t;
    bit was, up;

    do
#ifdef WITHOUT_END
    :: work[p] = 1; send_or_put_off()
#else
    :: left > 0 -> left--; work[p] = 1; send_or_put_off()
#endif
    :: break
    od
}

/* Priority and vcpu of a port are changed at any time, without regard. */
proctype mover()
{
    byte p = 1;
#ifdef MOVES
    byte left = MOVES;
#define MAY_MOVE left > 0
#define MOVED_ONCE left--
#else
#define MAY_MOVE true
#define MOVED_ONCE skip
#endif

    do
#if PRIORITIES > 1
    :: atomic { MAY_MOVE -> prio[p] = 1 - prio[p]; MOVED_ONCE }
#endif
#if VCPUS > 1
    :: atomic { MAY_MOVE -> notify[p] = 1 - notify[p]; MOVED_ONCE }
#endif
#if MOVED > 1
    :: p = 3 - p
#endif
    :: break
    od
}

/* Some thread of the guest masks a port, and asks for it to be unmasked. */
proctype masker(byte p)
{
    byte v, q, last, t;
    bit was, up;

    do
    :: masked[p] = 1; fifo_unmask()
    :: break
    od
}

/* fifo_add_page, and then fifo_send_waiting for each port. */
proctype expander()
{
    byte p, v, q, last, t;
    bit was, up;

#ifdef BUG_PAGE_WITHOUT_BARRIER
    words_1 = 1;
#else
    words = 1; /* xchg */
#endif
    p = 1;
    do
    :: p <= PORTS ->
        if
        :: waiting[p] ->
            d_step { was = waiting[p]; waiting[p] = 0 }
            v = notify[p];
            if
            :: was -> fifo_send()
            :: else
            fi
        :: else
        fi;
        p++
    :: else -> break
    od
}

/* ---- The guest ---- */

/* PENDING first, then the work. */
inline handle()
{
#ifdef BUG_HANDLE_THEN_CLEAR
    work[p] = 0;
    d_step { edges[p] = edges[p] - pending[p]; pending[p] = 0 }
#else
#ifdef BUG_TEST_THEN_CLEAR
    was = pending[p];
    pending[p] = 0;
#else
    d_step { was = pending[p]; pending[p] = 0 }
#endif
    if
    :: was -> d_step { edges[p]--; assert(edges[p] >= 0); work[p] = 0; was = 0 }
    :: else
    fi
#endif
}

/* cmpxchg: clear MASKED unless PENDING is set; then only the hypervisor can put it in its queue. */
inline guest_unmask()
{
#ifdef BUG_MASKED_EDGE
    masked[p] = 0
#elif defined(BUG_GUEST_UNMASK_LOOKS_FIRST)
    was = pending[p];
    if
    :: was -> fifo_unmask()
    :: else -> masked[p] = 0
    fi
#else
    d_step { was = pending[p]; masked[p] = masked[p] && was }
    if
    :: was -> fifo_unmask()
    :: else
    fi
#endif
}

#define SEEN(q) (empty(order[q]) || locked[q] || ((todo[(q) / PRIORITIES] >> ((q) % PRIORITIES)) & 1))

/* More queues to look at. Then it must know of all whose events are linked. */
inline take_ready()
{
#ifdef BUG_TAKE_READY_PLAIN
    todo[me] = todo[me] | ready[me];
    ready[me] = 0
#elif defined(BUG_TAKE_READY_NO_BARRIER)
    todo[me] = todo[me] | ready[me];
    d_step { !upcall_0[me] -> ready[me] = ready[me] & ~todo[me] }
#else
    d_step {
        !upcall_0[me] ->
        todo[me] = todo[me] | ready[me];
        ready[me] = 0;
        assert(SEEN(me * PRIORITIES));
#if PRIORITIES > 1
        assert(SEEN(me * PRIORITIES + 1))
#endif
    }
#endif
}

inline unlink()
{
#ifdef BUG_UNLINK_PLAIN
    next = link[p];
#endif
    d_step {
#ifndef BUG_UNLINK_PLAIN
        next = link[p];
#endif
        linked[p] = 0;
        link[p] = 0;
        assert(order[mine]?[eval(p)]); /* what was linked first */
        order[mine]?_
    }
}

inline consume()
{
    p = first[mine % PRIORITIES];
    if
    :: p == NONE -> p = head[mine]
    :: else
    fi;
    assert(p != NONE);
#ifdef BUG_LOOKS_BEFORE_UNLINK
    was = pending[p] && !masked[p];
    unlink();
#else
    unlink();
    was = pending[p];
    was = was && !masked[p];
#endif
    if
    :: next == NONE -> todo[me] = todo[me] & ~(1 << (mine % PRIORITIES))
    :: else
    fi;
    if
    :: was ->
        was = 0;
        if
        :: handle()
        :: masked[p] = 1; handle(); guest_unmask()
        fi
    :: else
    fi;
    atomic { first[mine % PRIORITIES] = next; next = 0; p = 0; was = 0 }
}

proctype vcpu(byte me)
{
    byte first[PRIORITIES], p, next, mine, v, q, last, t;
    bit was, up;

end_idle:
    do
    :: upcall[me] && !upcall_0[me] ->
#ifdef BUG_READY_BEFORE_UPCALL
        take_ready();
        upcall_0[me] = 1;
#else
        upcall_0[me] = 1;
        take_ready();
#endif
        do
        :: todo[me] != 0 ->
#if PRIORITIES > 1
#ifdef BUG_LOWEST_FIRST
            mine = me * PRIORITIES + (todo[me] >> 1);
#else
            mine = me * PRIORITIES + 1 - (todo[me] & 1);
#endif
            assert((todo[me] & 1) == 0 || mine == me * PRIORITIES);
#else
            mine = me;
#endif
            consume();
            take_ready()
        :: else -> mine = 0; break
        od
    od
}

/* ---- The judge ---- */

inline no_work_left(p)
{
    assert(masked[p] || (!pending[p] && !work[p]))
}

active proctype judge()
{
end:
    timeout -> d_step {
        no_work_left(1);
#if PORTS > 1
        no_work_left(2);
#endif
#if PORTS > 2
        no_work_left(3);
#endif
        assert(edges[1] == 0)
    }
}

init {
    atomic {
        byte c;

#ifndef SAME
        for (c : 1 .. PORTS) {
            prio[c] = c % PRIORITIES;
            queue[c] = c % PRIORITIES
        }
#endif
        for (c : 0 .. VCPUS - 1) {
            run vcpu(c)
        }
#ifdef EXPAND
        run expander();
#else
        words = 1;
#endif
#ifdef MOVE
        run mover();
#endif
#ifdef MASKER
        run masker(1);
#endif
        for (c : 0 .. SENDERS - 1) {
            run sender(c % PORTS + 1, (c == 0 -> SENDS : OTHERS))
        }
    }
}
