/* SPDX-License-Identifier: MIT */
/*
 * How far pairs are apart in steps: |a - b| times the inverse of the step that the pair has.
 *
 * Element i of a run adds to lane i % TU_LANES, of float32, whatever the instruction set; lanes are
 * folded in halves.  Most runs have no pair that is further than a step: these need no counts.
 */
#include "config.h"

#include <string.h>

#include "kernels/bits.h"
#include "kernels/kernels.h"

#ifdef __AVX2__
#include <immintrin.h>
enum { WIDTH = 8 };
#else
#ifdef __SSE2__
#include <emmintrin.h>
#endif
enum { WIDTH = 4 };
#endif
enum { VECTORS = TU_LANES / WIDTH };

typedef float floats __attribute__((vector_size(WIDTH * sizeof(float))));
typedef int32_t ints __attribute__((vector_size(WIDTH * sizeof(int32_t))));

static inline floats load(const float *p)
{
    floats v;
    memcpy(&v, p, sizeof v);
    return v;
}

static inline floats larger(floats a, floats b)
{
#ifdef __AVX2__
    return _mm256_max_ps(a, b);
#else
    ints mask = a > b;
    return (floats)(((ints)a & mask) | ((ints)b & ~mask));
#endif
}

static inline floats smaller(floats a, floats b)
{
#ifdef __AVX2__
    return _mm256_min_ps(a, b);
#else
    ints mask = a < b;
    return (floats)(((ints)a & mask) | ((ints)b & ~mask));
#endif
}

/* The squares of the distances of a vector of pairs: the first of so many that have one step, or
 * each with its own. */
static inline floats squares_at(const float *a, const float *b, const float *inverse, size_t grain)
{
    floats each = grain == 1 ? load(inverse) : (floats){0} + *inverse;
    floats apart = (load(a) - load(b)) * each;
    return apart * apart;
}

/* What lanes have in common. */
struct lanes {
    floats squares[VECTORS], largest[VECTORS];
    ints beyond[VECTORS], far[VECTORS];
};

static inline __attribute__((always_inline)) void
add_near(struct lanes *s, const float *a, const float *b, const float *inverse, size_t grain)
{
    for (size_t v = 0; v < VECTORS; v++) {
        const size_t at = v * WIDTH;
        floats x = squares_at(a + at, b + at, grain == 1 ? inverse + at : inverse, grain);
        s->squares[v] += x;
        s->largest[v] = larger(x, s->largest[v]);
    }
}

static inline __attribute__((always_inline)) void
add_any(struct lanes *s, const float *a, const float *b, const float *inverse, size_t grain)
{
    const floats most = (floats){0} + (float)(TU_STEPS_MOST * TU_STEPS_MOST);
    const float far = TU_STEPS_FAR * TU_STEPS_FAR;
    for (size_t v = 0; v < VECTORS; v++) {
        const size_t at = v * WIDTH;
        floats x = squares_at(a + at, b + at, grain == 1 ? inverse + at : inverse, grain);
        s->squares[v] += smaller(x, most);
        s->beyond[v] -= x > 1.0f;
        s->far[v] -= x >= far;
    }
}

/* Lanes are added in halves: i and i + 8, then i and i + 4, and so on. */
static double fold(const floats *vectors)
{
    float lanes[TU_LANES];
    double sums[TU_LANES];
    memcpy(lanes, vectors, sizeof lanes);
    for (size_t i = 0; i < TU_LANES; i++)
        sums[i] = (double)lanes[i];
    for (size_t width = TU_LANES / 2; width; width /= 2)
        for (size_t i = 0; i < width; i++)
            sums[i] += sums[i + width];
    return sums[0];
}

static float largest_of(const floats *vectors)
{
    float lanes[TU_LANES], most = 0;
    memcpy(lanes, vectors, sizeof lanes);
    for (size_t i = 0; i < TU_LANES; i++)
        most = lanes[i] > most ? lanes[i] : most;
    return most;
}

