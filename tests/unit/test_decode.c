/* sources: arch/x86/pv/decode.c arch/x86/pv/decode_store.c */
/* SPDX-License-Identifier: MIT */
/*
 * The two instruction decoders. Privileged instructions: every combination of up to three prefixes
 * and REX, cut at every length. Stores: random encodings are run by this machine's own CPU on a
 * page of memory, and registers, flags and memory must be what decode_store and store_result say.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

#include <tarn/lib.h>
#include <x86/decode.h>

/* ---- privileged instructions ---- */

struct privileged {
    enum insn_op op;
    u8 length;
    u8 code[4];
};

static const struct privileged privileged[] = {
    { INSN_READ_CR, 3, { 0x0f, 0x20, 0xd8 } },
    { INSN_READ_CR, 3, { 0x0f, 0x20, 0x07 } },
    { INSN_WRITE_CR, 3, { 0x0f, 0x22, 0xd8 } },
    { INSN_WRITE_CR, 3, { 0x0f, 0x22, 0xe7 } },
    { INSN_READ_DR, 3, { 0x0f, 0x21, 0xf9 } },
    { INSN_WRITE_DR, 3, { 0x0f, 0x23, 0xfa } },
    { INSN_RDMSR, 2, { 0x0f, 0x32 } },
    { INSN_WRMSR, 2, { 0x0f, 0x30 } },
    { INSN_CLTS, 2, { 0x0f, 0x06 } },
    { INSN_XSETBV, 3, { 0x0f, 0x01, 0xd1 } },
    { INSN_WBINVD, 2, { 0x0f, 0x08 } },
    { INSN_WBINVD, 2, { 0x0f, 0x09 } },
    { INSN_CLI, 1, { 0xfa } },
    { INSN_STI, 1, { 0xfb } },
    { INSN_IN_IMM, 2, { 0xe4, 0x60 } },
    { INSN_IN_IMM, 2, { 0xe5, 0xff } },
    { INSN_OUT_IMM, 2, { 0xe6, 0x80 } },
    { INSN_OUT_IMM, 2, { 0xe7, 0x00 } },
    { INSN_IN_DX, 1, { 0xec } },
    { INSN_IN_DX, 1, { 0xed } },
    { INSN_OUT_DX, 1, { 0xee } },
    { INSN_OUT_DX, 1, { 0xef } },
    { INSN_INS, 1, { 0x6c } },
    { INSN_INS, 1, { 0x6d } },
    { INSN_OUTS, 1, { 0x6e } },
    { INSN_OUTS, 1, { 0x6f } },
};
static const u8 legacy[] = { 0x66, 0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65, 0x67, 0xf2, 0xf3 };

static bool is_string(const struct privileged *p)
{
    return p->op == INSN_INS || p->op == INSN_OUTS;
}

/* Repetition is for strings only, and their source may not lie in FS or GS: the last segment
 * prefix counts. */
static bool refused_with(const struct privileged *p, const u8 *prefix, u32 nr)
{
    u8 segment = 0;
    bool rep = false;

    for (u32 i = 0; i < nr; i++) {
        rep = rep || prefix[i] == 0xf2 || prefix[i] == 0xf3;
        segment = prefix[i] == 0x64 || prefix[i] == 0x65 || (prefix[i] & 0xe7) == 0x26 ? prefix[i]
                                                                                       : segment;
    }
    return (rep && !is_string(p)) || (p->op == INSN_OUTS && segment >= 0x64);
}

static void expect_operands(const struct privileged *p, const struct insn *in, bool opsize, u8 rex)
{
    u8 last = p->code[p->length - 1];

    if (p->op >= INSN_READ_CR && p->op <= INSN_WRITE_DR) {
        assert_int_equal(in->reg, ((last >> 3) & 7) + (rex & 4 ? 8 : 0));
        assert_int_equal(in->rm, (last & 7) + (rex & 1 ? 8 : 0));
    }
    if (p->op >= INSN_IN_IMM) {
        bool wide = p->code[0] & 1;

        assert_int_equal(in->bytes, !wide ? 1 : opsize && !(rex & 8) ? 2 : 4);
    }
    if (p->op == INSN_IN_IMM || p->op == INSN_OUT_IMM) {
        assert_int_equal(in->imm, last);
    }
}

