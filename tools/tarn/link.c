/* SPDX-License-Identifier: MIT */
/*
 * link.c - requests to the control domain over the machine's second serial port. One process at a
 * time has the link: the lock's file holds a byte while requests are under way, so that a client
 * that finds one there knows that the one before did not end well, ends whatever frame that left
 * half-sent, and says hello before anything else. From then on nothing but whole frames may come:
 * whatever else does ends the request, for a part of the answer may be lost.
 */
#include "host.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#define CANCEL_WAIT (5 * SECOND)
#define HELLO_AGAIN (2 * SECOND)

static bool failed(struct link *l, const char *why)
{
    snprintf(l->why, sizeof(l->why), "%s", why);
    return false;
}

static bool lost(struct link *l)
{
    uint64_t end = now_ms() + SECOND; /* the socket closes a moment before the process ends */

    while (machine_alive(l->machine) && now_ms() < end) {
        sleep_ms(20);
    }
    return failed(l, machine_alive(l->machine) ? "the connection is lost" : "it has ended");
}

/* Whether the client before us left something. */
static bool was_dirty(const struct link *l)
{
    char c;

    return pread(l->lock, &c, 1, 0) != 0;
}

static void set_dirty(const struct link *l, bool dirty)
{
    if (dirty ? pwrite(l->lock, "1", 1, 0) != 1 : ftruncate(l->lock, 0)) {
        die("the lock's file can't be written: %s", strerror(errno));
    }
}

/* ---- what comes ---- */

static void show(struct link *l, int fd, const struct wire_frame *f)
{
    if (l->write_error || write_all(fd, f->payload, f->length)) {
        return;
    }
    if (!caught_signal) { /* nobody reads it: as good as Ctrl-C */
        l->write_error = errno;
        caught_signal = SIGPIPE;
    }
}

static bool ended(struct link *l, const struct wire_frame *f)
{
    uint32_t skip = f->type == WIRE_EXIT ? 4 : 0;

    if (f->length < skip) {
        return failed(l, "a malformed answer came");
    }
    l->status = skip ? wire_get32(f->payload) : STATUS_FAILED;
    l->refused = !skip;
    l->payload_len = f->length - skip;
    memcpy(l->payload, f->payload + skip, l->payload_len);
    l->done = true;
    return true;
}

static bool frame(struct link *l, const struct wire_frame *f)
{
    if (f->seq != l->seq || l->done) {
        return true; /* late, for an earlier request */
    }
    l->deadline = l->interrupted ? l->deadline : now_ms() + l->limit;
    switch (f->type) {
    case WIRE_OUT:
        if (l->out_to) {
            l->out_to(l->out_arg, f->payload, f->length);
            return true;
        }
        /* fall through */
    case WIRE_ERR:
        show(l, f->type == WIRE_OUT ? STDOUT_FILENO : STDERR_FILENO, f);
        return true;
    case WIRE_DATA:
        if (l->data) {
            l->data(l->arg, f->payload, f->length);
        }
        return true;
    case WIRE_ALIVE:
        return true;
    case WIRE_EXIT:
    case WIRE_REFUSED:
        return ended(l, f);
    default:
        return failed(l, "an answer of an unknown kind came");
    }
}

static bool take(struct link *l, const uint8_t *data, size_t len)
{
    struct wire_frame f;

    while (wire_next(&l->decoder, &data, &len, &f)) {
        if (l->strict && l->decoder.dropped) {
            break;
        }
        if (!frame(l, &f)) {
            return false;
        }
    }
    if (l->strict && l->decoder.dropped) {
        return failed(l, "garbage came, or a damaged answer");
    }
    return true;
}

static bool receive(struct link *l)
{
    uint8_t buf[4096];
    ssize_t n = recv(l->fd, buf, sizeof(buf), 0);

    if (n > 0) {
        return take(l, buf, (size_t)n);
    }
    return n < 0 && (errno == EAGAIN || errno == EINTR) ? true : lost(l);
}

/* ---- what goes ---- */

static bool transmit(struct link *l)
{
    ssize_t n = send(l->fd, l->out + l->out_at, l->out_used - l->out_at, MSG_NOSIGNAL);

    if (n < 0) {
        return errno == EAGAIN || errno == EINTR ? true : lost(l);
    }
    l->out_at += (size_t)n;
    if (l->out_at == l->out_used) {
        l->out_at = l->out_used = 0;
    }
    return true;
}

static void append(struct link *l, uint8_t type, const void *payload, size_t len)
{
    l->out_used += wire_encode(l->out + l->out_used, type, l->seq, payload, len);
}

/* Ctrl-C: once politely; the machine has a few seconds for it. Twice: that's it. */
static bool interrupt(struct link *l)
{
    if (l->interrupted || l->hello) {
        return failed(l, "interrupted");
    }
    l->interrupted = true;
    l->deadline = now_ms() + (l->limit < CANCEL_WAIT ? l->limit : CANCEL_WAIT);
    caught_signal = 0;
    append(l, WIRE_CANCEL, NULL, 0); /* there is always room for one: see link_send */
    return true;
}

static bool too_late(struct link *l)
{
    l->timed_out = true;
    snprintf(l->why, sizeof(l->why), "no answer within %g seconds%s",
             (double)(l->interrupted ? CANCEL_WAIT : l->limit) / SECOND,
             l->interrupted       ? " of the interruption"
             : l->decoder.dropped ? ", only garbage"
                                  : "");
    return false;
}

