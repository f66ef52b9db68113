/* SPDX-License-Identifier: MIT */
/* The noise that blocks predict: squares of steps, worked out by hand. */
#include "config.h"

#include "tensor/dtype.h"
#include "kernels/kernels.h"

#include "../tap.h"

enum { ONE = 0x3c00, TWO = 0x4000 }; /* as binary16 */

static double steps(enum tensor_dtype type, const uint8_t *blocks, size_t n)
{
    return tu_kernels_choose("baseline")->steps[type](blocks, n);
}

/* The steps of scales add little where scales are near 1. */
#define CHECK_ABOUT(got, wanted) check_about((got), (wanted), __LINE__)
static void check_about(double got, double wanted, int line)
{
    if (!(fabs(got / wanted - 1) < 1e-6))
        tap_fail(__FILE__, line, "%.9g, not %.9g", got, wanted);
}

static void put_half(uint8_t *p, unsigned half)
{
    p[0] = (uint8_t)half;
    p[1] = (uint8_t)(half >> 8);
}

TEST(one_scale_is_the_step)
{
    static const enum tensor_dtype types[] = {TENSOR_Q4_0, TENSOR_Q4_1, TENSOR_Q5_0,  TENSOR_Q5_1,
                                              TENSOR_Q8_0, TENSOR_Q8_1, TENSOR_APR_Q4};
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        uint8_t blocks[2 * 36];
        memset(blocks, 0x5a, sizeof blocks); /* codes and minima do not matter */
        put_half(blocks, TWO);
        put_half(blocks + tu_dtype(types[i])->bytes, ONE);
        CHECK_ABOUT(steps(types[i], blocks, 2), 32 * 4 + 32 * 1);
    }
    uint8_t q8_k[292] = {0, 0, 0x40, 0xc0}; /* -3 */
    CHECK_REAL(steps(TENSOR_Q8_K, q8_k, 1), 256 * 9);
    uint8_t apr_q8[5] = {1, 2, 3, 4, 5};
    CHECK_REAL(steps(TENSOR_APR_Q8, apr_q8, 5), 5);
}

TEST(sub_blocks_have_scales_of_their_own)
{
    uint8_t q2_k[84] = {0xf3, 0x01}, q6_k[210] = {0}, q3_k[110] = {0}, q4_k[144] = {0}, q5_k[176] = {0};
    put_half(q2_k + 80, TWO);
    CHECK_ABOUT(steps(TENSOR_Q2_K, q2_k, 1), 4 * 16 * (9 + 1));
    q6_k[192] = (uint8_t)-128;
    q6_k[207] = 5;
    put_half(q6_k + 208, TWO);
    CHECK_ABOUT(steps(TENSOR_Q6_K, q6_k, 1), 4 * 16 * (128 * 128 + 25));
    /* 0 means -32; the low nibble of byte 0 with the low bits of byte 8 is scale 0. */
    q3_k[96] = 0x0f;
    q3_k[104] = 0x03;
    put_half(q3_k + 108, ONE);
    CHECK_ABOUT(steps(TENSOR_Q3_K, q3_k, 1), 16 * (31 * 31 + 15 * 32 * 32));
    q4_k[4] = 0x40 | 63; /* scale 0, and the high bits of scale 4 */
    q4_k[8] = 63;        /* a minimum */
    q4_k[12] = 0xf1;     /* scale 4, and its minimum */
    put_half(q4_k, TWO);
    CHECK_ABOUT(steps(TENSOR_Q4_K, q4_k, 1), 4 * 32 * (63 * 63 + 17 * 17));
    memcpy(q5_k, q4_k, 16);
    CHECK_ABOUT(steps(TENSOR_Q5_K, q5_k, 1), 4 * 32 * (63 * 63 + 17 * 17));
}

TEST(levels_at_other_distances_have_other_steps)
{
    uint8_t iq4_nl[18] = {0}, iq4_xs[136] = {0}, mxfp4[17] = {129}, nvfp4[36] = {0x38, 0x7f, 0, 0x40};
    /* Codes 0 and 15, whose neighbours are 23 and 24 away. */
    memset(iq4_nl + 2, 0xf0, 16);
    put_half(iq4_nl, TWO);
    CHECK(fabs(steps(TENSOR_IQ4_NL, iq4_nl, 1) / (4 * 16 * (23 * 23 + 24 * 24)) - 1) < 0.01);
    /* Codes 7, whose neighbours are 12 and 11 away: one sub-block of factor 3, seven of -32. */
    memset(iq4_xs + 8, 0x77, 128);
    iq4_xs[2] = 2;
    iq4_xs[4] = 3;
    put_half(iq4_xs, ONE);
    CHECK(fabs(steps(TENSOR_IQ4_XS, iq4_xs, 1) /
                   (32 * (9 + 7 * 32 * 32) * (12 * 12 - 12 * 11 + 11 * 11)) - 1) < 0.03);
    /* 1 of the levels ... 1 1.5 2 3 4 6 in units of 2 (129 is 4, of half levels): 2 and 1 away. */
    memset(mxfp4 + 1, 0x44, 16);
    CHECK_REAL(steps(TENSOR_MXFP4, mxfp4, 1), 32 * 4 * 3);
    /* Scales of half 1, half NaN that counts as 0, 0, and half 2, all of 6. */
    memset(nvfp4 + 4, 0x77, 32);
    CHECK_REAL(steps(TENSOR_NVFP4, nvfp4, 1), 16 * 0.25 * 16 + 16 * 1 * 16);
}

