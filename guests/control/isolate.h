/* SPDX-License-Identifier: MIT */
/* isolate.h - CPUs that domain 0 has for itself (cmd_isolate.c), for those who bring domains into
 * Pool-0. */
#pragma once

#include "shell.h"

/* A domain came into Pool-0: it is kept off domain 0's own CPUs. False after fail(). */
bool isolate_newcomer(domid_t domid);
