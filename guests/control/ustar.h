/* SPDX-License-Identifier: MIT */
/*
 * ustar.h - reading a tar archive in memory, one member after the other. Only the archive's bytes
 * are trusted to be readable, nothing that they say.
 */
#pragma once

#include <tarn/lib.h>

#define USTAR_BLOCK 512u
#define USTAR_NAME_SIZE 257u /* prefix, '/', name, NUL */

struct ustar_member {
    char name[USTAR_NAME_SIZE]; /* without leading "./" and "/" */
    const void *data;
    size_t size;
    bool file; /* an ordinary one */
};

/*
 * The member at *offset, which goes on to the next. 1: *m is one, 0: the archive ends here, also
 * without its end mark, -1: it is damaged from here on, *why says how.
 */
int ustar_next(const void *archive, size_t size, size_t *offset, struct ustar_member *m,
               const char **why);
