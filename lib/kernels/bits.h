/* SPDX-License-Identifier: MIT */
/*
 * Bits, bytes and small floats, for the kernels.  Everything in files is little-endian and has no
 * alignment; on a little-endian machine the loads and stores here are single instructions.
 */
#ifndef TU_BITS_H
#define TU_BITS_H

#include <stdint.h>
#include <string.h>

#ifdef __F16C__
#include <immintrin.h>
#endif

#define TU_BIG_ENDIAN (__BYTE_ORDER__ == __ORDER_BIG_ENDIAN__)

static inline uint16_t load_le16(const uint8_t *p)
{
    uint16_t v;
    memcpy(&v, p, sizeof v);
    return TU_BIG_ENDIAN ? __builtin_bswap16(v) : v;
}

static inline uint32_t load_le32(const uint8_t *p)
{
    uint32_t v;
    memcpy(&v, p, sizeof v);
    return TU_BIG_ENDIAN ? __builtin_bswap32(v) : v;
}

static inline uint64_t load_le64(const uint8_t *p)
{
    uint64_t v;
    memcpy(&v, p, sizeof v);
    return TU_BIG_ENDIAN ? __builtin_bswap64(v) : v;
}

static inline void store_le16(uint8_t *p, uint16_t v)
{
    v = TU_BIG_ENDIAN ? __builtin_bswap16(v) : v;
    memcpy(p, &v, sizeof v);
}

static inline void store_le32(uint8_t *p, uint32_t v)
{
    v = TU_BIG_ENDIAN ? __builtin_bswap32(v) : v;
    memcpy(p, &v, sizeof v);
}

static inline void store_le64(uint8_t *p, uint64_t v)
{
    v = TU_BIG_ENDIAN ? __builtin_bswap64(v) : v;
    memcpy(p, &v, sizeof v);
}

static inline float float_from_bits(uint32_t bits)
{
    float f;
    memcpy(&f, &bits, sizeof f);
    return f;
}

static inline uint32_t float_bits(float f)
{
    uint32_t bits;
    memcpy(&bits, &f, sizeof bits);
    return bits;
}

static inline double double_from_bits(uint64_t bits)
{
    double d;
    memcpy(&d, &bits, sizeof d);
    return d;
}

static inline uint64_t double_bits(double d)
{
    uint64_t bits;
    memcpy(&bits, &d, sizeof bits);
    return bits;
}

/* A byte eight times. */
static inline uint64_t eight(uint64_t byte)
{
    return byte * UINT64_C(0x0101010101010101);
}

/* The eight bits of a byte, one to a byte of a word, lowest first. */
static inline uint64_t spread_bits(uint64_t byte)
{
    uint64_t single = eight(byte) & UINT64_C(0x8040201008040201);
    return (single + eight(0x7f)) >> 7 & eight(1);
}

/* The same for the eight fields of `width` bits (2 to 4) at the bottom of x. */
static inline uint64_t spread(uint64_t x, int width)
{
    x = (x | x << (32 - 4 * width)) & ((1u << 4 * width) - 1) * UINT64_C(0x0000000100000001);
    x = (x | x << (16 - 2 * width)) & ((1u << 2 * width) - 1) * UINT64_C(0x0001000100010001);
    return (x | x << (8 - width)) & eight((1u << width) - 1);
}

/* condition ? a : b without a branch: compilers may not run float operations of an untaken branch,
 * so a branch among them keeps a loop from being vectorized. */
static inline uint32_t choose(int condition, uint32_t a, uint32_t b)
{
    uint32_t mask = -(uint32_t)condition;
    return (a & mask) | (b & ~mask);
}

/*
 * binary16 to binary32, exact, and without float32 subnormals, which some processors handle
 * slowly: a binary16 subnormal is the low bits of a number just above 0.5.  NaNs keep their
 * payload and become quiet, as F16C does it.
 */
static inline float half_to_float_portable(uint16_t half)
{
    uint32_t sign = (half & 0x8000u) << 16, rest = half & 0x7fffu;
    uint32_t normal = (rest << 13) + (112u << 23);
    uint32_t special = rest << 13 | 0x7f800000u | (uint32_t)(rest > 0x7c00) << 22;
    uint32_t small = float_bits(float_from_bits(rest | 0x3f000000u) - 0.5f);
    uint32_t bits = choose(rest < 0x0400, small, choose(rest < 0x7c00, normal, special));
    return float_from_bits(bits | sign);
}

/* binary32 to binary16, to nearest even; the same tricks the other way round. */
static inline uint16_t float_to_half_portable(float f)
{
    uint32_t bits = float_bits(f), sign = bits >> 16 & 0x8000u, rest = bits & 0x7fffffffu;
    uint32_t normal = (rest + 0xfff + (rest >> 13 & 1) - (112u << 23)) >> 13;
    uint32_t payload = 0x0200 | (rest >> 13 & 0x03ff);
    uint32_t special = 0x7c00 | choose(rest > 0x7f800000, payload, 0);
    uint32_t small = float_bits(float_from_bits(rest) + 0.5f) - 0x3f000000u;
    uint32_t half = choose(rest < 0x38800000, small, choose(rest < 0x47800000, normal, special));
    return (uint16_t)(sign | half);
}

static inline float half_to_float(uint16_t half)
{
#ifdef __F16C__
    return _cvtsh_ss(half);
#else
    return half_to_float_portable(half);
#endif
}

static inline uint16_t float_to_half(float f)
{
#ifdef __F16C__
    return _cvtss_sh(f, _MM_FROUND_TO_NEAREST_INT);
#else
    return float_to_half_portable(f);
#endif
}

static inline float load_half(const uint8_t *p)
{
    return half_to_float(load_le16(p));
}

/* A float of few bits: sign, exponent, `mantissa` bits; `sign` is the weight of the first, `bias`
 * that of the exponents.  All exponents are of numbers. */
static inline float minifloat(uint32_t code, uint32_t sign, int mantissa, int bias)
{
    uint32_t rest = code & (sign - 1);
    uint32_t normal = (rest << (23 - mantissa)) + ((uint32_t)(127 - bias) << 23);
    float step = float_from_bits((uint32_t)(128 - bias - mantissa) << 23); /* of subnormals */
    uint32_t small = float_bits((float)(int32_t)rest * step);
    uint32_t bits = choose(rest < 1u << mantissa, small, normal);
    return float_from_bits(bits | (code & sign) * (0x80000000u / sign));
}

/* bfloat16 to nearest even; a NaN keeps the payload that fits and becomes quiet. */
static inline uint16_t float_to_bfloat(float f)
{
    uint32_t bits = float_bits(f);
    uint32_t rounded = (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
    return (uint16_t)choose((bits & 0x7fffffffu) > 0x7f800000u, bits >> 16 | 64, rounded);
}

#endif