static void check_privileged(const struct privileged *p, const u8 *prefix, u32 nr, bool opsize,
                             u8 rex)
{
    u8 code[16];
    struct insn in;
    u32 length = nr + p->length;

    memset(code, 0x90, sizeof(code));
    memcpy(code, prefix, nr);
    memcpy(code + nr, p->code, p->length);
    if (refused_with(p, prefix, nr)) {
        assert_false(decode_privileged(code, sizeof(code), &in));
        return;
    }
    for (u32 n = 0; n < length; n++) {
        assert_false(decode_privileged(code, n, &in));
    }
    for (u32 n = length; n <= sizeof(code); n += sizeof(code) - length) {
        assert_true(decode_privileged(code, n, &in));
        assert_int_equal(in.op, p->op);
        assert_int_equal(in.length, length);
        expect_operands(p, &in, opsize, rex);
        if (is_string(p)) {
            assert_int_equal(in.rep, memchr(prefix, 0xf2, nr) || memchr(prefix, 0xf3, nr));
            assert_int_equal(in.addr32, memchr(prefix, 0x67, nr) != NULL);
        }
    }
}

/* `nr` legacy prefixes are in place; without and with each REX after them */
static void with_rex(u8 *prefix, u32 nr, bool opsize)
{
    for (u32 rex = 0x3f; rex <= 0x4f; rex++) {
        bool none = rex == 0x3f;

        prefix[nr] = (u8)rex;
        for (u32 i = 0; i < ARRAY_SIZE(privileged); i++) {
            check_privileged(&privileged[i], prefix, nr + !none, opsize, none ? 0 : (u8)rex);
        }
    }
}

static void with_prefixes(u8 *prefix, u32 nr, bool opsize)
{
    with_rex(prefix, nr, opsize);
    for (u32 i = 0; nr < 3 && i < ARRAY_SIZE(legacy); i++) {
        prefix[nr] = legacy[i];
        with_prefixes(prefix, nr + 1, opsize || legacy[i] == 0x66);
    }
}

static void every_prefix_combination(void **state)
{
    u8 prefix[4];

    (void)state;
    with_prefixes(prefix, 0, false);
}

static void rex_counts_only_before_the_opcode(void **state)
{
    static const u8 lost[] = { 0x45, 0x66, 0x0f, 0x20, 0xd8 },
                    twice[] = { 0x4f, 0x41, 0x0f, 0x22, 0xc0 };
    static const u8 width[] = { 0x48, 0x66, 0xed };
    struct insn in;

    (void)state;
    assert_true(decode_privileged(lost, sizeof(lost), &in));
    assert_int_equal(in.reg, 3);
    assert_int_equal(in.rm, 0);
    assert_true(decode_privileged(twice, sizeof(twice), &in));
    assert_int_equal(in.reg, 0);
    assert_int_equal(in.rm, 8);
    assert_true(decode_privileged(width, sizeof(width), &in));
    assert_int_equal(in.bytes, 2);
}

static void never_longer_than_15_bytes(void **state)
{
    u8 code[32];
    struct insn in;
    struct store_insn store;

    (void)state;
    memset(code, 0x66, sizeof(code));
    code[14] = 0xfa;
    assert_true(decode_privileged(code, sizeof(code), &in));
    assert_int_equal(in.length, 15);
    code[14] = 0x66;
    code[15] = 0xfa;
    assert_false(decode_privileged(code, sizeof(code), &in));
    code[13] = 0x89;
    code[14] = 0x00;
    assert_true(decode_store(code, sizeof(code), &store));
    assert_int_equal(store.length, 15);
    code[13] = 0x66;
    code[14] = 0x89;
    code[15] = 0x00;
    assert_false(decode_store(code, sizeof(code), &store));
}

