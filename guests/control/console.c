/* SPDX-License-Identifier: MIT */
/*
 * console.c - the PV consoles of the domains: takes their output into a scrollback, types into
 * their input. It owns struct pv_console, its page of the domain and its port. The domain may write
 * anything into that page at any time: our own indices are kept here and only shown there, and one
 * round takes a ring's length at most. One thread, no locks.
 */
#include "control.h"

#include <xen/io/console.h>

struct scrollback {
    domid_t domid;
    uint64_t end; /* position of the next byte; those from end - SCROLLBACK on are kept */
    char text[SCROLLBACK];
};

struct pv_console {
    struct xencons_interface *page;
    evtchn_port_t port;
    XENCONS_RING_IDX out_cons, in_prod;
    struct scrollback kept;
};

/* What the consoles said that were closed last, for those who are still attached. */
#define CLOSED_KEPT 4u
static struct scrollback closed[CLOSED_KEPT];
static unsigned int closed_next;

static void on_event(evtchn_port_t port)
{
    (void)port;
    loop_wake();
}

static void keep(struct scrollback *s, const char *text, size_t len)
{
    while (len) {
        size_t at = s->end % SCROLLBACK, n = MIN(len, SCROLLBACK - at);

        memcpy(s->text + at, text, n);
        s->end += n;
        text += n;
        len -= n;
    }
}

/* Moves what is in the output ring to the scrollback; whether there was something. */
static bool drain(struct pv_console *c)
{
    XENCONS_RING_IDX prod = __atomic_load_n(&c->page->out_prod, __ATOMIC_ACQUIRE);
    size_t len = prod - c->out_cons, size = sizeof(c->page->out);

    if (len == 0) {
        return false;
    }
    for (size_t left = MIN(len, size); left;) {
        size_t at = MASK_XENCONS_IDX(c->out_cons, c->page->out), n = MIN(left, size - at);

        keep(&c->kept, c->page->out + at, n);
        c->out_cons += (XENCONS_RING_IDX)n;
        left -= n;
    }
    c->out_cons = prod;
    __atomic_store_n(&c->page->out_cons, prod, __ATOMIC_RELEASE);
    event_send(c->port);
    return true;
}

long console_open(struct domain *d, uint64_t mfn, evtchn_port_t remote_port)
{
    struct pv_console *c = allocate(sizeof(*c));
    long rc = -XEN_ENOMEM;

    if (!c) {
        return rc;
    }
    c->page = foreign_map(d->domid, &mfn, 1, true, &rc);
    if (c->page) {
        rc = event_bind_interdomain(d->domid, remote_port);
    }
    if (rc < 0) {
        foreign_unmap(c->page, 1);
        release(c);
        return rc;
    }
    c->port = (evtchn_port_t)rc;
    c->kept.domid = d->domid;
    c->out_cons = c->page->out_cons;
    c->in_prod = c->page->in_prod;
    event_handle(c->port, 0, on_event);
    d->console = c;
    loop_wake();
    return 0;
}

void console_close(struct domain *d)
{
    struct pv_console *c = d->console;

    if (!c) {
        return;
    }
    drain(c);
    closed[closed_next++ % CLOSED_KEPT] = c->kept;
    d->console = NULL;
    event_close(c->port);
    foreign_unmap(c->page, 1);
    release(c);
}

/* A domain that goes on printing gets its next round after all else had one. */
void consoles_service(void)
{
    for (struct domain *d = domains_first(); d; d = d->next) {
        if (d->console && drain(d->console)) {
            loop_wake();
        }
    }
}

static size_t copy_out(const struct scrollback *s, uint64_t *position, char *buf, size_t size)
{
    uint64_t first = s->end > SCROLLBACK ? s->end - SCROLLBACK : 0;
    size_t n;

    if (*position > s->end || *position < first) {
        *position = first;
    }
    n = MIN(size, s->end - *position);
    for (size_t i = 0; i < n; i++) {
        buf[i] = s->text[(*position + i) % SCROLLBACK];
    }
    return n;
}

size_t console_read(const struct domain *d, uint64_t *position, char *buf, size_t size)
{
    if (!d->console) {
        *position = 0;
        return 0;
    }
    return copy_out(&d->console->kept, position, buf, size);
}

size_t console_read_closed(domid_t domid, uint64_t *position, char *buf, size_t size)
{
    for (unsigned int i = 0; i < CLOSED_KEPT; i++) {
        const struct scrollback *s = &closed[(closed_next - 1 - i) % CLOSED_KEPT];

        if (s->domid == domid && s->end) {
            return copy_out(s, position, buf, size);
        }
    }
    return 0;
}

size_t console_type(struct domain *d, const char *text, size_t len)
{
    struct pv_console *c = d->console;
    size_t n, used, size;

    if (!c) {
        return 0;
    }
    size = sizeof(c->page->in);
    used = c->in_prod - __atomic_load_n(&c->page->in_cons, __ATOMIC_ACQUIRE);
    n = used < size ? MIN(len, size - used) : 0;
    if (n == 0) {
        return 0;
    }
    for (size_t i = 0; i < n; i++) {
        c->page->in[MASK_XENCONS_IDX(c->in_prod++, c->page->in)] = text[i];
    }
    __atomic_store_n(&c->page->in_prod, c->in_prod, __ATOMIC_RELEASE);
    event_send(c->port);
    return n;
}
