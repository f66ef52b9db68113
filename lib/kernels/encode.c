/* SPDX-License-Identifier: MIT */
/*
 * Encoders.  Each type has one function here, NAME_block(x, p): the floats of one block at x to
 * its bytes at p.  Loops over them are made at the end.
 *
 * Activation types and the simple types give the bits of the reference quantizers.  The K types
 * leave a choice to the encoder; the search for good scales here is our own.
 *
 * Elements are expected to be finite.  Others do no harm, but what becomes of their block, scale
 * included, means nothing and may differ between instruction sets.
 */
#include "config.h"

#include "kernels/kernels.h"

#include "kernels/codes.h"

#undef bool /* the table of types has this name */

/* --- Rounding ----------------------------------------------------------------------------------*/

static inline float choose_float(int condition, float a, float b)
{
    return float_from_bits(choose(condition, float_bits(a), float_bits(b)));
}

/* Between two limits; NaN becomes the lower one. */
static inline float clamp(float v, float low, float high)
{
    v = choose_float(v > low, v, low);
    return choose_float(v < high, v, high);
}

/* The nearest whole number between two limits, ties to even.  Adding 1.5 * 2^23 pushes the fraction
 * out of the mantissa; there floats are ordered as their bits are, and limits applied to these make
 * no branches. */
static inline float nearest(float v, int low, int high)
{
    const int32_t least = 0x4b400000 + low, most = 0x4b400000 + high;
    uint32_t bits = float_bits(v + 0x1.8p23f);
    bits = choose((int32_t)bits > least, bits, (uint32_t)least);
    bits = choose((int32_t)bits < most, bits, (uint32_t)most);
    return float_from_bits(bits) - 0x1.8p23f;
}

/* The nearest whole number, ties away from zero. */
static inline int away(float v, int low, int high)
{
    v = clamp(v, (float)low, (float)high);
    int whole = (int)v;
    float fraction = v - (float)whole;
    return whole + (fraction >= 0.5f) - (fraction <= -0.5f);
}

/* Cuts the fraction off. */
static inline int cut(float v, int low, int high)
{
    return (int)clamp(v, (float)low, (float)high);
}

static inline float inverse(float v)
{
    return v != 0 ? 1 / v : 0;
}

/* The largest magnitude.  Bits of positive floats are ordered as they are. */
static inline float magnitude(const float *x, int n)
{
    uint32_t most = 0;
    for (int i = 0; i < n; i++) {
        uint32_t bits = float_bits(x[i]) & 0x7fffffffu;
        most = bits > most ? bits : most;
    }
    return float_from_bits(most);
}

/* The first element of the largest magnitude, with its sign. */
static inline float extreme(const float *x, int n)
{
    float most = magnitude(x, n);
    uint32_t above = 0, below = 0;
    for (int i = 0; i < n; i++) {
        above |= x[i] == most;
        below |= x[i] == -most;
    }
    if (!(above & below))
        return below ? -most : most;
    for (int i = 0; i < n; i++)
        if (x[i] == most || x[i] == -most)
            return x[i] < 0 ? -most : most;
    return most;
}

static inline void store_half(uint8_t *p, float v)
{
    store_le16(p, float_to_half(v));
}

/* --- Codes to bytes; decode.c has the other direction ------------------------------------------*/

static inline void join_nibbles(const uint8_t *q, int bytes, int run, uint8_t *p)
{
    for (int i = 0; i < bytes; i += run)
        for (int j = 0; j < run; j++)
            p[i + j] = (uint8_t)((q[2 * i + j] & 15) | q[2 * i + run + j] << 4);
}

/* The bit pairs of q, from bit `shift` on. */
static inline void join_bit_pairs(const uint8_t *q, int bytes, int shift, uint8_t *p)
{
    for (int i = 0; i < bytes; i += 32) {
        for (int j = 0; j < 32; j++) {
            unsigned byte = 0;
            for (int k = 0; k < 4; k++)
                byte |= (q[4 * i + 32 * k + j] >> shift & 3u) << 2 * k;
            p[i + j] = (uint8_t)byte;
        }
    }
}

/* Bit `shift` of q. */
static inline void join_bit_planes(const uint8_t *q, int shift, uint8_t *p)
{
    for (int j = 0; j < 32; j++) {
        unsigned byte = 0;
        for (int k = 0; k < 8; k++)
            byte |= (q[32 * k + j] >> shift & 1u) << k;
        p[j] = (uint8_t)byte;
    }
}

/* --- Floats ------------------------------------------------------------------------------------*/

static inline void f64_block(const float *x, uint8_t *p)
{
    store_le64(p, double_bits((double)*x));
}

static inline void f32_block(const float *x, uint8_t *p)
{
    store_le32(p, float_bits(*x));
}

