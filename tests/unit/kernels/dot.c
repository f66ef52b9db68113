/* SPDX-License-Identifier: MIT */
/* Products of rows: the same bits on every processor, for any number of blocks and of rows of x,
 * and of random bytes, which integer instructions that a compiler got wrong do not survive. */
#include "config.h"

#include "tensor/dtype.h"
#include "kernels/kernels.h"

#include "../tap.h"

static const struct {
    enum tensor_dtype w, x;
} pairs[] = {
#define ROW(ID, name, activation) {TENSOR_##ID, TENSOR_##activation},
    TU_DOT_TYPES(ROW)
#undef ROW
};
enum { PAIRS = sizeof pairs / sizeof *pairs, VECTORS = 11 };

static const struct tu_kernels *baseline(void)
{
    return tu_kernels_choose("baseline");
}

/* Random rows of activations, each array of the length that kernels may read and no byte more. */
struct rows {
    struct tu_activation x[VECTORS];
};

static void *filled(size_t length, uint64_t *state)
{
    uint8_t *bytes = malloc(length ? length : 1);
    for (size_t i = 0; i < length; i++)
        bytes[i] = (uint8_t)(tap_random(state) >> 40);
    return bytes;
}

static void make_rows(struct rows *r, enum tensor_dtype type, size_t columns, uint64_t *state)
{
    size_t size = tu_dtype(type)->elements, blocks = columns / size;
    for (size_t v = 0; v < VECTORS; v++) {
        int8_t *codes = filled(columns, state), *beside = malloc(columns);
        float *scales = malloc(blocks * sizeof *scales), *terms = malloc(blocks * sizeof *terms);
        int16_t *sums = calloc(columns / 16, sizeof *sums);
        for (size_t i = 0; i < columns; i++) {
            codes[i] = i % 64 < 3 ? -128 : codes[i]; /* no quantizer makes it, but a file may */
            sums[i / 16] = (int16_t)(sums[i / 16] + codes[i]);
        }
        for (size_t i = 0; i < columns; i++)
            beside[i] = codes[i / 16 * 16 + i % 16 / 2 + i % 2 * 8];
        for (size_t b = 0; b < blocks; b++) {
            scales[b] = (float)(int32_t)tap_random(state) * 0x1p-36f;
            terms[b] = (float)(int32_t)tap_random(state) * 0x1p-30f;
        }
        r->x[v] = (struct tu_activation){.codes = codes,
                                         .scales = scales,
                                         .terms = type == TENSOR_Q8_1 ? terms : NULL,
                                         .sums = sums,
                                         .pairs = beside};
        if (type != TENSOR_Q8_1)
            free(terms);
    }
}

static void free_rows(struct rows *r)
{
    for (size_t v = 0; v < VECTORS; v++) {
        free((void *)r->x[v].codes);
        free((void *)r->x[v].scales);
        free((void *)r->x[v].terms);
        free((void *)r->x[v].sums);
        free((void *)r->x[v].pairs);
    }
}

static bool same(float a, float b)
{
    return memcmp(&a, &b, sizeof a) == 0 || (isnan(a) && isnan(b));
}

static void check_pair(enum tensor_dtype w, enum tensor_dtype x, size_t columns, uint64_t *state)
{
    const struct tu_dtype *type = tu_dtype(w);
    const struct tu_kernels *k;
    size_t blocks = columns / type->elements;
    bool supported;
    struct rows rows;
    float want[VECTORS], got[VECTORS];
    uint8_t *bytes = filled(blocks * type->bytes, state);
    make_rows(&rows, x, columns, state);
    for (size_t v = 0; v < VECTORS; v++) /* one by one */
        baseline()->dot[w](bytes, blocks, &rows.x[v], 1, &want[v]);
    for (size_t i = 0; (k = tu_kernels_built(i, &supported)) && !tap_failed; i++) {
        for (size_t n = 1; supported && n <= VECTORS && !tap_failed; n++) {
            k->dot[w](bytes, blocks, rows.x, n, got);
            for (size_t v = 0; v < n; v++)
                if (!same(got[v], want[v]))
                    tap_fail(__FILE__, __LINE__, "%s, %s, %zu columns, row %zu of %zu: %a, not %a",
                             type->name, k->name, columns, v, n, (double)got[v], (double)want[v]);
        }
    }
    free_rows(&rows);
    free(bytes);
}

