/* SPDX-License-Identifier: MIT */
/*
 * The console: what was printed last, in a ring (for the control domain and a debugger), and the
 * serial line. console_lock (leaf) makes calls whole; panic goes past it, and silences
 * everyone else. Before the options are known, and with them the serial line's, every message goes
 * to COM1.
 */
#include <tarn/console.h>
#include <tarn/log_ring.h>
#include <tarn/options.h>
#include <tarn/page.h>
#include <tarn/softirq.h>
#include <tarn/spinlock.h>
#include <x86/panic.h>
#include <x86/uart.h>

#define BOOT_RING_SIZE 4096u
#define LINE_MAX 320

static char boot_ring[BOOT_RING_SIZE]; /* until there is a heap */
/* What was printed; console_lock. */
static struct log_ring console_ring = { .data = boot_ring, .size = BOOT_RING_SIZE };
static struct spinlock console_lock = SPINLOCK_INIT(RANK_LEAF);
static bool line_open; /* the control domain's last byte ended no line, as behind a prompt */

void console_init(void)
{
    if (opt.console_com1) {
        uart_init(opt.com1_port, opt.com1_baud);
    } else {
        uart_off();
    }
}

/* Without memory it stays small. */
void console_ring_grow(void)
{
    u32 order = pages_order(opt.conring_size);
    char *data = pages_alloc(order);

    if (data) {
        spin_lock(&console_lock);
        log_ring_move(&console_ring, data, PAGE_SIZE << order);
        spin_unlock(&console_lock);
    }
}

u64 console_ring_start(const u32 *index)
{
    u64 pos;

    spin_lock(&console_lock);
    pos = log_ring_start(&console_ring, index);
    spin_unlock(&console_lock);
    return pos;
}

size_t console_ring_read(u64 *pos, char *buf, size_t size)
{
    size_t n;

    spin_lock(&console_lock);
    n = log_ring_read(&console_ring, pos, buf, size);
    spin_unlock(&console_lock);
    return n;
}

void console_ring_clear(u64 upto)
{
    spin_lock(&console_lock);
    console_ring.cleared = MAX(console_ring.cleared, upto);
    spin_unlock(&console_lock);
}

static void emit(const char *buf, size_t len)
{
    log_ring_put(&console_ring, buf, len);
    uart_write(buf, len);
}

void console_write(const char *buf, size_t len)
{
    if (machine_stopping()) {
        return;
    }
    spin_lock(&console_lock);
    if (line_open) {
        uart_write("\n", 1);
        line_open = false;
    }
    emit(buf, len);
    spin_unlock(&console_lock);
    if (console_ring.data != boot_ring) {
        softirq_raise_self(SOFTIRQ_CONSOLE); /* any lock may be held here: it is told later */
    }
}

void console_write_control(const char *buf, size_t len)
{
    if (machine_stopping()) {
        return;
    }
    spin_lock(&console_lock);
    if (opt.console_to_ring) {
        log_ring_put(&console_ring, buf, len);
    }
    uart_write(buf, len);
    line_open = len && buf[len - 1] != '\n';
    spin_unlock(&console_lock);
}

void console_write_panic(const char *buf, size_t len)
{
    emit(buf, len);
}

int console_getc(void)
{
    int c;

    spin_lock(&console_lock);
    c = uart_getc();
    spin_unlock(&console_lock);
    return c;
}

bool console_has_input(void)
{
    bool has;

    spin_lock(&console_lock);
    has = uart_has_input();
    spin_unlock(&console_lock);
    return has;
}

/* Options that were never parsed have no baud rate. */
static bool is_wanted(enum log_level level)
{
    return opt.com1_baud == 0 || opt.loglvl > (u32)level || level == LOG_ALWAYS;
}

void log_printf(enum log_level level, const char *fmt, ...)
{
    static const char prefix[] = "(tarn) ";
    char line[LINE_MAX];
    size_t start = sizeof(prefix) - 1, room = sizeof(line) - start - 1;
    va_list ap;
    int len;

    if (!is_wanted(level)) {
        return;
    }
    memcpy(line, prefix, start);
    va_start(ap, fmt);
    len = fmt_vsnprintf(line + start, room, fmt, ap);
    va_end(ap);
    start += MIN((size_t)len, room - 1);
    line[start++] = '\n';
    console_write(line, start);
}
