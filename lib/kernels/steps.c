/* SPDX-License-Identifier: MIT */
/*
 * The noise that blocks predict.  NAME_square(p) is the sum of the squares of the steps of the
 * elements in the block at p, as is NAME_total(p, squares) given those of its levels; a twelfth of
 * it is the square error of rounding to nearest, were numbers spread evenly.  tensor-types(7) says
 * what a step is, and how far quantizers are from that:
 *
 * - levels at equal distances: the distance, which is the scale of the sub-block;
 * - a table of levels: if the next levels are g and h away, rounding to this one costs
 *   (g^3 + h^3) / (g + h) / 12, so that the square of its step is g^2 - g h + h^2;
 * - a binary16 scale: its own step near 0, 2^-24, times half of what it is multiplied with at most;
 * - a code book of points in eight dimensions: the side of the cube that has a point's share of the
 *   grid from which the points were taken, which is the grid's distance times
 *   (points of the grid / points of the book)^(1/8).
 *
 * What predicts nothing is not here: binary and ternary types, whose models are trained in them,
 * and floats, whose steps are those of each number.
 */
#include "config.h"

#include "kernels/kernels.h"

#include "kernels/bits.h"
#include "kernels/codes.h"
#include "kernels/floats.h"

#undef bool /* the table of types has this name */

static inline double square(float x)
{
    return (double)x * (double)x;
}

/* Of n numbers from 0 to 127, n a multiple of 16.  Compilers do not find the instruction. */
static inline int sum(const int8_t *values, int n)
{
#ifdef __SSE2__
    __m128i totals = _mm_setzero_si128();
    for (int i = 0; i < n; i += 16) {
        __m128i some = _mm_loadu_si128((const __m128i *)(values + i));
        totals = _mm_add_epi64(totals, _mm_sad_epu8(some, _mm_setzero_si128()));
    }
    return _mm_cvtsi128_si32(totals) + _mm_cvtsi128_si32(_mm_unpackhi_epi64(totals, totals));
#else
    int total = 0;
    for (int i = 0; i < n; i++)
        total += values[i];
    return total;
#endif
}

static inline int sum_squares(const int8_t *values, int n)
{
    int total = 0;
    for (int i = 0; i < n; i++)
        total += values[i] * values[i];
    return total;
}

/* Of the bytes of a word. */
static inline int sum_squares_of_bytes(uint64_t bytes)
{
#ifdef __SSE2__
    __m128i v = _mm_unpacklo_epi8(_mm_cvtsi64_si128((long long)bytes), _mm_setzero_si128());
    v = _mm_madd_epi16(v, v);
    v = _mm_add_epi32(v, _mm_shuffle_epi32(v, 0x4e));
    return _mm_cvtsi128_si32(_mm_add_epi32(v, _mm_shuffle_epi32(v, 0xb1)));
#else
    int total = 0;
    for (; bytes; bytes >>= 8)
        total += (int)(bytes & 255) * (int)(bytes & 255);
    return total;
#endif
}

/* --- Levels at equal distances -----------------------------------------------------------------*/

/* Blocks of 32 with a binary16 scale in front. */
#define SCALE_IN_FRONT(name)                                                                       \
    static inline double name##_square(const uint8_t *p)                                           \
    {                                                                                              \
        return 32 * square(load_half(p));                                                          \
    }

SCALE_IN_FRONT(q4_0)
SCALE_IN_FRONT(q4_1)
SCALE_IN_FRONT(q5_0)
SCALE_IN_FRONT(q5_1)
SCALE_IN_FRONT(q8_0)
SCALE_IN_FRONT(q8_1)
SCALE_IN_FRONT(apr_q4)

static inline double q8_k_square(const uint8_t *p)
{
    return 256 * square(float_from_bits(load_le32(p)));
}

static inline double q2_k_square(const uint8_t *p)
{
    int8_t scales[16];
    for (int k = 0; k < 16; k++)
        scales[k] = (int8_t)(p[k] & 15);
    return square(load_half(p + 80)) * (16 * sum_squares(scales, 16));
}

static inline double q3_k_square(const uint8_t *p)
{
    int8_t scales[16];
    q3_k_scales(p + 96, scales);
    return square(load_half(p + 108)) * (16 * sum_squares(scales, 16));
}

static inline double q4_k_square(const uint8_t *p)
{
    return square(load_half(p)) * (32 * sum_squares_of_bytes(q4_k_words(p).factors));
}

