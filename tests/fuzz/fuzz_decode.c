/* sources: arch/x86/pv/decode.c arch/x86/pv/decode_store.c */
/* SPDX-License-Identifier: MIT */
/*
 * libFuzzer on the instruction decoders: they read nothing beyond what they are given (it lies at
 * the end of its own allocation), take exactly `length` bytes of it, and no register is out of
 * range.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <tarn/lib.h>
#include <x86/decode.h>

static void check(int ok)
{
    if (!ok) {
        abort();
    }
}

static void fuzz_privileged(const u8 *code, u32 n)
{
    struct insn in, again;

    if (!decode_privileged(code, n, &in)) {
        return;
    }
    check(in.length >= 1 && in.length <= MAX_INSN && in.length <= n);
    check(in.op > INSN_NONE && in.op <= INSN_OUTS && in.reg < 16 && in.rm < 16);
    check(in.op < INSN_IN_IMM || in.bytes == 1 || in.bytes == 2 || in.bytes == 4);
    check(in.op >= INSN_INS || (!in.rep && !in.addr32));
    check(!decode_privileged(code, in.length - 1u, &again));
    check(decode_privileged(code, in.length, &again) && again.length == in.length);
}

static void fuzz_store(const u8 *code, u32 n)
{
    u64 rax = 5, reg = 7, rflags = 2;
    struct store_insn in, again;

    if (!decode_store(code, n, &in)) {
        return;
    }
    check(in.length >= 2 && in.length <= MAX_INSN && in.length <= n && in.reg < 16);
    check(in.bytes == 1 || in.bytes == 2 || in.bytes == 4 || in.bytes == 8);
    check(in.op <= STORE_BTC && (!in.high || (in.bytes == 1 && in.reg < 4 && !in.has_imm)));
    check(!decode_store(code, in.length - 1u, &again));
    check(decode_store(code, in.length, &again) && again.length == in.length);
    (void)store_result(&in, code[0], in.imm, &rax, &reg, &rflags);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    u32 n = (u32)MIN(size, (size_t)32);
    u8 *copy = malloc(n ? n : 1);

    if (copy) {
        memcpy(copy, data, n);
        fuzz_privileged(copy, n);
        fuzz_store(copy, n);
        free(copy);
    }
    return 0;
}
