/* SPDX-License-Identifier: MIT */
/*
 * Decoders.  A plain type has one function here, NAME_block(p, y): the block at p to the floats at
 * y.  A quantized type has two: NAME_codes(p, q) makes the stored codes of a block small integers
 * in element order, NAME_floats(p, q, y) scales these.  The table of types makes the loops over
 * them, at the end.  All steps are loops with fixed counts, which compilers vectorize.
 *
 * Except in Q8_K every product here is exact in float32 (a binary16 scale has 11 significant bits
 * and the integers together at most 12), so only the sum of a type with minima rounds.
 */
#include "config.h"

#include "kernels/kernels.h"

#include "kernels/bits.h"
#include "kernels/iq-grids.inc"

#undef bool /* the table of types has this name */

#if defined __AVX2__ || defined __F16C__
#include <immintrin.h>
#endif

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

/* A float of 1 sign bit, 5 - n exponent bits and some mantissa bits is a binary16 whose exponent
 * misses its upper n bits: put in place and multiplied by a power of two it is right, subnormals
 * and negative zero included.  `sign` and `shift` say where the code's sign bit is and how far its
 * other bits move. */
static inline float minifloat(unsigned code, unsigned sign, int shift, float scale)
{
    unsigned half = (code & sign) * (0x8000 / sign) | (code & (sign - 1)) << shift;
    return half_to_float_portable((uint16_t)half) * scale;
}

static inline void f8_e4m3_block(const uint8_t *p, float *y)
{
    uint32_t nan = (*p & 0x80u) << 24 | 0x7fc00000u;
    uint32_t number = float_bits(minifloat(*p, 0x80, 7, 0x1p8f));
    *y = float_from_bits(choose((*p & 0x7f) == 0x7f, nan, number));
}

static inline void f8_e5m2_block(const uint8_t *p, float *y)
{
    *y = half_to_float_portable((uint16_t)(*p << 8));
}

static inline void f8_e8m0_block(const uint8_t *p, float *y)
{
    uint32_t power = *p ? (uint32_t)*p << 23 : 0x00400000u;
    *y = float_from_bits(*p == 0xff ? 0x7fc00000u : power);
}

static inline void f6_block(const uint8_t *p, float *y, int shift, float scale)
{
    unsigned word = p[0] | p[1] << 8 | p[2] << 16;
    for (int k = 0; k < 4; k++)
        y[k] = minifloat(word >> 6 * k & 63, 32, shift, scale);
}

static inline void f6_e2m3_block(const uint8_t *p, float *y)
{
    f6_block(p, y, 7, 0x1p14f);
}

static inline void f6_e3m2_block(const uint8_t *p, float *y)
{
    f6_block(p, y, 8, 0x1p12f);
}

