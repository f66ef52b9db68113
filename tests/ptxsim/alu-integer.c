/* SPDX-License-Identifier: MIT */
/* Instructions on integers, on bits, and those that move them; alu.h says how they are written. */
#include "config.h"

#include "alu.h"

#include <string.h>

__extension__ typedef __int128 s128;
__extension__ typedef unsigned __int128 u128;

/* ---- integers ---- */

#define INTEGERS(size, U, S, U2, S2)                                                               \
    BINARY(add_##size, U, U, U, (U2)x + y)                                                         \
    BINARY(sub_##size, U, U, U, (U2)x - y)                                                         \
    BINARY(mul_lo_##size, U, U, U, (U2)x *y)                                                       \
    BINARY(mul_hi_u##size, U, U, U, (U2)x *y >> size)                                              \
    BINARY(mul_hi_s##size, S, S, S, (S2)x *y >> size)                                              \
    TERNARY(mad_lo_##size, U, U, U, U, (U2)x *y + z)                                               \
    TERNARY(mad_hi_u##size, U, U, U, U, ((U2)x * y >> size) + z)                                   \
    TERNARY(mad_hi_s##size, U, S, S, U, (U)((S2)x * y >> size) + z)                                \
    /* Nothing is said about division by 0; hardware gives all ones. */                            \
    BINARY(div_u##size, U, U, U, y ? x / y : (U)-1)                                                \
    BINARY(div_s##size, S, S, S, y ? (S)((S2)x / y) : -1)                                          \
    BINARY(rem_u##size, U, U, U, y ? x % y : x)                                                    \
    BINARY(rem_s##size, S, S, S, y ? (S)((S2)x % y) : x)                                           \
    BINARY(min_u##size, U, U, U, x < y ? x : y)                                                    \
    BINARY(min_s##size, S, S, S, x < y ? x : y)                                                    \
    BINARY(max_u##size, U, U, U, x > y ? x : y)                                                    \
    BINARY(max_s##size, S, S, S, x > y ? x : y)                                                    \
    UNARY(neg_##size, U, U, -(U2)x)                                                                \
    UNARY(abs_##size, U, U, x >> (size - 1) ? -(U2)x : x)                                          \
    BINARY(and_##size, U, U, U, x &y)                                                              \
    BINARY(or_##size, U, U, U, x | y)                                                              \
    BINARY(xor_##size, U, U, U, x ^ y)                                                             \
    UNARY(not_##size, U, U, ~x)                                                                    \
    UNARY(cnot_##size, U, U, x == 0)                                                               \
    BINARY(shl_##size, U, U, uint32_t, y < size ? (U)((U2)x << y) : 0)                             \
    BINARY(shr_u##size, U, U, uint32_t, y < size ? x >> y : 0)                                     \
    BINARY(shr_s##size, S, S, uint32_t, x >> (y < size ? y : size - 1))                            \
    UNARY(copy_##size, U, U, x)                                                                    \
    HANDLER(selp_##size)                                                                           \
    {                                                                                              \
        U *d = result(w, i->op[0]);                                                                \
        const U *a = source(w, i->op[1]), *b = source(w, i->op[2]);                                \
        uint32_t chosen = *(const uint32_t *)source(w, i->op[3]);                                  \
        EACH_LANE(d[l] = chosen >> l & 1 ? a[l] : b[l]);                                           \
        return true;                                                                               \
    }

INTEGERS(16, uint16_t, int16_t, uint32_t, int32_t)
INTEGERS(32, uint32_t, int32_t, uint64_t, int64_t)
INTEGERS(64, uint64_t, int64_t, u128, s128)

BINARY(mul_wide_u16, uint32_t, uint16_t, uint16_t, (uint32_t)x *y)
BINARY(mul_wide_s16, int32_t, int16_t, int16_t, (int32_t)x *y)
BINARY(mul_wide_u32, uint64_t, uint32_t, uint32_t, (uint64_t)x *y)
BINARY(mul_wide_s32, int64_t, int32_t, int32_t, (int64_t)x *y)
TERNARY(mad_wide_u16, uint32_t, uint16_t, uint16_t, uint32_t, (uint32_t)x *y + z)
TERNARY(mad_wide_s16, uint32_t, int16_t, int16_t, uint32_t, (uint32_t)((int32_t)x *y) + z)
TERNARY(mad_wide_u32, uint64_t, uint32_t, uint32_t, uint64_t, (uint64_t)x *y + z)
TERNARY(mad_wide_s32, uint64_t, int32_t, int32_t, uint64_t, (uint64_t)((int64_t)x *y) + z)

UNARY(popc_32, uint32_t, uint32_t, __builtin_popcount(x))
UNARY(popc_64, uint32_t, uint64_t, __builtin_popcountll(x))
UNARY(clz_32, uint32_t, uint32_t, x ? __builtin_clz(x) : 32)
UNARY(clz_64, uint32_t, uint64_t, x ? __builtin_clzll(x) : 64)

static uint64_t reversed(uint64_t x, unsigned bits)
{
    uint64_t y = 0;
    for (unsigned n = 0; n < bits; n++)
        y |= (x >> n & 1) << (bits - 1 - n);
    return y;
}
UNARY(brev_32, uint32_t, uint32_t, reversed(x, 32))
UNARY(brev_64, uint64_t, uint64_t, reversed(x, 64))

/* The place of the highest bit that is not a sign; all ones where there is none. */
static uint32_t highest(uint64_t x)
{
    return x ? 63 - (uint32_t)__builtin_clzll(x) : UINT32_MAX;
}
UNARY(bfind_u32, uint32_t, uint32_t, highest(x))
UNARY(bfind_s32, uint32_t, int32_t, highest((uint32_t)(x < 0 ? ~x : x)))
UNARY(bfind_u64, uint32_t, uint64_t, highest(x))
UNARY(bfind_s64, uint32_t, int64_t, highest((uint64_t)(x < 0 ? ~x : x)))

static uint64_t low_bits(uint32_t n)
{
    return n < 64 ? (UINT64_C(1) << n) - 1 : UINT64_MAX;
}

/* Bits from pos on, len of them; what lies beyond the register is its sign, or 0. */
static uint64_t extract(uint64_t x, uint32_t pos, uint32_t len, unsigned size, bool is_signed)
{
    pos &= 255;
    len &= 255;
    uint64_t sign = 0;
    if (is_signed && len) {
        uint32_t last = pos + len - 1 < size ? pos + len - 1 : size - 1;
        sign = x >> last & 1 ? UINT64_MAX : 0;
    }
    if (len == 0)
        return 0;
    uint64_t field = pos < size ? x >> pos : 0;
    uint64_t known = pos < size ? low_bits(len < size - pos ? len : size - pos) : 0;
    return (field & known) | (sign & ~known);
}
TERNARY(bfe_u32, uint32_t, uint32_t, uint32_t, uint32_t, extract(x, y, z, 32, false))
TERNARY(bfe_s32, uint32_t, uint32_t, uint32_t, uint32_t, extract(x, y, z, 32, true))
TERNARY(bfe_u64, uint64_t, uint64_t, uint32_t, uint32_t, extract(x, y, z, 64, false))
TERNARY(bfe_s64, uint64_t, uint64_t, uint32_t, uint32_t, extract(x, y, z, 64, true))

static uint64_t insert(uint64_t field, uint64_t into, uint32_t pos, uint32_t len, unsigned size)
{
    pos &= 255;
    len &= 255;
    if (pos >= size)
        return into;
    uint64_t where = low_bits(len) << pos;
    return (into & ~where) | (field << pos & where);
}

#define INSERT(name, U, size)                                                                      \
    HANDLER(name)                                                                                  \
    {                                                                                              \
        U *d = result(w, i->op[0]);                                                                \
        const U *a = source(w, i->op[1]), *b = source(w, i->op[2]);                                \
        const uint32_t *pos = source(w, i->op[3]), *len = source(w, i->op[4]);                     \
        EACH_LANE(d[l] = (U)insert(a[l], b[l], pos[l], len[l], size));                             \
        return true;                                                                               \
    }
INSERT(bfi_32, uint32_t, 32)
INSERT(bfi_64, uint64_t, 64)

static uint32_t funnel_left(uint32_t low, uint32_t high, uint32_t by)
{
    return (uint32_t)(((uint64_t)high << 32 | low) << by >> 32);
}

static uint32_t funnel_right(uint32_t low, uint32_t high, uint32_t by)
{
    return (uint32_t)(((uint64_t)high << 32 | low) >> by);
}
TERNARY(shf_l_wrap, uint32_t, uint32_t, uint32_t, uint32_t, funnel_left(x, y, z & 31))
TERNARY(shf_l_clamp, uint32_t, uint32_t, uint32_t, uint32_t, funnel_left(x, y, z < 32 ? z : 32))
TERNARY(shf_r_wrap, uint32_t, uint32_t, uint32_t, uint32_t, funnel_right(x, y, z & 31))
TERNARY(shf_r_clamp, uint32_t, uint32_t, uint32_t, uint32_t, funnel_right(x, y, z < 32 ? z : 32))

/* Any operation of three bits: its table is the number k. */
static uint32_t table_of_three(uint32_t a, uint32_t b, uint32_t c, uint32_t k)
{
    uint32_t d = 0;
    for (unsigned n = 0; n < 8; n++)
        if (k >> n & 1)
            d |= (n & 4 ? a : ~a) & (n & 2 ? b : ~b) & (n & 1 ? c : ~c);
    return d;
}

HANDLER(lop3_32)
{
    uint32_t *d = result(w, i->op[0]);
    const uint32_t *a = source(w, i->op[1]), *b = source(w, i->op[2]), *c = source(w, i->op[3]);
    const uint32_t *k = source(w, i->op[4]);
    EACH_LANE(d[l] = table_of_three(a[l], b[l], c[l], k[l]));
    return true;
}

/* Which of the eight bytes of a and b become byte n of the result: a nibble a byte, the highest bit
 * asking for the sign.  Modes but the first have only two bits of c. */
static unsigned permutation(uint32_t c, unsigned n, unsigned mode)
{
    unsigned s = c & 3;
    switch (mode) {
    case 1:
        return s + n; /* f4e */
    case 2:
        return (s - n) & 7; /* b4e */
    case 3:
        return s; /* rc8 */
    case 4:
        return s > n ? s : n; /* ecl */
    case 5:
        return s < n ? s : n; /* ecr */
    case 6:
        return (s & 1) * 2 + (n & 1); /* rc16 */
    default:
        return c >> 4 * n & 15;
    }
}

static uint32_t permute(uint32_t a, uint32_t b, uint32_t c, unsigned mode)
{
    uint64_t both = (uint64_t)b << 32 | a;
    uint32_t d = 0;
    for (unsigned n = 0; n < 4; n++) {
        unsigned s = permutation(c, n, mode);
        uint32_t byte = both >> 8 * (s & 7) & 255;
        if (s & 8)
            byte = byte >> 7 ? 255 : 0;
        d |= byte << 8 * n;
    }
    return d;
}

bool alu_prmt(struct warp *w, const struct instr *i, uint32_t mask)
{
    uint32_t *d = result(w, i->op[0]);
    const uint32_t *a = source(w, i->op[1]), *b = source(w, i->op[2]), *c = source(w, i->op[3]);
    EACH_LANE(d[l] = permute(a[l], b[l], c[l], i->sub));
    return true;
}

/* ---- moves ---- */

UNARY(copy_8, uint8_t, uint8_t, x)

HANDLER(copy_predicate)
{
    uint32_t *d = result(w, i->op[0]);
    uint32_t a = *(const uint32_t *)source(w, i->op[1]) ^ (i->invert ? ALL_LANES : 0);
    *d = (*d & ~mask) | (a & mask);
    return true;
}

run_fn *alu_move(int size)
{
    switch (size) {
    case 0:
        return copy_predicate;
    case 1:
        return copy_8;
    case 2:
        return copy_16;
    case 4:
        return copy_32;
    default:
        return copy_64;
    }
}

bool alu_pack(struct warp *w, const struct instr *i, uint32_t mask)
{
    uint8_t *d = result(w, i->op[0]), all[LANES * 8];
    const unsigned size = i->size, total = size * i->count;
    for (unsigned j = 0; j < i->count; j++) {
        const uint8_t *a = source(w, i->op[1 + j]);
        for (unsigned l = 0; l < LANES; l++)
            memcpy(all + l * total + j * size, a + l * size, size);
    }
    EACH_LANE(memcpy(d + (unsigned)l * total, all + (unsigned)l * total, total));
    return true;
}

bool alu_unpack(struct warp *w, const struct instr *i, uint32_t mask)
{
    const unsigned size = i->size, total = size * i->count;
    uint8_t all[LANES * 8];
    memcpy(all, source(w, i->op[4]), LANES * total);
    for (unsigned j = 0; j < i->count; j++) {
        if (i->op[j] == NONE)
            continue;
        uint8_t *d = result(w, i->op[j]);
        EACH_LANE(memcpy(d + (unsigned)l * size, all + (unsigned)l * total + j * size, size));
    }
    return true;
}

/* ---- the table ---- */

#define INTEGER_ROWS(size, r)                                                                      \
    BOTH("add", #size, r r r, add_##size), BOTH("sub", #size, r r r, sub_##size),                  \
        BOTH("mul.lo", #size, r r r, mul_lo_##size), EACH("mul.hi", size, r r r, mul_hi),          \
        BOTH("mad.lo", #size, r r r r, mad_lo_##size), EACH("mad.hi", size, r r r r, mad_hi),      \
        EACH("div", size, r r r, div), EACH("rem", size, r r r, rem),                              \
        EACH("min", size, r r r, min), EACH("max", size, r r r, max),                              \
        ROW("neg.s" #size, r r, neg_##size), ROW("abs.s" #size, r r, abs_##size),                  \
        ROW("and.b" #size, r r r, and_##size), ROW("or.b" #size, r r r, or_##size),                \
        ROW("xor.b" #size, r r r, xor_##size), ROW("not.b" #size, r r, not_##size),                \
        ROW("cnot.b" #size, r r, cnot_##size), ROW("shl.b" #size, r r "w", shl_##size),            \
        ROW("shr.b" #size, r r "w", shr_u##size), EACH("shr", size, r r "w", shr),                 \
        ROW("selp.b" #size, r r r "p", selp_##size), BOTH("selp", #size, r r r "p", selp_##size),  \
        ROW("selp.f" #size, r r r "p", selp_##size)

const struct alu_row alu_integer_rows[] = {
    INTEGER_ROWS(16, "h"),
    INTEGER_ROWS(32, "w"),
    INTEGER_ROWS(64, "l"),
    EACH("mul.wide", 16, "whh", mul_wide),
    EACH("mul.wide", 32, "lww", mul_wide),
    EACH("mad.wide", 16, "whhw", mad_wide),
    EACH("mad.wide", 32, "lwwl", mad_wide),
    ROW("popc.b32", "ww", popc_32),
    ROW("popc.b64", "wl", popc_64),
    ROW("clz.b32", "ww", clz_32),
    ROW("clz.b64", "wl", clz_64),
    ROW("brev.b32", "ww", brev_32),
    ROW("brev.b64", "ll", brev_64),
    EACH("bfind", 32, "ww", bfind),
    EACH("bfind", 64, "wl", bfind),
    EACH("bfe", 32, "wwww", bfe),
    EACH("bfe", 64, "llww", bfe),
    ROW("bfi.b32", "wwwww", bfi_32),
    ROW("bfi.b64", "lllww", bfi_64),
    ROW("shf.l.wrap.b32", "wwww", shf_l_wrap),
    ROW("shf.l.clamp.b32", "wwww", shf_l_clamp),
    ROW("shf.r.wrap.b32", "wwww", shf_r_wrap),
    ROW("shf.r.clamp.b32", "wwww", shf_r_clamp),
    ROW("lop3.b32", "wwwww", lop3_32),
};
const unsigned alu_integer_row_count = sizeof alu_integer_rows / sizeof *alu_integer_rows;
