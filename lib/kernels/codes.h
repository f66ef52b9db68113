/* SPDX-License-Identifier: MIT */
/*
 * The codes of quantized types: NAME_codes(p, q) makes those stored in the block at p small
 * integers in element order, which decode.c scales and dot.c multiplies with others; and what
 * scales of sub-blocks are packed in more than one byte.
 */
#ifndef TU_CODES_H
#define TU_CODES_H

#include "kernels/bits.h"

#ifdef __AVX2__
#include <immintrin.h>
#endif

/* --- From bytes to codes -----------------------------------------------------------------------*/

/* Sixteen bytes at once.  Compilers make vectors of loops only where they do not unroll them
 * first, as they do one of 16 steps. */
typedef uint8_t bytes16 __attribute__((vector_size(16)));

static inline void nibbles_16(const uint8_t *p, int bias, int8_t *q)
{
    bytes16 both, low, high;
    memcpy(&both, p, sizeof both);
    low = (both & 15) - (uint8_t)bias;
    high = (both >> 4) - (uint8_t)bias;
    memcpy(q, &low, sizeof low);
    memcpy(q + 16, &high, sizeof high);
}

/* Low nibbles of `run` bytes, then their high nibbles, and so on; all less a bias. */
static inline void nibbles(const uint8_t *p, int bytes, int run, int bias, int8_t *q)
{
    for (int i = 0; i < bytes; i += run) {
        for (int j = 0; j < run && run != 16; j++) {
            q[2 * i + j] = (int8_t)((p[i + j] & 15) - bias);
            q[2 * i + run + j] = (int8_t)((p[i + j] >> 4) - bias);
        }
        if (run == 16)
            nibbles_16(p + i, bias, q + 2 * i);
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

#ifdef __AVX2__
/* For each of 32 bits a byte of ones or zeros. */
static inline __m256i byte_mask(uint32_t bits)
{
#ifdef __AVX512BW__
    return _mm256_movm_epi8(bits);
#else
    const __m256i which =
        _mm256_set_epi64x(0x0303030303030303, 0x0202020202020202, 0x0101010101010101, 0);
    const __m256i single = _mm256_set1_epi64x((int64_t)UINT64_C(0x8040201008040201));
    __m256i bytes = _mm256_shuffle_epi8(_mm256_set1_epi32((int)bits), which);
    return _mm256_cmpeq_epi8(_mm256_and_si256(bytes, single), single);
#endif
}
#endif

/* --- Blocks with one scale ---------------------------------------------------------------------*/

static inline void q4_0_codes(const uint8_t *p, int8_t *q)
{
    nibbles(p + 2, 16, 16, 8, q);
}

static inline void q4_1_codes(const uint8_t *p, int8_t *q)
{
    nibbles(p + 4, 16, 16, 0, q);
}

/* The fifth bits of 32 elements, then their nibbles. */
static inline void five_bits(const uint8_t *p, int bias, int8_t *q)
{
#ifdef __AVX2__
    __m128i packed = _mm_loadu_si128((const __m128i *)(p + 4));
    __m256i low = _mm256_set_m128i(_mm_srli_epi16(packed, 4), packed);
    __m256i codes =
        _mm256_or_si256(_mm256_and_si256(low, _mm256_set1_epi8(15)),
                        _mm256_and_si256(byte_mask(load_le32(p)), _mm256_set1_epi8(16)));
    _mm256_storeu_si256((__m256i *)q, _mm256_sub_epi8(codes, _mm256_set1_epi8((char)bias)));
#else
    for (int i = 0; i < 4; i++) {
        uint64_t low = load_le64(p + 4 + i % 2 * 8) >> i / 2 * 4 & eight(15);
        put_word(q + 8 * i, subtract(low | spread_bits(p[i]) << 4, (unsigned)bias));
    }
#endif
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

/* --- Floats of 6 and 4 bits --------------------------------------------------------------------*/

static inline void f6_codes(const uint8_t *p, int8_t *q)
{
    uint32_t word = p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16;
    word = (word & 63) | (word & 63 << 6) << 2 | (word & 63 << 12) << 4 | (word & 63 << 18) << 6;
    store_le32((uint8_t *)q, word);
}

static inline void f6_e2m3_codes(const uint8_t *p, int8_t *q)
{
    f6_codes(p, q);
}

static inline void f6_e3m2_codes(const uint8_t *p, int8_t *q)
{
    f6_codes(p, q);
}

static inline void f4_codes(const uint8_t *p, int8_t *q)
{
    q[0] = *p & 15;
    q[1] = *p >> 4;
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

/* Eight factors and eight minima of a K type, a byte each. */
struct words {
    uint64_t factors, mins;
};

/* Of six bits: the first four of each whole, with the high bits of the others on top of them, then
 * nibbles. */
static inline struct words q4_k_words(const uint8_t *p)
{
    const uint32_t six = 0x3f3f3f3f, four = 0x0f0f0f0f, two = 0x03030303;
    uint32_t first = load_le32(p + 4), second = load_le32(p + 8), third = load_le32(p + 12);
    uint64_t factors = (third & four) | (first >> 6 & two) << 4;
    uint64_t mins = (third >> 4 & four) | (second >> 6 & two) << 4;
    return (struct words){(first & six) | factors << 32, (second & six) | mins << 32};
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

/* Words of grids: entries are ranks of two or three bits, of values that are a formula of them. */
#define LANE(value, ranks, bits, i)                                                                \
    (value((uint64_t)(ranks) >> bits * i & ((1 << bits) - 1)) << 8 * i)
#define FOUR_LANES(value, ranks, bits, i)                                                          \
    (LANE(value, ranks, bits, i) | LANE(value, ranks, bits, (i + 1)) |                             \
     LANE(value, ranks, bits, (i + 2)) | LANE(value, ranks, bits, (i + 3)))
#define IQ2_VALUE(r)     (8 + 17 * (r) + ((r) >> 1))          /* 8 25 43 */
#define IQ3_XXS_VALUE(r) (4 + 8 * (r) + (((r) + 1) >> 2 & 2)) /* 4 12 20 28 36 44 52 62 */
#define IQ3_S_VALUE(r)   (1 + 2 * (r))                        /* 1 3 5 7 9 11 13 15 */
#define IQ1_VALUE(r)     (8 * (r))                            /* eight times -1 0 1, plus 8 */
#define IQ2(ranks)       (FOUR_LANES(IQ2_VALUE, ranks, 2, 0) | FOUR_LANES(IQ2_VALUE, ranks, 2, 4))
#define IQ1(ranks)       (FOUR_LANES(IQ1_VALUE, ranks, 2, 0) | FOUR_LANES(IQ1_VALUE, ranks, 2, 4))
#define IQ3_XXS(ranks)   FOUR_LANES(IQ3_XXS_VALUE, ranks, 3, 0)
#define IQ3_S(ranks)     FOUR_LANES(IQ3_S_VALUE, ranks, 3, 0)

#include "kernels/iq-grids.inc"

/* Signs are stored as seven bits; the eighth makes the number of minus signs even.  Of four bytes,
 * whose eighth bits are 0. */
static inline uint32_t even_signs(uint32_t sevens)
{
    uint32_t parity = sevens ^ sevens >> 4;
    parity ^= parity >> 2;
    parity ^= parity >> 1;
    return sevens | (parity & 0x01010101) << 7;
}

/* The lowest four times seven bits of a word to bytes. */
static inline uint32_t spread_sevens(uint32_t word)
{
    return (word & 0x7f) | (word & 0x3f80) << 1 | (word & 0x1fc000) << 2 | (word & 0xfe00000) << 3;
}

/* Negates the bytes whose sign bit is set.  None is 0, so no carry leaves a byte. */
static inline uint64_t apply_signs(uint64_t word, unsigned signs)
{
    uint64_t negative = spread_bits(signs);
    return (word ^ negative * 0xff) + negative;
}

/* Four words with their signs. */
static inline void put_signed(int8_t *q, uint64_t a, uint64_t b, uint64_t c, uint64_t d,
                              uint32_t signs)
{
#ifdef __AVX2__
    __m256i codes = _mm256_set_epi64x((int64_t)d, (int64_t)c, (int64_t)b, (int64_t)a);
    __m256i negative = byte_mask(signs);
    codes = _mm256_sub_epi8(_mm256_xor_si256(codes, negative), negative);
    _mm256_storeu_si256((__m256i *)q, codes);
#else
    put_word(q, apply_signs(a, signs & 255));
    put_word(q + 8, apply_signs(b, signs >> 8 & 255));
    put_word(q + 16, apply_signs(c, signs >> 16 & 255));
    put_word(q + 24, apply_signs(d, signs >> 24));
#endif
}

static inline void iq2_xxs_codes(const uint8_t *p, int8_t *q)
{
    for (int g = 0; g < 8; g++) {
        const uint8_t *index = p + 2 + 8 * g;
        put_signed(q + 32 * g, iq2xxs_grid[index[0]], iq2xxs_grid[index[1]], iq2xxs_grid[index[2]],
                   iq2xxs_grid[index[3]], even_signs(spread_sevens(load_le32(index + 4))));
    }
}

/* The upper seven bits of four words of 16 to bytes. */
static inline uint32_t upper_sevens(uint64_t words)
{
    words = words >> 9 & UINT64_C(0x007f007f007f007f);
    words = (words | words >> 8) & UINT64_C(0x0000ffff0000ffff);
    return (uint32_t)(words | words >> 16);
}

static inline void iq2_xs_codes(const uint8_t *p, int8_t *q)
{
    for (int g = 0; g < 8; g++) {
        uint64_t w = load_le64(p + 2 + 8 * g);
        put_signed(q + 32 * g, iq2xs_grid[w & 511], iq2xs_grid[w >> 16 & 511],
                   iq2xs_grid[w >> 32 & 511], iq2xs_grid[w >> 48 & 511],
                   even_signs(upper_sevens(w)));
    }
}

static inline void iq2_s_codes(const uint8_t *p, int8_t *q)
{
    for (int g = 0; g < 8; g++) {
        const uint8_t *low = p + 2 + 4 * g;
        unsigned high = (unsigned)p[66 + g] << 8;
        put_signed(q + 32 * g, iq2s_grid[low[0] | (high & 0x300)],
                   iq2s_grid[low[1] | (high >> 2 & 0x300)], iq2s_grid[low[2] | (high >> 4 & 0x300)],
                   iq2s_grid[low[3] | (high >> 6 & 0x300)], load_le32(p + 34 + 4 * g));
    }
}

static inline uint64_t iq3_xxs_word(const uint8_t *index)
{
    return iq3xxs_grid[index[0]] | (uint64_t)iq3xxs_grid[index[1]] << 32;
}

static inline void iq3_xxs_codes(const uint8_t *p, int8_t *q)
{
    for (int g = 0; g < 8; g++) {
        const uint8_t *index = p + 2 + 8 * g;
        put_signed(q + 32 * g, iq3_xxs_word(index), iq3_xxs_word(index + 2),
                   iq3_xxs_word(index + 4), iq3_xxs_word(index + 6),
                   even_signs(spread_sevens(load_le32(p + 66 + 4 * g))));
    }
}

/* `high` has the ninth bits of the two indices lowest. */
static inline uint64_t iq3_s_word(const uint8_t *low, unsigned high)
{
    return iq3s_grid[low[0] | (high << 8 & 256)] | (uint64_t)iq3s_grid[low[1] | (high << 7 & 256)]
                                                       << 32;
}

static inline void iq3_s_codes(const uint8_t *p, int8_t *q)
{
    for (int g = 0; g < 8; g++) {
        const uint8_t *low = p + 2 + 8 * g;
        unsigned high = p[66 + g];
        put_signed(q + 32 * g, iq3_s_word(low, high), iq3_s_word(low + 2, high >> 2),
                   iq3_s_word(low + 4, high >> 4), iq3_s_word(low + 6, high >> 6),
                   load_le32(p + 74 + 4 * g));
    }
}

/* Eight times -1 0 1, plus or minus 1. */
static inline uint64_t iq1_word(unsigned index, int minus)
{
    return subtract(iq1s_grid[index], minus ? 9 : 7);
}

static inline void iq1_s_codes(const uint8_t *p, int8_t *q)
{
    const uint8_t *low = p + 2, *high = p + 34;
    for (int i = 0; i < 32; i++) {
        unsigned h = load_le16(high + i / 4 * 2);
        put_word(q + 8 * i, iq1_word(low[i] | (h >> i % 4 * 3 & 7) << 8, h >> 15));
    }
}

static inline void iq1_m_codes(const uint8_t *p, int8_t *q)
{
    const uint8_t *low = p, *high = p + 32;
    for (int i = 0; i < 32; i++) {
        unsigned h = (unsigned)high[i / 2] >> i % 2 * 4;
        put_word(q + 8 * i, iq1_word(low[i] | (h & 7) << 8, h >> 3 & 1));
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
    return code == 0x7f ? 0.0f : 0.5f * minifloat(code & 0x7f, 0x80, 3, 7);
}

#endif
