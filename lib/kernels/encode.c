/* SPDX-License-Identifier: MIT */
/*
 * Encoders.  Plain types round to nearest even.  The types that have a defined quantizer follow it
 * bit for bit (tensor-types(7)); Q2_K to Q6_K search for their scales in a way of their own.
 *
 * Callers refuse NaN and infinities for block types; if they come all the same, codes are clamped
 * and nothing is undefined.
 */
#include "config.h"

#include "kernels.h"

#include "bits.h"

/* --- Plain types -------------------------------------------------------------------------------*/

void TU_KERNEL(encode_f64)(const float *restrict src, size_t n, uint8_t *restrict dst)
{
    for (size_t i = 0; i < n; i++)
        store_le64(dst + 8 * i, double_bits((double)src[i]));
}

void TU_KERNEL(encode_f32)(const float *restrict src, size_t n, uint8_t *restrict dst)
{
    for (size_t i = 0; i < n; i++)
        store_le32(dst + 4 * i, float_bits(src[i]));
}

void TU_KERNEL(encode_f16)(const float *restrict src, size_t n, uint8_t *restrict dst)
{
    for (size_t i = 0; i < n; i++)
        store_le16(dst + 2 * i, float_to_half_portable(src[i]));
}

void TU_KERNEL(encode_bf16)(const float *restrict src, size_t n, uint8_t *restrict dst)
{
    for (size_t i = 0; i < n; i++)
        store_le16(dst + 2 * i, float_to_bfloat(src[i]));
}

/* --- Rounding ----------------------------------------------------------------------------------*/

static inline float clamp(float x, float least, float most)
{
    x = x > least ? x : least; /* a NaN becomes least */
    return x < most ? x : most;
}

/* To nearest even, for |x| below 2^22: the sum has no bits left behind the point. */
static inline int round_even(float x)
{
    return (int)(x + 12582912.0f - 12582912.0f);
}

/* To nearest, halves away from zero, as roundf. */
static inline int round_away(float x)
{
    return (int)__builtin_roundf(x);
}

static inline void store_half(uint8_t *p, float f)
{
    store_le16(p, float_to_half(f));
}

static float largest_magnitude(const float *x, int n)
{
    float most = 0;
    for (int i = 0; i < n; i++) {
        float size = __builtin_fabsf(x[i]);
        most = size > most ? size : most;
    }
    return most;
}

/* The value whose magnitude is largest, the first of several. */
static float largest_value(const float *x, int n)
{
    float most = 0, value = 0;
    for (int i = 0; i < n; i++) {
        if (__builtin_fabsf(x[i]) > most) {
            most = __builtin_fabsf(x[i]);
            value = x[i];
        }
    }
    return value;
}

static void find_range(const float *x, int n, float *least, float *most)
{
    *least = *most = x[0];
    for (int i = 1; i < n; i++) {
        *least = x[i] < *least ? x[i] : *least;
        *most = x[i] > *most ? x[i] : *most;
    }
}

static inline float inverse(float d)
{
    return d != 0 ? 1 / d : 0;
}

/* --- Q8_0, Q8_1, Q8_K --------------------------------------------------------------------------*/

/* Codes of 32 values; the scale that is stored is rounded, that which makes the codes is not. */
static float encode_8_bits(const float *x, uint8_t *codes, int *sum)
{
    float d = largest_magnitude(x, 32) / 127, id = inverse(d);
    *sum = 0;
    for (int i = 0; i < 32; i++) {
        int q = round_away(clamp(x[i] * id, -127, 127));
        codes[i] = (uint8_t)q;
        *sum += q;
    }
    return d;
}

void TU_KERNEL(encode_q8_0)(const float *restrict src, size_t n, uint8_t *restrict dst)
{
    int sum;
    for (; n--; src += 32, dst += 34)
        store_half(dst, encode_8_bits(src, dst + 2, &sum));
}

void TU_KERNEL(encode_q8_1)(const float *restrict src, size_t n, uint8_t *restrict dst)
{
    int sum;
    for (; n--; src += 32, dst += 36) {
        float d = encode_8_bits(src, dst + 4, &sum);
        store_half(dst, d);
        store_half(dst + 2, (float)sum * d);
    }
}

