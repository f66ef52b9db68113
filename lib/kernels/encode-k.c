/* SPDX-License-Identifier: MIT */
/*
 * Encoders of the K types, whose format leaves a choice to the encoder; the search for good scales
 * here is our own.  encode.c says how encoders are written.
 */
#include "config.h"

#include "kernels/encode.h"

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

ENCODER(q2_k)
ENCODER(q3_k)
ENCODER(q4_k)
ENCODER(q5_k)
ENCODER(q6_k)
