/* SPDX-License-Identifier: MIT */
/*
 * console.c - printf in whole lines, to the domain's PV console if it has one,
 * else to the hypervisor's console; input from there; and the command line.
 * One lock keeps the lines of several vcpus apart; it is taken with upcalls
 * masked, so handlers may print.
 */
#include "guest.h"

#include <xen/io/console.h>

/* So long a full ring may stand still until what is printed is dropped. */
#define PATIENCE SEC

/* NULL: the hypervisor's console. */
static struct xencons_interface *ring;
static bool ring_stuck;

static char line[512];
static size_t line_used;
static volatile int line_lock;

void console_start(void)
{
    if (!(start_info->flags & SIF_INITDOMAIN) && start_info->console.domU.evtchn) {
        ring = machine_page(start_info->console.domU.mfn);
    }
}

static size_t ring_room(void)
{
    size_t used = ring->out_prod - __atomic_load_n(&ring->out_cons, __ATOMIC_ACQUIRE);

    return used < sizeof(ring->out) ? sizeof(ring->out) - used : 0;
}

/* Once it has waited in vain it waits no more until there is room. */
static bool ring_wait(void)
{
    uint64_t deadline = clock_now() + PATIENCE;

    while (!ring_room()) {
        if (ring_stuck || clock_now() > deadline) {
            ring_stuck = true;
            return false;
        }
        sched_op(SCHEDOP_yield, NULL);
    }
    ring_stuck = false;
    return true;
}

static void ring_write(const char *text, size_t count)
{
    evtchn_port_t port = start_info->console.domU.evtchn;

    while (count && ring_wait()) {
        XENCONS_RING_IDX prod = ring->out_prod;

        for (size_t room = ring_room(); room && count; room--, count--) {
            ring->out[MASK_XENCONS_IDX(prod, ring->out)] = *text++;
            prod++;
        }
        __atomic_store_n(&ring->out_prod, prod, __ATOMIC_RELEASE);
        event_send(port);
    }
}

static void console_write(const char *text, size_t count)
{
    if (ring) {
        ring_write(text, count);
    } else {
        console_io(CONSOLEIO_write, count, text);
    }
}

long console_getchar(void)
{
    char c = 0;

    if (!ring) {
        return console_io(CONSOLEIO_read, 1, &c) == 1 ? (uint8_t)c : -1;
    }
    if (__atomic_load_n(&ring->in_prod, __ATOMIC_ACQUIRE) == ring->in_cons) {
        return -1;
    }
    c = ring->in[MASK_XENCONS_IDX(ring->in_cons, ring->in)];
    __atomic_store_n(&ring->in_cons, ring->in_cons + 1, __ATOMIC_RELEASE);
    event_send(start_info->console.domU.evtchn);
    return (uint8_t)c;
}

/* Appends to the line that is being made, and writes it out once it is whole. */
static void line_append(const char *text)
{
    for (; *text; text++) {
        line[line_used++] = *text;
        if (*text == '\n' || line_used == sizeof(line)) {
            console_write(line, line_used);
            line_used = 0;
        }
    }
}

void printf(const char *format, ...)
{
    volatile struct vcpu_info *info = vcpu_infos[vcpu_self()];
    char text[400];
    uint8_t masked = info->evtchn_upcall_mask;
    va_list args;

    va_start(args, format);
    fmt_vsnprintf(text, sizeof(text), format, args);
    va_end(args);

    info->evtchn_upcall_mask = 1;
    while (__atomic_exchange_n(&line_lock, 1, __ATOMIC_ACQUIRE)) {
        sched_op(SCHEDOP_yield, NULL);
    }
    line_append(text);
    __atomic_store_n(&line_lock, 0, __ATOMIC_RELEASE);
    if (!masked) {
        upcalls_enable();
    }
}

void console_panic(void)
{
    line_lock = 0;
}

/* The word that starts with key, '=' included in key or not; what follows the key. */
static const char *arg_find(const char *key, char end)
{
    const char *p = (const char *)start_info->cmd_line;
    size_t n = strlen(key);

    while (*p) {
        while (*p == ' ') {
            p++;
        }
        if (memcmp(p, key, n) == 0 && (p[n] == end || (end == ' ' && !p[n]))) {
            return p + n;
        }
        while (*p && *p != ' ') {
            p++;
        }
    }
    return NULL;
}

bool arg_string(const char *key, char *value, size_t size)
{
    const char *p = arg_find(key, '=');
    size_t n = 0;

    if (!p) {
        return false;
    }
    for (p++; *p && *p != ' ' && n + 1 < size; p++) {
        value[n++] = *p;
    }
    value[n] = '\0';
    return true;
}

unsigned long arg_number(const char *key, unsigned long otherwise)
{
    char text[24];
    uint64_t value;

    return arg_string(key, text, sizeof(text)) && uint_parse(text, &value) ? value : otherwise;
}

bool arg_flag(const char *word)
{
    return arg_find(word, ' ') != NULL;
}
