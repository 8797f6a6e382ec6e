/* SPDX-License-Identifier: MIT */
/*
 * xenbus.h - how the two ends of a device find each other in the store: each has a folder, says
 * there what the other needs to know, and its state (<xen/io/xenbus.h>). Here are the words; what a
 * state leads to is the driver's. For vcpu 0, as all of the store.
 */
#pragma once

#include "guest.h"

#include <xen/io/xenbus.h>

#define XENBUS_PATH 96U

/* Values by key in a folder. Length or -errno; a number, or `otherwise` if there is none. */
long xenbus_read(const char *folder, const char *key, char *value, size_t size);
uint64_t xenbus_number(const char *folder, const char *key, uint64_t otherwise);
long xenbus_write(const char *folder, const char *key, const char *value);
long xenbus_write_number(const char *folder, const char *key, uint64_t value);

/* XenbusStateUnknown: the folder is gone, or can't be read any more; less than 0: -errno, the store
 * did not answer. */
long xenbus_state(const char *folder);
static inline long xenbus_switch(const char *folder, enum xenbus_state state)
{
    return xenbus_write_number(folder, "state", state);
}

/* Has the other end's state watched. */
long xenbus_watch(const char *folder, const char *token);
long xenbus_unwatch(const char *folder, const char *token);
