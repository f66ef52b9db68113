/* SPDX-License-Identifier: MIT */
/*
 * Decoders.  A plain type has one function here, NAME_block(p, y): the block at p to the floats at
 * y.  A packed type has two: NAME_codes(p, q) of codes.h makes the stored codes of a block small
 * integers in element order, NAME_floats(p, q, y) makes numbers of these.  The table of types makes
 * the loops over them, at the end.  Most steps are loops with fixed counts, which compilers
 * vectorize.
 *
 * Except in Q8_K every product here is exact in float32 (a binary16 scale has 11 significant bits
 * and the integers together at most 12), so only the sum of a type with minima rounds.
 *
 * Which NaN comes of two, or of infinity times zero, is the choice of a processor and of the order
 * that a compiler gives operands: a block whose scales are no numbers has its NaNs made one.
 */
#include "config.h"

#include "kernels/kernels.h"

#include <math.h>

#include "kernels/bits.h"
#include "kernels/codes.h"

#undef bool /* the table of types has this name */

/* --- Integers and floats of one element --------------------------------------------------------*/

static inline void f64_block(const uint8_t *p, float *y)
{
    *y = (float)double_from_bits(load_le64(p));
}

static inline void f32_block(const uint8_t *p, float *y)
{
    *y = float_from_bits(load_le32(p));
}

static inline void f16_block(const uint8_t *p, float *y)
{
    *y = half_to_float_portable(load_le16(p));
}

static inline void bf16_block(const uint8_t *p, float *y)
{
    *y = float_from_bits((uint32_t)load_le16(p) << 16);
}

static inline void i64_block(const uint8_t *p, float *y)
{
    *y = (float)(int64_t)load_le64(p);
}

static inline void i32_block(const uint8_t *p, float *y)
{
    *y = (float)(int32_t)load_le32(p);
}

static inline void i16_block(const uint8_t *p, float *y)
{
    *y = (float)(int16_t)load_le16(p);
}

static inline void i8_block(const uint8_t *p, float *y)
{
    *y = (float)(int8_t)*p;
}

static inline void u64_block(const uint8_t *p, float *y)
{
    *y = (float)load_le64(p);
}

static inline void u32_block(const uint8_t *p, float *y)
{
    *y = (float)load_le32(p);
}

static inline void u16_block(const uint8_t *p, float *y)
{
    *y = (float)load_le16(p);
}

static inline void u8_block(const uint8_t *p, float *y)
{
    *y = (float)*p;
}

static inline void bool_block(const uint8_t *p, float *y)
{
    *y = *p ? 1.0f : 0.0f;
}

/* Compilers do not vectorize with F16C on their own.  Decodes as many whole vectors as there are
 * and returns the number of elements done. */
static inline size_t f16_vectors(const uint8_t *restrict src, size_t n, float *restrict dst)
{
    size_t i = 0;
#ifdef __F16C__
    for (; i + 8 <= n; i += 8) {
        __m128i halves = _mm_loadu_si128((const __m128i *)(src + 2 * i));
        _mm256_storeu_ps(dst + i, _mm256_cvtph_ps(halves));
    }
#else
    (void)src, (void)n, (void)dst;
#endif
    return i;
}

/* --- Floats of 8 bits and fewer ----------------------------------------------------------------*/

static inline void f8_e4m3_block(const uint8_t *p, float *y)
{
    uint32_t nan = (*p & 0x80u) << 24 | 0x7fc00000u;
    uint32_t number = float_bits(minifloat(*p, 0x80, 3, 7));
    *y = float_from_bits(choose((*p & 0x7f) == 0x7f, nan, number));
}

static inline void f8_e5m2_block(const uint8_t *p, float *y)
{
    *y = half_to_float_portable((uint16_t)(*p << 8));
}

/* Without infinities and negative zero, whose code is the NaN. */
static inline void f8_fnuz(uint32_t code, int mantissa, int bias, float *y)
{
    uint32_t number = float_bits(minifloat(code, 0x80, mantissa, bias));
    *y = float_from_bits(choose(code == 0x80, 0x7fc00000u, number));
}

