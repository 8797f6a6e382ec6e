/* SPDX-License-Identifier: MIT */
/*
 * The list of all domains, by domid, and the references that keep a domain alive once it was found.
 * Each hypercall that names a domain comes here. What domains are is domain.c's. Lock:
 * domain_list_lock (leaf).
 */
#include <tarn/domain.h>
#include <tarn/errno.h>
#include <tarn/pcpu.h>

struct list domain_list = LIST_INIT(domain_list);
struct spinlock domain_list_lock = SPINLOCK_INIT(RANK_LEAF); /* the list, not the domains */

/* The lowest id from `first` on; the list's lock is held. */
static struct domain *find_from(u32 first)
{
    list_for_each(l, &domain_list) {
        struct domain *d = list_entry(l, struct domain, link);

        if (d->domid >= first) {
            return d;
        }
    }
    return NULL;
}

static struct domain *find(domid_t domid)
{
    struct domain *d = find_from(domid);

    return d && d->domid == domid ? d : NULL;
}

/* Not one whose last reference has gone: it is about to leave the list. */
static bool get_unless_gone(struct domain *d)
{
    u32 old = atomic_load(&d->refcnt);

    while (old && !atomic_cmpxchg(&d->refcnt, &old, old + 1)) {
    }
    return old != 0;
}

struct domain *domain_get_by_id(domid_t domid)
{
    struct domain *d;

    if (domid == DOMID_SELF) {
        d = current->domain;
        domain_get(d);
        return d;
    }
    spin_lock(&domain_list_lock);
    d = find(domid);
    if (d && !get_unless_gone(d)) {
        d = NULL;
    }
    spin_unlock(&domain_list_lock);
    return d;
}

struct domain *domain_get_from(u32 first)
{
    struct domain *d;

    spin_lock(&domain_list_lock);
    do {
        d = find_from(first);
        first = d ? d->domid + 1u : 0;
    } while (d && !get_unless_gone(d));
    spin_unlock(&domain_list_lock);
    return d;
}

/* Not the last one again: who still has its number should not meet another domain under it. */
domid_t domain_free_id(void)
{
    static u32 last; /* domain_list_lock */
    domid_t id = DOMID_INVALID;

    spin_lock(&domain_list_lock);
    for (u32 i = 1; i < DOMID_FIRST_RESERVED && id == DOMID_INVALID; i++) {
        u32 candidate = (last + i) % DOMID_FIRST_RESERVED;

        if (candidate && !find((domid_t)candidate)) {
            id = (domid_t)candidate;
        }
    }
    last = id == DOMID_INVALID ? last : id;
    spin_unlock(&domain_list_lock);
    return id;
}

void domain_get(struct domain *d)
{
    atomic_fetch_add(&d->refcnt, 1u);
}

int domain_list_add(struct domain *d)
{
    struct domain *next;
    int rc = 0;

    spin_lock(&domain_list_lock);
    next = find_from(d->domid);
    if (next && next->domid == d->domid) {
        rc = -EEXIST;
    } else {
        list_add_tail(next ? &next->link : &domain_list, &d->link);
    }
    spin_unlock(&domain_list_lock);
    return rc;
}

void domain_list_remove(struct domain *d)
{
    spin_lock(&domain_list_lock);
    if (d->link.next) {
        list_del(&d->link);
    }
    spin_unlock(&domain_list_lock);
}
