/* SPDX-License-Identifier: MIT */
/*
 * textedit.h - one key of a domain file's text is given another value, or taken out; all other
 * bytes stay, comments and order too. Pure. The text must be one that config_parse takes.
 */
#pragma once

#include <tarn/types.h>

/*
 * `value` as it stands in a file, quotes and brackets and all; NULL takes the key out. A key that
 * is not there is put behind the last line. Into `to`, without a NUL; returns the length, which is
 * more than `room` if it didn't fit: then what `to` holds is worth nothing.
 */
size_t text_edit(const char *text, size_t size, const char *key, const char *value, char *to,
                 size_t room);
/* Whether the key is there. */
bool text_has_key(const char *text, size_t size, const char *key);