static inline void f8_e4m3fnuz_block(const uint8_t *p, float *y)
{
    f8_fnuz(*p, 3, 8, y);
}

static inline void f8_e5m2fnuz_block(const uint8_t *p, float *y)
{
    f8_fnuz(*p, 2, 16, y);
}

static inline void f8_e8m0_block(const uint8_t *p, float *y)
{
    uint32_t power = *p ? (uint32_t)*p << 23 : 0x00400000u;
    *y = float_from_bits(*p == 0xff ? 0x7fc00000u : power);
}

static inline void minifloats(const int8_t *q, int n, uint32_t sign, int mantissa, int bias,
                              float *y)
{
    for (int i = 0; i < n; i++)
        y[i] = minifloat((uint8_t)q[i], sign, mantissa, bias);
}

static inline void f6_e2m3_floats(const uint8_t *p, const int8_t *q, float *y)
{
    (void)p;
    minifloats(q, 4, 32, 3, 1, y);
}

static inline void f6_e3m2_floats(const uint8_t *p, const int8_t *q, float *y)
{
    (void)p;
    minifloats(q, 4, 32, 2, 3, y);
}

static inline void f4_floats(const uint8_t *p, const int8_t *q, float *y)
{
    (void)p;
    minifloats(q, 2, 8, 1, 1, y);
}

/* --- From codes to floats ----------------------------------------------------------------------*/

/* y = d * q */
static inline void scale(const int8_t *q, int n, float d, float *y)
{
    for (int i = 0; i < n; i++)
        y[i] = d * (float)q[i];
}

/* y = d * q + m */
static inline void scale_and_add(const int8_t *q, int n, float d, float m, float *y)
{
    for (int i = 0; i < n; i++)
        y[i] = d * (float)q[i] + m;
}

/* y = d * q - m */
static inline void scale_and_subtract(const int8_t *q, int n, float d, float m, float *y)
{
    for (int i = 0; i < n; i++)
        y[i] = d * (float)q[i] - m;
}

/* The same with a d (and m) for each 16 elements.  Two of them at a time, because gcc 12 makes
 * poor code of inner loops of 16. */
static inline void scale_16(const int8_t *q, int n, const float *d, float *y)
{
    for (int k = 0; k < n; k += 32) {
        float first = d[k / 16], second = d[k / 16 + 1];
        for (int i = 0; i < 32; i++)
            y[k + i] = (i < 16 ? first : second) * (float)q[k + i];
    }
}

static inline void scale_and_add_16(const int8_t *q, int n, const float *d, const float *m,
                                    float *y)
{
    for (int k = 0; k < n; k += 32) {
        float d0 = d[k / 16], d1 = d[k / 16 + 1], m0 = m[k / 16], m1 = m[k / 16 + 1];
        for (int i = 0; i < 32; i++) {
            float factor = d0, term = m0;
            if (i >= 16)
                factor = d1, term = m1;
            y[k + i] = factor * (float)q[k + i] + term;
        }
    }
}

/* --- Blocks with one scale ---------------------------------------------------------------------*/

static inline void q4_0_floats(const uint8_t *p, const int8_t *q, float *y)
{
    scale(q, 32, load_half(p), y);
}

static inline void q4_1_floats(const uint8_t *p, const int8_t *q, float *y)
{
    scale_and_add(q, 32, load_half(p), load_half(p + 2), y);
}

static inline void q5_0_floats(const uint8_t *p, const int8_t *q, float *y)
{
    scale(q, 32, load_half(p), y);
}

static inline void q5_1_floats(const uint8_t *p, const int8_t *q, float *y)
{
    scale_and_add(q, 32, load_half(p), load_half(p + 2), y);
}

static inline void q8_0_floats(const uint8_t *p, const int8_t *q, float *y)
{
    scale(q, 32, load_half(p), y);
}

static inline void q8_1_floats(const uint8_t *p, const int8_t *q, float *y)
{
    scale(q, 32, load_half(p), y);
}

