/* SPDX-License-Identifier: MIT */
/*
 * The two-level protocol, from a send to the guest's handler, asleep or awake: evtchn/twolevel.c,
 * evtchn/deliver.c, vcpu_block and vcpu_kick of kernel/vcpu.c, SCHEDOP_poll of
 * kernel/ops/sched_op.c, what sched/schedule.c does to a vcpu, the exit loop, and a guest that
 * keeps to the protocol. Each load, plain store and locked instruction is a step of its own, in the
 * order of the source; what is done under the pool's lock by nobody but its holder is one step.
 *
 * x86-TSO: a plain store stays in the buffer of its CPU (one entry) for as long as it likes; a
 * locked instruction waits until it is out. Loads look into the buffer of their own CPU first.
 *
 * Judged when nothing can move any more, by `judge` below: no work is left behind. tests/model/
 * run.py sets the sizes and says what is expected; a name that begins with BUG_ is a defect.
 */
#ifndef VCPUS
#define VCPUS 1
#endif
#ifndef PORTS
#define PORTS 2 /* port p is handled on vcpu 0 at first */
#endif
#ifndef WORDS
#define WORDS 1 /* words of 64 ports that the ports are spread over */
#endif
#ifndef SENDERS
#define SENDERS 2 /* sender s sends through port s % PORTS, as often as it likes */
#endif
#define CPUS (VCPUS + SENDERS + 1)
#define OUTSIDER (VCPUS + SENDERS) /* the CPU that is neither a vcpu's nor a sender's */

#define WORD(p) ((p) % WORDS)
#define BIT(p) (1 << ((p) / WORDS))
#define NOBODY 255

/* ---- What is shared ---- */
byte pending[WORDS], mask[WORDS]; /* shared_info */
byte sel[VCPUS];                  /* vcpu_info: evtchn_pending_sel */
bit upcall[VCPUS];                /* vcpu_info: evtchn_upcall_pending */
bit upmask[VCPUS];                /* vcpu_info: evtchn_upcall_mask */
byte notify[PORTS];               /* the hypervisor's: notify_vcpu of a port */
bit blocked[VCPUS];               /* VPF_BLOCKED */
bit runnable[VCPUS];              /* unit.runnable; pool's lock */
bit running[VCPUS];               /* unit.running */
bit locked[VCPUS];                /* the pool's lock, where it is held for more than a step */
bit kicked[VCPUS];                /* SOFTIRQ_EVENT of the pcpu */
bit polling[VCPUS];
short nr_pollers;
bit armed[VCPUS];  /* poll_timer */
byte owner[PORTS]; /* the guest's: who handles a port */
bit moving;        /* the guest's: a lock for that */

/* ---- What nobody sees but the judge ---- */
bit work[PORTS];   /* a sender has left something to do */
short edges[PORTS]; /* PENDING's edges that nobody took */
bit in_poll[VCPUS];

/* ---- Store buffers ---- */
mtype = { none, upcall_0, sel_0, mask_0, blocked_1, running_1, nr_pollers_1, polling_1 };
mtype buffer[CPUS] = none;
byte buffered[CPUS]; /* index or value that goes with it */

#define drained (buffer[me] == none)

inline store(what, value)
{
    d_step { drained -> buffer[me] = what; buffered[me] = value }
}

inline drain(c)
{
    d_step {
        buffer[c] != none ->
        if
        :: buffer[c] == upcall_0 -> upcall[buffered[c]] = 0
        :: buffer[c] == sel_0 -> sel[buffered[c]] = 0
        :: buffer[c] == mask_0 -> mask[WORD(0)] = buffered[c]
        :: buffer[c] == blocked_1 -> blocked[buffered[c]] = 1
        :: buffer[c] == running_1 -> running[buffered[c]] = 1
        :: buffer[c] == nr_pollers_1 -> nr_pollers = buffered[c]
        :: buffer[c] == polling_1 -> polling[buffered[c]] = 1
        fi
        buffer[c] = none;
        buffered[c] = 0
    }
}

