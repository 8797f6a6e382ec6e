/* SPDX-License-Identifier: MIT */
/* Intrusive priority queue of deadlines (pairing heap). Pure: no clock, no lock. */
#pragma once

#include <tarn/types.h>

struct timer_node {
    struct timer_node *child, *next, *prev; /* prev: left sibling, or parent for a first child */
    stime_t expires;
    bool queued;
};

struct timer_heap {
    struct timer_node *root;
};

void timer_heap_insert(struct timer_heap *h,
                       struct timer_node *n); /* n->expires is set, !n->queued */
void timer_heap_remove(struct timer_heap *h, struct timer_node *n); /* n->queued */
/* Earliest, or NULL. */
static inline struct timer_node *timer_heap_first(const struct timer_heap *h)
{
    return h->root;
}
/* All nodes of a heap, from the first on, in no order; NULL after the last. */
struct timer_node *timer_heap_next(const struct timer_node *n);
/* All nodes of one heap go into the other; they stay queued throughout. */
void timer_heap_take_all(struct timer_heap *to, struct timer_heap *from);
