/* SPDX-License-Identifier: MIT */
/*
 * The loops of attention over float32 rows.  Sums have a fixed order and everything else is done
 * element by element, so vectors of any width give the same bits.
 */
#include "config.h"

#include <string.h>

#include "kernels/kernels.h"

/* A product sums into LANES lanes, which are PARTS registers of WIDTH lanes.  ROWS rows of queries
 * are multiplied at a time, with KEYS keys: as many as there are registers for their sums. */
#if defined __AVX512F__
enum { WIDTH = 16, ROWS = 8, KEYS = 2 };
#define EACH_COUNT(X) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8)
#elif defined __AVX2__
enum { WIDTH = 8, ROWS = 4, KEYS = 1 };
#define EACH_COUNT(X) X(1) X(2) X(3) X(4)
#else
enum { WIDTH = 4, ROWS = 3, KEYS = 1 };
#define EACH_COUNT(X) X(1) X(2) X(3)
#endif
enum {
    LANES = 16,
    PARTS = LANES / WIDTH,
    STRIP = 2 * WIDTH, /* of values */
    NEAR = 16,         /* keys that stay in the nearest cache while all rows meet them */
};

typedef float floats __attribute__((vector_size(WIDTH * sizeof(float))));
typedef int32_t ints __attribute__((vector_size(WIDTH * sizeof(int32_t))));
typedef uint32_t uints __attribute__((vector_size(WIDTH * sizeof(uint32_t))));

/* The first n elements in lanes, the others as they were. */
static inline void load(floats *v, const float *from, size_t n)
{
    if (n >= WIDTH)
        memcpy(v, from, sizeof *v);
    else
        memcpy(v, from, n * sizeof *from);
}

static inline void store(const floats *v, float *to, size_t n)
{
    if (n >= WIDTH)
        memcpy(to, v, sizeof *v);
    else
        memcpy(to, v, n * sizeof *to);
}

/* ---- Products ---- */

/* Two registers that hold runs of 2n lanes become one: n(a, b, 1st half of each run) plus the same
 * with the 2nd halves. */
#if defined __AVX512F__
#define HALVE_8(a, b)                                                                              \
    (__builtin_shufflevector(a, b, 0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23) +       \
     __builtin_shufflevector(a, b, 8, 9, 10, 11, 12, 13, 14, 15, 24, 25, 26, 27, 28, 29, 30, 31))
#define HALVE_4(a, b)                                                                              \
    (__builtin_shufflevector(a, b, 0, 1, 2, 3, 8, 9, 10, 11, 16, 17, 18, 19, 24, 25, 26, 27) +     \
     __builtin_shufflevector(a, b, 4, 5, 6, 7, 12, 13, 14, 15, 20, 21, 22, 23, 28, 29, 30, 31))
#define HALVE_2(a, b)                                                                              \
    (__builtin_shufflevector(a, b, 0, 1, 4, 5, 8, 9, 12, 13, 16, 17, 20, 21, 24, 25, 28, 29) +     \
     __builtin_shufflevector(a, b, 2, 3, 6, 7, 10, 11, 14, 15, 18, 19, 22, 23, 26, 27, 30, 31))
#define HALVE_1(a, b)                                                                              \
    (__builtin_shufflevector(a, b, 0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30) +    \
     __builtin_shufflevector(a, b, 1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31))
#elif defined __AVX2__
#define HALVE_4(a, b)                                                                              \
    (__builtin_shufflevector(a, b, 0, 1, 2, 3, 8, 9, 10, 11) +                                     \
     __builtin_shufflevector(a, b, 4, 5, 6, 7, 12, 13, 14, 15))
#define HALVE_2(a, b)                                                                              \
    (__builtin_shufflevector(a, b, 0, 1, 4, 5, 8, 9, 12, 13) +                                     \
     __builtin_shufflevector(a, b, 2, 3, 6, 7, 10, 11, 14, 15))
#define HALVE_1(a, b)                                                                              \
    (__builtin_shufflevector(a, b, 0, 2, 4, 6, 8, 10, 12, 14) +                                    \
     __builtin_shufflevector(a, b, 1, 3, 5, 7, 9, 11, 13, 15))
