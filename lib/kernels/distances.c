/* SPDX-License-Identifier: MIT */
/*
 * How far pairs are apart in steps: |a - b| times the inverse of the step that the pair has.
 *
 * Element i of a run adds to lane i % TU_LANES, of float32, whatever the instruction set; lanes are
 * added in halves.  Most runs have no pair that is further than a step: a reduction has looked, and
 * these need no counts.
 */
#include "config.h"

#include <string.h>

#include "kernels/bits.h"
#include "kernels/floats.h"
#include "kernels/kernels.h"
#include "kernels/lanes.h"

enum { VECTORS = TU_LANES / FLOATS };

/* The squares of the distances of a vector of pairs: the first of so many that have one step, or
 * each with its own. */
static inline floats squares_at(const float *a, const float *b, const float *inverse, size_t grain)
{
    floats each = grain == 1 ? load_floats(inverse) : *inverse - (floats){0};
    floats apart = (load_floats(a) - load_floats(b)) * each;
    return apart * apart;
}

/* What lanes have in common. */
struct lanes {
    floats squares[VECTORS];
    ints beyond[VECTORS], far[VECTORS];
};

static inline __attribute__((always_inline)) void
add(struct lanes *s, const float *a, const float *b, const float *inverse, size_t grain)
{
    const floats most = (floats){0} + (float)(TU_STEPS_MOST * TU_STEPS_MOST);
    const float far = TU_STEPS_FAR * TU_STEPS_FAR;
    for (size_t v = 0; v < VECTORS; v++) {
        const size_t at = v * FLOATS;
        floats x = squares_at(a + at, b + at, grain == 1 ? inverse + at : inverse, grain);
        s->squares[v] += smaller_floats(x, most);
        s->beyond[v] -= x > 1.0f;
        s->far[v] -= x >= far;
    }
}

static double sum_of(const floats *vectors)
{
    float lanes[TU_LANES];
    memcpy(lanes, vectors, sizeof lanes);
    return add_float_lanes(lanes);
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

static inline __attribute__((always_inline)) void
measure(const float *restrict a, const float *restrict b, const float *restrict inverse,
        size_t grain, size_t n, struct tu_distances *restrict out)
{
    struct lanes s = {0};
    size_t i = 0;
    for (; i + TU_LANES <= n; i += TU_LANES)
        add(&s, a + i, b + i, inverse + i / grain, grain);
    if (i < n) {
        struct rest r;
        copy_rest(&r, a + i, b + i, inverse + i / grain, grain, n - i);
        add(&s, r.a, r.b, r.inverse, grain);
    }
    *out = (struct tu_distances){sum_of(s.squares), count_of(s.beyond), count_of(s.far)};
}

tu_distances_fn TU_KERNEL(distances);
void TU_KERNEL(distances)(const float *restrict a, const float *restrict b,
                          const struct tu_run_steps *steps, size_t n,
                          struct tu_distances *restrict out)
{
    if (steps->grain == 1)
        measure(a, b, steps->inverse, 1, n, out);
    else if (steps->grain == 16)
        measure(a, b, steps->inverse, 16, n, out);
    else
        measure(a, b, steps->inverse, 32, n, out);
}

/* --- Columns -----------------------------------------------------------------------------------*/

/* Numbers in steps, at most so many. */
static inline floats in_steps(floats v, floats inverse)
{
    const floats most = (floats){0} + 0x1p12f;
    return larger_floats(smaller_floats(v * inverse, most), -most);
}

static inline void add_to(float *sums, floats v)
{
    floats sum = load_floats(sums) + v;
    memcpy(sums, &sum, sizeof sum);
}

static inline void add_column_vector(const float *a, const float *b, floats inverse, float *sums,
                                     size_t stride)
{
    const floats most = (floats){0} + (float)(TU_STEPS_MOST * TU_STEPS_MOST);
    floats x = in_steps(load_floats(a), inverse), y = in_steps(load_floats(b), inverse);
    floats apart = (load_floats(a) - load_floats(b)) * inverse;
    add_to(sums + TU_COLUMN_DOT * stride, x * y);
    add_to(sums + TU_COLUMN_AA * stride, x * x);
    add_to(sums + TU_COLUMN_BB * stride, y * y);
    add_to(sums + TU_COLUMN_SQUARES * stride, smaller_floats(apart * apart, most));
}

/* Fewer than a vector. */
static void add_last_columns(const float *a, const float *b, const float *inverse, size_t grain,
                             size_t n, float *sums, size_t stride)
{
    float rest[TU_COLUMN_SUMS * FLOATS] = {0};
    struct rest r;
    copy_rest(&r, a, b, inverse, grain, n);
    add_column_vector(r.a, r.b, grain == 1 ? load_floats(r.inverse) : *inverse - (floats){0}, rest,
                      FLOATS);
    for (size_t k = 0; k < TU_COLUMN_SUMS; k++)
        for (size_t i = 0; i < n; i++)
            sums[k * stride + i] += rest[k * FLOATS + i];
}

tu_column_distances_fn TU_KERNEL(column_distances);
void TU_KERNEL(column_distances)(const float *restrict a, const float *restrict b,
                                 const float *restrict inverse, size_t grain, size_t n,
                                 float *restrict sums, size_t stride)
{
    size_t i = 0;
    for (; i + FLOATS <= n; i += FLOATS) {
        const float *at = inverse + i / grain;
        floats each = grain == 1 ? load_floats(at) : *at - (floats){0};
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
    for (size_t i = 0; i < FLOATS; i++)
        v[i] = __builtin_sqrtf(v[i]);
    return v;
#endif
}

static inline floats joined(floats x, floats y)
{
    floats less = smaller_floats(x, y), ratio = less / larger_floats(x, y);
    return less / root(1.0f + ratio * ratio);
}

tu_join_steps_fn TU_KERNEL(join_steps);
void TU_KERNEL(join_steps)(float *restrict inverse, const float *restrict other, size_t n)
{
    size_t i = 0, rest = n % FLOATS;
    for (; i + FLOATS <= n; i += FLOATS) {
        floats v = joined(load_floats(inverse + i), load_floats(other + i));
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
