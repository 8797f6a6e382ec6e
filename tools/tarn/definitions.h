/* SPDX-License-Identifier: MIT */
/*
 * definitions.h - what machines that were started with a folder of definitions (store.h) do about
 * it. A machine without one: nothing.
 */
#pragma once

#include "host.h"

/* Before a machine starts: its files. Dies when another machine uses the folder. */
void definitions_bring(const char *path, bring_fn *bring, void *arg);
/* It answers: has it load the definitions, and the folder is its from now on. Dies. */
void definitions_begin(struct link *l, const char *path);
/* After a command: what it changed goes into the folder; 0, or the status after complain(). */
int definitions_save(struct link *l, bool always);
/* The same for a machine that is not being talked to. */
void definitions_save_now(const struct machine *m);
/* A file went to the control domain: a definition may come to name it. */
void definitions_keep_file(const struct machine *m, const char *as, const uint8_t *data,
                           size_t size);
/* Before it ends: the folder is nobody's any more. */
void definitions_leave(const struct machine *m);
