/* SPDX-License-Identifier: MIT */
/* Hypotheses of columns, factors and differences: each is found where it was planted, and nowhere
 * else. */
#include "config.h"

#include <stdio.h>

#include "oracles.h"

enum { R = 64, C = 48, N = R * C, MOST = LARGEST };
static const uint64_t shape[] = {R, C};
static float va[MOST], vb[MOST];

static size_t all_of(const uint64_t *dims, uint32_t rank)
{
    size_t all = 1;
    for (uint32_t i = 0; i < rank; i++)
        all *= dims[i];
    return all;
}

/* What is said of va and vb, both F32 of a shape. */
static const char *said(const uint64_t *dims, uint32_t rank, uint64_t queries, uint64_t keys)
{
    return ask(add("w", TENSOR_F32, dims, rank, va), add("w", TENSOR_F32, dims, rank, vb), queries,
               keys, NULL, 0);
}

/* Column i of vb, in runs of width elements, becomes column from(i) of va. */
static void move_columns(size_t all, size_t width, size_t (*from)(size_t column, size_t width))
{
    for (size_t i = 0; i < all; i++)
        vb[i] = va[i / width * width + from(i % width, width)];
}

static size_t backwards(size_t i, size_t width)
{
    return width - 1 - i;
}
static size_t other_half(size_t i, size_t width)
{
    return (i + width / 2) % width;
}
static size_t pairs_to_halves(size_t i, size_t width)
{
    return i % 2 * (width / 2) + i / 2;
}
static size_t heads_backwards(size_t i, size_t width)
{
    size_t head = width / 4;
    return (3 - i / head) * head + i % head;
}

/* ---- Columns ---- */

TEST(columns_in_another_order)
{
    fill(va, N, 1);
    begin();
    move_columns(N, C, other_half);
    CHECK_STRING(said(shape, 2, 0, 0), "columns(1,0)");
    CHECK_STRING(w.found.remedy, "w = w : transpose, order(1,0), transpose");
    CHECK(w.found.layout && w.found.sums.max_diff == 0 && w.found.sums.elements == N);
    CHECK_REAL(w.found.cosine, 1);
    /* heads of queries, or of keys; without heads, single columns */
    move_columns(N, C, heads_backwards);
    CHECK_STRING(said(shape, 2, 4, 2), "columns(3,2,1,0)");
    CHECK_STRING(said(shape, 2, 8, 4), "columns(3,2,1,0)");
    CHECK_STRING(w.found.remedy, "w = w : transpose, order(3,2,1,0), transpose");
    end();
    begin();
    CHECK_STRING(said(shape, 2, 0, 0),
                 "columns(36,37,38,39,40,41,42,43,44,45,46,47,24,25,26,27,...)");
    move_columns(N, C, backwards);
    CHECK_STRING(said(shape, 2, 0, 0),
                 "columns(47,46,45,44,43,42,41,40,39,38,37,36,35,34,33,32,...)");
    CHECK(w.found.layout && w.found.sums.max_diff == 0);
    end();
}

TEST(columns_of_heads_of_a_common_size)
{
    static const uint64_t wide[] = {32, 256};
    fill(va, 32 * 256, 2);
    for (size_t i = 0; i < 32 * 256; i++)
        vb[i] = va[i / 256 * 256 + (3 - i % 256 / 64) * 64 + i % 64];
    begin();
    CHECK_STRING(said(wide, 2, 0, 0), "columns(3,2,1,0)");
    end();
}

TEST(columns_of_a_stack)
{
    static const uint64_t stack[] = {3, 16, 48};
    fill(va, 3 * 16 * 48, 3);
    move_columns(3 * 16 * 48, 48, other_half);
    begin();
    CHECK_STRING(said(stack, 3, 0, 0), "columns(1,0)");
    CHECK_STRING(w.found.remedy,
                 "w = w : reshape(48,48), transpose, order(1,0), transpose, reshape(3,16,48)");
    end();
}

TEST(too_few_rows_tell_no_column)
{
    static const uint64_t low[] = {15, 256}, enough[] = {16, 256};
    fill(va, 16 * 256, 4);
    move_columns(16 * 256, 256, other_half);
    begin();
    CHECK_STRING(said(low, 2, 0, 0), "nothing");
    CHECK_STRING(said(enough, 2, 0, 0), "columns(1,0)");
    end();
}

