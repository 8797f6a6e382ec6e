/* SPDX-License-Identifier: MIT */
/*
 * The serial line, a 16550 without interrupts; arch/x86/cpu/uart.c. Without uart_init it is COM1 at
 * 115200 baud. No locks: the console's lock covers it.
 */
#pragma once

#include <tarn/types.h>

void uart_init(u16 port, u32 baud);           /* 8n1 */
void uart_off(void);                          /* nothing is sent or received any more */
void uart_write(const char *buf, size_t len); /* a newline becomes CR LF */
bool uart_has_input(void);
int uart_getc(void); /* -1: nothing there */