static inline void q8_k_floats(const uint8_t *p, const int8_t *q, float *y)
{
    scale(q, 256, float_from_bits(load_le32(p)), y);
}

static inline void apr_q4_floats(const uint8_t *p, const int8_t *q, float *y)
{
    scale(q, 32, load_half(p), y);
}

static inline void apr_q8_floats(const uint8_t *p, const int8_t *q, float *y)
{
    (void)p;
    *y = (float)*q;
}

/* --- Binary and ternary ------------------------------------------------------------------------*/

static inline void q1_0_floats(const uint8_t *p, const int8_t *q, float *y)
{
    scale(q, 128, load_half(p), y);
}

static inline void q2_0_floats(const uint8_t *p, const int8_t *q, float *y)
{
    scale(q, 64, load_half(p), y);
}

static inline void tq1_0_floats(const uint8_t *p, const int8_t *q, float *y)
{
    scale(q, 256, load_half(p + 52), y);
}

static inline void tq2_0_floats(const uint8_t *p, const int8_t *q, float *y)
{
    scale(q, 256, load_half(p + 64), y);
}

/* --- K types: 256 elements, sub-blocks with small integer scales -------------------------------*/

static inline void q2_k_floats(const uint8_t *p, const int8_t *q, float *y)
{
    float d = load_half(p + 80), dmin = load_half(p + 82), scales[16], mins[16];
    for (int k = 0; k < 16; k++) {
        scales[k] = d * (float)(p[k] & 15);
        mins[k] = -(dmin * (float)(p[k] >> 4));
    }
    scale_and_add_16(q, 256, scales, mins, y);
}

static inline void q3_k_floats(const uint8_t *p, const int8_t *q, float *y)
{
    float d = load_half(p + 108), scales[16];
    int8_t factors[16];
    q3_k_scales(p + 96, factors);
    scale(factors, 16, d, scales);
    scale_16(q, 256, scales, y);
}

static inline void q4_k_floats(const uint8_t *p, const int8_t *q, float *y)
{
    float d = load_half(p), dmin = load_half(p + 2);
    struct words w = q4_k_words(p);
    for (int k = 0; k < 8; k++)
        scale_and_subtract(q + 32 * k, 32, d * (float)(w.factors >> 8 * k & 255),
                           dmin * (float)(w.mins >> 8 * k & 255), y + 32 * k);
}

#ifdef __AVX512F__
/* Eight bytes as floats. */
static inline __m256 floats_of_bytes(uint64_t bytes)
{
    return _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(_mm_cvtsi64_si128((long long)bytes)));
}

/* A register holds the sixteen numbers that a sub-block can have: nibbles choose among them, and
 * what lies above a nibble does not count. */
static inline void q4_k_vectors(const uint8_t *p, float *y)
{
    const __m512 levels = _mm512_set_ps(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0);
    struct words w = q4_k_words(p);
    __m256 d = _mm256_set1_ps(load_half(p)), dmin = _mm256_set1_ps(load_half(p + 2));
    float factors[8], terms[8];
    _mm256_storeu_ps(factors, _mm256_mul_ps(d, floats_of_bytes(w.factors)));
    _mm256_storeu_ps(terms, _mm256_mul_ps(dmin, floats_of_bytes(w.mins)));
    for (int k = 0; k < 8; k += 2) {
        __m512 numbers[2];
        for (int i = 0; i < 2; i++)
            numbers[i] = _mm512_set1_ps(factors[k + i]) * levels - _mm512_set1_ps(terms[k + i]);
        for (int i = 0; i < 2; i++) {
            const uint8_t *nibbles = p + 16 + 16 * (k + i);
            __m512i pairs = _mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)nibbles));
            float *to = y + 32 * k + 16 * i;
            _mm512_storeu_ps(to, _mm512_permutexvar_ps(pairs, numbers[0]));
            _mm512_storeu_ps(to + 32,
                             _mm512_permutexvar_ps(_mm512_srli_epi32(pairs, 4), numbers[1]));
        }
    }
}
#endif