TEST(integer_products_are_the_same_on_every_processor)
{
    uint64_t state = 20261124;
    for (size_t p = 0; p < PAIRS; p++) {
        size_t unit = tu_dtype(pairs[p].w)->elements, other = tu_dtype(pairs[p].x)->elements;
        unit = unit > other ? unit : other;
        for (size_t blocks = 1; blocks <= 40 && !tap_failed; blocks += blocks < 10 ? 1 : 7)
            check_pair(pairs[p].w, pairs[p].x, blocks * unit, &state);
    }
}

/* Of one block by the definition: what integers and one scale give is exact in float64. */
static void check_definition(enum tensor_dtype w, enum tensor_dtype x, uint64_t *state)
{
    const struct tu_dtype *type = tu_dtype(w);
    size_t unit = type->elements > tu_dtype(x)->elements ? type->elements : tu_dtype(x)->elements;
    float values[256], got;
    struct rows rows;
    uint8_t *bytes = filled(unit / type->elements * type->bytes, state);
    make_rows(&rows, x, unit, state);
    baseline()->decode[w](bytes, unit / type->elements, values);
    baseline()->dot[w](bytes, unit / type->elements, rows.x, 1, &got);
    double sum = 0, size = 0;
    bool finite = true;
    for (size_t i = 0; i < unit; i++) {
        double a = (double)rows.x[0].scales[i / tu_dtype(x)->elements] * rows.x[0].codes[i];
        finite = finite && isfinite(values[i]);
        sum += a * (double)values[i];
        size += fabs(a * (double)values[i]);
    }
    /* with Q8_1 the term is the file's, which random ones do not agree with */
    if (finite && size < 1e30 && x != TENSOR_Q8_1 && !(fabs((double)got - sum) <= 1e-6 * size))
        tap_fail(__FILE__, __LINE__, "%s: %a, not about %a", type->name, (double)got, sum);
    free_rows(&rows);
    free(bytes);
}

TEST(integer_products_are_about_those_of_the_decoded_values)
{
    uint64_t state = 7;
    for (size_t p = 0; p < PAIRS; p++)
        for (int round = 0; round < 20 && !tap_failed; round++)
            check_definition(pairs[p].w, pairs[p].x, &state);
}

/* ---- Products of decoded values ---- */

static void fill_floats(float *v, size_t n, uint64_t *state)
{
    for (size_t i = 0; i < n; i++)
        v[i] = (float)(int32_t)(tap_random(state) >> 16) * 0x1p-31f;
}

static float fold_by_hand(const float *w, const float *x, size_t columns, size_t block)
{
    float total = 0;
    for (size_t first = 0; first < columns; first += block) {
        float part = 0;
        for (size_t i = first; i < columns && i < first + block; i++) {
            float product = w[i] * x[i];
            part = part + product;
        }
        total = total + part;
    }
    return total;
}

static double lanes_by_hand(const float *w, const float *x, size_t columns)
{
    double lanes[TU_LANES] = {0}, sum = 0;
    for (size_t i = 0; i < columns; i++)
        lanes[i % TU_LANES] += (double)w[i] * (double)x[i];
    for (size_t l = 0; l < TU_LANES; l++)
        sum += lanes[l];
    return sum;
}