#else
#define HALVE_2(a, b)                                                                              \
    (__builtin_shufflevector(a, b, 0, 1, 4, 5) + __builtin_shufflevector(a, b, 2, 3, 6, 7))
#define HALVE_1(a, b)                                                                              \
    (__builtin_shufflevector(a, b, 0, 2, 4, 6) + __builtin_shufflevector(a, b, 1, 3, 5, 7))
#endif

/* Lane i plus lane i + 8, then plus lane i + 4 where registers are that small. */
static inline void add_parts(floats *part)
{
    for (size_t half = PARTS / 2; half; half /= 2)
        for (size_t i = 0; i < half; i++)
            part[i] += part[i + half];
}

/* WIDTH registers, each of which is summed by halves: the sum of the i-th becomes lane i of the
 * first. */
static inline void sum_each(floats *v)
{
#if defined __AVX512F__
    for (size_t i = 0; i < 8; i++)
        v[i] = HALVE_8(v[2 * i], v[2 * i + 1]);
#endif
#if defined __AVX2__
    for (size_t i = 0; i < 4; i++)
        v[i] = HALVE_4(v[2 * i], v[2 * i + 1]);
#endif
    for (size_t i = 0; i < 2; i++)
        v[i] = HALVE_2(v[2 * i], v[2 * i + 1]);
    v[0] = HALVE_1(v[0], v[1]);
}

/* Adds products of n elements, at most LANES, to the lanes of each row and key. */
static inline __attribute__((always_inline)) void multiply_lanes(const float *q, size_t q_stride,
                                                                 size_t rows, const float *k,
                                                                 size_t k_stride, size_t keys,
                                                                 size_t n, floats sum[][PARTS])
{
    for (size_t part = 0; part < PARTS && part * WIDTH < n; part++) {
        size_t first = part * WIDTH;
        floats x = {0}, y[KEYS] = {0};
        for (size_t c = 0; c < keys; c++)
            load(&y[c], k + c * k_stride + first, n - first);
        for (size_t r = 0; r < rows; r++) {
            load(&x, q + r * q_stride + first, n - first);
            for (size_t c = 0; c < keys; c++)
                sum[r * keys + c][part] += x * y[c];
        }
    }
}

/* The lanes of the products of some keys with some rows of queries. */
static inline __attribute__((always_inline)) void multiply_keys(const float *q, size_t q_stride,
                                                                size_t rows, const float *k,
                                                                size_t k_stride, size_t keys,
                                                                size_t dim, floats *out)
{
    floats sum[ROWS * KEYS][PARTS] = {0};
    size_t i = 0;
    for (; i + LANES <= dim; i += LANES)
        multiply_lanes(q + i, q_stride, rows, k + i, k_stride, keys, LANES, sum);
    if (i < dim)
        multiply_lanes(q + i, q_stride, rows, k + i, k_stride, keys, dim - i, sum);
    for (size_t r = 0; r < rows; r++)
        for (size_t c = 0; c < keys; c++) {
            add_parts(sum[r * keys + c]);
            out[r * WIDTH + c] = sum[r * keys + c][0];
        }
}

/* Some rows with no more keys than a register has lanes. */
static inline __attribute__((always_inline)) void score_rows(const float *q, size_t q_stride,
                                                             size_t rows, const float *k,
                                                             size_t k_stride, size_t keys,
                                                             size_t dim, float *out, size_t stride)
{
    floats lanes[ROWS * WIDTH];
    size_t j = 0;
    for (; j + KEYS <= keys; j += KEYS)
        multiply_keys(q, q_stride, rows, k + j * k_stride, k_stride, KEYS, dim, lanes + j);
    for (; j < keys; j++)
        multiply_keys(q, q_stride, rows, k + j * k_stride, k_stride, 1, dim, lanes + j);
    for (size_t r = 0; r < rows; r++) {
        for (j = keys; j < WIDTH; j++)
            lanes[r * WIDTH + j] = (floats){0};
        sum_each(lanes + r * WIDTH);
        store(lanes + r * WIDTH, out + r * stride, keys);
    }
}

