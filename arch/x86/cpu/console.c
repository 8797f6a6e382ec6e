/* SPDX-License-Identifier: MIT */
/*
 * The console: the last 8 KiB of all that was printed, in a ring (for a debugger),
 * and the serial line. console_lock (leaf) makes calls whole; panic goes past it, and silences
 * everyone else. Before the options are known, and with them the serial line's, every message goes
 * to COM1.
 */
#include <tarn/console.h>
#include <tarn/options.h>
#include <tarn/spinlock.h>
#include <x86/panic.h>
#include <x86/uart.h>

#define RING_SIZE 8192u
#define LINE_MAX 320

/* What was printed: console_ring_end counts all bytes ever, the last RING_SIZE of them are there.
 */
char console_ring[RING_SIZE];
u64 console_ring_end;
static struct spinlock console_lock = SPINLOCK_INIT(RANK_LEAF);

void console_init(void)
{
    if (opt.console_com1) {
        uart_init(opt.com1_port, opt.com1_baud);
    } else {
        uart_off();
    }
}

static void emit(const char *buf, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        console_ring[console_ring_end++ % RING_SIZE] = buf[i];
    }
    uart_write(buf, len);
}

void console_write(const char *buf, size_t len)
{
    if (machine_stopping()) {
        return;
    }
    spin_lock(&console_lock);
    emit(buf, len);
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
    return opt.com1_baud == 0 || opt.loglvl > (u32)level;
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