active proctype drainer()
{
end:
    do
    :: drain(0)
    :: drain(1)
    :: drain(2)
#if CPUS > 3
    :: drain(3)
#endif
#if CPUS > 4
    :: drain(4)
#endif
    od
}

/* ---- kernel/vcpu.c, sched/schedule.c ---- */

/* Under the pool's lock. */
inline vcpu_wake(v)
{
    d_step { drained && !locked[v] -> runnable[v] = runnable[v] || !blocked[v] }
}

inline evtchn_poll_end(v)
{
    if
    :: polling[v] ->
#ifdef BUG_POLL_END_PLAIN
        polling[v] = 0;
        d_step { drained -> nr_pollers-- }
#else
        d_step { drained -> was = polling[v]; polling[v] = 0 }
        if
        :: was -> d_step { drained -> nr_pollers-- }
        :: else
        fi
#endif
    :: else
    fi
}

inline unblock(v)
{
    d_step { drained -> was = blocked[v]; blocked[v] = 0 }
    if
    :: was -> vcpu_wake(v)
    :: else
    fi
}

/* vcpu_kick: the upcall flag of vcpu v went from 0 to 1. me is where we are. */
inline vcpu_kick(v)
{
    if
    :: blocked[v] ->
        evtchn_poll_end(v);
        unblock(v)
    :: else ->
#ifndef BUG_KICK_ONLY_WAKES
        if
        :: v != me && running[v] -> d_step { drained -> kicked[v] = 1 }
        :: else
        fi
#endif
    fi
}

/* ---- evtchn/twolevel.c, evtchn/deliver.c ---- */

inline set_upcall(v)
{
    d_step { drained -> was = upcall[v]; upcall[v] = 1 }
    if
    :: !was -> vcpu_kick(v)
    :: else
    fi
}

inline twolevel_raise(v, p)
{
#ifdef BUG_UPCALL_BEFORE_SELECTOR
    set_upcall(v);
    d_step { drained -> sel[v] = sel[v] | (1 << WORD(p)) }
#else
    d_step {
        drained ->
        was = (sel[v] >> WORD(p)) & 1;
        sel[v] = sel[v] | (1 << WORD(p))
    }
    if
    :: !was -> set_upcall(v)
    :: else
    fi
#endif
}

inline evtchn_wake_pollers()
{
    i = 0;
    do
    :: i < VCPUS ->
        if
        :: polling[i] -> /* poll_end */
            d_step { drained -> was = polling[i]; polling[i] = 0 }
            if
            :: was ->
                d_step { drained -> nr_pollers-- }
                d_step { drained -> blocked[i] = 0 }
                vcpu_wake(i)
            :: else
            fi
        :: else
        fi;
        i++
    :: else -> i = 0; break
    od
}

inline set_pending(p)
{
#ifdef BUG_PENDING_NOT_LOCKED
    tmp = pending[WORD(p)];
    d_step {
        was = (tmp & BIT(p)) != 0;
        pending[WORD(p)] = tmp | BIT(p);
        edges[p] = edges[p] + (1 - was);
        tmp = 0
    }
#else
    d_step {
        drained ->
        was = (pending[WORD(p)] & BIT(p)) != 0;
        pending[WORD(p)] = pending[WORD(p)] | BIT(p);
        edges[p] = edges[p] + (1 - was)
    }
#endif
}

#define masked_now(p) ((mask[WORD(p)] & BIT(p)) != 0)