static inline void q5_k_floats(const uint8_t *p, const int8_t *q, float *y)
{
    q4_k_floats(p, q, y);
}

static inline void q6_k_floats(const uint8_t *p, const int8_t *q, float *y)
{
    float d = load_half(p + 208), scales[16];
    scale((const int8_t *)p + 192, 16, d, scales);
    scale_16(q, 256, scales, y);
}

/* --- IQ types: codes are indices of grids, eight (or four) elements at a time ------------------*/

static inline void iq2_xxs_floats(const uint8_t *p, const int8_t *q, float *y)
{
    float d = load_half(p);
    for (int g = 0; g < 8; g++)
        scale(q + 32 * g, 32, d * (0.5f + (float)(p[9 + 8 * g] >> 4)) * 0.25f, y + 32 * g);
}

/* Sixteen scales of four bits. */
static inline void iq2_floats(float d, const uint8_t *nibble, const int8_t *q, float *y)
{
    float scales[16];
    for (int k = 0; k < 16; k++)
        scales[k] = d * (0.5f + (float)(nibble[k / 2] >> k % 2 * 4 & 15)) * 0.25f;
    scale_16(q, 256, scales, y);
}

static inline void iq2_xs_floats(const uint8_t *p, const int8_t *q, float *y)
{
    iq2_floats(load_half(p), p + 66, q, y);
}

static inline void iq2_s_floats(const uint8_t *p, const int8_t *q, float *y)
{
    iq2_floats(load_half(p), p + 74, q, y);
}

static inline void iq3_xxs_floats(const uint8_t *p, const int8_t *q, float *y)
{
    float d = load_half(p);
    for (int g = 0; g < 8; g++)
        scale(q + 32 * g, 32, d * (0.5f + (float)(p[69 + 4 * g] >> 4)) * 0.5f, y + 32 * g);
}

static inline void iq3_s_floats(const uint8_t *p, const int8_t *q, float *y)
{
    float d = load_half(p);
    for (int g = 0; g < 8; g++) {
        int s = p[106 + g / 2] >> g % 2 * 4 & 15;
        scale(q + 32 * g, 32, d * (float)(2 * s + 1), y + 32 * g);
    }
}

static inline void iq1_s_floats(const uint8_t *p, const int8_t *q, float *y)
{
    float d = load_half(p);
    for (int g = 0; g < 8; g++) {
        int s = p[35 + 2 * g] >> 4 & 7;
        scale(q + 32 * g, 32, d * (float)(2 * s + 1) * 0.125f, y + 32 * g);
    }
}

static inline void iq1_m_floats(const uint8_t *p, const int8_t *q, float *y)
{
    float d = iq1_m_scale(p), scales[16];
    for (int k = 0; k < 16; k++)
        scales[k] = d * (float)iq1_m_factor(p, k) * 0.125f;
    scale_16(q, 256, scales, y);
}

/* --- Types with a table of sixteen values ------------------------------------------------------*/

static inline void iq4_nl_floats(const uint8_t *p, const int8_t *q, float *y)
{
    int8_t values[32];
    look_up(iq4_values, q, 32, values);
    scale(values, 32, load_half(p), y);
}

static inline void iq4_xs_floats(const uint8_t *p, const int8_t *q, float *y)
{
    float d = load_half(p);
    int8_t values[256];
    look_up(iq4_values, q, 256, values);
    for (int g = 0; g < 8; g++)
        scale(values + 32 * g, 32, d * (float)iq4_xs_factor(p, g), y + 32 * g);
}

static inline void mxfp4_floats(const uint8_t *p, const int8_t *q, float *y)
{
    int8_t values[32];
    look_up(fp4_values, q, 32, values);
    scale(values, 32, mxfp4_scale(*p), y);
}

static inline void nvfp4_floats(const uint8_t *p, const int8_t *q, float *y)
{
    float scales[4];
    int8_t values[64];
    for (int k = 0; k < 4; k++)
        scales[k] = nvfp4_scale(p[k]);
    look_up(fp4_values, q, 64, values);
    scale_16(values, 64, scales, y);
}

