/* SPDX-License-Identifier: MIT */
/* An instruction of ours that may fault because of the guest, and where to go on then. */
#pragma once

#define EX_TABLE(insn_label, fixup_label) \
    ".pushsection .ex_table, \"a\"\n"     \
    ".balign 4\n"                         \
    ".long " #insn_label " - .\n"         \
    ".long " #fixup_label " - .\n"        \
    ".popsection\n"
