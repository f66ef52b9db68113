/* SPDX-License-Identifier: MIT */
/*
 * The codes of quantized types: NAME_codes(p, q) makes those stored in the block at p small
 * integers in element order, which decode.c scales and dot.c multiplies with others; and what
 * scales of sub-blocks are packed in more than one byte.
 */
#ifndef TU_CODES_H
#define TU_CODES_H

#include "kernels/bits.h"
#include "kernels/iq-grids.inc"

#ifdef __AVX2__
#include <immintrin.h>
#endif

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

static inline void q4_1_codes(const uint8_t *p, int8_t *q)
{
    nibbles(p + 4, 16, 16, 0, q);
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

static inline void q5_1_codes(const uint8_t *p, int8_t *q)
{
    five_bits(p + 4, 0, q);
}

static inline void q8_0_codes(const uint8_t *p, int8_t *q)
{
    memcpy(q, p + 2, 32);
}

static inline void q8_1_codes(const uint8_t *p, int8_t *q)
{
    memcpy(q, p + 4, 32);
}

static inline void q8_k_codes(const uint8_t *p, int8_t *q)
{
    memcpy(q, p + 4, 256);
}

static inline void apr_q4_codes(const uint8_t *p, int8_t *q)
{
    for (int i = 0; i < 4; i++)
        put_word(q + 8 * i, subtract(spread(load_le32(p + 2 + 4 * i), 4), 8));
}

/* Its scale belongs to the tensor. */
static inline void apr_q8_codes(const uint8_t *p, int8_t *q)
{
    *q = (int8_t)*p;
}

/* --- Binary and ternary ------------------------------------------------------------------------*/

static inline void q1_0_codes(const uint8_t *p, int8_t *q)
{
    for (int i = 0; i < 16; i++)
        put_word(q + 8 * i, subtract(2 * spread_bits(p[2 + i]), 1));
}

static inline void q2_0_codes(const uint8_t *p, int8_t *q)
{
    for (int i = 0; i < 8; i++)
        put_word(q + 8 * i, subtract(spread(load_le16(p + 2 + 2 * i), 2), 1));
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

static inline void tq2_0_codes(const uint8_t *p, int8_t *q)
{
    bit_pairs(p, 64, 1, q);
}

/* --- K types: 256 elements, sub-blocks with small integer scales -------------------------------*/

static inline void q2_k_codes(const uint8_t *p, int8_t *q)
{
    bit_pairs(p + 16, 64, 0, q);
}

static inline void q3_k_codes(const uint8_t *p, int8_t *q)
{
    int8_t high[256];
    bit_pairs(p + 32, 64, 0, q);
    bit_planes(p, high);
    add_high(q, high, 256, 4, 4);
}

static inline void q4_k_codes(const uint8_t *p, int8_t *q)
{
    nibbles(p + 16, 128, 32, 0, q);
}

/* Sixteen scales of six bits: the low four as nibbles, then the high two as bit pairs. */
static inline void q3_k_scales(const uint8_t *p, int8_t *scales)
{
    int8_t low[16];
    nibbles(p, 8, 8, 0, low);
    for (int k = 0; k < 16; k++) {
        int high = p[8 + k % 4] >> k / 4 * 2 & 3;
        scales[k] = (int8_t)((low[k] | high << 4) - 32);
    }
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

static inline void q5_k_codes(const uint8_t *p, int8_t *q)
{
    int8_t high[256];
    nibbles(p + 48, 128, 32, 0, q);
    bit_planes(p + 16, high);
    add_high(q, high, 256, 16, 0);
}

static inline void q6_k_codes(const uint8_t *p, int8_t *q)
{
    int8_t high[256];
    nibbles(p, 128, 64, 0, q);
    bit_pairs(p + 128, 64, 0, high);
    add_high(q, high, 256, 16, 32);
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

static inline void iq2_xs_codes(const uint8_t *p, int8_t *q)
{
    for (int i = 0; i < 32; i++) {
        unsigned w = load_le16(p + 2 + 2 * i);
        put_word(q + 8 * i, apply_signs(iq2_word(iq2xs_grid[w & 511]), even_signs(w >> 9)));
    }
}

static inline void iq2_s_codes(const uint8_t *p, int8_t *q)
{
    const uint8_t *low = p + 2, *signs = p + 34, *high = p + 66;
    for (int i = 0; i < 32; i++) {
        unsigned index = low[i] | (high[i / 4] >> i % 4 * 2 & 3) << 8;
        put_word(q + 8 * i, apply_signs(iq2_word(iq2s_grid[index]), signs[i]));
    }
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

static inline void iq3_s_codes(const uint8_t *p, int8_t *q)
{
    const uint8_t *low = p + 2, *high = p + 66, *signs = p + 74;
    for (int i = 0; i < 32; i++) {
        unsigned top = (unsigned)high[i / 4] >> i % 4 * 2;
        unsigned first = low[2 * i] | (top & 1) << 8, second = low[2 * i + 1] | (top & 2) << 7;
        put_word(q + 8 * i, apply_signs(iq3_s_word(iq3s_grid[first], iq3s_grid[second]), signs[i]));
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

static inline void iq1_m_codes(const uint8_t *p, int8_t *q)
{
    const uint8_t *low = p, *high = p + 32;
    for (int i = 0; i < 32; i++) {
        unsigned h = (unsigned)high[i / 2] >> i % 2 * 4;
        put_word(q + 8 * i, iq1_word(iq1s_grid[low[i] | (h & 7) << 8], h >> 3 & 1));
    }
}

/* The scale of the block stands in the top nibbles of the four words of factors. */
static inline float iq1_m_scale(const uint8_t *p)
{
    unsigned half = 0;
    for (int i = 0; i < 4; i++)
        half |= (unsigned)load_le16(p + 48 + 2 * i) >> 12 << 4 * i;
    return half_to_float((uint16_t)half);
}

/* Of 16 elements. */
static inline int iq1_m_factor(const uint8_t *p, int k)
{
    return 2 * (load_le16(p + 48 + k / 4 * 2) >> k % 4 * 3 & 7) + 1;
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

static inline void iq4_xs_codes(const uint8_t *p, int8_t *q)
{
    nibbles(p + 8, 128, 16, 0, q);
}

/* Of 32 elements. */
static inline int iq4_xs_factor(const uint8_t *p, int g)
{
    int high = load_le16(p + 2) >> 2 * g & 3;
    return ((p[4 + g / 2] >> g % 2 * 4 & 15) | high << 4) - 32;
}

static inline void mxfp4_codes(const uint8_t *p, int8_t *q)
{
    nibbles(p + 1, 16, 16, 0, q);
}

static inline float mxfp4_scale(uint8_t e)
{
    return float_from_bits(e < 2 ? 0x00200000u << e : (e - 1u) << 23);
}

static inline void nvfp4_codes(const uint8_t *p, int8_t *q)
{
    nibbles(p + 4, 32, 8, 0, q);
}

/* Half an E4M3 without sign; the code of NaN means 0. */
static inline float nvfp4_scale(uint8_t code)
{
    return code == 0x7f ? 0.0f : minifloat(code & 0x7f, 0x80, 7, 0x1p7f);
}

#endif
