/* SPDX-License-Identifier: MIT */
/*
 * Vectors of float64 made of float32.  They are the compiler's own, but for what it makes badly.
 * They have 256 bits where there is AVX2, and 512 only in the kernels for processors whose units do
 * (TU_WIDE): those that take a wide one in two halves lose cycles in its conversions.
 *
 * A product of two float32 is exact in float64, so a fused multiply-add has the bits of the plain
 * one; where a factor is a difference, which is not exact, nothing may be fused.
 */
#ifndef TU_DOUBLES_H
#define TU_DOUBLES_H

#include <string.h>

#ifdef __AVX2__
#include <immintrin.h>
#endif

#if defined TU_WIDE
enum { GROUP = 8 };
#elif defined __AVX2__
enum { GROUP = 4 };
#else
enum { GROUP = 2 };
#endif

typedef double doubles __attribute__((vector_size(GROUP * sizeof(double))));

/* GROUP numbers; the compiler's own conversion makes two of one. */
static inline doubles load_doubles(const float *p)
{
#if defined TU_WIDE
    return _mm512_cvtps_pd(_mm256_loadu_ps(p));
#elif defined __AVX2__
    return _mm256_cvtps_pd(_mm_loadu_ps(p));
#else
    float v __attribute__((vector_size(GROUP * sizeof(float))));
    memcpy(&v, p, sizeof v);
    return __builtin_convertvector(v, doubles);
#endif
}

/* sum + x * y, where the product is exact */
static inline doubles multiply_add(doubles x, doubles y, doubles sum)
{
#if defined TU_WIDE
    return _mm512_fmadd_pd(x, y, sum);
#elif defined __FMA__
    return _mm256_fmadd_pd(x, y, sum);
#else
    return x * y + sum;
#endif
}

/* sum + x, by the units that multiply where they fuse: those that add have more to do. */
static inline doubles add_fused(doubles x, doubles sum)
{
#ifdef __FMA__
    const doubles one = (doubles){0} + 1;
    return multiply_add(x, one, sum);
#else
    return sum + x;
#endif
}

#endif