TEST(elements_of_blocks_in_another_order)
{
    static const uint64_t wide[] = {32, 512};
    static const size_t widths[] = {2, 4, 8, 16, 32, 64, 128, 256};
    fill(va, 32 * 512, 5);
    for (size_t i = 0; i < sizeof widths / sizeof *widths; i++) {
        char text[256], remedy[2048];
        size_t width = widths[i], used = 0;
        used += (size_t)snprintf(text, sizeof text, "nibbles(");
        for (size_t k = 0; k < width && k < 16; k++)
            used += (size_t)snprintf(text + used, sizeof text - used, "%s%zu", k ? "," : "",
                                     width - 1 - k);
        snprintf(text + used, sizeof text - used, width > 16 ? ",...)" : ")");
        used = (size_t)snprintf(remedy, sizeof remedy, "w = w : reshape(%zu,%zu), transpose, order(",
                                32 * 512 / width, width);
        for (size_t k = 0; k < width; k++)
            used += (size_t)snprintf(remedy + used, sizeof remedy - used, "%s%zu", k ? "," : "",
                                     width - 1 - k);
        snprintf(remedy + used, sizeof remedy - used, "), transpose, reshape(32,512)");
        move_columns(32 * 512, width, backwards);
        begin();
        CHECK_STRING(said(wide, 2, 0, 0), text);
        CHECK_STRING(w.found.remedy, remedy);
        CHECK(w.found.layout && w.found.sums.max_diff == 0);
        end();
    }
}

/* The low halves of all bytes are the first elements of a block in ggml's types, neighbours in
 * others; either way is undone. */
TEST(nibbles_of_stored_blocks)
{
    enum { ROWS = 32, COLUMNS = 128, BLOCKS = ROWS * COLUMNS / 32 };
    static const uint64_t dims[] = {ROWS, COLUMNS};
    static uint8_t blocks[BLOCKS * 18], swapped[BLOCKS * 18];
    fill(va, ROWS * COLUMNS, 6);
    begin();
    w.maker.kernels->encode[TENSOR_Q4_0](va, BLOCKS, blocks);
    memcpy(swapped, blocks, sizeof swapped);
    for (size_t i = 0; i < sizeof swapped; i++)
        if (i % 18 >= 2)
            swapped[i] = (uint8_t)(swapped[i] >> 4 | swapped[i] << 4);
    struct tu_member a = add_bytes("w", TENSOR_Q4_0, dims, 2, blocks);
    CHECK_STRING(ask(a, add_bytes("w", TENSOR_Q4_0, dims, 2, swapped), 0, 0, NULL, 0),
                 "nibbles(16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31,...)");
    CHECK(w.found.layout && w.found.sums.max_diff == 0);
    w.maker.kernels->decode[TENSOR_Q4_0](blocks, BLOCKS, va);
    move_columns(ROWS * COLUMNS, 32, pairs_to_halves);
    CHECK_STRING(ask(a, add("w", TENSOR_F32, dims, 2, vb), 0, 0, NULL, 0),
                 "nibbles(0,2,4,6,8,10,12,14,16,18,20,22,24,26,28,30,...)");
    end();
}

TEST(a_window_that_was_flipped)
{
    static const uint64_t conv[] = {8, 16, 3, 5}, line[] = {8, 16, 7};
    fill(va, 8 * 16 * 15, 7);
    move_columns(8 * 16 * 15, 15, backwards);
    begin();
    CHECK_STRING(said(conv, 4, 0, 0), "flip");
    CHECK_STRING(w.found.remedy, "w = w : reshape(128,15), transpose, "
                                 "order(14,13,12,11,10,9,8,7,6,5,4,3,2,1,0), transpose, "
                                 "reshape(8,16,3,5)");
    CHECK(w.found.layout && w.found.sums.max_diff == 0);
    move_columns(8 * 16 * 7, 7, backwards);
    CHECK_STRING(said(line, 3, 0, 0), "flip");
    /* any other order of a window is one of columns */
    move_columns(8 * 16 * 15, 15, other_half);
    CHECK_STRING(said(conv, 4, 0, 0), "columns(8,9,10,11,12,13,14,0,1,2,3,4,5,6,7)");
    end();
}

/* ---- Rows and axes ---- */