/* Within a thousandth of what the formula gives. */
static bool about(double got, double gap, double lattice, double points, double scales)
{
    double want = scales * gap * gap * pow(lattice / points, 0.25);
    return fabs(got / want - 1) < 1e-3 || tap_fail(__FILE__, __LINE__, "%g, not %g", got, want);
}

TEST(points_of_a_code_book_share_the_grid)
{
    uint8_t block[256] = {0};
    put_half(block, ONE);
    /* Every factor is 0: half a scale, of quarters or halves. */
    CHECK(about(steps(TENSOR_IQ2_XXS, block, 1), 17, pow(6, 8), 256 * 128, 256 / 64.0));
    CHECK(about(steps(TENSOR_IQ2_XS, block, 1), 17, pow(6, 8), 512 * 128, 256 / 64.0));
    CHECK(about(steps(TENSOR_IQ2_S, block, 1), 17, pow(6, 8), 1024 * 256, 256 / 64.0));
    CHECK(about(steps(TENSOR_IQ3_XXS, block, 1), 8, pow(16, 8), 256 * 256 * 128.0, 256 / 16.0));
    CHECK(about(steps(TENSOR_IQ3_S, block, 1), 2, pow(16, 8), 512 * 512 * 256.0, 256));
    CHECK(about(steps(TENSOR_IQ1_S, block, 1), 1, pow(3, 8), 2048, 256));
    /* The last factor is the largest. */
    block[65] = block[73] = 0xf0;
    CHECK(about(steps(TENSOR_IQ2_XXS, block, 1), 17, pow(6, 8), 256 * 128, (224 + 32 * 961) / 64.0));
    CHECK(about(steps(TENSOR_IQ2_XS, block, 1), 17, pow(6, 8), 512 * 128, (240 + 16 * 961) / 64.0));
    block[81] = 0xf0;
    CHECK(about(steps(TENSOR_IQ2_S, block, 1), 17, pow(6, 8), 1024 * 256, (240 + 16 * 961) / 64.0));
    block[73] = block[81] = 0; /* these are factors, too */
    block[97] = 0xf0;
    CHECK(about(steps(TENSOR_IQ3_XXS, block, 1), 8, pow(16, 8), 256 * 256 * 128.0, (224 + 32 * 961) / 16.0));
    block[109] = 0xf0;
    CHECK(about(steps(TENSOR_IQ3_S, block, 1), 2, pow(16, 8), 512 * 512 * 256.0, 224 + 32 * 961));
    block[49] = 0x70;
    CHECK(about(steps(TENSOR_IQ1_S, block, 1), 1, pow(3, 8), 2048, 224 + 32 * 225));
    /* The scale 1 in four top nibbles, and a factor of 15 at elements 240 to 255. */
    uint8_t iq1_m[56] = {0};
    iq1_m[55] = 0x30 | 7 << 1;
    iq1_m[53] = 0xc0;
    CHECK(about(steps(TENSOR_IQ1_M, iq1_m, 1), 1, pow(3, 8), 2048, 240 + 16 * 225));
}

TEST(a_half_for_a_scale_has_a_step_itself)
{
    uint8_t zeros[292] = {0};
    CHECK_REAL(steps(TENSOR_Q4_0, zeros, 1), 32 * (4 * 0x1p-24) * (4 * 0x1p-24));
    CHECK_REAL(steps(TENSOR_Q6_K, zeros, 1), 256 * (2048 * 0x1p-24) * (2048 * 0x1p-24));
    CHECK_REAL(steps(TENSOR_Q8_K, zeros, 1), 0);
    CHECK_REAL(steps(TENSOR_Q4_0, zeros, 0), 0);
}

TEST(trained_types_and_floats_predict_nothing)
{
    static const enum tensor_dtype types[] = {TENSOR_F64,   TENSOR_F32,   TENSOR_F16,  TENSOR_BF16,   TENSOR_I8,
                                              TENSOR_TQ1_0, TENSOR_TQ2_0, TENSOR_Q1_0, TENSOR_F8_E4M3};
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        CHECK(!tu_kernels_choose("baseline")->steps[types[i]]);
}

TEST(every_instruction_set_gives_the_same_bits)
{
    enum { BLOCKS = 37 };
    size_t count;
    const struct tu_dtype *table = tu_dtype_table(&count);
    uint64_t state = 5;
    for (size_t i = 0; i < count; i++) {
        const struct tu_dtype *t = &table[i];
        if (!tu_kernels_choose("baseline")->steps[t->code])
            continue;
        uint8_t *bytes = malloc(BLOCKS * (size_t)t->bytes); /* just these */
        for (size_t k = 0; k < BLOCKS * (size_t)t->bytes; k++)
            bytes[k] = (uint8_t)(tap_random(&state) >> 32);
        const struct tu_kernels *k;
        bool supported;
        for (size_t n = 0; (k = tu_kernels_built(n, &supported)); n++)
            for (size_t blocks = 0; supported && blocks <= BLOCKS; blocks++)
                CHECK_REAL(k->steps[t->code](bytes, blocks), steps(t->code, bytes, blocks));
        free(bytes);
    }
}