static inline void f16_block(const float *x, uint8_t *p)
{
    store_le16(p, float_to_half_portable(*x));
}

static inline void bf16_block(const float *x, uint8_t *p)
{
    store_le16(p, float_to_bfloat(*x));
}

/* --- Eight bits --------------------------------------------------------------------------------*/

/* Returns the scale before it is rounded to a half, which is the one that codes are made with. */
static inline float eight_bits(const float *x, int8_t *q)
{
    float d = magnitude(x, 32) / 127, id = inverse(d);
    for (int i = 0; i < 32; i++)
        q[i] = (int8_t)away(x[i] * id, -127, 127);
    return d;
}

static inline void q8_0_block(const float *x, uint8_t *p)
{
    store_half(p, eight_bits(x, (int8_t *)p + 2));
}

static inline void q8_1_block(const float *x, uint8_t *p)
{
    const int8_t *q = (const int8_t *)p + 4;
    float d = eight_bits(x, (int8_t *)p + 4);
    int sum = 0;
    for (int i = 0; i < 32; i++)
        sum += q[i];
    store_half(p, d);
    store_half(p + 2, (float)sum * d);
}

static inline void q8_k_block(const float *x, uint8_t *p)
{
    float most = extreme(x, 256), id = most != 0 ? -127 / most : 0;
    int8_t *q = (int8_t *)p + 4;
    store_le32(p, float_bits(inverse(id)));
    for (int i = 0; i < 256; i++)
        q[i] = (int8_t)nearest(id * x[i], -127, 127);
    for (int k = 0; k < 16; k++) {
        int sum = 0;
        for (int i = 0; i < 16; i++)
            sum += q[16 * k + i];
        store_le16(p + 260 + 2 * k, (uint16_t)sum);
    }
}

/* The scale is the tensor's: the largest magnitude / 127, or 1 if that is 0. */
void TU_KERNEL(encode_apr_q8_scaled)(const float *restrict src, size_t n, float scale,
                                     uint8_t *restrict dst);
void TU_KERNEL(encode_apr_q8_scaled)(const float *restrict src, size_t n, float scale,
                                     uint8_t *restrict dst)
{
    for (size_t i = 0; i < n; i++)
        dst[i] = (uint8_t)away(src[i] / scale, -127, 127);
}

/* --- Four and five bits ------------------------------------------------------------------------*/

/* The extreme element gets the least code, whose magnitude is one more than the largest one's. */
static inline float around_zero(const float *x, int middle, uint8_t *q)
{
    float d = extreme(x, 32) / (float)-middle, id = inverse(d);
    for (int i = 0; i < 32; i++)
        q[i] = (uint8_t)cut(x[i] * id + ((float)middle + 0.5f), 0, 2 * middle - 1);
    return d;
}

/* The first of the least and of the largest elements, of which zeros may have two signs. */
static inline void find_range(const float *x, float *least, float *most)
{
    float low[16], high[16];
    for (int k = 0; k < 16; k++) {
        low[k] = choose_float(x[16 + k] < x[k], x[16 + k], x[k]);
        high[k] = choose_float(x[16 + k] > x[k], x[16 + k], x[k]);
    }
    for (int half = 8; half; half /= 2) {
        for (int k = 0; k < half; k++) {
            low[k] = choose_float(low[half + k] < low[k], low[half + k], low[k]);
            high[k] = choose_float(high[half + k] > high[k], high[half + k], high[k]);
        }
    }
    *least = low[0];
    *most = high[0];
    for (int i = 31; i >= 0 && *least == 0; i--)
        *least = x[i] == 0 ? x[i] : *least;
}

/* Returns the scale; the minimum goes to *min. */
static inline float above_minimum(const float *x, int top, float *min, uint8_t *q)
{
    float least, most;
    find_range(x, &least, &most);
    float d = (most - least) / (float)top, id = inverse(d);
    for (int i = 0; i < 32; i++)
        q[i] = (uint8_t)cut((x[i] - least) * id + 0.5f, 0, top);
    *min = least;
    return d;
}

static inline void join_five_bits(const uint8_t *q, uint8_t *p)
{
    uint32_t high = 0;
    for (int i = 0; i < 32; i++)
        high |= (uint32_t)(q[i] >> 4) << i;
    store_le32(p, high);
    join_nibbles(q, 16, 16, p + 4);
}

static inline void q4_0_block(const float *x, uint8_t *p)
{
    uint8_t q[32];
    store_half(p, around_zero(x, 8, q));
    join_nibbles(q, 16, 16, p + 2);
}

static inline void q5_0_block(const float *x, uint8_t *p)
{
    uint8_t q[32];
    store_half(p, around_zero(x, 16, q));
    join_five_bits(q, p + 2);
}