static inline void f4_block(const uint8_t *p, float *y)
{
    y[0] = minifloat(*p & 15, 8, 9, 0x1p14f);
    y[1] = minifloat(*p >> 4, 8, 9, 0x1p14f);
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

/* --- From bytes to codes -----------------------------------------------------------------------*/

/* Low nibbles of `run` bytes, then their high nibbles, and so on; all less a bias. */
static inline void nibbles(const uint8_t *p, int bytes, int run, int bias, int8_t *q)
{
    for (int i = 0; i < bytes; i += run) {
        for (int j = 0; j < run; j++) {
            q[2 * i + j] = (int8_t)((p[i + j] & 15) - bias);
            q[2 * i + run + j] = (int8_t)((p[i + j] >> 4) - bias);
        }
    }
}

/* Bits 0-1 of 32 bytes, then bits 2-3, and so on; all less a bias. */
static inline void bit_pairs(const uint8_t *p, int bytes, int bias, int8_t *q)
{
    for (int i = 0; i < bytes; i += 32)
        for (int k = 0; k < 4; k++)
            for (int j = 0; j < 32; j++)
                q[4 * i + 32 * k + j] = (int8_t)((p[i + j] >> 2 * k & 3) - bias);
}

/* Bit 0 of 32 bytes, then bit 1, and so on. */
static inline void bit_planes(const uint8_t *p, int8_t *q)
{
    for (int k = 0; k < 8; k++)
        for (int j = 0; j < 32; j++)
            q[32 * k + j] = p[j] >> k & 1;
}

/* Puts high bits on top of low ones and takes off a bias. */
static inline void add_high(int8_t *q, const int8_t *high, int n, int weight, int bias)
{
    for (int i = 0; i < n; i++)
        q[i] = (int8_t)(q[i] + high[i] * weight - bias);
}

/* In what follows a word is eight codes, one to a byte, the first one lowest. */
static inline void put_word(int8_t *q, uint64_t word)
{
    store_le64((uint8_t *)q, word);
}

/* Codes less a bias; the sums are made 128 too large to keep the bytes apart. */
static inline uint64_t subtract(uint64_t word, unsigned bias)
{
    return (word + eight(0x80 - bias)) ^ eight(0x80);
}

/* --- Blocks with one scale ---------------------------------------------------------------------*/

static inline void q4_0_codes(const uint8_t *p, int8_t *q)
{
    nibbles(p + 2, 16, 16, 8, q);
}

static inline void q4_0_floats(const uint8_t *p, const int8_t *q, float *y)
{
    scale(q, 32, load_half(p), y);
}

static inline void q4_1_codes(const uint8_t *p, int8_t *q)
{
    nibbles(p + 4, 16, 16, 0, q);
}

static inline void q4_1_floats(const uint8_t *p, const int8_t *q, float *y)
{
    scale_and_add(q, 32, load_half(p), load_half(p + 2), y);
}

/* Not inlined: gcc 12 would unroll the loop, as part of the loop over blocks, before it could
 * vectorize it. */
__attribute__((noinline)) static void five_bits(const uint8_t *restrict p, int bias,
                                                int8_t *restrict q)
{
    uint32_t high = load_le32(p);
    for (int j = 0; j < 16; j++) {
        uint32_t tops = high >> j;
        q[j] = (int8_t)((p[4 + j] & 15) + (int)(tops << 4 & 16) - bias);
        q[j + 16] = (int8_t)((p[4 + j] >> 4) + (int)(tops >> 12 & 16) - bias);
    }
}

static inline void q5_0_codes(const uint8_t *p, int8_t *q)
{
    five_bits(p + 2, 16, q);
}

static inline void q5_0_floats(const uint8_t *p, const int8_t *q, float *y)
{
    scale(q, 32, load_half(p), y);
}

static inline void q5_1_codes(const uint8_t *p, int8_t *q)
{
    five_bits(p + 4, 0, q);
}

static inline void q5_1_floats(const uint8_t *p, const int8_t *q, float *y)
{
    scale_and_add(q, 32, load_half(p), load_half(p + 2), y);
}

static inline void q8_0_codes(const uint8_t *p, int8_t *q)
{
    memcpy(q, p + 2, 32);
}

static inline void q8_0_floats(const uint8_t *p, const int8_t *q, float *y)
{
    scale(q, 32, load_half(p), y);
}

static inline void q8_1_codes(const uint8_t *p, int8_t *q)
{
    memcpy(q, p + 4, 32);
}

static inline void q8_1_floats(const uint8_t *p, const int8_t *q, float *y)
{
    scale(q, 32, load_half(p), y);
}

static inline void q8_k_codes(const uint8_t *p, int8_t *q)
{
    memcpy(q, p + 4, 256);
}

static inline void q8_k_floats(const uint8_t *p, const int8_t *q, float *y)
{
    scale(q, 256, float_from_bits(load_le32(p)), y);
}

static inline void apr_q4_codes(const uint8_t *p, int8_t *q)
{
    for (int i = 0; i < 4; i++)
        put_word(q + 8 * i, subtract(spread(load_le32(p + 2 + 4 * i), 4), 8));
}

static inline void apr_q4_floats(const uint8_t *p, const int8_t *q, float *y)
{
    scale(q, 32, load_half(p), y);
}

/* Its scale belongs to the tensor. */
static inline void apr_q8_codes(const uint8_t *p, int8_t *q)
{
    *q = (int8_t)*p;
}

static inline void apr_q8_floats(const uint8_t *p, const int8_t *q, float *y)
{
    (void)p;
    *y = (float)*q;
}

/* --- Binary and ternary ------------------------------------------------------------------------*/

static inline void q1_0_codes(const uint8_t *p, int8_t *q)
{
    for (int i = 0; i < 16; i++)
        put_word(q + 8 * i, subtract(2 * spread_bits(p[2 + i]), 1));
}

static inline void q1_0_floats(const uint8_t *p, const int8_t *q, float *y)
{
    scale(q, 128, load_half(p), y);
}

static inline void q2_0_codes(const uint8_t *p, int8_t *q)
{
    for (int i = 0; i < 8; i++)
        put_word(q + 8 * i, subtract(spread(load_le16(p + 2 + 2 * i), 2), 1));
}

static inline void q2_0_floats(const uint8_t *p, const int8_t *q, float *y)
{
    scale(q, 64, load_half(p), y);
}

/* Five trits in a byte, as a fraction of 256 in base 3: multiplying by 3 moves the first one to
 * the front of the next byte. */
static inline void trits(const uint8_t *p, int bytes, int count, int8_t *q)
{
    static const uint8_t powers[5] = {1, 3, 9, 27, 81};
    for (int n = 0; n < count; n++)
        for (int j = 0; j < bytes; j++)
            q[n * bytes + j] = (int8_t)(((uint8_t)(p[j] * powers[n]) * 3 >> 8) - 1);
}

static inline void tq1_0_codes(const uint8_t *p, int8_t *q)
{
    trits(p, 32, 5, q);
    trits(p + 32, 16, 5, q + 160);
    trits(p + 48, 4, 4, q + 240);
}

static inline void tq1_0_floats(const uint8_t *p, const int8_t *q, float *y)
{
    scale(q, 256, load_half(p + 52), y);
}

static inline void tq2_0_codes(const uint8_t *p, int8_t *q)
{
    bit_pairs(p, 64, 1, q);
}

static inline void tq2_0_floats(const uint8_t *p, const int8_t *q, float *y)
{
    scale(q, 256, load_half(p + 64), y);
}

/* --- K types: 256 elements, sub-blocks with small integer scales -------------------------------*/

static inline void q2_k_codes(const uint8_t *p, int8_t *q)
{
    bit_pairs(p + 16, 64, 0, q);
}

static inline void q2_k_floats(const uint8_t *p, const int8_t *q, float *y)
{
    float d = load_half(p + 80), dmin = load_half(p + 82), scales[16], mins[16];
    for (int k = 0; k < 16; k++) {
        scales[k] = d * (float)(p[k] & 15);
        mins[k] = -(dmin * (float)(p[k] >> 4));
    }
    scale_and_add_16(q, 256, scales, mins, y);
}

static inline void q3_k_codes(const uint8_t *p, int8_t *q)
{
    int8_t high[256];
    bit_pairs(p + 32, 64, 0, q);
    bit_planes(p, high);
    add_high(q, high, 256, 4, 4);
}

/* Sixteen scales of six bits: the low four as nibbles, then the high two as bit pairs. */
static inline void q3_k_floats(const uint8_t *p, const int8_t *q, float *y)
{
    float d = load_half(p + 108), scales[16];
    int8_t low[16];
    nibbles(p + 96, 8, 8, 0, low);
    for (int k = 0; k < 16; k++) {
        int high = p[104 + k % 4] >> k / 4 * 2 & 3;
        scales[k] = d * (float)((low[k] | high << 4) - 32);
    }
    scale_16(q, 256, scales, y);
}

static inline void q4_k_codes(const uint8_t *p, int8_t *q)
{
    nibbles(p + 16, 128, 32, 0, q);
}

/* Eight scales and eight minima of six bits: the first four of each whole, with the high bits of
 * the others on top of them, then nibbles. */
static inline void q4_k_scales(const uint8_t *p, uint8_t *scales, uint8_t *mins)
{
    for (int k = 0; k < 4; k++) {
        scales[k] = p[k] & 63;
        mins[k] = p[k + 4] & 63;
        scales[k + 4] = (uint8_t)((p[k + 8] & 15) | p[k] >> 6 << 4);
        mins[k + 4] = (uint8_t)(p[k + 8] >> 4 | p[k + 4] >> 6 << 4);
    }
}

static inline void q4_k_floats(const uint8_t *p, const int8_t *q, float *y)
{
    float d = load_half(p), dmin = load_half(p + 2);
    uint8_t scales[8], mins[8];
    q4_k_scales(p + 4, scales, mins);
    for (int k = 0; k < 8; k++)
        scale_and_add(q + 32 * k, 32, d * (float)scales[k], -(dmin * (float)mins[k]), y + 32 * k);
}

static inline void q5_k_codes(const uint8_t *p, int8_t *q)
{
    int8_t high[256];
    nibbles(p + 48, 128, 32, 0, q);
    bit_planes(p + 16, high);
    add_high(q, high, 256, 16, 0);
}

static inline void q5_k_floats(const uint8_t *p, const int8_t *q, float *y)
{
    q4_k_floats(p, q, y);
}

static inline void q6_k_codes(const uint8_t *p, int8_t *q)
{
    int8_t high[256];
    nibbles(p, 128, 64, 0, q);
    bit_pairs(p + 128, 64, 0, high);
    add_high(q, high, 256, 16, 32);
}

static inline void q6_k_floats(const uint8_t *p, const int8_t *q, float *y)
{
    float d = load_half(p + 208), scales[16];
    scale((const int8_t *)p + 192, 16, d, scales);
    scale_16(q, 256, scales, y);
}

/* --- IQ types: codes are indices of grids, eight (or four) elements at a time ------------------*/

/* Signs are stored as seven bits; the eighth makes the number of minus signs even. */
static inline unsigned even_signs(unsigned seven)
{
    return seven | (unsigned)__builtin_parity(seven) << 7;
}

/* Negates the bytes whose sign bit is set.  None is 0, so no carry leaves a byte. */
static inline uint64_t apply_signs(uint64_t word, unsigned signs)
{
    uint64_t negative = spread_bits(signs);
    return (word ^ negative * 0xff) + negative;
}

/* Ranks 0 1 2 to 8 25 43. */
static inline uint64_t iq2_word(unsigned ranks)
{
    uint64_t r = spread(ranks, 2);
    return eight(8) + 17 * r + (r >> 1 & eight(1));
}

/* Ranks 0 to 7 to 4 12 20 28 36 44 52 62. */
static inline uint64_t iq3_xxs_word(unsigned first, unsigned second)
{
    uint64_t r = spread(first | second << 12, 3);
    return eight(4) + 8 * r + ((r + eight(1)) >> 2 & eight(2));
}

/* Ranks 0 to 7 to 1 3 5 7 9 11 13 15. */
static inline uint64_t iq3_s_word(unsigned first, unsigned second)
{
    return eight(1) + 2 * spread(first | second << 12, 3);
}

/* Ranks 0 1 2 to eight times -1 0 1, plus or minus 1. */
static inline uint64_t iq1_word(unsigned ranks, int minus)
{
    return subtract(8 * spread(ranks, 2), minus ? 9 : 7);
}

static inline void iq2_xxs_codes(const uint8_t *p, int8_t *q)
{
    for (int i = 0; i < 32; i++) {
        const uint8_t *group = p + 2 + i / 4 * 8;
        unsigned signs = even_signs(load_le32(group + 4) >> i % 4 * 7 & 127);
        put_word(q + 8 * i, apply_signs(iq2_word(iq2xxs_grid[group[i % 4]]), signs));
    }
}

static inline void iq2_xxs_floats(const uint8_t *p, const int8_t *q, float *y)
{
    float d = load_half(p);
    for (int g = 0; g < 8; g++)
        scale(q + 32 * g, 32, d * (0.5f + (float)(p[9 + 8 * g] >> 4)) * 0.25f, y + 32 * g);
}

static inline void iq2_xs_codes(const uint8_t *p, int8_t *q)
{
    for (int i = 0; i < 32; i++) {
        unsigned w = load_le16(p + 2 + 2 * i);
        put_word(q + 8 * i, apply_signs(iq2_word(iq2xs_grid[w & 511]), even_signs(w >> 9)));
    }
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

static inline void iq2_s_codes(const uint8_t *p, int8_t *q)
{
    const uint8_t *low = p + 2, *signs = p + 34, *high = p + 66;
    for (int i = 0; i < 32; i++) {
        unsigned index = low[i] | (high[i / 4] >> i % 4 * 2 & 3) << 8;
        put_word(q + 8 * i, apply_signs(iq2_word(iq2s_grid[index]), signs[i]));
    }
}

static inline void iq2_s_floats(const uint8_t *p, const int8_t *q, float *y)
{
    iq2_floats(load_half(p), p + 74, q, y);
}

static inline void iq3_xxs_codes(const uint8_t *p, int8_t *q)
{
    const uint8_t *index = p + 2, *groups = p + 66;
    for (int i = 0; i < 32; i++) {
        unsigned signs = even_signs(load_le32(groups + i / 4 * 4) >> i % 4 * 7 & 127);
        unsigned first = iq3xxs_grid[index[2 * i]], second = iq3xxs_grid[index[2 * i + 1]];
        put_word(q + 8 * i, apply_signs(iq3_xxs_word(first, second), signs));
    }
}

static inline void iq3_xxs_floats(const uint8_t *p, const int8_t *q, float *y)
{
    float d = load_half(p);
    for (int g = 0; g < 8; g++)
        scale(q + 32 * g, 32, d * (0.5f + (float)(p[69 + 4 * g] >> 4)) * 0.5f, y + 32 * g);
}

static inline void iq3_s_codes(const uint8_t *p, int8_t *q)
{
    const uint8_t *low = p + 2, *high = p + 66, *signs = p + 74;
    for (int i = 0; i < 32; i++) {
        unsigned top = (unsigned)high[i / 4] >> i % 4 * 2;
        unsigned first = low[2 * i] | (top & 1) << 8, second = low[2 * i + 1] | (top & 2) << 7;
        put_word(q + 8 * i, apply_signs(iq3_s_word(iq3s_grid[first], iq3s_grid[second]), signs[i]));
    }
}

static inline void iq3_s_floats(const uint8_t *p, const int8_t *q, float *y)
{
    float d = load_half(p);
    for (int g = 0; g < 8; g++) {
        int s = p[106 + g / 2] >> g % 2 * 4 & 15;
        scale(q + 32 * g, 32, d * (float)(2 * s + 1), y + 32 * g);
    }
}

static inline void iq1_s_codes(const uint8_t *p, int8_t *q)
{
    const uint8_t *low = p + 2, *high = p + 34;
    for (int i = 0; i < 32; i++) {
        unsigned h = load_le16(high + i / 4 * 2);
        unsigned index = low[i] | (h >> i % 4 * 3 & 7) << 8;
        put_word(q + 8 * i, iq1_word(iq1s_grid[index], h >> 15));
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

static inline void iq1_m_codes(const uint8_t *p, int8_t *q)
{
    const uint8_t *low = p, *high = p + 32;
    for (int i = 0; i < 32; i++) {
        unsigned h = (unsigned)high[i / 2] >> i % 2 * 4;
        put_word(q + 8 * i, iq1_word(iq1s_grid[low[i] | (h & 7) << 8], h >> 3 & 1));
    }
}

/* The scale of the block stands in the top nibbles of the four words of scales. */
static inline void iq1_m_floats(const uint8_t *p, const int8_t *q, float *y)
{
    unsigned half = 0, w[4];
    for (int i = 0; i < 4; i++) {
        w[i] = load_le16(p + 48 + 2 * i);
        half |= w[i] >> 12 << 4 * i;
    }
    float d = half_to_float((uint16_t)half), scales[16];
    for (int k = 0; k < 16; k++)
        scales[k] = d * (float)(2 * (w[k / 4] >> k % 4 * 3 & 7) + 1) * 0.125f;
    scale_16(q, 256, scales, y);
}

/* --- Types with a table of sixteen values ------------------------------------------------------*/

static const int8_t iq4_values[16] = {-127, -104, -83, -65, -49, -35, -22, -10,
                                      1,    13,   25,  38,  53,  69,  89,  113};

/* Twice the values of F4.  Code 8 is plain 0 here. */
static const int8_t fp4_values[16] = {0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12};

/* The values of n codes.  Of the plain loop compilers make single loads, where one instruction can
 * look up a whole vector. */
static inline void look_up(const int8_t table[16], const int8_t *q, int n, int8_t *values)
{
#ifdef __AVX2__
    __m256i both = _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)table));
    for (int i = 0; i < n; i += 32) {
        __m256i codes = _mm256_loadu_si256((const __m256i *)(q + i));
        _mm256_storeu_si256((__m256i *)(values + i), _mm256_shuffle_epi8(both, codes));
    }
#else
    for (int i = 0; i < n; i++)
        values[i] = table[q[i]];
#endif
}

static inline void iq4_nl_codes(const uint8_t *p, int8_t *q)
{
    nibbles(p + 2, 16, 16, 0, q);
}

static inline void iq4_nl_floats(const uint8_t *p, const int8_t *q, float *y)
{
    int8_t values[32];
    look_up(iq4_values, q, 32, values);
    scale(values, 32, load_half(p), y);
}

static inline void iq4_xs_codes(const uint8_t *p, int8_t *q)
{
    nibbles(p + 8, 128, 16, 0, q);
}

static inline void iq4_xs_floats(const uint8_t *p, const int8_t *q, float *y)
{
    float d = load_half(p);
    unsigned high = load_le16(p + 2);
    int8_t values[256];
    look_up(iq4_values, q, 256, values);
    for (int g = 0; g < 8; g++) {
        int s = (p[4 + g / 2] >> g % 2 * 4 & 15) | (int)(high >> 2 * g & 3) << 4;
        scale(values + 32 * g, 32, d * (float)(s - 32), y + 32 * g);
    }
}

static inline void mxfp4_codes(const uint8_t *p, int8_t *q)
{
    nibbles(p + 1, 16, 16, 0, q);
}

static inline void mxfp4_floats(const uint8_t *p, const int8_t *q, float *y)
{
    uint32_t power = *p < 2 ? 0x00200000u << *p : (*p - 1u) << 23;
    int8_t values[32];
    look_up(fp4_values, q, 32, values);
    scale(values, 32, float_from_bits(power), y);
}

static inline void nvfp4_codes(const uint8_t *p, int8_t *q)
{
    nibbles(p + 4, 32, 8, 0, q);
}

/* Scales are half an E4M3 without sign; the code of NaN means 0. */
static inline void nvfp4_floats(const uint8_t *p, const int8_t *q, float *y)
{
    float scales[4];
    int8_t values[64];
    for (int k = 0; k < 4; k++)
        scales[k] = p[k] == 0x7f ? 0.0f : minifloat(p[k] & 0x7f, 0x80, 7, 0x1p7f);
    look_up(fp4_values, q, 64, values);
    scale_16(values, 64, scales, y);
}

/* --- The decoders ------------------------------------------------------------------------------*/

/* How many elements are taken as codes before they are scaled: with fewer, the vector loads of
 * the second step come before the narrower stores of the first have left the store buffer, and
 * wait for them. */
enum { STRIDE = 256 };

#define PLAIN_DECODER(name, code, elements, bytes, decode)                                         \
    tu_decode_fn decode;                                                                           \
    void decode(const uint8_t *restrict src, size_t n, float *restrict dst)                        \
    {                                                                                              \
        for (size_t i = code == TENSOR_F16 ? f16_vectors(src, n, dst) : 0; i < n; i++)             \
            name##_block(src + i * bytes, dst + i * elements);                                     \
    }

#define QUANT_DECODER(name, code, elements, bytes, decode)                                         \
    tu_decode_fn decode;                                                                           \
    void decode(const uint8_t *restrict src, size_t n, float *restrict dst)                        \
    {                                                                                              \
        int8_t q[STRIDE];                                                                          \
        for (size_t done = 0, step; done < n; done += step) {                                      \
            step = n - done < STRIDE / elements ? n - done : STRIDE / elements;                    \
            for (size_t i = 0; i < step; i++)                                                      \
                name##_codes(src + (done + i) * bytes, q + i * elements);                          \
            for (size_t i = 0; i < step; i++)                                                      \
                name##_floats(src + (done + i) * bytes, q + i * elements,                          \
                              dst + (done + i) * elements);                                        \
        }                                                                                          \
    }

#define DECODER_FLOAT PLAIN_DECODER
#define DECODER_INT   PLAIN_DECODER
#define DECODER_BOOL  PLAIN_DECODER
#define DECODER_QUANT QUANT_DECODER
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
