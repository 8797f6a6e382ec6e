/* SPDX-License-Identifier: MIT */
/*
 * HYPERVISOR_console_io. The control domain's output goes out as it is; another domain's in whole
 * lines with its name in front, and only so much in a second that it can't drown the rest. The line
 * buffer is its domain's page `console`; domain.lock orders writers.
 */
#include <tarn/console.h>
#include <tarn/domain.h>
#include <tarn/errno.h>
#include <tarn/guest_access.h>
#include <tarn/hypercall.h>
#include <tarn/options.h>
#include <tarn/pcpu.h>
#include <tarn/time.h>
#include <tarn/timer.h>

#define CHUNK 256u        /* bytes copied at a time */
#define LINE_SIZE 1024u   /* longer lines are broken */
#define BURST_BYTES 65536 /* a domain may print that much at once, */
#define RATE_BYTES 16384  /* and this much in a second; */
#define RESUME_BYTES 4096 /* after a break it goes on in pieces of that much */

#define INPUT_POLL (20 * NSEC_PER_MSEC)

struct console_line {
    char text[LINE_SIZE];
    u32 len;
    u64 dropped; /* lines */
    s64 budget;  /* bytes it may still print */
    stime_t refilled;
};

/* The budget grows with time, up to a burst. What is less than a byte's time is not lost. */
static void refill(struct console_line *c)
{
    stime_t t = now(), byte_time = NSEC_PER_SEC / RATE_BYTES, bytes;

    if (c->refilled == 0) {
        c->refilled = t;
        c->budget = BURST_BYTES;
        return;
    }
    bytes = (t - c->refilled) / byte_time;
    c->budget = MIN(c->budget + bytes, (s64)BURST_BYTES);
    c->refilled += bytes * byte_time;
}

static bool may_print(struct console_line *c, u32 len)
{
    refill(c);
    if (c->budget < (c->dropped ? RESUME_BYTES : (s64)len)) {
        c->dropped++;
        return false;
    }
    c->budget -= len;
    return true;
}

static void print_line(struct domain *d, struct console_line *c)
{
    char out[LINE_SIZE + 16];
    int n;

    if (may_print(c, c->len)) {
        if (c->dropped) {
            n = fmt_snprintf(out, sizeof(out),
                             "(d%u) [%lu lines dropped: more than %u bytes a second]\n", d->domid,
                             c->dropped, RATE_BYTES);
            console_write(out, (size_t)n);
            c->dropped = 0;
        }
        n = fmt_snprintf(out, sizeof(out), "(d%u) %.*s\n", d->domid, (int)c->len, c->text);
        console_write(out, (size_t)n);
    }
    c->len = 0;
}

/* Control characters could draw over other domains' lines. */
static char printable(char ch)
{
    return (ch >= ' ' && ch != 0x7f) || ch == '\t' ? ch : '.';
}

static void add_to_line(struct domain *d, const char *buf, u32 len)
{
    struct console_line *c = d->console;

    _Static_assert(sizeof(*c) <= PAGE_SIZE, "a page");
    spin_lock(&d->lock);
    for (u32 i = 0; i < len; i++) {
        if (buf[i] == '\n' || c->len == LINE_SIZE) {
            print_line(d, c);
        }
        if (buf[i] != '\n' && buf[i] != '\r' && buf[i] != 0) {
            c->text[c->len++] = printable(buf[i]);
        }
    }
    spin_unlock(&d->lock);
}

void console_flush_domain(struct domain *d)
{
    struct console_line *c = d->console;

    spin_lock(&d->lock);
    if (c->len) {
        print_line(d, c);
    }
    if (c->dropped) {
        log_info("domain %u (%s): %lu lines dropped", d->domid, d->name, c->dropped);
        c->dropped = 0;
    }
    spin_unlock(&d->lock);
}

static long console_write_op(struct domain *d, u64 count, u64 buffer)
{
    char buf[CHUNK];

    if (count > 1UL << 20) {
        count = 1UL << 20;
    }
    while (count) {
        u32 n = (u32)MIN(count, (u64)CHUNK);

        if (copy_from_guest(buf, buffer, n)) {
            return -EFAULT;
        }
        if (d->privileged) {
            console_write_control(buf, n);
        } else if (opt.guest_loglvl) {
            add_to_line(d, buf, n);
        }
        count -= n;
        buffer += n;
        if (count && hypercall_should_yield()) {
            return hypercall_continue(__HYPERVISOR_console_io, CONSOLEIO_write, count, buffer, 0);
        }
    }
    return 0;
}

/*
 * The serial line has no interrupt of its own. Once the control domain has read what there was, and
 * for as long as it listens for the console's VIRQ, a look now and then stands for one.
 */
static void poll_input(void *unused);
static struct timer input_poll = { .fn = poll_input }; /* guarded as timers are */

static void poll_input(void *unused __unused)
{
    struct domain *d = domain_get_by_id(0);

    if (d && atomic_load(&d->vcpu[0]->virq_port[VIRQ_CONSOLE])) {
        if (console_has_input()) {
            domain_send_virq(d, VIRQ_CONSOLE);
        }
        timer_arm(&input_poll, now() + INPUT_POLL);
    }
    if (d) {
        domain_put(d);
    }
}

static long console_read_op(const struct domain *d, u64 count, u64 buffer)
{
    long n = 0;
    int c;

    if (!d->privileged) {
        return -EPERM;
    }
    while (n < (long)MIN(count, (u64)CHUNK) && (c = console_getc()) >= 0) {
        char ch = (char)c;

        if (copy_to_guest(buffer + (u64)n, &ch, 1)) {
            return -EFAULT;
        }
        n++;
    }
    timer_arm(&input_poll, now() + INPUT_POLL);
    return n;
}

long do_console_io(u64 cmd, u64 count, u64 buffer)
{
    struct domain *d = current->domain;

    cmd = (u32)cmd;
    count = (u32)count;
    if (count & 1UL << 31) { /* a negative int in the ABI */
        return cmd == CONSOLEIO_write || cmd == CONSOLEIO_read ? -EINVAL : -ENOSYS;
    }
    switch (cmd) {
    case CONSOLEIO_write:
        return console_write_op(d, count, buffer);
    case CONSOLEIO_read:
        return console_read_op(d, count, buffer);
    default:
        return -ENOSYS;
    }
}
