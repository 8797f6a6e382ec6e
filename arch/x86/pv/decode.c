/* SPDX-License-Identifier: MIT */
/* A bounded decoder of privileged instructions: prefixes, opcode, perhaps ModRM. The only ones with
 * memory operands are INS and OUTS, whose addresses stand in registers. Pure. */
#include <tarn/lib.h>
#include <x86/decode.h>

struct prefixes {
    bool opsize, addr32, rep;
    u8 segment; /* FS or GS: others don't count in 64-bit mode */
    u8 rex;
};

/* Legacy prefixes and REX, which counts only right before the opcode. Returns how many bytes. */
static u32 read_prefixes(const u8 *code, u32 n, struct prefixes *p)
{
    u32 i = 0;

    *p = (struct prefixes){ .rex = 0 };
    for (; i < n; i++) {
        u8 rex = 0;

        switch (code[i]) {
        case 0x40 ... 0x4f:
            rex = code[i];
            break;
        case 0x66:
            p->opsize = true;
            break;
        case 0x67:
            p->addr32 = true;
            break;
        case 0xf2:
        case 0xf3:
            p->rep = true;
            break;
        case 0x26:
        case 0x2e:
        case 0x36:
        case 0x3e:
        case 0x64:
        case 0x65:
            p->segment = code[i] >= 0x64 ? code[i] : 0;
            break;
        default:
            return i;
        }
        p->rex = rex;
    }
    return i;
}

/* MOV to and from CRn and DRn: ModRM names both registers, whatever its mod says. */
static bool decode_mov(u8 opcode, const u8 *code, u32 n, u32 i, u8 rex, struct insn *out)
{
    static const u8 ops[] = { INSN_READ_CR, INSN_READ_DR, INSN_WRITE_CR, INSN_WRITE_DR };

    if (i >= n) {
        return false;
    }
    out->op = ops[opcode - 0x20];
    out->reg = (u8)(((code[i] >> 3) & 7) | ((rex & 4) << 1));
    out->rm = (u8)((code[i] & 7) | ((rex & 1) << 3));
    out->length = (u8)(i + 1);
    return true;
}

static bool decode_0f(const u8 *code, u32 n, u32 i, u8 rex, struct insn *out)
{
    u8 opcode;

    if (i >= n) {
        return false;
    }
    opcode = code[i++];
    if (opcode >= 0x20 && opcode <= 0x23) {
        return decode_mov(opcode, code, n, i, rex, out);
    }
    out->length = (u8)i;
    switch (opcode) {
    case 0x01:
        out->op = INSN_XSETBV;
        out->length++;
        return i < n && code[i] == 0xd1;
    case 0x06:
        out->op = INSN_CLTS;
        return true;
    case 0x08:
    case 0x09:
        out->op = INSN_WBINVD;
        return true;
    case 0x30:
        out->op = INSN_WRMSR;
        return true;
    case 0x32:
        out->op = INSN_RDMSR;
        return true;
    default:
        return false;
    }
}

static u8 io_bytes(u8 opcode, const struct prefixes *p)
{
    return !(opcode & 1) ? 1 : p->opsize && !(p->rex & 8) ? 2 : 4;
}

/* OUTS from FS or GS is left to nobody: their bases would count. INS always writes to ES. */
static bool decode_string_io(u8 opcode, u32 i, const struct prefixes *p, struct insn *out)
{
    out->op = opcode & 2 ? INSN_OUTS : INSN_INS;
    out->bytes = io_bytes(opcode, p);
    out->rep = p->rep;
    out->addr32 = p->addr32;
    out->length = (u8)i;
    return out->op == INSN_INS || !p->segment;
}

static bool decode_io(u8 opcode, const u8 *code, u32 n, u32 i, const struct prefixes *p,
                      struct insn *out)
{
    bool by_dx = opcode & 8, is_out = opcode & 2;

    out->bytes = io_bytes(opcode, p);
    out->op = by_dx ? (is_out ? INSN_OUT_DX : INSN_IN_DX) : (is_out ? INSN_OUT_IMM : INSN_IN_IMM);
    out->length = (u8)(i + !by_dx);
    if (!by_dx) {
        if (i >= n) {
            return false;
        }
        out->imm = code[i];
    }
    return true;
}

bool decode_privileged(const u8 *code, u32 n, struct insn *out)
{
    struct prefixes p;
    u32 i;
    u8 opcode;

    n = MIN(n, (u32)MAX_INSN);
    i = read_prefixes(code, n, &p);
    *out = (struct insn){ .op = INSN_NONE };
    if (i >= n) {
        return false;
    }
    opcode = code[i++];
    if (opcode >= 0x6c && opcode <= 0x6f) {
        return decode_string_io(opcode, i, &p, out);
    }
    if (p.rep) {
        return false;
    }
    switch (opcode) {
    case 0x0f:
        return decode_0f(code, n, i, p.rex, out);
    case 0xfa:
    case 0xfb:
        out->op = opcode == 0xfa ? INSN_CLI : INSN_STI;
        out->length = (u8)i;
        return true;
    case 0xe4 ... 0xe7:
    case 0xec ... 0xef:
        return decode_io(opcode, code, n, i, &p, out);
    default:
        return false;
    }
}