/* All one- and two-byte opcodes that are not in the table are refused. */
static void nothing_else_is_privileged(void **state)
{
    struct insn in;

    (void)state;
    for (u32 word = 0; word < 0x10000; word++) {
        u8 code[3] = { (u8)word, (u8)(word >> 8), 0xd0 };
        bool known = false;

        for (u32 i = 0; i < ARRAY_SIZE(privileged); i++) {
            u32 n = privileged[i].code[0] == 0x0f ? 2 : 1;

            known = known || !memcmp(code, privileged[i].code, n);
        }
        if (!known && code[0] != 0x66 && !memchr(legacy, code[0], sizeof(legacy)) &&
            (code[0] & 0xf0) != 0x40) {
            assert_false(decode_privileged(code, sizeof(code), &in));
        }
    }
    /* 0f 01 is XSETBV with one ModRM only */
    for (u32 modrm = 0; modrm < 256; modrm++) {
        u8 code[3] = { 0x0f, 0x01, (u8)modrm };

        assert_int_equal(decode_privileged(code, sizeof(code), &in), modrm == 0xd1);
    }
}

/* ---- stores, run by the CPU ---- */

#define CF 0x001UL
#define PF 0x004UL
#define AF 0x010UL
#define ZF 0x040UL
#define SF 0x080UL
#define OF 0x800UL
#define ALL_FLAGS (CF | PF | AF | ZF | SF | OF)

struct cpu {
    u64 gpr[16]; /* in the order of their encodings */
    u64 rflags;
};

/* What native_run loads, and where it leaves the result; native_code is where it jumps. */
struct cpu native;
const void *native_code;
u64 native_rsp;
void native_run(void);
extern char native_back[];

__asm__(".text\n"
        "native_run:\n"
        "   push %rbx; push %rbp; push %r12; push %r13; push %r14; push %r15\n"
        "   mov %rsp, native_rsp(%rip)\n"
        "   pushq native+128(%rip); popfq\n"
        "   mov native(%rip), %rax; mov native+8(%rip), %rcx; mov native+16(%rip), %rdx\n"
        "   mov native+24(%rip), %rbx; mov native+32(%rip), %rsp; mov native+40(%rip), %rbp\n"
        "   mov native+48(%rip), %rsi; mov native+56(%rip), %rdi; mov native+64(%rip), %r8\n"
        "   mov native+72(%rip), %r9; mov native+80(%rip), %r10; mov native+88(%rip), %r11\n"
        "   mov native+96(%rip), %r12; mov native+104(%rip), %r13; mov native+112(%rip), %r14\n"
        "   mov native+120(%rip), %r15\n"
        "   jmp *native_code(%rip)\n"
        "native_back:\n"
        "   mov %rax, native(%rip); mov %rcx, native+8(%rip); mov %rdx, native+16(%rip)\n"
        "   mov %rbx, native+24(%rip); mov %rsp, native+32(%rip); mov %rbp, native+40(%rip)\n"
        "   mov %rsi, native+48(%rip); mov %rdi, native+56(%rip); mov %r8, native+64(%rip)\n"
        "   mov %r9, native+72(%rip); mov %r10, native+80(%rip); mov %r11, native+88(%rip)\n"
        "   mov %r12, native+96(%rip); mov %r13, native+104(%rip); mov %r14, native+112(%rip)\n"
        "   mov %r15, native+120(%rip)\n"
        "   mov native_rsp(%rip), %rsp\n"
        "   pushfq; popq native+128(%rip)\n"
        "   pop %r15; pop %r14; pop %r13; pop %r12; pop %rbp; pop %rbx\n"
        "   ret\n");

/* Two pages below 2 GiB, so that every form of address reaches them: code, then data. */
static u8 *code_page, *data_page;
static u64 seed = 1;

static u64 rnd(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed;
}

/* Operands that differ in size and have interesting carries. */
static u64 operand(void)
{
    static const u64 edges[] = { 0,
                                 1,
                                 0x7f,
                                 0x80,
                                 0xff,
                                 0x7fff,
                                 0x8000,
                                 0x7fffffff,
                                 0x80000000,
                                 0xffffffff,
                                 0x7fffffffffffffff,
                                 0x8000000000000000,
                                 ~0UL };

    return rnd() % 2 ? rnd() : edges[rnd() % ARRAY_SIZE(edges)];
}

enum source { REG, IMM8, IMM };