static inline double q5_k_square(const uint8_t *p)
{
    return q4_k_square(p);
}

static inline double q6_k_square(const uint8_t *p)
{
    return square(load_half(p + 208)) * (16 * sum_squares((const int8_t *)p + 192, 16));
}

/* --- Tables of levels --------------------------------------------------------------------------*/

/* A fifth of the squares of the steps of iq4_values, to nearest. */
static const int8_t iq4_squares[16] = {106, 97, 77, 58, 46, 37, 31, 27,
                                       27,  29, 31, 40, 48, 67, 99, 115};

static inline double iq4_nl_total(const uint8_t *p, const int8_t *squares)
{
    return square(load_half(p)) * (5 * sum(squares, 32));
}

static inline double iq4_xs_total(const uint8_t *p, const int8_t *squares)
{
    int total = 0;
    for (int g = 0; g < 8; g++) {
        int factor = iq4_xs_factor(p, g);
        total += factor * factor * sum(squares + 32 * g, 32);
    }
    return square(load_half(p)) * (5.0 * total);
}

/* Of fp4_values. */
static const int8_t fp4_squares[16] = {1, 1, 1, 1, 3, 4, 12, 16, 1, 1, 1, 1, 3, 4, 12, 16};

static inline double mxfp4_total(const uint8_t *p, const int8_t *squares)
{
    return square(mxfp4_scale(*p)) * sum(squares, 32);
}

static inline double nvfp4_total(const uint8_t *p, const int8_t *squares)
{
    double total = 0;
    for (int k = 0; k < 4; k++)
        total += square(nvfp4_scale(p[k])) * sum(squares + 16 * k, 16);
    return total;
}

/* --- Code books --------------------------------------------------------------------------------*/

/* Squares of steps, in the unit of the codes. */
#define IQ2_XXS_STEP 773.2819265 /* 17^2 * (6^8 / 2^15)^(1/4): 256 points, 128 signs */
#define IQ2_XS_STEP  650.25      /* 17^2 * (6^8 / 2^16)^(1/4): 512 points, 128 signs */
#define IQ2_S_STEP   459.7961845 /* 17^2 * (6^8 / 2^18)^(1/4): 1024 points, 256 signs */
#define IQ3_XXS_STEP 304.4370214 /* 8^2 * (16^8 / 2^23)^(1/4): twice 256 points, 128 signs */
#define IQ3_S_STEP   11.31370850 /* 2^2 * (16^8 / 2^26)^(1/4): twice 512 points, 256 signs */
#define IQ1_STEP     1.337858004 /* 1^2 * (3^8 / 2^11)^(1/4): 2048 points */

/* The squares of d * (0.5 + s) of sub-blocks are those of d / 2 times those of odd numbers. */
static inline int odd_square(unsigned s)
{
    return (int)((2 * s + 1) * (2 * s + 1));
}

static inline int odd_squares_16(const uint8_t *nibbles)
{
    int total = 0;
    for (int k = 0; k < 8; k++)
        total += odd_square(nibbles[k] & 15) + odd_square(nibbles[k] >> 4);
    return total;
}

/* Of eight sub-blocks, whose factor is in the top nibble of every so many bytes. */
static inline int odd_squares_8(const uint8_t *p, int stride)
{
    int total = 0;
    for (int g = 0; g < 8; g++)
        total += odd_square(p[stride * g] >> 4);
    return total;
}

static inline double iq2_xxs_square(const uint8_t *p)
{
    return square(load_half(p) * 0.125f) * (32 * odd_squares_8(p + 9, 8)) * IQ2_XXS_STEP;
}

static inline double iq2_xs_square(const uint8_t *p)
{
    return square(load_half(p) * 0.125f) * (16 * odd_squares_16(p + 66)) * IQ2_XS_STEP;
}

static inline double iq2_s_square(const uint8_t *p)
{
    return square(load_half(p) * 0.125f) * (16 * odd_squares_16(p + 74)) * IQ2_S_STEP;
}

static inline double iq3_xxs_square(const uint8_t *p)
{
    return square(load_half(p) * 0.25f) * (32 * odd_squares_8(p + 69, 4)) * IQ3_XXS_STEP;
}

static inline double iq3_s_square(const uint8_t *p)
{
    int total = 0;
    for (int k = 0; k < 4; k++)
        total += odd_square(p[106 + k] & 15) + odd_square(p[106 + k] >> 4);
    return square(load_half(p)) * (32 * total) * IQ3_S_STEP;
}

