/* SPDX-License-Identifier: MIT */
/* Vectors of float32: the compiler's own, but for what it makes badly. */
#ifndef TU_FLOATS_H
#define TU_FLOATS_H

#include <stdint.h>
#include <string.h>

#ifdef __AVX2__
#include <immintrin.h>
enum { FLOATS = 8 };
#else
#ifdef __SSE2__
#include <emmintrin.h>
#endif
enum { FLOATS = 4 };
#endif

typedef float floats __attribute__((vector_size(FLOATS * sizeof(float))));
typedef int32_t ints __attribute__((vector_size(FLOATS * sizeof(int32_t))));

static inline floats load_floats(const float *p)
{
    floats v;
    memcpy(&v, p, sizeof v);
    return v;
}

static inline void store_floats(float *p, floats v)
{
    memcpy(p, &v, sizeof v);
}

static inline floats floats_of_bytes(const int8_t *p)
{
    int8_t bytes __attribute__((vector_size(FLOATS)));
    memcpy(&bytes, p, sizeof bytes);
    return __builtin_convertvector(bytes, floats);
}

/* The second where one is NaN. */
static inline floats larger_floats(floats a, floats b)
{
#ifdef __AVX2__
    return _mm256_max_ps(a, b);
#else
    ints mask = a > b;
    return (floats)(((ints)a & mask) | ((ints)b & ~mask));
#endif
}

static inline floats smaller_floats(floats a, floats b)
{
#ifdef __AVX2__
    return _mm256_min_ps(a, b);
#else
    ints mask = a < b;
    return (floats)(((ints)a & mask) | ((ints)b & ~mask));
#endif
}

#endif
