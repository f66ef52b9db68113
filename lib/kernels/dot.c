/* SPDX-License-Identifier: MIT */
/*
 * Products of rows: integer products of quantized weights with quantized activations, in the order
 * in which ggml's generic code adds, and plain ones of decoded values.
 *
 * Integers are added in any order, which changes nothing; floats only in the order that
 * tensor-matmul(1) states.  So every instruction set gives the same bits.
 *
 * A type has one function here, NAME_sum: it adds to *s what `blocks` blocks of weights at p, with
 * their codes at q, and the activations from block `at` on give.
 *
 * Codes are widened to int before they are multiplied, or multiplied by instructions that are
 * named: with VNNI, gcc 12 miscompiles products of what it narrowed to int8_t itself.
 */
#include "config.h"

#include "kernels/kernels.h"

#include "kernels/bits.h"
#include "kernels/codes.h"

enum {
    STRIDE = 1024, /* codes that are made at a time, see decode.c */
    TOGETHER = 8,  /* rows of x that share them */
};

struct sums {
    float lanes[8]; /* K types: element i of a block adds to lane i % 8 */
    float total;
};

/* --- Sums of integers --------------------------------------------------------------------------*/

#ifdef __AVX2__
/* Products of 16 codes, two added to one. */
static inline __m256i products_16(const int8_t *q, const int8_t *a)
{
    __m256i x = _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)q));
    __m256i y = _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)a));
    return _mm256_madd_epi16(x, y);
}

static inline __m256i products_32(const int8_t *q, const int8_t *a)
{
    return _mm256_add_epi32(products_16(q, a), products_16(q + 16, a + 16));
}

/* The sums of eight vectors. */
static inline void add_across(const __m256i v[8], int32_t *sums)
{
    __m256i a = _mm256_hadd_epi32(_mm256_hadd_epi32(v[0], v[1]), _mm256_hadd_epi32(v[2], v[3]));
    __m256i b = _mm256_hadd_epi32(_mm256_hadd_epi32(v[4], v[5]), _mm256_hadd_epi32(v[6], v[7]));
    __m256i low = _mm256_permute2x128_si256(a, b, 0x20),
            high = _mm256_permute2x128_si256(a, b, 0x31);
    _mm256_storeu_si256((__m256i *)sums, _mm256_add_epi32(low, high));
}
#endif

/* Sums of products of each 32 codes. */
static inline void sum_32(const int8_t *q, const int8_t *a, size_t groups, int32_t *sums)
{
    size_t g = 0;
#ifdef __AVX2__
    for (; g + 8 <= groups; g += 8) {
        __m256i v[8];
        for (size_t k = 0; k < 8; k++)
            v[k] = products_32(q + 32 * (g + k), a + 32 * (g + k));
        add_across(v, sums + g);
    }
#endif
    for (; g < groups; g++) {
        int sum = 0;
        for (int i = 0; i < 32; i++)
            sum += (int)q[32 * g + i] * (int)a[32 * g + i];
        sums[g] = sum;
    }
}

/* The same of each 16. */
static inline void sum_16(const int8_t *q, const int8_t *a, size_t groups, int32_t *sums)
{
    size_t g = 0;
#ifdef __AVX2__
    for (; g + 8 <= groups; g += 8) {
        __m256i v[8];
        for (size_t k = 0; k < 8; k++)
            v[k] = products_16(q + 16 * (g + k), a + 16 * (g + k));
        add_across(v, sums + g);
    }
#endif
    for (; g < groups; g++) {
        int sum = 0;
        for (int i = 0; i < 16; i++)
            sum += (int)q[16 * g + i] * (int)a[16 * g + i];
        sums[g] = sum;
    }
}

/* --- Sums by lanes, for K types ----------------------------------------------------------------*/

/*
 * Each 16 codes q, which are -bias or more, have a factor, and the products of codes at places i
 * and i + 8 go to one lane.  Two bytes beside one another are multiplied and added by one
 * instruction, which takes the first of them without a sign: so bytes are brought beside one
 * another, codes are moved up by the bias, and what that adds is taken off.  No sum comes near the
 * limits of int16_t: codes are below 64 then, and 2 * 63 * 128 is less than half of them.
 */
#ifdef __AVX2__
static inline __m256i load_32(const void *p)
{
    return _mm256_loadu_si256((const __m256i *)p);
}