TEST(more_rows_than_a_rule_can_name)
{
    enum { ROWS = 1024, COLUMNS = 32 };
    static const uint64_t tall[] = {ROWS, COLUMNS};
    fill(va, ROWS * COLUMNS, 8);
    for (size_t i = 0; i < ROWS; i++)
        memcpy(vb + i * COLUMNS, va + (i * 77 + 5) % ROWS * COLUMNS, COLUMNS * sizeof *vb);
    begin();
    const char *text = said(tall, 2, 0, 0);
    CHECK(strncmp(text, "order(", 6) == 0 && strstr(text, ",...)"));
    CHECK(!w.found.remedy && w.found.layout && w.found.sums.max_diff == 0);
    end();
}

TEST(channels_of_a_square_convolution)
{
    static const uint64_t square[] = {16, 16, 3, 5}, flat[] = {16, 240}, oblong[] = {8, 16, 3, 5},
                          turned[] = {16, 8, 3, 5};
    fill(va, 16 * 16 * 15, 9);
    for (size_t i = 0; i < 16 * 16 * 15; i++)
        vb[i] = va[(i / 15 % 16 * 16 + i / 240) * 15 + i % 15];
    begin();
    CHECK_STRING(said(square, 4, 0, 0), "permute(1,0,2,3)");
    CHECK_STRING(w.found.remedy,
                 "w = w : reshape(16,16,15), permute(1,0,2), reshape(16,16,3,5)");
    /* the window last, without axes of its own */
    for (size_t o = 0; o < 16; o++)
        for (size_t i = 0; i < 16; i++)
            for (size_t k = 0; k < 15; k++)
                vb[(o * 15 + k) * 16 + i] = va[(o * 16 + i) * 15 + k];
    CHECK_STRING(ask(add("w", TENSOR_F32, square, 4, va), add("w", TENSOR_F32, flat, 2, vb), 0, 0,
                     NULL, 0),
                 "permute(0,3,1,2)");
    CHECK_STRING(w.found.remedy, "w = w : reshape(16,15,16), transpose, reshape(16,16,3,5)");
    end();
    for (size_t o = 0; o < 8; o++)
        for (size_t i = 0; i < 16; i++)
            memcpy(vb + (i * 8 + o) * 15, va + (o * 16 + i) * 15, sizeof(float[15]));
    begin();
    CHECK_STRING(ask(add("w", TENSOR_F32, oblong, 4, va), add("w", TENSOR_F32, turned, 4, vb), 0, 0,
                     NULL, 0),
                 "permute(1,0,2,3)");
    CHECK_STRING(w.found.remedy, "w = w : reshape(16,8,15), permute(1,0,2), reshape(8,16,3,5)");
    end();
}

/* Gates and ups in turn, in matrices the other way round, as gpt-oss has them. */
TEST(two_things_at_once)
{
    enum { X = 3, F = 16, K = 20 };
    static const uint64_t stack[] = {X, F, K}, turned[] = {X, K, F}, one[] = {F, K},
                          one_turned[] = {K, F};
    fill(va, X * F * K, 10);
    for (size_t x = 0; x < X; x++)
        for (size_t f = 0; f < F; f++)
            for (size_t k = 0; k < K; k++)
                vb[(x * K + k) * F + f] = va[(x * F + f % 2 * F / 2 + f / 2) * K + k];
    begin();
    CHECK_STRING(ask(add("w", TENSOR_F32, stack, 3, va), add("w", TENSOR_F32, turned, 3, vb), 0, 0,
                     NULL, 0),
                 "transpose, deinterleave");
    CHECK_STRING(w.found.remedy,
                 "w = w : transpose, reshape(48,20), unrope(3), reshape(3,16,20)");
    CHECK(w.found.layout && w.found.sums.max_diff == 0);
    CHECK_STRING(ask(add("w", TENSOR_F32, one, 2, va), add("w", TENSOR_F32, one_turned, 2, vb), 0,
                     0, NULL, 0),
                 "transpose, deinterleave");
    CHECK_STRING(w.found.remedy, "w = w : transpose, unrope(1)");
    end();
    /* another shape, and heads that were put in another order */
    static const uint64_t folded[] = {8, 6, 64};
    fill(va, N, 11);
    for (size_t i = 0; i < R; i++)
        memcpy(vb + i * C, va + (3 - i / 16) * 16 * C + i % 16 * C, sizeof(float[C]));
    begin();
    CHECK_STRING(ask(add("w", TENSOR_F32, shape, 2, va), add("w", TENSOR_F32, folded, 3, vb), 4, 4,
                     NULL, 0),
                 "heads(3,2,1,0)");
    CHECK_STRING(w.found.remedy, "w = w : reshape(64,48), order(3,2,1,0)");
    end();
}