void TU_KERNEL(attend_scores)(const float *restrict q, size_t q_stride, size_t rows,
                              const float *restrict k, size_t k_stride, size_t keys, size_t dim,
                              float *restrict out)
{
    for (size_t j = 0, n; j < keys; j += n) {
        n = keys - j < WIDTH ? keys - j : WIDTH;
        for (size_t r = 0; r < rows; r += ROWS) {
            const float *from = q + r * q_stride;
            float *to = out + r * keys + j;
            switch (rows - r < ROWS ? rows - r : ROWS) {
#define CASE(COUNT)                                                                                \
    case COUNT:                                                                                    \
        score_rows(from, q_stride, COUNT, k + j * k_stride, k_stride, n, dim, to, keys);           \
        break;
                EACH_COUNT(CASE)
#undef CASE
            }
        }
    }
}

/* Some rows of weights times a strip of some values, added to what out has. */
static inline __attribute__((always_inline)) void weigh_strip(const float *p, size_t p_stride,
                                                              size_t rows, const float *v,
                                                              size_t v_stride, size_t keys,
                                                              float *out, size_t out_stride)
{
    floats low[ROWS], high[ROWS], x, y;
    for (size_t r = 0; r < rows; r++) {
        memcpy(&low[r], out + r * out_stride, sizeof x);
        memcpy(&high[r], out + r * out_stride + WIDTH, sizeof y);
    }
    for (size_t j = 0; j < keys; j++) {
        memcpy(&x, v + j * v_stride, sizeof x);
        memcpy(&y, v + j * v_stride + WIDTH, sizeof y);
        for (size_t r = 0; r < rows; r++) {
            low[r] += p[r * p_stride + j] * x;
            high[r] += p[r * p_stride + j] * y;
        }
    }
    for (size_t r = 0; r < rows; r++) {
        memcpy(out + r * out_stride, &low[r], sizeof x);
        memcpy(out + r * out_stride + WIDTH, &high[r], sizeof y);
    }
}

static void weigh_strips(const float *p, size_t p_stride, size_t rows, const float *v,
                         size_t v_stride, size_t keys, float *out, size_t out_stride)
{
    for (size_t r = 0; r < rows; r += ROWS) {
        const float *from = p + r * p_stride;
        float *to = out + r * out_stride;
        switch (rows - r < ROWS ? rows - r : ROWS) {
#define CASE(COUNT)                                                                                \
    case COUNT:                                                                                    \
        weigh_strip(from, p_stride, COUNT, v, v_stride, keys, to, out_stride);                     \
        break;
            EACH_COUNT(CASE)
#undef CASE
        }
    }
}

void TU_KERNEL(attend_weigh)(const float *restrict p, size_t rows, const float *restrict v,
                             size_t v_stride, size_t keys, size_t dim, float *restrict out)
{
    memset(out, 0, rows * dim * sizeof *out);
    for (size_t j = 0, n; j < keys; j += n) {
        size_t c = 0;
        n = keys - j < NEAR ? keys - j : NEAR;
        for (; c + STRIP <= dim; c += STRIP)
            weigh_strips(p + j, keys, rows, v + j * v_stride + c, v_stride, n, out + c, dim);
        for (; c < dim; c++)
            for (size_t r = 0; r < rows; r++)
                for (size_t i = j; i < j + n; i++)
                    out[r * dim + c] += p[r * keys + i] * v[i * v_stride + c];
    }
}

bool TU_KERNEL(attend_finite)(const float *restrict v, size_t n)
{
    ints special = {0};
    for (size_t i = 0; i < n; i += WIDTH) {
        floats x = {0};
        load(&x, v + i, n - i);
        special |= ((ints)x & 0x7f800000) == 0x7f800000;
    }
    int32_t any = 0;
    for (size_t i = 0; i < WIDTH; i++)
        any |= special[i];
    return !any;
}

/* ---- Softmax ---- */

