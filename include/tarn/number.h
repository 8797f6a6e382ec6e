/* SPDX-License-Identifier: MIT */
/* Numbers as people write them, decimal or 0x: a whole text is one, or it isn't. Pure. */
#pragma once

#include <tarn/types.h>

/* False: not a number, or one of more than 64 bits. */
bool uint_parse(const char *text, u64 *out);
/* Likewise, but one of more than 64 bits becomes the largest, for whoever says "at most". */
bool uint_parse_clamped(const char *text, u64 *out);
/* Bytes, with an optional suffix B K M G T; a bare number is in units of `unit`. */
bool size_parse(const char *text, u64 unit, u64 *out);