static inline __m256i beside(__m256i codes)
{
    const __m256i order = _mm256_broadcastsi128_si256(
        _mm_setr_epi8(0, 8, 1, 9, 2, 10, 3, 11, 4, 12, 5, 13, 6, 14, 7, 15));
    return _mm256_shuffle_epi8(codes, order);
}

/* Four groups of 16 have come to pairs of sums: first those of two groups, then of the others.
 * Factors are those of the first and the third group in the lower half, of the second and the
 * fourth in the upper one. */
static inline void add_pairs(__m256i first, __m256i second, __m256i factors, __m256i sums[2])
{
    __m256i low = _mm256_unpacklo_epi16(first, second), high = _mm256_unpackhi_epi16(first, second);
    sums[0] = _mm256_add_epi32(sums[0], _mm256_madd_epi16(low, factors));
    sums[1] = _mm256_add_epi32(sums[1], _mm256_madd_epi16(high, factors));
}

/* lane[l] += d * (sum of lane l) */
static inline void end_lanes(const __m256i sums[2], float d, float *lanes)
{
    __m256i all = _mm256_add_epi32(_mm256_permute2x128_si256(sums[0], sums[1], 0x20),
                                   _mm256_permute2x128_si256(sums[0], sums[1], 0x31));
    __m256 scaled = _mm256_mul_ps(_mm256_set1_ps(d), _mm256_cvtepi32_ps(all));
    _mm256_storeu_ps(lanes, _mm256_add_ps(_mm256_loadu_ps(lanes), scaled));
}

static inline __m256i pair_products(const int8_t *q, const int8_t *pairs, int bias)
{
    const __m256i up = _mm256_set1_epi8((char)bias);
    __m256i others = load_32(pairs), codes = _mm256_add_epi8(beside(load_32(q)), up);
    __m256i products = _mm256_maddubs_epi16(codes, others);
    return bias ? _mm256_sub_epi16(products, _mm256_maddubs_epi16(up, others)) : products;
}

static inline void add_lanes(const int8_t *q, int bias, const int8_t *factors,
                             const struct tu_activation *x, size_t at, float d, float *lanes)
{
    const __m256i order = _mm256_setr_epi8(0, 1, 4, 5, 0, 1, 4, 5, 0, 1, 4, 5, 0, 1, 4, 5, 2, 3, 6,
                                           7, 2, 3, 6, 7, 2, 3, 6, 7, 2, 3, 6, 7);
    const int8_t *pairs = x->pairs + 256 * at;
    __m256i wide = _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)factors));
    __m256i sums[2] = {_mm256_setzero_si256(), _mm256_setzero_si256()};
    for (int k = 0; k < 4; k++) {
        __m256i four = _mm256_permutevar8x32_epi32(
            wide, _mm256_setr_epi32(2 * k, 2 * k + 1, 0, 0, 2 * k, 2 * k + 1, 0, 0));
        add_pairs(pair_products(q + 64 * k, pairs + 64 * k, bias),
                  pair_products(q + 64 * k + 32, pairs + 64 * k + 32, bias),
                  _mm256_shuffle_epi8(four, order), sums);
    }
    end_lanes(sums, d, lanes);
}
#else
static inline void add_lanes(const int8_t *q, int bias, const int8_t *factors,
                             const struct tu_activation *x, size_t at, float d, float *lanes)
{
    const int8_t *a = x->codes + 256 * at;
    int32_t sums[8] = {0};
    (void)bias;
    for (int k = 0; k < 16; k++)
        for (int l = 0; l < 8; l++) {
            int16_t first = (int16_t)((int16_t)q[16 * k + l] * (int16_t)a[16 * k + l]);
            int16_t second = (int16_t)((int16_t)q[16 * k + 8 + l] * (int16_t)a[16 * k + 8 + l]);
            sums[l] += (int32_t)factors[k] * ((int32_t)first + (int32_t)second);
        }
    for (int l = 0; l < 8; l++)
        lanes[l] += d * (float)sums[l];
}
#endif

/* --- Types with blocks of 32 -------------------------------------------------------------------*/