/* ---- Factors ---- */

TEST(rows_with_a_factor_each)
{
    fill(va, N, 12);
    for (size_t i = 0; i < N; i++)
        vb[i] = va[i] * (i / C == 5 ? -2.0F : i / C == 9 ? 8.0F : i / C % 2 ? 0.5F : 1.0F);
    begin();
    CHECK_STRING(said(shape, 2, 0, 0), "row-scale(-0.5..2)");
    CHECK(!w.found.remedy && !w.found.layout);
    CHECK_REAL(w.found.cosine, 1);
    /* a row that is zero has none, and a pair that is no number says nothing */
    for (size_t i = 0; i < C; i++)
        vb[9 * C + i] = va[9 * C + i] = 0;
    vb[20] = NAN;
    va[21] = INFINITY;
    CHECK_STRING(said(shape, 2, 0, 0), "row-scale(-0.5..2)");
    end();
}

TEST(columns_with_a_factor_each)
{
    fill(va, N, 13);
    for (size_t i = 0; i < N; i++)
        vb[i] = va[i] * (i % C == 5 ? -2.0F : i % C == 9 ? 8.0F : i % C % 2 ? 0.5F : 1.0F);
    begin();
    CHECK_STRING(said(shape, 2, 0, 0), "column-scale(-0.5..2)");
    CHECK(!w.found.remedy && !w.found.layout);
    CHECK_REAL(w.found.cosine, 1);
    end();
}

/* What is left is said of all elements: here a quarter of the rows has other numbers, and its best
 * factor. */
TEST(the_cosine_of_factors_is_that_of_all_elements)
{
    double dot = 0, aa = 0;
    fill(va, N, 14);
    fill(vb, N, 15);
    for (size_t r = 0; r < R; r++) {
        double ab = 0, bb = 0;
        for (size_t i = r * C; i < r * C + C; i++) {
            vb[i] = r % 4 ? va[i] * (r % 2 ? 0.25F : 3.0F) : vb[i] * 0.25F + va[i];
            ab += (double)va[i] * (double)vb[i];
            bb += (double)vb[i] * (double)vb[i];
            aa += (double)va[i] * (double)va[i];
        }
        dot += ab * ab / bb;
    }
    begin();
    CHECK(strncmp(said(shape, 2, 0, 0), "row-scale(0.3333..4)", 9) == 0);
    CHECK(fabs(w.found.cosine - sqrt(dot / aa)) < 1e-12 && dot / aa < 0.995);
    end();
}

/* ---- A difference of low rank ---- */

/* b is a, less a difference of a rank, and of a size against a. */
static void subtract_rank(size_t rows, size_t columns, size_t rank, double size)
{
    enum { RANKS = 80, LONGEST = 512 };
    static float left[RANKS * LONGEST], right[RANKS * LONGEST];
    double squares = 0, all = 0;
    fill(left, rank * rows, 101);
    fill(right, rank * columns, 102);
    for (int pass = 0; pass < 2; pass++)
        for (size_t r = 0; r < rows; r++)
            for (size_t c = 0; c < columns; c++) {
                double d = 0;
                for (size_t k = 0; k < rank; k++)
                    d += (double)left[k * rows + r] * (double)right[k * columns + c];
                if (pass) {
                    vb[r * columns + c] =
                        (float)((double)va[r * columns + c] - d * size * sqrt(all / squares));
                } else {
                    squares += d * d;
                    all += (double)va[r * columns + c] * (double)va[r * columns + c];
                }
            }
}

TEST(differences_of_low_rank)
{
    static const uint64_t dims[] = {160, 192}, larger[] = {256, 256};
    static const size_t ranks[] = {1, 2, 7, 16, 40};
    fill(va, 160 * 192, 16);
    for (size_t i = 0; i < sizeof ranks / sizeof *ranks; i++) {
        char text[32];
        snprintf(text, sizeof text, "low-rank(%zu)", ranks[i]);
        subtract_rank(160, 192, ranks[i], 2);
        begin();
        CHECK_STRING(said(dims, 2, 0, 0), text);
        CHECK(!w.found.remedy && !w.found.layout && fabs(w.found.cosine - 1) < 1e-9);
        end();
        /* and where it hardly shows */
        subtract_rank(160, 192, ranks[i], 0.01);
        begin();
        w.slight = true;
        CHECK_STRING(said(dims, 2, 0, 0), text);
        CHECK(fabs(w.found.cosine - 1) < 1e-9);
        end();
    }
    /* a quarter of the smaller side is no low rank any more, nor is one above 64 */
    subtract_rank(160, 192, 41, 2);
    begin();
    CHECK_STRING(said(dims, 2, 0, 0), "nothing");
    fill(va, 256 * 256, 16);
    subtract_rank(256, 256, 64, 2);
    CHECK_STRING(said(larger, 2, 0, 0), "low-rank(64)");
    subtract_rank(256, 256, 65, 2);
    CHECK_STRING(said(larger, 2, 0, 0), "nothing");
    end();
}