static void encode_q8_k_block(const float *x, uint8_t *p)
{
    float extreme = largest_value(x, 256);
    float factor = extreme != 0 ? -127 / extreme : 0;
    store_le32(p, float_bits(inverse(factor)));
    for (int g = 0; g < 16; g++) {
        int sum = 0;
        for (int i = 16 * g; i < 16 * g + 16; i++) {
            int q = round_even(clamp(factor * x[i], -128, 127));
            p[4 + i] = (uint8_t)q;
            sum += q;
        }
        store_le16(p + 260 + 2 * g, (uint16_t)sum);
    }
}

void TU_KERNEL(encode_q8_k)(const float *restrict src, size_t n, uint8_t *restrict dst)
{
    for (; n--; src += 256, dst += 292)
        encode_q8_k_block(src, dst);
}

/* --- Q4_0, Q4_1, Q5_0, Q5_1 and APR_Q4 ---------------------------------------------------------*/

/* Codes 0..top of 32 values: x * factor + offset, cut off. */
static void cut_codes(const float *x, float least, float factor, float offset, int top, int *q)
{
    for (int i = 0; i < 32; i++)
        q[i] = (int)clamp((x[i] - least) * factor + offset, 0, (float)top);
}

/* Nibbles: the first 16 codes are low, the others high; a fifth bit goes to the word before. */
static void pack_codes(const int *q, bool fifth, uint8_t *p)
{
    uint32_t high = 0;
    for (int i = 0; i < 32; i++)
        high |= (uint32_t)(q[i] >> 4) << i;
    if (fifth) {
        store_le32(p, high);
        p += 4;
    }
    for (int i = 0; i < 16; i++)
        p[i] = (uint8_t)((q[i] & 15) | (q[i + 16] & 15) << 4);
}

/* The value of largest magnitude becomes the lowest code, whose magnitude has no positive twin. */
static void encode_symmetric(const float *x, int top, uint8_t *p)
{
    int q[32], half = (top + 1) / 2;
    float d = largest_value(x, 32) / (float)-half;
    cut_codes(x, 0, inverse(d), (float)half + 0.5f, top, q);
    store_half(p, d);
    pack_codes(q, top > 15, p + 2);
}

static void encode_affine(const float *x, int top, uint8_t *p)
{
    int q[32];
    float least, most;
    find_range(x, 32, &least, &most);
    float d = (most - least) / (float)top;
    cut_codes(x, least, inverse(d), 0.5f, top, q);
    store_half(p, d);
    store_half(p + 2, least);
    pack_codes(q, top > 15, p + 4);
}

void TU_KERNEL(encode_q4_0)(const float *restrict src, size_t n, uint8_t *restrict dst)
{
    for (; n--; src += 32, dst += 18)
        encode_symmetric(src, 15, dst);
}

void TU_KERNEL(encode_q4_1)(const float *restrict src, size_t n, uint8_t *restrict dst)
{
    for (; n--; src += 32, dst += 20)
        encode_affine(src, 15, dst);
}

void TU_KERNEL(encode_q5_0)(const float *restrict src, size_t n, uint8_t *restrict dst)
{
    for (; n--; src += 32, dst += 22)
        encode_symmetric(src, 31, dst);
}

void TU_KERNEL(encode_q5_1)(const float *restrict src, size_t n, uint8_t *restrict dst)
{
    for (; n--; src += 32, dst += 24)
        encode_affine(src, 31, dst);
}

void TU_KERNEL(encode_apr_q4)(const float *restrict src, size_t n, uint8_t *restrict dst)
{
    for (; n--; src += 32, dst += 18) {
        float most = largest_magnitude(src, 32), d = most > 0 ? most / 7 : 1;
        store_half(dst, d);
        for (int i = 0; i < 16; i++) {
            int low = round_away(clamp(src[2 * i] / d, -8, 7)) + 8;
            int high = round_away(clamp(src[2 * i + 1] / d, -8, 7)) + 8;
            dst[2 + i] = (uint8_t)(low | high << 4);
        }
    }
}

