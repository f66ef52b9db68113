/* SPDX-License-Identifier: MIT */
/* Detailed comparisons: values worked out by hand, and the same however tiles are cut. */
#include "config.h"

#include "compare/metrics/full.h"

#include <float.h>

#include "../tap.h"

static const struct tu_kernels *baseline(void)
{
    return tu_kernels_choose("baseline");
}

static struct tu_full_plan plan_of(enum tensor_dtype type, uint64_t elements, uint64_t columns)
{
    return tu_full_plan(tu_dtype(type), tu_dtype(type), elements, columns);
}

static void begin(struct tu_full *d, const struct tu_full_plan *plan)
{
    struct tu_error error = {0};
    CHECK(tu_full_begin(d, plan, 0, plan->columns, NULL, &error) == 0);
}

/* Adds one run, copied to x and y; first counts from the beginning of the tile. */
static void add_copy(struct tu_full *d, const struct tu_kernels *k, const float *a, const float *b,
                     size_t first, size_t n, float *x, float *y)
{
    struct tu_full_run run = {.first = first, .count = n};
    for (size_t i = 0; i < n; i++) {
        x[i] = a[first + i];
        y[i] = b[first + i];
        run.dot.value += (double)x[i] * (double)y[i];
        run.aa.value += (double)x[i] * (double)x[i];
        run.bb.value += (double)y[i] * (double)y[i];
    }
    tu_full_add_run(d, k, &run, x, y);
}

static void add(struct tu_full *d, const struct tu_kernels *k, const float *a, const float *b,
                size_t first, size_t n)
{
    float *x = malloc((n + 1) * sizeof *x), *y = malloc((n + 1) * sizeof *y);
    add_copy(d, k, a, b, first, n, x, y);
    free(x);
    free(y);
}

static void add_wide(struct tu_full *d, const double *a, const double *b, size_t first, size_t n,
                     size_t left_out)
{
    struct tu_full_run run = {.first = first, .count = n, .left_out = left_out};
    double x[4096], y[4096];
    for (size_t i = 0; i < n; i++) {
        x[i] = a[first + i];
        y[i] = b[first + i];
        run.dot.value += x[i] * y[i];
        run.aa.value += x[i] * x[i];
        run.bb.value += y[i] * y[i];
    }
    tu_full_add_wide_run(d, &run, x, y);
}

TEST(shares_beyond_a_relative_difference)
{
    /* Halves and powers of two, so that no product is rounded: 0, 1/2, 1/16, 1/64, 1/512, 1/2048, a
     * change of sign, 0 against 1, and 0 against 0. */
    static const float a[] = {1, 1, 16, 64, 512, 2048, -1, 0, 0},
                       b[] = {1, 2, 15, 63, 511, 2047, 1, -1, 0};
    struct tu_full_plan plan = plan_of(TENSOR_F32, 9, 9);
    struct tu_full d = {0};
    begin(&d, &plan);
    add(&d, baseline(), a, b, 0, 9);
    CHECK_UINT(d.beyond[0], 6);
    CHECK_UINT(d.beyond[1], 5);
    CHECK_UINT(d.beyond[2], 3);
    tu_full_free(&d);
}

TEST(columns_have_errors_and_cosines)
{
    /* Columns (1 1), (3 4), (1 0), (0 0) against (1 1), (3 5), (0 1), (0 0). */
    static const float a[] = {1, 3, 1, 0, 1, 4, 0, 0}, b[] = {1, 3, 0, 0, 1, 5, 1, 0};
    struct tu_full_plan plan = plan_of(TENSOR_F32, 8, 4);
    struct tu_full d = {0};
    begin(&d, &plan);
    add(&d, baseline(), a, b, 0, 4);
    add(&d, baseline(), a, b, 4, 4);
    tu_full_end(&d, baseline());
    struct tu_full_metrics m = tu_full_metrics(&d);
    CHECK(m.columns);
    CHECK_UINT(m.error_column, 2);
    CHECK_REAL(m.error, sqrt(2));
    CHECK_UINT(m.cosine_column, 2);
    CHECK_REAL(m.cosine, 0);
    tu_full_free(&d);
}