/* A send to port p, behind the byte lock of the near port, which this does without. */
inline send(p)
{
    work[p] = 1;
#ifdef BUG_SELECTOR_BEFORE_PENDING
    n = notify[p];
    twolevel_raise(n, p);
#endif
#ifdef BUG_MASK_BEFORE_PENDING
    masked = masked_now(p);
#endif
#ifdef BUG_POLLERS_BEFORE_PENDING
    polled = nr_pollers != 0;
#endif
    set_pending(p);
    if
    :: !was ->
#ifndef BUG_MASK_BEFORE_PENDING
        masked = masked_now(p);
#endif
#ifdef BUG_SELECTOR_BEFORE_PENDING
        masked = 1;
#endif
        if
        :: !masked -> n = notify[p]; twolevel_raise(n, p)
        :: else
        fi;
#ifndef BUG_POLLERS_BEFORE_PENDING
        polled = nr_pollers != 0;
#endif
#ifdef BUG_MASKED_WAKES_NO_POLLER
        polled = polled && !masked;
#endif
        if
        :: polled -> evtchn_wake_pollers()
        :: else
        fi
    :: else
    fi;
    atomic { n = 0; was = 0; masked = 0; polled = 0 }
}

/* EVTCHNOP_unmask. */
inline evtchn_unmask(p)
{
#ifdef BUG_UNMASK_READS_VCPU_FIRST
    n = notify[p];
#endif
#ifdef BUG_UNMASK_LOOKS_FIRST
    masked = (pending[WORD(p)] & BIT(p)) != 0;
    d_step { drained -> was = (mask[WORD(p)] & BIT(p)) != 0; mask[WORD(p)] = mask[WORD(p)] & ~BIT(p) }
    if
    :: was && masked -> n = notify[p]; twolevel_raise(n, p)
    :: else
    fi;
    masked = 0;
#else
#ifdef BUG_UNMASK_PLAIN
    was = (mask[WORD(p)] & BIT(p)) != 0;
    store(mask_0, mask[WORD(p)] & ~BIT(p));
#else
    d_step { drained -> was = (mask[WORD(p)] & BIT(p)) != 0; mask[WORD(p)] = mask[WORD(p)] & ~BIT(p) }
#endif
#ifndef BUG_UNMASK_NO_RAISE
    if
    :: was ->
        if
        :: pending[WORD(p)] & BIT(p) ->
#ifndef BUG_UNMASK_READS_VCPU_FIRST
            n = notify[p];
#endif
            twolevel_raise(n, p)
        :: else
        fi
    :: else
    fi;
#endif
#endif
    atomic { n = 0; was = 0 }
}

/* ---- Senders, and a CPU of the guest that masks and unmasks ---- */

proctype sender(byte me; byte p)
{
    byte n, i, tmp;
    bit was, masked, polled;
#ifdef SENDS
    byte left = SENDS;

    do
    :: left > 0 -> send(p); left--
    :: break
    od
#else

    do
    :: send(p)
    :: break
    od
#endif
}

/* A thread of the guest that wants to be left alone by port 0 for a while. */
proctype masker(byte me)
{
    byte n, i;
    bit was, masked;
#ifdef MASKS
    byte left = MASKS;

    do
    :: d_step { drained && left > 0 -> mask[WORD(0)] = mask[WORD(0)] | BIT(0); left-- }
        evtchn_unmask(0)
    :: break
    od
#else

    do
    :: d_step { drained -> mask[WORD(0)] = mask[WORD(0)] | BIT(0) }
        evtchn_unmask(0)
    :: break
    od
#endif
}

/* The timers of those who poll with a deadline. */
proctype poll_timer(byte me)
{
    bit was;
    byte i;

end:
    do
    :: d_step { armed[0] -> armed[0] = 0; i = 0 }
        evtchn_poll_end(i);
        unblock(i)
#if VCPUS > 1
    :: d_step { armed[1] -> armed[1] = 0; i = 1 }
        evtchn_poll_end(i);
        unblock(i)
#endif
    od
}

/* ---- A vcpu: hypervisor and guest ---- */

