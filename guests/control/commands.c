/* SPDX-License-Identifier: MIT */
/* commands.c - the table of all commands, in the order in which help shows them. */
#include "shell.h"

#define ENTRY(name) &cmd_##name,
const struct command *const commands[] = { COMMANDS(ENTRY) NULL };
