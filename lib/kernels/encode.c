/* SPDX-License-Identifier: MIT */
/*
 * Encoders.  Each type has one function here, NAME_block(x, p): the floats of one block at x to
 * its bytes at p.  Loops over them are made at the end.  Those of the K types are in encode-k.c.
 *
 * Activation types and the simple types give the bits of the reference quantizers.
 *
 * Elements are expected to be finite.  Others do no harm, but what becomes of their block, scale
 * included, means nothing and may differ between instruction sets.
 */
#include "config.h"

#include "kernels/encode.h"

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

/* --- The encoders ------------------------------------------------------------------------------*/

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
ENCODER(tq1_0)
ENCODER(tq2_0)
ENCODER(mxfp4)
ENCODER(nvfp4)
ENCODER(iq4_nl)
ENCODER(iq4_xs)
ENCODER(q1_0)
ENCODER(q2_0)
ENCODER(apr_q4)