/* Clear PENDING, then do the work. */
inline handle(p)
{
#ifdef BUG_HANDLE_THEN_CLEAR
    work[p] = 0;
    d_step {
        drained ->
        was = (pending[WORD(p)] & BIT(p)) != 0;
        pending[WORD(p)] = pending[WORD(p)] & ~BIT(p);
        edges[p] = edges[p] - was
    }
#else
#ifdef BUG_TEST_THEN_CLEAR
    was = (pending[WORD(p)] & BIT(p)) != 0;
    d_step { drained -> pending[WORD(p)] = pending[WORD(p)] & ~BIT(p) }
#else
    d_step {
        drained ->
        was = (pending[WORD(p)] & BIT(p)) != 0;
        pending[WORD(p)] = pending[WORD(p)] & ~BIT(p)
    }
#endif
    if
    :: was ->
        d_step {
            edges[p]--;
            assert(edges[p] >= 0); /* nobody handles what another has handled */
            work[p] = 0
        }
    :: else
    fi;
#endif
    was = 0
}

/* The guest's own unmask, upcalls off, on the vcpu that the port belongs to. */
inline unmask_by_memory(p)
{
#ifdef BUG_MEMORY_LOOKS_FIRST
    was = (pending[WORD(p)] & BIT(p)) != 0;
    d_step { drained -> mask[WORD(p)] = mask[WORD(p)] & ~BIT(p) }
#else
#ifdef BUG_MEMORY_PLAIN
    store(mask_0, mask[WORD(p)] & ~BIT(p));
#else
    d_step { drained -> mask[WORD(p)] = mask[WORD(p)] & ~BIT(p) }
#endif
    was = (pending[WORD(p)] & BIT(p)) != 0;
#endif
#ifndef BUG_MASKED_EDGE
    if
    :: was ->
        d_step { drained -> sel[me] = sel[me] | (1 << WORD(p)) }
        d_step { drained -> upcall[me] = 1 }
    :: else
    fi;
#endif
    was = 0
}

inline handle_masked(p)
{
    d_step { drained -> mask[WORD(p)] = mask[WORD(p)] | BIT(p) }
    handle(p);
    if
    :: evtchn_unmask(p)
    :: owner[p] == me -> unmask_by_memory(p)
    fi
}

inline scan_word(w)
{
    if
    :: todo = pending[w]; todo = todo & ~mask[w]
    :: todo = ~mask[w]; todo = todo & pending[w]
    fi;
    p = 0;
    do
    :: p < PORTS ->
        if
        :: WORD(p) == w && (todo & BIT(p)) && owner[p] == me ->
            if
            :: handle(p)
#ifndef LOOK /* the masker does enough of that */
            :: handle_masked(p)
#endif
            fi
        :: else
        fi;
        p++
    :: else -> d_step { p = 0; todo = 0 } break
    od
}

inline take_selector()
{
#ifdef BUG_SELECTOR_BEFORE_UPCALL
    d_step { drained -> words = sel[me]; sel[me] = 0 }
    store(upcall_0, me);
#elif defined(BUG_SELECTOR_NOT_LOCKED)
    store(upcall_0, me);
    words = sel[me];
    store(sel_0, me);
#elif defined(BUG_NO_BARRIER_BEFORE_SELECTOR)
    store(upcall_0, me);
    words = sel[me];
    d_step { drained -> sel[me] = sel[me] & ~words }
#else
    store(upcall_0, me);
    d_step { drained -> words = sel[me]; sel[me] = 0 }
#endif
}

/* xchg, so that the look for events comes after it; see vcpu_kick. */
inline run_again()
{
#ifdef BUG_RUNNING_PLAIN
    store(running_1, me)
#else
    d_step { drained -> running[me] = 1 }
#endif
}

/* schedule(), unless somebody has cleared the flag already: note_sleep, and then switch_to. */
inline go_to_sleep(awake)
{
    atomic {
        drained;
        if
        :: blocked[me] -> runnable[me] = 0; locked[me] = 1
        :: else -> goto awake
        fi
    }
    d_step { running[me] = 0; locked[me] = 0 }
}

