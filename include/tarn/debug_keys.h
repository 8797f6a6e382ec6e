/* SPDX-License-Identifier: MIT */
/* State of the hypervisor and its domains on the console, by keys as Xen has them;
 * kernel/debug_keys.c. 'h' lists them; an unknown one is said to be one. */
#pragma once

#include <tarn/types.h>

void debug_keys(u8 key);
