/* SPDX-License-Identifier: MIT */
/* What only full comparisons look at, of runs of pairs without NaN or infinity. */
#include "config.h"

#include "kernels/bits.h"
#include "kernels/doubles.h"
#include "kernels/kernels.h"

static inline uint32_t magnitude(float x)
{
    return float_bits(x) & INT32_MAX;
}

void TU_KERNEL(full_beyond)(const float *restrict a, const float *restrict b, size_t n,
                            uint64_t counts[3])
{
    uint32_t low = 0, middle = 0, high = 0;
    for (size_t i = 0; i < n; i++) {
        uint32_t x = magnitude(a[i]), y = magnitude(b[i]);
        float larger = float_from_bits(x > y ? x : y);
        float apart = float_from_bits(magnitude(a[i] - b[i]));
        low += apart > 0.001f * larger;
        middle += apart > 0.01f * larger;
        high += apart > 0.1f * larger;
    }
    counts[0] += low;
    counts[1] += middle;
    counts[2] += high;
}

/* Vectors of columns whose sums are in registers at a time: two, so that none waits for its own
 * last addition, where a group has as many. */
enum { AT_ONCE = GROUP < TU_COLUMNS ? 2 : 1 };

/* Some columns of a group, so that their sums are loaded and stored once for all rows. */
static inline void add_vectors(const float *restrict a, const float *restrict b, size_t rows,
                               size_t stride, double *restrict sums)
{
    doubles dot[AT_ONCE], aa[AT_ONCE], bb[AT_ONCE], dd[AT_ONCE];
    for (size_t k = 0; k < AT_ONCE; k++) {
        memcpy(&dot[k], sums + k * GROUP, sizeof dot[k]);
        memcpy(&aa[k], sums + TU_COLUMNS + k * GROUP, sizeof aa[k]);
        memcpy(&bb[k], sums + 2 * TU_COLUMNS + k * GROUP, sizeof bb[k]);
        memcpy(&dd[k], sums + 3 * TU_COLUMNS + k * GROUP, sizeof dd[k]);
    }
    for (size_t r = 0; r < rows; r++, a += stride, b += stride) {
        for (size_t k = 0; k < AT_ONCE; k++) {
            doubles x = load_doubles(a + k * GROUP), y = load_doubles(b + k * GROUP), d = x - y;
            dot[k] = multiply_add(x, y, dot[k]);
            aa[k] = multiply_add(x, x, aa[k]);
            bb[k] = multiply_add(y, y, bb[k]);
            dd[k] += d * d;
        }
    }
    for (size_t k = 0; k < AT_ONCE; k++) {
        memcpy(sums + k * GROUP, &dot[k], sizeof dot[k]);
        memcpy(sums + TU_COLUMNS + k * GROUP, &aa[k], sizeof aa[k]);
        memcpy(sums + 2 * TU_COLUMNS + k * GROUP, &bb[k], sizeof bb[k]);
        memcpy(sums + 3 * TU_COLUMNS + k * GROUP, &dd[k], sizeof dd[k]);
    }
}

static inline void add_group(const float *restrict a, const float *restrict b, size_t rows,
                             size_t stride, double *restrict sums)
{
    for (size_t k = 0; k < TU_COLUMNS; k += AT_ONCE * GROUP)
        add_vectors(a + k, b + k, rows, stride, sums + k);
}

void TU_KERNEL(full_columns)(const float *restrict a, const float *restrict b, size_t rows,
                             size_t width, size_t stride, double *restrict sums)
{
    size_t i = 0, rest = width % TU_COLUMNS;
    for (; i + TU_COLUMNS <= width; i += TU_COLUMNS, sums += 4 * TU_COLUMNS)
        add_group(a + i, b + i, rows, stride, sums);
    for (size_t r = 0; rest && r < rows; r++) {
        float p[TU_COLUMNS] = {0}, q[TU_COLUMNS] = {0};
        memcpy(p, a + r * stride + i, rest * sizeof *p);
        memcpy(q, b + r * stride + i, rest * sizeof *q);
        add_group(p, q, 1, 0, sums);
    }
}

/* Takes a pair into the two largest. */
static inline void take_largest(float a, float b, uint32_t *restrict first,
                                uint32_t *restrict second)
{
    uint32_t x = magnitude(a), y = magnitude(b), z = x > y ? x : y;
    uint32_t less = z < *first ? z : *first;
    *second = less > *second ? less : *second;
    *first = z > *first ? z : *first;
}

void TU_KERNEL(full_largest)(const float *restrict a, const float *restrict b, size_t n,
                             uint32_t largest[2][TU_STRIDE])
{
    uint32_t first[TU_STRIDE] = {0}, second[TU_STRIDE] = {0};
    size_t i = 0;
    for (; i + TU_STRIDE <= n; i += TU_STRIDE)
        for (size_t k = 0; k < TU_STRIDE; k++)
            take_largest(a[i + k], b[i + k], &first[k], &second[k]);
    for (; i < n; i++)
        take_largest(a[i], b[i], &first[i % TU_STRIDE], &second[i % TU_STRIDE]);
    memcpy(largest[0], first, sizeof first);
    memcpy(largest[1], second, sizeof second);
}