struct form {
    u8 opcode[2];
    u8 digit; /* of ModRM when the source is immediate */
    bool byte, lockable, bits;
    enum source source;
    enum store_op op;
};

#define REG_FORM(one, two, byte_, lock, bits_, op_)   \
    {                                                 \
        { one, two }, 0, byte_, lock, bits_, REG, op_ \
    }
#define IMM_FORM(one, two, digit_, byte_, bits_, source_, op_)               \
    {                                                                        \
        { one, two }, digit_, byte_, (op_) != STORE_MOV, bits_, source_, op_ \
    }
#define ROW(row, op)                                                                               \
    REG_FORM((row)*8, 0, true, true, false, op), REG_FORM((row)*8 + 1, 0, false, true, false, op), \
        IMM_FORM(0x80, 0, row, true, false, IMM8, op),                                             \
        IMM_FORM(0x81, 0, row, false, false, IMM, op),                                             \
        IMM_FORM(0x83, 0, row, false, false, IMM8, op)

static const struct form forms[] = {
    ROW(0, STORE_ADD),
    ROW(1, STORE_OR),
    ROW(4, STORE_AND),
    ROW(5, STORE_SUB),
    ROW(6, STORE_XOR),
    REG_FORM(0x88, 0, true, false, false, STORE_MOV),
    REG_FORM(0x89, 0, false, false, false, STORE_MOV),
    IMM_FORM(0xc6, 0, 0, true, false, IMM8, STORE_MOV),
    IMM_FORM(0xc7, 0, 0, false, false, IMM, STORE_MOV),
    REG_FORM(0x86, 0, true, true, false, STORE_XCHG),
    REG_FORM(0x87, 0, false, true, false, STORE_XCHG),
    REG_FORM(0x0f, 0xb0, true, true, false, STORE_CMPXCHG),
    REG_FORM(0x0f, 0xb1, false, true, false, STORE_CMPXCHG),
    REG_FORM(0x0f, 0xc0, true, true, false, STORE_XADD),
    REG_FORM(0x0f, 0xc1, false, true, false, STORE_XADD),
    REG_FORM(0x0f, 0xab, false, true, true, STORE_BTS),
    REG_FORM(0x0f, 0xb3, false, true, true, STORE_BTR),
    REG_FORM(0x0f, 0xbb, false, true, true, STORE_BTC),
    IMM_FORM(0x0f, 0xba, 5, false, true, IMM8, STORE_BTS),
    IMM_FORM(0x0f, 0xba, 6, false, true, IMM8, STORE_BTR),
    IMM_FORM(0x0f, 0xba, 7, false, true, IMM8, STORE_BTC),
};

/* One instruction with all that it needs. */
struct trial {
    const struct form *form;
    u8 code[32];
    u32 length;
    u8 rex; /* in effect; 0: none */
    u32 bytes, reg;
    s32 base, index; /* registers; -1: none */
    u64 imm;
    struct cpu cpu;
    u8 *at; /* the data that it changes */
};

static void put(struct trial *t, u64 value, u32 bytes)
{
    memcpy(&t->code[t->length], &value, bytes);
    t->length += bytes;
}

/* Some prefixes in any order; FS is left out, as its base is the C library's. */
static void put_prefixes(struct trial *t)
{
    static const u8 any[] = { 0x66, 0x66, 0x67, 0x26, 0x2e, 0x36, 0x3e, 0x65, 0xf2, 0xf3, 0xf0 };
    bool opsize = false;

    for (u32 nr = (u32)(rnd() % 4); nr; nr--) {
        u8 prefix = any[rnd() % ARRAY_SIZE(any)];

        if (prefix == 0xf0 && !t->form->lockable) {
            continue;
        }
        opsize = opsize || prefix == 0x66;
        if (rnd() % 8 == 0) {
            put(t, 0x40 | (rnd() & 15), 1); /* has no effect here */
        }
        put(t, prefix, 1);
    }
    if (rnd() % 2) {
        t->rex = (u8)(0x40 | (rnd() & 15));
        put(t, t->rex, 1);
    }
    t->bytes = t->form->byte ? 1 : t->rex & 8 ? 8 : opsize ? 2 : 4;
}

