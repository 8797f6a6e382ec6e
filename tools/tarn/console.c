/* SPDX-License-Identifier: MIT */
/*
 * console.c - a domain's console. Domain 0's is the machine's first serial port, to which one
 * terminal at a time can be attached. The others' the control domain serves: they are asked for
 * again and again, so that other commands get through between.
 */
#include "definitions.h"
#include "host.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <termios.h>
#include <unistd.h>

#define LEAVE 0x1d /* ^] */
#define QUICK 10   /* ms between questions while something happens */
#define SLOW 200
#define LINGER 300 /* ms that an answer may take after the end of our input */

static struct termios cooked;
static bool is_raw;

static void make_cooked(void)
{
    if (is_raw) {
        tcsetattr(STDIN_FILENO, TCSANOW, &cooked);
        is_raw = false;
    }
}

static void make_raw(const char *who)
{
    struct termios raw;

    if (!isatty(STDIN_FILENO) || tcgetattr(STDIN_FILENO, &cooked)) {
        return;
    }
    fprintf(stderr, "Console of %s; ^] leaves.\n", who);
    raw = cooked;
    cfmakeraw(&raw);
    raw.c_oflag |= OPOST; /* guests end lines with a newline alone */
    is_raw = tcsetattr(STDIN_FILENO, TCSANOW, &raw) == 0;
    atexit(make_cooked);
}

/* What waits on the standard input, up to ^]. -1: its end, or ^]. */
static ssize_t read_keys(char *buf, size_t size)
{
    ssize_t n = read(STDIN_FILENO, buf, size);
    char *leave;

    if (n < 0 && errno == EINTR) {
        return 0;
    }
    if (n <= 0) {
        return -1;
    }
    leave = is_raw ? memchr(buf, LEAVE, (size_t)n) : NULL;
    return leave ? -1 : n;
}

/* ---- domain 0 ---- */

/* False: the machine is gone. */
static bool show_serial(int fd)
{
    char buf[4096];
    ssize_t n = recv(fd, buf, sizeof(buf), 0);

    if (n > 0) {
        return write_all(STDOUT_FILENO, buf, (size_t)n);
    }
    return n < 0 && (errno == EAGAIN || errno == EINTR);
}

static int serial_console(const struct machine *m)
{
    struct pollfd fds[2] = { { .events = POLLIN }, { .fd = STDIN_FILENO, .events = POLLIN } };
    int lock = machine_lock(m, "com1", 0), fd = lock < 0 ? -1 : machine_connect(m, "com1");
    char keys[256];
    uint64_t end = UINT64_MAX;

    if (fd < 0) {
        machine_die(m, lock < 0 ? "somebody is at its console" : "no connection to its console");
    }
    make_raw("Domain-0");
    fds[0].fd = fd;
    while (!caught_signal && now_ms() < end) {
        ssize_t n = 0;

        if (wait_for(fds, 2, LINGER) < 0) {
            continue;
        }
        if (fds[0].revents && !show_serial(fd)) {
            make_cooked();
            machine_die(m, "it has ended");
        }
        end = fds[0].revents && end != UINT64_MAX ? now_ms() + LINGER : end;
        n = fds[1].revents ? read_keys(keys, sizeof(keys)) : 0;
        if (n < 0) {
            end = is_raw ? 0 : now_ms() + LINGER;
            fds[1].fd = -1;
        } else if (n > 0 && !write_all(fd, keys, (size_t)n)) {
            end = 0;
        }
    }
    return 0;
}

/* ---- the others ---- */

struct console {
    const struct machine *machine;
    const char *domain;
    uint64_t position;
    char keys[512];
    size_t nr_keys, shown;
};

static void show_data(void *arg, const uint8_t *payload, size_t len)
{
    struct console *c = arg;

    if (len > 8) {
        c->shown += len - 8;
        (void)write_all(STDOUT_FILENO, payload + 8, len - 8);
    }
}

/* One question and its answer. False: there is no such domain (any more). */
static bool ask(struct console *c, bool first)
{
    struct link l;
    uint8_t request[10 + 64 + sizeof(c->keys)];
    size_t name = strlen(c->domain), taken;
    bool ok;

    link_require(&l, c->machine);
    l.data = show_data;
    l.arg = c;
    link_begin(&l);
    wire_put64(request, c->position);
    wire_put16(request + 8, (uint16_t)name);
    memcpy(request + 10, c->domain, name);
    memcpy(request + 10 + name, c->keys, c->nr_keys);
    ok = link_send(&l, WIRE_CONSOLE, request, 10 + name + c->nr_keys) && link_wait(&l);
    if (ok && l.refused && !first) {
        link_close(&l);
        return false;
    }
    if (link_finish(&l, ok) || l.payload_len < 10) {
        machine_die(c->machine, "%s has no console", c->domain);
    }
    link_close(&l);
    c->position = wire_get64(l.payload);
    taken = wire_get16(l.payload + 8);
    taken = taken < c->nr_keys ? taken : c->nr_keys;
    c->nr_keys -= taken;
    memmove(c->keys, c->keys + taken, c->nr_keys);
    return true;
}

/* Input, if there comes some within that time. False: that was its end. */
static bool wait_for_keys(struct console *c, uint64_t ms)
{
    struct pollfd fd = { .fd = c->nr_keys < sizeof(c->keys) ? STDIN_FILENO : -1, .events = POLLIN };
    ssize_t n;

    if (wait_for(&fd, 1, ms) <= 0) {
        return true;
    }
    n = read_keys(c->keys + c->nr_keys, sizeof(c->keys) - c->nr_keys);
    c->nr_keys += n > 0 ? (size_t)n : 0;
    return n >= 0;
}

static int domain_console(const struct machine *m, const char *domain)
{
    struct console c = { .machine = m, .domain = domain, .position = UINT64_MAX };
    bool first = true, more = true, typed_any = false;
    uint64_t pause = QUICK, end = 0;

    for (; !caught_signal; first = false) {
        bool typed = c.nr_keys > 0;

        typed_any |= typed;
        c.shown = 0;
        if (!ask(&c, first)) {
            make_cooked();
            fprintf(stderr, "tarn: %s is gone\n", domain);
            return 0;
        }
        if (first) {
            make_raw(domain);
        }
        if (typed || c.shown) {
            end = now_ms() + (typed_any ? LINGER : 0);
        }
        if (!more && !c.nr_keys && !c.shown && now_ms() >= end) {
            break;
        }
        pause = typed || c.shown ? QUICK : pause * 2 > SLOW ? SLOW : pause * 2;
        if (more) {
            more = wait_for_keys(&c, pause);
            if (!more && is_raw) {
                break;
            }
        } else {
            sleep_ms(pause);
        }
    }
    return 0;
}

int cmd_console(int argc, char **argv)
{
    struct machine m;

    if (argc != 2 || strlen(argv[1]) > 64 || !*argv[1]) {
        usage_die("console");
    }
    machine_require(&m);
    if (!strcmp(argv[1], "0") || !strcmp(argv[1], "Domain-0")) {
        (void)serial_console(&m);
        make_cooked();
        definitions_save_now(&m);
        return 0;
    }
    return domain_console(&m, argv[1]);
}
