/* SPDX-License-Identifier: MIT */
/*
 * The console: a log ring of all that was printed, and the serial line behind it.
 * Messages of the hypervisor start with "(tarn) "; each call is one whole line (the newline is
 * added).
 */
#pragma once

#include <tarn/types.h>
#include <tarn/lib.h>

/* LOG_ALWAYS: what was asked for, whatever loglvl= says. */
enum log_level { LOG_ERROR, LOG_WARNING, LOG_INFO, LOG_DEBUG, LOG_ALWAYS };

void log_printf(enum log_level level, const char *fmt, ...) __printf(2, 3);
#define log_error(...) log_printf(LOG_ERROR, __VA_ARGS__)
#define log_warning(...) log_printf(LOG_WARNING, __VA_ARGS__)
#define log_info(...) log_printf(LOG_INFO, __VA_ARGS__)
#define log_debug(...) log_printf(LOG_DEBUG, __VA_ARGS__)
#define log_always(...) log_printf(LOG_ALWAYS, __VA_ARGS__)

/* After options_parse: the serial line is as com1= and console= say. Before, all messages go to
 * COM1. */
void console_init(void);
/* The control domain's: to the line, and only with console_to_ring to the ring. */
void console_write_control(const char *buf, size_t len);
/* Bytes as they are, to ring and line. Whole calls of different pcpus don't interleave. */
void console_write(const char *buf, size_t len);
/* The same without taking the lock: only for panic. */
void console_write_panic(const char *buf, size_t len);
/* Next input byte, or -1. */
int console_getc(void);
bool console_has_input(void);

/* Once there is a heap: what was printed goes on into a ring as large as conring_size= says. */
void console_ring_grow(void);
/* What was printed last, as log_ring.h has it. */
u64 console_ring_start(const u32 *index);
size_t console_ring_read(u64 *pos, char *buf, size_t size);
void console_ring_clear(u64 upto);
