/* SPDX-License-Identifier: MIT */
/* Distances in steps against plain loops, of every instruction set, for every number of pairs. */
#include "config.h"

#include "kernels/kernels.h"

#include "../tap.h"

enum { MOST = 70, STRIDE = 75 };

/* Numbers and powers of two of few bits: whatever the order, their sums are exact. */
static float a[MOST], b[MOST], inverse[MOST];

static void fill(uint64_t seed)
{
    uint64_t state = seed;
    for (size_t i = 0; i < MOST; i++) {
        uint64_t r = tap_random(&state);
        a[i] = (float)((int)(r >> 8 & 63) - 32) / 4;
        b[i] = r >> 20 & 1 ? a[i] : (float)((int)(r >> 32 & 63) - 32) / 4;
        inverse[i] = (float)(1 << (r >> 44 & 3)) / 2;
    }
}

static float lesser(float x, float y)
{
    return x < y ? x : y;
}

#define EACH_SET(k)                                                                                \
    for (size_t nth_ = 0; (k = tu_kernels_built(nth_, &supported)); nth_++)                        \
        if (supported)

static const size_t grains[] = {1, 16, 32};
enum { GRAINS = sizeof grains / sizeof *grains };

TEST(squares_and_how_many_are_beyond_a_step_and_far)
{
    const struct tu_kernels *k;
    bool supported;
    EACH_SET(k)
    for (size_t g = 0; g < GRAINS; g++)
        for (size_t n = 0; n <= MOST; n++) {
            struct tu_distances want = {0}, got;
            const struct tu_run_steps steps = {.inverse = inverse, .grain = grains[g]};
            fill(n + 1);
            for (size_t i = 0; i < n; i++) {
                float apart = (a[i] - b[i]) * inverse[i / grains[g]], square = apart * apart;
                want.squares += (double)lesser(square, TU_STEPS_MOST * TU_STEPS_MOST);
                want.beyond += square > 1;
                want.far += square >= TU_STEPS_FAR * TU_STEPS_FAR;
            }
            k->distances(a, b, &steps, n, &got);
            if (!CHECK_REAL(got.squares, want.squares) || !CHECK_UINT(got.beyond, want.beyond) ||
                !CHECK_UINT(got.far, want.far))
                return;
        }
}

TEST(exactly_a_step_is_not_beyond_it_and_16_are_far)
{
    static const struct {
        float apart;
        uint32_t beyond, far;
        double square;
    } cases[] = {{0, 0, 0, 0},  {1, 0, 0, 1},   {-1, 0, 0, 1}, {1.5, 1, 0, 2.25},
                 {2, 1, 0, 4},  {3, 1, 0, 4},   {15, 1, 0, 4}, {15.75, 1, 0, 4},
                 {16, 1, 1, 4}, {-16, 1, 1, 4}, {17, 1, 1, 4}, {0x1p100f, 1, 1, 4}};
    const struct tu_kernels *k;
    bool supported;
    EACH_SET(k)
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const float x = cases[i].apart, zero = 0, one = 1;
        const struct tu_run_steps steps = {.inverse = &one, .grain = 1};
        struct tu_distances got;
        k->distances(&x, &zero, &steps, 1, &got);
        CHECK_REAL(got.squares, cases[i].square);
        CHECK_UINT(got.beyond, cases[i].beyond);
        CHECK_UINT(got.far, cases[i].far);
    }
}

static float in_steps(float v, float each)
{
    v *= each;
    return v > 0x1p12f ? 0x1p12f : v < -0x1p12f ? -0x1p12f : v;
}

TEST(columns_add_up_in_place)
{
    const struct tu_kernels *k;
    bool supported;
    EACH_SET(k)
    for (size_t g = 0; g < GRAINS; g++)
        for (size_t n = 0; n <= MOST; n++) {
            static float want[TU_COLUMN_SUMS * STRIDE], got[TU_COLUMN_SUMS * STRIDE];
            for (size_t i = 0; i < TU_COLUMN_SUMS * STRIDE; i++)
                want[i] = got[i] = (float)(i % 17);
            for (uint64_t row = 0; row < 3; row++) {
                fill(100 * row + n);
                for (size_t i = 0; i < n; i++) {
                    float each = inverse[i / grains[g]], x = in_steps(a[i], each),
                          y = in_steps(b[i], each), apart = (a[i] - b[i]) * each;
                    want[TU_COLUMN_DOT * STRIDE + i] += x * y;
                    want[TU_COLUMN_AA * STRIDE + i] += x * x;
                    want[TU_COLUMN_BB * STRIDE + i] += y * y;
                    want[TU_COLUMN_SQUARES * STRIDE + i] +=
                        lesser(apart * apart, TU_STEPS_MOST * TU_STEPS_MOST);
                }
                k->column_distances(a, b, inverse, grains[g], n, got, STRIDE);
            }
            for (size_t i = 0; i < TU_COLUMN_SUMS * STRIDE; i++)
                if (!CHECK_REAL((double)got[i], (double)want[i]))
                    return;
        }
}

