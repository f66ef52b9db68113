/* SPDX-License-Identifier: MIT */
/* What the encoders share: rounding as the reference quantizers do it, codes to bytes, and the loop
 * over blocks.  It is included once for each instruction set. */
#ifndef TU_ENCODE_H
#define TU_ENCODE_H

#include "kernels/kernels.h"

#include "kernels/codes.h"

#undef bool /* the table of types has this name */

/* --- Rounding ----------------------------------------------------------------------------------*/

static inline float choose_float(int condition, float a, float b)
{
    return float_from_bits(choose(condition, float_bits(a), float_bits(b)));
}

/* Between two limits; NaN becomes the lower one. */
static inline float clamp(float v, float low, float high)
{
    v = choose_float(v > low, v, low);
    return choose_float(v < high, v, high);
}

/* The nearest whole number between two limits, ties to even.  Adding 1.5 * 2^23 pushes the fraction
 * out of the mantissa; there floats are ordered as their bits are, and limits applied to these make
 * no branches. */
static inline float nearest(float v, int low, int high)
{
    const int32_t least = 0x4b400000 + low, most = 0x4b400000 + high;
    uint32_t bits = float_bits(v + 0x1.8p23f);
    bits = choose((int32_t)bits > least, bits, (uint32_t)least);
    bits = choose((int32_t)bits < most, bits, (uint32_t)most);
    return float_from_bits(bits) - 0x1.8p23f;
}

/* The nearest whole number, ties away from zero. */
static inline int away(float v, int low, int high)
{
    v = clamp(v, (float)low, (float)high);
    int whole = (int)v;
    float fraction = v - (float)whole;
    return whole + (fraction >= 0.5f) - (fraction <= -0.5f);
}

/* Cuts the fraction off. */
static inline int cut(float v, int low, int high)
{
    return (int)clamp(v, (float)low, (float)high);
}

static inline float inverse(float v)
{
    return v != 0 ? 1 / v : 0;
}

/* The largest magnitude.  Bits of positive floats are ordered as they are. */
static inline float magnitude(const float *x, int n)
{
    uint32_t most = 0;
    for (int i = 0; i < n; i++) {
        uint32_t bits = float_bits(x[i]) & 0x7fffffffu;
        most = bits > most ? bits : most;
    }
    return float_from_bits(most);
}

/* The first element of the largest magnitude, with its sign. */
static inline float extreme(const float *x, int n)
{
    float most = magnitude(x, n);
    uint32_t above = 0, below = 0;
    for (int i = 0; i < n; i++) {
        above |= x[i] == most;
        below |= x[i] == -most;
    }
    if (!(above & below))
        return below ? -most : most;
    for (int i = 0; i < n; i++)
        if (x[i] == most || x[i] == -most)
            return x[i] < 0 ? -most : most;
    return most;
}

static inline void store_half(uint8_t *p, float v)
{
    store_le16(p, float_to_half(v));
}

/* --- Codes to bytes; decode.c has the other direction ------------------------------------------*/

static inline void join_nibbles(const uint8_t *q, int bytes, int run, uint8_t *p)
{
    for (int i = 0; i < bytes; i += run)
        for (int j = 0; j < run; j++)
            p[i + j] = (uint8_t)((q[2 * i + j] & 15) | q[2 * i + run + j] << 4);
}

/* The bit pairs of q, from bit `shift` on. */
static inline void join_bit_pairs(const uint8_t *q, int bytes, int shift, uint8_t *p)
{
    for (int i = 0; i < bytes; i += 32) {
        for (int j = 0; j < 32; j++) {
            unsigned byte = 0;
            for (int k = 0; k < 4; k++)
                byte |= (q[4 * i + 32 * k + j] >> shift & 3u) << 2 * k;
            p[i + j] = (uint8_t)byte;
        }
    }
}

/* Bit `shift` of q. */
static inline void join_bit_planes(const uint8_t *q, int shift, uint8_t *p)
{
    for (int j = 0; j < 32; j++) {
        unsigned byte = 0;
        for (int k = 0; k < 8; k++)
            byte |= (q[32 * k + j] >> shift & 1u) << k;
        p[j] = (uint8_t)byte;
    }
}

/* --- The encoders ------------------------------------------------------------------------------*/

#define GEOMETRY(ID, name, code, elements, bytes, ...)                                             \
    name##_elements = elements, name##_bytes = bytes,
enum { TENSOR_DTYPES(GEOMETRY) };

#define ENCODER(name)                                                                              \
    tu_encode_fn TU_KERNEL(encode_##name);                                                         \
    void TU_KERNEL(encode_##name)(const float *restrict src, size_t n, uint8_t *restrict dst)      \
    {                                                                                              \
        for (size_t i = 0; i < n; i++)                                                             \
            name##_block(src + i * name##_elements, dst + i * name##_bytes);                       \
    }

#endif