/* How many numbers of the type are below a magnitude: its bits, as they would be in the type. */
static inline uint32_t rank(uint32_t bits, const struct tu_ulp_type *t, bool small)
{
    uint32_t plain = (bits >> t->shift) - t->bias;
    if (!small)
        return plain;
    uint32_t sum = float_bits(float_from_bits(bits) + t->magic) - float_bits(t->magic);
    return choose(bits < t->least, sum, plain);
}

static inline uint32_t distance(float a, float b, const struct tu_ulp_type *t, bool small)
{
    uint32_t x = float_bits(a), y = float_bits(b);
    uint32_t p = rank(x & INT32_MAX, t, small), q = rank(y & INT32_MAX, t, small);
    return choose((int)((x ^ y) >> 31), p + q, choose(p > q, p - q, q - p));
}

/* 0, 1, 2, 3 to 4, 5 to 8, ... are buckets 0, 1, 2, 3, 4, ...: the exponent of the float of half
 * the distance, whose second bit is taken out so that it is not rounded to a power of two. */
static inline uint8_t bucket(uint32_t apart)
{
    uint32_t half = (apart - 1) >> 1;
    uint32_t exponent = float_bits((float)(int32_t)(half & ~(half >> 1))) >> 23;
    return (uint8_t)choose(apart < 2, apart, choose(half == 0, 2, exponent - 124));
}

enum { STEP = 1024 };

/* Of float32: each pair is looked at alone. */
static void count_wide(const float *restrict a, const float *restrict b, size_t n,
                       const struct tu_ulp_type *t, uint64_t *restrict buckets)
{
    enum { TABLES = 4, SIZE = 64 };
    uint32_t counts[TABLES][SIZE] = {{0}};
    uint8_t found[STEP];
    for (size_t i = 0; i < n; i++)
        found[i] = bucket(distance(a[i], b[i], t, false));
    for (size_t i = 0; i < n; i++)
        counts[i % TABLES][found[i]]++;
    for (size_t k = 0; k < SIZE; k++)
        for (size_t table = 0; table < TABLES; table++)
            buckets[k] += counts[table][k];
}

/* Distances from 0 to 2^16 - 1 less 2^15: processors compare 16 bits with signs. */
static inline int16_t less_half(uint16_t distance)
{
    return (int16_t)(distance ^ 0x8000);
}

/* Of types of 16 bits and fewer: all pairs for each bucket, four at a time, until none is beyond
 * it. */
static void count_narrow(const int16_t *restrict apart, size_t n, uint64_t *restrict buckets)
{
    size_t beyond = n;
    for (unsigned k = 0; k < 16 && beyond; k += 4) {
        int16_t most[4];
        uint16_t counts[4];
        for (unsigned j = 0; j < 4; j++)
            most[j] = less_half((uint16_t)(k + j ? 1u << (k + j - 1) : 0));
        uint16_t c0 = 0, c1 = 0, c2 = 0, c3 = 0;
        for (size_t i = 0; i < n; i++) {
            c0 = (uint16_t)(c0 + (apart[i] > most[0]));
            c1 = (uint16_t)(c1 + (apart[i] > most[1]));
            c2 = (uint16_t)(c2 + (apart[i] > most[2]));
            c3 = (uint16_t)(c3 + (apart[i] > most[3]));
        }
        counts[0] = c0, counts[1] = c1, counts[2] = c2, counts[3] = c3;
        for (unsigned j = 0; j < 4; j++) {
            buckets[k + j] += beyond - counts[j];
            beyond = counts[j];
        }
    }
    if (!beyond)
        return;
    uint16_t last = 0;
    for (size_t i = 0; i < n; i++)
        last = (uint16_t)(last + (apart[i] > less_half(1u << 15)));
    buckets[16] += beyond - last;
    buckets[17] += last;
}

/* The upper halves of float32 are bfloat16. */
static void subtract_bfloats(const float *restrict a, const float *restrict b, size_t n,
                             int16_t *restrict apart)
{
    uint16_t x[STEP], y[STEP];
    for (size_t i = 0; i < n; i++) {
        x[i] = (uint16_t)(float_bits(a[i]) >> 16);
        y[i] = (uint16_t)(float_bits(b[i]) >> 16);
    }
    for (size_t i = 0; i < n; i++) {
        uint16_t p = x[i] & INT16_MAX, q = y[i] & INT16_MAX;
        uint16_t more = p > q ? p : q, less = p > q ? q : p;
        uint16_t opposite = (uint16_t) - ((x[i] ^ y[i]) >> 15); /* all bits or none */
        apart[i] = less_half((uint16_t)(more - (uint16_t)((less ^ opposite) - opposite)));
    }
}

static void subtract_others(const float *restrict a, const float *restrict b, size_t n,
                            const struct tu_ulp_type *t, int16_t *restrict apart)
{
    for (size_t i = 0; i < n; i++)
        apart[i] = less_half((uint16_t)distance(a[i], b[i], t, true));
}

void TU_KERNEL(full_ulps)(const float *restrict a, const float *restrict b, size_t n,
                          const struct tu_ulp_type *type, uint64_t *restrict buckets)
{
    const struct tu_ulp_type t = *type;
    for (size_t count; n; n -= count, a += count, b += count) {
        int16_t apart[STEP];
        count = n < STEP ? n : STEP;
        if (!t.shift) {
            count_wide(a, b, count, &t, buckets);
            continue;
        }
        if (t.least)
            subtract_others(a, b, count, &t, apart);
        else
            subtract_bfloats(a, b, count, apart);
        count_narrow(apart, count, buckets);
    }
}