/* ModRM, SIB and displacement of a random form. Sets base and index; returns where disp lies. */
static u32 put_address(struct trial *t, u32 *disp_size)
{
    u32 mod = (u32)(rnd() % 3), rm = (u32)(rnd() & 7), sib = (u32)(rnd() & 0xff), at;
    u32 base = rm;

    *disp_size = mod == 1 ? 1 : mod == 2 ? 4 : 0;
    put(t, mod << 6 | (t->reg & 7) << 3 | rm, 1);
    t->index = t->base = -1;
    if (rm == 4) {
        put(t, sib, 1);
        base = sib & 7;
        t->index = (s32)((sib >> 3 & 7) | (t->rex & 2 ? 8 : 0));
        t->index = t->index == 4 ? -1 : t->index;
    }
    if (mod == 0 && base == 5) {
        *disp_size = 4;
    } else {
        t->base = (s32)(base | (t->rex & 1 ? 8 : 0));
    }
    at = t->length;
    put(t, operand(), *disp_size);
    return at;
}

static s64 disp_of(const struct trial *t, u32 at, u32 size)
{
    s64 disp = 0;

    memcpy(&disp, &t->code[at], size);
    return size == 1 ? (s8)disp : size == 4 ? (s32)disp : 0;
}

/* Chooses registers and displacement so that the operand lies at `target`; false: can't be. */
static bool aim(struct trial *t, u32 disp_at, u32 disp_size, u64 target, u32 modrm_at)
{
    u8 modrm = t->code[modrm_at], sib = t->code[modrm_at + 1];
    u64 value;
    u32 scale = sib >> 6;

    if (t->base == t->index && t->base >= 0) {
        return false;
    }
    if (t->base < 0 && t->index < 0) { /* absolute, or relative to the next instruction */
        value = target - ((modrm & 7) == 5 ? (u64)code_page + t->length : 0);
        memcpy(&t->code[disp_at], &value, 4);
        return true;
    }
    value = target - (u64)disp_of(t, disp_at, disp_size);
    if (t->base >= 0) {
        value -= t->index >= 0 ? t->cpu.gpr[t->index] << scale : 0;
        t->cpu.gpr[t->base] = value;
        return true;
    }
    if (value & ((1UL << scale) - 1)) {
        return false;
    }
    t->cpu.gpr[t->index] = value >> scale; /* and its high bits are lost in the shift */
    return value << 1 >> 1 == value || scale == 0;
}

/* A bit string's bits lie before and behind the operand: at most 512 bytes away. */
static u8 *bit_word(struct trial *t, u64 target)
{
    s64 bit = (s64)(rnd() % 8192) - 4096;
    u32 bits = 8 * t->bytes;
    u64 mask = t->bytes == 8 ? ~0UL : (1UL << bits) - 1;

    t->cpu.gpr[t->reg] = (t->cpu.gpr[t->reg] & ~mask) | ((u64)bit & mask);
    return (u8 *)target + (bit >= 0 ? bit / bits : -((bits - 1 - bit) / bits)) * (s64)t->bytes;
}

/* False: the dice gave something that can't be encoded or reached. */
static bool make_trial(struct trial *t)
{
    u64 target = (u64)data_page + 1024 + rnd() % 2048;
    u32 modrm_at, disp_at, disp_size, imm_size;

    memset(t, 0, sizeof(*t));
    t->form = &forms[rnd() % ARRAY_SIZE(forms)];
    for (u32 i = 0; i < 16; i++) {
        t->cpu.gpr[i] = operand();
    }
    t->cpu.rflags = 0x202 | (rnd() & ALL_FLAGS);
    put_prefixes(t);
    put(t, t->form->opcode[0], 1);
    put(t, t->form->opcode[1], t->form->opcode[0] == 0x0f);
    t->reg = t->form->source == REG ? (u32)((rnd() & 7) | (t->rex & 4 ? 8 : 0)) : t->form->digit;
    modrm_at = t->length;
    disp_at = put_address(t, &disp_size);
    t->imm = operand();
    imm_size = t->form->source == REG ? 0 : t->form->source == IMM8 ? 1 : MIN(t->bytes, 4u);
    put(t, t->imm, imm_size);
    t->at = (u8 *)target;
    if (t->form->bits && t->form->source == REG) {
        if ((s32)t->reg == t->base || (s32)t->reg == t->index) {
            return false;
        }
        t->at = bit_word(t, target);
    }
    return t->length <= MAX_INSN && aim(t, disp_at, disp_size, target, modrm_at);
}