/* --- K types: the search for scales ------------------------------------------------------------
 *
 * For every sub-block some scales around the obvious one are tried.  Each makes codes, for which
 * the scale (and minimum) of least squared error follows by linear least squares; the best pair is
 * kept.  The scales are then rounded to the few bits that they have within the block, and the codes
 * are made again with what is stored. */

enum { LANES = 8, TRIES = 16 };

static float add_up(const float *lane)
{
    return ((lane[0] + lane[4]) + (lane[1] + lane[5])) +
           ((lane[2] + lane[6]) + (lane[3] + lane[7]));
}

struct fit {
    float scale, minimum; /* x is about scale * q - minimum */
    float error;          /* sum of squares, up to a term that depends on x alone */
};

/* Least squares for x = a q - m with m >= 0, given sums over q and x. */
static struct fit solve_affine(float n, float q, float qq, float x, float xq)
{
    float determinant = n * qq - q * q;
    struct fit f = {0};
    if (determinant > 0) {
        f.scale = (n * xq - q * x) / determinant;
        f.minimum = (q * xq - qq * x) / determinant;
    }
    if (!(f.minimum > 0)) {
        f.minimum = 0;
        f.scale = qq > 0 ? xq / qq : 0;
    }
    if (!(f.scale > 0)) {
        f.scale = 0;
        f.minimum = x < 0 ? -x / n : 0;
    }
    f.error =
        f.scale * (f.scale * qq - 2 * xq) + f.minimum * (f.minimum * n + 2 * x - 2 * f.scale * q);
    return f;
}

static struct fit try_affine(const float *x, int n, float least, float factor, int top)
{
    float sq[LANES] = {0}, sqq[LANES] = {0}, sx[LANES] = {0}, sxq[LANES] = {0};
    for (int i = 0; i < n; i += LANES) {
        for (int k = 0; k < LANES; k++) {
            float v = x[i + k], q = clamp(factor * (v - least), 0, (float)top);
            q = q + 12582912.0f - 12582912.0f;
            sq[k] += q;
            sqq[k] += q * q;
            sx[k] += v;
            sxq[k] += v * q;
        }
    }
    return solve_affine((float)n, add_up(sq), add_up(sqq), add_up(sx), add_up(sxq));
}

static struct fit search_affine(const float *x, int n, int top)
{
    float least, most;
    find_range(x, n, &least, &most);
    least = least < 0 ? least : 0;
    if (!(most > least))
        return (struct fit){.minimum = -least};
    struct fit best = {.error = __FLT_MAX__};
    for (int t = 0; t < TRIES; t++) {
        float steps = (float)top + 0.15f * (float)(t - 8);
        struct fit f = try_affine(x, n, least, steps / (most - least), top);
        if (f.error < best.error)
            best = f;
    }
    return best;
}

static struct fit try_symmetric(const float *x, int n, float factor, int half)
{
    float sqq[LANES] = {0}, sxq[LANES] = {0};
    for (int i = 0; i < n; i += LANES) {
        for (int k = 0; k < LANES; k++) {
            float q = clamp(factor * x[i + k], (float)-half, (float)(half - 1));
            q = q + 12582912.0f - 12582912.0f;
            sqq[k] += q * q;
            sxq[k] += x[i + k] * q;
        }
    }
    float qq = add_up(sqq), xq = add_up(sxq);
    return (struct fit){.scale = qq > 0 ? xq / qq : 0, .error = qq > 0 ? -xq * xq / qq : 0};
}

/* x = scale * q with -half <= q < half; the extreme value is near the lowest code, so the scale has
 * the sign opposite to it. */
static float search_symmetric(const float *x, int n, int half)
{
    float extreme = largest_value(x, n);
    struct fit best = {0};
    for (int t = 0; extreme != 0 && t < TRIES; t++) {
        float steps = (float)half + 0.2f * (float)(t - 10);
        struct fit f = try_symmetric(x, n, -steps / extreme, half);
        if (f.error < best.error)
            best = f;
    }
    return best.scale;
}