/* e^x of every lane for x <= 88, in the way of Cephes' expf (Moshier): x = n ln 2 + r, a polynomial
 * for e^r, 2^n put into the exponent.  Less than one unit in the last place off; what is below the
 * smallest normal number is 0; e^0 is 1; NaN stays NaN. */
static inline void exponential(floats *v)
{
    static const float to_integer = 0x1.8p23f; /* adding it rounds to an integer */
    floats x = *v;
    floats shifted = x * 0x1.715476p+0f + to_integer;
    floats n = shifted - to_integer;
    floats r = x - n * 0x1.63p-1f - n * -0x1.bd0106p-13f; /* ln 2 in two parts */
    floats y = r * 1.9875691500e-4f + 1.3981999507e-3f;
    y = y * r + 8.3334519073e-3f;
    y = y * r + 4.1665795894e-2f;
    y = y * r + 1.6666665459e-1f;
    y = y * r + 5.0000001201e-1f;
    y = y * (r * r) + r + 1.0f;
    /* of x that is too small this is nothing of use, and unsigned may overflow */
    ints bits = (ints)((uints)y + ((uints)shifted << 23));
    ints vanishes = x < -87.33654f, is_nan = x != x;
    *v = (floats)((bits & ~vanishes & ~is_nan) | ((ints)x & is_nan));
}

static float sum_lanes(floats *part)
{
    add_parts(part);
    float *lanes = (float *)part;
    for (size_t half = WIDTH / 2; half; half /= 2)
        for (size_t i = 0; i < half; i++)
            lanes[i] += lanes[i + half];
    return lanes[0];
}

float TU_KERNEL(attend_exp)(float *restrict s, size_t n, float max)
{
    floats sum[PARTS] = {0};
    for (size_t i = 0, part = 0; i < n; i += WIDTH, part = (part + 1) % PARTS) {
        floats x = (floats){0} - __builtin_inff();
        load(&x, s + i, n - i);
        x -= max;
        exponential(&x);
        sum[part] += x;
        store(&x, s + i, n - i);
    }
    return sum_lanes(sum);
}

float TU_KERNEL(attend_max)(const float *restrict s, size_t n)
{
    floats max = (floats){0} - __builtin_inff();
    ints any_nan = {0};
    for (size_t i = 0; i < n; i += WIDTH) {
        floats x = (floats){0} - __builtin_inff();
        load(&x, s + i, n - i);
        ints larger = x > max;
        max = (floats)(((ints)x & larger) | ((ints)max & ~larger));
        any_nan |= x != x;
    }
    float result = max[0];
    for (size_t i = 0; i < WIDTH; i++) {
        if (any_nan[i])
            return __builtin_nanf("");
        if (max[i] > result)
            result = max[i];
    }
    return result;
}

/* cap tanh(x / cap).  Near 0 by the odd polynomial of Cephes' tanhf, else by 1 - 2 / (e^2x + 1). */
static inline void cap_lanes(floats *v, float cap)
{
    floats x = *v / cap;
    ints sign = (ints)x & INT32_MIN;
    floats size = (floats)((ints)x & INT32_MAX), z = x * x, e = size + size;
    ints large = size > 9.0f, small = size < 0.625f;
    e = (floats)(((ints)e & ~large) | ((ints)((floats){0} + 18.0f) & large));
    exponential(&e);
    floats far = (floats)((ints)(1.0f - 2.0f / (e + 1.0f)) | sign);
    floats y = z * -5.70498872745e-3f + 2.06390887954e-2f;
    y = y * z - 5.37397155531e-2f;
    y = y * z + 1.33314422036e-1f;
    y = y * z - 3.33332819422e-1f;
    y = y * z * x + x;
    *v = cap * (floats)(((ints)y & small) | ((ints)far & ~small));
}

void TU_KERNEL(attend_cap)(float *restrict s, size_t n, float cap)
{
    for (size_t i = 0; i < n; i += WIDTH) {
        floats x = {0};
        load(&x, s + i, n - i);
        cap_lanes(&x, cap);
        store(&x, s + i, n - i);
    }
}
