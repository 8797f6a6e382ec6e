/* SPDX-License-Identifier: MIT */
/*
 * A 16550 on an I/O port, polled: no interrupts, so that it works from the first instruction to the
 * last. A port where nothing answers is given up after one bounded wait. No locks: see console.c.
 */
#include <tarn/lib.h>
#include <x86/asm.h>
#include <x86/uart.h>

enum { RBR = 0, THR = 0, DLL = 0, DLM = 1, IER = 1, FCR = 2, LCR = 3, MCR = 4, LSR = 5 };

#define LCR_8N1 0x03
#define LCR_DLAB 0x80
#define FCR_ENABLE_CLEAR 0x07
#define MCR_DTR_RTS 0x03
#define LSR_DATA 0x01
#define LSR_THR_EMPTY 0x20
#define CLOCK_HZ 115200u /* of divisor 1 */
#define COM1 0x3f8
#define MAX_POLLS 1000000u /* at least a character's time at 1200 baud */

/* Port, 0 when there is no serial line; and whether its registers were set up. */
static u16 base = COM1;
static bool ready;

void uart_init(u16 port, u32 baud)
{
    u32 divisor = baud ? CLOCK_HZ / baud : 1;

    divisor = MIN(MAX(divisor, 1u), 0xffffu);
    base = port;
    ready = true;
    outb((u16)(port + IER), 0);
    outb((u16)(port + LCR), LCR_DLAB | LCR_8N1);
    outb((u16)(port + DLL), (u8)divisor);
    outb((u16)(port + DLM), (u8)(divisor >> 8));
    outb((u16)(port + LCR), LCR_8N1);
    outb((u16)(port + FCR), FCR_ENABLE_CLEAR);
    outb((u16)(port + MCR), MCR_DTR_RTS);
}

void uart_off(void)
{
    base = 0;
}

static bool uart_usable(void)
{
    if (base && !ready) {
        uart_init(COM1, CLOCK_HZ);
    }
    return base != 0;
}

static void put(char c)
{
    for (u32 polls = 0; !(inb((u16)(base + LSR)) & LSR_THR_EMPTY); polls++) {
        if (polls == MAX_POLLS) {
            base = 0;
            return;
        }
        cpu_pause();
    }
    outb((u16)(base + THR), (u8)c);
}

void uart_write(const char *buf, size_t len)
{
    if (!uart_usable()) {
        return;
    }
    for (size_t i = 0; i < len && base; i++) {
        if (buf[i] == '\n' && (i == 0 || buf[i - 1] != '\r')) {
            put('\r');
        }
        put(buf[i]);
    }
}

bool uart_has_input(void)
{
    u8 status = uart_usable() ? inb((u16)(base + LSR)) : 0;

    return status != 0xff && (status & LSR_DATA); /* all ones: nothing on this port */
}

int uart_getc(void)
{
    return uart_has_input() ? inb((u16)(base + RBR)) : -1;
}
