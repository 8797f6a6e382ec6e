/* SPDX-License-Identifier: MIT */
/* bad.h - the faults that have a file of their own; NULL if all went as it must. */
#pragma once

#include "guest.h"

const char *fault_pointers(void);
const char *fault_ptwrite(void);
const char *fault_user(void);