/* `term` in terms of p, the block; sum, the integer; and d and t, scale and term of activations. */
#define BLOCKS_OF_32(name, bytes, term)                                                            \
    static inline void name##_sum(const uint8_t *p, int8_t *q, size_t blocks, size_t at,           \
                                  const struct tu_activation *x, struct sums *s)                   \
    {                                                                                              \
        int32_t sums[STRIDE / 32];                                                                 \
        float total = s->total;                                                                    \
        sum_32(q, x->codes + 32 * at, blocks, sums);                                               \
        for (size_t b = 0; b < blocks; b++, p += bytes) {                                          \
            float sum = (float)sums[b], d = x->scales[at + b],                                     \
                  t = x->terms ? x->terms[at + b] : 0;                                             \
            (void)t;                                                                               \
            total += term;                                                                         \
        }                                                                                          \
        s->total = total;                                                                          \
    }

BLOCKS_OF_32(q4_0, 18, sum *load_half(p) * d)
BLOCKS_OF_32(q4_1, 20, load_half(p) * d * sum + load_half(p + 2) * t)
BLOCKS_OF_32(q5_0, 22, load_half(p) * d * sum)
BLOCKS_OF_32(q5_1, 24, load_half(p) * d * sum + load_half(p + 2) * t)
BLOCKS_OF_32(q8_0, 34, load_half(p) * d * sum)
BLOCKS_OF_32(iq4_nl, 18, load_half(p) * d * sum)
BLOCKS_OF_32(mxfp4, 17, mxfp4_scale(*p) * d * sum)

/* --- Types with larger blocks, for activations in blocks of 32 ---------------------------------*/

/* Blocks of `parts` times 32 with one scale: the parts are added first. */
static inline void one_scale_sum(const uint8_t *p, size_t bytes, size_t parts, const int8_t *q,
                                 size_t blocks, size_t at, const struct tu_activation *x,
                                 struct sums *s)
{
    int32_t sums[STRIDE / 32];
    sum_32(q, x->codes + 32 * parts * at, parts * blocks, sums);
    for (size_t b = 0; b < blocks; b++) {
        float part = 0;
        for (size_t k = 0; k < parts; k++)
            part += x->scales[parts * (at + b) + k] * (float)sums[parts * b + k];
        s->total += load_half(p + bytes * b) * part;
    }
}

static inline void q1_0_sum(const uint8_t *p, int8_t *q, size_t blocks, size_t at,
                            const struct tu_activation *x, struct sums *s)
{
    one_scale_sum(p, 18, 4, q, blocks, at, x, s);
}

static inline void q2_0_sum(const uint8_t *p, int8_t *q, size_t blocks, size_t at,
                            const struct tu_activation *x, struct sums *s)
{
    one_scale_sum(p, 18, 2, q, blocks, at, x, s);
}

static inline void nvfp4_sum(const uint8_t *p, int8_t *q, size_t blocks, size_t at,
                             const struct tu_activation *x, struct sums *s)
{
    int32_t sums[STRIDE / 16];
    sum_16(q, x->codes + 64 * at, 4 * blocks, sums);
    for (size_t k = 0; k < 4 * blocks; k++) {
        float d = x->scales[2 * at + k / 2];
        s->total += d * nvfp4_scale(p[k / 4 * 36 + k % 4]) * (float)sums[k];
    }
}

/* --- Types with blocks of 256 ------------------------------------------------------------------*/

/* A function of one block is enough. */
#define BLOCKS_OF_256(name, bytes)                                                                 \
    static inline void name##_sum(const uint8_t *p, int8_t *q, size_t blocks, size_t at,           \
                                  const struct tu_activation *x, struct sums *s)                   \
    {                                                                                              \
        for (size_t b = 0; b < blocks; b++)                                                        \
            name##_block(p + bytes * b, q + 256 * b, x, at + b, x->scales[at + b], s);             \
    }

static inline void q2_k_block(const uint8_t *p, const int8_t *q, const struct tu_activation *x,
                              size_t at, float d, struct sums *s)
{
    int32_t groups[16];
    int sum = 0, below = 0;
    sum_16(q, x->codes + 256 * at, 16, groups);
    for (int k = 0; k < 16; k++) {
        sum += (p[k] & 15) * groups[k];
        below += (p[k] >> 4) * x->sums[16 * at + (size_t)k];
    }
    s->total += d * load_half(p + 80) * (float)sum - d * load_half(p + 82) * (float)below;
}

