/* SPDX-License-Identifier: MIT */
/* The sums of a comparison: float64 in lanes, in one order whatever the instruction set. */
#include "config.h"

#include <string.h>

#include "kernels/doubles.h"
#include "kernels/kernels.h"

/*
 * Element i of a run adds to lane i % TU_LANES; lanes are independent, so a pass takes as many of
 * them as there are registers for, and going over the run once for each pass changes no result.
 */
#ifdef __AVX512F__
enum { PASS = TU_LANES };
#else
enum { PASS = 2 * GROUP };
#endif
enum { AT_ONCE = PASS / GROUP, VECTORS = TU_LANES / GROUP };

typedef int64_t longs __attribute__((vector_size(GROUP * sizeof(int64_t))));
typedef float floats __attribute__((vector_size(PASS * sizeof(float))));
typedef int32_t ints __attribute__((vector_size(PASS * sizeof(int32_t))));

static inline floats load(const float *p)
{
    floats v;
    memcpy(&v, p, sizeof v);
    return v;
}

static inline doubles absolute(doubles v)
{
    return (doubles)((longs)v & INT64_MAX);
}

static inline floats absolute_float(floats v)
{
    return (floats)((ints)v & INT32_MAX);
}

static inline doubles larger(doubles a, doubles b)
{
    longs mask = a > b;
    return (doubles)(((longs)a & mask) | ((longs)b & ~mask));
}

/* What loops over float32 lanes need and the compiler makes badly: the larger and the smaller of
 * two magnitudes, and counts of lanes that differ. */
#if defined __AVX512F__
typedef uint64_t tally;

static inline floats larger_float(floats a, floats b)
{
    return _mm512_max_ps(a, b);
}

static inline floats larger_magnitude(floats a, floats b)
{
    return _mm512_range_ps(a, b, 0xb);
}

static inline floats smaller_magnitude(floats a, floats b)
{
    return _mm512_range_ps(a, b, 0xa);
}

static inline tally add_differing(tally count, floats a, floats b)
{
    return count + (uint64_t)__builtin_popcount(_mm512_cmp_ps_mask(a, b, _CMP_NEQ_UQ));
}

static inline uint64_t count_of(tally count)
{
    return count;
}
#else
typedef ints tally;

static inline floats larger_float(floats a, floats b)
{
#ifdef __AVX2__
    return _mm256_max_ps(a, b);
#else
    ints mask = a > b;
    return (floats)(((ints)a & mask) | ((ints)b & ~mask));
#endif
}

static inline floats larger_magnitude(floats a, floats b)
{
    return larger_float(absolute_float(a), absolute_float(b));
}

static inline floats smaller_magnitude(floats a, floats b)
{
    return -larger_float(-absolute_float(a), -absolute_float(b));
}

static inline tally add_differing(tally count, floats a, floats b)
{
    return count - (a != b);
}

static inline uint64_t count_of(tally count)
{
    uint64_t sum = 0;
    for (size_t k = 0; k < PASS; k++)
        sum += (uint64_t)(int64_t)count[k];
    return sum;
}
#endif

/* Negative where the difference of p and q, of this size, is more than bound * the larger of them:
 * fused, its sign is exact; rounded, equal may be more, but not of two equal numbers. */
static inline ints beyond_bound(floats p, floats q, floats size, float bound)
{
    floats bounds = (floats){0} + bound;
#if defined __AVX512F__
    return (ints)_mm512_fmsub_ps(bounds, larger_magnitude(p, q), size);
#elif defined __FMA__
    return (ints)_mm256_fmsub_ps(bounds, larger_magnitude(p, q), size);
#else
    return (bounds * larger_magnitude(p, q) <= size) & (p != q);
#endif
}

/* Negative where one is negative, and neither is 0. */
static inline ints opposite(floats p, floats q)
{
    return ((ints)p ^ (ints)q) & -(ints)smaller_magnitude(p, q);
}

/* The sums of a pass, and what it noticed. */
struct pass {
    doubles dot[AT_ONCE], aa[AT_ONCE], bb[AT_ONCE], dd[AT_ONCE], ad[AT_ONCE];
    floats max;
    tally differing;
    ints beyond; /* negative where a pair was */
};

/* How a relative difference beyond the bound is noticed. */
enum look { FOR_LARGER, FOR_OPPOSITE, FOR_NONE };

static inline void add_products(struct pass *s, const float *a, const float *b)
{
    for (size_t k = 0; k < AT_ONCE; k++) {
        doubles x = load_doubles(a + k * GROUP), y = load_doubles(b + k * GROUP), d = x - y;
        s->dot[k] = multiply_add(x, y, s->dot[k]);
        s->aa[k] = multiply_add(x, x, s->aa[k]);
        s->bb[k] = multiply_add(y, y, s->bb[k]);
        s->dd[k] += d * d;
        s->ad[k] = add_fused(absolute(d), s->ad[k]);
    }
}

static inline void look_at(struct pass *s, const float *a, const float *b, float bound,
                           enum look look)
{
    floats p = load(a), q = load(b), size = absolute_float(p - q);
    s->max = larger_float(size, s->max);
    s->differing = add_differing(s->differing, p, q);
    if (look == FOR_LARGER)
        s->beyond |= beyond_bound(p, q, size, bound);
    if (look == FOR_OPPOSITE)
        s->beyond |= opposite(p, q);
}

