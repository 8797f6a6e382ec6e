/* SPDX-License-Identifier: MIT */
/* Names of our functions, by ascending address; generated at link time (tools/symtab.awk). */
#pragma once

#include <tarn/types.h>

extern const u32 symtab_addr[];   /* the low halves: all of the image has one upper half */
extern const char symtab_names[]; /* one after the other, in the same order */
extern const u32 symtab_count;