static inline void q3_k_block(const uint8_t *p, const int8_t *q, const struct tu_activation *x,
                              size_t at, float d, struct sums *s)
{
    int8_t factors[16];
    q3_k_scales(p + 96, factors);
    add_lanes(q, 4, factors, x, at, load_half(p + 108) * d, s->lanes);
}

/* What the minima take off. */
static inline float q4_k_below(const uint8_t *p, uint64_t mins, const int16_t *sums, float d)
{
    int below = 0;
#ifdef __AVX2__
    __m128i pairs = _mm_hadd_epi16(_mm_loadu_si128((const __m128i *)sums),
                                   _mm_loadu_si128((const __m128i *)(sums + 8)));
    __m128i v = _mm_madd_epi16(_mm_cvtepu8_epi16(_mm_cvtsi64_si128((long long)mins)), pairs);
    v = _mm_add_epi32(v, _mm_unpackhi_epi64(v, v));
    below = _mm_cvtsi128_si32(v) + _mm_extract_epi32(v, 1);
#else
    for (int k = 0; k < 16; k++)
        below += (int)(mins >> k / 2 * 8 & 255) * (int)sums[k];
#endif
    return load_half(p + 2) * d * (float)below;
}

static inline void q5_k_block(const uint8_t *p, const int8_t *q, const struct tu_activation *x,
                              size_t at, float d, struct sums *s)
{
    struct words words = q4_k_words(p);
    int8_t factors[16];
    for (int k = 0; k < 8; k++)
        factors[2 * k] = factors[2 * k + 1] = (int8_t)(words.factors >> 8 * k & 255);
    add_lanes(q, 0, factors, x, at, load_half(p) * d, s->lanes);
    s->total -= q4_k_below(p, words.mins, x->sums + 16 * at, d);
}

/* The commonest type has no codes made first where a vector of bytes has those of two groups. */
static inline void q4_k_block(const uint8_t *p, const int8_t *q, const struct tu_activation *x,
                              size_t at, float d, struct sums *s)
{
#ifdef __AVX2__
    const __m256i nibble = _mm256_set1_epi8(15);
    const int8_t *pairs = x->pairs + 256 * at;
    struct words words = q4_k_words(p);
    __m128i wide = _mm_cvtepu8_epi16(_mm_cvtsi64_si128((long long)words.factors));
    __m256i sums[2] = {_mm256_setzero_si256(), _mm256_setzero_si256()};
    (void)q;
    for (int k = 0; k < 4; k++) {
        __m256i both = beside(load_32(p + 16 + 32 * k));
        __m256i low = _mm256_and_si256(both, nibble);
        __m256i high = _mm256_and_si256(_mm256_srli_epi16(both, 4), nibble);
        add_pairs(_mm256_maddubs_epi16(low, load_32(pairs + 64 * k)),
                  _mm256_maddubs_epi16(high, load_32(pairs + 64 * k + 32)),
                  _mm256_permutevar8x32_epi32(_mm256_castsi128_si256(wide), _mm256_set1_epi32(k)),
                  sums);
    }
    end_lanes(sums, load_half(p) * d, s->lanes);
    s->total -= q4_k_below(p, words.mins, x->sums + 16 * at, d);
#else
    q5_k_block(p, q, x, at, d, s);
#endif
}

static inline void q6_k_block(const uint8_t *p, const int8_t *q, const struct tu_activation *x,
                              size_t at, float d, struct sums *s)
{
    add_lanes(q, 32, (const int8_t *)p + 192, x, at, load_half(p + 208) * d, s->lanes);
}

static inline void iq2_xxs_block(const uint8_t *p, const int8_t *q, const struct tu_activation *x,
                                 size_t at, float d, struct sums *s)
{
    int32_t groups[8];
    int sum = 0;
    sum_32(q, x->codes + 256 * at, 8, groups);
    for (int g = 0; g < 8; g++)
        sum += (2 * (p[9 + 8 * g] >> 4) + 1) * groups[g];
    s->total += load_half(p) * d * (float)sum;
}

/* Sixteen factors in nibbles. */
static inline int sum_of_nibbles(const uint8_t *nibble, const int8_t *q,
                                 const struct tu_activation *x, size_t at)
{
    int32_t groups[16];
    int sum = 0;
    sum_16(q, x->codes + 256 * at, 16, groups);
    for (int k = 0; k < 16; k++)
        sum += (2 * (nibble[k / 2] >> k % 2 * 4 & 15) + 1) * groups[k];
    return sum;
}

