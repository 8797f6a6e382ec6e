/* SPDX-License-Identifier: MIT */
/*
 * The two-level delivery protocol, as pure bit work on what is shared with a guest. Each function
 * climbs a ladder as far as it is the first to set a bit: PENDING -> (MASK clear) -> selector bit
 * -> upcall flag, and says what is left to do. Takes no locks and trusts none of the memory: all
 * bits are the guest's to change at any time, and the worst it can do is to miss its own events.
 *
 * Every step is a locked instruction in exactly this order. The guest goes down the other way:
 * clear the upcall flag, take the selector by xchg, look at PENDING & ~MASK, clear PENDING. So each
 * either sees the other's bit or is seen. For MASK: a guest clears it (locked) and then reads
 * PENDING; we set PENDING and then read MASK. An edge that meets MASK climbs no further, and later
 * edges don't either until PENDING was cleared: a guest that unmasks by writing memory must look at
 * PENDING itself, or ask for EVTCHNOP_unmask.
 */
#include <tarn/evtchn.h>

/* Selector and upcall flag. */
bool twolevel_raise(struct vcpu_info *info, u32 port)
{
    if (unlikely(!info) || test_and_set_bit(port / 64, &info->evtchn_pending_sel)) {
        return false;
    }
    return evtchn_upcall(info);
}

bool twolevel_unmask(const u64 *pending, u64 *mask, u32 port)
{
    return test_and_clear_bit(port, mask) && test_bit(port, pending);
}
