/* SPDX-License-Identifier: MIT */
/* Instructions on floats and predicates, and how an instruction of any kind is found by its name.
 */
#include "config.h"

#include "alu.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#if defined(__x86_64__) && defined(__GNUC__)
#define WITH_FMA __attribute__((target("avx2,fma")))
#endif

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
    ROW("and.pred", "ppp", and_pred),
    ROW("or.pred", "ppp", or_pred),
    ROW("xor.pred", "ppp", xor_pred),
    ROW("not.pred", "pp", not_pred),
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

/* The rows of both tables, by the hashes of their names. */
static const struct alu_row *const *row_hashes(void)
{
    static const struct alu_row *hashes[HASHES];
    static bool filled;
    unsigned count = ROW_COUNT + alu_integer_row_count;
    if (!filled && count > HASHES / 2)
        abort(); /* a table of names is to be mostly empty */
    for (unsigned j = 0; !filled && j < count; j++) {
        const struct alu_row *row = j < ROW_COUNT ? &rows[j] : &alu_integer_rows[j - ROW_COUNT];
        uint32_t at = hash_name(row->name) % HASHES;
        while (hashes[at])
            at = (at + 1) % HASHES;
        hashes[at] = row;
    }
    filled = true;
    return hashes;
}

const struct alu_row *alu_find(const char *name)
{
    const struct alu_row *const *hashes = row_hashes();
    for (uint32_t at = hash_name(name) % HASHES; hashes[at]; at = (at + 1) % HASHES)
        if (strcmp(hashes[at]->name, name) == 0)
            return hashes[at];
    return NULL;
}