static uint32_t count_of(const ints *vectors)
{
    int32_t lanes[TU_LANES];
    uint32_t sum = 0;
    memcpy(lanes, vectors, sizeof lanes);
    for (size_t i = 0; i < TU_LANES; i++)
        sum += (uint32_t)lanes[i];
    return sum;
}

/* Of whole lanes, and of a rest that zeros fill up. */
struct rest {
    float a[TU_LANES], b[TU_LANES], inverse[TU_LANES];
};

static void copy_rest(struct rest *to, const float *a, const float *b, const float *inverse,
                      size_t grain, size_t n)
{
    memset(to, 0, sizeof *to);
    memcpy(to->a, a, n * sizeof *a);
    memcpy(to->b, b, n * sizeof *b);
    memcpy(to->inverse, inverse, (grain == 1 ? n : 1) * sizeof *inverse);
}

typedef void add_fn(struct lanes *s, const float *a, const float *b, const float *inverse,
                    size_t grain);

static inline __attribute__((always_inline)) struct lanes
add_all(add_fn *add, const float *restrict a, const float *restrict b,
        const float *restrict inverse, size_t grain, size_t n)
{
    enum { AT_ONCE = 2 * TU_LANES }; /* one step where grains are so long */
    struct lanes s = {0};
    size_t i = 0;
    for (; i + AT_ONCE <= n; i += AT_ONCE) {
        add(&s, a + i, b + i, inverse + i / grain, grain);
        add(&s, a + i + TU_LANES, b + i + TU_LANES, inverse + (i + TU_LANES) / grain, grain);
    }
    for (; i + TU_LANES <= n; i += TU_LANES)
        add(&s, a + i, b + i, inverse + i / grain, grain);
    if (i < n) {
        struct rest r;
        copy_rest(&r, a + i, b + i, inverse + i / grain, grain, n - i);
        add(&s, r.a, r.b, r.inverse, grain);
    }
    return s;
}

static inline __attribute__((always_inline)) void
measure(const float *restrict a, const float *restrict b, const float *restrict inverse,
        size_t grain, size_t n, struct tu_distances *restrict out)
{
    struct lanes s = add_all(add_near, a, b, inverse, grain, n);
    float largest = largest_of(s.largest);
    *out = (struct tu_distances){.squares = fold(s.squares), .largest = largest};
    if (!(largest > 1))
        return;
    s = add_all(add_any, a, b, inverse, grain, n);
    out->squares = fold(s.squares);
    out->beyond = count_of(s.beyond);
    out->far = count_of(s.far);
}

tu_distances_fn TU_KERNEL(distances);
void TU_KERNEL(distances)(const float *restrict a, const float *restrict b,
                          const float *restrict inverse, size_t grain, size_t n,
                          struct tu_distances *restrict out)
{
    if (grain == 1)
        measure(a, b, inverse, 1, n, out);
    else if (grain == 16)
        measure(a, b, inverse, 16, n, out);
    else
        measure(a, b, inverse, 32, n, out);
    out->largest = __builtin_sqrtf(out->largest);
}

/* --- Columns -----------------------------------------------------------------------------------*/

/* Numbers in steps, at most so many. */
static inline floats in_steps(floats v, floats inverse)
{
    const floats most = (floats){0} + 0x1p12f;
    return larger(smaller(v * inverse, most), -most);
}

static inline void add_to(float *sums, floats v)
{
    floats sum = load(sums) + v;
    memcpy(sums, &sum, sizeof sum);
}

