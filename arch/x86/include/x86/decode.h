/* SPDX-License-Identifier: MIT */
/* The few instructions that are emulated for a guest's kernel; arch/x86/pv/decode.c. Pure. */
#pragma once

#include <tarn/types.h>

#define MAX_INSN 15 /* bytes; the processor refuses longer ones */

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
    INSN_INS,
    INSN_OUTS,
};

struct insn {
    enum insn_op op;
    u8 length;   /* bytes */
    u8 reg, rm;  /* control or debug register; general register */
    u8 imm;      /* port */
    u8 bytes;    /* operand size of IN, OUT, INS and OUTS: 1, 2, 4 */
    bool rep;    /* INS and OUTS: rcx times */
    bool addr32; /* INS and OUTS: rcx, rsi and rdi count as 32 bits */
};

/* A read-modify-write, or write, of one memory operand. */
enum store_op {
    STORE_MOV,
    STORE_XCHG,
    STORE_CMPXCHG,
    STORE_XADD,
    STORE_ADD,
    STORE_OR,
    STORE_AND,
    STORE_SUB,
    STORE_XOR,
    STORE_BTS,
    STORE_BTR,
    STORE_BTC,
};

struct store_insn {
    enum store_op op;
    u8 length;    /* bytes */
    u8 bytes;     /* operand size: 1, 2, 4, 8 */
    bool has_imm; /* the source is imm, else register reg */
    bool high;    /* ah, ch, dh, bh (reg is 0-3) */
    u8 reg;
    u64 imm;
};

/* In 64-bit mode, from the first `n` bytes at rip; the memory operand's address is not worked out.
 */
bool decode_store(const u8 *code, u32 n, struct store_insn *out);

/*
 * What a store makes of memory that holds `old`. src: the register's or immediate value; *rax:
 * compared and loaded by CMPXCHG; *reg: receives the old value of XCHG and XADD. Returns the new
 * value, with the flags that the instruction changes in *rflags. Only the operand's size counts in
 * all of them.
 */
u64 store_result(const struct store_insn *in, u64 old, u64 src, u64 *rax, u64 *reg, u64 *rflags);

/* In 64-bit mode, from the first `n` bytes at rip. False: it is none of these, or goes beyond n. */
bool decode_privileged(const u8 *code, u32 n, struct insn *out);