/* In one loop where there are registers for all of it. */
static inline __attribute__((always_inline)) void add_pass(struct pass *s, const float *restrict a,
                                                           const float *restrict b, size_t n,
                                                           float bound, enum look look)
{
    const bool together = PASS == TU_LANES;
    struct pass t = *s;
    for (size_t i = 0; i < n; i += TU_LANES) {
        add_products(&t, a + i, b + i);
        if (together)
            look_at(&t, a + i, b + i, bound, look);
    }
    for (size_t i = 0; i < n && !together; i += TU_LANES)
        look_at(&t, a + i, b + i, bound, look);
    *s = t;
}

/* Lanes are added in halves: i and i + 8, then i and i + 4, and so on. */
static inline double add_lanes(doubles *v)
{
    for (size_t width = VECTORS / 2; width; width /= 2)
        for (size_t i = 0; i < width; i++)
            v[i] += v[i + width];
    doubles s = v[0];
#if defined TU_WIDE
    s += __builtin_shufflevector(s, s, 4, 5, 6, 7, 0, 1, 2, 3);
    s += __builtin_shufflevector(s, s, 2, 3, 0, 1, 6, 7, 4, 5);
    s += __builtin_shufflevector(s, s, 1, 0, 3, 2, 5, 4, 7, 6);
#elif defined __AVX2__
    s += __builtin_shufflevector(s, s, 2, 3, 0, 1);
    s += __builtin_shufflevector(s, s, 1, 0, 3, 2);
#else
    s += __builtin_shufflevector(s, s, 1, 0);
#endif
    return s[0];
}

static inline bool any_negative(ints v)
{
    int32_t lanes[PASS], any = 0;
    memcpy(lanes, &v, sizeof lanes);
    for (size_t k = 0; k < PASS; k++)
        any |= lanes[k];
    return any < 0;
}

/* The largest of some magnitudes and one more, as bits: their order is that of the numbers. */
static inline int32_t largest_lane(floats magnitudes, int32_t max)
{
    int32_t lanes[PASS];
    memcpy(lanes, &magnitudes, sizeof lanes);
    for (size_t k = 0; k < PASS; k++)
        max = lanes[k] > max ? lanes[k] : max;
    return max;
}

/* The lanes of the last elements; those without one hold 0. */
static __attribute__((noinline)) void copy_rest(float *restrict to, const float *restrict from,
                                                size_t n)
{
    memset(to, 0, TU_LANES * sizeof *to);
    memcpy(to, from, n * sizeof *to);
}

static inline __attribute__((always_inline)) void reduce(const float *restrict a,
                                                         const float *restrict b, size_t n,
                                                         float bound, enum look look,
                                                         struct tu_sums *restrict out)
{
    doubles dot[VECTORS], aa[VECTORS], bb[VECTORS], dd[VECTORS], ad[VECTORS];
    float rest_a[TU_LANES], rest_b[TU_LANES];
    size_t rest = n % TU_LANES, whole = n - rest, differing_lanes = 0;
    int32_t max = 0;
    if (rest) {
        copy_rest(rest_a, a + whole, rest);
        copy_rest(rest_b, b + whole, rest);
    }
    *out = (struct tu_sums){0};
    for (size_t first = 0; first < TU_LANES; first += PASS) {
        struct pass s = {0};
        add_pass(&s, a + first, b + first, whole, bound, look);
        if (rest)
            add_pass(&s, rest_a + first, rest_b + first, TU_LANES, bound, look);
        for (size_t k = 0; k < AT_ONCE; k++) {
            size_t v = first / GROUP + k;
            dot[v] = s.dot[k], aa[v] = s.aa[k], bb[v] = s.bb[k];
            dd[v] = s.dd[k], ad[v] = s.ad[k];
        }
        max = largest_lane(s.max, max);
        differing_lanes += count_of(s.differing);
        out->beyond |= any_negative(s.beyond);
    }
    out->equal = n - differing_lanes;
    memcpy(&out->max, &max, sizeof max);
    out->dot = add_lanes(dot);
    out->aa = add_lanes(aa);
    out->bb = add_lanes(bb);
    out->dd = add_lanes(dd);
    out->ad = add_lanes(ad);
}

void TU_KERNEL(reduce)(const float *restrict a, const float *restrict b, size_t n, float bound,
                       struct tu_sums *restrict out)
{
    if (bound >= 2)
        reduce(a, b, n, bound, FOR_NONE, out);
    else if (bound == 1)
        reduce(a, b, n, bound, FOR_OPPOSITE, out);
    else
        reduce(a, b, n, bound, FOR_LARGER, out);
}

/* |x - y|, or that over the larger of |x| and |y|: NaN where both are 0. */
static inline doubles measure(doubles x, doubles y, bool relative)
{
    doubles size = absolute(x - y);
    return relative ? size / larger(absolute(x), absolute(y)) : size;
}

static inline __attribute__((always_inline)) double
largest(const float *restrict a, const float *restrict b, size_t n, bool relative)
{
    float rest_a[GROUP] = {0}, rest_b[GROUP] = {0};
    size_t rest = n % GROUP, whole = n - rest;
    doubles max = {0};
    for (size_t i = 0; i < whole; i += GROUP)
        max = larger(measure(load_doubles(a + i), load_doubles(b + i), relative), max);
    memcpy(rest_a, a + whole, rest * sizeof *a);
    memcpy(rest_b, b + whole, rest * sizeof *b);
    max = larger(measure(load_doubles(rest_a), load_doubles(rest_b), relative), max);
    double result = 0;
    for (size_t k = 0; k < GROUP; k++)
        result = max[k] > result ? max[k] : result;
    return result;
}

double TU_KERNEL(largest_diff)(const float *restrict a, const float *restrict b, size_t n)
{
    return largest(a, b, n, false);
}

double TU_KERNEL(largest_rel_diff)(const float *restrict a, const float *restrict b, size_t n)
{
    return largest(a, b, n, true);
}