static inline void q4_1_block(const float *x, uint8_t *p)
{
    uint8_t q[32];
    float min;
    store_half(p, above_minimum(x, 15, &min, q));
    store_half(p + 2, min);
    join_nibbles(q, 16, 16, p + 4);
}

static inline void q5_1_block(const float *x, uint8_t *p)
{
    uint8_t q[32];
    float min;
    store_half(p, above_minimum(x, 31, &min, q));
    store_half(p + 2, min);
    join_five_bits(q, p + 4);
}

static inline void apr_q4_block(const float *x, uint8_t *p)
{
    float most = magnitude(x, 32), d = most != 0 ? most / 7 : 1;
    uint8_t q[32];
    for (int i = 0; i < 32; i++)
        q[i] = (uint8_t)(away(x[i] / d, -8, 7) + 8);
    store_half(p, d);
    join_nibbles(q, 16, 1, p + 2);
}

/* --- Binary and ternary ------------------------------------------------------------------------*/

static inline void q1_0_block(const float *x, uint8_t *p)
{
    float sum = 0;
    for (int i = 0; i < 128; i++)
        sum += __builtin_fabsf(x[i]);
    store_half(p, sum / 128);
    for (int i = 0; i < 16; i++) {
        unsigned byte = 0;
        for (int k = 0; k < 8; k++)
            byte |= (unsigned)(x[8 * i + k] >= 0) << k;
        p[2 + i] = (uint8_t)byte;
    }
}

/* 0, 1 and 2 for the thirds of the range.  Returns the scale. */
static inline float ternary(const float *x, int n, uint8_t *q)
{
    float d = magnitude(x, n), id = inverse(d);
    for (int i = 0; i < n; i++)
        q[i] = (uint8_t)(away(x[i] * id, -1, 1) + 1);
    return d;
}

static inline void q2_0_block(const float *x, uint8_t *p)
{
    uint8_t q[64];
    store_half(p, ternary(x, 64, q));
    for (int i = 0; i < 16; i++)
        p[2 + i] = (uint8_t)(q[4 * i] | q[4 * i + 1] << 2 | q[4 * i + 2] << 4 | q[4 * i + 3] << 6);
}

static inline void tq2_0_block(const float *x, uint8_t *p)
{
    uint8_t q[256];
    store_half(p + 64, ternary(x, 256, q));
    join_bit_pairs(q, 64, 0, p);
}

/* Base 3, as a fraction of 256, rounded up so that the decoder's multiplications give each digit
 * back. */
static inline void join_trits(const uint8_t *q, int bytes, int count, uint8_t *p)
{
    for (int j = 0; j < bytes; j++) {
        unsigned v = 0;
        for (int n = 0; n < 5; n++)
            v = 3 * v + (n < count ? q[n * bytes + j] : 0);
        p[j] = (uint8_t)((v * 256 + 242) / 243);
    }
}

static inline void tq1_0_block(const float *x, uint8_t *p)
{
    uint8_t q[256];
    store_half(p + 52, ternary(x, 256, q));
    join_trits(q, 32, 5, p);
    join_trits(q + 160, 16, 5, p + 32);
    join_trits(q + 240, 4, 4, p + 48);
}

/* --- MXFP4 -------------------------------------------------------------------------------------*/

/* The scale is the power of two that brings the largest magnitude between 4 and 8.  A value goes
 * to the nearest code, from a midpoint towards zero; limits are midpoints in halves of the scale,
 * as the decoder has it. */
static inline void mxfp4_block(const float *x, uint8_t *p)
{
    static const float limits[7] = {0.5f, 1.5f, 2.5f, 3.5f, 5, 7, 10};
    int e = (int)(float_bits(magnitude(x, 32)) >> 23) - 2;
    e = e < 0 ? 0 : e;
    float half = float_from_bits(e < 2 ? 0x00200000u << e : (e - 1u) << 23);
    uint8_t q[32];
    for (int i = 0; i < 32; i++) {
        int code = 0;
        for (int k = 0; k < 7; k++)
            code += __builtin_fabsf(x[i]) > limits[k] * half;
        q[i] = (uint8_t)(code + (x[i] < 0 && code ? 8 : 0));
    }
    p[0] = (uint8_t)e;
    join_nibbles(q, 16, 16, p + 1);
}

/* --- Types with a table of sixteen values ------------------------------------------------------*/

/* The nearest of the table's values, which rise, for each of n numbers: from a midpoint down. */
static inline void iq4_values_near(const float *v, int n, float *values)
{
    for (int i = 0; i < n; i++)
        values[i] = (float)iq4_values[0];
    for (int k = 0; k < 15; k++) {
        float middle = 0.5f * (float)(iq4_values[k] + iq4_values[k + 1]);
        for (int i = 0; i < n; i++)
            values[i] = choose_float(v[i] > middle, (float)iq4_values[k + 1], values[i]);
    }
}

