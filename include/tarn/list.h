/* SPDX-License-Identifier: MIT */
/* Intrusive circular doubly linked list. */
#pragma once

#include <tarn/lib.h>

struct list {
    struct list *next, *prev;
};

#define LIST_INIT(name)  \
    {                    \
        &(name), &(name) \
    }
#define list_entry(p, type, member) container_of(p, type, member)
#define list_for_each(pos, head) \
    for (struct list *pos = (head)->next; pos != (head); pos = pos->next)
/* The current entry may be removed in the body. */
#define list_for_each_safe(pos, tmp, head)                                 \
    for (struct list *pos = (head)->next, *tmp = pos->next; pos != (head); \
         pos = tmp, tmp = pos->next)

static inline void list_init(struct list *l)
{
    l->next = l;
    l->prev = l;
}

static inline bool list_empty(const struct list *l)
{
    return l->next == l;
}

/* Insert n right before pos; with pos the head that is the tail of the list. */
static inline void list_add_before(struct list *pos, struct list *n)
{
    n->prev = pos->prev;
    n->next = pos;
    pos->prev->next = n;
    pos->prev = n;
}

static inline void list_add_tail(struct list *head, struct list *n)
{
    list_add_before(head, n);
}

static inline void list_add_head(struct list *head, struct list *n)
{
    list_add_before(head->next, n);
}

/* The node is left initialised, so that list_empty(n) tells "not queued". */
static inline void list_del(struct list *n)
{
    n->prev->next = n->next;
    n->next->prev = n->prev;
    list_init(n);
}