TEST(columns_of_zeros)
{
    /* (0 0) against (0 0), (0 0) against (1 0), (2 2) against (2 2) */
    static const float a[] = {0, 0, 2, 0, 0, 2}, b[] = {0, 1, 2, 0, 0, 2};
    struct tu_full_plan plan = plan_of(TENSOR_F32, 6, 3);
    struct tu_full d = {0};
    begin(&d, &plan);
    add(&d, baseline(), a, b, 0, 6);
    tu_full_end(&d, baseline());
    struct tu_full_metrics m = tu_full_metrics(&d);
    CHECK_UINT(m.error_column, 1);
    CHECK_REAL(m.error, 1);
    CHECK_UINT(m.cosine_column, 1);
    CHECK_REAL(m.cosine, 0);
    tu_full_free(&d);
}

TEST(there_are_no_columns_of_one_row_or_too_many)
{
    CHECK_UINT(plan_of(TENSOR_F32, 100, 100).columns, 0);
    CHECK_UINT(plan_of(TENSOR_F32, 100, 1).columns, 1);
    CHECK_UINT(plan_of(TENSOR_F32, 0, 0).columns, 0);
    CHECK_UINT(plan_of(TENSOR_F32, 2 * TU_FULL_COLUMNS, TU_FULL_COLUMNS).columns, TU_FULL_COLUMNS);
    CHECK_UINT(plan_of(TENSOR_F32, 2 * TU_FULL_COLUMNS + 2, TU_FULL_COLUMNS + 1).columns, 0);
    struct tu_full_plan plan = plan_of(TENSOR_F32, 2, 2);
    struct tu_full d = {0};
    begin(&d, &plan);
    CHECK(!tu_full_metrics(&d).columns);
    tu_full_free(&d);
}

/* In which bucket one pair is. */
static size_t bucket_of(enum tensor_dtype type, double a, double b)
{
    struct tu_full_plan plan = plan_of(type, 1, 1);
    struct tu_full d = {0};
    float x = (float)a, y = (float)b;
    size_t at = 0;
    begin(&d, &plan);
    if (type == TENSOR_F64)
        add_wide(&d, &a, &b, 0, 1, 0);
    else
        add(&d, baseline(), &x, &y, 0, 1);
    while (at < TU_ULP_BUCKETS && !d.ulps[at])
        at++;
    tu_full_free(&d);
    return at;
}

/* The bucket of a distance. */
static size_t bucket(uint64_t distance)
{
    size_t k = 0;
    for (uint64_t most = 1; distance && (k++, distance > most);)
        most *= 2;
    return k;
}

/* Numbers whose ranks in a type are known, with their distances. */
static void check_ranks(enum tensor_dtype type, int mantissa, int least)
{
    double one = ldexp(1, -mantissa), small = ldexp(1, least - mantissa), normal = ldexp(1, least);
    uint64_t normals = UINT64_C(1) << mantissa; /* the rank of the least normal number */
    CHECK_UINT(bucket_of(type, 0, -0.0), 0);
    CHECK_UINT(bucket_of(type, 1, 1), 0);
    CHECK_UINT(bucket_of(type, 1, 1 + one), 1);
    CHECK_UINT(bucket_of(type, 2, 2 - one), 1);
    CHECK_UINT(bucket_of(type, small, -small), 2);
    CHECK_UINT(bucket_of(type, normal, normal - small), 1);
    CHECK_UINT(bucket_of(type, -normal, small), bucket(normals + 1));
    CHECK_UINT(bucket_of(type, 0, normal * 2), bucket(2 * normals));
    CHECK_UINT(bucket_of(type, -1, 1), bucket(2 * (normals * (uint64_t)(1 - least))));
}

TEST(distances_in_units_of_the_last_place)
{
    check_ranks(TENSOR_F64, 52, -1022);
    check_ranks(TENSOR_F32, 23, -126);
    check_ranks(TENSOR_F16, 10, -14);
    check_ranks(TENSOR_BF16, 7, -126);
    check_ranks(TENSOR_F8_E4M3, 3, -6);
    check_ranks(TENSOR_F8_E5M2, 2, -14);
    check_ranks(TENSOR_F6_E2M3, 3, 0);
    check_ranks(TENSOR_F6_E3M2, 2, -2);
    check_ranks(TENSOR_F4, 1, 0);
    /* Every edge of a bucket. */
    for (uint64_t most = 2; most < UINT64_C(1) << 31; most *= 2) {
        float a = 0x1p-149f, up = a, over = a;
        uint32_t x = (uint32_t)most + 1, y = x + 1;
        memcpy(&up, &x, sizeof up);
        memcpy(&over, &y, sizeof over);
        if (!isfinite(over))
            break;
        CHECK_UINT(bucket_of(TENSOR_F32, (double)a, (double)up), bucket(most));
        CHECK_UINT(bucket_of(TENSOR_F32, (double)a, (double)over), bucket(most + 1));
    }
    CHECK_UINT(bucket_of(TENSOR_F32, -0x1.fffffep127, 0x1.fffffep127), 33);
    CHECK_UINT(bucket_of(TENSOR_F64, -DBL_MAX, DBL_MAX), 65);
}

