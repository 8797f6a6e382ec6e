/* SPDX-License-Identifier: MIT */
/* The few instructions that are emulated for a guest's kernel; arch/x86/pv/decode.c. Pure. */
#pragma once

#include <tarn/types.h>

enum insn_op {
    INSN_NONE,
    INSN_READ_CR,
    INSN_WRITE_CR,
    INSN_READ_DR,
    INSN_WRITE_DR,
    INSN_RDMSR,
    INSN_WRMSR,
    INSN_CLTS,
    INSN_XSETBV,
    INSN_WBINVD,
    INSN_CLI,
    INSN_STI,
    INSN_IN_IMM,
    INSN_IN_DX,
    INSN_OUT_IMM,
    INSN_OUT_DX,
};

struct insn {
    enum insn_op op;
    u8 length;  /* bytes */
    u8 reg, rm; /* control or debug register; general register */
    u8 imm;     /* port */
    u8 bytes;   /* operand size of IN and OUT: 1, 2, 4 */
};

/* In 64-bit mode, from the first `n` bytes at rip. False: it is none of these, or goes beyond n. */
bool decode_privileged(const u8 *code, u32 n, struct insn *out);
