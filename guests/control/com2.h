/* SPDX-License-Identifier: MIT */
/* com2.h - the machine's second serial port, polled; com2.c. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* False: there is no such port. */
bool com2_init(void);
/* What is there; `more` bytes are known to be on their way (0: nothing is). */
size_t com2_read(uint8_t *buf, size_t size, size_t more);
/* False: nobody took it for a second; a part of it may be gone. */
bool com2_write(const uint8_t *data, size_t len);