static inline double iq1_s_square(const uint8_t *p)
{
    int total = 0;
    for (int g = 0; g < 8; g++)
        total += odd_square(p[35 + 2 * g] >> 4 & 7);
    return square(load_half(p)) * (32 * total) * IQ1_STEP;
}

static inline double iq1_m_square(const uint8_t *p)
{
    int total = 0;
    for (int k = 0; k < 16; k++)
        total += iq1_m_factor(p, k) * iq1_m_factor(p, k);
    return square(iq1_m_scale(p)) * (16 * total) * IQ1_STEP;
}

/* --- The sums ----------------------------------------------------------------------------------*/

/* NAME_add(p, n, lanes) adds what n blocks have, at most LANES, to as many lanes; NAME_few(p, n) is
 * the sum of at most two, which rows of small models have. */
enum { LANES = 8 };

enum {
#define SIZES(ID, name, code, elements, bytes, ...)                                                \
    BYTES_##ID = (bytes), ELEMENTS_##ID = (elements),
    TENSOR_DTYPES(SIZES)
};

#define ADD(ID, name)                                                                              \
    static inline void name##_add(const uint8_t *p, size_t n, double *lanes)                       \
    {                                                                                              \
        for (size_t i = 0; i < n; i++)                                                             \
            lanes[i] += name##_square(p + i * BYTES_##ID);                                         \
    }                                                                                              \
    static inline double name##_few(const uint8_t *p, size_t n)                                    \
    {                                                                                              \
        double second = n > 1 ? name##_square(p + BYTES_##ID) : 0;                                 \
        return n ? name##_square(p) + second : 0;                                                  \
    }