static inline void iq2_xs_block(const uint8_t *p, const int8_t *q, const struct tu_activation *x,
                                size_t at, float d, struct sums *s)
{
    s->total += load_half(p) * d * (float)sum_of_nibbles(p + 66, q, x, at);
}

static inline void iq2_s_block(const uint8_t *p, const int8_t *q, const struct tu_activation *x,
                               size_t at, float d, struct sums *s)
{
    s->total += load_half(p) * d * (float)sum_of_nibbles(p + 74, q, x, at);
}

static inline void iq3_xxs_block(const uint8_t *p, const int8_t *q, const struct tu_activation *x,
                                 size_t at, float d, struct sums *s)
{
    int32_t groups[8];
    int sum = 0;
    sum_32(q, x->codes + 256 * at, 8, groups);
    for (int g = 0; g < 8; g++)
        sum += (2 * (p[69 + 4 * g] >> 4) + 1) * groups[g];
    s->total += load_half(p) * d * (float)sum;
}

static inline void iq3_s_block(const uint8_t *p, const int8_t *q, const struct tu_activation *x,
                               size_t at, float d, struct sums *s)
{
    int32_t groups[8];
    int sum = 0;
    sum_32(q, x->codes + 256 * at, 8, groups);
    for (int g = 0; g < 8; g++)
        sum += (2 * (p[106 + g / 2] >> g % 2 * 4 & 15) + 1) * groups[g];
    s->total += load_half(p) * d * (float)sum;
}

/* Codes are eight times a whole number, plus or minus 1: the two are added apart. */
static inline void iq1_s_block(const uint8_t *p, const int8_t *q, const struct tu_activation *x,
                               size_t at, float d, struct sums *s)
{
    const int16_t *sums = x->sums + 16 * at;
    int32_t groups[8];
    int whole = 0, delta = 0;
    sum_32(q, x->codes + 256 * at, 8, groups);
    for (int g = 0; g < 8; g++) {
        int high = load_le16(p + 34 + 2 * g), factor = 2 * (high >> 12 & 7) + 1;
        int rest = (high & 0x8000 ? -1 : 1) * (sums[2 * g] + sums[2 * g + 1]);
        whole += factor * ((groups[g] - rest) / 8);
        delta += factor * rest;
    }
    s->total += load_half(p) * d * ((float)whole + 0.125f * (float)delta);
}

static inline void iq1_m_block(const uint8_t *p, const int8_t *q, const struct tu_activation *x,
                               size_t at, float d, struct sums *s)
{
    int32_t groups[16], rests[16];
    int8_t signs[256];
    int whole = 0, delta = 0;
    for (int i = 0; i < 32; i++)
        put_word(signs + 8 * i, p[32 + i / 2] >> i % 2 * 4 & 8 ? eight(0xff) : eight(1));
    sum_16(q, x->codes + 256 * at, 16, groups);
    sum_16(signs, x->codes + 256 * at, 16, rests);
    for (int k = 0; k < 16; k++) {
        int factor = iq1_m_factor(p, k);
        whole += factor * ((groups[k] - rests[k]) / 8);
        delta += factor * rests[k];
    }
    s->total += iq1_m_scale(p) * d * ((float)whole + 0.125f * (float)delta);
}

static inline void iq4_xs_block(const uint8_t *p, const int8_t *q, const struct tu_activation *x,
                                size_t at, float d, struct sums *s)
{
    int32_t groups[8];
    float both = load_half(p) * d;
    sum_32(q, x->codes + 256 * at, 8, groups);
    for (int g = 0; g < 8; g++)
        s->total += both * (float)iq4_xs_factor(p, g) * (float)groups[g];
}

static inline int sum_256(const int8_t *q, const struct tu_activation *x, size_t at)
{
    int32_t groups[8];
    int sum = 0;
    sum_32(q, x->codes + 256 * at, 8, groups);
    for (int g = 0; g < 8; g++)
        sum += groups[g];
    return sum;
}

static inline void tq1_0_block(const uint8_t *p, const int8_t *q, const struct tu_activation *x,
                               size_t at, float d, struct sums *s)
{
    s->total += (float)sum_256(q, x, at) * (load_half(p + 52) * d);
}