static void run(const struct trial *t)
{
    static const u8 jump[] = { 0xff, 0x25, 0, 0, 0, 0 }; /* jmp [rip], which changes nothing */
    u64 back = (u64)native_back;

    memcpy(code_page, t->code, t->length);
    memcpy(code_page + t->length, jump, sizeof(jump));
    memcpy(code_page + t->length + sizeof(jump), &back, sizeof(back));
    native = t->cpu;
    native_code = code_page;
    native_run();
}

/* What tarn makes of it, on `cpu` and the bytes at `data`. */
static void emulate(const struct trial *t, const struct store_insn *in, struct cpu *cpu, u8 *data)
{
    u32 shift = in->high ? 8 : 0;
    u64 *gpr = &cpu->gpr[in->reg], reg = *gpr >> shift, rax = cpu->gpr[0], old = rnd(), value;

    memcpy(&old, data, t->bytes);
    value = store_result(in, old, in->has_imm ? in->imm : reg, &rax, &reg, &cpu->rflags);
    memcpy(data, &value, t->bytes);
    if (in->op == STORE_CMPXCHG) {
        cpu->gpr[0] = rax;
    } else if (!in->has_imm) {
        *gpr = in->high ? (*gpr & ~0xff00UL) | (reg & 0xff) << 8 : reg;
    }
}

static u64 defined_flags(enum store_op op)
{
    switch (op) {
    case STORE_OR:
    case STORE_AND:
    case STORE_XOR:
        return ALL_FLAGS & ~AF;
    case STORE_BTS:
    case STORE_BTR:
    case STORE_BTC:
        return CF | ZF;
    default:
        return ALL_FLAGS;
    }
}

static void show(const struct trial *t)
{
    fprintf(stderr, "instruction:");
    for (u32 i = 0; i < t->length; i++) {
        fprintf(stderr, " %02x", t->code[i]);
    }
    fprintf(stderr, "\n");
}

static bool same_flags(const struct trial *t, const struct cpu *cpu)
{
    return ((cpu->rflags ^ native.rflags) & defined_flags(t->form->op)) == 0;
}

static void check_decoded(const struct trial *t, const struct store_insn *in)
{
    struct store_insn again;

    assert_int_equal(in->op, t->form->op);
    assert_int_equal(in->length, t->length);
    assert_int_equal(in->bytes, t->bytes);
    assert_int_equal(in->has_imm, t->form->source != REG);
    for (u32 n = 0; n < t->length; n++) {
        assert_false(decode_store(t->code, n, &again));
    }
    assert_true(decode_store(t->code, t->length, &again));
    assert_int_equal(again.length, in->length);
}

static void one_trial(const struct trial *t)
{
    static u8 before[PAGE_SIZE];
    struct cpu cpu = t->cpu;
    struct store_insn in;

    for (u32 i = 0; i < PAGE_SIZE; i += 8) {
        u64 v = operand();

        memcpy(&before[i], &v, 8);
    }
    if (rnd() % 2) { /* let CMPXCHG succeed now and then */
        memcpy(&before[t->at - data_page], &t->cpu.gpr[0], t->bytes);
    }
    memcpy(data_page, before, PAGE_SIZE);
    if (!decode_store(t->code, sizeof(t->code), &in)) {
        show(t);
        fail_msg("not decoded");
    }
    check_decoded(t, &in);
    run(t);
    emulate(t, &in, &cpu, &before[t->at - data_page]);
    if (memcmp(cpu.gpr, native.gpr, sizeof(cpu.gpr)) || memcmp(before, data_page, PAGE_SIZE) ||
        !same_flags(t, &cpu)) {
        show(t);
        fprintf(stderr, "flags %lx, the CPU's %lx; first register %lx, the CPU's %lx\n",
                cpu.rflags & ALL_FLAGS, native.rflags & ALL_FLAGS, cpu.gpr[0], native.gpr[0]);
        fail_msg("not what the CPU does");
    }
}

