/* SPDX-License-Identifier: MIT */
/*
 * emulator.h - a domain's emulator, a stub domain (emulator.c): made with its client, from a file
 * of its own, and gone with it.
 */
#pragma once

#include "domains.h"
#include "pools.h"

/*
 * Reads the emulator's file and makes of it what the client's says about it; where an adviser gives
 * the client its CPUs it has answered. pool: the client's. From allocate(); NULL after fail(): *rc
 * is -errno.
 */
struct config *emulator_config(const struct config *client, const struct pool *pool, long *rc);
/* Makes it, starts it, and gives the client, which is paused, its devices. Or nothing is left of
 * it, and -errno after fail(). */
long emulator_create(const struct domain *client, const struct config *stub);
/* Ends the one that `client` has, if any. */
long emulator_end(const struct domain *client);
/* The one that `client` has, if any, and what it is called when its client has this name; *rc:
 * -errno if it can't be called so. */
struct domain *emulator_renamed(const struct domain *client, const char *name,
                                char stub_name[NAME_SIZE], long *rc);