TEST(columns_are_cut_off_at_4096_steps)
{
    static const float x[] = {0x1p13f, -0x1p13f, 4095, -4095}, y[] = {0x1p13f, 1, -0x1p100f, 4097},
                       one[] = {1, 1, 1, 1};
    static const double dot[] = {0x1p24, -0x1p12, -4095.0 * 4096, -4095.0 * 4096};
    const struct tu_kernels *k;
    bool supported;
    EACH_SET(k)
    {
        float sums[TU_COLUMN_SUMS * 4] = {0};
        k->column_distances(x, y, one, 1, 4, sums, 4);
        for (size_t i = 0; i < 4; i++) {
            CHECK_REAL((double)sums[TU_COLUMN_DOT * 4 + i], dot[i]);
            CHECK_REAL((double)sums[TU_COLUMN_SQUARES * 4 + i], i == 0 ? 0 : 4);
        }
    }
}

/* Steps of 3 and 4 are one of 5; those behind stay as they are. */
TEST(steps_of_both_sides)
{
    const struct tu_kernels *k;
    bool supported;
    EACH_SET(k)
    for (size_t n = 0; n <= MOST; n++) {
        float x[MOST + 1], y[MOST];
        for (size_t i = 0; i <= MOST; i++)
            x[i] = i % 2 ? 1.0f / 3 : 1.0f / 4;
        for (size_t i = 0; i < MOST; i++)
            y[i] = i % 3 == 0 ? x[i] : i % 2 ? 1.0f / 4 : 1.0f / 3;
        k->join_steps(x, y, n);
        for (size_t i = 0; i <= MOST; i++) {
            float was = i % 2 ? 1.0f / 3 : 1.0f / 4, less = 1.0f / 4, more = 1.0f / 3;
            if (i < n && i % 3 == 0)
                less = more = was;
            float ratio = less / more, want = less / sqrtf(1 + ratio * ratio);
            if (!CHECK_REAL((double)x[i], (double)(i < n ? want : was)))
                return;
        }
        if (n > 1 && !CHECK(fabsf(x[1] * 5 - 1) < 1e-6f))
            return;
    }
}

TEST(the_spacing_of_floats)
{
    static const struct {
        float value;
        struct tu_float_grid grid;
        float inverse;
    } cases[] = {{1, {10, 113}, 0x1p10f},
                 {1.999f, {10, 113}, 0x1p10f},
                 {2, {10, 113}, 0x1p9f},
                 {-2, {10, 113}, 0x1p9f},
                 {0.75f, {10, 113}, 0x1p11f},
                 {0x1p-14f, {10, 113}, 0x1p24f},
                 {0x1p-15f, {10, 113}, 0x1p24f},
                 {0, {10, 113}, 0x1p24f},
                 {-0.0f, {10, 113}, 0x1p24f},
                 {65504, {10, 113}, 0x1p-5f},
                 {1, {7, 1}, 0x1p7f},
                 {3, {7, 1}, 0x1p6f},
                 {1, {23, 1}, 0x1p23f},
                 {-1000, {23, 1}, 0x1p14f}};
    const struct tu_kernels *k;
    bool supported;
    EACH_SET(k)
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (size_t n = 1; n <= 40; n++) {
            float v[40], got[41];
            for (size_t j = 0; j < 40; j++)
                v[j] = cases[i].value;
            got[n] = 7;
            k->spacing(v, n, &cases[i].grid, got);
            if (!CHECK_REAL((double)got[0], (double)cases[i].inverse) ||
                !CHECK_REAL((double)got[n - 1], (double)cases[i].inverse) || !CHECK(got[n] == 7))
                return;
        }
}