inline set_blocked()
{
#ifdef BUG_BLOCKED_PLAIN
    store(blocked_1, me)
#else
    d_step { drained -> blocked[me] = 1 }
#endif
}

#define deliverable (upcall[me] && !upmask[me])

proctype vcpu(byte me)
{
    byte words, todo, p, n, i, w, polled;
    bit was, masked;

exit_loop:
#ifdef BUG_SOFTIRQ_CLEARED_LATE
    if
    :: deliverable -> kicked[me] = 0; goto bounce
    :: else -> kicked[me] = 0; goto guest
    fi;
#endif
    if
    :: atomic { kicked[me] && drained -> kicked[me] = 0 }
        goto exit_loop
    :: !kicked[me]
    fi;
    if
    :: deliverable -> goto bounce
    :: else -> goto guest
    fi;

bounce:
    upmask[me] = 1;
    take_selector();
    w = 0;
    do
    :: w < WORDS ->
        if
        :: (words >> w) & 1 -> scan_word(w)
        :: else
        fi;
        w++
    :: else -> d_step { w = 0; words = 0 } break
    od;
    upmask[me] = 0; /* the iret hypercall: it looks on the way out */
    goto exit_loop;

guest: /* it does what it likes, with upcalls on */
    if
    :: goto end_compute
    :: goto block
#ifdef PREEMPT
    :: goto preempted
#endif
#ifdef POLL
    :: me == POLL -> goto poll
#endif
#ifdef MOVE
#ifdef LOOK
    :: me == owner[0] && me == 0 -> goto move /* once */
#else
    :: me == owner[0] && VCPUS > 1 -> goto move
#endif
#endif
    fi;

end_compute: /* only an interrupt brings it back into the hypervisor */
    kicked[me];
    goto exit_loop;

block: /* SCHEDOP_block, maybe with upcalls off up to there; a kick is taken and does nothing */
    if
    :: upmask[me] = 1;
        if
        :: d_step { kicked[me] && drained -> kicked[me] = 0 }
        :: skip
        fi;
        upmask[me] = 0
    :: skip
    fi;
#ifdef BUG_BLOCK_LOOKS_FIRST
    if
    :: deliverable -> goto exit_loop
    :: else
    fi;
    set_blocked();
#elif defined(BUG_BLOCK_NO_LOOK)
    set_blocked();
#else
    set_blocked();
    if
    :: deliverable ->
        d_step { drained -> blocked[me] = 0 }
        goto exit_loop
    :: else
    fi;
#endif

    go_to_sleep(exit_loop);
end_blocked:
    runnable[me];
    run_again();
    goto exit_loop;

#ifdef PREEMPT
preempted:
    atomic { drained -> running[me] = 0 }
    run_again();
    goto exit_loop;
#endif

#ifdef POLL
poll: /* the last port, masked, upcalls on or off */
    upmask[me] = 0;
    if
    :: upmask[me] = 1
    :: skip
    fi;
    in_poll[me] = 1;
#ifndef BUG_POLL_BLOCKS_LATE
    set_blocked();
#endif
#ifdef BUG_POLL_LOOKS_FIRST
    polled = pending[WORD(PORTS - 1)] & BIT(PORTS - 1);
#endif
#ifdef BUG_POLLING_PLAIN
    was = polling[me];
    store(polling_1, me);
#else
    d_step { drained -> was = polling[me]; polling[me] = 1 }
#endif
#ifdef BUG_POLLERS_COUNTED_LATE
    polled = pending[WORD(PORTS - 1)] & BIT(PORTS - 1);
#endif
    if
    :: !was ->
#ifdef BUG_POLLERS_PLAIN
        store(nr_pollers_1, nr_pollers + 1)
#else
        d_step { drained -> nr_pollers++ }
#endif
    :: else
    fi;
#if !defined(BUG_POLL_LOOKS_FIRST) && !defined(BUG_POLLERS_COUNTED_LATE)
    polled = pending[WORD(PORTS - 1)] & BIT(PORTS - 1);
#endif
    if
    :: polled || deliverable || !polling[me] ->
        polled = 0;
        evtchn_poll_end(me);
        d_step { drained -> blocked[me] = 0 }
        goto poll_done
    :: else
    fi;
#ifdef BUG_POLL_BLOCKS_LATE
    set_blocked();
#endif
    if
    :: armed[me] = 1 /* there is a deadline */
    :: armed[me] = 0
    fi;
    go_to_sleep(poll_done);
end_polling:
    runnable[me];
    run_again();
poll_done:
    in_poll[me] = 0;
    /* what it waited for, then on with upcalls: by memory and a look, or any hypercall */
    handle(PORTS - 1);
    upmask[me] = 0;
    goto exit_loop;
#endif

#ifdef MOVE
move: /* port 0 to the other vcpu, as Linux does: under its lock, masked, unmasked by hypercall; or,
         with LOOK, so that others may mask and unmask it meanwhile: who unmasks sees what is pending,
         and if nobody will the mover does it */
#ifdef BUG_MOVE_NO_LOCK
    skip;
#else
    atomic {
        if
        :: !moving && owner[0] == me -> moving = 1
        :: else -> goto exit_loop
        fi
    }
#endif
#if !defined(BUG_MOVE_UNMASKED) && !defined(LOOK)
    atomic { drained -> mask[WORD(0)] = mask[WORD(0)] | BIT(0) }
#endif
    notify[0] = 1 - me;
    atomic { drained -> owner[0] = 1 - me }
#ifdef LOOK
    if
    :: pending[WORD(0)] & BIT(0) ->
        if
        :: !masked_now(0) ->
            atomic { drained -> mask[WORD(0)] = mask[WORD(0)] | BIT(0) }
            evtchn_unmask(0)
        :: else
        fi
    :: else
    fi;
#elif !defined(BUG_MOVE_UNMASKED)
    evtchn_unmask(0);
#endif
    moving = 0;
    goto exit_loop;
#endif
}

