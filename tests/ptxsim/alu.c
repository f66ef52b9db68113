/* SPDX-License-Identifier: MIT */
/*
 * Instructions on registers.  A handler is a loop over the lanes; where all of them are active, it
 * has no condition, so that the compiler can make vector instructions of it.  A result may lie
 * where an operand does, lane for lane, and never otherwise: hence the pragma.
 */
#include "config.h"

#include "ptxsim.h"

#include <math.h>
#include <string.h>

#if defined(__x86_64__) && defined(__GNUC__)
#define WITH_FMA __attribute__((target("avx2,fma")))
#endif

#ifdef __clang__
#define LANES_APART /* it finds out while the program runs */
#else
#define LANES_APART _Pragma("GCC ivdep")
#endif

#define EACH_LANE(work)                                                                            \
    do {                                                                                           \
        if (mask == ALL_LANES) {                                                                   \
            LANES_APART for (int l = 0; l < LANES; l++)                                            \
            {                                                                                      \
                work;                                                                              \
            }                                                                                      \
        } else {                                                                                   \
            for (int l = 0; l < LANES; l++)                                                        \
                if (mask >> l & 1) {                                                               \
                    work;                                                                          \
                }                                                                                  \
        }                                                                                          \
    } while (0)

#define HANDLER(name) static bool name(struct warp *w, const struct instr *i, uint32_t mask)

/* d = what is made of x, y, z, which are of the types A, B, C. */
#define UNARY(name, D, A, what)                                                                    \
    HANDLER(name)                                                                                  \
    {                                                                                              \
        D *d = result(w, i->op[0]);                                                                \
        const A *a = source(w, i->op[1]);                                                          \
        EACH_LANE(const A x = a[l]; d[l] = (D)(what));                                             \
        return true;                                                                               \
    }

#define BINARY(name, D, A, B, what)                                                                \
    HANDLER(name)                                                                                  \
    {                                                                                              \
        D *d = result(w, i->op[0]);                                                                \
        const A *a = source(w, i->op[1]);                                                          \
        const B *b = source(w, i->op[2]);                                                          \
        EACH_LANE(const A x = a[l]; const B y = b[l]; d[l] = (D)(what));                           \
        return true;                                                                               \
    }

#define TERNARY(name, D, A, B, C, what)                                                            \
    HANDLER(name)                                                                                  \
    {                                                                                              \
        D *d = result(w, i->op[0]);                                                                \
        const A *a = source(w, i->op[1]);                                                          \
        const B *b = source(w, i->op[2]);                                                          \
        const C *c = source(w, i->op[3]);                                                          \
        EACH_LANE(const A x = a[l]; const B y = b[l]; const C z = c[l]; d[l] = (D)(what));         \
        return true;                                                                               \
    }

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

/* ---- floats ---- */

/* Every NaN that arithmetic makes in float32 has these bits. */
static const union {
    uint32_t bits;
    float value;
} not_a_number = {.bits = 0x7fffffff};

static inline float canonical(float x)
{
    return x == x ? x : not_a_number.value;
}

static inline float flushed(float x)
{
    return fabsf(x) < 0x1p-126f ? copysignf(0, x) : x;
}

/* NaN becomes 0, too. */
static inline float saturated(float x)
{
    return x > 0 ? (x < 1 ? x : 1) : 0;
}

static inline float finished(float x, unsigned flags)
{
    if (flags & FTZ)
        x = flushed(x);
    return flags & SAT ? saturated(x) : canonical(x);
}