#define TRIALS 60000u

static void stores_do_what_the_cpu_does(void **state)
{
    u32 done = 0, seen[ARRAY_SIZE(forms)] = { 0 };
    struct trial t;

    (void)state;
    while (done < TRIALS) {
        if (make_trial(&t)) {
            one_trial(&t);
            seen[t.form - forms]++;
            done++;
        }
    }
    for (u32 i = 0; i < ARRAY_SIZE(forms); i++) {
        assert_true(seen[i] > TRIALS / ARRAY_SIZE(forms) / 4);
    }
}

static void refused(const u8 *code, u32 n)
{
    struct store_insn in;

    assert_false(decode_store(code, n, &in));
}

/* Register operands, loads, comparisons, what needs the carry, and opcodes without a store. */
static void other_instructions_are_refused(void **state)
{
    static const u8 others[][8] = {
        { 0x10, 0x00 },
        { 0x11, 0x00 },
        { 0x18, 0x00 },
        { 0x38, 0x00 },
        { 0x39, 0x00 },
        { 0x03, 0x00 },
        { 0x04, 0x00 },
        { 0x05, 0x00 },
        { 0x80, 0x10 },
        { 0x81, 0x18 },
        { 0x83, 0x38 },
        { 0x82, 0x00 },
        { 0x84, 0x00 },
        { 0x8a, 0x00 },
        { 0x8b, 0x00 },
        { 0xc6, 0x08 },
        { 0xc7, 0x38 },
        { 0x0f, 0xa3, 0x00 },
        { 0x0f, 0xba, 0x20 },
        { 0x0f, 0xba, 0x00 },
        { 0x0f, 0xc7, 0x08 },
        { 0x0f, 0x11, 0x00 },
        { 0xab },
        { 0xff, 0x00 },
        { 0xc5, 0xf8, 0x11, 0x00 },
        { 0x62 },
        { 0x90 },
        { 0xd5, 0x00, 0x89 },
    };

    (void)state;
    for (u32 i = 0; i < ARRAY_SIZE(others); i++) {
        refused(others[i], sizeof(others[i]));
    }
    for (u32 i = 0; i < ARRAY_SIZE(forms); i++) {
        u32 two = forms[i].opcode[0] == 0x0f;
        u8 code[16] = { forms[i].opcode[0], forms[i].opcode[1] };

        code[1 + two] = (u8)(0xc0 | forms[i].digit << 3);
        refused(code, sizeof(code));
    }
    refused(NULL, 0);
}

static void random_bytes_stay_in_bounds(void **state)
{
    u8 code[16];
    struct store_insn store;
    struct insn in;

    (void)state;
    for (u32 i = 0; i < 1000000; i++) {
        u64 r[2] = { rnd(), rnd() };
        u32 n = (u32)(i % 17);

        memcpy(code, r, sizeof(code));
        if (decode_store(code, n, &store)) {
            assert_in_range(store.length, 2, MIN(n, (u32)MAX_INSN));
        }
        if (decode_privileged(code, n, &in)) {
            assert_in_range(in.length, 1, MIN(n, (u32)MAX_INSN));
        }
    }
}

static int map_pages(void **state)
{
    (void)state;
    code_page = mmap(NULL, 2 * PAGE_SIZE, PROT_READ | PROT_WRITE | PROT_EXEC,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
    if (code_page == MAP_FAILED) {
        return -1;
    }
    data_page = code_page + PAGE_SIZE;
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_prefix_combination),
        cmocka_unit_test(rex_counts_only_before_the_opcode),
        cmocka_unit_test(never_longer_than_15_bytes),
        cmocka_unit_test(nothing_else_is_privileged),
        cmocka_unit_test(stores_do_what_the_cpu_does),
        cmocka_unit_test(other_instructions_are_refused),
        cmocka_unit_test(random_bytes_stay_in_bounds),
    };

    return cmocka_run_group_tests(tests, map_pages, NULL);
}
