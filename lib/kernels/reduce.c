/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <string.h>

#include "kernels/kernels.h"

/*
 * Lanes are reduced GROUP at a time: one vector register of float64.  Lanes are
 * independent, so going over the run once for each group changes no result.  The vectors are the
 * compiler's own, which it maps to whatever the instruction set has.
 */
#if defined __AVX512F__
enum { GROUP = 8 };
#elif defined __AVX2__
enum { GROUP = 4 };
#else
enum { GROUP = 2 };
#endif

typedef double doubles __attribute__((vector_size(GROUP * sizeof(double))));
typedef float floats __attribute__((vector_size(GROUP * sizeof(float))));
typedef int64_t longs __attribute__((vector_size(GROUP * sizeof(int64_t))));
typedef int32_t ints __attribute__((vector_size(GROUP * sizeof(int32_t))));

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

/* Of magnitudes: their bit patterns order as the numbers do. */
static inline floats larger_magnitude(floats a, floats b)
{
    ints x = (ints)a, y = (ints)b, mask = x > y;
    return (floats)((x & mask) | (y & ~mask));
}

static inline void add_lanes(double *to, doubles from)
{
    for (size_t k = 0; k < GROUP; k++)
        to[k] += from[k];
}

static inline void add_counts(uint64_t *to, ints minus)
{
    for (size_t k = 0; k < GROUP; k++)
        to[k] += (uint64_t)(-(int64_t)minus[k]);
}

static inline void reduce_group(const float *restrict a, const float *restrict b, size_t n,
                                float bound, size_t first, struct tu_lanes *restrict lanes)
{
    doubles dot = {0}, aa = {0}, bb = {0}, dd = {0}, ad = {0}, max = {0};
    ints equal = {0}, beyond = {0}; /* true is -1 */
    for (size_t i = first; i < n; i += TU_LANES) {
        floats p = load(a + i), q = load(b + i);
        doubles x = __builtin_convertvector(p, doubles), y = __builtin_convertvector(q, doubles);
        doubles d = x - y, size = absolute(d);
        dot += x * y;
        aa += x * x;
        bb += y * y;
        dd += d * d;
        ad += size;
        max = larger(size, max);
        floats limit = bound * larger_magnitude(absolute_float(p), absolute_float(q));
        equal += p == q;
        beyond += absolute_float(p - q) > limit;
    }
    add_lanes(lanes->dot + first, dot);
    add_lanes(lanes->aa + first, aa);
    add_lanes(lanes->bb + first, bb);
    add_lanes(lanes->dd + first, dd);
    add_lanes(lanes->ad + first, ad);
    add_counts(lanes->equal + first, equal);
    add_counts(lanes->beyond + first, beyond);
    for (size_t k = 0; k < GROUP; k++)
        if (max[k] > lanes->max[first + k])
            lanes->max[first + k] = max[k];
}

void TU_KERNEL(reduce)(const float *restrict a, const float *restrict b, size_t n, float bound,
                       struct tu_lanes *restrict lanes)
{
    for (size_t first = 0; first < TU_LANES; first += GROUP)
        reduce_group(a, b, n, bound, first, lanes);
}