/* ---- The judge ---- */

#define PENDING(p) ((pending[WORD(p)] >> ((p) / WORDS)) & 1)
#define MASKED(p) ((mask[WORD(p)] >> ((p) / WORDS)) & 1)

/* The guest wants to hear nothing of it now. */
#define DEAF(p) (MASKED(p) || (in_poll[owner[p]] && upmask[owner[p]]))

inline no_work_left(p)
{
    assert(DEAF(p) || !PENDING(p)); /* no event waits for a wake-up that nobody will send */
    assert(DEAF(p) || !work[p])     /* nor is its work forgotten */
}

active proctype judge()
{
    byte v;

end:
    timeout -> d_step {
        no_work_left(0);
#if PORTS > 1
        no_work_left(1);
#endif
#if PORTS > 2
        no_work_left(2);
#endif
#ifdef POLL
        assert(!(in_poll[POLL] && PENDING(PORTS - 1))); /* a poller sleeps beside its event */
#endif
        assert(nr_pollers >= 0 && nr_pollers <= VCPUS);
        v = 0;
        do
        :: v < VCPUS -> nr_pollers = nr_pollers - polling[v]; v++
        :: else -> break
        od;
        assert(nr_pollers == 0) /* as many as are counted */
    }
}

init {
    atomic {
        byte c;

        for (c : 0 .. VCPUS - 1) {
            runnable[c] = 1;
            running[c] = 1;
            run vcpu(c)
        }
#ifdef POLL
        mask[WORD(PORTS - 1)] = BIT(PORTS - 1);
        run poll_timer(OUTSIDER);
#endif
#ifdef MASKER
        run masker(OUTSIDER);
#endif
        for (c : 0 .. SENDERS - 1) {
            run sender(VCPUS + c, c % PORTS)
        }
    }
}