TEST(other_types_have_no_last_place)
{
    CHECK(!tu_full_plan(tu_dtype(TENSOR_F32), tu_dtype(TENSOR_F16), 1, 1).ulps);
    CHECK(!plan_of(TENSOR_I32, 1, 1).ulps);
    CHECK(!plan_of(TENSOR_Q8_0, 1, 1).ulps);
}

enum { RUN = 2000 };

TEST(the_largest_of_a_run_are_left_out)
{
    static float a[RUN], b[RUN];
    static double wide_a[RUN], wide_b[RUN];
    for (size_t i = 0; i < RUN; i++)
        a[i] = b[i] = (float)(i % 2 ? 1 : -1);
    /* Two of 2000: the largest of either side count, and of equal ones the first. */
    a[1999] = 3, b[1999] = 50;
    a[7] = 20, b[7] = -20;
    a[8] = 20, b[8] = 20;
    for (size_t i = 0; i < RUN; i++) {
        wide_a[i] = (double)a[i];
        wide_b[i] = (double)b[i];
    }
    struct tu_full_plan plan = plan_of(TENSOR_F32, RUN, RUN);
    struct tu_full d = {0}, wide = {0};
    begin(&d, &plan);
    add(&d, baseline(), a, b, 0, RUN);
    CHECK_REAL(d.dot.value, 1997 + 400);
    CHECK_REAL(d.aa.value, 1997 + 400);
    CHECK_REAL(d.bb.value, 1997 + 400);
    CHECK_REAL(tu_full_metrics(&d).trimmed_cosine, 1);
    begin(&wide, &plan);
    add_wide(&wide, wide_a, wide_b, 0, RUN, 0);
    CHECK_REAL(wide.dot.value, d.dot.value);
    CHECK_REAL(wide.aa.value, d.aa.value);
    CHECK_REAL(wide.bb.value, d.bb.value);
    tu_full_free(&d);
    tu_full_free(&wide);
}

TEST(what_is_left_is_no_remainder_of_rounding)
{
    static float a[RUN], b[RUN];
    for (size_t i = 0; i < RUN; i++)
        a[i] = b[i] = 0x1p-30f;
    a[5] = 0x1p30f;
    b[6] = -0x1p30f;
    struct tu_full_plan plan = plan_of(TENSOR_F32, RUN, RUN);
    struct tu_full d = {0};
    begin(&d, &plan);
    add(&d, baseline(), a, b, 0, RUN);
    CHECK_REAL(d.aa.value, 1998 * 0x1p-60);
    CHECK_REAL(d.bb.value, 1998 * 0x1p-60);
    CHECK_REAL(d.dot.value, 1998 * 0x1p-60);
    tu_full_free(&d);
}

TEST(how_many_are_left_out)
{
    /* One in 1000, to nearest: the sum of squares tells how many ones are left. */
    static const size_t counts[] = {1, 31, 499, 500, 1499, 1500, 2000};
    static const size_t left[] = {1, 31, 499, 499, 1498, 1498, 1998};
    static float ones[RUN];
    for (size_t i = 0; i < RUN; i++)
        ones[i] = 1;
    struct tu_full_plan plan = plan_of(TENSOR_F32, RUN, RUN);
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        struct tu_full d = {0};
        begin(&d, &plan);
        add(&d, baseline(), ones, ones, 0, counts[i]);
        CHECK_REAL(d.aa.value, (double)left[i]);
        tu_full_free(&d);
    }
}

TEST(nothing_is_told_where_nothing_is_left)
{
    static float a[RUN];
    a[3] = 1;
    struct tu_full_plan plan = plan_of(TENSOR_F32, RUN, RUN);
    struct tu_full d = {0};
    begin(&d, &plan);
    add(&d, baseline(), a, a, 0, RUN);
    CHECK(isnan(tu_full_metrics(&d).trimmed_cosine));
    tu_full_free(&d);
}