/* Waits until something can be done, and does it. */
static bool pump(struct link *l)
{
    uint64_t now = now_ms();
    struct pollfd fd = { .fd = l->fd, .events = POLLIN };

    if (caught_signal && !interrupt(l)) {
        return false;
    }
    if (now >= l->deadline) {
        return too_late(l);
    }
    fd.events = (short)(POLLIN | (l->out_used ? POLLOUT : 0));
    if (wait_for(&fd, 1, l->deadline - now) <= 0) {
        return true; /* looks again */
    }
    if (fd.revents & (POLLIN | POLLHUP | POLLERR) && !receive(l)) {
        return false;
    }
    return !(fd.revents & POLLOUT) || transmit(l);
}

/* ---- requests ---- */

void link_begin(struct link *l)
{
    uint32_t seq = l->seq;

    while (seq == l->seq) {
        if (getrandom(&seq, sizeof(seq), 0) != sizeof(seq)) {
            die("no random numbers: %s", strerror(errno));
        }
    }
    l->seq = seq;
    l->done = l->refused = l->interrupted = false;
    l->payload_len = 0;
    l->deadline = now_ms() + l->limit;
}

bool link_send(struct link *l, uint8_t type, const void *payload, size_t len)
{
    while (l->out_used + 2 * WIRE_FRAME_MAX > sizeof(l->out)) {
        if (l->done) {
            return true; /* it was refused on the way */
        }
        if (!pump(l)) {
            return false;
        }
    }
    if (!l->interrupted && !l->done) {
        append(l, type, payload, len);
    }
    return true;
}

bool link_wait(struct link *l)
{
    while (!l->done || l->out_used) {
        if (!pump(l)) {
            return false;
        }
    }
    return true;
}

/* Zeros end the frame that another client left half-sent. */
static void send_zeros(struct link *l)
{
    memset(l->out, 0, WIRE_FRAME_MAX);
    l->out_used = WIRE_FRAME_MAX;
}

static bool hello_once(struct link *l)
{
    uint8_t version[4];

    link_begin(l);
    wire_put32(version, WIRE_VERSION);
    if (!link_send(l, WIRE_HELLO, version, sizeof(version)) || !link_wait(l)) {
        return false;
    }
    if (l->refused || l->status) {
        return failed(l, "its control domain speaks another version of the protocol");
    }
    return true;
}

bool link_hello(struct link *l, uint64_t ms)
{
    uint64_t end = now_ms() + ms, limit = l->limit;
    bool ok;

    l->strict = false;
    l->hello = true;
    l->decoder = (struct wire_decoder){ .used = 0 };
    send_zeros(l);
    do {
        uint64_t left = end > now_ms() ? end - now_ms() : 1;

        l->timed_out = false;
        l->limit = left < HELLO_AGAIN ? left : HELLO_AGAIN;
        ok = hello_once(l);
    } while (l->timed_out && now_ms() < end);
    l->limit = ms;
    if (l->timed_out) {
        (void)too_late(l);
    }
    l->limit = limit;
    l->hello = false;
    l->strict = ok;
    l->decoder.dropped = 0;
    return ok;
}

static bool connect_within(struct link *l, uint64_t end)
{
    while ((l->fd = machine_connect(l->machine, "wire")) < 0) {
        if (!machine_alive(l->machine)) {
            return failed(l, "it has ended");
        }
        if (now_ms() >= end) {
            snprintf(l->why, sizeof(l->why), "no connection: %s", strerror(errno));
            return false;
        }
        sleep_ms(20);
    }
    return true;
}

bool link_open(struct link *l, const struct machine *m, uint64_t ms)
{
    uint64_t end = now_ms() + ms;

    memset(l, 0, sizeof(*l));
    l->machine = m;
    l->limit = ms;
    l->fd = -1;
    l->lock = machine_lock(m, "wire", ms);
    if (l->lock < 0) {
        return failed(l, caught_signal ? "interrupted" : "another tarn command is at work on it");
    }
    l->open = true;
    if (!connect_within(l, end)) {
        return false;
    }
    l->strict = true;
    if (!was_dirty(l)) {
        set_dirty(l, true);
        return true;
    }
    return link_hello(l, ms);
}

void link_close(struct link *l)
{
    if (!l->open) {
        return;
    }
    /* after an interruption the end of the CANCEL may still be on its way */
    if (l->done && !l->refused && !l->interrupted && !l->out_used && l->strict &&
        !l->decoder.dropped && !wire_missing(&l->decoder)) {
        set_dirty(l, false);
    }
    if (l->fd >= 0) {
        close(l->fd);
    }
    close(l->lock);
    l->open = false;
}

void link_require(struct link *l, const struct machine *m)
{
    if (!link_open(l, m, options.timeout)) {
        machine_die(m, "%s", l->why);
    }
}

int link_finish(struct link *l, bool ok)
{
    char why[256];
    size_t n = l->payload_len < sizeof(why) - 1 ? l->payload_len : sizeof(why) - 1;

    if (!ok) {
        machine_die(l->machine, "%s", l->why);
    }
    if (l->write_error == EPIPE) {
        return 128 + SIGPIPE;
    }
    if (l->write_error) {
        die("the output can't be written: %s", strerror(l->write_error));
    }
    if (!l->refused) {
        return l->status > 255 ? 255 : (int)l->status;
    }
    for (size_t i = 0; i < n; i++) {
        why[i] = (char)(l->payload[i] >= ' ' && l->payload[i] < 127 ? l->payload[i] : '?');
    }
    why[n] = '\0';
    link_close(l);
    machine_die(l->machine, "refused: %s", why);
}