static inline int iq4_code(float v)
{
    int code = 0;
    for (int k = 0; k < 15; k++)
        code += v > 0.5f * (float)(iq4_values[k] + iq4_values[k + 1]);
    return code;
}

/* Codes of 32 values for one scale. */
static inline void iq4_codes(const float *x, float scale, uint8_t *q)
{
    float id = inverse(scale);
    for (int i = 0; i < 32; i++)
        q[i] = (uint8_t)iq4_code(x[i] * id);
}

/* Tries of scales for 32 values, all of them at a time: the values that each makes of them, and,
 * where asked for, the scale that fits these best; then the error that it leaves.  Each is a lane,
 * which gives its sums one order. */
enum { IQ4_TRIES = 48 };
struct iq4_tries {
    float scale[IQ4_TRIES], error[IQ4_TRIES], values[32][IQ4_TRIES];
};

__attribute__((always_inline)) static inline void iq4_try(const float *x, int n, int fit,
                                                          struct iq4_tries *t)
{
    float id[IQ4_TRIES], scaled[IQ4_TRIES], products[IQ4_TRIES] = {0}, squares[IQ4_TRIES] = {0};
    for (int k = 0; k < n; k++) {
        id[k] = inverse(t->scale[k]);
        t->error[k] = 0;
    }
    for (int i = 0; i < 32; i++) {
        for (int k = 0; k < n; k++)
            scaled[k] = x[i] * id[k];
        iq4_values_near(scaled, n, t->values[i]);
        for (int k = 0; k < n; k++) {
            products[k] += x[i] * t->values[i][k];
            squares[k] += t->values[i][k] * t->values[i][k];
        }
    }
    for (int k = 0; fit && k < n; k++)
        t->scale[k] = squares[k] > 0 ? products[k] / squares[k] : 0;
    for (int i = 0; i < 32; i++) {
        for (int k = 0; k < n; k++) {
            float rest = x[i] - t->scale[k] * t->values[i][k];
            t->error[k] += rest * rest;
        }
    }
}

/* The scale that leaves the least error, of those that take the extreme value near either end of
 * the table. */
static inline float iq4_scale(const float *x)
{
    struct iq4_tries t;
    float most = extreme(x, 32), best = 0, least = __builtin_inff();
    for (int k = 0; k < IQ4_TRIES; k++) /* what is beyond 34 of them is not looked at */
        t.scale[k] = k < 34 ? most / (float)(k % 2 ? 105 + k / 2 : -135 + k / 2) : 0;
    iq4_try(x, IQ4_TRIES, 1, &t);
    for (int k = 0; k < 34; k++) {
        if (t.error[k] < least) {
            least = t.error[k];
            best = t.scale[k];
        }
    }
    return best;
}

static inline void iq4_nl_block(const float *x, uint8_t *p)
{
    uint8_t q[32];
    store_half(p, iq4_scale(x));
    iq4_codes(x, load_half(p), q);
    join_nibbles(q, 16, 16, p + 2);
}

/* The whole number for a sub-block's scale, of those around the best one. */
static inline int iq4_step(const float *x, float d, float scale)
{
    struct iq4_tries t;
    int middle = (int)nearest(scale * inverse(d), -32, 31), best = middle;
    float least = __builtin_inff();
    for (int k = 0; k < 16; k++)
        t.scale[k] = d * (float)(middle - 1 + k);
    iq4_try(x, 16, 0, &t);
    for (int k = 0; k < 3; k++) {
        int s = middle - 1 + k;
        if (s >= -32 && s <= 31 && t.error[k] < least) {
            least = t.error[k];
            best = s;
        }
    }
    return best;
}

/* d fitted to all codes of the block. */
static inline float iq4_fit(const float *x, const int *steps, const uint8_t *q)
{
    float products = 0, squares = 0;
    for (int i = 0; i < 256; i++) {
        float value = (float)(steps[i / 32] * iq4_values[q[i]]);
        products += x[i] * value;
        squares += value * value;
    }
    return squares > 0 ? products / squares : 0;
}