/* --- Scales that are no numbers ----------------------------------------------------------------*/

/* Infinity or NaN. */
static inline int no_number(const uint8_t *half)
{
    return (half[1] & 0x7c) == 0x7c;
}

/* NAME_wild(p): whether the block at p has such a scale; its numbers are finite otherwise. */
#define NEVER_WILD(name)                                                                           \
    static inline int name##_wild(const uint8_t *p)                                                \
    {                                                                                              \
        (void)p;                                                                                   \
        return 0;                                                                                  \
    }
#define WILD_HALF(name, at)                                                                        \
    static inline int name##_wild(const uint8_t *p)                                                \
    {                                                                                              \
        return no_number(p + at);                                                                  \
    }
#define WILD_HALVES(name, at, other)                                                               \
    static inline int name##_wild(const uint8_t *p)                                                \
    {                                                                                              \
        return no_number(p + at) | no_number(p + other);                                           \
    }

NEVER_WILD(f4)
NEVER_WILD(f6_e2m3)
NEVER_WILD(f6_e3m2)
NEVER_WILD(apr_q8) /* its scale is that of the tensor, and applied elsewhere */
NEVER_WILD(mxfp4)
NEVER_WILD(nvfp4)
WILD_HALF(q4_0, 0)
WILD_HALF(q5_0, 0)
WILD_HALF(q8_0, 0)
WILD_HALF(q8_1, 0)
WILD_HALF(apr_q4, 0)
WILD_HALF(q1_0, 0)
WILD_HALF(q2_0, 0)
WILD_HALF(tq1_0, 52)
WILD_HALF(tq2_0, 64)
WILD_HALF(q3_k, 108)
WILD_HALF(q6_k, 208)
WILD_HALF(iq2_xxs, 0)
WILD_HALF(iq2_xs, 0)
WILD_HALF(iq2_s, 0)
WILD_HALF(iq3_xxs, 0)
WILD_HALF(iq3_s, 0)
WILD_HALF(iq1_s, 0)
WILD_HALF(iq4_nl, 0)
WILD_HALF(iq4_xs, 0)
WILD_HALF(q8_k, 2) /* the upper half of a float32; that large numbers count, too, does no harm */
WILD_HALVES(q4_1, 0, 2)
WILD_HALVES(q5_1, 0, 2)
WILD_HALVES(q2_k, 80, 82)
WILD_HALVES(q4_k, 0, 2)
WILD_HALVES(q5_k, 0, 2)

/* Its scale is spread over four words. */
static inline int iq1_m_wild(const uint8_t *p)
{
    return !isfinite(iq1_m_scale(p));
}

/* The NaNs of such a block become the one that is positive, quiet and has no payload. */
static __attribute__((cold, noinline)) void one_nan(float *y, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (isnan(y[i]))
            y[i] = float_from_bits(0x7fc00000u);
}

/* --- The decoders ------------------------------------------------------------------------------*/

/* How many blocks of a type are decoded at once, where there is a better way than one by one. */
static inline size_t decode_many(int code, const uint8_t *restrict src, size_t n,
                                 float *restrict dst)
{
#ifdef __AVX512F__
    if (code == TENSOR_Q4_K) {
        for (size_t i = 0; i < n; i++) {
            q4_k_vectors(src + i * 144, dst + i * 256);
            if (q4_k_wild(src + i * 144))
                one_nan(dst + i * 256, 256);
        }
        return n;
    }
#endif
    if (code == TENSOR_F16)
        return f16_vectors(src, n, dst);
    if (code != TENSOR_F32 || __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__)
        return 0;
    if (n)
        memcpy(dst, src, n * sizeof *dst);
    return n;
}

/* How many elements are taken as codes before they are scaled: with fewer, the vector loads of
 * the second step come before the narrower stores of the first have left the store buffer, and
 * wait for them. */
enum { STRIDE = 256 };