/* A handler for the plain instruction, and one that looks at .ftz and .sat. */
#define FLOAT1(name, what)                                                                         \
    static inline float name##_of(float x)                                                         \
    {                                                                                              \
        return what;                                                                               \
    }                                                                                              \
    HANDLER(name##_f32)                                                                            \
    {                                                                                              \
        float *d = result(w, i->op[0]);                                                            \
        const float *a = source(w, i->op[1]);                                                      \
        const unsigned flags = i->flags;                                                           \
        if (flags & FTZ)                                                                           \
            EACH_LANE(d[l] = finished(name##_of(flushed(a[l])), flags));                           \
        else                                                                                       \
            EACH_LANE(d[l] = finished(name##_of(a[l]), flags));                                    \
        return true;                                                                               \
    }

#define FLOAT2(name, what)                                                                         \
    static inline float name##_of(float x, float y)                                                \
    {                                                                                              \
        return what;                                                                               \
    }                                                                                              \
    HANDLER(name##_f32)                                                                            \
    {                                                                                              \
        float *d = result(w, i->op[0]);                                                            \
        const float *a = source(w, i->op[1]), *b = source(w, i->op[2]);                            \
        const unsigned flags = i->flags;                                                           \
        if (!flags)                                                                                \
            EACH_LANE(d[l] = canonical(name##_of(a[l], b[l])));                                    \
        else if (flags & FTZ)                                                                      \
            EACH_LANE(d[l] = finished(name##_of(flushed(a[l]), flushed(b[l])), flags));            \
        else                                                                                       \
            EACH_LANE(d[l] = finished(name##_of(a[l], b[l]), flags));                              \
        return true;                                                                               \
    }

/* min and max take the number where one is NaN, and know that -0 is less than 0. */
static inline float least(float x, float y)
{
    if (x != x)
        return y;
    return x < y || (x == y && signbit(x)) ? x : y != y ? x : y;
}

static inline float greatest(float x, float y)
{
    if (x != x)
        return y;
    return x > y || (x == y && !signbit(x)) ? x : y != y ? x : y;
}

FLOAT2(add, x + y)
FLOAT2(sub, x - y)
FLOAT2(mul, x *y)
FLOAT2(div, x / y)
FLOAT2(div_approx, approx_div(x, y))
FLOAT2(min, least(x, y))
FLOAT2(max, greatest(x, y))
FLOAT2(min_nan, x != x ? x : y != y ? y : least(x, y))
FLOAT2(max_nan, x != x ? x : y != y ? y : greatest(x, y))
FLOAT1(sqrt, sqrtf(x))
FLOAT1(rcp, 1 / x)
FLOAT1(sqrt_approx, approx_sqrt(x))
FLOAT1(rcp_approx, approx_rcp(x))
FLOAT1(rsqrt_approx, approx_rsqrt(x))
FLOAT1(ex2_approx, approx_ex2(x))
FLOAT1(lg2_approx, approx_lg2(x))
FLOAT1(sin_approx, approx_sin(x))
FLOAT1(cos_approx, approx_cos(x))
FLOAT1(tanh_approx, approx_tanh(x))

/* Signs alone: NaN passes as it is. */
#define SIGN1(name, what)                                                                          \
    HANDLER(name##_f32)                                                                            \
    {                                                                                              \
        float *d = result(w, i->op[0]);                                                            \
        const float *a = source(w, i->op[1]);                                                      \
        if (i->flags & FTZ)                                                                        \
            EACH_LANE(const float x = flushed(a[l]); d[l] = what);                                 \
        else                                                                                       \
            EACH_LANE(const float x = a[l]; d[l] = what);                                          \
        return true;                                                                               \
    }
SIGN1(neg, -x)
SIGN1(abs, fabsf(x))
BINARY(copysign_f32, float, float, float, copysignf(y, x))
BINARY(copysign_f64, double, double, double, copysign(y, x))

#define FUSED(name, T, with, multiply_add)                                                         \
    with HANDLER(name)                                                                             \
    {                                                                                              \
        T *d = result(w, i->op[0]);                                                                \
        const T *a = source(w, i->op[1]), *b = source(w, i->op[2]), *c = source(w, i->op[3]);      \
        EACH_LANE(const T r = multiply_add(a[l], b[l], c[l]);                                      \
                  d[l] = r == r || sizeof(T) == 8 ? r : (T)not_a_number.value);                    \
        return true;                                                                               \
    }
FUSED(fma_plain_f32, float, , fmaf)
FUSED(fma_f64, double, , fma)
#ifdef WITH_FMA
/* The same numbers, many at once. */
FUSED(fma_fast_f32, float, WITH_FMA, __builtin_fmaf)
#endif

HANDLER(fma_modes_f32)
{
    float *d = result(w, i->op[0]);
    const float *a = source(w, i->op[1]), *b = source(w, i->op[2]), *c = source(w, i->op[3]);
    const unsigned flags = i->flags;
    if (flags & FTZ)
        EACH_LANE(d[l] = finished(fmaf(flushed(a[l]), flushed(b[l]), flushed(c[l])), flags));
    else
        EACH_LANE(d[l] = finished(fmaf(a[l], b[l], c[l]), flags));
    return true;
}

HANDLER(fma_f32)
{
    if (i->flags)
        return fma_modes_f32(w, i, mask);
#ifdef WITH_FMA
    if (__builtin_cpu_supports("fma") && __builtin_cpu_supports("avx2"))
        return fma_fast_f32(w, i, mask);
#endif
    return fma_plain_f32(w, i, mask);
}

BINARY(add_f64, double, double, double, x + y)
BINARY(sub_f64, double, double, double, x - y)
BINARY(mul_f64, double, double, double, x *y)
BINARY(div_f64, double, double, double, x / y)
BINARY(min_f64, double, double, double, fmin(x, y))
BINARY(max_f64, double, double, double, fmax(x, y))
UNARY(neg_f64, double, double, -x)
UNARY(abs_f64, double, double, fabs(x))
UNARY(sqrt_f64, double, double, sqrt(x))
UNARY(rcp_f64, double, double, 1 / x)

TERNARY(slct_32_s32, uint32_t, uint32_t, uint32_t, int32_t, z >= 0 ? x : y)
TERNARY(slct_32_f32, uint32_t, uint32_t, uint32_t, float, z >= 0 ? x : y)

#define TEST(name, T, what)                                                                        \
    HANDLER(testp_##name)                                                                          \
    {                                                                                              \
        uint32_t *d = result(w, i->op[0]), found = 0;                                              \
        const T *a = source(w, i->op[1]);                                                          \
        for (int l = 0; l < LANES; l++)                                                            \
            found |= (uint32_t)(what(a[l]) != 0) << l;                                             \
        *d = (*d & ~mask) | (found & mask);                                                        \
        return true;                                                                               \
    }
#define is_number(x)    (!isnan(x))
#define is_subnormal(x) (fpclassify(x) == FP_SUBNORMAL)
#define TESTS(size, T)                                                                             \
    TEST(finite_##size, T, isfinite)                                                               \
    TEST(infinite_##size, T, isinf)                                                                \
    TEST(number_##size, T, is_number)                                                              \
    TEST(nan_##size, T, isnan)                                                                     \
    TEST(normal_##size, T, isnormal)                                                               \
    TEST(subnormal_##size, T, is_subnormal)
TESTS(f32, float)
TESTS(f64, double)

/* ---- small floats: exact in float64, or to odd there, and then rounded once ---- */

#define SMALL(type, to_float, from)                                                                \
    BINARY(add_##type, uint16_t, uint16_t, uint16_t,                                               \
           from(add_to_odd((double)to_float(x), (double)to_float(y)), NEAREST))                    \
    BINARY(sub_##type, uint16_t, uint16_t, uint16_t,                                               \
           from(add_to_odd((double)to_float(x), -(double)to_float(y)), NEAREST))                   \
    BINARY(mul_##type, uint16_t, uint16_t, uint16_t,                                               \
           from((double)to_float(x) * (double)to_float(y), NEAREST))                               \
    TERNARY(                                                                                       \
        fma_##type, uint16_t, uint16_t, uint16_t, uint16_t,                                        \
        from(add_to_odd((double)to_float(x) * (double)to_float(y), (double)to_float(z)), NEAREST)) \
    BINARY(min_##type, uint16_t, uint16_t, uint16_t,                                               \
           from((double)least(to_float(x), to_float(y)), NEAREST))                                 \
    BINARY(max_##type, uint16_t, uint16_t, uint16_t,                                               \
           from((double)greatest(to_float(x), to_float(y)), NEAREST))                              \
    UNARY(neg_##type, uint16_t, uint16_t, x ^ 0x8000)                                              \
    UNARY(abs_##type, uint16_t, uint16_t, x & 0x7fff)                                              \
    PAIR(add_##type)                                                                               \
    PAIR(sub_##type)                                                                               \
    PAIR(mul_##type)                                                                               \
    PAIR(fma_##type)                                                                               \
    PAIR(min_##type)                                                                               \
    PAIR(max_##type)                                                                               \
    PAIR(neg_##type)                                                                               \
    PAIR(abs_##type)

/* Two in a register of 32 bits: the halves are taken apart, and put together again. */
typedef struct {
    uint16_t lane[LANES];
} halves;

static bool run_halves(run_fn *run, struct warp *w, const struct instr *i, uint32_t mask)
{
    struct warp both[2];
    halves registers[2][4];
    uint32_t *d = result(w, i->op[0]);
    struct instr small = *i;
    for (int h = 0; h < 2; h++) {
        for (int j = 0; j < 4; j++) {
            small.op[j] = j * (int32_t)sizeof(halves);
            if (j == 0 || i->op[j] == NONE)
                continue;
            const uint32_t *a = source(w, i->op[j]);
            for (int l = 0; l < LANES; l++)
                registers[h][j].lane[l] = (uint16_t)(a[l] >> 16 * h);
        }
        both[h].registers = (uint8_t *)registers[h];
        run(&both[h], &small, ALL_LANES);
    }
    EACH_LANE(d[l] = (uint32_t)registers[1][0].lane[l] << 16 | registers[0][0].lane[l]);
    return true;
}

#define PAIR(name)                                                                                 \
    HANDLER(name##x2)                                                                              \
    {                                                                                              \
        return run_halves(name, w, i, mask);                                                       \
    }

SMALL(f16, half_to_float, half_from)
SMALL(bf16, bfloat_to_float, bfloat_from)

/* ---- the usual conversions; convert.c has them all ---- */

UNARY(half_float, float, uint16_t, half_to_float(x))
UNARY(bfloat_float, float, uint16_t, canonical(bfloat_to_float(x)))
UNARY(signed_long, int64_t, int32_t, x)
UNARY(unsigned_long, uint64_t, uint32_t, x)
UNARY(long_int, uint32_t, uint64_t, x)
UNARY(signed_float, float, int32_t, x)
UNARY(unsigned_float, float, uint32_t, x)
UNARY(float_double, double, float, x)

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

/* ---- predicates ---- */

#define LOGIC(name, what)                                                                          \
    HANDLER(name)                                                                                  \
    {                                                                                              \
        uint32_t *d = result(w, i->op[0]);                                                         \
        uint32_t x = *(const uint32_t *)source(w, i->op[1]);                                       \
        uint32_t y = i->op[2] == NONE ? 0 : *(const uint32_t *)source(w, i->op[2]);                \
        *d = (*d & ~mask) | ((what)&mask);                                                         \
        return true;                                                                               \
    }
LOGIC(and_pred, x &y)
LOGIC(or_pred, x | y)
LOGIC(xor_pred, x ^ y)
LOGIC(not_pred, ~x & ~y)

static void set_predicate(struct warp *w, int32_t at, uint32_t value, uint32_t mask)
{
    uint32_t *d = result(w, at);
    *d = (*d & ~mask) | (value & mask);
}

/* The result of a comparison, and its contrary, each joined with a third predicate. */
static void put_compared(struct warp *w, const struct instr *i, uint32_t mask, uint32_t yes)
{
    uint32_t no = ~yes;
    if (i->combine) {
        uint32_t c = *(const uint32_t *)source(w, i->op[4]) ^ (i->invert ? ALL_LANES : 0);
        yes = i->combine == 1 ? yes & c : i->combine == 2 ? yes | c : yes ^ c;
        no = i->combine == 1 ? no & c : i->combine == 2 ? no | c : no ^ c;
    }
    set_predicate(w, i->op[0], yes, mask);
    if (i->op[1] != NONE)
        set_predicate(w, i->op[1], no, mask);
}

#define COMPARED(condition)                                                                        \
    do {                                                                                           \
        for (int l = 0; l < LANES; l++) {                                                          \
            const T x = a[l], y = b[l];                                                            \
            yes |= (uint32_t)(condition) << l;                                                     \
        }                                                                                          \
    } while (0);                                                                                   \
    break

#define COMPARE_CASES                                                                              \
    case EQ:                                                                                       \
        COMPARED(x == y);                                                                          \
    case LT:                                                                                       \
        COMPARED(x < y);                                                                           \
    case LE:                                                                                       \
        COMPARED(x <= y);                                                                          \
    case GT:                                                                                       \
        COMPARED(x > y);                                                                           \
    case GE:                                                                                       \
        COMPARED(x >= y)

#define COMPARE_INTEGERS(name, type)                                                               \
    HANDLER(compare_##name)                                                                        \
    {                                                                                              \
        typedef type T;                                                                            \
        const T *a = source(w, i->op[2]), *b = source(w, i->op[3]);                                \
        uint32_t yes = 0;                                                                          \
        switch (i->sub) {                                                                          \
            COMPARE_CASES;                                                                         \
        default:                                                                                   \
            COMPARED(x != y);                                                                      \
        }                                                                                          \
        put_compared(w, i, mask, yes);                                                             \
        return true;                                                                               \
    }
COMPARE_INTEGERS(u16, uint16_t)
COMPARE_INTEGERS(s16, int16_t)
COMPARE_INTEGERS(u32, uint32_t)
COMPARE_INTEGERS(s32, int32_t)
COMPARE_INTEGERS(u64, uint64_t)
COMPARE_INTEGERS(s64, int64_t)

#define COMPARE_FLOATS(name, type)                                                                 \
    static uint32_t compare_values_##name(const type *a, const type *b, enum compare how)          \
    {                                                                                              \
        typedef type T;                                                                            \
        uint32_t yes = 0;                                                                          \
        switch (how) {                                                                             \
            COMPARE_CASES;                                                                         \
        case NE:                                                                                   \
            COMPARED(x<y || x> y);                                                                 \
        case EQU:                                                                                  \
            COMPARED(!(x < y || x > y));                                                           \
        case NEU:                                                                                  \
            COMPARED(x != y);                                                                      \
        case LTU:                                                                                  \
            COMPARED(!(x >= y));                                                                   \
        case LEU:                                                                                  \
            COMPARED(!(x > y));                                                                    \
        case GTU:                                                                                  \
            COMPARED(!(x <= y));                                                                   \
        case GEU:                                                                                  \
            COMPARED(!(x < y));                                                                    \
        case NUM:                                                                                  \
            COMPARED(x == x && y == y);                                                            \
        default:                                                                                   \
            COMPARED(x != x || y != y);                                                            \
        }                                                                                          \
        return yes;                                                                                \
    }
COMPARE_FLOATS(float, float)
COMPARE_FLOATS(double, double)

HANDLER(compare_f64)
{
    put_compared(w, i, mask,
                 compare_values_double(source(w, i->op[2]), source(w, i->op[3]), i->sub));
    return true;
}

HANDLER(compare_f32)
{
    const float *a = source(w, i->op[2]), *b = source(w, i->op[3]);
    float x[LANES], y[LANES];
    if (i->flags & FTZ) {
        for (int l = 0; l < LANES; l++) {
            x[l] = flushed(a[l]);
            y[l] = flushed(b[l]);
        }
        a = x;
        b = y;
    }
    put_compared(w, i, mask, compare_values_float(a, b, i->sub));
    return true;
}

static bool compare_small(struct warp *w, const struct instr *i, uint32_t mask,
                          float (*to_float)(uint16_t))
{
    const uint16_t *a = source(w, i->op[2]), *b = source(w, i->op[3]);
    float x[LANES], y[LANES];
    for (int l = 0; l < LANES; l++) {
        x[l] = to_float(a[l]);
        y[l] = to_float(b[l]);
    }
    put_compared(w, i, mask, compare_values_float(x, y, i->sub));
    return true;
}

HANDLER(compare_f16)
{
    return compare_small(w, i, mask, half_to_float);
}

HANDLER(compare_bf16)
{
    return compare_small(w, i, mask, bfloat_to_float);
}

run_fn *alu_compare(char class, int size)
{
    switch (class) {
    case 's':
        return size == 2 ? compare_s16 : size == 4 ? compare_s32 : size == 8 ? compare_s64 : NULL;
    case 'u':
    case 'b':
        return size == 2 ? compare_u16 : size == 4 ? compare_u32 : size == 8 ? compare_u64 : NULL;
    case 'f':
        return size == 2 ? compare_f16 : size == 4 ? compare_f32 : compare_f64;
    case 'h':
        return compare_bf16;
    default:
        return NULL;
    }
}

/* ---- the table ---- */

#define ROW(name, operands, run)                                                                   \
    {                                                                                              \
        name, operands, run, ""                                                                    \
    }
#define MODES(name, operands, run, allowed)                                                        \
    {                                                                                              \
        name, operands, run, allowed                                                               \
    }

/* The same for signed and unsigned. */
#define BOTH(name, suffix, operands, run)                                                          \
    ROW(name ".u" suffix, operands, run), ROW(name ".s" suffix, operands, run)
/* One for each. */
#define EACH(name, suffix, operands, run)                                                          \
    ROW(name ".u" #suffix, operands, run##_u##suffix),                                             \
        ROW(name ".s" #suffix, operands, run##_s##suffix)

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

#define SMALL_ROWS(type, r, run)                                                                   \
    MODES("add." type, r r r, add_##run, "rn"), MODES("sub." type, r r r, sub_##run, "rn"),        \
        MODES("mul." type, r r r, mul_##run, "rn"), MODES("fma." type, r r r r, fma_##run, "rn"),  \
        ROW("min." type, r r r, min_##run), ROW("max." type, r r r, max_##run),                    \
        ROW("neg." type, r r, neg_##run), ROW("abs." type, r r, abs_##run)

#define TEST_ROWS(type, r)                                                                         \
    ROW("testp.finite." #type, "p" r, testp_finite_##type),                                        \
        ROW("testp.infinite." #type, "p" r, testp_infinite_##type),                                \
        ROW("testp.number." #type, "p" r, testp_number_##type),                                    \
        ROW("testp.notanumber." #type, "p" r, testp_nan_##type),                                   \
        ROW("testp.normal." #type, "p" r, testp_normal_##type),                                    \
        ROW("testp.subnormal." #type, "p" r, testp_subnormal_##type)

static const struct alu_row rows[] = {
    INTEGER_ROWS(16, "h"),
    INTEGER_ROWS(32, "w"),
    INTEGER_ROWS(64, "l"),
    EACH("mul.wide", 16, "whh", mul_wide),
    EACH("mul.wide", 32, "lww", mul_wide),
    EACH("mad.wide", 16, "whhw", mad_wide),
    EACH("mad.wide", 32, "lwwl", mad_wide),
    ROW("and.pred", "ppp", and_pred),
    ROW("or.pred", "ppp", or_pred),
    ROW("xor.pred", "ppp", xor_pred),
    ROW("not.pred", "pp", not_pred),
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
    ROW("slct.b32.s32", "wwww", slct_32_s32),
    ROW("slct.u32.s32", "wwww", slct_32_s32),
    ROW("slct.s32.s32", "wwww", slct_32_s32),
    ROW("slct.f32.s32", "wwww", slct_32_s32),
    ROW("slct.f32.f32", "wwww", slct_32_f32),
    MODES("add.f32", "www", add_f32, "rn ftz sat"),
    MODES("sub.f32", "www", sub_f32, "rn ftz sat"),
    MODES("mul.f32", "www", mul_f32, "rn ftz sat"),
    MODES("fma.f32", "wwww", fma_f32, "rn ftz sat"),
    MODES("mad.f32", "wwww", fma_f32, "rn ftz sat"),
    MODES("div.f32", "www", div_f32, "rn ftz"),
    MODES("div.full.f32", "www", div_approx_f32, "ftz"),
    MODES("div.approx.f32", "www", div_approx_f32, "ftz"),
    MODES("rcp.f32", "ww", rcp_f32, "rn ftz"),
    MODES("rcp.approx.f32", "ww", rcp_approx_f32, "ftz"),
    MODES("sqrt.f32", "ww", sqrt_f32, "rn ftz"),
    MODES("sqrt.approx.f32", "ww", sqrt_approx_f32, "ftz"),
    MODES("rsqrt.approx.f32", "ww", rsqrt_approx_f32, "ftz"),
    MODES("ex2.approx.f32", "ww", ex2_approx_f32, "ftz"),
    MODES("lg2.approx.f32", "ww", lg2_approx_f32, "ftz"),
    MODES("sin.approx.f32", "ww", sin_approx_f32, "ftz"),
    MODES("cos.approx.f32", "ww", cos_approx_f32, "ftz"),
    ROW("tanh.approx.f32", "ww", tanh_approx_f32),
    MODES("neg.f32", "ww", neg_f32, "ftz"),
    MODES("abs.f32", "ww", abs_f32, "ftz"),
    MODES("min.f32", "www", min_f32, "ftz"),
    MODES("max.f32", "www", max_f32, "ftz"),
    MODES("min.NaN.f32", "www", min_nan_f32, "ftz"),
    MODES("max.NaN.f32", "www", max_nan_f32, "ftz"),
    ROW("copysign.f32", "www", copysign_f32),
    ROW("copysign.f64", "lll", copysign_f64),
    MODES("add.f64", "lll", add_f64, "rn"),
    MODES("sub.f64", "lll", sub_f64, "rn"),
    MODES("mul.f64", "lll", mul_f64, "rn"),
    MODES("fma.f64", "llll", fma_f64, "rn"),
    MODES("div.f64", "lll", div_f64, "rn"),
    MODES("rcp.f64", "ll", rcp_f64, "rn"),
    MODES("sqrt.f64", "ll", sqrt_f64, "rn"),
    ROW("neg.f64", "ll", neg_f64),
    ROW("abs.f64", "ll", abs_f64),
    ROW("min.f64", "lll", min_f64),
    ROW("max.f64", "lll", max_f64),
    ROW("cvt.f32.f16", "wh", half_float),
    ROW("cvt.f32.bf16", "wh", bfloat_float),
    ROW("cvt.s64.s32", "lw", signed_long),
    ROW("cvt.u64.u32", "lw", unsigned_long),
    ROW("cvt.u32.u64", "wl", long_int),
    ROW("cvt.f32.s32", "ww", signed_float),
    ROW("cvt.f32.u32", "ww", unsigned_float),
    ROW("cvt.f64.f32", "lw", float_double),
    TEST_ROWS(f32, "w"),
    TEST_ROWS(f64, "l"),
    SMALL_ROWS("f16", "h", f16),
    SMALL_ROWS("bf16", "h", bf16),
    SMALL_ROWS("f16x2", "w", f16x2),
    SMALL_ROWS("bf16x2", "w", bf16x2),
};

enum { ROW_COUNT = sizeof rows / sizeof *rows, HASHES = 1024 };
_Static_assert(ROW_COUNT < HASHES / 2, "a table of names that is mostly empty");

/* The numbers of rows, and one more, by the hashes of their names. */
static const uint16_t *row_hashes(void)
{
    static uint16_t hashes[HASHES];
    static bool filled;
    for (unsigned j = 0; !filled && j < ROW_COUNT; j++) {
        uint32_t at = hash_name(rows[j].name) % HASHES;
        while (hashes[at])
            at = (at + 1) % HASHES;
        hashes[at] = (uint16_t)(j + 1);
    }
    filled = true;
    return hashes;
}

const struct alu_row *alu_find(const char *name)
{
    const uint16_t *hashes = row_hashes();
    for (uint32_t at = hash_name(name) % HASHES; hashes[at]; at = (at + 1) % HASHES)
        if (strcmp(rows[hashes[at] - 1].name, name) == 0)
            return &rows[hashes[at] - 1];
    return NULL;
}
