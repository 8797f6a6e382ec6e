/* SPDX-License-Identifier: MIT */
/* Names of our functions, by ascending address; generated at link time (tools/symtab.awk). */
#pragma once

#include <tarn/types.h>

extern const u64 symtab_addr[];
extern const u32 symtab_name[]; /* offset into symtab_names */
extern const char symtab_names[];
extern const u32 symtab_count;