#define PLAIN_DECODER(name, code, elements, bytes, decode)                                         \
    tu_decode_fn decode;                                                                           \
    void decode(const uint8_t *restrict src, size_t n, float *restrict dst)                        \
    {                                                                                              \
        for (size_t i = decode_many(code, src, n, dst); i < n; i++)                                \
            name##_block(src + i * bytes, dst + i * elements);                                     \
    }

#define PACKED_DECODER(name, code, elements, bytes, decode)                                        \
    tu_decode_fn decode;                                                                           \
    void decode(const uint8_t *restrict src, size_t n, float *restrict dst)                        \
    {                                                                                              \
        int8_t q[STRIDE];                                                                          \
        for (size_t done = decode_many(code, src, n, dst), step; done < n; done += step) {         \
            step = n - done < STRIDE / elements ? n - done : STRIDE / elements;                    \
            for (size_t i = 0; i < step; i++)                                                      \
                name##_codes(src + (done + i) * bytes, q + i * elements);                          \
            for (size_t i = 0; i < step; i++)                                                      \
                name##_floats(src + (done + i) * bytes, q + i * elements,                          \
                              dst + (done + i) * elements);                                        \
            for (size_t i = 0; i < step; i++)                                                      \
                if (name##_wild(src + (done + i) * bytes))                                         \
                    one_nan(dst + (done + i) * elements, elements);                                \
        }                                                                                          \
    }

/* Of floats, those with more than one to a block have codes. */
#define DECODER_FLOAT_1 PLAIN_DECODER
#define DECODER_FLOAT_2 PACKED_DECODER
#define DECODER_FLOAT_4 PACKED_DECODER
#define DECODER_FLOAT(name, code, elements, ...)                                                   \
    DECODER_FLOAT_##elements(name, code, elements, __VA_ARGS__)
#define DECODER_INT   PLAIN_DECODER
#define DECODER_BOOL  PLAIN_DECODER
#define DECODER_QUANT PACKED_DECODER
#define DECODER_COMPLEX(...)
#define DECODER(ID, name, code, elements, bytes, head, kind, ...)                                  \
    DECODER_##kind(name, code, elements, bytes, TU_KERNEL(decode_##name))

TENSOR_DTYPES(DECODER)

/* --- Wide decoders -----------------------------------------------------------------------------*/

static inline void f64_wide(const uint8_t *p, double *hi, double *lo)
{
    *hi = double_from_bits(load_le64(p));
    *lo = 0;
}

static inline void i32_wide(const uint8_t *p, double *hi, double *lo)
{
    *hi = (int32_t)load_le32(p);
    *lo = 0;
}

static inline void u32_wide(const uint8_t *p, double *hi, double *lo)
{
    *hi = load_le32(p);
    *lo = 0;
}

/* Two halves that doubles hold exactly, added with the rounding error kept.  The upper one is 0
 * or the larger, which this way to find the error needs. */
static inline void add_exactly(double upper, double lower, double *hi, double *lo)
{
    *hi = upper + lower;
    *lo = lower - (*hi - upper);
}

static inline void i64_wide(const uint8_t *p, double *hi, double *lo)
{
    add_exactly((int32_t)load_le32(p + 4) * 0x1p32, load_le32(p), hi, lo);
}

static inline void u64_wide(const uint8_t *p, double *hi, double *lo)
{
    add_exactly(load_le32(p + 4) * 0x1p32, load_le32(p), hi, lo);
}

#define WIDE_LOOP(decode, wide, bytes)                                                             \
    tu_decode_wide_fn decode;                                                                      \
    void decode(const uint8_t *restrict src, size_t n, double *restrict hi, double *restrict lo)   \
    {                                                                                              \
        for (size_t i = 0; i < n; i++)                                                             \
            wide(src + i * bytes, hi + i, lo + i);                                                 \
    }
#define WIDE_DECODER(name, bytes) WIDE_LOOP(TU_KERNEL(decode_wide_##name), name##_wide, bytes)

WIDE_DECODER(f64, 8)
WIDE_DECODER(i64, 8)
WIDE_DECODER(i32, 4)
WIDE_DECODER(u64, 8)
WIDE_DECODER(u32, 4)