static inline void iq4_xs_block(const float *x, uint8_t *p)
{
    float scales[8];
    int steps[8];
    uint8_t q[256];
    for (int g = 0; g < 8; g++)
        scales[g] = iq4_scale(x + 32 * g);
    float d = extreme(scales, 8) / -32;
    for (int round = 0; round < 2; round++) {
        for (int g = 0; g < 8; g++) {
            steps[g] = iq4_step(x + 32 * g, d, scales[g]);
            iq4_codes(x + 32 * g, d * (float)steps[g], q + 32 * g);
        }
        d = iq4_fit(x, steps, q);
    }
    store_half(p, d);
    d = load_half(p);
    unsigned high = 0;
    for (int i = 4; i < 8; i++)
        p[i] = 0;
    for (int g = 0; g < 8; g++) {
        unsigned s = (unsigned)(steps[g] + 32);
        iq4_codes(x + 32 * g, d * (float)steps[g], q + 32 * g);
        p[4 + g / 2] |= (uint8_t)((s & 15) << 4 * (g % 2));
        high |= (s >> 4) << 2 * g;
    }
    store_le16(p + 2, (uint16_t)high);
    join_nibbles(q, 128, 16, p + 8);
}

/* Codes of 16 values for one scale, and the error that they leave. */
static inline float nvfp4_codes_for(const float *x, float scale, uint8_t *q)
{
    static const float limits[7] = {0.5f, 1.5f, 2.5f, 3.5f, 5, 7, 10};
    float error = 0;
    for (int i = 0; i < 16; i++) {
        int code = 0;
        for (int k = 0; k < 7; k++)
            code += __builtin_fabsf(x[i]) > limits[k] * scale;
        float rest = __builtin_fabsf(x[i]) - scale * (float)fp4_values[code];
        q[i] = (uint8_t)(code + (x[i] < 0 && code ? 8 : 0));
        error += rest * rest;
    }
    return error;
}

/* The largest scale with which no value is beyond the codes, or one of those below it, whichever
 * leaves the least error. */
static inline void nvfp4_block(const float *x, uint8_t *p)
{
    uint8_t q[64];
    for (int k = 0; k < 4; k++) {
        float most = magnitude(x + 16 * k, 16), least = __builtin_inff();
        int top = 0;
        for (int bit = 64; bit; bit /= 2)
            if ((top | bit) < 0x7f && 12 * nvfp4_scale((uint8_t)(top | bit)) <= most)
                top |= bit;
        p[k] = 0;
        for (int code = top > 8 ? top - 8 : 0; code <= top + 1 && code < 0x7f; code++) {
            uint8_t tried[16];
            float error = nvfp4_codes_for(x + 16 * k, nvfp4_scale((uint8_t)code), tried);
            if (error < least) {
                least = error;
                p[k] = (uint8_t)code;
            }
        }
        nvfp4_codes_for(x + 16 * k, nvfp4_scale(p[k]), q + 16 * k);
    }
    join_nibbles(q, 32, 8, p + 4);
}

/* --- K types -----------------------------------------------------------------------------------*/

/*
 * A block of a K type is 256 elements in sub-blocks, each with a line x = a * q + b of its own:
 * a is the block's d times a small integer, b is minus its dmin times another, or 0 in types
 * without minima.  What the search here makes small is the plain sum of squared errors:
 *
 *   1. Each sub-block tries some lines.  The codes that a line gives are fitted with a line by
 *      least squares, and the one that explains most is kept.
 *   2. d and dmin are as large as the steepest line and the lowest one need.
 *   3. Scales and minima become the integers around what the line asks for, whichever leave the
 *      smallest error with codes made anew; then d and dmin are fitted to all codes.  Twice.
 *
 * Sub-blocks are lanes: element i of sub-block k is at x[i * lanes + k], and all of them go
 * through each step together.  This vectorizes, and gives every sum one order.
 */
enum { LANES = 16, ROUNDS = 2 };

struct k_type {
    int lanes, length;                   /* sub-blocks, and their elements */
    int low, high;                       /* least and largest code */
    int scale_low, scale_high, min_high; /* the same of scales and minima */
    int tries;                           /* ends of a range that step 1 tries */
    float step;                          /* between two of them, in codes */
};

static const struct k_type q2_k = {16, 16, 0, 3, 0, 15, 15, 3, 0.3f};
static const struct k_type q3_k = {16, 16, -4, 3, -32, 31, 0, 4, 0.5f};
static const struct k_type q4_k = {8, 32, 0, 15, 0, 63, 63, 3, 0.3f};
static const struct k_type q5_k = {8, 32, 0, 31, 0, 63, 63, 3, 0.3f};
static const struct k_type q6_k = {16, 16, -32, 31, -128, 127, 0, 8, 0.5f};

/* The lowest element of each lane or 0, the highest or 0, and the sum. */
struct extent {
    float low[LANES], high[LANES], total[LANES];
};

struct line {
    float a[LANES], b[LANES];
};

/* Sums over the codes q of each lane, and of its squared errors. */
struct sums {
    float q[LANES], qq[LANES], xq[LANES], error[LANES];
};

/* A block before it is packed. */
struct k_block {
    float d, dmin, scale[LANES], min[LANES];
};

/* With the type known every loop below has a fixed count. */
#define INLINE __attribute__((always_inline)) static inline

