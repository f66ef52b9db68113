/* SPDX-License-Identifier: MIT */
/* The sums of a comparison: float64 in lanes, in one order whatever the instruction set. */
#include "config.h"

#include <string.h>

#include "kernels/doubles.h"
#include "kernels/kernels.h"
#include "kernels/lanes.h"

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

/* The sums of a pass. */
struct pass {
    doubles dot[AT_ONCE], aa[AT_ONCE], bb[AT_ONCE], dd[AT_ONCE], ad[AT_ONCE];
};

/* What is noticed in float32: of the distances in steps, all lanes are sums. */
enum { LOOKS = TU_LANES / PASS };
struct noticed {
    floats max, apart[LOOKS], farthest;
    tally differing;
    ints beyond; /* negative where a pair was */
};

/* How a relative difference beyond the bound is noticed. */
enum look { FOR_LARGER, FOR_OPPOSITE, FOR_NONE };

/* Two runs, or the lanes of a pass in them: what is looked at. */
struct runs {
    const float *a, *b, *inverse;
    size_t grain;
};

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

static inline __attribute__((always_inline)) void look_at(struct noticed *s, const struct runs *r,
                                                          size_t at, float bound, enum look look)
{
    floats inverse = {0};
    if (r->grain > 1)
        inverse = r->inverse[at / r->grain] - inverse; /* in all lanes, and nothing to compute */
    for (size_t v = 0; v < LOOKS; v++, at += PASS) {
        floats p = load(r->a + at), q = load(r->b + at), size = absolute_float(p - q);
        s->max = larger_float(size, s->max);
        s->differing = add_differing(s->differing, p, q);
        if (look == FOR_LARGER)
            s->beyond |= beyond_bound(p, q, size, bound);
        if (look == FOR_OPPOSITE)
            s->beyond |= opposite(p, q);
        if (r->grain) {
            floats steps = size * (r->grain > 1 ? inverse : load(r->inverse + at));
            floats squares = steps * steps;
            s->apart[v] += squares;
            s->farthest = larger_float(squares, s->farthest);
        }
    }
}

/* Whether there are registers for sums and looks in one loop. */
enum { TOGETHER = PASS == TU_LANES };

static inline __attribute__((always_inline)) void add_pass(struct pass *sums, struct noticed *seen,
                                                           const struct runs *r, size_t first,
                                                           size_t n, float bound, enum look look)
{
    struct pass s = *sums;
    struct noticed t = *seen;
    for (size_t i = 0; i < n; i += TU_LANES) {
        add_products(&s, r->a + i + first, r->b + i + first);
        if (TOGETHER)
            look_at(&t, r, i, bound, look);
    }
    *sums = s;
    *seen = t;
}

/* Two times the lanes at once: one step where grains are so long. */
static inline __attribute__((always_inline)) void
look_at_all(struct noticed *seen, const struct runs *r, size_t n, float bound, enum look look)
{
    struct noticed t = *seen;
    size_t i = 0;
    for (; i + 2 * TU_LANES <= n; i += 2 * TU_LANES) {
        look_at(&t, r, i, bound, look);
        look_at(&t, r, i + TU_LANES, bound, look);
    }
    if (i < n)
        look_at(&t, r, i, bound, look);
    *seen = t;
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

/* The largest of some magnitudes, as bits: their order is that of the numbers. */
static inline int32_t largest_lane(floats magnitudes)
{
    int32_t lanes[PASS], max = 0;
    memcpy(lanes, &magnitudes, sizeof lanes);
    for (size_t k = 0; k < PASS; k++)
        max = lanes[k] > max ? lanes[k] : max;
    return max;
}

/* The lanes of the last elements; those without one hold 0. */
struct rest {
    float a[TU_LANES], b[TU_LANES], inverse[TU_LANES];
};

static __attribute__((noinline)) struct runs copy_rest(struct rest *to, const struct runs *from,
                                                       size_t at, size_t n)
{
    memset(to, 0, sizeof *to);
    memcpy(to->a, from->a + at, n * sizeof *to->a);
    memcpy(to->b, from->b + at, n * sizeof *to->b);
    if (from->grain)
        memcpy(to->inverse, from->inverse + at / from->grain,
               (from->grain == 1 ? n : 1) * sizeof *to->inverse);
    return (struct runs){to->a, to->b, to->inverse, from->grain};
}

static inline __attribute__((always_inline)) void put_noticed(const struct noticed *seen, size_t n,
                                                              bool steps, struct tu_sums *out)
{
    int32_t most = largest_lane(seen->max);
    memcpy(&out->max, &most, sizeof most);
    out->equal = n - count_of(seen->differing);
    out->beyond = any_negative(seen->beyond);
    out->apart = 0;
    out->farthest = 0;
    if (steps) {
        float lanes[TU_LANES];
        memcpy(lanes, seen->apart, sizeof lanes);
        out->apart = add_float_lanes(lanes);
        most = largest_lane(seen->farthest);
        memcpy(&out->farthest, &most, sizeof most);
    }
}

static inline __attribute__((always_inline)) void
reduce(const struct runs *r, size_t n, float bound, enum look look, struct tu_sums *restrict out)
{
    doubles dot[VECTORS], aa[VECTORS], bb[VECTORS], dd[VECTORS], ad[VECTORS];
    struct noticed seen = {0};
    struct rest rest;
    size_t left = n % TU_LANES, whole = n - left;
    struct runs last = {.grain = r->grain};
    if (left)
        last = copy_rest(&rest, r, whole, left);
    for (size_t first = 0; first < TU_LANES; first += PASS) {
        struct pass s = {0};
        add_pass(&s, &seen, r, first, whole, bound, look);
        if (left)
            add_pass(&s, &seen, &last, first, TU_LANES, bound, look);
        for (size_t k = 0; k < AT_ONCE; k++) {
            size_t v = first / GROUP + k;
            dot[v] = s.dot[k], aa[v] = s.aa[k], bb[v] = s.bb[k];
            dd[v] = s.dd[k], ad[v] = s.ad[k];
        }
    }
    if (!TOGETHER)
        look_at_all(&seen, r, whole, bound, look);
    if (!TOGETHER && left)
        look_at_all(&seen, &last, TU_LANES, bound, look);
    put_noticed(&seen, n, r->grain > 0, out);
    out->dot = add_lanes(dot);
    out->aa = add_lanes(aa);
    out->bb = add_lanes(bb);
    out->dd = add_lanes(dd);
    out->ad = add_lanes(ad);
}

static inline __attribute__((always_inline)) void
reduce_grain(struct runs r, size_t grain, size_t n, float bound, struct tu_sums *restrict out)
{
    r.grain = grain;
    if (bound >= 2)
        reduce(&r, n, bound, FOR_NONE, out);
    else if (bound == 1)
        reduce(&r, n, bound, FOR_OPPOSITE, out);
    else
        reduce(&r, n, bound, FOR_LARGER, out);
}

void TU_KERNEL(reduce)(const float *restrict a, const float *restrict b, size_t n, float bound,
                       const struct tu_run_steps *steps, struct tu_sums *restrict out)
{
    const struct runs r = {a, b, steps->inverse, 0};
    switch (steps->grain) {
    case 1:
        reduce_grain(r, 1, n, bound, out);
        break;
    case 16:
        reduce_grain(r, 16, n, bound, out);
        break;
    case 32:
        reduce_grain(r, 32, n, bound, out);
        break;
    default:
        reduce_grain(r, 0, n, bound, out);
    }
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