/* Step by step for all the blocks: in the decoder stands why. */
#define ADD_BY_TABLE(ID, name, table)                                                              \
    static inline void name##_add(const uint8_t *p, size_t n, double *lanes)                       \
    {                                                                                              \
        int8_t q[LANES * ELEMENTS_##ID], squares[LANES * ELEMENTS_##ID];                           \
        for (size_t i = 0; i < n; i++)                                                             \
            name##_codes(p + i * BYTES_##ID, q + i * ELEMENTS_##ID);                               \
        look_up(table, q, (int)n *ELEMENTS_##ID, squares);                                         \
        for (size_t i = 0; i < n; i++)                                                             \
            lanes[i] += name##_total(p + i * BYTES_##ID, squares + i * ELEMENTS_##ID);             \
    }                                                                                              \
    static inline double name##_few(const uint8_t *p, size_t n)                                    \
    {                                                                                              \
        double lanes[LANES] = {0};                                                                 \
        name##_add(p, n, lanes);                                                                   \
        return lanes[0] + lanes[1];                                                                \
    }

ADD(Q4_0, q4_0)
ADD(Q4_1, q4_1)
ADD(Q5_0, q5_0)
ADD(Q5_1, q5_1)
ADD(Q8_0, q8_0)
ADD(Q8_1, q8_1)
ADD(Q2_K, q2_k)
ADD(Q3_K, q3_k)
ADD(Q4_K, q4_k)
ADD(Q5_K, q5_k)
ADD(Q6_K, q6_k)
ADD(Q8_K, q8_k)
ADD(IQ2_XXS, iq2_xxs)
ADD(IQ2_XS, iq2_xs)
ADD(IQ2_S, iq2_s)
ADD(IQ3_XXS, iq3_xxs)
ADD(IQ3_S, iq3_s)
ADD(IQ1_S, iq1_s)
ADD(IQ1_M, iq1_m)
ADD(APR_Q4, apr_q4)
ADD_BY_TABLE(IQ4_NL, iq4_nl, iq4_squares)
ADD_BY_TABLE(IQ4_XS, iq4_xs, iq4_squares)
ADD_BY_TABLE(MXFP4, mxfp4, fp4_squares)
ADD_BY_TABLE(NVFP4, nvfp4, fp4_squares)

/* Of n elements in blocks with a binary16 scale.  That is a multiple of 2^-24 at best: where the
 * largest numbers are near it, scales are rounded, or vanish. */
static inline double scale_square(double n, double most)
{
    double step = most / 2 * 0x1p-24;
    return n * (step * step);
}

static inline double add_lanes(const double *lanes)
{
    return ((lanes[0] + lanes[4]) + (lanes[2] + lanes[6])) +
           ((lanes[1] + lanes[5]) + (lanes[3] + lanes[7]));
}

#define STEPS(ID, name, most, grain)                                                               \
    tu_steps_fn TU_KERNEL(steps_##name);                                                           \
    double TU_KERNEL(steps_##name)(const uint8_t *src, size_t n)                                   \
    {                                                                                              \
        double scale = scale_square((double)n * ELEMENTS_##ID, most), lanes[LANES] = {0};          \
        size_t i = 0;                                                                              \
        if (n <= 2)                                                                                \
            return name##_few(src, n) + scale;                                                     \
        for (; i + LANES <= n; i += LANES)                                                         \
            name##_add(src + i * BYTES_##ID, LANES, lanes);                                        \
        name##_add(src + i * BYTES_##ID, n - i, lanes);                                            \
        return add_lanes(lanes) + scale;                                                           \
    }

TU_STEPS_TYPES(STEPS)

/* Its scale belongs to the tensor. */
tu_steps_fn TU_KERNEL(steps_apr_q8);
double TU_KERNEL(steps_apr_q8)(const uint8_t *src, size_t n)
{
    (void)src;
    return (double)n;
}

/* --- The step of each element ------------------------------------------------------------------*/

/* NAME_grains(p, s) puts the step of each grain of the block at p, or for types with a table
 * NAME_inverses(p, q, inverse) the inverse of that of each element, given its code.  `least` is
 * what kernels.h says of scales: half of what a unit of one is multiplied with. */

static inline float magnitude(float x)
{
    return float_from_bits(float_bits(x) & INT32_MAX);
}

/* NaN is none. */
static inline float larger(float x, float least)
{
    return x > least ? x : least;
}

#define GRAINS_OF_SCALE(name)                                                                      \
    static inline void name##_grains(const uint8_t *p, float *s)                                   \
    {                                                                                              \
        s[0] = magnitude(load_half(p));                                                            \
    }

GRAINS_OF_SCALE(q4_0)
GRAINS_OF_SCALE(q5_0)
GRAINS_OF_SCALE(q8_0)
GRAINS_OF_SCALE(q8_1)
GRAINS_OF_SCALE(apr_q4)

/* A minimum is a half itself, which is spaced so much of what it is at most. */
#define SPACING 0x1p-10f

static inline void q4_1_grains(const uint8_t *p, float *s)
{
    s[0] = larger(magnitude(load_half(p)), magnitude(load_half(p + 2)) * SPACING);
}

static inline void q5_1_grains(const uint8_t *p, float *s)
{
    q4_1_grains(p, s);
}

static inline void q8_k_grains(const uint8_t *p, float *s)
{
    for (int k = 0; k < 8; k++)
        s[k] = magnitude(float_from_bits(load_le32(p)));
}

/* Of n factors (and minima) of sub-blocks, n a multiple of 8, each at least so much. */
static inline void factor_grains(const int8_t *factors, int n, float d, float least, float *s)
{
    const floats leasts = least - (floats){0};
    for (int k = 0; k < n; k += FLOATS) {
        ints bits = (ints)(d * floats_of_bytes(factors + k)) & INT32_MAX;
        store_floats(s + k, larger_floats((floats)bits, leasts));
    }
}

static inline void minimum_grains(const int8_t *mins, int n, float m, float *s)
{
    for (int k = 0; k < n; k += FLOATS)
        store_floats(s + k, larger_floats(m * floats_of_bytes(mins + k), load_floats(s + k)));
}

/* Of types whose codes go up to `most`. */
static inline void k_grains(const uint8_t *p, float most, float *s)
{
    float d = magnitude(load_half(p)), m = magnitude(load_half(p + 2));
    struct words w = q4_k_words(p);
    int8_t factors[8], mins[8];
    store_le64((uint8_t *)factors, w.factors);
    store_le64((uint8_t *)mins, w.mins);
    factor_grains(factors, 8, d, (most * d + m) / 2, s);
    minimum_grains(mins, 8, m * SPACING, s);
}

static inline void q4_k_grains(const uint8_t *p, float *s)
{
    k_grains(p, 15, s);
}

static inline void q5_k_grains(const uint8_t *p, float *s)
{
    k_grains(p, 31, s);
}

static inline void q6_k_grains(const uint8_t *p, float *s)
{
    float d = magnitude(load_half(p + 208));
    factor_grains((const int8_t *)p + 192, 16, d, 32 * d / 2, s);
}

static inline void q3_k_grains(const uint8_t *p, float *s)
{
    float d = magnitude(load_half(p + 108));
    int8_t scales[16];
    q3_k_scales(p + 96, scales);
    factor_grains(scales, 16, d, 4 * d / 2, s);
}

static inline void q2_k_grains(const uint8_t *p, float *s)
{
    float d = magnitude(load_half(p + 80)), m = magnitude(load_half(p + 82));
    int8_t factors[16], mins[16];
    for (int k = 0; k < 16; k++) {
        factors[k] = p[k] & 15;
        mins[k] = (int8_t)(p[k] >> 4);
    }
    factor_grains(factors, 16, d, (3 * d + m) / 2, s);
    minimum_grains(mins, 16, m * SPACING, s);
}

/* The roots of the squares above. */
#define IQ2_XXS_ROOT 27.80794718f
#define IQ2_XS_ROOT  25.5f
#define IQ2_S_ROOT   21.44285857f
#define IQ3_XXS_ROOT 17.44812372f
#define IQ3_S_ROOT   3.363585661f
#define IQ1_ROOT     1.156658077f

/* Of sub-blocks whose factor is an odd number. */
static inline float odd_grain(float d, unsigned code)
{
    return d * (float)(2 * code + 1);
}

static inline void nibble_grains(float d, const uint8_t *nibbles, int count, float *s)
{
    for (int k = 0; k < count; k++)
        s[k] = odd_grain(d, nibbles[k / 2] >> k % 2 * 4 & 15);
}

static inline void iq2_xxs_grains(const uint8_t *p, float *s)
{
    float d = magnitude(load_half(p)) * (0.125f * IQ2_XXS_ROOT);
    for (int g = 0; g < 8; g++)
        s[g] = odd_grain(d, p[9 + 8 * g] >> 4);
}

static inline void iq2_xs_grains(const uint8_t *p, float *s)
{
    nibble_grains(magnitude(load_half(p)) * (0.125f * IQ2_XS_ROOT), p + 66, 16, s);
}

static inline void iq2_s_grains(const uint8_t *p, float *s)
{
    nibble_grains(magnitude(load_half(p)) * (0.125f * IQ2_S_ROOT), p + 74, 16, s);
}

static inline void iq3_xxs_grains(const uint8_t *p, float *s)
{
    float d = magnitude(load_half(p)) * (0.25f * IQ3_XXS_ROOT);
    for (int g = 0; g < 8; g++)
        s[g] = odd_grain(d, p[69 + 4 * g] >> 4);
}

static inline void iq3_s_grains(const uint8_t *p, float *s)
{
    nibble_grains(magnitude(load_half(p)) * IQ3_S_ROOT, p + 106, 8, s);
}

static inline void iq1_s_grains(const uint8_t *p, float *s)
{
    float d = magnitude(load_half(p)) * IQ1_ROOT;
    for (int g = 0; g < 8; g++)
        s[g] = odd_grain(d, p[35 + 2 * g] >> 4 & 7);
}

static inline void iq1_m_grains(const uint8_t *p, float *s)
{
    float d = magnitude(iq1_m_scale(p)) * IQ1_ROOT;
    for (int k = 0; k < 16; k++)
        s[k] = d * (float)iq1_m_factor(p, k);
}

/* Levels a scale apart, of which there are two or three. */
static inline void level_grains(const uint8_t *scale, int elements, float *s)
{
    for (int k = 0; k < elements / 32; k++)
        s[k] = magnitude(load_half(scale));
}

static inline void tq1_0_grains(const uint8_t *p, float *s)
{
    level_grains(p + 52, 256, s);
}

static inline void tq2_0_grains(const uint8_t *p, float *s)
{
    level_grains(p + 64, 256, s);
}

static inline void q1_0_grains(const uint8_t *p, float *s)
{
    level_grains(p, 128, s);
}

static inline void q2_0_grains(const uint8_t *p, float *s)
{
    level_grains(p, 64, s);
}

/* An inverse that is at most that of the least step, where one is known. */
static inline float inverse_of(float step, float least)
{
    return 1 / larger(step, least);
}

/* Of levels: inverse * what the table says of each code, at most `most`. */
static inline void scale_inverses(const int8_t *levels, int n, float inverse, float most, float *to)
{
    for (int i = 0; i < n; i++) {
        float x = inverse * (float)levels[i];
        to[i] = x < most ? x : most;
    }
}

/* Below this no step is. */
#define LEAST 0x1p-120f

/* 1400 over the steps of iq4_values, to nearest. */
#define IQ4_UNIT 1400
static const int8_t iq4_inverses[16] = {61,  63,  71,  82, 93, 103, 112, 121,
                                        121, 117, 112, 99, 90, 76,  63,  58};

static inline void iq4_nl_inverses(const uint8_t *p, const int8_t *levels, float *to)
{
    float d = magnitude(load_half(p));
    float most = 1 / (127.0f * 0x1p-24f);
    scale_inverses(levels, 32, inverse_of(d * IQ4_UNIT, LEAST), most, to);
}

static inline void iq4_xs_inverses(const uint8_t *p, const int8_t *levels, float *to)
{
    float d = magnitude(load_half(p));
    float most = inverse_of(127 * d / 2, 4064.0f * 0x1p-24f);
    for (int g = 0; g < 8; g++) {
        float factor = magnitude((float)iq4_xs_factor(p, g));
        scale_inverses(levels + 32 * g, 32, inverse_of(d * factor * IQ4_UNIT, LEAST), most,
                       to + 32 * g);
    }
}

/* 120 over the steps of fp4_values, to nearest. */
#define FP4_UNIT 120
static const int8_t fp4_inverses[16] = {120, 120, 120, 120, 69, 60, 35, 30,
                                        120, 120, 120, 120, 69, 60, 35, 30};

static inline void mxfp4_inverses(const uint8_t *p, const int8_t *levels, float *to)
{
    scale_inverses(levels, 32, inverse_of(mxfp4_scale(*p) * FP4_UNIT, LEAST), 1 / LEAST, to);
}

/* Its scales are multiples of 2^-10 at best. */
static inline void nvfp4_inverses(const uint8_t *p, const int8_t *levels, float *to)
{
    for (int k = 0; k < 4; k++)
        scale_inverses(levels + 16 * k, 16, inverse_of(nvfp4_scale(p[k]) * FP4_UNIT, LEAST),
                       1 / (12.0f * 0x1p-10f), to + 16 * k);
}

/* Steps to their inverses, all at once. */
static inline void invert(float *steps, size_t n, float least)
{
    const floats leasts = least - (floats){0};
    size_t i = 0;
    for (; i + FLOATS <= n; i += FLOATS)
        store_floats(steps + i, 1 / larger_floats(load_floats(steps + i), leasts));
    for (; i < n; i++)
        steps[i] = inverse_of(steps[i], least);
}

#define RESOLVE_GRAINS(ID, name, most, grain)                                                      \
    for (size_t i = 0; i < n; i++)                                                                 \
        name##_grains(src + i * BYTES_##ID, inverse + i * (ELEMENTS_##ID / (grain)));              \
    invert(inverse, n *(ELEMENTS_##ID / (grain)), larger((most)*0x1p-24f, LEAST));
#define RESOLVE_16(ID, name, most) RESOLVE_GRAINS(ID, name, most, 16)
#define RESOLVE_32(ID, name, most) RESOLVE_GRAINS(ID, name, most, 32)

#define RESOLVE_1(ID, name, most)                                                                  \
    for (size_t i = 0; i < n; i++) {                                                               \
        int8_t q[ELEMENTS_##ID], levels[ELEMENTS_##ID];                                            \
        name##_codes(src + i * BYTES_##ID, q);                                                     \
        look_up(name##_levels, q, ELEMENTS_##ID, levels);                                          \
        name##_inverses(src + i * BYTES_##ID, levels, inverse + i * ELEMENTS_##ID);                \
    }
#define iq4_nl_levels iq4_inverses
#define iq4_xs_levels iq4_inverses
#define mxfp4_levels  fp4_inverses
#define nvfp4_levels  fp4_inverses

#define RESOLVE(ID, name, most, grain)                                                             \
    tu_resolve_fn TU_KERNEL(resolve_##name);                                                       \
    void TU_KERNEL(resolve_##name)(const uint8_t *restrict src, size_t n, float *restrict inverse) \
    {                                                                                              \
        RESOLVE_##grain(ID, name, most)                                                            \
    }

TU_STEPS_TYPES(RESOLVE)
TU_LEVELS_TYPES(RESOLVE)

/* As above. */
tu_resolve_fn TU_KERNEL(resolve_apr_q8);
void TU_KERNEL(resolve_apr_q8)(const uint8_t *restrict src, size_t n, float *restrict inverse)
{
    (void)src;
    for (size_t i = 0; i < n; i++)
        inverse[i] = 1;
}