TEST(tiles_may_be_pieces_of_rows)
{
    /* Two rows of nine, in tiles of eight columns and one. */
    float a[18], b[18];
    for (size_t i = 0; i < 18; i++)
        a[i] = b[i] = (float)i;
    b[8] = 9;
    b[17] = 19;
    struct tu_full_plan plan = plan_of(TENSOR_F32, 18, 9);
    struct tu_full sum = {0}, part = {0};
    struct tu_error error = {0};
    begin(&sum, &plan);
    for (size_t row = 0; row < 2; row++) {
        CHECK(tu_full_begin(&part, &plan, 0, 8, NULL, &error) == 0);
        add(&part, baseline(), a + 9 * row, b + 9 * row, 0, 8);
        tu_full_end(&part, baseline());
        tu_full_add(&sum, &part);
        CHECK(tu_full_begin(&part, &plan, 8, 1, NULL, &error) == 0);
        add(&part, baseline(), a + 9 * row + 8, b + 9 * row + 8, 0, 1);
        tu_full_end(&part, baseline());
        tu_full_add(&sum, &part);
    }
    /* (8 17) against (9 19) */
    struct tu_full_metrics m = tu_full_metrics(&sum);
    CHECK_UINT(m.error_column, 8);
    CHECK_REAL(m.error, sqrt(5.0 / 442));
    CHECK_UINT(m.cosine_column, 8);
    CHECK(fabs(m.cosine - (8 * 9 + 17 * 19) / sqrt((64.0 + 289) * (81 + 361))) < 1e-12);
    tu_full_free(&sum);
    tu_full_free(&part);
}

enum { MANY = 6000, COLUMNS = 50 };

static void fill(float *a, float *b, uint64_t seed)
{
    for (size_t i = 0; i < MANY; i++) {
        a[i] = (float)((double)(tap_random(&seed) % 1999) - 999.0);
        b[i] = a[i] + (float)(tap_random(&seed) % 7);
        if (i % 500 == 77)
            a[i] *= 1000;
    }
}

/* Tiles of so many elements, which are rows, in runs of 2000. */
static struct tu_full in_tiles(const struct tu_kernels *k, const struct tu_full_plan *plan,
                               const float *a, const float *b, size_t tile)
{
    struct tu_full sum = {0}, part = {0};
    begin(&sum, plan);
    for (size_t first = 0; first < MANY; first += tile) {
        begin(&part, plan);
        for (size_t i = 0; i < tile; i += RUN)
            add(&part, k, a + first, b + first, i, RUN);
        tu_full_end(&part, k);
        tu_full_add(&sum, &part);
    }
    tu_full_free(&part);
    return sum;
}

static bool same(const struct tu_full *x, const struct tu_full *y)
{
    bool equal = memcmp(x->beyond, y->beyond, sizeof x->beyond) == 0 && x->dot.value == y->dot.value &&
                 x->aa.value == y->aa.value && x->bb.value == y->bb.value;
    for (size_t i = 0; i < COLUMNS; i++) /* groups are not full */
        for (size_t k = 0; k < 4; k++)
            equal = equal && x->columns[i / 8 * 32 + 8 * k + i % 8] ==
                                 y->columns[i / 8 * 32 + 8 * k + i % 8];
    return equal;
}

TEST(every_instruction_set_gives_the_same_bits)
{
    static float a[MANY], b[MANY];
    fill(a, b, 3);
    static const enum tensor_dtype types[] = {TENSOR_F32, TENSOR_BF16, TENSOR_F16, TENSOR_F8_E4M3};
    for (size_t t = 0; t < sizeof types / sizeof *types; t++) {
        struct tu_full_plan plan = plan_of(types[t], MANY, COLUMNS);
        struct tu_full want = in_tiles(baseline(), &plan, a, b, RUN);
        const struct tu_kernels *k;
        bool supported;
        for (size_t n = 0; (k = tu_kernels_built(n, &supported)); n++) {
            if (!supported)
                continue;
            struct tu_full d = in_tiles(k, &plan, a, b, RUN);
            CHECK(same(&d, &want));
            CHECK(memcmp(d.ulps, want.ulps, sizeof d.ulps) == 0);
            tu_full_free(&d);
        }
        tu_full_free(&want);
    }
}

