/* SPDX-License-Identifier: MIT */
/* Names of our functions, by ascending address; generated at link time (tools/symtab.awk). */
#pragma once

#include <tarn/types.h>

extern const u8 symtab[];       /* distance and name of each, packed as symtab.awk says */
extern const u8 symtab_pairs[]; /* what bytes from 128 on, then those below '.', stand for */
extern const u32 symtab_base, symtab_count; /* where the first starts; how many */