/* A code for each value with the scale and minimum that are stored. */
static void make_codes(const float *x, int n, float scale, float minimum, int least, int most,
                       uint8_t *q)
{
    float factor = inverse(scale);
    for (int i = 0; i < n; i++)
        q[i] = (uint8_t)(round_even(clamp((x[i] + minimum) * factor, (float)least, (float)most)) -
                         least);
}

static float largest(const struct fit *fits, int n, bool minima)
{
    float most = 0;
    for (int i = 0; i < n; i++) {
        float v = minima ? fits[i].minimum : fits[i].scale;
        most = v > most ? v : most;
    }
    return most;
}

/* Scales and minima of n sub-blocks, rounded to 0..top of the two halves that are stored at p. */
static void round_fits(const struct fit *fits, int n, int top, uint8_t *p, uint8_t *scales,
                       uint8_t *minima)
{
    float d = half_to_float(float_to_half(largest(fits, n, false) / (float)top));
    float m = half_to_float(float_to_half(largest(fits, n, true) / (float)top));
    store_half(p, d);
    store_half(p + 2, m);
    for (int i = 0; i < n; i++) {
        scales[i] = (uint8_t)round_even(clamp(fits[i].scale * inverse(d), 0, (float)top));
        minima[i] = (uint8_t)round_even(clamp(fits[i].minimum * inverse(m), 0, (float)top));
    }
}

/* An affine block: the halves d and dmin at p, codes of all 256 values in q. */
static void encode_affine_block(const float *x, int group, int scale_top, int code_top, uint8_t *p,
                                uint8_t *scales, uint8_t *minima, uint8_t *q)
{
    struct fit fits[16];
    int groups = 256 / group;
    for (int g = 0; g < groups; g++)
        fits[g] = search_affine(x + g * group, group, code_top);
    round_fits(fits, groups, scale_top, p, scales, minima);
    float d = load_half(p), m = load_half(p + 2);
    for (int g = 0; g < groups; g++)
        make_codes(x + g * group, group, d * (float)scales[g], m * (float)minima[g], 0, code_top,
                   q + g * group);
}

/* --- K types: the layouts ----------------------------------------------------------------------*/

static void encode_q2_k_block(const float *x, uint8_t *p)
{
    uint8_t scales[16], minima[16], q[256];
    encode_affine_block(x, 16, 15, 3, p + 80, scales, minima, q);
    for (int g = 0; g < 16; g++)
        p[g] = (uint8_t)(scales[g] | minima[g] << 4);
    for (int h = 0; h < 2; h++)
        for (int l = 0; l < 32; l++) {
            const uint8_t *c = q + 128 * h + l;
            p[16 + 32 * h + l] = (uint8_t)(c[0] | c[32] << 2 | c[64] << 4 | c[96] << 6);
        }
}

void TU_KERNEL(encode_q2_k)(const float *restrict src, size_t n, uint8_t *restrict dst)
{
    for (; n--; src += 256, dst += 84)
        encode_q2_k_block(src, dst);
}

/* Eight 6-bit scales and eight 6-bit minima in 12 bytes. */
static void pack_6_bits(const uint8_t *scales, const uint8_t *minima, uint8_t *p)
{
    for (int k = 0; k < 4; k++) {
        p[k] = (uint8_t)(scales[k] | scales[k + 4] >> 4 << 6);
        p[k + 4] = (uint8_t)(minima[k] | minima[k + 4] >> 4 << 6);
        p[k + 8] = (uint8_t)((scales[k + 4] & 15) | minima[k + 4] << 4);
    }
}

static void encode_q4_k_block(const float *x, uint8_t *p)
{
    uint8_t scales[8], minima[8], q[256];
    encode_affine_block(x, 32, 63, 15, p, scales, minima, q);
    pack_6_bits(scales, minima, p + 4);
    for (int c = 0; c < 4; c++)
        for (int l = 0; l < 32; l++)
            p[16 + 32 * c + l] = (uint8_t)(q[64 * c + l] | q[64 * c + 32 + l] << 4);
}

void TU_KERNEL(encode_q4_k)(const float *restrict src, size_t n, uint8_t *restrict dst)
{
    for (; n--; src += 256, dst += 144)
        encode_q4_k_block(src, dst);
}