TEST(tiles_add_up)
{
    static float a[MANY], b[MANY];
    fill(a, b, 4);
    for (size_t i = 0; i < MANY; i++) { /* small integers, so that no sum is rounded */
        a[i] = (float)((int)a[i] % 100);
        b[i] = (float)((int)b[i] % 100);
    }
    struct tu_full_plan plan = plan_of(TENSOR_F32, MANY, COLUMNS);
    struct tu_full whole = in_tiles(baseline(), &plan, a, b, MANY),
                   parts = in_tiles(baseline(), &plan, a, b, RUN);
    CHECK(same(&whole, &parts));
    CHECK(memcmp(whole.ulps, parts.ulps, sizeof whole.ulps) == 0);
    tu_full_free(&whole);
    tu_full_free(&parts);
}

/* Rows of a tile in runs as tiles.c has them, which wait or are added at once. */
static struct tu_full in_runs(const struct tu_full_plan *plan, const float *a, const float *b,
                              size_t rows, struct tu_full_rows *waiting)
{
    size_t width = plan->columns, count = rows * width;
    size_t longest =
        width <= TU_COMPARE_BLOCK ? TU_COMPARE_BLOCK / width * width : TU_COMPARE_BLOCK;
    struct tu_full d = {0};
    struct tu_error error = {0};
    CHECK(tu_full_begin(&d, plan, 0, width, waiting, &error) == 0);
    for (size_t first = 0, n; first < count; first += n) {
        float here[2][TU_COMPARE_BLOCK], *x = here[0], *y = here[1];
        size_t left = width > TU_COMPARE_BLOCK ? width - first % width : count - first;
        n = left < longest ? left : longest;
        CHECK(!tu_full_place(&d, first, n, &x, &y) || waiting);
        add_copy(&d, tu_kernels_choose(NULL), a, b, first, n, x, y);
    }
    tu_full_end(&d, tu_kernels_choose(NULL));
    return d;
}

TEST(rows_that_wait_have_the_same_sums)
{
    enum { MOST = 60000 };
    static const size_t widths[] = {1,    7,    500,  512,  683,   1000,  1024, 2000,
                                    2048, 2049, 3000, 5001, 12000, 13000, 20000};
    struct tu_full_rows waiting = {0};
    float *a = calloc(MOST, sizeof *a), *b = calloc(MOST, sizeof *b);
    uint64_t state = 5;
    /* nothing but the first pair, and then every pair */
    a[0] = 1;
    b[0] = 2;
    for (int dense = 0; dense < 2; dense++) {
        for (size_t w = 0; w < sizeof widths / sizeof *widths; w++) {
            size_t width = widths[w], rows = MOST / width;
            struct tu_full_plan plan = plan_of(TENSOR_F32, MOST, width);
            for (size_t n = rows; n; n = n / 2) {
                struct tu_full want = in_runs(&plan, a, b, n, NULL),
                               got = in_runs(&plan, a, b, n, &waiting);
                size_t sums = (width + 7) / 8 * 32;
                CHECK(memcmp(want.columns, got.columns, sums * sizeof(double)) == 0);
                CHECK(want.dot.value == got.dot.value && want.aa.value == got.aa.value && want.bb.value == got.bb.value);
                CHECK(dense || (got.columns[0] == 2 && got.columns[8] == 1 &&
                                got.columns[16] == 4 && got.columns[24] == 1));
                tu_full_free(&want);
                tu_full_free(&got);
            }
        }
        for (size_t i = 0; i < MOST; i++) {
            a[i] = (float)(tap_random(&state) % 1999) - 999.0f;
            b[i] = a[i] + (float)(tap_random(&state) % 7);
        }
    }
    tu_full_rows_free(&waiting);
    free(a);
    free(b);
}

TEST(what_is_not_finite_has_no_distance)
{
    static const double numbers[] = {0, 1}; /* the first stands for NaN */
    struct tu_full_plan plan = plan_of(TENSOR_F64, 2, 2);
    struct tu_full d = {0};
    begin(&d, &plan);
    add_wide(&d, numbers, numbers, 0, 2, 1);
    CHECK_UINT(d.ulps[0], 1);
    struct tu_full_run run = {.count = 2, .left_out = 1, .dot = {1, 0}, .aa = {1, 0}, .bb = {1, 0}};
    float a[] = {0, 1}, b[] = {0, 1};
    struct tu_full_plan narrow = plan_of(TENSOR_F32, 2, 2);
    begin(&d, &narrow);
    tu_full_add_run(&d, baseline(), &run, a, b);
    CHECK_UINT(d.ulps[0], 1);
    tu_full_free(&d);
}