/* Rounding to BF16 leaves a floor below the rank; where it leaves more than half, nothing is said. */
TEST(a_low_rank_above_the_floor_of_rounding)
{
    static const uint64_t dims[] = {160, 192};
    fill(va, 160 * 192, 17);
    begin();
    w.slight = true;
    for (int i = 0; i < 2; i++) {
        subtract_rank(160, 192, 4, i ? 0.0005 : 0.02);
        CHECK_STRING(ask(add("w", TENSOR_F32, dims, 2, va), add("w", TENSOR_BF16, dims, 2, vb), 0, 0,
                         NULL, 0),
                     i ? "nothing" : "low-rank(4)");
    }
    end();
}

/* Damage of a few rows or columns is of low rank because they are few: that explains nothing. */
TEST(a_difference_of_few_lines_is_no_low_rank)
{
    static const uint64_t dims[] = {160, 192};
    static float noise[160 * 192];
    fill(noise, 160 * 192, 18);
    for (int what = 0; what < 3; what++) {
        fill(va, 160 * 192, 19);
        for (size_t i = 0; i < 160 * 192; i++) {
            bool hit = what == 0 ? i / 192 % 64 == 3 : what == 1 ? i % 192 % 64 == 3 : true;
            vb[i] = hit ? va[i] + noise[i] / 64 : va[i];
        }
        begin();
        w.slight = true;
        CHECK_STRING(said(dims, 2, 0, 0), "nothing");
        end();
    }
}

/* ---- What is nearly alike ---- */

TEST(what_changes_a_tensor_a_little)
{
    static const uint64_t dims[] = {256, 128};
    fill(va, 256 * 128, 20);
    begin();
    w.slight = true;
    for (size_t i = 0; i < 256 * 128; i++)
        vb[i] = va[i] * 1.0625F;
    CHECK_STRING(said(dims, 2, 0, 0), "scale(0.941176)");
    for (size_t i = 0; i < 256 * 128; i++)
        vb[i] = i / 128 < 64 ? va[i] * 1.125F : va[i];
    CHECK_STRING(said(dims, 2, 0, 0), "row-scale(0.8889..1)");
    for (size_t i = 0; i < 256 * 128; i++)
        vb[i] = i % 128 < 32 ? va[i] * 1.125F : va[i];
    CHECK_STRING(said(dims, 2, 0, 0), "column-scale(0.8889..1)");
    end();
    begin();
    w.slight = true;
    /* one place, which no sample has to know of: no factor explains it */
    memcpy(vb, va, sizeof vb);
    vb[77] += 1;
    CHECK_STRING(said(dims, 2, 0, 0), "nothing");
    /* layouts are not looked for */
    for (size_t i = 0; i < 256; i++)
        memcpy(vb + i * 128, va + (i ^ 1) * 128, 128 * sizeof *vb);
    CHECK_STRING(said(dims, 2, 0, 0), "nothing");
    end();
}

TEST(numbers_without_anything_in_common)
{
    static const uint64_t dims[] = {64, 64}, conv[] = {16, 16, 4, 4};
    for (uint64_t seed = 1; seed < 12; seed++) {
        fill(va, all_of(dims, 2), seed);
        fill(vb, all_of(dims, 2), seed + 50);
        for (int slight = 0; slight < 2; slight++) {
            begin();
            w.slight = slight;
            CHECK_STRING(said(dims, 2, 4, 2), "nothing");
            CHECK_STRING(said(conv, 4, 4, 2), "nothing");
            end();
        }
    }
    for (size_t i = 0; i < 64 * 64; i++)
        va[i] = 3, vb[i] = (float)(i / 64);
    begin();
    CHECK_STRING(said(dims, 2, 4, 2), "nothing");
    end();
}