static void encode_q5_k_block(const float *x, uint8_t *p)
{
    uint8_t scales[8], minima[8], q[256];
    encode_affine_block(x, 32, 63, 31, p, scales, minima, q);
    pack_6_bits(scales, minima, p + 4);
    memset(p + 16, 0, 32);
    for (int c = 0; c < 4; c++)
        for (int l = 0; l < 32; l++) {
            uint8_t low = q[64 * c + l], high = q[64 * c + 32 + l];
            p[48 + 32 * c + l] = (uint8_t)((low & 15) | high << 4);
            p[16 + l] |= (uint8_t)(low >> 4 << 2 * c | high >> 4 << (2 * c + 1));
        }
}

void TU_KERNEL(encode_q5_k)(const float *restrict src, size_t n, uint8_t *restrict dst)
{
    for (; n--; src += 256, dst += 176)
        encode_q5_k_block(src, dst);
}

/* Signed scales of 16 sub-blocks, the extreme one mapped to -reach of the half stored at p. */
static void round_scales(const float *scales, int reach, uint8_t *p, int8_t *out)
{
    float extreme = largest_value(scales, 16);
    float d = half_to_float(float_to_half(extreme / (float)-reach));
    store_half(p, d);
    for (int g = 0; g < 16; g++)
        out[g] =
            (int8_t)round_even(clamp(scales[g] * inverse(d), (float)-reach, (float)(reach - 1)));
}

/* A symmetric block: the half d at p, signed scales, codes of all 256 values, half too large. */
static void encode_symmetric_block(const float *x, int reach, int half, uint8_t *p, int8_t *scales,
                                   uint8_t *q)
{
    float found[16];
    for (int g = 0; g < 16; g++)
        found[g] = search_symmetric(x + 16 * g, 16, half);
    round_scales(found, reach, p, scales);
    float d = load_half(p);
    for (int g = 0; g < 16; g++)
        make_codes(x + 16 * g, 16, d * (float)scales[g], 0, -half, half - 1, q + 16 * g);
}

static void encode_q3_k_block(const float *x, uint8_t *p)
{
    int8_t scales[16];
    uint8_t q[256];
    encode_symmetric_block(x, 32, 4, p + 108, scales, q);
    memset(p, 0, 108);
    for (int g = 0; g < 16; g++) {
        int s = scales[g] + 32;
        p[96 + g % 8] |= (uint8_t)(g < 8 ? s & 15 : (s & 15) << 4);
        p[104 + g % 4] |= (uint8_t)(s >> 4 << 2 * (g / 4));
    }
    for (int e = 0; e < 256; e++) {
        int h = e / 128, j = e % 128 / 32, l = e % 32;
        p[32 + 32 * h + l] |= (uint8_t)((q[e] & 3) << 2 * j);
        p[l] |= (uint8_t)(q[e] >> 2 << (4 * h + j));
    }
}

void TU_KERNEL(encode_q3_k)(const float *restrict src, size_t n, uint8_t *restrict dst)
{
    for (; n--; src += 256, dst += 110)
        encode_q3_k_block(src, dst);
}

static void encode_q6_k_block(const float *x, uint8_t *p)
{
    int8_t scales[16];
    uint8_t q[256];
    encode_symmetric_block(x, 128, 32, p + 208, scales, q);
    memcpy(p + 192, scales, 16);
    for (int h = 0; h < 2; h++)
        for (int l = 0; l < 32; l++) {
            const uint8_t *c = q + 128 * h + l;
            p[64 * h + l] = (uint8_t)((c[0] & 15) | c[64] << 4);
            p[64 * h + 32 + l] = (uint8_t)((c[32] & 15) | c[96] << 4);
            p[128 + 32 * h + l] =
                (uint8_t)(c[0] >> 4 | c[32] >> 4 << 2 | c[64] >> 4 << 4 | c[96] >> 4 << 6);
        }
}

void TU_KERNEL(encode_q6_k)(const float *restrict src, size_t n, uint8_t *restrict dst)
{
    for (; n--; src += 256, dst += 210)
        encode_q6_k_block(src, dst);
}