TEST(numbers_of_64_bits_are_looked_at_as_those_of_32)
{
    static float a[MANY], b[MANY];
    static double wide_a[MANY], wide_b[MANY];
    fill(a, b, 4);
    for (size_t i = 0; i < MANY; i++) {
        wide_a[i] = (double)a[i];
        wide_b[i] = (double)b[i];
    }
    struct tu_full_plan plan = plan_of(TENSOR_F32, MANY, COLUMNS),
                        wide = plan_of(TENSOR_F64, MANY, COLUMNS);
    struct tu_full narrow = in_tiles(baseline(), &plan, a, b, MANY), d = {0};
    begin(&d, &wide);
    for (size_t i = 0; i < MANY; i += RUN)
        add_wide(&d, wide_a, wide_b, i, RUN, 0);
    CHECK(memcmp(d.beyond, narrow.beyond, sizeof d.beyond) == 0);
    const struct tu_full_metrics x = tu_full_metrics(&d), y = tu_full_metrics(&narrow);
    CHECK_UINT(x.error_column, y.error_column);
    CHECK_REAL(x.error, y.error);
    CHECK_REAL(x.cosine, y.cosine);
    CHECK_REAL(x.trimmed_cosine, y.trimmed_cosine);
    tu_full_free(&d);
    tu_full_free(&narrow);
}

/* Powers of two change no digit: a cosine is the same at any size, also where some columns are large and others tiny,
 * and where the difference of two numbers is beyond float64. */
TEST(no_size_of_float64_is_too_large_or_too_small)
{
    enum { COUNT = 4000, ACROSS = 4 };
    static double a[COUNT], b[COUNT], scaled_a[COUNT], scaled_b[COUNT];
    static const int powers[ACROSS] = {1000, -900, 0, 600};
    uint64_t state = 3;
    for (size_t i = 0; i < COUNT; i++) {
        a[i] = (double)(tap_random(&state) % 2001) - 1000;
        b[i] = i % 5 ? -a[i] : a[i] + 3;
        scaled_a[i] = ldexp(a[i], powers[i % ACROSS]);
        scaled_b[i] = ldexp(b[i], powers[i % ACROSS]);
    }
    struct tu_full_plan plan = plan_of(TENSOR_F64, COUNT, ACROSS);
    for (size_t column = 0; column < ACROSS; column++) {
        /* One column alone is not zero, so it is the worst of both kinds. */
        static double p[COUNT], q[COUNT], large_p[COUNT], large_q[COUNT];
        for (size_t i = 0; i < COUNT; i++) {
            bool in = i % ACROSS == column;
            p[i] = in ? a[i] : 0, q[i] = in ? b[i] : 0;
            large_p[i] = in ? scaled_a[i] : 0, large_q[i] = in ? scaled_b[i] : 0;
        }
        struct tu_full want = {0}, got = {0};
        begin(&want, &plan);
        begin(&got, &plan);
        add_wide(&want, p, q, 0, COUNT, 0);
        add_wide(&got, large_p, large_q, 0, COUNT, 0);
        const struct tu_full_metrics x = tu_full_metrics(&want), y = tu_full_metrics(&got);
        CHECK_UINT(y.error_column, column);
        CHECK_REAL(y.error, x.error);
        CHECK_REAL(y.cosine, x.cosine);
        CHECK(fabs(y.trimmed_cosine - x.trimmed_cosine) < 1e-12);
        tu_full_free(&want);
        tu_full_free(&got);
    }
    struct tu_full all = {0};
    begin(&all, &plan);
    add_wide(&all, scaled_a, scaled_b, 0, COUNT, 0);
    const struct tu_full_metrics m = tu_full_metrics(&all);
    CHECK(m.columns && isfinite(m.error) && isfinite(m.cosine) && isfinite(m.trimmed_cosine));
    tu_full_free(&all);
}

TEST(a_difference_beyond_float64_has_a_column)
{
    static const double a[] = {0x1.8p1023, 1, 0x1.8p1023, 1}, b[] = {-0x1.8p1023, 1, -0x1.8p1023, 1};
    struct tu_full_plan plan = plan_of(TENSOR_F64, 4, 2);
    struct tu_full d = {0};
    begin(&d, &plan);
    add_wide(&d, a, b, 0, 4, 0);
    const struct tu_full_metrics m = tu_full_metrics(&d);
    CHECK_REAL(m.error, 2);
    CHECK_REAL(m.cosine, -1);
    CHECK_UINT(m.error_column, 0);
    CHECK_REAL(m.trimmed_cosine, -1);
    tu_full_free(&d);
}
