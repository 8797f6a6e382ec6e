/* SPDX-License-Identifier: MIT */
/*
 * ustar.c - the format of POSIX tar: a block of 512 bytes about each member, then its contents,
 * filled up to a block. Pure; takes the archive as bytes that may be anything.
 */
#include "ustar.h"

struct header {
    char name[100], mode[8], uid[8], gid[8], size[12], mtime[12], checksum[8], type;
    char link[100], magic[6], version[2], user[32], group[32], major[8], minor[8], prefix[155];
    char unused[12];
};
_Static_assert(sizeof(struct header) == USTAR_BLOCK, "a header is a block");

/* Octal digits, with blanks before and blanks or NUL behind. */
static bool octal(const char *text, size_t len, u64 *value)
{
    size_t i = 0;
    u64 n = 0;

    while (i < len && text[i] == ' ') {
        i++;
    }
    if (i == len || text[i] < '0' || text[i] > '7') {
        return false;
    }
    for (; i < len && text[i] >= '0' && text[i] <= '7'; i++) {
        n = n * 8 + (u64)(text[i] - '0');
    }
    *value = n;
    return i == len || text[i] == ' ' || text[i] == '\0';
}

/* The sum of all bytes, with the sum's own place as blanks. */
static bool checksum_good(const struct header *h)
{
    const u8 *bytes = (const u8 *)h;
    size_t first = offsetof(struct header, checksum);
    u64 sum = 0, wanted;

    for (size_t i = 0; i < sizeof(*h); i++) {
        sum += i >= first && i < first + sizeof(h->checksum) ? ' ' : bytes[i];
    }
    return octal(h->checksum, sizeof(h->checksum), &wanted) && wanted == sum;
}

static bool all_zero(const u8 *block)
{
    for (size_t i = 0; i < USTAR_BLOCK; i++) {
        if (block[i]) {
            return false;
        }
    }
    return true;
}

static size_t append(char *to, size_t at, const char *from, size_t max)
{
    size_t n = strnlen(from, max);

    memcpy(to + at, from, n);
    to[at + n] = '\0';
    return at + n;
}

static void name_read(const struct header *h, char name[USTAR_NAME_SIZE])
{
    char whole[USTAR_NAME_SIZE];
    size_t n = append(whole, 0, h->prefix, sizeof(h->prefix));
    const char *p = whole;

    if (n) {
        n = append(whole, n, "/", 1);
    }
    append(whole, n, h->name, sizeof(h->name));
    while (p[0] == '/' || (p[0] == '.' && p[1] == '/')) {
        p += p[0] == '/' ? 1 : 2;
    }
    str_copy(name, p, USTAR_NAME_SIZE);
}

static int damaged(const char **why, const char *how)
{
    *why = how;
    return -1;
}

int ustar_next(const void *archive, size_t size, size_t *offset, struct ustar_member *m,
               const char **why)
{
    const u8 *bytes = archive;
    struct header h;
    u64 length;

    if (*offset >= size) {
        return 0;
    }
    if (size - *offset < USTAR_BLOCK) {
        return damaged(why, "it ends within a header");
    }
    if (all_zero(bytes + *offset)) {
        return 0;
    }
    memcpy(&h, bytes + *offset, sizeof(h));
    if (memcmp(h.magic, "ustar", 5) != 0) {
        return damaged(why, "not a ustar archive");
    }
    if (!checksum_good(&h)) {
        return damaged(why, "wrong checksum of a header");
    }
    if (!octal(h.size, sizeof(h.size), &length)) {
        return damaged(why, "bad size of a file");
    }
    if (length > size - *offset - USTAR_BLOCK) {
        return damaged(why, "it ends within a file");
    }
    name_read(&h, m->name);
    m->data = bytes + *offset + USTAR_BLOCK;
    m->size = (size_t)length;
    m->file = (h.type == '0' || h.type == '\0') && m->name[0];
    *offset = MIN(*offset + USTAR_BLOCK + (size_t)ALIGN_UP(length, (u64)USTAR_BLOCK), size);
    return 1;
}