/* 0 for what has no useful one. */
INLINE float reciprocal(float v)
{
    int usable = __builtin_fabsf(v) > 0x1p-126f;
    return (float)usable / choose_float(usable, v, 1);
}

INLINE void find_extent(const struct k_type *t, const float *x, struct extent *e)
{
    *e = (struct extent){.low = {0}};
    for (int i = 0; i < t->length; i++) {
        for (int k = 0; k < t->lanes; k++) {
            float v = x[i * t->lanes + k];
            e->low[k] = v < e->low[k] ? v : e->low[k];
            e->high[k] = v > e->high[k] ? v : e->high[k];
            e->total[k] += v;
        }
    }
}

INLINE void add_codes(const struct k_type *t, const float *x, const struct line *line,
                      struct sums *sums)
{
    float id[LANES];
    *sums = (struct sums){.q = {0}};
    for (int k = 0; k < t->lanes; k++)
        id[k] = reciprocal(line->a[k]);
    for (int i = 0; i < t->length; i++) {
        for (int k = 0; k < t->lanes; k++) {
            float v = x[i * t->lanes + k];
            float q = nearest((v - line->b[k]) * id[k], t->low, t->high);
            float rest = v - (line->a[k] * q + line->b[k]);
            sums->q[k] += q;
            sums->qq[k] += q * q;
            sums->xq[k] += v * q;
            sums->error[k] += rest * rest;
        }
    }
}

/* The line of least squares for codes of these sums, with b not above 0, and how much of the sum
 * of squared elements it explains. */
INLINE void fit_line(const struct k_type *t, const struct extent *e, const struct sums *sums,
                     struct line *line, float *gain)
{
    float n = (float)t->length;
    for (int k = 0; k < t->lanes; k++) {
        float q = sums->q[k], qq = sums->qq[k], xq = sums->xq[k], total = e->total[k];
        float a = (n * xq - total * q) * reciprocal(n * qq - q * q);
        float b = (total - a * q) / n;
        int through_zero = !t->min_high | (b > 0);
        line->a[k] = choose_float(through_zero, xq * reciprocal(qq), a);
        line->b[k] = choose_float(through_zero, 0, b);
        gain[k] = line->a[k] * xq + line->b[k] * total;
    }
}

/* The line over the whole range, less some steps at either end. */
INLINE void line_with_minimum(const struct k_type *t, const struct extent *e, int lower, int upper,
                              struct line *line)
{
    for (int k = 0; k < t->lanes; k++) {
        float a = (e->high[k] - e->low[k]) / (float)t->high;
        line->a[k] = a * (1 - t->step * (float)(lower + upper) / (float)t->high);
        line->b[k] = e->low[k] + a * t->step * (float)lower;
    }
}

/* The line that gives the largest magnitude the code of the largest, which is the least code, or
 * one some steps nearer to 0; negative for elements whose extreme is positive. */
INLINE void line_through_zero(const struct k_type *t, const struct extent *e, int negative,
                              int upper, struct line *line)
{
    for (int k = 0; k < t->lanes; k++) {
        float most = e->high[k] > -e->low[k] ? e->high[k] : -e->low[k];
        float a = most / ((float)-t->low - t->step * (float)upper);
        line->a[k] = negative ? -a : a;
        line->b[k] = 0;
    }
}

/* Step 1. */
INLINE void search_lines(const struct k_type *t, const float *x, const struct extent *e,
                         struct line *best)
{
    float most[LANES] = {0}, gain[LANES];
    int lowers = t->min_high ? t->tries : 2;
    struct line line;
    struct sums sums;
    *best = (struct line){.a = {0}};
    for (int i = 0; i < lowers * t->tries; i++) {
        if (t->min_high)
            line_with_minimum(t, e, i % lowers, i / lowers, &line);
        else
            line_through_zero(t, e, i % lowers, i / lowers, &line);
        add_codes(t, x, &line, &sums);
        fit_line(t, e, &sums, &line, gain);
        for (int k = 0; k < t->lanes; k++) {
            int better = gain[k] > most[k];
            most[k] = choose_float(better, gain[k], most[k]);
            best->a[k] = choose_float(better, line.a[k], best->a[k]);
            best->b[k] = choose_float(better, line.b[k], best->b[k]);
        }
    }
    /* The best line gives other codes than the ones it was fitted to. */
    for (int i = 0; i < ROUNDS; i++) {
        add_codes(t, x, best, &sums);
        fit_line(t, e, &sums, best, gain);
    }
}

/* The half next to v, away from zero; at most the largest one. */
static inline float half_beyond(float v)
{
    float size = clamp(__builtin_fabsf(v), 0, 65504);
    uint16_t half = float_to_half(size);
    half = (uint16_t)(half + (half_to_float(half) < size));
    return __builtin_copysignf(half_to_float(half), v);
}

