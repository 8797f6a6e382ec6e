/* SPDX-License-Identifier: MIT */
/*
 * console.c - printf in whole lines, to the domain's PV console if it has one,
 * else to the hypervisor's console; input from there; the few string functions
 * that a guest (and its compiler) wants, and the command line.
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

void *memset(void *to, int byte, size_t n)
{
    void *p = to;

    asm volatile("rep stosb" : "+D"(p), "+c"(n) : "a"(byte) : "memory");
    return to;
}

void *memcpy(void *to, const void *from, size_t n)
{
    void *p = to;

    asm volatile("rep movsb" : "+D"(p), "+S"(from), "+c"(n)::"memory");
    return to;
}

int memcmp(const void *a, const void *b, size_t n)
{
    const uint8_t *x = a, *y = b;

    for (; n; n--, x++, y++) {
        if (*x != *y) {
            return *x - *y;
        }
    }
    return 0;
}

size_t strlen(const char *s)
{
    size_t n = 0;

    while (s[n]) {
        n++;
    }
    return n;
}

int strcmp(const char *a, const char *b)
{
    while (*a && *a == *b) {
        a++;
        b++;
    }
    return (uint8_t)*a - (uint8_t)*b;
}

struct sink {
    char *buffer;
    size_t size, used;
};

static void put(struct sink *sink, char c)
{
    if (sink->used + 1 < sink->size) {
        sink->buffer[sink->used] = c;
    }
    sink->used++;
}

static void put_padded(struct sink *sink, const char *s, size_t length, int width, char pad)
{
    for (; width > (int)length; width--) {
        put(sink, pad);
    }
    while (length--) {
        put(sink, *s++);
    }
}

static void put_number(struct sink *sink, uint64_t value, bool negative, unsigned int base,
                       int width, char pad)
{
    char digits[24];
    size_t at = sizeof(digits);

    do {
        digits[--at] = "0123456789abcdef"[value % base];
        value /= base;
    } while (value);
    if (negative) {
        digits[--at] = '-';
    }
    put_padded(sink, digits + at, sizeof(digits) - at, width, pad);
}

static void put_signed(struct sink *sink, int64_t value, int width, char pad)
{
    put_number(sink, value < 0 ? -(uint64_t)value : (uint64_t)value, value < 0, 10, width, pad);
}

/* %d %u %x %c %s %p %%, with l, a width and a leading 0. */
int vsnprintf(char *buffer, size_t size, const char *format, va_list args)
{
    struct sink sink = { buffer, size, 0 };

    for (; *format; format++) {
        char pad = ' ';
        int width = 0;
        bool is_long = false;

        if (*format != '%') {
            put(&sink, *format);
            continue;
        }
        if (*++format == '0') {
            pad = '0';
        }
        for (; *format >= '0' && *format <= '9'; format++) {
            width = width * 10 + (*format - '0');
        }
        for (; *format == 'l'; format++) {
            is_long = true;
        }
        switch (*format) {
        case 'd':
            put_signed(&sink, is_long ? va_arg(args, long) : va_arg(args, int), width, pad);
            break;
        case 'u':
        case 'x':
            put_number(&sink, is_long ? va_arg(args, unsigned long) : va_arg(args, unsigned int),
                       false, *format == 'x' ? 16 : 10, width, pad);
            break;
        case 'p':
            put_number(&sink, va_arg(args, unsigned long), false, 16, 16, '0');
            break;
        case 's': {
            const char *s = va_arg(args, const char *);

            put_padded(&sink, s, strlen(s), width, ' ');
            break;
        }
        case 'c':
            put(&sink, (char)va_arg(args, int));
            break;
        default:
            put(&sink, *format);
            break;
        }
    }
    if (size) {
        buffer[sink.used < size ? sink.used : size - 1] = '\0';
    }
    return (int)sink.used;
}

int snprintf(char *buffer, size_t size, const char *format, ...)
{
    va_list args;
    int n;

    va_start(args, format);
    n = vsnprintf(buffer, size, format, args);
    va_end(args);
    return n;
}

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
    vsnprintf(text, sizeof(text), format, args);
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

static unsigned int digit_value(char c)
{
    if (c >= '0' && c <= '9') {
        return (unsigned int)(c - '0');
    }
    if (c >= 'a' && c <= 'f') {
        return (unsigned int)(c - 'a') + 10;
    }
    return 99;
}

unsigned long arg_number(const char *key, unsigned long otherwise)
{
    char text[24];
    const char *p = text;
    unsigned long value = 0, base = 10;

    if (!arg_string(key, text, sizeof(text)) || !*text) {
        return otherwise;
    }
    if (p[0] == '0' && p[1] == 'x') {
        base = 16;
        p += 2;
    }
    for (; digit_value(*p) < base; p++) {
        value = value * base + digit_value(*p);
    }
    return value;
}

bool arg_flag(const char *word)
{
    return arg_find(word, ' ') != NULL;
}
