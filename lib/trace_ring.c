/* SPDX-License-Identifier: MIT */
/*
 * A ring of trace records. A record lies in one piece: where it does not fit before the end of the
 * ring, a record that means nothing fills the rest. Nothing is overwritten: what finds no room is
 * counted, and told as soon as there is some. Of what the consumer can write only `cons` is read,
 * once for each record, and one that makes no sense means "full". Pure, no locks.
 */
#include <tarn/lib.h>
#include <tarn/trace_ring.h>

#define WORD ((u32)sizeof(u32))
#define TSC_WORDS 2u
#define LOST_WORDS 4u

static u32 used_bytes(const struct trace_ring *r)
{
    u32 cons = READ_ONCE(r->shared->cons), used;

    if (cons >= 2 * r->size) {
        return r->size;
    }
    used = r->prod >= cons ? r->prod - cons : r->prod + 2 * r->size - cons;
    return MIN(used, r->size);
}

static u32 *word_at(const struct trace_ring *r, u32 pos)
{
    u32 at = pos % r->size + (u32)sizeof(struct t_buf);

    return (u32 *)(r->base + r->mfns[at / PAGE_SIZE] * PAGE_SIZE + at % PAGE_SIZE);
}

static void word_put(struct trace_ring *r, u32 word)
{
    *word_at(r, r->prod) = word;
    r->prod = r->prod + WORD == 2 * r->size ? 0 : r->prod + WORD;
}

static u32 record_bytes(u32 words)
{
    return (1 + TSC_WORDS + words) * WORD;
}

static u32 bytes_to_end(const struct trace_ring *r, u32 pos)
{
    return r->size - pos % r->size;
}

/* How far a record of so many bytes reaches from pos on, with what fills the ring's end. */
static u32 reach(const struct trace_ring *r, u32 pos, u32 bytes)
{
    u32 left = bytes_to_end(r, pos);

    return left < bytes ? left + bytes : bytes;
}

/* One that fills all that is left; with more words than the header can tell it has a TSC, too. */
static void fill_end(struct trace_ring *r, u64 tsc)
{
    u32 words = bytes_to_end(r, r->prod) / WORD - 1;
    bool timed = words > TRACE_EXTRA_MAX;

    words -= timed ? TSC_WORDS : 0;
    word_put(r, TRC_TRACE_WRAP_BUFFER | words << TRACE_EXTRA_SHIFT |
                    (timed ? (u32)TRC_HD_CYCLE_FLAG : 0));
    if (timed) {
        word_put(r, (u32)tsc);
        word_put(r, (u32)(tsc >> 32));
    }
    for (; words; words--) {
        word_put(r, 0);
    }
}

static void record_put(struct trace_ring *r, u32 event, u64 tsc, const u32 *words, u32 n)
{
    if (bytes_to_end(r, r->prod) < record_bytes(n)) {
        fill_end(r, tsc);
    }
    word_put(r, event | n << TRACE_EXTRA_SHIFT | (u32)TRC_HD_CYCLE_FLAG);
    word_put(r, (u32)tsc);
    word_put(r, (u32)(tsc >> 32));
    for (u32 i = 0; i < n; i++) {
        word_put(r, words[i]);
    }
}

bool trace_ring_put(struct trace_ring *r, u32 event, u64 tsc, const u32 *words, u32 n, u32 who)
{
    u32 lost[LOST_WORDS] = { r->lost, who, (u32)r->lost_since, (u32)(r->lost_since >> 32) };
    u32 used = used_bytes(r), need;

    need = r->lost ? reach(r, r->prod, record_bytes(LOST_WORDS)) : 0;
    need += reach(r, r->prod + need, record_bytes(n));
    if (need > r->size - used) {
        r->lost_since = r->lost ? r->lost_since : tsc;
        r->lost += r->lost != ~0u;
        return false;
    }
    if (r->lost) {
        record_put(r, TRC_LOST_RECORDS, tsc, lost, LOST_WORDS);
        r->lost = 0;
    }
    record_put(r, event, tsc, words, n);
    __atomic_store_n(&r->shared->prod, r->prod, __ATOMIC_RELEASE);
    return used < r->size / 2 && used + need >= r->size / 2;
}
