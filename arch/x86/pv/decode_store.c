/* SPDX-License-Identifier: MIT */
/*
 * A bounded decoder of the stores by which kernels change page-table entries in place: MOV, XCHG,
 * CMPXCHG, XADD, BTS, BTR, BTC and the two-operand arithmetic, with a memory destination. And what
 * they do. Pure.
 */
#include <tarn/lib.h>
#include <x86/decode.h>

#define FLAG_CF 0x001UL
#define FLAG_PF 0x004UL
#define FLAG_AF 0x010UL
#define FLAG_ZF 0x040UL
#define FLAG_SF 0x080UL
#define FLAG_OF 0x800UL

struct cursor {
    const u8 *code;
    u32 n, at;
    bool over; /* read beyond n */
    bool opsize;
    u8 rex;
};

static u8 next(struct cursor *c)
{
    if (c->at >= c->n) {
        c->over = true;
        return 0;
    }
    return c->code[c->at++];
}

/* Legacy prefixes and REX, which counts only right before the opcode. */
static void read_prefixes(struct cursor *c)
{
    for (; c->at < c->n; c->at++) {
        switch (c->code[c->at]) {
        case 0x40 ... 0x4f:
            c->rex = c->code[c->at];
            continue;
        case 0x66:
            c->opsize = true;
            break;
        case 0xf0: /* LOCK: we are atomic anyway */
        case 0xf2: /* hints of lock elision, */
        case 0xf3: /* or ignored */
        case 0x26:
        case 0x2e:
        case 0x36:
        case 0x3e:
        case 0x64:
        case 0x65:
        case 0x67:
            break;
        default:
            return;
        }
        c->rex = 0;
    }
}

/* ModRM, SIB and displacement; false when the operand is a register. */
static bool read_modrm(struct cursor *c, u8 *reg)
{
    u8 modrm = next(c), mod = modrm >> 6, rm = modrm & 7;
    u32 disp = mod == 1 ? 1 : mod == 2 ? 4 : 0;

    *reg = (u8)(((modrm >> 3) & 7) | ((c->rex & 4) << 1));
    if (mod == 3) {
        return false;
    }
    if (rm == 4) {
        u8 base = next(c) & 7;

        disp = mod == 0 && base == 5 ? 4 : disp;
    } else if (mod == 0 && rm == 5) {
        disp = 4; /* rip relative */
    }
    while (disp--) {
        (void)next(c);
    }
    return true;
}

static u64 read_imm(struct cursor *c, u32 bytes)
{
    u64 v = 0;

    for (u32 i = 0; i < bytes; i++) {
        v |= (u64)next(c) << (8 * i);
    }
    return (u64)((s64)(v << (64 - 8 * bytes)) >> (64 - 8 * bytes)); /* sign-extended */
}

static u8 full_size(const struct cursor *c)
{
    return c->rex & 8 ? 8 : c->opsize ? 2 : 4;
}

/* The /digit or opcode row of the two-operand arithmetic; false for those that don't store or need
 * carry. */
static bool arithmetic_op(u8 row, struct store_insn *out)
{
    static const s8 ops[8] = { STORE_ADD, STORE_OR, -1, -1, STORE_AND, STORE_SUB, STORE_XOR, -1 };

    if (ops[row] < 0) {
        return false;
    }
    out->op = (enum store_op)ops[row];
    return true;
}

/* Without REX, byte registers 4-7 are the second bytes of 0-3. */
static void byte_register(const struct cursor *c, struct store_insn *out)
{
    if (out->bytes == 1 && !c->rex && out->reg >= 4 && !out->has_imm) {
        out->high = true;
        out->reg = (u8)(out->reg - 4);
    }
}

static bool decode_one_byte(struct cursor *c, u8 opcode, struct store_insn *out)
{
    u8 reg;

    out->bytes = opcode & 1 ? full_size(c) : 1;
    if (!read_modrm(c, &reg)) {
        return false;
    }
    out->reg = reg;
    switch (opcode) {
    case 0x86:
    case 0x87:
        out->op = STORE_XCHG;
        return true;
    case 0x88:
    case 0x89:
        out->op = STORE_MOV;
        return true;
    case 0xc6:
    case 0xc7:
    case 0x80:
    case 0x81:
    case 0x83:
        out->has_imm = true;
        out->imm = read_imm(c, opcode == 0x83 || !(opcode & 1) ? 1 : MIN((u32)out->bytes, 4u));
        if (opcode >= 0xc6) {
            out->op = STORE_MOV;
            return (reg & 7) == 0;
        }
        return arithmetic_op(reg & 7, out);
    default: /* 00-31, the forms that store a register */
        return opcode < 0x38 && (opcode & 6) == 0 && arithmetic_op(opcode >> 3, out);
    }
}

static bool decode_two_byte(struct cursor *c, struct store_insn *out)
{
    u8 opcode = next(c), reg;

    out->bytes = full_size(c);
    if (!read_modrm(c, &reg)) {
        return false;
    }
    out->reg = reg;
    switch (opcode) {
    case 0xb0:
    case 0xc0:
        out->bytes = 1;
        out->op = opcode == 0xb0 ? STORE_CMPXCHG : STORE_XADD;
        return true;
    case 0xb1:
        out->op = STORE_CMPXCHG;
        return true;
    case 0xc1:
        out->op = STORE_XADD;
        return true;
    case 0xab:
    case 0xb3:
    case 0xbb:
        out->op = opcode == 0xab ? STORE_BTS : opcode == 0xb3 ? STORE_BTR : STORE_BTC;
        return true;
    case 0xba:
        out->has_imm = true;
        out->imm = read_imm(c, 1);
        out->op = (reg & 7) == 5 ? STORE_BTS : (reg & 7) == 6 ? STORE_BTR : STORE_BTC;
        return (reg & 7) >= 5;
    default:
        return false;
    }
}