static inline void tq2_0_block(const uint8_t *p, const int8_t *q, const struct tu_activation *x,
                               size_t at, float d, struct sums *s)
{
    s->total += (float)sum_256(q, x, at) * (load_half(p + 64) * d);
}

BLOCKS_OF_256(q2_k, 84)
BLOCKS_OF_256(q3_k, 110)
BLOCKS_OF_256(q4_k, 144)
BLOCKS_OF_256(q5_k, 176)
BLOCKS_OF_256(q6_k, 210)
BLOCKS_OF_256(iq2_xxs, 66)
BLOCKS_OF_256(iq2_xs, 74)
BLOCKS_OF_256(iq2_s, 82)
BLOCKS_OF_256(iq3_xxs, 98)
BLOCKS_OF_256(iq3_s, 110)
BLOCKS_OF_256(iq1_s, 50)
BLOCKS_OF_256(iq1_m, 56)
BLOCKS_OF_256(iq4_xs, 136)
BLOCKS_OF_256(tq1_0, 54)
BLOCKS_OF_256(tq2_0, 66)

/* --- The products ------------------------------------------------------------------------------*/

/* What the whole sum is multiplied by in the end. */
enum { ONE = 8, QUARTER = 2, EIGHTH = 1 };

static inline float end_of(const struct sums *s, int eighths)
{
    float y = s->total;
    for (int l = 0; l < 8; l++)
        y += s->lanes[l];
    return eighths == ONE ? y : y * ((float)eighths * 0.125f);
}

static inline void plain(int8_t *q, size_t n)
{
    (void)q, (void)n;
}

static inline void iq4_table(int8_t *q, size_t n)
{
    look_up(iq4_values, q, (int)n, q);
}

static inline void fp4_table(int8_t *q, size_t n)
{
    look_up(fp4_values, q, (int)n, q);
}

#ifdef __AVX2__
#define q4_k_codes(p, q) ((void)(p))
#endif