/* Step 2.  Scales that may be negative have their larger magnitude on that side. */
INLINE void choose_factors(const struct k_type *t, const struct line *line, struct k_block *block)
{
    float a = 0, b = 0;
    for (int k = 0; k < t->lanes; k++) {
        a = __builtin_fabsf(line->a[k]) > __builtin_fabsf(a) ? line->a[k] : a;
        b = line->b[k] < b ? line->b[k] : b;
    }
    block->d = half_beyond(a / (float)(t->scale_low ? t->scale_low : t->scale_high));
    block->dmin = t->min_high ? half_beyond(-b / (float)t->min_high) : 0;
}

/* The lines as a decoder sees them. */
INLINE void stored_lines(const struct k_type *t, const struct k_block *block, struct line *line)
{
    for (int k = 0; k < t->lanes; k++) {
        line->a[k] = block->d * block->scale[k];
        line->b[k] = -(block->dmin * block->min[k]);
    }
}

/* Step 3, its first half. */
INLINE void round_lines(const struct k_type *t, const float *x, const struct line *exact,
                        struct k_block *block)
{
    float id = reciprocal(block->d), idmin = reciprocal(block->dmin), least[LANES];
    struct k_block trial = *block;
    struct line line;
    struct sums sums;
    for (int k = 0; k < t->lanes; k++) {
        least[k] = __builtin_inff();
        block->scale[k] = block->min[k] = 0;
    }
    for (int i = 0; i < (t->min_high ? 9 : 3); i++) {
        int scale_off = i % 3 - 1, min_off = i / 3 - 1;
        for (int k = 0; k < t->lanes; k++) {
            float scale = exact->a[k] * id + (float)scale_off;
            float min = (float)min_off - exact->b[k] * idmin;
            trial.scale[k] = nearest(scale, t->scale_low, t->scale_high);
            trial.min[k] = nearest(min, 0, t->min_high);
        }
        stored_lines(t, &trial, &line);
        add_codes(t, x, &line, &sums);
        for (int k = 0; k < t->lanes; k++) {
            int better = sums.error[k] < least[k];
            least[k] = choose_float(better, sums.error[k], least[k]);
            block->scale[k] = choose_float(better, trial.scale[k], block->scale[k]);
            block->min[k] = choose_float(better, trial.min[k], block->min[k]);
        }
    }
}

INLINE float add_block(const struct k_type *t, const float *x, const struct k_block *block,
                       struct sums *sums)
{
    struct line line;
    float error = 0;
    stored_lines(t, block, &line);
    add_codes(t, x, &line, sums);
    for (int k = 0; k < t->lanes; k++)
        error += sums->error[k];
    return error;
}

/* Step 3, its second half: the d and dmin of least squares for x = d * u - dmin * v, where u is
 * scale * q and v is min. */
INLINE void fit_factors(const struct k_type *t, const float *x, const struct extent *e,
                        struct k_block *block)
{
    struct k_block fitted = *block;
    struct sums sums;
    float error = add_block(t, x, block, &sums), uu = 0, uv = 0, vv = 0, xu = 0, xv = 0;
    for (int k = 0; k < t->lanes; k++) {
        float scale = block->scale[k], min = block->min[k];
        uu += scale * scale * sums.qq[k];
        uv += scale * min * sums.q[k];
        vv += min * min * (float)t->length;
        xu += scale * sums.xq[k];
        xv += min * e->total[k];
    }
    float id = reciprocal(uu * vv - uv * uv);
    float d = id != 0 ? (xu * vv - xv * uv) * id : xu * reciprocal(uu);
    float dmin = (xu * uv - xv * uu) * id;
    fitted.d = half_to_float(float_to_half(clamp(d, -65504, 65504)));
    fitted.dmin = half_to_float(float_to_half(clamp(dmin, 0, 65504)));
    if (add_block(t, x, &fitted, &sums) < error)
        *block = fitted;
}

/* The codes in element order, counted from the least one. */
INLINE void make_codes(const struct k_type *t, const float *src, const struct k_block *block,
                       uint8_t *q)
{
    struct line line;
    stored_lines(t, block, &line);
    for (int k = 0; k < t->lanes; k++) {
        float id = reciprocal(line.a[k]);
        for (int i = k * t->length; i < (k + 1) * t->length; i++)
            q[i] = (uint8_t)((int)nearest((src[i] - line.b[k]) * id, t->low, t->high) - t->low);
    }
}