static inline void add_column_vector(const float *a, const float *b, floats inverse, float *sums,
                                     size_t stride)
{
    const floats most = (floats){0} + (float)(TU_STEPS_MOST * TU_STEPS_MOST);
    floats x = in_steps(load(a), inverse), y = in_steps(load(b), inverse);
    floats apart = (load(a) - load(b)) * inverse;
    add_to(sums + TU_COLUMN_DOT * stride, x * y);
    add_to(sums + TU_COLUMN_AA * stride, x * x);
    add_to(sums + TU_COLUMN_BB * stride, y * y);
    add_to(sums + TU_COLUMN_SQUARES * stride, smaller(apart * apart, most));
}

/* Fewer than a vector. */
static void add_last_columns(const float *a, const float *b, const float *inverse, size_t grain,
                             size_t n, float *sums, size_t stride)
{
    float rest[TU_COLUMN_SUMS * WIDTH] = {0};
    struct rest r;
    copy_rest(&r, a, b, inverse, grain, n);
    add_column_vector(r.a, r.b, grain == 1 ? load(r.inverse) : (floats){0} + *inverse, rest, WIDTH);
    for (size_t k = 0; k < TU_COLUMN_SUMS; k++)
        for (size_t i = 0; i < n; i++)
            sums[k * stride + i] += rest[k * WIDTH + i];
}

tu_column_distances_fn TU_KERNEL(column_distances);
void TU_KERNEL(column_distances)(const float *restrict a, const float *restrict b,
                                 const float *restrict inverse, size_t grain, size_t n,
                                 float *restrict sums, size_t stride)
{
    size_t i = 0;
    for (; i + WIDTH <= n; i += WIDTH) {
        const float *at = inverse + i / grain;
        floats each = grain == 1 ? load(at) : (floats){0} + *at;
        add_column_vector(a + i, b + i, each, sums + i, stride);
    }
    if (i < n)
        add_last_columns(a + i, b + i, inverse + i / grain, grain, n - i, sums + i, stride);
}

/* --- Steps of both sides -----------------------------------------------------------------------*/

/* Of the compiler's own square roots, which may set errno, no vectors are made. */
static inline floats root(floats v)
{
#if defined __AVX2__
    return _mm256_sqrt_ps(v);
#elif defined __SSE2__
    return _mm_sqrt_ps(v);
#else
    for (size_t i = 0; i < WIDTH; i++)
        v[i] = __builtin_sqrtf(v[i]);
    return v;
#endif
}

static inline floats joined(floats x, floats y)
{
    floats less = smaller(x, y), ratio = less / larger(x, y);
    return less / root(1.0f + ratio * ratio);
}

tu_join_steps_fn TU_KERNEL(join_steps);
void TU_KERNEL(join_steps)(float *restrict inverse, const float *restrict other, size_t n)
{
    size_t i = 0, rest = n % WIDTH;
    for (; i + WIDTH <= n; i += WIDTH) {
        floats v = joined(load(inverse + i), load(other + i));
        memcpy(inverse + i, &v, sizeof v);
    }
    floats x = {0}, y = {0};
    memcpy(&x, inverse + i, rest * sizeof *inverse);
    memcpy(&y, other + i, rest * sizeof *other);
    x = joined(x, y);
    memcpy(inverse + i, &x, rest * sizeof *inverse);
}

/* --- Floats ------------------------------------------------------------------------------------*/

tu_spacing_fn TU_KERNEL(spacing);
void TU_KERNEL(spacing)(const float *restrict values, size_t n, const struct tu_float_grid *grid,
                        float *restrict inverse)
{
    enum { MANTISSA = 23, BIAS = 127 };
    /* So that the inverse of the least spacing is a number. */
    int least = grid->least > grid->mantissa + 1 ? grid->least : grid->mantissa + 1;
    uint32_t least_bits = (uint32_t)least << MANTISSA;
    uint32_t inverted = (uint32_t)(2 * BIAS + grid->mantissa) << MANTISSA;
    for (size_t i = 0; i < n; i++) {
        uint32_t exponent = float_bits(values[i]) & 0x7f800000u;
        inverse[i] = float_from_bits(inverted - (exponent > least_bits ? exponent : least_bits));
    }
}