#define DOT(name, elements, bytes, values, end)                                                    \
    tu_dot_fn TU_KERNEL(dot_##name);                                                               \
    void TU_KERNEL(dot_##name)(const uint8_t *restrict w, size_t blocks,                           \
                               const struct tu_activation *x, size_t n, float *restrict y)         \
    {                                                                                              \
        _Alignas(64) int8_t q[STRIDE];                                                             \
        for (size_t first = 0, count; first < n; first += count) {                                 \
            struct sums sums[TOGETHER] = {0};                                                      \
            count = n - first < TOGETHER ? n - first : TOGETHER;                                   \
            for (size_t done = 0, step; done < blocks; done += step) {                             \
                step = blocks - done < STRIDE / elements ? blocks - done : STRIDE / elements;      \
                for (size_t b = 0; b < step; b++)                                                  \
                    name##_codes(w + (done + b) * bytes, q + b * elements);                        \
                values(q, step *elements);                                                         \
                for (size_t i = 0; i < count; i++)                                                 \
                    name##_sum(w + done * bytes, q, step, done, &x[first + i], &sums[i]);          \
            }                                                                                      \
            for (size_t i = 0; i < count; i++)                                                     \
                y[first + i] = end_of(&sums[i], end);                                              \
        }                                                                                          \
    }

DOT(q4_0, 32, 18, plain, ONE)
DOT(q4_1, 32, 20, plain, ONE)
DOT(q5_0, 32, 22, plain, ONE)
DOT(q5_1, 32, 24, plain, ONE)
DOT(q8_0, 32, 34, plain, ONE)
DOT(q2_k, 256, 84, plain, ONE)
DOT(q3_k, 256, 110, plain, ONE)
DOT(q4_k, 256, 144, plain, ONE)
DOT(q5_k, 256, 176, plain, ONE)
DOT(q6_k, 256, 210, plain, ONE)
DOT(iq2_xxs, 256, 66, plain, EIGHTH)
DOT(iq2_xs, 256, 74, plain, EIGHTH)
DOT(iq2_s, 256, 82, plain, EIGHTH)
DOT(iq3_xxs, 256, 98, plain, QUARTER)
DOT(iq3_s, 256, 110, plain, ONE)
DOT(iq1_s, 256, 50, plain, ONE)
DOT(iq1_m, 256, 56, plain, ONE)
DOT(iq4_nl, 32, 18, iq4_table, ONE)
DOT(iq4_xs, 256, 136, iq4_table, ONE)
DOT(tq1_0, 256, 54, plain, ONE)
DOT(tq2_0, 256, 66, plain, ONE)
DOT(mxfp4, 32, 17, fp4_table, ONE)
DOT(nvfp4, 64, 36, fp4_table, ONE)
DOT(q1_0, 128, 18, plain, ONE)
DOT(q2_0, 64, 18, plain, ONE)

/* --- Products of decoded values ----------------------------------------------------------------*/

/* Element i adds to lane i % TU_LANES; a product of two floats is exact in float64. */
static inline double dot_wide(const float *restrict w, const float *restrict x, size_t n)
{
    double lanes[TU_LANES] = {0}, sum = 0;
    size_t i = 0;
    for (; i + TU_LANES <= n; i += TU_LANES)
        for (size_t l = 0; l < TU_LANES; l++)
            lanes[l] += (double)w[i + l] * (double)x[i + l];
    for (size_t l = 0; i + l < n; l++)
        lanes[l] += (double)w[i + l] * (double)x[i + l];
    for (size_t l = 0; l < TU_LANES; l++)
        sum += lanes[l];
    return sum;
}

tu_dot64_fn TU_KERNEL(dot64);
void TU_KERNEL(dot64)(const float *restrict w, size_t rows, size_t columns, const float *restrict x,
                      double *restrict y)
{
    for (size_t r = 0; r < rows; r++)
        y[r] = dot_wide(w + r * columns, x, columns);
}

/* One row with one or two rows of x, which share what is made of it. */
static inline void dot_doubles(const float *restrict w, const double *restrict x, size_t n,
                               size_t vectors, double *restrict sums)
{
    double lanes[2][TU_LANES] = {{0}};
    size_t i = 0;
    for (; i + TU_LANES <= n; i += TU_LANES)
        for (size_t v = 0; v < vectors; v++)
            for (size_t l = 0; l < TU_LANES; l++)
                lanes[v][l] += (double)w[i + l] * x[v * n + i + l];
    for (size_t l = 0; i + l < n; l++)
        for (size_t v = 0; v < vectors; v++)
            lanes[v][l] += (double)w[i + l] * x[v * n + i + l];
    for (size_t v = 0; v < vectors; v++) {
        sums[v] = 0;
        for (size_t l = 0; l < TU_LANES; l++)
            sums[v] += lanes[v][l];
    }
}

tu_dot64_wide_fn TU_KERNEL(dot64_wide);
void TU_KERNEL(dot64_wide)(const float *restrict w, size_t rows, size_t columns,
                           const double *restrict x, size_t n, double *restrict y)
{
    double sums[2];
    for (size_t r = 0; r < rows; r++) {
        size_t i = 0;
        for (; i + 2 <= n; i += 2) {
            dot_doubles(w + r * columns, x + i * columns, columns, 2, sums);
            y[i * rows + r] = sums[0];
            y[(i + 1) * rows + r] = sums[1];
        }
        if (i < n) {
            dot_doubles(w + r * columns, x + i * columns, columns, 1, sums);
            y[i * rows + r] = sums[0];
        }
    }
}

/* Several rows beside one another, because each add has to wait for the one before it. */
static inline void fold_rows(const float *restrict w, size_t rows, size_t columns, size_t block,
                             const float *restrict x, float *restrict y)
{
    float total[8] = {0};
    for (size_t first = 0; first < columns; first += block) {
        size_t end = columns - first < block ? columns : first + block;
        float part[8] = {0};
        for (size_t i = first; i < end; i++)
            for (size_t r = 0; r < rows; r++)
                part[r] += w[r * columns + i] * x[i];
        for (size_t r = 0; r < rows; r++)
            total[r] += part[r];
    }
    memcpy(y, total, rows * sizeof *y);
}

tu_fold_fn TU_KERNEL(fold);
void TU_KERNEL(fold)(const float *restrict w, size_t rows, size_t columns, size_t block,
                     const float *restrict x, float *restrict y)
{
    size_t r = 0;
    for (; r + 8 <= rows; r += 8)
        fold_rows(w + r * columns, 8, columns, block, x, y + r);
    if (r < rows)
        fold_rows(w + r * columns, rows - r, columns, block, x, y + r);
}