INLINE void encode_k(const struct k_type *t, const float *src, struct k_block *block, uint8_t *q)
{
    float x[256];
    struct extent extent;
    struct line line;
    for (int k = 0; k < t->lanes; k++)
        for (int i = 0; i < t->length; i++)
            x[i * t->lanes + k] = src[k * t->length + i];
    find_extent(t, x, &extent);
    search_lines(t, x, &extent, &line);
    choose_factors(t, &line, block);
    for (int i = 0; i < ROUNDS; i++) {
        round_lines(t, x, &line, block);
        fit_factors(t, x, &extent, block);
    }
    make_codes(t, src, block, q);
}

static inline void q2_k_block(const float *x, uint8_t *p)
{
    struct k_block block;
    uint8_t q[256];
    encode_k(&q2_k, x, &block, q);
    for (int k = 0; k < 16; k++)
        p[k] = (uint8_t)((int)block.scale[k] | (int)block.min[k] << 4);
    join_bit_pairs(q, 64, 0, p + 16);
    store_half(p + 80, block.d);
    store_half(p + 82, block.dmin);
}

static inline void q3_k_block(const float *x, uint8_t *p)
{
    struct k_block block;
    uint8_t q[256], scales[16];
    encode_k(&q3_k, x, &block, q);
    for (int k = 0; k < 16; k++)
        scales[k] = (uint8_t)(block.scale[k] + 32);
    join_bit_planes(q, 2, p);
    join_bit_pairs(q, 64, 0, p + 32);
    join_nibbles(scales, 8, 8, p + 96);
    for (int k = 0; k < 4; k++)
        p[104 + k] = (uint8_t)(scales[k] >> 4 | scales[k + 4] >> 4 << 2 | scales[k + 8] >> 4 << 4 |
                               scales[k + 12] >> 4 << 6);
    store_half(p + 108, block.d);
}

/* The first 16 bytes of Q4_K and Q5_K. */
static inline void store_q4_k_scales(const struct k_block *block, uint8_t *p)
{
    store_half(p, block->d);
    store_half(p + 2, block->dmin);
    for (int k = 0; k < 4; k++) {
        int scale = (int)block->scale[k + 4], min = (int)block->min[k + 4];
        p[4 + k] = (uint8_t)((int)block->scale[k] | scale >> 4 << 6);
        p[8 + k] = (uint8_t)((int)block->min[k] | min >> 4 << 6);
        p[12 + k] = (uint8_t)((scale & 15) | (min & 15) << 4);
    }
}

static inline void q4_k_block(const float *x, uint8_t *p)
{
    struct k_block block;
    uint8_t q[256];
    encode_k(&q4_k, x, &block, q);
    store_q4_k_scales(&block, p);
    join_nibbles(q, 128, 32, p + 16);
}

static inline void q5_k_block(const float *x, uint8_t *p)
{
    struct k_block block;
    uint8_t q[256];
    encode_k(&q5_k, x, &block, q);
    store_q4_k_scales(&block, p);
    join_bit_planes(q, 4, p + 16);
    join_nibbles(q, 128, 32, p + 48);
}

static inline void q6_k_block(const float *x, uint8_t *p)
{
    struct k_block block;
    uint8_t q[256];
    encode_k(&q6_k, x, &block, q);
    join_nibbles(q, 128, 64, p);
    join_bit_pairs(q, 64, 4, p + 128);
    for (int k = 0; k < 16; k++)
        p[192 + k] = (uint8_t)(int)block.scale[k];
    store_half(p + 208, block.d);
}

/* --- The encoders ------------------------------------------------------------------------------*/

#define GEOMETRY(ID, name, code, elements, bytes, ...)                                             \
    name##_elements = elements, name##_bytes = bytes,
enum { TENSOR_DTYPES(GEOMETRY) };

#define ENCODER(name)                                                                              \
    tu_encode_fn TU_KERNEL(encode_##name);                                                         \
    void TU_KERNEL(encode_##name)(const float *restrict src, size_t n, uint8_t *restrict dst)      \
    {                                                                                              \
        for (size_t i = 0; i < n; i++)                                                             \
            name##_block(src + i * name##_elements, dst + i * name##_bytes);                       \
    }

ENCODER(f64)
ENCODER(f32)
ENCODER(f16)
ENCODER(bf16)
ENCODER(q4_0)
ENCODER(q4_1)
ENCODER(q5_0)
ENCODER(q5_1)
ENCODER(q8_0)
ENCODER(q8_1)
ENCODER(q8_k)
ENCODER(q2_k)
ENCODER(q3_k)
ENCODER(q4_k)
ENCODER(q5_k)
ENCODER(q6_k)
ENCODER(tq1_0)
ENCODER(tq2_0)
ENCODER(mxfp4)
ENCODER(nvfp4)
ENCODER(iq4_nl)
ENCODER(iq4_xs)
ENCODER(q1_0)
ENCODER(q2_0)
ENCODER(apr_q4)
