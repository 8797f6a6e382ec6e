/* SPDX-License-Identifier: MIT */
/*
 * A pairing heap of deadlines: insert in O(1), remove in O(log n) amortised, no memory of its own.
 * Children form a list of siblings; nothing recurses, so the stack's depth does not depend on
 * the heap's shape. Owns the links and `queued` of a node while it is in; the caller locks.
 */
#include <tarn/lib.h>
#include <tarn/timer_heap.h>

/* Two roots, neither NULL, without siblings. */
static struct timer_node *meld(struct timer_node *a, struct timer_node *b)
{
    struct timer_node *winner = b->expires < a->expires ? b : a;
    struct timer_node *loser = winner == a ? b : a;

    loser->next = winner->child;
    if (loser->next) {
        loser->next->prev = loser;
    }
    loser->prev = winner;
    winner->child = loser;
    return winner;
}

/* Takes the first node off a list of siblings and leaves it without siblings. */
static struct timer_node *pop_sibling(struct timer_node **list)
{
    struct timer_node *n = *list;

    *list = n->next;
    n->next = NULL;
    n->prev = NULL;
    return n;
}

/*
 * Make one heap of a list of siblings: pair them from left to right, then meld the pairs
 * from right to left; the pairs wait on a stack linked by `next`.
 */
static struct timer_node *meld_siblings(struct timer_node *list)
{
    struct timer_node *pairs = NULL, *root;

    while (list) {
        struct timer_node *n = pop_sibling(&list);

        if (list) {
            n = meld(n, pop_sibling(&list));
        }
        n->next = pairs;
        pairs = n;
    }
    if (!pairs) {
        return NULL;
    }
    root = pop_sibling(&pairs);
    while (pairs) {
        root = meld(root, pop_sibling(&pairs));
    }
    return root;
}

/* Cut a node with all below it from its parent and siblings. */
static void cut(struct timer_node *n)
{
    if (n->prev->child == n) {
        n->prev->child = n->next;
    } else {
        n->prev->next = n->next;
    }
    if (n->next) {
        n->next->prev = n->prev;
    }
}

void timer_heap_insert(struct timer_heap *h, struct timer_node *n)
{
    ASSERT(!n->queued);
    n->child = NULL;
    n->next = NULL;
    n->prev = NULL;
    n->queued = true;
    h->root = h->root ? meld(h->root, n) : n;
}

void timer_heap_remove(struct timer_heap *h, struct timer_node *n)
{
    struct timer_node *rest;

    ASSERT(n->queued);
    rest = meld_siblings(n->child);
    if (n == h->root) {
        h->root = rest;
    } else {
        cut(n);
        if (rest) {
            h->root = meld(h->root, rest);
        }
    }
    n->child = NULL;
    n->next = NULL;
    n->prev = NULL;
    n->queued = false;
}

/* Down, else to the right, else up to where there is a right. */
struct timer_node *timer_heap_next(const struct timer_node *n)
{
    if (n->child) {
        return n->child;
    }
    while (n && !n->next) {
        while (n->prev && n->prev->child != n) {
            n = n->prev;
        }
        n = n->prev;
    }
    return n ? n->next : NULL;
}

void timer_heap_take_all(struct timer_heap *to, struct timer_heap *from)
{
    if (from->root) {
        to->root = to->root ? meld(to->root, from->root) : from->root;
        from->root = NULL;
    }
}
