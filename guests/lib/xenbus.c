/* SPDX-License-Identifier: MIT */
/*
 * xenbus.c - keys of a device's folder in the store, and what its state says: a folder that is gone
 * or was closed to us has none, which is another thing than a store that does not answer. It keeps
 * no state of its own.
 */
#include "xenbus.h"

#define KEY_ROOM 32U

static void join(char *path, const char *folder, const char *key)
{
    fmt_snprintf(path, XENBUS_PATH + KEY_ROOM, "%s/%s", folder, key);
}

long xenbus_read(const char *folder, const char *key, char *value, size_t size)
{
    char path[XENBUS_PATH + KEY_ROOM];

    join(path, folder, key);
    return xs_read(path, value, size);
}

uint64_t xenbus_number(const char *folder, const char *key, uint64_t otherwise)
{
    char text[24];
    uint64_t value;

    return xenbus_read(folder, key, text, sizeof(text)) > 0 && uint_parse(text, &value) ? value
                                                                                        : otherwise;
}

long xenbus_write(const char *folder, const char *key, const char *value)
{
    char path[XENBUS_PATH + KEY_ROOM];

    join(path, folder, key);
    return xs_write(path, value);
}

long xenbus_write_number(const char *folder, const char *key, uint64_t value)
{
    char text[24];

    fmt_snprintf(text, sizeof(text), "%lu", value);
    return xenbus_write(folder, key, text);
}

long xenbus_state(const char *folder)
{
    char text[24];
    uint64_t value;
    long rc = xenbus_read(folder, "state", text, sizeof(text));

    switch (rc) {
    case -XEN_ENODEV:
    case -XEN_EBUSY:
    case -XEN_EIO:
    case -XEN_ETIMEDOUT:
        return rc;
    default:
        return rc > 0 && uint_parse(text, &value) && value <= XenbusStateReconfigured
                   ? (long)value
                   : XenbusStateUnknown;
    }
}

long xenbus_watch(const char *folder, const char *token)
{
    char path[XENBUS_PATH + KEY_ROOM];

    join(path, folder, "state");
    return xs_watch(path, token);
}

long xenbus_unwatch(const char *folder, const char *token)
{
    char path[XENBUS_PATH + KEY_ROOM];

    join(path, folder, "state");
    return xs_unwatch(path, token);
}