bool decode_store(const u8 *code, u32 n, struct store_insn *out)
{
    struct cursor c = { .code = code, .n = MIN(n, (u32)MAX_INSN) };
    u8 opcode;
    bool known;

    *out = (struct store_insn){ .op = STORE_MOV };
    read_prefixes(&c);
    opcode = next(&c);
    known = opcode == 0x0f ? decode_two_byte(&c, out) : decode_one_byte(&c, opcode, out);
    byte_register(&c, out);
    out->length = (u8)c.at;
    return known && !c.over;
}

static u64 size_mask(u32 bytes)
{
    return bytes == 8 ? ~0UL : (1UL << (8 * bytes)) - 1;
}

/* Flags of an arithmetic result; carry and overflow as given. */
static u64 result_flags(u64 r, u32 bytes, bool carry, bool overflow, bool adjust)
{
    u64 flags = (carry ? FLAG_CF : 0) | (overflow ? FLAG_OF : 0) | (adjust ? FLAG_AF : 0);

    flags |= (r & size_mask(bytes)) == 0 ? FLAG_ZF : 0;
    flags |= r >> (8 * bytes - 1) & 1 ? FLAG_SF : 0;
    flags |= __builtin_parity((u32)r & 0xff) ? 0 : FLAG_PF;
    return flags;
}

static u64 add_flags(u64 a, u64 b, u64 r, u32 bytes)
{
    u64 carries = (a & b) | ((a | b) & ~r), overflow = (a ^ r) & (b ^ r);

    return result_flags(r, bytes, carries >> (8 * bytes - 1) & 1, overflow >> (8 * bytes - 1) & 1,
                        (a ^ b ^ r) & 0x10);
}

static u64 sub_flags(u64 a, u64 b, u64 r, u32 bytes)
{
    u64 borrows = (~a & b) | ((~a | b) & r), overflow = (a ^ b) & (a ^ r);

    return result_flags(r, bytes, borrows >> (8 * bytes - 1) & 1, overflow >> (8 * bytes - 1) & 1,
                        (a ^ b ^ r) & 0x10);
}

static void set_flags(u64 *rflags, u64 mask, u64 value)
{
    *rflags = (*rflags & ~mask) | (value & mask);
}

#define ARITHMETIC (FLAG_CF | FLAG_PF | FLAG_AF | FLAG_ZF | FLAG_SF | FLAG_OF)

static void put_part(u64 *reg, u64 value, u32 bytes)
{
    *reg = bytes >= 4 ? value & size_mask(bytes)
                      : (*reg & ~size_mask(bytes)) | (value & size_mask(bytes));
}

static u64 bit_op(const struct store_insn *in, u64 old, u64 src, u64 *rflags)
{
    u64 bit = 1UL << (src % (8 * in->bytes));

    set_flags(rflags, FLAG_CF, old & bit ? FLAG_CF : 0);
    return in->op == STORE_BTS ? old | bit : in->op == STORE_BTR ? old & ~bit : old ^ bit;
}

static u64 exchange_op(const struct store_insn *in, u64 old, u64 src, u64 *rax, u64 *reg,
                       u64 *rflags)
{
    u64 mask = size_mask(in->bytes);

    if (in->op == STORE_XCHG) {
        put_part(reg, old, in->bytes);
        return src;
    }
    if (in->op == STORE_XADD) {
        set_flags(rflags, ARITHMETIC, add_flags(old, src, old + src, in->bytes));
        put_part(reg, old, in->bytes);
        return old + src;
    }
    set_flags(rflags, ARITHMETIC, sub_flags(*rax, old, *rax - old, in->bytes));
    if (((*rax ^ old) & mask) == 0) {
        return src;
    }
    put_part(rax, old, in->bytes);
    return old;
}

u64 store_result(const struct store_insn *in, u64 old, u64 src, u64 *rax, u64 *reg, u64 *rflags)
{
    u64 r;

    switch (in->op) {
    case STORE_MOV:
        return src;
    case STORE_ADD:
        r = old + src;
        set_flags(rflags, ARITHMETIC, add_flags(old, src, r, in->bytes));
        return r;
    case STORE_SUB:
        r = old - src;
        set_flags(rflags, ARITHMETIC, sub_flags(old, src, r, in->bytes));
        return r;
    case STORE_OR:
    case STORE_AND:
    case STORE_XOR:
        r = in->op == STORE_OR ? old | src : in->op == STORE_AND ? old & src : old ^ src;
        set_flags(rflags, ARITHMETIC, result_flags(r, in->bytes, false, false, false));
        return r;
    case STORE_BTS:
    case STORE_BTR:
    case STORE_BTC:
        return bit_op(in, old, src, rflags);
    default:
        return exchange_op(in, old, src, rax, reg, rflags);
    }
}