TEST(sums_of_decoded_values_have_their_order)
{
    enum { ROWS = 19, COLUMNS = 150 };
    uint64_t state = 3;
    const struct tu_kernels *k;
    bool supported;
    float *w = malloc(ROWS * COLUMNS * sizeof *w), *x = malloc(COLUMNS * sizeof *x), y[ROWS];
    double y64[ROWS];
    fill_floats(w, ROWS * COLUMNS, &state);
    fill_floats(x, COLUMNS, &state);
    for (size_t i = 0; (k = tu_kernels_built(i, &supported)); i++) {
        for (size_t columns = 1; supported && columns <= COLUMNS && !tap_failed; columns += 7) {
            size_t rows = 1 + columns % ROWS, block = columns % 3 ? 32 : columns;
            k->fold(w, rows, columns, block, x, y);
            k->dot64(w, rows, columns, x, y64);
            for (size_t r = 0; r < rows; r++) {
                CHECK_REAL((double)y[r], (double)fold_by_hand(w + r * columns, x, columns, block));
                CHECK_REAL(y64[r], lanes_by_hand(w + r * columns, x, columns));
            }
        }
    }
    free(w);
    free(x);
}

/* Values of float64 have the order of those of float32: with numbers that both hold, their bits. */
TEST(sums_of_doubles_have_the_order_of_those_of_floats)
{
    enum { ROWS = 5, COLUMNS = 150, ROWS_OF_X = 3 };
    uint64_t state = 5;
    const struct tu_kernels *k;
    bool supported;
    float w[ROWS * COLUMNS], x[ROWS_OF_X * COLUMNS];
    double wide[ROWS_OF_X * COLUMNS], y[ROWS_OF_X * ROWS];
    fill_floats(w, ROWS * COLUMNS, &state);
    fill_floats(x, ROWS_OF_X * COLUMNS, &state);
    for (size_t i = 0; i < ROWS_OF_X * COLUMNS; i++)
        wide[i] = (double)x[i];
    for (size_t i = 0; (k = tu_kernels_built(i, &supported)); i++)
        for (size_t columns = 1; supported && columns <= COLUMNS && !tap_failed; columns += 7)
            for (size_t n = 1; n <= ROWS_OF_X; n++) {
                k->dot64_wide(w, ROWS, columns, wide, n, y);
                for (size_t v = 0; v < n; v++)
                    for (size_t r = 0; r < ROWS; r++)
                        CHECK_REAL(y[v * ROWS + r],
                                   lanes_by_hand(w + r * columns, x + v * columns, columns));
            }
}

/* 006 of aprender-serve: for these numbers a sum from left to right has the bits of eight fused
 * lanes that are added in one tree, and in another tree has not. */
TEST(left_to_right_is_a_tree_of_fused_lanes_for_one_tree_only)
{
    float a[128], b[128], lanes[8] = {0}, y;
    uint32_t bits;
    for (int i = 0; i < 128; i++) {
        float p = (float)(i - 64) * 0.1f, q = (float)(i % 7) * 0.013f;
        float r = (float)i * 0.7f, s = (float)(i % 11) * 0.011f;
        a[i] = p + q;
        b[i] = (r - 50.0f) * 0.05f;
        b[i] = b[i] + s;
    }
    for (int i = 0; i < 128; i++)
        lanes[i % 8] = fmaf(a[i], b[i], lanes[i % 8]);
    const float *t = lanes;
    tu_kernels_choose(NULL)->fold(a, 1, 128, 128, b, &y);
    memcpy(&bits, &y, sizeof bits);
    CHECK_UINT(bits, 0x44191e70);
    y = ((t[0] + t[4]) + (t[1] + t[5])) + ((t[2] + t[6]) + (t[3] + t[7]));
    memcpy(&bits, &y, sizeof bits);
    CHECK_UINT(bits, 0x44191e70);
    y = ((t[0] + t[4]) + (t[2] + t[6])) + ((t[1] + t[5]) + (t[3] + t[7]));
    memcpy(&bits, &y, sizeof bits);
    CHECK_UINT(bits, 0x44191e71);
}
